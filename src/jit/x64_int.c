/* SPDX-License-Identifier: MIT */
/* x64_int.c - turns what computes with integers into x86-64 instructions.
 *
 * Destinations may be the same as any operand: every function below reads all operands
 * before it writes, or computes in rax, rcx or rdx.
 */
#include "jit/x64_impl.h"

/** Whether @reg is in @host. */
static bool is_in(const struct jit_lower *l, jit_reg reg, unsigned host)
{
    return x64_in_reg(l, reg) && x64_loc(l, reg).reg == host;
}

/** Emit @host @op= @reg. */
static void alu(struct jit_lower *l, enum x64_alu op, unsigned host, jit_reg reg)
{
    int32_t imm;

    if (x64_is_imm(l, reg, &imm)) {
        x64_alu_ri(&l->a, op, true, host, imm);
    } else if (jit_is_const(reg) || x64_in_reg(l, reg)) {
        x64_alu_rr(&l->a, op, true, host, x64_use(l, reg, X64_RCX));
    } else {
        x64_alu_rm(&l->a, op, true, host, x64_home(l, x64_loc(l, reg).offset));
    }
}

enum x64_cc x64_compare(struct jit_lower *l, enum jit_cond cond, jit_reg a, jit_reg b)
{
    static const uint8_t codes[JIT_N_CONDS] = {
        [JIT_EQ] = X64_E, [JIT_NE] = X64_NE, [JIT_LT] = X64_L, [JIT_GE] = X64_GE,
        [JIT_LE] = X64_LE, [JIT_GT] = X64_G, [JIT_LTU] = X64_B, [JIT_GEU] = X64_AE,
        [JIT_LEU] = X64_BE, [JIT_GTU] = X64_A};
    int32_t imm;
    const bool is_imm = x64_is_imm(l, b, &imm);

    if (is_imm && x64_in_reg(l, a)) {
        const unsigned host = x64_loc(l, a).reg;

        if (imm == 0)
            x64_test_rr(&l->a, true, host, host);
        else
            x64_alu_ri(&l->a, X64_CMP, true, host, imm);
    } else if (is_imm && !jit_is_const(a)) {
        x64_alu_mi(&l->a, X64_CMP, true, x64_home(l, x64_loc(l, a).offset), imm);
    } else {
        alu(l, X64_CMP, x64_use(l, a, X64_RAX), b);
    }
    return (enum x64_cc)codes[cond];
}

/* --- Two operands ----------------------------------------------------------------- */

static bool commutes(enum jit_op op)
{
    return op == JIT_OP_add || op == JIT_OP_and || op == JIT_OP_or || op == JIT_OP_xor ||
           op == JIT_OP_mul;
}

/** d = d op b, where d is at home in memory. */
static bool lower_in_place(struct jit_lower *l, enum x64_alu op,
                           const struct jit_insn *insn)
{
    int32_t imm;
    struct x64_mem home;

    if (insn->d != insn->a || x64_in_reg(l, insn->d))
        return false;
    home = x64_home(l, x64_loc(l, insn->d).offset);
    if (x64_is_imm(l, insn->b, &imm))
        x64_alu_mi(&l->a, op, true, home, imm);
    else if (x64_in_reg(l, insn->b))
        x64_alu_mr(&l->a, op, true, home, x64_loc(l, insn->b).reg);
    else
        return false;
    return true;
}

static void lower_alu(struct jit_lower *l, enum x64_alu op, const struct jit_insn *insn)
{
    jit_reg a = insn->a, b = insn->b;
    unsigned d;

    if (lower_in_place(l, op, insn))
        return;
    d = x64_target(l, insn->d, X64_RAX);
    if (commutes((enum jit_op)insn->op) && (is_in(l, b, d) || jit_is_const(a))) {
        a = insn->b;
        b = insn->a;
    }
    if (is_in(l, b, d) && !is_in(l, a, d))
        d = X64_RAX;
    x64_fetch(l, d, a);
    alu(l, op, d, b);
    x64_done(l, insn->d, d);
}

