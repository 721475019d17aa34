/* SPDX-License-Identifier: MIT */
/* tlb_atomic_test.c - AMO, compare-and-swap, LR/SC: results, refusals, two processors. */
#include "fake_guest.h"

#include <pthread.h>

#define DATA (GUEST_RAM + UINT64_C(0x100000))

static struct fake fake;
static struct sm_fault fault;

static int setup(void **state)
{
    fake_init(&fake);
    fake_map(&fake, GUEST_RAM, 0x5000, pte_of(DATA, PTE_RWXAD));
    return 0;
}

static int teardown(void **state)
{
    fake_fini(&fake);
    return 0;
}

static void *cell(sm_gva gva)
{
    return fake.guest.host + 0x100000 + (gva & 0xfff);
}

static uint64_t get(sm_gva gva, unsigned bits)
{
    return sm_host_load(cell(gva), bits);
}

static uint64_t rmw(sm_gva gva, unsigned bits, enum sm_rmw what, uint64_t operand)
{
    uint64_t old = ~UINT64_C(0);
    assert_int_equal(
        sm_tlb_rmw(fake.vcpu, gva, op_of(bits, MODE_S), what, operand, &old, &fault),
        SM_STEP_DONE);
    return old;
}

static void every_operation_at_every_size(void **state)
{
    static const struct {
        enum sm_rmw what;
        uint64_t old, operand, result; /* of one byte, sign-extended */
    } row[] = {
        {SM_RMW_SWAP, 0x12, 0x34, 0x34}, {SM_RMW_ADD, 0x7f, 0x02, 0x81},
        {SM_RMW_ADD, 0xff, 0x02, 0x01}, {SM_RMW_AND, 0x3c, 0x0f, 0x0c},
        {SM_RMW_OR, 0x30, 0x0f, 0x3f}, {SM_RMW_XOR, 0x3c, 0x0f, 0x33},
    };

    for (unsigned i = 0; i < sizeof row / sizeof row[0]; i++) {
        memset(cell(0x5000), 0xa5, 64);
        sm_host_store(cell(0x5001), 0, row[i].old);
        assert_int_equal(rmw(0x5001, 0, row[i].what, row[i].operand), row[i].old);
        assert_int_equal(get(0x5001, 0), row[i].result);
        assert_int_equal(get(0x5000, 0), 0xa5);
        assert_int_equal(get(0x5002, 0), 0xa5);
    }
    for (unsigned bits = 0; bits <= 3; bits++) {
        const uint64_t mask = sm_mask(8u << bits),
                       low = mask >> 1 ^ mask; /* most negative */
        const sm_gva gva = 0x5010;
#define CASE(what, old, operand, result)                                                 \
        memset(cell(gva), 0xa5, 16);                                                     \
        sm_host_store(cell(gva), bits, (old));                                           \
        assert_int_equal(rmw(gva, bits, what, (operand)), (old) & mask);                 \
        assert_int_equal(get(gva, bits), (result) & mask);                               \
        assert_int_equal(get(gva + (UINT64_C(1) << bits), 0), 0xa5)
        CASE(SM_RMW_SWAP, 5, ~UINT64_C(0), mask);
        CASE(SM_RMW_ADD, mask, 3, 2);
        CASE(SM_RMW_MIN, low, 5, low);
        CASE(SM_RMW_MIN, 5, low, low);
        CASE(SM_RMW_MAX, low, 5, 5);
        CASE(SM_RMW_MAX, 5, low, 5);
        CASE(SM_RMW_MINU, low, 5, 5);
        CASE(SM_RMW_MAXU, low, 5, low);
        CASE(SM_RMW_MINU, 5, low, 5);
        CASE(SM_RMW_MAXU, 5, low, low);
    }
}

