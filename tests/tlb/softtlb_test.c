/* SPDX-License-Identifier: MIT */
/* softtlb_test.c - what a fill installs, and where; the hit path's slots (T1, T2). */
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

static enum sm_step load(sm_gva gva, unsigned mode)
{
    struct sm_value value;
    return sm_tlb_read_slow(fake.vcpu, gva, op_of(0, mode), &value, &fault);
}

static enum sm_step store(sm_gva gva, unsigned mode)
{
    return sm_tlb_write_slow(fake.vcpu, gva, op_of(0, mode), (struct sm_value){1, 0},
                             &fault);
}

static bool hits(sm_gva gva, enum sm_access access)
{
    return fake_hit(&fake, MODE_S, gva, 1, access, NULL);
}

static void a_store_fills_both_a_load_the_empty_write_slot(void **state)
{
    fake_map(&fake, GUEST_RAM, 0x5000, pte_of(DATA, PTE_RWXAD));
    assert_int_equal(store(0x5000, MODE_S), SM_STEP_DONE);
    assert_true(hits(0x5000, SM_READ) && hits(0x5000, SM_WRITE));
    assert_false(hits(0x5000, SM_FETCH));
    fake_map(&fake, GUEST_RAM, 0x6000, pte_of(DATA, PTE_RWXAD));
    assert_int_equal(load(0x6000, MODE_S), SM_STEP_DONE);
    assert_true(hits(0x6000, SM_READ) && hits(0x6000, SM_WRITE));
    /* A load does not turn out the page that was written. */
    sm_gva rival = 0x200000;
    while (sm_tlb_slot(rival) != sm_tlb_slot(0x5000))
        rival += 0x1000;
    guest_put(&fake.guest, GUEST_RAM + 0x1000, (unsigned)(rival >> 21),
              pte_of(GUEST_RAM + 0x200000, PTE_RWXAD));
    assert_int_equal(load(rival, MODE_S), SM_STEP_DONE);
    assert_true(hits(rival, SM_READ) && !hits(rival, SM_WRITE));
    assert_true(hits(0x5000, SM_WRITE) && !hits(0x5000, SM_READ));
}

static void a_clean_leaf_is_not_filled_for_writes(void **state)
{
    fake.flags = SM_WALK_AD;
    fake_map(&fake, GUEST_RAM, 0x5000, pte_of(DATA, PTE_V | PTE_R | PTE_W));
    assert_int_equal(load(0x5000, MODE_S), SM_STEP_DONE);
    assert_true(hits(0x5000, SM_READ) && !hits(0x5000, SM_WRITE));
    assert_int_equal(store(0x5000, MODE_S), SM_STEP_DONE);
    assert_true(hits(0x5000, SM_WRITE));
    assert_int_equal(*guest_entry(&fake.guest, GUEST_RAM + 0x2000 + 5 * 8) &
                         (PTE_A | PTE_D),
                     PTE_A | PTE_D);
}

static void what_is_written_but_not_read_is_not_direct(void **state)
{
    fake.no_read = true;
    fake_map(&fake, GUEST_RAM, 0x5000, pte_of(DATA, PTE_RWXAD));
    assert_int_equal(store(0x5000, MODE_S), SM_STEP_DONE);
    assert_false(hits(0x5000, SM_WRITE));
    assert_false(hits(0x5000, SM_READ));
    assert_int_equal(store(0x5000, MODE_S), SM_STEP_DONE);
    assert_int_equal(fake.n_fills, 1);
}

static void a_page_of_a_large_leaf_is_its_own_entry(void **state)
{
    void *host;

    guest_put(&fake.guest, GUEST_RAM, 0, pte_of(GUEST_RAM, PTE_RWXAD));
    assert_int_equal(load(0x234567, MODE_S), SM_STEP_DONE);
    assert_true(fake_hit(&fake, MODE_S, 0x234000, 8, SM_READ, &host));
    assert_ptr_equal(host, fake.guest.host + 0x234000);
    assert_false(hits(0x235000, SM_READ));
}

