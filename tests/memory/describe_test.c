/* SPDX-License-Identifier: MIT */
/* describe_test.c - what is told of regions, and in which order they are visited. */
#include "support.h"

#include "softmmu/inspect.h"

struct heard {
    char names[256];
    unsigned left; /* visits until it is enough; 0: never                      */
    struct world *world;
};

static bool hear(struct heard *heard, const char *name)
{
    strncat(heard->names, name, sizeof(heard->names) - strlen(heard->names) - 1);
    strncat(heard->names, " ", sizeof(heard->names) - strlen(heard->names) - 1);
    return !heard->left || --heard->left;
}

static bool hear_region(void *arg, struct sm_region *region)
{
    struct sm_region_info info = {.struct_size = sizeof(info)};

    sm_region_get_info(region, &info);
    return hear(arg, info.name);
}

static bool hear_space(void *arg, struct sm_address_space *space)
{
    return hear(arg, sm_address_space_name(space));
}

static bool hear_device(void *arg, struct sm_device *device)
{
    return hear(arg, sm_device_name(device));
}

static bool hear_section(void *arg, const struct sm_section *section)
{
    return hear_region(arg, section->region);
}

static enum sm_tx read_zero(void *dev, uint64_t offset, unsigned size,
                            const struct sm_attrs *attrs, uint64_t *value)
{
    *value = 0;
    return SM_TX_OK;
}

static const struct sm_io_ops ops = {.struct_size = sizeof(ops),
                                     .read = read_zero,
                                     .accepts = {1, 8, false},
                                     .implements = {1, 8, false}};

static struct sm_region_info info_of(struct sm_region *region)
{
    struct sm_region_info info = {.struct_size = sizeof(info)};

    sm_region_get_info(region, &info);
    assert_int_equal(info.struct_size, sizeof(info));
    return info;
}

static void infos(void **state)
{
    struct sm_region *io, *flash, *gap;
    struct sm_device *device;
    struct world world;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x1000);
    struct sm_region *rom = new_rom(&world, NULL, 0x1000);
    struct sm_region *alias = new_alias(ram, "alias", 0x400, 0x7ff);
    assert_int_equal(sm_device_new(world.topo, "dev", NULL, &device), 0);
    assert_int_equal(sm_region_new_io(device, "io", 7, &ops, &io), 0);
    assert_int_equal(sm_region_new_rom_device(device, "flash", 16, &ops, &flash), 0);
    assert_int_equal(sm_region_new_reserved(world.topo, "gap", UINT64_MAX, &gap), 0);
    sm_topology_begin(world.topo);
    map(world.root, 0x2000, ram, -5);
    map(world.root, 0x3000, alias, 7);
    sm_region_set_enabled(ram, false);
    sm_region_set_readonly(ram, true);
    assert_int_equal(sm_region_set_calls(flash, true), 0);
    commit(&world);

    const struct sm_region_info root = info_of(world.root);
    assert_string_equal(root.kind, "container");
    assert_null(root.parent);
    assert_int_equal(root.last, UINT64_MAX);
    assert_int_equal(root.n_spaces, 1);
    assert_ptr_equal(sm_address_space_root(world.space), world.root);
    const struct sm_region_info of_ram = info_of(ram);
    assert_string_equal(of_ram.kind, "ram");
    assert_ptr_equal(of_ram.parent, world.root);
    assert_int_equal(of_ram.offset, 0x2000);
    assert_int_equal(of_ram.last, 0xfff);
    assert_int_equal(of_ram.priority, -5);
    assert_int_equal(of_ram.flags, SM_INFO_DISABLED | SM_INFO_READONLY);
    assert_int_equal(of_ram.n_aliases, 1);
    assert_null(of_ram.target);
    const struct sm_region_info of_alias = info_of(alias);
    assert_string_equal(of_alias.kind, "alias");
    assert_ptr_equal(of_alias.target, ram);
    assert_int_equal(of_alias.window, 0x400);
    assert_int_equal(of_alias.last, 0x3ff);
    assert_true(of_alias.age > of_ram.age);
    assert_string_equal(info_of(rom).kind, "rom");
    assert_string_equal(info_of(rom).name, "");
    assert_string_equal(info_of(io).kind, "io");
    assert_ptr_equal(info_of(io).device, device);
    assert_string_equal(info_of(flash).kind, "romd");
    assert_int_equal(info_of(flash).flags, SM_INFO_CALLS);
    assert_string_equal(info_of(gap).kind, "reserved");
    world_fini(&world);
}

/* Callers of another version get what both know, and zeros behind it. */
static void sizes(void **state)
{
    struct {
        struct sm_region_info info;
        uint64_t more;
    } later;
    struct sm_region_info earlier;
    struct world world;

    world_init(&world);
    memset(&later, 0xff, sizeof(later));
    later.info.struct_size = sizeof(later);
    sm_region_get_info(world.root, &later.info);
    assert_int_equal(later.info.struct_size, sizeof(later.info));
    assert_int_equal(later.more, 0);
    assert_string_equal(later.info.name, "root");
    memset(&earlier, 0xff, sizeof(earlier));
    earlier.struct_size = offsetof(struct sm_region_info, kind);
    sm_region_get_info(world.root, &earlier);
    assert_int_equal(earlier.struct_size, offsetof(struct sm_region_info, kind));
    assert_string_equal(earlier.name, "root");
    assert_int_equal((uintptr_t)earlier.kind, UINTPTR_MAX);
    world_fini(&world);
}

