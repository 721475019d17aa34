/* SPDX-License-Identifier: MIT */
/* opt_model_test.c - random units do the same optimised, with each choice of passes, from
 * random states: ways out and faults, registers, memory, state, flags, counts.
 */
#include "model.h"

#include "base/base.h"

enum { N_UNITS = 8000, N_STATES = 6 };

static void optimise(struct jit_ir *ir, unsigned passes)
{
    if (passes & JIT_OPT_FOLD)
        jit_opt_fold(ir);
    if (passes & JIT_OPT_DEAD)
        jit_opt_dead(ir);
}

static void same_optimised(void **unused)
{
    uint64_t state = test_seed(1);
    unsigned outs[EVAL_BROKEN + 1] = {0}, before = 0, after = 0;
    struct jit_ir ir, optimised;

    jit_ir_init(&ir, unit_globals, UNIT_GLOBALS);
    jit_ir_init(&optimised, unit_globals, UNIT_GLOBALS);
    for (unsigned i = 0; i < N_UNITS; i++) {
        const uint64_t seed = state;
        ir_random_unit(&ir, &state, &model_units);
        assert_false(ir.overflow);
        unit_verify(&ir);
        for (unsigned passes = 0; passes <= (JIT_OPT_FOLD | JIT_OPT_DEAD); passes++) {
            struct ir_result result;
            ir_copy_unit(&optimised, &ir);
            optimise(&optimised, passes);
            unit_verify(&optimised);
            for (unsigned j = 0; j < N_STATES; j++) {
                const bool same = model_agree(&ir, &optimised, &state, &result);
                outs[result.out]++;
                if (result.out == EVAL_BROKEN || !same) {
                    jit_ir_print(&ir, stdout);
                    printf("--- passes %u\n", passes);
                    jit_ir_print(&optimised, stdout);
                    fail_msg("seed %llu: %s", (unsigned long long)seed,
                             result.why ? result.why : "not the same");
                }
            }
        }
        before += ir.n_insns;
        after += optimised.n_insns;
    }
    printf("%u operations, %u optimised; left %u, aside %u, faults %u, callees left %u, "
           "jumped %u, looped %u\n", before, after, outs[EVAL_LEFT], outs[EVAL_ASIDE],
           outs[EVAL_FAULT], outs[EVAL_LEAVE], outs[EVAL_JUMPED], outs[EVAL_ROUNDS]);
    /* The units are such that there is something to see. */
    for (unsigned i = 0; i <= EVAL_ROUNDS; i++)
        assert_true(outs[i] > 100);
    assert_true(after < before - before / 8);
    jit_ir_fini(&ir);
    jit_ir_fini(&optimised);
}

/* --- Mistakes, made on purpose -------------------------------------------- */

enum mistake { DROP_WRITE, ADD_ONE_MORE, EXTEND_OTHERWISE, EXIT_OTHERWISE, ACCESS_BESIDE,
               EXCHANGE_WRITES, N_MISTAKES };

/** Whether @mistake can be made at @insn; it is made then. */
static bool make_mistake(struct jit_ir *ir, unsigned at, enum mistake mistake)
{
    struct jit_insn *insn = &ir->insn[at];

    switch (mistake) {
    case DROP_WRITE:
        if (insn->d >= JIT_TEMP0 || jit_ops[insn->op].effects)
            return false;
        memmove(insn, insn + 1, (--ir->n_insns - at) * sizeof(*insn));
        return true;
    case ADD_ONE_MORE:
        if (insn->op != JIT_OP_add || !jit_is_const(insn->b))
            return false;
        insn->b = jit_ir_const(ir, jit_ir_value(ir, insn->b) + 1);
        return true;
    case EXTEND_OTHERWISE:
        if (insn->op != JIT_OP_sxt && insn->op != JIT_OP_zxt)
            return false;
        insn->op = insn->op == JIT_OP_sxt ? JIT_OP_zxt : JIT_OP_sxt;
        return true;
    case EXIT_OTHERWISE:
        if (insn->op != JIT_OP_exit_if)
            return false;
        insn->aux = (uint8_t)jit_cond_not((enum jit_cond)insn->aux);
        return true;
    case ACCESS_BESIDE:
        if (insn->op != JIT_OP_ld && insn->op != JIT_OP_st)
            return false;
        insn->imm++;
        return true;
    default: /* two that may not change places                                 */
        if (at + 1 >= ir->n_insns || insn->d == JIT_NONE || insn->d >= JIT_TEMP0 ||
            insn[1].d != insn->d)
            return false;
        const struct jit_insn first = insn[0];
        insn[0] = insn[1];
        insn[1] = first;
        return true;
    }
}

static void mistakes_show(void **unused)
{
    uint64_t state = test_seed(3);
    struct jit_ir ir, wrong;

    jit_ir_init(&ir, unit_globals, UNIT_GLOBALS);
    jit_ir_init(&wrong, unit_globals, UNIT_GLOBALS);
    for (unsigned mistake = 0; mistake < N_MISTAKES; mistake++) {
        unsigned made = 0, seen = 0;
        while (made < 200) {
            ir_random_unit(&ir, &state, &model_units);
            ir_copy_unit(&wrong, &ir);
            /* Early in the unit: where few states come, few see it. */
            for (unsigned at = 0; at < SM_MIN(wrong.n_insns, 15u); at++) {
                if (make_mistake(&wrong, at, (enum mistake)mistake)) {
                    bool same = true;
                    for (unsigned i = 0; same && i < N_STATES * 3; i++) {
                        struct ir_result result;
                        same = model_agree(&ir, &wrong, &state, &result);
                    }
                    seen += !same;
                    made++;
                    break;
                }
            }
        }
        printf("mistake %u: %u of %u seen\n", mistake, seen, made);
        assert_true(seen > made / 8);
    }
    jit_ir_fini(&ir);
    jit_ir_fini(&wrong);
}

static void text_round_trip(void **unused)
{
    uint64_t state = test_seed(2);
    struct jit_ir ir, again;

    jit_ir_init(&ir, unit_globals, UNIT_GLOBALS);
    jit_ir_init(&again, unit_globals, UNIT_GLOBALS);
    for (unsigned i = 0; i < 500; i++) {
        struct ir_result result;
        ir_random_unit(&ir, &state, &model_units);
        char *text = unit_text(&ir);
        unit_read(&again, text);
        char *text_again = unit_text(&again);
        assert_string_equal(text, text_again);
        unit_verify(&again);
        assert_true(model_agree(&ir, &again, &state, &result));
        free(text);
        free(text_again);
    }
    jit_ir_fini(&ir);
    jit_ir_fini(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_optimised),
        cmocka_unit_test(mistakes_show),
        cmocka_unit_test(text_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
