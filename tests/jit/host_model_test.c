/* SPDX-License-Identifier: MIT */
/* host_model_test.c - random programs of a few units, as host code and evaluated: the same
 * registers, memory, state, ways out, faults, counts, floating-point flags, and the same
 * seen by whatever is called meanwhile.
 */
#include "host_model.h"

#include "../base/test.h"

#include <fenv.h>
#include <xmmintrin.h>

#ifdef SM_TSAN /* slow, and nothing races */
enum { N_JITS = 60, N_PROGRAMS = 12, N_RUNS = 10 };
#else
enum { N_JITS = 300, N_PROGRAMS = 12, N_RUNS = 10 };
#endif

/** The host's side. */
static struct world {
    struct host_guest guest;
    struct sm_tlb_fast fast;
    struct sm_tlb_table table;
    struct sm_granules granules;
    struct jit *jit;
    struct program program;
    struct jit_unit *unit[MAX_UNITS];
    struct jit_ir optimised[MAX_UNITS]; /* what was made of it                     */
    uint64_t state;           /* random                                            */
    struct model model;       /* .log and .requested of the host's run             */
    struct ir_result result, right; /* .out, .pc of the host's; all of the model's  */
    uint64_t page[2];         /* guest address where each page of code is          */
    uint32_t writable, rounding, right_flags;
    uint64_t right_global[N_GLOBALS];
    bool fp_faults, skip;
    const char *wrong;
} world;

static uint8_t memory[2][SM_PAGE_SIZE] __attribute__((aligned(4096)));
static uint8_t code[2][SM_PAGE_SIZE] __attribute__((aligned(4096)));

static uint64_t below(uint64_t n)
{
    return test_below(&world.state, n);
}

/* --- Memory and TLB --------------------------------------------------------- */

/** Host memory of guest page @n: the other way around, so that who goes over the border
 *  is somewhere else. */
static uint8_t *memory_of(unsigned n)
{
    return memory[1 - n];
}

/** A byte of what the model has, or of what lies around. */
static uint8_t *byte_at(uint64_t address)
{
    const uint64_t n = (address - MEMORY_PAGE) >> SM_PAGE_BITS;
    return n < 2 ? memory_of((unsigned)n) + (address & ~SM_PAGE_MASK) : NULL;
}

static bool may(uint64_t address, uint64_t size, bool store)
{
    const uint64_t end = store && world.writable < EVAL_MEMORY ? SM_PAGE_SIZE
                                                               : 2 * SM_PAGE_SIZE;
    return size <= end && address - MEMORY_PAGE <= end - size;
}

static void set_entry(enum sm_access access, uint64_t page, const void *host)
{
    struct sm_tlb_entry *entry = &world.table.slot[access][sm_tlb_slot(page)];

    entry->tag = host ? page : page | SM_TLB_ABSENT;
    entry->host_bias = (uint64_t)(uintptr_t)host - page;
    if (!host)
        memset(world.table.near, 0, sizeof(world.table.near));
}

static void fill(enum sm_access access, unsigned n, bool present)
{
    const uint64_t page = MEMORY_PAGE + n * SM_PAGE_SIZE;

    if (access == SM_WRITE && n == 1 && world.writable < EVAL_MEMORY)
        present = false;
    set_entry(access, page, present ? memory_of(n) : NULL);
}

/** Something comes or goes. */
static void stir(void)
{
    const unsigned kind = (unsigned)below(12);

    if (kind < 4)
        fill(kind & 1 ? SM_READ : SM_WRITE, (unsigned)below(2), kind & 2);
    else if (kind < 6)
        set_entry(SM_FETCH, world.page[kind & 1], below(2) ? code[kind & 1] : NULL);
}

