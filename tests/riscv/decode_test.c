/* SPDX-License-Identifier: MIT */
/* decode_test.c - the decoder against an assembler's words, and against its own table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "riscv/riscv_impl.h"

static const struct word {
    uint32_t word;
    int len, op, rd, rs1, rs2, rs3, rm, imm;
} words[] = {
#define WORD(word, len, op, rd, rs1, rs2, rs3, rm, imm)                                  \
    {word, len, RV_OP_##op, rd, rs1, rs2, rs3, rm, imm},
#include "decode_words.def"
#undef WORD
};

static const struct rv_isa everything = {.ext = (UINT64_C(1) << RV_N_EXT) - 1};

static enum rv_op op_of(const struct rv_isa *isa, uint32_t word)
{
    struct rv_insn insn;

    rv_decode(isa, word, &insn);
    assert_int_equal(insn.len, (word & 3) == 3 ? 4 : 2);
    assert_int_equal(insn.raw, (word & 3) == 3 ? word : word & 0xffff);
    assert_in_range(insn.op, 0, RV_N_OPS - 1);
    return (enum rv_op)insn.op;
}

static void test_assembled(void **state)
{
    bool seen[RV_N_OPS] = {true};

    for (size_t n = 0; n < SM_ARRAY_LEN(words); n++) {
        const struct word *want = &words[n];
        struct rv_insn got;

        rv_decode(&everything, want->word, &got);
        seen[want->op] = true;
        if (got.op != want->op || got.len != want->len || got.imm != want->imm ||
            (want->rd >= 0 && got.rd != want->rd) ||
            (want->rs1 >= 0 && got.rs1 != want->rs1) ||
            (want->rs2 >= 0 && got.rs2 != want->rs2) ||
            (want->rs3 >= 0 && got.rs3 != want->rs3) ||
            (want->rm >= 0 && got.rm != want->rm))
            fail_msg("%08x: %s rd %d rs1 %d rs2 %d rs3 %d rm %d imm %d, want %s",
                     want->word, rv_insn_table[got.op].text, got.rd, got.rs1, got.rs2,
                     got.rs3, got.rm, got.imm, rv_insn_table[want->op].text);
    }
    for (unsigned op = 0; op < RV_N_OPS; op++)
        if (!seen[op])
            fail_msg("no word of %s", rv_insn_table[op].text);
}

/** Each row decodes to itself whatever its operand bits are, and needs its extensions. */
static void test_rows(void **state)
{
    uint32_t noise = 0x2545f491;

    for (unsigned op = 1; op < RV_N_OPS; op++) {
        const struct rv_insn_row *row = &rv_insn_table[op];
        const enum rv_op without = op == RV_OP_pause                      ? RV_OP_fence
                                   : row->format == RV_FMT_PREFETCH ? RV_OP_ori
                                                                    : RV_OP_illegal;

        assert_int_equal(row->match & ~row->mask, 0);
        assert_int_equal(row->match & 3, 3);
        for (unsigned n = 0; n < 64; n++) {
            const uint32_t word = row->match | (noise & ~row->mask);
            const enum rv_op got = op_of(&everything, word);

            noise = noise * 1664525 + 1013904223;
            /* Only words that are hints in one row belong to another first. */
            if (got == op)
                continue;
            assert_true(
                (op == RV_OP_fence && got == RV_OP_pause) ||
                (op == RV_OP_ori && rv_insn_table[got].format == RV_FMT_PREFETCH));
        }
        for (unsigned ext = 0; ext < RV_N_EXT; ext++) {
            const struct rv_isa isa = {.ext = everything.ext & ~(UINT64_C(1) << ext)};
            const bool needed = (row->ext >> ext) & 1;
            /* With an rd, if it has one: ORI to x0 may be a hint. */
            const uint32_t word = row->match | (~row->mask & 0x80);

            assert_int_equal(op_of(&isa, word), needed ? without : (enum rv_op)op);
        }
    }
}

