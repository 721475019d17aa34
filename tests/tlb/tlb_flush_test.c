/* SPDX-License-Identifier: MIT */
/* tlb_flush_test.c - each restriction of a scope, what it spares, and what is posted. */
#include "fake_guest.h"

#define DATA (GUEST_RAM + UINT64_C(0x100000))

static struct fake fake;
static struct sm_fault fault;

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

static void load(sm_gva gva, unsigned mode)
{
    struct sm_value value;
    assert_int_equal(sm_tlb_read_slow(fake.vcpu, gva, op_of(0, mode), &value, &fault),
                     SM_STEP_DONE);
}

static bool hits(sm_gva gva)
{
    return fake_hit(&fake, MODE_S, gva, 1, SM_READ, NULL);
}

static const struct sm_tlb_key all_ones = {{UINT64_MAX, UINT64_MAX, UINT64_MAX}};

static void flush(sm_gva first, sm_gva last)
{
    const struct sm_tlb_scope scope = {
        .range = {first, last}, .modes = UINT16_MAX, .stage = 1};
    sm_tlb_flush_local(fake.vcpu, &scope);
    sm_vcpu_check(fake.vcpu);
}

/** Pages 0..511 of the first 2 MiB, global where @n is a multiple of 8. */
static void fill_pages(void)
{
    for (unsigned n = 0; n < 512; n++) {
        fake_map(&fake, GUEST_RAM, n * UINT64_C(0x1000),
                 pte_of(DATA + n * UINT64_C(0x1000), PTE_RWXAD | (n % 8 ? 0 : PTE_G)));
        load(n * UINT64_C(0x1000), MODE_S);
    }
}

static unsigned n_hits(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < 512; i++)
        n += hits(i * UINT64_C(0x1000));
    return n;
}

static void everything_goes(void **state)
{
    fill_pages();
    assert_int_equal(n_hits(), 512);
    sm_tlb_flush_local(fake.vcpu, &sm_tlb_scope_everything);
    assert_int_equal(n_hits(), 0);
    assert_int_equal(fake.n_flushed, 1);
    const struct sm_tlb_stats stats = fake_stats(&fake);
    assert_int_equal(stats.flushes, 1);
    assert_int_equal(stats.flushes_page, 0);
    assert_int_equal(stats.flushed, 1024); /* writes were filled with the reads */
    sm_tlb_flush_local(fake.vcpu, &sm_tlb_scope_everything);
    assert_int_equal(fake_stats(&fake).flushed, 1024);
}

static void a_range_takes_its_pages_only(void **state)
{
    fill_pages();
    flush(0x5abc, 0x5abc);
    assert_false(hits(0x5000));
    assert_int_equal(n_hits(), 511);
    flush(0x8fff, 0xa000); /* pages 8, 9, 10 */
    assert_true(!hits(0x8000) && !hits(0x9000) && !hits(0xa000) && hits(0x7000) &&
                hits(0xb000));
    flush(0x100000, 0x1fffff); /* more than are looked up one by one */
    assert_int_equal(n_hits(), 256 - 4);
    assert_int_equal(fake_stats(&fake).flushes_page, 3);
    assert_int_equal(fake.last_scope.range.first, 0x100000);
    load(0x5000, MODE_S);
    assert_true(hits(0x5000));
}

static void a_range_may_end_with_the_address_space(void **state)
{
    const sm_gva last = UINT64_MAX & SM_PAGE_MASK;

    guest_put(&fake.guest, GUEST_RAM, 511, pte_of(GUEST_RAM + 0x1000, PTE_V));
    guest_put(&fake.guest, GUEST_RAM + 0x1000, 511, pte_of(GUEST_RAM + 0x2000, PTE_V));
    guest_put(&fake.guest, GUEST_RAM + 0x2000, 511, pte_of(DATA, PTE_RWXAD));
    load(last, MODE_S);
    assert_true(hits(last));
    flush(0, UINT64_MAX - 0x1000);
    assert_true(hits(last));
    flush(UINT64_MAX, UINT64_MAX);
    assert_false(hits(last));
    load(last, MODE_S);
    flush(1, UINT64_MAX);
    assert_false(hits(last));
}

