/* SPDX-License-Identifier: MIT */
/* mmio.c - converts guest widths and byte orders to those a callback implements.
 *
 * An access is first held against what the region accepts, then made of callbacks that
 * it implements: one that fits, several where it is too wide or too crooked, or a wider
 * one of which the guest sees a part.  All of them run under one hold of the lock.
 */
#include "memory/mmio.h"

#include "base/atomic.h"
#include "base/bits.h"
#include "memory/atomic_access.h"
#include "memory/memory_impl.h"
#include "memory/reserve.h"
#include "softmmu/softtlb_hit.h"

#include <string.h>

/* One access on its way through its pieces. */
struct mmio {
    const struct sm_region *region;
    const struct sm_attrs *attrs;
    bool debug; /* nothing may have an effect: reads peek                       */
};

/* A stretch of an access that one callback covers, alone or with bytes around it. */
struct piece {
    uint64_t offset;  /* the callback's                                        */
    unsigned size;    /* the callback's                                        */
    unsigned skip, n; /* the access's bytes in it: where they begin, how many  */
};

static bool fits(const struct sm_io_widths *widths, uint64_t offset, unsigned size)
{
    return size >= widths->min && size <= widths->max &&
           (widths->unaligned || !(offset & (size - 1)));
}

/* The size may be changing; whoever finds the region in a view is cut to that one's. */
static bool inside_region(const struct sm_region *region, uint64_t offset, unsigned size)
{
    const uint64_t last = sm_load_relaxed(&region->last); /* of sm_regions_apply() */
    return offset <= last && size - 1 <= last - offset;
}

/* Is the asker one who changes nothing? */
static bool harmless(const struct sm_attrs *attrs)
{
    return (attrs->flags & (SM_ATTR_DEBUG | SM_ATTR_EFFECTS)) == SM_ATTR_DEBUG;
}

/* May this be asked at all?  @size is 1, 2, 4 or 8. */
static bool accepted(const struct sm_region *region, uint64_t offset, unsigned size,
                     const struct sm_attrs *attrs)
{
    return !(attrs->flags & SM_ATTR_RAM_ONLY) && inside_region(region, offset, size) &&
           fits(&region->ops->accepts, offset, size);
}

/* The widest power of two that is at most @size, and at @offset natural. */
static unsigned natural_size(uint64_t offset, uint64_t size)
{
    const unsigned widest = size >= 8 ? 8 : 1u << sm_log2(size);
    const uint64_t aligned = offset ? offset & -offset : 8;
    return aligned < widest ? (unsigned)aligned : widest;
}

unsigned sm_mmio_piece(const struct sm_region *region, uint64_t offset, uint64_t size)
{
    const struct sm_io_widths *accepts = &region->ops->accepts;
    unsigned piece = natural_size(offset, size);

    if (piece < accepts->min && accepts->unaligned && size >= accepts->min)
        piece = accepts->min;
    return SM_MIN(piece, (unsigned)accepts->max);
}

/* Choose the callback for the first of @n bytes (from 1) at @offset. */
static struct piece next_piece(const struct sm_io_widths *implements, uint64_t offset,
                               unsigned n)
{
    unsigned size = implements->unaligned ? 1u << sm_log2(n) : natural_size(offset, n);

    size = SM_MIN(size, (unsigned)implements->max);
    if (size >= implements->min)
        return (struct piece){offset, size, 0, size};
    /* Too narrow: the bytes that share the smallest unit. */
    const uint64_t unit = sm_align_down(offset, implements->min);
    const unsigned skip = (unsigned)(offset - unit);
    return (struct piece){unit, implements->min, skip, SM_MIN(n, implements->min - skip)};
}

/* A value of @size bytes with its bytes in the other order. */
static uint64_t reversed(uint64_t value, unsigned size)
{
    return __builtin_bswap64(value) >> (64 - 8 * size);
}

/* --- The memory of a ROM device ----------------------------------------- */

/* Are reads of @region, by whoever asks, of its memory? */
static bool reads_memory(const struct sm_region *region)
{
    return region->ram && !sm_load_relaxed(&region->calls); /* of sm_regions_apply() */
}

static uint64_t load_memory(const struct sm_region *region, uint64_t offset, unsigned size)
{
    return sm_host_load(region->ram->host + offset, sm_log2(size));
}

static void store_memory(const struct sm_region *region, uint64_t offset, unsigned size,
                         uint64_t value)
{
    sm_ram_mark(region->ram, offset, size);
    if (SM_UNLIKELY(sm_load_relaxed(&region->topo->exact_reserve)))
        sm_reserve_store(region->topo, region->ram->host + offset, &value, size);
    else
        sm_host_store(region->ram->host + offset, sm_log2(size), value);
}

