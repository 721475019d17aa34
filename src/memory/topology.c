/* SPDX-License-Identifier: MIT */
/* topology.c - opens edits, renders what they changed, publishes it (R4, R5). */
#include "base/alloc.h"
#include "base/atomic.h"
#include "memory/memory_impl.h"

#include <errno.h>

/* --- Life --------------------------------------------------------------- */

int sm_topology_new(const struct sm_owner_ops *ops, void *owner, struct sm_topology **out)
{
    if (ops && ops->struct_size != sizeof(*ops))
        return -EINVAL;
    struct sm_topology *topo = sm_alloc(sizeof(*topo));
    if (!topo)
        return -ENOMEM;
    topo->ops = ops;
    topo->owner = owner;
    topo->hook.panic = ops ? ops->panic : NULL;
    topo->hook.owner = owner;
    pthread_mutex_init(&topo->lock, NULL);
    sm_list_init(&topo->regions);
    sm_list_init(&topo->touched);
    sm_list_init(&topo->devices);
    sm_list_init(&topo->spaces);
    pthread_mutex_init(&topo->work_lock, NULL);
    sm_list_init(&topo->ready);
    sm_ticket_init(topo);
    *out = topo;
    return 0;
}

void sm_topology_free(struct sm_topology *topo)
{
    sm_assert(!topo->depth);
    sm_ticket_fini(topo); /* whatever waits is freed: nobody is left to use it */
    sm_list_for_each_safe(space, next, &topo->spaces, struct sm_address_space, node) {
        sm_flat_view_free(space->view);
        sm_free(space);
    }
    sm_list_for_each_safe(region, next, &topo->regions, struct sm_region, node)
        sm_region_destroy(region);
    sm_list_for_each_safe(device, next, &topo->devices, struct sm_device, node)
        sm_device_destroy(device);
    pthread_mutex_destroy(&topo->work_lock);
    pthread_mutex_destroy(&topo->lock);
    sm_free(topo);
}

/* --- The lock ----------------------------------------------------------- */

bool sm_topology_locked_by_me(const struct sm_topology *topo)
{
    /* Only a thread itself ever stores its own address: no order is needed. */
    return sm_load_relaxed(&topo->holder) == &sm_thread;
}

void sm_topology_must_edit(const struct sm_topology *topo)
{
    if (sm_topology_locked_by_me(topo))
        return;
    sm_panic_enter(&topo->hook);
    sm_broken("edit outside sm_topology_begin() and commit", __FILE__, __LINE__);
}

void sm_topology_lock(struct sm_topology *topo)
{
    if (!sm_topology_locked_by_me(topo)) {
        pthread_mutex_lock(&topo->lock);
        sm_store_relaxed(&topo->holder, &sm_thread);
        topo->outer_hook = sm_panic_enter(&topo->hook);
    }
    topo->depth++;
    sm_thread.n_edits++;
}

void sm_topology_unlock(struct sm_topology *topo)
{
    sm_thread.n_edits--;
    if (--topo->depth)
        return;
    sm_panic_leave(topo->outer_hook);
    sm_store_relaxed(&topo->holder, (const struct sm_thread *)NULL);
    pthread_mutex_unlock(&topo->lock);
}

/* --- Edits -------------------------------------------------------------- */

void sm_topology_begin(struct sm_topology *topo)
{
    sm_topology_lock(topo);
}

void sm_topology_abort(struct sm_topology *topo)
{
    sm_topology_must_edit(topo);
    sm_regions_restore(topo);
    topo->dirty = false;
    sm_list_for_each(space, &topo->spaces, struct sm_address_space, node)
        topo->dirty |= !space->rendered; /* made in this edit: still to be shown */
    sm_topology_unlock(topo);
}

/* Render every space.  Failing, it leaves none rendered. */
static bool render_all(struct sm_topology *topo)
{
    bool ok = true;

    sm_list_for_each(space, &topo->spaces, struct sm_address_space, node) {
        space->next = ok ? sm_render(space->root) : NULL;
        ok = ok && space->next;
    }
    sm_list_for_each(space, &topo->spaces, struct sm_address_space, node) {
        const bool same =
            space->next && !sm_flat_view_diff(space->view, space->next, NULL, NULL);
        if (ok)
            space->rendered = true;
        if (ok && !same)
            continue;
        if (space->next)
            sm_flat_view_free(space->next);
        space->next = NULL;
    }
    return ok;
}

struct change {
    struct sm_topology *topo;
    const struct sm_address_space *space;
};

static void range_changed(void *arg, const struct sm_range *range)
{
    const struct change *change = arg;

    pthread_mutex_lock(&change->topo->agents_lock);
    sm_list_for_each(agent, &change->topo->agents, struct sm_agent, node)
        agent->ops->view_changed(agent, change->space, range);
    pthread_mutex_unlock(&change->topo->agents_lock);
}

static void view_retired(struct sm_retired *retired)
{
    sm_flat_view_free(sm_container_of(retired, struct sm_flat_view, retired));
}

