/* SPDX-License-Identifier: MIT */
/* translate_fp.c - IR of floating point between registers.
 *
 * The host rounds as frm says while a unit runs (rv_jit_fp_enter), so what rounds by frm,
 * or not at all, is IR, and so are conversions to integers, in any mode; what else names a
 * mode of its own, and what hosts have no instruction for, is a call of the interpreter's
 * function.
 */
#include "riscv/fpu.h"
#include "riscv/translate_impl.h"

#include <stddef.h>

void rv_emit_fenter(struct rv_translation *tr)
{
    if (tr->fp_entered)
        return;
    rv_emit(tr, JIT_OP_fenter, 0, JIT_NONE, JIT_NONE, JIT_NONE);
    tr->fp_entered = true;
}

/** f@n as an operand of @prec: what is no boxed single reads as NaN. */
static jit_reg operand(struct rv_translation *tr, enum jit_prec prec, unsigned n)
{
    jit_reg d;

    if (prec == JIT_DOUBLE)
        return rv_f(n);
    d = rv_temp_fp(tr);
    rv_emit(tr, JIT_OP_funbox, 0, d, rv_f(n), JIT_NONE);
    return d;
}

static jit_reg negated(struct rv_translation *tr, enum jit_prec prec, jit_reg a)
{
    const jit_reg d = rv_temp_fp(tr);

    rv_emit(tr, JIT_OP_fneg, prec, d, a, JIT_NONE);
    return d;
}

/** Whether the instruction rounds as frm says; else it names a mode. */
static bool is_dynamic(const struct rv_translation *tr)
{
    return tr->insn->rm == RV_RM_DYN;
}

/** The same of one whose result is exact: any mode that exists will do. */
static bool is_exact(const struct rv_translation *tr)
{
    return is_dynamic(tr) || tr->insn->rm <= RV_RM_RMM;
}

static bool emit_arith(struct rv_translation *tr, enum jit_op op, enum jit_prec prec)
{
    const struct rv_insn *insn = tr->insn;
    jit_reg a, b;

    if (!is_dynamic(tr))
        return false;
    rv_emit_fenter(tr);
    a = operand(tr, prec, insn->rs1);
    b = op == JIT_OP_fsqrt ? JIT_NONE : operand(tr, prec, insn->rs2);
    rv_emit(tr, op, prec, rv_f(insn->rd), a, b);
    return true;
}

/** @neg_product, @neg_addend: which of the two the instruction negates. */
static bool emit_fma(struct rv_translation *tr, enum jit_prec prec, bool neg_product,
                     bool neg_addend)
{
    const struct rv_insn *insn = tr->insn;
    jit_reg a, b, c;

    if (!is_dynamic(tr))
        return false;
    rv_emit_fenter(tr);
    a = operand(tr, prec, insn->rs1);
    b = operand(tr, prec, insn->rs2);
    c = operand(tr, prec, insn->rs3);
    if (neg_product)
        a = negated(tr, prec, a);
    if (neg_addend)
        c = negated(tr, prec, c);
    jit_ir_emit(tr->ir, JIT_OP_fma, prec, rv_f(insn->rd), a, b, c, 0);
    return true;
}

enum rv_sign { SIGN_OF, SIGN_NOT, SIGN_XOR };

static bool emit_sign(struct rv_translation *tr, enum rv_sign sign, enum jit_prec prec)
{
    const struct rv_insn *insn = tr->insn;
    const jit_reg d = rv_f(insn->rd);
    jit_reg a, b;

    rv_emit_fenter(tr);
    if (insn->rs1 == insn->rs2 && sign == SIGN_OF) { /* fmv */
        rv_emit(tr, prec == JIT_SINGLE ? JIT_OP_funbox : JIT_OP_fmov, 0, d,
                rv_f(insn->rs1), JIT_NONE);
        return true;
    }
    a = operand(tr, prec, insn->rs1);
    if (insn->rs1 == insn->rs2 && sign == SIGN_NOT) { /* fneg */
        rv_emit(tr, JIT_OP_fneg, prec, d, a, JIT_NONE);
        return true;
    }
    b = insn->rs1 == insn->rs2 ? a : operand(tr, prec, insn->rs2);
    if (sign == SIGN_NOT)
        b = negated(tr, prec, b);
    rv_emit(tr, sign == SIGN_XOR ? JIT_OP_fsgnjx : JIT_OP_fsgnj, prec, d, a, b);
    return true;
}

