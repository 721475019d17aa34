/* SPDX-License-Identifier: MIT */
/* tlb_asked.c - what others ask of a vCPU for the memory layer's sake, in ranges.
 *
 * As with the mail of tlb_flush.c: a place is claimed, written and handed over without a
 * lock, and when none is free all is asked for.  A request comes before its ticket is
 * issued, and is served after the safe point that passes it.
 */
#include "tlb/tlb_impl.h"

/** Leave a request in one of the places.  Returns false when none is free. */
static bool post(struct sm_tlb_asked *asked, const struct sm_address_space *space,
                 struct sm_range range)
{
    for (unsigned i = 0; i < SM_N_ASKED; i++) {
        uint32_t expected = SM_MAIL_FREE;
        if (sm_load_relaxed(&asked[i].state) == SM_MAIL_FREE &&
            sm_compare_exchange(&asked[i].state, &expected, (uint32_t)SM_MAIL_WRITING)) {
            asked[i].space = space;
            asked[i].range = range;
            /* Pairs with the acquire in take(). */
            sm_publish(&asked[i].state, (uint32_t)SM_MAIL_READY);
            return true;
        }
    }
    return false;
}

struct wish {
    const struct sm_address_space *space; /* NULL: host memory                       */
    struct sm_range range;
};

/** Take what was left in a place.  One that is still being written has no ticket yet. */
static bool take(struct sm_tlb_asked *asked, struct wish *wish)
{
    if (sm_load_acquire(&asked->state) != SM_MAIL_READY) /* of post() */
        return false;
    *wish = (struct wish){asked->space, asked->range};
    sm_publish(&asked->state, (uint32_t)SM_MAIL_FREE);
    return true;
}

/* --- Views -------------------------------------------------------------------------- */

void sm_tlb_ask_forget(struct sm_agent *agent, const struct sm_address_space *space,
                       const struct sm_range *range)
{
    struct sm_vcpu *const vcpu = sm_container_of(agent, struct sm_vcpu, agent);

    for (uint32_t i = 0; i < vcpu->n_spaces; i++) {
        if (vcpu->spaces[i] != space)
            continue;
        if (post(vcpu->changed, space, *range))
            sm_fetch_or(&vcpu->asked, (uint32_t)SM_ASKED_FORGET);
        else
            sm_exchange(&vcpu->flush_everything, 1u);
        return;
    }
}

/** Whether the page that slot @number remembers is among what changed. */
static bool changed(const struct sm_vcpu *vcpu, const struct sm_tlb_cold *cold,
                    const struct wish *wishes, unsigned n)
{
    const sm_gpa first = cold->gpa, last = cold->gpa | ~SM_PAGE_MASK;

    for (unsigned i = 0; i < n; i++)
        if (vcpu->spaces[cold->space] == wishes[i].space && first <= wishes[i].range.last &&
            last >= wishes[i].range.first)
            return true;
    return false;
}

/** Empty the slots of @context whose pages changed.  Returns how many. */
static uint64_t forget_in(const struct sm_vcpu *vcpu, struct sm_tlb_context *context,
                          const struct wish *wishes, unsigned n_wishes)
{
    struct sm_tlb_entry *const slot = &context->store->table.slot[0][0];
    const struct sm_tlb_cold *const cold = &context->store->cold[0][0];
    const bool full = sm_tlb_log_is_full(context);
    const unsigned n = full ? SM_N_ACCESS * SM_TLB_SLOTS : (unsigned)context->n_log;
    uint64_t dropped = 0;

    sm_tlb_forget_near(context);
    for (unsigned i = 0; i < n; i++) {
        const unsigned number = full ? i : context->log[i];
        if ((slot[number].tag & SM_TLB_ABSENT) ||
            !changed(vcpu, &cold[number], wishes, n_wishes))
            continue;
        slot[number].tag = SM_TLB_ABSENT;
        dropped++;
    }
    context->n_dropped += dropped;
    return dropped;
}

/** What a walk or the guest remembers by its host address may be gone, and nobody noted
 *  of which pages it is: so all of that goes, though few entries do. */
static void forget_derived(struct sm_vcpu *vcpu)
{
    vcpu->fast.held.size = 0;
    vcpu->last_ram = NULL;
    for (uint32_t left = vcpu->walked; left; left &= left - 1) {
        struct sm_tlb_space *const space = &vcpu->space[__builtin_ctz(left)];
        sm_walk_cache_reset(space->walks);
        space->walk_modes = 0;
    }
    vcpu->walked = 0;
    if (vcpu->ops->flushed)
        vcpu->ops->flushed(vcpu, &sm_tlb_scope_everything);
}

