/* SPDX-License-Identifier: MIT */
/* fpu_impl.h - taking floating-point numbers apart, and rounding and packing them.
 *
 * A format is a row of widths.  Every function takes it first and is inlined with
 * it constant, so that fpu.c and fpu_convert.c are written once and compiled per
 * format.
 *
 * Between unpacking and packing a finite number is sign, exp and sig:
 *
 *     (-1)^sign * sig * 2^(exp - 63),   2^63 <= sig < 2^64
 *
 * so exp is the exponent of the leading bit, and a subnormal looks like any other
 * number.  What does not fit below is *jammed*: bit 0 is set if anything is lost.
 * Both formats leave at least 11 bits below their last place, so a jammed sig
 * rounds like the exact one, in every mode.
 *
 * Layer: riscv, private; included by fpu*.c only
 */
#ifndef RISCV_FPU_IMPL_H
#define RISCV_FPU_IMPL_H

#include "riscv/fpu.h"

#define FP_INLINE static inline __attribute__((always_inline, unused))

/** The 128-bit intermediate results; gcc and clang have it on every host of ours. */
__extension__ typedef unsigned __int128 fp_wide;

/* --- Formats --------------------------------------------------------------- */

struct fp_format {
    unsigned frac_bits; /* of the fraction field, the leading bit not counted  */
    unsigned exp_bits;
};

#define FP_F32 ((struct fp_format){.frac_bits = 23, .exp_bits = 8})
#define FP_F64 ((struct fp_format){.frac_bits = 52, .exp_bits = 11})

FP_INLINE uint64_t fp_sign_bit(struct fp_format fmt)
{
    return UINT64_C(1) << (fmt.frac_bits + fmt.exp_bits);
}

/** The exponent field of infinities and NaN. */
FP_INLINE unsigned fp_exp_max(struct fp_format fmt)
{
    return (1u << fmt.exp_bits) - 1;
}

FP_INLINE int fp_bias(struct fp_format fmt)
{
    return (int)(fp_exp_max(fmt) >> 1);
}

FP_INLINE uint64_t fp_inf(struct fp_format fmt)
{
    return (uint64_t)fp_exp_max(fmt) << fmt.frac_bits;
}

FP_INLINE uint64_t fp_nan(struct fp_format fmt)
{
    return fp_inf(fmt) | UINT64_C(1) << (fmt.frac_bits - 1);
}

FP_INLINE uint64_t fp_signed(struct fp_format fmt, bool sign, uint64_t magnitude)
{
    return (sign ? fp_sign_bit(fmt) : 0) | magnitude;
}

FP_INLINE uint64_t fp_magnitude(struct fp_format fmt, uint64_t a)
{
    return a & (fp_sign_bit(fmt) - 1);
}

FP_INLINE bool fp_is_negative(struct fp_format fmt, uint64_t a)
{
    return (a & fp_sign_bit(fmt)) != 0;
}

FP_INLINE bool fp_is_nan(struct fp_format fmt, uint64_t a)
{
    return fp_magnitude(fmt, a) > fp_inf(fmt);
}

FP_INLINE bool fp_is_snan(struct fp_format fmt, uint64_t a)
{
    return fp_is_nan(fmt, a) && !(a & UINT64_C(1) << (fmt.frac_bits - 1));
}

/** The result of an operation of which @a or @b is NaN. */
FP_INLINE uint64_t fp_propagate_nan(struct fp_format fmt, uint64_t a, uint64_t b,
                                    uint8_t *flags)
{
    if (fp_is_snan(fmt, a) || fp_is_snan(fmt, b))
        *flags |= RV_FFLAG_NV;
    return fp_nan(fmt);
}

FP_INLINE uint64_t fp_invalid(struct fp_format fmt, uint8_t *flags)
{
    *flags |= RV_FFLAG_NV;
    return fp_nan(fmt);
}

/* --- Unpacking ------------------------------------------------------------- */

enum fp_kind { FP_ZERO, FP_FINITE, FP_INF, FP_NAN };

struct fp_parts {
    uint64_t sig; /* exp and sig hold if kind is FP_FINITE                      */
    int exp;
    bool sign;
    uint8_t kind; /* enum fp_kind                                              */
};

FP_INLINE struct fp_parts fp_unpack(struct fp_format fmt, uint64_t a)
{
    const unsigned field = (unsigned)(a >> fmt.frac_bits) & fp_exp_max(fmt);
    const uint64_t frac = a & sm_mask(fmt.frac_bits);
    struct fp_parts parts = {.sign = fp_is_negative(fmt, a)};

    if (SM_LIKELY(field - 1 < fp_exp_max(fmt) - 1)) {
        parts.kind = FP_FINITE;
        parts.exp = (int)field - fp_bias(fmt);
        parts.sig = UINT64_C(1) << 63 | frac << (63 - fmt.frac_bits);
    } else if (field) {
        parts.kind = frac ? FP_NAN : FP_INF;
    } else if (frac) {
        const int shift = __builtin_clzll(frac);

        parts.kind = FP_FINITE;
        parts.exp = 64 - (int)fmt.frac_bits - fp_bias(fmt) - shift;
        parts.sig = frac << shift;
    } else {
        parts.kind = FP_ZERO;
    }
    return parts;
}

