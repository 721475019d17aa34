/* SPDX-License-Identifier: MIT */
/* context.c - finds or recycles the context of a mode and key.
 *
 * A select looks up one space by its key, whatever the number of modes; contexts are
 * made when a mode fills its first entry there.  Until then the mode reads a table
 * that is empty for ever, so that the hit path needs no test for NULL (T4).
 */
#include "base/alloc.h"
#include "tlb/tlb_impl.h"

#include <string.h>

/* Read only: no filled slot, hence no hit; fills go to a context's own table. */
static const struct sm_tlb_table empty_table = {
    .slot = {[0 ... SM_N_ACCESS - 1] = {[0 ... SM_TLB_SLOTS - 1] = {SM_TLB_ABSENT, 0}}},
};

/** The table that the hit path is to read: none to count what it would answer. */
static struct sm_tlb_table *table_of(const struct sm_vcpu *vcpu,
                                     struct sm_tlb_context *context)
{
    /* Nothing writes through the pointer that the hit path gets. */
    return context && !(vcpu->flags & SM_VCPU_COUNT_HITS)
        ? &context->store->table : (struct sm_tlb_table *)(uintptr_t)&empty_table;
}

static bool key_equal(const struct sm_tlb_key *a, const struct sm_tlb_key *b)
{
    return a->word[0] == b->word[0] && a->word[1] == b->word[1] &&
           a->word[2] == b->word[2];
}

static unsigned key_bucket(const struct sm_tlb_key *key)
{
    /* Keys differ in page numbers and identifiers: multiply, take the high bits. */
    uint64_t hash = key->word[0] * UINT64_C(0x9e3779b97f4a7c15);
    hash = (hash ^ key->word[1]) * UINT64_C(0xff51afd7ed558ccd);
    hash = (hash ^ key->word[2]) * UINT64_C(0xc4ceb9fe1a85ec53);
    return (unsigned)(hash >> 58);
}
SM_STATIC_ASSERT(SM_N_BUCKETS == 1 << (64 - 58), "key_bucket() numbers the buckets");

void sm_tlb_forget_near(struct sm_tlb_context *context)
{
    struct sm_tlb_table *const table = &context->store->table;

    for (uint64_t left = table->near_used; left; left &= left - 1) {
        struct sm_tlb_near *const near = &table->near[0][0] + __builtin_ctzll(left);
        near->limit = near->group_limit = 0;
    }
    table->near_used = 0;
}

uint64_t sm_tlb_context_reset(struct sm_tlb_context *context)
{
    struct sm_tlb_entry *const slot = &context->store->table.slot[0][0];
    const uint64_t n = context->n_log - context->n_dropped;

    sm_tlb_forget_near(context);
    if (sm_tlb_log_is_full(context)) {
        for (unsigned i = 0; i < SM_N_ACCESS * SM_TLB_SLOTS; i++)
            slot[i].tag = SM_TLB_ABSENT;
    } else {
        for (unsigned i = 0; i < context->n_log; i++)
            slot[context->log[i]].tag = SM_TLB_ABSENT;
    }
    context->n_log = context->n_dropped = 0;
    context->any_global = false;
    context->n_large = 0;
    return n;
}

/** Take @context, which no mode reads, from its space. */
static void detach(struct sm_vcpu *vcpu, struct sm_tlb_context *context)
{
    sm_tlb_context_reset(context);
    context->refill.tables = NULL;
    sm_tlb_refill_count(context, vcpu->stats.fills, vcpu->stats.depth);
    memset(context->refills, 0, sizeof(context->refills));
    context->space->context[context->mode] = NULL;
    context->space = NULL;
    vcpu->attached &= ~(1u << (context - vcpu->context));
    vcpu->stats.evictions++;
    vcpu->stats.causes[SM_TLB_RECYCLED]++;
}

