/* SPDX-License-Identifier: MIT */
/* host_units_test.c - host code of units as random programs (host_model_test.c) hardly
 * ever are. */
#include "../base/test.h"

#include "jit/jit.h"

#include <stddef.h>

enum { X0, X1, X2, X3, X4, N_GLOBALS };
#define DATA UINT64_C(0x40001000) /* guest address of .data                     */

static struct guest {
    uint64_t reg[N_GLOBALS];
    uint64_t count;
    struct jit_state jit;
    struct sm_tlb_fast fast;
    uint64_t touched; /* the address that was asked for last                    */
    unsigned n_touched, n_called;
} guest;

static struct sm_tlb_table table;
static uint8_t page[SM_PAGE_SIZE] __attribute__((aligned(4096))); /* of "code"   */
static uint8_t data[SM_PAGE_SIZE] __attribute__((aligned(4096)));
static struct jit *jit;

static uint32_t touch(void *state, uint64_t address, uint32_t size, uint32_t rw)
{
    struct sm_tlb_entry *const entry = &table.slot[SM_READ][sm_tlb_slot(DATA)];

    (void)state;
    assert_int_equal(rw, JIT_READ);
    assert_int_equal(size, 16);
    guest.touched = address;
    guest.n_touched++;
    entry->tag = DATA;
    entry->host_bias = (uint64_t)(uintptr_t)data - DATA;
    return JIT_GO;
}

static uint32_t called(void *state, const void *arg)
{
    (void)state;
    (void)arg;
    guest.n_called++;
    return JIT_GO;
}

#define REG(n) {"x" #n, (int32_t)(offsetof(struct guest, reg) + 8 * (n)), JIT_CLASS_INT, 0}
static const struct jit_global globals[N_GLOBALS] = {REG(0), REG(1), REG(2), REG(3), REG(4)};

static void begin(size_t cache_size, uint32_t seed)
{
    static const struct jit_guest about = {
        .struct_size = sizeof(about),
        .n_globals = N_GLOBALS,
        .globals = globals,
        .state_offset = offsetof(struct guest, jit),
        .count_offset = offsetof(struct guest, count),
        .touch = touch,
    };
    const struct jit_options options = {.struct_size = sizeof(options), .seed = seed,
                                        .cache_size = cache_size, .guest = &about,
                                        .state = &guest};

    memset(&guest, 0, sizeof(guest));
    memset(&table, 0, sizeof(table));
    for (unsigned access = 0; access < SM_N_ACCESS; access++)
        for (unsigned i = 0; i < 1u << SM_TLB_INDEX_BITS; i++)
            table.slot[access][i].tag = SM_TLB_ABSENT;
    guest.jit.fast = &guest.fast;
    guest.jit.data = guest.jit.fetch = &table;
    assert_int_equal(jit_new(&options, &jit), 0);
}

static void end(void)
{
    jit_free(jit);
    jit = NULL;
}

static void emit_exit(struct jit_ir *ir)
{
    jit_ir_emit(ir, JIT_OP_exit, 0, JIT_NONE, JIT_NONE, JIT_NONE, JIT_NONE,
                jit_ir_way(ir, JIT_EXIT_ASIDE, 4, true));
}

/** A check whose base is read no more: the register of what it gives may be that of the
 *  base, which C code reads if nothing is near and the TLB has nothing either. */
