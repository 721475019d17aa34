/* SPDX-License-Identifier: MIT */
/* machines.h - what the listings of these tests list. */
#ifndef SM_TESTS_INSPECT_MACHINES_H
#define SM_TESTS_INSPECT_MACHINES_H

#include "../memory/support.h"

#include "softmmu/inspect.h"

static inline enum sm_tx machines_read(void *dev, uint64_t offset, unsigned size,
                                       const struct sm_attrs *attrs, uint64_t *value)
{
    *value = 0;
    return SM_TX_OK;
}

static const struct sm_io_ops machines_ops = {.struct_size = sizeof(machines_ops),
                                              .read = machines_read,
                                              .accepts = {1, 8, true},
                                              .implements = {1, 8, true}};

static inline struct sm_region *new_io(struct world *world, const char *device,
                                       const char *name, uint64_t last)
{
    struct sm_device *dev;
    struct sm_region *region;

    assert_int_equal(sm_device_new(world->topo, device, NULL, &dev), 0);
    assert_int_equal(sm_region_new_io(dev, name, last, &machines_ops, &region), 0);
    return region;
}

static inline struct sm_region *new_flash(struct world *world, const char *name,
                                          uint64_t size)
{
    struct sm_device *dev;
    struct sm_region *region;

    assert_int_equal(sm_device_new(world->topo, name, NULL, &dev), 0);
    assert_int_equal(sm_region_new_rom_device(dev, name, size, &machines_ops, &region),
                     0);
    return region;
}

static inline struct sm_region *new_reserved(struct world *world, const char *name,
                                             uint64_t last)
{
    struct sm_region *region;
    assert_int_equal(sm_region_new_reserved(world->topo, name, last, &region), 0);
    return region;
}

/** A PC's memory below 1 MiB: what the firmware's segments show, aliases of RAM and of the
 *  bus decide, some of them read-only, some switched off.  A second space, of a device that
 *  sees no more than the bus; and a third without anything. */
static inline void make_pam(struct world *world)
{
    struct sm_address_space *space;
    struct sm_region *alias;

    world_init(world);
    struct sm_region *ram = new_ram(world, "pc.ram", 0x1000000);
    struct sm_region *pci = new_container(world, "pci", UINT64_MAX);
    struct sm_region *vram = new_ram(world, "vga.vram", 0x800000);
    struct sm_region *rom = new_rom(world, "pc.bios", 0x40000);
    struct sm_region *low = new_io(world, "vga", "vga-lowmem", 0x1ffff);
    struct sm_region *flash = new_flash(world, "flash", 0x10000);
    sm_topology_begin(world->topo);
    map(world->root, 0, new_alias(ram, "ram-below-4g", 0, 0xffffff), 0);
    map(world->root, 0, pci, -1);
    map(pci, 0xa0000, low, 1);
    map(pci, 0xfd000000, vram, 1);
    map(pci, 0xfffc0000, rom, 0);
    map(pci, 0xe0000, new_alias(rom, "isa-bios", 0x20000, 0x3ffff), 1);
    map(pci, 0xffe00000, flash, 0);
    sm_region_set_enabled(flash, false);
    map(world->root, 0xa0000, new_alias(pci, "smram-region", 0xa0000, 0xbffff), 1);
    static const char *const names[] = {"pam-ram", "pam-rom", "pam-pci"};
    for (unsigned i = 0; i < 3; i++) {
        alias = new_alias(i == 2 ? pci : ram, names[i], 0xf0000, 0xfffff);
        map(world->root, 0xf0000, alias, 1);
        sm_region_set_readonly(alias, i == 1);
        sm_region_set_enabled(alias, i == 1);
    }
    map(world->root, 0xfee00000, new_reserved(world, "msi", 0xfffff), 4096);
    commit(world);
    assert_int_equal(sm_address_space_new(world->topo, "bus master", pci, &space), 0);
    assert_int_equal(sm_address_space_new(world->topo, "void", NULL, &space), 0);
}

/** All that is unusual: names, places beyond an end, depth, sharing, what is shown short. */
static inline void make_odd(struct world *world)
{
    struct sm_address_space *space;

    world_init(world);
    struct sm_region *box = new_container(world, "box", 0xfff);
    struct sm_region *top = new_container(world, "top \"quoted\" \\", 0xfff);
    struct sm_region *ram = new_ram(world, "r\xc3\xa4m\n", 0x2000);
    struct sm_region *bare = new_ram(world, NULL, 0x100);
    struct sm_region *bytes =
        new_ram(world, "\xff\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80\x7f", 1);
    struct sm_region *flash = new_flash(world, "flash", 0x800);
    struct sm_region *shown = new_ram(world, "shown", 0x3000);
    struct sm_region *window = new_alias(shown, "window", 0x1000, 0x2fff);
    struct sm_region *under = new_ram(world, "under", 0x1000);
    struct sm_region *over = new_ram(world, "over", 0x10);
    struct sm_region *off = new_container(world, "off", 0xfff);
    sm_topology_begin(world->topo);
    map(world->root, 0, box, 0);
    map(box, 0x800, ram, -7);                           /* cut short        */
    map(box, 0x4000, new_rom(world, "rom", 0x1000), 0); /* cut off          */
    map(box, 0, flash, 2147483647);
    sm_region_set_readonly(flash, true);
    assert_int_equal(sm_region_set_calls(flash, true), 0);
    map(world->root, UINT64_MAX - 0xfff, top, 0);
    map(top, 0xff0, bare, 0); /* beyond 2^64      */
    map(top, 0x1000, new_container(world, "far", 7), 0);
    map(top, 0, bytes, INT32_MIN);
    map(world->root, 0x10000, window, 0);
    map(window, 0x10, new_ram(world, "upon", 0x10), 0);   /* before the target   */
    assert_int_equal(sm_region_resize(shown, 0x17ff), 0); /* target short    */
    map(world->root, 0x20000, under, 0);
    map(under, 0x100, over, 0); /* RAM with something mapped into it          */
    map(world->root, 0x20000, new_reserved(world, "gap", 0xff), 1);
    map(world->root, 0x30000, new_ram(world, "older", 0x100), 0);
    map(world->root, 0x30000, new_ram(world, "newer", 0x80), 0);
    map(world->root, 0x30000, off, 5);
    map(off, 0, new_ram(world, "dark", 0x100), 0);
    sm_region_set_enabled(off, false);
    commit(world);
    assert_int_equal(sm_address_space_new(world->topo, "same", world->root, &space), 0);
    assert_int_equal(sm_address_space_new(world->topo, "part\t", box, &space), 0);
}

