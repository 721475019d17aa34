/* SPDX-License-Identifier: MIT */
/* watch_test.c - which accesses stop at a watch, and what is left as it was. */
#include "fake_guest.h"
#include "softmmu/dirty_log.h"
#include "softmmu/tlb_check.h"

#include <errno.h>

#define DATA  (GUEST_RAM + UINT64_C(0x100000))
#define OTHER (GUEST_RAM + UINT64_C(0x140000))
#define PAGE  UINT64_C(0x5000)
#define NEXT  UINT64_C(0x6000)
#define ALIAS UINT64_C(0x9000)
#define IO    UINT64_C(0xa000)
#define FREE  UINT64_C(0xc000) /* of no watch                                  */

static struct fake fake;
static struct sm_fault fault;
static struct sm_tlb_check *check;

static uint64_t no_pc(struct sm_vcpu *vcpu)
{
    return 0;
}

static void told(void *owner, const struct sm_stale *stale)
{
    fail();
}

static const struct sm_tlb_check_ops check_ops = {
    .struct_size = sizeof check_ops, .pc = no_pc, .report = told};

/** PAGE and NEXT, which lie apart in memory; ALIAS is PAGE; IO is a device. */
static void begin(uint32_t vcpu_flags, bool checked)
{
    const struct sm_tlb_check_options options = {
        .struct_size = sizeof options, .flags = SM_TLB_CHECK_HITS, .ops = &check_ops};

    fake_init_flags(&fake, vcpu_flags);
    check = NULL;
    if (checked) {
        assert_int_equal(sm_tlb_check_new(&options, &check), 0);
        sm_vcpu_offline(fake.vcpu);
        sm_vcpu_free(fake.vcpu);
        fake.check = check;
        fake_vcpu(&fake, &fake.vcpu);
        sm_vcpu_online(fake.vcpu);
        fake_select(&fake, GUEST_RAM, 0);
    }
    fake.refill = true;
    fake_map(&fake, GUEST_RAM, PAGE, pte_of(DATA, PTE_RWXAD));
    fake_map(&fake, GUEST_RAM, NEXT, pte_of(DATA + 0x5000, PTE_RWXAD));
    fake_map(&fake, GUEST_RAM, ALIAS, pte_of(DATA, PTE_RWXAD));
    fake_map(&fake, GUEST_RAM, IO, pte_of(IO_AT, PTE_RWXAD));
    fake_map(&fake, GUEST_RAM, FREE, pte_of(OTHER, PTE_RWXAD));
    fake_map(&fake, GUEST_RAM, FREE + 0x1000, pte_of(OTHER + 0x1000, PTE_RWXAD));
}

static void end(void)
{
    fake_fini(&fake);
    sm_tlb_check_free(check);
}

static uint8_t *host_of(sm_gpa gpa)
{
    return fake.guest.host + (gpa - GUEST_RAM);
}

static struct sm_watch watch_of(sm_gva first, sm_gva last, unsigned accesses, uint64_t id)
{
    return (struct sm_watch){.range = {first, last}, .accesses = (uint8_t)accesses,
                             .modes = UINT16_MAX, .id = id};
}

static struct sm_watch physical_of(sm_gpa first, sm_gpa last, unsigned accesses,
                                   uint64_t id)
{
    return (struct sm_watch){.range = {first, last}, .accesses = (uint8_t)accesses,
                             .flags = SM_WATCH_PHYSICAL, .id = id};
}

static void set(const struct sm_watch *watches, uint32_t n)
{
    assert_int_equal(sm_vcpu_set_watches(fake.vcpu, watches, n), 0);
}

static void set_one(struct sm_watch watch)
{
    set(&watch, 1);
}

static struct sm_watch_hit hit(void)
{
    struct sm_watch_hit out = {.struct_size = sizeof out};
    assert_true(sm_vcpu_watch_hit(fake.vcpu, &out));
    return out;
}

