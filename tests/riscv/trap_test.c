/* SPDX-License-Identifier: MIT */
/* trap_test.c - delegation, status stacks, handlers, returns, WFI, over all modes. */
#include "hart_fixture.h"

#define PC     (RAM + 0x1230)
#define MTVEC  (RAM + 0x10000)
#define STVEC  (RAM + 0x20000)
#define STATUS (UINT64_C(0xa00000000)) /* SXL and UXL */

static struct fixture fix;
static struct rv_hart *hart;

static int setup(void **state)
{
    const struct rv_isa isa = fixture_isa();

    fixture_init(&fix, &isa);
    hart = fix.hart;
    csr_put(&fix, RV_CSRNO_mtvec, MTVEC);
    csr_put(&fix, RV_CSRNO_stvec, STVEC);
    return 0;
}

static int teardown(void **state)
{
    fixture_fini(&fix);
    return 0;
}

static void at(enum rv_priv priv, uint64_t mstatus)
{
    csr_put(&fix, RV_CSRNO_mstatus, mstatus);
    hart->pc = PC;
    fixture_enter(&fix, priv);
}

/** Every exception from every mode, delegated or not, goes where it should. */
static void test_delegation(void **state)
{
    static const uint8_t causes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15};
    static const enum rv_priv privs[] = {RV_PRIV_U, RV_PRIV_S, RV_PRIV_M};

    for (size_t i = 0; i < SM_ARRAY_LEN(causes); i++) {
        for (unsigned p = 0; p < 3; p++) {
            for (unsigned delegated = 0; delegated < 2; delegated++) {
                const uint64_t bit = UINT64_C(1) << causes[i];
                const bool to_s = delegated && privs[p] != RV_PRIV_M && causes[i] != 11;

                csr_put(&fix, RV_CSRNO_medeleg, delegated ? bit : ~bit);
                at(privs[p], 0);
                hart->mcause = hart->scause = 99;
                rv_take_exception(hart, causes[i], 0x4711);
                assert_int_equal(hart->priv, to_s ? RV_PRIV_S : RV_PRIV_M);
                assert_int_equal(hart->pc, to_s ? STVEC : MTVEC);
                assert_int_equal(to_s ? hart->scause : hart->mcause, causes[i]);
                assert_int_equal(to_s ? hart->mcause : hart->scause, 99);
                assert_int_equal(to_s ? hart->sepc : hart->mepc, PC);
                assert_int_equal(to_s ? hart->stval : hart->mtval, 0x4711);
                assert_int_equal(hart->mode_fetch, to_s ? RV_MODE_S : RV_MODE_M);
            }
        }
    }
}

static void test_stack_m(void **state)
{
    at(RV_PRIV_S, RV_MSTATUS_MIE | RV_MSTATUS_SIE | RV_MSTATUS_SPP);
    rv_take_exception(hart, RV_CAUSE_ECALL_S, 0);
    assert_int_equal(csr_get(&fix, RV_CSRNO_mstatus),
                     STATUS | RV_MSTATUS_MPIE | RV_MSTATUS_SIE | RV_MSTATUS_SPP |
                         UINT64_C(1) << 11);
    /* A trap within: MIE was off, the mode was M. */
    rv_take_exception(hart, RV_CAUSE_ILLEGAL, 0);
    assert_int_equal(csr_get(&fix, RV_CSRNO_mstatus),
                     STATUS | RV_MSTATUS_SIE | RV_MSTATUS_SPP | RV_MSTATUS_MPP);
    assert_true(rv_mret(hart));
    assert_int_equal(hart->priv, RV_PRIV_M);
    assert_int_equal(csr_get(&fix, RV_CSRNO_mstatus),
                     STATUS | RV_MSTATUS_MPIE | RV_MSTATUS_SIE | RV_MSTATUS_SPP);
    hart->mepc = PC + 4;
    assert_true(rv_mret(hart));
    assert_int_equal(hart->priv, RV_PRIV_U);
    assert_int_equal(hart->pc, PC + 4);
    assert_int_equal(csr_get(&fix, RV_CSRNO_mstatus),
                     STATUS | RV_MSTATUS_MPIE | RV_MSTATUS_MIE | RV_MSTATUS_SIE |
                         RV_MSTATUS_SPP);
    assert_false(rv_mret(hart));
}

