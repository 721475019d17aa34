/* SPDX-License-Identifier: MIT */
/* tlb_impl.h - a vCPU's own state: spaces, contexts, the cold halves of entries.
 *
 * Layer: tlb, private.
 *
 *   vcpu.c        a vCPU, its request word, its mail and its safe points
 *   context.c     which table a mode reads: spaces by key, contexts by space and mode
 *   softtlb.c     misses: asks tlb_fill, finds the section, installs entries
 *   refill.c      misses of which all is known but the leaf
 *   tlb_slow.c    loads, stores and touches that the hit path declines
 *   tlb_flush.c   scopes applied here, or posted to every vCPU
 *   tlb_asked.c   what others ask in ranges: to forget what a commit changed, to report
 *                 stores again
 *   tlb_atomic.c  read-modify-write, compare-and-swap, load-reserved
 *   tlb_watch.c   accesses that a debugger wants to hear of
 *   tlb_check*.c  finds uses of stale entries (tlb_check_impl.h)
 *
 * An entry is direct (its tag is the page), or clean (page | SM_TLB_CLEAN, writes only:
 * as direct, but the dirty logs are to be told first), or goes through the bus (page |
 * SM_TLB_MMIO: the translation is remembered, what answers is looked up at each access).
 * Each of these may also be SM_TLB_CHECK, SM_TLB_WATCH or, for writes, SM_TLB_EXACT: it
 * is what it is, and its accesses come by the slow path.  Every other entry is SM_TLB_ABSENT.
 * An entry for writes is direct only while its page is marked in all logs, or a request
 * to rearm it is pending (D1).
 *
 * Memory order.  Others write of a vCPU: mail or what is asked, then .flush_everything,
 * .flush_translated or .asked, then SM_REQUEST_PASS of fast.request, which is raised after,
 * or by, sm_topology_issue().  The other bits of that word are a stamp, which the vCPU's
 * own thread adds to; so all changes of the word are read-modify-writes of some bits.
 * A safe point takes the request down first, passes (which loads the ticket number
 * with acquire), and reads the mail last.  So whoever sees a ticket done knows that
 * its mail is read before this vCPU touches guest memory again; what arrives later
 * raises the request again.
 */
#ifndef TLB_TLB_IMPL_H
#define TLB_TLB_IMPL_H

#include "base/atomic.h"
#include "base/base.h"
#include "base/bits.h"
#include "memory/agent.h"
#include "memory/dirty_log.h"
#include "memory/flatview.h"
#include "mmu/walk_cache.h"
#include "softmmu/address_space.h"
#include "softmmu/softtlb_hit.h"
#include "softmmu/vcpu.h"
#include "softmmu/watch.h"

enum {
    SM_TLB_SLOTS = 1 << SM_TLB_INDEX_BITS,
    SM_N_CONTEXTS = 32, /* tables per vCPU: more than the modes that are selected  */
    SM_N_SPACES = 32,   /* keys remembered: more than the modes, too               */
    SM_N_BUCKETS = 64,
    SM_FILL_LOG = 1024, /* fills after which a flush clears the whole table        */
    SM_N_LARGE = 8,     /* distinct large leaves told apart                        */
    SM_N_MAIL = 8,
    SM_N_ASKED = 8
};
SM_STATIC_ASSERT((int)SM_N_CONTEXTS > (int)SM_N_MODES, "one is always free to recycle");
SM_STATIC_ASSERT((int)SM_N_SPACES > (int)SM_N_MODES, "one is always free to recycle");

/** What a slot's hit path does not need.  Meaningful while the slot is not absent. */
struct sm_tlb_cold {
    sm_gpa gpa, ipa;           /* of the page's first byte                     */
    uint32_t process, flags;   /* of sm_xlate.attrs, as is .attrs_space        */
    uint8_t attrs_space, space;
    uint8_t leaf_bits[2];      /* at least SM_PAGE_BITS                        */
    bool global;
    uint8_t reserved[3];
};

