/* SPDX-License-Identifier: MIT */
/* x64_convert.c - turns conversions of integers and of precisions into SSE instructions,
 * and flags into integers.
 *
 * To integers.  Where the host converts what is out of range it raises invalid alone, as
 * it should, and gives the smallest integer, by which that is seen.  It knows no unsigned
 * ones, though, and rounds as MXCSR says or toward zero.  What remains is made of roundss
 * and roundsd, which need not raise inexact: first a value is rounded quietly, then its
 * range is known, then inexact is raised if all is well.
 */
#include "jit/x64_impl.h"

/* --- Numbers -------------------------------------------------------------------------- */

/** 2^@exp in @xmm. */
static void power(struct jit_lower *l, unsigned xmm, bool d, unsigned exp)
{
    x64_fp_constant(l, xmm, d ? (uint64_t)(1023 + exp) << 52 : (uint64_t)(127 + exp) << 23);
}

static void zero(struct jit_lower *l, unsigned xmm)
{
    x64_ps_rr(&l->a, X64_XORPS, xmm, xmm);
}

/** Have @a in @xmm, which is neither it nor xmm2, rounded: raises at most invalid, where
 *  that is right.  Uses xmm2. */
static void round_quietly(struct jit_lower *l, bool d, unsigned xmm, unsigned a,
                          enum jit_round round)
{
    static const uint8_t modes[JIT_N_ROUNDS] = {
        [JIT_ROUND_MODE] = X64_ROUND_CURRENT, [JIT_ROUND_EVEN] = X64_ROUND_EVEN,
        [JIT_ROUND_DOWN] = X64_ROUND_DOWN, [JIT_ROUND_UP] = X64_ROUND_UP,
        [JIT_ROUND_ZERO] = X64_ROUND_ZERO, [JIT_ROUND_AWAY] = X64_ROUND_ZERO};

    x64_round(&l->a, d, xmm, a, modes[round] | X64_ROUND_QUIET);
    if (round != JIT_ROUND_AWAY)
        return;
    /* Twice the rest, without its fraction, is -1, 0 or 1.  All of this is exact; of
     * infinities it is invalid, which is what they are. */
    x64_movaps(&l->a, X64_XMM2, a);
    x64_sse_rr(&l->a, X64_FSUB, d, X64_XMM2, xmm);
    x64_sse_rr(&l->a, X64_FADD, d, X64_XMM2, X64_XMM2);
    x64_round(&l->a, d, X64_XMM2, X64_XMM2, X64_ROUND_ZERO | X64_ROUND_QUIET);
    x64_sse_rr(&l->a, X64_FADD, d, xmm, X64_XMM2);
}

/** Raise inexact if @a, a number, has a fraction.  Uses xmm0. */
static void raise_inexact(struct jit_lower *l, bool d, unsigned a)
{
    x64_round(&l->a, d, X64_XMM0, a, X64_ROUND_CURRENT);
}

/** Raise invalid.  Uses xmm0. */
static void raise_invalid(struct jit_lower *l)
{
    zero(l, X64_XMM0);
    x64_sse_rr(&l->a, X64_FDIV, false, X64_XMM0, X64_XMM0);
}

/* --- To signed integers --------------------------------------------------------------- */

static bool is_direct(enum jit_round round)
{
    return round == JIT_ROUND_MODE || round == JIT_ROUND_ZERO;
}

