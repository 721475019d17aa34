/* SPDX-License-Identifier: MIT */
/* ptwalk_test.c - the walk, on tables worked out by hand: every status, format, stage. */
#include "guest_tables.h"

/* Pages of guest RAM. */
#define PAGE(n) (GUEST_RAM + (n) * UINT64_C(0x1000))

static struct guest guest;
static struct sm_walk walk;
static struct sm_walk_result out;

static int setup(void **state)
{
    guest_init(&guest, 1 << 20);
    walk = (struct sm_walk){
        .struct_size = sizeof walk, .access = SM_READ, .space = guest.space,
        .attrs = guest_attrs(), .stage = {{&sm_pt_sv39, PAGE(0), 0}},
    };
    memset(&out, 0xcc, sizeof out);
    return 0;
}

static int teardown(void **state)
{
    guest_fini(&guest);
    return 0;
}

static enum sm_walk_status run(enum sm_access access, uint64_t address)
{
    walk.access = access;
    return sm_walk_run(&walk, address, 1, &out);
}

/** Sv39: root at page 0, level 1 at page 1, level 0 at page 2; returns the last. */
static sm_gpa map_tables(uint64_t address)
{
    guest_put(&guest, PAGE(0), address >> 30 & 511, pte_of(PAGE(1), PTE_V));
    guest_put(&guest, PAGE(1), address >> 21 & 511, pte_of(PAGE(2), PTE_V));
    return PAGE(2) + (address >> 12 & 511) * 8;
}

static void map(uint64_t address, uint64_t pte)
{
    *guest_entry(&guest, map_tables(address)) = pte;
}

static void without_stages_an_address_is_itself(void **state)
{
    walk.stage[0].format = NULL;
    assert_int_equal(run(SM_WRITE, 0x123456789abcdef0), SM_WALK_OK);
    assert_int_equal(out.gpa, 0x123456789abcdef0);
    assert_int_equal(out.ipa, out.gpa);
    assert_int_equal(out.perms, SM_PERM_R | SM_PERM_W | SM_PERM_X);
    assert_int_equal(out.span_bits, 64);
    assert_int_equal(out.leaf_bits[0], 0);
    assert_int_equal(out.leaf_bits[1], 0);
    assert_false(out.global);
}

static void a_page_is_found(void **state)
{
    map(0x12345678, pte_of(0x87654000, PTE_RWXAD));
    assert_int_equal(run(SM_READ, 0x12345678), SM_WALK_OK);
    assert_int_equal(out.gpa, 0x87654678);
    assert_int_equal(out.ipa, 0x87654678);
    assert_int_equal(out.span_bits, 12);
    assert_int_equal(out.leaf_bits[0], 12);
    assert_int_equal(out.leaf_bits[1], 0);
    assert_int_equal(out.perms, SM_PERM_R | SM_PERM_W | SM_PERM_X);
    assert_int_equal(out.memtype[0], 0);
    assert_false(out.global);
}

static void each_format_walks_its_own_levels(void **state)
{
    static const struct {
        const struct sm_pt_format *format;
        unsigned levels;
        uint64_t address;
    } row[] = {{&sm_pt_sv39, 3, UINT64_C(0xffffffc123456789)},
               {&sm_pt_sv48, 4, UINT64_C(0xffff8123456789ab)},
               {&sm_pt_sv57, 5, UINT64_C(0xff23456789abcdef)},
               {&sm_pt_sv39, 3, UINT64_C(0x0000003123456789)},
               {&sm_pt_sv48, 4, UINT64_C(0x00007123456789ab)},
               {&sm_pt_sv57, 5, UINT64_C(0x0023456789abcdef)}};

    for (unsigned i = 0; i < sizeof row / sizeof row[0]; i++) {
        memset(guest.host, 0, guest.size);
        walk.stage[0].format = row[i].format;
        for (unsigned level = 0; level < row[i].levels; level++) {
            const unsigned shift = 12 + 9 * (row[i].levels - 1 - level);
            const bool last = level + 1 == row[i].levels;
            guest_put(&guest, PAGE(level), row[i].address >> shift & 511,
                      last ? pte_of(0x55555000, PTE_RWXAD)
                           : pte_of(PAGE(level + 1), PTE_V));
        }
        assert_int_equal(run(SM_FETCH, row[i].address), SM_WALK_OK);
        assert_int_equal(out.gpa, 0x55555000 | (row[i].address & 0xfff));
    }
}

