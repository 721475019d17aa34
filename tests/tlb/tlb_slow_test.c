/* SPDX-License-Identifier: MIT */
/* tlb_slow_test.c - loads, stores and touches: every size, border, kind of target. */
#include "fake_guest.h"

#define DATA (GUEST_RAM + UINT64_C(0x100000)) /* pages that tests map */

static struct fake fake;
static struct sm_fault fault;

static int setup(void **state)
{
    fake_init(&fake);
    memset(&fault, 0xcc, sizeof fault);
    return 0;
}

static int teardown(void **state)
{
    fake_fini(&fake);
    return 0;
}

static uint8_t *host_of(sm_gpa gpa)
{
    return fake.guest.host + (gpa - GUEST_RAM);
}

static enum sm_step load(sm_gva gva, unsigned size_bits, unsigned mode,
                         struct sm_value *value)
{
    return sm_tlb_read_slow(fake.vcpu, gva, op_of(size_bits, mode), value, &fault);
}

static enum sm_step store(sm_gva gva, unsigned size_bits, unsigned mode, uint64_t lo,
                          uint64_t hi)
{
    return sm_tlb_write_slow(fake.vcpu, gva, op_of(size_bits, mode),
                             (struct sm_value){lo, hi}, &fault);
}

static void every_size_at_every_offset_round_a_border(void **state)
{
    fake_map(&fake, GUEST_RAM, 0x5000, pte_of(DATA, PTE_RWXAD));
    fake_map(&fake, GUEST_RAM, 0x6000, pte_of(DATA + 0x5000, PTE_RWXAD));
    for (unsigned bits = 0; bits <= 4; bits++) {
        const unsigned size = 1u << bits;
        for (sm_gva gva = 0x6000 - 20; gva < 0x6004; gva++) {
            uint8_t expected[16], got[16];
            struct sm_value value = {UINT64_C(0x1122334455667788) + gva,
                                     UINT64_C(0x99aabbccddeeff00) - gva};
            memset(host_of(DATA) + 0xf00, 0xee, 0x100);
            memset(host_of(DATA + 0x5000), 0xee, 0x100);
            memcpy(expected, &value, 16);
            assert_int_equal(store(gva, bits, MODE_S, value.lo, value.hi), SM_STEP_DONE);
            for (unsigned i = 0; i < 32; i++) {
                const sm_gva at = 0x6000 - 20 + i;
                const sm_gpa gpa = at < 0x6000 ? DATA + (at & 0xfff)
                                               : DATA + 0x5000 + (at & 0xfff);
                const bool inside = at >= gva && at < gva + size;
                assert_int_equal(*host_of(gpa), inside ? expected[at - gva] : 0xee);
            }
            assert_int_equal(load(gva, bits, MODE_S, &value), SM_STEP_DONE);
            memcpy(got, &value, 16);
            assert_memory_equal(got, expected, size);
            for (unsigned i = size; i < 16; i++)
                assert_int_equal(got[i], 0);
        }
    }
    assert_true(fake_stats(&fake).crossings > 0);
}

static void big_endian_reverses_the_bytes(void **state)
{
    struct sm_value value;
    struct sm_memop op = op_of(0, MODE_BARE);

    for (unsigned i = 0; i < 16; i++)
        *host_of(DATA + i) = (uint8_t)(i + 1);
    op.flags = SM_MEMOP_BIG_ENDIAN;
    static const struct sm_value expected[] = {
        {0x01, 0}, {0x0102, 0}, {0x01020304, 0}, {UINT64_C(0x0102030405060708), 0},
        {UINT64_C(0x090a0b0c0d0e0f10), UINT64_C(0x0102030405060708)}};
    for (op.size_bits = 0; op.size_bits <= 4; op.size_bits++) {
        const struct sm_value *want = &expected[op.size_bits];
        assert_int_equal(sm_tlb_read_slow(fake.vcpu, DATA, op, &value, &fault),
                         SM_STEP_DONE);
        assert_int_equal(value.lo, want->lo);
        assert_int_equal(value.hi, want->hi);
        assert_int_equal(sm_tlb_write_slow(fake.vcpu, DATA + 32, op, value, &fault),
                         SM_STEP_DONE);
        assert_memory_equal(host_of(DATA + 32), host_of(DATA), 1u << op.size_bits);
    }
}