static void test_stack_s(void **state)
{
    csr_put(&fix, RV_CSRNO_medeleg, UINT64_MAX);
    at(RV_PRIV_U, RV_MSTATUS_SIE | RV_MSTATUS_MIE | RV_MSTATUS_SPP | RV_MSTATUS_MPP);
    rv_take_exception(hart, RV_CAUSE_ECALL_U, 0);
    assert_int_equal(csr_get(&fix, RV_CSRNO_mstatus),
                     STATUS | RV_MSTATUS_SPIE | RV_MSTATUS_MIE | RV_MSTATUS_MPP);
    rv_take_exception(hart, RV_CAUSE_LOAD_PAGE, 1);
    assert_int_equal(csr_get(&fix, RV_CSRNO_mstatus),
                     STATUS | RV_MSTATUS_SPP | RV_MSTATUS_MIE | RV_MSTATUS_MPP);
    assert_true(rv_sret(hart));
    assert_int_equal(hart->priv, RV_PRIV_S);
    assert_int_equal(hart->pc, STVEC);
    assert_int_equal(csr_get(&fix, RV_CSRNO_mstatus),
                     STATUS | RV_MSTATUS_SPIE | RV_MSTATUS_MIE | RV_MSTATUS_MPP);
    assert_true(rv_sret(hart));
    assert_int_equal(hart->priv, RV_PRIV_U);
    assert_int_equal(csr_get(&fix, RV_CSRNO_mstatus),
                     STATUS | RV_MSTATUS_SPIE | RV_MSTATUS_SIE | RV_MSTATUS_MIE |
                         RV_MSTATUS_MPP);
    assert_false(rv_sret(hart));
}

static void test_returns_and_privilege(void **state)
{
    at(RV_PRIV_S, 0);
    assert_false(rv_mret(hart));
    at(RV_PRIV_S, RV_MSTATUS_TSR);
    assert_false(rv_sret(hart));
    assert_int_equal(hart->pc, PC);
    at(RV_PRIV_M, RV_MSTATUS_TSR | RV_MSTATUS_SPP);
    assert_true(rv_sret(hart));
    assert_int_equal(hart->priv, RV_PRIV_S);
}

/** MPRV reads memory as MPP would, and does not outlive machine mode. */
static void test_mprv(void **state)
{
    at(RV_PRIV_M, RV_MSTATUS_MPRV | UINT64_C(1) << 11);
    assert_int_equal(hart->mode_fetch, RV_MODE_M);
    assert_int_equal(hart->mode_data, RV_MODE_S);
    at(RV_PRIV_M, RV_MSTATUS_MPRV | RV_MSTATUS_MXR);
    assert_int_equal(hart->mode_data, RV_MODE_U_MXR);
    at(RV_PRIV_M, RV_MSTATUS_MPRV | RV_MSTATUS_MPP | RV_MSTATUS_MXR | RV_MSTATUS_SUM);
    assert_int_equal(hart->mode_data, RV_MODE_M);
    assert_true(rv_mret(hart)); /* to M: kept, and MPP is U now */
    assert_int_equal(hart->mstatus & RV_MSTATUS_MPRV, RV_MSTATUS_MPRV);
    assert_int_equal(hart->mode_data, RV_MODE_U_MXR);
    assert_true(rv_mret(hart));
    assert_int_equal(hart->mstatus & RV_MSTATUS_MPRV, 0);
    assert_int_equal(hart->mode_data, RV_MODE_U_MXR);
    assert_int_equal(hart->mode_fetch, RV_MODE_U);
    at(RV_PRIV_M, RV_MSTATUS_MPRV | RV_MSTATUS_SPP);
    assert_true(rv_sret(hart));
    assert_int_equal(hart->mstatus & RV_MSTATUS_MPRV, 0);
    /* A trap to M keeps it, and it then applies to MPP, the interrupted mode. */
    at(RV_PRIV_M, RV_MSTATUS_MPRV | UINT64_C(1) << 11);
    rv_take_exception(hart, RV_CAUSE_ILLEGAL, 0);
    assert_int_equal(hart->mstatus & RV_MSTATUS_MPRV, RV_MSTATUS_MPRV);
    assert_int_equal(hart->mode_data, RV_MODE_M);
}

static void test_data_modes(void **state)
{
    static const struct {
        enum rv_priv priv;
        uint64_t mstatus;
        enum rv_mode data;
    } cases[] = {
        {RV_PRIV_U, 0, RV_MODE_U},
        {RV_PRIV_U, RV_MSTATUS_SUM, RV_MODE_U},
        {RV_PRIV_U, RV_MSTATUS_MXR, RV_MODE_U_MXR},
        {RV_PRIV_S, 0, RV_MODE_S},
        {RV_PRIV_S, RV_MSTATUS_SUM, RV_MODE_S_SUM},
        {RV_PRIV_S, RV_MSTATUS_MXR, RV_MODE_S_MXR},
        {RV_PRIV_S, RV_MSTATUS_SUM | RV_MSTATUS_MXR, RV_MODE_S_SUM_MXR},
        {RV_PRIV_M, RV_MSTATUS_SUM | RV_MSTATUS_MXR, RV_MODE_M},
    };

    for (size_t i = 0; i < SM_ARRAY_LEN(cases); i++) {
        at(cases[i].priv, cases[i].mstatus);
        assert_int_equal(hart->mode_data, cases[i].data);
        assert_int_equal(hart->mode_fetch, cases[i].priv == RV_PRIV_U   ? RV_MODE_U
                                           : cases[i].priv == RV_PRIV_S ? RV_MODE_S
                                                                        : RV_MODE_M);
    }
}

