/* SPDX-License-Identifier: MIT */
/* iommu_board.h - a bus with a translating region before a memory, for tests.
 *
 * The bus shows 1 GiB of iovas at IOVAS; the memory holds RAM with the model's tables
 * and data, a device and ROM.
 */
#ifndef SM_TESTS_MEMORY_IOMMU_BOARD_H
#define SM_TESTS_MEMORY_IOMMU_BOARD_H

#include "support.h"

#include "memory/iommu_impl.h"
#include "memory/resolve.h"
#include "table_model.h"

/* Of the memory: tables from 0x10000, data in the rest of RAM. */
enum {
    MEM_SIZE = 0x400000, DATA = 0x100000, GADGET = 0x800000, ROM = 0x900000,
    UPPER = 0x10000, LOWER = 0x11000, UPPER2 = 0x12000, LOWER2 = 0x13000
};
/* Where the bus shows the translating region. */
#define IOVAS UINT64_C(0x100000000)

struct gadget {
    uint64_t value;
    int reads, writes;
    struct sm_attrs attrs;
    void (*inside)(struct gadget *gadget);
    void *owner;
};

static inline enum sm_tx gadget_read(void *dev, uint64_t offset, unsigned size,
                                     const struct sm_attrs *attrs, uint64_t *value)
{
    struct gadget *gadget = dev;
    gadget->reads++;
    gadget->attrs = *attrs;
    *value = gadget->value + offset;
    if (gadget->inside)
        gadget->inside(gadget);
    return SM_TX_OK;
}

static inline enum sm_tx gadget_write(void *dev, uint64_t offset, unsigned size,
                                      const struct sm_attrs *attrs, uint64_t value)
{
    struct gadget *gadget = dev;
    gadget->writes++;
    gadget->attrs = *attrs;
    gadget->value = value - offset;
    return SM_TX_OK;
}

static inline enum sm_tx gadget_peek(void *dev, uint64_t offset, unsigned size,
                                     uint64_t *value)
{
    *value = ((struct gadget *)dev)->value + offset;
    return SM_TX_OK;
}

static const struct sm_io_ops gadget_ops = {
    .struct_size = sizeof(gadget_ops),
    .read = gadget_read,
    .write = gadget_write,
    .peek = gadget_peek,
    .accepts = {1, 8, false},
    .implements = {1, 8, false},
};

struct board {
    struct world world; /* .space: the bus, with the translating region at IOVAS */
    struct sm_region *mem_root, *ram, *rom, *io, *translating;
    struct sm_address_space *mem;
    struct table_model model;
    struct gadget gadget;
    struct sm_device *gadget_device;
    uint8_t *host; /* of .ram, which lies at 0 of .mem                         */
};

static inline void put(struct board *board, uint64_t at, uint64_t number, uint64_t entry)
{
    memcpy(board->host + at + 8 * number, &entry, 8);
}

/* Have the page at @iova, below 2 MiB, lead where @entry says. */
static inline void map_page(struct board *board, uint64_t iova, uint64_t entry)
{
    put(board, LOWER, iova >> 12, entry);
}

static inline void board_init(struct board *board)
{
    struct world *world = &board->world;

    world_init(world);
    board->mem_root = new_container(world, "mem", UINT64_MAX);
    board->ram = new_ram(world, "ram", MEM_SIZE);
    board->rom = new_rom(world, "rom", 0x1000);
    board->host = sm_region_host(board->ram);
    memset(&board->gadget, 0, sizeof(board->gadget));
    assert_int_equal(
        sm_device_new(world->topo, "gadget", &board->gadget, &board->gadget_device), 0);
    assert_int_equal(
        sm_region_new_io(board->gadget_device, "io", 0xfff, &gadget_ops, &board->io), 0);
    assert_int_equal(
        sm_address_space_new(world->topo, "mem", board->mem_root, &board->mem), 0);
    table_model_init(&board->model, world->topo, board->mem, NULL);
    assert_int_equal(sm_region_new_translating(board->model.iommu, "iovas", 0x3fffffff,
                                               &board->translating),
                     0);
    sm_topology_begin(world->topo);
    map(board->mem_root, 0, board->ram, 0);
    map(board->mem_root, GADGET, board->io, 0);
    map(board->mem_root, ROM, board->rom, 0);
    map(world->root, IOVAS, board->translating, 0);
    commit(world);
    board->model.root[0] = UPPER;
    put(board, UPPER, 0, LOWER | ENTRY_TABLE);
    for (unsigned i = 0; i < 0x3000; i++)
        board->host[DATA + i] = (uint8_t)(i * 13 + (i >> 8) + 5);
}

static inline void board_fini(struct board *board)
{
    world_fini(&board->world);
}

static inline uint64_t word(const struct board *board, uint64_t gpa)
{
    uint64_t value;
    memcpy(&value, board->host + gpa, 8);
    return value;
}

static inline enum sm_tx load(struct board *board, uint64_t iova, uint64_t *value)
{
    return sm_address_space_load(board->world.space, IOVAS + iova, &plain, 8, value);
}

/* --- A model whose answer is a value ------------------------------------ */

struct fixed {
    struct sm_device *device;
    struct sm_iommu *iommu;
    struct sm_region *region;
    struct sm_iommu_map map;
    unsigned n_asked;
};

static inline bool fixed_translate(void *dev, const struct sm_iommu_req *req,
                                   struct sm_iommu_map *out)
{
    struct fixed *fixed = dev;
    fixed->n_asked++;
    *out = fixed->map;
    return true;
}

static const struct sm_iommu_ops fixed_ops = {.struct_size = sizeof(fixed_ops),
                                              .translate = fixed_translate};

/* Lead everything, as it is, to @space. */
static inline void fixed_init(struct fixed *fixed, struct sm_topology *topo,
                              struct sm_address_space *space)
{
    memset(fixed, 0, sizeof(*fixed));
    assert_int_equal(sm_device_new(topo, "fixed", fixed, &fixed->device), 0);
    assert_int_equal(sm_iommu_new(fixed->device, &fixed_ops, &space, 1, &fixed->iommu),
                     0);
    assert_int_equal(
        sm_region_new_translating(fixed->iommu, "fixed", UINT64_MAX, &fixed->region), 0);
    fixed->map.space = space;
    fixed->map.span.last = UINT64_MAX;
    fixed->map.perms = SM_PERM_R | SM_PERM_W | SM_PERM_X;
}

#endif
