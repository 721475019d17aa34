/* SPDX-License-Identifier: MIT */
/* interp_test.c - integer instructions against plain C, jumps, counters, kicks. */
#include "program.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define CODE (RAM + 0x1000)

static int set_up(void **state)
{
    static struct fixture fix;
    struct rv_isa isa = fixture_isa();

    fixture_init(&fix, &isa);
    *state = &fix;
    return 0;
}

static int tear_down(void **state)
{
    fixture_fini(*state);
    return 0;
}

/* --- Integer instructions -------------------------------------------------- */

static unsigned leading_zeros(uint64_t a, unsigned bits)
{
    unsigned n = 0;

    while (n < bits && !((a >> (bits - 1 - n)) & 1))
        n++;
    return n;
}

static unsigned trailing_zeros(uint64_t a, unsigned bits)
{
    unsigned n = 0;

    while (n < bits && !((a >> n) & 1))
        n++;
    return n;
}

static unsigned ones(uint64_t a)
{
    unsigned n = 0;

    for (unsigned i = 0; i < 64; i++)
        n += (a >> i) & 1;
    return n;
}

/** Bit @n of the carry-less product. */
static uint64_t clmul_bits(uint64_t a, uint64_t b, unsigned first)
{
    uint64_t product = 0;

    for (unsigned n = 0; n < 64; n++)
        for (unsigned i = 0; i < 64; i++)
            if (first + n >= i && first + n - i < 64)
                product ^= ((a >> i) & (b >> (first + n - i)) & 1) << n;
    return product;
}

static uint64_t multiply_high(uint64_t a, uint64_t b)
{
    const uint64_t al = (uint32_t)a, ah = a >> 32, bl = (uint32_t)b, bh = b >> 32;
    const uint64_t middle = ah * bl + (al * bl >> 32);

    return ah * bh + (middle >> 32) + ((al * bh + (uint32_t)middle) >> 32);
}

static uint64_t rotate(uint64_t a, unsigned n, unsigned bits)
{
    for (n %= bits; n; n--)
        a = (a << 1 | ((a >> (bits - 1)) & 1)) & sm_mask(bits);
    return a;
}

static uint64_t w(uint64_t a)
{
    return (a & 0xffffffff) - ((a & 0x80000000) << 1);
}

static uint64_t divide(uint64_t a, uint64_t b, bool is_signed, bool remainder)
{
    const bool na = is_signed && a >> 63, nb = is_signed && b >> 63;
    uint64_t q, r;

    if (!b)
        return remainder ? a : UINT64_MAX;
    q = (na ? -a : a) / (nb ? -b : b);
    r = (na ? -a : a) % (nb ? -b : b);
    return remainder ? (na ? -r : r) : (na != nb ? -q : q);
}

static uint64_t or_combine(uint64_t a)
{
    for (unsigned n = 0; n < 64; n += 8)
        if ((a >> n) & 0xff)
            a |= UINT64_C(0xff) << n;
    return a;
}

static uint64_t reverse_bytes(uint64_t a)
{
    uint64_t out = 0;

    for (unsigned n = 0; n < 64; n += 8)
        out = out << 8 | ((a >> n) & 0xff);
    return out;
}

