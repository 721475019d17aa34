/* SPDX-License-Identifier: MIT */
/* address_space.h - memory as one initiator sees it, and every way to touch it.
 *
 * An address space is a root region and the flat view last committed for it.
 * Page walks, devices, loader, debugger, snapshot and bulk copies all come
 * through here; there is no second path to guest memory.  A view's own form is
 * private: outside it is looked up, iterated and compared, never indexed.
 *
 * Layer:    memory
 * Threads:  any, online vCPUs and others alike.  May enter a device, so the
 *           caller holds no device lock (L2), unless SM_ATTR_RAM_ONLY is set.
 *
 * Invariants:
 *  (A1) A transfer splits at section borders, proceeds in address order and
 *       stops at the first failure; *done says how far it came.
 *  (A2) An aligned access of 1, 2, 4, 8 or 16 bytes to RAM is single-copy
 *       atomic.  Read-modify-write and compare-and-swap are so everywhere: on
 *       a device they are one read and one write under one hold of its lock.
 *  (A3) Every read-modify-write and compare-and-swap ends the reservations that
 *       other agents hold on the bytes it touched (softtlb.h, load_reserved).
 *  (A4) What sections say holds for all: read-only is read-only for the CPU and
 *       for DMA; only SM_ATTR_DEBUG overrides it.
 */
#ifndef SOFTMMU_ADDRESS_SPACE_H
#define SOFTMMU_ADDRESS_SPACE_H

#include "softmmu/types.h"

SM_BEGIN_DECLS

struct sm_topology;
struct sm_region;
struct sm_address_space;

/** @root may be NULL: nothing answers.  Edits @topo: inside an open edit, the space shows
 *  what was committed before for @root, if there was a space of it; else nothing.
 *  Spaces of the same root share one view.  Errors: -ENOMEM */
SM_MUST_CHECK int sm_address_space_new(struct sm_topology *topo, const char *name,
                                       struct sm_region *root,
                                       struct sm_address_space **out);
/** Before, its listeners and the iommus that lead here are freed. */
void sm_address_space_free(struct sm_address_space *space);

/** One stretch of a view that behaves alike. */
struct sm_section {
    struct sm_range range;    /* addresses in the space                        */
    struct sm_region *region; /* the one that answers, behind all aliases      */
    uint64_t offset;          /* of range.first in .region                     */
    bool readonly;
};

/** Find the section that holds @gpa.
 *  Returns  false in a hole; out->range is then the hole, .region NULL */
bool sm_address_space_lookup(struct sm_address_space *space, sm_gpa gpa,
                             struct sm_section *out);

/** Copy @size bytes; @done, which may be NULL, gets the bytes copied (A1).  Sixteen aligned
 *  bytes of RAM are copied at once (A2). */
enum sm_tx sm_address_space_read(struct sm_address_space *space, sm_gpa gpa,
                                 const struct sm_attrs *attrs, void *buf,
                                 uint64_t size, uint64_t *done);
enum sm_tx sm_address_space_write(struct sm_address_space *space, sm_gpa gpa,
                                  const struct sm_attrs *attrs, const void *buf,
                                  uint64_t size, uint64_t *done);

/** Set @size bytes to @value, as writing them would (A1). */
enum sm_tx sm_address_space_fill(struct sm_address_space *space, sm_gpa gpa,
                                 const struct sm_attrs *attrs, uint8_t value,
                                 uint64_t size, uint64_t *done);

/** One end of a copy. */
struct sm_place {
    struct sm_address_space *space;
    sm_gpa gpa;
    const struct sm_attrs *attrs;
};

/** Copy @size bytes from one place to another, in spaces of the same topology or not.
 *
 *  A stretch of bounded size is read, then written, and so on upwards: where the two
 *  overlap, which bytes win is not said; what was read of a device and cannot be
 *  written is lost.
 *  @done       bytes that arrived; may be NULL
 *  @at_source  whose failure is returned; may be NULL; unset when there is none
 *  Returns     as a write that stops where either end fails */
