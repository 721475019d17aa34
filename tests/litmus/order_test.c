/* SPDX-License-Identifier: MIT */
/* order_test.c - litmus tests of RVWMO: which outcomes appear, and that forbidden do not.
 *
 * Named as herd names them.  Every round has a cell of memory of its own, so that harts
 * run through thousands of rounds without meeting; they meet before each batch.
 * Source: RISC-V Unprivileged, "RVWMO Memory Consistency Model" and its appendix.
 */
#include "litmus/guest.h"

enum { BATCH = 128, MAX_BATCHES = 256, CELL = 256, CELL_RESULTS = 192, MS = 40 };

enum kind { END, W, R, F, TSO, SWAP, LOAD, LRSC, LR };
enum dep { NO, ADDR, DATA, CTRL }; /* on the hart's result 0                      */

struct op {
    enum kind kind;
    unsigned place; /* 0 x, 1 y, 2 z; fences: predecessors                         */
    unsigned value; /* stored; or number of the result; fences: successors         */
    unsigned order; /* AQ, RL                                                      */
    enum dep dep;
};

struct shape {
    const char *name;
    bool forbidden;
    /* What the question is, as herd's "exists": 1:0=1 is hart 1's result 0, x=2 the
     * last value of x. */
    const char *exists;
    struct op hart[4][6];
};

/* clang-format off */
#define Wx(v)        {W, 0, v, 0, NO}
#define Wy(v)        {W, 1, v, 0, NO}
#define Wz(v)        {W, 2, v, 0, NO}
#define Rx(r)        {R, 0, r, 0, NO}
#define Ry(r)        {R, 1, r, 0, NO}
#define Rz(r)        {R, 2, r, 0, NO}
#define FRWRW        {F, FENCE_RW, FENCE_RW, 0, NO}
#define FWW          {F, FENCE_W, FENCE_W, 0, NO}
#define FRR          {F, FENCE_R, FENCE_R, 0, NO}
#define FWR          {F, FENCE_W, FENCE_R, 0, NO}
#define FRWW         {F, FENCE_RW, FENCE_W, 0, NO}
#define FRRW         {F, FENCE_R, FENCE_RW, 0, NO}
#define FTSO         {TSO, 0, 0, 0, NO}