/* --- Pieces ------------------------------------------------------------- */

/* The piece's bytes in memory order, lowest address least significant. */
static enum sm_tx read_piece(const struct mmio *mmio, const struct piece *piece,
                             uint64_t *bytes)
{
    const struct sm_io_ops *ops = mmio->region->ops;
    void *dev = mmio->region->device->dev;
    uint64_t value = 0;
    enum sm_tx tx = SM_TX_ACCESS_ERROR;

    if (!inside_region(mmio->region, piece->offset, piece->size))
        return SM_TX_ACCESS_ERROR;
    if (mmio->debug) {
        if (ops->peek)
            tx = ops->peek(dev, piece->offset, piece->size, &value);
    } else if (ops->read) {
        tx = ops->read(dev, piece->offset, piece->size, mmio->attrs, &value);
    }
    value &= sm_mask(8 * piece->size);
    *bytes = ops->flags & SM_IO_BIG_ENDIAN ? reversed(value, piece->size) : value;
    return tx;
}

static enum sm_tx write_piece(const struct mmio *mmio, const struct piece *piece,
                              uint64_t bytes)
{
    const struct sm_io_ops *ops = mmio->region->ops;

    if (!ops->write || !inside_region(mmio->region, piece->offset, piece->size))
        return SM_TX_ACCESS_ERROR;
    if (piece->n != piece->size) {
        uint64_t around;
        if (!(ops->flags & SM_IO_WIDEN_WRITES))
            return SM_TX_ACCESS_ERROR;
        const struct mmio plain = {mmio->region, mmio->attrs, false};
        const enum sm_tx tx = read_piece(&plain, piece, &around);
        if (tx != SM_TX_OK)
            return tx;
        bytes = sm_insert(around, 8 * piece->skip, 8 * piece->n, bytes);
    }
    bytes &= sm_mask(8 * piece->size);
    if (ops->flags & SM_IO_BIG_ENDIAN)
        bytes = reversed(bytes, piece->size);
    return ops->write(mmio->region->device->dev, piece->offset, piece->size, mmio->attrs,
                      bytes);
}

static enum sm_tx read_inside(const struct mmio *mmio, uint64_t offset, unsigned size,
                              uint64_t *value)
{
    uint64_t all = 0;

    if (reads_memory(mmio->region)) {
        *value = load_memory(mmio->region, offset, size);
        return SM_TX_OK;
    }
    for (unsigned done = 0; done < size;) {
        const struct piece piece =
            next_piece(&mmio->region->ops->implements, offset + done, size - done);
        uint64_t bytes;
        const enum sm_tx tx = read_piece(mmio, &piece, &bytes);
        if (tx != SM_TX_OK)
            return tx;
        all |= sm_extract(bytes, 8 * piece.skip, 8 * piece.n) << (8 * done);
        done += piece.n;
    }
    *value = all;
    return SM_TX_OK;
}

static enum sm_tx write_inside(const struct mmio *mmio, uint64_t offset, unsigned size,
                               uint64_t value)
{
    for (unsigned done = 0; done < size;) {
        const struct piece piece =
            next_piece(&mmio->region->ops->implements, offset + done, size - done);
        const enum sm_tx tx = write_piece(mmio, &piece, value >> (8 * done));
        if (tx != SM_TX_OK)
            return tx;
        done += piece.n;
    }
    return SM_TX_OK;
}

/* --- Statistics --------------------------------------------------------- */

/* Whether others may be in @region at the same time, reading or writing. */
static bool is_lockless(const struct sm_region *region, bool write)
{
    return region->ops->flags &
           (write ? SM_IO_LOCKLESS : SM_IO_LOCKLESS | SM_IO_LOCKLESS_READS);
}

/* Count one more; where nobody else may be in there, as it is @locked, nobody else does. */
static void count_access(struct sm_region *region, bool write, unsigned size,
                         enum sm_tx tx, bool locked)
{
    struct sm_io_counts *const counts = &region->counts;
    uint64_t *const counter = SM_LIKELY(tx == SM_TX_OK)
        ? &counts->done[write][sm_log2(size)] : &counts->failed[write];

    if (locked)
        sm_store_relaxed(counter, sm_load_relaxed(counter) + 1);
    else
        sm_fetch_add_relaxed(counter, 1);
}

enum sm_tx sm_mmio_refuse(struct sm_region *region)
{
    sm_fetch_add_relaxed(&region->counts.refused, 1);
    return SM_TX_ACCESS_ERROR;
}

/* --- Entering ----------------------------------------------------------- */

