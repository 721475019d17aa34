/* SPDX-License-Identifier: MIT */
/* ir_jit.c - a back end that makes no code: it evaluates units as they were described.
 *
 * It stands in for src/jit's in tests that ask whether a translator describes a guest
 * rightly, and who runs units runs them rightly.  It is slow, simple, and portable; each
 * operation is written here again, from ir.def.  What it is given must verify.
 *
 * Floating point is fpu.c's, which has been compared with hosts and MPFR: the rounding
 * mode comes, and flags go, by the bits of MXCSR as the guest's callbacks have them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "jit/jit.h"
#include "riscv/fpu.h"

#define BOX UINT64_C(0xffffffff00000000)

struct jit_exit {
    struct jit_unit *to; /* or NULL: it is not linked                            */
};

struct jit_unit {
    struct jit_unit *next; /* of the same jit                                    */
    struct jit_ir ir;      /* arrays of its own                                  */
    struct jit_exit *exits; /* by way                                            */
    uint64_t host;
    uint32_t stamp;
    bool ended, published;
    void *owner;
};

struct jit {
    struct jit_options options;
    struct jit_ir ir;      /* being built                                        */
    struct jit_unit *units;
    struct jit_stats stats;

    /* While a unit runs. */
    struct jit_state *state;
    struct jit_unit *unit;
    uint64_t temp[JIT_MAX_TEMPS];
    unsigned counted; /* places of this pass that are in the guest's counter      */
    uint8_t flags;    /* RV_FFLAG_*: raised, and not yet told                    */
};

/* --- Life ------------------------------------------------------------------------- */

bool jit_supported(void)
{
    return true;
}

int jit_new(const struct jit_options *options, struct jit **out)
{
    struct jit *jit = calloc(1, sizeof(*jit));

    if (!jit)
        return -ENOMEM;
    jit->options = *options;
    jit->state = (struct jit_state *)(void *)((char *)options->state +
                                              options->guest->state_offset);
    jit_ir_init(&jit->ir, options->guest->globals, options->guest->n_globals);
    *out = jit;
    return 0;
}

void jit_reset(struct jit *jit)
{
    while (jit->units) {
        struct jit_unit *unit = jit->units;

        jit->units = unit->next;
        jit_ir_fini(&unit->ir);
        free(unit->exits);
        free(unit);
    }
    jit->stats.resets++;
}

void jit_free(struct jit *jit)
{
    if (!jit)
        return;
    jit_reset(jit);
    jit_ir_fini(&jit->ir);
    free(jit);
}

struct jit_ir *jit_begin(struct jit *jit, bool no_checks)
{
    jit_ir_reset(&jit->ir);
    return &jit->ir;
}

static void check(const struct jit_ir *ir, const char *when)
{
    char text[200];

    if (jit_ir_verify(ir, text, sizeof(text)))
        return;
    jit_ir_print(ir, stderr);
    fail_msg("%s: %s", when, text);
}

struct jit_unit *jit_end(struct jit *jit, const void *host, uint32_t stamp, void *owner,
                         bool *full)
{
    const uint32_t opt = jit->options.opt;
    struct jit_unit *unit;

    if (jit->ir.overflow)
        return NULL;
    check(&jit->ir, "as described");
    if (opt & JIT_OPT_FOLD) {
        jit_opt_fold(&jit->ir);
        check(&jit->ir, "folded");
    }
    if (opt & JIT_OPT_DEAD) {
        jit_opt_dead(&jit->ir);
        check(&jit->ir, "without dead writes");
    }
    unit = calloc(1, sizeof(*unit));
    assert_non_null(unit);
    unit->ir = jit->ir;
    unit->exits = calloc(unit->ir.n_ways + 1, sizeof(*unit->exits));
    assert_non_null(unit->exits);
    unit->host = (uint64_t)(uintptr_t)host;
    unit->stamp = stamp;
    unit->owner = owner;
    unit->next = jit->units;
    jit->units = unit;
    jit->stats.units++;
    jit->stats.guest_insns += unit->ir.n_places;
    jit_ir_init(&jit->ir, unit->ir.globals, unit->ir.n_globals);
    return unit;
}

