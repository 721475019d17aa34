/* SPDX-License-Identifier: MIT */
/* interp_loop.c - speed of the interpreter on small loops: million instructions per
 * second of host time, the best of three runs each.
 *
 *   interp_loop [NAME...]
 */
#include "base/base.h"
#include "riscv/riscv.h"
#include "hart.h"
#include "timing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RAM      UINT64_C(0x80000000)
#define RAM_SIZE UINT64_C(0x400000)

static const uint32_t integer_loop[] = {
    0x01313537, /*    lui   a0, 0x1313                                          */
    0xd005051b, /*    addiw a0, a0, -768                                        */
    0x00358593, /* 1: addi  a1, a1, 3                                           */
    0x00b64633, /*    xor   a2, a2, a1                                          */
    0x00761693, /*    slli  a3, a2, 7                                           */
    0x00965713, /*    srli  a4, a2, 9                                           */
    0x00e68633, /*    add   a2, a3, a4                                          */
    0x00b677b3, /*    and   a5, a2, a1                                          */
    0x00d7b833, /*    sltu  a6, a5, a3                                          */
    0x010888b3, /*    add   a7, a7, a6                                          */
    0xfff50513, /*    addi  a0, a0, -1                                          */
    0xfc051ee3, /*    bnez  a0, 1b                                              */
    0x10500073, /*    wfi                                                       */
};

/* Seven of eleven instructions access memory, in one page. */
static const uint32_t memory_loop[] = {
    0x01313537, /*    lui   a0, 0x1313                                          */
    0xd005051b, /*    addiw a0, a0, -768                                        */
    0x80100437, /*    lui   s0, 0x80100                                         */
    0x02041413, /*    slli  s0, s0, 32                                          */
    0x02045413, /*    srli  s0, s0, 32                                          */
    0x000014b7, /*    lui   s1, 1                                               */
    0xfe04849b, /*    addiw s1, s1, -32                                         */
    0x009572b3, /* 1: and   t0, a0, s1                                          */
    0x008282b3, /*    add   t0, t0, s0                                          */
    0x0002b583, /*    ld    a1, 0(t0)                                           */
    0x0082b603, /*    ld    a2, 8(t0)                                           */
    0x00c585b3, /*    add   a1, a1, a2                                          */
    0x00b2b823, /*    sd    a1, 16(t0)                                          */
    0x0042a683, /*    lw    a3, 4(t0)                                           */
    0x0032c703, /*    lbu   a4, 3(t0)                                           */
    0x00d2ac23, /*    sw    a3, 24(t0)                                          */
    0xfff50513, /*    addi  a0, a0, -1                                          */
    0xfc051ce3, /*    bnez  a0, 1b                                              */
    0x10500073, /*    wfi                                                       */
};

/* A call into another page and its return: both look for their block. */
static const uint32_t call_loop[1024 + 3] = {
    0x00989537, /*    lui   a0, 0x989                                           */
    0x6805051b, /*    addiw a0, a0, 1664                                        */
    0x7f9000ef, /* 1: jal   ra, 2f                                              */
    0xfff50513, /*    addi  a0, a0, -1                                          */
    0xfe051ce3, /*    bnez  a0, 1b                                              */
    0x10500073, /*    wfi                                                       */
    [1024] = 0xff010113, /* 2: addi sp, sp, -16                                 */
    0x01010113,          /*    addi sp, sp, 16                                  */
    0x00008067,          /*    ret                                              */
};

static const uint32_t fp_loop[] = {
    0x000062b7, /*    lui      t0, 6                                            */
    0x3002a073, /*    csrs     mstatus, t0                                      */
    0x004c5537, /*    lui      a0, 0x4c5                                        */
    0xb405051b, /*    addiw    a0, a0, -1216                                    */
    0x00300313, /*    li       t1, 3                                            */
    0xd22370d3, /*    fcvt.d.l ft1, t1                                          */
    0xd2237153, /*    fcvt.d.l ft2, t1                                          */
    0x0220f1d3, /* 1: fadd.d   ft3, ft1, ft2                                    */
    0x1211f253, /*    fmul.d   ft4, ft3, ft1                                    */
    0x121272c3, /*    fmadd.d  ft5, ft4, ft1, ft2                               */
    0x0a42f353, /*    fsub.d   ft6, ft5, ft4                                    */
    0xfff50513, /*    addi     a0, a0, -1                                       */
    0xfe0516e3, /*    bnez     a0, 1b                                           */
    0x10500073, /*    wfi                                                       */
};

static const struct loop {
    const char *name;
    const uint32_t *code;
    size_t size;
} loops[] = {
    {"integer", integer_loop, sizeof(integer_loop)},
    {"memory", memory_loop, sizeof(memory_loop)},
    {"call", call_loop, sizeof(call_loop)},
    {"fp", fp_loop, sizeof(fp_loop)},
};

static uint64_t instructions(struct rv_hart *hart)
{
    struct rv_stats stats = {.struct_size = sizeof(stats)};

    rv_hart_get_stats(hart, &stats);
    return stats.instructions;
}

static void run(struct sm_address_space *space, struct rv_hart *hart,
                const struct loop *loop)
{
    const struct sm_attrs attrs = {.process = SM_NO_PROCESS};
    double best = 0;

    if (sm_address_space_write(space, RAM, &attrs, loop->code, loop->size, NULL)) {
        fprintf(stderr, "cannot load %s\n", loop->name);
        exit(1);
    }
    for (unsigned n = 0; n < 3; n++) {
        const uint64_t before = instructions(hart);
        const double start = bench_now();
        double rate;

        rv_hart_reset(hart, RAM);
        while (rv_hart_run(hart) != RV_RUN_WFI)
            ;
        rate = (double)(instructions(hart) - before) / (bench_now() - start) * 1e3;
        best = SM_MAX(best, rate);
    }
    printf("%-8s %7.1f million instructions/s\n", loop->name, best);
}

static bool chosen(const char *name, int argc, char **argv)
{
    for (int n = 1; n < argc; n++)
        if (!strcmp(argv[n], name))
            return true;
    return argc < 2;
}

int main(int argc, char **argv)
{
    struct sm_topology *topo;
    struct sm_address_space *space;
    struct rv_isa isa;
    struct rv_hart *hart;
    struct rv_hart_options options = {
        .struct_size = sizeof(options), .isa = &isa, .ops = &owner_ops};

    must(rv_isa_init(&isa, "rv64"), "rv64");
    options.space = space = bench_ram(RAM, RAM_SIZE, &topo);
    must(rv_hart_new(topo, &options, &hart), "hart");
    sm_vcpu_online(rv_hart_vcpu(hart));

    for (unsigned n = 0; n < SM_ARRAY_LEN(loops); n++)
        if (chosen(loops[n].name, argc, argv))
            run(space, hart, &loops[n]);

    sm_vcpu_offline(rv_hart_vcpu(hart));
    rv_hart_free(hart);
    return 0;
}
