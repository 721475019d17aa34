/* SPDX-License-Identifier: MIT */
/* host_model.h - random programs of a few units for a guest that is nothing but registers:
 * its memory, its device, its callees, for the model (ir_eval.h) and for host code.
 */
#ifndef SM_TESTS_JIT_HOST_MODEL_H
#define SM_TESTS_JIT_HOST_MODEL_H

#include "ir_random.h"

#include "jit/jit_impl.h"

#include <stddef.h>

enum { N_INTS = 14, N_FPS = 6, N_GLOBALS = N_INTS + N_FPS, FUEL = N_INTS - 1 };
enum { MAX_UNITS = 6, MAX_CALLS = 5, MAX_POLLS = 3, FULL_TANK = 24, WINDOW = EVAL_MEMORY / 2 };
/** Two pages of memory, of which EVAL_MEMORY bytes around their border count, and one of a
 *  device. */
#define MEMORY_PAGE UINT64_C(0x40000000)
#define MEMORY_BASE (MEMORY_PAGE + SM_PAGE_SIZE - WINDOW)
#define DEVICE_PAGE UINT64_C(0x7fff8000)

struct host_guest {
    uint64_t reg[N_GLOBALS];
    uint64_t count;
    uint8_t state[EVAL_STATE];
    struct jit_state st;
    uint8_t fp_flags; /* enum jit_fflag: those that the owner was told of         */
};
enum { STATE_OFFSET = offsetof(struct host_guest, state),
       TOLD_OFFSET = offsetof(struct host_guest, fp_flags) };

/** Both sides' view of one run. */
struct model {
    struct ir_machine machine; /* first: callbacks find the rest by it             */
    uint64_t log;              /* of what callbacks were asked, and what they saw  */
    unsigned n_logged;
};

extern const struct jit_global host_globals[N_GLOBALS];

/** A program: units, and where they are: on two pages of host memory. */
struct program {
    unsigned n;
    struct jit_ir ir[MAX_UNITS];   /* as it was made                               */
    unsigned page[MAX_UNITS];      /* which of the two                             */
    int32_t start[MAX_UNITS];
    int64_t distance;              /* from the first guest page to the second      */
};

void program_init(struct program *program);
void program_fini(struct program *program);
/** Make another program.  @alone: its vCPU has no others */
void program_random(struct program *program, uint64_t *state, bool alone);
/** The unit that begins at @offset of page @page, or -1. */
int program_find(const struct program *program, unsigned page, uint64_t offset);

/** What calls and accesses of the device do, to either side. */
uint32_t model_call(struct ir_machine *machine, unsigned call);
uint32_t model_access(struct ir_machine *machine, uint64_t address, unsigned mem,
                      bool store, uint64_t *value);

#endif
