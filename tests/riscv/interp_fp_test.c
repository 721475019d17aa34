/* SPDX-License-Identifier: MIT */
/* interp_fp_test.c - FP instructions on registers: operands, boxes, modes, flags.
 *
 * What the arithmetic returns is the subject of fpu_*_test.c; here one telling case per
 * instruction shows that it is wired to the right function, operands and registers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fpu_cases.h"

#define BOX UINT64_C(0xffffffff00000000)

enum { RD = 3, RS1 = 4, RS2 = 5, RS3 = 6, STATIC_RM = 0, DYN = RV_RM_DYN };

static struct rv_hart hart;

static bool run(enum rv_op op, unsigned rm, unsigned rd)
{
    const struct rv_insn insn = {
        .op = (uint16_t)op,
        .len = 4,
        .rd = (uint8_t)rd,
        .rs1 = RS1,
        .rs2 = RS2,
        .rs3 = RS3,
        .rm = (uint8_t)rm,
    };

    return rv_exec_fp(&hart, &insn);
}

static void set_up(uint64_t a, uint64_t b, uint64_t c)
{
    memset(&hart, 0, sizeof(hart));
    hart.f[RS1] = a;
    hart.f[RS2] = b;
    hart.f[RS3] = c;
}

static uint64_t box(float value)
{
    return BOX | s(value);
}

/* --- Each instruction ------------------------------------------------------ */

static void singles(void **state)
{
    static const struct {
        enum rv_op op;
        float a, b, c, want;
    } cases[] = {
        {RV_OP_fadd_s, 5, 3, 0, 8},      {RV_OP_fsub_s, 5, 3, 0, 2},
        {RV_OP_fmul_s, 5, 3, 0, 15},     {RV_OP_fdiv_s, 6, 3, 0, 2},
        {RV_OP_fsqrt_s, 9, 100, 0, 3},   {RV_OP_fmadd_s, 5, 3, 4, 19},
        {RV_OP_fmsub_s, 5, 3, 4, 11},    {RV_OP_fnmsub_s, 5, 3, 4, -11},
        {RV_OP_fnmadd_s, 5, 3, 4, -19},  {RV_OP_fsgnj_s, 5, -3, 0, -5},
        {RV_OP_fsgnjn_s, 5, -3, 0, 5},   {RV_OP_fsgnjn_s, -5, 3, 0, -5},
        {RV_OP_fsgnjx_s, -5, -3, 0, 5},  {RV_OP_fsgnjx_s, -5, 3, 0, -5},
        {RV_OP_fmin_s, 5, NAN, 0, 5},    {RV_OP_fmin_s, 5, 3, 0, 3},
        {RV_OP_fmax_s, 5, 3, 0, 5},      {RV_OP_fminm_s, 5, 3, 0, 3},
        {RV_OP_fminm_s, 5, NAN, 0, NAN}, {RV_OP_fmaxm_s, 5, 3, 0, 5},
        {RV_OP_fround_s, 2.5f, 0, 0, 2}, {RV_OP_froundnx_s, 3.5f, 0, 0, 4},
    };

    for (unsigned i = 0; i < SM_ARRAY_LEN(cases); i++) {
        set_up(box(cases[i].a), box(cases[i].b), box(cases[i].c));
        assert_true(run(cases[i].op, STATIC_RM, RD));
        check("single", i, hart.f[RD], hart.fflags, box(cases[i].want),
              cases[i].op == RV_OP_froundnx_s ? NX : 0);
    }
}

static void doubles(void **state)
{
    static const struct {
        enum rv_op op;
        double a, b, c, want;
    } cases[] = {
        {RV_OP_fadd_d, 5, 3, 0, 8},      {RV_OP_fsub_d, 5, 3, 0, 2},
        {RV_OP_fmul_d, 5, 3, 0, 15},     {RV_OP_fdiv_d, 6, 3, 0, 2},
        {RV_OP_fsqrt_d, 9, 100, 0, 3},   {RV_OP_fmadd_d, 5, 3, 4, 19},
        {RV_OP_fmsub_d, 5, 3, 4, 11},    {RV_OP_fnmsub_d, 5, 3, 4, -11},
        {RV_OP_fnmadd_d, 5, 3, 4, -19},  {RV_OP_fsgnj_d, 5, -3, 0, -5},
        {RV_OP_fsgnjn_d, 5, -3, 0, 5},   {RV_OP_fsgnjn_d, -5, 3, 0, -5},
        {RV_OP_fsgnjx_d, -5, -3, 0, 5},  {RV_OP_fsgnjx_d, -5, 3, 0, -5},
        {RV_OP_fmin_d, 5, NAN, 0, 5},    {RV_OP_fmin_d, 5, 3, 0, 3},
        {RV_OP_fmax_d, 5, 3, 0, 5},      {RV_OP_fminm_d, 5, 3, 0, 3},
        {RV_OP_fminm_d, 5, NAN, 0, NAN}, {RV_OP_fmaxm_d, 5, 3, 0, 5},
        {RV_OP_fround_d, 2.5, 0, 0, 2},  {RV_OP_froundnx_d, 3.5, 0, 0, 4},
    };

    for (unsigned i = 0; i < SM_ARRAY_LEN(cases); i++) {
        set_up(d(cases[i].a), d(cases[i].b), d(cases[i].c));
        assert_true(run(cases[i].op, STATIC_RM, RD));
        check("double", i, hart.f[RD], hart.fflags, d(cases[i].want),
              cases[i].op == RV_OP_froundnx_d ? NX : 0);
    }
}

