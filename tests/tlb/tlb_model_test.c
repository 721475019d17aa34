/* SPDX-License-Identifier: MIT */
/* tlb_model_test.c - random page tables, accesses, flushes and maps: whatever the TLB
 * does, each access ends as a fresh walk and a fresh look at the map say.
 *
 * Three address spaces: each has a user half of its own, and all share the kernel's.
 * Every entry of every table has a place in the tree that never changes (its address,
 * its level, the table below it); what it holds does.  Whoever changes an entry flushes
 * precisely what the old one meant, by one address of an old leaf, by the whole range
 * of an old table: so nothing stale is ever legal.  Seeds choose: stage 2 below, of two
 * VMs; PMP that refuses parts of pages and of tables; A/D updates.
 */
#include "fake_guest.h"
#include "softmmu/tlb_check.h"

#ifdef SM_TSAN /* slow, and nothing races */
enum { N_STEPS = 8000 };
#else
enum { N_STEPS = 40000 };
#endif
enum { N_SPACES = 3, N_VMS = 2, N_ASIDS = 4, N_NODES_MAX = 600, N_TABLES_MAX = 100 };

#define TABLES     GUEST_RAM
#define TABLES_END (GUEST_RAM + N_TABLES_MAX * UINT64_C(0x1000))
#define DATA       (GUEST_RAM + UINT64_C(0x100000))
#define OVERLAY    (DATA + UINT64_C(0x8000)) /* a page that a device covers at times */
#define NOWHERE    UINT64_C(0x300000)
#define SECOND     (GUEST_RAM + UINT64_C(0x80000)) /* stage 2's tables: 8 pages a VM  */

enum {
    GROUP_FIRST = 16,
    GROUP_LAST = 31
}; /* entries of a last table, changed together */

enum { RWX = SM_PERM_R | SM_PERM_W | SM_PERM_X };

/** One entry of one table. */
struct node {
    sm_gpa at;      /* the entry                                                   */
    sm_gpa below;   /* the table that it may name; 0 at the last level             */
    sm_gva gva;     /* first address that it covers                                */
    unsigned shift; /* log2 of how many                                            */
    int space;      /* -1: the kernel's half, in all                               */
    bool group;     /* stands for entries GROUP_FIRST to GROUP_LAST                */
};

/** Damage done to the TLB after each step, that must be noticed. */
enum plant {
    NO_BUG, BUG_LARGE_FORGOTTEN, BUG_LEAF_AS_PAGE, BUG_LOG_LOST, BUG_VIEW_IGNORED,
    BUG_ALL_GLOBAL, BUG_TABLE_OF_ANOTHER, BUG_WRITE_AS_READ, BUG_REFILL_KEPT,
    BUG_WALKS_KEPT,
    BUG_SECOND_KEPT, BUG_SECOND_WALKS_KEPT, BUG_WRONG_ASID, BUG_PMP_KEPT, N_PLANTS
};

static struct fake fake;
static struct rng rng;
static struct node node[N_NODES_MAX];
static unsigned n_nodes, n_tables;
static sm_gpa root_of[N_SPACES];
static struct sm_region *overlay;
static bool overlaid;
static unsigned current, asid_of[N_SPACES];
static bool two_stages, protected_too;
static struct sm_tlb_check *check; /* of the vCPU, or NULL                          */
static unsigned n_accesses, n_faults, n_hits, n_refills, n_devices;

/* --- Tables ---------------------- */

static const unsigned upper_slots[] = {0, 1, 255}, kernel_slots[] = {256, 511};
static const unsigned middle_slots[] = {0, 1, 511};
static const unsigned last_slots[] = {0, 1, 2, 5, 510, 511};

static sm_gpa new_table(void)
{
    assert_true(n_tables < N_TABLES_MAX);
    return TABLES + n_tables++ * UINT64_C(0x1000);
}

static void add_node(sm_gpa table, unsigned slot, unsigned shift, sm_gva base, int space,
                     bool group)
{
    sm_gva gva = base + ((uint64_t)slot << shift);

    if (shift == 30) /* sign extension */
        gva = (uint64_t)((int64_t)(gva << 25) >> 25);
    assert_true(n_nodes < N_NODES_MAX);
    struct node *const made = &node[n_nodes++];
    *made = (struct node){table + slot * 8u, 0, gva, shift, space, group};
    if (shift == 12)
        return;
    made->below = new_table();
    const sm_gpa below = made->below;
    if (shift == 30) {
        for (unsigned i = 0; i < SM_ARRAY_LEN(middle_slots); i++)
            add_node(below, middle_slots[i], 21, gva, space, false);
    } else {
        for (unsigned i = 0; i < SM_ARRAY_LEN(last_slots); i++)
            add_node(below, last_slots[i], 12, gva, space, false);
        add_node(below, GROUP_FIRST, 12, gva, space, true);
    }
}

