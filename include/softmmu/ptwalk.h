/* SPDX-License-Identifier: MIT */
/* ptwalk.h - page tables as data, and the one walk that reads them.
 *
 * A format says where index bits lie in an address and what bits of an entry
 * mean.  A stage is a format with a root; one walk runs one stage or two, for a
 * CPU, an IOMMU or a debugger.  What differs at run time between them is a flag.
 *
 * Layer:    mmu
 * Threads:  any; waits for nothing, holds nothing, enters no device.
 *
 * Invariants; sm_pt_format_check() tests (P5) and (P6) for every format:
 *  (P1) Every walk is this walk.  Tracers and explainers are its visitors, and
 *       so cannot disagree with it.
 *  (P2) Entries are read aligned, whole and atomically, with SM_ATTR_WALK and
 *       SM_ATTR_RAM_ONLY; from stage 1 each goes through stage 2 first.
 *  (P3) An accessed or dirty bit is set by compare-and-swap against the very
 *       value that was checked; if it changed, that entry is read again.
 *  (P4) Under SM_WALK_PROBE nothing is written.
 *  (P5) Index fields are contiguous, descending, and end at the smallest page.
 *  (P6) No two fields of an entry overlap.
 *  (P7) With a cache the walk begins at the last table that it would have come to
 *       when that was remembered, and goes on as without; never for a visitor or
 *       a probe.
 */
#ifndef SOFTMMU_PTWALK_H
#define SOFTMMU_PTWALK_H

#include "softmmu/types.h"

SM_BEGIN_DECLS

struct sm_address_space;
struct sm_walk_cache;

enum { SM_PT_MAX_LEVELS = 6, SM_PT_MAX_BAD = 4 };

/** Holds for an entry when (entry & mask) == value. */
struct sm_pt_test {
    uint64_t mask, value;
};

/** One level of a tree: which bits of an address choose an entry. */
struct sm_pt_level {
    uint8_t shift;      /* lowest address bit of this level's index            */
    uint8_t index_bits; /* the root's may be wider: RISC-V's x4 forms          */
    bool leaf;          /* an entry here may be a leaf                         */
};

/** Of struct sm_pt_format. */
enum sm_pt_flag {
    SM_PT_SIGNED    = 1 << 0, /* bits above the top index repeat its top bit;
                                 else they are zero                            */
    SM_PT_CUMULATE  = 1 << 1, /* a permission must be granted at every level   */
    SM_PT_ENTRY32   = 1 << 2, /* entries of 4 bytes, not 8                     */
    SM_PT_BIG_ENDIAN = 1 << 3
};

/** One paging format.  Const; a row per format in mmu/fmt_riscv.c and others. */
struct sm_pt_format {
    uint32_t struct_size, flags; /* SM_PT_*                                    */
    const char *name;            /* "Sv39"                                     */
    uint32_t n_levels;
    struct sm_pt_level level[SM_PT_MAX_LEVELS]; /* root first                  */
    uint64_t address_mask;      /* of the output address, within the entry ... */
    int32_t address_shift;      /* ... and how far left it moves to be one     */
    uint32_t group_bits;        /* log2 of the entries that .group joins       */
    struct sm_pt_test present;
    struct sm_pt_test table;    /* present, and names the next level           */
    struct sm_pt_test group;    /* leaf of the last level joined with its
                                   neighbours: Svnapot.  Mask 0: never         */
    struct sm_pt_test bad[SM_PT_MAX_BAD]; /* reserved; mask 0: unused          */
    struct sm_pt_test perm[2][SM_N_ACCESS]; /* leaf grants it; [1] at user level */
    struct sm_pt_test user;     /* a user's leaf, see SM_WALK_SUM; mask 0: none */
    struct sm_pt_test global;   /* mask 0: none                                */
    uint64_t accessed, dirty;   /* bits to set; 0 where the format has none    */
    uint64_t memtype;           /* field handed on, shifted down               */
    uint64_t reserved;          /* bits that are 0 in every entry ...          */
    uint64_t reserved_table;    /* ... in one that names a table ...           */
    uint64_t reserved_alone;    /* ... in one for which .group does not hold   */
};

/** RISC-V's formats.  Svnapot and Svpbmt are in those of 64-bit entries; who has
 *  them off adds SM_WALK_NO_GROUP and SM_WALK_NO_MEMTYPE.  The x4 forms are second
 *  stages: a leaf must be a user's, and its global bit means nothing.
 *
 *  Source  RISC-V Privileged, "Sv39: Page-Based 39-bit Virtual-Memory System" and
 *          its siblings, "Two-Stage Address Translation", "Svnapot", "Svpbmt"
 */
extern const struct sm_pt_format sm_pt_sv32, sm_pt_sv39, sm_pt_sv48, sm_pt_sv57;
extern const struct sm_pt_format sm_pt_sv32x4, sm_pt_sv39x4, sm_pt_sv48x4, sm_pt_sv57x4;

