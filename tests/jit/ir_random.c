/* SPDX-License-Identifier: MIT */
/* ir_random.c - a guest instruction at a time, each operation only where (I1) to (I5)
 * allow it.
 */
#include "ir_random.h"

#include "../base/test.h"

enum { MAX_RECENT = 12 };

/** Registers written last; the newest is chosen most. */
struct recent {
    jit_reg reg[MAX_RECENT];
    unsigned n;
};

struct maker {
    struct jit_ir *ir;
    uint64_t *state;
    const struct ir_random *random;
    struct recent ints, pointers, floats, boxed; /* temporaries; .boxed are singles */
    bool wrote, left, fp;
    bool accessed; /* memory, or wrote state                                       */
};

static unsigned below(struct maker *m, unsigned n)
{
    return (unsigned)test_below(m->state, n);
}

static bool chance(struct maker *m, unsigned percent)
{
    return below(m, 100) < percent;
}

static void push(struct recent *recent, jit_reg reg)
{
    for (unsigned i = 0; i < recent->n; i++) {
        if (recent->reg[i] == reg) { /* written again: no entry may be stale       */
            recent->reg[i] = recent->reg[--recent->n];
            break;
        }
    }
    if (recent->n == MAX_RECENT) {
        memmove(recent->reg, recent->reg + 1, (MAX_RECENT - 1) * sizeof(jit_reg));
        recent->n--;
    }
    recent->reg[recent->n++] = reg;
}

static void forget(struct recent *recent, jit_reg reg)
{
    for (unsigned i = 0; i < recent->n; i++) {
        if (recent->reg[i] == reg) {
            recent->reg[i] = recent->reg[--recent->n];
            return;
        }
    }
}

static jit_reg pick(struct maker *m, const struct recent *recent)
{
    const unsigned back = chance(m, 50) ? 0 : below(m, recent->n);
    return recent->reg[recent->n - 1 - back];
}

static jit_reg global(struct maker *m, enum jit_class class)
{
    unsigned i;
    do
        i = below(m, m->ir->n_globals);
    while (m->ir->globals[i].class != class || (i && i == m->random->fuel));
    return (jit_reg)i;
}

uint64_t ir_random_number(uint64_t *state)
{
    const uint64_t power = UINT64_C(1) << test_below(state, 64);

    switch (test_below(state, 8)) {
    case 0: return test_below(state, 4);
    case 1: return -test_below(state, 4);
    case 2: return power;
    case 3: return power - 1;
    case 4: return -power;
    case 5: {
        static const uint64_t usual[] = {0xff, 0xffff, 0xffffffff, 63, 64, 32, 48, 56,
                                         0x7fffffff, 0x80000000, UINT64_C(-0x80000000)};
        return usual[test_below(state, sizeof(usual) / sizeof(usual[0]))];
    }
    case 6: return test_below(state, 4096) - 2048;
    default: { /* the order of two calls is the compiler's                     */
        const unsigned shift = (unsigned)test_below(state, 64);
        return test_random(state) >> shift;
    }
    }
}

/* --- Operands ------------------------------------------------------------- */

static jit_reg number(struct maker *m, uint64_t value)
{
    return jit_ir_const(m->ir, value);
}

/** A register or constant to read an integer from. */
static jit_reg source(struct maker *m)
{
    const unsigned kind = below(m, 100);

    if (kind < 30)
        return number(m, ir_random_number(m->state));
    return kind < 70 && m->ints.n ? pick(m, &m->ints) : global(m, JIT_CLASS_INT);
}

static jit_reg float_source(struct maker *m)
{
    return m->floats.n && chance(m, 60) ? pick(m, &m->floats) : global(m, JIT_CLASS_FP);
}

/** Note that @d is written.  @boxed: it holds a single */
static void written(struct maker *m, jit_reg d, bool boxed)
{
    const bool is_float = jit_ir_class(m->ir, d) == JIT_CLASS_FP;

    forget(&m->pointers, d);
    forget(&m->boxed, d);
    if (jit_is_temp(d))
        push(is_float ? &m->floats : &m->ints, d);
    else
        m->wrote = true;
    if (boxed)
        push(&m->boxed, d);
}

