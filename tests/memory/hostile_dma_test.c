/* SPDX-License-Identifier: MIT */
/* hostile_dma_test.c - devices whose transfers a guest aims where it should not.
 *
 * Two copy engines: a guest says from where, to where and how much, and a write to the
 * last register starts deferred work that does it in pieces.  Every place is tried as
 * source and as destination: RAM, its end, ROM, a hole, the end of all addresses, the
 * engine's own registers, the other's.  No callback is ever entered twice by one thread,
 * every copy ends, and it has moved what lies before the first byte that refused.  Then
 * the two are set onto each other without end, from two threads.
 */
#include "support.h"

#include <pthread.h>
#include <time.h>

enum { RAM_AT = 0x10000, RAM_SIZE = 0x2000, ROM_AT = 0x20000, ROM_SIZE = 0x1000 };
enum { ENGINE_AT = 0x30000, ENGINE_STEP = 0x1000, N_ENGINES = 2, CHUNK = 24 };
enum { SOURCE, TARGET, LENGTH, GO, N_REGISTERS };
enum { REGISTER_BYTES = N_REGISTERS * 8 };

struct engine {
    struct world *world;
    struct sm_device *device;
    struct sm_region *region;
    struct sm_work work;
    uint64_t reg[N_REGISTERS];
    unsigned inside, deepest; /* callbacks entered                             */
    unsigned runs_left;       /* the guest's loop ends some time; under the lock */
    /* Of the last run: */
    enum sm_tx tx;
    uint64_t moved;
    uint64_t n_runs; /* atomic                                                 */
};

static void enter(struct engine *engine)
{
    engine->inside++;
    engine->deepest = SM_MAX(engine->deepest, engine->inside);
}

static enum sm_tx engine_read(void *dev, uint64_t offset, unsigned size,
                              const struct sm_attrs *attrs, uint64_t *value)
{
    struct engine *engine = dev;

    enter(engine);
    *value = engine->reg[offset / 8];
    engine->inside--;
    return SM_TX_OK;
}

static enum sm_tx engine_write(void *dev, uint64_t offset, unsigned size,
                               const struct sm_attrs *attrs, uint64_t value)
{
    struct engine *engine = dev;

    enter(engine);
    engine->reg[offset / 8] = value;
    /* Of several before one run the work waits once: so runs are counted, not these. */
    if (offset / 8 == GO && engine->runs_left)
        sm_device_defer(engine->device, &engine->work);
    engine->inside--;
    return SM_TX_OK;
}

static const struct sm_io_ops engine_ops = {.struct_size = sizeof(engine_ops),
                                            .flags = SM_IO_WIDEN_WRITES,
                                            .read = engine_read,
                                            .write = engine_write,
                                            .accepts = {1, 8, false},
                                            .implements = {8, 8, false}};

/* Decode first, under the lock; then copy, holding nothing. */
static void copy(void *dev)
{
    struct engine *engine = dev;
    struct sm_address_space *space = engine->world->space;
    uint8_t chunk[CHUNK];

    sm_device_lock(engine->device);
    engine->runs_left--;
    const sm_gpa source = engine->reg[SOURCE], target = engine->reg[TARGET];
    const uint64_t length = engine->reg[LENGTH] % 0x1000;
    sm_device_unlock(engine->device);
    uint64_t moved = 0, n = CHUNK;
    enum sm_tx tx = SM_TX_OK;
    while (tx == SM_TX_OK && n == CHUNK && moved < length) {
        const uint64_t size = SM_MIN(length - moved, (uint64_t)CHUNK);
        uint64_t got, put = 0;
        tx = sm_address_space_read(space, source + moved, &plain, chunk, size, &got);
        if (got) {
            const enum sm_tx wrote =
                sm_address_space_write(space, target + moved, &plain, chunk, got, &put);
            tx = wrote != SM_TX_OK ? wrote : tx;
        }
        moved += put;
        n = put;
    }
    sm_device_lock(engine->device);
    engine->tx = tx;
    engine->moved = moved;
    sm_device_unlock(engine->device);
    sm_fetch_add_relaxed(&engine->n_runs, 1);
}

