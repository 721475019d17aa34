/* SPDX-License-Identifier: MIT */
/* peer_unicorn.c - building a map and reading memory, beside Unicorn in the same run.
 *
 * Both map pages of RAM one by one, a commit each in ours, map one more and take it away
 * again, and copy bytes out.  Each figure is taken in a process of its own, as Unicorn
 * ends its process by a failed assertion when there are too many pages (2.0.1: at the
 * 4096th).  To get there takes it minutes, so it is given up after 5 s, or after as many
 * as the argument says.
 */
#include "softmmu/softmmu.h"
#include "timing.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unicorn/unicorn.h>
#include <unistd.h>

enum { MANY = 10000, STEP = 0x2000, PAGE = 0x1000, TURNS = 201, READS = 200000 };
enum { BULK = 0x1000 };

static double patience = 5e9; /* ns */

/* What a process found out; shared with its parent. */
struct figures {
    uint32_t n_mapped;       /* how many pages lie there                        */
    double build_ns;         /* all of them                                     */
    double map_ns, unmap_ns; /* one more, medians                              */
    double read_ns;          /* 8 bytes at random pages                         */
    double bulk_ns;          /* a page                                          */
};

#define CHECK(call)                                                                      \
    do {                                                                                 \
        if ((call) != 0) {                                                               \
            fprintf(stderr, "failed: %s\n", #call);                                      \
            _exit(2);                                                                    \
        }                                                                                \
    } while (0)

static uint64_t place(uint64_t n)
{
    return n * STEP;
}

static uint64_t random_place(uint64_t *state, uint32_t n)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return place((*state >> 33) % n);
}

static double best(double a, double b)
{
    return a < b || b == 0 ? a : b;
}

/* --- Theirs ----------------------------------------------------------- */

static void theirs(struct figures *out, uint32_t n, bool measure)
{
    double map[TURNS], unmap[TURNS];
    uint64_t random = 1, value;
    uint8_t page[BULK];
    uc_engine *uc;

    CHECK(uc_open(UC_ARCH_RISCV, UC_MODE_RISCV64, &uc));
    const double begin = bench_now();
    for (uint32_t i = 0; i < n; i++) {
        CHECK(uc_mem_map(uc, place(i), PAGE, UC_PROT_ALL));
        out->n_mapped = i + 1;
        if (!measure && bench_now() - begin > patience)
            break;
    }
    out->build_ns = bench_now() - begin;
    if (!measure)
        return;
    for (unsigned i = 0; i < TURNS; i++) {
        const double start = bench_now();
        CHECK(uc_mem_map(uc, place(n), PAGE, UC_PROT_ALL));
        map[i] = bench_now() - start;
        CHECK(uc_mem_unmap(uc, place(n), PAGE));
        unmap[i] = bench_now() - start - map[i];
    }
    out->map_ns = bench_median(map, TURNS);
    out->unmap_ns = bench_median(unmap, TURNS);
    for (unsigned pass = 0; pass < 5; pass++) {
        double start = bench_worked();
        for (unsigned i = 0; i < READS; i++)
            CHECK(uc_mem_read(uc, random_place(&random, n), &value, 8));
        out->read_ns = best((bench_worked() - start) / READS, out->read_ns);
        start = bench_worked();
        for (unsigned i = 0; i < READS / 10; i++)
            CHECK(uc_mem_read(uc, random_place(&random, n), page, BULK));
        out->bulk_ns = best((bench_worked() - start) / (READS / 10), out->bulk_ns);
    }
}

/* --- Ours ------------------------------------------------------------- */

static void ours_map(struct sm_topology *topo, struct sm_region *root, uint64_t at,
                     struct sm_region **region)
{
    CHECK(sm_region_new_ram(topo, "ram", PAGE, region));
    sm_topology_begin(topo);
    CHECK(sm_region_map(root, at, *region, 0));
    CHECK(sm_topology_commit(topo, NULL));
}

static void ours_unmap(struct sm_topology *topo, struct sm_region *region)
{
    sm_topology_begin(topo);
    sm_region_unmap(region);
    CHECK(sm_region_free(region));
    CHECK(sm_topology_commit(topo, NULL));
    sm_topology_work(topo); /* nobody can reach it any more: free it now */
}

