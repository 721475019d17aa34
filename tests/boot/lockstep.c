/* SPDX-License-Identifier: MIT */
/* lockstep.c - boots a kernel on two machines in step, one interpreting and one
 * translating, and compares them at each unit.
 *
 *   lockstep [--seed N] [--millions N] [--memory N] [--linked] -- OPTION...
 *
 *   --seed      of where time moves on
 *   --millions  of instructions, at most; 0: to power off
 *   --memory    compare RAM every so many millions of instructions
 *   --linked    units lead to each other, so the hart is kicked now and then
 *   OPTION      of softmmu-system-riscv64, for both machines: tests/boot/lockstep
 *
 * The translating machine leads.  Before each unit that it enters, the interpreting one
 * runs to the same moment, and then both are compared.  Where that is in the middle of
 * an interpreted block it stops behind, and the other one runs until it has come there.
 * Time moves on, and devices speak up, only where both were found equal: by a random
 * number of instructions, which the seed says.
 *
 * A difference ends the test with the moment, the registers that differ and the guest's
 * code that ran since both were last equal; for the host's there is -d out_asm -D FILE.
 */
#include "boot/compare.h"
#include "cli/options.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { N_TRAIL = 32, SLICE = 50000, NS_PER_INSN = 5 };

struct arguments {
    uint64_t seed, millions, memory;
    bool linked;
    int options; /* of argv: from here on */
};

/** A unit that was entered. */
struct entered {
    uint64_t pc;
    const uint8_t *page; /* of the host; NULL: not known                         */
};

static struct {
    struct side interpreter, translator;
    struct arguments given;
    uint64_t random;
    uint64_t slice_end;   /* instructions                                        */
    uint64_t memory_next; /* the same                                            */
    struct moment until;  /* where the interpreter is to stop                    */
    struct moment equal;  /* when both were last                                 */
    uint64_t before[64];  /* x and f then                                        */
    struct entered trail[N_TRAIL]; /* since                                      */
    unsigned n_trail;
    uint64_t compared, entered, turns, dirtied;
} both;

static uint64_t next_random(void)
{
    both.random ^= both.random << 13;
    both.random ^= both.random >> 7;
    both.random ^= both.random << 17;
    return both.random;
}

/* --- Differences -------------------------------------------------------------------- */

/** @hart: or NULL. */
static void print_place(const char *who, struct moment at, const struct rv_hart *hart)
{
    printf("  %s at instruction %" PRIu64 ", trap %" PRIu64, who, at.retired, at.traps);
    if (hart)
        printf(", pc 0x%" PRIx64 "%s", hart->pc, hart->wfi ? ", waits" : "");
    putchar('\n');
}

/** The figures come last, as who runs this may show no more than an end. */
static _Noreturn void differ(const char *what)
{
    struct rv_hart *const a = both.interpreter.hart, *const b = both.translator.hart;
    const unsigned first = both.n_trail - SM_MIN(both.n_trail, (unsigned)N_TRAIL);

    for (unsigned i = first; i != both.n_trail; i++) {
        const struct entered *const unit = &both.trail[i % N_TRAIL];

        if (unit->page)
            compare_print_unit(b, unit->pc, unit->page, stdout);
    }
    printf("lockstep: %s\n  seed %" PRIu64 "%s\n", what, both.given.seed,
           both.given.linked ? ", linked" : "");
    print_place("interpreter", side_moment(&both.interpreter), a);
    print_place("translator ", side_moment(&both.translator), b);
    print_place("equal      ", both.equal, NULL);
    compare_print(a, b, both.before, stdout);
    printf("  units entered since: %u; the last of them, oldest first:\n", both.n_trail);
    for (unsigned i = first; i != both.n_trail; i++)
        printf("    0x%" PRIx64 "\n", both.trail[i % N_TRAIL].pc);
    fflush(stdout);
    _exit(1);
}

/* --- In step ------------------------------------------------------------------------ */

/** The interpreting hart is about to run a block. */
static void look_at_block(void *observer, struct rv_hart *hart)
{
    (void)observer;
    if (!moment_before(side_moment(&both.interpreter), both.until))
        rv_hart_kick(hart);
}

/** Run the interpreter to where the translator is.
 *  Returns  whether both are at the same moment; else the interpreter is ahead */
static bool catch_up(void)
{
    struct side *const side = &both.interpreter;

    both.until = side_moment(&both.translator);
    while (moment_before(side_moment(side), both.until)) {
        if (side->waits)
            differ("the interpreter waits for an interrupt, the translator goes on");
        side->waits = rv_hart_run(side->hart) == RV_RUN_WFI;
    }
    return moment_equal(side_moment(side), both.until);
}