static void engines_init(struct world *world, struct engine *engines)
{
    world_init(world);
    show(world, RAM_AT, new_ram(world, "ram", RAM_SIZE));
    show(world, ROM_AT, new_rom(world, "rom", ROM_SIZE));
    memset(engines, 0, N_ENGINES * sizeof(*engines));
    for (unsigned i = 0; i < N_ENGINES; i++) {
        struct engine *engine = &engines[i];
        engine->world = world;
        engine->work.run = copy;
        assert_int_equal(sm_device_new(world->topo, "engine", engine, &engine->device),
                         0);
        assert_int_equal(sm_region_new_io(engine->device, "engine", REGISTER_BYTES - 1,
                                          &engine_ops, &engine->region),
                         0);
        show(world, ENGINE_AT + i * ENGINE_STEP, engine->region);
    }
}

static void program(struct world *world, unsigned n, sm_gpa source, sm_gpa target,
                    uint64_t length)
{
    const uint64_t value[N_REGISTERS] = {source, target, length, 1};

    for (unsigned i = 0; i < N_REGISTERS; i++)
        assert_int_equal(sm_address_space_store(world->space,
                                                ENGINE_AT + n * ENGINE_STEP + i * 8,
                                                &plain, 8, value[i]),
                         SM_TX_OK);
}

/* --- Every place as source and destination ---------------------------- */

/* A place, how far one can read or write from it, and what is said there. */
static const struct {
    const char *what;
    sm_gpa at;
    uint64_t readable, writable;
    enum sm_tx after_read, after_write;
} places[] = {
    {"RAM", RAM_AT + 0x100, 1024, 1024, SM_TX_OK, SM_TX_OK},
    {"the end of RAM", RAM_AT + RAM_SIZE - 40, 40, 40, SM_TX_DECODE_ERROR,
     SM_TX_DECODE_ERROR},
    {"ROM", ROM_AT, 1024, 0, SM_TX_OK, SM_TX_ACCESS_ERROR},
    {"a hole", 0x8000, 0, 0, SM_TX_DECODE_ERROR, SM_TX_DECODE_ERROR},
    {"the last addresses", UINT64_MAX - 3, 0, 0, SM_TX_DECODE_ERROR, SM_TX_DECODE_ERROR},
    {"its own registers", ENGINE_AT, 0, 0, SM_TX_ACCESS_ERROR, SM_TX_ACCESS_ERROR},
    {"the other's registers", ENGINE_AT + ENGINE_STEP, REGISTER_BYTES, REGISTER_BYTES,
     SM_TX_DECODE_ERROR, SM_TX_DECODE_ERROR},
    {"up to its own registers", ENGINE_AT - 16, 0, 0, SM_TX_DECODE_ERROR,
     SM_TX_DECODE_ERROR},
};

static void everywhere(void **state)
{
    static const uint64_t lengths[] = {1, 8, 24, 32, 40, 48, 200};
    struct engine engines[N_ENGINES];
    struct world world;

    engines_init(&world, engines);
    for (unsigned s = 0; s < SM_ARRAY_LEN(places); s++) {
        for (unsigned t = 0; t < SM_ARRAY_LEN(places); t++) {
            for (unsigned n = 0; n < SM_ARRAY_LEN(lengths); n++) {
                const uint64_t length = lengths[n];
                const uint64_t readable = SM_MIN(places[s].readable, length);
                const uint64_t moved = SM_MIN(readable, places[t].writable);
                enum sm_tx tx = SM_TX_OK;
                /* A chunk whose end cannot be read is written as far as it was. */
                if (moved < length)
                    tx = moved < readable ? places[t].after_write : places[s].after_read;
                engines[0].runs_left = 1;
                engines[1].runs_left = 0;
                program(&world, 0, places[s].at, places[t].at, length);
                sm_topology_work(world.topo);
                if (engines[0].tx != tx || engines[0].moved != moved)
                    fail_msg("%s to %s, %u: %d after %u, expected %d after %u",
                             places[s].what, places[t].what, (unsigned)length,
                             engines[0].tx, (unsigned)engines[0].moved, tx,
                             (unsigned)moved);
                assert_false(sm_thread_holds_device());
            }
        }
    }
    assert_int_equal(engines[0].deepest, 1);
    assert_int_equal(engines[1].deepest, 1);
    world_fini(&world);
}

/* --- Chains ----------------------------------------------------------- */

/* Each engine's copy starts the other's, by way of its registers. */
static void chain(struct world *world, struct engine *engines, unsigned runs)
{
    for (unsigned i = 0; i < N_ENGINES; i++)
        engines[i].runs_left = runs;
    /* In RAM, what to write over all registers of engine n: aimed at the other. */
    for (unsigned i = 0; i < N_ENGINES; i++) {
        const uint64_t image[N_REGISTERS] = {
            RAM_AT + 64 * (1 - i), ENGINE_AT + (1 - i) * ENGINE_STEP, REGISTER_BYTES, 1};
        assert_int_equal(sm_address_space_write(world->space, RAM_AT + 64 * i, &plain,
                                                image, sizeof(image), NULL),
                         SM_TX_OK);
    }
    program(world, 0, RAM_AT + 64, ENGINE_AT + ENGINE_STEP, REGISTER_BYTES);
}

