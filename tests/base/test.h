/* SPDX-License-Identifier: MIT */
/* test.h - cmocka with what it wants to be included before it, and random numbers. */
#ifndef SM_TESTS_BASE_TEST_H
#define SM_TESTS_BASE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/** The seed of this run, printed; SM_SEED chooses another. */
static inline uint64_t test_seed(uint64_t usual)
{
    const char *text = getenv("SM_SEED");
    const uint64_t seed = text ? strtoull(text, NULL, 0) : usual;
    printf("SM_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

/** The next of a sequence of random numbers (splitmix64). */
static inline uint64_t test_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/** A random number below @n. */
static inline uint64_t test_below(uint64_t *state, uint64_t n)
{
    return test_random(state) % n;
}

#endif
