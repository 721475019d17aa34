/* SPDX-License-Identifier: MIT */
/* why_test.c - what the golden files do not show: open edits, sinks, the lock, depth. */
#include "machines.h"

#include <pthread.h>

struct got {
    struct world *world;
    char *text;
    unsigned calls;
    bool edit;
};

static void take(void *arg, const char *text, size_t n)
{
    struct got *got = arg;

    free(got->text);
    got->text = calloc(1, n + 1);
    memcpy(got->text, text, n);
    got->calls++;
    if (got->edit) { /* the lock was released, or is ours: an edit may be made */
        assert_int_equal(got->world->topo->depth, 0);
        sm_topology_begin(got->world->topo);
        sm_region_set_readonly(got->world->root, true);
        commit(got->world);
    }
}

static void ask(struct got *got, sm_gpa gpa, const char *want)
{
    assert_int_equal(
        sm_inspect_why(got->world->space, gpa, &plain, SM_INSPECT_TEXT, take, got), 0);
    assert_string_equal(got->text, want);
    assert_int_equal(
        sm_inspect_why(got->world->space, gpa, &plain, SM_INSPECT_JSON, take, got), 0);
}

/* In an open edit the tree is told as it is, and that views are not there yet. */
static void open_edit(void **state)
{
    struct world world;
    struct got got = {.world = &world};

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x1000);
    show(&world, 0, ram);
    sm_topology_begin(world.topo);
    ask(&got, 0x10,
        "why: 0000000000000010 in space\n"
        "answer: ram (ram) @0000000000000010\n"
        "section: 0000000000000000-0000000000000fff\n"
        "way:\n"
        "  0000000000000010 in root (container)\n"
        "  0000000000000010 in ram (ram), at 0000000000000000 with priority 0\n");
    assert_non_null(strstr(got.text, "\"pending\": false"));
    assert_int_equal(sm_region_move(ram, 0x1000), 0);
    ask(&got, 0x10,
        "why: 0000000000000010 in space\n"
        "answer: nothing\n"
        "edit: not committed, views may differ\n");
    assert_non_null(strstr(got.text, "\"pending\": true"));
    ask(&got, 0x1010,
        "why: 0000000000001010 in space\n"
        "answer: ram (ram) @0000000000000010\n"
        "edit: not committed, views may differ\n"
        "way:\n"
        "  0000000000001010 in root (container)\n"
        "  0000000000000010 in ram (ram), at 0000000000001000 with priority 0\n");
    sm_topology_abort(world.topo);
    ask(&got, 0x1010,
        "why: 0000000000001010 in space\n"
        "answer: nothing\n"
        "hole: 0000000000001000-ffffffffffffffff\n"
        "before: 0000000000000000-0000000000000fff (ram): ram "
        "@0000000000000000\n");
    free(got.text);
    world_fini(&world);
}

static void sink_may_edit(void **state)
{
    struct world world;
    struct got got = {.world = &world, .edit = true};

    make_pam(&world);
    assert_int_equal(sm_inspect_tree(world.topo, NULL, SM_INSPECT_TEXT, take, &got), 0);
    assert_int_equal(sm_inspect_view(world.space, SM_INSPECT_TEXT, take, &got), 0);
    assert_int_equal(sm_inspect_why(world.space, 0, NULL, SM_INSPECT_TEXT, take, &got),
                     0);
    assert_int_equal(got.calls, 3);
    assert_non_null(strstr(got.text, "readonly by: root\n"));
    free(got.text);
    world_fini(&world);
}

/* A space whose root is no container, or disabled, or none. */
static void roots(void **state)
{
    struct sm_address_space *space, *none;
    struct world world;
    struct got got = {.world = &world};

    world_init(&world);
    struct sm_region *rom = new_rom(&world, "rom", 0x1000);
    assert_int_equal(sm_address_space_new(world.topo, "direct", rom, &space), 0);
    assert_int_equal(sm_address_space_new(world.topo, "none", NULL, &none), 0);
    world.space = space;
    ask(&got, 0xfff,
        "why: 0000000000000fff in direct\n"
        "answer: rom (rom) @0000000000000fff [readonly]\n"
        "readonly by: rom\n"
        "section: 0000000000000000-0000000000000fff\n"
        "way:\n"
        "  0000000000000fff in rom (rom)\n");
    ask(&got, 0x1000,
        "why: 0000000000001000 in direct\n"
        "answer: nothing\n"
        "hole: 0000000000001000-ffffffffffffffff\n"
        "before: 0000000000000000-0000000000000fff (rom): rom "
        "@0000000000000000 [readonly]\n");
    sm_topology_begin(world.topo);
    sm_region_set_enabled(rom, false);
    commit(&world);
    ask(&got, 0xfff,
        "why: 0000000000000fff in direct\n"
        "answer: nothing\n"
        "hole: 0000000000000000-ffffffffffffffff\n"
        "others:\n"
        "  rom (rom) @0000000000000fff: it is disabled\n"
        "    way: rom\n");
    world.space = none;
    ask(&got, 0xfff,
        "why: 0000000000000fff in none\n"
        "answer: nothing\n"
        "hole: 0000000000000000-ffffffffffffffff\n");
    free(got.text);
    world_fini(&world);
}

