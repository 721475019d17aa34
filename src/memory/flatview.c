/* SPDX-License-Identifier: MIT */
/* flatview.c - hides a view's form, a sorted array, behind lookup, iteration and
 * comparison. */
#include "base/alloc.h"
#include "memory/memory_impl.h"

#include <inttypes.h>
#include <stdio.h>

struct sm_flat_view *sm_flat_view_new(const struct sm_flat_section *sections, size_t n)
{
    struct sm_flat_view *view =
        sm_alloc(sizeof(*view) + n * (sizeof(sections[0]) + sizeof(view->last[0])));

    if (!view)
        return NULL;
    uint64_t *last = (uint64_t *)(void *)&view->section[n];
    view->n = n;
    view->last = last;
    for (size_t i = 0; i < n; i++) {
        view->section[i] = sections[i];
        last[i] = sections[i].range.last;
    }
    return view;
}

void sm_flat_view_free(struct sm_flat_view *view)
{
    sm_free(view);
}

/* Index of the first section that ends at @gpa or later; view->n when none does. */
static size_t first_ending_from(const struct sm_flat_view *view, sm_gpa gpa)
{
    const uint64_t *base = view->last;
    size_t n = view->n;

    if (!n)
        return 0;
    /* The number of steps depends on the view alone, and no step branches: loads from
     * random sections, of 31, took 18 ns instead of 23. */
    while (n > 1) {
        const size_t half = n / 2;
        base += half & -(size_t)(base[half - 1] < gpa);
        n -= half;
    }
    return (size_t)(base - view->last) + (*base < gpa);
}

const struct sm_flat_section *sm_flat_view_find(const struct sm_flat_view *view,
                                                sm_gpa gpa)
{
    const size_t i = first_ending_from(view, gpa);
    return i < view->n && view->section[i].range.first <= gpa ? &view->section[i] : NULL;
}

struct sm_range sm_flat_view_hole(const struct sm_flat_view *view, sm_gpa gpa)
{
    const size_t i = first_ending_from(view, gpa);
    return (struct sm_range){
        .first = i ? view->section[i - 1].range.last + 1 : 0,
        .last = i < view->n ? view->section[i].range.first - 1 : UINT64_MAX,
    };
}

const struct sm_flat_section *sm_flat_view_next(const struct sm_flat_view *view,
                                                const struct sm_flat_section *previous)
{
    const size_t i = previous ? (size_t)(previous - view->section) + 1 : 0;
    return i < view->n ? &view->section[i] : NULL;
}

/* What answers from @gpa on, and up to where it stays that: a section or a hole. */
static const struct sm_flat_section *answer_at(const struct sm_flat_view *view, size_t *i,
                                               sm_gpa gpa, uint64_t *last)
{
    while (*i < view->n && view->section[*i].range.last < gpa)
        ++*i;
    if (*i == view->n) {
        *last = UINT64_MAX;
        return NULL;
    }
    const struct sm_flat_section *section = &view->section[*i];
    if (section->range.first > gpa) {
        *last = section->range.first - 1;
        return NULL;
    }
    *last = section->range.last;
    return section;
}

bool sm_flat_section_continues(const struct sm_flat_section *left,
                               const struct sm_flat_section *right)
{
    return left->region == right->region && left->readonly == right->readonly &&
           !left->rom == !right->rom &&
           sm_flat_section_offset(left, right->range.first) == right->offset;
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
                       const struct sm_flat_view *after,
                       void (*visit)(void *arg, const struct sm_range *range), void *arg)
{
    struct sm_range changed = {0};
    bool open = false, any = false;
    size_t i = 0, j = 0;
    sm_gpa gpa = 0;

    for (;;) {
        uint64_t last_before, last_after;
        const struct sm_flat_section *a = answer_at(before, &i, gpa, &last_before);
        const struct sm_flat_section *b = answer_at(after, &j, gpa, &last_after);
        const uint64_t last = SM_MIN(last_before, last_after);

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
        if (last == UINT64_MAX)
            break;
        gpa = last + 1;
    }
    if (open && visit)
        visit(arg, &changed);
    return any;
}

size_t sm_flat_view_print(const struct sm_flat_view *view, char *text, size_t size)
{
    static const char *const kinds[] = {"container", "ram",   "rom",     "io",
                                        "alias",     "romd",  "reserved"};
    size_t length = 0;

    if (size)
        text[0] = '\0';
    for (size_t i = 0; i < view->n; i++) {
        const struct sm_flat_section *section = &view->section[i];
        const size_t at = SM_MIN(length, size);
        const int n = snprintf(size ? text + at : NULL, size - at,
                               "%016" PRIx64 "-%016" PRIx64 " %s %s+%" PRIx64 "%s%s\n",
                               section->range.first, section->range.last,
                               kinds[section->region->kind], section->region->name,
                               section->offset, section->readonly ? " ro" : "",
                               section->region->kind == SM_REGION_ROM_DEVICE &&
                                       !section->rom
                                   ? " calls"
                                   : "");
        length += n > 0 ? (size_t)n : 0;
    }
    return length;
}

void sm_flat_view_check(const struct sm_flat_view *view)
{
    for (size_t i = 0; i < view->n; i++) {
        const struct sm_flat_section *section = &view->section[i];
        const struct sm_region *region = section->region;
        const uint64_t length = section->range.last - section->range.first;

        sm_assert(section->range.first <= section->range.last);
        sm_assert(section->range.last == view->last[i]);
        sm_assert(section->offset <= region->last);
        sm_assert(length <= region->last - section->offset);
        sm_assert(!section->host == (!region->ram || region->device));
        sm_assert(!section->host || section->host == region->ram->host + section->offset);
        sm_assert(!section->rom == !(region->ram && region->device && !region->calls));
        sm_assert(!section->rom || section->rom == region->ram->host + section->offset);
        sm_assert(region->kind != SM_REGION_ROM || section->readonly);
        sm_assert(region->ram || region->kind == SM_REGION_IO);
        if (i == 0)
            continue;
        const struct sm_flat_section *left = &view->section[i - 1];
        sm_assert(left->range.last < section->range.first);
        sm_assert(left->range.last + 1 < section->range.first ||
                  !sm_flat_section_continues(left, section));
    }
}