static enum sm_step load_in(unsigned mode, sm_gva gva, unsigned size_bits)
{
    struct sm_value value;
    return sm_tlb_read_slow(fake.vcpu, gva, op_of(size_bits, mode), &value, &fault);
}

static enum sm_step load(sm_gva gva, unsigned size_bits)
{
    return load_in(MODE_S, gva, size_bits);
}

static enum sm_step fetch(sm_gva gva, unsigned size_bits)
{
    struct sm_memop op = op_of(size_bits, MODE_S);
    struct sm_value value;
    op.flags = SM_MEMOP_AS_FETCH;
    return sm_tlb_read_slow(fake.vcpu, gva, op, &value, &fault);
}

static enum sm_step store(sm_gva gva, unsigned size_bits, uint64_t value)
{
    return sm_tlb_write_slow(fake.vcpu, gva, op_of(size_bits, MODE_S),
                             (struct sm_value){value, ~value}, &fault);
}

static void test_what_is_refused(void **state)
{
    struct sm_watch good[2] = {watch_of(1, 1, SM_PERM_R, 0), watch_of(2, 2, SM_PERM_W, 0)};
    struct sm_watch bad;
    struct sm_watch_hit out = {.struct_size = sizeof out};

    begin(0, false);
    assert_int_equal(sm_vcpu_set_watches(fake.vcpu, NULL, 0), 0);
    assert_int_equal(sm_vcpu_set_watches(fake.vcpu, good, 2), 0);
#define REFUSE(change)                                                                   \
    do {                                                                                 \
        bad = good[1];                                                                   \
        change;                                                                          \
        assert_int_equal(sm_vcpu_set_watches(fake.vcpu, &bad, 1), -EINVAL);              \
    } while (0)
    REFUSE(bad.range.first = 3);
    REFUSE(bad.accesses = 0);
    REFUSE(bad.accesses = 8);
    REFUSE(bad.flags = 2);
    REFUSE(bad.space = 1);
    REFUSE(bad.reserved = 1);
    REFUSE(bad.reserved2 = 1);
    REFUSE((bad.flags = SM_WATCH_PHYSICAL, bad.space = 2));
#undef REFUSE
    assert_false(sm_vcpu_watch_hit(fake.vcpu, &out));
    sm_vcpu_watch_pass(fake.vcpu); /* nothing */
    end();
}

/* --- Which accesses ----------------------------------------------------------------- */

/** What vCPUs are made with.  Nothing of it changes which accesses stop. */
static const struct {
    uint32_t flags;
    bool checked, logged;
    unsigned span_limit;
} variants[] = {
    {0, false, false, 0},
    {0, false, true, 0},
    {0, true, false, 0},
    {SM_VCPU_ONE_ENTRY, false, false, 0},
    {SM_VCPU_WALK_ALWAYS, false, false, 0},
    {SM_VCPU_COUNT_HITS, false, false, 0},
    {0, false, false, 3}, /* answers too narrow to keep                        */
};

/** Every access of @access round [first, last], of each size. */
static void sweep(enum sm_access access, sm_gva first, sm_gva last)
{
    static uint8_t before[2][64], after[2][64];
    struct sm_watch_hit out;

    for (unsigned bits = 0; bits <= 4; bits++) {
        const unsigned size = 1u << bits;
        for (sm_gva gva = first - 18; gva <= last + 3; gva++) {
            const bool met = gva <= last && gva + size > first;
            enum sm_step step;
            memcpy(before[0], host_of(DATA + 0xfc0), 64);
            memcpy(before[1], host_of(DATA + 0x5000), 64);
            for (unsigned twice = 0; twice < 2; twice++) {
                step = access == SM_WRITE ? store(gva, bits, 0x1122334455667788 + gva)
                       : access == SM_READ ? load(gva, bits) : fetch(gva, bits);
                assert_int_equal(step, met ? SM_STEP_STOP : SM_STEP_DONE);
                if (!met)
                    continue;
                out = hit();
                assert_true(out.gva == gva && out.size == size && out.mode == MODE_S);
                assert_int_equal(out.accesses, 1u << access);
                assert_int_equal(out.kind, access == SM_WRITE  ? SM_WATCH_STORE
                                           : access == SM_READ ? SM_WATCH_LOAD
                                                               : SM_WATCH_FETCH);
                assert_true(out.met_gva == SM_MAX(gva, first));
                assert_true(out.gpa == (gva < NEXT ? gva - PAGE + DATA
                                                   : gva - NEXT + DATA + 0x5000));
                assert_true(out.met_gpa ==
                            (out.met_gva < NEXT ? out.met_gva - PAGE + DATA
                                                : out.met_gva - NEXT + DATA + 0x5000));
                if (access == SM_WRITE)
                    assert_true(out.value.lo == 0x1122334455667788 + gva);
            }
            memcpy(after[0], host_of(DATA + 0xfc0), 64);
            memcpy(after[1], host_of(DATA + 0x5000), 64);
            if (met || access != SM_WRITE)
                assert_memory_equal(before, after, sizeof before);
            sm_vcpu_check(fake.vcpu);
        }
    }
}

