/* SPDX-License-Identifier: MIT */
/* csr_test.c - every CSR number's existence, privilege, legal values and effects.
 *
 * The expectations are written down here once more, from the specification, and not
 * derived from csr.def.
 */
#include "hart_fixture.h"

#define ONES UINT64_MAX

/** What a hart with every extension has, in M mode after a reset. */
static const struct expect {
    unsigned csr, n;
    uint64_t reset, of_ones, of_zero; /* read at first; after writing          */
} expects[] = {
    {0x001, 1, 0, 0x1f, 0},
    {0x002, 1, 0, 7, 0},
    {0x003, 1, 0, 0xff, 0},
    /* sstatus: SD UXL=2 MXR SUM FS SPP SPIE SIE */
    {0x100, 1, UINT64_C(0x200000000), UINT64_C(0x80000002000c6122),
     UINT64_C(0x200000000)},
    {0x104, 1, 0, 0, 0}, /* nothing is delegated */
    {0x105, 1, 0, 0, 0}, /* all ones is a reserved mode */
    {0x106, 1, 0, 0xffffffff, 0},
    {0x10a, 1, 0, 0xf1, 0},
    {0x140, 1, 0, ONES, 0},
    {0x141, 1, 0, ONES - 1, 0},
    {0x142, 1, 0, ONES, 0},
    {0x143, 1, 0, ONES, 0},
    {0x144, 1, 0, 0, 0},
    {0x14d, 1, 0, ONES, 0},
    {0x180, 1, 0, 0, 0}, /* mode 15 is reserved: no effect */
    /* mstatus: SD SXL=2 UXL=2 TSR TW TVM MXR SUM MPRV FS MPP SPP MPIE SPIE MIE SIE */
    {0x300, 1, UINT64_C(0xa00000000), UINT64_C(0x8000000a007e79aa),
     UINT64_C(0xa00000000)},
    {0x301, 1, UINT64_C(0x800000000014112d), UINT64_C(0x800000000014112d),
     UINT64_C(0x800000000014112d)}, /* MXL=2; U S M I F D C A */
    {0x302, 1, 0, 0xb3ff, 0},
    {0x303, 1, 0, 0x222, 0},
    {0x304, 1, 0, 0xaaa, 0},
    {0x305, 1, 0, 0, 0},
    {0x306, 1, 0, 0xffffffff, 0},
    /* menvcfg: STCE PBMTE ADUE CBZE CBCFE CBIE=3 FIOM; svade leaves ADUE to firmware */
    {0x30a, 1, UINT64_C(0x4000000000000000), UINT64_C(0xe0000000000000f1), 0},
    {0x320, 1, 0, 0xfffffffd, 0},
    {0x323, 29, 0, ONES, 0},
    {0x340, 1, 0, ONES, 0},
    {0x341, 1, 0, ONES - 1, 0},
    {0x342, 1, 0, ONES, 0},
    {0x343, 1, 0, ONES, 0},
    {0x344, 1, 0, 0x222, 0},
    /* locked NAPOT RWX, with bits 5 and 6 zero: then nothing changes any more */
    {0x3a0, 1, 0, UINT64_C(0x9f9f9f9f9f9f9f9f), UINT64_C(0x9f9f9f9f9f9f9f9f)},
    {0x3a2, 1, 0, UINT64_C(0x9f9f9f9f9f9f9f9f), UINT64_C(0x9f9f9f9f9f9f9f9f)},
    {0x3a4, 1, 0, 0, 0},
    {0x3a6, 1, 0, 0, 0},
    {0x3a8, 1, 0, 0, 0},
    {0x3aa, 1, 0, 0, 0},
    {0x3ac, 1, 0, 0, 0},
    {0x3ae, 1, 0, 0, 0},
    {0x3b0, 16, 0, UINT64_C(0x003fffffffffffff), 0},
    {0x3c0, 48, 0, 0, 0},
    {0x7a0, 1, 0, 0, 0}, /* no triggers */
    {0x7a1, 3, 0, 0, 0},
    {0x7a4, 1, 1, 1, 1},
    {0xb00, 1, 0, ONES, 0},
    {0xb02, 1, 0, ONES, 0},
    {0xb03, 29, 0, ONES, 0},
    {0xc00, 1, 0, 0, 0}, /* read-only from here on */
    {0xc01, 1, 1000, 0, 0},
    {0xc02, 1, 0, 0, 0},
    {0xc03, 29, 0, 0, 0},
    {0xf11, 1, 0x111, 0, 0},
    {0xf12, 1, 0x222, 0, 0},
    {0xf13, 1, 0x333, 0, 0},
    {0xf14, 1, 5, 0, 0},
    {0xf15, 1, 0, 0, 0},
};

