/* SPDX-License-Identifier: MIT */
/* atomic_test.c - harts contend for words and locks; every total must be exact.
 *
 * All harts run the same loop until hart 0 finds that time is up; each counts its
 * rounds, and what is left in memory must follow from the counts.
 */
#include "litmus/guest.h"

enum { MS = 60 };

/* The words that are fought for: two in one granule, others apart. */
enum {
    WORD = G_OWN,
    NEIGHBOUR = WORD + 8,
    SUM_OF_OLD = WORD + 64,
    TICKET = WORD + 128,
    SERVING = WORD + 192,
    INSIDE_A = WORD + 256,
    INSIDE_B = WORD + 320,
    ERRORS = WORD + 384,
    PLAIN = WORD + 448 /* a doubleword per hart               */
};

struct contest {
    const char *name;
    unsigned n_harts;
    void (*round)(struct guest *g, unsigned hart); /* may use t0 to t6 and a0 to a7 */
    void (*check)(const struct guest *g, uint64_t total);
};

static uint64_t word(const struct guest *g, int offset)
{
    return guest_u64(g, GUEST_GLOBALS + (uint64_t)offset);
}

static void word_is_total(const struct guest *g, uint64_t total)
{
    assert_int_equal(word(g, WORD), total);
}

/* --- Counters ----------------------------------------------------------------------- */

static void add_amo_w(struct guest *g, unsigned hart)
{
    put(g, enc_addi(T0, X0, 1));
    put(g, enc_addi(T1, S3, WORD));
    put(g, enc_amo(AMO_ADD, 2, 0, X0, T0, T1));
}

static void add_amo_d(struct guest *g, unsigned hart)
{
    put(g, enc_addi(T0, X0, 1));
    put(g, enc_addi(T1, S3, WORD));
    put(g, enc_amo(AMO_ADD, 3, AQRL, X0, T0, T1));
}

static void put_lrsc_add(struct guest *g, unsigned size_bits)
{
    uint32_t again;

    put(g, enc_addi(T1, S3, WORD));
    again = g->at;
    put(g, enc_amo(AMO_LR, size_bits, 0, T0, X0, T1));
    put(g, enc_addi(T0, T0, 1));
    put(g, enc_amo(AMO_SC, size_bits, 0, T2, T0, T1));
    put_back(g, F3_BNE, T2, X0, again);
}

static void add_lrsc_w(struct guest *g, unsigned hart)
{
    put_lrsc_add(g, 2);
}

static void add_lrsc_d(struct guest *g, unsigned hart)
{
    put_lrsc_add(g, 3);
}

/** Half of the harts one way, half the other, on one word. */
static void add_mixed(struct guest *g, unsigned hart)
{
    if (hart & 1)
        add_amo_d(g, hart);
    else
        put_lrsc_add(g, 3);
}

/** LR/SC beside a hart that stores plainly to the other word of the granule. */
static void add_beside_stores(struct guest *g, unsigned hart)
{
    if (hart) {
        put_lrsc_add(g, 3);
        return;
    }
    put(g, enc_ld(T0, S3, NEIGHBOUR));
    put(g, enc_addi(T0, T0, 1));
    put(g, enc_sd(T0, S3, NEIGHBOUR));
}

static void beside_stores(const struct guest *g, uint64_t total)
{
    assert_int_equal(word(g, NEIGHBOUR), guest_count(g, 0));
    assert_int_equal(word(g, WORD), total - guest_count(g, 0));
}

/** Who only reads never sees the counter go back. */
static void add_under_loads(struct guest *g, unsigned hart)
{
    if (hart) {
        put_lrsc_add(g, 3);
        put_lrsc_add(g, 3);
        return;
    }
    put(g, enc_ld(T0, S3, WORD));
    put(g, enc_ld(T1, S3, WORD));
    const uint32_t fine = put_later(g, F3_BGEU, T1, T0);
    put(g, enc_addi(T0, X0, 1));
    put(g, enc_sd(T0, S3, ERRORS));
    put_land(g, fine);
}

static void counted_by_twos(const struct guest *g, uint64_t total)
{
    assert_int_equal(word(g, ERRORS), 0);
    assert_int_equal(word(g, WORD), 2 * (total - guest_count(g, 0)));
}

/* --- What comes back to the value that it was --------------------------------------- */

/** Whoever holds the baton moves a doubleword of the granule to another value and back,
 *  between LR and SC of the one that gave it: what that SC stores must never be seen.
 *
 *  Hart 0: LR WORD; baton = 1; wait until it is 2; SC.  Hart 1 waits until it is 1. */