void *jit_unit_owner(const struct jit_unit *unit)
{
    return unit->owner;
}

void jit_unit_stamp(struct jit *jit, struct jit_unit *unit, uint32_t stamp)
{
    unit->stamp = stamp;
}

void jit_unit_end(struct jit *jit, struct jit_unit *ended)
{
    for (struct jit_unit *unit = jit->units; unit; unit = unit->next) {
        for (unsigned n = 0; n < unit->ir.n_ways; n++) {
            if (unit->exits[n].to == ended)
                unit->exits[n].to = NULL;
        }
    }
    ended->ended = true;
    jit->stats.units_ended++;
}

void jit_link(struct jit *jit, struct jit_exit *exit, struct jit_unit *unit)
{
    if (!exit)
        return;
    exit->to = unit;
    jit->stats.links++;
}

void jit_publish(struct jit *jit, struct jit_unit *unit)
{
    unit->published = true;
}

void jit_forget_returns(struct jit *jit)
{
}

void jit_get_stats(const struct jit *jit, struct jit_stats *out)
{
    const uint32_t size = out->struct_size;

    *out = jit->stats;
    out->struct_size = size;
}

size_t jit_unit_code(const struct jit_unit *unit, const void **code)
{
    *code = NULL;
    return 0;
}

/* --- Registers -------------------------------------------------------------------- */

static uint64_t *home(const struct jit *jit, jit_reg reg)
{
    return (uint64_t *)(void *)((char *)jit->options.state +
                                jit->unit->ir.globals[reg].offset);
}

static uint64_t get(const struct jit *jit, jit_reg reg)
{
    if (jit_is_global(reg))
        return *home(jit, reg);
    return jit_is_temp(reg) ? jit->temp[reg - JIT_TEMP0]
                            : jit_ir_value(&jit->unit->ir, reg);
}

static void put(struct jit *jit, jit_reg reg, uint64_t value)
{
    if (jit_is_global(reg))
        *home(jit, reg) = value;
    else
        jit->temp[reg - JIT_TEMP0] = value;
}

/* --- Integers --------------------------------------------------------------------- */

static bool holds(unsigned cond, uint64_t a, uint64_t b)
{
    const int64_t sa = (int64_t)a, sb = (int64_t)b;

    switch ((enum jit_cond)cond) {
    case JIT_EQ: return a == b;
    case JIT_NE: return a != b;
    case JIT_LT: return sa < sb;
    case JIT_GE: return sa >= sb;
    case JIT_LE: return sa <= sb;
    case JIT_GT: return sa > sb;
    case JIT_LTU: return a < b;
    case JIT_GEU: return a >= b;
    case JIT_LEU: return a <= b;
    case JIT_GTU: return a > b;
    case JIT_N_CONDS: break;
    }
    fail();
    return false;
}

static uint64_t divided(unsigned op, uint64_t a, uint64_t b)
{
    const bool rest = op == JIT_OP_rems || op == JIT_OP_remu;
    __int128 n = (int64_t)a, d = (int64_t)b;

    if (!b)
        return rest ? a : UINT64_MAX;
    if (op == JIT_OP_divu || op == JIT_OP_remu) {
        n = a;
        d = b;
    }
    return (uint64_t)(rest ? n % d : n / d);
}

static uint64_t high(unsigned op, uint64_t a, uint64_t b)
{
    const __int128 sa = op == JIT_OP_mulhu ? (__int128)a : (__int128)(int64_t)a;
    const __int128 sb = op == JIT_OP_mulhs ? (__int128)(int64_t)b : (__int128)b;

    return (uint64_t)(((unsigned __int128)sa * (unsigned __int128)sb) >> 64);
}

