/* SPDX-License-Identifier: MIT */
/* program.h - writes small programs into a fixture's RAM and runs them. */
#ifndef TESTS_RISCV_PROGRAM_H
#define TESTS_RISCV_PROGRAM_H

#include "hart_fixture.h"

enum { X0, RA, SP, GP, TP, T0, T1, T2, S0, S1, A0, A1, A2, A3, A4, A5 };

/** Encode @op from its row; operands that it does not have are left out. */
SM_INLINE uint32_t enc(enum rv_op op, unsigned rd, unsigned rs1, unsigned rs2,
                       int32_t imm)
{
    const struct rv_insn_row *row = &rv_insn_table[op];
    const uint32_t u = (uint32_t)imm;
    uint32_t word = rd << 7 | rs1 << 15 | rs2 << 20;

    switch ((enum rv_format)row->format) {
    case RV_FMT_B:
        word = rs1 << 15 | rs2 << 20 | (u >> 11 & 1) << 7 | (u >> 1 & 15) << 8 |
               (u >> 5 & 63) << 25 | (u >> 12 & 1) << 31;
        break;
    case RV_FMT_J:
        word = rd << 7 | (u & 0xff000) | (u >> 11 & 1) << 20 | (u >> 1 & 0x3ff) << 21 |
                (u >> 20 & 1) << 31;
        break;
    case RV_FMT_S:
    case RV_FMT_FSTORE:
        word = rs1 << 15 | rs2 << 20 | (u & 31) << 7 | u >> 5 << 25;
        break;
    case RV_FMT_U: word = rd << 7 | (u & 0xfffff000); break;
    case RV_FMT_AMO:
    case RV_FMT_LR: word |= u << 25; break;
    case RV_FMT_R:
    case RV_FMT_SFENCE:
    case RV_FMT_FP_R:
    case RV_FMT_FP_R_RM:
    case RV_FMT_FP_CMP: break;
    default: word = rd << 7 | rs1 << 15 | u << 20; break;
    }
    return (word & ~row->mask) | row->match;
}

/** Where the next instruction goes. */
struct program {
    struct fixture *fix;
    uint64_t at;
};

SM_INLINE void put_bytes(struct program *prog, const void *bytes, size_t size)
{
    const struct sm_attrs attrs = {.process = SM_NO_PROCESS};

    assert_int_equal(
        sm_address_space_write(prog->fix->space, prog->at, &attrs, bytes, size, NULL),
        SM_TX_OK);
    prog->at += size;
}

SM_INLINE void put16(struct program *prog, uint16_t half)
{
    put_bytes(prog, &half, 2);
}

SM_INLINE void put32(struct program *prog, uint32_t word)
{
    put_bytes(prog, &word, 4);
}

SM_INLINE void put(struct program *prog, enum rv_op op, unsigned rd, unsigned rs1,
                   unsigned rs2, int32_t imm)
{
    put32(prog, enc(op, rd, rs1, rs2, imm));
}

SM_INLINE void put_wfi(struct program *prog)
{
    put(prog, RV_OP_wfi, 0, 0, 0, 0);
}

/** Have @word be all that there is to run at @pc. */
SM_INLINE void put_one(struct fixture *fix, uint64_t pc, uint32_t word)
{
    struct program prog = {fix, pc};

    put32(&prog, word);
    put_wfi(&prog);
    rv_blocks_flush(fix->hart);
}

/** Where traps to M go in these tests: one WFI. */
#define TRAP_VECTOR (RAM + 0x3f000)

SM_INLINE void catch_traps(struct fixture *fix)
{
    struct program prog = {fix, TRAP_VECTOR};

    put_wfi(&prog);
    csr_put(fix, RV_CSRNO_mtvec, TRAP_VECTOR);
    csr_put(fix, RV_CSRNO_mcause, 0x3f); /* no cause of any test */
}

/** Run from @pc until a WFI. */
SM_INLINE void run_from(struct fixture *fix, uint64_t pc)
{
    rv_hart_set_pc(fix->hart, pc);
    assert_int_equal(rv_hart_run(fix->hart), RV_RUN_WFI);
}

/** See that the last run ended in the trap vector, for this reason. */
SM_INLINE void assert_trapped(struct fixture *fix, uint64_t cause, uint64_t epc,
                              uint64_t tval)
{
    assert_int_equal(rv_hart_pc(fix->hart), TRAP_VECTOR + 4);
    assert_int_equal(csr_get(fix, RV_CSRNO_mcause), cause);
    assert_int_equal(csr_get(fix, RV_CSRNO_mepc), epc);
    assert_int_equal(csr_get(fix, RV_CSRNO_mtval), tval);
}

SM_INLINE struct rv_stats stats_of(struct fixture *fix)
{
    struct rv_stats stats = {.struct_size = sizeof(stats)};

    rv_hart_get_stats(fix->hart, &stats);
    return stats;
}

#endif
