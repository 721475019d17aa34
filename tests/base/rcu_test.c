/* SPDX-License-Identifier: MIT */
/* rcu_test.c - a grace period waits for the readers that began before it. */
#include "test.h"

#include "base/atomic.h"
#include "base/rcu.h"

#include <pthread.h>
#include <time.h>

enum { ROUNDS = 300 };

struct shared {
    uint32_t *current; /* atomic; 1 while it may be read                       */
    uint32_t stop;     /* atomic */
};

static void *reader(void *arg)
{
    struct shared *shared = arg;
    uintptr_t wrong = 0;

    while (!sm_load_relaxed(&shared->stop)) {
        sm_rcu_lock();
        sm_rcu_lock(); /* nests */
        const uint32_t *seen = sm_load_acquire(&shared->current);
        sm_rcu_unlock();
        wrong += *seen != 1;
        sm_rcu_unlock();
    }
    return (void *)wrong;
}

static uint32_t *make(void)
{
    uint32_t *value = malloc(sizeof(*value));
    *value = 1;
    return value;
}

static void grace(void **state)
{
    struct shared shared = {make(), 0};
    pthread_t threads[2];

    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, reader, &shared), 0);
    for (int i = 0; i < ROUNDS; i++) {
        uint32_t *before = shared.current;
        sm_publish(&shared.current, make());
        sm_rcu_synchronize();
        *before = 0;
        free(before);
    }
    sm_store_relaxed(&shared.stop, 1);
    for (int i = 0; i < 2; i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    free(shared.current);
}

static void *hold(void *arg)
{
    uint32_t *phase = arg;
    const struct timespec pause = {.tv_nsec = 20000000};

    sm_rcu_lock();
    sm_publish(phase, 1);
    nanosleep(&pause, NULL);
    sm_publish(phase, 2);
    sm_rcu_unlock();
    return NULL;
}

static void waits(void **state)
{
    uint32_t phase = 0;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, hold, &phase), 0);
    while (!sm_load_acquire(&phase))
        ;
    sm_rcu_synchronize();
    assert_int_equal(sm_load_acquire(&phase), 2);
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grace),
        cmocka_unit_test(waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
