/* SPDX-License-Identifier: MIT */
/* translate_test.c - each instruction as a unit against the interpreter; what traces are
 * made of and how they read. */
#include "hart_pair.h"
#include "riscv/translate.h"

#define CODE (RAM + 0x8000)
#define DATA (RAM + 0x20000)
#define HOLE UINT64_C(0x20000000)

/** One pair, and what makes units of the first hart's. */
static struct {
    struct pair pair;
    struct jit *jit;
    struct rv_trace trace;
    const uint8_t *behind; /* where fetches find what is behind the page         */
} world;

static void new_jit(uint32_t opt)
{
    struct rv_hart *hart = world.pair.one.hart;
    const struct jit_options options = {
        .struct_size = sizeof(options),
        .opt = opt,
        .cache_size = 1 << 20,
        .guest = &rv_jit_guest,
        .state = hart,
    };

    jit_free(world.jit);
    world.jit = NULL;
    hart->jit.fast = hart->fast;
    assert_int_equal(jit_new(&options, &world.jit), 0);
}

static int set_up_with(const struct rv_isa *isa)
{
    memset(&world, 0, sizeof(world));
    BOTH(&world.pair, fix, fixture_init(fix, isa));
    new_jit(0);
    return 0;
}

static int set_up(void **state)
{
    const struct rv_isa isa = fixture_isa();

    return set_up_with(&isa);
}

static int set_up_without_c(void **state)
{
    const struct rv_isa isa = fixture_isa_without(RV_EXT_C);

    return set_up_with(&isa);
}

static int tear_down(void **state)
{
    jit_free(world.jit);
    rv_kept_free(world.pair.one.hart);
    BOTH(&world.pair, fix, fixture_fini(fix));
    return 0;
}

/* --- Units ------------------------------------------------------------------ */

/** Describe what is at @pc of the first hart's RAM. */
static struct jit_ir *describe(uint64_t pc)
{
    struct fixture *fix = &world.pair.one;
    struct jit_ir *ir = jit_begin(world.jit, false);
    const uint64_t offset = pc & ~SM_PAGE_MASK;

    if (!rv_translate(fix->hart, ram_of(fix) + (pc - offset - RAM), (unsigned)offset,
                      world.behind, ir, &world.trace))
        return NULL;
    return ir;
}

/** Run the first hart from @pc, its first instructions as a unit. */
static enum jit_reason run_code(uint64_t pc)
{
    struct fixture *fix = &world.pair.one;
    struct rv_hart *hart = fix->hart;
    const uint8_t *host = ram_of(fix) + (pc - RAM);
    struct jit_unit *unit;
    bool full = false;

    assert_non_null(describe(pc));
    unit = jit_end(world.jit, host, sm_load_relaxed(&hart->fast->request), &full);
    assert_non_null(unit);
    hart->jit.data = hart->fast->table[hart->mode_data];
    hart->jit.fetch = hart->fast->table[hart->mode_fetch];
    hart->jit.page = pc & SM_PAGE_MASK;
    hart->jit.pc = pc;
    hart->jit_stop = false;
    rv_jit_fp_ready(hart);
    const enum jit_reason reason = jit_run(world.jit, unit);
    assert_false(hart->jit_stop);
    hart->pc = hart->jit.pc;
    jit_reset(world.jit);
    rv_kept_reset(hart);
    return reason;
}

/** The same, to a WFI. */
static void run_unit(uint64_t pc)
{
    /* What it faults at or leaves aside the interpreter executes. */
    (void)run_code(pc);
    assert_int_equal(rv_hart_run(world.pair.one.hart), RV_RUN_WFI);
}

/* --- Each instruction ------------------------------------------------------- */

/** Registers that instructions name, and where they point. */
static void random_state(struct fpu_random *random, const struct rv_insn *insn)
{
    static const uint64_t status[] = {0, 0, 1, 2, 3, 3, 3, 3};
    const uint64_t fs = status[below(random, SM_ARRAY_LEN(status))] << 13;
    const unsigned frm = (unsigned)below(random, 8), flags = (unsigned)below(random, 32);
    const enum rv_format format = (enum rv_format)rv_insn_table[insn->op].format;
    const bool jumps = format == RV_FMT_JALR;

    BOTH(&world.pair, fix, {
        rv_hart_reset(fix->hart, CODE);
        catch_traps(fix);
        csr_put(fix, RV_CSRNO_mstatus, fs);
        fix->hart->frm = (uint8_t)frm;
        fix->hart->fflags = (uint8_t)flags;
    });
    for (unsigned n = 1; n < 32; n++) {
        const uint64_t x = random_x(random), f = random_f(random);

        BOTH(&world.pair, fix, {
            rv_hart_set_x(fix->hart, n, x);
            rv_hart_set_f(fix->hart, n, f);
        });
    }
    if (jumps || format == RV_FMT_LOAD || format == RV_FMT_S || format == RV_FMT_LR ||
        format == RV_FMT_FLOAD || format == RV_FMT_FSTORE || format == RV_FMT_AMO ||
        format == RV_FMT_CBO) {
        uint64_t at = (jumps ? CODE : DATA) + 8 * below(random, 1024) + 4096;

        if (one_in(random, 4) && !jumps)
            at += below(random, 8);
        if (one_in(random, 8) && !jumps)
            at = HOLE;
        at -= (uint64_t)(int64_t)insn->imm & (jumps ? ~UINT64_C(3) : UINT64_MAX);
        BOTH(&world.pair, fix, rv_hart_set_x(fix->hart, insn->rs1, at));
    }
}