static void lower_add(struct jit_lower *l, const struct jit_insn *insn)
{
    const unsigned d = x64_target(l, insn->d, X64_RAX);
    int32_t imm;

    if (x64_in_reg(l, insn->a) && !is_in(l, insn->a, d) && x64_is_imm(l, insn->b, &imm)) {
        x64_lea(&l->a, true, d, x64_at(x64_loc(l, insn->a).reg, imm));
        x64_done(l, insn->d, d);
    } else if (x64_in_reg(l, insn->a) && x64_in_reg(l, insn->b) &&
               !is_in(l, insn->a, d) && !is_in(l, insn->b, d)) {
        x64_lea(&l->a, true, d,
                x64_at2(x64_loc(l, insn->a).reg, x64_loc(l, insn->b).reg, 0, 0));
        x64_done(l, insn->d, d);
    } else {
        lower_alu(l, X64_ADD, insn);
    }
}

static void lower_mul(struct jit_lower *l, const struct jit_insn *insn)
{
    unsigned d = x64_target(l, insn->d, X64_RAX);
    int32_t imm;

    if (x64_is_imm(l, insn->b, &imm)) {
        x64_imul_rri(&l->a, true, d, x64_use(l, insn->a, X64_RAX), imm);
    } else {
        const unsigned b = x64_use(l, insn->b, X64_RCX);

        if (d == b && !is_in(l, insn->a, d))
            d = X64_RAX;
        x64_fetch(l, d, insn->a);
        x64_imul_rr(&l->a, true, d, b);
    }
    x64_done(l, insn->d, d);
}

static void lower_shift(struct jit_lower *l, enum x64_shift op,
                        const struct jit_insn *insn)
{
    const unsigned d = x64_target(l, insn->d, X64_RAX);

    if (jit_is_const(insn->b)) {
        const unsigned n = jit_ir_value(l->ir, insn->b) & 63;

        if (op == X64_ROR && !is_in(l, insn->a, d)) {
            x64_rorx(&l->a, true, d, x64_use(l, insn->a, X64_RAX), n);
        } else {
            x64_fetch(l, d, insn->a);
            if (n)
                x64_shift_ri(&l->a, op, true, d, n);
        }
    } else if (op == X64_ROL || op == X64_ROR) {
        x64_fetch(l, X64_RAX, insn->a);
        x64_fetch(l, X64_RCX, insn->b);
        x64_shift_rcl(&l->a, op, true, X64_RAX);
        x64_done(l, insn->d, X64_RAX);
        return;
    } else {
        const unsigned a = x64_use(l, insn->a, X64_RAX);

        x64_shiftx(&l->a, op, true, d, a, x64_use(l, insn->b, X64_RCX));
    }
    x64_done(l, insn->d, d);
}

/** Rotate words. */
static void lower_rotate_word(struct jit_lower *l, enum x64_shift op,
                              const struct jit_insn *insn)
{
    const unsigned d = x64_target(l, insn->d, X64_RAX);
    unsigned from = X64_RAX;

    if (op == X64_ROR && jit_is_const(insn->b)) {
        from = d;
        x64_rorx(&l->a, false, d, x64_use(l, insn->a, X64_RAX),
                 jit_ir_value(l->ir, insn->b) & 31);
    } else {
        x64_fetch(l, X64_RAX, insn->a);
        x64_fetch(l, X64_RCX, insn->b);
        x64_shift_rcl(&l->a, op, false, X64_RAX);
    }
    x64_extend(&l->a, JIT_32, true, d, from);
    x64_done(l, insn->d, d);
}

/** The high half of a product, in rdx. */
static void lower_mul_high(struct jit_lower *l, const struct jit_insn *insn)
{
    const unsigned b = x64_use(l, insn->b, X64_RCX);

    x64_fetch(l, X64_RAX, insn->a);
    x64_unary(&l->a, insn->op == JIT_OP_mulhs ? X64_IMUL : X64_MUL, true, b);
    if (insn->op == JIT_OP_mulhsu) { /* less b where a is negative */
        x64_fetch(l, X64_RAX, insn->a);
        x64_shift_ri(&l->a, X64_SAR, true, X64_RAX, 63);
        x64_alu_rr(&l->a, X64_AND, true, X64_RAX, b);
        x64_alu_rr(&l->a, X64_SUB, true, X64_RDX, X64_RAX);
    }
    x64_done(l, insn->d, X64_RDX);
}