static void to_signed(struct jit_lower *l, const struct jit_insn *insn)
{
    const enum jit_round round = jit_to_round(insn->imm);
    const bool d = insn->aux == JIT_DOUBLE, w = jit_to_int(insn->imm) == JIT_S64;
    const unsigned a = x64_fp_use(l, insn->a, X64_XMM1);
    const unsigned target = x64_target(l, insn->d, X64_RAX);
    struct x64_cold *const cold = x64_cold(l, X64_COLD_TO_SIGNED, insn);

    if (is_direct(round)) {
        x64_cvt_if(&l->a, d, w, round == JIT_ROUND_ZERO, target, a);
    } else {
        round_quietly(l, d, X64_XMM0, a, round);
        x64_cvt_if(&l->a, d, w, true, target, X64_XMM0);
    }
    x64_alu_ri(&l->a, X64_CMP, w, target, 1); /* overflows for the smallest alone */
    x64_jcc(&l->a, X64_O, &cold->enter);
    if (!is_direct(round))
        raise_inexact(l, d, a);
    x64_bind(&l->a, &cold->back);
    if (!w)
        x64_extend(&l->a, 2, true, target, target);
    x64_done(l, insn->d, target);
}

/** The result is the smallest integer: that may be right, and else invalid was raised. */
static void cold_to_signed(struct jit_lower *l, struct x64_cold *cold)
{
    const struct jit_insn *const insn = cold->insn;
    const enum jit_round round = jit_to_round(insn->imm);
    const bool d = insn->aux == JIT_DOUBLE, w = jit_to_int(insn->imm) == JIT_S64;
    const unsigned a = x64_fp_use(l, insn->a, X64_XMM1);
    const unsigned target = x64_target(l, insn->d, X64_RAX);
    struct x64_label invalid = {0};

    if (!is_direct(round)) {
        zero(l, X64_XMM2);
        x64_comis(&l->a, d, false, X64_XMM0, X64_XMM0);
        x64_jcc(&l->a, X64_P, &invalid);
        x64_cvt_fi(&l->a, d, w, X64_XMM2, target); /* a power of two: is exact */
        x64_comis(&l->a, d, false, X64_XMM0, X64_XMM2);
        x64_jcc(&l->a, X64_NE, &invalid);
        raise_inexact(l, d, a);
        x64_jmp(&l->a, &cold->back);
        x64_bind(&l->a, &invalid);
    }
    zero(l, X64_XMM2);
    x64_comis(&l->a, d, false, X64_XMM2, a); /* "below", if a is more, or NaN */
    x64_alu_ri(&l->a, X64_SBB, w, target, 0);
    x64_jmp(&l->a, &cold->back);
}

/* --- To unsigned integers ------------------------------------------------------------- */

/** Numbers from 0 that are within the signed ones of 64 bits, also rounded, and within 32
 *  bits where that is asked for: in line. */
static void to_unsigned(struct jit_lower *l, const struct jit_insn *insn)
{
    const enum jit_round round = jit_to_round(insn->imm);
    const bool d = insn->aux == JIT_DOUBLE, w = jit_to_int(insn->imm) == JIT_U64;
    const bool down = round == JIT_ROUND_ZERO || round == JIT_ROUND_DOWN;
    const unsigned a = x64_fp_use(l, insn->a, X64_XMM1);
    const unsigned target = x64_target(l, insn->d, X64_RAX);
    /* What has 63 bits has no fraction: rounding never makes it 64. */
    const int bits = w ? 63 : down ? 32 : 31;
    struct x64_cold *const cold = x64_cold(l, X64_COLD_TO_UNSIGNED, insn);

    x64_movq_rx(&l->a, d, X64_RAX, a);
    x64_shift_ri(&l->a, X64_SHR, d, X64_RAX, d ? 52 : 23); /* sign and exponent */
    x64_alu_ri(&l->a, X64_CMP, false, X64_RAX, (d ? 1023 : 127) + bits);
    x64_jcc(&l->a, X64_AE, &cold->enter);
    if (is_direct(round)) {
        x64_cvt_if(&l->a, d, true, round == JIT_ROUND_ZERO, target, a);
    } else {
        round_quietly(l, d, X64_XMM0, a, round);
        x64_cvt_if(&l->a, d, true, true, target, X64_XMM0);
        raise_inexact(l, d, a);
    }
    if (!w)
        x64_extend(&l->a, 2, true, target, target);
    x64_bind(&l->a, &cold->back);
    x64_done(l, insn->d, target);
}