/** The large part of a context: allocated on first use, kept when recycled. */
struct sm_tlb_store {
    struct sm_tlb_table table;
    struct sm_tlb_cold cold[SM_N_ACCESS][SM_TLB_SLOTS];
};

/** Flags of a tag that say nothing of where its accesses go. */
enum { SM_TLB_BESIDE = SM_TLB_CHECK | SM_TLB_WATCH | SM_TLB_EXACT };

struct sm_tlb_space;
struct sm_tlb_check;
struct sm_tlb_checking;
struct sm_walk_trail;

/** sm_refill, as a miss wants it: narrowed to RAM of one section. */
struct sm_tlb_refill {
    struct sm_walk_tables *tables; /* NULL: tlb_fill is asked                  */
    uint64_t address_mask;         /* of an entry, as .address_shift           */
    sm_gpa first, n;    /* pages at .first .. .first + .n lie ...              */
    uint64_t host_bias; /* ... at gpa + .host_bias                             */
    const struct sm_ram *ram;      /* that it is of, at gpa + .ram_bias        */
    const uint64_t *quiet;         /* its pages of code, a bit each; or NULL   */
    uint64_t ram_bias;
    struct sm_address_space *space;
    struct sm_range allowed;       /* before it was narrowed                   */
    struct sm_attrs attrs;
    uint32_t flags;
    uint8_t address_shift, perms, space_number;
};

struct sm_tlb_context {
    struct sm_tlb_store *store; /* NULL: never used                            */
    struct sm_walk_trail *trails; /* tlb_check.c: by slot, or NULL              */
    struct sm_tlb_space *space; /* NULL: free                                  */
    uint8_t mode;
    struct sm_tlb_refill refill;
    struct sm_tlb_context_stats stats; /* .struct_size to .key are unused      */
    uint64_t refills[SM_N_ACCESS];     /* of one entry read, not yet in .stats */
    bool any_global;   /* some entry since the last reset is global            */
    uint8_t n_large;
    uint64_t n_log;     /* slots that were filled, while absent                */
    uint64_t n_dropped; /* slots that became absent again                      */
    uint16_t log[SM_FILL_LOG]; /* access * SM_TLB_SLOTS + slot of the first .n_log; if
                                  that is all, each slot filled is in it, some twice
                                  or emptied since                             */
    struct sm_range large[SM_N_LARGE]; /* cover every leaf above a page        */
};

/** An address space of the guest that modes read, or read lately. */
struct sm_tlb_space {
    struct sm_tlb_key key;
    uint64_t used;    /* vcpu->clock when last selected                        */
    uint16_t modes;   /* that have it selected                                 */
    bool live;        /* in a bucket                                           */
    uint8_t next;     /* in the bucket: number + 1, or 0                       */
    struct sm_tlb_context *context[SM_N_MODES]; /* NULL until something is filled */
    struct sm_walk_cache *walks; /* of the tables of this space; never NULL    */
    uint16_t walk_modes;         /* whose walks may have left something there  */
};

enum sm_mail_state { SM_MAIL_FREE, SM_MAIL_WRITING, SM_MAIL_READY };

/** A scope that another thread asks to flush. */
struct sm_tlb_mail {
    uint32_t state; /* enum sm_mail_state, atomic: FREE -> WRITING by the poster,
                       -> READY by the poster, -> FREE by the vCPU             */
    struct sm_tlb_scope scope;
};

/** A range that another thread asks for. */
struct sm_tlb_asked {
    uint32_t state; /* as of mail                                              */
    const struct sm_address_space *space; /* NULL: .range is of host addresses */
    struct sm_range range;
};

/** Which of them are asked: bits of sm_vcpu.asked. */
enum {
    SM_ASKED_FORGET = 1 << 0,    /* some are in .changed                       */
    SM_ASKED_REARM = 1 << 1,     /* some are in .rearm                         */
    SM_ASKED_REARM_ALL = 1 << 2  /* more were                                  */
};

