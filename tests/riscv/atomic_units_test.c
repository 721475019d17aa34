/* SPDX-License-Identifier: MIT */
/* atomic_units_test.c - AMOs, LR and SC of units against the interpreter's: results,
 * traps and reservations, alone and as one of several vCPUs; a device beside them.
 */
#include "hart_pair.h"

#include "jit/jit.h"
#include "softmmu/watch.h"

#include <pthread.h>

#ifdef SM_TSAN /* slow, and nothing races */
enum { N_PROGRAMS = 80, N_INSNS = 10 };
#else
enum { N_PROGRAMS = 800, N_INSNS = 10 };
#endif
#define CODE (RAM + 0x100000)
#define DATA (RAM + 0x8000)
#define HOLE (RAM + RAM_SIZE)

static const uint32_t kinds[] = {0, SM_VCPU_ALONE, SM_VCPU_EXACT_RESERVE};

static const enum rv_op ops[] = {
#define BOTH_SIZES(name) RV_OP_##name##_w, RV_OP_##name##_d
    BOTH_SIZES(lr),      BOTH_SIZES(sc),     BOTH_SIZES(lr),     BOTH_SIZES(sc),
    BOTH_SIZES(amoswap), BOTH_SIZES(amoadd), BOTH_SIZES(amoand), BOTH_SIZES(amoor),
    BOTH_SIZES(amoxor),  BOTH_SIZES(amomin), BOTH_SIZES(amomax), BOTH_SIZES(amominu),
    BOTH_SIZES(amomaxu),
};

static void begin(struct pair *pair, uint32_t flags)
{
    struct rv_isa isa = fixture_isa();

    fixture_vcpu_flags = flags;
    fixture_translate = true;
    fixture_heat = 1;
    fixture_init(&pair->one, &isa);
    fixture_translate = false;
    fixture_init(&pair->other, &isa);
    BOTH(pair, fix, catch_traps(fix));
}

static void end(struct pair *pair)
{
    BOTH(pair, fix, fixture_fini(fix));
}

/** A program of atomic instructions on few addresses, now and then on a bad one. */
static void random_program(struct pair *pair, struct fpu_random *random, uint64_t at)
{
    static const uint8_t registers[] = {0, T0, T1, T2, A0, A3};

    for (unsigned n = 0; n < N_INSNS; n++) {
        const enum rv_op op = ops[below(random, SM_ARRAY_LEN(ops))];
        const bool lr = rv_insn_table[op].format == RV_FMT_LR;
        const unsigned rd = registers[below(random, SM_ARRAY_LEN(registers))];
        const unsigned rs2 = lr ? 0 : registers[below(random, SM_ARRAY_LEN(registers))];
        const unsigned rs1 = one_in(random, 40) ? A4 : one_in(random, 3) ? A2 : A1;
        const uint32_t word = enc(op, rd, rs1, rs2, (int32_t)below(random, 4));

        pair_store(pair, at + 4 * n, &word, 4);
    }
    pair_store(pair, at + 4 * N_INSNS, &rv_insn_table[RV_OP_wfi].match, 4);
}

static void random_registers(struct pair *pair, struct fpu_random *random)
{
    static const uint8_t registers[] = {T0, T1, T2, A0, A3};
    static const uint64_t bad[] = {DATA + 1, DATA + 2, DATA + 4, DATA + 0xffc,
                                   DATA + 0xffe, HOLE, HOLE + 4, HOLE + 3, TRAP_VECTOR};
    const uint64_t good = DATA + 8 * below(random, 8);
    const uint64_t other = one_in(random, 2) ? good : DATA + 8 * below(random, 8);
    const uint64_t odd = bad[below(random, SM_ARRAY_LEN(bad))];

    for (unsigned n = 0; n < SM_ARRAY_LEN(registers); n++) {
        const uint64_t value = random_x(random);
        BOTH(pair, fix, rv_hart_set_x(fix->hart, registers[n], value));
    }
    for (unsigned n = 0; n < 8; n++) {
        const uint64_t value = random_x(random);
        pair_store(pair, DATA + 8 * n, &value, 8);
    }
    BOTH(pair, fix, {
        rv_hart_set_x(fix->hart, A1, good);
        rv_hart_set_x(fix->hart, A2, other);
        rv_hart_set_x(fix->hart, A4, odd == TRAP_VECTOR ? DATA : odd);
    });
}

static void as_interpreted(void **state)
{
    struct fpu_random random = fpu_random_init(1);

    for (unsigned kind = 0; kind < SM_ARRAY_LEN(kinds); kind++) {
        struct pair pair;

        begin(&pair, kinds[kind]);
        for (unsigned n = 0; n < N_PROGRAMS; n++) {
            const uint64_t seed = random.state, at = CODE + 64 * n;

            random_program(&pair, &random, at);
            for (unsigned round = 0; round < 3; round++) {
                random_registers(&pair, &random);
                BOTH(&pair, fix, run_from(fix, at));
                if (compare_harts(&pair) + compare_rams(&pair))
                    fail_msg("vCPU flags %u, round %u, SM_SEED=%llu", kinds[kind], round,
                             (unsigned long long)seed);
            }
        }
        if (jit_supported())
            assert_true(stats_of(&pair.one).units > N_PROGRAMS / 2);
        end(&pair);
    }
}

