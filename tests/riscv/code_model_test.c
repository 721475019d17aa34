/* SPDX-License-Identifier: MIT */
/* code_model_test.c - after a fence of code a hart executes what memory holds, whoever
 * wrote it, and however long nobody had: random stores of two harts, transfers, windows,
 * lent memory, owners and other mappings against the obvious model, which is memory.
 *
 *   SM_SEED in the environment overrides the seed
 */
#include "program.h"

#include "memory/memory_impl.h"
#include "riscv/code.h"
#include "softmmu/dirty_log.h"
#include "softmmu/window.h"
#include "tlb/tlb_impl.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALLER (RAM + 0x1000)  /* jalr ra, a3; wfi                                */
#define STORER (RAM + 0x2000)  /* sw a2, 0(a1); wfi                               */
#define FENCER (RAM + 0x3000)  /* fence.i; jalr ra, a3; wfi                       */
#define SFENCER (RAM + 0x3800)
#define ROOT   (RAM + 0x4000)
#define CODE   (RAM + 0x100000)
#define COPY   (RAM + 0x200000) /* where an alias of CODE is seen, now and then    */
enum { N_PAGES = 12, PER_PAGE = 4, N_FUNCTIONS = N_PAGES * PER_PAGE, N_HARTS = 2 };

/** What is broken on purpose. */
enum plant { NO_BUG, BUG_NO_REARM, BUG_UNTOLD, BUG_NO_LOG, N_PLANTS };

struct model {
    struct fixture fix;
    struct rv_hart *hart[N_HARTS];
    struct sm_region *alias, *other; /* other: hides the first half of CODE       */
    bool aliased, hidden;
    struct sm_mapping lent;  /* .size 0: none                                     */
    unsigned lent_page;
    struct sm_window window;
    enum plant plant;
    uint64_t random;
    uint64_t n_wrong;
};

static uint64_t next(struct model *model)
{
    model->random ^= model->random << 13;
    model->random ^= model->random >> 7;
    model->random ^= model->random << 17;
    return model->random >> 11;
}

static uint64_t below(struct model *model, uint64_t n)
{
    return next(model) % n;
}

static uint64_t offset_of(uint64_t function)
{
    return function / PER_PAGE * SM_PAGE_SIZE + function % PER_PAGE * 256;
}

static uint32_t word_of(uint64_t value)
{
    return enc(RV_OP_addi, A0, X0, 0, (int32_t)(value & 0x3ff));
}

static const struct sm_attrs attrs = {.process = SM_NO_PROCESS};

static uint32_t word_at(struct model *model, uint64_t gpa)
{
    uint64_t word;

    assert_int_equal(sm_address_space_load(model->fix.space, gpa, &attrs, 4, &word),
                     SM_TX_OK);
    return (uint32_t)word;
}

/* --- Harts --------------------------------------------------------------------------- */

/** Run @hart from @pc to a WFI: online meanwhile only, so that it holds up no ticket. */
static void run(struct rv_hart *hart, uint64_t pc)
{
    sm_vcpu_online(rv_hart_vcpu(hart));
    rv_hart_set_pc(hart, pc);
    assert_int_equal(rv_hart_run(hart), RV_RUN_WFI);
    sm_vcpu_offline(rv_hart_vcpu(hart));
}

static void store_by_hart(struct model *model, uint64_t gpa, uint32_t word)
{
    struct rv_hart *const hart = model->hart[below(model, N_HARTS)];

    rv_hart_set_x(hart, A1, gpa);
    rv_hart_set_x(hart, A2, word);
    run(hart, STORER);
}

/** Fence, and see that the function at @gpa gives what memory says. */
static void call_fenced(struct model *model, struct rv_hart *hart, uint64_t gpa)
{
    if (model->plant == BUG_NO_LOG)
        memset(model->fix.topo->code.log, 0, sizeof(model->fix.topo->code.log));
    rv_hart_set_x(hart, A3, gpa);
    run(hart, below(model, 4) ? FENCER : SFENCER);
    model->n_wrong += rv_hart_x(hart, A0) != word_at(model, gpa) >> 20;
}

