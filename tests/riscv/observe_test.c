/* SPDX-License-Identifier: MIT */
/* observe_test.c - who looks at a hart sees it exactly, and may stop it there. */
#include "program.h"

enum { MAX_LOOKS = 64, ROUNDS = 10 };

static struct fixture fix;

/** What was seen. */
static struct {
    uint64_t pc, retired, count; /* .count: of the program's rounds             */
} looks[MAX_LOOKS];
static unsigned n_looks;
static bool stops; /* each look stops the hart, if it has moved since the last */

static void look(void *observer, struct rv_hart *hart)
{
    const uint64_t last = n_looks ? looks[n_looks - 1].retired : UINT64_MAX;

    assert_ptr_equal(observer, &fix);
    assert_ptr_equal(hart, fix.hart);
    if (stops && hart->instret == last)
        return;
    assert_true(n_looks < MAX_LOOKS);
    looks[n_looks].pc = rv_hart_pc(hart);
    looks[n_looks].retired = hart->instret;
    looks[n_looks++].count = rv_hart_x(hart, T1);
    if (stops)
        rv_hart_kick(hart);
}

/** T1 counts rounds; then a trap. */
static void begin(bool translate, bool stop)
{
    const struct rv_isa isa = fixture_isa();
    struct program prog = {&fix, RAM};

    fixture_translate = translate;
    fixture_heat = 1;
    fixture_init(&fix, &isa);
    catch_traps(&fix);
    put(&prog, RV_OP_addi, T0, X0, 0, ROUNDS);
    put(&prog, RV_OP_addi, T1, T1, 0, 1);
    put(&prog, RV_OP_addi, T0, T0, 0, -1);
    put(&prog, RV_OP_bne, 0, T0, X0, -8);
    put(&prog, RV_OP_ecall, 0, 0, 0, 0);
    n_looks = 0;
    stops = stop;
    rv_hart_observe(fix.hart, look, &fix);
    rv_hart_set_pc(fix.hart, RAM);
}

/** The blocks of the program, each seen once as it began. */
static void assert_blocks(void)
{
    assert_int_equal(n_looks, ROUNDS + 2);
    assert_int_equal(looks[0].pc, RAM);
    assert_int_equal(looks[0].retired, 0);
    for (unsigned n = 1; n < ROUNDS; n++) {
        assert_int_equal(looks[n].pc, RAM + 4);
        assert_int_equal(looks[n].retired, 1 + 3 * n);
        assert_int_equal(looks[n].count, n);
    }
    assert_int_equal(looks[ROUNDS].pc, RAM + 16);
    assert_int_equal(looks[ROUNDS].retired, 1 + 3 * ROUNDS);
    assert_int_equal(looks[ROUNDS + 1].pc, TRAP_VECTOR);
    assert_int_equal(looks[ROUNDS + 1].retired, 1 + 3 * ROUNDS);
}

static void test_blocks(void **state)
{
    begin(false, false);
    assert_int_equal(rv_hart_run(fix.hart), RV_RUN_WFI);
    assert_blocks();
    /* Nobody looks any more. */
    rv_hart_observe(fix.hart, NULL, NULL);
    run_from(&fix, RAM);
    assert_int_equal(n_looks, ROUNDS + 2);
    assert_int_equal(rv_hart_x(fix.hart, T1), 2 * ROUNDS);
    fixture_fini(&fix);
}

static void test_stop_at_blocks(void **state)
{
    unsigned n = 0;

    begin(false, true);
    while (rv_hart_run(fix.hart) == RV_RUN_KICKED) {
        n++;
        assert_int_equal(n_looks, n);
        assert_int_equal(rv_hart_pc(fix.hart), looks[n - 1].pc);
        assert_int_equal(fix.hart->instret, looks[n - 1].retired);
        assert_int_equal(rv_hart_x(fix.hart, T1), looks[n - 1].count);
    }
    /* The trap retires nothing, so its handler is the same place to this observer. */
    assert_int_equal(n_looks, ROUNDS + 1);
    assert_int_equal(looks[ROUNDS].retired, 1 + 3 * ROUNDS);
    assert_int_equal(rv_hart_pc(fix.hart), TRAP_VECTOR + 4);
    fixture_fini(&fix);
}

static void test_units(void **state)
{
    begin(true, false);
    assert_int_equal(rv_hart_run(fix.hart), RV_RUN_WFI);
    if (fix.hart->units) {
        assert_int_equal(looks[0].pc, RAM);
        assert_int_equal(looks[0].retired, 0);
        assert_int_equal(looks[n_looks - 1].pc, TRAP_VECTOR);
        assert_int_equal(looks[n_looks - 1].retired, 1 + 3 * ROUNDS);
        assert_int_equal(looks[n_looks - 1].count, ROUNDS);
    }
    fixture_fini(&fix);
}

/** Units lead to each other, but not past a trap. */
static void test_traps(void **state)
{
    struct program prog;
    unsigned handlers = 0;

    begin(true, false);
    prog = (struct program){&fix, RAM + 8};
    put(&prog, RV_OP_ecall, 0, 0, 0, 0);
    put(&prog, RV_OP_addi, T0, T0, 0, -1);
    put(&prog, RV_OP_bne, 0, T0, X0, -12);
    put_wfi(&prog);
    prog.at = TRAP_VECTOR;
    put(&prog, RV_OP_csrrs, A0, 0, 0, RV_CSRNO_mepc);
    put(&prog, RV_OP_addi, A0, A0, 0, 4);
    put(&prog, RV_OP_csrrw, 0, A0, 0, RV_CSRNO_mepc);
    put(&prog, RV_OP_mret, 0, 0, 0, 0);
    for (unsigned round = 0; round < 2; round++) { /* in the second all are made */
        rv_hart_set_pc(fix.hart, RAM);
        assert_int_equal(rv_hart_x(fix.hart, T1), round * ROUNDS);
        n_looks = 0;
        assert_int_equal(rv_hart_run(fix.hart), RV_RUN_WFI);
        assert_int_equal(rv_hart_pc(fix.hart), RAM + 24);
    }
    for (unsigned n = 0; n < n_looks; n++)
        handlers += looks[n].pc == TRAP_VECTOR;
    assert_int_equal(handlers, ROUNDS);
    fixture_fini(&fix);
}

static void test_stop_at_units(void **state)
{
    unsigned n = 0;

    begin(true, true);
    while (rv_hart_run(fix.hart) == RV_RUN_KICKED) {
        n++;
        assert_int_equal(rv_hart_pc(fix.hart), looks[n - 1].pc);
        assert_int_equal(fix.hart->instret, looks[n - 1].retired);
        assert_int_equal(rv_hart_x(fix.hart, T1), looks[n - 1].count);
    }
    assert_true(n > 1);
    assert_int_equal(rv_hart_x(fix.hart, T1), ROUNDS);
    assert_int_equal(rv_hart_pc(fix.hart), TRAP_VECTOR + 4);
    fixture_fini(&fix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks), cmocka_unit_test(test_stop_at_blocks),
        cmocka_unit_test(test_units), cmocka_unit_test(test_traps),
        cmocka_unit_test(test_stop_at_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
