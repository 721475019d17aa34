/* SPDX-License-Identifier: MIT */
/* host_model.c - random programs, and what is around them. */
#include "host_model.h"

#include "../base/test.h"

#define INT(n, rank) {"x" #n, 8 * (n), JIT_CLASS_INT, rank}
#define FP(n) {"f" #n, 8 * (N_INTS + (n)), JIT_CLASS_FP, 0}
const struct jit_global host_globals[N_GLOBALS] = {
    INT(0, 3), INT(1, 1), INT(2, 0), INT(3, 2), INT(4, 0), INT(5, 6), INT(6, 4),
    INT(7, 0), INT(8, 7), INT(9, 0), INT(10, 5), INT(11, 0), INT(12, 8), INT(13, 0),
    FP(0), FP(1), FP(2), FP(3), FP(4), FP(5)};

static const struct ir_random host_random = {
    .n_places = 24, .n_calls = MAX_CALLS, .memory_base = MEMORY_BASE,
    .state_offset = STATE_OFFSET, .told_offset = TOLD_OFFSET,
    .device_base = DEVICE_PAGE + 0x10, .fuel = FUEL,
    .fp = true, .loops = true, .faults = true};

/* --- Programs ------------------------------------------------------------- */

void program_init(struct program *program)
{
    for (unsigned u = 0; u < MAX_UNITS; u++)
        jit_ir_init(&program->ir[u], host_globals, N_GLOBALS);
}

void program_fini(struct program *program)
{
    for (unsigned u = 0; u < MAX_UNITS; u++)
        jit_ir_fini(&program->ir[u]);
}

int program_find(const struct program *program, unsigned page, uint64_t offset)
{
    for (unsigned u = 0; u < program->n; u++) {
        if (program->page[u] == page && (uint64_t)program->start[u] == offset)
            return (int)u;
    }
    return -1;
}

static int32_t end_of(const struct jit_ir *ir)
{
    return ir->place[ir->n_places - 1].next;
}

/** Move unit @u so that it begins at @start of its page. */
static void move(struct program *program, unsigned u, int32_t start)
{
    struct jit_ir *ir = &program->ir[u];
    const int32_t by = start - ir->place[0].offset;

    for (unsigned i = 0; i < ir->n_places; i++) {
        ir->place[i].offset = (int16_t)(ir->place[i].offset + by);
        ir->place[i].next = (int16_t)(ir->place[i].next + by);
    }
    for (unsigned i = 0; i < ir->n_ways; i++) {
        if (!ir->way[i].retired || ir->way[i].kind == JIT_EXIT_ASIDE)
            ir->way[i].offset += by;
    }
    program->start[u] = start;
}

/** Where unit @u finds the beginning of unit @to, or where some call returns to. */
static int32_t target(const struct program *program, unsigned u, unsigned to, bool back)
{
    const int64_t page =
        ((int64_t)program->page[to] - (int64_t)program->page[u]) * program->distance;
    return (int32_t)(page + (back ? end_of(&program->ir[to]) : program->start[to]));
}

/** Have most ways out of unit @u lead to units. */
static void aim(struct program *program, unsigned u, uint64_t *state)
{
    struct jit_ir *ir = &program->ir[u];
    struct jit_insn *last = &ir->insn[ir->n_insns - 1];

    for (unsigned i = 0; i < ir->n_ways; i++) {
        struct jit_way *way = &ir->way[i];
        const unsigned to = (unsigned)test_below(state, program->n);

        if (!way->retired || way->kind == JIT_EXIT_ASIDE || test_below(state, 8) == 0)
            continue;
        way->offset = target(program, u, to, false);
        way->kind = way->offset >= 0 && way->offset < (int32_t)SM_PAGE_SIZE
                        ? JIT_EXIT_NEAR : JIT_EXIT_FAR;
    }
    if (last->op == JIT_OP_exit && ir->way[last->imm].retired &&
        ir->way[last->imm].kind != JIT_EXIT_ASIDE)
        last->aux = test_below(state, 2) ? JIT_JUMP_CALL : JIT_JUMP_PLAIN;
    if (last->op == JIT_OP_jump && ir->n_insns >= 3 && last[-1].op == JIT_OP_and &&
        last[-2].op == JIT_OP_here)
        last[-2].imm = target(program, u, (unsigned)test_below(state, program->n),
                              last->aux == JIT_JUMP_RETURN);
}

