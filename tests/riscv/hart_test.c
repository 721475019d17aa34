/* SPDX-License-Identifier: MIT */
/* hart_test.c - making, resetting and looking at a hart. */
#include <errno.h>

#include "hart_fixture.h"

static struct fixture fix;

static int setup(void **state)
{
    const struct rv_isa isa = fixture_isa();

    fixture_init(&fix, &isa);
    return 0;
}

static int teardown(void **state)
{
    fixture_fini(&fix);
    return 0;
}

static void test_bad_options(void **state)
{
    const struct rv_isa isa = fixture_isa();
    struct rv_isa broken = fixture_isa_without(RV_EXT_F); /* D needs it */
    struct rv_owner_ops ops = fixture_ops;
    const struct rv_hart_options good = {
        .struct_size = sizeof(good), .isa = &isa, .space = fix.space,
        .ops = &fixture_ops, .owner = &fix,
    };
    struct rv_hart_options bad;
    struct rv_hart *out = NULL;

    bad = good;
    bad.struct_size = 1;
    assert_int_equal(rv_hart_new(fix.topo, &bad, &out), -EINVAL);
    bad = good;
    bad.isa = NULL;
    assert_int_equal(rv_hart_new(fix.topo, &bad, &out), -EINVAL);
    bad.isa = &broken;
    assert_int_equal(rv_hart_new(fix.topo, &bad, &out), -EINVAL);
    bad = good;
    bad.space = NULL;
    assert_int_equal(rv_hart_new(fix.topo, &bad, &out), -EINVAL);
    bad = good;
    bad.ops = &ops;
    ops.wake = NULL;
    assert_int_equal(rv_hart_new(fix.topo, &bad, &out), -EINVAL);
    ops = fixture_ops;
    ops.struct_size = 0;
    assert_int_equal(rv_hart_new(fix.topo, &bad, &out), -EINVAL);
    assert_null(out);
    rv_hart_free(NULL);
}

static void test_registers(void **state)
{
    for (unsigned n = 0; n < 32; n++) {
        rv_hart_set_x(fix.hart, n, n + 100);
        rv_hart_set_f(fix.hart, n, n + 200);
    }
    for (unsigned n = 0; n < 32; n++) {
        assert_int_equal(rv_hart_x(fix.hart, n), n ? n + 100 : 0);
        assert_int_equal(rv_hart_f(fix.hart, n), n + 200);
    }
    rv_hart_set_x(fix.hart, 32, 1);
    rv_hart_set_f(fix.hart, 99, 1);
    assert_int_equal(rv_hart_x(fix.hart, 32), 0);
    assert_int_equal(rv_hart_f(fix.hart, 99), 0);
    rv_hart_set_pc(fix.hart, RAM + 3);
    assert_int_equal(rv_hart_pc(fix.hart), RAM + 2);
    assert_int_equal(rv_hart_id(fix.hart), 5);
    assert_int_equal(rv_hart_isa(fix.hart)->satp_mode_max, 10);
    assert_ptr_equal(sm_vcpu_guest(rv_hart_vcpu(fix.hart)), fix.hart);
}

static void test_reset(void **state)
{
    struct rv_hart *hart = fix.hart;

    assert_int_equal(rv_hart_pc(hart), 0x1000);
    assert_int_equal(hart->priv, RV_PRIV_M);
    rv_hart_set_x(hart, 5, 1);
    rv_hart_set_f(hart, 5, 1);
    csr_put(&fix, RV_CSRNO_menvcfg, RV_ENVCFG_STCE);
    csr_put(&fix, RV_CSRNO_stimecmp, 5000);
    csr_put(&fix, RV_CSRNO_pmpcfg0, 0x98);
    csr_put(&fix, RV_CSRNO_satp, UINT64_C(8) << 60);
    csr_put(&fix, RV_CSRNO_mie, UINT64_MAX);
    csr_put(&fix, RV_CSRNO_mip, UINT64_MAX);
    rv_hart_set_irq(hart, RV_IRQ_MTI, true);
    fixture_enter(&fix, RV_PRIV_U);
    hart->wfi = true;

    rv_hart_reset(hart, RAM);
    assert_int_equal(rv_hart_pc(hart), RAM);
    assert_int_equal(hart->priv, RV_PRIV_M);
    assert_int_equal(hart->mode_fetch, RV_MODE_M);
    assert_int_equal(hart->mode_data, RV_MODE_M);
    assert_false(hart->wfi);
    assert_int_equal(rv_hart_x(hart, 5), 0);
    assert_int_equal(rv_hart_f(hart, 5), 0);
    assert_int_equal(fix.deadline, UINT64_MAX);
    assert_int_equal(csr_get(&fix, RV_CSRNO_pmpcfg0), 0); /* unlocks */
    assert_int_equal(csr_get(&fix, RV_CSRNO_satp), 0);
    assert_int_equal(csr_get(&fix, RV_CSRNO_mip), UINT64_C(1) << RV_IRQ_MTI);
    assert_false(rv_hart_has_work(hart));
}

