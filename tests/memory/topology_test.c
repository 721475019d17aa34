/* SPDX-License-Identifier: MIT */
/* topology_test.c - edits nest, publish what changed, notify, and can be taken back. */
#include "support.h"

struct watcher {
    struct sm_agent agent;
    struct sm_range range[16];
    const struct sm_address_space *space[16];
    int n, kicks;
};

static void note_change(struct sm_agent *agent, const struct sm_address_space *space,
                        const struct sm_range *range)
{
    struct watcher *watcher = sm_container_of(agent, struct watcher, agent);

    watcher->space[watcher->n] = space;
    watcher->range[watcher->n++] = *range;
}

static void note_kick(struct sm_agent *agent)
{
    sm_container_of(agent, struct watcher, agent)->kicks++;
}

static const struct sm_agent_ops watch = {note_change, note_kick};

static void bad_table(void **state)
{
    struct sm_owner_ops ops = {.struct_size = sizeof(ops) - 1};
    struct sm_topology *topo = NULL;

    assert_int_equal(sm_topology_new(&ops, NULL, &topo), -EINVAL);
    assert_null(topo);
    ops.struct_size = sizeof(ops);
    assert_int_equal(sm_topology_new(&ops, NULL, &topo), 0);
    sm_topology_free(topo);
    /* A later version's, that does and does not ask for what is new there. */
    struct {
        struct sm_owner_ops ops;
        void (*later)(void *owner);
    } more = {.ops.struct_size = sizeof(more)};
    assert_int_equal(sm_topology_new(&more.ops, NULL, &topo), 0);
    sm_topology_free(topo);
    more.later = free;
    topo = NULL;
    assert_int_equal(sm_topology_new(&more.ops, NULL, &topo), -EINVAL);
    assert_null(topo);
}

static void nests(void **state)
{
    struct world world;
    sm_ticket inner = 99, outer = 0;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x1000);
    sm_topology_begin(world.topo);
    sm_topology_begin(world.topo);
    map(world.root, 0, ram, 0);
    assert_int_equal(sm_topology_commit(world.topo, &inner), 0);
    assert_int_equal(inner, 0);
    expect_view(&world, "");
    assert_int_equal(sm_topology_commit(world.topo, &outer), 0);
    assert_true(outer != 0);
    expect_view(&world, "0000000000000000-0000000000000fff ram ram+0\n");

    /* Nothing changed: nothing more to wait for, the view stays. */
    const struct sm_flat_view *view = world.space->view;
    sm_topology_begin(world.topo);
    sm_region_unmap(ram);
    map(world.root, 0, ram, 3);
    assert_int_equal(commit(&world), outer);
    assert_ptr_equal(world.space->view, view);
    world_fini(&world);
}

static void takes_back(void **state)
{
    struct world world;

    world_init(&world);
    struct sm_region *a = new_ram(&world, "a", 0x1000);
    struct sm_region *b = new_ram(&world, "b", 0x1000);
    struct sm_region *box = new_container(&world, "box", 0xffff);
    sm_topology_begin(world.topo);
    map(world.root, 0, a, 0);
    map(world.root, 0x800, b, 0);
    map(world.root, 0x10000, box, 0);
    commit(&world);
    const char *const want = "0000000000000000-00000000000007ff ram a+0\n"
                             "0000000000000800-00000000000017ff ram b+0\n";

    sm_topology_begin(world.topo);
    sm_region_unmap(a);
    map(box, 0, a, 5); /* and so the latest */
    assert_int_equal(sm_region_move(b, 0x5000), 0);
    sm_region_set_readonly(world.root, true);
    sm_topology_begin(world.topo);
    sm_region_unmap(box);
    sm_topology_abort(world.topo); /* takes back the outermost one */
    sm_topology_check(world.topo);
    commit(&world);
    expect_view(&world, want);

    /* Order among equals is restored too: mapping again would change it. */
    sm_topology_begin(world.topo);
    sm_region_unmap(a);
    sm_region_unmap(b);
    map(world.root, 0x800, b, 0);
    map(world.root, 0, a, 0);
    sm_topology_abort(world.topo);
    sm_topology_begin(world.topo);
    sm_region_set_readonly(box, true);
    commit(&world);
    expect_view(&world, want);
    world_fini(&world);
}

static void tells_agents(void **state)
{
    struct watcher on = {0}, off = {0};
    struct sm_address_space *second;
    struct world world;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x1000);
    struct sm_region *box = new_container(&world, "box", 0xffff);
    assert_int_equal(sm_address_space_new(world.topo, "second", box, &second), 0);
    sm_agent_add(world.topo, &on.agent, &watch);
    sm_agent_add(world.topo, &off.agent, &watch);
    sm_agent_online(&on.agent);

    sm_topology_begin(world.topo);
    map(box, 0x2000, ram, 0);
    map(world.root, 0x100000, box, 0);
    const sm_ticket ticket = commit(&world);
    /* Each space once, with what changed in it; offline ones hear it, unkicked. */
    for (int i = 0; i < 2; i++) {
        const struct watcher *watcher = i ? &off : &on;
        assert_int_equal(watcher->n, 2);
        assert_ptr_equal(watcher->space[0], second);
        assert_true(watcher->range[0].first == 0x2000);
        assert_true(watcher->range[0].last == 0x2fff);
        assert_ptr_equal(watcher->space[1], world.space);
        assert_true(watcher->range[1].first == 0x102000);
        assert_true(watcher->range[1].last == 0x102fff);
    }
    assert_int_equal(on.kicks, 1);
    assert_int_equal(off.kicks, 0);
    assert_false(sm_ticket_done(world.topo, ticket));

    on.n = 0;
    sm_topology_begin(world.topo);
    sm_region_set_readonly(new_container(&world, "elsewhere", 1), true);
    commit(&world);
    assert_int_equal(on.n, 0);
    assert_int_equal(on.kicks, 1);

    sm_agent_offline(&on.agent);
    sm_agent_remove(&on.agent);
    world_fini(&world); /* before the other agent goes */
    sm_agent_remove(&off.agent);
}

