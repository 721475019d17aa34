/* SPDX-License-Identifier: MIT */
/* region.c - creates, maps, aliases and frees regions, keeping R1 and R2.
 *
 * Edits change the `now` state of a region; the first change in an edit keeps the
 * former one, so that an abort needs no memory and cannot fail.
 */
#include "base/alloc.h"
#include "base/atomic.h"
#include "base/bits.h"
#include "base/sized.h"
#include "memory/iommu_impl.h"

#include <errno.h>
#include <string.h>

/* --- Making and freeing ------------------------------------------------- */

static struct sm_region *region_alloc(struct sm_topology *topo, const char *name,
                                      enum sm_region_kind kind, uint64_t last)
{
    const size_t length = name ? strlen(name) : 0;
    struct sm_region *region = sm_alloc(sizeof(*region) + length + 1);

    if (!region)
        return NULL;
    if (length)
        memcpy(region->name, name, length);
    region->topo = topo;
    region->kind = kind;
    region->last = region->now.last = last;
    sm_list_init(&region->node);
    sm_list_init(&region->touched);
    sm_list_init(&region->sibling);
    sm_list_init(&region->children);
    sm_list_init(&region->aliases);
    sm_list_init(&region->alias);
    return region;
}

static void attach_alias(struct sm_region *region)
{
    region->target->n_aliases++;
    sm_list_add_before(&region->target->aliases, &region->alias);
}

static void detach_alias(struct sm_region *region)
{
    region->target->n_aliases--;
    sm_list_remove(&region->alias);
}

/* Make a finished region known. */
static void region_enlist(struct sm_region *region, struct sm_region **out)
{
    sm_topology_lock(region->topo);
    sm_list_add_before(&region->topo->regions, &region->node);
    region->serial = ++region->topo->serial;
    if (region->target)
        attach_alias(region);
    if (region->device)
        region->device->n_users++;
    if (region->iommu) {
        region->iommu->n_regions++;
        region->topo->translates = true;
    }
    sm_topology_unlock(region->topo);
    *out = region;
}

void sm_region_destroy(struct sm_region *region)
{
    if (region->ram) {
        sm_ram_drop_logs(region->ram);
        sm_ram_put(region->ram);
    }
    sm_free(region);
}

static void region_retired(struct sm_retired *retired)
{
    sm_region_destroy(sm_container_of(retired, struct sm_region, retired));
}

static int new_plain(struct sm_topology *topo, const char *name, enum sm_region_kind kind,
                     uint64_t last, struct sm_region **out)
{
    struct sm_region *region = region_alloc(topo, name, kind, last);

    if (!region)
        return -ENOMEM;
    region_enlist(region, out);
    return 0;
}

int sm_region_new(struct sm_topology *topo, const char *name, uint64_t last,
                  struct sm_region **out)
{
    return new_plain(topo, name, SM_REGION_CONTAINER, last, out);
}

int sm_region_new_reserved(struct sm_topology *topo, const char *name, uint64_t last,
                           struct sm_region **out)
{
    return new_plain(topo, name, SM_REGION_RESERVED, last, out);
}

/* A region with memory, not yet known; @options were checked. */
static int memory_alloc(struct sm_topology *topo, const char *name,
                        enum sm_region_kind kind, const struct sm_ram_options *options,
                        struct sm_region **out)
{
    struct sm_region *region = region_alloc(topo, name, kind, options->size - 1);

    if (!region)
        return -ENOMEM;
    const int error = sm_ram_new(options, &region->ram);
    if (error) {
        sm_free(region);
        return error;
    }
    *out = region;
    return 0;
}

static bool options_ok(const struct sm_ram_options *options)
{
    if (options->kind > SM_RAM_CALLER ||
        (options->flags & ~(uint32_t)(SM_RAM_ROM | SM_RAM_PRIVATE)) || !options->size ||
        (options->max_size && options->max_size < options->size))
        return false;
    if (options->kind == SM_RAM_CALLER)
        return options->host && !((uintptr_t)options->host & ~SM_PAGE_MASK);
    return options->kind == SM_RAM_FILE || !(options->flags & SM_RAM_PRIVATE);
}

int sm_region_new_ram_from(struct sm_topology *topo, const char *name,
                           const struct sm_ram_options *given, struct sm_region **out)
{
    struct sm_ram_options all;
    const struct sm_ram_options *const options = &all;
    struct sm_region *region;

    if (!sm_sized_take(&all, sizeof(all), given, sizeof(all)) || !options_ok(options))
        return -EINVAL;
    const int error =
        memory_alloc(topo, name,
                     options->flags & SM_RAM_ROM ? SM_REGION_ROM : SM_REGION_RAM, options,
                     &region);
    if (!error)
        region_enlist(region, out);
    return error;
}