static void clear_table(void)
{
    for (unsigned access = 0; access < SM_N_ACCESS; access++)
        for (unsigned i = 0; i < 1u << SM_TLB_INDEX_BITS; i++)
            world.table.slot[access][i].tag = SM_TLB_ABSENT;
    memset(world.table.near, 0, sizeof(world.table.near));
    for (unsigned i = 0; i < 20; i++)
        stir();
}

/* --- Callbacks ---------------------------------------------------------------- */

static void is_wrong(const char *what)
{
    if (!world.wrong)
        world.wrong = what;
}

static void check_mode(void)
{
    if ((_mm_getcsr() & ~0x3fu) != 0x1f80)
        is_wrong("C code runs in the guest's floating-point mode");
}

/** The guest as the model's functions know one. */
static struct ir_machine *to_model(void)
{
    struct ir_machine *machine = &world.model.machine;

    memcpy(machine->global, world.guest.reg, sizeof(world.guest.reg));
    memcpy(machine->state, world.guest.state, EVAL_STATE);
    memcpy(machine->memory, memory_of(0) + SM_PAGE_SIZE - WINDOW, WINDOW);
    memcpy(machine->memory + WINDOW, memory_of(1), WINDOW);
    machine->at_pc = world.guest.st.pc;
    machine->at_retired = world.guest.count;
    return machine;
}

static void from_model(void)
{
    const struct ir_machine *machine = &world.model.machine;

    memcpy(world.guest.reg, machine->global, sizeof(world.guest.reg));
    memcpy(world.guest.state, machine->state, EVAL_STATE);
    memcpy(memory_of(0) + SM_PAGE_SIZE - WINDOW, machine->memory, WINDOW);
    memcpy(memory_of(1), machine->memory + WINDOW, WINDOW);
    if (machine->requested)
        world.fast.request |= SM_REQUEST_PASS;
}

/** What is at @address, which may be read. */
static uint64_t loaded(uint64_t address, uint32_t mem)
{
    const unsigned size = 1u << jit_mem_bits(mem);
    uint64_t value =
        mem & JIT_MEM_SIGNED && *byte_at(address + size - 1) >> 7 ? UINT64_MAX : 0;

    for (unsigned i = size; i-- > 0;)
        value = value << 8 | *byte_at(address + i);
    return value;
}

static void store(uint64_t address, uint32_t mem, uint64_t value)
{
    for (unsigned i = 0; i < 1u << jit_mem_bits(mem); i++)
        *byte_at(address + i) = (uint8_t)(value >> 8 * i);
}

static uint32_t on_access(uint64_t address, uint32_t mem, bool is_store)
{
    uint64_t *const value = &world.guest.st.value;
    const unsigned size = 1u << jit_mem_bits(mem);
    uint32_t status;

    check_mode();
    stir();
    if (may(address, size, is_store)) {
        if (is_store)
            store(address, mem, *value);
        else
            *value = loaded(address, mem);
        return JIT_GO;
    }
    status = model_access(to_model(), address, mem, is_store, value);
    if (world.model.machine.requested)
        world.fast.request |= SM_REQUEST_PASS;
    return status;
}

static uint32_t on_load(void *guest, uint64_t address, uint32_t mem)
{
    return on_access(address, mem, false);
}

static uint32_t on_store(void *guest, uint64_t address, uint32_t mem)
{
    return on_access(address, mem, true);
}

/** Also in the guest's floating-point mode. */
static void *on_fill(void *guest, uint64_t address, uint32_t rw)
{
    stir();
    if (!may(address, 1, rw == JIT_WRITE) || below(3) == 0)
        return NULL;
    fill(rw == JIT_WRITE ? SM_WRITE : SM_READ,
         (unsigned)((address - MEMORY_PAGE) >> SM_PAGE_BITS), true);
    return byte_at(address);
}

static uint32_t on_rmw(void *guest, uint64_t address, uint32_t mem, uint32_t op)
{
    const unsigned size = 1u << jit_mem_bits(mem);
    uint64_t *const value = &world.guest.st.value;
    uint64_t old;

    check_mode();
    stir();
    if (!may(address, size, true))
        return JIT_FAULT;
    old = loaded(address, mem);
    store(address, mem, ir_eval_modified((enum sm_rmw)op, 8 * size, old, *value));
    *value = old;
    return JIT_GO;
}

