/* SPDX-License-Identifier: MIT */
/* why.c - tells who answers at an address, by which way, and what kept others from it.
 *
 * The steps are those of the renderer (memory/trace.h); nothing is resolved here.  Each
 * region that would answer has a rank.  The lowest one that nothing blocks wins; of the
 * others the place where their way leaves the winner's tells why they lost.
 */
#include "inspect/beyond.h"
#include "inspect/view.h"
#include "memory/memory_impl.h"
#include "memory/trace.h"

#include <inttypes.h>
#include <stdlib.h>

/* Why a region that would have answered does not; the words of both forms. */
enum reason {
    BY_PRIORITY, /* .held has a lower priority than .by                        */
    BY_AGE,      /* .held was mapped before .by, at the same priority          */
    BENEATH,     /* .by is mapped into .held, before what that shows           */
    DISABLED,    /* .held is                                                   */
    END,         /* .held ends before the address                              */
    WINDOW,      /* the window of .held, an alias, does                        */
    SHORT        /* .held, the target of .by, ends within its window           */
};

static const char *const reason_words[] = {"priority", "age",    "beneath", "disabled",
                                           "end",      "window", "short"};

struct verdict {
    enum reason reason;
    size_t held, by; /* steps; .by is SM_NO_STEP where nothing won             */
};

struct loser {
    size_t step, rank;
    bool blocked;
};

struct why {
    struct sm_out *out;
    struct sm_address_space *space;
    sm_gpa gpa;
    struct sm_trace trace;
    size_t winner; /* step, or SM_NO_STEP                                     */
    size_t *below; /* of each step on the winner's way the next one; 0 of others:
                       nothing is above the first step; SM_NO_STEP of the winner */
    size_t *way;   /* scratch: steps from the root down                       */
    struct loser *losers;
    size_t n_losers;
    bool pending; /* the tree was edited and not committed: views are older    */
};

static const struct sm_trace_entry *step_at(const struct why *why, size_t step)
{
    return &why->trace.steps[step];
}

static const struct sm_region *region_at(const struct why *why, size_t step)
{
    return why->trace.steps[step].region;
}

/* --- Judging ------------------------------------------------------------ */

/* What keeps @step from answering, as it does all that its way has in common. */
static struct verdict judge_blocked(const struct why *why, size_t step)
{
    const size_t held = step_at(why, step)->blocked_by;
    const struct sm_trace_entry *by = step_at(why, held);
    size_t child = step;

    if (by->region->now.disabled)
        return (struct verdict){DISABLED, held, SM_NO_STEP};
    if (step == held)
        return (struct verdict){SHORT, held, by->up};
    while (step_at(why, child)->up != held)
        child = step_at(why, child)->up;
    return (struct verdict){step_at(why, child)->way == SM_WAY_TARGET ? WINDOW : END,
                            held, SM_NO_STEP};
}

/* Why @step yields to the winner. */
static struct verdict judge_outranked(const struct why *why, size_t step)
{
    size_t common = step, mine = SM_NO_STEP;

    for (; !why->below[common]; common = step_at(why, common)->up)
        mine = common;
    const size_t winner = why->below[common];
    if (mine == SM_NO_STEP || step_at(why, mine)->way == SM_WAY_TARGET)
        return (struct verdict){BENEATH, common, winner};
    return (struct verdict){region_at(why, mine)->now.priority <
                                    region_at(why, winner)->now.priority
                                ? BY_PRIORITY
                                : BY_AGE,
                            mine, winner};
}

static struct verdict judge(const struct why *why, const struct loser *loser)
{
    return loser->blocked ? judge_blocked(why, loser->step)
                          : judge_outranked(why, loser->step);
}

/* Those that could win now first, then those that are kept from it. */
static int by_rank(const void *a, const void *b)
{
    const struct loser *left = a, *right = b;

    if (left->blocked != right->blocked)
        return left->blocked ? 1 : -1;
    return left->rank < right->rank ? -1 : 1;
}

