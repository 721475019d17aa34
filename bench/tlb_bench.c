/* SPDX-License-Identifier: MIT */
/* tlb_bench.c - what misses, refills, context switches and fences of a hart's SoftTLB
 * cost: a line per figure with its name, nanoseconds (or ratio) and the target.
 *
 *   tlb_bench [NAME...]     those whose names begin so
 *
 * The hart is a real one: Sv39 tables in guest RAM, and PMP as firmware sets it up
 * (itself out of reach, all else allowed).  Each figure is the best of several rounds.
 */
#include "memory/flatview.h" /* sm_address_space_topology() */
#include "riscv/riscv_impl.h"
#include "hart.h"
#include "timing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RAM      UINT64_C(0x80000000)
#define RAM_SIZE UINT64_C(0x30000000)
#define TABLES   (RAM + UINT64_C(0x400000))
#define DATA     (RAM + UINT64_C(0x8000000))
#define VIRTUAL  UINT64_C(0x1000000000)
enum {
    DATA_PAGES = 131072, /* 512 MiB                                               */
    COPY_PAGES = 64,
    ROUNDS = 40, /* short ones: the host has other things to do                */
    FENCES = 4000
};
enum { PTE_V = 1, PTE_RWXAD = 0xcf };

static struct sm_mapping mapping;
static struct rv_hart *hart;
static sm_gpa next_table = TABLES;
static volatile uint64_t sink;
static int n_names;
static char **names;

static bool chosen(const char *name)
{
    for (int i = 0; i < n_names; i++)
        if (!strncmp(name, names[i], strlen(names[i])))
            return true;
    return n_names == 0;
}

static void report(const char *name, double value, const char *unit, double target)
{
    if (target > 0)
        printf("%-34s %8.2f %-5s target %g\n", name, value, unit, target);
    else
        printf("%-34s %8.2f %s\n", name, value, unit);
    fflush(stdout);
}

/* --- The guest -------------------------------------------------------------------- */

static uint8_t *host_of(sm_gpa gpa)
{
    return (uint8_t *)mapping.host + (gpa - RAM);
}

static sm_gpa new_table(void)
{
    const sm_gpa table = next_table;

    next_table += SM_PAGE_SIZE;
    return table;
}

static void map(sm_gpa root, sm_gva gva, sm_gpa gpa)
{
    sm_gpa table = root;

    for (unsigned shift = 30; shift > 12; shift -= 9) {
        uint64_t *pte = (uint64_t *)(void *)host_of(table) + (gva >> shift & 511);
        if (!*pte)
            *pte = new_table() >> 12 << 10 | PTE_V;
        table = *pte >> 10 << 12;
    }
    ((uint64_t *)(void *)host_of(table))[gva >> 12 & 511] = gpa >> 12 << 10 | PTE_RWXAD;
}

static uint64_t satp_of(sm_gpa root, uint64_t asid)
{
    return UINT64_C(8) << 60 | asid << 44 | root >> 12;
}

static bool by_try;

/** As firmware does it: its own 512 KiB denied, the rest open. */
static void set_pmp(void)
{
    sm_pmp_write_addr(&hart->pmp, 0, UINT64_C(0x02000000) >> 2 | 0x1fff); /* ACLINT */
    sm_pmp_write_cfg(&hart->pmp, 0, 3 << SM_PMP_A_SHIFT);
    sm_pmp_write_addr(&hart->pmp, 1, RAM >> 2 | 0xffff);
    sm_pmp_write_cfg(&hart->pmp, 1, 3 << SM_PMP_A_SHIFT);
    sm_pmp_write_addr(&hart->pmp, 2, UINT64_MAX);
    sm_pmp_write_cfg(&hart->pmp, 2,
                     3 << SM_PMP_A_SHIFT | SM_PMP_R | SM_PMP_W | SM_PMP_X);
    rv_regime_flush(hart);
}

