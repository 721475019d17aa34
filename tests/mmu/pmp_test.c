/* SPDX-License-Identifier: MIT */
/* pmp_test.c - PMP registers, matching, spans; and a model that looks at every byte. */
#include "guest_tables.h"
#include "mmu/pmp.h"

enum {
    OFF = 0,
    TOR = 1 << SM_PMP_A_SHIFT,
    NA4 = 2 << SM_PMP_A_SHIFT,
    NAPOT = 3 << SM_PMP_A_SHIFT
};
enum { R = SM_PMP_R, W = SM_PMP_W, X = SM_PMP_X, L = SM_PMP_L, RWX = R | W | X };

static uint8_t perms_of(const struct sm_pmp *pmp, bool machine, sm_gpa gpa, unsigned size,
                        unsigned *span)
{
    uint8_t perms = RWX, span_bits = 12;
    sm_pmp_check(pmp, machine, gpa, size, &perms, &span_bits);
    if (span)
        *span = span_bits;
    return perms;
}

static void without_entries_all_is_allowed(void **state)
{
    struct sm_pmp pmp;
    unsigned span;

    sm_pmp_reset(&pmp, 0);
    assert_int_equal(perms_of(&pmp, false, 0x80000000, 8, &span), RWX);
    assert_int_equal(span, 12);
    assert_false(sm_pmp_write_cfg(&pmp, 0, NAPOT | R));
    assert_false(sm_pmp_write_addr(&pmp, 0, 5));
    assert_int_equal(pmp.addr[0], 0);
}

static void with_entries_only_machine_mode_is_free(void **state)
{
    struct sm_pmp pmp;

    sm_pmp_reset(&pmp, SM_N_PMP);
    assert_int_equal(perms_of(&pmp, true, 0x80000000, 8, NULL), RWX);
    assert_int_equal(perms_of(&pmp, false, 0x80000000, 8, NULL), 0);
}

static void napot_all_ones_covers_everything(void **state)
{
    struct sm_pmp pmp;
    uint8_t perms = RWX, span_bits = 56;

    sm_pmp_reset(&pmp, SM_N_PMP);
    assert_true(sm_pmp_write_addr(&pmp, 0, UINT64_MAX));
    assert_int_equal(pmp.addr[0], (UINT64_C(1) << 54) - 1);
    assert_true(sm_pmp_write_cfg(&pmp, 0, NAPOT | RWX));
    assert_int_equal(pmp.range[0].first, 0);
    assert_int_equal(pmp.range[0].last, (UINT64_C(1) << 57) - 1);
    sm_pmp_check(&pmp, false, UINT64_C(0xffffffffffff8), 8, &perms, &span_bits);
    assert_int_equal(perms, RWX);
    assert_int_equal(span_bits, 56);
}

static void ranges_follow_the_registers(void **state)
{
    struct sm_pmp pmp;

    sm_pmp_reset(&pmp, SM_N_PMP);
    sm_pmp_write_addr(&pmp, 0, 0x20000000); /* 0x80000000 */
    sm_pmp_write_cfg(&pmp, 0, NA4 | R);
    assert_int_equal(pmp.range[0].first, 0x80000000);
    assert_int_equal(pmp.range[0].last, 0x80000003);
    sm_pmp_write_cfg(&pmp, 0, NAPOT | R); /* no trailing one: 8 bytes */
    assert_int_equal(pmp.range[0].last, 0x80000007);
    sm_pmp_write_addr(&pmp, 0, 0x20000000 | 0xff); /* 8 ones: 2 KiB */
    assert_int_equal(pmp.range[0].first, 0x80000000);
    assert_int_equal(pmp.range[0].last, 0x800007ff);
    sm_pmp_write_cfg(&pmp, 0, TOR | R); /* from 0 */
    assert_int_equal(pmp.range[0].first, 0);
    assert_int_equal(pmp.range[0].last, 0x800003fb);
    sm_pmp_write_addr(&pmp, 1, 0x20000100);
    sm_pmp_write_cfg(&pmp, 1, TOR | R);
    assert_int_equal(pmp.n_active, 2);
    assert_int_equal(pmp.range[1].first, 0x800003fc);
    assert_int_equal(pmp.range[1].last, 0x800003ff);
    sm_pmp_write_addr(&pmp, 1, 0x200000ff); /* bottom == top: matches nothing */
    assert_int_equal(pmp.n_active, 1);
}

static void reserved_bits_and_combinations_are_dropped(void **state)
{
    struct sm_pmp pmp;

    sm_pmp_reset(&pmp, SM_N_PMP);
    assert_true(sm_pmp_write_cfg(&pmp, 3, 0x60 | NA4 | W | X));
    assert_int_equal(pmp.cfg[3], NA4 | X);
    assert_false(sm_pmp_write_cfg(&pmp, 3, NA4 | X));
    assert_false(sm_pmp_write_cfg(&pmp, 16, R));
}