static const struct expect *expect_of(unsigned csr)
{
    for (size_t i = 0; i < SM_ARRAY_LEN(expects); i++) {
        if (csr >= expects[i].csr && csr < expects[i].csr + expects[i].n)
            return &expects[i];
    }
    return NULL;
}

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

/** Start over with another hart. */
static void with_isa(struct rv_isa isa)
{
    fixture_fini(&fix);
    fixture_init(&fix, &isa);
}

/** Grant everything that a CSR can grant. */
static void open_gates(void)
{
    csr_put(&fix, RV_CSRNO_mstatus, RV_MSTATUS_FS);
    csr_put(&fix, RV_CSRNO_mcounteren, ONES);
    csr_put(&fix, RV_CSRNO_scounteren, ONES);
    csr_put(&fix, RV_CSRNO_menvcfg, ONES);
}

static void test_existence(void **state)
{
    open_gates();
    for (unsigned csr = 0; csr < 0x1100; csr++) {
        uint64_t value;
        const bool exists = rv_hart_csr_read(fix.hart, csr, &value);
        if (exists != (expect_of(csr) != NULL))
            fail_msg("CSR 0x%03x %s", csr, exists ? "exists" : "is missing");
    }
}

static void test_privilege(void **state)
{
    static const enum rv_priv privs[] = {RV_PRIV_U, RV_PRIV_S, RV_PRIV_M};

    for (unsigned csr = 0; csr < 0x1000; csr++) {
        for (unsigned i = 0; i < 3; i++) {
            const bool may = expect_of(csr) && privs[i] >= ((csr >> 8) & 3);
            rv_hart_reset(fix.hart, RAM);
            open_gates();
            fixture_enter(&fix, privs[i]);
            if (csr_readable(&fix, csr) != may)
                fail_msg("reading 0x%03x at privilege %u", csr, privs[i]);
            if (csr_writable(&fix, csr) != (may && csr < 0xc00))
                fail_msg("writing 0x%03x at privilege %u", csr, privs[i]);
        }
    }
}

static void check_value(unsigned csr, const char *when, uint64_t got, uint64_t want)
{
    if (got != want)
        fail_msg("CSR 0x%03x %s: 0x%llx, not 0x%llx", csr, when,
                 (unsigned long long)got, (unsigned long long)want);
}

static void test_warl(void **state)
{
    for (size_t i = 0; i < SM_ARRAY_LEN(expects); i++) {
        const struct expect *e = &expects[i];
        for (unsigned csr = e->csr; csr < e->csr + e->n; csr++) {
            rv_hart_reset(fix.hart, RAM);
            if (csr <= 3)
                csr_put(&fix, RV_CSRNO_mstatus, RV_MSTATUS_FS);
            check_value(csr, "after reset", csr_get(&fix, csr), e->reset);
            if (csr >= 0xc00)
                continue;
            csr_put(&fix, csr, ONES);
            check_value(csr, "all ones", csr_get(&fix, csr), e->of_ones);
            csr_put(&fix, csr, 0);
            check_value(csr, "zero", csr_get(&fix, csr), e->of_zero);
        }
    }
}

