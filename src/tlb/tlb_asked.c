/* SPDX-License-Identifier: MIT */
/* tlb_asked.c - what others ask of a vCPU for the memory layer's sake, in ranges.
 *
 * As with the mail of tlb_flush.c: a place is claimed, written and handed over without a
 * lock, and when none is free all is asked for.  A request comes before its ticket is
 * issued, and is served after the safe point that passes it.
 */
#include "tlb/tlb_impl.h"

/** Leave @range in one of @n places.  Returns false when none is free. */
static bool post(struct sm_tlb_asked *asked, unsigned n, struct sm_range range)
{
    for (unsigned i = 0; i < n; i++) {
        uint32_t expected = SM_MAIL_FREE;
        if (sm_load_relaxed(&asked[i].state) == SM_MAIL_FREE &&
            sm_compare_exchange(&asked[i].state, &expected, (uint32_t)SM_MAIL_WRITING)) {
            asked[i].range = range;
            /* Pairs with the acquire in take(). */
            sm_publish(&asked[i].state, (uint32_t)SM_MAIL_READY);
            return true;
        }
    }
    return false;
}

/** Take what was left in a place.  One that is still being written has no ticket yet. */
static bool take(struct sm_tlb_asked *asked, struct sm_range *range)
{
    if (sm_load_acquire(&asked->state) != SM_MAIL_READY) /* of post() */
        return false;
    *range = asked->range;
    sm_publish(&asked->state, (uint32_t)SM_MAIL_FREE);
    return true;
}

/* --- Dirty logs --------------------------------------------------------------------- */

void sm_tlb_ask_rearm(struct sm_agent *agent, const uint8_t *first, const uint8_t *last)
{
    struct sm_vcpu *const vcpu = sm_container_of(agent, struct sm_vcpu, agent);
    const struct sm_range range = {(uintptr_t)first, (uintptr_t)last};

    if (post(vcpu->rearm, SM_N_ASKED, range))
        sm_fetch_or(&vcpu->asked, (uint32_t)SM_ASKED_REARM);
    else
        sm_fetch_or(&vcpu->asked, (uint32_t)SM_ASKED_REARM_ALL);
}

/** Have the next store through slot @slot, if it is a direct one to @range of host
 *  memory, come by the slow path. */
static void rearm_slot(struct sm_tlb_store *store, unsigned slot,
                       const struct sm_range *range)
{
    struct sm_tlb_entry *const entry = &store->table.slot[SM_WRITE][slot];
    const uint64_t host = entry->tag + entry->host_bias;

    if (!(entry->tag & ~SM_PAGE_MASK) && host <= range->last &&
        host + (SM_PAGE_SIZE - 1) >= range->first)
        entry->tag |= SM_TLB_CLEAN;
}

/** Cost: the entries that are filled. */
static void rearm(struct sm_vcpu *vcpu, const struct sm_range *range)
{
    for (uint32_t left = vcpu->attached; left; left &= left - 1) {
        const struct sm_tlb_context *context = &vcpu->context[__builtin_ctz(left)];

        const bool full = sm_tlb_log_is_full(context);
        for (unsigned i = 0; !full && i < context->n_log; i++)
            if (context->log[i] / SM_TLB_SLOTS == SM_WRITE)
                rearm_slot(context->store, context->log[i] % SM_TLB_SLOTS, range);
        for (unsigned i = 0; full && i < SM_TLB_SLOTS; i++)
            rearm_slot(context->store, i, range);
    }
}

static void serve_rearm(struct sm_vcpu *vcpu, bool all)
{
    struct sm_range range;

    for (unsigned i = 0; i < SM_N_ASKED; i++)
        if (take(&vcpu->rearm[i], &range) && !all)
            rearm(vcpu, &range);
    if (all)
        rearm(vcpu, &(struct sm_range){0, UINT64_MAX});
}

/* --- At a safe point ---------------------------------------------------------------- */

void sm_tlb_serve_asked(struct sm_vcpu *vcpu)
{
    if (SM_LIKELY(!sm_load_relaxed(&vcpu->asked)))
        return;
    const uint32_t asked = sm_exchange(&vcpu->asked, 0u);

    if (asked & (SM_ASKED_REARM | SM_ASKED_REARM_ALL))
        serve_rearm(vcpu, asked & SM_ASKED_REARM_ALL);
}
