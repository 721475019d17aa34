/* SPDX-License-Identifier: MIT */
/* tlb_check_test.c - two vCPUs over one memory, and who is told of what. */
#include "fake_guest.h"
#include "tlb/tlb_check_impl.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#define ROOT  GUEST_RAM
#define PAGE  UINT64_C(0x40000000)
#define ELSE  (PAGE + 5 * SM_PAGE_SIZE)
#define DATA  (GUEST_RAM + 0x100000)
#define OTHER (DATA + 0x1000)
#define TABLES (PAGE + 8 * SM_PAGE_SIZE) /* where the guest maps its last table  */
#define ENTRY (ROOT + 0x2000)            /* of PAGE                              */
#define RW    (PTE_V | PTE_R | PTE_W | PTE_A | PTE_D)

static struct fake fake;
static struct sm_vcpu *vcpu[2];
static struct sm_tlb_check *check;
static struct sm_stale last;
static unsigned n_told;
static uint64_t pc;

static uint64_t get_pc(struct sm_vcpu *of)
{
    return pc + (of == vcpu[1] ? 0x1000 : 0);
}

static void told(void *owner, const struct sm_stale *stale)
{
    assert_ptr_equal(owner, &check);
    last = *stale;
    n_told++;
}

static const struct sm_tlb_check_ops ops = {
    .struct_size = sizeof ops, .pc = get_pc, .report = told};

static struct sm_tlb_check_options options_of(uint32_t flags, uint32_t sample)
{
    return (struct sm_tlb_check_options){
        .struct_size = sizeof(struct sm_tlb_check_options), .flags = flags,
        .sample = sample, .ops = &ops, .owner = &check};
}

/** Two vCPUs that read the tables at ROOT: PAGE and ELSE are DATA and OTHER. */
static void begin(uint32_t flags, uint32_t sample)
{
    const struct sm_tlb_check_options options = options_of(flags, sample);
    const struct sm_tlb_key key = {{0, 0, 0}};

    assert_int_equal(sm_tlb_check_new(&options, &check), 0);
    fake_init(&fake);
    fake.check = check;
    for (unsigned i = 0; i < 2; i++) {
        fake_vcpu(&fake, &vcpu[i]);
        sm_vcpu_online(vcpu[i]);
        sm_tlb_select(vcpu[i], TRANSLATED, &key);
        for (uint8_t mode = 0; mode < FAKE_MODES; mode++)
            sm_tlb_check_root(vcpu[i], mode, ROOT);
    }
    fake_map(&fake, ROOT, PAGE, pte_of(DATA, RW));
    fake_map(&fake, ROOT, ELSE, pte_of(OTHER, RW));
    fake_map(&fake, ROOT, TABLES, pte_of(ROOT + 0x2000, RW));
    n_told = 0;
    pc = 0x100;
}

static void end(void)
{
    for (unsigned i = 0; i < 2; i++) {
        sm_vcpu_check(vcpu[i]);
        sm_vcpu_offline(vcpu[i]);
        sm_vcpu_free(vcpu[i]);
    }
    fake_fini(&fake);
    sm_tlb_check_free(check);
}

static enum sm_step load(unsigned by, sm_gva gva)
{
    struct sm_value value;
    struct sm_fault fault;
    pc += 4;
    return sm_tlb_read_slow(vcpu[by], gva, op_of(3, MODE_S), &value, &fault);
}

static enum sm_step store(unsigned by, sm_gva gva, uint64_t value)
{
    struct sm_fault fault;
    pc += 4;
    return sm_tlb_write_slow(vcpu[by], gva, op_of(3, MODE_S), (struct sm_value){value, 0},
                             &fault);
}

/** Have vCPU @by store @pte as the entry of @gva, as a guest does. */
static void put(unsigned by, sm_gva gva, uint64_t pte)
{
    assert_int_equal(store(by, TABLES + (gva >> 12 & 511) * 8, pte), SM_STEP_DONE);
}

static void fence(unsigned by)
{
    sm_tlb_flush_local(vcpu[by], &sm_tlb_scope_everything);
}

static struct sm_tlb_check_stats stats(void)
{
    struct sm_tlb_check_stats out = {.struct_size = sizeof out};
    sm_tlb_check_get_stats(check, &out);
    return out;
}

