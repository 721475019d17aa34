/* SPDX-License-Identifier: MIT */
/* hart_watch_test.c - a hart stops before an instruction that does what is watched. */
#include "program.h"

#include "softmmu/watch.h"

#define CODE (RAM + 0x1000)
#define DATA (RAM + 0x10000)

static struct fixture fixture;
static struct fixture *const fix = &fixture;

static int set_up(void **state)
{
    struct rv_isa isa = fixture_isa();

    fixture_init(fix, &isa);
    catch_traps(fix);
    return 0;
}

static int tear_down(void **state)
{
    fixture_fini(fix);
    return 0;
}

static void watch(uint64_t first, uint64_t last, unsigned accesses)
{
    const struct sm_watch watch = {.range = {first, last}, .modes = UINT16_MAX,
                                   .accesses = (uint8_t)accesses};

    assert_int_equal(sm_vcpu_set_watches(rv_hart_vcpu(fix->hart), &watch, 1), 0);
}

static struct sm_watch_hit hit(void)
{
    struct sm_watch_hit out = {.struct_size = sizeof(out)};

    assert_true(sm_vcpu_watch_hit(rv_hart_vcpu(fix->hart), &out));
    return out;
}

/** Run, and see that the hart stops at @pc; once more, that it stays there. */
static void assert_stops(uint64_t pc)
{
    struct rv_stats before;

    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_STOPPED);
    assert_int_equal(rv_hart_pc(fix->hart), pc);
    before = stats_of(fix);
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_STOPPED);
    assert_int_equal(rv_hart_pc(fix->hart), pc);
    assert_int_equal(stats_of(fix).instructions, before.instructions);
    assert_int_equal(stats_of(fix).data_accesses, before.data_accesses);
    assert_int_equal(stats_of(fix).exceptions, 0);
}

static uint64_t word_at(uint64_t gpa)
{
    const struct sm_attrs attrs = {.process = SM_NO_PROCESS};
    uint64_t value = 0;

    assert_int_equal(sm_address_space_load(fix->space, gpa, &attrs, 8, &value), SM_TX_OK);
    return value;
}

/** Three additions, @word at CODE + 12, another, and a WFI. */
static void write_program(uint32_t word)
{
    struct program prog = {fix, CODE};

    for (unsigned i = 0; i < 3; i++)
        put(&prog, RV_OP_addi, S0, S0, 0, 1);
    put32(&prog, word);
    put(&prog, RV_OP_addi, S0, S0, 0, 1);
    put_wfi(&prog);
    rv_blocks_flush(fix->hart);
    rv_hart_set_pc(fix->hart, CODE);
    rv_hart_set_x(fix->hart, S0, 0);
    rv_hart_set_x(fix->hart, A1, DATA);
    rv_hart_set_x(fix->hart, A2, 0x55);
    rv_hart_set_x(fix->hart, A0, 0xdead);
}

static const struct {
    enum rv_op op;
    unsigned accesses;
    enum sm_watch_kind kind;
} each[] = {
    {RV_OP_lb, SM_PERM_R, SM_WATCH_LOAD},   {RV_OP_ld, SM_PERM_R, SM_WATCH_LOAD},
    {RV_OP_sb, SM_PERM_W, SM_WATCH_STORE},  {RV_OP_sd, SM_PERM_W, SM_WATCH_STORE},
    {RV_OP_fld, SM_PERM_R, SM_WATCH_LOAD},  {RV_OP_fsd, SM_PERM_W, SM_WATCH_STORE},
    {RV_OP_amoadd_d, SM_PERM_R, SM_WATCH_RMW},
    {RV_OP_amoswap_w, SM_PERM_W, SM_WATCH_RMW},
    {RV_OP_lr_d, SM_PERM_R, SM_WATCH_RESERVE},
};

/** Each kind stops before anything happened, as often as it runs, in the middle of a
 *  block; and goes on to the same end as if nobody watched. */
