/* SPDX-License-Identifier: MIT */
/* block_test.c - blocks: where they end, how pages cut them, what FENCE.I does. */
#include "program.h"

#include "riscv/interp_impl.h"

#define CODE (RAM + 0x1000)

static int set_up(void **state)
{
    static struct fixture fix;
    struct rv_isa isa = fixture_isa();

    fixture_init(&fix, &isa);
    catch_traps(&fix);
    *state = &fix;
    return 0;
}

static int tear_down(void **state)
{
    fixture_fini(*state);
    return 0;
}

/* --- Bounds ---------------------------------------------------------------- */

/** Straight lines of every length, long and short instructions mixed, over page ends. */
static void test_straight_lines(void **state)
{
    struct fixture *fix = *state;
    uint32_t seed = 12345;

    for (unsigned length = 0; length < 200; length++) {
        const uint64_t start = CODE + 0xfff - 2 * (length / 2) - 0x101;
        struct program prog = {fix, start & ~UINT64_C(1)};
        const uint64_t pc = prog.at;
        const struct rv_stats before = stats_of(fix);
        struct rv_stats after;

        for (unsigned n = 0; n < length; n++) {
            seed = seed * 1664525 + 1013904223;
            if (seed >> 31)
                put(&prog, RV_OP_addi, A0, A0, 0, 1);
            else
                put16(&prog, 0x0505); /* c.addi a0, 1 */
        }
        put_wfi(&prog);
        rv_blocks_flush(fix->hart);
        rv_hart_set_x(fix->hart, A0, 0);
        run_from(fix, pc);
        after = stats_of(fix);
        assert_int_equal(rv_hart_x(fix->hart, A0), length);
        assert_int_equal(rv_hart_pc(fix->hart), prog.at);
        assert_int_equal(after.instructions - before.instructions, length + 1);
        assert_true(after.block_entries - before.block_entries >=
                    (length + RV_BLOCK_INSNS) / RV_BLOCK_INSNS);
        assert_true(after.block_entries - before.block_entries <=
                    (length + RV_BLOCK_INSNS) / RV_BLOCK_INSNS + 2);
    }
}

/** A word across two pages is fetched anew each time, also when the second changes. */
static void test_crossing(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE + 0xff8};

    put(&prog, RV_OP_addi, A0, A0, 0, 1);
    put16(&prog, 0x0505);
    put(&prog, RV_OP_addi, A0, A0, 0, 0x10); /* at +0xffe */
    put_wfi(&prog);
    for (unsigned n = 1; n <= 3; n++) {
        run_from(fix, CODE + 0xff8);
        assert_int_equal(rv_hart_x(fix->hart, A0), 0x12 * n);
    }
    assert_int_equal(stats_of(fix).instructions, 3 * 4);
    put16(&(struct program){fix, CODE + 0x1000}, 0x0205); /* addi a0, a0, 0x20 */
    run_from(fix, CODE + 0xff8);
    assert_int_equal(rv_hart_x(fix->hart, A0), 0x12 * 3 + 0x22);
}

/** pc is the instruction's, tval the first byte that could not be fetched. */
static void test_fetch_faults(void **state)
{
    const uint64_t end = RAM + RAM_SIZE;
    struct fixture *fix = *state;
    struct program prog = {fix, end - 6};

    put(&prog, RV_OP_addi, A0, A0, 0, 1);
    put16(&prog, 0x0513); /* the first half of an ADDI */
    run_from(fix, end - 6);
    assert_trapped(fix, RV_CAUSE_FETCH_ACCESS, end - 2, end);
    assert_int_equal(rv_hart_x(fix->hart, A0), 1);
    assert_int_equal(stats_of(fix).instructions, 2);

    prog.at = end - 2;
    put16(&prog, 0x0505);
    rv_blocks_flush(fix->hart);
    run_from(fix, end - 6);
    assert_trapped(fix, RV_CAUSE_FETCH_ACCESS, end, end);
    assert_int_equal(rv_hart_x(fix->hart, A0), 3);

    /* A jump to nowhere retires; the fault is its target's. */
    prog.at = CODE;
    rv_hart_set_x(fix->hart, A1, 0x40);
    put(&prog, RV_OP_jalr, RA, A1, 0, 0);
    run_from(fix, CODE);
    assert_trapped(fix, RV_CAUSE_FETCH_ACCESS, 0x40, 0x40);
    assert_int_equal(rv_hart_x(fix->hart, RA), CODE + 4);
}

