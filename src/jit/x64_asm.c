/* SPDX-License-Identifier: MIT */
/* x64_asm.c - encodes x86-64 instructions on integers, and jumps. */
#include "jit/x64_asm_impl.h"

/* modrm, sib and displacement.  RSP and R12 as a base need a sib, whose index RSP says
 * "none"; RBP and R13 need a displacement. */
static void put_mem(struct x64 *a, unsigned reg, struct x64_mem mem)
{
    const bool none = mem.index == X64_NO_REG;
    const bool sib = !none || (mem.base & 7) == X64_RSP;
    unsigned mod = 2;

    sm_assert_hot(mem.base < 16 && (none || (mem.index < 16 && mem.index != X64_RSP)));
    if (mem.disp == 0 && (mem.base & 7) != X64_RBP)
        mod = 0;
    else if (x64_is_imm8(mem.disp))
        mod = 1;
    x64_put8(a, x64_modrm(mod, reg, sib ? X64_RSP : mem.base));
    if (sib)
        x64_put8(a, x64_modrm(mem.scale, none ? X64_RSP : mem.index, mem.base));
    if (mod == 1)
        x64_put8(a, (uint8_t)mem.disp);
    else if (mod == 2)
        x64_put32(a, (uint32_t)mem.disp);
}

bool x64_op_rm(struct x64 *a, uint32_t op, unsigned reg, struct x64_mem mem)
{
    if (!x64_room(a))
        return false;
    x64_put_opcode(a, op, reg, mem.index == X64_NO_REG ? 0 : mem.index, mem.base,
                   op & X64_BYTE_REG && reg >= 4);
    put_mem(a, reg, mem);
    return true;
}

bool x64_op_vex(struct x64 *a, uint32_t op, unsigned reg, unsigned v, unsigned rm)
{
    if (!x64_room(a))
        return false;
    x64_put8(a, 0xc4);
    x64_put8(a, (~reg & 8) << 4 | 0x40 | (~rm & 8) << 2 | (op >> 12 & 3));
    x64_put8(a, (op & X64_W ? 0x80u : 0) | (~v & 15) << 3 | (op >> 8 & 3));
    x64_put8(a, op & 0xff);
    x64_put8(a, x64_modrm(3, reg, rm));
    return true;
}

/* --- Arithmetic --------------------------------------------------------------- */

void x64_alu_rr(struct x64 *a, enum x64_alu op, bool w, unsigned dst, unsigned src)
{
    /* A register becomes 0 whole at 32 bits, too, and with the same flags. */
    if (dst == src && (op == X64_XOR || op == X64_SUB))
        w = false;
    x64_op_rr(a, (uint32_t)op << 3 | 1 | x64_width(w), src, dst);
}

void x64_alu_ri(struct x64 *a, enum x64_alu op, bool w, unsigned dst, int32_t imm)
{
    if (op == X64_AND && imm >= 0) /* so are result and flags here */
        w = false;
    if (x64_is_imm8(imm)) {
        if (x64_op_rr(a, 0x83 | x64_width(w), op, dst))
            x64_put8(a, (uint8_t)imm);
    } else if (dst == X64_RAX) {
        if (x64_op_r(a, (uint32_t)op << 3 | 5 | x64_width(w), 0))
            x64_put32(a, (uint32_t)imm);
    } else if (x64_op_rr(a, 0x81 | x64_width(w), op, dst)) {
        x64_put32(a, (uint32_t)imm);
    }
}

void x64_alu_rm(struct x64 *a, enum x64_alu op, bool w, unsigned dst, struct x64_mem src)
{
    x64_op_rm(a, (uint32_t)op << 3 | 3 | x64_width(w), dst, src);
}

void x64_alu_mr(struct x64 *a, enum x64_alu op, bool w, struct x64_mem dst, unsigned src)
{
    x64_op_rm(a, (uint32_t)op << 3 | 1 | x64_width(w), src, dst);
}

