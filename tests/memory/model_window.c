/* SPDX-License-Identifier: MIT */
/* model_window.c - random commits and accesses: windows against the ordinary functions.
 *
 * Every access is made twice from the same state, once through a window and once without
 * it: both must end alike, move the same bytes and leave all memories and devices alike.
 *
 * SM_SEED=n chooses the run, SM_ROUNDS=n its length; SM_PLANT=1 has windows believe that
 * their generation is still the current one.  Without it the test first makes sure that
 * this is found, in a process of its own.
 */
#include "support.h"

#include "memory/window_impl.h"
#include "softmmu/window.h"

#include <sys/resource.h>

enum { N_REGIONS = 10, SIZE = 64, SPAN = 512, N_WINDOWS = 6 };

struct test {
    struct world world;
    struct sm_region *region[N_REGIONS], *alias;
    struct sm_device *device[N_REGIONS];
    uint8_t io_byte[N_REGIONS][SIZE];
    struct sm_window window[N_WINDOWS];
    struct {
        sm_gpa gpa;
        uint64_t size;
        const struct sm_attrs *attrs;
    } place[N_WINDOWS];
    struct sm_agent agent; /* online at times: then this thread is a vCPU's    */
    bool online;
    uint64_t random;
    bool plant;
    long n_ok, n_failed, n_remembered;
};

/* What all memories and devices hold. */
struct snapshot {
    uint8_t io_byte[N_REGIONS][SIZE], ram[N_REGIONS][SIZE];
};

#define EXPECT(condition)                                                                \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            printf("windows differ at line %d: %s\n", __LINE__, #condition);             \
            fflush(stdout);                                                              \
            _exit(1);                                                                    \
        }                                                                                \
    } while (0)

static uint64_t below(struct test *test, uint64_t n)
{
    return test_below(&test->random, n);
}

/* --- Devices ------------------------------------------------------------ */

static enum sm_tx io_read(void *dev, uint64_t offset, unsigned size,
                          const struct sm_attrs *attrs, uint64_t *value)
{
    const uint8_t *byte = dev;
    *value = 0;
    if (offset == 24)
        return SM_TX_DEVICE_ERROR;
    memcpy(value, byte + offset, size);
    return SM_TX_OK;
}

static enum sm_tx io_peek(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
    return io_read(dev, offset, size, NULL, value);
}

static enum sm_tx io_write(void *dev, uint64_t offset, unsigned size,
                           const struct sm_attrs *attrs, uint64_t value)
{
    uint8_t *byte = dev;
    if (offset == 40)
        return SM_TX_DEVICE_ERROR;
    memcpy(byte + offset, &value, size);
    return SM_TX_OK;
}

static const struct sm_io_ops io_ops = {
    .struct_size = sizeof(io_ops),
    .read = io_read,
    .write = io_write,
    .peek = io_peek,
    .accepts = {1, 8, true},
    .implements = {1, 4, true},
};

/* --- Edits -------------------------------------------------------------- */

static void make_region(struct test *test, int at)
{
    struct sm_topology *topo = test->world.topo;

    switch (at % 5) {
    case 0:
        EXPECT(sm_region_new_io(test->device[at], "io", SIZE - 1, &io_ops,
                                &test->region[at]) == 0);
        break;
    case 1:
        EXPECT(sm_region_new_rom_device(test->device[at], "romd", SIZE, &io_ops,
                                        &test->region[at]) == 0);
        break;
    case 2: EXPECT(sm_region_new_rom(topo, "rom", SIZE, &test->region[at]) == 0); break;
    default: EXPECT(sm_region_new_ram(topo, "ram", SIZE, &test->region[at]) == 0);
    }
}

static void edit(struct test *test)
{
    const int at = (int)below(test, N_REGIONS);
    struct sm_region *region = test->region[at];

    switch (below(test, 8)) {
    case 0:
        sm_region_unmap(region);
        break;
    case 1:
        if (!region->now.parent)
            break;
        EXPECT(sm_region_move(region, below(test, SPAN)) == 0);
        break;
    case 2: sm_region_set_readonly(region, below(test, 3) == 0); break;
    case 3: sm_region_set_enabled(region, below(test, 4) != 0); break;
    case 4:
        if (region->kind == SM_REGION_ROM_DEVICE)
            EXPECT(sm_region_set_calls(region, below(test, 2)) == 0);
        break;
    case 5:
        if (region->ram)
            EXPECT(sm_region_resize(region, below(test, SIZE)) == 0);
        break;
    default:
        if (!region->now.parent)
            EXPECT(sm_region_map(test->world.root, below(test, SPAN), region,
                                 (int)below(test, 3)) == 0);
    }
}

