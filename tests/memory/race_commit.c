/* SPDX-License-Identifier: MIT */
/* race_commit.c - commits under reads: vCPUs, other threads, device work, frees.
 *
 * One thread moves, replaces and frees RAM and devices, two vCPUs and two other threads
 * read, write and update what they can reach, another does sm_topology_work().  All of
 * a device's memory is poisoned when the ticket of its removal is done, and RAM goes
 * back to the host: who still used either would be seen, best under a sanitizer.
 * SM_PLANT=1 does not wait for the ticket; sanitizer builds make sure that it is found.
 */
#include "support.h"

#include <semaphore.h>
#include <time.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum { N_VCPUS = 2, N_OTHERS = 2, EDITS = 1500, SLOTS = 8, SLOT_SIZE = 0x10000 };
enum { ALIVE = 0x11, DEAD = 0xdd };

/* Slot n of the space begins at n * SLOT_SIZE and shows RAM, a device, or nothing. */
struct slot {
    struct sm_region *region;
    struct sm_device *device; /* or NULL: RAM                                  */
    struct gadget *gadget;
};

struct race {
    struct world world;
    struct sm_region *fixed; /* RAM that nobody ever moves, behind all slots   */
    struct slot slot[SLOTS];
    uint32_t stop, failed; /* atomic */
    sem_t work;
    bool plant;
    uint64_t random;
};

struct gadget {
    struct race *race;
    struct sm_device *device;
    struct sm_work work;
    uint64_t state; /* ALIVE; under the lock                                   */
    uint64_t n;
};

static void report(struct race *race, const char *what)
{
    if (!sm_exchange(&race->failed, 1))
        printf("failed: %s\n", what);
}

static sm_gpa fixed_at(void)
{
    return (sm_gpa)SLOTS * SLOT_SIZE;
}

/* --- The device --------------------------------------------------------- */

static enum sm_tx gadget_read(void *dev, uint64_t offset, unsigned size,
                              const struct sm_attrs *attrs, uint64_t *value)
{
    struct gadget *gadget = dev;
    *value = gadget->state;
    gadget->n++;
    sm_device_defer(gadget->device, &gadget->work);
    return SM_TX_OK;
}

static enum sm_tx gadget_write(void *dev, uint64_t offset, unsigned size,
                               const struct sm_attrs *attrs, uint64_t value)
{
    struct gadget *gadget = dev;
    struct sm_topology *topo = gadget->race->world.topo;

    /* A callback may edit, under its own lock. */
    sm_topology_begin(topo);
    sm_region_set_readonly(gadget->race->fixed, false);
    return sm_topology_commit(topo, NULL) ? SM_TX_DEVICE_ERROR : SM_TX_OK;
}

static const struct sm_io_ops gadget_ops = {
    .struct_size = sizeof(gadget_ops),
    .read = gadget_read,
    .write = gadget_write,
    .accepts = {1, 8, true},
    .implements = {8, 8, false},
};

/* Deferred work: a transfer, and the device's state under its lock. */
static void gadget_work(void *dev)
{
    struct gadget *gadget = dev;
    struct race *race = gadget->race;
    uint64_t value;

    if (sm_address_space_load(race->world.space, fixed_at() + 0x800, &plain, 8, &value))
        report(race, "work cannot read");
    sm_device_lock(gadget->device);
    if (gadget->state != ALIVE)
        report(race, "work of a dead device");
    sm_device_unlock(gadget->device);
}

/* --- Readers ------------------------------------------------------------ */

static void vcpu_changed(struct sm_agent *agent, const struct sm_address_space *space,
                         const struct sm_range *range)
{
}

static void vcpu_kick(struct sm_agent *agent)
{
}

static const struct sm_agent_ops vcpu_ops = {vcpu_changed, vcpu_kick};

/* One access of some kind, and what it may see.  *@held is lent from one to a later one:
 * it may outlive its region. */