static struct sm_tlb_space *find_space(struct sm_vcpu *vcpu, const struct sm_tlb_key *key)
{
    for (unsigned n = vcpu->bucket[key_bucket(key)]; n; n = vcpu->space[n - 1].next) {
        if (key_equal(&vcpu->space[n - 1].key, key))
            return &vcpu->space[n - 1];
    }
    return NULL;
}

static void unlink_space(struct sm_vcpu *vcpu, struct sm_tlb_space *space)
{
    const unsigned number = (unsigned)(space - vcpu->space) + 1;
    uint8_t *link = &vcpu->bucket[key_bucket(&space->key)];

    while (*link != number)
        link = &vcpu->space[*link - 1].next;
    *link = space->next;
    space->live = false;
}

/** Make a space for @key of an unused one, or of the one selected longest ago. */
static struct sm_tlb_space *make_space(struct sm_vcpu *vcpu, const struct sm_tlb_key *key)
{
    struct sm_tlb_space *victim = NULL;

    for (unsigned i = 0; i < SM_N_SPACES; i++) {
        struct sm_tlb_space *space = &vcpu->space[i];
        if (!space->live) {
            victim = space;
            break;
        }
        if (!space->modes && (!victim || space->used < victim->used))
            victim = space;
    }
    if (victim->live) {
        for (unsigned mode = 0; mode < SM_N_MODES; mode++) {
            if (victim->context[mode])
                detach(vcpu, victim->context[mode]);
        }
        unlink_space(vcpu, victim);
    }
    uint8_t *const bucket = &vcpu->bucket[key_bucket(key)];
    struct sm_walk_cache *const walks = &vcpu->walks[victim - vcpu->space];
    /* Flushes of the former key will not reach what it left there. */
    sm_walk_cache_reset(walks);
    vcpu->walked &= ~(1u << (victim - vcpu->space));
    *victim = (struct sm_tlb_space){
        .key = *key, .live = true, .next = *bucket, .walks = walks};
    *bucket = (uint8_t)(victim - vcpu->space + 1);
    return victim;
}

void sm_tlb_select(struct sm_vcpu *vcpu, uint16_t modes, const struct sm_tlb_key *key)
{
    struct sm_tlb_space *space = find_space(vcpu, key);
    bool changed = false;

    if (!space)
        space = make_space(vcpu, key);
    space->used = ++vcpu->clock;
    for (unsigned left = modes; left; left &= left - 1) {
        const unsigned mode = (unsigned)__builtin_ctz(left);
        if (vcpu->selected[mode] == space)
            continue;
        vcpu->selected[mode]->modes &= (uint16_t)~(1u << mode);
        space->modes |= (uint16_t)(1u << mode);
        vcpu->selected[mode] = space;
        vcpu->fast.table[mode] = table_of(vcpu, space->context[mode]);
        changed = true;
    }
    vcpu->stats.selects += changed;
}

static bool is_selected(const struct sm_tlb_context *context)
{
    return context->space->modes >> context->mode & 1;
}

static struct sm_tlb_store *new_store(void)
{
    struct sm_tlb_store *const store = sm_alloc(sizeof *store);

    if (store)
        memcpy(&store->table, &empty_table, sizeof empty_table);
    return store;
}

struct sm_tlb_context *sm_tlb_context_make(struct sm_vcpu *vcpu, unsigned mode)
{
    struct sm_tlb_space *const space = vcpu->selected[mode];
    struct sm_tlb_context *found = space->context[mode], *victim = NULL;

    if (SM_LIKELY(found))
        return found;
    for (unsigned i = 0; i < SM_N_CONTEXTS; i++) {
        struct sm_tlb_context *context = &vcpu->context[i];
        if (context->space) {
            if (!is_selected(context) &&
                (!victim || context->space->used < victim->space->used))
                victim = context;
        } else if (!found || (context->store && !found->store)) {
            found = context;
        }
    }
    if (found && !found->store)
        found->store = new_store();
    if (!found || !found->store) {
        if (!victim)
            return NULL;
        detach(vcpu, victim);
        found = victim;
    }
    found->space = space;
    found->mode = (uint8_t)mode;
    found->stats = (struct sm_tlb_context_stats){.struct_size = 0};
    vcpu->attached |= 1u << (found - vcpu->context);
    space->context[mode] = found;
    vcpu->fast.table[mode] = table_of(vcpu, found);
    return found;
}

