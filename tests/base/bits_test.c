/* SPDX-License-Identifier: MIT */
/* bits_test.c - fields, masks, signs and alignment, against one bit at a time. */
#include "test.h"

#include "base/bits.h"

static void masks(void **state)
{
    assert_int_equal(sm_mask(0), 0);
    assert_int_equal(sm_mask(1), 1);
    assert_int_equal(sm_mask(63), INT64_MAX);
    assert_true(sm_mask(64) == UINT64_MAX);
}

static void fields(void **state)
{
    uint64_t random = test_seed(1);

    for (int i = 0; i < 10000; i++) {
        const uint64_t value = test_random(&random), field = test_random(&random);
        const unsigned n = 1 + (unsigned)test_below(&random, 64);
        const unsigned shift = (unsigned)test_below(&random, 65 - n);
        const uint64_t inserted = sm_insert(value, shift, n, field);
        for (unsigned bit = 0; bit < 64; bit++) {
            const int in = bit >= shift && bit - shift < n;
            const uint64_t want = in ? field >> (bit - shift) : value >> bit;
            assert_int_equal((inserted >> bit) & 1, want & 1);
        }
        assert_true(sm_extract(inserted, shift, n) == (field & sm_mask(n)));
    }
}

static void signs(void **state)
{
    assert_int_equal(sm_sign_extend(0x80, 8), -128);
    assert_int_equal(sm_sign_extend(0x17f, 8), 127);
    assert_int_equal(sm_sign_extend(1, 1), -1);
    assert_true(sm_sign_extend(UINT64_C(1) << 63, 64) == INT64_MIN);
}

static void alignment(void **state)
{
    assert_int_equal(sm_align_down(0x1fff, 0x1000), 0x1000);
    assert_int_equal(sm_align_up(0x1001, 0x1000), 0x2000);
    assert_int_equal(sm_align_up(0x1000, 0x1000), 0x1000);
    assert_int_equal(sm_align_up(UINT64_MAX, 2), 0);
    assert_false(sm_is_pow2(0));
    assert_false(sm_is_pow2(6));
    assert_true(sm_is_pow2(UINT64_C(1) << 63));
    assert_int_equal(sm_log2(1), 0);
    assert_int_equal(sm_log2(0xff), 7);
    assert_int_equal(sm_log2(UINT64_MAX), 63);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks),
        cmocka_unit_test(fields),
        cmocka_unit_test(signs),
        cmocka_unit_test(alignment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
