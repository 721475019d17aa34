/* SPDX-License-Identifier: MIT */
/* jit_fp_test.c - floating point of generated code against fpu.h: results and flags, in
 * each mode, of operands at all ends and of random ones, in registers and in memory.
 *
 * For hosts that translate.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

#include "base/base.h"
#include "fpu_operands.h"
#include "jit/jit.h"

#define BOX UINT64_C(0xffffffff00000000)
enum { X0, X1, F0, F1, F2, F3, N_GLOBALS };
enum { N_RANDOM = 150, MAX_OPERANDS = 400, N_SEEDS = 5 };

/** The guest: registers, and what the unit that is tested is run with. */
static struct guest {
    uint64_t reg[N_GLOBALS];
    uint64_t count;
    struct jit_state jit;
    struct sm_tlb_fast fast;
    unsigned rm;    /* RV_RM_RNE to RV_RM_RUP                                        */
    uint8_t flags;  /* RV_FFLAG_*: raised                                            */
    uint8_t page[64]; /* of "code"                                                   */
} guest;

static struct jit *jit;

static uint32_t enter(void *state)
{
    static const uint8_t modes[] = {
        [RV_RM_RNE] = 0, [RV_RM_RDN] = 1, [RV_RM_RUP] = 2, [RV_RM_RTZ] = 3};

    guest.jit.mxcsr_guest = 0x1f80 | (uint32_t)modes[guest.rm] << 13;
    return JIT_GO;
}

static void raise_flags(void *state, uint32_t mxcsr)
{
    guest.flags |= (mxcsr & 1 ? RV_FFLAG_NV : 0) | (mxcsr & 4 ? RV_FFLAG_DZ : 0) |
                   (mxcsr & 8 ? RV_FFLAG_OF : 0) | (mxcsr & 16 ? RV_FFLAG_UF : 0) |
                   (mxcsr & 32 ? RV_FFLAG_NX : 0);
}

#define REG(n, name, class) {name, (int32_t)(offsetof(struct guest, reg) + 8 * (n)), class, 0}
static const struct jit_global globals[N_GLOBALS] = {
    REG(X0, "x0", JIT_CLASS_INT), REG(X1, "x1", JIT_CLASS_INT),
    REG(F0, "f0", JIT_CLASS_FP),  REG(F1, "f1", JIT_CLASS_FP),
    REG(F2, "f2", JIT_CLASS_FP),  REG(F3, "f3", JIT_CLASS_FP)};

static void new_jit(uint32_t seed)
{
    static const struct jit_guest about = {
        .struct_size = sizeof(about),
        .n_globals = N_GLOBALS,
        .globals = globals,
        .state_offset = offsetof(struct guest, jit),
        .count_offset = offsetof(struct guest, count),
        .fp_enter = enter,
        .fp_flags = raise_flags,
    };
    const struct jit_options options = {.struct_size = sizeof(options), .seed = seed,
                                        .opt = seed ? JIT_OPT_ALL : 0,
                                        .cache_size = 1 << 20, .guest = &about,
                                        .state = &guest};

    jit_free(jit);
    jit = NULL;
    guest.jit.fast = &guest.fast;
    assert_int_equal(jit_new(&options, &jit), 0);
}

/* --- One operation -------------------------------------------------------------------- */

/** The operation to be compared, on registers from F1 or X1 on to F0 or X0. */
struct subject {
    enum jit_op op;
    unsigned aux;
    int32_t imm;
    uint8_t d; /* another destination than that, or 0                                */
};

static jit_reg of_class(unsigned class, jit_reg integer, jit_reg number)
{
    return class == JIT_CLASS_NONE ? JIT_NONE : class == JIT_CLASS_INT ? integer : number;
}

/** Have a unit with it, and another use of each register, so that it may have one. */
static struct jit_unit *make(const struct subject *subject)
{
    struct jit_ir *const ir = jit_begin(jit, false);
    const struct jit_op_row *const row = &jit_ops[subject->op];
    struct jit_unit *unit;
    bool full;

