/* SPDX-License-Identifier: MIT */
/* ir_test.c - the builder and its limits, what the verifier refuses, units as text. */
#include "unit.h"

#include <errno.h>

static struct jit_ir ir;

void *__real_sm_realloc(void *block, size_t size);
void *__wrap_sm_realloc(void *block, size_t size);
static unsigned reallocs_left = ~0u; /* this many work                          */

void *__wrap_sm_realloc(void *block, size_t size)
{
    return reallocs_left && reallocs_left-- ? __real_sm_realloc(block, size) : NULL;
}

static int setup(void **state)
{
    jit_ir_init(&ir, unit_globals, UNIT_GLOBALS);
    return 0;
}

static int teardown(void **state)
{
    jit_ir_fini(&ir);
    return 0;
}

/* --- Building ------------------------------------------------------------- */

static void builds(void **state)
{
    const jit_reg five = jit_ir_const(&ir, 5), minus = jit_ir_const(&ir, UINT64_MAX);

    assert_true(jit_is_const(five));
    assert_int_equal(jit_ir_const(&ir, 5), five);
    assert_int_not_equal(minus, five);
    assert_true(jit_ir_value(&ir, minus) == UINT64_MAX);
    const jit_reg temp = jit_ir_temp(&ir, JIT_CLASS_FP);
    assert_int_equal(jit_ir_class(&ir, temp), JIT_CLASS_FP);
    assert_int_equal(jit_ir_class(&ir, (jit_reg)(temp + 1)), JIT_CLASS_NONE);
    assert_int_equal(jit_ir_class(&ir, 0), JIT_CLASS_INT);
    assert_int_equal(jit_ir_class(&ir, 8), JIT_CLASS_FP);
    assert_int_equal(jit_ir_class(&ir, UNIT_GLOBALS), JIT_CLASS_NONE);
    assert_int_equal(jit_ir_class(&ir, five), JIT_CLASS_INT);
    assert_int_equal(jit_ir_class(&ir, JIT_NONE), JIT_CLASS_NONE);

    jit_ir_place(&ir, 0, 4);
    jit_ir_emit(&ir, JIT_OP_mov, 0, 1, five, JIT_NONE, JIT_NONE, 0);
    jit_ir_place(&ir, 4, 6);
    jit_ir_emit(&ir, JIT_OP_exit, 0, JIT_NONE, JIT_NONE, JIT_NONE, JIT_NONE,
                jit_ir_way(&ir, JIT_EXIT_NEAR, 6, true));
    assert_int_equal(ir.insn[0].at, 0);
    assert_int_equal(ir.insn[1].at, 1);
    unit_verify(&ir);

    const struct jit_insn *insns = ir.insn;
    jit_ir_reset(&ir);
    assert_int_equal(ir.n_insns + ir.n_places + ir.n_ways + ir.n_constants + ir.n_temps,
                     0);
    assert_ptr_equal(ir.insn, insns);
}

static void fill_temps(void) { jit_ir_temp(&ir, JIT_CLASS_INT); }
static void fill_places(void) { jit_ir_place(&ir, 0, 2); }
static void fill_ways(void) { jit_ir_way(&ir, JIT_EXIT_NEAR, 0, true); }
static void fill_calls(void) { jit_ir_call(&ir, NULL, NULL); }
static void fill_constants(void) { jit_ir_const(&ir, ir.n_constants); }

static void fill_insns(void)
{
    if (!ir.n_places)
        jit_ir_place(&ir, 0, 2);
    jit_ir_emit(&ir, JIT_OP_fence, 0, JIT_NONE, JIT_NONE, JIT_NONE, JIT_NONE, 0);
}

static void overflows(void **state)
{
    static const struct {
        void (*fill)(void);
        unsigned limit;
    } cases[] = {{fill_temps, JIT_MAX_TEMPS}, {fill_places, JIT_MAX_PLACES},
                 {fill_ways, JIT_MAX_WAYS},   {fill_calls, JIT_MAX_CALLS},
                 {fill_constants, JIT_MAX_CONSTS}, {fill_insns, JIT_MAX_INSNS}};
    char why[100];

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        jit_ir_reset(&ir);
        for (unsigned n = 0; n < cases[i].limit; n++)
            cases[i].fill();
        assert_false(ir.overflow);
        cases[i].fill();
        assert_true(ir.overflow);
        /* Going on does no harm. */
        const jit_reg reg = jit_ir_const(&ir, 0x12345678);
        jit_ir_emit(&ir, JIT_OP_mov, 0, 0, reg, JIT_NONE, JIT_NONE, 0);
        assert_false(jit_ir_verify(&ir, why, sizeof(why)));
    }
}

