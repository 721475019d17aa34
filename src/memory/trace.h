/* SPDX-License-Identifier: MIT */
/* trace.h - the renderer's walk to one address, written down step by step.
 *
 * Layer:    memory
 * Threads:  the topology's lock is held.
 *
 * A step is a region that the walk came to, by a way that the steps above it tell.  A
 * region that is shown twice makes two steps.  The walk is render.c's own and goes where
 * rendering goes.  Afterwards it is sent on from where it passed something over, since
 * that is disabled or ends before the address: what it finds there is blocked.
 */
#ifndef SM_MEMORY_TRACE_H
#define SM_MEMORY_TRACE_H

#include "base/vec.h"
#include "softmmu/types.h"

struct sm_region;

#define SM_NO_STEP SIZE_MAX

/** How a walk came to a region. */
enum sm_way {
    SM_WAY_ROOT,
    SM_WAY_CHILD, /* it is mapped into the one above                           */
    SM_WAY_TARGET /* the one above is its alias                                */
};

struct sm_trace_entry {
    struct sm_region *region;
    uint64_t offset;   /* of the address in .region; may lie beyond its last   */
    size_t up;         /* the step that led here, or SM_NO_STEP                */
    size_t blocked_by; /* the outermost step, of this one and those above, that is
                          disabled or ends before the address; or SM_NO_STEP   */
    size_t rank;       /* of those that would answer the lowest wins; SM_NO_STEP: it
                          has nothing of its own to answer with here           */
    uint8_t way;       /* enum sm_way                                          */
    bool readonly;     /* this one, or one above                               */
};

/** Zero it first; free .steps. */
struct sm_trace {
    struct sm_trace_entry *steps;
    struct sm_vec n;
    size_t n_ranks;
    size_t blocked_by; /* of the walk under way                                */
};

/** Trace the walk from @root, which may be NULL, to @gpa.
 *  Returns  false when memory is out */
bool sm_trace_walk(struct sm_trace *trace, struct sm_region *root, uint64_t gpa);

/** The step that answers, a reservation perhaps; or SM_NO_STEP. */
size_t sm_trace_winner(const struct sm_trace *trace);

/* --- For render.c ------------------------------------------------------- */

/** Note that the walk came to @region.  Returns false when memory is out. */
bool sm_trace_step(struct sm_trace *trace, size_t up, enum sm_way way,
                   struct sm_region *region, uint64_t offset, bool readonly,
                   size_t *step);
/** Note that the region of @step would answer unless one before it did. */
void sm_trace_answers(struct sm_trace *trace, size_t step);

/** Walk on from @step, as rendering does from a region that is neither disabled nor
 *  too short: render.c's.  Returns false when memory is out. */
bool sm_render_trace(struct sm_trace *trace, size_t step);

#endif