static uint64_t *entry(const struct node *n)
{
    return guest_entry(&fake.guest, n->at);
}

static sm_gpa random_target(unsigned shift)
{
    static const sm_gpa large[] = {GUEST_RAM + 0x200000, GUEST_RAM + 0x400000, 0, IO_AT};
    static const sm_gpa small[] = {ROM_AT,  IO_AT,   MIXED_AT, NOWHERE,
                                   OVERLAY, OVERLAY, DATA};

    if (shift == 30)
        return rng_once_in(&rng, 4) ? 0 : GUEST_RAM;
    if (shift == 21)
        return large[rng_below(&rng, SM_ARRAY_LEN(large))];
    if (rng_once_in(&rng, 3))
        return small[rng_below(&rng, SM_ARRAY_LEN(small))];
    return DATA + (rng_below(&rng, 64) << 12);
}

/** A leaf's, mostly a user's in the user's half and the kernel's in the kernel's. */
static uint64_t random_bits(const struct node *n)
{
    uint64_t bits = PTE_RWXAD;

    bits |= (n->space >= 0) != rng_once_in(&rng, 6) ? PTE_U : 0;
    /* What is global is alike in all spaces, to who makes use of that. */
    bits |= rng_once_in(&rng, 4) && (n->space < 0 || !check) ? PTE_G : 0;
    bits &= ~(rng_once_in(&rng, 6) ? (uint64_t)PTE_D : 0);
    bits &= ~(rng_once_in(&rng, 12) ? (uint64_t)PTE_A : 0);
    bits &= ~(rng_once_in(&rng, 6) ? (uint64_t)PTE_W : 0);
    bits &= ~(rng_once_in(&rng, 6) ? (uint64_t)PTE_X : 0);
    return bits;
}

/** The value that @n may get: nothing, a table, or a leaf. */
static uint64_t random_value(const struct node *n)
{
    if (rng_once_in(&rng, 10))
        return 0;
    if (n->below && !rng_once_in(&rng, n->shift == 30 ? 12 : 4))
        return pte_of(n->below, PTE_V);
    return pte_of(random_target(n->shift), random_bits(n));
}

static bool is_table(uint64_t pte)
{
    return (pte & (PTE_V | PTE_R | PTE_W | PTE_X)) == PTE_V;
}

/** Write a new value, or values, to @n; returns the (first) old one. */
static uint64_t write_node(const struct node *n)
{
    const uint64_t old = *entry(n);

    if (!n->group) {
        *entry(n) = random_value(n);
        return old;
    }
    if (rng_once_in(&rng, 2)) {
        const uint64_t pte = pte_of(DATA + 0x10000 + 0x8000, random_bits(n) | PTE_N);
        for (unsigned i = 0; i <= GROUP_LAST - GROUP_FIRST; i++)
            entry(n)[i] = pte;
    } else {
        for (unsigned i = 0; i <= GROUP_LAST - GROUP_FIRST; i++)
            entry(n)[i] = random_value(n);
    }
    return old;
}

static sm_gva random_inside(sm_gva first, unsigned bits)
{
    return first + (rng_next(&rng) & sm_mask(bits));
}

/** Flush @scope, but keep the tables that walks remember. */
static void flush_but_walks(const struct sm_tlb_scope *scope)
{
    static struct sm_walk_cache kept[SM_N_SPACES];
    struct sm_vcpu *const vcpu = fake.vcpu;
    const uint32_t walked = vcpu->walked;
    uint16_t modes[SM_N_SPACES];

    for (uint32_t left = walked; left; left &= left - 1) {
        const unsigned i = (unsigned)__builtin_ctz(left);
        modes[i] = vcpu->space[i].walk_modes;
        memcpy(&kept[i], &vcpu->walks[i], sizeof kept[i]);
    }
    sm_tlb_flush_local(vcpu, scope);
    for (uint32_t left = walked; left; left &= left - 1) {
        const unsigned i = (unsigned)__builtin_ctz(left);
        vcpu->space[i].walk_modes = modes[i];
        memcpy(&vcpu->walks[i], &kept[i], sizeof kept[i]);
    }
    vcpu->walked = walked;
}

