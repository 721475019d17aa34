/* SPDX-License-Identifier: MIT */
/* two_harts.h - a second hart, which runs on a thread of its own, and the words that
 * programs of two exchange. */
#ifndef TESTS_RISCV_TWO_HARTS_H
#define TESTS_RISCV_TWO_HARTS_H

#include "program.h"

#include <pthread.h>

static void *two_harts_run(void *arg)
{
    struct rv_hart *hart = arg;

    sm_vcpu_online(rv_hart_vcpu(hart));
    assert_int_equal(rv_hart_run(hart), RV_RUN_WFI);
    sm_vcpu_offline(rv_hart_vcpu(hart));
    return NULL;
}

/** Run the fixture's hart from @pc, and @other, each to its WFI. */
SM_INLINE void run_two(struct fixture *fix, uint64_t pc, struct rv_hart *other)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, two_harts_run, other), 0);
    run_from(fix, pc);
    pthread_join(thread, NULL);
}

/** Wait until the word at @base + @offset is s0.  Uses t0. */
SM_INLINE void put_wait(struct program *prog, unsigned base, int32_t offset)
{
    const uint64_t again = prog->at;

    put(prog, RV_OP_lw, T0, base, 0, offset);
    put(prog, RV_OP_bne, 0, T0, S0, (int32_t)(again - prog->at));
}

/** Have the instruction at a3, which the other runs, give s0 modulo 1024, which goes to t1;
 *  then tell the other s0 at a1.  a2: addi a0, x0, 0.  Uses t0. */
SM_INLINE void put_patch(struct program *prog)
{
    put(prog, RV_OP_andi, T1, S0, 0, 0x3ff);
    put(prog, RV_OP_slli, T0, T1, 0, 20);
    put(prog, RV_OP_or, T0, T0, A2, 0);
    put(prog, RV_OP_sw, 0, A3, T0, 0);
    put(prog, RV_OP_fence, 0, 0, 0, 0xff);
    put(prog, RV_OP_sw, 0, A1, S0, 0);
}

#endif
