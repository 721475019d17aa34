/* SPDX-License-Identifier: MIT */
/* features_test.c - what features of the TLB make of each other: refill, dirty logs,
 * translating regions, windows, the checker, counting, commits that forget ranges.
 *
 * Each has a test of its own; here are the pairs.
 */
#include "../memory/table_model.h"
#include "fake_guest.h"
#include "softmmu/tlb_check.h"
#include "softmmu/window.h"

#define IOVAS UINT64_C(0x100000000) /* where the CPU's space shows the iovas         */
#define PAGES UINT64_C(0x40000000)  /* gvas: page i is page i from DATA of RAM       */
#define DATA  (GUEST_RAM + UINT64_C(0x100000))
enum { PAGE = 4096, MEM_SIZE = 0x400000, UPPER = 0x10000, LOWER = 0x11000,
       BEHIND = 0x100000, N_PAGES = 64 };

struct board {
    struct fake fake;
    struct sm_region *mem_root, *mem_ram, *translating;
    struct sm_address_space *mem; /* behind the model: RAM at 0                  */
    struct table_model model;
    uint8_t *behind; /* of .mem_ram                                              */
    struct sm_tlb_check *check;
    struct sm_stale last;
    unsigned n_told;
};

static struct board board;
static struct fake *const fake = &board.fake;
static struct sm_fault fault;
static const struct sm_attrs dma = {.requester = 1, .process = SM_NO_PROCESS};

static uint64_t get_pc(struct sm_vcpu *vcpu)
{
    return 0x100;
}

static void told(void *owner, const struct sm_stale *stale)
{
    board.last = *stale;
    board.n_told++;
}

static const struct sm_tlb_check_ops check_ops = {
    .struct_size = sizeof check_ops, .pc = get_pc, .report = told};

static void map_iova(uint64_t iova, uint64_t entry)
{
    __atomic_store_n((uint64_t *)(void *)(board.behind + LOWER + 8 * (iova >> 12)), entry,
                     __ATOMIC_RELEASE);
}

/** A vCPU of @flags, with a checker of @check_flags if there are any. */
static void init(uint32_t flags, uint32_t check_flags)
{
    const struct sm_tlb_check_options options = {
        .struct_size = sizeof options, .flags = check_flags, .ops = &check_ops};
    struct sm_vcpu *vcpu;
    struct sm_topology *topo;

    memset(&board, 0, sizeof board);
    fake_init_flags(fake, flags);
    topo = fake->guest.topo;
    assert_int_equal(sm_region_new(topo, "mem", UINT64_MAX, &board.mem_root), 0);
    assert_int_equal(sm_region_new_ram(topo, "behind", MEM_SIZE, &board.mem_ram), 0);
    assert_int_equal(sm_address_space_new(topo, "mem", board.mem_root, &board.mem), 0);
    table_model_init(&board.model, topo, board.mem, NULL);
    for (unsigned i = 0; i < N_REQUESTERS; i++)
        board.model.root[i] = UPPER;
    assert_int_equal(sm_region_new_translating(board.model.iommu, "iovas", 0x3fffffff,
                                               &board.translating), 0);
    sm_topology_begin(topo);
    assert_int_equal(sm_region_map(board.mem_root, 0, board.mem_ram, 0), 0);
    assert_int_equal(sm_region_map(fake->guest.root, IOVAS, board.translating, 0), 0);
    assert_int_equal(sm_topology_commit(topo, NULL), 0);
    sm_vcpu_safe_point(fake->vcpu);
    board.behind = sm_region_host(board.mem_ram);
    /* Not lent for writing, as a log would have all of it dirty then (D2). */
    sm_mapping_release(&fake->guest.mapping);
    assert_int_equal(sm_address_space_map(fake->guest.space, GUEST_RAM, guest_attrs(),
                                          RAM_SIZE, SM_READ, &fake->guest.mapping),
                     SM_TX_OK);
    *(uint64_t *)(void *)(board.behind + UPPER) = LOWER | ENTRY_TABLE;
    for (unsigned i = 0; i < N_PAGES; i++)
        fake_map(fake, GUEST_RAM, PAGES + i * PAGE, pte_of(DATA + i * PAGE, PTE_RWXAD));
    /* In place of the vCPU that fake_init() made: spaces that differ, and the checker. */
    if (check_flags)
        assert_int_equal(sm_tlb_check_new(&options, &board.check), 0);
    struct sm_address_space *spaces[] = {fake->guest.space, board.mem};
    const struct sm_vcpu_options how = {
        .struct_size = sizeof how, .tlb_layout = SM_TLB_LAYOUT, .spaces = spaces,
        .n_spaces = 2, .requester = 2, .ops = &fake_ops, .guest = fake, .flags = flags,
        .check = board.check};
    assert_int_equal(sm_vcpu_new(topo, &how, &vcpu), 0);
    sm_vcpu_offline(fake->vcpu);
    sm_vcpu_free(fake->vcpu);
    fake->vcpu = vcpu;
    sm_vcpu_online(vcpu);
    sm_tlb_select(vcpu, 1 << MODE_BARE, &(struct sm_tlb_key){{UINT64_MAX, 0, 0}});
    fake_select(fake, GUEST_RAM, 0);
    for (uint8_t mode = 0; mode < FAKE_MODES; mode++)
        sm_tlb_check_root(vcpu, mode, GUEST_RAM);
    fake->refill = true;
    board.model.n_asked = 0;
}