/** A word of the operation with random operands. */
static uint32_t random_word(struct fpu_random *random, enum rv_op op)
{
    static const uint16_t csrs[] = {
        RV_CSRNO_fflags,   RV_CSRNO_frm,      RV_CSRNO_fcsr,     RV_CSRNO_cycle,
        RV_CSRNO_instret,  RV_CSRNO_minstret, RV_CSRNO_mscratch, RV_CSRNO_mstatus,
        RV_CSRNO_sscratch, RV_CSRNO_satp,     RV_CSRNO_misa,     RV_CSRNO_sstatus,
        0x7ff};
    const struct rv_insn_row *row = &rv_insn_table[op];
    uint32_t word = (uint32_t)fpu_random_next(random);
    const enum rv_format format = (enum rv_format)row->format;

    if (one_in(random, 4)) /* the same register twice */
        word = (word & ~(31u << 20)) | (word >> 15 & 31) << 20;
    if (one_in(random, 4))
        word = (word & ~(31u << 7)) | (word >> 15 & 31) << 7;
    if (one_in(random, 10))
        word &= ~(31u << 7);
    if (format == RV_FMT_B || format == RV_FMT_J) /* to a WFI nearby */
        word = enc(op, word >> 7 & 31, word >> 15 & 31, word >> 20 & 31,
                   (int32_t)(4 + 4 * below(random, 500)) * (one_in(random, 2) ? 1 : -2));
    if (format == RV_FMT_CSR || format == RV_FMT_CSRI)
        word = (word & 0xfffff) |
               (uint32_t)csrs[below(random, SM_ARRAY_LEN(csrs))] << 20;
    if ((format == RV_FMT_FP_R_RM || format == RV_FMT_FP_R4 ||
         format == RV_FMT_FP_F1_RM || format == RV_FMT_FP_FX_RM) && !one_in(random, 3))
        word |= (uint32_t)RV_RM_DYN << 12;
    return (word & ~row->mask) | row->match;
}

static void fill_with_wfi(void)
{
    for (uint64_t at = RAM; at < CODE + 0x4000; at += 4)
        pair_store(&world.pair, at, &rv_insn_table[RV_OP_wfi].match, 4);
}

/** Compare what @word at @pc made of the two. */
static void expect_same(uint64_t pc, uint32_t word, uint64_t seed)
{
    if (compare_harts(&world.pair) ||
        memcmp(ram_of(&world.pair.one) + (DATA - RAM),
               ram_of(&world.pair.other) + (DATA - RAM), 0x4000)) {
        jit_ir_print(describe(pc), stderr);
        fail_msg("0x%08x, SM_SEED=%llu", word, (unsigned long long)seed);
    }
}

/** Each once in a unit of two of it, so that what the first brings into the TLB, the
 *  second finds there. */
static void test_instructions(void **state)
{
    static const enum rv_op system[] = {RV_OP_ecall, RV_OP_ebreak, RV_OP_mret, RV_OP_sret,
                                        RV_OP_fence_i, RV_OP_sfence_vma};
    static bool tried[RV_N_OPS]; /* as operations of a unit, not left aside        */
    struct fpu_random random = fpu_random_init(1);

    fill_with_wfi();
    for (unsigned round = 0; round < 20; round++) {
        new_jit(round & 1 ? JIT_OPT_ALL : 0);
        for (unsigned op = 1; op < RV_N_OPS; op++) {
            const uint64_t seed = random.state;
            const uint32_t word = random_word(&random, (enum rv_op)op);
            struct rv_insn insn;

            rv_decode(rv_hart_isa(world.pair.one.hart), word, &insn);
            random_state(&random, &insn);
            pair_store(&world.pair, CODE, &word, 4);
            pair_store(&world.pair, CODE + 4, &word, 4);
            tried[insn.op] |= !round && describe(CODE)->insn[0].op != JIT_OP_exit;
            run_unit(CODE);
            run_from(&world.pair.other, CODE);
            expect_same(CODE, word, seed);
        }
    }
    for (unsigned n = 0; n < SM_ARRAY_LEN(system); n++)
        assert_true(tried[system[n]]);
}