static void sweep_all(unsigned span_limit)
{
    static const struct sm_range ranges[] = {
        {PAGE + 0x800, PAGE + 0x800}, {PAGE + 0x803, PAGE + 0x805},
        {NEXT - 1, NEXT - 1}, {NEXT, NEXT}, {NEXT - 2, NEXT + 1}};

    for (unsigned i = 0; i < SM_ARRAY_LEN(ranges); i++)
        for (enum sm_access access = SM_READ; access < SM_N_ACCESS; access++) {
            fake.span_limit = span_limit;
            set_one(watch_of(ranges[i].first, ranges[i].last, 1u << access, i));
            sweep(access, ranges[i].first, ranges[i].last);
            /* Others do not: */
            assert_int_equal(access == SM_READ ? store(ranges[i].first, 0, 1)
                                               : load(ranges[i].first, 0),
                             SM_STEP_DONE);
            assert_int_equal(access == SM_FETCH ? store(ranges[i].first, 0, 1)
                                                : fetch(ranges[i].first, 0),
                             SM_STEP_DONE);
        }
}

static void test_every_size_at_every_offset(void **state)
{
    for (unsigned i = 0; i < SM_ARRAY_LEN(variants); i++) {
        struct sm_dirty_log *log = NULL;

        begin(variants[i].flags, variants[i].checked);
        if (variants[i].logged)
            assert_int_equal(sm_dirty_log_new(fake.guest.ram, &log), 0);
        sweep_all(variants[i].span_limit);
        if (log)
            sm_dirty_log_free(log);
        end();
    }
}

static void test_several_in_a_page(void **state)
{
    const struct sm_watch watches[] = {
        watch_of(PAGE + 0x10, PAGE + 0x13, SM_PERM_W, 100),
        watch_of(PAGE + 0x12, PAGE + 0x20, SM_PERM_R, 101),
        watch_of(PAGE + 0x30, PAGE + 0x30, SM_PERM_R | SM_PERM_W, 102),
        physical_of(DATA + 0x40, DATA + 0x47, SM_PERM_W, 103),
        watch_of(PAGE + 0x44, PAGE + 0x44, SM_PERM_W | SM_PERM_X, 104)};

    begin(0, false);
    set(watches, SM_ARRAY_LEN(watches));
    assert_int_equal(load(PAGE + 0x10, 1), SM_STEP_DONE);
    assert_int_equal(load(PAGE + 0x10, 2), SM_STEP_STOP);
    assert_true(hit().id == 101 && hit().index == 1 && hit().met_gva == PAGE + 0x12);
    assert_int_equal(store(PAGE + 0x0c, 3, 0), SM_STEP_STOP);
    assert_true(hit().id == 100 && hit().met_gva == PAGE + 0x10);
    assert_int_equal(store(PAGE + 0x14, 3, 0), SM_STEP_DONE);
    assert_int_equal(store(PAGE + 0x30, 0, 0), SM_STEP_STOP);
    assert_true(hit().id == 102);
    assert_int_equal(store(PAGE + 0x44, 0, 0), SM_STEP_STOP);
    assert_true(hit().id == 103 && hit().index == 3);
    assert_int_equal(fetch(PAGE + 0x44, 1), SM_STEP_STOP);
    assert_true(hit().id == 104);
    set(watches, 1); /* the others are gone */
    assert_int_equal(load(PAGE + 0x10, 2), SM_STEP_DONE);
    assert_int_equal(store(PAGE + 0x10, 0, 0), SM_STEP_STOP);
    set(NULL, 0);
    assert_int_equal(store(PAGE + 0x10, 0, 0), SM_STEP_DONE);
    assert_true(fake_hit(&fake, MODE_S, PAGE, 1, SM_WRITE, NULL));
    end();
}