static void fini(void)
{
    fake_fini(fake);
    sm_tlb_check_free(board.check);
}

static enum sm_step load(sm_gva gva, unsigned mode, uint64_t *value)
{
    struct sm_value got = {0, 0};
    const enum sm_step step = sm_tlb_read_slow(fake->vcpu, gva, op_of(3, mode), &got, &fault);

    *value = got.lo;
    return step;
}

static uint64_t loaded(sm_gva gva, unsigned mode)
{
    uint64_t value;

    assert_int_equal(load(gva, mode, &value), SM_STEP_DONE);
    return value;
}

static void store(sm_gva gva, unsigned mode, uint64_t value)
{
    assert_int_equal(sm_tlb_write_slow(fake->vcpu, gva, op_of(3, mode),
                                       (struct sm_value){value, 0}, &fault),
                     SM_STEP_DONE);
}

static bool hits(sm_gva gva, unsigned mode, enum sm_access access)
{
    return fake_hit(fake, mode, gva, 8, access, NULL);
}

/** Have the TLB know the way to PAGES; its first two pages are filled then. */
static void warm(void)
{
    (void)loaded(PAGES, MODE_S);
    (void)loaded(PAGES + PAGE, MODE_S);
}

/* --- Dirty logs --------------------------------------------------------------------- */

struct pages {
    bool set[MEM_SIZE / PAGE];
    unsigned n;
};

static void note(void *arg, const struct sm_range *range)
{
    struct pages *const pages = arg;

    for (uint64_t i = range->first / PAGE; i <= range->last / PAGE; i++, pages->n++)
        if (i < SM_ARRAY_LEN(pages->set))
            pages->set[i] = true;
}

/** Take a snapshot and wait for it. */
static struct pages take(struct sm_dirty_log *log)
{
    struct pages pages = {.n = 0};

    sm_vcpu_settle(fake->vcpu, sm_dirty_log_take(log, (struct sm_range){0, UINT64_MAX}, note,
                                                 &pages));
    return pages;
}

static struct sm_dirty_log *clean_log(struct sm_region *region)
{
    struct sm_dirty_log *log;

    assert_int_equal(sm_dirty_log_new(region, &log), 0);
    (void)take(log);
    return log;
}

/** Page @i of DATA, in RAM's pages. */
static unsigned page_of(unsigned i)
{
    return (unsigned)((DATA - GUEST_RAM) / PAGE) + i;
}

