/* SPDX-License-Identifier: MIT */
/* inspect.h - what is mapped where, and who answers at an address, and why.
 *
 * For monitors, tests and the curious: functions that walk regions, spaces and views, so
 * that anybody can write a listing of his own, and three that write one, as text or as
 * JSON.  The man page softmmu-inspect(5) describes both forms; they say the same.
 *
 * Layer:    inspect
 * Threads:  any, device callbacks included.  All take the topology's lock, so that what
 *           one call shows belongs together; inside an edit of the calling thread the
 *           tree is shown as edited so far, views as committed.  None is meant for an
 *           access path: the cost follows what is shown.
 *
 * Invariants:
 *  (E1) "Why" is told by the renderer's own walk, so it cannot disagree with a view;
 *       debug builds compare it with the view at each question.
 *  (E2) A listing is collected under the lock and handed over after it, in one piece or
 *       not at all.
 *  (E3) Within a version of the forms (SM_INSPECT_VERSION) lines and fields may be
 *       added; none goes or changes its meaning.
 */
#ifndef SOFTMMU_INSPECT_H
#define SOFTMMU_INSPECT_H

#include "softmmu/address_space.h"
#include "softmmu/device.h"
#include "softmmu/region.h"

SM_BEGIN_DECLS

/* Version of what the listings look like; JSON says it too. */
#define SM_INSPECT_VERSION 1

/* --- Walking ------------------------------------------------------------ */

/** Of struct sm_region_info. */
enum sm_region_info_flag {
    SM_INFO_DISABLED = 1 << 0, /* with all that is mapped into it              */
    SM_INFO_READONLY = 1 << 1, /* by sm_region_set_readonly(); ROM is so anyway */
    SM_INFO_CALLS    = 1 << 2  /* ROM device: reads are calls                  */
};

/** What a region is, and where. */
struct sm_region_info {
    uint32_t struct_size;
    int32_t priority;         /* among its siblings                            */
    const char *name;         /* lives as long as the region; "" when it has none */
    const char *kind;         /* "container", "ram", "rom", "romd", "io", "alias",
                                 "reserved", "translating"; later versions may
                                 know more                                     */
    struct sm_region *parent; /* NULL: mapped nowhere                          */
    struct sm_region *target; /* of an alias, else NULL                        */
    struct sm_device *device; /* whose callbacks it has, or NULL               */
    uint64_t offset;          /* in .parent                                    */
    uint64_t age;             /* of the mapping: of equal priorities the larger
                                 one wins                                      */
    uint64_t last;            /* highest offset                                */
    uint64_t window;          /* of an alias: where in .target it begins       */
    uint32_t flags;           /* SM_INFO_*                                     */
    uint32_t n_spaces;        /* that begin at it                              */
    uint32_t n_aliases;       /* that show it                                  */
    uint32_t n_logs;          /* dirty logs of its memory                     */
    /* Callers from before end here. */
    struct sm_address_space *const *leads_to; /* a translating region: the spaces to
                                 which its model may lead; else NULL           */
    uint32_t n_leads_to;
    uint32_t reserved;
};

/** Fill @info.  Set info->struct_size; what the library does not know counts as zero.
 *  What was asked of its callbacks sm_region_get_stats() tells, without a lock. */
void sm_region_get_info(struct sm_region *region, struct sm_region_info *info);

/** Visit what is mapped into @region, the one that wins first (R3).
 *
 *  @visit   returns whether to go on.  It is called with the topology's lock held: takes
 *           no device lock, waits for nothing, edits nothing, makes and frees nothing;
 *           may walk
 *  Errors   -ENOMEM; nothing was visited then */
SM_MUST_CHECK int sm_region_each_child(struct sm_region *region,
                                       bool (*visit)(void *arg, struct sm_region *region),
                                       void *arg);
/** Visit all regions of @topo, mapped or not, in the order in which they were made.  A
 *  walk that must not see two states is made within one visit.
 *  @visit   as above */
void sm_topology_each_region(struct sm_topology *topo,
                             bool (*visit)(void *arg, struct sm_region *region),
                             void *arg);
/** Visit all spaces of @topo in the order in which they were made.
 *  @visit   as above */
void sm_topology_each_space(struct sm_topology *topo,
                            bool (*visit)(void *arg, struct sm_address_space *space),
                            void *arg);
/** Visit all devices of @topo in the order in which they were made.
 *  @visit   as above */
void sm_topology_each_device(struct sm_topology *topo,
                             bool (*visit)(void *arg, struct sm_device *device),
                             void *arg);
/** Visit the sections of one view of @space, the current one, in address order.
 *  @visit   as above */
void sm_address_space_each_section(struct sm_address_space *space,
                                   bool (*visit)(void *arg,
                                                 const struct sm_section *section),
                                   void *arg);

/** The name that it was given, or ""; lives as long as the thing itself. */
const char *sm_address_space_name(const struct sm_address_space *space);
const char *sm_device_name(const struct sm_device *device);
/** The region at which @space begins; NULL: nothing answers in it. */
struct sm_region *sm_address_space_root(const struct sm_address_space *space);

/* --- Listings ----------------------------------------------------------- */

/** What a listing is written in. */
enum sm_inspect_form { SM_INSPECT_TEXT, SM_INSPECT_JSON };

/** List @region and all below it; or, if it is NULL, all of @topo: what each space begins
 *  with, then what no space begins with and is mapped nowhere.
 *
 *  @sink    gets the whole listing, @n bytes that are not terminated, in one call on the
 *           calling thread.  The topology's lock was released: it may do what the caller
 *           may.  It is not called for an empty listing
 *  Errors   -ENOMEM; @sink was not called then */
SM_MUST_CHECK int sm_inspect_tree(struct sm_topology *topo, struct sm_region *region,
                                  enum sm_inspect_form form,
                                  void (*sink)(void *arg, const char *text, size_t n),
                                  void *arg);

/** List the sections of the current view of @space.
 *  @sink, Errors  as sm_inspect_tree() */
SM_MUST_CHECK int sm_inspect_view(struct sm_address_space *space,
                                  enum sm_inspect_form form,
                                  void (*sink)(void *arg, const char *text, size_t n),
                                  void *arg);

/** Say who answers at @gpa of @space, by which way, and what made the way read-only;
 *  then each region that would have answered but for something, and for what: a sibling
 *  of higher priority or mapped later, what is mapped into it, a reservation, being
 *  disabled, the end of a container or of an alias's window.  Of a hole also where it
 *  ends.
 *
 *  Of several reasons the outermost is told.  What is cut off twice, or cut off within
 *  what is disabled, is left out.
 *
 *  Where a translating region answers, its model is asked with SM_IOMMU_PROBE where the
 *  way goes on, and the same is said of that place, and so on.  It is asked for a read,
 *  and if that leads nowhere, for a write and a fetch; not within an edit or a visit, nor
 *  while this thread holds a device's lock.
 *  @attrs   who asks, or NULL: requester 0
 *  @sink, Errors  as sm_inspect_tree()
 *  Cost     one walk of what lies at @gpa, and a look at all siblings on its way */
SM_MUST_CHECK int sm_inspect_why(struct sm_address_space *space, sm_gpa gpa,
                                 const struct sm_attrs *attrs, enum sm_inspect_form form,
                                 void (*sink)(void *arg, const char *text, size_t n),
                                 void *arg);

SM_END_DECLS
#endif