/** What @op makes of register or immediate operands, in arithmetic as plain as may be. */
static uint64_t expected(enum rv_op op, uint64_t a, uint64_t b)
{
    const int64_t sa = (int64_t)a, sb = (int64_t)b;
    const unsigned n = b & 63, n5 = b & 31;
    const uint64_t bit = UINT64_C(1) << n, uw = a & 0xffffffff;

    switch ((int)op) {
    case RV_OP_addi: case RV_OP_add: return a + b;
    case RV_OP_slti: case RV_OP_slt: return sa < sb;
    case RV_OP_sltiu: case RV_OP_sltu: return a < b;
    case RV_OP_xori: case RV_OP_xor: return a ^ b;
    case RV_OP_ori: case RV_OP_or: return a | b;
    case RV_OP_andi: case RV_OP_and: return a & b;
    case RV_OP_slli: case RV_OP_sll: return a * bit;
    case RV_OP_srli: case RV_OP_srl: return a / bit;
    case RV_OP_srai: case RV_OP_sra: return sa < 0 ? ~(~a / bit) : a / bit;
    case RV_OP_addiw: case RV_OP_addw: return w(a + b);
    case RV_OP_slliw: case RV_OP_sllw: return w(a << n5);
    case RV_OP_srliw: case RV_OP_srlw: return w(uw >> n5);
    case RV_OP_sraiw: case RV_OP_sraw: return w(w(a) >> n5);
    case RV_OP_sub: return a - b;
    case RV_OP_subw: return w(a - b);
    case RV_OP_mul: return a * b;
    case RV_OP_mulhu: return multiply_high(a, b);
    case RV_OP_mulhsu: return multiply_high(a, b) - (sa < 0 ? b : 0);
    case RV_OP_mulh: return multiply_high(a, b) - (sa < 0 ? b : 0) - (sb < 0 ? a : 0);
    case RV_OP_mulw: return w(a * b);
    case RV_OP_div: return divide(a, b, true, false);
    case RV_OP_divu: return divide(a, b, false, false);
    case RV_OP_rem: return divide(a, b, true, true);
    case RV_OP_remu: return divide(a, b, false, true);
    case RV_OP_divw: return w(divide(w(a), w(b), true, false));
    case RV_OP_divuw: return w(divide(uw, (uint32_t)b, false, false));
    case RV_OP_remw: return w(divide(w(a), w(b), true, true));
    case RV_OP_remuw: return w(divide(uw, (uint32_t)b, false, true));
    case RV_OP_add_uw: return uw + b;
    case RV_OP_sh1add: return 2 * a + b;
    case RV_OP_sh2add: return 4 * a + b;
    case RV_OP_sh3add: return 8 * a + b;
    case RV_OP_sh1add_uw: return 2 * uw + b;
    case RV_OP_sh2add_uw: return 4 * uw + b;
    case RV_OP_sh3add_uw: return 8 * uw + b;
    case RV_OP_slli_uw: return uw * bit;
    case RV_OP_andn: return a & ~b;
    case RV_OP_orn: return a | ~b;
    case RV_OP_xnor: return ~(a ^ b);
    case RV_OP_clz: return leading_zeros(a, 64);
    case RV_OP_ctz: return trailing_zeros(a, 64);
    case RV_OP_cpop: return ones(a);
    case RV_OP_clzw: return leading_zeros(a, 32);
    case RV_OP_ctzw: return trailing_zeros(a, 32);
    case RV_OP_cpopw: return ones(uw);
    case RV_OP_sext_b: return (a & 0xff) - ((a & 0x80) << 1);
    case RV_OP_sext_h: return (a & 0xffff) - ((a & 0x8000) << 1);
    case RV_OP_zext_h: return a & 0xffff;
    case RV_OP_orc_b: return or_combine(a);
    case RV_OP_rev8: return reverse_bytes(a);
    case RV_OP_min: return sa < sb ? a : b;
    case RV_OP_minu: return a < b ? a : b;
    case RV_OP_max: return sa < sb ? b : a;
    case RV_OP_maxu: return a < b ? b : a;
    case RV_OP_rol: return rotate(a, n, 64);
    case RV_OP_ror: case RV_OP_rori: return rotate(a, 64 - n, 64);
    case RV_OP_rolw: return w(rotate(uw, n5, 32));
    case RV_OP_rorw: case RV_OP_roriw: return w(rotate(uw, 32 - n5, 32));
    case RV_OP_clmul: return clmul_bits(a, b, 0);
    case RV_OP_clmulh: return clmul_bits(a, b, 64);
    case RV_OP_clmulr: return clmul_bits(a, b, 63);
    case RV_OP_bclr: case RV_OP_bclri: return a & ~bit;
    case RV_OP_bext: case RV_OP_bexti: return (a & bit) != 0;
    case RV_OP_binv: case RV_OP_binvi: return a ^ bit;
    case RV_OP_bset: case RV_OP_bseti: return a | bit;
    case RV_OP_czero_eqz: return b ? a : 0;
    case RV_OP_czero_nez: return b ? 0 : a;
    default: fail_msg("%s is not expected", rv_insn_table[op].text); return 0;
    }
}

static const uint64_t values[] = {
    0, 1, 2, 3, 31, 32, 33, 63, 64, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0x7fffffff,
    0x80000000, 0xffffffff, 0x100000000, 0x0123456789abcdef, 0xfedcba9876543210,
    0x7fffffffffffffff, 0x8000000000000000, 0x80000000ffffffff, 0xffffffff80000000,
    0xfffffffffffffffe, 0xffffffffffffffff,
};

