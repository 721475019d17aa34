/* SPDX-License-Identifier: MIT */
/* children.c - finds what is mapped into a region by address, however much there is.
 *
 * A treap by offset, threaded through the regions themselves, so that an edit needs no
 * memory.  Each node knows how far anything below it reaches; a search passes by what
 * ends before its window.
 */
#include "memory/memory_impl.h"

static uint64_t end_of(const struct sm_region *region)
{
    return region->now.offset + region->now.last;
}

/* Order of two siblings: by offset, then by the order in which they were made. */
static bool precedes(const struct sm_region *a, const struct sm_region *b)
{
    return a->now.offset != b->now.offset ? a->now.offset < b->now.offset
                                          : a->serial < b->serial;
}

/* Serial numbers spread so that no order of edits makes the tree deep. */
static uint64_t weight(const struct sm_region *region)
{
    uint64_t hash = region->serial * UINT64_C(0x9e3779b97f4a7c15);
    hash ^= hash >> 32;
    return hash * UINT64_C(0xd6e8feb86659fd93);
}

static void measure(struct sm_region *region)
{
    region->reach = end_of(region);
    if (region->low)
        region->reach = SM_MAX(region->reach, region->low->reach);
    if (region->high)
        region->reach = SM_MAX(region->reach, region->high->reach);
}

/* Divide @tree in what precedes @region and what follows it. */
static void split(struct sm_region *tree, const struct sm_region *region,
                  struct sm_region **low, struct sm_region **high)
{
    if (!tree) {
        *low = *high = NULL;
    } else if (precedes(tree, region)) {
        split(tree->high, region, &tree->high, high);
        *low = tree;
        measure(tree);
    } else {
        split(tree->low, region, low, &tree->low);
        *high = tree;
        measure(tree);
    }
}

static struct sm_region *join(struct sm_region *low, struct sm_region *high)
{
    if (!low || !high)
        return low ? low : high;
    if (weight(low) > weight(high)) {
        low->high = join(low->high, high);
        measure(low);
        return low;
    }
    high->low = join(low, high->low);
    measure(high);
    return high;
}

static struct sm_region *insert(struct sm_region *tree, struct sm_region *region)
{
    if (!tree || weight(region) > weight(tree)) {
        split(tree, region, &region->low, &region->high);
        measure(region);
        return region;
    }
    if (precedes(region, tree))
        tree->low = insert(tree->low, region);
    else
        tree->high = insert(tree->high, region);
    measure(tree);
    return tree;
}

static struct sm_region *take_out(struct sm_region *tree, struct sm_region *region)
{
    sm_assert(tree);
    if (tree == region)
        return join(region->low, region->high);
    if (precedes(region, tree))
        tree->low = take_out(tree->low, region);
    else
        tree->high = take_out(tree->high, region);
    measure(tree);
    return tree;
}

void sm_children_add(struct sm_region *child)
{
    struct sm_region *parent = child->now.parent;

    parent->index = insert(parent->index, child);
    sm_list_add_before(&parent->children, &child->sibling);
}

void sm_children_remove(struct sm_region *child)
{
    struct sm_region *parent = child->now.parent;

    parent->index = take_out(parent->index, child);
    child->low = child->high = NULL;
    sm_list_remove(&child->sibling);
}

static bool find(struct sm_region *tree, struct sm_range window, struct sm_vec *n,
                 struct sm_region ***found)
{
    while (tree && tree->reach >= window.first) {
        if (!find(tree->low, window, n, found))
            return false;
        if (tree->now.offset > window.last)
            return true;
        if (end_of(tree) >= window.first) {
            if (!sm_vec_reserve(n, found, 1))
                return false;
            (*found)[n->n++] = tree;
        }
        tree = tree->high;
    }
    return true;
}

bool sm_children_find(const struct sm_region *parent, struct sm_range window,
                      struct sm_vec *n, struct sm_region ***found)
{
    return find(parent->index, window, n, found);
}

static size_t check(const struct sm_region *tree, const struct sm_region *parent)
{
    size_t n = 1;

    if (!tree)
        return 0;
    uint64_t reach = end_of(tree);
    sm_assert(tree->now.parent == parent);
    if (tree->low) {
        sm_assert(precedes(tree->low, tree) && weight(tree->low) <= weight(tree));
        reach = SM_MAX(reach, tree->low->reach);
        n += check(tree->low, parent);
    }
    if (tree->high) {
        sm_assert(precedes(tree, tree->high) && weight(tree->high) <= weight(tree));
        reach = SM_MAX(reach, tree->high->reach);
        n += check(tree->high, parent);
    }
    sm_assert(tree->reach == reach);
    return n;
}

void sm_children_check(const struct sm_region *parent)
{
    size_t n = 0;

    sm_list_for_each(child, &parent->children, struct sm_region, sibling) {
        sm_assert(child->now.parent == parent); /* R1: in one list only */
        sm_assert(!child->now.given_up);
        sm_assert(child->now.last <= UINT64_MAX - child->now.offset);
        n++;
    }
    sm_assert(check(parent->index, parent) == n);
}
