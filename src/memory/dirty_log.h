/* SPDX-License-Identifier: MIT */
/* dirty_log.h - telling the dirty logs of a store that is about to be made.
 *
 * Layer:    memory
 * Threads:  an online agent between safe points, a pinned thread, or within an RCU
 *           section that does not end before the store is made.
 *
 * Why a mark that was found set may be relied on: whoever takes it away asks for a
 * ticket afterwards, and that ticket waits for the readers above.  So the store precedes
 * the ticket, and the page is in the snapshot.  A reader that began after the ticket
 * was issued sees the mark gone, as it sees all that was published before.
 */
#ifndef SM_MEMORY_DIRTY_LOG_H
#define SM_MEMORY_DIRTY_LOG_H

#include "memory/flatview.h"

/** Mark the pages of @section, which is of memory, that @size bytes (from 1) at @gpa lie
 *  in, in all logs.  The part outside the section is ignored. */
void sm_section_mark(const struct sm_flat_section *section, sm_gpa gpa, uint64_t size);

/** Tell whether these pages are marked in all logs. */
bool sm_section_is_marked(const struct sm_flat_section *section, sm_gpa gpa,
                          uint64_t size);

#endif