static jit_reg destination(struct maker *m, enum jit_class class)
{
    const struct recent *recent = class == JIT_CLASS_INT ? &m->ints : &m->floats;

    if (!m->left && chance(m, 45))
        return global(m, class);
    if (recent->n && (chance(m, 20) || m->ir->n_temps == JIT_MAX_TEMPS))
        return pick(m, recent);
    return jit_ir_temp(m->ir, class);
}

/** A float register that holds a single. */
static jit_reg boxed_source(struct maker *m)
{
    if (!m->boxed.n || chance(m, 30)) {
        const jit_reg d = jit_ir_temp(m->ir, JIT_CLASS_FP);
        jit_ir_emit(m->ir, JIT_OP_funbox, 0, d, float_source(m), JIT_NONE, JIT_NONE, 0);
        written(m, d, true);
    }
    return pick(m, &m->boxed);
}

/* --- Operations ----------------------------------------------------------- */

static void emit_shift_pair(struct maker *m)
{
    static const uint8_t usual[] = {32, 48, 56, 31, 33, 1, 63};
    const jit_reg n = number(m, chance(m, 80) ? usual[below(m, sizeof(usual))]
                                              : below(m, 128));
    const jit_reg t = jit_ir_temp(m->ir, JIT_CLASS_INT);
    const jit_reg a = source(m);

    jit_ir_emit(m->ir, JIT_OP_shl, 0, t, a, n, JIT_NONE, 0);
    written(m, t, false);
    const jit_reg d = destination(m, JIT_CLASS_INT);
    jit_ir_emit(m->ir, chance(m, 50) ? JIT_OP_shr : JIT_OP_sar, 0, d, t, n, JIT_NONE, 0);
    written(m, d, false);
}

static jit_reg emit_made(struct maker *m, enum jit_op op, unsigned aux, jit_reg a,
                         jit_reg b)
{
    const jit_reg t = jit_ir_temp(m->ir, JIT_CLASS_INT);

    jit_ir_emit(m->ir, op, aux, t, a, b, JIT_NONE, 0);
    written(m, t, false);
    return t;
}

/** A rotation of 32 or 64 bits as code without such an instruction does it, or nearly. */
static void emit_rotation(struct maker *m)
{
    static const uint8_t sums[] = {JIT_OP_or, JIT_OP_or, JIT_OP_xor, JIT_OP_add};
    const bool word = chance(m, 70);
    const unsigned bits = word ? 32 : 64, n = 1 + below(m, bits - 1);
    const jit_reg a = source(m), again = chance(m, 95) ? a : source(m);
    jit_reg right = word && chance(m, 95) ? emit_made(m, JIT_OP_zxt, JIT_32, a, JIT_NONE) : a;
    jit_reg left =
        emit_made(m, JIT_OP_shl, 0, again,
                  number(m, chance(m, 95) ? bits - n : below(m, 64)));

    right = emit_made(m, JIT_OP_shr, 0, right, number(m, n));
    if (word && chance(m, 95))
        left = emit_made(m, JIT_OP_sxt, JIT_32, left, JIT_NONE);
    const bool swap = chance(m, 50);
    const jit_reg d = destination(m, JIT_CLASS_INT);
    jit_ir_emit(m->ir, (enum jit_op)sums[below(m, sizeof(sums))], 0, d,
                swap ? left : right, swap ? right : left, JIT_NONE, 0);
    written(m, d, false);
}

static void emit_integer(struct maker *m)
{
    const enum jit_op op = (enum jit_op)below(m, JIT_OP_here + 1);
    const struct jit_op_row *row = &jit_ops[op];
    const unsigned aux = row->aux == JIT_AUX_COND   ? below(m, JIT_N_CONDS)
                         : row->aux == JIT_AUX_SIZE ? below(m, JIT_N_SIZES) : 0;
    const jit_reg a = row->a ? source(m) : JIT_NONE;
    jit_reg b = row->b ? source(m) : JIT_NONE;
    const jit_reg c = row->c ? source(m) : JIT_NONE;
    const bool here = op == JIT_OP_here;

    if (row->b && chance(m, 5))
        b = a;
    if (row->b && chance(m, 10))
        b = number(m, 0);
    const jit_reg d = destination(m, JIT_CLASS_INT);
    jit_ir_emit(m->ir, op, aux, d, a, b, c, here ? (int32_t)below(m, 8192) - 2048 : 0);
    written(m, d, false);
}