static sm_gpa set_up(void)
{
    static const struct sm_owner_ops topo_ops = {.struct_size = sizeof(topo_ops)};
    static struct rv_isa isa;
    const struct sm_attrs attrs = {.process = SM_NO_PROCESS};
    struct rv_hart_options options = {
        .struct_size = sizeof(options), .isa = &isa, .ops = &owner_ops};
    struct sm_topology *topo;
    struct sm_region *root, *ram;
    struct sm_address_space *space;
    sm_gpa tables;

    must(rv_isa_init(&isa, "rv64"), "rv64");
    must(sm_topology_new(&topo_ops, NULL, &topo), "topology");
    sm_topology_begin(topo);
    must(sm_region_new(topo, "root", UINT64_MAX, &root), "root");
    must(sm_region_new_ram(topo, "ram", RAM_SIZE, &ram), "ram");
    must(sm_region_map(root, RAM, ram, 0), "map");
    must(sm_address_space_new(topo, "cpu", root, &space), "space");
    must(sm_topology_commit(topo, NULL), "commit");
    if (sm_address_space_map(space, RAM, &attrs, RAM_SIZE, SM_WRITE, &mapping))
        must(-1, "map");
    options.space = space;
    must(rv_hart_new(topo, &options, &hart), "hart");
    sm_vcpu_online(hart->vcpu);
    set_pmp();
    tables = new_table();
    for (uint64_t i = 0; i < DATA_PAGES; i++) {
        map(tables, VIRTUAL + i * SM_PAGE_SIZE, DATA + i * SM_PAGE_SIZE);
        *(volatile uint8_t *)host_of(DATA + i * SM_PAGE_SIZE) = 0; /* now the host's */
    }
    hart->priv = RV_PRIV_S;
    hart->satp = satp_of(tables, 1);
    rv_regime_update(hart);
    return tables;
}

/* --- Accesses --------------------------------------------------------------------- */

static uint64_t load(sm_gva gva)
{
    const struct sm_memop op = {.size_bits = 3, .mode = hart->mode_data};
    struct sm_value value;
    struct sm_fault fault;
    void *host;

    /* As generated code does it. */
    if (SM_LIKELY(sm_tlb_hit(hart->fast->table[op.mode], gva, 8, SM_READ, &host)))
        return sm_host_load(host, 3);
    host = sm_tlb_try(hart->vcpu, gva, op.mode, SM_READ);
    if (SM_LIKELY(host != NULL))
        return sm_host_load(host, 3);
    if (sm_tlb_read_slow(hart->vcpu, gva, op, &value, &fault) != SM_STEP_DONE)
        must(-1, "load");
    return value.lo;
}

static void store(sm_gva gva, uint64_t what)
{
    const struct sm_memop op = {.size_bits = 3, .mode = hart->mode_data};
    struct sm_fault fault;
    void *host;

    if (SM_LIKELY(sm_tlb_hit(hart->fast->table[op.mode], gva, 8, SM_WRITE, &host)))
        sm_host_store(host, 3, what);
    else if (sm_tlb_write_slow(hart->vcpu, gva, op, (struct sm_value){what, 0}, &fault) !=
             SM_STEP_DONE)
        must(-1, "store");
}

/** Translate and fill, without a load of the data: as generated code has it done, or by
 *  the function for all cases. */
static void touch(sm_gva gva)
{
    struct sm_fault fault;
    void *host;

    if (by_try && sm_tlb_try(hart->vcpu, gva, hart->mode_data, SM_READ))
        return; /* all but the first of a table's */
    if (sm_tlb_touch(hart->vcpu, gva, 8, SM_READ, hart->mode_data, 0, &host, &fault) !=
        SM_STEP_DONE)
        must(-1, "touch");
}

static uint64_t fills(void)
{
    struct sm_tlb_stats stats = {.struct_size = sizeof(stats)};

    sm_tlb_get_stats(hart->vcpu, &stats);
    return stats.fills[SM_READ];
}

/* --- Misses ----------------------------------------------------------------------- */

/** ns per miss of @n pages in turn, @again and again.
 *
 *  @partners  the pages are pairs that share a slot; else there are more than slots */
static double miss(unsigned n, unsigned again, bool partners)
{
    double best = 1e9;

    for (unsigned round = 0; round < ROUNDS; round++) {
        const uint64_t before = fills();
        const double start = bench_now();
        for (unsigned r = 0; r < again; r++) {
            for (unsigned i = 0; i < n; i++) {
                /* 1023 pages on is the same slot again (sm_tlb_slot()) */
                const uint64_t page = partners ? 512 + i / 2 + i % 2 * 1023 : i;
                touch(VIRTUAL + page * SM_PAGE_SIZE);
            }
        }
        const double took = (bench_now() - start) / ((double)n * again);
        if (fills() - before < (uint64_t)n * again * 99 / 100)
            must(-1, "hits among the misses");
        best = SM_MIN(best, took);
    }
    return best;
}

static void bench_misses(void)
{
    by_try = true;
    if (chosen("miss_refill"))
        report("miss_refill, 128 pages", miss(128, 100, true), "ns", 15);
    if (chosen("miss_refill_4096"))
        report("miss_refill_4096, 4096 pages", miss(4096, 4, false), "ns", 15);
    by_try = false;
    if (chosen("miss_touch"))
        report("miss_touch, 128 pages", miss(128, 100, true), "ns", 0);
}

enum { RANDOM_ROUNDS = 25 };

static uint32_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return (uint32_t)((uint64_t)random_state * n >> 32);
}