struct visit {
    struct sm_device_frame frame;
    const struct sm_panic_hook *hook;
    bool hooked;
};

SM_ALWAYS_INLINE bool enter(struct sm_region *region, struct visit *visit, bool write)
{
    if (!sm_device_enter(region->device, &visit->frame, is_lockless(region, write)))
        return false;
    /* An agent's hook is its topology's for as long as it is online. */
    visit->hooked = !sm_thread.agent || sm_thread.agent->topo != region->topo;
    if (visit->hooked)
        visit->hook = sm_panic_enter(&region->topo->hook);
    return true;
}

static void leave(struct visit *visit)
{
    if (visit->hooked)
        sm_panic_leave(visit->hook);
    sm_device_leave(&visit->frame);
}

/* Is the access one callback as it stands, and somebody's who may make it?  Most are. */
SM_ALWAYS_INLINE bool is_plain(const struct sm_region *region, uint64_t offset,
                               unsigned size, const struct sm_attrs *attrs, bool write)
{
    return (region->plain[write] & size) && !(offset & (size - 1)) &&
           !(attrs->flags & (SM_ATTR_DEBUG | SM_ATTR_RAM_ONLY)) &&
           inside_region(region, offset, size);
}

static SM_NOINLINE enum sm_tx read_any(struct sm_region *region, uint64_t offset,
                                       unsigned size, const struct sm_attrs *attrs,
                                       uint64_t *value)
{
    const struct mmio mmio = {region, attrs, harmless(attrs)};
    struct visit visit;

    if (reads_memory(region) && inside_region(region, offset, size)) {
        *value = load_memory(region, offset, size);
        return SM_TX_OK;
    }
    if (SM_UNLIKELY(!accepted(region, offset, size, attrs) ||
                    !(mmio.debug ? (bool)region->ops->peek : (bool)region->ops->read) ||
                    !enter(region, &visit, false)))
        return sm_mmio_refuse(region);
    const enum sm_tx tx = read_inside(&mmio, offset, size, value);
    count_access(region, false, size, tx, visit.frame.locked);
    leave(&visit);
    return tx;
}

SM_ALWAYS_INLINE enum sm_tx read_plain(struct sm_region *region, uint64_t offset,
                                       unsigned size, const struct sm_attrs *attrs,
                                       uint64_t *value)
{
    struct visit visit;
    uint64_t read = 0;

    if (SM_UNLIKELY(!enter(region, &visit, false)))
        return sm_mmio_refuse(region);
    const enum sm_tx tx =
        region->ops->read(region->device->dev, offset, size, attrs, &read);
    if (SM_LIKELY(tx == SM_TX_OK))
        *value = read & sm_mask(8 * size);
    count_access(region, false, size, tx, visit.frame.locked);
    leave(&visit);
    return tx;
}

enum sm_tx sm_mmio_read(struct sm_region *region, uint64_t offset, unsigned size,
                        const struct sm_attrs *attrs, uint64_t *value)
{
    return SM_LIKELY(is_plain(region, offset, size, attrs, false))
        ? read_plain(region, offset, size, attrs, value)
        : read_any(region, offset, size, attrs, value);
}

static SM_NOINLINE enum sm_tx write_any(struct sm_region *region, uint64_t offset,
                                        unsigned size, const struct sm_attrs *attrs,
                                        uint64_t value)
{
    const struct mmio mmio = {region, attrs, harmless(attrs)};
    struct visit visit;

    if (region->ram && mmio.debug && !(attrs->flags & SM_ATTR_RAM_ONLY) &&
        inside_region(region, offset, size)) {
        store_memory(region, offset, size, value);
        return SM_TX_OK;
    }
    if (SM_UNLIKELY(mmio.debug || !accepted(region, offset, size, attrs) ||
                    !region->ops->write || !enter(region, &visit, true)))
        return sm_mmio_refuse(region);
    const enum sm_tx tx = write_inside(&mmio, offset, size, value);
    count_access(region, true, size, tx, visit.frame.locked);
    leave(&visit);
    return tx;
}

SM_ALWAYS_INLINE enum sm_tx write_plain(struct sm_region *region, uint64_t offset,
                                        unsigned size, const struct sm_attrs *attrs,
                                        uint64_t value)
{
    struct visit visit;

    if (SM_UNLIKELY(!enter(region, &visit, true)))
        return sm_mmio_refuse(region);
    const enum sm_tx tx = region->ops->write(region->device->dev, offset, size, attrs,
                                             value & sm_mask(8 * size));
    count_access(region, true, size, tx, visit.frame.locked);
    leave(&visit);
    return tx;
}

