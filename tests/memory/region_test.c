/* SPDX-License-Identifier: MIT */
/* region_test.c - what may be made, mapped and freed, and what each refusal leaves. */
#include "support.h"

static enum sm_tx read_zero(void *dev, uint64_t offset, unsigned size,
                            const struct sm_attrs *attrs, uint64_t *value)
{
    *value = 0;
    return SM_TX_OK;
}

static const struct sm_io_ops good = {
    .struct_size = sizeof(good),
    .read = read_zero,
    .accepts = {1, 8, true},
    .implements = {4, 4, false},
};

static void makes(void **state)
{
    struct sm_region *region = NULL;
    struct world world;

    world_init(&world);
    assert_int_equal(sm_region_new_ram(world.topo, "none", 0, &region), -EINVAL);
    assert_int_equal(sm_region_new_rom(world.topo, "none", 0, &region), -EINVAL);
    assert_int_equal(sm_region_new_ram(world.topo, "all", UINT64_MAX, &region), -ENOMEM);
    assert_int_equal(sm_region_new_ram(world.topo, "much", UINT64_C(1) << 60, &region),
                     -ENOMEM);
    assert_null(region);
    assert_int_equal(sm_region_new_ram(world.topo, NULL, 1, &region), 0);
    assert_int_equal(sm_region_free(region), 0);
    world_fini(&world);
}

static void malformed_io(void **state)
{
    struct sm_device *device;
    struct sm_region *region = NULL;
    struct world world;

    world_init(&world);
    assert_int_equal(sm_device_new(world.topo, "device", NULL, &device), 0);
    for (int i = 0; i < 9; i++) {
        struct sm_io_ops ops = good;
        switch (i) {
        case 0: ops.struct_size--; break;
        case 1: ops.struct_size = 0; break;
        case 2: ops.read = NULL; break;
        case 3: ops.accepts.min = 0; break;
        case 4: ops.accepts.max = 16; break;
        case 5: ops.implements.min = 3; break;
        case 6: ops.implements.max = 2; break;
        case 7: ops.implements = (struct sm_io_widths){0}; break;
        default: ops.flags = 1 << 4; break;
        }
        assert_int_equal(sm_region_new_io(device, "io", 0xf, &ops, &region), -EINVAL);
        assert_null(region);
    }
    struct {
        struct sm_io_ops ops;
        uint64_t later;
    } more = {.ops = good, .later = 1};
    more.ops.struct_size = sizeof(more);
    assert_int_equal(sm_region_new_io(device, "io", 0xf, &more.ops, &region), -EINVAL);
    more.later = 0;
    assert_int_equal(sm_region_new_io(device, "io", 0xf, &more.ops, &region), 0);
    assert_int_equal(sm_region_free(region), 0);
    assert_int_equal(sm_region_new_io(device, "io", UINT64_MAX, &good, &region), 0);
    assert_int_equal(sm_device_free(device), -EBUSY);
    assert_int_equal(sm_region_free(region), 0);
    assert_int_equal(sm_device_free(device), 0);
    world_fini(&world);
}

static void alias_windows(void **state)
{
    struct sm_region *region = NULL;
    struct world world;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x1000);
    const struct sm_range bad[] = {
        {0, 0x1000}, {0x1000, 0x1000}, {5, 4}, {0, UINT64_MAX}};
    for (size_t i = 0; i < SM_ARRAY_LEN(bad); i++)
        assert_int_equal(sm_region_new_alias(ram, "bad", bad[i], &region), -ERANGE);
    assert_null(region);
    struct sm_region *alias = new_alias(ram, "alias", 0x10, 0xfff);
    assert_int_equal(sm_region_free(ram), -EBUSY);
    assert_int_equal(sm_region_free(alias), 0);
    assert_int_equal(sm_region_free(ram), 0);
    world_fini(&world);
}

