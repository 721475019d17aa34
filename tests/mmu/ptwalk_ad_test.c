/* SPDX-License-Identifier: MIT */
/* ptwalk_ad_test.c - accessed and dirty bits: when they are set, refused, raced for. */
#include "guest_tables.h"

#include <pthread.h>

#define PAGE(n) (GUEST_RAM + (n) * UINT64_C(0x1000))

static struct guest guest;
static struct sm_walk walk;
static struct sm_walk_result out;

static int setup(void **state)
{
    guest_init(&guest, 1 << 20);
    walk = (struct sm_walk){
        .struct_size = sizeof walk, .access = SM_READ, .space = guest.space,
        .attrs = guest_attrs(), .stage = {{&sm_pt_sv39, PAGE(0), SM_WALK_AD}},
    };
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

/** A gigabyte's leaf in the root: one entry decides. */
static uint64_t *leaf(uint64_t bits)
{
    guest_put(&guest, PAGE(0), 0, pte_of(0x40000000, bits));
    return guest_entry(&guest, PAGE(0));
}

#define RWX (PTE_V | PTE_R | PTE_W | PTE_X)

static void a_read_sets_accessed_and_withholds_write(void **state)
{
    const uint64_t *entry = leaf(RWX);

    assert_int_equal(run(SM_READ, 0), SM_WALK_OK);
    assert_int_equal(*entry, pte_of(0x40000000, RWX | PTE_A));
    assert_int_equal(out.perms, SM_PERM_R | SM_PERM_X);
    assert_int_equal(run(SM_FETCH, 0), SM_WALK_OK);
    assert_int_equal(*entry, pte_of(0x40000000, RWX | PTE_A));
    assert_int_equal(run(SM_WRITE, 0), SM_WALK_OK);
    assert_int_equal(*entry, pte_of(0x40000000, RWX | PTE_A | PTE_D));
    assert_int_equal(out.perms, SM_PERM_R | SM_PERM_W | SM_PERM_X);
    assert_int_equal(run(SM_READ, 0), SM_WALK_OK);
    assert_int_equal(out.perms, SM_PERM_R | SM_PERM_W | SM_PERM_X);
}

static void without_the_flag_a_clear_bit_fails(void **state)
{
    const uint64_t *entry = leaf(RWX);

    walk.stage[0].flags = 0;
    assert_int_equal(run(SM_READ, 0), SM_WALK_NOT_ACCESSED);
    assert_int_equal(out.last.entry, *entry);
    leaf(RWX | PTE_A);
    assert_int_equal(run(SM_READ, 0), SM_WALK_OK);
    assert_int_equal(out.perms, SM_PERM_R | SM_PERM_X);
    assert_int_equal(run(SM_WRITE, 0), SM_WALK_NOT_ACCESSED);
    leaf(RWX | PTE_D);
    assert_int_equal(run(SM_WRITE, 0), SM_WALK_NOT_ACCESSED);
    assert_int_equal(*entry, pte_of(0x40000000, RWX | PTE_D));
}

static void a_probe_writes_nothing(void **state)
{
    const uint64_t *entry = leaf(RWX);

    walk.stage[0].flags = SM_WALK_AD | SM_WALK_PROBE;
    assert_int_equal(run(SM_WRITE, 0), SM_WALK_OK);
    assert_int_equal(run(SM_READ, 0), SM_WALK_OK);
    assert_int_equal(*entry, pte_of(0x40000000, RWX));
}

static void a_refused_access_marks_nothing(void **state)
{
    const uint64_t *entry = leaf(PTE_V | PTE_R);

    assert_int_equal(run(SM_WRITE, 0), SM_WALK_DENIED);
    assert_int_equal(*entry, pte_of(0x40000000, PTE_V | PTE_R));
}

/* .protect is asked to allow the write of the entry right before it is marked: the place
 * where another processor would get in between. */
struct intruder {
    uint64_t *entry;
    uint64_t becomes[4];
    unsigned n;
    uint8_t refuse; /* accesses to the tables */
};

static void intrude(void *ctx, sm_gpa gpa, unsigned size, uint8_t *perms,
                    uint8_t *span_bits)
{
    struct intruder *intruder = ctx;
    static unsigned calls; /* two per round: for the read, for the mark */

    if (gpa >= PAGE(64))
        return; /* the outcome */
    *perms &= (uint8_t)~intruder->refuse;
    if (calls++ % 2 == 1 && intruder->n)
        *intruder->entry = intruder->becomes[--intruder->n];
    if (!intruder->n)
        calls = 0;
}

static void a_race_is_judged_again(void **state)
{
    struct intruder intruder = {.entry = leaf(RWX), .n = 2};

    walk.protect = intrude;
    walk.ctx = &intruder;
    intruder.becomes[1] = pte_of(0xc0000000, RWX);
    intruder.becomes[0] = pte_of(0x100000000, PTE_V | PTE_R | PTE_W);
    assert_int_equal(run(SM_WRITE, 0x10), SM_WALK_OK);
    assert_int_equal(out.gpa, 0x100000010);
    assert_int_equal(out.perms, SM_PERM_R | SM_PERM_W);
    assert_int_equal(*intruder.entry,
                     pte_of(0x100000000, PTE_V | PTE_R | PTE_W | PTE_A | PTE_D));
    /* It is taken away instead. */
    *intruder.entry = pte_of(0xc0000000, RWX);
    intruder.n = 1;
    intruder.becomes[0] = 0;
    assert_int_equal(run(SM_WRITE, 0x10), SM_WALK_NOT_PRESENT);
    assert_int_equal(*intruder.entry, 0);
    /* It becomes a table. */
    *intruder.entry = pte_of(0xc0000000, RWX);
    intruder.n = 1;
    intruder.becomes[0] = pte_of(PAGE(1), PTE_V);
    guest_put(&guest, PAGE(1), 0, pte_of(0xc0200000, RWX | PTE_A | PTE_D));
    assert_int_equal(run(SM_WRITE, 0x10), SM_WALK_OK);
    assert_int_equal(out.gpa, 0xc0200010);
    assert_int_equal(out.leaf_bits[0], 21);
}

static void marking_wants_permission_to_write(void **state)
{
    struct intruder intruder = {.entry = leaf(RWX | PTE_A), .refuse = SM_PERM_W};

    walk.protect = intrude;
    walk.ctx = &intruder;
    assert_int_equal(run(SM_READ, 0x10), SM_WALK_OK);
    assert_int_equal(run(SM_WRITE, 0x10), SM_WALK_PROTECTED);
    assert_int_equal(out.last.stage, 1);
    assert_int_equal(*intruder.entry, pte_of(0x40000000, RWX | PTE_A));
}

static void tables_in_rom_can_be_read_not_marked(void **state)
{
    struct sm_region *rom;
    uint64_t pte = pte_of(0x40000000, RWX | PTE_A);
    const struct sm_attrs debug = {.process = SM_NO_PROCESS, .flags = SM_ATTR_DEBUG};

    sm_topology_begin(guest.topo);
    assert_int_equal(sm_region_new_rom(guest.topo, "rom", 4096, &rom), 0);
    assert_int_equal(sm_region_map(guest.root, 0x1000, rom, 0), 0);
    assert_int_equal(sm_topology_commit(guest.topo, NULL), 0);
    assert_int_equal(sm_address_space_write(guest.space, 0x1000, &debug, &pte, 8, NULL),
                     SM_TX_OK);
    walk.stage[0].root = 0x1000;
    assert_int_equal(run(SM_READ, 0), SM_WALK_OK);
    assert_int_equal(run(SM_WRITE, 0), SM_WALK_BUS_ERROR);
    assert_int_equal(out.last.where, 0x1000);
}

static void the_second_stage_is_marked_too(void **state)
{
    uint64_t *second;

    /* Stage 1's root at ipa 0, by a page of stage 2; its leaf by another. */
    walk.stage[0].root = 0;
    walk.stage[1] = (struct sm_walk_stage){&sm_pt_sv39x4, PAGE(16), SM_WALK_AD};
    guest_put(&guest, PAGE(16), 0, pte_of(PAGE(20), PTE_V));
    guest_put(&guest, PAGE(20), 0, pte_of(PAGE(21), PTE_V));
    second = guest_entry(&guest, PAGE(21));
    second[0] = pte_of(PAGE(0), PTE_V | PTE_R | PTE_W | PTE_U);
    guest_put(&guest, PAGE(16), 1, pte_of(0x40000000, RWX | PTE_U));
    leaf(RWX | PTE_A);
    /* A read of stage 1's table marks its page accessed only. */
    assert_int_equal(run(SM_READ, 0), SM_WALK_OK);
    assert_int_equal(second[0], pte_of(PAGE(0), PTE_V | PTE_R | PTE_W | PTE_U | PTE_A));
    assert_int_equal(*guest_entry(&guest, PAGE(16) + 8),
                     pte_of(0x40000000, RWX | PTE_U | PTE_A));
    assert_int_equal(out.perms, SM_PERM_R | SM_PERM_X);
    /* Marking stage 1's leaf dirties the page that holds it. */
    assert_int_equal(run(SM_WRITE, 0), SM_WALK_OK);
    assert_int_equal(second[0],
                     pte_of(PAGE(0), PTE_V | PTE_R | PTE_W | PTE_U | PTE_A | PTE_D));
    assert_int_equal(*guest_entry(&guest, PAGE(0)),
                     pte_of(0x40000000, RWX | PTE_A | PTE_D));
    /* Where stage 2 forbids that, the refusal is stage 2's, on behalf of the entry. */
    leaf(RWX | PTE_A);
    second[0] = pte_of(PAGE(0), PTE_V | PTE_R | PTE_U | PTE_A | PTE_D);
    assert_int_equal(run(SM_READ, 0), SM_WALK_OK);
    assert_int_equal(run(SM_WRITE, 0), SM_WALK_DENIED);
    assert_int_equal(out.last.stage, 2);
    assert_int_equal(out.last.implicit, 1);
    assert_int_equal(out.ipa, 0);
}

/* --- Two processors ---------------------- */

enum { ROUNDS = 20000 };

static void *toggle(void *arg)
{
    uint64_t *entry = arg;

    for (unsigned i = 0; i < ROUNDS; i++) {
        const uint64_t bits = i & 1 ? RWX : PTE_V | PTE_R | PTE_W;
        __atomic_store_n(entry, pte_of(i & 1 ? 0x40000000 : 0x80000000, bits),
                         __ATOMIC_RELAXED);
    }
    return NULL;
}

static void a_mark_never_mixes_two_values(void **state)
{
    uint64_t *entry = leaf(RWX);
    pthread_t thread;
    unsigned n[2] = {0, 0};

    assert_int_equal(pthread_create(&thread, NULL, toggle, entry), 0);
    for (unsigned i = 0; i < ROUNDS; i++) {
        assert_int_equal(run(SM_WRITE, 0), SM_WALK_OK);
        const bool first = out.gpa == 0x40000000;
        assert_true(first || out.gpa == 0x80000000);
        assert_int_equal(out.perms & SM_PERM_X, first ? SM_PERM_X : 0);
        n[first]++;
        const uint64_t now = __atomic_load_n(entry, __ATOMIC_RELAXED);
        assert_int_equal((now & PTE_X) != 0, now >> 10 << 12 == 0x40000000);
    }
    pthread_join(thread, NULL);
    assert_int_equal(n[0] + n[1], ROUNDS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_read_sets_accessed_and_withholds_write),
        TEST(without_the_flag_a_clear_bit_fails),
        TEST(a_probe_writes_nothing),
        TEST(a_refused_access_marks_nothing),
        TEST(a_race_is_judged_again),
        TEST(marking_wants_permission_to_write),
        TEST(tables_in_rom_can_be_read_not_marked),
        TEST(the_second_stage_is_marked_too),
        TEST(a_mark_never_mixes_two_values),
    };
    return cmocka_run_group_tests_name("ptwalk_ad", tests, NULL, NULL);
}
