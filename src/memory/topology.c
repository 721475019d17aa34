/* SPDX-License-Identifier: MIT */
/* topology.c - opens edits, renders what they changed, publishes it (R4, R5). */
#include "base/alloc.h"
#include "base/atomic.h"
#include "base/sized.h"
#include "memory/iommu_impl.h"

#include <errno.h>

/* --- Life --------------------------------------------------------------- */

int sm_topology_new(const struct sm_owner_ops *ops, void *owner, struct sm_topology **out)
{
    if (ops && !sm_sized_ok(ops, sizeof(*ops), sizeof(*ops))) /* one version yet */
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
    sm_list_init(&topo->roots);
    sm_list_init(&topo->changed);
    sm_list_init(&topo->iommus);
    pthread_mutex_init(&topo->work_lock, NULL);
    sm_list_init(&topo->ready);
    sm_lock_init(&topo->code.lock);
    sm_ticket_init(topo);
    *out = topo;
    return 0;
}

void sm_topology_free(struct sm_topology *topo)
{
    sm_assert(!topo->depth);
    sm_ticket_fini(topo); /* whatever waits is freed: nobody is left to use it */
    sm_list_for_each_safe(space, next, &topo->spaces, struct sm_address_space, node) {
        sm_listeners_drop(space);
        sm_free(space);
    }
    sm_list_for_each_safe(root, next, &topo->roots, struct sm_root, node)
        sm_root_destroy(root);
    sm_list_for_each_safe(region, next, &topo->regions, struct sm_region, node)
        sm_region_destroy(region);
    sm_list_for_each_safe(iommu, next, &topo->iommus, struct sm_iommu, node)
        sm_iommu_destroy(iommu);
    sm_list_for_each_safe(device, next, &topo->devices, struct sm_device, node)
        sm_device_destroy(device);
    sm_lock_destroy(&topo->code.lock);
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
    if (sm_topology_locked_by_me(topo) && !topo->telling)
        return;
    sm_panic_enter(&topo->hook);
    sm_broken(topo->telling && sm_topology_locked_by_me(topo)
                  ? "edit in a callback of a listener or a visitor"
                  : "edit outside sm_topology_begin() and commit",
              __FILE__, __LINE__);
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
    sm_list_for_each_safe(root, next, &topo->changed, struct sm_root, changed) {
        if (!root->rendered) /* made in this edit: all of it is still to be shown */
            continue;
        root->n_dirty = 0;
        sm_list_remove(&root->changed);
    }
    sm_topology_unlock(topo);
}

/* Render the windows of @root that changed. */
static bool render_root(struct sm_root *root, struct sm_rendered *rendered)
{
    if (!sm_flat_edit_begin(&root->edit, root->view))
        return false;
    root->editing = true;
    sm_root_sort_dirty(root);
    for (unsigned i = 0; i < root->n_dirty; i++) {
        const struct sm_range window = root->dirty[i];
        if (!sm_render(root->region, window, rendered) ||
            !sm_flat_edit_replace(&root->edit, window, rendered->sections, rendered->n.n))
            return false;
    }
    return true;
}

/* Render what changed.  Failing, it leaves no view behind. */
static int render_all(struct sm_topology *topo)
{
    struct sm_rendered rendered = {0};
    bool ok = true;

    sm_list_for_each(root, &topo->changed, struct sm_root, changed)
        ok = ok && render_root(root, &rendered);
    ok = ok && sm_loops_count(topo);
    const bool loops = ok && sm_loops_found(topo);
    ok = ok && !loops;
    sm_loops_settle(topo, ok);
    sm_list_for_each(root, &topo->changed, struct sm_root, changed) {
        if (root->editing && (!ok || !sm_flat_edit_changed(&root->edit))) {
            sm_flat_edit_cancel(&root->edit);
            root->editing = false;
        }
    }
    sm_free(rendered.sections);
    return ok ? 0 : loops ? -ELOOP : -ENOMEM;
}

static void range_changed(void *arg, const struct sm_range *range)
{
    const struct sm_root *root = arg;

    pthread_mutex_lock(&root->topo->agents_lock);
    sm_list_for_each(agent, &root->topo->agents, struct sm_agent, node)
        sm_list_for_each(space, &root->spaces, struct sm_address_space, same_root)
            agent->ops->view_changed(agent, space, range);
    pthread_mutex_unlock(&root->topo->agents_lock);
}

