/* SPDX-License-Identifier: MIT */
/* encode.h - the few encodings that the harness is written in.
 *
 * Independent of the decoder under test on purpose.
 * Source: RISC-V Unprivileged, "RV32/64G Instruction Set Listings".
 */
#ifndef DIFF_ENCODE_H
#define DIFF_ENCODE_H

#include "base/bits.h"

SM_INLINE uint32_t enc_r(uint32_t op, unsigned rd, unsigned f3, unsigned rs1,
                         unsigned rs2, unsigned f7)
{
    return op | rd << 7 | f3 << 12 | rs1 << 15 | rs2 << 20 | f7 << 25;
}
SM_INLINE uint32_t enc_i(uint32_t op, unsigned rd, unsigned f3, unsigned rs1, int imm)
{
    return op | rd << 7 | f3 << 12 | rs1 << 15 | ((uint32_t)imm & 0xfff) << 20;
}
SM_INLINE uint32_t enc_s(uint32_t op, unsigned f3, unsigned rs1, unsigned rs2, int imm)
{
    return op | ((uint32_t)imm & 0x1f) << 7 | f3 << 12 | rs1 << 15 | rs2 << 20 |
           ((uint32_t)imm >> 5 & 0x7f) << 25;
}
SM_INLINE uint32_t enc_b(unsigned f3, unsigned rs1, unsigned rs2, int imm)
{
    const uint32_t u = (uint32_t)imm;
    return 0x63 | (u >> 11 & 1) << 7 | (u >> 1 & 0xf) << 8 | f3 << 12 | rs1 << 15 |
           rs2 << 20 | (u >> 5 & 0x3f) << 25 | (u >> 12 & 1) << 31;
}
SM_INLINE uint32_t enc_j(unsigned rd, int imm)
{
    const uint32_t u = (uint32_t)imm;
    return 0x6f | rd << 7 | (u >> 12 & 0xff) << 12 | (u >> 11 & 1) << 20 |
           (u >> 1 & 0x3ff) << 21 | (u >> 20 & 1) << 31;
}
SM_INLINE uint32_t enc_u(uint32_t op, unsigned rd, uint32_t imm)
{
    return op | rd << 7 | (imm & 0xfffff000u);
}

SM_INLINE uint32_t enc_ld(unsigned rd, unsigned rs1, int imm)
{
    return enc_i(0x03, rd, 3, rs1, imm);
}
SM_INLINE uint32_t enc_lhu(unsigned rd, unsigned rs1, int imm)
{
    return enc_i(0x03, rd, 5, rs1, imm);
}
SM_INLINE uint32_t enc_fld(unsigned rd, unsigned rs1, int imm)
{
    return enc_i(0x07, rd, 3, rs1, imm);
}
SM_INLINE uint32_t enc_sd(unsigned rs2, unsigned rs1, int imm)
{
    return enc_s(0x23, 3, rs1, rs2, imm);
}
SM_INLINE uint32_t enc_sw(unsigned rs2, unsigned rs1, int imm)
{
    return enc_s(0x23, 2, rs1, rs2, imm);
}
SM_INLINE uint32_t enc_fsd(unsigned rs2, unsigned rs1, int imm)
{
    return enc_s(0x27, 3, rs1, rs2, imm);
}
SM_INLINE uint32_t enc_addi(unsigned rd, unsigned rs1, int imm)
{
    return enc_i(0x13, rd, 0, rs1, imm);
}
SM_INLINE uint32_t enc_andi(unsigned rd, unsigned rs1, int imm)
{
    return enc_i(0x13, rd, 7, rs1, imm);
}
SM_INLINE uint32_t enc_slli(unsigned rd, unsigned rs1, int n)
{
    return enc_i(0x13, rd, 1, rs1, n);
}
SM_INLINE uint32_t enc_add(unsigned rd, unsigned a, unsigned b)
{
    return enc_r(0x33, rd, 0, a, b, 0);
}
SM_INLINE uint32_t enc_sub(unsigned rd, unsigned a, unsigned b)
{
    return enc_r(0x33, rd, 0, a, b, 0x20);
}
SM_INLINE uint32_t enc_xor(unsigned rd, unsigned a, unsigned b)
{
    return enc_r(0x33, rd, 4, a, b, 0);
}
SM_INLINE uint32_t enc_mul(unsigned rd, unsigned a, unsigned b)
{
    return enc_r(0x33, rd, 0, a, b, 1);
}
SM_INLINE uint32_t enc_csrrw(unsigned rd, unsigned csr, unsigned rs1)
{
    return enc_i(0x73, rd, 1, rs1, (int)csr);
}
SM_INLINE uint32_t enc_csrrs(unsigned rd, unsigned csr, unsigned rs1)
{
    return enc_i(0x73, rd, 2, rs1, (int)csr);
}
enum {
    ENC_ECALL = 0x73,
    ENC_MRET = 0x30200073,
    ENC_SFENCE = 0x12000073,
    ENC_FENCE_I = 0x100f,
    ENC_SELF = 0x6f
};

#endif