enum random_by {
    BY_HOST,  /* the data, where it is                                         */
    BY_ENTRY, /* each page's leaf and then the data: what any walk has to wait for */
    BY_GUEST,
    N_RANDOM_BY
};

/** ns per access of @times accesses to each page in turn, to lines at no stride that the
 *  host could foresee.  Each waits for the one before, whose value, 0, is part of its
 *  address. */
static double random_pages(const uint32_t *order, unsigned times, enum random_by by)
{
    static const uint8_t line[] = {0, 29, 50, 7};
    /* Made one after the other, behind the root and the table below it. */
    const uint64_t *const leaves =
        (const uint64_t *)(void *)host_of(TABLES + UINT64_C(2) * SM_PAGE_SIZE);
    const double start = bench_now();
    uint64_t sum = 0;

    for (unsigned i = 0; i < DATA_PAGES; i++) {
        const uint64_t page = (uint64_t)order[i] * SM_PAGE_SIZE;
        uint64_t gpa = DATA + page;

        if (by == BY_ENTRY)
            gpa = sm_host_load(leaves + order[i] + sum, 3) >> 10 << 12;
        for (unsigned n = 0; n < times; n++) {
            const uint64_t at = ((order[i] ^ line[n]) * 64 & 0xfc0) + sum;
            sum = by == BY_GUEST ? load(VIRTUAL + page + at)
                                 : sm_host_load(host_of(gpa + at), 3);
        }
    }
    sink = sum;
    return (bench_now() - start) / ((double)DATA_PAGES * times);
}

static void bench_random_times(const uint32_t *order, unsigned times)
{
    double took[N_RANDOM_BY][RANDOM_ROUNDS], added[N_RANDOM_BY][RANDOM_ROUNDS];
    char name[64];

    /* In turn: what else the host does meets all.  What is added is a difference of
     * neighbours, as the latency of memory is not that of a minute ago. */
    for (unsigned round = 0; round < RANDOM_ROUNDS; round++)
        for (unsigned by = 0; by < N_RANDOM_BY; by++) {
            took[by][round] = random_pages(order, times, (enum random_by)by);
            added[by][round] = took[by][round] - took[BY_HOST][round];
        }
    snprintf(name, sizeof(name), "random_512M, %u a page", times);
    report(name, bench_median(took[BY_GUEST], RANDOM_ROUNDS), "ns", 0);
    snprintf(name, sizeof(name), "random_512M, %u a page, data alone", times);
    report(name, bench_median(took[BY_HOST], RANDOM_ROUNDS), "ns", 0);
    snprintf(name, sizeof(name), "random_512M, %u a page, added", times);
    report(name, bench_median(added[BY_GUEST], RANDOM_ROUNDS), "ns", 30);
    snprintf(name, sizeof(name), "random_512M, %u a page, by its entry", times);
    report(name, bench_median(added[BY_ENTRY], RANDOM_ROUNDS), "ns", 0);
}

