/* SPDX-License-Identifier: MIT */
/* dirty_log_test.c - who marks which pages, what a take reports, who is told. */
#include "support.h"

#include "memory/dirty_log.h"

#define ALL ((struct sm_range){0, UINT64_MAX})
enum { PAGE = 0x1000 };

/* --- A take as text ---------------------------------------------------------------- */

static char taken[4096];

static void note_run(void *arg, const struct sm_range *pages)
{
    const size_t n = strlen(taken);
    snprintf(taken + n, sizeof(taken) - n, "%llx-%llx ", (unsigned long long)pages->first,
             (unsigned long long)pages->last);
}

static sm_ticket take_range(struct sm_dirty_log *log, struct sm_range range)
{
    taken[0] = '\0';
    return sm_dirty_log_take(log, range, note_run, NULL);
}

static void expect(struct sm_dirty_log *log, const char *want)
{
    (void)take_range(log, ALL);
    assert_string_equal(taken, want);
}

static struct sm_dirty_log *new_log(struct sm_region *region)
{
    struct sm_dirty_log *log;
    assert_int_equal(sm_dirty_log_new(region, &log), 0);
    return log;
}

/* RAM of eight pages at 0x10000, and a log of it that is clear. */
struct scene {
    struct world world;
    struct sm_region *ram;
    struct sm_dirty_log *log;
};

static void scene_init(struct scene *scene, uint64_t size)
{
    world_init(&scene->world);
    scene->ram = new_ram(&scene->world, "ram", size);
    show(&scene->world, 0x10000, scene->ram);
    scene->log = new_log(scene->ram);
    (void)take_range(scene->log, ALL);
    expect(scene->log, "");
}

static void scene_fini(struct scene *scene)
{
    sm_dirty_log_free(scene->log);
    sm_topology_work(scene->world.topo);
    world_fini(&scene->world);
}

/* --- What marks -------------------------------------------------------------------- */

static void begins_all_set(void **state)
{
    struct world world;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 8 * PAGE + 5);
    struct sm_dirty_log *log = new_log(ram);
    expect(log, "0-8004 "); /* cut to the size */
    expect(log, "");
    sm_dirty_log_free(log);
    sm_dirty_log_free(NULL);
    log = new_log(ram); /* again */
    expect(log, "0-8004 ");
    sm_dirty_log_free(log);
    world_fini(&world);
}

static void only_of_memory(void **state)
{
    struct sm_dirty_log *log;
    struct world world;

    world_init(&world);
    struct sm_region *container = new_container(&world, "container", 0xfff);
    assert_int_equal(sm_dirty_log_new(container, &log), -EINVAL);
    struct sm_region *ram = new_ram(&world, "ram", PAGE);
    assert_int_equal(sm_dirty_log_new(new_alias(ram, "alias", 0, 0xff), &log), -EINVAL);
    sm_region_written(container, ALL); /* ignored */
    world_fini(&world);
}

static void stores_of_all_kinds(void **state)
{
    struct scene s;
    struct sm_value value;
    uint64_t old;
    uint8_t bytes[3 * PAGE] = {0};

    scene_init(&s, 8 * PAGE);
    struct sm_address_space *space = s.world.space;
    assert_int_equal(sm_address_space_store(space, 0x10ff8, &plain, 8, 1), SM_TX_OK);
    expect(s.log, "0-fff ");
    /* Over a border. */
    assert_int_equal(sm_address_space_store(space, 0x10ffc, &plain, 8, 1), SM_TX_OK);
    expect(s.log, "0-1fff ");
    assert_int_equal(sm_address_space_write(space, 0x12fff, &plain, bytes, 2, NULL),
                     SM_TX_OK);
    expect(s.log, "2000-3fff ");
    assert_int_equal(sm_address_space_write(space, 0x11008, &plain, bytes, sizeof(bytes),
                                            NULL),
                     SM_TX_OK);
    expect(s.log, "1000-4fff ");
    assert_int_equal(sm_address_space_rmw(space, 0x15000, &plain, 4, SM_RMW_ADD, 1, &old),
                     SM_TX_OK);
    expect(s.log, "5000-5fff ");
    assert_int_equal(sm_address_space_cas(space, 0x16000, &plain, 16, (struct sm_value){0},
                                          (struct sm_value){1, 2}, &value),
                     SM_TX_OK);
    expect(s.log, "6000-6fff ");
    sm_region_written(s.ram, (struct sm_range){0x1fff, 0x2000});
    expect(s.log, "1000-2fff ");
    sm_region_written(s.ram, (struct sm_range){0x7000, UINT64_MAX});
    sm_region_written(s.ram, (struct sm_range){0x8000, UINT64_MAX});
    expect(s.log, "7000-7fff ");
    /* Reads, and writes that are refused, do not. */
    assert_int_equal(sm_address_space_load(space, 0x10000, &plain, 8, &old), SM_TX_OK);
    assert_int_equal(sm_address_space_read(space, 0x10000, &plain, bytes, 8, NULL),
                     SM_TX_OK);
    assert_int_equal(sm_address_space_store(space, 0x30000, &plain, 8, 1),
                     SM_TX_DECODE_ERROR);
    expect(s.log, "");
    scene_fini(&s);
}

