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

/* --- Operands --------------------------------------------------------------------- */

unsigned x64_fp_use(struct jit_lower *l, jit_reg reg, unsigned scratch)
{
    const struct jit_loc loc = x64_loc(l, reg);

    if (loc.reg != JIT_IN_MEMORY)
        return loc.reg;
    x64_movs_load(&l->a, true, scratch, x64_home(l, loc.offset));
    return scratch;
}

void x64_fp_fetch(struct jit_lower *l, unsigned xmm, jit_reg reg)
{
    const unsigned from = x64_fp_use(l, reg, xmm);

    if (from != xmm)
        x64_movaps(&l->a, xmm, from);
}

void x64_fp_done(struct jit_lower *l, jit_reg reg, unsigned xmm)
{
    const struct jit_loc loc = x64_loc(l, reg);

    if (loc.reg == JIT_IN_MEMORY)
        x64_movs_store(&l->a, true, x64_home(l, loc.offset), xmm);
    else if (loc.reg != xmm)
        x64_movaps(&l->a, loc.reg, xmm);
}

unsigned x64_fp_target(const struct jit_lower *l, jit_reg reg, unsigned scratch)
{
    const struct jit_loc loc = x64_loc(l, reg);

    return loc.reg == JIT_IN_MEMORY ? scratch : loc.reg;
}

static bool fp_is_in(const struct jit_lower *l, jit_reg reg, unsigned xmm)
{
    return x64_loc(l, reg).reg == xmm;
}

void x64_fp_constant(struct jit_lower *l, unsigned xmm, uint64_t bits)
{
    x64_mov_ri(&l->a, X64_RAX, bits);
    x64_movq_xr(&l->a, true, xmm, X64_RAX);
}

void x64_fp_pool(struct jit_lower *l, enum x64_ps op, unsigned xmm, unsigned constant,
                 unsigned prec)
{
    x64_ps_here(&l->a, op, xmm,
                jit_mcode_write(&l->jit->code, l->jit->pool) + 16 * (constant + prec));
}

struct x64_cold *x64_fp_canonical(struct jit_lower *l, enum x64_cold_kind kind,
                                  const struct jit_insn *insn, unsigned xmm,
                                  unsigned prec)
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
    unsigned x = x64_fp_target(l, insn->d, X64_XMM0);
    jit_reg first = insn->a, second = insn->b;

    if (fp_is_in(l, second, x) && !fp_is_in(l, first, x)) {
        if (commutes) {
            first = insn->b;
            second = insn->a;
        } else {
            x = X64_XMM0;
        }
    }
    x64_fp_fetch(l, x, first);
    if (x64_loc(l, second).reg == JIT_IN_MEMORY)
        x64_sse_rm(&l->a, op, d, x, x64_home(l, x64_loc(l, second).offset));
    else
        x64_sse_rr(&l->a, op, d, x, x64_loc(l, second).reg);
    x64_fp_canonical(l, X64_COLD_NAN, insn, x, insn->aux);
    x64_fp_done(l, insn->d, x);
}

static void fp_sqrt(struct jit_lower *l, const struct jit_insn *insn)
{
    const unsigned x = x64_fp_target(l, insn->d, X64_XMM0);

    x64_fp_fetch(l, x, insn->a); /* its high half stays */
    x64_sse_rr(&l->a, X64_SQRT, insn->aux == JIT_DOUBLE, x, x);
    x64_fp_canonical(l, X64_COLD_NAN, insn, x, insn->aux);
    x64_fp_done(l, insn->d, x);
}

static void fp_fma(struct jit_lower *l, const struct jit_insn *insn)
{
    const unsigned a = x64_fp_use(l, insn->a, X64_XMM1);
    const unsigned b = x64_fp_use(l, insn->b, X64_XMM2);
    unsigned x = x64_fp_target(l, insn->d, X64_XMM0);

    if (x == a || x == b) /* which cold code reads again */
        x = X64_XMM0;
    x64_fp_fetch(l, x, insn->c);
    x64_fmadd231(&l->a, insn->aux == JIT_DOUBLE, x, a, b);
    x64_fp_canonical(l, X64_COLD_FMA, insn, x, insn->aux);
    x64_fp_done(l, insn->d, x);
}

/** The result of @cold's fma is NaN: raise invalid for infinity times zero, which the host
 *  does not if what is added is a quiet NaN. */
