/* SPDX-License-Identifier: MIT */
/* region.h - the tree of regions from which a guest's buses are built.
 *
 * A region is a named extent with exactly one behaviour.  Regions are mapped
 * into one another with an offset and a priority; nothing is visible to the
 * guest until sm_topology_commit() renders the tree into flat views, which
 * address_space.h reads.  A commit publishes, asks and returns; it never waits
 * for readers.  Who must know that they are gone holds a ticket.
 *
 * Layer:    memory
 * Owner:    a region belongs to its topology and dies with it, or earlier by
 *           sm_region_free(); mapping does not take ownership.
 * Threads:  any, device callbacks included.  Editing functions run between
 *           sm_topology_begin() and commit or abort, which hold the topology's
 *           lock.  None is called on an access path.
 *
 * Invariants, checked by sm_topology_check() in debug builds:
 *  (R1) A region is mapped at most once; a second mapping needs an alias.
 *  (R2) The "mapped into" and "alias of" edges together form no cycle.
 *  (R3) Of two overlapping siblings the higher priority wins; of two equal
 *       priorities the one mapped later.  A move keeps a region's age; only
 *       a map makes it the latest.  Never the address, never the name.
 *  (R4) A committed view is immutable, and nothing that an edit removed - view,
 *       RAM, device - is freed before that edit's ticket is done.
 *  (R5) The new view is published before any vCPU is asked to flush: a fill
 *       that read the old view is followed by the request on the same thread.
 */
#ifndef SOFTMMU_REGION_H
#define SOFTMMU_REGION_H

#include "softmmu/types.h"

SM_BEGIN_DECLS

struct sm_topology;
struct sm_region;
struct sm_device;

/** What the library asks of its owner; const, and any callback may be NULL. */
struct sm_owner_ops {
    uint32_t struct_size;
    /** Hear of a broken invariant.  If it returns, the library traps.
     *  @pc  of the guest instruction, NULL when none is known */
    void (*panic)(void *owner, const char *text, const sm_gva *pc);
    void (*log)(void *owner, uint32_t category, const char *text);
    /** Have some thread call sm_topology_work() soon.  Takes no lock of ours. */
    void (*wake)(void *owner);
};

/** Errors   -EINVAL bad struct_size; -ENOMEM */
SM_MUST_CHECK int sm_topology_new(const struct sm_owner_ops *ops, void *owner,
                                  struct sm_topology **out);
/** Free everything below.  No vCPU online, no thread inside a function of ours. */
void sm_topology_free(struct sm_topology *topo);

/** Open an edit.  Nests; only the outermost commit publishes. */
void sm_topology_begin(struct sm_topology *topo);

/** Render the spaces, publish the views that changed, ask the vCPUs concerned
 *  to flush.
 *
 *  @ticket  may be NULL; done when nobody can reach what the edit removed: where no view
 *           changed, that of the last that did.  0, and so done, if none ever did, and
 *           from all but the outermost commit
 *  Errors   -ENOMEM; -ELOOP: from a space that shows a translating region a way would
 *           lead back to that space (iommu.h, I6).  Every space keeps its view and the
 *           edit stays open: commit again, or abort.
 *  Threads  never waits for readers
 */
SM_MUST_CHECK int sm_topology_commit(struct sm_topology *topo, sm_ticket *ticket);
void sm_topology_abort(struct sm_topology *topo); /* takes the outermost edit back */

/** Tell whether @ticket is done.  Threads: any; may call the wake hook. */
bool sm_ticket_done(struct sm_topology *topo, sm_ticket ticket);
/** Block until done.  Threads: holding nothing, never a vCPU's (vcpu.h settles). */
void sm_ticket_wait(struct sm_topology *topo, sm_ticket ticket);

/** Free what finished tickets released and run work that devices deferred.
 *  Threads  any that holds nothing; the library starts no thread of its own */
void sm_topology_work(struct sm_topology *topo);

/** Widths an MMIO region takes.  Powers of two, in bytes, 1..8. */
struct sm_io_widths {
    uint8_t min, max;
    bool unaligned;
};

/** Of struct sm_io_ops. */
enum sm_io_flag {
    SM_IO_BIG_ENDIAN   = 1 << 0, /* the value's first byte is its highest      */
    SM_IO_LOCKLESS     = 1 << 1, /* called without the device's lock           */
    SM_IO_WIDEN_WRITES = 1 << 2, /* write narrower than .implements = read, merge,
                                    write; without: SM_TX_ACCESS_ERROR         */
    SM_IO_LOCKLESS_READS = 1 << 3 /* reads alone are, but for those that are part of
                                    a write or an atomic operation             */
};

