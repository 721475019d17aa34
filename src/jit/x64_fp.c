/* SPDX-License-Identifier: MIT */
/* x64_fp.c - turns floating-point operations into scalar SSE instructions.
 *
 * MXCSR holds the guest's rounding mode, and its sticky bits are the guest's flags.  What
 * the host does otherwise than IR says: its NaN results keep payloads, or are negative,
 * so each result that may be one is looked at; and infinity times zero plus a quiet NaN
 * is not invalid to it.
 *
 * A single's high half stays in place through scalar instructions: it is that of the
 * destination before, which is a boxed operand or is set here.
 */
#include "jit/x64_impl.h"

#define SIGN_S UINT64_C(0x80000000)
#define SIGN_D UINT64_C(0x8000000000000000)

/* --- Operands --------------------------------------------------------------------- */

static unsigned fp_use(struct jit_lower *l, jit_reg reg, unsigned scratch)
{
    const struct jit_loc loc = x64_loc(l, reg);

    if (loc.reg != JIT_IN_MEMORY)
        return loc.reg;
    x64_movs_load(&l->a, true, scratch, x64_home(l, loc.offset));
    return scratch;
}

static void fp_fetch(struct jit_lower *l, unsigned xmm, jit_reg reg)
{
    const unsigned from = fp_use(l, reg, xmm);

    if (from != xmm)
        x64_movaps(&l->a, xmm, from);
}

static void fp_done(struct jit_lower *l, jit_reg reg, unsigned xmm)
{
    const struct jit_loc loc = x64_loc(l, reg);

    if (loc.reg == JIT_IN_MEMORY)
        x64_movs_store(&l->a, true, x64_home(l, loc.offset), xmm);
    else if (loc.reg != xmm)
        x64_movaps(&l->a, loc.reg, xmm);
}

static bool fp_is_in(const struct jit_lower *l, jit_reg reg, unsigned xmm)
{
    return x64_loc(l, reg).reg == xmm;
}

static void fp_constant(struct jit_lower *l, unsigned xmm, uint64_t bits)
{
    x64_mov_ri(&l->a, X64_RAX, bits);
    x64_movq_xr(&l->a, true, xmm, X64_RAX);
}

/** Have a NaN in @xmm be the canonical one: in cold code. */
static struct x64_cold *canonical(struct jit_lower *l, enum x64_cold_kind kind,
                                  const struct jit_insn *insn, unsigned xmm, unsigned prec)
{
    struct x64_cold *const cold = x64_cold(l, kind, insn);

    cold->xmm = (uint8_t)xmm;
    cold->prec = (uint8_t)prec;
    x64_comis(&l->a, prec == JIT_DOUBLE, false, xmm, xmm);
    x64_jcc(&l->a, X64_P, &cold->enter);
    x64_bind(&l->a, &cold->back);
    return cold;
}

/* --- Arithmetic --------------------------------------------------------------------- */

static void fp_binary(struct jit_lower *l, enum x64_sse op, const struct jit_insn *insn)
{
    const bool commutes = op == X64_FADD || op == X64_FMUL;
    const bool d = insn->aux == JIT_DOUBLE;
    const struct jit_loc target = x64_loc(l, insn->d);
    unsigned x = target.reg == JIT_IN_MEMORY ? X64_XMM0 : target.reg;
    jit_reg first = insn->a, second = insn->b;

    if (fp_is_in(l, second, x) && !fp_is_in(l, first, x)) {
        if (commutes) {
            first = insn->b;
            second = insn->a;
        } else {
            x = X64_XMM0;
        }
    }
    fp_fetch(l, x, first);
    x64_sse_rr(&l->a, op, d, x, fp_use(l, second, X64_XMM1));
    canonical(l, X64_COLD_NAN, insn, x, insn->aux);
    fp_done(l, insn->d, x);
}

static void fp_sqrt(struct jit_lower *l, const struct jit_insn *insn)
{
    fp_fetch(l, X64_XMM0, insn->a); /* its high half stays */
    x64_sse_rr(&l->a, X64_SQRT, insn->aux == JIT_DOUBLE, X64_XMM0, X64_XMM0);
    canonical(l, X64_COLD_NAN, insn, X64_XMM0, insn->aux);
    fp_done(l, insn->d, X64_XMM0);
}