static uint64_t evaluate_int(const struct jit *jit, const struct jit_insn *insn)
{
    const uint64_t a = insn->a == JIT_NONE ? 0 : get(jit, insn->a);
    const uint64_t b = insn->b == JIT_NONE ? 0 : get(jit, insn->b);
    const uint64_t c = insn->c == JIT_NONE ? 0 : get(jit, insn->c);
    const unsigned n = b & 63, width = 8u << insn->aux;

    switch (insn->op) {
    case JIT_OP_mov: return a;
    case JIT_OP_add: return a + b;
    case JIT_OP_sub: return a - b;
    case JIT_OP_and: return a & b;
    case JIT_OP_or: return a | b;
    case JIT_OP_xor: return a ^ b;
    case JIT_OP_shl: return a << n;
    case JIT_OP_shr: return a >> n;
    case JIT_OP_sar: return (uint64_t)((int64_t)a >> n);
    case JIT_OP_rol: return a << n | a >> (-n & 63);
    case JIT_OP_ror: return a >> n | a << (-n & 63);
    case JIT_OP_mul: return a * b;
    case JIT_OP_mulhs:
    case JIT_OP_mulhu:
    case JIT_OP_mulhsu: return high(insn->op, a, b);
    case JIT_OP_divs:
    case JIT_OP_divu:
    case JIT_OP_rems:
    case JIT_OP_remu: return divided(insn->op, a, b);
    case JIT_OP_mins: return holds(JIT_LT, a, b) ? a : b;
    case JIT_OP_maxs: return holds(JIT_GT, a, b) ? a : b;
    case JIT_OP_minu: return a < b ? a : b;
    case JIT_OP_maxu: return a > b ? a : b;
    case JIT_OP_sxt: return (uint64_t)sm_sign_extend(a, width);
    case JIT_OP_zxt: return a & sm_mask(width);
    case JIT_OP_clz: return a ? (uint64_t)__builtin_clzll(a) : 64;
    case JIT_OP_ctz: return a ? (uint64_t)__builtin_ctzll(a) : 64;
    case JIT_OP_popcnt: return (uint64_t)__builtin_popcountll(a);
    case JIT_OP_bswap: return __builtin_bswap64(a);
    case JIT_OP_set: return holds(insn->aux, a, b);
    case JIT_OP_sel: return a ? b : c;
    case JIT_OP_here: return jit->state->page + (uint64_t)(int64_t)insn->imm;
    default: fail_msg("operation %s", jit_ops[insn->op].name); return 0;
    }
}

/* --- Floating point --------------------------------------------------------------- */

static unsigned rounding(const struct jit *jit)
{
    static const uint8_t modes[] = {RV_RM_RNE, RV_RM_RDN, RV_RM_RUP, RV_RM_RTZ};

    return modes[jit->state->mxcsr_guest >> 13 & 3];
}

static void tell_flags(struct jit *jit)
{
    const unsigned flags = jit->flags;

    if (!flags)
        return;
    jit->flags = 0;
    jit->options.guest->fp_flags(
        jit->options.state, (flags & RV_FFLAG_NV ? 1u : 0) | (flags & RV_FFLAG_DZ ? 4 : 0) |
                                (flags & RV_FFLAG_OF ? 8 : 0) |
                                (flags & RV_FFLAG_UF ? 16 : 0) |
                                (flags & RV_FFLAG_NX ? 32 : 0));
}

/** An operand as fpu.h takes it: of singles, what has a box. */
static uint64_t number(const struct jit *jit, jit_reg reg, unsigned prec)
{
    const uint64_t bits = reg == JIT_NONE ? 0 : get(jit, reg);

    if (prec == JIT_DOUBLE || reg == JIT_NONE)
        return bits;
    if (bits < BOX)
        fail_msg("operand 0x%llx is no single", (unsigned long long)bits);
    return bits & ~BOX;
}

