/* SPDX-License-Identifier: MIT */
/* ptwalk_format_test.c - what is wrong with a format row is told in words (P5, P6). */
#include "guest_tables.h"

static void wrong(const struct sm_pt_format *format, const char *part_of_text)
{
    const char *text = sm_pt_format_check(format);
    assert_non_null(text);
    if (!strstr(text, part_of_text))
        print_error("said: %s\n", text);
    assert_non_null(strstr(text, part_of_text));
}

static void broken_rows_are_told(void **state)
{
    struct sm_pt_format f;

    f = sm_pt_sv39, f.struct_size = 8, wrong(&f, "struct_size");
    f = sm_pt_sv39, f.n_levels = 0, wrong(&f, "n_levels");
    f = sm_pt_sv39, f.n_levels = 7, wrong(&f, "n_levels");
    f = sm_pt_sv39, f.level[1].shift = 20, wrong(&f, "contiguous");
    f = sm_pt_sv39, f.level[1].index_bits = 0, wrong(&f, "no index bits");
    f = sm_pt_sv39, f.level[0].index_bits = 60, wrong(&f, "leaves the address");
    f = sm_pt_sv39, f.n_levels = 2, f.level[1].shift = 3, f.level[0].shift = 12,
    wrong(&f, "below the smallest page");
    f = sm_pt_sv39, f.level[2].leaf = false, wrong(&f, "no leaves");
    f = sm_pt_sv39, f.present.value = 3, wrong(&f, "outside of its mask");
    f = sm_pt_sv39, f.perm[1][SM_WRITE].value = 1, wrong(&f, "outside of its mask");
    f = sm_pt_sv39, f.bad[0] = f.table, wrong(&f, "not sound");
    f = sm_pt_sv39, f.reserved_alone |= PTE_V, wrong(&f, "not sound");
    f = sm_pt_sv39, f.present.mask |= 1 << 8, f.present.value |= 1 << 8,
    wrong(&f, "not sound");
    f = sm_pt_sv39, f.table.mask |= 1 << 10, f.table.value |= 1 << 10,
    wrong(&f, "overlap");
    f = sm_pt_sv39, f.bad[0].mask = 0, f.bad[0].value = 0, wrong(&f, "unused");
    f = sm_pt_sv39, f.dirty = PTE_A, wrong(&f, "overlap");
    f = sm_pt_sv39, f.reserved |= PTE_V, wrong(&f, "overlap");
    f = sm_pt_sv39, f.memtype = PTE_N, wrong(&f, "overlap");
    f = sm_pt_sv39, f.group.mask |= PTE_A, wrong(&f, "overlap");
    f = sm_pt_sv39, f.group.mask |= PTE_R, wrong(&f, "group's own bits");
    f = sm_pt_sv39, f.address_mask |= UINT64_C(1) << 9, wrong(&f, "smallest page");
    f = sm_pt_sv39, f.address_mask = 0, wrong(&f, "no address");
    f = sm_pt_sv39, f.address_shift = 64, wrong(&f, "address_shift");
    f = sm_pt_sv39, f.address_shift = 11, wrong(&f, "64 bits");
    f = sm_pt_sv39, f.group_bits = 60, wrong(&f, "group is larger");
    f = sm_pt_sv39, f.name = NULL, wrong(&f, "no name");
    f = sm_pt_sv32, f.accessed = UINT64_C(1) << 40, wrong(&f, "outside of the entry");
    f = sm_pt_sv32, f.reserved_table |= UINT64_C(1) << 40,
    wrong(&f, "outside of the entry");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_rows_are_told),
    };
    return cmocka_run_group_tests_name("ptwalk_format", tests, NULL, NULL);
}
