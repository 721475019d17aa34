/* SPDX-License-Identifier: MIT */
/* exact_reserve_test.c - which stores end a reservation, where they all do. */
#include "fake_guest.h"
#include "memory/reserve.h"

#include <pthread.h>

#define DATA (GUEST_RAM + UINT64_C(0x100000))
#define PAGE UINT64_C(0x5000)
#define WORD (PAGE + 0x48) /* bytes 8 to 15 of their granule                    */
enum { ROUNDS = 20000 };

static struct fake fake;
static struct sm_vcpu *other;
static struct sm_fault fault;

static void begin(uint32_t vcpu_flags)
{
    const struct sm_tlb_key key = {{GUEST_RAM, 0, 0}};

    fake_init_flags(&fake, vcpu_flags);
    fake.refill = true;
    fake_vcpu(&fake, &other);
    sm_vcpu_online(other);
    sm_tlb_select(other, TRANSLATED, &key);
    for (unsigned i = 0; i < 4; i++)
        fake_map(&fake, GUEST_RAM, PAGE + i * 0x1000, pte_of(DATA + i * 0x1000, PTE_RWXAD));
}

static void end(void)
{
    sm_vcpu_check(other);
    sm_vcpu_offline(other);
    sm_vcpu_free(other);
    fake_fini(&fake);
}

static uint8_t *host_of(sm_gva gva)
{
    return fake.guest.host + (gva - PAGE + DATA - GUEST_RAM);
}

static uint64_t reserve(void)
{
    uint64_t value;
    assert_int_equal(sm_tlb_load_reserved(fake.vcpu, WORD, op_of(3, MODE_S), &value,
                                          &fault), SM_STEP_DONE);
    return value;
}

static bool conditional(uint64_t value)
{
    bool stored;
    assert_int_equal(sm_tlb_store_conditional(fake.vcpu, WORD, op_of(3, MODE_S), value,
                                              &stored, &fault), SM_STEP_DONE);
    return stored;
}

/** Store what is there. */
static void store_by(struct sm_vcpu *vcpu, sm_gva gva, unsigned size_bits)
{
    struct sm_value value = {0, 0};
    void *host;

    memcpy(&value, host_of(gva), (size_t)1 << size_bits);
    if (sm_tlb_hit(sm_vcpu_fast(vcpu)->table[MODE_S], gva, 1u << size_bits, SM_WRITE,
                   &host) && size_bits < 4) {
        sm_host_store(host, size_bits, value.lo); /* as the guest's loop does */
        return;
    }
    assert_int_equal(sm_tlb_write_slow(vcpu, gva, op_of(size_bits, MODE_S), value, &fault),
                     SM_STEP_DONE);
}

/** Every store of the same value that meets the granule ends it, and only where that is
 *  asked for. */
static void test_plain_stores_of_the_same_value(void **state)
{
    for (unsigned exact = 0; exact < 2; exact++) {
        begin(exact ? SM_VCPU_EXACT_RESERVE : 0);
        for (unsigned i = 0; i < 256; i++)
            *host_of(PAGE + i) = (uint8_t)(i * 5);
        for (unsigned bits = 0; bits <= 4; bits++)
            for (sm_gva gva = PAGE + 0x40 - 16; gva < PAGE + 0x80 + 8; gva++) {
                const bool meets =
                    gva < PAGE + 0x80 && gva + (1u << bits) > PAGE + 0x40;
                const uint64_t value = reserve();
                store_by(other, gva, bits);
                assert_int_equal(conditional(value), !(exact && meets));
            }
        for (unsigned i = 0; i < 256; i++) /* all of them stored what they should */
            assert_int_equal(*host_of(PAGE + i), (uint8_t)(i * 5));
        void *host;
        assert_int_equal(sm_tlb_hit(sm_vcpu_fast(other)->table[MODE_S], PAGE, 8, SM_WRITE,
                                    &host), !exact);
        assert_true(sm_tlb_hit(sm_vcpu_fast(other)->table[MODE_S], PAGE, 8, SM_READ,
                               &host));
        end();
    }
}

/** A vCPU's own stores leave what it holds, unless they change the value. */
static void test_own_stores(void **state)
{
    begin(SM_VCPU_EXACT_RESERVE);
    for (unsigned bits = 0; bits <= 3; bits++)
        for (sm_gva gva = PAGE + 0x40; gva < PAGE + 0x80; gva++) {
            const uint64_t value = reserve();
            store_by(fake.vcpu, gva, bits);
            assert_true(conditional(value));
        }
    const uint64_t value = reserve();
    store_by(fake.vcpu, WORD, 3);
    store_by(other, WORD, 3);
    store_by(fake.vcpu, WORD, 3); /* does not bring it back */
    assert_false(conditional(value));
    assert_int_equal(sm_tlb_write_slow(fake.vcpu, WORD, op_of(0, MODE_S),
                                       (struct sm_value){reserve() + 1, 0}, &fault),
                     SM_STEP_DONE);
    assert_false(conditional(0));
    end();
}

static void test_others_go_on(void **state)
{
    begin(SM_VCPU_EXACT_RESERVE);
    for (unsigned i = 0; i < 64; i++) {
        const sm_gva gva = PAGE + 64 * i;
        const uint64_t value = reserve();
        if (sm_reserve_is_shared(host_of(gva), host_of(WORD)))
            continue;
        store_by(other, gva, 3);
        assert_true(conditional(value));
    }
    end();
}

static struct sm_address_space *space(void)
{
    return fake.guest.space;
}

