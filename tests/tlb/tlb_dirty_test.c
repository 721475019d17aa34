/* SPDX-License-Identifier: MIT */
/* tlb_dirty_test.c - what a vCPU tells dirty logs: entries by hand, then a model.
 *
 * The model keeps for each log the copy that its client would have: the pages of each
 * snapshot, copied after its ticket.  Whatever stores how - hit path, slow path, atomics,
 * walks that set A and D, transfers, mappings that are out, the owner - a page whose
 * bytes differ from the copy must be in the next snapshot, or in one whose ticket is not
 * done.  Maps change meanwhile, pages lie crooked in an alias, RAM changes its size, an
 * IOMMU leads to it.  Misses are refilled, or the checker looks at each access.
 */
#include "fake_guest.h"

#include "softmmu/iommu.h"
#include "softmmu/tlb_check.h"
#include "softmmu/window.h"

#include "memory/atomic_access.h"
#include "memory/memory_impl.h"

#define LOGGED    UINT64_C(0x90000000)
#define ALIAS     UINT64_C(0xa0000000)
#define IOVAS     UINT64_C(0xb0000000) /* pages that a model leads to those of LOGGED    */
#define OVERLAY   (LOGGED + UINT64_C(0x20000)) /* a device covers this page at times  */
#define ALIAS_OFF UINT64_C(0x5040)             /* crooked: a page shows parts of two  */
#define ALL       ((struct sm_range){0, UINT64_MAX})
enum {
    PAGE = 4096, N_PAGES = 64, N_MORE = 96, N_ALIAS = 8, SIZE = N_MORE * PAGE,
    N_LOGS = 3, N_LENT = 40, N_IOVAS = 8
};

static struct fake fake;
static struct rng rng;
static struct sm_region *logged, *alias, *overlay;
static uint8_t *host;
static struct sm_tlb_check *check; /* of the vCPU, or NULL                             */

/* --- A model of an IOMMU -------------------------------------------------------------- */

static unsigned leads_to[N_IOVAS]; /* page of LOGGED                                 */
static struct sm_iommu *iommu;
static struct sm_address_space *behind; /* shows .logged at 0                        */

static bool translate(void *dev, const struct sm_iommu_req *req, struct sm_iommu_map *out)
{
    const uint64_t page = req->iova / PAGE;

    *out = (struct sm_iommu_map){
        .space = behind, .base = leads_to[page] * PAGE,
        .span = {page * PAGE, page * PAGE + (PAGE - 1)},
        .leaf = {{page * PAGE, page * PAGE + (PAGE - 1)}, {0, UINT64_MAX}},
        .perms = SM_PERM_R | SM_PERM_W | SM_PERM_X};
    return true;
}

static const struct sm_iommu_ops iommu_ops = {.struct_size = sizeof iommu_ops,
                                              .translate = translate};

/** Have a page lead elsewhere, and say so; tables stay what they are. */
static void retranslate(void)
{
    const struct sm_iommu_scope all = {.range = {0, UINT64_MAX}, .stage = 1};

    leads_to[rng_below(&rng, N_IOVAS)] = 4 + (unsigned)rng_below(&rng, N_PAGES - 4);
    if (rng_once_in(&rng, 2))
        sm_vcpu_settle(fake.vcpu, sm_iommu_invalidate(iommu, &all));
    else
        assert_true(sm_iommu_invalidate(iommu, &all) > 0);
}

/* --- A board ----------------------------------------------------------------------- */

