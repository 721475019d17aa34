/* SPDX-License-Identifier: MIT */
/* fpu.c - floating-point arithmetic, comparison, selection and classification. */
#include "riscv/fpu_host.h"
#include "riscv/fpu_impl.h"

/* --- Arithmetic ------------------------------------------------------------ */

/** The zero that an exact sum of two opposite numbers is. */
FP_INLINE uint64_t fp_zero_sum(struct fp_format fmt, unsigned rm)
{
    return fp_signed(fmt, rm == RV_RM_RDN, 0);
}

FP_INLINE uint64_t fp_add_special(struct fp_format fmt, uint64_t a, uint64_t b,
                                  struct fp_parts x, struct fp_parts y, unsigned rm,
                                  uint8_t *flags)
{
    if (x.kind == FP_NAN || y.kind == FP_NAN)
        return fp_propagate_nan(fmt, a, b, flags);
    if (x.kind == FP_INF)
        return y.kind == FP_INF && x.sign != y.sign ? fp_invalid(fmt, flags) : a;
    if (y.kind == FP_INF || (x.kind == FP_ZERO && y.kind == FP_FINITE))
        return b;
    if (x.kind == FP_FINITE || x.sign == y.sign)
        return a;
    return fp_zero_sum(fmt, rm);
}

FP_INLINE uint64_t fp_add(struct fp_format fmt, uint64_t a, uint64_t b, unsigned rm,
                          uint8_t *flags)
{
    struct fp_parts x = fp_unpack(fmt, a), y = fp_unpack(fmt, b);
    uint64_t sum, smaller;

    if (SM_UNLIKELY(x.kind != FP_FINITE || y.kind != FP_FINITE))
        return fp_add_special(fmt, a, b, x, y, rm, flags);
    if (x.exp < y.exp || (x.exp == y.exp && x.sig < y.sig)) {
        const struct fp_parts swap = x;

        x = y;
        y = swap;
    }
    /* Leading bits at 62 leave room for the carry.  Shifting y loses something only
     * from 11 places on, and then a difference keeps its leading bit at 61 or above,
     * so what is jammed stays far below the last place. */
    smaller = fp_shift_jam(y.sig >> 1, (unsigned)(x.exp - y.exp));
    sum = x.sign == y.sign ? (x.sig >> 1) + smaller : (x.sig >> 1) - smaller;
    if (sum == 0)
        return fp_zero_sum(fmt, rm);
    return fp_normalize_pack(fmt, x.sign, x.exp + 1, sum, rm, flags);
}

FP_INLINE uint64_t fp_mul(struct fp_format fmt, uint64_t a, uint64_t b, unsigned rm,
                          uint8_t *flags)
{
    const struct fp_parts x = fp_unpack(fmt, a), y = fp_unpack(fmt, b);
    const bool sign = x.sign != y.sign;

    if (SM_UNLIKELY(x.kind != FP_FINITE || y.kind != FP_FINITE)) {
        if (x.kind == FP_NAN || y.kind == FP_NAN)
            return fp_propagate_nan(fmt, a, b, flags);
        if (x.kind == FP_INF || y.kind == FP_INF)
            return x.kind == FP_ZERO || y.kind == FP_ZERO
                       ? fp_invalid(fmt, flags)
                       : fp_signed(fmt, sign, fp_inf(fmt));
        return fp_signed(fmt, sign, 0);
    }
    return fp_normalize_pack_wide(fmt, sign, x.exp + y.exp + 1, (fp_wide)x.sig * y.sig,
                                  rm, flags);
}

FP_INLINE uint64_t fp_div(struct fp_format fmt, uint64_t a, uint64_t b, unsigned rm,
                          uint8_t *flags)
{
    const struct fp_parts x = fp_unpack(fmt, a), y = fp_unpack(fmt, b);
    const bool sign = x.sign != y.sign;
    fp_wide numerator;
    uint64_t quotient;

    if (SM_UNLIKELY(x.kind != FP_FINITE || y.kind != FP_FINITE)) {
        if (x.kind == FP_NAN || y.kind == FP_NAN)
            return fp_propagate_nan(fmt, a, b, flags);
        if (x.kind == y.kind && x.kind != FP_FINITE)
            return fp_invalid(fmt, flags); /* 0 / 0, inf / inf */
        if (x.kind == FP_INF)
            return fp_signed(fmt, sign, fp_inf(fmt));
        if (x.kind == FP_ZERO || y.kind == FP_INF)
            return fp_signed(fmt, sign, 0);
        *flags |= RV_FFLAG_DZ;
        return fp_signed(fmt, sign, fp_inf(fmt));
    }
    /* x.sig < 2 * y.sig, so the quotient is in (2^62, 2^64). */
    numerator = (fp_wide)x.sig << 63;
    quotient = (uint64_t)(numerator / y.sig);
    if ((fp_wide)quotient * y.sig != numerator)
        quotient |= 1;
    return fp_normalize_pack(fmt, sign, x.exp - y.exp, quotient, rm, flags);
}

