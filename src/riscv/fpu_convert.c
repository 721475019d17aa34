/* SPDX-License-Identifier: MIT */
/* fpu_convert.c - conversions between formats and with integers; constants of FLI. */
#include "riscv/fpu_impl.h"

/* --- To integers ----------------------------------------------------------- */

/** The magnitude of a finite @x, x.exp at most 63, rounded to an integer. */
FP_INLINE uint64_t fp_integer(struct fp_parts x, unsigned rm, bool *inexact)
{
    const int n = 63 - x.exp; /* bits behind the point */
    uint64_t kept, rest;

    if (n == 0) {
        *inexact = false;
        return x.sig;
    }
    /* What is behind the point is weighed with its first bit at 63. */
    kept = n > 63 ? 0 : x.sig >> n;
    rest = n > 63 ? fp_shift_jam(x.sig, (unsigned)n - 64) : x.sig << (64 - n);
    *inexact = rest != 0;
    return kept + fp_round_up(rm, x.sign, kept & 1, rest, UINT64_C(1) << 63);
}

FP_INLINE uint64_t fp_to_int(struct fp_format fmt, uint64_t a, bool is_signed,
                             unsigned bits, unsigned rm, uint8_t *flags)
{
    const struct fp_parts x = fp_unpack(fmt, a);
    const bool sign = x.sign && x.kind != FP_NAN;
    const uint64_t max = sm_mask(is_signed ? bits - 1 : bits);
    const uint64_t limit = !sign ? max : is_signed ? max + 1 : 0; /* of magnitudes */

    if (x.kind == FP_ZERO)
        return 0;
    if (x.kind == FP_FINITE && x.exp < 64) {
        bool inexact;
        const uint64_t value = fp_integer(x, rm, &inexact);

        if (value <= limit) {
            *flags |= inexact ? RV_FFLAG_NX : 0;
            return (uint64_t)sm_sign_extend(sign ? 0 - value : value, bits);
        }
    }
    *flags |= RV_FFLAG_NV; /* and not NX */
    return (uint64_t)sm_sign_extend(sign ? 0 - limit : limit, bits);
}

uint64_t rv_f64_to_i32_modular(uint64_t a, uint8_t *flags)
{
    const struct fp_parts x = fp_unpack(FP_F64, a);
    uint64_t magnitude = 0;

    fp_to_int(FP_F64, a, true, 32, RV_RM_RTZ, flags);
    if (x.kind == FP_FINITE && x.exp < 64) {
        bool inexact;

        magnitude = fp_integer(x, RV_RM_RTZ, &inexact);
    } else if (x.kind == FP_FINITE && x.exp < 64 + 32) {
        magnitude = x.sig << (x.exp - 63); /* modulo 2^64 */
    }
    return (uint64_t)sm_sign_extend(x.sign ? 0 - magnitude : magnitude, 32);
}

/* --- To integral values ---------------------------------------------------- */

FP_INLINE uint64_t fp_round(struct fp_format fmt, uint64_t a, bool raise_inexact,
                            unsigned rm, uint8_t *flags)
{
    const struct fp_parts x = fp_unpack(fmt, a);
    uint64_t value;
    bool inexact;

    if (x.kind == FP_NAN)
        return fp_propagate_nan(fmt, a, a, flags);
    if (x.kind != FP_FINITE || x.exp >= (int)fmt.frac_bits)
        return a; /* has no place behind the point */
    value = fp_integer(x, rm, &inexact);
    if (inexact && raise_inexact)
        *flags |= RV_FFLAG_NX;
    if (value == 0)
        return fp_signed(fmt, x.sign, 0);
    return fp_normalize_pack(fmt, x.sign, 63, value, rm, flags); /* is exact */
}

/* --- From integers, between formats ---------------------------------------- */

FP_INLINE uint64_t fp_from_int(struct fp_format fmt, bool sign, uint64_t magnitude,
                               unsigned rm, uint8_t *flags)
{
    return magnitude ? fp_normalize_pack(fmt, sign, 63, magnitude, rm, flags) : 0;
}

FP_INLINE uint64_t fp_convert(struct fp_format from, struct fp_format to, uint64_t a,
                              unsigned rm, uint8_t *flags)
{
    const struct fp_parts x = fp_unpack(from, a);

    switch (x.kind) {
    case FP_FINITE: return fp_pack(to, x.sign, x.exp, x.sig, rm, flags);
    case FP_NAN: fp_propagate_nan(from, a, a, flags); return fp_nan(to);
    default: return fp_signed(to, x.sign, x.kind == FP_INF ? fp_inf(to) : 0);
    }
}