/* --- Callbacks -------------------------------------------------------------- */

/** The host rounds as frm says, or the interpreter does; what was off traps there. */
static void test_fp_enter(void **state)
{
    static const uint32_t modes[] = {[RV_RM_RNE] = 0x1f80,
                                     [RV_RM_RTZ] = 0x7f80,
                                     [RV_RM_RDN] = 0x3f80,
                                     [RV_RM_RUP] = 0x5f80};
    struct rv_hart *hart = world.pair.one.hart;

    for (unsigned frm = 0; frm < 8; frm++) {
        hart->frm = (uint8_t)frm;
        hart->mstatus = UINT64_C(2) << 13;
        if (frm < SM_ARRAY_LEN(modes)) {
            assert_int_equal(rv_jit_fp_enter(hart), JIT_GO);
            assert_int_equal(hart->jit.mxcsr_guest, modes[frm]);
            assert_int_equal(hart->mstatus, RV_MSTATUS_DIRTY);
        } else {
            assert_int_equal(rv_jit_fp_enter(hart), JIT_FAULT);
            assert_int_equal(hart->mstatus, UINT64_C(2) << 13);
        }
        hart->mstatus = 0;
        assert_int_equal(rv_jit_fp_enter(hart), JIT_FAULT);
        assert_int_equal(hart->mstatus, 0);
    }
}

static void test_fp_flags(void **state)
{
    /* By bit of MXCSR; operands that are subnormal are nothing to RISC-V. */
    static const uint8_t flags[] = {RV_FFLAG_NV, 0, RV_FFLAG_DZ,
                                    RV_FFLAG_OF, RV_FFLAG_UF, RV_FFLAG_NX};
    struct rv_hart *hart = world.pair.one.hart;

    for (unsigned n = 0; n < SM_ARRAY_LEN(flags); n++) {
        hart->fflags = 0;
        rv_jit_fp_flags(hart, 1u << n);
        assert_int_equal(hart->fflags, flags[n]);
    }
    rv_jit_fp_flags(hart, 1); /* they stay */
    assert_int_equal(hart->fflags, RV_FFLAG_NX | RV_FFLAG_NV);
}

/** What is kept stays where it is, however much there is. */
static void test_kept(void **state)
{
    enum { N = 2500 };
    static const struct rv_insn *kept[N];
    struct rv_hart *hart = world.pair.one.hart;

    for (unsigned round = 0; round < 3; round++) {
        for (unsigned n = 0; n < N; n++) {
            const struct rv_insn insn = {.op = RV_OP_addi, .imm = (int32_t)n};

            kept[n] = rv_keep(hart, &insn);
            assert_non_null(kept[n]);
        }
        for (unsigned n = 0; n < N; n++)
            assert_int_equal(kept[n]->imm, n);
        rv_kept_reset(hart);
    }
}

/* --- Traces ----------------------------------------------------------------- */

/** Where the next instruction of the first hart's goes. */
static struct program at(uint64_t pc)
{
    return (struct program){&world.pair.one, pc};
}

/** See what is at @pc described as @text; of another one it prints both. */
static void expect(uint64_t pc, const char *text)
{
    char *got = NULL, why[200];
    size_t size = 0;
    FILE *to = open_memstream(&got, &size);
    struct jit_ir *ir = describe(pc);

    assert_non_null(ir);
    assert_non_null(to);
    if (!jit_ir_verify(ir, why, sizeof(why)))
        fail_msg("%s", why);
    jit_ir_print(ir, to);
    fclose(to);
    if (strcmp(got, text)) {
        fprintf(stderr, "%s", got);
        fail_msg("and should be\n%s", text);
    }
    free(got);
}

/** The same of one instruction. */
static void expect_one(uint32_t word, const char *text)
{
    struct program prog = at(CODE);

    put32(&prog, word);
    expect(CODE, text);
}

/** What becomes of one without operands. */
static const struct jit_ir *describe_one(enum rv_op op)
{
    struct program prog = at(CODE);

    put(&prog, op, 0, 0, 0, 0);
    return describe(CODE);
}

static void expect_parts(unsigned n_insns, unsigned n_parts, unsigned n_bytes)
{
    assert_int_equal(world.trace.n_insns, n_insns);
    assert_int_equal(world.trace.n_parts, n_parts);
    assert_int_equal(world.trace.n_bytes, n_bytes);
}

