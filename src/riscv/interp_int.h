/* SPDX-License-Identifier: MIT */
/* interp_int.h - integer operations that take more than one C operator.
 *
 * Layer: riscv, private.  Pure functions; operands as registers hold them.
 */
#ifndef RISCV_INTERP_INT_H
#define RISCV_INTERP_INT_H

#include "base/bits.h"

SM_INLINE uint64_t rv_sext32(uint64_t value)
{
    return (uint64_t)(int64_t)(int32_t)(uint32_t)value;
}

SM_INLINE uint64_t rv_mulh(uint64_t a, uint64_t b)
{
    return (uint64_t)(((__int128)(int64_t)a * (int64_t)b) >> 64);
}

SM_INLINE uint64_t rv_mulhsu(uint64_t a, uint64_t b)
{
    return (uint64_t)(((__int128)(int64_t)a * (__int128)b) >> 64);
}

SM_INLINE uint64_t rv_mulhu(uint64_t a, uint64_t b)
{
    return (uint64_t)(((unsigned __int128)a * b) >> 64);
}

/* Source: Unprivileged, "Division Operations": by zero, and of the smallest by -1. */

SM_INLINE uint64_t rv_div(uint64_t a, uint64_t b)
{
    if (b == 0)
        return UINT64_MAX;
    if (b == UINT64_MAX)
        return 0 - a;
    return (uint64_t)((int64_t)a / (int64_t)b);
}

SM_INLINE uint64_t rv_rem(uint64_t a, uint64_t b)
{
    if (b == 0)
        return a;
    if (b == UINT64_MAX)
        return 0;
    return (uint64_t)((int64_t)a % (int64_t)b);
}

SM_INLINE uint64_t rv_divu(uint64_t a, uint64_t b)
{
    return b ? a / b : UINT64_MAX;
}

SM_INLINE uint64_t rv_remu(uint64_t a, uint64_t b)
{
    return b ? a % b : a;
}

SM_INLINE uint64_t rv_divw(uint64_t a, uint64_t b)
{
    /* In 64 bits the quotient 2^31 exists. */
    return rv_sext32(rv_div(rv_sext32(a), rv_sext32(b)));
}

SM_INLINE uint64_t rv_remw(uint64_t a, uint64_t b)
{
    return rv_sext32(rv_rem(rv_sext32(a), rv_sext32(b)));
}

SM_INLINE uint64_t rv_divuw(uint64_t a, uint64_t b)
{
    return (uint32_t)b ? rv_sext32((uint32_t)a / (uint32_t)b) : UINT64_MAX;
}

SM_INLINE uint64_t rv_remuw(uint64_t a, uint64_t b)
{
    return rv_sext32((uint32_t)b ? (uint32_t)a % (uint32_t)b : a);
}

SM_INLINE uint64_t rv_rol(uint64_t a, unsigned n)
{
    return a << (n & 63) | a >> (-n & 63);
}

SM_INLINE uint64_t rv_rolw(uint64_t a, unsigned n)
{
    const uint32_t word = (uint32_t)a;

    return rv_sext32(word << (n & 31) | word >> (-n & 31));
}

SM_INLINE uint64_t rv_clz(uint64_t a)
{
    return a ? (uint64_t)__builtin_clzll(a) : 64;
}

SM_INLINE uint64_t rv_ctz(uint64_t a)
{
    return a ? (uint64_t)__builtin_ctzll(a) : 64;
}

SM_INLINE uint64_t rv_orc_b(uint64_t a)
{
    const uint64_t low = UINT64_C(0x7f7f7f7f7f7f7f7f);
    const uint64_t top = (((a & low) + low) | a) & ~low; /* 0x80 in bytes not 0 */

    return (top >> 7) * 0xff;
}

/** The 128-bit carry-less product of @a and @b. */
SM_INLINE unsigned __int128 rv_clmul128(uint64_t a, uint64_t b)
{
    unsigned __int128 product = 0;

    for (; b; b &= b - 1)
        product ^= (unsigned __int128)a << __builtin_ctzll(b);
    return product;
}

#endif
