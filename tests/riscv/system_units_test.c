/* SPDX-License-Identifier: MIT */
/* system_units_test.c - control state in generated code against the interpreter: each CSR
 * at each privilege, traps in traps, interrupts that an instruction lets through. */
#include "hart_pair.h"

#define CODE    (RAM + 0x8000)
#define HANDLER (RAM + 0x4000) /* of M-mode                                     */
#define S_TRAP  (RAM + 0x5000)
enum { A7 = 17, T3 = 28, T5 = 30, END = 93 };

static struct pair pair;
static struct fpu_random rng;

static void put_handlers(void);

static int set_up(void **state)
{
    const struct rv_isa isa = fixture_isa();

    fixture_translate = true;
    fixture_heat = 1;
    fixture_code_size = 1 << 20;
    fixture_init(&pair.one, &isa);
    fixture_translate = false;
    fixture_init(&pair.other, &isa);
    put_handlers();
    return 0;
}

static int tear_down(void **state)
{
    BOTH(&pair, fix, fixture_fini(fix));
    return 0;
}

/* --- Programs --------------------------------------------------------------- */

/** Word of a CSR instruction. */
static uint32_t csr_word(enum rv_op op, unsigned rd, unsigned rs1, unsigned csr)
{
    return enc(op, rd, rs1, 0, (int32_t)csr);
}

static void put_both(uint64_t at, const uint32_t *words, unsigned n)
{
    pair_store(&pair, at, words, 4 * n);
}

/** A handler: interrupts are turned off, what trapped is gone past, and who has END in a7
 *  is at the program's end, where M-mode waits; S-mode may not write mie, and is in M-mode's
 *  handler then.  Uses registers @x and @x + 1. */
static void put_handler(uint64_t at, unsigned cause, unsigned epc, unsigned enables,
                        enum rv_op back, unsigned x)
{
    const uint32_t words[] = {
        csr_word(RV_OP_csrrs, x, X0, cause),
        enc(RV_OP_addi, x + 1, X0, 0, END),
        enc(RV_OP_beq, 0, A7, x + 1, 32),
        enc(RV_OP_bge, 0, x, X0, 12),
        csr_word(RV_OP_csrrw, X0, X0, enables),
        enc(back, 0, 0, 0, 0),
        csr_word(RV_OP_csrrs, x, X0, epc),
        enc(RV_OP_addi, x, x, 0, 4),
        csr_word(RV_OP_csrrw, X0, x, epc),
        enc(back, 0, 0, 0, 0),
        csr_word(RV_OP_csrrw, X0, X0, RV_CSRNO_mie),
        enc(RV_OP_wfi, 0, 0, 0, 0),
    };

    SM_STATIC_ASSERT(SM_ARRAY_LEN(words) == 12, "beq leads to the last two");
    put_both(at, words, SM_ARRAY_LEN(words));
}

static void put_handlers(void)
{
    put_handler(HANDLER, RV_CSRNO_mcause, RV_CSRNO_mepc, RV_CSRNO_mie, RV_OP_mret, T3);
    put_handler(S_TRAP, RV_CSRNO_scause, RV_CSRNO_sepc, RV_CSRNO_sie, RV_OP_sret, T5);
}

/** Reset both, with the same random control state, in which privilege @priv may run. */
static void begin(enum rv_priv priv, bool deleg)
{
    static const enum rv_irq irqs[] = {RV_IRQ_SSI, RV_IRQ_MSI, RV_IRQ_STI,
                                       RV_IRQ_MTI, RV_IRQ_SEI, RV_IRQ_MEI};
    static const uint16_t fields[] = {
        RV_CSRNO_mie,        RV_CSRNO_mideleg,   RV_CSRNO_mip,      RV_CSRNO_mscratch,
        RV_CSRNO_mepc,       RV_CSRNO_mcause,    RV_CSRNO_mtval,    RV_CSRNO_sscratch,
        RV_CSRNO_sepc,       RV_CSRNO_scause,    RV_CSRNO_stval,    RV_CSRNO_mcounteren,
        RV_CSRNO_scounteren, RV_CSRNO_mcycle,    RV_CSRNO_minstret, RV_CSRNO_mcountinhibit,
        RV_CSRNO_stimecmp};
    const uint64_t lines = fpu_random_next(&rng) & fpu_random_next(&rng);
    const uint64_t enables = RV_MSTATUS_SIE | RV_MSTATUS_MIE | RV_MSTATUS_MPRV;
    const uint64_t never = RV_MSTATUS_TSR; /* the handlers return                */
    const uint64_t status =
        fpu_random_next(&rng) & ~never & ~(one_in(&rng, 4) ? 0 : enables);
    const uint64_t stce = one_in(&rng, 2) ? RV_ENVCFG_STCE : 0;

    BOTH(&pair, fix, {
        rv_hart_reset(fix->hart, CODE);
        csr_put(fix, RV_CSRNO_mtvec, HANDLER);
        csr_put(fix, RV_CSRNO_stvec, S_TRAP);
        csr_put(fix, RV_CSRNO_pmpaddr0, UINT64_MAX);
        csr_put(fix, RV_CSRNO_pmpcfg0, 0x1f);
        csr_put(fix, RV_CSRNO_menvcfg, stce);
        csr_put(fix, RV_CSRNO_mstatus, status);
        csr_put(fix, RV_CSRNO_medeleg, deleg ? 0x108 : 0);
    });
    for (unsigned n = 0; n < SM_ARRAY_LEN(fields); n++) {
        const uint64_t value =
            fields[n] == RV_CSRNO_stimecmp ? 990 + below(&rng, 20) : random_x(&rng);

        BOTH(&pair, fix, csr_put(fix, fields[n], value));
    }
    for (unsigned n = 0; n < SM_ARRAY_LEN(irqs); n++) {
        const bool level = lines >> n & 1;

        if (level || irqs[n] != RV_IRQ_STI) /* a deadline that passed is not taken back */
            BOTH(&pair, fix, rv_hart_set_irq(fix->hart, irqs[n], level));
    }
    for (unsigned n = 1; n < 30; n++) {
        const uint64_t x = random_x(&rng);

        BOTH(&pair, fix, rv_hart_set_x(fix->hart, n, n == A7 ? 0 : x));
    }
    BOTH(&pair, fix, fixture_enter(fix, priv));
}