static void maps_once(void **state)
{
    struct world world;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x1000);
    struct sm_region *box = new_container(&world, "box", 0xffff);
    sm_topology_begin(world.topo);
    map(world.root, 0, ram, 0);
    assert_int_equal(sm_region_map(box, 0, ram, 0), -EBUSY);
    assert_int_equal(sm_region_map(world.root, 0, ram, 0), -EBUSY);
    assert_int_equal(sm_region_map(world.root, UINT64_MAX - 0xfffe, box, 0), -ERANGE);
    map(world.root, UINT64_MAX - 0xffff, box, 0);
    assert_int_equal(sm_region_move(ram, UINT64_MAX - 0xffe), -ERANGE);
    assert_int_equal(sm_region_move(ram, UINT64_MAX - 0xfff), 0);
    sm_region_unmap(ram);
    sm_region_unmap(ram);
    assert_int_equal(sm_region_move(ram, 0), -ENOENT);
    map(box, 0, ram, 0);
    commit(&world);
    expect_view(&world, "ffffffffffff0000-ffffffffffff0fff ram ram+0\n");
    world_fini(&world);
}

static void no_cycles(void **state)
{
    struct world world;

    world_init(&world);
    struct sm_region *a = new_container(&world, "a", 0xffff);
    struct sm_region *b = new_container(&world, "b", 0xffff);
    struct sm_region *to_a = new_alias(a, "to a", 0, 0xffff);
    struct sm_region *to_to_a = new_alias(to_a, "to to a", 0, 0xff);
    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_map(a, 0, a, 0), -ELOOP);
    map(a, 0, b, 0);
    assert_int_equal(sm_region_map(b, 0, a, 0), -ELOOP);
    assert_int_equal(sm_region_map(b, 0, to_a, 0), -ELOOP);
    assert_int_equal(sm_region_map(b, 0, to_to_a, 0), -ELOOP);
    assert_int_equal(sm_region_map(a, 0, to_to_a, 0), -ELOOP);
    map(world.root, 0, to_to_a, 0);
    assert_int_equal(sm_region_map(b, 0, world.root, 0), -ELOOP);
    sm_region_unmap(b);
    map(b, 0, to_a, 0);
    assert_int_equal(sm_region_map(a, 0, b, 0), -ELOOP);
    commit(&world);
    world_fini(&world);
}

static void deep(void **state)
{
    enum { DEPTH = 5000 };
    struct world world;

    world_init(&world);
    struct sm_region *top = new_ram(&world, "ram", 0x1000);
    sm_topology_begin(world.topo);
    for (int i = 0; i < DEPTH; i++) {
        struct sm_region *above = i & 1 ? new_container(&world, "c", 0xffff)
                                        : new_alias(top, "a", 0, top->last);
        if (i & 1)
            map(above, 0, top, 0);
        top = above;
    }
    assert_int_equal(sm_region_map(world.root, 0x10000, top, 0), 0);
#ifndef SM_DEBUG_CHECKS /* whose check of all regions is quadratic */
    commit(&world);
    expect_view(&world, "0000000000010000-0000000000010fff ram ram+0\n");
#else
    sm_topology_abort(world.topo);
#endif
    sm_topology_free(world.topo);
}

static void freeing(void **state)
{
    struct world world;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x1000);
    struct sm_region *box = new_container(&world, "box", 0xffff);
    show(&world, 0x1000, box);
    assert_int_equal(sm_region_free(box), -EBUSY);
    assert_int_equal(sm_region_free(world.root), -EBUSY);
    sm_topology_begin(world.topo);
    map(box, 0, ram, 0);
    commit(&world);

    /* Freed in an edit that is taken back: nothing happened. */
    sm_topology_begin(world.topo);
    struct sm_region *alias = new_alias(ram, "alias", 0, 0xf);
    assert_int_equal(sm_region_free(ram), -EBUSY);
    assert_int_equal(sm_region_free(alias), 0);
    sm_region_unmap(ram);
    assert_int_equal(sm_region_free(ram), 0);
    sm_region_unmap(box);
    assert_int_equal(sm_region_free(box), 0);
    sm_topology_abort(world.topo);
    sm_topology_check(world.topo);
    assert_int_equal(sm_region_free(ram), -EBUSY);
    assert_int_equal(ram->n_aliases, 1);
    expect_view(&world, "0000000000001000-0000000000001fff ram ram+0\n");
    assert_int_equal(sm_region_free(alias), 0);

    /* A container that goes lets go of what is mapped into it. */
    sm_topology_begin(world.topo);
    sm_region_unmap(box);
    assert_int_equal(sm_region_free(box), 0);
    commit(&world);
    assert_null(ram->now.parent);
    expect_view(&world, "");
    assert_int_equal(sm_region_free(ram), 0);

    /* The same outside any edit. */
    ram = new_ram(&world, "ram", 0x1000);
    box = new_container(&world, "box", 0xffff);
    sm_topology_begin(world.topo);
    map(box, 0, ram, 0);
    commit(&world);
    assert_int_equal(sm_region_free(box), 0);
    assert_null(ram->now.parent);
    world_fini(&world);
}

