/* SPDX-License-Identifier: MIT */
/* x64_lower.c - turns integer operations into x86-64 instructions.
 *
 * Destinations may be the same as any operand: every function below reads all operands
 * before it writes, or computes in rax, rcx or rdx.
 */
#include "jit/x64_impl.h"

#include <cpuid.h>

const struct jit_host jit_host_regs = {
    .n_ints = 10,
    .n_fps = 13,
    .n_pins = 7,
    .ints = {X64_RBX, X64_R12, X64_R13, X64_R14, X64_RSI, X64_RDI, X64_R8, X64_R9,
             X64_R10, X64_R11},
    .fps = {3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
};

bool jit_host_supported(void)
{
    unsigned a, b, c, d;

    /* Of LZCNT compilers do not all know the name. */
    __builtin_cpu_init();
    return __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("sse4.1") &&
           __get_cpuid(0x80000001, &a, &b, &c, &d) && (c & bit_LZCNT);
}

/* --- Operands ------------------------------------------------------------------ */

unsigned x64_use(struct jit_lower *l, jit_reg reg, unsigned scratch)
{
    if (x64_in_reg(l, reg))
        return x64_loc(l, reg).reg;
    x64_fetch(l, scratch, reg);
    return scratch;
}

void x64_fetch(struct jit_lower *l, unsigned host, jit_reg reg)
{
    if (jit_is_const(reg)) {
        x64_mov_ri(&l->a, host, jit_ir_value(l->ir, reg));
    } else {
        const struct jit_loc loc = x64_loc(l, reg);

        if (loc.reg == JIT_IN_MEMORY)
            x64_load(&l->a, 3, false, host, x64_home(l, loc.offset));
        else if (loc.reg != host)
            x64_mov_rr(&l->a, true, host, loc.reg);
    }
}

unsigned x64_target(const struct jit_lower *l, jit_reg reg, unsigned scratch)
{
    const struct jit_loc loc = x64_loc(l, reg);

    return loc.reg == JIT_IN_MEMORY ? scratch : loc.reg;
}

void x64_done(struct jit_lower *l, jit_reg reg, unsigned host)
{
    const struct jit_loc loc = x64_loc(l, reg);

    if (loc.reg == JIT_IN_MEMORY)
        x64_store(&l->a, 3, x64_home(l, loc.offset), host);
    else if (loc.reg != host)
        x64_mov_rr(&l->a, true, loc.reg, host);
}

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

/** d, a, b or c. */
static jit_reg operand(const struct jit_insn *insn, unsigned k)
{
    return k == 0 ? insn->d : k == 1 ? insn->a : k == 2 ? insn->b : insn->c;
}

/** Have x64_loc() say where operands were when @cold was asked for. */
static void restore_operands(struct jit_lower *l, const struct x64_cold *cold)
{
    for (unsigned k = 0; cold->insn && k < 4; k++) {
        const jit_reg reg = operand(cold->insn, k);

        if (reg == JIT_NONE || jit_is_const(reg))
            continue;
        if (jit_is_global(reg))
            l->alloc->global[reg] = cold->at[k];
        else
            l->alloc->temp[reg - JIT_TEMP0] = cold->at[k];
    }
}

struct x64_cold *x64_cold(struct jit_lower *l, enum x64_cold_kind kind,
                          const struct jit_insn *insn)
{
    struct jit_loc at[4] = {0};
    struct x64_cold *cold = &l->cold[l->n_cold];

    if (l->n_cold + 1 >= X64_MAX_COLD) {
        l->failed = true; /* and the last is used over and over */
    } else {
        l->n_cold++;
    }
    for (unsigned k = 0; insn && k < 4; k++) {
        const jit_reg reg = operand(insn, k);

        if (reg != JIT_NONE && !jit_is_const(reg))
            at[k] = x64_loc(l, reg);
    }
    *cold = (struct x64_cold){.kind = (uint8_t)kind, .insn = insn,
                              .regs = l->alloc->now,
                              .at = {at[0], at[1], at[2], at[3]},
                              .counted = l->counted};
    return cold;
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

static void lower_here(struct jit_lower *l, const struct jit_insn *insn)
{
    const unsigned d = x64_target(l, insn->d, X64_RAX);

    x64_load(&l->a, 3, false, d, X64_STATE(l, page));
    if (insn->imm)
        x64_alu_ri(&l->a, X64_ADD, true, d, insn->imm);
    x64_done(l, insn->d, d);
}

static void lower_state(struct jit_lower *l, const struct jit_insn *insn)
{
    const struct x64_mem mem = x64_home(l, insn->imm);

    if (insn->op == JIT_OP_lds) {
        const unsigned d = x64_target(l, insn->d, X64_RAX);

        x64_load(&l->a, jit_mem_bits(insn->aux), insn->aux & JIT_MEM_SIGNED, d, mem);
        x64_done(l, insn->d, d);
    } else {
        x64_store(&l->a, jit_mem_bits(insn->aux), mem, x64_use(l, insn->a, X64_RAX));
    }
}

/** Keep loads that follow from passing stores before. */
static void lower_fence(struct jit_lower *l)
{
    x64_lock_alu_mi(&l->a, X64_OR, false, x64_at(X64_RSP, 0), 0);
}

static void lower_call(struct jit_lower *l, const struct jit_insn *insn)
{
    struct jit_site *site;
    uint32_t number;

    site = x64_site(l, JIT_SITE_CALL, insn, &number);
    if (!site)
        return;
    site->call = l->ir->call[insn->imm];
    l->counted = insn->at; /* the site counts: those before it retired */
    x64_call_out(l, number);
}

/* --- All ----------------------------------------------------------------------------- */

static void lower(struct jit_lower *l, const struct jit_insn *insn)
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
    case JIT_OP_here: lower_here(l, insn); break;
    case JIT_OP_lds:
    case JIT_OP_sts: lower_state(l, insn); break;
    case JIT_OP_behind: x64_lower_behind(l, insn); break;
    case JIT_OP_ld:
    case JIT_OP_fld: x64_lower_load(l, insn); break;
    case JIT_OP_st:
    case JIT_OP_fst: x64_lower_store(l, insn); break;
    case JIT_OP_chk: x64_lower_check(l, insn); break;
    case JIT_OP_ldh:
    case JIT_OP_fldh: x64_lower_checked_load(l, insn); break;
    case JIT_OP_sth:
    case JIT_OP_fsth: x64_lower_checked_store(l, insn); break;
    case JIT_OP_rmw: x64_lower_rmw(l, insn); break;
    case JIT_OP_lr: x64_lower_lr(l, insn); break;
    case JIT_OP_sc: x64_lower_sc(l, insn); break;
    case JIT_OP_fence: lower_fence(l); break;
    case JIT_OP_fenter: x64_lower_fenter(l, insn); break;
    case JIT_OP_call: lower_call(l, insn); break;
    case JIT_OP_exit_if:
    case JIT_OP_loop_if:
    case JIT_OP_loop:
    case JIT_OP_exit:
    case JIT_OP_jump: x64_lower_way(l, insn); break;
    default: x64_lower_fp(l, insn); break;
    }
}

