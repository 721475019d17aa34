/* SPDX-License-Identifier: MIT */
/* mmu_impl.h - what the files of this layer share.
 *
 * Layer: mmu, private.
 *
 *   fmt_riscv.c    formats as data
 *   ptwalk.c       reads entries, judges them by a format, joins two stages
 *   ptwalk_ad.c    sets accessed and dirty bits in the entry that was judged
 *   pmp.c          protection of physical addresses
 */
#ifndef MMU_MMU_IMPL_H
#define MMU_MMU_IMPL_H

#include "base/base.h"
#include "base/bits.h"
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

/** Find where an entry at @address of @stage (0 or 1) lies in .space, and whether it
 *  may be accessed there.
 *
 *  @out     if stage 2 refuses, .last says where and why; else that is the caller's
 *  Returns  SM_WALK_OK, SM_WALK_PROTECTED, or what stage 2 said
 */
enum sm_walk_status sm_walk_place(const struct sm_walk *walk, unsigned stage,
                                  uint64_t address, enum sm_access access,
                                  sm_gpa *where, struct sm_walk_result *out);

enum sm_mark {
    SM_MARK_DONE,
    SM_MARK_RACED, /* the entry changed: read and judge it again (P3)          */
    SM_MARK_FAILED /* *status says why, and out->last if stage 2 refused       */
};

/** Set @bits in the entry at @address of @stage if it still is @entry. */
enum sm_mark sm_walk_mark(const struct sm_walk *walk, unsigned stage, uint64_t address,
                          uint64_t entry, uint64_t bits, enum sm_walk_status *status,
                          struct sm_walk_result *out);

/** Attributes of every access to a table (P2). */
SM_INLINE struct sm_attrs sm_walk_attrs(const struct sm_walk *walk)
{
    struct sm_attrs attrs = *walk->attrs;
    attrs.flags |= SM_ATTR_WALK | SM_ATTR_RAM_ONLY;
    return attrs;
}

#endif