static void refill_tells_logs(void **state)
{
    struct pages pages;

    init(0, 0);
    warm();
    (void)loaded(PAGES + 2 * PAGE, MODE_S);
    const unsigned n_fills = fake->n_fills;
    (void)loaded(PAGES + 3 * PAGE, MODE_S);
    assert_int_equal(fake->n_fills, n_fills);
    assert_true(hits(PAGES + 3 * PAGE, MODE_S, SM_WRITE));
    /* Those that were refilled before the log began are asked again by its first take. */
    struct sm_dirty_log *log = clean_log(fake->guest.ram);
    assert_false(hits(PAGES + 3 * PAGE, MODE_S, SM_WRITE));
    assert_true(hits(PAGES + 3 * PAGE, MODE_S, SM_READ));
    /* Refilled while it is there: for reads only, and a store tells of itself. */
    (void)loaded(PAGES + 4 * PAGE, MODE_S);
    (void)loaded(PAGES + 5 * PAGE, MODE_S);
    assert_true(hits(PAGES + 5 * PAGE, MODE_S, SM_READ));
    assert_false(hits(PAGES + 5 * PAGE, MODE_S, SM_WRITE));
    assert_int_equal(take(log).n, 0);
    store(PAGES + 3 * PAGE, MODE_S, 1);
    store(PAGES + 5 * PAGE, MODE_S, 1);
    store(PAGES + 6 * PAGE, MODE_S, 1);
    assert_true(hits(PAGES + 6 * PAGE, MODE_S, SM_WRITE));
    pages = take(log);
    assert_true(pages.n == 3 && pages.set[page_of(3)] && pages.set[page_of(5)] &&
                pages.set[page_of(6)]);
    assert_false(hits(PAGES + 6 * PAGE, MODE_S, SM_WRITE));
    sm_dirty_log_free(log);
    fini();
}

/** A take between the two pages of a store, by the device of the second: the store to the
 *  first may be unseen, as it precedes the ticket (D1), and no later one is. */
static struct sm_dirty_log *taken_inside;
static struct pages seen_inside;

static void take_inside(struct fake *of)
{
    assert_true(sm_dirty_log_take(taken_inside, (struct sm_range){0, UINT64_MAX}, note,
                                  &seen_inside) > 0);
}

static void log_taken_within_a_store(void **state)
{
    init(0, 0);
    fake_map(fake, GUEST_RAM, PAGES + PAGE, pte_of(IO_AT, PTE_RWXAD));
    struct sm_dirty_log *log = taken_inside = clean_log(fake->guest.ram);
    store(PAGES + 8, MODE_S, 5); /* is marked and direct */
    memset(&seen_inside, 0, sizeof seen_inside);
    fake->in_device = take_inside;
    assert_int_equal(sm_tlb_write_slow(fake->vcpu, PAGES + PAGE - 4, op_of(3, MODE_S),
                                       (struct sm_value){UINT64_MAX, 0}, &fault),
                     SM_STEP_DONE_LEAVE);
    fake->in_device = NULL;
    assert_true(seen_inside.set[page_of(0)]);
    sm_vcpu_safe_point(fake->vcpu);
    assert_false(hits(PAGES, MODE_S, SM_WRITE));
    store(PAGES, MODE_S, 6);
    assert_true(take(log).set[page_of(0)]); /* D3 */
    sm_dirty_log_free(log);
    fini();
}

static void logs_beyond_a_model(void **state)
{
    init(0, 0);
    map_iova(0x1000, BEHIND | ENTRY_RW);
    struct sm_dirty_log *log = clean_log(board.mem_ram);
    (void)loaded(IOVAS + 0x1008, MODE_BARE);
    assert_int_equal(take(log).n, 0);
    store(IOVAS + 0x1008, MODE_BARE, 1);
    assert_true(hits(IOVAS + 0x1008, MODE_BARE, SM_WRITE));
    store(IOVAS + 0x1010, MODE_BARE, 2);
    assert_true(take(log).set[BEHIND / PAGE]);
    assert_false(hits(IOVAS + 0x1008, MODE_BARE, SM_WRITE));
    /* The model leads elsewhere, and has not said so yet: whatever the store is made to
     * was told of. */
    map_iova(0x1000, (BEHIND + PAGE) | ENTRY_RW);
    store(IOVAS + 0x1008, MODE_BARE, 3);
    const bool moved = board.behind[BEHIND + PAGE + 8] == 3;
    assert_true(take(log).set[BEHIND / PAGE + moved]);
    /* Atomics, and what goes by the bus. */
    uint64_t old;
    assert_int_equal(sm_tlb_rmw(fake->vcpu, IOVAS + 0x1020, op_of(3, MODE_BARE), SM_RMW_ADD, 1,
                                &old, &fault), SM_STEP_DONE);
    assert_true(take(log).n == 1);
    assert_int_equal(sm_address_space_store(fake->guest.space, IOVAS + 0x1030, &dma, 8, 4),
                     SM_TX_OK);
    assert_true(take(log).set[BEHIND / PAGE + 1]);
    sm_dirty_log_free(log);
    fini();
}