static void test_operations(void **state)
{
    uint64_t old = 0;

    csr_put(&fix, RV_CSRNO_mscratch, 0xf0);
    assert_int_equal(rv_csr_access(fix.hart, RV_CSRNO_mscratch, RV_CSR_SET, 0x0f, true,
                                   &old), RV_CSR_OK);
    assert_int_equal(old, 0xf0);
    assert_int_equal(rv_csr_access(fix.hart, RV_CSRNO_mscratch, RV_CSR_CLEAR, 0x81, true,
                                   &old), RV_CSR_OK);
    assert_int_equal(old, 0xff);
    assert_int_equal(rv_csr_access(fix.hart, RV_CSRNO_mscratch, RV_CSR_WRITE, 3, true,
                                   &old), RV_CSR_OK);
    assert_int_equal(old, 0x7e);
    old = 42;
    assert_int_equal(rv_csr_access(fix.hart, RV_CSRNO_mscratch, RV_CSR_WRITE, 4, false,
                                   &old), RV_CSR_OK);
    assert_int_equal(old, 42);
    assert_int_equal(csr_get(&fix, RV_CSRNO_mscratch), 4);
    /* Setting or clearing is a write, whatever the mask: read-only registers refuse. */
    assert_int_equal(rv_csr_access(fix.hart, 0xf14, RV_CSR_SET, 0, true, &old),
                     RV_CSR_ILLEGAL);
    assert_int_equal(old, 42);
}

static void test_mstatus(void **state)
{
    const uint64_t xl = UINT64_C(0xa00000000);

    /* MPP 2 is no privilege: the field keeps its value, the others are written. */
    assert_int_equal(csr_keeps(&fix, 0x300, UINT64_C(1) << 11), xl | 0x800);
    assert_int_equal(csr_keeps(&fix, 0x300, UINT64_C(2) << 11 | 8), xl | 0x808);
    for (unsigned fs = 0; fs < 4; fs++) {
        const uint64_t field = (uint64_t)fs << 13;
        assert_int_equal(csr_keeps(&fix, 0x300, field | RV_MSTATUS_SD),
                         xl | field | (fs == 3 ? RV_MSTATUS_SD : 0));
    }
    /* sstatus writes leave M's fields alone. */
    csr_put(&fix, 0x300, RV_MSTATUS_MPP | RV_MSTATUS_MIE | RV_MSTATUS_TW);
    csr_put(&fix, 0x100, ONES);
    assert_int_equal(csr_get(&fix, 0x300),
                     xl | RV_MSTATUS_SD | RV_MSTATUS_TW | RV_MSTATUS_MXR |
                         RV_MSTATUS_SUM | RV_MSTATUS_FS | RV_MSTATUS_MPP |
                         RV_MSTATUS_SPP | RV_MSTATUS_SPIE | RV_MSTATUS_MIE |
                         RV_MSTATUS_SIE);
    csr_put(&fix, 0x100, 0);
    assert_int_equal(csr_get(&fix, 0x300),
                     xl | RV_MSTATUS_TW | RV_MSTATUS_MPP | RV_MSTATUS_MIE);
}

