/* SPDX-License-Identifier: MIT */
/* dirty_log.c - what a snapshot of dirty pages costs, and a store that is logged.
 *
 * 1 GiB of RAM; one vCPU is online and passes safe points on a thread of its own while
 * snapshots are taken, and stores on this one afterwards.  Medians; stores: the best of
 * several passes.
 */
#include "base/atomic.h"
#include "softmmu/softmmu.h"
#include "softmmu/softtlb_hit.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TURNS = 101, PASSES = 20, N_STORES = 512 };
#define RAM_SIZE (UINT64_C(1) << 30)
#define ALL      ((struct sm_range){0, UINT64_MAX})

#define CHECK(call)                                                                      \
    do {                                                                                 \
        if ((call) != 0) {                                                               \
            fprintf(stderr, "failed: %s\n", #call);                                      \
            exit(1);                                                                     \
        }                                                                                \
    } while (0)

struct board {
    struct sm_topology *topo;
    struct sm_region *root, *ram;
    struct sm_address_space *space;
    struct sm_vcpu *vcpu;
    uint32_t stop; /* atomic */
};

static const struct sm_attrs plain = {.process = SM_NO_PROCESS};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *values, size_t n)
{
    qsort(values, n, sizeof(values[0]), by_value);
    return values[n / 2];
}

/* --- The guest ---------------------------------------------------------- */

static bool fill(struct sm_vcpu *vcpu, const struct sm_xlate_req *req, struct sm_xlate *out,
                 struct sm_fault *fault)
{
    *out = (struct sm_xlate){.gpa = req->gva,
                             .ipa = req->gva,
                             .span_bits = 64,
                             .leaf_bits = {64, 0},
                             .perms = SM_PERM_R | SM_PERM_W | SM_PERM_X};
    return true;
}

static void bus_error(struct sm_vcpu *vcpu, const struct sm_xlate_req *req, sm_gpa gpa,
                      enum sm_tx tx, struct sm_fault *fault)
{
    exit(1);
}

static const char *mode_name(uint8_t mode)
{
    return "M";
}

static const struct sm_guest_mmu_ops guest_ops = {.struct_size = sizeof(guest_ops),
                                                  .n_modes = 1,
                                                  .tlb_fill = fill,
                                                  .bus_error = bus_error,
                                                  .mode_name = mode_name};

static void *run_vcpu(void *arg)
{
    struct board *board = arg;

    sm_vcpu_online(board->vcpu);
    while (!sm_load_relaxed(&board->stop)) {
        sm_vcpu_safe_point(board->vcpu);
        sched_yield();
    }
    sm_vcpu_offline(board->vcpu);
    return NULL;
}

/* --- Takes -------------------------------------------------------------- */

static void take(struct board *board, struct sm_dirty_log *log, uint64_t n_dirty)
{
    double took[TURNS], done[TURNS];

    for (unsigned i = 0; i < TURNS; i++) {
        for (uint64_t n = 0; n < n_dirty; n++) /* apart from one another */
            CHECK(sm_address_space_store(board->space, n * (RAM_SIZE / n_dirty), &plain, 8,
                                         n));
        const double begin = now();
        const sm_ticket ticket = sm_dirty_log_take(log, ALL, NULL, NULL);
        took[i] = now() - begin;
        sm_ticket_wait(board->topo, ticket);
        done[i] = now() - begin;
    }
    printf("take, %4llu dirty pages of 1 GiB %7.2f us, ticket done after %7.2f us\n",
           (unsigned long long)n_dirty, median(took, TURNS) / 1e3,
           median(done, TURNS) / 1e3);
}

/* --- Stores ------------------------------------------------------------- */

static double by_vcpu(struct board *board)
{
    const struct sm_memop op = {.size_bits = 3};
    struct sm_fault fault;
    void *host;

    const double begin = now();
    for (uint64_t i = 0; i < N_STORES; i++) {
        const sm_gva gva = i * SM_PAGE_SIZE;
        if (SM_LIKELY(sm_tlb_hit(sm_vcpu_fast(board->vcpu)->table[0], gva, 8, SM_WRITE,
                                 &host)))
            sm_host_store(host, 3, i);
        else
            (void)sm_tlb_write_slow(board->vcpu, gva, op, (struct sm_value){i, 0}, &fault);
    }
    return (now() - begin) / N_STORES;
}

static double by_device(struct board *board)
{
    const double begin = now();
    for (uint64_t i = 0; i < N_STORES; i++)
        CHECK(sm_address_space_store(board->space, i * SM_PAGE_SIZE, &plain, 8, i));
    return (now() - begin) / N_STORES;
}

/* @log: a snapshot is taken before each pass. */
static double best_of(struct board *board, double (*pass)(struct board *board),
                      struct sm_dirty_log *log)
{
    double best = 1e30;

    for (unsigned i = 0; i < PASSES; i++) {
        if (log)
            sm_vcpu_settle(board->vcpu, sm_dirty_log_take(log, ALL, NULL, NULL));
        const double each = pass(board);
        best = each < best ? each : best;
    }
    return best;
}

int main(void)
{
    struct board board = {0};
    struct sm_dirty_log *log;
    pthread_t thread;

    CHECK(sm_topology_new(NULL, NULL, &board.topo));
    sm_topology_begin(board.topo);
    CHECK(sm_region_new(board.topo, "root", UINT64_MAX, &board.root));
    CHECK(sm_region_new_ram(board.topo, "ram", RAM_SIZE, &board.ram));
    CHECK(sm_region_map(board.root, 0, board.ram, 0));
    CHECK(sm_address_space_new(board.topo, "space", board.root, &board.space));
    CHECK(sm_topology_commit(board.topo, NULL));
    const struct sm_vcpu_options options = {.struct_size = sizeof(options),
                                            .tlb_layout = SM_TLB_LAYOUT,
                                            .spaces = &board.space,
                                            .n_spaces = 1,
                                            .ops = &guest_ops};
    CHECK(sm_vcpu_new(board.topo, &options, &board.vcpu));

    sm_vcpu_online(board.vcpu);
    (void)by_vcpu(&board);
    const double hit = best_of(&board, by_vcpu, NULL);
    const double device = best_of(&board, by_device, NULL);
    sm_vcpu_offline(board.vcpu);
    CHECK(sm_dirty_log_new(board.ram, &log));
    pthread_create(&thread, NULL, run_vcpu, &board);
    sm_ticket_wait(board.topo, sm_dirty_log_take(log, ALL, NULL, NULL));
    take(&board, log, 0);
    take(&board, log, 64);
    take(&board, log, 4096);
    sm_store_relaxed(&board.stop, 1);
    pthread_join(thread, NULL);

    sm_vcpu_online(board.vcpu);
    const double first = best_of(&board, by_vcpu, log);
    const double again = best_of(&board, by_vcpu, NULL);
    const double device_first = best_of(&board, by_device, log);
    const double device_again = best_of(&board, by_device, NULL);
    sm_vcpu_offline(board.vcpu);
    printf("vCPU's store, a page each        %7.2f ns; logged: %.2f ns, first after a take "
           "%.2f ns\n", hit, again, first);
    printf("device's store, a page each      %7.2f ns; logged: %.2f ns, first after a take "
           "%.2f ns\n", device, device_again, device_first);
    sm_dirty_log_free(log);
    sm_vcpu_free(board.vcpu);
    sm_topology_free(board.topo);
    return 0;
}