static void through_aliases(void **state)
{
    struct scene s;

    scene_init(&s, 8 * PAGE);
    /* Crooked: a page of the guest's is of two pages here. */
    show(&s.world, 0x40000, new_alias(s.ram, "alias", 0x1800, 0x37ff));
    assert_int_equal(sm_address_space_store(s.world.space, 0x40000, &plain, 1, 1), SM_TX_OK);
    expect(s.log, "1000-1fff ");
    assert_int_equal(sm_address_space_store(s.world.space, 0x40800, &plain, 1, 1), SM_TX_OK);
    expect(s.log, "2000-2fff ");
    const struct sm_flat_section *section =
        sm_flat_view_find(sm_address_space_view(s.world.space), 0x40000);
    assert_true(!sm_section_is_marked(section, 0x40000, PAGE));
    sm_section_mark(section, 0x40000, PAGE); /* as a fill does */
    assert_true(sm_section_is_marked(section, 0x40000, PAGE));
    assert_true(!sm_section_is_marked(section, 0x41000, PAGE));
    expect(s.log, "1000-2fff ");
    sm_section_mark(section, 0x3f000, 8 * PAGE); /* cut to the section */
    expect(s.log, "1000-3fff ");
    scene_fini(&s);
}

static enum sm_tx rom_write(void *dev, uint64_t offset, unsigned size,
                            const struct sm_attrs *attrs, uint64_t value)
{
    return SM_TX_OK;
}

static void what_is_only_debugged(void **state)
{
    static const struct sm_io_ops ops = {.struct_size = sizeof(ops), .write = rom_write,
                                         .accepts = {1, 8, false},
                                         .implements = {1, 8, false}};
    struct sm_region *flash;
    struct sm_device *device;
    struct world world;

    world_init(&world);
    struct sm_region *rom = new_rom(&world, "rom", 2 * PAGE);
    assert_int_equal(sm_device_new(world.topo, "flash", NULL, &device), 0);
    assert_int_equal(sm_region_new_rom_device(device, "flash", 2 * PAGE, &ops, &flash), 0);
    struct sm_dirty_log *of_rom = new_log(rom), *of_flash = new_log(flash);
    show(&world, 0, rom);
    show(&world, 0x10000, flash);
    expect(of_rom, "0-1fff ");
    expect(of_flash, "0-1fff ");
    assert_int_equal(sm_address_space_store(world.space, 0, &plain, 8, 1),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_address_space_store(world.space, 0x10000, &plain, 8, 1), SM_TX_OK);
    expect(of_rom, "");
    expect(of_flash, ""); /* a call, which tells by itself */
    assert_int_equal(sm_address_space_store(world.space, 0x1008, &debug, 8, 1), SM_TX_OK);
    assert_int_equal(sm_address_space_store(world.space, 0x10008, &debug, 8, 1), SM_TX_OK);
    expect(of_rom, "1000-1fff ");
    expect(of_flash, "0-fff ");
    sm_dirty_log_free(of_rom);
    sm_dirty_log_free(of_flash);
    world_fini(&world);
}

/* --- Takes ------------------------------------------------------------------------- */

static void several_logs(void **state)
{
    struct scene s;

    scene_init(&s, 8 * PAGE);
    struct sm_dirty_log *second = new_log(s.ram), *third = new_log(s.ram);
    expect(second, "0-7fff ");
    assert_int_equal(sm_address_space_store(s.world.space, 0x11000, &plain, 1, 1), SM_TX_OK);
    expect(s.log, "1000-1fff ");
    assert_int_equal(sm_address_space_store(s.world.space, 0x13000, &plain, 1, 1), SM_TX_OK);
    expect(s.log, "3000-3fff ");
    expect(second, "1000-1fff 3000-3fff ");
    expect(third, "0-7fff ");
    sm_dirty_log_free(second); /* the middle one */
    assert_int_equal(sm_address_space_store(s.world.space, 0x12000, &plain, 1, 1), SM_TX_OK);
    expect(s.log, "2000-2fff ");
    expect(third, "2000-2fff ");
    sm_dirty_log_free(third);
    scene_fini(&s);
}

