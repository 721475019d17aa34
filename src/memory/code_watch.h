/* SPDX-License-Identifier: MIT */
/* code_watch.h - which pages of memory that code was made of may have writers.
 *
 * Whoever made code of a page has to compare it with the page again at each fence that
 * orders code - unless nobody can have written to it.  That is what is known here, for
 * all vCPUs together: a page is quiet, or may have writers.  Quiet it becomes when it is
 * asked for, sm_code_quieten(); it ends with the first writer, before the first byte
 * moves, and is then in the log, which has room for the last SM_CODE_LOG of them.
 *
 * A writer is whoever has to tell the dirty logs of what it is about to store
 * (memory/dirty_log.h), and it is told from others in the same places: an entry for
 * writes of a SoftTLB, as it is filled or first used; a transfer, an atomic, a window;
 * memory that is lent, until it is given back; and what its owner says that it wrote.
 * A store through an entry that is there costs nothing.  A page of which no code was
 * made is never quiet: that nobody looks at it costs one look at a bit, where an entry
 * is filled.
 *
 * Layer:    memory
 * Threads:  those of memory/dirty_log.h; a page is of memory that the caller may touch.
 *
 * Invariants:
 *  (K1) Bits change under the watch's lock.  Before a bit is taken away the page is put
 *       into the log, and the clock shows it.
 *  (K2) From when the ticket of a sm_code_quieten() that a page was given to is done, to
 *       when the page is put into the log next, nobody stores to it.
 *  (K3) Memory that is lent is not quiet.
 *
 * Why (K2) holds.  The bit is set, then the vCPUs are asked to report stores to the page
 * again, then the ticket is issued.  Whoever stores without a look at the bit does so by
 * an entry that was filled, or is within a section that began, before it saw the bit.
 * Such an entry goes, and such a section ends, before the ticket is done; what is filled
 * or begun after that sees the bit.  So all such stores precede the end of the ticket,
 * and a comparison after it sees them.  Whoever lends memory notes that and looks at the
 * bit then; we set the bit and look at the notes then: one of both sees the other.
 *
 * What follows from it for who keeps code: (1) read the clock, and take what the log has
 * since the last time as written; (2) find the bit set and the ticket done; (3) compare.
 * If that is equal the page need not be looked at until the log has it.  For a store
 * that the comparison has missed comes after it; by (K2) an entry of the log comes before
 * that store, and it is one that (1) has not read: those that it read precede (2), so
 * there a later ticket would have been asked for.  A fence that is to see the store, for
 * somebody said after it that it was made, comes after both, and reads it.
 *
 * It is the next fence that has to see it and not this one, even where the entry came
 * between (1) and (3): at (1) the store was not made.
 */
#ifndef SM_MEMORY_CODE_WATCH_H
#define SM_MEMORY_CODE_WATCH_H

#include "base/atomic.h"
#include "base/base.h"
#include "softmmu/types.h"

struct sm_ram;
struct sm_topology;
struct sm_flat_section;

enum { SM_CODE_LOG = 1024 };

/** A page of memory. */
struct sm_code_page {
    struct sm_ram *ram;
    uint64_t number;      /* in it                                             */
    const uint8_t *host;  /* of its first byte                                 */
};

/** Find the page that can be read at @gpa, the address of one, in @section.
 *  Returns  false if it cannot be watched: it is taken for written for ever */
bool sm_code_page_of(const struct sm_flat_section *section, sm_gpa gpa,
                     struct sm_code_page *out);

/** How many pages were put into the log; atomic, never less than before. */
const uint64_t *sm_code_clock(const struct sm_topology *topo);

/** Copy what was put into the log from @from up to @to, which the clock showed, to @host:
 *  addresses of pages.
 *  Returns  false if it has not got all of that any more: each page may have been put */
bool sm_code_log_read(const struct sm_topology *topo, uint64_t from, uint64_t to,
                      const uint8_t *host[SM_CODE_LOG]);

/** Have @pages become quiet.
 *  Returns  the ticket after which those are that sm_code_is_quiet() says it of
 *  Cost     one request per online vCPU, if any page was not */
sm_ticket sm_code_quieten(struct sm_topology *topo, const struct sm_code_page *pages,
                          unsigned n);

/** Whether the bit of @page is set: (K2) says what that means. */
bool sm_code_is_quiet(const struct sm_code_page *page);

#endif