static void test_options(void **state)
{
    struct sm_tlb_check_ops bad = ops;
    struct sm_tlb_check_options options = options_of(SM_TLB_CHECK_HITS, 0);
    struct sm_tlb_check *out = NULL;

    options.struct_size--;
    assert_int_equal(sm_tlb_check_new(&options, &out), -EINVAL);
    options = options_of(8, 0);
    assert_int_equal(sm_tlb_check_new(&options, &out), -EINVAL);
    options = options_of(0, 0);
    options.reserved = 1;
    assert_int_equal(sm_tlb_check_new(&options, &out), -EINVAL);
    options = options_of(0, 0);
    options.ops = &bad;
    bad.pc = NULL;
    assert_int_equal(sm_tlb_check_new(&options, &out), -EINVAL);
    bad = ops;
    bad.report = NULL;
    assert_int_equal(sm_tlb_check_new(&options, &out), -EINVAL);
    assert_null(out);
    sm_tlb_check_free(NULL);
}

/** No access of a vCPU that is checked is a plain hit, and all of them are right. */
static void test_every_access_is_seen(void **state)
{
    void *host;

    begin(SM_TLB_CHECK_HITS, 0);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(load(0, PAGE), SM_STEP_DONE);
        assert_int_equal(store(0, PAGE, i), SM_STEP_DONE);
        assert_false(sm_tlb_hit(sm_vcpu_fast(vcpu[0])->table[MODE_S], PAGE, 8, SM_READ,
                                &host));
    }
    assert_true(*guest_entry(&fake.guest, DATA) == 9);
    assert_true(stats().compared >= 19);
    assert_true(stats().walked == 0);
    assert_int_equal(n_told, 0);
    end();
}

static void test_own(void **state)
{
    begin(SM_TLB_CHECK_HITS, 0);
    load(0, PAGE);
    put(0, PAGE, 0);
    const uint64_t wrote = pc;
    load(0, PAGE);
    assert_int_equal(n_told, 1);
    assert_int_equal(last.kind, SM_STALE_OWN);
    assert_true(last.where == ENTRY && last.old_entry == pte_of(DATA, RW));
    assert_true(last.new_entry == 0 && !last.permitted && last.old_gpa == DATA);
    assert_true(last.writer.known && last.writer.vcpu == vcpu[0]);
    assert_true(last.writer.pc == wrote && last.pc == pc);
    assert_true(last.level == 2 && last.n_levels == 3 && last.stage == 1);
    fence(0);
    assert_int_equal(load(0, PAGE), SM_STEP_FAULT); /* K2 */
    assert_int_equal(n_told, 1);
    end();
}

/** A fence of another page, or another key, does not cover. */
static void test_fences_that_miss(void **state)
{
    struct sm_tlb_scope scope = sm_tlb_scope_everything;

    begin(SM_TLB_CHECK_HITS, 0);
    load(0, PAGE);
    put(0, PAGE, 0);
    scope.range = (struct sm_range){ELSE, ELSE + 0xfff};
    sm_tlb_flush_local(vcpu[0], &scope);
    scope = sm_tlb_scope_everything;
    scope.key.word[1] = 7;
    scope.mask.word[1] = UINT64_MAX;
    sm_tlb_flush_local(vcpu[0], &scope);
    load(0, PAGE);
    assert_int_equal(n_told, 1);
    end();
}

static void test_what_atomics_store(void **state)
{
    const sm_gva at = TABLES;
    struct sm_fault fault;
    struct sm_value was;
    uint64_t old;
    bool stored;

    for (unsigned way = 0; way < 4; way++) {
        begin(SM_TLB_CHECK_HITS, 0);
        load(0, PAGE);
        switch (way) {
        case 0:
            assert_int_equal(sm_tlb_rmw(vcpu[0], at, op_of(3, MODE_S), SM_RMW_AND,
                                        ~(uint64_t)PTE_V, &old, &fault), SM_STEP_DONE);
            break;
        case 1:
            assert_int_equal(sm_tlb_cas(vcpu[0], at, op_of(3, MODE_S),
                                        (struct sm_value){pte_of(DATA, RW), 0},
                                        (struct sm_value){0, 0}, &was, &fault),
                             SM_STEP_DONE);
            break;
        case 2:
            assert_int_equal(sm_tlb_load_reserved(vcpu[0], at, op_of(3, MODE_S), &old,
                                                  &fault), SM_STEP_DONE);
            assert_int_equal(sm_tlb_store_conditional(vcpu[0], at, op_of(3, MODE_S), 0,
                                                      &stored, &fault), SM_STEP_DONE);
            assert_true(stored);
            break;
        default: { /* half of it: what an entry's low half is made by */
            const struct sm_value zero = {0, 0};
            assert_int_equal(sm_tlb_write_slow(vcpu[0], at, op_of(0, MODE_S), zero,
                                               &fault), SM_STEP_DONE);
        }
        }
        load(0, PAGE);
        assert_int_equal(n_told, 1);
        assert_int_equal(last.kind, SM_STALE_OWN);
        end();
    }
}