static void aba_first(struct guest *g)
{
    put(g, enc_addi(T1, S3, WORD));
    put(g, enc_amo(AMO_LR, 3, 0, T0, X0, T1));
    put(g, enc_addi(T2, X0, 1));
    put(g, enc_sd(T2, S3, SERVING));
    /* Time is up while nobody answers: the last round.  The answer may come yet, and
     * would pass for that of another. */
    const uint32_t wait = g->at;
    put(g, enc_ld(T2, S3, SERVING));
    put(g, enc_addi(T2, T2, -2));
    const uint32_t answered = put_later(g, F3_BEQ, T2, X0);
    put(g, enc_csrrs(T3, CSR_TIME, X0));
    put_back(g, F3_BLTU, T3, S7, wait);
    put(g, enc_sd(T3, S3, G_STOP));
    const uint32_t late = put_later(g, F3_BEQ, X0, X0);
    put_land(g, answered);
    put(g, enc_addi(T0, T0, 99));
    put(g, enc_amo(AMO_SC, 3, 0, T2, T0, T1));
    const uint32_t failed = put_later(g, F3_BNE, T2, X0);
    put(g, enc_sd(T0, S3, ERRORS));
    put_land(g, failed);
    put(g, enc_sd(X0, S3, SERVING));
    put_land(g, late);
}

/** t0 = 1 once the baton is ours; there it goes on. */
static uint32_t put_if_asked(struct guest *g)
{
    put(g, enc_ld(T0, S3, SERVING));
    put(g, enc_addi(T0, T0, -1));
    return put_later(g, F3_BNE, T0, X0);
}

static void put_answer(struct guest *g)
{
    put(g, enc_addi(T0, X0, 2));
    put(g, enc_fence(FENCE_RW, FENCE_RW));
    put(g, enc_sd(T0, S3, SERVING));
}

static void aba_by_amos(struct guest *g, unsigned hart)
{
    if (hart == 0) {
        aba_first(g);
        return;
    }
    const uint32_t not_asked = put_if_asked(g);
    put(g, enc_addi(T1, S3, WORD));
    put(g, enc_addi(T0, X0, 7));
    put(g, enc_amo(AMO_ADD, 3, 0, X0, T0, T1));
    put(g, enc_addi(T0, X0, -7));
    put(g, enc_amo(AMO_ADD, 2, 0, T3, T0, T1));
    put_answer(g);
    put_land(g, not_asked);
}

/** One AMO that leaves what was there. */
static void aba_by_nothing(struct guest *g, unsigned hart)
{
    if (hart == 0) {
        aba_first(g);
        return;
    }
    const uint32_t not_asked = put_if_asked(g);
    put(g, enc_addi(T1, S3, NEIGHBOUR));
    put(g, enc_amo(AMO_OR, 3, 0, X0, X0, T1));
    put_answer(g);
    put_land(g, not_asked);
}

static void aba_by_sc(struct guest *g, unsigned hart)
{
    if (hart == 0) {
        aba_first(g);
        return;
    }
    const uint32_t not_asked = put_if_asked(g);
    put(g, enc_addi(T1, S3, WORD));
    for (int step = 1; step >= -1; step -= 2) {
        const uint32_t again = g->at;
        put(g, enc_amo(AMO_LR, 3, 0, T0, X0, T1));
        put(g, enc_addi(T0, T0, step));
        put(g, enc_amo(AMO_SC, 3, 0, T2, T0, T1));
        put_back(g, F3_BNE, T2, X0, again);
    }
    put_answer(g);
    put_land(g, not_asked);
}

static void aba_check(const struct guest *g, uint64_t total)
{
    assert_int_equal(word(g, ERRORS), 0);
    assert_int_equal(word(g, WORD), 0);
}

/* --- Every operation ---------------------------------------------------------------- */

/** Values go round: what was put in is what came out, and the one that is left. */
static void swap_round(struct guest *g, unsigned hart)
{
    /* a0 = a token of this hart and round; the difference is summed up. */
    put(g, enc_slli(A0, S1, 3));
    put(g, enc_addi(A0, A0, (int)hart));
    put(g, enc_addi(T1, S3, WORD));
    put(g, enc_amo(AMO_SWAP, 3, 0, A1, A0, T1));
    put(g, enc_sub(A1, A1, A0));
    put(g, enc_addi(T1, S3, SUM_OF_OLD));
    put(g, enc_amo(AMO_ADD, 3, 0, X0, A1, T1));
}

static void swap_check(const struct guest *g, uint64_t total)
{
    /* The first out is the initial value 0: sum(out) - sum(in) + left = 0. */
    assert_int_equal(word(g, SUM_OF_OLD) + word(g, WORD), 0);
}

