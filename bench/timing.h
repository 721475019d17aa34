/* SPDX-License-Identifier: MIT */
/* timing.h - clocks of the benchmarks, and what they make of many measurements. */
#ifndef SM_BENCH_TIMING_H
#define SM_BENCH_TIMING_H

#include "softmmu/types.h"

#include <stdlib.h>
#include <time.h>

SM_INLINE double bench_clock(clockid_t clock)
{
    struct timespec time;

    clock_gettime(clock, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/** Nanoseconds since some moment. */
SM_INLINE double bench_now(void)
{
    return bench_clock(CLOCK_MONOTONIC);
}

/** Nanoseconds that this thread ran: what waits for nobody is timed by it, as the
 *  machine has other things to do. */
SM_INLINE double bench_worked(void)
{
    return bench_clock(CLOCK_THREAD_CPUTIME_ID);
}

/** A clock finer than what it times: a counter of the host's where it has one. */
SM_INLINE uint64_t bench_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return (uint64_t)bench_now();
#endif
}

/** Takes 20 ms. */
SM_INLINE double bench_ns_per_tick(void)
{
    const double start = bench_now();
    const uint64_t first = bench_ticks();

    while (bench_now() - start < 2e7)
        ;
    return (bench_now() - start) / (double)(bench_ticks() - first);
}

SM_INLINE int bench_by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/** Sorts @values. */
SM_INLINE double bench_median(double *values, size_t n)
{
    qsort(values, n, sizeof(values[0]), bench_by_value);
    return values[n / 2];
}

#endif
