/* SPDX-License-Identifier: MIT */
/* tlb_flush.c - applies flush scopes here, or asks every vCPU to.
 *
 * What a flush costs follows what was filled: a whole context is emptied by its fill
 * log, a few pages by looking into their slots.  Only a scope that meets a leaf larger
 * than a page, or that names addresses of stage 2, looks at every entry.
 */
#include "tlb/tlb_impl.h"

enum { MAX_PAGES = 32 }; /* looked up one by one; beyond that the log is no dearer */

const struct sm_tlb_scope sm_tlb_scope_everything = {
    .range = {0, UINT64_MAX}, .modes = UINT16_MAX, .stage = 1,
};

static bool meets(const struct sm_range *range, uint64_t address, unsigned leaf_bits)
{
    const uint64_t inside = sm_mask(leaf_bits);
    return (address & ~inside) <= range->last && (address | inside) >= range->first;
}

/** Whether @scope covers the entry in slot @number, which is filled. */
static bool covers(const struct sm_tlb_context *context, unsigned number,
                   const struct sm_tlb_scope *scope)
{
    const struct sm_tlb_cold *cold = &context->store->cold[0][0] + number;
    const sm_gva page = (&context->store->table.slot[0][0] + number)->tag & SM_PAGE_MASK;

    if (cold->global && scope->keep_global)
        return false;
    return scope->stage == 2 ? meets(&scope->range, cold->ipa, cold->leaf_bits[1])
                             : meets(&scope->range, page, cold->leaf_bits[0]);
}

/** Empty slot @number if it is filled and covered.  Returns how many were emptied. */
static uint64_t drop(struct sm_tlb_context *context, unsigned number,
                     const struct sm_tlb_scope *scope)
{
    struct sm_tlb_entry *const entry = &context->store->table.slot[0][0] + number;

    if ((entry->tag & SM_TLB_ABSENT) || !covers(context, number, scope))
        return 0;
    entry->tag = SM_TLB_ABSENT;
    context->n_dropped++;
    return 1;
}

static uint64_t drop_all_covered(struct sm_tlb_context *context,
                                 const struct sm_tlb_scope *scope)
{
    uint64_t n = 0;

    if (sm_tlb_log_is_full(context)) {
        for (unsigned i = 0; i < SM_N_ACCESS * SM_TLB_SLOTS; i++)
            n += drop(context, i, scope);
    } else {
        for (unsigned i = 0; i < context->n_log; i++)
            n += drop(context, context->log[i], scope);
    }
    return n;
}

static bool meets_large(const struct sm_tlb_context *context,
                        const struct sm_range *range)
{
    for (unsigned i = 0; i < context->n_large; i++) {
        if (range->first <= context->large[i].last &&
            range->last >= context->large[i].first)
            return true;
    }
    return false;
}

/** Whether @entry is filled, for @page. */
static inline bool is_of(const struct sm_tlb_entry *entry, sm_gva page)
{
    return (entry->tag & (SM_PAGE_MASK | SM_TLB_ABSENT)) == page;
}

/** Drop the page of @scope, in a context without larger leaves around it. */
static inline uint64_t flush_page(struct sm_tlb_context *context,
                                  const struct sm_tlb_scope *scope)
{
    const sm_gva page = scope->range.first & SM_PAGE_MASK;
    const unsigned slot = sm_tlb_slot(page);
    struct sm_tlb_store *const store = context->store;
    uint64_t n = 0;
    /* Looked at first, dropped then: the three lie alike within their pages, and a host
     * may take a load for one that has to wait for such a store. */
    unsigned found = (unsigned)is_of(&store->table.slot[SM_READ][slot], page) << SM_READ |
        (unsigned)is_of(&store->table.slot[SM_WRITE][slot], page) << SM_WRITE |
        (unsigned)is_of(&store->table.slot[SM_FETCH][slot], page) << SM_FETCH;

    for (; found; found &= found - 1) {
        const unsigned access = (unsigned)__builtin_ctz(found);
        if (scope->keep_global && store->cold[access][slot].global)
            continue;
        store->table.slot[access][slot].tag = SM_TLB_ABSENT;
        n++;
    }
    context->n_dropped += n;
    return n;
}

