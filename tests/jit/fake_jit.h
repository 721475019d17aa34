/* SPDX-License-Identifier: MIT */
/* fake_jit.h - in place of translator and back end: units that are executed by a loop.
 *
 * A unit is a run of additions, jumps, branches, loads and stores; the rest is aside.
 * What the program under test would do by callbacks it does by instructions that stand
 * for them (FAKE_*).  Every use of an ended unit, of a table that is not the hart's and of
 * a page that is not the one that runs fails the test.
 */
#ifndef TESTS_JIT_FAKE_JIT_H
#define TESTS_JIT_FAKE_JIT_H

#include <stdlib.h>

#include "../riscv/program.h"
#include "riscv/translate.h"

enum { FAKE_INSNS = 8, FAKE_UNITS = 4096, FAKE_JUMPS = 64 };

/** What these do in a unit; by the interpreter they are themselves. */
enum {
    FAKE_LEAVE = RV_OP_mul,   /* retires and leaves                               */
    FAKE_TRAP = RV_OP_mulh,   /* a breakpoint's trap                              */
    FAKE_STOP = RV_OP_mulhu,  /* a debugger stops it                              */
    FAKE_ASIDE = RV_OP_div,   /* is the interpreter's                             */
    FAKE_FLUSH = RV_OP_divu   /* retires, and ends all units                      */
};

struct jit_exit {
    struct jit_unit *to;
};

struct jit_unit {
    const uint8_t *host;
    uint32_t stamp;
    bool ended;
    unsigned n;
    struct rv_insn insn[FAKE_INSNS];
    uint64_t at[FAKE_INSNS + 1]; /* distance from the beginning                   */
    struct jit_exit exit[2];     /* where it ends, where its jump leads           */
};

struct jit {
    struct jit_options options;
    struct rv_hart *hart;
    struct jit_state *state;
    struct jit_ir ir;
    struct jit_unit *unit;
    unsigned n_units, capacity; /* 0: FAKE_UNITS                                 */
    struct jit_unit *published[FAKE_JUMPS];
    unsigned n_ended, n_resets, n_links, n_forgotten, n_runs, n_published, n_made, n_stamped;
    char named[64]; /* the last name given                                        */
    unsigned n_named;
    bool refuse;
};

static struct jit fake;
/** What the next jit_end() makes code of. */
static struct jit_unit fake_next;

const struct jit_guest rv_jit_guest = {.struct_size = sizeof(rv_jit_guest)};

/* --- In place of translate*.c --------------------------------------------------------- */

void rv_kept_reset(struct rv_hart *hart)
{
}

void rv_kept_free(struct rv_hart *hart)
{
}

void rv_jit_fp_ready(struct rv_hart *hart)
{
}

static bool fake_translates(const struct rv_insn *insn)
{
    switch (insn->op) {
    case RV_OP_addi: case RV_OP_add: case RV_OP_jal: case RV_OP_jalr: case RV_OP_beq:
    case RV_OP_bne: case RV_OP_blt: case RV_OP_ld: case RV_OP_sd: case FAKE_LEAVE:
    case FAKE_TRAP: case FAKE_STOP: case FAKE_ASIDE: case FAKE_FLUSH:
        return true;
    default:
        return false;
    }
}

static bool fake_jumps(const struct rv_insn *insn)
{
    const enum rv_format format = (enum rv_format)rv_insn_table[insn->op].format;

    return format == RV_FMT_B || format == RV_FMT_J || format == RV_FMT_JALR;
}

/** Two parts, wherever there are two instructions. */
static void fake_parts(struct rv_trace *trace, unsigned first)
{
    const uint16_t size = (uint16_t)(trace->n_bytes - first);

    trace->part[0] = (struct rv_part){trace->offset, (uint16_t)first};
    trace->part[1] = (struct rv_part){(uint16_t)(trace->offset + first), size};
    trace->n_parts = size ? 2 : 1;
}

bool rv_translate(struct rv_hart *hart, const uint8_t *page, unsigned offset,
                  const uint8_t *behind, struct jit_ir *ir, struct rv_trace *trace)
{
    static struct jit_insn exit_aside[FAKE_INSNS + 1];
    static struct jit_way aside = {.kind = JIT_EXIT_ASIDE};
    unsigned at = 0, n = 0;

    memset(trace, 0, sizeof(*trace));
    memset(&fake_next, 0, sizeof(fake_next));
    trace->page = page;
    trace->offset = (uint16_t)offset;
    for (bool ended = false; !ended && n < FAKE_INSNS && offset + at + 4 <= SM_PAGE_SIZE;) {
        struct rv_insn *const insn = &fake_next.insn[n];
        const uint32_t word = (uint32_t)sm_host_load(page + offset + at, 2);

        rv_decode(&hart->isa, word, insn);
        if (insn->len != 4 || !fake_translates(insn))
            break;
        memcpy(trace->bytes + at, &word, 4);
        ended = fake_jumps(insn);
        fake_next.at[++n] = at += 4;
    }
    fake_next.n = n;
    trace->n_insns = (uint16_t)n;
    trace->n_bytes = (uint16_t)at;
    exit_aside[n] = (struct jit_insn){.op = JIT_OP_exit, .at = (uint16_t)n};
    ir->n_insns = n + 1;
    ir->insn = exit_aside;
    ir->way = &aside;
    fake_parts(trace, n ? 4 : 0);
    return true;
}

