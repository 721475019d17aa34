/* SPDX-License-Identifier: MIT */
/* vcpu_test.c - making vCPUs, requests, stamps, safe points, tickets (V1-V6). */
#include "fake_guest.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>

static struct fake fake;

static int setup(void **state)
{
    fake_init(&fake);
    return 0;
}

static int teardown(void **state)
{
    fake_fini(&fake);
    return 0;
}

static void callers_from_before_have_no_flags(void **state)
{
    struct sm_address_space *spaces[] = {fake.guest.space};
    const struct sm_vcpu_options old = {
        .struct_size = offsetof(struct sm_vcpu_options, flags), .spaces = spaces,
        .n_spaces = 1, .ops = &fake_ops, .flags = UINT32_MAX, .reserved = 5};
    struct sm_vcpu *vcpu;

    assert_int_equal(sm_vcpu_new(fake.guest.topo, &old, &vcpu), 0);
    assert_int_equal(vcpu->flags, 0);
    sm_vcpu_free(vcpu);
}

static void one_may_be_alone(void **state)
{
    struct sm_address_space *spaces[] = {fake.guest.space};
    struct sm_vcpu_options alone = {
        .struct_size = sizeof alone, .spaces = spaces, .n_spaces = 1, .ops = &fake_ops,
        .flags = SM_VCPU_ALONE};
    struct sm_vcpu_options other = alone;
    struct sm_vcpu *vcpu, *second;

    assert_int_equal(sm_vcpu_new(fake.guest.topo, &alone, &vcpu), -EBUSY);
    sm_vcpu_offline(fake.vcpu);
    sm_vcpu_free(fake.vcpu);
    fake.vcpu = NULL;
    other.flags = 0;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(sm_vcpu_new(fake.guest.topo, &alone, &vcpu), 0);
        assert_int_equal(sm_vcpu_new(fake.guest.topo, &other, &second), -EBUSY);
        assert_int_equal(sm_vcpu_new(fake.guest.topo, &alone, &second), -EBUSY);
        sm_vcpu_free(vcpu);
        assert_int_equal(sm_vcpu_new(fake.guest.topo, &other, &vcpu), 0);
        assert_false(sm_vcpu_fast(vcpu)->alone);
        assert_int_equal(sm_vcpu_new(fake.guest.topo, &other, &second), 0);
        sm_vcpu_free(vcpu);
        assert_int_equal(sm_vcpu_new(fake.guest.topo, &alone, &vcpu), -EBUSY);
        sm_vcpu_free(second);
    }
    /* Where each store ends reservations, its own have to be told from others. */
    alone.flags |= SM_VCPU_EXACT_RESERVE;
    assert_int_equal(sm_vcpu_new(fake.guest.topo, &alone, &vcpu), 0);
    assert_false(sm_vcpu_fast(vcpu)->alone);
    sm_vcpu_free(vcpu);
    other.flags = 0;
    assert_int_equal(sm_vcpu_new(fake.guest.topo, &other, &fake.vcpu), 0);
    sm_vcpu_online(fake.vcpu);
}

static void options_are_checked(void **state)
{
    struct sm_address_space *spaces[] = {fake.guest.space}, *none[] = {NULL};
    const struct sm_vcpu_options good = {
        .struct_size = sizeof good, .spaces = spaces, .n_spaces = 1, .ops = &fake_ops};
    struct sm_guest_mmu_ops ops;
    struct sm_vcpu_options bad;
    struct sm_vcpu *vcpu = NULL;

#define REFUSED(error) assert_int_equal(sm_vcpu_new(fake.guest.topo, &bad, &vcpu), error)
    bad = good, bad.struct_size = 0, REFUSED(-EINVAL);
    bad = good, bad.struct_size += 8, REFUSED(-EINVAL);
    bad = good, bad.struct_size -= 4, REFUSED(-EINVAL);
    bad = good, bad.struct_size = offsetof(struct sm_vcpu_options, reserved);
    REFUSED(-EINVAL);
    bad = good, bad.flags = 1u << 31, REFUSED(-EINVAL);
    bad = good, bad.reserved = 1, REFUSED(-EINVAL);
    bad = good, bad.n_spaces = 0, REFUSED(-EINVAL);
    bad = good, bad.n_spaces = 256, REFUSED(-EINVAL);
    bad = good, bad.spaces = NULL, REFUSED(-EINVAL);
    bad = good, bad.spaces = none, REFUSED(-EINVAL);
    bad = good, bad.ops = NULL, REFUSED(-EINVAL);
    bad = good, bad.tlb_layout = SM_TLB_LAYOUT + 1, REFUSED(-EPROTO);
    bad = good, bad.ops = &ops;
    ops = fake_ops, ops.struct_size = 0, REFUSED(-EINVAL);
    ops = fake_ops, ops.n_modes = 0, REFUSED(-EINVAL);
    ops = fake_ops, ops.n_modes = SM_N_MODES + 1, REFUSED(-EINVAL);
    ops = fake_ops, ops.tlb_fill = NULL, REFUSED(-EINVAL);
    ops = fake_ops, ops.bus_error = NULL, REFUSED(-EINVAL);
    ops = fake_ops, ops.mode_name = NULL, REFUSED(-EINVAL);
    assert_null(vcpu);
    ops = fake_ops, ops.flushed = NULL;
    assert_int_equal(sm_vcpu_new(fake.guest.topo, &bad, &vcpu), 0);
    assert_null(sm_vcpu_guest(vcpu));
    sm_tlb_flush_local(vcpu, &sm_tlb_scope_everything);
    sm_vcpu_free(vcpu);
    sm_vcpu_free(NULL);
    assert_ptr_equal(sm_vcpu_guest(fake.vcpu), &fake);
}

