/* SPDX-License-Identifier: MIT */
/* opt_compare.c - rules of folding for comparisons: set, exit_if and loop_if. */
#include "jit/opt_impl.h"

#include "base/base.h"

/** Let @insn compare @a and @b instead. */
static bool compare(struct jit_insn *insn, enum jit_cond cond, jit_reg a, jit_reg b)
{
    if (a == JIT_NONE || b == JIT_NONE)
        return false;
    insn->aux = (uint8_t)cond;
    insn->a = a;
    insn->b = b;
    return true;
}

static bool compare_with(struct jit_fold *fold, struct jit_insn *insn,
                         enum jit_cond cond, jit_reg a, uint64_t number)
{
    return compare(insn, cond, a, jit_opt_const(fold, number));
}

/** eq and ne with a constant: what made a may be compared itself. */
static bool look_through(struct jit_fold *fold, struct jit_insn *insn, uint64_t number)
{
    const struct jit_known *a = jit_opt_known(fold, insn->a);
    const enum jit_cond cond = (enum jit_cond)insn->aux;
    const struct jit_known *b = &fold->known[a->b];
    const bool of_constant = a->b && b->constant;

    switch (a->op) {
    case JIT_OP_set: /* with 0 or 1: all else is decided                       */
        return compare(insn, (cond == JIT_NE) == (number == 0)
                                 ? (enum jit_cond)a->aux
                                 : jit_cond_not((enum jit_cond)a->aux),
                       jit_opt_holder(fold, a->a), jit_opt_holder(fold, a->b));
    case JIT_OP_shr: /* the sign                                               */
        return number == 0 && of_constant && b->number == 63 &&
               compare_with(fold, insn, cond == JIT_NE ? JIT_LT : JIT_GE,
                            jit_opt_holder(fold, a->a), 0);
    case JIT_OP_add:
        return of_constant &&
               compare_with(fold, insn, cond, jit_opt_holder(fold, a->a),
                            number - b->number);
    case JIT_OP_xor:
    case JIT_OP_sub:
        if (a->op == JIT_OP_xor && of_constant)
            return compare_with(fold, insn, cond, jit_opt_holder(fold, a->a),
                                number ^ b->number);
        return number == 0 && compare(insn, cond, jit_opt_holder(fold, a->a),
                                      jit_opt_holder(fold, a->b));
    default:
        return false;
    }
}

/** Unsigned comparisons with the least numbers are with 0. */
static bool compare_least(struct jit_fold *fold, struct jit_insn *insn, uint64_t number)
{
    switch (insn->aux) {
    case JIT_LTU:
        return number == 1 && compare_with(fold, insn, JIT_EQ, insn->a, 0);
    case JIT_GEU:
        return number == 1 && compare_with(fold, insn, JIT_NE, insn->a, 0);
    case JIT_LEU:
        return number == 0 && compare_with(fold, insn, JIT_EQ, insn->a, 0);
    case JIT_GTU:
        return number == 0 && compare_with(fold, insn, JIT_NE, insn->a, 0);
    default:
        return false;
    }
}

bool jit_opt_simplify_compare(struct jit_fold *fold, struct jit_insn *insn)
{
    const struct jit_known *a = jit_opt_known(fold, insn->a);
    const int decided =
        jit_opt_decide(fold, (enum jit_cond)insn->aux, jit_opt_value(fold, insn->a),
                       jit_opt_value(fold, insn->b));

    if (decided >= 0 && insn->op == JIT_OP_set)
        return jit_opt_become_const(fold, insn, (uint64_t)decided);
    if (decided > 0) {
        const int32_t way = insn->imm;
        jit_opt_become(insn, insn->op == JIT_OP_exit_if ? JIT_OP_exit : JIT_OP_loop, 0,
                       JIT_NONE, JIT_NONE);
        insn->imm = way;
        return true;
    }
    if (decided == 0 || !jit_is_const(insn->b))
        return false;
    const uint64_t number = jit_ir_value(fold->ir, insn->b);
    const bool equal = insn->aux == JIT_EQ || insn->aux == JIT_NE;
    /* What is 0 or 1 is at hand; comparing again is not. */
    if (insn->op == JIT_OP_set && equal && a->zeros >= 63 &&
        number == (insn->aux == JIT_EQ))
        return jit_opt_become_copy(insn, insn->a);
    if (equal ? look_through(fold, insn, number) : compare_least(fold, insn, number))
        return true;
    return insn->op == JIT_OP_set && insn->aux == JIT_LT && number == 0 &&
           jit_opt_become_with(fold, insn, JIT_OP_shr, insn->a, 63);
}
