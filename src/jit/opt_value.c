/* SPDX-License-Identifier: MIT */
/* opt_value.c - which register holds which value, and what is known of the values. */
#include "jit/opt_impl.h"

#include "base/base.h"

#include <string.h>

static jit_value make(struct jit_fold *fold, jit_reg holder)
{
    fold->known[fold->n] = (struct jit_known){.op = JIT_N_OPS, .signs = 1,
                                              .holder = holder};
    return fold->n++;
}

void jit_opt_begin(struct jit_fold *fold)
{
    fold->n = JIT_VALUE_PAGE;
    make(fold, JIT_NONE);
    fold->n_seen = 0;
    jit_opt_forget(fold);
    memset(fold->of + JIT_MAX_GLOBALS, 0, fold->ir->n_temps * sizeof(*fold->of));
}

void jit_opt_forget(struct jit_fold *fold)
{
    memset(fold->of, 0, fold->ir->n_globals * sizeof(*fold->of));
}

static void set_number(struct jit_known *known, uint64_t number)
{
    const uint64_t flipped = number ^ (uint64_t)((int64_t)number >> 63);

    known->constant = true;
    known->number = number;
    known->zeros = number ? (uint8_t)__builtin_clzll(number) : 64;
    known->signs = flipped ? (uint8_t)__builtin_clzll(flipped) : 64;
}

jit_value jit_opt_value_slow(struct jit_fold *fold, jit_reg reg)
{
    jit_value *of = &fold->of[jit_opt_slot(reg)];

    if (jit_is_const(reg)) {
        /* The table's part for constants is set as they come: most never do. */
        for (; fold->n_seen <= (unsigned)(reg - JIT_CONST0); fold->n_seen++)
            fold->of[jit_opt_slot((jit_reg)(JIT_CONST0 + fold->n_seen))] = 0;
        if (*of)
            return *of;
    }
    *of = make(fold, reg);
    if (jit_is_const(reg))
        set_number(&fold->known[*of], jit_ir_value(fold->ir, reg));
    return *of;
}

jit_reg jit_opt_const(struct jit_fold *fold, uint64_t number)
{
    const jit_reg reg = jit_ir_const(fold->ir, number);

    /* The unit is good without what would need it. */
    if (fold->ir->overflow) {
        fold->ir->overflow = false;
        return JIT_NONE;
    }
    return reg;
}

jit_reg jit_opt_source(struct jit_fold *fold, jit_reg reg)
{
    if (jit_is_const(reg))
        return reg;
    const jit_value value = jit_opt_value(fold, reg);
    struct jit_known *known = &fold->known[value];

    if (known->constant && !jit_is_const(known->holder)) {
        const jit_reg number = jit_opt_const(fold, known->number);
        if (number != JIT_NONE)
            known->holder = number;
    }
    if (jit_opt_holder(fold, value) == JIT_NONE)
        known->holder = reg;
    return known->holder;
}

void jit_opt_hold(struct jit_fold *fold, jit_reg reg, jit_value value)
{
    struct jit_known *known = &fold->known[value];
    const jit_reg holder = jit_opt_holder(fold, value);

    fold->of[jit_opt_slot(reg)] = value;
    /* A global is written anyway: reading it, the temporary may die. */
    if (holder == JIT_NONE || (jit_is_temp(holder) && jit_is_global(reg)))
        known->holder = reg;
}

void jit_opt_learn(struct jit_fold *fold, jit_value value, uint64_t number)
{
    fold->known[value].op = JIT_N_OPS; /* .number is not .imm any more         */
    set_number(&fold->known[value], number);
}

jit_value jit_opt_base(const struct jit_fold *fold, jit_value value, uint64_t *number)
{
    const struct jit_known *known = &fold->known[value];

    if (known->op == JIT_OP_here) {
        *number = known->number;
        return JIT_VALUE_PAGE;
    }
    *number = 0;
    if (known->op != JIT_OP_add || !fold->known[known->b].constant)
        return value;
    *number = fold->known[known->b].number;
    return known->a;
}

jit_reg jit_opt_low(struct jit_fold *fold, jit_reg reg, unsigned bits)
{
    const uint64_t mask = bits < 64 ? (UINT64_C(1) << bits) - 1 : UINT64_MAX;
    jit_value value = jit_opt_value(fold, reg);

    for (;;) {
        const struct jit_known *known = &fold->known[value];
        const bool extends = known->op == JIT_OP_sxt || known->op == JIT_OP_zxt;

        if (!(extends && 8u << known->aux >= bits) &&
            !(known->op == JIT_OP_and && fold->known[known->b].constant &&
              (fold->known[known->b].number & mask) == mask))
            return reg;
        value = known->a;
        const jit_reg holder = jit_opt_holder(fold, value);
        reg = holder != JIT_NONE ? holder : reg;
    }
}

/* --- High bits ------------------------------------------------------------ */

static unsigned less_one(unsigned n, unsigned least)
{
    return n > least ? n - 1 : least;
}

/** By a constant amount @n. */
static void know_shift(struct jit_known *known, const struct jit_known *a, unsigned n)
{
    switch (known->op) {
    case JIT_OP_shl:
        known->zeros = (uint8_t)(a->zeros > n ? a->zeros - n : 0);
        known->signs = (uint8_t)(a->signs > n + 1 ? a->signs - n : 1);
        break;
    case JIT_OP_shr:
        known->zeros = (uint8_t)SM_MIN(a->zeros + n, 64u);
        break;
    case JIT_OP_sar:
        known->zeros = (uint8_t)(a->zeros ? SM_MIN(a->zeros + n, 64u) : 0);
        known->signs = (uint8_t)SM_MIN(a->signs + n, 64u);
        break;
    default:
        break;
    }
}

