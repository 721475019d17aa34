/* SPDX-License-Identifier: MIT */
/* plic_test.c - gateways, claims and completions, against the specification and
 * against an obvious model. */
#include "fake.h"

enum {
    PLIC = 0xc000000, N_SOURCES = 95, N_CONTEXTS = 4,
    PENDING = PLIC + 0x1000, ENABLE = PLIC + 0x2000, CONTEXT = PLIC + 0x200000
};

struct fixture {
    struct bench bench;
    struct fake_lines lines; /* of contexts                                         */
    struct plic *plic;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct dev_line out[N_CONTEXTS];

    bench_init(&f->bench);
    for (unsigned n = 0; n < N_CONTEXTS; n++)
        out[n] = fake_line(&f->lines, n);
    assert_int_equal(plic_new(&(struct plic_options){.topo = f->bench.topo,
                                                     .n_sources = N_SOURCES,
                                                     .n_priorities = 7,
                                                     .n_contexts = N_CONTEXTS,
                                                     .out = out},
                              &f->plic),
                     0);
    bench_map(&f->bench, PLIC, plic_region(f->plic));
    plic_reset(f->plic);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    bench_unmap(&f->bench, plic_region(f->plic));
    plic_free(f->plic);
    bench_fini(&f->bench);
    free(f);
    return 0;
}

static uint32_t get(struct fixture *f, uint64_t gpa)
{
    return (uint32_t)bench_load(&f->bench, gpa, 4);
}

static void put(struct fixture *f, uint64_t gpa, uint32_t value)
{
    bench_store(&f->bench, gpa, 4, value);
}

static void wire(struct fixture *f, unsigned n, bool level)
{
    const struct dev_line line = plic_source(f->plic, n);

    dev_line_set(&line, level);
}

static uint64_t threshold(unsigned context)
{
    return CONTEXT + 0x1000 * (uint64_t)context;
}

static uint64_t claim(unsigned context)
{
    return threshold(context) + 4;
}

static void enable(struct fixture *f, unsigned context, unsigned n)
{
    const uint64_t gpa = ENABLE + 0x80 * (uint64_t)context + n / 32 * 4;

    put(f, gpa, get(f, gpa) | UINT32_C(1) << (n % 32));
}

static void test_level(void **state)
{
    struct fixture *f = *state;

    put(f, PLIC + 4 * 10, 1);
    enable(f, 1, 10);
    wire(f, 10, true);
    assert_true(f->lines.level[1]);
    assert_false(f->lines.level[0]);
    assert_int_equal(get(f, PENDING), 1 << 10);
    assert_int_equal(bench_peek(&f->bench, claim(1), 4), 10);
    assert_int_equal(get(f, claim(1)), 10);
    assert_false(f->lines.level[1]);
    assert_int_equal(get(f, PENDING), 0);
    assert_int_equal(get(f, claim(1)), 0);
    /* While it is served the gateway forwards nothing... */
    wire(f, 10, false);
    wire(f, 10, true);
    assert_false(f->lines.level[1]);
    /* ... and a completion samples the wire again. */
    put(f, claim(1), 10);
    assert_true(f->lines.level[1]);
    assert_int_equal(get(f, claim(1)), 10);
    wire(f, 10, false);
    put(f, claim(1), 10);
    assert_false(f->lines.level[1]);
    assert_int_equal(get(f, PENDING), 0);
}

/* A request that was forwarded stays although the wire falls. */
static void test_request_stays(void **state)
{
    struct fixture *f = *state;

    put(f, PLIC + 4 * 40, 2);
    enable(f, 0, 40);
    wire(f, 40, true);
    wire(f, 40, false);
    assert_true(f->lines.level[0]);
    assert_int_equal(get(f, PENDING + 4), 1 << 8);
    assert_int_equal(get(f, claim(0)), 40);
    put(f, claim(0), 40);
    assert_int_equal(get(f, claim(0)), 0);
}