static void map_outside_edit(struct world *world)
{
    (void)!sm_region_map(world->root, 0, new_ram(world, "ram", 1), 0);
}

static void readonly_outside_edit(struct world *world)
{
    sm_region_set_readonly(world->root, true);
}

static void commit_outside_edit(struct world *world)
{
    (void)!sm_topology_commit(world->topo, NULL);
}

/* An alias's window is an edit like all others. */
static void windows_move(void **state)
{
    const char *const begin = "0000000000001000-00000000000013ff ram ram+800\n";
    struct world world;
    sm_ticket ticket;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x1000);
    struct sm_region *alias = new_alias(ram, "alias", 0x800, 0xbff);
    struct sm_region *outer = new_alias(alias, "outer", 0x100, 0x1ff);
    show(&world, 0x1000, alias);
    expect_view(&world, begin);
    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_set_window(ram, 0), -EINVAL);
    assert_int_equal(sm_region_set_window(alias, 0xc01), -ERANGE);
    assert_int_equal(sm_region_set_window(alias, 0x1000), -ERANGE);
    assert_int_equal(sm_region_set_window(alias, UINT64_MAX), -ERANGE);
    assert_int_equal(sm_topology_commit(world.topo, &ticket), 0);
    assert_int_equal(ticket, world.topo->issued);
    expect_view(&world, begin);

    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_set_window(alias, 0xc00), 0);
    sm_topology_abort(world.topo);
    expect_view(&world, begin);
    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_set_window(alias, 0xc00), 0);
    commit(&world);
    expect_view(&world, "0000000000001000-00000000000013ff ram ram+c00\n");
    /* To where it is: nothing changes. */
    const struct sm_flat_view *view = world.space->view;
    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_set_window(alias, 0xc00), 0);
    commit(&world);
    assert_ptr_equal(world.space->view, view);

    /* Through an alias of it, and with its size; against its target as it is by then. */
    sm_topology_begin(world.topo);
    sm_region_unmap(alias);
    map(world.root, 0, outer, 0);
    assert_int_equal(sm_region_set_window(alias, 0), 0);
    commit(&world);
    expect_view(&world, "0000000000000000-00000000000000ff ram ram+100\n");
    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_resize(alias, 0xfff), 0);
    assert_int_equal(sm_region_set_window(alias, 1), -ERANGE);
    assert_int_equal(sm_region_set_window(outer, 0xf00), 0);
    assert_int_equal(sm_region_resize(ram, 0xf7f), 0);
    assert_int_equal(sm_region_set_window(alias, 0), -ERANGE);
    commit(&world);
    expect_view(&world, "0000000000000000-000000000000007f ram ram+f00\n");
    world_fini(&world);
}

static void outside_edits(void **state)
{
    struct world world;

    world_init(&world);
    expect_panic(map_outside_edit, &world);
    expect_panic(readonly_outside_edit, &world);
    expect_panic(commit_outside_edit, &world);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes),         cmocka_unit_test(malformed_io),
        cmocka_unit_test(alias_windows), cmocka_unit_test(maps_once),
        cmocka_unit_test(no_cycles),     cmocka_unit_test(deep),
        cmocka_unit_test(freeing),       cmocka_unit_test(outside_edits),
        cmocka_unit_test(windows_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
