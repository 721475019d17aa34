/* SPDX-License-Identifier: MIT */
/* emit.c - collects text and JSON, escaping what names hold. */
#include "inspect/emit.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void put(struct sm_out *out, const char *text, size_t n)
{
    if (out->failed || !n)
        return;
    if (!sm_vec_reserve(&out->n, &out->text, n)) {
        out->failed = true;
        return;
    }
    memcpy(out->text + out->n.n, text, n);
    out->n.n += n;
}

static void put_text(struct sm_out *out, const char *text)
{
    put(out, text, strlen(text));
}

int sm_out_end(struct sm_out *out, void (*sink)(void *arg, const char *text, size_t n),
               void *arg)
{
    const bool failed = out->failed;

    if (!failed && out->n.n)
        sink(arg, out->text, out->n.n);
    sm_free(out->text);
    *out = (struct sm_out){.form = out->form};
    return failed ? -ENOMEM : 0;
}

/* Length of the UTF-8 character at @text, which is terminated; 0: it is none. */
static size_t utf8_length(const unsigned char *text)
{
    const unsigned char a = text[0], b = a ? text[1] : 0;
    size_t length;

    if (a < 0x80)
        return 1;
    if (a < 0xc2 || a > 0xf4)
        return 0;
    length = a < 0xe0 ? 2 : a < 0xf0 ? 3 : 4;
    /* Neither too long a form of a character, nor a surrogate, nor beyond U+10FFFF. */
    if ((a == 0xe0 && b < 0xa0) || (a == 0xed && b > 0x9f) || (a == 0xf0 && b < 0x90) ||
        (a == 0xf4 && b > 0x8f))
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

static bool is_control(unsigned char byte)
{
    return byte < 0x20 || byte == 0x7f;
}

/* --- Text --------------------------------------------------------------- */

void sm_out_print(struct sm_out *out, const char *format, ...)
{
    char text[256]; /* numbers and words of ours; names are put by themselves */
    va_list args;

    va_start(args, format);
    const int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    sm_assert(n >= 0 && (size_t)n < sizeof(text));
    put(out, text, (size_t)n);
}

void sm_out_name(struct sm_out *out, const char *name)
{
    if (!*name)
        put_text(out, "(unnamed)");
    while (*name) {
        const size_t n = utf8_length((const unsigned char *)name);
        const unsigned char byte = (unsigned char)*name;
        if (!n || is_control(byte) || byte == '\\')
            sm_out_print(out, "\\x%02x", byte);
        else
            put(out, name, n);
        name += n ? n : 1;
    }
}

void sm_out_indent(struct sm_out *out, unsigned depth)
{
    while (depth--)
        put(out, "  ", 2);
}

/* --- JSON --------------------------------------------------------------- */

static char last_of(const struct sm_out *out)
{
    return out->n.n ? out->text[out->n.n - 1] : '\0';
}

static void put_string(struct sm_out *out, const char *text)
{
    put(out, "\"", 1);
    while (*text) {
        const size_t n = utf8_length((const unsigned char *)text);
        const unsigned char byte = (unsigned char)*text;
        if (!n)
            put_text(out, "\\ufffd");
        else if (is_control(byte))
            sm_out_print(out, "\\u%04x", byte);
        else if (byte == '"' || byte == '\\')
            sm_out_print(out, "\\%c", byte);
        else
            put(out, text, n);
        text += n ? n : 1;
    }
    put(out, "\"", 1);
}

/* Put what stands before a value: a comma after another one, and its key. */
static void before_value(struct sm_out *out, const char *key)
{
    const char last = last_of(out);

    if (last && last != '{' && last != '[')
        put_text(out, key || (last != '}' && last != ']') ? ", " : ",");
    if (key) {
        put_string(out, key);
        put_text(out, ": ");
    }
}

void sm_json_open(struct sm_out *out, const char *key, char bracket)
{
    before_value(out, key);
    if (!key && out->depth) {
        put(out, "\n", 1);
        sm_out_indent(out, out->depth);
    }
    put(out, &bracket, 1);
    out->depth++;
}

void sm_json_close(struct sm_out *out, char bracket)
{
    out->depth--;
    if (bracket == ']' && last_of(out) == '}') {
        put(out, "\n", 1);
        sm_out_indent(out, out->depth);
    }
    put(out, &bracket, 1);
}

void sm_json_string(struct sm_out *out, const char *key, const char *value)
{
    if (!value) {
        sm_json_null(out, key);
        return;
    }
    before_value(out, key);
    put_string(out, value);
}

void sm_json_address(struct sm_out *out, const char *key, uint64_t value)
{
    before_value(out, key);
    sm_out_print(out, "\"0x%" PRIx64 "\"", value);
}

void sm_json_number(struct sm_out *out, const char *key, int64_t value)
{
    before_value(out, key);
    sm_out_print(out, "%" PRId64, value);
}

void sm_json_bool(struct sm_out *out, const char *key, bool value)
{
    before_value(out, key);
    put_text(out, value ? "true" : "false");
}

void sm_json_null(struct sm_out *out, const char *key)
{
    before_value(out, key);
    put_text(out, "null");
}

void sm_json_range(struct sm_out *out, struct sm_range range)
{
    sm_json_address(out, "first", range.first);
    sm_json_address(out, "last", range.last);
}

void sm_json_begin(struct sm_out *out, const char *form)
{
    sm_json_open(out, NULL, '{');
    sm_json_string(out, "form", form);
    sm_json_number(out, "version", SM_INSPECT_VERSION);
}

void sm_json_end(struct sm_out *out)
{
    sm_json_close(out, '}');
    put(out, "\n", 1);
}