static void cold_fma(struct jit_lower *l, const struct x64_cold *cold)
{
    const bool d = cold->prec == JIT_DOUBLE;
    const unsigned a = x64_fp_use(l, cold->insn->a, X64_XMM1);
    const unsigned b = x64_fp_use(l, cold->insn->b, X64_XMM2);
    struct x64_label done = {0};

    x64_comis(&l->a, d, false, a, b);
    x64_jcc(&l->a, X64_P, &done);
    x64_stmxcsr(&l->a, X64_STATE(l, mxcsr_scratch));
    x64_movaps(&l->a, X64_XMM0, a);
    x64_sse_rr(&l->a, X64_FMUL, d, X64_XMM0, b);
    x64_comis(&l->a, d, false, X64_XMM0, X64_XMM0);
    x64_ldmxcsr(&l->a, X64_STATE(l, mxcsr_scratch)); /* leaves the comparison's flags */
    x64_jcc(&l->a, X64_NP, &done);
    x64_ps_rr(&l->a, X64_XORPS, X64_XMM0, X64_XMM0);
    x64_sse_rr(&l->a, X64_FDIV, d, X64_XMM0, X64_XMM0);
    x64_bind(&l->a, &done);
}

/** Numbers that differ: in line. */
static void fp_min_max(struct jit_lower *l, const struct jit_insn *insn)
{
    const bool d = insn->aux == JIT_DOUBLE;
    const unsigned a = x64_fp_use(l, insn->a, X64_XMM1);
    const unsigned b = x64_fp_use(l, insn->b, X64_XMM2);
    const unsigned x = x64_fp_target(l, insn->d, X64_XMM0);
    struct x64_cold *const cold = x64_cold(l, X64_COLD_MINMAX, insn);

    cold->xmm = (uint8_t)x;
    cold->prec = insn->aux;
    x64_comis(&l->a, d, false, a, b);
    x64_jcc(&l->a, X64_E, &cold->enter); /* also if unordered */
    if (x != a && x != b)
        x64_movaps(&l->a, x, a);
    x64_sse_rr(&l->a, insn->op == JIT_OP_fmin ? X64_FMIN : X64_FMAX, d, x,
               x == b ? a : b);
    x64_bind(&l->a, &cold->back);
    x64_fp_done(l, insn->d, x);
}

static void cold_min_max(struct jit_lower *l, struct x64_cold *cold)
{
    const struct jit_insn *const insn = cold->insn;
    const bool d = cold->prec == JIT_DOUBLE;
    const unsigned a = x64_fp_use(l, insn->a, X64_XMM1);
    const unsigned b = x64_fp_use(l, insn->b, X64_XMM2);
    struct x64_label unordered = {0}, a_nan = {0}, both = {0}, done = {0};

    x64_jcc(&l->a, X64_P, &unordered);
    x64_movaps(&l->a, X64_XMM0, a); /* equal: zeros may differ in the sign */
    x64_ps_rr(&l->a, insn->op == JIT_OP_fmin ? X64_ORPS : X64_ANDPS, X64_XMM0, b);
    x64_jmp(&l->a, &done);
    x64_bind(&l->a, &unordered);
    x64_comis(&l->a, d, false, a, a);
    x64_jcc(&l->a, X64_P, &a_nan);
    x64_movaps(&l->a, X64_XMM0, a);
    x64_jmp(&l->a, &done);
    x64_bind(&l->a, &a_nan);
    x64_comis(&l->a, d, false, b, b);
    x64_jcc(&l->a, X64_P, &both);
    x64_movaps(&l->a, X64_XMM0, b);
    x64_jmp(&l->a, &done);
    x64_bind(&l->a, &both);
    x64_fp_pool(l, X64_MOVAPS, X64_XMM0, X64_POOL_NAN, cold->prec);
    x64_bind(&l->a, &done);
    if (cold->xmm != X64_XMM0)
        x64_movaps(&l->a, cold->xmm, X64_XMM0);
    x64_jmp(&l->a, &cold->back);
}

