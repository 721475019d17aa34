/* SPDX-License-Identifier: MIT */
/* refill_test.c - which misses are answered without the guest, and until when. */
#include "fake_guest.h"

#define DATA (GUEST_RAM + UINT64_C(0x100000))

static struct fake fake;
static struct sm_fault fault;

static int setup(void **state)
{
    fake_init(&fake);
    fake.refill = true;
    for (unsigned i = 1; i < 64; i++)
        fake_map(&fake, GUEST_RAM, i * UINT64_C(0x1000),
                 pte_of(DATA + i * UINT64_C(0x1000), PTE_RWXAD));
    return 0;
}

static int teardown(void **state)
{
    fake_fini(&fake);
    return 0;
}

static enum sm_step touch(sm_gva gva, enum sm_access access, uint32_t flags)
{
    void *host;
    const enum sm_step step =
        sm_tlb_touch(fake.vcpu, gva, 8, access, MODE_S, flags, &host, &fault);

    if (step == SM_STEP_DONE && host)
        assert_ptr_equal(host, fake.guest.host + (DATA - GUEST_RAM) + gva);
    return step;
}

/** How often the guest was asked for a miss at @gva. */
static unsigned asks(sm_gva gva, enum sm_access access)
{
    const unsigned before = fake.n_fills;

    assert_int_equal(touch(gva, access, 0), SM_STEP_DONE);
    return fake.n_fills - before;
}

static bool hits(sm_gva gva, enum sm_access access)
{
    return fake_hit(&fake, MODE_S, gva, 1, access, NULL);
}

static void neighbours_are_filled_without_asking(void **state)
{
    assert_int_equal(asks(0x1000, SM_READ), 1); /* makes the context */
    assert_int_equal(asks(0x2000, SM_READ), 1); /* which is told how */
    const uint64_t before = fake_stats(&fake).fills[SM_READ];
    assert_int_equal(asks(0x3000, SM_READ), 0);
    assert_true(hits(0x3000, SM_READ) && hits(0x3000, SM_WRITE));
    assert_false(hits(0x3000, SM_FETCH));
    assert_int_equal(asks(0x4008, SM_WRITE), 0);
    assert_true(hits(0x4000, SM_READ) && hits(0x4000, SM_WRITE));
    assert_int_equal(asks(0x5000, SM_FETCH), 0);
    assert_true(hits(0x5000, SM_FETCH) && !hits(0x5000, SM_READ));
    /* Counted as any other miss. */
    const struct sm_tlb_stats stats = fake_stats(&fake);
    assert_int_equal(stats.fills[SM_READ], before + 1);
    assert_int_equal(stats.fills[SM_WRITE], 1);
    assert_int_equal(stats.fills[SM_FETCH], 1);
    assert_true(stats.depth[1] >= 3);
}

static void what_is_to_be_judged_is_asked_for(void **state)
{
    assert_int_equal(asks(0x1000, SM_READ) + asks(0x2000, SM_READ), 2);
    fake_map(&fake, GUEST_RAM, 0x3000, 0);
    const unsigned before = fake.n_fills;
    assert_int_equal(touch(0x3000, SM_READ, 0), SM_STEP_FAULT);
    assert_int_equal(fake.n_fills, before + 1);
    /* Bits that no leaf had so far: once. */
    fake_map(&fake, GUEST_RAM, 0x4000, pte_of(DATA + 0x4000, PTE_RWXAD & ~PTE_X));
    fake_map(&fake, GUEST_RAM, 0x5000, pte_of(DATA + 0x5000, PTE_RWXAD & ~PTE_X));
    assert_int_equal(asks(0x4000, SM_READ), 1);
    assert_int_equal(asks(0x5000, SM_READ), 0);
    assert_int_equal(touch(0x5000, SM_FETCH, 0), SM_STEP_FAULT);
    /* A leaf that is not dirty: its writes, always. */
    fake_map(&fake, GUEST_RAM, 0x6000, pte_of(DATA + 0x6000, PTE_RWXAD & ~PTE_D));
    fake_map(&fake, GUEST_RAM, 0x7000, pte_of(DATA + 0x7000, PTE_RWXAD & ~PTE_D));
    assert_int_equal(asks(0x6000, SM_READ), 1);
    assert_int_equal(asks(0x7000, SM_READ), 0);
    assert_true(hits(0x7000, SM_READ) && !hits(0x7000, SM_WRITE));
    assert_int_equal(touch(0x7000, SM_WRITE, 0), SM_STEP_FAULT);
    /* What is not RAM, or cannot be written. */
    fake_map(&fake, GUEST_RAM, 0x8000, pte_of(IO_AT, PTE_RWXAD));
    fake_map(&fake, GUEST_RAM, 0x9000, pte_of(ROM_AT, PTE_RWXAD));
    assert_int_equal(asks(0x8000, SM_WRITE), 1);
    assert_int_equal(asks(0xa000, SM_READ), 1); /* is aimed at RAM again */
    assert_int_equal(asks(0x9000, SM_WRITE), 1);
}