/** Cost: the entries that are filled. */
static void serve_forget(struct sm_vcpu *vcpu)
{
    struct wish wishes[SM_N_ASKED];
    unsigned n = 0;

    for (unsigned i = 0; i < SM_N_ASKED; i++)
        n += take(&vcpu->changed[i], &wishes[n]);
    if (!n)
        return;
    if (SM_UNLIKELY(vcpu->check != NULL)) { /* it remembers where entries were read */
        forget_derived(vcpu);
        sm_tlb_flush(vcpu, &sm_tlb_scope_everything, SM_TLB_REMAPPED);
        return;
    }
    for (uint32_t left = vcpu->attached; left; left &= left - 1) {
        struct sm_tlb_context *const context = &vcpu->context[__builtin_ctz(left)];
        context->refill.tables = NULL; /* it is aimed at memory, too */
        const uint64_t dropped = forget_in(vcpu, context, wishes, n);
        context->stats.causes[SM_TLB_REMAPPED]++;
        context->stats.flushed += dropped;
        vcpu->stats.flushed += dropped;
    }
    vcpu->stats.causes[SM_TLB_REMAPPED]++;
    vcpu->stats.flushes_page++;
    forget_derived(vcpu);
}

/* --- Dirty logs --------------------------------------------------------------------- */

void sm_tlb_ask_rearm(struct sm_agent *agent, const uint8_t *first, const uint8_t *last)
{
    struct sm_vcpu *const vcpu = sm_container_of(agent, struct sm_vcpu, agent);
    const struct sm_range range = {(uintptr_t)first, (uintptr_t)last};

    if (post(vcpu->rearm, NULL, range))
        sm_fetch_or(&vcpu->asked, (uint32_t)SM_ASKED_REARM);
    else
        sm_fetch_or(&vcpu->asked, (uint32_t)SM_ASKED_REARM_ALL);
}

/** Have the next store through slot @slot, if it is a direct one to @range of host
 *  memory, come by the slow path; unless somebody has marked the page meanwhile, or it
 *  is one that the range just happens to cover. */
static void rearm_slot(struct sm_vcpu *vcpu, const struct sm_tlb_store *store,
                       struct sm_tlb_entry *entry, unsigned slot,
                       const struct sm_range *range)
{
    const uint64_t host = (entry->tag & SM_PAGE_MASK) + entry->host_bias;

    if (!(entry->tag & (SM_TLB_ABSENT | SM_TLB_MMIO | SM_TLB_CLEAN)) &&
        host <= range->last && host + (SM_PAGE_SIZE - 1) >= range->first &&
        !sm_tlb_is_marked(vcpu, &store->cold[SM_WRITE][slot], host))
        entry->tag |= SM_TLB_CLEAN;
}

/** Cost: the entries that are filled. */
static void rearm(struct sm_vcpu *vcpu, const struct sm_range *range)
{
    for (uint32_t left = vcpu->attached; left; left &= left - 1) {
        struct sm_tlb_context *const context = &vcpu->context[__builtin_ctz(left)];
        struct sm_tlb_entry *const slot = context->store->table.slot[SM_WRITE];
        context->refill.tables = NULL; /* it may be aimed at what had no map yet */
        const bool full = sm_tlb_log_is_full(context);

        sm_tlb_forget_near(context);
        for (unsigned i = 0; !full && i < context->n_log; i++) {
            const unsigned n = context->log[i] % SM_TLB_SLOTS;
            if (context->log[i] / SM_TLB_SLOTS == SM_WRITE)
                rearm_slot(vcpu, context->store, &slot[n], n, range);
        }
        for (unsigned i = 0; full && i < SM_TLB_SLOTS; i++)
            rearm_slot(vcpu, context->store, &slot[i], i, range);
    }
}

static void serve_rearm(struct sm_vcpu *vcpu, bool all)
{
    struct wish wish;

    for (unsigned i = 0; i < SM_N_ASKED; i++)
        if (take(&vcpu->rearm[i], &wish) && !all)
            rearm(vcpu, &wish.range);
    if (all)
        rearm(vcpu, &(struct sm_range){0, UINT64_MAX});
}

/* --- At a safe point ---------------------------------------------------------------- */

void sm_tlb_serve_asked(struct sm_vcpu *vcpu)
{
    if (SM_LIKELY(!sm_load_relaxed(&vcpu->asked)))
        return;
    const uint32_t asked = sm_exchange(&vcpu->asked, 0u);

    if (asked & SM_ASKED_FORGET)
        serve_forget(vcpu);
    if (asked & (SM_ASKED_REARM | SM_ASKED_REARM_ALL))
        serve_rearm(vcpu, asked & SM_ASKED_REARM_ALL);
}