static void alu_mi(struct x64 *a, uint32_t flags, enum x64_alu op, struct x64_mem dst,
                   int32_t imm)
{
    if (x64_is_imm8(imm)) {
        if (x64_op_rm(a, 0x83 | flags, op, dst))
            x64_put8(a, (uint8_t)imm);
    } else if (x64_op_rm(a, 0x81 | flags, op, dst)) {
        x64_put32(a, (uint32_t)imm);
    }
}

void x64_alu_mi(struct x64 *a, enum x64_alu op, bool w, struct x64_mem dst, int32_t imm)
{
    alu_mi(a, x64_width(w), op, dst, imm);
}

void x64_cmp8_mi(struct x64 *a, struct x64_mem mem, int8_t imm)
{
    if (x64_op_rm(a, 0x80, X64_CMP, mem))
        x64_put8(a, (uint8_t)imm);
}

uint8_t *x64_cmp_mi32(struct x64 *a, struct x64_mem mem, uint32_t imm)
{
    if (!x64_op_rm(a, 0x81, X64_CMP, mem))
        return NULL;
    x64_put32(a, imm);
    return a->at - sizeof(imm);
}

void x64_test_rr(struct x64 *a, bool w, unsigned x, unsigned y)
{
    x64_op_rr(a, 0x85 | x64_width(w), y, x);
}

void x64_test_ri(struct x64 *a, bool w, unsigned x, int32_t imm)
{
    const bool byte = imm >= 0 && x64_is_imm8(imm); /* the sign is 0 at any width */
    const uint32_t op = byte ? 0 : imm < 0 ? 1 | x64_width(w) : 1;

    if (!(x == X64_RAX ? x64_op_r(a, 0xa8 | op, 0)
                       : x64_op_rr(a, 0xf6 | op | (byte ? X64_BYTE_RM : 0), 0, x)))
        return;
    if (byte)
        x64_put8(a, (uint8_t)imm);
    else
        x64_put32(a, (uint32_t)imm);
}

void x64_shift_ri(struct x64 *a, enum x64_shift op, bool w, unsigned dst, unsigned n)
{
    if (n == 1)
        x64_op_rr(a, 0xd1 | x64_width(w), op, dst);
    else if (x64_op_rr(a, 0xc1 | x64_width(w), op, dst))
        x64_put8(a, n);
}

void x64_shift_rcl(struct x64 *a, enum x64_shift op, bool w, unsigned dst)
{
    x64_op_rr(a, 0xd3 | x64_width(w), op, dst);
}

void x64_shiftx(struct x64 *a, enum x64_shift op, bool w, unsigned dst, unsigned src,
                unsigned count)
{
    const uint32_t prefix = op == X64_SHL ? X64_P66 : op == X64_SHR ? X64_PF2 : X64_PF3;

    sm_assert_hot(op == X64_SHL || op == X64_SHR || op == X64_SAR);
    x64_op_vex(a, 0xf7 | X64_M0F38 | prefix | x64_width(w), dst, count, src);
}

void x64_rorx(struct x64 *a, bool w, unsigned dst, unsigned src, unsigned n)
{
    if (x64_op_vex(a, 0xf0 | X64_M0F3A | X64_PF2 | x64_width(w), dst, 0, src))
        x64_put8(a, n);
}

void x64_imul_rr(struct x64 *a, bool w, unsigned dst, unsigned src)
{
    x64_op_rr(a, 0xaf | X64_M0F | x64_width(w), dst, src);
}

void x64_imul_rm(struct x64 *a, bool w, unsigned dst, struct x64_mem src)
{
    x64_op_rm(a, 0xaf | X64_M0F | x64_width(w), dst, src);
}