/** Flush what @old meant at @n. */
static void flush_old(const struct node *n, uint64_t old, enum plant plant)
{
    struct sm_tlb_scope scope = {.modes = TRANSLATED, .stage = 1};
    const unsigned bits = n->group ? 16 : n->shift;
    const bool leaf = !is_table(old) && (!n->group || (old & PTE_N));

    if (!(old & PTE_V) && !n->group)
        return; /* refusals are not remembered */
    if (leaf) {
        scope.range.first = random_inside(n->gva, bits);
        scope.range.last = scope.range.first;
        if (rng_once_in(&rng, 4))
            scope.range.last |= sm_mask(bits);
        scope.keep_global = !(old & PTE_G) && !rng_once_in(&rng, 4);
    } else {
        scope.range = (struct sm_range){n->gva, n->gva | sm_mask(bits)};
    }
    if (n->space >= 0 && rng_once_in(&rng, 2)) {
        scope.key.word[0] = root_of[n->space];
        scope.mask.word[0] = UINT64_MAX;
    } else if (n->space >= 0 && rng_once_in(&rng, 2)) {
        scope.key.word[1] = asid_of[n->space] + (plant == BUG_WRONG_ASID ? N_ASIDS : 0u);
        scope.mask.word[1] = UINT64_MAX;
    }
    if (plant == BUG_WALKS_KEPT)
        flush_but_walks(&scope);
    else if (rng_once_in(&rng, 8))
        sm_vcpu_settle(fake.vcpu, sm_tlb_flush_all(fake.guest.topo, &scope));
    else
        sm_tlb_flush_local(fake.vcpu, &scope);
}

/* --- Stage 2, ASIDs, PMP ---------------------- */

/** VM @vm's tables: root (4 pages), level 1 of RAM's GiB, level 0 of its first 2 MiB. */
static sm_gpa second_of(unsigned vm)
{
    return SECOND + vm * UINT64_C(0x8000);
}

static void make_second(unsigned vm)
{
    const sm_gpa root = second_of(vm), middle = root + 0x4000, last = root + 0x5000;

    guest_put(&fake.guest, root, 0, pte_of(0, PTE_RWXAD | PTE_U));
    guest_put(&fake.guest, root, GUEST_RAM >> 30, pte_of(middle, PTE_V));
    guest_put(&fake.guest, middle, 0, pte_of(last, PTE_V));
    for (unsigned i = 1; i < RAM_SIZE >> 21; i++)
        guest_put(&fake.guest, middle, i,
                  pte_of(GUEST_RAM + i * UINT64_C(0x200000), PTE_RWXAD | PTE_U));
    for (unsigned i = 0; i < 512; i++)
        guest_put(&fake.guest, last, i,
                  pte_of(GUEST_RAM + i * UINT64_C(0x1000), PTE_RWXAD | PTE_U));
}

static void flush_second(const struct sm_tlb_scope *scope, enum plant plant)
{
    if (plant == BUG_SECOND_WALKS_KEPT)
        flush_but_walks(scope);
    else if (plant != BUG_SECOND_KEPT)
        sm_tlb_flush_local(fake.vcpu, scope);
}

/** Change where a VM has a page of data, one of stage 1's tables, or 2 MiB, and fence
 *  that by one of its addresses. */
static void change_second(enum plant plant)
{
    const unsigned vm = (unsigned)rng_below(&rng, N_VMS);
    const sm_gpa middle = second_of(vm) + 0x4000, last = second_of(vm) + 0x5000;
    struct sm_tlb_scope scope = {.modes = TRANSLATED, .stage = 2};
    uint64_t pte = 0;
    unsigned bits = 12;
    sm_gpa ipa;

    switch (rng_below(&rng, 8)) {
    case 0: case 1: /* a table is there, or not; never half, as probes mark nothing */
        ipa = TABLES + rng_below(&rng, n_tables) * 0x1000;
        pte = rng_once_in(&rng, 3) ? 0 : pte_of(ipa, PTE_RWXAD | PTE_U);
        guest_put(&fake.guest, last, ipa >> 12 & 511, pte);
        break;
    case 2:
        bits = 21;
        ipa = GUEST_RAM + (1 + rng_below(&rng, (RAM_SIZE >> 21) - 1)) * 0x200000;
        if (!rng_once_in(&rng, 4))
            pte = pte_of(GUEST_RAM + (1 + rng_below(&rng, (RAM_SIZE >> 21) - 1)) *
                                         UINT64_C(0x200000),
                         PTE_RWXAD | PTE_U);
        guest_put(&fake.guest, middle, ipa >> 21 & 511, pte);
        break;
    default:
        ipa = DATA + rng_below(&rng, 64) * 0x1000;
        if (!rng_once_in(&rng, 6)) {
            pte = pte_of(DATA + rng_below(&rng, 64) * 0x1000, PTE_RWXAD | PTE_U);
            pte &= ~(rng_once_in(&rng, 6) ? (uint64_t)PTE_D : 0);
            pte &= ~(rng_once_in(&rng, 6) ? (uint64_t)PTE_W : 0);
        }
        guest_put(&fake.guest, last, ipa >> 12 & 511, pte);
    }
    if (rng_once_in(&rng, 2)) { /* else of all VMs */
        scope.key.word[2] = second_of(vm);
        scope.mask.word[2] = UINT64_MAX;
    }
    scope.range.first = scope.range.last = random_inside(ipa, bits);
    flush_second(&scope, plant);
    if (ipa < DATA) { /* what was translated by that table is stage 1's to forget */
        scope.stage = 1;
        scope.range = (struct sm_range){0, UINT64_MAX};
        flush_second(&scope, plant);
    }
}

