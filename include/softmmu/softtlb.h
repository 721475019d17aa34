/* SPDX-License-Identifier: MIT */
/* softtlb.h - per-vCPU cache from guest virtual pages to host memory.
 *
 * The TLB keeps a bounded set of contexts, each a mode in one address space,
 * the least recently selected leaving first.  Translated code names modes only;
 * sm_tlb_select() ties modes to contexts, so that a change of address space is
 * a lookup and no flush.  The layout that generated code reads, and the hit
 * path, are in softtlb_hit.h and outside the stable interface.
 *
 * Layer:    tlb
 * Threads:  the vCPU's own, but for sm_tlb_flush_all().
 *
 * Invariants, beside (T1)-(T3) of softtlb_hit.h; sm_tlb_check() in debug builds:
 *  (T4) A mode's table is that of the context last selected for it, and of no
 *       other key.
 *  (T5) A flush leaves no entry within its scope, whatever part of the leaf the
 *       scope names, in selected and unselected contexts alike.
 *  (T6) An entry whose page some commit changed since the view that it was filled
 *       through is gone before the vCPU uses anything behind the safe point that the
 *       commit asked for (R5).  Others stay: the same memory is still there.
 */
#ifndef SOFTMMU_SOFTTLB_H
#define SOFTMMU_SOFTTLB_H

#include "softmmu/guest_mmu.h"
#include "softmmu/types.h"

SM_BEGIN_DECLS

struct sm_topology;

/** What to forget: the product of independent restrictions.
 *
 *  Covers entries of contexts whose mode is in .modes and whose key agrees,
 *  (key & mask) == scope.key word by word, when their address meets .range.
 */
struct sm_tlb_scope {
    struct sm_range range; /* of gvas (stage 1), or of ipas (stage 2)          */
    struct sm_tlb_key key, mask;
    uint16_t modes;   /* bit n: mode n                                         */
    uint8_t stage;    /* 1: .range is of gvas; 2: of what stage 1 gave         */
    bool keep_global; /* spare entries whose sm_xlate.global is set            */
};

/** Let the modes in @modes (bit n: mode n) read the address space @key.
 *
 *  Cost     a lookup; no flush, and entries of the former space stay
 */
void sm_tlb_select(struct sm_vcpu *vcpu, uint16_t modes, const struct sm_tlb_key *key);

/** Drop translations of this vCPU, before returning. */
void sm_tlb_flush_local(struct sm_vcpu *vcpu, const struct sm_tlb_scope *scope);

/** Ask every vCPU of @topo to drop them.
 *
 *  Returns  a ticket, done when none can use them any more.  An instruction
 *           that must not retire before that ends its block and settles it.
 *  Threads  any; takes no lock that a vCPU holds, never waits
 */
SM_MUST_CHECK sm_ticket sm_tlb_flush_all(struct sm_topology *topo,
                                         const struct sm_tlb_scope *scope);

/** Of struct sm_memop. */
enum sm_memop_flag {
    SM_MEMOP_ALIGNED    = 1 << 0, /* to .align_bits, else a fault              */
    SM_MEMOP_BIG_ENDIAN = 1 << 1, /* most significant byte first               */
    SM_MEMOP_AS_FETCH   = 1 << 2  /* a load that needs X instead of R          */
};

/** How an instruction touches memory.  Fits a register; known when translated. */
struct sm_memop {
    uint8_t size_bits; /* log2 of bytes, 0..4                                  */
    uint8_t mode;
    uint8_t flags;      /* SM_MEMOP_*                                          */
    uint8_t align_bits; /* log2; may exceed .size_bits                         */
};

/** How a slow path ended, and so where the instruction goes next. */
enum sm_step {
    SM_STEP_DONE,       /* retire and go on                                    */
    SM_STEP_DONE_LEAVE, /* retire, then reach a safe point: the map may have
                           changed, and no host address kept by the block holds */
    SM_STEP_FAULT,      /* nothing happened; *fault is filled                  */
    SM_STEP_STOP        /* nothing happened; a debugger watches this (watch.h) */
};

