/* SPDX-License-Identifier: MIT */
/* reserve.c - counts the atomic operations on each granule, so that reservations end. */
#include "memory/reserve.h"

#include "base/atomic.h"
#include "memory/memory_impl.h"
#include "memory/ram_access.h"

#include <sched.h>

/* Bit 0 of a counter is its lock; the rest is the version. */
static uint64_t number_of(const void *host)
{
    const uint64_t granule = (uint64_t)(uintptr_t)host >> SM_GRANULE_BITS;
    /* The golden ratio spreads neighbours over the table, and over cache lines. */
    return (granule * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - SM_RESERVE_BITS);
}

static uint64_t *counter_of(struct sm_topology *topo, const void *host)
{
    return &topo->reserve[number_of(host)];
}

/* The holder does one host operation; but it may have lost its processor. */
static void relax(unsigned round)
{
    if (round % 64 == 63)
        sched_yield();
#if defined(__x86_64__)
    else
        __builtin_ia32_pause();
#endif
}

uint64_t sm_reserve_version(struct sm_topology *topo, const void *host)
{
    const uint64_t *counter = counter_of(topo, host);
    uint64_t version;

    /* Pairs with the publish of an unlock: what was stored under it is seen. */
    for (unsigned round = 0; (version = sm_load_acquire(counter)) & 1; round++)
        relax(round);
    return version;
}

uint64_t sm_reserve_lock(struct sm_topology *topo, const void *host)
{
    uint64_t *counter = counter_of(topo, host);

    for (unsigned round = 0;; round++) {
        uint64_t version = sm_load_relaxed(counter);
        if (!(version & 1) && sm_compare_exchange(counter, &version, version | 1))
            return version;
        relax(round);
    }
}

void sm_reserve_unlock(struct sm_topology *topo, const void *host)
{
    uint64_t *counter = counter_of(topo, host);
    sm_publish(counter, sm_load_relaxed(counter) + 1);
}

void sm_reserve_unlock_untouched(struct sm_topology *topo, const void *host)
{
    uint64_t *counter = counter_of(topo, host);
    sm_publish(counter, sm_load_relaxed(counter) - 1);
}

/* --- Exact reservations ------------------------------------------------- */

void sm_reserve_make_exact(struct sm_topology *topo)
{
    sm_store_relaxed(&topo->exact_reserve, 1u);
}

/* How many of @size bytes at @host lie in its granule. */
static uint64_t in_granule(const uint8_t *host, uint64_t size)
{
    const uint64_t granule = UINT64_C(1) << SM_GRANULE_BITS;
    return SM_MIN(size, granule - ((uintptr_t)host & (granule - 1)));
}

void sm_reserve_store(struct sm_topology *topo, uint8_t *host, const void *from,
                      uint64_t size)
{
    const uint8_t *bytes = from;

    for (uint64_t n; size; size -= n, host += n, bytes += n) {
        n = in_granule(host, size);
        sm_reserve_lock(topo, host);
        sm_copy_to_ram(host, bytes, n);
        sm_reserve_unlock(topo, host);
    }
}

void sm_reserve_stored(struct sm_topology *topo, const uint8_t *host, uint64_t size)
{
    for (uint64_t n; size; size -= n, host += n) {
        n = in_granule(host, size);
        sm_reserve_lock(topo, host);
        sm_reserve_unlock(topo, host);
    }
}

bool sm_reserve_is_shared(const void *a, const void *b)
{
    return number_of(a) == number_of(b);
}