static void by_write(void *bytes)
{
    assert_int_equal(sm_address_space_write(space(), DATA, guest_attrs(), bytes, 4096,
                                            NULL), SM_TX_OK);
}

static void by_store(void *bytes)
{
    assert_int_equal(sm_address_space_store(space(), DATA + 0x44, guest_attrs(), 4, 0),
                     SM_TX_OK);
}

static void by_fill(void *bytes)
{
    assert_int_equal(sm_address_space_fill(space(), DATA, guest_attrs(), 0, 4096, NULL),
                     SM_TX_OK);
}

static void by_copy(void *bytes)
{
    const struct sm_place to = {space(), DATA, guest_attrs()};
    const struct sm_place from = {space(), DATA + 0x1000, guest_attrs()};
    assert_int_equal(sm_address_space_copy(&to, &from, 256, NULL, NULL), SM_TX_OK);
}

static void by_window_store(void *bytes)
{
    struct sm_window window;
    sm_window_open(&window, space(), DATA, guest_attrs(), 4096);
    assert_int_equal(sm_window_store(&window, 0x7c, 4, 0), SM_TX_OK);
    sm_window_close(&window);
}

static void by_window_write(void *bytes)
{
    struct sm_window window;
    sm_window_open(&window, space(), DATA, guest_attrs(), 4096);
    assert_int_equal(sm_window_write(&window, 1, bytes, 200, NULL), SM_TX_OK);
    sm_window_close(&window);
}

static void by_mapping(void *bytes)
{
    struct sm_mapping mapping;
    assert_int_equal(sm_address_space_map(space(), DATA, guest_attrs(), 4096, SM_WRITE,
                                          &mapping), SM_TX_OK);
    sm_mapping_release(&mapping);
}

static void by_the_owner(void *bytes)
{
    sm_region_written(fake.guest.ram, (struct sm_range){DATA - GUEST_RAM + 0x7f,
                                                        DATA - GUEST_RAM + 0x7f});
}

/** What a device does, in all ways that it has. */
static void test_transfers(void **state)
{
    static void (*const ways[])(void *) = {by_write, by_store, by_fill, by_copy,
                                           by_window_store, by_window_write, by_mapping,
                                           by_the_owner};
    static uint8_t bytes[4096]; /* memory is zero as well */

    for (unsigned exact = 0; exact < 2; exact++) {
        begin(exact ? SM_VCPU_EXACT_RESERVE : 0);
        for (unsigned i = 0; i < SM_ARRAY_LEN(ways); i++) {
            const uint64_t value = reserve();
            ways[i](bytes);
            assert_int_equal(conditional(value), !exact);
        }
        end();
    }
}

/** Who would store by itself is told to use the slow path. */
static void test_touch(void **state)
{
    void *host = &fake;

    begin(SM_VCPU_EXACT_RESERVE);
    assert_int_equal(sm_tlb_touch(fake.vcpu, PAGE, 64, SM_WRITE, MODE_S, 0, &host, &fault),
                     SM_STEP_DONE);
    assert_null(host);
    assert_int_equal(sm_tlb_touch(fake.vcpu, PAGE, 64, SM_READ, MODE_S, 0, &host, &fault),
                     SM_STEP_DONE);
    assert_ptr_equal(host, host_of(PAGE));
    end();
}

/* --- Two threads -------------------------------------------------------------------- */

static uint32_t turn; /* atomic: 0 the first reserves, 1 the second stores, 2 end      */

static void wait_for(uint32_t wanted)
{
    while (sm_load_acquire(&turn) != wanted)
        sched_yield();
}

/** A, B, A: by plain stores. */
static void *there_and_back(void *arg)
{
    sm_vcpu_online(other);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct sm_fault mine;
        wait_for(1);
        for (unsigned value = 1; value < 2; value--) {
            void *host;
            if (sm_tlb_hit(sm_vcpu_fast(other)->table[MODE_S], WORD, 8, SM_WRITE, &host))
                sm_host_store(host, 3, value);
            else
                assert_int_equal(sm_tlb_write_slow(other, WORD, op_of(3, MODE_S),
                                                   (struct sm_value){value, 0}, &mine),
                                 SM_STEP_DONE);
        }
        sm_publish(&turn, 2u);
    }
    sm_vcpu_offline(other);
    return NULL;
}

/** Between LR and SC another puts another value there, and the old one back. */
static void aba(uint32_t vcpu_flags, unsigned *stored)
{
    pthread_t thread;

    *stored = 0;
    turn = 0;
    begin(vcpu_flags);
    sm_vcpu_offline(other);
    assert_int_equal(pthread_create(&thread, NULL, there_and_back, NULL), 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        assert_true(reserve() == 0);
        sm_publish(&turn, 1u);
        wait_for(2);
        *stored += conditional(0);
    }
    pthread_join(thread, NULL);
    sm_vcpu_online(other);
    end();
}

static void test_there_and_back(void **state)
{
    unsigned stored;

    aba(SM_VCPU_EXACT_RESERVE, &stored);
    printf("exact: %u of %u stored\n", stored, (unsigned)ROUNDS);
    assert_int_equal(stored, 0);
    aba(0, &stored);
    printf("by value: %u of %u stored\n", stored, (unsigned)ROUNDS);
    assert_int_equal(stored, ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_stores_of_the_same_value),
        cmocka_unit_test(test_own_stores),
        cmocka_unit_test(test_others_go_on),
        cmocka_unit_test(test_transfers),
        cmocka_unit_test(test_touch),
        cmocka_unit_test(test_there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
