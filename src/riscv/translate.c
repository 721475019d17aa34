/* SPDX-License-Identifier: MIT */
/* translate.c - chooses the instructions of a unit, and describes where it leads.
 *
 * A trace is followed in program order, through jumps within the page and behind branches
 * that lead forward, as if those were not taken.  It ends where control comes from more
 * than one place: at instructions that it has already, at branches back into the middle
 * of something, and at jumps whose target only the guest knows.
 */
#include "riscv/translate_impl.h"

#include <stddef.h>

/* --- The hart, to src/jit ---------------------------------------------------- */

SM_STATIC_ASSERT(offsetof(struct rv_hart, x) == 0, "a byte reaches x from the bias");

/** @rank: compilers use these most, and callees keep s0 and sp. */
#define X(n, rank)                                                                       \
    [RV_G_X0 + (n)] = {"x" #n, (int32_t)(offsetof(struct rv_hart, x) + 8 * (n)),         \
                       JIT_CLASS_INT, rank}
#define F(n)                                                                             \
    [RV_G_F0 + (n)] = {"f" #n, (int32_t)(offsetof(struct rv_hart, f) + 8 * (n)),         \
                       JIT_CLASS_FP, 0}

static const struct jit_global globals[RV_N_GLOBALS] = {
    X(0, 0),   X(1, 10),  X(2, 7),   X(3, 0),   X(4, 0),   X(5, 13),  X(6, 14),
    X(7, 15),  X(8, 8),   X(9, 9),   X(10, 1),  X(11, 2),  X(12, 3),  X(13, 4),
    X(14, 5),  X(15, 6),  X(16, 11), X(17, 12), X(18, 16), X(19, 17), X(20, 18),
    X(21, 19), X(22, 20), X(23, 21), X(24, 22), X(25, 23), X(26, 24), X(27, 25),
    X(28, 26), X(29, 27), X(30, 28), X(31, 29),
    F(0),  F(1),  F(2),  F(3),  F(4),  F(5),  F(6),  F(7),  F(8),  F(9),  F(10),
    F(11), F(12), F(13), F(14), F(15), F(16), F(17), F(18), F(19), F(20), F(21),
    F(22), F(23), F(24), F(25), F(26), F(27), F(28), F(29), F(30), F(31),
};

const struct jit_guest rv_jit_guest = {
    .struct_size = sizeof(rv_jit_guest),
    .n_globals = RV_N_GLOBALS,
    .globals = globals,
    .bias = 128,
    .state_offset = offsetof(struct rv_hart, jit),
    .count_offset = offsetof(struct rv_hart, instret),
    .load = rv_jit_load,
    .store = rv_jit_store,
    .fill = rv_jit_fill,
    .rmw = rv_jit_rmw,
    .lr = rv_jit_lr,
    .sc = rv_jit_sc,
    .touch = rv_jit_touch,
    .fp_enter = rv_jit_fp_enter,
    .fp_flags = rv_jit_fp_flags,
};

/** What follows an instruction. */
enum rv_follow {
    FOLLOW_NEXT,   /* what tr->next says                                       */
    FOLLOW_NOTHING /* its last operation ends the unit                         */
};

/* --- Ways out -------------------------------------------------------------- */

static bool in_page(int32_t offset)
{
    return (uint32_t)offset < SM_PAGE_SIZE;
}

/** A way to @offset behind the current instruction. */
static int32_t way_to(struct rv_translation *tr, int32_t offset)
{
    const enum jit_exit_kind kind = in_page(offset) ? JIT_EXIT_NEAR : JIT_EXIT_FAR;

    return jit_ir_way(tr->ir, kind, offset, true);
}

static enum rv_follow leave_to(struct rv_translation *tr, int32_t offset,
                               enum jit_jump jump)
{
    jit_ir_emit(tr->ir, JIT_OP_exit, jump, JIT_NONE, JIT_NONE, JIT_NONE, JIT_NONE,
                way_to(tr, offset));
    return FOLLOW_NOTHING;
}

/** Have the interpreter execute the current instruction. */
static enum rv_follow leave_aside(struct rv_translation *tr)
{
    jit_ir_emit(tr->ir, JIT_OP_exit, JIT_JUMP_PLAIN, JIT_NONE, JIT_NONE, JIT_NONE,
                JIT_NONE, jit_ir_way(tr->ir, JIT_EXIT_ASIDE, tr->offset, false));
    return FOLLOW_NOTHING;
}

static enum rv_follow loop(struct rv_translation *tr)
{
    rv_emit(tr, JIT_OP_loop, 0, JIT_NONE, JIT_NONE, JIT_NONE);
    return FOLLOW_NOTHING;
}

/* --- Jumps and branches ---------------------------------------------------- */

static bool seen(const struct rv_translation *tr, int offset)
{
    return (tr->seen[offset / 128] >> (offset / 2 % 64)) & 1;
}

/** Go on at @offset, in the trace if that is possible. */
static enum rv_follow go_to(struct rv_translation *tr, int32_t offset)
{
    if (offset == tr->trace->offset)
        return loop(tr);
    if (!in_page(offset) || seen(tr, offset))
        return leave_to(tr, offset, JIT_JUMP_PLAIN);
    tr->next = offset;
    return FOLLOW_NEXT;
}

