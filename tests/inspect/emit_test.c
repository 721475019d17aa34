/* SPDX-License-Identifier: MIT */
/* emit_test.c - escaping, numbers, and how JSON is laid out. */
#include "../base/test.h"

#include "inspect/emit.h"

struct got {
    char text[4096];
    size_t n;
    unsigned calls;
};

static void take(void *arg, const char *text, size_t n)
{
    struct got *got = arg;

    assert_true(n && n < sizeof(got->text));
    memcpy(got->text, text, n);
    got->text[n] = '\0';
    got->n = n;
    got->calls++;
}

static void expect(struct sm_out *out, const char *want)
{
    struct got got = {.calls = 0};

    assert_int_equal(sm_out_end(out, take, &got), 0);
    assert_int_equal(got.calls, *want != '\0');
    assert_string_equal(got.text, want);
}

static void expect_name(const char *name, const char *text, const char *json)
{
    struct sm_out out = {.form = SM_INSPECT_TEXT};

    sm_out_name(&out, name);
    expect(&out, text);
    sm_json_string(&out, NULL, name);
    expect(&out, json);
}

static void names(void **state)
{
    expect_name("", "(unnamed)", "\"\"");
    expect_name("plain", "plain", "\"plain\"");
    expect_name("a\"b\\c/", "a\"b\\x5cc/", "\"a\\\"b\\\\c/\"");
    expect_name("\n\t\x1f\x7f ", "\\x0a\\x09\\x1f\\x7f ",
                "\"\\u000a\\u0009\\u001f\\u007f \"");
    /* The first and the last of each length. */
    expect_name("\xc2\x80\xdf\xbf", "\xc2\x80\xdf\xbf", "\"\xc2\x80\xdf\xbf\"");
    expect_name("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf",
                "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf",
                "\"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\"");
    expect_name("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
                "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"");
    /* One before and one behind them; and what ends too early. */
    expect_name("\xc1\xbf", "\\xc1\\xbf", "\"\\ufffd\\ufffd\"");
    expect_name("\xe0\x9f\xbf", "\\xe0\\x9f\\xbf", "\"\\ufffd\\ufffd\\ufffd\"");
    expect_name("\xed\xa0\x80", "\\xed\\xa0\\x80", "\"\\ufffd\\ufffd\\ufffd\"");
    expect_name("\xf0\x8f\xbf\xbf", "\\xf0\\x8f\\xbf\\xbf",
                "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
    expect_name("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80",
                "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
    expect_name("\x80\xc3", "\\x80\\xc3", "\"\\ufffd\\ufffd\"");
    expect_name("\xe2\x82", "\\xe2\\x82", "\"\\ufffd\\ufffd\"");
    expect_name("\xf0\x9f\x98", "\\xf0\\x9f\\x98", "\"\\ufffd\\ufffd\\ufffd\"");
    expect_name("\xf0\x9f\x98z", "\\xf0\\x9f\\x98z", "\"\\ufffd\\ufffd\\ufffdz\"");
}

static void layout(void **state)
{
    const struct sm_range range = {0, UINT64_MAX};
    struct sm_out out = {.form = SM_INSPECT_JSON};

    sm_json_begin(&out, "test");
    sm_json_range(&out, range);
    sm_json_number(&out, "low", INT32_MIN);
    sm_json_string(&out, "none", NULL);
    sm_json_open(&out, "empty", '[');
    sm_json_close(&out, ']');
    sm_json_open(&out, "words", '[');
    sm_json_string(&out, NULL, "{");
    sm_json_string(&out, NULL, "}");
    sm_json_close(&out, ']');
    sm_json_open(&out, "things", '[');
    for (int i = 0; i < 2; i++) {
        sm_json_open(&out, NULL, '{');
        sm_json_bool(&out, "yes", i != 0);
        sm_json_close(&out, '}');
    }
    sm_json_close(&out, ']');
    sm_json_open(&out, "object", '{');
    sm_json_close(&out, '}');
    sm_json_address(&out, "end", 0x1f);
    sm_json_end(&out);
    expect(&out, "{\"form\": \"test\", \"version\": 1, \"first\": \"0x0\", "
                 "\"last\": \"0xffffffffffffffff\", \"low\": -2147483648, "
                 "\"none\": null, \"empty\": [], \"words\": [\"{\", \"}\"], "
                 "\"things\": [\n    {\"yes\": false},\n    {\"yes\": true}\n  ], "
                 "\"object\": {}, \"end\": \"0x1f\"}\n");
}

static void nothing(void **state)
{
    struct sm_out out = {.form = SM_INSPECT_TEXT};

    expect(&out, "");
    sm_out_indent(&out, 2);
    sm_out_print(&out, "%d", 7);
    expect(&out, "    7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(layout),
        cmocka_unit_test(nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