static void regions_off_the_page_grid_are_not_direct(void **state)
{
    struct sm_region *odd;
    struct sm_value value;

    /* A window that begins 8 bytes into a page of RAM: its pages straddle host pages, so
     * what is atomic to the guest would not be to the host.  Straddling by whole cache
     * lines is harmless. */
    sm_topology_begin(fake.guest.topo);
    assert_int_equal(sm_region_new_alias(fake.guest.ram, "odd",
                                         (struct sm_range){0x100008, 0x104007}, &odd), 0);
    assert_int_equal(sm_region_map(fake.guest.root, 0x40000000, odd, 0), 0);
    assert_int_equal(sm_topology_commit(fake.guest.topo, NULL), 0);
    sm_vcpu_safe_point(fake.vcpu);
    fake_map(&fake, GUEST_RAM, 0x5000, pte_of(0x40000000, PTE_RWXAD));
    *(uint64_t *)(void *)(fake.guest.host + 0x100008) = 0x1234;
    assert_int_equal(
        sm_tlb_read_slow(fake.vcpu, 0x5000, op_of(3, MODE_S), &value, &fault),
        SM_STEP_DONE);
    assert_int_equal(value.lo, 0x1234);
    assert_false(hits(0x5000, SM_READ));
    sm_topology_begin(fake.guest.topo);
    sm_region_unmap(odd);
    assert_int_equal(sm_topology_commit(fake.guest.topo, NULL), 0);
}

static void stats_are_cut_to_what_the_caller_knows(void **state)
{
    struct sm_tlb_stats stats;

    memset(&stats, 0xcc, sizeof stats);
    stats.struct_size = 16;
    sm_tlb_get_stats(fake.vcpu, &stats);
    assert_int_equal(stats.struct_size, 16);
    assert_int_equal(stats.fills[SM_WRITE], UINT64_C(0xcccccccccccccccc));
}

/* --- Counting, and the oracles ---------------------- */

/** Have a vCPU of @flags instead; 0x5000 and 0x6000 are mapped. */
static void begin_again(uint32_t flags)
{
    fake_fini(&fake);
    fake_init_flags(&fake, flags);
    fake_map(&fake, GUEST_RAM, 0x5000, pte_of(GUEST_RAM + 0x100000, PTE_RWXAD));
    fake_map(&fake, GUEST_RAM, 0x6000, pte_of(GUEST_RAM + 0x101000, PTE_RWXAD));
}

static void load_at(sm_gva gva, unsigned mode)
{
    struct sm_value value;
    assert_int_equal(sm_tlb_read_slow(fake.vcpu, gva, op_of(0, mode), &value, &fault),
                     SM_STEP_DONE);
}

static void hits_are_counted_exactly_when_asked(void **state)
{
    struct sm_tlb_context_stats context = {.struct_size = sizeof context};
    struct sm_tlb_stats stats;

    begin_again(SM_VCPU_COUNT_HITS);
    load_at(0x5000, MODE_S);
    assert_false(fake_hit(&fake, MODE_S, 0x5000, 1, SM_READ, NULL));
    for (unsigned i = 0; i < 10; i++)
        load_at(0x5000 + i, MODE_S);
    load_at(0x6000, MODE_S);
    stats = fake_stats(&fake);
    assert_int_equal(stats.fills[SM_READ], 2);
    assert_int_equal(stats.hits[SM_READ], 10);
    assert_int_equal(stats.hits[SM_WRITE], 0);
    assert_true(sm_tlb_get_context_stats(fake.vcpu, 0, &context));
    assert_int_equal(context.mode, MODE_S);
    assert_true(context.selected);
    assert_true(context.key.word[0] == GUEST_RAM);
    assert_int_equal(context.hits[SM_READ], 10);
    assert_int_equal(context.fills[SM_READ], 2);
    assert_false(sm_tlb_get_context_stats(fake.vcpu, 1, &context));
}

