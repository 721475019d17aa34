/* SPDX-License-Identifier: MIT */
/* memory_out_test.c - what fails for want of memory leaves everything as it was.
 *
 * Linked so that all of the library's allocations pass through here.
 */
#include "support.h"

#include <sys/mman.h>
#include "memory/iommu_impl.h"

void *__real_sm_alloc(size_t size);
void *__real_sm_realloc(void *block, size_t size);
void *__wrap_sm_alloc(size_t size);
void *__wrap_sm_realloc(void *block, size_t size);

static long left = -1; /* allocations that succeed yet; negative: all           */

static bool refused(void)
{
    return left >= 0 && left-- == 0 ? (left = 0, true) : false;
}

void *__wrap_sm_alloc(size_t size)
{
    return refused() ? NULL : __real_sm_alloc(size);
}

void *__wrap_sm_realloc(void *block, size_t size)
{
    return refused() ? NULL : __real_sm_realloc(block, size);
}

static enum sm_tx read_zero(void *dev, uint64_t offset, unsigned size,
                            const struct sm_attrs *attrs, uint64_t *value)
{
    *value = 0;
    return SM_TX_OK;
}

static const struct sm_io_ops ops = {
    .struct_size = sizeof(ops),
    .read = read_zero,
    .accepts = {1, 8, false},
    .implements = {1, 8, false},
};

static const struct sm_listener_ops hears = {.struct_size = sizeof(hears)};

static void makers(void **state)
{
    const struct sm_range window = {0, 5};
    struct sm_topology *topo = NULL;
    struct sm_device *device = NULL;
    struct sm_region *region = NULL;
    struct sm_address_space *space = NULL;
    struct sm_listener *listener = NULL;
    struct world world;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x1000);
    left = 0;
    assert_int_equal(sm_topology_new(NULL, NULL, &topo), -ENOMEM);
    assert_int_equal(sm_region_new(world.topo, "r", 5, &region), -ENOMEM);
    assert_int_equal(sm_region_new_rom(world.topo, "r", 5, &region), -ENOMEM);
    assert_int_equal(sm_region_new_alias(ram, "r", window, &region), -ENOMEM);
    assert_int_equal(sm_device_new(world.topo, "d", NULL, &device), -ENOMEM);
    assert_int_equal(sm_region_new_reserved(world.topo, "r", 5, &region), -ENOMEM);
    assert_int_equal(sm_listener_new(world.space, &hears, NULL, 0, &listener), -ENOMEM);
    left = 1;
    assert_int_equal(sm_region_new_ram(world.topo, "r", 5, &region), -ENOMEM);
    for (long n = 0; n < 6; n++) { /* the space, root and view, rendering */
        left = n;
        assert_int_equal(sm_address_space_new(world.topo, "s", ram, &space), -ENOMEM);
        assert_null(ram->root);
    }
    left = -1;
    assert_null(topo);
    assert_null(listener);
    assert_null(region);
    assert_null(space);
    assert_int_equal(world.root->n_spaces, 1);
    assert_null(device);
    assert_int_equal(sm_device_new(world.topo, "d", NULL, &device), 0);
    left = 0;
    assert_int_equal(sm_region_new_io(device, "r", 5, &ops, &region), -ENOMEM);
    for (long n = 0; n < 2; n++) {
        left = n;
        assert_int_equal(sm_region_new_rom_device(device, "r", 5, &ops, &region),
                         -ENOMEM);
    }
    left = -1;
    assert_int_equal(sm_device_free(device), 0);
    assert_int_equal(sm_region_free(ram), 0);
    world_fini(&world);
}

/* No memory to stand in for a device: an error, and nothing is lent. */
static void buffers(void **state)
{
    struct sm_mapping mapping = {0};
    struct sm_device *device;
    struct sm_region *region;
    struct world world;

    world_init(&world);
    assert_int_equal(sm_device_new(world.topo, "d", NULL, &device), 0);
    assert_int_equal(sm_region_new_io(device, "r", 0xff, &ops, &region), 0);
    show(&world, 0x1000, region);
    left = 0;
    assert_int_equal(
        sm_address_space_borrow(world.space, 0x1000, &plain, 8, SM_READ, &mapping),
        SM_TX_DEVICE_ERROR);
    left = -1;
    assert_null(mapping.host);
    assert_int_equal(
        sm_address_space_borrow(world.space, 0x1000, &plain, 8, SM_READ, &mapping),
        SM_TX_OK);
    sm_mapping_release(&mapping);
    world_fini(&world);
}