static void a_miss_asks_once_and_fills(void **state)
{
    struct sm_value value;
    void *host;

    fake_map(&fake, GUEST_RAM, 0x5000, pte_of(DATA, PTE_RWXAD));
    *host_of(DATA + 0x10) = 0x5a;
    assert_false(fake_hit(&fake, MODE_S, 0x5010, 1, SM_READ, NULL));
    assert_int_equal(load(0x5010, 0, MODE_S, &value), SM_STEP_DONE);
    assert_int_equal(value.lo, 0x5a);
    assert_int_equal(fake.n_fills, 1);
    assert_int_equal(fake.last_req.gva, 0x5010);
    assert_int_equal(fake.last_req.size, 1);
    assert_int_equal(fake.last_req.access, SM_READ);
    assert_int_equal(fake.last_req.mode, MODE_S);
    assert_true(fake_hit(&fake, MODE_S, 0x5ff8, 8, SM_READ, &host));
    assert_ptr_equal(host, host_of(DATA + 0xff8));
    assert_false(fake_hit(&fake, MODE_S, 0x5ff9, 8, SM_READ, NULL));
    assert_false(fake_hit(&fake, MODE_SUM, 0x5010, 1, SM_READ, NULL));
    assert_int_equal(load(0x5020, 3, MODE_S, &value), SM_STEP_DONE);
    assert_int_equal(fake.n_fills, 1);
    const struct sm_tlb_stats stats = fake_stats(&fake);
    assert_int_equal(stats.fills[SM_READ], 1);
    assert_int_equal(stats.slow[SM_READ], 2);
    assert_int_equal(stats.fills[SM_WRITE] + stats.fills[SM_FETCH], 0);
}

static void fetches_need_x_and_loads_r(void **state)
{
    struct sm_memop op = op_of(2, MODE_S);
    struct sm_value value = {0x1234, 0};

    fake_map(&fake, GUEST_RAM, 0x5000, pte_of(DATA, PTE_V | PTE_A | PTE_X));
    assert_int_equal(sm_tlb_read_slow(fake.vcpu, 0x5000, op, &value, &fault),
                     SM_STEP_FAULT);
    assert_int_equal(fault.cause, SM_WALK_DENIED + 0x100);
    assert_int_equal(fault.info, SM_READ);
    assert_int_equal(value.lo, 0x1234); /* as before */
    op.flags = SM_MEMOP_AS_FETCH;
    assert_int_equal(sm_tlb_read_slow(fake.vcpu, 0x5000, op, &value, &fault),
                     SM_STEP_DONE);
    assert_true(fake_hit(&fake, MODE_S, 0x5000, 4, SM_FETCH, NULL));
    assert_false(fake_hit(&fake, MODE_S, 0x5000, 4, SM_READ, NULL));
}

static void a_fault_names_the_page_that_refused(void **state)
{
    struct sm_value value;

    fake_map(&fake, GUEST_RAM, 0x5000, pte_of(DATA, PTE_RWXAD));
    fake_map(&fake, GUEST_RAM, 0x6000, 0);
    memset(host_of(DATA), 0xee, 0x1000);
    assert_int_equal(load(0x5ffd, 3, MODE_S, &value), SM_STEP_FAULT);
    assert_int_equal(fault.gva, 0x6000);
    assert_int_equal(fake.last_req.size, 5);
    assert_int_equal(store(0x5ffd, 3, MODE_S, 1, 0), SM_STEP_FAULT);
    assert_int_equal(fault.gva, 0x6000);
    assert_int_equal(fault.info, SM_WRITE);
    for (unsigned i = 0; i < 0x1000; i++)
        assert_int_equal(*host_of(DATA + i), 0xee);
    fake_map(&fake, GUEST_RAM, 0x7000, pte_of(DATA, PTE_RWXAD));
    assert_int_equal(store(0x6fff, 1, MODE_S, 1, 0), SM_STEP_FAULT);
    assert_int_equal(fault.gva, 0x6fff);
    assert_int_equal(fake.last_req.size, 1);
    /* The page after the last is the first. */
    fake_map(&fake, GUEST_RAM, 0, pte_of(DATA, PTE_RWXAD));
    assert_int_equal(load(UINT64_MAX, 1, MODE_S, &value), SM_STEP_FAULT);
    assert_int_equal(fault.gva, UINT64_MAX);
}

