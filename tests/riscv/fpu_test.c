/* SPDX-License-Identifier: MIT */
/* fpu_test.c - arithmetic, comparison and classes, on cases worked by hand from IEEE 754
 * and the RISC-V chapters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fpu_cases.h"
#include "fpu_operands.h"

/* --- Arithmetic ------------------------------------------------------------ */

enum { N_OPERANDS = 200000 };

static void add(void **state)
{
    static const struct binary_case cases[] = {
        {ONE, ONE, RNE, TWO, 0},
        {ONE, NEG(ONE), RNE, ZERO, 0},
        {ONE, NEG(ONE), RDN, NEG(ZERO), 0},
        {ONE, NEG(ONE), RMM, ZERO, 0},
        {ZERO, NEG(ZERO), RNE, ZERO, 0},
        {ZERO, NEG(ZERO), RDN, NEG(ZERO), 0},
        {NEG(ZERO), NEG(ZERO), RUP, NEG(ZERO), 0},
        {ZERO, ZERO, RDN, ZERO, 0},
        {ZERO, NEG(MIN_SUB), RNE, NEG(MIN_SUB), 0},
        {MIN_SUB, MIN_SUB, RNE, 2, 0}, /* exact: tiny, but no UF    */
        {MAX_SUB, MIN_SUB, RNE, MIN_NORMAL, 0},
        /* A tie at 1: to even, away, and by direction. */
        {ONE, HALF_ULP_1, RNE, ONE, NX},
        {ONE, HALF_ULP_1, RMM, ONE + 1, NX},
        {ONE, HALF_ULP_1, RTZ, ONE, NX},
        {ONE, HALF_ULP_1, RDN, ONE, NX},
        {ONE, HALF_ULP_1, RUP, ONE + 1, NX},
        {ONE + 1, HALF_ULP_1, RNE, ONE + 2, NX},
        {NEG(ONE), NEG(HALF_ULP_1), RMM, NEG(ONE + 1), NX},
        {NEG(ONE), NEG(HALF_ULP_1), RDN, NEG(ONE + 1), NX},
        {NEG(ONE), NEG(HALF_ULP_1), RUP, NEG(ONE), NX},
        {ONE, HALF_ULP_1 - 1, RMM, ONE, NX},
        {ONE, HALF_ULP_1 + 1, RNE, ONE + 1, NX},
        /* Something far below: seen by direction, also when it takes away. */
        {ONE, MIN_SUB, RUP, ONE + 1, NX},
        {ONE, NEG(MIN_SUB), RTZ, ONE - 1, NX},
        {ONE, NEG(MIN_SUB), RNE, ONE, NX},
        {MAX_NUMBER, MAX_NUMBER, RNE, INF, OF | NX},
        {MAX_NUMBER, MAX_NUMBER, RMM, INF, OF | NX},
        {MAX_NUMBER, MAX_NUMBER, RTZ, MAX_NUMBER, OF | NX},
        {MAX_NUMBER, MAX_NUMBER, RDN, MAX_NUMBER, OF | NX},
        {NEG(MAX_NUMBER), NEG(MAX_NUMBER), RDN, NEG(INF), OF | NX},
        {NEG(MAX_NUMBER), NEG(MAX_NUMBER), RUP, NEG(MAX_NUMBER), OF | NX},
        {MAX_NUMBER, MIN_SUB, RUP, INF, OF | NX},
        {MAX_NUMBER, MIN_SUB, RNE, MAX_NUMBER, NX},
        {INF, NEG(MAX_NUMBER), RNE, INF, 0},
        {INF, INF, RNE, INF, 0},
        {INF, NEG(INF), RNE, NAN_OUT, NV},
        {QUIET, ONE, RNE, NAN_OUT, 0},
        {ONE, SIGNALLING, RNE, NAN_OUT, NV},
        {QUIET, SIGNALLING, RNE, NAN_OUT, NV},
        {QUIET, INF, RNE, NAN_OUT, 0},
    };

    for (unsigned i = 0; i < SM_ARRAY_LEN(cases); i++) {
        const struct binary_case *c = &cases[i];
        uint8_t flags = 0;
        uint64_t got = rv_f64_add(c->a, c->b, c->rm, &flags);

        check("add", i, got, flags, c->want, c->flags);
        flags = 0;
        got = rv_f64_add(c->b, c->a, c->rm, &flags);
        check("add, turned round", i, got, flags, c->want, c->flags);
        flags = 0;
        got = rv_f64_sub(c->a, NEG(0) ^ c->b, c->rm, &flags);
        check("sub", i, got, flags, c->want, c->flags);
    }
}

