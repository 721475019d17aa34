/* SPDX-License-Identifier: MIT */
/* flatview.h - a tree rendered to what answers where: looked up, edited, compared.
 *
 * Layer:    memory
 * Threads:  a view is immutable once published (R4).  It is read by an agent that
 *           is online (agent.h) until its next safe point, by anyone within an RCU
 *           section (base/rcu.h), or by a thread that is pinned (memory_impl.h).
 *
 * The form of a view is private to flatview.c and flatview_edit.c: outside it is found
 * in, stepped through and compared, never indexed.
 *
 * The views of one root follow one another in a line, each made by editing the one
 * before.  They share all nodes that the edit did not have to replace; what it did
 * replace goes when the older view does, which is when the edit's ticket is done.
 */
#ifndef SM_MEMORY_FLATVIEW_H
#define SM_MEMORY_FLATVIEW_H

#include "base/base.h"
#include "base/vec.h"
#include "softmmu/types.h"

struct sm_region;
struct sm_topology;
struct sm_address_space;
struct sm_flat_view;
struct sm_flat_node;

/** One stretch of a view that behaves alike; neighbours that do are merged. */
struct sm_flat_section {
    struct sm_range range;    /* addresses in the space                        */
    struct sm_region *region; /* what answers, behind aliases                  */
    uint64_t offset;          /* of range.first in .region                     */
    uint8_t *host;            /* of range.first: RAM and ROM; NULL: MMIO       */
    uint8_t *rom;             /* of range.first, where .host is NULL: reads may be
                                 made here, writes are MMIO; NULL: all are     */
    bool readonly;            /* ROM, or reached through something read-only   */
    bool translating;         /* resolve.h finds who answers; no .host, no .rom */
};

/** Find the section that holds @gpa in the current view; NULL in a hole.
 *
 *  Threads  an online agent, or within an RCU section.  The section, its region,
 *           device and RAM are good until the next safe point or the section's end.
 *           An agent that keeps it beyond drops it when any range of the space
 *           changes: its memory may go, though its range did not change.
 *  Cost     a search of three or four nodes; no lock, no store
 */
const struct sm_flat_section *sm_address_space_section(struct sm_address_space *space,
                                                       sm_gpa gpa);

/** The topology that @space belongs to. */
struct sm_topology *sm_address_space_topology(const struct sm_address_space *space);

/** Host address of @gpa, which lies in @section; NULL for MMIO and what translates. */
SM_INLINE uint8_t *sm_flat_section_host(const struct sm_flat_section *section, sm_gpa gpa)
{
    return section->host ? section->host + (gpa - section->range.first) : NULL;
}

/** Host address from which @gpa, which lies in @section, may be read; NULL for MMIO. */
SM_INLINE const uint8_t *sm_flat_section_readable(const struct sm_flat_section *section,
                                                  sm_gpa gpa)
{
    const uint8_t *host = section->host ? section->host : section->rom;
    return host ? host + (gpa - section->range.first) : NULL;
}

/** Offset in section->region of @gpa, which lies in @section. */
SM_INLINE uint64_t sm_flat_section_offset(const struct sm_flat_section *section,
                                          sm_gpa gpa)
{
    return section->offset + (gpa - section->range.first);
}

/** Tell whether @right, which begins right behind @left, is more of the same. */
bool sm_flat_section_continues(const struct sm_flat_section *left,
                               const struct sm_flat_section *right);

/** Make a view of @n sections, sorted, disjoint and merged; takes over a reference to
 *  nothing: whoever renders keeps regions alive for as long as the view (R4).
 *  Returns  NULL when memory is out */
struct sm_flat_view *sm_flat_view_new(const struct sm_flat_section *sections, size_t n);
/** Free a view; if another followed it, only what that one does not share. */
void sm_flat_view_free(struct sm_flat_view *view);
/** Free it once @ticket is done. */
void sm_flat_view_retire(struct sm_topology *topo, struct sm_flat_view *view,
                         sm_ticket ticket);
/** How many sections it has. */
size_t sm_flat_view_count(const struct sm_flat_view *view);

/** Find the section that holds @gpa; NULL in a hole. */
const struct sm_flat_section *sm_flat_view_find(const struct sm_flat_view *view,
                                                sm_gpa gpa);

/** Find the first section that ends at @gpa or later; NULL when none does. */
const struct sm_flat_section *sm_flat_view_from(const struct sm_flat_view *view,
                                                sm_gpa gpa);

/** The hole around @gpa, which lies in no section. */
struct sm_range sm_flat_view_hole(const struct sm_flat_view *view, sm_gpa gpa);

/** Step through the sections in address order, from NULL to NULL. */
const struct sm_flat_section *sm_flat_view_next(const struct sm_flat_view *view,
                                                const struct sm_flat_section *previous);

/** Report each maximal range within @window in which @before and @after answer
 *  differently.
 *  @visit   in address order; may be NULL
 *  Returns  whether there is any */
bool sm_flat_view_diff(const struct sm_flat_view *before,
                       const struct sm_flat_view *after, struct sm_range window,
                       void (*visit)(void *arg, const struct sm_range *range), void *arg);

/** Print @view, a line per section, into @text of @size bytes as snprintf() does.
 *  Returns  the length that the whole text has */
size_t sm_flat_view_print(const struct sm_flat_view *view, char *text, size_t size);

/** Panic unless sections are sorted, disjoint, inside their regions and merged. */
void sm_flat_view_check(const struct sm_flat_view *view);

/* --- Editing: flatview_edit.c ------------------------------------------- */

/** A view in the making. */
struct sm_flat_edit {
    const struct sm_flat_view *base;
    struct sm_flat_view *view;             /* allocated, so that finish cannot fail */
    struct sm_flat_node *top;
    struct sm_flat_node *made, *dropped;   /* lists                            */
    struct sm_flat_section *run, *items;   /* scratch                          */
    struct sm_flat_node **nodes, **raised; /* scratch                          */
    struct sm_vec n_run, n_items, n_nodes, n_raised;
    size_t n;
};

/** Begin with what @base shows.  Returns false when memory is out; nothing is to be
 *  undone then. */
bool sm_flat_edit_begin(struct sm_flat_edit *edit, const struct sm_flat_view *base);

/** Show @n @sections, sorted, disjoint and merged, in @window, and nothing else in it.
 *  Merges them with what lies beside.
 *  Cost     follows @n and what was in @window; the logarithm of the view's size
 *  Returns  false when memory is out: cancel */
bool sm_flat_edit_replace(struct sm_flat_edit *edit, struct sm_range window,
                          const struct sm_flat_section *sections, size_t n);

/** Tell whether the view will differ from its base. */
bool sm_flat_edit_changed(const struct sm_flat_edit *edit);

/** What the view will show, to be looked up in until the next call with @edit. */
const struct sm_flat_view *sm_flat_edit_view(struct sm_flat_edit *edit);

/** End the edit, with the view; its base is freed later, and loses what is not shared.
 *  @base    as given to sm_flat_edit_begin() */
struct sm_flat_view *sm_flat_edit_finish(struct sm_flat_edit *edit,
                                         struct sm_flat_view *base);
/** End the edit, with nothing. */
void sm_flat_edit_cancel(struct sm_flat_edit *edit);

#endif