static unsigned run_both(void)
{
    struct rv_hart *const one = pair.one.hart, *const other = pair.other.hart;
    unsigned bad;

    BOTH(&pair, fix, assert_int_equal(rv_hart_run(fix->hart), RV_RUN_WFI));
    bad = compare_harts(&pair);
    bad += differ("exceptions", 0, one->stats.exceptions, other->stats.exceptions);
    bad += differ("interrupts", 0, one->stats.interrupts, other->stats.interrupts);
    return bad;
}

static const enum rv_op csr_ops[] = {RV_OP_csrrw,  RV_OP_csrrs,  RV_OP_csrrc,
                                     RV_OP_csrrwi, RV_OP_csrrsi, RV_OP_csrrci};

/* --- Each CSR --------------------------------------------------------------- */

/** What to write to @csr, so that the hart finds its way to the end. */
static uint64_t operand_for(unsigned csr, uint64_t value)
{
    if (csr == RV_CSRNO_mtvec)
        return HANDLER;
    if (csr == RV_CSRNO_pmpcfg0 || csr == RV_CSRNO_pmpcfg2)
        return value & UINT64_C(0x7f7f7f7f7f7f7f7f); /* not locked: M-mode goes on */
    return value;
}

static void one_csr(unsigned csr, enum rv_op op, enum rv_priv priv, bool reads)
{
    const bool to_handler = csr == RV_CSRNO_mtvec;
    const unsigned rs1 = one_in(&rng, 5) || to_handler ? (to_handler ? A1 : X0) : A1;
    const unsigned zimm = csr == RV_CSRNO_mtvec ? 0 : (unsigned)below(&rng, 32);
    const bool immediate = op >= RV_OP_csrrwi;
    const unsigned rd = !reads ? X0 : one_in(&rng, 4) ? A1 : A0;
    const uint32_t words[] = {
        enc(RV_OP_addi, A2, A2, 0, 1),
        csr_word(op, rd, immediate ? zimm : rs1, csr),
        csr_word(RV_OP_csrrs, A3, X0, RV_CSRNO_cycle),
        0, 0, 0, 0, /* illegal: to M-mode */
    };
    const uint64_t value = operand_for(csr, random_x(&rng));

    if (to_handler && (op == RV_OP_csrrwi || op == RV_OP_csrrc))
        return;
    begin(priv, false);
    put_both(CODE, words, SM_ARRAY_LEN(words));
    BOTH(&pair, fix, {
        rv_hart_set_x(fix->hart, A1, value);
        rv_hart_set_x(fix->hart, A7, END);
    });
    if (run_both())
        fail_msg("csr 0x%03x, operation %s, privilege %u, rd x%u, rs1 %u", csr,
                 rv_insn_table[op].text, priv, rd, immediate ? zimm : rs1);
}

/** Every number that exists, and some that do not, at each privilege in each way. */
static void test_each_csr(void **state)
{
    static const enum rv_priv privs[] = {RV_PRIV_U, RV_PRIV_S, RV_PRIV_M};
    unsigned n = 0;

    for (unsigned csr = 0; csr < RV_N_CSRNO; csr++) {
        uint64_t value;
        const bool exists = rv_hart_csr_read(pair.one.hart, csr, &value);
        const bool alike = (csr > RV_CSRNO_mhpmcounter3 && csr < RV_CSRNO_mhpmcounter3 + 29) ||
                           (csr > RV_CSRNO_mhpmevent3 && csr < RV_CSRNO_mhpmevent3 + 29) ||
                           (csr > RV_CSRNO_hpmcounter3 && csr < RV_CSRNO_hpmcounter3 + 29) ||
                           (csr > RV_CSRNO_pmpaddr0 && csr < RV_CSRNO_pmpaddr0 + 64);

        if ((!exists && !one_in(&rng, 100)) || (alike && !one_in(&rng, 10)))
            continue;
        for (unsigned p = 0; p < SM_ARRAY_LEN(privs); p++)
            for (unsigned op = 0; op < SM_ARRAY_LEN(csr_ops); op++)
                for (unsigned reads = 0; reads < 2; reads++, n++)
                    one_csr(csr, csr_ops[op], privs[p], reads);
    }
    printf("%u accesses\n", n);
}

