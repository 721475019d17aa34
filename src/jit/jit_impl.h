/* SPDX-License-Identifier: MIT */
/* jit_impl.h - units, ways out and sites, as the files of this layer share them.
 *
 * Layer: jit, private.
 *
 *   ir*.c opt_*.c     what is to be done
 *   regalloc.c        where values are
 *   x64_*.c           host code of it
 *   unit.c            making, linking and ending units
 *   run.c             entering host code, and what it calls
 *   mcode.c perfmap.c memory for it, and its names
 *
 * Where values are.  A guest register lives in one place throughout a unit: in the host
 * register that it keeps across units (pinned), in one for this unit (local: loaded at
 * the beginning if it is read first, written back on ways out), or at home in the
 * guest's state.  So a way out costs what is dirty, and code that is rarely run, for a
 * slow access or a call, says in a few words of data (struct jit_site) what C code does
 * for it.
 */
#ifndef JIT_JIT_IMPL_H
#define JIT_JIT_IMPL_H

#include "base/base.h"
#include "jit/jit.h"
#include "jit/mcode.h"

#pragma GCC visibility push(hidden)

/* --- Places ------------------------------------------------------------------- */

enum { JIT_HOST_REGS = 16, JIT_IN_MEMORY = 0xff };

/** A host register of the class of what is there, or memory at guest + .offset. */
struct jit_loc {
    uint8_t reg; /* or JIT_IN_MEMORY                                           */
    int32_t offset;
};

/** What a back end offers to hold values between operations; in order of preference. */
struct jit_host {
    uint8_t n_ints, n_fps, n_pins;
    uint8_t ints[JIT_HOST_REGS]; /* the first .n_pins for what is pinned       */
    uint8_t fps[JIT_HOST_REGS];
};

enum { JIT_MAX_LOCALS = 32 };

/** Of one unit. */
struct jit_alloc {
    struct jit_loc global[JIT_MAX_GLOBALS];
    struct jit_loc temp[JIT_MAX_TEMPS];
    uint8_t n_locals;
    uint8_t local[JIT_MAX_LOCALS];      /* its global                          */
    uint8_t local_of[JIT_MAX_GLOBALS];  /* its number, or 0xff                 */
    uint32_t loaded;  /* bit n: local n is read before it is written, or the unit loops */
    uint32_t written; /* bit n: local n is ever written                        */
    bool loops, uses_fp;
};

struct jit_pins {
    uint8_t n;
    uint8_t global[JIT_HOST_REGS], reg[JIT_HOST_REGS];
};

/** Choose the globals that keep a register across units. */
void jit_alloc_pins(struct jit_pins *pins, const struct jit_host *host,
                    const struct jit_guest *guest, uint32_t flags, uint32_t seed);

/** Decide where everything in @ir is.
 *  @saves   offset of jit_state.save
 *  @seed    not 0: at random; is advanced
 *  Returns  false if memory for temporaries does not suffice */
bool jit_alloc(struct jit_alloc *alloc, const struct jit_ir *ir,
               const struct jit_host *host, const struct jit_pins *pins, int32_t saves,
               uint32_t *seed);

/* --- Sites --------------------------------------------------------------------- */

enum jit_site_kind {
    JIT_SITE_LOAD, JIT_SITE_STORE, JIT_SITE_CHECK, JIT_SITE_CALL, JIT_SITE_FENTER,
    JIT_SITE_RMW, JIT_SITE_LR, JIT_SITE_SC
};

/** What generated code wants done by C code, and where its values are meanwhile. */
struct jit_site {
    uint8_t kind, mem;
    bool base_const, value_const;
    bool partly; /* the instruction goes on with what is loaded                  */
    struct jit_loc base, value; /* value: stored, or where what is loaded goes  */
    struct jit_loc operand;     /* of what loads and stores; .value_const: constant */
    int32_t imm;
    int16_t offset, next;       /* of the instruction, and of the next          */
    uint16_t retired;           /* before it, and not yet counted               */
    int32_t value_home;         /* of what is loaded                            */
    uint32_t dirty, valid;      /* locals                                       */
    struct jit_unit *unit;
    uint64_t constant, value_constant; /* .base_const, .value_const              */
    struct jit_call call;
};

/** Registers of generated code, while C code runs for it. */
struct jit_frame {
    uint64_t reg[JIT_HOST_REGS];
    uint64_t fp[JIT_HOST_REGS]; /* saved only where the unit uses such          */
};