static void board_init(uint32_t flags)
{
    const struct sm_ram_options options = {
        .struct_size = sizeof options, .size = N_PAGES * PAGE, .max_size = SIZE};
    struct sm_region *translating, *root, *shown;
    struct sm_topology *topo;
    struct sm_device *model;

    fake_init_checked(&fake, flags, check);
    fake.flags = SM_WALK_AD;
    topo = fake.guest.topo;
    for (unsigned i = 0; i < N_IOVAS; i++)
        leads_to[i] = 10 + i;
    assert_int_equal(sm_device_new(topo, "iommu", NULL, &model), 0);
    assert_int_equal(sm_region_new(topo, "behind", UINT64_MAX, &root), 0);
    assert_int_equal(sm_address_space_new(topo, "behind", root, &behind), 0);
    assert_int_equal(sm_iommu_new(model, &iommu_ops, &behind, 1, &iommu), 0);
    assert_int_equal(
        sm_region_new_translating(iommu, "iovas", N_IOVAS * PAGE - 1, &translating), 0);
    sm_topology_begin(topo);
    assert_int_equal(sm_region_new_ram_from(topo, "logged", &options, &logged), 0);
    assert_int_equal(sm_region_new_alias(logged, "alias",
                                         (struct sm_range){ALIAS_OFF,
                                                           ALIAS_OFF + N_ALIAS * PAGE - 1},
                                         &alias), 0);
    assert_int_equal(
        sm_region_new_io(fake.device, "overlay", 0xfff, &fake_io_ops, &overlay), 0);
    assert_int_equal(sm_region_new_alias(logged, "shown",
                                         (struct sm_range){0, N_PAGES * PAGE - 1}, &shown),
                     0);
    assert_int_equal(sm_region_map(root, 0, shown, 0), 0);
    assert_int_equal(sm_region_map(fake.guest.root, LOGGED, logged, 0), 0);
    assert_int_equal(sm_region_map(fake.guest.root, ALIAS, alias, 0), 0);
    assert_int_equal(sm_region_map(fake.guest.root, OVERLAY, overlay, 1), 0);
    assert_int_equal(sm_region_map(fake.guest.root, IOVAS, translating, 0), 0);
    sm_region_set_enabled(overlay, false);
    assert_int_equal(sm_topology_commit(topo, NULL), 0);
    sm_vcpu_safe_point(fake.vcpu);
    host = sm_region_host(logged);
}

static struct sm_dirty_log *new_log(void)
{
    struct sm_dirty_log *log;
    assert_int_equal(sm_dirty_log_new(logged, &log), 0);
    return log;
}

static uint64_t n_dirty;

static void count(void *arg, const struct sm_range *pages)
{
    n_dirty += (pages->last - pages->first) / PAGE + 1;
}

static sm_ticket take(struct sm_dirty_log *log)
{
    n_dirty = 0;
    return sm_dirty_log_take(log, ALL, count, NULL);
}

static void store(unsigned mode, sm_gva gva)
{
    struct sm_fault fault;
    void *at;

    if (fake_hit(&fake, mode, gva, 8, SM_WRITE, &at))
        sm_host_store(at, 3, 1);
    else
        assert_int_equal(sm_tlb_write_slow(fake.vcpu, gva, op_of(3, mode),
                                           (struct sm_value){1, 0}, &fault), SM_STEP_DONE);
}

static void load(unsigned mode, sm_gva gva)
{
    struct sm_value value;
    struct sm_fault fault;

    assert_int_equal(sm_tlb_read_slow(fake.vcpu, gva, op_of(3, mode), &value, &fault),
                     SM_STEP_DONE);
}

static bool hits_write(sm_gva gva)
{
    return fake_hit(&fake, MODE_BARE, gva, 8, SM_WRITE, NULL);
}

