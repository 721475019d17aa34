/* SPDX-License-Identifier: MIT */
/* mmio.h - one access to a device, whoever makes it.
 *
 * Layer:    memory
 * Threads:  an online agent that found @region in a view since its last safe point,
 *           or a pinned thread (memory_impl.h).  Holds no device lock (L1), no RCU
 *           section: callbacks may take long and may commit.
 *
 * Values are as a little-endian processor sees them: the byte at @offset is the
 * least significant.  @size is 1, 2, 4 or 8; any @offset.  A width or alignment
 * that the region does not accept, a direction that has no callback, an access
 * into the device that this thread is already in (L4), one that leaves the region,
 * and SM_ATTR_RAM_ONLY give SM_TX_ACCESS_ERROR.  Read-only sections are the
 * caller's to refuse (A4).
 *
 * SM_ATTR_DEBUG without SM_ATTR_EFFECTS peeks, writes and updates nothing.
 *
 * A ROM device's memory is read here in any width, unless its reads are calls, and
 * written by whom the paragraph above keeps from the device.
 */
#ifndef SM_MEMORY_MMIO_H
#define SM_MEMORY_MMIO_H

#include "softmmu/types.h"

struct sm_address_space;
struct sm_agent;
struct sm_region;

/** Read; *value is zero-extended, and untouched unless SM_TX_OK is returned. */
enum sm_tx sm_mmio_read(struct sm_region *region, uint64_t offset, unsigned size,
                        const struct sm_attrs *attrs, uint64_t *value);
enum sm_tx sm_mmio_write(struct sm_region *region, uint64_t offset, unsigned size,
                         const struct sm_attrs *attrs, uint64_t value);

/** Read, or write, @size bytes at @gpa of @space for @agent, which is online on this thread,
 *  if they are one device's and one callback as they stand: as nearly all are.
 *  Returns  enum sm_tx; -1: nothing was done, look more closely */
int sm_mmio_try_read(struct sm_agent *agent, struct sm_address_space *space, sm_gpa gpa,
                     unsigned size, const struct sm_attrs *attrs, uint64_t *value);
int sm_mmio_try_write(struct sm_agent *agent, struct sm_address_space *space, sm_gpa gpa,
                      unsigned size, const struct sm_attrs *attrs, uint64_t value);

/** One read and one write under one hold of the device's lock (A2). */
enum sm_tx sm_mmio_rmw(struct sm_region *region, uint64_t offset, unsigned size,
                       const struct sm_attrs *attrs, enum sm_rmw op, uint64_t operand,
                       uint64_t *old);
/** As sm_mmio_rmw(); writes only where *old equals @expected. */
enum sm_tx sm_mmio_cas(struct sm_region *region, uint64_t offset, unsigned size,
                       const struct sm_attrs *attrs, uint64_t expected, uint64_t desired,
                       uint64_t *old);

/** Size of the first piece of a transfer of @size bytes (from 1) at @offset: the
 *  widest natural one that the region accepts (A1).  1..8, at most @size; the access
 *  itself may still be refused. */
unsigned sm_mmio_piece(const struct sm_region *region, uint64_t offset, uint64_t size);

/** Count an access that was refused on its way to @region, which has callbacks.
 *  Returns  SM_TX_ACCESS_ERROR */
enum sm_tx sm_mmio_refuse(struct sm_region *region);

#endif