/** Each hart flips its own bit twice, sets and clears another, in one word. */
static void bits_round(struct guest *g, unsigned hart)
{
    put(g, enc_addi(T0, X0, 1 << hart));
    put(g, enc_addi(T1, S3, WORD));
    put(g, enc_amo(AMO_XOR, 3, 0, T2, T0, T1));
    put(g, enc_amo(AMO_XOR, 3, 0, T3, T0, T1));
    put(g, enc_xor(T2, T2, T3)); /* our bit, at least, differs between the two */
    put(g, enc_andi(T2, T2, 1 << hart));
    const uint32_t flipped = put_later(g, F3_BNE, T2, X0);
    put(g, enc_sd(T0, S3, ERRORS));
    put_land(g, flipped);
    put(g, enc_slli(T0, T0, 8));
    put(g, enc_amo(AMO_OR, 3, 0, X0, T0, T1));
    put(g, enc_i(0x13, T4, 4, T0, -1)); /* not */
    put(g, enc_amo(AMO_AND, 3, 0, T3, T4, T1));
    put(g, enc_i(0x13, T2, 4, T3, -1));
    put(g, enc_r(0x33, T2, 7, T2, T0, 0)); /* and: set unless somebody cleared ours */
    const uint32_t set = put_later(g, F3_BEQ, T2, X0);
    put(g, enc_sd(T0, S3, ERRORS));
    put_land(g, set);
}

static void bits_check(const struct guest *g, uint64_t total)
{
    assert_int_equal(word(g, WORD), 0);
    assert_int_equal(word(g, ERRORS), 0);
}

/** The highest of all tokens wins, as does the lowest, of signed words. */
static void max_round(struct guest *g, unsigned hart)
{
    put(g, enc_slli(A0, S1, 3));
    put(g, enc_addi(A0, A0, (int)hart));
    put(g, enc_addi(T1, S3, WORD));
    put(g, enc_amo(AMO_MAXU, 3, 0, X0, A0, T1));
    put(g, enc_sub(A0, X0, A0));
    put(g, enc_addi(T1, S3, NEIGHBOUR));
    put(g, enc_amo(AMO_MIN, 3, 0, X0, A0, T1));
}

static void max_check(const struct guest *g, uint64_t total)
{
    uint64_t highest = 0;
    for (unsigned hart = 0; hart < g->config.n_harts; hart++)
        if (guest_count(g, hart))
            highest = SM_MAX(highest, ((guest_count(g, hart) - 1) << 3) + hart);
    assert_int_equal(word(g, WORD), highest);
    assert_int_equal(word(g, NEIGHBOUR), -highest);
}

/* --- Locks -------------------------------------------------------------------------- */

/** Two plain counters that agree inside of the lock. */
static void put_critical(struct guest *g)
{
    put(g, enc_ld(A0, S3, INSIDE_A));
    put(g, enc_ld(A1, S3, INSIDE_B));
    const uint32_t agree = put_later(g, F3_BEQ, A0, A1);
    put(g, enc_addi(T0, X0, 1));
    put(g, enc_sd(T0, S3, ERRORS));
    put_land(g, agree);
    put(g, enc_addi(A0, A0, 1));
    put(g, enc_sd(A0, S3, INSIDE_A));
    put(g, enc_addi(A1, A1, 1));
    put(g, enc_sd(A1, S3, INSIDE_B));
}

static void lock_check(const struct guest *g, uint64_t total)
{
    assert_int_equal(word(g, ERRORS), 0);
    assert_int_equal(word(g, INSIDE_A), total);
    assert_int_equal(word(g, INSIDE_B), total);
}

static void ticket_lock(struct guest *g, unsigned hart)
{
    put(g, enc_addi(T0, X0, 1));
    put(g, enc_addi(T1, S3, TICKET));
    put(g, enc_amo(AMO_ADD, 2, 0, A2, T0, T1));
    const uint32_t spin = g->at;
    put(g, enc_lw(T0, S3, SERVING));
    put_back(g, F3_BNE, T0, A2, spin);
    put(g, enc_fence(FENCE_R, FENCE_RW));
    put_critical(g);
    put(g, enc_fence(FENCE_RW, FENCE_W));
    put(g, enc_addi(A2, A2, 1));
    put(g, enc_sw(A2, S3, SERVING));
}