static void logs_and_counting(void **state)
{
    uint64_t n = 0;

    init(SM_VCPU_COUNT_HITS, 0);
    struct sm_dirty_log *log = clean_log(fake->guest.ram);
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < 8; i++, n += 2) {
            (void)loaded(PAGES + i * PAGE, MODE_S);
            store(PAGES + i * PAGE, MODE_S, i);
        }
        assert_int_equal(take(log).n, 8);
    }
    const struct sm_tlb_stats stats = fake_stats(fake);
    assert_int_equal(stats.hits[SM_READ] + stats.fills[SM_READ] + stats.hits[SM_WRITE] +
                         stats.fills[SM_WRITE], n);
    assert_true(stats.fills[SM_READ] == 8 && stats.fills[SM_WRITE] <= 8);
    sm_dirty_log_free(log);
    fini();
}

/* --- Windows ------------------------------------------------------------------------ */

static void windows_tell_logs(void **state)
{
    static const uint8_t bytes[200] = {1, 2, 3};
    struct sm_window window;
    uint64_t value;

    init(0, 0);
    struct sm_dirty_log *log = clean_log(fake->guest.ram);
    sm_window_open(&window, fake->guest.space, DATA, &dma, 16 * PAGE);
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(sm_window_load(&window, 3 * PAGE, 8, &value), SM_TX_OK);
        assert_int_equal(take(log).n, 0);
        assert_int_equal(sm_window_store(&window, 3 * PAGE, 8, round), SM_TX_OK);
        assert_int_equal(sm_window_write(&window, 5 * PAGE + 4000, bytes, sizeof bytes, NULL),
                         SM_TX_OK);
        const struct pages pages = take(log);
        assert_true(pages.n == 3 && pages.set[page_of(3)] && pages.set[page_of(5)] &&
                    pages.set[page_of(6)]);
    }
    sm_window_close(&window);
    sm_dirty_log_free(log);
    fini();
}

/** A window keeps nothing of what a model says: no view changes when that does. */
static void windows_ask_models(void **state)
{
    struct sm_window window;
    uint64_t value;

    init(0, 0);
    struct sm_dirty_log *log = clean_log(board.mem_ram);
    sm_window_open(&window, fake->guest.space, IOVAS, &dma, 16 * PAGE);
    for (unsigned i = 0; i < 4; i++) {
        map_iova(0x1000, (BEHIND + i * PAGE) | ENTRY_RW);
        *(uint64_t *)(void *)(board.behind + BEHIND + i * PAGE) = i + 100;
        assert_int_equal(sm_window_load(&window, 0x1000, 8, &value), SM_TX_OK);
        assert_int_equal(value, i + 100);
        assert_int_equal(sm_window_store(&window, 0x1008, 8, i), SM_TX_OK);
        assert_true(take(log).set[BEHIND / PAGE + i]);
        assert_int_equal(*(uint64_t *)(void *)(board.behind + BEHIND + i * PAGE + 8), i);
    }
    map_iova(0x1000, 0);
    assert_int_equal(sm_window_load(&window, 0x1000, 8, &value), SM_TX_ACCESS_ERROR);
    sm_dirty_log_free(log);
    fini();
}

/* --- Refill ------------------------------------------------------------------------- */