static void test_straight(void **state)
{
    struct program prog = at(CODE);

    put16(&prog, 0x1101); /* c.addi sp, -32 */
    put16(&prog, 0xec06); /* c.sdsp ra, 24(sp) */
    put(&prog, RV_OP_lw, A0, A1, 0, -4);
    put(&prog, RV_OP_lbu, X0, A1, 0, 5);
    put(&prog, RV_OP_lui, T0, 0, 0, 0x12345000);
    put(&prog, RV_OP_addi, T0, T0, 0, 0x678);
    put(&prog, RV_OP_auipc, T1, 0, 0, 0x7ffff000);
    put16(&prog, 0x852e); /* c.mv a0, a1 */
    put(&prog, RV_OP_addw, A0, A0, A1, 0);
    put(&prog, RV_OP_slt, X0, A0, A1, 0);
    put(&prog, RV_OP_jal, RA, 0, 0, 0x100);
    expect(CODE,
           "way 0: near 0x122, retired\n"
           "place 0: 0x0..0x2\n"
           "  add x2, x2, #-32\n"
           "place 1: 0x2..0x4\n"
           "  st.u64 [x2 + 24], x1\n"
           "place 2: 0x4..0x8\n"
           "  ld.s32 x10, [x11 - 4]\n"
           "place 3: 0x8..0xc\n"
           "  ld.u8 %0, [x11 + 5]\n"
           "place 4: 0xc..0x10\n"
           "  mov x5, #0x12345000\n"
           "place 5: 0x10..0x14\n"
           "  add x5, x5, #1656\n"
           "place 6: 0x14..0x18\n"
           "  here x6, page + 0x7ffff014\n"
           "place 7: 0x18..0x1a\n"
           "  mov x10, x11\n"
           "place 8: 0x1a..0x1e\n"
           "  add %1, x10, x11\n"
           "  sxt.32 x10, %1\n"
           "place 9: 0x1e..0x22\n"
           "place 10: 0x22..0x26\n"
           "  here x1, page + 0x26\n"
           "  exit.call way 0\n");
    expect_parts(11, 1, 38);
}

static void test_loops(void **state)
{
    struct program prog = at(CODE);

    put(&prog, RV_OP_addi, A0, A0, 0, -1);
    put(&prog, RV_OP_bne, 0, A0, X0, -4);
    put(&prog, RV_OP_jalr, X0, RA, 0, 0);
    expect(CODE,
           "place 0: 0x0..0x4\n"
           "  add x10, x10, #-1\n"
           "place 1: 0x4..0x8\n"
           "  loop_if.ne x10, #0\n"
           "place 2: 0x8..0xc\n"
           "  and %0, x1, #-2\n"
           "  jump.return %0\n");

    /* A jump back; a branch out of the middle; one never taken. */
    prog = at(CODE);
    put(&prog, RV_OP_bgeu, 0, A0, A1, 12);
    put(&prog, RV_OP_blt, 0, A0, A0, 64);
    put(&prog, RV_OP_jal, X0, 0, 0, -8);
    expect(CODE,
           "way 0: near 0xc, retired\n"
           "place 0: 0x0..0x4\n"
           "  exit_if.geu x10, x11, way 0\n"
           "place 1: 0x4..0x8\n"
           "place 2: 0x8..0xc\n"
           "  loop\n");

    /* Back into the middle, by a branch and by a jump. */
    prog = at(CODE);
    put(&prog, RV_OP_addi, A0, A0, 0, 1);
    put(&prog, RV_OP_addi, A1, A1, 0, 1);
    put(&prog, RV_OP_bltu, 0, A0, A1, -4);
    expect(CODE,
           "way 0: near 0x4, retired\n"
           "way 1: near 0xc, retired\n"
           "place 0: 0x0..0x4\n"
           "  add x10, x10, #1\n"
           "place 1: 0x4..0x8\n"
           "  add x11, x11, #1\n"
           "place 2: 0x8..0xc\n"
           "  exit_if.ltu x10, x11, way 0\n"
           "  exit.plain way 1\n");
    put(&prog, RV_OP_jal, X0, 0, 0, -8);
    prog.at = CODE + 8;
    put(&prog, RV_OP_sub, A0, A0, A1, 0);
    expect(CODE,
           "way 0: near 0x4, retired\n"
           "place 0: 0x0..0x4\n"
           "  add x10, x10, #1\n"
           "place 1: 0x4..0x8\n"
           "  add x11, x11, #1\n"
           "place 2: 0x8..0xc\n"
           "  sub x10, x10, x11\n"
           "place 3: 0xc..0x10\n"
           "  exit.plain way 0\n");
}