/** The square root of @radicand * 2^-62, in [1, 4), as a number of @n_bits (at most
 *  60) bits of which the first, bit 63, is worth 1; jammed. */
FP_INLINE uint64_t fp_root(uint64_t radicand, unsigned n_bits)
{
    /* Digit by digit.  Before each step root^2 + rest = the digits seen so far, two
     * of the radicand for one of the root, and rest <= 2 * root. */
    uint64_t root = 0, rest = 0;

    for (unsigned i = 0; i < n_bits; i++) {
        const uint64_t trial = root << 2 | 1;
        uint64_t too_much;

        /* Digits cannot be predicted: a mask instead of a branch halves the time.  All
         * these numbers are below 2^63, so a difference below 0 has its top bit set. */
        rest = (rest << 2 | radicand >> 62) - trial;
        radicand <<= 2;
        too_much = (uint64_t)((int64_t)rest >> 63);
        rest += trial & too_much;
        root = root << 1 | (too_much + 1);
    }
    return root << (64 - n_bits) | (rest != 0);
}

FP_INLINE uint64_t fp_sqrt(struct fp_format fmt, uint64_t a, unsigned rm, uint8_t *flags)
{
    const struct fp_parts x = fp_unpack(fmt, a);
    const unsigned odd = (unsigned)x.exp & 1;

    if (x.kind == FP_NAN)
        return fp_propagate_nan(fmt, a, a, flags);
    if (x.kind == FP_ZERO)
        return a;
    if (x.sign)
        return fp_invalid(fmt, flags);
    if (x.kind == FP_INF)
        return a;
    /* The exponent made even, it halves.  Of the root one bit below the last place is
     * enough to round by: fp_root() jams the rest. */
    return fp_pack(fmt, false, (x.exp - (int)odd) / 2,
                   fp_root(x.sig >> !odd, fmt.frac_bits + 2), rm, flags);
}

FP_INLINE uint64_t fp_fma(struct fp_format fmt, uint64_t a, uint64_t b, uint64_t c,
                          unsigned rm, uint8_t *flags)
{
    const struct fp_parts x = fp_unpack(fmt, a), y = fp_unpack(fmt, b),
                          z = fp_unpack(fmt, c);
    const bool sign = x.sign != y.sign;
    const int exp = x.exp + y.exp + 1;
    fp_wide product, addend, sum;
    int sum_exp;
    bool sum_sign = sign;

    if (SM_UNLIKELY(x.kind != FP_FINITE || y.kind != FP_FINITE || z.kind != FP_FINITE)) {
        const bool product_inf = x.kind == FP_INF || y.kind == FP_INF;
        const bool product_zero = x.kind == FP_ZERO || y.kind == FP_ZERO;

        if (product_inf && product_zero) /* before any NaN in c is looked at */
            return fp_invalid(fmt, flags);
        if (x.kind == FP_NAN || y.kind == FP_NAN || z.kind == FP_NAN) {
            fp_propagate_nan(fmt, a, b, flags);
            return fp_propagate_nan(fmt, c, c, flags);
        }
        if (product_inf)
            return z.kind == FP_INF && z.sign != sign ? fp_invalid(fmt, flags)
                                                      : fp_signed(fmt, sign, fp_inf(fmt));
        if (z.kind == FP_INF || (product_zero && z.kind == FP_FINITE))
            return c;
        if (product_zero)
            return sign == z.sign ? c : fp_zero_sum(fmt, rm);
        /* c is zero: the product alone is rounded. */
        return fp_normalize_pack_wide(fmt, sign, exp, (fp_wide)x.sig * y.sig, rm, flags);
    }
    /* Both terms are worth 2^(sum_exp - 127) per unit once aligned, with bit 127 left
     * for the carry.  Unaligned they end in at least 20 zero bits, so something is
     * lost only where nothing cancels, as in fp_add(). */
    product = ((fp_wide)x.sig * y.sig) >> 1;
    addend = (fp_wide)z.sig << 63;
    if (exp >= z.exp) {
        addend = fp_shift_jam_wide(addend, (unsigned)(exp - z.exp));
        sum_exp = exp + 1;
    } else {
        product = fp_shift_jam_wide(product, (unsigned)(z.exp - exp));
        sum_exp = z.exp + 1;
    }
    if (sign == z.sign) {
        sum = product + addend;
    } else if (product > addend) {
        sum = product - addend;
    } else {
        sum = addend - product;
        sum_sign = z.sign;
    }
    if (sum == 0)
        return fp_zero_sum(fmt, rm);
    return fp_normalize_pack_wide(fmt, sum_sign, sum_exp, sum, rm, flags);
}

