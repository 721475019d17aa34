/* SPDX-License-Identifier: MIT */
/* fpu_mpfr_test.c - fpu.h against MPFR: five modes, all that rounds.
 *
 * MPFR computes each operation to 400 bits, rounded towards zero.  If that was not
 * exact, a little is added far below the last of them: the sum rounds to 53 or fewer bits
 * as the exact result does.  The oracle rounds it as IEEE 754 defines: to a multiple of
 * the last place, and for tininess as though exponents had no bounds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <mpfr.h>
#include <string.h>

#include "fpu_operands.h"

enum {
    N_OPERANDS = 20000,
    N_BITES = 5000,
    PRECISION = 400,
    PRECISION_SUM = PRECISION + 64
};

/* --- Numbers of a format to and from MPFR ---------------------------------- */

static int format_bias(const struct fpu_format *fmt)
{
    return (1 << (fmt->exp_bits - 1)) - 1;
}

/** Set @out to the number that @a is.  Returns  false for NaN */
static bool decode(const struct fpu_format *fmt, uint64_t a, mpfr_t out)
{
    const uint64_t frac = sm_extract(a, 0, fmt->frac_bits);
    const uint64_t field = sm_extract(a, fmt->frac_bits, fmt->exp_bits);
    const int sign = (int)sm_extract(a, fmt->frac_bits + fmt->exp_bits, 1);

    if (field == sm_mask(fmt->exp_bits)) {
        mpfr_set_inf(out, 1);
        if (frac)
            return false;
    } else {
        const uint64_t sig = field ? frac | UINT64_C(1) << fmt->frac_bits : frac;
        const int exp = (int)(field ? field : 1) - format_bias(fmt) - (int)fmt->frac_bits;

        mpfr_set_ui_2exp(out, sig, exp, MPFR_RNDN);
    }
    mpfr_setsign(out, out, sign, MPFR_RNDN);
    return true;
}

/** Round @value to a multiple of 2^@place as @rm says.  Returns  whether it changed */
static bool round_to_place(mpfr_t out, mpfr_t value, long place, unsigned rm)
{
    mpfr_div_2si(out, value, place, MPFR_RNDN); /* exact: it moves the exponent */
    switch (rm) {
    case RV_RM_RNE: mpfr_roundeven(out, out); break;
    case RV_RM_RTZ: mpfr_trunc(out, out); break;
    case RV_RM_RDN: mpfr_floor(out, out); break;
    case RV_RM_RUP: mpfr_ceil(out, out); break;
    default: mpfr_round(out, out); /* halves away from zero */
    }
    mpfr_mul_2si(out, out, place, MPFR_RNDN);
    return mpfr_cmp(out, value) != 0;
}

/** Encode @value, finite and not 0, rounded; raises OF, UF and NX.  Uses @rounded. */
static uint64_t encode(const struct fpu_format *fmt, mpfr_t value, unsigned rm,
                       uint8_t *flags, mpfr_t rounded)
{
    const long frac_bits = (long)fmt->frac_bits, bias = format_bias(fmt);
    const long exp_min = 1 - bias, exp = (long)mpfr_get_exp(value) - 1;
    const uint64_t sign =
        mpfr_signbit(value) ? UINT64_C(1) << (frac_bits + fmt->exp_bits) : 0;
    const uint64_t inf = sm_mask(fmt->exp_bits) << frac_bits;
    uint64_t sig;
    long last;

    if (exp < exp_min) {
        bool tiny;

        round_to_place(rounded, value, exp - frac_bits, rm);
        tiny = mpfr_get_exp(rounded) - 1 < exp_min;
        if (round_to_place(rounded, value, exp_min - frac_bits, rm))
            *flags |= tiny ? RV_FFLAG_UF | RV_FFLAG_NX : RV_FFLAG_NX;
        last = exp_min - frac_bits;
    } else {
        if (round_to_place(rounded, value, exp - frac_bits, rm))
            *flags |= RV_FFLAG_NX;
        last = (long)mpfr_get_exp(rounded) - 1 - frac_bits;
    }
    if (!mpfr_zero_p(rounded) && mpfr_get_exp(rounded) - 1 > bias) {
        const bool to_inf =
            rm == RV_RM_RNE || rm == RV_RM_RMM || rm == (sign ? RV_RM_RDN : RV_RM_RUP);

        *flags |= RV_FFLAG_OF | RV_FFLAG_NX;
        return sign | (inf - !to_inf);
    }
    mpfr_mul_2si(rounded, rounded, -last, MPFR_RNDN);
    mpfr_abs(rounded, rounded, MPFR_RNDN);
    sig = mpfr_get_ui(rounded, MPFR_RNDN);
    if (sig >>
        frac_bits) /* normal: the leading bit is not stored but counts as exponent */
        return sign | (((uint64_t)(last + frac_bits + bias - 1) << frac_bits) + sig);
    return sign | sig;
}