enum sm_tx sm_mmio_write(struct sm_region *region, uint64_t offset, unsigned size,
                         const struct sm_attrs *attrs, uint64_t value)
{
    return SM_LIKELY(is_plain(region, offset, size, attrs, true))
        ? write_plain(region, offset, size, attrs, value)
        : write_any(region, offset, size, attrs, value);
}

/* --- By address --------------------------------------------------------- */

/* The region that answers for @size bytes at @gpa with one callback, *offset; or NULL.
 * What is no device's has no such sizes, nor has what translates. */
SM_ALWAYS_INLINE struct sm_region *plain_at(const struct sm_agent *agent,
                                            struct sm_address_space *space, sm_gpa gpa,
                                            unsigned size, const struct sm_attrs *attrs,
                                            bool write, uint64_t *offset)
{
    const struct sm_flat_section *section = agent->section;

    if (SM_UNLIKELY(agent->view != sm_address_space_view(space) ||
                    gpa - section->range.first >
                        section->range.last - section->range.first))
        section = sm_address_space_section(space, gpa);
    if (SM_UNLIKELY(!section || section->range.last - gpa < size - 1 ||
                    (write && section->readonly)))
        return NULL;
    *offset = sm_flat_section_offset(section, gpa);
    return SM_LIKELY(is_plain(section->region, *offset, size, attrs, write))
        ? section->region : NULL;
}

int sm_mmio_try_read(struct sm_agent *agent, struct sm_address_space *space, sm_gpa gpa,
                     unsigned size, const struct sm_attrs *attrs, uint64_t *value)
{
    uint64_t offset;
    struct sm_region *const region =
        plain_at(agent, space, gpa, size, attrs, false, &offset);

    return SM_LIKELY(region != NULL)
        ? (int)read_plain(region, offset, size, attrs, value) : -1;
}

int sm_mmio_try_write(struct sm_agent *agent, struct sm_address_space *space, sm_gpa gpa,
                      unsigned size, const struct sm_attrs *attrs, uint64_t value)
{
    uint64_t offset;
    struct sm_region *const region =
        plain_at(agent, space, gpa, size, attrs, true, &offset);

    return SM_LIKELY(region != NULL)
        ? (int)write_plain(region, offset, size, attrs, value) : -1;
}

/* --- Atomics ------------------------------------------------------------ */

/* What an atomic operation wants to store, or that it does not. */
struct update {
    bool cas;
    enum sm_rmw op;
    uint64_t expected, operand;
};

static enum sm_tx update(struct sm_region *region, uint64_t offset, unsigned size,
                         const struct sm_attrs *attrs, const struct update *how,
                         uint64_t *old)
{
    const bool lockless = region->ops->flags & SM_IO_LOCKLESS;
    struct sm_attrs halves = *attrs;
    struct visit visit;
    uint64_t found;

    halves.flags |= SM_ATTR_ATOMIC;
    const struct mmio mmio = {region, &halves, false};
    if (harmless(attrs) || !accepted(region, offset, size, attrs) ||
        (!region->ops->read && !reads_memory(region)) || !region->ops->write ||
        !enter(region, &visit, true))
        return sm_mmio_refuse(region);
    if (lockless) /* at least among themselves */
        pthread_mutex_lock(&region->device->atomic_lock);
    enum sm_tx tx = read_inside(&mmio, offset, size, &found);
    if (!reads_memory(region))
        count_access(region, false, size, tx, visit.frame.locked);
    if (tx == SM_TX_OK &&
        (!how->cas || found == (how->expected & sm_mask(8 * size)))) {
        tx = write_inside(&mmio, offset, size,
                          how->cas ? how->operand
                                   : sm_rmw_result(how->op, size, found, how->operand));
        count_access(region, true, size, tx, visit.frame.locked);
    }
    if (lockless)
        pthread_mutex_unlock(&region->device->atomic_lock);
    leave(&visit);
    if (tx == SM_TX_OK)
        *old = found;
    return tx;
}

enum sm_tx sm_mmio_rmw(struct sm_region *region, uint64_t offset, unsigned size,
                       const struct sm_attrs *attrs, enum sm_rmw op, uint64_t operand,
                       uint64_t *old)
{
    const struct update how = {.op = op, .operand = operand};
    return update(region, offset, size, attrs, &how, old);
}

enum sm_tx sm_mmio_cas(struct sm_region *region, uint64_t offset, unsigned size,
                       const struct sm_attrs *attrs, uint64_t expected, uint64_t desired,
                       uint64_t *old)
{
    const struct update how = {.cas = true, .expected = expected, .operand = desired};
    return update(region, offset, size, attrs, &how, old);
}