/** Quotient or remainder, into rax, for all operands. */
static void lower_div(struct jit_lower *l, const struct jit_insn *insn)
{
    const bool is_signed = insn->op == JIT_OP_divs || insn->op == JIT_OP_rems;
    const bool quotient = insn->op == JIT_OP_divs || insn->op == JIT_OP_divu;
    struct x64_label zero = {0}, minus = {0}, done = {0};

    x64_fetch(l, X64_RCX, insn->b);
    x64_fetch(l, X64_RAX, insn->a);
    x64_test_rr(&l->a, true, X64_RCX, X64_RCX);
    x64_jcc(&l->a, X64_E, &zero);
    if (is_signed) {
        x64_alu_ri(&l->a, X64_CMP, true, X64_RCX, -1);
        x64_jcc(&l->a, X64_E, &minus);
        x64_cqo(&l->a, true);
        x64_unary(&l->a, X64_IDIV, true, X64_RCX);
    } else {
        x64_alu_rr(&l->a, X64_XOR, false, X64_RDX, X64_RDX);
        x64_unary(&l->a, X64_DIV, true, X64_RCX);
    }
    if (!quotient)
        x64_mov_rr(&l->a, true, X64_RAX, X64_RDX);
    x64_jmp(&l->a, &done);
    if (is_signed) {
        x64_bind(&l->a, &minus);
        if (quotient)
            x64_unary(&l->a, X64_NEG, true, X64_RAX);
        else
            x64_alu_rr(&l->a, X64_XOR, false, X64_RAX, X64_RAX);
        x64_jmp(&l->a, &done);
    }
    x64_bind(&l->a, &zero);
    if (quotient)
        x64_mov_ri(&l->a, X64_RAX, UINT64_MAX);
    x64_bind(&l->a, &done);
    x64_done(l, insn->d, X64_RAX);
}

static void lower_min_max(struct jit_lower *l, const struct jit_insn *insn)
{
    const enum x64_cc better = insn->op == JIT_OP_mins   ? X64_L
                               : insn->op == JIT_OP_maxs ? X64_G
                               : insn->op == JIT_OP_minu ? X64_B
                                                         : X64_A;
    const unsigned b = x64_use(l, insn->b, X64_RCX);

    x64_fetch(l, X64_RAX, insn->a);
    x64_alu_rr(&l->a, X64_CMP, true, b, X64_RAX);
    x64_cmov(&l->a, better, true, X64_RAX, b);
    x64_done(l, insn->d, X64_RAX);
}

static void lower_set(struct jit_lower *l, const struct jit_insn *insn)
{
    const enum x64_cc cc = x64_compare(l, (enum jit_cond)insn->aux, insn->a, insn->b);
    const unsigned d = x64_target(l, insn->d, X64_RAX);

    x64_setcc(&l->a, cc, X64_RAX);
    x64_extend(&l->a, 0, false, d, X64_RAX);
    x64_done(l, insn->d, d);
}

static void lower_sel(struct jit_lower *l, const struct jit_insn *insn)
{
    unsigned b;

    x64_fetch(l, X64_RAX, insn->c);
    b = x64_use(l, insn->b, X64_RCX);
    if (x64_in_reg(l, insn->a)) {
        const unsigned a = x64_loc(l, insn->a).reg;

        x64_test_rr(&l->a, true, a, a);
    } else {
        x64_fetch(l, X64_RDX, insn->a);
        x64_test_rr(&l->a, true, X64_RDX, X64_RDX);
    }
    x64_cmov(&l->a, X64_NE, true, X64_RAX, b);
    x64_done(l, insn->d, X64_RAX);
}

/* --- One operand -------------------------------------------------------------------- */

static void lower_mov(struct jit_lower *l, const struct jit_insn *insn)
{
    int32_t imm;

    if (!x64_in_reg(l, insn->d) && x64_is_imm(l, insn->a, &imm)) {
        x64_store_i(&l->a, 3, x64_home(l, x64_loc(l, insn->d).offset), imm);
    } else if (x64_in_reg(l, insn->d)) {
        x64_fetch(l, x64_loc(l, insn->d).reg, insn->a);
    } else {
        x64_done(l, insn->d, x64_use(l, insn->a, X64_RAX));
    }
}

static void lower_extend(struct jit_lower *l, const struct jit_insn *insn)
{
    const unsigned d = x64_target(l, insn->d, X64_RAX);
    const bool is_signed = insn->op == JIT_OP_sxt;

    if (jit_is_const(insn->a) || x64_in_reg(l, insn->a))
        x64_extend(&l->a, insn->aux, is_signed, d, x64_use(l, insn->a, X64_RAX));
    else
        x64_load(&l->a, insn->aux, is_signed, d,
                 x64_home(l, x64_loc(l, insn->a).offset));
    x64_done(l, insn->d, d);
}