/** Sums with small constants, extensions, sets: what guests' code is full of. */
static void emit_usual(struct maker *m)
{
    static const uint8_t ops[] = {JIT_OP_add, JIT_OP_add, JIT_OP_add, JIT_OP_sxt,
                                  JIT_OP_zxt, JIT_OP_set, JIT_OP_mov, JIT_OP_sub,
                                  JIT_OP_and, JIT_OP_xor, JIT_OP_or};
    const enum jit_op op = (enum jit_op)ops[below(m, sizeof(ops))];
    const struct jit_op_row *row = &jit_ops[op];
    const unsigned aux = op == JIT_OP_set               ? below(m, JIT_N_CONDS)
                         : row->aux == JIT_AUX_SIZE ? below(m, JIT_N_SIZES) : 0;
    const jit_reg a = source(m);
    const jit_reg b = !row->b ? JIT_NONE
                      : chance(m, 70) ? number(m, below(m, 64) - 16u) : source(m);
    const jit_reg d = destination(m, JIT_CLASS_INT);

    jit_ir_emit(m->ir, op, aux, d, a, b, JIT_NONE, 0);
    written(m, d, false);
}

static void emit_state(struct maker *m)
{
    const unsigned mem = below(m, JIT_N_MEMS), size = 1u << jit_mem_bits(mem);
    const int32_t imm = m->random->state_offset +
                        (int32_t)(below(m, EVAL_STATE / size) * size);

    if (m->random->behind && chance(m, 20)) {
        const jit_reg d = destination(m, JIT_CLASS_INT);
        jit_ir_emit(m->ir, JIT_OP_behind, 0, d, JIT_NONE, JIT_NONE, JIT_NONE, 0);
        written(m, d, false);
        return;
    }
    if (chance(m, 50) || m->left || (m->random->single && m->accessed)) {
        const jit_reg d = destination(m, JIT_CLASS_INT);
        jit_ir_emit(m->ir, JIT_OP_lds, mem, d, JIT_NONE, JIT_NONE, JIT_NONE, imm);
        written(m, d, false);
    } else {
        jit_ir_emit(m->ir, JIT_OP_sts, mem, JIT_NONE, source(m), JIT_NONE, JIT_NONE, imm);
        m->accessed = true;
    }
}

/** A register with an address, mostly one that does not fault. */
static jit_reg address(struct maker *m)
{
    if (m->random->faults && chance(m, 5))
        return source(m);
    if (m->random->device_base && chance(m, 5)) {
        const jit_reg t = jit_ir_temp(m->ir, JIT_CLASS_INT);
        const jit_reg from = source(m);
        jit_ir_emit(m->ir, JIT_OP_and, 0, t, from, number(m, 0xf8), JIT_NONE, 0);
        jit_ir_emit(m->ir, JIT_OP_add, 0, t, t, number(m, m->random->device_base),
                    JIT_NONE, 0);
        written(m, t, false);
        return t;
    }
    if (!m->pointers.n || chance(m, 20)) {
        const jit_reg t = jit_ir_temp(m->ir, JIT_CLASS_INT);
        const jit_reg from = source(m);
        jit_ir_emit(m->ir, JIT_OP_and, 0, t, from, number(m, EVAL_MEMORY / 2 - 1),
                    JIT_NONE, 0);
        jit_ir_emit(m->ir, JIT_OP_add, 0, t, t,
                    number(m, m->random->memory_base + EVAL_MEMORY / 4), JIT_NONE, 0);
        written(m, t, false);
        push(&m->pointers, t);
    } else if (chance(m, 50)) {
        const jit_reg a = pick(m, &m->pointers);
        const jit_reg d = m->wrote || chance(m, 60) ? jit_ir_temp(m->ir, JIT_CLASS_INT)
                                                    : a;
        jit_ir_emit(m->ir, JIT_OP_add, 0, d, a, number(m, below(m, 16) - 8u), JIT_NONE,
                    0);
        written(m, d, false);
        push(&m->pointers, d);
    }
    return pick(m, &m->pointers);
}

