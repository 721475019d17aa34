/* SPDX-License-Identifier: MIT */
/* fuzz_translate.c - any bytes as code, in a hart that makes units of all it runs and in
 * one that interprets, under any privilege and any entries of its page tables: nothing in
 * the host is touched that should not be, and both end alike.
 *
 * What runs cannot be written, by entries of PMP that are locked, so that no code changes
 * without a fence.  Programs that do not end are stopped; these, and such that change how
 * addresses are translated without a fence, perhaps, or look at what may be called dirty
 * too often, are run, but not compared.
 *
 * Built with -Dfuzz=true, libFuzzer makes the inputs; else this makes them itself, from
 * SM_SEED, SM_FUZZ_RUNS of them: random programs with a few bytes changed.
 */
#include "random_program.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DATA   RAM
#define CODE   (RAM + 0x10000)
#define TABLES (RAM + 0x20000)
#define VECTOR (CODE + 0xff00)
/** Virtual. */
#define VDATA UINT64_C(0x40000000)
#define VCODE UINT64_C(0x40010000)

enum { V = 1, R = 2, W = 4, X = 8, U = 16, A = 64, D = 128 };
enum { AREA = 0x10000, N_PAGES = 32, MILLISECONDS = 5 };

/** What an input begins with; bytes of code follow. */
struct input {
    uint8_t priv, flags, frm, fflags;
    uint8_t reg[12];                 /* kinds of values of registers                */
    uint8_t entry[16];               /* pairs: a page, bits of its entry to flip    */
};
enum { PAGED = 1, SUM = 2, MXR = 4, NO_FP = 8, TRAP_OTHER = 16 };

static struct {
    struct pair pair;
    bool ready;
    volatile sig_atomic_t stopped;
} world;

static void on_time(int signal)
{
    world.stopped = 1;
    BOTH(&world.pair, fix, rv_hart_kick(fix->hart));
}

static void prepare(void)
{
    const struct rv_isa isa = fixture_isa();
    const struct sigaction action = {.sa_handler = on_time};

    fixture_translate = true;
    fixture_heat = 1;
    fixture_init(&world.pair.one, &isa);
    fixture_translate = false;
    fixture_init(&world.pair.other, &isa);
    sigaction(SIGVTALRM, &action, NULL);
    world.ready = true;
}

static void set_entry(uint64_t at, uint64_t to, uint64_t bits)
{
    const uint64_t entry = to >> 2 | bits;

    pair_store(&world.pair, at, &entry, 8);
}

/** Sv39; tables are mapped nowhere, so that who changes them does it from M. */
static uint64_t map_all(const struct input *input)
{
    const uint64_t user = input->priv % 3 == 0 ? U : 0;
    uint64_t bits[N_PAGES];

    for (unsigned n = 0; n < N_PAGES; n++)
        bits[n] = (n < 16 ? V | R | W | A | D : V | R | X | A) | user;
    for (unsigned n = 0; n < SM_ARRAY_LEN(input->entry); n += 2)
        bits[input->entry[n] % N_PAGES] ^= input->entry[n + 1];
    set_entry(TABLES + 8 * (VDATA >> 30), TABLES + 0x1000, V);
    set_entry(TABLES + 0x1000, TABLES + 0x2000, V);
    for (unsigned n = 0; n < N_PAGES; n++)
        set_entry(TABLES + 0x2000 + 8 * n, DATA + 0x1000 * n, bits[n]);
    return UINT64_C(8) << 60 | TABLES >> 12;
}

static uint64_t value_of(unsigned kind, unsigned n, bool paged)
{
    const uint64_t data = paged ? VDATA : DATA, code = paged ? VCODE : CODE;
    uint64_t bits = (kind * 37 + n) * UINT64_C(0x9e3779b97f4a7c15);

    switch (kind % 8) {
    case 0: return bits;
    case 1: return kind >> 3;
    case 2: return -(uint64_t)(kind >> 3);
    case 3: return code + 2 * (bits % 0x200);
    case 4: return data + 0x1000 * (kind >> 4) - 8 * (kind >> 3 & 1);
    default: return data + bits % AREA;
    }
}

