/* SPDX-License-Identifier: MIT */
/* interp_fp.c - scalar floating point of the interpreter: registers, boxes, modes. */
#include "riscv/fpu.h"

#define BOX UINT64_C(0xffffffff00000000)

/* --- Registers ------------------------------------------------------------- */

/** FP register @n as a single: what is not boxed reads as NaN (H2). */
SM_INLINE uint64_t read_s(const struct rv_hart *hart, unsigned n)
{
    const uint64_t value = hart->f[n];

    return SM_LIKELY(value >= BOX) ? (uint32_t)value : RV_F32_NAN;
}

SM_INLINE uint64_t read_d(const struct rv_hart *hart, unsigned n)
{
    return hart->f[n];
}

SM_INLINE void write_s(struct rv_hart *hart, unsigned n, uint64_t value)
{
    hart->f[n] = BOX | value;
}

SM_INLINE void write_d(struct rv_hart *hart, unsigned n, uint64_t value)
{
    hart->f[n] = value;
}

SM_INLINE void write_x(struct rv_hart *hart, unsigned n, uint64_t value)
{
    hart->x[n] = value;
    hart->x[0] = 0; /* (H1) */
}

SM_INLINE uint64_t sign_extend_32(uint64_t value)
{
    return (uint64_t)(int64_t)(int32_t)value;
}

#define SIGN_s UINT64_C(0x80000000)
#define SIGN_d UINT64_C(0x8000000000000000)

/* F and D have the same operations.  In the lists of cases below p is the letter of a
 * format in mnemonics and register accesses, and f names its functions in fpu.h. */
#define A(p) read_##p(hart, insn->rs1)
#define B(p) read_##p(hart, insn->rs2)
#define C(p) read_##p(hart, insn->rs3)

/* --- Operations that round ------------------------------------------------- */

#define CASE_F(p, op, value)                                                             \
    case RV_OP_##op:                                                                     \
        write_##p(hart, insn->rd, value);                                                \
        return true;
#define CASE_X(op, value)                                                                \
    case RV_OP_##op:                                                                     \
        write_x(hart, insn->rd, value);                                                  \
        return true;

#define ROUNDED(p, f)                                                                    \
    CASE_F(p, fadd_##p, rv_##f##_add(A(p), B(p), rm, flags))                             \
    CASE_F(p, fsub_##p, rv_##f##_sub(A(p), B(p), rm, flags))                             \
    CASE_F(p, fmul_##p, rv_##f##_mul(A(p), B(p), rm, flags))                             \
    CASE_F(p, fdiv_##p, rv_##f##_div(A(p), B(p), rm, flags))                             \
    CASE_F(p, fsqrt_##p, rv_##f##_sqrt(A(p), rm, flags))                                 \
    /* The names tell what happens to the product and to its sum with rs3. */            \
    CASE_F(p, fmadd_##p, rv_##f##_fma(A(p), B(p), C(p), rm, flags))                      \
    CASE_F(p, fmsub_##p, rv_##f##_fma(A(p), B(p), C(p) ^ SIGN_##p, rm, flags))           \
    CASE_F(p, fnmsub_##p, rv_##f##_fma(A(p) ^ SIGN_##p, B(p), C(p), rm, flags))          \
    CASE_F(p, fnmadd_##p,                                                                \
           rv_##f##_fma(A(p) ^ SIGN_##p, B(p), C(p) ^ SIGN_##p, rm, flags))              \
    CASE_F(p, fround_##p, rv_##f##_round(A(p), rm, flags))                               \
    CASE_F(p, froundnx_##p, rv_##f##_round_nx(A(p), rm, flags))                          \
    CASE_X(fcvt_w_##p, rv_##f##_to_i32(A(p), rm, flags))                                 \
    CASE_X(fcvt_wu_##p, rv_##f##_to_u32(A(p), rm, flags))                                \
    CASE_X(fcvt_l_##p, rv_##f##_to_i64(A(p), rm, flags))                                 \
    CASE_X(fcvt_lu_##p, rv_##f##_to_u64(A(p), rm, flags))                                \
    CASE_F(p, fcvt_##p##_w, rv_##f##_from_i64(sign_extend_32(x1), rm, flags))            \
    CASE_F(p, fcvt_##p##_wu, rv_##f##_from_u64((uint32_t)x1, rm, flags))                 \
    CASE_F(p, fcvt_##p##_l, rv_##f##_from_i64(x1, rm, flags))                            \
    CASE_F(p, fcvt_##p##_lu, rv_##f##_from_u64(x1, rm, flags))

static bool exec_rounded(struct rv_hart *hart, const struct rv_insn *insn)
{
    const unsigned rm = insn->rm == RV_RM_DYN ? hart->frm : insn->rm;
    const uint64_t x1 = hart->x[insn->rs1];
    uint8_t *const flags = &hart->fflags;

    /* Exact conversions too have a mode, and so can have a reserved one. */
    if (SM_UNLIKELY(rm > RV_RM_RMM))
        return false;
    switch (insn->op) {
        ROUNDED(s, f32)
        ROUNDED(d, f64)
        CASE_F(s, fcvt_s_d, rv_f64_to_f32(A(d), rm, flags))
        CASE_F(d, fcvt_d_s, rv_f32_to_f64(A(s), flags))
    default: return false; /* not an instruction of ours */
    }
}

/* --- Operations that do not ------------------------------------------------ */

#define UNROUNDED(p, f)                                                                  \
    CASE_F(p, fsgnj_##p, (A(p) & ~SIGN_##p) | (B(p) & SIGN_##p))                         \
    CASE_F(p, fsgnjn_##p, (A(p) & ~SIGN_##p) | (~B(p) & SIGN_##p))                       \
    CASE_F(p, fsgnjx_##p, A(p) ^ (B(p) & SIGN_##p))                                      \
    CASE_F(p, fmin_##p, rv_##f##_min(A(p), B(p), flags))                                 \
    CASE_F(p, fmax_##p, rv_##f##_max(A(p), B(p), flags))                                 \
    CASE_F(p, fminm_##p, rv_##f##_minm(A(p), B(p), flags))                               \
    CASE_F(p, fmaxm_##p, rv_##f##_maxm(A(p), B(p), flags))                               \
    CASE_X(feq_##p, rv_##f##_eq(A(p), B(p), flags))                                      \
    CASE_X(flt_##p, rv_##f##_lt(A(p), B(p), flags))                                      \
    CASE_X(fle_##p, rv_##f##_le(A(p), B(p), flags))                                      \
    CASE_X(fltq_##p, rv_##f##_ltq(A(p), B(p), flags))                                    \
    CASE_X(fleq_##p, rv_##f##_leq(A(p), B(p), flags))                                    \
    CASE_X(fclass_##p, rv_##f##_class(A(p)))                                             \
    CASE_F(p, fli_##p, rv_##f##_constant(insn->rs1))

bool rv_exec_fp(struct rv_hart *hart, const struct rv_insn *insn)
{
    uint8_t *const flags = &hart->fflags;

    switch (insn->op) {
        UNROUNDED(s, f32)
        UNROUNDED(d, f64)
        /* Moves copy bits: a box is made, but none is looked at. */
        CASE_X(fmv_x_w, sign_extend_32(hart->f[insn->rs1]))
        CASE_F(s, fmv_w_x, (uint32_t)hart->x[insn->rs1])
        CASE_X(fmv_x_d, hart->f[insn->rs1])
        CASE_F(d, fmv_d_x, hart->x[insn->rs1])
        CASE_X(fcvtmod_w_d, rv_f64_to_i32_modular(A(d), flags))
    default: return exec_rounded(hart, insn);
    }
}