static void lower_count(struct jit_lower *l, enum x64_count op,
                        const struct jit_insn *insn)
{
    const unsigned d = x64_target(l, insn->d, X64_RAX);

    x64_count_bits(&l->a, op, true, d, x64_use(l, insn->a, X64_RAX));
    x64_done(l, insn->d, d);
}

/* --- From hand to hand ----------------------------------------------------------------- */

/** Whether @insn writes what x64_target() says, last, and calls nobody. */
static bool makes_only(const struct jit_insn *insn)
{
    switch ((enum jit_op)insn->op) {
    case JIT_OP_add:
    case JIT_OP_sub:
    case JIT_OP_and:
    case JIT_OP_or:
    case JIT_OP_xor:
    case JIT_OP_shl:
    case JIT_OP_shr:
    case JIT_OP_sar:
    case JIT_OP_rol:
    case JIT_OP_ror:
    case JIT_OP_rolw:
    case JIT_OP_rorw:
    case JIT_OP_mul:
    case JIT_OP_sxt:
    case JIT_OP_zxt: return true;
    default: return false;
    }
}

/* Whoever reads rax has to read it before anything else is fetched into it. */
bool jit_host_hands(const struct jit_insn *from, const struct jit_insn *to)
{
    if (!makes_only(from))
        return false;
    switch ((enum jit_op)to->op) {
    case JIT_OP_add:
    case JIT_OP_and:
    case JIT_OP_or:
    case JIT_OP_xor: return (to->a == from->d) != (to->b == from->d);
    case JIT_OP_mov: return to->a == from->d;
    default: return makes_only(to) && to->a == from->d && to->b != from->d;
    }
}

/* --- All ----------------------------------------------------------------------------- */

void x64_lower_int(struct jit_lower *l, const struct jit_insn *insn)
{
    switch ((enum jit_op)insn->op) {
    case JIT_OP_mov: lower_mov(l, insn); break;
    case JIT_OP_add: lower_add(l, insn); break;
    case JIT_OP_sub: lower_alu(l, X64_SUB, insn); break;
    case JIT_OP_and: lower_alu(l, X64_AND, insn); break;
    case JIT_OP_or: lower_alu(l, X64_OR, insn); break;
    case JIT_OP_xor: lower_alu(l, X64_XOR, insn); break;
    case JIT_OP_shl: lower_shift(l, X64_SHL, insn); break;
    case JIT_OP_shr: lower_shift(l, X64_SHR, insn); break;
    case JIT_OP_sar: lower_shift(l, X64_SAR, insn); break;
    case JIT_OP_rol: lower_shift(l, X64_ROL, insn); break;
    case JIT_OP_ror: lower_shift(l, X64_ROR, insn); break;
    case JIT_OP_rolw: lower_rotate_word(l, X64_ROL, insn); break;
    case JIT_OP_rorw: lower_rotate_word(l, X64_ROR, insn); break;
    case JIT_OP_mul: lower_mul(l, insn); break;
    case JIT_OP_mulhs:
    case JIT_OP_mulhu:
    case JIT_OP_mulhsu: lower_mul_high(l, insn); break;
    case JIT_OP_divs:
    case JIT_OP_divu:
    case JIT_OP_rems:
    case JIT_OP_remu: lower_div(l, insn); break;
    case JIT_OP_mins:
    case JIT_OP_maxs:
    case JIT_OP_minu:
    case JIT_OP_maxu: lower_min_max(l, insn); break;
    case JIT_OP_sxt:
    case JIT_OP_zxt: lower_extend(l, insn); break;
    case JIT_OP_clz: lower_count(l, X64_LZCNT, insn); break;
    case JIT_OP_ctz: lower_count(l, X64_TZCNT, insn); break;
    case JIT_OP_popcnt: lower_count(l, X64_POPCNT, insn); break;
    case JIT_OP_bswap:
        x64_fetch(l, X64_RAX, insn->a);
        x64_bswap(&l->a, true, X64_RAX);
        x64_done(l, insn->d, X64_RAX);
        break;
    case JIT_OP_set: lower_set(l, insn); break;
    case JIT_OP_sel: lower_sel(l, insn); break;
    default: sm_broken("no operation on integers", __FILE__, __LINE__);
    }
}