/** Behaviour of an MMIO region.  Shared by all instances; const. */
struct sm_io_ops {
    uint32_t struct_size, flags;
    /** @offset from the region's start.  @size obeys .implements. */
    enum sm_tx (*read)(void *dev, uint64_t offset, unsigned size,
                       const struct sm_attrs *attrs, uint64_t *value);
    enum sm_tx (*write)(void *dev, uint64_t offset, unsigned size,
                        const struct sm_attrs *attrs, uint64_t value);
    /** Read without any effect.  NULL: a debugger gets SM_TX_ACCESS_ERROR. */
    enum sm_tx (*peek)(void *dev, uint64_t offset, unsigned size, uint64_t *value);
    struct sm_io_widths accepts;    /* other widths: SM_TX_ACCESS_ERROR        */
    struct sm_io_widths implements; /* what the callbacks see; mmio.c converts */
};

/** Create an empty region to map others into.  @last: highest offset.  -ENOMEM */
SM_MUST_CHECK int sm_region_new(struct sm_topology *topo, const char *name,
                                uint64_t last, struct sm_region **out);

/** Create a region of @size zeroed bytes of host memory.
 *  @size    bytes, from 1; whole pages are direct, fragments take the slow path.  A few
 *           bytes cost a few: there may be a million such regions
 *  Errors   -EINVAL zero; -ENOMEM the host refused the mapping */
SM_MUST_CHECK int sm_region_new_ram(struct sm_topology *topo, const char *name,
                                    uint64_t size, struct sm_region **out);

/** Create ROM: host memory that all may read and only loader and debugger
 *  (SM_ATTR_DEBUG) may write; to others a write is SM_TX_ACCESS_ERROR.
 *  @size, Errors  as sm_region_new_ram() */
SM_MUST_CHECK int sm_region_new_rom(struct sm_topology *topo, const char *name,
                                    uint64_t size, struct sm_region **out);

/** Where RAM comes from. */
enum sm_ram_kind {
    SM_RAM_ANONYMOUS, /* zeroed, of this process                               */
    SM_RAM_FILE,      /* the bytes of .fd                                      */
    SM_RAM_SHARED,    /* zeroed, with a descriptor for others: sm_region_fd()  */
    SM_RAM_CALLER     /* at .host                                              */
};

/** Of struct sm_ram_options. */
enum sm_ram_flag {
    SM_RAM_ROM     = 1 << 0, /* as sm_region_new_rom()                         */
    SM_RAM_PRIVATE = 1 << 1  /* file: what the guest writes stays ours         */
};

/** Where a region's memory comes from.  Zero what is not said. */
struct sm_ram_options {
    uint32_t struct_size;
    uint32_t kind;     /* SM_RAM_*, of enum sm_ram_kind                        */
    uint64_t size;     /* bytes, from 1                                        */
    uint64_t max_size; /* that a resize may reach; 0: size                     */
    uint64_t offset;   /* file: where in it, a multiple of the host's page     */
    void *host;        /* caller: page-aligned, max_size bytes                 */
    /** Caller, may be NULL: called once when nothing can reach @host any more.
     *  Threads  whichever finds out (sm_topology_work(), a safe point); takes no
     *           lock of ours */
    void (*release)(void *owner, void *host);
    void *owner;    /* handed to .release                                      */
    int32_t fd;     /* file: borrowed for the call; a regular file or memfd    */
    uint32_t flags; /* SM_RAM_*, of enum sm_ram_flag                           */
};

/** Create RAM, or ROM, from @options.
 *
 *  A file must not be made shorter while it is mapped: the host kills who reads
 *  behind its end.  What SM_RAM_SHARED makes nobody can resize.
 *  Errors   -EINVAL bad struct_size, kind or flags, no size, max_size below size,
 *           a misaligned .host or .offset, a file shorter than max_size from .offset;
 *           -EACCES .fd cannot be written and SM_RAM_PRIVATE is not given;
 *           -EMFILE no descriptor is left; -ENOMEM the host refused the mapping */
SM_MUST_CHECK int sm_region_new_ram_from(struct sm_topology *topo, const char *name,
                                         const struct sm_ram_options *options,
                                         struct sm_region **out);

/** The descriptor of SM_RAM_SHARED memory, to be passed on, or given as .fd of another
 *  machine's RAM.  The region keeps it.  Returns -1 for all other regions. */
int sm_region_fd(const struct sm_region *region);

/** Create a region where nothing answers, but which hides what is below it.
 *  @last: highest offset.  -ENOMEM */
SM_MUST_CHECK int sm_region_new_reserved(struct sm_topology *topo, const char *name,
                                         uint64_t last, struct sm_region **out);

/** Create a region whose accesses are calls to @ops, under @device's lock.
 *  @last    highest offset that decodes; UINT64_MAX spans a whole bus
 *  Errors   -EINVAL malformed widths, no callback or bad struct_size; -ENOMEM */