static void ranges_and_tickets(void **state)
{
    struct scene s;

    scene_init(&s, 8 * PAGE);
    const sm_ticket before = take_range(s.log, ALL);
    sm_region_written(s.ram, ALL);
    const sm_ticket after = take_range(s.log, (struct sm_range){0x1fff, 0x2000});
    assert_string_equal(taken, "1000-2fff ");
    assert_true(after > before);
    /* Nothing set: nobody is asked, and the pages are readable when they were before. */
    assert_true(take_range(s.log, (struct sm_range){0x1000, 0x2fff}) == after);
    assert_string_equal(taken, "");
    assert_true(take_range(s.log, (struct sm_range){0x8000, UINT64_MAX}) == after);
    assert_true(take_range(s.log, (struct sm_range){0x2000, 0x1000}) == after);
    assert_true(sm_dirty_log_take(s.log, (struct sm_range){0, 0}, NULL, NULL) > after);
    expect(s.log, "3000-7fff ");
    sm_ticket_wait(s.world.topo, take_range(s.log, ALL));
    scene_fini(&s);
}

/* Against a byte per page: sizes around the borders of words and summaries. */
static uint8_t *model;
static uint64_t model_next;

static void check_run(void *arg, const struct sm_range *pages)
{
    const uint64_t first = pages->first / PAGE, last = pages->last / PAGE;

    for (; model_next < first; model_next++)
        assert_int_equal(model[model_next], 0);
    for (; model_next <= last; model_next++) {
        assert_int_equal(model[model_next], 1);
        model[model_next] = 0;
    }
    /* Maximal: the next one is clear, or not asked for. */
    assert_true(last == *(const uint64_t *)arg || !model[model_next]);
}

static void like_bytes(void **state)
{
    static const uint64_t sizes[] = {1, 63, 64, 65, 4095, 4096, 4097, 9000};
    uint64_t random = test_seed(0xd1a7);

    for (size_t i = 0; i < SM_ARRAY_LEN(sizes); i++) {
        const uint64_t n = sizes[i];
        struct scene s;
        scene_init(&s, n * PAGE);
        model = calloc(n + 1, 1);
        for (unsigned round = 0; round < 300; round++) {
            for (uint64_t left = test_below(&random, 20); left; left--) {
                const uint64_t first = test_below(&random, n);
                uint64_t last = first + test_below(&random, 4) * test_below(&random, 70);
                last = SM_MIN(last, n - 1);
                memset(model + first, 1, last - first + 1);
                sm_region_written(s.ram, (struct sm_range){first * PAGE, last * PAGE});
            }
            uint64_t a = test_below(&random, n), b = test_below(&random, n);
            const uint64_t first = SM_MIN(a, b), last = SM_MAX(a, b);
            uint8_t *kept = malloc(n + 1);
            memcpy(kept, model, n + 1);
            model_next = first;
            const sm_ticket ticket =
                sm_dirty_log_take(s.log, (struct sm_range){first * PAGE, last * PAGE},
                                  check_run, (void *)(uintptr_t)&last);
            assert_true(ticket > 0);
            for (; model_next <= last; model_next++)
                assert_int_equal(model[model_next], 0);
            assert_memory_equal(model, kept, first);
            assert_memory_equal(model + last + 1, kept + last + 1, n - last);
            free(kept);
        }
        free(model);
        scene_fini(&s);
    }
}

static void resized(void **state)
{
    const struct sm_ram_options options = {
        .struct_size = sizeof(options), .size = 2 * PAGE, .max_size = 8 * PAGE};
    struct sm_region *ram;
    struct world world;

    world_init(&world);
    assert_int_equal(sm_region_new_ram_from(world.topo, "ram", &options, &ram), 0);
    show(&world, 0, ram);
    struct sm_dirty_log *log = new_log(ram);
    expect(log, "0-1fff ");
    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_resize(ram, 0x4fff), 0);
    commit(&world);
    expect(log, "2000-4fff "); /* never taken until now */
    assert_int_equal(sm_address_space_store(world.space, 0x4000, &plain, 8, 1), SM_TX_OK);
    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_resize(ram, 0x10ff), 0);
    commit(&world);
    sm_region_written(ram, ALL);
    expect(log, "0-10ff ");
    sm_topology_begin(world.topo);
    assert_int_equal(sm_region_resize(ram, 0x7fff), 0);
    commit(&world);
    expect(log, "2000-7fff ");
    sm_dirty_log_free(log);
    world_fini(&world);
}