/* --- Steps ----------------------------------------------------------------------------- */

static void step_own(struct model *model, uint64_t offset, uint32_t word)
{
    const uint64_t page = offset / SM_PAGE_SIZE;
    uint8_t *const host = sm_region_host(model->fix.ram);

    memcpy(host + (CODE - RAM) + offset, &word, 4);
    if (model->plant != BUG_UNTOLD)
        sm_region_written(model->fix.ram,
                          (struct sm_range){(CODE - RAM) + page * SM_PAGE_SIZE,
                                            (CODE - RAM) + page * SM_PAGE_SIZE + 4095});
}

static void step_lent(struct model *model, uint64_t offset, uint32_t word)
{
    if (!model->lent.size) {
        model->lent_page = (unsigned)(offset / SM_PAGE_SIZE);
        assert_int_equal(sm_address_space_map(model->fix.space,
                                              CODE + model->lent_page * SM_PAGE_SIZE,
                                              &attrs, SM_PAGE_SIZE, SM_WRITE,
                                              &model->lent), SM_TX_OK);
    } else if (below(model, 8)) {
        memcpy((uint8_t *)model->lent.host + offset % SM_PAGE_SIZE, &word, 4);
    } else {
        sm_mapping_release(&model->lent);
    }
}

static void step_write(struct model *model)
{
    const uint64_t offset = offset_of(below(model, N_FUNCTIONS));
    const uint64_t base = model->aliased && below(model, 2) ? COPY : CODE;
    const uint32_t word = word_of(next(model));

    switch (below(model, 7)) {
    case 0:
    case 1:
        store_by_hart(model, base + offset, word);
        break;
    case 2:
        assert_int_equal(sm_address_space_write(model->fix.space, base + offset, &attrs,
                                                &word, 4, NULL), SM_TX_OK);
        break;
    case 3:
        assert_int_equal(sm_window_store(&model->window, offset, 4, word), SM_TX_OK);
        break;
    case 4:
        step_own(model, offset, word);
        break;
    case 5:
        step_lent(model, offset, word);
        break;
    default: {
        uint64_t old;
        assert_int_equal(sm_address_space_rmw(model->fix.space, base + offset, &attrs, 4,
                                              SM_RMW_SWAP, word, &old), SM_TX_OK);
    }
    }
}

/** Show the alias, or hide it; or the same with what covers a half of the code. */
static void step_remap(struct model *model)
{
    sm_topology_begin(model->fix.topo);
    if (below(model, 2)) {
        model->aliased = !model->aliased;
        sm_region_set_enabled(model->alias, model->aliased);
    } else {
        model->hidden = !model->hidden;
        sm_region_set_enabled(model->other, model->hidden);
    }
    assert_int_equal(sm_topology_commit(model->fix.topo, NULL), 0);
}

/** Lose what was asked of the harts' TLBs. */
static void lose_requests(struct model *model)
{
    for (unsigned i = 0; i < N_HARTS; i++) {
        struct sm_vcpu *const vcpu = rv_hart_vcpu(model->hart[i]);

        vcpu->asked &= ~(uint32_t)(SM_ASKED_REARM | SM_ASKED_REARM_ALL);
        for (unsigned n = 0; n < SM_N_ASKED; n++)
            vcpu->rearm[n].state = SM_MAIL_FREE;
    }
}

static void step(struct model *model)
{
    if (model->plant == BUG_NO_REARM)
        lose_requests(model);
    const uint64_t what = below(model, 4000);

    if (what < 100) {
        step_write(model);
    } else if (what < 103) {
        step_remap(model);
    } else if (what < 600) {
        sm_topology_work(model->fix.topo);
    } else {
        const uint64_t offset = offset_of(below(model, N_FUNCTIONS));
        const uint64_t base = model->aliased && below(model, 2) ? COPY : CODE;

        call_fenced(model, model->hart[below(model, N_HARTS)], base + offset);
    }
}