static void access_something(struct race *race, uint64_t *random, struct sm_mapping *held)
{
    struct sm_address_space *space = race->world.space;
    const sm_gpa gpa = test_below(random, SLOTS) * SLOT_SIZE +
                       (test_below(random, SLOT_SIZE) & ~UINT64_C(7));
    uint64_t value = 0, buf[40];
    struct sm_section section;
    enum sm_tx tx;

    switch (test_below(random, 8)) {
    case 0:
    case 1:
        tx = sm_address_space_load(space, gpa, &plain, 8, &value);
        if (tx == SM_TX_OK && value != ALIVE && value != 0)
            report(race, "loaded what nobody stored");
        break;
    case 2:
        tx = sm_address_space_read(space, gpa, &plain, buf, sizeof(buf), NULL);
        for (size_t i = 0; tx == SM_TX_OK && i < SM_ARRAY_LEN(buf); i++)
            if (buf[i] != ALIVE && buf[i] != 0)
                report(race, "read what nobody wrote");
        break;
    case 3: (void)!sm_address_space_store(space, gpa, &plain, 8, ALIVE); break;
    case 4:
        if (held->size) {
            __atomic_store_n((uint64_t *)held->host, ALIVE, __ATOMIC_RELAXED);
            sm_mapping_release(held);
        } else {
            (void)sm_address_space_map(space, gpa, &plain, 8, SM_WRITE, held);
        }
        break;
    case 5:
        (void)!sm_address_space_rmw(space, gpa, &plain, 8, SM_RMW_SWAP, ALIVE, &value);
        break;
    case 6:
        if (!sm_address_space_lookup(space, gpa, &section) && section.region)
            report(race, "a hole with a region");
        break;
    default:
        if (sm_address_space_rmw(space, fixed_at() + 0x400, &plain, 8, SM_RMW_ADD, 1,
                                 &value))
            report(race, "fixed RAM is gone");
    }
}

struct runner {
    struct race *race;
    struct sm_agent agent;
    uint64_t random;
};

static void *run_vcpu(void *arg)
{
    struct runner *runner = arg;
    struct race *race = runner->race;
    struct sm_address_space *space = race->world.space;
    struct sm_mapping held = {0};

    sm_agent_online(&runner->agent);
    while (!sm_load_relaxed(&race->stop)) {
        /* What was found stays until the safe point. */
        const sm_gpa gpa = test_below(&runner->random, SLOTS) * SLOT_SIZE;
        const struct sm_flat_section *section = sm_address_space_section(space, gpa);
        uint8_t *host = section ? sm_flat_section_host(section, gpa) : NULL;
        for (int i = 0; i < 8; i++) {
            access_something(race, &runner->random, &held);
            if (host)
                __atomic_store_n((uint64_t *)host, ALIVE, __ATOMIC_RELAXED);
        }
        sm_agent_pass(&runner->agent);
        if (test_below(&runner->random, 64) == 0) {
            sm_agent_offline(&runner->agent);
            sched_yield();
            sm_agent_online(&runner->agent);
        }
        if (test_below(&runner->random, 256) == 0)
            sm_agent_settle(&runner->agent, sm_topology_issue(race->world.topo));
    }
    sm_agent_offline(&runner->agent);
    if (held.size)
        sm_mapping_release(&held);
    return NULL;
}

static void *run_other(void *arg)
{
    struct runner *runner = arg;
    struct sm_mapping held = {0};

    while (!sm_load_relaxed(&runner->race->stop))
        access_something(runner->race, &runner->random, &held);
    if (held.size)
        sm_mapping_release(&held);
    return NULL;
}

/* --- Work --------------------------------------------------------------- */

static void wake(void *owner)
{
    sem_post(&((struct race *)owner)->work);
}

static void *run_work(void *arg)
{
    struct race *race = arg;

    while (!sm_load_relaxed(&race->stop)) {
        sem_wait(&race->work);
        sm_topology_work(race->world.topo);
    }
    return NULL;
}

/* --- Edits -------------------------------------------------------------- */

static bool fill_slot(struct race *race, struct slot *slot)
{
    struct sm_topology *topo = race->world.topo;

    slot->device = NULL;
    slot->gadget = NULL;
    if (test_below(&race->random, 2))
        return sm_region_new_ram(topo, "ram", SLOT_SIZE, &slot->region) == 0;
    slot->gadget = calloc(1, sizeof(*slot->gadget));
    *slot->gadget =
        (struct gadget){.race = race, .work = {.run = gadget_work}, .state = ALIVE};
    return sm_device_new(topo, "gadget", slot->gadget, &slot->device) == 0 &&
           (slot->gadget->device = slot->device, true) &&
           sm_region_new_io(slot->device, "gadget", SLOT_SIZE - 1, &gadget_ops,
                            &slot->region) == 0;
}

/* Take a slot's region away for good; its memory, once nobody can use it. */
static void empty_slot(struct race *race, struct slot *slot)
{
    struct sm_topology *topo = race->world.topo;
    sm_ticket ticket;

    sm_topology_begin(topo);
    sm_region_unmap(slot->region);
    if (sm_region_free(slot->region) || sm_topology_commit(topo, &ticket))
        report(race, "cannot free a region");
    if (slot->device) {
        struct gadget *gadget = slot->gadget;
        if (sm_device_free(slot->device))
            report(race, "cannot free a device");
        /* The device's own ticket is the later one: its work ends before it. */
        ticket = sm_topology_issue(topo);
        if (!race->plant)
            sm_ticket_wait(topo, ticket);
        gadget->state = DEAD;
        free(gadget);
    }
    slot->region = NULL;
}