    jit_ir_place(ir, 0, 4);
    jit_ir_emit(ir, JIT_OP_fenter, 0, JIT_NONE, JIT_NONE, JIT_NONE, JIT_NONE, 0);
    jit_ir_emit(ir, subject->op, subject->aux,
                subject->d ? subject->d : of_class(row->d, X0, F0),
                of_class(row->a, X1, F1), of_class(row->b, X1, F2),
                of_class(row->c, X1, F3), subject->imm);
    jit_ir_emit(ir, JIT_OP_exit, 0, JIT_NONE, JIT_NONE, JIT_NONE, JIT_NONE,
                jit_ir_way(ir, JIT_EXIT_ASIDE, 4, true));
    unit = jit_end(jit, guest.page, 0, &full);
    assert_non_null(unit);
    return unit;
}

static uint64_t boxed(unsigned prec, uint64_t bits)
{
    return prec == JIT_SINGLE ? bits | BOX : bits;
}

/** Run @unit with its operands.  Returns  the register that it writes */
static uint64_t run(struct jit_unit *unit, const struct subject *subject, uint64_t x,
                    uint64_t a, uint64_t b, uint64_t c)
{
    const bool integer = jit_ops[subject->op].d == JIT_CLASS_INT;

    memset(guest.reg, 0x5a, sizeof(guest.reg));
    guest.reg[X1] = x;
    guest.reg[F1] = a;
    guest.reg[F2] = b;
    guest.reg[F3] = c;
    guest.flags = 0;
    guest.jit.pc = guest.jit.page = 0;
    assert_int_equal(jit_run(jit, unit), JIT_OUT_ASIDE);
    return guest.reg[subject->d ? subject->d : integer ? X0 : F0];
}

static void compare(const struct subject *subject, const uint64_t operand[3],
                    uint64_t got, uint64_t want, uint8_t want_flags)
{
    if (got == want && guest.flags == want_flags)
        return;
    fail_msg("%s aux %u imm %d to %u in mode %u of %llx %llx %llx: %llx flags %x, should "
             "be %llx flags %x", jit_ops[subject->op].name, subject->aux, subject->imm,
             subject->d, guest.rm, (unsigned long long)operand[0],
             (unsigned long long)operand[1], (unsigned long long)operand[2],
             (unsigned long long)got, guest.flags, (unsigned long long)want, want_flags);
}

/* --- Operands ------------------------------------------------------------------------- */

struct operands {
    unsigned n;
    uint64_t value[MAX_OPERANDS];
};

static void add(struct operands *operands, uint64_t value)
{
    assert_true(operands->n < MAX_OPERANDS);
    operands->value[operands->n++] = value;
}

