/* SPDX-License-Identifier: MIT */
/* reserve.h - versions of 64-byte granules, by which reservations end (A3).
 *
 * Layer:    memory
 * Threads:  any.  A granule's lock is held for a few instructions around one atomic
 *           operation, nothing is called under it, and a thread holds one at most.
 *
 * A reservation remembers the version of its granule.  Whoever makes a
 * read-modify-write, a compare-and-swap or a store-conditional on RAM locks the
 * granule around it; the unlock gives the granule its next version.  Several
 * granules share a counter, which can only end a reservation too early.
 *
 * A vCPU without others (SM_VCPU_ALONE) has nobody to tell of its own operations: it
 * makes them without the lock, and its store-conditional in generated code only looks at
 * the version.  All granules then share one, and whoever else locks it waits until no
 * such look is under way: sm_granules.in_line is raised before the version is looked at,
 * and taken down after the store that depended on it.  Between the two accesses of each
 * side, word of its own and word of the other's, must be a full fence.  The vCPU spares
 * its own: membarrier() has its thread make one between the other's two.
 *
 * Where reservations are exact (sm_reserve_make_exact()) every other store to RAM takes
 * the granule's lock and gives it a new version, too, so that a store of the same value
 * ends a reservation.  What a mapping lends is written behind our back: its granules get
 * their new versions as it is lent.
 */
#ifndef SM_MEMORY_RESERVE_H
#define SM_MEMORY_RESERVE_H

#include "softmmu/softtlb_hit.h"

struct sm_topology;

/** Count a vCPU.  @alone: there is, and will be, no other while it lives.
 *  Returns  false, and counts none: @alone cannot be, or another is */
bool sm_reserve_join(struct sm_topology *topo, bool alone);
/** The reverse of what succeeded. */
void sm_reserve_leave(struct sm_topology *topo);

/** Have the vCPU that is alone spare locks.  Before it runs.
 *  Returns  false if the host offers no membarrier(): it does as those with others */
bool sm_reserve_spare(struct sm_topology *topo);
/** Say that it runs on this thread from now on, or (@runs false) on none. */
void sm_reserve_bind(struct sm_topology *topo, bool runs);

/** What generated code needs of it. */
struct sm_granules *sm_reserve_granules(struct sm_topology *topo);
/** The counter of the granule that holds @host. */
uint64_t *sm_reserve_counter(struct sm_topology *topo, const void *host);

/** The version of the granule that holds @host; waits while it is locked. */
uint64_t sm_reserve_version(struct sm_topology *topo, const void *host);

/** Lock the granule.
 *  @version  gets the one it had until now
 *  Returns   its counter, for one of the next two */
uint64_t *sm_reserve_lock(struct sm_topology *topo, const void *host, uint64_t *version);

/** Unlock it, with a new version. */
void sm_reserve_unlock(uint64_t *counter);

/** Unlock it with the version it had: nothing was touched. */
void sm_reserve_unlock_untouched(uint64_t *counter);

/** Have the stores of all transfers and windows of @topo end reservations, for good.
 *  Before its first vCPU that wants it runs. */
void sm_reserve_make_exact(struct sm_topology *topo);

/** Where reservations are exact: store @size bytes, granule by granule. */
void sm_reserve_store(struct sm_topology *topo, uint8_t *host, const void *from,
                      uint64_t size);
/** The same: @size bytes at @host were stored to. */
void sm_reserve_stored(struct sm_topology *topo, const uint8_t *host, uint64_t size);

/** Whether a new version of the granule of @a is one of that of @b. */
bool sm_reserve_is_shared(const void *a, const void *b);

#endif