static void mul(void **state)
{
    static const struct binary_case cases[] = {
        {TWO, NEG(HALF), RNE, NEG(ONE), 0},
        {ZERO, NEG(ONE), RNE, NEG(ZERO), 0},
        {NEG(ZERO), NEG(ZERO), RDN, ZERO, 0},
        {MIN_SUB, HALF, RNE, ZERO, UF | NX}, /* a tie at 0                */
        {MIN_SUB, HALF, RMM, MIN_SUB, UF | NX},
        {MIN_SUB, HALF, RUP, MIN_SUB, UF | NX},
        {NEG(MIN_SUB), HALF, RUP, NEG(ZERO), UF | NX},
        {MIN_SUB, MIN_SUB, RUP, MIN_SUB, UF | NX},
        {MIN_NORMAL, HALF, RNE, MIN_NORMAL >> 1, 0},
        /* (1 - 2^-53) * 2^-1022 is tiny after rounding to 53 bits, which is exact, but
         * becomes the smallest normal number: UF. */
        {MIN_NORMAL, ONE - 1, RNE, MIN_NORMAL, UF | NX},
        {MIN_NORMAL, ONE - 1, RTZ, MAX_SUB, UF | NX},
        /* (1 + 2^-52) * (1 - 2^-53) * 2^-1022 is above it: not tiny. */
        {MIN_NORMAL + 1, ONE - 1, RTZ, MIN_NORMAL, NX},
        /* (1 + 2^-52) * (1 - 2^-52) * 2^-1022 = (1 - 2^-104) * 2^-1022: below, but not
         * once rounded to 53 bits, unless towards zero. */
        {MIN_NORMAL + 1, ONE - 2, RNE, MIN_NORMAL, NX},
        {MIN_NORMAL + 1, ONE - 2, RUP, MIN_NORMAL, NX},
        {MIN_NORMAL + 1, ONE - 2, RMM, MIN_NORMAL, NX},
        {MIN_NORMAL + 1, ONE - 2, RDN, MAX_SUB, UF | NX},
        {MAX_NUMBER, TWO, RTZ, MAX_NUMBER, OF | NX},
        {MAX_NUMBER, ONE + 1, RNE, INF, OF | NX},
        {INF, NEG(MIN_SUB), RNE, NEG(INF), 0},
        {INF, ZERO, RNE, NAN_OUT, NV},
        {INF, QUIET, RNE, NAN_OUT, 0},
        {ZERO, SIGNALLING, RNE, NAN_OUT, NV},
    };

    for (unsigned i = 0; i < SM_ARRAY_LEN(cases); i++) {
        const struct binary_case *c = &cases[i];
        uint8_t flags = 0;
        uint64_t got = rv_f64_mul(c->a, c->b, c->rm, &flags);

        check("mul", i, got, flags, c->want, c->flags);
        flags = 0;
        got = rv_f64_mul(c->b, c->a, c->rm, &flags);
        check("mul, turned round", i, got, flags, c->want, c->flags);
        flags = 0;
        /* + -0 changes no product but +0, which becomes an exact sum of two zeros. */
        got = rv_f64_fma(c->a, c->b, NEG(ZERO), c->rm, &flags);
        if (c->want != ZERO || c->flags)
            check("fma", i, got, flags, c->want, c->flags);
    }
}