static void clean_until_stored_to(void **state)
{
    board_init(0);
    struct sm_dirty_log *log = new_log();
    load(MODE_BARE, LOGGED);
    assert_true(hits_write(LOGGED)); /* all is set yet */
    sm_vcpu_settle(fake.vcpu, take(log));
    assert_true(n_dirty == N_PAGES && !hits_write(LOGGED));
    load(MODE_BARE, LOGGED + PAGE);
    assert_false(hits_write(LOGGED + PAGE)); /* filled with the read, but clean */
    take(log);
    assert_int_equal(n_dirty, 0);
    const unsigned n_fills = fake.n_fills;
    store(MODE_BARE, LOGGED + PAGE);
    store(MODE_BARE, LOGGED);
    assert_int_equal(fake.n_fills, n_fills); /* no walk for it */
    assert_true(hits_write(LOGGED) && hits_write(LOGGED + PAGE));
    store(MODE_BARE, LOGGED + 2 * PAGE);
    assert_true(hits_write(LOGGED + 2 * PAGE));
    take(log);
    assert_int_equal(n_dirty, 3);
    sm_vcpu_safe_point(fake.vcpu);
    assert_false(hits_write(LOGGED + PAGE));
    sm_vcpu_check(fake.vcpu);
    sm_dirty_log_free(log);
    store(MODE_BARE, LOGGED);
    assert_true(hits_write(LOGGED));
    fake_fini(&fake);
}

static void only_what_was_taken_is_clean(void **state)
{
    board_init(0);
    struct sm_dirty_log *log = new_log(), *other = new_log();
    sm_vcpu_settle(fake.vcpu, take(log));
    sm_vcpu_settle(fake.vcpu, take(other));
    for (unsigned i = 0; i < 8; i++)
        store(MODE_BARE, LOGGED + i * PAGE);
    const sm_ticket ticket =
        sm_dirty_log_take(log, (struct sm_range){2 * PAGE, 3 * PAGE}, count, NULL);
    assert_true(hits_write(LOGGED + 2 * PAGE)); /* until the ticket is done */
    sm_vcpu_settle(fake.vcpu, ticket);
    for (unsigned i = 0; i < 8; i++)
        assert_true(hits_write(LOGGED + i * PAGE) == (i != 2 && i != 3));
    /* More requests than can be noted. */
    for (unsigned i = 0; i < 6; i++)
        assert_true(sm_dirty_log_take(other, (struct sm_range){i * PAGE, i * PAGE}, NULL,
                                      NULL) > 0);
    sm_vcpu_safe_point(fake.vcpu);
    for (unsigned i = 0; i < 6; i++)
        assert_false(hits_write(LOGGED + i * PAGE));
    sm_dirty_log_free(log);
    sm_dirty_log_free(other);
    fake_fini(&fake);
}

static void crooked_pages_are_two(void **state)
{
    board_init(0);
    struct sm_dirty_log *log = new_log();
    sm_vcpu_settle(fake.vcpu, take(log));
    store(MODE_BARE, ALIAS);
    assert_true(hits_write(ALIAS));
    assert_int_equal(take(log) ? n_dirty : 0, 2);
    sm_vcpu_safe_point(fake.vcpu);
    assert_false(hits_write(ALIAS));
    store(MODE_BARE, ALIAS);
    /* Either of the two makes it clean. */
    sm_vcpu_settle(fake.vcpu, sm_dirty_log_take(log, (struct sm_range){0x6000, 0x6fff},
                                                NULL, NULL));
    assert_false(hits_write(ALIAS));
    store(MODE_BARE, ALIAS);
    sm_vcpu_settle(fake.vcpu, sm_dirty_log_take(log, (struct sm_range){0x5000, 0x5fff},
                                                NULL, NULL));
    assert_false(hits_write(ALIAS));
    sm_dirty_log_free(log);
    fake_fini(&fake);
}

/* A clean entry of a view that is no longer: the store is to what is there now. */
static void clean_and_moved(void **state)
{
    board_init(0);
    struct sm_dirty_log *log = new_log();
    sm_vcpu_settle(fake.vcpu, take(log));
    load(MODE_BARE, LOGGED);
    sm_topology_begin(fake.guest.topo);
    assert_int_equal(sm_region_move(logged, LOGGED - 4 * PAGE), 0);
    assert_int_equal(sm_topology_commit(fake.guest.topo, NULL), 0);
    store(MODE_BARE, LOGGED); /* before the safe point: the old page, or the new */
    const bool first = host[0] == 1, fifth = host[4 * PAGE] == 1;
    assert_true(first != fifth);
    n_dirty = 0;
    assert_true(sm_dirty_log_take(log, (struct sm_range){first ? 0 : 4 * PAGE,
                                                         first ? 0 : 4 * PAGE},
                                  count, NULL) > 0);
    assert_int_equal(n_dirty, 1);
    sm_vcpu_safe_point(fake.vcpu);
    sm_dirty_log_free(log);
    fake_fini(&fake);
}

