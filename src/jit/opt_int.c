/* SPDX-License-Identifier: MIT */
/* opt_int.c - rules of folding for sums, products and choices of integers.
 *
 * Operands are the best registers for their values already; where one of two operands of
 * a commutative operation is a constant, it is b.
 */
#include "jit/opt_impl.h"

#include "base/base.h"

/** Whether b is a constant, *number. */
static bool constant_b(const struct jit_fold *fold, const struct jit_insn *insn,
                       uint64_t *number)
{
    const bool is = jit_is_const(insn->b);

    *number = is ? jit_ir_value(fold->ir, insn->b) : 0;
    return is;
}

static bool same_operands(struct jit_fold *fold, const struct jit_insn *insn)
{
    return jit_opt_value(fold, insn->a) == jit_opt_value(fold, insn->b);
}

/* --- add, sub ------------------------------------------------------------- */

static bool simplify_add(struct jit_fold *fold, struct jit_insn *insn)
{
    const jit_value a = jit_opt_value(fold, insn->a);
    uint64_t number, more;

    if (!constant_b(fold, insn, &number))
        return jit_opt_simplify_halves(fold, insn);
    if (number == 0)
        return jit_opt_become_copy(insn, insn->a);
    const jit_value base = jit_opt_base(fold, a, &more);
    if (base == JIT_VALUE_PAGE && jit_opt_fits(more + number)) {
        jit_opt_become(insn, JIT_OP_here, 0, JIT_NONE, JIT_NONE);
        insn->imm = (int32_t)(more + number);
        return true;
    }
    return base != a && jit_opt_become_on(fold, insn, JIT_OP_add, base, more + number);
}

bool jit_opt_simplify_sum(struct jit_fold *fold, struct jit_insn *insn)
{
    uint64_t number, more_a, more_b;

    if (insn->op == JIT_OP_add)
        return simplify_add(fold, insn);
    if (constant_b(fold, insn, &number))
        return jit_opt_become_with(fold, insn, JIT_OP_add, insn->a, -number);
    if (jit_opt_base(fold, jit_opt_value(fold, insn->a), &more_a) ==
        jit_opt_base(fold, jit_opt_value(fold, insn->b), &more_b))
        return jit_opt_become_const(fold, insn, more_a - more_b);
    return false;
}

/* --- Products and quotients ----------------------------------------------- */

static bool simplify_mul(struct jit_fold *fold, struct jit_insn *insn, uint64_t number)
{
    const unsigned power = number ? (unsigned)__builtin_ctzll(number) : 0;

    switch (insn->op) {
    case JIT_OP_mul:
        if (number == UINT64_MAX) {
            const jit_reg zero = jit_opt_const(fold, 0);
            return zero != JIT_NONE &&
                   jit_opt_become(insn, JIT_OP_sub, 0, zero, insn->a);
        }
        return jit_opt_become_with(fold, insn, JIT_OP_shl, insn->a, power);
    case JIT_OP_mulhu:
        if (power == 0)
            return jit_opt_become_const(fold, insn, 0);
        return jit_opt_become_with(fold, insn, JIT_OP_shr, insn->a, 64 - power);
    default: /* the high half of a signed a, times something positive          */
        if (power == 63 && insn->op == JIT_OP_mulhs)
            return false;
        return jit_opt_become_with(fold, insn, JIT_OP_sar, insn->a,
                                   power ? 64 - power : 63);
    }
}

static bool simplify_div(struct jit_fold *fold, struct jit_insn *insn, uint64_t number)
{
    const unsigned power = (unsigned)__builtin_ctzll(number);

    switch (insn->op) {
    case JIT_OP_divs:
    case JIT_OP_divu:
        return jit_opt_become_with(fold, insn, JIT_OP_shr, insn->a, power);
    default:
        return jit_opt_become_with(fold, insn, JIT_OP_and, insn->a, number - 1);
    }
}