/* Fill .way with the steps that lead to @step.  Returns how many. */
static size_t find_way(struct why *why, size_t step)
{
    size_t n = 0, at;

    for (at = step; at != SM_NO_STEP; at = step_at(why, at)->up)
        n++;
    for (size_t i = n; i; step = step_at(why, step)->up)
        why->way[--i] = step;
    return n;
}

/* Walk, and sort out who won and who lost.  Returns false when memory is out. */
static bool find_out(struct why *why)
{
    struct sm_trace *trace = &why->trace;

    if (!sm_trace_walk(trace, why->space->root->region, why->gpa))
        return false;
    why->winner = sm_trace_winner(trace);
    why->below = sm_alloc((trace->n.n + 1) * sizeof(why->below[0]));
    why->way = sm_alloc((trace->n.n + 1) * sizeof(why->way[0]));
    why->losers = sm_alloc((trace->n.n + 1) * sizeof(why->losers[0]));
    if (!why->below || !why->way || !why->losers)
        return false;
    for (size_t below = SM_NO_STEP, at = why->winner; at != SM_NO_STEP;
         at = trace->steps[at].up) {
        why->below[at] = below;
        below = at;
    }
    for (size_t i = 0; i < trace->n.n; i++)
        if (trace->steps[i].rank != SM_NO_STEP && i != why->winner)
            why->losers[why->n_losers++] = (struct loser){
                i, trace->steps[i].rank, trace->steps[i].blocked_by != SM_NO_STEP};
    qsort(why->losers, why->n_losers, sizeof(why->losers[0]), by_rank);
    return true;
}

/* --- Words -------------------------------------------------------------- */

static void put_name(struct why *why, size_t step)
{
    sm_out_name(why->out, region_at(why, step)->name);
}

/* The name of @step, or "it" if the line began with that one. */
static void put_held(struct why *why, size_t step, size_t loser)
{
    if (step == loser)
        sm_out_print(why->out, "it");
    else
        put_name(why, step);
}

static void text_reason(struct why *why, size_t loser, struct verdict verdict)
{
    const struct sm_region *held = region_at(why, verdict.held);
    struct sm_out *out = why->out;

    if (verdict.reason == BENEATH) {
        put_name(why, verdict.by);
        sm_out_print(out, " is mapped into ");
    } else if (verdict.reason == WINDOW) {
        sm_out_print(out, "the window of ");
    }
    put_held(why, verdict.held, loser);
    switch (verdict.reason) {
    case BY_PRIORITY:
        sm_out_print(out, " has priority %d, ", held->now.priority);
        put_name(why, verdict.by);
        sm_out_print(out, " has %d", region_at(why, verdict.by)->now.priority);
        break;
    case BY_AGE:
        sm_out_print(out, " was mapped before ");
        put_name(why, verdict.by);
        sm_out_print(out, ", both with priority %d", held->now.priority);
        break;
    case BENEATH: break;
    case DISABLED: sm_out_print(out, " is disabled"); break;
    case END:
    case WINDOW:
    case SHORT: sm_out_print(out, " ends at %016" PRIx64, held->now.last); break;
    }
    if (verdict.reason == SHORT) {
        sm_out_print(out, ", within the window of ");
        put_name(why, verdict.by);
    }
}

/* What made the winner read-only: the first of its way that was; or that it is ROM. */
static size_t readonly_by(struct why *why)
{
    const size_t n = find_way(why, why->winner);

    for (size_t i = 0; i < n; i++)
        if (region_at(why, why->way[i])->now.readonly)
            return why->way[i];
    return region_at(why, why->winner)->kind == SM_REGION_ROM ? why->winner : SM_NO_STEP;
}

/* --- Text --------------------------------------------------------------- */

static void text_what(struct why *why, size_t step)
{
    put_name(why, step);
    sm_out_print(why->out, " (%s) @%016" PRIx64,
                 sm_region_kind_name(region_at(why, step)), step_at(why, step)->offset);
}