static void big_endian_numbers(void **state)
{
    struct sm_memop op = op_of(2, MODE_S);
    struct sm_value old;
    uint64_t value;

    op.flags = SM_MEMOP_BIG_ENDIAN;
    sm_host_store(cell(0x5000), 2, 0xff000000); /* 255 */
    assert_int_equal(sm_tlb_rmw(fake.vcpu, 0x5000, op, SM_RMW_ADD, 2, &value, &fault),
                     SM_STEP_DONE);
    assert_int_equal(value, 255);
    assert_int_equal(get(0x5000, 2), 0x01010000); /* 257 */
    assert_int_equal(sm_tlb_cas(fake.vcpu, 0x5000, op, (struct sm_value){257, 0},
                                (struct sm_value){2, 0}, &old, &fault), SM_STEP_DONE);
    assert_int_equal(old.lo, 257);
    assert_int_equal(get(0x5000, 2), 0x02000000);
    bool stored;
    assert_int_equal(sm_tlb_load_reserved(fake.vcpu, 0x5000, op, &value, &fault),
                     SM_STEP_DONE);
    assert_int_equal(value, 2);
    assert_int_equal(sm_tlb_store_conditional(fake.vcpu, 0x5000, op, 3, &stored, &fault),
                     SM_STEP_DONE);
    assert_true(stored);
    assert_int_equal(get(0x5000, 2), 0x03000000);
}

static void compare_and_swap_up_to_sixteen_bytes(void **state)
{
    for (unsigned bits = 0; bits <= 4; bits++) {
        const uint64_t mask = sm_mask(SM_MIN(8u << bits, 64u));
        struct sm_value now = {0x1122334455667788 & mask, bits == 4 ? 0x99 : 0}, old;
        const struct sm_value next = {0x8877665544332211 & mask, bits == 4 ? 0x77 : 0};
        struct sm_value wrong = now;
        memset(cell(0x5020), 0, 16);
        memcpy(cell(0x5020), &now, SM_MIN(1u << bits, 16u));
        wrong.lo ^= 1;
        assert_int_equal(
            sm_tlb_cas(fake.vcpu, 0x5020, op_of(bits, MODE_S), wrong, next, &old, &fault),
            SM_STEP_DONE);
        assert_memory_equal(&old, &now, 16);
        assert_memory_equal(cell(0x5020), &now, 16);
        assert_int_equal(
            sm_tlb_cas(fake.vcpu, 0x5020, op_of(bits, MODE_S), now, next, &old, &fault),
            SM_STEP_DONE);
        assert_memory_equal(&old, &now, 16);
        assert_memory_equal(cell(0x5020), &next, 16);
    }
}

static void refuses(sm_gva gva, unsigned bits, unsigned mode, unsigned cause)
{
    struct sm_value old = {7, 7};
    const struct sm_value zero = {0, 0};
    uint64_t value = 7;

    assert_int_equal(
        sm_tlb_rmw(fake.vcpu, gva, op_of(bits, mode), SM_RMW_ADD, 1, &value, &fault),
        SM_STEP_FAULT);
    assert_int_equal(fault.cause, cause);
    assert_int_equal(fault.info, SM_WRITE);
    assert_int_equal(fault.gva, gva);
    assert_int_equal(
        sm_tlb_cas(fake.vcpu, gva, op_of(bits, mode), zero, zero, &old, &fault),
        SM_STEP_FAULT);
    assert_int_equal(fault.cause, cause);
    assert_int_equal(value, 7);
    assert_int_equal(old.lo, 7);
}

static void only_aligned_writable_ram_has_atomics(void **state)
{
    uint64_t value;

    refuses(0x5001, 1, MODE_S, 0x1000 + SM_TX_ACCESS_ERROR);
    refuses(0x5ffc, 3, MODE_S, 0x1000 + SM_TX_ACCESS_ERROR); /* would cross */
    refuses(IO_AT, 2, MODE_BARE, 0x1000 + SM_TX_ACCESS_ERROR);
    refuses(ROM_AT, 3, MODE_BARE, 0x1000 + SM_TX_ACCESS_ERROR);
    refuses(0x123450, 3, MODE_BARE, 0x1000 + SM_TX_DECODE_ERROR);
    refuses(0x9000, 3, MODE_S, SM_WALK_NOT_PRESENT + 0x100);
    assert_int_equal(fake.n_log, 0);
    /* A fragment of a page is RAM all the same. */
    assert_int_equal(sm_tlb_rmw(fake.vcpu, MIXED_RAM_AT, op_of(3, MODE_BARE), SM_RMW_ADD,
                                5, &value, &fault),
                     SM_STEP_DONE);
    assert_int_equal(sm_tlb_rmw(fake.vcpu, MIXED_RAM_AT, op_of(3, MODE_BARE), SM_RMW_ADD,
                                5, &value, &fault),
                     SM_STEP_DONE);
    assert_int_equal(value, 5);
}

