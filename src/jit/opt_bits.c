/* SPDX-License-Identifier: MIT */
/* opt_bits.c - rules of folding for single bits, shifts and extensions.
 *
 * Operands are as opt_int.c says.
 */
#include "jit/opt_impl.h"

#include "base/base.h"

static uint64_t low_mask(unsigned bits)
{
    return bits < 64 ? (UINT64_C(1) << bits) - 1 : UINT64_MAX;
}

/** If @known is made by @op of another value and a constant: that, *number. */
static bool made_with(const struct jit_fold *fold, const struct jit_known *known,
                      enum jit_op op, uint64_t *number)
{
    const bool is = known->op == op && fold->known[known->b].constant;

    *number = is ? fold->known[known->b].number : 0;
    return is;
}

/** The size that a mask of low bits extends from, or -1. */
static int mask_size(uint64_t mask)
{
    for (int size = 0; size < JIT_N_SIZES; size++) {
        if (mask == low_mask(8u << size))
            return size;
    }
    return -1;
}

/** Read a from @low, which has all of it that matters. */
static bool read_lower(struct jit_insn *insn, jit_reg low)
{
    const bool lower = low != insn->a;

    insn->a = low;
    return lower;
}

/* --- and, or, xor --------------------------------------------------------- */

static bool simplify_and(struct jit_fold *fold, struct jit_insn *insn, uint64_t mask)
{
    const struct jit_known *a = jit_opt_known(fold, insn->a);
    const uint64_t possible = low_mask(64 - a->zeros);
    uint64_t number;

    if ((possible & ~mask) == 0)
        return jit_opt_become_copy(insn, insn->a);
    if ((possible & mask) == 0)
        return jit_opt_become_const(fold, insn, 0);
    if (mask_size(mask) >= 0)
        return jit_opt_become(insn, JIT_OP_zxt, (unsigned)mask_size(mask), insn->a,
                              JIT_NONE);
    /* The page's address has none of the bits that are cleared, nor has INT32_MIN. */
    if (a->op == JIT_OP_here && ~mask < SM_PAGE_SIZE) {
        jit_opt_become(insn, JIT_OP_here, 0, JIT_NONE, JIT_NONE);
        insn->imm = (int32_t)(a->number & mask);
        return true;
    }
    if (made_with(fold, a, JIT_OP_and, &number))
        return jit_opt_become_on(fold, insn, JIT_OP_and, a->a, mask & number);
    const unsigned bits = 64 - (unsigned)__builtin_clzll(mask);
    return read_lower(insn, jit_opt_low(fold, insn->a, bits));
}

/** What @value is an extension of a word of. */
static jit_value word_of(const struct jit_fold *fold, jit_value value)
{
    const struct jit_known *known = &fold->known[value];

    while ((known->op == JIT_OP_sxt || known->op == JIT_OP_zxt) && known->aux == JIT_32) {
        value = known->a;
        known = &fold->known[value];
    }
    return value;
}

/** A register with the low word of @value: the first that still holds it, of those that
 *  it is made of, too; or JIT_NONE. */
static jit_reg word_holder(const struct jit_fold *fold, jit_value value)
{
    const jit_value last = word_of(fold, value);
    jit_reg reg = jit_opt_holder(fold, last);

    for (; reg == JIT_NONE && value != last; value = fold->known[value].a)
        reg = jit_opt_holder(fold, value);
    return reg;
}

/** The sum of what is shifted out of a word to the right and in from the left, in 32 bits
 *  sign-extended, or in 64. */
static bool simplify_rotation(struct jit_fold *fold, struct jit_insn *insn,
                              const struct jit_known *right, const struct jit_known *left)
{
    uint64_t n, m;
    jit_reg reg;

    if (!made_with(fold, right, JIT_OP_shr, &n))
        return false;
    if (made_with(fold, left, JIT_OP_shl, &m))
        return n + m == 64 && left->a == right->a &&
               jit_opt_become_on(fold, insn, JIT_OP_ror, left->a, n);
    if (left->op != JIT_OP_sxt || left->aux != JIT_32 ||
        !made_with(fold, &fold->known[left->a], JIT_OP_shl, &m) || n + m != 32 ||
        fold->known[right->a].zeros < 32 ||
        word_of(fold, right->a) != word_of(fold, fold->known[left->a].a))
        return false;
    reg = word_holder(fold, fold->known[left->a].a);
    if (reg == JIT_NONE)
        reg = word_holder(fold, right->a);
    return reg != JIT_NONE && jit_opt_become_with(fold, insn, JIT_OP_rorw, reg, n);
}

bool jit_opt_simplify_halves(struct jit_fold *fold, struct jit_insn *insn)
{
    const struct jit_known *const a = jit_opt_known(fold, insn->a);
    const struct jit_known *const b = jit_opt_known(fold, insn->b);

    return simplify_rotation(fold, insn, a, b) || simplify_rotation(fold, insn, b, a);
}