static void edit(struct race *race)
{
    const uint64_t n = test_below(&race->random, SLOTS);
    struct sm_topology *topo = race->world.topo;
    struct slot *slot = &race->slot[n];

    if (slot->region && test_below(&race->random, 2)) {
        empty_slot(race, slot);
        return;
    }
    if (!slot->region) {
        if (!fill_slot(race, slot))
            report(race, "cannot fill a slot");
        sm_topology_begin(topo);
        if (sm_region_map(race->world.root, n * SLOT_SIZE, slot->region, 0))
            report(race, "cannot map");
    } else {
        sm_topology_begin(topo);
        sm_region_set_readonly(slot->region, test_below(&race->random, 2));
        if (test_below(&race->random, 2) &&
            sm_region_move(slot->region, test_below(&race->random, SLOTS) * SLOT_SIZE))
            report(race, "cannot move");
    }
    if (test_below(&race->random, 4) == 0) {
        sm_topology_abort(topo);
        if (slot->region && !slot->region->now.parent) {
            sm_topology_begin(topo);
            if (sm_region_map(race->world.root, n * SLOT_SIZE, slot->region, 0) ||
                sm_topology_commit(topo, NULL))
                report(race, "cannot map after an abort");
        }
    } else if (sm_topology_commit(topo, NULL)) {
        report(race, "cannot commit");
    }
}

static int run(uint64_t seed, bool plant)
{
    static const struct sm_owner_ops ops = {
        .struct_size = sizeof(ops), .panic = world_panic, .wake = wake};
    static struct race race;
    struct runner runner[N_VCPUS + N_OTHERS] = {{NULL}};
    pthread_t thread[N_VCPUS + N_OTHERS], worker;

    race.random = seed;
    race.plant = plant;
    sem_init(&race.work, 0, 0);
    if (sm_topology_new(&ops, &race, &race.world.topo) ||
        sm_region_new(race.world.topo, "root", UINT64_MAX, &race.world.root) ||
        sm_region_new_ram(race.world.topo, "fixed", 0x1000, &race.fixed) ||
        sm_address_space_new(race.world.topo, "space", race.world.root,
                             &race.world.space))
        return 1;
    sm_topology_begin(race.world.topo);
    if (sm_region_map(race.world.root, fixed_at(), race.fixed, 0) ||
        sm_topology_commit(race.world.topo, NULL))
        return 1;
    pthread_create(&worker, NULL, run_work, &race);
    for (int i = 0; i < N_VCPUS + N_OTHERS; i++) {
        runner[i].race = &race;
        runner[i].random = seed + 1 + (uint64_t)i;
        if (i < N_VCPUS)
            sm_agent_add(race.world.topo, &runner[i].agent, &vcpu_ops);
        pthread_create(&thread[i], NULL, i < N_VCPUS ? run_vcpu : run_other, &runner[i]);
    }
    for (int i = 0; i < EDITS && !sm_load_relaxed(&race.failed); i++)
        edit(&race);
    sm_store_relaxed(&race.stop, 1);
    sem_post(&race.work);
    for (int i = 0; i < N_VCPUS + N_OTHERS; i++)
        pthread_join(thread[i], NULL);
    pthread_join(worker, NULL);
    for (int i = 0; i < N_VCPUS; i++)
        sm_agent_remove(&runner[i].agent);
    for (int i = 0; i < SLOTS; i++)
        if (race.slot[i].region)
            empty_slot(&race, &race.slot[i]);
    sm_topology_work(race.world.topo);
    if (!sm_list_empty(&race.world.topo->retired))
        report(&race, "something was not freed");
    sm_topology_check(race.world.topo);
    sm_topology_free(race.world.topo);
    sem_destroy(&race.work);
    return (int)race.failed;
}

/* Run the planted bug in a process of its own, whose reports are not shown. */
static bool plant_is_found(void)
{
    int status;
    const pid_t child = fork();

    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr))
            _exit(0);
        setenv("SM_PLANT", "1", 1);
        execl("/proc/self/exe", "race_commit", (char *)NULL);
        _exit(0);
    }
    return child > 0 && waitpid(child, &status, 0) == child &&
           (!WIFEXITED(status) || WEXITSTATUS(status) != 0);
}

int main(void)
{
    const uint64_t seed = test_seed(30);

    fflush(stdout);
    if (getenv("SM_PLANT")) {
        alarm(10); /* who takes the lock of a device that is gone may wait for ever */
        return run(seed, true);
    }
    if (SANITIZED && !plant_is_found()) {
        printf("the planted bug was not found\n");
        return 1;
    }
    return run(seed, false);
}