static bool emit_compare(struct rv_translation *tr, enum jit_fcond cond,
                         enum jit_prec prec)
{
    const struct rv_insn *insn = tr->insn;
    jit_reg a, b;

    rv_emit_fenter(tr);
    a = operand(tr, prec, insn->rs1);
    b = operand(tr, prec, insn->rs2);
    jit_ir_emit(tr->ir, JIT_OP_fset, cond, rv_x_to(tr, insn->rd), a, b, JIT_NONE,
                (int32_t)prec);
    return true;
}

/** Bits to or from an integer register. */
static bool emit_bits(struct rv_translation *tr, enum jit_op op, enum jit_prec prec)
{
    const struct rv_insn *insn = tr->insn;

    rv_emit_fenter(tr);
    if (op == JIT_OP_fraw)
        rv_emit(tr, op, prec, rv_f(insn->rd), rv_x(tr, insn->rs1), JIT_NONE);
    else if (insn->rd)
        rv_emit(tr, op, prec, rv_x_to(tr, insn->rd), rv_f(insn->rs1), JIT_NONE);
    return true;
}

/** A number from an integer of 64 bits by @op, or, if @extend is not JIT_OP_mov, from a
 *  word. */
static bool emit_from_int(struct rv_translation *tr, enum jit_op op, enum jit_op extend,
                          enum jit_prec prec)
{
    const struct rv_insn *insn = tr->insn;
    const bool exact = extend != JIT_OP_mov && prec == JIT_DOUBLE;
    jit_reg a;

    if (!(exact ? is_exact(tr) : is_dynamic(tr)))
        return false;
    rv_emit_fenter(tr);
    a = rv_x(tr, insn->rs1);
    if (extend != JIT_OP_mov)
        a = rv_value(tr, extend, JIT_32, a, JIT_NONE);
    rv_emit(tr, op, prec, rv_f(insn->rd), a, JIT_NONE);
    return true;
}

static bool emit_to_int(struct rv_translation *tr, enum jit_int to, enum jit_prec prec)
{
    static const uint8_t rounds[8] = {
        [RV_RM_RNE] = JIT_ROUND_EVEN, [RV_RM_RTZ] = JIT_ROUND_ZERO,
        [RV_RM_RDN] = JIT_ROUND_DOWN, [RV_RM_RUP] = JIT_ROUND_UP,
        [RV_RM_RMM] = JIT_ROUND_AWAY, [RV_RM_DYN] = JIT_ROUND_MODE};
    const struct rv_insn *insn = tr->insn;

    if (!is_exact(tr)) /* a reserved mode */
        return false;
    rv_emit_fenter(tr);
    jit_ir_emit(tr->ir, JIT_OP_ftoi, prec, rv_x_to(tr, insn->rd),
                operand(tr, prec, insn->rs1), JIT_NONE, JIT_NONE,
                JIT_TO(to, rounds[insn->rm]));
    return true;
}

static bool emit_min_max(struct rv_translation *tr, enum jit_op op, enum jit_prec prec)
{
    const struct rv_insn *insn = tr->insn;
    jit_reg a, b;

    rv_emit_fenter(tr);
    a = operand(tr, prec, insn->rs1);
    b = operand(tr, prec, insn->rs2);
    rv_emit(tr, op, prec, rv_f(insn->rd), a, b);
    return true;
}

