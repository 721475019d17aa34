/* SPDX-License-Identifier: MIT */
/* fmt_riscv_test.c - every RISC-V format row is well formed and as wide as specified. */
#include "guest_tables.h"

static const struct sm_pt_format *const formats[] = {
    &sm_pt_sv32, &sm_pt_sv39, &sm_pt_sv48, &sm_pt_sv57,
    &sm_pt_sv32x4, &sm_pt_sv39x4, &sm_pt_sv48x4, &sm_pt_sv57x4,
};
enum { N_FORMATS = sizeof formats / sizeof formats[0] };

static void every_row_passes_its_check(void **state)
{
    for (unsigned i = 0; i < N_FORMATS; i++) {
        const char *wrong = sm_pt_format_check(formats[i]);
        if (wrong)
            print_error("%s: %s\n", formats[i]->name, wrong);
        assert_null(wrong);
    }
}

static void address_widths_are_the_specified_ones(void **state)
{
    static const unsigned bits[N_FORMATS] = {32, 39, 48, 57, 34, 41, 50, 59};
    static const unsigned root_bytes[N_FORMATS] = {4096, 4096, 4096, 4096,
                                                   16384, 16384, 16384, 16384};

    for (unsigned i = 0; i < N_FORMATS; i++) {
        const struct sm_pt_level *root = &formats[i]->level[0];
        const unsigned entry = formats[i]->flags & SM_PT_ENTRY32 ? 4 : 8;
        assert_int_equal(root->shift + root->index_bits, bits[i]);
        assert_int_equal((1u << root->index_bits) * entry, root_bytes[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_passes_its_check),
        cmocka_unit_test(address_widths_are_the_specified_ones),
    };
    return cmocka_run_group_tests_name("fmt_riscv", tests, NULL, NULL);
}