enum sm_tx sm_address_space_copy(const struct sm_place *to, const struct sm_place *from,
                                 uint64_t size, uint64_t *done, bool *at_source);

/** Make one access of 1, 2, 4 or 8 bytes, least significant byte at @gpa.
 *  Cost     RAM: one lookup, no lock, no call but this */
enum sm_tx sm_address_space_load(struct sm_address_space *space, sm_gpa gpa,
                                 const struct sm_attrs *attrs, unsigned size,
                                 uint64_t *value);
enum sm_tx sm_address_space_store(struct sm_address_space *space, sm_gpa gpa,
                                  const struct sm_attrs *attrs, unsigned size,
                                  uint64_t value);

/** Apply @op atomically (A2); @size 1, 2, 4 or 8, aligned, else ACCESS_ERROR. */
enum sm_tx sm_address_space_rmw(struct sm_address_space *space, sm_gpa gpa,
                                const struct sm_attrs *attrs, unsigned size,
                                enum sm_rmw op, uint64_t operand, uint64_t *old);
/** As sm_address_space_rmw(), of @size up to 16. */
enum sm_tx sm_address_space_rmw_wide(struct sm_address_space *space, sm_gpa gpa,
                                     const struct sm_attrs *attrs, unsigned size,
                                     enum sm_rmw op, struct sm_value operand,
                                     struct sm_value *old);
/** Store @desired where @expected is found; the swap took place if *old equals
 *  it.  @size up to 16, aligned. */
enum sm_tx sm_address_space_cas(struct sm_address_space *space, sm_gpa gpa,
                                const struct sm_attrs *attrs, unsigned size,
                                struct sm_value expected, struct sm_value desired,
                                struct sm_value *old);

/** Memory lent to a caller: stays allocated.  RAM outlives its unmapping. */
struct sm_mapping {
    void *host;
    uint64_t size;
    uintptr_t reserved[2];
};

/** Borrow the RAM at @gpa, at most up to the end of its section.
 *
 *  Copies nothing and never buffers: what is not RAM is SM_TX_ACCESS_ERROR.
 *  @access  SM_READ or SM_WRITE; what is lent for writing counts as dirty until it is
 *           released, with .host and .size as they were (dirty_log.h, D2)
 *  Returns  SM_TX_OK with out->size in 1..@size
 */
enum sm_tx sm_address_space_map(struct sm_address_space *space, sm_gpa gpa,
                                const struct sm_attrs *attrs, uint64_t size,
                                enum sm_access access, struct sm_mapping *out);
/** Give a mapping back, and drop what a buffer of sm_address_space_borrow() holds. */
void sm_mapping_release(struct sm_mapping *mapping);

enum { SM_BOUNCE_MAX = 64 << 10 };

/** Borrow memory at @gpa, whatever answers there: RAM as sm_address_space_map() does,
 *  else a buffer that stands in for at most SM_BOUNCE_MAX bytes of the section.
 *
 *  Who wants more calls again.  A buffer for SM_READ was filled by a read with @attrs;
 *  one for SM_WRITE is zero, and sm_mapping_finish() writes it, with the same @attrs.
 *  SM_ATTR_RAM_ONLY has no buffers.  Given back before @space is freed.
 *  Returns  SM_TX_OK with out->size in 1..@size: a read that failed behind the first
 *           byte gives what came before.  A failure of the first byte, or what is no
 *           memory to write at all; SM_TX_DEVICE_ERROR also for want of host memory */
enum sm_tx sm_address_space_borrow(struct sm_address_space *space, sm_gpa gpa,
                                   const struct sm_attrs *attrs, uint64_t size,
                                   enum sm_access access, struct sm_mapping *out);

/** Give back a mapping of sm_address_space_borrow() or _map(), of which the first
 *  @written bytes were written.
 *
 *  @written  at most its size; 0 for SM_READ
 *  @done     may be NULL; those that reached the guest, as sm_address_space_write()
 *  Returns   how writing a buffer ended; SM_TX_OK for all else */
enum sm_tx sm_mapping_finish(struct sm_mapping *mapping, uint64_t written,
                             uint64_t *done);

SM_END_DECLS
#endif
