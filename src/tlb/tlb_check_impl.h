/* SPDX-License-Identifier: MIT */
/* tlb_check_impl.h - what the files of the stale-translation checker share.
 *
 * Layer: tlb, private to tlb_check*.c and tlb_keep.c.
 *
 *   tlb_check.c         a vCPU's hits: compares, classifies, reports
 *   tlb_check_writes.c  who stored where: pages that are watched, notes of stores
 *   tlb_keep.c          translations that a table had no room for
 */
#ifndef TLB_TLB_CHECK_IMPL_H
#define TLB_TLB_CHECK_IMPL_H

#include "softmmu/tlb_check.h"
#include "tlb/tlb_impl.h"

#include <pthread.h>

enum {
    SM_TRAIL_STEPS = 10,  /* both stages of five levels                        */
    SM_PAGE_WORDS = (int)(SM_PAGE_SIZE / 8),
    SM_N_CHUNKS = 1024,   /* of memory in which pages can be watched ...       */
    SM_CHUNK_BITS = 27,   /* ... of 128 MiB each                               */
    SM_NOTES_BITS = 18,   /* log2 of notes that a generation has room for      */
    SM_CHECK_MAX_REPORTS = 4096 /* remembered; beyond, uses are counted only   */
};

/** What an entry was made of. */
struct sm_walk_trail {
    uint64_t root;      /* of the mode then                                    */
    uint64_t ignored;   /* bits of an entry                                    */
    uint64_t order;     /* it held when this was the latest store's number     */
    uint64_t made;      /* number of the store that made the leaf; 0: unknown  */
    uint8_t n;
    uint8_t size_bits;  /* log2 of an entry                                    */
    bool reuse_noted;   /* that something was stored through it                */
    bool cut;           /* had more steps than there is room for               */
    struct sm_trail_step {
        sm_gpa where;
        uint64_t entry;
        const uint8_t *host; /* of .where, or NULL; good as an entry's (T3)    */
        uint8_t stage, level;
    } step[SM_TRAIL_STEPS];
};

/** A store: to a word of memory, or by which translation to a page. */
struct sm_note {
    uint64_t key;     /* address of the word; of the page, plus 1; 0: none     */
    uint64_t order;   /* of a page's: that of the store that made its leaf     */
    uint64_t pc, value; /* value after the store; of a page's: the gva          */
    sm_gpa leaf;      /* of a page's: the leaf that named it                   */
    uint32_t vcpu;    /* index                                                 */
};

/** A word, or several in a row, about to be stored to. */
struct sm_pending {
    sm_gpa first;
    sm_gva end;       /* of the access                                         */
    uint64_t pc;
    const uint8_t *host; /* of .first; void after the next safe point          */
    unsigned n;       /* words; 0: none                                        */
    uint64_t old[SM_PAGE_WORDS];
};

struct sm_tlb_keep;

/** A vCPU's half. */
struct sm_tlb_checking {
    struct sm_tlb_check *shared;
    struct sm_vcpu *vcpu;
    uint32_t index;             /* in shared->vcpus                            */
    uint32_t flags, sample, countdown;
    uint64_t root[SM_N_MODES];
    uint64_t returned;          /* order when it last did; atomic              */
    uint64_t interrupted;       /* the same; atomic, others write it           */
    struct sm_walk_trail now;   /* of the walk under way                       */
    struct sm_pending pending[2];
    struct sm_tlb_keep *keep;   /* SM_TLB_KEEP_STALE, or NULL                  */
    bool kept;                  /* the fill under way was answered by .keep    */
    uint64_t compared, walked, n_kept;
};

/** Notes are forgotten a generation at a time. */
struct sm_notes {
    struct sm_note *slot;       /* 2 << SM_NOTES_BITS of them                  */
    uint32_t n;
};

struct sm_report_id {
    uint64_t pc, where;
    uint32_t kind;
};

struct sm_tlb_check {
    struct sm_tlb_check_options options;
    pthread_mutex_t lock;       /* of all below but what says otherwise; a leaf */
    uint64_t order;             /* atomic: of the latest store noted           */
    struct sm_notes notes[2];   /* [0] the younger                             */
    /* Chunks by address, found by probing; published when they are made, never
     * removed, and bits in them never cleared: read without the lock. */
    struct sm_chunk {
        uint64_t number;        /* address >> SM_CHUNK_BITS, plus 1; atomic    */
        uint64_t *bits;         /* a bit per page                              */
    } chunk[SM_N_CHUNKS];
    struct sm_tlb_checking **vcpus; /* by index; NULL: freed                   */
    uint32_t n_vcpus;
    struct sm_report_id *reports;
    uint32_t n_reports;
    struct sm_tlb_check_stats stats;
};

#pragma GCC visibility push(hidden)

/* --- tlb_check_writes.c --------------------------------------------------------- */

bool sm_check_watched(const struct sm_tlb_check *check, sm_gpa gpa);
void sm_check_watch(struct sm_tlb_check *check, sm_gpa gpa);

/** Find the latest note of @key.  .lock is held. */
bool sm_check_note_get(const struct sm_tlb_check *check, uint64_t key,
                       struct sm_note *out);
/** Leave @note in place of the one before.  .lock is held. */
void sm_check_note_put(struct sm_tlb_check *check, const struct sm_note *note);

/** @req is about to store at @target: remember what is there, if it is watched. */
void sm_check_before_store(struct sm_tlb_checking *checking,
                           const struct sm_xlate_req *req,
                           const struct sm_tlb_target *target);
/** Note what the stores of this vCPU until now changed. */
void sm_check_after_store(struct sm_tlb_checking *checking);

/* --- tlb_keep.c ----------------------------------------------------------------- */

SM_MUST_CHECK struct sm_tlb_keep *sm_tlb_keep_new(void);
void sm_tlb_keep_free(struct sm_tlb_keep *keep);

/** Keep what @mode of the space @key has for the page of @req. */
void sm_tlb_keep_put(struct sm_tlb_keep *keep, const struct sm_tlb_key *key,
                     const struct sm_xlate_req *req, const struct sm_xlate *xlate,
                     const struct sm_walk_trail *trail);
/** Find it, or a global one of any space.  @xlate is of req->gva then. */
bool sm_tlb_keep_get(struct sm_tlb_keep *keep, const struct sm_tlb_key *key,
                     const struct sm_xlate_req *req, struct sm_xlate *xlate,
                     struct sm_walk_trail *trail);
void sm_tlb_keep_flush(struct sm_tlb_keep *keep, const struct sm_tlb_scope *scope);

#pragma GCC visibility pop

#endif
