/* SPDX-License-Identifier: MIT */
/* jit.h - host code for units of guest code: made, linked, run and forgotten.
 *
 * A guest's translator describes a unit in IR (ir.h) and gets host code for it, which
 * looks into the SoftTLB inline.  Nothing here knows a guest architecture: registers are
 * offsets into its state, and what generated code does not do itself it calls.
 *
 * Addresses.  A unit is made of one page of host memory and runs at any guest address
 * where the fetch TLB has that page: .page of struct jit_state says where it does now.
 * So address-space switches and second mappings reuse it.
 *
 * Ways out are linked to units.  Within the page: directly.  Beyond it: under a guard,
 * which looks the target's page up in the fetch TLB.  An indirect jump looks its target
 * up there too, and then in a table by host address.  So no flush, no context switch and
 * no remapping concerns any link: only the end of a unit does.
 *
 * Polls.  A unit begins with one compare of the vCPU's request word with the unit's
 * stamp (sm_tlb_fast): a request, or a stamp that has grown since, leads out.  So does
 * each round of a loop.
 *
 * Layer:   jit
 * Threads: a jit, its units and its code belong to the thread of one vCPU.  Nobody else
 *          reads, patches or frees them: eviction stops no other vCPU.
 *
 * Invariants:
 *  (J1) Between calls into generated code all guest registers are at home, and .pc and
 *       the instruction counter are exact.
 *  (J2) In generated code they are, where a call (jit_call) runs.  Where another callback
 *       runs, .pc and the counter are: guest registers may be in the host's, and come home
 *       when it has returned, unless it said JIT_GO.  So it reads and writes none.
 *  (J3) A link leads to a unit that lives; a unit that ends takes its links along.
 *  (J4) Code is never writable where it is executable: it is mapped twice.
 */
#ifndef JIT_JIT_H
#define JIT_JIT_H

#include "jit/ir.h"
#include "softmmu/softtlb_hit.h"

struct jit;
struct jit_perfmap;
struct jit_unit;
struct jit_exit; /* a way out that may be linked                               */

/** How a callback ended. */
enum jit_status {
    JIT_GO,     /* go on                                                       */
    JIT_REFETCH, /* done, the instruction retires; go on behind it by a jump there: what
                   fetches reach may have changed                              */
    JIT_LEAVE,  /* done, the instruction retires; return to the owner behind it */
    JIT_JUMPED, /* go on at .pc, which was set, by a jump there; what retired was
                   counted                                                     */
    JIT_FAULT   /* not done: return to the owner, .pc at the instruction       */
};

/** Why generated code returned. */
enum jit_reason {
    JIT_OUT_LINK,   /* the way *exit leads to .pc: link it if that is possible  */
    JIT_OUT_LOOKUP, /* an indirect jump to .pc is not in the table              */
    JIT_OUT_POLL,   /* a request, or another stamp: at a unit's beginning .pc   */
    JIT_OUT_LEAVE,  /* a callback said so                                       */
    JIT_OUT_FAULT,  /* a callback said so                                       */
    JIT_OUT_ASIDE   /* the owner has to execute what is at .pc                  */
};

enum { JIT_N_RETURNS = 16, JIT_JUMP_BITS = 12, JIT_N_SAVES = 32 };

#define JIT_NO_RETURN UINT64_C(1) /* no instruction begins there                */

/** A unit by the host address of its first byte. */
struct jit_jump_entry {
    uint64_t host;    /* 0: none                                               */
    const void *code;
};

/** What generated code uses beside the guest's registers.  Lies in the guest's state. */
struct jit_state {
    struct sm_tlb_fast *fast;          /* of the vCPU                          */
    const struct sm_tlb_table *data;   /* tables of loads and stores, and of   */
    const struct sm_tlb_table *fetch;  /* fetches: kept right by the owner, in
                                          every callback too, and read again after it */
    uint64_t page;  /* guest address of the page that runs                     */
    uint64_t pc;    /* guest address to go on at, when it returns; exact also in
                       callbacks                                               */
    uint64_t value; /* of a load or store that calls out                       */
    struct jit_exit *exit;             /* with JIT_OUT_LINK                    */
    struct jit_jump_entry *jumps;      /* 1 << JIT_JUMP_BITS                   */
    uint32_t mxcsr_guest;   /* what .fp_enter() said                            */
    uint32_t mxcsr_scratch; /* for moves between MXCSR and a register           */
    uint8_t fp_live;   /* the host's FPU is in the guest's mode                */
    uint8_t fp_ready;  /* .fp_enter() would do nothing but say JIT_GO: the owner sets and
                          clears it, as it does .fp_live where that ends       */
    uint8_t reserved[2];
    int32_t near_budget; /* accesses that may find nothing near, before it is asked
                            whether remembering pays                           */
    uint32_t n_returns; /* of the ring below: index of the top                 */
    uint64_t returns[JIT_N_RETURNS]; /* guest addresses; JIT_NO_RETURN: none    */
    const void *return_code[JIT_N_RETURNS];
    uint64_t save[JIT_N_SAVES]; /* temporaries, while a callback runs or for want
                                   of registers                                */
};

/** What a guest is to its translator; const. */
struct jit_guest {
    uint32_t struct_size;
    uint32_t n_globals;
    const struct jit_global *globals;
    int32_t bias;           /* globals are reached best at guest + bias, -128..127 */
    int32_t state_offset;   /* of struct jit_state                              */
    int32_t count_offset;   /* of the uint64_t that counts retired instructions */

