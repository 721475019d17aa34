/* SPDX-License-Identifier: MIT */
/* storm_test.c - callbacks that commit, and devices that write into each other.
 *
 * What locks up an emulator with one big lock, or a lock per device that is held across
 * a transfer: a device moves its own region from inside its callback while other vCPUs
 * use it; two devices' transfers end in each other's registers.  And memory that comes
 * and goes beside what stays, under vCPUs whose TLBs lose only what changed.  Each runs
 * for a second, or SM_SECONDS, and fails if any thread stands still for as long as a
 * second.
 */
#include "identity_guest.h"

#include "base/atomic.h"
#include "base/base.h"

#include <pthread.h>
#include <time.h>

enum { N_VCPUS = 2, PLACES = 4, BASE = 1 << 20, STEP = 0x1000, RAM_SIZE = 1 << 16 };

struct storm;

struct unit {
    struct storm *storm;
    struct sm_device *device;
    struct sm_region *region;
    struct sm_work work;
    struct unit *other; /* whose register its transfers write                     */
    sm_gpa other_at;
    uint64_t n_writes, n_transfers, n_failures, place;
};

struct storm {
    struct sm_topology *topo;
    struct sm_address_space *space;
    struct sm_region *root, *ram;
    struct unit unit[2];
    struct sm_vcpu *vcpu[N_VCPUS];
    uint64_t progress[N_VCPUS + 1]; /* atomic; the last is the worker's            */
    uint32_t stop, wake;
};

static void owner_wake(void *owner)
{
    sm_publish(&((struct storm *)owner)->wake, 1);
}
static const struct sm_owner_ops owner_ops = {.struct_size = sizeof(owner_ops),
                                              .wake = owner_wake};

static void storm_new(struct storm *s, const struct sm_io_ops *ops)
{
    *s = (struct storm){.stop = 0};
    assert_int_equal(sm_topology_new(&owner_ops, s, &s->topo), 0);
    assert_int_equal(sm_region_new(s->topo, "root", UINT64_MAX, &s->root), 0);
    assert_int_equal(sm_region_new_ram(s->topo, "ram", RAM_SIZE, &s->ram), 0);
    sm_topology_begin(s->topo);
    assert_int_equal(sm_region_map(s->root, 0, s->ram, 0), 0);
    for (unsigned i = 0; i < 2; i++) {
        struct unit *unit = &s->unit[i];
        unit->storm = s;
        unit->other = &s->unit[1 - i];
        unit->other_at = BASE + (1 - i) * PLACES * STEP;
        assert_int_equal(sm_device_new(s->topo, "unit", unit, &unit->device), 0);
        assert_int_equal(sm_region_new_io(unit->device, "unit", 15, ops, &unit->region),
                         0);
        assert_int_equal(
            sm_region_map(s->root, BASE + i * PLACES * STEP, unit->region, 0), 0);
    }
    assert_int_equal(sm_address_space_new(s->topo, "space", s->root, &s->space), 0);
    assert_int_equal(sm_topology_commit(s->topo, NULL), 0);
    for (unsigned i = 0; i < N_VCPUS; i++)
        s->vcpu[i] = identity_vcpu(s->topo, s->space, i, s);
}

static void storm_free(struct storm *s)
{
    for (unsigned i = 0; i < N_VCPUS; i++)
        sm_vcpu_free(s->vcpu[i]);
    sm_topology_free(s->topo);
}

/* --- Threads --------------------------------------------------------------------------- */

struct runner {
    struct storm *storm;
    unsigned number;
};

/* Loads and stores all over the places, a page of RAM among them. */
static void *run_vcpu(void *arg)
{
    const struct runner *runner = arg;
    struct storm *s = runner->storm;
    struct sm_vcpu *vcpu = s->vcpu[runner->number];
    const struct sm_memop op = {.size_bits = 3};
    uint64_t n = 0;

    sm_vcpu_online(vcpu);
    while (!sm_load_relaxed(&s->stop)) {
        const sm_gva gva = n % 3 ? BASE + (n % (2 * PLACES)) * STEP : 8 * (n % 512);
        struct sm_value value = {n, 0};
        struct sm_fault fault;

        if (n & 8)
            (void)sm_tlb_write_slow(vcpu, gva, op, value, &fault);
        else
            (void)sm_tlb_read_slow(vcpu, gva, op, &value, &fault);
        sm_vcpu_safe_point(vcpu);
        sm_store_relaxed(&s->progress[runner->number], ++n);
    }
    sm_vcpu_offline(vcpu);
    return NULL;
}

static void *run_worker(void *arg)
{
    struct storm *s = arg;
    uint64_t n = 0;

    while (!sm_load_relaxed(&s->stop)) {
        if (sm_exchange(&s->wake, 0))
            sm_topology_work(s->topo);
        else
            nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
        sm_store_relaxed(&s->progress[N_VCPUS], ++n);
    }
    return NULL;
}

