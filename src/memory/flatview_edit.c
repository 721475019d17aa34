/* SPDX-License-Identifier: MIT */
/* flatview_edit.c - makes a view from another by new nodes where they differ.
 *
 * An edit replaces a run of neighbouring sections.  On each level, from the leaves up,
 * the nodes from the one where the run begins to the one where it ends give way to new
 * ones: of what lay left of the run, what takes its place, and what lay right of it.
 * If that is too little for a node, the neighbour on either side is taken in too.
 */
#include "base/alloc.h"
#include "memory/flatview_impl.h"

#include <string.h>

/* A way down: a node of each level, and the item in it that leads on. */
struct path {
    unsigned levels; /* 0: there is no node                                    */
    struct sm_flat_node *node[SM_NODE_LEVELS];
    unsigned at[SM_NODE_LEVELS];
};

/* --- Life --------------------------------------------------------------- */

bool sm_flat_edit_begin(struct sm_flat_edit *edit, const struct sm_flat_view *base)
{
    *edit = (struct sm_flat_edit){.base = base, .top = base->top, .n = base->n};
    edit->view = sm_alloc(sizeof(*edit->view));
    return edit->view != NULL;
}

bool sm_flat_edit_changed(const struct sm_flat_edit *edit)
{
    return edit->top != edit->base->top;
}

static void free_scratch(struct sm_flat_edit *edit)
{
    sm_free(edit->run);
    sm_free(edit->items);
    sm_free(edit->nodes);
    sm_free(edit->raised);
}

struct sm_flat_view *sm_flat_edit_finish(struct sm_flat_edit *edit,
                                         struct sm_flat_view *base)
{
    for (struct sm_flat_node *node = edit->made, *next; node; node = next) {
        next = node->next;
        node->fresh = false;
        if (node->dead)
            sm_free(node);
    }
    base->followed = true;
    base->dropped = edit->dropped;
    edit->view->top = edit->top;
    edit->view->n = edit->n;
    free_scratch(edit);
    return edit->view;
}

void sm_flat_edit_cancel(struct sm_flat_edit *edit)
{
    for (struct sm_flat_node *node = edit->made, *next; node; node = next) {
        next = node->next;
        sm_free(node);
    }
    sm_free(edit->view);
    free_scratch(edit);
}

/* --- Nodes -------------------------------------------------------------- */

static struct sm_flat_node *node_new(struct sm_flat_edit *edit, unsigned level)
{
    void *made =
        sm_alloc(level ? sizeof(struct sm_flat_inner) : sizeof(struct sm_flat_leaf));

    if (!made)
        return NULL;
    struct sm_flat_node *node = made; /* the first member of either */
    node->level = (uint16_t)level;
    node->fresh = true;
    node->next = edit->made;
    edit->made = node;
    return node;
}

/* The node is no part of the view in the making. */
static void node_drop(struct sm_flat_edit *edit, struct sm_flat_node *node)
{
    if (node->fresh) {
        node->dead = true;
    } else { /* readers of the base do not look at .next */
        node->next = edit->dropped;
        edit->dropped = node;
    }
}

/* --- Paths -------------------------------------------------------------- */

/* Take the first or last way down from the item chosen at @level. */
static void path_descend(struct path *path, unsigned level, unsigned down_to, bool last)
{
    while (level > down_to) {
        struct sm_flat_node *node = sm_node_children(path->node[level])[path->at[level]];
        level--;
        path->node[level] = node;
        path->at[level] = last ? node->n - 1u : 0;
    }
}

/* Find the first section that ends at @gpa or later, or the end of all. */
static void path_find(struct path *path, struct sm_flat_node *top, sm_gpa gpa)
{
    struct sm_flat_node *node = top;

    path->levels = top ? top->level + 1u : 0;
    while (node) {
        unsigned i = sm_node_search_or_end(node, gpa);
        if (node->level)
            i = SM_MIN(i, node->n - 1u);
        path->node[node->level] = node;
        path->at[node->level] = i;
        node = node->level ? sm_node_children(node)[i] : NULL;
    }
}

/* Step to the node of @level beside.  Returns false when there is none. */
static bool path_step(struct path *path, unsigned level, bool back)
{
    for (unsigned up = level + 1; up < path->levels; up++) {
        if (back ? path->at[up] > 0 : path->at[up] + 1 < path->node[up]->n) {
            path->at[up] += back ? -1u : 1u;
            path_descend(path, up, level, back);
            return true;
        }
    }
    return false;
}

/* Drop the nodes of @level from one path to the other. */
static void drop_between(struct sm_flat_edit *edit, const struct path *from,
                         const struct path *to, unsigned level)
{
    struct path path = *from;

    for (;;) {
        node_drop(edit, path.node[level]);
        if (path.node[level] == to->node[level] || !path_step(&path, level, false))
            return;
    }
}

/* --- What replaces a run ------------------------------------------------ */

