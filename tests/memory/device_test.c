/* SPDX-License-Identifier: MIT */
/* device_test.c - the lock, the guard (L4), deferred work (L5), and freeing in use. */
#include "support.h"

#include <time.h>

enum { N_WORK = 4 };

struct gadget {
    struct world *world;
    struct sm_device *device;
    struct sm_region *region;
    struct sm_work work[N_WORK];
    int order[64], n_order; /* which work ran, in order                        */
    int calls;
    sm_gpa target;     /* what its work reads                                  */
    enum sm_tx result; /* and how that ended                                   */
    uint64_t value;
    int again;              /* work 3 defers itself that often                      */
    uint32_t inside, phase; /* atomic */
};

static enum sm_tx read_it(void *dev, uint64_t offset, unsigned size,
                          const struct sm_attrs *attrs, uint64_t *value)
{
    struct gadget *gadget = dev;
    gadget->calls++;
    *value = 0x5a;
    return SM_TX_OK;
}

static enum sm_tx write_it(void *dev, uint64_t offset, unsigned size,
                           const struct sm_attrs *attrs, uint64_t value)
{
    struct gadget *gadget = dev;
    sm_device_defer(gadget->device, &gadget->work[value % N_WORK]);
    return SM_TX_OK;
}

static const struct sm_io_ops io_ops = {
    .struct_size = sizeof(io_ops),
    .read = read_it,
    .write = write_it,
    .accepts = {1, 8, false},
    .implements = {1, 8, false},
};

static void note(struct gadget *gadget, int which)
{
    assert_false(sm_thread_holds_device());
    gadget->order[gadget->n_order++] = which;
}

static void run_0(void *dev)
{
    note(dev, 0);
}

static void run_transfer(void *dev)
{
    struct gadget *gadget = dev;
    note(dev, 1);
    gadget->result = sm_address_space_load(gadget->world->space, gadget->target, &plain,
                                           8, &gadget->value);
}

static void run_io(void *dev)
{
    note(dev, 2);
}

static void run_again(void *dev)
{
    struct gadget *gadget = dev;
    note(dev, 3);
    if (gadget->again--)
        sm_device_defer(gadget->device, &gadget->work[3]);
}

static void gadget_init(struct gadget *gadget, struct world *world, uint64_t at)
{
    memset(gadget, 0, sizeof(*gadget));
    gadget->world = world;
    gadget->work[0].run = run_0;
    gadget->work[1].run = run_transfer;
    gadget->work[2].run = run_io;
    gadget->work[2].flags = SM_WORK_IO;
    gadget->work[3].run = run_again;
    assert_int_equal(sm_device_new(world->topo, "gadget", gadget, &gadget->device), 0);
    assert_int_equal(
        sm_region_new_io(gadget->device, "gadget", 0xf, &io_ops, &gadget->region), 0);
    show(world, at, gadget->region);
}

static void expect_order(struct gadget *gadget, const char *want)
{
    char text[65] = {0};
    for (int i = 0; i < gadget->n_order; i++)
        text[i] = (char)('0' + gadget->order[i]);
    assert_string_equal(text, want);
    gadget->n_order = 0;
}

static void ignore_change(struct sm_agent *agent, const struct sm_address_space *space,
                          const struct sm_range *range)
{
}

static uint32_t kicks; /* atomic */

static void count_kick(struct sm_agent *agent)
{
    sm_fetch_add_relaxed(&kicks, 1);
}

static const struct sm_agent_ops vcpu_ops = {ignore_change, count_kick};

static void work_in_order(void **state)
{
    struct gadget gadget;
    struct world world;

    world_init(&world);
    gadget_init(&gadget, &world, 0x1000);
    sm_topology_work(world.topo);
    world.wakes = 0;
    sm_device_defer(gadget.device, &gadget.work[2]);
    assert_int_equal(world.wakes, 1); /* deferred by no vCPU */
    sm_device_defer(gadget.device, &gadget.work[0]);
    sm_device_defer(gadget.device, &gadget.work[2]); /* waits already */
    sm_device_defer(gadget.device, &gadget.work[3]);
    expect_order(&gadget, "");
    gadget.again = 2;
    sm_topology_work(world.topo);
    expect_order(&gadget, "203"); /* what defers itself waits for the next round */
    assert_int_equal(world.wakes, 2);
    sm_topology_work(world.topo);
    sm_topology_work(world.topo);
    sm_topology_work(world.topo);
    expect_order(&gadget, "33");
    world_fini(&world);
}