static void a_kick_is_served_once(void **state)
{
    struct sm_tlb_fast *fast = sm_vcpu_fast(fake.vcpu);

    assert_int_equal(fast->request, 0);
    sm_vcpu_safe_point(fake.vcpu);
    sm_vcpu_kick(fake.vcpu);
    assert_int_equal(fast->request, 1);
    sm_vcpu_safe_point(fake.vcpu);
    assert_int_equal(fast->request, 0);
}

/* --- Stamps ------------------------------------------------------------------------- */

static void a_stamp_outlives_requests(void **state)
{
    struct sm_tlb_fast *fast = sm_vcpu_fast(fake.vcpu);
    sm_ticket ticket;

    assert_int_equal(sm_tlb_stamp(fast), 0);
    assert_int_equal(sm_tlb_new_stamp(fast), 2);
    assert_false(sm_tlb_requested(fast));
    sm_vcpu_safe_point(fake.vcpu);
    sm_vcpu_kick(fake.vcpu);
    sm_vcpu_kick(fake.vcpu);
    assert_true(sm_tlb_requested(fast));
    assert_int_equal(sm_tlb_stamp(fast), 2);
    assert_int_equal(sm_tlb_new_stamp(fast), 4);
    assert_true(sm_tlb_requested(fast));
    sm_vcpu_safe_point(fake.vcpu);
    assert_int_equal(fast->request, 4);

    ticket = sm_tlb_flush_all(fake.guest.topo, &sm_tlb_scope_everything);
    assert_int_equal(fast->request, 5);
    sm_vcpu_settle(fake.vcpu, ticket);
    assert_int_equal(fast->request, 4);
    sm_vcpu_offline(fake.vcpu);
    sm_vcpu_online(fake.vcpu);
    assert_int_equal(fast->request, 4);
}

static void stamps_begin_again(void **state)
{
    struct sm_tlb_fast *fast = sm_vcpu_fast(fake.vcpu);

    fast->request = UINT32_MAX - SM_REQUEST_STAMP;
    assert_int_equal(sm_tlb_new_stamp(fast), UINT32_MAX - SM_REQUEST_PASS);
    assert_int_equal(sm_tlb_new_stamp(fast), 0);
    assert_true(sm_tlb_requested(fast));
    sm_vcpu_safe_point(fake.vcpu);
    assert_int_equal(fast->request, 0);
}

enum { N_STAMPS = 200000, N_KICKS = 2000, MAX_STAMPS = 1 << 27 };
static uint32_t n_served; /* atomic                                                     */

/** Kick again when the last one was served. */
static void *kick(void *nothing)
{
    for (uint32_t n = 0; n < N_KICKS; n++) {
        while (sm_load_acquire(&n_served) != n)
            sched_yield();
        sm_vcpu_kick(fake.vcpu);
    }
    return NULL;
}

/** Kicks of another thread and stamps of this one: none is lost, for then the other
 *  would wait for ever. */