/* --- Programs of them --------------------------------------------------------- */

static uint32_t random_csr_word(void)
{
    static const uint16_t often[] = {
        RV_CSRNO_sstatus, RV_CSRNO_mstatus,  RV_CSRNO_sscratch, RV_CSRNO_mscratch,
        RV_CSRNO_sepc,    RV_CSRNO_scause,   RV_CSRNO_stval,    RV_CSRNO_sie,
        RV_CSRNO_sip,     RV_CSRNO_mie,      RV_CSRNO_mip,      RV_CSRNO_mideleg,
        RV_CSRNO_time,    RV_CSRNO_instret,  RV_CSRNO_mepc,     RV_CSRNO_fcsr,
        RV_CSRNO_mhartid, RV_CSRNO_stimecmp, RV_CSRNO_cycle,    RV_CSRNO_mcounteren};
    const unsigned csr = often[below(&rng, SM_ARRAY_LEN(often))];
    const enum rv_op op = csr_ops[below(&rng, SM_ARRAY_LEN(csr_ops))];
    const unsigned rs1 = op >= RV_OP_csrrwi ? (unsigned)below(&rng, 32)
                                            : (unsigned)below(&rng, 8) + A0 - 2;

    return csr_word(op, one_in(&rng, 3) ? 0 : (unsigned)below(&rng, 6) + A0, rs1, csr);
}

static uint32_t random_system_word(void)
{
    switch (below(&rng, 8)) {
    case 0: return enc(RV_OP_ecall, 0, 0, 0, 0);
    case 1: return one_in(&rng, 3) ? enc(RV_OP_ebreak, 0, 0, 0, 0)
                                   : enc(RV_OP_add, A0, A1, A2, 0);
    case 2: return one_in(&rng, 3) ? enc(RV_OP_sfence_vma, 0, 0, 0, 0)
                                   : enc(RV_OP_addi, A3, A4, 0, 7);
    case 3: return csr_word(one_in(&rng, 2) ? RV_OP_csrrsi : RV_OP_csrrci,
                            one_in(&rng, 2) ? 0 : A2, one_in(&rng, 3) ? 10 : 2,
                            one_in(&rng, 3) ? RV_CSRNO_mstatus : RV_CSRNO_sstatus);
    default: return random_csr_word();
    }
}

static void one_program(void)
{
    static const enum rv_priv privs[] = {RV_PRIV_U, RV_PRIV_S, RV_PRIV_S, RV_PRIV_M};
    enum { BODY = 24 };
    uint32_t words[BODY + 8];
    unsigned n = 0;

    for (; n < BODY; n++)
        words[n] = random_system_word();
    words[n++] = enc(RV_OP_addi, S1, S1, 0, -1);
    words[n] = enc(RV_OP_bne, 0, S1, X0, -4 * (int32_t)n);
    n++;
    words[n++] = enc(RV_OP_addi, A7, X0, 0, END);
    while (n < SM_ARRAY_LEN(words))
        words[n++] = 0;
    begin(privs[below(&rng, SM_ARRAY_LEN(privs))], one_in(&rng, 2));
    put_both(CODE, words, SM_ARRAY_LEN(words));
    BOTH(&pair, fix, rv_hart_set_x(fix->hart, S1, 6));
    if (run_both()) {
        for (n = 0; n < SM_ARRAY_LEN(words); n++) {
            struct rv_insn insn;
            char text[80];

            rv_decode(&pair.one.hart->isa, words[n], &insn);
            rv_insn_text(&insn, CODE + 4 * n, text, sizeof(text));
            fprintf(stderr, "%x: %s\n", (unsigned)(CODE + 4 * n), text);
        }
        fail_msg("a program differs");
    }
}

/** CSRs, traps in each mode, returns, and interrupts that these let through. */
static void test_programs(void **state)
{
    const uint64_t interrupts = pair.one.hart->stats.interrupts;
    struct rv_stats stats = {.struct_size = sizeof(stats)};

    for (unsigned n = 0; n < 3000; n++)
        one_program();
    rv_hart_get_stats(pair.one.hart, &stats);
    printf("%llu units, %llu interrupts\n", (unsigned long long)stats.units,
           (unsigned long long)(stats.interrupts - interrupts));
    assert_true(stats.units > 3000);
    assert_true(stats.interrupts - interrupts > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_csr, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_programs, set_up, tear_down),
    };

    rng = fpu_random_init(20261122);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
