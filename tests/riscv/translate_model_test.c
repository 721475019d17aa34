/* SPDX-License-Identifier: MIT */
/* translate_model_test.c - random programs by a hart that makes units of them, against
 * one that only interprets: registers, CSRs, memory, traps, counters, devices. */
#include "random_program.h"
#include "riscv/translate.h"

#define HANDLER (RAM + 0x1000)
#define AREA    (RAM + 0x2000)
#define CODE    (RAM + 0x10000)
#define DATA    (RAM + 0x40000)
#define ROOTS   (RAM + 0x100000)
#define LOG     (RAM + 0x200000)
#define IO      UINT64_C(0x10000000)
#define HOLE    UINT64_C(0x20000000)

/** Virtual. */
#define VCODE UINT64_C(0x50010000)
#define VDATA UINT64_C(0x52000000)

enum { N_DATA = 16, PTE_PAGE = 32, N_CODE = MAX_CODE / 4096, ROUNDS = 10, HEAT = 3 };

/** Bits of a page-table entry. */
enum { V = 1, R = 2, W = 4, X = 8, U = 16, A = 64, D = 128 };

static struct {
    struct pair pair;
    struct sm_device *device[2];
    struct sm_region *io[2];
    struct gen gen;
} world;

/* --- Devices ------------------------------------------------------------------- */

/** What a device was told, in order, as one number. */
static struct seen {
    struct fixture *fix;
    uint64_t hash, n;
} seen[2];