static void probes_and_cache_operations_are_asked_for(void **state)
{
    unsigned before;

    assert_int_equal(asks(0x1000, SM_READ) + asks(0x2000, SM_READ), 2);
    before = fake.n_fills;
    assert_int_equal(touch(0x3000, SM_READ, SM_REQ_PROBE), SM_STEP_DONE);
    assert_int_equal(touch(0x3000, SM_WRITE, SM_REQ_CACHE_OP), SM_STEP_DONE);
    assert_int_equal(fake.n_fills, before + 2);
    assert_int_equal(touch(0x4000, SM_WRITE, SM_REQ_ATOMIC), SM_STEP_DONE);
    assert_int_equal(fake.n_fills, before + 2);
}

static void a_flush_of_everything_ends_it(void **state)
{
    const struct sm_tlb_scope page = {
        .range = {0x2000, 0x2fff}, .modes = 1 << MODE_S, .stage = 1};
    const struct sm_tlb_scope spared = {.range = {0, UINT64_MAX}, .modes = 1 << MODE_S,
                                        .stage = 1, .keep_global = true};

    assert_int_equal(asks(0x1000, SM_READ) + asks(0x2000, SM_READ), 2);
    sm_tlb_flush_local(fake.vcpu, &page); /* and its table with it */
    assert_int_equal(asks(0x2000, SM_READ), 1);
    assert_int_equal(asks(0x3000, SM_READ), 0);
    /* A flush of one page spares how the others are answered, one of all does not:
     * whether any entry was left or not. */
    sm_tlb_flush_local(fake.vcpu, &sm_tlb_scope_everything);
    assert_int_equal(asks(0x4000, SM_READ), 1);
    assert_int_equal(asks(0x5000, SM_READ), 0);
    sm_tlb_flush_local(fake.vcpu, &spared);
    sm_tlb_flush_local(fake.vcpu, &sm_tlb_scope_everything);
    assert_int_equal(asks(0x5000, SM_READ), 1);
}

static void every_space_has_its_own(void **state)
{
    assert_int_equal(asks(0x1000, SM_READ) + asks(0x2000, SM_READ), 2);
    fake_select(&fake, GUEST_RAM, 5);
    assert_int_equal(asks(0x3000, SM_READ), 1);
    fake_select(&fake, GUEST_RAM, 0);
    assert_int_equal(asks(0x4000, SM_READ), 0); /* as it was */
}

static void a_view_that_changes_ends_it(void **state)
{
    assert_int_equal(asks(0x1000, SM_READ) + asks(0x2000, SM_READ), 2);
    sm_topology_begin(fake.guest.topo);
    sm_region_unmap(fake.guest.ram);
    assert_int_equal(sm_topology_commit(fake.guest.topo, NULL), 0);
    sm_vcpu_safe_point(fake.vcpu);
    assert_int_equal(touch(0x3000, SM_READ, 0), SM_STEP_FAULT);
    sm_topology_begin(fake.guest.topo);
    assert_int_equal(sm_region_map(fake.guest.root, GUEST_RAM, fake.guest.ram, 0), 0);
    assert_int_equal(sm_topology_commit(fake.guest.topo, NULL), 0);
    sm_vcpu_safe_point(fake.vcpu);
    assert_int_equal(asks(0x3000, SM_READ), 1);
}

static void protection_narrows_it(void **state)
{
    fake.refill = true;
    sm_pmp_reset(&fake.pmp, SM_N_PMP);
    sm_pmp_write_addr(&fake.pmp, 0, (DATA + 0x8000) >> 2);
    sm_pmp_write_cfg(&fake.pmp, 0, 1 << SM_PMP_A_SHIFT | SM_PMP_R | SM_PMP_W | SM_PMP_X);
    sm_pmp_write_addr(&fake.pmp, 1, UINT64_MAX);
    sm_pmp_write_cfg(&fake.pmp, 1, 3 << SM_PMP_A_SHIFT | SM_PMP_R);
    sm_tlb_flush_local(fake.vcpu, &sm_tlb_scope_everything);
    assert_int_equal(asks(0x1000, SM_READ) + asks(0x2000, SM_READ), 2);
    assert_int_equal(asks(0x7000, SM_WRITE), 0);
    assert_int_equal(touch(0x8000, SM_WRITE, 0), SM_STEP_FAULT);
    assert_int_equal(asks(0x9000, SM_READ), 1);
    assert_int_equal(asks(0xa000, SM_READ), 0);
    assert_false(hits(0xa000, SM_WRITE));
    assert_int_equal(touch(0xb000, SM_WRITE, 0), SM_STEP_FAULT);
}