/** The operations that are the same for both precisions. */
#define ARITH(f)                                                                         \
    static uint64_t arith_##f(struct jit *jit, const struct jit_insn *insn, uint64_t a,  \
                              uint64_t b, uint64_t c)                                    \
    {                                                                                    \
        const unsigned rm = rounding(jit);                                               \
        uint8_t *const flags = &jit->flags;                                              \
                                                                                         \
        switch (insn->op) {                                                              \
        case JIT_OP_fadd: return rv_##f##_add(a, b, rm, flags);                          \
        case JIT_OP_fsub: return rv_##f##_sub(a, b, rm, flags);                          \
        case JIT_OP_fmul: return rv_##f##_mul(a, b, rm, flags);                          \
        case JIT_OP_fdiv: return rv_##f##_div(a, b, rm, flags);                          \
        case JIT_OP_fsqrt: return rv_##f##_sqrt(a, rm, flags);                           \
        case JIT_OP_fma: return rv_##f##_fma(a, b, c, rm, flags);                        \
        case JIT_OP_fset:                                                                \
            return insn->aux == JIT_FEQ   ? rv_##f##_eq(a, b, flags)                     \
                   : insn->aux == JIT_FLT ? rv_##f##_lt(a, b, flags)                     \
                                          : rv_##f##_le(a, b, flags);                    \
        default:                                                                         \
            fail_msg("operation %s", jit_ops[insn->op].name);                            \
            return 0;                                                                    \
        }                                                                                \
    }
ARITH(f32)
ARITH(f64)

static uint64_t evaluate_fp(struct jit *jit, const struct jit_insn *insn)
{
    const unsigned prec = insn->op == JIT_OP_fset ? (unsigned)insn->imm : insn->aux;
    const uint64_t sign = UINT64_C(1) << (prec == JIT_SINGLE ? 31 : 63);
    const uint64_t box = prec == JIT_SINGLE ? BOX : 0;
    const uint64_t raw = get(jit, insn->a);
    uint64_t a, b;

    switch (insn->op) { /* what reads an operand of another kind */
    case JIT_OP_fmov: return raw;
    case JIT_OP_fraw: return raw | box;
    case JIT_OP_bits: return box ? (uint64_t)sm_sign_extend(raw, 32) : raw;
    case JIT_OP_funbox: return raw >= BOX ? raw : BOX | RV_F32_NAN;
    case JIT_OP_fint:
        return box ? BOX | rv_f32_from_i64(raw, rounding(jit), &jit->flags)
                   : rv_f64_from_i64(raw, rounding(jit), &jit->flags);
    case JIT_OP_fcvts:
        return BOX | rv_f64_to_f32(raw, rounding(jit), &jit->flags);
    case JIT_OP_fcvtd:
        return rv_f32_to_f64(number(jit, insn->a, JIT_SINGLE), &jit->flags);
    default: break;
    }
    a = number(jit, insn->a, prec);
    b = number(jit, insn->b, prec);
    switch (insn->op) {
    case JIT_OP_fneg: return (a ^ sign) | box;
    case JIT_OP_fsgnj: return (a & ~sign) | (b & sign) | box;
    case JIT_OP_fsgnjx: return (a ^ (b & sign)) | box;
    case JIT_OP_fset:
        return prec == JIT_SINGLE ? arith_f32(jit, insn, a, b, 0)
                                  : arith_f64(jit, insn, a, b, 0);
    default: break;
    }
    return box ? BOX | arith_f32(jit, insn, a, b, number(jit, insn->c, prec))
               : arith_f64(jit, insn, a, b, number(jit, insn->c, prec));
}

/* --- Callbacks -------------------------------------------------------------------- */

/** How an operation ended, beside going on. */
struct left {
    bool left;
    enum jit_reason reason;
};
#define STAYED ((struct left){false, JIT_OUT_LEAVE})

/** Have @places of this pass in the guest's counter. */
static void count(struct jit *jit, unsigned places)
{
    *(uint64_t *)(void *)((char *)jit->options.state + jit->options.guest->count_offset) +=
        places - jit->counted;
    jit->counted = places;
}