static const struct shape shapes[] = {
    {"SB", false, "0:0=0 1:0=0", {{Wx(1), Ry(0)}, {Wy(1), Rx(0)}}},
    {"SB+fence.tsos", false, "0:0=0 1:0=0", {{Wx(1), FTSO, Ry(0)}, {Wy(1), FTSO, Rx(0)}}},
    {"SB+fence.rw.ws", false, "0:0=0 1:0=0", {{Wx(1), FRWW, Ry(0)}, {Wy(1), FRWW, Rx(0)}}},
    {"SB+fence.rw.rws", true, "0:0=0 1:0=0", {{Wx(1), FRWRW, Ry(0)}, {Wy(1), FRWRW, Rx(0)}}},
    {"SB+fence.w.rs", true, "0:0=0 1:0=0", {{Wx(1), FWR, Ry(0)}, {Wy(1), FWR, Rx(0)}}},
    {"SB+amoswap.aqs", true, "0:0=0 1:0=0",
     {{{SWAP, 0, 1, AQ, NO}, Ry(0)}, {{SWAP, 1, 1, AQ, NO}, Rx(0)}}},
    {"SB+amoswap.rl-amoor.aqs", true, "0:0=0 1:0=0",
     {{{SWAP, 0, 1, RL, NO}, {LOAD, 1, 0, AQ, NO}},
      {{SWAP, 1, 1, RL, NO}, {LOAD, 0, 0, AQ, NO}}}},
    {"SB+sc.aqrls", true, "0:0=0 1:0=0",
     {{{LRSC, 0, 1, AQRL, NO}, Ry(0)}, {{LRSC, 1, 1, AQRL, NO}, Rx(0)}}},
    {"SB+sc.rl-lr.aqrls", true, "0:0=0 1:0=0",
     {{{LRSC, 0, 1, RL, NO}, {LR, 1, 0, AQRL, NO}},
      {{LRSC, 1, 1, RL, NO}, {LR, 0, 0, AQRL, NO}}}},
    {"MP", false, "1:0=1 1:1=0", {{Wx(1), Wy(1)}, {Ry(0), Rx(1)}}},
    {"MP+fence.rw.rws", true, "1:0=1 1:1=0", {{Wx(1), FRWRW, Wy(1)}, {Ry(0), FRWRW, Rx(1)}}},
    {"MP+fence.w.w+fence.r.r", true, "1:0=1 1:1=0", {{Wx(1), FWW, Wy(1)}, {Ry(0), FRR, Rx(1)}}},
    {"MP+fence.tsos", true, "1:0=1 1:1=0", {{Wx(1), FTSO, Wy(1)}, {Ry(0), FTSO, Rx(1)}}},
    {"MP+fence.rw.w+fence.r.rw", true, "1:0=1 1:1=0",
     {{Wx(1), FRWW, Wy(1)}, {Ry(0), FRRW, Rx(1)}}},
    {"MP+fence.w.w+addr", true, "1:0=1 1:1=0",
     {{Wx(1), FWW, Wy(1)}, {Ry(0), {R, 0, 1, 0, ADDR}}}},
    {"MP+fence.w.w+ctrl", false, "1:0=1 1:1=0",
     {{Wx(1), FWW, Wy(1)}, {Ry(0), {R, 0, 1, 0, CTRL}}}},
    {"MP+amoswap.rl+amoor.aq", true, "1:0=1 1:1=0",
     {{Wx(1), {SWAP, 1, 1, RL, NO}}, {{LOAD, 1, 0, AQ, NO}, Rx(1)}}},
    {"MP+sc.rl+lr.aq", true, "1:0=1 1:1=0",
     {{Wx(1), {LRSC, 1, 1, RL, NO}}, {{LR, 1, 0, AQ, NO}, Rx(1)}}},
    {"LB", false, "0:0=1 1:0=1", {{Rx(0), Wy(1)}, {Ry(0), Wx(1)}}},
    {"LB+datas", true, "0:0=1 1:0=1",
     {{Rx(0), {W, 1, 1, 0, DATA}}, {Ry(0), {W, 0, 1, 0, DATA}}}},
    {"LB+addrs", true, "0:0=1 1:0=1",
     {{Rx(0), {W, 1, 1, 0, ADDR}}, {Ry(0), {W, 0, 1, 0, ADDR}}}},
    {"LB+ctrls", true, "0:0=1 1:0=1",
     {{Rx(0), {W, 1, 1, 0, CTRL}}, {Ry(0), {W, 0, 1, 0, CTRL}}}},
    {"LB+fence.rw.rws", true, "0:0=1 1:0=1", {{Rx(0), FRWRW, Wy(1)}, {Ry(0), FRWRW, Wx(1)}}},
    {"S+fence.w.w+data", true, "1:0=1 x=2",
     {{Wx(2), FWW, Wy(1)}, {Ry(0), {W, 0, 1, 0, DATA}}}},
    {"R+fence.rw.rws", true, "1:0=0 y=2", {{Wx(1), FRWRW, Wy(1)}, {Wy(2), FRWRW, Rx(0)}}},
    {"2+2W+fence.w.ws", true, "x=1 y=1", {{Wx(1), FWW, Wy(2)}, {Wy(1), FWW, Wx(2)}}},
    {"CoRR", true, "1:0=1 1:1=0", {{Wx(1)}, {Rx(0), Rx(1)}}},
    {"CoWR", true, "0:0=2 x=1", {{Wx(1), Rx(0)}, {Wx(2)}}},
    {"CoRW1", true, "0:0=1", {{Rx(0), Wx(1)}, {Wx(2)}}},
    {"CoRW2", true, "0:0=1 x=1", {{Rx(0), Wx(2)}, {Wx(1)}}},
    {"CoWW", true, "x=1", {{Wx(1), Wx(2)}, {Rx(0)}}},
    {"WRC+data+addr", true, "1:0=1 2:0=1 2:1=0",
     {{Wx(1)}, {Rx(0), {W, 1, 1, 0, DATA}}, {Ry(0), {R, 0, 1, 0, ADDR}}}},
    {"ISA2+fence.w.w+data+addr", true, "1:0=1 2:0=1 2:1=0",
     {{Wx(1), FWW, Wy(1)}, {Ry(0), {W, 2, 1, 0, DATA}}, {Rz(0), {R, 0, 1, 0, ADDR}}}},
    {"IRIW+addrs", true, "1:0=1 1:1=0 3:0=1 3:1=0",
     {{Wx(1)}, {Rx(0), {R, 1, 1, 0, ADDR}}, {Wy(1)}, {Ry(0), {R, 0, 1, 0, ADDR}}}},
};
/* clang-format on */