/** A unit says before its first floating-point instruction that the registers are dirty,
 *  even if that only reads them; the interpreter says so at the first write.  Both are
 *  allowed by "Extension Context Status in mstatus Register".  The guest sees which, so
 *  let the interpreter's hart say so, too. */
static void align_dirty(void)
{
    struct rv_hart *const a = both.interpreter.hart;
    const struct rv_hart *const b = both.translator.hart;

    if ((a->mstatus & RV_MSTATUS_FS) && b->mstatus == (a->mstatus | RV_MSTATUS_DIRTY) &&
        a->mstatus != b->mstatus) {
        a->mstatus = b->mstatus;
        both.dirtied++;
    }
}

static void compare(void)
{
    const struct rv_hart *const hart = both.interpreter.hart;

    align_dirty();
    if (!compare_registers(hart, both.translator.hart))
        differ("registers differ");
    if (both.interpreter.waits != both.translator.waits)
        differ("one of them waits for an interrupt");
    both.equal = side_moment(&both.interpreter);
    memcpy(both.before, hart->x, 32 * sizeof(hart->x[0]));
    memcpy(both.before + 32, hart->f, sizeof(hart->f));
    both.n_trail = 0;
    both.compared++;
}

static void note_unit(const struct rv_hart *hart)
{
    const unsigned n = both.n_trail++ % N_TRAIL;
    void *host;

    both.trail[n].pc = hart->pc;
    both.trail[n].page = NULL;
    if (sm_tlb_hit(hart->fast->table[hart->mode_fetch], hart->pc, 2, SM_FETCH, &host))
        both.trail[n].page = (const uint8_t *)host - (hart->pc & ~SM_PAGE_MASK);
}

/** The translating hart is about to run a unit, or a block that is none. */
static void look_at_unit(void *observer, struct rv_hart *hart)
{
    (void)observer;
    both.entered++;
    if (catch_up()) {
        compare();
        if (hart->instret >= both.slice_end)
            rv_hart_kick(hart);
    }
    note_unit(hart);
}

/** Run the translator to the next turn.  Returns  whether both have come to the same
 *  moment, and are equal */
static bool run_slice(void)
{
    struct side *const side = &both.translator;
    bool same;

    sm_vcpu_online(rv_hart_vcpu(both.interpreter.hart));
    sm_vcpu_online(rv_hart_vcpu(side->hart));
    side->waits = rv_hart_run(side->hart) == RV_RUN_WFI;
    same = catch_up();
    if (same)
        compare();
    else if (side->waits)
        differ("the translator waits for an interrupt, the interpreter does not");
    sm_vcpu_offline(rv_hart_vcpu(side->hart));
    sm_vcpu_offline(rv_hart_vcpu(both.interpreter.hart));
    return same;
}

/* --- Turns: what both are told ------------------------------------------------------ */

static void compare_memory(void)
{
    if (!compare_ram(&both.interpreter, &both.translator, stdout))
        differ("memory differs");
    both.memory_next = both.equal.retired + both.given.memory * 1000000;
}

static void move_time(uint64_t now_ns)
{
    struct side *const sides[] = {&both.interpreter, &both.translator};

    for (unsigned i = 0; i < 2; i++) {
        side_set_time(sides[i], now_ns);
        sides[i]->waits = false;
    }
}

/** Both are equal.  Returns  whether to go on */
static bool turn(void)
{
    static uint64_t since;
    struct side *const a = &both.interpreter, *const b = &both.translator;
    const uint64_t deadline = side_deadline(a);
    uint64_t now = a->clock.now_ns + (both.equal.retired - since) * NS_PER_INSN;

    both.turns++;
    since = both.equal.retired;
    if (!compare_all_registers(a->hart, b->hart))
        differ("registers differ");
    if (deadline != side_deadline(b) || a->clock.n != b->clock.n)
        differ("timers differ");
    if (side_ended(a) != side_ended(b))
        differ("one of them asks for power off");
    if (both.equal.retired >= both.memory_next)
        compare_memory();
    if (side_ended(a) ||
        (both.given.millions && both.equal.retired >= both.given.millions * 1000000))
        return false;
    if (a->waits) {
        if (deadline == UINT64_MAX)
            differ("both wait for an interrupt that nothing can bring");
        now = SM_MAX(now, deadline);
    }
    move_time(now);
    both.slice_end = both.equal.retired + 1 + next_random() % SLICE;
    return true;
}

/* --- Linked units do not come back by themselves ------------------------------------ */

static uint32_t kicker_ends;

