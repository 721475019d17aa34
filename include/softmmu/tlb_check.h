/* SPDX-License-Identifier: MIT */
/* tlb_check.h - finds a guest that relies on a translation which its tables no longer
 * hold, and keeps translations for as long as an architecture permits.
 *
 * A guest that changes a page table owes a fence, and mostly gets away without: entries
 * leave a TLB by themselves.  A vCPU with a checker takes the slow path on each access.
 * There it compares what its entry was made of with what the tables say now, for this
 * access only, and tells of an entry that no longer holds, by two degrees:
 *
 *   certain  the vCPU changed the entry itself, earlier in its own program order
 *            (SM_STALE_OWN) or by reading other tables under the same name
 *            (SM_STALE_ROOT), and has passed no fence that covers it; or the page was
 *            mapped elsewhere since, and written through there (SM_STALE_REUSED); or
 *            code changed by the vCPU itself is executed as it was (SM_STALE_OWN_CODE)
 *   suspect  another vCPU changed it, has returned to a lower privilege since, and this
 *            one was neither fenced nor interrupted in between (SM_STALE_SUSPECT); or
 *            code changed by another is executed as it was (SM_STALE_OTHER_CODE)
 *
 * One checker serves all vCPUs of a machine: it knows who wrote what.
 *
 * Layer:    tlb
 * Threads:  each function says; one lock inside, a leaf, never held in a callback.
 *
 * Invariants:
 *  (K1) A difference in accessed and dirty bits, and a table that now grants more, or the
 *       same page by another way, is never told.
 *  (K2) Nothing is told of an entry that a fence of its vCPU covered since the change.
 *  (K3) Certain is told only where the last change was seen to be made by a vCPU's own
 *       store.  What a device or a debugger wrote, and what was forgotten, is nobody's.
 *  (K4) The guest goes on as without a checker: the old translation is used.
 *  (K5) Memory is bounded: what a checker knows of writes is forgotten, oldest first.
 *       With SM_TLB_KEEP_STALE translations are not: they end by fences alone.
 */
#ifndef SOFTMMU_TLB_CHECK_H
#define SOFTMMU_TLB_CHECK_H

#include "softmmu/guest_mmu.h"
#include "softmmu/ptwalk.h"
#include "softmmu/types.h"

SM_BEGIN_DECLS

struct sm_vcpu;
struct sm_tlb_check;

/** What is wrong with a translation that was used; the header says which is which. */
enum sm_stale_kind {
    SM_STALE_OWN,
    SM_STALE_ROOT,
    SM_STALE_REUSED,
    SM_STALE_OWN_CODE,
    SM_STALE_SUSPECT,
    SM_STALE_OTHER_CODE,
    SM_N_STALE_KINDS
};
/** Whether reports of @kind are certain. */
#define SM_STALE_IS_CERTAIN(kind) ((kind) < SM_STALE_SUSPECT)

/** Who stored last to an entry of a table, or to code. */
struct sm_stale_writer {
    bool known;         /* else a device, a debugger, or it was too long ago   */
    struct sm_vcpu *vcpu;
    uint64_t pc;        /* of the store                                        */
    uint64_t order;     /* of all stores that were noted: a later one has more */
};

/** One use of what is stale.  Good until the callback returns. */
struct sm_stale {
    uint32_t struct_size;
    uint8_t kind;       /* enum sm_stale_kind                                  */
    uint8_t access, mode;
    bool permitted;     /* the tables map another page now: else they refuse   */
    struct sm_vcpu *vcpu;
    uint64_t pc;        /* of the access                                       */
    sm_gva gva;
    sm_gpa old_gpa;     /* of .gva by the entry                                */
    sm_gpa new_gpa;     /* by the tables, when .permitted                      */
    uint64_t old_root, new_root; /* as sm_tlb_check_root() was told            */
    /* The entry of the tables that changed.  Code: its bytes. */
    sm_gpa where;
    uint64_t old_entry, new_entry;
    uint8_t level, n_levels; /* 0: the root; of those that the walk read       */
    uint8_t stage;           /* 1, 2; 0: none, the root itself changed          */
    uint8_t code_size;       /* code: of the instruction, bytes                 */
    struct sm_stale_writer writer;
    /* SM_STALE_REUSED: who wrote to the page, by which other address. */
    struct sm_stale_writer reuser;
    sm_gva reused_gva;
};

