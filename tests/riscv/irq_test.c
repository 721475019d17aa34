/* SPDX-License-Identifier: MIT */
/* irq_test.c - which interrupt is taken, where to, and what wakes a hart. */
#include <pthread.h>
#include <sched.h>

#include "hart_fixture.h"

#define MTVEC (RAM + 0x10000)
#define STVEC (RAM + 0x20000)
#define BIT(irq) (UINT64_C(1) << (irq))

static struct fixture fix;
static struct rv_hart *hart;

static const enum rv_irq by_priority[] = {RV_IRQ_MEI, RV_IRQ_MSI, RV_IRQ_MTI,
                                          RV_IRQ_SEI, RV_IRQ_SSI, RV_IRQ_STI};

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

/** Make exactly @irqs pending: machine's by lines, supervisor's by software. */
static void pend(uint64_t irqs)
{
    for (unsigned i = 0; i < 3; i++)
        rv_hart_set_irq(hart, by_priority[i], (irqs >> by_priority[i]) & 1);
    csr_put(&fix, RV_CSRNO_mip, irqs);
    assert_int_equal(csr_get(&fix, RV_CSRNO_mip), irqs);
}

/** What the specification says is taken; false: nothing. */
static bool expect(enum rv_priv priv, uint64_t mstatus, uint64_t mideleg, uint64_t ready,
                   enum rv_irq *irq, enum rv_priv *to)
{
    const bool m_on = priv < RV_PRIV_M || (mstatus & RV_MSTATUS_MIE);
    const bool s_on =
        priv < RV_PRIV_S || (priv == RV_PRIV_S && (mstatus & RV_MSTATUS_SIE));

    for (unsigned pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < SM_ARRAY_LEN(by_priority); i++) {
            const uint64_t bit = BIT(by_priority[i]);
            const bool delegated = (mideleg & bit) != 0;
            if (!(ready & bit) || delegated != (pass == 1) || !(pass ? s_on : m_on))
                continue;
            *irq = by_priority[i];
            *to = pass ? RV_PRIV_S : RV_PRIV_M;
            return true;
        }
    }
    return false;
}

static uint64_t spread(unsigned set)
{
    uint64_t irqs = 0;
    for (size_t i = 0; i < SM_ARRAY_LEN(by_priority); i++)
        irqs |= (set >> i) & 1 ? BIT(by_priority[i]) : 0;
    return irqs;
}

/** All pending sets, in all modes, with each global enable and delegation. */
static void test_choice(void **state)
{
    static const enum rv_priv privs[] = {RV_PRIV_U, RV_PRIV_S, RV_PRIV_M};

    for (unsigned set = 0; set < 64; set++) {
        for (unsigned how = 0; how < 3 * 4 * 8; how++) {
            const enum rv_priv priv = privs[how % 3];
            const uint64_t mstatus = (how / 3 & 1 ? RV_MSTATUS_MIE : 0) |
                                     (how / 3 & 2 ? RV_MSTATUS_SIE : 0);
            const uint64_t mideleg = spread(how / 12 << 3);
            enum rv_irq irq = RV_IRQ_SSI;
            enum rv_priv to = RV_PRIV_M;

            csr_put(&fix, RV_CSRNO_mstatus, mstatus);
            csr_put(&fix, RV_CSRNO_mideleg, mideleg);
            csr_put(&fix, RV_CSRNO_mie, UINT64_MAX);
            pend(spread(set));
            hart->pc = RAM;
            fixture_enter(&fix, priv);
            if (!expect(priv, mstatus, mideleg, spread(set), &irq, &to)) {
                assert_false(rv_take_interrupt(hart));
                assert_int_equal(hart->pc, RAM);
                continue;
            }
            assert_true(rv_take_interrupt(hart));
            assert_int_equal(hart->priv, to);
            assert_int_equal(to == RV_PRIV_S ? hart->scause : hart->mcause,
                             RV_CAUSE_INTERRUPT | irq);
            assert_int_equal(to == RV_PRIV_S ? hart->sepc : hart->mepc, RAM);
            assert_int_equal(hart->pc, to == RV_PRIV_S ? STVEC : MTVEC);
        }
    }
}

static void test_enable_bits(void **state)
{
    for (size_t i = 0; i < SM_ARRAY_LEN(by_priority); i++) {
        csr_put(&fix, RV_CSRNO_mstatus, RV_MSTATUS_MIE);
        fixture_enter(&fix, RV_PRIV_M);
        pend(spread(63));
        csr_put(&fix, RV_CSRNO_mie, ~BIT(by_priority[i]));
        csr_put(&fix, RV_CSRNO_mie, BIT(by_priority[i]));
        assert_true(rv_take_interrupt(hart));
        assert_int_equal(hart->mcause, RV_CAUSE_INTERRUPT | by_priority[i]);
        csr_put(&fix, RV_CSRNO_mstatus, RV_MSTATUS_MIE);
        csr_put(&fix, RV_CSRNO_mie, 0);
        assert_false(rv_take_interrupt(hart));
    }
}