static void global_entries_may_be_kept(void **state)
{
    struct sm_tlb_scope scope = sm_tlb_scope_everything;

    fill_pages();
    scope.keep_global = true;
    sm_tlb_flush_local(fake.vcpu, &scope);
    assert_int_equal(n_hits(), 64);
    assert_true(hits(0) && hits(0x8000) && !hits(0x1000));
    scope.range = (struct sm_range){0x8000, 0x8000};
    sm_tlb_flush_local(fake.vcpu, &scope);
    assert_true(hits(0x8000));
    scope.keep_global = false;
    sm_tlb_flush_local(fake.vcpu, &scope);
    assert_false(hits(0x8000));
    sm_vcpu_check(fake.vcpu);
}

static void a_key_under_a_mask_selects_spaces(void **state)
{
    struct sm_tlb_scope scope = sm_tlb_scope_everything;

    fake_map(&fake, GUEST_RAM, 0x5000, pte_of(DATA, PTE_RWXAD));
    for (unsigned asid = 1; asid <= 4; asid++) {
        fake_select(&fake, GUEST_RAM, asid);
        load(0x5000, MODE_S);
    }
    scope.key.word[1] = 2;
    scope.mask.word[1] = UINT64_MAX;
    sm_tlb_flush_local(fake.vcpu, &scope); /* an unselected context */
    for (unsigned asid = 1; asid <= 4; asid++) {
        fake_select(&fake, GUEST_RAM, asid);
        assert_int_equal(hits(0x5000), asid != 2);
    }
    scope.key = (struct sm_tlb_key){{GUEST_RAM, 3, 0}};
    scope.mask = all_ones;
    scope.range = (struct sm_range){0x5000, 0x5fff};
    sm_tlb_flush_local(fake.vcpu, &scope);
    for (unsigned asid = 1; asid <= 4; asid++) {
        fake_select(&fake, GUEST_RAM, asid);
        assert_int_equal(hits(0x5000), asid == 1 || asid == 4);
    }
}

static void modes_restrict(void **state)
{
    struct sm_tlb_scope scope = sm_tlb_scope_everything;

    fake_map(&fake, GUEST_RAM, 0x5000, pte_of(DATA, PTE_RWXAD));
    load(0x5000, MODE_S);
    load(0x5000, MODE_SUM);
    load(GUEST_RAM, MODE_BARE);
    scope.modes = 1 << MODE_SUM | 1 << MODE_U;
    sm_tlb_flush_local(fake.vcpu, &scope);
    assert_true(hits(0x5000));
    assert_false(fake_hit(&fake, MODE_SUM, 0x5000, 1, SM_READ, NULL));
    assert_true(fake_hit(&fake, MODE_BARE, GUEST_RAM, 1, SM_READ, NULL));
}

static void any_address_of_a_large_leaf_forgets_it(void **state)
{
    static const sm_gva inside[] = {0x40000000, 0x40000fff, 0x5abcdef0, 0x7fffffff};

    for (unsigned i = 0; i < 4; i++) {
        guest_put(&fake.guest, GUEST_RAM, 1, pte_of(0x80000000, PTE_RWXAD));
        load(0x40123000, MODE_S);
        load(0x40456000, MODE_S);
        flush(0x3fffffff, 0x3fffffff);
        flush(0x80000000, 0x80000000);
        assert_true(hits(0x40123000) && hits(0x40456000));
        flush(inside[i], inside[i]);
        assert_true(!hits(0x40123000) && !hits(0x40456000));
    }
}

static void any_address_of_a_group_forgets_it(void **state)
{
    for (unsigned i = 0; i < 16; i++)
        fake_map(&fake, GUEST_RAM, 0x10000 + i * UINT64_C(0x1000),
                 pte_of(GUEST_RAM + 0x108000, PTE_RWXAD | PTE_N));
    load(0x13000, MODE_S);
    flush(0x20000, 0x20000);
    flush(0xffff, 0xffff);
    assert_true(hits(0x13000));
    flush(0x1f000, 0x1f000);
    assert_false(hits(0x13000));
}

static sm_gva in_leaf(unsigned n)
{
    return ((uint64_t)n << 30) + n * UINT64_C(0x1000); /* no two in one slot */
}

