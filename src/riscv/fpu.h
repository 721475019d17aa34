/* SPDX-License-Identifier: MIT */
/* fpu.h - binary32 and binary64 arithmetic as RISC-V defines it, bit for bit.
 *
 * Pure functions on register images, that know no hart.  Every one of them exists
 * for f32 and f64.
 *
 *   - A single is passed and returned in the low 32 bits, without its NaN box: the
 *     high half is 0.
 *   - @rm is a valid rounding mode, RV_RM_RNE to RV_RM_RMM; who decodes the
 *     instruction has resolved RV_RM_DYN and refused the rest.
 *   - Exceptions are or'ed into *@flags (RV_FFLAG_*); nothing is ever cleared.
 *     What is already set there may choose a faster way to the same result.
 *   - A result that is NaN is the canonical one, whatever the operands were.
 *   - Tininess is detected after rounding.
 *
 * Layer:   riscv, private
 * Threads: any, with the host's FPU in its default state: round to nearest even,
 *          subnormals kept (see fpu_host.h)
 * Source:  IEEE 754-2019; Unprivileged, "F", "D" and "Zfa" extensions
 */
#ifndef RISCV_FPU_H
#define RISCV_FPU_H

#include "riscv/riscv_impl.h"

#define RV_F32_NAN UINT64_C(0x7fc00000)
#define RV_F64_NAN UINT64_C(0x7ff8000000000000)

/** Bits that FCLASS reports; exactly one is set. */
enum {
    RV_FCLASS_NEG_INF = 1 << 0, RV_FCLASS_NEG_NORMAL = 1 << 1,
    RV_FCLASS_NEG_SUBNORMAL = 1 << 2, RV_FCLASS_NEG_ZERO = 1 << 3,
    RV_FCLASS_POS_ZERO = 1 << 4, RV_FCLASS_POS_SUBNORMAL = 1 << 5,
    RV_FCLASS_POS_NORMAL = 1 << 6, RV_FCLASS_POS_INF = 1 << 7,
    RV_FCLASS_SNAN = 1 << 8, RV_FCLASS_QNAN = 1 << 9
};

#define RV_FPU_DECLARE(f)                                                                \
    /* Arithmetic.  fma is @a * @b + @c, rounded once; its other three forms are         \
     * had by flipping the sign bit of @a, @c or both.  inf * 0 is invalid even if       \
     * @c is a quiet NaN. */                                                             \
    uint64_t rv_##f##_add(uint64_t a, uint64_t b, unsigned rm, uint8_t *flags);          \
    uint64_t rv_##f##_sub(uint64_t a, uint64_t b, unsigned rm, uint8_t *flags);          \
    uint64_t rv_##f##_mul(uint64_t a, uint64_t b, unsigned rm, uint8_t *flags);          \
    uint64_t rv_##f##_div(uint64_t a, uint64_t b, unsigned rm, uint8_t *flags);          \
    uint64_t rv_##f##_sqrt(uint64_t a, unsigned rm, uint8_t *flags);                     \
    uint64_t rv_##f##_fma(uint64_t a, uint64_t b, uint64_t c, unsigned rm,               \
                          uint8_t *flags);                                               \
    /* Comparisons: eq, ltq and leq are quiet, lt and le invalid with any NaN. */        \
    bool rv_##f##_eq(uint64_t a, uint64_t b, uint8_t *flags);                            \
    bool rv_##f##_lt(uint64_t a, uint64_t b, uint8_t *flags);                            \
    bool rv_##f##_le(uint64_t a, uint64_t b, uint8_t *flags);                            \
    bool rv_##f##_ltq(uint64_t a, uint64_t b, uint8_t *flags);                           \
    bool rv_##f##_leq(uint64_t a, uint64_t b, uint8_t *flags);                           \
    /* minimumNumber and maximumNumber; minm and maxm are minimum and maximum, NaN       \
     * if either operand is.  -0 is less than +0. */                                     \
    uint64_t rv_##f##_min(uint64_t a, uint64_t b, uint8_t *flags);                       \
    uint64_t rv_##f##_max(uint64_t a, uint64_t b, uint8_t *flags);                       \
    uint64_t rv_##f##_minm(uint64_t a, uint64_t b, uint8_t *flags);                      \
    uint64_t rv_##f##_maxm(uint64_t a, uint64_t b, uint8_t *flags);                      \
    /* One of RV_FCLASS_*. */                                                            \
    unsigned rv_##f##_class(uint64_t a);                                                 \
    /* To an integral value; round_nx also raises NX if that differs from @a. */         \
    uint64_t rv_##f##_round(uint64_t a, unsigned rm, uint8_t *flags);                    \
    uint64_t rv_##f##_round_nx(uint64_t a, unsigned rm, uint8_t *flags);                 \
    /* To integers, as a register holds them: 32-bit ones, unsigned too, are             \
     * sign-extended.  Out of range: NV, and the nearest integer that there is; NaN      \
     * counts as +infinity. */                                                           \
    uint64_t rv_##f##_to_i32(uint64_t a, unsigned rm, uint8_t *flags);                   \
    uint64_t rv_##f##_to_u32(uint64_t a, unsigned rm, uint8_t *flags);                   \
    uint64_t rv_##f##_to_i64(uint64_t a, unsigned rm, uint8_t *flags);                   \
    uint64_t rv_##f##_to_u64(uint64_t a, unsigned rm, uint8_t *flags);                   \
    /* From integers; a 32-bit one is extended by the caller. */                         \
    uint64_t rv_##f##_from_i64(uint64_t value, unsigned rm, uint8_t *flags);             \
    uint64_t rv_##f##_from_u64(uint64_t value, unsigned rm, uint8_t *flags);             \
    /* What FLI loads; @n 0..31. */                                                      \
    uint64_t rv_##f##_constant(unsigned n);

RV_FPU_DECLARE(f32)
RV_FPU_DECLARE(f64)
#undef RV_FPU_DECLARE

uint64_t rv_f32_to_f64(uint64_t a, uint8_t *flags); /* exact: needs no mode */
uint64_t rv_f64_to_f32(uint64_t a, unsigned rm, uint8_t *flags);

/** Truncate @a and return the low 32 bits of that integer, sign-extended; 0 of
 *  infinities and NaN.  Raises what rv_f64_to_i32() towards zero would. */
uint64_t rv_f64_to_i32_modular(uint64_t a, uint8_t *flags);

#endif