static void locks_hold_cfg_addr_and_the_address_below(void **state)
{
    struct sm_pmp pmp;

    sm_pmp_reset(&pmp, SM_N_PMP);
    sm_pmp_write_addr(&pmp, 4, 0x1000);
    sm_pmp_write_addr(&pmp, 5, 0x2000);
    sm_pmp_write_cfg(&pmp, 5, L | TOR | R);
    assert_false(sm_pmp_write_cfg(&pmp, 5, 0));
    assert_false(sm_pmp_write_addr(&pmp, 5, 0x3000));
    assert_false(sm_pmp_write_addr(&pmp, 4, 0x3000)); /* bottom of a locked TOR */
    assert_true(sm_pmp_write_cfg(&pmp, 4, NA4 | R));
    assert_int_equal(perms_of(&pmp, true, 0x4000, 8, NULL), 0); /* NA4: a part of it */
    assert_true(sm_pmp_write_cfg(&pmp, 4, OFF));
    assert_int_equal(perms_of(&pmp, true, 0x4000, 8, NULL), R); /* binds machine mode */
    sm_pmp_write_cfg(&pmp, 8, L | NAPOT);
    assert_true(sm_pmp_write_addr(&pmp, 7, 0x3000)); /* not TOR: below stays free */
    sm_pmp_reset(&pmp, SM_N_PMP);
    assert_true(sm_pmp_write_cfg(&pmp, 5, R));
}

static void the_lowest_number_wins_and_a_part_match_fails(void **state)
{
    struct sm_pmp pmp;
    unsigned span;

    sm_pmp_reset(&pmp, SM_N_PMP);
    sm_pmp_write_addr(&pmp, 0, 0x80000104 >> 2);
    sm_pmp_write_cfg(&pmp, 0, NA4 | R);
    sm_pmp_write_addr(&pmp, 1, 0x80000000 >> 2 | 0x1ff); /* 4 KiB */
    sm_pmp_write_cfg(&pmp, 1, NAPOT | RWX);
    assert_int_equal(perms_of(&pmp, false, 0x80000104, 4, &span), R);
    assert_int_equal(span, 2);
    assert_int_equal(perms_of(&pmp, false, 0x80000100, 8, NULL), 0);
    assert_int_equal(perms_of(&pmp, true, 0x80000100, 8, NULL), 0);
    assert_int_equal(perms_of(&pmp, true, 0x80000104, 4, NULL), RWX);
    assert_int_equal(perms_of(&pmp, false, 0x80000100, 4, &span), RWX);
    assert_int_equal(span, 2);
    assert_int_equal(perms_of(&pmp, false, 0x80000800, 8, &span), RWX);
    assert_int_equal(span, 11);
    assert_int_equal(perms_of(&pmp, false, 0x80000200, 8, &span), RWX);
    assert_int_equal(span, 9);
}

/* --- Model: the specification's rules, a byte at a time ---------------------- */

enum plant { NO_BUG, BUG_PRIORITY, BUG_PART_MATCH, BUG_TOR_TOP, BUG_NAPOT_SIZE,
             BUG_NEAR_KEPT };

static bool byte_matches(const struct sm_pmp *pmp, unsigned n, sm_gpa gpa,
                         enum plant plant)
{
    const uint64_t word = gpa >> 2;
    const uint64_t below = n ? pmp->addr[n - 1] : 0;

    switch (pmp->cfg[n] >> SM_PMP_A_SHIFT & 3) {
    case 1:
        return word >= below && word < pmp->addr[n] + (plant == BUG_TOR_TOP);
    case 2:
        return word == pmp->addr[n];
    case 3: {
        unsigned ones = 0;
        while (pmp->addr[n] >> ones & 1)
            ones++;
        if (plant == BUG_NAPOT_SIZE && ones > 3)
            ones--;
        return word >> (ones + 1) == pmp->addr[n] >> (ones + 1);
    }
    default:
        return false;
    }
}

static uint8_t model(const struct sm_pmp *pmp, bool machine, sm_gpa gpa, unsigned size,
                     enum plant plant)
{
    for (unsigned i = 0; i < pmp->n_entries; i++) {
        const unsigned n = plant == BUG_PRIORITY ? pmp->n_entries - 1u - i : i;
        unsigned matched = 0;
        for (unsigned byte = 0; byte < size; byte++)
            matched += byte_matches(pmp, n, gpa + byte, plant);
        if (matched == 0)
            continue;
        if (matched < size && plant != BUG_PART_MATCH)
            return 0;
        if (machine && !(pmp->cfg[n] & L))
            return RWX;
        return pmp->cfg[n] & RWX;
    }
    return machine || pmp->n_entries == 0 ? RWX : 0;
}

#define BASE UINT64_C(0x80000000)

