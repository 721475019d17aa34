/* SPDX-License-Identifier: MIT */
/* render.c - renders a tree into sections as a pure function of the tree (R3).
 *
 * Front to back: whoever wins paints first, and later ones fill what is left.  Every
 * step keeps a window in coordinates of the region that it visits, cut to what is
 * visible, and the address where the window begins; so nothing can overflow, whatever
 * an alias shows.
 */
#include "base/vec.h"
#include "memory/memory_impl.h"

#include <string.h>

/* One region being visited: its children from @child on, then what is beneath them. */
struct visit {
    struct sm_region *region;
    const struct sm_list *child;
    struct sm_range window; /* of region                                       */
    uint64_t at;            /* address of window.first                         */
    bool readonly;
};

struct render {
    struct sm_flat_section *sections;
    struct sm_vec n_sections;
    struct visit *visits; /* the way down to the current region                */
    struct sm_vec n_visits;
};

/* Put a section in front of the one with index @i. */
static bool insert(struct render *render, size_t i, const struct visit *visit,
                   struct sm_range range)
{
    if (!sm_vec_reserve(&render->n_sections, &render->sections, 1))
        return false;
    struct sm_flat_section *section = &render->sections[i];
    memmove(section + 1, section,
            (render->n_sections.n - i) * sizeof(struct sm_flat_section));
    render->n_sections.n++;

    struct sm_region *region = visit->region;
    const uint64_t offset = visit->window.first + (range.first - visit->at);
    uint8_t *memory = region->ram ? region->ram->host : NULL;
    *section = (struct sm_flat_section){
        .range = range,
        .region = region,
        .offset = offset,
        .host = memory && !region->device ? memory + offset : NULL,
        .rom = memory && region->device && !region->now.calls ? memory + offset : NULL,
        .readonly = visit->readonly || region->kind == SM_REGION_ROM,
    };
    return true;
}

/* Let the region answer wherever its window has no section yet. */
static bool paint(struct render *render, const struct visit *visit)
{
    const uint64_t last = visit->at + (visit->window.last - visit->window.first);
    uint64_t first = visit->at;
    size_t i = 0, n = render->n_sections.n;

    while (n) { /* the first section that ends at @first or later */
        const size_t half = n / 2;
        const bool before = render->sections[i + half].range.last < first;
        i = before ? i + half + 1 : i;
        n = before ? n - half - 1 : half;
    }
    for (;; i++) {
        const bool end =
            i == render->n_sections.n || render->sections[i].range.first > last;
        if (end)
            return insert(render, i, visit, (struct sm_range){first, last});
        if (render->sections[i].range.first > first) {
            const struct sm_range gap = {first, render->sections[i].range.first - 1};
            if (!insert(render, i, visit, gap))
                return false;
            i++;
        }
        if (render->sections[i].range.last >= last)
            return true;
        first = render->sections[i].range.last + 1;
    }
}

/* Visit @region next, where it is seen through @window of the one above.
 * @window.first of the one above is @start of @region. */
static bool push(struct render *render, struct sm_region *region, struct sm_range window,
                 uint64_t at, bool readonly)
{
    if (region->now.disabled)
        return true;
    if (!sm_vec_reserve(&render->n_visits, &render->visits, 1))
        return false;
    render->visits[render->n_visits.n++] = (struct visit){
        .region = region,
        .child = region->children.next,
        .window = window,
        .at = at,
        .readonly = readonly || region->now.readonly,
    };
    return true;
}

static bool push_child(struct render *render, const struct visit *above,
                       struct sm_region *child)
{
    const uint64_t offset = child->now.offset;
    struct sm_range seen;

    if (!sm_range_intersect(above->window,
                            (struct sm_range){offset, offset + child->now.last}, &seen))
        return true;
    return push(render, child, (struct sm_range){seen.first - offset, seen.last - offset},
                above->at + (seen.first - above->window.first), above->readonly);
}

/* Do what is beneath all children of a region: its own behaviour. */
static bool finish(struct render *render, struct visit visit)
{
    struct sm_region *region = visit.region;
    struct sm_range shown;

    switch (region->kind) {
    case SM_REGION_CONTAINER: return true;
    case SM_REGION_ALIAS: /* the target may have become shorter than the window */
        if (!sm_range_intersect((struct sm_range){region->window + visit.window.first,
                                                  region->window + visit.window.last},
                                (struct sm_range){0, region->target->now.last}, &shown))
            return true;
        return push(render, region->target, shown, visit.at, visit.readonly);
    default: return paint(render, &visit);
    }
}

static bool walk(struct render *render)
{
    while (render->n_visits.n) {
        struct visit *visit = &render->visits[render->n_visits.n - 1];
        bool ok;

        if (visit->child != &visit->region->children) {
            const struct visit above = *visit; /* push may move the array */
            visit->child = visit->child->next;
            ok = push_child(render, &above,
                            sm_list_entry(above.child, struct sm_region, sibling));
        } else {
            const struct visit done = *visit;
            render->n_visits.n--;
            ok = finish(render, done);
        }
        if (!ok)
            return false;
    }
    return true;
}

/* Make one section of neighbours that behave alike. */
static void merge(struct render *render)
{
    struct sm_flat_section *sections = render->sections;
    size_t n = 0;

    for (size_t i = 0; i < render->n_sections.n; i++) {
        struct sm_flat_section *left = n ? &sections[n - 1] : NULL;
        const struct sm_flat_section *right = &sections[i];
        if (left && left->range.last + 1 == right->range.first &&
            sm_flat_section_continues(left, right))
            left->range.last = right->range.last;
        else if (right->region->kind != SM_REGION_RESERVED) /* it has hidden others */
            sections[n++] = *right;
    }
    render->n_sections.n = n;
}

struct sm_flat_view *sm_render(struct sm_region *root)
{
    struct render render = {0};
    struct sm_flat_view *view = NULL;
    bool ok = true;

    if (root)
        ok = push(&render, root, (struct sm_range){0, root->now.last}, 0, false) &&
             walk(&render);
    if (ok) {
        merge(&render);
        view = sm_flat_view_new(render.sections, render.n_sections.n);
    }
    sm_free(render.visits);
    sm_free(render.sections);
    return view;
}
