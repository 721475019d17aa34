/* SPDX-License-Identifier: MIT */
/* memory_impl.h - the layer's structs and the invariants that join them.
 *
 * Layer:    memory
 *
 * Locks, outermost first: a device's lock; the topology's lock (recursive, held from
 * begin to commit); that of the watch of code; then leaves, under which nothing of ours
 * is called: agents_lock, a lane of callers, retired_lock, work_lock, an iommu's
 * clients_lock, and a granule of reserve.c.
 *
 * Who reads a view, and what keeps it from being freed meanwhile:
 *   an online agent      its ticket: it has not passed (agent.h)
 *   any other thread     an RCU section while it touches RAM; before it enters a
 *                        device it pins itself instead, as callbacks may take long
 *   one that runs work   its pin, all the while: what it finds was current after that
 * A ticket waits for them all.
 *
 * sm_topology_check() runs (R1)-(R3) and the above on a topology that is not being
 * edited by another thread; debug builds run it at every commit.
 */
#ifndef SM_MEMORY_MEMORY_IMPL_H
#define SM_MEMORY_MEMORY_IMPL_H

#include "base/atomic.h"
#include "base/list.h"
#include "base/lock.h"
#include "base/panic.h"
#include "memory/agent.h"
#include "memory/code_watch.h"
#include "memory/flatview.h"
#include "softmmu/address_space.h"
#include "softmmu/device.h"
#include "softmmu/region.h"
#include "softmmu/softtlb_hit.h"

#include <pthread.h>

/* --- Ranges: range.c ---------------------------------------------------- */

bool sm_range_contains(struct sm_range range, uint64_t value);
bool sm_range_overlaps(struct sm_range a, struct sm_range b);
/** Bytes both have.  Returns false when there are none; *out is then unset. */
bool sm_range_intersect(struct sm_range a, struct sm_range b, struct sm_range *out);
/** What @from has and @what has not: up to two ranges.  Returns how many. */
unsigned sm_range_subtract(struct sm_range from, struct sm_range what,
                           struct sm_range out[2]);
/** @size bytes from @first.  Returns false for none, or past the end of 2^64. */
bool sm_range_of_size(uint64_t first, uint64_t size, struct sm_range *out);

/* --- What waits for a ticket: ticket.c ---------------------------------- */

/** Embedded in whatever is freed late; so waiting cannot fail. */
struct sm_retired {
    struct sm_list node;
    sm_ticket ticket;
    void (*free)(struct sm_retired *retired);
};

/** A thread that is no online agent and uses devices of a view, or runs their work. */
struct sm_caller {
    struct sm_list node;
    sm_ticket since; /* last ticket issued before it began                     */
    struct sm_caller_lane *lane;
};

/* Callers of different threads mostly meet at different locks. */
enum { SM_N_CALLER_LANES = 16 };

struct sm_caller_lane {
    struct sm_lock lock;
    uint32_t n;             /* atomic: of .callers; 0 is seen without the lock */
    struct sm_list callers; /* the one that began first, first                 */
    char apart[128];        /* no two lanes share a line of the host's cache   */
};

void sm_caller_begin(struct sm_topology *topo, struct sm_caller *caller);
void sm_caller_end(struct sm_topology *topo, struct sm_caller *caller);

/** How a thread is protected while it looks at views of one topology. */
struct sm_reader {
    struct sm_topology *topo;
    /* AGENT: protected anyhow, as an agent or by the pin of who runs work */
    enum { SM_READER_AGENT, SM_READER_RCU, SM_READER_PINNED } how;
    struct sm_caller caller;
};

void sm_reader_begin(struct sm_reader *reader, struct sm_topology *topo);
void sm_reader_end(struct sm_reader *reader);
/** Let callbacks be called from now on.
 *  Returns  true when what was looked up before must be looked up again */
bool sm_reader_pin(struct sm_reader *reader);

/** Free @retired by @free once @ticket is done. */
void sm_retire(struct sm_topology *topo, struct sm_retired *retired, sm_ticket ticket,
               void (*free)(struct sm_retired *retired));
/** Free what finished tickets released.  Never waits. */
void sm_retired_collect(struct sm_topology *topo);
/** Ask the owner for sm_topology_work(), unless that was asked and not begun. */
void sm_topology_wake(struct sm_topology *topo);

