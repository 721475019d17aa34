/* SPDX-License-Identifier: MIT */
/* walk_cache_test.c - what walks remember of tables, when they use it, what ends it. */
#include "guest_tables.h"
#include "mmu/walk_cache.h"

#include <stddef.h>

#define PAGE(n) (GUEST_RAM + (n) * UINT64_C(0x1000))
#define GVA     UINT64_C(0x12345678)

static struct guest guest;
static struct sm_walk walk;
static struct sm_walk_result out;
static struct sm_walk_cache *cache;
static unsigned n_protects, n_visits;
static struct sm_range refused; /* by protect(), to reads, if .first <= .last */

static void protect(void *ctx, sm_gpa gpa, unsigned size, uint8_t *perms,
                    uint8_t *span_bits)
{
    n_protects++;
    if (refused.first > refused.last || (gpa >> 12) != (refused.first >> 12))
        return;
    *span_bits = SM_MIN(*span_bits, (uint8_t)3);
    if (gpa >= refused.first && gpa <= refused.last)
        *perms = 0;
}

static void visit(void *ctx, const struct sm_walk_step *step)
{
    n_visits++;
}

static int setup(void **state)
{
    guest_init(&guest, 1 << 20);
    cache = calloc(1, sizeof(*cache));
    assert_non_null(cache);
    walk = (struct sm_walk){
        .struct_size = sizeof walk, .access = SM_READ, .space = guest.space,
        .attrs = guest_attrs(), .stage = {{&sm_pt_sv39, PAGE(0), 0}}, .cache = cache,
    };
    n_protects = n_visits = 0;
    refused = (struct sm_range){1, 0};
    return 0;
}

static int teardown(void **state)
{
    free(cache);
    guest_fini(&guest);
    return 0;
}

/** Sv39: root at page 0, level 1 at page 1, level 0 at page @last. */
static uint64_t *map(sm_gva gva, unsigned last, uint64_t pte)
{
    guest_put(&guest, PAGE(0), gva >> 30 & 511, pte_of(PAGE(1), PTE_V));
    guest_put(&guest, PAGE(1), gva >> 21 & 511, pte_of(PAGE(last), PTE_V));
    guest_put(&guest, PAGE(last), gva >> 12 & 511, pte);
    return guest_entry(&guest, PAGE(last) + (gva >> 12 & 511) * 8);
}

static enum sm_walk_status run(enum sm_access access, sm_gva gva)
{
    memset(&out, 0xcc, sizeof out);
    walk.access = access;
    return sm_walk_run(&walk, gva, 1, &out);
}

/** Walk to @gva, and say which page came of it; 0: none. */
static sm_gpa page_of(sm_gva gva)
{
    return run(SM_READ, gva) == SM_WALK_OK ? out.gpa & SM_PAGE_MASK : 0;
}

/** Exchange the last table under the cache: it is used if the old one still is. */
static bool is_remembered(sm_gva gva)
{
    uint64_t *const upper = guest_entry(&guest, PAGE(1) + (gva >> 21 & 511) * 8);
    const uint64_t was = *upper;
    const sm_gpa before = page_of(gva);

    *upper = 0;
    const sm_gpa after = page_of(gva);
    *upper = was;
    assert_true(after == 0 || after == before);
    return after != 0;
}

static void a_walk_begins_where_one_ended(void **state)
{
    map(GVA, 2, pte_of(0x87654000, PTE_RWXAD));
    assert_true(page_of(GVA) == 0x87654000);
    assert_true(is_remembered(GVA));
    assert_true(is_remembered(GVA)); /* by the verdict as well */
    assert_int_equal(out.gpa, 0x87654678);
    assert_int_equal(out.ipa, 0x87654678);
    assert_int_equal(out.span_bits, 12);
    assert_int_equal(out.leaf_bits[0], 12);
    assert_int_equal(out.leaf_bits[1], 0);
    assert_int_equal(out.perms, SM_PERM_R | SM_PERM_W | SM_PERM_X);
    assert_int_equal(out.memtype[0], 0);
    assert_false(out.global);
    /* The next 2 MiB are another table's. */
    assert_int_equal(run(SM_READ, GVA + 0x200000), SM_WALK_NOT_PRESENT);
    assert_int_equal(out.last.level, 1);
}

