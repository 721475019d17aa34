/* SPDX-License-Identifier: MIT */
/* iommu_client_test.c - life of iommus, generations, and what their clients hear. */
#include "iommu_board.h"

/* --- Life --------------------------------------------------------------- */

static void freeing(void **state)
{
    const struct sm_iommu_ops short_ops = {.struct_size = 4,
                                           .translate = fixed_translate};
    const struct sm_iommu_ops no_ops = {.struct_size = sizeof(no_ops)};
    const struct sm_iommu_client_ops hears = {.struct_size = sizeof(hears)};
    struct sm_iommu_client *client;
    struct sm_iommu *iommu = NULL;
    struct world other;
    struct board board;
    struct fixed fixed;

    board_init(&board);
    world_init(&other);
    struct sm_topology *topo = board.world.topo;
    struct sm_device *device = board.model.device;
    assert_int_equal(sm_iommu_new(device, &short_ops, &board.mem, 1, &iommu), -EINVAL);
    assert_int_equal(sm_iommu_new(device, &no_ops, &board.mem, 1, &iommu), -EINVAL);
    assert_int_equal(sm_iommu_new(device, &fixed_ops, &board.mem, 0, &iommu), -EINVAL);
    assert_int_equal(sm_iommu_new(device, &fixed_ops, &other.space, 1, &iommu), -EINVAL);
    world_fini(&other);

    assert_int_equal(sm_device_free(device), -EBUSY);
    assert_int_equal(sm_iommu_free(board.model.iommu), -EBUSY);
    assert_int_equal(sm_iommu_client_new(board.model.iommu, &plain,
                                         (struct sm_range){0, UINT64_MAX}, &hears, NULL,
                                         &client),
                     0);
    sm_topology_begin(topo);
    sm_region_unmap(board.translating);
    assert_int_equal(sm_region_free(board.translating), 0);
    assert_int_equal(sm_iommu_free(board.model.iommu), -EBUSY); /* not committed */
    commit(&board.world);
    assert_int_equal(sm_iommu_free(board.model.iommu), -EBUSY); /* the client */
    sm_iommu_client_free(client);
    assert_int_equal(sm_iommu_free(board.model.iommu), 0);
    assert_int_equal(sm_device_free(device), 0);
    sm_address_space_free(board.mem);
    sm_topology_work(topo);

    /* With regions and clients left, all goes with the topology. */
    fixed_init(&fixed, topo, board.world.space);
    table_model_init(&board.model, topo, board.world.space, NULL);
    assert_int_equal(sm_iommu_client_new(fixed.iommu, &plain, (struct sm_range){0, 5},
                                         &hears, NULL, &client),
                     -ENOTSUP);
    assert_int_equal(sm_iommu_client_new(board.model.iommu, &plain,
                                         (struct sm_range){5, 0}, &hears, NULL, &client),
                     -EINVAL);
    assert_int_equal(sm_iommu_client_new(board.model.iommu, &plain,
                                         (struct sm_range){0, 5}, &hears, NULL, &client),
                     0);
    board_fini(&board);
}

static void free_what_is_led_to(struct world *world)
{
    sm_address_space_free(world->space);
}

static void spaces_outlive(void **state)
{
    struct fixed fixed;
    struct world world;

    world_init(&world);
    fixed_init(&fixed, world.topo, world.space);
    expect_panic(free_what_is_led_to, &world);
    world_fini(&world);
}

static void generations(void **state)
{
    struct board board;

    board_init(&board);
    struct sm_topology *topo = board.world.topo;
    const uint64_t first = sm_topology_translation_generation(topo);
    const sm_ticket ticket = table_invalidate_all(&board.model);
    const uint64_t second = sm_topology_translation_generation(topo);
    assert_true(second != first);
    sm_ticket_wait(topo, ticket);
    assert_int_equal(sm_topology_translation_generation(topo), second);
    sm_topology_begin(topo);
    assert_int_equal(sm_region_move(board.io, GADGET + 0x1000), 0);
    commit(&board.world);
    assert_true(sm_topology_translation_generation(topo) != second);
    board_fini(&board);
}

/* --- Clients ------------------------------------------------------------ */

static char heard[4096];

static void note(const char *text, uint64_t first, uint64_t last, uint64_t base)
{
    const size_t n = strlen(heard);
    snprintf(heard + n, sizeof(heard) - n, "%s%llx-%llx:%llx ", text,
             (unsigned long long)first, (unsigned long long)last,
             (unsigned long long)base);
}