/** Why a safe point should look closer: bits of sm_topology.todo. */
enum {
    SM_TODO_WORK = 1 << 0, /* a vCPU deferred work                             */
    SM_TODO_FREE = 1 << 1  /* frees wait for agents only                       */
};

void sm_ticket_init(struct sm_topology *topo);
void sm_ticket_fini(struct sm_topology *topo);

/* --- Regions ------------------------------------------------------------ */

/* Stretches that are lent for writing: so many are noted exactly, the others by the
 * 1/64 of the memory that they lie in. */
enum { SM_N_LENT = 32, SM_N_LENT_PARTS = 64 };

struct sm_lent {
    uint64_t stretch[SM_N_LENT];    /* atomic: first page, last + 1; 0: free   */
    uint32_t part[SM_N_LENT_PARTS]; /* atomic: how many, by part               */
};

/* So much of nobody's else is a piece of the heap: registers and buffers of devices may
 * be many.  It lies apart from others by granules of reservations (reserve.c). */
enum { SM_RAM_SMALL = 2048, SM_RAM_GRAIN = 64 };

/** Host memory; outlives its region while it is lent out (sm_mapping). */
struct sm_ram {
    uint32_t refs; /* atomic */
    int fd;        /* shared memory's; -1: none                                */
    uint64_t size; /* that a resize may reach                                  */
    uint8_t *host;
    bool borrowed; /* the caller's                                             */
    bool small;    /* in the same block of the heap as this                    */
    void (*release)(void *owner, void *host);
    void *owner;
    struct sm_dirty_log *logs; /* atomic; the first, or NULL                   */
    struct sm_code_map *code;  /* atomic; NULL: no page of it was ever quiet    */
    struct sm_lent *lent; /* behind this; NULL of small memory                 */
    uint32_t n_lent;      /* atomic: that parts count; of small memory all     */
};

/** Make memory as options that were checked say.
 *  Errors  as sm_region_new_ram_from() */
int sm_ram_new(const struct sm_ram_options *options, struct sm_ram **out);
void sm_ram_get(struct sm_ram *ram);
void sm_ram_put(struct sm_ram *ram);

/* --- Code: code_watch.c ------------------------------------------------- */

/** Of a topology. */
struct sm_code_watch {
    struct sm_lock lock;
    uint64_t clock;    /* atomic: how many were put into .log                  */
    sm_ticket ticket;  /* of the last pages that became quiet                  */
    uintptr_t log[SM_CODE_LOG]; /* atomic: addresses of pages                  */
};

/** Of memory. */
struct sm_code_map {
    struct sm_code_watch *watch;
    uint64_t quiet[];  /* atomic: a bit for each page (K1)                     */
};

/** The bits; NULL: none was ever set. */
SM_INLINE const uint64_t *sm_ram_quiet_map(const struct sm_ram *ram)
{
    const struct sm_code_map *map = sm_load_acquire(&ram->code); /* of make_map() */

    return map ? map->quiet : NULL;
}

/** Whether the bit of page @number is set. */
SM_INLINE bool sm_ram_is_quiet(const struct sm_ram *ram, uint64_t number)
{
    const struct sm_code_map *map = sm_load_acquire(&ram->code); /* of make_map() */

    /* Who finds it gone stores after what was put into the log. */
    return map && (sm_load_acquire(&map->quiet[number / 64]) >> number % 64 & 1);
}

/* --- What is written: dirty_log.c --------------------------------------- */

void sm_ram_mark_logs(struct sm_ram *ram, uint64_t offset, uint64_t size);
void sm_ram_mark_code(struct sm_ram *ram, uint64_t offset, uint64_t size);

/** Mark the pages of @size bytes (from 1) at @offset, in all logs, before they are
 *  stored to, and have them quiet no more (code_watch.h).
 *  Threads: memory/dirty_log.h */
SM_INLINE void sm_ram_mark(struct sm_ram *ram, uint64_t offset, uint64_t size)
{
    if (SM_UNLIKELY(sm_load_relaxed(&ram->logs)))
        sm_ram_mark_logs(ram, offset, size);
    if (sm_load_relaxed(&ram->code))
        sm_ram_mark_code(ram, offset, size);
}