static void depths_tell_how_far_walks_went(void **state)
{
    begin_again(0);
    load_at(0x5000, MODE_S);
    load_at(0x6000, MODE_S);
    load_at(0x6000, MODE_SUM);
    struct sm_value value;
    assert_int_equal(sm_tlb_read_slow(fake.vcpu, GUEST_RAM, op_of(0, MODE_BARE), &value,
                                      &fault),
                     SM_STEP_DONE);
    const struct sm_tlb_stats stats = fake_stats(&fake);
    assert_int_equal(stats.depth[0], 1);
    assert_int_equal(stats.depth[1], 2);
    assert_int_equal(stats.depth[3], 1);
    assert_int_equal(stats.hits[SM_READ], 0); /* nobody counts */
}

static void flushes_are_told_apart_by_cause(void **state)
{
    struct sm_tlb_context_stats context = {.struct_size = sizeof context};
    const struct sm_tlb_scope scope = {
        .range = {0x5000, 0x5fff}, .modes = 1 << MODE_S, .stage = 1};

    begin_again(0);
    load_at(0x5000, MODE_S);
    load_at(0x6000, MODE_SUM);
    sm_tlb_flush_local(fake.vcpu, &scope);
    load_at(0x5000, MODE_S);
    sm_tlb_flush_local(fake.vcpu, &scope);
    load_at(0x5000, MODE_S);
    sm_vcpu_settle(fake.vcpu, sm_tlb_flush_all(fake.guest.topo, &scope));
    load_at(0x5000, MODE_S);
    sm_topology_begin(fake.guest.topo);
    sm_region_unmap(fake.rom);
    assert_int_equal(sm_region_free(fake.rom), 0);
    sm_region_set_enabled(fake.guest.ram, false);
    assert_int_equal(sm_topology_commit(fake.guest.topo, NULL), 0);
    sm_vcpu_safe_point(fake.vcpu);
    struct sm_tlb_stats stats = fake_stats(&fake);
    assert_int_equal(stats.causes[SM_TLB_FENCED], 2);
    assert_int_equal(stats.causes[SM_TLB_ASKED], 1);
    assert_true(stats.causes[SM_TLB_REMAPPED] >= 1);
    for (unsigned n = 0; n < 2; n++) {
        assert_true(sm_tlb_get_context_stats(fake.vcpu, n, &context));
        const bool named = context.mode == MODE_S;
        assert_int_equal(context.causes[SM_TLB_FENCED], named ? 2 : 0);
        assert_int_equal(context.causes[SM_TLB_ASKED], named ? 1 : 0);
        assert_int_equal(context.causes[SM_TLB_REMAPPED], 1);
        /* Read, and write beside it. */
        assert_int_equal(context.flushed, named ? 4 * 2 : 2);
    }
    memset(&context, 0xcc, sizeof context);
    context.struct_size = 8; /* of a caller that knows the mode only */
    assert_true(sm_tlb_get_context_stats(fake.vcpu, 0, &context));
    assert_int_equal(context.struct_size, 8);
    assert_true(context.key.word[0] == UINT64_C(0xcccccccccccccccc));
    sm_topology_begin(fake.guest.topo);
    sm_region_set_enabled(fake.guest.ram, true);
    assert_int_equal(sm_topology_commit(fake.guest.topo, NULL), 0);
    /* Contexts that leave for others. */
    for (unsigned n = 1; n <= SM_N_CONTEXTS; n++) {
        fake_select(&fake, GUEST_RAM, n);
        load_at(0x5000, MODE_S);
    }
    stats = fake_stats(&fake);
    assert_true(stats.causes[SM_TLB_RECYCLED] >= 2);
    assert_int_equal(stats.evictions, stats.causes[SM_TLB_RECYCLED]);
}

