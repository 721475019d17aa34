/* SPDX-License-Identifier: MIT */
/* fpu_convert_test.c - conversions and constants, on cases worked by hand from IEEE 754
 * and the RISC-V chapters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fpu_cases.h"

static void to_integers(void **state)
{
    enum { I32, U32, I64, U64 };
    static const struct {
        double a;
        unsigned kind, rm;
        uint64_t want;
        uint8_t flags;
    } cases[] = {
        /* The table "Domains of float-to-integer conversions and behavior for invalid
         * inputs", at its borders. */
        {-0x1p31, I32, RNE, (uint64_t)INT32_MIN, 0},
        {-0x1p31 - 1, I32, RNE, (uint64_t)INT32_MIN, NV},
        {-0x1p31 - 0.5, I32, RNE, (uint64_t)INT32_MIN, NX},
        {-0x1p31 - 0.5, I32, RMM, (uint64_t)INT32_MIN, NV},
        {-0x1p31 - 0.5, I32, RDN, (uint64_t)INT32_MIN, NV},
        {-0x1p31 - 0.9, I32, RTZ, (uint64_t)INT32_MIN, NX},
        {0x1p31, I32, RNE, INT32_MAX, NV},
        {0x1p31 - 1, I32, RNE, INT32_MAX, 0},
        {0x1p31 - 0.5, I32, RNE, INT32_MAX, NV},
        {0x1p31 - 0.5, I32, RTZ, INT32_MAX, NX},
        {-INFINITY, I32, RNE, (uint64_t)INT32_MIN, NV},
        {INFINITY, I32, RNE, INT32_MAX, NV},
        {NAN, I32, RNE, INT32_MAX, NV},
        {-NAN, I32, RNE, INT32_MAX, NV},
        {0x1p32 - 1, U32, RNE, UINT64_MAX, 0}, /* sign-extended, though unsigned */
        {0x1p31, U32, RNE, UINT64_C(0xffffffff80000000), 0},
        {0x1p32, U32, RNE, UINT64_MAX, NV},
        {0x1p32 - 0.5, U32, RDN, UINT64_MAX, NX},
        {0x1p32 - 0.5, U32, RUP, UINT64_MAX, NV},
        {-0.25, U32, RNE, 0, NX},
        {-0.25, U32, RDN, 0, NV},
        {-0.5, U32, RNE, 0, NX},
        {-0.5, U32, RMM, 0, NV},
        {-1, U32, RTZ, 0, NV},
        {-0.999, U32, RTZ, 0, NX},
        {-0.0, U32, RDN, 0, 0},
        {NAN, U32, RNE, UINT64_MAX, NV},
        {INFINITY, U32, RNE, UINT64_MAX, NV},
        {-INFINITY, U32, RNE, 0, NV},
        {-0x1p63, I64, RNE, (uint64_t)INT64_MIN, 0},
        {-0x1.0000000000001p63, I64, RNE, (uint64_t)INT64_MIN, NV},
        {0x1p63, I64, RNE, INT64_MAX, NV},
        {0x1.fffffffffffffp62, I64, RNE, UINT64_C(0x7ffffffffffffc00), 0},
        {NAN, I64, RNE, INT64_MAX, NV},
        {-INFINITY, I64, RNE, (uint64_t)INT64_MIN, NV},
        {0x1p64, U64, RNE, UINT64_MAX, NV},
        {0x1.fffffffffffffp63, U64, RNE, UINT64_C(0xfffffffffffff800), 0},
        {0x1p63, U64, RNE, UINT64_C(1) << 63, 0},
        {-0.5, U64, RUP, 0, NX},
        {-1, U64, RNE, 0, NV},
        {NAN, U64, RNE, UINT64_MAX, NV},
        /* Ties in all modes. */
        {2.5, I32, RNE, 2, NX},
        {2.5, I32, RMM, 3, NX},
        {2.5, I32, RUP, 3, NX},
        {2.5, I32, RDN, 2, NX},
        {2.5, I32, RTZ, 2, NX},
        {3.5, I64, RNE, 4, NX},
        {-2.5, I64, RNE, (uint64_t)-2, NX},
        {-2.5, I64, RMM, (uint64_t)-3, NX},
        {-2.5, I64, RDN, (uint64_t)-3, NX},
        {-2.5, I64, RUP, (uint64_t)-2, NX},
        {0.5, U64, RNE, 0, NX},
        {0.5, U64, RMM, 1, NX},
        {0x1p-1074, I32, RUP, 1, NX},
        {-0x1p-1074, I32, RDN, UINT64_MAX, NX},
        {0x1p-1074, I32, RMM, 0, NX},
    };

    for (unsigned i = 0; i < SM_ARRAY_LEN(cases); i++) {
        static uint64_t (*const f64[])(uint64_t, unsigned, uint8_t *) = {
            rv_f64_to_i32, rv_f64_to_u32, rv_f64_to_i64, rv_f64_to_u64};
        static uint64_t (*const f32[])(uint64_t, unsigned, uint8_t *) = {
            rv_f32_to_i32, rv_f32_to_u32, rv_f32_to_i64, rv_f32_to_u64};
        const double a = cases[i].a;
        uint8_t flags = 0;
        uint64_t got = f64[cases[i].kind](d(a), cases[i].rm, &flags);

        check("f64 to int", i, got, flags, cases[i].want, cases[i].flags);
        if (!isnan(a) && (double)(float)a != a)
            continue;
        flags = 0;
        got = f32[cases[i].kind](s((float)a), cases[i].rm, &flags);
        check("f32 to int", i, got, flags, cases[i].want, cases[i].flags);
    }
}

