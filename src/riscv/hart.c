/* SPDX-License-Identifier: MIT */
/* hart.c - makes, resets and describes a hart, and brings it interrupts.
 *
 * Running one is interp.c's.
 */
#include <errno.h>
#include <stdlib.h>

#include "riscv/code.h"
#include "riscv/translate.h"

/** What ran a checker by looking at each instruction's fetch cannot be translated. */
static int new_units(struct rv_hart *hart, const struct rv_hart_options *options)
{
    const struct jit_options jit = {
        .struct_size = sizeof(jit),
        .flags = options->jit_flags,
        .opt = options->jit_opt,
        .seed = options->jit_seed,
        .cache_size = options->code_size ? options->code_size : RV_CODE_SIZE,
        .names = options->names,
    };
    int error;

    hart->log = options->log;
    hart->log_items = options->log_items;
    hart->unit_heat = options->jit_heat ? options->jit_heat : RV_UNIT_HOT;
    if (!options->translate || options->check || options->check_code)
        return 0;
    error = rv_units_new(hart, &jit);
    return error == -ENOMEM ? error : 0; /* else this host has no use for code */
}

int rv_hart_new(struct sm_topology *topo, const struct rv_hart_options *options,
                struct rv_hart **out)
{
    struct sm_vcpu_options vcpu = {
        .struct_size = sizeof(vcpu),
        .tlb_layout = SM_TLB_LAYOUT,
        .spaces = &options->space,
        .n_spaces = 1,
        .requester = (uint32_t)options->hart_id,
        .ops = &rv_guest_mmu_ops,
        .check = options->check,
        .flags = options->vcpu_flags,
    };
    struct rv_hart *hart;
    int error;

    if (options->struct_size != sizeof(*options) || !options->isa || !options->space ||
        !options->ops || options->ops->struct_size != sizeof(*options->ops) ||
        !options->ops->time || !options->ops->arm_stimecmp || !options->ops->wake ||
        rv_isa_check(options->isa))
        return -EINVAL;

    hart = calloc(1, sizeof(*hart));
    if (!hart)
        return -ENOMEM;
    hart->isa = *options->isa;
    hart->hart_id = options->hart_id;
    hart->space = options->space;
    hart->ops = options->ops;
    hart->owner = options->owner;
    hart->check_flags = options->check ? options->check_flags : 0;
    hart->check_code = options->check_code;
    hart->attrs = (struct sm_attrs){.requester = (uint32_t)options->hart_id,
                                    .process = SM_NO_PROCESS};
    hart->stats.struct_size = sizeof(hart->stats);

    vcpu.guest = hart;
    error = sm_vcpu_new(topo, &vcpu, &hart->vcpu);
    if (error) {
        free(hart);
        return error;
    }
    hart->fast = sm_vcpu_fast(hart->vcpu);
    error = rv_blocks_new(hart);
    /* Who checks wants to see each comparison. */
    if (!error && !options->check && !options->check_code && !options->compare_all)
        error = rv_code_new(hart);
    if (!error)
        error = new_units(hart, options);
    if (error) {
        rv_hart_free(hart);
        return error;
    }
    rv_hart_reset(hart, 0x1000);
    *out = hart;
    return 0;
}

void rv_hart_free(struct rv_hart *hart)
{
    if (!hart)
        return;
    sm_vcpu_free(hart->vcpu);
    rv_units_free(hart);
    rv_blocks_free(hart);
    rv_code_free(hart);
    free(hart);
}

/** Source: Privileged, "Reset"; what it leaves open is zero. */
static void reset_csrs(struct rv_hart *hart)
{
    uint64_t mstatus = 0;

    if (rv_isa_has(&hart->isa, RV_EXT_U))
        mstatus |= sm_insert(0, 32, 2, 2); /* UXL, SXL: 64 bits */
    else
        mstatus |= RV_MSTATUS_MPP; /* the only mode */
    if (rv_isa_has(&hart->isa, RV_EXT_S))
        mstatus |= sm_insert(0, 34, 2, 2);
    hart->mstatus = mstatus;
    hart->medeleg = hart->mideleg = hart->mie = 0;
    hart->mtvec = hart->mscratch = hart->mepc = hart->mcause = hart->mtval = 0;
    hart->mcounteren = hart->mcountinhibit = 0;
    hart->menvcfg = rv_csr_menvcfg_reset(&hart->isa);
    hart->stvec = hart->sscratch = hart->sepc = hart->scause = hart->stval = 0;
    hart->satp = hart->scounteren = hart->senvcfg = 0;
    hart->mip_soft = 0;
    hart->fflags = hart->frm = 0;
    /* Counters begin at 0, while instret goes on for the statistics. */
    hart->mcycle_bias = hart->minstret_bias = -hart->instret;
    for (unsigned i = 0; i < SM_ARRAY_LEN(hart->mhpmcounter); i++)
        hart->mhpmcounter[i] = hart->mhpmevent[i] = 0;
    hart->stimecmp = 0; /* which means nothing until firmware sets STCE */
    sm_pmp_reset(&hart->pmp, hart->isa.n_pmp);
}