bool jit_opt_simplify_bits(struct jit_fold *fold, struct jit_insn *insn)
{
    const struct jit_known *a = jit_opt_known(fold, insn->a);
    uint64_t number;

    if (jit_opt_value(fold, insn->a) == jit_opt_value(fold, insn->b)) {
        if (insn->op == JIT_OP_xor)
            return jit_opt_become_const(fold, insn, 0);
        return jit_opt_become_copy(insn, insn->a);
    }
    if (!jit_is_const(insn->b))
        return insn->op != JIT_OP_and && jit_opt_simplify_halves(fold, insn);
    const uint64_t b = jit_ir_value(fold->ir, insn->b);
    if (insn->op == JIT_OP_and)
        return simplify_and(fold, insn, b);
    if (b == 0)
        return jit_opt_become_copy(insn, insn->a);
    if (insn->op == JIT_OP_or) {
        if (b == UINT64_MAX)
            return jit_opt_become_const(fold, insn, b);
        return made_with(fold, a, JIT_OP_or, &number) &&
               jit_opt_become_on(fold, insn, JIT_OP_or, a->a, b | number);
    }
    if (b == 1 && a->op == JIT_OP_set) {
        const jit_reg x = jit_opt_holder(fold, a->a), y = jit_opt_holder(fold, a->b);
        return x != JIT_NONE && y != JIT_NONE &&
               jit_opt_become(insn, JIT_OP_set, jit_cond_not((enum jit_cond)a->aux), x,
                              y);
    }
    return made_with(fold, a, JIT_OP_xor, &number) &&
           jit_opt_become_on(fold, insn, JIT_OP_xor, a->a, b ^ number);
}

/* --- Shifts --------------------------------------------------------------- */

/** Of a value that was shifted already, by @before. */
static bool simplify_twice(struct jit_fold *fold, struct jit_insn *insn, unsigned n,
                           jit_value a, unsigned before)
{
    if (n + before < 64)
        return jit_opt_become_on(fold, insn, (enum jit_op)insn->op, a, n + before);
    if (insn->op == JIT_OP_sar)
        return jit_opt_become_on(fold, insn, JIT_OP_sar, a, 63);
    return jit_opt_become_const(fold, insn, 0);
}

/** To the right by as much as to the left before. */
static bool simplify_back(struct jit_fold *fold, struct jit_insn *insn, unsigned n,
                          jit_value a)
{
    const uint64_t mask = low_mask(64 - n);
    const int size = mask_size(mask);
    const jit_reg reg = jit_opt_holder(fold, a);

    if (reg == JIT_NONE)
        return false;
    if (size >= 0)
        return jit_opt_become(insn, insn->op == JIT_OP_sar ? JIT_OP_sxt : JIT_OP_zxt,
                              (unsigned)size, reg, JIT_NONE);
    /* No host has operands for wider masks. */
    return insn->op == JIT_OP_shr && mask <= INT32_MAX &&
           jit_opt_become_with(fold, insn, JIT_OP_and, reg, mask);
}

/** By a constant, @number. */
static bool simplify_rotated_word(struct jit_fold *fold, struct jit_insn *insn,
                                  uint64_t number)
{
    const unsigned n = number & 31;

    if (n == 0)
        return jit_opt_become(insn, JIT_OP_sxt, JIT_32, insn->a, JIT_NONE);
    if (insn->op == JIT_OP_rolw)
        return jit_opt_become_with(fold, insn, JIT_OP_rorw, insn->a, 32 - n);
    if (number != n)
        return jit_opt_become_with(fold, insn, JIT_OP_rorw, insn->a, n);
    return read_lower(insn, jit_opt_low(fold, insn->a, 32));
}

bool jit_opt_simplify_shift(struct jit_fold *fold, struct jit_insn *insn)
{
    const struct jit_known *a = jit_opt_known(fold, insn->a);
    uint64_t before;

    if (jit_is_const(insn->a) && jit_ir_value(fold->ir, insn->a) == 0)
        return jit_opt_become_copy(insn, insn->a);
    if (!jit_is_const(insn->b))
        return false;
    const uint64_t b = jit_ir_value(fold->ir, insn->b);
    const unsigned n = b & 63;
    if (insn->op == JIT_OP_rolw || insn->op == JIT_OP_rorw)
        return simplify_rotated_word(fold, insn, b);
    if (n == 0)
        return jit_opt_become_copy(insn, insn->a);
    if (b != n)
        return jit_opt_become_with(fold, insn, (enum jit_op)insn->op, insn->a, n);
    if (insn->op == JIT_OP_rol || insn->op == JIT_OP_ror)
        return false;
    if (insn->op == JIT_OP_shr && n + a->zeros >= 64)
        return jit_opt_become_const(fold, insn, 0);
    if (insn->op == JIT_OP_sar && a->zeros)
        return jit_opt_become_with(fold, insn, JIT_OP_shr, insn->a, n);
    if (made_with(fold, a, (enum jit_op)insn->op, &before))
        return simplify_twice(fold, insn, n, a->a, before & 63);
    if (insn->op == JIT_OP_shl)
        return read_lower(insn, jit_opt_low(fold, insn->a, 64 - n));
    return made_with(fold, a, JIT_OP_shl, &before) &&
           (before & 63) == n && simplify_back(fold, insn, n, a->a);
}

/* --- sxt, zxt, counts, bswap ---------------------------------------------- */

bool jit_opt_simplify_extension(struct jit_fold *fold, struct jit_insn *insn)
{
    const struct jit_known *a = jit_opt_known(fold, insn->a);

    if (insn->op == JIT_OP_bswap) {
        const jit_reg reg =
            a->op == JIT_OP_bswap ? jit_opt_holder(fold, a->a) : JIT_NONE;
        return reg != JIT_NONE && jit_opt_become_copy(insn, reg);
    }
    if (insn->op == JIT_OP_popcnt)
        return a->zeros >= 63 && jit_opt_become_copy(insn, insn->a);
    if (insn->op != JIT_OP_sxt && insn->op != JIT_OP_zxt)
        return false;
    const unsigned bits = 8u << insn->aux;
    if (insn->op == JIT_OP_sxt ? a->signs > 64 - bits : a->zeros >= 64 - bits)
        return jit_opt_become_copy(insn, insn->a);
    return read_lower(insn, jit_opt_low(fold, insn->a, bits));
}
