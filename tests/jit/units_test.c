/* SPDX-License-Identifier: MIT */
/* units_test.c - when units are made, entered, compared, ended and left, on a back end
 * that stands for the real one (fake_jit.h). */
#include "fake_jit.h"

#include <stdio.h>

#define CODE (RAM + 0x1000)
#define DATA (RAM + 0x8000)

/** Of the next hart: enters what is interpreted so often first. */
static uint32_t heat;

static void begin(struct fixture *fix)
{
    struct rv_isa isa = fixture_isa();

    fixture_translate = true;
    fixture_heat = heat;
    fixture_init(fix, &isa);
    catch_traps(fix);
}

static int set_up(void **state)
{
    static struct fixture fix;

    heat = 0;
    fake.capacity = 0;
    begin(&fix);
    *state = &fix;
    return 0;
}

/** Each fence of code has all of it compared. */
static int set_up_all(void **state)
{
    fixture_compare_all = true;
    return set_up(state);
}

static int tear_down(void **state)
{
    fixture_fini(*state);
    fixture_compare_all = false;
    fixture_translate = false;
    return 0;
}

/** t0 times: a0 += a1. */
static uint64_t put_loop(struct program *prog, int32_t rounds)
{
    uint64_t body;

    put(prog, RV_OP_addi, T0, X0, 0, rounds);
    body = prog->at;
    put(prog, RV_OP_add, A0, A0, A1, 0);
    put(prog, RV_OP_addi, T0, T0, 0, -1);
    put(prog, RV_OP_bne, 0, T0, X0, -8);
    put_wfi(prog);
    return body;
}

static void run_loop(struct fixture *fix, uint64_t sum)
{
    rv_hart_set_x(fix->hart, A0, 0);
    run_from(fix, CODE);
    assert_int_equal(rv_hart_x(fix->hart, A0), sum);
}

/* --- Making ----------------------------------------------------------------------------- */

static void what_runs_often_is_translated(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};
    const uint64_t before = fix->hart->instret;

    put_loop(&prog, RV_UNIT_HOT);
    rv_hart_set_x(fix->hart, A1, 3);
    /* The first round belongs to the block at the beginning. */
    run_loop(fix, 3 * RV_UNIT_HOT);
    assert_int_equal(fake.n_made, 0);
    assert_int_equal(fix->hart->instret - before, 1 + 3 * RV_UNIT_HOT + 1);

    run_loop(fix, 3 * RV_UNIT_HOT);
    assert_int_equal(fake.n_made, 1);
    assert_int_equal(fake.n_links, 1); /* to itself                                     */
    assert_int_equal(fake.n_runs, 2);
    assert_int_equal(fix->hart->instret - before, 2 * (1 + 3 * RV_UNIT_HOT + 1));
    assert_true(stats_of(fix).translates);
    assert_int_equal(stats_of(fix).units, 1);
}

static void a_unit_is_entered_at_once(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};
    uint64_t entries;

    put_loop(&prog, 1000);
    run_loop(fix, 0);
    entries = stats_of(fix).block_entries;
    run_loop(fix, 0);
    /* The first block and WFI's. */
    assert_int_equal(stats_of(fix).block_entries - entries, 2);
    rv_blocks_flush(fix->hart);
    entries = stats_of(fix).block_entries;
    run_loop(fix, 0);
    assert_int_equal(stats_of(fix).block_entries - entries, 2);
    assert_int_equal(fake.n_made, 1);
}

static void without_leave_nothing_is_translated(void **state)
{
    static struct fixture fix;
    struct rv_isa isa = fixture_isa();
    struct program prog = {&fix, CODE};

    for (unsigned i = 0; i < 3; i++) {
        fixture_translate = i > 0;
        fixture_check_code = i == 1;
        fake.refuse = i == 2;
        fixture_init(&fix, &isa);
        fixture_check_code = false;
        assert_null(fix.hart->units);
        prog.at = CODE;
        put_loop(&prog, 1000);
        rv_hart_set_x(fix.hart, A1, 1);
        run_loop(&fix, 1000);
        rv_fence_i(fix.hart);
        assert_int_equal(fix.hart->fast->request & ~1u, 0);
        assert_false(stats_of(&fix).translates);
        fixture_fini(&fix);
    }
    fake.refuse = false;
}

