/* SPDX-License-Identifier: MIT */
/* print_test.c - instructions in words: one of each format, and what is odd. */
#include "program.h"

#include <string.h>

static void assert_text(uint32_t word, const char *text)
{
    const struct rv_isa isa = fixture_isa();
    struct rv_insn insn;
    char got[80];

    rv_decode(&isa, word, &insn);
    rv_insn_text(&insn, UINT64_C(0x80001000), got, sizeof(got));
    assert_string_equal(got, text);
}

static void each_format_has_its_operands(void **state)
{
    /* As llvm-mc and GNU objdump (-M no-aliases) print them, but for their spaces. */
    assert_text(0x00000073, "ecall");
    assert_text(0x00c58533, "add a0, a1, a2");
    assert_text(0x60059513, "clz a0, a1");
    assert_text(0xfff58513, "addi a0, a1, -1");
    assert_text(0x02c4d313, "srli t1, s1, 44");
    assert_text(0x01cf111b, "slliw sp, t5, 28");
    assert_text(0xff843503, "ld a0, -8(s0)");
    assert_text(0x00a13423, "sd a0, 8(sp)");
    assert_text(0xfe051ee3, "bne a0, zero, 0x80000ffc");
    assert_text(0xfffff2b7, "lui t0, 0xfffff");
    assert_text(0x008000ef, "jal ra, 0x80001008");
    assert_text(0x00008067, "jalr zero, 0(ra)");
    assert_text(0x0ff0000f, "fence iorw, iorw");
    assert_text(0x0100000f, "pause");
    assert_text(0x0000100f, "fence.i");
    assert_text(0x340312f3, "csrrw t0, mscratch, t1");
    assert_text(0x30017073, "csrrci zero, mstatus, 2");
    assert_text(0xc8002573, "csrrs a0, 0xc80, zero");
    assert_text(0x12b50073, "sfence.vma a0, a1");
    assert_text(0x0045200f, "cbo.zero (a0)");
    assert_text(0x0a03e013, "prefetch.i 160(t2)");
    assert_text(0x1005252f, "lr.w a0, (a0)");
    assert_text(0x1eca332f, "sc.d.aqrl t1, a2, (s4)");
    assert_text(0x0ac5252f, "amoswap.w.rl a0, a2, (a0)");
    assert_text(0x0005a507, "flw fa0, 0(a1)");
    assert_text(0x00a5b427, "fsd fa0, 8(a1)");
    assert_text(0x22b58553, "fsgnj.d fa0, fa1, fa1");
    assert_text(0x00c5f553, "fadd.s fa0, fa1, fa2");
    assert_text(0x00c58553, "fadd.s fa0, fa1, fa2, rne");
    assert_text(0x6ac5f543, "fmadd.d fa0, fa1, fa2, fa3");
    assert_text(0x580025d3, "fsqrt.s fa1, ft0, rdn");
    assert_text(0xa2b52553, "feq.d a0, fa0, fa1");
    assert_text(0xe2050553, "fmv.x.d a0, fa0");
    assert_text(0xc2051553, "fcvt.w.d a0, fa0, rtz");
    assert_text(0xf2050553, "fmv.d.x fa0, a0");
    assert_text(0xd2057553, "fcvt.d.w fa0, a0");
    assert_text(0xf0180553, "fli.s fa0, 16");
    assert_text(0x00008082, "jalr zero, 0(ra)");
    assert_text(0x00000000, "illegal");
}

static void a_text_is_cut_to_its_place(void **state)
{
    const struct rv_insn insn = {.op = RV_OP_addi, .len = 4, .rd = 10, .rs1 = 11, .imm = -1};
    char text[24];

    for (size_t size = 1; size < sizeof(text); size++) {
        memset(text, 'x', sizeof(text));
        rv_insn_text(&insn, 0, text, size);
        assert_memory_equal(text, "addi a0, a1, -1", SM_MIN(size - 1, (size_t)15));
        assert_int_equal(text[SM_MIN(size - 1, (size_t)15)], '\0');
        assert_int_equal(text[size], 'x');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_format_has_its_operands),
        cmocka_unit_test(a_text_is_cut_to_its_place),
    };
    return cmocka_run_group_tests_name("print", tests, NULL, NULL);
}