static void div_sqrt(void **state)
{
    static const struct binary_case div[] = {
        {ONE, TWO, RNE, HALF, 0},
        {ONE, THREE, RNE, UINT64_C(0x3fd5555555555555), NX},
        {ONE, THREE, RUP, UINT64_C(0x3fd5555555555556), NX},
        {NEG(ONE), THREE, RDN, NEG(UINT64_C(0x3fd5555555555556)), NX},
        {ONE, ZERO, RNE, INF, DZ},
        {ONE, NEG(ZERO), RTZ, NEG(INF), DZ},
        {INF, ZERO, RNE, INF, 0},
        {ZERO, NEG(ONE), RNE, NEG(ZERO), 0},
        {ZERO, ZERO, RNE, NAN_OUT, NV},
        {INF, NEG(INF), RNE, NAN_OUT, NV},
        {ONE, NEG(INF), RUP, NEG(ZERO), 0},
        {QUIET, ZERO, RNE, NAN_OUT, 0},
        {SIGNALLING, ZERO, RNE, NAN_OUT, NV},
        {MIN_SUB, TWO, RMM, MIN_SUB, UF | NX},
        {MIN_NORMAL, TWO, RNE, MIN_NORMAL >> 1, 0},
        {MAX_NUMBER, HALF, RDN, MAX_NUMBER, OF | NX},
        {MIN_SUB, MIN_SUB, RNE, ONE, 0},
    };
    static const struct binary_case sqrt_cases[] = {
        {FOUR, 0, RNE, TWO, 0},
        {TWO, 0, RNE, UINT64_C(0x3ff6a09e667f3bcd), NX},
        {TWO, 0, RTZ, UINT64_C(0x3ff6a09e667f3bcc), NX},
        {NEG(ZERO), 0, RNE, NEG(ZERO), 0},
        {NEG(ONE), 0, RNE, NAN_OUT, NV},
        {NEG(MIN_SUB), 0, RNE, NAN_OUT, NV},
        {NEG(INF), 0, RNE, NAN_OUT, NV},
        {INF, 0, RNE, INF, 0},
        {QUIET, 0, RNE, NAN_OUT, 0},
        {SIGNALLING, 0, RNE, NAN_OUT, NV},
        {MIN_SUB, 0, RNE, UINT64_C(0x1e60000000000000), 0}, /* 2^-537 */
        {ONE - 1, 0, RUP, ONE, NX},
        {ONE - 1, 0, RNE, ONE - 1, NX}, /* 1 - 2^-54 - 2^-109 is below the tie */
    };
    uint8_t flags;
    uint64_t got;

    for (unsigned i = 0; i < SM_ARRAY_LEN(div); i++) {
        flags = 0;
        got = rv_f64_div(div[i].a, div[i].b, div[i].rm, &flags);
        check("div", i, got, flags, div[i].want, div[i].flags);
    }
    for (unsigned i = 0; i < SM_ARRAY_LEN(sqrt_cases); i++) {
        flags = 0;
        got = rv_f64_sqrt(sqrt_cases[i].a, sqrt_cases[i].rm, &flags);
        check("sqrt", i, got, flags, sqrt_cases[i].want, sqrt_cases[i].flags);
    }
}