static void text_answer(struct why *why)
{
    struct sm_out *out = why->out;

    sm_out_print(out, "why: %016" PRIx64 " in ", why->gpa);
    sm_out_name(out, why->space->name);
    sm_out_print(out, "\n");
    if (why->winner == SM_NO_STEP) {
        sm_out_print(out, "answer: nothing\n");
        return;
    }
    const size_t by = readonly_by(why);
    switch (region_at(why, why->winner)->kind) {
    case SM_REGION_RESERVED:
        sm_out_print(out, "answer: nothing, hidden by ");
        text_what(why, why->winner);
        sm_out_print(out, "\n");
        return;
    default:
        sm_out_print(out, "answer: ");
        text_what(why, why->winner);
        sm_out_print(out, "%s%s\n", by != SM_NO_STEP ? " [readonly]" : "",
                     region_at(why, why->winner)->now.calls ? " [calls]" : "");
        if (by != SM_NO_STEP) {
            sm_out_print(out, "readonly by: ");
            put_name(why, by);
            sm_out_print(out, "\n");
        }
    }
}

static void text_neighbour(struct sm_out *out, const char *where,
                           const struct sm_flat_section *section)
{
    if (section) {
        sm_out_print(out, "%s: ", where);
        sm_text_section(out, section);
    }
}

static void text_section(struct why *why, const struct sm_flat_section *section,
                         const struct sm_range *hole,
                         const struct sm_flat_section *const beside[2])
{
    const struct sm_range range = section ? section->range : *hole;

    sm_out_print(why->out, "%s: %016" PRIx64 "-%016" PRIx64 "\n",
                 section ? "section" : "hole", range.first, range.last);
    if (!section) {
        text_neighbour(why->out, "before", beside[0]);
        text_neighbour(why->out, "behind", beside[1]);
    }
}

static void text_way(struct why *why)
{
    const size_t n = find_way(why, why->winner);
    struct sm_out *out = why->out;

    for (size_t i = 0; i < n; i++) {
        const struct sm_trace_entry *step = step_at(why, why->way[i]);
        const struct sm_region *region = step->region;
        if (!i)
            sm_out_print(out, "way:\n");
        sm_out_print(out, "  %016" PRIx64 " in ", step->offset);
        sm_out_name(out, region->name);
        sm_out_print(out, " (%s)", sm_region_kind_name(region));
        if (step->way == SM_WAY_CHILD)
            sm_out_print(out, ", at %016" PRIx64 " with priority %d", region->now.offset,
                         region->now.priority);
        if (step->way == SM_WAY_TARGET)
            sm_out_print(out, ", shown from %016" PRIx64,
                         region_at(why, step->up)->now.window);
        sm_out_print(out, "%s\n", region->now.readonly ? " [readonly]" : "");
    }
}

static void text_losers(struct why *why)
{
    struct sm_out *out = why->out;

    for (size_t i = 0; i < why->n_losers; i++) {
        const struct loser *loser = &why->losers[i];
        const size_t n = find_way(why, loser->step);
        if (!i)
            sm_out_print(out, "others:\n");
        sm_out_indent(out, 1);
        text_what(why, loser->step);
        sm_out_print(out, ": ");
        text_reason(why, loser->step, judge(why, loser));
        sm_out_print(out, "\n    way: ");
        for (size_t j = 0; j < n; j++) {
            sm_out_print(out, "%s", j ? ", " : "");
            put_name(why, why->way[j]);
        }
        sm_out_print(out, "\n");
    }
}

/* --- JSON --------------------------------------------------------------- */

static void json_what(struct why *why, size_t step)
{
    sm_json_string(why->out, "name", region_at(why, step)->name);
    sm_json_string(why->out, "kind", sm_region_kind_name(region_at(why, step)));
    sm_json_address(why->out, "offset", step_at(why, step)->offset);
}

static void json_named(struct why *why, const char *key, size_t step)
{
    sm_json_string(why->out, key, step == SM_NO_STEP ? NULL : region_at(why, step)->name);
}