/** Who tried and did not store is not to blame for what another did. */
static void test_stores_that_change_nothing(void **state)
{
    struct sm_fault fault;
    struct sm_value was;
    bool stored;

    begin(SM_TLB_CHECK_HITS, 0);
    load(0, PAGE);
    load(1, PAGE);
    put(1, PAGE, 0);
    put(0, PAGE, 0); /* of the same value */
    (void)sm_tlb_cas(vcpu[0], TABLES, op_of(3, MODE_S), (struct sm_value){5, 0},
                     (struct sm_value){6, 0}, &was, &fault);
    (void)sm_tlb_store_conditional(vcpu[0], TABLES, op_of(3, MODE_S), 7, &stored, &fault);
    assert_false(stored);
    load(0, PAGE);
    assert_int_equal(n_told, 0);
    load(1, PAGE);
    assert_int_equal(n_told, 1);
    assert_ptr_equal(last.writer.vcpu, vcpu[1]);
    end();
}

/** A store over the end of one page of tables into another. */
static void test_crossing_store(void **state)
{
    struct sm_fault fault;

    begin(SM_TLB_CHECK_HITS, 0);
    /* Two last tables in a row: of PAGE, and of the 2 MiB after. */
    guest_put(&fake.guest, ROOT + 0x1000, 1, pte_of(ROOT + 0x3000, PTE_V));
    guest_put(&fake.guest, ROOT + 0x3000, 0, pte_of(DATA, RW));
    fake_map(&fake, ROOT, TABLES + SM_PAGE_SIZE, pte_of(ROOT + 0x3000, RW));
    fake_map(&fake, ROOT, PAGE + 511 * SM_PAGE_SIZE, pte_of(OTHER, RW));
    load(0, PAGE + 511 * SM_PAGE_SIZE);
    load(0, PAGE + 512 * SM_PAGE_SIZE);
    assert_int_equal(sm_tlb_write_slow(vcpu[0], TABLES + 0xffc, op_of(3, MODE_S),
                                       (struct sm_value){0, 0}, &fault), SM_STEP_DONE);
    load(0, PAGE + 512 * SM_PAGE_SIZE);
    assert_int_equal(n_told, 1);
    assert_true(last.where == ROOT + 0x3000);
    end();
}

/* --- Memory that goes away, and memory against the grain ----------------------------- */

#define EXTRA    UINT64_C(0x90000000)
#define AT_EXTRA (PAGE + 32 * SM_PAGE_SIZE) /* followed by an address that is not mapped */

/** The caller's memory behind a page that nobody may touch; nor that itself, once freed. */
static void gone(void *owner, void *host)
{
    *(bool *)owner = true;
    assert_int_equal(mprotect(host, SM_PAGE_SIZE, PROT_NONE), 0);
}

