/* SPDX-License-Identifier: MIT */
/* window_test.c - windows remember, notice, hold nothing back, and answer as others do. */
#include "board.h"

#include "memory/window_impl.h"
#include "softmmu/window.h"

/* Bytes of the window that are remembered; 0: none. */
static uint64_t remembered(const struct sm_window *window)
{
    const struct sm_window_state *state = (const void *)window;
    return state->generation && state->host ? state->last - state->first + 1 : 0;
}

static void ring(void **state)
{
    struct sm_window window;
    struct board board;
    uint64_t value = 7, done = 99;
    uint8_t buf[64];

    board_init(&board);
    uint8_t *host = board.ram->ram->host;
    sm_window_open(&window, board.world.space, RAM_AT + 0x100, &plain, 0x200);
    assert_int_equal(remembered(&window), 0);
    for (unsigned size = 1; size <= 8; size *= 2) {
        memset(host + 0x100, 0xee, 0x20);
        for (uint64_t at = 0; at < 8; at++) {
            assert_int_equal(
                sm_window_store(&window, at, size, UINT64_C(0x8877665544332211)),
                SM_TX_OK);
            assert_int_equal(host[0x100 + at], 0x11);
            assert_int_equal(host[0x100 + at + size], 0xee);
            assert_int_equal(sm_window_load(&window, at, size, &value), SM_TX_OK);
            assert_true(value ==
                        (UINT64_C(0x8877665544332211) & UINT64_MAX >> (64 - 8 * size)));
        }
    }
    assert_int_equal(remembered(&window), 0x200);
    assert_int_equal(sm_window_write(&window, 0x1f0, "0123456789abcdef", 16, &done),
                     SM_TX_OK);
    assert_int_equal(done, 16);
    assert_memory_equal(host + 0x2f0, "0123456789abcdef", 16);
    done = 0;
    assert_int_equal(sm_window_read(&window, 0x1f1, buf, 15, &done), SM_TX_OK);
    assert_int_equal(done, 15);
    assert_memory_equal(buf, "123456789abcdef", 15);
    assert_int_equal(sm_window_read(&window, 0x200, buf, 0, &done), SM_TX_OK);
    assert_int_equal(done, 0);

    /* Nothing leaves it. */
    value = 7;
    assert_int_equal(sm_window_load(&window, 0x1f9, 8, &value), SM_TX_DECODE_ERROR);
    assert_int_equal(sm_window_store(&window, 0x200, 1, 0), SM_TX_DECODE_ERROR);
    assert_int_equal(sm_window_store(&window, UINT64_MAX, 1, 0), SM_TX_DECODE_ERROR);
    done = 99;
    assert_int_equal(sm_window_write(&window, 0x1f9, buf, 8, &done), SM_TX_DECODE_ERROR);
    assert_int_equal(done, 0);
    assert_int_equal(sm_window_read(&window, 0, buf, UINT64_MAX, NULL),
                     SM_TX_DECODE_ERROR);
    assert_int_equal(value, 7);

    sm_window_close(&window);
    assert_int_equal(sm_window_load(&window, 0, 8, &value), SM_TX_DECODE_ERROR);
    memset(&window, 0, sizeof(window));
    assert_int_equal(sm_window_read(&window, 0, buf, 1, NULL), SM_TX_DECODE_ERROR);
    world_fini(&board.world);
}

