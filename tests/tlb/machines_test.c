/* SPDX-License-Identifier: MIT */
/* machines_test.c - many machines in one process, one after the other and side by side.
 *
 * Nothing may be left of a machine (the leak checker looks), and two machines on two
 * threads may not meet at any lock: every mutex that is taken is noted, with who took it
 * (pthread_mutex_lock() is wrapped by the linker).  Devices' own locks are such mutexes
 * here, too (SM_LOCK_MUTEX of base/lock.h), and the library has no others but those of
 * reservations, which are words of the topology, and liburcu's.
 */
#include "identity_guest.h"

#include "base/atomic.h"
#include "base/base.h"
#include "memory/memory_impl.h"

#include <pthread.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define N_MACHINES 1000 /* one by one; leaks are for the other sanitizers to find   */
#endif
#endif
#ifndef N_MACHINES
#define N_MACHINES 10000
#endif

enum { RAM_SIZE = 1 << 16, MMIO = 1 << 20, ALIAS = 1 << 21, N_NOTED = 4096 };

/* --- Who takes which lock ------------------------------------------------------------- */

static _Thread_local unsigned thread_number; /* 0: not watched                      */
static struct {
    const void *mutex;
    unsigned threads; /* bit n: thread n took it                                     */
} noted[N_NOTED];
static unsigned n_taken[3];

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
    if (thread_number) {
        size_t i = ((uintptr_t)mutex >> 3) % N_NOTED;
        const void *nobody = NULL;

        n_taken[thread_number]++;
        while (!sm_compare_exchange(&noted[i].mutex, &nobody, (const void *)mutex) &&
               nobody != mutex) {
            i = (i + 1) % N_NOTED;
            nobody = NULL;
        }
        sm_fetch_or(&noted[i].threads, 1u << thread_number);
    }
    return __real_pthread_mutex_lock(mutex);
}

/* --- A small machine --------------------------------------------------------------------- */

struct machine {
    struct sm_topology *topo;
    struct sm_device *device;
    struct sm_region *root, *ram, *io, *alias;
    struct sm_address_space *space;
    struct sm_vcpu *vcpu;
    uint64_t reg;
};

static enum sm_tx reg_read(void *dev, uint64_t offset, unsigned size,
                           const struct sm_attrs *attrs, uint64_t *value)
{
    *value = ((struct machine *)dev)->reg;
    return SM_TX_OK;
}

static enum sm_tx reg_write(void *dev, uint64_t offset, unsigned size,
                            const struct sm_attrs *attrs, uint64_t value)
{
    ((struct machine *)dev)->reg = value;
    return SM_TX_OK;
}

static const struct sm_io_ops reg_ops = {.struct_size = sizeof(reg_ops),
                                         .read = reg_read,
                                         .write = reg_write,
                                         .accepts = {1, 8, false},
                                         .implements = {1, 8, false}};

static const struct sm_owner_ops owner_ops = {.struct_size = sizeof(owner_ops)};

static void machine_new(struct machine *m)
{
    *m = (struct machine){.reg = 0};
    assert_int_equal(sm_topology_new(&owner_ops, m, &m->topo), 0);
    assert_int_equal(sm_device_new(m->topo, "reg", m, &m->device), 0);
    assert_int_equal(sm_region_new(m->topo, "root", UINT64_MAX, &m->root), 0);
    assert_int_equal(sm_region_new_ram(m->topo, "ram", RAM_SIZE, &m->ram), 0);
    assert_int_equal(sm_region_new_io(m->device, "reg", 7, &reg_ops, &m->io), 0);
    assert_int_equal(sm_region_new_alias(m->ram, "again",
                                         (struct sm_range){0, RAM_SIZE - 1}, &m->alias),
                     0);
    sm_topology_begin(m->topo);
    assert_int_equal(sm_region_map(m->root, 0, m->ram, 0), 0);
    assert_int_equal(sm_region_map(m->root, MMIO, m->io, 0), 0);
    assert_int_equal(sm_region_map(m->root, ALIAS, m->alias, 0), 0);
    assert_int_equal(sm_address_space_new(m->topo, "space", m->root, &m->space), 0);
    assert_int_equal(sm_topology_commit(m->topo, NULL), 0);
    m->vcpu = identity_vcpu(m->topo, m->space, 0, m);
}

static void machine_free(struct machine *m)
{
    sm_vcpu_free(m->vcpu);
    sm_topology_free(m->topo);
}

