/* SPDX-License-Identifier: MIT */
/* listener_test.c - what listeners hear, in which order, early, late and at the end. */
#include "support.h"

#include "softmmu/listener.h"

static char heard[4096];

struct ear {
    const char *name;
};

static void note(void *owner, const char *what, const struct sm_section *section)
{
    const struct ear *ear = owner;
    const size_t n = strlen(heard);

    snprintf(heard + n, sizeof(heard) - n, "%s%s%llx-%llx+%llx%s ", ear->name, what,
             (unsigned long long)section->range.first,
             (unsigned long long)section->range.last, (unsigned long long)section->offset,
             section->readonly ? "ro" : "");
}

static void removed(void *owner, const struct sm_section *section)
{
    note(owner, "-", section);
}

static void added(void *owner, const struct sm_section *section)
{
    note(owner, "+", section);
}

static void committed(void *owner, sm_ticket ticket)
{
    const struct ear *ear = owner;
    const size_t n = strlen(heard);

    snprintf(heard + n, sizeof(heard) - n, "%s%s ", ear->name, ticket ? "!" : "=");
}

static const struct sm_listener_ops ops = {sizeof(ops), removed, added, committed};

static void expect_heard(const char *want)
{
    assert_string_equal(heard, want);
    heard[0] = '\0';
}

static void order(void **state)
{
    struct ear a = {"a"}, b = {"b"};
    struct sm_listener *low, *high;
    struct world world;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x1000);
    struct sm_region *rom = new_rom(&world, "rom", 0x1000);
    show(&world, 0x4000, ram);
    assert_int_equal(sm_listener_new(world.space, &ops, &b, 1, &high), 0);
    expect_heard("b+4000-4fff+0 b= ");
    assert_int_equal(sm_listener_new(world.space, &ops, &a, 0, &low), 0);
    expect_heard("a+4000-4fff+0 a= ");

    /* Two places at once: the higher lets go first and takes up last. */
    sm_topology_begin(world.topo);
    map(world.root, 0x1000, rom, 0);
    assert_int_equal(sm_region_move(ram, 0x3000), 0);
    expect_heard("");
    commit(&world);
    expect_heard("b-4000-4fff+0 a-4000-4fff+0 a+1000-1fff+0ro a+3000-3fff+0 "
                 "b+1000-1fff+0ro b+3000-3fff+0 a! b! ");

    /* What is cut or grows is another section; what did not change is not told. */
    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_resize(ram, 0x7ff), 0);
    commit(&world);
    expect_heard("b-3000-3fff+0 a-3000-3fff+0 a+3000-37ff+0 b+3000-37ff+0 a! b! ");

    /* An edit that shows nothing, and one that is taken back. */
    sm_topology_begin(world.topo);
    sm_region_set_readonly(rom, true);
    assert_int_equal(commit(&world), world.topo->issued);
    sm_topology_begin(world.topo);
    sm_region_unmap(rom);
    sm_topology_abort(world.topo);
    expect_heard("");

    sm_listener_free(high);
    expect_heard("b-1000-1fff+0ro b-3000-37ff+0 ");
    sm_topology_begin(world.topo);
    sm_region_unmap(rom);
    commit(&world);
    expect_heard("a-1000-1fff+0ro a! ");
    sm_listener_free(low);
    expect_heard("a-3000-37ff+0 ");
    sm_address_space_free(world.space);
    world_fini(&world);
}

/* --- All that is told, to two of different priority ----------------------- */

static void unchanged(void *owner, const struct sm_section *section)
{
    note(owner, "~", section);
}

static void log_started(void *owner, const struct sm_section *section)
{
    note(owner, "on", section);
}

static void log_stopped(void *owner, const struct sm_section *section)
{
    note(owner, "off", section);
}

static void log_cleared(void *owner, const struct sm_section *section,
                        const struct sm_range *range)
{
    note(owner, "clear", section);
}

static const struct sm_listener_ops all_ops = {sizeof(all_ops), removed,     added,
                                               committed,       unchanged,   log_started,
                                               log_stopped,     log_cleared};

/* (N1), (N4), (N5): the higher hears of what ends first, of all else last; of two equal
 * ones the later counts as higher. */