static void to_x_registers(void **state)
{
    static const struct {
        enum rv_op op_s, op_d;
        float a, b;
        uint64_t want;
        uint8_t flags;
    } cases[] = {
        {RV_OP_feq_s, RV_OP_feq_d, 1, 1, 1, 0},
        {RV_OP_feq_s, RV_OP_feq_d, 1, NAN, 0, 0},
        {RV_OP_flt_s, RV_OP_flt_d, 1, 2, 1, 0},
        {RV_OP_flt_s, RV_OP_flt_d, 1, NAN, 0, NV},
        {RV_OP_fle_s, RV_OP_fle_d, 2, 2, 1, 0},
        {RV_OP_fle_s, RV_OP_fle_d, NAN, 2, 0, NV},
        {RV_OP_fltq_s, RV_OP_fltq_d, 1, 2, 1, 0},
        {RV_OP_fltq_s, RV_OP_fltq_d, 2, 2, 0, 0},
        {RV_OP_fltq_s, RV_OP_fltq_d, NAN, 2, 0, 0},
        {RV_OP_fleq_s, RV_OP_fleq_d, 2, 2, 1, 0},
        {RV_OP_fleq_s, RV_OP_fleq_d, NAN, 2, 0, 0},
        {RV_OP_fclass_s, RV_OP_fclass_d, -INFINITY, 0, 1, 0},
        {RV_OP_fcvt_w_s, RV_OP_fcvt_w_d, -2.5f, 0, (uint64_t)-2, NX},
        {RV_OP_fcvt_w_s, RV_OP_fcvt_w_d, 0x1p31f, 0, INT32_MAX, NV},
        {RV_OP_fcvt_wu_s, RV_OP_fcvt_wu_d, 0x1p31f, 0, UINT64_C(0xffffffff80000000), 0},
        {RV_OP_fcvt_l_s, RV_OP_fcvt_l_d, -0x1p40f, 0, (uint64_t) - (INT64_C(1) << 40), 0},
        {RV_OP_fcvt_l_s, RV_OP_fcvt_l_d, 0x1p63f, 0, INT64_MAX, NV},
        {RV_OP_fcvt_lu_s, RV_OP_fcvt_lu_d, 0x1p63f, 0, UINT64_C(1) << 63, 0},
    };

    for (unsigned i = 0; i < SM_ARRAY_LEN(cases); i++) {
        set_up(box(cases[i].a), box(cases[i].b), 0);
        assert_true(run(cases[i].op_s, STATIC_RM, RD));
        check("single to x", i, hart.x[RD], hart.fflags, cases[i].want, cases[i].flags);
        /* x0 takes nothing, but flags are raised. */
        hart.fflags = 0;
        assert_true(run(cases[i].op_s, STATIC_RM, 0));
        check("single to x0", i, hart.x[0], hart.fflags, 0, cases[i].flags);

        set_up(d((double)cases[i].a), d((double)cases[i].b), 0);
        assert_true(run(cases[i].op_d, STATIC_RM, RD));
        check("double to x", i, hart.x[RD], hart.fflags, cases[i].want, cases[i].flags);
    }
    set_up(d(0x1p32 + 7.5), 0, 0);
    assert_true(run(RV_OP_fcvtmod_w_d, RV_RM_RTZ, RD));
    check("fcvtmod.w.d", 0, hart.x[RD], hart.fflags, 7, NV);
}