/* --- Comparison and selection ---------------------------------------------- */

/** Raise NV for a signalling NaN, or if not @quiet for any.
 *  Returns  whether either is NaN: then nothing compares */
FP_INLINE bool fp_unordered(struct fp_format fmt, uint64_t a, uint64_t b, bool quiet,
                            uint8_t *flags)
{
    if (SM_LIKELY(!fp_is_nan(fmt, a) && !fp_is_nan(fmt, b)))
        return false;
    if (!quiet || fp_is_snan(fmt, a) || fp_is_snan(fmt, b))
        *flags |= RV_FFLAG_NV;
    return true;
}

/** @a as an integer that orders numbers as their values do, with -0 before +0. */
FP_INLINE int64_t fp_key(struct fp_format fmt, uint64_t a)
{
    const int64_t magnitude = (int64_t)fp_magnitude(fmt, a);

    return fp_is_negative(fmt, a) ? ~magnitude : magnitude;
}

FP_INLINE bool fp_both_zero(struct fp_format fmt, uint64_t a, uint64_t b)
{
    return fp_magnitude(fmt, a | b) == 0;
}

FP_INLINE bool fp_eq(struct fp_format fmt, uint64_t a, uint64_t b, uint8_t *flags)
{
    return !fp_unordered(fmt, a, b, true, flags) &&
           (fp_key(fmt, a) == fp_key(fmt, b) || fp_both_zero(fmt, a, b));
}

FP_INLINE bool fp_lt(struct fp_format fmt, uint64_t a, uint64_t b, bool quiet,
                     uint8_t *flags)
{
    return !fp_unordered(fmt, a, b, quiet, flags) && fp_key(fmt, a) < fp_key(fmt, b) &&
           !fp_both_zero(fmt, a, b);
}

FP_INLINE bool fp_le(struct fp_format fmt, uint64_t a, uint64_t b, bool quiet,
                     uint8_t *flags)
{
    return !fp_unordered(fmt, a, b, quiet, flags) &&
           (fp_key(fmt, a) <= fp_key(fmt, b) || fp_both_zero(fmt, a, b));
}

/** The lesser, or with @want_max the greater; a NaN gives way if @want_number. */
FP_INLINE uint64_t fp_select(struct fp_format fmt, uint64_t a, uint64_t b, bool want_max,
                             bool want_number, uint8_t *flags)
{
    if (fp_unordered(fmt, a, b, true, flags)) {
        if (want_number && !fp_is_nan(fmt, a))
            return a;
        if (want_number && !fp_is_nan(fmt, b))
            return b;
        return fp_nan(fmt);
    }
    return (fp_key(fmt, a) < fp_key(fmt, b)) != want_max ? a : b;
}

FP_INLINE unsigned fp_class(struct fp_format fmt, uint64_t a)
{
    const uint64_t magnitude = fp_magnitude(fmt, a);
    const bool sign = fp_is_negative(fmt, a);

    if (fp_is_nan(fmt, a))
        return fp_is_snan(fmt, a) ? RV_FCLASS_SNAN : RV_FCLASS_QNAN;
    if (magnitude == fp_inf(fmt))
        return sign ? RV_FCLASS_NEG_INF : RV_FCLASS_POS_INF;
    if (magnitude == 0)
        return sign ? RV_FCLASS_NEG_ZERO : RV_FCLASS_POS_ZERO;
    if (magnitude >> fmt.frac_bits)
        return sign ? RV_FCLASS_NEG_NORMAL : RV_FCLASS_POS_NORMAL;
    return sign ? RV_FCLASS_NEG_SUBNORMAL : RV_FCLASS_POS_SUBNORMAL;
}