static int n_released;

static void released(void *owner, void *host)
{
    n_released++;
}

/* Each kind of memory, refused at each of its allocations: no descriptor stays open,
 * and what is the caller's stays the caller's. */
static void kinds_of_ram(void **state)
{
    static _Alignas(4096) uint8_t mine[4096];
    struct sm_region *region = NULL;
    struct sm_ram_options options = {
        .struct_size = sizeof(options), .size = 4096, .host = mine, .release = released};
    struct world world;

    world_init(&world);
    const int file = memfd_create("file", MFD_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(ftruncate(file, 4096), 0);
    const int next = dup(file);
    close(next);
    options.fd = file;
    for (uint32_t kind = SM_RAM_ANONYMOUS; kind <= SM_RAM_CALLER; kind++) {
        options.kind = kind;
        for (long n = 0; n < 2; n++) { /* the region, the memory's own record */
            left = n;
            assert_int_equal(
                sm_region_new_ram_from(world.topo, "r", &options, &region), -ENOMEM);
            assert_null(region);
            const int now = dup(file);
            assert_int_equal(now, next);
            close(now);
        }
        left = 2;
        assert_int_equal(sm_region_new_ram_from(world.topo, "r", &options, &region), 0);
        assert_int_equal(left, 0); /* there are no others */
        left = -1;
        assert_int_equal(n_released, 0);
        assert_int_equal(sm_region_free(region), 0);
        sm_topology_work(world.topo);
        assert_int_equal(n_released, kind == SM_RAM_CALLER);
        region = NULL;
    }
    /* The host refuses to map it. */
    options.kind = SM_RAM_SHARED;
    options.size = UINT64_C(1) << 62;
    assert_true(sm_region_new_ram_from(world.topo, "r", &options, &region) < 0);
    const int now = dup(file);
    assert_int_equal(now, next);
    close(now);
    close(file);
    world_fini(&world);
}

static bool refuse(void *dev, const struct sm_iommu_req *req, struct sm_iommu_map *out)
{
    return false;
}

static void have_none(void *dev, const struct sm_attrs *who, struct sm_range range,
                      void (*visit)(void *arg, const struct sm_iommu_map *map), void *arg)
{
}

static const struct sm_iommu_ops iommu_ops = {
    .struct_size = sizeof(iommu_ops), .translate = refuse, .iterate = have_none};
static const struct sm_iommu_client_ops client_ops = {.struct_size = sizeof(client_ops)};

/* A log that cannot be begun: nobody hears of one, and none marks. */
static void log_started(void *owner, const struct sm_section *section)
{
    ++*(int *)owner;
}

static void dirty_logs(void **state)
{
    static const struct sm_listener_ops log_ops = {.struct_size = sizeof(log_ops),
                                                   .log_started = log_started};
    struct sm_dirty_log *log = NULL;
    struct sm_listener *listener;
    struct world world;
    int n_started = 0;
    long n;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x100000);
    show(&world, 0, ram);
    assert_int_equal(sm_listener_new(world.space, &log_ops, &n_started, 0, &listener), 0);
    for (n = 0;; n++) {
        left = n;
        const int error = sm_dirty_log_new(ram, &log);
        left = -1;
        if (!error)
            break;
        assert_int_equal(error, -ENOMEM);
        assert_null(log);
        assert_null(ram->ram->logs);
        assert_int_equal(n_started, 0);
    }
    assert_true(n >= 1);
    assert_int_equal(n_started, 1);
    /* Taking and ending need no memory. */
    left = 0;
    const sm_ticket ticket =
        sm_dirty_log_take(log, (struct sm_range){0, UINT64_MAX}, NULL, NULL);
    assert_true(ticket > 0);
    sm_dirty_log_free(log);
    left = -1;
    assert_int_equal(sm_region_free(ram), -EBUSY); /* it is mapped */
    sm_topology_begin(world.topo);
    sm_region_unmap(ram);
    commit(&world);
    assert_int_equal(sm_region_free(ram), 0);
    world_fini(&world);
}