static void rom_is_read_directly_and_not_written(void **state)
{
    const struct sm_attrs debug = {.process = SM_NO_PROCESS, .flags = SM_ATTR_DEBUG};
    uint64_t content = 0x1122334455667788;
    struct sm_value value;

    assert_int_equal(
        sm_address_space_write(fake.guest.space, ROM_AT, &debug, &content, 8, NULL),
        SM_TX_OK);
    assert_int_equal(load(ROM_AT, 3, MODE_BARE, &value), SM_STEP_DONE);
    assert_int_equal(value.lo, content);
    assert_true(fake_hit(&fake, MODE_BARE, ROM_AT, 8, SM_READ, NULL));
    for (unsigned i = 0; i < 2; i++) { /* by a miss, then by the entry that it left */
        assert_int_equal(store(ROM_AT + 8, 2, MODE_BARE, 5, 0), SM_STEP_FAULT);
        assert_int_equal(fault.cause, 0x1000 + SM_TX_ACCESS_ERROR);
        assert_int_equal(fault.gpa, ROM_AT + 8);
        assert_int_equal(fault.gva, ROM_AT + 8);
        assert_false(fake_hit(&fake, MODE_BARE, ROM_AT, 8, SM_WRITE, NULL));
    }
    assert_int_equal(fake.n_fills, 2);
    assert_int_equal(load(ROM_AT + 8, 3, MODE_BARE, &value), SM_STEP_DONE);
    assert_int_equal(value.lo, 0);
}

static void a_hole_is_a_decode_error(void **state)
{
    struct sm_value value;

    assert_int_equal(load(0x123458, 3, MODE_BARE, &value), SM_STEP_FAULT);
    assert_int_equal(fault.cause, 0x1000 + SM_TX_DECODE_ERROR);
    assert_int_equal(fault.gpa, 0x123458);
    assert_int_equal(store(0x123458, 3, MODE_BARE, 0, 0), SM_STEP_FAULT);
    assert_int_equal(fault.cause, 0x1000 + SM_TX_DECODE_ERROR);
    /* The end of RAM. */
    assert_int_equal(store(GUEST_RAM + RAM_SIZE - 4, 3, MODE_BARE, 0, 0), SM_STEP_FAULT);
    assert_int_equal(fault.gva, GUEST_RAM + RAM_SIZE);
    assert_int_equal(fault.gpa, GUEST_RAM + RAM_SIZE);
}

static void devices_are_called_and_leave_the_block(void **state)
{
    struct sm_value value;

    fake.attrs.flags = SM_ATTR_USER;
    fake.attrs.process = 9;
    fake.io_value = 0xaabbccdd;
    for (unsigned i = 1; i <= 2; i++) {
        assert_int_equal(load(IO_AT + 0x10, 2, MODE_BARE, &value), SM_STEP_DONE_LEAVE);
        assert_int_equal(value.lo, 0xaabbccdd);
        assert_int_equal(fake.n_log, i);
        assert_int_equal(fake.log[i - 1].offset, 0x10);
        assert_int_equal(fake.log[i - 1].size, 4);
        assert_int_equal(fake.log[i - 1].attrs.requester, 77);
        assert_int_equal(fake.log[i - 1].attrs.process, 9);
        assert_int_equal(fake.log[i - 1].attrs.flags, SM_ATTR_USER);
    }
    assert_int_equal(fake.n_fills, 1);
    assert_false(fake_hit(&fake, MODE_BARE, IO_AT + 0x10, 4, SM_READ, NULL));
    assert_int_equal(store(IO_AT + 0x18, 3, MODE_BARE, 0x1234567890abcdef, 0),
                     SM_STEP_DONE_LEAVE);
    assert_int_equal(fake.log[2].value, 0x1234567890abcdef);
    assert_true(fake.log[2].write);
    const struct sm_tlb_stats stats = fake_stats(&fake);
    assert_int_equal(stats.mmio_reads, 2);
    assert_int_equal(stats.mmio_writes, 1);
    assert_int_equal(sm_vcpu_fast(fake.vcpu)->request, 0); /* nothing was deferred */
}

