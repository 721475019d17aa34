/* SPDX-License-Identifier: MIT */
/* sized_test.c - structs of older, the same and newer callers. */
#include "../base/test.h"

#include "base/sized.h"

struct first {
    uint32_t struct_size, a;
    uint64_t b;
};

struct second {
    struct first first;
    uint64_t c;
};

struct third {
    struct second second;
    uint64_t d;
    uint8_t e[8];
};

static bool take(struct second *to, const void *from)
{
    return sm_sized_take(to, sizeof(*to), from, sizeof(struct first));
}

static void versions(void **state)
{
    struct third all = {
        .second = {.first = {.a = 1, .b = 2}, .c = 3}, .d = 0, .e = {0}};
    uint32_t *size = &all.second.first.struct_size;
    struct second got;

    /* Older: the rest of what lies there is not looked at. */
    *size = sizeof(struct first);
    assert_true(take(&got, &all));
    assert_int_equal(got.first.struct_size, sizeof(got));
    assert_int_equal(got.first.b, 2);
    assert_int_equal(got.c, 0);
    *size = sizeof(struct second);
    all.d = 4;
    assert_true(take(&got, &all));
    assert_int_equal(got.c, 3);
    /* Newer: only if it asks for nothing new. */
    *size = sizeof(struct third);
    assert_false(take(&got, &all));
    all.d = 0;
    assert_true(take(&got, &all));
    assert_int_equal(got.c, 3);
    all.e[7] = 1;
    assert_false(take(&got, &all));
    all.e[7] = 0;
    /* No version's. */
    const uint32_t wrong[] = {0, 1, 4, sizeof(struct first) - 1, SM_SIZED_MAX + 1,
                              UINT32_MAX};
    for (size_t i = 0; i < SM_ARRAY_LEN(wrong); i++) {
        *size = wrong[i];
        assert_false(take(&got, &all));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