static bool is_link(unsigned n)
{
    return n == 1 || n == 5;
}

static void emit_link(struct rv_translation *tr)
{
    if (tr->insn->rd)
        jit_ir_emit(tr->ir, JIT_OP_here, 0, rv_x_to(tr, tr->insn->rd), JIT_NONE, JIT_NONE,
                    JIT_NONE, tr->next);
}

/** Whether @target is where no instruction of a hart without C may begin. */
static bool misaligned(const struct rv_translation *tr, int32_t target)
{
    return !rv_isa_has(&tr->hart->isa, RV_EXT_C) && (target & 2);
}

static enum rv_follow translate_jal(struct rv_translation *tr)
{
    const int32_t target = tr->offset + tr->insn->imm;

    if (misaligned(tr, target))
        return leave_aside(tr);
    emit_link(tr);
    if (is_link(tr->insn->rd)) /* whose return is predicted, and has to be known */
        return leave_to(tr, target, JIT_JUMP_CALL);
    return go_to(tr, target);
}

/** Source: Unprivileged, "Unconditional Jumps", on return-address stacks. */
static enum jit_jump jump_of(const struct rv_insn *insn)
{
    if (is_link(insn->rd))
        return JIT_JUMP_CALL;
    return is_link(insn->rs1) ? JIT_JUMP_RETURN : JIT_JUMP_PLAIN;
}

static enum rv_follow translate_jalr(struct rv_translation *tr)
{
    const struct rv_insn *insn = tr->insn;
    jit_reg target = rv_x(tr, insn->rs1);

    if (!rv_isa_has(&tr->hart->isa, RV_EXT_C))
        return leave_aside(tr);
    if (insn->imm)
        target = rv_value(tr, JIT_OP_add, 0, target,
                          rv_const(tr, (uint64_t)(int64_t)insn->imm));
    target = rv_value(tr, JIT_OP_and, 0, target, rv_const(tr, ~UINT64_C(1)));
    emit_link(tr);
    rv_emit(tr, JIT_OP_jump, jump_of(insn), JIT_NONE, target, JIT_NONE);
    return FOLLOW_NOTHING;
}

static enum jit_cond cond_of(const struct rv_insn *insn)
{
    switch (insn->op) {
    case RV_OP_beq: return JIT_EQ;
    case RV_OP_bne: return JIT_NE;
    case RV_OP_blt: return JIT_LT;
    case RV_OP_bge: return JIT_GE;
    case RV_OP_bltu: return JIT_LTU;
    default: return JIT_GEU;
    }
}

static enum rv_follow translate_branch(struct rv_translation *tr)
{
    const struct rv_insn *insn = tr->insn;
    const int32_t target = tr->offset + insn->imm;
    const enum jit_cond cond = cond_of(insn);
    jit_reg a, b;

    if (misaligned(tr, target))
        return leave_aside(tr);
    if (insn->rs1 == insn->rs2) /* always or never taken */
        return cond == JIT_EQ || cond == JIT_GE || cond == JIT_GEU ? go_to(tr, target)
                                                                   : FOLLOW_NEXT;
    a = rv_x(tr, insn->rs1);
    b = rv_x(tr, insn->rs2);
    if (target == tr->trace->offset) {
        rv_emit(tr, JIT_OP_loop_if, cond, JIT_NONE, a, b);
        return FOLLOW_NEXT;
    }
    jit_ir_emit(tr->ir, JIT_OP_exit_if, cond, JIT_NONE, a, b, JIT_NONE,
                way_to(tr, target));
    if (insn->imm > 0)
        return FOLLOW_NEXT;
    return leave_to(tr, tr->next, JIT_JUMP_PLAIN);
}

/* --- Other instructions ---------------------------------------------------- */

void rv_emit_call(struct rv_translation *tr,
                  uint32_t (*function)(void *guest, const void *arg))
{
    const struct rv_insn *kept = rv_keep(tr->hart, tr->insn);

    if (!kept) {
        tr->ir->overflow = true;
        return;
    }
    jit_ir_emit(tr->ir, JIT_OP_call, 0, JIT_NONE, JIT_NONE, JIT_NONE, JIT_NONE,
                jit_ir_call(tr->ir, function, kept));
    tr->fp_entered = false;
}

static enum rv_described translate_straight(struct rv_translation *tr)
{
    switch ((enum rv_format)rv_insn_table[tr->insn->op].format) {
    case RV_FMT_R:
    case RV_FMT_R1:
    case RV_FMT_I:
    case RV_FMT_SHIFT:
    case RV_FMT_SHIFTW:
    case RV_FMT_U: return rv_translate_int(tr);
    case RV_FMT_LOAD:
    case RV_FMT_S:
    case RV_FMT_FLOAD:
    case RV_FMT_FSTORE:
    case RV_FMT_LR:
    case RV_FMT_AMO:
    case RV_FMT_CBO:
    case RV_FMT_FENCE:
    case RV_FMT_PREFETCH: return rv_translate_mem(tr);
    case RV_FMT_CSR:
    case RV_FMT_CSRI:
    case RV_FMT_SFENCE:
    case RV_FMT_FENCE_I:
    case RV_FMT_NONE: return rv_translate_system(tr);
    default: return rv_translate_fp(tr);
    }
}

