/* SPDX-License-Identifier: MIT */
/* x64_asm_sse.c - encodes x86-64 instructions on scalars in vector registers. */
#include "jit/x64_asm_impl.h"

/* Scalar instructions say their precision with a prefix. */
static uint32_t scalar(bool d)
{
    return (d ? X64_PF2 : X64_PF3) | X64_M0F;
}

void x64_movq_xr(struct x64 *a, bool w, unsigned xmm, unsigned reg)
{
    x64_op_rr(a, 0x6e | X64_P66 | X64_M0F | x64_width(w), xmm, reg);
}

void x64_movq_rx(struct x64 *a, bool w, unsigned reg, unsigned xmm)
{
    x64_op_rr(a, 0x7e | X64_P66 | X64_M0F | x64_width(w), xmm, reg);
}

void x64_movaps(struct x64 *a, unsigned dst, unsigned src)
{
    x64_op_rr(a, 0x28 | X64_M0F, dst, src);
}

void x64_movs_load(struct x64 *a, bool d, unsigned xmm, struct x64_mem src)
{
    x64_op_rm(a, 0x10 | scalar(d), xmm, src);
}

void x64_movs_store(struct x64 *a, bool d, struct x64_mem dst, unsigned xmm)
{
    x64_op_rm(a, 0x11 | scalar(d), xmm, dst);
}

void x64_sse_rr(struct x64 *a, enum x64_sse op, bool d, unsigned dst, unsigned src)
{
    x64_op_rr(a, (uint32_t)op | scalar(d), dst, src);
}

void x64_sse_rm(struct x64 *a, enum x64_sse op, bool d, unsigned dst, struct x64_mem src)
{
    x64_op_rm(a, (uint32_t)op | scalar(d), dst, src);
}

void x64_ps_rr(struct x64 *a, enum x64_ps op, unsigned dst, unsigned src)
{
    x64_op_rr(a, (uint32_t)op | X64_M0F, dst, src);
}

void x64_ps_here(struct x64 *a, enum x64_ps op, unsigned dst, const uint8_t *target)
{
    x64_op_here(a, (uint32_t)op | X64_M0F, dst, target);
}

void x64_comis(struct x64 *a, bool d, bool signalling, unsigned x, unsigned y)
{
    x64_op_rr(a, (signalling ? 0x2fu : 0x2eu) | X64_M0F | (d ? X64_P66 : 0), x, y);
}

void x64_cvt_ff(struct x64 *a, bool from_d, unsigned dst, unsigned src)
{
    x64_op_rr(a, 0x5a | scalar(from_d), dst, src);
}

void x64_cvt_fi(struct x64 *a, bool d, bool w, unsigned xmm, unsigned reg)
{
    x64_op_rr(a, 0x2a | scalar(d) | x64_width(w), xmm, reg);
}

void x64_cvt_if(struct x64 *a, bool d, bool w, bool truncate, unsigned reg, unsigned xmm)
{
    x64_op_rr(a, (truncate ? 0x2cu : 0x2du) | scalar(d) | x64_width(w), reg, xmm);
}

void x64_round(struct x64 *a, bool d, unsigned dst, unsigned src, unsigned mode)
{
    if (x64_op_rr(a, (d ? 0x0bu : 0x0au) | X64_M0F3A | X64_P66, dst, src))
        x64_put8(a, mode);
}

void x64_fmadd231(struct x64 *a, bool d, unsigned dst, unsigned x, unsigned y)
{
    x64_op_vex(a, 0xb9 | X64_M0F38 | X64_P66 | x64_width(d), dst, x, y);
}

void x64_ldmxcsr(struct x64 *a, struct x64_mem mem)
{
    x64_op_rm(a, 0xae | X64_M0F, 2, mem);
}

void x64_stmxcsr(struct x64 *a, struct x64_mem mem)
{
    x64_op_rm(a, 0xae | X64_M0F, 3, mem);
}