static void leaves_are_read_afresh(void **state)
{
    uint64_t *const pte = map(GVA, 2, pte_of(0x87654000, PTE_RWXAD));

    assert_true(page_of(GVA) && page_of(GVA));
    *pte = pte_of(0x11111000, PTE_V | PTE_R | PTE_A | PTE_G);
    assert_true(page_of(GVA) == 0x11111000);
    assert_int_equal(out.perms, SM_PERM_R);
    assert_true(out.global);
    assert_int_equal(run(SM_WRITE, GVA), SM_WALK_DENIED);
    assert_int_equal(out.last.level, 2);
    assert_int_equal(out.last.where, PAGE(2) + (GVA >> 12 & 511) * 8);
    assert_true(out.last.entry == *pte);
    *pte = 0;
    assert_int_equal(run(SM_READ, GVA), SM_WALK_NOT_PRESENT);
    *pte = pte_of(0x22222000, PTE_RWXAD) | PTE_PBMT(1);
    assert_true(page_of(GVA) == 0x22222000);
    assert_int_equal(out.memtype[0], 1);
    assert_true(page_of(GVA) == 0x22222000);
    assert_int_equal(out.memtype[0], 1);
    *pte = pte_of(0x22228000, PTE_RWXAD) | PTE_N; /* 64 KiB */
    for (unsigned i = 0; i < 2; i++) {
        assert_true(page_of(GVA) == (0x22220000 | (GVA & 0xf000)));
        assert_int_equal(out.leaf_bits[0], 16);
    }
    walk.stage[0].flags = SM_WALK_NO_GROUP;
    assert_int_equal(run(SM_READ, GVA), SM_WALK_BAD_ENTRY);
}

static void flags_of_the_stage_are_told_apart(void **state)
{
    static const uint32_t flags[] = {0, SM_WALK_SUM, SM_WALK_USER, SM_WALK_MXR,
                                     SM_WALK_USER | SM_WALK_MXR, SM_WALK_AD};
    static const uint64_t bits[] = {
        PTE_RWXAD, PTE_RWXAD | PTE_U, PTE_V | PTE_X | PTE_A, PTE_V | PTE_X | PTE_A | PTE_U,
        PTE_V | PTE_R | PTE_W | PTE_A, PTE_V | PTE_R | PTE_W, PTE_V | PTE_R | PTE_G | PTE_A};
    uint64_t *const pte = map(GVA, 2, 0);

    /* Twice each, in an order that mixes them: with the cache as without. */
    for (unsigned i = 0; i < 2 * 3 * SM_ARRAY_LEN(flags) * SM_ARRAY_LEN(bits); i++) {
        const unsigned n = i * 5 % (3 * SM_ARRAY_LEN(flags) * SM_ARRAY_LEN(bits));
        const enum sm_access access = (enum sm_access)(n % 3);
        struct sm_walk_result fresh;
        walk.stage[0].flags = flags[n / 3 % SM_ARRAY_LEN(flags)];
        const uint64_t was = pte_of(0x87654000, bits[n / 3 / SM_ARRAY_LEN(flags)]);
        *pte = was;
        walk.cache = NULL;
        memset(&fresh, 0xcc, sizeof fresh);
        walk.access = access;
        const enum sm_walk_status status = sm_walk_run(&walk, GVA, 1, &fresh);
        const uint64_t marked = *pte;
        *pte = was;
        walk.cache = cache;
        assert_int_equal(run(access, GVA), status);
        assert_true(*pte == marked);
        if (status == SM_WALK_OK)
            assert_memory_equal(&out, &fresh, offsetof(struct sm_walk_result, n_read));
        else
            assert_memory_equal(&out.last, &fresh.last, sizeof out.last);
    }
}