void x64_imul_rri(struct x64 *a, bool w, unsigned dst, unsigned src, int32_t imm)
{
    if (x64_is_imm8(imm)) {
        if (x64_op_rr(a, 0x6b | x64_width(w), dst, src))
            x64_put8(a, (uint8_t)imm);
    } else if (x64_op_rr(a, 0x69 | x64_width(w), dst, src)) {
        x64_put32(a, (uint32_t)imm);
    }
}

void x64_unary(struct x64 *a, enum x64_unary op, bool w, unsigned reg)
{
    x64_op_rr(a, 0xf7 | x64_width(w), op, reg);
}

void x64_cqo(struct x64 *a, bool w)
{
    if (x64_room(a))
        x64_put_opcode(a, 0x99 | x64_width(w), 0, 0, 0, false);
}

void x64_count_bits(struct x64 *a, enum x64_count op, bool w, unsigned dst, unsigned src)
{
    x64_op_rr(a, (uint32_t)op | X64_PF3 | X64_M0F | x64_width(w), dst, src);
}

void x64_bswap(struct x64 *a, bool w, unsigned reg)
{
    x64_op_r(a, 0xc8 | X64_M0F | x64_width(w), reg);
}

void x64_setcc(struct x64 *a, enum x64_cc cc, unsigned dst)
{
    x64_op_rr(a, (0x90 + (uint32_t)cc) | X64_M0F | X64_BYTE_RM, 0, dst);
}

void x64_cmov(struct x64 *a, enum x64_cc cc, bool w, unsigned dst, unsigned src)
{
    x64_op_rr(a, (0x40 + (uint32_t)cc) | X64_M0F | x64_width(w), dst, src);
}

void x64_cmov_m(struct x64 *a, enum x64_cc cc, bool w, unsigned dst, struct x64_mem src)
{
    x64_op_rm(a, (0x40 + (uint32_t)cc) | X64_M0F | x64_width(w), dst, src);
}

/* --- Moves ---------------------------------------------------------------------- */

void x64_mov_rr(struct x64 *a, bool w, unsigned dst, unsigned src)
{
    x64_op_rr(a, 0x89 | x64_width(w), src, dst);
}

void x64_mov_ri(struct x64 *a, unsigned dst, uint64_t imm)
{
    if (imm <= UINT32_MAX) {
        if (x64_op_r(a, 0xb8, dst))
            x64_put32(a, (uint32_t)imm);
    } else if (imm == (uint64_t)(int32_t)imm) {
        if (x64_op_rr(a, 0xc7 | X64_W, 0, dst))
            x64_put32(a, (uint32_t)imm);
    } else {
        x64_mov_ri64(a, dst, imm);
    }
}

void x64_mov_ri64(struct x64 *a, unsigned dst, uint64_t imm)
{
    if (x64_op_r(a, 0xb8 | X64_W, dst))
        x64_put64(a, imm);
}

/* By size: to the whole register, zero- and sign-extended. */
static const uint32_t loads[2][4] = {
    {0xb6 | X64_M0F, 0xb7 | X64_M0F, 0x8b, 0x8b | X64_W},
    {0xbe | X64_M0F | X64_W, 0xbf | X64_M0F | X64_W, 0x63 | X64_W, 0x8b | X64_W},
};

void x64_load(struct x64 *a, unsigned size_bits, bool sign, unsigned dst,
              struct x64_mem src)
{
    x64_op_rm(a, loads[sign][size_bits & 3], dst, src);
}

void x64_extend(struct x64 *a, unsigned size_bits, bool sign, unsigned dst, unsigned src)
{
    const uint32_t byte = size_bits == 0 ? X64_BYTE_RM : 0;

    x64_op_rr(a, loads[sign][size_bits & 3] | byte, dst, src);
}

/* @opcode of the byte's form; the next is that of the others. */
SM_INLINE uint32_t sized(uint32_t opcode, unsigned size_bits)
{
    static const uint32_t more[4] = {X64_BYTE_REG, 1 | X64_P66, 1, 1 | X64_W};

    return opcode | more[size_bits & 3];
}

