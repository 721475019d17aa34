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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions),
        cmocka_unit_test(excludes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