/* --- What no operation in line may pass by -------------------------------------- */

static void watches_stop_units(void **state)
{
    const struct sm_watch watch = {.range = {DATA, DATA + 7}, .modes = UINT16_MAX,
                                   .accesses = SM_PERM_R | SM_PERM_W};
    static const enum rv_op watched[] = {RV_OP_amoadd_d, RV_OP_amomax_w, RV_OP_lr_d,
                                         RV_OP_amoswap_w};

    for (unsigned kind = 0; kind < 2; kind++) {
        for (unsigned n = 0; n < SM_ARRAY_LEN(watched); n++) {
            struct pair pair;
            struct fixture *const fix = &pair.one;

            begin(&pair, kinds[kind]);
            struct program prog = {fix, CODE};
            put(&prog, RV_OP_addi, A0, A0, 0, 1);
            put(&prog, watched[n], 0, A1, 0, 0);
            put_wfi(&prog);
            rv_hart_set_x(fix->hart, A1, DATA);
            for (unsigned round = 0; round < 3; round++)
                run_from(fix, CODE);
            assert_int_equal(sm_vcpu_set_watches(rv_hart_vcpu(fix->hart), &watch, 1), 0);
            rv_hart_set_pc(fix->hart, CODE);
            assert_int_equal(rv_hart_run(fix->hart), RV_RUN_STOPPED);
            assert_int_equal(rv_hart_pc(fix->hart), CODE + 4);
            assert_int_equal(sm_vcpu_set_watches(rv_hart_vcpu(fix->hart), NULL, 0), 0);
            assert_int_equal(rv_hart_run(fix->hart), RV_RUN_WFI);
            assert_int_equal(rv_hart_x(fix->hart, A0), 4);
            end(&pair);
        }
    }
}

/* --- A device beside -------------------------------------------------------------- */

/** A: set by SC to what B was; B: counted up by the device, 8 bytes behind it. */
struct beside {
    struct fixture *fix;
    unsigned rounds, late;
    bool done;
};

/** SC of A that stored b came before the operation that changed B from b, or failed. */
static void *count_up(void *opaque)
{
    const struct sm_attrs attrs = {.process = SM_NO_PROCESS};
    struct beside *beside = opaque;
    const uint8_t *const a = ram_of(beside->fix) + (DATA - RAM);

    for (unsigned n = 0; n < beside->rounds; n++) {
        uint64_t old = 0, before, after;

        if (sm_address_space_rmw(beside->fix->space, DATA + 8, &attrs, 8, SM_RMW_ADD, 1,
                                 &old) != SM_TX_OK)
            break;
        before = sm_host_load(a, 3);
        for (unsigned looks = 0; looks < 30; looks++) {
            after = sm_host_load(a, 3);
            beside->late += before != old && after == old;
            before = after;
        }
    }
    sm_publish(&beside->done, true);
    return NULL;
}

static void devices_end_reservations(void **state)
{
    for (unsigned kind = 0; kind < 2; kind++) {
        struct beside beside = {.rounds = 10000};
        struct pair pair;
        pthread_t thread;

        begin(&pair, kinds[kind]);
        beside.fix = &pair.one;
        struct program prog = {&pair.one, CODE};
        put(&prog, RV_OP_lr_d, T0, A1, 0, 0);
        put(&prog, RV_OP_ld, T1, A1, 0, 8);
        put(&prog, RV_OP_sc_d, T2, A1, T1, 0);
        put(&prog, RV_OP_addi, A0, A0, 0, -1);
        put(&prog, RV_OP_bne, 0, A0, 0, -16);
        put_wfi(&prog);
        rv_hart_set_x(pair.one.hart, A1, DATA);
        assert_int_equal(pthread_create(&thread, NULL, count_up, &beside), 0);
        while (!sm_load_acquire(&beside.done)) {
            rv_hart_set_x(pair.one.hart, A0, 2000);
            run_from(&pair.one, CODE);
        }
        pthread_join(thread, NULL);
        assert_int_equal(sm_host_load(ram_of(&pair.one) + (DATA + 8 - RAM), 3),
                         beside.rounds);
        assert_int_equal(beside.late, 0);
        /* In peace it stores. */
        rv_hart_set_x(pair.one.hart, A0, 1);
        run_from(&pair.one, CODE);
        assert_int_equal(rv_hart_x(pair.one.hart, T2), 0);
        assert_int_equal(sm_host_load(ram_of(&pair.one) + (DATA - RAM), 3),
                         beside.rounds);
        end(&pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_interpreted),
        cmocka_unit_test(watches_stop_units),
        cmocka_unit_test(devices_end_reservations),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