static void test_illegal(void **state)
{
    static const uint32_t illegal[] = {
        0x00000000, 0xffffffff, /* as the specification defines                  */
        0x1010202f | 1 << 20,   /* lr.w with rs2                                 */
        0x0000002f | 1 << 12,   /* amoadd of halfwords                           */
        0x00004073,             /* system, funct3 4                              */
        0x02001013 | 1 << 26,   /* slli with a bit above the shift amount        */
        0x0200101b,             /* slliw by 32                                   */
        0x00007003,             /* load of width 7                               */
        0x00004023,             /* store of width 4                              */
        0x00002063,             /* branch of funct3 2                            */
        0x00001067,             /* jalr of funct3 1                              */
        0x02000053 | 1 << 26,   /* fadd of quads                                 */
        0x30000073,             /* mret's neighbours                             */
        0x30300073, 0x7b200073,
        0x0030200f, 0x0040208f, /* cbo of kind 3; cbo.zero with rd               */
        0xc2802053,             /* fcvtmod.w.d rounding otherwise                */
        0x0000001f, 0x0000007f, /* longer than 32 bits                           */
    };

    for (size_t n = 0; n < SM_ARRAY_LEN(illegal); n++)
        if (op_of(&everything, illegal[n]) != RV_OP_illegal)
            fail_msg("%08x is legal", illegal[n]);
}

static void test_illegal_compressed(void **state)
{
    static const uint16_t illegal[] = {
        0x0000,         /* c.addi4spn of 0                                       */
        0x0004,         /* the same, rd x9                                       */
        0x8000, 0x9fff & ~3, /* quadrant 0, funct3 4                             */
        0x2001,         /* c.addiw x0                                            */
        0x6101,         /* c.addi16sp of 0                                       */
        0x6081,         /* c.lui ra, 0                                           */
        0x9c41, 0x9c61, /* reserved beside c.addw                                */
        0x4002, 0x6002, /* c.lwsp, c.ldsp to x0                                  */
        0x8002,         /* c.jr x0                                               */
    };
    const struct rv_isa no_c = {.ext = everything.ext & ~RV_X(C)};
    const struct rv_isa no_d = {.ext = everything.ext & ~RV_X(D)};
    unsigned legal = 0;

    for (size_t n = 0; n < SM_ARRAY_LEN(illegal); n++)
        if (op_of(&everything, illegal[n]) != RV_OP_illegal)
            fail_msg("%04x is legal", illegal[n]);
    for (uint32_t half = 0; half < 0x10000; half++) {
        if ((half & 3) == 3)
            continue;
        legal += op_of(&everything, half) != RV_OP_illegal;
        assert_int_equal(op_of(&everything, half | 0xabcd0000), op_of(&everything, half));
        assert_int_equal(op_of(&no_c, half), RV_OP_illegal);
        if ((half >> 13) % 4 == 1 && (half & 3) != 1)
            assert_int_equal(op_of(&no_d, half), RV_OP_illegal);
    }
    /* What llvm-mc 19 disassembles, less the 31 of "c.lui rd, 0". */
    assert_int_equal(legal, 46743);
}

/** Hints do nothing: they decode to what writes x0. */
static void test_hints(void **state)
{
    static const uint16_t hints[] = {
        0x0001, 0x0015, /* c.nop, with an immediate                              */
        0x4015,         /* c.li x0                                               */
        0x6015,         /* c.lui x0                                              */
        0x8016,         /* c.mv x0, x5                                           */
        0x9016,         /* c.add x0, x5                                          */
        0x0016,         /* c.slli x0                                             */
    };
    struct rv_insn insn;

    for (size_t n = 0; n < SM_ARRAY_LEN(hints); n++) {
        rv_decode(&everything, hints[n], &insn);
        assert_int_not_equal(insn.op, RV_OP_illegal);
        assert_int_equal(insn.rd, 0);
    }
    assert_int_equal(op_of(&everything, 0x0100000f), RV_OP_pause);
    assert_int_equal(op_of(&everything, 0x8330000f), RV_OP_fence); /* fence.tso  */
    assert_int_equal(op_of(&everything, 0xffff8f8f), RV_OP_fence); /* all fields */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_assembled),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_illegal),
        cmocka_unit_test(test_illegal_compressed),
        cmocka_unit_test(test_hints),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