/** Of struct sm_walk_stage. */
enum sm_walk_flag {
    SM_WALK_PROBE = 1 << 0, /* see (P4)                                        */
    SM_WALK_USER  = 1 << 1, /* requester is at user level; every access counts
                               so in RISC-V's second stage                     */
    SM_WALK_SUM   = 1 << 2, /* supervisor may also touch a user leaf           */
    SM_WALK_MXR   = 1 << 3, /* granted fetch counts as granted read            */
    SM_WALK_AD    = 1 << 4, /* set accessed and dirty; else a clear one fails  */
    SM_WALK_NO_GROUP   = 1 << 5, /* .group is switched off: its bits are reserved */
    SM_WALK_NO_MEMTYPE = 1 << 6  /* so is .memtype                             */
};

/** One stage of one walk; flags of the two may differ. */
struct sm_walk_stage {
    const struct sm_pt_format *format; /* NULL: addresses pass unchanged       */
    uint64_t root;                     /* of its top table: stage 1's is an ipa */
    uint32_t flags;                    /* SM_WALK_*                            */
};

/** Why a walk ended.  The guest turns it into its own exception. */
enum sm_walk_status {
    SM_WALK_OK,
    SM_WALK_NOT_CANONICAL, /* high bits of the address                         */
    SM_WALK_NOT_PRESENT,
    SM_WALK_BAD_ENTRY,     /* reserved bits, or a table at the last level      */
    SM_WALK_BAD_LEAF,      /* leaf where none may be, or misaligned            */
    SM_WALK_DENIED,        /* permission or user bit                           */
    SM_WALK_NOT_ACCESSED,  /* accessed or dirty clear, without SM_WALK_AD      */
    SM_WALK_PROTECTED,     /* refused by .protect                              */
    SM_WALK_BUS_ERROR
};

/** One entry read and judged. */
struct sm_walk_step {
    uint8_t stage;    /* 1 or 2; 0: the outcome itself, refused by .protect    */
    uint8_t level;    /* 0 is the root                                         */
    uint8_t status;   /* enum sm_walk_status; OK for a table too               */
    uint8_t implicit; /* stage 2 on behalf of a stage-1 table                  */
    uint32_t reserved;
    sm_gpa where;     /* address of the entry in .space; if stage 2 refused to
                         say, the entry's own                                  */
    uint64_t entry;   /* as read, before any bit was set                       */
    uint64_t address; /* what it names                                         */
};

/** What one walk needs; on the caller's stack. */
struct sm_walk {
    uint32_t struct_size;
    uint32_t access;                 /* enum sm_access                         */
    struct sm_address_space *space;  /* where the tables lie                   */
    const struct sm_attrs *attrs;
    struct sm_walk_stage stage[2];   /* both formats NULL: identity            */
    /** Narrow *perms and *span_bits for @size bytes at @gpa: PMP, and the like. */
    void (*protect)(void *ctx, sm_gpa gpa, unsigned size, uint8_t *perms,
                    uint8_t *span_bits);
    /** Hear of every step, the failing one included.  NULL: nobody listens. */
    void (*visit)(void *ctx, const struct sm_walk_step *step);
    void *ctx;                       /* of both callbacks; neither may wait    */
    /** Remembers tables between walks: sm_vcpu_walk_cache().  NULL: none.
     *  Whoever gives one promises that .protect answers for tables do not change
     *  before it is flushed, and depend on nothing but the address. */
    struct sm_walk_cache *cache;
};

/** The fields of struct sm_xlate that tables decide.
 *
 *  .perms is what may be remembered for the requester of this walk: filtered by
 *  user bits and .protect, and without SM_PERM_W while a leaf is not dirty.
 *  .leaf_bits is 0 for a stage that is absent; .span_bits is 64 if nothing bounds it.
 */
struct sm_walk_result {
    sm_gpa gpa, ipa; /* of a failed second stage, .ipa is what it was asked    */
    uint8_t span_bits, leaf_bits[2], perms;
    uint8_t memtype[2];
    bool global;
    uint8_t n_read;  /* entries read, of both stages; 255: or more             */
    struct sm_walk_step last; /* on failure: where, and why                    */
};

/** Translate @address through the stages of @walk.
 *
 *  @size    bytes within one smallest page, for .protect
 *  Returns  SM_WALK_OK with *out filled, else the reason, with .last (and .ipa) only
 *  Cost     one load per entry read, no allocation
 */
enum sm_walk_status sm_walk_run(const struct sm_walk *walk, uint64_t address,
                                unsigned size, struct sm_walk_result *out);

/** Returns  NULL, or what is wrong with @format, in words (P5, P6). */
const char *sm_pt_format_check(const struct sm_pt_format *format);

SM_END_DECLS
#endif