static void sv32_has_entries_of_four_bytes(void **state)
{
    uint32_t *table = (uint32_t *)(void *)guest.host;

    walk.stage[0].format = &sm_pt_sv32;
    table[0x301] = (uint32_t)pte_of(PAGE(1), PTE_V);
    table[1024 + 0x155] = UINT32_C(0xfffffc00) | PTE_RWXAD; /* page 0x3fffff */
    assert_int_equal(run(SM_READ, 0xc0555123), SM_WALK_OK);
    assert_int_equal(out.gpa, UINT64_C(0x3fffff123));
    assert_int_equal(run(SM_READ, UINT64_C(0x1c0555123)), SM_WALK_NOT_CANONICAL);
    table[0x001] = UINT32_C(0x12300400) | PTE_RWXAD; /* 4 MiB, misaligned */
    assert_int_equal(run(SM_READ, 0x00400000), SM_WALK_BAD_LEAF);
    table[0x001] = UINT32_C(0x12300000) | PTE_RWXAD;
    assert_int_equal(run(SM_READ, 0x00654321), SM_WALK_OK);
    assert_int_equal(out.gpa, 0x48c00000 + 0x254321);
    assert_int_equal(out.leaf_bits[0], 22);
}

static void high_bits_repeat_the_sign(void **state)
{
    guest_put(&guest, PAGE(0), 256, pte_of(0x40000000, PTE_RWXAD));
    guest_put(&guest, PAGE(0), 0, pte_of(0x80000000, PTE_RWXAD));
    assert_int_equal(run(SM_READ, UINT64_C(0xffffffc000000010)), SM_WALK_OK);
    assert_int_equal(out.gpa, 0x40000010);
    assert_int_equal(run(SM_READ, UINT64_C(0x0000004000000010)), SM_WALK_NOT_CANONICAL);
    assert_int_equal(out.last.stage, 1);
    assert_int_equal(out.last.status, SM_WALK_NOT_CANONICAL);
    assert_int_equal(run(SM_READ, UINT64_C(0x7fffffc000000010)), SM_WALK_NOT_CANONICAL);
    assert_int_equal(run(SM_READ, UINT64_C(0xffffff8000000010)), SM_WALK_NOT_CANONICAL);
    assert_int_equal(run(SM_READ, UINT64_C(0x8000000000000010)), SM_WALK_NOT_CANONICAL);
    assert_int_equal(run(SM_READ, 0x10), SM_WALK_OK);
}

static void leaves_of_upper_levels_are_large(void **state)
{
    guest_put(&guest, PAGE(0), 2, pte_of(0x40000000, PTE_RWXAD));
    assert_int_equal(run(SM_READ, 0x8abcdef1), SM_WALK_OK);
    assert_int_equal(out.gpa, 0x4abcdef1);
    assert_int_equal(out.leaf_bits[0], 30);
    assert_int_equal(out.span_bits, 30);

    guest_put(&guest, PAGE(0), 3, pte_of(PAGE(1), PTE_V));
    guest_put(&guest, PAGE(1), 5, pte_of(0x40200000, PTE_RWXAD));
    assert_int_equal(run(SM_READ, 0xc0a54321), SM_WALK_OK);
    assert_int_equal(out.gpa, 0x40254321);
    assert_int_equal(out.leaf_bits[0], 21);

    guest_put(&guest, PAGE(0), 2, pte_of(0x40001000, PTE_RWXAD));
    assert_int_equal(run(SM_READ, 0x80000000), SM_WALK_BAD_LEAF);
    guest_put(&guest, PAGE(1), 5, pte_of(0x40300000, PTE_RWXAD));
    assert_int_equal(run(SM_READ, 0xc0a00000), SM_WALK_BAD_LEAF);
    assert_int_equal(out.last.level, 1);
    assert_int_equal(out.last.where, PAGE(1) + 5 * 8);
    assert_int_equal(out.last.entry, pte_of(0x40300000, PTE_RWXAD));
    assert_int_equal(out.last.address, 0x40300000);
}