/** Convert @xmm, an integer in range, to @target.  Uses xmm2. */
static void integral_to_unsigned(struct jit_lower *l, bool d, bool w, unsigned target)
{
    struct x64_label small = {0}, done = {0};

    if (w) {
        power(l, X64_XMM2, d, 63);
        x64_comis(&l->a, d, false, X64_XMM0, X64_XMM2);
        x64_jcc(&l->a, X64_B, &small);
        x64_sse_rr(&l->a, X64_FSUB, d, X64_XMM0, X64_XMM2);
        x64_cvt_if(&l->a, d, true, true, target, X64_XMM0);
        x64_mov_ri(&l->a, X64_RCX, UINT64_C(1) << 63);
        x64_alu_rr(&l->a, X64_XOR, true, target, X64_RCX);
        x64_jmp(&l->a, &done);
        x64_bind(&l->a, &small);
    }
    x64_cvt_if(&l->a, d, true, true, target, X64_XMM0);
    if (!w)
        x64_extend(&l->a, 2, true, target, target);
    x64_bind(&l->a, &done);
}

static void cold_to_unsigned(struct jit_lower *l, struct x64_cold *cold)
{
    const struct jit_insn *const insn = cold->insn;
    const bool d = insn->aux == JIT_DOUBLE, w = jit_to_int(insn->imm) == JIT_U64;
    const unsigned a = x64_fp_use(l, insn->a, X64_XMM1);
    const unsigned target = x64_target(l, insn->d, X64_RAX);
    struct x64_label none = {0}, greatest = {0}, least = {0}, invalid = {0};

    round_quietly(l, d, X64_XMM0, a, jit_to_round(insn->imm));
    zero(l, X64_XMM2);
    x64_comis(&l->a, d, false, X64_XMM0, X64_XMM2);
    x64_jcc(&l->a, X64_P, &none);
    x64_jcc(&l->a, X64_B, &least);
    power(l, X64_XMM2, d, w ? 64 : 32);
    x64_comis(&l->a, d, false, X64_XMM0, X64_XMM2);
    x64_jcc(&l->a, X64_AE, &greatest);
    integral_to_unsigned(l, d, w, target);
    raise_inexact(l, d, a);
    x64_jmp(&l->a, &cold->back);
    x64_bind(&l->a, &none); /* NaN, or an infinity that was rounded away from zero */
    x64_comis(&l->a, d, false, X64_XMM2, a);
    x64_jcc(&l->a, X64_B, &greatest);
    x64_bind(&l->a, &least);
    x64_mov_ri(&l->a, target, 0);
    x64_jmp(&l->a, &invalid);
    x64_bind(&l->a, &greatest);
    x64_mov_ri(&l->a, target, UINT64_MAX); /* of 32 bits, sign-extended, too */
    x64_bind(&l->a, &invalid);
    raise_invalid(l);
    x64_jmp(&l->a, &cold->back);
}

/* --- From integers -------------------------------------------------------------------- */

/** The register for a result; its bits beside those that an instruction writes. */
static unsigned begin_number(struct jit_lower *l, const struct jit_insn *insn, bool d)
{
    const unsigned x = x64_fp_target(l, insn->d, X64_XMM0);

    if (d)
        zero(l, x);
    else
        x64_fp_pool(l, X64_MOVAPS, x, X64_POOL_BOX, 0);
    return x;
}

static void from_int(struct jit_lower *l, const struct jit_insn *insn)
{
    const bool d = insn->aux == JIT_DOUBLE;
    const unsigned a = x64_use(l, insn->a, X64_RCX), x = begin_number(l, insn, d);
    struct x64_cold *cold = NULL;

    if (insn->op == JIT_OP_fintu) {
        cold = x64_cold(l, X64_COLD_FROM_UNSIGNED, insn);
        x64_test_rr(&l->a, true, a, a);
        x64_jcc(&l->a, X64_S, &cold->enter);
    }
    x64_cvt_fi(&l->a, d, true, x, a);
    if (cold)
        x64_bind(&l->a, &cold->back);
    x64_fp_done(l, insn->d, x);
}