/* --- Programs ----------------------------------------------------------------------- */

/** t1 = address of the op's place, with the dependency if there is one. */
static void put_address(struct guest *g, const struct op *op)
{
    put(g, enc_addi(T1, S0, 64 * (int)op->place));
    if (op->dep == ADDR) {
        put(g, enc_xor(T2, A0, A0));
        put(g, enc_add(T1, T1, T2));
    }
    if (op->dep == CTRL)
        put(g, enc_b(F3_BNE, A0, X0, 4)); /* to the next one, either way */
}

/** t0 = what to store. */
static void put_value(struct guest *g, const struct op *op)
{
    put(g, enc_addi(T0, X0, (int)op->value));
    if (op->dep == DATA) {
        put(g, enc_xor(T2, A0, A0));
        put(g, enc_add(T0, T0, T2));
    }
}

static void put_op(struct guest *g, const struct op *op)
{
    uint32_t again;

    if (op->kind == F || op->kind == TSO) {
        put(g, op->kind == F ? enc_fence(op->place, op->value) : ENC_FENCE_TSO);
        return;
    }
    if (op->kind == W || op->kind == SWAP || op->kind == LRSC)
        put_value(g, op);
    put_address(g, op);
    switch (op->kind) {
    case W: put(g, enc_sw(T0, T1, 0)); break;
    case R: put(g, enc_lw(A0 + op->value, T1, 0)); break;
    case SWAP: put(g, enc_amo(AMO_SWAP, 2, op->order, X0, T0, T1)); break;
    case LOAD: put(g, enc_amo(AMO_OR, 2, op->order, A0 + op->value, X0, T1)); break;
    case LR: put(g, enc_amo(AMO_LR, 2, op->order, A0 + op->value, X0, T1)); break;
    default:
        again = g->at;
        put(g, enc_amo(AMO_LR, 2, op->order & AQ, T2, X0, T1));
        put(g, enc_amo(AMO_SC, 2, op->order, T2, T0, T1));
        put_back(g, F3_BNE, T2, X0, again);
    }
}

/** One hart's program; s0 walks the cells, s2 counts batches down. */
static void put_hart(struct guest *g, const struct shape *shape, unsigned hart,
                     unsigned n)
{
    const uint32_t others = put_only(g, hart);
    uint32_t batch, over, cell, delay;

    put_begin(g, MS);
    put_li(g, S0, GUEST_RAM + GUEST_CELLS);
    put_li(g, S2, MAX_BATCHES);
    put(g, enc_addi(S1, X0, 0));
    batch = g->at;
    if (hart == 0) { /* Late?  Then all stop after the barrier that comes. */
        put(g, enc_csrrs(T0, CSR_TIME, X0));
        const uint32_t early = put_later(g, F3_BLTU, T0, S7);
        put(g, enc_addi(T0, S4, (int)n));
        put(g, enc_sd(T0, S3, G_STOP));
        put_land(g, early);
    }
    put_barrier(g, hart, n);
    put(g, enc_ld(T0, S3, G_STOP));
    over = put_later(g, F3_BGEU, S4, T0);
    /* Begin a little apart, differently each time. */
    put(g, enc_andi(T0, S2, hart & 1 ? 15 : 3));
    delay = g->at;
    put(g, enc_addi(T0, T0, -1));
    put_back(g, F3_BGE, T0, X0, delay);
    put_li(g, S6, BATCH);
    cell = g->at;
    for (const struct op *op = shape->hart[hart]; op->kind != END; op++)
        put_op(g, op);
    put(g, enc_sd(A0, S0, CELL_RESULTS + 16 * (int)hart));
    put(g, enc_sd(A1, S0, CELL_RESULTS + 16 * (int)hart + 8));
    put(g, enc_addi(S0, S0, CELL));
    put(g, enc_addi(S1, S1, 1));
    put(g, enc_addi(S6, S6, -1));
    put_back(g, F3_BNE, S6, X0, cell);
    put(g, enc_addi(S2, S2, -1));
    put_back(g, F3_BNE, S2, X0, batch);
    put_land(g, over);
    put_end(g, hart, n, S1);
    put_land(g, others);
}

/* --- Outcomes ----------------------------------------------------------------------- */