static uint64_t guest_load(struct machine *m, sm_gva gva)
{
    uint64_t value = 0;

    assert_int_equal(identity_load(m->vcpu, gva, 3, &value), SM_TX_OK);
    return value;
}

static void guest_store(struct machine *m, sm_gva gva, uint64_t value)
{
    assert_int_equal(identity_store(m->vcpu, gva, 3, value), SM_TX_OK);
}

/* Accesses of every kind, and a commit that moves the alias under them. */
static void machine_use(struct machine *m, uint64_t n)
{
    const struct sm_attrs attrs = {.process = SM_NO_PROCESS};
    uint64_t value;

    guest_store(m, 8 * (n % (RAM_SIZE / 8)), n);
    guest_store(m, MMIO, n);
    assert_int_equal(guest_load(m, MMIO), n);
    assert_int_equal(guest_load(m, ALIAS + 8 * (n % (RAM_SIZE / 8))), n);
    assert_int_equal(sm_address_space_rmw(m->space, 0, &attrs, 8, SM_RMW_ADD, 1, &value),
                     SM_TX_OK);
    sm_topology_begin(m->topo);
    assert_int_equal(sm_region_move(m->alias, ALIAS + RAM_SIZE * (1 + n % 3)), 0);
    assert_int_equal(sm_topology_commit(m->topo, NULL), 0);
    sm_vcpu_safe_point(m->vcpu);
    assert_int_equal(
        guest_load(m, ALIAS + RAM_SIZE * (1 + n % 3) + 8 * (n % (RAM_SIZE / 8))),
        guest_load(m, 8 * (n % (RAM_SIZE / 8))));
    sm_topology_begin(m->topo);
    assert_int_equal(sm_region_move(m->alias, ALIAS), 0);
    assert_int_equal(sm_topology_commit(m->topo, NULL), 0);
    sm_vcpu_safe_point(m->vcpu);
}

/* --- Tests ------------------------------------------------------------------------------------ */

static void test_one_after_the_other(void **state)
{
    for (unsigned n = 0; n < N_MACHINES; n++) {
        struct machine m;
        machine_new(&m);
        sm_vcpu_online(m.vcpu);
        machine_use(&m, n);
        sm_vcpu_offline(m.vcpu);
        machine_free(&m);
    }
}

struct side {
    struct machine machine;
    unsigned number;
};

static void *run_side(void *arg)
{
    struct side *side = arg;

    sm_vcpu_online(side->machine.vcpu);
    machine_use(&side->machine, 0); /* what happens once may meet */
    thread_number = side->number;
    for (unsigned n = 1; n < 2000; n++) {
        machine_use(&side->machine, n);
        if (n % 100 == 0) { /* frees what the commits left */
            sm_vcpu_offline(side->machine.vcpu);
            sm_topology_work(side->machine.topo);
            sm_vcpu_online(side->machine.vcpu);
        }
    }
    thread_number = 0;
    sm_vcpu_offline(side->machine.vcpu);
    return NULL;
}

/* Which threads took it? */
static unsigned who_took(const void *mutex)
{
    for (unsigned i = 0; i < N_NOTED; i++)
        if (noted[i].mutex == mutex)
            return noted[i].threads;
    return 0;
}

static void test_two_share_no_lock(void **state)
{
    struct side sides[2] = {{.number = 1}, {.number = 2}};
    pthread_t threads[2];
    unsigned n_mutexes = 0;

    for (unsigned i = 0; i < 2; i++)
        machine_new(&sides[i].machine);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_side, &sides[i]), 0);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < N_NOTED; i++) {
        n_mutexes += noted[i].mutex != NULL;
        assert_true(noted[i].threads != (1u << 1 | 1u << 2));
    }
    /* The counter counts: each side locked its own topology, and its own device twice a
     * round at least. */
    assert_true(n_mutexes >= 4 && n_taken[1] > 4000 && n_taken[2] > 4000);
    for (unsigned i = 0; i < 2; i++) {
        const struct machine *m = &sides[i].machine;
        assert_int_equal(who_took(&m->device->lock.mutex), 1u << (i + 1));
        assert_int_equal(who_took(&m->topo->agents_lock), 1u << (i + 1));
    }
    for (unsigned i = 0; i < 2; i++)
        machine_free(&sides[i].machine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_after_the_other),
        cmocka_unit_test(test_two_share_no_lock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
