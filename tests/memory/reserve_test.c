/* SPDX-License-Identifier: MIT */
/* reserve_test.c - versions move with each touch, and the lock excludes. */
#include "support.h"

#include "memory/reserve.h"

enum { THREADS = 4, ROUNDS = 20000 };

static void versions(void **state)
{
    struct world world;
    char memory[256] = {0};

    world_init(&world);
    char *const host = memory + (64 - (uintptr_t)memory % 64);
    const uint64_t version = sm_reserve_version(world.topo, host);
    assert_true(sm_reserve_version(world.topo, host + 63) == version);
    uint64_t found, *counter = sm_reserve_lock(world.topo, host + 5, &found);
    assert_true(found == version);
    assert_ptr_equal(counter, sm_reserve_counter(world.topo, host + 63));
    sm_reserve_unlock_untouched(counter);
    assert_true(sm_reserve_version(world.topo, host) == version);
    sm_reserve_unlock(sm_reserve_lock(world.topo, host + 63, &found));
    assert_true(sm_reserve_version(world.topo, host) > version);
    world_fini(&world);
}

struct shared {
    struct sm_topology *topo;
    int count; /* under its own granule's lock                                 */
};

static void *add(void *arg)
{
    struct shared *shared = arg;

    for (int i = 0; i < ROUNDS; i++) {
        uint64_t version, *const counter =
            sm_reserve_lock(shared->topo, &shared->count, &version);
        shared->count++;
        sm_reserve_unlock(counter);
    }
    return NULL;
}

static void excludes(void **state)
{
    pthread_t thread[THREADS];
    struct world world;

    world_init(&world);
    struct shared shared = {world.topo, 0};
    const uint64_t before = sm_reserve_version(world.topo, &shared.count);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, add, &shared), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(shared.count, THREADS * ROUNDS);
    assert_int_equal((sm_reserve_version(world.topo, &shared.count) - before) / 2,
                     THREADS * ROUNDS);
    world_fini(&world);
}

/* --- Beside a vCPU that is alone ------------------------------------------ */

struct waiter {
    struct sm_topology *topo;
    char memory[256];
    bool locked; /* atomic */
};

static void *lock_once(void *opaque)
{
    struct waiter *waiter = opaque;
    uint64_t version;

    uint64_t *const counter =
        sm_reserve_lock(waiter->topo, waiter->memory + 128, &version);
    sm_publish(&waiter->locked, true);
    sm_reserve_unlock(counter);
    return NULL;
}

static void waits_for_who_is_in_line(void **state)
{
    const struct timespec moment = {.tv_nsec = 20000000};
    struct waiter waiter = {0};
    struct world world;
    pthread_t thread;
    uint64_t version;

    world_init(&world);
    waiter.topo = world.topo;
    assert_true(sm_reserve_join(world.topo, true));
    assert_false(sm_reserve_join(world.topo, false));
    if (!sm_reserve_spare(world.topo))
        skip(); /* no membarrier() */
    struct sm_granules *const granules = sm_reserve_granules(world.topo);
    assert_ptr_equal(sm_reserve_counter(world.topo, waiter.memory), granules->version);
    sm_reserve_bind(world.topo, true);
    sm_store_relaxed(&granules->in_line, 1u);
    assert_int_equal(pthread_create(&thread, NULL, lock_once, &waiter), 0);
    while (!(sm_load_acquire(&granules->version[0]) & 1))
        sched_yield();
    nanosleep(&moment, NULL);
    assert_false(sm_load_acquire(&waiter.locked));
    sm_publish(&granules->in_line, 0u);
    pthread_join(thread, NULL);
    assert_true(waiter.locked);
    /* Its own thread does not wait. */
    sm_store_relaxed(&granules->in_line, 1u);
    sm_reserve_unlock(sm_reserve_lock(world.topo, waiter.memory, &version));
    assert_int_equal(version, 2);
    sm_store_relaxed(&granules->in_line, 0u);
    sm_reserve_bind(world.topo, false);
    sm_reserve_leave(world.topo);
    assert_true(sm_reserve_join(world.topo, false));
    assert_ptr_equal(sm_reserve_counter(world.topo, waiter.memory),
                     &granules->version[sm_version_number(waiter.memory)]);
    sm_reserve_leave(world.topo);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions),
        cmocka_unit_test(excludes),
        cmocka_unit_test(waits_for_who_is_in_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
