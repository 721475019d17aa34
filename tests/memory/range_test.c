/* SPDX-License-Identifier: MIT */
/* range_test.c - ranges at both ends of 2^64, and against sets of small numbers. */
#include "support.h"

enum { SPAN = 16 };

static uint32_t bits(struct sm_range range)
{
    uint32_t set = 0;
    for (uint64_t i = range.first; i <= range.last; i++)
        set |= UINT32_C(1) << i;
    return set;
}

static void against_sets(void **state)
{
    for (uint64_t i = 0; i < SPAN * SPAN * SPAN * SPAN; i++) {
        const struct sm_range a = {i % SPAN, i / SPAN % SPAN};
        const struct sm_range b = {i / SPAN / SPAN % SPAN, i / SPAN / SPAN / SPAN};
        struct sm_range out = {99, 99}, parts[2];
        if (a.first > a.last || b.first > b.last)
            continue;
        const uint32_t both = bits(a) & bits(b);
        assert_int_equal(sm_range_overlaps(a, b), both != 0);
        assert_int_equal(sm_range_intersect(a, b, &out), both != 0);
        if (both)
            assert_int_equal(bits(out), both);
        else
            assert_int_equal(out.first, 99);
        uint32_t rest = 0;
        const unsigned n = sm_range_subtract(a, b, parts);
        for (unsigned part = 0; part < n; part++) {
            assert_true(parts[part].first <= parts[part].last);
            rest |= bits(parts[part]);
        }
        assert_int_equal(rest, bits(a) & ~bits(b));
    }
}

static void ends(void **state)
{
    const struct sm_range all = {0, UINT64_MAX}, top = {UINT64_MAX, UINT64_MAX};
    struct sm_range parts[2], out;

    assert_true(sm_range_contains(all, UINT64_MAX));
    assert_int_equal(sm_range_subtract(all, all, parts), 0);
    assert_int_equal(sm_range_subtract(all, top, parts), 1);
    assert_true(parts[0].first == 0 && parts[0].last == UINT64_MAX - 1);
    assert_int_equal(sm_range_subtract(all, (struct sm_range){0, 0}, parts), 1);
    assert_true(parts[0].first == 1 && parts[0].last == UINT64_MAX);
    assert_true(sm_range_intersect(all, top, &out));
    assert_true(out.first == UINT64_MAX && out.last == UINT64_MAX);

    assert_false(sm_range_of_size(5, 0, &out));
    assert_false(sm_range_of_size(UINT64_MAX, 2, &out));
    assert_true(sm_range_of_size(UINT64_MAX, 1, &out));
    assert_true(out.first == UINT64_MAX && out.last == UINT64_MAX);
    assert_true(sm_range_of_size(1, UINT64_MAX, &out));
    assert_true(out.first == 1 && out.last == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(against_sets),
        cmocka_unit_test(ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
