/* SPDX-License-Identifier: MIT */
/* interp_mem.c - memory instructions beyond the hit path: slow loads and stores,
 * atomics, cache blocks. */
#include "riscv/interp_impl.h"

/** Turn a slow path's answer into the interpreter's. */
static enum rv_next rv_stepped(enum sm_step step, const struct sm_fault *fault,
                               struct rv_trap *trap)
{
    switch (step) {
    case SM_STEP_DONE: return RV_NEXT;
    case SM_STEP_DONE_LEAVE: return RV_NEXT_LEAVE;
    case SM_STEP_STOP: return RV_NEXT_STOP;
    case SM_STEP_FAULT: break;
    }
    *trap = (struct rv_trap){.cause = fault->cause, .tval = fault->gva};
    return RV_NEXT_TRAP;
}

static struct sm_memop rv_memop(const struct rv_hart *hart, unsigned size_bits)
{
    return (struct sm_memop){.size_bits = (uint8_t)size_bits, .mode = hart->mode_data};
}

SM_NOINLINE enum rv_next rv_load_slow(struct rv_hart *hart, sm_gva gva,
                                      unsigned size_bits, uint64_t *value,
                                      struct rv_trap *trap)
{
    struct sm_fault fault = {0};
    struct sm_value loaded = {0};
    const enum sm_step step =
        sm_tlb_read_slow(hart->vcpu, gva, rv_memop(hart, size_bits), &loaded, &fault);

    *value = loaded.lo;
    return rv_stepped(step, &fault, trap);
}

SM_NOINLINE enum rv_next rv_store_slow(struct rv_hart *hart, sm_gva gva,
                                       unsigned size_bits, uint64_t value,
                                       struct rv_trap *trap)
{
    struct sm_fault fault = {0};
    const struct sm_value stored = {.lo = value & sm_mask(8u << size_bits)};
    const enum sm_step step =
        sm_tlb_write_slow(hart->vcpu, gva, rv_memop(hart, size_bits), stored, &fault);

    return rv_stepped(step, &fault, trap);
}

/* --- Atomics --------------------------------------------------------------- */

static void rv_set_x(struct rv_hart *hart, unsigned n, uint64_t value)
{
    if (n)
        hart->x[n] = value;
}

/** @value as an access of 1 << @size_bits bytes, 2 or 3, puts it into a register. */
static uint64_t rv_widen(uint64_t value, unsigned size_bits)
{
    return (uint64_t)sm_sign_extend(value, 8u << size_bits);
}

static enum rv_next rv_load_reserved(struct rv_hart *hart, const struct rv_insn *insn,
                                     unsigned size_bits, struct rv_trap *trap)
{
    enum { AQ = 2, RL = 1 };
    struct sm_fault fault = {0};
    uint64_t value = 0;
    enum rv_next next;

    if (insn->imm & RL)
        sm_fence();
    next = rv_stepped(sm_tlb_load_reserved(hart->vcpu, hart->x[insn->rs1],
                                           rv_memop(hart, size_bits), &value, &fault),
                      &fault, trap);
    if (insn->imm & AQ)
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (next <= RV_NEXT_LEAVE)
        rv_set_x(hart, insn->rd, rv_widen(value, size_bits));
    return next;
}

static enum rv_next rv_store_conditional(struct rv_hart *hart, const struct rv_insn *insn,
                                         unsigned size_bits, struct rv_trap *trap)
{
    struct sm_fault fault = {0};
    bool stored = false;
    const uint64_t value = hart->x[insn->rs2] & sm_mask(8u << size_bits);
    const enum rv_next next =
        rv_stepped(sm_tlb_store_conditional(hart->vcpu, hart->x[insn->rs1],
                                            rv_memop(hart, size_bits), value, &stored,
                                            &fault),
                   &fault, trap);

    if (next <= RV_NEXT_LEAVE)
        rv_set_x(hart, insn->rd, !stored);
    return next;
}

static enum rv_next rv_amo(struct rv_hart *hart, const struct rv_insn *insn,
                           unsigned size_bits, enum sm_rmw rmw, struct rv_trap *trap)
{
    struct sm_fault fault = {0};
    uint64_t old = 0;
    const uint64_t operand = hart->x[insn->rs2] & sm_mask(8u << size_bits);
    const enum rv_next next =
        rv_stepped(sm_tlb_rmw(hart->vcpu, hart->x[insn->rs1], rv_memop(hart, size_bits),
                              rmw, operand, &old, &fault),
                   &fault, trap);

    if (next <= RV_NEXT_LEAVE)
        rv_set_x(hart, insn->rd, rv_widen(old, size_bits));
    return next;
}

/* --- Cache blocks ---------------------------------------------------------- */

/** Whether the field @mask of the environment configurations that bind the current
 *  privilege is not 0.  Source: Unprivileged, "CMO", "Control and Status Register
 *  State". */
