/* SPDX-License-Identifier: MIT */
/* ir_table.c - ir.def as data. */
#include "jit/ir.h"

#define CLASS__ JIT_CLASS_NONE
#define CLASS_I JIT_CLASS_INT
#define CLASS_F JIT_CLASS_FP

const struct jit_op_row jit_ops[JIT_N_OPS] = {
#define JIT_OP(name, d, a, b, c, aux, effects)                                           \
    {#name, CLASS_##d, CLASS_##a, CLASS_##b, CLASS_##c, JIT_AUX_##aux, effects},
#include "jit/ir.def"
#undef JIT_OP
};