/** Numbers at all ends, with both signs, and random ones. */
static void collect(struct operands *operands, unsigned prec, struct fpu_random *random)
{
    static const int8_t exps[] = {-2, -1, 0, 1, 2, 22, 23, 24, 30, 31, 32, 51, 52, 53, 62,
                                  63, 64, 65};
    const struct fpu_format fmt = prec == JIT_SINGLE ? fpu_f32 : fpu_f64;
    const uint64_t max = sm_mask(fmt.exp_bits), bias = max >> 1;
    const uint64_t quiet = UINT64_C(1) << (fmt.frac_bits - 1);

    operands->n = 0;
    for (unsigned sign = 0; sign < 2; sign++) {
        for (unsigned n = 0; n < sizeof(exps); n++) {
            const uint64_t power =
                fpu_make(fmt, sign, bias + (uint64_t)exps[n], 0);

            add(operands, power);
            add(operands, power - 1);
            add(operands, power + 1);
            add(operands, power | quiet); /* and a half */
        }
        /* Halves about powers of two, where a single has such. */
        for (unsigned n = 1; n < 4; n++) {
            add(operands, fpu_make(fmt, sign, bias + 31, sm_mask(n)
                                                             << (fmt.frac_bits - n)));
            if (prec == JIT_DOUBLE) {
                add(operands, fpu_make(fmt, sign, bias + 30, sm_mask(30 + n) << (22 - n)));
                add(operands, fpu_make(fmt, sign, bias + 31, sm_mask(31 + n) << (21 - n)));
                add(operands, fpu_make(fmt, sign, bias + 31, sm_mask(n) << (21 - n)));
            }
        }
        add(operands, fpu_make(fmt, sign, 0, 0));
        add(operands, fpu_make(fmt, sign, 0, 1));
        add(operands, fpu_make(fmt, sign, 0, sm_mask(fmt.frac_bits)));
        add(operands, fpu_make(fmt, sign, 1, 0));
        add(operands, fpu_make(fmt, sign, max - 1, sm_mask(fmt.frac_bits)));
        add(operands, fpu_make(fmt, sign, max, 0));
        add(operands, fpu_make(fmt, sign, max, 1));
        add(operands, fpu_make(fmt, sign, max, quiet));
        add(operands, fpu_make(fmt, sign, max, quiet | 0x123));
    }
    for (unsigned n = 0; n < N_RANDOM; n++)
        add(operands, fpu_random_operand(fmt, random));
}

/** Each test: with no register, and with random ones. */
#define FOR_EACH_SEED(seed)                                                              \
    for (uint32_t seed = 0; seed < N_SEEDS; seed++, new_jit(seed))
#define FOR_EACH_MODE for (guest.rm = RV_RM_RNE; guest.rm <= RV_RM_RUP; guest.rm++)
#define FOR_EACH_PREC(prec) for (unsigned prec = 0; prec < JIT_N_PRECS; prec++)

/* --- To integers ---------------------------------------------------------------------- */

static uint64_t to_integer(unsigned prec, enum jit_int to, uint64_t a, unsigned rm,
                           uint8_t *flags)
{
    switch (to) {
    case JIT_S32:
        return prec == JIT_SINGLE ? rv_f32_to_i32(a, rm, flags)
                                  : rv_f64_to_i32(a, rm, flags);
    case JIT_U32:
        return prec == JIT_SINGLE ? rv_f32_to_u32(a, rm, flags)
                                  : rv_f64_to_u32(a, rm, flags);
    case JIT_S64:
        return prec == JIT_SINGLE ? rv_f32_to_i64(a, rm, flags)
                                  : rv_f64_to_i64(a, rm, flags);
    default:
        return prec == JIT_SINGLE ? rv_f32_to_u64(a, rm, flags)
                                  : rv_f64_to_u64(a, rm, flags);
    }
}

static unsigned mode_of(enum jit_round round)
{
    static const uint8_t modes[JIT_N_ROUNDS] = {
        [JIT_ROUND_EVEN] = RV_RM_RNE, [JIT_ROUND_DOWN] = RV_RM_RDN,
        [JIT_ROUND_UP] = RV_RM_RUP, [JIT_ROUND_ZERO] = RV_RM_RTZ,
        [JIT_ROUND_AWAY] = RV_RM_RMM};

    return round == JIT_ROUND_MODE ? guest.rm : modes[round];
}

static void test_to_integers(void **state)
{
    struct fpu_random random = fpu_random_init(1);
    struct operands operands;

    FOR_EACH_SEED(seed)
    FOR_EACH_PREC(prec)
    for (int32_t imm = 0; imm < JIT_TO(0, JIT_N_ROUNDS); imm++) {
        const struct subject subject = {JIT_OP_ftoi, prec, imm, 0};
        struct jit_unit *const unit = make(&subject);

        collect(&operands, prec, &random);
        FOR_EACH_MODE
        for (unsigned n = 0; n < operands.n; n++) {
            const uint64_t a[3] = {operands.value[n]};
            const uint64_t got = run(unit, &subject, 0, boxed(prec, a[0]), 0, 0);
            uint8_t flags = 0;
            const uint64_t want = to_integer(prec, jit_to_int(imm), a[0],
                                             mode_of(jit_to_round(imm)), &flags);

            compare(&subject, a, got, want, flags);
        }
    }
}