static void random_pmp(struct rng *rng, struct sm_pmp *pmp)
{
    sm_pmp_reset(pmp, rng_once_in(rng, 20) ? 0 : SM_N_PMP);
    for (unsigned n = 0; n < SM_N_PMP; n++) {
        const unsigned ones = (unsigned)rng_below(rng, 14);
        uint64_t addr = (BASE + rng_below(rng, 0x4000)) >> 2;
        if (rng_once_in(rng, 8))
            addr = rng_once_in(rng, 2) ? UINT64_MAX : rng_next(rng);
        if (rng_once_in(rng, 2))
            addr |= (UINT64_C(1) << ones) - 1;
        sm_pmp_write_addr(pmp, n, addr);
        if (rng_once_in(rng, 2))
            sm_pmp_write_cfg(pmp, n, (uint8_t)rng_next(rng));
    }
}

/** Compare with the model for @rounds; returns the number of differences. */
static unsigned compare(struct rng *rng, unsigned rounds, enum plant plant)
{
    unsigned wrong = 0;

    for (unsigned round = 0; round < rounds; round++) {
        struct sm_pmp pmp;
        random_pmp(rng, &pmp);
        for (unsigned i = 0; i < 40; i++) {
            const unsigned size = (unsigned)rng_below(rng, 16) + 1;
            const bool machine = rng_once_in(rng, 3);
            const sm_gpa gpa = BASE + rng_below(rng, 0x5000) - 0x800;
            uint8_t perms = RWX, span = (uint8_t)rng_below(rng, 16);
            if (rng_once_in(rng, 20)) {
                const struct sm_pmp was = pmp;
                random_pmp(rng, &pmp);
                if (plant == BUG_NEAR_KEPT)
                    memcpy(pmp.near, was.near, sizeof pmp.near);
            }
            uint8_t near_perms = perms, near_span = span;
            sm_pmp_check(&pmp, machine, gpa, size, &perms, &span);
            sm_pmp_check_near(&pmp, machine, gpa, size, &near_perms, &near_span);
            wrong += near_perms != perms || near_span != span;
            wrong += perms != model(&pmp, machine, gpa, size, plant);

            /* Every access inside of the span fares as its first byte does. */
            const uint64_t inside = (UINT64_C(1) << span) - 1;
            const uint8_t first = model(&pmp, machine, gpa & ~inside, 1, plant);
            for (unsigned j = 0; j < 8; j++) {
                const sm_gpa a = (gpa & ~inside) + (rng_next(rng) & inside);
                const uint64_t room = (gpa | inside) - a + 1;
                const unsigned n = 1 + (unsigned)rng_below(rng, room < 8 ? room : 8);
                wrong += model(&pmp, machine, a, n, plant) != first;
            }
        }
    }
    return wrong;
}

static void agrees_with_the_model(void **state)
{
    struct rng rng = rng_seeded(0x70u);
    assert_int_equal(compare(&rng, 3000, NO_BUG), 0);
}

static void planted_bugs_are_found(void **state)
{
    struct rng rng = rng_seeded(0x71u);
    for (enum plant plant = BUG_PRIORITY; plant <= BUG_NEAR_KEPT; plant++)
        assert_true(compare(&rng, 1000, plant) > 0);
}

static void spans_reach_as_far_as_they_may(void **state)
{
    struct rng rng = rng_seeded(0x72u);

    for (unsigned round = 0; round < 1000; round++) {
        struct sm_pmp pmp;
        random_pmp(&rng, &pmp);
        const sm_gpa gpa = BASE + rng_below(&rng, 0x4000);
        uint8_t perms = RWX, span = 12;
        sm_pmp_check(&pmp, false, gpa, 1, &perms, &span);
        if (span == 12)
            continue;
        /* The block of twice the size holds a byte that another entry decides. */
        const uint64_t inside = (UINT64_C(2) << span) - 1;
        bool differs = false;
        for (unsigned n = 0; n < pmp.n_entries && !differs; n++) {
            const bool here = byte_matches(&pmp, n, gpa, NO_BUG);
            for (uint64_t i = 0; i <= inside && !differs; i++)
                differs = byte_matches(&pmp, n, (gpa & ~inside) + i, NO_BUG) != here;
        }
        assert_true(differs);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_entries_all_is_allowed),
        cmocka_unit_test(with_entries_only_machine_mode_is_free),
        cmocka_unit_test(napot_all_ones_covers_everything),
        cmocka_unit_test(ranges_follow_the_registers),
        cmocka_unit_test(reserved_bits_and_combinations_are_dropped),
        cmocka_unit_test(locks_hold_cfg_addr_and_the_address_below),
        cmocka_unit_test(the_lowest_number_wins_and_a_part_match_fails),
        cmocka_unit_test(agrees_with_the_model),
        cmocka_unit_test(planted_bugs_are_found),
        cmocka_unit_test(spans_reach_as_far_as_they_may),
    };
    return cmocka_run_group_tests_name("pmp", tests, NULL, NULL);
}