/* --- Lending ----------------------------------------------------------------------- */

static struct sm_mapping lend(struct scene *s, sm_gpa gpa, uint64_t size,
                              enum sm_access access)
{
    struct sm_mapping mapping;
    assert_int_equal(
        sm_address_space_map(s->world.space, gpa, &plain, size, access, &mapping), SM_TX_OK);
    return mapping;
}

static void lent_pages_are_always_dirty(void **state)
{
    struct scene s;

    scene_init(&s, 8 * PAGE);
    struct sm_mapping read = lend(&s, 0x10000, 8 * PAGE, SM_READ);
    expect(s.log, "");
    struct sm_mapping write = lend(&s, 0x11fff, 2, SM_WRITE);
    struct sm_mapping other = lend(&s, 0x12100, 0x1000, SM_WRITE);
    struct sm_mapping last = lend(&s, 0x17000, 8 * PAGE, SM_WRITE);
    expect(s.log, "1000-3fff 7000-7fff ");
    expect(s.log, "1000-3fff 7000-7fff ");
    struct sm_dirty_log *late = new_log(s.ram); /* knows what was lent before it */
    expect(late, "0-7fff ");
    expect(late, "1000-3fff 7000-7fff ");
    sm_dirty_log_free(late);
    sm_region_written(s.ram, (struct sm_range){0x5000, 0x6000});
    expect(s.log, "1000-3fff 5000-7fff ");
    (void)take_range(s.log, (struct sm_range){0x2000, 0x2000});
    assert_string_equal(taken, "2000-2fff ");
    sm_mapping_release(&write);
    expect(s.log, "1000-3fff 7000-7fff "); /* once more for what was given back */
    expect(s.log, "2000-3fff 7000-7fff ");
    sm_mapping_release(&last);
    sm_mapping_release(&other);
    expect(s.log, "2000-3fff 7000-7fff ");
    expect(s.log, "");
    sm_mapping_release(&read);
    expect(s.log, "");
    scene_fini(&s);
}

static void many_lent(void **state)
{
    enum { N = 200 };
    struct sm_mapping mapping[N];
    struct scene s;

    scene_init(&s, 6400 * PAGE); /* a part is 100 pages */
    for (unsigned i = 0; i < N; i++)
        mapping[i] = lend(&s, 0x10000 + i * PAGE, 8, SM_WRITE);
    for (unsigned i = 0; i < SM_N_LENT; i++)
        sm_mapping_release(&mapping[i]);
    expect(s.log, "0-c7fff ");
    expect(s.log, "0-c7fff "); /* two parts */
    struct sm_mapping wide = lend(&s, 0x10000 + 6000 * PAGE, 150 * PAGE, SM_WRITE);
    expect(s.log, "0-c7fff 1770000-1805fff "); /* in a slot again */
    for (unsigned i = SM_N_LENT; i < N; i++)
        sm_mapping_release(&mapping[i]);
    expect(s.log, "20000-c7fff 1770000-1805fff ");
    expect(s.log, "1770000-1805fff ");
    sm_mapping_release(&wide);
    expect(s.log, "1770000-1805fff ");
    expect(s.log, "");
    scene_fini(&s);
}

/* A mapping outlives region and topology, also one that is noted. */
static void lent_for_longer(void **state)
{
    struct scene s;

    scene_init(&s, 8 * PAGE);
    struct sm_mapping mapping = lend(&s, 0x10000, 8, SM_WRITE);
    sm_topology_work(s.world.topo);
    world_fini(&s.world); /* takes the log along */
    *(uint8_t *)mapping.host = 1;
    sm_mapping_release(&mapping);
}

static void busy(void **state)
{
    struct scene s;

    scene_init(&s, 8 * PAGE);
    sm_topology_begin(s.world.topo);
    sm_region_unmap(s.ram);
    commit(&s.world);
    assert_int_equal(sm_region_free(s.ram), -EBUSY);
    sm_dirty_log_free(s.log);
    assert_int_equal(sm_region_free(s.ram), 0);
    sm_topology_work(s.world.topo);
    world_fini(&s.world);
}

/* --- Listeners --------------------------------------------------------------------- */

static char heard[4096];

static void note(const char *what, const struct sm_section *section)
{
    const size_t n = strlen(heard);
    snprintf(heard + n, sizeof(heard) - n, "%s%llx ", what,
             (unsigned long long)section->range.first);
}

static void on_removed(void *owner, const struct sm_section *section)
{
    note("-", section);
}

static void on_added(void *owner, const struct sm_section *section)
{
    note("+", section);
}