static void test_modes_absent(void **state)
{
    struct rv_isa isa = fixture_isa_without(RV_EXT_S);

    with_isa(isa);
    assert_int_equal(csr_keeps(&fix, 0x300, UINT64_C(1) << 11), UINT64_C(0x200000000));
    assert_int_equal(csr_keeps(&fix, 0x300, ONES),
                     UINT64_C(0x8000000200000000) | RV_MSTATUS_MPP | RV_MSTATUS_FS |
                         RV_MSTATUS_MPRV | RV_MSTATUS_TW | RV_MSTATUS_MPIE |
                         RV_MSTATUS_MIE);
    assert_int_equal(csr_keeps(&fix, 0x304, ONES), 0x888);
    assert_int_equal(csr_keeps(&fix, 0x344, ONES), 0);
    assert_false(csr_readable(&fix, 0x302));
    assert_false(csr_readable(&fix, 0x303));
    assert_false(csr_readable(&fix, 0x100));
    assert_true(csr_readable(&fix, 0x306));
    assert_int_equal(csr_get(&fix, 0x301) & (UINT64_C(1) << 18), 0);
    csr_put(&fix, 0x306, 1); /* U then needs mcounteren only */
    fixture_enter(&fix, RV_PRIV_U);
    assert_true(csr_readable(&fix, 0xc00));
    assert_false(csr_readable(&fix, 0xc02));

    isa.ext &= ~(UINT64_C(1) << RV_EXT_U);
    with_isa(isa);
    assert_int_equal(csr_get(&fix, 0x300), RV_MSTATUS_MPP);
    assert_int_equal(csr_keeps(&fix, 0x300, 0), RV_MSTATUS_MPP);
    assert_int_equal(csr_keeps(&fix, 0x300, ONES),
                     RV_MSTATUS_SD | RV_MSTATUS_FS | RV_MSTATUS_MPP | RV_MSTATUS_MPIE |
                         RV_MSTATUS_MIE);
    assert_false(csr_readable(&fix, 0x306));
    assert_false(csr_readable(&fix, 0x30a));
}

static void test_tvec_epc(void **state)
{
    for (unsigned csr = 0x105; csr <= 0x305; csr += 0x200) {
        assert_int_equal(csr_keeps(&fix, csr, 0x80001000), 0x80001000);
        assert_int_equal(csr_keeps(&fix, csr, 0x80002001), 0x80002001);
        assert_int_equal(csr_keeps(&fix, csr, 0x80003002), 0x80002001);
        assert_int_equal(csr_keeps(&fix, csr, 0x80003003), 0x80002001);
        assert_int_equal(csr_keeps(&fix, csr, ONES - 2), ONES - 2);
    }
    assert_int_equal(csr_keeps(&fix, 0x141, 0x1003), 0x1002);
    with_isa(fixture_isa_without(RV_EXT_C));
    assert_int_equal(csr_keeps(&fix, 0x141, 0x1003), 0x1000);
    assert_int_equal(csr_keeps(&fix, 0x341, 0x1006), 0x1004);
}

static void test_fp_gate(void **state)
{
    for (unsigned csr = 1; csr <= 3; csr++) {
        csr_put(&fix, 0x300, 0);
        assert_false(csr_readable(&fix, csr));
        assert_false(csr_writable(&fix, csr));
        csr_put(&fix, 0x300, UINT64_C(1) << 13);
        assert_true(csr_readable(&fix, csr)); /* which leaves FS initial */
        assert_int_equal(csr_get(&fix, 0x300) & RV_MSTATUS_FS, UINT64_C(1) << 13);
        assert_true(csr_writable(&fix, csr));
        assert_int_equal(csr_get(&fix, 0x300) & (RV_MSTATUS_SD | RV_MSTATUS_FS),
                         RV_MSTATUS_SD | RV_MSTATUS_FS);
    }
    csr_put(&fix, 3, 0xa5);
    assert_int_equal(csr_get(&fix, 1), 5);
    assert_int_equal(csr_get(&fix, 2), 5);
    csr_put(&fix, 1, 0x1f);
    csr_put(&fix, 2, 1);
    assert_int_equal(csr_get(&fix, 3), 0x3f);
}

