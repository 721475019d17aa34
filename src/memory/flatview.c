/* SPDX-License-Identifier: MIT */
/* flatview.c - looks up, iterates, compares and prints views. */
#include "base/alloc.h"
#include "memory/flatview_impl.h"

#include <inttypes.h>
#include <stdio.h>

/* --- Life --------------------------------------------------------------- */

struct sm_flat_view *sm_flat_view_new(const struct sm_flat_section *sections, size_t n)
{
    struct sm_flat_view *empty = sm_alloc(sizeof(*empty));
    struct sm_flat_edit edit;

    if (!empty || !n)
        return empty;
    struct sm_flat_view *view = NULL;
    if (sm_flat_edit_begin(&edit, empty)) {
        if (sm_flat_edit_replace(&edit, (struct sm_range){0, UINT64_MAX}, sections, n))
            view = sm_flat_edit_finish(&edit, empty);
        else
            sm_flat_edit_cancel(&edit);
    }
    sm_flat_view_free(empty);
    return view;
}

static void free_below(struct sm_flat_node *node)
{
    if (node->level)
        for (unsigned i = 0; i < node->n; i++)
            free_below(sm_node_children(node)[i]);
    sm_free(node);
}

void sm_flat_view_free(struct sm_flat_view *view)
{
    if (!view)
        return;
    if (!view->followed && view->top)
        free_below(view->top);
    for (struct sm_flat_node *node = view->dropped, *next; node; node = next) {
        next = node->next;
        sm_free(node);
    }
    sm_free(view);
}

static void view_retired(struct sm_retired *retired)
{
    sm_flat_view_free(sm_container_of(retired, struct sm_flat_view, retired));
}

void sm_flat_view_retire(struct sm_topology *topo, struct sm_flat_view *view,
                         sm_ticket ticket)
{
    sm_retire(topo, &view->retired, ticket, view_retired);
}

size_t sm_flat_view_count(const struct sm_flat_view *view)
{
    return view->n;
}

/* --- Looking up --------------------------------------------------------- */

SM_INLINE const struct sm_flat_section *search(const struct sm_flat_view *view,
                                               sm_gpa gpa)
{
    const struct sm_flat_node *node = view->top;

    if (SM_UNLIKELY(!node || node->last[node->n - 1] < gpa))
        return NULL;
    while (node->level)
        node = sm_node_children(node)[sm_node_search(node, gpa)];
    return &sm_node_sections(node)[sm_node_search(node, gpa)];
}

const struct sm_flat_section *sm_flat_view_from(const struct sm_flat_view *view,
                                                sm_gpa gpa)
{
    return search(view, gpa);
}

const struct sm_flat_section *sm_flat_view_find(const struct sm_flat_view *view,
                                                sm_gpa gpa)
{
    const struct sm_flat_section *section = search(view, gpa);
    return section && section->range.first <= gpa ? section : NULL;
}

/* The last address that answers and is below @gpa.  Returns false when none is. */
static bool last_before(const struct sm_flat_view *view, sm_gpa gpa, uint64_t *last)
{
    bool any = false;

    for (const struct sm_flat_node *node = view->top; node;) {
        const unsigned i = sm_node_search_or_end(node, gpa);
        if (i) { /* a node deeper down may know a later one */
            any = true;
            *last = node->last[i - 1];
        }
        node = i < node->n && node->level ? sm_node_children(node)[i] : NULL;
    }
    return any;
}

struct sm_range sm_flat_view_hole(const struct sm_flat_view *view, sm_gpa gpa)
{
    const struct sm_flat_section *right = sm_flat_view_from(view, gpa);
    uint64_t last;

    return (struct sm_range){
        .first = last_before(view, gpa, &last) ? last + 1 : 0,
        .last = right ? right->range.first - 1 : UINT64_MAX,
    };
}

const struct sm_flat_section *sm_flat_view_next(const struct sm_flat_view *view,
                                                const struct sm_flat_section *previous)
{
    if (!previous)
        return sm_flat_view_from(view, 0);
    return previous->range.last == UINT64_MAX
               ? NULL
               : sm_flat_view_from(view, previous->range.last + 1);
}

/* --- Comparing ---------------------------------------------------------- */

bool sm_flat_section_continues(const struct sm_flat_section *left,
                               const struct sm_flat_section *right)
{
    return left->region == right->region && left->readonly == right->readonly &&
           !left->rom == !right->rom &&
           sm_flat_section_offset(left, right->range.first) == right->offset;
}

/* What answers from @gpa on, and up to where it stays that: a section or a hole. */
static const struct sm_flat_section *answer_at(const struct sm_flat_view *view,
                                               sm_gpa gpa, uint64_t *last)
{
    const struct sm_flat_section *section = sm_flat_view_from(view, gpa);

    if (!section) {
        *last = UINT64_MAX;
        return NULL;
    }
    if (section->range.first > gpa) {
        *last = section->range.first - 1;
        return NULL;
    }
    *last = section->range.last;
    return section;
}