int sm_region_new_ram(struct sm_topology *topo, const char *name, uint64_t size,
                      struct sm_region **out)
{
    const struct sm_ram_options options = {.struct_size = sizeof(options), .size = size};
    return sm_region_new_ram_from(topo, name, &options, out);
}

int sm_region_new_rom(struct sm_topology *topo, const char *name, uint64_t size,
                      struct sm_region **out)
{
    const struct sm_ram_options options = {
        .struct_size = sizeof(options), .size = size, .flags = SM_RAM_ROM};
    return sm_region_new_ram_from(topo, name, &options, out);
}

int sm_region_fd(const struct sm_region *region)
{
    return region->ram ? region->ram->fd : -1;
}

void sm_region_get_stats(const struct sm_region *region, struct sm_region_stats *out)
{
    const struct sm_io_counts *counts = &region->counts;
    const uint32_t size = SM_MIN(out->struct_size, (uint32_t)sizeof(*out));
    struct sm_region_stats stats = {.struct_size = size};

    for (unsigned i = 0; i < SM_ARRAY_LEN(counts->done[0]); i++) {
        const uint64_t reads = sm_load_relaxed(&counts->done[0][i]);
        const uint64_t writes = sm_load_relaxed(&counts->done[1][i]);
        stats.reads += reads;
        stats.writes += writes;
        stats.bytes_read += reads << i;
        stats.bytes_written += writes << i;
    }
    const uint64_t failed_reads = sm_load_relaxed(&counts->failed[0]);
    const uint64_t failed_writes = sm_load_relaxed(&counts->failed[1]);
    stats.reads += failed_reads;
    stats.writes += failed_writes;
    stats.failed = failed_reads + failed_writes;
    stats.refused = sm_load_relaxed(&counts->refused);
    memset((char *)out + size, 0, out->struct_size - size);
    memcpy(out, &stats, size);
}

void *sm_region_host(const struct sm_region *region)
{
    return region->ram ? region->ram->host : NULL;
}

static bool widths_ok(const struct sm_io_widths *widths)
{
    return sm_is_pow2(widths->min) && sm_is_pow2(widths->max) &&
           widths->min <= widths->max && widths->max <= 8;
}

static bool ops_ok(const struct sm_io_ops *ops)
{
    const uint32_t known = SM_IO_BIG_ENDIAN | SM_IO_LOCKLESS | SM_IO_WIDEN_WRITES |
                           SM_IO_LOCKLESS_READS;

    return sm_sized_ok(ops, sizeof(*ops), sizeof(*ops)) && !(ops->flags & ~known) &&
           (ops->read || ops->write) && widths_ok(&ops->accepts) &&
           widths_ok(&ops->implements);
}

/* Sizes from @widths's least to its most, a bit each. */
static unsigned sizes_of(const struct sm_io_widths *widths)
{
    return 2u * widths->max - widths->min;
}

/* The sizes of natural accesses that are one callback as they stand. */
static uint8_t plain_sizes(const struct sm_io_ops *ops, bool callback)
{
    if (!callback || (ops->flags & SM_IO_BIG_ENDIAN))
        return 0;
    return (uint8_t)(sizes_of(&ops->accepts) & sizes_of(&ops->implements));
}

int sm_region_new_io(struct sm_device *device, const char *name, uint64_t last,
                     const struct sm_io_ops *ops, struct sm_region **out)
{
    if (!ops_ok(ops))
        return -EINVAL;
    struct sm_region *region = region_alloc(device->topo, name, SM_REGION_IO, last);
    if (!region)
        return -ENOMEM;
    region->device = device;
    region->ops = ops;
    region->plain[0] = plain_sizes(ops, ops->read != NULL);
    region->plain[1] = plain_sizes(ops, ops->write != NULL);
    region_enlist(region, out);
    return 0;
}

int sm_region_new_rom_device(struct sm_device *device, const char *name, uint64_t size,
                             const struct sm_io_ops *ops, struct sm_region **out)
{
    const struct sm_ram_options options = {.struct_size = sizeof(options), .size = size};
    struct sm_region *region;

    if (!ops_ok(ops) || !size)
        return -EINVAL;
    const int error =
        memory_alloc(device->topo, name, SM_REGION_ROM_DEVICE, &options, &region);
    if (error)
        return error;
    region->device = device;
    region->ops = ops;
    region_enlist(region, out);
    return 0;
}