static void priorities_of_all(void **state)
{
    struct ear a = {"a"}, b = {"b"}, c = {"c"};
    struct sm_listener *low, *high, *equal;
    struct sm_dirty_log *log;
    struct world world;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x1000);
    struct sm_region *rom = new_rom(&world, "rom", 0x1000);
    show(&world, 0x1000, ram);
    show(&world, 0x4000, rom);
    assert_int_equal(sm_listener_new(world.space, &all_ops, &b, 7, &high), 0);
    assert_int_equal(sm_listener_new(world.space, &all_ops, &a, -7, &low), 0);
    assert_int_equal(sm_listener_new(world.space, &all_ops, &c, 7, &equal), 0);
    expect_heard("b+1000-1fff+0 b+4000-4fff+0ro b= a+1000-1fff+0 a+4000-4fff+0ro a= "
                 "c+1000-1fff+0 c+4000-4fff+0ro c= ");
    assert_int_equal(sm_dirty_log_new(ram, &log), 0);
    expect_heard("aon1000-1fff+0 bon1000-1fff+0 con1000-1fff+0 ");
    const sm_ticket ticket =
        sm_dirty_log_take(log, (struct sm_range){0, UINT64_MAX}, NULL, NULL);
    sm_ticket_wait(world.topo, ticket);
    expect_heard("aclear1000-1fff+0 bclear1000-1fff+0 cclear1000-1fff+0 ");
    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_move(ram, 0x2000), 0);
    commit(&world);
    expect_heard("coff1000-1fff+0 c-1000-1fff+0 boff1000-1fff+0 b-1000-1fff+0 "
                 "aoff1000-1fff+0 a-1000-1fff+0 "
                 "a~4000-4fff+0ro b~4000-4fff+0ro c~4000-4fff+0ro "
                 "a+2000-2fff+0 aon2000-2fff+0 b+2000-2fff+0 bon2000-2fff+0 "
                 "c+2000-2fff+0 con2000-2fff+0 a! b! c! ");
    sm_listener_free(equal);
    expect_heard("coff2000-2fff+0 c-2000-2fff+0 c-4000-4fff+0ro ");
    sm_dirty_log_free(log);
    expect_heard("boff2000-2fff+0 aoff2000-2fff+0 ");
    sm_listener_free(high);
    sm_listener_free(low);
    heard[0] = '\0';
    world_fini(&world);
}

/* Borders merge and part outside the place that was edited. */
static void merges(void **state)
{
    struct ear a = {"a"};
    struct sm_listener *listener;
    struct world world;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x3000);
    struct sm_region *patch = new_ram(&world, "patch", 0x1000);
    show(&world, 0, ram);
    assert_int_equal(sm_listener_new(world.space, &ops, &a, 0, &listener), 0);
    expect_heard("a+0-2fff+0 a= ");
    show(&world, 0x1000, patch);
    expect_heard("a-0-2fff+0 a+0-fff+0 a+1000-1fff+0 a+2000-2fff+2000 a! ");
    sm_topology_begin(world.topo);
    sm_region_unmap(patch);
    commit(&world);
    expect_heard("a-0-fff+0 a-1000-1fff+0 a-2000-2fff+2000 a+0-2fff+0 a! ");
    /* The topology may go with its listeners. */
    world_fini(&world);
    expect_heard("");
}

static void edit_inside(void *owner, sm_ticket ticket)
{
    struct world *world = owner;
    sm_region_set_readonly(world->root, true);
}

static const struct sm_listener_ops editing = {.struct_size = sizeof(editing),
                                               .committed = edit_inside};

static void edits_inside(struct world *world)
{
    struct sm_listener *listener;
    (void)!sm_listener_new(world->space, &editing, world, 0, &listener);
}

static void refusals(void **state)
{
    const struct sm_listener_ops bad = {.struct_size = 4};
    struct sm_listener *listener;
    struct world world;

    world_init(&world);
    assert_int_equal(sm_listener_new(world.space, &bad, NULL, 0, &listener), -EINVAL);
    expect_panic(edits_inside, &world);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order),
        cmocka_unit_test(merges),
        cmocka_unit_test(priorities_of_all),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