static void modular(void **state)
{
    static const struct {
        double a;
        uint64_t want;
        uint8_t flags;
    } cases[] = {
        {0, 0, 0},
        {-0.0, 0, 0},
        {1.75, 1, NX},
        {-1.75, UINT64_MAX, NX},
        {0x1p31 - 1, 0x7fffffff, 0},
        {0x1p31, UINT64_C(0xffffffff80000000), NV},
        {-0x1p31, UINT64_C(0xffffffff80000000), 0},
        {-0x1p31 - 0.5, UINT64_C(0xffffffff80000000), NX},
        {-0x1p31 - 1, 0x7fffffff, NV},
        {0x1p32 + 5.5, 5, NV},
        {-0x1p32 - 5.5, (uint64_t)-5, NV},
        {0x1p63 + 0x1p11, 0x800, NV},
        {0x1.0000000000001p64, 0x1000, NV}, /* 2^64 + 2^12 */
        {0x1.0000000000001p83, UINT64_C(0xffffffff80000000), NV},
        {-0x1.0000000000003p82, 0x40000000, NV}, /* -(3 << 30) */
        {0x1.0000000000001p84, 0, NV},
        {0x1.fffffffffffffp1023, 0, NV},
        {INFINITY, 0, NV},
        {-INFINITY, 0, NV},
        {NAN, 0, NV},
    };

    for (unsigned i = 0; i < SM_ARRAY_LEN(cases); i++) {
        uint8_t flags = 0;
        const uint64_t got = rv_f64_to_i32_modular(d(cases[i].a), &flags);

        check("fcvtmod", i, got, flags, cases[i].want, cases[i].flags);
    }
}