static void test_jumps(void **state)
{
    struct program prog = at(CODE);

    /* Over a hole, to before the beginning, into it. */
    put(&prog, RV_OP_jal, X0, 0, 0, 12);
    prog.at = CODE + 12;
    put(&prog, RV_OP_jal, A0, 0, 0, 4);
    put(&prog, RV_OP_jal, X0, 0, 0, -20);
    prog.at = CODE - 4;
    expect(CODE,
           "way 0: far -0x4, retired\n"
           "place 0: 0x0..0x4\n"
           "place 1: 0xc..0x10\n"
           "  here x10, page + 0x10\n"
           "place 2: 0x10..0x14\n"
           "  exit.plain way 0\n");
    expect_parts(3, 2, 12);
    prog = at(CODE + 0x10);
    put(&prog, RV_OP_jal, X0, 0, 0, -12);
    prog = at(CODE + 4);
    put(&prog, RV_OP_addi, A0, A0, 0, 1);
    put(&prog, RV_OP_addi, A0, A0, 0, 1);
    put(&prog, RV_OP_jal, X0, 0, 0, 4);
    expect(CODE + 0x10,
           "place 0: 0x10..0x14\n"
           "place 1: 0x4..0x8\n"
           "  add x10, x10, #1\n"
           "place 2: 0x8..0xc\n"
           "  add x10, x10, #1\n"
           "place 3: 0xc..0x10\n"
           "  loop\n");
    expect_parts(4, 2, 16);

    /* Calls, returns, neither. */
    expect_one(enc(RV_OP_jalr, RA, RA, 0, -3),
               "place 0: 0x0..0x4\n"
               "  add %0, x1, #-3\n"
               "  and %1, %0, #-2\n"
               "  here x1, page + 0x4\n"
               "  jump.call %1\n");
    expect_one(enc(RV_OP_jalr, X0, T0, 0, 0),
               "place 0: 0x0..0x4\n"
               "  and %0, x5, #-2\n"
               "  jump.return %0\n");
    expect_one(enc(RV_OP_jalr, A0, A0, 0, 0),
               "place 0: 0x0..0x4\n"
               "  and %0, x10, #-2\n"
               "  here x10, page + 0x4\n"
               "  jump.plain %0\n");
    expect_one(enc(RV_OP_jal, X0, 0, 0, 0x1000),
               "way 0: far 0x1000, retired\n"
               "place 0: 0x0..0x4\n"
               "  exit.plain way 0\n");
}

/** As many as a unit may have, and as many pieces. */
static void test_limits(void **state)
{
    struct program prog = at(CODE + 2);
    const struct jit_ir *ir;

    for (unsigned n = 0; n < 70; n++)
        put(&prog, RV_OP_addi, A0, A0, 0, 1);
    ir = describe(CODE + 2);
    expect_parts(RV_UNIT_INSNS, 1, 4 * RV_UNIT_INSNS);
    assert_int_equal(ir->n_insns, RV_UNIT_INSNS + 1);
    assert_int_equal(ir->insn[RV_UNIT_INSNS].op, JIT_OP_exit);
    assert_int_equal(ir->way[0].offset, 2 + 4 * RV_UNIT_INSNS);

    for (unsigned n = 0; n < 20; n++) {
        prog = at(CODE + 8 * n);
        put(&prog, RV_OP_jal, X0, 0, 0, 8);
    }
    ir = describe(CODE);
    expect_parts(RV_UNIT_PARTS, RV_UNIT_PARTS, 4 * RV_UNIT_PARTS);
    assert_int_equal(ir->n_insns, 1);
    assert_int_equal(ir->way[0].offset, 8 * RV_UNIT_PARTS);
    assert_true(ir->way[0].retired);
}

static void test_page_end(void **state)
{
    struct program prog = at(CODE + 0xffa);

    put(&prog, RV_OP_addi, A0, A0, 0, 1);
    put16(&prog, 1); /* c.nop */
    expect(CODE + 0xffa,
           "way 0: far 0x1000, retired\n"
           "place 0: 0xffa..0xffe\n"
           "  add x10, x10, #1\n"
           "place 1: 0xffe..0x1000\n"
           "  exit.plain way 0\n");
    prog = at(CODE + 0xffa);
    put(&prog, RV_OP_addi, A0, A0, 0, 1);
    put(&prog, RV_OP_addi, A1, A1, 0, 1);
    expect(CODE + 0xffa,
           "way 0: aside 0xffe\n"
           "place 0: 0xffa..0xffe\n"
           "  add x10, x10, #1\n"
           "place 1: 0xffe..0x1002\n"
           "  exit.plain way 0\n");
    expect_parts(2, 1, 6);
    assert_null(describe(CODE + 0xffe));
    prog = at(CODE + 0xffc);
    put(&prog, RV_OP_beq, 0, A0, A1, 8);
    expect(CODE + 0xffc,
           "way 0: far 0x1004, retired\n"
           "way 1: far 0x1000, retired\n"
           "place 0: 0xffc..0x1000\n"
           "  exit_if.eq x10, x11, way 0\n"
           "  exit.plain way 1\n");
}