static void see(struct seen *dev, uint64_t what, uint64_t value)
{
    dev->hash = (dev->hash ^ what) * UINT64_C(0x9e3779b97f4a7c15);
    dev->hash = (dev->hash ^ value ^ dev->hash >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    dev->n++;
}

static enum sm_tx io_read(void *dev, uint64_t offset, unsigned size,
                          const struct sm_attrs *attrs, uint64_t *value)
{
    see(dev, offset << 8 | size, 0);
    *value = ((struct seen *)dev)->hash & sm_mask(8 * size);
    return offset % 0x400 == 0x3f0 ? SM_TX_DEVICE_ERROR : SM_TX_OK;
}

static enum sm_tx io_write(void *dev, uint64_t offset, unsigned size,
                           const struct sm_attrs *attrs, uint64_t value)
{
    see(dev, offset << 8 | size | 0x80, value);
    if (offset % 0x100 == 0x80) /* a request in the middle of things */
        rv_hart_kick(((struct seen *)dev)->fix->hart);
    return SM_TX_OK;
}

static const struct sm_io_ops io_ops = {
    .struct_size = sizeof(io_ops),
    .read = io_read,
    .write = io_write,
    .accepts = {1, 8, false},
    .implements = {1, 8, false},
};

/* --- The machine --------------------------------------------------------------- */

/** How units are made, beside by the default. */
struct manner {
    const char *name;
    uint32_t first; /* seed                                                    */
    uint32_t flags, opt;
    bool seed;
    uint64_t code_size;
};

static void new_machine(struct fixture *fix, unsigned which, const struct manner *manner,
                        uint64_t seed)
{
    const struct rv_isa isa = fixture_isa();
    struct rv_hart_options options = {
        .struct_size = sizeof(options), .hart_id = 5, .isa = &isa,
        .ops = &fixture_ops, .owner = fix,
        .translate = which == 0,
        .jit_flags = manner->flags, .jit_opt = manner->opt,
        .jit_seed = manner->seed ? (uint32_t)seed | 1 : 0, .jit_heat = HEAT,
        .code_size = manner->code_size,
    };

    fixture_init(fix, &isa);
    sm_vcpu_offline(rv_hart_vcpu(fix->hart));
    rv_hart_free(fix->hart);
    options.space = fix->space;
    assert_int_equal(rv_hart_new(fix->topo, &options, &fix->hart), 0);
    sm_vcpu_online(rv_hart_vcpu(fix->hart));
    seen[which] = (struct seen){.fix = fix};
    sm_topology_begin(fix->topo);
    assert_int_equal(sm_device_new(fix->topo, "io", &seen[which], &world.device[which]),
                     0);
    assert_int_equal(sm_region_new_io(world.device[which], "io", 0x1000, &io_ops,
                                      &world.io[which]), 0);
    assert_int_equal(sm_region_map(fix->root, IO, world.io[which], 0), 0);
    assert_int_equal(sm_topology_commit(fix->topo, NULL), 0);
}

static void free_machine(struct fixture *fix, unsigned which)
{
    sm_topology_begin(fix->topo);
    sm_region_unmap(world.io[which]);
    assert_int_equal(sm_topology_commit(fix->topo, NULL), 0);
    sm_vcpu_safe_point(rv_hart_vcpu(fix->hart));
    assert_int_equal(sm_region_free(world.io[which]), 0);
    assert_int_equal(sm_device_free(world.device[which]), 0);
    fixture_fini(fix);
}

/** Where traps to M go: they are logged, and go on at x27; ECALL ends the program. */
static void put_handler(struct fixture *fix)
{
    struct program prog = {fix, HANDLER};
    static const uint16_t csrs[] = {RV_CSRNO_mcause, RV_CSRNO_mepc, RV_CSRNO_mtval,
                                    RV_CSRNO_minstret};

    put(&prog, RV_OP_csrrw, 31, 31, 0, RV_CSRNO_mscratch);
    put(&prog, RV_OP_sd, 0, 31, 30, 0);
    put(&prog, RV_OP_sd, 0, 31, 29, 8);
    put(&prog, RV_OP_ld, 30, 31, 0, 16);
    for (unsigned n = 0; n < SM_ARRAY_LEN(csrs); n++) {
        put(&prog, RV_OP_csrrs, 29, 0, 0, csrs[n]);
        put(&prog, RV_OP_sd, 0, 30, 29, (int32_t)(8 * n));
    }
    put(&prog, RV_OP_addi, 30, 30, 0, 32);
    put(&prog, RV_OP_sd, 0, 31, 30, 16);
    put(&prog, RV_OP_csrrw, 0, R_NEXT, 0, RV_CSRNO_mepc);
    put(&prog, RV_OP_csrrs, 29, 0, 0, RV_CSRNO_mcause);
    put(&prog, RV_OP_addi, 29, 29, 0, -8); /* ECALL: 0, 1, 3 */
    put(&prog, RV_OP_sltiu, 30, 29, 0, 4);
    put(&prog, RV_OP_bne, 0, 30, 0, 20);
    put(&prog, RV_OP_ld, 30, 31, 0, 0);
    put(&prog, RV_OP_ld, 29, 31, 0, 8);
    put(&prog, RV_OP_csrrw, 31, 31, 0, RV_CSRNO_mscratch);
    put(&prog, RV_OP_mret, 0, 0, 0, 0);
    put_wfi(&prog);
}

/* --- Page tables ---------------------------------------------------------------- */

static void set_entry(uint64_t table, unsigned n, uint64_t to, unsigned bits)
{
    const uint64_t entry = to >> 2 | bits;

    pair_store(&world.pair, table + 8 * n, &entry, 8);
}

/** Two address spaces that have code and data in common; in the second the data's pages
 *  lie elsewhere in memory.
 *  Returns  the first's satp; @differ gets what makes it the second's */
static uint64_t map_all(struct fpu_random *random, enum rv_priv priv, uint64_t *differ_in)
{
    const unsigned user = priv == RV_PRIV_U ? U : 0, rw = V | R | W | A | D | user;
    const uint64_t satp = UINT64_C(8) << 60 | ROOTS >> 12;

    for (unsigned space = 0; space < 2; space++) {
        const uint64_t root = ROOTS + 0x10000 * space;
        const uint64_t middle = root + 0x1000;

        set_entry(root, VCODE >> 30, middle, V);
        for (unsigned n = 0; n < 4; n++) /* tables of 2 MiB at 0x50, 51, 52, 53 000000 */
            set_entry(middle, (unsigned)(0x80 + 8 * n), middle + 0x1000 * (1 + n), V);
        for (unsigned n = 0; n < N_CODE; n++) {
            set_entry(middle + 0x1000, 16 + n, CODE + 0x1000 * n, V | R | X | A | user);
            set_entry(middle + 0x2000, 16 + n, CODE + 0x1000 * n, V | X | A | user);
            set_entry(middle + 0x4000, 16 + n, CODE + 0x1000 * n, rw);
        }
        for (unsigned n = 0; n < N_DATA; n++) {
            static const uint8_t bits[] = {
                V | R | W | A | D, V | R | W | A | D, V | R | W | A | D, V | R | A,
                V | R | W | A, V | R | W, 0, V | R | W | A | D, V | X | A,
                V | R | W | A | D};
            const unsigned kind = (unsigned)below(random, sizeof(bits));
            uint64_t to = DATA + 0x1000 * ((5 * n + 3 * space) % N_DATA);

            if (kind == 9)
                to = IO;
            set_entry(middle + 0x3000, n, to,
                      (bits[kind] | user) ^ (one_in(random, 12) ? U : 0));
        }
        /* The entries themselves, where no other access comes near. */
        set_entry(middle + 0x3000, PTE_PAGE, middle + 0x3000, rw);
    }
    *differ_in = (ROOTS >> 12 ^ (ROOTS + 0x10000) >> 12) |
                 (one_in(random, 2) ? UINT64_C(7) << 44 : 0);
    return satp;
}

/* --- Programs ------------------------------------------------------------------- */

/** Where loads and stores go: what is interesting lies around it. */
static uint64_t random_base(struct fpu_random *random, bool paged)
{
    static const int16_t off[] = {0, 0, 8, -8, 2048, 0x100, -4, 3};
    const uint64_t n = below(random, N_DATA);
    const uint64_t by = (uint64_t)(int64_t)off[below(random, SM_ARRAY_LEN(off))];

    if (paged)
        return VDATA + 0x1000 * n + by;
    switch (below(random, 12)) {
    case 0: return IO + 0x800 + by;
    case 1: return HOLE;
    case 2: return RAM + RAM_SIZE + by;
    default: return DATA + 0x1000 * n + by;
    }
}

static void start(struct fpu_random *random, enum rv_priv priv, bool paged)
{
    const uint64_t area[3] = {0, 0, LOG};
    const uint64_t pc = paged ? VCODE : CODE;
    uint64_t differ_in = 0, satp = 0, word;

    pair_store(&world.pair, CODE, world.gen.code, MAX_CODE);
    pair_store(&world.pair, AREA, area, sizeof(area));
    for (unsigned n = 0; n < N_DATA * 0x1000; n += 8) {
        word = n % 64 ? random_x(random) : random_f(random);
        pair_store(&world.pair, DATA + n, &word, 8);
    }
    if (paged)
        satp = map_all(random, priv, &differ_in);
    BOTH(&world.pair, fix, {
        rv_hart_reset(fix->hart, pc);
        csr_put(fix, RV_CSRNO_pmpaddr0, UINT64_MAX);
        csr_put(fix, RV_CSRNO_pmpcfg0, 0x1f);
        csr_put(fix, RV_CSRNO_mtvec, HANDLER);
        csr_put(fix, RV_CSRNO_mscratch, AREA);
        csr_put(fix, RV_CSRNO_mcounteren, 7);
        csr_put(fix, RV_CSRNO_scounteren, 7);
        csr_put(fix, RV_CSRNO_senvcfg, RV_ENVCFG_CBIE | RV_ENVCFG_CBCFE | RV_ENVCFG_CBZE);
        csr_put(fix, RV_CSRNO_menvcfg, csr_get(fix, RV_CSRNO_menvcfg) | RV_ENVCFG_CBIE |
                                           RV_ENVCFG_CBCFE | RV_ENVCFG_CBZE);
        csr_put(fix, RV_CSRNO_satp, satp);
        csr_put(fix, RV_CSRNO_mstatus, RV_MSTATUS_FS | RV_MSTATUS_MPP);
        fixture_enter(fix, priv);
    });
    for (unsigned n = 1; n < 32; n++) {
        const uint64_t f = random_f(random);

        word = n >= R_BASE && n < R_BASE + R_N_BASES ? random_base(random, paged)
               : n == R_ROUNDS                       ? ROUNDS
               : n == R_SATP                         ? differ_in
               : n == R_PTE                          ? VDATA + 0x1000 * PTE_PAGE + 8 * 2
               : n == R_NEXT || n == R_FUEL          ? 0
                                                     : random_x(random);
        BOTH(&world.pair, fix, {
            rv_hart_set_x(fix->hart, n, word);
            rv_hart_set_f(fix->hart, n, f);
        });
    }
    seen[0].hash = seen[1].hash = seen[0].n = seen[1].n = 0;
}

static void run(struct fixture *fix)
{
    while (rv_hart_run(fix->hart) == RV_RUN_KICKED)
        ;
}

/** Run both to the program's end.  Returns  how much differs then */
static unsigned run_both(void)
{
    unsigned bad = 0;

    BOTH(&world.pair, fix, run(fix));
    bad += compare_harts(&world.pair) + compare_rams(&world.pair);
    bad += differ("accesses of the device ", 0, seen[0].n, seen[1].n);
    bad += differ("what the device saw ", 0, seen[0].hash, seen[1].hash);
    return bad;
}

static void print_program(void)
{
    const struct gen *gen = &world.gen;

    for (unsigned at = 0; at < gen->n;) {
        struct rv_insn insn;
        uint32_t word;

        memcpy(&word, gen->code + at, 4);
        rv_decode(rv_hart_isa(world.pair.one.hart), word, &insn);
        if (insn.raw != 1) /* c.nop: padding */
            fprintf(stderr, "%04x: %08x %s x%u, x%u, x%u, %d\n", at, insn.raw,
                    rv_insn_table[insn.op].text, insn.rd, insn.rs1, insn.rs2, insn.imm);
        at += insn.len;
    }
}

/** @state: the manner.  A failure's seed, given back, has its program first. */
static void test_manner(void **state)
{
    const struct manner *const manner = *state;
    struct fpu_random random = fpu_random_init(manner->first);
    const char *text = getenv("SM_MODEL_PROGRAMS");
    unsigned long n_programs = text ? strtoul(text, NULL, 0) : 120;
    struct rv_stats stats = {0};

    new_machine(&world.pair.one, 0, manner, random.state);
    new_machine(&world.pair.other, 1, manner, 0);
    BOTH(&world.pair, fix, put_handler(fix));
    for (; n_programs > 0; n_programs--) {
        static const enum rv_priv privs[] = {RV_PRIV_M, RV_PRIV_S, RV_PRIV_U, RV_PRIV_S};
        const uint64_t seed = random.state;
        const enum rv_priv priv = privs[below(&random, SM_ARRAY_LEN(privs))];
        const bool paged = priv != RV_PRIV_M && !one_in(&random, 5);

        gen_program(&world.gen, &random, priv, paged);
        start(&random, priv, paged);
        if (getenv("SM_MODEL_PRINT")) /* of those that do not end */
            print_program();
        if (run_both()) {
            print_program();
            fail_msg("%s: differs in %s, SM_SEED=%llu", manner->name,
                     priv == RV_PRIV_M   ? "M"
                     : priv == RV_PRIV_S ? "S"
                                         : "U",
                     (unsigned long long)seed);
        }
        stats = stats_of(&world.pair.one);
    }
    printf("%llu instructions, %llu blocks entered, %llu exceptions, %llu units\n",
           (unsigned long long)stats.instructions,
           (unsigned long long)stats.block_entries, (unsigned long long)stats.exceptions,
           (unsigned long long)stats.units);
    if (stats.translates)
        assert_true(stats.units > 0);
    free_machine(&world.pair.one, 0);
    free_machine(&world.pair.other, 1);
}

/** What compares would see a bit that is wrong anywhere. */
static void test_sees(void **state)
{
    const struct manner *const manner = *state;
    struct fpu_random random = {1};

    new_machine(&world.pair.one, 0, manner, 1);
    new_machine(&world.pair.other, 1, manner, 0);
    BOTH(&world.pair, fix, put_handler(fix));
    gen_program(&world.gen, &random, RV_PRIV_S, true);
    start(&random, RV_PRIV_S, true);
    assert_int_equal(run_both(), 0);
    world.pair.one.hart->x[17] ^= 1;
    assert_int_equal(compare_harts(&world.pair), 1);
    world.pair.one.hart->x[17] ^= 1;
    world.pair.one.hart->fflags ^= 1; /* of fcsr as well */
    assert_int_equal(compare_harts(&world.pair), 2);
    world.pair.one.hart->fflags ^= 1;
    ram_of(&world.pair.one)[LOG - RAM + 77] ^= 1;
    assert_int_equal(compare_rams(&world.pair), 1);
    free_machine(&world.pair.one, 0);
    free_machine(&world.pair.other, 1);
}

int main(void)
{
    static const struct manner manners[] = {
        {.name = "as it comes", .first = 1, .opt = JIT_OPT_ALL},
        {.name = "not optimised", .first = 2, .opt = 0},
        {.name = "no folding", .first = 3, .opt = JIT_OPT_DEAD},
        {.name = "dead writes stay", .first = 4, .opt = JIT_OPT_FOLD},
        {.name = "registers at random", .first = 5, .opt = JIT_OPT_ALL, .seed = true},
        {.name = "no links", .first = 6, .opt = JIT_OPT_ALL, .flags = JIT_NO_LINK},
        {.name = "no returns", .first = 7, .opt = JIT_OPT_ALL, .flags = JIT_NO_RETURNS},
        {.name = "no pins", .first = 8, .opt = JIT_OPT_ALL, .flags = JIT_NO_PINS,
         .seed = true},
        {.name = "no jumps", .first = 9, .opt = JIT_OPT_ALL, .flags = JIT_NO_JUMPS},
        {.name = "no shared checks", .first = 10, .opt = JIT_OPT_FOLD | JIT_OPT_DEAD},
        {.name = "little room", .first = 11, .opt = JIT_OPT_ALL, .code_size = 1 << 16},
    };
    struct CMUnitTest tests[SM_ARRAY_LEN(manners) + 1];

    for (size_t n = 0; n < SM_ARRAY_LEN(manners); n++)
        tests[n] = (struct CMUnitTest){.name = manners[n].name,
                                       .test_func = test_manner,
                                       .initial_state = (void *)(uintptr_t)&manners[n]};
    tests[SM_ARRAY_LEN(manners)] =
        (struct CMUnitTest){.name = "compares see", .test_func = test_sees,
                            .initial_state = (void *)(uintptr_t)&manners[0]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