/* --- Per format ------------------------------------------------------------ */

#define PARAMETERS_1 (uint64_t a, unsigned rm, uint8_t *flags)
#define PARAMETERS_2 (uint64_t a, uint64_t b, unsigned rm, uint8_t *flags)
#define PARAMETERS_3 (uint64_t a, uint64_t b, uint64_t c, unsigned rm, uint8_t *flags)

/* What rounds asks the host first.  The long way is a call, so that the short one saves
 * no registers: 1.6 ns instead of 3.3. */
#define ROUNDED(f, fmt, op, PARAMETERS, ...)                                             \
    static SM_NOINLINE uint64_t f##_##op##_slow PARAMETERS                               \
    {                                                                                    \
        return fp_##op(fmt, __VA_ARGS__, rm, flags);                                     \
    }                                                                                    \
    uint64_t rv_##f##_##op PARAMETERS                                                    \
    {                                                                                    \
        uint64_t result;                                                                 \
                                                                                         \
        if (fp_host_##op(fmt, __VA_ARGS__, rm, flags, &result))                          \
            return result;                                                               \
        return f##_##op##_slow(__VA_ARGS__, rm, flags);                                  \
    }

#define DEFINE(f, fmt)                                                                   \
    ROUNDED(f, fmt, add, PARAMETERS_2, a, b)                                             \
    ROUNDED(f, fmt, mul, PARAMETERS_2, a, b)                                             \
    ROUNDED(f, fmt, div, PARAMETERS_2, a, b)                                             \
    ROUNDED(f, fmt, sqrt, PARAMETERS_1, a)                                               \
    ROUNDED(f, fmt, fma, PARAMETERS_3, a, b, c)                                          \
    uint64_t rv_##f##_sub(uint64_t a, uint64_t b, unsigned rm, uint8_t *flags)           \
    {                                                                                    \
        /* NaN may change its sign here: it will not be seen. */                         \
        return rv_##f##_add(a, b ^ fp_sign_bit(fmt), rm, flags);                         \
    }                                                                                    \
    bool rv_##f##_eq(uint64_t a, uint64_t b, uint8_t *flags)                             \
    {                                                                                    \
        return fp_eq(fmt, a, b, flags);                                                  \
    }                                                                                    \
    bool rv_##f##_lt(uint64_t a, uint64_t b, uint8_t *flags)                             \
    {                                                                                    \
        return fp_lt(fmt, a, b, false, flags);                                           \
    }                                                                                    \
    bool rv_##f##_le(uint64_t a, uint64_t b, uint8_t *flags)                             \
    {                                                                                    \
        return fp_le(fmt, a, b, false, flags);                                           \
    }                                                                                    \
    bool rv_##f##_ltq(uint64_t a, uint64_t b, uint8_t *flags)                            \
    {                                                                                    \
        return fp_lt(fmt, a, b, true, flags);                                            \
    }                                                                                    \
    bool rv_##f##_leq(uint64_t a, uint64_t b, uint8_t *flags)                            \
    {                                                                                    \
        return fp_le(fmt, a, b, true, flags);                                            \
    }                                                                                    \
    uint64_t rv_##f##_min(uint64_t a, uint64_t b, uint8_t *flags)                        \
    {                                                                                    \
        return fp_select(fmt, a, b, false, true, flags);                                 \
    }                                                                                    \
    uint64_t rv_##f##_max(uint64_t a, uint64_t b, uint8_t *flags)                        \
    {                                                                                    \
        return fp_select(fmt, a, b, true, true, flags);                                  \
    }                                                                                    \
    uint64_t rv_##f##_minm(uint64_t a, uint64_t b, uint8_t *flags)                       \
    {                                                                                    \
        return fp_select(fmt, a, b, false, false, flags);                                \
    }                                                                                    \
    uint64_t rv_##f##_maxm(uint64_t a, uint64_t b, uint8_t *flags)                       \
    {                                                                                    \
        return fp_select(fmt, a, b, true, false, flags);                                 \
    }                                                                                    \
    unsigned rv_##f##_class(uint64_t a)                                                  \
    {                                                                                    \
        return fp_class(fmt, a);                                                         \
    }

DEFINE(f32, FP_F32)
DEFINE(f64, FP_F64)