/** A vCPU that is alone has the first. */
static const uint64_t *version_held(void)
{
    return world.fast.alone ? world.granules.version : world.fast.held.version_of;
}

static uint32_t on_lr(void *guest, uint64_t address, uint32_t mem)
{
    const unsigned bits = jit_mem_bits(mem), size = 1u << bits;
    struct sm_reservation *const held = &world.fast.held;

    check_mode();
    stir();
    if (!may(address, size, false) || address % size)
        return JIT_FAULT;
    held->size = size;
    held->gva = address;
    held->host = byte_at(address);
    held->version_of = &world.granules.version[sm_version_number(held->host)];
    held->version = *version_held();
    held->value = loaded(address, bits);
    world.guest.st.value = loaded(address, mem);
    return JIT_GO;
}

static uint32_t on_sc(void *guest, uint64_t address, uint32_t mem)
{
    const unsigned bits = jit_mem_bits(mem), size = 1u << bits;
    struct sm_reservation *const held = &world.fast.held;
    bool may_store;

    check_mode();
    stir();
    if (!may(address, size, true) || address % size)
        return JIT_FAULT;
    may_store = held->size == size && held->gva == address &&
                held->version == *version_held() && held->value == loaded(address, bits);
    held->size = 0;
    if (may_store)
        store(address, mem, world.guest.st.value);
    world.guest.st.value = !may_store;
    return JIT_GO;
}

static uint32_t on_touch(void *guest, uint64_t address, uint32_t size, uint32_t rw)
{
    check_mode();
    stir();
    if ((address & ~SM_PAGE_MASK) + size > SM_PAGE_SIZE)
        is_wrong("bytes of two pages are touched");
    if (address - DEVICE_PAGE < SM_PAGE_SIZE)
        return JIT_GO;
    if (!may(address, size, rw == JIT_WRITE))
        return JIT_FAULT;
    fill(rw == JIT_WRITE ? SM_WRITE : SM_READ,
         (unsigned)((address - MEMORY_PAGE) >> SM_PAGE_BITS), true);
    return JIT_GO;
}

static uint32_t on_fp_enter(void *guest)
{
    check_mode();
    world.guest.st.mxcsr_guest = 0x1f80 | world.rounding << 13;
    return world.fp_faults ? JIT_FAULT : JIT_GO;
}

static void on_fp_flags(void *guest, uint32_t flags)
{
    world.guest.fp_flags |= (uint8_t)ir_eval_fflags(flags);
}

static uint32_t on_call(void *guest, const void *arg)
{
    struct ir_machine *machine = to_model();
    uint32_t status;

    check_mode();
    stir();
    status = model_call(machine, *(const unsigned *)arg);
    if (status != JIT_FAULT)
        from_model();
    if (machine->requested)
        world.fast.request |= SM_REQUEST_PASS;
    if (status == JIT_JUMPED) {
        world.guest.st.pc = machine->pc;
        world.guest.count++;
    }
    return status;
}

/* --- Units -------------------------------------------------------------------- */

/** Change something in @ir that matters. */
static bool make_mistake(struct jit_ir *ir)
{
    for (unsigned i = 3; i < ir->n_insns; i++) {
        struct jit_insn *insn = &ir->insn[i];

        if (insn->op == JIT_OP_add && jit_is_const(insn->b))
            insn->b = jit_ir_const(ir, jit_ir_value(ir, insn->b) + 1);
        else if (insn->op == JIT_OP_exit_if)
            insn->aux = (uint8_t)jit_cond_not((enum jit_cond)insn->aux);
        else if (insn->op == JIT_OP_ld || insn->op == JIT_OP_st)
            insn->imm++;
        else
            continue;
        return true;
    }
    return false;
}

