/* SPDX-License-Identifier: MIT */
/* address_space_test.c - transfers across sections, single accesses, lent RAM. */
#include "support.h"

/* A device of bytes that counts its calls. */
struct bytes {
    uint8_t byte[16];
    int reads, writes, peeks;
};

static enum sm_tx read_bytes(void *dev, uint64_t offset, unsigned size,
                             const struct sm_attrs *attrs, uint64_t *value)
{
    struct bytes *bytes = dev;
    bytes->reads++;
    *value = 0;
    memcpy(value, &bytes->byte[offset], size);
    return SM_TX_OK;
}

static enum sm_tx peek_bytes(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
    struct bytes *bytes = dev;
    bytes->peeks++;
    *value = 0;
    memcpy(value, &bytes->byte[offset], size);
    return SM_TX_OK;
}

static enum sm_tx write_bytes(void *dev, uint64_t offset, unsigned size,
                              const struct sm_attrs *attrs, uint64_t value)
{
    struct bytes *bytes = dev;
    bytes->writes++;
    if (offset <= 15 && 15 < offset + size)
        return SM_TX_DEVICE_ERROR; /* the last byte fails */
    memcpy(&bytes->byte[offset], &value, size);
    return SM_TX_OK;
}

static const struct sm_io_ops bytes_ops = {
    .struct_size = sizeof(bytes_ops),
    .read = read_bytes,
    .write = write_bytes,
    .peek = peek_bytes,
    .accepts = {1, 4, false},
    .implements = {1, 4, false},
};

/* 0x1000 RAM, 0x2000 device (16 bytes), 0x2010 more RAM, 0x3010 ROM, then nothing. */
struct board {
    struct world world;
    struct bytes bytes;
    struct sm_region *ram, *more, *rom, *io;
    struct sm_device *device;
};

static void board_init(struct board *board)
{
    struct world *world = &board->world;

    world_init(world);
    memset(&board->bytes, 0, sizeof(board->bytes));
    assert_int_equal(sm_device_new(world->topo, "bytes", &board->bytes, &board->device),
                     0);
    assert_int_equal(sm_region_new_io(board->device, "bytes", 15, &bytes_ops, &board->io),
                     0);
    board->ram = new_ram(world, "ram", 0x1000);
    board->more = new_ram(world, "more", 0x1000);
    board->rom = new_rom(world, "rom", 0x1000);
    sm_topology_begin(world->topo);
    map(world->root, 0x1000, board->ram, 0);
    map(world->root, 0x2000, board->io, 0);
    map(world->root, 0x2010, board->more, 0);
    map(world->root, 0x3010, board->rom, 0);
    commit(world);
}

static void lookups(void **state)
{
    struct sm_section section;
    struct board board;

    board_init(&board);
    struct sm_address_space *space = board.world.space;
    assert_true(sm_address_space_lookup(space, 0x1004, &section));
    assert_int_equal(section.range.first, 0x1000);
    assert_int_equal(section.range.last, 0x1fff);
    assert_ptr_equal(section.region, board.ram);
    assert_int_equal(section.offset, 0);
    assert_false(section.readonly);
    assert_true(sm_address_space_lookup(space, 0x3010, &section));
    assert_true(section.readonly);
    assert_false(sm_address_space_lookup(space, 0x5000, &section));
    assert_int_equal(section.range.first, 0x4010);
    assert_true(section.range.last == UINT64_MAX);
    assert_null(section.region);
    assert_ptr_equal(sm_address_space_topology(space), board.world.topo);
    world_fini(&board.world);
}