static void requests_and_stamps_race(void **state)
{
    struct sm_tlb_fast *fast = sm_vcpu_fast(fake.vcpu);
    uint32_t n_made = 0;
    pthread_t kicker;

    n_served = 0;
    assert_int_equal(pthread_create(&kicker, NULL, kick, NULL), 0);
    while (n_made < N_STAMPS || n_served < N_KICKS) {
        assert_int_equal(sm_tlb_new_stamp(fast), 2 * ++n_made);
        assert_int_equal(sm_tlb_stamp(fast), 2 * n_made);
        if (sm_tlb_requested(fast)) {
            sm_vcpu_safe_point(fake.vcpu);
            assert_int_equal(fast->request, 2 * n_made);
            sm_publish(&n_served, n_served + 1);
        }
        if (n_made % 1024 == 0)
            sched_yield();
        assert_true(n_made < MAX_STAMPS);
    }
    pthread_join(kicker, NULL);
    assert_int_equal(n_served, N_KICKS);
    assert_int_equal(fast->request, 2 * n_made);
}

static void a_vcpu_may_outlive_its_topology(void **state)
{
    struct guest guest;
    struct sm_vcpu *vcpu;

    guest_init(&guest, 1 << 16);
    struct sm_address_space *spaces[] = {guest.space};
    const struct sm_vcpu_options options = {
        .struct_size = sizeof options, .spaces = spaces, .n_spaces = 1, .ops = &fake_ops};
    assert_int_equal(sm_vcpu_new(guest.topo, &options, &vcpu), 0);
    guest_fini(&guest);
    sm_vcpu_free(vcpu);
}

static void a_ticket_waits_for_those_online_only(void **state)
{
    struct sm_vcpu *other;
    sm_ticket ticket;

    fake_vcpu(&fake, &other);
    ticket = sm_tlb_flush_all(fake.guest.topo, &sm_tlb_scope_everything);
    assert_false(sm_ticket_done(fake.guest.topo, ticket));
    sm_vcpu_offline(fake.vcpu);
    sm_ticket_wait(fake.guest.topo, ticket);
    assert_true(sm_ticket_done(fake.guest.topo, ticket));
    sm_vcpu_online(fake.vcpu);
    sm_vcpu_free(other);
}

/* --- Work that a callback deferred ---------------------- */

static unsigned work_runs;
static void run_work(void *dev)
{
    work_runs++;
}
static struct sm_work work = {.run = run_work};

static void defer_work(struct fake *in)
{
    sm_device_defer(in->device, &work);
}

static void deferred_work_runs_at_the_next_safe_point(void **state)
{
    struct sm_value value;
    struct sm_fault fault;

    fake.in_device = defer_work;
    work_runs = 0;
    assert_int_equal(
        sm_tlb_read_slow(fake.vcpu, IO_AT, op_of(2, MODE_BARE), &value, &fault),
        SM_STEP_DONE_LEAVE);
    assert_int_equal(work_runs, 0);
    assert_int_equal(sm_vcpu_fast(fake.vcpu)->request, 1);
    sm_vcpu_safe_point(fake.vcpu);
    assert_int_equal(work_runs, 1);
    /* So it is when the access failed. */
    fake.io_result = SM_TX_DEVICE_ERROR;
    assert_int_equal(
        sm_tlb_read_slow(fake.vcpu, IO_AT, op_of(2, MODE_BARE), &value, &fault),
        SM_STEP_FAULT);
    sm_vcpu_safe_point(fake.vcpu);
    assert_int_equal(work_runs, 2);
}

/* --- Threads ---------------------- */

enum { N_ROUNDS = 400, N_COMMITS = 60 };

struct runner {
    struct fake fake;
    uint32_t stop, rounds;
    pthread_t thread;
};

/** Run a vCPU that reads one page again and again, and passes safe points. */
static void *spin(void *arg)
{
    struct runner *runner = arg;
    struct fake *me = &runner->fake;

    sm_vcpu_online(me->vcpu);
    while (!__atomic_load_n(&runner->stop, __ATOMIC_ACQUIRE)) {
        for (unsigned i = 0; i < 16; i++) {
            struct sm_value value;
            struct sm_fault fault;
            void *host;
            if (!fake_hit(me, MODE_S, 0x5000, 8, SM_READ, &host))
                sm_tlb_read_slow(me->vcpu, 0x5000, op_of(3, MODE_S), &value, &fault);
        }
        __atomic_fetch_add(&runner->rounds, 1, __ATOMIC_RELAXED);
        sm_vcpu_safe_point(me->vcpu);
    }
    sm_vcpu_offline(me->vcpu);
    return NULL;
}

