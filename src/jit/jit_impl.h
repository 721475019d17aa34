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
 * Where values are.  A guest register that is pinned keeps its host register across units
 * (a loop that does not use it may evict it meanwhile).  The others are at home, in the
 * guest's state, between units.  Within one a loop keeps those that it uses most in
 * registers all the time; a unit without a loop, which is run from its beginning to some
 * way out, brings each into a register where it is used, as long as it is used again.
 * So a way out costs what is dirty, and code that is rarely run, for a slow access or a
 * call, says in a few words of data (struct jit_site) what C code does for it.
 */
#ifndef JIT_JIT_IMPL_H
#define JIT_JIT_IMPL_H

#include "base/base.h"
#include "jit/jit.h"
#include "jit/mcode.h"
#include "jit/perfmap.h"

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
    uint8_t hand; /* holds nothing else between operations: see jit_host_hands() */
};

enum { JIT_NOBODY = 0xff, JIT_MAX_ALLOC = 4096 };
SM_STATIC_ASSERT((int)JIT_MAX_GLOBALS < (int)JIT_NOBODY, "a byte names a global");

/** Whose values host registers hold, those that are pinned aside: of integers and of
 *  floating point. */
struct jit_regs {
    uint8_t owner[2][JIT_HOST_REGS]; /* a global, or JIT_NOBODY                 */
    uint16_t dirty[2];               /* bit n: that of register n is not at home */
};

/** One of the two classes above. */
SM_INLINE unsigned jit_file(enum jit_class class)
{
    return class == JIT_CLASS_FP;
}

/** Registers that hold values between operations, by class. */
struct jit_pool {
    uint8_t n;
    uint8_t reg[JIT_HOST_REGS];
    uint16_t next[JIT_HOST_REGS]; /* by register: the operation that reads what it
                                     holds next, or NEVER                      */
    jit_reg temp[JIT_HOST_REGS];  /* by register: the temporary in it, or JIT_NONE */
    uint16_t busy;                /* bit n: register n is this operation's      */
};

/** How a back end moves a global to or from its home, between operations. */
struct jit_mover {
    void (*load)(void *opaque, enum jit_class class, unsigned reg, int32_t home);
    void (*store)(void *opaque, enum jit_class class, unsigned reg, int32_t home);
    void *opaque;
};

/** Of one unit, at one operation. */
struct jit_alloc {
    struct jit_loc global[JIT_MAX_GLOBALS];
    struct jit_loc temp[JIT_MAX_TEMPS];
    struct jit_regs now;      /* before the operation                           */
    uint32_t evicted; /* bit n: pin n is at home in this unit, and its register another's */
    bool loops, uses_fp;
    /* regalloc.c's own: */
    const struct jit_ir *ir;
    struct jit_pool pool[2];
    int32_t saves;
    uint32_t *seed;
    uint32_t slot_free;       /* bit n: .save[n]                                */
    uint16_t next[JIT_MAX_ALLOC][4]; /* of d, a, b and c of each operation: what reads
                                        them next                              */
    uint16_t temp_last[JIT_MAX_TEMPS]; /* operation that reads it last          */
    bool temp_live[JIT_MAX_TEMPS];
    unsigned next_call;       /* the first call that is not behind              */
};

struct jit_pins {
    uint8_t n;
    uint8_t global[JIT_HOST_REGS], reg[JIT_HOST_REGS];
    int32_t home[JIT_HOST_REGS]; /* of the globals                              */
};

/** Choose the globals that keep a register across units. */
void jit_alloc_pins(struct jit_pins *pins, const struct jit_host *host,
                    const struct jit_guest *guest, uint32_t flags, uint32_t seed);

/** Decide where everything in @ir is at its beginning.
 *  @saves   offset of jit_state.save
 *  @seed    not 0: at random; is advanced
 *  Returns  false if the unit is too large */
bool jit_alloc(struct jit_alloc *alloc, const struct jit_ir *ir,
               const struct jit_host *host, const struct jit_pins *pins, int32_t saves,
               uint32_t *seed);
/** Bring the operands of operation @i where they are wanted, and choose a place for what
 *  it writes.  Returns  false if memory for temporaries does not suffice */
bool jit_alloc_before(struct jit_alloc *alloc, unsigned i, const struct jit_mover *mover);
/** Operation @i was emitted: what it wrote is in its place. */
void jit_alloc_after(struct jit_alloc *alloc, unsigned i);