static void test_stops_precisely_and_goes_on(void **state)
{
    csr_put(fix, RV_CSRNO_mstatus, csr_get(fix, RV_CSRNO_mstatus) | RV_MSTATUS_FS);
    for (size_t i = 0; i < SM_ARRAY_LEN(each); i++) {
        struct program data = {fix, DATA};
        uint64_t a0, memory;
        struct rv_stats stats[3];

        sm_tlb_flush_local(rv_hart_vcpu(fix->hart),
                           &(struct sm_tlb_scope){.range = {0, UINT64_MAX}, .stage = 1,
                                                  .modes = UINT16_MAX});
        put_bytes(&data, &(uint64_t){0x8877665544332211}, 8);
        write_program(enc(each[i].op, A0, A1, A2, 0));
        assert_int_equal(sm_vcpu_set_watches(rv_hart_vcpu(fix->hart), NULL, 0), 0);
        stats[0] = stats_of(fix);
        assert_int_equal(rv_hart_run(fix->hart), RV_RUN_WFI);
        stats[1] = stats_of(fix);
        a0 = rv_hart_x(fix->hart, A0);
        memory = word_at(DATA);

        data.at = DATA;
        put_bytes(&data, &(uint64_t){0x8877665544332211}, 8);
        write_program(enc(each[i].op, A0, A1, A2, 0));
        watch(DATA, DATA, each[i].accesses);
        assert_stops(CODE + 12);
        assert_int_equal(rv_hart_x(fix->hart, S0), 3);
        assert_int_equal(rv_hart_x(fix->hart, A0), 0xdead);
        assert_true(word_at(DATA) == 0x8877665544332211);
        assert_int_equal(hit().kind, each[i].kind);
        assert_true(hit().gva == DATA && hit().mode == RV_MODE_M);
        rv_hart_pass(fix->hart);
        assert_int_equal(rv_hart_run(fix->hart), RV_RUN_WFI);
        stats[2] = stats_of(fix);
        assert_int_equal(rv_hart_x(fix->hart, S0), 4);
        assert_true(rv_hart_x(fix->hart, A0) == a0 && word_at(DATA) == memory);
        assert_int_equal(stats[2].instructions - stats[1].instructions,
                         stats[1].instructions - stats[0].instructions);
        assert_int_equal(stats[2].data_accesses - stats[1].data_accesses, 1);
        /* It is watched again. */
        rv_hart_set_pc(fix->hart, CODE);
        assert_stops(CODE + 12);
    }
}

/** Instructions are watched by the byte, compressed ones and second halves too. */
static void test_fetches(void **state)
{
    write_program(enc(RV_OP_addi, S0, S0, 0, 1));
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_WFI); /* blocks are there */
    for (unsigned byte = 4; byte < 12; byte++) {
        const uint64_t pc = CODE + (byte & ~3u);
        watch(CODE + byte, CODE + byte, SM_PERM_X);
        rv_hart_set_x(fix->hart, S0, 0);
        rv_hart_set_pc(fix->hart, CODE);
        assert_stops(pc);
        assert_int_equal(rv_hart_x(fix->hart, S0), (pc - CODE) / 4);
        assert_int_equal(hit().kind, SM_WATCH_FETCH);
        assert_true(hit().met_gva == CODE + byte);
        rv_hart_pass(fix->hart);
        assert_int_equal(rv_hart_run(fix->hart), RV_RUN_WFI);
        assert_int_equal(rv_hart_x(fix->hart, S0), 5);
    }
    /* A loop meets it each time round. */
    struct program prog = {fix, CODE};
    put16(&prog, 0x0405); /* c.addi s0, 1 */
    put16(&prog, 0x0405);
    put(&prog, RV_OP_jal, X0, 0, 0, -4);
    rv_blocks_flush(fix->hart);
    watch(CODE + 2, CODE + 2, SM_PERM_X);
    rv_hart_set_pc(fix->hart, CODE);
    rv_hart_set_x(fix->hart, S0, 0);
    for (unsigned i = 0; i < 5; i++) {
        assert_stops(CODE + 2);
        assert_int_equal(rv_hart_x(fix->hart, S0), 2 * i + 1);
        rv_hart_pass(fix->hart);
    }
}

/** One instruction: its fetch, in two pages, then its load, across two. */
static void test_several_stops_of_one_instruction(void **state)
{
    const struct sm_watch watches[] = {
        {.range = {RAM + 0x1ffe, RAM + 0x1fff}, .accesses = SM_PERM_X, .modes = 0xffff},
        {.range = {RAM + 0x2000, RAM + 0x2001}, .accesses = SM_PERM_X, .modes = 0xffff},
        {.range = {DATA + 0xfff, DATA + 0x1000}, .accesses = SM_PERM_R, .modes = 0xffff}};
    struct program prog = {fix, RAM + 0x1ffe};

    put(&prog, RV_OP_ld, A0, A1, 0, 0);
    put(&prog, RV_OP_ld, A0, A1, 0, 0);
    put_wfi(&prog);
    assert_int_equal(sm_vcpu_set_watches(rv_hart_vcpu(fix->hart), watches, 3), 0);
    rv_hart_set_x(fix->hart, A1, DATA + 0xffc);
    rv_hart_set_pc(fix->hart, RAM + 0x1ffe);
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_STOPPED);
    assert_int_equal(hit().index, 0);
    rv_hart_pass(fix->hart);
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_STOPPED);
    assert_int_equal(hit().index, 1);
    rv_hart_pass(fix->hart);
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_STOPPED);
    assert_int_equal(hit().index, 2);
    assert_true(rv_hart_pc(fix->hart) == RAM + 0x1ffe);
    rv_hart_pass(fix->hart);
    /* The next one makes the same load, and is another. */
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_STOPPED);
    assert_int_equal(hit().index, 2);
    assert_true(rv_hart_pc(fix->hart) == RAM + 0x2002);
    rv_hart_pass(fix->hart);
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_WFI);
}

