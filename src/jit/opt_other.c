/* SPDX-License-Identifier: MIT */
/* opt_other.c - rules of folding for memory, floating point and jumps. */
#include "jit/opt_impl.h"

#include "base/base.h"

/* --- Memory, and guest state ---------------------------------------------- */

static bool simplify_address(struct jit_fold *fold, struct jit_insn *insn)
{
    const jit_value a = jit_opt_value(fold, insn->a);
    uint64_t more;
    const jit_value base = jit_opt_base(fold, a, &more);
    const uint64_t imm = (uint64_t)(int64_t)insn->imm + more;

    if (base == a || !jit_opt_fits(imm) || jit_opt_holder(fold, base) == JIT_NONE)
        return false;
    insn->a = jit_opt_holder(fold, base);
    insn->imm = (int32_t)imm;
    return true;
}

bool jit_opt_simplify_memory(struct jit_fold *fold, struct jit_insn *insn)
{
    jit_reg *stored = insn->op == JIT_OP_st    ? &insn->b
                      : insn->op == JIT_OP_sth ? &insn->c
                      : insn->op == JIT_OP_sts ? &insn->a : NULL;

    if (stored && jit_mem_bits(insn->aux) < 3) {
        const jit_reg low = jit_opt_low(fold, *stored, 8u << jit_mem_bits(insn->aux));
        if (low != *stored) {
            *stored = low;
            return true;
        }
    }
    return insn->op != JIT_OP_sts && simplify_address(fold, insn);
}

/* --- Floating point ------------------------------------------------------- */

static bool become_fmov(struct jit_insn *insn, jit_reg a)
{
    return a != JIT_NONE && jit_opt_become(insn, JIT_OP_fmov, 0, a, JIT_NONE);
}

static bool simplify_fraw(struct jit_fold *fold, struct jit_insn *insn)
{
    const struct jit_known *a = jit_opt_known(fold, insn->a);

    if (a->op == JIT_OP_bits &&
        (insn->aux == JIT_DOUBLE ? a->aux == JIT_DOUBLE : fold->known[a->a].boxed))
        return become_fmov(insn, jit_opt_holder(fold, a->a));
    if (insn->aux == JIT_DOUBLE)
        return false;
    const jit_reg low = jit_opt_low(fold, insn->a, 32);
    const bool lower = low != insn->a;
    insn->a = low;
    return lower;
}

static bool simplify_bits_of(struct jit_fold *fold, struct jit_insn *insn)
{
    const struct jit_known *a = jit_opt_known(fold, insn->a);
    const jit_reg reg = a->op == JIT_OP_fraw ? jit_opt_holder(fold, a->a) : JIT_NONE;

    if (reg == JIT_NONE)
        return false;
    if (insn->aux == JIT_SINGLE)
        return jit_opt_become(insn, JIT_OP_sxt, JIT_32, reg, JIT_NONE);
    return a->aux == JIT_DOUBLE && jit_opt_become_copy(insn, reg);
}

bool jit_opt_simplify_float(struct jit_fold *fold, struct jit_insn *insn)
{
    const struct jit_known *a = jit_opt_known(fold, insn->a);

    switch (insn->op) {
    case JIT_OP_fraw:
        return simplify_fraw(fold, insn);
    case JIT_OP_bits:
        return simplify_bits_of(fold, insn);
    case JIT_OP_funbox:
        if (a->boxed)
            return become_fmov(insn, insn->a);
        return a->unboxed && become_fmov(insn, jit_opt_holder(fold, a->unboxed));
    case JIT_OP_fneg:
        return a->op == JIT_OP_fneg && a->aux == insn->aux &&
               become_fmov(insn, jit_opt_holder(fold, a->a));
    case JIT_OP_fsgnj:
        return jit_opt_value(fold, insn->a) == jit_opt_value(fold, insn->b) &&
               become_fmov(insn, insn->a);
    default:
        return false;
    }
}

/* --- Jumps ---------------------------------------------------------------- */

/** A jump to somewhere that is known from the unit's page is a way out, which may be
 *  linked.  Returns stay jumps, for the sake of their prediction. */
bool jit_opt_simplify_jump(struct jit_fold *fold, struct jit_insn *insn)
{
    struct jit_ir *ir = fold->ir;
    uint64_t offset;

    if (insn->aux == JIT_JUMP_RETURN ||
        jit_opt_base(fold, jit_opt_value(fold, insn->a), &offset) != JIT_VALUE_PAGE ||
        !jit_opt_fits(offset))
        return false;
    const int32_t way =
        jit_ir_way(ir, offset < SM_PAGE_SIZE ? JIT_EXIT_NEAR : JIT_EXIT_FAR,
                   (int32_t)offset, true);
    if (ir->overflow) {
        ir->overflow = false;
        return false;
    }
    jit_opt_become(insn, JIT_OP_exit, insn->aux, JIT_NONE, JIT_NONE);
    insn->imm = way;
    return true;
}