static void probes_do_not_mark(void **state)
{
    struct sm_fault fault;
    void *at;

    board_init(0);
    struct sm_dirty_log *log = new_log();
    sm_vcpu_settle(fake.vcpu, take(log));
    load(MODE_BARE, LOGGED);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(sm_tlb_touch(fake.vcpu, LOGGED + i * PAGE, 8, SM_WRITE, MODE_BARE,
                                      SM_REQ_PROBE, &at, &fault), SM_STEP_DONE);
    take(log);
    assert_int_equal(n_dirty, 0);
    assert_int_equal(sm_tlb_touch(fake.vcpu, LOGGED, 8, SM_WRITE, MODE_BARE, 0, &at,
                                  &fault), SM_STEP_DONE);
    assert_ptr_equal(at, host);
    take(log);
    assert_int_equal(n_dirty, 1);
    sm_dirty_log_free(log);
    fake_fini(&fake);
}

/* --- The model --------------------------------------------------------------------- */

enum plant {
    NO_BUG, BUG_NO_REARM, BUG_ATOMICS, BUG_FILLS, BUG_TRANSFERS, BUG_CLEAN_LOST, BUG_LENT,
    BUG_LENT_MARK, BUG_TABLES, BUG_WINDOWS, BUG_READS, N_PLANTS
};

/** A client, and what it copied. */
struct client {
    struct sm_dirty_log *log;
    uint8_t copy[SIZE];
    bool pending[N_MORE]; /* of snapshots whose ticket was not waited for yet         */
    sm_ticket ticket;
};

static struct client client[N_LOGS];
static struct sm_mapping lent[N_LENT];
static struct sm_window window; /* on all of LOGGED                                  */
static enum plant planted;
static uint64_t size_now, n_stores, n_hits, n_reported, n_takes;

/** Hide the logs from what follows, if @plant is what is planted. */
static struct sm_dirty_log *hide(enum plant plant)
{
    struct sm_dirty_log *const logs = logged->ram->logs;
    if (planted == plant)
        logged->ram->logs = NULL;
    return logs;
}

static void unhide(struct sm_dirty_log *logs)
{
    logged->ram->logs = logs;
}

static const struct sm_attrs dma = {.requester = 5, .process = SM_NO_PROCESS};

static sm_gpa random_gpa(void)
{
    const uint64_t inside = rng_below(&rng, PAGE) & ~(uint64_t)15;

    if (rng_once_in(&rng, 4))
        return ALIAS + rng_below(&rng, N_ALIAS) * PAGE + inside;
    if (rng_once_in(&rng, 5))
        return IOVAS + rng_below(&rng, N_IOVAS) * PAGE + inside;
    if (!rng_once_in(&rng, 4)) /* again and again, to hit */
        return LOGGED + (12 + rng_below(&rng, 6)) * PAGE + inside;
    return LOGGED + rng_below(&rng, N_MORE) * PAGE + inside;
}

/* Sv39: root, middle and last table in the first pages; 128 pages from 0. */
static void write_entry(uint64_t offset, uint64_t pte)
{
    assert_int_equal(
        sm_address_space_store(fake.guest.space, LOGGED + offset, &dma, 8, pte), SM_TX_OK);
}