/** Only pages with a watch lose the direct way, and refills come back with the last. */
static void test_the_rest_is_direct(void **state)
{
    begin(0, false);
    set_one(watch_of(PAGE, PAGE, SM_PERM_X, 0));
    assert_int_equal(load(PAGE + 8, 3), SM_STEP_DONE);
    assert_int_equal(fetch(PAGE + 8, 1), SM_STEP_DONE);
    assert_int_equal(load(FREE, 3), SM_STEP_DONE);
    assert_int_equal(load(FREE + 0x1000, 3), SM_STEP_DONE);
    assert_true(fake_hit(&fake, MODE_S, FREE, 8, SM_READ, NULL));
    assert_true(fake_hit(&fake, MODE_S, FREE, 8, SM_WRITE, NULL));
    assert_true(fake_hit(&fake, MODE_S, PAGE, 8, SM_READ, NULL));
    assert_false(fake_hit(&fake, MODE_S, PAGE + 8, 2, SM_FETCH, NULL));
    const unsigned fills = fake.n_fills;
    assert_int_equal(fetch(PAGE + 8, 1), SM_STEP_DONE); /* remembered all the same */
    assert_int_equal(fake.n_fills, fills);
    set(NULL, 0);
    assert_int_equal(load(FREE, 3), SM_STEP_DONE);
    assert_int_equal(fake.n_fills, fills + 1);
    assert_int_equal(load(FREE + 0x1000, 3), SM_STEP_DONE);
    assert_int_equal(fake.n_fills, fills + 1); /* refilled */
    end();
}

static void test_modes_and_address_spaces(void **state)
{
    struct sm_watch watch = watch_of(PAGE + 8, PAGE + 8, SM_PERM_R, 0);

    begin(0, false);
    watch.modes = 1 << MODE_SUM;
    watch.mask.word[1] = UINT64_MAX;
    watch.key.word[1] = 7;
    set_one(watch);
    assert_int_equal(load_in(MODE_SUM, PAGE + 8, 0), SM_STEP_DONE);
    fake_select(&fake, GUEST_RAM, 7);
    assert_int_equal(load_in(MODE_S, PAGE + 8, 0), SM_STEP_DONE);
    assert_int_equal(load_in(MODE_SUM, PAGE + 8, 0), SM_STEP_STOP);
    assert_int_equal(load_in(MODE_SUM, PAGE + 9, 0), SM_STEP_DONE);
    fake_select(&fake, GUEST_RAM, 0);
    assert_int_equal(load_in(MODE_SUM, PAGE + 8, 0), SM_STEP_DONE);
    fake_select(&fake, GUEST_RAM, 7);
    assert_int_equal(load_in(MODE_SUM, PAGE + 8, 0), SM_STEP_STOP);
    end();
}

static void flush(void)
{
    sm_tlb_flush_local(fake.vcpu, &sm_tlb_scope_everything);
}