/** Of 64 bits: half of it, where what is lost stays to be seen, twice. */
static void cold_from_unsigned(struct jit_lower *l, struct x64_cold *cold)
{
    const struct jit_insn *const insn = cold->insn;
    const bool d = insn->aux == JIT_DOUBLE;
    const unsigned x = x64_fp_target(l, insn->d, X64_XMM0);

    x64_fetch(l, X64_RAX, insn->a);
    x64_mov_rr(&l->a, false, X64_RCX, X64_RAX);
    x64_alu_ri(&l->a, X64_AND, false, X64_RCX, 1);
    x64_shift_ri(&l->a, X64_SHR, true, X64_RAX, 1);
    x64_alu_rr(&l->a, X64_OR, true, X64_RAX, X64_RCX);
    x64_cvt_fi(&l->a, d, true, x, X64_RAX);
    x64_sse_rr(&l->a, X64_FADD, d, x, x);
    x64_jmp(&l->a, &cold->back);
}

/* --- Precisions ------------------------------------------------------------------------ */

static void precision(struct jit_lower *l, const struct jit_insn *insn)
{
    const bool narrow = insn->op == JIT_OP_fcvts;
    const unsigned a = x64_fp_use(l, insn->a, X64_XMM1);
    const unsigned x = x64_fp_target(l, insn->d, X64_XMM0);

    if (x != a)
        begin_number(l, insn, !narrow);
    x64_cvt_ff(&l->a, narrow, x, a);
    if (x == a && narrow)
        x64_fp_pool(l, X64_ORPS, x, X64_POOL_BOX, 0);
    x64_fp_canonical(l, X64_COLD_NAN, insn, x, narrow ? JIT_SINGLE : JIT_DOUBLE);
    x64_fp_done(l, insn->d, x);
}

/* --- Flags ------------------------------------------------------------------------------- */

static void raised(struct jit_lower *l, const struct jit_insn *insn)
{
    const unsigned target = x64_target(l, insn->d, X64_RAX);

    x64_stmxcsr(&l->a, X64_STATE(l, mxcsr_scratch));
    x64_lea_here(&l->a, X64_RCX,
                 jit_mcode_write(&l->jit->code, l->jit->pool) + 16 * X64_POOL_FLAGS);
    x64_load(&l->a, 2, false, X64_RAX, X64_STATE(l, mxcsr_scratch));
    x64_alu_ri(&l->a, X64_AND, false, X64_RAX, 0x3f);
    x64_load(&l->a, 0, false, target, x64_at2(X64_RCX, X64_RAX, 0, 0));
    x64_done(l, insn->d, target);
}

/* --- All --------------------------------------------------------------------------------- */

void x64_lower_convert(struct jit_lower *l, const struct jit_insn *insn)
{
    const enum jit_int to = jit_to_int(insn->imm);

    switch ((enum jit_op)insn->op) {
    case JIT_OP_fcvts:
    case JIT_OP_fcvtd: precision(l, insn); break;
    case JIT_OP_fint:
    case JIT_OP_fintu: from_int(l, insn); break;
    case JIT_OP_ftoi:
        if (to == JIT_S32 || to == JIT_S64)
            to_signed(l, insn);
        else
            to_unsigned(l, insn);
        break;
    case JIT_OP_fflags: raised(l, insn); break;
    case JIT_OP_fforget: x64_ldmxcsr(&l->a, X64_STATE(l, mxcsr_guest)); break;
    default: l->failed = true; break; /* no operation of this table */
    }
}

void x64_cold_convert(struct jit_lower *l, struct x64_cold *cold)
{
    if (cold->kind == X64_COLD_TO_SIGNED)
        cold_to_signed(l, cold);
    else if (cold->kind == X64_COLD_TO_UNSIGNED)
        cold_to_unsigned(l, cold);
    else
        cold_from_unsigned(l, cold);
}
