/* SPDX-License-Identifier: MIT */
/* fence_i.c - what a FENCE.I costs a guest that runs many pages of code.
 *
 * A chain of blocks, one in each of 10 000 pages, each of 16 instructions.  Timed is one
 * way along it: with nothing before it; after a FENCE.I, when every block is compared
 * once; after a change to one page and a FENCE.I; and comparing at each entry, as
 * code-check=immediate does.  The processor's time of this thread, median of 21 ways.
 */
#include "base/base.h"
#include "riscv/riscv.h"
#include "hart.h"
#include "timing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RAM      UINT64_C(0x80000000)
enum { N_PAGES = 10000, N_RUNS = 21, RAM_SIZE = (N_PAGES + 2) * 4096 };
enum { ADDI = 0x00158593, FENCE_I = 0x0000100f, WFI = 0x10500073, JAL = 0x6f };

static struct sm_address_space *space;

static void put(uint64_t at, uint32_t word)
{
    const struct sm_attrs attrs = {.process = SM_NO_PROCESS};

    must(sm_address_space_store(space, at, &attrs, 4, word) != SM_TX_OK, "store");
}

/** jal x0, @distance: a multiple of 4 below 2^19. */
static uint32_t jump(uint32_t distance)
{
    return (distance >> 1 & 0x3ff) << 21 | (distance >> 11 & 1) << 20 |
           (distance & 0xff000) | JAL;
}

/** RAM: FENCE.I, and on; at +8: into the chain. */
static void write_chain(void)
{
    put(RAM, FENCE_I);
    put(RAM + 4, WFI);
    put(RAM + 8, jump(4096 - 8));
    for (unsigned page = 1; page <= N_PAGES; page++) {
        for (unsigned i = 0; i < 15; i++)
            put(RAM + page * UINT64_C(4096) + 4 * i, ADDI);
        put(RAM + page * UINT64_C(4096) + 60, jump(4096 - 60));
    }
    put(RAM + (N_PAGES + 1) * UINT64_C(4096), WFI);
}

static void run_from(struct rv_hart *hart, uint64_t pc)
{
    rv_hart_set_pc(hart, pc);
    while (rv_hart_run(hart) != RV_RUN_WFI)
        ;
}

static void measure(struct rv_hart *hart, const char *name, bool fence, bool change)
{
    double each[N_RUNS];
    double ns;

    run_from(hart, RAM + 8);
    for (unsigned i = 0; i < N_RUNS; i++) {
        if (change)
            put(RAM + (1 + i) * UINT64_C(4096) * 7, ADDI + 0x100000 * (i + 1));
        if (fence)
            run_from(hart, RAM);
        ns = bench_worked();
        run_from(hart, RAM + 8);
        each[i] = (bench_worked() - ns) / N_PAGES;
    }
    printf("%-44s %6.1f ns per block\n", name, bench_median(each, N_RUNS));
}

int main(void)
{
    struct sm_topology *topo;
    struct rv_isa isa;
    struct rv_hart *hart;
    struct rv_hart_options options = {
        .struct_size = sizeof(options), .isa = &isa, .ops = &owner_ops};

    must(rv_isa_init(&isa, "rv64"), "rv64");
    options.space = space = bench_ram(RAM, RAM_SIZE, &topo);
    write_chain();
    for (unsigned immediate = 0; immediate < 2; immediate++) {
        options.check_code = immediate;
        must(rv_hart_new(topo, &options, &hart), "hart");
        sm_vcpu_online(rv_hart_vcpu(hart));
        if (!immediate) {
            measure(hart, "no fence", false, false);
            measure(hart, "after a fence", true, false);
            measure(hart, "after a fence, one page of 10 000 changed", true, true);
        } else {
            measure(hart, "compared at each entry", false, false);
        }
        sm_vcpu_offline(rv_hart_vcpu(hart));
        rv_hart_free(hart);
    }
    return 0;
}
