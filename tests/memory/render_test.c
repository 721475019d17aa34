/* SPDX-License-Identifier: MIT */
/* render_test.c - overlap, clipping, aliases and read-only paths, each by itself. */
#include "support.h"

static void overlap(void **state)
{
    struct world world;

    world_init(&world);
    struct sm_region *low = new_ram(&world, "low", 0x4000);
    struct sm_region *mid = new_ram(&world, "mid", 0x1000);
    struct sm_region *high = new_rom(&world, "high", 0x800);
    sm_topology_begin(world.topo);
    map(world.root, 0x1000, mid, 0);
    map(world.root, 0x0, low, -1);
    map(world.root, 0x1400, high, 7);
    commit(&world);
    expect_view(&world, "0000000000000000-0000000000000fff ram low+0\n"
                        "0000000000001000-00000000000013ff ram mid+0\n"
                        "0000000000001400-0000000000001bff rom high+0 ro\n"
                        "0000000000001c00-0000000000001fff ram mid+c00\n"
                        "0000000000002000-0000000000003fff ram low+2000\n");
    world_fini(&world);
}

static void last_mapped_wins(void **state)
{
    struct world world;

    world_init(&world);
    struct sm_region *a = new_ram(&world, "a", 0x1000);
    struct sm_region *b = new_ram(&world, "b", 0x1000);
    sm_topology_begin(world.topo);
    map(world.root, 0, a, 0);
    map(world.root, 0x800, b, 0);
    commit(&world);
    expect_view(&world, "0000000000000000-00000000000007ff ram a+0\n"
                        "0000000000000800-00000000000017ff ram b+0\n");
    /* A move keeps the age ... */
    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_move(a, 0xc00), 0);
    commit(&world);
    expect_view(&world, "0000000000000800-00000000000017ff ram b+0\n"
                        "0000000000001800-0000000000001bff ram a+c00\n");
    /* ... a map makes it the latest. */
    sm_topology_begin(world.topo);
    sm_region_unmap(a);
    map(world.root, 0xc00, a, 0);
    commit(&world);
    expect_view(&world, "0000000000000800-0000000000000bff ram b+0\n"
                        "0000000000000c00-0000000000001bff ram a+0\n");
    world_fini(&world);
}

static void clipping(void **state)
{
    struct world world;

    world_init(&world);
    struct sm_region *box = new_container(&world, "box", 0xfff);
    struct sm_region *inner = new_container(&world, "inner", UINT64_MAX - 0x800);
    struct sm_region *ram = new_ram(&world, "ram", 0x10000);
    sm_topology_begin(world.topo);
    map(world.root, UINT64_MAX - 0x17ff, box, 0);
    map(box, 0x800, inner, 0);
    map(inner, 0x100, ram, 0);
    commit(&world);
    expect_view(&world, "fffffffffffff100-fffffffffffff7ff ram ram+0\n");
    world_fini(&world);
}

static void aliases(void **state)
{
    struct world world;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x10000);
    struct sm_region *bus = new_container(&world, "bus", UINT64_MAX);
    struct sm_region *window = new_alias(bus, "window", UINT64_MAX - 0xfff, UINT64_MAX);
    struct sm_region *chain = new_alias(window, "chain", 0x800, 0xfff);
    struct sm_region *part = new_alias(ram, "part", 0x8000, 0x8fff);
    sm_topology_begin(world.topo);
    map(bus, UINT64_MAX - 0xfff, part, 0);
    map(world.root, 0x0, chain, 0);
    map(world.root, 0x1000, window, 0);
    map(world.root, 0x80000000, ram, 0);
    commit(&world);
    expect_view(&world, "0000000000000000-00000000000007ff ram ram+8800\n"
                        "0000000000001000-0000000000001fff ram ram+8000\n"
                        "0000000080000000-000000008000ffff ram ram+0\n");
    /* What it shows, it shows wherever that has gone. */
    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_move(part, UINT64_MAX - 0x1000), 0);
    commit(&world);
    expect_view(&world, "0000000000000000-00000000000007fe ram ram+8801\n"
                        "0000000000001000-0000000000001ffe ram ram+8001\n"
                        "0000000080000000-000000008000ffff ram ram+0\n");
    world_fini(&world);
}

static void merging(void **state)
{
    struct world world;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x10000);
    struct sm_region *left = new_alias(ram, "left", 0, 0x7fff);
    struct sm_region *right = new_alias(ram, "right", 0x8000, 0xffff);
    sm_topology_begin(world.topo);
    map(world.root, 0x8000, right, 0);
    map(world.root, 0, left, 0);
    commit(&world);
    expect_view(&world, "0000000000000000-000000000000ffff ram ram+0\n");
    /* Not what differs in a right, nor what only touches in the space. */
    sm_topology_begin(world.topo);
    sm_region_set_readonly(right, true);
    commit(&world);
    expect_view(&world, "0000000000000000-0000000000007fff ram ram+0\n"
                        "0000000000008000-000000000000ffff ram ram+8000 ro\n");
    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_move(left, 0x8000), 0);
    assert_int_equal(sm_region_move(right, 0), 0);
    sm_region_set_readonly(right, false);
    commit(&world);
    expect_view(&world, "0000000000000000-0000000000007fff ram ram+8000\n"
                        "0000000000008000-000000000000ffff ram ram+0\n");
    world_fini(&world);
}