static void select_current(void)
{
    if (two_stages)
        fake.second = second_of((unsigned)rng_below(&rng, N_VMS));
    fake_select(&fake, root_of[current], asid_of[current]);
}

/** Give a space another ASID; who had it before keeps it, too. */
static void change_asid(void)
{
    const unsigned space = (unsigned)rng_below(&rng, N_SPACES);
    const struct sm_tlb_scope scope = {
        .range = {0, UINT64_MAX}, .key = {{0, asid_of[space], 0}},
        .mask = {{0, UINT64_MAX, 0}}, .modes = TRANSLATED, .stage = 1};

    sm_tlb_flush_local(fake.vcpu, &scope);
    asid_of[space] = (unsigned)rng_below(&rng, N_ASIDS);
    if (space == current)
        select_current();
}

/** Refuse some bytes of data pages, or some of tables. */
static void change_pmp(enum plant plant)
{
    const unsigned n = (unsigned)rng_below(&rng, 4);
    const bool tables = rng_once_in(&rng, 3);
    const sm_gpa at = tables ? TABLES + (rng_below(&rng, n_tables * 0x1000) & ~UINT64_C(7))
                             : DATA + rng_below(&rng, 64 * 0x1000);
    uint8_t cfg = (uint8_t)(rng_below(&rng, 4) << SM_PMP_A_SHIFT);
    uint64_t addr = at >> 2;

    cfg |= tables ? (rng_once_in(&rng, 2) ? RWX : 0) : (uint8_t)rng_below(&rng, 8);
    if (cfg >> SM_PMP_A_SHIFT == 3)
        addr |= sm_mask((unsigned)rng_below(&rng, 11));
    /* A range that begins at another's address stays off tables, which are refused whole
     * or not at all: a probe does not find out that a mark would be. */
    if (cfg >> SM_PMP_A_SHIFT == 1 && (tables || n == 0))
        cfg = 0;
    sm_pmp_write_cfg(&fake.pmp, n + 1, 0);
    if (cfg >> SM_PMP_A_SHIFT == 1) {
        sm_pmp_write_cfg(&fake.pmp, n - 1, 0);
        sm_pmp_write_addr(&fake.pmp, n - 1, addr - rng_below(&rng, 0x800));
    }
    sm_pmp_write_addr(&fake.pmp, n, addr);
    sm_pmp_write_cfg(&fake.pmp, n, cfg);
    if (plant != BUG_PMP_KEPT)
        sm_tlb_flush_local(fake.vcpu, &sm_tlb_scope_everything);
}

/* --- What an access is to do ---------------------- */

enum kind { HOLE, RAM, ROM, DEVICE };

static enum kind kind_of(sm_gpa gpa, bool *whole_page)
{
    const sm_gpa page = gpa & SM_PAGE_MASK;

    *whole_page = true;
    if (page == OVERLAY && overlaid)
        return DEVICE;
    if (gpa >= GUEST_RAM && gpa < GUEST_RAM + RAM_SIZE)
        return RAM;
    if (gpa >= ROM_AT && gpa < ROM_AT + 0x2000)
        return ROM;
    if (page == IO_AT)
        return DEVICE;
    *whole_page = false;
    if (gpa >= MIXED_AT && gpa < MIXED_AT + IO_SMALL)
        return DEVICE;
    return gpa >= MIXED_RAM_AT && gpa < MIXED_RAM_AT + 0x400 ? RAM : HOLE;
}