static void an_atomic_asks_as_such(void **state)
{
    fake.no_read = true;
    assert_int_equal(sm_tlb_write_slow(fake.vcpu, 0x5000, op_of(3, MODE_S),
                                       (struct sm_value){0, 0}, &fault), SM_STEP_DONE);
    const unsigned n = fake.n_fills;
    /* The entry for writes says nothing about reading: ask again. */
    (void)rmw(0x5000, 3, SM_RMW_ADD, 1);
    assert_int_equal(fake.n_fills, n + 1);
    assert_int_equal(fake.last_req.flags, SM_REQ_ATOMIC);
    fake.no_read = false;
    sm_tlb_flush_local(fake.vcpu, &sm_tlb_scope_everything);
    (void)rmw(0x5000, 3, SM_RMW_ADD, 1);
    (void)rmw(0x5000, 3, SM_RMW_ADD, 1);
    assert_int_equal(fake.n_fills, n + 2);
}

/* --- LR/SC ---------------------- */

static uint64_t lr(sm_gva gva, unsigned bits)
{
    uint64_t value;
    assert_int_equal(
        sm_tlb_load_reserved(fake.vcpu, gva, op_of(bits, MODE_S), &value, &fault),
        SM_STEP_DONE);
    return value;
}

static bool sc(sm_gva gva, unsigned bits, uint64_t value)
{
    bool stored = true;
    assert_int_equal(sm_tlb_store_conditional(fake.vcpu, gva, op_of(bits, MODE_S), value,
                                              &stored, &fault),
                     SM_STEP_DONE);
    return stored;
}

static void a_reservation_holds_once(void **state)
{
    sm_host_store(cell(0x5008), 3, 0x1122334455667788);
    assert_false(sc(0x5008, 3, 1)); /* without one */
    assert_int_equal(lr(0x5008, 3), 0x1122334455667788);
    assert_true(sc(0x5008, 3, 2));
    assert_int_equal(get(0x5008, 3), 2);
    assert_false(sc(0x5008, 3, 3));
    for (unsigned bits = 0; bits <= 3; bits++) {
        const uint64_t value = lr(0x5008, bits);
        assert_true(sc(0x5008, bits, value + 1));
        assert_int_equal(get(0x5008, bits), value + 1);
    }
}

static void address_size_and_clearing_end_it(void **state)
{
    (void)lr(0x5008, 3);
    assert_false(sc(0x5010, 3, 1));
    assert_false(sc(0x5008, 3, 1));
    (void)lr(0x5008, 3);
    assert_false(sc(0x5008, 2, 1));
    (void)lr(0x5008, 3);
    sm_tlb_clear_reservation(fake.vcpu);
    assert_false(sc(0x5008, 3, 1));
    (void)lr(0x5008, 2);
    (void)lr(0x5010, 2); /* the latest counts */
    assert_true(sc(0x5010, 2, 1));
    /* One that fails by its address faults where a store would. */
    bool stored = true;
    (void)lr(0x5008, 3);
    assert_int_equal(
        sm_tlb_store_conditional(fake.vcpu, 0x9000, op_of(3, MODE_S), 1, &stored, &fault),
        SM_STEP_FAULT);
    assert_int_equal(fault.cause, SM_WALK_NOT_PRESENT + 0x100);
    assert_int_equal(fault.info, SM_WRITE);
    assert_false(sc(0x5ffc, 3, 1)); /* nor does it matter where the page ends */
}