/** Whether a byte of page @number may be lent for writing. */
bool sm_ram_is_lent(const struct sm_ram *ram, uint64_t number);

/** Note that these bytes are written unseen from now on (D2), and mark them.
 *  Returns  a note of it, from 1 */
uintptr_t sm_ram_lend(struct sm_ram *ram, uint64_t offset, uint64_t size);
/** Mark them, and forget the note.  Threads: any */
void sm_ram_give_back(struct sm_ram *ram, uintptr_t note, uint64_t offset, uint64_t size);
/** Free the logs that are left, and what is known of code.  Nobody marks but who gives a
 *  mapping back. */
void sm_ram_drop_logs(struct sm_ram *ram);
/** How many there are.  Topology locked. */
uint32_t sm_ram_count_logs(const struct sm_ram *ram);
struct sm_iommu;

enum sm_region_kind {
    SM_REGION_CONTAINER,
    SM_REGION_RAM,
    SM_REGION_ROM,
    SM_REGION_IO,
    SM_REGION_ALIAS,
    SM_REGION_ROM_DEVICE,
    SM_REGION_RESERVED,
    SM_REGION_TRANSLATING
};

/** All that edits change, so that abort can restore it without memory. */
struct sm_region_state {
    struct sm_region *parent; /* NULL: not mapped                              */
    uint64_t offset;          /* in parent                                     */
    uint64_t age;             /* of the mapping; larger is later               */
    uint64_t last;            /* highest offset                                */
    uint64_t window;          /* alias: where in target it begins              */
    int priority;
    bool readonly;
    bool disabled;
    bool calls;    /* ROM device: reads are calls                              */
    bool given_up; /* sm_region_free() in an edit that has not been committed  */
};

/** What sm_region_get_stats() adds up: accesses that succeeded, by direction and
 *  logarithm of their size, so that one addition counts both them and their bytes.
 *  Written under the device's lock, or atomically where there is none; read by any. */
struct sm_io_counts {
    uint64_t done[2][4], failed[2]; /* [1]: writes                             */
    uint64_t refused;               /* atomic                                  */
};

struct sm_region {
    struct sm_topology *topo;
    struct sm_list node;     /* in topo->regions                                */
    struct sm_list touched;  /* in topo->touched, if this edit changed it       */
    struct sm_list sibling;  /* in now.parent->children                         */
    struct sm_list children;
    struct sm_list aliases, alias;        /* of this one; in target->aliases   */
    struct sm_region *index, *low, *high; /* children.c: of the children; as one */
    uint64_t reach, serial;               /* children.c; order of making       */
    struct sm_region_state now, before; /* before: when it is touched          */
    enum sm_region_kind kind;
    bool calls;                   /* atomic: as committed last                  */
    uint64_t last;                /* atomic: as committed last                  */
    struct sm_ram *ram;           /* RAM, ROM, ROM device                       */
    struct sm_device *device;     /* MMIO, ROM device                           */
    const struct sm_io_ops *ops;  /* MMIO, ROM device                           */
    uint8_t plain[2]; /* by direction, [1] writes; bits 1, 2, 4, 8: a natural access of so
                         many bytes is one callback as it stands               */
    struct sm_iommu *iommu;       /* translating                                */
    struct sm_region *target;     /* alias                                      */
    struct sm_root *root;         /* of the spaces that begin here; or NULL    */
    uint32_t n_aliases, n_spaces; /* aliases and spaces that lead here         */
    uint64_t mark;                /* visited in the walk of that number         */
    struct sm_region *next;       /* of the list that a walk has yet to visit   */
    struct sm_retired retired;
    struct sm_io_counts counts;   /* MMIO, ROM device                          */
    char name[];
};

/** Take memory of a region back.  Topology locked, or nobody left. */
void sm_region_destroy(struct sm_region *region);
/** Record that this edit changes @region. */
void sm_region_touch(struct sm_region *region);
/** Restore what this edit changed of all touched regions. */
void sm_regions_restore(struct sm_topology *topo);
/** Show accesses the sizes and modes that this edit gave to regions. */
void sm_regions_apply(struct sm_topology *topo);
/** Let go of the regions that this edit gave up, at @ticket.  Ends all touches. */
void sm_regions_settle_edit(struct sm_topology *topo, sm_ticket ticket);
/** Tell whether this edit gave any region up. */
bool sm_regions_given_up(const struct sm_topology *topo);