struct expected {
    bool faults;
    struct sm_fault fault;
    sm_gpa gpa[2];   /* of the two pages' parts                                    */
    enum kind kind[2];
    bool direct, skip;
};

/** What the architecture and the map say, from scratch. */
static struct expected expect(sm_gva gva, unsigned size, enum sm_access access,
                              unsigned mode)
{
    struct expected want = {.direct = true};
    const unsigned first = (unsigned)SM_MIN((uint64_t)size, 0x1000 - (gva & 0xfff));

    for (unsigned part = 0; part < (first < size ? 2u : 1u); part++) {
        const struct sm_xlate_req req = {.gva = part ? gva + first : gva,
                                         .size = (uint16_t)(part ? size - first : first),
                                         .access = (uint8_t)access,
                                         .mode = (uint8_t)mode,
                                         .flags = SM_REQ_PROBE};
        struct sm_xlate xlate;
        if (!fake_translate(&fake, &req, &xlate, &want.fault)) {
            want.faults = true;
            want.fault.extra = 0;
            return want;
        }
        want.gpa[part] = xlate.gpa;
    }
    for (unsigned part = 0; part < (first < size ? 2u : 1u); part++) {
        bool whole;
        const enum kind kind = want.kind[part] = kind_of(want.gpa[part], &whole);
        const sm_gpa gpa = want.gpa[part];
        if (!whole && size > 1)
            want.skip = true; /* pieces within a page are tlb_slow_test's */
        if (access == SM_WRITE && gpa >= TABLES && gpa < DATA)
            want.skip = true; /* tables change by write_node() only */
        want.direct &= whole && (kind == RAM || (kind == ROM && access != SM_WRITE));
        if (!want.faults && (kind == HOLE || (kind == ROM && access == SM_WRITE))) {
            want.faults = true;
            want.fault =
                (struct sm_fault){.cause = 0x1000u + (kind == HOLE ? SM_TX_DECODE_ERROR
                                                                   : SM_TX_ACCESS_ERROR),
                                  .info = access,
                                  .gva = part ? gva + first : gva,
                                  .gpa = gpa};
        }
    }
    return want;
}

static uint8_t byte_at(sm_gpa gpa)
{
    uint8_t byte = 0;
    const struct sm_attrs attrs = {.process = SM_NO_PROCESS, .flags = SM_ATTR_DEBUG};
    assert_int_equal(sm_address_space_read(fake.guest.space, gpa, &attrs, &byte, 1, NULL),
                     SM_TX_OK);
    return byte;
}

/** Whether the RAM or ROM bytes of an access are those of @value. */
static bool bytes_agree(const struct expected *want, sm_gva gva, unsigned size,
                        struct sm_value value)
{
    const unsigned first = (unsigned)SM_MIN((uint64_t)size, 0x1000 - (gva & 0xfff));
    uint8_t byte[16];

    memcpy(byte, &value, 16);
    for (unsigned i = 0; i < 16; i++) {
        const unsigned part = i >= first;
        if (i >= size && byte[i] != 0)
            return false;
        if (i < size && want->kind[part] != DEVICE &&
            byte_at(want->gpa[part] + (part ? i - first : i)) != byte[i])
            return false;
    }
    return true;
}

/** Perform one access, by the hit path where that answers.  Returns whether it went as
 *  it should. */
static bool access_once(sm_gva gva, unsigned bits, enum sm_access access, unsigned mode)
{
    const unsigned size = 1u << bits;
    const struct expected want = expect(gva, size, access, mode);
    struct sm_memop op = op_of(bits, mode);
    struct sm_value value = {0, 0};
    struct sm_fault fault = {0};
    enum sm_step step = SM_STEP_DONE;
    void *host;

    if (want.skip)
        return true;
    n_accesses++;
    if (access == SM_WRITE) {
        value.lo = rng_next(&rng) & sm_mask(SM_MIN(8 * size, 64u));
        value.hi = bits == 4 ? rng_next(&rng) : 0;
    }
    fake.n_log = 0;
    if (sm_tlb_hit(sm_vcpu_fast(fake.vcpu)->table[mode], gva, size, access, &host)) {
        n_hits++;
        if (want.faults || !want.direct)
            return false;
        if (bits == 4)
            return true;
        if (access == SM_WRITE)
            sm_host_store(host, bits, value.lo);
        else
            value.lo = sm_host_load(host, bits);
        return bytes_agree(&want, gva, size, value);
    }
    if (access == SM_WRITE) {
        step = sm_tlb_write_slow(fake.vcpu, gva, op, value, &fault);
    } else {
        op.flags = access == SM_FETCH ? SM_MEMOP_AS_FETCH : 0;
        step = sm_tlb_read_slow(fake.vcpu, gva, op, &value, &fault);
    }
    if (want.faults) {
        n_faults++;
        return step == SM_STEP_FAULT && fault.cause == want.fault.cause &&
               fault.gva == want.fault.gva && fault.info == want.fault.info &&
               (fault.cause < 0x1000 || fault.gpa == want.fault.gpa);
    }
    const bool device = want.kind[0] == DEVICE || want.kind[1] == DEVICE;
    n_devices += device;
    return step == (device ? SM_STEP_DONE_LEAVE : SM_STEP_DONE) &&
           device == (fake.n_log > 0) && bytes_agree(&want, gva, size, value);
}

