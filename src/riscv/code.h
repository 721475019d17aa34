/* SPDX-License-Identifier: MIT */
/* code.h - what a hart made of which page, and what a fence of code costs.
 *
 * A fence that orders code - FENCE.I, or a full SFENCE.VMA - has to do with pages that
 * may have been written since the last one, and with nothing else: memory/code_watch.h
 * knows of each page whether it may have writers.  A hart has a record of each page that
 * it made units or decoded blocks of.  The record is
 *
 *   written   as it is made, and when the page was put into the watch's log: each fence
 *             compares the page's units with memory, and has its blocks compared as
 *             they are entered next;
 *   quiet     once the page has been, and was compared after that: no fence looks at it.
 *
 * A written page that several fences found unchanged is asked to become quiet, many
 * pages at a time.  One that is written again is given longer each time.
 *
 * Where too many units are of written pages - more than RV_CODE_EAGER, and than four for
 * each that was entered between fences - a fence gives the vCPU a new stamp and the hart
 * a new epoch instead: then all code is compared when it is entered next, and some of the
 * written pages at once, so that they become fewer.  That is always right, and what is
 * done where there is no record, for want of memory.
 *
 * Layer: riscv, private.
 *
 * Invariants:
 *  (C1) Each unit, and each block whose epoch is the hart's, is on the list of its page's
 *       record, or the hart is blind.
 *  (C2) A quiet record's units, and its listed blocks of the hart's epoch, were equal to
 *       memory when its page was quiet, or were made or compared since; and .seen is no
 *       later than when they were.
 *  (C3) Records lead to memory that views show: all go when a view changes.
 */
#ifndef RISCV_CODE_H
#define RISCV_CODE_H

#include "memory/code_watch.h"
#include "riscv/riscv_impl.h"

enum {
    RV_CODE_EAGER = 256, /* units that a fence compares at once, at least         */
    RV_CODE_UNCHANGED = 2 /* fences that find a page so before it is to be quiet  */
};

struct rv_block;
struct rv_unit;

/** A page that code was made of. */
struct rv_code_page {
    struct rv_code_page *next;  /* of the same hash                             */
    struct sm_code_page memory; /* .ram NULL: it is written for ever            */
    struct rv_unit *units;
    struct rv_block *blocks;    /* .listed                                      */
    sm_ticket ticket;           /* after which it may be quiet; 0: not asked    */
    uint32_t n_units;
    uint32_t at;                /* among the written ones, or RV_CODE_QUIET     */
    uint16_t unchanged;         /* fences since it changed last                 */
    uint16_t patience;          /* of these, before it is asked to be quiet     */
};
#define RV_CODE_QUIET UINT32_MAX

/** Errors: -ENOMEM.  Without, everything is compared after each fence. */
SM_MUST_CHECK int rv_code_new(struct rv_hart *hart);
void rv_code_free(struct rv_hart *hart);

/** The record of the page at @pc, which the fetch TLB has at @host, made if there is none.
 *  Call it before the page's bytes are read or compared.
 *  Returns  NULL if there is none to be had: the hart is blind then */
struct rv_code_page *rv_code_page_at(struct rv_hart *hart, uint64_t pc,
                                     const uint8_t *host);

/** A unit more, or one less, of @page. */
void rv_code_count(struct rv_hart *hart, struct rv_code_page *page, int change);

/** All units have ended, or all blocks have gone: take them off the lists. */
void rv_code_forget_units(struct rv_hart *hart);
void rv_code_forget_blocks(struct rv_hart *hart);

/** Order stores before this against fetches after it.
 *  Returns  whether what runs may have ended: go on by looking up what comes next */
bool rv_code_fence(struct rv_hart *hart);

/** Whether the @size bytes of instructions at @copy, an even number, are those of the guest
 *  at @host. */
bool rv_code_equals(const uint8_t *copy, const uint8_t *host, unsigned size);

/* --- unit.c, block.c --------------------------------------------------------------- */

/** Compare the units of @page with memory.  Returns  how many differ; these have ended */
unsigned rv_units_compare(struct rv_hart *hart, struct rv_code_page *page);
/** Have the blocks listed at @page compared before they are entered next, and take them
 *  off the list. */
void rv_blocks_outdate(struct rv_hart *hart, struct rv_code_page *page);
/** Take units, blocks, off the list of @page. */
void rv_units_unlist(struct rv_code_page *page);
void rv_blocks_unlist(struct rv_code_page *page);

#endif