/** What a debugger watches: tlb_watch.c. */
struct sm_watching {
    uint32_t n;
    uint32_t n_passes;
    struct sm_watch *watch;    /* .n of them                                   */
    struct sm_watch_hit hit;   /* of the last stop; .size 0: there is none     */
    struct sm_watch_hit pass[SM_WATCH_PASSES]; /* let through                  */
};

struct sm_vcpu {
    struct sm_tlb_fast fast;
    const struct sm_guest_mmu_ops *ops;
    struct sm_topology *topo;
    struct sm_address_space **spaces;
    uint32_t n_spaces, requester;
    uint32_t flags;            /* SM_VCPU_*                                    */
    void *guest;
    struct sm_tlb_space *selected[SM_N_MODES]; /* never NULL                   */
    const struct sm_flat_section *last_ram; /* or NULL; in .spaces[.last_ram_space] */
    uint8_t last_ram_space;
    struct sm_tlb_entry *only; /* SM_VCPU_ONE_ENTRY: filled last, or NULL ...  */
    struct sm_tlb_context *only_of; /* ... in this context                     */
    struct sm_tlb_stats stats;
    uint64_t clock;            /* counts selections                            */
    struct sm_agent agent;
    bool online;
    uint32_t flush_everything; /* atomic; others set it                        */
    uint32_t asked;            /* atomic; others set bits: SM_ASKED_*          */
    struct sm_tlb_asked changed[SM_N_ASKED]; /* parts of views                 */
    struct sm_tlb_asked rearm[SM_N_ASKED];   /* stores to report again         */
    uint32_t flush_translated; /* atomic; others set it: everything if .translated */
    bool translated;           /* what it keeps may come from beyond a translating
                                  region                                       */
    struct sm_tlb_mail mail[SM_N_MAIL];
    uint8_t bucket[SM_N_BUCKETS]; /* number of the first space + 1, or 0       */
    struct sm_tlb_space space[SM_N_SPACES];
    struct sm_tlb_context context[SM_N_CONTEXTS];
    struct sm_walk_cache *walks; /* SM_N_SPACES of them                        */
    uint32_t walked;   /* bit n: space n has .walk_modes                       */
    uint32_t attached; /* bit n: context n has a space                         */
    struct sm_tlb_checking *check; /* NULL: nobody checks                      */
    uint32_t tags;     /* flags that entries may get as they are filled        */
    struct sm_watching watching;
};
SM_STATIC_ASSERT((int)SM_N_CONTEXTS <= 32 && (int)SM_N_SPACES <= 32,
                 "a bit of a word stands for each");

/* The names below begin as public ones do, and are not. */
#pragma GCC visibility push(hidden)

/* --- vcpu.c ------------------------------------------------------------------- */

extern const struct sm_agent_ops sm_vcpu_agent_ops;

/** Panic unless the vCPU's invariants hold; sm_tlb_check() among them. */
void sm_vcpu_check(const struct sm_vcpu *vcpu);

/* --- context.c ---------------------------------------------------------------- */

/** Have every mode read the address space of key zero.  Returns false when memory is
 *  out. */
SM_MUST_CHECK bool sm_tlb_init(struct sm_vcpu *vcpu);
void sm_tlb_fini(struct sm_vcpu *vcpu);

/** The context that @mode reads; NULL if nothing was filled yet. */
SM_INLINE struct sm_tlb_context *sm_tlb_context(const struct sm_vcpu *vcpu, unsigned mode)
{
    return vcpu->selected[mode]->context[mode];
}

/** As sm_tlb_context(), but makes one, recycling the one whose space was selected
 *  longest ago.  Returns NULL when the host has no memory for the first. */
struct sm_tlb_context *sm_tlb_context_make(struct sm_vcpu *vcpu, unsigned mode);

