/* SPDX-License-Identifier: MIT */
/* opt_model_test.c - random units do the same optimised, with each choice of passes, from
 * random states: ways out and faults, registers, memory, state, flags, counts.
 */
#include "ir_random.h"
#include "unit.h"

#include "base/base.h"

enum { N_UNITS = 8000, N_STATES = 6, MAX_ROUNDS = 4, STATE_OFFSET = 512 };
#define MEMORY_BASE UINT64_C(0x40001000)

static const struct ir_random usual = {.n_places = 30, .n_calls = 4,
                                       .memory_base = MEMORY_BASE,
                                       .state_offset = STATE_OFFSET, .fp = true,
                                       .loops = true, .faults = true};

/** Make @to the same unit as @from. */
static void copy_unit(struct jit_ir *to, const struct jit_ir *from)
{
    jit_ir_reset(to);
    for (unsigned i = 0; i < from->n_constants; i++)
        jit_ir_const(to, from->constant[i]);
    for (unsigned i = 0; i < from->n_temps; i++)
        jit_ir_temp(to, (enum jit_class)from->temp_class[i]);
    for (unsigned i = 0; i < from->n_ways; i++)
        jit_ir_way(to, (enum jit_exit_kind)from->way[i].kind, from->way[i].offset,
                   from->way[i].retired);
    for (unsigned i = 0; i < from->n_calls; i++)
        jit_ir_call(to, from->call[i].function, from->call[i].arg);
    for (unsigned i = 0, place = 0; i < from->n_insns; i++) {
        const struct jit_insn *insn = &from->insn[i];
        for (; place <= insn->at; place++)
            jit_ir_place(to, from->place[place].offset, from->place[place].next);
        jit_ir_emit(to, (enum jit_op)insn->op, insn->aux, insn->d, insn->a, insn->b,
                    insn->c, insn->imm);
    }
    assert_false(to->overflow);
}

static void optimise(struct jit_ir *ir, unsigned passes)
{
    if (passes & JIT_OPT_FOLD)
        jit_opt_fold(ir);
    if (passes & JIT_OPT_DEAD)
        jit_opt_dead(ir);
}

/** Whether the two do the same from a random state; *result: what the first does. */
static bool agree(const struct jit_ir *a, const struct jit_ir *b, uint64_t *state,
                  struct ir_result *result)
{
    struct ir_machine x = {.memory_base = MEMORY_BASE, .state_offset = STATE_OFFSET,
                           .call = ir_eval_call, .owner = (void *)(uintptr_t)a};
    struct ir_machine y;
    struct ir_result other;

    ir_random_machine(&x, a, state);
    x.fp_enter = test_below(state, 8) ? JIT_GO : JIT_FAULT;
    y = x;
    ir_eval(a, &x, MAX_ROUNDS, result);
    ir_eval(b, &y, MAX_ROUNDS, &other);
    return result->out == other.out && result->pc == other.pc &&
           result->retired == other.retired && result->rounds == other.rounds &&
           x.fp_flags == y.fp_flags && !memcmp(x.global, y.global, sizeof(x.global)) &&
           !memcmp(x.memory, y.memory, sizeof(x.memory)) &&
           !memcmp(x.state, y.state, sizeof(x.state));
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
        ir_random_unit(&ir, &state, &usual);
        assert_false(ir.overflow);
        unit_verify(&ir);
        for (unsigned passes = 0; passes <= JIT_OPT_ALL; passes++) {
            struct ir_result result;
            copy_unit(&optimised, &ir);
            optimise(&optimised, passes);
            unit_verify(&optimised);
            for (unsigned j = 0; j < N_STATES; j++) {
                const bool same = agree(&ir, &optimised, &state, &result);
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
    for (unsigned i = 0; i < EVAL_BROKEN; i++)
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
            ir_random_unit(&ir, &state, &usual);
            copy_unit(&wrong, &ir);
            /* Early in the unit: where few states come, few see it. */
            for (unsigned at = 0; at < SM_MIN(wrong.n_insns, 15u); at++) {
                if (make_mistake(&wrong, at, (enum mistake)mistake)) {
                    bool same = true;
                    for (unsigned i = 0; same && i < N_STATES * 3; i++) {
                        struct ir_result result;
                        same = agree(&ir, &wrong, &state, &result);
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
        ir_random_unit(&ir, &state, &usual);
        char *text = unit_text(&ir);
        unit_read(&again, text);
        char *text_again = unit_text(&again);
        assert_string_equal(text, text_again);
        unit_verify(&again);
        assert_true(agree(&ir, &again, &state, &result));
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