/** Whichever allocation fails, the unit overflows or is as it was. */
static void memory_out(void **state)
{
    char why[100];

    for (unsigned n = 0;; n++) {
        struct jit_ir poor;
        jit_ir_init(&poor, unit_globals, UNIT_GLOBALS);
        reallocs_left = n;
        jit_ir_place(&poor, 0, 2);
        const jit_reg t = jit_ir_temp(&poor, JIT_CLASS_INT);
        jit_ir_call(&poor, NULL, NULL);
        jit_ir_emit(&poor, JIT_OP_add, 0, t, 1, jit_ir_const(&poor, 5), JIT_NONE, 0);
        jit_ir_emit(&poor, JIT_OP_exit, 0, JIT_NONE, JIT_NONE, JIT_NONE, JIT_NONE,
                    jit_ir_way(&poor, JIT_EXIT_NEAR, 2, true));
        if (poor.overflow) {
            assert_true(n < 6);
            assert_false(jit_ir_verify(&poor, why, sizeof(why)));
        } else {
            unit_verify(&poor);
            jit_opt_fold(&poor);
            jit_opt_dead(&poor);
            unit_verify(&poor);
            assert_int_equal(poor.n_insns, 1);
        }
        const bool all = reallocs_left > 0;
        reallocs_left = ~0u;
        if (poor.overflow) {
            /* And the next may have it. */
            jit_ir_reset(&poor);
            jit_ir_place(&poor, 0, 2);
            jit_ir_emit(&poor, JIT_OP_loop, 0, JIT_NONE, JIT_NONE, JIT_NONE, JIT_NONE, 0);
            unit_verify(&poor);
        }
        jit_ir_fini(&poor);
        if (all)
            return;
    }
}

/** The optimiser makes constants and ways, but no overflow. */
static void folds_full(void **state)
{
    jit_ir_place(&ir, 0, 2);
    for (unsigned i = 0; i < JIT_MAX_CONSTS - 1; i++)
        jit_ir_const(&ir, i + 1000);
    for (unsigned i = 0; i < JIT_MAX_WAYS; i++)
        jit_ir_way(&ir, JIT_EXIT_NEAR, 0, true);
    const jit_reg c = jit_ir_const(&ir, 1000), d = jit_ir_const(&ir, 3000);
    jit_ir_emit(&ir, JIT_OP_mul, 0, 1, c, d, JIT_NONE, 0);
    jit_ir_emit(&ir, JIT_OP_sub, 0, 2, 1, 1, JIT_NONE, 0);
    jit_ir_emit(&ir, JIT_OP_sub, 0, 3, 4, c, JIT_NONE, 0);
    jit_ir_emit(&ir, JIT_OP_here, 0, 5, JIT_NONE, JIT_NONE, JIT_NONE, 0);
    jit_ir_emit(&ir, JIT_OP_jump, JIT_JUMP_PLAIN, JIT_NONE, 5, JIT_NONE, JIT_NONE, 0);
    jit_opt_fold(&ir);
    unit_verify(&ir);
    assert_int_equal(ir.n_insns, 5);
    assert_int_equal(ir.insn[0].op, JIT_OP_mul);
    assert_int_equal(ir.insn[4].op, JIT_OP_jump);
}

/* --- Verifying ------------------------------------------------------------ */

static const char head[] = "way 0: near 0x200, retired\nway 1: aside 0x100\ncall 0\n"
                           "place 0: 0x100..0x104\n";

/** Read the text of a unit, without its beginning and end. */
static void read_body(const char *body)
{
    char text[1000];
    snprintf(text, sizeof(text), "%s%splace 1: 0x104..0x108\n  exit way 0\n", head, body);
    unit_read(&ir, text);
}

/** Check that the unit is refused because of @invariant. */
static void refused(const char *invariant)
{
    char why[200] = "";

    if (jit_ir_verify(&ir, why, sizeof(why))) {
        jit_ir_print(&ir, stdout);
        fail_msg("not refused: %s", invariant);
    }
    if (!strstr(why, invariant))
        fail_msg("%s, not %s", why, invariant);
    /* It can be printed, whatever it is. */
    free(unit_text(&ir));
    char shorter[12];
    assert_false(jit_ir_verify(&ir, shorter, sizeof(shorter)));
    assert_true(strlen(shorter) < sizeof(shorter));
}

