/* SPDX-License-Identifier: MIT */
/* context_test.c - the tables that modes read: a selection flushes nothing, sets end. */
#include "fake_guest.h"

#include "base/alloc.h"

#include <errno.h>
#include <limits.h>

#define DATA (GUEST_RAM + UINT64_C(0x100000))

static struct fake fake;
static struct sm_fault fault;

/* Every allocation of the library comes through here: the linker wraps sm_alloc(). */
static bool out_of_memory;
static unsigned allocations_left = UINT_MAX;
void *__real_sm_alloc(size_t size);
void *__wrap_sm_alloc(size_t size);
void *__wrap_sm_alloc(size_t size)
{
    if (out_of_memory || allocations_left == 0)
        return NULL;
    allocations_left -= allocations_left != UINT_MAX;
    return __real_sm_alloc(size);
}

static int setup(void **state)
{
    fake_init(&fake);
    return 0;
}

static int teardown(void **state)
{
    out_of_memory = false;
    fake_fini(&fake);
    return 0;
}

static void load(sm_gva gva, unsigned mode)
{
    struct sm_value value;
    assert_int_equal(sm_tlb_read_slow(fake.vcpu, gva, op_of(0, mode), &value, &fault),
                     SM_STEP_DONE);
}

/** The root of tables for address space @n; each maps 0x5000 to a page of its own. */
static uint64_t tree(unsigned n)
{
    const uint64_t root = GUEST_RAM + n * UINT64_C(0x3000);
    fake_map(&fake, root, 0x5000, pte_of(DATA + n * UINT64_C(0x1000), PTE_RWXAD));
    return root;
}

static void *hit(unsigned mode)
{
    void *host = NULL;
    return fake_hit(&fake, mode, 0x5000, 1, SM_READ, &host) ? host : NULL;
}

static void selecting_another_space_keeps_the_former_entries(void **state)
{
    const uint64_t a = tree(0), b = tree(1);

    fake_select(&fake, a, 1);
    load(0x5000, MODE_S);
    fake_select(&fake, b, 2);
    assert_null(hit(MODE_S));
    load(0x5000, MODE_S);
    assert_ptr_equal(hit(MODE_S), fake.guest.host + 0x101000);
    fake_select(&fake, a, 1);
    assert_ptr_equal(hit(MODE_S), fake.guest.host + 0x100000);
    fake_select(&fake, b, 2);
    assert_ptr_equal(hit(MODE_S), fake.guest.host + 0x101000);
    assert_int_equal(fake.n_fills, 2);
    fake_select(&fake, b, 3); /* another key, though the tables are the same */
    assert_null(hit(MODE_S));
    const struct sm_tlb_stats stats = fake_stats(&fake);
    assert_int_equal(stats.flushes, 0);
    assert_int_equal(stats.evictions, 0);
}

static void modes_have_tables_of_their_own(void **state)
{
    fake_select(&fake, tree(0), 0);
    load(0x5000, MODE_S);
    assert_null(hit(MODE_SUM));
    load(0x5000, MODE_SUM);
    assert_non_null(hit(MODE_SUM));
    assert_true(sm_vcpu_fast(fake.vcpu)->table[MODE_S] !=
                sm_vcpu_fast(fake.vcpu)->table[MODE_SUM]);
}

static void selecting_touches_only_the_modes_named(void **state)
{
    const struct sm_tlb_key key = {{1, 2, 3}};
    const struct sm_tlb_fast before = *sm_vcpu_fast(fake.vcpu);

    load(GUEST_RAM, MODE_BARE);
    sm_tlb_select(fake.vcpu, 1 << MODE_U, &key);
    assert_true(fake_hit(&fake, MODE_BARE, GUEST_RAM, 1, SM_READ, NULL));
    assert_ptr_equal(sm_vcpu_fast(fake.vcpu)->table[MODE_S], before.table[MODE_S]);
    sm_vcpu_check(fake.vcpu);
}

static void selecting_the_same_is_no_change(void **state)
{
    const uint64_t n = fake_stats(&fake).selects;

    fake_select(&fake, GUEST_RAM, 0);
    assert_int_equal(fake_stats(&fake).selects, n);
    fake_select(&fake, GUEST_RAM, 1);
    assert_int_equal(fake_stats(&fake).selects, n + 1);
}