/* --- In place of the back end ----------------------------------------------------------- */

bool jit_supported(void)
{
    return true;
}

int jit_new(const struct jit_options *options, struct jit **out)
{
    const unsigned capacity = fake.capacity;

    if (fake.refuse)
        return -1;
    memset(&fake, 0, sizeof(fake));
    fake.capacity = capacity ? capacity : FAKE_UNITS;
    fake.options = *options;
    fake.hart = options->state;
    fake.state = &fake.hart->jit;
    fake.unit = calloc(fake.capacity, sizeof(*fake.unit));
    *out = &fake;
    return 0;
}

void jit_free(struct jit *jit)
{
    if (jit)
        free(jit->unit);
}

struct jit_ir *jit_begin(struct jit *jit, uint32_t without)
{
    return &jit->ir;
}

struct jit_unit *jit_end(struct jit *jit, const void *host, uint32_t stamp, bool *full)
{
    struct jit_unit *const unit = &jit->unit[jit->n_units];

    assert_false(*full);
    if (jit->n_units == jit->capacity) {
        *full = true;
        return NULL;
    }
    assert_ptr_equal(jit->options.guest, &rv_jit_guest);
    assert_int_equal(stamp & SM_REQUEST_PASS, 0);
    *unit = fake_next;
    unit->host = host;
    unit->stamp = stamp;
    jit->n_units++;
    jit->n_made++;
    return unit;
}

uint32_t jit_unit_refused(const struct jit_unit *unit);
uint32_t jit_unit_refused(const struct jit_unit *unit)
{
    return false;
}

void jit_unit_stamp(struct jit *jit, struct jit_unit *unit, uint32_t stamp)
{
    assert_false(unit->ended);
    unit->stamp = stamp;
    jit->n_stamped++;
}

static unsigned fake_slot(const uint8_t *host)
{
    return ((uintptr_t)host >> 2) % FAKE_JUMPS;
}

void jit_unit_end(struct jit *jit, struct jit_unit *unit)
{
    assert_false(unit->ended);
    unit->ended = true;
    jit->n_ended++;
    for (unsigned i = 0; i < jit->n_units; i++)
        for (unsigned way = 0; way < 2; way++)
            if (jit->unit[i].exit[way].to == unit)
                jit->unit[i].exit[way].to = NULL;
    if (jit->published[fake_slot(unit->host)] == unit)
        jit->published[fake_slot(unit->host)] = NULL;
}

void jit_link(struct jit *jit, struct jit_exit *way, struct jit_unit *unit)
{
    assert_false(unit->ended);
    assert_ptr_equal(way, jit->state->exit);
    way->to = unit;
    jit->n_links++;
}

void jit_publish(struct jit *jit, struct jit_unit *unit)
{
    assert_false(unit->ended);
    jit->published[fake_slot(unit->host)] = unit;
    jit->n_published++;
}

void jit_forget_returns(struct jit *jit)
{
    jit->n_forgotten++;
}

void jit_reset(struct jit *jit)
{
    memset(jit->published, 0, sizeof(jit->published));
    memset(jit->unit, 0xff, jit->n_units * sizeof(*jit->unit)); /* whoever looks fails  */
    jit->n_units = 0;
    jit->n_resets++;
}

void jit_get_stats(const struct jit *jit, struct jit_stats *out)
{
    out->units = jit->n_made;
    out->units_ended = jit->n_ended;
    out->resets = jit->n_resets;
    out->links = jit->n_links;
}

size_t jit_place_code(const struct jit *jit, unsigned n)
{
    return 0;
}

size_t jit_unit_code(const struct jit_unit *unit, const void **code)
{
    *code = unit;
    return sizeof(*unit);
}

void jit_unit_name(struct jit *jit, const struct jit_unit *unit, const char *name)
{
    assert_ptr_equal(unit, &jit->unit[jit->n_units - 1]);
    snprintf(jit->named, sizeof(jit->named), "%s", name);
    jit->n_named++;
}

void jit_ir_print(const struct jit_ir *ir, FILE *to)
{
    fprintf(to, "%u operations\n", ir->n_insns);
}

/* --- Running ------------------------------------------------------------------------------ */

enum { FAKE_GO = 100, FAKE_JUMP, FAKE_TRAPPED };

static int fake_status(struct jit *jit, unsigned op)
{
    struct rv_hart *const hart = jit->hart;

    switch (op) {
    case FAKE_FLUSH:
        rv_units_flush(hart);
        return FAKE_GO;
    case FAKE_TRAP:
        hart->pc = jit->state->pc;
        rv_take_exception(hart, RV_CAUSE_BREAKPOINT, hart->pc);
        return FAKE_TRAPPED;
    case FAKE_STOP:
        hart->jit_stop = true;
        return JIT_OUT_FAULT;
    default: return JIT_OUT_FAULT;
    }
}