struct sm_walk_cache *sm_vcpu_walk_cache(struct sm_vcpu *vcpu, uint8_t mode)
{
    struct sm_tlb_space *const space = vcpu->selected[mode];

    if (SM_UNLIKELY((vcpu->flags & (SM_VCPU_WALK_ALWAYS | SM_VCPU_ONE_ENTRY)) ||
                    vcpu->check))
        return NULL;
    space->walk_modes |= (uint16_t)(1u << mode);
    vcpu->walked |= 1u << (space - vcpu->space);
    return space->walks;
}

bool sm_tlb_init(struct sm_vcpu *vcpu)
{
    const struct sm_tlb_key zero = {{0, 0, 0}};
    struct sm_tlb_space *space;

    vcpu->walks = sm_alloc(SM_N_SPACES * sizeof(*vcpu->walks));
    if (!vcpu->walks)
        return false;
    space = make_space(vcpu, &zero);
    space->modes = (uint16_t)~0u;
    for (unsigned mode = 0; mode < SM_N_MODES; mode++) {
        vcpu->selected[mode] = space;
        vcpu->fast.table[mode] = table_of(vcpu, NULL);
    }
    return true;
}

void sm_tlb_fini(struct sm_vcpu *vcpu)
{
    for (unsigned i = 0; i < SM_N_CONTEXTS; i++)
        sm_free(vcpu->context[i].store);
    sm_free(vcpu->walks);
}

void sm_tlb_count_accesses(struct sm_vcpu *vcpu, uint8_t mode, uint64_t n)
{
    struct sm_tlb_context *const context = sm_tlb_context(vcpu, mode);

    if (context) /* else none was filled: each access was a miss */
        context->stats.accesses += n;
}

bool sm_tlb_get_context_stats(const struct sm_vcpu *vcpu, unsigned n,
                              struct sm_tlb_context_stats *out)
{
    const uint32_t size = SM_MIN(out->struct_size, (uint32_t)sizeof(*out));
    uint32_t left = vcpu->attached;

    for (; left && n; n--)
        left &= left - 1;
    if (!left)
        return false;
    const struct sm_tlb_context *const context = &vcpu->context[__builtin_ctz(left)];
    struct sm_tlb_context_stats stats = context->stats;
    sm_tlb_refill_count(context, stats.fills, stats.depth);
    stats.struct_size = size;
    stats.mode = context->mode;
    stats.selected = is_selected(context);
    stats.key = context->space->key;
    memcpy(out, &stats, size);
    return true;
}

/* --- Invariants ------------------------------------------------------------------ */

static bool is_large_covered(const struct sm_tlb_context *context,
                             const struct sm_range *leaf)
{
    for (unsigned i = 0; i < context->n_large; i++) {
        if (leaf->first >= context->large[i].first &&
            leaf->last <= context->large[i].last)
            return true;
    }
    return false;
}