static void fp_fma(struct jit_lower *l, const struct jit_insn *insn)
{
    const unsigned a = fp_use(l, insn->a, X64_XMM1), b = fp_use(l, insn->b, X64_XMM2);
    struct x64_cold *cold;

    fp_fetch(l, X64_XMM0, insn->c);
    x64_fmadd231(&l->a, insn->aux == JIT_DOUBLE, X64_XMM0, a, b);
    cold = canonical(l, X64_COLD_FMA, insn, X64_XMM0, insn->aux);
    cold->fma[0] = (uint8_t)a;
    cold->fma[1] = (uint8_t)b;
    fp_done(l, insn->d, X64_XMM0);
}

/** The result of @cold's fma is NaN: raise invalid for infinity times zero, which the host
 *  does not if what is added is a quiet NaN. */
static void cold_fma(struct jit_lower *l, const struct x64_cold *cold)
{
    const bool d = cold->prec == JIT_DOUBLE;
    const unsigned a = cold->fma[0], b = cold->fma[1];
    struct x64_label done = {0};

    x64_comis(&l->a, d, false, a, b);
    x64_jcc(&l->a, X64_P, &done);
    x64_stmxcsr(&l->a, X64_STATE(l, mxcsr_host));
    x64_movaps(&l->a, X64_XMM0, a);
    x64_sse_rr(&l->a, X64_FMUL, d, X64_XMM0, b);
    x64_comis(&l->a, d, false, X64_XMM0, X64_XMM0);
    x64_ldmxcsr(&l->a, X64_STATE(l, mxcsr_host)); /* leaves the comparison's flags */
    x64_jcc(&l->a, X64_NP, &done);
    x64_ps_rr(&l->a, X64_XORPS, X64_XMM0, X64_XMM0);
    x64_sse_rr(&l->a, X64_FDIV, d, X64_XMM0, X64_XMM0);
    x64_bind(&l->a, &done);
}

static void fp_set(struct jit_lower *l, const struct jit_insn *insn)
{
    const bool d = insn->imm == JIT_DOUBLE;
    const unsigned a = fp_use(l, insn->a, X64_XMM0), b = fp_use(l, insn->b, X64_XMM1);
    const unsigned target = x64_target(l, insn->d, X64_RAX);

    if (insn->aux == JIT_FEQ) {
        x64_comis(&l->a, d, false, a, b);
        x64_setcc(&l->a, X64_NP, X64_RAX);
        x64_setcc(&l->a, X64_E, X64_RCX);
        x64_alu_rr(&l->a, X64_AND, false, X64_RAX, X64_RCX);
    } else { /* the other way round: unordered is "below" */
        x64_comis(&l->a, d, true, b, a);
        x64_setcc(&l->a, insn->aux == JIT_FLT ? X64_A : X64_AE, X64_RAX);
    }
    x64_extend(&l->a, 0, false, target, X64_RAX);
    x64_done(l, insn->d, target);
}

static void fp_convert(struct jit_lower *l, const struct jit_insn *insn)
{
    const bool narrow = insn->op == JIT_OP_fcvts;
    const unsigned a = fp_use(l, insn->a, X64_XMM1);

    if (narrow)
        fp_constant(l, X64_XMM0, X64_BOX);
    x64_cvt_ff(&l->a, narrow, X64_XMM0, a);
    canonical(l, X64_COLD_NAN, insn, X64_XMM0, narrow ? JIT_SINGLE : JIT_DOUBLE);
    fp_done(l, insn->d, X64_XMM0);
}

static void fp_from_int(struct jit_lower *l, const struct jit_insn *insn)
{
    const unsigned a = x64_use(l, insn->a, X64_RCX);

    if (insn->aux == JIT_SINGLE)
        fp_constant(l, X64_XMM0, X64_BOX);
    else
        x64_ps_rr(&l->a, X64_XORPS, X64_XMM0, X64_XMM0); /* waits for nobody */
    x64_cvt_fi(&l->a, insn->aux == JIT_DOUBLE, true, X64_XMM0, a);
    fp_done(l, insn->d, X64_XMM0);
}

/* --- Bits ------------------------------------------------------------------------------ */

static void fp_move(struct jit_lower *l, const struct jit_insn *insn)
{
    const struct jit_loc target = x64_loc(l, insn->d);
    const unsigned x = target.reg == JIT_IN_MEMORY ? X64_XMM0 : target.reg;

    fp_done(l, insn->d, fp_use(l, insn->a, x));
}

static void fp_raw(struct jit_lower *l, const struct jit_insn *insn)
{
    const struct jit_loc target = x64_loc(l, insn->d);
    const unsigned x = target.reg == JIT_IN_MEMORY ? X64_XMM0 : target.reg;
    unsigned a = x64_use(l, insn->a, X64_RAX);

    if (insn->aux == JIT_SINGLE) {
        x64_extend(&l->a, 2, false, X64_RAX, a);
        x64_mov_ri(&l->a, X64_RCX, X64_BOX);
        x64_alu_rr(&l->a, X64_OR, true, X64_RAX, X64_RCX);
        a = X64_RAX;
    }
    x64_movq_xr(&l->a, true, x, a);
    fp_done(l, insn->d, x);
}

