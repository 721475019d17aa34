/* SPDX-License-Identifier: MIT */
/* resolve.h - the way of an access through translating regions (iommu.h).
 *
 * Layer:    memory
 * Threads:  as mmio.h: models are called, which may take long.  A reader is pinned
 *           before the first call; an online agent needs none, and passes NULL.
 *
 * Every path of an access comes here once it has met a section that translates, and goes
 * on with what it is told: so there is one loop, one bound and one set of checks.
 */
#ifndef SM_MEMORY_RESOLVE_H
#define SM_MEMORY_RESOLVE_H

#include "memory/flatview.h"
#include "softmmu/iommu.h"

struct sm_reader;

/** Where a way ends. */
struct sm_resolved {
    const struct sm_flat_section *section; /* who answers; translates nothing  */
    sm_gpa gpa;             /* where in that section's space                   */
    uint64_t before, after; /* bytes around it that the same way leads to, in one
                               stretch; itself not counted                     */
    uint8_t perms;          /* SM_PERM_*: what every region on the way allows, the
                               last section's .readonly not yet considered     */
};

/** Find who answers at @gpa of @space, through all translating regions on the way.
 *
 *  With SM_ATTR_RAM_ONLY only what has memory for @access is an answer.  Pins @reader
 *  where the answer is a device, too.
 *  Returns  SM_TX_OK; SM_TX_DECODE_ERROR in a hole; SM_TX_ACCESS_ERROR where a model or
 *           a read-only section on the way refuses, or (I3), (I6), (I7) do */
enum sm_tx sm_resolve(struct sm_reader *reader, struct sm_address_space *space,
                      sm_gpa gpa, const struct sm_attrs *attrs, enum sm_access access,
                      struct sm_resolved *out);

/** As sm_resolve() with SM_WRITE, of an access that reads as well. */
enum sm_tx sm_resolve_atomic(struct sm_reader *reader, struct sm_address_space *space,
                             sm_gpa gpa, const struct sm_attrs *attrs,
                             struct sm_resolved *out);

/** How it went at a translating region. */
enum sm_hop_end {
    SM_HOP_LEADS_ON,
    SM_HOP_REFUSED,  /* the model says no                                      */
    SM_HOP_WRONG,    /* it said what it may not (I7)                           */
    SM_HOP_TOO_MANY, /* it was not asked: the way is too long (I6)             */
    SM_HOP_NOT_ASKED /* nor here: the thread may not (I3)                      */
};

/** The translating regions of a way, in the order of the way. */
struct sm_hops {
    unsigned n;
    struct sm_hop {
        const struct sm_region *region;
        sm_iova iova;
        enum sm_hop_end end;
        struct sm_iommu_map map; /* if it leads on                             */
    } hop[SM_MAX_HOPS + 1];
};

/** As sm_resolve(), and tell the way. */
enum sm_tx sm_resolve_hops(struct sm_reader *reader, struct sm_address_space *space,
                           sm_gpa gpa, const struct sm_attrs *attrs,
                           enum sm_access access, struct sm_resolved *out,
                           struct sm_hops *hops);

/** Changes whenever an answer of some iommu of @topo may have changed: by an
 *  invalidation, or a commit.  What was resolved after this returned n holds while it
 *  still returns n. */
uint64_t sm_topology_translation_generation(const struct sm_topology *topo);

#endif