static void from_x_registers(void **state)
{
    static const struct {
        enum rv_op op_s, op_d;
        uint64_t a;
        float want;
    } cases[] = {
        /* Of a word only the low half counts. */
        {RV_OP_fcvt_s_w, RV_OP_fcvt_d_w, UINT64_C(0x5fffffffe), -2},
        {RV_OP_fcvt_s_wu, RV_OP_fcvt_d_wu, UINT64_C(0xffffffff80000000), 0x1p31f},
        {RV_OP_fcvt_s_l, RV_OP_fcvt_d_l, UINT64_C(0xffffff0000000000), -0x1p40f},
        {RV_OP_fcvt_s_lu, RV_OP_fcvt_d_lu, UINT64_C(1) << 63, 0x1p63f},
    };

    for (unsigned i = 0; i < SM_ARRAY_LEN(cases); i++) {
        set_up(0, 0, 0);
        hart.x[RS1] = cases[i].a;
        assert_true(run(cases[i].op_s, STATIC_RM, RD));
        check("x to single", i, hart.f[RD], hart.fflags, box(cases[i].want), 0);
        assert_true(run(cases[i].op_d, STATIC_RM, RD));
        check("x to double", i, hart.f[RD], hart.fflags, d((double)cases[i].want), 0);
    }
}

static void between_formats(void **state)
{
    set_up(d(1.5), 0, 0);
    assert_true(run(RV_OP_fcvt_s_d, STATIC_RM, RD));
    assert_int_equal(hart.f[RD], box(1.5f));
    set_up(box(1.5f), 0, 0);
    assert_true(run(RV_OP_fcvt_d_s, STATIC_RM, RD));
    assert_int_equal(hart.f[RD], d(1.5));
    assert_int_equal(hart.fflags, 0);
}

static void constants(void **state)
{
    /* .rs1 is the constant's number: 4 is 2^-8. */
    set_up(0, 0, 0);
    assert_true(run(RV_OP_fli_s, 0, RD));
    assert_int_equal(hart.f[RD], box(0x1p-8f));
    assert_true(run(RV_OP_fli_d, 0, RD));
    assert_int_equal(hart.f[RD], d(0x1p-8));
}

/* --- Boxes ----------------------------------------------------------------- */

static void unboxed_singles_are_nan(void **state)
{
    static const uint64_t unboxed[] = {0x3f800000, UINT64_C(0xfffffffe3f800000),
                                       UINT64_C(0x7fffffff3f800000)};

    for (unsigned i = 0; i < SM_ARRAY_LEN(unboxed); i++) {
        set_up(unboxed[i], box(2), box(3));
        assert_true(run(RV_OP_fadd_s, STATIC_RM, RD));
        assert_int_equal(hart.f[RD], BOX | RV_F32_NAN);
        assert_true(run(RV_OP_fsgnj_s, 0, RD));
        assert_int_equal(hart.f[RD], BOX | RV_F32_NAN);
        assert_true(run(RV_OP_fclass_s, 1, RD));
        assert_int_equal(hart.x[RD], RV_FCLASS_QNAN);
        assert_true(run(RV_OP_fcvt_d_s, STATIC_RM, RD));
        assert_int_equal(hart.f[RD], RV_F64_NAN);
        assert_true(run(RV_OP_fmin_s, 0, RD));
        assert_int_equal(hart.f[RD], box(2));
        assert_int_equal(hart.fflags, 0); /* a quiet NaN */

        set_up(box(2), unboxed[i], box(3));
        assert_true(run(RV_OP_fmul_s, STATIC_RM, RD));
        assert_int_equal(hart.f[RD], BOX | RV_F32_NAN);
        /* The sign comes from the canonical NaN: plus. */
        assert_true(run(RV_OP_fsgnjn_s, 1, RD));
        assert_int_equal(hart.f[RD], box(-2));

        set_up(box(2), box(3), unboxed[i]);
        assert_true(run(RV_OP_fmadd_s, STATIC_RM, RD));
        assert_int_equal(hart.f[RD], BOX | RV_F32_NAN);
    }
}

static void moves_copy_bits(void **state)
{
    set_up(UINT64_C(0x12345678ff800001), 0, 0); /* neither boxed nor quiet */
    assert_true(run(RV_OP_fmv_x_w, 0, RD));
    assert_int_equal(hart.x[RD], UINT64_C(0xffffffffff800001));
    assert_true(run(RV_OP_fmv_x_d, 0, RD));
    assert_int_equal(hart.x[RD], UINT64_C(0x12345678ff800001));
    assert_true(run(RV_OP_fmv_x_d, 0, 0));
    assert_int_equal(hart.x[0], 0);
    hart.x[RS1] = UINT64_C(0x123456787f800001);
    assert_true(run(RV_OP_fmv_w_x, 0, RD));
    assert_int_equal(hart.f[RD], BOX | 0x7f800001);
    assert_true(run(RV_OP_fmv_d_x, 0, RD));
    assert_int_equal(hart.f[RD], UINT64_C(0x123456787f800001));
    /* fsgnj of a double does not make a signalling NaN quiet. */
    set_up(SIGNALLING, NEG(ZERO), 0);
    assert_true(run(RV_OP_fsgnj_d, 0, RD));
    assert_int_equal(hart.f[RD], NEG(SIGNALLING));
    assert_int_equal(hart.fflags, 0);
}

