/* SPDX-License-Identifier: MIT */
/* x64_lower.c - turns a unit's operations into x86-64 instructions, and gives each its
 * operands.
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
    .hand = X64_RAX,
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

/* --- State and calls ----------------------------------------------------------------- */

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
    if (insn->op <= JIT_OP_sel) {
        x64_lower_int(l, insn);
        return;
    }
    switch ((enum jit_op)insn->op) {
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
