/* SPDX-License-Identifier: MIT */
/* board.h - RAM, a device of bytes, RAM again and ROM, one behind the other. */
#ifndef SM_TESTS_MEMORY_BOARD_H
#define SM_TESTS_MEMORY_BOARD_H

#include "support.h"

/* 0x1000 RAM, 0x2000 device (16 bytes), 0x2010 more RAM, 0x3010 ROM up to 0x400f. */
enum { RAM_AT = 0x1000, IO_AT = 0x2000, MORE_AT = 0x2010, ROM_AT = 0x3010, END = 0x4010 };

/* Counts what it is asked, and keeps the attributes of the last access. */
struct bytes {
    uint8_t byte[16];
    int reads, writes, peeks;
    struct sm_attrs attrs;
    uint64_t fails_from; /* offset from which on accesses fail                 */
};

struct board {
    struct world world;
    struct bytes bytes;
    struct sm_region *ram, *more, *rom, *io;
    struct sm_device *device;
};

static inline enum sm_tx board_read(void *dev, uint64_t offset, unsigned size,
                                    const struct sm_attrs *attrs, uint64_t *value)
{
    struct bytes *bytes = dev;
    bytes->reads++;
    bytes->attrs = *attrs;
    if (offset + size > bytes->fails_from)
        return SM_TX_DEVICE_ERROR;
    *value = 0;
    memcpy(value, &bytes->byte[offset], size);
    return SM_TX_OK;
}

static inline enum sm_tx board_peek(void *dev, uint64_t offset, unsigned size,
                                    uint64_t *value)
{
    struct bytes *bytes = dev;
    bytes->peeks++;
    *value = 0;
    memcpy(value, &bytes->byte[offset], size);
    return SM_TX_OK;
}

static inline enum sm_tx board_write(void *dev, uint64_t offset, unsigned size,
                                     const struct sm_attrs *attrs, uint64_t value)
{
    struct bytes *bytes = dev;
    bytes->writes++;
    bytes->attrs = *attrs;
    if (offset + size > bytes->fails_from)
        return SM_TX_DEVICE_ERROR;
    memcpy(&bytes->byte[offset], &value, size);
    return SM_TX_OK;
}

static const struct sm_io_ops board_ops = {
    .struct_size = sizeof(board_ops),
    .read = board_read,
    .write = board_write,
    .peek = board_peek,
    .accepts = {1, 4, false},
    .implements = {1, 4, false},
};

static inline void board_init(struct board *board)
{
    struct world *world = &board->world;

    world_init(world);
    memset(&board->bytes, 0, sizeof(board->bytes));
    board->bytes.fails_from = 16;
    assert_int_equal(sm_device_new(world->topo, "bytes", &board->bytes, &board->device),
                     0);
    assert_int_equal(sm_region_new_io(board->device, "bytes", 15, &board_ops, &board->io),
                     0);
    board->ram = new_ram(world, "ram", 0x1000);
    board->more = new_ram(world, "more", 0x1000);
    board->rom = new_rom(world, "rom", 0x1000);
    sm_topology_begin(world->topo);
    map(world->root, RAM_AT, board->ram, 0);
    map(world->root, IO_AT, board->io, 0);
    map(world->root, MORE_AT, board->more, 0);
    map(world->root, ROM_AT, board->rom, 0);
    commit(world);
}

#endif