static void marks_are_set_in_memory(void **state)
{
    uint64_t *const pte = map(GVA, 2, pte_of(0x87654000, PTE_V | PTE_R | PTE_W));

    walk.stage[0].flags = SM_WALK_AD;
    assert_int_equal(run(SM_READ, GVA), SM_WALK_OK);
    assert_true(is_remembered(GVA));
    assert_true((*pte & (PTE_A | PTE_D)) == PTE_A);
    assert_int_equal(out.perms, SM_PERM_R);
    assert_int_equal(run(SM_WRITE, GVA), SM_WALK_OK);
    assert_true((*pte & (PTE_A | PTE_D)) == (PTE_A | PTE_D));
    assert_int_equal(out.perms, SM_PERM_R | SM_PERM_W);
    *pte &= ~(uint64_t)PTE_D;
    assert_int_equal(run(SM_READ, GVA), SM_WALK_OK);
    assert_int_equal(out.perms, SM_PERM_R);
    assert_false(*pte & PTE_D);
    walk.stage[0].flags = 0;
    assert_int_equal(run(SM_WRITE, GVA), SM_WALK_NOT_ACCESSED);
}

static void flushes_forget_what_they_cover(void **state)
{
    const struct sm_range here = {GVA & ~UINT64_C(7), GVA | 7},
                          beside = {GVA + 0x200000, GVA + 0x200000},
                          far = {0, UINT64_C(1) << 38}, all = {0, UINT64_MAX};

    map(GVA, 2, pte_of(0x87654000, PTE_RWXAD));
    assert_true(sm_walk_cache_is_empty(cache));
    sm_walk_cache_flush(cache, 1, &here); /* before there is anything */
    sm_walk_cache_flush(cache, 2, &all);
    assert_true(page_of(GVA) && is_remembered(GVA));
    assert_false(sm_walk_cache_is_empty(cache));
    sm_walk_cache_flush(cache, 1, &beside);
    assert_true(is_remembered(GVA));
    sm_walk_cache_flush(cache, 1, &here);
    guest_put(&guest, PAGE(1), GVA >> 21 & 511, 0);
    assert_int_equal(run(SM_READ, GVA), SM_WALK_NOT_PRESENT);
    map(GVA, 2, pte_of(0x87654000, PTE_RWXAD));
    const struct sm_range *const wide[] = {&far, &all};
    for (unsigned i = 0; i < 2; i++) {
        assert_true(page_of(GVA) && is_remembered(GVA));
        sm_walk_cache_flush(cache, 1, wide[i]);
        guest_put(&guest, PAGE(1), GVA >> 21 & 511, 0);
        assert_int_equal(run(SM_READ, GVA), SM_WALK_NOT_PRESENT);
        map(GVA, 2, pte_of(0x87654000, PTE_RWXAD));
        assert_true(sm_walk_cache_is_empty(cache));
    }
}

static void generations_that_run_out_start_anew(void **state)
{
    map(GVA, 2, pte_of(0x87654000, PTE_RWXAD));
    assert_true(page_of(GVA) && is_remembered(GVA));
    /* All but one of the generations later, which no one waits for. */
    cache->of[0].generation = -SM_WALK_GENERATION;
    guest_put(&guest, PAGE(1), GVA >> 21 & 511, 0);
    assert_int_equal(run(SM_READ, GVA), SM_WALK_NOT_PRESENT);
    map(GVA, 2, pte_of(0x87654000, PTE_RWXAD));
    assert_true(page_of(GVA) && is_remembered(GVA));
    sm_walk_cache_reset(cache);
    assert_true(cache->of[0].generation == SM_WALK_GENERATION);
    guest_put(&guest, PAGE(1), GVA >> 21 & 511, 0);
    assert_int_equal(run(SM_READ, GVA), SM_WALK_NOT_PRESENT); /* the first's, too */
}

static void another_root_is_another_tree(void **state)
{
    map(GVA, 2, pte_of(0x87654000, PTE_RWXAD));
    assert_true(page_of(GVA) && is_remembered(GVA));
    walk.stage[0].root = PAGE(8);
    assert_int_equal(run(SM_READ, GVA), SM_WALK_NOT_PRESENT);
    walk.stage[0].root = PAGE(0);
    guest_put(&guest, PAGE(1), GVA >> 21 & 511, 0);
    assert_int_equal(run(SM_READ, GVA), SM_WALK_NOT_PRESENT);
}

