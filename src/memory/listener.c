/* SPDX-License-Identifier: MIT */
/* listener.c - tells those who listen to a space what a commit changed in it (N1-N4). */
#include "base/alloc.h"
#include "memory/memory_impl.h"
#include "softmmu/listener.h"

#include <errno.h>
#include <string.h>

struct sm_listener {
    struct sm_address_space *space;
    struct sm_list node; /* in space->listeners: the lower priority first      */
    struct sm_listener_ops ops;
    void *owner;
    int priority;
};

typedef void tell_fn(void *owner, const struct sm_section *section);

static struct sm_section public_section(const struct sm_flat_section *section)
{
    return (struct sm_section){section->range, section->region, section->offset,
                               section->readonly};
}

static void tell(const struct sm_listener *listener, tell_fn *how,
                 const struct sm_flat_section *section)
{
    const struct sm_section public = public_section(section);

    if (how)
        how(listener->owner, &public);
}

static bool is_logged(const struct sm_flat_section *section)
{
    return section->region->ram && section->region->ram->logs;
}

/* What is told of a section, with what belongs to it (N5). */
typedef void tell_section_fn(const struct sm_listener *listener,
                             const struct sm_flat_section *section);

static void tell_added(const struct sm_listener *listener,
                       const struct sm_flat_section *section)
{
    tell(listener, listener->ops.added, section);
    if (is_logged(section))
        tell(listener, listener->ops.log_started, section);
}

static void tell_removed(const struct sm_listener *listener,
                         const struct sm_flat_section *section)
{
    if (is_logged(section))
        tell(listener, listener->ops.log_stopped, section);
    tell(listener, listener->ops.removed, section);
}

/* Tell of all sections of @view. */
static void tell_all(const struct sm_listener *listener, tell_section_fn *how,
                     const struct sm_flat_view *view)
{
    for (const struct sm_flat_section *section = NULL;
         (section = sm_flat_view_next(view, section));)
        how(listener, section);
}

/* Does @view show exactly this section? */
static bool shows(const struct sm_flat_view *view, const struct sm_flat_section *section)
{
    const struct sm_flat_section *found = sm_flat_view_find(view, section->range.first);

    return found && found->range.first == section->range.first &&
           found->range.last == section->range.last &&
           sm_flat_section_continues(found, section);
}

/* Tell of the sections of @view that @other does not show.  They overlap or touch one
 * of the windows that the commit rendered, which are in order and apart. */
static void tell_difference(const struct sm_listener *listener, tell_section_fn *how,
                            const struct sm_root *root, const struct sm_flat_view *view,
                            const struct sm_flat_view *other)
{
    struct sm_changed_at at = {0};

    for (const struct sm_flat_section *section;
         (section = sm_root_changed_next(root, view, &at)) != NULL;)
        if (!shows(other, section))
            how(listener, section);
}

static void tell_unchanged(const struct sm_listener *listener, const struct sm_root *root)
{
    for (const struct sm_flat_section *section = NULL;
         listener->ops.unchanged && (section = sm_flat_view_next(root->view, section));)
        if (shows(root->before, section))
            tell(listener, listener->ops.unchanged, section);
}

static void tell_space(struct sm_address_space *space, sm_ticket ticket)
{
    const struct sm_root *root = space->root;
    struct sm_list *listeners = &space->listeners;

    for (struct sm_list *node = listeners->prev; node != listeners; node = node->prev) {
        const struct sm_listener *listener =
            sm_list_entry(node, struct sm_listener, node);
        tell_difference(listener, tell_removed, root, root->before, root->view);
    }
    sm_list_for_each(listener, listeners, struct sm_listener, node)
        tell_unchanged(listener, root);
    sm_list_for_each(listener, listeners, struct sm_listener, node)
        tell_difference(listener, tell_added, root, root->view, root->before);
    sm_list_for_each(listener, listeners, struct sm_listener, node)
        if (listener->ops.committed)
            listener->ops.committed(listener->owner, ticket);
}

void sm_listeners_tell(struct sm_root *root, sm_ticket ticket)
{
    root->topo->telling = true;
    sm_list_for_each(space, &root->spaces, struct sm_address_space, same_root)
        tell_space(space, ticket);
    root->topo->telling = false;
}

/* --- Dirty logs --------------------------------------------------------- */