static enum rv_follow translate_insn(struct rv_translation *tr)
{
    switch ((enum rv_format)rv_insn_table[tr->insn->op].format) {
    case RV_FMT_J: return translate_jal(tr);
    case RV_FMT_JALR: return translate_jalr(tr);
    case RV_FMT_B: return translate_branch(tr);
    default: break;
    }
    switch (translate_straight(tr)) {
    case RV_DESCRIBED: return FOLLOW_NEXT;
    case RV_DESCRIBED_LAST: return leave_to(tr, tr->next, JIT_JUMP_PLAIN);
    case RV_NOT_DESCRIBED: break;
    }
    return leave_aside(tr);
}

/* --- The trace ------------------------------------------------------------- */

/** Read the @size bytes, 2 or 4, of the instruction at @offset, each once.
 *  Returns  false if that begins a part more than there may be */
static bool take_bytes(struct rv_trace *trace, int offset, uint32_t word, unsigned size)
{
    struct rv_part *part = trace->n_parts ? &trace->part[trace->n_parts - 1] : NULL;

    if (!part || part->offset + part->size != offset) {
        if (trace->n_parts == RV_UNIT_PARTS)
            return false;
        part = &trace->part[trace->n_parts++];
        *part = (struct rv_part){.offset = (uint16_t)offset};
    }
    for (unsigned n = 0; n < size; n++)
        trace->bytes[trace->n_bytes + n] = (uint8_t)(word >> (8 * n));
    trace->n_bytes = (uint16_t)(trace->n_bytes + size);
    part->size = (uint16_t)(part->size + size);
    return true;
}

/** Take the end of an instruction from behind the page, and go on only where fetches find
 *  the same there. */
static uint32_t take_behind(struct rv_translation *tr)
{
    struct rv_trace *const trace = tr->trace;
    const uint32_t half = (uint32_t)sm_host_load(tr->behind, 1);
    const jit_reg there = rv_value(tr, JIT_OP_behind, 0, JIT_NONE, JIT_NONE);

    trace->crosses = true;
    trace->bytes[trace->n_bytes] = (uint8_t)half;
    trace->bytes[trace->n_bytes + 1] = (uint8_t)(half >> 8);
    jit_ir_emit(tr->ir, JIT_OP_exit_if, JIT_NE, JIT_NONE, there, rv_const(tr, half),
                JIT_NONE, jit_ir_way(tr->ir, JIT_EXIT_ASIDE, tr->offset, false));
    return half;
}

/** Describe the instruction at tr->offset, which is in the page. */
static enum rv_follow translate_at(struct rv_translation *tr)
{
    struct rv_trace *trace = tr->trace;
    const uint8_t *host = trace->page + tr->offset;
    const bool first = trace->n_insns == 0;
    uint32_t word = (uint32_t)sm_host_load(host, 1);
    unsigned size = 2;
    struct rv_insn insn;

    if ((word & 3) == 3 && tr->offset + 4 <= (int)SM_PAGE_SIZE) {
        word |= (uint32_t)sm_host_load(host + 2, 1) << 16;
        size = 4;
    }
    if (!take_bytes(trace, tr->offset, word, size))
        return leave_to(tr, tr->offset, JIT_JUMP_PLAIN); /* behind the one before */
    trace->n_insns++;
    tr->seen[tr->offset / 128] |= UINT64_C(1) << (tr->offset / 2 % 64);
    tr->next = tr->offset + ((word & 3) == 3 ? 4 : 2);
    jit_ir_place(tr->ir, tr->offset, tr->next);
    if ((word & 3) == 3 && size == 2) {
        if (!tr->behind)
            return first ? FOLLOW_NOTHING : leave_aside(tr);
        word |= take_behind(tr) << 16;
    }
    rv_decode(&tr->hart->isa, word, &insn);
    tr->insn = &insn;
    return translate_insn(tr);
}

bool rv_translate(struct rv_hart *hart, const uint8_t *page, unsigned offset,
                  const uint8_t *behind, struct jit_ir *ir, struct rv_trace *trace)
{
    struct rv_translation tr = {.hart = hart, .ir = ir, .trace = trace, .behind = behind,
                                .offset = (int)offset};

    *trace = (struct rv_trace){.page = page, .offset = (uint16_t)offset};
    while (translate_at(&tr) == FOLLOW_NEXT) {
        /* What comes in program order may lie before the trace's beginning. */
        if (trace->n_insns == RV_UNIT_INSNS) {
            leave_to(&tr, tr.next, JIT_JUMP_PLAIN);
            break;
        }
        if (go_to(&tr, tr.next) == FOLLOW_NOTHING)
            break;
        tr.offset = tr.next;
    }
    return ir->n_insns > 0;
}
