/* SPDX-License-Identifier: MIT */
/* translate_impl.h - a trace while it is described, and how instructions say it in IR.
 *
 * Layer: riscv, private to the translator.
 */
#ifndef RISCV_TRANSLATE_IMPL_H
#define RISCV_TRANSLATE_IMPL_H

#include "riscv/interp_impl.h"
#include "riscv/translate.h"

struct rv_translation {
    struct rv_hart *hart;
    struct jit_ir *ir;
    struct rv_trace *trace;
    const uint8_t *behind;      /* the bytes behind the page; NULL: nowhere      */
    const struct rv_insn *insn; /* the one to describe                          */
    int offset, next;           /* of it and of the one after it in memory      */
    bool fp_entered; /* a fenter comes before, and no call in between           */
    uint8_t priv;    /* the hart's is at least this, was found: it never changes
                        within a unit                                          */
    uint64_t seen[SM_PAGE_SIZE / 2 / 64]; /* halfwords at which an instruction
                                             of the trace begins                */
};

/** Whether and how one file describes an instruction. */
enum rv_described {
    RV_DESCRIBED,      /* go on behind it                                       */
    RV_DESCRIBED_LAST, /* leave behind it                                       */
    RV_NOT_DESCRIBED   /* the interpreter has to execute it                     */
};

enum rv_described rv_translate_int(struct rv_translation *tr);
enum rv_described rv_translate_mem(struct rv_translation *tr);
enum rv_described rv_translate_fp(struct rv_translation *tr);
enum rv_described rv_translate_system(struct rv_translation *tr);
/** Returns  false if it is no access to a CSR of floating point that is IR */
bool rv_translate_fp_csr(struct rv_translation *tr);

/** Make floating point ready, unless it is: also where FS is only to be checked. */
void rv_emit_fenter(struct rv_translation *tr);
/** Call @function with a copy of the instruction. */
void rv_emit_call(struct rv_translation *tr,
                  uint32_t (*function)(void *guest, const void *arg));

SM_INLINE void rv_emit(struct rv_translation *tr, enum jit_op op, unsigned aux, jit_reg d,
                       jit_reg a, jit_reg b)
{
    jit_ir_emit(tr->ir, op, aux, d, a, b, JIT_NONE, 0);
}

SM_INLINE jit_reg rv_const(struct rv_translation *tr, uint64_t value)
{
    return jit_ir_const(tr->ir, value);
}

SM_INLINE jit_reg rv_temp(struct rv_translation *tr)
{
    return jit_ir_temp(tr->ir, JIT_CLASS_INT);
}

SM_INLINE jit_reg rv_temp_fp(struct rv_translation *tr)
{
    return jit_ir_temp(tr->ir, JIT_CLASS_FP);
}

/** x@n to read. */
SM_INLINE jit_reg rv_x(struct rv_translation *tr, unsigned n)
{
    return n ? (jit_reg)(RV_G_X0 + n) : rv_const(tr, 0);
}

/** x@n to write: of x0 nothing is read again. */
SM_INLINE jit_reg rv_x_to(struct rv_translation *tr, unsigned n)
{
    return n ? (jit_reg)(RV_G_X0 + n) : rv_temp(tr);
}

SM_INLINE jit_reg rv_f(unsigned n)
{
    return (jit_reg)(RV_G_F0 + n);
}

/** A temporary that holds @a @op @b, or @op @a. */
SM_INLINE jit_reg rv_value(struct rv_translation *tr, enum jit_op op, unsigned aux,
                           jit_reg a, jit_reg b)
{
    const jit_reg d = rv_temp(tr);

    rv_emit(tr, op, aux, d, a, b);
    return d;
}

#endif