static void one_starts_the_other(void **state)
{
    struct engine engines[N_ENGINES];
    struct world world;

    engines_init(&world, engines);
    chain(&world, engines, 50);
    for (unsigned i = 0; i < 200; i++)
        sm_topology_work(world.topo);
    for (unsigned i = 0; i < N_ENGINES; i++) {
        assert_int_equal(engines[i].n_runs, 50);
        assert_int_equal(engines[i].deepest, 1);
        assert_int_equal(engines[i].runs_left, 0);
    }
    world_fini(&world);
}

struct helper {
    struct world *world;
    uint32_t stop; /* atomic */
};

static void *do_work(void *arg)
{
    struct helper *helper = arg;

    while (!sm_load_relaxed(&helper->stop))
        sm_topology_work(helper->world->topo);
    return NULL;
}

static void from_two_threads(void **state)
{
    struct engine engines[N_ENGINES];
    struct world world;
    struct helper helper = {&world, 0};
    pthread_t thread;

    engines_init(&world, engines);
    chain(&world, engines, 1000000); /* a start while the work waits uses one up, too */
    program(&world, 1, RAM_AT, ENGINE_AT, REGISTER_BYTES);
    assert_int_equal(pthread_create(&thread, NULL, do_work, &helper), 0);
    /* However the two threads are scheduled: runs are left until both have had enough. */
    for (unsigned i = 0; sm_load_relaxed(&engines[0].n_runs) < 200 ||
                         sm_load_relaxed(&engines[1].n_runs) < 200;
         i++) {
        sm_topology_work(world.topo);
        /* Work that waits already is not added: the chain may have to begin anew. */
        if (i % 64 == 0)
            program(&world, i / 64 % 2, RAM_AT + 64 * (1 - i / 64 % 2),
                    ENGINE_AT + (1 - i / 64 % 2) * ENGINE_STEP, REGISTER_BYTES);
    }
    sm_publish(&helper.stop, 1);
    pthread_join(thread, NULL);
    for (unsigned i = 0; i < N_ENGINES; i++) {
        assert_true(engines[i].n_runs >= 200);
        assert_int_equal(engines[i].deepest, 1);
    }
    world_fini(&world);
}

/* --- A window that its device keeps ----------------------------------- */

/* A device that borrows memory once and checks against the size that it asked for, not
 * the one that it got, would leave it: so it is told, and what it got stays whatever
 * becomes of the map. */
static void kept_window(void **state)
{
    struct world world;
    struct sm_mapping window, none;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", RAM_SIZE);
    show(&world, RAM_AT, ram);
    for (uint64_t from = 1; from <= 64; from++) {
        assert_int_equal(sm_address_space_map(world.space, RAM_AT + RAM_SIZE - from,
                                              &plain, 64, SM_WRITE, &window),
                         SM_TX_OK);
        assert_int_equal(window.size, from);
        memset(window.host, (int)from, window.size);
        sm_mapping_release(&window);
    }
    assert_int_equal(
        sm_address_space_map(world.space, RAM_AT + RAM_SIZE, &plain, 64, SM_WRITE, &none),
        SM_TX_DECODE_ERROR);
    assert_int_equal(
        sm_address_space_map(world.space, RAM_AT + 8, &plain, 64, SM_WRITE, &window),
        SM_TX_OK);
    sm_topology_begin(world.topo);
    sm_region_unmap(ram);
    assert_int_equal(sm_region_free(ram), 0);
    sm_ticket_wait(world.topo, commit(&world));
    show(&world, RAM_AT, new_ram(&world, "another", RAM_SIZE));
    memset(window.host, 0x99, window.size); /* into memory that no guest sees */
    uint64_t value;
    assert_int_equal(sm_address_space_load(world.space, RAM_AT + 8, &plain, 8, &value),
                     SM_TX_OK);
    assert_int_equal(value, 0);
    sm_mapping_release(&window);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everywhere),
        cmocka_unit_test(one_starts_the_other),
        cmocka_unit_test(from_two_threads),
        cmocka_unit_test(kept_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
