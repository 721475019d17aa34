/* SPDX-License-Identifier: MIT */
/* dirty_race_test.c - live migration in miniature: memory is copied while all store.
 *
 * Two vCPUs store by hit and slow path, a device's thread transfers, updates atomically
 * and keeps mappings out, another commits, and two clients copy: each takes a snapshot,
 * waits for its ticket, copies the snapshot's pages, and so on.  Every few milliseconds
 * all who store rest; then one more snapshot must make each copy equal to the memory,
 * else some store was not seen.  Runs for a second, or SM_SECONDS.
 *
 * A client that does not wait for its tickets copies too early: that must be found.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/atomic.h"
#include "base/base.h"
#include "softmmu/softmmu.h"
#include "softmmu/softtlb_hit.h"

enum { N_VCPUS = 2, N_CLIENTS = 2, PAGE = 4096, N_PAGES = 192, SIZE = N_PAGES * PAGE };
enum { N_WRITERS = N_VCPUS + 2 }; /* the device's thread and the one that commits     */
#define RAM      UINT64_C(0x80000000)
#define ALIAS    UINT64_C(0x90000000)
#define OVERLAY  (RAM + UINT64_C(0x10000))
#define CROOKED  UINT64_C(0x3840)
#define ALL      ((struct sm_range){0, UINT64_MAX})

struct client {
    struct sm_dirty_log *log;
    uint8_t copy[SIZE];
    bool page[N_PAGES];
};

struct race {
    struct sm_topology *topo;
    struct sm_address_space *space;
    struct sm_region *root, *ram, *alias, *overlay;
    struct sm_device *device;
    struct sm_vcpu *vcpu[N_VCPUS];
    struct client client[N_CLIENTS];
    uint8_t *host;
    uint32_t stop, rest, resting, wake; /* atomic                                      */
    uint64_t seed, n_stores, n_hits, n_snapshots, n_commits; /* atomic                 */
    bool early; /* do not wait for tickets                                             */
};

static uint64_t next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void nap(long microseconds)
{
    nanosleep(&(struct timespec){.tv_nsec = microseconds * 1000}, NULL);
}

/* --- The guest ---------------------------------------------------------------------- */

static bool identity_fill(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                          struct sm_xlate *out, struct sm_fault *fault)
{
    *out = (struct sm_xlate){.gpa = req->gva, .ipa = req->gva, .span_bits = 64,
                             .leaf_bits = {64, 0},
                             .perms = SM_PERM_R | SM_PERM_W | SM_PERM_X};
    return true;
}

static void bus_error(struct sm_vcpu *vcpu, const struct sm_xlate_req *req, sm_gpa gpa,
                      enum sm_tx tx, struct sm_fault *fault)
{
    *fault = (struct sm_fault){.cause = (uint32_t)tx, .gva = req->gva};
}

static const char *mode_name(uint8_t mode)
{
    return "M";
}

static const struct sm_guest_mmu_ops guest_ops = {
    .struct_size = sizeof guest_ops, .n_modes = 1, .tlb_fill = identity_fill,
    .bus_error = bus_error, .mode_name = mode_name};

static sm_gpa random_gpa(uint64_t *random)
{
    const uint64_t inside = next(random) & (PAGE - 16);

    if (next(random) % 8 == 0)
        return ALIAS + next(random) % 8 * PAGE + inside;
    return RAM + next(random) % N_PAGES * PAGE + inside;
}

/** Rest when asked to.  Returns false when it is time to end. */
static bool go_on(struct race *race)
{
    if (sm_load_relaxed(&race->rest)) {
        sm_fetch_add(&race->resting, 1);
        while (sm_load_acquire(&race->rest) && !sm_load_relaxed(&race->stop))
            nap(50);
        sm_fetch_add(&race->resting, UINT32_MAX);
    }
    return !sm_load_relaxed(&race->stop);
}

struct runner {
    struct race *race;
    unsigned number;
};

static void vcpu_store(struct race *race, struct sm_vcpu *vcpu, uint64_t *random)
{
    const struct sm_memop op = {.size_bits = 3};
    const struct sm_value value = {next(random), 0};
    const sm_gva gva = random_gpa(random);
    struct sm_fault fault;
    uint64_t old;
    void *at;

    switch (next(random) % 8) {
    case 0:
        (void)sm_tlb_rmw(vcpu, gva, op, SM_RMW_ADD, value.lo, &old, &fault);
        break;
    case 1: /* fills a clean entry for writes, too */
        (void)sm_tlb_read_slow(vcpu, gva, op, &(struct sm_value){0, 0}, &fault);
        break;
    case 2: /* over a border, mostly */
        (void)sm_tlb_write_slow(vcpu, gva | 0xffd, op, value, &fault);
        break;
    default:
        if (sm_tlb_hit(sm_vcpu_fast(vcpu)->table[0], gva, 8, SM_WRITE, &at)) {
            sm_host_store(at, 3, value.lo);
            sm_fetch_add_relaxed(&race->n_hits, 1);
        } else {
            (void)sm_tlb_write_slow(vcpu, gva, op, value, &fault);
        }
    }
    sm_fetch_add_relaxed(&race->n_stores, 1);
}

