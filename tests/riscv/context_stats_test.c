/* SPDX-License-Identifier: MIT */
/* context_stats_test.c - which context made how many data accesses, and hit. */
#include "program.h"

#define CODE  (RAM + 0x1000)
#define INNER (RAM + 0x2000)
#define DATA  (RAM + 0x10000)

/** Loads from DATA in @n instructions, stores in @n more. */
static void put_accesses(struct program *prog, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        put(prog, RV_OP_ld, A0, A1, 0, 0);
        put(prog, RV_OP_sd, 0, A1, A0, 8);
    }
}

static struct sm_tlb_context_stats of_mode(struct fixture *fix, uint8_t mode)
{
    struct sm_tlb_context_stats stats = {.struct_size = sizeof(stats)};

    for (unsigned n = 0; sm_tlb_get_context_stats(rv_hart_vcpu(fix->hart), n, &stats); n++)
        if (stats.mode == mode)
            return stats;
    fail();
    return stats;
}

/** M makes accesses, S more, and a fault in the middle of a block takes S back to M, which
 *  makes some again. */
static void test_each_has_its_own(void **state)
{
    struct fixture fix;
    struct rv_isa isa = fixture_isa();
    uint64_t total = 0;

    fixture_init(&fix, &isa);
    csr_put(&fix, RV_CSRNO_pmpaddr0, UINT64_MAX);
    csr_put(&fix, RV_CSRNO_pmpcfg0, 0x1f);
    csr_put(&fix, RV_CSRNO_mtvec, TRAP_VECTOR);
    csr_put(&fix, RV_CSRNO_mepc, INNER);
    csr_put(&fix, RV_CSRNO_mstatus, UINT64_C(1) << 11); /* MPP: S */
    struct program prog = {&fix, CODE}, inner = {&fix, INNER}, trap = {&fix, TRAP_VECTOR};
    put_accesses(&prog, 3);
    put(&prog, RV_OP_mret, 0, 0, 0, 0);
    put_accesses(&inner, 10);
    put(&inner, RV_OP_ld, A0, X0, 0, 0); /* from nothing */
    put_accesses(&inner, 10);
    put_accesses(&trap, 2);
    put_wfi(&trap);
    rv_hart_set_x(fix.hart, A1, DATA);
    run_from(&fix, CODE);
    const struct sm_tlb_context_stats m = of_mode(&fix, RV_MODE_M);
    const struct sm_tlb_context_stats s = of_mode(&fix, RV_MODE_S);
    assert_int_equal(m.accesses, 6 + 4);
    assert_int_equal(s.accesses, 20 + 1);
    total = m.accesses + s.accesses;
    assert_int_equal(total, stats_of(&fix).data_accesses);
    /* A page of data each, filled for reads and with that for writes; and the one that
     * answers by the bus. */
    assert_int_equal(m.fills[SM_READ] + m.fills[SM_WRITE], 1);
    assert_int_equal(s.fills[SM_READ] + s.fills[SM_WRITE], 2);
    fixture_fini(&fix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_has_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