/** Without C, instructions begin at multiples of 4: who jumps elsewhere has to trap. */
static void test_aligned_to_4(void **state)
{
    struct program prog = at(CODE);

    put(&prog, RV_OP_addi, A0, A1, 0, 1);
    put(&prog, RV_OP_beq, 0, A0, A1, 6);
    expect(CODE,
           "way 0: aside 0x4\n"
           "place 0: 0x0..0x4\n"
           "  add x10, x11, #1\n"
           "place 1: 0x4..0x8\n"
           "  exit.plain way 0\n");
    expect_one(enc(RV_OP_jal, RA, 0, 0, 2),
               "way 0: aside 0x0\n"
               "place 0: 0x0..0x4\n"
               "  exit.plain way 0\n");
    expect_one(enc(RV_OP_jalr, X0, RA, 0, 0),
               "way 0: aside 0x0\n"
               "place 0: 0x0..0x4\n"
               "  exit.plain way 0\n");
    prog = at(CODE);
    put(&prog, RV_OP_beq, 0, A0, A1, 8);
    put(&prog, RV_OP_jal, RA, 0, 0, 8);
    expect(CODE,
           "way 0: near 0x8, retired\n"
           "way 1: near 0xc, retired\n"
           "place 0: 0x0..0x4\n"
           "  exit_if.eq x10, x11, way 0\n"
           "place 1: 0x4..0x8\n"
           "  here x1, page + 0x8\n"
           "  exit.call way 1\n");
}

/** Mode changes, and what only the interpreter does. */
static void test_system(void **state)
{
    static const enum rv_op asides[] = {RV_OP_wfi, RV_OP_wrs_nto, RV_OP_wrs_sto,
                                        RV_OP_illegal};
    static const struct {
        enum rv_op op;
        uint32_t (*function)(void *guest, const void *arg);
    } calls[] = {{RV_OP_ecall, rv_jit_ecall}, {RV_OP_ebreak, rv_jit_exec_system},
                 {RV_OP_mret, rv_jit_mret},   {RV_OP_sret, rv_jit_sret},
                 {RV_OP_sfence_vma, rv_jit_exec_system}};
    struct program prog = at(CODE);

    put(&prog, RV_OP_csrrw, A0, A1, 0, RV_CSRNO_stvec);
    put(&prog, RV_OP_fence, 0, 0, 0, 0x0ff);
    put(&prog, RV_OP_fence, 0, 0, 0, 0x022);
    put(&prog, RV_OP_amoadd_w, A0, A1, A2, 0);
    put(&prog, RV_OP_sfence_vma, 0, 0, 0, 0);
    expect(CODE,
           "way 0: near 0x14, retired\n"
           "call 0\n"
           "call 1\n"
           "place 0: 0x0..0x4\n"
           "  call 0\n"
           "place 1: 0x4..0x8\n"
           "  fence\n"
           "place 2: 0x8..0xc\n"
           "place 3: 0xc..0x10\n"
           "  rmw.s32.add x10, [x11], x12\n"
           "place 4: 0x10..0x14\n"
           "  call 1\n"
           "  exit.plain way 0\n");
    expect_one(enc(RV_OP_pause, 0, 0, 0, 0),
               "way 0: near 0x4, retired\n"
               "place 0: 0x0..0x4\n"
               "  exit.plain way 0\n");
    for (unsigned n = 0; n < SM_ARRAY_LEN(asides); n++) {
        const struct jit_ir *ir;

        prog = at(CODE);
        put(&prog, RV_OP_addi, A0, A0, 0, 1);
        put(&prog, asides[n], 0, 0, 0, 0);
        ir = describe(CODE);
        assert_int_equal(ir->n_insns, 2);
        assert_int_equal(ir->n_places, 2);
        assert_int_equal(ir->way[0].kind, JIT_EXIT_ASIDE);
        assert_int_equal(ir->way[0].offset, 4);
        assert_false(ir->way[0].retired);
    }
    for (unsigned n = 0; n < SM_ARRAY_LEN(calls); n++) {
        const struct jit_ir *const ir = describe_one(calls[n].op);

        assert_int_equal(ir->n_insns, 2);
        assert_int_equal(ir->insn[0].op, JIT_OP_call);
        assert_ptr_equal(ir->call[0].function, calls[n].function);
    }
    /* What comes behind is the same unit's: FENCE.I ends it if that changed. */
    prog = at(CODE);
    put(&prog, RV_OP_fence_i, 0, 0, 0, 0);
    put(&prog, RV_OP_addi, A0, A0, 0, 1);
    put(&prog, RV_OP_wfi, 0, 0, 0, 0);
    expect(CODE,
           "way 0: aside 0x8\n"
           "call 0\n"
           "place 0: 0x0..0x4\n"
           "  call 0\n"
           "place 1: 0x4..0x8\n"
           "  add x10, x10, #1\n"
           "place 2: 0x8..0xc\n"
           "  exit.plain way 0\n");
}