static void walking_always_remembers_nothing(void **state)
{
    begin_again(SM_VCPU_WALK_ALWAYS);
    assert_null(sm_vcpu_walk_cache(fake.vcpu, MODE_S));
    for (unsigned i = 1; i <= 5; i++) {
        load_at(0x5000, MODE_S);
        assert_int_equal(fake.n_fills, i);
        assert_false(fake_hit(&fake, MODE_S, 0x5000, 1, SM_READ, NULL));
    }
    assert_int_equal(fake_stats(&fake).depth[3], 5);
    guest_put(&fake.guest, GUEST_RAM + 0x2000, 5, 0); /* seen without a fence */
    struct sm_value value;
    assert_int_equal(sm_tlb_read_slow(fake.vcpu, 0x5000, op_of(0, MODE_S), &value, &fault),
                     SM_STEP_FAULT);
}

static void one_entry_is_one(void **state)
{
    void *host;

    begin_again(SM_VCPU_ONE_ENTRY);
    load_at(0x5000, MODE_S);
    assert_true(fake_hit(&fake, MODE_S, 0x5000, 1, SM_READ, &host));
    assert_ptr_equal(host, fake.guest.host + 0x100000);
    assert_false(fake_hit(&fake, MODE_S, 0x5000, 1, SM_WRITE, NULL));
    load_at(0x6000, MODE_SUM);
    assert_false(fake_hit(&fake, MODE_S, 0x5000, 1, SM_READ, NULL));
    assert_true(fake_hit(&fake, MODE_SUM, 0x6000, 1, SM_READ, NULL));
    load_at(0x5000, MODE_S);
    assert_false(fake_hit(&fake, MODE_SUM, 0x6000, 1, SM_READ, NULL));
    assert_int_equal(fake.n_fills, 3);
    sm_tlb_flush_local(fake.vcpu, &sm_tlb_scope_everything);
    assert_false(fake_hit(&fake, MODE_S, 0x5000, 1, SM_READ, NULL));
    for (unsigned n = 1; n <= 2 * SM_N_CONTEXTS; n++) { /* contexts leave */
        fake_select(&fake, GUEST_RAM, n);
        load_at(0x5000, MODE_S);
        sm_vcpu_check(fake.vcpu);
    }
}

/* --- The hit path ---------------------- */

static void neighbours_never_share_a_slot(void **state)
{
    struct rng rng = rng_seeded(0x12);

    for (uint64_t page = 0; page < 1 << 22; page++)
        assert_true(sm_tlb_slot(page << 12) != sm_tlb_slot((page + 1) << 12));
    for (unsigned bit = 0; bit < 52; bit++) {
        for (uint64_t i = 0; i < 4096; i++) {
            const uint64_t page = (UINT64_C(1) << bit) - 2048 + i;
            assert_true(sm_tlb_slot(page << 12) != sm_tlb_slot((page + 1) << 12));
        }
    }
    for (unsigned i = 0; i < 1000000; i++) {
        const sm_gva gva = rng_next(&rng);
        assert_true(sm_tlb_slot(gva) != sm_tlb_slot(gva + 0x1000));
        assert_true(sm_tlb_slot(gva) < 1u << SM_TLB_INDEX_BITS);
    }
}

static void an_empty_table_hits_nothing(void **state)
{
    struct rng rng = rng_seeded(0x13);

    for (unsigned i = 0; i < 100000; i++) {
        const sm_gva gva = i < 0x2000 ? i - 0x1000u : rng_next(&rng);
        for (unsigned access = 0; access < SM_N_ACCESS; access++)
            assert_false(fake_hit(&fake, MODE_U, gva, 1u << rng_below(&rng, 5),
                                  (enum sm_access)access, NULL));
    }
}