/** Make host code of unit @u.  Returns false if the cache is full */
static bool make_unit(unsigned u, bool no_checks, bool mistake)
{
    static const unsigned number[MAX_CALLS] = {0, 1, 2, 3, 4};
    struct program *program = &world.program;
    struct jit_ir *ir = jit_begin(world.jit, no_checks);
    char why[200];
    bool full;

    ir_copy_unit(ir, &program->ir[u]);
    for (unsigned i = 0; i < ir->n_calls; i++)
        ir->call[i] = (struct jit_call){on_call, &number[i]};
    if (!jit_ir_verify(ir, why, sizeof(why)))
        fail_msg("%s", why);
    if (mistake) {
        ir_copy_unit(&world.optimised[u], ir);
        make_mistake(ir);
    }
    world.unit[u] = jit_end(world.jit, code[program->page[u]] + program->start[u],
                            sm_tlb_stamp(&world.fast), &full);
    if (!world.unit[u] && !full) {
        jit_ir_print(ir, stdout);
        fail_msg("refused");
    }
    if (!world.unit[u])
        return false;
    if (!jit_ir_verify(ir, why, sizeof(why))) {
        jit_ir_print(ir, stdout);
        fail_msg("%s", why);
    }
    if (!mistake)
        ir_copy_unit(&world.optimised[u], ir);
    return true;
}

static void make_units(int mistake)
{
    for (unsigned tries = 0; tries < 3; tries++) {
        unsigned u = 0;
        while (u < world.program.n && make_unit(u, false, (int)u == mistake))
            u++;
        if (u == world.program.n)
            return;
        jit_reset(world.jit);
    }
    fail_msg("the cache is too small for a few units");
}

/** The unit at guest address @pc, or -1. */
static int unit_at(uint64_t pc)
{
    for (unsigned n = 0; n < 2; n++) {
        if ((pc & SM_PAGE_MASK) == world.page[n])
            return program_find(&world.program, n, pc & ~SM_PAGE_MASK);
    }
    return -1;
}

/* --- Runs --------------------------------------------------------------------- */

/** Run the host's side from @pc. */
static void run_host(uint64_t pc)
{
    struct ir_result *result = &world.result;
    unsigned polls = 0;
    int u = unit_at(pc);

    world.guest.st.pc = pc;
    while (true) {
        const enum jit_reason reason = jit_run(world.jit, world.unit[u]);

        check_mode();
        result->pc = world.guest.st.pc;
        result->out = reason == JIT_OUT_ASIDE   ? EVAL_ASIDE
                      : reason == JIT_OUT_FAULT ? EVAL_FAULT
                      : reason == JIT_OUT_LEAVE ? EVAL_LEAVE
                      : reason == JIT_OUT_POLL  ? EVAL_POLL : EVAL_LEFT;
        u = unit_at(result->pc);
        if (reason == JIT_OUT_ASIDE || reason == JIT_OUT_FAULT || reason == JIT_OUT_LEAVE)
            return;
        if (u < 0)
            return;
        stir();
        if (reason == JIT_OUT_LINK && below(4))
            jit_link(world.jit, world.guest.st.exit, world.unit[u]);
        if (reason == JIT_OUT_LOOKUP && below(4))
            jit_publish(world.jit, world.unit[u]);
        if (reason != JIT_OUT_POLL)
            continue;
        if (jit_unit_refused(world.unit[u])) { /* the owner makes it anew; not now  */
            world.skip = true;
            return;
        }
        if (sm_tlb_requested(&world.fast)) {
            if (++polls == MAX_POLLS)
                return;
            world.fast.request &= ~(uint32_t)SM_REQUEST_PASS;
            world.model.machine.requested = false;
        }
        jit_unit_stamp(world.jit, world.unit[u], sm_tlb_stamp(&world.fast));
    }
}