/** Vectored mode moves interrupts only. */
static void test_vectored(void **state)
{
    csr_put(&fix, RV_CSRNO_mtvec, MTVEC | 1);
    csr_put(&fix, RV_CSRNO_stvec, STVEC | 1);
    csr_put(&fix, RV_CSRNO_mideleg, UINT64_C(1) << RV_IRQ_STI);
    at(RV_PRIV_U, 0);
    rv_trap_interrupt(hart, RV_IRQ_MTI);
    assert_int_equal(hart->pc, MTVEC + 4 * 7);
    assert_int_equal(hart->mcause, RV_CAUSE_INTERRUPT | 7);
    assert_int_equal(hart->mtval, 0);
    at(RV_PRIV_U, 0);
    rv_trap_interrupt(hart, RV_IRQ_STI);
    assert_int_equal(hart->pc, STVEC + 4 * 5);
    assert_int_equal(hart->scause, RV_CAUSE_INTERRUPT | 5);
    assert_int_equal(hart->priv, RV_PRIV_S);
    at(RV_PRIV_U, 0);
    rv_take_exception(hart, RV_CAUSE_LOAD_PAGE, 8);
    assert_int_equal(hart->pc, MTVEC);
}

static void test_return_without_user_mode(void **state)
{
    struct rv_isa isa = fixture_isa_without(RV_EXT_S);

    isa.ext &= ~(UINT64_C(1) << RV_EXT_U);
    fixture_fini(&fix);
    fixture_init(&fix, &isa);
    hart = fix.hart;
    csr_put(&fix, RV_CSRNO_mepc, PC);
    assert_true(rv_mret(hart));
    assert_int_equal(hart->priv, RV_PRIV_M);
    assert_int_equal(csr_get(&fix, RV_CSRNO_mstatus), RV_MSTATUS_MPP | RV_MSTATUS_MPIE);
    assert_false(rv_sret(hart));
}

static void test_wfi(void **state)
{
    static const struct {
        enum rv_priv priv;
        bool tw, legal;
    } cases[] = {{RV_PRIV_M, false, true}, {RV_PRIV_M, true, true},
                 {RV_PRIV_S, false, true}, {RV_PRIV_S, true, false},
                 {RV_PRIV_U, false, false}, {RV_PRIV_U, true, false}};

    for (size_t i = 0; i < SM_ARRAY_LEN(cases); i++) {
        at(cases[i].priv, cases[i].tw ? RV_MSTATUS_TW : 0);
        hart->wfi = false;
        assert_int_equal(rv_wfi(hart), cases[i].legal);
        assert_int_equal(hart->wfi, cases[i].legal);
    }
    /* What is pending and enabled ends it at once, MIE and delegation aside. */
    at(RV_PRIV_M, 0);
    csr_put(&fix, RV_CSRNO_mideleg, UINT64_MAX);
    csr_put(&fix, RV_CSRNO_mie, UINT64_C(1) << RV_IRQ_SSI);
    csr_put(&fix, RV_CSRNO_mip, UINT64_C(1) << RV_IRQ_SEI);
    assert_true(rv_wfi(hart));
    assert_true(hart->wfi);
    csr_put(&fix, RV_CSRNO_mip, UINT64_C(1) << RV_IRQ_SSI);
    assert_true(rv_wfi(hart));
    assert_false(hart->wfi);

    const struct rv_isa isa = fixture_isa_without(RV_EXT_S);
    fixture_fini(&fix);
    fixture_init(&fix, &isa);
    hart = fix.hart;
    at(RV_PRIV_U, 0);
    assert_true(rv_wfi(hart));
    at(RV_PRIV_U, RV_MSTATUS_TW);
    assert_false(rv_wfi(hart));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(delegation), TEST(stack_m),    TEST(stack_s),
        TEST(returns_and_privilege),        TEST(mprv),
        TEST(data_modes), TEST(vectored),   TEST(return_without_user_mode),
        TEST(wfi),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
