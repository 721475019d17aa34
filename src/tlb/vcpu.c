/* SPDX-License-Identifier: MIT */
/* vcpu.c - creates vCPUs, takes them on- and offline, serves requests at safe points. */
#include "base/alloc.h"
#include "memory/reserve.h"
#include "tlb/tlb_impl.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* --- What other threads ask: into own words, without a lock ------------------------ */

void sm_vcpu_kick(struct sm_vcpu *vcpu)
{
    /* After all that the safe point is to see; pairs with take_down(). */
    sm_fetch_or(&vcpu->fast.request, (uint32_t)SM_REQUEST_PASS);
}

static void agent_translation_changed(struct sm_agent *agent)
{
    struct sm_vcpu *const vcpu = sm_container_of(agent, struct sm_vcpu, agent);

    /* Whether it means anything to this vCPU only its own thread knows. */
    sm_exchange(&vcpu->flush_translated, 1u);
}

static void agent_kick(struct sm_agent *agent)
{
    sm_vcpu_kick(sm_container_of(agent, struct sm_vcpu, agent));
}

const struct sm_agent_ops sm_vcpu_agent_ops = {
    .view_changed = sm_tlb_ask_forget,
    .translation_changed = agent_translation_changed,
    .kick = agent_kick,
    .rearm = sm_tlb_ask_rearm,
};

/* --- Life ------------------------------------------------------------------------- */

enum { VCPU_FLAGS = SM_VCPU_WALK_ALWAYS | SM_VCPU_ONE_ENTRY | SM_VCPU_COUNT_HITS |
                    SM_VCPU_EXACT_RESERVE | SM_VCPU_ALONE };

/** Copy what the caller knows of the options; the rest is zero.  Returns false for a
 *  size that no version had. */
static bool take_options(const struct sm_vcpu_options *from, struct sm_vcpu_options *to)
{
    if (from->struct_size != offsetof(struct sm_vcpu_options, flags) &&
        from->struct_size != offsetof(struct sm_vcpu_options, check) &&
        from->struct_size != sizeof *to)
        return false;
    memset(to, 0, sizeof *to);
    memcpy(to, from, from->struct_size);
    return true;
}

static int check_options(const struct sm_vcpu_options *options)
{
    const struct sm_guest_mmu_ops *ops = options->ops;

    if (!ops || ops->struct_size < sizeof *ops)
        return -EINVAL;
    if ((options->flags & ~(uint32_t)VCPU_FLAGS) || options->reserved)
        return -EINVAL;
    if (options->tlb_layout && options->tlb_layout != SM_TLB_LAYOUT)
        return -EPROTO;
    if (options->n_spaces < 1 || options->n_spaces > 255 || !options->spaces)
        return -EINVAL;
    for (uint32_t i = 0; i < options->n_spaces; i++) {
        if (!options->spaces[i])
            return -EINVAL;
    }
    if (ops->n_modes < 1 || ops->n_modes > SM_N_MODES || !ops->tlb_fill ||
        !ops->bus_error || !ops->mode_name)
        return -EINVAL;
    return 0;
}

int sm_vcpu_new(struct sm_topology *topo, const struct sm_vcpu_options *given,
                struct sm_vcpu **out)
{
    struct sm_vcpu_options all;
    const struct sm_vcpu_options *const options = &all;
    struct sm_vcpu *vcpu;
    int error;

    if (!take_options(given, &all))
        return -EINVAL;
    error = check_options(options);
    if (error)
        return error;
    vcpu = sm_alloc(sizeof *vcpu);
    if (!vcpu)
        return -ENOMEM;
    vcpu->spaces = sm_alloc(options->n_spaces * sizeof(struct sm_address_space *));
    if (!vcpu->spaces) {
        sm_free(vcpu);
        return -ENOMEM;
    }
    if (!sm_reserve_join(topo, options->flags & SM_VCPU_ALONE)) {
        sm_free(vcpu->spaces);
        sm_free(vcpu);
        return -EBUSY;
    }
    memcpy(vcpu->spaces, options->spaces,
           options->n_spaces * sizeof(struct sm_address_space *));
    vcpu->n_spaces = options->n_spaces;
    vcpu->requester = options->requester;
    vcpu->flags = options->flags;
    vcpu->ops = options->ops;
    vcpu->guest = options->guest;
    vcpu->topo = topo;
    if (vcpu->flags & SM_VCPU_EXACT_RESERVE) {
        vcpu->tags = SM_TLB_EXACT;
        sm_reserve_make_exact(topo);
    }
    vcpu->fast.granules = sm_reserve_granules(topo);
    /* Stores that end reservations change versions, too: each of its own has to be known. */
    vcpu->fast.alone = (vcpu->flags & SM_VCPU_ALONE) &&
                       !(vcpu->flags & SM_VCPU_EXACT_RESERVE) && sm_reserve_spare(topo);
    if (!sm_tlb_init(vcpu) ||
        (options->check && !sm_tlb_checking_init(vcpu, options->check))) {
        sm_tlb_fini(vcpu);
        sm_reserve_leave(topo);
        sm_free(vcpu->spaces);
        sm_free(vcpu);
        return -ENOMEM;
    }
    sm_agent_add(topo, &vcpu->agent, &sm_vcpu_agent_ops);
    *out = vcpu;
    return 0;
}