/** The @n-th immediate for @format, or false. */
static bool nth_immediate(enum rv_format format, size_t n, int32_t *imm)
{
    static const int32_t imms[] = {0, 1, -1, 2047, -2048, 5, -77, 1024};

    if (format == RV_FMT_I) {
        *imm = n < SM_ARRAY_LEN(imms) ? imms[n] : 0;
        return n < SM_ARRAY_LEN(imms);
    }
    *imm = (int32_t)n;
    return n < (format == RV_FMT_SHIFT ? 64 : 32);
}

static void run_alu(struct fixture *fix, enum rv_op op, uint64_t a, uint64_t b,
                    int32_t imm, bool has_imm)
{
    const uint64_t want = expected(op, a, has_imm ? (uint64_t)(int64_t)imm : b);

    rv_hart_set_x(fix->hart, A1, a);
    rv_hart_set_x(fix->hart, A2, b);
    rv_hart_set_x(fix->hart, A3, a);
    rv_hart_set_x(fix->hart, A4, b);
    run_from(fix, CODE);
    if (rv_hart_x(fix->hart, A0) != want || rv_hart_x(fix->hart, A3) != want ||
        rv_hart_x(fix->hart, 0) != 0)
        fail_msg("%s 0x%llx, 0x%llx, %d: 0x%llx, 0x%llx, want 0x%llx",
                 rv_insn_table[op].text, (unsigned long long)a, (unsigned long long)b,
                 imm, (unsigned long long)rv_hart_x(fix->hart, A0),
                 (unsigned long long)rv_hart_x(fix->hart, A3), (unsigned long long)want);
}

/** @op to a third register, to its first operand, and to x0. */
static void put_alu(struct fixture *fix, enum rv_op op, int32_t imm)
{
    struct program prog = {fix, CODE};

    put(&prog, op, A0, A1, A2, imm);
    put(&prog, op, A3, A3, A4, imm);
    put(&prog, op, X0, A1, A2, imm);
    put_wfi(&prog);
    rv_blocks_flush(fix->hart);
}

static void test_alu(void **state)
{
    struct fixture *fix = *state;
    unsigned n_ops = 0;

    for (unsigned op = RV_OP_addi; op < RV_N_OPS; op++) {
        const enum rv_format format = (enum rv_format)rv_insn_table[op].format;
        int32_t imm;

        if (format == RV_FMT_R || format == RV_FMT_R1) {
            put_alu(fix, (enum rv_op)op, 0);
            for (size_t i = 0; i < SM_ARRAY_LEN(values); i++)
                for (size_t k = 0; k < SM_ARRAY_LEN(values); k++)
                    run_alu(fix, (enum rv_op)op, values[i], values[k], 0, false);
        } else if (format == RV_FMT_I || format == RV_FMT_SHIFT ||
                   format == RV_FMT_SHIFTW) {
            for (size_t n = 0; nth_immediate(format, n, &imm); n++) {
                put_alu(fix, (enum rv_op)op, imm);
                for (size_t i = 0; i < SM_ARRAY_LEN(values); i++)
                    run_alu(fix, (enum rv_op)op, values[i], values[i], imm, true);
            }
        } else {
            continue;
        }
        n_ops++;
    }
    assert_int_equal(n_ops, 86);
}

static void test_upper(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};

    put(&prog, RV_OP_lui, A0, 0, 0, INT32_MIN);
    put(&prog, RV_OP_auipc, A1, 0, 0, 0x7ffff000);
    put(&prog, RV_OP_auipc, A2, 0, 0, INT32_MIN);
    put(&prog, RV_OP_lui, X0, 0, 0, 0x1000);
    put(&prog, RV_OP_auipc, X0, 0, 0, 0x1000);
    put(&prog, RV_OP_addi, A3, X0, 0, -5);
    put_wfi(&prog);
    run_from(fix, CODE);
    assert_int_equal(rv_hart_x(fix->hart, A0), 0xffffffff80000000);
    assert_int_equal(rv_hart_x(fix->hart, A1), CODE + 4 + 0x7ffff000);
    assert_int_equal(rv_hart_x(fix->hart, A2), CODE + 8 - 0x80000000);
    assert_int_equal(rv_hart_x(fix->hart, A3), (uint64_t)-5);
    assert_int_equal(rv_hart_x(fix->hart, 0), 0);
}

/* --- Jumps ----------------------------------------------------------------- */

static bool expected_taken(enum rv_op op, uint64_t a, uint64_t b)
{
    switch ((int)op) {
    case RV_OP_beq: return a == b;
    case RV_OP_bne: return a != b;
    case RV_OP_blt: return (int64_t)a < (int64_t)b;
    case RV_OP_bge: return (int64_t)a >= (int64_t)b;
    case RV_OP_bltu: return a < b;
    default: return a >= b;
    }
}