/* --- Children by address: children.c ------------------------------------ */

/** Place @child, whose state says where it is mapped; remove it, before that changes. */
void sm_children_add(struct sm_region *child);
void sm_children_remove(struct sm_region *child);
/** Append the children of @parent that overlap @window, in no order of ranks.
 *  Cost     the logarithm of how many there are, and those found
 *  Returns  false when memory is out */
bool sm_children_find(const struct sm_region *parent, struct sm_range window,
                      struct sm_vec *n, struct sm_region ***found);
void sm_children_check(const struct sm_region *parent);

/* --- Listing: describe.c ------------------------------------------------ */

/** Append all children of @region, who wins first.  Returns false when memory is out. */
bool sm_region_ranked_children(const struct sm_region *region, struct sm_vec *n,
                               struct sm_region ***found);
/** As sm_region_info.kind. */
const char *sm_region_kind_name(const struct sm_region *region);

/* --- Rendering: render.c ------------------------------------------------ */

/** What a window shows: sorted, disjoint, merged.  Zero it first; reuse, then free
 *  .sections. */
struct sm_rendered {
    struct sm_flat_section *sections;
    struct sm_vec n;
};

/** Compare two siblings, given by the addresses of their pointers, for qsort(): who wins
 *  comes first (R3). */
int sm_region_by_rank(const void *a, const void *b);

/** Render what is seen in @window through @root, which may be NULL.
 *  Returns  false when memory is out */
bool sm_render(struct sm_region *root, struct sm_range window, struct sm_rendered *out);

/* --- Spaces ------------------------------------------------------------- */

enum { SM_N_DIRTY = 16 };

/** That a view shows an iommu's translating regions. */
struct sm_shown {
    struct sm_iommu *iommu;
    uint64_t n;     /* sections of it                                          */
    int64_t change; /* by the commit under way                                 */
};

/** What the spaces with the same root region share: their view. */
struct sm_root {
    struct sm_topology *topo;
    struct sm_list node;      /* in topo->roots                                */
    struct sm_list changed;   /* in topo->changed, while there are dirty windows */
    struct sm_list spaces;
    struct sm_region *region; /* NULL: nothing answers                         */
    struct sm_flat_view *view;
    struct sm_range dirty[SM_N_DIRTY]; /* apart from one another               */
    unsigned n_dirty;
    bool rendered; /* some commit has rendered it                              */
    struct sm_shown *shown; /* loops.c: what translates in .view                */
    struct sm_vec n_shown;
    uint64_t mark;        /* visited in the walk of that number                */
    struct sm_root *next; /* of the list that a walk has yet to visit          */
    /* During a commit: */
    bool editing;
    struct sm_flat_edit edit;
    struct sm_flat_view *before; /* the view that was replaced                 */
    struct sm_retired retired;
};

struct sm_address_space {
    struct sm_topology *topo;
    struct sm_list node;       /* in topo->spaces                              */
    struct sm_list same_root;  /* in root->spaces                              */
    struct sm_list listeners;  /* the lower priority first                     */
    struct sm_root *root;
    struct sm_flat_view *view; /* atomic: root->view, published by commit      */
    uint64_t generation;       /* atomic, from 1: published after .view        */
    uint32_t n_iommus;         /* that lead here; under the topology's lock    */
    struct sm_retired retired;
    char name[];
};

/** The view that @space shows now.  Threads: as sm_address_space_section(). */
SM_INLINE const struct sm_flat_view *
sm_address_space_view(const struct sm_address_space *space)
{
    return sm_load_acquire(&space->view); /* of the publish in publish() */
}

/** Number of the view that @space shows now, or of the one before while a commit is
 *  between the two: whoever finds it unchanged uses what is still valid to them.
 *  Threads: as sm_address_space_section() */
SM_INLINE uint64_t sm_address_space_generation(const struct sm_address_space *space)
{
    return sm_load_acquire(&space->generation); /* of the publish in publish() */
}

/** The root of spaces that begin at @region, which may be NULL; made if there is none.
 *  Topology locked.  Returns NULL when memory is out. */
struct sm_root *sm_root_of(struct sm_topology *topo, struct sm_region *region);
/** Let go of a root without spaces.  Topology locked. */
void sm_root_drop(struct sm_root *root);
void sm_root_destroy(struct sm_root *root);

