/* SPDX-License-Identifier: MIT */
/* commit_churn.c - what readers feel of a commit every 100 us, and whether memory grows.
 *
 * Ten thousand regions, RAM and devices in turn, one of which moves all the time, for as
 * many seconds as the argument says; without, 2.  Two threads read, no vCPUs, so they
 * have to be waited for.  Between its reads each does as much that touches no view, nor
 * anything else of ours: the control, which shares the thread, its core and the host's
 * scheduler.  What both suffer is not ours.
 *
 * A read of RAM is a read section, without lock or retry.  One of a device, by a thread
 * that is no vCPU, takes a lock twice and shortly that all such readers share (ticket.c),
 * and the device's own.  Who is preempted within one makes the next wait until he runs
 * again: so the worst read of RAM is as the worst of the control, and the worst of a
 * device may be that and the wait for another such.
 */
#include "base/atomic.h"
#include "base/base.h"
#include "base/bits.h"
#include "softmmu/softmmu.h"
#include "timing.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/prctl.h>

enum { N_REGIONS = 10000, STEP = 0x1000, N_READERS = 2, PERIOD = 100000 };
enum { CHAIN = 4096, CHAIN_STEPS = 100 };

#define CHECK(call)                                                                      \
    do {                                                                                 \
        if ((call) != 0) {                                                               \
            fprintf(stderr, "failed: %s\n", #call);                                      \
            exit(1);                                                                     \
        }                                                                                \
    } while (0)

/* --- Distributions ---------------------------------------------------- */

enum { SUB_BITS = 5, BUCKETS = 64 << SUB_BITS };

/** Counts by size, to one part in 32. */
struct histogram {
    uint64_t count[BUCKETS], n;
    double max;
};

static void note(struct histogram *h, double ns)
{
    const uint64_t value = ns > 0 ? (uint64_t)ns : 0;
    const unsigned log = value >> SUB_BITS ? sm_log2(value) : SUB_BITS;

    h->count[(log - SUB_BITS) * (1u << SUB_BITS) + (value >> (log - SUB_BITS))]++;
    h->n++;
    h->max = ns > h->max ? ns : h->max;
}

static double quantile(const struct histogram *h, double share)
{
    uint64_t left = (uint64_t)((double)h->n * share);

    for (unsigned i = 0; i < BUCKETS; i++) {
        if (left < h->count[i]) {
            const unsigned shift = i < 1u << SUB_BITS ? 0 : (i >> SUB_BITS) - 1;
            return (double)((uint64_t)(i - (shift << SUB_BITS)) << shift);
        }
        left -= h->count[i];
    }
    return h->max;
}

static void join(struct histogram *to, const struct histogram *from)
{
    for (unsigned i = 0; i < BUCKETS; i++)
        to->count[i] += from->count[i];
    to->n += from->n;
    to->max = SM_MAX(to->max, from->max);
}

/* --- The machine ------------------------------------------------------ */

struct board {
    struct sm_topology *topo;
    struct sm_region *moved;
    struct sm_address_space *space;
};

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

/* RAM at even places, devices at odd ones; a device in the middle is to move. */
static void board_init(struct board *board)
{
    struct sm_region *root;

    CHECK(sm_topology_new(NULL, NULL, &board->topo));
    CHECK(sm_region_new(board->topo, "root", UINT64_MAX, &root));
    CHECK(sm_address_space_new(board->topo, "space", root, &board->space));
    sm_topology_begin(board->topo);
    for (uint64_t i = 0; i < N_REGIONS; i++) {
        struct sm_device *device;
        struct sm_region *region;
        if (i & 1) {
            CHECK(sm_device_new(board->topo, "device", NULL, &device));
            CHECK(sm_region_new_io(device, "device", 0xff, &io_ops, &region));
            if (i <= N_REGIONS / 2)
                board->moved = region;
        } else {
            CHECK(sm_region_new_ram(board->topo, "ram", STEP, &region));
            *(volatile uint8_t *)sm_region_host(region) = 0; /* the host's fault, now */
        }
        CHECK(sm_region_map(root, i * STEP, region, 0));
    }
    CHECK(sm_topology_commit(board->topo, NULL));
}

/* --- Readers ---------------------------------------------------------- */

enum what { RAM, DEVICE, CONTROL, N_WHATS };
static const char *const what_name[N_WHATS] = {"RAM", "device", "control"};

struct reader {
    struct board *board;
    pthread_t thread;
    uint32_t stop; /* atomic */
    double ns_per_tick;
    uint32_t chain[CHAIN];
    struct histogram elapsed[N_WHATS], own[N_WHATS];
};

static const struct sm_attrs plain = {.process = SM_NO_PROCESS};

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void *read_on(void *arg)
{
    struct reader *reader = arg;
    uint64_t random = 1 + (uint64_t)(uintptr_t)reader, value;
    uint32_t at = 0;

    for (unsigned i = 0; i < CHAIN; i++)
        reader->chain[i] = (uint32_t)(next_random(&random) % CHAIN);
    for (unsigned n = 0; !sm_load_relaxed(&reader->stop); n++) {
        const enum what what = (enum what)(n % N_WHATS);
        const uint64_t place = next_random(&random) % (N_REGIONS / 2) * 2 + what;
        const double own = bench_worked();
        const uint64_t begin = bench_ticks();
        if (what == CONTROL)
            for (unsigned i = 0; i < CHAIN_STEPS; i++)
                at = (reader->chain[at] + i) % CHAIN;
        else
            (void)sm_address_space_load(reader->board->space, place * STEP, &plain, 4,
                                        &value);
        const uint64_t end = bench_ticks();
        note(&reader->own[what], bench_worked() - own);
        note(&reader->elapsed[what], (double)(end - begin) * reader->ns_per_tick);
    }
    reader->chain[0] = at; /* so that it was worth while */
    return NULL;
}

/* --- Measuring -------------------------------------------------------- */

static long resident_kib(void)
{
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");

    if (!file || fscanf(file, "%ld %ld", &pages, &resident) != 2)
        exit(1);
    fclose(file);
    return resident * 4;
}

static void report(const struct reader *readers)
{
    static struct histogram elapsed, own;

    printf("%-10s%10s%12s%12s%26s\n", "read of", "p50, ns", "p99.9, ns", "max, us",
           "max of thread's time, us");
    for (unsigned what = 0; what < N_WHATS; what++) {
        elapsed = own = (struct histogram){.n = 0};
        for (unsigned i = 0; i < N_READERS; i++) {
            join(&elapsed, &readers[i].elapsed[what]);
            join(&own, &readers[i].own[what]);
        }
        printf("%-10s%10.0f%12.0f%12.1f%26.1f   of %lu\n", what_name[what],
               quantile(&elapsed, 0.5), quantile(&elapsed, 0.999), elapsed.max / 1e3,
               own.max / 1e3, (unsigned long)elapsed.n);
    }
}

int main(int argc, char **argv)
{
    static struct reader readers[N_READERS];
    const double seconds = argc > 1 ? strtod(argv[1], NULL) : 2;
    const double ns_per_tick = bench_ns_per_tick();
    struct board board;
    long least_kib = 0, most_kib = 0, n = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    prctl(PR_SET_TIMERSLACK, 1000); /* a pause is to be as long as asked */
    board_init(&board);
    for (unsigned i = 0; i < N_READERS; i++) {
        readers[i].board = &board;
        readers[i].ns_per_tick = ns_per_tick;
        pthread_create(&readers[i].thread, NULL, read_on, &readers[i]);
    }
    const uint64_t home = (N_REGIONS / 2 - 1) / 2 * 2 * STEP + STEP;
    const double begin = bench_now(), end = begin + seconds * 1e9;
    for (double next = begin; next < end; next += PERIOD, n++) {
        const struct timespec due = {(time_t)(next / 1e9),
                                     (long)(next - (double)(time_t)(next / 1e9) * 1e9)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
        sm_topology_begin(board.topo);
        CHECK(sm_region_move(board.moved, home + (n & 1 ? 0 : 0x200)));
        CHECK(sm_topology_commit(board.topo, NULL));
        sm_topology_work(board.topo);
        if (n % 1000 == 999) {
            const long kib = resident_kib();
            least_kib = least_kib ? SM_MIN(least_kib, kib) : kib;
            most_kib = SM_MAX(most_kib, kib);
        }
    }
    const double took = (bench_now() - begin) / 1e9;
    for (unsigned i = 0; i < N_READERS; i++) {
        sm_store_relaxed(&readers[i].stop, 1);
        pthread_join(readers[i].thread, NULL);
    }
    printf("%ld commits in %.1f s, one each %.0f us; resident memory within %ld KiB\n", n,
           took, took * 1e6 / (double)n, most_kib - least_kib);
    report(readers);
    sm_topology_free(board.topo);
    return 0;
}
