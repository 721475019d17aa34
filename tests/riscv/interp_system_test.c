/* SPDX-License-Identifier: MIT */
/* interp_system_test.c - what ends a block: CSR instructions, traps and returns, waits,
 * and the state of floating point. */
#include "program.h"

#define CODE (RAM + 0x1000)

static int set_up(void **state)
{
    static struct fixture fix;
    struct rv_isa isa = fixture_isa();

    fixture_init(&fix, &isa);
    catch_traps(&fix);
    /* One entry that lets S and U do everything. */
    csr_put(&fix, RV_CSRNO_pmpaddr0, UINT64_MAX);
    csr_put(&fix, RV_CSRNO_pmpcfg0, 0x1f);
    *state = &fix;
    return 0;
}

static int tear_down(void **state)
{
    fixture_fini(*state);
    return 0;
}

/* --- CSR instructions ------------------------------------------------------ */

static void test_csr(void **state)
{
    static const struct {
        enum rv_op op;
        uint64_t want; /* mscratch after 0xf0 met A1 = 0x3c, or zimm 12          */
    } cases[] = {
        {RV_OP_csrrw, 0x3c}, {RV_OP_csrrs, 0xfc},  {RV_OP_csrrc, 0xc0},
        {RV_OP_csrrwi, 12},  {RV_OP_csrrsi, 0xfc}, {RV_OP_csrrci, 0xf0},
    };
    struct fixture *fix = *state;

    for (size_t n = 0; n < SM_ARRAY_LEN(cases); n++) {
        csr_put(fix, RV_CSRNO_mscratch, 0xf0);
        rv_hart_set_x(fix->hart, A2, 0x3c); /* A2 is 12, the zimm */
        put_one(fix, CODE, enc(cases[n].op, A0, A2, 0, RV_CSRNO_mscratch));
        run_from(fix, CODE);
        assert_int_equal(rv_hart_x(fix->hart, A0), 0xf0);
        assert_int_equal(csr_get(fix, RV_CSRNO_mscratch), cases[n].want);
        /* rd is also the operand. */
        csr_put(fix, RV_CSRNO_mscratch, 0xf0);
        put_one(fix, CODE, enc(cases[n].op, A2, A2, 0, RV_CSRNO_mscratch));
        run_from(fix, CODE);
        assert_int_equal(rv_hart_x(fix->hart, A2), 0xf0);
        assert_int_equal(csr_get(fix, RV_CSRNO_mscratch), cases[n].want);
    }
    /* Without an operand, a set or clear does not write: legal on read-only ones. */
    put_one(fix, CODE, enc(RV_OP_csrrs, A0, X0, 0, RV_CSRNO_mhartid));
    run_from(fix, CODE);
    assert_int_equal(rv_hart_x(fix->hart, A0), 5);
    put_one(fix, CODE, enc(RV_OP_csrrci, A0, 0, 0, RV_CSRNO_mhartid));
    run_from(fix, CODE);
    assert_int_equal(stats_of(fix).exceptions, 0);
    /* A register that holds 0 does. */
    rv_hart_set_x(fix->hart, A0, 7);
    rv_hart_set_x(fix->hart, A1, 0);
    put_one(fix, CODE, enc(RV_OP_csrrs, A0, A1, 0, RV_CSRNO_mhartid));
    run_from(fix, CODE);
    assert_trapped(fix, RV_CAUSE_ILLEGAL, CODE,
                   enc(RV_OP_csrrs, A0, A1, 0, RV_CSRNO_mhartid));
    assert_int_equal(rv_hart_x(fix->hart, A0), 7);
    put_one(fix, CODE, enc(RV_OP_csrrw, X0, A1, 0, RV_CSRNO_mhartid));
    run_from(fix, CODE);
    assert_trapped(fix, RV_CAUSE_ILLEGAL, CODE,
                   enc(RV_OP_csrrw, X0, A1, 0, RV_CSRNO_mhartid));
}

/* --- Traps and returns ----------------------------------------------------- */

static void test_ecall_ebreak(void **state)
{
    static const struct {
        enum rv_priv priv;
        uint64_t cause;
    } cases[] = {{RV_PRIV_U, RV_CAUSE_ECALL_U},
                 {RV_PRIV_S, RV_CAUSE_ECALL_S},
                 {RV_PRIV_M, RV_CAUSE_ECALL_M}};
    struct fixture *fix = *state;

    for (size_t n = 0; n < SM_ARRAY_LEN(cases); n++) {
        put_one(fix, CODE, enc(RV_OP_ecall, 0, 0, 0, 0));
        fixture_enter(fix, cases[n].priv);
        run_from(fix, CODE);
        assert_trapped(fix, cases[n].cause, CODE, 0);
        put_one(fix, CODE, enc(RV_OP_ebreak, 0, 0, 0, 0));
        fixture_enter(fix, cases[n].priv);
        run_from(fix, CODE);
        assert_trapped(fix, RV_CAUSE_BREAKPOINT, CODE, CODE);
    }
    put16(&(struct program){fix, CODE + 2}, 0x9002); /* c.ebreak */
    rv_blocks_flush(fix->hart);
    run_from(fix, CODE + 2);
    assert_trapped(fix, RV_CAUSE_BREAKPOINT, CODE + 2, CODE + 2);
}

