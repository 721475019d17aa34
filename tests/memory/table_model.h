/* SPDX-License-Identifier: MIT */
/* table_model.h - an IOMMU for tests: two levels of tables in guest RAM, per requester.
 *
 * A table is a page of 512 entries; an entry is an address with the low bits below.  The
 * upper level covers 2 MiB an entry, the lower 4 KiB; an upper entry without TABLE is a
 * large leaf.  1 GiB of iovas in all.
 */
#ifndef SM_TESTS_MEMORY_TABLE_MODEL_H
#define SM_TESTS_MEMORY_TABLE_MODEL_H

#include "../base/test.h"

#include "base/atomic.h"
#include "softmmu/softmmu.h"

enum {
    ENTRY_R = SM_PERM_R, ENTRY_W = SM_PERM_W, ENTRY_X = SM_PERM_X,
    ENTRY_RW = ENTRY_R | ENTRY_W,
    ENTRY_TABLE = 1 << 3,
    ENTRY_SPACE = 1 << 4, /* leads to .target[1], not to .target[0]            */
    N_REQUESTERS = 4
};

struct table_model {
    struct sm_device *device;
    struct sm_iommu *iommu;
    struct sm_address_space *tables, *target[2];
    uint64_t root[N_REQUESTERS]; /* of a requester's upper table; under the lock */
    bool locks;                  /* translate() takes the device's lock        */
    /* What happened; atomic: */
    uint32_t n_asked, n_reported, n_probes;
    struct sm_iommu_req last;
    void (*inside)(struct table_model *model); /* called in translate()        */
    void *owner;
};

SM_INLINE bool table_read(const struct table_model *model, uint64_t table,
                          uint64_t number, uint64_t *entry)
{
    const struct sm_attrs attrs = {.process = SM_NO_PROCESS,
                                   .flags = SM_ATTR_RAM_ONLY | SM_ATTR_WALK};
    return sm_address_space_load(model->tables, table + 8 * number, &attrs, 8, entry) ==
           SM_TX_OK;
}

/** Find the leaf of @iova; the range of iovas that it covers. */
SM_INLINE bool table_walk(const struct table_model *model, uint64_t root, uint64_t iova,
                          uint64_t *entry, struct sm_range *leaf)
{
    uint64_t bits = 21;

    *leaf = (struct sm_range){iova & SM_PAGE_MASK, iova | ~SM_PAGE_MASK};
    if (iova >> 30 || !table_read(model, root, iova >> 21, entry))
        return false;
    if (*entry & ENTRY_TABLE) {
        bits = 12;
        if (!table_read(model, *entry & SM_PAGE_MASK, iova >> 12 & 511, entry))
            return false;
    }
    leaf->first = iova >> bits << bits;
    leaf->last = leaf->first + ((UINT64_C(1) << bits) - 1);
    return *entry & (ENTRY_RW | ENTRY_X);
}

SM_INLINE void table_map_of(const struct table_model *model, uint32_t requester,
                            uint64_t entry, struct sm_range leaf,
                            struct sm_iommu_map *out)
{
    *out = (struct sm_iommu_map){
        .space = model->target[entry & ENTRY_SPACE ? 1 : 0],
        .base = entry & SM_PAGE_MASK,
        .span = leaf,
        .leaf = {leaf, {0, UINT64_MAX}},
        .tag = {{requester, 0}},
        .perms = entry & (ENTRY_RW | ENTRY_X),
    };
}

SM_INLINE bool table_translate(void *dev, const struct sm_iommu_req *req,
                               struct sm_iommu_map *out)
{
    struct table_model *model = dev;
    uint64_t root, entry;
    struct sm_range leaf;

    sm_fetch_add_relaxed(&model->n_asked, 1);
    if (req->flags & SM_IOMMU_PROBE)
        sm_fetch_add_relaxed(&model->n_probes, 1);
    if (model->locks)
        sm_device_lock(model->device);
    root = sm_load_acquire(&model->root[req->attrs.requester % N_REQUESTERS]);
    if (model->locks)
        sm_device_unlock(model->device);
    if (model->inside) {
        model->last = *req;
        model->inside(model);
    }
    if (!root || !table_walk(model, root, req->iova, &entry, &leaf) ||
        !(entry & (1u << req->access))) {
        if (!(req->flags & SM_IOMMU_PROBE))
            sm_fetch_add_relaxed(&model->n_reported, 1);
        return false;
    }
    table_map_of(model, req->attrs.requester, entry, leaf, out);
    return true;
}

SM_INLINE void table_iterate(void *dev, const struct sm_attrs *who, struct sm_range range,
                             void (*visit)(void *arg, const struct sm_iommu_map *map),
                             void *arg)
{
    struct table_model *model = dev;
    const uint64_t root = sm_load_acquire(&model->root[who->requester % N_REQUESTERS]);
    struct sm_iommu_map map;
    struct sm_range leaf;
    uint64_t entry;

    for (uint64_t iova = range.first & SM_PAGE_MASK; root && iova <= range.last;
         iova = leaf.last + 1) {
        if (iova >> 30)
            return;
        if (table_walk(model, root, iova, &entry, &leaf)) {
            table_map_of(model, who->requester, entry, leaf, &map);
            visit(arg, &map);
        }
    }
}

SM_INLINE void table_select(void *dev, const struct sm_attrs *who,
                            struct sm_iommu_tag *out)
{
    out->word[0] = who->requester;
}

static const struct sm_iommu_ops table_ops = {
    .struct_size = sizeof(table_ops),
    .translate = table_translate,
    .iterate = table_iterate,
    .select = table_select,
};

/** Make the model; its tables lie in @target, which is what they lead to, unless
 *  ENTRY_SPACE says @other. */
SM_INLINE void table_model_init(struct table_model *model, struct sm_topology *topo,
                                struct sm_address_space *target,
                                struct sm_address_space *other)
{
    struct sm_address_space *const spaces[] = {target, other};

    memset(model, 0, sizeof(*model));
    model->tables = model->target[0] = target;
    model->target[1] = other;
    assert_int_equal(sm_device_new(topo, "iommu", model, &model->device), 0);
    assert_int_equal(
        sm_iommu_new(model->device, &table_ops, spaces, other ? 2 : 1, &model->iommu), 0);
}

/** Forget everything that was translated. */
SM_INLINE sm_ticket table_invalidate_all(struct table_model *model)
{
    const struct sm_iommu_scope all = {.range = {0, UINT64_MAX}, .stage = 1};
    return sm_iommu_invalidate(model->iommu, &all);
}

#endif