static void *kicker(void *opaque)
{
    uint64_t random = both.given.seed * 2 + 1;

    while (!sm_load_relaxed(&kicker_ends)) {
        struct timespec time = {.tv_nsec = 1000 + (long)(random >> 32) % 200000};

        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        nanosleep(&time, NULL);
        rv_hart_kick(opaque);
    }
    return NULL;
}

static void run(void)
{
    pthread_t thread;
    const bool linked = both.given.linked;

    if (linked && pthread_create(&thread, NULL, kicker, both.translator.hart))
        abort();
    while (!run_slice() || turn())
        continue;
    if (linked) {
        sm_store_relaxed(&kicker_ends, 1);
        pthread_join(thread, NULL);
    }
}

/* --- Arguments ---------------------------------------------------------------------- */

static _Noreturn void usage(void)
{
    fputs("usage: lockstep [--seed N] [--millions N] [--memory N] [--linked] "
          "-- OPTION...\n", stderr);
    exit(2);
}

static void read_arguments(int argc, char **argv, struct arguments *given)
{
    int i = 1;

    *given = (struct arguments){.seed = 1, .memory = 10};
    for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *const word = argv[i];
        uint64_t *const number = !strcmp(word, "--seed")       ? &given->seed
                                 : !strcmp(word, "--millions") ? &given->millions
                                 : !strcmp(word, "--memory")   ? &given->memory
                                                               : NULL;

        if (!strcmp(word, "--linked"))
            given->linked = true;
        else if (number && i + 1 < argc)
            *number = strtoull(argv[++i], NULL, 0);
        else
            usage();
    }
    if (i == argc)
        usage();
    given->memory = SM_MAX(given->memory, (uint64_t)1);
    given->options = i;
}

static void read_config(int argc, char **argv, struct machine_config *config)
{
    enum options_action action;
    char *error = NULL;

    if (!options_parse(argc, argv, config, &action, &error) && action == OPTIONS_RUN)
        return;
    fprintf(stderr, "lockstep: %s\n", error ? error : "nothing to run");
    exit(2);
}

/* --- The end ------------------------------------------------------------------------ */

static void print_figures(void)
{
    const struct rv_stats *const a = &both.interpreter.hart->stats;
    const struct rv_stats *const b = &both.translator.hart->stats;

    printf("seed %" PRIu64 ": %" PRIu64 " million instructions%s, %" PRIu64 " traps\n",
           both.given.seed, both.equal.retired / 1000000,
           side_ended(&both.interpreter) ? " to power off" : "", both.equal.traps);
    printf("compared %" PRIu64 " times at %" PRIu64 " entries; time moved %" PRIu64
           " times; FS was dirty sooner %" PRIu64 " times\n",
           both.compared, both.entered, both.turns, both.dirtied);
    printf("blocks: %" PRIu64 " interpreted by the interpreter, %" PRIu64
           " by the translator\n", a->block_entries, b->block_entries);
}

/** Both wrote the same; and, if they came to the @end, that all is well. */
static bool compare_consoles(const char *a, size_t size_a, const char *b, size_t size_b,
                             bool end)
{
    if (size_a != size_b || memcmp(a, b, size_a)) {
        printf("consoles differ\n--- interpreter\n%s\n--- translator\n%s\n", a, b);
        return false;
    }
    if (end && (!strstr(a, "selfcheck: all ok") || !strstr(a, "numbers: 19.306000526"))) {
        printf("the guest does not say that all is well\n%s\n", a);
        return false;
    }
    printf("consoles: %zu bytes, equal\n", size_a);
    return true;
}

int main(int argc, char **argv)
{
    struct machine_config config, interpret;
    char *console[2];
    size_t size[2];
    bool ended, good;

    if (!jit_supported()) {
        puts("this host has no translator");
        return 77;
    }
    read_arguments(argc, argv, &both.given);
    read_config(argc - both.given.options, argv + both.given.options, &config);
    both.random = both.given.seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    interpret = config;
    interpret.jit = (struct machine_jit){.off = true};
    side_new(&both.interpreter, "interpreter", &interpret, both.given.seed);
    side_new(&both.translator, "translator", &config, both.given.seed);
    rv_hart_observe(both.interpreter.hart, look_at_block, NULL);
    rv_hart_observe(both.translator.hart, look_at_unit, NULL);
    run();
    compare_memory();
    print_figures();
    ended = side_ended(&both.interpreter);
    console[0] = side_free(&both.interpreter, &size[0]);
    console[1] = side_free(&both.translator, &size[1]);
    good = compare_consoles(console[0], size[0], console[1], size[1], ended);
    g_free(console[0]);
    g_free(console[1]);
    options_fini(&config);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