static void what_would_only_lead_back_is_no_unit(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};

    put(&prog, RV_OP_addi, T0, X0, 0, 500);
    put(&prog, RV_OP_xor, A0, A0, A1, 0); /* nothing that is translated                 */
    put(&prog, RV_OP_addi, T0, T0, 0, -1);
    put(&prog, RV_OP_bne, 0, T0, X0, -8);
    put_wfi(&prog);
    rv_hart_set_x(fix->hart, A1, 1);
    run_loop(fix, 0);
    assert_int_equal(fake.n_made, 0);
}

/* --- Ways out --------------------------------------------------------------------------- */

static void indirect_jumps_are_published(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};

    put(&prog, RV_OP_addi, T0, X0, 0, 500);
    put(&prog, RV_OP_jalr, RA, A2, 0, 0);
    put(&prog, RV_OP_addi, T0, T0, 0, -1);
    put(&prog, RV_OP_bne, 0, T0, X0, -8);
    put_wfi(&prog);
    prog.at = CODE + 0x2000;
    put(&prog, RV_OP_add, A0, A0, A1, 0);
    put(&prog, RV_OP_jalr, X0, RA, 0, 0);
    rv_hart_set_x(fix->hart, A1, 7);
    rv_hart_set_x(fix->hart, A2, CODE + 0x2000);
    run_loop(fix, 3500);
    assert_int_equal(fake.n_made, 3);
    assert_int_equal(fake.n_published, 2);
    assert_true(fake.n_runs < 20);
    assert_int_equal(fix->hart->instret, 1 + 500 * 5 + 1);
}

/** A loop of @op, @n rounds in all. */
static void put_around(struct program *prog, enum rv_op op, int32_t n)
{
    put(prog, RV_OP_addi, T0, X0, 0, n);
    put(prog, RV_OP_addi, A0, A0, 0, 1);
    put(prog, op, A2, A1, A1, 0);
    put(prog, RV_OP_addi, T0, T0, 0, -1);
    put(prog, RV_OP_bne, 0, T0, X0, -12);
    put_wfi(prog);
}

static void what_is_aside_is_interpreted(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};

    put_around(&prog, (enum rv_op)FAKE_ASIDE, 300);
    rv_hart_set_x(fix->hart, A1, 6);
    run_loop(fix, 300);
    assert_int_equal(rv_hart_x(fix->hart, A2), 1); /* 6 / 6 */
    assert_int_equal(fix->hart->instret, 1 + 4 * 300 + 1);
    /* What begins there is led back to always, and no unit. */
    assert_int_equal(fake.n_made, 1);
    assert_false(fix->hart->jit_stop);
}

static void a_callback_may_leave(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};

    put_around(&prog, (enum rv_op)FAKE_LEAVE, 300);
    run_loop(fix, 300);
    assert_int_equal(fix->hart->instret, 1 + 4 * 300 + 1);
}

static void a_callback_may_trap(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};

    put_around(&prog, (enum rv_op)FAKE_TRAP, 300);
    run_from(fix, CODE);
    assert_trapped(fix, RV_CAUSE_BREAKPOINT, CODE + 8, CODE + 8);
    assert_int_equal(stats_of(fix).exceptions, 1);
    assert_int_equal(rv_hart_x(fix->hart, A0) + rv_hart_x(fix->hart, T0), 301);
    assert_int_equal(fix->hart->instret - 1, /* WFI */
                     1 + 4 * (rv_hart_x(fix->hart, A0) - 1) + 1);
}