static uint64_t address_of(const struct jit *jit, int32_t offset)
{
    return jit->state->page + (uint64_t)(int64_t)offset;
}

/** Make all exact for a callback of @insn. */
static void before(struct jit *jit, const struct jit_insn *insn)
{
    tell_flags(jit);
    count(jit, insn->at);
    jit->state->pc = address_of(jit, jit->unit->ir.place[insn->at].offset);
}

static struct left after(struct jit *jit, const struct jit_insn *insn, uint32_t status)
{
    switch ((enum jit_status)status) {
    case JIT_GO: return STAYED;
    case JIT_LEAVE:
        jit->state->pc = address_of(jit, jit->unit->ir.place[insn->at].next);
        break;
    case JIT_JUMPED: break;
    case JIT_FAULT: return (struct left){true, JIT_OUT_FAULT};
    }
    count(jit, insn->at + 1u);
    return (struct left){true, JIT_OUT_LEAVE};
}

static struct left load(struct jit *jit, const struct jit_insn *insn)
{
    const uint64_t gva = get(jit, insn->a) + (uint64_t)(int64_t)insn->imm;
    const unsigned bits = jit_mem_bits(insn->aux);
    struct jit_state *const state = jit->state;
    struct left left = STAYED;
    uint64_t value;
    void *host;

    if (sm_tlb_hit(state->data, gva, 1u << bits, SM_READ, &host)) {
        value = sm_host_load(host, bits);
        if (insn->aux & JIT_MEM_SIGNED)
            value = (uint64_t)sm_sign_extend(value, 8u << bits);
    } else {
        before(jit, insn);
        left = after(jit, insn,
                     jit->options.guest->load(jit->options.state, gva, insn->aux));
        value = state->value;
    }
    if (!left.left || left.reason != JIT_OUT_FAULT)
        put(jit, insn->d, value);
    return left;
}

static struct left store(struct jit *jit, const struct jit_insn *insn)
{
    const uint64_t gva = get(jit, insn->a) + (uint64_t)(int64_t)insn->imm;
    const unsigned bits = jit_mem_bits(insn->aux);
    struct jit_state *const state = jit->state;
    void *host;

    if (sm_tlb_hit(state->data, gva, 1u << bits, SM_WRITE, &host)) {
        sm_host_store(host, bits, get(jit, insn->b));
        return STAYED;
    }
    before(jit, insn);
    state->value = get(jit, insn->b);
    return after(jit, insn,
                 jit->options.guest->store(jit->options.state, gva, insn->aux));
}

static struct left enter_fp(struct jit *jit, const struct jit_insn *insn)
{
    struct left left;

    if (jit->state->fp_live)
        return STAYED;
    before(jit, insn);
    left = after(jit, insn, jit->options.guest->fp_enter(jit->options.state));
    jit->state->fp_live = !left.left;
    return left;
}

static struct left call(struct jit *jit, const struct jit_insn *insn)
{
    const struct jit_call *to = &jit->unit->ir.call[insn->imm];

    before(jit, insn);
    return after(jit, insn, to->function(jit->options.state, to->arg));
}

/* --- Ways out --------------------------------------------------------------------- */

static bool is_at(const struct jit *jit, const struct jit_unit *unit, uint64_t pc)
{
    void *host;

    return sm_tlb_hit(jit->state->fetch, pc, 2, SM_FETCH, &host) &&
           (uint64_t)(uintptr_t)host == unit->host;
}

static unsigned begin_offset(const struct jit_unit *unit)
{
    return (unsigned)unit->ir.place[0].offset;
}

static struct left polled(struct jit *jit)
{
    if (sm_load_relaxed(&jit->state->fast->request) == jit->unit->stamp)
        return STAYED;
    jit->state->pc = address_of(jit, (int32_t)begin_offset(jit->unit));
    return (struct left){true, JIT_OUT_POLL};
}