/* --- From integers, between precisions ------------------------------------------------ */

static uint64_t from_integer(enum jit_op op, unsigned prec, uint64_t x, uint8_t *flags)
{
    if (prec == JIT_SINGLE)
        return op == JIT_OP_fint ? rv_f32_from_i64(x, guest.rm, flags)
                                 : rv_f32_from_u64(x, guest.rm, flags);
    return op == JIT_OP_fint ? rv_f64_from_i64(x, guest.rm, flags)
                             : rv_f64_from_u64(x, guest.rm, flags);
}

static void test_from_integers(void **state)
{
    struct fpu_random random = fpu_random_init(1);

    FOR_EACH_SEED(seed)
    FOR_EACH_PREC(prec)
    for (enum jit_op op = JIT_OP_fint; op <= JIT_OP_fintu; op++) {
        const struct subject subject = {op, prec, 0, 0};
        struct jit_unit *const unit = make(&subject);

        FOR_EACH_MODE
        for (unsigned n = 0; n < 600; n++) {
            const uint64_t x[3] = {n < 64    ? UINT64_C(1) << n
                                   : n < 128 ? UINT64_MAX >> (n - 64)
                                   : n < 192 ? UINT64_MAX << (n - 128)
                                             : fpu_random_integer(&random)};
            const uint64_t got = run(unit, &subject, x[0], 0, 0, 0);
            uint8_t flags = 0;
            const uint64_t want = from_integer(op, prec, x[0], &flags);

            compare(&subject, x, got, boxed(prec, want), flags);
        }
    }
}

static void test_precisions(void **state)
{
    struct fpu_random random = fpu_random_init(1);
    struct operands operands;

    FOR_EACH_SEED(seed)
    for (unsigned n = 0; n < 4; n++) {
        const bool narrow = n & 1;
        const struct subject subject = {narrow ? JIT_OP_fcvts : JIT_OP_fcvtd, 0, 0,
                                        n & 2 ? F1 : F0};
        struct jit_unit *const unit = make(&subject);

        collect(&operands, narrow ? JIT_DOUBLE : JIT_SINGLE, &random);
        FOR_EACH_MODE
        for (unsigned i = 0; i < operands.n; i++) {
            const uint64_t a[3] = {operands.value[i]};
            const uint64_t got = run(unit, &subject, 0,
                                     boxed(narrow ? JIT_DOUBLE : JIT_SINGLE, a[0]), 0, 0);
            uint8_t flags = 0;
            const uint64_t want =
                narrow ? boxed(JIT_SINGLE, rv_f64_to_f32(a[0], guest.rm, &flags))
                       : rv_f32_to_f64(a[0], &flags);

            compare(&subject, a, got, want, flags);
        }
    }
}

/* --- Arithmetic, signs, choices ------------------------------------------------------- */

#define SIGN_f32 UINT64_C(0x80000000)
#define SIGN_f64 UINT64_C(0x8000000000000000)

