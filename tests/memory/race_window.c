/* SPDX-License-Identifier: MIT */
/* race_window.c - windows in use while their memory is moved, replaced and freed.
 *
 * Two threads that are no vCPUs and one that is use a window each; another commits.  All
 * memory is the test's own: once it is released it is poisoned and freed, and so who used
 * it later would load what nobody stored, or what a sanitizer knows to be free.  What
 * windows share with commits, the thread sanitizer watches.
 *
 * SM_PLANT=1 has windows believe that their generation is still the current one; without
 * it, sanitizer builds first make sure that this is found.
 */
#include "support.h"

#include "memory/window_impl.h"
#include "softmmu/window.h"

#include <sched.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum { N_OTHERS = 2, SLOT_SIZE = 0x1000, N_SLOTS = 4, EDITS = 1500 };
enum { ALIVE = 0x11, DEAD = 0xdd };

struct race {
    struct world world;
    struct sm_region *slot[N_SLOTS];
    uint32_t stop, failed, released; /* atomic */
    bool plant;
    uint32_t begun; /* atomic: threads that have used a window                 */
};

struct runner {
    struct race *race;
    struct sm_agent agent;
    uint64_t random, n;
    bool vcpu;
};

static void report(struct race *race, const char *what)
{
    if (!sm_exchange(&race->failed, 1))
        printf("failed: %s\n", what);
}

static void vcpu_changed(struct sm_agent *agent, const struct sm_address_space *space,
                         const struct sm_range *range)
{
}

static void vcpu_kick(struct sm_agent *agent)
{
}

static const struct sm_agent_ops vcpu_ops = {vcpu_changed, vcpu_kick};

static void use(struct runner *runner, struct sm_window *window)
{
    struct race *race = runner->race;
    const uint64_t offset = test_below(&runner->random, SLOT_SIZE) & ~UINT64_C(7);
    uint64_t value = ALIVE, buf[16];
    enum sm_tx tx;

    switch (test_below(&runner->random, 4)) {
    case 0:
        tx = sm_window_load(window, offset, 8, &value);
        if (tx == SM_TX_OK && value != ALIVE && value != 0)
            report(race, "loaded what nobody stored");
        break;
    case 1: tx = sm_window_store(window, offset, 8, ALIVE); break;
    case 2:
        tx = sm_window_read(window, offset & ~UINT64_C(127), buf, sizeof(buf), NULL);
        for (size_t i = 0; tx == SM_TX_OK && i < SM_ARRAY_LEN(buf); i++)
            if (buf[i] != ALIVE && buf[i] != 0)
                report(race, "read what nobody wrote");
        break;
    default:
        for (size_t i = 0; i < SM_ARRAY_LEN(buf); i++)
            buf[i] = ALIVE;
        tx = sm_window_write(window, offset & ~UINT64_C(127), buf, sizeof(buf), NULL);
    }
    runner->n += tx == SM_TX_OK;
}

static void *run_window(void *arg)
{
    struct runner *runner = arg;
    struct race *race = runner->race;
    struct sm_window window = {{0}};
    bool begun = false;

    if (runner->vcpu)
        sm_agent_online(&runner->agent);
    while (!sm_load_relaxed(&race->stop)) {
        sm_window_open(&window, race->world.space,
                       test_below(&runner->random, N_SLOTS) * SLOT_SIZE, &plain,
                       SLOT_SIZE);
        for (int i = 0; i < 200; i++) {
            struct sm_window_state *known = (void *)&window;
            if (race->plant && known->generation)
                known->generation = sm_address_space_generation(race->world.space);
            use(runner, &window);
            if (runner->vcpu && i % 8 == 0)
                sm_agent_pass(&runner->agent);
        }
        if (!begun)
            sm_fetch_add(&race->begun, 1);
        begun = true;
    }
    if (runner->vcpu)
        sm_agent_offline(&runner->agent);
    return NULL;
}

