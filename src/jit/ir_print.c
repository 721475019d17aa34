/* SPDX-License-Identifier: MIT */
/* ir_print.c - a unit's IR as text. */
#include "jit/ir.h"

void jit_ir_print(const struct jit_ir *ir, FILE *to)
{
    for (unsigned i = 0; i < ir->n_insns; i++)
        fprintf(to, "%s\n", jit_ops[ir->insn[i].op].name);
}
