/* SPDX-License-Identifier: MIT */
/* ram_test.c - memory of files, shared, and lent by the caller; sizes; ROM devices. */
#include "support.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>

static int temporary_file(uint64_t size)
{
    char name[] = "/tmp/softmmu-ram-XXXXXX";
    const int fd = mkstemp(name);

    assert_true(fd >= 0);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    return fd;
}

static struct sm_region *ram_from(struct world *world, struct sm_ram_options options)
{
    struct sm_region *region = NULL;

    options.struct_size = sizeof(options);
    assert_int_equal(sm_region_new_ram_from(world->topo, "ram", &options, &region), 0);
    return region;
}

static void files(void **state)
{
    struct world world;
    uint64_t value = 0;

    world_init(&world);
    const int fd = temporary_file(0x3000);
    assert_int_equal(pwrite(fd, "softmmu!", 8, 0x1008), 8);
    struct sm_region *shared = ram_from(
        &world, (struct sm_ram_options){
                    .kind = SM_RAM_FILE, .size = 0x1800, .offset = 0x1000, .fd = fd});
    struct sm_region *private = ram_from(
        &world, (struct sm_ram_options){.kind = SM_RAM_FILE, .size = 0x3000, .fd = fd,
                                        .flags = SM_RAM_PRIVATE | SM_RAM_ROM});
    assert_int_equal(sm_region_fd(shared), -1);
    show(&world, 0, shared);
    show(&world, 0x10000, private);
    assert_int_equal(sm_address_space_load(world.space, 8, &plain, 8, &value), 0);
    assert_memory_equal(&value, "softmmu!", 8);
    assert_int_equal(sm_address_space_load(world.space, 0x11008, &plain, 8, &value), 0);
    assert_memory_equal(&value, "softmmu!", 8);
    /* Only what is shared reaches the file. */
    assert_int_equal(sm_address_space_store(world.space, 0x11008, &plain, 8, 0),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_address_space_store(world.space, 0x11010, &debug, 8, 1), 0);
    assert_int_equal(sm_address_space_store(world.space, 0x20, &plain, 8, 2), 0);
    assert_int_equal(pread(fd, &value, 8, 0x1010), 8);
    assert_int_equal(value, 0);
    assert_int_equal(pread(fd, &value, 8, 0x1020), 8);
    assert_int_equal(value, 2);
    close(fd); /* was only borrowed */
    assert_int_equal(sm_address_space_load(world.space, 0x20, &plain, 8, &value), 0);
    assert_int_equal(value, 2);
    world_fini(&world);
}

/* Two machines see each other's stores, and nobody can cut the memory off. */
static void shared(void **state)
{
    struct world one, other;
    uint64_t value = 0;

    world_init(&one);
    world_init(&other);
    struct sm_region *mine =
        ram_from(&one, (struct sm_ram_options){.kind = SM_RAM_SHARED, .size = 0x1234});
    const int fd = sm_region_fd(mine);
    assert_true(fd >= 0);
    struct sm_region *theirs = ram_from(
        &other, (struct sm_ram_options){.kind = SM_RAM_FILE, .size = 0x1234, .fd = fd});
    assert_ptr_not_equal(sm_region_host(mine), sm_region_host(theirs));
    show(&one, 0x1000, mine);
    show(&other, 0x8000, theirs);
    assert_int_equal(sm_address_space_store(one.space, 0x1010, &plain, 8, 77), 0);
    assert_int_equal(sm_address_space_load(other.space, 0x8010, &plain, 8, &value), 0);
    assert_int_equal(value, 77);
    assert_int_not_equal(ftruncate(fd, 0), 0);
    world_fini(&one);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(sm_address_space_load(other.space, 0x8010, &plain, 8, &value), 0);
    assert_int_equal(value, 77);
    world_fini(&other);
}

static void released(void *owner, void *host)
{
    int *count = owner;
    ++*count;
    assert_int_equal(((uint8_t *)host)[5], 9);
}

