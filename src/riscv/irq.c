/* SPDX-License-Identifier: MIT */
/* irq.c - which interrupts are pending, and which of them is taken.
 *
 * Source: RISC-V Privileged, "Machine Interrupt (mip and mie) Registers" and
 * "Supervisor Interrupt (sip and sie) Registers"; Sstc.
 */
#include "riscv/riscv_impl.h"

/** Highest priority first, whichever mode they trap to. */
static const uint8_t priority[] = {RV_IRQ_MEI, RV_IRQ_MSI, RV_IRQ_MTI,
                                   RV_IRQ_SEI, RV_IRQ_SSI, RV_IRQ_STI};

/** Pending among @interest; asks for the time only where that matters. */
static uint64_t pending(const struct rv_hart *hart, uint64_t interest)
{
    const uint64_t timer = UINT64_C(1) << RV_IRQ_STI;
    /* Acquire: what the device did before it raised the line is visible to the
     * handler; pairs with rv_hart_set_irq(). */
    uint64_t lines = sm_load_acquire(&hart->mip_lines);
    uint64_t soft = sm_load_relaxed(&hart->mip_soft);

    if (rv_isa_has(&hart->isa, RV_EXT_SSTC))
        lines &= ~timer; /* the owner's hint that a deadline passed, maybe a former */
    if (sm_load_relaxed(&hart->menvcfg) & RV_ENVCFG_STCE) {
        soft &= ~timer;
        if ((interest & timer) &&
            hart->ops->time(hart->owner) >= sm_load_relaxed(&hart->stimecmp))
            lines |= timer;
    }
    return (lines | soft) & interest;
}

uint64_t rv_mip(const struct rv_hart *hart)
{
    return pending(hart, UINT64_MAX);
}

uint64_t rv_irq_wakeup(const struct rv_hart *hart)
{
    return pending(hart, sm_load_relaxed(&hart->mie));
}

/** Interrupts that would be taken if they were pending. */
static uint64_t enabled_in(const struct rv_hart *hart)
{
    uint64_t enabled = 0;

    /* Delegated interrupts never trap to S from M; the others always trap to M. */
    if (hart->priv < RV_PRIV_M || (hart->mstatus & RV_MSTATUS_MIE))
        enabled |= ~hart->mideleg;
    if (hart->priv < RV_PRIV_S ||
        (hart->priv == RV_PRIV_S && (hart->mstatus & RV_MSTATUS_SIE)))
        enabled |= hart->mideleg;
    return enabled & hart->mie;
}

bool rv_interrupt_due(const struct rv_hart *hart)
{
    const uint64_t enabled = enabled_in(hart);
    const uint64_t timer = UINT64_C(1) << RV_IRQ_STI;
    const uint64_t soft =
        hart->menvcfg & RV_ENVCFG_STCE ? hart->mip_soft & ~timer : hart->mip_soft;

    return (enabled & (sm_load_relaxed(&hart->mip_lines) | soft)) != 0;
}

bool rv_take_interrupt(struct rv_hart *hart)
{
    const uint64_t enabled = enabled_in(hart);
    uint64_t ready = enabled ? pending(hart, enabled) : 0;

    if (!ready)
        return false;

    /* Every interrupt to M comes before any to S. */
    if (ready & ~hart->mideleg)
        ready &= ~hart->mideleg;
    for (size_t i = 0; i < SM_ARRAY_LEN(priority); i++) {
        if ((ready >> priority[i]) & 1) {
            rv_trap_interrupt(hart, (enum rv_irq)priority[i]);
            return true;
        }
    }
    return false; /* no bit of mie without a place in the table */
}