/* --- Sites --------------------------------------------------------------------- */

enum jit_site_kind {
    JIT_SITE_LOAD, JIT_SITE_STORE, JIT_SITE_CHECK, JIT_SITE_CALL, JIT_SITE_FENTER,
    JIT_SITE_RMW, JIT_SITE_LR, JIT_SITE_SC
};

/** What generated code wants done by C code, and where its values are meanwhile. */
struct jit_site {
    uint8_t kind, mem;
    bool base_const, value_const;
    bool fp;     /* value is a floating-point register's; a single is boxed      */
    bool partly; /* the instruction goes on with what is loaded                  */
    struct jit_loc base, value; /* value: stored, or where what is loaded goes  */
    struct jit_loc operand;     /* of what loads and stores; .value_const: constant */
    int32_t imm;
    int16_t offset, next;       /* of the instruction, and of the next          */
    uint16_t retired;           /* before it, and not yet counted               */
    int32_t value_home;         /* of what is loaded                            */
    struct jit_regs regs;
    struct jit_unit *unit;
    uint64_t constant, value_constant; /* .base_const, .value_const              */
    struct jit_call call;
};

/** Registers of generated code, while C code runs for it. */
struct jit_frame {
    uint64_t reg[JIT_HOST_REGS];
    uint64_t fp[JIT_HOST_REGS]; /* saved only where the unit uses such          */
};

/** What C code wants of generated code, beside an enum jit_reason + 1: return it. */
enum { JIT_SLOW_GO = 0, JIT_SLOW_JUMP = 0x100 /* to .pc */ };

/** Do what site @number says, a load, store, check or fenter. */
uint32_t jit_slow(struct jit *jit, struct jit_frame *frame, uint32_t number);
/** The same, a call: all guest registers are at home, before and after. */
uint32_t jit_call_out(struct jit *jit, uint32_t number);

/* --- Units ------------------------------------------------------------------------ */

enum { JIT_MAX_STAMPS = 16, JIT_MAX_REFUSED = 64,
       /* Where nothing is near more often than once in so many instructions, it is
          better to look at once; that is asked after so many times. */
       JIT_NEAR_WORTH = 64, JIT_NEAR_BUDGET = 64, JIT_NEAR_SAMPLES = 2 };

struct jit_exit {
    struct jit_unit *to;         /* NULL: not linked                            */
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
    const void *host;  /* of its first instruction, and                          */
    uint64_t page;     /* of the guest page's first byte                        */
    uint8_t *code;     /* where it is written                                   */
    const uint8_t *run; /* where it runs                                        */
    uint32_t size;
    uint8_t n_stamps;
    bool ended;
    uint8_t refused; /* checks that did not hold                              */
    uint8_t near_samples; /* times that its accesses were not near             */
    uint32_t without; /* what it is to be made again without                  */
    uint32_t evicted; /* pins                                                   */
    uint8_t *stamp[JIT_MAX_STAMPS]; /* 4 bytes each                             */
    struct jit_exit *incoming;   /* lead here                                      */
};

struct jit_chunk;

struct jit {
    struct jit_guest guest;
    uint32_t flags, opt, seed;
    uint32_t without;        /* of the unit that is built: enum jit_without     */
    uint64_t near_count;     /* instructions when .near_budget was last renewed */
    uint8_t *state;          /* the guest                                       */
    struct jit_state *st;
    struct jit_mcode code;
    struct jit_perfmap *names; /* or NULL                                       */
    size_t thunks;           /* bytes of them, before all units                 */
    struct jit_pins pins;
    struct jit_ir ir;
    struct jit_alloc alloc;
    struct jit_lower *lower;  /* the back end's                                   */
    uint32_t place_code[JIT_MAX_PLACES + 1]; /* as jit_place_code() says          */
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
    const uint8_t *near[2][2]; /* of reads, of writes; [1] for groups: look up what
                                 is not near                                   */
    const uint8_t *call;      /* ecx: the site; pins go home, nothing else is saved */
    const uint8_t *pool;      /* constants                                      */
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

/** Whether @from may leave its result, a temporary that nobody else reads, in .hand of
 *  jit_host_regs for @to, the next operation. */
bool jit_host_hands(const struct jit_insn *from, const struct jit_insn *to);

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