static void fma_cases(void **state)
{
    static const struct {
        uint64_t a, b, c;
        unsigned rm;
        uint64_t want;
        uint8_t flags;
    } cases[] = {
        {TWO, TWO, NEG(FOUR), RNE, ZERO, 0},
        {TWO, TWO, NEG(FOUR), RDN, NEG(ZERO), 0},
        {ZERO, ONE, NEG(ZERO), RNE, ZERO, 0},
        {ZERO, NEG(ONE), NEG(ZERO), RUP, NEG(ZERO), 0},
        {ZERO, ONE, THREE, RNE, THREE, 0},
        /* One rounding: (1 + 2^-52)^2 - (1 + 2^-51) = 2^-104. */
        {ONE + 1, ONE + 1, NEG(ONE + 2), RNE, UINT64_C(0x3970000000000000), 0},
        {ONE, ONE, HALF_ULP_1, RMM, ONE + 1, NX},
        /* Too large a product, brought back before it is rounded. */
        {MAX_NUMBER, TWO, NEG(MAX_NUMBER), RNE, MAX_NUMBER, 0},
        {MAX_NUMBER, TWO, MAX_NUMBER, RTZ, MAX_NUMBER, OF | NX},
        {MIN_SUB, MIN_SUB, ONE, RUP, ONE + 1, NX},
        {MIN_SUB, MIN_SUB, NEG(ONE), RUP, NEG(ONE - 1), NX},
        {MIN_SUB, MIN_SUB, NEG(ZERO), RNE, ZERO, UF | NX},
        {INF, ZERO, ONE, RNE, NAN_OUT, NV},
        {INF, ZERO, QUIET, RNE, NAN_OUT, NV},
        {NEG(ZERO), INF, QUIET, RNE, NAN_OUT, NV},
        {INF, ONE, QUIET, RNE, NAN_OUT, 0},
        {INF, ONE, SIGNALLING, RNE, NAN_OUT, NV},
        {INF, ONE, NEG(INF), RNE, NAN_OUT, NV},
        {INF, NEG(ONE), NEG(INF), RNE, NEG(INF), 0},
        {MAX_NUMBER, MAX_NUMBER, NEG(INF), RNE, NEG(INF), 0},
        {SIGNALLING, ZERO, ONE, RNE, NAN_OUT, NV},
        {QUIET, INF, ONE, RNE, NAN_OUT, 0},
    };

    for (unsigned i = 0; i < SM_ARRAY_LEN(cases); i++) {
        uint8_t flags = 0;
        const uint64_t got =
            rv_f64_fma(cases[i].a, cases[i].b, cases[i].c, cases[i].rm, &flags);

        check("fma", i, got, flags, cases[i].want, cases[i].flags);
    }
}

/* --- Comparison, selection, classes ---------------------------------------- */

/** In the order of their values, -0 equal to +0. */
static const uint64_t ladder[] = {
    NEG(INF),     NEG(MAX_NUMBER), NEG(TWO),  NEG(ONE), NEG(MIN_NORMAL),
    NEG(MAX_SUB), NEG(MIN_SUB),    NEG(ZERO), ZERO,     MIN_SUB,
    MAX_SUB,      MIN_NORMAL,      ONE,       TWO,      MAX_NUMBER,
    INF,
};

static void numbers_compare(void **state)
{
    for (unsigned i = 0; i < SM_ARRAY_LEN(ladder); i++) {
        for (unsigned j = 0; j < SM_ARRAY_LEN(ladder); j++) {
            const uint64_t a = ladder[i], b = ladder[j];
            const bool zeros = !(a << 1) && !(b << 1);
            uint8_t flags = 0;

            assert_int_equal(rv_f64_eq(a, b, &flags), i == j || zeros);
            assert_int_equal(rv_f64_lt(a, b, &flags), i < j && !zeros);
            assert_int_equal(rv_f64_ltq(a, b, &flags), i < j && !zeros);
            assert_int_equal(rv_f64_le(a, b, &flags), i <= j || zeros);
            assert_int_equal(rv_f64_leq(a, b, &flags), i <= j || zeros);
            assert_int_equal(rv_f64_min(a, b, &flags), ladder[SM_MIN(i, j)]);
            assert_int_equal(rv_f64_max(a, b, &flags), ladder[SM_MAX(i, j)]);
            assert_int_equal(rv_f64_minm(a, b, &flags), ladder[SM_MIN(i, j)]);
            assert_int_equal(rv_f64_maxm(a, b, &flags), ladder[SM_MAX(i, j)]);
            assert_int_equal(flags, 0);
        }
    }
}