/* What is not RAM, or several things, is reached by the ordinary way. */
static void others(void **state)
{
    struct sm_window window, debugger;
    struct board board;
    uint64_t value = 7, done;
    uint8_t buf[0x40];

    board_init(&board);
    memcpy(board.bytes.byte, "0123456789abcdef", 16);
    sm_window_open(&window, board.world.space, RAM_AT, &plain, 0x10000);
    assert_int_equal(sm_window_load(&window, 0x1004, 4, &value), SM_TX_OK);
    assert_int_equal(value, 0x37363534);
    assert_int_equal(remembered(&window), 0);
    assert_int_equal(sm_window_load(&window, 0xffc, 8, &value), SM_TX_OK);
    assert_int_equal(value, UINT64_C(0x3332313000000000));
    assert_int_equal(remembered(&window), 0x1000);
    assert_int_equal(sm_window_store(&window, 0x1000, 4, 0x44434241), SM_TX_OK);
    assert_memory_equal(board.bytes.byte, "ABCD456", 7);
    assert_int_equal(sm_window_read(&window, 0xff8, buf, 0x40, &done), SM_TX_OK);
    assert_int_equal(done, 0x40);
    assert_memory_equal(buf + 8, "ABCD456789abcdef", 16);
    /* ROM is remembered and not written; a debugger's window is another. */
    assert_int_equal(sm_window_load(&window, 0x2010, 8, &value), SM_TX_OK);
    assert_int_equal(remembered(&window), 0x1000);
    assert_int_equal(sm_window_store(&window, 0x2010, 8, 1), SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_window_write(&window, 0x200e, "0123", 4, &done),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(done, 2);
    sm_window_open(&debugger, board.world.space, RAM_AT, &debug, 0x10000);
    assert_int_equal(sm_window_store(&debugger, 0x2010, 8, 0x1234), SM_TX_OK);
    assert_int_equal(remembered(&debugger), 0x1000);
    assert_int_equal(sm_window_load(&window, 0x2010, 8, &value), SM_TX_OK);
    assert_int_equal(value, 0x1234);
    board.bytes.reads = board.bytes.writes = 0;
    assert_int_equal(sm_window_load(&debugger, 0x1004, 4, &value), SM_TX_OK);
    assert_int_equal(sm_window_store(&debugger, 0x1004, 4, 1), SM_TX_ACCESS_ERROR);
    assert_int_equal(board.bytes.reads + board.bytes.writes, 0);
    assert_int_equal(sm_window_load(&window, 0x8000, 8, &value), SM_TX_DECODE_ERROR);
    assert_int_equal(sm_window_store(&window, 0x8000, 8, 0), SM_TX_DECODE_ERROR);
    /* RAM only, under the lock of a device. */
    sm_window_open(&window, board.world.space, RAM_AT, &ram_only, 0x2000);
    sm_device_lock(board.device);
    assert_int_equal(sm_window_store(&window, 8, 8, 0x99), SM_TX_OK);
    assert_int_equal(sm_window_store(&window, 0x1000, 4, 0x99), SM_TX_ACCESS_ERROR);
    sm_device_unlock(board.device);
    /* At the end of everything. */
    show(&board.world, UINT64_MAX - 0xfff, new_ram(&board.world, "last", 0x1000));
    show(&board.world, 0, new_ram(&board.world, "first", 0x1000));
    sm_window_open(&window, board.world.space, UINT64_MAX - 7, &plain, UINT64_MAX);
    assert_int_equal(sm_window_store(&window, 0, 8, 5), SM_TX_OK);
    assert_int_equal(sm_window_store(&window, 8, 1, 5), SM_TX_DECODE_ERROR);
    assert_int_equal(sm_window_read(&window, 4, buf, 8, &done), SM_TX_DECODE_ERROR);
    assert_int_equal(done, 4);
    world_fini(&board.world);
}

/* Every kind of change is noticed by the next access. */
static void changes(void **state)
{
    struct sm_window window;
    struct board board;
    uint64_t value;

    board_init(&board);
    struct sm_topology *topo = board.world.topo;
    sm_window_open(&window, board.world.space, RAM_AT, &plain, 0x1000);
    board.ram->ram->host[0] = 1;
    assert_int_equal(sm_window_load(&window, 0, 1, &value), SM_TX_OK);
    /* Something over it. */
    struct sm_region *over = new_ram(&board.world, "over", 0x10);
    over->ram->host[0] = 2;
    sm_topology_begin(topo);
    map(board.world.root, RAM_AT, over, 1);
    assert_int_equal(sm_window_load(&window, 0, 1, &value), SM_TX_OK);
    assert_int_equal(value, 1); /* nothing was committed yet */
    commit(&board.world);
    assert_int_equal(sm_window_load(&window, 0, 1, &value), SM_TX_OK);
    assert_int_equal(value, 2);
    /* Read-only. */
    assert_int_equal(sm_window_store(&window, 0, 1, 3), SM_TX_OK);
    sm_topology_begin(topo);
    sm_region_set_readonly(over, true);
    commit(&board.world);
    assert_int_equal(sm_window_store(&window, 0, 1, 4), SM_TX_ACCESS_ERROR);
    assert_int_equal(over->ram->host[0], 3);
    /* Gone, and another in its place; an edit that is taken back changes nothing. */
    sm_topology_begin(topo);
    sm_region_unmap(over);
    commit(&board.world);
    assert_int_equal(sm_window_load(&window, 0, 1, &value), SM_TX_OK);
    assert_int_equal(value, 1);
    sm_topology_begin(topo);
    sm_region_unmap(board.ram);
    sm_topology_abort(topo);
    assert_int_equal(remembered(&window), 0x1000);
    assert_int_equal(sm_window_load(&window, 0, 1, &value), SM_TX_OK);
    sm_topology_begin(topo);
    sm_region_unmap(board.ram);
    map(board.world.root, RAM_AT, over, 0);
    commit(&board.world);
    assert_int_equal(sm_window_load(&window, 0, 1, &value), SM_TX_OK);
    assert_int_equal(value, 3);
    assert_int_equal(remembered(&window), 0x10);
    /* Another space's changes are not ours. */
    struct sm_address_space *second;
    struct sm_region *root = new_container(&board.world, "second", UINT64_MAX);
    assert_int_equal(sm_address_space_new(topo, "second", root, &second), 0);
    const uint64_t generation = board.world.space->generation;
    sm_topology_begin(topo);
    map(root, 0, board.ram, 0);
    commit(&board.world);
    assert_int_equal(board.world.space->generation, generation);
    assert_int_equal(second->generation, 2);
    world_fini(&board.world);
}

static int n_released;

static void released(void *owner, void *host)
{
    n_released++;
}

/* A window that is not used, or not even closed, keeps no memory back (R4). */
static void tickets(void **state)
{
    static _Alignas(4096) uint8_t mine[0x1000];
    const struct sm_ram_options options = {.struct_size = sizeof(options),
                                           .kind = SM_RAM_CALLER,
                                           .size = sizeof(mine),
                                           .host = mine,
                                           .release = released};
    struct sm_window window;
    struct sm_region *ram;
    struct board board;
    uint64_t value;

    board_init(&board);
    struct sm_topology *topo = board.world.topo;
    assert_int_equal(sm_region_new_ram_from(topo, "mine", &options, &ram), 0);
    show(&board.world, 0x8000, ram);
    sm_window_open(&window, board.world.space, 0x8000, &plain, 0x1000);
    assert_int_equal(sm_window_store(&window, 0, 8, 1), SM_TX_OK);
    sm_topology_begin(topo);
    sm_region_unmap(ram);
    assert_int_equal(sm_region_free(ram), 0);
    const sm_ticket ticket = commit(&board.world);
    sm_ticket_wait(topo, ticket);
    assert_int_equal(n_released, 1);
    memset(mine, 0xdd, sizeof(mine)); /* it is ours again */
    assert_int_equal(sm_window_load(&window, 0, 8, &value), SM_TX_DECODE_ERROR);
    world_fini(&board.world);
}

/* A ROM device's memory is remembered for as long as reads are of it. */
static void rom_device(void **state)
{
    struct sm_window window;
    struct sm_region *romd;
    struct board board;
    uint64_t value;

    board_init(&board);
    assert_int_equal(
        sm_region_new_rom_device(board.device, "romd", 16, &board_ops, &romd), 0);
    show(&board.world, 0x8000, romd);
    memcpy(romd->ram->host, "memory of a romd", 16);
    memcpy(board.bytes.byte, "registers of it!", 16);
    sm_window_open(&window, board.world.space, 0x8000, &plain, 16);
    assert_int_equal(sm_window_load(&window, 0, 8, &value), SM_TX_OK);
    assert_memory_equal(&value, "memory o", 8);
    assert_int_equal(remembered(&window), 16);
    assert_int_equal(sm_window_store(&window, 0, 1, 'R'), SM_TX_OK);
    assert_int_equal(board.bytes.byte[0], 'R');
    assert_int_equal(romd->ram->host[0], 'm');
    sm_topology_begin(board.world.topo);
    assert_int_equal(sm_region_set_calls(romd, true), 0);
    commit(&board.world);
    assert_int_equal(sm_window_load(&window, 0, 4, &value), SM_TX_OK);
    assert_memory_equal(&value, "Regi", 4);
    world_fini(&board.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ring),    cmocka_unit_test(others),
        cmocka_unit_test(changes), cmocka_unit_test(tickets),
        cmocka_unit_test(rom_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
