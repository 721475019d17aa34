/* SPDX-License-Identifier: MIT */
/* flatview_impl.h - the form of a view: a B+ tree of which versions share nodes.
 *
 * Layer:    memory; only flatview.c and flatview_edit.c include it.
 *
 * Leaves hold sections, nodes above hold nodes, all in address order; each item's last
 * address lies apart in .last, which is what a search reads.  All leaves are at level
 * 0.  Every node but the top holds SM_NODE_MIN items at least, so that the height
 * follows the logarithm of what is there.
 */
#ifndef SM_MEMORY_FLATVIEW_IMPL_H
#define SM_MEMORY_FLATVIEW_IMPL_H

#include "memory/memory_impl.h"

enum { SM_NODE_MAX = 32, SM_NODE_MIN = 8, SM_NODE_LEVELS = 20 };

struct sm_flat_node {
    uint64_t last[SM_NODE_MAX]; /* UINT64_MAX behind the n that are used       */
    uint16_t n, level;
    bool fresh, dead;          /* made by the edit under way; and dropped by it */
    struct sm_flat_node *next; /* of the edit's list                           */
};

struct sm_flat_leaf {
    struct sm_flat_node node;
    struct sm_flat_section section[SM_NODE_MAX];
};

struct sm_flat_inner {
    struct sm_flat_node node;
    struct sm_flat_node *child[SM_NODE_MAX];
};

struct sm_flat_view {
    struct sm_retired retired;
    struct sm_flat_node *top; /* NULL: nothing answers anywhere                */
    size_t n;
    bool followed;                /* by a view that shares nodes               */
    struct sm_flat_node *dropped; /* those that it does not share              */
};

SM_INLINE struct sm_flat_section *sm_node_sections(const struct sm_flat_node *node)
{
    return sm_container_of(node, struct sm_flat_leaf, node)->section;
}

SM_INLINE struct sm_flat_node **sm_node_children(const struct sm_flat_node *node)
{
    return sm_container_of(node, struct sm_flat_inner, node)->child;
}

/** Index of the first item that ends at @gpa or later; there is one.
 *
 *  The steps are the same whatever is there, branch on nothing, and each compares three
 *  at once: random addresses would be guessed wrong, and loads wait for one another. */
SM_INLINE unsigned sm_node_search(const struct sm_flat_node *node, sm_gpa gpa)
{
    const uint64_t *last = node->last;
    const unsigned i = 8u * ((unsigned)(last[7] < gpa) + (unsigned)(last[15] < gpa) +
                       (unsigned)(last[23] < gpa));

    last += i;
    const unsigned pair = 2u * ((unsigned)(last[1] < gpa) + (unsigned)(last[3] < gpa) +
                                (unsigned)(last[5] < gpa));
    return i + pair + (unsigned)(last[pair] < gpa);
}
SM_STATIC_ASSERT(SM_NODE_MAX == 32, "sm_node_search() takes three steps");

/** As sm_node_search(); node->n when there is none. */
SM_INLINE unsigned sm_node_search_or_end(const struct sm_flat_node *node, sm_gpa gpa)
{
    return node->last[node->n - 1] < gpa ? node->n : sm_node_search(node, gpa);
}

#endif