static void orders(void **state)
{
    static const int priorities[] = {0, 3, -1, 3, 0};
    struct sm_address_space *second;
    struct sm_device *device;
    struct world world;
    struct heard heard = {.world = &world};
    char name[2] = "a";

    world_init(&world);
    sm_topology_begin(world.topo);
    for (unsigned i = 0; i < 5; i++, name[0]++)
        map(world.root, 0x1000 * (4 - i), new_ram(&world, name, 0x1000), priorities[i]);
    commit(&world);
    assert_int_equal(sm_address_space_new(world.topo, "second", NULL, &second), 0);
    assert_int_equal(sm_device_new(world.topo, "one", NULL, &device), 0);
    assert_int_equal(sm_device_new(world.topo, "two", NULL, &device), 0);

    assert_int_equal(sm_region_each_child(world.root, hear_region, &heard), 0);
    assert_string_equal(heard.names, "d b e a c "); /* R3 */
    heard.names[0] = '\0';
    sm_topology_each_region(world.topo, hear_region, &heard);
    assert_string_equal(heard.names, "root a b c d e ");
    heard.names[0] = '\0';
    sm_topology_each_space(world.topo, hear_space, &heard);
    sm_topology_each_device(world.topo, hear_device, &heard);
    assert_string_equal(heard.names, "space second one two ");
    heard.names[0] = '\0';
    sm_address_space_each_section(world.space, hear_section, &heard);
    assert_string_equal(heard.names, "e d c b a ");
    sm_address_space_each_section(second, hear_section, &heard);

    /* Enough is enough. */
    heard = (struct heard){.left = 2};
    assert_int_equal(sm_region_each_child(world.root, hear_region, &heard), 0);
    heard.left = 1;
    sm_topology_each_region(world.topo, hear_region, &heard);
    heard.left = 1;
    sm_topology_each_space(world.topo, hear_space, &heard);
    heard.left = 1;
    sm_topology_each_device(world.topo, hear_device, &heard);
    heard.left = 3;
    sm_address_space_each_section(world.space, hear_section, &heard);
    assert_string_equal(heard.names, "d b root space one e d c ");
    world_fini(&world);
}

/* In an edit the tree is shown as it is by now, the view as it was. */
static void within_an_edit(void **state)
{
    struct heard heard = {.left = 0};
    struct world world;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x1000);
    show(&world, 0, ram);
    sm_topology_begin(world.topo);
    sm_region_unmap(ram);
    assert_int_equal(sm_region_free(ram), 0);
    assert_int_equal(sm_region_each_child(world.root, hear_region, &heard), 0);
    sm_topology_each_region(world.topo, hear_region, &heard);
    assert_string_equal(heard.names, "root ");
    sm_address_space_each_section(world.space, hear_section, &heard);
    assert_string_equal(heard.names, "root ram ");
    sm_topology_abort(world.topo);
    world_fini(&world);
}

static bool edits(void *arg, struct sm_region *region)
{
    const struct heard *heard = arg;

    sm_topology_begin(heard->world->topo);
    sm_region_set_readonly(region, true);
    return true;
}

static void edit_in_a_visit(struct world *world)
{
    struct heard heard = {.world = world};

    sm_topology_each_region(world->topo, edits, &heard);
}

static void visitors_edit_nothing(void **state)
{
    struct world world;

    world_init(&world);
    expect_panic(edit_in_a_visit, &world);
    world_fini(&world);
}

static bool no_translation(void *dev, const struct sm_iommu_req *req,
                           struct sm_iommu_map *out)
{
    return false;
}

static const struct sm_iommu_ops iommu_ops = {.struct_size = sizeof(iommu_ops),
                                              .translate = no_translation};

/* What came later into the struct: where a translating region leads, logs of memory. */
static void later_fields(void **state)
{
    struct sm_region_info info = {.struct_size = sizeof(info)};
    struct sm_address_space *spaces[2];
    struct sm_dirty_log *log[2];
    struct sm_device *device;
    struct sm_region *region;
    struct sm_iommu *iommu;
    struct world world;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x1000);
    assert_int_equal(sm_address_space_new(world.topo, "a", ram, &spaces[0]), 0);
    assert_int_equal(sm_address_space_new(world.topo, "b", NULL, &spaces[1]), 0);
    assert_int_equal(sm_device_new(world.topo, "d", NULL, &device), 0);
    assert_int_equal(sm_iommu_new(device, &iommu_ops, spaces, 2, &iommu), 0);
    assert_int_equal(sm_region_new_translating(iommu, "t", 5, &region), 0);
    sm_region_get_info(region, &info);
    assert_string_equal(info.kind, "translating");
    assert_int_equal(info.n_leads_to, 2);
    assert_ptr_equal(info.leads_to[0], spaces[0]);
    assert_ptr_equal(info.leads_to[1], spaces[1]);
    assert_int_equal(info.n_logs, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sm_dirty_log_new(ram, &log[i]), 0);
    sm_region_get_info(ram, &info);
    assert_int_equal(info.n_logs, 2);
    assert_null(info.leads_to);
    assert_int_equal(info.n_leads_to, 0);
    sm_dirty_log_free(log[1]);
    sm_region_get_info(ram, &info);
    assert_int_equal(info.n_logs, 1);
    /* Whoever was compiled before they were there. */
    memset(&info, 0x5a, sizeof(info));
    info.struct_size = offsetof(struct sm_region_info, leads_to);
    sm_region_get_info(region, &info);
    assert_int_equal(info.n_logs, 0);
    assert_int_equal(info.n_leads_to, 0x5a5a5a5a);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(infos),
        cmocka_unit_test(sizes),
        cmocka_unit_test(orders),
        cmocka_unit_test(within_an_edit),
        cmocka_unit_test(visitors_edit_nothing),
        cmocka_unit_test(later_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