static void nan_compares_with_nothing(void **state)
{
    static const uint64_t others[] = {ONE, NEG(INF), ZERO, QUIET};

    for (unsigned i = 0; i < SM_ARRAY_LEN(others); i++) {
        for (unsigned n = 0; n < 4; n++) {
            const uint64_t nan = n & 1 ? SIGNALLING : QUIET;
            const uint8_t quiet = n & 1 ? NV : 0;
            const uint64_t a = n & 2 ? others[i] : nan, b = n & 2 ? nan : others[i];
            const uint64_t number = others[i] == QUIET ? NAN_OUT : others[i];
            uint8_t flags;

#define CHECK(function, want, want_flags)                                                \
    flags = 0;                                                                           \
    assert_int_equal(function(a, b, &flags), want);                                      \
    assert_int_equal(flags, want_flags)
            CHECK(rv_f64_eq, false, quiet);
            CHECK(rv_f64_ltq, false, quiet);
            CHECK(rv_f64_leq, false, quiet);
            CHECK(rv_f64_lt, false, NV);
            CHECK(rv_f64_le, false, NV);
            CHECK(rv_f64_min, number, quiet);
            CHECK(rv_f64_max, number, quiet);
            CHECK(rv_f64_minm, NAN_OUT, quiet);
            CHECK(rv_f64_maxm, NAN_OUT, quiet);
#undef CHECK
        }
    }
}

static void singles_compare(void **state)
{
    static const float values[] = {-INFINITY, -2, -FLT_MIN, 0, FLT_MIN / 2, 1, FLT_MAX};
    uint8_t flags = 0;

    for (unsigned i = 0; i < SM_ARRAY_LEN(values); i++) {
        for (unsigned j = 0; j < SM_ARRAY_LEN(values); j++) {
            const uint64_t a = s(values[i]), b = s(values[j]);

            assert_int_equal(rv_f32_eq(a, b, &flags), i == j);
            assert_int_equal(rv_f32_lt(a, b, &flags), i < j);
            assert_int_equal(rv_f32_ltq(a, b, &flags), i < j);
            assert_int_equal(rv_f32_le(a, b, &flags), i <= j);
            assert_int_equal(rv_f32_leq(a, b, &flags), i <= j);
            assert_int_equal(rv_f32_min(a, b, &flags), s(values[SM_MIN(i, j)]));
            assert_int_equal(rv_f32_max(a, b, &flags), s(values[SM_MAX(i, j)]));
        }
    }
    assert_int_equal(rv_f32_min(s(0), s(-0.0f), &flags), s(-0.0f));
    assert_int_equal(rv_f32_max(s(-0.0f), s(0), &flags), s(0));
    assert_int_equal(rv_f32_minm(RV_F32_NAN, s(0), &flags), RV_F32_NAN);
    assert_int_equal(rv_f32_max(0xffffffff, s(-1), &flags), s(-1));
    assert_int_equal(flags, 0);
    assert_int_equal(rv_f32_min(0x7f800001, s(-1), &flags), s(-1));
    assert_int_equal(flags, NV);
}