SM_MUST_CHECK int sm_region_new_io(struct sm_device *device, const char *name,
                                   uint64_t last, const struct sm_io_ops *ops,
                                   struct sm_region **out);

/** Create a ROM device, like flash: @size bytes of memory of which writes are calls.
 *
 *  Reads are of the memory, in any width and without a call, until
 *  sm_region_set_calls() makes them calls too.  Debugger and loader (SM_ATTR_DEBUG,
 *  without SM_ATTR_EFFECTS) write the memory, in either mode.
 *  @ops     .write and what reads need in the other mode; .write may change the
 *           memory at sm_region_host()
 *  Errors   as sm_region_new_io() and sm_region_new_ram() */
SM_MUST_CHECK int sm_region_new_rom_device(struct sm_device *device, const char *name,
                                           uint64_t size, const struct sm_io_ops *ops,
                                           struct sm_region **out);

/** What was asked of a device's region.  Accesses, however many callbacks each took. */
struct sm_region_stats {
    uint32_t struct_size, reserved;
    uint64_t reads, writes;             /* that were let in                    */
    uint64_t bytes_read, bytes_written; /* of those that succeeded             */
    uint64_t refused; /* not let in: width, alignment, direction, re-entry (L4),
                         SM_ATTR_RAM_ONLY, a debugger's write                  */
    uint64_t failed;  /* let in, and answered with something else than SM_TX_OK */
};

/** Tell what was asked of @region; all zero of what has no callbacks.  Nothing is counted
 *  while a ROM device's memory is read.
 *  @out      struct_size set; what it covers is filled in
 *  Threads   any; exact when nobody is inside */
void sm_region_get_stats(const struct sm_region *region, struct sm_region_stats *out);

/** Host address of the first byte of RAM, ROM or a ROM device; NULL of all others.
 *  It stays while the region lives.  Guests may be storing to it.  Page-aligned from a page
 *  on; less memory than that may share its page with whatever the process has there. */
void *sm_region_host(const struct sm_region *region);

/** Create a window onto @window of @target, following it if it moves.  Where @target is
 *  made shorter than @window, nothing answers.
 *  Errors   -ERANGE @window leaves @target; -ELOOP would break (R2); -ENOMEM */
SM_MUST_CHECK int sm_region_new_alias(struct sm_region *target, const char *name,
                                      struct sm_range window, struct sm_region **out);

/** Map @child at @offset of @parent.
 *
 *  @parent may be of any kind: its children hide, each where it answers, what the parent
 *  is itself.  Those of an alias lie on top of its window, seen through this alias only.
 *  @priority  larger wins (R3); 0 is usual, negative is background
 *  Errors     -EBUSY already mapped (R1); -ELOOP (R2); -ERANGE overflows 2^64 */
SM_MUST_CHECK int sm_region_map(struct sm_region *parent, uint64_t offset,
                                struct sm_region *child, int priority);
/** Errors   -ENOENT not mapped; -ERANGE overflows 2^64 */
SM_MUST_CHECK int sm_region_move(struct sm_region *child, uint64_t offset);
void sm_region_unmap(struct sm_region *child);
/** Let @child win over, or yield to, siblings; it keeps its age (R3).
 *  Errors   -ENOENT not mapped */
SM_MUST_CHECK int sm_region_set_priority(struct sm_region *child, int priority);

/** Make @last the highest offset of @region.
 *
 *  An alias's window keeps its begin.  RAM that is cut off keeps its bytes until it is
 *  shown again.
 *  Errors   -ERANGE overflows 2^64 where it is mapped, leaves an alias's target, or
 *           is more memory than was made for it */
SM_MUST_CHECK int sm_region_resize(struct sm_region *region, uint64_t last);

/** Have an alias show its target from offset @first on: it keeps its size.
 *  Errors   -EINVAL no alias; -ERANGE the window would leave the target as it is now */
SM_MUST_CHECK int sm_region_set_window(struct sm_region *alias, uint64_t first);

/** Hide @region with all that is mapped into it, also from its aliases; or show it
 *  again.  Regions are made enabled. */
void sm_region_set_enabled(struct sm_region *region, bool enabled);

/** Make reads of a ROM device calls, or let them read its memory.
 *  Errors   -EINVAL no ROM device, or its ops have no .read */
SM_MUST_CHECK int sm_region_set_calls(struct sm_region *region, bool calls);

/** Refuse writes through this region: the CPU's, a device's, everyone's. */
void sm_region_set_readonly(struct sm_region *region, bool readonly);

/** Give up an unmapped region.
 *  Errors   -EBUSY mapped, an alias's target, or with a dirty log */
SM_MUST_CHECK int sm_region_free(struct sm_region *region);

SM_END_DECLS
#endif