/** Note that the slot numbered @number (access * SM_TLB_SLOTS + slot), absent until
 *  now, is being filled. */
SM_INLINE void sm_tlb_log(struct sm_tlb_context *context, unsigned number)
{
    const uint64_t n = context->n_log++;

    if (SM_LIKELY(n < SM_FILL_LOG))
        context->log[n] = (uint16_t)number;
}

/** Whether .log does not name all slots that are filled. */
SM_INLINE bool sm_tlb_log_is_full(const struct sm_tlb_context *context)
{
    return context->n_log > SM_FILL_LOG;
}

/** Whether no slot is filled. */
SM_INLINE bool sm_tlb_is_empty(const struct sm_tlb_context *context)
{
    return context->n_log == context->n_dropped;
}

/** Forget what generated code remembers of entries: for any reason but room, some of
 *  @context is dropped, or its stores are to be reported (T4 of softtlb_hit.h). */
void sm_tlb_forget_near(struct sm_tlb_context *context);

/** Empty every slot.  Returns how many were filled. */
uint64_t sm_tlb_context_reset(struct sm_tlb_context *context);

/** Panic unless (T1), (T4) and what context.c, softtlb.c and tlb_flush.c rely on hold. */
void sm_tlb_check(const struct sm_vcpu *vcpu);

/* --- softtlb.c ---------------------------------------------------------------- */

/** Where an access within one page goes. */
struct sm_tlb_target {
    uint8_t *host; /* of its first byte; NULL: through .space                  */
    sm_gpa gpa;
    struct sm_address_space *space;
    struct sm_attrs attrs;
    enum sm_tx tx; /* not SM_TX_OK: refused on the way through translating regions,
                      which was reported, so that it must not be asked again   */
};

/** Translate @req, by the TLB or by tlb_fill.  Returns false with *fault filled. */
bool sm_tlb_find(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                 struct sm_tlb_target *out, struct sm_fault *fault);

/** Answer @req, which missed, by tlb_fill. */
bool sm_tlb_fill(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                 struct sm_tlb_target *out, struct sm_fault *fault);

/** Whether the page that @cold is of, at @host, is marked in all logs, and not quiet. */
bool sm_tlb_is_marked(struct sm_vcpu *vcpu, const struct sm_tlb_cold *cold, uint64_t host);

/** Remember a leaf larger than a page, so that a fence on one page knows cheaply
 *  whether it means more than that page (T5). */
void sm_tlb_note_large(struct sm_tlb_context *context, sm_gva page, unsigned leaf_bits);

/* --- refill.c ----------------------------------------------------------------- */

/** Answer @req, which missed, and fill, by .refill where that suffices. */
bool sm_tlb_refill(struct sm_vcpu *vcpu, struct sm_tlb_context *context,
                   const struct sm_xlate_req *req, struct sm_tlb_target *out,
                   struct sm_fault *fault);

/** Have .refill lead into @section of the vCPU's space @space, in which the last miss
 *  ended. */
void sm_tlb_refill_aim(struct sm_tlb_context *context, unsigned space,
                       const struct sm_flat_section *section);

/** Add .refills to the vCPU's and the context's statistics. */
void sm_tlb_refill_count(const struct sm_tlb_context *context, uint64_t *fills,
                         uint64_t *depth);

/** Have the guest say which exception a failed transaction is. */
SM_INLINE enum sm_step sm_tlb_bus_error(struct sm_vcpu *vcpu,
                                        const struct sm_xlate_req *req, sm_gpa gpa,
                                        enum sm_tx tx, struct sm_fault *fault)
{
    vcpu->ops->bus_error(vcpu, req, gpa, tx, fault);
    return SM_STEP_FAULT;
}

/* --- tlb_check.c -------------------------------------------------------------- */