static void entries_that_are_not_present_or_reserved(void **state)
{
    static const struct {
        uint64_t pte;
        enum sm_walk_status status;
    } leaf[] = {
        {0, SM_WALK_NOT_PRESENT},
        {PTE_RWXAD & ~PTE_V, SM_WALK_NOT_PRESENT},
        {~(uint64_t)PTE_V, SM_WALK_NOT_PRESENT},
        {PTE_V | PTE_A | PTE_D | PTE_W, SM_WALK_BAD_ENTRY},
        {PTE_V | PTE_A | PTE_D | PTE_W | PTE_X, SM_WALK_BAD_ENTRY},
        {PTE_V, SM_WALK_BAD_ENTRY},                        /* table at the end */
        {PTE_RWXAD | UINT64_C(1) << 54, SM_WALK_BAD_ENTRY},
        {PTE_RWXAD | UINT64_C(1) << 57, SM_WALK_BAD_ENTRY},
        {PTE_RWXAD | UINT64_C(1) << 60, SM_WALK_BAD_ENTRY},
        {PTE_RWXAD | PTE_PBMT(3), SM_WALK_BAD_ENTRY},
        {PTE_RWXAD | PTE_PBMT(2), SM_WALK_OK},
        {PTE_RWXAD | 3 << 8, SM_WALK_OK},                  /* RSW */
        {PTE_RWXAD | PTE_N, SM_WALK_BAD_ENTRY},            /* ppn[3:0] 0 */
        {PTE_RWXAD | PTE_N | 4 << 10, SM_WALK_BAD_ENTRY},
        {PTE_RWXAD | PTE_N | 9 << 10, SM_WALK_BAD_ENTRY},
        {PTE_RWXAD | PTE_N | 8 << 10, SM_WALK_OK},
    };

    for (unsigned i = 0; i < sizeof leaf / sizeof leaf[0]; i++) {
        map(0x1000, leaf[i].pte);
        assert_int_equal(run(SM_READ, 0x1000), leaf[i].status);
        if (leaf[i].status != SM_WALK_OK) {
            assert_int_equal(out.last.status, leaf[i].status);
            assert_int_equal(out.last.level, 2);
            assert_int_equal(out.last.entry, leaf[i].pte);
        }
    }
}

static void a_table_has_more_reserved_bits(void **state)
{
    static const uint64_t bad[] = {
        PTE_U,           PTE_A,       PTE_D,       PTE_N,
        PTE_N | 8 << 10, PTE_PBMT(1), PTE_PBMT(3), UINT64_C(1) << 54};

    map(0x1000, pte_of(0x4000, PTE_RWXAD));
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        guest_put(&guest, PAGE(1), 0, pte_of(PAGE(2), PTE_V) | bad[i]);
        assert_int_equal(run(SM_READ, 0x1000), SM_WALK_BAD_ENTRY);
        assert_int_equal(out.last.level, 1);
    }
    guest_put(&guest, PAGE(1), 0, pte_of(PAGE(2), PTE_V | PTE_G | 3 << 8));
    assert_int_equal(run(SM_READ, 0x1000), SM_WALK_OK);
    assert_true(out.global);
}

static void global_gathers_from_every_level(void **state)
{
    map(0x1000, pte_of(0x4000, PTE_RWXAD | PTE_G));
    assert_int_equal(run(SM_READ, 0x1000), SM_WALK_OK);
    assert_true(out.global);
    map(0x1000, pte_of(0x4000, PTE_RWXAD));
    guest_put(&guest, PAGE(0), 0, pte_of(PAGE(1), PTE_V | PTE_G));
    assert_int_equal(run(SM_READ, 0x1000), SM_WALK_OK);
    assert_true(out.global);
}