static uint64_t flush_context(struct sm_tlb_context *context,
                              const struct sm_tlb_scope *scope, bool whole)
{
    const uint64_t first_page = scope->range.first >> SM_PAGE_BITS;
    const uint64_t n_pages = (scope->range.last >> SM_PAGE_BITS) - first_page; /* - 1 */
    uint64_t n = 0;

    if (whole && !(scope->keep_global && context->any_global))
        return sm_tlb_context_reset(context);
    sm_tlb_forget_near(context);
    if (scope->stage == 2 || n_pages >= MAX_PAGES || meets_large(context, &scope->range))
        return drop_all_covered(context, scope);
    for (uint64_t i = 0; i <= n_pages; i++) {
        const unsigned slot = sm_tlb_slot((first_page + i) << SM_PAGE_BITS);
        for (unsigned access = 0; access < SM_N_ACCESS; access++)
            n += drop(context, access * SM_TLB_SLOTS + slot, scope);
    }
    return n;
}

static bool key_agrees(const struct sm_tlb_key *key, const struct sm_tlb_scope *scope)
{
    for (unsigned i = 0; i < SM_ARRAY_LEN(key->word); i++) {
        if ((key->word[i] & scope->mask.word[i]) != scope->key.word[i])
            return false;
    }
    return true;
}

/** Forget the tables that walks remember under @scope.  They are no global mappings,
 *  and shared by the modes of a space: so that is spared for none's sake. */
static void flush_walks(struct sm_vcpu *vcpu, const struct sm_tlb_scope *scope,
                        bool whole)
{
    for (uint32_t left = vcpu->walked; left; left &= left - 1) {
        struct sm_tlb_space *const space = &vcpu->space[__builtin_ctz(left)];
        if (!(scope->modes & space->walk_modes) || !key_agrees(&space->key, scope))
            continue;
        if (!whole) {
            sm_walk_cache_flush(space->walks, scope->stage, &scope->range);
            continue;
        }
        sm_walk_cache_reset(space->walks);
        space->walk_modes = 0;
        vcpu->walked &= ~(left & -left);
    }
}

/** As sm_tlb_flush() does, of a page of stage 1: what kernels fence most. */
static void flush_one_page(struct sm_vcpu *vcpu, const struct sm_tlb_scope *scope,
                           enum sm_tlb_cause cause)
{
    const bool any_key =
        !(scope->mask.word[0] | scope->mask.word[1] | scope->mask.word[2]);

    for (uint32_t left = vcpu->attached; left; left &= left - 1) {
        struct sm_tlb_context *const context = &vcpu->context[__builtin_ctz(left)];
        if (sm_tlb_is_empty(context) || !(scope->modes >> context->mode & 1) ||
            (!any_key && !key_agrees(&context->space->key, scope)))
            continue;
        sm_tlb_forget_near(context);
        const uint64_t n = SM_UNLIKELY(meets_large(context, &scope->range))
            ? drop_all_covered(context, scope) : flush_page(context, scope);
        context->stats.causes[cause]++;
        context->stats.flushed += n;
        vcpu->stats.flushed += n;
    }
    for (uint32_t left = vcpu->walked; left; left &= left - 1) {
        struct sm_tlb_space *const space = &vcpu->space[__builtin_ctz(left)];
        if ((scope->modes & space->walk_modes) &&
            (any_key || key_agrees(&space->key, scope)))
            sm_walk_cache_forget(&space->walks->of[0], scope->range.first);
    }
    vcpu->stats.causes[cause]++;
    vcpu->stats.flushes_page++;
}

/** As sm_tlb_flush() does, of anything. */
static void flush_scope(struct sm_vcpu *vcpu, const struct sm_tlb_scope *scope,
                        enum sm_tlb_cause cause)
{
    const bool whole = scope->range.first == 0 && scope->range.last == UINT64_MAX;

