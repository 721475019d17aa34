/* SPDX-License-Identifier: MIT */
/* rtc_test.c - time, its setting, and the alarm of the goldfish clock. */
#include "fake.h"

enum {
    RTC = DEVICE_BASE,
    TIME_LOW = RTC, TIME_HIGH = RTC + 4, ALARM_LOW = RTC + 8, ALARM_HIGH = RTC + 0xc,
    IRQ_ENABLED = RTC + 0x10, CLEAR_ALARM = RTC + 0x14, ALARM_STATUS = RTC + 0x18,
    CLEAR_INTERRUPT = RTC + 0x1c
};

#define WALL UINT64_C(0x17b0000123456789)

struct fixture {
    struct bench bench;
    struct fake_clock clock;
    struct fake_lines lines;
    struct rtc *rtc;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    bench_init(&f->bench);
    fake_clock_init(&f->clock);
    f->clock.now = 1000;
    f->clock.wall = WALL;
    assert_int_equal(rtc_new(&(struct rtc_options){.topo = f->bench.topo,
                                                   .clock = &f->clock.table,
                                                   .irq = fake_line(&f->lines, 0)},
                             &f->rtc),
                     0);
    bench_map(&f->bench, RTC, rtc_region(f->rtc));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    bench_unmap(&f->bench, rtc_region(f->rtc));
    rtc_free(f->rtc);
    assert_null(fake_clock_next(&f->clock));
    bench_fini(&f->bench);
    free(f);
    return 0;
}

static uint32_t get(struct fixture *f, uint64_t gpa)
{
    return (uint32_t)bench_load(&f->bench, gpa, 4);
}

static void put(struct fixture *f, uint64_t gpa, uint32_t value)
{
    bench_store(&f->bench, gpa, 4, value);
}

static uint64_t get_time(struct fixture *f)
{
    const uint64_t low = get(f, TIME_LOW);

    return (uint64_t)get(f, TIME_HIGH) << 32 | low;
}

static void set_alarm(struct fixture *f, uint64_t at)
{
    put(f, ALARM_HIGH, (uint32_t)(at >> 32));
    put(f, ALARM_LOW, (uint32_t)at);
}

static void test_time(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(get_time(f), WALL);
    assert_int_equal(bench_load(&f->bench, RTC, 8), WALL);
    /* The high half is that of the moment at which the low one was read. */
    assert_int_equal(get(f, TIME_LOW), (uint32_t)WALL);
    fake_clock_advance(&f->clock, UINT64_C(1) << 32);
    assert_int_equal(get(f, TIME_HIGH), WALL >> 32);
    assert_int_equal(bench_peek(&f->bench, TIME_LOW, 4), (uint32_t)WALL);
    assert_int_equal(get(f, TIME_HIGH), WALL >> 32);
    assert_int_equal(get_time(f), WALL + (UINT64_C(1) << 32));
}

static void test_set(void **state)
{
    struct fixture *f = *state;

    put(f, TIME_HIGH, 5);
    put(f, TIME_LOW, 7);
    assert_int_equal(get_time(f), UINT64_C(5) << 32 | 7);
    fake_clock_advance(&f->clock, 10);
    assert_int_equal(get_time(f), UINT64_C(5) << 32 | 17);
    rtc_model.reset(f->rtc); /* the clock goes on                                   */
    assert_int_equal(get_time(f), UINT64_C(5) << 32 | 17);
}

static void test_alarm(void **state)
{
    struct fixture *f = *state;

    put(f, IRQ_ENABLED, 1);
    assert_int_equal(get(f, IRQ_ENABLED), 1);
    set_alarm(f, WALL + 500);
    assert_int_equal(get(f, ALARM_STATUS), 1);
    assert_int_equal(get(f, ALARM_LOW), (uint32_t)(WALL + 500));
    assert_int_equal(get(f, ALARM_HIGH), (WALL + 500) >> 32);
    fake_clock_advance(&f->clock, 499);
    assert_false(f->lines.level[0]);
    fake_clock_advance(&f->clock, 1);
    assert_true(f->lines.level[0]);
    assert_int_equal(get(f, ALARM_STATUS), 0);
    put(f, CLEAR_INTERRUPT, 1);
    assert_false(f->lines.level[0]);

    set_alarm(f, WALL); /* past: at once                                           */
    assert_true(f->lines.level[0]);
    put(f, IRQ_ENABLED, 0);
    assert_false(f->lines.level[0]);
    put(f, IRQ_ENABLED, 1);
    assert_true(f->lines.level[0]);
    put(f, CLEAR_INTERRUPT, 1);

    set_alarm(f, WALL + 1000);
    put(f, CLEAR_ALARM, 1);
    assert_int_equal(get(f, ALARM_STATUS), 0);
    fake_clock_advance(&f->clock, 1000);
    assert_false(f->lines.level[0]);
}

/* The clocks disagree: the guest sets its own, the host steps. */
static void test_alarm_and_steps(void **state)
{
    struct fixture *f = *state;

    put(f, IRQ_ENABLED, 1);
    set_alarm(f, WALL + 500);
    put(f, TIME_LOW, (uint32_t)WALL + 400);
    fake_clock_advance(&f->clock, 99);
    assert_false(f->lines.level[0]);
    fake_clock_advance(&f->clock, 1);
    assert_true(f->lines.level[0]);
    put(f, CLEAR_INTERRUPT, 0);

    set_alarm(f, get_time(f) + 500);
    f->clock.wall -= 200;
    fake_clock_advance(&f->clock, 500);
    assert_false(f->lines.level[0]);
    fake_clock_advance(&f->clock, 200);
    assert_true(f->lines.level[0]);
    put(f, CLEAR_INTERRUPT, 0);

    set_alarm(f, UINT64_MAX);
    fake_clock_advance(&f->clock, 1000000000);
    assert_false(f->lines.level[0]);
    f->clock.now = UINT64_MAX / 2 + UINT64_MAX / 4;
    set_alarm(f, UINT64_MAX - 1);
    assert_null(fake_clock_next(&f->clock));
}

static void test_reset(void **state)
{
    struct fixture *f = *state;

    put(f, IRQ_ENABLED, 1);
    set_alarm(f, 0);
    assert_true(f->lines.level[0]);
    set_alarm(f, WALL + 100);
    rtc_model.reset(f->rtc);
    assert_false(f->lines.level[0]);
    assert_null(fake_clock_next(&f->clock));
    assert_int_equal(get(f, ALARM_LOW), 0);
    assert_int_equal(get(f, RTC + 0x100), 0);
    put(f, RTC + 0x100, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_time, setup, teardown),
        cmocka_unit_test_setup_teardown(test_set, setup, teardown),
        cmocka_unit_test_setup_teardown(test_alarm, setup, teardown),
        cmocka_unit_test_setup_teardown(test_alarm_and_steps, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
