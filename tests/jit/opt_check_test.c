/* SPDX-License-Identifier: MIT */
/* opt_check_test.c - which accesses share a check, and that random units do the same with
 * it, or stop where the check fails with all as it is there.
 */
#include "model.h"

enum { N_UNITS = 4000, N_STATES = 6 };

static struct jit_ir ir;

/** Check what becomes of a unit, both without what all begin and end with. */
static void group(const char *before, const char *after)
{
    static const char form[] = "way 0: near 0x200, retired\ncall 0\n"
                               "place 0: 0x100..0x104\n%splace 1: 0x104..0x108\n"
                               "  exit.plain way 0\n";
    char text[2000], wanted[2000];

    snprintf(text, sizeof(text), form, before);
    snprintf(wanted, sizeof(wanted), form, after);
    unit_read(&ir, text);
    unit_verify(&ir);
    jit_opt_check(&ir);
    unit_verify(&ir);
    char *got = unit_text(&ir);
    assert_string_equal(got, wanted);
    free(got);
}

static void groups(void **state)
{
    group("  ld.u64 %0, [x2 + 16]\n  ld.s32 %1, [x2 - 8]\n  mov x3, %1\n",
          "  chk.read %2, [x2 - 8], #32\n  ldh.u64 %0, [x2 + 16], %2\n"
          "  ldh.s32 %1, [x2 - 8], %2\n  mov x3, %1\n");
    /* What may be written may be read. */
    group("  st.u8 [x2 + 3], x1\n  ld.u8 %0, [x2]\n",
          "  chk.write %1, [x2], #4\n  sth.u8 [x2 + 3], %1, x1\n"
          "  ldh.u8 %0, [x2], %1\n");
    /* But no load has a page marked written. */
    group("  ld.u8 %0, [x2]\n  st.u8 [x2 + 3], x1\n",
          "  ld.u8 %0, [x2]\n  st.u8 [x2 + 3], x1\n");
}

static void no_groups(void **state)
{
    static const char *const alone[] = {
        "  ld.u64 %0, [x2]\n",
        "  ld.u64 %0, [x2]\n  ld.u64 %1, [x3]\n",
        "  ld.u64 %0, [x2]\n  ld.u64 %1, [x2 + 4096]\n",
        "  mov %1, x2\n  ld.u64 %0, [%1]\n  mov %1, #0\n  ld.u64 %0, [%1]\n",
        "  ld.u64 %0, [x2]\n  call 0\nplace 1: 0x104..0x106\n  ld.u64 %1, [x2]\n",
        "  ld.u64 x2, [x2]\nplace 1: 0x104..0x106\n  ld.u64 %0, [x2 + 8]\n",
    };

    for (unsigned i = 0; i < sizeof(alone) / sizeof(alone[0]); i++) {
        char text[1000];
        snprintf(text, sizeof(text), "call 0\nplace 0: 0x100..0x104\n%s  loop\n",
                 alone[i]);
        unit_read(&ir, text);
        unit_verify(&ir);
        jit_opt_check(&ir);
        for (unsigned j = 0; j < ir.n_insns; j++)
            assert_int_not_equal(ir.insn[j].op, JIT_OP_chk);
    }
}

static void same_checked(void **unused)
{
    struct ir_random units = model_units;
    uint64_t state = test_seed(5);
    unsigned missed = 0, ran = 0, groups_made = 0;
    struct jit_ir checked;

    units.single = true;
    jit_ir_init(&checked, unit_globals, UNIT_GLOBALS);
    for (unsigned i = 0; i < N_UNITS; i++) {
        ir_random_unit(&ir, &state, &units);
        unit_verify(&ir);
        for (unsigned passes = 0; passes < 4; passes++) {
            ir_copy_unit(&checked, &ir);
            if (passes & JIT_OPT_FOLD)
                jit_opt_fold(&checked);
            jit_opt_check(&checked);
            if (passes & JIT_OPT_DEAD)
                jit_opt_dead(&checked);
            unit_verify(&checked);
            for (unsigned j = 0; j < checked.n_insns; j++)
                groups_made += checked.insn[j].op == JIT_OP_chk;
            for (unsigned j = 0; j < N_STATES; j++) {
                struct ir_result result;
                const bool same = model_agree(&ir, &checked, &state, &result);
                if (!same || result.out == EVAL_BROKEN) {
                    jit_ir_print(&ir, stdout);
                    printf("--- passes %u\n", passes);
                    jit_ir_print(&checked, stdout);
                    fail_msg("%s", result.why ? result.why : "not the same");
                }
                missed += result.missed;
                ran++;
            }
        }
    }
    printf("%u groups; %u of %u runs left by a check\n", groups_made, missed, ran);
    assert_true(groups_made > N_UNITS / 2 && missed > ran / 100);
    jit_ir_fini(&checked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups),
        cmocka_unit_test(no_groups),
        cmocka_unit_test(same_checked),
    };

    jit_ir_init(&ir, unit_globals, UNIT_GLOBALS);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    jit_ir_fini(&ir);
    return failed;
}
