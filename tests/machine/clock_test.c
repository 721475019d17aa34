/* SPDX-License-Identifier: MIT */
/* clock_test.c - timers fire in order, once, on the main thread, and not before time. */
#include "machine_test.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

enum { N_TIMERS = 64, MS = 1000000 };

struct probe {
    struct dev_timer timer;
    uint64_t armed_for; /* UINT64_MAX: is not                                  */
    unsigned fired;
};

static struct probe probes[N_TIMERS];
static unsigned n_fired, order[100000];
static const struct dev_clock *table;

static void probe_fire(void *opaque)
{
    struct probe *probe = opaque;
    assert_int_not_equal(probe->armed_for, UINT64_MAX);
    assert_true(table->now_ns(table->opaque) >= probe->armed_for);
    assert_int_equal(probe->timer.deadline_ns, UINT64_MAX);
    probe->armed_for = UINT64_MAX;
    probe->fired++;
    order[n_fired++ % SM_ARRAY_LEN(order)] = (unsigned)(probe - probes);
}

static void probes_reset(void)
{
    memset(probes, 0, sizeof probes);
    for (unsigned i = 0; i < N_TIMERS; i++) {
        probes[i].timer.fire = probe_fire;
        probes[i].timer.opaque = &probes[i];
        probes[i].armed_for = UINT64_MAX;
    }
    n_fired = 0;
}

static void arm(unsigned n, uint64_t deadline)
{
    probes[n].armed_for = deadline;
    table->arm(table->opaque, &probes[n].timer, deadline);
}

static void cancel(unsigned n)
{
    probes[n].armed_for = UINT64_MAX;
    table->cancel(table->opaque, &probes[n].timer);
}

/** Let the loop run until @n timers fired. */
static void run_until(GMainContext *context, unsigned n)
{
    while (n_fired < n)
        g_main_context_iteration(context, TRUE);
}

static uint64_t random_state;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/** Against the obvious model: a list of deadlines, of which the least fires first. */
static void random_against_model(void **state)
{
    GMainContext *context = g_main_context_new();
    struct machine_clock *clock = machine_clock_new(context);
    const char *seed = getenv("SM_SEED");
    (void)state;

    random_state = seed ? strtoull(seed, NULL, 0) | 1 : 1;
    printf("SM_SEED=%llu\n", (unsigned long long)random_state);
    table = machine_clock_table(clock);
    for (unsigned round = 0; round < 200; round++) {
        uint64_t deadlines[N_TIMERS];
        unsigned armed = 0;

        probes_reset();
        /* Deadlines long past, so that all fire in one go, and in order. */
        for (unsigned step = 0; step < 300; step++) {
            const unsigned n = (unsigned)(next_random() % N_TIMERS);
            if (next_random() % 4 == 0)
                cancel(n);
            else
                arm(n, next_random() % 50);
        }
        for (unsigned i = 0; i < N_TIMERS; i++) {
            deadlines[i] = probes[i].armed_for;
            armed += deadlines[i] != UINT64_MAX;
        }
        run_until(context, armed);
        assert_int_equal(n_fired, armed);
        for (unsigned i = 1; i < armed; i++)
            assert_true(deadlines[order[i - 1]] <= deadlines[order[i]]);
        for (unsigned i = 0; i < N_TIMERS; i++)
            assert_int_equal(probes[i].fired, deadlines[i] != UINT64_MAX);
        assert_false(g_main_context_iteration(context, FALSE) && n_fired != armed);
    }
    machine_clock_free(clock);
    g_main_context_unref(context);
}

static void deadlines_are_kept(void **state)
{
    GMainContext *context = g_main_context_new();
    struct machine_clock *clock = machine_clock_new(context);
    uint64_t start;
    (void)state;

    table = machine_clock_table(clock);
    probes_reset();
    start = table->now_ns(table->opaque);
    arm(0, start + 20 * MS);
    arm(1, start + 5 * MS);
    arm(2, start + 10 * MS);
    arm(3, start + 2 * MS);
    cancel(3);
    arm(2, start + 15 * MS); /* later                              */
    arm(0, start + 8 * MS);  /* earlier                            */
    arm(4, UINT64_MAX - 1);  /* in centuries                       */
    arm(5, (uint64_t)INT64_MAX);
    run_until(context, 3);
    assert_int_equal(order[0], 1);
    assert_int_equal(order[1], 0);
    assert_int_equal(order[2], 2);
    assert_true(table->now_ns(table->opaque) - start >= 15 * MS);
    while (g_main_context_iteration(context, FALSE))
        continue;
    assert_int_equal(n_fired, 3);
    cancel(4);
    cancel(5);
    machine_clock_free(clock);
    g_main_context_unref(context);
}