static void json_answer(struct why *why)
{
    struct sm_out *out = why->out;
    const bool any = why->winner != SM_NO_STEP;
    const bool hidden = any && region_at(why, why->winner)->kind == SM_REGION_RESERVED;

    sm_json_string(out, "space", why->space->name);
    sm_json_address(out, "address", why->gpa);
    sm_json_bool(out, "pending", why->pending);
    if (any && !hidden) {
        const size_t by = readonly_by(why);
        sm_json_open(out, "answer", '{');
        json_what(why, why->winner);
        sm_json_bool(out, "readonly", by != SM_NO_STEP);
        json_named(why, "readonly_by", by);
        sm_json_bool(out, "calls", region_at(why, why->winner)->now.calls);
        sm_json_close(out, '}');
    } else {
        sm_json_null(out, "answer");
    }
    json_named(why, "hidden_by", hidden ? why->winner : SM_NO_STEP);
}

static void json_neighbour(struct sm_out *out, const char *where,
                           const struct sm_flat_section *section)
{
    if (section)
        sm_json_section(out, where, section);
    else
        sm_json_null(out, where);
}

static void json_section(struct why *why, const struct sm_flat_section *section,
                         const struct sm_range *hole,
                         const struct sm_flat_section *const beside[2])
{
    struct sm_out *out = why->out;

    sm_json_open(out, section ? "section" : "hole", '{');
    sm_json_range(out, section ? section->range : *hole);
    if (!section) {
        json_neighbour(out, "before", beside[0]);
        json_neighbour(out, "behind", beside[1]);
    }
    sm_json_close(out, '}');
}

static void json_way(struct why *why)
{
    static const char *const ways[] = {"root", "child", "target"};
    const size_t n = find_way(why, why->winner);
    struct sm_out *out = why->out;

    sm_json_open(out, "way", '[');
    for (size_t i = 0; i < n; i++) {
        const struct sm_trace_entry *step = step_at(why, why->way[i]);
        sm_json_open(out, NULL, '{');
        json_what(why, why->way[i]);
        sm_json_string(out, "by", ways[step->way]);
        if (step->way == SM_WAY_CHILD) {
            sm_json_address(out, "at", step->region->now.offset);
            sm_json_number(out, "priority", step->region->now.priority);
        } else if (step->way == SM_WAY_TARGET) {
            sm_json_address(out, "from", region_at(why, step->up)->now.window);
        }
        sm_json_bool(out, "readonly", step->region->now.readonly);
        sm_json_close(out, '}');
    }
    sm_json_close(out, ']');
}

static void json_losers(struct why *why)
{
    struct sm_out *out = why->out;

    sm_json_open(out, "others", '[');
    for (size_t i = 0; i < why->n_losers; i++) {
        const struct loser *loser = &why->losers[i];
        const struct verdict verdict = judge(why, loser);
        const size_t n = find_way(why, loser->step);
        sm_json_open(out, NULL, '{');
        json_what(why, loser->step);
        sm_json_string(out, "reason", reason_words[verdict.reason]);
        json_named(why, "held", verdict.held);
        json_named(why, "by", verdict.by);
        sm_json_open(out, "way", '[');
        for (size_t j = 0; j < n; j++)
            sm_json_string(out, NULL, region_at(why, why->way[j])->name);
        sm_json_close(out, ']');
        sm_json_close(out, '}');
    }
    sm_json_close(out, ']');
}

/* --- All of it ---------------------------------------------------------- */

/* The view must say the same (E1). */
static void check(const struct why *why, const struct sm_flat_section *section)
{
    const struct sm_trace_entry *winner =
        why->winner == SM_NO_STEP ? NULL : step_at(why, why->winner);

    if (winner && winner->region->kind == SM_REGION_RESERVED)
        winner = NULL;
    sm_assert_hot(!winner == !section);
    if (!winner || !section)
        return;
    sm_assert_hot(winner->region == section->region);
    sm_assert_hot(winner->offset == sm_flat_section_offset(section, why->gpa));
    sm_assert_hot(section->readonly ==
                  (winner->readonly || winner->region->kind == SM_REGION_ROM));
}