/** Each branch to a near and to a far target, forward and backward. */
static void test_branches(void **state)
{
    static const int32_t distances[] = {8, 64, -64, 4092, -4096, 2048};
    struct fixture *fix = *state;

    for (unsigned op = RV_OP_beq; op <= RV_OP_bgeu; op++) {
        for (size_t d = 0; d < SM_ARRAY_LEN(distances); d++) {
            const uint64_t from = CODE + 0x800;
            struct program prog = {fix, from};
            struct program target = {fix, from + (uint64_t)(int64_t)distances[d]};

            put(&prog, (enum rv_op)op, 0, A0, A1, distances[d]);
            put_wfi(&prog);
            put_wfi(&target);
            rv_blocks_flush(fix->hart);
            for (size_t i = 0; i < SM_ARRAY_LEN(values); i += 3) {
                for (size_t k = 0; k < SM_ARRAY_LEN(values); k += 3) {
                    rv_hart_set_x(fix->hart, A0, values[i]);
                    rv_hart_set_x(fix->hart, A1, values[k]);
                    run_from(fix, from);
                    assert_int_equal(rv_hart_pc(fix->hart),
                                     expected_taken((enum rv_op)op, values[i], values[k])
                                         ? target.at
                                         : prog.at);
                }
            }
        }
    }
}

static void test_calls(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE}, near = {fix, CODE + 0x100},
                   far = {fix, CODE + 0x5000};

    put(&prog, RV_OP_jal, RA, 0, 0, 0x100);     /* +0  */
    put(&prog, RV_OP_jal, T0, 0, 0, 0x5000 - 4); /* +4  */
    put(&prog, RV_OP_jalr, T1, A0, 0, 1);       /* +8: the target's bit 0 is dropped */
    put(&prog, RV_OP_jalr, A0, A0, 0, 0);       /* +12: the link goes over the base  */
    put_wfi(&prog);
    put(&near, RV_OP_addi, A1, A1, 0, 1);
    put(&near, RV_OP_jalr, X0, RA, 0, 0);
    put(&far, RV_OP_addi, A2, A2, 0, 1);
    put(&far, RV_OP_jalr, X0, T0, 0, 0);
    put(&far, RV_OP_addi, A3, A3, 0, 1); /* CODE + 0x5008 */
    put(&far, RV_OP_jalr, X0, T1, 0, 0);
    for (unsigned n = 1; n <= 3; n++) {
        rv_hart_set_x(fix->hart, A0, CODE + 0x5008);
        run_from(fix, CODE);
        assert_int_equal(rv_hart_x(fix->hart, RA), CODE + 4);
        assert_int_equal(rv_hart_x(fix->hart, T0), CODE + 8);
        assert_int_equal(rv_hart_x(fix->hart, T1), CODE + 12);
        assert_int_equal(rv_hart_x(fix->hart, A0), CODE + 16);
        assert_int_equal(rv_hart_x(fix->hart, A1), n);
        assert_int_equal(rv_hart_x(fix->hart, A2), n);
        assert_int_equal(rv_hart_x(fix->hart, 0), 0);
        /* The return to T1 leads to the last jump again, which now leads to the end. */
        assert_int_equal(rv_hart_x(fix->hart, A3), 2 * n);
        assert_int_equal(rv_hart_pc(fix->hart), CODE + 20);
    }
}

