/* SPDX-License-Identifier: MIT */
/* mapping_test.c - memory borrowed from whatever answers: RAM itself, or a buffer. */
#include "board.h"

static const struct sm_attrs somebody = {
    .requester = 0x1234, .process = 7, .flags = SM_ATTR_USER, .space = 3};

static void ram_is_lent(void **state)
{
    struct sm_mapping mapping;
    struct board board;
    uint64_t done = 99;

    board_init(&board);
    struct sm_address_space *space = board.world.space;
    assert_int_equal(
        sm_address_space_borrow(space, 0x1800, &plain, 0x10000, SM_WRITE, &mapping),
        SM_TX_OK);
    assert_ptr_equal(mapping.host, board.ram->ram->host + 0x800);
    assert_int_equal(mapping.size, 0x800);
    assert_int_equal(sm_mapping_finish(&mapping, 5, &done), SM_TX_OK);
    assert_int_equal(done, 5);
    assert_null(mapping.host);
    assert_int_equal(board.ram->ram->refs, 1);
    assert_int_equal(
        sm_address_space_borrow(space, ROM_AT, &plain, 1, SM_READ, &mapping), SM_TX_OK);
    assert_ptr_equal(mapping.host, board.rom->ram->host);
    sm_mapping_release(&mapping);
    /* Of sm_address_space_map(), too. */
    assert_int_equal(
        sm_address_space_map(space, RAM_AT, &plain, 1, SM_WRITE, &mapping), SM_TX_OK);
    assert_int_equal(sm_mapping_finish(&mapping, 1, NULL), SM_TX_OK);
    assert_int_equal(board.ram->ram->refs, 1);
    world_fini(&board.world);
}

static void buffers(void **state)
{
    struct sm_mapping mapping;
    struct board board;
    uint64_t done = 99;

    board_init(&board);
    struct sm_address_space *space = board.world.space;
    memcpy(board.bytes.byte, "0123456789abcdef", 16);

    /* Read: filled with the asker's attributes, up to the end of the section. */
    assert_int_equal(
        sm_address_space_borrow(space, IO_AT + 2, &somebody, 0x100, SM_READ, &mapping),
        SM_TX_OK);
    assert_int_equal(mapping.size, 14);
    assert_memory_equal(mapping.host, "23456789abcdef", 14);
    assert_memory_equal(&board.bytes.attrs, &somebody, sizeof(somebody));
    assert_int_equal(sm_mapping_finish(&mapping, 0, &done), SM_TX_OK);
    assert_int_equal(done, 0);
    assert_int_equal(board.bytes.writes, 0);

    /* Written: as much as was written, with the same attributes, and late. */
    memset(&board.bytes.attrs, 0, sizeof(board.bytes.attrs));
    board.bytes.reads = 0;
    assert_int_equal(
        sm_address_space_borrow(space, IO_AT, &somebody, 16, SM_WRITE, &mapping),
        SM_TX_OK);
    assert_int_equal(mapping.size, 16);
    for (int i = 0; i < 16; i++)
        assert_int_equal(((uint8_t *)mapping.host)[i], 0);
    memcpy(mapping.host, "ABCDEFGHIJKLMNOP", 16);
    assert_int_equal(board.bytes.reads + board.bytes.writes, 0);
    assert_int_equal(sm_mapping_finish(&mapping, 6, &done), SM_TX_OK);
    assert_int_equal(done, 6);
    assert_memory_equal(board.bytes.byte, "ABCDEF6789abcdef", 16);
    assert_memory_equal(&board.bytes.attrs, &somebody, sizeof(somebody));
    assert_null(mapping.host);

    /* Released: dropped. */
    board.bytes.writes = 0;
    assert_int_equal(
        sm_address_space_borrow(space, IO_AT, &plain, 16, SM_WRITE, &mapping), SM_TX_OK);
    sm_mapping_release(&mapping);
    assert_int_equal(board.bytes.writes, 0);
    world_fini(&board.world);
}