static void a_crossing_access_misses_whatever_is_filled(void **state)
{
    const sm_gva first[] = {0,        0x5000,        0x3ff000,
                            0x400000, 0x7fffffff000, UINT64_MAX << 12};
    const struct sm_tlb_key key = {{1, 0, 0}};

    for (unsigned filled = 0; filled < 4; filled++) {
        for (unsigned i = 0; i < sizeof first / sizeof first[0]; i++) {
            sm_tlb_flush_local(fake.vcpu, &sm_tlb_scope_everything);
            sm_tlb_select(fake.vcpu, 1 << MODE_BARE, &key);
            /* Pages of the bare mode: holes, so entries are by the bus; make them
             * direct, as if RAM were there. */
            struct sm_tlb_context *context = sm_tlb_context_make(fake.vcpu, MODE_BARE);
            for (unsigned half = 0; half < 2; half++) {
                const sm_gva page = first[i] + half * 0x1000;
                if (filled >> half & 1)
                    context->store->table.slot[SM_READ][sm_tlb_slot(page)] =
                        (struct sm_tlb_entry){page, 0};
            }
            for (unsigned bits = 0; bits <= 4; bits++) {
                const unsigned size = 1u << bits;
                for (unsigned offset = 0xff0; offset < 0x1000; offset++) {
                    const sm_gva gva = first[i] + offset;
                    const bool crosses = offset + size > 0x1000;
                    assert_int_equal(fake_hit(&fake, MODE_BARE, gva, size, SM_READ, NULL),
                                     !crosses && (filled & 1));
                }
            }
            for (unsigned half = 0; half < 2; half++)
                context->store->table.slot[SM_READ][sm_tlb_slot(first[i] + half * 0x1000)]
                    .tag = SM_TLB_ABSENT;
        }
    }
}

#define FLASH_AT UINT64_C(0x20000000)

/* Let the flash's reads be calls, or of its memory; the vCPU hears of it when it looks. */
static void set_calls(struct sm_region *flash, bool calls)
{
    sm_topology_begin(fake.guest.topo);
    assert_int_equal(sm_region_set_calls(flash, calls), 0);
    assert_int_equal(sm_topology_commit(fake.guest.topo, NULL), 0);
    sm_vcpu_safe_point(fake.vcpu);
}

static void a_rom_device_is_direct_while_its_memory_is_read(void **state)
{
    struct sm_region *flash;
    struct sm_value value;
    void *host;

    assert_int_equal(
        sm_region_new_rom_device(fake.device, "flash", 0x2000, &fake_io_ops, &flash), 0);
    sm_topology_begin(fake.guest.topo);
    assert_int_equal(sm_region_map(fake.guest.root, FLASH_AT, flash, 0), 0);
    assert_int_equal(sm_topology_commit(fake.guest.topo, NULL), 0);
    sm_vcpu_safe_point(fake.vcpu);
    uint8_t *const memory = sm_region_host(flash);
    memory[0x1008] = 0x5a;
    fake.io_value = 0x77;
    fake_map(&fake, GUEST_RAM, 0x5000, pte_of(FLASH_AT + 0x1000, PTE_RWXAD));
    for (int round = 0; round < 2; round++) {
        /* Loads and fetches are direct; stores are the device's, and stay so. */
        assert_int_equal(sm_tlb_read_slow(fake.vcpu, 0x5008, op_of(0, MODE_S), &value,
                                          &fault),
                         SM_STEP_DONE);
        assert_int_equal(value.lo, 0x5a);
        assert_true(fake_hit(&fake, MODE_S, 0x5008, 8, SM_READ, &host));
        assert_ptr_equal(host, memory + 0x1008);
        assert_int_equal(sm_tlb_touch(fake.vcpu, 0x5008, 4, SM_FETCH, MODE_S, 0, &host,
                                      &fault),
                         SM_STEP_DONE);
        assert_ptr_equal(host, memory + 0x1008);
        assert_true(hits(0x5008, SM_FETCH));
        fake.n_log = 0;
        assert_int_equal(store(0x5008, MODE_S), SM_STEP_DONE_LEAVE);
        assert_false(hits(0x5008, SM_WRITE));
        assert_int_equal(fake.n_log, 1);
        assert_true(fake.log[0].write && fake.log[0].offset == 0x1008);
        assert_int_equal(memory[0x1008], 0x5a);
        assert_true(hits(0x5008, SM_READ));
        /* No reservation and no update is made there, as of ROM. */
        uint64_t old;
        assert_int_equal(sm_tlb_rmw(fake.vcpu, 0x5008, op_of(2, MODE_S), SM_RMW_ADD, 1,
                                    &old, &fault),
                         SM_STEP_FAULT);

        /* The other mode: nothing is direct any more. */
        set_calls(flash, true);
        assert_false(hits(0x5008, SM_READ) || hits(0x5008, SM_FETCH));
        assert_int_equal(sm_tlb_read_slow(fake.vcpu, 0x5008, op_of(0, MODE_S), &value,
                                          &fault),
                         SM_STEP_DONE_LEAVE);
        assert_int_equal(value.lo, 0x77);
        assert_false(hits(0x5008, SM_READ));
        assert_int_equal(sm_tlb_touch(fake.vcpu, 0x5008, 4, SM_FETCH, MODE_S, 0, &host,
                                      &fault),
                         SM_STEP_DONE);
        assert_null(host);
        set_calls(flash, false);
    }
}

