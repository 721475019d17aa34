/* SPDX-License-Identifier: MIT */
/* opt_fold.c - one pass from the beginning to the end: each operation reads the best
 * registers for its operands, becomes the simplest that does the same, and is left out
 * if its destination holds the result already.
 *
 * What is known of globals holds until they are written, also by who is called.  What an
 * exit_if says when it is not taken is known behind it.
 */
#include "jit/opt_impl.h"

#include "base/alloc.h"
#include "base/base.h"

/** Memory for @n values, kept with the unit; NULL when host memory is out. */
static struct jit_fold *begin(struct jit_ir *ir, size_t n)
{
    const size_t size = sizeof(struct jit_fold) + n * sizeof(struct jit_known);

    if (ir->max_scratch < size) {
        void *bigger = sm_realloc(ir->scratch, size);
        if (!bigger)
            return NULL;
        ir->scratch = bigger;
        ir->max_scratch = size;
    }
    struct jit_fold *fold = (struct jit_fold *)ir->scratch;
    fold->ir = ir;
    fold->known = (struct jit_known *)(void *)(fold + 1);
    jit_opt_begin(fold);
    return fold;
}

/* --- One operation -------------------------------------------------------- */

/** What exchanging a and b makes of .aux, or -1 if they may not be exchanged. */
static int exchanged(const struct jit_insn *insn)
{
    static const uint8_t mirror[JIT_N_CONDS] = {
        [JIT_EQ] = JIT_EQ, [JIT_NE] = JIT_NE, [JIT_LT] = JIT_GT, [JIT_GE] = JIT_LE,
        [JIT_LE] = JIT_GE, [JIT_GT] = JIT_LT, [JIT_LTU] = JIT_GTU, [JIT_GEU] = JIT_LEU,
        [JIT_LEU] = JIT_GEU, [JIT_GTU] = JIT_LTU};

    switch (insn->op) {
    case JIT_OP_add:
    case JIT_OP_and:
    case JIT_OP_or:
    case JIT_OP_xor:
    case JIT_OP_mul:
    case JIT_OP_mulhs:
    case JIT_OP_mulhu:
    case JIT_OP_mins:
    case JIT_OP_maxs:
    case JIT_OP_minu:
    case JIT_OP_maxu:
        return 0;
    case JIT_OP_set:
    case JIT_OP_exit_if:
    case JIT_OP_loop_if:
        return mirror[insn->aux];
    default:
        return -1;
    }
}

/** Read operands from the best registers, constants behind others. */
static void settle_operands(struct jit_fold *fold, struct jit_insn *insn)
{
    const bool checked = insn->op == JIT_OP_chk || insn->op == JIT_OP_ldh ||
                         insn->op == JIT_OP_sth;

    /* What belongs to a check has the registers that the check has (I6). */
    if (insn->a != JIT_NONE && !checked)
        insn->a = jit_opt_source(fold, insn->a);
    if (insn->b != JIT_NONE && !checked)
        insn->b = jit_opt_source(fold, insn->b);
    if (insn->c != JIT_NONE)
        insn->c = jit_opt_source(fold, insn->c);
    if (insn->b == JIT_NONE || !jit_is_const(insn->a) || jit_is_const(insn->b))
        return;
    const int aux = exchanged(insn);
    if (aux >= 0) {
        const jit_reg a = insn->a;
        insn->a = insn->b;
        insn->b = a;
        insn->aux = (uint8_t)aux;
    }
}

/** Compute what is made of constants alone. */
static bool evaluate(struct jit_fold *fold, struct jit_insn *insn)
{
    const struct jit_op_row *row = &jit_ops[insn->op];
    const jit_reg reg[3] = {insn->a, insn->b, insn->c};
    uint64_t value[3] = {0};

    if (row->effects || row->d != JIT_CLASS_INT || row->a != JIT_CLASS_INT ||
        insn->op == JIT_OP_mov)
        return false;
    for (unsigned i = 0; i < 3; i++) {
        if (reg[i] == JIT_NONE)
            continue;
        if (!jit_is_const(reg[i]))
            return false;
        value[i] = jit_ir_value(fold->ir, reg[i]);
    }
    return jit_opt_become_const(fold, insn,
                                jit_opt_eval((enum jit_op)insn->op, insn->aux, value[0],
                                             value[1], value[2]));
}

typedef bool simplify_fn(struct jit_fold *fold, struct jit_insn *insn);

