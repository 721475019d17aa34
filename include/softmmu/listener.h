/* SPDX-License-Identifier: MIT */
/* listener.h - hearing what a commit changed in an address space.
 *
 * Who keeps something in step with what a space shows - the slots of a hypervisor, the
 * windows of an IOMMU's clients, a map for a debugger - listens to it.
 *
 * Layer:    memory
 * Threads:  callbacks run on the committing thread under the topology's lock.
 *           They take no device lock, wait for nothing, edit nothing, and make or
 *           free no listener.
 *
 * Invariants:
 *  (N1) Of one commit a listener hears all removals, then what is unchanged, then all
 *       additions, each in ascending address order, then `committed`; nothing, if its
 *       space did not change.  A section that changed in any field is a removal and an
 *       addition.
 *  (N2) Added less removed is exactly the current view, from the moment that
 *       sm_listener_new() returns.
 *  (N3) `removed` ends new uses only; old ones end by the ticket of `committed`.
 *  (N4) Of the listeners of one space, removals and `log_stopped` are told to the higher
 *       priority first, all else to the lower one first; of two equal ones the one made
 *       later counts as higher.
 *  (N5) Of a section whose region has a dirty log, `log_started` follows `added` at
 *       once, and `log_stopped` comes right before `removed`.  In between they tell
 *       that the region got its first log, or lost its last.
 */
#ifndef SOFTMMU_LISTENER_H
#define SOFTMMU_LISTENER_H

#include "softmmu/address_space.h"

SM_BEGIN_DECLS

struct sm_listener;

/** What a listener does; any callback may be NULL.  Read by sm_listener_new() only. */
struct sm_listener_ops {
    uint32_t struct_size;
    void (*removed)(void *owner, const struct sm_section *section);
    void (*added)(void *owner, const struct sm_section *section);
    void (*committed)(void *owner, sm_ticket ticket);
    /* Callers from before end here. */
    /** A section that a commit left as it was.  Telling it visits the whole view. */
    void (*unchanged)(void *owner, const struct sm_section *section);
    /** From now on, or no longer, some dirty log watches the section (N5). */
    void (*log_started)(void *owner, const struct sm_section *section);
    void (*log_stopped)(void *owner, const struct sm_section *section);
    /** A log's pages were taken: all that were cleared in the section are among the
     *  addresses @range of it.  Called when the vCPUs have been asked to report again;
     *  the take's ticket may be pending. */
    void (*log_cleared)(void *owner, const struct sm_section *section,
                        const struct sm_range *range);
};

/** Listen to @space; the sections that it shows are reported as added first, then
 *  `committed` with ticket 0.
 *
 *  @priority  orders listeners of the same space (N4); 0 is usual
 *  Errors     -EINVAL bad struct_size; -ENOMEM
 *  Threads    any; inside an edit, what was committed last is reported */
SM_MUST_CHECK int sm_listener_new(struct sm_address_space *space,
                                  const struct sm_listener_ops *ops, void *owner,
                                  int priority, struct sm_listener **out);

/** Stop listening; every section is reported as removed before it returns.  Before the
 *  space is freed. */
void sm_listener_free(struct sm_listener *listener);

SM_END_DECLS
#endif
