/* SPDX-License-Identifier: MIT */
/* beyond.h - where a way goes on behind translating regions, asked and written.
 *
 * Layer:    inspect
 *
 * Models may take locks that come before the topology's.  So they are asked first, by
 * the one mechanism of all accesses (memory/resolve.h), and the places they named are
 * looked at under the lock afterwards; who finds another region there says so.
 */
#ifndef SM_INSPECT_BEYOND_H
#define SM_INSPECT_BEYOND_H

#include "inspect/emit.h"
#include "memory/memory_impl.h"
#include "memory/resolve.h"

struct sm_beyond {
    struct sm_reader reader; /* keeps what the hops name until sm_beyond_end() */
    struct sm_attrs who;
    enum sm_access access; /* the first that leads to an end, or SM_READ       */
    bool asked;
    struct sm_hops hops;
};

/** Ask the models on the way from @gpa of @space.  @who may be NULL.
 *  Threads  as sm_inspect_why(): within an edit none is asked */
void sm_beyond_ask(struct sm_beyond *beyond, struct sm_address_space *space, sm_gpa gpa,
                   const struct sm_attrs *who);
void sm_beyond_end(struct sm_beyond *beyond);

/** Write what the model said at translating region @number of the way, which is @region
 *  at @iova.  In JSON, fields of an object that is open.
 *  Returns  where the way goes on; NULL when it does not */
const struct sm_iommu_map *sm_beyond_write(const struct sm_beyond *beyond,
                                           struct sm_out *out, unsigned number,
                                           const struct sm_region *region, sm_iova iova);

#endif