static void a_callback_may_stop(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};
    uint64_t n;

    put_around(&prog, (enum rv_op)FAKE_STOP, 300);
    rv_hart_set_pc(fix->hart, CODE);
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_STOPPED);
    assert_int_equal(rv_hart_pc(fix->hart), CODE + 8);
    assert_false(fix->hart->jit_stop);
    n = rv_hart_x(fix->hart, A0);
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_STOPPED); /* in the next round */
    assert_int_equal(rv_hart_x(fix->hart, A0), n + 1);
}

static void a_kick_leads_out(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};

    put_loop(&prog, 1000);
    run_loop(fix, 0);
    rv_hart_set_pc(fix->hart, CODE);
    rv_hart_kick(fix->hart);
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_KICKED);
    sm_vcpu_kick(fix->hart->vcpu); /* on the way in: served, and on */
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_WFI);
    assert_int_equal(fix->hart->fast->request, 0);
}

static void translation_is_written_down(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};
    char *text = NULL;
    size_t size = 0;

    put_loop(&prog, 100);
    fix->hart->log = open_memstream(&text, &size);
    run_loop(fix, 0);
    fflush(fix->hart->log);
    assert_int_equal(size, 0);

    fix->hart->log_items = RV_LOG_IN_ASM | RV_LOG_OP | RV_LOG_OUT_ASM | RV_LOG_EXEC;
    rv_units_flush(fix->hart);
    run_loop(fix, 0);
    run_loop(fix, 0);
    fclose(fix->hart->log);
    fix->hart->log = NULL;
    assert_non_null(strstr(text, "IN: hart 5, priv 3\n"
                                 "0x0000000080001004:  00b50533  add a0, a0, a1\n"
                                 "0x0000000080001008:  fff28293  addi t0, t0, -1\n"
                                 "0x000000008000100c:  fe029ce3  bne t0, zero, "
                                 "0x80001004\n"));
    assert_non_null(strstr(text, "OP:\n4 operations\n"));
    assert_non_null(strstr(text, "OUT: [size="));
    assert_non_null(strstr(text, "Trace 5: 0x"));
    assert_non_null(strstr(text, " [0000000080001004]\n"));
    free(text);
}

static void units_are_named(void **state)
{
    static struct fixture fix;
    struct program prog = {&fix, CODE};

    for (unsigned i = 0; i < 2; i++) {
        fixture_names = i ? (struct jit_perfmap *)&fix : NULL; /* not looked into      */
        begin(&fix);
        fixture_names = NULL;
        prog.at = CODE;
        put_loop(&prog, 100);
        run_loop(&fix, 0);
        assert_int_equal(fake.n_made, 1);
        assert_int_equal(fake.n_named, i);
        assert_string_equal(fake.named, i ? "guest-0x80001004" : "");
        assert_ptr_equal(fake.options.names, i ? &fix : NULL);
        fixture_fini(&fix);
    }
    fixture_translate = false;
}

/* --- Code that changes --------------------------------------------------------------------- */

static void code_is_compared_after_a_fence(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};
    const struct rv_insn fence = {.op = RV_OP_sfence_vma};
    const struct rv_insn fence_page = {.op = RV_OP_sfence_vma, .rs1 = A1};
    uint64_t body;

    body = put_loop(&prog, 1000);
    rv_hart_set_x(fix->hart, A1, 1);
    run_loop(fix, 1000);
    assert_int_equal(fake.n_made, 1);
    for (unsigned i = 0; i < 3; i++) {
        if (i == 2)
            assert_true(rv_sfence_vma(fix->hart, &fence));
        else
            rv_fence_i(fix->hart);
        run_loop(fix, 1000);
        assert_int_equal(fake.n_stamped, i + 1);
        assert_int_equal(stats_of(fix).units_verified, i + 1);
    }
    assert_true(rv_sfence_vma(fix->hart, &fence_page));
    run_loop(fix, 1000);
    assert_int_equal(fake.n_stamped, 3);
    assert_int_equal(fake.n_made, 1);

    /* Another first instruction; then another last one, of the unit's second part. */
    prog.at = body;
    put(&prog, RV_OP_addi, A0, A0, 0, 5);
    rv_fence_i(fix->hart);
    run_loop(fix, 5000);
    assert_int_equal(fake.n_ended, 1);
    assert_int_equal(fake.n_made, 2);
    prog.at = body + 4;
    put(&prog, RV_OP_addi, T0, T0, 0, -2);
    run_loop(fix, 5000); /* not yet fenced: the unit runs as it was made, but for what is
                            interpreted before                                          */
    rv_fence_i(fix->hart);
    run_loop(fix, 2500);
    assert_int_equal(fake.n_ended, 2);
}