uint64_t rv_f32_to_f64(uint64_t a, uint8_t *flags)
{
    return fp_convert(FP_F32, FP_F64, a, RV_RM_RNE, flags);
}

uint64_t rv_f64_to_f32(uint64_t a, unsigned rm, uint8_t *flags)
{
    return fp_convert(FP_F64, FP_F32, a, rm, flags);
}

/* --- Constants ------------------------------------------------------------- */

/** Constants 2 to 29, which are the same numbers in all formats: (1 + quarters / 4) *
 *  2^exp.  Source: "Zfa", table "Immediate values loaded by the FLI instructions". */
static const struct {
    int8_t exp;
    uint8_t quarters;
} fli_numbers[28] = {
    {-16, 0}, {-15, 0},                   /* 2^-16, 2^-15   */
    {-8, 0},  {-7, 0},                    /* 2^-8, 2^-7     */
    {-4, 0},  {-3, 0},                    /* 0.0625, 0.125  */
    {-2, 0},  {-2, 1},  {-2, 2}, {-2, 3}, /* 0.25 to 0.4375 */
    {-1, 0},  {-1, 1},  {-1, 2}, {-1, 3}, /* 0.5 to 0.875   */
    {0, 0},   {0, 1},   {0, 2},  {0, 3},  /* 1 to 1.75      */
    {1, 0},   {1, 1},   {1, 2},           /* 2, 2.5, 3      */
    {2, 0},   {3, 0},   {4, 0},           /* 4, 8, 16       */
    {7, 0},   {8, 0},                     /* 128, 256       */
    {15, 0},  {16, 0},                    /* 2^15, 2^16     */
};

FP_INLINE uint64_t fp_constant(struct fp_format fmt, unsigned n)
{
    uint64_t field, quarters;

    switch (n) {
    case 0: /* -1 */ return fp_signed(fmt, true, (uint64_t)fp_bias(fmt) << fmt.frac_bits);
    case 1: /* the smallest normal number */ return UINT64_C(1) << fmt.frac_bits;
    case 30: return fp_inf(fmt);
    case 31: return fp_nan(fmt);
    default:
        sm_assert_hot(n < 32);
        field = (uint64_t)(fli_numbers[n - 2].exp + fp_bias(fmt));
        quarters = fli_numbers[n - 2].quarters;
        return field << fmt.frac_bits | quarters << (fmt.frac_bits - 2);
    }
}

/* --- Per format ------------------------------------------------------------ */

#define DEFINE(f, fmt)                                                                   \
    uint64_t rv_##f##_round(uint64_t a, unsigned rm, uint8_t *flags)                     \
    {                                                                                    \
        return fp_round(fmt, a, false, rm, flags);                                       \
    }                                                                                    \
    uint64_t rv_##f##_round_nx(uint64_t a, unsigned rm, uint8_t *flags)                  \
    {                                                                                    \
        return fp_round(fmt, a, true, rm, flags);                                        \
    }                                                                                    \
    uint64_t rv_##f##_to_i32(uint64_t a, unsigned rm, uint8_t *flags)                    \
    {                                                                                    \
        return fp_to_int(fmt, a, true, 32, rm, flags);                                   \
    }                                                                                    \
    uint64_t rv_##f##_to_u32(uint64_t a, unsigned rm, uint8_t *flags)                    \
    {                                                                                    \
        return fp_to_int(fmt, a, false, 32, rm, flags);                                  \
    }                                                                                    \
    uint64_t rv_##f##_to_i64(uint64_t a, unsigned rm, uint8_t *flags)                    \
    {                                                                                    \
        return fp_to_int(fmt, a, true, 64, rm, flags);                                   \
    }                                                                                    \
    uint64_t rv_##f##_to_u64(uint64_t a, unsigned rm, uint8_t *flags)                    \
    {                                                                                    \
        return fp_to_int(fmt, a, false, 64, rm, flags);                                  \
    }                                                                                    \
    uint64_t rv_##f##_from_i64(uint64_t value, unsigned rm, uint8_t *flags)              \
    {                                                                                    \
        const bool sign = value >> 63;                                                   \
                                                                                         \
        return fp_from_int(fmt, sign, sign ? 0 - value : value, rm, flags);              \
    }                                                                                    \
    uint64_t rv_##f##_from_u64(uint64_t value, unsigned rm, uint8_t *flags)              \
    {                                                                                    \
        return fp_from_int(fmt, false, value, rm, flags);                                \
    }                                                                                    \
    uint64_t rv_##f##_constant(unsigned n)                                               \
    {                                                                                    \
        return fp_constant(fmt, n);                                                      \
    }

DEFINE(f32, FP_F32)
DEFINE(f64, FP_F64)