static void devices_get_numbers_whatever_the_order_of_bytes(void **state)
{
    struct sm_memop op = op_of(2, MODE_BARE);
    struct sm_value value;

    fake.io_value = 0xaabbccdd;
    op.flags = SM_MEMOP_BIG_ENDIAN;
    for (unsigned i = 0; i < 2; i++) { /* of a page that was not met before, and was */
        assert_int_equal(sm_tlb_read_slow(fake.vcpu, IO_AT + 0x10, op, &value, &fault),
                         SM_STEP_DONE_LEAVE);
        assert_int_equal(value.lo, 0xddccbbaa);
        assert_int_equal(sm_tlb_write_slow(fake.vcpu, IO_AT + 0x10, op,
                                           (struct sm_value){0x11223344, 0}, &fault),
                         SM_STEP_DONE_LEAVE);
        assert_int_equal(fake.log[fake.n_log - 1].value, 0x44332211);
    }
}

static void devices_refuse_and_fail(void **state)
{
    struct sm_value value = {7, 7};

    fake.io_result = SM_TX_DEVICE_ERROR;
    assert_int_equal(load(IO_AT + 4, 2, MODE_BARE, &value), SM_STEP_FAULT);
    assert_int_equal(fault.cause, 0x1000 + SM_TX_DEVICE_ERROR);
    assert_int_equal(value.lo, 7);
    assert_int_equal(store(IO_AT + 4, 2, MODE_BARE, 0, 0), SM_STEP_FAULT);
    fake.io_result = SM_TX_OK;
    fake.n_log = 0;
    assert_int_equal(load(MIXED_AT, 3, MODE_BARE, &value), SM_STEP_FAULT); /* too wide */
    assert_int_equal(fault.cause, 0x1000 + SM_TX_ACCESS_ERROR);
    assert_int_equal(fake.n_log, 0);
    assert_int_equal(load(MIXED_AT + 4, 2, MODE_BARE, &value), SM_STEP_DONE_LEAVE);
    assert_true(fake.log[0].small);
}

static void misaligned_device_accesses_come_in_aligned_pieces(void **state)
{
    struct sm_value value;

    fake.io_value = 0x1122334455667788;
    assert_int_equal(load(IO_AT + 0x11, 3, MODE_BARE, &value), SM_STEP_DONE_LEAVE);
    static const unsigned sizes[] = {1, 2, 4, 1}, offsets[] = {0x11, 0x12, 0x14, 0x18};
    assert_int_equal(fake.n_log, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(fake.log[i].size, sizes[i]);
        assert_int_equal(fake.log[i].offset, offsets[i]);
    }
    assert_int_equal(value.lo, 0x8855667788778888);
    fake.n_log = 0;
    assert_int_equal(store(IO_AT + 0x20, 4, MODE_BARE, 1, 2), SM_STEP_DONE_LEAVE);
    assert_int_equal(fake.n_log, 2);
    assert_int_equal(fake.log[0].value, 1);
    assert_int_equal(fake.log[1].value, 2);
    assert_int_equal(fake.log[1].offset, 0x28);
}

static void a_store_over_ram_and_device_asks_the_device_first(void **state)
{
    fake_map(&fake, GUEST_RAM, 0x5000, pte_of(DATA, PTE_RWXAD));
    fake_map(&fake, GUEST_RAM, 0x6000, pte_of(IO_AT, PTE_RWXAD));
    memset(host_of(DATA), 0xee, 0x1000);
    fake.io_result = SM_TX_DEVICE_ERROR;
    assert_int_equal(store(0x5ffc, 3, MODE_S, 0x1122334455667788, 0), SM_STEP_FAULT);
    assert_int_equal(fault.gva, 0x6000);
    assert_int_equal(fault.gpa, IO_AT);
    assert_int_equal(*host_of(DATA + 0xffc), 0xee);
    fake.io_result = SM_TX_OK;
    assert_int_equal(store(0x5ffc, 3, MODE_S, 0x1122334455667788, 0), SM_STEP_DONE_LEAVE);
    assert_int_equal(fake.log[1].value, 0x11223344);
    assert_int_equal(*(uint32_t *)(void *)host_of(DATA + 0xffc), 0x55667788);
    /* And one whose second page is ROM or nothing leaves the device alone. */
    fake_map(&fake, GUEST_RAM, 0x7000, pte_of(ROM_AT, PTE_RWXAD));
    fake.n_log = 0;
    assert_int_equal(store(0x6ffc, 3, MODE_S, 0, 0), SM_STEP_FAULT);
    assert_int_equal(fault.cause, 0x1000 + SM_TX_ACCESS_ERROR);
    assert_int_equal(fault.gva, 0x7000);
    fake_map(&fake, GUEST_RAM, 0x7000, pte_of(0x200000, PTE_RWXAD));
    sm_tlb_flush_local(fake.vcpu, &sm_tlb_scope_everything);
    assert_int_equal(store(0x6ffc, 3, MODE_S, 0, 0), SM_STEP_FAULT);
    assert_int_equal(fault.cause, 0x1000 + SM_TX_DECODE_ERROR);
    assert_int_equal(fake.n_log, 0);
}