static void test_counter_gates(void **state)
{
    for (unsigned n = 0; n < 32; n++) {
        const uint64_t bit = UINT64_C(1) << n;
        for (unsigned grant = 0; grant < 4; grant++) {
            fixture_enter(&fix, RV_PRIV_M);
            csr_put(&fix, 0x306, grant & 1 ? bit : ~bit);
            csr_put(&fix, 0x106, grant & 2 ? bit : ~bit);
            assert_true(csr_readable(&fix, 0xc00 + n));
            fixture_enter(&fix, RV_PRIV_S);
            assert_int_equal(csr_readable(&fix, 0xc00 + n), (grant & 1) != 0);
            fixture_enter(&fix, RV_PRIV_U);
            assert_int_equal(csr_readable(&fix, 0xc00 + n), grant == 3);
        }
    }
}

/** A CSR instruction of the hart's, and its retirement. */
static uint64_t execute(unsigned csr, enum rv_csr_op op, uint64_t operand)
{
    uint64_t old = 0;
    assert_int_not_equal(rv_csr_access(fix.hart, csr, op, operand, true, &old),
                         RV_CSR_ILLEGAL);
    fix.hart->instret++;
    return old;
}

static void test_counting(void **state)
{
    fix.hart->instret = 100;
    rv_hart_reset(fix.hart, RAM);
    assert_int_equal(execute(0xb02, RV_CSR_READ, 0), 0);
    assert_int_equal(execute(0xc02, RV_CSR_READ, 0), 1);
    assert_int_equal(execute(0xc00, RV_CSR_READ, 0), 2);
    /* The next instruction reads what was written. */
    execute(0xb02, RV_CSR_WRITE, ONES);
    assert_int_equal(execute(0xc02, RV_CSR_READ, 0), ONES);
    assert_int_equal(execute(0xc02, RV_CSR_READ, 0), 0);
    assert_int_equal(execute(0xb00, RV_CSR_WRITE, 7), 6); /* apart from minstret */
    assert_int_equal(execute(0xb00, RV_CSR_READ, 0), 7);

    /* Inhibiting takes effect after the instruction that does it. */
    execute(0xb02, RV_CSR_WRITE, 50);
    assert_int_equal(execute(0x320, RV_CSR_WRITE, 4), 0);
    assert_int_equal(execute(0xb02, RV_CSR_READ, 0), 51);
    assert_int_equal(execute(0xb02, RV_CSR_READ, 0), 51);
    execute(0xb02, RV_CSR_WRITE, 60);
    assert_int_equal(execute(0xb02, RV_CSR_READ, 0), 60);
    execute(0x320, RV_CSR_WRITE, 1);
    assert_int_equal(execute(0xb02, RV_CSR_READ, 0), 60);
    assert_int_equal(execute(0xb02, RV_CSR_READ, 0), 61);
    assert_int_equal(execute(0xb00, RV_CSR_READ, 0), execute(0xb00, RV_CSR_READ, 0));

    /* From outside nothing retires. */
    csr_put(&fix, 0x320, 0);
    csr_put(&fix, 0xb02, 5);
    assert_int_equal(csr_get(&fix, 0xb02), 5);
    fix.time = 123456;
    assert_int_equal(csr_get(&fix, 0xc01), 123456);
}

static void test_interrupt_views(void **state)
{
    csr_put(&fix, 0x303, 0x202); /* SSI and SEI, not STI */
    csr_put(&fix, 0x304, 0xaaa);
    assert_int_equal(csr_get(&fix, 0x104), 0x202);
    csr_put(&fix, 0x104, 0);
    assert_int_equal(csr_get(&fix, 0x304), 0x8a8);
    assert_int_equal(csr_keeps(&fix, 0x104, ONES), 0x202);

    csr_put(&fix, 0x344, 0x222);
    assert_int_equal(csr_get(&fix, 0x144), 0x202);
    csr_put(&fix, 0x144, 0); /* only SSIP is writable there */
    assert_int_equal(csr_get(&fix, 0x344), 0x220);
    csr_put(&fix, 0x144, ONES);
    assert_int_equal(csr_get(&fix, 0x344), 0x222);
    csr_put(&fix, 0x303, 0x200); /* and only while it is delegated */
    csr_put(&fix, 0x144, 0);
    assert_int_equal(csr_get(&fix, 0x344), 0x222);
}