/** Do what the hit path declines: misses, MMIO, page crossings, clean and
 *  watched pages, 16 bytes.  Any alignment that @op allows.
 *
 *  Of a store that crosses a page both pages are checked before either is
 *  written.  On FAULT and STOP guest state and *value are as before.
 *  Threads  no lock held; device callbacks may block
 */
enum sm_step sm_tlb_read_slow(struct sm_vcpu *vcpu, sm_gva gva, struct sm_memop op,
                              struct sm_value *value, struct sm_fault *fault);
enum sm_step sm_tlb_write_slow(struct sm_vcpu *vcpu, sm_gva gva, struct sm_memop op,
                               struct sm_value value, struct sm_fault *fault);

/** Translate and check @size bytes at @gva, fill the TLB, and touch nothing: for
 *  instruction fetch and cache-block instructions.
 *
 *  @size       1.. bytes, all in one page
 *  @req_flags  SM_REQ_*; a probe fills no TLB entry
 *  @host       gets the host address if the access may go straight there, else NULL:
 *              then a device, a hole or read-only memory answers, and the slow path
 *              above performs the access or says why it fails.  Void after the next
 *              safe point; an access of another kind has to be touched for itself.
 *  Returns     SM_STEP_DONE, SM_STEP_FAULT with *fault, or SM_STEP_STOP (watch.h)
 */
enum sm_step sm_tlb_touch(struct sm_vcpu *vcpu, sm_gva gva, unsigned size,
                          enum sm_access access, uint8_t mode, uint32_t req_flags,
                          void **host, struct sm_fault *fault);

/** Fill the TLB for a plain load or store at @gva, if that is quick: its tables were
 *  walked to before, nothing is to be marked and nobody is to be told.
 *
 *  For whoever saw the hit path decline.  Calls nothing back and reports nothing; what is
 *  refused, or takes more, is asked by the functions above, and so is everything of a vCPU
 *  that counts hits (SM_VCPU_COUNT_HITS).
 *  Returns  where @gva and the rest of its page are, as sm_tlb_touch() says it; NULL:
 *           nothing was done
 *  Cost     some 10 ns */
void *sm_tlb_try(struct sm_vcpu *vcpu, sm_gva gva, uint8_t mode, enum sm_access access);

/** Read, modify and write atomically.  A refusal of either half is a write's.
 *
 *  A misaligned one, and one on anything but writable RAM, is refused: bus_error with
 *  SM_TX_ACCESS_ERROR (a hole: SM_TX_DECODE_ERROR).  So are sm_tlb_cas(),
 *  sm_tlb_load_reserved() and sm_tlb_store_conditional().
 *  @op      .size_bits 0..3 */
enum sm_step sm_tlb_rmw(struct sm_vcpu *vcpu, sm_gva gva, struct sm_memop op,
                        enum sm_rmw rmw, uint64_t operand, uint64_t *old,
                        struct sm_fault *fault);

/** Compare and swap; it took place if *old equals @expected. */
enum sm_step sm_tlb_cas(struct sm_vcpu *vcpu, sm_gva gva, struct sm_memop op,
                        struct sm_value expected, struct sm_value desired,
                        struct sm_value *old, struct sm_fault *fault);

/** Load, and reserve the aligned 64 bytes around @gva.
 *
 *  sm_tlb_store_conditional() then stores and sets *stored only if the value
 *  is unchanged and no other agent's atomic or conditional store touched them.
 *  A plain store of the same value is not seen (docs/design.md, decision 12), unless
 *  the vCPU that makes it has SM_VCPU_EXACT_RESERVE.  Without a
 *  reservation, or with one of another address or size, it fails too, after the
 *  same translation: it faults where a store would.  It always ends the
 *  reservation.
 */
enum sm_step sm_tlb_load_reserved(struct sm_vcpu *vcpu, sm_gva gva, struct sm_memop op,
                                  uint64_t *value, struct sm_fault *fault);