static bool emit_constant(struct rv_translation *tr, enum jit_prec prec)
{
    const struct rv_insn *insn = tr->insn;
    const uint64_t value = prec == JIT_SINGLE ? rv_f32_constant(insn->rs1)
                                              : rv_f64_constant(insn->rs1);

    rv_emit_fenter(tr);
    rv_emit(tr, JIT_OP_fraw, prec, rv_f(insn->rd), rv_const(tr, value), JIT_NONE);
    return true;
}

static bool emit_precision(struct rv_translation *tr, enum jit_prec from)
{
    const struct rv_insn *insn = tr->insn;
    jit_reg a;

    if (!(from == JIT_SINGLE ? is_exact(tr) : is_dynamic(tr)))
        return false;
    rv_emit_fenter(tr);
    a = operand(tr, from, insn->rs1);
    rv_emit(tr, from == JIT_SINGLE ? JIT_OP_fcvtd : JIT_OP_fcvts, 0, rv_f(insn->rd), a,
            JIT_NONE);
    return true;
}

/** Cases of a format: p is its letter in mnemonics. */
#define CASES(p, prec)                                                                   \
    case RV_OP_fadd_##p: return emit_arith(tr, JIT_OP_fadd, prec);                       \
    case RV_OP_fsub_##p: return emit_arith(tr, JIT_OP_fsub, prec);                       \
    case RV_OP_fmul_##p: return emit_arith(tr, JIT_OP_fmul, prec);                       \
    case RV_OP_fdiv_##p: return emit_arith(tr, JIT_OP_fdiv, prec);                       \
    case RV_OP_fsqrt_##p: return emit_arith(tr, JIT_OP_fsqrt, prec);                     \
    case RV_OP_fmadd_##p: return emit_fma(tr, prec, false, false);                       \
    case RV_OP_fmsub_##p: return emit_fma(tr, prec, false, true);                        \
    case RV_OP_fnmsub_##p: return emit_fma(tr, prec, true, false);                       \
    case RV_OP_fnmadd_##p: return emit_fma(tr, prec, true, true);                        \
    case RV_OP_fsgnj_##p: return emit_sign(tr, SIGN_OF, prec);                           \
    case RV_OP_fsgnjn_##p: return emit_sign(tr, SIGN_NOT, prec);                         \
    case RV_OP_fsgnjx_##p: return emit_sign(tr, SIGN_XOR, prec);                         \
    case RV_OP_feq_##p: return emit_compare(tr, JIT_FEQ, prec);                          \
    case RV_OP_flt_##p: return emit_compare(tr, JIT_FLT, prec);                          \
    case RV_OP_fle_##p: return emit_compare(tr, JIT_FLE, prec);                          \
    case RV_OP_fmin_##p: return emit_min_max(tr, JIT_OP_fmin, prec);                     \
    case RV_OP_fmax_##p: return emit_min_max(tr, JIT_OP_fmax, prec);                     \
    case RV_OP_fli_##p: return emit_constant(tr, prec);                                  \
    case RV_OP_fcvt_w_##p: return emit_to_int(tr, JIT_S32, prec);                        \
    case RV_OP_fcvt_wu_##p: return emit_to_int(tr, JIT_U32, prec);                       \
    case RV_OP_fcvt_l_##p: return emit_to_int(tr, JIT_S64, prec);                        \
    case RV_OP_fcvt_lu_##p: return emit_to_int(tr, JIT_U64, prec);                       \
    case RV_OP_fcvt_##p##_w: return emit_from_int(tr, JIT_OP_fint, JIT_OP_sxt, prec);    \
    case RV_OP_fcvt_##p##_wu: return emit_from_int(tr, JIT_OP_fint, JIT_OP_zxt, prec);   \
    case RV_OP_fcvt_##p##_l: return emit_from_int(tr, JIT_OP_fint, JIT_OP_mov, prec);    \
    case RV_OP_fcvt_##p##_lu: return emit_from_int(tr, JIT_OP_fintu, JIT_OP_mov, prec);