static void probes_and_visitors_look_for_themselves(void **state)
{
    map(GVA, 2, pte_of(0x87654000, PTE_RWXAD));
    assert_true(page_of(GVA) && is_remembered(GVA));
    guest_put(&guest, PAGE(1), GVA >> 21 & 511, 0);
    walk.stage[0].flags = SM_WALK_PROBE;
    assert_int_equal(run(SM_READ, GVA), SM_WALK_NOT_PRESENT);
    walk.stage[0].flags = 0;
    walk.visit = visit;
    assert_int_equal(run(SM_READ, GVA), SM_WALK_NOT_PRESENT);
    assert_int_equal(n_visits, 2);
    walk.visit = NULL;
    walk.struct_size = offsetof(struct sm_walk, cache); /* of a caller from before */
    assert_int_equal(run(SM_READ, GVA), SM_WALK_NOT_PRESENT);
    walk.struct_size = sizeof walk;
    assert_int_equal(run(SM_READ, GVA), SM_WALK_OK);
}

static void only_plain_entries_are_passed_over(void **state)
{
    map(GVA, 2, pte_of(0x87654000, PTE_RWXAD));
    guest_put(&guest, PAGE(0), GVA >> 30 & 511, pte_of(PAGE(1), PTE_V | PTE_G));
    assert_true(page_of(GVA) && out.global);
    assert_true(page_of(GVA) && out.global);
    assert_false(is_remembered(GVA));
    assert_true(sm_walk_cache_is_empty(cache));
}

static void large_leaves_are_read_afresh_in_their_table(void **state)
{
    uint64_t *const top = guest_entry(&guest, PAGE(0) + (GVA >> 30 & 511) * 8);
    uint64_t *const upper = guest_entry(&guest, PAGE(1) + (GVA >> 21 & 511) * 8);

    map(GVA, 2, pte_of(0x87654000, PTE_RWXAD));
    *upper = pte_of(0x40000000, PTE_RWXAD);
    assert_true(page_of(GVA) == 0x40000000 + (GVA & 0x1ff000));
    *top = 0; /* only who remembers where its table lies finds the leaf now */
    assert_true(page_of(GVA + 0x1000) == 0x40001000 + (GVA & 0x1ff000));
    assert_int_equal(out.leaf_bits[0], 21);
    assert_int_equal(out.span_bits, 21);
    assert_int_equal(out.n_read, 1);
    *upper = pte_of(0x40201000, PTE_RWXAD); /* the same bits, but not aligned */
    assert_int_equal(run(SM_READ, GVA), SM_WALK_BAD_LEAF);
    *upper = pte_of(0x40200000, PTE_RWXAD);
    assert_true(page_of(GVA) == 0x40200000 + (GVA & 0x1ff000));
    *upper = pte_of(PAGE(2), PTE_V); /* it became a table */
    assert_true(page_of(GVA) == 0x87654000);
    assert_int_equal(out.leaf_bits[0], 12);
    sm_walk_cache_flush(cache, 1, &(struct sm_range){GVA, GVA});
    assert_int_equal(run(SM_READ, GVA), SM_WALK_NOT_PRESENT);
}

static void a_table_protected_in_part_is_not_remembered(void **state)
{
    map(GVA, 2, pte_of(0x87654000, PTE_RWXAD));
    map(GVA + 0x1000, 2, pte_of(0x87655000, PTE_RWXAD));
    walk.protect = protect;
    refused.first = PAGE(2) + ((GVA + 0x1000) >> 12 & 511) * 8;
    refused.last = refused.first + 7;
    assert_true(page_of(GVA) == 0x87654000);
    assert_int_equal(run(SM_READ, GVA + 0x1000), SM_WALK_PROTECTED);
    assert_true(sm_walk_cache_is_empty(cache));
    refused = (struct sm_range){1, 0};
    assert_true(page_of(GVA) == 0x87654000);
    n_protects = 0;
    assert_true(page_of(GVA + 0x1000) == 0x87655000);
    assert_int_equal(n_protects, 1); /* of the page itself */
    refused = (struct sm_range){0x87655000, 0x87655fff};
    assert_int_equal(run(SM_READ, GVA + 0x1000), SM_WALK_PROTECTED);
    assert_int_equal(out.last.stage, 0);
    assert_int_equal(out.last.where, 0x87655678);
}