static void more_large_leaves_than_are_told_apart(void **state)
{
    for (unsigned n = 2; n < 250; n += 3) {
        guest_put(&fake.guest, GUEST_RAM, n, pte_of(0x80000000, PTE_RWXAD));
        load(in_leaf(n), MODE_S);
    }
    for (unsigned n = 2; n < 250; n += 3) {
        assert_true(hits(in_leaf(n)));
        flush(((uint64_t)n << 30) + 0x3fffffff, ((uint64_t)n << 30) + 0x3fffffff);
        assert_false(hits(in_leaf(n)));
    }
}

static void a_full_log_still_flushes_all(void **state)
{
    unsigned n = 0;

    guest_put(&fake.guest, GUEST_RAM, 1, pte_of(0x80000000, PTE_RWXAD));
    for (unsigned round = 0; round < 3; round++) {
        for (sm_gva gva = 0x40000000; gva < 0x40000000 + RAM_SIZE; gva += 0x1000)
            load(gva, MODE_S);
        flush(0x40000000, 0x40000000); /* by the scan of the table */
        for (sm_gva gva = 0x40000000; gva < 0x40000000 + RAM_SIZE; gva += 0x1000)
            n += hits(gva);
        assert_int_equal(n, 0);
        for (sm_gva gva = 0x40000000; gva < 0x40000000 + RAM_SIZE; gva += 0x1000)
            load(gva, MODE_S);
        sm_tlb_flush_local(fake.vcpu, &sm_tlb_scope_everything);
        for (sm_gva gva = 0x40000000; gva < 0x40000000 + RAM_SIZE; gva += 0x1000)
            n += hits(gva);
        assert_int_equal(n, 0);
    }
}

static void stage_two_is_flushed_by_ipa(void **state)
{
    struct sm_tlb_scope scope = sm_tlb_scope_everything;
    const uint64_t second = GUEST_RAM + 0x10000;

    /* ipas 0x4000_0000.. are RAM by one leaf, 0x8000_0000.. (the tables) by another. */
    guest_put(&fake.guest, second, 1, pte_of(0x80000000, PTE_RWXAD | PTE_U));
    guest_put(&fake.guest, second, 2, pte_of(0x80000000, PTE_RWXAD | PTE_U));
    fake.second = second;
    fake_select(&fake, GUEST_RAM, 0);
    fake_map(&fake, GUEST_RAM, 0x5000, pte_of(0x40100000, PTE_RWXAD));
    fake_map(&fake, GUEST_RAM, 0x6000, pte_of(0x80100000, PTE_RWXAD));
    load(0x5000, MODE_S);
    load(0x6000, MODE_S);
    scope.stage = 2;
    scope.range = (struct sm_range){0x3fffffff, 0x3fffffff};
    sm_tlb_flush_local(fake.vcpu, &scope);
    assert_true(hits(0x5000) && hits(0x6000));
    scope.range = (struct sm_range){0x7ffff000, 0x7ffff000};
    sm_tlb_flush_local(fake.vcpu, &scope);
    assert_true(!hits(0x5000) && hits(0x6000));
    scope.range = (struct sm_range){0, UINT64_MAX};
    sm_tlb_flush_local(fake.vcpu, &scope);
    assert_true(!hits(0x6000));
}

/* --- Posted scopes ---------------------- */

static void flush_all_reaches_every_vcpu_at_its_safe_point(void **state)
{
    struct sm_vcpu *other;
    struct fake second = fake;
    const struct sm_tlb_scope page = {
        .range = {0x5000, 0x5000}, .modes = UINT16_MAX, .stage = 1};
    sm_ticket ticket;

    fake_vcpu(&second, &other);
    fake_map(&fake, GUEST_RAM, 0x5000, pte_of(DATA, PTE_RWXAD));
    load(0x5000, MODE_S);
    ticket = sm_tlb_flush_all(fake.guest.topo, &page);
    assert_true(hits(0x5000)); /* not before its own safe point */
    assert_int_equal(sm_vcpu_fast(fake.vcpu)->request, 1);
    assert_false(sm_ticket_done(fake.guest.topo, ticket));
    sm_vcpu_settle(fake.vcpu, ticket);
    assert_false(hits(0x5000));
    assert_int_equal(fake.n_flushed, 1);
    assert_true(sm_ticket_done(fake.guest.topo, ticket));
    /* The other is offline: it delays nobody, and learns of it before it runs. */
    second.vcpu = other;
    second.n_flushed = 0;
    sm_vcpu_offline(fake.vcpu);
    sm_vcpu_online(other);
    assert_int_equal(second.n_flushed, 1);
    assert_int_equal(second.last_scope.range.first, 0x5000);
    sm_vcpu_offline(other);
    sm_vcpu_free(other);
    sm_vcpu_online(fake.vcpu);
}