/* What translates, and the commit that shows it first. */
static void translating(void **state)
{
    struct sm_iommu_client *client = NULL;
    struct sm_region *region = NULL;
    struct sm_iommu *iommu = NULL;
    struct sm_device *device;
    struct world world;
    long n;

    world_init(&world);
    struct sm_region *front = new_container(&world, "front", UINT64_MAX);
    struct sm_address_space *space;
    assert_int_equal(sm_address_space_new(world.topo, "front", front, &space), 0);
    assert_int_equal(sm_device_new(world.topo, "d", NULL, &device), 0);
    left = 0;
    assert_int_equal(sm_iommu_new(device, &iommu_ops, &world.space, 1, &iommu), -ENOMEM);
    left = -1;
    assert_int_equal(device->n_users + world.space->n_iommus, 0);
    assert_int_equal(sm_iommu_new(device, &iommu_ops, &world.space, 1, &iommu), 0);
    left = 0;
    assert_int_equal(sm_region_new_translating(iommu, "t", 5, &region), -ENOMEM);
    assert_int_equal(sm_iommu_client_new(iommu, &plain, (struct sm_range){0, 5},
                                         &client_ops, NULL, &client),
                     -ENOMEM);
    left = -1;
    assert_int_equal(iommu->n_regions, 0);
    assert_int_equal(sm_region_new_translating(iommu, "t", 5, &region), 0);
    for (n = 0;; n++) {
        sm_topology_begin(world.topo);
        map(front, 0x1000, region, 0);
        left = n;
        const int error = sm_topology_commit(world.topo, NULL);
        left = -1;
        if (!error)
            break;
        assert_int_equal(error, -ENOMEM);
        sm_topology_abort(world.topo);
        expect_space(space, "");
        sm_topology_check(world.topo);
    }
    assert_true(n >= 8); /* walk, sweep, sections, nodes, view; what it shows */
    expect_space(space, "0000000000001000-0000000000001005 translating t+0\n");
    world_fini(&world);
}

/* Every allocation of a commit fails once; the edit stays open, and can be finished. */
static void commits(void **state)
{
    const char *const before = "0000000000001000-0000000000001fff ram ram+0\n";
    struct sm_address_space *second;
    struct world world;
    sm_ticket ticket;
    long n;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x1000);
    struct sm_region *alias = new_alias(ram, "alias", 0x800, 0xfff);
    struct sm_region *box = new_container(&world, "box", UINT64_MAX);
    struct sm_region *all = new_alias(world.root, "all", 0, UINT64_MAX);
    sm_topology_begin(world.topo);
    map(box, 0, all, 0);
    commit(&world);
    assert_int_equal(sm_address_space_new(world.topo, "second", box, &second), 0);
    show(&world, 0x1000, ram);
    for (n = 0;; n++) {
        const struct sm_flat_view *view = world.space->view, *other = second->view;
        sm_topology_begin(world.topo);
        map(world.root, 0x8000, alias, 0);
        sm_region_set_readonly(ram, true);
        left = n;
        ticket = 99;
        const int error = sm_topology_commit(world.topo, &ticket);
        left = -1;
        if (!error)
            break;
        assert_int_equal(error, -ENOMEM);
        assert_int_equal(ticket, 99);
        assert_ptr_equal(world.space->view, view);
        assert_ptr_equal(second->view, other);
        if (n & 1) { /* again, with memory; then back to where it was */
            commit(&world);
            expect_space(second, "0000000000001000-0000000000001fff ram ram+0 ro\n"
                                 "0000000000008000-00000000000087ff ram ram+800 ro\n");
            sm_topology_begin(world.topo);
            sm_region_unmap(alias);
            sm_region_set_readonly(ram, false);
            commit(&world);
        } else {
            sm_topology_abort(world.topo);
        }
        expect_view(&world, before);
        expect_space(second, before);
        sm_topology_check(world.topo);
    }
    assert_true(n >= 16); /* two roots: walk, sweep, sections, nodes, view */
    world_fini(&world);
}

