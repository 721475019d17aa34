/* SPDX-License-Identifier: MIT */
/* model.h - holds random units against what optimising made of them. */
#ifndef SM_TESTS_JIT_MODEL_H
#define SM_TESTS_JIT_MODEL_H

#include "ir_random.h"
#include "unit.h"

enum { MODEL_ROUNDS = 4, MODEL_STATE = 512 };
/* So that a page ends in the memory's middle. */
#define MODEL_MEMORY (UINT64_C(0x40001000) - EVAL_MEMORY / 2)

static const struct ir_random model_units = {
    .n_places = 30, .n_calls = 4, .memory_base = MODEL_MEMORY,
    .state_offset = MODEL_STATE, .fp = true, .loops = true, .faults = true,
    .rmw = true, .reserve = true, .behind = true};

/** Whether the two do the same from a random state; *result: what the second does.  If a
 *  check of the second fails, the first is to be there, too. */
static inline bool model_agree(const struct jit_ir *a, const struct jit_ir *b,
                               uint64_t *state, struct ir_result *result)
{
    struct ir_machine x = {.memory_base = MODEL_MEMORY, .state_offset = MODEL_STATE,
                           .call = ir_eval_call, .owner = (void *)(uintptr_t)a};
    struct ir_machine y;
    struct ir_result other;

    ir_random_machine(&x, a, state);
    x.fp_enter = test_below(state, 8) ? JIT_GO : JIT_FAULT;
    y = x;
    ir_eval(b, &y, MODEL_ROUNDS, result);
    if (result->missed)
        ir_eval_until(a, &x, result->rounds, result->at, &other);
    else
        ir_eval(a, &x, MODEL_ROUNDS, &other);
    const bool same_end = result->missed
        ? other.out == EVAL_STOPPED : result->out == other.out && result->pc == other.pc;
    /* The instruction that begins again raises again what it raised before its check. */
    if (result->missed)
        x.fp_flags |= y.fp_flags;
    return same_end && result->retired == other.retired &&
           result->rounds == other.rounds && x.fp_flags == y.fp_flags &&
           !memcmp(x.global, y.global, sizeof(x.global)) &&
           !memcmp(x.memory, y.memory, sizeof(x.memory)) &&
           !memcmp(x.state, y.state, sizeof(x.state));
}

#endif