static void lent(void **state)
{
    static _Alignas(4096) uint8_t memory[0x2000];
    struct sm_mapping mapping;
    struct world world;
    int count = 0;

    world_init(&world);
    struct sm_region *ram = ram_from(
        &world, (struct sm_ram_options){.kind = SM_RAM_CALLER, .size = sizeof(memory),
                                        .host = memory, .release = released,
                                        .owner = &count});
    assert_ptr_equal(sm_region_host(ram), memory);
    show(&world, 0x1000, ram);
    assert_int_equal(sm_address_space_store(world.space, 0x1005, &plain, 1, 9), 0);
    assert_int_equal(memory[5], 9);
    assert_int_equal(
        sm_address_space_map(world.space, 0x1000, &plain, 64, SM_READ, &mapping), 0);
    sm_topology_begin(world.topo);
    sm_region_unmap(ram);
    assert_int_equal(sm_region_free(ram), 0);
    sm_ticket_wait(world.topo, (commit(&world)));
    assert_int_equal(count, 0); /* somebody still holds it */
    sm_mapping_release(&mapping);
    assert_int_equal(count, 1);
    world_fini(&world);
    assert_int_equal(count, 1);
}

static void refusals(void **state)
{
    static _Alignas(4096) uint8_t memory[0x1000];
    const int fd = temporary_file(0x2000), ends[2] = {-1, open("/dev/zero", O_RDONLY)};
    const struct {
        struct sm_ram_options options;
        int error;
    } cases[] = {
        {{.size = 0}, -EINVAL},
        {{.size = 2, .max_size = 1}, -EINVAL},
        {{.size = 1, .kind = 4}, -EINVAL},
        {{.size = 1, .flags = 4}, -EINVAL},
        {{.size = 1, .flags = SM_RAM_PRIVATE}, -EINVAL},
        {{.size = 1, .kind = SM_RAM_CALLER}, -EINVAL},
        {{.size = 1, .kind = SM_RAM_CALLER, .host = memory + 8}, -EINVAL},
        {{.size = 0x2001, .kind = SM_RAM_FILE, .fd = fd}, -EINVAL},
        {{.size = 1, .max_size = 0x2001, .kind = SM_RAM_FILE, .fd = fd}, -EINVAL},
        {{.size = 0x1000, .kind = SM_RAM_FILE, .fd = fd, .offset = 8}, -EINVAL},
        {{.size = 0x1000, .kind = SM_RAM_FILE, .fd = fd, .offset = 0x2000}, -EINVAL},
        {{.size = 1, .kind = SM_RAM_FILE, .fd = fd, .offset = UINT64_MAX & ~0xfffull},
         -EINVAL},
        {{.size = 1, .kind = SM_RAM_FILE, .fd = ends[0]}, -EINVAL},
        {{.size = 1, .kind = SM_RAM_FILE, .fd = ends[1]}, -EINVAL},
        {{.size = UINT64_MAX}, -ENOMEM},
        {{.size = UINT64_MAX, .kind = SM_RAM_SHARED}, -ENOMEM},
    };
    struct sm_region *region = NULL;
    struct world world;

    world_init(&world);
    for (size_t i = 0; i < SM_ARRAY_LEN(cases); i++) {
        struct sm_ram_options options = cases[i].options;
        options.struct_size = sizeof(options);
        assert_int_equal(sm_region_new_ram_from(world.topo, "r", &options, &region),
                         cases[i].error);
    }
    const struct sm_ram_options old = {.struct_size = 8, .size = 1};
    assert_int_equal(sm_region_new_ram_from(world.topo, "r", &old, &region), -EINVAL);
    struct {
        struct sm_ram_options options;
        uint64_t later;
    } more = {.options = {.struct_size = sizeof(more), .size = 1}, .later = 1};
    assert_int_equal(sm_region_new_ram_from(world.topo, "r", &more.options, &region),
                     -EINVAL);
    assert_null(region);
    more.later = 0;
    assert_int_equal(sm_region_new_ram_from(world.topo, "r", &more.options, &region), 0);
    assert_int_equal(sm_region_free(region), 0);
    region = NULL;
    /* What may only be read can be ours, but not shared. */
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    const int readable = open(path, O_RDONLY);
    assert_true(readable >= 0);
    struct sm_ram_options options = {.struct_size = sizeof(options), .kind = SM_RAM_FILE,
                                     .size = 0x1000, .fd = readable};
    assert_int_equal(sm_region_new_ram_from(world.topo, "r", &options, &region), -EACCES);
    options.flags = SM_RAM_PRIVATE;
    assert_int_equal(sm_region_new_ram_from(world.topo, "r", &options, &region), 0);
    close(readable);
    close(ends[1]);
    close(fd);
    world_fini(&world);
}