static void fp_bits(struct jit_lower *l, const struct jit_insn *insn)
{
    const unsigned target = x64_target(l, insn->d, X64_RAX);
    const struct jit_loc a = x64_loc(l, insn->a);
    const bool single = insn->aux == JIT_SINGLE;

    if (a.reg == JIT_IN_MEMORY) {
        x64_load(&l->a, single ? 2 : 3, single, target, x64_home(l, a.offset));
    } else {
        x64_movq_rx(&l->a, true, target, a.reg);
        if (single)
            x64_extend(&l->a, 2, true, target, target);
    }
    x64_done(l, insn->d, target);
}

static void fp_unbox(struct jit_lower *l, const struct jit_insn *insn)
{
    struct x64_cold *const cold = x64_cold(l, X64_COLD_UNBOX, insn);

    cold->xmm = X64_XMM0;
    cold->prec = JIT_SINGLE;
    fp_fetch(l, X64_XMM0, insn->a);
    x64_movq_rx(&l->a, true, X64_RAX, X64_XMM0);
    x64_shift_ri(&l->a, X64_SHR, true, X64_RAX, 32);
    x64_alu_ri(&l->a, X64_CMP, false, X64_RAX, -1);
    x64_jcc(&l->a, X64_NE, &cold->enter);
    x64_bind(&l->a, &cold->back);
    fp_done(l, insn->d, X64_XMM0);
}

/** What concerns the sign alone is done in integer registers. */
static void fp_sign(struct jit_lower *l, const struct jit_insn *insn)
{
    x64_movq_rx(&l->a, true, X64_RAX, fp_use(l, insn->a, X64_XMM0));
    x64_mov_ri(&l->a, X64_RDX, insn->aux == JIT_SINGLE ? SIGN_S : SIGN_D);
    if (insn->op != JIT_OP_fneg) {
        x64_movq_rx(&l->a, true, X64_RCX, fp_use(l, insn->b, X64_XMM1));
        if (insn->op == JIT_OP_fsgnj)
            x64_alu_rr(&l->a, X64_XOR, true, X64_RCX, X64_RAX);
        x64_alu_rr(&l->a, X64_AND, true, X64_RCX, X64_RDX);
        x64_alu_rr(&l->a, X64_XOR, true, X64_RAX, X64_RCX);
    } else {
        x64_alu_rr(&l->a, X64_XOR, true, X64_RAX, X64_RDX);
    }
    x64_movq_xr(&l->a, true, X64_XMM0, X64_RAX);
    fp_done(l, insn->d, X64_XMM0);
}

/* --- All --------------------------------------------------------------------------------- */

void x64_lower_fp(struct jit_lower *l, const struct jit_insn *insn)
{
    switch ((enum jit_op)insn->op) {
    case JIT_OP_fmov: fp_move(l, insn); break;
    case JIT_OP_fraw: fp_raw(l, insn); break;
    case JIT_OP_bits: fp_bits(l, insn); break;
    case JIT_OP_funbox: fp_unbox(l, insn); break;
    case JIT_OP_fneg:
    case JIT_OP_fsgnj:
    case JIT_OP_fsgnjx: fp_sign(l, insn); break;
    case JIT_OP_fadd: fp_binary(l, X64_FADD, insn); break;
    case JIT_OP_fsub: fp_binary(l, X64_FSUB, insn); break;
    case JIT_OP_fmul: fp_binary(l, X64_FMUL, insn); break;
    case JIT_OP_fdiv: fp_binary(l, X64_FDIV, insn); break;
    case JIT_OP_fsqrt: fp_sqrt(l, insn); break;
    case JIT_OP_fma: fp_fma(l, insn); break;
    case JIT_OP_fset: fp_set(l, insn); break;
    case JIT_OP_fcvts:
    case JIT_OP_fcvtd: fp_convert(l, insn); break;
    case JIT_OP_fint: fp_from_int(l, insn); break;
    default: l->failed = true; break; /* no operation of this table */
    }
}

void x64_cold_fp(struct jit_lower *l, struct x64_cold *cold)
{
    if (cold->kind == X64_COLD_FMA)
        cold_fma(l, cold);
    fp_constant(l, cold->xmm, cold->prec == JIT_SINGLE ? X64_NAN_S : X64_NAN_D);
    x64_jmp(&l->a, &cold->back);
}