/* Make the rendered view current in all spaces that share it. */
static void publish(struct sm_root *root)
{
    root->before = root->view;
    root->view = sm_flat_edit_finish(&root->edit, root->before);
    root->editing = false;
    sm_list_for_each(space, &root->spaces, struct sm_address_space, same_root) {
        sm_publish(&space->view, root->view); /* to sm_address_space_view() */
        sm_publish(&space->generation, space->generation + 1);
    }
}

/* Make the rendered views current and say so.  Returns the edit's ticket. */
static sm_ticket publish_all(struct sm_topology *topo)
{
    bool any = sm_regions_given_up(topo);
    sm_ticket ticket;

    sm_list_for_each(root, &topo->changed, struct sm_root, changed) {
        any = any || root->editing;
        if (root->editing)
            publish(root); /* all views first (R5) */
    }
    sm_list_for_each(root, &topo->changed, struct sm_root, changed)
        for (unsigned i = 0; root->before && i < root->n_dirty; i++)
            sm_flat_view_diff(root->before, root->view, root->dirty[i], range_changed,
                              root);
    if (any && topo->translates)
        sm_translation_changed(topo);
    /* What is taken away now may have been hidden by an edit that not all have seen yet:
     * then its ticket is the one to wait for. */
    ticket = any ? sm_topology_issue(topo) : sm_load_acquire(&topo->issued);
    sm_list_for_each(root, &topo->changed, struct sm_root, changed)
        if (root->before)
            sm_listeners_tell(root, ticket);
    sm_list_for_each_safe(root, next, &topo->changed, struct sm_root, changed) {
        if (root->before)
            sm_flat_view_retire(topo, root->before, ticket);
        root->before = NULL;
        root->rendered = true;
        root->n_dirty = 0;
        sm_list_remove(&root->changed);
    }
    return ticket;
}

int sm_topology_commit(struct sm_topology *topo, sm_ticket *ticket)
{
    sm_ticket issued = 0;

    sm_topology_must_edit(topo);
    if (topo->depth == 1) {
        const int error = render_all(topo);
        if (!error) {
            sm_regions_apply(topo);
            issued = publish_all(topo);
            sm_regions_settle_edit(topo, issued);
        }
#ifdef SM_DEBUG_CHECKS
        sm_topology_check(topo);
#endif
        if (error)
            return error;
    }
    if (ticket)
        *ticket = issued;
    sm_topology_unlock(topo);
    return 0;
}

/* --- Invariants --------------------------------------------------------- */

static void check_region(struct sm_region *region)
{
    sm_children_check(region);
    sm_assert(!region->now.parent == sm_list_empty(&region->sibling));
    sm_assert(!region->now.given_up || !region->now.parent);
    sm_assert((region->kind == SM_REGION_ALIAS) == !!region->target);
    sm_assert(!region->ram || region->now.last < region->ram->size);
    if (region->target)
        sm_assert(region->now.last <= UINT64_MAX - region->now.window);
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
        sm_list_for_each(alias, &region->aliases, struct sm_region, alias) {
            sm_assert(alias->target == region && !alias->now.given_up);
            n_aliases++;
        }
        sm_list_for_each(space, &topo->spaces, struct sm_address_space, node)
            n_spaces += space->root->region == region;
        sm_assert(region->n_aliases == n_aliases);
        sm_assert(region->n_spaces == n_spaces);
    }
    check_acyclic(topo);
    sm_list_for_each(root, &topo->roots, struct sm_root, node) {
        sm_assert(!sm_list_empty(&root->spaces) && !root->editing && !root->before);
        sm_assert(!root->region || root->region->root == root);
        sm_assert(!root->n_dirty == sm_list_empty(&root->changed));
        sm_flat_view_check(root->view);
        sm_loops_check(root);
    }
    sm_list_for_each(space, &topo->spaces, struct sm_address_space, node)
        sm_assert(space->view == space->root->view);
    sm_topology_unlock(topo);
}