/** Without C a jump to the middle of a word traps, and its link stays. */
static void test_misaligned_jumps(void **state)
{
    struct rv_isa isa = fixture_isa_without(RV_EXT_C);
    struct fixture fix;
    struct program prog = {&fix, CODE};

    fixture_init(&fix, &isa);
    catch_traps(&fix);
    put(&prog, RV_OP_jal, RA, 0, 0, 6);
    put(&prog, RV_OP_beq, 0, A0, A1, 10);
    put(&prog, RV_OP_jalr, RA, A2, 0, 3);
    put(&prog, RV_OP_jalr, RA, A2, 0, 5);
    put_wfi(&prog); /* +16 */
    put(&prog, RV_OP_jal, RA, 0, 0, 8);
    put_wfi(&prog);
    put_wfi(&prog); /* +28 */
    rv_hart_set_x(fix.hart, RA, 0x77);
    rv_hart_set_x(fix.hart, A2, CODE + 12);

    run_from(&fix, CODE);
    assert_trapped(&fix, RV_CAUSE_FETCH_MISALIGNED, CODE, CODE + 6);
    run_from(&fix, CODE + 4);
    assert_trapped(&fix, RV_CAUSE_FETCH_MISALIGNED, CODE + 4, CODE + 14);
    run_from(&fix, CODE + 8);
    assert_trapped(&fix, RV_CAUSE_FETCH_MISALIGNED, CODE + 8, CODE + 14);
    assert_int_equal(rv_hart_x(fix.hart, RA), 0x77);

    rv_hart_set_x(fix.hart, A0, 1); /* not taken: no matter where it leads */
    rv_hart_set_x(fix.hart, A2, CODE + 24);
    put(&(struct program){&fix, CODE + 8}, RV_OP_jalr, RA, A2, 0, 5);
    rv_blocks_flush(fix.hart);
    run_from(&fix, CODE + 4);
    assert_int_equal(rv_hart_pc(fix.hart), CODE + 32);
    assert_int_equal(rv_hart_x(fix.hart, RA), CODE + 12);
    run_from(&fix, CODE + 20);
    assert_int_equal(rv_hart_pc(fix.hart), CODE + 32);
    assert_int_equal(rv_hart_x(fix.hart, RA), CODE + 24);
    /* A compressed word is no instruction. */
    put16(&(struct program){&fix, CODE}, 0x0001);
    rv_blocks_flush(fix.hart);
    run_from(&fix, CODE);
    assert_int_equal(csr_get(&fix, RV_CSRNO_mcause), RV_CAUSE_ILLEGAL);
    fixture_fini(&fix);
}

/* --- Counters -------------------------------------------------------------- */

/** Every instruction once, however blocks and traps cut them. */
static void test_counters(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};
    struct rv_stats before, after;

    catch_traps(fix);
    rv_hart_set_x(fix->hart, A0, RAM + 0x8000);
    rv_hart_set_x(fix->hart, A1, 3);
    rv_hart_set_x(fix->hart, A3, 0x40); /* nowhere */
    put(&prog, RV_OP_ld, A2, A0, 0, 0);    /* 1: 3 times */
    put(&prog, RV_OP_sd, 0, A0, A2, 0);
    put(&prog, RV_OP_addi, A1, A1, 0, -1);
    put(&prog, RV_OP_bne, 0, A1, X0, -12);
    for (unsigned n = 0; n < 100; n++)     /* several blocks */
        put(&prog, RV_OP_addi, A4, A4, 0, 1);
    put(&prog, RV_OP_csrrs, A5, 0, 0, RV_CSRNO_minstret);
    put(&prog, RV_OP_csrrs, S0, 0, 0, RV_CSRNO_minstret);
    put(&prog, RV_OP_sd, 0, A0, A2, 8);
    put(&prog, RV_OP_amoadd_d, A2, A0, A2, 0);
    put(&prog, RV_OP_lw, A2, A3, 0, 0);    /* traps */
    put(&prog, RV_OP_sd, 0, A0, A2, 8);
    put(&prog, RV_OP_sd, 0, A0, A2, 8);
    put_wfi(&prog);
    csr_put(fix, RV_CSRNO_minstret, 1000);
    before = stats_of(fix);
    run_from(fix, CODE);
    after = stats_of(fix);
    assert_trapped(fix, RV_CAUSE_LOAD_ACCESS, CODE + 4 * 108, 0x40);
    assert_int_equal(rv_hart_x(fix->hart, A5), 1000 + 12 + 100);
    assert_int_equal(rv_hart_x(fix->hart, S0), 1000 + 12 + 100 + 1);
    assert_int_equal(after.instructions - before.instructions, 12 + 100 + 4 + 1);
    assert_int_equal(after.data_accesses - before.data_accesses, 6 + 3);
    assert_int_equal(after.exceptions - before.exceptions, 1);
    assert_int_equal(csr_get(fix, RV_CSRNO_minstret), 1000 + 12 + 100 + 4 + 1);

    /* Neither ECALL, nor EBREAK, nor an illegal instruction retires. */
    prog.at = CODE;
    put(&prog, RV_OP_addi, A4, A4, 0, 1);
    put(&prog, RV_OP_ecall, 0, 0, 0, 0);
    put(&prog, RV_OP_addi, A4, A4, 0, 1);
    put(&prog, RV_OP_ebreak, 0, 0, 0, 0);
    put(&prog, RV_OP_addi, A4, A4, 0, 1);
    put32(&prog, 0xffffffff);
    rv_blocks_flush(fix->hart);
    before = stats_of(fix);
    run_from(fix, CODE);
    run_from(fix, CODE + 8);
    run_from(fix, CODE + 16);
    after = stats_of(fix);
    assert_int_equal(after.instructions - before.instructions, 3 * (1 + 1));
    assert_int_equal(after.exceptions - before.exceptions, 3);
}