static void test_lines_wake(void **state)
{
    rv_hart_set_irq(hart, RV_IRQ_MTI, true);
    assert_int_equal(fix.wakes, 1);
    assert_int_not_equal(sm_load_relaxed(&hart->fast->request) & SM_REQUEST_PASS, 0);
    rv_hart_set_irq(hart, RV_IRQ_MTI, true); /* up already */
    rv_hart_set_irq(hart, RV_IRQ_MTI, false);
    assert_int_equal(fix.wakes, 1);
    rv_hart_set_irq(hart, RV_IRQ_MTI, true);
    assert_int_equal(fix.wakes, 2);
    /* A deadline's message always does: the line may be left from an older one. */
    rv_hart_set_irq(hart, RV_IRQ_STI, true);
    rv_hart_set_irq(hart, RV_IRQ_STI, true);
    assert_int_equal(fix.wakes, 4);
}

static void test_has_work(void **state)
{
    assert_false(rv_hart_has_work(hart));
    rv_hart_set_irq(hart, RV_IRQ_SEI, true);
    assert_false(rv_hart_has_work(hart)); /* not enabled */
    csr_put(&fix, RV_CSRNO_mie, BIT(RV_IRQ_SEI));
    assert_true(rv_hart_has_work(hart)); /* whatever MIE says */
    rv_hart_set_irq(hart, RV_IRQ_SEI, false);
    assert_false(rv_hart_has_work(hart));
}

static void test_sstc(void **state)
{
    csr_put(&fix, RV_CSRNO_menvcfg, RV_ENVCFG_STCE);
    csr_put(&fix, RV_CSRNO_mideleg, BIT(RV_IRQ_STI));
    csr_put(&fix, RV_CSRNO_mie, BIT(RV_IRQ_STI));
    csr_put(&fix, RV_CSRNO_stimecmp, 1500);
    assert_int_equal(fix.deadline, 1500);
    fixture_enter(&fix, RV_PRIV_U);
    assert_false(rv_take_interrupt(hart));
    fix.time = 1499;
    rv_hart_set_irq(hart, RV_IRQ_STI, true); /* the comparison decides, not the line */
    assert_false(rv_hart_has_work(hart));
    fix.time = 1500;
    assert_true(rv_hart_has_work(hart));
    assert_true(rv_take_interrupt(hart));
    assert_int_equal(hart->scause, RV_CAUSE_INTERRUPT | RV_IRQ_STI);
    csr_put(&fix, RV_CSRNO_stimecmp, UINT64_MAX);
    assert_false(rv_hart_has_work(hart));
}

/** Without Sstc the supervisor timer's bit is software's, and a line if one is wired. */
static void test_no_sstc(void **state)
{
    const struct rv_isa isa = fixture_isa_without(RV_EXT_SSTC);

    fixture_fini(&fix);
    fixture_init(&fix, &isa);
    hart = fix.hart;
    csr_put(&fix, RV_CSRNO_menvcfg, UINT64_MAX);
    assert_int_equal(csr_get(&fix, RV_CSRNO_mip), 0);
    csr_put(&fix, RV_CSRNO_mip, BIT(RV_IRQ_STI));
    assert_int_equal(csr_get(&fix, RV_CSRNO_mip), BIT(RV_IRQ_STI));
    csr_put(&fix, RV_CSRNO_mip, 0);
    rv_hart_set_irq(hart, RV_IRQ_STI, true);
    assert_int_equal(csr_get(&fix, RV_CSRNO_mip), BIT(RV_IRQ_STI));
}

static void test_statistics(void **state)
{
    struct rv_stats stats = {.struct_size = sizeof(stats)};

    csr_put(&fix, RV_CSRNO_mie, UINT64_MAX);
    fixture_enter(&fix, RV_PRIV_U);
    pend(BIT(RV_IRQ_MSI));
    assert_true(rv_take_interrupt(hart));
    rv_take_exception(hart, RV_CAUSE_ILLEGAL, 0);
    rv_take_exception(hart, RV_CAUSE_ILLEGAL, 0);
    rv_hart_get_stats(hart, &stats);
    assert_int_equal(stats.interrupts, 1);
    assert_int_equal(stats.exceptions, 2);
    assert_int_equal(stats.struct_size, sizeof(stats));
}

enum { N_ROUNDS = 2000 };

/** Raises a line, and waits until the hart's thread has taken it down. */
static void *raise_lines(void *arg)
{
    for (unsigned i = 0; i < N_ROUNDS; i++) {
        rv_hart_set_irq(hart, RV_IRQ_MSI, true);
        while (sm_load_relaxed(&hart->mip_lines) & BIT(RV_IRQ_MSI)) {
            (void)rv_hart_has_work(hart);
            sched_yield();
        }
    }
    return NULL;
}

/** No rise is lost on the way to another thread, and the race is a clean one. */
static void test_other_thread(void **state)
{
    pthread_t thread;

    csr_put(&fix, RV_CSRNO_mie, BIT(RV_IRQ_MSI));
    fixture_enter(&fix, RV_PRIV_U);
    assert_int_equal(pthread_create(&thread, NULL, raise_lines, NULL), 0);
    for (unsigned taken = 0; taken < N_ROUNDS;) {
        if (!rv_take_interrupt(hart)) {
            sched_yield();
            continue;
        }
        taken++;
        csr_put(&fix, RV_CSRNO_mie, BIT(RV_IRQ_MSI));
        rv_hart_set_irq(hart, RV_IRQ_MSI, false);
        fixture_enter(&fix, RV_PRIV_U);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(fix.wakes, N_ROUNDS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(choice), TEST(enable_bits), TEST(lines_wake), TEST(has_work),
        TEST(sstc),   TEST(no_sstc),     TEST(statistics), TEST(other_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