static void test_mip_lines(void **state)
{
    rv_hart_set_irq(fix.hart, RV_IRQ_SEI, true);
    rv_hart_set_irq(fix.hart, RV_IRQ_MTI, true);
    assert_int_equal(csr_get(&fix, 0x344), 0x280);
    /* A set or clear of other bits does not turn the line into software's bit. */
    assert_int_equal(execute(0x344, RV_CSR_SET, 2), 0x280);
    assert_int_equal(execute(0x344, RV_CSR_CLEAR, 2), 0x282);
    rv_hart_set_irq(fix.hart, RV_IRQ_SEI, false);
    assert_int_equal(csr_get(&fix, 0x344), 0x80);
    execute(0x344, RV_CSR_SET, 0x200);
    rv_hart_set_irq(fix.hart, RV_IRQ_SEI, true);
    execute(0x344, RV_CSR_CLEAR, 0x200);
    assert_int_equal(csr_get(&fix, 0x344), 0x280); /* the line still is up */
    rv_hart_set_irq(fix.hart, RV_IRQ_SEI, false);
    assert_int_equal(csr_get(&fix, 0x344), 0x80);
}

static void test_mip_edge(void **state)
{
    csr_put(&fix, 0x303, 0x222);
    rv_hart_set_irq(fix.hart, RV_IRQ_SSI, true); /* as the ACLINT's SETSSIP does */
    assert_int_equal(csr_get(&fix, 0x144), 2);
    /* Changes of other bits leave it; the handler's clear is its end. */
    assert_int_equal(execute(0x344, RV_CSR_SET, 0x200), 2);
    assert_int_equal(execute(0x344, RV_CSR_CLEAR, 0x200), 0x202);
    assert_int_equal(execute(0x144, RV_CSR_CLEAR, 2), 2);
    assert_int_equal(csr_get(&fix, 0x144), 0);
    rv_hart_set_irq(fix.hart, RV_IRQ_SSI, true);
    assert_int_equal(csr_get(&fix, 0x144), 2);
    csr_put(&fix, 0x344, 0);
    assert_int_equal(csr_get(&fix, 0x344), 0);
}

static void test_stimecmp(void **state)
{
    csr_put(&fix, 0x14d, 500);
    assert_int_equal(fix.deadline, ONES); /* not before STCE */
    assert_int_equal(csr_get(&fix, 0x344), 0);
    csr_put(&fix, 0x344, 0x20);
    assert_int_equal(csr_get(&fix, 0x344), 0x20);
    csr_put(&fix, 0x344, 0);

    csr_put(&fix, 0x30a, RV_ENVCFG_STCE);
    assert_int_equal(fix.deadline, 500);
    assert_int_equal(csr_get(&fix, 0x344), 0x20);
    assert_int_equal(csr_keeps(&fix, 0x344, 0), 0x20); /* read-only now */
    csr_put(&fix, 0x14d, 1001);
    assert_int_equal(fix.deadline, 1001);
    assert_int_equal(csr_get(&fix, 0x344), 0);
    fix.time = 1001;
    assert_int_equal(csr_get(&fix, 0x344), 0x20);
    /* A line that comes late, for a deadline that was replaced, means nothing. */
    csr_put(&fix, 0x14d, 2000);
    rv_hart_set_irq(fix.hart, RV_IRQ_STI, true);
    assert_int_equal(csr_get(&fix, 0x344), 0);

    fixture_enter(&fix, RV_PRIV_S);
    assert_false(csr_readable(&fix, 0x14d)); /* mcounteren.TM */
    csr_put(&fix, 0x306, 2);
    assert_true(csr_readable(&fix, 0x14d));
    assert_true(csr_writable(&fix, 0x14d));
    csr_put(&fix, 0x30a, 0);
    assert_int_equal(fix.deadline, ONES);
    assert_false(csr_readable(&fix, 0x14d));
}