/* --- Operations ------------------------------------------------------------ */

struct op {
    const char *name;
    const struct fpu_format *from, *to; /* of operands, NULL: a 64-bit integer; result */
    int (*mpfr)(mpfr_t out, mpfr_t a, mpfr_t b, mpfr_t c);
    uint64_t (*ours)(uint64_t a, uint64_t b, uint64_t c, unsigned rm, uint8_t *flags);
    bool is_signed; /* the integer                                               */
};

static int mpfr_op_add(mpfr_t out, mpfr_t a, mpfr_t b, mpfr_t c)
{
    return mpfr_add(out, a, b, MPFR_RNDZ);
}

static int mpfr_op_sub(mpfr_t out, mpfr_t a, mpfr_t b, mpfr_t c)
{
    return mpfr_sub(out, a, b, MPFR_RNDZ);
}

static int mpfr_op_mul(mpfr_t out, mpfr_t a, mpfr_t b, mpfr_t c)
{
    return mpfr_mul(out, a, b, MPFR_RNDZ);
}

static int mpfr_op_div(mpfr_t out, mpfr_t a, mpfr_t b, mpfr_t c)
{
    return mpfr_div(out, a, b, MPFR_RNDZ);
}

static int mpfr_op_sqrt(mpfr_t out, mpfr_t a, mpfr_t b, mpfr_t c)
{
    return mpfr_sqrt(out, a, MPFR_RNDZ);
}

static int mpfr_op_fma(mpfr_t out, mpfr_t a, mpfr_t b, mpfr_t c)
{
    return mpfr_fma(out, a, b, c, MPFR_RNDZ);
}

static int mpfr_op_convert(mpfr_t out, mpfr_t a, mpfr_t b, mpfr_t c)
{
    return mpfr_set(out, a, MPFR_RNDZ);
}

#define OUR(name, ...)                                                                   \
    static uint64_t our_##name(uint64_t a, uint64_t b, uint64_t c, unsigned rm,          \
                               uint8_t *flags)                                           \
    {                                                                                    \
        return rv_##name(__VA_ARGS__, flags);                                            \
    }