/** What is let through is the instruction that stopped: an interrupt waits. */
static void test_interrupts_wait(void **state)
{
    struct program handler = {fix, TRAP_VECTOR};

    /* What waits for an interrupt would not, while one is pending and enabled. */
    put(&handler, RV_OP_csrrw, X0, X0, 0, RV_CSRNO_mie);
    put_wfi(&handler);
    csr_put(fix, RV_CSRNO_mie, UINT64_C(1) << RV_IRQ_MEI);
    csr_put(fix, RV_CSRNO_mstatus, csr_get(fix, RV_CSRNO_mstatus) | RV_MSTATUS_MIE);
    write_program(enc(RV_OP_ld, A0, A1, 0, 0));
    watch(DATA, DATA, SM_PERM_R);
    assert_stops(CODE + 12);
    rv_hart_set_irq(fix->hart, RV_IRQ_MEI, true);
    rv_hart_pass(fix->hart);
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_WFI);
    assert_int_equal(rv_hart_pc(fix->hart), TRAP_VECTOR + 8);
    assert_int_equal(csr_get(fix, RV_CSRNO_mepc), CODE + 16);
    /* Not asked to, it comes first, and the watch is met after it. */
    write_program(enc(RV_OP_ld, A0, A1, 0, 0));
    csr_put(fix, RV_CSRNO_mie, UINT64_C(1) << RV_IRQ_MEI);
    csr_put(fix, RV_CSRNO_mstatus, csr_get(fix, RV_CSRNO_mstatus) | RV_MSTATUS_MIE);
    rv_hart_set_pc(fix->hart, CODE + 12);
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_WFI);
    assert_int_equal(csr_get(fix, RV_CSRNO_mepc), CODE + 12);
}

/** A kick between the stop and the instruction loses neither. */
static void test_kicks_wait(void **state)
{
    write_program(enc(RV_OP_ld, A0, A1, 0, 0));
    watch(DATA, DATA, SM_PERM_R);
    assert_stops(CODE + 12);
    rv_hart_pass(fix->hart);
    rv_hart_kick(fix->hart);
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_KICKED);
    assert_int_equal(rv_hart_pc(fix->hart), CODE + 12);
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_WFI);
    assert_int_equal(rv_hart_x(fix->hart, S0), 4);
}

/** An instruction that traps came to its end: what was let through is not any more. */
static void test_traps_end_it(void **state)
{
    write_program(enc(RV_OP_ecall, 0, 0, 0, 0));
    watch(CODE + 12, CODE + 12, SM_PERM_X);
    assert_stops(CODE + 12);
    rv_hart_pass(fix->hart);
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_WFI);
    assert_trapped(fix, RV_CAUSE_ECALL_M, CODE + 12, 0);
    rv_hart_set_pc(fix->hart, CODE + 12);
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_STOPPED);
    rv_hart_reset(fix->hart, CODE);
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_STOPPED);
    assert_int_equal(rv_hart_pc(fix->hart), CODE + 12);
}

static void test_cache_blocks(void **state)
{
    write_program(enc(RV_OP_cbo_zero, 0, A1, 0, 0));
    watch(DATA + 9, DATA + 9, SM_PERM_W);
    assert_stops(CODE + 12);
    assert_int_equal(hit().kind, SM_WATCH_TOUCH);
    rv_hart_pass(fix->hart);
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_WFI);
    assert_int_equal(rv_hart_x(fix->hart, S0), 4);
    assert_true(word_at(DATA + 8) == 0);
    write_program(enc(RV_OP_cbo_clean, 0, A1, 0, 0)); /* as what may be read */
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_WFI);
    watch(DATA + 9, DATA + 9, SM_PERM_R);
    rv_hart_set_pc(fix->hart, CODE);
    assert_stops(CODE + 12);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_stops_precisely_and_goes_on),
        TEST(test_fetches),
        TEST(test_several_stops_of_one_instruction),
        TEST(test_interrupts_wait),
        TEST(test_kicks_wait),
        TEST(test_traps_end_it),
        TEST(test_cache_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