static void lower_cold(struct jit_lower *l, struct x64_cold *cold)
{
    x64_bind(&l->a, &cold->enter);
    l->alloc->now = cold->regs;
    restore_operands(l, cold);
    l->counted = cold->counted;
    switch ((enum x64_cold_kind)cold->kind) {
    case X64_COLD_SITE: x64_cold_site(l, cold); break;
    case X64_COLD_NEAR: x64_cold_near(l, cold); break;
    case X64_COLD_WAY: x64_cold_way(l, cold); break;
    case X64_COLD_POLL: x64_cold_poll(l, cold); break;
    case X64_COLD_FENTER: x64_cold_fenter(l, cold); break;
    case X64_COLD_NAN:
    case X64_COLD_FMA:
    case X64_COLD_UNBOX:
    case X64_COLD_MINMAX: x64_cold_fp(l, cold); break;
    case X64_COLD_TO_SIGNED:
    case X64_COLD_TO_UNSIGNED:
    case X64_COLD_FROM_UNSIGNED: x64_cold_convert(l, cold); break;
    }
}

static void move_load(void *opaque, enum jit_class class, unsigned reg, int32_t home)
{
    struct jit_lower *const l = opaque;

    if (class == JIT_CLASS_FP)
        x64_movs_load(&l->a, true, reg, x64_home(l, home));
    else
        x64_load(&l->a, 3, false, reg, x64_home(l, home));
}

static void move_store(void *opaque, enum jit_class class, unsigned reg, int32_t home)
{
    struct jit_lower *const l = opaque;

    if (class == JIT_CLASS_FP)
        x64_movs_store(&l->a, true, x64_home(l, home), reg);
    else
        x64_store(&l->a, 3, x64_home(l, home), reg);
}

bool jit_host_emit(struct jit *jit, struct jit_unit *unit, uint32_t stamp, bool *full)
{
    struct jit_mcode *const code = &jit->code;
    struct jit_lower *const l = jit->lower;
    const struct jit_mover mover = {move_load, move_store, l};

    l->jit = jit;
    l->ir = &jit->ir;
    l->alloc = &jit->alloc;
    l->unit = unit;
    l->stamp = stamp;
    l->counted = 0;
    l->n_cold = l->n_marked = 0;
    l->failed = false;
    l->head = l->poll = (struct x64_label){0};
    code->used = (code->used + 15) & ~(size_t)15;
    x64_init(&l->a, code->write + code->used, code->size - code->used);
    unit->code = l->a.at;
    x64_enter(l);
    for (unsigned i = 0; i < l->ir->n_insns; i++) {
        x64_mark(l, l->ir->insn[i].at);
        l->failed |= !jit_alloc_before(l->alloc, i, &mover);
        lower(l, &l->ir->insn[i]);
        jit_alloc_after(l->alloc, i);
    }
    x64_mark(l, l->ir->n_places);
    for (unsigned i = 0; i < l->n_cold; i++)
        lower_cold(l, &l->cold[i]);
    x64_poll_tail(l);
    *full = l->a.overflow;
    if (l->a.overflow || l->failed)
        return false;
    unit->size = (uint32_t)(l->a.at - unit->code);
    code->used += unit->size;
    jit_mcode_publish(code, unit->code, unit->size);
    return true;
}