/** Tell the listeners of all spaces of @root, whose view replaced root->before, what
 *  changed in root->dirty.  During a commit, topology locked. */
void sm_listeners_tell(struct sm_root *root, sm_ticket ticket);
/** Tell all listeners that @region has its first log, or has lost its last one.
 *  Topology locked. */
void sm_listeners_logged(struct sm_region *region, bool logged);
/** Tell those who want to hear it that a take cleared pages among the bytes @offsets.
 *  Topology locked. */
void sm_listeners_cleared(struct sm_region *region, struct sm_range offsets);
/** Free what listens to @space, untold: the topology goes. */
void sm_listeners_drop(struct sm_address_space *space);

/* --- Translating regions: iommu.c, loops.c ------------------------------ */

/** Take memory of an iommu and its clients back.  Nobody left. */
void sm_iommu_destroy(struct sm_iommu *iommu);
/** Let everyone know that answers of iommus may have changed: after the new ones can be
 *  had, and before a ticket is issued. */
void sm_translation_changed(struct sm_topology *topo);

/** Count what the rendered views that are not yet published will show; each count is
 *  undone or kept by sm_loops_settle().  Returns  false when memory is out */
bool sm_loops_count(struct sm_topology *topo);
/** Tell whether these views would lead an access in a circle. */
bool sm_loops_found(struct sm_topology *topo);
void sm_loops_settle(struct sm_topology *topo, bool published);
/** Panic unless the counts of @root are right and no way leads back to it. */
void sm_loops_check(struct sm_root *root);

/* --- What must be rendered again: dirty.c ------------------------------- */

/** Note that @range of the views of @root may change. */
void sm_root_dirty(struct sm_root *root, struct sm_range range);
/** Where a walk through what changed is.  Zero it first. */
struct sm_changed_at {
    uint64_t at;
    unsigned window;
    bool ended;
};

/** Step through the sections of @view that overlap or touch a window of @root, whose
 *  windows are sorted, each once, in address order; NULL at the end.  All others are in
 *  the views before and after a commit, as they are. */
const struct sm_flat_section *sm_root_changed_next(const struct sm_root *root,
                                                   const struct sm_flat_view *view,
                                                   struct sm_changed_at *step);
/** Put the windows in address order. */
void sm_root_sort_dirty(struct sm_root *root);
/** Note it of all roots from which @range of @region is seen. */
void sm_region_dirty(struct sm_region *region, struct sm_range range);
void sm_region_dirty_all(struct sm_region *region);
/** Note it of where @child is mapped. */
void sm_region_dirty_place(struct sm_region *child);

/* --- Devices: device.c -------------------------------------------------- */

/** That this thread is inside a device: in a callback, in its work, or between
 *  sm_device_lock() and unlock.  The frames of a thread are the guard of (L4). */
struct sm_device_frame {
    struct sm_device *device;
    struct sm_device_frame *outer;
    bool locked;
};

struct sm_device {
    struct sm_topology *topo;
    struct sm_list node; /* in topo->devices                                   */
    void *dev;
    uint32_t n_users; /* regions, iommus; under the topology's lock            */
    struct sm_lock lock;
    pthread_mutex_t atomic_lock; /* read-modify-writes of lockless regions     */
    struct sm_device_frame hold; /* of whoever called sm_device_lock()         */
    /* Under topo->work_lock: */
    struct sm_list ready; /* in topo->ready, if it has work and no runner */
    struct sm_work *first, **end;
    uint32_t n_work;
    bool running, gone;
    struct sm_retired retired;
    char name[];
};

/** What the library must know of a thread. */
struct sm_thread {
    struct sm_device_frame *frames;
    struct sm_agent *agent; /* the online one, if this thread is a vCPU's      */
    unsigned n_edits;       /* begun and not ended                             */
    struct sm_topology *pinned; /* whose deferred work this thread runs, pinned */
    bool translating;       /* inside a model's translate() (I3)               */
    bool walked_beyond;     /* has asked a model where a table lies; whoever wants
                               to know clears it                               */
};
extern _Thread_local struct sm_thread sm_thread
    __attribute__((tls_model("initial-exec")));