static void storm_run(struct storm *s)
{
    const char *text = getenv("SM_SECONDS");
    const unsigned seconds = text ? (unsigned)atoi(text) : 1;
    pthread_t threads[N_VCPUS + 1];
    struct runner runners[N_VCPUS];
    uint64_t before[N_VCPUS + 1] = {0};

    for (unsigned i = 0; i < N_VCPUS; i++) {
        runners[i] = (struct runner){s, i};
        assert_int_equal(pthread_create(&threads[i], NULL, run_vcpu, &runners[i]), 0);
    }
    assert_int_equal(pthread_create(&threads[N_VCPUS], NULL, run_worker, s), 0);
    for (unsigned second = 0; second < seconds; second++) {
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        for (unsigned i = 0; i <= N_VCPUS; i++) {
            const uint64_t now = sm_load_relaxed(&s->progress[i]);
            assert_true(now > before[i]);
            before[i] = now;
        }
    }
    sm_publish(&s->stop, 1);
    for (unsigned i = 0; i <= N_VCPUS; i++)
        pthread_join(threads[i], NULL);
    sm_topology_work(s->topo);
}

/* --- A device that moves itself ------------------------------------------------------------ */

static enum sm_tx mover_read(void *dev, uint64_t offset, unsigned size,
                             const struct sm_attrs *attrs, uint64_t *value)
{
    *value = ((struct unit *)dev)->place;
    return SM_TX_OK;
}

static enum sm_tx mover_write(void *dev, uint64_t offset, unsigned size,
                              const struct sm_attrs *attrs, uint64_t value)
{
    struct unit *unit = dev;
    struct storm *s = unit->storm;
    const uint64_t first = BASE + (unsigned)(unit - s->unit) * PLACES * STEP;

    unit->place = (unit->place + 1) % PLACES;
    unit->n_writes++;
    sm_topology_begin(s->topo);
    if (sm_region_move(unit->region, first + unit->place * STEP))
        unit->n_failures++;
    if (sm_topology_commit(s->topo, NULL))
        unit->n_failures++;
    return SM_TX_OK;
}

static const struct sm_io_ops mover_ops = {.struct_size = sizeof(mover_ops),
                                           .read = mover_read,
                                           .write = mover_write,
                                           .accepts = {1, 8, false},
                                           .implements = {1, 8, false}};

static void test_moved_from_its_callback(void **state)
{
    struct storm s;

    storm_new(&s, &mover_ops);
    storm_run(&s);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(s.unit[i].n_failures, 0);
        assert_true(s.unit[i].n_writes > 100);
    }
    storm_free(&s);
}

/* --- Two devices that write into each other -------------------------------------------------- */

/* Deferred: writes the other's register, whose callback defers the same in return. */
static void transfer(void *dev)
{
    struct unit *unit = dev;
    const struct sm_attrs attrs = {.requester = 99, .process = SM_NO_PROCESS};

    if (sm_address_space_store(unit->storm->space, unit->other_at, &attrs, 8, 1))
        unit->n_failures++;
    unit->n_transfers++;
}

static enum sm_tx pair_read(void *dev, uint64_t offset, unsigned size,
                            const struct sm_attrs *attrs, uint64_t *value)
{
    *value = ((struct unit *)dev)->n_writes;
    return SM_TX_OK;
}

static enum sm_tx pair_write(void *dev, uint64_t offset, unsigned size,
                             const struct sm_attrs *attrs, uint64_t value)
{
    struct unit *unit = dev;

    unit->n_writes++;
    if (!sm_load_relaxed(&unit->storm->stop))
        sm_device_defer(unit->device, &unit->work);
    return SM_TX_OK;
}

static const struct sm_io_ops pair_ops = {.struct_size = sizeof(pair_ops),
                                          .read = pair_read,
                                          .write = pair_write,
                                          .accepts = {1, 8, false},
                                          .implements = {1, 8, false}};

static void test_write_into_each_other(void **state)
{
    struct storm s;

    storm_new(&s, &pair_ops);
    for (unsigned i = 0; i < 2; i++)
        s.unit[i].work.run = transfer;
    storm_run(&s);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(s.unit[i].n_failures, 0);
        assert_true(s.unit[i].n_transfers > 100);
    }
    storm_free(&s);
}

/* --- Memory that comes and goes -------------------------------------------------------------- */

enum { SHELVES = 6 };
#define SHELF_AT(n) (UINT64_C(0x40000000) + (n) * UINT64_C(0x1000))

/* On each shelf lies a page of RAM that says which shelf, and how manieth. */
struct shelves {
    struct storm storm;
    uint64_t least[SHELVES]; /* atomic: no older one can be seen                   */
    uint64_t n_changes, n_hits, n_wrong; /* atomic                                 */
};

static struct sm_region *new_book(struct shelves *shelves, uint64_t shelf, uint64_t number)
{
    struct sm_region *book;

    assert_int_equal(
        sm_region_new_ram(shelves->storm.topo, "book", STEP, &book), 0);
    for (unsigned i = 0; i < STEP / 8; i++)
        ((uint64_t *)sm_region_host(book))[i] = shelf << 48 | number;
    return book;
}