static void hear_mapped(void *owner, const struct sm_iommu_map *map)
{
    note(owner, map->span.first, map->span.last, map->base);
}

static void hear_unmapped(void *owner, const struct sm_range *range)
{
    char text[8];
    snprintf(text, sizeof(text), "%s!", (const char *)owner);
    note(text, range->first, range->last, 0);
}

static const struct sm_iommu_client_ops hears = {
    .struct_size = sizeof(hears), .mapped = hear_mapped, .unmapped = hear_unmapped};

static void expect_heard(const char *want)
{
    assert_string_equal(heard, want);
    heard[0] = '\0';
}

static void invalidate(struct sm_iommu *iommu, const struct sm_iommu_scope *scope)
{
    assert_true(sm_iommu_invalidate(iommu, scope) > 0);
}

static struct sm_iommu_map map_at(const struct board *board, uint64_t requester,
                                  uint64_t first, uint64_t last, uint64_t base)
{
    return (struct sm_iommu_map){.space = board->mem,
                                 .base = base,
                                 .span = {first, last},
                                 .leaf = {{first, last}, {0, UINT64_MAX}},
                                 .tag = {{requester, 0}},
                                 .perms = SM_PERM_R};
}

static void clients(void **state)
{
    const struct sm_attrs one = {.requester = 1, .process = SM_NO_PROCESS};
    struct sm_iommu_scope scope = {.mask = {{UINT64_MAX, UINT64_MAX}}, .stage = 1};
    char a[] = "a", b[] = "b";
    struct sm_iommu_client *client, *other;
    struct board board;

    board_init(&board);
    struct sm_iommu *iommu = board.model.iommu;
    map_page(&board, 0x1000, DATA | ENTRY_RW);
    map_page(&board, 0x2000, (DATA + 0x5000) | ENTRY_R);
    map_page(&board, 0x4000, (DATA + 0x6000) | ENTRY_R);
    heard[0] = '\0';
    /* What is there first, cut to the range. */
    assert_int_equal(sm_iommu_client_new(iommu, &plain, (struct sm_range){0x1800, 0x3fff},
                                         &hears, a, &client),
                     0);
    expect_heard("a1800-1fff:100800 a2000-2fff:105000 ");
    assert_int_equal(sm_iommu_client_new(iommu, &one, (struct sm_range){0, UINT64_MAX},
                                         &hears, b, &other),
                     0);
    expect_heard(""); /* without a table */

    /* What is added: to whom it concerns. */
    struct sm_iommu_map map = map_at(&board, 0, 0x3000, 0x4fff, 0x7000);
    map.leaf[0] = (struct sm_range){0x3000, 0x3fff};
    sm_iommu_mapped(iommu, &map);
    expect_heard("a3000-3fff:7000 ");
    map = map_at(&board, 1, 0x3000, 0x4fff, 0x7000);
    sm_iommu_mapped(iommu, &map);
    expect_heard("b3000-4fff:7000 ");
    map = map_at(&board, 2, 0x3000, 0x4fff, 0x7000);
    sm_iommu_mapped(iommu, &map);
    expect_heard("");

    /* What goes: by tag and range. */
    scope.range = (struct sm_range){0x2000, 0x2fff};
    invalidate(iommu, &scope);
    expect_heard("a!2000-2fff:0 ");
    scope.range = (struct sm_range){0x1000, 0x10ff};
    invalidate(iommu, &scope);
    expect_heard("a!1800-3fff:0 "); /* the leaf of its 0x1800 reaches further */
    scope.tag.word[0] = 1;
    invalidate(iommu, &scope);
    expect_heard("b!1000-10ff:0 ");
    scope.tag.word[0] = 0;
    invalidate(iommu, &scope);
    expect_heard(""); /* told that all is void: nothing reaches further any more */
    scope.mask = (struct sm_iommu_tag){{0, 0}};
    scope.range = (struct sm_range){0x3800, 0x9000};
    invalidate(iommu, &scope);
    expect_heard("a!3800-3fff:0 b!3800-9000:0 ");
    scope.stage = 2; /* of addresses that nobody kept */
    invalidate(iommu, &scope);
    expect_heard("a!1800-3fff:0 b!0-ffffffffffffffff:0 ");
    sm_iommu_client_free(client);
    invalidate(iommu, &scope);
    expect_heard("b!0-ffffffffffffffff:0 ");
    sm_iommu_client_free(other);
    board_fini(&board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(freeing),
        cmocka_unit_test(spaces_outlive),
        cmocka_unit_test(generations),
        cmocka_unit_test(clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