/* Trees far deeper than a stack would take, by mapping and by alias. */
static void deep(void **state)
{
    enum { DEPTH = 3000 };
    struct world world;
    struct got got = {.world = &world};

    world_init(&world);
    struct sm_region *inner = new_ram(&world, "ram", 0x1000);
    sm_topology_begin(world.topo);
    for (int i = 0; i < DEPTH; i++) {
        struct sm_region *outer = new_container(&world, "c", UINT64_MAX - 1);
        map(outer, 0, inner, 0);
        inner = i % 2 ? outer : new_alias(outer, "a", 0, UINT64_MAX - 1);
    }
    map(world.root, 0, inner, 0);
    commit(&world);
    assert_int_equal(sm_inspect_why(world.space, 0x10, NULL, SM_INSPECT_TEXT, take, &got),
                     0);
    assert_non_null(strstr(got.text, "answer: ram (ram) @0000000000000010\n"));
    assert_int_equal(sm_inspect_tree(world.topo, NULL, SM_INSPECT_JSON, take, &got), 0);
    assert_non_null(strstr(got.text, "\"ram\""));
    free(got.text);
    world_fini(&world);
}

/* Asking while others commit; a question meets one state. */
static void *edit_on(void *arg)
{
    struct world *world = arg;
    struct sm_region *ram = new_ram(world, "ram", 0x1000);

    for (int i = 0; i < 300; i++) {
        sm_topology_begin(world->topo);
        if (i % 2)
            sm_region_unmap(ram);
        else
            map(world->root, 0, ram, 0);
        commit(world);
        sm_topology_work(world->topo);
    }
    sm_store_relaxed(&world->wakes, UINT32_MAX - UINT32_MAX / 4); /* others may follow */
    return NULL;
}

static void asked_meanwhile(void **state)
{
    struct world world;
    struct got got = {.world = &world};
    pthread_t thread;

    world_init(&world);
    struct sm_address_space *space = world.space;
    assert_int_equal(pthread_create(&thread, NULL, edit_on, &world), 0);
    do {
        assert_int_equal(sm_inspect_why(space, 8, NULL, SM_INSPECT_TEXT, take, &got), 0);
        const bool ram = strstr(got.text, "answer: ram") != NULL;
        assert_int_equal(strstr(got.text, "section: ") != NULL, ram);
        assert_int_equal(strstr(got.text, "hole: ") != NULL, !ram);
        assert_int_equal(sm_inspect_view(space, SM_INSPECT_JSON, take, &got), 0);
    } while (sm_load_relaxed(&world.wakes) < UINT32_MAX / 2);
    pthread_join(thread, NULL);
    free(got.text);
    world_fini(&world);
}

/* --- Beyond translating regions ------------------------------------------------ */

static void expect_beyond(struct got *got, struct sm_address_space *space, sm_gpa gpa,
                          const char *want)
{
    assert_int_equal(sm_inspect_why(space, gpa, NULL, SM_INSPECT_TEXT, take, got), 0);
    const char *line = strstr(got->text, "translated: ");
    for (const char *next = line; next; next = strstr(next + 1, "translated: "))
        line = next;
    assert_non_null(line);
    const char *said = strstr(line, ", read: ");
    assert_non_null(said);
    assert_string_equal(said + strlen(", read: "), want);
}

static enum sm_tx asks_inside(void *dev, uint64_t offset, unsigned size,
                              const struct sm_attrs *attrs, uint64_t *value)
{
    struct got *got = dev;
    expect_beyond(got, got->world->space, 0x1810,
                  "not asked while this thread holds the topology or a device\n");
    return SM_TX_OK;
}