/** Have the model do the same. */
static void run_model(struct model *model, uint64_t pc, struct ir_result *result)
{
    static const int modes[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
    uint64_t retired = 0;
    unsigned polls = 0;
    int u;

    *result = (struct ir_result){.out = EVAL_LEFT, .pc = pc};
    fesetround(modes[world.rounding]);
    while ((result->out == EVAL_LEFT || result->out == EVAL_POLL ||
            result->out == EVAL_JUMPED) &&
           (u = unit_at(result->pc)) >= 0) {
        if (model->machine.requested) {
            result->out = EVAL_POLL;
            if (++polls == MAX_POLLS)
                break;
            model->machine.requested = false;
        }
        model->machine.page = result->pc & SM_PAGE_MASK;
        model->machine.counted = retired;
        model->machine.owner = &world.optimised[u];
        ir_eval(&world.optimised[u], &model->machine, 2 * FULL_TANK, result);
        retired += result->retired;
    }
    fesetround(FE_TONEAREST);
    if (result->out == EVAL_JUMPED)
        result->out = EVAL_LEFT;
    result->retired = retired;
}

/** A state for both sides. */
static void random_state(struct model *model)
{
    struct ir_machine *machine = &model->machine;

    *model = (struct model){.machine = {.memory_base = MEMORY_BASE,
                                        .state_offset = STATE_OFFSET,
                                        .told_offset = TOLD_OFFSET,
                                        .call = model_call, .access = model_access}};
    ir_random_machine(machine, &world.program.ir[0], &world.state);
    machine->global[FUEL] = below(FULL_TANK);
    world.fp_faults = below(8) == 0;
    machine->fp_enter = world.fp_faults ? JIT_FAULT : JIT_GO;
    world.rounding = (uint32_t)below(4);
    world.writable = below(4) ? EVAL_MEMORY : WINDOW;
    machine->writable = world.writable;
    if (below(3) == 0) { /* pages of code are elsewhere now                         */
        world.page[0] = test_random(&world.state) & SM_PAGE_MASK;
        world.page[1] = world.page[0] + (uint64_t)world.program.distance;
        jit_forget_returns(world.jit);
    }
    if (below(8) == 0) /* all units are to be found right again                     */
        sm_tlb_new_stamp(&world.fast);
    world.fast.request &= ~(uint32_t)SM_REQUEST_PASS;
    clear_table();
    /* The host's side has the same. */
    world.model = *model;
    world.model.machine.owner = &world.program.ir[0];
    for (unsigned n = 0; n < 2; n++)
        memset(memory[n], 0x5a, SM_PAGE_SIZE);
    from_model();
    world.guest.count = 0;
    world.guest.fp_flags = 0;
    world.fast.held.size = 0;
    world.guest.st.mxcsr_guest = 0x1f80 | world.rounding << 13;
    world.guest.st.fp_ready = !world.fp_faults && below(2);
    world.skip = false;
}

static bool window_is_all(void)
{
    for (unsigned i = 0; i < SM_PAGE_SIZE - WINDOW; i++) {
        if (memory_of(0)[i] != 0x5a || memory_of(1)[WINDOW + i] != 0x5a)
            return false;
    }
    return true;
}

/** Flags that the owner has in the end. */
static uint32_t flags_of(const struct ir_machine *machine)
{
    return machine->told | ir_eval_fflags(machine->fp_flags);
}

/** What differs between the sides, or NULL. */
static const char *difference(const struct model *model, const struct ir_result *result)
{
    const struct ir_machine *machine = &model->machine;

    if (world.wrong)
        return world.wrong;
    if (result->out == EVAL_BROKEN)
        return result->why;
    to_model();
    if (result->out != world.result.out)
        return "the way out";
    if (result->pc != world.result.pc)
        return "pc";
    if (result->retired != world.guest.count)
        return "instructions retired";
    if (memcmp(machine->global, world.guest.reg, sizeof(world.guest.reg)))
        return "registers";
    if (memcmp(machine->memory, world.model.machine.memory, EVAL_MEMORY))
        return "memory";
    if (!window_is_all())
        return "memory beside";
    if (memcmp(machine->state, world.guest.state, EVAL_STATE))
        return "state";
    if (flags_of(machine) != world.guest.fp_flags)
        return "floating-point flags";
    if (model->log != world.model.log || model->n_logged != world.model.n_logged)
        return "what callbacks saw";
    return NULL;
}

static unsigned outs[EVAL_STOPPED + 1], n_missed, n_skipped, n_runs, n_logged;

/** One run of both from a random unit.  Returns  what differs, or NULL */
static const char *run_both(void)
{
    static struct model model;
    const unsigned first = (unsigned)below(world.program.n);
    struct ir_result result;
    uint64_t pc;

    random_state(&model);
    pc = world.page[world.program.page[first]] + (uint64_t)world.program.start[first];
    run_model(&model, pc, &result);
    world.right = result;
    world.right_flags = flags_of(&model.machine);
    memcpy(world.right_global, model.machine.global, sizeof(world.right_global));
    /* What is around the window is no business of the model's. */
    if (model.machine.missed - MEMORY_PAGE < 2 * SM_PAGE_SIZE &&
        model.machine.missed - MEMORY_BASE >= EVAL_MEMORY) {
        n_skipped++;
        return NULL;
    }
    run_host(pc);
    if (world.skip) {
        n_skipped++;
        return NULL;
    }
    outs[result.out]++;
    n_missed += result.missed;
    n_logged += model.n_logged;
    n_runs++;
    return difference(&model, &result);
}

static void print_difference(uint64_t seed, const char *what)
{
    for (unsigned u = 0; u < world.program.n; u++) {
        printf("--- unit %u, page %u\n", u, world.program.page[u]);
        jit_ir_print(&world.optimised[u], stdout);
    }
    for (unsigned i = 0; i < N_GLOBALS; i++) {
        if (world.right_global[i] != world.guest.reg[i])
            printf("%s = %#llx, and should be %#llx\n", host_globals[i].name,
                   (unsigned long long)world.guest.reg[i],
                   (unsigned long long)world.right_global[i]);
    }
    printf("left by way %u at %#llx after %llu, and should have by %u at %#llx after %llu\n",
           world.result.out, (unsigned long long)world.result.pc,
           (unsigned long long)world.guest.count, world.right.out,
           (unsigned long long)world.right.pc, (unsigned long long)world.right.retired);
    printf("SM_SEED=%llu: %s; flags %#x, and should be %#x; rounding %u\n",
           (unsigned long long)seed, what, world.guest.fp_flags, world.right_flags,
           world.rounding);
}

/* --- A jit -------------------------------------------------------------------- */

static const struct jit_guest host_guest = {
    .struct_size = sizeof(host_guest),
    .n_globals = N_GLOBALS,
    .globals = host_globals,
    .bias = 64,
    .state_offset = offsetof(struct host_guest, st),
    .count_offset = offsetof(struct host_guest, count),
    .load = on_load, .store = on_store, .fill = on_fill, .touch = on_touch,
    .rmw = on_rmw, .lr = on_lr, .sc = on_sc,
    .fp_enter = on_fp_enter, .fp_flags = on_fp_flags,
};

static void new_jit(void)
{
    const struct jit_options options = {
        .struct_size = sizeof(options),
        .flags = (uint32_t)(test_random(&world.state) & test_random(&world.state)) & 31,
        .opt = below(2) ? JIT_OPT_ALL : (uint32_t)below(JIT_OPT_ALL + 1),
        .seed = below(3) ? (uint32_t)test_random(&world.state) | 1 : 0,
        .cache_size = below(4) ? 1 << 20 : 1 << 17,
        .guest = &host_guest,
        .state = &world.guest,
    };

    memset(&world.guest, 0, sizeof(world.guest));
    world.fast.request = 2;
    world.fast.alone = below(2) != 0;
    world.fast.granules = &world.granules;
    world.page[0] = UINT64_C(0x10000);
    assert_int_equal(jit_new(&options, &world.jit), 0);
    world.guest.st.fast = &world.fast;
    world.guest.st.data = world.guest.st.fetch = &world.table;
}

static void begin(uint64_t seed)
{
    world.state = seed;
    world.wrong = NULL;
    new_jit();
}

/** One jit's programs.  Returns  what differs, or NULL */
static const char *run_jit(unsigned n_programs, int mistake)
{
    for (unsigned p = 0; p < n_programs; p++) {
        program_random(&world.program, &world.state, world.fast.alone);
        world.page[1] = world.page[0] + (uint64_t)world.program.distance;
        make_units(mistake);
        for (unsigned run = 0; run < N_RUNS; run++) {
            const unsigned u = (unsigned)below(world.program.n);
            const char *what = run_both();

            if (what)
                return what;
            if (mistake < 0 && (below(8) == 0 || jit_unit_refused(world.unit[u]))) {
                jit_unit_end(world.jit, world.unit[u]);
                if (!make_unit(u, below(2), false)) {
                    jit_reset(world.jit);
                    make_units(mistake);
                }
            }
        }
        for (unsigned u = 0; u < world.program.n; u++)
            jit_unit_end(world.jit, world.unit[u]);
    }
    return NULL;
}

static int set_up(void **state)
{
    program_init(&world.program);
    for (unsigned u = 0; u < MAX_UNITS; u++)
        jit_ir_init(&world.optimised[u], host_globals, N_GLOBALS);
    return 0;
}

static int tear_down(void **state)
{
    program_fini(&world.program);
    for (unsigned u = 0; u < MAX_UNITS; u++)
        jit_ir_fini(&world.optimised[u]);
    return 0;
}

static void host_does_the_same(void **state)
{
    const char *text = getenv("SM_MODEL_JITS");
    const unsigned long n_jits = text ? strtoul(text, NULL, 0) : N_JITS;
    uint64_t seed = test_seed(1);

    for (unsigned long n = 0; n < n_jits; n++) {
        const uint64_t this = seed;
        const char *what;

        test_random(&seed);
        begin(this);
        what = run_jit(N_PROGRAMS, -1);
        if (what) {
            print_difference(this, what);
            fail_msg("%s", what);
        }
        jit_free(world.jit);
    }
    printf("%u runs, %u skipped; left %u, aside %u, by a check %u, faults %u, callees left "
           "%u, polls %u; %u callbacks\n", n_runs, n_skipped, outs[EVAL_LEFT],
           outs[EVAL_ASIDE], n_missed, outs[EVAL_FAULT], outs[EVAL_LEAVE],
           outs[EVAL_POLL], n_logged);
    if (text)
        return;
    assert_true(n_skipped < n_runs / 10);
    assert_true(outs[EVAL_LEFT] > 100 && outs[EVAL_ASIDE] > 100 && n_missed > 10);
    assert_true(outs[EVAL_FAULT] > 100 && outs[EVAL_LEAVE] > 50 && outs[EVAL_POLL] > 20);
}

/** Host code of something a little different is found out. */
static void mistakes_show(void **state)
{
    uint64_t seed = test_seed(2);
    unsigned n_seen = 0;

    for (unsigned n = 0; n < 60; n++) {
        begin(test_random(&seed));
        n_seen += run_jit(1, 0) != NULL;
        jit_free(world.jit);
    }
    printf("%u of 60 seen\n", n_seen);
    assert_true(n_seen > 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(host_does_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(mistakes_show, set_up, tear_down),
    };

    if (!jit_supported())
        return 77;
    return cmocka_run_group_tests_name("host_model", tests, NULL, NULL);
}