static void test_satp(void **state)
{
    const uint64_t rest = UINT64_C(0x0fffffffffffffff);
    struct rv_isa isa = fixture_isa();

    for (uint64_t mode = 0; mode < 16; mode++) {
        const bool known = mode == 0 || (mode >= 8 && mode <= 10);
        csr_put(&fix, 0x180, 0);
        assert_int_equal(csr_keeps(&fix, 0x180, mode << 60 | rest),
                         known ? mode << 60 | rest : 0);
    }
    fixture_enter(&fix, RV_PRIV_S);
    csr_put(&fix, 0x300, RV_MSTATUS_TVM);
    assert_false(csr_readable(&fix, 0x180));
    assert_false(csr_writable(&fix, 0x180));
    fixture_enter(&fix, RV_PRIV_M);
    assert_true(csr_writable(&fix, 0x180));

    isa.satp_mode_max = 8;
    with_isa(isa);
    assert_int_equal(csr_keeps(&fix, 0x180, UINT64_C(9) << 60), 0);
    assert_int_equal(csr_keeps(&fix, 0x180, UINT64_C(8) << 60 | 1),
                     UINT64_C(8) << 60 | 1);
    isa.satp_mode_max = 0;
    with_isa(isa);
    assert_int_equal(csr_keeps(&fix, 0x180, UINT64_C(8) << 60), 0);
    assert_int_equal(csr_keeps(&fix, 0x180, rest), 0);
}

static void test_envcfg(void **state)
{
    static const unsigned csrs[] = {0x30a, 0x10a};
    static const struct {
        enum rv_ext ext;
        uint64_t machine, supervisor; /* what all ones then leaves             */
    } without[] = {
        {RV_EXT_ZICBOM, UINT64_C(0xe000000000000081), 0x81},
        {RV_EXT_ZICBOZ, UINT64_C(0xe000000000000071), 0x71},
        {RV_EXT_SSTC, UINT64_C(0x60000000000000f1), 0xf1},
        {RV_EXT_SVPBMT, UINT64_C(0xa0000000000000f1), 0xf1},
        {RV_EXT_SVADU, UINT64_C(0xc0000000000000f1), 0xf1},
    };

    for (unsigned i = 0; i < 2; i++) {
        csr_put(&fix, csrs[i], 0x10);
        assert_int_equal(csr_keeps(&fix, csrs[i], 0x60), 0x50); /* CBIE 2 is reserved */
        assert_int_equal(csr_keeps(&fix, csrs[i], 0x30), 0x30);
    }
    for (size_t i = 0; i < SM_ARRAY_LEN(without); i++) {
        with_isa(fixture_isa_without(without[i].ext));
        assert_int_equal(csr_keeps(&fix, 0x30a, ONES), without[i].machine);
        assert_int_equal(csr_keeps(&fix, 0x10a, ONES), without[i].supervisor);
    }
    with_isa(fixture_isa_without(RV_EXT_SVADE));
    assert_int_equal(csr_get(&fix, 0x30a), RV_ENVCFG_PBMTE | RV_ENVCFG_ADUE);
}

static void test_extension_gates(void **state)
{
    static const struct {
        enum rv_ext ext;
        unsigned first, last;
    } gates[] = {{RV_EXT_F, 1, 3}, {RV_EXT_ZICNTR, 0xc00, 0xc02},
                 {RV_EXT_ZIHPM, 0xc03, 0xc1f}, {RV_EXT_SSTC, 0x14d, 0x14d}};
    struct rv_isa isa;

    for (size_t i = 0; i < SM_ARRAY_LEN(gates); i++) {
        isa = fixture_isa_without(gates[i].ext);
        if (gates[i].ext == RV_EXT_F)
            isa.ext &= ~(UINT64_C(1) << RV_EXT_D | UINT64_C(1) << RV_EXT_ZFA);
        with_isa(isa);
        open_gates();
        for (unsigned csr = gates[i].first; csr <= gates[i].last; csr++)
            assert_false(csr_readable(&fix, csr));
    }
    with_isa((isa = fixture_isa(), isa.n_pmp = 0, isa));
    for (unsigned csr = 0x3a0; csr < 0x3f0; csr++)
        assert_false(csr_readable(&fix, csr));
}