static void know_mem(struct jit_known *known, unsigned mem)
{
    const unsigned above = 64 - (8u << jit_mem_bits(mem));

    if (mem & JIT_MEM_SIGNED)
        known->signs = (uint8_t)(above + 1);
    else
        known->zeros = (uint8_t)above;
}

/** What of two operands' high bits is true of the result's. */
static void know_two(struct jit_known *known, const struct jit_known *a,
                     const struct jit_known *b)
{
    const unsigned zeros = SM_MIN(a->zeros, b->zeros), signs = SM_MIN(a->signs, b->signs);

    switch (known->op) {
    case JIT_OP_add:
        known->zeros = (uint8_t)less_one(zeros, 0);
        known->signs = (uint8_t)less_one(signs, 1);
        break;
    case JIT_OP_sub:
        known->signs = (uint8_t)less_one(signs, 1);
        break;
    case JIT_OP_and:
    case JIT_OP_minu:
        known->zeros = (uint8_t)SM_MAX(a->zeros, b->zeros);
        known->signs = (uint8_t)signs;
        break;
    case JIT_OP_or:
    case JIT_OP_xor:
    case JIT_OP_mins:
    case JIT_OP_maxs:
    case JIT_OP_maxu:
    case JIT_OP_sel: /* of b and c                                             */
        known->zeros = (uint8_t)zeros;
        known->signs = (uint8_t)signs;
        break;
    case JIT_OP_mul:
        known->zeros = (uint8_t)SM_MAX(a->zeros + b->zeros - 64, 0);
        break;
    case JIT_OP_shl:
    case JIT_OP_shr:
    case JIT_OP_sar:
        if (b->constant) {
            know_shift(known, a, b->number & 63);
        } else if (known->op != JIT_OP_shl) {
            known->zeros = a->zeros;
            known->signs = known->op == JIT_OP_sar ? a->signs : 1;
        }
        break;
    case JIT_OP_rolw:
    case JIT_OP_rorw:
        known->signs = 33;
        break;
    case JIT_OP_remu: /* never above a, also by 0                              */
        known->zeros = a->zeros;
        break;
    case JIT_OP_rems: /* between 0 and a                                       */
        known->zeros = a->zeros;
        known->signs = a->signs;
        break;
    case JIT_OP_divu:
        known->zeros = (uint8_t)(b->constant && b->number ? a->zeros : 0);
        break;
    default:
        break;
    }
}

static void know_one(struct jit_known *known, const struct jit_known *a)
{
    const unsigned above = known->aux < JIT_N_SIZES ? 64 - (8u << known->aux) : 0;

    switch (known->op) {
    case JIT_OP_sxt:
        known->signs = (uint8_t)SM_MAX(above + 1, a->signs);
        known->zeros = (uint8_t)(a->zeros > above ? a->zeros : 0);
        break;
    case JIT_OP_zxt:
        known->zeros = (uint8_t)SM_MAX(above, a->zeros);
        break;
    case JIT_OP_clz:
    case JIT_OP_ctz:
    case JIT_OP_popcnt: /* up to 64                                            */
        known->zeros = 57;
        break;
    default:
        break;
    }
}

/** Whether the floating-point result of @insn is a boxed single. */
static bool makes_boxed(const struct jit_fold *fold, const struct jit_insn *insn)
{
    switch (insn->op) {
    case JIT_OP_fcvts:
    case JIT_OP_funbox:
        return true;
    case JIT_OP_fcvtd:
    case JIT_OP_fmov:
        return false;
    default:
        return insn->aux == JIT_SINGLE;
    }
}

jit_value jit_opt_make(struct jit_fold *fold, const struct jit_insn *insn)
{
    const struct jit_op_row *row = &jit_ops[insn->op];
    const jit_value a = insn->a == JIT_NONE ? 0 : jit_opt_value(fold, insn->a);
    const jit_value b = insn->b == JIT_NONE ? 0 : jit_opt_value(fold, insn->b);
    const jit_value c = insn->c == JIT_NONE ? 0 : jit_opt_value(fold, insn->c);
    const jit_value value = make(fold, insn->d);
    struct jit_known *known = &fold->known[value];

    known->op = insn->op;
    known->aux = insn->aux;
    known->a = a;
    known->b = b;
    known->number = (uint64_t)(int64_t)insn->imm;
    if (insn->op == JIT_OP_funbox)
        fold->known[a].unboxed = value;
    if (row->d == JIT_CLASS_FP)
        known->boxed = makes_boxed(fold, insn);
    else if (insn->op == JIT_OP_set || insn->op == JIT_OP_fset)
        known->zeros = 63;
    else if (insn->op == JIT_OP_sc)
        known->zeros = 63;
    else if (row->aux == JIT_AUX_MEM)
        know_mem(known, insn->aux);
    else if (insn->op == JIT_OP_bits)
        known->signs = insn->aux == JIT_SINGLE ? 33 : 1;
    else if (insn->op == JIT_OP_fflags)
        known->zeros = 59;
    else if (insn->op == JIT_OP_ftoi)
        known->signs = jit_to_int(insn->imm) <= JIT_U32 ? 33 : 1;
    else if (insn->op == JIT_OP_sel)
        know_two(known, &fold->known[b], &fold->known[c]);
    else if (row->b != JIT_CLASS_NONE)
        know_two(known, &fold->known[a], &fold->known[b]);
    else if (row->a != JIT_CLASS_NONE)
        know_one(known, &fold->known[a]);
    known->signs = SM_MAX(known->signs, SM_MAX(known->zeros, (uint8_t)1));
    return value;
}