#define ARITHMETIC(f)                                                                    \
    static uint64_t arithmetic_##f(const struct subject *subject, const uint64_t o[3],   \
                                   uint8_t *flags)                                       \
    {                                                                                    \
        const unsigned rm = guest.rm;                                                    \
                                                                                         \
        switch (subject->op) {                                                           \
        case JIT_OP_fneg: return o[0] ^ SIGN_##f;                                        \
        case JIT_OP_fsgnj: return (o[0] & ~SIGN_##f) | (o[1] & SIGN_##f);                \
        case JIT_OP_fsgnjx: return o[0] ^ (o[1] & SIGN_##f);                             \
        case JIT_OP_fadd: return rv_##f##_add(o[0], o[1], rm, flags);                    \
        case JIT_OP_fsub: return rv_##f##_sub(o[0], o[1], rm, flags);                    \
        case JIT_OP_fmul: return rv_##f##_mul(o[0], o[1], rm, flags);                    \
        case JIT_OP_fdiv: return rv_##f##_div(o[0], o[1], rm, flags);                    \
        case JIT_OP_fsqrt: return rv_##f##_sqrt(o[0], rm, flags);                        \
        case JIT_OP_fma: return rv_##f##_fma(o[0], o[1], o[2], rm, flags);               \
        case JIT_OP_fmin: return rv_##f##_min(o[0], o[1], flags);                        \
        case JIT_OP_fmax: return rv_##f##_max(o[0], o[1], flags);                        \
        case JIT_OP_fset:                                                                \
            return subject->aux == JIT_FEQ   ? rv_##f##_eq(o[0], o[1], flags)            \
                   : subject->aux == JIT_FLT ? rv_##f##_lt(o[0], o[1], flags)            \
                                             : rv_##f##_le(o[0], o[1], flags);           \
        default: fail(); return 0;                                                       \
        }                                                                                \
    }
ARITHMETIC(f32)
ARITHMETIC(f64)

/** Compare @subject, which is of @prec, of operands from @operands. */
static void compare_arithmetic(const struct subject *subject, unsigned prec,
                               const struct operands *operands, struct fpu_random *random)
{
    struct jit_unit *const unit = make(subject);
    const bool number = jit_ops[subject->op].d == JIT_CLASS_FP;

    FOR_EACH_MODE
    for (unsigned n = 0; n < 3000; n++) {
        uint64_t o[3];
        uint8_t flags = 0;

        for (unsigned i = 0; i < 3; i++)
            o[i] = operands->value[fpu_random_next(random) % operands->n];
        if (n % 8 == 0) /* zeros that differ in the sign, equal numbers */
            o[1] = o[0] ^ (n % 16 ? prec == JIT_SINGLE ? SIGN_f32 : SIGN_f64 : 0);
        const uint64_t got = run(unit, subject, 0, boxed(prec, o[0]), boxed(prec, o[1]),
                                 boxed(prec, o[2]));
        const uint64_t want = prec == JIT_SINGLE ? arithmetic_f32(subject, o, &flags)
                                                 : arithmetic_f64(subject, o, &flags);

        compare(subject, o, got, number ? boxed(prec, want) : want, flags);
    }
}

static void test_arithmetic(void **state)
{
    static const uint8_t ops[] = {JIT_OP_fneg, JIT_OP_fsgnj, JIT_OP_fsgnjx, JIT_OP_fadd,
                                  JIT_OP_fsub, JIT_OP_fmul, JIT_OP_fdiv, JIT_OP_fsqrt,
                                  JIT_OP_fma, JIT_OP_fmin, JIT_OP_fmax};
    struct fpu_random random = fpu_random_init(1);
    struct operands operands;

    FOR_EACH_SEED(seed)
    FOR_EACH_PREC(prec) {
        collect(&operands, prec, &random);
        for (unsigned n = 0; n < sizeof(ops); n++) {
            for (uint8_t d = F0; d <= F3; d++) {
                const struct subject subject = {(enum jit_op)ops[n], prec, 0, d};

                compare_arithmetic(&subject, prec, &operands, &random);
            }
        }
        for (unsigned cond = 0; cond < JIT_N_FCONDS; cond++) {
            const struct subject subject = {JIT_OP_fset, cond, (int32_t)prec, 0};

            compare_arithmetic(&subject, prec, &operands, &random);
        }
    }
}

/* --- Bits ----------------------------------------------------------------------------- */

static void test_bits(void **state)
{
    static const uint64_t numbers[] = {0, 1, UINT64_MAX, BOX, BOX - 1, BOX | 0x7f800001,
                                       UINT64_C(0xfffffffe7fc00000), 0x80000000};

    FOR_EACH_SEED(seed)
    FOR_EACH_PREC(prec) {
        const struct subject raw = {JIT_OP_fraw, prec, 0, 0};
        const struct subject bits = {JIT_OP_bits, prec, 0, 0};
        const struct subject unbox[2] = {{JIT_OP_funbox, 0, 0, 0},
                                         {JIT_OP_funbox, 0, 0, F1}};
        struct jit_unit *const units[4] = {make(&raw), make(&bits), make(&unbox[0]),
                                           make(&unbox[1])};

        guest.rm = RV_RM_RNE;
        for (unsigned n = 0; n < SM_ARRAY_LEN(numbers); n++) {
            const uint64_t a[3] = {numbers[n]};
            const uint64_t single = a[0] >= BOX ? a[0] : BOX | RV_F32_NAN;

            compare(&raw, a, run(units[0], &raw, a[0], 0, 0, 0),
                    prec == JIT_SINGLE ? a[0] | BOX : a[0], 0);
            compare(&bits, a, run(units[1], &bits, 0, a[0], 0, 0),
                    prec == JIT_SINGLE ? (uint64_t)(int64_t)(int32_t)a[0] : a[0], 0);
            for (unsigned i = 0; i < 2; i++)
                compare(&unbox[i], a, run(units[2 + i], &unbox[i], 0, a[0], 0, 0), single,
                        0);
        }
    }
}

/* --- Flags ---------------------------------------------------------------------------- */

/** What is raised is read, and told once; what is forgotten is not told. */
static void test_flags(void **state)
{
    struct fpu_random random = fpu_random_init(1);
    struct operands operands;

    FOR_EACH_SEED(seed)
    for (unsigned forget = 0; forget < 2; forget++) {
        struct jit_ir *const ir = jit_begin(jit, false);
        struct jit_unit *unit;
        bool full;

        jit_ir_place(ir, 0, 4);
        jit_ir_emit(ir, JIT_OP_fenter, 0, JIT_NONE, JIT_NONE, JIT_NONE, JIT_NONE, 0);
        jit_ir_emit(ir, JIT_OP_fdiv, JIT_DOUBLE, F0, F1, F2, JIT_NONE, 0);
        jit_ir_emit(ir, JIT_OP_fflags, 0, X0, JIT_NONE, JIT_NONE, JIT_NONE, 0);
        if (forget)
            jit_ir_emit(ir, JIT_OP_fforget, 0, JIT_NONE, JIT_NONE, JIT_NONE, JIT_NONE, 0);
        jit_ir_emit(ir, JIT_OP_fflags, 0, X1, JIT_NONE, JIT_NONE, JIT_NONE, 0);
        jit_ir_emit(ir, JIT_OP_exit, 0, JIT_NONE, JIT_NONE, JIT_NONE, JIT_NONE,
                    jit_ir_way(ir, JIT_EXIT_ASIDE, 4, true));
        unit = jit_end(jit, guest.page, 0, &full);
        assert_non_null(unit);
        collect(&operands, JIT_DOUBLE, &random);
        FOR_EACH_MODE
        for (unsigned n = 0; n < 2000; n++) {
            const struct subject subject = {JIT_OP_fdiv, JIT_DOUBLE, 0, F0};
            const uint64_t a = operands.value[fpu_random_next(&random) % operands.n];
            const uint64_t b = operands.value[fpu_random_next(&random) % operands.n];
            uint8_t flags = 0;

            rv_f64_div(a, b, guest.rm, &flags);
            run(unit, &subject, 0, a, b, 0);
            assert_int_equal(guest.reg[X0], flags); /* they are the guest's numbers */
            assert_int_equal(guest.reg[X1], forget ? 0 : flags);
            assert_int_equal(guest.flags, forget ? 0 : flags);
        }
    }
}

static int set_up(void **state)
{
    new_jit(0);
    return 0;
}

static int tear_down(void **state)
{
    jit_free(jit);
    jit = NULL;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_to_integers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_from_integers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_precisions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_arithmetic, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flags, set_up, tear_down),
    };

    return jit_supported() ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