static void flushes_of_two_vcpus_settle_without_deadlock(void **state)
{
    struct runner runner = {.fake = fake};
    struct sm_tlb_scope scope = sm_tlb_scope_everything;

    fake_map(&fake, GUEST_RAM, 0x5000, pte_of(GUEST_RAM + 0x100000, PTE_RWXAD));
    fake_vcpu(&runner.fake, &runner.fake.vcpu);
    const struct sm_tlb_key key = {{GUEST_RAM, 0, 0}};
    sm_tlb_select(runner.fake.vcpu, TRANSLATED, &key);
    assert_int_equal(pthread_create(&runner.thread, NULL, spin, &runner), 0);
    for (unsigned i = 0; i < N_ROUNDS; i++) {
        struct sm_value value;
        struct sm_fault fault;
        sm_tlb_read_slow(fake.vcpu, 0x5000, op_of(3, MODE_S), &value, &fault);
        scope.range = i & 1 ? (struct sm_range){0x5000, 0x5fff}
                            : (struct sm_range){0, UINT64_MAX};
        sm_vcpu_settle(fake.vcpu, sm_tlb_flush_all(fake.guest.topo, &scope));
        assert_false(fake_hit(&fake, MODE_S, 0x5000, 8, SM_READ, NULL));
    }
    __atomic_store_n(&runner.stop, 1, __ATOMIC_RELEASE);
    sm_vcpu_offline(fake.vcpu); /* a thread that joins is a thread that sleeps */
    pthread_join(runner.thread, NULL);
    sm_vcpu_online(fake.vcpu);
    assert_true(runner.fake.n_flushed > 0);
    sm_vcpu_check(runner.fake.vcpu);
    sm_vcpu_free(runner.fake.vcpu);
}

/** Commit maps under a running vCPU and free what they removed: with a sanitizer any
 *  use after its ticket is seen. */
static void removed_memory_is_not_used_after_its_ticket(void **state)
{
    struct runner runner = {.fake = fake};
    const struct sm_tlb_key key = {{GUEST_RAM, 0, 0}};

    fake_map(&fake, GUEST_RAM, 0x5000, pte_of(0x20000000, PTE_RWXAD));
    fake_vcpu(&runner.fake, &runner.fake.vcpu);
    sm_tlb_select(runner.fake.vcpu, TRANSLATED, &key);
    sm_vcpu_offline(fake.vcpu);
    assert_int_equal(pthread_create(&runner.thread, NULL, spin, &runner), 0);
    for (unsigned i = 0; i < N_COMMITS; i++) {
        struct sm_region *ram;
        sm_ticket ticket;
        sm_topology_begin(fake.guest.topo);
        assert_int_equal(sm_region_new_ram(fake.guest.topo, "some", 0x1000, &ram), 0);
        assert_int_equal(sm_region_map(fake.guest.root, 0x20000000, ram, 0), 0);
        assert_int_equal(sm_topology_commit(fake.guest.topo, NULL), 0);
        const uint32_t before = __atomic_load_n(&runner.rounds, __ATOMIC_RELAXED);
        while (__atomic_load_n(&runner.rounds, __ATOMIC_RELAXED) - before < 3)
            ;
        sm_topology_begin(fake.guest.topo);
        sm_region_unmap(ram);
        assert_int_equal(sm_region_free(ram), 0);
        assert_int_equal(sm_topology_commit(fake.guest.topo, &ticket), 0);
        sm_ticket_wait(fake.guest.topo, ticket);
        sm_topology_work(fake.guest.topo);
    }
    __atomic_store_n(&runner.stop, 1, __ATOMIC_RELEASE);
    pthread_join(runner.thread, NULL);
    sm_vcpu_online(fake.vcpu);
    sm_vcpu_free(runner.fake.vcpu);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(one_may_be_alone),
        TEST(options_are_checked),
        TEST(callers_from_before_have_no_flags),
        TEST(a_kick_is_served_once),
        TEST(a_stamp_outlives_requests),
        TEST(stamps_begin_again),
        TEST(requests_and_stamps_race),
        TEST(a_vcpu_may_outlive_its_topology),
        TEST(a_ticket_waits_for_those_online_only),
        TEST(deferred_work_runs_at_the_next_safe_point),
        TEST(flushes_of_two_vcpus_settle_without_deadlock),
        TEST(removed_memory_is_not_used_after_its_ticket),
    };
    return cmocka_run_group_tests_name("vcpu", tests, NULL, NULL);
}