int sm_region_new_translating(struct sm_iommu *iommu, const char *name, uint64_t last,
                              struct sm_region **out)
{
    struct sm_region *region =
        region_alloc(iommu->topo, name, SM_REGION_TRANSLATING, last);

    if (!region)
        return -ENOMEM;
    region->iommu = iommu;
    region_enlist(region, out);
    return 0;
}

int sm_region_new_alias(struct sm_region *target, const char *name,
                        struct sm_range window, struct sm_region **out)
{
    if (window.first > window.last || window.last > target->now.last)
        return -ERANGE;
    struct sm_region *region =
        region_alloc(target->topo, name, SM_REGION_ALIAS, window.last - window.first);
    if (!region)
        return -ENOMEM;
    region->target = target;
    region->now.window = window.first;
    region_enlist(region, out);
    return 0;
}

/* --- Edits -------------------------------------------------------------- */

void sm_region_touch(struct sm_region *region)
{
    struct sm_topology *topo = region->topo;

    sm_topology_must_edit(topo);
    if (sm_list_empty(&region->touched)) {
        region->before = region->now;
        sm_list_add_before(&topo->touched, &region->touched);
    }
}

/* Does any way up from @from, by mapping or alias, lead to @to? */
static bool leads_up_to(struct sm_region *from, const struct sm_region *to)
{
    const uint64_t mark = ++from->topo->mark;
    struct sm_region *todo = from;

    /* A list through the regions: no memory to run out of, no depth. */
    from->mark = mark;
    from->next = NULL;
    while (todo) {
        struct sm_region *region = todo, *parent = region->now.parent;
        todo = region->next;
        if (region == to)
            return true;
        if (parent && parent->mark != mark) {
            parent->mark = mark;
            parent->next = todo;
            todo = parent;
        }
        sm_list_for_each(alias, &region->aliases, struct sm_region, alias) {
            if (alias->mark != mark) {
                alias->mark = mark;
                alias->next = todo;
                todo = alias;
            }
        }
    }
    return false;
}

int sm_region_map(struct sm_region *parent, uint64_t offset, struct sm_region *child,
                  int priority)
{
    sm_assert(parent->topo == child->topo);
    sm_topology_must_edit(parent->topo);
    sm_assert(!parent->now.given_up && !child->now.given_up);
    if (child->now.parent)
        return -EBUSY;
    if (child->now.last > UINT64_MAX - offset)
        return -ERANGE;
    if (leads_up_to(parent, child))
        return -ELOOP;
    sm_region_touch(child);
    child->now.parent = parent;
    child->now.offset = offset;
    child->now.priority = priority;
    child->now.age = ++parent->topo->age;
    sm_children_add(child);
    sm_region_dirty_place(child);
    return 0;
}

int sm_region_move(struct sm_region *child, uint64_t offset)
{
    sm_topology_must_edit(child->topo);
    if (!child->now.parent)
        return -ENOENT;
    if (child->now.last > UINT64_MAX - offset)
        return -ERANGE;
    sm_region_touch(child);
    sm_region_dirty_place(child);
    sm_children_remove(child);
    child->now.offset = offset;
    sm_children_add(child);
    sm_region_dirty_place(child);
    return 0;
}

void sm_region_unmap(struct sm_region *child)
{
    sm_region_touch(child);
    if (!child->now.parent)
        return;
    sm_region_dirty_place(child);
    sm_children_remove(child);
    child->now.parent = NULL;
    child->now.offset = 0;
    child->now.priority = 0;
}

int sm_region_set_priority(struct sm_region *child, int priority)
{
    sm_topology_must_edit(child->topo);
    if (!child->now.parent)
        return -ENOENT;
    sm_region_touch(child);
    child->now.priority = priority;
    sm_region_dirty_place(child);
    return 0;
}

/* Does the target of @alias have what an alias up to @last shows from @first on? */
static bool shows(const struct sm_region *alias, uint64_t first, uint64_t last)
{
    const uint64_t target_last = alias->target->now.last;
    return first <= target_last && last <= target_last - first;
}

/* Does @region reach no further than where it is mapped, shown or stored allows? */
static bool may_last(const struct sm_region *region, uint64_t last)
{
    if (last <= region->now.last)
        return true;
    if (region->now.parent && last > UINT64_MAX - region->now.offset)
        return false;
    if (region->ram)
        return last < region->ram->size;
    return !region->target || shows(region, region->now.window, last);
}