    /** Load or store where the hit path declines.  @mem: enum jit_mem; the value is in
     *  .value of the state, extended as @mem says.  Returns  enum jit_status */
    uint32_t (*load)(void *guest, uint64_t address, uint32_t mem);
    uint32_t (*store)(void *guest, uint64_t address, uint32_t mem);
    /** Fill the TLB for a plain access at @address, if that calls nothing back and cannot
     *  fault.  No register need be at home.
     *  Returns  where @address and the rest of its page are; NULL: by .load, or .store */
    void *(*fill)(void *guest, uint64_t address, uint32_t rw);
    /** The same of rmw (@op: enum sm_rmw), lr and sc.  .value of the state is the operand,
     *  and becomes what the operation gives. */
    uint32_t (*rmw)(void *guest, uint64_t address, uint32_t mem, uint32_t op);
    uint32_t (*lr)(void *guest, uint64_t address, uint32_t mem);
    uint32_t (*sc)(void *guest, uint64_t address, uint32_t mem);
    /** Have the TLB ready for @size bytes of one page, to be read or (@rw: enum jit_rw)
     *  written too.  Returns  JIT_FAULT if they may not be; else JIT_GO, also where
     *           no plain memory answers */
    uint32_t (*touch)(void *guest, uint64_t address, uint32_t size, uint32_t rw);
    /** Make floating point ready: check that it may be used, set .mxcsr_guest to the
     *  rounding mode, all exceptions masked and no flag raised.  Writes no global, and
     *  leaves the TLB as it is.
     *  Returns  enum jit_status; JIT_FAULT also where the host has no such mode: the
     *           owner then executes the instruction */
    uint32_t (*fp_enter)(void *guest);
    /** The host raised @flags (bits of MXCSR) for the guest. */
    void (*fp_flags)(void *guest, uint32_t flags);
};

enum jit_flag {
    JIT_NO_LINK = 1 << 0,    /* every way out returns to the owner              */
    JIT_NO_RETURNS = 1 << 1, /* returns are indirect jumps                      */
    JIT_NO_PINS = 1 << 2,    /* no guest register keeps a host register across units */
    JIT_NO_JUMPS = 1 << 3,   /* indirect jumps return to the owner              */
    JIT_NO_NEAR = 1 << 4     /* accesses do not remember pages by base register */
};

struct jit_options {
    uint32_t struct_size;
    uint32_t flags;          /* enum jit_flag                                   */
    uint32_t opt;            /* enum jit_opt: those to use                      */
    uint32_t seed;           /* not 0: registers are allocated at random        */
    size_t cache_size;       /* bytes of code, at most                          */
    const struct jit_guest *guest;
    void *state;             /* the guest: what .offset counts from             */
    struct jit_perfmap *names; /* whom to tell names of code, or NULL; outlives the jit,
                                and may be others' too                          */
};

/** Whether this host can run generated code. */
bool jit_supported(void);

/** Errors   -ENOTSUP no back end for this host; -ENOMEM */
SM_MUST_CHECK int jit_new(const struct jit_options *options, struct jit **out);
void jit_free(struct jit *jit);

/** What a unit is better made without. */
enum jit_without {
    JIT_WITHOUT_CHECKS = 1 << 0, /* checks that accesses share: they do not hold */
    JIT_WITHOUT_NEAR = 1 << 1    /* pages by base register: they change all the time */
};

/** The IR to build the next unit in, empty.
 *  @without  enum jit_without */
struct jit_ir *jit_begin(struct jit *jit, uint32_t without);

/** Make host code of what was built.
 *
 *  @host    address of its first guest instruction; for indirect jumps
 *  @stamp   the request word that it may begin under
 *  Returns  NULL if the IR overflowed or is refused; or the cache is full, *full */
struct jit_unit *jit_end(struct jit *jit, const void *host, uint32_t stamp, bool *full);

/** What @unit is better made without, as its runs have shown.  If that is anything it does
 *  not begin any more: it polls out, and is to be made again. */
uint32_t jit_unit_refused(const struct jit_unit *unit);
/** Let @unit begin under @stamp from now on. */
void jit_unit_stamp(struct jit *jit, struct jit_unit *unit, uint32_t stamp);
/** End @unit: it is linked from nowhere any more.  Its memory is had back by a reset. */
void jit_unit_end(struct jit *jit, struct jit_unit *unit);
/** Lead @exit, of the last return with JIT_OUT_LINK, to @unit from now on. */
void jit_link(struct jit *jit, struct jit_exit *exit, struct jit_unit *unit);
/** Let indirect jumps find @unit. */
void jit_publish(struct jit *jit, struct jit_unit *unit);

/** Forget where calls return to: translations or privilege changed. */
void jit_forget_returns(struct jit *jit);
/** End all units, and have all of the cache back. */
void jit_reset(struct jit *jit);

/** Run from @unit, at .pc.  (J1) holds before and after.
 *  Returns  enum jit_reason */
enum jit_reason jit_run(struct jit *jit, struct jit_unit *unit);

struct jit_stats {
    uint32_t struct_size, reserved;
    uint64_t units, units_ended, resets, links, guest_insns, host_bytes, cache_used,
        cache_size, sites_used, sites_size, translate_ns;
};
void jit_get_stats(const struct jit *jit, struct jit_stats *out);

/** Have whoever looks at host code know @unit by @name, until it ends. */
void jit_unit_name(struct jit *jit, const struct jit_unit *unit, const char *name);

/** Host code of @unit, where it runs, for who prints it.  Returns its bytes */
size_t jit_unit_code(const struct jit_unit *unit, const void **code);
/** How many bytes of it come before what place @n of the IR became; @n the number of places:
 *  before what is rarely run.  Of the unit made last. */
size_t jit_place_code(const struct jit *jit, unsigned n);

/** Write host code, a line for each instruction if we were built with a disassembler. */
void jit_print_code(const void *code, size_t size, FILE *to);

#endif
