/* SPDX-License-Identifier: MIT */
/* csr_hooks.c - what reading and writing single CSRs means: views, WARL, effects.
 *
 * Named by csr.def, called by csr.c after the common rules were met.  A write hook
 * legalises, stores, and does at once what the new value entails (H3).
 *
 * A register that is written holds the new value from the next instruction on, and
 * this instruction counts in the counters as it did before: "Any CSR write takes
 * effect after the writing instruction has otherwise completed".  Hence the ones
 * added to hart->instret, which holds the instructions before this one.
 *
 * Source: RISC-V Privileged, "Machine-Level ISA" and "Supervisor-Level ISA", one
 * section per register; for counters also Unprivileged, "Zicntr and Zihpm".
 */
#include "riscv/riscv_impl.h"

#define IRQ_BIT(irq) (UINT64_C(1) << (irq))
#define IRQS_S       (IRQ_BIT(RV_IRQ_SSI) | IRQ_BIT(RV_IRQ_STI) | IRQ_BIT(RV_IRQ_SEI))
#define IRQS_M       (IRQ_BIT(RV_IRQ_MSI) | IRQ_BIT(RV_IRQ_MTI) | IRQ_BIT(RV_IRQ_MEI))

#define ENVCFG_FIOM (UINT64_C(1) << 0)

/** Bit numbers of counters in mcounteren, scounteren and mcountinhibit. */
enum { COUNTER_CY, COUNTER_TM, COUNTER_IR };

static bool has(const struct rv_hart *hart, enum rv_ext ext)
{
    return rv_isa_has(&hart->isa, ext);
}

/* --- No effect -------------------------------------------------------------------- */

uint64_t rv_csr_read_zero(const struct rv_hart *hart, unsigned csr)
{
    return 0;
}

uint64_t rv_csr_read_tinfo(const struct rv_hart *hart, unsigned csr)
{
    return 1; /* info: the selected trigger does not exist */
}

bool rv_csr_write_nothing(struct rv_hart *hart, unsigned csr, uint64_t value)
{
    return false;
}

/* --- Floating point --------------------------------------------------------------- */

bool rv_csr_allow_fp(const struct rv_hart *hart, unsigned csr, bool writes)
{
    return (hart->mstatus & RV_MSTATUS_FS) != 0;
}

uint64_t rv_csr_read_fflags(const struct rv_hart *hart, unsigned csr)
{
    return hart->fflags;
}

uint64_t rv_csr_read_frm(const struct rv_hart *hart, unsigned csr)
{
    return hart->frm;
}

uint64_t rv_csr_read_fcsr(const struct rv_hart *hart, unsigned csr)
{
    return (uint64_t)hart->frm << 5 | hart->fflags;
}

static bool fp_write(struct rv_hart *hart, uint64_t frm, uint64_t fflags)
{
    /* Reserved rounding modes are kept; instructions that use them are illegal. */
    hart->frm = frm & 7;
    hart->fflags = fflags & 31;
    hart->mstatus |= RV_MSTATUS_DIRTY;
    return false;
}

bool rv_csr_write_fflags(struct rv_hart *hart, unsigned csr, uint64_t value)
{
    return fp_write(hart, hart->frm, value);
}

bool rv_csr_write_frm(struct rv_hart *hart, unsigned csr, uint64_t value)
{
    return fp_write(hart, value, hart->fflags);
}

bool rv_csr_write_fcsr(struct rv_hart *hart, unsigned csr, uint64_t value)
{
    return fp_write(hart, value >> 5, value);
}

/* --- Counters --------------------------------------------------------------------- */

bool rv_csr_allow_counter(const struct rv_hart *hart, unsigned csr, bool writes)
{
    const unsigned n = csr & 31;

    if (hart->priv == RV_PRIV_M)
        return true;
    if (!((hart->mcounteren >> n) & 1))
        return false;
    return hart->priv != RV_PRIV_U || !has(hart, RV_EXT_S) ||
           ((hart->scounteren >> n) & 1);
}

/** A counter that runs is instret + bias; one that is inhibited is its bias. */
static uint64_t counter_read(const struct rv_hart *hart, unsigned n, uint64_t bias)
{
    return ((hart->mcountinhibit >> n) & 1) ? bias : hart->instret + bias;
}

static uint64_t counter_bias(const struct rv_hart *hart, unsigned n, uint64_t value)
{
    return ((hart->mcountinhibit >> n) & 1) ? value : value - (hart->instret + 1);
}

/** One instruction is one cycle: the clock of a hart without a pipeline. */
uint64_t rv_csr_read_cycle(const struct rv_hart *hart, unsigned csr)
{
    return counter_read(hart, COUNTER_CY, hart->mcycle_bias);
}