static const struct sm_io_ops asking_ops = {.struct_size = sizeof(asking_ops),
                                            .read = asks_inside,
                                            .accepts = {1, 8, false},
                                            .implements = {1, 8, false}};

/* Who holds what a model's lock comes before hears so; a device's callback, too. */
static void not_asked(void **state)
{
    const char *const want = "not asked while this thread holds the topology or a device\n";
    struct world world;
    struct got got = {.world = &world};
    struct sm_device *device;
    struct sm_region *io;
    uint64_t value;

    make_bridge(&world);
    sm_topology_begin(world.topo);
    expect_beyond(&got, world.space, 0x1810, want);
    sm_topology_abort(world.topo);
    assert_int_equal(sm_device_new(world.topo, "asks", &got, &device), 0);
    sm_device_lock(device);
    expect_beyond(&got, world.space, 0x1810, want);
    sm_device_unlock(device);
    assert_int_equal(sm_region_new_io(device, "asks", 7, &asking_ops, &io), 0);
    show(&world, 0, io);
    const unsigned calls = got.calls;
    assert_int_equal(sm_address_space_load(world.space, 0, &plain, 1, &value), SM_TX_OK);
    assert_int_equal(got.calls, calls + 1);
    free(got.text);
    world_fini(&world);
}

/* A way of as many translating regions as may be, and one of one more. */
static void longest_way(void **state)
{
    static struct machines_model model[SM_MAX_HOPS + 1];
    struct sm_address_space *space;
    struct world world;
    struct got got = {.world = &world};

    world_init(&world);
    space = world.space;
    show(&world, 0, new_ram(&world, "ram", 0x1000));
    for (unsigned i = 0; i <= SM_MAX_HOPS; i++) {
        struct sm_region *region =
            new_translating(&world, "hop", &model[i], &space, 1);
        model[i] = (struct machines_model){.to = {space}, .perms = {SM_PERM_R}};
        assert_int_equal(sm_address_space_new(world.topo, "next", region, &space), 0);
        if (i + 1 == SM_MAX_HOPS) {
            assert_int_equal(
                sm_inspect_why(space, 8, NULL, SM_INSPECT_TEXT, take, &got), 0);
            assert_non_null(strstr(got.text, "answer: ram (ram) @0000000000000008\n"));
        }
    }
    expect_beyond(&got, space, 8, "too many in a row\n");
    assert_int_equal(sm_inspect_why(space, 8, NULL, SM_INSPECT_JSON, take, &got), 0);
    assert_non_null(strstr(got.text, "\"end\": \"too many\"}"));
    free(got.text);
    world_fini(&world);
}

/* A model that is asked by one thread while another commits. */
struct slow {
    struct world *world;
    struct sm_region *region;
    uint64_t at;
};

static void *move_it(void *arg)
{
    struct slow *slow = arg;

    sm_topology_begin(slow->world->topo);
    assert_int_equal(sm_region_move(slow->region, slow->at += 0x10), 0);
    commit(slow->world);
    return NULL;
}

static bool slow_translate(void *dev, const struct sm_iommu_req *req,
                           struct sm_iommu_map *out)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, move_it, dev), 0);
    pthread_join(thread, NULL);
    return false;
}

static void changed_meanwhile(void **state)
{
    static const struct sm_iommu_ops ops = {.struct_size = sizeof(ops),
                                            .translate = slow_translate};
    struct sm_address_space *space;
    struct sm_device *device;
    struct sm_iommu *iommu;
    struct world world;
    struct slow slow = {.world = &world};
    struct got got = {.world = &world};

    world_init(&world);
    assert_int_equal(sm_address_space_new(world.topo, "void", NULL, &space), 0);
    assert_int_equal(sm_device_new(world.topo, "slow", &slow, &device), 0);
    assert_int_equal(sm_iommu_new(device, &ops, &space, 1, &iommu), 0);
    assert_int_equal(sm_region_new_translating(iommu, "slow", 0xfff, &slow.region), 0);
    show(&world, 0, slow.region);
    expect_beyond(&got, world.space, 0x900, "changed meanwhile\n");
    free(got.text);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_edit),       cmocka_unit_test(sink_may_edit),
        cmocka_unit_test(roots),           cmocka_unit_test(deep),
        cmocka_unit_test(asked_meanwhile), cmocka_unit_test(not_asked),
        cmocka_unit_test(longest_way),     cmocka_unit_test(changed_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