void sm_vcpu_free(struct sm_vcpu *vcpu)
{
    if (!vcpu)
        return;
    sm_assert(!vcpu->online);
    if (vcpu->agent.topo) /* else the topology went first */
        sm_reserve_leave(vcpu->topo);
    sm_agent_remove(&vcpu->agent);
    sm_tlb_checking_fini(vcpu);
    sm_tlb_watch_fini(vcpu);
    sm_tlb_fini(vcpu);
    sm_free(vcpu->spaces);
    sm_free(vcpu);
}

void *sm_vcpu_guest(const struct sm_vcpu *vcpu)
{
    return vcpu->guest;
}

struct sm_tlb_fast *sm_vcpu_fast(struct sm_vcpu *vcpu)
{
    return &vcpu->fast;
}

/* --- Safe points -------------------------------------------------------------------- */

/** Take the request down, and leave the stamp. */
static void take_down(struct sm_vcpu *vcpu)
{
    sm_fetch_and(&vcpu->fast.request, ~(uint32_t)SM_REQUEST_PASS); /* a full fence */
}

/** Pass, then do what was asked.
 *
 *  The request goes down first, so that one raised meanwhile is seen at the next safe
 *  point.  The mail is read after passing: passing loads the ticket number, and mail is
 *  left before a ticket is issued, so no ticket can be passed with its mail unread.
 */
static SM_NOINLINE void serve(struct sm_vcpu *vcpu)
{
    take_down(vcpu);
    sm_tlb_stored(vcpu); /* what was stored to may be freed by passing */
    sm_agent_pass(&vcpu->agent);
    sm_tlb_serve_mail(vcpu);
    sm_tlb_serve_asked(vcpu);
}

void sm_vcpu_safe_point(struct sm_vcpu *vcpu)
{
    if (SM_UNLIKELY(sm_tlb_requested(&vcpu->fast)))
        serve(vcpu);
}

void sm_vcpu_online(struct sm_vcpu *vcpu)
{
    sm_assert_hot(!vcpu->online);
    vcpu->online = true;
    sm_reserve_bind(vcpu->topo, true);
    sm_agent_online(&vcpu->agent);
    serve(vcpu);
}

void sm_vcpu_offline(struct sm_vcpu *vcpu)
{
    sm_assert_hot(vcpu->online);
    serve(vcpu);
    sm_reserve_bind(vcpu->topo, false);
    sm_agent_offline(&vcpu->agent);
    vcpu->online = false;
#ifdef SM_DEBUG_CHECKS
    sm_vcpu_check(vcpu);
#endif
}

void sm_vcpu_settle(struct sm_vcpu *vcpu, sm_ticket ticket)
{
    sm_assert_hot(vcpu->online);
    take_down(vcpu);
    sm_tlb_stored(vcpu); /* as in serve() */
    sm_agent_settle(&vcpu->agent, ticket);
    sm_tlb_serve_mail(vcpu);
    sm_tlb_serve_asked(vcpu);
}

void sm_vcpu_check(const struct sm_vcpu *vcpu)
{
    sm_assert(vcpu->agent.ops == &sm_vcpu_agent_ops);
    sm_assert(vcpu->online || sm_load_relaxed(&vcpu->agent.passed) == SM_AGENT_OFFLINE);
    for (unsigned i = 0; i < SM_N_MAIL; i++)
        sm_assert(sm_load_relaxed(&vcpu->mail[i].state) <= SM_MAIL_READY);
    for (unsigned i = 0; i < SM_N_ASKED; i++) {
        sm_assert(sm_load_relaxed(&vcpu->changed[i].state) <= SM_MAIL_READY);
        sm_assert(sm_load_relaxed(&vcpu->rearm[i].state) <= SM_MAIL_READY);
    }
    sm_tlb_check(vcpu);
}

void sm_tlb_get_stats(const struct sm_vcpu *vcpu, struct sm_tlb_stats *out)
{
    const uint32_t size = SM_MIN(out->struct_size, (uint32_t)sizeof *out);
    struct sm_tlb_stats stats = vcpu->stats;

    for (unsigned i = 0; i < SM_N_CONTEXTS; i++)
        sm_tlb_refill_count(&vcpu->context[i], stats.fills, stats.depth);
    memcpy(out, &stats, size);
    out->struct_size = size;
}