/** Tell whether this thread holds any device's lock. */
bool sm_thread_holds_device(void);

/** Tell whether this thread is inside @device: in its callback, its work or its lock. */
SM_INLINE bool sm_device_is_inside(const struct sm_device *device)
{
    for (const struct sm_device_frame *frame = sm_thread.frames; frame;
         frame = frame->outer)
        if (frame->device == device)
            return true;
    return false;
}

SM_INLINE void sm_device_push(struct sm_device *device, struct sm_device_frame *frame,
                              bool locked)
{
    *frame = (struct sm_device_frame){device, sm_thread.frames, locked};
    sm_thread.frames = frame;
}

/** Take the lock, checking the order: device before topology, and one at most (L1). */
SM_INLINE void sm_device_acquire(struct sm_device *device)
{
    sm_assert_hot(!sm_thread_holds_device());
    sm_assert_hot(!sm_thread.n_edits);
    sm_lock(&device->lock);
}

/** Enter @device for a callback, taking its lock unless @lockless.
 *  Returns  false if this thread is inside it already (L4), or inside a translate() */
SM_INLINE bool sm_device_enter(struct sm_device *device, struct sm_device_frame *frame,
                               bool lockless)
{
    if (SM_UNLIKELY(sm_device_is_inside(device) || sm_thread.translating))
        return false;
    if (!lockless)
        sm_device_acquire(device);
    sm_device_push(device, frame, !lockless);
    return true;
}

SM_INLINE void sm_device_leave(struct sm_device_frame *frame)
{
    sm_assert_hot(sm_thread.frames == frame);
    sm_thread.frames = frame->outer;
    if (frame->locked)
        sm_unlock(&frame->device->lock);
}

/** Run work that waits; with SM_WORK_IO only if @io.  Threads: holding nothing. */
void sm_work_run(struct sm_topology *topo, bool io);
void sm_device_destroy(struct sm_device *device);

/* --- The topology ------------------------------------------------------- */

struct sm_topology {
    struct sm_panic_hook hook;
    const struct sm_owner_ops *ops;
    void *owner;

    pthread_mutex_t lock;
    const struct sm_thread *holder;         /* atomic: whose, to let begin nest        */
    const struct sm_panic_hook *outer_hook; /* of the holder, before           */
    unsigned depth;
    bool telling;    /* listeners or visitors are being called: they may not edit */
    uint64_t age;    /* of the last mapping                                    */
    uint64_t serial; /* of the last region                                     */
    uint64_t mark;
    struct sm_list regions, touched, devices, spaces, iommus;
    bool translates; /* there is, or was, a translating region                 */
    uint64_t translation_generation; /* atomic                                 */
    struct sm_list roots, changed; /* changed: those that may differ from the tree */
    uint32_t n_hear_cleared; /* atomic: listeners with .log_cleared              */

    pthread_mutex_t agents_lock;
    struct sm_list agents;
    pthread_mutex_t retired_lock;
    struct sm_list retired;
    sm_ticket issued, graced, done; /* atomic; graced: a grace period that began
                                       after it was issued has ended           */
    uint32_t todo;       /* atomic: SM_TODO_*                                  */
    uint32_t wake_asked; /* atomic                                             */

    pthread_mutex_t work_lock;
    struct sm_list ready; /* devices with work and no runner                   */

    struct sm_code_watch code;

    uint32_t exact_reserve; /* atomic: sm_reserve_make_exact() was called      */
    uint32_t n_vcpus;    /* atomic: SM_RESERVE_ALONE if that one is            */
    uint32_t one_version; /* atomic: of all granules, see reserve.c            */
    const struct sm_thread *alone_on; /* atomic: the thread that runs it       */
    struct sm_granules granules;
    struct sm_caller_lane lanes[SM_N_CALLER_LANES];
};

/** Take the topology's lock, or take it once more. */
void sm_topology_lock(struct sm_topology *topo);
void sm_topology_unlock(struct sm_topology *topo);
bool sm_topology_locked_by_me(const struct sm_topology *topo);
/** Panic unless this thread is between begin and commit. */
void sm_topology_must_edit(const struct sm_topology *topo);

/** Panic unless all invariants of regions and views hold.  Threads: any; takes the
 *  topology's lock */
void sm_topology_check(struct sm_topology *topo);

#endif