static void a_page_of_fragments_is_never_direct(void **state)
{
    struct sm_value value;

    assert_int_equal(store(MIXED_RAM_AT, 3, MODE_BARE, 0x1122334455667788, 0),
                     SM_STEP_DONE);
    assert_int_equal(load(MIXED_RAM_AT, 3, MODE_BARE, &value), SM_STEP_DONE);
    assert_int_equal(value.lo, 0x1122334455667788);
    assert_false(fake_hit(&fake, MODE_BARE, MIXED_RAM_AT, 8, SM_READ, NULL));
    assert_false(fake_hit(&fake, MODE_BARE, MIXED_RAM_AT, 8, SM_WRITE, NULL));
    assert_int_equal(fake.n_fills, 1); /* the translation is remembered all the same */
    assert_int_equal(store(MIXED_RAM_AT + 0x3fc, 2, MODE_BARE, 5, 0), SM_STEP_DONE);
    assert_int_equal(store(MIXED_RAM_AT + 0x3fc, 3, MODE_BARE, 6, 0), SM_STEP_FAULT);
    assert_int_equal(fault.cause, 0x1000 + SM_TX_DECODE_ERROR);
    assert_int_equal(fault.gpa, MIXED_RAM_AT + 0x400);
    assert_int_equal(load(MIXED_RAM_AT + 0x3fc, 2, MODE_BARE, &value), SM_STEP_DONE);
    assert_int_equal(value.lo, 5);
    /* Over the end of the small device, into the hole. */
    assert_int_equal(load(MIXED_AT + IO_SMALL - 2, 2, MODE_BARE, &value), SM_STEP_FAULT);
    assert_int_equal(fault.gpa, MIXED_AT + IO_SMALL);
}

static void a_narrow_span_is_not_remembered(void **state)
{
    struct sm_value value;

    fake.span_limit = 8;
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(load(DATA, 3, MODE_BARE, &value), SM_STEP_DONE);
        assert_int_equal(fake.n_fills, i);
        assert_false(fake_hit(&fake, MODE_BARE, DATA, 8, SM_READ, NULL));
    }
    assert_int_equal(store(DATA, 3, MODE_BARE, 3, 0), SM_STEP_DONE);
    assert_int_equal(*host_of(DATA), 3);
    assert_int_equal(load(IO_AT, 3, MODE_BARE, &value), SM_STEP_DONE_LEAVE);
}

static void a_declared_alignment_is_enforced(void **state)
{
    struct sm_memop op = {.size_bits = 2, .mode = MODE_BARE, .flags = SM_MEMOP_ALIGNED,
                          .align_bits = 2};
    struct sm_value value;

    assert_int_equal(sm_tlb_read_slow(fake.vcpu, DATA + 4, op, &value, &fault),
                     SM_STEP_DONE);
    assert_int_equal(sm_tlb_read_slow(fake.vcpu, DATA + 6, op, &value, &fault),
                     SM_STEP_FAULT);
    assert_int_equal(fault.cause, 0x1000 + SM_TX_ACCESS_ERROR);
    assert_int_equal(fault.gva, DATA + 6);
    assert_int_equal(sm_tlb_write_slow(fake.vcpu, DATA + 6, op, value, &fault),
                     SM_STEP_FAULT);
    op.align_bits = 4;
    assert_int_equal(sm_tlb_write_slow(fake.vcpu, DATA + 4, op, value, &fault),
                     SM_STEP_FAULT);
    op.flags = 0;
    assert_int_equal(sm_tlb_write_slow(fake.vcpu, DATA + 6, op, value, &fault),
                     SM_STEP_DONE);
}

