/* SPDX-License-Identifier: MIT */
/* translate_mem.c - IR of loads, stores, atomics, cache blocks and fences. */
#include "riscv/translate_impl.h"

/** enum jit_mem of a load or store, by its funct3. */
static unsigned mem_of(const struct rv_insn *insn)
{
    enum { UNSIGNED = 4 };
    const unsigned funct3 = rv_insn_table[insn->op].match >> 12 & 7;
    const unsigned bits = funct3 & 3;

    return bits | (bits < 3 && !(funct3 & UNSIGNED) ? JIT_MEM_SIGNED : 0);
}

static void emit_load(struct rv_translation *tr, unsigned mem, jit_reg d)
{
    const struct rv_insn *insn = tr->insn;

    jit_ir_emit(tr->ir, JIT_OP_ld, mem, d, rv_x(tr, insn->rs1), JIT_NONE, JIT_NONE,
                insn->imm);
}

static void emit_store(struct rv_translation *tr, unsigned bits, jit_reg value)
{
    const struct rv_insn *insn = tr->insn;

    jit_ir_emit(tr->ir, JIT_OP_st, bits, JIT_NONE, rv_x(tr, insn->rs1), value, JIT_NONE,
                insn->imm);
}

/** LR, SC or an AMO.  .rm is funct3, 2 or 3: log2 of the bytes. */
static void emit_atomic(struct rv_translation *tr)
{
    const struct rv_insn *insn = tr->insn;
    const unsigned mem = insn->rm | (insn->rm < 3 ? JIT_MEM_SIGNED : 0);
    const jit_reg a = rv_x(tr, insn->rs1), d = rv_x_to(tr, insn->rd);
    enum sm_rmw rmw;

    if (insn->op == RV_OP_lr_w || insn->op == RV_OP_lr_d) {
        /* Loads stay in order: of acquire and release only what comes before matters. */
        if (insn->imm & RV_RL)
            rv_emit(tr, JIT_OP_fence, 0, JIT_NONE, JIT_NONE, JIT_NONE);
        rv_emit(tr, JIT_OP_lr, mem, d, a, JIT_NONE);
    } else if (rv_rmw_of((enum rv_op)insn->op, &rmw)) {
        jit_ir_emit(tr->ir, JIT_OP_rmw, mem, d, a, rv_x(tr, insn->rs2), JIT_NONE,
                    (int32_t)rmw);
    } else {
        rv_emit(tr, JIT_OP_sc, mem, d, a, rv_x(tr, insn->rs2));
    }
}

enum rv_described rv_translate_mem(struct rv_translation *tr)
{
    const struct rv_insn *insn = tr->insn;
    const enum jit_prec prec =
        insn->op == RV_OP_flw || insn->op == RV_OP_fsw ? JIT_SINGLE : JIT_DOUBLE;

    switch ((enum rv_format)rv_insn_table[insn->op].format) {
    case RV_FMT_LOAD:
        emit_load(tr, mem_of(insn), rv_x_to(tr, insn->rd));
        return RV_DESCRIBED;
    case RV_FMT_S:
        emit_store(tr, jit_mem_bits(mem_of(insn)), rv_x(tr, insn->rs2));
        return RV_DESCRIBED;
    case RV_FMT_FLOAD:
        rv_emit_fenter(tr);
        jit_ir_emit(tr->ir, JIT_OP_fld, prec, rv_f(insn->rd), rv_x(tr, insn->rs1),
                    JIT_NONE, JIT_NONE, insn->imm);
        return RV_DESCRIBED;
    case RV_FMT_FSTORE: /* bits as they are, boxed or not */
        rv_emit_fenter(tr);
        jit_ir_emit(tr->ir, JIT_OP_fst, prec, JIT_NONE, rv_x(tr, insn->rs1),
                    rv_f(insn->rs2), JIT_NONE, insn->imm);
        return RV_DESCRIBED;
    case RV_FMT_LR:
    case RV_FMT_AMO: emit_atomic(tr); return RV_DESCRIBED;
    case RV_FMT_CBO:
        rv_emit_call(tr, rv_jit_exec_memory);
        return RV_DESCRIBED;
    case RV_FMT_FENCE: /* what is less than full, hosts keep in order themselves */
        if (rv_fence_is_full(insn->imm))
            rv_emit(tr, JIT_OP_fence, 0, JIT_NONE, JIT_NONE, JIT_NONE);
        return RV_DESCRIBED;
    case RV_FMT_PREFETCH: return RV_DESCRIBED;
    default: return RV_NOT_DESCRIBED;
    }
}