/** Go to @unit, whose first instruction is at .pc. */
static struct left enter(struct jit *jit, struct jit_unit *unit)
{
    assert_false(unit->ended);
    assert_int_equal(jit->state->pc & ~SM_PAGE_MASK, begin_offset(unit));
    jit->state->page = jit->state->pc & SM_PAGE_MASK;
    jit->unit = unit;
    jit->counted = 0;
    return polled(jit);
}

static struct left leave(struct jit *jit, const struct jit_insn *insn)
{
    const struct jit_way *way = &jit->unit->ir.way[insn->imm];
    struct jit_exit *exit = &jit->unit->exits[insn->imm];
    struct jit_state *const state = jit->state;

    count(jit, insn->at + (way->retired ? 1u : 0));
    state->pc = address_of(jit, way->offset);
    if (way->kind == JIT_EXIT_ASIDE)
        return (struct left){true, JIT_OUT_ASIDE};
    if (exit->to && (way->kind == JIT_EXIT_NEAR || is_at(jit, exit->to, state->pc)))
        return enter(jit, exit->to);
    state->exit = jit->options.flags & JIT_NO_LINK ? NULL : exit;
    return (struct left){true, JIT_OUT_LINK};
}

static struct left jump(struct jit *jit, const struct jit_insn *insn)
{
    jit->state->pc = get(jit, insn->a);
    count(jit, insn->at + 1u);
    for (struct jit_unit *unit = jit->units; unit; unit = unit->next) {
        if (unit->published && !unit->ended && is_at(jit, unit, jit->state->pc))
            return enter(jit, unit);
    }
    return (struct left){true, JIT_OUT_LOOKUP};
}

/** Evaluate @insn, at *@at, and set *@at to the one that follows. */
static struct left evaluate(struct jit *jit, const struct jit_insn *insn, unsigned *at)
{
    const struct jit_unit *const unit = jit->unit;
    struct left left;

    (*at)++;
    switch (insn->op) {
    case JIT_OP_lds:
    case JIT_OP_sts: fail_msg("this guest has no use for them"); return STAYED;
    case JIT_OP_ld: return load(jit, insn);
    case JIT_OP_st: return store(jit, insn);
    case JIT_OP_fence: sm_fence(); return STAYED;
    case JIT_OP_fenter: return enter_fp(jit, insn);
    case JIT_OP_call: return call(jit, insn);
    case JIT_OP_exit_if:
    case JIT_OP_loop_if:
        if (!holds(insn->aux, get(jit, insn->a), get(jit, insn->b)))
            return STAYED;
        break;
    case JIT_OP_exit:
    case JIT_OP_loop:
    case JIT_OP_jump: break;
    default:
        if (jit_ops[insn->op].d == JIT_CLASS_FP || jit_ops[insn->op].a == JIT_CLASS_FP) {
            if (jit_ops[insn->op].effects & JIT_FX_FP)
                assert_true(jit->state->fp_live);
            put(jit, insn->d, evaluate_fp(jit, insn));
        } else {
            put(jit, insn->d, evaluate_int(jit, insn));
        }
        return STAYED;
    }
    if (insn->op == JIT_OP_loop || insn->op == JIT_OP_loop_if) {
        count(jit, insn->at + 1u);
        jit->state->pc = address_of(jit, (int32_t)begin_offset(unit));
        left = enter(jit, jit->unit);
    } else {
        left = insn->op == JIT_OP_jump ? jump(jit, insn) : leave(jit, insn);
    }
    *at = 0;
    return left;
}

enum jit_reason jit_run(struct jit *jit, struct jit_unit *unit)
{
    struct jit_state *const state = jit->state;
    struct left left;
    unsigned at = 0;

    assert_int_equal(state->page, state->pc & SM_PAGE_MASK);
    state->fp_live = 0;
    left = enter(jit, unit);
    while (!left.left)
        left = evaluate(jit, &jit->unit->ir.insn[at], &at);
    tell_flags(jit);
    state->fp_live = 0;
    return left.reason;
}