static void begin(const struct input *input, const uint8_t *code, size_t size)
{
    static const enum rv_priv privs[] = {RV_PRIV_U, RV_PRIV_S, RV_PRIV_M};
    static const uint8_t nothing[AREA];
    const enum rv_priv priv = privs[input->priv % 3];
    const bool paged = input->flags & PAGED && priv != RV_PRIV_M;
    const uint64_t pc = paged ? VCODE : CODE, satp = map_all(input);
    const uint64_t status = (input->flags & SUM ? RV_MSTATUS_SUM : 0) |
                            (input->flags & MXR ? RV_MSTATUS_MXR : 0) |
                            (input->flags & NO_FP ? 0 : RV_MSTATUS_FS);

    pair_store(&world.pair, DATA, nothing, AREA);
    pair_store(&world.pair, CODE, nothing, AREA);
    pair_store(&world.pair, CODE, code, size);
    pair_store(&world.pair, VECTOR, &rv_insn_table[RV_OP_wfi].match, 4);
    BOTH(&world.pair, fix, {
        rv_hart_reset(fix->hart, pc);
        csr_put(fix, RV_CSRNO_mtvec, VECTOR);
        csr_put(fix, RV_CSRNO_mcounteren, 7);
        csr_put(fix, RV_CSRNO_scounteren, 7);
        csr_put(fix, RV_CSRNO_satp, paged ? satp : 0);
        csr_put(fix, RV_CSRNO_mstatus, status);
        csr_put(fix, RV_CSRNO_stvec, CODE + 0x800);
        if (input->flags & TRAP_OTHER)
            csr_put(fix, RV_CSRNO_medeleg, 0xb1ff);
        fix->hart->instret = 0; /* others may have been stopped anywhere           */
        csr_put(fix, RV_CSRNO_minstret, 0);
        csr_put(fix, RV_CSRNO_mcycle, 0);
        fix->hart->frm = input->frm & 7;
        fix->hart->fflags = input->fflags & 31;
        /* NAPOT of 64 KiB: code, data, tables; of all else nothing. */
        csr_put(fix, RV_CSRNO_pmpaddr0, (CODE | 0x7fff) >> 2);
        csr_put(fix, (RV_CSRNO_pmpaddr0 + 1), (DATA | 0x7fff) >> 2);
        csr_put(fix, (RV_CSRNO_pmpaddr0 + 2), (TABLES | 0x7fff) >> 2);
        csr_put(fix, (RV_CSRNO_pmpaddr0 + 3), UINT64_MAX);
        csr_put(fix, RV_CSRNO_pmpcfg0, UINT64_C(0x989b9b9d));
        for (unsigned n = 1; n < 32; n++) {
            const unsigned kind = input->reg[n % SM_ARRAY_LEN(input->reg)];

            rv_hart_set_x(fix->hart, n, value_of(kind, n, paged));
            rv_hart_set_f(fix->hart, n, value_of(kind ^ n, n, paged));
        }
        fixture_enter(fix, priv);
    });
}

/** Whether programs with this @code end alike for sure. */
static bool is_exact(const uint8_t *code, size_t size)
{
    for (size_t at = 0; at + 4 <= size; at += 2) {
        uint32_t word;

        memcpy(&word, code + at, 4);
        if ((word & 0x7f) == 0x73 && (word >> 12 & 7) != 0 &&
            (word >> 20 > RV_CSRNO_fcsr && word >> 20 < RV_CSRNO_cycle))
            return false;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct itimerval limit = {.it_value = {0, 1000 * MILLISECONDS}};
    const struct itimerval none = {.it_value = {0, 0}};
    struct input input;

    if (!world.ready)
        prepare();
    if (size < sizeof(input) + 2)
        return 0;
    memcpy(&input, data, sizeof(input));
    data += sizeof(input);
    size = SM_MIN(size - sizeof(input), (size_t)0x8000);
    begin(&input, data, size);
    world.stopped = 0;
    setitimer(ITIMER_VIRTUAL, &limit, NULL);
    BOTH(&world.pair, fix, while (rv_hart_run(fix->hart) == RV_RUN_KICKED && !world.stopped));
    setitimer(ITIMER_VIRTUAL, &none, NULL);
    if (world.stopped || !is_exact(data, size))
        return 0;
    if (compare_harts(&world.pair) ||
        memcmp(ram_of(&world.pair.one), ram_of(&world.pair.other), 3 * AREA))
        abort();
    return 0;
}

#ifndef SM_LIBFUZZER
int main(void)
{
    const char *seed_text = getenv("SM_SEED"), *runs_text = getenv("SM_FUZZ_RUNS");
    struct fpu_random random = {seed_text ? strtoull(seed_text, NULL, 0) : 1};
    const unsigned long runs = runs_text ? strtoul(runs_text, NULL, 0) : 600;
    static uint8_t bytes[sizeof(struct input) + MAX_CODE];
    static struct gen gen;

    printf("SM_SEED=%#llx SM_FUZZ_RUNS=%lu\n", (unsigned long long)random.state, runs);
    for (unsigned long run = 0; run < runs; run++) {
        for (size_t n = 0; n < sizeof(struct input); n++)
            bytes[n] = (uint8_t)fpu_random_next(&random);
        gen_program(&gen, &random, (enum rv_priv)(bytes[0] % 3 == 2 ? 3 : bytes[0] % 3),
                    false);
        memcpy(bytes + sizeof(struct input), gen.code, gen.n);
        for (unsigned n = (unsigned)below(&random, 12); n-- > 0;)
            bytes[below(&random, sizeof(struct input) + gen.n)] ^=
                (uint8_t)(1 << below(&random, 8));
        LLVMFuzzerTestOneInput(bytes, sizeof(struct input) + gen.n);
    }
    return 0;
}
#endif