/** Execute @insn at @pc.  *@target: where it jumps.  Returns  FAKE_* or enum jit_reason */
static int fake_insn(struct jit *jit, const struct rv_insn *insn, uint64_t pc,
                     uint64_t *target)
{
    uint64_t *const x = jit->hart->x, imm = (uint64_t)(int64_t)insn->imm;
    const uint64_t a = x[insn->rs1], b = x[insn->rs2];
    uint64_t *const d = insn->rd ? &x[insn->rd] : &x[RV_X_SINK];
    void *host;

    *target = pc + imm;
    switch (insn->op) {
    case RV_OP_addi: *d = a + imm; return FAKE_GO;
    case RV_OP_add: *d = a + b; return FAKE_GO;
    case RV_OP_beq: return a == b ? FAKE_JUMP : FAKE_GO;
    case RV_OP_bne: return a != b ? FAKE_JUMP : FAKE_GO;
    case RV_OP_blt: return (int64_t)a < (int64_t)b ? FAKE_JUMP : FAKE_GO;
    case RV_OP_jal: *d = pc + 4; return FAKE_JUMP;
    case RV_OP_jalr:
        *target = (a + imm) & ~UINT64_C(1);
        *d = pc + 4;
        return FAKE_JUMP;
    case RV_OP_ld:
        if (!sm_tlb_hit(jit->state->data, a + imm, 8, SM_READ, &host))
            return fake_status(jit, FAKE_ASIDE);
        *d = sm_host_load(host, 3);
        return FAKE_GO;
    case RV_OP_sd:
        if (!sm_tlb_hit(jit->state->data, a + imm, 8, SM_WRITE, &host))
            return fake_status(jit, FAKE_ASIDE);
        sm_host_store(host, 3, b);
        return FAKE_GO;
    case FAKE_LEAVE:
        *d = a * b;
        return JIT_OUT_LEAVE;
    default:
        return fake_status(jit, insn->op);
    }
}

/** The unit that @way of @unit leads to at @pc.  NULL: as @reason says. */
static struct jit_unit *fake_follow(struct jit *jit, struct jit_exit *way, bool indirect,
                                    uint64_t pc, enum jit_reason *reason)
{
    struct jit_state *const state = jit->state;
    struct jit_unit *unit;
    void *host;

    *reason = indirect ? JIT_OUT_LOOKUP : JIT_OUT_LINK;
    state->exit = indirect ? NULL : way;
    if (!sm_tlb_hit(state->fetch, pc, 2, SM_FETCH, &host))
        return NULL;
    unit = indirect ? jit->published[fake_slot(host)] : way->to;
    if (!unit || unit->host != host)
        return NULL;
    state->page = pc & SM_PAGE_MASK;
    return unit;
}

enum jit_reason jit_run(struct jit *jit, struct jit_unit *unit)
{
    struct rv_hart *const hart = jit->hart;
    struct jit_state *const state = jit->state;
    enum jit_reason reason;

    jit->n_runs++;
    assert_ptr_equal(state->fast, hart->fast);
    assert_ptr_equal(state->data, hart->fast->table[hart->mode_data]);
    assert_ptr_equal(state->fetch, hart->fast->table[hart->mode_fetch]);
    assert_int_equal(state->pc, hart->pc);
    state->page = state->pc & SM_PAGE_MASK;
    while (true) {
        const uint64_t begin = state->pc;
        uint64_t target = 0;
        int status = FAKE_GO;
        unsigned n = 0;

        assert_false(unit->ended);
        assert_int_equal(state->page, begin & SM_PAGE_MASK);
        if (sm_load_relaxed(&hart->fast->request) != unit->stamp)
            return JIT_OUT_POLL;
        for (; status == FAKE_GO && n < unit->n; n++) {
            state->pc = begin + unit->at[n];
            status = fake_insn(jit, &unit->insn[n], state->pc, &target);
            hart->instret += status != JIT_OUT_FAULT && status != FAKE_TRAPPED;
        }
        if (status == FAKE_TRAPPED) {
            state->pc = hart->pc;
            return JIT_OUT_LOOKUP;
        }
        if (status == JIT_OUT_FAULT)
            return JIT_OUT_FAULT;
        if (status == FAKE_TRAPPED) {
            state->pc = hart->pc;
            return JIT_OUT_LOOKUP;
        }
        state->pc = status == FAKE_JUMP ? target : begin + unit->at[n];
        if (status == JIT_OUT_LEAVE)
            return JIT_OUT_LEAVE;
        if (status == FAKE_GO && n < FAKE_INSNS && !fake_jumps(&unit->insn[n - 1]))
            return JIT_OUT_ASIDE;
        unit = fake_follow(jit, &unit->exit[status == FAKE_JUMP],
                           unit->insn[n - 1].op == RV_OP_jalr, state->pc, &reason);
        if (!unit)
            return reason;
    }
}

#endif