int sm_region_resize(struct sm_region *region, uint64_t last)
{
    sm_topology_must_edit(region->topo);
    if (!may_last(region, last))
        return -ERANGE;
    if (last == region->now.last)
        return 0;
    sm_region_touch(region);
    const struct sm_range differs = {SM_MIN(last, region->now.last) + 1,
                                     SM_MAX(last, region->now.last)};
    if (region->now.parent)
        sm_children_remove(region);
    region->now.last = last;
    if (region->now.parent)
        sm_children_add(region);
    sm_region_dirty(region, differs);
    return 0;
}

int sm_region_set_window(struct sm_region *alias, uint64_t first)
{
    sm_topology_must_edit(alias->topo);
    if (!alias->target)
        return -EINVAL;
    if (!shows(alias, first, alias->now.last))
        return -ERANGE;
    sm_region_touch(alias);
    alias->now.window = first;
    sm_region_dirty_all(alias);
    return 0;
}

void sm_region_set_readonly(struct sm_region *region, bool readonly)
{
    sm_region_touch(region);
    region->now.readonly = readonly;
    sm_region_dirty_all(region);
}

void sm_region_set_enabled(struct sm_region *region, bool enabled)
{
    sm_region_touch(region);
    region->now.disabled = !enabled;
    sm_region_dirty_all(region);
}

int sm_region_set_calls(struct sm_region *region, bool calls)
{
    sm_topology_must_edit(region->topo);
    if (region->kind != SM_REGION_ROM_DEVICE || (calls && !region->ops->read))
        return -EINVAL;
    sm_region_touch(region);
    region->now.calls = calls;
    sm_region_dirty_all(region);
    return 0;
}

/* Let go of what @region keeps; its memory waits for @ticket. */
static void region_release(struct sm_region *region, sm_ticket ticket)
{
    sm_list_remove(&region->node);
    if (region->device)
        region->device->n_users--;
    if (region->iommu)
        region->iommu->n_regions--;
    sm_retire(region->topo, &region->retired, ticket, region_retired);
}

int sm_region_free(struct sm_region *region)
{
    struct sm_topology *topo = region->topo;
    int result = 0;

    sm_topology_lock(topo);
    sm_assert(!region->now.given_up);
    if (region->now.parent || region->n_aliases || region->n_spaces ||
        (region->ram && region->ram->logs)) {
        result = -EBUSY;
    } else if (topo->depth == 1 && sm_list_empty(&region->children)) {
        /* No edit is open, and no view shows it: nothing to take back. */
        if (region->target)
            detach_alias(region);
        region_release(region, sm_topology_issue(topo));
    } else {
        sm_list_for_each_safe(child, next, &region->children, struct sm_region, sibling)
            sm_region_unmap(child);
        sm_region_touch(region);
        region->now.given_up = true;
        if (region->target)
            detach_alias(region);
        if (topo->depth == 1) {
            /* As above; what was mapped into it was visible nowhere either. */
            sm_regions_settle_edit(topo, sm_topology_issue(topo));
        }
    }
    sm_topology_unlock(topo);
    return result;
}

bool sm_regions_given_up(const struct sm_topology *topo)
{
    sm_list_for_each(region, &topo->touched, struct sm_region, touched)
        if (region->now.given_up)
            return true;
    return false;
}

void sm_regions_restore(struct sm_topology *topo)
{
    sm_list_for_each(region, &topo->touched, struct sm_region, touched) {
        if (region->now.parent)
            sm_children_remove(region);
        if (region->now.given_up && region->target)
            attach_alias(region);
    }
    sm_list_for_each_safe(region, next, &topo->touched, struct sm_region, touched) {
        region->now = region->before;
        if (region->now.parent)
            sm_children_add(region);
        sm_list_remove(&region->touched);
    }
}

void sm_regions_apply(struct sm_topology *topo)
{
    /* Accesses under way may see either; who needs to know waits for the ticket. */
    sm_list_for_each(region, &topo->touched, struct sm_region, touched) {
        sm_store_relaxed(&region->last, region->now.last);
        sm_store_relaxed(&region->calls, region->now.calls);
    }
}

void sm_regions_settle_edit(struct sm_topology *topo, sm_ticket ticket)
{
    sm_list_for_each_safe(region, next, &topo->touched, struct sm_region, touched) {
        sm_list_remove(&region->touched);
        if (region->now.given_up)
            region_release(region, ticket);
    }
}