/** A timer that arms itself in the past lets the rest of the loop run. */
static void rearm_fire(void *opaque)
{
    struct probe *probe = opaque;
    probe->fired++;
    table->arm(table->opaque, &probe->timer, 0);
}

static gboolean count_idle(gpointer opaque)
{
    ++*(unsigned *)opaque;
    return G_SOURCE_CONTINUE;
}

static void endless_timer_starves_nobody(void **state)
{
    GMainContext *context = g_main_context_new();
    struct machine_clock *clock = machine_clock_new(context);
    GSource *source = g_timeout_source_new(1);
    unsigned others = 0;
    (void)state;

    table = machine_clock_table(clock);
    probes_reset();
    probes[0].timer.fire = rearm_fire;
    table->arm(table->opaque, &probes[0].timer, 0);
    g_source_set_callback(source, count_idle, &others, NULL);
    g_source_attach(source, context);
    while (others < 3)
        g_main_context_iteration(context, TRUE);
    assert_true(probes[0].fired > 0);
    table->cancel(table->opaque, &probes[0].timer);
    g_source_destroy(source);
    g_source_unref(source);
    machine_clock_free(clock);
    g_main_context_unref(context);
}

static void *arm_from_thread(void *opaque)
{
    const uint64_t now = table->now_ns(table->opaque);
    (void)opaque;
    /* The loop sleeps, or is about to, without any timer. */
    for (unsigned i = 0; i < N_TIMERS; i++)
        arm(i, now + (N_TIMERS - i) * (uint64_t)50000);
    return NULL;
}

static void other_threads_wake_the_loop(void **state)
{
    GMainContext *context = g_main_context_new();
    struct machine_clock *clock = machine_clock_new(context);
    pthread_t thread;
    (void)state;

    table = machine_clock_table(clock);
    for (unsigned round = 0; round < 20; round++) {
        probes_reset();
        assert_int_equal(pthread_create(&thread, NULL, arm_from_thread, NULL), 0);
        pthread_join(thread, NULL);
        run_until(context, N_TIMERS);
    }
    machine_clock_free(clock);
    g_main_context_unref(context);
}

static void wall_clock_is_the_hosts(void **state)
{
    struct machine_clock *clock = machine_clock_new(NULL);
    struct timespec now;
    uint64_t host;
    (void)state;

    table = machine_clock_table(clock);
    clock_gettime(CLOCK_REALTIME, &now);
    host = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    assert_true(table->wall_ns(table->opaque) - host < UINT64_C(10000000000));
    assert_true(table->now_ns(table->opaque) < UINT64_C(10000000000));
    machine_clock_free(clock);
}

static uint64_t given_now(void *opaque)
{
    return *(uint64_t *)opaque;
}

static void given_arm(void *opaque, struct dev_timer *timer, uint64_t deadline_ns)
{
    (void)timer;
    *(uint64_t *)opaque = deadline_ns;
}

static void given_cancel(void *opaque, struct dev_timer *timer)
{
    given_arm(opaque, timer, UINT64_MAX);
}

/** Who gives a clock is asked for the time, and told of timers; nothing fires by itself. */
static void a_given_clock_is_its_owners(void **state)
{
    uint64_t word = 7;
    const struct dev_clock given = {.now_ns = given_now,
                                    .wall_ns = given_now,
                                    .arm = given_arm,
                                    .cancel = given_cancel,
                                    .opaque = &word};
    struct machine_clock *clock = machine_clock_of(&given);
    (void)state;

    table = machine_clock_table(clock);
    assert_int_equal(table->now_ns(table->opaque), 7);
    assert_int_equal(table->wall_ns(table->opaque), 7);
    probes_reset();
    arm(0, 3);
    assert_int_equal(word, 3);
    assert_false(g_main_context_iteration(NULL, FALSE));
    assert_int_equal(n_fired, 0);
    cancel(0);
    assert_true(word == UINT64_MAX);
    machine_clock_free(clock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_against_model),
        cmocka_unit_test(deadlines_are_kept),
        cmocka_unit_test(endless_timer_starves_nobody),
        cmocka_unit_test(other_threads_wake_the_loop),
        cmocka_unit_test(wall_clock_is_the_hosts),
        cmocka_unit_test(a_given_clock_is_its_owners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
