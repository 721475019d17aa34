/* SPDX-License-Identifier: MIT */
/* syscon_test.c - every way to end a run through the finisher. */
#include "fake.h"

enum { TEST = DEVICE_BASE };

struct fixture {
    struct bench bench;
    struct fake_power power;
    struct finisher *finisher;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    bench_init(&f->bench);
    fake_power_init(&f->power);
    assert_int_equal(finisher_new(&(struct finisher_options){.topo = f->bench.topo,
                                                             .power = &f->power.table},
                                  &f->finisher),
                     0);
    bench_map(&f->bench, TEST, finisher_region(f->finisher));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    bench_unmap(&f->bench, finisher_region(f->finisher));
    finisher_free(f->finisher);
    bench_fini(&f->bench);
    free(f);
    return 0;
}

static void expect(struct fixture *f, unsigned size, uint32_t value,
                   enum dev_power_event event, int code)
{
    const unsigned before = f->power.n_requests;

    bench_store(&f->bench, TEST, size, value);
    assert_int_equal(f->power.n_requests, before + 1);
    assert_int_equal(f->power.event, event);
    assert_int_equal(f->power.code, code);
}

static void test_values(void **state)
{
    struct fixture *f = *state;

    expect(f, 4, 0x5555, DEV_POWER_OFF, 0);
    expect(f, 2, 0x5555, DEV_POWER_OFF, 0);
    expect(f, 4, 0x3333, DEV_POWER_OFF, 0);
    expect(f, 4, 42 << 16 | 0x3333, DEV_POWER_OFF, 42);
    expect(f, 4, 0xffff3333, DEV_POWER_OFF, 0xffff);
    expect(f, 4, 0x7777, DEV_POWER_RESET, 0);
    expect(f, 2, 0x7777, DEV_POWER_RESET, 0);
}

static void test_ignored(void **state)
{
    struct fixture *f = *state;

    bench_store(&f->bench, TEST, 4, 0x1234);
    bench_store(&f->bench, TEST, 4, 0);
    bench_store(&f->bench, TEST + 4, 4, 0x5555);
    bench_store(&f->bench, TEST + 2, 2, 0x5555);
    assert_int_equal(f->power.n_requests, 0);
    assert_int_equal(bench_load(&f->bench, TEST, 4), 0);
    assert_int_equal(bench_peek(&f->bench, TEST, 4), 0);
    assert_int_equal(sm_address_space_store(f->bench.space, TEST, &bench_attrs, 1, 0x55),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(
        sm_address_space_store(f->bench.space, TEST, &bench_attrs, 8, 0x5555),
        SM_TX_ACCESS_ERROR);
    finisher_model.reset(f->finisher);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ignored, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