static void map_random(unsigned slot)
{
    const struct sm_tlb_scope scope = {
        .range = {slot * (uint64_t)PAGE, slot * (uint64_t)PAGE}, .modes = TRANSLATED,
        .stage = 1};
    const uint64_t bits = PTE_V | PTE_R | PTE_W | PTE_X;

    write_entry(2 * PAGE + slot * 8, pte_of(random_gpa() & SM_PAGE_MASK, bits));
    sm_tlb_flush_local(fake.vcpu, &scope);
}

static void vcpu_store(void)
{
    const bool bare = rng_once_in(&rng, 2);
    const unsigned mode = bare ? MODE_BARE : MODE_S, size_bits = (unsigned)rng_below(&rng, 5);
    const uint64_t n_pages = rng_once_in(&rng, 2) ? 128 : 8;
    const sm_gva gva = (bare ? random_gpa() : rng_below(&rng, n_pages * PAGE)) +
                       (rng_once_in(&rng, 4) ? rng_below(&rng, 16) : 0);
    const struct sm_value value = {rng_next(&rng), rng_next(&rng)};
    struct sm_fault fault;
    struct sm_value old;
    uint64_t number;
    bool stored;
    void *at;

    /* Tables stay what they are. */
    if (bare && (gva + 16 - LOGGED < 4 * PAGE || gva - LOGGED < 4 * PAGE))
        return;
    n_stores++;
    struct sm_dirty_log *const logs = hide(BUG_FILLS);
    switch (rng_below(&rng, 8)) {
    case 0:
        (void)sm_tlb_rmw(fake.vcpu, gva, op_of(size_bits & 3, mode), SM_RMW_XOR, value.lo,
                         &number, &fault);
        break;
    case 1:
        (void)sm_tlb_cas(fake.vcpu, gva, op_of(size_bits, mode), (struct sm_value){0, 0},
                         value, &old, &fault);
        break;
    case 2:
        if (sm_tlb_load_reserved(fake.vcpu, gva, op_of(3, mode), &number, &fault) ==
            SM_STEP_DONE)
            (void)sm_tlb_store_conditional(fake.vcpu, gva, op_of(3, mode), value.lo, &stored,
                                           &fault);
        break;
    case 3:
        (void)hide(BUG_READS);
        (void)sm_tlb_read_slow(fake.vcpu, gva, op_of(size_bits, mode), &old, &fault);
        break;
    default:
        if (size_bits < 4 && fake_hit(&fake, mode, gva, 1u << size_bits, SM_WRITE, &at)) {
            sm_host_store(at, size_bits, value.lo);
            n_hits++;
        } else {
            (void)sm_tlb_write_slow(fake.vcpu, gva, op_of(size_bits, mode), value, &fault);
        }
    }
    unhide(logs);
}

static void dma_store(void)
{
    const sm_gpa gpa = random_gpa();
    const uint64_t value = rng_next(&rng);
    uint64_t old, bytes[700];
    struct sm_value found;

    if (gpa < LOGGED + 4 * PAGE)
        return;
    switch (rng_below(&rng, 6)) {
    case 4:
        (void)sm_window_store(&window, rng_below(&rng, N_PAGES - 5) * PAGE + 4 * PAGE + 8, 8,
                              value);
        break;
    case 5: {
        struct sm_dirty_log *const logs = hide(BUG_WINDOWS);
        memset(bytes, (int)value, sizeof bytes);
        (void)sm_window_write(&window,
                              4 * PAGE + rng_below(&rng, N_PAGES - 8) * PAGE +
                                  rng_below(&rng, PAGE),
                              bytes, 1 + rng_below(&rng, sizeof bytes), NULL);
        unhide(logs);
        break;
    }
    case 0: {
        struct sm_dirty_log *const logs = hide(BUG_TRANSFERS);
        memset(bytes, (int)value, sizeof bytes);
        (void)sm_address_space_write(fake.guest.space, gpa, &dma, bytes,
                                     1 + rng_below(&rng, sizeof bytes), NULL);
        unhide(logs);
        break;
    }
    case 1:
        (void)sm_address_space_store(fake.guest.space, gpa + 13, &dma, 8, value);
        break;
    case 2: {
        struct sm_dirty_log *const hidden = hide(BUG_ATOMICS);
        (void)sm_address_space_rmw(fake.guest.space, gpa, &dma, 8, SM_RMW_ADD, value, &old);
        unhide(hidden);
        break;
    }
    default:
        (void)sm_address_space_cas(fake.guest.space, gpa, &dma, 16, (struct sm_value){0, 0},
                                   (struct sm_value){value, value}, &found);
    }
}