static void large_leaves_are_refilled_and_flushed_whole(void **state)
{
    const sm_gva gva = UINT64_C(0x400000);
    const struct sm_tlb_scope inside = {.range = {gva + 0x5000, gva + 0x5fff},
                                        .modes = 1 << MODE_S, .stage = 1};
    void *host;

    guest_put(&fake.guest, GUEST_RAM + 0x1000, (unsigned)(gva >> 21),
              pte_of(GUEST_RAM + 0x200000, PTE_RWXAD));
    assert_int_equal(asks(0x1000, SM_READ) + asks(0x2000, SM_READ), 2);
    for (unsigned i = 0; i < 4; i++) {
        const unsigned before = fake.n_fills;
        assert_int_equal(sm_tlb_touch(fake.vcpu, gva + i * 0x1000, 8, SM_READ, MODE_S, 0,
                                      &host, &fault),
                         SM_STEP_DONE);
        assert_ptr_equal(host, fake.guest.host + 0x200000 + i * 0x1000);
        assert_int_equal(fake.n_fills - before, i == 0);
    }
    assert_true(hits(gva, SM_READ) && hits(gva + 0x3000, SM_READ));
    sm_tlb_flush_local(fake.vcpu, &inside);
    assert_false(hits(gva, SM_READ) || hits(gva + 0x3000, SM_READ));
}

static void oracles_are_always_asked(void **state)
{
    fake_fini(&fake);
    fake_init_flags(&fake, SM_VCPU_WALK_ALWAYS);
    fake.refill = true;
    for (unsigned i = 1; i < 8; i++)
        fake_map(&fake, GUEST_RAM, i * UINT64_C(0x1000),
                 pte_of(DATA + i * UINT64_C(0x1000), PTE_RWXAD));
    for (unsigned i = 1; i < 8; i++)
        assert_int_equal(asks(i * UINT64_C(0x1000), SM_READ), 1);
}

/** What generated code does: look, try, or else ask.  Each access is a miss or
 *  a hit, and where hits are counted each of them is. */
static void a_try_is_no_second_access(void **state)
{
    for (unsigned counts = 0; counts < 2; counts++) {
        struct sm_tlb_stats before, after;

        fake_fini(&fake);
        fake_init_flags(&fake, counts ? SM_VCPU_COUNT_HITS : 0);
        fake.refill = true;
        for (unsigned i = 1; i < 8; i++)
            fake_map(&fake, GUEST_RAM, i * UINT64_C(0x1000),
                     pte_of(DATA + i * UINT64_C(0x1000), PTE_RWXAD));
        assert_int_equal(asks(0x1000, SM_READ) + asks(0x2000, SM_READ), 2);
        before = fake_stats(&fake);
        for (unsigned i = 0; i < 2; i++) {
            const bool hit = hits(0x3008, SM_READ);
            void *const tried =
                hit ? NULL : sm_tlb_try(fake.vcpu, 0x3008, MODE_S, SM_READ);
            void *host;

            assert_int_equal(tried != NULL, !counts && i == 0);
            if (!hit && !tried)
                assert_int_equal(asks(0x3008, SM_READ), 0);
            if (tried) {
                assert_true(sm_tlb_hit(sm_vcpu_fast(fake.vcpu)->table[MODE_S], 0x3008, 8,
                                       SM_READ, &host));
                assert_ptr_equal(tried, host);
            }
        }
        after = fake_stats(&fake);
        assert_int_equal(after.fills[SM_READ] - before.fills[SM_READ], 1);
        assert_int_equal(after.hits[SM_READ] - before.hits[SM_READ], counts);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(neighbours_are_filled_without_asking, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_to_be_judged_is_asked_for, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(probes_and_cache_operations_are_asked_for, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_flush_of_everything_ends_it, setup, teardown),
        cmocka_unit_test_setup_teardown(every_space_has_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(a_view_that_changes_ends_it, setup, teardown),
        cmocka_unit_test_setup_teardown(protection_narrows_it, setup, teardown),
        cmocka_unit_test_setup_teardown(large_leaves_are_refilled_and_flushed_whole,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(oracles_are_always_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(a_try_is_no_second_access, setup, teardown),
    };
    return cmocka_run_group_tests_name("refill", tests, NULL, NULL);
}