/** Check that a good unit with one thing changed is refused. */
#define REFUSE_CHANGED(body, invariant, change)                                          \
    do {                                                                                 \
        read_body(body);                                                                 \
        unit_verify(&ir);                                                                \
        struct jit_insn *const insn = &ir.insn[0];                                       \
        (void)insn;                                                                      \
        change;                                                                          \
        refused(invariant);                                                              \
    } while (0)

static void refuses_operands(void **state)
{
    REFUSE_CHANGED("  add x1, x2, x3\n", "(I1)", insn->op = JIT_N_OPS);
    REFUSE_CHANGED("  add x1, x2, x3\n", "(I1)", insn->a = 8);
    REFUSE_CHANGED("  add x1, x2, x3\n", "(I1)", insn->a = UNIT_GLOBALS);
    REFUSE_CHANGED("  add x1, x2, x3\n", "(I1)", insn->a = JIT_TEMP0);
    REFUSE_CHANGED("  add x1, x2, x3\n", "(I1)", insn->b = JIT_CONST0 + 5);
    REFUSE_CHANGED("  add x1, x2, x3\n", "(I1)", insn->b = JIT_NONE);
    REFUSE_CHANGED("  add x1, x2, x3\n", "(I1)", insn->c = 1);
    REFUSE_CHANGED("  add x1, x2, x3\n", "(I1)", insn->d = JIT_NONE);
    REFUSE_CHANGED("  add x1, x2, x3\n", "(I1)", insn->d = 9);
    REFUSE_CHANGED("  add x1, x2, x3\n", "(I1)", insn->d = UNIT_GLOBALS);
    REFUSE_CHANGED("  add x1, x2, #5\n", "(I1)", insn->d = JIT_CONST0);
    REFUSE_CHANGED("  add x1, x2, x3\n", "(I1)", insn->aux = 1);
    REFUSE_CHANGED("  add x1, x2, x3\n", "(I1)", insn->imm = 1);
    REFUSE_CHANGED("  st.u8 [x1], x2\n", "(I1)", insn->d = 1);
    REFUSE_CHANGED("  sxt.8 x1, x2\n", "(I1)", insn->aux = JIT_N_SIZES);
    REFUSE_CHANGED("  ld.u8 x1, [x2]\n", "(I1)", insn->aux = JIT_N_MEMS);
    REFUSE_CHANGED("  exit_if.eq x1, x2, way 0\n", "(I1)", insn->aux = JIT_N_CONDS);
    REFUSE_CHANGED("  exit_if.eq x1, x2, way 0\n", "(I1)", insn->imm = 2);
    REFUSE_CHANGED("  exit_if.eq x1, x2, way 0\n", "(I1)", insn->imm = -1);
    REFUSE_CHANGED("  call 0\n", "(I1)", insn->imm = 1);
    REFUSE_CHANGED("  fenter\n  fset.lt.d x1, f0, f1\n", "(I1)", insn[1].imm = 2);
    REFUSE_CHANGED("  fmov f0, f1\n", "(I1)", insn->a = 0);
    REFUSE_CHANGED("  mov %0, x1\n  mov x2, %0\n", "(I2)", insn->d = 3);
    REFUSE_CHANGED("  fmov %0, f1\n", "(I1)", ir.temp_class[0] = JIT_CLASS_INT);
    REFUSE_CHANGED("", "overflow", ir.overflow = true);
}

static void refuses_order(void **state)
{
    REFUSE_CHANGED("", "(I3)", ir.n_insns = 0);
    REFUSE_CHANGED("  mov x1, x2\n", "(I3)", ir.n_insns = 1);
    REFUSE_CHANGED("  fence\n", "(I3)", insn->op = JIT_OP_loop);
    REFUSE_CHANGED("  mov x1, x2\n", "(I4)", insn->at = 2);
    REFUSE_CHANGED("  mov x1, x2\n  mov x1, x2\n", "(I4)", insn->at = 1);
    REFUSE_CHANGED("  mov x1, x2\n", "(I4)", ir.place[1].offset = -2);
    REFUSE_CHANGED("  mov x1, x2\n", "(I4)", ir.place[1].offset = 4096);
    REFUSE_CHANGED("  mov x1, x2\n", "(I4)", ir.place[1].next = 0x104);
    REFUSE_CHANGED("  exit_if.eq x1, x2, way 0\n", "(I4)", ir.way[0].offset = 4096);
    REFUSE_CHANGED("  exit_if.eq x1, x2, way 0\n", "(I4)", ir.way[0].kind = JIT_EXIT_FAR);
    REFUSE_CHANGED("  exit_if.eq x1, x2, way 0\n", "(I4)", ir.way[0].kind = 3);
    REFUSE_CHANGED("  exit_if.eq x1, x2, way 1\n", "(I4)", ir.way[1].offset = 0x104);
}