static void lend_or_use(void)
{
    struct sm_mapping *const mapping = &lent[rng_below(&rng, N_LENT)];
    const sm_gpa gpa = random_gpa();

    if (!mapping->host) {
        if (gpa < LOGGED + 4 * PAGE ||
            sm_address_space_map(fake.guest.space, gpa, &dma,
                                 1 + rng_below(&rng, rng_once_in(&rng, 2) ? 64 : 3 * PAGE),
                                 SM_WRITE, mapping) != SM_TX_OK)
            return;
        if (planted == BUG_LENT)
            memset(logged->ram->lent->stretch, 0, sizeof logged->ram->lent->stretch);
    } else if (rng_once_in(&rng, 3)) {
        if (planted == BUG_LENT_MARK) {
            sm_ram_put((struct sm_ram *)mapping->reserved[0]);
            sm_exchange(&logged->ram->lent->stretch[(mapping->reserved[1] - 1) & 31], UINT64_C(0));
            memset(mapping, 0, sizeof *mapping);
        } else {
            sm_mapping_release(mapping);
        }
    } else {
        ((uint8_t *)mapping->host)[rng_below(&rng, mapping->size)] = (uint8_t)rng_next(&rng);
    }
}

static void owner_store(void)
{
    const uint64_t first = 4 * PAGE + rng_below(&rng, SIZE - 5 * PAGE);
    const uint64_t n = 1 + rng_below(&rng, 200);

    memset(host + first, (int)rng_next(&rng), n);
    sm_region_written(logged, (struct sm_range){first, first + n - 1});
}

static void change_map(void)
{
    sm_topology_begin(fake.guest.topo);
    switch (rng_below(&rng, 3)) {
    case 0:
        sm_region_set_enabled(overlay, rng_once_in(&rng, 2));
        break;
    case 1:
        size_now = (N_PAGES + rng_below(&rng, N_MORE - N_PAGES + 1)) * PAGE;
        assert_int_equal(sm_region_resize(logged, size_now - 1), 0);
        break;
    default:
        assert_int_equal(
            sm_region_move(alias, ALIAS + (rng_once_in(&rng, 2) ? PAGE : 0)), 0);
    }
    assert_int_equal(sm_topology_commit(fake.guest.topo, NULL), 0);
}

/* --- Snapshots --------------------------------------------------------------------- */

struct snapshot {
    bool page[N_MORE];
};

static void note_pages(void *arg, const struct sm_range *pages)
{
    struct snapshot *const snapshot = arg;

    assert_true(pages->last < size_now && pages->first % PAGE == 0);
    for (uint64_t i = pages->first / PAGE; i <= pages->last / PAGE; i++)
        snapshot->page[i] = true;
}

/** Wait for the snapshots of @c and copy their pages. */
static void settle(struct client *c)
{
    sm_vcpu_settle(fake.vcpu, c->ticket);
    for (unsigned i = 0; i < N_MORE; i++) {
        if (c->pending[i])
            memcpy(c->copy + i * PAGE, host + i * PAGE, PAGE);
        c->pending[i] = false;
    }
}

static bool is_lent(uint64_t page)
{
    for (unsigned i = 0; i < N_LENT; i++) {
        const uint64_t first = (uint64_t)((uint8_t *)lent[i].host - host);
        if (lent[i].host && first / PAGE <= page && (first + lent[i].size - 1) / PAGE >= page)
            return true;
    }
    return false;
}

