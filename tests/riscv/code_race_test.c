/* SPDX-License-Identifier: MIT */
/* code_race_test.c - two harts that patch what the other runs: a store, a fence, a flag;
 * and the other, which sees the flag, fences its code and runs it.
 *
 * Between rounds they fence often, while a third thread lets tickets end: so the pages
 * become quiet again and again, in the middle of whatever the other does.
 */
#include "two_harts.h"

#include "memory/memory_impl.h"
#include "riscv/code.h"

#include <stdio.h>
#include <unistd.h>

#define CODE(n)  (RAM + 0x10000 + (n) * UINT64_C(0x1000))
#define PATCH(n) (RAM + 0x20000 + (n) * UINT64_C(0x1000)) /* what hart n runs     */
#define FLAG(n)  (RAM + 0x30000 + (n) * UINT64_C(0x1000)) /* what hart n says     */
enum { ROUNDS = 60, RACES = 32, N_HARTS = 2 }; /* pages are quiet early in a race  */

/** a1: own flags, a4: the other's; a2: addi a0, x0, 0; a3: what the other runs, a5: what
 *  this one runs; t2: rounds + 1; s1: all bits that differed. */
static void put_hart(struct program *prog, bool full)
{
    put(prog, RV_OP_addi, S0, X0, 0, 1);
    const uint64_t round = prog->at;
    put_patch(prog);
    put_wait(prog, A4, 0);
    put(prog, RV_OP_fence, 0, 0, 0, 0xff);
    put(prog, full ? RV_OP_sfence_vma : RV_OP_fence_i, 0, 0, 0, 0);
    put(prog, RV_OP_jalr, RA, A5, 0, 0);
    put(prog, RV_OP_xor, T0, A0, T1, 0);
    put(prog, RV_OP_or, S1, S1, T0, 0);
    put(prog, RV_OP_andi, SP, S0, 0, 63);
    const uint64_t again = prog->at;
    put(prog, RV_OP_fence_i, 0, 0, 0, 0);
    put(prog, RV_OP_addi, SP, SP, 0, -1);
    put(prog, RV_OP_bge, 0, SP, X0, (int32_t)(again - prog->at));
    put(prog, RV_OP_fence, 0, 0, 0, 0xff);
    put(prog, RV_OP_sw, 0, A1, S0, 8);
    put_wait(prog, A4, 8);
    put(prog, RV_OP_addi, S0, S0, 0, 1);
    put(prog, RV_OP_bne, 0, S0, T2, (int32_t)(round - prog->at));
    put_wfi(prog);
}

static uint32_t stop; /* atomic */

/** Tickets end while this runs. */
static void *work(void *arg)
{
    while (!sm_load_relaxed(&stop)) {
        sm_topology_work(arg);
        usleep(20);
    }
    return NULL;
}

/** Returns how often a page was quiet and written then. */
static uint64_t race(bool translate, bool full)
{
    struct rv_isa isa = fixture_isa();
    struct rv_hart *hart[N_HARTS];
    pthread_t worker;
    struct fixture fix;

    fixture_translate = translate;
    fixture_heat = 1;
    fixture_init(&fix, &isa);
    hart[0] = fix.hart;
    hart[1] = fixture_hart(&fix, 6, &isa);
    for (unsigned i = 0; i < N_HARTS; i++) {
        struct program prog = {&fix, CODE(i)}, patch = {&fix, PATCH(i)};

        put_hart(&prog, full);
        put(&patch, RV_OP_addi, A0, X0, 0, 0);
        put(&patch, RV_OP_jalr, X0, RA, 0, 0);
        rv_hart_set_x(hart[i], A1, FLAG(i));
        rv_hart_set_x(hart[i], A2, enc(RV_OP_addi, A0, X0, 0, 0));
        rv_hart_set_x(hart[i], A3, PATCH(1 - i));
        rv_hart_set_x(hart[i], A4, FLAG(1 - i));
        rv_hart_set_x(hart[i], A5, PATCH(i));
        rv_hart_set_x(hart[i], T2, ROUNDS + 1);
        rv_hart_set_pc(hart[i], CODE(i));
    }
    sm_store_relaxed(&stop, 0);
    assert_int_equal(pthread_create(&worker, NULL, work, fix.topo), 0);
    run_two(&fix, CODE(0), hart[1]);
    sm_store_relaxed(&stop, 1);
    pthread_join(worker, NULL);
    for (unsigned i = 0; i < N_HARTS; i++) {
        assert_int_equal(rv_hart_x(hart[i], S0), ROUNDS + 1);
        assert_int_equal(rv_hart_x(hart[i], S1), 0);
    }
    const uint64_t n_ceased = fix.topo->code.clock;
    rv_hart_free(hart[1]);
    fixture_fini(&fix);
    return n_ceased;
}

static void test_race(void **state)
{
    uint64_t n_ceased = 0;

    for (unsigned i = 0; i < RACES; i++)
        n_ceased += race(i & 1, i & 2);
    printf("%llu times a page that was quiet was written\n", (unsigned long long)n_ceased);
    assert_true(n_ceased > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_race)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
