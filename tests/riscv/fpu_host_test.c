/* SPDX-License-Identifier: MIT */
/* fpu_host_test.c - fpu.h against the host's FPU: random operands, four modes.
 *
 * The host knows four of the five rounding modes; the fifth is compared with MPFR in
 * fpu_mpfr_test.c.  Where hosts differ from RISC-V the oracle is adjusted: NaN results,
 * conversions to integers that are out of range, inf * 0 + NaN, and tininess, which
 * AArch64 detects before rounding.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fenv.h>
#include <math.h>
#include <string.h>
#ifdef __x86_64__
#include <xmmintrin.h>
#endif

#include "fpu_operands.h"

enum {
    N_OPERANDS = 100000,
    N_BITES = 30000,
    NX = RV_FFLAG_NX,
    UF = RV_FFLAG_UF,
    OF = RV_FFLAG_OF,
    DZ = RV_FFLAG_DZ,
    NV = RV_FFLAG_NV
};

/* --- The host's FPU -------------------------------------------------------- */

#ifdef __x86_64__
/* One register has modes and flags; <fenv.h> also saves and loads the x87, slowly. */
static void host_begin(unsigned rm)
{
    static const unsigned modes[4] = {0x0000, 0x6000, 0x2000, 0x4000};

    _mm_setcsr(0x1f80 | modes[rm]);
}

static uint8_t host_end(void)
{
    const unsigned csr = _mm_getcsr();

    _mm_setcsr(0x1f80);
    return (uint8_t)((csr & 1 ? NV : 0) | (csr & 4 ? DZ : 0) | (csr & 8 ? OF : 0) |
                     (csr & 16 ? UF : 0) | (csr & 32 ? NX : 0));
}
#else
static void host_begin(unsigned rm)
{
    static const int modes[4] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};

    fesetround(modes[rm]);
    feclearexcept(FE_ALL_EXCEPT);
}

static uint8_t host_end(void)
{
    const int e = fetestexcept(FE_ALL_EXCEPT);

    fesetround(FE_TONEAREST);
    return (uint8_t)((e & FE_INVALID ? NV : 0) | (e & FE_DIVBYZERO ? DZ : 0) |
                     (e & FE_OVERFLOW ? OF : 0) | (e & FE_UNDERFLOW ? UF : 0) |
                     (e & FE_INEXACT ? NX : 0));
}
#endif

static float to_float(uint64_t a)
{
    const uint32_t bits = (uint32_t)a;
    float value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static double to_double(uint64_t a)
{
    double value;

    memcpy(&value, &a, sizeof(value));
    return value;
}

static uint64_t from_float(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return (bits & 0x7fffffff) > 0x7f800000 ? RV_F32_NAN : bits;
}

static uint64_t from_double(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return (bits & (UINT64_MAX >> 1)) > UINT64_C(0x7ff0000000000000) ? RV_F64_NAN : bits;
}

/* Inline, compilers round by adding 2^23 and dropping the sign first, which is wrong in
 * directed modes. */
static float (*volatile libm_rintf)(float) = rintf;
static double (*volatile libm_rint)(double) = rint;

/* Volatile operands and results pin each operation between begin and end. */
#define HOST_OPERANDS(type)                                                              \
    volatile type x = to_##type(a), y = to_##type(b), z = to_##type(c), result;          \
    (void)x, (void)y, (void)z

#define HOST_OP(name, type, expression)                                                  \
    static uint64_t host_##name(uint64_t a, uint64_t b, uint64_t c, unsigned rm,         \
                                uint8_t *flags)                                          \
    {                                                                                    \
        HOST_OPERANDS(type);                                                             \
        host_begin(rm);                                                                  \
        result = expression;                                                             \
        *flags |= host_end();                                                            \
        return from_##type(result);                                                      \
    }