static void a_base_may_end_with_its_check(void **state)
{
    for (uint32_t seed = 0; seed < 50; seed++) {
        struct jit_unit *unit;
        struct jit_ir *ir;
        jit_reg base, way;
        bool full;

        begin(1 << 20, seed);
        ir = jit_begin(jit, 0);
        base = jit_ir_temp(ir, JIT_CLASS_INT);
        way = jit_ir_temp(ir, JIT_CLASS_INT);
        jit_ir_place(ir, 0, 4);
        jit_ir_emit(ir, JIT_OP_add, 0, base, X1, X2, JIT_NONE, 0);
        jit_ir_emit(ir, JIT_OP_chk, JIT_READ, way, base, jit_ir_const(ir, 16), JIT_NONE, 8);
        jit_ir_emit(ir, JIT_OP_add, 0, X4, way, X0, JIT_NONE, 0);
        jit_ir_emit(ir, JIT_OP_sub, 0, X3, X3, jit_ir_const(ir, 1), JIT_NONE, 0);
        jit_ir_emit(ir, JIT_OP_loop_if, JIT_NE, JIT_NONE, X3, jit_ir_const(ir, 0), JIT_NONE, 0);
        emit_exit(ir);
        unit = jit_end(jit, page, 0, &full);
        assert_non_null(unit);
        for (unsigned round = 0; round < 3; round++) {
            guest.reg[X1] = DATA + 0x100 * round;
            guest.reg[X2] = 0x20;
            guest.reg[X3] = 3;
            guest.jit.pc = 0;
            guest.jit.near_budget = round == 2 ? 0 : 64; /* 0: C code is told in any case */
            if (round == 1) /* nothing is there, the budget aside                    */
                table.slot[SM_READ][sm_tlb_slot(DATA)].tag = SM_TLB_ABSENT;
            memset(table.near, 0, sizeof(table.near));
            assert_int_equal(jit_run(jit, unit), JIT_OUT_ASIDE);
            assert_int_equal(guest.reg[X3], 0);
            assert_int_equal(guest.reg[X4], (uint64_t)(uintptr_t)data - DATA);
            assert_int_equal(guest.touched, DATA + 0x100 * round + 0x28);
        }
        assert_int_equal(guest.n_touched, 3);
        end();
    }
}

/** A unit of @n calls. */
static struct jit_unit *make_calls(unsigned n, bool *full)
{
    struct jit_ir *const ir = jit_begin(jit, 0);

    for (unsigned i = 0; i < n; i++) {
        jit_ir_place(ir, (int)(4 * i), (int)(4 * i + 4));
        jit_ir_emit(ir, JIT_OP_call, 0, JIT_NONE, JIT_NONE, JIT_NONE, JIT_NONE,
                    jit_ir_call(ir, called, NULL));
    }
    emit_exit(ir);
    return jit_end(jit, page, 0, full);
}

/** Calls are the only sites of so little code that there are too few for all that the
 *  cache has room for: it is full then, and as good as new after a reset. */
static void sites_may_fill_the_cache(void **state)
{
    struct jit_stats stats = {.struct_size = sizeof(stats)};
    struct jit_unit *unit, *last = NULL;
    unsigned n_made[2] = {0};
    bool full;

    begin(1 << 20, 0);
    for (unsigned round = 0; round < 2; round++) {
        while ((unit = make_calls(60, &full))) {
            last = unit;
            n_made[round]++;
        }
        assert_true(full);
        jit_get_stats(jit, &stats);
        assert_true(stats.sites_used + 60 > stats.sites_size);
        assert_true(stats.sites_used <= stats.sites_size);
        assert_true(stats.cache_used < stats.cache_size / 2);
        assert_true(n_made[round] > 200);
        guest.n_called = 0;
        guest.jit.pc = 0;
        assert_int_equal(jit_run(jit, last), JIT_OUT_ASIDE);
        assert_int_equal(guest.n_called, 60);
        jit_reset(jit);
        jit_get_stats(jit, &stats);
        assert_int_equal(stats.sites_used, 0);
    }
    assert_int_equal(n_made[0], n_made[1]);
    end();
}

/** Less than a unit wants is full, too, and no more. */
static void a_cache_may_have_too_few_sites_for_a_unit(void **state)
{
    bool full = false;

    begin(1 << 15, 0);
    assert_null(make_calls(1000, &full));
    assert_true(full);
    assert_non_null(make_calls(60, &full));
    assert_false(full);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_base_may_end_with_its_check),
        cmocka_unit_test(sites_may_fill_the_cache),
        cmocka_unit_test(a_cache_may_have_too_few_sites_for_a_unit),
    };

    if (!jit_supported())
        return 77;
    return cmocka_run_group_tests_name("host_units", tests, NULL, NULL);
}
