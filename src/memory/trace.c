/* SPDX-License-Identifier: MIT */
/* trace.c - writes down the renderer's walk to one address, and what it passed over. */
#include "memory/trace.h"
#include "base/alloc.h"
#include "memory/memory_impl.h"

#include <stdlib.h>

bool sm_trace_step(struct sm_trace *trace, size_t up, enum sm_way way,
                   struct sm_region *region, uint64_t offset, bool readonly, size_t *step)
{
    if (!sm_vec_reserve(&trace->n, &trace->steps, 1))
        return false;
    const size_t at = trace->n.n++;
    const bool stops = region->now.disabled || offset > region->now.last;
    trace->steps[at] = (struct sm_trace_entry){
        .region = region,
        .offset = offset,
        .up = up,
        .blocked_by = trace->blocked_by != SM_NO_STEP ? trace->blocked_by
                      : stops                         ? at
                                                      : SM_NO_STEP,
        .rank = SM_NO_STEP,
        .way = (uint8_t)way,
        .readonly = readonly,
    };
    *step = at;
    return true;
}

void sm_trace_answers(struct sm_trace *trace, size_t step)
{
    struct sm_trace_entry *by = &trace->steps[step];

    /* Past its own end a region would answer only to an alias that shows it there. */
    if (by->offset <= by->region->now.last || by->way == SM_WAY_TARGET)
        by->rank = trace->n_ranks++;
}

size_t sm_trace_winner(const struct sm_trace *trace)
{
    size_t winner = SM_NO_STEP;

    for (size_t i = 0; i < trace->n.n; i++) {
        const struct sm_trace_entry *step = &trace->steps[i];
        if (step->rank != SM_NO_STEP && step->blocked_by == SM_NO_STEP &&
            (winner == SM_NO_STEP || step->rank < trace->steps[winner].rank))
            winner = i;
    }
    return winner;
}

/* --- What was passed over ----------------------------------------------- */

/* Does something in @child reach beyond its end?  Only what is in it, or in its target,
 * could be found there. */
static bool may_reach(const struct sm_region *child, uint64_t offset)
{
    return child->now.offset <= offset && offset - child->now.offset > child->now.last &&
           !child->now.disabled && (child->target || !sm_list_empty(&child->children));
}

/* Note the children of an unblocked step that end before the address. */
static bool note_short_children(struct sm_trace *trace, size_t step)
{
    const struct sm_trace_entry above = trace->steps[step];
    struct sm_region **found = NULL;
    struct sm_vec n = {0};
    bool ok = true;

    sm_list_for_each(child, &above.region->children, struct sm_region, sibling) {
        if (!may_reach(child, above.offset))
            continue;
        ok = sm_vec_reserve(&n, &found, 1);
        if (!ok)
            break;
        found[n.n++] = child;
    }
    if (n.n > 1)
        qsort(found, n.n, sizeof(found[0]), sm_region_by_rank);
    for (size_t i = 0, made; ok && i < n.n; i++)
        ok = sm_trace_step(trace, step, SM_WAY_CHILD, found[i],
                           above.offset - found[i]->now.offset,
                           above.readonly || found[i]->now.readonly, &made);
    sm_free(found);
    return ok;
}

/* Go on from a step where the walk stopped. */
static bool go_on(struct sm_trace *trace, size_t step)
{
    const struct sm_trace_entry stopped = trace->steps[step];
    const bool ends = stopped.offset > stopped.region->now.last;

    if (stopped.region->now.disabled == ends) /* neither; or both, which is too much */
        return true;
    if (ends && stopped.blocked_by != step)
        return true;
    trace->blocked_by = stopped.blocked_by;
    return sm_render_trace(trace, step);
}

bool sm_trace_walk(struct sm_trace *trace, struct sm_region *root, uint64_t gpa)
{
    size_t first;
    bool ok = true;

    trace->n.n = trace->n_ranks = 0;
    trace->blocked_by = SM_NO_STEP;
    if (!root)
        return true;
    if (!sm_trace_step(trace, SM_NO_STEP, SM_WAY_ROOT, root, gpa, root->now.readonly,
                       &first))
        return false;
    if (trace->steps[first].blocked_by == SM_NO_STEP)
        ok = sm_render_trace(trace, first);
    /* Steps are added behind; each is gone on from once. */
    for (size_t i = 0; ok && i < trace->n.n; i++) {
        trace->blocked_by = SM_NO_STEP;
        ok = trace->steps[i].blocked_by == SM_NO_STEP ? note_short_children(trace, i)
                                                      : go_on(trace, i);
    }
    return ok;
}