uint64_t rv_csr_read_instret(const struct rv_hart *hart, unsigned csr)
{
    return counter_read(hart, COUNTER_IR, hart->minstret_bias);
}

uint64_t rv_csr_read_time(const struct rv_hart *hart, unsigned csr)
{
    return hart->ops->time(hart->owner);
}

bool rv_csr_write_mcycle(struct rv_hart *hart, unsigned csr, uint64_t value)
{
    hart->mcycle_bias = counter_bias(hart, COUNTER_CY, value);
    return false;
}

bool rv_csr_write_minstret(struct rv_hart *hart, unsigned csr, uint64_t value)
{
    hart->minstret_bias = counter_bias(hart, COUNTER_IR, value);
    return false;
}

bool rv_csr_write_mcountinhibit(struct rv_hart *hart, unsigned csr, uint64_t value)
{
    const uint64_t was = hart->mcountinhibit;
    const uint64_t now = hart->instret + 1;

    value &= 0xffffffff & ~(UINT64_C(1) << COUNTER_TM);
    /* Stopping adds what was counted to the bias, starting takes it off. */
    if ((value ^ was) & (1u << COUNTER_CY))
        hart->mcycle_bias += value & (1u << COUNTER_CY) ? now : -now;
    if ((value ^ was) & (1u << COUNTER_IR))
        hart->minstret_bias += value & (1u << COUNTER_IR) ? now : -now;
    hart->mcountinhibit = value;
    return false;
}

/* --- mstatus and its view --------------------------------------------------------- */

static uint64_t mstatus_writable(const struct rv_hart *hart)
{
    uint64_t mask = RV_MSTATUS_MIE | RV_MSTATUS_MPIE;

    if (has(hart, RV_EXT_S))
        mask |= RV_MSTATUS_SIE | RV_MSTATUS_SPIE | RV_MSTATUS_SPP | RV_MSTATUS_SUM |
                RV_MSTATUS_MXR | RV_MSTATUS_TVM | RV_MSTATUS_TSR;
    if (has(hart, RV_EXT_U))
        mask |= RV_MSTATUS_MPRV | RV_MSTATUS_TW;
    if (has(hart, RV_EXT_F))
        mask |= RV_MSTATUS_FS;
    return mask;
}

/** MPP is WARL: what names no privilege mode of this hart changes nothing. */
static bool mpp_is_legal(const struct rv_hart *hart, uint64_t value)
{
    switch (sm_extract(value, 11, 2)) {
    case RV_PRIV_U: return has(hart, RV_EXT_U);
    case RV_PRIV_S: return has(hart, RV_EXT_S);
    case RV_PRIV_M: return true;
    default: return false;
    }
}

static bool mstatus_set(struct rv_hart *hart, uint64_t mask, uint64_t value)
{
    const uint64_t was = hart->mstatus;
    const uint8_t mode_was = hart->mode_data;
    uint64_t now = (was & ~mask) | (value & mask);

    if ((now & RV_MSTATUS_FS) == RV_MSTATUS_FS)
        now |= RV_MSTATUS_SD;
    else
        now &= ~RV_MSTATUS_SD;
    hart->mstatus = now;
    if ((was ^ now) &
        (RV_MSTATUS_MPRV | RV_MSTATUS_MPP | RV_MSTATUS_SUM | RV_MSTATUS_MXR))
        rv_regime_update(hart);
    /* Turning interrupts off needs nobody's attention. */
    return hart->mode_data != mode_was ||
           (now & ~was & (RV_MSTATUS_SIE | RV_MSTATUS_MIE)) != 0;
}

bool rv_csr_write_mstatus(struct rv_hart *hart, unsigned csr, uint64_t value)
{
    uint64_t mask = mstatus_writable(hart);

    if (mpp_is_legal(hart, value))
        mask |= RV_MSTATUS_MPP;
    return mstatus_set(hart, mask, value);
}

uint64_t rv_csr_read_sstatus(const struct rv_hart *hart, unsigned csr)
{
    return hart->mstatus & RV_SSTATUS_BITS;
}

bool rv_csr_write_sstatus(struct rv_hart *hart, unsigned csr, uint64_t value)
{
    return mstatus_set(hart, mstatus_writable(hart) & RV_SSTATUS_BITS, value);
}

/** Source: Privileged, "Machine ISA (misa) Register".  Extensions do not change
 *  at run time: writes are legalised to what is there. */