static void emit_memory(struct maker *m)
{
    const unsigned mem = below(m, JIT_N_MEMS);
    const int32_t imm = chance(m, 95) || !m->random->faults
                            ? (int32_t)below(m, 160) - 80
                            : (int32_t)test_random(m->state);

    if (m->wrote || m->left || (m->random->single && m->accessed))
        return;
    m->accessed = true;
    const jit_reg a = address(m);
    if (m->random->fp && chance(m, 30)) {
        const unsigned prec = below(m, JIT_N_PRECS);
        if (chance(m, 50)) {
            const jit_reg d = destination(m, JIT_CLASS_FP);
            jit_ir_emit(m->ir, JIT_OP_fld, prec, d, a, JIT_NONE, JIT_NONE, imm);
            written(m, d, prec == JIT_SINGLE);
        } else {
            jit_ir_emit(m->ir, JIT_OP_fst, prec, JIT_NONE, a, float_source(m), JIT_NONE,
                        imm);
        }
    } else if (chance(m, 50)) {
        const jit_reg d = destination(m, JIT_CLASS_INT);
        jit_ir_emit(m->ir, JIT_OP_ld, mem, d, a, JIT_NONE, JIT_NONE, imm);
        written(m, d, false);
    } else {
        jit_ir_emit(m->ir, JIT_OP_st, mem, JIT_NONE, a, source(m), JIT_NONE, imm);
    }
}

static void emit_atomic(struct maker *m)
{
    const bool reserve = m->random->reserve && (!m->random->rmw || chance(m, 50));
    const enum jit_op op = !reserve ? JIT_OP_rmw : chance(m, 50) ? JIT_OP_lr : JIT_OP_sc;
    const unsigned mem = below(m, JIT_N_MEMS);

    if (m->wrote || m->left || (m->random->single && m->accessed))
        return;
    m->accessed = true;
    const jit_reg a = address(m), b = op == JIT_OP_lr ? JIT_NONE : source(m);
    const jit_reg d = destination(m, JIT_CLASS_INT);
    jit_ir_emit(m->ir, op, mem, d, a, b, JIT_NONE,
                op == JIT_OP_rmw ? (int32_t)below(m, SM_N_RMW) : 0);
    written(m, d, false);
}

/* --- Floating point ------------------------------------------------------- */

/** What moves bits. */
static void emit_float_move(struct maker *m)
{
    const enum jit_op op =
        (enum jit_op)(JIT_OP_fmov + below(m, JIT_OP_fsgnjx - JIT_OP_fmov + 1));
    const struct jit_op_row *row = &jit_ops[op];
    const unsigned aux = row->aux == JIT_AUX_PREC ? below(m, JIT_N_PRECS) : 0;
    const bool single = row->aux == JIT_AUX_PREC && aux == JIT_SINGLE;
    const bool boxes = single && op != JIT_OP_bits && op != JIT_OP_fraw;
    const jit_reg a = row->a == JIT_CLASS_INT ? source(m)
                      : boxes ? boxed_source(m) : float_source(m);
    const jit_reg b = row->b ? chance(m, 15) ? a : boxes ? boxed_source(m)
                                                         : float_source(m)
                             : JIT_NONE;
    bool boxed = op == JIT_OP_funbox || (single && op != JIT_OP_bits);

    for (unsigned i = 0; op == JIT_OP_fmov && i < m->boxed.n; i++)
        boxed |= m->boxed.reg[i] == a;
    const jit_reg d = destination(m, (enum jit_class)row->d);
    jit_ir_emit(m->ir, op, aux, d, a, b, JIT_NONE, 0);
    written(m, d, boxed);
}

/** What was told of flags and what was not, in all, is known; either alone is not. */
static void emit_flags(struct maker *m)
{
    const jit_reg told = jit_ir_temp(m->ir, JIT_CLASS_INT);

    if (chance(m, 60) || m->left || (m->random->single && m->accessed)) {
        const jit_reg raised = jit_ir_temp(m->ir, JIT_CLASS_INT);
        const jit_reg d = destination(m, JIT_CLASS_INT);

        jit_ir_emit(m->ir, JIT_OP_lds, 0, told, JIT_NONE, JIT_NONE, JIT_NONE,
                    m->random->told_offset);
        jit_ir_emit(m->ir, JIT_OP_fflags, 0, raised, JIT_NONE, JIT_NONE, JIT_NONE, 0);
        jit_ir_emit(m->ir, JIT_OP_or, 0, d, told, raised, JIT_NONE, 0);
        written(m, d, false);
        return;
    }
    const jit_reg from = source(m), all = number(m, 31);
    jit_ir_emit(m->ir, JIT_OP_and, 0, told, from, all, JIT_NONE, 0);
    jit_ir_emit(m->ir, JIT_OP_sts, 0, JIT_NONE, told, JIT_NONE, JIT_NONE,
                m->random->told_offset);
    jit_ir_emit(m->ir, JIT_OP_fforget, 0, JIT_NONE, JIT_NONE, JIT_NONE, JIT_NONE, 0);
    m->accessed = true;
}

