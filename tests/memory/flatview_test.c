/* SPDX-License-Identifier: MIT */
/* flatview_test.c - lookup, holes, iteration, comparison and text of views. */
#include "support.h"

static const struct sm_range everywhere = {0, UINT64_MAX};

static struct sm_flat_section ram_section(struct sm_region *ram, uint64_t first,
                                          uint64_t last, uint64_t offset, bool readonly)
{
    return (struct sm_flat_section){
        {first, last}, ram, offset, ram->ram->host + offset, NULL, readonly};
}

static void empty(void **state)
{
    struct sm_flat_view *view = sm_flat_view_new(NULL, 0);
    char text[1] = {'x'};

    assert_null(sm_flat_view_find(view, 0));
    assert_null(sm_flat_view_find(view, UINT64_MAX));
    assert_null(sm_flat_view_next(view, NULL));
    const struct sm_range hole = sm_flat_view_hole(view, 5);
    assert_true(hole.first == 0 && hole.last == UINT64_MAX);
    assert_int_equal(sm_flat_view_print(view, text, 1), 0);
    assert_int_equal(text[0], 0);
    assert_false(sm_flat_view_diff(view, view, everywhere, NULL, NULL));
    sm_flat_view_check(view);
    sm_flat_view_free(view);
}

static void finds(void **state)
{
    struct world world;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x1000);
    const struct sm_flat_section sections[] = {
        ram_section(ram, 0, 0, 7, false),
        ram_section(ram, 0x10, 0x1f, 0x100, false),
        ram_section(ram, 0x20, 0x2f, 0x100, true),
        ram_section(ram, UINT64_MAX - 1, UINT64_MAX, 0, false),
    };
    struct sm_flat_view *view = sm_flat_view_new(sections, 4);
    sm_flat_view_check(view);

    const struct {
        uint64_t gpa;
        int section; /* or -1 */
        struct sm_range hole;
    } cases[] = {
        {0, 0, {0, 0}},
        {1, -1, {1, 0xf}},
        {0xf, -1, {1, 0xf}},
        {0x10, 1, {0, 0}},
        {0x1f, 1, {0, 0}},
        {0x20, 2, {0, 0}},
        {0x30, -1, {0x30, UINT64_MAX - 2}},
        {UINT64_MAX - 2, -1, {0x30, UINT64_MAX - 2}},
        {UINT64_MAX - 1, 3, {0, 0}},
        {UINT64_MAX, 3, {0, 0}},
    };
    for (size_t i = 0; i < SM_ARRAY_LEN(cases); i++) {
        const struct sm_flat_section *found = sm_flat_view_find(view, cases[i].gpa);
        if (cases[i].section < 0) {
            const struct sm_range hole = sm_flat_view_hole(view, cases[i].gpa);
            assert_null(found);
            assert_true(hole.first == cases[i].hole.first);
            assert_true(hole.last == cases[i].hole.last);
        } else {
            assert_memory_equal(found, &sections[cases[i].section], sizeof(*found));
        }
    }
    int n = 0;
    for (const struct sm_flat_section *s = NULL; (s = sm_flat_view_next(view, s));)
        assert_memory_equal(s, &sections[n++], sizeof(*s));
    assert_int_equal(n, 4);

    const struct sm_flat_section *found = sm_flat_view_find(view, 0x18);
    assert_int_equal(sm_flat_section_offset(found, 0x18), 0x108);
    assert_ptr_equal(sm_flat_section_host(found, 0x18), ram->ram->host + 0x108);

    /* Text that does not fit is cut, and its whole length told. */
    char text[512], cut[40];
    const size_t length = sm_flat_view_print(view, text, sizeof(text));
    assert_int_equal(length, strlen(text));
    assert_int_equal(sm_flat_view_print(view, cut, sizeof(cut)), length);
    assert_int_equal(strlen(cut), sizeof(cut) - 1);
    assert_memory_equal(cut, text, sizeof(cut) - 1);
    assert_int_equal(sm_flat_view_print(view, NULL, 0), length);
    sm_flat_view_free(view);
    world_fini(&world);
}

struct changes {
    struct sm_range range[8];
    int n;
};

static void note(void *arg, const struct sm_range *range)
{
    struct changes *changes = arg;
    changes->range[changes->n++] = *range;
}

static void expect_diff(const struct sm_flat_section *a, size_t n_a,
                        const struct sm_flat_section *b, size_t n_b,
                        const struct sm_range *want, int n)
{
    struct sm_flat_view *before = sm_flat_view_new(a, n_a);
    struct sm_flat_view *after = sm_flat_view_new(b, n_b);

    for (int turn = 0; turn < 2; turn++) { /* a comparison has no direction */
        struct changes changes = {.n = 0};
        assert_int_equal(sm_flat_view_diff(before, after, everywhere, note, &changes), n != 0);
        assert_int_equal(changes.n, n);
        for (int i = 0; i < n; i++)
            assert_memory_equal(&changes.range[i], &want[i], sizeof(want[i]));
        struct sm_flat_view *other = before;
        before = after;
        after = other;
    }
    sm_flat_view_free(before);
    sm_flat_view_free(after);
}