static void test_csr_access(void **state)
{
    uint64_t value = 7;

    assert_false(rv_hart_csr_read(fix.hart, 0x7ff, &value));
    assert_false(rv_hart_csr_read(fix.hart, 0x100000, &value));
    assert_int_equal(value, 7);
    assert_false(rv_hart_csr_write(fix.hart, RV_CSRNO_mhartid, 1));
    /* As machine mode, whatever runs; and what runs goes on as it was. */
    fixture_enter(&fix, RV_PRIV_U);
    assert_true(rv_hart_csr_write(fix.hart, RV_CSRNO_mstatus, RV_MSTATUS_MXR));
    assert_int_equal(fix.hart->priv, RV_PRIV_U);
    assert_int_equal(fix.hart->mode_fetch, RV_MODE_U);
    assert_int_equal(fix.hart->mode_data, RV_MODE_U_MXR);
    assert_true(rv_hart_csr_read(fix.hart, RV_CSRNO_mstatus, &value));
    assert_int_equal(value, UINT64_C(0xa00000000) | RV_MSTATUS_MXR);
}

/** Two harts on one space: nothing is shared but memory. */
static void test_two_harts(void **state)
{
    const struct rv_isa isa = fixture_isa_without(RV_EXT_C);
    struct rv_hart *second = fixture_hart(&fix, 6, &isa);

    rv_hart_set_x(second, 1, 9);
    assert_int_equal(rv_hart_x(fix.hart, 1), 0);
    assert_int_equal(rv_hart_id(second), 6);
    assert_false(rv_isa_has(rv_hart_isa(second), RV_EXT_C));
    rv_hart_free(second);
}

/* --- A run through all modes ---------------------------------------------------- */

/** Machine mode opens PMP, delegates U's ecall and the S timer, and turns Sv39 on;
 *  supervisor mode goes to user mode, whose ecall has it arm stimecmp and wait; the
 *  timer's handler ends it by an ecall, which nobody delegated. */