/** Take a snapshot of @range; returns whether it has what it must. */
static bool snapshot_of(struct client *c, struct sm_range range)
{
    struct snapshot snapshot = {{false}};
    bool right = true;

    c->ticket = sm_dirty_log_take(c->log, range, note_pages, &snapshot);
    n_takes++;
    for (uint64_t i = range.first / PAGE; i < size_now / PAGE && i <= range.last / PAGE; i++) {
        if (!snapshot.page[i] && !c->pending[i] &&
            memcmp(c->copy + i * PAGE, host + i * PAGE, PAGE))
            right = false;
        if (!snapshot.page[i] && is_lent(i))
            right = false;
        n_reported += snapshot.page[i];
        c->pending[i] |= snapshot.page[i];
    }
    if (planted == BUG_NO_REARM) {
        fake.vcpu->asked = 0;
        for (unsigned i = 0; i < SM_N_ASKED; i++)
            fake.vcpu->rearm[i].state = SM_MAIL_FREE;
    }
    return right;
}

static void start_client(struct client *c)
{
    c->log = new_log();
    memset(c->copy, 0x5a, SIZE);
    memset(c->pending, 0, sizeof c->pending);
    c->ticket = 0;
}

static bool use_client(struct client *c)
{
    const uint64_t a = rng_below(&rng, SIZE), b = rng_below(&rng, SIZE);

    if (!c->log) {
        start_client(c);
        return true;
    }
    switch (rng_below(&rng, 40)) {
    case 0:
        sm_dirty_log_free(c->log);
        c->log = NULL;
        return true;
    case 1: case 2: case 3: case 4: case 5: case 6: case 7: case 8:
        return snapshot_of(c, ALL);
    case 9: case 10: case 11: case 12: case 13: case 14:
        return snapshot_of(c, (struct sm_range){SM_MIN(a, b), SM_MAX(a, b)});
    default:
        settle(c);
        return true;
    }
}

/* --- Running it -------------------------------------------------------------------- */

static void lose_clean(void)
{
    for (uint32_t left = fake.vcpu->attached; left; left &= left - 1) {
        struct sm_tlb_store *const kept =
            fake.vcpu->context[__builtin_ctz(left)].store;
        for (unsigned i = 0; i < SM_TLB_SLOTS; i++)
            kept->table.slot[SM_WRITE][i].tag &= ~(uint64_t)SM_TLB_CLEAN;
    }
}

static bool step_once(void)
{
    switch (rng_below(&rng, 64)) {
    case 0: case 1: case 2: case 3: case 4: case 5:
        return use_client(&client[rng_below(&rng, N_LOGS)]);
    case 6:
        if (rng_once_in(&rng, 4))
            change_map();
        return true;
    case 7: {
        struct sm_dirty_log *const logs = hide(BUG_TABLES);
        map_random((unsigned)rng_below(&rng, 128));
        unhide(logs);
        return true;
    }
    case 8: case 9: case 10: case 11:
        dma_store();
        return true;
    case 12: case 13: case 14:
        lend_or_use();
        return true;
    case 15:
        if (rng_once_in(&rng, 4))
            owner_store();
        else if (rng_once_in(&rng, 4))
            retranslate();
        return true;
    case 16: case 17:
        sm_vcpu_safe_point(fake.vcpu);
        return true;
    default:
        vcpu_store();
        return true;
    }
}