static void refuses_early_writes(void **state)
{
    static const char *const bad[] = {
        "  mov x1, x2\n  ld.u8 x3, [x4]\n",
        "  ld.u8 x3, [x4]\n  ld.u8 x5, [x4]\n",
        "  mov x1, x2\n  st.u8 [x3], x4\n",
        "  mov x1, x2\n  call 0\n",
        "  call 0\n  ld.u8 x3, [x4]\n",
        "  fmov f1, f2\n  fenter\n",
        "  mov x1, x2\n  exit_if.eq x1, x2, way 1\n",
        "  exit_if.eq x1, x2, way 0\n  mov x1, x2\n",
        "  exit_if.eq x1, x2, way 0\n  st.u8 [x1], x2\n",
        "  exit_if.eq x1, x2, way 0\n  ld.u8 %0, [x1]\n",
        "  exit_if.eq x1, x2, way 0\n  sts.u8 [guest + 0x8], x2\n",
        "  exit_if.eq x1, x2, way 0\n  fence\n",
        "  exit_if.eq x1, x2, way 0\n  call 0\n",
        "  loop_if.eq x1, x2\n  mov x1, x2\n",
        "  exit_if.eq x1, x2, way 0\n  exit_if.eq x1, x2, way 1\n",
    };
    static const char *const good[] = {
        "  ld.u8 %0, [x4]\n  st.u8 [x4 + 1], %0\n  ld.u8 x4, [x4]\n  mov x5, %0\n",
        "  exit_if.eq x1, x2, way 1\n  fenter\n  call 0\n  mov x1, x2\n"
        "  loop_if.eq x1, x2\n  mov %0, x1\n  exit_if.eq %0, x2, way 0\n",
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        read_body(bad[i]);
        refused("(I4)");
    }
    for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        read_body(good[i]);
        unit_verify(&ir);
    }
    read_body("  fadd.d f1, f2, f3\n");
    refused("(I5)");
    read_body("  add x1, %0, x2\n");
    refused("(I2)");
    read_body("  chk.read %0, [x1], #16\n  sth.u8 [x1], %0, x2\n");
    refused("(I6)");
    read_body("  mov %0, x1\n  ldh.u8 x2, [x1], %0\n");
    refused("(I6)");
    read_body("  chk.write %0, [x1], #16\n  call 0\n  ldh.u8 x2, [x1], %0\n");
    refused("(I6)");
    read_body("  chk.write %0, [x1], x2\n");
    refused("(I6)");
    read_body("  chk.write x0, [x1], #8\n");
    refused("(I6)");
    read_body("  chk.write %0, [x1], #16\n  sth.u8 [x1 + 1], %0, x2\n"
              "  ldh.u8 x2, [x1], %0\n");
    unit_verify(&ir);
    read_body("  fenter\n  fadd.d f1, f2, f3\n");
    unit_verify(&ir);
}

/* --- Text ----------------------------------------------------------------- */

static const char all_forms[] =
    "way 0: near 0x200, retired\n"
    "way 1: far -0x1000, retired\n"
    "way 2: aside 0x100\n"
    "call 0\n"
    "call 1\n"
    "place 0: 0x100..0x104\n"
    "  mov x1, #-65536\n"
    "  mov x1, #65535\n"
    "  mov x1, #0xfffffffffffeffff\n"
    "  mov x1, #0x10000\n"
    "  here x1, page + 0x12\n"
    "  here x1, page\n"
    "  here x1, page - 0x80000000\n"
    "  sel x1, x2, x3, #7\n"
    "  set.geu %0, x1, %0\n"
    "  zxt.16 %3, %0\n"
    "place 1: 0x104..0x106\n"
    "place 2: 0x106..0x10a\n"
    "  lds.s64 x1, [guest + 0x2468]\n"
    "  sts.u16 [guest - 0x8], x1\n"
    "  ld.s32 %3, [x2 + 16]\n"
    "  ld.u64 x1, [%3]\n"
    "  st.u8 [#4096 - 2147483648], #255\n"
    "  chk.write %5, [x2 - 8], #24\n"
    "  ldh.s16 x3, [x2 - 8], %5\n"
    "  sth.u64 [x2], %5, x3\n"
    "  chk.read %5, [%3 + 4], #1\n"
    "  fence\n"
    "  fenter\n"
    "  fraw.s %4, x1\n"
    "  fset.le.s x1, %4, f1\n"
    "  fma.d f0, f1, f2, f3\n"
    "  fcvts %4, f1\n"
    "  call 1\n"
    "  exit_if.ltu x1, #5, way 1\n"
    "  loop_if.ne x1, x2\n"
    "  jump.return x1\n"
    "  jump x1\n"
    "  exit.call way 1\n"
    "  loop\n"
    "  exit way 2\n"
    "place 3: 0x10a..0x10c\n";