static bool add(struct sm_vec *n, struct sm_flat_section **to,
                const struct sm_flat_section *sections, size_t more)
{
    if (!sm_vec_reserve(n, to, more))
        return false;
    if (more)
        memcpy(*to + n->n, sections, more * sizeof(*sections));
    n->n += more;
    return true;
}

/* As add(), of one that may continue the one before. */
static bool add_merged(struct sm_flat_edit *edit, const struct sm_flat_section *section)
{
    struct sm_flat_section *left = edit->n_run.n ? &edit->run[edit->n_run.n - 1] : NULL;

    if (left && left->range.last + 1 == section->range.first &&
        sm_flat_section_continues(left, section)) {
        left->range.last = section->range.last;
        return true;
    }
    return add(&edit->n_run, &edit->run, section, 1);
}

/* The part of @section from @first on. */
static struct sm_flat_section rest_of(const struct sm_flat_section *section,
                                      uint64_t first)
{
    struct sm_flat_section rest = *section;
    const uint64_t skipped = first - section->range.first;

    rest.range.first = first;
    rest.offset += skipped;
    rest.host = rest.host ? rest.host + skipped : NULL;
    rest.rom = rest.rom ? rest.rom + skipped : NULL;
    return rest;
}

/* A run of old sections: from @lo's to the one before @hi's. */
struct run {
    struct path lo, hi;
};

/* Find the sections that overlap or touch @window, and gather what replaces them. */
static bool gather(struct sm_flat_edit *edit, struct run *run, struct sm_range window,
                   const struct sm_flat_section *sections, size_t n)
{
    const uint64_t before = window.first ? window.first - 1 : 0;
    const uint64_t after = window.last < UINT64_MAX ? window.last + 1 : UINT64_MAX;
    const struct sm_flat_section *left = NULL, *right = NULL;

    edit->n_run.n = 0;
    path_find(&run->lo, edit->top, before);
    path_find(&run->hi, edit->top, after);
    if (edit->top) {
        const struct sm_flat_node *lo = run->lo.node[0], *hi = run->hi.node[0];
        if (run->lo.at[0] < lo->n)
            left = &sm_node_sections(lo)[run->lo.at[0]];
        if (run->hi.at[0] < hi->n) {
            right = &sm_node_sections(hi)[run->hi.at[0]];
            if (right->range.first <= after)
                run->hi.at[0]++; /* belongs to the run */
            else
                right = NULL;
        }
    }
    if (left && left->range.first < window.first) {
        struct sm_flat_section kept = *left;
        kept.range.last = SM_MIN(kept.range.last, before);
        if (!add_merged(edit, &kept))
            return false;
    }
    for (size_t i = 0; i < n; i++)
        if (!add_merged(edit, &sections[i]))
            return false;
    if (right && right->range.last > window.last) {
        const struct sm_flat_section kept =
            rest_of(right, SM_MAX(right->range.first, after));
        if (!add_merged(edit, &kept))
            return false;
    }
    return true;
}

static bool same_section(const struct sm_flat_section *a, const struct sm_flat_section *b)
{
    return a->range.first == b->range.first && a->range.last == b->range.last &&
           sm_flat_section_continues(a, b);
}

/* Compare the run with what replaces it; counts its sections. */
static bool run_differs(const struct sm_flat_edit *edit, const struct run *run, size_t *n)
{
    struct path path = run->lo;
    bool differs = false;

    *n = 0;
    if (!edit->top)
        return edit->n_run.n != 0;
    for (;;) {
        const struct sm_flat_node *node = path.node[0];
        const bool end = node == run->hi.node[0];
        const unsigned to = end ? run->hi.at[0] : node->n;

        for (unsigned i = path.at[0]; i < to; i++, ++*n)
            differs = differs || *n >= edit->n_run.n ||
                      !same_section(&sm_node_sections(node)[i], &edit->run[*n]);
        if (end || !path_step(&path, 0, false))
            break;
    }
    return differs || *n != edit->n_run.n;
}

/* --- New nodes ---------------------------------------------------------- */

/* Make nodes of @level of @n items, spread evenly: of edit->items for a leaf, else of
 * edit->nodes.  They are left in edit->raised. */
static bool emit(struct sm_flat_edit *edit, unsigned level, size_t n)
{
    const size_t count = (n + SM_NODE_MAX - 1) / SM_NODE_MAX;
    size_t at = 0;

    edit->n_raised.n = 0;
    if (!sm_vec_reserve(&edit->n_raised, &edit->raised, count + 1))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct sm_flat_node *node = node_new(edit, level);
        if (!node)
            return false;
        node->n = (uint16_t)(n / count + (i < n % count));
        if (level)
            memcpy(sm_node_children(node), edit->nodes + at,
                   node->n * sizeof(edit->nodes[0]));
        else
            memcpy(sm_node_sections(node), edit->items + at,
                   node->n * sizeof(edit->items[0]));
        for (unsigned j = 0; j < node->n; j++, at++)
            node->last[j] = level ? edit->nodes[at]->last[edit->nodes[at]->n - 1]
                                  : edit->items[at].range.last;
        for (unsigned j = node->n; j < SM_NODE_MAX; j++)
            node->last[j] = UINT64_MAX;
        edit->raised[edit->n_raised.n++] = node;
    }
    return true;
}