/** What a checker asks of its owner; const. */
struct sm_tlb_check_ops {
    uint32_t struct_size, reserved;
    /** Tell the guest address of the instruction that @vcpu is executing. */
    uint64_t (*pc)(struct sm_vcpu *vcpu);
    /** Hear of a stale use, the first by this instruction of this entry.  No lock is
     *  held; the access has not been made yet.  Threads: the vCPU's. */
    void (*report)(void *owner, const struct sm_stale *stale);
};

/** Of struct sm_tlb_check_options. */
enum sm_tlb_check_flag {
    SM_TLB_CHECK_HITS    = 1 << 0, /* compare, and tell                        */
    SM_TLB_CHECK_SUSPECT = 1 << 1, /* tell suspects too                        */
    SM_TLB_KEEP_STALE    = 1 << 2  /* keep translations until a fence covers them:
                                      what a table has no room for, too        */
};

/** What to look for, and whom to tell. */
struct sm_tlb_check_options {
    uint32_t struct_size;
    uint32_t flags;     /* SM_TLB_*                                            */
    uint32_t sample;    /* compare one hit in so many; 0 and 1: each           */
    uint32_t reserved;  /* 0                                                   */
    const struct sm_tlb_check_ops *ops;
    void *owner;        /* handed to ops->report                               */
};

/** Errors: -EINVAL, -ENOMEM.  Threads: any. */
SM_MUST_CHECK int sm_tlb_check_new(const struct sm_tlb_check_options *options,
                                   struct sm_tlb_check **out);
/** Free it, after its vCPUs.  @check may be NULL. */
void sm_tlb_check_free(struct sm_tlb_check *check);

/** What a checker has seen so far. */
struct sm_tlb_check_stats {
    uint32_t struct_size, reserved;
    uint64_t compared;  /* hits                                                */
    uint64_t walked;    /* of these, entries whose tables had changed          */
    uint64_t uses[SM_N_STALE_KINDS];    /* stale uses, told or not             */
    uint64_t reports[SM_N_STALE_KINDS]; /* told                                */
    uint64_t unproved;  /* stale uses that are neither certain nor suspect     */
    uint64_t kept;      /* misses answered by SM_TLB_KEEP_STALE                */
};

/** Copy the counters out.  Set out->struct_size.  Threads: any, while no vCPU runs. */
void sm_tlb_check_get_stats(const struct sm_tlb_check *check,
                            struct sm_tlb_check_stats *out);

/* --- What a guest architecture tells its vCPU's checker ---------------------------- */

/** What the walk of tlb_fill() is to note its steps in; NULL: nobody wants them.
 *
 *  The guest passes each step to sm_walk_trail_add(), from its sm_walk.visit.
 *  @size_bits  log2 of an entry: 2 or 3
 *  @ignored    bits of an entry that no fence is owed for: accessed and dirty
 *  Threads     the vCPU's, within tlb_fill
 */
struct sm_walk_trail *sm_vcpu_walk_trail(struct sm_vcpu *vcpu, unsigned size_bits,
                                         uint64_t ignored);
void sm_walk_trail_add(struct sm_walk_trail *trail, const struct sm_walk_step *step);

/** @mode reads tables from @root on, an opaque number.  Told where contexts may change
 *  their tables and keep their key: so an entry made of other tables is found. */
void sm_tlb_check_root(struct sm_vcpu *vcpu, uint8_t mode, uint64_t root);

/** The vCPU returned to a lower privilege: what it wrote was meant to be in order. */
void sm_tlb_check_returned(struct sm_vcpu *vcpu);

/** The vCPU was interrupted, maybe to fence.  Threads: any. */
void sm_tlb_check_interrupted(struct sm_vcpu *vcpu);

/* --- Stale code: the guest has the instructions, the checker the stores ------------- */

/** The guest physical address of @gva by the entry that an access just made used. */
bool sm_tlb_check_where(struct sm_vcpu *vcpu, sm_gva gva, enum sm_access access,
                        uint8_t mode, sm_gpa *gpa);

/** Note from now on who stores to the page of @gpa. */
void sm_tlb_check_watch(struct sm_vcpu *vcpu, sm_gpa gpa);

/** Tell of code at stale->pc, decoded at @order or later, whose bytes at stale->where
 *  changed.  The caller fills .pc, .gva, .mode, .where, .old_entry, .new_entry,
 *  .code_size. */
void sm_tlb_check_code(struct sm_vcpu *vcpu, struct sm_stale *stale, uint64_t order);

/** A number that all stores noted until now have at most. */
uint64_t sm_tlb_check_order(struct sm_vcpu *vcpu);

SM_END_DECLS
#endif
