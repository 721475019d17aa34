/* SPDX-License-Identifier: MIT */
/* bits.h - fields, masks, sign extension, alignment.  Layer: base. */
#ifndef SM_BASE_BITS_H
#define SM_BASE_BITS_H

#include "base/base.h"

/** Bits 0..@n-1 set; @n 0..64. */
SM_INLINE uint64_t sm_mask(unsigned n)
{
    return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

/** Field of @n bits (1..64) of @value that begins at @shift. */
SM_INLINE uint64_t sm_extract(uint64_t value, unsigned shift, unsigned n)
{
    return (value >> shift) & sm_mask(n);
}

/** @value with its @n bits at @shift replaced by the low ones of @field. */
SM_INLINE uint64_t sm_insert(uint64_t value, unsigned shift, unsigned n, uint64_t field)
{
    const uint64_t mask = sm_mask(n) << shift;
    return (value & ~mask) | ((field << shift) & mask);
}

/** The low @n bits (1..64) of @value as a signed number. */
SM_INLINE int64_t sm_sign_extend(uint64_t value, unsigned n)
{
    return (int64_t)(value << (64 - n)) >> (64 - n);
}

SM_INLINE bool sm_is_pow2(uint64_t value)
{
    return value && !(value & (value - 1));
}

/** @value down, or up, to a multiple of the power of two @align.  Up may wrap to 0. */
SM_INLINE uint64_t sm_align_down(uint64_t value, uint64_t align)
{
    return value & ~(align - 1);
}
SM_INLINE uint64_t sm_align_up(uint64_t value, uint64_t align)
{
    return (value + align - 1) & ~(align - 1);
}

/** floor(log2(@value)); @value is not 0. */
SM_INLINE unsigned sm_log2(uint64_t value)
{
    return 63u - (unsigned)__builtin_clzll(value);
}

#endif
