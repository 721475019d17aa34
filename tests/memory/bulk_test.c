/* SPDX-License-Identifier: MIT */
/* bulk_test.c - fills and copies: across sections, to the first failure, between machines. */
#include "board.h"

static void fills(void **state)
{
    uint8_t in[0x3010];
    struct board board;
    uint64_t done = 99;

    board_init(&board);
    struct sm_address_space *space = board.world.space;
    assert_int_equal(sm_address_space_fill(space, RAM_AT, &plain, 0x11, 0x2010, &done),
                     SM_TX_OK);
    assert_int_equal(done, 0x2010);
    assert_int_equal(board.bytes.writes, 4); /* as wide as it accepts */
    assert_int_equal(sm_address_space_fill(space, 0x1ffd, &plain, 0x5a, 0x106, &done),
                     SM_TX_OK);
    assert_int_equal(done, 0x106);
    assert_int_equal(sm_address_space_read(space, RAM_AT, &plain, in, 0x2010, NULL),
                     SM_TX_OK);
    for (unsigned i = 0; i < 0x2010; i++)
        assert_int_equal(in[i], i >= 0xffd && i < 0xffd + 0x106 ? 0x5a : 0x11);

    /* To the first failure: ROM, a device's error, the end of the space. */
    assert_int_equal(sm_address_space_fill(space, 0x300d, &plain, 1, 0x1000, &done),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(done, 3);
    assert_int_equal(sm_address_space_fill(space, 0x300d, &debug, 2, 0x1003, &done),
                     SM_TX_OK);
    assert_int_equal(board.rom->ram->host[0xfff], 2);
    assert_int_equal(sm_address_space_fill(space, ROM_AT, &debug, 3, 0x1001, &done),
                     SM_TX_DECODE_ERROR);
    assert_int_equal(done, 0x1000);
    board.bytes.fails_from = 9;
    assert_int_equal(sm_address_space_fill(space, 0x1fff, &plain, 4, 0x40, &done),
                     SM_TX_DEVICE_ERROR);
    assert_int_equal(done, 9);
    assert_int_equal(sm_address_space_fill(space, 0x8000, &plain, 5, 0, &done), SM_TX_OK);
    assert_int_equal(done, 0);
    assert_int_equal(sm_address_space_fill(space, 0x8000, &plain, 5, 1, NULL),
                     SM_TX_DECODE_ERROR);
    assert_int_equal(sm_address_space_fill(space, IO_AT, &ram_only, 5, 1, NULL),
                     SM_TX_ACCESS_ERROR);
    show(&board.world, UINT64_MAX - 0x1fff, new_ram(&board.world, "last", 0x2000));
    show(&board.world, 0, new_ram(&board.world, "first", 0x1000));
    assert_int_equal(
        sm_address_space_fill(space, UINT64_MAX - 0x10ff, &plain, 6, UINT64_MAX, &done),
        SM_TX_DECODE_ERROR);
    assert_int_equal(done, 0x1100);
    uint64_t value;
    assert_int_equal(sm_address_space_load(space, 0, &plain, 8, &value), SM_TX_OK);
    assert_int_equal(value, 0);
    world_fini(&board.world);
}

static struct sm_place place(struct board *board, sm_gpa gpa,
                             const struct sm_attrs *attrs)
{
    return (struct sm_place){board->world.space, gpa, attrs};
}

static void copies(void **state)
{
    struct board one, two;
    uint64_t done = 99;
    bool at_source = true;

    board_init(&one);
    board_init(&two);
    for (unsigned i = 0; i < 0x1000; i++) {
        one.ram->ram->host[i] = (uint8_t)(i * 7 + 1);
        one.more->ram->host[i] = (uint8_t)(i * 11 + 5);
        one.rom->ram->host[i] = (uint8_t)(i * 13 + 3);
    }
    memcpy(one.bytes.byte, "fedcba9876543210", 16);

    /* RAM, device, RAM, from one machine to another, at another alignment. */
    struct sm_place from = place(&one, RAM_AT, &plain);
    struct sm_place to = place(&two, MORE_AT + 3, &plain);
    assert_int_equal(sm_address_space_copy(&to, &from, 0xffd, &done, &at_source),
                     SM_TX_OK);
    assert_int_equal(done, 0xffd);
    assert_true(at_source); /* untouched */
    assert_memory_equal(two.more->ram->host + 3, one.ram->ram->host, 0xffd);
    from.gpa = 0x1f00;
    to.gpa = RAM_AT;
    assert_int_equal(sm_address_space_copy(&to, &from, 0x400, &done, NULL), SM_TX_OK);
    assert_memory_equal(two.ram->ram->host, one.ram->ram->host + 0xf00, 0x100);
    assert_memory_equal(two.ram->ram->host + 0x100, "fedcba9876543210", 16);
    assert_memory_equal(two.ram->ram->host + 0x110, one.more->ram->host, 0x2f0);
    assert_int_equal(one.bytes.reads, 4);

    /* Whose failure it is; of two, the one at the lower address. */
    from.gpa = MORE_AT;
    to.gpa = MORE_AT;
    assert_int_equal(sm_address_space_copy(&to, &from, 0x3000, &done, &at_source),
                     SM_TX_ACCESS_ERROR);
    assert_false(at_source);
    assert_int_equal(done, 0x1000);
    assert_memory_equal(two.more->ram->host, one.more->ram->host, 0x1000);
    from.gpa = END - 0x10;
    to.gpa = RAM_AT;
    assert_int_equal(sm_address_space_copy(&to, &from, 0x20, &done, &at_source),
                     SM_TX_DECODE_ERROR);
    assert_true(at_source);
    assert_int_equal(done, 0x10);
    assert_memory_equal(two.ram->ram->host, one.rom->ram->host + 0xff0, 0x10);
    to.gpa = ROM_AT - 4;
    assert_int_equal(sm_address_space_copy(&to, &from, 0x20, &done, &at_source),
                     SM_TX_ACCESS_ERROR);
    assert_false(at_source);
    assert_int_equal(done, 4);
    assert_int_equal(sm_address_space_copy(&to, &from, 0, &done, &at_source), SM_TX_OK);
    assert_int_equal(done, 0);

    /* Each end has its own attributes. */
    from.gpa = IO_AT;
    from.attrs = &debug;
    to.gpa = ROM_AT;
    to.attrs = &debug;
    one.bytes.reads = 0;
    assert_int_equal(sm_address_space_copy(&to, &from, 16, NULL, NULL), SM_TX_OK);
    assert_int_equal(one.bytes.reads, 0);
    assert_memory_equal(two.rom->ram->host, "fedcba9876543210", 16);
    from.attrs = &ram_only;
    assert_int_equal(sm_address_space_copy(&to, &from, 16, &done, &at_source),
                     SM_TX_ACCESS_ERROR);
    assert_true(at_source);
    assert_int_equal(done, 0);

    /* A device that fails half-way. */
    two.bytes.fails_from = 8;
    from = place(&one, RAM_AT, &plain);
    to = place(&two, IO_AT, &plain);
    assert_int_equal(sm_address_space_copy(&to, &from, 16, &done, &at_source),
                     SM_TX_DEVICE_ERROR);
    assert_false(at_source);
    assert_int_equal(done, 8);
    assert_memory_equal(two.bytes.byte, one.ram->ram->host, 8);
    world_fini(&one.world);
    world_fini(&two.world);
}

static void over_the_end(void **state)
{
    struct board board;
    uint64_t done;
    bool at_source = false;

    board_init(&board);
    show(&board.world, UINT64_MAX - 0x1fff, new_ram(&board.world, "last", 0x2000));
    show(&board.world, 0, new_ram(&board.world, "first", 0x1000));
    struct sm_place low = place(&board, RAM_AT, &plain);
    struct sm_place high = place(&board, UINT64_MAX - 0x7ff, &plain);
    assert_int_equal(sm_address_space_copy(&low, &high, 0x1000, &done, &at_source),
                     SM_TX_DECODE_ERROR);
    assert_true(at_source);
    assert_int_equal(done, 0x800);
    assert_int_equal(sm_address_space_copy(&high, &low, 0x1000, &done, &at_source),
                     SM_TX_DECODE_ERROR);
    assert_false(at_source);
    assert_int_equal(done, 0x800);
    world_fini(&board.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills),
        cmocka_unit_test(copies),
        cmocka_unit_test(over_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
