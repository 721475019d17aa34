/* SPDX-License-Identifier: MIT */
/* opt_dead.c - one pass from the end to the beginning, which removes pure operations
 * whose result nobody can observe: a temporary that is not read, a global that is written
 * again before any way out, fault or call.
 */
#include "jit/ir.h"

#include "base/base.h"

#include <string.h>

struct live {
    bool global[JIT_MAX_GLOBALS];
    bool temp[JIT_MAX_TEMPS];
};

static bool *live_of(struct live *live, jit_reg reg)
{
    return jit_is_global(reg) ? &live->global[reg] : &live->temp[reg - JIT_TEMP0];
}

static void read_by(struct live *live, jit_reg reg)
{
    if (reg != JIT_NONE && !jit_is_const(reg))
        *live_of(live, reg) = true;
}

/** Go back over @insn.  Returns  whether it is needed */
static bool needed(struct live *live, const struct jit_insn *insn)
{
    const unsigned effects = jit_ops[insn->op].effects;

    if (insn->d != JIT_NONE) {
        bool *d = live_of(live, insn->d);
        if (!*d && !(effects & ~JIT_FX_STATE_R))
            return false;
        *d = false;
    }
    /* Behind the write: what faults leaves its own destination as it was. */
    if (effects & (JIT_FX_EXIT | JIT_FX_FAULT | JIT_FX_SYNC))
        memset(live->global, true, sizeof(live->global));
    read_by(live, insn->a);
    read_by(live, insn->b);
    read_by(live, insn->c);
    return true;
}

void jit_opt_dead(struct jit_ir *ir)
{
    struct live live;
    unsigned first = ir->n_insns;

    if (ir->n_insns == 0)
        return;
    memset(live.global, true, sizeof(live.global));
    memset(live.temp, false, ir->n_temps * sizeof(live.temp[0]));
    for (unsigned i = ir->n_insns; i-- > 0;) {
        if (needed(&live, &ir->insn[i]))
            ir->insn[--first] = ir->insn[i];
    }
    memmove(ir->insn, ir->insn + first, (ir->n_insns - first) * sizeof(*ir->insn));
    ir->n_insns -= first;
}