void x64_store(struct x64 *a, unsigned size_bits, struct x64_mem dst, unsigned src)
{
    x64_op_rm(a, sized(0x88, size_bits), src, dst);
}

void x64_store_i(struct x64 *a, unsigned size_bits, struct x64_mem dst, int32_t imm)
{
    if (!x64_op_rm(a, sized(0xc6, size_bits), 0, dst))
        return;
    if (size_bits == 0)
        x64_put8(a, (uint8_t)imm);
    else if (size_bits == 1)
        x64_put16(a, (uint32_t)imm);
    else
        x64_put32(a, (uint32_t)imm);
}

void x64_lea(struct x64 *a, bool w, unsigned dst, struct x64_mem src)
{
    x64_op_rm(a, 0x8d | x64_width(w), dst, src);
}

void x64_xchg(struct x64 *a, unsigned size_bits, struct x64_mem mem, unsigned reg)
{
    x64_op_rm(a, sized(0x86, size_bits), reg, mem); /* on memory it is always locked */
}

void x64_xadd(struct x64 *a, unsigned size_bits, struct x64_mem mem, unsigned reg)
{
    x64_op_rm(a, sized(0xc0, size_bits) | X64_M0F | X64_LOCK, reg, mem);
}

void x64_cmpxchg(struct x64 *a, unsigned size_bits, struct x64_mem mem, unsigned reg)
{
    x64_op_rm(a, sized(0xb0, size_bits) | X64_M0F | X64_LOCK, reg, mem);
}

void x64_lock_bts(struct x64 *a, struct x64_mem mem, unsigned bit)
{
    if (x64_op_rm(a, 0xba | X64_M0F | X64_LOCK | X64_W, 5, mem))
        x64_put8(a, bit);
}

void x64_lock_alu_mr(struct x64 *a, enum x64_alu op, bool w, struct x64_mem mem,
                     unsigned reg)
{
    x64_op_rm(a, (uint32_t)op << 3 | 1 | X64_LOCK | x64_width(w), reg, mem);
}

void x64_lock_alu_mi(struct x64 *a, enum x64_alu op, bool w, struct x64_mem mem,
                     int32_t imm)
{
    alu_mi(a, X64_LOCK | x64_width(w), op, mem, imm);
}

/* --- Control -------------------------------------------------------------------- */

void x64_push(struct x64 *a, unsigned reg)
{
    x64_op_r(a, 0x50, reg);
}

void x64_pop(struct x64 *a, unsigned reg)
{
    x64_op_r(a, 0x58, reg);
}

void x64_ret(struct x64 *a)
{
    if (x64_room(a))
        x64_put8(a, 0xc3);
}

void x64_jmp_r(struct x64 *a, unsigned reg)
{
    x64_op_rr(a, 0xff, 4, reg);
}

void x64_jmp_m(struct x64 *a, struct x64_mem mem)
{
    x64_op_rm(a, 0xff, 4, mem);
}

void x64_call_r(struct x64 *a, unsigned reg)
{
    x64_op_rr(a, 0xff, 2, reg);
}

void x64_call_m(struct x64 *a, struct x64_mem mem)
{
    x64_op_rm(a, 0xff, 2, mem);
}

void x64_ud2(struct x64 *a)
{
    if (x64_room(a)) {
        x64_put8(a, 0x0f);
        x64_put8(a, 0x0b);
    }
}

void x64_patch(uint8_t *disp, const uint8_t *target)
{
    const intptr_t distance = (intptr_t)((uintptr_t)target - (uintptr_t)disp - 4);
    const int32_t value = (int32_t)distance;

    sm_assert(distance == value); /* or generated code runs whatever lies there */
    memcpy(disp, &value, sizeof(value));
}

uint8_t *x64_last_disp(struct x64 *a)
{
    return a->overflow ? NULL : a->at - 4;
}