static struct sm_region *extra_at(sm_gpa gpa, bool *freed)
{
    uint8_t *const host = mmap(NULL, 2 * SM_PAGE_SIZE, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const struct sm_ram_options options = {
        .struct_size = sizeof options, .kind = SM_RAM_CALLER, .size = SM_PAGE_SIZE,
        .host = host + SM_PAGE_SIZE, .release = gone, .owner = freed};
    struct sm_region *extra;

    assert_ptr_not_equal(host, MAP_FAILED);
    assert_int_equal(mprotect(host, SM_PAGE_SIZE, PROT_NONE), 0);
    *freed = false;
    sm_topology_begin(fake.guest.topo);
    assert_int_equal(sm_region_new_ram_from(fake.guest.topo, "extra", &options, &extra), 0);
    assert_int_equal(sm_region_map(fake.guest.root, gpa, extra, 0), 0);
    assert_int_equal(sm_topology_commit(fake.guest.topo, NULL), 0);
    for (unsigned i = 0; i < 2; i++)
        sm_vcpu_safe_point(vcpu[i]);
    sm_vcpu_safe_point(fake.vcpu);
    fake_map(&fake, ROOT, AT_EXTRA, pte_of(EXTRA, RW));
    sm_tlb_check_watch(vcpu[0], EXTRA);
    return extra;
}

/** A store that faults in its second page is looked at again with the next one, or
 *  before: the memory of its first page may be gone by then. */
static void test_memory_that_goes(void **state)
{
    struct sm_fault fault;
    bool freed;

    begin(SM_TLB_CHECK_HITS, 0);
    struct sm_region *const extra = extra_at(EXTRA, &freed);
    assert_int_equal(sm_tlb_write_slow(vcpu[0], AT_EXTRA + 0xffc, op_of(3, MODE_S),
                                       (struct sm_value){1, 0}, &fault), SM_STEP_FAULT);
    sm_topology_begin(fake.guest.topo);
    sm_region_unmap(extra);
    assert_int_equal(sm_region_free(extra), 0);
    assert_int_equal(sm_topology_commit(fake.guest.topo, NULL), 0);
    sm_vcpu_safe_point(vcpu[1]);
    sm_vcpu_safe_point(fake.vcpu);
    sm_vcpu_safe_point(vcpu[0]);
    sm_topology_work(fake.guest.topo);
    for (unsigned i = 0; i < 2; i++)
        sm_vcpu_safe_point(vcpu[i]);
    assert_true(freed);
    assert_int_equal(store(0, PAGE, 1), SM_STEP_DONE);
    assert_int_equal(store(0, AT_EXTRA, 1), SM_STEP_FAULT);
    end();
}

/** What lies before a store, in its word, need not be memory. */
static void test_memory_against_the_grain(void **state)
{
    bool freed;

    begin(SM_TLB_CHECK_HITS, 0);
    (void)extra_at(EXTRA + 4, &freed);
    assert_int_equal(store(0, AT_EXTRA + 4, 7), SM_STEP_DONE);
    assert_int_equal(store(0, AT_EXTRA + 16, 9), SM_STEP_DONE);
    end();
    assert_true(freed);
}

static void test_nobody_to_blame(void **state)
{
    begin(SM_TLB_CHECK_HITS | SM_TLB_CHECK_SUSPECT, 0);
    load(0, PAGE);
    *guest_entry(&fake.guest, ENTRY) = 0; /* as a device does */
    load(0, PAGE);
    assert_int_equal(n_told, 0);
    assert_true(stats().unproved == 1);
    fence(0);
    /* A device after the vCPU's own store. */
    put(0, PAGE, pte_of(DATA, RW));
    load(0, PAGE);
    put(0, PAGE, pte_of(OTHER, RW));
    *guest_entry(&fake.guest, ENTRY) = 0;
    load(0, PAGE);
    assert_int_equal(n_told, 0);
    end();
}

/** K1: of what widens nothing is told, and the entry counts as filled anew. */
static void test_what_is_the_same(void **state)
{
    begin(SM_TLB_CHECK_HITS, 0);
    put(0, PAGE, pte_of(DATA, PTE_V | PTE_R | PTE_A));
    load(0, PAGE);
    put(0, PAGE, pte_of(DATA, RW));
    load(0, PAGE);
    put(0, PAGE, pte_of(DATA, RW & ~(PTE_A | PTE_D)));
    load(0, PAGE);
    assert_int_equal(n_told, 0);
    assert_true(stats().walked == 1);
    put(0, PAGE, pte_of(OTHER, RW));
    load(0, PAGE);
    assert_int_equal(n_told, 1);
    assert_true(last.old_entry == pte_of(DATA, RW));
    assert_true(last.permitted && last.new_gpa == OTHER);
    end();
}

static void test_suspect(void **state)
{
    for (unsigned told_of = 0; told_of < 2; told_of++) {
        begin(SM_TLB_CHECK_HITS | (told_of ? SM_TLB_CHECK_SUSPECT : 0), 0);
        load(1, PAGE);
        put(0, PAGE, 0);
        load(1, PAGE);
        assert_int_equal(n_told, 0); /* 0 may be on its way to fence */
        sm_tlb_check_returned(vcpu[0]);
        load(1, PAGE);
        assert_int_equal(n_told, told_of);
        if (told_of) {
            assert_int_equal(last.kind, SM_STALE_SUSPECT);
            assert_ptr_equal(last.writer.vcpu, vcpu[0]);
            assert_ptr_equal(last.vcpu, vcpu[1]);
        }
        sm_tlb_check_interrupted(vcpu[1]); /* it may be on its way to fence, too */
        load(1, PAGE);
        assert_int_equal(n_told, told_of);
        fence(1);
        assert_int_equal(load(1, PAGE), SM_STEP_FAULT);
        assert_int_equal(n_told, told_of);
        end();
    }
}

static void test_reused(void **state)
{
    begin(SM_TLB_CHECK_HITS, 0);
    load(0, ELSE); /* so that its table is watched */
    load(1, PAGE);
    put(0, PAGE, 0);
    put(0, ELSE, pte_of(DATA, RW));
    fence(0);
    load(1, PAGE);
    assert_int_equal(n_told, 0); /* mapped elsewhere, but not written there */
    store(0, ELSE, 1);
    const uint64_t wrote = pc;
    sm_tlb_check_returned(vcpu[0]);
    load(1, PAGE);
    assert_int_equal(n_told, 1);
    assert_int_equal(last.kind, SM_STALE_REUSED);
    assert_true(last.reuser.known && last.reuser.vcpu == vcpu[0]);
    assert_true(last.reuser.pc == wrote && last.reused_gva == ELSE);
    end();
    /* Written by another translation that was there before: no reuse. */
    begin(SM_TLB_CHECK_HITS, 0);
    load(0, ELSE);
    put(0, ELSE, pte_of(DATA, RW));
    fence(0);
    load(1, PAGE);
    put(0, PAGE, 0);
    store(0, ELSE, 1);
    sm_tlb_check_returned(vcpu[0]);
    load(1, PAGE);
    assert_int_equal(n_told, 0);
    end();
}

static void test_root(void **state)
{
    begin(SM_TLB_CHECK_HITS, 0);
    load(0, PAGE);
    memcpy(fake.guest.host + 0x10000, fake.guest.host, 0x3000);
    guest_put(&fake.guest, ROOT + 0x10000, 1, pte_of(ROOT + 0x11000, PTE_V));
    guest_put(&fake.guest, ROOT + 0x11000, 0, pte_of(ROOT + 0x12000, PTE_V));
    fake.root = ROOT + 0x10000;
    sm_tlb_check_root(vcpu[0], MODE_S, fake.root);
    load(0, PAGE);
    assert_int_equal(n_told, 0); /* the same by another way */
    guest_put(&fake.guest, ROOT + 0x12000, 0, pte_of(OTHER, RW));
    fake.root = ROOT;
    sm_tlb_check_root(vcpu[0], MODE_S, ROOT);
    load(0, PAGE);
    fake.root = ROOT + 0x10000;
    sm_tlb_check_root(vcpu[0], MODE_S, fake.root);
    load(0, PAGE);
    assert_int_equal(n_told, 1);
    assert_int_equal(last.kind, SM_STALE_ROOT);
    assert_true(last.old_root == ROOT && last.new_root == ROOT + 0x10000);
    end();
    /* An entry that both trees share is what changed. */
    begin(SM_TLB_CHECK_HITS, 0);
    load(0, PAGE);
    memcpy(fake.guest.host + 0x10000, fake.guest.host, 0x1000);
    fake.root = ROOT + 0x10000;
    put(0, PAGE, 0);
    sm_tlb_check_root(vcpu[0], MODE_S, fake.root);
    load(0, PAGE);
    assert_int_equal(n_told, 1);
    assert_int_equal(last.kind, SM_STALE_OWN);
    assert_true(last.where == ENTRY);
    end();
}

static void test_sample(void **state)
{
    begin(SM_TLB_CHECK_HITS, 10);
    load(0, PAGE);
    put(0, PAGE, 0);
    for (unsigned i = 0; i < 100; i++) {
        pc = 0x2000;
        load(0, PAGE);
    }
    assert_int_equal(n_told, 1);
    assert_in_range(stats().uses[SM_STALE_OWN], 9, 11);
    assert_int_equal(stats().reports[SM_STALE_OWN], 1);
    end();
}

/** K5: what a note said is forgotten, and then nobody is to blame. */
static void test_notes_are_bounded(void **state)
{
    begin(SM_TLB_CHECK_HITS, 0);
    load(0, PAGE);
    put(0, PAGE, 0);
    for (uint64_t i = 0; i < UINT64_C(2) << SM_NOTES_BITS; i++) {
        const struct sm_note note = {.key = 0x1000 + 8 * i, .order = i};
        sm_check_note_put(check, &note);
    }
    load(0, PAGE);
    assert_int_equal(n_told, 0);
    assert_true(stats().unproved == 1);
    end();
}

static void test_second_stage(void **state)
{
    begin(SM_TLB_CHECK_HITS, 0);
    /* Stage 2 maps one to one by one leaf, and lies where no stage 1 is. */
    fake.second = GUEST_RAM + 0x200000;
    guest_put(&fake.guest, fake.second, 2, pte_of(GUEST_RAM, PTE_RWXAD | PTE_U));
    load(0, PAGE);
    put(0, PAGE, pte_of(OTHER, RW));
    load(0, PAGE);
    assert_int_equal(n_told, 1);
    assert_int_equal(last.stage, 1);
    assert_true(last.where == ENTRY);
    end();
}

/* --- Threads -------------------------------------------------------------------------- */

/** Change PAGE's entry, fence, use it, over and over: nothing that this vCPU did itself
 *  is stale, whatever the other does meanwhile. */
static void *change_and_fence(void *number)
{
    struct sm_vcpu *const by = vcpu[(uintptr_t)number];
    struct sm_fault fault;
    struct sm_value value;

    for (unsigned i = 0; i < 20000; i++) {
        const struct sm_value entry = {pte_of(i & 1 ? DATA : OTHER, RW), 0};
        (void)sm_tlb_read_slow(by, PAGE, op_of(3, MODE_S), &value, &fault);
        (void)sm_tlb_write_slow(by, TABLES, op_of(3, MODE_S), entry, &fault);
        sm_tlb_check_returned(by);
        sm_tlb_flush_local(by, &sm_tlb_scope_everything);
        (void)sm_tlb_write_slow(by, PAGE, op_of(3, MODE_S), value, &fault);
        sm_tlb_check_interrupted(vcpu[!(uintptr_t)number]);
        sm_vcpu_safe_point(by);
    }
    return NULL;
}

static bool fill_alone(struct sm_vcpu *of, const struct sm_xlate_req *req,
                       struct sm_xlate *out, struct sm_fault *fault)
{
    struct fake own = fake; /* which is the test's only while nobody fills */