static void failures(void **state)
{
    struct sm_mapping mapping = {0};
    struct board board;
    uint64_t done = 99;

    board_init(&board);
    struct sm_address_space *space = board.world.space;
    /* Some bytes, or the first one's failure. */
    board.bytes.fails_from = 8;
    assert_int_equal(
        sm_address_space_borrow(space, IO_AT, &plain, 16, SM_READ, &mapping), SM_TX_OK);
    assert_int_equal(mapping.size, 8);
    sm_mapping_release(&mapping);
    assert_int_equal(
        sm_address_space_borrow(space, IO_AT + 8, &plain, 8, SM_READ, &mapping),
        SM_TX_DEVICE_ERROR);
    assert_null(mapping.host);
    /* What cannot be written says so when it is. */
    assert_int_equal(
        sm_address_space_borrow(space, IO_AT + 4, &plain, 12, SM_WRITE, &mapping),
        SM_TX_OK);
    assert_int_equal(sm_mapping_finish(&mapping, 12, &done), SM_TX_DEVICE_ERROR);
    assert_int_equal(done, 4);
    /* More than its size is no more than its size. */
    board.bytes.fails_from = 16;
    assert_int_equal(
        sm_address_space_borrow(space, IO_AT, &plain, 4, SM_WRITE, &mapping), SM_TX_OK);
    assert_int_equal(sm_mapping_finish(&mapping, 400, &done), SM_TX_OK);
    assert_int_equal(done, 4);

    /* Nothing there, nothing asked, not to be written, RAM or nothing. */
    assert_int_equal(
        sm_address_space_borrow(space, 0x9000, &plain, 4, SM_READ, &mapping),
        SM_TX_DECODE_ERROR);
    assert_int_equal(
        sm_address_space_borrow(space, RAM_AT, &plain, 0, SM_READ, &mapping),
        SM_TX_ACCESS_ERROR);
    assert_int_equal(
        sm_address_space_borrow(space, ROM_AT, &plain, 4, SM_WRITE, &mapping),
        SM_TX_ACCESS_ERROR);
    assert_int_equal(
        sm_address_space_borrow(space, IO_AT, &ram_only, 4, SM_WRITE, &mapping),
        SM_TX_ACCESS_ERROR);
    sm_topology_begin(board.world.topo);
    sm_region_set_readonly(board.io, true);
    commit(&board.world);
    assert_int_equal(
        sm_address_space_borrow(space, IO_AT, &plain, 4, SM_WRITE, &mapping),
        SM_TX_ACCESS_ERROR);
    assert_null(mapping.host);

    /* What goes away meanwhile does not take the buffer with it. */
    sm_topology_begin(board.world.topo);
    sm_region_set_readonly(board.io, false);
    commit(&board.world);
    assert_int_equal(
        sm_address_space_borrow(space, IO_AT, &plain, 4, SM_WRITE, &mapping), SM_TX_OK);
    sm_topology_begin(board.world.topo);
    sm_region_unmap(board.io);
    sm_ticket_wait(board.world.topo, commit(&board.world));
    assert_int_equal(sm_mapping_finish(&mapping, 4, &done), SM_TX_DECODE_ERROR);
    assert_int_equal(done, 0);
    world_fini(&board.world);
}

/* Long ones come in parts, and a loop moves them all. */
static enum sm_tx count_read(void *dev, uint64_t offset, unsigned size,
                             const struct sm_attrs *attrs, uint64_t *value)
{
    *value = offset / 8;
    return SM_TX_OK;
}

static void long_ones(void **state)
{
    static const struct sm_io_ops ops = {
        .struct_size = sizeof(ops),
        .read = count_read,
        .accepts = {1, 8, false},
        .implements = {8, 8, false},
    };
    const uint64_t size = 3 * SM_BOUNCE_MAX - 0x800;
    struct sm_mapping mapping;
    struct sm_device *device;
    struct sm_region *region;
    struct board board;
    uint64_t parts = 0;

    board_init(&board);
    assert_int_equal(sm_device_new(board.world.topo, "long", NULL, &device), 0);
    assert_int_equal(sm_region_new_io(device, "long", size - 1, &ops, &region), 0);
    show(&board.world, 0x100000, region);
    for (uint64_t done = 0; done < size; done += mapping.size, parts++) {
        if (parts)
            sm_mapping_release(&mapping);
        assert_int_equal(sm_address_space_borrow(board.world.space, 0x100000 + done,
                                                 &plain, size - done, SM_READ, &mapping),
                         SM_TX_OK);
        assert_true(mapping.size <= SM_BOUNCE_MAX);
        assert_int_equal((uintptr_t)mapping.host % 16, 0);
        const uint64_t *word = mapping.host;
        for (uint64_t i = 0; i < mapping.size / 8; i++)
            assert_int_equal(word[i], done / 8 + i);
    }
    sm_mapping_release(&mapping);
    assert_int_equal(parts, 3);
    world_fini(&board.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ram_is_lent),
        cmocka_unit_test(buffers),
        cmocka_unit_test(failures),
        cmocka_unit_test(long_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