static void work_of_vcpus(void **state)
{
    struct sm_agent agent = {0};
    struct gadget gadget;
    struct world world;

    world_init(&world);
    gadget_init(&gadget, &world, 0x1000);
    sm_topology_work(world.topo);
    world.wakes = kicks = 0;
    sm_agent_add(world.topo, &agent, &vcpu_ops);
    sm_agent_online(&agent);
    assert_int_equal(sm_address_space_store(world.space, 0x1000, &plain, 8, 0), SM_TX_OK);
    assert_int_equal(kicks, 1);
    assert_int_equal(world.wakes, 0);
    expect_order(&gadget, "");
    sm_agent_pass(&agent);
    expect_order(&gadget, "0");
    assert_int_equal(world.topo->todo, 0);

    /* I/O is not a vCPU's, nor what was deferred after it (L5). */
    sm_device_defer(gadget.device, &gadget.work[2]);
    assert_int_equal(world.wakes, 1);
    sm_device_defer(gadget.device, &gadget.work[0]);
    sm_agent_pass(&agent);
    expect_order(&gadget, "");
    sm_topology_work(world.topo);
    expect_order(&gadget, "20");

    /* What waits is done before a sleep. */
    sm_device_defer(gadget.device, &gadget.work[0]);
    sm_agent_offline(&agent);
    expect_order(&gadget, "0");
    sm_agent_remove(&agent);
    world_fini(&world);
}

static void guard(void **state)
{
    struct gadget a, b;
    struct world world;

    world_init(&world);
    gadget_init(&a, &world, 0x1000);
    gadget_init(&b, &world, 0x2000);
    show(&world, 0x3000, new_ram(&world, "ram", 0x1000));

    /* Work that aims at its own device is refused (L4), at others is not. */
    a.target = 0x1000;
    sm_device_defer(a.device, &a.work[1]);
    sm_topology_work(world.topo);
    assert_int_equal(a.result, SM_TX_ACCESS_ERROR);
    assert_int_equal(a.calls, 0);
    a.target = 0x2000;
    sm_device_defer(a.device, &a.work[1]);
    sm_topology_work(world.topo);
    assert_int_equal(a.result, SM_TX_OK);
    assert_int_equal(a.value, 0x5a);
    assert_int_equal(b.calls, 1);
    a.target = 0x3000;
    sm_device_defer(a.device, &a.work[1]);
    sm_topology_work(world.topo);
    assert_int_equal(a.result, SM_TX_OK);

    /* Work may enter its own device by the lock. */
    struct sm_device_frame frame;
    sm_device_lock(a.device);
    assert_true(sm_thread_holds_device());
    assert_false(sm_device_enter(a.device, &frame, false));
    assert_false(sm_device_enter(a.device, &frame, true));
    sm_device_unlock(a.device);
    assert_false(sm_thread_holds_device());
    assert_true(sm_device_enter(a.device, &frame, false));
    sm_device_leave(&frame);
    world_fini(&world);
}

static enum sm_tx wait_inside(void *dev, uint64_t offset, unsigned size,
                              const struct sm_attrs *attrs, uint64_t *value)
{
    struct gadget *gadget = dev;
    const struct timespec pause = {.tv_nsec = 1000000};

    gadget->calls += sm_fetch_add(&gadget->inside, 1) != 0; /* somebody is inside */
    sm_publish(&gadget->phase, 1);
    for (int i = 0; i < 5; i++)
        nanosleep(&pause, NULL);
    *value = 1;
    sm_fetch_add(&gadget->inside, UINT32_MAX);
    return SM_TX_OK;
}

static const struct sm_io_ops waiting_ops = {
    .struct_size = sizeof(waiting_ops),
    .read = wait_inside,
    .accepts = {1, 8, false},
    .implements = {1, 8, false},
};

static void *load_it(void *arg)
{
    struct gadget *gadget = arg;
    uint64_t value;
    const enum sm_tx tx =
        sm_address_space_load(gadget->world->space, 0x4000, &plain, 4, &value);

    sm_publish(&gadget->phase, 2);
    return (void *)(uintptr_t)tx;
}

/* Another thread's access waits for the lock, and is not refused. */
static void others_wait(void **state)
{
    struct gadget gadget = {0};
    pthread_t thread[3];
    struct world world;

    world_init(&world);
    gadget.world = &world;
    assert_int_equal(sm_device_new(world.topo, "waits", &gadget, &gadget.device), 0);
    assert_int_equal(
        sm_region_new_io(gadget.device, "waits", 0xf, &waiting_ops, &gadget.region), 0);
    show(&world, 0x4000, gadget.region);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, load_it, &gadget), 0);
    for (int i = 0; i < 3; i++) {
        void *tx;
        pthread_join(thread[i], &tx);
        assert_null(tx);
    }
    assert_int_equal(gadget.calls, 0);
    world_fini(&world);
}