/* --- Steps ---------------------- */

/** Pages that were accessed lately, most of which are again. */
static sm_gva recent[24];

static sm_gva random_gva(void)
{
    sm_gva *const again = &recent[rng_below(&rng, SM_ARRAY_LEN(recent))];

    if (rng_once_in(&rng, 12)) {
        const struct node *n = &node[rng_below(&rng, n_nodes)];
        *again = random_inside(n->gva, n->group ? 16 : n->shift);
        if (n->shift > 12 && !rng_once_in(&rng, 4)) /* where smaller leaves are */
            *again = n->gva + (rng_below(&rng, 3) << 12);
    }
    if (rng_once_in(&rng, 6)) /* by a border */
        return (*again | 0xfff) - rng_below(&rng, 16);
    return (*again & SM_PAGE_MASK) + rng_below(&rng, 0x1000);
}

static void toggle_overlay(void)
{
    sm_topology_begin(fake.guest.topo);
    if (overlaid)
        sm_region_unmap(overlay);
    else
        assert_int_equal(sm_region_map(fake.guest.root, OVERLAY, overlay, 5), 0);
    overlaid = !overlaid;
    assert_int_equal(sm_topology_commit(fake.guest.topo, NULL), 0);
}

/** Do the damage that @plant stands for. */
static void damage(enum plant plant)
{
    struct sm_vcpu *vcpu = fake.vcpu;

    if (plant == BUG_VIEW_IGNORED)
        vcpu->flush_everything = vcpu->asked = 0;
    if (plant == BUG_TABLE_OF_ANOTHER)
        vcpu->fast.table[MODE_S] = vcpu->fast.table[MODE_U];
    for (unsigned i = 0; i < SM_N_CONTEXTS; i++) {
        struct sm_tlb_context *context = &vcpu->context[i];
        if (!context->space)
            continue;
        if (plant == BUG_LARGE_FORGOTTEN)
            context->n_large = 0;
        if (plant == BUG_LOG_LOST && context->n_log > 3) {
            context->n_log--;
            context->n_dropped--;
        }
        if (plant == BUG_REFILL_KEPT) {
            static struct sm_tlb_refill kept[SM_N_CONTEXTS];
            static const struct sm_tlb_space *space[SM_N_CONTEXTS];
            if (!context->refill.tables && space[i] == context->space)
                context->refill = kept[i];
            space[i] = context->space;
            kept[i] = context->refill;
        }
        if (plant == BUG_ALL_GLOBAL)
            context->any_global = true;
        for (unsigned slot = 0; slot < SM_TLB_SLOTS; slot++) {
            struct sm_tlb_entry *e = &context->store->table.slot[SM_READ][slot];
            if (plant == BUG_LEAF_AS_PAGE)
                context->store->cold[SM_READ][slot].leaf_bits[0] = SM_PAGE_BITS;
            if (plant == BUG_ALL_GLOBAL)
                context->store->cold[SM_READ][slot].global = true;
            struct sm_tlb_entry *w = &context->store->table.slot[SM_WRITE][slot];
            if (plant == BUG_WRITE_AS_READ && !(e->tag & ~SM_PAGE_MASK)) {
                if (w->tag & SM_TLB_ABSENT)
                    sm_tlb_log(context, SM_WRITE * SM_TLB_SLOTS + slot);
                *w = *e;
            }
        }
    }
}