/* Free a region, and make another, likely at the same place of the host's. */
static void replace(struct test *test)
{
    const int at = (int)below(test, N_REGIONS);
    const uint64_t offset = test->region[at]->now.offset;
    const bool mapped = test->region[at]->now.parent;

    sm_topology_begin(test->world.topo);
    sm_region_unmap(test->region[at]);
    EXPECT(sm_region_free(test->region[at]) == 0);
    EXPECT(sm_topology_commit(test->world.topo, NULL) == 0);
    sm_topology_work(test->world.topo);
    make_region(test, at);
    sm_topology_begin(test->world.topo);
    if (mapped)
        EXPECT(sm_region_map(test->world.root, offset, test->region[at], 0) == 0);
    EXPECT(sm_topology_commit(test->world.topo, NULL) == 0);
}

static void transaction(struct test *test)
{
    struct sm_topology *topo = test->world.topo;

    if (below(test, 8) == 0) {
        replace(test);
    } else {
        sm_topology_begin(topo);
        for (uint64_t n = 1 + below(test, 4); n; n--)
            edit(test);
        if (below(test, 5))
            EXPECT(sm_topology_commit(topo, NULL) == 0);
        else
            sm_topology_abort(topo);
        if (below(test, 4) == 0)
            sm_topology_work(topo);
    }
    for (int i = 0; test->plant && i < N_WINDOWS; i++) {
        struct sm_window_state *state = (void *)&test->window[i];
        if (state->generation)
            state->generation = test->world.space->generation;
    }
}

/* --- Accesses ----------------------------------------------------------- */

static void open_window(struct test *test, int at)
{
    static const struct sm_attrs *const askers[] = {&plain, &plain,   &plain,
                                                    &debug, &effects, &ram_only};

    test->place[at].gpa = below(test, 8) ? below(test, SPAN) : UINT64_MAX - below(test, 8);
    test->place[at].size = 1 + below(test, SPAN);
    test->place[at].attrs = askers[below(test, SM_ARRAY_LEN(askers))];
    if (below(test, 2))
        sm_window_close(&test->window[at]);
    sm_window_open(&test->window[at], test->world.space, test->place[at].gpa,
                   test->place[at].attrs, test->place[at].size);
}

static void take(const struct test *test, struct snapshot *snapshot)
{
    memset(snapshot, 0, sizeof(*snapshot));
    memcpy(snapshot->io_byte, test->io_byte, sizeof(test->io_byte));
    for (int i = 0; i < N_REGIONS; i++)
        if (test->region[i]->ram)
            memcpy(snapshot->ram[i], test->region[i]->ram->host, SIZE);
}

static void give_back(struct test *test, const struct snapshot *snapshot)
{
    memcpy(test->io_byte, snapshot->io_byte, sizeof(test->io_byte));
    for (int i = 0; i < N_REGIONS; i++)
        if (test->region[i]->ram)
            memcpy(test->region[i]->ram->host, snapshot->ram[i], SIZE);
}

/* What an access did. */
struct outcome {
    enum sm_tx tx;
    uint64_t value, done;
    uint8_t buf[SPAN];
    struct snapshot after;
};

struct request {
    int window;
    bool single, write;
    uint64_t offset, size;
    uint64_t value;
    uint8_t buf[SPAN];
};

static void by_window(struct test *test, const struct request *request,
                      struct outcome *out)
{
    struct sm_window *window = &test->window[request->window];
    const uint64_t offset = request->offset, size = request->size;

    if (request->single)
        out->tx = request->write
                      ? sm_window_store(window, offset, (unsigned)size, request->value)
                      : sm_window_load(window, offset, (unsigned)size, &out->value);
    else
        out->tx = request->write
                      ? sm_window_write(window, offset, request->buf, size, &out->done)
                      : sm_window_read(window, offset, out->buf, size, &out->done);
}

static void without(struct test *test, const struct request *request, struct outcome *out)
{
    struct sm_address_space *space = test->world.space;
    const struct sm_attrs *attrs = test->place[request->window].attrs;
    const sm_gpa at = test->place[request->window].gpa;
    const uint64_t offset = request->offset, size = request->size;
    const sm_gpa gpa = at + offset;

    out->done = 0;
    if (size > test->place[request->window].size ||
        offset > test->place[request->window].size - size || gpa < at)
        out->tx = SM_TX_DECODE_ERROR;
    else if (request->single)
        out->tx = request->write ? sm_address_space_store(space, gpa, attrs,
                                                          (unsigned)size, request->value)
                                 : sm_address_space_load(space, gpa, attrs,
                                                         (unsigned)size, &out->value);
    else
        out->tx = request->write ? sm_address_space_write(space, gpa, attrs, request->buf,
                                                          size, &out->done)
                                 : sm_address_space_read(space, gpa, attrs, out->buf,
                                                         size, &out->done);
}