static void other_writes_end_it(void **state)
{
    const struct sm_attrs attrs = {.process = SM_NO_PROCESS};
    uint64_t old;

    (void)lr(0x5008, 3);
    sm_host_store(cell(0x5008), 3, 99);
    assert_false(sc(0x5008, 3, 1));
    assert_int_equal(get(0x5008, 3), 99);
    /* An atomic on the granule, though the value stays. */
    (void)lr(0x5008, 3);
    (void)rmw(0x5010, 3, SM_RMW_OR, 0);
    assert_false(sc(0x5008, 3, 1));
    (void)lr(0x5008, 3);
    assert_int_equal(sm_address_space_rmw(fake.guest.space, DATA + 0x38, &attrs, 4,
                                          SM_RMW_OR, 0, &old),
                     SM_TX_OK);
    assert_false(sc(0x5008, 3, 1));
    /* A plain store of another word of the granule does not. */
    (void)lr(0x5008, 3);
    sm_host_store(cell(0x5010), 3, 99);
    assert_true(sc(0x5008, 3, 1));
}

static void another_page_ends_it(void **state)
{
    (void)lr(0x5008, 3);
    fake_map(&fake, GUEST_RAM, 0x5000, pte_of(DATA + 0x1000, PTE_RWXAD));
    sm_tlb_flush_local(fake.vcpu, &sm_tlb_scope_everything);
    assert_false(sc(0x5008, 3, 1));
    (void)lr(0x5008, 3);
    fake_map(&fake, GUEST_RAM, 0x5000, pte_of(DATA, PTE_V | PTE_R | PTE_A));
    sm_tlb_flush_local(fake.vcpu, &sm_tlb_scope_everything);
    bool stored = true;
    assert_int_equal(
        sm_tlb_store_conditional(fake.vcpu, 0x5008, op_of(3, MODE_S), 1, &stored, &fault),
        SM_STEP_FAULT);
    assert_int_equal(fault.cause, SM_WALK_DENIED + 0x100);
    assert_int_equal(fault.info, SM_WRITE);
}

static void reserving_is_for_aligned_ram(void **state)
{
    uint64_t value;

    assert_int_equal(
        sm_tlb_load_reserved(fake.vcpu, 0x5004, op_of(3, MODE_S), &value, &fault),
        SM_STEP_FAULT);
    assert_int_equal(fault.info, SM_READ);
    assert_int_equal(
        sm_tlb_load_reserved(fake.vcpu, IO_AT, op_of(2, MODE_BARE), &value, &fault),
        SM_STEP_FAULT);
    assert_int_equal(fault.cause, 0x1000 + SM_TX_ACCESS_ERROR);
    assert_int_equal(fault.info, SM_READ);
    assert_int_equal(fake.n_log, 0);
    assert_int_equal(
        sm_tlb_load_reserved(fake.vcpu, ROM_AT, op_of(2, MODE_BARE), &value, &fault),
        SM_STEP_DONE);
    bool stored;
    assert_int_equal(sm_tlb_store_conditional(fake.vcpu, ROM_AT, op_of(2, MODE_BARE), 1,
                                              &stored, &fault),
                     SM_STEP_FAULT);
    assert_int_equal(fault.cause, 0x1000 + SM_TX_ACCESS_ERROR);
}

/* --- Two processors ---------------------- */

enum { N_ADDS = 20000 };

struct worker {
    struct fake fake;
    bool conditional;
    uint32_t failures;
    pthread_t thread;
};

static void add_once(struct worker *worker)
{
    struct sm_vcpu *vcpu = worker->fake.vcpu;
    struct sm_fault mine;
    uint64_t value;
    bool stored = false;

    if (!worker->conditional) {
        sm_tlb_rmw(vcpu, 0x5000, op_of(3, MODE_S), SM_RMW_ADD, 1, &value, &mine);
        return;
    }
    while (!stored) {
        sm_tlb_load_reserved(vcpu, 0x5000, op_of(3, MODE_S), &value, &mine);
        sm_tlb_store_conditional(vcpu, 0x5000, op_of(3, MODE_S), value + 1, &stored,
                                 &mine);
        worker->failures += !stored;
        sm_vcpu_safe_point(vcpu);
    }
}

static void *add(void *arg)
{
    struct worker *worker = arg;

    sm_vcpu_online(worker->fake.vcpu);
    for (unsigned i = 0; i < N_ADDS; i++) {
        add_once(worker);
        sm_vcpu_safe_point(worker->fake.vcpu);
    }
    sm_vcpu_offline(worker->fake.vcpu);
    return NULL;
}