static void test_physical_ones_follow_the_memory(void **state)
{
    begin(0, false);
    set_one(physical_of(DATA + 0x100, DATA + 0x101, SM_PERM_R | SM_PERM_W, 0));
    assert_int_equal(load(PAGE + 0xff, 0), SM_STEP_DONE);
    assert_int_equal(load(PAGE + 0xff, 1), SM_STEP_STOP);
    assert_int_equal(store(ALIAS + 0x101, 0, 0), SM_STEP_STOP);
    assert_true(hit().met_gva == ALIAS + 0x101 && hit().met_gpa == DATA + 0x101);
    assert_int_equal(load_in(MODE_BARE, DATA + 0x100, 3), SM_STEP_STOP);
    /* The guest puts it elsewhere, and other memory here. */
    fake_map(&fake, GUEST_RAM, PAGE, pte_of(OTHER, PTE_RWXAD));
    fake_map(&fake, GUEST_RAM, FREE, pte_of(DATA, PTE_RWXAD));
    flush();
    assert_int_equal(load(PAGE + 0x100, 0), SM_STEP_DONE);
    assert_true(fake_hit(&fake, MODE_S, PAGE, 1, SM_READ, NULL));
    assert_int_equal(load(FREE + 0x100, 0), SM_STEP_STOP);
    end();
}

static void test_a_space_of_its_own(void **state)
{
    struct sm_watch watch = physical_of(DATA, DATA, SM_PERM_R, 0);

    begin(0, false);
    watch.space = 1; /* which is the same memory */
    set_one(watch);
    assert_int_equal(load(PAGE, 0), SM_STEP_STOP);
    fake.space = 1;
    flush();
    assert_int_equal(load(PAGE, 0), SM_STEP_STOP);
    end();
}

static void test_virtual_ones_follow_the_address(void **state)
{
    begin(0, false);
    set_one(watch_of(PAGE + 0x100, PAGE + 0x101, SM_PERM_R, 0));
    assert_int_equal(load(ALIAS + 0x100, 0), SM_STEP_DONE);
    assert_int_equal(load(PAGE + 0x100, 0), SM_STEP_STOP);
    fake_map(&fake, GUEST_RAM, PAGE, 0);
    flush();
    assert_int_equal(load(PAGE + 0x100, 0), SM_STEP_FAULT); /* W2 */
    fake_map(&fake, GUEST_RAM, PAGE, pte_of(OTHER, PTE_RWXAD));
    flush();
    assert_int_equal(load(PAGE + 0x100, 0), SM_STEP_STOP);
    assert_true(hit().gpa == OTHER + 0x100);
    end();
}

static void test_borders_of_the_address_space(void **state)
{
    const struct sm_range all = {0, UINT64_MAX};

    begin(0, false);
    set_one(watch_of(all.first, all.last, SM_PERM_R, 0));
    assert_int_equal(load(PAGE, 0), SM_STEP_STOP);
    assert_int_equal(load(NEXT - 1, 3), SM_STEP_STOP);
    set_one(physical_of(all.first, all.last, SM_PERM_W, 0));
    assert_int_equal(store(IO, 0, 0), SM_STEP_STOP);
    assert_int_equal(load(PAGE, 0), SM_STEP_DONE);
    end();
}

static void test_a_second_page_that_faults(void **state)
{
    begin(0, false);
    fake_map(&fake, GUEST_RAM, NEXT, 0);
    set_one(watch_of(NEXT - 1, NEXT - 1, SM_PERM_R | SM_PERM_W, 0));
    assert_int_equal(load(NEXT - 4, 3), SM_STEP_FAULT); /* W2 */
    assert_int_equal(store(NEXT - 4, 3, 0), SM_STEP_FAULT);
    assert_int_equal(load(NEXT - 1, 0), SM_STEP_STOP);
    end();
}

static void test_devices(void **state)
{
    begin(0, false);
    set_one(physical_of(IO_AT + 8, IO_AT + 8, SM_PERM_R | SM_PERM_W, 0));
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(load(IO + 8, 2), SM_STEP_STOP);
        assert_int_equal(store(IO + 4, 3, 5), SM_STEP_STOP);
        assert_int_equal(fake.n_log, 0); /* W3 */
    }
    assert_int_equal(store(IO, 3, 5), SM_STEP_DONE_LEAVE);
    assert_int_equal(fake.n_log, 1);
    assert_int_equal(load(IO + 8, 2), SM_STEP_STOP);
    sm_vcpu_watch_pass(fake.vcpu);
    assert_int_equal(load(IO + 8, 2), SM_STEP_DONE_LEAVE);
    assert_int_equal(fake.n_log, 2);
    end();
}