static void classes(void **state)
{
    static const struct {
        uint64_t a;
        unsigned want;
    } cases[] = {
        {NEG(INF), 1 << 0},     {NEG(MAX_NUMBER), 1 << 1}, {NEG(MIN_NORMAL), 1 << 1},
        {NEG(MAX_SUB), 1 << 2}, {NEG(MIN_SUB), 1 << 2},    {NEG(ZERO), 1 << 3},
        {ZERO, 1 << 4},         {MIN_SUB, 1 << 5},         {MAX_SUB, 1 << 5},
        {MIN_NORMAL, 1 << 6},   {MAX_NUMBER, 1 << 6},      {INF, 1 << 7},
        {SIGNALLING, 1 << 8},   {NEG(SIGNALLING), 1 << 8}, {QUIET, 1 << 9},
        {NAN_OUT, 1 << 9},
    };

    for (unsigned i = 0; i < SM_ARRAY_LEN(cases); i++)
        assert_int_equal(rv_f64_class(cases[i].a), cases[i].want);
    assert_int_equal(rv_f32_class(s(-INFINITY)), 1 << 0);
    assert_int_equal(rv_f32_class(0x80000001), 1 << 2);
    assert_int_equal(rv_f32_class(0x80000000), 1 << 3);
    assert_int_equal(rv_f32_class(s(FLT_MIN)), 1 << 6);
    assert_int_equal(rv_f32_class(0x7f800001), 1 << 8);
    assert_int_equal(rv_f32_class(RV_F32_NAN), 1 << 9);
}

/* Nothing clears a flag, and what is set changes no result: neither with the host's help,
 * which is sought if NX is set, nor without. */
#define ACCUMULATES(function, ...)                                                       \
    do {                                                                                 \
        uint8_t fresh = 0, flags = before;                                               \
        const uint64_t want = function(__VA_ARGS__, &fresh);                             \
        const uint64_t got = function(__VA_ARGS__, &flags);                              \
                                                                                         \
        check(#function, i, got, flags, want, (uint8_t)(before | fresh));                \
    } while (0)

#define FLAGS_ACCUMULATE(f)                                                              \
    static void f##_flags_accumulate(void **state)                                       \
    {                                                                                    \
        struct fpu_random random = fpu_random_init(3);                                   \
                                                                                         \
        for (unsigned i = 0; i < N_OPERANDS; i++) {                                      \
            const uint64_t a = fpu_random_operand(fpu_##f, &random);                     \
            const uint64_t b = fpu_random_partner(fpu_##f, &random, a);                  \
            uint8_t before = (uint8_t)(fpu_random_next(&random) & 0x1f);                 \
            const unsigned rm = i & 1 ? RNE : (i >> 1) % 5;                              \
            const uint64_t c =                                                           \
                fpu_random_addend(fpu_##f, &random, rv_##f##_mul(a, b, rm, &before));    \
                                                                                         \
            ACCUMULATES(rv_##f##_add, a, b, rm);                                         \
            ACCUMULATES(rv_##f##_sub, a, b, rm);                                         \
            ACCUMULATES(rv_##f##_mul, a, b, rm);                                         \
            ACCUMULATES(rv_##f##_div, a, b, rm);                                         \
            ACCUMULATES(rv_##f##_sqrt, a, rm);                                           \
            ACCUMULATES(rv_##f##_fma, a, b, c, rm);                                      \
            ACCUMULATES(rv_##f##_round_nx, a, rm);                                       \
            ACCUMULATES(rv_##f##_to_i32, a, rm);                                         \
            ACCUMULATES(rv_##f##_to_u64, a, rm);                                         \
            ACCUMULATES(rv_##f##_from_i64, a, rm);                                       \
            ACCUMULATES(rv_##f##_lt, a, b);                                              \
            ACCUMULATES(rv_##f##_eq, a, b);                                              \
            ACCUMULATES(rv_##f##_min, a, b);                                             \
        }                                                                                \
    }

FLAGS_ACCUMULATE(f32)
FLAGS_ACCUMULATE(f64)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add),
        cmocka_unit_test(mul),
        cmocka_unit_test(div_sqrt),
        cmocka_unit_test(fma_cases),
        cmocka_unit_test(numbers_compare),
        cmocka_unit_test(nan_compares_with_nothing),
        cmocka_unit_test(singles_compare),
        cmocka_unit_test(classes),
        cmocka_unit_test(f32_flags_accumulate),
        cmocka_unit_test(f64_flags_accumulate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
