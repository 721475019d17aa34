/* SPDX-License-Identifier: MIT */
/* hostmem_test.c - sizes from a byte to absurd; alignment for huge pages. */
#include "test.h"

#include "base/hostmem.h"

static void maps(void **state)
{
    const uint64_t sizes[] = {1, 4095, 4096, 4097, (2 << 20) - 1, 2 << 20, (5 << 20) + 1};

    for (size_t i = 0; i < SM_ARRAY_LEN(sizes); i++) {
        uint8_t *host = sm_hostmem_map(sizes[i]);
        assert_non_null(host);
        assert_int_equal((uintptr_t)host % 4096, 0);
        if (sizes[i] >= 2 << 20)
            assert_int_equal((uintptr_t)host % (2 << 20), 0);
        assert_int_equal(host[0], 0);
        assert_int_equal(host[sizes[i] - 1], 0);
        host[0] = 1;
        host[sizes[i] - 1] = 2;
        sm_hostmem_unmap(host, sizes[i]);
    }
}

static void refuses(void **state)
{
    assert_null(sm_hostmem_map(0));
    assert_null(sm_hostmem_map(UINT64_MAX));
    assert_null(sm_hostmem_map(UINT64_MAX - 4096));
    assert_null(sm_hostmem_map(INT64_MAX));
    assert_null(sm_hostmem_map(UINT64_C(1) << 62));
}

/** Zeroed, writable to its last byte, and as choosy about sizes; nothing is no mapping. */
static void arena(void **state)
{
    const uint64_t size = (UINT64_C(5) << 20) + 1;
    uint8_t *host = sm_hostmem_arena(size);
    (void)state;

    assert_non_null(host);
    assert_int_equal(host[0] | host[size - 1], 0);
    host[0] = host[size - 1] = 1;
    sm_hostmem_unmap(host, size);
    assert_null(sm_hostmem_arena(0));
    assert_null(sm_hostmem_arena(INT64_MAX));
    sm_hostmem_unmap(NULL, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps),
        cmocka_unit_test(refuses),
        cmocka_unit_test(arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
