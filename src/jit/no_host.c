/* SPDX-License-Identifier: MIT */
/* no_host.c - in place of a back end, on hosts that have none: nothing is supported. */
#include "jit/jit_impl.h"

const struct jit_host jit_host_regs = {0};

bool jit_host_hands(const struct jit_insn *from, const struct jit_insn *to)
{
    (void)from;
    (void)to;
    return false;
}

bool jit_host_supported(void)
{
    return false;
}

struct jit_lower *jit_host_new(void)
{
    return NULL;
}

bool jit_host_thunks(struct jit *jit)
{
    (void)jit;
    return false;
}

bool jit_host_emit(struct jit *jit, struct jit_unit *unit, uint32_t stamp, bool *full)
{
    (void)jit;
    (void)unit;
    (void)stamp;
    *full = false;
    return false;
}

void jit_host_link(struct jit *jit, struct jit_exit *exit)
{
    (void)jit;
    (void)exit;
}

void jit_host_stamp(struct jit *jit, struct jit_unit *unit, uint32_t stamp)
{
    (void)jit;
    (void)unit;
    (void)stamp;
}

uint32_t jit_host_fp_take(void)
{
    return 0;
}

void jit_host_fp_give(uint32_t mxcsr)
{
    (void)mxcsr;
}
