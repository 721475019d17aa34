/* SPDX-License-Identifier: MIT */
/* dirty_log.h - which pages of a RAM region were written.
 *
 * A log is one client's view: a screen, a migration, a fuzzer that resets memory.
 * Any number of them watch a region, each with its own bits.  Every way to memory
 * marks: a vCPU's stores and atomics, walks that set A and D, transfers, and mappings.
 * What the owner writes through sm_region_host(), and what comes in from outside, as
 * through memory that is shared, the owner tells by sm_region_written().
 *
 * Layer:    memory
 * Threads:  any, device callbacks included; nothing here waits for a reader.  A log
 *           itself is used by one thread at a time.
 *
 * Invariants:
 *  (D1) A vCPU may store to a page unseen only while the page's bit is set for every
 *       client, or while a request to it to look again is pending.  Hence each unseen
 *       store is to a page of the snapshot and precedes the snapshot's ticket.
 *  (D2) A page that is lent for writing is in every snapshot until it is given back.
 *       Where very many are lent at once, so are others beside them.
 *  (D3) A store that begins after the snapshot's ticket is done is in a later snapshot.
 *
 * So whoever takes a snapshot, waits for its ticket and copies its pages, again and
 * again, has at the end, when nobody stores any more, an equal copy.
 */
#ifndef SOFTMMU_DIRTY_LOG_H
#define SOFTMMU_DIRTY_LOG_H

#include "softmmu/types.h"

SM_BEGIN_DECLS

struct sm_region;
struct sm_dirty_log;

/** Start a log of the pages of @ram that are written, all of them set.
 *
 *  Pages are of SM_PAGE_SIZE bytes, counted from the region's first, wherever it is
 *  mapped and through whatever aliases it is seen.  A resize neither sets nor clears.
 *  Errors   -EINVAL not RAM, ROM or a ROM device; -ENOMEM
 *  Threads  takes the topology's lock; not from a listener's callback */
SM_MUST_CHECK int sm_dirty_log_new(struct sm_region *ram, struct sm_dirty_log **out);

/** End it; NULL is no log.  Before @ram is freed, which is -EBUSY until then; the
 *  topology takes what is left with it.  Threads: as sm_dirty_log_new() */
void sm_dirty_log_free(struct sm_dirty_log *log);

/** Hears of a run of pages: @pages, offsets in the region. */
typedef void (*sm_dirty_fn)(void *arg, const struct sm_range *pages);

/** Take and clear the bits of @range, and have the vCPUs report again.
 *
 *  @range   offsets in the region, widened to whole pages
 *  @dirty   called for each maximal run of pages that were set or are lent (D2), in
 *           ascending order, cut to the region's size; may be NULL.  It leaves the log
 *           alone, and need not copy: that is for after the ticket
 *  Returns  the ticket after which those pages may be read (D1)
 *  Cost     follows the pages set, plus one request per online vCPU, none if no page is
 *           set; nobody is stopped.  No lock but a leaf, unless a listener hears of it
 *           (listener.h, log_cleared)
 */
SM_MUST_CHECK sm_ticket sm_dirty_log_take(struct sm_dirty_log *log, struct sm_range range,
                                          sm_dirty_fn dirty, void *arg);

/** Say that the bytes @range of @region were changed by its owner, through
 *  sm_region_host() or from outside: marks them in all logs.  Whoever changes code that a
 *  vCPU ran has to say so, too: a fence that comes after this finds it.
 *
 *  @range   offsets; what lies behind the memory is ignored, as is a region without
 *  Cost     without a log, next to nothing */
void sm_region_written(struct sm_region *region, struct sm_range range);

SM_END_DECLS
#endif