/** CSRs that are plain; privilege is asked about once for each that is more. */
static void test_csrs(void **state)
{
    const unsigned priv = (unsigned)offsetof(struct rv_hart, priv);
    const unsigned sscratch = (unsigned)offsetof(struct rv_hart, sscratch);
    const unsigned status = (unsigned)offsetof(struct rv_hart, mstatus);
    struct program prog = at(CODE);
    char text[1000];

    put(&prog, RV_OP_csrrs, A0, X0, 0, RV_CSRNO_sscratch);
    put(&prog, RV_OP_csrrw, A0, A0, 0, RV_CSRNO_sscratch);
    put(&prog, RV_OP_csrrwi, X0, 3, 0, RV_CSRNO_mscratch);
    put(&prog, RV_OP_csrrwi, X0, 2, 0, RV_CSRNO_stvec);
    put(&prog, RV_OP_csrrci, X0, 2, 0, RV_CSRNO_sstatus);
    put(&prog, RV_OP_wfi, 0, 0, 0, 0);
    snprintf(text, sizeof(text),
             "way 0: aside 0x0\n"
             "way 1: aside 0x8\n"
             "way 2: aside 0x14\n"
             "call 0\n"
             "place 0: 0x0..0x4\n"
             "  lds.u8 %%0, [guest + 0x%x]\n"
             "  exit_if.ltu %%0, #1, way 0\n"
             "  lds.u64 %%1, [guest + 0x%x]\n"
             "  mov x10, %%1\n"
             "place 1: 0x4..0x8\n"
             "  lds.u64 %%2, [guest + 0x%x]\n"
             "  sts.u64 [guest + 0x%x], x10\n"
             "  mov x10, %%2\n"
             "place 2: 0x8..0xc\n"
             "  lds.u8 %%3, [guest + 0x%x]\n"
             "  exit_if.ltu %%3, #3, way 1\n"
             "  sts.u64 [guest + 0x%x], #3\n"
             "place 3: 0xc..0x10\n"
             "  call 0\n"
             "place 4: 0x10..0x14\n"
             "  lds.u64 %%4, [guest + 0x%x]\n"
             "  and %%5, %%4, #-3\n"
             "  sts.u64 [guest + 0x%x], %%5\n"
             "place 5: 0x14..0x18\n"
             "  exit.plain way 2\n",
             priv, sscratch, sscratch, sscratch, priv,
             (unsigned)offsetof(struct rv_hart, mscratch), status, status);
    expect(CODE, text);
}

static void test_floating_point(void **state)
{
    struct program prog = at(CODE);

    put(&prog, RV_OP_flw, 1, A0, 0, 4);
    put32(&prog, enc(RV_OP_fadd_s, 1, 1, 2, 0) | RV_RM_DYN << 12);
    put32(&prog, enc(RV_OP_fnmadd_d, 1, 2, 3, 0) | RV_RM_DYN << 12 | 3 << 20 | 4u << 27);
    put(&prog, RV_OP_feq_d, A0, 1, 2, 0);
    put(&prog, RV_OP_csrrwi, X0, 3, 0, RV_CSRNO_frm);
    put(&prog, RV_OP_fsgnjn_s, 1, 2, 2, 0);
    put32(&prog, enc(RV_OP_fmul_d, 1, 2, 3, 0) | RV_RM_RTZ << 12);
    put32(&prog, enc(RV_OP_fcvt_d_w, 1, A0, 0, 0) | RV_RM_RTZ << 12);
    put(&prog, RV_OP_fsd, 0, A0, 1, 8);
    put(&prog, RV_OP_ecall, 0, 0, 0, 0);
    expect(CODE,
           "way 0: near 0x28, retired\n"
           "call 0\n"
           "call 1\n"
           "call 2\n"
           "place 0: 0x0..0x4\n"
           "  fenter\n"
           "  fld.s f1, [x10 + 4]\n"
           "place 1: 0x4..0x8\n"
           "  funbox %0, f1\n"
           "  funbox %1, f2\n"
           "  fadd.s f1, %0, %1\n"
           "place 2: 0x8..0xc\n"
           "  fneg.d %2, f2\n"
           "  fneg.d %3, f4\n"
           "  fma.d f1, %2, f3, %3\n"
           "place 3: 0xc..0x10\n"
           "  fset.eq.d x10, f1, f2\n"
           "place 4: 0x10..0x14\n"
           "  call 0\n"
           "place 5: 0x14..0x18\n"
           "  fenter\n"
           "  funbox %4, f2\n"
           "  fneg.s f1, %4\n"
           "place 6: 0x18..0x1c\n"
           "  call 1\n"
           "place 7: 0x1c..0x20\n"
           "  fenter\n"
           "  sxt.32 %5, x10\n"
           "  fint.d f1, %5\n"
           "place 8: 0x20..0x24\n"
           "  fst.d [x10 + 8], f1\n"
           "place 9: 0x24..0x28\n"
           "  call 2\n"
           "  exit.plain way 0\n");
}

