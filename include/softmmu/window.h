/* SPDX-License-Identifier: MIT */
/* window.h - a stretch of a space that a device uses again and again.
 *
 * A ring or a table is looked up once and then accessed at the price of a load, until
 * a commit that changes the space makes the next access look again: generations tell,
 * nobody has to.  What is not RAM is reached too, by the ordinary way.
 *
 * A window keeps nothing alive: what it remembers it only follows once it knows that
 * the view it comes from is still the current one.  So tickets are exact, however long
 * a window is not used, and none has to be closed before memory goes.
 *
 * Layer:    memory
 * Threads:  a window is used by one thread at a time, which holds no device lock
 *           unless the attributes say SM_ATTR_RAM_ONLY.
 */
#ifndef SOFTMMU_WINDOW_H
#define SOFTMMU_WINDOW_H

#include "softmmu/address_space.h"

SM_BEGIN_DECLS

/** In the caller's memory; zero it, or sm_window_open() it, before any use. */
struct sm_window {
    uint64_t reserved[12];
};

/** Open @window on @size bytes (from 1) at @gpa.
 *
 *  Cannot fail: who answers is found at the first access, and whether anybody does.
 *  Needs no sm_window_close() of what was open, and locks nothing. */
void sm_window_open(struct sm_window *window, struct sm_address_space *space, sm_gpa gpa,
                    const struct sm_attrs *attrs, uint64_t size);
/** End the use of @window, before the space is freed: as if it was zeroed. */
void sm_window_close(struct sm_window *window);

/** As their namesakes of address_space.h; @offset in the window.  What would leave it,
 *  or uses one that is not open, is SM_TX_DECODE_ERROR, and does nothing.
 *  Cost     RAM: no lookup and no lock, while the space stays as it is */
enum sm_tx sm_window_read(struct sm_window *window, uint64_t offset, void *buf,
                          uint64_t size, uint64_t *done);
enum sm_tx sm_window_write(struct sm_window *window, uint64_t offset, const void *buf,
                           uint64_t size, uint64_t *done);
enum sm_tx sm_window_load(struct sm_window *window, uint64_t offset, unsigned size,
                          uint64_t *value);
enum sm_tx sm_window_store(struct sm_window *window, uint64_t offset, unsigned size,
                           uint64_t value);

SM_END_DECLS
#endif