    own.trail = sm_vcpu_walk_trail(of, 3, PTE_A | PTE_D);
    return fake_walk(&own, req, NULL, out, fault);
}

static void test_threads(void **state)
{
    struct sm_guest_mmu_ops alone = fake_ops;
    pthread_t thread[2];

    begin(SM_TLB_CHECK_HITS, 0);
    alone.tlb_fill = fill_alone;
    alone.flushed = NULL;
    for (uintptr_t i = 0; i < 2; i++) {
        vcpu[i]->ops = &alone;
        sm_vcpu_offline(vcpu[i]);
        sm_vcpu_online(vcpu[i]);
    }
    for (uintptr_t i = 0; i < 2; i++)
        assert_int_equal(
            pthread_create(&thread[i], NULL, change_and_fence, (void *)i), 0);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    assert_true(stats().uses[SM_STALE_OWN] == 0);
    assert_true(stats().uses[SM_STALE_ROOT] == 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_every_access_is_seen),
        cmocka_unit_test(test_own),
        cmocka_unit_test(test_fences_that_miss),
        cmocka_unit_test(test_what_atomics_store),
        cmocka_unit_test(test_stores_that_change_nothing),
        cmocka_unit_test(test_crossing_store),
        cmocka_unit_test(test_memory_that_goes),
        cmocka_unit_test(test_memory_against_the_grain),
        cmocka_unit_test(test_nobody_to_blame),
        cmocka_unit_test(test_what_is_the_same),
        cmocka_unit_test(test_suspect),
        cmocka_unit_test(test_reused),
        cmocka_unit_test(test_root),
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_notes_are_bounded),
        cmocka_unit_test(test_second_stage),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