static void round_to_integral(void **state)
{
    static const struct {
        double a;
        unsigned rm;
        double want;
        uint8_t flags; /* of round_nx */
    } cases[] = {
        {0.5, RNE, 0, NX},
        {-0.5, RNE, -0.0, NX},
        {0.5, RMM, 1, NX},
        {-0.5, RMM, -1, NX},
        {1.5, RNE, 2, NX},
        {2.5, RNE, 2, NX},
        {2.5, RMM, 3, NX},
        {-2.5, RUP, -2, NX},
        {-2.5, RDN, -3, NX},
        {0.999, RTZ, 0, NX},
        {-0.999, RTZ, -0.0, NX},
        {0x1p-149, RUP, 1, NX},
        {-0x1p-149, RUP, -0.0, NX},
        {0, RNE, 0, 0},
        {-0.0, RUP, -0.0, 0},
        {3, RNE, 3, 0},
        {INFINITY, RNE, INFINITY, 0},
        {0x1.fffffep22, RNE, 0x1p23, NX},
        {0x1.fffffep22, RDN, 0x1.fffffcp22, NX},
        {0x1.000002p23, RNE, 0x1.000002p23, 0},
        {-0x1p100, RNE, -0x1p100, 0},
    };
    uint8_t flags;

    for (unsigned i = 0; i < SM_ARRAY_LEN(cases); i++) {
        const double a = cases[i].a, want = cases[i].want;
        const unsigned rm = cases[i].rm;
        uint64_t got;

        flags = 0;
        got = rv_f64_round_nx(d(a), rm, &flags);
        check("f64 round_nx", i, got, flags, d(want), cases[i].flags);
        flags = 0;
        got = rv_f64_round(d(a), rm, &flags);
        check("f64 round", i, got, flags, d(want), 0);
        if ((double)(float)a != a)
            continue;
        flags = 0;
        got = rv_f32_round_nx(s((float)a), rm, &flags);
        check("f32 round_nx", i, got, flags, s((float)want), cases[i].flags);
        flags = 0;
        got = rv_f32_round(s((float)a), rm, &flags);
        check("f32 round", i, got, flags, s((float)want), 0);
    }
    flags = 0;
    assert_int_equal(rv_f64_round(QUIET, RNE, &flags), NAN_OUT);
    assert_int_equal(flags, 0);
    assert_int_equal(rv_f64_round(SIGNALLING, RNE, &flags), NAN_OUT);
    assert_int_equal(flags, NV);
}

static void between_formats(void **state)
{
    static const struct binary_case narrow[] = {
        {ONE, 0, RNE, 0x3f800000, 0},
        {NEG(ZERO), 0, RNE, 0x80000000, 0},
        {NEG(INF), 0, RNE, 0xff800000, 0},
        {QUIET, 0, RNE, 0x7fc00000, 0},
        {NEG(SIGNALLING), 0, RNE, 0x7fc00000, NV},
        {ONE + 1, 0, RNE, 0x3f800000, NX},
        {ONE + 1, 0, RUP, 0x3f800001, NX},
        {ONE + 0x10000000, 0, RNE, 0x3f800000, NX}, /* a tie */
        {ONE + 0x10000000, 0, RMM, 0x3f800001, NX},
        {MAX_NUMBER, 0, RNE, 0x7f800000, OF | NX},
        {NEG(MAX_NUMBER), 0, RUP, 0xff7fffff, OF | NX},
        {UINT64_C(0x47efffffefffffff), 0, RNE, 0x7f7fffff, NX},
        {UINT64_C(0x47efffffefffffff), 0, RUP, 0x7f800000, OF | NX},
        {UINT64_C(0x47effffff0000000), 0, RNE, 0x7f800000, OF | NX},
        {MIN_SUB, 0, RNE, 0, UF | NX},
        {MIN_SUB, 0, RUP, 1, UF | NX},
        {UINT64_C(0x3690000000000000), 0, RNE, 0, UF | NX}, /* 2^-150: a tie */
        {UINT64_C(0x3690000000000000), 0, RMM, 1, UF | NX},
        {UINT64_C(0x3690000000000001), 0, RNE, 1, UF | NX},
        {UINT64_C(0x36a0000000000000), 0, RNE, 1, 0},
        /* Just below 2^-126: what 24 bits hold is tiny, 25 ones round up to it. */
        {UINT64_C(0x380fffffe0000000), 0, RNE, 0x00800000, UF | NX},
        {UINT64_C(0x380fffffefffffff), 0, RNE, 0x00800000, UF | NX},
        {UINT64_C(0x380ffffff0000000), 0, RNE, 0x00800000, NX},
        {UINT64_C(0x380ffffff0000000), 0, RDN, 0x007fffff, UF | NX},
    };
    uint8_t flags = 0;

    for (unsigned i = 0; i < SM_ARRAY_LEN(narrow); i++) {
        uint64_t got;

        flags = 0;
        got = rv_f64_to_f32(narrow[i].a, narrow[i].rm, &flags);
        check("f64 to f32", i, got, flags, narrow[i].want, narrow[i].flags);
    }
    flags = 0;
    assert_int_equal(rv_f32_to_f64(s(-1.5f), &flags), d(-1.5));
    assert_int_equal(rv_f32_to_f64(1, &flags), d(0x1p-149));
    assert_int_equal(rv_f32_to_f64(0x807fffff, &flags), d(-0x1.fffffcp-127));
    assert_int_equal(rv_f32_to_f64(0x80000000, &flags), NEG(ZERO));
    assert_int_equal(rv_f32_to_f64(0x7f800000, &flags), INF);
    assert_int_equal(rv_f32_to_f64(0xffc00001, &flags), NAN_OUT);
    assert_int_equal(flags, 0);
    assert_int_equal(rv_f32_to_f64(0x7f800001, &flags), NAN_OUT);
    assert_int_equal(flags, NV);
}