static const uint32_t program[] = {
    0x00000297, /* auipc t0, 0x0                  */
    0x07428293, /* addi t0, t0, 116               */
    0x30529073, /* csrrw zero, mtvec, t0          */
    0xfff00293, /* addi t0, zero, -1              */
    0x3b029073, /* csrrw zero, pmpaddr0, t0       */
    0x01f00293, /* addi t0, zero, 31              */
    0x3a029073, /* csrrw zero, pmpcfg0, t0        */
    0x10000293, /* addi t0, zero, 256             */
    0x30229073, /* csrrw zero, medeleg, t0        */
    0x02000293, /* addi t0, zero, 32              */
    0x30329073, /* csrrw zero, mideleg, t0        */
    0x00200293, /* addi t0, zero, 2               */
    0x30629073, /* csrrw zero, mcounteren, t0     */
    0x00100293, /* addi t0, zero, 1               */
    0x03f29293, /* slli t0, t0, 0x3f              */
    0x30a29073, /* csrrw zero, menvcfg, t0        */
    0x000802b7, /* lui t0, 0x80                   */
    0x0012829b, /* addiw t0, t0, 1                */
    0x00800313, /* addi t1, zero, 8               */
    0x03c31313, /* slli t1, t1, 0x3c              */
    0x0062e2b3, /* or t0, t0, t1                  */
    0x18029073, /* csrrw zero, satp, t0           */
    0x00000297, /* auipc t0, 0x0                  */
    0x03028293, /* addi t0, t0, 48                */
    0x34129073, /* csrrw zero, mepc, t0           */
    0x000012b7, /* lui t0, 0x1                    */
    0x8002829b, /* addiw t0, t0, -2048            */
    0x30029073, /* csrrw zero, mstatus, t0        */
    0x30200073, /* mret                           */
    /* m_trap: */
    0x34202573, /* csrrs a0, mcause, zero         */
    0x341025f3, /* csrrs a1, mepc, zero           */
    0x30401073, /* csrrw zero, mie, zero          */
    0x10500073, /* wfi                            */
    0xffdff06f, /* jal zero, . - 4                */
    /* s_start: */
    0x00000297, /* auipc t0, 0x0                  */
    0x02828293, /* addi t0, t0, 40                */
    0x10529073, /* csrrw zero, stvec, t0          */
    0x10005073, /* csrrwi zero, sstatus, 0        */
    0x00000297, /* auipc t0, 0x0                  */
    0x05428293, /* addi t0, t0, 84                */
    0x40000337, /* lui t1, 0x40000                */
    0x406282b3, /* sub t0, t0, t1                 */
    0x14129073, /* csrrw zero, sepc, t0           */
    0x10200073, /* sret                           */
    /* s_trap: */
    0x14202973, /* csrrs s2, scause, zero         */
    0x02094663, /* blt s2, zero, s_timer          */
    0x141029f3, /* csrrs s3, sepc, zero           */
    0x001a0a13, /* addi s4, s4, 1                 */
    0xc01022f3, /* csrrs t0, time, zero           */
    0x1f428293, /* addi t0, t0, 500               */
    0x14d29073, /* csrrw zero, stimecmp, t0       */
    0x02000293, /* addi t0, zero, 32              */
    0x10429073, /* csrrw zero, sie, t0            */
    0x10016073, /* csrrsi zero, sstatus, 2        */
    0x10500073, /* wfi                            */
    0xffdff06f, /* jal zero, . - 4                */
    /* s_timer: */
    0x00100a93, /* addi s5, zero, 1               */
    0x14102b73, /* csrrs s6, sepc, zero           */
    0x00000073, /* ecall                          */
    /* u_start: */
    0x02a00493, /* addi s1, zero, 42              */
    0x00000073, /* ecall                          */
    0xff9ff06f, /* jal zero, u_start              */
};
#define S_TRAP  (RAM + 0xb0)
#define U_START (UINT64_C(0x40000000) + 0xec) /* the same RAM, as the user sees it */

static void test_run(void **state)
{
    struct rv_hart *hart = fix.hart;
    struct rv_stats stats = {.struct_size = sizeof(stats)};

    for (size_t i = 0; i < SM_ARRAY_LEN(program); i += 2)
        ram_store(&fix, RAM + 4 * i, program[i] | (uint64_t)program[i + 1] << 32);
    /* One gigapage each: for U from 0x40000000, for S where RAM is. */
    ram_store(&fix, RAM + 0x1000 + 8, RAM >> 2 | 0xdb);
    ram_store(&fix, RAM + 0x1000 + 16, RAM >> 2 | 0xcf);
    rv_hart_set_pc(hart, RAM);

    assert_int_equal(rv_hart_run(hart), RV_RUN_WFI);
    assert_int_equal(hart->priv, RV_PRIV_S);
    assert_int_equal(rv_hart_pc(hart), S_TRAP + 0x2c); /* after the WFI */
    assert_int_equal(rv_hart_x(hart, 9), 42);
    assert_int_equal(rv_hart_x(hart, 18), RV_CAUSE_ECALL_U);
    assert_int_equal(rv_hart_x(hart, 19), U_START + 4);
    assert_int_equal(rv_hart_x(hart, 20), 1);
    assert_int_equal(fix.deadline, 1500);
    assert_false(rv_hart_has_work(hart));

    fix.time = 1500;
    rv_hart_set_irq(hart, RV_IRQ_STI, true);
    assert_true(rv_hart_has_work(hart));
    assert_int_equal(rv_hart_run(hart), RV_RUN_WFI);
    assert_int_equal(hart->priv, RV_PRIV_M);
    assert_int_equal(rv_hart_x(hart, 18), RV_CAUSE_INTERRUPT | RV_IRQ_STI);
    assert_int_equal(rv_hart_x(hart, 21), 1);
    assert_int_equal(rv_hart_x(hart, 22), S_TRAP + 0x2c);
    assert_int_equal(rv_hart_x(hart, 10), RV_CAUSE_ECALL_S);

    rv_hart_get_stats(hart, &stats);
    assert_int_equal(stats.exceptions, 2);
    assert_int_equal(stats.interrupts, 1);
    /* In M, S and U; in S's handler twice, in M's.  What traps does not retire. */
    assert_int_equal(stats.instructions, 29 + 10 + 1 + 11 + 4 + 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(bad_options), TEST(registers), TEST(reset), TEST(csr_access),
        TEST(two_harts), TEST(run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