static void no_addition_is_lost(void **state)
{
    struct worker worker[2] = {{.fake = fake}, {.fake = fake, .conditional = true}};
    const struct sm_tlb_key key = {{GUEST_RAM, 0, 0}};

    for (unsigned both = 0; both < 2; both++) { /* AMO against LR/SC, then LR/SC twice */
        sm_host_store(cell(0x5000), 3, 0);
        worker[0].conditional = both;
        for (unsigned i = 0; i < 2; i++) {
            fake_vcpu(&worker[i].fake, &worker[i].fake.vcpu);
            sm_tlb_select(worker[i].fake.vcpu, TRANSLATED, &key);
            assert_int_equal(pthread_create(&worker[i].thread, NULL, add, &worker[i]), 0);
        }
        sm_vcpu_offline(fake.vcpu);
        for (unsigned i = 0; i < 2; i++) {
            pthread_join(worker[i].thread, NULL);
            sm_vcpu_free(worker[i].fake.vcpu);
        }
        sm_vcpu_online(fake.vcpu);
        assert_int_equal(get(0x5000, 3), 2 * N_ADDS);
    }
}

/** One pops and pushes back a node by atomics, so that the value comes back as it was:
 *  a conditional store in between must fail (the ABA problem). */
static void *pop_and_push(void *arg)
{
    struct worker *worker = arg;
    struct sm_fault mine;
    uint64_t value;

    sm_vcpu_online(worker->fake.vcpu);
    for (unsigned i = 0; i < N_ADDS; i++) {
        sm_tlb_rmw(worker->fake.vcpu, 0x5000, op_of(3, MODE_S), SM_RMW_SWAP, 2, &value,
                   &mine);
        sm_tlb_rmw(worker->fake.vcpu, 0x5008, op_of(3, MODE_S), SM_RMW_ADD, 1, &value,
                   &mine);
        sm_tlb_rmw(worker->fake.vcpu, 0x5000, op_of(3, MODE_S), SM_RMW_SWAP, 1, &value,
                   &mine);
        sm_vcpu_safe_point(worker->fake.vcpu);
    }
    sm_vcpu_offline(worker->fake.vcpu);
    return NULL;
}

static void a_value_that_came_back_is_seen_through(void **state)
{
    struct worker worker = {.fake = fake};
    const struct sm_tlb_key key = {{GUEST_RAM, 0, 0}};
    unsigned n_stored = 0;

    sm_host_store(cell(0x5000), 3, 1);
    sm_host_store(cell(0x5008), 3, 0);
    fake_vcpu(&worker.fake, &worker.fake.vcpu);
    sm_tlb_select(worker.fake.vcpu, TRANSLATED, &key);
    assert_int_equal(pthread_create(&worker.thread, NULL, pop_and_push, &worker), 0);
    for (unsigned i = 0; i < N_ADDS; i++) {
        const uint64_t value = lr(0x5000, 3);
        const uint64_t first = get(0x5008, 3), last = get(0x5008, 3);
        if (sc(0x5000, 3, value)) {
            n_stored++;
            assert_int_equal(first, last); /* nothing was counted in between */
        }
        sm_vcpu_safe_point(fake.vcpu);
    }
    sm_vcpu_offline(fake.vcpu);
    pthread_join(worker.thread, NULL);
    sm_vcpu_online(fake.vcpu);
    sm_vcpu_free(worker.fake.vcpu);
    assert_int_equal(get(0x5008, 3), N_ADDS);
    assert_true(n_stored <= N_ADDS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_operation_at_every_size),
        TEST(big_endian_numbers),
        TEST(compare_and_swap_up_to_sixteen_bytes),
        TEST(only_aligned_writable_ram_has_atomics),
        TEST(an_atomic_asks_as_such),
        TEST(a_reservation_holds_once),
        TEST(address_size_and_clearing_end_it),
        TEST(other_writes_end_it),
        TEST(another_page_ends_it),
        TEST(reserving_is_for_aligned_ram),
        TEST(no_addition_is_lost),
        TEST(a_value_that_came_back_is_seen_through),
    };
    return cmocka_run_group_tests_name("tlb_atomic", tests, NULL, NULL);
}