enum sm_step sm_tlb_store_conditional(struct sm_vcpu *vcpu, sm_gva gva,
                                      struct sm_memop op, uint64_t value, bool *stored,
                                      struct sm_fault *fault);

/** End this vCPU's reservation, if it has one: on the way out of a trap. */
void sm_tlb_clear_reservation(struct sm_vcpu *vcpu);

/** Why entries were forgotten. */
enum sm_tlb_cause {
    SM_TLB_FENCED,   /* sm_tlb_flush_local(): the vCPU's own fences            */
    SM_TLB_ASKED,    /* sm_tlb_flush_all(), of any vCPU                        */
    SM_TLB_REMAPPED, /* a view changed, or more was asked than can be noted    */
    SM_TLB_RECYCLED, /* the context had to leave for another                   */
    SM_N_TLB_CAUSES
};

enum { SM_TLB_DEPTHS = 8 };

/** What a vCPU's TLB did since it was made.  Counted exactly, by its own thread. */
struct sm_tlb_stats {
    uint32_t struct_size, reserved;
    uint64_t fills[SM_N_ACCESS]; /* misses, whether tlb_fill was asked, once,
                                    or sm_vcpu_set_refill() spared it          */
    uint64_t slow[SM_N_ACCESS];  /* slow-path entries, whatever the reason     */
    uint64_t crossings;          /* accesses that touched two pages            */
    uint64_t mmio_reads, mmio_writes; /* callbacks' transactions               */
    uint64_t flushes;       /* scopes applied, whole address space or wider    */
    uint64_t flushes_page;  /* scopes applied, a narrower range                */
    uint64_t flushed;       /* entries that flushes removed                    */
    uint64_t selects, evictions; /* context changes; contexts recycled         */
    /* Callers from before end here. */
    uint64_t hits[SM_N_ACCESS];  /* with SM_VCPU_COUNT_HITS, else 0: then they are
                                    the embedder's count of accesses less .fills */
    uint64_t depth[SM_TLB_DEPTHS]; /* misses whose walk read n entries (last: or
                                      more), by sm_xlate.n_read                */
    uint64_t causes[SM_N_TLB_CAUSES]; /* scopes applied, contexts recycled     */
};

/** The same of one context: a mode in one address space, since it has its table. */
struct sm_tlb_context_stats {
    uint32_t struct_size;
    uint8_t mode;
    bool selected;               /* the mode reads it now                      */
    uint8_t reserved[2];         /* 0                                          */
    struct sm_tlb_key key;
    uint64_t hits[SM_N_ACCESS];  /* as sm_tlb_stats.hits                       */
    uint64_t fills[SM_N_ACCESS]; /* misses that were remembered                */
    uint64_t depth[SM_TLB_DEPTHS];    /* of these                              */
    uint64_t causes[SM_N_TLB_CAUSES]; /* scopes that named mode and key, while
                                         it had entries                        */
    uint64_t flushed;            /* entries that they removed                  */
    /* Callers from before end here. */
    uint64_t accesses;           /* of data, as sm_tlb_count_accesses() told: less
                                    .fills of reads and writes, its hits       */
};

/** Copy the counters out.  Set out->struct_size.  Threads: the vCPU's, or any
 *  while the vCPU is offline. */
void sm_tlb_get_stats(const struct sm_vcpu *vcpu, struct sm_tlb_stats *out);

/** Say that @mode made @n loads, stores and atomic updates since this was last said, in
 *  the address space that it has selected: before another is.
 *
 *  Whoever counts its accesses a block at a time knows by this the hits of each context,
 *  exactly but for accesses to two pages at once, and hits go on to cost nothing.  The
 *  counters go with the context.
 */
void sm_tlb_count_accesses(struct sm_vcpu *vcpu, uint8_t mode, uint64_t n);

/** Copy the counters of the @n th context that has a table out, from 0.
 *
 *  Returns  false when there are no more.  Threads: as sm_tlb_get_stats()
 */
bool sm_tlb_get_context_stats(const struct sm_vcpu *vcpu, unsigned n,
                              struct sm_tlb_context_stats *out);

SM_END_DECLS
#endif
