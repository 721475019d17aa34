/* SPDX-License-Identifier: MIT */
/* x64_asm_impl.h - what instructions are put together from.
 *
 * An instruction is [lock] [66|f3|f2] [rex] [map] opcode [modrm [sib] [disp]] [imm], or
 * begins with VEX, which says the second to fourth of these.
 *
 * Layer:   jit, private to x64_asm*.c
 * Threads: one thread uses an assembler.
 */
#ifndef JIT_X64_ASM_IMPL_H
#define JIT_X64_ASM_IMPL_H

#include "jit/x64_asm.h"

#include "base/base.h"

#include <string.h>

/* What an opcode byte comes with.  Prefixes and maps are numbered as in VEX. */
enum {
    X64_P66 = 1 << 8, X64_PF3 = 2 << 8, X64_PF2 = 3 << 8,
    X64_M0F = 1 << 12, X64_M0F38 = 2 << 12, X64_M0F3A = 3 << 12,
    X64_W = 1 << 16,        /* 64 bits                                         */
    X64_LOCK = 1 << 17,
    X64_BYTE_REG = 1 << 18, /* modrm's reg is a byte register,                 */
    X64_BYTE_RM = 1 << 19   /* or its r/m is: numbers 4..7 need a REX, else they
                               are AH..BH                                      */
};
enum { X64_MAX_INSN = 15 };

/** Room is asked for once per instruction, for the longest that there is. */
SM_INLINE bool x64_room(struct x64 *a)
{
    if (SM_UNLIKELY(a->overflow || a->end - a->at < X64_MAX_INSN)) {
        a->overflow = true;
        return false;
    }
    return true;
}

SM_INLINE void x64_put8(struct x64 *a, unsigned byte)
{
    *a->at++ = (uint8_t)byte;
}

SM_INLINE void x64_put16(struct x64 *a, uint32_t value)
{
    const uint16_t half = (uint16_t)value;

    memcpy(a->at, &half, sizeof(half));
    a->at += sizeof(half);
}

SM_INLINE void x64_put32(struct x64 *a, uint32_t value)
{
    memcpy(a->at, &value, sizeof(value));
    a->at += sizeof(value);
}

SM_INLINE void x64_put64(struct x64 *a, uint64_t value)
{
    memcpy(a->at, &value, sizeof(value));
    a->at += sizeof(value);
}

SM_INLINE bool x64_is_imm8(int32_t imm)
{
    return imm == (int8_t)imm;
}

SM_INLINE uint32_t x64_width(bool w)
{
    return w ? X64_W : 0;
}

SM_INLINE uint8_t x64_modrm(unsigned mod, unsigned reg, unsigned rm)
{
    return (uint8_t)(mod << 6 | (reg & 7) << 3 | (rm & 7));
}

/** All that comes before modrm. */
SM_INLINE void x64_put_opcode(struct x64 *a, uint32_t op, unsigned reg, unsigned index,
                              unsigned base, bool needs_rex)
{
    static const uint8_t prefix[4] = {0, 0x66, 0xf3, 0xf2};
    static const uint8_t map[4] = {0, 0, 0x38, 0x3a};
    const unsigned rex = (op & X64_W ? 8 : 0) | (reg & 8) >> 1 | (index & 8) >> 2 |
                         (base & 8) >> 3;

    if (op & X64_LOCK)
        x64_put8(a, 0xf0);
    if (op & X64_PF2)
        x64_put8(a, prefix[op >> 8 & 3]);
    if (rex || needs_rex)
        x64_put8(a, 0x40 | rex);
    if (op & X64_M0F3A) {
        x64_put8(a, 0x0f);
        if ((op >> 12 & 3) > 1)
            x64_put8(a, map[op >> 12 & 3]);
    }
    x64_put8(a, op & 0xff);
}

/** On two registers, or one and a /digit in @reg. */
SM_INLINE bool x64_op_rr(struct x64 *a, uint32_t op, unsigned reg, unsigned rm)
{
    if (!x64_room(a))
        return false;
    x64_put_opcode(a, op, reg, 0, rm,
                   (op & X64_BYTE_REG && reg >= 4) || (op & X64_BYTE_RM && rm >= 4));
    x64_put8(a, x64_modrm(3, reg, rm));
    return true;
}

/** With a register in the opcode's low bits. */
SM_INLINE bool x64_op_r(struct x64 *a, uint32_t op, unsigned reg)
{
    if (!x64_room(a))
        return false;
    x64_put_opcode(a, op | (reg & 7), 0, 0, reg, false);
    return true;
}

/** With modrm, sib and displacement for @mem. */
bool x64_op_rm(struct x64 *a, uint32_t op, unsigned reg, struct x64_mem mem);
/** The same for what is at @target, an address of this buffer, without an immediate. */
void x64_op_here(struct x64 *a, uint32_t op, unsigned reg, const uint8_t *target);
/** A VEX instruction on three registers. */
bool x64_op_vex(struct x64 *a, uint32_t op, unsigned reg, unsigned v, unsigned rm);

#endif
