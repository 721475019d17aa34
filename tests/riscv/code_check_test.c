/* SPDX-License-Identifier: MIT */
/* code_check_test.c - code that changes without FENCE.I, where that is to be seen. */
#include "two_harts.h"

#include "riscv/interp_impl.h"

#define CODE (RAM + 0x1000)
#define PATCH (RAM + 0x2000)
#define FLAG (RAM + 0x8000)
enum { ROUNDS = 2000 };

static void begin(struct fixture *fix, bool immediate)
{
    struct rv_isa isa = fixture_isa();

    fixture_check_code = immediate;
    fixture_init(fix, &isa);
    catch_traps(fix);
}

static uint32_t addi(int32_t imm)
{
    return enc(RV_OP_addi, A0, X0, 0, imm);
}

/** Code that changes the instruction right behind the store, and many behind it, the
 *  second time round. */
static void test_own_stores(void **state)
{
    struct fixture fix;

    for (unsigned immediate = 0; immediate < 2; immediate++)
        for (unsigned distance = 0; distance < 40; distance++) {
            begin(&fix, immediate);
            struct program prog = {&fix, CODE};
            put(&prog, RV_OP_sw, 0, A1, A2, 0);
            for (unsigned i = 0; i < distance; i++)
                put(&prog, RV_OP_addi, S0, S0, 0, 1);
            const uint64_t patched = prog.at;
            put32(&prog, addi(1));
            put_wfi(&prog);
            rv_hart_set_x(fix.hart, A1, patched);
            for (unsigned i = 1; i < 4; i++) {
                rv_hart_set_x(fix.hart, A2, addi((int32_t)i));
                run_from(&fix, CODE);
                if (immediate)
                    assert_int_equal(rv_hart_x(fix.hart, A0), i);
            }
            if (!immediate) /* as it was decoded, if the store was in its block */
                assert_true(rv_hart_x(fix.hart, A0) <= 3);
            fixture_fini(&fix);
        }
}

/** Code that changes what comes behind its own FENCE.I, or fence of all translations, in
 *  one unit of host code with it: what runs then is what was stored. */
static void test_fenced_in_one_unit(void **state)
{
    static const enum rv_op fences[] = {RV_OP_fence_i, RV_OP_sfence_vma};
    struct fixture fix;

    for (unsigned f = 0; f < SM_ARRAY_LEN(fences); f++)
        for (unsigned all = 0; all < 2; all++) {
            fixture_translate = true;
            fixture_heat = 1;
            fixture_compare_all = all;
            begin(&fix, false);
            struct program prog = {&fix, CODE};
            put(&prog, RV_OP_sw, 0, A1, A2, 0);
            put(&prog, fences[f], 0, 0, 0, 0);
            put(&prog, RV_OP_addi, S0, S0, 0, 1);
            const uint64_t patched = prog.at;
            put32(&prog, addi(1));
            put_wfi(&prog);
            rv_hart_set_x(fix.hart, A1, patched);
            for (unsigned i = 1; i < 60; i++) { /* pages grow quiet meanwhile */
                const unsigned value = i % 5 ? i / 5 : i;

                rv_hart_set_x(fix.hart, A2, addi((int32_t)value));
                run_from(&fix, CODE);
                assert_int_equal(rv_hart_x(fix.hart, A0), value);
            }
            fixture_fini(&fix);
        }
    fixture_translate = fixture_compare_all = false;
    fixture_heat = 0;
}

/** Single bytes, atomics, floating point and cache blocks change code, too. */
static void test_ways_to_store(void **state)
{
    struct fixture fix;
    static const uint8_t nothing[64];

    begin(&fix, true);
    csr_put(&fix, RV_CSRNO_mstatus, csr_get(&fix, RV_CSRNO_mstatus) | RV_MSTATUS_FS);
    const uint32_t ways[] = {
        enc(RV_OP_sb, 0, A1, A2, 2), enc(RV_OP_sh, 0, A1, A2, 2),
        enc(RV_OP_sw, 0, A1, A2, 0), enc(RV_OP_fsw, 0, A1, 0, 0),
        enc(RV_OP_amoswap_w, X0, A1, A2, 0), enc(RV_OP_cbo_zero, 0, A1, 0, 0)};
    const uint64_t values[] = {addi(9) >> 16, addi(9) >> 16, addi(9), addi(9), addi(9), 0};
    for (unsigned i = 0; i < SM_ARRAY_LEN(ways); i++) {
        struct program prog = {&fix, CODE}, patch = {&fix, CODE + 64};
        put32(&prog, ways[i]);
        while (prog.at < CODE + 64)
            put(&prog, RV_OP_addi, S0, S0, 0, 1);
        put_bytes(&patch, nothing, sizeof(nothing));
        patch.at = CODE + 64;
        put32(&patch, addi(1));
        put_wfi(&patch);
        rv_hart_set_x(fix.hart, A1, CODE + 128);
        run_from(&fix, CODE); /* decodes, and stores elsewhere */
        assert_int_equal(rv_hart_x(fix.hart, A0), 1);
        rv_hart_set_x(fix.hart, A1, CODE + 64);
        rv_hart_set_x(fix.hart, A2, values[i]);
        rv_hart_set_f(fix.hart, 0, UINT64_C(0xffffffff00000000) | addi(9));
        run_from(&fix, CODE);
        if (ways[i] == ways[5])
            assert_int_equal(csr_get(&fix, RV_CSRNO_mcause), RV_CAUSE_ILLEGAL);
        else
            assert_int_equal(rv_hart_x(fix.hart, A0), 9);
    }
    fixture_fini(&fix);
}