static void *run_vcpu(void *arg)
{
    const struct runner *runner = arg;
    struct race *race = runner->race;
    struct sm_vcpu *vcpu = race->vcpu[runner->number];
    uint64_t random = race->seed + runner->number;

    do {
        sm_vcpu_online(vcpu);
        while (!sm_load_relaxed(&race->rest) && !sm_load_relaxed(&race->stop)) {
            for (unsigned i = 0; i < 32; i++)
                vcpu_store(race, vcpu, &random);
            sm_vcpu_safe_point(vcpu);
        }
        sm_vcpu_offline(vcpu);
    } while (go_on(race));
    return NULL;
}

static void *run_device(void *arg)
{
    const struct sm_attrs attrs = {.requester = 9, .process = SM_NO_PROCESS};
    struct race *race = arg;
    uint64_t random = race->seed + 100, old, bytes[1024];
    struct sm_mapping mapping[4] = {{NULL}};

    for (uint64_t n = 0; go_on(race); n++) {
        struct sm_mapping *const lent = &mapping[n % SM_ARRAY_LEN(mapping)];
        const sm_gpa gpa = random_gpa(&random);

        memset(bytes, (int)n, sizeof bytes);
        (void)sm_address_space_write(race->space, gpa, &attrs, bytes,
                                     1 + next(&random) % sizeof bytes, NULL);
        (void)sm_address_space_store(race->space, gpa + 2 * PAGE, &attrs, 8, n);
        (void)sm_address_space_rmw(race->space, gpa + 4 * PAGE, &attrs, 8, SM_RMW_XOR, n,
                                   &old);
        if (!lent->host) {
            (void)sm_address_space_map(race->space, gpa, &attrs, 64, SM_WRITE, lent);
        } else {
            sm_host_store((uint8_t *)lent->host + (lent->size - 1), 0, n);
            sm_mapping_release(lent);
        }
    }
    for (unsigned i = 0; i < SM_ARRAY_LEN(mapping); i++)
        if (mapping[i].host)
            sm_mapping_release(&mapping[i]);
    return NULL;
}

/* Covers a page, moves the window, starts and ends a log that nobody takes from. */
static void *run_editor(void *arg)
{
    struct race *race = arg;
    uint64_t random = race->seed + 200;

    while (go_on(race)) {
        struct sm_dirty_log *log = NULL;
        if (next(&random) % 4 == 0 && sm_dirty_log_new(race->ram, &log))
            log = NULL;
        sm_topology_begin(race->topo);
        sm_region_set_enabled(race->overlay, next(&random) % 2);
        if (sm_region_move(race->alias, ALIAS + next(&random) % 2 * PAGE) ||
            sm_topology_commit(race->topo, NULL))
            sm_topology_abort(race->topo);
        sm_fetch_add_relaxed(&race->n_commits, 1);
        sm_dirty_log_free(log);
        if (sm_exchange(&race->wake, 0))
            sm_topology_work(race->topo);
        nap(200);
    }
    return NULL;
}

/* --- The clients --------------------------------------------------------------------- */

static void note_pages(void *arg, const struct sm_range *pages)
{
    struct client *const client = arg;

    for (uint64_t i = pages->first / PAGE; i <= pages->last / PAGE; i++)
        client->page[i] = true;
}

static void copy_round(struct race *race, struct client *client, struct sm_range range)
{
    memset(client->page, 0, sizeof client->page);
    const sm_ticket ticket = sm_dirty_log_take(client->log, range, note_pages, client);
    if (!race->early)
        sm_ticket_wait(race->topo, ticket);
    for (unsigned page = 0; page < N_PAGES; page++) {
        for (unsigned i = 0; client->page[page] && i < PAGE; i += 8) {
            const uint64_t value = sm_host_load(race->host + page * PAGE + i, 3);
            memcpy(client->copy + page * PAGE + i, &value, 8);
        }
    }
    sm_fetch_add_relaxed(&race->n_snapshots, 1);
}

/** Copy for some milliseconds, then compare at rest.  Returns whether all is equal. */
static bool copy_and_compare(struct race *race, uint64_t *random)
{
    bool equal = true;

    for (unsigned round = 0; round < 40; round++) {
        struct client *const client = &race->client[round % N_CLIENTS];
        const uint64_t first = next(random) % SIZE;
        copy_round(race, client,
                   round % 3 ? ALL : (struct sm_range){first, first + 64 * PAGE});
        sched_yield();
    }
    sm_publish(&race->rest, 1);
    while (sm_load_acquire(&race->resting) < N_WRITERS)
        nap(20);
    for (unsigned i = 0; i < N_CLIENTS; i++) {
        copy_round(race, &race->client[i], ALL);
        equal = equal && !memcmp(race->client[i].copy, race->host, SIZE);
    }
    sm_publish(&race->rest, 0);
    while (sm_load_acquire(&race->resting))
        nap(20);
    return equal;
}

/* --- Set-up -------------------------------------------------------------------------- */