static void transfers(void **state)
{
    uint8_t out[0x1100], in[0x1100];
    struct board board;
    uint64_t done = 99;

    board_init(&board);
    struct sm_address_space *space = board.world.space;
    for (size_t i = 0; i < sizeof(out); i++)
        out[i] = (uint8_t)(i * 7 + 1);

    /* RAM, device (all but its last byte), and back. */
    assert_int_equal(sm_address_space_write(space, 0x1001, &plain, out, 0xfff, &done),
                     SM_TX_OK);
    assert_int_equal(done, 0xfff);
    assert_int_equal(sm_address_space_write(space, 0x1ff9, &plain, out, 0x100, &done),
                     SM_TX_DEVICE_ERROR);
    assert_int_equal(done, 7 + 12);
    assert_int_equal(board.bytes.writes, 4);
    assert_memory_equal(board.bytes.byte, out + 7, 12);
    assert_int_equal(sm_address_space_read(space, 0x1ff9, &plain, in, 0x40, &done),
                     SM_TX_OK);
    assert_int_equal(done, 0x40);
    assert_memory_equal(in, out, 19);
    assert_int_equal(board.bytes.reads, 4);

    /* ROM, the hole behind it, the end of everything. */
    board.rom->ram->host[0xfff] = 0x77;
    assert_int_equal(sm_address_space_read(space, 0x400f, &plain, in, 2, &done),
                     SM_TX_DECODE_ERROR);
    assert_int_equal(done, 1);
    assert_int_equal(in[0], 0x77);
    assert_int_equal(sm_address_space_write(space, 0x300e, &plain, out, 8, &done),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(done, 2);
    assert_int_equal(sm_address_space_write(space, 0x300e, &debug, out, 8, &done),
                     SM_TX_OK);
    assert_memory_equal(board.rom->ram->host, out + 2, 6);
    assert_int_equal(sm_address_space_read(space, 0, &plain, in, 0, &done), SM_TX_OK);
    assert_int_equal(done, 0);
    assert_int_equal(sm_address_space_read(space, 0x8000, &plain, in, 1, NULL),
                     SM_TX_DECODE_ERROR);
    show(&board.world, UINT64_MAX - 0xfff, new_ram(&board.world, "last", 0x1000));
    assert_int_equal(
        sm_address_space_read(space, UINT64_MAX - 1, &plain, in, 0x1000, &done),
        SM_TX_DECODE_ERROR);
    assert_int_equal(done, 2);
    world_fini(&board.world);
}

/* Every alignment against every alignment, short and long. */
static void copies(void **state)
{
    uint8_t pattern[300], in[300];
    struct board board;

    board_init(&board);
    struct sm_address_space *space = board.world.space;
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = (uint8_t)(i * 31 + 3);
    for (uint64_t at = 0; at < 16; at++) {
        for (uint64_t size = 1; size < 200; size += size < 20 ? 1 : 13) {
            memset(board.ram->ram->host, 0, 0x200);
            memset(in, 0, sizeof(in));
            assert_int_equal(sm_address_space_write(space, 0x1020 + at, &plain,
                                                    pattern + at % 5, size, NULL),
                             SM_TX_OK);
            assert_memory_equal(board.ram->ram->host + 0x20 + at, pattern + at % 5, size);
            assert_int_equal(board.ram->ram->host[0x1f + at], 0);
            assert_int_equal(board.ram->ram->host[0x20 + at + size], 0);
            assert_int_equal(sm_address_space_read(space, 0x1020 + at, &plain,
                                                   in + at % 3, size, NULL),
                             SM_TX_OK);
            assert_memory_equal(in + at % 3, pattern + at % 5, size);
            assert_int_equal(in[at % 3 + size], 0);
        }
    }
    world_fini(&board.world);
}

static void attributes(void **state)
{
    struct board board;
    uint8_t in[16];
    uint64_t done;

    board_init(&board);
    struct sm_address_space *space = board.world.space;
    assert_int_equal(sm_address_space_read(space, 0x1ff8, &ram_only, in, 16, &done),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(done, 8);
    assert_int_equal(sm_address_space_read(space, 0x2000, &debug, in, 16, &done),
                     SM_TX_OK);
    assert_int_equal(board.bytes.peeks, 4);
    assert_int_equal(board.bytes.reads, 0);

    /* Read-only through what leads there holds for devices too (A4). */
    sm_topology_begin(board.world.topo);
    sm_region_set_readonly(board.io, true);
    commit(&board.world);
    assert_int_equal(sm_address_space_write(space, 0x2000, &plain, in, 1, NULL),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_address_space_store(space, 0x2000, &plain, 1, 0),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(board.bytes.writes, 0);
    assert_int_equal(sm_address_space_store(space, 0x2000, &debug, 1, 0),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(board.bytes.writes, 0);
    assert_int_equal(sm_address_space_store(space, 0x2000, &effects, 1, 0), SM_TX_OK);
    assert_int_equal(board.bytes.writes, 1);
    world_fini(&board.world);
}

static void single_accesses(void **state)
{
    struct board board;
    uint64_t value = 7;

    board_init(&board);
    struct sm_address_space *space = board.world.space;
    uint8_t *host = board.ram->ram->host;
    for (unsigned size = 1; size <= 8; size *= 2) {
        for (uint64_t at = 0; at < 8; at++) {
            memset(host, 0xee, 16);
            const uint64_t want =
                UINT64_C(0x1122334455667788) & (UINT64_MAX >> (64 - 8 * size));
            assert_int_equal(sm_address_space_store(space, 0x1000 + at, &plain, size,
                                                    UINT64_C(0x1122334455667788)),
                             SM_TX_OK);
            assert_int_equal(
                sm_address_space_load(space, 0x1000 + at, &plain, size, &value),
                SM_TX_OK);
            assert_true(value == want);
            assert_int_equal(host[at + size], 0xee);
            assert_int_equal(host[at], 0x88);
        }
    }
    /* In a device: one access of that width, or none. */
    memcpy(board.bytes.byte, "abcdefgh", 8);
    assert_int_equal(sm_address_space_load(space, 0x2004, &plain, 4, &value), SM_TX_OK);
    assert_int_equal(value, 0x68676665);
    assert_int_equal(board.bytes.reads, 1);
    value = 7;
    assert_int_equal(sm_address_space_load(space, 0x2000, &plain, 8, &value),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_address_space_load(space, 0x2001, &plain, 2, &value),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_address_space_load(space, 0x2000, &ram_only, 4, &value),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_address_space_load(space, 0x9000, &plain, 4, &value),
                     SM_TX_DECODE_ERROR);
    assert_int_equal(sm_address_space_store(space, 0x9000, &plain, 4, 0),
                     SM_TX_DECODE_ERROR);
    assert_int_equal(sm_address_space_store(space, 0x3010, &plain, 1, 0),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_address_space_store(space, 0x3010, &debug, 1, 9), SM_TX_OK);
    assert_int_equal(value, 7);
    assert_int_equal(board.bytes.reads, 1);

    /* Across a border: the pieces of a transfer (A1). */
    host[0xffe] = 0x31;
    host[0xfff] = 0x32;
    assert_int_equal(sm_address_space_load(space, 0x1ffe, &plain, 4, &value), SM_TX_OK);
    assert_int_equal(value, 0x62613231);
    assert_int_equal(sm_address_space_store(space, 0x1ffe, &plain, 4, 0x44434241),
                     SM_TX_OK);
    assert_int_equal(host[0xffe], 0x41);
    assert_int_equal(board.bytes.byte[1], 0x44);
    value = 7;
    assert_int_equal(sm_address_space_load(space, 0x400e, &plain, 4, &value),
                     SM_TX_DECODE_ERROR);
    assert_int_equal(value, 7);
    world_fini(&board.world);
}

static void lending(void **state)
{
    struct sm_mapping mapping = {0}, second;
    struct board board;

    board_init(&board);
    struct sm_address_space *space = board.world.space;
    assert_int_equal(
        sm_address_space_map(space, 0x1800, &plain, 0x10000, SM_WRITE, &mapping),
        SM_TX_OK);
    assert_int_equal(mapping.size, 0x800);
    assert_ptr_equal(mapping.host, board.ram->ram->host + 0x800);
    assert_int_equal(sm_address_space_map(space, 0x1800, &plain, 1, SM_READ, &second),
                     SM_TX_OK);
    assert_int_equal(second.size, 1);
    sm_mapping_release(&second);
    assert_null(second.host);
    assert_int_equal(sm_address_space_map(space, 0x2000, &plain, 1, SM_READ, &second),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_address_space_map(space, 0x3010, &plain, 1, SM_WRITE, &second),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_address_space_map(space, 0x3010, &plain, 0, SM_READ, &second),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_address_space_map(space, 0x8000, &plain, 1, SM_READ, &second),
                     SM_TX_DECODE_ERROR);
    assert_null(second.host);

    /* It outlives its unmapping, its region, and the topology (R4). */
    strcpy(mapping.host, "still here");
    sm_topology_begin(board.world.topo);
    sm_region_unmap(board.ram);
    assert_int_equal(sm_region_free(board.ram), 0);
    sm_ticket_wait(board.world.topo, commit(&board.world));
    assert_true(sm_list_empty(&board.world.topo->retired));
    assert_string_equal(mapping.host, "still here");
    world_fini(&board.world);
    assert_string_equal(mapping.host, "still here");
    sm_mapping_release(&mapping);
}

/* An access inside a fresh view after a callback moved things: the next piece sees it. */
struct mover {
    struct world *world;
    struct sm_region *io, *under;
    int calls;
};

static enum sm_tx move_away(void *dev, uint64_t offset, unsigned size,
                            const struct sm_attrs *attrs, uint64_t value)
{
    struct mover *mover = dev;

    mover->calls++;
    sm_topology_begin(mover->world->topo);
    sm_region_unmap(mover->io);
    return sm_topology_commit(mover->world->topo, NULL) ? SM_TX_DEVICE_ERROR : SM_TX_OK;
}

static void callback_commits(void **state)
{
    static const struct sm_io_ops ops = {
        .struct_size = sizeof(ops),
        .write = move_away,
        .accepts = {1, 4, false},
        .implements = {1, 4, false},
    };
    struct sm_device *device;
    struct world world;
    struct mover mover = {&world, NULL, NULL, 0};

    world_init(&world);
    assert_int_equal(sm_device_new(world.topo, "mover", &mover, &device), 0);
    assert_int_equal(sm_region_new_io(device, "mover", 0xf, &ops, &mover.io), 0);
    mover.under = new_ram(&world, "under", 0x10);
    sm_topology_begin(world.topo);
    map(world.root, 0, mover.under, 0);
    map(world.root, 0, mover.io, 1);
    commit(&world);
    assert_int_equal(
        sm_address_space_write(world.space, 0, &plain, "0123456789abcdef", 16, NULL),
        SM_TX_OK);
    assert_int_equal(mover.calls, 1);
    assert_memory_equal(mover.under->ram->host,
                        "\0\0\0\0"
                        "456789abcdef",
                        16);
    world_fini(&world);
}

#ifdef SM_DEBUG_CHECKS
static void read_under_lock(struct world *world)
{
    struct board *board = sm_container_of(world, struct board, world);
    uint64_t value;

    sm_panic_enter(&world->topo->hook);
    sm_device_lock(board->device);
    (void)sm_address_space_load(world->space, 0x1000, &ram_only, 8, &value);
    (void)sm_address_space_load(world->space, 0x1000, &plain, 8, &value);
}

static void lock_order(void **state)
{
    struct board board;

    board_init(&board);
    expect_panic(read_under_lock, &board.world);
    world_fini(&board.world);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lookups),          cmocka_unit_test(transfers),
        cmocka_unit_test(copies),           cmocka_unit_test(attributes),
        cmocka_unit_test(single_accesses),  cmocka_unit_test(lending),
        cmocka_unit_test(callback_commits),
#ifdef SM_DEBUG_CHECKS
        cmocka_unit_test(lock_order),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
