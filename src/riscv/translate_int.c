/* SPDX-License-Identifier: MIT */
/* translate_int.c - IR of integer instructions between registers.
 *
 * Most are one operation of the IR, which was chosen so; the table says which.  The
 * operations on words are those on 64 bits between extensions.
 */
#include "riscv/translate_impl.h"

/** How the operands of a row's operation are made, and its result. */
enum rv_shape {
    SHAPE_NONE, /* it has no row                                               */
    RR,     /* rs1, rs2                                                        */
    RI,     /* rs1, imm                                                        */
    R1,     /* rs1                                                             */
    R1Z,    /* rs1, a zero-extended word                                       */
    RRW,    /* rs1, rs2; the result's low word is sign-extended                */
    RIW,    /* rs1, imm; the same                                              */
    SSW,    /* both sign-extended words; the same                              */
    ZZW,    /* both zero-extended words; the same                              */
    NOT2,   /* rs1, complement of rs2                                          */
    BIT,    /* rs1, a bit of number rs2                                        */
    BITI,   /* rs1, a bit of number imm                                        */
    HOLE,   /* rs1, all but bit rs2                                            */
    HOLEI,  /* rs1, all but bit imm                                            */
    SHADD,  /* (rs1 << aux) + rs2                                              */
    SHADDZ, /* the same of a zero-extended word                                */
    SHZ,    /* zero-extended word shifted by rs2 % 32; sign-extended           */
    SHS,    /* the same of a sign-extended one                                 */
    SHZI,   /* the same two by imm                                             */
    SHSI
};

struct rv_int_row {
    uint8_t shape, op, aux;
};

#define ROW(name, shape, op)          [RV_OP_##name] = {shape, JIT_OP_##op, 0}
#define ROW_AUX(name, shape, op, aux) [RV_OP_##name] = {shape, JIT_OP_##op, aux}

static const struct rv_int_row rows[RV_N_OPS] = {
    /* RV64I */
    ROW(addi, RI, add), ROW(xori, RI, xor), ROW(ori, RI, or), ROW(andi, RI, and),
    ROW_AUX(slti, RI, set, JIT_LT), ROW_AUX(sltiu, RI, set, JIT_LTU),
    ROW(slli, RI, shl), ROW(srli, RI, shr), ROW(srai, RI, sar),
    ROW(addiw, RIW, add), ROW(slliw, RIW, shl), ROW(srliw, SHZI, shr),
    ROW(sraiw, SHSI, sar),
    ROW(add, RR, add), ROW(sub, RR, sub), ROW(sll, RR, shl),
    ROW_AUX(slt, RR, set, JIT_LT), ROW_AUX(sltu, RR, set, JIT_LTU),
    ROW(xor, RR, xor), ROW(srl, RR, shr), ROW(sra, RR, sar), ROW(or, RR, or),
    ROW(and, RR, and),
    ROW(addw, RRW, add), ROW(subw, RRW, sub), ROW(sllw, SHZ, shl), ROW(srlw, SHZ, shr),
    ROW(sraw, SHS, sar),
    /* M: quotients of words exist in 64 bits, and divisions by zero give the same */
    ROW(mul, RR, mul), ROW(mulh, RR, mulhs), ROW(mulhsu, RR, mulhsu),
    ROW(mulhu, RR, mulhu), ROW(div, RR, divs), ROW(divu, RR, divu), ROW(rem, RR, rems),
    ROW(remu, RR, remu),
    ROW(mulw, RRW, mul), ROW(divw, SSW, divs), ROW(divuw, ZZW, divu),
    ROW(remw, SSW, rems), ROW(remuw, ZZW, remu),
    /* Zba */
    ROW_AUX(add_uw, SHADDZ, add, 0), ROW_AUX(sh1add, SHADD, add, 1),
    ROW_AUX(sh2add, SHADD, add, 2), ROW_AUX(sh3add, SHADD, add, 3),
    ROW_AUX(sh1add_uw, SHADDZ, add, 1), ROW_AUX(sh2add_uw, SHADDZ, add, 2),
    ROW_AUX(sh3add_uw, SHADDZ, add, 3),
    /* Zbb */
    ROW(andn, NOT2, and), ROW(orn, NOT2, or), ROW(xnor, NOT2, xor),
    ROW(clz, R1, clz), ROW(ctz, R1, ctz), ROW(cpop, R1, popcnt),
    ROW(cpopw, R1Z, popcnt),
    ROW_AUX(sext_b, R1, sxt, JIT_8), ROW_AUX(sext_h, R1, sxt, JIT_16),
    ROW_AUX(zext_h, R1, zxt, JIT_16), ROW(rev8, R1, bswap),
    ROW(min, RR, mins), ROW(minu, RR, minu), ROW(max, RR, maxs), ROW(maxu, RR, maxu),
    ROW(rol, RR, rol), ROW(ror, RR, ror), ROW(rori, RI, ror),
    ROW(rolw, RR, rolw), ROW(rorw, RR, rorw), ROW(roriw, RI, rorw),
    /* Zbs */
    ROW(bclr, HOLE, and), ROW(bclri, HOLEI, and), ROW(binv, BIT, xor),
    ROW(binvi, BITI, xor), ROW(bset, BIT, or), ROW(bseti, BITI, or),
};

