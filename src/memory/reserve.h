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
 * Where reservations are exact (sm_reserve_make_exact()) every other store to RAM takes
 * the granule's lock and gives it a new version, too, so that a store of the same value
 * ends a reservation.  What a mapping lends is written behind our back: its granules get
 * their new versions as it is lent.
 */
#ifndef SM_MEMORY_RESERVE_H
#define SM_MEMORY_RESERVE_H

#include "softmmu/types.h"

struct sm_topology;

enum { SM_GRANULE_BITS = 6 };

/** The version of the granule that holds @host; waits while it is locked. */
uint64_t sm_reserve_version(struct sm_topology *topo, const void *host);

/** Lock the granule.  Returns the version it had until now. */
uint64_t sm_reserve_lock(struct sm_topology *topo, const void *host);

/** Unlock it, with a new version. */
void sm_reserve_unlock(struct sm_topology *topo, const void *host);

/** Unlock it with the version it had: nothing was touched. */
void sm_reserve_unlock_untouched(struct sm_topology *topo, const void *host);

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