static void bench_random(void)
{
    uint32_t *const order = malloc(DATA_PAGES * sizeof(*order));

    if (!order)
        must(-1, "memory");
    for (uint32_t i = 0; i < DATA_PAGES; i++) {
        const uint32_t j = random_below(i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    if (chosen("random")) {
        bench_random_times(order, 1);
        bench_random_times(order, 4);
    }
    free(order);
}

/* --- Copies ----------------------------------------------------------------------- */

static double copy(sm_gva to, sm_gva from)
{
    const double start = bench_now();

    for (unsigned again = 0; again < 2; again++)
        for (uint64_t at = 0; at < COPY_PAGES * SM_PAGE_SIZE; at += 8)
            store(to + at, load(from + at));
    return (bench_now() - start) / (2 * COPY_PAGES * 512.0);
}

/** To a power of two away, and to some pages beside that: memory of the host as near, or
 *  as far.  The two in turn; of each the best counts, of the powers the worst ratio. */
static void bench_copies(sm_gpa tables)
{
    enum { BESIDE = 37 }; /* pages */
    double ordinary = 0, power = 0, worst = 0;
    unsigned worst_bits = 0;

    if (!chosen("copy"))
        return;
    for (unsigned bits = 18; bits <= 35; bits++) {
        const sm_gva to = VIRTUAL + (UINT64_C(1) << bits);
        double best[2] = {1e9, 1e9};

        for (uint64_t i = 0; bits >= 29 && i < COPY_PAGES + BESIDE; i++)
            map(tables, to + i * SM_PAGE_SIZE,
                DATA + (UINT64_C(100000) + i) * SM_PAGE_SIZE);
        for (unsigned round = 0; round < 2 * ROUNDS; round++) {
            const sm_gva beside = round % 2 ? BESIDE * SM_PAGE_SIZE : 0;
            best[round % 2] = SM_MIN(best[round % 2], copy(to + beside, VIRTUAL));
        }
        if (best[0] / best[1] > worst) {
            power = best[0];
            ordinary = best[1];
            worst = power / ordinary;
            worst_bits = bits;
        }
    }
    printf("%-34s %8.2f ns    2^%u bytes away, the worst power\n", "copy, power of two, 8 bytes",
           power, worst_bits);
    report("copy, 37 pages beside that", ordinary, "ns", 0);
    report("copy, ratio", worst, "x", 1.5);
}

/* --- Contexts and fences ---------------------------------------------------------- */

static void bench_switch(sm_gpa tables)
{
    const uint64_t satp[2] = {satp_of(tables, 1), satp_of(tables, 2)};
    enum { N = 1 << 15 };
    double best = 1e9;

    if (!chosen("switch"))
        return;
    for (unsigned round = 0; round < ROUNDS; round++) {
        const double start = bench_now();
        for (unsigned i = 0; i < N; i++) {
            hart->satp = satp[i & 1];
            rv_regime_update(hart);
        }
        best = SM_MIN(best, (bench_now() - start) / N);
    }
    report("switch, warm, one mode", best, "ns", 10);
    hart->satp = satp[0];
    rv_regime_update(hart);
}

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/** Median ticks of @times fences by @insn, of pages in turn if it names any, after @n
 *  pages were filled, and one in each of @spaces others; NULL: of nothing. */
static double fence(const struct rv_insn *insn, unsigned times, unsigned n,
                    unsigned spaces, sm_gpa tables)
{
    static uint64_t took[FENCES];

    for (unsigned i = 0; i < FENCES; i++) {
        for (unsigned page = 0; page < n; page++)
            touch(VIRTUAL + page * SM_PAGE_SIZE);
        if (spaces)
            for (unsigned asid = 2; asid < 2 + spaces; asid++) {
                hart->satp = satp_of(tables, asid);
                rv_regime_update(hart);
                touch(VIRTUAL);
            }
        hart->satp = satp_of(tables, 1);
        rv_regime_update(hart);
        const uint64_t start = bench_ticks();
        for (unsigned t = 0; t < times && insn; t++) {
            hart->x[10] = VIRTUAL + t * SM_PAGE_SIZE;
            rv_sfence_vma(hart, insn);
        }
        took[i] = bench_ticks() - start;
    }
    qsort(took, FENCES, sizeof(took[0]), compare);
    return (double)took[FENCES / 2];
}

static void bench_fences(sm_gpa tables)
{
    const struct rv_insn full = {.rs1 = 0}, page = {.rs1 = 10};

    if (!chosen("fence"))
        return;
    const double tick = bench_ns_per_tick();
    const double nothing = fence(NULL, 1, 64, 0, tables);
    report("fence, all, 64 entries",
           (fence(&full, 1, 64, 0, tables) - nothing) * tick, "ns", 100);
    report("fence, a page, each of 64",
           (fence(&page, 64, 64, 0, tables) - nothing) * tick / 64, "ns", 20);
    report("fence, all, and 8 spaces of 1",
           (fence(&full, 1, 64, 8, tables) - nothing) * tick, "ns", 0);
    report("fence, a page, 9 spaces",
           (fence(&page, 64, 64, 8, tables) - nothing) * tick / 64, "ns", 0);
}

/** us from a fence of everything, everywhere, to the ticket that says that an idle hart
 *  cannot use what was covered any more. */
static void bench_remote(void)
{
    static const struct sm_tlb_scope everything = {
        .range = {0, UINT64_MAX}, .modes = UINT16_MAX, .stage = 1};
    struct rv_hart_options options = {
        .struct_size = sizeof(options), .isa = &hart->isa, .ops = &owner_ops,
        .space = hart->space, .hart_id = 1};
    struct sm_topology *const topo = sm_address_space_topology(hart->space);
    static double took[FENCES];
    struct rv_hart *idle;

    if (!chosen("remote"))
        return;
    must(rv_hart_new(topo, &options, &idle), "hart");
    for (unsigned i = 0; i < FENCES; i++) {
        const double start = bench_now();
        sm_vcpu_settle(hart->vcpu, sm_tlb_flush_all(topo, &everything));
        took[i] = bench_now() - start;
    }
    report("remote fence, idle hart", bench_median(took, FENCES) / 1e3, "us", 5);
    rv_hart_free(idle);
}

int main(int argc, char **argv)
{
    sm_gpa tables;

    n_names = argc - 1;
    names = argv + 1;
    tables = set_up();
    bench_misses();
    bench_random();
    bench_copies(tables);
    bench_switch(tables);
    bench_fences(tables);
    bench_remote();
    sm_mapping_release(&mapping);
    sm_vcpu_offline(hart->vcpu);
    rv_hart_free(hart);
    return 0;
}
