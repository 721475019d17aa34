/* SPDX-License-Identifier: MIT */
/* fpu_operands.h - operands for tests of fpu.h, biased to where arithmetic is hard.
 *
 * Numbers near one another, near the ends of a format, ending in runs of ones or
 * zeros, halfway between integers, with products and sums at the border of the
 * subnormal numbers: most random bit patterns are none of these.
 */
#ifndef TESTS_FPU_OPERANDS_H
#define TESTS_FPU_OPERANDS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "riscv/fpu.h"

struct fpu_format {
    unsigned frac_bits, exp_bits;
};

static const struct fpu_format fpu_f32 = {23, 8};
static const struct fpu_format fpu_f64 = {52, 11};

struct fpu_random {
    uint64_t state;
};

/** Begin with SM_SEED, or @seed; prints what it is. */
static inline struct fpu_random fpu_random_init(uint64_t seed)
{
    const char *text = getenv("SM_SEED");
    struct fpu_random random = {text ? strtoull(text, NULL, 0) : seed};

    printf("SM_SEED=%llu\n", (unsigned long long)random.state);
    return random;
}

/** splitmix64: every seed is a good one. */
static inline uint64_t fpu_random_next(struct fpu_random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline uint64_t fpu_make(struct fpu_format fmt, uint64_t sign, uint64_t exp,
                                uint64_t frac)
{
    return (sign & 1) << (fmt.frac_bits + fmt.exp_bits) |
           (exp & sm_mask(fmt.exp_bits)) << fmt.frac_bits |
           (frac & sm_mask(fmt.frac_bits));
}

static inline uint64_t fpu_all_bits(struct fpu_format fmt)
{
    return sm_mask(fmt.frac_bits + fmt.exp_bits + 1);
}

/** A fraction: random, or few bits, or runs of equal bits at either end. */
static inline uint64_t fpu_random_frac(struct fpu_format fmt, struct fpu_random *random)
{
    const uint64_t r = fpu_random_next(random), bits = fpu_random_next(random);
    const unsigned n = (unsigned)(r >> 8) % (fmt.frac_bits + 1);
    const uint64_t near = ((bits & 7) - 4);

    switch (r & 7) {
    case 0: return bits;
    case 1: return near; /* all zeros or ones but the last places */
    case 2: return bits << n;
    case 3: return bits | sm_mask(n);
    case 4: return (bits & 1 ? ~UINT64_C(0) : 0) << n;
    case 5: return UINT64_C(1) << n;
    case 6: return (UINT64_C(1) << n) + near;
    default: return UINT64_C(1) << n | UINT64_C(1) << (bits % fmt.frac_bits);
    }
}

static inline uint64_t fpu_random_operand(struct fpu_format fmt,
                                          struct fpu_random *random)
{
    static const int8_t near_exps[] = {-2, -1, 0,  1,  2,  3,  29,
                                       30, 31, 32, 61, 62, 63, 64};
    const uint64_t r = fpu_random_next(random);
    const uint64_t frac = fpu_random_frac(fmt, random);
    const uint64_t max = sm_mask(fmt.exp_bits), bias = max >> 1;

    switch ((r >> 1) & 15) {
    case 0: /* zero, subnormals */ return fpu_make(fmt, r, 0, r & 0x300 ? frac : 0);
    case 1: /* infinities, NaN */ return fpu_make(fmt, r, max, r & 0x100 ? frac : 0);
    case 2: /* smallest and largest numbers */
        return fpu_make(fmt, r, r & 0x100 ? (r >> 9) & 3 : max - 1 - ((r >> 9) & 3),
                        frac);
    case 3: /* near the ends of the integers */
        return fpu_make(fmt, r, bias + (uint64_t)near_exps[(r >> 8) % sizeof(near_exps)],
                        frac);
    case 4: /* halves and small integers */
        return fpu_make(fmt, r, bias + ((r >> 8) & 7),
                        fpu_random_next(random) << (fmt.frac_bits - ((r >> 16) & 7)));
    case 5: return fpu_random_next(random) & fpu_all_bits(fmt);
    case 6:
    case 7:
    case 8: return fpu_make(fmt, r, r >> 8, frac);
    default: /* of a size with which others combine */
        return fpu_make(fmt, r, bias + ((r >> 8) & 63) - 32, frac);
    }
}

/** @a with some last places changed, and perhaps its sign. */
static inline uint64_t fpu_random_near(struct fpu_format fmt, struct fpu_random *random,
                                       uint64_t a)
{
    const uint64_t r = fpu_random_next(random);

    return ((a + (r & 15) - 8) & fpu_all_bits(fmt)) ^ fpu_make(fmt, r >> 4, 0, 0);
}

/** The fraction of a number that times one of fraction @frac is just about a power of
 *  two, from above or below. */
static inline uint64_t fpu_reciprocal_frac(struct fpu_format fmt,
                                           struct fpu_random *random, uint64_t frac)
{
    __extension__ const unsigned __int128 one = 1;
    const uint64_t sig = UINT64_C(1) << fmt.frac_bits | (frac & sm_mask(fmt.frac_bits));

    return (uint64_t)((one << (2 * fmt.frac_bits + 1)) / sig) +
           (fpu_random_next(random) & 1);
}

/** A partner for @a: alike, or such that @a times or divided by it is at an end of the
 *  format, or anything. */
static inline uint64_t fpu_random_partner(struct fpu_format fmt,
                                          struct fpu_random *random, uint64_t a)
{
    const uint64_t r = fpu_random_next(random);
    const uint64_t max = sm_mask(fmt.exp_bits), bias = max >> 1;
    const uint64_t exp = (a >> fmt.frac_bits) & max;
    const uint64_t near = ((r >> 8) & 7) - 4;
    const uint64_t frac = fpu_random_frac(fmt, random);

    switch (r & 15) {
    case 0: return fpu_random_near(fmt, random, a);
    case 1: /* alike */ return fpu_make(fmt, r >> 4, exp + near, frac);
    case 2: /* about a last place apart */
        return fpu_make(fmt, r >> 4, exp - fmt.frac_bits + near, frac);
    case 3: /* product near the smallest normal number, or among subnormals */
        return fpu_make(fmt, r >> 4, bias - exp + near, frac);
    case 4:
        return fpu_make(fmt, r >> 4, bias - exp - (r >> 11) % (fmt.frac_bits + 3), frac);
    case 5: /* product near overflow */
        return fpu_make(fmt, r >> 4, max + bias - exp + near, frac);
    case 6: /* quotient near the smallest normal number, or below */
        return fpu_make(fmt, r >> 4, exp + bias + near, frac);
    case 7:
        return fpu_make(fmt, r >> 4, exp + bias + (r >> 11) % (fmt.frac_bits + 3), frac);
    case 8: /* quotient near overflow */
        return fpu_make(fmt, r >> 4, exp - bias + near, frac);
    case 9: /* product a power of two but for the last places, a small one perhaps */
        return fpu_make(fmt, r >> 4, bias - exp + (r & 0x800 ? near : near + bias),
                        fpu_reciprocal_frac(fmt, random, a));
    default: return fpu_random_operand(fmt, random);
    }
}

/** An addend for a product that rounds to @product: often one that cancels it. */
static inline uint64_t fpu_random_addend(struct fpu_format fmt, struct fpu_random *random,
                                         uint64_t product)
{
    if (fpu_random_next(random) & 1)
        return fpu_random_partner(fmt, random, product);
    return fpu_random_near(fmt, random, product ^ fpu_make(fmt, 1, 0, 0));
}

/** An integer of any length, often with one significant bit more than a format keeps: a
 *  tie. */
static inline uint64_t fpu_random_integer(struct fpu_random *random)
{
    static const uint8_t kept[] = {25, 54};
    const uint64_t r = fpu_random_next(random);
    const unsigned length = (r & 63) + 1;
    const unsigned keep = r & 0x80 ? kept[(r >> 8) & 1] : (r >> 8) & 63;
    const uint64_t bits = fpu_random_next(random) >> (64 - length);

    return length > keep ? bits & ~sm_mask(length - keep) : bits;
}

#endif
