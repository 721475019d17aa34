/* SPDX-License-Identifier: MIT */
/* render.c - renders a window of a tree into sections, a pure function of the tree (R3).
 *
 * First the tree is walked, the one that wins before those that yield to it, and each
 * stretch where a region could answer is noted.  Then a sweep over the addresses lets
 * the stretch that was noted first answer wherever several do.  Every step of the walk
 * keeps a window in coordinates of the region that it visits, cut to what is visible,
 * and the address where the window begins; so nothing can overflow, whatever an alias
 * shows.
 */
#include "memory/memory_impl.h"
#include "memory/trace.h"

#include <stdlib.h>
#include <string.h>

/* One region being visited: its children, then what is beneath them. */
struct visit {
    struct sm_region *region;
    struct sm_range window; /* of region                                       */
    uint64_t at;            /* address of window.first                         */
    size_t child, end;      /* those yet to visit, in .children                */
    size_t begin;           /* what .children held before                      */
    size_t step;            /* of the trace                                    */
    bool readonly;
};

/* Where a region answers, unless one of a lower rank does. */
struct stretch {
    struct sm_flat_section section;
    size_t rank;
};

struct render {
    struct visit *visits; /* the way down to the current region                */
    struct sm_region **children;
    struct stretch *stretches;
    size_t *heap; /* of stretches that go on, the lowest rank on top           */
    struct sm_vec n_visits, n_children, n_stretches, n_heap;
    struct sm_rendered *out;
    struct sm_trace *trace; /* who hears of every step (trace.h), or NULL      */
};

/* --- The walk ----------------------------------------------------------- */

/* Let the region answer in its window. */
static bool note(struct render *render, const struct visit *visit)
{
    struct sm_region *region = visit->region;
    const uint64_t offset = visit->window.first;
    uint8_t *memory = region->ram ? region->ram->host : NULL;

    if (!sm_vec_reserve(&render->n_stretches, &render->stretches, 1))
        return false;
    const size_t rank = render->n_stretches.n++;
    render->stretches[rank] = (struct stretch){
        .section =
            {
                .range = {visit->at,
                          visit->at + (visit->window.last - visit->window.first)},
                .region = region,
                .offset = offset,
                .host = memory && !region->device ? memory + offset : NULL,
                .rom = memory && region->device && !region->now.calls ? memory + offset
                                                                      : NULL,
                .readonly = visit->readonly || region->kind == SM_REGION_ROM,
                .translating = region->kind == SM_REGION_TRANSLATING,
            },
        .rank = rank,
    };
    return true;
}

int sm_region_by_rank(const void *a, const void *b)
{
    const struct sm_region *left = *(struct sm_region *const *)a;
    const struct sm_region *right = *(struct sm_region *const *)b;

    if (left->now.priority != right->now.priority)
        return left->now.priority > right->now.priority ? -1 : 1;
    return left->now.age > right->now.age ? -1 : left->now.age < right->now.age;
}

/* Visit @region next, where it is seen through @window, which begins at @at. */
static bool enter(struct render *render, struct sm_region *region, struct sm_range window,
                  uint64_t at, bool readonly, size_t step)
{
    const size_t begin = render->n_children.n;

    if (!sm_vec_reserve(&render->n_visits, &render->visits, 1))
        return false;
    if (!sm_children_find(region, window, &render->n_children, &render->children))
        return false;
    if (render->n_children.n - begin > 1)
        qsort(render->children + begin, render->n_children.n - begin,
              sizeof(render->children[0]), sm_region_by_rank);
    render->visits[render->n_visits.n++] = (struct visit){
        .region = region,
        .window = window,
        .at = at,
        .child = begin,
        .end = render->n_children.n,
        .begin = begin,
        .step = step,
        .readonly = readonly,
    };
    return true;
}

/* Tell a trace that @region comes next, seen from @offset on. */
static bool tell(struct render *render, const struct visit *above, enum sm_way way,
                 struct sm_region *region, uint64_t offset, size_t *step)
{
    return sm_trace_step(render->trace, above->step, way, region, offset,
                         above->readonly || region->now.readonly, step);
}

/* The same, unless it is disabled; it was found in the region above. */
static bool push(struct render *render, const struct visit *above, enum sm_way way,
                 struct sm_region *region, struct sm_range window, uint64_t at)
{
    size_t step = SM_NO_STEP;

    if (SM_UNLIKELY(render->trace) &&
        !tell(render, above, way, region, window.first, &step))
        return false;
    return region->now.disabled || enter(render, region, window, at,
                                         above->readonly || region->now.readonly, step);
}

static bool push_child(struct render *render, const struct visit *above,
                       struct sm_region *child)
{
    const uint64_t offset = child->now.offset;
    struct sm_range seen;

    if (!sm_range_intersect(above->window,
                            (struct sm_range){offset, offset + child->now.last}, &seen))
        return true;
    return push(render, above, SM_WAY_CHILD, child,
                (struct sm_range){seen.first - offset, seen.last - offset},
                above->at + (seen.first - above->window.first));
}

/* Visit what an alias shows. */
static bool push_target(struct render *render, const struct visit *visit)
{
    const struct sm_region *alias = visit->region;
    struct sm_region *target = alias->target;
    struct sm_range shown;
    size_t step;

    if (render->trace && visit->window.first > UINT64_MAX - alias->now.window)
        return true; /* beyond the alias's own end: only a trace comes here */
    shown.first = alias->now.window + visit->window.first;
    shown.last = alias->now.window + visit->window.last;
    /* The target may have become shorter than the window. */
    if (sm_range_intersect(shown, (struct sm_range){0, target->now.last}, &shown))
        return push(render, visit, SM_WAY_TARGET, target, shown, visit->at);
    return !render->trace ||
           tell(render, visit, SM_WAY_TARGET, target, shown.first, &step);
}

