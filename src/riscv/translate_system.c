/* SPDX-License-Identifier: MIT */
/* translate_system.c - describes accesses to CSRs that are plain, and calls what else
 * changes control state.
 *
 * What is plain, csr.def says (rv_csr_plain()).  Whether the privilege suffices is asked
 * when the unit runs (U3), once for all of them: it changes only where the unit is left.
 * Where it does not, the interpreter finds the instruction illegal.
 */
#include "riscv/translate_impl.h"

#include <stddef.h>

enum { BYTE = 0, WORD64 = 3 }; /* of enum jit_mem                               */

static jit_reg load_state(struct rv_translation *tr, unsigned mem, size_t offset)
{
    const jit_reg d = rv_temp(tr);

    jit_ir_emit(tr->ir, JIT_OP_lds, mem, d, JIT_NONE, JIT_NONE, JIT_NONE,
                (int32_t)offset);
    return d;
}

static void store_state(struct rv_translation *tr, size_t offset, jit_reg value)
{
    jit_ir_emit(tr->ir, JIT_OP_sts, WORD64, JIT_NONE, value, JIT_NONE, JIT_NONE,
                (int32_t)offset);
}

/** Have the interpreter execute the instruction, of which nothing was done, if @a @cond
 *  @b. */
static void aside_if(struct rv_translation *tr, enum jit_cond cond, jit_reg a, jit_reg b)
{
    jit_ir_emit(tr->ir, JIT_OP_exit_if, cond, JIT_NONE, a, b, JIT_NONE,
                jit_ir_way(tr->ir, JIT_EXIT_ASIDE, tr->offset, false));
}

static void need_priv(struct rv_translation *tr, uint8_t priv)
{
    if (tr->priv >= priv)
        return;
    tr->priv = priv;
    aside_if(tr, JIT_LTU, load_state(tr, BYTE, offsetof(struct rv_hart, priv)),
             rv_const(tr, priv));
}

static jit_reg masked(struct rv_translation *tr, jit_reg a, uint64_t mask)
{
    return mask == UINT64_MAX ? a : rv_value(tr, JIT_OP_and, 0, a, rv_const(tr, mask));
}

/** @a with @bits set, or cleared. */
static jit_reg changed(struct rv_translation *tr, enum rv_csr_op op, jit_reg a,
                       jit_reg bits)
{
    if (op == RV_CSR_SET)
        return rv_value(tr, JIT_OP_or, 0, a, bits);
    bits = jit_is_const(bits) && !tr->ir->overflow
               ? rv_const(tr, ~jit_ir_value(tr->ir, bits))
               : rv_value(tr, JIT_OP_xor, 0, bits, rv_const(tr, UINT64_MAX));
    return rv_value(tr, JIT_OP_and, 0, a, bits);
}

static enum rv_csr_op op_of(const struct rv_insn *insn)
{
    switch (insn->op) {
    case RV_OP_csrrw:
    case RV_OP_csrrwi: return RV_CSR_WRITE;
    case RV_OP_csrrs:
    case RV_OP_csrrsi: return insn->rs1 ? RV_CSR_SET : RV_CSR_READ;
    default: return insn->rs1 ? RV_CSR_CLEAR : RV_CSR_READ;
    }
}

/** Store what the access writes into the field, which holds @field and is read as @old;
 *  they are JIT_NONE where nothing depends on them. */
static void write_plain(struct rv_translation *tr, const struct rv_csr_plain *csr,
                        enum rv_csr_op op, jit_reg field, jit_reg old, jit_reg operand)
{
    jit_reg value = op == RV_CSR_WRITE ? operand : changed(tr, op, old, operand);

    if (csr->write_mask != UINT64_MAX)
        value = rv_value(tr, JIT_OP_or, 0, masked(tr, field, ~csr->write_mask),
                         masked(tr, value, csr->write_mask));
    store_state(tr, csr->offset, value);
}

/** Clear or set interrupt enables. */
static void write_enables(struct rv_translation *tr, const struct rv_csr_plain *csr,
                          enum rv_csr_op op, jit_reg field, uint64_t bits)
{
    store_state(tr, csr->offset, changed(tr, op, field, rv_const(tr, bits)));
}