/** What a guest answers in another of its spaces does not lead refills there. */
static void refill_keeps_to_its_space(void **state)
{
    init(0, 0);
    *guest_entry(&fake->guest, DATA + 3 * PAGE) = 0x600d;
    sm_topology_begin(fake->guest.topo); /* other memory at the same addresses */
    assert_int_equal(sm_region_move(board.mem_ram, GUEST_RAM), 0);
    assert_int_equal(sm_topology_commit(fake->guest.topo, NULL), 0);
    sm_vcpu_safe_point(fake->vcpu);
    warm();
    fake->refill = false;
    fake->space = 1; /* of a leaf whose like was not met: it is asked for */
    fake_map(fake, GUEST_RAM, PAGES + 20 * PAGE, pte_of(DATA, PTE_RWXAD & ~PTE_X));
    assert_int_equal(loaded(PAGES + 20 * PAGE, MODE_S), 0);
    fake->space = 0;
    assert_int_equal(loaded(PAGES + 3 * PAGE, MODE_S), 0x600d);
    fini();
}

/** A commit elsewhere: entries stay, the way is learnt anew, and leads where it did. */
static void refill_after_a_commit_elsewhere(void **state)
{
    init(0, 0);
    warm();
    (void)loaded(PAGES + 2 * PAGE, MODE_S);
    sm_topology_begin(fake->guest.topo);
    sm_region_set_enabled(fake->rom, false);
    assert_int_equal(sm_topology_commit(fake->guest.topo, NULL), 0);
    sm_vcpu_safe_point(fake->vcpu);
    assert_true(hits(PAGES, MODE_S, SM_READ) && hits(PAGES + 2 * PAGE, MODE_S, SM_WRITE));
    const unsigned n_fills = fake->n_fills;
    for (unsigned i = 3; i < 10; i++) {
        *guest_entry(&fake->guest, DATA + i * PAGE) = i;
        assert_int_equal(loaded(PAGES + i * PAGE, MODE_S), i);
    }
    assert_int_equal(fake->n_fills, n_fills + 1);
    fini();
}

static void refill_and_counting(void **state)
{
    init(SM_VCPU_COUNT_HITS, 0);
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < 16; i++)
            (void)loaded(PAGES + i * PAGE, MODE_S);
    const struct sm_tlb_stats stats = fake_stats(fake);
    assert_int_equal(stats.hits[SM_READ], 32);
    assert_int_equal(stats.fills[SM_READ], 16);
    assert_int_equal(fake->n_fills, 2); /* the others were refilled */
    fini();
}

/** The last table in RAM, the way to it through a model: what was refilled from it goes
 *  with what the model said, and so does the table. */
static void refill_behind_tables_of_a_model(void **state)
{
    const uint64_t root = IOVAS + 0x4000, last[] = {GUEST_RAM + 0x6000, GUEST_RAM + 0x7000};

    init(0, 0);
    map_iova(0x4000, BEHIND | ENTRY_RW);
    map_iova(0x5000, (BEHIND + PAGE) | ENTRY_RW);
    *(uint64_t *)(void *)(board.behind + BEHIND + 8) = pte_of(IOVAS + 0x5000, PTE_V);
    for (unsigned i = 0; i < 2; i++) {
        *(uint64_t *)(void *)(board.behind + BEHIND + (1 + i) * PAGE) =
            pte_of(last[i], PTE_V);
        for (unsigned n = 0; n < 16; n++) {
            guest_put(&fake->guest, last[i], n,
                      pte_of(DATA + (16 * i + n) * PAGE, PTE_RWXAD));
            *guest_entry(&fake->guest, DATA + (16 * i + n) * PAGE) = 16 * i + n;
        }
    }
    fake_select(fake, root, 3);
    for (unsigned n = 0; n < 8; n++)
        assert_int_equal(loaded(PAGES + n * PAGE, MODE_S), n);
    const unsigned n_fills = fake->n_fills;
    assert_true(n_fills < 8 && fake->vcpu->translated);
    map_iova(0x5000, (BEHIND + 2 * PAGE) | ENTRY_RW);
    sm_vcpu_settle(fake->vcpu, table_invalidate_all(&board.model));
    for (unsigned n = 0; n < 16; n++)
        assert_int_equal(loaded(PAGES + n * PAGE, MODE_S), 16 + n);
    fini();
}