static void svnapot_joins_sixteen_pages(void **state)
{
    for (unsigned i = 0; i < 16; i++)
        map(0x10000 + i * 0x1000, pte_of(0x45678000, PTE_RWXAD | PTE_N));
    assert_int_equal(run(SM_READ, 0x1a123), SM_WALK_OK);
    assert_int_equal(out.gpa, 0x4567a123);
    assert_int_equal(out.leaf_bits[0], 16);
    assert_int_equal(out.span_bits, 16);
    walk.stage[0].flags = SM_WALK_NO_GROUP;
    assert_int_equal(run(SM_READ, 0x1a123), SM_WALK_BAD_ENTRY);
    /* Reserved above the last level. */
    walk.stage[0].flags = 0;
    guest_put(&guest, PAGE(1), 1, pte_of(0x40008000, PTE_RWXAD | PTE_N));
    assert_int_equal(run(SM_READ, 0x200000), SM_WALK_BAD_ENTRY);
    guest_put(&guest, PAGE(1), 1, pte_of(0x40000000, PTE_RWXAD | PTE_N));
    assert_int_equal(run(SM_READ, 0x200000), SM_WALK_BAD_ENTRY);
}

static void svpbmt_hands_the_type_on(void **state)
{
    for (unsigned type = 0; type < 3; type++) {
        map(0x1000, pte_of(0x4000, PTE_RWXAD | PTE_PBMT(type)));
        walk.stage[0].flags = 0;
        assert_int_equal(run(SM_READ, 0x1000), SM_WALK_OK);
        assert_int_equal(out.memtype[0], type);
        walk.stage[0].flags = SM_WALK_NO_MEMTYPE;
        assert_int_equal(run(SM_READ, 0x1000), type ? SM_WALK_BAD_ENTRY : SM_WALK_OK);
    }
}

/** What is granted at (flags, pte) for each access, as .perms and by trial. */
static void grants(uint32_t flags, uint64_t bits, unsigned expected)
{
    unsigned by_trial = 0;

    walk.stage[0].flags = flags;
    map(0x1000, pte_of(0x4000, PTE_V | PTE_A | PTE_D | bits));
    for (unsigned access = 0; access < SM_N_ACCESS; access++) {
        const enum sm_walk_status status = run((enum sm_access)access, 0x1000);
        if (status == SM_WALK_OK) {
            by_trial |= 1u << access;
            assert_int_equal(out.perms, expected);
        } else {
            assert_int_equal(status, SM_WALK_DENIED);
        }
    }
    assert_int_equal(by_trial, expected);
}

static void permissions_by_privilege_sum_and_mxr(void **state)
{
    enum { R = SM_PERM_R, W = SM_PERM_W, X = SM_PERM_X };
    enum { USER = SM_WALK_USER, SUM = SM_WALK_SUM, MXR = SM_WALK_MXR };

    grants(0, PTE_R, R);
    grants(0, PTE_R | PTE_W, R | W);
    grants(0, PTE_X, X);
    grants(0, PTE_R | PTE_X, R | X);
    grants(0, PTE_R | PTE_W | PTE_X, R | W | X);
    grants(0, PTE_U | PTE_R | PTE_W | PTE_X, 0);
    grants(SUM, PTE_U | PTE_R | PTE_W | PTE_X, R | W);
    grants(SUM, PTE_U | PTE_X, 0);
    grants(SUM | MXR, PTE_U | PTE_X, R);
    grants(MXR, PTE_U | PTE_X, 0);
    grants(MXR, PTE_X, R | X);
    grants(SUM, PTE_R | PTE_X, R | X);
    grants(USER, PTE_U | PTE_R | PTE_W | PTE_X, R | W | X);
    grants(USER, PTE_U | PTE_R, R);
    grants(USER, PTE_U | PTE_X, X);
    grants(USER | MXR, PTE_U | PTE_X, R | X);
    grants(USER | SUM | MXR, PTE_R | PTE_W | PTE_X, 0);
    grants(USER, PTE_X, 0);
}