static void stamps_that_begin_again_end_all(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};
    const unsigned resets = fake.n_resets;

    put_loop(&prog, 1000);
    run_loop(fix, 0);
    fix->hart->fast->request = UINT32_MAX - SM_REQUEST_STAMP - SM_REQUEST_PASS;
    rv_fence_i(fix->hart);
    assert_int_equal(fake.n_resets, resets);
    rv_fence_i(fix->hart);
    assert_int_equal(fix->hart->fast->request, 0);
    assert_int_equal(fake.n_resets, resets + 1);
    run_loop(fix, 0);
    assert_int_equal(fake.n_made, 2);
}

/* --- Ends of all -------------------------------------------------------------------------- */

static void a_new_view_ends_all(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};
    const unsigned resets = fake.n_resets;
    struct sm_region *more;

    put_loop(&prog, 1000);
    run_loop(fix, 0);
    sm_topology_begin(fix->topo);
    assert_int_equal(sm_region_new_ram(fix->topo, "more", 0x1000, &more), 0);
    assert_int_equal(sm_region_map(fix->root, 0x1000, more, 0), 0);
    assert_int_equal(sm_topology_commit(fix->topo, NULL), 0);
    run_loop(fix, 0);
    assert_int_equal(fake.n_resets, resets + 1);
    assert_int_equal(fake.n_made, 2);
    rv_hart_reset(fix->hart, CODE);
    assert_int_equal(fake.n_resets, resets + 2);
    sm_topology_begin(fix->topo);
    sm_region_unmap(more);
    assert_int_equal(sm_topology_commit(fix->topo, NULL), 0);
    sm_vcpu_safe_point(fix->hart->vcpu);
    assert_int_equal(sm_region_free(more), 0);
}

static void a_callback_may_end_all(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};
    const unsigned resets = fake.n_resets;

    put_around(&prog, (enum rv_op)FAKE_FLUSH, 300);
    run_loop(fix, 300);
    assert_true(fake.n_resets > resets);
    assert_int_equal(fix->hart->instret, 1 + 4 * 300 + 1);
}

static void returns_are_forgotten_where_fetches_change(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};
    const struct rv_insn fence_page = {.op = RV_OP_sfence_vma, .rs1 = A1};
    unsigned n = fake.n_forgotten;

    put_wfi(&prog);
    run_from(fix, CODE);
    csr_put(fix, RV_CSRNO_mscratch, 1);
    fixture_enter(fix, RV_PRIV_M);
    assert_int_equal(fake.n_forgotten, n);
    fixture_enter(fix, RV_PRIV_S);
    assert_int_equal(fake.n_forgotten, ++n);
    fixture_enter(fix, RV_PRIV_S);
    fix->hart->mstatus |= RV_MSTATUS_SUM; /* of loads and stores */
    fixture_enter(fix, RV_PRIV_S);
    assert_int_equal(fake.n_forgotten, n);
    fix->hart->satp = UINT64_C(8) << 60 | RAM >> 12;
    fixture_enter(fix, RV_PRIV_S);
    assert_int_equal(fake.n_forgotten, ++n);
    fixture_enter(fix, RV_PRIV_U);
    assert_int_equal(fake.n_forgotten, ++n);
    fixture_enter(fix, RV_PRIV_M);
    assert_int_equal(fake.n_forgotten, ++n);
    assert_true(rv_sfence_vma(fix->hart, &fence_page));
    assert_int_equal(fake.n_forgotten, ++n);
}