    for (uint32_t left = vcpu->attached; left; left &= left - 1) {
        struct sm_tlb_context *context = &vcpu->context[__builtin_ctz(left)];
        if (whole) /* what it was told may have changed, too */
            context->refill.tables = NULL;
        if (!sm_tlb_is_empty(context) && (scope->modes >> context->mode & 1) &&
            key_agrees(&context->space->key, scope)) {
            const uint64_t n = flush_context(context, scope, whole);
            context->stats.causes[cause]++;
            context->stats.flushed += n;
            vcpu->stats.flushed += n;
        }
    }
    flush_walks(vcpu, scope, whole);
    vcpu->stats.causes[cause]++;
    if (whole)
        vcpu->stats.flushes++;
    else
        vcpu->stats.flushes_page++;
}

void sm_tlb_flush(struct sm_vcpu *vcpu, const struct sm_tlb_scope *scope,
                  enum sm_tlb_cause cause)
{
    if (scope->stage == 1 &&
        scope->range.first >> SM_PAGE_BITS == scope->range.last >> SM_PAGE_BITS)
        flush_one_page(vcpu, scope, cause);
    else
        flush_scope(vcpu, scope, cause);
    if (SM_UNLIKELY(vcpu->check != NULL))
        sm_tlb_check_flushed(vcpu, scope);
    if (vcpu->ops->flushed)
        vcpu->ops->flushed(vcpu, scope);
}

void sm_tlb_flush_local(struct sm_vcpu *vcpu, const struct sm_tlb_scope *scope)
{
    sm_tlb_flush(vcpu, scope, SM_TLB_FENCED);
}

/* --- Mail ------------------------------------------------------------------------- */

/** Leave @scope for @vcpu.  Lock-free: an entry is claimed, written and handed over;
 *  when none is free the vCPU is asked to flush everything. */
static void post(struct sm_vcpu *vcpu, const struct sm_tlb_scope *scope)
{
    for (unsigned i = 0; i < SM_N_MAIL; i++) {
        uint32_t expected = SM_MAIL_FREE;
        if (sm_load_relaxed(&vcpu->mail[i].state) == SM_MAIL_FREE &&
            sm_compare_exchange(&vcpu->mail[i].state, &expected,
                                (uint32_t)SM_MAIL_WRITING)) {
            vcpu->mail[i].scope = *scope;
            /* Pairs with the acquire in sm_tlb_serve_mail(). */
            sm_publish(&vcpu->mail[i].state, (uint32_t)SM_MAIL_READY);
            return;
        }
    }
    sm_exchange(&vcpu->flush_everything, 1u);
}

static void post_to_agent(struct sm_agent *agent, void *scope)
{
    if (agent->ops == &sm_vcpu_agent_ops)
        post(sm_container_of(agent, struct sm_vcpu, agent), scope);
}

sm_ticket sm_tlb_flush_all(struct sm_topology *topo, const struct sm_tlb_scope *scope)
{
    struct sm_tlb_scope copy = *scope;

    sm_topology_each_agent(topo, post_to_agent, &copy);
    return sm_topology_issue(topo); /* kicks those that are online */
}

void sm_tlb_serve_mail(struct sm_vcpu *vcpu)
{
    const bool retranslated = sm_load_relaxed(&vcpu->flush_translated) &&
                              sm_exchange(&vcpu->flush_translated, 0u) &&
                              vcpu->translated;
    const bool everything = (sm_load_relaxed(&vcpu->flush_everything) &&
                             sm_exchange(&vcpu->flush_everything, 0u)) ||
                            retranslated;

    for (unsigned i = 0; i < SM_N_MAIL; i++) {
        struct sm_tlb_mail *const mail = &vcpu->mail[i];
        /* Pairs with post().  One that is still being written has no ticket yet. */
        if (sm_load_acquire(&mail->state) != SM_MAIL_READY)
            continue;
        const struct sm_tlb_scope scope = mail->scope;
        sm_publish(&mail->state, (uint32_t)SM_MAIL_FREE);
        if (!everything)
            sm_tlb_flush(vcpu, &scope, SM_TLB_ASKED);
    }
    if (everything) {
        vcpu->fast.held.size = 0; /* its memory may be gone, as may the view */
        vcpu->last_ram = NULL;
        vcpu->translated = false;
        sm_tlb_flush(vcpu, &sm_tlb_scope_everything, SM_TLB_REMAPPED);
    }
}