static void ours(struct figures *out, uint32_t n, bool measure)
{
    const struct sm_attrs attrs = {.process = SM_NO_PROCESS};
    struct sm_topology *topo;
    struct sm_region *root, *region;
    struct sm_address_space *space;
    double map[TURNS], unmap[TURNS];
    uint64_t random = 1, value;
    uint8_t page[BULK];

    CHECK(sm_topology_new(NULL, NULL, &topo));
    CHECK(sm_region_new(topo, "root", UINT64_MAX, &root));
    CHECK(sm_address_space_new(topo, "space", root, &space));
    const double begin = bench_now();
    for (uint32_t i = 0; i < n; i++) {
        ours_map(topo, root, place(i), &region);
        out->n_mapped = i + 1;
    }
    out->build_ns = bench_now() - begin;
    if (!measure)
        return;
    for (unsigned i = 0; i < TURNS; i++) {
        const double start = bench_now();
        ours_map(topo, root, place(n), &region);
        map[i] = bench_now() - start;
        ours_unmap(topo, region);
        unmap[i] = bench_now() - start - map[i];
    }
    out->map_ns = bench_median(map, TURNS);
    out->unmap_ns = bench_median(unmap, TURNS);
    for (unsigned pass = 0; pass < 5; pass++) {
        double start = bench_worked();
        for (unsigned i = 0; i < READS; i++)
            CHECK(sm_address_space_read(space, random_place(&random, n), &attrs, &value,
                                        8, NULL));
        out->read_ns = best((bench_worked() - start) / READS, out->read_ns);
        start = bench_worked();
        for (unsigned i = 0; i < READS / 10; i++)
            CHECK(sm_address_space_read(space, random_place(&random, n), &attrs, page,
                                        BULK, NULL));
        out->bulk_ns = best((bench_worked() - start) / (READS / 10), out->bulk_ns);
    }
}

/* --- Side by side ----------------------------------------------------- */

/* Run @who in a process of its own.  Returns false if that ended before it was done. */
static bool apart(void (*who)(struct figures *out, uint32_t n, bool measure), uint32_t n,
                  bool measure, struct figures *out)
{
    struct figures *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status = -1;

    if (shared == MAP_FAILED)
        exit(1);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        if (!measure && !freopen("/dev/null", "w", stderr)) /* an assertion's words */
            _exit(2);
        who(shared, n, measure);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        exit(1);
    *out = *shared;
    munmap(shared, sizeof(*shared));
    return status == 0;
}

static void row(const char *what, uint32_t n, double our, double their, const char *unit,
                double scale)
{
    char text[64];

    snprintf(text, sizeof(text), what, n);
    printf("%-34s%8.2f %-2s%8.2f %-2s%9.4f\n", text, our / scale, unit, their / scale,
           unit, our / their);
}

int main(int argc, char **argv)
{
    struct figures our, their, most;
    unsigned major, minor;

    if (argc > 1)
        patience = strtod(argv[1], NULL) * 1e9;
    uc_version(&major, &minor);
    printf("%-34s%11s%11s%8s   Unicorn %u.%u\n", "", "ours", "Unicorn", "ratio", major,
           minor);
    const bool ended = apart(theirs, MANY, false, &most);
    const uint32_t n = most.n_mapped < 1000 ? most.n_mapped / 2 : 1000;

    for (uint32_t few = n / 10; few <= n; few *= 10) {
        if (!apart(ours, few, true, &our) || !apart(theirs, few, true, &their)) {
            fprintf(stderr, "peer_unicorn: not done with %u mappings\n", few);
            return 1;
        }
        row("build %u mappings", few, our.build_ns, their.build_ns, "ms", 1e6);
        row("map one more, at %u", few, our.map_ns, their.map_ns, "us", 1e3);
        row("unmap it and free it", few, our.unmap_ns, their.unmap_ns, "us", 1e3);
        row("read 8 bytes of %u pages", few, our.read_ns, their.read_ns, "ns", 1);
        row("read a page of %u", few, our.bulk_ns, their.bulk_ns, "ns", 1);
    }
    if (!apart(ours, MANY, true, &our))
        return 1;
    if (ended && most.n_mapped == MANY)
        row("build %u mappings", MANY, our.build_ns, most.build_ns, "ms", 1e6);
    else
        printf("build %d mappings              %8.2f ms   Unicorn %s mapping %u\n", MANY,
               our.build_ns / 1e6, ended ? "is given up at" : "fails an assertion at",
               most.n_mapped + 1);
    printf("%-34s%8.2f us\n%-34s%8.2f ns\n", "map one more, at 10000", our.map_ns / 1e3,
           "read 8 bytes of 10000 pages", our.read_ns);
    return 0;
}