/* A device can be freed while a callback runs; its ticket waits for that. */
static void freed_in_use(void **state)
{
    struct gadget gadget = {0};
    struct world world;
    pthread_t thread;

    world_init(&world);
    gadget.world = &world;
    assert_int_equal(sm_device_new(world.topo, "waits", &gadget, &gadget.device), 0);
    assert_int_equal(
        sm_region_new_io(gadget.device, "waits", 0xf, &waiting_ops, &gadget.region), 0);
    show(&world, 0x4000, gadget.region);
    assert_int_equal(pthread_create(&thread, NULL, load_it, &gadget), 0);
    while (!sm_load_acquire(&gadget.phase))
        ;
    sm_topology_begin(world.topo);
    sm_region_unmap(gadget.region);
    assert_int_equal(sm_region_free(gadget.region), 0);
    assert_int_equal(sm_device_free(gadget.device), -EBUSY); /* could be taken back */
    const sm_ticket ticket = commit(&world);
    assert_int_equal(sm_device_free(gadget.device), 0);
    sm_ticket_wait(world.topo, ticket);
    assert_int_equal(sm_load_acquire(&gadget.inside), 0);
    sm_topology_work(world.topo);
    pthread_join(thread, NULL);
    sm_topology_work(world.topo);
    assert_true(sm_list_empty(&world.topo->retired));
    world_fini(&world);
}

/* Work that frees RAM under its own reader: the RAM stays until the work has ended. */
struct remover {
    struct world *world;
    struct sm_device *device;
    struct sm_region *ram;
    struct sm_work work;
    int released, seen; /* seen: released while the work ran                   */
    enum sm_tx before, after;
};

static void ram_released(void *owner, void *host)
{
    ((struct remover *)owner)->released++;
}

static void *collect(void *arg)
{
    struct sm_topology *topo = arg;

    sm_topology_work(topo); /* a grace period passes: no RCU section is open */
    return NULL;
}

static void remove_ram(void *dev)
{
    struct remover *remover = dev;
    struct sm_topology *topo = remover->world->topo;
    struct sm_reader reader;
    uint64_t value;
    pthread_t thread;

    sm_reader_begin(&reader, topo);
    assert_int_equal(reader.how, SM_READER_AGENT);
    const struct sm_flat_section *section =
        sm_address_space_section(remover->world->space, 0x8000);
    assert_non_null(section);
    remover->before =
        sm_address_space_load(remover->world->space, 0x8000, &plain, 8, &value);
    sm_topology_begin(topo);
    sm_region_unmap(remover->ram);
    assert_int_equal(sm_region_free(remover->ram), 0);
    const sm_ticket ticket = commit(remover->world);
    assert_int_equal(pthread_create(&thread, NULL, collect, topo), 0);
    pthread_join(thread, NULL);
    assert_false(sm_ticket_done(topo, ticket));
    remover->seen = remover->released;
    section->host[0] = 1;
    sm_reader_end(&reader);
    remover->after =
        sm_address_space_load(remover->world->space, 0x8000, &plain, 8, &value);
}

static void work_is_a_reader(void **state)
{
    static _Alignas(4096) uint8_t mine[4096];
    struct remover remover = {.work = {.run = remove_ram}};
    const struct sm_ram_options options = {.struct_size = sizeof(options),
                                           .kind = SM_RAM_CALLER,
                                           .size = sizeof(mine),
                                           .host = mine,
                                           .release = ram_released,
                                           .owner = &remover};
    struct sm_reader reader;
    struct world world;

    world_init(&world);
    remover.world = &world;
    assert_int_equal(sm_device_new(world.topo, "remover", &remover, &remover.device), 0);
    assert_int_equal(sm_region_new_ram_from(world.topo, "mine", &options, &remover.ram),
                     0);
    show(&world, 0x8000, remover.ram);
    sm_device_defer(remover.device, &remover.work);
    sm_topology_work(world.topo);
    assert_int_equal(remover.before, SM_TX_OK);
    assert_int_equal(remover.after, SM_TX_DECODE_ERROR);
    assert_int_equal(remover.seen, 0);
    sm_topology_work(world.topo);
    assert_int_equal(remover.released, 1);
    sm_reader_begin(&reader, world.topo); /* no more */
    assert_int_equal(reader.how, SM_READER_RCU);
    sm_reader_end(&reader);
    world_fini(&world);
}