static void another_space_may_answer(void **state)
{
    struct sm_value value;

    fake.space = 1;
    assert_int_equal(load(IO_AT, 2, MODE_BARE, &value), SM_STEP_DONE_LEAVE);
    assert_int_equal(load(IO_AT, 2, MODE_BARE, &value), SM_STEP_DONE_LEAVE);
    assert_int_equal(fake.n_fills, 1);
}

/* --- Touch ---------------------- */

static enum sm_step touch(sm_gva gva, enum sm_access access, unsigned mode,
                          uint32_t flags, void **host)
{
    return sm_tlb_touch(fake.vcpu, gva, 4, access, (uint8_t)mode, flags, host, &fault);
}

static void a_touch_translates_fills_and_gives_the_host_address(void **state)
{
    void *host;

    fake_map(&fake, GUEST_RAM, 0x5000, pte_of(DATA, PTE_V | PTE_A | PTE_X));
    assert_int_equal(touch(0x5008, SM_FETCH, MODE_S, 0, &host), SM_STEP_DONE);
    assert_ptr_equal(host, host_of(DATA + 8));
    assert_true(fake_hit(&fake, MODE_S, 0x5000, 4, SM_FETCH, NULL));
    assert_int_equal(touch(0x5ff0, SM_FETCH, MODE_S, 0, &host), SM_STEP_DONE);
    assert_ptr_equal(host, host_of(DATA + 0xff0));
    assert_int_equal(fake.n_fills, 1);
    assert_int_equal(touch(0x5000, SM_WRITE, MODE_S, 0, &host), SM_STEP_FAULT);
    assert_int_equal(fault.cause, SM_WALK_DENIED + 0x100);
    assert_int_equal(touch(IO_AT, SM_READ, MODE_BARE, 0, &host), SM_STEP_DONE);
    assert_null(host);
    assert_int_equal(fake.n_log, 0);
    assert_int_equal(touch(ROM_AT, SM_WRITE, MODE_BARE, 0, &host), SM_STEP_DONE);
    assert_null(host);
    assert_int_equal(touch(ROM_AT, SM_FETCH, MODE_BARE, 0, &host), SM_STEP_DONE);
    assert_non_null(host);
    assert_int_equal(touch(0x123450, SM_FETCH, MODE_BARE, 0, &host), SM_STEP_DONE);
    assert_null(host);
}

static void a_probing_touch_changes_nothing(void **state)
{
    void *host;

    fake.flags = SM_WALK_AD;
    fake_map(&fake, GUEST_RAM, 0x5000, pte_of(DATA, PTE_V | PTE_R | PTE_W));
    assert_int_equal(touch(0x5000, SM_WRITE, MODE_S, SM_REQ_PROBE, &host), SM_STEP_DONE);
    assert_ptr_equal(host, host_of(DATA));
    assert_int_equal(fake.last_req.flags, SM_REQ_PROBE);
    assert_false(fake_hit(&fake, MODE_S, 0x5000, 4, SM_WRITE, NULL));
    assert_int_equal(*guest_entry(&fake.guest, GUEST_RAM + 0x2000 + 5 * 8),
                     pte_of(DATA, PTE_V | PTE_R | PTE_W));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_size_at_every_offset_round_a_border),
        TEST(big_endian_reverses_the_bytes),
        TEST(a_miss_asks_once_and_fills),
        TEST(fetches_need_x_and_loads_r),
        TEST(a_fault_names_the_page_that_refused),
        TEST(rom_is_read_directly_and_not_written),
        TEST(a_hole_is_a_decode_error),
        TEST(devices_are_called_and_leave_the_block),
        TEST(devices_get_numbers_whatever_the_order_of_bytes),
        TEST(devices_refuse_and_fail),
        TEST(misaligned_device_accesses_come_in_aligned_pieces),
        TEST(a_store_over_ram_and_device_asks_the_device_first),
        TEST(a_page_of_fragments_is_never_direct),
        TEST(a_narrow_span_is_not_remembered),
        TEST(a_declared_alignment_is_enforced),
        TEST(another_space_may_answer),
        TEST(a_touch_translates_fills_and_gives_the_host_address),
        TEST(a_probing_touch_changes_nothing),
    };
    return cmocka_run_group_tests_name("tlb_slow", tests, NULL, NULL);
}