/* Say what the view has at the address. */
static void put_section(struct why *why)
{
    const struct sm_flat_view *view = why->space->view;
    const struct sm_flat_section *section = sm_flat_view_find(view, why->gpa);
    const struct sm_flat_section *beside[2] = {NULL, NULL};
    struct sm_range hole = {0, UINT64_MAX};

    check(why, section);
    if (!section) {
        hole = sm_flat_view_hole(view, why->gpa);
        if (hole.first)
            beside[0] = sm_flat_view_find(view, hole.first - 1);
        if (hole.last < UINT64_MAX)
            beside[1] = sm_flat_view_find(view, hole.last + 1);
    }
    (why->out->form == SM_INSPECT_JSON ? json_section : text_section)(why, section, &hole,
                                                                      beside);
}

/* All of one place but the frame. */
static void put_place(struct why *why)
{
    const bool json = why->out->form == SM_INSPECT_JSON;

    (json ? json_answer : text_answer)(why);
    if (!why->pending)
        put_section(why);
    else if (!json)
        sm_out_print(why->out, "edit: not committed, views may differ\n");
    (json ? json_way : text_way)(why);
    (json ? json_losers : text_losers)(why);
}

/* Say who answers at a place, and whether that translates.  Returns false when memory is
 * out. */
static bool put_why(struct why *why, const struct sm_region **translating, sm_iova *iova)
{
    why->pending = why->space->root->n_dirty != 0;
    *translating = NULL;
    const bool ok = find_out(why);
    if (ok) {
        put_place(why);
        if (why->winner != SM_NO_STEP &&
            region_at(why, why->winner)->kind == SM_REGION_TRANSLATING) {
            *translating = region_at(why, why->winner);
            *iova = step_at(why, why->winner)->offset;
        }
    }
    sm_free(why->trace.steps);
    sm_free(why->below);
    sm_free(why->way);
    sm_free(why->losers);
    return ok;
}

/* The place that was asked for, and those that models lead on to. */
static bool put_places(struct sm_out *out, const struct sm_beyond *beyond,
                       struct sm_address_space *space, sm_gpa gpa)
{
    const bool json = out->form == SM_INSPECT_JSON;
    const struct sm_region *translating;
    sm_iova iova;
    unsigned n;

    for (n = 0;; n++) {
        struct why why = {.out = out, .space = space, .gpa = gpa};
        if (!put_why(&why, &translating, &iova))
            return false;
        if (json && n)
            sm_json_close(out, '}');
        if (!translating)
            break;
        if (json && !n)
            sm_json_open(out, "beyond", '[');
        if (json)
            sm_json_open(out, NULL, '{');
        const struct sm_iommu_map *map =
            sm_beyond_write(beyond, out, n, translating, iova);
        if (!map) {
            if (json)
                sm_json_close(out, '}');
            n++;
            break;
        }
        space = map->space;
        gpa = map->base + (iova - map->span.first);
    }
    if (json && n)
        sm_json_close(out, ']');
    return true;
}

int sm_inspect_why(struct sm_address_space *space, sm_gpa gpa,
                   const struct sm_attrs *attrs, enum sm_inspect_form form,
                   void (*sink)(void *arg, const char *text, size_t n), void *arg)
{
    struct sm_topology *topo = space->topo;
    struct sm_out out = {.form = form};
    struct sm_beyond beyond;

    sm_beyond_ask(&beyond, space, gpa, attrs);
    sm_topology_lock(topo);
    if (form == SM_INSPECT_JSON)
        sm_json_begin(&out, "why");
    if (!put_places(&out, &beyond, space, gpa))
        out.failed = true;
    if (form == SM_INSPECT_JSON)
        sm_json_end(&out);
    sm_topology_unlock(topo);
    sm_beyond_end(&beyond);
    return sm_out_end(&out, sink, arg);
}
