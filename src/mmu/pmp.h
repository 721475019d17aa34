/* SPDX-License-Identifier: MIT */
/* pmp.h - physical memory protection: sixteen ranges, byte precision.
 *
 * Layer:   mmu
 * Source:  RISC-V Privileged, "Physical Memory Protection".
 *
 * Registers hold what software wrote after legalisation; the ranges are derived
 * from them once per write, so that a check is a scan of at most 16 ranges; and what
 * the last check found is remembered as far as it holds, until the next write.
 */
#ifndef MMU_PMP_H
#define MMU_PMP_H

#include "base/bits.h"
#include "softmmu/types.h"

enum { SM_N_PMP = 16 };

enum sm_pmp_cfg {
    SM_PMP_R = 1 << 0, SM_PMP_W = 1 << 1, SM_PMP_X = 1 << 2,
    SM_PMP_A_SHIFT = 3, /* 0 off, 1 TOR, 2 NA4, 3 NAPOT                        */
    SM_PMP_L = 1 << 7   /* locked: binds M mode too, until reset               */
};

/** Addresses that get the same answer, all of them and every access within. */
struct sm_pmp_block {
    sm_gpa first, last; /* first > last: none is known                         */
    uint8_t perms;
};

struct sm_pmp {
    uint64_t addr[SM_N_PMP]; /* pmpaddr: address bits 55..2                    */
    uint8_t cfg[SM_N_PMP];
    /* Derived: */
    uint8_t n_active;        /* entries that match anything                    */
    uint8_t n_entries;       /* implemented: 0 or 16                           */
    uint8_t active[SM_N_PMP];        /* their numbers, ascending: priority     */
    struct sm_range range[SM_N_PMP]; /* of .active[i]                          */
    struct sm_pmp_block near[2];     /* around the last check; [1] of machine mode */
};

/** Reset: every entry off and unlocked.  @n_entries 0 (no PMP at all) or 16. */
void sm_pmp_reset(struct sm_pmp *pmp, unsigned n_entries);

/** Write as CSRs do: locked entries, and the addresses that a locked TOR entry
 *  above uses, stay; the reserved W without R is dropped.
 *  @n  entry.  Returns  whether anything changed */
bool sm_pmp_write_cfg(struct sm_pmp *pmp, unsigned n, uint8_t cfg);
bool sm_pmp_write_addr(struct sm_pmp *pmp, unsigned n, uint64_t addr);

/** Permissions of @size bytes at @gpa, and how far they hold.
 *
 *  @machine    requester counts as machine mode (unlocked entries do not bind it)
 *  @perms      in: what is granted so far; out: what remains (SM_PERM_*).  An
 *              access that an entry matches only in part gets none.
 *  @span_bits  in: log2 of the aligned block around @gpa that is of interest; out:
 *              narrowed until every byte of the block gets the same answer
 */
void sm_pmp_check(const struct sm_pmp *pmp, bool machine, sm_gpa gpa, unsigned size,
                  uint8_t *perms, uint8_t *span_bits);

/** Find the largest block around @gpa, for sm_pmp_check_near(). */
void sm_pmp_note_near(struct sm_pmp *pmp, bool machine, sm_gpa gpa);

/** As sm_pmp_check(), quicker where the check before was near.  @pmp's own thread. */
SM_INLINE void sm_pmp_check_near(struct sm_pmp *pmp, bool machine, sm_gpa gpa,
                                 unsigned size, uint8_t *perms, uint8_t *span_bits)
{
    const struct sm_pmp_block *const near = &pmp->near[machine];
    const uint64_t inside = sm_mask(*span_bits);

    if (SM_LIKELY((gpa & ~inside) >= near->first && (gpa | inside) <= near->last &&
                  (gpa & inside) + (size - 1) <= inside)) {
        *perms &= near->perms;
        return;
    }
    sm_pmp_note_near(pmp, machine, gpa);
    sm_pmp_check(pmp, machine, gpa, size, perms, span_bits);
}

#endif