static void a_cycle_ends_with_the_levels(void **state)
{
    guest_put(&guest, PAGE(0), 0, pte_of(PAGE(0), PTE_V));
    assert_int_equal(run(SM_READ, 0), SM_WALK_BAD_ENTRY);
    assert_int_equal(out.last.level, 2);
    walk.stage[0].format = &sm_pt_sv57;
    assert_int_equal(run(SM_READ, 0), SM_WALK_BAD_ENTRY);
    assert_int_equal(out.last.level, 4);
}

static void tables_in_nowhere_are_bus_errors(void **state)
{
    walk.stage[0].root = 0x1000;
    assert_int_equal(run(SM_READ, 0), SM_WALK_BUS_ERROR);
    assert_int_equal(out.last.status, SM_WALK_BUS_ERROR);
    assert_int_equal(out.last.where, 0x1000);
    walk.stage[0].root = PAGE(0);
    guest_put(&guest, PAGE(0), 0, pte_of(UINT64_C(0xfffffffffff000), PTE_V));
    assert_int_equal(run(SM_READ, 0x8), SM_WALK_BUS_ERROR);
    assert_int_equal(out.last.level, 1);
}

/* --- Visitor ---------------------- */

static struct sm_walk_step seen[32];
static unsigned n_seen;

static void note(void *ctx, const struct sm_walk_step *step)
{
    assert_ptr_equal(ctx, &guest);
    assert_true(n_seen < 32);
    seen[n_seen++] = *step;
}

static void a_visitor_hears_every_step(void **state)
{
    walk.visit = note;
    walk.ctx = &guest;
    n_seen = 0;
    map(0x1000, pte_of(0x4000, PTE_RWXAD));
    assert_int_equal(run(SM_READ, 0x1000), SM_WALK_OK);
    assert_int_equal(n_seen, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(seen[i].stage, 1);
        assert_int_equal(seen[i].level, i);
        assert_int_equal(seen[i].status, SM_WALK_OK);
        assert_int_equal(seen[i].address, i < 2 ? PAGE(i + 1) : 0x4000);
    }
    assert_int_equal(seen[2].where, PAGE(2) + 8);
    n_seen = 0;
    map(0x1000, 0);
    assert_int_equal(run(SM_READ, 0x1000), SM_WALK_NOT_PRESENT);
    assert_int_equal(n_seen, 3);
    assert_memory_equal(&seen[2], &out.last, sizeof out.last);
}

/* --- Protection ---------------------- */

struct rule {
    sm_gpa first, last;
    uint8_t allowed, span_bits;
};

static void protect_by_rule(void *ctx, sm_gpa gpa, unsigned size, uint8_t *perms,
                            uint8_t *span_bits)
{
    const struct rule *rule = ctx;
    if (gpa + size - 1 >= rule->first && gpa <= rule->last) {
        *perms &= rule->allowed;
        *span_bits = rule->span_bits < *span_bits ? rule->span_bits : *span_bits;
    }
}

static void protection_narrows_the_outcome(void **state)
{
    struct rule rule = {0x4000, 0x4fff, SM_PERM_R, 5};

    walk.protect = protect_by_rule;
    walk.ctx = &rule;
    map(0x1000, pte_of(0x4000, PTE_RWXAD));
    assert_int_equal(run(SM_READ, 0x1000), SM_WALK_OK);
    assert_int_equal(out.perms, SM_PERM_R);
    assert_int_equal(out.span_bits, 5);
    assert_int_equal(out.leaf_bits[0], 12);
    assert_int_equal(run(SM_WRITE, 0x1008), SM_WALK_PROTECTED);
    assert_int_equal(out.last.stage, 0);
    assert_int_equal(out.last.address, 0x4008);
}

static void protection_covers_the_tables(void **state)
{
    struct rule rule = {PAGE(1), PAGE(1) + 7, SM_PERM_W | SM_PERM_X, 3};

    walk.protect = protect_by_rule;
    walk.ctx = &rule;
    map(0x1000, pte_of(0x4000, PTE_RWXAD));
    assert_int_equal(run(SM_FETCH, 0x1000), SM_WALK_PROTECTED);
    assert_int_equal(out.last.stage, 1);
    assert_int_equal(out.last.level, 1);
    rule.allowed = SM_PERM_R; /* reading it is enough, as nothing is marked there */
    assert_int_equal(run(SM_WRITE, 0x1000), SM_WALK_OK);
}