static unsigned n_marked; /* of DATA's and OTHER's pages */

static void marked(void *arg, const struct sm_range *pages)
{
    static const uint64_t of[] = {DATA - GUEST_RAM, OTHER - GUEST_RAM};

    for (unsigned i = 0; i < SM_ARRAY_LEN(of); i++)
        n_marked += pages->first <= of[i] && of[i] <= pages->last;
}

/** Pages are marked as they are written, and watches stay, whatever is rearmed. */
static void test_dirty_logs(void **state)
{
    const struct sm_range all = {0, RAM_SIZE - 1};
    struct sm_dirty_log *log;

    begin(0, false);
    assert_int_equal(sm_dirty_log_new(fake.guest.ram, &log), 0);
    set_one(watch_of(PAGE + 8, PAGE + 8, SM_PERM_W, 0));
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(store(PAGE, 3, i), SM_STEP_DONE);
        assert_int_equal(store(FREE, 3, i), SM_STEP_DONE);
        n_marked = 0;
        sm_vcpu_settle(fake.vcpu, sm_dirty_log_take(log, all, marked, NULL));
        assert_int_equal(n_marked, 2);
        assert_int_equal(load(PAGE + 8, 0), SM_STEP_DONE);
        sm_vcpu_check(fake.vcpu);
        if (i & 1)
            assert_int_equal(store(PAGE + 8, 0, 0), SM_STEP_STOP);
        sm_vcpu_check(fake.vcpu);
    }
    sm_dirty_log_free(log);
    end();
}

/* --- Atomics, touches --------------------------------------------------------------- */

static enum sm_step swap(sm_gva gva, uint64_t value, uint64_t *old)
{
    return sm_tlb_rmw(fake.vcpu, gva, op_of(3, MODE_S), SM_RMW_SWAP, value, old, &fault);
}

static void test_updates_read_and_write(void **state)
{
    static const unsigned kinds[] = {SM_PERM_R, SM_PERM_W, SM_PERM_R | SM_PERM_W};
    uint64_t old;
    struct sm_value was;

    begin(0, false);
    for (unsigned i = 0; i < SM_ARRAY_LEN(kinds); i++) {
        set_one(watch_of(PAGE + 0x14, PAGE + 0x14, kinds[i], 0));
        assert_int_equal(store(PAGE + 0x18, 3, 0), SM_STEP_DONE); /* fills */
        assert_false(fake_hit(&fake, MODE_S, PAGE + 0x18, 8, SM_WRITE, NULL));
        *(uint64_t *)(void *)host_of(DATA + 0x10) = 11;
        assert_int_equal(swap(PAGE + 0x10, 12, &old), SM_STEP_STOP);
        assert_int_equal(hit().kind, SM_WATCH_RMW);
        assert_int_equal(hit().accesses, SM_PERM_R | SM_PERM_W);
        assert_true(hit().value.lo == 12);
        assert_int_equal(sm_tlb_cas(fake.vcpu, PAGE + 0x10, op_of(4, MODE_S),
                                    (struct sm_value){11, 0}, (struct sm_value){13, 14},
                                    &was, &fault), SM_STEP_STOP);
        assert_int_equal(hit().kind, SM_WATCH_CAS);
        assert_true(hit().value.lo == 13 && hit().value.hi == 14 && hit().size == 16);
        assert_true(*(uint64_t *)(void *)host_of(DATA + 0x10) == 11);
        assert_int_equal(swap(PAGE + 0x18, 12, &old), SM_STEP_DONE);
        /* A misaligned one is refused (W2). */
        assert_int_equal(swap(PAGE + 0x12, 12, &old), SM_STEP_FAULT);
        assert_int_equal(swap(PAGE + 0x10, 12, &old), SM_STEP_STOP);
        sm_vcpu_watch_pass(fake.vcpu);
        assert_int_equal(swap(PAGE + 0x10, 12, &old), SM_STEP_DONE);
        assert_true(old == 11);
        sm_vcpu_watch_rearm(fake.vcpu);
    }
    end();
}