static void spaces_in_edits(void **state)
{
    struct sm_address_space *space, *late, *none;
    struct world world;

    world_init(&world);
    show(&world, 0x1000, new_ram(&world, "ram", 0x1000));
    const char *const want = "0000000000001000-0000000000001fff ram ram+0\n";
    struct sm_region *all = new_alias(world.root, "all", 0, UINT64_MAX);
    assert_int_equal(sm_address_space_new(world.topo, "a", world.root, &space), 0);
    expect_space(space, want);
    assert_int_equal(sm_address_space_new(world.topo, "none", NULL, &none), 0);
    expect_space(none, "");

    sm_topology_begin(world.topo);
    assert_int_equal(sm_address_space_new(world.topo, "b", all, &late), 0);
    expect_space(late, "");
    sm_topology_abort(world.topo);
    expect_space(late, "");
    sm_topology_begin(world.topo);
    commit(&world);
    expect_space(late, want);

    sm_address_space_free(space);
    sm_topology_begin(world.topo);
    sm_address_space_free(late);
    commit(&world);
    sm_topology_work(world.topo);
    assert_true(sm_list_empty(&world.topo->retired));
    world_fini(&world);
}

/* Everyone who works with several machines at once relies on this. */
/* Equal roots share one view, and each space tells agents of its changes. */
static void shared_roots(void **state)
{
    struct sm_address_space *second, *third;
    struct world world;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x1000);
    show(&world, 0, ram);
    assert_int_equal(sm_address_space_new(world.topo, "two", world.root, &second), 0);
    assert_int_equal(sm_address_space_new(world.topo, "three", ram, &third), 0);
    assert_ptr_equal(second->view, world.space->view);
    assert_ptr_not_equal(third->view, second->view);
    const struct sm_flat_view *view = third->view;
    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_move(ram, 0x1000), 0);
    commit(&world);
    assert_ptr_equal(second->view, world.space->view);
    assert_ptr_equal(third->view, view); /* it saw nothing of that */
    sm_address_space_free(world.space);
    sm_topology_work(world.topo);
    expect_space(second, "0000000000001000-0000000000001fff ram ram+0\n");
    sm_address_space_free(second);
    assert_null(world.root->root);
    assert_int_equal(world.root->n_spaces, 0);
    assert_int_equal(sm_address_space_new(world.topo, "new", world.root, &second), 0);
    expect_space(second, "0000000000001000-0000000000001fff ram ram+0\n");
    world_fini(&world);
}

static void two_topologies(void **state)
{
    struct world one, two;

    world_init(&one);
    world_init(&two);
    sm_topology_begin(one.topo);
    sm_topology_begin(two.topo);
    map(two.root, 0, new_ram(&two, "ram", 1), 0);
    commit(&two);
    map(one.root, 0, new_ram(&one, "ram", 2), 0);
    commit(&one);
    expect_view(&two, "0000000000000000-0000000000000000 ram ram+0\n");
    expect_view(&one, "0000000000000000-0000000000000001 ram ram+0\n");
    world_fini(&one);
    world_fini(&two);
}

static void break_index(struct world *world)
{
    /* Its place is not where the search by address believes it. */
    struct sm_region *first =
        sm_list_entry(world->root->children.next, struct sm_region, sibling);
    first->now.offset = 0x10000;
    sm_topology_check(world->topo);
}

static void break_root(struct world *world)
{
    world->root->root = NULL;
    sm_topology_check(world->topo);
}

static void break_cycle(struct world *world)
{
    struct sm_region *first =
        sm_list_entry(world->root->children.next, struct sm_region, sibling);
    world->root->now.parent = first;
    world->root->now.offset = world->root->now.last = 0;
    sm_children_add(world->root);
    sm_topology_check(world->topo);
}

static void break_view(struct world *world)
{
    struct sm_flat_section *section =
        (struct sm_flat_section *)(uintptr_t)sm_flat_view_next(world->space->view, NULL);
    section->range.last = 0x900;
    sm_topology_check(world->topo);
}

static void check_bites(void **state)
{
    struct world world;

    world_init(&world);
    sm_topology_begin(world.topo);
    map(world.root, 0, new_ram(&world, "a", 0x1000), 0);
    map(world.root, 0x800, new_ram(&world, "b", 0x1000), 0);
    commit(&world);
    expect_panic(break_index, &world);
    expect_panic(break_root, &world);
    expect_panic(break_cycle, &world);
    expect_panic(break_view, &world);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_table),       cmocka_unit_test(nests),
        cmocka_unit_test(takes_back),      cmocka_unit_test(tells_agents),
        cmocka_unit_test(spaces_in_edits), cmocka_unit_test(two_topologies),
        cmocka_unit_test(shared_roots),    cmocka_unit_test(check_bites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
