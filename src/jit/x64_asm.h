/* SPDX-License-Identifier: MIT */
/* x64_asm.h - encodes x86-64 instructions, one function each.
 *
 * The shortest encoding of what is asked is chosen: also a narrower instruction that has
 * the same effect on registers and flags.  An instruction is written only where the
 * longest there is, 15 bytes, would have room; else .overflow is set, for good.  So a
 * caller checks once, at the end.
 *
 * Layer:   jit
 * Threads: one thread uses an assembler.
 * Source:  AMD64 Architecture Programmer's Manual, volume 3; Intel SDM, volume 2
 */
#ifndef JIT_X64_ASM_H
#define JIT_X64_ASM_H

#include "softmmu/types.h"

enum x64_reg {
    X64_RAX, X64_RCX, X64_RDX, X64_RBX, X64_RSP, X64_RBP, X64_RSI, X64_RDI,
    X64_R8, X64_R9, X64_R10, X64_R11, X64_R12, X64_R13, X64_R14, X64_R15,
    X64_NO_REG = 0xff
};
/** Vector registers are numbers 0..15. */

/** [base + index * (1 << scale) + disp]; .index X64_NO_REG: none; never RSP. */
struct x64_mem {
    uint8_t base, index, scale;
    int32_t disp;
};
SM_INLINE struct x64_mem x64_at(unsigned base, int32_t disp)
{
    return (struct x64_mem){(uint8_t)base, X64_NO_REG, 0, disp};
}
SM_INLINE struct x64_mem x64_at2(unsigned base, unsigned index, unsigned scale,
                                 int32_t disp)
{
    return (struct x64_mem){(uint8_t)base, (uint8_t)index, (uint8_t)scale, disp};
}

/** Condition codes as encoded; x ^ 1 is the opposite. */
enum x64_cc {
    X64_O, X64_NO, X64_B, X64_AE, X64_E, X64_NE, X64_BE, X64_A,
    X64_S, X64_NS, X64_P, X64_NP, X64_L, X64_GE, X64_LE, X64_G
};
/** As /digit of opcode 81. */
enum x64_alu { X64_ADD, X64_OR, X64_ADC, X64_SBB, X64_AND, X64_SUB, X64_XOR, X64_CMP };
/** As /digit of opcode C1. */
enum x64_shift { X64_ROL, X64_ROR, X64_SHL = 4, X64_SHR = 5, X64_SAR = 7 };
/** As /digit of opcode F7. */
enum x64_unary { X64_NOT = 2, X64_NEG = 3, X64_MUL = 4, X64_IMUL = 5, X64_DIV = 6,
                 X64_IDIV = 7 };
/** F3 0F xx. */
enum x64_count { X64_POPCNT = 0xb8, X64_TZCNT = 0xbc, X64_LZCNT = 0xbd };
/** 0F xx, scalar with prefix F3 (single) or F2 (double). */
enum x64_sse { X64_SQRT = 0x51, X64_FADD = 0x58, X64_FMUL = 0x59, X64_FSUB = 0x5c,
               X64_FMIN = 0x5d, X64_FDIV = 0x5e, X64_FMAX = 0x5f };
/** 0F xx, packed without prefix. */
enum x64_ps { X64_MOVAPS = 0x28, X64_ANDPS = 0x54, X64_ANDNPS = 0x55, X64_ORPS = 0x56,
              X64_XORPS = 0x57 };
/** For x64_round(): a mode; or'ed, not to raise inexact. */
enum { X64_ROUND_EVEN, X64_ROUND_DOWN, X64_ROUND_UP, X64_ROUND_ZERO, X64_ROUND_CURRENT,
       X64_ROUND_QUIET = 8 };

struct x64 {
    uint8_t *start, *at, *end;
    bool overflow;
};

SM_INLINE void x64_init(struct x64 *a, void *start, size_t size)
{
    a->start = a->at = (uint8_t *)start;
    a->end = a->start + size;
    a->overflow = false;
}

/* In what follows @w is the operands' width: true 64 bits, false 32 (which clears the
 * upper half of a register written).  mem operands of @size_bits 0..3: 1 to 8 bytes. */