/** By 0, 1 and -1, which no shift does. */
static bool simplify_div_special(struct jit_fold *fold, struct jit_insn *insn,
                                 uint64_t number)
{
    const bool is_signed = insn->op == JIT_OP_divs || insn->op == JIT_OP_rems;
    const bool remainder = insn->op == JIT_OP_rems || insn->op == JIT_OP_remu;

    if (number == 0)
        return remainder ? jit_opt_become_copy(insn, insn->a)
                         : jit_opt_become_const(fold, insn, UINT64_MAX);
    if (remainder && (number == 1 || (is_signed && number == UINT64_MAX)))
        return jit_opt_become_const(fold, insn, 0);
    if (!remainder && number == 1)
        return jit_opt_become_copy(insn, insn->a);
    if (insn->op == JIT_OP_divs && number == UINT64_MAX) {
        const jit_reg zero = jit_opt_const(fold, 0);
        return zero != JIT_NONE && jit_opt_become(insn, JIT_OP_sub, 0, zero, insn->a);
    }
    return false;
}

bool jit_opt_simplify_product(struct jit_fold *fold, struct jit_insn *insn)
{
    const bool divides = insn->op >= JIT_OP_divs && insn->op <= JIT_OP_remu;
    const bool is_signed = insn->op == JIT_OP_divs || insn->op == JIT_OP_rems;
    uint64_t number;

    if (!constant_b(fold, insn, &number))
        return false;
    const bool power = number && (number & (number - 1)) == 0;
    if (!divides && number == 0)
        return jit_opt_become_const(fold, insn, 0);
    if (!divides)
        return (power || (number == UINT64_MAX && insn->op == JIT_OP_mul)) &&
               simplify_mul(fold, insn, number);
    if (simplify_div_special(fold, insn, number))
        return true;
    if (!power || (is_signed && (!jit_opt_known(fold, insn->a)->zeros ||
                                 (int64_t)number < 0)))
        return false;
    return simplify_div(fold, insn, number);
}

/* --- Choices -------------------------------------------------------------- */

static bool simplify_sel(struct jit_fold *fold, struct jit_insn *insn)
{
    const struct jit_known *a = jit_opt_known(fold, insn->a);
    const jit_reg b = insn->b, c = insn->c;

    if (jit_is_const(insn->a))
        return jit_opt_become_copy(insn, jit_ir_value(fold->ir, insn->a) ? b : c);
    if (jit_opt_value(fold, b) == jit_opt_value(fold, c))
        return jit_opt_become_copy(insn, b);
    if (a->op == JIT_OP_set && (a->aux == JIT_EQ || a->aux == JIT_NE) &&
        fold->known[a->b].constant && fold->known[a->b].number == 0 &&
        jit_opt_holder(fold, a->a) != JIT_NONE) {
        insn->a = jit_opt_holder(fold, a->a);
        insn->b = a->aux == JIT_NE ? b : c;
        insn->c = a->aux == JIT_NE ? c : b;
        return true;
    }
    if (jit_is_const(b) && jit_is_const(c) &&
        (jit_ir_value(fold->ir, b) ^ jit_ir_value(fold->ir, c)) == 1 &&
        jit_ir_value(fold->ir, b) + jit_ir_value(fold->ir, c) == 1) {
        const enum jit_cond cond = jit_ir_value(fold->ir, b) ? JIT_NE : JIT_EQ;
        const jit_reg zero = jit_opt_const(fold, 0);
        return zero != JIT_NONE && jit_opt_become(insn, JIT_OP_set, cond, insn->a, zero);
    }
    return false;
}

bool jit_opt_simplify_choice(struct jit_fold *fold, struct jit_insn *insn)
{
    static const uint8_t takes_a[] = {
        [JIT_OP_mins] = JIT_LE, [JIT_OP_maxs] = JIT_GE, [JIT_OP_minu] = JIT_LEU,
        [JIT_OP_maxu] = JIT_GEU};

    if (insn->op == JIT_OP_sel)
        return simplify_sel(fold, insn);
    if (same_operands(fold, insn))
        return jit_opt_become_copy(insn, insn->a);
    const int a = jit_opt_decide(fold, (enum jit_cond)takes_a[insn->op],
                                 jit_opt_value(fold, insn->a),
                                 jit_opt_value(fold, insn->b));
    return a >= 0 && jit_opt_become_copy(insn, a ? insn->a : insn->b);
}