/** Many loops: each is some units. */
static uint64_t put_loops(struct program *prog, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        put(prog, RV_OP_addi, T0, X0, 0, 100);
        put(prog, RV_OP_add, A0, A0, A1, 0);
        put(prog, RV_OP_addi, T0, T0, 0, -1);
        put(prog, RV_OP_bne, 0, T0, X0, -8);
    }
    put_wfi(prog);
    return 1 + 301 * (uint64_t)n;
}

static void when_the_code_is_full_all_begins_anew(void **state)
{
    static struct fixture fix;
    struct program prog = {&fix, CODE};
    uint64_t n;

    heat = 4;
    fake.capacity = 5;
    begin(&fix);
    n = put_loops(&prog, 40);
    rv_hart_set_x(fix.hart, A1, 1);
    for (unsigned i = 1; i <= 5; i++) {
        run_loop(&fix, 4000);
        assert_int_equal(fix.hart->instret, i * n);
    }
    assert_true(fake.n_resets > 30);
    assert_int_equal(stats_of(&fix).unit_resets, fake.n_resets);
    fixture_fini(&fix);
}

static void when_the_arena_is_full_all_begins_anew(void **state)
{
    static struct fixture fix;
    struct program prog = {&fix, CODE};
    unsigned resets;

    heat = 1;
    fake.capacity = 0;
    fixture_code_size = 1;
    begin(&fix);
    fixture_code_size = 0;
    assert_int_equal(fake.options.cache_size, 1);
    resets = fake.n_resets;
    put_loops(&prog, 1000);
    rv_hart_set_x(fix.hart, A1, 1);
    for (unsigned i = 1; i <= 3; i++)
        run_loop(&fix, 100000);
    assert_true(fake.n_resets > resets);
    assert_true(fake.n_made > fake.n_units);
    fixture_fini(&fix);
}

/* --- As the interpreter does it ---------------------------------------------------------- */

static uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/** Two pages of jumps forth, and back while t0 lasts, over whatever else there is. */
static void put_random(struct fixture *fix, uint64_t *random)
{
    enum { INSNS = 2048, BACK = 14, BACK_2 };
    static const enum rv_op aside[] = {RV_OP_xor, RV_OP_sub, (enum rv_op)FAKE_ASIDE,
                                       (enum rv_op)FAKE_LEAVE, RV_OP_fence_i,
                                       RV_OP_sfence_vma};
    static uint8_t kind[INSNS + 32];
    struct program prog = {fix, CODE};

    memset(kind, 0, sizeof(kind));
    for (unsigned i = 0; i < INSNS; i++) {
        kind[i] = (uint8_t)(random_next(random) % (BACK + (i > 40)));
        if (kind[i] == BACK)
            kind[++i] = BACK_2;
    }
    for (unsigned i = 0; i < INSNS; i++) {
        const unsigned rd = A0 + (unsigned)(random_next(random) % 6);
        const unsigned rs1 = A0 + (unsigned)(random_next(random) % 6);
        const unsigned rs2 = A0 + (unsigned)(random_next(random) % 6);
        const int32_t number = (int32_t)(random_next(random) % 64);
        int32_t ahead = 1 + (int32_t)(random_next(random) % 30);

        if (i + (unsigned)ahead > INSNS)
            ahead = 1;
        if (kind[i + (unsigned)ahead] == BACK_2)
            ahead--; /* what counts down before it is not left out */
        switch (kind[i]) {
        default: put(&prog, RV_OP_addi, rd, rs1, 0, number - 32); break;
        case 6: case 7: put(&prog, RV_OP_add, rd, rs1, rs2, 0); break;
        case 8: put(&prog, RV_OP_blt, 0, rs1, rs2, 4 * ahead); break;
        case 9: put(&prog, RV_OP_bne, 0, rs1, rs2, 4 * ahead); break;
        case 10: put(&prog, RV_OP_ld, rd, S0, 0, number * 8); break;
        case 11: put(&prog, RV_OP_sd, 0, S0, rs2, number * 8); break;
        case 12: put(&prog, aside[number % 6], rd, rs1, rs2, 0); break;
        case 13: put(&prog, RV_OP_jal, RA, 0, 0, 4 * ahead); break;
        case BACK: put(&prog, RV_OP_addi, T0, T0, 0, -1); break;
        case BACK_2: put(&prog, RV_OP_blt, 0, X0, T0, -4 * (number % 30 + 2)); break;
        }
    }
    put_wfi(&prog);
    for (unsigned i = 0; i < 64; i++)
        ram_store(fix, DATA + 8 * i, random_next(random));
}