/* --- Two stages ---------------------- */

/** Stage 2, Sv39x4 with its root at pages 16..19: gpas 2 GiB.. map to RAM and gpa
 *  0x4000_0000.. to it, too; stage 1's tables are named by the latter. */
static void second_stage(void)
{
    walk.stage[1] = (struct sm_walk_stage){&sm_pt_sv39x4, PAGE(16), 0};
    guest_put(&guest, PAGE(16), 1, pte_of(0x80000000, PTE_RWXAD | PTE_U));
}

#define IPA(n) (UINT64_C(0x40000000) + (n) * UINT64_C(0x1000))

static void map_two(uint64_t address, uint64_t pte)
{
    walk.stage[0].root = IPA(0);
    guest_put(&guest, PAGE(0), address >> 30 & 511, pte_of(IPA(1), PTE_V));
    guest_put(&guest, PAGE(1), address >> 21 & 511, pte_of(IPA(2), PTE_V));
    guest_put(&guest, PAGE(2), address >> 12 & 511, pte);
}

static void two_stages_compose(void **state)
{
    second_stage();
    map_two(0x5000, pte_of(IPA(9), PTE_RWXAD | PTE_G | PTE_PBMT(1)));
    assert_int_equal(run(SM_WRITE, 0x5678), SM_WALK_OK);
    assert_int_equal(out.ipa, IPA(9) + 0x678);
    assert_int_equal(out.gpa, PAGE(9) + 0x678);
    assert_int_equal(out.leaf_bits[0], 12);
    assert_int_equal(out.leaf_bits[1], 30);
    assert_int_equal(out.span_bits, 12);
    assert_int_equal(out.memtype[0], 1);
    assert_int_equal(out.memtype[1], 0);
    assert_true(out.global);
}

static void the_root_of_a_second_stage_is_four_pages(void **state)
{
    walk.stage[0].format = NULL;
    second_stage();
    guest_put(&guest, PAGE(16), 2047, pte_of(0x80000000, PTE_RWXAD | PTE_U));
    assert_int_equal(run(SM_READ, UINT64_C(0x1ffc0001234)), SM_WALK_OK);
    assert_int_equal(out.gpa, 0x80001234);
    assert_int_equal(out.ipa, UINT64_C(0x1ffc0001234));
    assert_int_equal(run(SM_READ, UINT64_C(0x20000001234)), SM_WALK_NOT_CANONICAL);
    assert_int_equal(out.last.stage, 2);
    assert_int_equal(out.ipa, UINT64_C(0x20000001234));
    assert_int_equal(run(SM_READ, UINT64_C(0xffffffffc0001234)), SM_WALK_NOT_CANONICAL);
}

static void a_second_stage_wants_user_leaves(void **state)
{
    walk.stage[0].format = NULL;
    second_stage();
    guest_put(&guest, PAGE(16), 2, pte_of(0x80000000, PTE_RWXAD));
    for (unsigned flags = 0; flags < 8; flags++) {
        walk.stage[1].flags = (flags & 1 ? SM_WALK_USER : 0) |
                              (flags & 2 ? SM_WALK_SUM : 0) |
                              (flags & 4 ? SM_WALK_MXR : 0);
        assert_int_equal(run(SM_READ, 0x80000000), SM_WALK_DENIED);
        assert_int_equal(out.last.stage, 2);
        assert_int_equal(run(SM_FETCH, 0x40000000), SM_WALK_OK);
        assert_false(out.global);
    }
    guest_put(&guest, PAGE(16), 2,
              pte_of(0x80000000, PTE_V | PTE_A | PTE_U | PTE_X | PTE_G));
    walk.stage[1].flags = 0;
    assert_int_equal(run(SM_READ, 0x80000000), SM_WALK_DENIED);
    walk.stage[1].flags = SM_WALK_MXR;
    assert_int_equal(run(SM_READ, 0x80000000), SM_WALK_OK);
    assert_int_equal(out.perms, SM_PERM_R | SM_PERM_X);
    assert_false(out.global); /* G means nothing in a second stage */
}