void rv_hart_reset(struct rv_hart *hart, uint64_t pc)
{
    for (unsigned i = 0; i < 32; i++)
        hart->x[i] = hart->f[i] = 0;
    hart->pc = pc;
    hart->priv = RV_PRIV_M;
    hart->wfi = false;
    hart->passing = RV_PASS_NONE;
    sm_vcpu_watch_rearm(hart->vcpu);
    reset_csrs(hart);
    hart->ops->arm_stimecmp(hart->owner, hart, UINT64_MAX);
    sm_tlb_clear_reservation(hart->vcpu);
    rv_regime_flush(hart);
    rv_regime_update(hart);
    rv_blocks_flush(hart);
    rv_units_flush(hart);
}

struct sm_vcpu *rv_hart_vcpu(struct rv_hart *hart)
{
    return hart->vcpu;
}

uint64_t rv_hart_id(const struct rv_hart *hart)
{
    return hart->hart_id;
}

const struct rv_isa *rv_hart_isa(const struct rv_hart *hart)
{
    return &hart->isa;
}

/* --- Interrupts ------------------------------------------------------------------- */

void rv_hart_set_irq(struct rv_hart *hart, enum rv_irq irq, bool level)
{
    const uint64_t bit = UINT64_C(1) << irq;

    if (level && (irq == RV_IRQ_MSI || irq == RV_IRQ_SSI))
        sm_tlb_check_interrupted(hart->vcpu);
    if (!level) {
        sm_fetch_and(&hart->mip_lines, ~bit);
        return;
    }
    /* Pairs with the acquire in rv_mip().  The line of stimecmp is a message, not a
     * level: it may still be up from a deadline that was replaced meanwhile, and
     * then this one must wake the hart all the same. */
    if (!(sm_fetch_or(&hart->mip_lines, bit) & bit) || irq == RV_IRQ_STI) {
        sm_vcpu_kick(hart->vcpu);
        hart->ops->wake(hart->owner, hart);
    }
}

bool rv_hart_has_work(const struct rv_hart *hart)
{
    /* Acquire: pairs with rv_hart_kick(), whose caller set its flags before. */
    return sm_load_acquire(&hart->kicked) || rv_irq_wakeup(hart);
}

void rv_hart_observe(struct rv_hart *hart,
                     void (*look)(void *observer, struct rv_hart *hart), void *observer)
{
    hart->look = look;
    hart->observer = observer;
    rv_blocks_flush(hart); /* blocks have their heat by whether somebody looks   */
}

/* --- Registers -------------------------------------------------------------------- */

uint64_t rv_hart_x(const struct rv_hart *hart, unsigned n)
{
    return n < 32 ? hart->x[n] : 0;
}

void rv_hart_set_x(struct rv_hart *hart, unsigned n, uint64_t value)
{
    if (n > 0 && n < 32) /* (H1) */
        hart->x[n] = value;
}

uint64_t rv_hart_f(const struct rv_hart *hart, unsigned n)
{
    return n < 32 ? hart->f[n] : 0;
}

void rv_hart_set_f(struct rv_hart *hart, unsigned n, uint64_t value)
{
    if (n < 32)
        hart->f[n] = value;
}

uint64_t rv_hart_pc(const struct rv_hart *hart)
{
    return hart->pc;
}

void rv_hart_set_pc(struct rv_hart *hart, uint64_t pc)
{
    /* As an xepc would be legalised: no instruction begins elsewhere. */
    hart->pc = pc & (rv_isa_has(&hart->isa, RV_EXT_C) ? ~UINT64_C(1) : ~UINT64_C(3));
    hart->wfi = false;
}

/** Access a CSR as machine mode does, between instructions. */
static bool csr_as_machine(struct rv_hart *hart, unsigned csr, enum rv_csr_op op,
                           uint64_t *value)
{
    const uint8_t priv = hart->priv;
    const uint64_t operand = *value;
    enum rv_csr_result result;

    hart->priv = RV_PRIV_M;
    /* Writes count the instruction that makes them; here there is none. */
    if (op == RV_CSR_WRITE)
        hart->instret--;
    result = rv_csr_access(hart, csr, op, operand, op == RV_CSR_READ, value);
    if (op == RV_CSR_WRITE)
        hart->instret++;
    hart->priv = priv;
    rv_regime_update(hart); /* the hooks took machine mode for the real one */
    return result != RV_CSR_ILLEGAL;
}

bool rv_hart_csr_read(struct rv_hart *hart, unsigned csr, uint64_t *value)
{
    uint64_t got = 0;

    if (!csr_as_machine(hart, csr, RV_CSR_READ, &got))
        return false;
    *value = got;
    return true;
}

bool rv_hart_csr_write(struct rv_hart *hart, unsigned csr, uint64_t value)
{
    return csr_as_machine(hart, csr, RV_CSR_WRITE, &value);
}

void rv_hart_get_stats(const struct rv_hart *hart, struct rv_stats *out)
{
    const uint32_t size = out->struct_size;

    *out = hart->stats;
    out->struct_size = size;
    out->instructions = hart->instret;
    out->data_accesses = hart->data_accesses;
    rv_units_count(hart, out);
}
