/* SPDX-License-Identifier: MIT */
/* memory_commit.c - what an edit costs among many regions, and an access to them.
 *
 * Two threads are online agents all the time, as vCPUs would be, and one listens.
 * Times are medians of many turns, from begin to commit's return, and until the ticket
 * is done.
 */
#include "base/atomic.h"
#include "memory/memory_impl.h"
#include "softmmu/softmmu.h"
#include "timing.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { MANY = 10000, FEW = 100, N_AGENTS = 2, TURNS = 300, ACCESSES = 500000, PASSES = 9 };
enum { STEP = 0x1000, DEPTH = 10, OTHER_RAM = 2 << 20 };

struct watcher {
    struct sm_agent agent;
    pthread_t thread;
    uint32_t asked, stop; /* atomic */
};

struct board {
    struct sm_topology *topo;
    struct sm_region *root, *moved;
    struct sm_address_space *space;
    struct watcher watcher[N_AGENTS];
    struct sm_listener *listener;
    uint64_t n_heard;
};

#define CHECK(call)                                                                      \
    do {                                                                                 \
        if ((call) != 0) {                                                               \
            fprintf(stderr, "failed: %s\n", #call);                                      \
            exit(1);                                                                     \
        }                                                                                \
    } while (0)

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* --- The machine -------------------------------------------------------- */

static void view_changed(struct sm_agent *agent, const struct sm_address_space *space,
                         const struct sm_range *range)
{
    sm_exchange(&sm_container_of(agent, struct watcher, agent)->asked, 1);
}

static void kick(struct sm_agent *agent)
{
    sm_exchange(&sm_container_of(agent, struct watcher, agent)->asked, 1);
}

static const struct sm_agent_ops agent_ops = {view_changed, kick};

static void *watch(void *arg)
{
    struct watcher *watcher = arg;

    sm_agent_online(&watcher->agent);
    while (!sm_load_relaxed(&watcher->stop))
        if (sm_load_relaxed(&watcher->asked)) {
            sm_exchange(&watcher->asked, 0);
            sm_agent_pass(&watcher->agent);
        } else {
            sched_yield();
        }
    sm_agent_offline(&watcher->agent);
    return NULL;
}

static void heard(void *owner, const struct sm_section *section)
{
    struct board *board = owner;
    board->n_heard++;
}

static const struct sm_listener_ops listener_ops = {
    .struct_size = sizeof(listener_ops), .removed = heard, .added = heard};

static void board_init(struct board *board)
{
    CHECK(sm_topology_new(NULL, NULL, &board->topo));
    CHECK(sm_region_new(board->topo, "root", UINT64_MAX, &board->root));
    CHECK(sm_address_space_new(board->topo, "space", board->root, &board->space));
    CHECK(sm_listener_new(board->space, &listener_ops, board, 0, &board->listener));
    for (int i = 0; i < N_AGENTS; i++) {
        struct watcher *watcher = &board->watcher[i];
        sm_agent_add(board->topo, &watcher->agent, &agent_ops);
        pthread_create(&watcher->thread, NULL, watch, watcher);
    }
}

static void board_fini(struct board *board)
{
    for (int i = 0; i < N_AGENTS; i++) {
        sm_store_relaxed(&board->watcher[i].stop, 1);
        pthread_join(board->watcher[i].thread, NULL);
        sm_agent_remove(&board->watcher[i].agent);
    }
    sm_topology_free(board->topo);
}

static enum sm_tx io_read(void *dev, uint64_t offset, unsigned size,
                          const struct sm_attrs *attrs, uint64_t *value)
{
    *value = offset;
    return SM_TX_OK;
}

static const struct sm_io_ops io_ops = {
    .struct_size = sizeof(io_ops),
    .read = io_read,
    .accepts = {1, 8, false},
    .implements = {1, 8, false},
};

static struct sm_region *new_device(struct board *board)
{
    struct sm_device *device;
    struct sm_region *region;

    CHECK(sm_device_new(board->topo, "device", NULL, &device));
    CHECK(sm_region_new_io(device, "device", 0xff, &io_ops, &region));
    return region;
}

static void map_one(struct board *board, struct sm_region *parent, uint64_t offset,
                    struct sm_region *child)
{
    sm_topology_begin(board->topo);
    CHECK(sm_region_map(parent, offset, child, 0));
    CHECK(sm_topology_commit(board->topo, NULL));
}

/* @n devices side by side, a commit each.  Returns seconds. */
static double build_flat(struct board *board, int n)
{
    struct sm_region **region = calloc((size_t)n, sizeof(*region));

    for (int i = 0; i < n; i++)
        region[i] = new_device(board);
    const double begin = bench_now();
    for (int i = 0; i < n; i++)
        map_one(board, board->root, (uint64_t)i * STEP, region[i]);
    const double end = bench_now();
    board->moved = region[n / 2];
    free(region);
    return (end - begin) / 1e9;
}

/* Boxes in boxes, each with a device and, but the innermost, with the next box. */
static void build_nested(struct board *board, int n)
{
    for (int i = 0; i < n / DEPTH; i++) {
        struct sm_region *outer = board->root;
        uint64_t offset = (uint64_t)i * STEP * 2 * DEPTH;
        for (int depth = 0; depth < DEPTH; depth++) {
            struct sm_region *box, *device = new_device(board);
            const uint64_t last = (uint64_t)STEP * 2 * (DEPTH - depth) - 1;
            CHECK(sm_region_new(board->topo, "box", last, &box));
            map_one(board, box, 0, device);
            map_one(board, outer, offset, box);
            outer = box;
            offset = STEP * 2;
            board->moved = i <= n / DEPTH / 2 ? device : board->moved;
        }
    }
}

/* --- Measuring ---------------------------------------------------------- */

struct figures {
    double commit, done; /* ns */
};

static struct figures measure(struct board *board, bool priority)
{
    const uint64_t home = board->moved->now.offset;
    double *commit = calloc(TURNS, sizeof(*commit)), *done = calloc(TURNS, sizeof(*done));
    sm_ticket ticket;

    for (int i = 0; i < TURNS; i++) {
        const double begin = bench_now();
        sm_topology_begin(board->topo);
        if (priority)
            CHECK(sm_region_set_priority(board->moved, i & 1));
        else
            CHECK(sm_region_move(board->moved, home + (i & 1 ? 0 : 0x200)));
        CHECK(sm_topology_commit(board->topo, &ticket));
        commit[i] = bench_now() - begin;
        sm_ticket_wait(board->topo, ticket);
        done[i] = bench_now() - begin;
    }
    const struct figures figures = {bench_median(commit, TURNS),
                                    bench_median(done, TURNS)};
    free(commit);
    free(done);
    return figures;
}

static void report(const char *what, struct figures many, struct figures few)
{
    printf("%-28s %7.2f us, ticket done after %7.2f us; of %d: %.2f us, ratio %.2f\n",
           what, many.commit / 1e3, many.done / 1e3, FEW, few.commit / 1e3,
           many.commit / few.commit);
}

/* A region that overlaps the moved one, so that an order of priority is seen. */
static void overlay(struct board *board)
{
    map_one(board, board->moved->now.parent, board->moved->now.offset + 0x80,
            new_device(board));
}

static void edits(const char *name, bool nested)
{
    struct figures moves[2], orders[2];
    char text[64];

    for (int i = 0; i < 2; i++) {
        struct board board = {0};
        board_init(&board);
        if (nested)
            build_nested(&board, i ? FEW : MANY);
        else
            (void)build_flat(&board, i ? FEW : MANY);
        overlay(&board);
        moves[i] = measure(&board, false);
        orders[i] = measure(&board, true);
        board_fini(&board);
    }
    snprintf(text, sizeof(text), "move, %s", name);
    report(text, moves[0], moves[1]);
    snprintf(text, sizeof(text), "priority, %s", name);
    report(text, orders[0], orders[1]);
}

/* --- Accesses ----------------------------------------------------------- */

/* The best of several passes, in ns each: whatever else ran is not ours. */
static double best_of(void (*pass)(struct board *board, const void *arg),
                      struct board *board, const void *arg)
{
    double best = 1e30;

    for (int i = 0; i < PASSES; i++) {
        const double begin = bench_worked();
        pass(board, arg);
        const double each = (bench_worked() - begin) / ACCESSES;
        best = each < best ? each : best;
    }
    return best;
}

enum { N_ADDRESSES = 4096 };

static void look_up(struct board *board, const void *arg)
{
    const uint64_t *address = arg;
    uint64_t sum = 0;

    for (int i = 0; i < ACCESSES; i++)
        sum += sm_address_space_section(board->space, address[i % N_ADDRESSES])->offset;
    board->n_heard += sum;
}

static void look_up_in_turn(struct board *board, const void *arg)
{
    const uint64_t *address = arg;
    uint64_t sum = 0;

    for (int i = 0; i < ACCESSES; i++) {
        const uint64_t next = address[((uint64_t)i + (sum & 1)) % N_ADDRESSES];
        sum += sm_address_space_section(board->space, next)->offset;
    }
    board->n_heard += sum;
}

static void lookups(struct board *board)
{
    static uint64_t address[N_ADDRESSES];
    uint64_t random = 88172645463325252u;

    for (int i = 0; i < N_ADDRESSES; i++)
        address[i] = next_random(&random) % MANY * STEP + 8;
    printf("%-28s %7.2f ns; %.2f ns where the next waits for it\n",
           "lookup in 10000 sections", best_of(look_up, board, address),
           best_of(look_up_in_turn, board, address));
}

static const struct sm_attrs plain = {.process = SM_NO_PROCESS};

static void load_ram(struct board *board, const void *arg)
{
    const sm_gpa *gpa = arg;
    uint64_t value;

    for (int i = 0; i < ACCESSES; i++)
        (void)sm_address_space_load(board->space, *gpa + (uint64_t)(i & 63) * 8, &plain,
                                    8, &value);
}

/* As a ring is read: here, and then elsewhere. */
static void load_two(struct board *board, const void *arg)
{
    const sm_gpa *gpa = arg;
    uint64_t value;

    for (int i = 0; i < ACCESSES; i += 2) {
        (void)sm_address_space_load(board->space, *gpa + (uint64_t)(i & 62) * 8, &plain,
                                    8, &value);
        (void)sm_address_space_load(board->space, *gpa + OTHER_RAM, &plain, 8, &value);
    }
}

static void load_two_windows(struct board *board, const void *arg)
{
    const sm_gpa *gpa = arg;
    struct sm_window ring, other;
    uint64_t value;

    sm_window_open(&ring, board->space, *gpa, &plain, 0x1000);
    sm_window_open(&other, board->space, *gpa + OTHER_RAM, &plain, 0x1000);
    for (int i = 0; i < ACCESSES; i += 2) {
        (void)sm_window_load(&ring, (uint64_t)(i & 62) * 8, 8, &value);
        (void)sm_window_load(&other, 0, 8, &value);
    }
}

static void read_device(struct board *board, const void *arg)
{
    const sm_gpa *gpa = arg;
    uint64_t value;

    for (int i = 0; i < ACCESSES; i++)
        (void)sm_address_space_load(board->space, *gpa, &plain, 4, &value);
}

static void accesses(const char *who, struct board *board, sm_gpa ram, sm_gpa io)
{
    printf("RAM load, 8 bytes, %-9s %7.2f ns\n", who, best_of(load_ram, board, &ram));
    printf("RAM loads here and there, %-4s %6.2f ns; by windows %.2f ns\n", who,
           best_of(load_two, board, &ram), best_of(load_two_windows, board, &ram));
    printf("MMIO read, %-17s %7.2f ns\n", who, best_of(read_device, board, &io));
}

/* As a device does on a thread that is no vCPU's. */
static void in_work(void *dev)
{
    accesses("work", dev, 0x80000000, 5 * STEP);
}

static void small_board(void)
{
    struct sm_work work = {.run = in_work};
    struct sm_device *device;
    struct board board = {0};
    struct sm_agent agent = {.passed = SM_AGENT_OFFLINE};
    struct sm_region *ram;

    CHECK(sm_topology_new(NULL, NULL, &board.topo));
    CHECK(sm_region_new(board.topo, "root", UINT64_MAX, &board.root));
    CHECK(sm_address_space_new(board.topo, "space", board.root, &board.space));
    (void)build_flat(&board, 30);
    CHECK(sm_region_new_ram(board.topo, "ram", 1 << 20, &ram));
    map_one(&board, board.root, 0x80000000, ram);
    CHECK(sm_region_new_ram(board.topo, "ram", 1 << 20, &ram));
    map_one(&board, board.root, 0x80000000 + OTHER_RAM, ram);
    accesses("other", &board, 0x80000000, 5 * STEP);
    CHECK(sm_device_new(board.topo, "worker", &board, &device));
    sm_device_defer(device, &work);
    sm_topology_work(board.topo);
    sm_agent_add(board.topo, &agent, &agent_ops);
    sm_agent_online(&agent);
    accesses("vCPU", &board, 0x80000000, 5 * STEP);
    sm_agent_offline(&agent);
    sm_agent_remove(&agent);
    sm_topology_free(board.topo);
}

int main(void)
{
    struct board board = {0};

    setvbuf(stdout, NULL, _IOLBF, 0);
    board_init(&board);
    printf("%-28s %7.2f s, a commit each\n", "build 10000 regions",
           build_flat(&board, MANY));
    lookups(&board);
    board_fini(&board);
    edits("flat", false);
    edits("nested", true);
    small_board();
    return 0;
}
