/* SPDX-License-Identifier: MIT */
/* describe.c - tells what regions, spaces and views are, for whoever lists them. */
#include "base/alloc.h"
#include "memory/iommu_impl.h"
#include "softmmu/inspect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- One thing ---------------------------------------------------------- */

const char *sm_region_kind_name(const struct sm_region *region)
{
    switch (region->kind) {
    case SM_REGION_CONTAINER: return "container";
    case SM_REGION_RAM: return "ram";
    case SM_REGION_ROM: return "rom";
    case SM_REGION_IO: return "io";
    case SM_REGION_ALIAS: return "alias";
    case SM_REGION_ROM_DEVICE: return "romd";
    case SM_REGION_RESERVED: return "reserved";
    case SM_REGION_TRANSLATING: return "translating";
    }
    return "unknown";
}

void sm_region_get_info(struct sm_region *region, struct sm_region_info *info)
{
    const uint32_t size = SM_MIN(info->struct_size, (uint32_t)sizeof(*info));

    sm_topology_lock(region->topo);
    const struct sm_region_state *now = &region->now;
    const struct sm_region_info known = {
        .struct_size = size,
        .priority = now->priority,
        .name = region->name,
        .kind = sm_region_kind_name(region),
        .parent = now->parent,
        .target = region->target,
        .device = region->device,
        .offset = now->offset,
        .age = now->parent ? now->age : 0,
        .last = now->last,
        .window = now->window,
        .flags = (now->disabled ? (uint32_t)SM_INFO_DISABLED : 0) |
                 (now->readonly ? (uint32_t)SM_INFO_READONLY : 0) |
                 (now->calls ? (uint32_t)SM_INFO_CALLS : 0),
        .n_spaces = region->n_spaces,
        .n_aliases = region->n_aliases,
        .n_logs = region->ram ? sm_ram_count_logs(region->ram) : 0,
        .leads_to = region->iommu ? region->iommu->spaces : NULL,
        .n_leads_to = region->iommu ? region->iommu->n_spaces : 0,
    };
    sm_topology_unlock(region->topo);
    memset((char *)info + size, 0, info->struct_size - size);
    memcpy(info, &known, size);
}

const char *sm_address_space_name(const struct sm_address_space *space)
{
    return space->name;
}

struct sm_region *sm_address_space_root(const struct sm_address_space *space)
{
    return space->root->region; /* for as long as the space lives */
}

const char *sm_device_name(const struct sm_device *device)
{
    return device->name;
}

/* --- One after another -------------------------------------------------- */

/* Who is called meanwhile may not edit.  Returns what sm_visits_end() wants. */
static bool visits_begin(struct sm_topology *topo)
{
    sm_topology_lock(topo);
    const bool before = topo->telling;
    topo->telling = true;
    return before;
}

static void visits_end(struct sm_topology *topo, bool before)
{
    topo->telling = before;
    sm_topology_unlock(topo);
}

bool sm_region_ranked_children(const struct sm_region *region, struct sm_vec *n,
                               struct sm_region ***found)
{
    const size_t begin = n->n;

    sm_list_for_each(child, &region->children, struct sm_region, sibling) {
        if (!sm_vec_reserve(n, found, 1))
            return false;
        (*found)[n->n++] = child;
    }
    if (n->n - begin > 1)
        qsort(*found + begin, n->n - begin, sizeof((*found)[0]), sm_region_by_rank);
    return true;
}

int sm_region_each_child(struct sm_region *region,
                         bool (*visit)(void *arg, struct sm_region *region), void *arg)
{
    struct sm_region **children = NULL;
    struct sm_vec n = {0};

    const bool before = visits_begin(region->topo);
    const bool ok = sm_region_ranked_children(region, &n, &children);
    for (size_t i = 0; ok && i < n.n; i++)
        if (!visit(arg, children[i]))
            break;
    visits_end(region->topo, before);
    sm_free(children);
    return ok ? 0 : -ENOMEM;
}

void sm_topology_each_region(struct sm_topology *topo,
                             bool (*visit)(void *arg, struct sm_region *region),
                             void *arg)
{
    const bool before = visits_begin(topo);

    sm_list_for_each(region, &topo->regions, struct sm_region, node)
        if (!region->now.given_up && !visit(arg, region))
            break;
    visits_end(topo, before);
}

void sm_topology_each_device(struct sm_topology *topo,
                             bool (*visit)(void *arg, struct sm_device *device),
                             void *arg)
{
    const bool before = visits_begin(topo);

    sm_list_for_each(device, &topo->devices, struct sm_device, node)
        if (!visit(arg, device))
            break;
    visits_end(topo, before);
}

void sm_topology_each_space(struct sm_topology *topo,
                            bool (*visit)(void *arg, struct sm_address_space *space),
                            void *arg)
{
    const bool before = visits_begin(topo);

    sm_list_for_each(space, &topo->spaces, struct sm_address_space, node)
        if (!visit(arg, space))
            break;
    visits_end(topo, before);
}

void sm_address_space_each_section(struct sm_address_space *space,
                                   bool (*visit)(void *arg,
                                                 const struct sm_section *section),
                                   void *arg)
{
    const bool before = visits_begin(space->topo);

    /* No commit can replace the view meanwhile. */
    for (const struct sm_flat_section *section = NULL;
         (section = sm_flat_view_next(space->view, section));) {
        const struct sm_section public = {section->range, section->region,
                                          section->offset, section->readonly};
        if (!visit(arg, &public))
            break;
    }
    visits_end(space->topo, before);
}