/* --- Memory that is not direct --------------------------------------------- */

static const uint32_t rom_words[] = {
    0x00150513, /* addi a0, a0, 1   */
    0x05050505, /* c.addi a0, 1 twice */
    0x00051463, /* bnez a0, +8      */
    0x00000000,
    0x10500073, /* wfi              */
};
static unsigned rom_reads;

static enum sm_tx rom_read(void *dev, uint64_t offset, unsigned size,
                           const struct sm_attrs *attrs, uint64_t *value)
{
    uint64_t copy = 0;

    rom_reads++;
    memcpy(&copy, (const uint8_t *)rom_words + offset, size);
    *value = copy;
    return SM_TX_OK;
}

static enum sm_tx rom_write(void *dev, uint64_t offset, unsigned size,
                            const struct sm_attrs *attrs, uint64_t value)
{
    return SM_TX_OK;
}

/** Code in a device: each parcel is read once for each time it is executed. */
static void test_device_code(void **state)
{
    static const struct sm_io_ops ops = {
        .struct_size = sizeof(ops),
        .read = rom_read,
        .write = rom_write,
        .accepts = {1, 8, false},
        .implements = {1, 8, false},
    };
    const uint64_t at = 0x10000000;
    struct fixture *fix = *state;
    struct sm_device *device;
    struct sm_region *rom;

    sm_topology_begin(fix->topo);
    assert_int_equal(sm_device_new(fix->topo, "rom", NULL, &device), 0);
    assert_int_equal(sm_region_new_io(device, "rom", sizeof(rom_words) - 1, &ops, &rom),
                     0);
    assert_int_equal(sm_region_map(fix->root, at, rom, 0), 0);
    assert_int_equal(sm_topology_commit(fix->topo, NULL), 0);

    rom_reads = 0;
    for (unsigned n = 1; n <= 2; n++) {
        run_from(fix, at);
        assert_int_equal(rv_hart_x(fix->hart, A0), 3 * n);
        assert_int_equal(rv_hart_pc(fix->hart), at + 20);
        assert_int_equal(rom_reads, 8 * n);
    }
    assert_int_equal(stats_of(fix).instructions, 2 * 5);
    assert_int_equal(stats_of(fix).blocks_decoded, 0);

    sm_topology_begin(fix->topo);
    sm_region_unmap(rom);
    assert_int_equal(sm_topology_commit(fix->topo, NULL), 0);
    run_from(fix, at);
    assert_trapped(fix, RV_CAUSE_FETCH_ACCESS, at, at);
    assert_int_equal(sm_region_free(rom), 0);
    assert_int_equal(sm_device_free(device), 0);
}

/** One page of memory at two addresses: one block, but pc is where it runs. */
static void test_alias(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};
    struct sm_region *alias;

    sm_topology_begin(fix->topo);
    assert_int_equal(sm_region_new_alias(fix->ram, "alias", (struct sm_range){0, 0xffff},
                                         &alias),
                     0);
    assert_int_equal(sm_region_map(fix->root, 0x40000000, alias, 0), 0);
    assert_int_equal(sm_topology_commit(fix->topo, NULL), 0);
    put(&prog, RV_OP_auipc, A0, 0, 0, 0);
    put(&prog, RV_OP_jal, RA, 0, 0, 8);
    put_wfi(&prog);
    put(&prog, RV_OP_auipc, A1, 0, 0, 0x1000);
    put_wfi(&prog);
    for (unsigned n = 0; n < 4; n++) {
        const uint64_t base = n & 1 ? 0x40001000 : CODE;

        run_from(fix, base);
        assert_int_equal(rv_hart_x(fix->hart, A0), base);
        assert_int_equal(rv_hart_x(fix->hart, RA), base + 8);
        assert_int_equal(rv_hart_x(fix->hart, A1), base + 12 + 0x1000);
        assert_int_equal(rv_hart_pc(fix->hart), base + 20);
    }
    assert_int_equal(stats_of(fix).blocks_decoded, 2);

    /* Taken away while blocks know it. */
    sm_topology_begin(fix->topo);
    sm_region_unmap(alias);
    assert_int_equal(sm_topology_commit(fix->topo, NULL), 0);
    run_from(fix, 0x40001000);
    assert_trapped(fix, RV_CAUSE_FETCH_ACCESS, 0x40001000, 0x40001000);
    assert_int_equal(sm_region_free(alias), 0);
}