static void test_priorities(void **state)
{
    struct fixture *f = *state;

    for (unsigned n = 1; n <= 5; n++) {
        enable(f, 0, n);
        wire(f, n, true);
    }
    assert_false(f->lines.level[0]); /* priority 0 never interrupts               */
    assert_int_equal(get(f, claim(0)), 0);
    put(f, PLIC + 4 * 2, 3);
    put(f, PLIC + 4 * 3, 5);
    put(f, PLIC + 4 * 4, 5);
    put(f, PLIC + 4 * 5, 1);
    assert_true(f->lines.level[0]);
    put(f, threshold(0), 5);
    assert_false(f->lines.level[0]);
    /* A claim knows no threshold. */
    assert_int_equal(get(f, claim(0)), 3);
    put(f, threshold(0), 2);
    assert_true(f->lines.level[0]);
    assert_int_equal(get(f, claim(0)), 4);
    assert_int_equal(get(f, claim(0)), 2);
    assert_false(f->lines.level[0]);
    assert_int_equal(get(f, claim(0)), 5);
    assert_int_equal(get(f, claim(0)), 0);
}

/* All contexts that enabled a source are told; one gets it. */
static void test_race_for_claim(void **state)
{
    struct fixture *f = *state;

    put(f, PLIC + 4 * 95, 7);
    for (unsigned context = 0; context < N_CONTEXTS; context++)
        enable(f, context, 95);
    wire(f, 95, true);
    for (unsigned context = 0; context < N_CONTEXTS; context++)
        assert_true(f->lines.level[context]);
    assert_int_equal(get(f, claim(2)), 95);
    for (unsigned context = 0; context < N_CONTEXTS; context++)
        assert_false(f->lines.level[context]);
    assert_int_equal(get(f, claim(3)), 0);
    /* Whoever has not enabled it cannot complete it. */
    put(f, ENABLE + 0x80 * 2 + 8, 0);
    put(f, claim(2), 95);
    assert_int_equal(get(f, PENDING + 8), 0);
    put(f, claim(3), 95);
    assert_int_equal(get(f, PENDING + 8), UINT32_C(1) << 31);
    assert_true(f->lines.level[3]);
    assert_false(f->lines.level[2]);
}

/* What cannot be written, and what is not there. */
static void test_registers(void **state)
{
    struct fixture *f = *state;
    uint64_t value;

    put(f, PLIC, 7);
    assert_int_equal(get(f, PLIC), 0);
    put(f, PLIC + 4, 0xffffffff);
    assert_int_equal(get(f, PLIC + 4), 7);
    put(f, PLIC + 4, 9);
    assert_int_equal(get(f, PLIC + 4), 1);
    put(f, PLIC + 4 * 96, 7);
    assert_int_equal(get(f, PLIC + 4 * 96), 0);
    put(f, ENABLE, 0xffffffff);
    assert_int_equal(get(f, ENABLE), 0xfffffffe);
    put(f, ENABLE + 8, 0xffffffff);
    put(f, ENABLE + 12, 0xffffffff);
    assert_int_equal(get(f, ENABLE + 8), 0xffffffff);
    assert_int_equal(get(f, ENABLE + 12), 0);
    put(f, PENDING, 0xffffffff);
    assert_int_equal(get(f, PENDING), 0);
    assert_int_equal(get(f, PENDING + 0x80), 0);
    put(f, threshold(3), 0xff);
    assert_int_equal(get(f, threshold(3)), 7);
    put(f, threshold(N_CONTEXTS), 1);
    assert_int_equal(get(f, threshold(N_CONTEXTS)), 0);
    assert_int_equal(get(f, claim(N_CONTEXTS)), 0);
    put(f, claim(0), 0);
    put(f, claim(0), 1000);
    put(f, claim(0), 0xffffffff);
    put(f, threshold(0) + 8, 1);
    assert_int_equal(get(f, threshold(0) + 8), 0);
    assert_int_equal(get(f, PLIC + 0x600000 - 4), 0);
    assert_int_equal(sm_address_space_load(f->bench.space, PLIC, &bench_attrs, 8, &value),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_address_space_load(f->bench.space, PLIC, &bench_attrs, 1, &value),
                     SM_TX_ACCESS_ERROR);
}