void x64_alu_rr(struct x64 *a, enum x64_alu op, bool w, unsigned dst, unsigned src);
void x64_alu_ri(struct x64 *a, enum x64_alu op, bool w, unsigned dst, int32_t imm);
void x64_alu_rm(struct x64 *a, enum x64_alu op, bool w, unsigned dst, struct x64_mem src);
void x64_alu_mr(struct x64 *a, enum x64_alu op, bool w, struct x64_mem dst, unsigned src);
void x64_alu_mi(struct x64 *a, enum x64_alu op, bool w, struct x64_mem dst, int32_t imm);
/** cmp byte [mem], imm */
void x64_cmp8_mi(struct x64 *a, struct x64_mem mem, int8_t imm);
/** cmp dword [mem], imm32, always with 4 bytes of immediate, which are the instruction's
 *  last.  Returns their address, or NULL past the end */
uint8_t *x64_cmp_mi32(struct x64 *a, struct x64_mem mem, uint32_t imm);
void x64_test_rr(struct x64 *a, bool w, unsigned x, unsigned y);
void x64_test_ri(struct x64 *a, bool w, unsigned x, int32_t imm);

void x64_mov_rr(struct x64 *a, bool w, unsigned dst, unsigned src);
/** Set all 64 bits of @dst; flags are left alone. */
void x64_mov_ri(struct x64 *a, unsigned dst, uint64_t imm);
/** Always with 8 bytes of immediate, which are the instruction's last. */
void x64_mov_ri64(struct x64 *a, unsigned dst, uint64_t imm);
/** Load, zero-extended (@sign: sign-extended) to 64 bits. */
void x64_load(struct x64 *a, unsigned size_bits, bool sign, unsigned dst,
              struct x64_mem src);
void x64_store(struct x64 *a, unsigned size_bits, struct x64_mem dst, unsigned src);
/** @imm is sign-extended to 8 bytes. */
void x64_store_i(struct x64 *a, unsigned size_bits, struct x64_mem dst, int32_t imm);
/** Extend the low 1 << @size_bits bytes (0..2) of @src to 64 bits. */
void x64_extend(struct x64 *a, unsigned size_bits, bool sign, unsigned dst, unsigned src);
void x64_lea(struct x64 *a, bool w, unsigned dst, struct x64_mem src);
/** lea dst, [rip + ...] of an address of this buffer. */
void x64_lea_here(struct x64 *a, unsigned dst, const uint8_t *target);

void x64_shift_ri(struct x64 *a, enum x64_shift op, bool w, unsigned dst, unsigned n);
void x64_shift_rcl(struct x64 *a, enum x64_shift op, bool w, unsigned dst);
/** BMI2: dst = src shifted by count; SHL, SHR and SAR only. */
void x64_shiftx(struct x64 *a, enum x64_shift op, bool w, unsigned dst, unsigned src,
                unsigned count);
/** BMI2: dst = src rotated right by n. */
void x64_rorx(struct x64 *a, bool w, unsigned dst, unsigned src, unsigned n);
void x64_imul_rr(struct x64 *a, bool w, unsigned dst, unsigned src);
void x64_imul_rm(struct x64 *a, bool w, unsigned dst, struct x64_mem src);
void x64_imul_rri(struct x64 *a, bool w, unsigned dst, unsigned src, int32_t imm);
void x64_unary(struct x64 *a, enum x64_unary op, bool w, unsigned reg);
void x64_cqo(struct x64 *a, bool w); /* cqo, or cdq */
void x64_count_bits(struct x64 *a, enum x64_count op, bool w, unsigned dst, unsigned src);
void x64_bswap(struct x64 *a, bool w, unsigned reg);
void x64_setcc(struct x64 *a, enum x64_cc cc, unsigned dst); /* low byte only */
void x64_cmov(struct x64 *a, enum x64_cc cc, bool w, unsigned dst, unsigned src);
void x64_cmov_m(struct x64 *a, enum x64_cc cc, bool w, unsigned dst, struct x64_mem src);

void x64_push(struct x64 *a, unsigned reg);
void x64_pop(struct x64 *a, unsigned reg);
void x64_ret(struct x64 *a);
void x64_jmp_r(struct x64 *a, unsigned reg);
void x64_jmp_m(struct x64 *a, struct x64_mem mem);
void x64_call_r(struct x64 *a, unsigned reg);
void x64_call_m(struct x64 *a, struct x64_mem mem);
void x64_ud2(struct x64 *a);