static bool step_once(enum plant plant)
{
    switch (rng_below(&rng, 40)) {
    case 0: case 1: case 2: case 3: {
        const struct node *n = &node[rng_below(&rng, n_nodes)];
        flush_old(n, write_node(n), plant);
        return true;
    }
    case 4: case 5:
        current = (unsigned)rng_below(&rng, N_SPACES);
        select_current();
        return true;
    case 8:
        if (two_stages)
            change_second(plant);
        if (rng_once_in(&rng, 4))
            change_asid();
        if (protected_too && rng_once_in(&rng, 4))
            change_pmp(plant);
        return true;
    case 6:
        if (rng_once_in(&rng, 8))
            toggle_overlay();
        if (plant == BUG_VIEW_IGNORED)
            damage(plant);
        sm_vcpu_safe_point(fake.vcpu);
        return true;
    case 7:
        if (rng_once_in(&rng, 10)) {
            struct sm_tlb_scope scope = sm_tlb_scope_everything;
            scope.keep_global = rng_once_in(&rng, 2);
            sm_tlb_flush_local(fake.vcpu, &scope);
        }
        return true;
    default: {
        const sm_gva gva = random_gva();
        unsigned mode = gva >> 63 ? MODE_S : MODE_U;
        if (rng_once_in(&rng, 3))
            mode = (unsigned)rng_below(&rng, FAKE_MODES);
        bool right = access_once(gva, (unsigned)rng_below(&rng, 5),
                                 (enum sm_access)rng_below(&rng, 3), mode);
        /* And its neighbours, of which less is unknown then. */
        for (uint64_t n = rng_once_in(&rng, 4) ? rng_below(&rng, 8) : 0; n && right; n--)
            right = access_once(gva ^ rng_below(&rng, 8) << SM_PAGE_BITS,
                                (unsigned)rng_below(&rng, 4),
                                (enum sm_access)rng_below(&rng, 3), mode);
        return right;
    }
    }
}

/** Run up to @steps on a vCPU of @flags; returns whether something went wrong. */
static bool goes_wrong_with(uint64_t seed, unsigned steps, enum plant plant,
                            uint32_t flags)
{
    bool wrong = false;

    rng = rng_seeded(seed);
    fake_init_checked(&fake, flags, check);
    fake.flags = seed & 1 ? SM_WALK_AD : 0;
    two_stages = seed & 2;
    protected_too = seed & 4;
    fake.refill = !(seed & 8) && !two_stages;
    if (protected_too) {
        sm_pmp_reset(&fake.pmp, SM_N_PMP);
        sm_pmp_write_addr(&fake.pmp, SM_N_PMP - 1, UINT64_MAX);
        sm_pmp_write_cfg(&fake.pmp, SM_N_PMP - 1, 3 << SM_PMP_A_SHIFT | RWX);
    }
    for (unsigned vm = 0; vm < N_VMS && two_stages; vm++)
        make_second(vm);
    for (unsigned space = 0; space < N_SPACES; space++)
        asid_of[space] = space;
    current = 0;
    n_nodes = n_tables = 0;
    overlaid = false;
    sm_topology_begin(fake.guest.topo);
    assert_int_equal(
        sm_region_new_io(fake.device, "overlay", 0xfff, &fake_io_ops, &overlay), 0);
    assert_int_equal(sm_topology_commit(fake.guest.topo, NULL), 0);
    for (unsigned space = 0; space < N_SPACES; space++)
        root_of[space] = new_table();
    for (int space = 0; space < N_SPACES; space++) {
        for (unsigned i = 0; i < SM_ARRAY_LEN(upper_slots); i++)
            add_node(root_of[space], upper_slots[i], 30, 0, space, false);
    }
    const unsigned first_shared = n_nodes;
    for (unsigned i = 0; i < SM_ARRAY_LEN(kernel_slots); i++)
        add_node(root_of[0], kernel_slots[i], 30, 0, -1, false);
    for (unsigned i = 0; i < n_nodes; i++)
        write_node(&node[i]);
    /* The shared half: the roots' entries for it stay, and are alike. */
    for (unsigned i = first_shared, kept = first_shared; i < n_nodes; i++) {
        if (node[i].shift == 30) {
            *entry(&node[i]) = pte_of(node[i].below, PTE_V);
            for (unsigned space = 1; space < N_SPACES; space++)
                *guest_entry(&fake.guest, root_of[space] + (node[i].at & 0xfff)) =
                    *entry(&node[i]);
        } else {
            node[kept++] = node[i];
        }
        if (i + 1 == n_nodes)
            n_nodes = kept;
    }
    select_current();
    sm_vcpu_safe_point(fake.vcpu);
    for (unsigned i = 0; i < steps && !wrong; i++) {
        wrong = !step_once(plant);
        if (plant != NO_BUG && plant != BUG_VIEW_IGNORED && plant < BUG_WALKS_KEPT)
            damage(plant);
        else if (i % 512 == 0)
            sm_vcpu_check(fake.vcpu);
    }
    if (plant != NO_BUG) { /* undo, as checks follow */
        fake_select(&fake, GUEST_RAM + 0x5000, 99);
        for (unsigned i = 0; i < SM_N_CONTEXTS; i++)
            if (fake.vcpu->context[i].space)
                fake.vcpu->context[i].n_log += SM_FILL_LOG + 1; /* full */
        sm_tlb_flush_local(fake.vcpu, &sm_tlb_scope_everything);
    }
    if (!overlaid)
        toggle_overlay(); /* a region that is not mapped is not freed with the others */
    for (unsigned i = 0; i < SM_N_CONTEXTS; i++)
        n_refills += (unsigned)fake.vcpu->context[i].refills[SM_READ];
    fake_fini(&fake);
    return wrong;
}