/* --- Across a page's end ---------------------------------------------------- */

enum { ACROSS = CODE - RAM + 0xffe }; /* in RAM */

/** Put @word across, and have fetches find its end or not. */
static void put_across(uint32_t word, bool found)
{
    struct rv_hart *hart = world.pair.one.hart;
    struct sm_fault fault;
    void *host;

    pair_store(&world.pair, RAM + ACROSS, &word, 4);
    world.behind = ram_of(&world.pair.one) + ACROSS + 2;
    if (found)
        assert_int_equal(sm_tlb_touch(hart->vcpu, RAM + ACROSS + 2, 2, SM_FETCH,
                                      hart->mode_fetch, 0, &host, &fault), SM_STEP_DONE);
    else
        rv_regime_flush(hart);
}

/** Each instruction, and whatever it does, where its end may have to be fetched first. */
static void test_across(void **state)
{
    struct fpu_random random = fpu_random_init(2);

    fill_with_wfi();
    for (unsigned round = 0; round < 12; round++) {
        new_jit(round & 1 ? JIT_OPT_ALL : 0);
        for (unsigned op = 1; op < RV_N_OPS; op++) {
            const uint32_t *wfi = &rv_insn_table[RV_OP_wfi].match;
            const uint64_t seed = random.state;
            const uint32_t word = random_word(&random, (enum rv_op)op);
            struct rv_insn insn;

            rv_decode(rv_hart_isa(world.pair.one.hart), word, &insn);
            random_state(&random, &insn);
            put_across(word, round % 4 != 3);
            run_unit(RAM + ACROSS);
            assert_true(world.trace.crosses);
            run_from(&world.pair.other, RAM + ACROSS);
            expect_same(RAM + ACROSS, word, seed);
            pair_store(&world.pair, RAM + ACROSS - 2, wfi, 4);
            pair_store(&world.pair, RAM + ACROSS + 2, wfi, 4);
        }
    }
}

/** A unit goes on only while its last two bytes are what it was made of. */
static void test_what_is_behind(void **state)
{
    const uint32_t addi = enc(RV_OP_addi, A0, A0, 0, 0x123);
    struct rv_hart *hart = world.pair.one.hart;
    const uint16_t other = 0x0455; /* addi a0, a0, 0x45 */
    struct program prog = at(RAM + ACROSS - 4);

    new_jit(JIT_OPT_ALL);
    put(&prog, RV_OP_addi, A1, A1, 0, 1);
    put_across(addi, true);
    assert_int_equal(run_code(RAM + ACROSS - 4), JIT_OUT_LINK);
    expect_parts(2, 1, 6);
    assert_true(hart->pc == RAM + ACROSS + 4 && hart->x[A0] == 0x123 && hart->x[A1] == 1);
    put_across(addi, false);
    assert_int_equal(run_code(RAM + ACROSS - 4), JIT_OUT_ASIDE);
    assert_true(hart->pc == RAM + ACROSS && hart->x[A0] == 0x123 && hart->x[A1] == 2);
    /* Described as it was, run as it is. */
    put_across(addi, true);
    world.behind = (const uint8_t *)&other;
    assert_int_equal(run_code(RAM + ACROSS - 4), JIT_OUT_ASIDE);
    assert_true(hart->pc == RAM + ACROSS && hart->x[A0] == 0x123 && hart->x[A1] == 3);
    /* Nowhere: the interpreter's, or, if it comes first, nothing. */
    world.behind = NULL;
    assert_int_equal(run_code(RAM + ACROSS - 4), JIT_OUT_ASIDE);
    assert_true(hart->pc == RAM + ACROSS && hart->x[A1] == 4);
    assert_null(describe(RAM + ACROSS));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_instructions), TEST(test_across), TEST(test_what_is_behind),
        TEST(test_fp_enter),
        TEST(test_fp_flags),
        TEST(test_kept),
        TEST(test_straight),
        TEST(test_loops),
        TEST(test_jumps),
        TEST(test_limits),
        TEST(test_page_end),
        TEST(test_system),
        TEST(test_csrs),
        TEST(test_floating_point),
        cmocka_unit_test_setup_teardown(test_aligned_to_4, set_up_without_c, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