static void sizes(void **state)
{
    struct world world;
    uint64_t value = 0;

    world_init(&world);
    struct sm_region *ram = ram_from(
        &world, (struct sm_ram_options){.size = 0x1000, .max_size = 0x3000});
    struct sm_region *alias = new_alias(ram, "alias", 0x800, 0xfff);
    struct sm_region *box = new_container(&world, "box", 0xfff);
    sm_topology_begin(world.topo);
    map(world.root, 0, box, 0);
    map(world.root, 0x10000, ram, 0);
    map(world.root, 0x20000, alias, 0);
    commit(&world);
    assert_int_equal(sm_address_space_store(world.space, 0x10ff8, &plain, 8, 5), 0);
    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_resize(alias, 0x800), -ERANGE);
    assert_int_equal(sm_region_resize(ram, 0x3000), -ERANGE);
    assert_int_equal(sm_region_resize(ram, 0x2fff), 0);
    assert_int_equal(sm_region_resize(alias, 0x27ff), 0);
    commit(&world);
    expect_view(&world, "0000000000010000-0000000000012fff ram ram+0\n"
                        "0000000000020000-00000000000227ff ram ram+800\n");
    /* Cut off: an alias shows what is left, and the bytes come back later. */
    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_resize(ram, 0x8ff), 0);
    commit(&world);
    expect_view(&world, "0000000000010000-00000000000108ff ram ram+0\n"
                        "0000000000020000-00000000000200ff ram ram+800\n");
    assert_int_equal(sm_address_space_load(world.space, 0x10ff8, &plain, 8, &value),
                     SM_TX_DECODE_ERROR);
    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_resize(ram, 0x7ff), 0);
    commit(&world);
    expect_view(&world, "0000000000010000-00000000000107ff ram ram+0\n");
    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_resize(ram, 0xfff), 0);
    assert_int_equal(sm_region_resize(alias, 0xff), 0);
    sm_region_unmap(alias);
    map(world.root, UINT64_MAX - 0xff, alias, 0);
    assert_int_equal(sm_region_resize(alias, 0x100), -ERANGE); /* of 2^64 */
    commit(&world);
    assert_int_equal(sm_address_space_load(world.space, 0x10ff8, &plain, 8, &value), 0);
    assert_int_equal(value, 5);
    expect_view(&world, "0000000000010000-0000000000010fff ram ram+0\n"
                        "ffffffffffffff00-ffffffffffffffff ram ram+800\n");
    world_fini(&world);
}

/* --- ROM devices --------------------------------------------------------- */

struct flash {
    int reads, writes;
    uint64_t last;
};

static enum sm_tx flash_read(void *dev, uint64_t offset, unsigned size,
                             const struct sm_attrs *attrs, uint64_t *value)
{
    struct flash *flash = dev;
    flash->reads++;
    *value = 0x80 + offset;
    return SM_TX_OK;
}

static enum sm_tx flash_write(void *dev, uint64_t offset, unsigned size,
                              const struct sm_attrs *attrs, uint64_t value)
{
    struct flash *flash = dev;
    flash->writes++;
    flash->last = value;
    return SM_TX_OK;
}

static const struct sm_io_ops flash_ops = {
    .struct_size = sizeof(flash_ops),
    .read = flash_read,
    .write = flash_write,
    .accepts = {1, 4, false},
    .implements = {1, 4, false},
};