enum { MAX_TERMS = 4, VALUES = 4, N_KEYS = 256 };

struct question {
    unsigned n;
    uint64_t offset[MAX_TERMS]; /* in a cell                                       */
    unsigned size[MAX_TERMS], value[MAX_TERMS];
    unsigned key; /* of the outcome asked for                                      */
};

static struct question parse(const char *text)
{
    struct question question = {0};

    for (; *text; text += *text == ' ') {
        const unsigned i = question.n++;
        assert_true(i < MAX_TERMS);
        if (text[1] == ':') {
            question.offset[i] = CELL_RESULTS + 16 * (uint64_t)(text[0] - '0') +
                                 8 * (uint64_t)(text[2] - '0');
            question.size[i] = 8;
            text += 3;
        } else {
            question.offset[i] = 64 * (uint64_t)(text[0] - 'x');
            question.size[i] = 4;
            text += 1;
        }
        question.value[i] = (unsigned)(text[1] - '0');
        question.key = question.key * VALUES + question.value[i];
        text += 2;
    }
    return question;
}

static void tally(const struct guest *g, const struct question *question, uint64_t n,
                  uint64_t *seen)
{
    for (uint64_t cell = 0; cell < n; cell++) {
        unsigned key = 0;
        for (unsigned i = 0; i < question->n; i++) {
            uint64_t value = 0;
            memcpy(&value, g->ram + GUEST_CELLS + cell * CELL + question->offset[i],
                   question->size[i]);
            assert_true(value < VALUES);
            key = key * VALUES + (unsigned)value;
        }
        seen[key]++;
    }
}

static void print_outcomes(const struct shape *shape, const struct question *question,
                           uint64_t rounds, const uint64_t *seen)
{
    printf("%-26s %-9s %-24s %8llu rounds:", shape->name,
           shape->forbidden ? "forbidden" : "allowed", shape->exists,
           (unsigned long long)rounds);
    for (unsigned key = 0; key < N_KEYS; key++) {
        char digits[MAX_TERMS + 1] = "";
        if (!seen[key] && key != question->key)
            continue;
        for (unsigned i = question->n, rest = key; i-- > 0; rest /= VALUES)
            digits[i] = (char)('0' + rest % VALUES);
        printf("  %s%s %llu", key == question->key ? "*" : "", digits,
               (unsigned long long)seen[key]);
    }
    printf("\n");
}

static void run_shape(const struct shape *shape, bool single_thread)
{
    const struct question question = parse(shape->exists);
    uint64_t seen[N_KEYS] = {0}, rounds = 0;
    unsigned n = 0;

    while (n < 4 && shape->hart[n][0].kind != END)
        n++;
    for (unsigned round = 0; round < guest_rounds(); round++) {
        const uint64_t never = UINT64_MAX;
        struct guest g;

        guest_new(&g, n, single_thread);
        for (unsigned hart = 0; hart < n; hart++)
            put_hart(&g, shape, hart, n);
        memcpy(g.ram + GUEST_GLOBALS + G_STOP, &never, 8);
        memset(g.ram + GUEST_CELLS, 0, (size_t)MAX_BATCHES * BATCH * CELL);
        guest_run(&g);
        for (unsigned hart = 1; hart < n; hart++)
            assert_int_equal(guest_count(&g, hart), guest_count(&g, 0));
        tally(&g, &question, guest_count(&g, 0), seen);
        rounds += guest_count(&g, 0);
        guest_free(&g);
    }
    print_outcomes(shape, &question, rounds, seen);
    assert_true(rounds > 0);
    if (shape->forbidden && seen[question.key])
        fail_msg("%s: forbidden outcome %s", shape->name, shape->exists);
}

static void shapes_on_threads(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SM_ARRAY_LEN(shapes); i++)
        run_shape(&shapes[i], false);
}

/** In turn on one thread nothing but interleavings may appear, and all still ends. */
static void shapes_in_turn(void **state)
{
    static const char *const some[] = {"SB", "MP", "LB", "IRIW+addrs"};
    (void)state;
    for (unsigned i = 0; i < SM_ARRAY_LEN(shapes); i++)
        for (unsigned k = 0; k < SM_ARRAY_LEN(some); k++)
            if (!strcmp(shapes[i].name, some[k])) {
                struct shape shape = shapes[i];
                shape.forbidden = true;
                run_shape(&shape, true);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_on_threads),
        cmocka_unit_test(shapes_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