static void test_reservations(void **state)
{
    const struct sm_memop op = op_of(3, MODE_S);
    uint64_t value;
    bool stored;

    begin(0, false);
    set_one(watch_of(PAGE + 0x10, PAGE + 0x10, SM_PERM_R, 0));
    assert_int_equal(sm_tlb_load_reserved(fake.vcpu, PAGE + 0x10, op, &value, &fault),
                     SM_STEP_STOP);
    assert_int_equal(hit().kind, SM_WATCH_RESERVE);
    assert_int_equal(sm_tlb_store_conditional(fake.vcpu, PAGE + 0x10, op, 1, &stored,
                                              &fault), SM_STEP_DONE);
    assert_false(stored); /* nothing was reserved */
    set_one(watch_of(PAGE + 0x10, PAGE + 0x10, SM_PERM_W, 0));
    assert_int_equal(sm_tlb_store_conditional(fake.vcpu, PAGE + 0x10, op, 1, &stored,
                                              &fault), SM_STEP_DONE); /* stores nothing */
    assert_int_equal(sm_tlb_load_reserved(fake.vcpu, PAGE + 0x10, op, &value, &fault),
                     SM_STEP_DONE);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(sm_tlb_store_conditional(fake.vcpu, PAGE + 0x10, op, 77, &stored,
                                                  &fault), SM_STEP_STOP);
        assert_int_equal(hit().kind, SM_WATCH_STORE_CONDITIONAL);
        assert_true(hit().value.lo == 77);
    }
    sm_vcpu_watch_pass(fake.vcpu);
    assert_int_equal(sm_tlb_store_conditional(fake.vcpu, PAGE + 0x10, op, 77, &stored,
                                              &fault), SM_STEP_DONE);
    assert_true(stored); /* W3: it was held all the while */
    end();
}

static enum sm_step touch(sm_gva gva, unsigned size, enum sm_access access,
                          uint32_t flags)
{
    void *host;
    return sm_tlb_touch(fake.vcpu, gva, size, access, MODE_S, flags, &host, &fault);
}

static void test_touches(void **state)
{
    begin(0, false);
    set_one(watch_of(PAGE + 0x41, PAGE + 0x41, SM_PERM_W | SM_PERM_X, 0));
    assert_int_equal(touch(PAGE + 0x40, 64, SM_WRITE, SM_REQ_CACHE_OP), SM_STEP_STOP);
    assert_true(hit().kind == SM_WATCH_TOUCH && hit().size == 64);
    assert_int_equal(touch(PAGE + 0x40, 64, SM_READ, SM_REQ_CACHE_OP), SM_STEP_DONE);
    assert_int_equal(touch(PAGE + 0x40, 64, SM_WRITE, SM_REQ_PROBE), SM_STEP_DONE);
    assert_int_equal(touch(PAGE + 0x40, 2, SM_FETCH, 0), SM_STEP_STOP);
    assert_int_equal(hit().kind, SM_WATCH_FETCH);
    assert_int_equal(touch(PAGE + 0x42, 2, SM_FETCH, 0), SM_STEP_DONE);
    assert_int_equal(touch(PAGE, 0x1000, SM_WRITE, 0), SM_STEP_STOP);
    assert_int_equal(hit().size, 0x1000);
    sm_vcpu_watch_pass(fake.vcpu); /* and all stores that it stands for */
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(store(PAGE + 0x40 + 8 * i, 3, 0), SM_STEP_DONE);
    assert_int_equal(fetch(PAGE + 0x40, 1), SM_STEP_STOP);
    end();
}

/* --- Going on ----------------------------------------------------------------------- */