/* x86 answers inf * 0 + quiet NaN without raising NV; IEEE 754 leaves that open. */
#define HOST_FMA(name, type, function)                                                   \
    static uint64_t host_##name(uint64_t a, uint64_t b, uint64_t c, unsigned rm,         \
                                uint8_t *flags)                                          \
    {                                                                                    \
        HOST_OPERANDS(type);                                                             \
        host_begin(rm);                                                                  \
        result = function(x, y, z);                                                      \
        *flags |= host_end();                                                            \
        if ((isinf(x) && y == 0) || (x == 0 && isinf(y)))                                \
            *flags |= NV;                                                                \
        return from_##type(result);                                                      \
    }

/* Out of range, hosts return values of their own; only whether rounding was inexact is
 * taken from them. */
#define HOST_TO_INT(name, type, min, end, AS_REGISTER, low, high)                        \
    static uint64_t host_##name(uint64_t a, uint64_t b, uint64_t c, unsigned rm,         \
                                uint8_t *flags)                                          \
    {                                                                                    \
        volatile double x = to_##type(a), rounded;                                       \
        uint8_t inexact;                                                                 \
                                                                                         \
        host_begin(rm);                                                                  \
        rounded = libm_rint(x);                                                          \
        inexact = host_end() & NX;                                                       \
        if (rounded >= (min) && rounded < (end)) {                                       \
            *flags |= inexact;                                                           \
            return AS_REGISTER(rounded);                                                 \
        }                                                                                \
        *flags |= NV;                                                                    \
        return (uint64_t)(rounded < 0 ? (low) : (high));                                 \
    }

#define REGISTER_I32(value) (uint64_t)(int32_t)(value)
#define REGISTER_U32(value) (uint64_t)(int32_t)(uint32_t)(value)
#define REGISTER_I64(value) (uint64_t)(int64_t)(value)
#define REGISTER_U64(value) (uint64_t)(value)

/* Unsigned integers are converted as signed ones, halved with the lost bit kept if need
 * be: what compilers make of them is not right in all modes. */
#define HOST_FROM_INT(name, type, is_signed)                                             \
    static uint64_t host_##name(uint64_t a, uint64_t b, uint64_t c, unsigned rm,         \
                                uint8_t *flags)                                          \
    {                                                                                    \
        const bool halved = !is_signed && a >> 63;                                       \
        volatile int64_t x = (int64_t)(halved ? a >> 1 | (a & 1) : a);                   \
        volatile type result;                                                            \
                                                                                         \
        host_begin(rm);                                                                  \
        result = (type)x;                                                                \
        *flags |= host_end();                                                            \
        return from_##type(halved ? 2 * result : result);                                \
    }