SM_MUST_CHECK bool sm_tlb_checking_init(struct sm_vcpu *vcpu, struct sm_tlb_check *check);
void sm_tlb_checking_fini(struct sm_vcpu *vcpu);

/** Of a vCPU that has .check.  An entry of @context answered @req by @target; */
void sm_tlb_check_hit(struct sm_vcpu *vcpu, struct sm_tlb_context *context,
                      const struct sm_xlate_req *req, const struct sm_tlb_target *target);
/** tlb_fill did, or what was kept, and was installed; */
void sm_tlb_check_filled(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                         const struct sm_xlate *xlate,
                         const struct sm_tlb_target *target);
/** whether what was kept answers @req; @scope was flushed; a store was made. */
bool sm_tlb_check_kept(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                       struct sm_xlate *xlate);
void sm_tlb_check_flushed(struct sm_vcpu *vcpu, const struct sm_tlb_scope *scope);
void sm_tlb_check_stored(struct sm_vcpu *vcpu);

/** A store of @vcpu was made, of whoever checks or not. */
SM_INLINE void sm_tlb_stored(struct sm_vcpu *vcpu)
{
    if (SM_UNLIKELY(vcpu->check != NULL))
        sm_tlb_check_stored(vcpu);
}

/* --- tlb_watch.c -------------------------------------------------------------- */

void sm_tlb_watch_fini(struct sm_vcpu *vcpu);

/** Whether an entry of @context for @access to @page, with @cold, is to be tagged. */
bool sm_watch_meets_page(const struct sm_vcpu *vcpu, const struct sm_tlb_context *context,
                         enum sm_access access, sm_gva page,
                         const struct sm_tlb_cold *cold);

/** An access that was translated, in one or two pages. */
struct sm_watch_access {
    struct sm_watch_part {
        sm_gva gva;
        sm_gpa gpa;
        const struct sm_address_space *space;
        unsigned size;
    } part[2];
    unsigned n_parts;
    uint8_t kind, accesses, mode; /* as of struct sm_watch_hit                 */
    struct sm_value value;
};

/** Whether it stops; the hit is then noted.  Asked where .watching.n is not 0. */
bool sm_watch_stops(struct sm_vcpu *vcpu, const struct sm_watch_access *access);
/** The same of an access in one page. */
bool sm_watch_stops_one(struct sm_vcpu *vcpu, enum sm_watch_kind kind, unsigned accesses,
                        const struct sm_xlate_req *req,
                        const struct sm_tlb_target *target, struct sm_value value);

/* --- tlb_atomic.c ------------------------------------------------------------- */

/** SM_VCPU_EXACT_RESERVE: store @size bytes, to 16, ending the reservations of others. */
void sm_tlb_store_exactly(struct sm_vcpu *vcpu, uint8_t *host, const void *bytes,
                          unsigned size);

/* --- tlb_flush.c -------------------------------------------------------------- */

/** Covers all there is. */
extern const struct sm_tlb_scope sm_tlb_scope_everything;

/** Drop translations of this vCPU for the reason of @cause. */
void sm_tlb_flush(struct sm_vcpu *vcpu, const struct sm_tlb_scope *scope,
                  enum sm_tlb_cause cause);

/** Do what others asked: at a safe point, after passing it. */
void sm_tlb_serve_mail(struct sm_vcpu *vcpu);

/* --- tlb_asked.c -------------------------------------------------------------- */

/** Have what was derived from @range of @space forgotten: .view_changed. */
void sm_tlb_ask_forget(struct sm_agent *agent, const struct sm_address_space *space,
                       const struct sm_range *range);

/** Have stores to these bytes reported again: .rearm of sm_agent_ops. */
void sm_tlb_ask_rearm(struct sm_agent *agent, const uint8_t *first, const uint8_t *last);

/** Do what was asked: at a safe point, after sm_tlb_serve_mail(). */
void sm_tlb_serve_asked(struct sm_vcpu *vcpu);

#pragma GCC visibility pop

#endif
