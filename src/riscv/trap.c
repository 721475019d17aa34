/* SPDX-License-Identifier: MIT */
/* trap.c - takes, delegates and returns from traps; WFI.
 *
 * Source: RISC-V Privileged, "Machine Trap Delegation Registers", "Privilege and
 * Global Interrupt-Enable Stack in mstatus register", "Trap-Return Instructions"
 * and "Wait for Interrupt".
 */
#include "riscv/riscv_impl.h"

static uint64_t handler(uint64_t tvec, uint64_t cause)
{
    const uint64_t base = tvec & ~UINT64_C(3);

    /* Vectored mode is for interrupts only. */
    if ((tvec & 1) && (cause & RV_CAUSE_INTERRUPT))
        return base + 4 * (cause & ~RV_CAUSE_INTERRUPT);
    return base;
}

static void trap_to_s(struct rv_hart *hart, uint64_t cause, uint64_t tval)
{
    uint64_t status = hart->mstatus & ~(RV_MSTATUS_SPIE | RV_MSTATUS_SPP);

    if (status & RV_MSTATUS_SIE)
        status |= RV_MSTATUS_SPIE;
    if (hart->priv == RV_PRIV_S)
        status |= RV_MSTATUS_SPP;
    hart->mstatus = status & ~RV_MSTATUS_SIE;
    hart->scause = cause;
    hart->sepc = hart->pc;
    hart->stval = tval;
    hart->pc = handler(hart->stvec, cause);
    hart->priv = RV_PRIV_S;
}

static void trap_to_m(struct rv_hart *hart, uint64_t cause, uint64_t tval)
{
    uint64_t status = hart->mstatus & ~(RV_MSTATUS_MPIE | RV_MSTATUS_MPP);

    if (status & RV_MSTATUS_MIE)
        status |= RV_MSTATUS_MPIE;
    status = sm_insert(status, 11, 2, hart->priv);
    hart->mstatus = status & ~RV_MSTATUS_MIE;
    hart->mcause = cause;
    hart->mepc = hart->pc;
    hart->mtval = tval;
    hart->pc = handler(hart->mtvec, cause);
    hart->priv = RV_PRIV_M;
}

static void trap(struct rv_hart *hart, uint64_t cause, uint64_t tval, uint64_t delegated)
{
    if (hart->priv <= RV_PRIV_S && ((delegated >> (cause & 63)) & 1))
        trap_to_s(hart, cause, tval);
    else
        trap_to_m(hart, cause, tval);
    hart->wfi = false;
    sm_tlb_clear_reservation(hart->vcpu);
    rv_regime_update(hart);
    if (SM_UNLIKELY(hart->look != NULL)) /* code that runs comes out at the handler      */
        sm_vcpu_kick(hart->vcpu);
}

void rv_take_exception(struct rv_hart *hart, uint64_t cause, uint64_t tval)
{
    hart->stats.exceptions++;
    trap(hart, cause, tval, hart->medeleg);
}

void rv_trap_interrupt(struct rv_hart *hart, enum rv_irq irq)
{
    hart->stats.interrupts++;
    trap(hart, RV_CAUSE_INTERRUPT | irq, 0, hart->mideleg);
}

/** Enter @priv at @pc.  MPRV does not outlive machine mode. */
static void trap_return(struct rv_hart *hart, uint8_t priv, uint64_t pc)
{
    if (priv < hart->priv)
        sm_tlb_check_returned(hart->vcpu);
    hart->priv = priv;
    hart->pc = pc;
    if (priv != RV_PRIV_M)
        hart->mstatus &= ~RV_MSTATUS_MPRV;
    sm_tlb_clear_reservation(hart->vcpu);
    rv_regime_update(hart);
}

bool rv_mret(struct rv_hart *hart)
{
    const uint8_t least = rv_isa_has(&hart->isa, RV_EXT_U) ? RV_PRIV_U : RV_PRIV_M;
    uint64_t status = hart->mstatus;
    const uint8_t priv = (uint8_t)sm_extract(status, 11, 2);

    if (hart->priv != RV_PRIV_M)
        return false;
    status = sm_insert(status, 3, 1, sm_extract(status, 7, 1));
    status = sm_insert(status, 11, 2, least);
    hart->mstatus = status | RV_MSTATUS_MPIE;
    trap_return(hart, priv, hart->mepc);
    return true;
}

bool rv_sret(struct rv_hart *hart)
{
    uint64_t status = hart->mstatus;
    const uint8_t priv = status & RV_MSTATUS_SPP ? RV_PRIV_S : RV_PRIV_U;

    if (!rv_isa_has(&hart->isa, RV_EXT_S) || hart->priv < RV_PRIV_S ||
        (hart->priv == RV_PRIV_S && (status & RV_MSTATUS_TSR)))
        return false;
    status = sm_insert(status, 1, 1, sm_extract(status, 5, 1));
    hart->mstatus = (status | RV_MSTATUS_SPIE) & ~RV_MSTATUS_SPP;
    trap_return(hart, priv, hart->sepc);
    return true;
}

bool rv_wfi(struct rv_hart *hart)
{
    /* The time that a less privileged WFI may take is bounded by zero here: it is
     * illegal at once where the specification allows it to become so. */
    if (hart->priv == RV_PRIV_U && rv_isa_has(&hart->isa, RV_EXT_S))
        return false;
    if (hart->priv != RV_PRIV_M && (hart->mstatus & RV_MSTATUS_TW))
        return false;
    hart->wfi = rv_irq_wakeup(hart) == 0;
    return true;
}