#define HOST_OPS(f, type, suffix)                                                        \
    HOST_OP(f##_add, type, x + y)                                                        \
    HOST_OP(f##_sub, type, x - y)                                                        \
    HOST_OP(f##_mul, type, x *y)                                                         \
    HOST_OP(f##_div, type, x / y)                                                        \
    HOST_OP(f##_sqrt, type, sqrt##suffix(x))                                             \
    HOST_OP(f##_round_nx, type, libm_rint##suffix(x))                                    \
    HOST_FMA(f##_fma, type, fma##suffix)                                                 \
    HOST_TO_INT(f##_to_i32, type, -0x1p31, 0x1p31, REGISTER_I32, INT32_MIN, INT32_MAX)   \
    HOST_TO_INT(f##_to_u32, type, 0, 0x1p32, REGISTER_U32, 0, UINT64_MAX)                \
    HOST_TO_INT(f##_to_i64, type, -0x1p63, 0x1p63, REGISTER_I64, INT64_MIN, INT64_MAX)   \
    HOST_TO_INT(f##_to_u64, type, 0, 0x1p64, REGISTER_U64, 0, UINT64_MAX)                \
    HOST_FROM_INT(f##_from_i64, type, true)                                              \
    HOST_FROM_INT(f##_from_u64, type, false)

HOST_OPS(f32, float, f)
HOST_OPS(f64, double, )

static uint64_t host_f32_to_f64(uint64_t a, uint64_t b, uint64_t c, unsigned rm,
                                uint8_t *flags)
{
    volatile float x = to_float(a);
    volatile double result;

    host_begin(rm);
    result = (double)x;
    *flags |= host_end();
    return from_double(result);
}

static uint64_t host_f64_to_f32(uint64_t a, uint64_t b, uint64_t c, unsigned rm,
                                uint8_t *flags)
{
    volatile double x = to_double(a);
    volatile float result;

    host_begin(rm);
    result = (float)x;
    *flags |= host_end();
    return from_float(result);
}

/* --- Ours behind the same type --------------------------------------------- */

typedef uint64_t fpu_fn(uint64_t a, uint64_t b, uint64_t c, unsigned rm, uint8_t *flags);

#define OUR_OP(name, ...)                                                                \
    static uint64_t our_##name(uint64_t a, uint64_t b, uint64_t c, unsigned rm,          \
                               uint8_t *flags)                                           \
    {                                                                                    \
        return rv_##name(__VA_ARGS__, flags);                                            \
    }

#define OUR_OPS(f)                                                                       \
    OUR_OP(f##_add, a, b, rm)                                                            \
    OUR_OP(f##_sub, a, b, rm)                                                            \
    OUR_OP(f##_mul, a, b, rm)                                                            \
    OUR_OP(f##_div, a, b, rm)                                                            \
    OUR_OP(f##_sqrt, a, rm)                                                              \
    OUR_OP(f##_fma, a, b, c, rm)                                                         \
    OUR_OP(f##_round_nx, a, rm)                                                          \
    OUR_OP(f##_to_i32, a, rm)                                                            \
    OUR_OP(f##_to_u32, a, rm)                                                            \
    OUR_OP(f##_to_i64, a, rm)                                                            \
    OUR_OP(f##_to_u64, a, rm)                                                            \
    OUR_OP(f##_from_i64, a, rm)                                                          \
    OUR_OP(f##_from_u64, a, rm)

OUR_OPS(f32)
OUR_OPS(f64)
OUR_OP(f32_to_f64, a)
OUR_OP(f64_to_f32, a, rm)

/* --- Comparison with the host ---------------------------------------------- */

static const struct op {
    const char *name;
    fpu_fn *ours, *host;
    const struct fpu_format *format; /* of the operands; NULL: integer            */
} ops[] = {
#define OP(name, format)                                                                 \
    {                                                                                    \
#name, our_##name, host_##name, format                                           \
    }
#define OPS(f)                                                                           \
    OP(f##_add, &fpu_##f), OP(f##_sub, &fpu_##f), OP(f##_mul, &fpu_##f),                 \
        OP(f##_div, &fpu_##f), OP(f##_sqrt, &fpu_##f), OP(f##_fma, &fpu_##f),            \
        OP(f##_round_nx, &fpu_##f), OP(f##_to_i32, &fpu_##f), OP(f##_to_u32, &fpu_##f),  \
        OP(f##_to_i64, &fpu_##f), OP(f##_to_u64, &fpu_##f), OP(f##_from_i64, NULL),      \
        OP(f##_from_u64, NULL)
    OPS(f32),
    OPS(f64),
    OP(f32_to_f64, &fpu_f32),
    OP(f64_to_f32, &fpu_f64),
};

struct operands {
    uint64_t a, b, c;
};

static struct operands random_operands(const struct op *op, struct fpu_random *random)
{
    struct operands in = {0};
    uint8_t flags = 0;

    if (!op->format) {
        in.a = fpu_random_integer(random);
        if (fpu_random_next(random) & 1)
            in.a = 0 - in.a;
        return in;
    }
    in.a = fpu_random_operand(*op->format, random);
    in.b = fpu_random_partner(*op->format, random, in.a);
    in.c = fpu_random_addend(*op->format, random,
                             op->format == &fpu_f32
                                 ? host_f32_mul(in.a, in.b, 0, RV_RM_RNE, &flags)
                                 : host_f64_mul(in.a, in.b, 0, RV_RM_RNE, &flags));
    return in;
}

/** Compare @n operand tuples of @op in four modes, printing the first few that differ if
 *  @loud.  Every other call begins with flags set, which must stay and not matter.
 *  Returns  how many differed */
static unsigned compare(const struct op *op, fpu_fn *ours, unsigned n,
                        struct fpu_random *random, bool loud)
{
    static const char *const modes[] = {"rne", "rtz", "rdn", "rup"};
    unsigned n_wrong = 0;
#ifdef __x86_64__
    const uint8_t seen = 0x1f;
#else
    const uint8_t seen = (uint8_t)~UF;
#endif

    for (unsigned i = 0; i < n; i++) {
        const struct operands in = random_operands(op, random);

        for (unsigned rm = RV_RM_RNE; rm <= RV_RM_RUP; rm++) {
            const uint8_t before = i & 1 ? (uint8_t)((i >> 1) & 0x1f) : 0;
            uint8_t flags = before, want_flags = before;
            const uint64_t got = ours(in.a, in.b, in.c, rm, &flags);
            const uint64_t want = op->host(in.a, in.b, in.c, rm, &want_flags);

            if (got == want && !((flags ^ want_flags) & seen))
                continue;
            if (loud && n_wrong < 5)
                printf("%s %s %llx %llx %llx: %llx flags %x, host %llx flags %x\n",
                       op->name, modes[rm], (unsigned long long)in.a,
                       (unsigned long long)in.b, (unsigned long long)in.c,
                       (unsigned long long)got, flags, (unsigned long long)want,
                       want_flags);
            n_wrong++;
        }
    }
    return n_wrong;
}

static void agrees_with_host(void **state)
{
    struct fpu_random random = fpu_random_init(1);

    for (size_t i = 0; i < SM_ARRAY_LEN(ops); i++)
        assert_int_equal(compare(&ops[i], ops[i].ours, N_OPERANDS, &random, true), 0);
}

/* Faults such as an implementation may have, planted: the comparison must see each. */

static fpu_fn *right;

static uint64_t ties_go_away(uint64_t a, uint64_t b, uint64_t c, unsigned rm,
                             uint8_t *flags)
{
    return right(a, b, c, rm == RV_RM_RNE ? RV_RM_RMM : rm, flags);
}

static uint64_t loses_small_addend(uint64_t a, uint64_t b, uint64_t c, unsigned rm,
                                   uint8_t *flags)
{
    const uint64_t exp = sm_extract(c, 52, 11);

    return right(a, b, exp && exp < 900 ? c & ~sm_mask(52) : c, rm, flags);
}

static uint64_t tiny_before_rounding(uint64_t a, uint64_t b, uint64_t c, unsigned rm,
                                     uint8_t *flags)
{
    uint8_t raised = 0;
    const uint64_t result = right(a, b, c, rm, &raised);

    if (result << 1 == UINT64_C(1) << 53 && raised & NX)
        raised |= UF; /* smallest normal number: nearly always rounded up to it */
    *flags |= raised;
    return result;
}

static void comparison_bites(void **state)
{
    struct fpu_random random = fpu_random_init(2);

    for (size_t i = 0; i < SM_ARRAY_LEN(ops); i++) {
        const char *name = ops[i].name;

        right = ops[i].ours;
        if (strstr(name, "div") == NULL && strstr(name, "sqrt") == NULL &&
            strcmp(name, "f32_to_f64") != 0)
            assert_true(compare(&ops[i], ties_go_away, N_BITES, &random, 0) > 0);
        if (strcmp(name, "f64_fma") == 0)
            assert_true(compare(&ops[i], loses_small_addend, N_BITES, &random, 0) > 0);
#ifdef __x86_64__
        if (strcmp(name, "f64_mul") == 0) /* one case in some thousands */
            assert_true(compare(&ops[i], tiny_before_rounding, N_OPERANDS, &random, 0) >
                        0);
#endif
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_host),
        cmocka_unit_test(comparison_bites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