static void readonly_paths(void **state)
{
    struct world world;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x1000);
    struct sm_region *box = new_container(&world, "box", 0xfff);
    struct sm_region *via_box = new_alias(box, "via box", 0, 0xfff);
    struct sm_region *direct = new_alias(ram, "direct", 0, 0xfff);
    sm_topology_begin(world.topo);
    map(box, 0, ram, 0);
    map(world.root, 0, box, 0);
    map(world.root, 0x1000, via_box, 0);
    map(world.root, 0x2000, direct, 0);
    sm_region_set_readonly(box, true);
    commit(&world);
    expect_view(&world, "0000000000000000-0000000000000fff ram ram+0 ro\n"
                        "0000000000001000-0000000000001fff ram ram+0 ro\n"
                        "0000000000002000-0000000000002fff ram ram+0\n");
    sm_topology_begin(world.topo);
    sm_region_set_readonly(box, false);
    sm_region_set_readonly(via_box, true);
    commit(&world);
    expect_view(&world, "0000000000000000-0000000000000fff ram ram+0\n"
                        "0000000000001000-0000000000001fff ram ram+0 ro\n"
                        "0000000000002000-0000000000002fff ram ram+0\n");
    world_fini(&world);
}

/* Children lie upon whatever they are mapped into, and are seen through its aliases. */
static void children_of_all_kinds(void **state)
{
    struct world world;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x1000);
    struct sm_region *patch = new_rom(&world, "patch", 0x100);
    struct sm_region *over = new_ram(&world, "over", 0x100);
    struct sm_region *alias = new_alias(ram, "alias", 0x400, 0x7ff);
    sm_topology_begin(world.topo);
    map(ram, 0x400, patch, 0);
    map(alias, 0x80, over, 0);
    map(world.root, 0, ram, 0);
    map(world.root, 0x1000, alias, 0);
    commit(&world);
    expect_view(&world, "0000000000000000-00000000000003ff ram ram+0\n"
                        "0000000000000400-00000000000004ff rom patch+0 ro\n"
                        "0000000000000500-0000000000000fff ram ram+500\n"
                        "0000000000001000-000000000000107f rom patch+0 ro\n"
                        "0000000000001080-000000000000117f ram over+0\n"
                        "0000000000001180-00000000000013ff ram ram+580\n");
    world_fini(&world);
}

static enum sm_tx read_offset(void *dev, uint64_t offset, unsigned size,
                              const struct sm_attrs *attrs, uint64_t *value)
{
    *value = offset;
    return SM_TX_OK;
}

/* A device with RAM in its midst: it is hidden there, and cut where its parent ends. */
static void self_backed(void **state)
{
    static const struct sm_io_ops ops = {
        .struct_size = sizeof(ops),
        .read = read_offset,
        .accepts = {1, 8, false},
        .implements = {1, 8, false},
    };
    struct sm_device *device;
    struct sm_region *io;
    struct world world;
    uint64_t value;

    world_init(&world);
    assert_int_equal(sm_device_new(world.topo, "device", NULL, &device), 0);
    assert_int_equal(sm_region_new_io(device, "io", 0xfff, &ops, &io), 0);
    struct sm_region *buffer = new_ram(&world, "buffer", 0x200);
    struct sm_region *below = new_ram(&world, "below", 0x100);
    sm_topology_begin(world.topo);
    map(io, 0x400, buffer, 0);
    map(io, 0xf80, below, -9); /* still above its parent's own behaviour */
    map(world.root, 0x10000, io, 0);
    commit(&world);
    expect_view(&world, "0000000000010000-00000000000103ff io io+0\n"
                        "0000000000010400-00000000000105ff ram buffer+0\n"
                        "0000000000010600-0000000000010f7f io io+600\n"
                        "0000000000010f80-0000000000010fff ram below+0\n");
    assert_int_equal(sm_address_space_load(world.space, 0x10600, &plain, 8, &value),
                     SM_TX_OK);
    assert_int_equal(value, 0x600);
    assert_int_equal(sm_address_space_store(world.space, 0x10400, &plain, 8, 7),
                     SM_TX_OK);
    assert_int_equal(*(uint64_t *)sm_region_host(buffer), 7);
    /* What hides or locks the parent does so with its children. */
    sm_topology_begin(world.topo);
    sm_region_set_readonly(io, true);
    assert_int_equal(sm_region_resize(io, 0x4ff), 0);
    commit(&world);
    expect_view(&world, "0000000000010000-00000000000103ff io io+0 ro\n"
                        "0000000000010400-00000000000104ff ram buffer+0 ro\n");
    sm_topology_begin(world.topo);
    sm_region_set_enabled(io, false);
    commit(&world);
    expect_view(&world, "");
    world_fini(&world);
}

/* What is mapped into an alias is seen there, and through its own aliases; not in the
 * target, and not where the alias's window goes. */