/** What rounds. */
static void emit_float(struct maker *m)
{
    const enum jit_op op =
        (enum jit_op)(JIT_OP_fadd + below(m, JIT_OP_ftoi - JIT_OP_fadd + 1));
    const struct jit_op_row *row = &jit_ops[op];
    const bool of_prec = row->aux == JIT_AUX_PREC || op == JIT_OP_fset;
    const unsigned prec = of_prec ? below(m, JIT_N_PRECS) : 0;
    const bool singles = of_prec ? prec == JIT_SINGLE : op == JIT_OP_fcvtd;
    jit_reg reg[3] = {JIT_NONE, JIT_NONE, JIT_NONE};
    const uint8_t class[3] = {row->a, row->b, row->c};

    if (!m->fp) {
        if (m->wrote || m->left)
            return;
        jit_ir_emit(m->ir, JIT_OP_fenter, 0, JIT_NONE, JIT_NONE, JIT_NONE, JIT_NONE, 0);
        /* It may write globals, for all that is known. */
        m->boxed.n = 0;
        m->fp = true;
    }
    if (m->random->told_offset && chance(m, 25)) {
        emit_flags(m);
        return;
    }
    for (unsigned i = 0; i < 3; i++) {
        if (class[i] == JIT_CLASS_INT)
            reg[i] = source(m);
        else if (class[i] == JIT_CLASS_FP)
            reg[i] = singles ? boxed_source(m) : float_source(m);
    }
    const bool boxed =
        op == JIT_OP_fcvts || (row->d == JIT_CLASS_FP && of_prec && singles);
    const int32_t imm = op == JIT_OP_fset   ? (int32_t)prec
                        : op == JIT_OP_ftoi ? JIT_TO(below(m, JIT_N_INTS),
                                                     below(m, JIT_N_ROUNDS))
                                            : 0;
    const jit_reg d = destination(m, (enum jit_class)row->d);
    jit_ir_emit(m->ir, op, op == JIT_OP_fset ? below(m, JIT_N_FCONDS) : prec, d, reg[0],
                reg[1], reg[2], imm);
    written(m, d, boxed);
}

/* --- Calls and ways out --------------------------------------------------- */

static void emit_call(struct maker *m)
{
    if (m->wrote || m->left || !m->random->n_calls)
        return;
    jit_ir_emit(m->ir, JIT_OP_call, 0, JIT_NONE, JIT_NONE, JIT_NONE, JIT_NONE,
                (int32_t)below(m, m->random->n_calls));
    m->wrote = true;
    m->boxed.n = m->pointers.n = 0;
}

static int32_t make_way(struct maker *m)
{
    const struct jit_place *place = &m->ir->place[m->ir->n_places - 1];

    if (!m->wrote && !m->left && chance(m, 40))
        return jit_ir_way(m->ir, chance(m, 80) ? JIT_EXIT_ASIDE : JIT_EXIT_NEAR,
                          place->offset, false);
    if (chance(m, 50))
        return jit_ir_way(m->ir, JIT_EXIT_NEAR, (int32_t)below(m, 2048) * 2, true);
    if (chance(m, 60))
        return jit_ir_way(m->ir, JIT_EXIT_FAR, chance(m, 50) ? 0x2468 : -0x1234, true);
    return jit_ir_way(m->ir, JIT_EXIT_ASIDE, place->next, true);
}

static void emit_exit_if(struct maker *m)
{
    const bool loops = m->random->loops && chance(m, 15);
    const unsigned cond = below(m, JIT_N_CONDS);
    jit_reg a = source(m), b = source(m);

    if (chance(m, 40))
        b = number(m, below(m, 2));
    if (chance(m, 60) && m->ints.n)
        a = pick(m, &m->ints);
    const int32_t way = loops ? 0 : make_way(m);
    jit_ir_emit(m->ir, loops ? JIT_OP_loop_if : JIT_OP_exit_if, cond, JIT_NONE, a, b,
                JIT_NONE, way);
    m->left |= loops || m->ir->way[way].retired;
}

