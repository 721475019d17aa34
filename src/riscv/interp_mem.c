/* SPDX-License-Identifier: MIT */
/* interp_mem.c - memory instructions beyond the hit path: slow loads and stores,
 * atomics, cache blocks. */
#include "riscv/interp_impl.h"

SM_NOINLINE enum rv_next rv_load_slow(struct rv_hart *hart, sm_gva gva,
                                      unsigned size_bits, uint64_t *value,
                                      struct rv_trap *trap)
{
    return rv_load_declined(hart, gva, size_bits, value, trap);
}

SM_NOINLINE enum rv_next rv_store_slow(struct rv_hart *hart, sm_gva gva,
                                       unsigned size_bits, uint64_t value,
                                       struct rv_trap *trap)
{
    return rv_store_declined(hart, gva, size_bits, value, trap);
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

/** Whether an atomic access to @gva is aligned; else *trap says what it is. */
static bool rv_is_aligned(sm_gva gva, unsigned size_bits, bool is_lr, struct rv_trap *trap)
{
    if (!(gva & sm_mask(size_bits)))
        return true;
    trap->cause = is_lr ? RV_CAUSE_LOAD_MISALIGNED : RV_CAUSE_STORE_MISALIGNED;
    trap->tval = gva;
    return false;
}

enum rv_next rv_load_reserved(struct rv_hart *hart, sm_gva gva, unsigned size_bits,
                              uint64_t *value, struct rv_trap *trap)
{
    struct sm_fault fault = {0};
    enum rv_next next;

    if (!rv_is_aligned(gva, size_bits, true, trap))
        return RV_NEXT_TRAP;
    next = rv_stepped(sm_tlb_load_reserved(hart->vcpu, gva, rv_memop(hart, size_bits),
                                           value, &fault),
                      &fault, trap);
    *value = rv_widen(*value, size_bits);
    return next;
}

enum rv_next rv_store_conditional(struct rv_hart *hart, sm_gva gva, unsigned size_bits,
                                  uint64_t value, uint64_t *failed, struct rv_trap *trap)
{
    struct sm_fault fault = {0};
    bool stored = false;
    enum rv_next next;

    if (!rv_is_aligned(gva, size_bits, false, trap))
        return RV_NEXT_TRAP;
    next = rv_stepped(sm_tlb_store_conditional(hart->vcpu, gva, rv_memop(hart, size_bits),
                                               value & sm_mask(8u << size_bits), &stored,
                                               &fault),
                      &fault, trap);
    *failed = !stored;
    return next;
}

enum rv_next rv_rmw(struct rv_hart *hart, sm_gva gva, unsigned size_bits, enum sm_rmw rmw,
                    uint64_t operand, uint64_t *old, struct rv_trap *trap)
{
    struct sm_fault fault = {0};
    enum rv_next next;

    if (!rv_is_aligned(gva, size_bits, false, trap))
        return RV_NEXT_TRAP;
    next = rv_stepped(sm_tlb_rmw(hart->vcpu, gva, rv_memop(hart, size_bits), rmw,
                                 operand & sm_mask(8u << size_bits), old, &fault),
                      &fault, trap);
    *old = rv_widen(*old, size_bits);
    return next;
}

bool rv_rmw_of(enum rv_op op, enum sm_rmw *rmw)
{
    switch (op) {
#define AMO(name, what)                                                                  \
    case RV_OP_amo##name##_w:                                                            \
    case RV_OP_amo##name##_d:                                                            \
        *rmw = what;                                                                     \
        return true;
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
    default: return false;
    }
}

static enum rv_next rv_exec_atomic(struct rv_hart *hart, const struct rv_insn *insn,
                                   struct rv_trap *trap)
{
    const unsigned size_bits = insn->rm; /* funct3: 2 or 3 */
    const sm_gva gva = hart->x[insn->rs1];
    const uint64_t operand = hart->x[insn->rs2];
    uint64_t value = 0;
    enum sm_rmw rmw;
    enum rv_next next;

    switch (insn->op) {
    case RV_OP_lr_w:
    case RV_OP_lr_d:
        if (insn->imm & RV_RL)
            sm_fence();
        next = rv_load_reserved(hart, gva, size_bits, &value, trap);
        if (insn->imm & RV_AQ)
            __atomic_thread_fence(__ATOMIC_ACQUIRE);
        break;
    case RV_OP_sc_w:
    case RV_OP_sc_d:
        next = rv_store_conditional(hart, gva, size_bits, operand, &value, trap);
        break;
    default:
        if (!rv_rmw_of((enum rv_op)insn->op, &rmw)) {
            *trap = (struct rv_trap){RV_CAUSE_ILLEGAL, insn->raw};
            return RV_NEXT_TRAP;
        }
        next = rv_rmw(hart, gva, size_bits, rmw, operand, &value, trap);
        break;
    }
    if (next <= RV_NEXT_LEAVE)
        rv_set_x(hart, insn->rd, value);
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
    if (rv_insn_table[insn->op].format == RV_FMT_CBO)
        return rv_cbo(hart, insn, trap);
    return rv_exec_atomic(hart, insn, trap);
}