/* The caller's memory is its own again. */
static void release(void *owner, void *host)
{
    struct race *race = owner;
    uint64_t *word = host;

    for (size_t i = 0; i < SLOT_SIZE / sizeof(*word); i++)
        word[i] = DEAD;
    free(host);
    sm_fetch_add(&race->released, 1);
}

static bool new_slot(struct race *race, int at)
{
    const struct sm_ram_options options = {
        .struct_size = sizeof(options),
        .kind = SM_RAM_CALLER,
        .size = SLOT_SIZE,
        .host = aligned_alloc(SM_PAGE_SIZE, SLOT_SIZE),
        .release = release,
        .owner = race,
    };

    memset(options.host, 0, SLOT_SIZE);
    return sm_region_new_ram_from(race->world.topo, "slot", &options, &race->slot[at]) ==
               0 &&
           sm_region_map(race->world.root, (uint64_t)at * SLOT_SIZE, race->slot[at], 0) ==
               0;
}

static void edit(struct race *race, uint64_t *random)
{
    const int at = (int)test_below(random, N_SLOTS);
    struct sm_topology *topo = race->world.topo;

    sm_topology_begin(topo);
    switch (test_below(random, 3)) {
    case 0:
        sm_region_unmap(race->slot[at]);
        if (sm_region_free(race->slot[at]) || !new_slot(race, at))
            report(race, "cannot replace a slot");
        break;
    case 1: sm_region_set_readonly(race->slot[at], test_below(random, 2)); break;
    default: sm_region_set_enabled(race->slot[at], test_below(random, 4) != 0);
    }
    if (sm_topology_commit(topo, NULL))
        report(race, "cannot commit");
    sm_topology_work(topo);
}

static int run(uint64_t random, bool plant)
{
    struct runner runner[N_OTHERS + 1] = {{NULL}};
    pthread_t thread[N_OTHERS + 1];
    static struct race race;
    uint64_t n = 0;

    race.plant = plant;
    world_init(&race.world);
    sm_topology_begin(race.world.topo);
    for (int i = 0; i < N_SLOTS; i++)
        if (!new_slot(&race, i))
            return 1;
    commit(&race.world);
    for (int i = 0; i <= N_OTHERS; i++) {
        runner[i].race = &race;
        runner[i].random = random + 1 + (uint64_t)i;
        runner[i].vcpu = i == N_OTHERS;
        if (runner[i].vcpu)
            sm_agent_add(race.world.topo, &runner[i].agent, &vcpu_ops);
        pthread_create(&thread[i], NULL, run_window, &runner[i]);
    }
    while (sm_load_relaxed(&race.begun) <= N_OTHERS) /* a busy host starts them late */
        sched_yield();
    for (int i = 0; i < EDITS && !sm_load_relaxed(&race.failed); i++)
        edit(&race, &random);
    sm_store_relaxed(&race.stop, 1);
    for (int i = 0; i <= N_OTHERS; i++) {
        pthread_join(thread[i], NULL);
        n += runner[i].n;
    }
    sm_agent_remove(&runner[N_OTHERS].agent);
    sm_topology_work(race.world.topo);
    if (!sm_list_empty(&race.world.topo->retired))
        report(&race, "something was not freed");
    printf("%llu accesses, %u memories released\n", (unsigned long long)n,
           sm_load_relaxed(&race.released));
    world_fini(&race.world);
    return n && sm_load_relaxed(&race.released) ? (int)race.failed : 1;
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
        execl("/proc/self/exe", "race_window", (char *)NULL);
        _exit(0);
    }
    return child > 0 && waitpid(child, &status, 0) == child &&
           (!WIFEXITED(status) || WEXITSTATUS(status) != 0);
}

int main(void)
{
    const uint64_t seed = test_seed(50);

    fflush(stdout);
    if (getenv("SM_PLANT"))
        return run(seed, true);
    if (SANITIZED && !plant_is_found()) {
        printf("the planted bug was not found\n");
        return 1;
    }
    return run(seed, false);
}
