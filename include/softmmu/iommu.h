/* SPDX-License-Identifier: MIT */
/* iommu.h - regions that answer by naming another address of another space.
 *
 * A translating region is a kind of region: an access that resolves to it asks its
 * model where to go on, whoever makes the access, again and again if need be.  There is
 * no second mechanism.
 *
 * Layer:    memory
 * Threads:  any, device callbacks included: nothing here waits.
 *
 * Invariants:
 *  (I1) Narrowing or removing a mapping is followed by sm_iommu_invalidate(); widening
 *       or adding one need not be (no refusal is kept), but is told to clients by
 *       sm_iommu_mapped().
 *  (I2) A refused request is reported exactly once, by the model, in its own way; who
 *       asked sees only SM_TX_ACCESS_ERROR.
 *  (I3) Within translate() every access counts as one with SM_ATTR_RAM_ONLY, and none
 *       crosses a translating region: so translate() reaches no device and not itself.
 *       A thread that holds a device's lock, or is inside the model's own device (L4),
 *       crosses none either: SM_TX_ACCESS_ERROR, and the model is not asked.
 *  (I4) An invalidation holds for every use that begins after it; its ticket tells when
 *       those that began before it have ended.  A vCPU's use lasts until its next safe
 *       point; memory lent by sm_address_space_map() is its borrower's until released.
 *  (I5) Nothing keeps an answer during whose making an invalidation, or a commit, came.
 *  (I6) A path crosses at most SM_MAX_HOPS translating regions, else
 *       SM_TX_ACCESS_ERROR.  A commit refuses circles among the spaces that models
 *       say they lead to: -ELOOP, and the edit stays open.
 *  (I7) A model's answer is held against what it may say; a wrong one - a space that it
 *       did not declare, a span without the iova or past the end of 2^64, a permission
 *       short of the access - is SM_TX_ACCESS_ERROR, in every build.
 */
#ifndef SOFTMMU_IOMMU_H
#define SOFTMMU_IOMMU_H

#include "softmmu/types.h"

SM_BEGIN_DECLS

struct sm_address_space;
struct sm_device;
struct sm_region;
struct sm_topology;
struct sm_iommu;
struct sm_iommu_client;

enum { SM_MAX_HOPS = 8 };

/** Of struct sm_iommu_req. */
enum sm_iommu_flag {
    SM_IOMMU_PROBE = 1 << 0 /* report nothing, set no dirty bit: debugger, explain   */
};

/** What a model is asked. */
struct sm_iommu_req {
    sm_iova iova;    /* offset in the region                                   */
    uint32_t access; /* enum sm_access                                         */
    uint32_t flags;  /* SM_IOMMU_*                                             */
    struct sm_attrs attrs; /* choose the table: device, process, space         */
};

/** The model's own words for what an answer depends on: device, process and guest
 *  identifiers, say.  Never interpreted, only compared under a mask. */
struct sm_iommu_tag {
    uint64_t word[2];
};

/** Where a stretch of iovas leads. */
struct sm_iommu_map {
    struct sm_address_space *space; /* one of those given to sm_iommu_new()    */
    uint64_t base;                  /* address in .space of .span.first        */
    struct sm_range span;           /* iovas this covers; holds req->iova      */
    struct sm_range leaf[2]; /* first stage's leaf in iovas, second's in gpas:
                                an invalidation inside forgets this            */
    struct sm_iommu_tag tag;
    uint8_t perms;           /* SM_PERM_*; without those of the access: refused */
    uint8_t reserved[7];
};