static simplify_fn *const simplify[JIT_N_OPS] = {
    [JIT_OP_add] = jit_opt_simplify_sum,
    [JIT_OP_sub] = jit_opt_simplify_sum,
    [JIT_OP_and ... JIT_OP_xor] = jit_opt_simplify_bits,
    [JIT_OP_shl ... JIT_OP_rorw] = jit_opt_simplify_shift,
    [JIT_OP_mul ... JIT_OP_remu] = jit_opt_simplify_product,
    [JIT_OP_mins ... JIT_OP_maxu] = jit_opt_simplify_choice,
    [JIT_OP_sxt ... JIT_OP_bswap] = jit_opt_simplify_extension,
    [JIT_OP_set] = jit_opt_simplify_compare,
    [JIT_OP_sel] = jit_opt_simplify_choice,
    [JIT_OP_sts] = jit_opt_simplify_memory,
    [JIT_OP_ld ... JIT_OP_fst] = jit_opt_simplify_memory,
    [JIT_OP_sth] = jit_opt_simplify_memory,
    [JIT_OP_fraw ... JIT_OP_fsgnjx] = jit_opt_simplify_float,
    [JIT_OP_exit_if ... JIT_OP_loop_if] = jit_opt_simplify_compare,
    [JIT_OP_jump] = jit_opt_simplify_jump,
};

/** Know what the exit_if or loop_if that was not taken says. */
static void learn(struct jit_fold *fold, const struct jit_insn *insn)
{
    const jit_value a = jit_opt_value(fold, insn->a);

    if (!jit_is_const(insn->b) || jit_is_const(insn->a))
        return;
    const uint64_t number = jit_ir_value(fold->ir, insn->b);
    if (insn->aux == JIT_NE)
        jit_opt_learn(fold, a, number);
    else if (insn->aux == JIT_EQ && fold->known[a].zeros >= 63 && number <= 1)
        jit_opt_learn(fold, a, !number);
}

/** Whether registers that hold @a and @b are equal. */
static bool same_value(const struct jit_fold *fold, jit_value a, jit_value b)
{
    return a == b || (a && b && fold->known[a].constant && fold->known[b].constant &&
                      fold->known[a].number == fold->known[b].number);
}

/** Let what @insn writes be known.  Returns  whether it is written already */
static bool write_result(struct jit_fold *fold, const struct jit_insn *insn)
{
    const bool copies = insn->op == JIT_OP_mov || insn->op == JIT_OP_fmov;
    const jit_value value =
        copies ? jit_opt_value(fold, insn->a) : jit_opt_make(fold, insn);

    if (copies && same_value(fold, jit_opt_held(fold, insn->d), value))
        return true;
    jit_opt_hold(fold, insn->d, value);
    return false;
}

/** Fold @insn.  Returns  whether it is still needed */
static bool fold_insn(struct jit_fold *fold, struct jit_insn *insn)
{
    do
        settle_operands(fold, insn);
    while (evaluate(fold, insn) ||
           (simplify[insn->op] && simplify[insn->op](fold, insn)));

    const struct jit_op_row *row = &jit_ops[insn->op];
    if (insn->op == JIT_OP_exit_if || insn->op == JIT_OP_loop_if) {
        if (jit_opt_decide(fold, (enum jit_cond)insn->aux, jit_opt_value(fold, insn->a),
                           jit_opt_value(fold, insn->b)) == 0)
            return false;
        learn(fold, insn);
    }
    if (row->effects & JIT_FX_SYNC)
        jit_opt_forget(fold);
    return row->d == JIT_CLASS_NONE || !write_result(fold, insn);
}

void jit_opt_fold(struct jit_ir *ir)
{
    /* An operation reads up to three registers of unknown values, and makes one. */
    struct jit_fold *fold =
        begin(ir, JIT_VALUE_FIRST + JIT_MAX_CONSTS + (size_t)ir->n_insns * 4);
    unsigned n = 0;

    if (!fold)
        return;
    for (unsigned i = 0; i < ir->n_insns; i++) {
        struct jit_insn insn = ir->insn[i];
        if (!fold_insn(fold, &insn))
            continue;
        ir->insn[n++] = insn;
        if (jit_ops[insn.op].effects & JIT_FX_END)
            break; /* also of an exit_if that is always taken                 */
    }
    ir->n_insns = n;
    ir->n_places = n ? (unsigned)ir->insn[n - 1].at + 1 : 0;
}
