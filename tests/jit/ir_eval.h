/* SPDX-License-Identifier: MIT */
/* ir_eval.h - does what a unit says, slowly and obviously: the model that the optimiser
 * and the back ends are held against.
 */
#ifndef SM_TESTS_JIT_IR_EVAL_H
#define SM_TESTS_JIT_IR_EVAL_H

#include "jit/jit.h"

enum { EVAL_MEMORY = 1024, EVAL_STATE = 64 };

/** All that a unit can see.  Set what is used; .global and the two arrays are what it
 *  changes. */
struct ir_machine {
    uint64_t global[JIT_MAX_GLOBALS];
    uint64_t page;              /* guest address of the unit's page                */
    uint64_t behind;            /* what lies behind it, as that operation gives it  */
    uint64_t memory_base;       /* guest address of .memory; all else faults       */
    uint8_t memory[EVAL_MEMORY];
    int32_t state_offset;       /* .state begins there, as lds and sts count       */
    uint8_t state[EVAL_STATE];
    uint32_t writable;          /* bytes of .memory from its beginning; 0: all     */
    uint64_t held, held_value;  /* reserved by lr, of .holds bytes; misaligned, that
                                   faults, as does what is not in .memory          */
    unsigned holds;
    uint64_t pc;                /* set by a callee that says JIT_JUMPED            */
    uint64_t counted;           /* instructions before; for                        */
    uint64_t at_pc, at_retired; /* where .call and .access are                     */
    bool requested;             /* whoever sets it has loops end                   */
    uint64_t missed;            /* address of what was last not in .memory         */
    /** Accesses what is not in .memory, to *value; NULL: faults.  Returns  enum
     *  jit_status */
    uint32_t (*access)(struct ir_machine *machine, uint64_t address, unsigned mem,
                       bool store, uint64_t *value);
    /** Does call number @call of the unit.  Returns  enum jit_status */
    uint32_t (*call)(struct ir_machine *machine, unsigned call);
    uint32_t fp_enter;          /* enum jit_status that fenter gives               */
    uint32_t fp_flags;          /* what floating point raised, EVAL_FP_*           */
    int32_t told_offset;        /* 0, or where lds and sts find .told: a byte      */
    uint8_t told;               /* enum jit_fflag; nothing but sts tells the owner */
    void *owner;                /* for .call                                       */
};

/** As bits of MXCSR. */
enum { EVAL_FP_INVALID = 1, EVAL_FP_DIVIDE = 4, EVAL_FP_OVERFLOW = 8,
       EVAL_FP_UNDERFLOW = 16, EVAL_FP_INEXACT = 32 };

/** These flags as enum jit_fflag. */
uint32_t ir_eval_fflags(uint32_t fp_flags);

enum ir_out {
    EVAL_LEFT,     /* by a near or far way, or a jump                              */
    EVAL_ASIDE,    /* by such a way, or a check that failed                        */
    EVAL_FAULT,    /* .pc at the instruction                                       */
    EVAL_LEAVE,    /* a callee said so                                             */
    EVAL_JUMPED,
    EVAL_ROUNDS,   /* at the beginning again, after as many rounds as allowed      */
    EVAL_POLL,     /* at the beginning again, and .requested                       */
    EVAL_STOPPED,  /* before the first operation of the place that was given       */
    EVAL_BROKEN    /* the unit did what none may: .why                             */
};

struct ir_result {
    enum ir_out out;
    uint64_t pc;
    uint64_t retired;  /* guest instructions                                       */
    unsigned rounds;   /* done                                                     */
    unsigned at;       /* place where it left                                      */
    bool missed;       /* because of a check                                       */
    const char *why;
};

/** Run @ir, which verifies, until it leaves, or has begun @max_rounds times. */
void ir_eval(const struct jit_ir *ir, struct ir_machine *machine, unsigned max_rounds,
             struct ir_result *result);

/** The same, but stop in round @round, counted from 0, where @place begins. */
void ir_eval_until(const struct jit_ir *ir, struct ir_machine *machine, unsigned round,
                   unsigned place, struct ir_result *result);

/** What @op makes of @bits bits @old; above those, anything. */
uint64_t ir_eval_modified(enum sm_rmw op, unsigned bits, uint64_t old, uint64_t operand);

/** A callee for .call: changes globals of integers, memory and state, depending on them
 *  and on its number, and mostly goes on.  @ir's globals are .owner. */
uint32_t ir_eval_call(struct ir_machine *machine, unsigned call);

#endif