static jit_reg rs1(struct rv_translation *tr)
{
    return rv_x(tr, tr->insn->rs1);
}

static jit_reg rs2(struct rv_translation *tr)
{
    return rv_x(tr, tr->insn->rs2);
}

static jit_reg imm(struct rv_translation *tr)
{
    return rv_const(tr, (uint64_t)(int64_t)tr->insn->imm);
}

static jit_reg word_s(struct rv_translation *tr, jit_reg a)
{
    return rv_value(tr, JIT_OP_sxt, JIT_32, a, JIT_NONE);
}

static jit_reg word_z(struct rv_translation *tr, jit_reg a)
{
    return rv_value(tr, JIT_OP_zxt, JIT_32, a, JIT_NONE);
}

/** @d = @a @op @b, sign-extended from its low word. */
static void emit_word(struct rv_translation *tr, enum jit_op op, jit_reg d, jit_reg a,
                      jit_reg b)
{
    rv_emit(tr, JIT_OP_sxt, JIT_32, d, rv_value(tr, op, 0, a, b), JIT_NONE);
}

/** Shapes that take words and shift them. */
static void emit_shifted_word(struct rv_translation *tr, const struct rv_int_row *row,
                              jit_reg d)
{
    const enum jit_op op = (enum jit_op)row->op;
    jit_reg a = rs1(tr);

    switch ((enum rv_shape)row->shape) {
    case SHZ:
    case SHS:
        if (op != JIT_OP_shl) /* which takes nothing from the high half */
            a = row->shape == SHZ ? word_z(tr, a) : word_s(tr, a);
        emit_word(tr, op, d, a, rv_value(tr, JIT_OP_and, 0, rs2(tr), rv_const(tr, 31)));
        break;
    case SHZI:
        if (tr->insn->imm) /* what comes in is the sign */
            rv_emit(tr, op, 0, d, word_z(tr, a), imm(tr));
        else
            rv_emit(tr, JIT_OP_sxt, JIT_32, d, a, JIT_NONE);
        break;
    case SHSI: rv_emit(tr, op, 0, d, word_s(tr, a), imm(tr)); break;
    default: break;
    }
}

/** Shapes that make the second operand first. */
static void emit_with(struct rv_translation *tr, const struct rv_int_row *row, jit_reg d)
{
    const uint64_t bit = UINT64_C(1) << (tr->insn->imm & 63);
    jit_reg b = JIT_NONE;

    switch ((enum rv_shape)row->shape) {
    case NOT2:
        b = rv_value(tr, JIT_OP_xor, 0, rs2(tr), rv_const(tr, UINT64_MAX));
        break;
    case BIT: b = rv_value(tr, JIT_OP_shl, 0, rv_const(tr, 1), rs2(tr)); break;
    case BITI: b = rv_const(tr, bit); break;
    case HOLE:
        b = rv_value(tr, JIT_OP_rol, 0, rv_const(tr, ~UINT64_C(1)), rs2(tr));
        break;
    case HOLEI: b = rv_const(tr, ~bit); break;
    default: break;
    }
    rv_emit(tr, (enum jit_op)row->op, 0, d, rs1(tr), b);
}

static void emit_row(struct rv_translation *tr, const struct rv_int_row *row, jit_reg d)
{
    const enum jit_op op = (enum jit_op)row->op;
    jit_reg a;

    switch ((enum rv_shape)row->shape) {
    case RR: rv_emit(tr, op, row->aux, d, rs1(tr), rs2(tr)); break;
    case RI: rv_emit(tr, op, row->aux, d, rs1(tr), imm(tr)); break;
    case R1: rv_emit(tr, op, row->aux, d, rs1(tr), JIT_NONE); break;
    case R1Z: rv_emit(tr, op, 0, d, word_z(tr, rs1(tr)), JIT_NONE); break;
    case RRW: emit_word(tr, op, d, rs1(tr), rs2(tr)); break;
    case RIW: emit_word(tr, op, d, rs1(tr), imm(tr)); break;
    case SSW:
        a = word_s(tr, rs1(tr));
        emit_word(tr, op, d, a, word_s(tr, rs2(tr)));
        break;
    case ZZW:
        a = word_z(tr, rs1(tr));
        emit_word(tr, op, d, a, word_z(tr, rs2(tr)));
        break;
    case SHADD:
    case SHADDZ:
        a = row->shape == SHADDZ ? word_z(tr, rs1(tr)) : rs1(tr);
        if (row->aux)
            a = rv_value(tr, JIT_OP_shl, 0, a, rv_const(tr, row->aux));
        rv_emit(tr, op, 0, d, a, rs2(tr));
        break;
    case SHZ:
    case SHS:
    case SHZI:
    case SHSI:
        emit_shifted_word(tr, row, d);
        break;
    default: emit_with(tr, row, d); break;
    }
}