/** Returns  how many entries the slot holds */
static unsigned check_slot(const struct sm_vcpu *vcpu,
                           const struct sm_tlb_context *context, const bool *logged,
                           unsigned access, unsigned slot)
{
    const uint64_t tag = context->store->table.slot[access][slot].tag;
    const struct sm_tlb_cold *cold = &context->store->cold[access][slot];
    const sm_gva page = tag & SM_PAGE_MASK;

    if (tag & SM_TLB_ABSENT)
        return 0;
    sm_assert(!(tag & ~SM_PAGE_MASK &
                ~(uint64_t)(SM_TLB_MMIO | SM_TLB_CLEAN | SM_TLB_BESIDE)));
    sm_assert((tag & SM_TLB_EXACT) == (access == SM_WRITE ? vcpu->tags & SM_TLB_EXACT : 0));
    sm_assert(!(tag & SM_TLB_WATCH) ==
              !sm_watch_meets_page(vcpu, context, (enum sm_access)access, page, cold));
    sm_assert(!(tag & SM_TLB_CLEAN) || (access == SM_WRITE && !(tag & SM_TLB_MMIO)));
    sm_assert(sm_tlb_slot(page) == slot);
    sm_assert(!(cold->gpa & ~SM_PAGE_MASK) && !(cold->ipa & ~SM_PAGE_MASK));
    sm_assert(cold->space < vcpu->n_spaces);
    sm_assert(cold->leaf_bits[0] >= SM_PAGE_BITS && cold->leaf_bits[1] >= SM_PAGE_BITS);
    sm_assert(!cold->global || context->any_global);
    sm_assert(sm_tlb_log_is_full(context) || logged[access * SM_TLB_SLOTS + slot]);
    if (cold->leaf_bits[0] > SM_PAGE_BITS) {
        const uint64_t inside = sm_mask(cold->leaf_bits[0]);
        const struct sm_range leaf = {page & ~inside, page | inside};
        sm_assert(is_large_covered(context, &leaf));
    }
    return 1;
}

static void check_context(const struct sm_vcpu *vcpu,
                          const struct sm_tlb_context *context)
{
    bool logged[SM_N_ACCESS * SM_TLB_SLOTS] = {false};
    uint64_t n_filled = 0;

    if (!context->space) {
        sm_assert(context->n_log == 0 && context->n_dropped == 0);
        sm_assert(!context->refill.tables);
        return;
    }
    sm_assert(context->store && context->space->live);
    sm_assert(context->space->context[context->mode] == context);
    /* What flushes reach by way of the space, and none else. */
    sm_assert(!context->refill.tables ||
              (context->refill.tables == &context->space->walks->of[0] &&
               context->space->walk_modes >> context->mode & 1));
    for (unsigned i = 0; i < SM_MIN(context->n_log, (uint64_t)SM_FILL_LOG); i++)
        logged[context->log[i]] = true;
    for (unsigned access = 0; access < SM_N_ACCESS; access++) {
        for (unsigned slot = 0; slot < SM_TLB_SLOTS; slot++)
            n_filled += check_slot(vcpu, context, logged, access, slot);
    }
    sm_assert(n_filled == context->n_log - context->n_dropped);
    for (unsigned i = 0; i < SM_FETCH * SM_N_NEAR; i++) {
        const struct sm_tlb_near *near = &context->store->table.near[0][0] + i;
        sm_assert((context->store->table.near_used >> i & 1) ||
                  !(near->limit | near->group_limit));
    }
}

void sm_tlb_check(const struct sm_vcpu *vcpu)
{
    for (unsigned mode = 0; mode < SM_N_MODES; mode++) {
        const struct sm_tlb_space *space = vcpu->selected[mode];
        sm_assert(space->live && (space->modes >> mode & 1));
        sm_assert(vcpu->fast.table[mode] == table_of(vcpu, space->context[mode]));
    }
    for (unsigned i = 0; i < SM_N_SPACES; i++) {
        for (unsigned mode = 0; mode < SM_N_MODES; mode++) {
            const struct sm_tlb_space *space = &vcpu->space[i];
            sm_assert(!(space->modes >> mode & 1) || vcpu->selected[mode] == space);
            sm_assert(!space->context[mode] || space->context[mode]->space == space);
        }
        sm_assert(!vcpu->space[i].live || vcpu->space[i].walks == &vcpu->walks[i]);
        sm_assert(!!(vcpu->walked >> i & 1) == !!vcpu->space[i].walk_modes);
        sm_assert(vcpu->space[i].walk_modes || sm_walk_cache_is_empty(&vcpu->walks[i]));
    }
    for (unsigned i = 0; i < SM_N_CONTEXTS; i++) {
        sm_assert(!!(vcpu->attached >> i & 1) == !!vcpu->context[i].space);
        check_context(vcpu, &vcpu->context[i]);
    }
}