/** lock bts qword [mem], bit: the bit before in the carry. */
void x64_lock_bts(struct x64 *a, struct x64_mem mem, unsigned bit);
/** xchg, lock xadd, lock cmpxchg (with rax), lock <alu>: on memory. */
void x64_xchg(struct x64 *a, unsigned size_bits, struct x64_mem mem, unsigned reg);
void x64_xadd(struct x64 *a, unsigned size_bits, struct x64_mem mem, unsigned reg);
void x64_cmpxchg(struct x64 *a, unsigned size_bits, struct x64_mem mem, unsigned reg);
void x64_lock_alu_mr(struct x64 *a, enum x64_alu op, bool w, struct x64_mem mem,
                     unsigned reg);
void x64_lock_alu_mi(struct x64 *a, enum x64_alu op, bool w, struct x64_mem mem,
                     int32_t imm);

/* --- Scalars in vector registers; @d: double, else single --------------------- */

void x64_movq_xr(struct x64 *a, bool w, unsigned xmm, unsigned reg); /* w: 64 bits */
void x64_movq_rx(struct x64 *a, bool w, unsigned reg, unsigned xmm);
void x64_movaps(struct x64 *a, unsigned dst, unsigned src);
void x64_movs_load(struct x64 *a, bool d, unsigned xmm, struct x64_mem src);
void x64_movs_store(struct x64 *a, bool d, struct x64_mem dst, unsigned xmm);
void x64_sse_rr(struct x64 *a, enum x64_sse op, bool d, unsigned dst, unsigned src);
void x64_sse_rm(struct x64 *a, enum x64_sse op, bool d, unsigned dst, struct x64_mem src);
void x64_ps_rr(struct x64 *a, enum x64_ps op, unsigned dst, unsigned src);
/** With the 16 bytes at @target, an address of this buffer that is a multiple of 16. */
void x64_ps_here(struct x64 *a, enum x64_ps op, unsigned dst, const uint8_t *target);
/** ucomis, or comis when @signalling. */
void x64_comis(struct x64 *a, bool d, bool signalling, unsigned x, unsigned y);
/** cvtsd2ss when @from_d, else cvtss2sd. */
void x64_cvt_ff(struct x64 *a, bool from_d, unsigned dst, unsigned src);
void x64_cvt_fi(struct x64 *a, bool d, bool w, unsigned xmm, unsigned reg); /* from int */
/** To an integer; @truncate or in the current mode. */
void x64_cvt_if(struct x64 *a, bool d, bool w, bool truncate, unsigned reg, unsigned xmm);
/** SSE4.1: to an integral value, as @mode says (X64_ROUND_*). */
void x64_round(struct x64 *a, bool d, unsigned dst, unsigned src, unsigned mode);
/** FMA3: dst = x * y + dst. */
void x64_fmadd231(struct x64 *a, bool d, unsigned dst, unsigned x, unsigned y);
void x64_ldmxcsr(struct x64 *a, struct x64_mem mem);
void x64_stmxcsr(struct x64 *a, struct x64_mem mem);

/* --- Jumps within the buffer ----------------------------------------------------- */

/** A place that jumps lead to: bound once, before or after them. */
struct x64_label {
    uint8_t *bound; /* NULL: not yet                                           */
    uint8_t *uses;  /* last jump's displacement; each holds the distance to the one
                       before, 0 at the first                                  */
};

/** Jump by 32 bits of displacement to a label, or (jump_to, call_to) an address within
 *  2 GiB of where this code will run: @target is relative to this buffer. */
/** lea dst, [rip + ...] of where a label is. */
void x64_lea_label(struct x64 *a, unsigned dst, struct x64_label *label);
void x64_jmp(struct x64 *a, struct x64_label *label);
void x64_jcc(struct x64 *a, enum x64_cc cc, struct x64_label *label);
void x64_call(struct x64 *a, struct x64_label *label);
void x64_bind(struct x64 *a, struct x64_label *label);
void x64_jmp_to(struct x64 *a, const uint8_t *target);
void x64_jcc_to(struct x64 *a, enum x64_cc cc, const uint8_t *target);
void x64_call_to(struct x64 *a, const uint8_t *target);
/** Where the displacement of the jump just written lies, for x64_patch(); or NULL. */
uint8_t *x64_last_disp(struct x64 *a);
/** Lead the jump with its displacement at @disp to @target. */
void x64_patch(uint8_t *disp, const uint8_t *target);

/** Fill with long no-operations up to an address that is a multiple of @align, a power of
 *  two. */
void x64_align(struct x64 *a, unsigned align);

#endif