static const struct sm_io_ops write_only = {
    .struct_size = sizeof(write_only),
    .write = flash_write,
    .accepts = {1, 4, false},
    .implements = {1, 4, false},
};

static void rom_devices(void **state)
{
    struct sm_device *device;
    struct sm_region *region;
    struct sm_mapping mapping;
    struct flash flash = {0};
    struct world world;
    uint64_t value = 0;

    world_init(&world);
    assert_int_equal(sm_device_new(world.topo, "flash", &flash, &device), 0);
    assert_int_equal(
        sm_region_new_rom_device(device, "flash", 0x1000, &flash_ops, &region), 0);
    show(&world, 0x1000, region);
    expect_view(&world, "0000000000001000-0000000000001fff romd flash+0\n");
    assert_int_equal(sm_address_space_store(world.space, 0x1008, &debug, 8, 0x1234), 0);
    /* Memory is read in any width; a write is a call, in those it accepts. */
    assert_int_equal(sm_address_space_load(world.space, 0x1008, &plain, 8, &value), 0);
    assert_int_equal(value, 0x1234);
    assert_int_equal(sm_address_space_load(world.space, 0x1007, &ram_only, 4, &value), 0);
    assert_int_equal(value, 0x123400);
    assert_int_equal(flash.reads + flash.writes, 0);
    assert_int_equal(sm_address_space_store(world.space, 0x1008, &plain, 4, 7), 0);
    assert_int_equal(flash.writes, 1);
    assert_int_equal(sm_address_space_store(world.space, 0x1008, &plain, 8, 7),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_address_space_store(world.space, 0x1008, &ram_only, 4, 7),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(
        sm_address_space_rmw(world.space, 0x1008, &plain, 4, SM_RMW_ADD, 1, &value), 0);
    assert_int_equal(value, 0x1234);
    assert_int_equal(flash.last, 0x1235);
    assert_int_equal(
        sm_address_space_map(world.space, 0x1008, &plain, 8, SM_WRITE, &mapping),
        SM_TX_ACCESS_ERROR);
    assert_int_equal(
        sm_address_space_map(world.space, 0x1008, &plain, 8, SM_READ, &mapping), 0);
    assert_ptr_equal(mapping.host, (uint8_t *)sm_region_host(region) + 8);
    sm_mapping_release(&mapping);
    assert_int_equal(flash.reads, 0);

    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_set_calls(region, true), 0);
    commit(&world);
    expect_view(&world, "0000000000001000-0000000000001fff romd flash+0 calls\n");
    assert_int_equal(sm_address_space_load(world.space, 0x1008, &plain, 4, &value), 0);
    assert_int_equal(value, 0x88);
    assert_int_equal(sm_address_space_load(world.space, 0x1008, &ram_only, 4, &value),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(
        sm_address_space_map(world.space, 0x1008, &plain, 8, SM_READ, &mapping),
        SM_TX_ACCESS_ERROR);
    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_set_calls(region, false), 0);
    sm_region_set_readonly(region, true);
    commit(&world);
    expect_view(&world, "0000000000001000-0000000000001fff romd flash+0 ro\n");
    assert_int_equal(sm_address_space_store(world.space, 0x1008, &plain, 4, 7),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_address_space_load(world.space, 0x1008, &plain, 8, &value), 0);
    assert_int_equal(value, 0x1234);

    assert_int_equal(
        sm_region_new_rom_device(device, "flash", 0, &flash_ops, &region), -EINVAL);
    assert_int_equal(
        sm_region_new_rom_device(device, "flash", 1, &write_only, &region), 0);
    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_set_calls(region, true), -EINVAL);
    assert_int_equal(sm_region_set_calls(world.root, false), -EINVAL);
    sm_topology_abort(world.topo);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files),    cmocka_unit_test(shared),
        cmocka_unit_test(lent),     cmocka_unit_test(refusals),
        cmocka_unit_test(sizes),    cmocka_unit_test(rom_devices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