static void run_random(uint64_t seed, uint32_t how_hot, struct rv_hart *out)
{
    static struct fixture fix;
    uint64_t random = seed;

    heat = how_hot;
    fake.capacity = how_hot % 3 == 1 ? 50 : 0;
    fixture_translate = how_hot > 0;
    if (how_hot)
        begin(&fix);
    else {
        struct rv_isa isa = fixture_isa();

        fixture_init(&fix, &isa);
        catch_traps(&fix);
    }
    put_random(&fix, &random);
    rv_hart_set_x(fix.hart, T0, 3000);
    rv_hart_set_x(fix.hart, S0, DATA);
    for (unsigned i = 0; i < 6; i++)
        rv_hart_set_x(fix.hart, A0 + i, random_next(&random) % 1000);
    run_from(&fix, CODE);
    *out = *fix.hart;
    for (unsigned i = 0; i < 64; i++) /* what it left in memory stands in f's place */
        out->f[i % 32] = out->f[i % 32] * 31 + ram_load(&fix, DATA + 8 * i);
    fixture_fini(&fix);
}

static void random_programs_end_alike(void **state)
{
    static struct rv_hart model, hart;
    const char *const given = getenv("SM_SEED");
    const uint64_t seed = given ? strtoull(given, NULL, 0) : 20261122;
    unsigned n_made = 0;
    uint64_t n_insns = 0;

    print_message("SM_SEED=%llu\n", (unsigned long long)seed);
    for (unsigned i = 0; i < 60; i++) {
        run_random(seed + i, 0, &model);
        run_random(seed + i, 1 + i % 7, &hart);
        assert_int_equal(hart.pc, model.pc);
        assert_int_equal(hart.instret, model.instret);
        assert_memory_equal(hart.x, model.x, 32 * 8);
        assert_memory_equal(hart.f, model.f, sizeof(hart.f));
        n_made += fake.n_made;
        n_insns += hart.instret;
    }
    print_message("%u units, %llu instructions\n", n_made, (unsigned long long)n_insns);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_runs_often_is_translated),
        TEST(a_unit_is_entered_at_once),
        TEST(what_would_only_lead_back_is_no_unit),
        TEST(indirect_jumps_are_published),
        TEST(what_is_aside_is_interpreted),
        TEST(a_callback_may_leave),
        TEST(a_callback_may_trap),
        TEST(a_callback_may_stop),
        TEST(a_kick_leads_out),
        TEST(translation_is_written_down),
        cmocka_unit_test(units_are_named),
        cmocka_unit_test_setup_teardown(code_is_compared_after_a_fence, set_up_all, tear_down),
        cmocka_unit_test_setup_teardown(stamps_that_begin_again_end_all, set_up_all, tear_down),
        TEST(a_new_view_ends_all),
        TEST(a_callback_may_end_all),
        TEST(returns_are_forgotten_where_fetches_change),
        cmocka_unit_test(without_leave_nothing_is_translated),
        cmocka_unit_test(when_the_code_is_full_all_begins_anew),
        cmocka_unit_test(when_the_arena_is_full_all_begins_anew),
        cmocka_unit_test(random_programs_end_alike),
    };
    return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