static void a_refusal_says_which_stage_and_why(void **state)
{
    second_stage();
    map_two(0x5000, pte_of(IPA(9), PTE_RWXAD));
    /* The outcome's own second stage: 4 KiB pages that lack page 9. */
    guest_put(&guest, PAGE(16), 1, pte_of(PAGE(20), PTE_V));
    guest_put(&guest, PAGE(20), 0, pte_of(PAGE(21), PTE_V));
    for (unsigned i = 0; i < 9; i++)
        guest_put(&guest, PAGE(21), i, pte_of(PAGE(i), PTE_RWXAD | PTE_U));
    assert_int_equal(run(SM_READ, 0x5678), SM_WALK_NOT_PRESENT);
    assert_int_equal(out.last.stage, 2);
    assert_int_equal(out.last.level, 2);
    assert_int_equal(out.last.implicit, 0);
    assert_int_equal(out.ipa, IPA(9) + 0x678);
    /* On behalf of the entry of level 1. */
    guest_put(&guest, PAGE(21), 1, 0);
    n_seen = 0;
    walk.visit = note;
    walk.ctx = &guest;
    assert_int_equal(run(SM_WRITE, 0x5678), SM_WALK_NOT_PRESENT);
    assert_int_equal(out.last.stage, 2);
    assert_int_equal(out.last.implicit, 1);
    assert_int_equal(out.ipa, IPA(1));
    assert_memory_equal(&seen[n_seen - 1], &out.last, sizeof out.last);
    assert_int_equal(n_seen, 3 + 1 + 3); /* the root's place, the root, the refusal */
    /* Stage 1's own refusal, although stage 2 agrees. */
    guest_put(&guest, PAGE(21), 1, pte_of(PAGE(1), PTE_RWXAD | PTE_U));
    map_two(0x5000, pte_of(IPA(9), PTE_V | PTE_A | PTE_R));
    assert_int_equal(run(SM_WRITE, 0x5678), SM_WALK_DENIED);
    assert_int_equal(out.last.stage, 1);
    assert_int_equal(out.last.where, PAGE(2) + 5 * 8);
}

static void permissions_are_those_of_both_stages(void **state)
{
    second_stage();
    map_two(0x5000, pte_of(IPA(9), PTE_V | PTE_A | PTE_D | PTE_R | PTE_W));
    guest_put(&guest, PAGE(16), 1,
              pte_of(0x80000000, PTE_V | PTE_A | PTE_U | PTE_R | PTE_X));
    assert_int_equal(run(SM_READ, 0x5000), SM_WALK_OK);
    assert_int_equal(out.perms, SM_PERM_R);
    assert_int_equal(run(SM_WRITE, 0x5000), SM_WALK_DENIED);
    assert_int_equal(out.last.stage, 2);
    assert_int_equal(run(SM_FETCH, 0x5000), SM_WALK_DENIED);
    assert_int_equal(out.last.stage, 1);
}

/* --- Formats of others: what the flags mean ---------------------- */

#define X86_W  (1 << 1)
#define X86_US (1 << 2)
#define X86_PS (1 << 7)
#define X86_NX (UINT64_C(1) << 63)

/* Permissions gathered over the levels, as x86 has it; two levels for brevity. */
static const struct sm_pt_format cumulating = {
    .struct_size = sizeof cumulating,
    .flags = SM_PT_CUMULATE,
    .name = "cumulating",
    .n_levels = 2,
    .level = {{21, 9, true}, {12, 9, true}},
    .address_mask = UINT64_C(0x000ffffffffff000),
    .present = {1, 1},
    .table = {1 | X86_PS, 1},
    .perm = {{{1, 1}, {X86_W, X86_W}, {X86_NX, 0}},
             {{X86_US, X86_US},
              {X86_US | X86_W, X86_US | X86_W},
              {X86_US | X86_NX, X86_US}}},
    .user = {X86_US, X86_US},
    .accessed = 1 << 5,
    .dirty = 1 << 6,
};

