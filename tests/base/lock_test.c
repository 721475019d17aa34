/* SPDX-License-Identifier: MIT */
/* lock_test.c - one at a time, nobody is forgotten, and the last one may free it. */
#include "../base/test.h"

#include "base/lock.h"

#include <pthread.h>
#include <sched.h>

enum { N_THREADS = 4, TURNS = 20000, N_FREED = 300 };

struct shared {
    struct sm_lock lock;
    uint64_t n;        /* under the lock                                       */
    uint32_t inside;   /* atomic */
    uint32_t overlaps; /* under the lock                                       */
};

static void *take_turns(void *arg)
{
    struct shared *shared = arg;

    for (int i = 0; i < TURNS; i++) {
        sm_lock(&shared->lock);
        shared->overlaps += sm_fetch_add(&shared->inside, 1) != 0;
        shared->n++;
        if (i % 64 == 0)
            sched_yield(); /* have the others wait */
        sm_fetch_add(&shared->inside, UINT32_MAX);
        sm_unlock(&shared->lock);
    }
    return NULL;
}

static void one_at_a_time(void **state)
{
    struct shared shared = {.n = 0};
    pthread_t thread[N_THREADS];

    sm_lock_init(&shared.lock);
    for (int i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, take_turns, &shared), 0);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(shared.n, N_THREADS * TURNS);
    assert_int_equal(shared.overlaps, 0);
    sm_lock_destroy(&shared.lock);
}

/* Two end their use of an object; the second one frees it at once. */
struct object {
    struct sm_lock lock;
    int users;
};

static void *let_go(void *arg)
{
    struct object *object = arg;

    sm_lock(&object->lock);
    const bool last = --object->users == 0;
    sm_unlock(&object->lock);
    if (last) {
        sm_lock_destroy(&object->lock);
        free(object);
    }
    return NULL;
}

static void freed_by_the_last(void **state)
{
    for (int i = 0; i < N_FREED; i++) {
        struct object *object = calloc(1, sizeof(*object));
        pthread_t thread;
        sm_lock_init(&object->lock);
        object->users = 2;
        assert_int_equal(pthread_create(&thread, NULL, let_go, object), 0);
        let_go(object);
        pthread_join(thread, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(freed_by_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