static void compares(void **state)
{
    struct world world;

    world_init(&world);
    struct sm_region *ram = new_ram(&world, "ram", 0x1000);
    struct sm_region *other = new_ram(&world, "other", 0x1000);
    const struct sm_flat_section whole[] = {ram_section(ram, 0x100, 0x1ff, 0, false)};
    const struct sm_flat_section halves[] = {ram_section(ram, 0x100, 0x17f, 0, false),
                                             ram_section(ram, 0x180, 0x1ff, 0x80, false)};
    const struct sm_flat_section moved[] = {ram_section(ram, 0x180, 0x27f, 0, false)};
    const struct sm_flat_section patched[] = {
        ram_section(ram, 0x100, 0x13f, 0, false),
        ram_section(other, 0x140, 0x14f, 0, false),
        ram_section(ram, 0x150, 0x17f, 0x50, true),
        ram_section(ram, 0x180, 0x1ff, 0x80, false)};
    const struct sm_flat_section ends[] = {
        ram_section(ram, 0, 0, 0, false),
        ram_section(ram, UINT64_MAX, UINT64_MAX, 1, false)};

    expect_diff(whole, 1, whole, 1, NULL, 0);
    expect_diff(whole, 1, halves, 2, NULL, 0);
    expect_diff(whole, 1, moved, 1, (struct sm_range[]){{0x100, 0x27f}}, 1);
    expect_diff(whole, 1, patched, 4, (struct sm_range[]){{0x140, 0x17f}}, 1);
    expect_diff(whole, 1, NULL, 0, (struct sm_range[]){{0x100, 0x1ff}}, 1);
    expect_diff(NULL, 0, ends, 2, (struct sm_range[]){{0, 0}, {UINT64_MAX, UINT64_MAX}},
                2);
    expect_diff(ends, 1, ends, 2, (struct sm_range[]){{UINT64_MAX, UINT64_MAX}}, 1);
    world_fini(&world);
}

/* --- Edits against an array -------------------------------------------- */

enum { N_SLOTS = 6000, SLOT = 16 };

/* What an array of slots says of each: 0 a hole, else which region answers. */
struct slots {
    struct sm_region *region[3];
    uint8_t at[N_SLOTS];
    uint64_t base;
};

/* Slots @from..@to as merged sections; slot i of a region is at offset i * SLOT. */
static size_t slot_sections(const struct slots *slots, size_t from, size_t to,
                            struct sm_flat_section *out)
{
    size_t n = 0;

    for (size_t i = from; i <= to; i++) {
        if (!slots->at[i])
            continue;
        struct sm_region *ram = slots->region[slots->at[i] - 1];
        const uint64_t first = slots->base + i * SLOT;
        if (i > from && slots->at[i] == slots->at[i - 1])
            out[n - 1].range.last += SLOT;
        else
            out[n++] = ram_section(ram, first, first + SLOT - 1, i * SLOT, false);
    }
    return n;
}

static void expect_slots(const struct sm_flat_view *view, const struct slots *slots)
{
    static struct sm_flat_section want[N_SLOTS];
    const size_t n = slot_sections(slots, 0, N_SLOTS - 1, want);
    const struct sm_flat_section *section = NULL;

    sm_flat_view_check(view);
    assert_int_equal(sm_flat_view_count(view), n);
    for (size_t i = 0; i < n; i++) {
        section = sm_flat_view_next(view, section);
        assert_non_null(section);
        assert_true(section->range.first == want[i].range.first);
        assert_true(section->range.last == want[i].range.last);
        assert_true(section->region == want[i].region);
        assert_true(section->offset == want[i].offset);
        assert_true(section->host == want[i].host);
    }
}

/* Long runs and short ones, holes and single slots: small trees and tall ones. */
static void edits(void **state)
{
    static struct sm_flat_section sections[N_SLOTS];
    static struct slots slots;
    uint64_t random = test_seed(7);
    struct world world;

    world_init(&world);
    for (int i = 0; i < 3; i++)
        slots.region[i] = new_ram(&world, "ram", N_SLOTS * SLOT);
    slots.base = 0 - (uint64_t)(N_SLOTS * SLOT); /* up to the end of 2^64 */
    struct sm_flat_view *view = sm_flat_view_new(NULL, 0);
    for (int round = 0; round < 1500; round++) {
        struct slots before = slots;
        struct sm_flat_edit edit;
        assert_true(sm_flat_edit_begin(&edit, view));
        for (uint64_t n = 1 + test_below(&random, 3); n; n--) {
            const uint64_t most = test_below(&random, 8) ? 40 : N_SLOTS;
            const size_t from = test_below(&random, N_SLOTS);
            const size_t end = from + test_below(&random, most);
            const size_t to = SM_MIN(end, N_SLOTS - 1u);
            const uint64_t how = test_below(&random, 4);
            for (size_t i = from; i <= to; i++)
                slots.at[i] = how == 0   ? 0
                              : how == 1 ? 1
                                         : (uint8_t)test_below(&random, 4);
            assert_true(sm_flat_edit_replace(
                &edit,
                (struct sm_range){slots.base + from * SLOT,
                                  slots.base + to * SLOT + SLOT - 1},
                sections, slot_sections(&slots, from, to, sections)));
        }
        if (test_below(&random, 4) == 0) {
            sm_flat_edit_cancel(&edit);
            slots = before;
        } else {
            struct sm_flat_view *next = sm_flat_edit_finish(&edit, view);
            if (round % 16 == 0)
                expect_slots(view, &before); /* the old one is as it was */
            sm_flat_view_free(view);
            view = next;
        }
        if (round % 8 == 0)
            expect_slots(view, &slots);
    }
    expect_slots(view, &slots);
    sm_flat_view_free(view);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty),
        cmocka_unit_test(finds),
        cmocka_unit_test(compares),
        cmocka_unit_test(edits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