uint64_t rv_csr_read_misa(const struct rv_hart *hart, unsigned csr)
{
    static const struct {
        uint8_t ext;
        char letter;
    } letters[] = {{RV_EXT_I, 'I'}, {RV_EXT_M, 'M'}, {RV_EXT_A, 'A'}, {RV_EXT_F, 'F'},
                   {RV_EXT_D, 'D'}, {RV_EXT_C, 'C'}, {RV_EXT_S, 'S'}, {RV_EXT_U, 'U'}};
    uint64_t value = UINT64_C(2) << 62; /* MXL: 64 bits */

    for (size_t i = 0; i < SM_ARRAY_LEN(letters); i++) {
        if (has(hart, (enum rv_ext)letters[i].ext))
            value |= UINT64_C(1) << (letters[i].letter - 'A');
    }
    return value;
}

/* --- Traps ------------------------------------------------------------------------ */

bool rv_csr_write_tvec(struct rv_hart *hart, unsigned csr, uint64_t value)
{
    /* Modes from 2 on are reserved; writing one changes nothing. */
    if (value & 2)
        return false;
    *(csr == RV_CSRNO_stvec ? &hart->stvec : &hart->mtvec) = value;
    return false;
}

uint64_t rv_csr_epc_mask(const struct rv_isa *isa)
{
    return rv_isa_has(isa, RV_EXT_C) ? ~UINT64_C(1) : ~UINT64_C(3);
}

bool rv_csr_write_epc(struct rv_hart *hart, unsigned csr, uint64_t value)
{
    value &= rv_csr_epc_mask(&hart->isa);
    *(csr == RV_CSRNO_sepc ? &hart->sepc : &hart->mepc) = value;
    return false;
}

bool rv_csr_write_mideleg(struct rv_hart *hart, unsigned csr, uint64_t value)
{
    hart->mideleg = value & IRQS_S;
    return true;
}

bool rv_csr_write_mie(struct rv_hart *hart, unsigned csr, uint64_t value)
{
    /* Relaxed: pairs with rv_irq_wakeup() on other threads, a hint to them. */
    sm_store_relaxed(&hart->mie,
                     value & (has(hart, RV_EXT_S) ? IRQS_M | IRQS_S : IRQS_M));
    return true;
}

uint64_t rv_csr_read_sie(const struct rv_hart *hart, unsigned csr)
{
    return hart->mie & hart->mideleg;
}

bool rv_csr_write_sie(struct rv_hart *hart, unsigned csr, uint64_t value)
{
    return rv_csr_write_mie(hart, csr,
                            (hart->mie & ~hart->mideleg) | (value & hart->mideleg));
}

uint64_t rv_csr_read_mip(const struct rv_hart *hart, unsigned csr)
{
    return rv_mip(hart);
}

static bool mip_set(struct rv_hart *hart, uint64_t mask, uint64_t value)
{
    sm_store_relaxed(&hart->mip_soft, (hart->mip_soft & ~mask) | (value & mask));
    return true;
}

bool rv_csr_write_mip(struct rv_hart *hart, unsigned csr, uint64_t value)
{
    uint64_t mask = has(hart, RV_EXT_S) ? IRQS_S : 0;

    /* Source: Sstc, "Machine Environment Configuration": STIP is then read-only. */
    if (hart->menvcfg & RV_ENVCFG_STCE)
        mask &= ~IRQ_BIT(RV_IRQ_STI);
    return mip_set(hart, mask, value);
}

uint64_t rv_csr_read_sip(const struct rv_hart *hart, unsigned csr)
{
    return rv_mip(hart) & hart->mideleg;
}

bool rv_csr_write_sip(struct rv_hart *hart, unsigned csr, uint64_t value)
{
    return mip_set(hart, hart->mideleg & IRQ_BIT(RV_IRQ_SSI), value);
}

/* --- Timer ------------------------------------------------------------------------ */

bool rv_csr_allow_stimecmp(const struct rv_hart *hart, unsigned csr, bool writes)
{
    return hart->priv == RV_PRIV_M ||
           ((hart->menvcfg & RV_ENVCFG_STCE) && ((hart->mcounteren >> COUNTER_TM) & 1));
}

/** Have the owner's timer follow stimecmp and STCE. */
static void stimecmp_arm(struct rv_hart *hart)
{
    const bool enabled = (hart->menvcfg & RV_ENVCFG_STCE) != 0;

    /* The line only says that a deadline passed; rv_mip() compares.  The owner may
     * still raise it for the former deadline after this: harmless. */
    sm_fetch_and(&hart->mip_lines, ~IRQ_BIT(RV_IRQ_STI));
    hart->ops->arm_stimecmp(hart->owner, hart, enabled ? hart->stimecmp : UINT64_MAX);
}

bool rv_csr_write_stimecmp(struct rv_hart *hart, unsigned csr, uint64_t value)
{
    sm_store_relaxed(&hart->stimecmp, value);
    if (hart->menvcfg & RV_ENVCFG_STCE)
        stimecmp_arm(hart);
    return true;
}

/* --- Environment configuration ---------------------------------------------------- */