void program_random(struct program *program, uint64_t *state, bool alone)
{
    static const int64_t distances[] = {1, 1, -1, 7, 1024, -30000};

    struct ir_random random = host_random;

    random.faults = test_below(state, 3) == 0;
    /* Where versions are by host addresses, which rmw ends a reservation is no model's. */
    random.rmw = alone || test_below(state, 2);
    random.reserve = alone || !random.rmw;
    program->n = 1 + (unsigned)test_below(state, MAX_UNITS);
    program->distance = distances[test_below(state, 6)] * (int64_t)SM_PAGE_SIZE;
    for (unsigned u = 0; u < program->n; u++) {
        unsigned n = 0;
        do {
            const unsigned kind = (unsigned)test_below(state, 8);
            int32_t start = 256 * (int32_t)u + 2 * (int32_t)test_below(state, 64);
            ir_random_unit(&program->ir[u], state, &random);
            program->page[u] = (unsigned)test_below(state, 2);
            if (kind < 3 && u > 0) /* where another one ends: behind its call      */
                start = end_of(&program->ir[u - 1]);
            if (kind == 3) /* to the page's end                                    */
                start = (int32_t)SM_PAGE_SIZE - end_of(&program->ir[u]) +
                        program->ir[u].place[0].offset;
            if (kind == 4 || start >= (int32_t)SM_PAGE_SIZE - 400)
                start = kind == 3 ? start : 0;
            if (kind < 3)
                program->page[u] = program->page[u ? u - 1 : 0];
            if (n++ > 8)
                start = 2048 + 300 * (int32_t)u;
            program->start[u] = -1;
            if (program_find(program, program->page[u], (uint64_t)start) >= 0)
                continue;
            move(program, u, start);
        } while (program->start[u] < 0);
    }
    for (unsigned u = 0; u < program->n; u++)
        aim(program, u, state);
}

/* --- What is around ------------------------------------------------------- */

static uint64_t mixed(uint64_t sum, uint64_t value)
{
    sum = (sum ^ value) * UINT64_C(0xff51afd7ed558ccd);
    return sum ^ sum >> 32;
}

/** Note what a callback sees: where it is, how far that is, in a @call all registers. */
static uint64_t see(struct model *model, uint64_t what, uint64_t value, bool call)
{
    const struct ir_machine *machine = &model->machine;
    uint64_t sum = mixed(mixed(model->log, what), value);

    sum = mixed(mixed(sum, machine->at_pc), machine->at_retired);
    for (unsigned i = 0; call && i < N_GLOBALS; i++)
        sum = mixed(sum, machine->global[i]);
    model->n_logged++;
    return model->log = sum;
}

uint32_t model_call(struct ir_machine *machine, unsigned call)
{
    struct model *model = (struct model *)(void *)machine;
    const uint64_t fuel = machine->global[FUEL], sum = see(model, call, 0, true);
    uint32_t status;

    status = ir_eval_call(machine, call);
    machine->global[FUEL] = fuel;
    machine->requested |= sum % 4 == 0;
    return status == JIT_GO && sum % 16 == 1 ? (uint32_t)JIT_REFETCH : status;
}

uint32_t model_access(struct ir_machine *machine, uint64_t address, unsigned mem,
                      bool store, uint64_t *value)
{
    struct model *model = (struct model *)(void *)machine;
    const unsigned bits = 8u << jit_mem_bits(mem);
    uint64_t sum;

    if (store)
        *value &= UINT64_MAX >> (64 - bits);
    sum = see(model, address, store ? *value : mem, false);
    if (address - DEVICE_PAGE >= SM_PAGE_SIZE || sum % 16 == 15)
        return JIT_FAULT;
    if (!store) {
        *value = mem & JIT_MEM_SIGNED ? (uint64_t)((int64_t)sum >> (64 - bits))
                                      : sum >> (64 - bits);
    }
    machine->requested |= sum % 16 < 8;
    return sum % 16 < 3 ? JIT_LEAVE : JIT_GO;
}