/* --- Life ------------------------------------------------------------------------------ */

/** Have all harts run in S, with all of RAM in one page of 1 GiB where it is: entries of
 *  the TLB are then filled by what walks remember. */
static void turn_on_paging(struct model *model)
{
    ram_store(&model->fix, ROOT + 8 * (RAM >> 30), RAM >> 12 << 10 | 0xcf);
    for (unsigned i = 0; i < N_HARTS; i++) {
        struct fixture fix = {.hart = model->hart[i]};

        csr_put(&fix, RV_CSRNO_pmpaddr0, UINT64_MAX);
        csr_put(&fix, RV_CSRNO_pmpcfg0, 0x1f);
        csr_put(&fix, RV_CSRNO_satp, UINT64_C(8) << 60 | ROOT >> 12);
        fixture_enter(&fix, RV_PRIV_S);
    }
}

static void put_functions(struct model *model)
{
    struct program prog = {.fix = &model->fix};

    for (unsigned hidden = 0; hidden < 2; hidden++) {
        sm_topology_begin(model->fix.topo);
        sm_region_set_enabled(model->other, hidden == 0);
        assert_int_equal(sm_topology_commit(model->fix.topo, NULL), 0);
        for (uint64_t i = 0; i < N_FUNCTIONS; i++) {
            prog.at = CODE + offset_of(i);
            put32(&prog, word_of(i));
            put(&prog, RV_OP_jalr, X0, RA, 0, 0);
        }
    }
    prog.at = CALLER;
    put(&prog, RV_OP_jalr, RA, A3, 0, 0);
    put_wfi(&prog);
    prog.at = STORER;
    put(&prog, RV_OP_sw, 0, A1, A2, 0);
    put_wfi(&prog);
    for (unsigned full = 0; full < 2; full++) {
        prog.at = full ? SFENCER : FENCER;
        put(&prog, full ? RV_OP_sfence_vma : RV_OP_fence_i, 0, 0, 0, 0);
        put(&prog, RV_OP_jalr, RA, A3, 0, 0);
        put_wfi(&prog);
    }
}

static void model_init(struct model *model, uint64_t seed, enum plant plant)
{
    struct rv_isa isa = fixture_isa();
    struct fixture *const fix = &model->fix;

    *model = (struct model){.random = seed, .plant = plant};
    fixture_translate = seed % 8 < 6;
    fixture_heat = 1;
    fixture_init(fix, &isa);
    sm_vcpu_offline(rv_hart_vcpu(fix->hart));
    sm_topology_begin(fix->topo);
    assert_int_equal(sm_region_new_alias(fix->ram, "copy",
                                         (struct sm_range){CODE - RAM,
                                                           CODE - RAM +
                                                               N_PAGES * SM_PAGE_SIZE - 1},
                                         &model->alias), 0);
    assert_int_equal(sm_region_map(fix->root, COPY, model->alias, 1), 0);
    sm_region_set_enabled(model->alias, false);
    assert_int_equal(sm_region_new_ram(fix->topo, "other", N_PAGES / 2 * SM_PAGE_SIZE,
                                       &model->other), 0);
    assert_int_equal(sm_region_map(fix->root, CODE, model->other, 1), 0);
    assert_int_equal(sm_topology_commit(fix->topo, NULL), 0);
    model->hart[0] = fix->hart;
    model->hart[1] = fixture_hart(fix, 6, &isa);
    put_functions(model);
    if (seed & 1)
        turn_on_paging(model);
    sm_window_open(&model->window, fix->space, CODE, &attrs, N_PAGES * SM_PAGE_SIZE);
}