/* --- Code that changes ----------------------------------------------------- */

/** A program stores instructions, fences, and runs what it stored. */
static void test_fence_i(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE}, code = {fix, CODE + 0x200};

    put(&prog, RV_OP_sw, 0, A1, A2, 0);
    put(&prog, RV_OP_fence_i, 0, 0, 0, 0);
    put(&prog, RV_OP_jalr, RA, A1, 0, 0);
    put_wfi(&prog);
    put(&code, RV_OP_addi, A0, X0, 0, 1);
    put(&code, RV_OP_jalr, X0, RA, 0, 0);
    rv_hart_set_x(fix->hart, A1, CODE + 0x200);
    for (int32_t n = 1; n < 50; n++) {
        rv_hart_set_x(fix->hart, A2, enc(RV_OP_addi, A0, X0, 0, n));
        run_from(fix, CODE);
        assert_int_equal(rv_hart_x(fix->hart, A0), n);
    }
    /* What did not change was compared, and not decoded again. */
    assert_int_equal(stats_of(fix).blocks_decoded, 3 + 49);
    assert_true(stats_of(fix).blocks_verified >= 2 * 48);
    assert_int_equal(stats_of(fix).instructions, 49 * 6);
}

/** The same behind a link, for which no block is looked up: the loop's own tail. */
static void test_fence_i_linked(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};

    put(&prog, RV_OP_addi, A0, A0, 0, 1);   /* +0, patched in the second round */
    put(&prog, RV_OP_bne, 0, A4, X0, 24);   /* +4, never taken                 */
    put(&prog, RV_OP_sw, 0, A1, A2, 0);     /* +8                              */
    put(&prog, RV_OP_fence_i, 0, 0, 0, 0);  /* +12                             */
    put(&prog, RV_OP_addi, A3, A3, 0, -1);  /* +16                             */
    put(&prog, RV_OP_bne, 0, A3, X0, -20);  /* +20                             */
    put_wfi(&prog);                         /* +24                             */
    rv_hart_set_x(fix->hart, A1, CODE);
    rv_hart_set_x(fix->hart, A2, enc(RV_OP_addi, A0, A0, 0, 0x100));
    rv_hart_set_x(fix->hart, A3, 5);
    run_from(fix, CODE);
    assert_int_equal(rv_hart_x(fix->hart, A0), 1 + 4 * 0x100);
    assert_int_equal(stats_of(fix).instructions, 5 * 6 + 1);
}

/** More code than the cache holds. */
static void test_full(void **state)
{
    enum { BLOCKS = 3000 };
    struct fixture *fix = *state;
    struct program prog = {fix, RAM + 0x40000};
    const uint64_t resets = fix->hart->blocks->resets;

    for (unsigned n = 0; n < BLOCKS; n++) {
        for (unsigned k = 0; k < RV_BLOCK_INSNS - 1; k++)
            put(&prog, RV_OP_addi, A0, A0, 0, 1);
        put(&prog, RV_OP_jal, X0, 0, 0, 4);
    }
    put_wfi(&prog);
    /* As if most of it were taken. */
    fix->hart->blocks->used = RV_BLOCK_ARENA - 200000;
    for (unsigned n = 0; n < 4; n++) {
        rv_hart_set_x(fix->hart, A0, 0);
        run_from(fix, RAM + 0x40000);
        assert_int_equal(rv_hart_x(fix->hart, A0), BLOCKS * (RV_BLOCK_INSNS - 1));
    }
    assert_int_equal(fix->hart->blocks->resets, resets + 1);
    assert_int_equal(stats_of(fix).instructions, 4 * (BLOCKS * RV_BLOCK_INSNS + 1));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_straight_lines), TEST(test_crossing), TEST(test_fetch_faults),
        TEST(test_device_code),    TEST(test_alias),    TEST(test_fence_i),
        TEST(test_fence_i_linked), TEST(test_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
