/* SPDX-License-Identifier: MIT */
/* small_regions.c - a million regions of four bytes side by side: time and memory.
 *
 * Devices' registers; then also every second one RAM, each of which is written.  A row of
 * a tenth as many says what grows faster than it should.
 */
#include "softmmu/softmmu.h"
#include "timing.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MANY = 1000000, EDITS = 1001, ACCESSES = 1000000, SIZE = 4, BASE = 0x10000 };

#define CHECK(call)                                                                      \
    do {                                                                                 \
        if ((call) != 0) {                                                               \
            fprintf(stderr, "failed: %s\n", #call);                                      \
            exit(1);                                                                     \
        }                                                                                \
    } while (0)

static const struct sm_attrs plain = {.process = SM_NO_PROCESS};

static enum sm_tx io_read(void *dev, uint64_t offset, unsigned size,
                          const struct sm_attrs *attrs, uint64_t *value)
{
    *value = offset;
    return SM_TX_OK;
}

static const struct sm_io_ops io_ops = {
    .struct_size = sizeof(io_ops),
    .read = io_read,
    .accepts = {1, 4, false},
    .implements = {1, 4, false},
};

static double resident(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long pages = 0;

    if (!file || fscanf(file, "%*d %ld", &pages) != 1)
        exit(1);
    fclose(file);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

struct board {
    struct sm_topology *topo;
    struct sm_address_space *space;
    struct sm_region **region, *root;
    uint64_t random;
    int n;
};

static uint64_t below(struct board *board, int n)
{
    board->random = board->random * 6364136223846793005u + 1442695040888963407u;
    return (board->random >> 33) % (uint64_t)n;
}

static void build(struct board *board, bool ram)
{
    struct sm_device *device;
    const double before = resident(), begin = bench_worked();

    CHECK(sm_topology_new(NULL, NULL, &board->topo));
    CHECK(sm_region_new(board->topo, "root", UINT64_MAX, &board->root));
    CHECK(sm_address_space_new(board->topo, "space", board->root, &board->space));
    CHECK(sm_device_new(board->topo, "device", NULL, &device));
    for (int i = 0; i < board->n; i++)
        if (ram && i % 2)
            CHECK(sm_region_new_ram(board->topo, NULL, SIZE, &board->region[i]));
        else
            CHECK(sm_region_new_io(device, NULL, SIZE - 1, &io_ops, &board->region[i]));
    const double made = bench_worked();
    sm_topology_begin(board->topo);
    for (int i = 0; i < board->n; i++)
        CHECK(sm_region_map(board->root, BASE + (uint64_t)i * SIZE, board->region[i], 0));
    const double mapped = bench_worked();
    CHECK(sm_topology_commit(board->topo, NULL));
    const double committed = bench_worked();
    for (int i = 1; ram && i < board->n; i += 2)
        CHECK(sm_address_space_store(board->space, BASE + (uint64_t)i * SIZE, &plain, 4,
                                     (uint64_t)i));
    printf("%8d, %s: made in %5.2f s, mapped %5.2f s, committed %5.2f s; %4.0f bytes each\n",
           board->n, ram ? "half RAM" : "devices ", (made - begin) / 1e9,
           (mapped - made) / 1e9, (committed - mapped) / 1e9,
           (resident() - before) / board->n);
}

static void use(struct board *board)
{
    double *edit = calloc(EDITS, sizeof(*edit));
    uint64_t value;

    double begin = bench_worked();
    for (int i = 0; i < ACCESSES; i++)
        CHECK(sm_address_space_load(board->space, BASE + below(board, board->n) * SIZE,
                                    &plain, 4, &value));
    const double each = (bench_worked() - begin) / ACCESSES;
    for (int i = 0; i < EDITS; i++) {
        struct sm_region *region = board->region[below(board, board->n)];
        begin = bench_now();
        sm_topology_begin(board->topo);
        sm_region_set_enabled(region, i & 1);
        CHECK(sm_topology_commit(board->topo, NULL));
        edit[i] = bench_now() - begin;
        sm_topology_work(board->topo);
    }
    const double one = bench_median(edit, EDITS) / 1e3;
    begin = bench_now();
    sm_topology_free(board->topo);
    printf("%19s load anywhere %4.0f ns, one edited %5.2f us, all freed in %5.2f s\n", "",
           each, one, (bench_now() - begin) / 1e9);
    free(edit);
}

static void row(int n, bool ram)
{
    struct board board = {.n = n, .random = 7};

    board.region = calloc((size_t)n, sizeof(struct sm_region *));
    for (int i = 0; i < n; i++) /* not to be counted */
        board.region[i] = (struct sm_region *)&board;
    build(&board, ram);
    use(&board);
    free(board.region);
}

int main(void)
{
    int status = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int ram = 0; ram < 2 && !status; ram++)
        for (int n = MANY / 10; n <= MANY && !status; n *= 10) {
            /* In a process of its own: what others freed would serve it. */
            const pid_t child = fork();
            if (child == 0) {
                row(n, ram);
                _exit(0);
            }
            if (child < 0 || waitpid(child, &status, 0) != child)
                return 1;
        }
    return status != 0;
}