static void access_twice(struct test *test)
{
    struct request request = {.window = (int)below(test, N_WINDOWS)};
    static struct outcome a, b;
    struct snapshot before;

    request.single = below(test, 2);
    request.write = below(test, 2);
    request.offset = below(test, test->place[request.window].size + 4);
    request.size = request.single ? UINT64_C(1) << below(test, 4) : below(test, 80);
    request.value = test_random(&test->random);
    for (size_t i = 0; i < request.size; i++)
        request.buf[i] = (uint8_t)test_random(&test->random);
    a = (struct outcome){.done = 0};
    b = a;
    take(test, &before);
    without(test, &request, &b);
    take(test, &b.after);
    give_back(test, &before);
    by_window(test, &request, &a);
    take(test, &a.after);
    if (request.single)
        a.done = b.done = 0;
    EXPECT(a.tx == b.tx);
    EXPECT(a.value == b.value);
    EXPECT(a.done == b.done);
    EXPECT(memcmp(a.buf, b.buf, sizeof(a.buf)) == 0);
    EXPECT(memcmp(&a.after, &b.after, sizeof(a.after)) == 0);
    const struct sm_window_state *state = (const void *)&test->window[request.window];
    test->n_ok += a.tx == SM_TX_OK;
    test->n_failed += a.tx != SM_TX_OK;
    test->n_remembered += a.tx == SM_TX_OK && state->host;
}

/* --- Runs --------------------------------------------------------------- */

static void vcpu_changed(struct sm_agent *agent, const struct sm_address_space *space,
                         const struct sm_range *range)
{
}

static void vcpu_kick(struct sm_agent *agent)
{
}

static const struct sm_agent_ops vcpu_ops = {vcpu_changed, vcpu_kick};

/* Go on- or offline, or pass a safe point, or not yet. */
static void be_somebody(struct test *test)
{
    const uint64_t choice = below(test, 8);

    if (choice == 0 && test->online)
        sm_agent_offline(&test->agent);
    else if (choice == 0)
        sm_agent_online(&test->agent);
    else if (choice < 5 && test->online)
        sm_agent_pass(&test->agent);
    test->online ^= choice == 0;
}

static void run(uint64_t seed, long rounds, bool plant)
{
    static struct test test;

    test = (struct test){.random = seed, .plant = plant};
    world_init(&test.world);
    for (int i = 0; i < N_REGIONS; i++) {
        EXPECT(sm_device_new(test.world.topo, "io", test.io_byte[i], &test.device[i]) ==
               0);
        make_region(&test, i);
    }
    /* All of it twice: what is far up goes the way of an alias. */
    sm_topology_begin(test.world.topo);
    struct sm_region *all = new_container(&test.world, "all", SPAN - 1);
    test.alias = new_alias(all, "again", 0, SPAN - 1);
    map(test.world.root, UINT64_MAX - (SPAN - 1), test.alias, 0);
    map(test.world.root, 0, all, -1);
    map(all, 0x40, new_ram(&test.world, "under", 0x100), -5);
    commit(&test.world);
    for (int i = 0; i < N_WINDOWS; i++)
        open_window(&test, i);
    sm_agent_add(test.world.topo, &test.agent, &vcpu_ops);
    for (long round = 0; round < rounds; round++) {
        be_somebody(&test);
        transaction(&test);
        for (uint64_t n = 1 + below(&test, 12); n; n--)
            access_twice(&test);
        if (below(&test, 6) == 0)
            open_window(&test, (int)below(&test, N_WINDOWS));
    }
    printf("%ld rounds, %ld accesses alike, %ld of them from memory remembered, %ld "
           "failures alike\n",
           rounds, test.n_ok, test.n_remembered, test.n_failed);
    EXPECT(test.n_remembered > rounds / 4 && test.n_failed > rounds / 4);
    if (test.online)
        sm_agent_offline(&test.agent);
    sm_agent_remove(&test.agent);
    world_fini(&test.world);
}

static bool plant_is_found(void)
{
    const pid_t child = fork();
    int status;

    if (child == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        if (!freopen("/dev/null", "w", stderr))
            _exit(0);
        setenv("SM_PLANT", "1", 1);
        execl("/proc/self/exe", "model_window", (char *)NULL);
        _exit(0);
    }
    return child > 0 && waitpid(child, &status, 0) == child &&
           (!WIFEXITED(status) || WEXITSTATUS(status) != 0);
}

int main(void)
{
    const char *rounds = getenv("SM_ROUNDS");
    const uint64_t seed = test_seed(40);
    const long n = rounds ? strtol(rounds, NULL, 0) : 20000;

    fflush(stdout);
    if (getenv("SM_PLANT")) {
        run(seed, n, true);
        return 0;
    }
    if (!plant_is_found()) {
        printf("the planted bug was not found\n");
        return 1;
    }
    run(seed, n, false);
    return 0;
}
