/* SPDX-License-Identifier: MIT */
/* translate.c - chooses traces. */
#include "riscv/translate.h"

const struct jit_guest rv_jit_guest = {.struct_size = sizeof(rv_jit_guest)};

bool rv_translate(struct rv_hart *hart, const uint8_t *page, unsigned offset,
                  struct jit_ir *ir, struct rv_trace *trace)
{
    return false;
}
