/* SPDX-License-Identifier: MIT */
/* dirty.c - tells where in which spaces an edit may be seen, so that only that is
 * rendered again.
 *
 * What an edit changes below a region is seen in whatever the region is mapped into,
 * and through its aliases.  An edit changes no way that leads up from where it acts, so
 * it does not matter what the rest of a transaction does to them: each edit notes its
 * own windows in the tree as it finds it.
 */
#include "memory/memory_impl.h"

/* How far a walk goes before it gives up and has everything rendered. */
enum { MAX_TODO = 64, MAX_STEPS = 1024 };

static bool touches(struct sm_range a, struct sm_range b)
{
    return (a.last == UINT64_MAX || b.first <= a.last + 1) &&
           (b.last == UINT64_MAX || a.first <= b.last + 1);
}

static void forget(struct sm_root *root, unsigned i)
{
    root->dirty[i] = root->dirty[--root->n_dirty];
}

void sm_root_dirty(struct sm_root *root, struct sm_range range)
{
    if (!root->n_dirty && sm_list_empty(&root->changed))
        sm_list_add_before(&root->topo->changed, &root->changed);
    for (unsigned i = 0; i < root->n_dirty;) {
        if (touches(root->dirty[i], range)) {
            range.first = SM_MIN(range.first, root->dirty[i].first);
            range.last = SM_MAX(range.last, root->dirty[i].last);
            forget(root, i);
            i = 0; /* it may touch others now */
        } else {
            i++;
        }
    }
    if (root->n_dirty == SM_N_DIRTY) {
        /* Join the nearest; rendering what lies between is only work. */
        unsigned nearest = 0;
        uint64_t least = UINT64_MAX;
        for (unsigned i = 0; i < SM_N_DIRTY; i++) {
            const uint64_t gap = root->dirty[i].first > range.last
                                     ? root->dirty[i].first - range.last
                                     : range.first - root->dirty[i].last;
            if (gap <= least) {
                least = gap;
                nearest = i;
            }
        }
        range.first = SM_MIN(range.first, root->dirty[nearest].first);
        range.last = SM_MAX(range.last, root->dirty[nearest].last);
        forget(root, nearest);
        sm_root_dirty(root, range); /* once more: one place is free now */
        return;
    }
    root->dirty[root->n_dirty++] = range;
}

void sm_root_sort_dirty(struct sm_root *root)
{
    for (unsigned i = 1; i < root->n_dirty; i++) {
        const struct sm_range range = root->dirty[i];
        unsigned at = i;
        for (; at && root->dirty[at - 1].first > range.first; at--)
            root->dirty[at] = root->dirty[at - 1];
        root->dirty[at] = range;
    }
}

const struct sm_flat_section *sm_root_changed_next(const struct sm_root *root,
                                                   const struct sm_flat_view *view,
                                                   struct sm_changed_at *step)
{
    while (!step->ended && step->window < root->n_dirty) {
        const struct sm_range window = root->dirty[step->window];
        const uint64_t last = window.last < UINT64_MAX ? window.last + 1 : UINT64_MAX;

        step->at = SM_MAX(step->at, window.first ? window.first - 1 : 0);
        const struct sm_flat_section *section = sm_flat_view_from(view, step->at);
        if (!section)
            return NULL;
        if (section->range.first > last) {
            step->window++;
            continue;
        }
        step->ended = section->range.last == UINT64_MAX;
        step->at = section->range.last + 1;
        return section;
    }
    return NULL;
}

struct seen {
    struct sm_region *region;
    struct sm_range range; /* of region                                        */
};

static bool push(struct seen *todo, unsigned *n, struct sm_region *region,
                 struct sm_range range)
{
    if (*n == MAX_TODO)
        return false;
    todo[(*n)++] = (struct seen){region, range};
    return true;
}

/* Add where @seen is seen from. */
static bool push_above(struct seen *todo, unsigned *n, struct seen seen)
{
    struct sm_region *region = seen.region, *parent = region->now.parent;
    const uint64_t offset = region->now.offset;
    struct sm_range range;

    if (parent && seen.range.first <= UINT64_MAX - offset) {
        range.first = seen.range.first + offset;
        range.last =
            seen.range.last <= UINT64_MAX - offset ? seen.range.last + offset : UINT64_MAX;
        if (sm_range_intersect(range, (struct sm_range){0, parent->now.last}, &range) &&
            !push(todo, n, parent, range))
            return false;
    }
    sm_list_for_each(alias, &region->aliases, struct sm_region, alias) {
        const struct sm_range window = {alias->now.window,
                                        alias->now.window + alias->now.last};
        if (sm_range_intersect(seen.range, window, &range) &&
            !push(todo, n, alias,
                  (struct sm_range){range.first - alias->now.window,
                                    range.last - alias->now.window}))
            return false;
    }
    return true;
}

void sm_region_dirty(struct sm_region *region, struct sm_range range)
{
    struct seen todo[MAX_TODO] = {{region, range}};
    struct sm_topology *topo = region->topo;
    unsigned n = 1, steps = 0;

    while (n) {
        const struct seen seen = todo[--n];
        if (seen.region->root)
            sm_root_dirty(seen.region->root, seen.range);
        if (++steps > MAX_STEPS || !push_above(todo, &n, seen)) {
            sm_list_for_each(root, &topo->roots, struct sm_root, node)
                sm_root_dirty(root, (struct sm_range){0, UINT64_MAX});
            return;
        }
    }
}

void sm_region_dirty_all(struct sm_region *region)
{
    sm_region_dirty(region, (struct sm_range){0, region->now.last});
}

void sm_region_dirty_place(struct sm_region *child)
{
    sm_region_dirty(child->now.parent,
                    (struct sm_range){child->now.offset,
                                      child->now.offset + child->now.last});
}