/* Replace the leaves of the run. */
static bool replace_leaves(struct sm_flat_edit *edit, struct run *run)
{
    const size_t n = edit->n_run.n;

    edit->n_items.n = 0;
    if (!edit->top)
        return add(&edit->n_items, &edit->items, edit->run, n) && emit(edit, 0, n);

    const size_t left = run->lo.at[0];
    const size_t right = run->hi.node[0]->n - run->hi.at[0];
    const struct sm_flat_section *rest =
        sm_node_sections(run->hi.node[0]) + run->hi.at[0];
    size_t kept = left;
    const struct sm_flat_section *front = sm_node_sections(run->lo.node[0]);
    const bool few = left + n + right < SM_NODE_MIN;
    const bool back = few && path_step(&run->lo, 0, true);

    if (back && !add(&edit->n_items, &edit->items, sm_node_sections(run->lo.node[0]),
                     run->lo.node[0]->n))
        return false;
    if (!add(&edit->n_items, &edit->items, front, kept) ||
        !add(&edit->n_items, &edit->items, edit->run, n) ||
        !add(&edit->n_items, &edit->items, rest, right))
        return false;
    if (few && !back && path_step(&run->hi, 0, false) &&
        !add(&edit->n_items, &edit->items, sm_node_sections(run->hi.node[0]),
             run->hi.node[0]->n))
        return false;
    drop_between(edit, &run->lo, &run->hi, 0);
    return emit(edit, 0, edit->n_items.n);
}

static bool add_nodes(struct sm_flat_edit *edit, struct sm_flat_node **nodes, size_t more)
{
    if (!sm_vec_reserve(&edit->n_nodes, &edit->nodes, more))
        return false;
    if (more)
        memcpy(edit->nodes + edit->n_nodes.n, nodes, more * sizeof(nodes[0]));
    edit->n_nodes.n += more;
    return true;
}

/* Replace the nodes of @level above those that edit->raised replaces. */
static bool replace_nodes(struct sm_flat_edit *edit, struct run *run, unsigned level)
{
    struct sm_flat_node *const lo = run->lo.node[level], *const hi = run->hi.node[level];
    const size_t left = run->lo.at[level], right = hi->n - run->hi.at[level] - 1u;
    struct sm_flat_node **rest = sm_node_children(hi) + run->hi.at[level] + 1;
    const bool few = left + edit->n_raised.n + right < SM_NODE_MIN;
    const bool back = few && path_step(&run->lo, level, true);

    edit->n_nodes.n = 0;
    if (back && !add_nodes(edit, sm_node_children(run->lo.node[level]),
                           run->lo.node[level]->n))
        return false;
    if (!add_nodes(edit, sm_node_children(lo), left) ||
        !add_nodes(edit, edit->raised, edit->n_raised.n) ||
        !add_nodes(edit, rest, right))
        return false;
    if (few && !back && path_step(&run->hi, level, false) &&
        !add_nodes(edit, sm_node_children(run->hi.node[level]), run->hi.node[level]->n))
        return false;
    drop_between(edit, &run->lo, &run->hi, level);
    return emit(edit, level, edit->n_nodes.n);
}

const struct sm_flat_view *sm_flat_edit_view(struct sm_flat_edit *edit)
{
    edit->view->top = edit->top;
    return edit->view;
}

bool sm_flat_edit_replace(struct sm_flat_edit *edit, struct sm_range window,
                          const struct sm_flat_section *sections, size_t n)
{
    struct run run;
    size_t n_before;

    if (!gather(edit, &run, window, sections, n))
        return false;
    if (!run_differs(edit, &run, &n_before))
        return true;
    if (!replace_leaves(edit, &run))
        return false;
    unsigned level = 1;
    for (; level < run.lo.levels; level++)
        if (!replace_nodes(edit, &run, level))
            return false;
    for (; edit->n_raised.n > 1; level++) {
        edit->n_nodes.n = 0;
        if (!add_nodes(edit, edit->raised, edit->n_raised.n) ||
            !emit(edit, level, edit->n_nodes.n))
            return false;
    }
    edit->top = edit->n_raised.n ? edit->raised[0] : NULL;
    while (edit->top && edit->top->level && edit->top->n == 1) {
        node_drop(edit, edit->top);
        edit->top = sm_node_children(edit->top)[0];
    }
    edit->n = edit->n - n_before + edit->n_run.n;
    return true;
}