/** Returns  false if it is to be called */
static bool emit_ir(struct rv_translation *tr)
{
    switch (tr->insn->op) {
        CASES(s, JIT_SINGLE)
        CASES(d, JIT_DOUBLE)
    case RV_OP_fcvt_s_d: return emit_precision(tr, JIT_DOUBLE);
    case RV_OP_fcvt_d_s: return emit_precision(tr, JIT_SINGLE);
    case RV_OP_fmv_x_w: return emit_bits(tr, JIT_OP_bits, JIT_SINGLE);
    case RV_OP_fmv_x_d: return emit_bits(tr, JIT_OP_bits, JIT_DOUBLE);
    case RV_OP_fmv_w_x: return emit_bits(tr, JIT_OP_fraw, JIT_SINGLE);
    case RV_OP_fmv_d_x: return emit_bits(tr, JIT_OP_fraw, JIT_DOUBLE);
    default: return false;
    }
}

/* --- fflags and frm ------------------------------------------------------------------- */

enum { FFLAGS = 31 };
SM_STATIC_ASSERT((int)JIT_FINEXACT == RV_FFLAG_NX && (int)JIT_FUNDERFLOW == RV_FFLAG_UF &&
                     (int)JIT_FOVERFLOW == RV_FFLAG_OF &&
                     (int)JIT_FDIVIDE == RV_FFLAG_DZ && (int)JIT_FINVALID == RV_FFLAG_NV,
                 "fflags are IR's");

static jit_reg emit_lds(struct rv_translation *tr, size_t offset)
{
    const jit_reg d = rv_temp(tr);

    jit_ir_emit(tr->ir, JIT_OP_lds, 0, d, JIT_NONE, JIT_NONE, JIT_NONE, (int32_t)offset);
    return d;
}

static void emit_read_fflags(struct rv_translation *tr, jit_reg d)
{
    const jit_reg told = emit_lds(tr, offsetof(struct rv_hart, fflags));

    rv_emit(tr, JIT_OP_or, 0, d, told,
            rv_value(tr, JIT_OP_fflags, 0, JIT_NONE, JIT_NONE));
}

bool rv_translate_fp_csr(struct rv_translation *tr)
{
    const struct rv_insn *insn = tr->insn;
    const bool write = insn->op == RV_OP_csrrw || insn->op == RV_OP_csrrwi;
    const bool read = !insn->rs1 && !write; /* the operand is x0, or 0 */
    jit_reg value, old;

    if (!rv_isa_has(&tr->hart->isa, RV_EXT_F))
        return false;
    if (insn->imm == RV_CSRNO_frm && read) {
        rv_emit_fenter(tr);
        rv_emit(tr, JIT_OP_mov, 0, rv_x_to(tr, insn->rd),
                emit_lds(tr, offsetof(struct rv_hart, frm)), JIT_NONE);
        return true;
    }
    if (insn->imm != RV_CSRNO_fflags || (!read && !write))
        return false;
    rv_emit_fenter(tr);
    if (read) {
        emit_read_fflags(tr, rv_x_to(tr, insn->rd));
        return true;
    }
    value = insn->op == RV_OP_csrrwi ? rv_const(tr, insn->rs1) : rv_x(tr, insn->rs1);
    value = rv_value(tr, JIT_OP_and, 0, value, rv_const(tr, FFLAGS));
    old = rv_temp(tr);
    if (insn->rd)
        emit_read_fflags(tr, old);
    jit_ir_emit(tr->ir, JIT_OP_sts, 0, JIT_NONE, value, JIT_NONE, JIT_NONE,
                (int32_t)offsetof(struct rv_hart, fflags));
    rv_emit(tr, JIT_OP_fforget, 0, JIT_NONE, JIT_NONE, JIT_NONE);
    if (insn->rd)
        rv_emit(tr, JIT_OP_mov, 0, rv_x_to(tr, insn->rd), old, JIT_NONE);
    return true;
}

enum rv_described rv_translate_fp(struct rv_translation *tr)
{
    if (!emit_ir(tr))
        rv_emit_call(tr, rv_jit_exec_fp);
    return RV_DESCRIBED;
}