/** mtval is the instruction, of a compressed one its 16 bits. */
static void test_illegal(void **state)
{
    struct fixture *fix = *state;

    put_one(fix, CODE, 0xffffffff);
    run_from(fix, CODE);
    assert_trapped(fix, RV_CAUSE_ILLEGAL, CODE, 0xffffffff);
    put_one(fix, CODE, 0xabcd8002); /* c.jr x0, and something */
    run_from(fix, CODE);
    assert_trapped(fix, RV_CAUSE_ILLEGAL, CODE, 0x8002);
    put_one(fix, CODE, 0);
    run_from(fix, CODE);
    assert_trapped(fix, RV_CAUSE_ILLEGAL, CODE, 0);
}

/** What a privilege may not do. */
static void test_privileged(void **state)
{
    static const struct {
        enum rv_op op;
        bool u, s; /* legal there */
    } cases[] = {
        {RV_OP_mret, false, false},       {RV_OP_sret, false, true},
        {RV_OP_wfi, false, true},         {RV_OP_sfence_vma, false, true},
        {RV_OP_sinval_vma, false, true},  {RV_OP_sfence_w_inval, false, true},
        {RV_OP_sfence_inval_ir, false, true}, {RV_OP_wrs_nto, true, true},
        {RV_OP_wrs_sto, true, true},      {RV_OP_fence_i, true, true},
        {RV_OP_pause, true, true},
    };
    struct fixture *fix = *state;

    for (size_t n = 0; n < SM_ARRAY_LEN(cases); n++) {
        const uint32_t word = enc(cases[n].op, 0, 0, 0, 0);
        struct program prog = {fix, CODE};

        put32(&prog, word);
        put(&prog, RV_OP_ecall, 0, 0, 0, 0);
        rv_blocks_flush(fix->hart);
        csr_put(fix, RV_CSRNO_sepc, CODE + 4);
        for (unsigned s = 0; s < 2; s++) {
            csr_put(fix, RV_CSRNO_mstatus, s ? RV_MSTATUS_SPP : 0);
            fixture_enter(fix, s ? RV_PRIV_S : RV_PRIV_U);
            rv_hart_set_pc(fix->hart, CODE);
            while (rv_hart_run(fix->hart) == RV_RUN_WFI &&
                   rv_hart_pc(fix->hart) == CODE + 4)
                ; /* nothing is pending: a WFI waits */
            if (s ? cases[n].s : cases[n].u)
                assert_trapped(fix, s ? RV_CAUSE_ECALL_S : RV_CAUSE_ECALL_U, CODE + 4, 0);
            else
                assert_trapped(fix, RV_CAUSE_ILLEGAL, CODE, word);
        }
    }
    /* TW bounds the waits by no time at all. */
    put_one(fix, CODE, enc(RV_OP_wrs_nto, 0, 0, 0, 0));
    csr_put(fix, RV_CSRNO_mstatus, RV_MSTATUS_TW);
    fixture_enter(fix, RV_PRIV_S);
    run_from(fix, CODE);
    assert_trapped(fix, RV_CAUSE_ILLEGAL, CODE, enc(RV_OP_wrs_nto, 0, 0, 0, 0));
    put_one(fix, CODE, enc(RV_OP_wrs_sto, 0, 0, 0, 0));
    run_from(fix, CODE);
    assert_int_equal(rv_hart_pc(fix->hart), CODE + 8);
}

static void test_mret(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE}, user = {fix, CODE + 0x102};

    put(&prog, RV_OP_csrrw, X0, A0, 0, RV_CSRNO_mepc);
    put(&prog, RV_OP_mret, 0, 0, 0, 0);
    put(&user, RV_OP_addi, A1, A1, 0, 1);
    put(&user, RV_OP_ecall, 0, 0, 0, 0);
    csr_put(fix, RV_CSRNO_mstatus, 0);
    rv_hart_set_x(fix->hart, A0, CODE + 0x102);
    run_from(fix, CODE);
    assert_trapped(fix, RV_CAUSE_ECALL_U, CODE + 0x106, 0);
    assert_int_equal(rv_hart_x(fix->hart, A1), 1);
    assert_int_equal(stats_of(fix).instructions,
                     4); /* the WFI of the trap vector is one */
}