/** A condition made, turned around perhaps, and tested: as guests without flags do. */
static void emit_condition(struct maker *m)
{
    const jit_reg zero = number(m, 0), one = number(m, 1);
    const jit_reg a = source(m), b = chance(m, 40) ? zero : source(m);
    const jit_reg d = destination(m, JIT_CLASS_INT);
    jit_reg tested = d;

    jit_ir_emit(m->ir, JIT_OP_set, below(m, JIT_N_CONDS), d, a, b, JIT_NONE, 0);
    written(m, d, false);
    if (chance(m, 50)) {
        const bool flip = chance(m, 50);
        tested = destination(m, JIT_CLASS_INT);
        jit_ir_emit(m->ir, flip ? JIT_OP_xor : JIT_OP_set, flip ? 0 : below(m, 2), tested,
                    d, flip ? one : zero, JIT_NONE, 0);
        written(m, tested, false);
    }
    if (chance(m, 30)) {
        const jit_reg x = source(m), y = source(m), z = destination(m, JIT_CLASS_INT);
        jit_ir_emit(m->ir, JIT_OP_sel, 0, z, tested, x, y, 0);
        written(m, z, false);
        return;
    }
    const int32_t way = make_way(m);
    const jit_reg with = chance(m, 80) ? zero : one;
    jit_ir_emit(m->ir, JIT_OP_exit_if, below(m, 2), JIT_NONE, tested, with, JIT_NONE,
                way);
    m->left |= m->ir->way[way].retired;
}

static void emit_end(struct maker *m)
{
    const unsigned kind = below(m, 100);

    if (kind < 20 && m->random->loops) {
        jit_ir_emit(m->ir, JIT_OP_loop, 0, JIT_NONE, JIT_NONE, JIT_NONE, JIT_NONE, 0);
    } else if (kind < 50) {
        const jit_reg from = source(m), a = jit_ir_temp(m->ir, JIT_CLASS_INT);
        if (chance(m, 40))
            jit_ir_emit(m->ir, JIT_OP_here, 0, a, JIT_NONE, JIT_NONE, JIT_NONE,
                        (int32_t)below(m, 8192) - 2048);
        else
            jit_ir_emit(m->ir, JIT_OP_mov, 0, a, from, JIT_NONE, JIT_NONE, 0);
        /* No instruction begins at an odd address. */
        jit_ir_emit(m->ir, JIT_OP_and, 0, a, a, number(m, UINT64_C(-2)), JIT_NONE, 0);
        jit_ir_emit(m->ir, JIT_OP_jump, below(m, JIT_N_JUMPS), JIT_NONE, a, JIT_NONE,
                    JIT_NONE, 0);
    } else {
        const int32_t way = make_way(m);
        jit_ir_emit(m->ir, JIT_OP_exit, 0, JIT_NONE, JIT_NONE, JIT_NONE, JIT_NONE, way);
    }
}

/* --- All ------------------------------------------------------------------ */

static void emit_one(struct maker *m)
{
    const unsigned kind = below(m, 100);

    if (kind < 35)
        emit_usual(m);
    else if (kind < 55)
        emit_integer(m);
    else if (kind < 58)
        emit_shift_pair(m);
    else if (kind < 60)
        emit_rotation(m);
    else if (kind < 64)
        emit_state(m);
    else if (kind < 67 && (m->random->rmw || m->random->reserve))
        emit_atomic(m);
    else if (kind < 78)
        emit_memory(m);
    else if (kind < 85 && m->random->fp)
        emit_float_move(m);
    else if (kind < 92 && m->random->fp)
        emit_float(m);
    else if (kind < 94)
        emit_call(m);
    else if (kind < 95)
        jit_ir_emit(m->ir, JIT_OP_fence, 0, JIT_NONE, JIT_NONE, JIT_NONE, JIT_NONE, 0);
    else if (kind < 97)
        emit_condition(m);
    else
        emit_exit_if(m);
}

