/* SPDX-License-Identifier: MIT */
/* listener.c - tells those who listen to a space what a commit changed in it (N1-N4). */
#include "base/alloc.h"
#include "memory/memory_impl.h"
#include "softmmu/listener.h"

#include <errno.h>

struct sm_listener {
    struct sm_address_space *space;
    struct sm_list node; /* in space->listeners: the lower priority first      */
    const struct sm_listener_ops *ops;
    void *owner;
    int priority;
};

typedef void tell_fn(void *owner, const struct sm_section *section);

static void tell(const struct sm_listener *listener, tell_fn *how,
                 const struct sm_flat_section *section)
{
    const struct sm_section public = {section->range, section->region, section->offset,
                                      section->readonly};
    how(listener->owner, &public);
}

/* Tell of all sections of @view. */
static void tell_all(const struct sm_listener *listener, tell_fn *how,
                     const struct sm_flat_view *view)
{
    for (const struct sm_flat_section *section = NULL;
         how && (section = sm_flat_view_next(view, section));)
        tell(listener, how, section);
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
static void tell_difference(const struct sm_listener *listener, tell_fn *how,
                            const struct sm_root *root, const struct sm_flat_view *view,
                            const struct sm_flat_view *other)
{
    uint64_t at = 0;

    if (!how)
        return;
    for (unsigned i = 0; i < root->n_dirty; i++) {
        const struct sm_range window = root->dirty[i];
        const uint64_t last = window.last < UINT64_MAX ? window.last + 1 : UINT64_MAX;
        at = SM_MAX(at, window.first ? window.first - 1 : 0);
        for (;;) {
            const struct sm_flat_section *section = sm_flat_view_from(view, at);
            if (!section)
                return;
            if (section->range.first > last)
                break;
            if (!shows(other, section))
                tell(listener, how, section);
            if (section->range.last == UINT64_MAX)
                return;
            at = section->range.last + 1;
        }
    }
}

static void tell_space(struct sm_address_space *space, sm_ticket ticket)
{
    const struct sm_root *root = space->root;
    struct sm_list *listeners = &space->listeners;

    for (struct sm_list *node = listeners->prev; node != listeners; node = node->prev) {
        const struct sm_listener *listener =
            sm_list_entry(node, struct sm_listener, node);
        tell_difference(listener, listener->ops->removed, root, root->before, root->view);
    }
    sm_list_for_each(listener, listeners, struct sm_listener, node)
        tell_difference(listener, listener->ops->added, root, root->view, root->before);
    sm_list_for_each(listener, listeners, struct sm_listener, node)
        if (listener->ops->committed)
            listener->ops->committed(listener->owner, ticket);
}

void sm_listeners_tell(struct sm_root *root, sm_ticket ticket)
{
    root->topo->telling = true;
    sm_list_for_each(space, &root->spaces, struct sm_address_space, same_root)
        tell_space(space, ticket);
    root->topo->telling = false;
}

int sm_listener_new(struct sm_address_space *space, const struct sm_listener_ops *ops,
                    void *owner, int priority, struct sm_listener **out)
{
    struct sm_topology *topo = space->topo;
    struct sm_listener *listener;

    if (ops->struct_size != sizeof(*ops))
        return -EINVAL;
    listener = sm_alloc(sizeof(*listener));
    if (!listener)
        return -ENOMEM;
    listener->space = space;
    listener->ops = ops;
    listener->owner = owner;
    listener->priority = priority;

    sm_topology_lock(topo);
    sm_assert(!topo->telling);
    struct sm_list *where = space->listeners.next;
    while (where != &space->listeners &&
           sm_list_entry(where, struct sm_listener, node)->priority <= priority)
        where = where->next;
    sm_list_add_before(where, &listener->node);
    topo->telling = true;
    tell_all(listener, ops->added, space->view);
    if (ops->committed)
        ops->committed(owner, 0);
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
    topo->telling = true;
    tell_all(listener, listener->ops->removed, space->view);
    topo->telling = false;
    sm_topology_unlock(topo);
    sm_free(listener);
}

void sm_listeners_drop(struct sm_address_space *space)
{
    sm_list_for_each_safe(listener, next, &space->listeners, struct sm_listener, node)
        sm_free(listener);
}
