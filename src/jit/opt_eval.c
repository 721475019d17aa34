/* SPDX-License-Identifier: MIT */
/* opt_eval.c - what integer operations make of constants, and comparisons of ranges. */
#include "jit/opt_impl.h"

#include "base/base.h"

/* --- Constants ------------------------------------------------------------ */

bool jit_opt_compare(enum jit_cond cond, uint64_t a, uint64_t b)
{
    switch (cond) {
    case JIT_EQ: return a == b;
    case JIT_NE: return a != b;
    case JIT_LT: return (int64_t)a < (int64_t)b;
    case JIT_GE: return (int64_t)a >= (int64_t)b;
    case JIT_LE: return (int64_t)a <= (int64_t)b;
    case JIT_GT: return (int64_t)a > (int64_t)b;
    case JIT_LTU: return a < b;
    case JIT_GEU: return a >= b;
    case JIT_LEU: return a <= b;
    case JIT_GTU: return a > b;
    default: return false;
    }
}

static uint64_t divide(enum jit_op op, uint64_t a, uint64_t b)
{
    const bool remainder = op == JIT_OP_rems || op == JIT_OP_remu;

    if (b == 0)
        return remainder ? a : UINT64_MAX;
    if (op == JIT_OP_divu || op == JIT_OP_remu)
        return remainder ? a % b : a / b;
    if (b == UINT64_MAX) /* the host may not divide INT64_MIN by it            */
        return remainder ? 0 : -a;
    return (uint64_t)(remainder ? (int64_t)a % (int64_t)b : (int64_t)a / (int64_t)b);
}

static uint64_t multiply_high(enum jit_op op, uint64_t a, uint64_t b)
{
    uint64_t high = (uint64_t)((unsigned __int128)a * b >> 64);

    /* A negative factor is 2^64 less than it looks. */
    if (op != JIT_OP_mulhu && (int64_t)a < 0)
        high -= b;
    if (op == JIT_OP_mulhs && (int64_t)b < 0)
        high -= a;
    return high;
}

static uint64_t rotate_left(uint64_t a, unsigned n)
{
    return n ? a << n | a >> (64 - n) : a;
}

static uint64_t rotate_word_left(uint64_t a, unsigned n)
{
    const uint32_t word = (uint32_t)a;

    return (uint64_t)(int64_t)(int32_t)(n ? word << n | word >> (32 - n) : word);
}

static uint64_t extend(enum jit_op op, unsigned size, uint64_t a)
{
    const unsigned above = 64 - (8u << size);
    return op == JIT_OP_sxt ? (uint64_t)((int64_t)(a << above) >> above)
                            : a << above >> above;
}

uint64_t jit_opt_eval(enum jit_op op, unsigned aux, uint64_t a, uint64_t b, uint64_t c)
{
    const unsigned n = b & 63;

    switch (op) {
    case JIT_OP_mov: return a;
    case JIT_OP_add: return a + b;
    case JIT_OP_sub: return a - b;
    case JIT_OP_and: return a & b;
    case JIT_OP_or: return a | b;
    case JIT_OP_xor: return a ^ b;
    case JIT_OP_shl: return a << n;
    case JIT_OP_shr: return a >> n;
    case JIT_OP_sar: return (uint64_t)((int64_t)a >> n);
    case JIT_OP_rol: return rotate_left(a, n);
    case JIT_OP_ror: return rotate_left(a, (64 - n) & 63);
    case JIT_OP_rolw: return rotate_word_left(a, n & 31);
    case JIT_OP_rorw: return rotate_word_left(a, (32 - n) & 31);
    case JIT_OP_mul: return a * b;
    case JIT_OP_mulhs:
    case JIT_OP_mulhu:
    case JIT_OP_mulhsu: return multiply_high(op, a, b);
    case JIT_OP_divs:
    case JIT_OP_divu:
    case JIT_OP_rems:
    case JIT_OP_remu: return divide(op, a, b);
    case JIT_OP_mins: return (int64_t)a < (int64_t)b ? a : b;
    case JIT_OP_maxs: return (int64_t)a < (int64_t)b ? b : a;
    case JIT_OP_minu: return SM_MIN(a, b);
    case JIT_OP_maxu: return SM_MAX(a, b);
    case JIT_OP_sxt:
    case JIT_OP_zxt: return extend(op, aux, a);
    case JIT_OP_clz: return a ? (uint64_t)__builtin_clzll(a) : 64;
    case JIT_OP_ctz: return a ? (uint64_t)__builtin_ctzll(a) : 64;
    case JIT_OP_popcnt: return (uint64_t)__builtin_popcountll(a);
    case JIT_OP_bswap: return __builtin_bswap64(a);
    case JIT_OP_set: return jit_opt_compare((enum jit_cond)aux, a, b);
    case JIT_OP_sel: return a ? b : c;
    default: return 0;
    }
}

/* --- Ranges --------------------------------------------------------------- */

struct range {
    uint64_t first, last;   /* unsigned                                        */
    int64_t least, most;    /* signed                                          */
};

static struct range range_of(const struct jit_known *known)
{
    struct range range;

    if (known->constant)
        return (struct range){known->number, known->number, (int64_t)known->number,
                              (int64_t)known->number};
    range.first = 0;
    range.last = known->zeros < 64 ? UINT64_MAX >> known->zeros : 0;
    range.most = INT64_MAX >> (known->signs - 1);
    range.least = known->zeros ? 0 : -range.most - 1;
    return range;
}

/** Of @a < @b or @a <= @b (@equal), from what both lie between. */
static int decide_order(bool below_is, bool above_is_not)
{
    return below_is ? 1 : above_is_not ? 0 : -1;
}

int jit_opt_decide(struct jit_fold *fold, enum jit_cond cond, jit_value a, jit_value b)
{
    const struct range x = range_of(&fold->known[a]), y = range_of(&fold->known[b]);
    uint64_t more_a, more_b;
    bool not_equal;

    if (a == b)
        return jit_opt_compare(cond, 0, 0);
    switch (cond) {
    case JIT_EQ:
    case JIT_NE:
        not_equal = x.last < y.first || y.last < x.first || x.most < y.least ||
                    y.most < x.least ||
                    (jit_opt_base(fold, a, &more_a) == jit_opt_base(fold, b, &more_b) &&
                     more_a != more_b);
        return not_equal ? cond == JIT_NE : -1;
    case JIT_LT: return decide_order(x.most < y.least, x.least >= y.most);
    case JIT_LE: return decide_order(x.most <= y.least, x.least > y.most);
    case JIT_GE: return decide_order(x.least >= y.most, x.most < y.least);
    case JIT_GT: return decide_order(x.least > y.most, x.most <= y.least);
    case JIT_LTU: return decide_order(x.last < y.first, x.first >= y.last);
    case JIT_LEU: return decide_order(x.last <= y.first, x.first > y.last);
    case JIT_GEU: return decide_order(x.first >= y.last, x.last < y.first);
    case JIT_GTU: return decide_order(x.first > y.last, x.last <= y.first);
    default: return -1;
    }
}