/** Have the unit end some time. */
static void emit_fuel(struct maker *m, int *offset)
{
    const jit_reg fuel = m->random->fuel;

    jit_ir_place(m->ir, *offset, *offset + 4);
    jit_ir_emit(m->ir, JIT_OP_exit_if, JIT_EQ, JIT_NONE, fuel, number(m, 0), JIT_NONE,
                jit_ir_way(m->ir, JIT_EXIT_ASIDE, *offset, false));
    jit_ir_emit(m->ir, JIT_OP_sub, 0, fuel, fuel, number(m, 1), JIT_NONE, 0);
    *offset += 4;
}

void ir_random_unit(struct jit_ir *ir, uint64_t *state, const struct ir_random *random)
{
    struct maker m = {.ir = ir, .state = state, .random = random};
    const unsigned n = 1 + (unsigned)test_below(state, random->n_places);
    int offset = (int)below(&m, 64) * 2;

    jit_ir_reset(ir);
    for (unsigned i = 0; i < random->n_calls; i++)
        jit_ir_call(ir, NULL, NULL);
    if (random->fuel)
        emit_fuel(&m, &offset);
    for (unsigned i = 0; i < n; i++) {
        const int next = offset + 2 + 2 * (int)below(&m, 2);
        jit_ir_place(ir, offset, next);
        offset = next;
        m.wrote = m.left = m.accessed = false;
        for (unsigned j = below(&m, 4); j-- > 0;) {
            /* A fence writes memory. */
            if (!m.left)
                emit_one(&m);
            else if (chance(&m, 50))
                emit_usual(&m);
        }
    }
    emit_end(&m);
}

void ir_copy_unit(struct jit_ir *to, const struct jit_ir *from)
{
    jit_ir_reset(to);
    for (unsigned i = 0; i < from->n_constants; i++)
        jit_ir_const(to, from->constant[i]);
    for (unsigned i = 0; i < from->n_temps; i++)
        jit_ir_temp(to, (enum jit_class)from->temp_class[i]);
    for (unsigned i = 0; i < from->n_ways; i++)
        jit_ir_way(to, (enum jit_exit_kind)from->way[i].kind, from->way[i].offset,
                   from->way[i].retired);
    for (unsigned i = 0; i < from->n_calls; i++)
        jit_ir_call(to, from->call[i].function, from->call[i].arg);
    for (unsigned i = 0, place = 0; i < from->n_insns; i++) {
        const struct jit_insn *insn = &from->insn[i];
        for (; place <= insn->at; place++)
            jit_ir_place(to, from->place[place].offset, from->place[place].next);
        jit_ir_emit(to, (enum jit_op)insn->op, insn->aux, insn->d, insn->a, insn->b,
                    insn->c, insn->imm);
    }
    assert_false(to->overflow);
}

void ir_random_machine(struct ir_machine *machine, const struct jit_ir *ir,
                       uint64_t *state)
{
    static const uint64_t singles[] = {0, 0x80000000, 0x3f800000, 0x7f800000, 0x7fc00000,
                                       0x7f800001, 0x00000001, 0x7f7fffff, 0xbf800000};
    static const uint64_t doubles[] = {
        0, UINT64_C(1) << 63, UINT64_C(0x3ff0000000000000), UINT64_C(0x7ff0000000000000),
        UINT64_C(0x7ff8000000000000), UINT64_C(0x7ff0000000000001), 1,
        UINT64_C(0x7fefffffffffffff), UINT64_C(0x3ff0000000000001)};

    for (unsigned i = 0; i < ir->n_globals; i++) {
        uint64_t value = ir_random_number(state);
        if (ir->globals[i].class == JIT_CLASS_FP) {
            const unsigned kind = (unsigned)test_below(state, 4);
            value = kind == 0   ? doubles[test_below(state, 9)]
                    : kind == 1 ? singles[test_below(state, 9)] | 0xffffffffull << 32
                    : kind == 2 ? test_random(state) | 0xffffffffull << 32
                                : test_random(state);
        }
        machine->global[i] = value;
    }
    for (unsigned i = 0; i < EVAL_MEMORY; i++)
        machine->memory[i] = (uint8_t)test_random(state);
    for (unsigned i = 0; i < EVAL_STATE; i++)
        machine->state[i] = (uint8_t)test_random(state);
    machine->page = test_random(state) & SM_PAGE_MASK;
    machine->behind = test_below(state, 3) ? test_below(state, 0x10000) : UINT64_MAX;
}