static unsigned gathered(uint32_t flags, uint64_t table_bits, uint64_t leaf_bits)
{
    unsigned perms = 0;

    walk.stage[0] = (struct sm_walk_stage){&cumulating, PAGE(0), flags};
    guest_put(&guest, PAGE(0), 1, PAGE(1) | table_bits | 1);
    guest_put(&guest, PAGE(1), 2, 0x7000 | leaf_bits | 1 | 1 << 5 | 1 << 6 | X86_PS);
    for (unsigned access = 0; access < SM_N_ACCESS; access++)
        perms |= (unsigned)(run((enum sm_access)access, 0x202000) == SM_WALK_OK)
                 << access;
    return perms;
}

static void permissions_may_cumulate(void **state)
{
    enum { R = SM_PERM_R, W = SM_PERM_W, X = SM_PERM_X };
    enum { USER = SM_WALK_USER, SUM = SM_WALK_SUM };

    assert_int_equal(gathered(0, X86_W, X86_W), R | W | X);
    assert_int_equal(gathered(0, 0, X86_W), R | X);
    assert_int_equal(gathered(0, X86_W | X86_NX, X86_W), R | W);
    assert_int_equal(gathered(USER, X86_W | X86_US, X86_W | X86_US), R | W | X);
    assert_int_equal(gathered(USER, X86_W, X86_W | X86_US), 0);
    assert_int_equal(gathered(0, X86_W | X86_US, X86_W | X86_US), X);
    assert_int_equal(gathered(SUM, X86_W | X86_US, X86_W | X86_US), R | W | X);
    assert_int_equal(gathered(0, X86_W, X86_W | X86_US), R | W | X); /* no user's page */
}

static void levels_without_leaves_refuse_them(void **state)
{
    struct sm_pt_format format = sm_pt_sv39;

    format.level[0].leaf = false;
    walk.stage[0].format = &format;
    guest_put(&guest, PAGE(0), 0, pte_of(0x40000000, PTE_RWXAD));
    assert_int_equal(run(SM_READ, 0), SM_WALK_BAD_LEAF);
}

static void entries_may_be_big_endian(void **state)
{
    struct sm_pt_format format = sm_pt_sv39;

    format.flags |= SM_PT_BIG_ENDIAN;
    walk.stage[0].format = &format;
    walk.stage[0].flags = SM_WALK_AD;
    guest_put(&guest, PAGE(0), 0,
              __builtin_bswap64(pte_of(0x40000000, PTE_V | PTE_R | PTE_W)));
    assert_int_equal(run(SM_WRITE, 0x123), SM_WALK_OK);
    assert_int_equal(out.gpa, 0x40000123);
    assert_int_equal(
        *guest_entry(&guest, PAGE(0)),
        __builtin_bswap64(pte_of(0x40000000, PTE_V | PTE_R | PTE_W | PTE_A | PTE_D)));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(without_stages_an_address_is_itself),
        TEST(a_page_is_found),
        TEST(each_format_walks_its_own_levels),
        TEST(sv32_has_entries_of_four_bytes),
        TEST(high_bits_repeat_the_sign),
        TEST(leaves_of_upper_levels_are_large),
        TEST(entries_that_are_not_present_or_reserved),
        TEST(a_table_has_more_reserved_bits),
        TEST(global_gathers_from_every_level),
        TEST(svnapot_joins_sixteen_pages),
        TEST(svpbmt_hands_the_type_on),
        TEST(permissions_by_privilege_sum_and_mxr),
        TEST(a_cycle_ends_with_the_levels),
        TEST(tables_in_nowhere_are_bus_errors),
        TEST(a_visitor_hears_every_step),
        TEST(protection_narrows_the_outcome),
        TEST(protection_covers_the_tables),
        TEST(two_stages_compose),
        TEST(the_root_of_a_second_stage_is_four_pages),
        TEST(a_second_stage_wants_user_leaves),
        TEST(a_refusal_says_which_stage_and_why),
        TEST(permissions_are_those_of_both_stages),
        TEST(permissions_may_cumulate),
        TEST(levels_without_leaves_refuse_them),
        TEST(entries_may_be_big_endian),
    };
    return cmocka_run_group_tests_name("ptwalk", tests, NULL, NULL);
}