static void owner_wake(void *owner)
{
    sm_publish(&((struct race *)owner)->wake, 1);
}
static const struct sm_owner_ops owner_ops = {.struct_size = sizeof(owner_ops),
                                              .wake = owner_wake};

static enum sm_tx io_read(void *dev, uint64_t offset, unsigned size,
                          const struct sm_attrs *attrs, uint64_t *value)
{
    *value = 0;
    return SM_TX_OK;
}

static enum sm_tx io_write(void *dev, uint64_t offset, unsigned size,
                           const struct sm_attrs *attrs, uint64_t value)
{
    return SM_TX_OK;
}

static const struct sm_io_ops io_ops = {
    .struct_size = sizeof io_ops, .read = io_read, .write = io_write,
    .accepts = {1, 8, true}, .implements = {1, 8, false}};

static void race_init(struct race *race)
{
    memset(race, 0, sizeof *race);
    assert_int_equal(sm_topology_new(&owner_ops, race, &race->topo), 0);
    sm_topology_begin(race->topo);
    assert_int_equal(sm_region_new(race->topo, "root", UINT64_MAX, &race->root), 0);
    assert_int_equal(sm_region_new_ram(race->topo, "ram", SIZE, &race->ram), 0);
    assert_int_equal(sm_device_new(race->topo, "dev", race, &race->device), 0);
    assert_int_equal(
        sm_region_new_io(race->device, "overlay", 0xfff, &io_ops, &race->overlay), 0);
    assert_int_equal(sm_region_new_alias(race->ram, "alias",
                                         (struct sm_range){CROOKED, CROOKED + 8 * PAGE - 1},
                                         &race->alias), 0);
    assert_int_equal(sm_region_map(race->root, RAM, race->ram, 0), 0);
    assert_int_equal(sm_region_map(race->root, ALIAS, race->alias, 0), 0);
    assert_int_equal(sm_region_map(race->root, OVERLAY, race->overlay, 1), 0);
    assert_int_equal(sm_address_space_new(race->topo, "space", race->root, &race->space), 0);
    assert_int_equal(sm_topology_commit(race->topo, NULL), 0);
    race->host = sm_region_host(race->ram);
    for (uint32_t i = 0; i < N_VCPUS; i++) {
        const struct sm_vcpu_options options = {
            .struct_size = sizeof options, .tlb_layout = SM_TLB_LAYOUT,
            .spaces = &race->space, .n_spaces = 1, .requester = i, .ops = &guest_ops};
        assert_int_equal(sm_vcpu_new(race->topo, &options, &race->vcpu[i]), 0);
    }
    for (unsigned i = 0; i < N_CLIENTS; i++)
        assert_int_equal(sm_dirty_log_new(race->ram, &race->client[i].log), 0);
}

static void race_fini(struct race *race)
{
    for (unsigned i = 0; i < N_CLIENTS; i++)
        sm_dirty_log_free(race->client[i].log);
    for (unsigned i = 0; i < N_VCPUS; i++)
        sm_vcpu_free(race->vcpu[i]);
    sm_topology_free(race->topo);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/** Run for @seconds, or until a copy differs.  Returns whether one does. */
static bool differs(struct race *race, double seconds)
{
    const char *text = getenv("SM_SEED");
    struct runner runner[N_VCPUS];
    pthread_t thread[N_WRITERS];
    bool equal = true;

    race->seed = text ? strtoull(text, NULL, 0) : 0xace5;
    printf("SM_SEED=0x%llx\n", (unsigned long long)race->seed);
    uint64_t random = race->seed + 300;
    for (unsigned i = 0; i < N_VCPUS; i++) {
        runner[i] = (struct runner){race, i};
        assert_int_equal(pthread_create(&thread[i], NULL, run_vcpu, &runner[i]), 0);
    }
    assert_int_equal(pthread_create(&thread[N_VCPUS], NULL, run_device, race), 0);
    assert_int_equal(pthread_create(&thread[N_VCPUS + 1], NULL, run_editor, race), 0);
    for (const double end = now() + seconds; equal && now() < end;)
        equal = copy_and_compare(race, &random);
    sm_publish(&race->stop, 1);
    for (unsigned i = 0; i < N_WRITERS; i++)
        pthread_join(thread[i], NULL);
    printf("%llu stores, %llu by hit; %llu snapshots, %llu commits\n",
           (unsigned long long)race->n_stores, (unsigned long long)race->n_hits,
           (unsigned long long)race->n_snapshots, (unsigned long long)race->n_commits);
    return !equal;
}

static struct race race;

static void copies_are_equal_at_rest(void **state)
{
    const char *text = getenv("SM_SECONDS");

    race_init(&race);
    assert_false(differs(&race, text ? atof(text) : 1.0));
    assert_true(race.n_hits > 1000 && race.n_snapshots > 40 && race.n_commits > 10);
    race_fini(&race);
}

static void early_copies_are_found(void **state)
{
    race_init(&race);
    race.early = true;
    assert_true(differs(&race, 20.0));
    race_fini(&race);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_are_equal_at_rest),
        cmocka_unit_test(early_copies_are_found),
    };
    return cmocka_run_group_tests_name("dirty_race", tests, NULL, NULL);
}