static bool goes_wrong(uint64_t seed, unsigned steps, enum plant plant, uint32_t flags)
{
    bool wrong = false;

    rng = rng_seeded(seed);
    board_init(flags);
    fake.refill = seed & 1;
    planted = plant;
    size_now = N_PAGES * PAGE;
    memset(lent, 0, sizeof lent);
    memset(client, 0, sizeof client);
    write_entry(0, pte_of(LOGGED + PAGE, PTE_V));
    write_entry(PAGE, pte_of(LOGGED + 2 * PAGE, PTE_V));
    for (unsigned i = 0; i < 128; i++)
        map_random(i);
    fake_select(&fake, LOGGED, 0);
    sm_window_open(&window, fake.guest.space, LOGGED, &dma, SIZE);
    for (unsigned i = 0; i < steps && !wrong; i++) {
        wrong = !step_once();
        if (plant == BUG_CLEAN_LOST)
            lose_clean();
        else if (i % 512 == 0)
            sm_vcpu_check(fake.vcpu);
    }
    for (unsigned i = 0; i < N_LENT; i++)
        if (lent[i].host)
            sm_mapping_release(&lent[i]);
    /* At rest: one more snapshot makes the copies equal. */
    for (unsigned i = 0; i < N_LOGS && !wrong; i++) {
        if (!client[i].log)
            continue;
        settle(&client[i]);
        wrong = !snapshot_of(&client[i], ALL);
        settle(&client[i]);
        wrong = wrong || memcmp(client[i].copy, host, size_now);
    }
    for (unsigned i = 0; i < N_LOGS; i++)
        sm_dirty_log_free(client[i].log);
    fake_fini(&fake);
    return wrong;
}

static void copies_stay_equal(void **state)
{
    static const uint32_t flags[] = {0, 0, 0, 0, 0, 0, SM_VCPU_WALK_ALWAYS,
                                     SM_VCPU_ONE_ENTRY, SM_VCPU_COUNT_HITS};

    n_stores = n_hits = n_takes = n_reported = 0;
    for (unsigned i = 0; i < SM_ARRAY_LEN(flags); i++)
        assert_false(goes_wrong(0xd100 + i, 60000, NO_BUG, flags[i]));
    printf("%llu stores, %llu by hit; %llu takes of %llu pages\n",
           (unsigned long long)n_stores, (unsigned long long)n_hits,
           (unsigned long long)n_takes, (unsigned long long)n_reported);
    assert_true(n_hits > n_stores / 20);
    assert_true(n_reported < n_takes * N_PAGES * 3 / 4); /* not just everything */
}

static uint64_t no_pc(struct sm_vcpu *vcpu)
{
    return 0;
}

static void told(void *owner, const struct sm_stale *stale)
{
}

static const struct sm_tlb_check_ops check_ops = {
    .struct_size = sizeof check_ops, .pc = no_pc, .report = told};

static void copies_stay_equal_when_checked(void **state)
{
    static const uint32_t flags[] = {SM_TLB_CHECK_HITS, SM_TLB_KEEP_STALE,
                                     SM_TLB_CHECK_HITS | SM_TLB_KEEP_STALE};

    for (unsigned i = 0; i < SM_ARRAY_LEN(flags); i++) {
        const struct sm_tlb_check_options options = {
            .struct_size = sizeof options, .flags = flags[i], .ops = &check_ops};
        assert_int_equal(sm_tlb_check_new(&options, &check), 0);
        assert_false(goes_wrong(0xd300 + i, 30000, NO_BUG, 0));
        sm_tlb_check_free(check);
        check = NULL;
    }
}

static void planted_bugs_are_found(void **state)
{
    for (enum plant plant = NO_BUG + 1; plant < N_PLANTS; plant++) {
        bool found = false;
        for (uint64_t seed = 0xd200; seed < 0xd204 && !found; seed++)
            found = goes_wrong(seed, 60000, plant, 0);
        if (!found)
            fail_msg("planted bug %u was not found", plant);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_until_stored_to),
        cmocka_unit_test(only_what_was_taken_is_clean),
        cmocka_unit_test(crooked_pages_are_two),
        cmocka_unit_test(clean_and_moved),
        cmocka_unit_test(probes_do_not_mark),
        cmocka_unit_test(copies_stay_equal),
        cmocka_unit_test(copies_stay_equal_when_checked),
        cmocka_unit_test(planted_bugs_are_found),
    };
    return cmocka_run_group_tests_name("tlb_dirty", tests, NULL, NULL);
}