/** An IOMMU of pages: where each leads. */
struct machines_model {
    struct sm_address_space *to[8]; /* NULL: refused                          */
    uint64_t base[8];
    uint8_t perms[8];
};

static inline bool machines_translate(void *dev, const struct sm_iommu_req *req,
                                      struct sm_iommu_map *out)
{
    const struct machines_model *model = dev;
    const uint64_t page = req->iova >> 12;

    assert_int_equal(req->flags, SM_IOMMU_PROBE);
    if (page >= 8 || !model->to[page] || !(model->perms[page] & (1u << req->access)))
        return false;
    out->space = model->to[page];
    out->base = model->base[page];
    out->span = (struct sm_range){page << 12, page << 12 | 0xfff};
    out->perms = model->perms[page];
    return true;
}

static const struct sm_iommu_ops machines_iommu = {.struct_size = sizeof(machines_iommu),
                                                   .translate = machines_translate};

static inline struct sm_region *new_translating(struct world *world, const char *name,
                                                struct machines_model *model,
                                                struct sm_address_space *const *spaces,
                                                unsigned n_spaces)
{
    struct sm_device *device;
    struct sm_iommu *iommu;
    struct sm_region *region;

    assert_int_equal(sm_device_new(world->topo, name, model, &device), 0);
    assert_int_equal(sm_iommu_new(device, &machines_iommu, spaces, n_spaces, &iommu), 0);
    assert_int_equal(sm_region_new_translating(iommu, name, 0x7fff, &region), 0);
    return region;
}

/** A bus behind an IOMMU, and that partly behind another: what a way can come to.  A log
 *  on the memory; a device that was asked. */
static inline void make_bridge(struct world *world)
{
    static struct machines_model outer, inner;
    struct sm_address_space *spaces[2], *elsewhere;
    struct sm_dirty_log *log;
    uint64_t value;

    world_init(world);
    struct sm_region *memory = new_container(world, "memory", UINT64_MAX);
    struct sm_region *bridge = new_container(world, "bridge", UINT64_MAX);
    struct sm_region *ram = new_ram(world, "ram", 0x4000);
    assert_int_equal(sm_address_space_new(world->topo, "memory", memory, &spaces[0]), 0);
    assert_int_equal(sm_address_space_new(world->topo, "bridge", bridge, &spaces[1]), 0);
    assert_int_equal(sm_address_space_new(world->topo, "void", NULL, &elsewhere), 0);
    struct sm_region *iovas = new_translating(world, "iovas", &outer, spaces, 2);
    sm_topology_begin(world->topo);
    map(memory, 0, ram, 0);
    map(memory, 0x800, new_ram(world, "over", 0x10), 1);
    map(memory, 0x10000, new_io(world, "serial", "uart", 0xff), 0);
    map(bridge, 0, new_translating(world, "inner", &inner, spaces, 1), 0);
    map(world->root, 0x1000, iovas, 0);
    sm_region_set_readonly(iovas, true);
    commit(world);
    memset(&inner, 0, sizeof(inner));
    inner.to[1] = spaces[0], inner.base[1] = 0x10000, inner.perms[1] = SM_PERM_R;
    outer = (struct machines_model){
        .to = {spaces[0], spaces[0], NULL, spaces[1], spaces[0], elsewhere, spaces[1]},
        .base = {0, 0x1000, 0, 0x1000, 0x400000, 0, 0},
        .perms = {SM_PERM_R | SM_PERM_W, SM_PERM_W, 0, SM_PERM_R | SM_PERM_W | SM_PERM_X,
                  SM_PERM_X, SM_PERM_R, SM_PERM_R}};
    assert_int_equal(sm_dirty_log_new(ram, &log), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(sm_address_space_load(spaces[0], 0x10000, &plain, 4, &value),
                         SM_TX_OK);
    assert_int_equal(sm_address_space_store(spaces[0], 0x10000, &plain, 4, 0),
                     SM_TX_ACCESS_ERROR);
}

/** Nothing but a space. */
static inline void make_empty(struct world *world)
{
    world_init(world);
}

/** A machine of a name; NULL: there is none. */
static inline bool make_machine(struct world *world, const char *name)
{
    if (strcmp(name, "pam") == 0)
        make_pam(world);
    else if (strcmp(name, "odd") == 0)
        make_odd(world);
    else if (strcmp(name, "bridge") == 0)
        make_bridge(world);
    else if (strcmp(name, "empty") == 0)
        make_empty(world);
    else
        return false;
    return true;
}

#endif
