/* SPDX-License-Identifier: MIT */
/* aclint_test.c - timer and software interrupts, through both layouts. */
#include "fake.h"

enum {
    N_HARTS = 3,
    CLINT = 0x2000000,
    MSWI = 0x3000000, SSWI = 0x3004000, MTIMER = 0x3008000,
    MSI = 0, MTI = 8, SSI = 16 /* lines, plus the hart                              */
};

struct fixture {
    struct bench bench;
    struct fake_clock clock;
    struct fake_lines lines;
    struct aclint *aclint;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct dev_line msi[N_HARTS], mti[N_HARTS], ssi[N_HARTS];

    bench_init(&f->bench);
    fake_clock_init(&f->clock);
    for (unsigned n = 0; n < N_HARTS; n++) {
        msi[n] = fake_line(&f->lines, MSI + n);
        mti[n] = fake_line(&f->lines, MTI + n);
        ssi[n] = fake_line(&f->lines, SSI + n);
    }
    assert_int_equal(aclint_new(&(struct aclint_options){.topo = f->bench.topo,
                                                         .clock = &f->clock.table,
                                                         .n_harts = N_HARTS,
                                                         .msi = msi,
                                                         .mti = mti,
                                                         .ssi = ssi},
                                &f->aclint),
                     0);
    bench_map(&f->bench, CLINT, aclint_clint_region(f->aclint));
    bench_map(&f->bench, MSWI, aclint_mswi_region(f->aclint));
    bench_map(&f->bench, SSWI, aclint_sswi_region(f->aclint));
    bench_map(&f->bench, MTIMER, aclint_mtimer_region(f->aclint));
    aclint_reset(f->aclint);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    bench_unmap(&f->bench, aclint_clint_region(f->aclint));
    bench_unmap(&f->bench, aclint_mswi_region(f->aclint));
    bench_unmap(&f->bench, aclint_sswi_region(f->aclint));
    bench_unmap(&f->bench, aclint_mtimer_region(f->aclint));
    aclint_free(f->aclint);
    bench_fini(&f->bench);
    free(f);
    return 0;
}

static void test_mtime(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(bench_load(&f->bench, CLINT + 0xbff8, 8), 0);
    fake_clock_advance(&f->clock, 123456789);
    assert_int_equal(bench_load(&f->bench, CLINT + 0xbff8, 8), 1234567);
    assert_int_equal(bench_load(&f->bench, MTIMER + 0x7ff8, 8), 1234567);
    assert_int_equal(aclint_mtime(f->aclint), 1234567);
    assert_int_equal(bench_peek(&f->bench, MTIMER + 0x7ff8, 4), 1234567);

    bench_store(&f->bench, MTIMER + 0x7ff8, 8, 0x1122334455667788);
    assert_int_equal(bench_load(&f->bench, CLINT + 0xbff8, 4), 0x55667788);
    assert_int_equal(bench_load(&f->bench, CLINT + 0xbffc, 4), 0x11223344);
    bench_store(&f->bench, CLINT + 0xbffc, 4, 5);
    assert_int_equal(aclint_mtime(f->aclint), 0x0000000555667788);
    bench_store(&f->bench, CLINT + 0xbff8, 4, 6);
    assert_int_equal(aclint_mtime(f->aclint), 0x0000000500000006);
    fake_clock_advance(&f->clock, 100);
    assert_int_equal(aclint_mtime(f->aclint), 0x0000000500000007);
}

static void test_timer(void **state)
{
    struct fixture *f = *state;

    assert_false(f->lines.level[MTI]);
    assert_int_equal(bench_load(&f->bench, CLINT + 0x4000, 8), UINT64_MAX);
    bench_store(&f->bench, CLINT + 0x4000, 8, 1000);
    bench_store(&f->bench, CLINT + 0x4008, 8, 2000);
    assert_int_equal(bench_load(&f->bench, MTIMER + 8, 8), 2000);
    fake_clock_advance(&f->clock, 99999);
    assert_false(f->lines.level[MTI]);
    fake_clock_advance(&f->clock, 1);
    assert_true(f->lines.level[MTI]);
    assert_false(f->lines.level[MTI + 1]);
    fake_clock_advance(&f->clock, 100000);
    assert_true(f->lines.level[MTI + 1]);
    assert_false(f->lines.level[MTI + 2]);

    /* The level is mtime >= mtimecmp, whichever of the two moves. */
    bench_store(&f->bench, CLINT + 0x4000, 8, 2001);
    assert_false(f->lines.level[MTI]);
    bench_store(&f->bench, CLINT + 0xbff8, 8, 2001);
    assert_true(f->lines.level[MTI]);
    bench_store(&f->bench, CLINT + 0xbff8, 8, 0);
    assert_false(f->lines.level[MTI]);
    assert_false(f->lines.level[MTI + 1]);
    fake_clock_advance(&f->clock, 200000);
    assert_false(f->lines.level[MTI]);
    assert_true(f->lines.level[MTI + 1]);
}

/* The halves of mtimecmp in the order that the specification's example uses. */
static void test_halves(void **state)
{
    struct fixture *f = *state;

    fake_clock_advance(&f->clock, 1000);
    bench_store(&f->bench, MTIMER + 16, 4, UINT32_MAX);
    assert_false(f->lines.level[MTI + 2]);
    bench_store(&f->bench, MTIMER + 20, 4, 0);
    assert_false(f->lines.level[MTI + 2]);
    bench_store(&f->bench, MTIMER + 16, 4, 11);
    assert_false(f->lines.level[MTI + 2]);
    assert_int_equal(bench_load(&f->bench, MTIMER + 16, 8), 11);
    fake_clock_advance(&f->clock, 100);
    assert_true(f->lines.level[MTI + 2]);
}