/* --- Kicks ----------------------------------------------------------------- */

static void *kicker(void *arg)
{
    usleep(2000);
    rv_hart_kick(arg);
    return NULL;
}

static void test_kick(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};
    pthread_t thread;

    put(&prog, RV_OP_addi, A0, A0, 0, 1);
    put(&prog, RV_OP_addi, A1, A1, 0, 1);
    put(&prog, RV_OP_jal, X0, 0, 0, -8);

    for (unsigned n = 0; n < 3; n++) {
        rv_hart_set_pc(fix->hart, CODE);
        assert_false(rv_hart_has_work(fix->hart));
        assert_int_equal(pthread_create(&thread, NULL, kicker, fix->hart), 0);
        assert_int_equal(rv_hart_run(fix->hart), RV_RUN_KICKED);
        pthread_join(thread, NULL);
        /* Between blocks, with nothing undone. */
        assert_int_equal(rv_hart_pc(fix->hart), CODE);
        assert_int_equal(rv_hart_x(fix->hart, A0), rv_hart_x(fix->hart, A1));
        assert_true(rv_hart_x(fix->hart, A0) > 0);
        assert_true(fix->wakes >= n + 1);
    }
    /* One that came before is seen before anything runs. */
    rv_hart_kick(fix->hart);
    assert_true(rv_hart_has_work(fix->hart));
    rv_hart_set_x(fix->hart, A0, 0);
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_KICKED);
    assert_int_equal(rv_hart_x(fix->hart, A0), 0);
    assert_false(rv_hart_has_work(fix->hart));
}

static void *interrupter(void *arg)
{
    usleep(2000);
    rv_hart_set_irq(arg, RV_IRQ_MEI, true);
    return NULL;
}

static void test_interrupt(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};
    pthread_t thread;

    catch_traps(fix);
    put(&prog, RV_OP_addi, A0, A0, 0, 1);
    put(&prog, RV_OP_jal, X0, 0, 0, -4);
    csr_put(fix, RV_CSRNO_mie, 1 << RV_IRQ_MEI);
    csr_put(fix, RV_CSRNO_mstatus, RV_MSTATUS_MIE);
    assert_int_equal(pthread_create(&thread, NULL, interrupter, fix->hart), 0);
    rv_hart_set_pc(fix->hart, CODE);
    /* While the line is up and enabled, a WFI would not wait. */
    put(&(struct program){fix, TRAP_VECTOR}, RV_OP_jal, X0, 0, 0, 8);
    put(&(struct program){fix, TRAP_VECTOR + 8}, RV_OP_csrrw, 0, X0, 0, RV_CSRNO_mie);
    put_wfi(&(struct program){fix, TRAP_VECTOR + 12});
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_WFI);
    pthread_join(thread, NULL);
    assert_int_equal(csr_get(fix, RV_CSRNO_mcause), RV_CAUSE_INTERRUPT | RV_IRQ_MEI);
    assert_int_equal(csr_get(fix, RV_CSRNO_mepc), CODE);

    /* Enabled by a CSR write, it comes before the next instruction. */
    prog.at = CODE;
    put(&prog, RV_OP_csrrsi, 0, 8, 0, RV_CSRNO_mstatus);
    put(&prog, RV_OP_addi, A0, A0, 0, 1);
    rv_blocks_flush(fix->hart);
    rv_hart_set_x(fix->hart, A0, 0);
    csr_put(fix, RV_CSRNO_mstatus, 0);
    csr_put(fix, RV_CSRNO_mie, 1 << RV_IRQ_MEI);
    rv_hart_set_pc(fix->hart, CODE);
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_WFI);
    assert_int_equal(csr_get(fix, RV_CSRNO_mepc), CODE + 4);
    assert_int_equal(rv_hart_x(fix->hart, A0), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_alu),       TEST(test_upper),    TEST(test_branches),
        TEST(test_calls),     TEST(test_counters), TEST(test_kick),
        TEST(test_interrupt), cmocka_unit_test(test_misaligned_jumps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