static bool same_answer(const struct sm_flat_section *a, const struct sm_flat_section *b,
                        sm_gpa gpa)
{
    if (!a || !b)
        return a == b;
    return a->region == b->region && a->readonly == b->readonly && !a->rom == !b->rom &&
           sm_flat_section_offset(a, gpa) == sm_flat_section_offset(b, gpa);
}

bool sm_flat_view_diff(const struct sm_flat_view *before,
                       const struct sm_flat_view *after, struct sm_range window,
                       void (*visit)(void *arg, const struct sm_range *range), void *arg)
{
    struct sm_range changed = {0};
    bool open = false, any = false;
    sm_gpa gpa = window.first;

    for (;;) {
        uint64_t last_before, last_after;
        const struct sm_flat_section *a = answer_at(before, gpa, &last_before);
        const struct sm_flat_section *b = answer_at(after, gpa, &last_after);
        const uint64_t last = SM_MIN(SM_MIN(last_before, last_after), window.last);

        if (!same_answer(a, b, gpa)) {
            if (!open)
                changed.first = gpa;
            changed.last = last;
            open = any = true;
        } else if (open) {
            if (visit)
                visit(arg, &changed);
            open = false;
        }
        if (last == window.last)
            break;
        gpa = last + 1;
    }
    if (open && visit)
        visit(arg, &changed);
    return any;
}

/* --- Printing and checking ---------------------------------------------- */

size_t sm_flat_view_print(const struct sm_flat_view *view, char *text, size_t size)
{
    size_t length = 0;

    if (size)
        text[0] = '\0';
    for (const struct sm_flat_section *section = NULL;
         (section = sm_flat_view_next(view, section));) {
        const bool calls =
            section->region->kind == SM_REGION_ROM_DEVICE && !section->rom;
        const size_t at = SM_MIN(length, size);
        const int n =
            snprintf(size ? text + at : NULL, size - at,
                     "%016" PRIx64 "-%016" PRIx64 " %s %s+%" PRIx64 "%s%s\n",
                     section->range.first, section->range.last,
                     sm_region_kind_name(section->region), section->region->name,
                     section->offset, section->readonly ? " ro" : "", calls ? " calls" : "");
        length += n > 0 ? (size_t)n : 0;
    }
    return length;
}

static void check_section(const struct sm_flat_section *section)
{
    const struct sm_region *region = section->region;
    const uint64_t length = section->range.last - section->range.first;

    sm_assert(section->range.first <= section->range.last);
    sm_assert(section->offset <= region->last);
    sm_assert(length <= region->last - section->offset);
    sm_assert(!section->host == (!region->ram || region->device));
    sm_assert(!section->host || section->host == region->ram->host + section->offset);
    sm_assert(!section->rom == !(region->ram && region->device && !region->calls));
    sm_assert(!section->rom || section->rom == region->ram->host + section->offset);
    sm_assert(region->kind != SM_REGION_ROM || section->readonly);
    sm_assert(section->translating == (region->kind == SM_REGION_TRANSLATING));
    sm_assert(region->ram || section->translating || region->kind == SM_REGION_IO);
}

/* Returns how many sections are below @node. */
static size_t check_node(const struct sm_flat_node *node, bool top)
{
    size_t n = 0;

    sm_assert(node->n && node->n <= SM_NODE_MAX && !node->fresh && !node->dead);
    for (unsigned i = node->n; i < SM_NODE_MAX; i++)
        sm_assert(node->last[i] == UINT64_MAX);
    sm_assert(node->n >= (top ? 1 + !!node->level : SM_NODE_MIN));
    for (unsigned i = 0; i < node->n; i++) {
        if (node->level) {
            const struct sm_flat_node *child = sm_node_children(node)[i];
            sm_assert(child->level == node->level - 1);
            sm_assert(child->last[child->n - 1] == node->last[i]);
            n += check_node(child, false);
        } else {
            sm_assert(sm_node_sections(node)[i].range.last == node->last[i]);
            n++;
        }
    }
    return n;
}

void sm_flat_view_check(const struct sm_flat_view *view)
{
    const struct sm_flat_section *left = NULL;

    sm_assert(view->n == (view->top ? check_node(view->top, true) : 0));
    for (const struct sm_flat_section *section = NULL;
         (section = sm_flat_view_next(view, section));) {
        check_section(section);
        sm_assert(!left || left->range.last < section->range.first);
        sm_assert(!left || left->range.last + 1 < section->range.first ||
                  !sm_flat_section_continues(left, section));
        left = section;
    }
}