/** An interrupt that may be pending when enables are set is the interpreter's to see. */
static void nothing_pends(struct rv_translation *tr)
{
    const jit_reg lines = load_state(tr, WORD64, offsetof(struct rv_hart, mip_lines));
    const jit_reg soft = load_state(tr, WORD64, offsetof(struct rv_hart, mip_soft));
    const jit_reg mie = load_state(tr, WORD64, offsetof(struct rv_hart, mie));
    const jit_reg pend = rv_value(tr, JIT_OP_or, 0, lines, soft);

    aside_if(tr, JIT_NE, rv_value(tr, JIT_OP_and, 0, pend, mie), rv_const(tr, 0));
}

static enum rv_described translate_csr(struct rv_translation *tr)
{
    const struct rv_insn *insn = tr->insn;
    const bool immediate = rv_insn_table[insn->op].format == RV_FMT_CSRI;
    const enum rv_csr_op op = op_of(insn);
    struct rv_csr_plain csr = {0};
    jit_reg field = JIT_NONE, old = JIT_NONE;
    bool enables, reads;

    if (rv_translate_fp_csr(tr))
        return RV_DESCRIBED;
    if (!rv_csr_plain(&tr->hart->isa, (unsigned)insn->imm, &csr)) {
        rv_emit_call(tr, rv_jit_exec_csr);
        return RV_DESCRIBED;
    }
    /* Of immediates' five bits others than these change nothing. */
    enables = csr.enables && immediate && (op == RV_CSR_SET || op == RV_CSR_CLEAR);
    if (op != RV_CSR_READ && !csr.writes && !enables) {
        rv_emit_call(tr, rv_jit_exec_csr);
        return RV_DESCRIBED;
    }
    need_priv(tr, csr.priv);
    if (enables && op == RV_CSR_SET && (insn->rs1 & csr.enables))
        nothing_pends(tr);
    reads = insn->rd || (!enables && (op == RV_CSR_SET || op == RV_CSR_CLEAR));
    if (reads || enables || csr.write_mask != UINT64_MAX)
        field = load_state(tr, WORD64, csr.offset);
    if (reads)
        old = masked(tr, field, csr.read_mask);
    if (enables)
        write_enables(tr, &csr, op, field, insn->rs1 & csr.enables);
    else if (op != RV_CSR_READ)
        write_plain(tr, &csr, op, field, old,
                    immediate ? rv_const(tr, insn->rs1) : rv_x(tr, insn->rs1));
    if (insn->rd)
        rv_emit(tr, JIT_OP_mov, 0, rv_x_to(tr, insn->rd), old, JIT_NONE);
    return RV_DESCRIBED;
}

/** What is called seldom goes on behind the instruction, or never. */
static enum rv_described call_last(struct rv_translation *tr,
                                   uint32_t (*function)(void *guest, const void *arg))
{
    rv_emit_call(tr, function);
    return RV_DESCRIBED_LAST;
}

enum rv_described rv_translate_system(struct rv_translation *tr)
{
    switch (tr->insn->op) {
    case RV_OP_csrrw:
    case RV_OP_csrrs:
    case RV_OP_csrrc:
    case RV_OP_csrrwi:
    case RV_OP_csrrsi:
    case RV_OP_csrrci: return translate_csr(tr);
    case RV_OP_fence_i: rv_emit_call(tr, rv_jit_fence_i); return RV_DESCRIBED;
    case RV_OP_sfence_vma:
    case RV_OP_sinval_vma:
    case RV_OP_sfence_w_inval:
    case RV_OP_sfence_inval_ir:
    case RV_OP_ebreak: return call_last(tr, rv_jit_exec_system);
    case RV_OP_ecall: return call_last(tr, rv_jit_ecall);
    case RV_OP_mret: return call_last(tr, rv_jit_mret);
    case RV_OP_sret: return call_last(tr, rv_jit_sret);
    case RV_OP_pause: return RV_DESCRIBED_LAST; /* a safe point early */
    default: return RV_NOT_DESCRIBED;
    }
}