static void too_many_scopes_become_one(void **state)
{
    fill_pages();
    for (unsigned i = 0; i < SM_N_MAIL + 3; i++) {
        const struct sm_tlb_scope page = {.range = {i * 0x1000u, i * 0x1000u},
                                          .modes = UINT16_MAX, .stage = 1};
        (void)!sm_tlb_flush_all(fake.guest.topo, &page);
    }
    sm_vcpu_safe_point(fake.vcpu);
    assert_int_equal(n_hits(), 0);
    assert_int_equal(fake.n_flushed, 1);
    for (unsigned i = 0; i < SM_N_MAIL; i++)
        load(i * 0x1000u, MODE_S);
    for (unsigned i = 0; i < SM_N_MAIL; i++) {
        const struct sm_tlb_scope page = {.range = {i * 0x1000u, i * 0x1000u},
                                          .modes = UINT16_MAX, .stage = 1};
        (void)!sm_tlb_flush_all(fake.guest.topo, &page);
    }
    load(0x100000, MODE_S);
    sm_vcpu_safe_point(fake.vcpu);
    assert_int_equal(n_hits(), 1);
    assert_true(hits(0x100000));
}

static void a_new_map_drops_what_changed(void **state)
{
    struct sm_region *more;
    struct sm_value value;
    sm_ticket ticket;

    load(GUEST_RAM, MODE_BARE);
    assert_int_equal(
        sm_tlb_read_slow(fake.vcpu, 0x20000000, op_of(3, MODE_BARE), &value, &fault),
        SM_STEP_FAULT);
    sm_topology_begin(fake.guest.topo);
    assert_int_equal(sm_region_new_ram(fake.guest.topo, "more", 0x2000, &more), 0);
    assert_int_equal(sm_region_map(fake.guest.root, 0x20000000, more, 0), 0);
    assert_int_equal(sm_topology_commit(fake.guest.topo, &ticket), 0);
    assert_int_equal(sm_vcpu_fast(fake.vcpu)->request, 1);
    sm_vcpu_safe_point(fake.vcpu);
    assert_true(fake_hit(&fake, MODE_BARE, GUEST_RAM, 1, SM_READ, NULL));
    assert_int_equal(fake.n_flushed, 1); /* host addresses that the guest keeps */
    assert_int_equal(fake.last_scope.range.last, UINT64_MAX);
    assert_int_equal(fake.last_scope.modes, UINT16_MAX);
    assert_int_equal(
        sm_tlb_read_slow(fake.vcpu, 0x20000000, op_of(3, MODE_BARE), &value, &fault),
        SM_STEP_DONE);
    /* Gone again: the direct entry with it. */
    assert_true(fake_hit(&fake, MODE_BARE, 0x20000000, 1, SM_READ, NULL));
    sm_topology_begin(fake.guest.topo);
    sm_region_unmap(more);
    assert_int_equal(sm_topology_commit(fake.guest.topo, &ticket), 0);
    sm_vcpu_settle(fake.vcpu, ticket);
    assert_false(fake_hit(&fake, MODE_BARE, 0x20000000, 1, SM_READ, NULL));
    assert_int_equal(
        sm_tlb_read_slow(fake.vcpu, 0x20000000, op_of(3, MODE_BARE), &value, &fault),
        SM_STEP_FAULT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(everything_goes),
        TEST(a_range_takes_its_pages_only),
        TEST(a_range_may_end_with_the_address_space),
        TEST(global_entries_may_be_kept),
        TEST(a_key_under_a_mask_selects_spaces),
        TEST(modes_restrict),
        TEST(any_address_of_a_large_leaf_forgets_it),
        TEST(any_address_of_a_group_forgets_it),
        TEST(more_large_leaves_than_are_told_apart),
        TEST(a_full_log_still_flushes_all),
        TEST(stage_two_is_flushed_by_ipa),
        TEST(flush_all_reaches_every_vcpu_at_its_safe_point),
        TEST(too_many_scopes_become_one),
        TEST(a_new_map_drops_what_changed),
    };
    return cmocka_run_group_tests_name("tlb_flush", tests, NULL, NULL);
}