/** 0xff for each byte that is not 0. */
static void emit_orc_b(struct rv_translation *tr, jit_reg d)
{
    const jit_reg low = rv_const(tr, UINT64_C(0x7f7f7f7f7f7f7f7f));
    const jit_reg top = rv_const(tr, UINT64_C(0x8080808080808080));
    jit_reg bytes = rv_value(tr, JIT_OP_and, 0, rs1(tr), low);

    bytes = rv_value(tr, JIT_OP_add, 0, bytes, low);
    bytes = rv_value(tr, JIT_OP_or, 0, bytes, rs1(tr));
    bytes = rv_value(tr, JIT_OP_and, 0, bytes, top); /* 0x80 in those not 0 */
    bytes = rv_value(tr, JIT_OP_shr, 0, bytes, rv_const(tr, 7));
    rv_emit(tr, JIT_OP_mul, 0, d, bytes, rv_const(tr, 0xff));
}

/** What has no row.  Returns  false if it is no instruction of this file */
static bool emit_rowless(struct rv_translation *tr, jit_reg d)
{
    jit_reg t;

    switch (tr->insn->op) {
    case RV_OP_lui:
        rv_emit(tr, JIT_OP_mov, 0, d, imm(tr), JIT_NONE);
        return true;
    case RV_OP_auipc:
        jit_ir_emit(tr->ir, JIT_OP_here, 0, d, JIT_NONE, JIT_NONE, JIT_NONE,
                    tr->offset + tr->insn->imm);
        return true;
    case RV_OP_slli_uw:
        rv_emit(tr, JIT_OP_shl, 0, d, word_z(tr, rs1(tr)), imm(tr));
        return true;
    case RV_OP_clzw:
        t = rv_value(tr, JIT_OP_clz, 0, word_z(tr, rs1(tr)), JIT_NONE);
        rv_emit(tr, JIT_OP_sub, 0, d, t, rv_const(tr, 32));
        return true;
    case RV_OP_ctzw: /* of 0: that of the bit above */
        t = rv_value(tr, JIT_OP_or, 0, rs1(tr), rv_const(tr, UINT64_C(1) << 32));
        rv_emit(tr, JIT_OP_ctz, 0, d, t, JIT_NONE);
        return true;
    case RV_OP_orc_b: emit_orc_b(tr, d); return true;
    case RV_OP_bext:
        t = rv_value(tr, JIT_OP_shr, 0, rs1(tr), rs2(tr));
        rv_emit(tr, JIT_OP_and, 0, d, t, rv_const(tr, 1));
        return true;
    case RV_OP_bexti:
        t = rv_value(tr, JIT_OP_shr, 0, rs1(tr), imm(tr));
        rv_emit(tr, JIT_OP_and, 0, d, t, rv_const(tr, 1));
        return true;
    case RV_OP_czero_eqz:
        jit_ir_emit(tr->ir, JIT_OP_sel, 0, d, rs2(tr), rs1(tr), rv_const(tr, 0), 0);
        return true;
    case RV_OP_czero_nez:
        jit_ir_emit(tr->ir, JIT_OP_sel, 0, d, rs2(tr), rv_const(tr, 0), rs1(tr), 0);
        return true;
    default: return false;
    }
}

/** Copies and constants are spelled as additions.  Returns  whether this is one */
static bool emit_move(struct rv_translation *tr, jit_reg d)
{
    const struct rv_insn *insn = tr->insn;

    if (insn->op == RV_OP_addi && (!insn->rs1 || !insn->imm))
        rv_emit(tr, JIT_OP_mov, 0, d, insn->rs1 ? rs1(tr) : imm(tr), JIT_NONE);
    else if (insn->op == RV_OP_add && (!insn->rs1 || !insn->rs2))
        rv_emit(tr, JIT_OP_mov, 0, d, insn->rs1 ? rs1(tr) : rs2(tr), JIT_NONE);
    else if (insn->op == RV_OP_addiw && !insn->imm)
        rv_emit(tr, JIT_OP_sxt, JIT_32, d, rs1(tr), JIT_NONE);
    else
        return false;
    return true;
}

enum rv_described rv_translate_int(struct rv_translation *tr)
{
    const struct rv_int_row *row = &rows[tr->insn->op];
    const unsigned rd = tr->insn->rd;
    const jit_reg d = rd ? rv_x_to(tr, rd) : JIT_NONE;

    switch (tr->insn->op) {
    case RV_OP_clmul:
    case RV_OP_clmulh:
    case RV_OP_clmulr:
        if (rd)
            rv_emit_call(tr, rv_jit_exec_clmul);
        return RV_DESCRIBED;
    default: break;
    }
    if (!rd) /* a hint at most */
        return RV_DESCRIBED;
    if (emit_move(tr, d))
        return RV_DESCRIBED;
    if (row->shape != SHAPE_NONE)
        emit_row(tr, row, d);
    else if (!emit_rowless(tr, d))
        return RV_NOT_DESCRIBED;
    return RV_DESCRIBED;
}