static void marking_asks_protect_for_the_write(void **state)
{
    map(GVA, 2, pte_of(0x87654000, PTE_V | PTE_R | PTE_W));
    walk.stage[0].flags = SM_WALK_AD;
    walk.protect = protect;
    assert_true(page_of(GVA) != 0);
    /* Allowed to read whole, so remembered; but then no more to be written. */
    refused = (struct sm_range){PAGE(2), PAGE(2) + 0xfff};
    assert_int_equal(run(SM_WRITE, GVA), SM_WALK_PROTECTED);
    assert_int_equal(out.last.stage, 1);
}

/* --- Two stages ---------------------- */

#define SECOND PAGE(16) /* four pages of root, then the others */

/** Map guest-physical page @ipa to @gpa: by tables at pages 20 and 21. */
static void map_second(sm_gpa ipa, sm_gpa gpa, uint64_t bits)
{
    guest_put(&guest, SECOND, (unsigned)(ipa >> 30), pte_of(PAGE(20), PTE_V));
    guest_put(&guest, PAGE(20), ipa >> 21 & 511, pte_of(PAGE(21), PTE_V));
    guest_put(&guest, PAGE(21), ipa >> 12 & 511, pte_of(gpa, bits));
}

static void tables_are_found_through_stage_2(void **state)
{
    const struct sm_range page_2 = {0x2000, 0x2fff}, all = {0, UINT64_MAX};
    const uint64_t bits = PTE_RWXAD | PTE_U;

    /* Stage 1's tables at ipas 0 to 0x2000, the page at 0x3000. */
    for (unsigned i = 0; i < 4; i++)
        map_second(i * 0x1000u, PAGE(i), bits);
    guest_put(&guest, PAGE(0), GVA >> 30 & 511, pte_of(0x1000, PTE_V));
    guest_put(&guest, PAGE(1), GVA >> 21 & 511, pte_of(0x2000, PTE_V));
    guest_put(&guest, PAGE(2), GVA >> 12 & 511, pte_of(0x3000, PTE_RWXAD));
    guest_put(&guest, PAGE(5), GVA >> 12 & 511, pte_of(0x1000, PTE_RWXAD));
    walk.stage[0].root = 0;
    walk.stage[1] = (struct sm_walk_stage){&sm_pt_sv39x4, SECOND, 0};
    assert_true(page_of(GVA) == PAGE(3));
    assert_true(page_of(GVA) == PAGE(3));
    assert_true(out.ipa == (0x3000 | (GVA & 0xfff)));
    assert_int_equal(out.leaf_bits[1], 12);
    /* The table moves to page 5: stage 1's own fences say nothing of that. */
    map_second(0x2000, PAGE(5), bits);
    assert_true(page_of(GVA) == PAGE(3));
    sm_walk_cache_flush(cache, 2, &page_2);
    assert_true(page_of(GVA) == PAGE(1));
    assert_true(out.ipa == (0x1000 | (GVA & 0xfff)));
    /* A fence of stage 1 forgets its table only; that of stage 2 is read on. */
    map_second(0x2000, PAGE(2), bits);
    sm_walk_cache_flush(cache, 1, &all);
    assert_true(page_of(GVA) == PAGE(3));
    /* A refusal of the leaf's second stage is that. */
    map_second(0x3000, PAGE(3), PTE_V);
    assert_int_equal(run(SM_READ, GVA), SM_WALK_BAD_ENTRY);
    assert_int_equal(out.last.stage, 2);
    assert_true(out.ipa == (0x3000 | (GVA & 0xfff)));
    assert_false(out.last.implicit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_walk_begins_where_one_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(leaves_are_read_afresh, setup, teardown),
        cmocka_unit_test_setup_teardown(flags_of_the_stage_are_told_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(marks_are_set_in_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(flushes_forget_what_they_cover, setup, teardown),
        cmocka_unit_test_setup_teardown(generations_that_run_out_start_anew, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(another_root_is_another_tree, setup, teardown),
        cmocka_unit_test_setup_teardown(probes_and_visitors_look_for_themselves, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(only_plain_entries_are_passed_over, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(large_leaves_are_read_afresh_in_their_table,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_table_protected_in_part_is_not_remembered, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(marking_asks_protect_for_the_write, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(tables_are_found_through_stage_2, setup, teardown),
    };
    return cmocka_run_group_tests_name("walk_cache", tests, NULL, NULL);
}