/* --- Modes and flags ------------------------------------------------------- */

static void modes(void **state)
{
    /* 1 + 2^-53: only up and away from zero go to the next number. */
    for (unsigned rm = RV_RM_RNE; rm <= RV_RM_RMM; rm++) {
        const uint64_t want = rm >= RV_RM_RUP ? ONE + 1 : ONE;

        set_up(ONE, HALF_ULP_1, 0);
        hart.frm = 6; /* reserved, but not asked for */
        assert_true(run(RV_OP_fadd_d, rm, RD));
        check("static mode", rm, hart.f[RD], hart.fflags, want, NX);
        set_up(ONE, HALF_ULP_1, 0);
        hart.frm = (uint8_t)rm;
        assert_true(run(RV_OP_fadd_d, DYN, RD));
        check("dynamic mode", rm, hart.f[RD], hart.fflags, want, NX);
    }
}

static void reserved_modes_are_illegal(void **state)
{
    static const enum rv_op ops[] = {
        RV_OP_fadd_s,   RV_OP_fmadd_d,  RV_OP_fsqrt_d,   RV_OP_fcvt_w_s, RV_OP_fcvt_d_w,
        RV_OP_fcvt_d_s, RV_OP_fcvt_s_d, RV_OP_fcvt_d_wu, RV_OP_fround_s, RV_OP_froundnx_d,
    };
    struct rv_hart before;

    for (unsigned i = 0; i < SM_ARRAY_LEN(ops); i++) {
        for (unsigned bad = 5; bad <= 7; bad++) {
            set_up(QUIET, SIGNALLING, ZERO);
            hart.frm = (uint8_t)bad;
            memcpy(&before, &hart, sizeof(before));
            assert_false(run(ops[i], bad, RD)); /* 7: dynamic, and frm is 7 too */
            assert_false(run(ops[i], DYN, RD));
            assert_memory_equal(&hart, &before, sizeof(hart));
        }
    }
}

static void others_ignore_modes(void **state)
{
    static const enum rv_op ops[] = {
        RV_OP_fsgnj_s,  RV_OP_fmin_d,  RV_OP_fmaxm_s, RV_OP_feq_d, RV_OP_fltq_s,
        RV_OP_fclass_d, RV_OP_fmv_x_w, RV_OP_fmv_d_x, RV_OP_fli_s, RV_OP_fcvtmod_w_d,
    };

    for (unsigned i = 0; i < SM_ARRAY_LEN(ops); i++) {
        set_up(box(1), box(1), 0);
        hart.frm = 7;
        assert_true(run(ops[i], i & 7, RD));
        assert_true(run(ops[i], 5, RD));
    }
}

static void other_instructions_are_not_ours(void **state)
{
    struct rv_hart before;

    set_up(ONE, ONE, ONE);
    memcpy(&before, &hart, sizeof(before));
    assert_false(run(RV_OP_illegal, STATIC_RM, RD));
    assert_false(run(RV_OP_addi, STATIC_RM, RD));
    assert_memory_equal(&hart, &before, sizeof(hart));
}

static void flags_accumulate(void **state)
{
    set_up(ONE, ZERO, 0);
    assert_true(run(RV_OP_fdiv_d, STATIC_RM, RD));
    assert_int_equal(hart.fflags, DZ);
    hart.f[RS2] = MIN_SUB;
    assert_true(run(RV_OP_fadd_d, STATIC_RM, RD));
    assert_int_equal(hart.fflags, DZ | NX);
    hart.f[RS2] = ONE;
    assert_true(run(RV_OP_fadd_d, STATIC_RM, RD));
    assert_int_equal(hart.f[RD], TWO);
    assert_int_equal(hart.fflags, DZ | NX);
}

/** rd may be one of the operands. */
static void destination_may_be_source(void **state)
{
    set_up(box(5), box(3), box(4));
    assert_true(run(RV_OP_fmadd_s, STATIC_RM, RS1));
    assert_int_equal(hart.f[RS1], box(19));
    assert_true(run(RV_OP_fmadd_s, STATIC_RM, RS3));
    assert_int_equal(hart.f[RS3], box(61));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(singles),
        cmocka_unit_test(doubles),
        cmocka_unit_test(to_x_registers),
        cmocka_unit_test(from_x_registers),
        cmocka_unit_test(between_formats),
        cmocka_unit_test(constants),
        cmocka_unit_test(unboxed_singles_are_nan),
        cmocka_unit_test(moves_copy_bits),
        cmocka_unit_test(modes),
        cmocka_unit_test(reserved_modes_are_illegal),
        cmocka_unit_test(others_ignore_modes),
        cmocka_unit_test(other_instructions_are_not_ours),
        cmocka_unit_test(flags_accumulate),
        cmocka_unit_test(destination_may_be_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