static void put_distance(struct x64 *a, const uint8_t *target)
{
    x64_patch(a->at, target);
    a->at += 4;
}

void x64_op_here(struct x64 *a, uint32_t op, unsigned reg, const uint8_t *target)
{
    if (x64_room(a)) {
        x64_put_opcode(a, op, reg, 0, 0, false);
        x64_put8(a, x64_modrm(0, reg, X64_RBP));
        put_distance(a, target);
    }
}

void x64_lea_here(struct x64 *a, unsigned dst, const uint8_t *target)
{
    x64_op_here(a, 0x8d | X64_W, dst, target);
}

static void jump_to(struct x64 *a, uint32_t op, const uint8_t *target)
{
    if (x64_room(a)) {
        x64_put_opcode(a, op, 0, 0, 0, false);
        put_distance(a, target);
    }
}

/** A displacement to @label, which is not bound. */
static void put_use(struct x64 *a, struct x64_label *label)
{
    x64_put32(a, label->uses ? (uint32_t)(a->at - label->uses) : 0);
    label->uses = a->at - 4;
}

static void jump(struct x64 *a, uint32_t op, struct x64_label *label)
{
    if (label->bound) {
        jump_to(a, op, label->bound);
    } else if (x64_room(a)) {
        x64_put_opcode(a, op, 0, 0, 0, false);
        put_use(a, label);
    }
}

void x64_lea_label(struct x64 *a, unsigned dst, struct x64_label *label)
{
    if (label->bound) {
        x64_lea_here(a, dst, label->bound);
    } else if (x64_room(a)) {
        x64_put_opcode(a, 0x8d | X64_W, dst, 0, 0, false);
        x64_put8(a, x64_modrm(0, dst, X64_RBP));
        put_use(a, label);
    }
}

void x64_bind(struct x64 *a, struct x64_label *label)
{
    uint8_t *use = label->uses;

    sm_assert_hot(!label->bound);
    label->bound = a->at;
    label->uses = NULL;
    while (use) {
        uint32_t distance;
        memcpy(&distance, use, sizeof(distance));
        x64_patch(use, label->bound);
        use = distance ? use - distance : NULL;
    }
}

void x64_jmp(struct x64 *a, struct x64_label *label)
{
    jump(a, 0xe9, label);
}

void x64_jcc(struct x64 *a, enum x64_cc cc, struct x64_label *label)
{
    jump(a, (0x80 + (uint32_t)cc) | X64_M0F, label);
}

void x64_call(struct x64 *a, struct x64_label *label)
{
    jump(a, 0xe8, label);
}

void x64_jmp_to(struct x64 *a, const uint8_t *target)
{
    jump_to(a, 0xe9, target);
}

void x64_jcc_to(struct x64 *a, enum x64_cc cc, const uint8_t *target)
{
    jump_to(a, (0x80 + (uint32_t)cc) | X64_M0F, target);
}

void x64_call_to(struct x64 *a, const uint8_t *target)
{
    jump_to(a, 0xe8, target);
}

void x64_align(struct x64 *a, unsigned align)
{
    static const uint8_t nops[9][9] = {
        {0x90},
        {0x66, 0x90},
        {0x0f, 0x1f, 0x00},
        {0x0f, 0x1f, 0x40, 0},
        {0x0f, 0x1f, 0x44, 0, 0},
        {0x66, 0x0f, 0x1f, 0x44, 0, 0},
        {0x0f, 0x1f, 0x80, 0, 0, 0, 0},
        {0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0},
        {0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0},
    };
    size_t n = -(uintptr_t)a->at & (align - 1);

    sm_assert_hot(align && !(align & (align - 1)));
    if (a->overflow || (size_t)(a->end - a->at) < n) {
        a->overflow = true;
        return;
    }
    while (n) {
        const size_t some = SM_MIN(n, sizeof(nops[0]));
        memcpy(a->at, nops[some - 1], some);
        a->at += some;
        n -= some;
    }
}