#define OURS(f)                                                                          \
    OUR(f##_add, a, b, rm)                                                               \
    OUR(f##_sub, a, b, rm)                                                               \
    OUR(f##_mul, a, b, rm)                                                               \
    OUR(f##_div, a, b, rm)                                                               \
    OUR(f##_sqrt, a, rm)                                                                 \
    OUR(f##_fma, a, b, c, rm)                                                            \
    OUR(f##_from_i64, a, rm)                                                             \
    OUR(f##_from_u64, a, rm)
OURS(f32)
OURS(f64)
OUR(f64_to_f32, a, rm)
OUR(f32_to_f64, a)

static const struct op ops[] = {
#define OP(f, name)                                                                      \
    {                                                                                    \
#f "_" #name, &fpu_##f, &fpu_##f, mpfr_op_##name, our_##f##_##name, 0            \
    }
#define OPS(f)                                                                           \
    OP(f, add), OP(f, sub), OP(f, mul), OP(f, div), OP(f, sqrt), OP(f, fma),             \
        {#f "_from_i64", NULL, &fpu_##f, mpfr_op_convert, our_##f##_from_i64, true},     \
    {                                                                                    \
#f "_from_u64", NULL, &fpu_##f, mpfr_op_convert, our_##f##_from_u64, false       \
    }
    OPS(f32),
    OPS(f64),
    {"f64_to_f32", &fpu_f64, &fpu_f32, mpfr_op_convert, our_f64_to_f32, 0},
    {"f32_to_f64", &fpu_f32, &fpu_f64, mpfr_op_convert, our_f32_to_f64, 0},
};

/* --- Comparison ------------------------------------------------------------ */

struct operands {
    uint64_t a, b, c;
    mpfr_t x, y, z, cut, value, rounded;
    bool known; /* value is finite and not 0: the oracle rounds it                */
};

/** Choose operands for @op and compute its exact result. */
static void choose(const struct op *op, struct fpu_random *random, struct operands *in)
{
    uint8_t flags = 0;
    int inexact;

    in->b = in->c = 0;
    if (op->from) {
        in->a = fpu_random_operand(*op->from, random);
        in->b = fpu_random_partner(*op->from, random, in->a);
        in->c = fpu_random_addend(*op->from, random,
                                  op->from == &fpu_f32
                                      ? rv_f32_mul(in->a, in->b, RV_RM_RNE, &flags)
                                      : rv_f64_mul(in->a, in->b, RV_RM_RNE, &flags));
        in->known = decode(op->from, in->a, in->x) && decode(op->from, in->b, in->y) &&
                    decode(op->from, in->c, in->z);
    } else {
        in->a = fpu_random_integer(random);
        if (fpu_random_next(random) & 1)
            in->a = 0 - in->a;
        if (op->is_signed)
            mpfr_set_si(in->x, (long)in->a, MPFR_RNDN);
        else
            mpfr_set_ui(in->x, in->a, MPFR_RNDN);
        in->known = true;
    }
    if (!in->known)
        return;
    inexact = op->mpfr(in->cut, in->x, in->y, in->z);
    mpfr_set(in->value, in->cut, MPFR_RNDN);
    in->known = mpfr_regular_p(in->value) != 0; /* not 0, infinite or NaN */
    if (in->known && inexact && mpfr_signbit(in->value))
        mpfr_nextbelow(in->value);
    else if (in->known && inexact)
        mpfr_nextabove(in->value);
}

typedef uint64_t bug_fn(const struct op *op, const struct operands *in, unsigned rm,
                        uint8_t *flags);

/** Returns  how many of @n operand tuples differed in some mode; -1 if fewer than a
 *  third of them could be compared */
static int compare(const struct op *op, bug_fn *bug, unsigned n,
                   struct fpu_random *random)
{
    static const char *const modes[] = {"rne", "rtz", "rdn", "rup", "rmm"};
    struct operands in;
    unsigned n_known = 0;
    int n_wrong = 0;

    mpfr_inits2(PRECISION, in.x, in.y, in.z, in.cut, (mpfr_ptr)NULL);
    mpfr_inits2(PRECISION_SUM, in.value, in.rounded, (mpfr_ptr)NULL);
    for (unsigned i = 0; i < n; i++) {
        choose(op, random, &in);
        if (!in.known)
            continue;
        n_known++;
        for (unsigned rm = RV_RM_RNE; rm <= RV_RM_RMM; rm++) {
            /* Every other time NX is set before, which lets the host compute. */
            uint8_t flags = i & 1, want_flags = flags;
            const uint64_t want = encode(op->to, in.value, rm, &want_flags, in.rounded);
            const uint64_t got =
                bug ? bug(op, &in, rm, &flags) : op->ours(in.a, in.b, in.c, rm, &flags);

            if (got == want && flags == want_flags)
                continue;
            if (!bug && n_wrong < 5)
                printf("%s %s %llx %llx %llx: %llx flags %x, MPFR %llx flags %x\n",
                       op->name, modes[rm], (unsigned long long)in.a,
                       (unsigned long long)in.b, (unsigned long long)in.c,
                       (unsigned long long)got, flags, (unsigned long long)want,
                       want_flags);
            n_wrong++;
        }
    }
    mpfr_clears(in.x, in.y, in.z, in.cut, in.value, in.rounded, (mpfr_ptr)NULL);
    return n_known < n / 3 ? -1 : n_wrong;
}

static void agrees_with_mpfr(void **state)
{
    struct fpu_random random = fpu_random_init(4);

    for (size_t i = 0; i < SM_ARRAY_LEN(ops); i++)
        assert_int_equal(compare(&ops[i], NULL, N_OPERANDS, &random), 0);
    mpfr_free_cache();
}

/* Planted faults, each seen only in rare cases. */

static uint64_t rmm_is_rne(const struct op *op, const struct operands *in, unsigned rm,
                           uint8_t *flags)
{
    return op->ours(in->a, in->b, in->c, rm == RV_RM_RMM ? RV_RM_RNE : rm, flags);
}

static uint64_t fma_rounds_twice(const struct op *op, const struct operands *in,
                                 unsigned rm, uint8_t *flags)
{
    return rv_f64_add(rv_f64_mul(in->a, in->b, rm, flags), in->c, rm, flags);
}

static uint64_t fma_cancels_early(const struct op *op, const struct operands *in,
                                  unsigned rm, uint8_t *flags)
{
    uint8_t ignored = 0;
    const uint64_t product = rv_f64_mul(in->a, in->b, RV_RM_RNE, &ignored);

    if (product == (in->c ^ UINT64_C(1) << 63))
        return 0;
    return op->ours(in->a, in->b, in->c, rm, flags);
}

static void comparison_bites(void **state)
{
    struct fpu_random random = fpu_random_init(5);

    for (size_t i = 0; i < SM_ARRAY_LEN(ops); i++) {
        const char *name = ops[i].name;

        /* A quotient is a tie only among subnormals, seldom; a root never. */
        if (!strstr(name, "div") && !strstr(name, "sqrt") &&
            strcmp(name, "f32_to_f64") != 0)
            assert_true(compare(&ops[i], rmm_is_rne, N_BITES, &random) > 0);
        if (strcmp(name, "f64_fma") == 0) {
            assert_true(compare(&ops[i], fma_rounds_twice, N_BITES, &random) > 0);
            assert_true(compare(&ops[i], fma_cancels_early, N_BITES, &random) > 0);
        }
    }
    mpfr_free_cache();
}

/* Rounding to integral values and integers needs no MPFR value but the operand's own. */
static void integers_agree(void **state)
{
    struct fpu_random random = fpu_random_init(6);
    mpfr_t x, rounded, scratch;

    mpfr_inits2(PRECISION, x, rounded, scratch, (mpfr_ptr)NULL);
    for (unsigned i = 0; i < N_OPERANDS; i++) {
        const uint64_t a = fpu_random_operand(fpu_f64, &random);

        if (!decode(&fpu_f64, a, x) || !mpfr_number_p(x))
            continue;
        for (unsigned rm = RV_RM_RNE; rm <= RV_RM_RMM; rm++) {
            const bool inexact = !mpfr_zero_p(x) && round_to_place(rounded, x, 0, rm);
            uint8_t flags = 0, ignored = 0, want = inexact ? RV_FFLAG_NX : 0;
            uint64_t got = rv_f64_round_nx(a, rm, &flags);

            if (mpfr_zero_p(x))
                mpfr_set(rounded, x, MPFR_RNDN);
            assert_int_equal(flags, want);
            assert_int_equal(
                got, mpfr_zero_p(rounded)
                         ? a & UINT64_C(1) << 63
                         : encode(&fpu_f64, rounded, RV_RM_RNE, &ignored, scratch));
            flags = 0;
            got = rv_f64_to_i64(a, rm, &flags);
            want = mpfr_fits_slong_p(rounded, MPFR_RNDN) ? want : RV_FFLAG_NV;
            assert_int_equal(flags, want);
            assert_int_equal(got,
                             (uint64_t)mpfr_get_si(rounded, MPFR_RNDN)); /* saturates */
            flags = 0;
            got = rv_f64_to_u64(a, rm, &flags);
            want = !mpfr_fits_ulong_p(rounded, MPFR_RNDN) ? RV_FFLAG_NV
                   : inexact                              ? RV_FFLAG_NX
                                                          : 0;
            assert_int_equal(flags, want);
            assert_int_equal(got, mpfr_get_ui(rounded, MPFR_RNDN));
        }
    }
    mpfr_clears(x, rounded, scratch, (mpfr_ptr)NULL);
    mpfr_free_cache();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_mpfr),
        cmocka_unit_test(comparison_bites),
        cmocka_unit_test(integers_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