/** Do what site @number says.  Returns  0: go on; else enum jit_reason + 1: return */
uint32_t jit_slow(struct jit *jit, struct jit_frame *frame, uint32_t number);

/* --- Units ------------------------------------------------------------------------ */

enum { JIT_MAX_STAMPS = 16, JIT_MAX_REFUSED = 64 };

struct jit_exit {
    struct jit_unit *from, *to;  /* .to NULL: not linked                        */
    struct jit_exit *next;       /* of those that lead to .to                   */
    uint8_t *jump;     /* displacement that leads to where the way goes on, or, if it
                          is FAR, to the guard; else to .unlinked               */
    uint8_t *guard;    /* FAR: where it begins; its 8 bytes of host page at .page, and the
                          displacement behind it at .far                        */
    uint8_t *page, *far;
    uint8_t *unlinked; /* all of them where they are written                    */
    int32_t offset;
    uint8_t kind;      /* enum jit_exit_kind                                    */
};

struct jit_unit {
    void *owner;
    const void *host;  /* of its first instruction, and                          */
    uint64_t page;     /* of the guest page's first byte                        */
    uint8_t *code;     /* where it is written                                   */
    uint32_t size;
    uint8_t n_stamps, n_locals;
    bool ended;
    uint8_t refused; /* checks that did not hold                              */
    struct jit_unit_local {
        uint8_t reg, class;
        int32_t home;
    } local[JIT_MAX_LOCALS];
    uint8_t *stamp[JIT_MAX_STAMPS]; /* 4 bytes each                             */
    struct jit_exit *incoming;   /* lead here                                      */
};

struct jit_chunk;

struct jit {
    struct jit_guest guest;
    uint32_t flags, opt, seed;
    bool no_checks;          /* in the unit that is built                       */
    uint8_t *state;          /* the guest                                       */
    struct jit_state *st;
    struct jit_mcode code;
    size_t thunks;           /* bytes of them, before all units                 */
    struct jit_pins pins;
    struct jit_ir ir;
    struct jit_alloc alloc;
    struct jit_lower *lower;  /* the back end's                                   */
    struct jit_site *site;
    uint32_t n_sites, max_sites;
    struct jit_chunk *chunks; /* of units and exits                             */
    size_t chunk_used;
    struct jit_stats stats;
    /* Thunks: where they run, and where they are written. */
    uint32_t (*enter)(void *guest, const void *code);
    const uint8_t *leave;     /* eax: reason; registers to their homes          */
    const uint8_t *link;      /* rax: the exit                                  */
    const uint8_t *jump;      /* rax: the guest address                         */
    const uint8_t *slow[2];   /* ecx: the site; [1] also saves FP registers     */
};

#define JIT_STAMP_NEVER UINT32_MAX /* no request word: a request without its stamp */

/** Memory that lives until the next reset; NULL: there is none. */
void *jit_keep(struct jit *jit, size_t size);

/** Where in .jumps a unit is found. */
SM_INLINE unsigned jit_jump_slot(uint64_t host)
{
    return (unsigned)((host + (host >> SM_PAGE_BITS)) >> 1) & ((1u << JIT_JUMP_BITS) - 1);
}

SM_INLINE void *jit_home(const struct jit *jit, int32_t offset)
{
    return jit->state + offset;
}

/* --- A back end (x64_*.c) ---------------------------------------------------------- */

extern const struct jit_host jit_host_regs;

/** Whether this host has the instructions that the back end emits. */
bool jit_host_supported(void);

/** The back end's working memory; NULL: there is none. */
struct jit_lower *jit_host_new(void);

/** Emit the thunks into jit->code.  Returns  false if they do not fit */
bool jit_host_thunks(struct jit *jit);

/** Emit @unit from jit->ir and jit->alloc, behind what is there.
 *  Returns  false: the cache is full (*full), or there is no memory */
bool jit_host_emit(struct jit *jit, struct jit_unit *unit, uint32_t stamp, bool *full);

/** Lead @exit to exit->to, or if that is NULL to where it is not linked. */
void jit_host_link(struct jit *jit, struct jit_exit *exit);
void jit_host_stamp(struct jit *jit, struct jit_unit *unit, uint32_t stamp);

/** Into and out of the guest's floating-point mode. */
uint32_t jit_host_fp_take(void);             /* flags; the host's mode is back   */
void jit_host_fp_give(uint32_t mxcsr);

#pragma GCC visibility pop

#endif