/* --- The checker -------------------------------------------------------------------- */

/** Have the guest store @pte as the entry of page @i of PAGES. */
static void put_pte(unsigned i, uint64_t pte)
{
    fake_map(fake, GUEST_RAM, PAGES + 60 * PAGE, pte_of(GUEST_RAM + 0x2000, PTE_RWXAD));
    store(PAGES + 60 * PAGE + 8 * i, MODE_S, pte);
}

static void checked_beyond_a_model(void **state)
{
    uint64_t value;

    init(0, SM_TLB_CHECK_HITS);
    map_iova(0x1000, BEHIND | ENTRY_RW);
    put_pte(7, pte_of(IOVAS + 0x1000, PTE_RWXAD));
    store(PAGES + 7 * PAGE, MODE_S, 77);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(loaded(PAGES + 7 * PAGE, MODE_S), 77);
    assert_false(hits(PAGES + 7 * PAGE, MODE_S, SM_READ)); /* each use is looked at */
    assert_int_equal(board.n_told, 0);
    put_pte(7, pte_of(DATA, PTE_RWXAD));
    assert_int_equal(loaded(PAGES + 7 * PAGE, MODE_S), 77); /* K4 */
    assert_int_equal(board.n_told, 1);
    assert_int_equal(board.last.kind, SM_STALE_OWN);
    assert_true(board.last.old_gpa == IOVAS + 0x1000 && board.last.new_gpa == DATA);
    /* What the model says is no table of the guest's. */
    sm_tlb_flush_local(fake->vcpu, &sm_tlb_scope_everything);
    put_pte(7, pte_of(IOVAS + 0x1000, PTE_RWXAD));
    sm_tlb_flush_local(fake->vcpu, &sm_tlb_scope_everything);
    (void)loaded(PAGES + 7 * PAGE, MODE_S);
    map_iova(0x1000, 0);
    sm_vcpu_settle(fake->vcpu, table_invalidate_all(&board.model));
    assert_int_equal(load(PAGES + 7 * PAGE, MODE_S, &value), SM_STEP_FAULT);
    assert_int_equal(board.n_told, 1);
    fini();
}

static void checked_stores_tell_logs(void **state)
{
    static const uint32_t flags[] = {SM_TLB_CHECK_HITS, SM_TLB_KEEP_STALE,
                                     SM_TLB_CHECK_HITS | SM_TLB_KEEP_STALE};

    for (unsigned i = 0; i < SM_ARRAY_LEN(flags); i++) {
        init(0, flags[i]);
        map_iova(0x1000, BEHIND | ENTRY_RW);
        struct sm_dirty_log *log = clean_log(fake->guest.ram);
        struct sm_dirty_log *beyond = clean_log(board.mem_ram);
        for (unsigned round = 0; round < 3; round++) {
            store(PAGES + 4 * PAGE, MODE_S, round);
            store(PAGES + 4 * PAGE, MODE_S, round);
            store(IOVAS + 0x1008, MODE_BARE, round);
            assert_true(take(log).n == 1 && take(beyond).n == 1);
            (void)loaded(PAGES + 4 * PAGE, MODE_S);
            assert_true(take(log).n == 0 && take(beyond).n == 0);
        }
        assert_int_equal(board.n_told, 0);
        sm_dirty_log_free(log);
        sm_dirty_log_free(beyond);
        fini();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refill_tells_logs),
        cmocka_unit_test(log_taken_within_a_store),
        cmocka_unit_test(logs_beyond_a_model),
        cmocka_unit_test(logs_and_counting),
        cmocka_unit_test(windows_tell_logs),
        cmocka_unit_test(windows_ask_models),
        cmocka_unit_test(refill_keeps_to_its_space),
        cmocka_unit_test(refill_after_a_commit_elsewhere),
        cmocka_unit_test(refill_and_counting),
        cmocka_unit_test(refill_behind_tables_of_a_model),
        cmocka_unit_test(checked_beyond_a_model),
        cmocka_unit_test(checked_stores_tell_logs),
    };
    return cmocka_run_group_tests_name("features", tests, NULL, NULL);
}