static bool rv_cbo_enabled(const struct rv_hart *hart, uint64_t mask)
{
    if (hart->priv != RV_PRIV_M && !(hart->menvcfg & mask))
        return false;
    return hart->priv != RV_PRIV_U || !rv_isa_has(&hart->isa, RV_EXT_S) ||
           (hart->senvcfg & mask);
}

/** There is no cache to manage: only see that a load or a store were permitted. */
static enum rv_next rv_cbo_manage(struct rv_hart *hart, sm_gva gva, struct rv_trap *trap)
{
    struct sm_fault fault = {0};
    void *host;

    const enum sm_step step =
        sm_tlb_touch(hart->vcpu, gva, hart->isa.cbom_size, SM_READ, hart->mode_data,
                     SM_REQ_CACHE_OP, &host, &fault);
    if (step != SM_STEP_FAULT)
        return rv_stepped(step, &fault, trap);
    return rv_stepped(sm_tlb_touch(hart->vcpu, gva, hart->isa.cbom_size, SM_WRITE,
                                   hart->mode_data, SM_REQ_CACHE_OP, &host, &fault),
                      &fault, trap);
}

static enum rv_next rv_cbo_zero(struct rv_hart *hart, sm_gva gva, struct rv_trap *trap)
{
    struct sm_fault fault = {0};
    void *host;
    enum rv_next next =
        rv_stepped(sm_tlb_touch(hart->vcpu, gva, hart->isa.cboz_size, SM_WRITE,
                                hart->mode_data, SM_REQ_CACHE_OP, &host, &fault),
                   &fault, trap);

    for (unsigned n = 0; next <= RV_NEXT_LEAVE && n < hart->isa.cboz_size; n += 8) {
        if (host) {
            sm_host_store((uint8_t *)host + n, 3, 0);
        } else {
            const enum rv_next stored = rv_store_slow(hart, gva + n, 3, 0, trap);

            if (stored != RV_NEXT)
                next = stored;
        }
    }
    return next;
}

static enum rv_next rv_cbo(struct rv_hart *hart, const struct rv_insn *insn,
                           struct rv_trap *trap)
{
    const sm_gva gva = hart->x[insn->rs1];
    const uint64_t mask = insn->op == RV_OP_cbo_inval  ? RV_ENVCFG_CBIE
                          : insn->op == RV_OP_cbo_zero ? RV_ENVCFG_CBZE
                                                       : RV_ENVCFG_CBCFE;

    if (!rv_cbo_enabled(hart, mask)) {
        *trap = (struct rv_trap){RV_CAUSE_ILLEGAL, insn->raw};
        return RV_NEXT_TRAP;
    }
    if (insn->op == RV_OP_cbo_zero)
        return rv_cbo_zero(hart, sm_align_down(gva, hart->isa.cboz_size), trap);
    return rv_cbo_manage(hart, sm_align_down(gva, hart->isa.cbom_size), trap);
}

/* --- All of them ----------------------------------------------------------- */

enum rv_next rv_exec_memory(struct rv_hart *hart, const struct rv_insn *insn,
                            struct rv_trap *trap)
{
    const unsigned size_bits = insn->rm; /* funct3: 2 or 3 */
    const bool is_lr = insn->op == RV_OP_lr_w || insn->op == RV_OP_lr_d;

    if (rv_insn_table[insn->op].format == RV_FMT_CBO)
        return rv_cbo(hart, insn, trap);
    if (hart->x[insn->rs1] & sm_mask(size_bits)) {
        trap->cause = is_lr ? RV_CAUSE_LOAD_MISALIGNED : RV_CAUSE_STORE_MISALIGNED;
        trap->tval = hart->x[insn->rs1];
        return RV_NEXT_TRAP;
    }
    switch (insn->op) {
    case RV_OP_lr_w:
    case RV_OP_lr_d:
        return rv_load_reserved(hart, insn, size_bits, trap);
    case RV_OP_sc_w:
    case RV_OP_sc_d:
        return rv_store_conditional(hart, insn, size_bits, trap);
#define AMO(name, rmw)                                                                   \
    case RV_OP_amo##name##_w:                                                            \
    case RV_OP_amo##name##_d:                                                            \
        return rv_amo(hart, insn, size_bits, rmw, trap);
    AMO(swap, SM_RMW_SWAP)
    AMO(add, SM_RMW_ADD)
    AMO(and, SM_RMW_AND)
    AMO(or, SM_RMW_OR)
    AMO(xor, SM_RMW_XOR)
    AMO(min, SM_RMW_MIN)
    AMO(max, SM_RMW_MAX)
    AMO(minu, SM_RMW_MINU)
    AMO(maxu, SM_RMW_MAXU)
#undef AMO
    default:
        *trap = (struct rv_trap){RV_CAUSE_ILLEGAL, insn->raw};
        return RV_NEXT_TRAP;
    }
}
