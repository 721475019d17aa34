/* SPDX-License-Identifier: MIT */
/* mmu_impl.h - what the files of this layer share.
 *
 * Layer: mmu, private.
 *
 *   fmt_riscv.c    formats as data
 *   ptwalk.c       reads entries, judges them by a format, joins two stages
 *   walk_cache.c   remembers tables of walks (walk_cache.h)
 *   ptwalk_ad.c    sets accessed and dirty bits in the entry that was judged
 *   pmp.c          protection of physical addresses
 */
#ifndef MMU_MMU_IMPL_H
#define MMU_MMU_IMPL_H

#include "base/base.h"
#include "base/bits.h"
#include "memory/flatview.h"
#include "memory/memory_impl.h" /* struct sm_reader */
#include "softmmu/address_space.h"
#include "softmmu/ptwalk.h"

/** Bytes of one entry. */
SM_INLINE unsigned sm_pt_entry_size(const struct sm_pt_format *format)
{
    return format->flags & SM_PT_ENTRY32 ? 4 : 8;
}

SM_INLINE bool sm_pt_holds(const struct sm_pt_test *test, uint64_t entry)
{
    return (entry & test->mask) == test->value;
}

/** As sm_pt_holds(), where an unused test (mask 0) stands for "never". */
SM_INLINE bool sm_pt_marked(const struct sm_pt_test *test, uint64_t entry)
{
    return test->mask && (entry & test->mask) == test->value;
}

/** Between an entry's value and its bytes in memory as a little-endian number. */
SM_INLINE uint64_t sm_pt_order(const struct sm_pt_format *format, uint64_t entry)
{
    if (SM_LIKELY(!(format->flags & SM_PT_BIG_ENDIAN)))
        return entry;
    return format->flags & SM_PT_ENTRY32 ? __builtin_bswap32((uint32_t)entry)
                                         : __builtin_bswap64(entry);
}

/** What one stage made of an address. */
struct sm_walk_leaf {
    uint64_t address;
    uint8_t bits, perms, memtype;
    bool global;
};

/** One walk under way. */
struct sm_walking {
    const struct sm_walk *walk;
    struct sm_walk_result *out;
    struct sm_attrs attrs;                 /* of accesses to tables (P2)       */
    struct sm_reader reader;               /* keeps the view, and so .section  */
    const struct sm_flat_section *section; /* where the last entry lay, or NULL */
    struct sm_walk_cache *cache;           /* or NULL                          */
    unsigned n_read;                       /* entries                          */
};

/** Find where an entry at @address of @stage (0 or 1) lies in .space, and whether it
 *  may be accessed there.
 *
 *  Returns  SM_WALK_OK, SM_WALK_PROTECTED, or what stage 2 said: then out->last says
 *           where and why; else that is the caller's
 */
enum sm_walk_status sm_walk_place(struct sm_walking *walking, unsigned stage,
                                  uint64_t address, enum sm_access access, sm_gpa *where);

/* --- walk_cache.c ------------------------------------------------------------ */

struct sm_walk_tables;

/** Remember for @address the table of @level, in which a leaf is: at @table as stage
 *  @stage names it, at @where, from which an entry was just read. */
void sm_walk_remember(struct sm_walking *walking, unsigned stage, uint64_t address,
                      uint32_t level, uint64_t table, sm_gpa where);

/** Remember how the leaf @entry was judged: well, and @leaf is what came of it, before
 *  a write was withheld for want of a dirty bit. */
void sm_walk_remember_verdict(struct sm_walk_tables *tables,
                              const struct sm_walk_stage *by, uint64_t entry,
                              const struct sm_walk_leaf *leaf);

/* --- ptwalk_ad.c ------------------------------------------------------------- */

enum sm_mark {
    SM_MARK_DONE,
    SM_MARK_RACED, /* the entry changed: read and judge it again (P3)          */
    SM_MARK_FAILED /* *status says why, and out->last if stage 2 refused       */
};

/** Set @bits in the entry at @address of @stage if it still is @entry. */
enum sm_mark sm_walk_mark(struct sm_walking *walking, unsigned stage, uint64_t address,
                          uint64_t entry, uint64_t bits, enum sm_walk_status *status);

#endif