/** A loop within one page, where blocks lead to each other, changed by its owner. */
static void test_stores_of_others(void **state)
{
    struct fixture fix;

    begin(&fix, true);
    struct program prog = {&fix, CODE};
    put(&prog, RV_OP_jal, RA, 0, 0, 8);
    put_wfi(&prog);
    put32(&prog, addi(1));
    put(&prog, RV_OP_jalr, X0, RA, 0, 0);
    for (int32_t i = 1; i < 100; i++) {
        prog.at = CODE + 8;
        put32(&prog, addi(i));
        run_from(&fix, CODE);
        assert_int_equal(rv_hart_x(fix.hart, A0), (uint64_t)i);
    }
    assert_true(stats_of(&fix).blocks_verified > 200);
    fixture_fini(&fix);
}

/* --- Two harts ---------------------------------------------------------------------- */

/** Waits for each number in FLAG's first word, runs PATCH, and says in the second what
 *  that gave; hart 1 of the two. */
static void put_runner(struct program *prog)
{
    put(prog, RV_OP_addi, S0, X0, 0, 1);
    const uint64_t again = prog->at;
    put_wait(prog, A1, 0);
    put(prog, RV_OP_fence, 0, 0, 0, 0xff);
    put(prog, RV_OP_jalr, RA, A3, 0, 0);
    put(prog, RV_OP_sw, 0, A1, A0, 8);
    put(prog, RV_OP_fence, 0, 0, 0, 0xff);
    put(prog, RV_OP_sw, 0, A1, S0, 4);
    put(prog, RV_OP_addi, S0, S0, 0, 1);
    put(prog, RV_OP_bne, 0, S0, A4, (int32_t)(again - prog->at));
    put_wfi(prog);
}

/** Writes an instruction, tells hart 1, and sees what hart 1 made of it; a5 has the bits
 *  that differed. */
static void put_writer(struct program *prog)
{
    put(prog, RV_OP_addi, S0, X0, 0, 1);
    const uint64_t again = prog->at;
    put_patch(prog);
    put_wait(prog, A1, 4);
    put(prog, RV_OP_fence, 0, 0, 0, 0xff);
    put(prog, RV_OP_lw, T0, A1, 0, 8);
    put(prog, RV_OP_xor, T0, T0, T1, 0);
    put(prog, RV_OP_or, A5, A5, T0, 0);
    put(prog, RV_OP_addi, S0, S0, 0, 1);
    put(prog, RV_OP_bne, 0, S0, A4, (int32_t)(again - prog->at));
    put_wfi(prog);
}

static void test_two_harts(void **state)
{
    struct fixture fix;
    struct rv_hart *other;
    struct rv_isa isa = fixture_isa();

    begin(&fix, true);
    struct program prog = {&fix, CODE}, patch = {&fix, PATCH}, writer = {&fix, CODE + 0x800};
    put_runner(&prog);
    put32(&patch, addi(0));
    put(&patch, RV_OP_jalr, X0, RA, 0, 0);
    put_writer(&writer);

    other = fixture_hart(&fix, 6, &isa);
    struct rv_hart *const harts[] = {fix.hart, other};
    for (unsigned i = 0; i < 2; i++) {
        rv_hart_set_x(harts[i], A1, FLAG);
        rv_hart_set_x(harts[i], A2, addi(0));
        rv_hart_set_x(harts[i], A3, PATCH);
        rv_hart_set_x(harts[i], A4, ROUNDS);
    }
    rv_hart_set_pc(other, CODE);
    run_two(&fix, CODE + 0x800, other);
    assert_int_equal(rv_hart_x(fix.hart, S0), ROUNDS);
    assert_int_equal(rv_hart_x(fix.hart, A5), 0);
    rv_hart_free(other);
    fixture_fini(&fix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_stores),
        cmocka_unit_test(test_fenced_in_one_unit),
        cmocka_unit_test(test_ways_to_store),
        cmocka_unit_test(test_stores_of_others),
        cmocka_unit_test(test_two_harts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