/* A commit of all kinds of edit among so many regions that nodes split and merge, with a
 * listener, a log and a translating region about. */
struct crowd {
    struct world world;
    struct sm_region *region[400], *alias, *front, *behind;
    uint64_t n_heard;
};

static void heard_some(void *owner, const struct sm_section *section)
{
    ++*(uint64_t *)owner;
}

static void crowd_edit(struct crowd *crowd)
{
    for (unsigned i = 0; i < SM_ARRAY_LEN(crowd->region); i++)
        switch (i % 8) {
        case 0: sm_region_unmap(crowd->region[i]); break;
        case 1: sm_region_set_readonly(crowd->region[i], true); break;
        case 2:
            assert_int_equal(sm_region_move(crowd->region[i], 0x900000 + i * 0x100), 0);
            break;
        case 3: sm_region_set_enabled(crowd->region[i], false); break;
        case 4: assert_int_equal(sm_region_resize(crowd->region[i], 0x7f), 0); break;
        case 5: assert_int_equal(sm_region_set_priority(crowd->region[i], 3), 0); break;
        default: break;
        }
    assert_int_equal(sm_region_set_window(crowd->alias, 0x100), 0);
    assert_int_equal(sm_region_move(crowd->behind, 0x40), 0);
}

static void crowded_commits(void **state)
{
    static const struct sm_listener_ops all_ops = {.struct_size = sizeof(all_ops),
                                                   .removed = heard_some,
                                                   .added = heard_some,
                                                   .unchanged = heard_some};
    static struct crowd crowd;
    static char before[1 << 18], after[1 << 18];
    struct world *world = &crowd.world;
    struct sm_address_space *space;
    struct sm_listener *listener;
    struct sm_dirty_log *log;
    struct sm_device *device;
    struct sm_iommu *iommu;
    long n;

    world_init(world);
    crowd.front = new_container(world, "front", UINT64_MAX);
    assert_int_equal(sm_address_space_new(world->topo, "front", crowd.front, &space), 0);
    assert_int_equal(sm_device_new(world->topo, "d", NULL, &device), 0);
    assert_int_equal(sm_iommu_new(device, &iommu_ops, &world->space, 1, &iommu), 0);
    assert_int_equal(sm_region_new_translating(iommu, "t", 0x3f, &crowd.behind), 0);
    sm_topology_begin(world->topo);
    for (unsigned i = 0; i < SM_ARRAY_LEN(crowd.region); i++) {
        crowd.region[i] = new_ram(world, "ram", 0x100);
        map(world->root, i * 0x180, crowd.region[i], 0);
    }
    crowd.alias = new_alias(world->root, "alias", 0, 0xfffff);
    map(crowd.front, 0, crowd.behind, 1);
    map(crowd.front, 0x1000, crowd.alias, 0);
    commit(world);
    assert_int_equal(
        sm_listener_new(space, &all_ops, &crowd.n_heard, 0, &listener), 0);
    assert_int_equal(sm_dirty_log_new(crowd.region[4], &log), 0);
    assert_true(sm_flat_view_print(space->view, before, sizeof(before)) < sizeof(before));
    for (n = 0;; n++) {
        const uint64_t n_heard = crowd.n_heard;
        sm_topology_begin(world->topo);
        crowd_edit(&crowd);
        left = n;
        const int error = sm_topology_commit(world->topo, NULL);
        left = -1;
        if (!error)
            break;
        assert_int_equal(error, -ENOMEM);
        assert_true(crowd.n_heard == n_heard);
        sm_topology_abort(world->topo);
        sm_flat_view_print(space->view, after, sizeof(after));
        assert_string_equal(after, before);
        if (n % 16 == 0)
            sm_topology_check(world->topo);
    }
    assert_true(n >= 60);
    sm_flat_view_print(space->view, after, sizeof(after));
    assert_string_not_equal(after, before);
    print_message("%ld allocations\n", n);
    world_fini(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makers),
        cmocka_unit_test(buffers),
        cmocka_unit_test(kinds_of_ram),
        cmocka_unit_test(dirty_logs),
        cmocka_unit_test(translating),
        cmocka_unit_test(commits),
        cmocka_unit_test(crowded_commits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
