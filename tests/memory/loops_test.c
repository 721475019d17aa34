/* SPDX-License-Identifier: MIT */
/* loops_test.c - chains of translating regions, circles refused, circles bounded. */
#include "iommu_board.h"

/* --- Chains and circles ------------------------------------------------- */

enum { CHAIN = SM_MAX_HOPS + 1 };

static void chains(void **state)
{
    struct sm_address_space *space[CHAIN + 1];
    struct sm_region *root[CHAIN + 1];
    struct fixed fixed[CHAIN];
    struct world world;
    uint64_t value;

    world_init(&world);
    for (unsigned i = 0; i <= CHAIN; i++) {
        root[i] = new_container(&world, "root", UINT64_MAX);
        assert_int_equal(sm_address_space_new(world.topo, "s", root[i], &space[i]), 0);
    }
    struct sm_region *ram = new_ram(&world, "ram", 0x2000);
    for (unsigned i = 0; i < CHAIN; i++) { /* each moves by a page */
        fixed_init(&fixed[i], world.topo, space[i + 1]);
        fixed[i].map.span = (struct sm_range){0, UINT64_MAX - 0x1000};
        fixed[i].map.base = 0x1000;
    }
    sm_topology_begin(world.topo);
    map(root[CHAIN], 0x10000, ram, 0);
    for (unsigned i = 0; i < CHAIN; i++)
        map(root[i], 0, fixed[i].region, 0);
    commit(&world);
    *(uint64_t *)sm_region_host(ram) = 0x600df00d;
    for (unsigned n = 0; n <= CHAIN; n++) {
        struct sm_address_space *from = space[CHAIN - n];
        const uint64_t at = 0x10000 - 0x1000 * n;
        const enum sm_tx want = n <= SM_MAX_HOPS ? SM_TX_OK : SM_TX_ACCESS_ERROR;
        struct sm_mapping mapping;
        struct sm_value old;
        value = 0;
        assert_int_equal(sm_address_space_load(from, at, &plain, 8, &value), want);
        assert_true(want != SM_TX_OK || value == 0x600df00d + n);
        assert_int_equal(sm_address_space_read(from, at, &plain, &value, 8, NULL), want);
        assert_int_equal(sm_address_space_map(from, at, &plain, 8, SM_READ, &mapping),
                         want);
        if (want == SM_TX_OK)
            sm_mapping_release(&mapping);
        assert_int_equal(sm_address_space_cas(from, at, &plain, 8,
                                              (struct sm_value){0, 0},
                                              (struct sm_value){0, 0}, &old),
                         want);
        assert_int_equal(sm_address_space_rmw(from, at, &plain, 8, SM_RMW_ADD, 1, &value),
                         want);
    }
    world_fini(&world);
}

/* Two spaces, each with a region that leads to the other. */
struct circle {
    struct world world;
    struct sm_region *root[2];
    struct sm_address_space *space[2];
    struct fixed fixed[2];
};

static void circle_init(struct circle *circle)
{
    world_init(&circle->world);
    for (unsigned i = 0; i < 2; i++) {
        circle->root[i] = new_container(&circle->world, "root", UINT64_MAX);
        assert_int_equal(sm_address_space_new(circle->world.topo, "s", circle->root[i],
                                              &circle->space[i]),
                         0);
    }
    for (unsigned i = 0; i < 2; i++)
        fixed_init(&circle->fixed[i], circle->world.topo, circle->space[!i]);
}

static void circles_refused(void **state)
{
    static const char *const alone =
        "0000000000000000-ffffffffffffffff translating fixed+0\n";
    struct circle circle;
    struct fixed self;

    circle_init(&circle);
    struct sm_topology *topo = circle.world.topo;
    sm_topology_begin(topo);
    map(circle.root[0], 0, circle.fixed[0].region, 0);
    commit(&circle.world);
    sm_topology_begin(topo);
    map(circle.root[1], 0, circle.fixed[1].region, 0);
    assert_int_equal(sm_topology_commit(topo, NULL), -ELOOP);
    expect_space(circle.space[0], alone);
    expect_space(circle.space[1], "");
    assert_int_equal(sm_topology_commit(topo, NULL), -ELOOP); /* and again */
    sm_topology_abort(topo);
    expect_space(circle.space[1], "");
    sm_topology_check(topo);
    /* It stays open: what mends it can be added. */
    sm_topology_begin(topo);
    map(circle.root[1], 0, circle.fixed[1].region, 0);
    assert_int_equal(sm_topology_commit(topo, NULL), -ELOOP);
    sm_region_unmap(circle.fixed[0].region);
    commit(&circle.world);
    expect_space(circle.space[0], "");
    expect_space(circle.space[1], alone);
    /* What is hidden leads nowhere; what appears by an edit elsewhere does. */
    struct sm_region *ram = new_ram(&circle.world, "ram", 0x1000);
    struct sm_region *window = new_alias(circle.fixed[0].region, "window", 0, 0xfff);
    sm_topology_begin(topo);
    map(circle.root[0], 0x1000, window, 0);
    map(circle.root[0], 0x1000, ram, 1);
    commit(&circle.world);
    sm_topology_begin(topo);
    assert_int_equal(sm_region_move(ram, 0x1800), 0);
    assert_int_equal(sm_topology_commit(topo, NULL), -ELOOP);
    assert_int_equal(sm_region_move(ram, 0x1000), 0);
    commit(&circle.world);
    /* The window takes the region away piece by piece: it counts until the last. */
    sm_topology_begin(topo);
    sm_region_set_enabled(circle.fixed[1].region, false);
    assert_int_equal(sm_region_move(ram, 0x1400), 0);
    commit(&circle.world);
    sm_topology_begin(topo);
    assert_int_equal(sm_region_move(ram, 0x1000), 0);
    sm_region_set_enabled(circle.fixed[1].region, true);
    commit(&circle.world);
    /* A space that would show itself. */
    fixed_init(&self, topo, circle.space[0]);
    sm_topology_begin(topo);
    map(circle.root[0], 0x100000, new_alias(self.region, "self", 0, 5), 0);
    assert_int_equal(sm_topology_commit(topo, NULL), -ELOOP);
    sm_topology_abort(topo);
    /* A space that nobody leads to may show what leads anywhere. */
    struct sm_address_space *later;
    assert_int_equal(sm_address_space_new(topo, "later", self.region, &later), 0);
    world_fini(&circle.world);
}

/* Views of one commit are published one after the other, so that for a moment two may
 * not fit together; here the models' spaces are changed by force. */
static void circles_bounded(void **state)
{
    struct circle circle;
    uint64_t value;

    circle_init(&circle);
    sm_topology_begin(circle.world.topo);
    map(circle.root[0], 0, circle.fixed[0].region, 0);
    commit(&circle.world);
    circle.fixed[0].iommu->spaces[0] = circle.fixed[0].map.space = circle.space[0];
    assert_int_equal(sm_address_space_load(circle.space[0], 8, &plain, 8, &value),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(circle.fixed[0].n_asked, SM_MAX_HOPS);
    assert_int_equal(sm_address_space_write(circle.space[0], 8, &plain, &value, 8, NULL),
                     SM_TX_ACCESS_ERROR);
    circle.fixed[0].iommu->spaces[0] = circle.space[1];
    world_fini(&circle.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains),
        cmocka_unit_test(circles_refused),
        cmocka_unit_test(circles_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
