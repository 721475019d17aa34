/* SPDX-License-Identifier: MIT */
/* vec_test.c - growth keeps what is there, and fails without harm. */
#include "test.h"

#include "base/vec.h"

static void grows(void **state)
{
    struct sm_vec vec = {0};
    uint32_t *items = NULL;

    for (uint32_t i = 0; i < 1000; i++) {
        assert_true(sm_vec_reserve(&vec, &items, 1));
        items[vec.n++] = i;
    }
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
    assert_true(sm_vec_reserve(&vec, &items, 5000));
    assert_true(vec.room >= 6000);
    sm_free(items);
}

static void too_much(void **state)
{
    struct sm_vec vec = {0};
    uint32_t *items = NULL;

    assert_true(sm_vec_reserve(&vec, &items, 1));
    items[vec.n++] = 7;
    assert_false(sm_vec_reserve(&vec, &items, SIZE_MAX / 4));
    assert_false(sm_vec_reserve(&vec, &items, SIZE_MAX));
    assert_int_equal(vec.n, 1);
    assert_int_equal(items[0], 7);
    sm_free(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows),
        cmocka_unit_test(too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