static void freed_with_work(void **state)
{
    struct gadget gadget;
    struct world world;

    world_init(&world);
    gadget_init(&gadget, &world, 0x1000);
    sm_device_defer(gadget.device, &gadget.work[0]);
    sm_device_defer(gadget.device, &gadget.work[2]);
    sm_topology_begin(world.topo);
    sm_region_unmap(gadget.region);
    assert_int_equal(sm_region_free(gadget.region), 0);
    commit(&world);
    assert_int_equal(sm_device_free(gadget.device), 0);
    assert_null(gadget.work[0].next);
    sm_device_defer(gadget.device, &gadget.work[0]); /* too late */
    assert_null(gadget.work[0].next);
    sm_topology_work(world.topo);
    expect_order(&gadget, "");
    world_fini(&world);
}

enum { DEFERS = 2000 };

struct counter {
    struct sm_device *device;
    struct sm_topology *topo;
    struct sm_work work[2];
    uint32_t asked[2], seen[2]; /* atomic; seen: what the work has seen        */
    uint32_t inside, overlaps;  /* atomic */
    uint32_t stop;              /* atomic */
};

static void see(struct counter *counter, int which)
{
    counter->overlaps += sm_fetch_add(&counter->inside, 1) != 0;
    sm_store_relaxed(&counter->seen[which], sm_load_acquire(&counter->asked[which]));
    sm_fetch_add(&counter->inside, UINT32_MAX);
}

static void see_0(void *dev)
{
    see(dev, 0);
}

static void see_1(void *dev)
{
    see(dev, 1);
}

static void *work_thread(void *arg)
{
    struct counter *counter = arg;
    while (!sm_load_acquire(&counter->stop))
        sm_topology_work(counter->topo);
    return NULL;
}

static void *ask_1(void *arg)
{
    struct counter *counter = arg;

    for (uint32_t i = 1; i <= DEFERS; i++) {
        sm_publish(&counter->asked[1], i);
        sm_device_defer(counter->device, &counter->work[1]);
    }
    return NULL;
}

/* Two defer, two run: no wish is lost, and one runs at a time (L5). */
static void many_runners(void **state)
{
    struct counter counter = {.work = {{.run = see_0}, {.run = see_1}}};
    pthread_t runner[2], asker;
    struct world world;

    world_init(&world);
    counter.topo = world.topo;
    assert_int_equal(sm_device_new(world.topo, "counter", &counter, &counter.device), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&runner[i], NULL, work_thread, &counter), 0);
    assert_int_equal(pthread_create(&asker, NULL, ask_1, &counter), 0);
    for (uint32_t i = 1; i <= DEFERS; i++) {
        sm_publish(&counter.asked[0], i);
        sm_device_defer(counter.device, &counter.work[0]);
    }
    pthread_join(asker, NULL);
    while (sm_load_relaxed(&counter.seen[0]) != DEFERS ||
           sm_load_relaxed(&counter.seen[1]) != DEFERS)
        sched_yield();
    sm_publish(&counter.stop, 1);
    for (int i = 0; i < 2; i++)
        pthread_join(runner[i], NULL);
    assert_int_equal(counter.overlaps, 0);
    world_fini(&world);
}

#ifdef SM_DEBUG_CHECKS
static void lock_two(struct world *world)
{
    struct gadget a, b;

    sm_panic_enter(&world->topo->hook);
    gadget_init(&a, world, 0x1000);
    gadget_init(&b, world, 0x2000);
    sm_panic_enter(&world->topo->hook);
    sm_device_lock(a.device);
    sm_device_lock(b.device);
}

static void lock_in_edit(struct world *world)
{
    struct gadget a;

    gadget_init(&a, world, 0x1000);
    sm_topology_begin(world->topo);
    sm_device_lock(a.device);
}

static void wait_in_lock(struct world *world)
{
    struct gadget a;

    gadget_init(&a, world, 0x1000);
    sm_panic_enter(&world->topo->hook);
    sm_device_lock(a.device);
    sm_ticket_wait(world->topo, 0);
}

static void lock_order(void **state)
{
    struct world world;

    world_init(&world);
    expect_panic(lock_two, &world);
    expect_panic(lock_in_edit, &world);
    expect_panic(wait_in_lock, &world);
    world_fini(&world);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_in_order), cmocka_unit_test(work_of_vcpus),
        cmocka_unit_test(guard),         cmocka_unit_test(others_wait),
        cmocka_unit_test(freed_in_use),  cmocka_unit_test(freed_with_work),
        cmocka_unit_test(many_runners),  cmocka_unit_test(work_is_a_reader),
#ifdef SM_DEBUG_CHECKS
        cmocka_unit_test(lock_order),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