/* Tell of the sections of @region, by @how or that they were @cleared. */
static void tell_region(const struct sm_listener *listener,
                        const struct sm_region *region, tell_fn *how,
                        const struct sm_range *cleared)
{
    const struct sm_flat_view *view = listener->space->view;

    for (const struct sm_flat_section *section = NULL;
         (how || cleared) && (section = sm_flat_view_next(view, section));) {
        const uint64_t length = section->range.last - section->range.first;
        struct sm_range range = {section->offset, section->offset + length};

        if (section->region != region)
            continue;
        tell(listener, how, section);
        if (!cleared || !sm_range_intersect(range, *cleared, &range))
            continue;
        const struct sm_section public = public_section(section);
        range.first += section->range.first - section->offset;
        range.last += section->range.first - section->offset;
        listener->ops.log_cleared(listener->owner, &public, &range);
    }
}

void sm_listeners_logged(struct sm_region *region, bool logged)
{
    struct sm_topology *topo = region->topo;

    topo->telling = true;
    sm_list_for_each(space, &topo->spaces, struct sm_address_space, node) {
        struct sm_list *listeners = &space->listeners;
        if (logged) {
            sm_list_for_each(listener, listeners, struct sm_listener, node)
                tell_region(listener, region, listener->ops.log_started, NULL);
            continue;
        }
        for (struct sm_list *at = listeners->prev; at != listeners; at = at->prev) {
            const struct sm_listener *listener =
                sm_list_entry(at, struct sm_listener, node);
            tell_region(listener, region, listener->ops.log_stopped, NULL);
        }
    }
    topo->telling = false;
}

void sm_listeners_cleared(struct sm_region *region, struct sm_range offsets)
{
    struct sm_topology *topo = region->topo;

    sm_assert(!topo->telling);
    topo->telling = true;
    sm_list_for_each(space, &topo->spaces, struct sm_address_space, node)
        sm_list_for_each(listener, &space->listeners, struct sm_listener, node)
            if (listener->ops.log_cleared)
                tell_region(listener, region, NULL, &offsets);
    topo->telling = false;
}

/* --- Life --------------------------------------------------------------- */

/* Copy what the caller knows of; the rest is zero.  Returns false for a size that no
 * version had. */
static bool take_ops(const struct sm_listener_ops *from, struct sm_listener_ops *to)
{
    if (from->struct_size != offsetof(struct sm_listener_ops, unchanged) &&
        from->struct_size != sizeof(*to))
        return false;
    memcpy(to, from, from->struct_size);
    return true;
}

int sm_listener_new(struct sm_address_space *space, const struct sm_listener_ops *ops,
                    void *owner, int priority, struct sm_listener **out)
{
    struct sm_topology *topo = space->topo;
    struct sm_listener *listener;

    struct sm_listener_ops known = {0};
    if (!take_ops(ops, &known))
        return -EINVAL;
    listener = sm_alloc(sizeof(*listener));
    if (!listener)
        return -ENOMEM;
    listener->space = space;
    listener->ops = known;
    listener->owner = owner;
    listener->priority = priority;

    sm_topology_lock(topo);
    sm_assert(!topo->telling);
    struct sm_list *where = space->listeners.next;
    while (where != &space->listeners &&
           sm_list_entry(where, struct sm_listener, node)->priority <= priority)
        where = where->next;
    sm_list_add_before(where, &listener->node);
    if (known.log_cleared)
        sm_fetch_add(&topo->n_hear_cleared, 1);
    topo->telling = true;
    tell_all(listener, tell_added, space->view);
    if (known.committed)
        known.committed(owner, 0);
    topo->telling = false;
    sm_topology_unlock(topo);
    *out = listener;
    return 0;
}

void sm_listener_free(struct sm_listener *listener)
{
    struct sm_address_space *space = listener->space;
    struct sm_topology *topo = space->topo;

    sm_topology_lock(topo);
    sm_assert(!topo->telling);
    sm_list_remove(&listener->node);
    if (listener->ops.log_cleared)
        sm_fetch_add(&topo->n_hear_cleared, UINT32_MAX);
    topo->telling = true;
    tell_all(listener, tell_removed, space->view);
    topo->telling = false;
    sm_topology_unlock(topo);
    sm_free(listener);
}

void sm_listeners_drop(struct sm_address_space *space)
{
    sm_list_for_each_safe(listener, next, &space->listeners, struct sm_listener, node)
        sm_free(listener);
}