/** The bits that menvcfg and senvcfg have in common. */
static uint64_t envcfg_writable(const struct rv_hart *hart, uint64_t value)
{
    uint64_t mask = 0;

    if (has(hart, RV_EXT_S))
        mask |= ENVCFG_FIOM;
    if (has(hart, RV_EXT_ZICBOM)) {
        mask |= RV_ENVCFG_CBCFE;
        if (sm_extract(value, 4, 2) != 2) /* reserved: changes nothing */
            mask |= RV_ENVCFG_CBIE;
    }
    if (has(hart, RV_EXT_ZICBOZ))
        mask |= RV_ENVCFG_CBZE;
    return mask;
}

bool rv_csr_write_senvcfg(struct rv_hart *hart, unsigned csr, uint64_t value)
{
    const uint64_t mask = envcfg_writable(hart, value);

    hart->senvcfg = (hart->senvcfg & ~mask) | (value & mask);
    return false;
}

bool rv_csr_write_menvcfg(struct rv_hart *hart, unsigned csr, uint64_t value)
{
    const uint64_t was = hart->menvcfg;
    uint64_t mask = envcfg_writable(hart, value);

    if (has(hart, RV_EXT_SVADU))
        mask |= RV_ENVCFG_ADUE;
    if (has(hart, RV_EXT_SVPBMT))
        mask |= RV_ENVCFG_PBMTE;
    if (has(hart, RV_EXT_SSTC))
        mask |= RV_ENVCFG_STCE;
    sm_store_relaxed(&hart->menvcfg, (was & ~mask) | (value & mask));
    if ((was ^ hart->menvcfg) & RV_ENVCFG_STCE)
        stimecmp_arm(hart);
    if ((was ^ hart->menvcfg) & (RV_ENVCFG_ADUE | RV_ENVCFG_PBMTE))
        rv_regime_flush(hart);
    return true;
}

uint64_t rv_csr_menvcfg_reset(const struct rv_isa *isa)
{
    uint64_t value = 0;

    if (rv_isa_has(isa, RV_EXT_SVPBMT))
        value |= RV_ENVCFG_PBMTE;
    /* With Svade as well, firmware is to choose: Svade until it does. */
    if (rv_isa_has(isa, RV_EXT_SVADU) && !rv_isa_has(isa, RV_EXT_SVADE))
        value |= RV_ENVCFG_ADUE;
    return value;
}

/* --- Translation and protection --------------------------------------------------- */

bool rv_csr_allow_satp(const struct rv_hart *hart, unsigned csr, bool writes)
{
    return hart->priv != RV_PRIV_S || !(hart->mstatus & RV_MSTATUS_TVM);
}

bool rv_csr_write_satp(struct rv_hart *hart, unsigned csr, uint64_t value)
{
    const uint64_t mode = value >> 60;

    /* Without paging the register is read-only zero.  An unsupported mode "has no
     * effect": no field changes. */
    if (hart->isa.satp_mode_max == 0 ||
        (mode != 0 && (mode < 8 || mode > hart->isa.satp_mode_max)))
        return false;
    if (value == hart->satp)
        return false;
    hart->satp = value;
    rv_regime_update(hart);
    return true;
}

bool rv_csr_allow_pmp(const struct rv_hart *hart, unsigned csr, bool writes)
{
    return hart->isa.n_pmp != 0;
}

uint64_t rv_csr_read_pmpcfg(const struct rv_hart *hart, unsigned csr)
{
    const unsigned first = (csr - RV_CSRNO_pmpcfg0) * 4;
    uint64_t value = 0;

    for (unsigned i = 0; i < 8; i++)
        value |= (uint64_t)hart->pmp.cfg[first + i] << (8 * i);
    return value;
}

static bool pmp_changed(struct rv_hart *hart, bool changed)
{
    if (changed)
        rv_regime_flush(hart);
    return changed;
}

bool rv_csr_write_pmpcfg(struct rv_hart *hart, unsigned csr, uint64_t value)
{
    const unsigned first = (csr - RV_CSRNO_pmpcfg0) * 4;
    const uint8_t defined = 0x9f; /* bits 5 and 6 are WARL zero */
    bool changed = false;

    for (unsigned i = 0; i < 8; i++) {
        const uint8_t cfg = (uint8_t)(value >> (8 * i)) & defined;

        changed |= sm_pmp_write_cfg(&hart->pmp, first + i, cfg);
    }
    return pmp_changed(hart, changed);
}

bool rv_csr_write_pmpaddr(struct rv_hart *hart, unsigned csr, uint64_t value)
{
    return pmp_changed(hart, sm_pmp_write_addr(&hart->pmp, csr - RV_CSRNO_pmpaddr0,
                                               value & sm_mask(54)));
}