static void fp_set(struct jit_lower *l, const struct jit_insn *insn)
{
    const bool d = insn->imm == JIT_DOUBLE;
    const unsigned a = x64_fp_use(l, insn->a, X64_XMM0), b = x64_fp_use(l, insn->b, X64_XMM1);
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

/* --- Bits ------------------------------------------------------------------------------ */

static void fp_move(struct jit_lower *l, const struct jit_insn *insn)
{
    x64_fp_done(l, insn->d,
                x64_fp_use(l, insn->a, x64_fp_target(l, insn->d, X64_XMM0)));
}

static void fp_raw(struct jit_lower *l, const struct jit_insn *insn)
{
    const unsigned x = x64_fp_target(l, insn->d, X64_XMM0);
    const bool d = insn->aux == JIT_DOUBLE;

    if (jit_is_const(insn->a) && !jit_ir_value(l->ir, insn->a))
        x64_ps_rr(&l->a, X64_XORPS, x, x);
    else
        x64_movq_xr(&l->a, d, x, x64_use(l, insn->a, X64_RAX));
    if (!d)
        x64_fp_pool(l, X64_ORPS, x, X64_POOL_BOX, 0);
    x64_fp_done(l, insn->d, x);
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
    const unsigned x = x64_fp_target(l, insn->d, X64_XMM0);
    const struct jit_loc a = x64_loc(l, insn->a);

    cold->xmm = (uint8_t)x;
    cold->prec = JIT_SINGLE;
    if (a.reg == JIT_IN_MEMORY) {
        x64_alu_mi(&l->a, X64_CMP, false, x64_home(l, a.offset + 4), -1);
    } else {
        x64_movq_rx(&l->a, true, X64_RAX, a.reg);
        x64_shift_ri(&l->a, X64_SHR, true, X64_RAX, 32);
        x64_alu_ri(&l->a, X64_CMP, false, X64_RAX, -1);
    }
    x64_jcc(&l->a, X64_NE, &cold->enter);
    x64_fp_fetch(l, x, insn->a);
    x64_bind(&l->a, &cold->back);
    x64_fp_done(l, insn->d, x);
}

/** The sign of a number from another's, or from nothing. */
static void fp_sign(struct jit_lower *l, const struct jit_insn *insn)
{
    const unsigned x = x64_fp_target(l, insn->d, X64_XMM0);

    if (insn->op == JIT_OP_fneg) {
        x64_fp_fetch(l, x, insn->a);
        x64_fp_pool(l, X64_XORPS, x, X64_POOL_SIGN, insn->aux);
    } else if (insn->op == JIT_OP_fsgnjx && insn->a == insn->b) {
        x64_fp_fetch(l, x, insn->a);
        x64_fp_pool(l, X64_ANDPS, x, X64_POOL_REST, insn->aux);
    } else {
        x64_fp_fetch(l, X64_XMM1, insn->b);
        x64_fp_pool(l, X64_ANDPS, X64_XMM1, X64_POOL_SIGN, insn->aux);
        x64_fp_fetch(l, x, insn->a);
        if (insn->op == JIT_OP_fsgnj)
            x64_fp_pool(l, X64_ANDPS, x, X64_POOL_REST, insn->aux);
        x64_ps_rr(&l->a, insn->op == JIT_OP_fsgnj ? X64_ORPS : X64_XORPS, x, X64_XMM1);
    }
    x64_fp_done(l, insn->d, x);
}

/* --- Entering --------------------------------------------------------------------------- */

/** In line only that it is not needed. */
void x64_lower_fenter(struct jit_lower *l, const struct jit_insn *insn)
{
    struct x64_cold *const cold = x64_cold(l, X64_COLD_FENTER, insn);

    x64_site(l, JIT_SITE_FENTER, insn, &cold->site);
    x64_cmp8_mi(&l->a, X64_STATE(l, fp_live), 0);
    x64_jcc(&l->a, X64_E, &cold->enter);
    x64_bind(&l->a, &cold->back);
}

/** Where the owner has made all ready, the mode alone is missing. */
void x64_cold_fenter(struct jit_lower *l, struct x64_cold *cold)
{
    struct x64_label site = {0};

    x64_cmp8_mi(&l->a, X64_STATE(l, fp_ready), 0);
    x64_jcc(&l->a, X64_E, &site);
    x64_ldmxcsr(&l->a, X64_STATE(l, mxcsr_guest));
    x64_store_i(&l->a, 0, X64_STATE(l, fp_live), 1);
    x64_jmp(&l->a, &cold->back);
    x64_bind(&l->a, &site);
    x64_cold_site(l, cold);
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
    case JIT_OP_fmin:
    case JIT_OP_fmax: fp_min_max(l, insn); break;
    default: x64_lower_convert(l, insn); break;
    }
}

void x64_cold_fp(struct jit_lower *l, struct x64_cold *cold)
{
    if (cold->kind == X64_COLD_MINMAX) {
        cold_min_max(l, cold);
        return;
    }
    if (cold->kind == X64_COLD_FMA)
        cold_fma(l, cold);
    x64_fp_pool(l, X64_MOVAPS, cold->xmm, X64_POOL_NAN, cold->prec);
    x64_jmp(&l->a, &cold->back);
}