static void children_of_an_alias(void **state)
{
    struct world world;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x1000);
    struct sm_region *alias = new_alias(ram, "alias", 0x400, 0x7ff);
    struct sm_region *beside = new_alias(ram, "beside", 0x400, 0x7ff);
    struct sm_region *outer = new_alias(alias, "outer", 0x80, 0x17f);
    struct sm_region *over = new_ram(&world, "over", 0x100);
    sm_topology_begin(world.topo);
    map(alias, 0x100, over, 0);
    map(world.root, 0, ram, 0);
    map(world.root, 0x1000, alias, 0);
    map(world.root, 0x2000, beside, 0);
    map(world.root, 0x3000, outer, 0);
    assert_int_equal(sm_region_map(over, 0, outer, 0), -EBUSY);
    struct sm_region *loop = new_alias(alias, "loop", 0, 0x3ff);
    assert_int_equal(sm_region_map(over, 0, loop, 0), -ELOOP);
    commit(&world);
    expect_view(&world, "0000000000000000-0000000000000fff ram ram+0\n"
                        "0000000000001000-00000000000010ff ram ram+400\n"
                        "0000000000001100-00000000000011ff ram over+0\n"
                        "0000000000001200-00000000000013ff ram ram+600\n"
                        "0000000000002000-00000000000023ff ram ram+400\n"
                        "0000000000003000-000000000000307f ram ram+480\n"
                        "0000000000003080-00000000000030ff ram over+0\n");
    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_set_window(alias, 0), 0);
    commit(&world);
    expect_view(&world, "0000000000000000-0000000000000fff ram ram+0\n"
                        "0000000000001000-00000000000010ff ram ram+0\n"
                        "0000000000001100-00000000000011ff ram over+0\n"
                        "0000000000001200-00000000000013ff ram ram+200\n"
                        "0000000000002000-00000000000023ff ram ram+400\n"
                        "0000000000003000-000000000000307f ram ram+80\n"
                        "0000000000003080-00000000000030ff ram over+0\n");
    world_fini(&world);
}

/* Nothing answers where something is reserved, whatever lies below. */
static void reserved(void **state)
{
    struct world world;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x4000);
    struct sm_region *gap, *patch = new_ram(&world, "patch", 0x100);
    assert_int_equal(sm_region_new_reserved(world.topo, "gap", 0xfff, &gap), 0);
    sm_topology_begin(world.topo);
    map(world.root, 0, ram, 0);
    map(world.root, 0x1000, gap, 1);
    map(gap, 0x800, patch, 0);
    commit(&world);
    expect_view(&world, "0000000000000000-0000000000000fff ram ram+0\n"
                        "0000000000001800-00000000000018ff ram patch+0\n"
                        "0000000000002000-0000000000003fff ram ram+2000\n");
    struct sm_section section;
    assert_false(sm_address_space_lookup(world.space, 0x1000, &section));
    assert_true(section.range.first == 0x1000 && section.range.last == 0x17ff);
    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_set_priority(gap, -1), 0);
    commit(&world);
    expect_view(&world, "0000000000000000-0000000000003fff ram ram+0\n");
    world_fini(&world);
}

/* What is disabled is seen nowhere; priorities decide anew, ages stay. */
static void switched(void **state)
{
    struct world world;

    world_init(&world);
    struct sm_region *box = new_container(&world, "box", 0xfff);
    struct sm_region *ram = new_ram(&world, "ram", 0x1000);
    struct sm_region *low = new_ram(&world, "low", 0x1000);
    struct sm_region *alias = new_alias(box, "alias", 0, 0xfff);
    sm_topology_begin(world.topo);
    map(box, 0, ram, 0);
    map(world.root, 0, low, 0);
    map(world.root, 0, box, 0);
    map(world.root, 0x1000, alias, 0);
    sm_region_set_enabled(box, false);
    commit(&world);
    expect_view(&world, "0000000000000000-0000000000000fff ram low+0\n");
    sm_topology_begin(world.topo);
    sm_region_set_enabled(box, true);
    assert_int_equal(sm_region_set_priority(low, 5), 0);
    assert_int_equal(sm_region_set_priority(ram, -5), 0);
    commit(&world);
    expect_view(&world, "0000000000000000-0000000000000fff ram low+0\n"
                        "0000000000001000-0000000000001fff ram ram+0\n");
    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_set_priority(low, 0), 0);
    assert_int_equal(sm_region_set_priority(world.root, 0), -ENOENT);
    commit(&world);
    expect_view(&world, "0000000000000000-0000000000000fff ram ram+0\n"
                        "0000000000001000-0000000000001fff ram ram+0\n");
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overlap),
        cmocka_unit_test(last_mapped_wins),
        cmocka_unit_test(clipping),
        cmocka_unit_test(aliases),
        cmocka_unit_test(merging),
        cmocka_unit_test(readonly_paths),
        cmocka_unit_test(children_of_all_kinds),
        cmocka_unit_test(self_backed),
        cmocka_unit_test(children_of_an_alias),
        cmocka_unit_test(reserved),
        cmocka_unit_test(switched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