/* Tables in a ROM device are walked, and remembered for as long as they are memory. */
static void tables_in_a_rom_device(void **state)
{
    struct sm_region *flash;

    assert_int_equal(
        sm_region_new_rom_device(fake.device, "flash", 0x3000, &fake_io_ops, &flash), 0);
    sm_topology_begin(fake.guest.topo);
    assert_int_equal(sm_region_map(fake.guest.root, FLASH_AT, flash, 0), 0);
    assert_int_equal(sm_topology_commit(fake.guest.topo, NULL), 0);
    sm_vcpu_safe_point(fake.vcpu);
    uint64_t *const table = sm_region_host(flash);
    table[0] = pte_of(FLASH_AT + 0x1000, PTE_V);
    table[512] = pte_of(FLASH_AT + 0x2000, PTE_V);
    table[1024 + 5] = pte_of(DATA, PTE_RWXAD);
    table[1024 + 6] = pte_of(DATA + 0x1000, PTE_RWXAD);
    fake_select(&fake, FLASH_AT, 9);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(load(0x5000, MODE_S), SM_STEP_DONE);
        assert_int_equal(load(0x6000, MODE_S), SM_STEP_DONE);
        assert_true(hits(0x5000, SM_READ) && hits(0x6000, SM_READ));
        set_calls(flash, true);
        /* To the guest as if it had written the tables: what they said holds until it
         * fences. */
        assert_true(hits(0x5000, SM_READ));
        sm_tlb_flush_local(fake.vcpu, &sm_tlb_scope_everything);
        assert_int_equal(load(0x5000, MODE_S), SM_STEP_FAULT);
        assert_int_equal(load(0x6000, MODE_S), SM_STEP_FAULT);
        set_calls(flash, false);
        sm_tlb_flush_local(fake.vcpu, &sm_tlb_scope_everything);
    }
    assert_int_equal(fake.n_log, 0); /* walks call no device */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_store_fills_both_a_load_the_empty_write_slot),
        TEST(a_clean_leaf_is_not_filled_for_writes),
        TEST(what_is_written_but_not_read_is_not_direct),
        TEST(a_page_of_a_large_leaf_is_its_own_entry),
        TEST(regions_off_the_page_grid_are_not_direct),
        TEST(a_rom_device_is_direct_while_its_memory_is_read),
        TEST(tables_in_a_rom_device),
        TEST(stats_are_cut_to_what_the_caller_knows),
        TEST(hits_are_counted_exactly_when_asked),
        TEST(depths_tell_how_far_walks_went),
        TEST(flushes_are_told_apart_by_cause),
        TEST(walking_always_remembers_nothing),
        TEST(one_entry_is_one),
        TEST(neighbours_never_share_a_slot),
        TEST(an_empty_table_hits_nothing),
        TEST(a_crossing_access_misses_whatever_is_filled),
    };
    return cmocka_run_group_tests_name("softtlb", tests, NULL, NULL);
}