static void on_unchanged(void *owner, const struct sm_section *section)
{
    note("=", section);
}

static void on_started(void *owner, const struct sm_section *section)
{
    note("on", section);
}

static void on_stopped(void *owner, const struct sm_section *section)
{
    note("off", section);
}

static void on_cleared(void *owner, const struct sm_section *section,
                       const struct sm_range *range)
{
    const size_t n = strlen(heard);
    note("clear", section);
    snprintf(heard + n + strlen(heard + n), 64, "(%llx-%llx) ",
             (unsigned long long)range->first, (unsigned long long)range->last);
}

static const struct sm_listener_ops ops = {sizeof(ops), on_removed, on_added, NULL,
                                           on_unchanged, on_started, on_stopped, on_cleared};

static void expect_heard(const char *want)
{
    assert_string_equal(heard, want);
    heard[0] = '\0';
}

static void listeners_hear(void **state)
{
    struct sm_listener *listener, *late;
    struct scene s;

    heard[0] = '\0';
    world_init(&s.world);
    s.ram = new_ram(&s.world, "ram", 8 * PAGE);
    struct sm_region *other = new_ram(&s.world, "other", PAGE);
    show(&s.world, 0x10000, s.ram);
    show(&s.world, 0x4000, other);
    assert_int_equal(sm_listener_new(s.world.space, &ops, NULL, 0, &listener), 0);
    expect_heard("+4000 +10000 ");
    s.log = new_log(s.ram);
    expect_heard("on10000 ");
    struct sm_dirty_log *second = new_log(s.ram);
    expect_heard("");
    show(&s.world, 0x40000, new_alias(s.ram, "alias", 0x2000, 0x3fff));
    expect_heard("=4000 =10000 +40000 on40000 ");
    assert_int_equal(sm_listener_new(s.world.space, &ops, NULL, 0, &late), 0);
    expect_heard("+4000 +10000 on10000 +40000 on40000 ");
    sm_listener_free(late);
    expect_heard("-4000 off10000 -10000 off40000 -40000 ");

    (void)take_range(s.log, (struct sm_range){0x3000, 0x6fff});
    expect_heard("clear10000 (13000-16fff) clear40000 (41000-41fff) ");
    (void)take_range(s.log, (struct sm_range){0x3000, 0x6fff});
    expect_heard(""); /* nothing was set */
    (void)take_range(s.log, (struct sm_range){0, 0xfff});
    expect_heard("clear10000 (10000-10fff) ");

    sm_topology_begin(s.world.topo);
    assert_int_equal(sm_region_move(s.ram, 0x20000), 0);
    commit(&s.world);
    expect_heard("off10000 -10000 =4000 =40000 +20000 on20000 ");
    sm_dirty_log_free(s.log);
    expect_heard("");
    sm_dirty_log_free(second);
    expect_heard("off20000 off40000 ");
    sm_listener_free(listener);
    expect_heard("-4000 -20000 -40000 ");
    sm_topology_work(s.world.topo);
    world_fini(&s.world);
}

/* Who was compiled with the callbacks of before hears these. */
static void listeners_of_before(void **state)
{
    struct sm_listener_ops old = ops;
    struct sm_listener *listener;
    struct scene s;

    heard[0] = '\0';
    scene_init(&s, 8 * PAGE);
    old.struct_size = offsetof(struct sm_listener_ops, unchanged);
    assert_int_equal(sm_listener_new(s.world.space, &old, NULL, 0, &listener), 0);
    show(&s.world, 0x4000, new_ram(&s.world, "other", PAGE));
    sm_region_written(s.ram, ALL);
    expect(s.log, "0-7fff ");
    sm_listener_free(listener);
    expect_heard("+10000 +4000 -4000 -10000 ");
    old.struct_size += 8;
    assert_int_equal(sm_listener_new(s.world.space, &old, NULL, 0, &listener), -EINVAL);
    scene_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_all_set),
        cmocka_unit_test(only_of_memory),
        cmocka_unit_test(stores_of_all_kinds),
        cmocka_unit_test(through_aliases),
        cmocka_unit_test(what_is_only_debugged),
        cmocka_unit_test(several_logs),
        cmocka_unit_test(ranges_and_tickets),
        cmocka_unit_test(like_bytes),
        cmocka_unit_test(resized),
        cmocka_unit_test(lent_pages_are_always_dirty),
        cmocka_unit_test(many_lent),
        cmocka_unit_test(lent_for_longer),
        cmocka_unit_test(busy),
        cmocka_unit_test(listeners_hear),
        cmocka_unit_test(listeners_of_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