static void the_least_recently_selected_leaves_first(void **state)
{
    for (unsigned n = 0; n < SM_N_CONTEXTS + 8; n++) {
        fake_select(&fake, tree(n), n);
        load(0x5000, MODE_S);
        if (n > 0) { /* keep the first in use */
            fake_select(&fake, tree(0), 0);
            assert_non_null(hit(MODE_S));
        }
        sm_vcpu_check(fake.vcpu);
    }
    assert_true(fake_stats(&fake).evictions >= 8);
    for (unsigned n = 1; n < 8; n++) {
        fake_select(&fake, tree(n), n);
        assert_null(hit(MODE_S));
    }
    fake_select(&fake, tree(SM_N_CONTEXTS + 7), SM_N_CONTEXTS + 7);
    assert_non_null(hit(MODE_S));
    /* What was recycled fills again, with its own entries. */
    for (unsigned n = 1; n < 4; n++) {
        fake_select(&fake, tree(n), n);
        load(0x5000, MODE_S);
        assert_ptr_equal(hit(MODE_S), fake.guest.host + 0x100000 + n * 0x1000);
    }
}

static void more_keys_than_are_remembered(void **state)
{
    struct rng rng = rng_seeded(0xc0);

    for (unsigned i = 0; i < 3000; i++) {
        const unsigned n = (unsigned)rng_below(&rng, 70);
        const struct sm_tlb_key key = {{n, n * 3u, 0}};
        sm_tlb_select(fake.vcpu, (uint16_t)rng_next(&rng), &key);
        if (i % 100 == 0)
            sm_vcpu_check(fake.vcpu);
    }
}

static void without_memory_accesses_go_on_unremembered(void **state)
{
    fake_select(&fake, tree(0), 0);
    out_of_memory = true;
    load(0x5000, MODE_S);
    assert_null(hit(MODE_S));
    out_of_memory = false;
    load(0x5000, MODE_S);
    assert_non_null(hit(MODE_S));
    /* With one table to be had, it is recycled. */
    out_of_memory = true;
    fake_select(&fake, tree(1), 1);
    load(0x5000, MODE_S);
    assert_ptr_equal(hit(MODE_S), fake.guest.host + 0x101000);
    fake_select(&fake, tree(0), 0);
    assert_null(hit(MODE_S));
    sm_vcpu_check(fake.vcpu);
}

/** Space 0 leaves for want of room: a fence of it reaches nothing then, and still what its
 *  walks remembered must not come back with it. */
static void a_recycled_space_forgets_its_walks(void **state)
{
    const uint64_t root = tree(0);

    fake_select(&fake, root, 0);
    load(0x5000, MODE_S);
    for (unsigned n = 1; n <= SM_N_SPACES; n++)
        fake_select(&fake, tree(n), n);
    guest_put(&fake.guest, root + 0x1000, 0, 0); /* no last table any more */
    const struct sm_tlb_scope scope = {
        .range = {0, UINT64_MAX}, .key = {{root, 0, 0}}, .modes = TRANSLATED, .stage = 1,
        .mask = {{UINT64_MAX, UINT64_MAX, UINT64_MAX}}};
    sm_tlb_flush_local(fake.vcpu, &scope);
    fake_select(&fake, root, 0);
    struct sm_value value;
    assert_int_equal(sm_tlb_read_slow(fake.vcpu, 0x5000, op_of(0, MODE_S), &value, &fault),
                     SM_STEP_FAULT);
    sm_vcpu_check(fake.vcpu);
}

static void a_vcpu_is_not_made_without_memory(void **state)
{
    struct sm_address_space *spaces[] = {fake.guest.space};
    const struct sm_vcpu_options options = {
        .struct_size = sizeof options, .spaces = spaces, .n_spaces = 1, .ops = &fake_ops};

    for (unsigned n = 0;; n++) {
        struct sm_vcpu *vcpu = NULL;
        allocations_left = n;
        const int result = sm_vcpu_new(fake.guest.topo, &options, &vcpu);
        allocations_left = UINT_MAX;
        if (!result) {
            assert_true(n >= 3);
            sm_vcpu_free(vcpu);
            break;
        }
        assert_int_equal(result, -ENOMEM);
        assert_null(vcpu);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(selecting_another_space_keeps_the_former_entries),
        TEST(a_recycled_space_forgets_its_walks),
        TEST(a_vcpu_is_not_made_without_memory),
        TEST(modes_have_tables_of_their_own),
        TEST(selecting_touches_only_the_modes_named),
        TEST(selecting_the_same_is_no_change),
        TEST(the_least_recently_selected_leaves_first),
        TEST(more_keys_than_are_remembered),
        TEST(without_memory_accesses_go_on_unremembered),
    };
    return cmocka_run_group_tests_name("context", tests, NULL, NULL);
}
