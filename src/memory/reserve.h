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

#endif