static void test_what_is_let_through(void **state)
{
    const struct sm_watch watches[] = {
        watch_of(PAGE, PAGE + 0xff, SM_PERM_X, 1),
        watch_of(NEXT - 1, NEXT, SM_PERM_R | SM_PERM_W, 2)};

    begin(0, false);
    set(watches, 2);
    /* An instruction that is stopped at its fetch, then at its load. */
    assert_int_equal(fetch(PAGE, 1), SM_STEP_STOP);
    sm_vcpu_watch_pass(fake.vcpu);
    assert_int_equal(fetch(PAGE, 1), SM_STEP_DONE);
    assert_int_equal(load(NEXT - 4, 3), SM_STEP_STOP);
    assert_true(hit().id == 2 && hit().met_gva == NEXT - 1);
    sm_vcpu_watch_pass(fake.vcpu);
    sm_vcpu_watch_pass(fake.vcpu); /* no other than once */
    assert_int_equal(fetch(PAGE, 1), SM_STEP_DONE);
    assert_int_equal(load(NEXT - 4, 3), SM_STEP_DONE);
    /* Others stop: other bytes, another kind, another mode. */
    assert_int_equal(load(NEXT - 3, 3), SM_STEP_STOP);
    assert_int_equal(store(NEXT - 4, 3, 0), SM_STEP_STOP);
    assert_int_equal(load_in(MODE_SUM, NEXT - 4, 3), SM_STEP_STOP);
    assert_int_equal(fetch(PAGE + 2, 1), SM_STEP_STOP);
    set(watches, 2); /* a debugger edits: what is let through stays */
    assert_int_equal(load(NEXT - 4, 3), SM_STEP_DONE);
    sm_vcpu_watch_rearm(fake.vcpu);
    assert_int_equal(fetch(PAGE, 1), SM_STEP_STOP);
    assert_int_equal(load(NEXT - 4, 3), SM_STEP_STOP);
    end();
}

static void test_more_than_are_remembered(void **state)
{
    begin(0, false);
    set_one(watch_of(PAGE, PAGE + 0xff, SM_PERM_R, 1));
    for (unsigned i = 0; i < SM_WATCH_PASSES + 1; i++) {
        assert_int_equal(load(PAGE + i, 0), SM_STEP_STOP);
        sm_vcpu_watch_pass(fake.vcpu);
        assert_int_equal(load(PAGE + i, 0), SM_STEP_DONE);
    }
    assert_int_equal(load(PAGE, 0), SM_STEP_STOP);
    for (unsigned i = 1; i < SM_WATCH_PASSES + 1; i++)
        assert_int_equal(load(PAGE + i, 0), SM_STEP_DONE);
    end();
}

static void test_an_older_caller(void **state)
{
    struct sm_watch_hit out = {.struct_size = 16, .gva = 99};

    begin(0, false);
    set_one(watch_of(PAGE, PAGE, SM_PERM_R, 1));
    assert_int_equal(load(PAGE, 0), SM_STEP_STOP);
    assert_true(sm_vcpu_watch_hit(fake.vcpu, &out));
    assert_true(out.id == 1 && out.gva == 99 && out.struct_size == 16);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_every_size_at_every_offset),
        cmocka_unit_test(test_several_in_a_page),
        cmocka_unit_test(test_the_rest_is_direct),
        cmocka_unit_test(test_modes_and_address_spaces),
        cmocka_unit_test(test_physical_ones_follow_the_memory),
        cmocka_unit_test(test_a_space_of_its_own),
        cmocka_unit_test(test_virtual_ones_follow_the_address),
        cmocka_unit_test(test_borders_of_the_address_space),
        cmocka_unit_test(test_a_second_page_that_faults),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_dirty_logs),
        cmocka_unit_test(test_updates_read_and_write),
        cmocka_unit_test(test_reservations),
        cmocka_unit_test(test_touches),
        cmocka_unit_test(test_what_is_let_through),
        cmocka_unit_test(test_more_than_are_remembered),
        cmocka_unit_test(test_an_older_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
