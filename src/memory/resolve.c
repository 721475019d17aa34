/* SPDX-License-Identifier: MIT */
/* resolve.c - follows an access through translating regions to who answers. */
#include "memory/resolve.h"

#include "memory/iommu_impl.h"

uint64_t sm_topology_translation_generation(const struct sm_topology *topo)
{
    /* Of sm_translation_changed(). */
    return sm_load_acquire(&topo->translation_generation);
}

/* Is this what a model may say (I7)? */
static bool answer_ok(const struct sm_iommu *iommu, uint64_t iova,
                      const struct sm_iommu_map *map)
{
    if (iova < map->span.first || iova > map->span.last ||
        map->span.last - map->span.first > UINT64_MAX - map->base)
        return false;
    for (unsigned i = 0; i < iommu->n_spaces; i++)
        if (iommu->spaces[i] == map->space)
            return true;
    return false;
}

/* Ask the model of a translating region where @iova leads. */
static enum sm_hop_end ask(const struct sm_iommu *iommu, uint64_t iova,
                           const struct sm_attrs *attrs, enum sm_access access,
                           struct sm_iommu_map *map)
{
    const struct sm_iommu_req req = {
        .iova = iova,
        .access = access,
        .flags = attrs->flags & SM_ATTR_DEBUG ? SM_IOMMU_PROBE : 0,
        .attrs = *attrs,
    };
    struct sm_topology *topo = iommu->topo;
    const struct sm_agent *agent = sm_thread.agent;
    const struct sm_panic_hook *hook = NULL;

    /* A model's lock comes behind no other device's, nor behind the topology's. */
    if (sm_thread.translating || sm_thread_holds_device() ||
        sm_device_is_inside(iommu->device))
        return SM_HOP_NOT_ASKED;
    sm_assert_hot(!sm_thread.n_edits);
    const bool foreign = !agent || agent->topo != topo;
    if (foreign)
        hook = sm_panic_enter(&topo->hook);
    if (attrs->flags & SM_ATTR_WALK)
        sm_thread.walked_beyond = true;
    *map = (struct sm_iommu_map){.space = NULL};
    sm_thread.translating = true;
    const bool translated = iommu->ops->translate(iommu->device->dev, &req, map);
    sm_thread.translating = false;
    if (foreign)
        sm_panic_leave(hook);
    if (!translated)
        return SM_HOP_REFUSED;
    return (map->perms & (1u << access)) && answer_ok(iommu, iova, map) ? SM_HOP_LEADS_ON
                                                                        : SM_HOP_WRONG;
}

/* Note, for who wants to know, how it went at a region. */
static void note(struct sm_hops *hops, const struct sm_region *region, sm_iova iova,
                 enum sm_hop_end end, const struct sm_iommu_map *map)
{
    if (SM_LIKELY(!hops))
        return;
    struct sm_hop *hop = &hops->hop[hops->n++];
    *hop = (struct sm_hop){.region = region, .iova = iova, .end = end};
    if (end == SM_HOP_LEADS_ON)
        hop->map = *map;
}

/* Cut what lies around *@out's address to @range, in which @at is that address. */
static void cut(struct sm_resolved *out, uint64_t at, struct sm_range range)
{
    out->before = SM_MIN(out->before, at - range.first);
    out->after = SM_MIN(out->after, range.last - at);
}

static inline enum sm_tx resolve(struct sm_reader *reader, struct sm_address_space *space,
                                 sm_gpa gpa, const struct sm_attrs *attrs,
                                 enum sm_access access, struct sm_resolved *out,
                                 struct sm_hops *told)
{
    const bool ram_only = (attrs->flags & SM_ATTR_RAM_ONLY) || sm_thread.translating;
    const bool write = access == SM_WRITE;

    *out = (struct sm_resolved){.before = UINT64_MAX, .after = UINT64_MAX,
                                .perms = SM_PERM_R | SM_PERM_W | SM_PERM_X};
    for (unsigned hops = 0;;) {
        const struct sm_flat_section *section = sm_address_space_section(space, gpa);
        struct sm_iommu_map map;

        if (!section)
            return SM_TX_DECODE_ERROR;
        if (write && section->readonly && !(attrs->flags & SM_ATTR_DEBUG))
            return SM_TX_ACCESS_ERROR;
        if (section->host || (section->rom && !write) || !section->translating) {
            if (!section->host && !(section->rom && !write)) {
                if (ram_only)
                    return SM_TX_ACCESS_ERROR;
                if (reader && sm_reader_pin(reader))
                    continue; /* look again */
            }
            cut(out, gpa, section->range);
            out->section = section;
            out->gpa = gpa;
            return SM_TX_OK;
        }
        if (reader && sm_reader_pin(reader))
            continue;
        const uint64_t iova = sm_flat_section_offset(section, gpa);
        const enum sm_hop_end end =
            hops++ == SM_MAX_HOPS
                ? SM_HOP_TOO_MANY
                : ask(section->region->iommu, iova, attrs, access, &map);
        note(told, section->region, iova, end, &map);
        if (end != SM_HOP_LEADS_ON)
            return SM_TX_ACCESS_ERROR;
        cut(out, gpa, section->range);
        cut(out, iova, map.span);
        out->perms &= map.perms;
        if (section->readonly)
            out->perms &= (uint8_t)~SM_PERM_W;
        space = map.space;
        gpa = map.base + (iova - map.span.first);
    }
}

enum sm_tx sm_resolve(struct sm_reader *reader, struct sm_address_space *space,
                      sm_gpa gpa, const struct sm_attrs *attrs, enum sm_access access,
                      struct sm_resolved *out)
{
    return resolve(reader, space, gpa, attrs, access, out, NULL);
}

enum sm_tx sm_resolve_hops(struct sm_reader *reader, struct sm_address_space *space,
                           sm_gpa gpa, const struct sm_attrs *attrs,
                           enum sm_access access, struct sm_resolved *out,
                           struct sm_hops *hops)
{
    hops->n = 0;
    return resolve(reader, space, gpa, attrs, access, out, hops);
}

enum sm_tx sm_resolve_atomic(struct sm_reader *reader, struct sm_address_space *space,
                             sm_gpa gpa, const struct sm_attrs *attrs,
                             struct sm_resolved *out)
{
    struct sm_resolved read;
    enum sm_tx tx = sm_resolve(reader, space, gpa, attrs, SM_WRITE, out);

    if (tx != SM_TX_OK || (out->perms & SM_PERM_R))
        return tx;
    /* The model has allowed the write only: let it say, and report, that it refuses the
     * read.  One that does not may give the two different places: no update is both. */
    tx = sm_resolve(reader, space, gpa, attrs, SM_READ, &read);
    if (tx != SM_TX_OK)
        return tx;
    return read.section == out->section && read.gpa == out->gpa ? SM_TX_OK
                                                                : SM_TX_ACCESS_ERROR;
}