static void *run_reader(void *arg)
{
    const struct runner *runner = arg;
    struct shelves *shelves = (struct shelves *)runner->storm;
    struct storm *s = &shelves->storm;
    struct sm_vcpu *vcpu = s->vcpu[runner->number];
    const struct sm_memop op = {.size_bits = 3};
    uint64_t n = 0, n_hits = 0, n_wrong = 0;

    sm_vcpu_online(vcpu);
    while (!sm_load_relaxed(&s->stop)) {
        const uint64_t shelf = n % SHELVES;
        /* Of a ticket that was waited for: what it replaced cannot be reached. */
        const uint64_t least = sm_load_acquire(&shelves->least[shelf]);
        const sm_gva gva = SHELF_AT(shelf) + n % (STEP / 8) * 8;
        struct sm_value value = {0, 0};
        struct sm_fault fault;
        void *host;

        if (sm_tlb_hit(sm_vcpu_fast(vcpu)->table[0], gva, 8, SM_READ, &host)) {
            value.lo = sm_host_load(host, 3);
            n_hits++;
        } else {
            n_wrong += sm_tlb_read_slow(vcpu, gva, op, &value, &fault) != SM_STEP_DONE;
        }
        n_wrong += value.lo >> 48 != shelf || (value.lo & 0xffffffff) < least;
        if (++n % 16 == 0)
            sm_vcpu_safe_point(vcpu);
        sm_store_relaxed(&s->progress[runner->number], n);
    }
    sm_vcpu_offline(vcpu);
    sm_fetch_add(&shelves->n_hits, n_hits);
    sm_fetch_add(&shelves->n_wrong, n_wrong);
    return NULL;
}

/* Replaces the books of the lower shelves one by one; the old ones go back to the host. */
static void *run_librarian(void *arg)
{
    struct shelves *shelves = arg;
    struct storm *s = &shelves->storm;
    struct sm_region *book[SHELVES];

    sm_topology_begin(s->topo);
    for (unsigned i = 0; i < SHELVES; i++) {
        book[i] = new_book(shelves, i, 0);
        assert_int_equal(sm_region_map(s->root, SHELF_AT(i), book[i], 1), 0);
    }
    assert_int_equal(sm_topology_commit(s->topo, NULL), 0);
    for (unsigned i = 0; i < N_VCPUS; i++) /* they may begin */
        sm_publish(&s->progress[i], 1);
    for (uint64_t n = 1; !sm_load_relaxed(&s->stop); n++) {
        const uint64_t shelf = n % (SHELVES - 2);
        struct sm_region *next = new_book(shelves, shelf, n);
        sm_ticket ticket;

        sm_topology_begin(s->topo);
        sm_region_unmap(book[shelf]);
        assert_int_equal(sm_region_map(s->root, SHELF_AT(shelf), next, 1), 0);
        assert_int_equal(sm_region_free(book[shelf]), 0);
        assert_int_equal(sm_topology_commit(s->topo, &ticket), 0);
        book[shelf] = next;
        if (n % 4 == 0) { /* else several ranges wait at once */
            sm_ticket_wait(s->topo, ticket);
            sm_publish(&shelves->least[shelf], n);
        }
        if (sm_exchange(&s->wake, 0))
            sm_topology_work(s->topo);
        sm_store_relaxed(&s->progress[N_VCPUS], n);
        sm_store_relaxed(&shelves->n_changes, n);
    }
    return NULL;
}

static void test_memory_comes_and_goes(void **state)
{
    const char *text = getenv("SM_SECONDS");
    static struct shelves shelves;
    struct storm *s = &shelves.storm;
    struct sm_tlb_stats stats = {.struct_size = sizeof stats};
    pthread_t threads[N_VCPUS + 1];
    struct runner runners[N_VCPUS];

    storm_new(s, &pair_ops);
    assert_int_equal(pthread_create(&threads[N_VCPUS], NULL, run_librarian, &shelves), 0);
    for (unsigned i = 0; i < N_VCPUS; i++) {
        while (!sm_load_acquire(&s->progress[i]))
            nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
        runners[i] = (struct runner){s, i};
        assert_int_equal(pthread_create(&threads[i], NULL, run_reader, &runners[i]), 0);
    }
    nanosleep(&(struct timespec){.tv_sec = text ? atoi(text) : 1}, NULL);
    sm_publish(&s->stop, 1);
    for (unsigned i = 0; i <= N_VCPUS; i++)
        pthread_join(threads[i], NULL);
    sm_topology_work(s->topo);
    sm_tlb_get_stats(s->vcpu[0], &stats);
    printf("%llu changes; %llu hits; of vCPU 0: %llu flushes, %llu of them whole, %llu "
           "entries\n", (unsigned long long)shelves.n_changes,
           (unsigned long long)shelves.n_hits,
           (unsigned long long)stats.causes[SM_TLB_REMAPPED],
           (unsigned long long)stats.flushes, (unsigned long long)stats.flushed);
    assert_int_equal(shelves.n_wrong, 0);
    assert_true(shelves.n_changes > 20 && shelves.n_hits > 1000);
    assert_true(stats.causes[SM_TLB_REMAPPED] > stats.flushes);
    storm_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moved_from_its_callback),
        cmocka_unit_test(test_write_into_each_other),
        cmocka_unit_test(test_memory_comes_and_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
