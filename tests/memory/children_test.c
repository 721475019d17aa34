/* SPDX-License-Identifier: MIT */
/* children_test.c - children found by address, against looking at each of them. */
#include "support.h"

enum { N = 400 };

static void found_by_address(void **state)
{
    struct sm_region *child[N], **found = NULL;
    uint64_t random = test_seed(3);
    struct sm_vec n = {0};
    struct world world;

    world_init(&world);
    for (int i = 0; i < N; i++)
        child[i] = new_container(&world, "child", test_below(&random, 64));
    sm_topology_begin(world.topo);
    for (int round = 0; round < 4000; round++) {
        struct sm_region *some = child[test_below(&random, N)];
        const uint64_t offset = test_below(&random, 8) ? test_below(&random, 4096)
                                                       : UINT64_MAX - 63 - some->now.last;
        switch (test_below(&random, 4)) {
        case 0: sm_region_unmap(some); break;
        case 1: (void)!sm_region_resize(some, test_below(&random, 2048)); break;
        case 2: (void)!sm_region_move(some, offset); break;
        default: (void)!sm_region_map(world.root, offset, some, 0);
        }
        const uint64_t first =
            test_below(&random, 8) ? test_below(&random, 6000) : UINT64_MAX - 80;
        const struct sm_range window = {first, first + test_below(&random, 80)};
        size_t want = 0;
        n.n = 0;
        assert_true(sm_children_find(world.root, window, &n, &found));
        for (int i = 0; i < N; i++)
            want += child[i]->now.parent &&
                    sm_range_overlaps(window, (struct sm_range){
                                                  child[i]->now.offset,
                                                  child[i]->now.offset +
                                                      child[i]->now.last});
        assert_int_equal(n.n, want);
        for (size_t i = 0; i < n.n; i++)
            assert_true(found[i]->now.offset <= window.last &&
                        found[i]->now.offset + found[i]->now.last >= window.first);
        if (round % 64 == 0)
            sm_children_check(world.root);
    }
    sm_children_check(world.root);
    sm_free(found);
    sm_topology_abort(world.topo);
    sm_children_check(world.root);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(found_by_address)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
