/* SPDX-License-Identifier: MIT */
/* model_test.c - fields are reset by their table, and nothing else is touched. */
#include "fake.h"

struct thing {
    uint8_t before, byte;
    uint16_t half;
    uint32_t word[3];
    uint64_t dword, after;
};

static const struct dev_field fields[] = {
    DEV_FIELD(struct thing, byte, 0x11),
    DEV_FIELD(struct thing, half, 0x2233),
    DEV_ARRAY(struct thing, word, 0xffffffff12345678),
    DEV_FIELD(struct thing, dword, 0x0123456789abcdef),
};

static void test_reset(void **state)
{
    struct thing thing = {.before = 1, .after = 2};

    dev_fields_reset(&thing, fields, SM_ARRAY_LEN(fields));
    assert_int_equal(thing.before, 1);
    assert_int_equal(thing.byte, 0x11);
    assert_int_equal(thing.half, 0x2233);
    for (int i = 0; i < 3; i++)
        assert_int_equal(thing.word[i], 0x12345678);
    assert_int_equal(thing.dword, 0x0123456789abcdef);
    assert_int_equal(thing.after, 2);
}

static void test_table(void **state)
{
    assert_string_equal(fields[2].name, "word");
    assert_int_equal(fields[2].count, 3);
    assert_int_equal(fields[2].size, 4);
    assert_int_equal(fields[3].count, 1);
}

static void test_lines(void **state)
{
    struct fake_lines lines = {0};
    const struct dev_line line = fake_line(&lines, 3), open = {0};

    dev_line_set(&line, true);
    assert_true(lines.level[3]);
    dev_line_set(&line, false);
    assert_false(lines.level[3]);
    dev_line_set(&open, true);
}

static void test_give_up(void **state)
{
    dev_region_free(NULL);
    dev_device_free(NULL);
}

/* Every model names its fields once, with sizes that its struct can have. */
static void test_models(void **state)
{
    static const struct dev_model *const models[] = {
        &aclint_model, &plic_model, &uart_model, &rtc_model, &finisher_model, &htif_model,
        &virtio_mmio_model,
    };

    for (unsigned i = 0; i < SM_ARRAY_LEN(models); i++) {
        const struct dev_model *model = models[i];

        assert_non_null(model->type);
        assert_non_null(model->reset);
        assert_non_null(model->free);
        for (unsigned n = 0; n < model->n_fields; n++) {
            const struct dev_field *field = &model->fields[n];

            assert_true(field->size == 1 || field->size == 2 || field->size == 4 ||
                        field->size == 8);
            assert_true(field->count > 0);
            for (unsigned other = 0; other < n; other++)
                assert_string_not_equal(field->name, model->fields[other].name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reset),   cmocka_unit_test(test_table),
        cmocka_unit_test(test_lines),   cmocka_unit_test(test_give_up),
        cmocka_unit_test(test_models),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