/** What a model supplies; const.  @model is the `dev` of its device. */
struct sm_iommu_ops {
    uint32_t struct_size, reserved;
    /** Translate req->iova.  Returns true with *out, zeroed before, which allows the
     *  access; or false, the fault already recorded (I2).
     *  Threads  any, holding nothing; may take the model's device lock.  Waits for no
     *           ticket and edits nothing */
    bool (*translate)(void *model, const struct sm_iommu_req *req,
                      struct sm_iommu_map *out);
    /** Call @visit for each mapping that @who has in @range, ascending.  NULL: the
     *  model cannot tell, and sm_iommu_client_new() says so.
     *  Threads  whoever makes a client, with the model's device lock held */
    void (*iterate)(void *model, const struct sm_attrs *who, struct sm_range range,
                    void (*visit)(void *arg, const struct sm_iommu_map *map), void *arg);
    /** The tag that answers to @who carry.  NULL: zero, for all.  Whoever gives @who
     *  another one invalidates what had the former, and then tells what is mapped.
     *  Threads  whoever tells or makes a client; takes no device lock */
    void (*select)(void *model, const struct sm_attrs *who, struct sm_iommu_tag *out);
};

/** Make what translates.
 *  @spaces  those that translate() may lead to, all of the model's topology; copied.
 *           None is freed before the iommu
 *  Errors   -EINVAL bad struct_size, no translate, no space; -ENOMEM */
SM_MUST_CHECK int sm_iommu_new(struct sm_device *model, const struct sm_iommu_ops *ops,
                               struct sm_address_space *const *spaces, unsigned n_spaces,
                               struct sm_iommu **out);
/** Give up an iommu without regions and clients.  Errors: -EBUSY one remains */
SM_MUST_CHECK int sm_iommu_free(struct sm_iommu *iommu);

/** Create a region that @iommu translates; offsets in it are the iovas.
 *  @last    highest iova; UINT64_MAX spans all.   Errors: -ENOMEM */
SM_MUST_CHECK int sm_region_new_translating(struct sm_iommu *iommu, const char *name,
                                            uint64_t last, struct sm_region **out);

/** What a guest's invalidation command covers: answers whose tag agrees,
 *  (tag & mask) == scope.tag word by word, and whose leaf meets .range. */
struct sm_iommu_scope {
    struct sm_iommu_tag tag, mask;
    struct sm_range range;
    uint8_t stage; /* 1: .range is of iovas; 2: of gpas                        */
    uint8_t reserved[7];
};

/** Have everyone forget (I4): vCPUs whose way leads through @iommu, windows, clients.
 *
 *  After the model's own tables and caches say the new.
 *  Returns  the ticket of (I4) */
SM_MUST_CHECK sm_ticket sm_iommu_invalidate(struct sm_iommu *iommu,
                                            const struct sm_iommu_scope *scope);
/** Tell clients of a mapping that was added or widened: those that overlap .span, and
 *  whose tag equals .tag. */
void sm_iommu_mapped(struct sm_iommu *iommu, const struct sm_iommu_map *map);

/** Who keeps mappings in step: a device's own cache, a hypervisor's slots; const, and
 *  a callback may be NULL.
 *
 *  Called on the thread that told, one call at a time; takes no device lock, waits for
 *  nothing, and calls nothing of the same iommu. */
struct sm_iommu_client_ops {
    uint32_t struct_size, reserved;
    /** @map  its .span cut to the client's range, its .leaf[] whole */
    void (*mapped)(void *owner, const struct sm_iommu_map *map);
    /** Every mapping heard of that overlaps @range is void, and all of it: what
     *  remains of it is told anew.  @range lies in the client's; it is all of that
     *  where the library cannot tell more exactly. */
    void (*unmapped)(void *owner, const struct sm_range *range);
};

/** Hear of the mappings that @who has in @range, those present first.
 *
 *  Errors   -EINVAL bad struct_size or @range; -ENOTSUP the model cannot iterate;
 *           -ENOMEM
 *  Threads  any that holds no device lock */
SM_MUST_CHECK int sm_iommu_client_new(struct sm_iommu *iommu, const struct sm_attrs *who,
                                      struct sm_range range,
                                      const struct sm_iommu_client_ops *ops, void *owner,
                                      struct sm_iommu_client **out);
/** Hear no more; nothing is told on the way. */
void sm_iommu_client_free(struct sm_iommu_client *client);

SM_END_DECLS
#endif