/* Do what is beneath all children of a region: its own behaviour. */
static bool finish(struct render *render, struct visit visit)
{
    switch (visit.region->kind) {
    case SM_REGION_CONTAINER: return true;
    case SM_REGION_ALIAS: return push_target(render, &visit);
    default: break;
    }
    if (render->trace) {
        sm_trace_answers(render->trace, visit.step);
        return true;
    }
    return note(render, &visit);
}

static bool walk(struct render *render)
{
    while (render->n_visits.n) {
        struct visit *visit = &render->visits[render->n_visits.n - 1];
        bool ok;

        if (visit->child < visit->end) {
            const struct visit above = *visit; /* push may move the array */
            visit->child++;
            ok = push_child(render, &above, render->children[above.child]);
        } else {
            const struct visit done = *visit;
            render->n_visits.n--;
            render->n_children.n = done.begin;
            ok = finish(render, done);
        }
        if (!ok)
            return false;
    }
    return true;
}

/* --- The sweep ---------------------------------------------------------- */

static int by_address(const void *a, const void *b)
{
    const struct stretch *left = a, *right = b;
    const uint64_t x = left->section.range.first, y = right->section.range.first;

    return x < y ? -1 : x > y;
}

static bool heap_less(const struct render *render, size_t i, size_t j)
{
    return render->stretches[render->heap[i]].rank <
           render->stretches[render->heap[j]].rank;
}

static void heap_swap(struct render *render, size_t i, size_t j)
{
    const size_t kept = render->heap[i];
    render->heap[i] = render->heap[j];
    render->heap[j] = kept;
}

static void heap_add(struct render *render, size_t stretch)
{
    size_t i = render->n_heap.n++;

    render->heap[i] = stretch;
    for (; i && heap_less(render, i, (i - 1) / 2); i = (i - 1) / 2)
        heap_swap(render, i, (i - 1) / 2);
}

static void heap_pop(struct render *render)
{
    const size_t n = --render->n_heap.n;

    render->heap[0] = render->heap[n];
    for (size_t i = 0, least; 2 * i + 1 < n; i = least) {
        least = 2 * i + 1;
        if (least + 1 < n && heap_less(render, least + 1, least))
            least++;
        if (heap_less(render, i, least))
            break;
        heap_swap(render, i, least);
    }
}

/* Have @from answer in @range, which begins behind all that answers so far. */
static bool answer(struct render *render, const struct sm_flat_section *from,
                   struct sm_range range)
{
    struct sm_rendered *out = render->out;
    const uint64_t skipped = range.first - from->range.first;
    struct sm_flat_section section = *from;

    if (from->region->kind == SM_REGION_RESERVED) /* it has hidden others */
        return true;
    section.range = range;
    section.offset += skipped;
    section.host = from->host ? from->host + skipped : NULL;
    section.rom = from->rom ? from->rom + skipped : NULL;

    struct sm_flat_section *left = out->n.n ? &out->sections[out->n.n - 1] : NULL;
    if (left && left->range.last + 1 == range.first &&
        sm_flat_section_continues(left, &section)) {
        left->range.last = range.last;
        return true;
    }
    if (!sm_vec_reserve(&out->n, &out->sections, 1))
        return false;
    out->sections[out->n.n++] = section;
    return true;
}

static bool sweep(struct render *render)
{
    const size_t n = render->n_stretches.n;
    struct stretch *stretches = render->stretches;
    uint64_t at = 0;
    size_t i = 0;

    if (!n)
        return true;
    if (!sm_vec_reserve(&render->n_heap, &render->heap, n))
        return false;
    qsort(stretches, n, sizeof(stretches[0]), by_address);
    for (;;) {
        for (; i < n && stretches[i].section.range.first <= at; i++)
            heap_add(render, i);
        while (render->n_heap.n && stretches[render->heap[0]].section.range.last < at)
            heap_pop(render);
        if (!render->n_heap.n) {
            if (i == n)
                return true;
            at = stretches[i].section.range.first;
            continue;
        }
        const struct sm_flat_section *from = &stretches[render->heap[0]].section;
        struct sm_range range = {at, from->range.last};
        if (i < n) /* the next one may win */
            range.last = SM_MIN(range.last, stretches[i].section.range.first - 1);
        if (!answer(render, from, range))
            return false;
        if (range.last == UINT64_MAX)
            return true;
        at = range.last + 1;
    }
}

static void render_fini(struct render *render)
{
    sm_free(render->visits);
    sm_free(render->children);
    sm_free(render->stretches);
    sm_free(render->heap);
}

bool sm_render(struct sm_region *root, struct sm_range window, struct sm_rendered *out)
{
    struct render render = {.out = out};
    bool ok = true;

    out->n.n = 0;
    if (root && !root->now.disabled &&
        sm_range_intersect(window, (struct sm_range){0, root->now.last}, &window))
        ok = enter(&render, root, window, window.first, root->now.readonly, SM_NO_STEP) &&
             walk(&render) && sweep(&render);
    render_fini(&render);
    return ok;
}

bool sm_render_trace(struct sm_trace *trace, size_t step)
{
    const struct sm_trace_entry from = trace->steps[step];
    const struct sm_range window = {from.offset, from.offset};
    struct render render = {.trace = trace};

    const bool ok =
        enter(&render, from.region, window, from.offset, from.readonly, step) &&
        walk(&render);
    render_fini(&render);
    return ok;
}
