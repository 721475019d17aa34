/* SPDX-License-Identifier: MIT */
/* ir_random.h - makes random units that verify, and random states for them. */
#ifndef SM_TESTS_JIT_IR_RANDOM_H
#define SM_TESTS_JIT_IR_RANDOM_H

#include "ir_eval.h"

struct ir_random {
    unsigned n_places;      /* up to so many guest instructions, from 1            */
    unsigned n_calls;       /* callees to choose from; 0: none                     */
    uint64_t memory_base;   /* most accesses are to [this, + EVAL_MEMORY)          */
    int32_t state_offset;   /* of EVAL_STATE bytes                                 */
    int32_t told_offset;    /* of the byte of flags that the owner was told of; 0: what
                               raises flags does not ask for them, or drop them    */
    uint64_t device_base;   /* some accesses are to [this, + 264); 0: none         */
    jit_reg fuel;           /* 0, or the global that units count down where they
                               begin, to leave aside at 0; they do not write it else */
    bool fp, loops, faults; /* what there may be                                   */
    bool rmw, reserve;      /* the same: rmw, and lr and sc                        */
    bool behind;            /* the same: what lies behind the page                 */
    bool single;            /* an instruction accesses memory or writes state once,
                               so that it may begin again behind that          */
};

/** Fill @ir, of whose globals at least two are integers and, with .fp, two floats.
 *  @state   of the random numbers */
void ir_random_unit(struct jit_ir *ir, uint64_t *state, const struct ir_random *random);

/** Make @to the same unit as @from. */
void ir_copy_unit(struct jit_ir *to, const struct jit_ir *from);

/** A number that arithmetic finds interesting. */
uint64_t ir_random_number(uint64_t *state);

/** Set the globals, memory and state of @machine, its page and what is behind; nothing
 *  else. */
void ir_random_machine(struct ir_machine *machine, const struct jit_ir *ir,
                       uint64_t *state);

#endif