static void text(void **state)
{
    unit_read(&ir, all_forms);
    assert_int_equal(ir.n_temps, 6);
    assert_int_equal(ir.temp_class[3], JIT_CLASS_INT);
    assert_int_equal(ir.temp_class[4], JIT_CLASS_FP);
    assert_int_equal(ir.insn[6].imm, INT32_MIN);
    char *got = unit_text(&ir);
    assert_string_equal(got, all_forms);
    free(got);

    unit_read(&ir, "place 0: 0..4 ; the first\n\n  add   x1 , x2,#0x10; sixteen\n");
    got = unit_text(&ir);
    assert_string_equal(got, "place 0: 0x0..0x4\n  add x1, x2, #16\n");
    free(got);
}

static void text_is_refused(void **state)
{
    static const char *const bad[] = {
        "  add x1, x2, x3\n",         /* of no place                           */
        "place 1: 0x0..0x4\n",
        "place 0: 0x0..0x40000\n",
        "place 0 0x0..0x4\n",
        "way 1: near 0x0\n",
        "way 0: there 0x0\n",
        "way 0: near 0x0, tired\n",
        "way 0: near 0x80000000\n",
        "call 1\n",
        "word\n",
        "place 0: 0..4\n  nothing x1\n",
        "place 0: 0..4\n  add x1, x2\n",
        "place 0: 0..4\n  add x1, x2, x3, x4\n",
        "place 0: 0..4\n  add x1, x2, x99\n",
        "place 0: 0..4\n  add.8 x1, x2, x3\n",
        "place 0: 0..4\n  sxt x1, x2\n",
        "place 0: 0..4\n  sxt.64 x1, x2\n",
        "place 0: 0..4\n  ld.u8 x1, [x2 + 2147483648]\n",
        "place 0: 0..4\n  ld.u8 x1, [x2 + 1\n",
        "place 0: 0..4\n  lds.u8 x1, [x2 + 1]\n",
        "place 0: 0..4\n  mov x1, #0x10000000000000000\n",
        "place 0: 0..4\n  mov x1, #0x1g\n",
        "place 0: 0..4\n  mov x1, %1024\n",
        "place 0: 0..4\n  exit 0\n",
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        unsigned line = 0;
        if (jit_ir_parse(&ir, bad[i], &line) != -EINVAL)
            fail_msg("%s", bad[i]);
        assert_int_equal(line, strncmp(bad[i], "place 0: 0..4\n", 14) ? 1 : 2);
    }
}

/** Whatever the text, reading ends, and what it read can be verified and printed. */
static void text_of_noise(void **state)
{
    static const char usual[] = "%#x10,.+-[]: \n;sadlwpce";
    uint64_t random = test_seed(4);
    char noise[sizeof(all_forms)], why[100];
    unsigned line, good = 0;

    for (unsigned i = 0; i < 4000; i++) {
        memcpy(noise, all_forms, sizeof(noise));
        for (unsigned n = (unsigned)test_below(&random, 6); n-- > 0;)
            noise[test_below(&random, sizeof(noise) - 1)] =
                usual[test_below(&random, sizeof(usual) - 1)];
        if (test_below(&random, 4) == 0)
            noise[test_below(&random, sizeof(noise) - 1)] = '\0';
        good += !jit_ir_parse(&ir, noise, &line);
        (void)jit_ir_verify(&ir, why, sizeof(why));
        free(unit_text(&ir));
    }
    assert_true(good > 400 && good < 3600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(builds, setup, teardown),
        cmocka_unit_test_setup_teardown(overflows, setup, teardown),
        cmocka_unit_test(memory_out),
        cmocka_unit_test_setup_teardown(folds_full, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_operands, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_order, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_early_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(text, setup, teardown),
        cmocka_unit_test_setup_teardown(text_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(text_of_noise, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