static void test_wfi(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};

    put_wfi(&prog);
    put(&prog, RV_OP_addi, A0, A0, 0, 1);
    put_wfi(&prog);
    run_from(fix, CODE);
    assert_int_equal(rv_hart_pc(fix->hart), CODE + 4);
    assert_false(rv_hart_has_work(fix->hart));
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_WFI); /* goes on behind it */
    assert_int_equal(rv_hart_pc(fix->hart), CODE + 12);
    /* What is enabled and pending ends a wait before it begins, taken or not. */
    csr_put(fix, RV_CSRNO_mie, 1 << RV_IRQ_MSI);
    rv_hart_set_irq(fix->hart, RV_IRQ_MSI, true);
    assert_true(rv_hart_has_work(fix->hart));
    put(&prog, RV_OP_csrrw, X0, X0, 0, RV_CSRNO_mie);
    put_wfi(&prog);
    rv_blocks_flush(fix->hart);
    run_from(fix, CODE);
    assert_int_equal(rv_hart_pc(fix->hart), CODE + 20);
    assert_int_equal(rv_hart_x(fix->hart, A0), 2);
    assert_int_equal(stats_of(fix).interrupts, 0);
}

/* --- Floating point's state ------------------------------------------------ */

static void test_fs(void **state)
{
    enum { OFF, INITIAL, CLEAN, DIRTY };
    static const struct {
        enum rv_op op;
        bool dirties; /* with the operands below: 1.0 and 1.0 */
    } cases[] = {
        {RV_OP_fadd_d, true},    {RV_OP_fsgnj_d, true}, {RV_OP_fmv_d_x, true},
        {RV_OP_fcvt_s_d, true},  {RV_OP_fli_d, true},   {RV_OP_feq_d, false},
        {RV_OP_fclass_d, false}, {RV_OP_fmv_x_d, false}, {RV_OP_fcvt_w_d, false},
    };
    struct fixture *fix = *state;

    for (size_t n = 0; n < SM_ARRAY_LEN(cases); n++) {
        const uint32_t word = rv_insn_table[cases[n].op].match | A0 << 7 | A1 << 15 |
                              (~rv_insn_table[cases[n].op].mask & (A2 << 20));

        put_one(fix, CODE, word);
        rv_hart_set_f(fix->hart, A1, 0x3ff0000000000000);
        rv_hart_set_f(fix->hart, A2, 0x3ff0000000000000);
        for (unsigned fs = OFF; fs <= DIRTY; fs++) {
            csr_put(fix, RV_CSRNO_mstatus, (uint64_t)fs << 13);
            run_from(fix, CODE);
            if (fs == OFF) {
                assert_trapped(fix, RV_CAUSE_ILLEGAL, CODE, word);
                continue;
            }
            assert_int_equal(rv_hart_pc(fix->hart), CODE + 8);
            assert_int_equal(sm_extract(csr_get(fix, RV_CSRNO_mstatus), 13, 2),
                             cases[n].dirties ? (unsigned)DIRTY : fs);
        }
    }
    /* Flags are state too. */
    csr_put(fix, RV_CSRNO_mstatus, (uint64_t)CLEAN << 13);
    rv_hart_set_f(fix->hart, A1, 0x3ff8000000000000); /* 1.5 to an integer: inexact */
    put_one(fix, CODE, enc(RV_OP_fcvt_w_d, X0, A1, 0, 0));
    run_from(fix, CODE);
    assert_int_equal(csr_get(fix, RV_CSRNO_mstatus) & RV_MSTATUS_DIRTY, RV_MSTATUS_DIRTY);
    assert_int_equal(csr_get(fix, RV_CSRNO_fflags), RV_FFLAG_NX);
    assert_int_equal(rv_hart_x(fix->hart, 0), 0);
}

/** A reserved rounding mode is an illegal instruction, static or in frm. */
static void test_rounding_mode(void **state)
{
    struct fixture *fix = *state;

    csr_put(fix, RV_CSRNO_mstatus, RV_MSTATUS_FS);
    for (unsigned rm = 0; rm < 8; rm++) {
        const uint32_t word = enc(RV_OP_fadd_s, A0, A1, A2, 0) | rm << 12;

        put_one(fix, CODE, word);
        csr_put(fix, RV_CSRNO_frm, 0);
        run_from(fix, CODE);
        if (rm == 5 || rm == 6)
            assert_trapped(fix, RV_CAUSE_ILLEGAL, CODE, word);
        else
            assert_int_equal(rv_hart_pc(fix->hart), CODE + 8);
        if (rm == RV_RM_DYN) {
            csr_put(fix, RV_CSRNO_frm, 5);
            run_from(fix, CODE);
            assert_trapped(fix, RV_CAUSE_ILLEGAL, CODE, word);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_csr),        TEST(test_ecall_ebreak),  TEST(test_illegal),
        TEST(test_privileged), TEST(test_mret),          TEST(test_wfi),
        TEST(test_fs),         TEST(test_rounding_mode),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