static bool goes_wrong(uint64_t seed, unsigned steps, enum plant plant)
{
    return goes_wrong_with(seed, steps, plant, 0);
}

static void oracles_agree_too(void **state)
{
    static const uint32_t flags[] = {SM_VCPU_WALK_ALWAYS, SM_VCPU_ONE_ENTRY,
                                     SM_VCPU_COUNT_HITS,
                                     SM_VCPU_ONE_ENTRY | SM_VCPU_COUNT_HITS};

    for (unsigned i = 0; i < SM_ARRAY_LEN(flags); i++) {
        n_hits = 0;
        for (uint64_t seed = 0x7300; seed < 0x7302; seed++)
            assert_false(goes_wrong_with(seed, N_STEPS / 2, NO_BUG, flags[i]));
        assert_true(flags[i] == SM_VCPU_ONE_ENTRY || n_hits == 0);
    }
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

/** Who flushes precisely uses nothing stale, however long translations are kept: so the
 *  checker has nothing to tell, nor to doubt. */
static void nothing_is_stale(void **state)
{
    static const uint32_t flags[] = {SM_TLB_CHECK_HITS, SM_TLB_KEEP_STALE,
                                     SM_TLB_CHECK_HITS | SM_TLB_KEEP_STALE};
    uint64_t n_compared = 0, n_kept = 0;

    for (uint64_t i = 0; i < 4 * SM_ARRAY_LEN(flags); i++) {
        const struct sm_tlb_check_options options = {
            .struct_size = sizeof options, .flags = flags[i / 4], .ops = &check_ops};
        struct sm_tlb_check_stats stats = {.struct_size = sizeof stats};

        assert_int_equal(sm_tlb_check_new(&options, &check), 0);
        assert_false(goes_wrong_with(0x7400 + 2 * (i % 4) + i / 4, N_STEPS / 4, NO_BUG, 0));
        sm_tlb_check_get_stats(check, &stats);
        assert_int_equal(stats.unproved, 0);
        for (unsigned kind = 0; kind < SM_N_STALE_KINDS; kind++)
            assert_int_equal(stats.uses[kind], 0);
        n_compared += stats.compared;
        n_kept += stats.kept;
        sm_tlb_check_free(check);
        check = NULL;
    }
    assert_true(n_compared > 0 && n_kept > 0);
}

static void agrees_with_a_fresh_walk(void **state)
{
    n_accesses = n_faults = n_hits = n_refills = n_devices = 0;
    for (uint64_t seed = 0x7100; seed < 0x7110; seed++)
        assert_false(goes_wrong(seed, N_STEPS, NO_BUG));
    printf("%u accesses: %u hits, %u refills, %u faults, %u of devices\n", n_accesses,
           n_hits, n_refills, n_faults, n_devices);
    assert_true(n_refills > n_accesses / 800);
    assert_true(n_hits > n_accesses / 40 && n_faults > n_accesses / 20 &&
                n_devices > n_accesses / 200);
}

static void planted_bugs_are_found(void **state)
{
    for (enum plant plant = NO_BUG + 1; plant < N_PLANTS; plant++) {
        bool found = false;
        for (uint64_t seed = 0x7200; seed < 0x7208 && !found; seed++)
            found = goes_wrong(seed, 40000, plant);
        if (!found)
            fail_msg("planted bug %u was not found", plant);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_fresh_walk),
        cmocka_unit_test(oracles_agree_too),
        cmocka_unit_test(nothing_is_stale),
        cmocka_unit_test(planted_bugs_are_found),
    };
    return cmocka_run_group_tests_name("tlb_model", tests, NULL, NULL);
}