/* Make the rendered views current and say so.  Returns the edit's ticket. */
static sm_ticket publish_all(struct sm_topology *topo)
{
    bool any = sm_regions_given_up(topo);
    sm_ticket ticket = 0;

    /* All views first (R5); space->next then remembers the one it replaced. */
    sm_list_for_each(space, &topo->spaces, struct sm_address_space, node) {
        struct sm_flat_view *next = space->next;
        if (!next)
            continue;
        any = true;
        space->next = space->view;
        sm_publish(&space->view, next); /* pairs with the acquire in current_view() */
    }
    if (!any)
        return 0;
    sm_list_for_each(space, &topo->spaces, struct sm_address_space, node) {
        struct change change = {topo, space};
        if (space->next)
            sm_flat_view_diff(space->next, space->view, range_changed, &change);
    }
    ticket = sm_topology_issue(topo);
    sm_list_for_each(space, &topo->spaces, struct sm_address_space, node) {
        if (space->next)
            sm_retire(topo, &space->next->retired, ticket, view_retired);
        space->next = NULL;
    }
    return ticket;
}

int sm_topology_commit(struct sm_topology *topo, sm_ticket *ticket)
{
    sm_ticket issued = 0;

    sm_topology_must_edit(topo);
    if (topo->depth == 1) {
        const bool ok = !topo->dirty || render_all(topo);
        if (ok) {
            sm_regions_apply(topo);
            issued = publish_all(topo);
            sm_regions_settle_edit(topo, issued);
            topo->dirty = false;
        }
#ifdef SM_DEBUG_CHECKS
        sm_topology_check(topo);
#endif
        if (!ok)
            return -ENOMEM;
    }
    if (ticket)
        *ticket = issued;
    sm_topology_unlock(topo);
    return 0;
}

/* --- Invariants --------------------------------------------------------- */

static void check_region(struct sm_region *region)
{
    const struct sm_region *left = NULL;

    sm_list_for_each(child, &region->children, struct sm_region, sibling) {
        sm_assert(child->now.parent == region); /* R1: in one list only */
        sm_assert(!child->now.given_up);
        sm_assert(child->now.last <= UINT64_MAX - child->now.offset);
        if (left) { /* R3 */
            sm_assert(left->now.priority > child->now.priority ||
                      (left->now.priority == child->now.priority &&
                       left->now.age > child->now.age));
        }
        left = child;
    }
    sm_assert(!region->now.parent == sm_list_empty(&region->sibling));
    sm_assert(!region->now.given_up || !region->now.parent);
    sm_assert((region->kind == SM_REGION_ALIAS) == !!region->target);
    sm_assert(!region->ram || region->now.last < region->ram->size);
    if (region->target)
        sm_assert(region->now.last <= UINT64_MAX - region->window);
}

/* R2: take away, again and again, the regions that nothing not yet taken leads to.
 * A cycle's would never go. */
static void check_acyclic(struct sm_topology *topo)
{
    const uint64_t mark = ++topo->mark;
    struct sm_region *todo = NULL;
    size_t n = 0, taken = 0;

    /* region->mark counts edges that lead there, above the mark of this walk. */
    sm_list_for_each(region, &topo->regions, struct sm_region, node) {
        region->mark = mark + region->n_aliases + (region->now.parent ? 1 : 0);
        n++;
    }
    sm_list_for_each(region, &topo->regions, struct sm_region, node) {
        if (region->mark == mark) {
            region->next = todo;
            todo = region;
        }
    }
    while (todo) {
        struct sm_region *region = todo;
        todo = region->next;
        taken++;
        if (region->target && !region->now.given_up && --region->target->mark == mark) {
            region->target->next = todo;
            todo = region->target;
        }
        sm_list_for_each(child, &region->children, struct sm_region, sibling) {
            if (--child->mark == mark) {
                child->next = todo;
                todo = child;
            }
        }
    }
    sm_assert(taken == n);
    /* Later walks must not meet a number that this one left. */
    sm_list_for_each(region, &topo->regions, struct sm_region, node)
        region->mark = mark;
}

void sm_topology_check(struct sm_topology *topo)
{
    sm_topology_lock(topo);
    sm_list_for_each(region, &topo->regions, struct sm_region, node) {
        uint32_t n_aliases = 0, n_spaces = 0;
        check_region(region);
        sm_list_for_each(alias, &topo->regions, struct sm_region, node)
            n_aliases += alias->target == region && !alias->now.given_up;
        sm_list_for_each(space, &topo->spaces, struct sm_address_space, node)
            n_spaces += space->root == region;
        sm_assert(region->n_aliases == n_aliases);
        sm_assert(region->n_spaces == n_spaces);
    }
    check_acyclic(topo);
    sm_list_for_each(space, &topo->spaces, struct sm_address_space, node)
        sm_flat_view_check(space->view);
    sm_topology_unlock(topo);
}