static void test_pmp(void **state)
{
    /* Each byte of a pmpcfg is an entry of its own. */
    csr_put(&fix, 0x3a0, UINT64_C(0x0f0b071f18090100));
    assert_int_equal(csr_get(&fix, 0x3a0), UINT64_C(0x0f0b071f18090100));
    assert_int_equal(fix.hart->pmp.cfg[4], 0x1f);
    /* W without R is reserved: the entry does not become writable. */
    assert_int_equal(csr_keeps(&fix, 0x3a2, 0x1a) & 2, 0);
    /* A locked entry stays, its neighbours do not. */
    rv_hart_reset(fix.hart, RAM);
    csr_put(&fix, 0x3b3, 0x1234);
    csr_put(&fix, 0x3a0, UINT64_C(0x99) << 24);
    assert_int_equal(csr_keeps(&fix, 0x3b3, 5), 0x1234);
    assert_int_equal(csr_keeps(&fix, 0x3b2, 5), 5);
    assert_int_equal(csr_keeps(&fix, 0x3a0, 0x0f), (UINT64_C(0x99) << 24) | 0x0f);
    rv_hart_reset(fix.hart, RAM);
    assert_int_equal(csr_get(&fix, 0x3a0), 0);
}

/** What ends a block and what does not: the hot ones must not without need. */
static void test_results(void **state)
{
    uint64_t old;
    struct rv_hart *hart = fix.hart;

    assert_int_equal(rv_csr_access(hart, 0x100, RV_CSR_SET, RV_MSTATUS_SIE, true, &old),
                     RV_CSR_REGIME);
    assert_int_equal(rv_csr_access(hart, 0x100, RV_CSR_CLEAR, RV_MSTATUS_SIE, true, &old),
                     RV_CSR_OK);
    fixture_enter(&fix, RV_PRIV_S);
    assert_int_equal(rv_csr_access(hart, 0x100, RV_CSR_SET, RV_MSTATUS_SUM, true, &old),
                     RV_CSR_REGIME);
    assert_int_equal(hart->mode_data, RV_MODE_S_SUM);
    assert_int_equal(rv_csr_access(hart, 0x100, RV_CSR_SET, RV_MSTATUS_SUM, true, &old),
                     RV_CSR_OK);
    assert_int_equal(rv_csr_access(hart, 0x140, RV_CSR_WRITE, 1, true, &old), RV_CSR_OK);
    assert_int_equal(rv_csr_access(hart, 0x180, RV_CSR_WRITE, UINT64_C(8) << 60, true,
                                   &old), RV_CSR_REGIME);
    assert_int_equal(rv_csr_access(hart, 0x180, RV_CSR_WRITE, UINT64_C(8) << 60, true,
                                   &old), RV_CSR_OK);
    assert_int_equal(rv_csr_access(hart, 0x104, RV_CSR_WRITE, 0, true, &old),
                     RV_CSR_REGIME);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(existence),     TEST(privilege),      TEST(warl),
        TEST(operations),    TEST(mstatus),        TEST(modes_absent),
        TEST(tvec_epc),      TEST(fp_gate),        TEST(counter_gates),
        TEST(counting),      TEST(interrupt_views), TEST(mip_lines), TEST(mip_edge),
        TEST(stimecmp),      TEST(satp),           TEST(envcfg),
        TEST(extension_gates), TEST(pmp),          TEST(results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