static void test_reset(void **state)
{
    struct fixture *f = *state;

    put(f, PLIC + 4 * 3, 1);
    enable(f, 0, 3);
    wire(f, 3, true);
    wire(f, 4, true);
    wire(f, 4, false);
    assert_true(f->lines.level[0]);
    assert_int_equal(get(f, claim(0)), 3);
    plic_model.reset(f->plic);
    assert_false(f->lines.level[0]);
    assert_int_equal(get(f, PLIC + 4 * 3), 0);
    assert_int_equal(get(f, ENABLE), 0);
    /* The wire is still high, and nobody serves it. */
    assert_int_equal(get(f, PENDING), 1 << 3);
}

/* --- Model ------------------------------------------------------------------------ */

enum { M_SOURCES = 40, M_CONTEXTS = 3 };

/* One byte per fact and no thought of speed. */
struct model {
    bool wire[M_SOURCES + 1], pending[M_SOURCES + 1], claimed[M_SOURCES + 1];
    bool enabled[M_CONTEXTS][M_SOURCES + 1];
    unsigned priority[M_SOURCES + 1], threshold[M_CONTEXTS];
};

static void model_sample(struct model *m, unsigned n)
{
    if (m->wire[n] && !m->claimed[n])
        m->pending[n] = true;
}

static unsigned model_best(const struct model *m, unsigned context, unsigned floor)
{
    for (unsigned priority = 7; priority > floor; priority--) {
        for (unsigned n = 1; n <= M_SOURCES; n++) {
            if (m->pending[n] && m->enabled[context][n] && m->priority[n] == priority)
                return n;
        }
    }
    return 0;
}

static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void step(struct fixture *f, struct model *m, uint64_t *seed)
{
    const unsigned n = (unsigned)(random_next(seed) % M_SOURCES) + 1;
    const unsigned context = (unsigned)(random_next(seed) % M_CONTEXTS);
    const unsigned value = (unsigned)(random_next(seed) % 8);
    unsigned best;

    switch (random_next(seed) % 6) {
    case 0:
    case 1:
        m->wire[n] = value & 1;
        wire(f, n, value & 1);
        model_sample(m, n);
        break;
    case 2:
        m->priority[n] = value;
        put(f, PLIC + 4 * n, value);
        break;
    case 3: {
        const uint64_t gpa = ENABLE + 0x80 * (uint64_t)context + n / 32 * 4;

        m->enabled[context][n] = !m->enabled[context][n];
        put(f, gpa, get(f, gpa) ^ UINT32_C(1) << (n % 32));
        break;
    }
    case 4:
        best = model_best(m, context, 0);
        assert_int_equal(get(f, claim(context)), best);
        if (best) {
            m->pending[best] = false;
            m->claimed[best] = true;
        }
        if (value == 0) {
            m->threshold[context] = n % 8;
            put(f, threshold(context), n % 8);
        }
        break;
    default:
        put(f, claim(context), n);
        if (m->enabled[context][n]) {
            m->claimed[n] = false;
            model_sample(m, n);
        }
        break;
    }
}

static void test_model(void **state)
{
    struct fixture *f = *state;
    const char *text = getenv("SM_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 0x5eed;
    struct model m = {0};

    print_message("SM_SEED=%#llx\n", (unsigned long long)seed);
    seed = seed ? seed : 1;
    for (unsigned i = 0; i < 50000; i++) {
        step(f, &m, &seed);
        for (unsigned context = 0; context < M_CONTEXTS; context++)
            assert_int_equal(f->lines.level[context],
                             model_best(&m, context, m.threshold[context]) != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_level, setup, teardown),
        cmocka_unit_test_setup_teardown(test_request_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_priorities, setup, teardown),
        cmocka_unit_test_setup_teardown(test_race_for_claim, setup, teardown),
        cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(test_model, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