/** Source: Unprivileged, the spinlock example of "Atomic Memory Operations". */
static void swap_lock(struct guest *g, unsigned hart)
{
    put(g, enc_addi(T0, X0, 1));
    put(g, enc_addi(T1, S3, TICKET));
    const uint32_t again = g->at;
    put(g, enc_lw(T2, S3, TICKET));
    put_back(g, F3_BNE, T2, X0, again);
    put(g, enc_amo(AMO_SWAP, 2, AQ, T2, T0, T1));
    put_back(g, F3_BNE, T2, X0, again);
    put_critical(g);
    put(g, enc_addi(T1, S3, TICKET));
    put(g, enc_amo(AMO_SWAP, 2, RL, X0, X0, T1));
}

static void lrsc_lock(struct guest *g, unsigned hart)
{
    put(g, enc_addi(T0, X0, 1));
    put(g, enc_addi(T1, S3, TICKET));
    const uint32_t again = g->at;
    put(g, enc_amo(AMO_LR, 2, AQ, T2, X0, T1));
    put_back(g, F3_BNE, T2, X0, again);
    put(g, enc_amo(AMO_SC, 2, 0, T2, T0, T1));
    put_back(g, F3_BNE, T2, X0, again);
    put_critical(g);
    put(g, enc_fence(FENCE_RW, FENCE_W));
    put(g, enc_sw(X0, S3, TICKET));
}

/* --- Running ------------------------------------------------------------------------ */

static const struct contest contests[] = {
    {"amoadd.w", 4, add_amo_w, word_is_total},
    {"amoadd.d.aqrl", 4, add_amo_d, word_is_total},
    {"lr.w/sc.w", 4, add_lrsc_w, word_is_total},
    {"lr.d/sc.d", 4, add_lrsc_d, word_is_total},
    {"lr.d/sc.d with amoadd.d", 4, add_mixed, word_is_total},
    {"lr.d/sc.d beside stores", 3, add_beside_stores, beside_stores},
    {"lr.d/sc.d under loads", 3, add_under_loads, counted_by_twos},
    {"amoswap.d", 4, swap_round, swap_check},
    {"amoxor, amoor, amoand", 4, bits_round, bits_check},
    {"amomaxu, amomin", 4, max_round, max_check},
    {"lr.d, two amoadds, sc.d", 2, aba_by_amos, aba_check},
    {"lr.d, amoor of nothing, sc.d", 2, aba_by_nothing, aba_check},
    {"lr.d, two sc.ds, sc.d", 2, aba_by_sc, aba_check},
    {"ticket lock", 2, ticket_lock, lock_check},
    {"amoswap lock", 3, swap_lock, lock_check},
    {"lr/sc lock", 3, lrsc_lock, lock_check},
};

/** s1 counts rounds; every 64th hart 0 looks at the time. */
static void put_contestant(struct guest *g, const struct contest *contest, unsigned hart)
{
    const uint32_t others = put_only(g, hart);
    uint32_t loop;

    put_begin(g, MS);
    put(g, enc_addi(S1, X0, 0));
    put_barrier(g, hart, contest->n_harts);
    loop = g->at;
    contest->round(g, hart);
    put(g, enc_addi(S1, S1, 1));
    if (hart == 0) {
        put(g, enc_andi(T0, S1, 63));
        const uint32_t not_now = put_later(g, F3_BNE, T0, X0);
        put(g, enc_csrrs(T0, CSR_TIME, X0));
        const uint32_t early = put_later(g, F3_BLTU, T0, S7);
        put(g, enc_addi(T0, X0, 1));
        put(g, enc_sd(T0, S3, G_STOP));
        put_land(g, not_now);
        put_land(g, early);
    }
    put(g, enc_ld(T0, S3, G_STOP));
    put_back(g, F3_BEQ, T0, X0, loop);
    put_end(g, hart, contest->n_harts, S1);
    put_land(g, others);
}

static void run_contest(const struct contest *contest, bool single_thread)
{
    for (unsigned round = 0; round < guest_rounds(); round++) {
        struct guest g;
        uint64_t total = 0;

        guest_new(&g, contest->n_harts, single_thread);
        for (unsigned hart = 0; hart < contest->n_harts; hart++)
            put_contestant(&g, contest, hart);
        guest_run(&g);
        printf("%-26s%s", contest->name, single_thread ? " in turn:" : ":");
        for (unsigned hart = 0; hart < contest->n_harts; hart++) {
            const uint64_t n = guest_count(&g, hart);
            printf("  %llu", (unsigned long long)n);
            total += n;
        }
        printf(" rounds\n");
        contest->check(&g, total);
        guest_free(&g);
    }
}

static void on_threads(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SM_ARRAY_LEN(contests); i++)
        run_contest(&contests[i], false);
}

static void in_turn(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SM_ARRAY_LEN(contests); i += 2)
        run_contest(&contests[i], true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_threads),
        cmocka_unit_test(in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