static void model_fini(struct model *model)
{
    struct fixture *const fix = &model->fix;

    if (model->lent.size)
        sm_mapping_release(&model->lent);
    rv_hart_free(model->hart[1]);
    sm_topology_begin(fix->topo);
    sm_region_unmap(model->alias);
    sm_region_unmap(model->other);
    assert_int_equal(sm_topology_commit(fix->topo, NULL), 0);
    assert_int_equal(sm_region_free(model->alias), 0);
    assert_int_equal(sm_region_free(model->other), 0);
    sm_vcpu_online(rv_hart_vcpu(fix->hart));
    fixture_fini(fix);
}

static uint64_t seed_of(void)
{
    const char *const text = getenv("SM_SEED");
    const uint64_t seed = text ? strtoull(text, NULL, 0) : 0x5eed;

    printf("seed %llu\n", (unsigned long long)seed);
    return seed;
}

/** Returns how often a hart executed what memory did not hold. */
static uint64_t play(uint64_t seed, unsigned steps, enum plant plant)
{
    struct rv_stats stats = {.struct_size = sizeof(stats)};
    struct model model;

    model_init(&model, seed, plant);
    for (unsigned i = 0; i < steps; i++)
        step(&model);
    if (plant == NO_BUG) {
        /* Pages became quiet, and were written again. */
        rv_hart_get_stats(model.hart[0], &stats);
                assert_true(model.fix.topo->code.clock > steps / 1000);
        assert_true(stats.code_fences_all < stats.code_fences / 4 + 10);
    }
    const uint64_t n_wrong = model.n_wrong;
    model_fini(&model);
    return n_wrong;
}

static void test_model(void **state)
{
    const uint64_t seed = seed_of();

    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(play(seed * 8 + i + 1, 40000, NO_BUG), 0);
}

static void test_planted(void **state)
{
    const uint64_t seed = seed_of();

    for (enum plant plant = NO_BUG + 1; plant < N_PLANTS; plant++) {
        uint64_t n_wrong = 0;

        for (unsigned i = 0; i < 16 && !n_wrong; i++)
            n_wrong = play(seed * 16 + i + 1, 4000, plant);
        assert_true(n_wrong > 0);
    }
}

/* --- A hart between safe points ---------------------------------------------------------- */

struct late {
    struct rv_hart *hart;
    pthread_barrier_t barrier;
};

/** Store by a hart that found its entry long ago, and has passed no safe point since. */
static void *store_late(void *arg)
{
    struct late *const late = arg;
    struct sm_vcpu *const vcpu = rv_hart_vcpu(late->hart);
    struct sm_fault fault;
    void *host;

    sm_vcpu_online(vcpu);
    assert_int_equal(sm_tlb_touch(vcpu, CODE, 4, SM_WRITE, late->hart->mode_data, 0, &host,
                                  &fault), SM_STEP_DONE);
    pthread_barrier_wait(&late->barrier);
    pthread_barrier_wait(&late->barrier);
    sm_host_store(host, 2, word_of(77));
    pthread_barrier_wait(&late->barrier);
    sm_vcpu_offline(vcpu);
    return NULL;
}

static void test_late_store(void **state)
{
    struct model model;
    pthread_t thread;

    for (uint64_t seed = 1; seed < 9; seed++) {
        model_init(&model, seed, NO_BUG);
        struct late late = {.hart = model.hart[1]};
        pthread_barrier_init(&late.barrier, NULL, 2);
        assert_int_equal(pthread_create(&thread, NULL, store_late, &late), 0);
        pthread_barrier_wait(&late.barrier);
        for (unsigned i = 0; i < 100; i++) {
            call_fenced(&model, model.hart[0], CODE);
            sm_topology_work(model.fix.topo);
        }
        pthread_barrier_wait(&late.barrier);
        pthread_barrier_wait(&late.barrier);
        assert_int_equal(word_at(&model, CODE), word_of(77));
        call_fenced(&model, model.hart[0], CODE);
        assert_int_equal(model.n_wrong, 0);
        pthread_join(thread, NULL);
        pthread_barrier_destroy(&late.barrier);
        model_fini(&model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_planted),
        cmocka_unit_test(test_late_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