static void from_integers(void **state)
{
    uint8_t flags = 0;

    assert_int_equal(rv_f64_from_i64(0, RDN, &flags), ZERO);
    assert_int_equal(rv_f64_from_i64((uint64_t)-1, RNE, &flags), NEG(ONE));
    assert_int_equal(rv_f64_from_i64(UINT64_C(1) << 63, RNE, &flags), d(-0x1p63));
    assert_int_equal(rv_f64_from_u64(UINT64_C(1) << 63, RNE, &flags), d(0x1p63));
    assert_int_equal(rv_f32_from_i64((uint64_t)-16777216, RNE, &flags), s(-16777216));
    assert_int_equal(flags, 0);
    assert_int_equal(rv_f32_from_i64(16777217, RNE, &flags), s(16777216));
    assert_int_equal(flags, NX);
    assert_int_equal(rv_f32_from_i64(16777217, RMM, &flags), s(16777218));
    assert_int_equal(rv_f64_from_u64(UINT64_MAX, RNE, &flags), d(0x1p64));
    assert_int_equal(rv_f64_from_u64(UINT64_MAX, RTZ, &flags), d(0x1.fffffffffffffp63));
    assert_int_equal(rv_f64_from_i64((uint64_t)INT64_MIN + 1, RDN, &flags), d(-0x1p63));
    assert_int_equal(flags, NX);
}

static void constants(void **state)
{
    static const float fli[32] = {
        -1,       0 /* smallest normal */,
        0x1p-16f, 0x1p-15f,
        0x1p-8f,  0x1p-7f,
        0.0625f,  0.125f,
        0.25f,    0.3125f,
        0.375f,   0.4375f,
        0.5f,     0.625f,
        0.75f,    0.875f,
        1,        1.25f,
        1.5f,     1.75f,
        2,        2.5f,
        3,        4,
        8,        16,
        128,      256,
        0x1p15f,  0x1p16f,
        INFINITY, NAN,
    };

    for (unsigned n = 0; n < 31; n++) {
        assert_int_equal(rv_f32_constant(n), s(n == 1 ? FLT_MIN : fli[n]));
        assert_int_equal(rv_f64_constant(n), d(n == 1 ? DBL_MIN : (double)fli[n]));
    }
    assert_int_equal(rv_f32_constant(31), RV_F32_NAN);
    assert_int_equal(rv_f64_constant(31), RV_F64_NAN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(to_integers),       cmocka_unit_test(modular),
        cmocka_unit_test(round_to_integral), cmocka_unit_test(between_formats),
        cmocka_unit_test(from_integers),     cmocka_unit_test(constants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
