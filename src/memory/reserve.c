/* SPDX-License-Identifier: MIT */
/* reserve.c - counts the atomic operations on each granule, so that reservations end. */
#include "memory/reserve.h"

#include "base/atomic.h"
#include "memory/memory_impl.h"
#include "memory/ram_access.h"

#include <linux/membarrier.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Bit 0 of a counter is its lock; the rest is the version. */
uint64_t *sm_reserve_counter(struct sm_topology *topo, const void *host)
{
    return &topo->granules.version[sm_load_relaxed(&topo->one_version)
                                       ? 0
                                       : sm_version_number(host)];
}

struct sm_granules *sm_reserve_granules(struct sm_topology *topo)
{
    return &topo->granules;
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
    const uint64_t *counter = sm_reserve_counter(topo, host);
    uint64_t version;

    /* Pairs with the publish of an unlock: what was stored under it is seen. */
    for (unsigned round = 0; (version = sm_load_acquire(counter)) & 1; round++)
        relax(round);
    return version;
}

/* The counter is locked: wait until the vCPU that is alone does not rely on that it was
 * not.  Its thread does not wait for itself. */
static SM_NOINLINE void await_in_line(struct sm_topology *topo)
{
    if (sm_load_relaxed(&topo->alone_on) == &sm_thread)
        return;
    (void)syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0);
    for (unsigned round = 0; sm_load_acquire(&topo->granules.in_line); round++)
        relax(round);
}

uint64_t *sm_reserve_lock(struct sm_topology *topo, const void *host, uint64_t *version)
{
    for (unsigned round = 0;; round++) {
        uint64_t *const counter = sm_reserve_counter(topo, host);

        *version = sm_load_relaxed(counter);
        if (!(*version & 1) && sm_compare_exchange(counter, version, *version | 1)) {
            if (SM_LIKELY(counter == sm_reserve_counter(topo, host))) {
                if (SM_UNLIKELY(sm_load_relaxed(&topo->one_version)))
                    await_in_line(topo);
                return counter;
            }
            sm_reserve_unlock_untouched(counter); /* which it is was just decided */
        }
        relax(round);
    }
}

void sm_reserve_unlock(uint64_t *counter)
{
    sm_publish(counter, sm_load_relaxed(counter) + 1);
}

void sm_reserve_unlock_untouched(uint64_t *counter)
{
    sm_publish(counter, sm_load_relaxed(counter) - 1);
}

/* --- vCPUs -------------------------------------------------------------- */

enum { ALONE = INT32_MIN }; /* of .n_vcpus */

bool sm_reserve_join(struct sm_topology *topo, bool alone)
{
    uint32_t n = sm_load_relaxed(&topo->n_vcpus);

    do {
        if (alone ? n != 0 : n == (uint32_t)ALONE)
            return false;
    } while (!sm_compare_exchange(&topo->n_vcpus, &n, alone ? (uint32_t)ALONE : n + 1));
    return true;
}

/* Decide whether all granules have one version, while no vCPU runs.  Who locked another
 * before is waited for; who comes later sees what is decided. */
static void share_version(struct sm_topology *topo, uint32_t one)
{
    sm_exchange(&topo->one_version, one); /* a full fence, as locking is */
    for (unsigned i = 0; i < SM_ARRAY_LEN(topo->granules.version); i++) {
        for (unsigned round = 0; sm_load_acquire(&topo->granules.version[i]) & 1; round++)
            relax(round);
    }
}

void sm_reserve_leave(struct sm_topology *topo)
{
    uint32_t n = sm_load_relaxed(&topo->n_vcpus);

    if (n == (uint32_t)ALONE && sm_load_relaxed(&topo->one_version))
        share_version(topo, 0);
    while (!sm_compare_exchange(&topo->n_vcpus, &n, n == (uint32_t)ALONE ? 0 : n - 1))
        continue;
}

bool sm_reserve_spare(struct sm_topology *topo)
{
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0))
        return false;
    share_version(topo, 1);
    return true;
}

void sm_reserve_bind(struct sm_topology *topo, bool runs)
{
    if (SM_UNLIKELY(sm_load_relaxed(&topo->one_version)))
        sm_store_relaxed(&topo->alone_on, runs ? (const struct sm_thread *)&sm_thread : NULL);
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
        uint64_t version, *const counter = sm_reserve_lock(topo, host, &version);
        sm_copy_to_ram(host, bytes, n);
        sm_reserve_unlock(counter);
    }
}

void sm_reserve_stored(struct sm_topology *topo, const uint8_t *host, uint64_t size)
{
    for (uint64_t n; size; size -= n, host += n) {
        n = in_granule(host, size);
        uint64_t version;
        sm_reserve_unlock(sm_reserve_lock(topo, host, &version));
    }
}

bool sm_reserve_is_shared(const void *a, const void *b)
{
    return sm_version_number(a) == sm_version_number(b);
}