/* Deadlines that the clock cannot reach, and one that mtime has passed. */
static void test_far(void **state)
{
    struct fixture *f = *state;

    fake_clock_advance(&f->clock, 5000);
    assert_int_equal(aclint_deadline_ns(f->aclint, 51), 5100);
    assert_int_equal(aclint_deadline_ns(f->aclint, 50), 5000);
    assert_int_equal(aclint_deadline_ns(f->aclint, 3), 5000);
    assert_int_equal(aclint_deadline_ns(f->aclint, UINT64_MAX), UINT64_MAX);
    bench_store(&f->bench, CLINT + 0x4000, 8, UINT64_MAX - 1);
    assert_null(fake_clock_next(&f->clock));
    bench_store(&f->bench, CLINT + 0xbff8, 8, UINT64_MAX - 1);
    assert_true(f->lines.level[MTI]);
    bench_store(&f->bench, CLINT + 0x4000, 8, UINT64_MAX);
    assert_false(f->lines.level[MTI]);
    assert_int_equal(aclint_deadline_ns(f->aclint, UINT64_MAX), 5100);
    fake_clock_advance(&f->clock, 100);
    assert_true(f->lines.level[MTI]);
}

static void test_software(void **state)
{
    struct fixture *f = *state;

    bench_store(&f->bench, CLINT + 4, 4, 0xffffffff);
    assert_true(f->lines.level[MSI + 1]);
    assert_false(f->lines.level[MSI]);
    assert_int_equal(bench_load(&f->bench, MSWI + 4, 4), 1);
    assert_int_equal(bench_load(&f->bench, CLINT, 8), UINT64_C(1) << 32);
    bench_store(&f->bench, MSWI + 4, 4, 0xfffffffe);
    assert_false(f->lines.level[MSI + 1]);
    bench_store(&f->bench, CLINT, 8, UINT64_C(1) << 32 | 1);
    assert_true(f->lines.level[MSI]);
    assert_true(f->lines.level[MSI + 1]);

    bench_store(&f->bench, SSWI + 8, 4, 0);
    assert_int_equal(f->lines.n_sets[SSI + 2], 1); /* the reset's                  */
    bench_store(&f->bench, SSWI + 8, 4, 1);
    assert_true(f->lines.level[SSI + 2]);
    assert_int_equal(bench_load(&f->bench, SSWI + 8, 4), 0);
}

/* Registers of harts that do not exist, gaps, and widths that nobody accepts. */
static void test_nothing_there(void **state)
{
    struct fixture *f = *state;
    uint64_t value;

    bench_store(&f->bench, CLINT + 4 * N_HARTS, 4, 1);
    assert_int_equal(bench_load(&f->bench, CLINT + 4 * N_HARTS, 4), 0);
    bench_store(&f->bench, CLINT + 0x4000 + 8 * N_HARTS, 8, 1);
    assert_int_equal(bench_load(&f->bench, CLINT + 0x4000 + 8 * N_HARTS, 8), 0);
    bench_store(&f->bench, SSWI + 4 * N_HARTS, 4, 1);
    assert_int_equal(bench_load(&f->bench, CLINT + 0xc000, 8), 0);
    assert_int_equal(
        sm_address_space_load(f->bench.space, CLINT + 0xbff8, &bench_attrs, 2, &value),
        SM_TX_ACCESS_ERROR);
    assert_int_equal(
        sm_address_space_load(f->bench.space, CLINT + 0xbffa, &bench_attrs, 4, &value),
        SM_TX_ACCESS_ERROR);
}

static void test_reset(void **state)
{
    struct fixture *f = *state;

    fake_clock_advance(&f->clock, 1000000);
    bench_store(&f->bench, CLINT, 4, 1);
    bench_store(&f->bench, CLINT + 0x4000, 8, 0);
    bench_store(&f->bench, CLINT + 0x4008, 8, 20000);
    assert_true(f->lines.level[MSI]);
    assert_true(f->lines.level[MTI]);
    aclint_model.reset(f->aclint);
    assert_false(f->lines.level[MSI]);
    assert_false(f->lines.level[MTI]);
    assert_int_equal(aclint_mtime(f->aclint), 0);
    assert_int_equal(bench_load(&f->bench, CLINT, 4), 0);
    assert_int_equal(bench_load(&f->bench, CLINT + 0x4000, 8), UINT64_MAX);
    fake_clock_advance(&f->clock, 10000000);
    assert_false(f->lines.level[MTI + 1]);
}

static void test_bad_options(void **state)
{
    struct fixture *f = *state;
    struct aclint *none = NULL;

    assert_int_equal(aclint_new(&(struct aclint_options){.topo = f->bench.topo}, &none),
                     -EINVAL);
    assert_int_equal(
        aclint_new(&(struct aclint_options){.topo = f->bench.topo, .n_harts = 513},
                   &none),
        -EINVAL);
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_mtime, setup, teardown),
        cmocka_unit_test_setup_teardown(test_timer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_halves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_far, setup, teardown),
        cmocka_unit_test_setup_teardown(test_software, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_there, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_options, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
