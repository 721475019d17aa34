/* SPDX-License-Identifier: MIT */
/* trace_test.c - the steps of a walk to one address, and of those who were passed over. */
#include "support.h"

#include "base/alloc.h"
#include "memory/trace.h"

/* Compare the steps at @gpa: a line each, "way name+offset", where "^" leads back to the
 * step above, "#" is the rank of what would answer and "!" the step that blocks. */
static void expect_steps(struct sm_region *root, uint64_t gpa, size_t winner,
                         const char *want)
{
    static const char *const ways[] = {"root", "child", "target"};
    struct sm_trace trace = {0};
    char text[2048] = "";
    size_t n = 0;

    assert_true(sm_trace_walk(&trace, root, gpa));
    for (size_t i = 0; i < trace.n.n; i++) {
        const struct sm_trace_entry *step = &trace.steps[i];
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s %s+%llx", ways[step->way],
                              step->region->name, (unsigned long long)step->offset);
        if (step->up != SM_NO_STEP)
            n += (size_t)snprintf(text + n, sizeof(text) - n, " ^%zu", step->up);
        if (step->rank != SM_NO_STEP)
            n += (size_t)snprintf(text + n, sizeof(text) - n, " #%zu", step->rank);
        if (step->blocked_by != SM_NO_STEP)
            n += (size_t)snprintf(text + n, sizeof(text) - n, " !%zu", step->blocked_by);
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\n",
                              step->readonly ? " ro" : "");
        assert_true(n < sizeof(text));
    }
    assert_string_equal(text, want);
    assert_int_equal(sm_trace_winner(&trace), winner);
    sm_free(trace.steps);
}

static void nowhere(void **state)
{
    struct world world;

    world_init(&world);
    expect_steps(NULL, 0, SM_NO_STEP, "");
    expect_steps(world.root, UINT64_MAX, SM_NO_STEP, "root root+ffffffffffffffff\n");
    world_fini(&world);
}

/* In the order of the walk; what is mapped into RAM has the better rank. */
static void ranks(void **state)
{
    struct world world;

    world_init(&world);
    struct sm_region *low = new_ram(&world, "low", 0x1000);
    struct sm_region *high = new_ram(&world, "high", 0x1000);
    struct sm_region *inner = new_ram(&world, "inner", 0x10);
    struct sm_region *alias = new_alias(low, "alias", 0x100, 0x1ff);
    sm_topology_begin(world.topo);
    map(world.root, 0, low, 0);
    map(world.root, 0x10, high, 0);
    map(high, 0, inner, 0);
    map(world.root, 0, alias, -1);
    sm_region_set_readonly(alias, true);
    expect_steps(world.root, 0x18, 2,
                 "root root+18\n"
                 "child high+8 ^0 #1\n"
                 "child inner+8 ^1 #0\n"
                 "child low+18 ^0 #2\n"
                 "child alias+18 ^0 ro\n"
                 "target low+118 ^4 #3 ro\n");
    commit(&world);
    world_fini(&world);
}

static void disabled(void **state)
{
    struct world world;

    world_init(&world);
    struct sm_region *box = new_container(&world, "box", 0xfff);
    struct sm_region *ram = new_ram(&world, "ram", 0x1000);
    struct sm_region *rom = new_rom(&world, "rom", 0x1000);
    sm_topology_begin(world.topo);
    map(world.root, 0, box, 0);
    map(box, 0, ram, 0);
    map(box, 0, rom, -1);
    sm_region_set_enabled(box, false);
    sm_region_set_enabled(ram, false);
    /* The walk comes to ram a second time: on from where it stopped there. */
    expect_steps(world.root, 1, SM_NO_STEP,
                 "root root+1\n"
                 "child box+1 ^0 !1\n"
                 "child ram+1 ^1 #1 !1\n"
                 "child rom+1 ^1 #0 !1\n");
    sm_region_set_enabled(world.root, false);
    sm_region_set_enabled(box, true);
    expect_steps(world.root, 1, SM_NO_STEP,
                 "root root+1 !0\n"
                 "child box+1 ^0 !0\n"
                 "child ram+1 ^1 #1 !0\n"
                 "child rom+1 ^1 #0 !0\n");
    commit(&world);
    world_fini(&world);
}

/* Each way to be cut off; but once only. */
static void cut_off(void **state)
{
    struct world world;

    world_init(&world);
    struct sm_region *box = new_container(&world, "box", 0xfff);
    struct sm_region *inner = new_container(&world, "inner", 0xfff);
    struct sm_region *ram = new_ram(&world, "ram", 0x3000);
    struct sm_region *alias = new_alias(ram, "alias", 0x1000, 0x1fff);
    sm_topology_begin(world.topo);
    map(world.root, 0, box, 0);
    map(box, 0x800, inner, 0);
    map(inner, 0, ram, 0);
    map(world.root, 0x10000, alias, 0);
    expect_steps(world.root, 0x1200, SM_NO_STEP,
                 "root root+1200\n"
                 "child box+1200 ^0 !1\n"
                 "child inner+a00 ^1 !1\n"
                 "child ram+a00 ^2 #0 !1\n");
    expect_steps(world.root, 0x1900, SM_NO_STEP,
                 "root root+1900\n"
                 "child box+1900 ^0 !1\n");
    expect_steps(world.root, 0x11000, SM_NO_STEP,
                 "root root+11000\n"
                 "child alias+1000 ^0 !1\n"
                 "child box+11000 ^0 !2\n"
                 "target ram+2000 ^1 #0 !1\n");
    assert_int_equal(sm_region_resize(ram, 0x17ff), 0);
    expect_steps(world.root, 0x10900, SM_NO_STEP,
                 "root root+10900\n"
                 "child alias+900 ^0\n"
                 "target ram+1900 ^1 #0 !2\n"
                 "child box+10900 ^0 !3\n");
    commit(&world);
    world_fini(&world);
}

/* What lies beyond 2^64 is nowhere. */
static void far_end(void **state)
{
    struct world world;

    world_init(&world);
    struct sm_region *bus = new_container(&world, "bus", UINT64_MAX);
    struct sm_region *alias = new_alias(bus, "alias", UINT64_MAX - 0xf, UINT64_MAX);
    struct sm_region *ram = new_ram(&world, "ram", 0x10);
    sm_topology_begin(world.topo);
    map(bus, UINT64_MAX - 0xf, ram, 0);
    map(world.root, 0, alias, 0);
    expect_steps(world.root, 0xf, 3,
                 "root root+f\n"
                 "child alias+f ^0\n"
                 "target bus+ffffffffffffffff ^1\n"
                 "child ram+f ^2 #0\n");
    expect_steps(world.root, 0x10, SM_NO_STEP,
                 "root root+10\n"
                 "child alias+10 ^0 !1\n");
    commit(&world);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nowhere), cmocka_unit_test(ranks),   cmocka_unit_test(disabled),
        cmocka_unit_test(cut_off), cmocka_unit_test(far_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