/* --- Rounding -------------------------------------------------------------- */

/** @value shifted right by @n, which may be any number, jammed. */
FP_INLINE uint64_t fp_shift_jam(uint64_t value, unsigned n)
{
    if (n == 0)
        return value;
    if (n > 63)
        return value != 0;
    return value >> n | ((value & sm_mask(n)) != 0);
}

FP_INLINE fp_wide fp_shift_jam_wide(fp_wide value, unsigned n)
{
    if (n == 0)
        return value;
    if (n > 127)
        return value != 0;
    return value >> n | ((value << (128 - n)) != 0);
}

/** Whether rounding adds one to a magnitude that ends in @odd, with @rest of its
 *  last place's weight 2 * @half behind it. */
FP_INLINE bool fp_round_up(unsigned rm, bool sign, bool odd, uint64_t rest, uint64_t half)
{
    switch (rm) {
    case RV_RM_RNE: return rest > half || (rest == half && odd);
    case RV_RM_RDN: return sign && rest;
    case RV_RM_RUP: return !sign && rest;
    case RV_RM_RMM: return rest >= half;
    default: return false;
    }
}

/** @sig without its lowest @n bits (1..63), rounded: may carry into bit 64 - @n. */
FP_INLINE uint64_t fp_round_off(uint64_t sig, unsigned n, unsigned rm, bool sign)
{
    const uint64_t kept = sig >> n;

    return kept +
           fp_round_up(rm, sign, kept & 1, sig & sm_mask(n), UINT64_C(1) << (n - 1));
}

/** The result whose magnitude is beyond the largest number. */
FP_INLINE uint64_t fp_overflow(struct fp_format fmt, bool sign, unsigned rm,
                               uint8_t *flags)
{
    const bool to_inf =
        rm == RV_RM_RNE || rm == RV_RM_RMM || rm == (sign ? RV_RM_RDN : RV_RM_RUP);

    *flags |= RV_FFLAG_OF | RV_FFLAG_NX;
    return fp_signed(fmt, sign, to_inf ? fp_inf(fmt) : fp_inf(fmt) - 1);
}

/** Round a number below the smallest normal one. */
static inline uint64_t fp_pack_tiny(struct fp_format fmt, bool sign, int exp,
                                    uint64_t sig, unsigned rm, uint8_t *flags)
{
    const unsigned drop = 63 - fmt.frac_bits;
    const int exp_min = 1 - fp_bias(fmt);
    const uint64_t shifted = fp_shift_jam(sig, (unsigned)(exp_min - exp));
    const uint64_t result = fp_round_off(shifted, drop, rm, sign);

    if (shifted & sm_mask(drop)) {
        /* Tiny unless it would have become the smallest normal number even with
         * all bits of the significand kept ("after rounding"). */
        const bool tiny = exp < exp_min - 1 ||
                          !(fp_round_off(sig, drop, rm, sign) >> (fmt.frac_bits + 1));

        *flags |= tiny ? RV_FFLAG_UF | RV_FFLAG_NX : RV_FFLAG_NX;
    }
    /* A carry into the exponent field is right: it makes the smallest normal. */
    return fp_signed(fmt, sign, result);
}

/** Round and pack a finite number; the only place where results are rounded. */
FP_INLINE uint64_t fp_pack(struct fp_format fmt, bool sign, int exp, uint64_t sig,
                           unsigned rm, uint8_t *flags)
{
    const unsigned drop = 63 - fmt.frac_bits;
    const int field = exp + fp_bias(fmt);
    uint64_t result;

    if (SM_UNLIKELY(field < 1))
        return fp_pack_tiny(fmt, sign, exp, sig, rm, flags);
    if (SM_UNLIKELY(field >= (int)fp_exp_max(fmt)))
        return fp_overflow(fmt, sign, rm, flags);
    /* The leading bit adds one to the field, a carry another one. */
    result = ((uint64_t)(field - 1) << fmt.frac_bits) + fp_round_off(sig, drop, rm, sign);
    if (SM_UNLIKELY(result >= fp_inf(fmt)))
        return fp_overflow(fmt, sign, rm, flags);
    if (sig & sm_mask(drop))
        *flags |= RV_FFLAG_NX;
    return fp_signed(fmt, sign, result);
}

/** Pack sig * 2^(exp - 63) for any @sig but 0. */
FP_INLINE uint64_t fp_normalize_pack(struct fp_format fmt, bool sign, int exp,
                                     uint64_t sig, unsigned rm, uint8_t *flags)
{
    const int shift = __builtin_clzll(sig);

    return fp_pack(fmt, sign, exp - shift, sig << shift, rm, flags);
}

/** Pack sig * 2^(exp - 127) for any @sig but 0. */
FP_INLINE uint64_t fp_normalize_pack_wide(struct fp_format fmt, bool sign, int exp,
                                          fp_wide sig, unsigned rm, uint8_t *flags)
{
    const uint64_t high = (uint64_t)(sig >> 64);
    const int shift = high ? __builtin_clzll(high) : 64 + __builtin_clzll((uint64_t)sig);

    sig <<= shift;
    return fp_pack(fmt, sign, exp - shift, (uint64_t)(sig >> 64) | ((uint64_t)sig != 0),
                   rm, flags);
}

#endif
