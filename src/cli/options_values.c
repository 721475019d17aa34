/* SPDX-License-Identifier: MIT */
/* options_values.c - reads the values of options: lists, switches, numbers, sizes. */
#include <errno.h>
#include <string.h>

#include "cli/options_impl.h"

/* --- Errors --------------------------------------------------------------------- */

int option_error_bare(struct parser *parser, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    *parser->error = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    return -EINVAL;
}

static char *describe(const struct option_place *place)
{
    if (!place->spelled)
        return g_strdup("");
    return place->argument ? g_strdup_printf("%s %s: ", place->spelled, place->argument)
                           : g_strdup_printf("%s: ", place->spelled);
}

int option_error(struct parser *parser, const char *format, ...)
{
    char *place = describe(&parser->place);
    char *message;
    va_list arguments;

    va_start(arguments, format);
    message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    *parser->error = g_strconcat(place, message, NULL);
    g_free(message);
    g_free(place);
    return -EINVAL;
}

void option_warn(const struct parser *parser, const char *format, ...)
{
    char *place = describe(&parser->place);
    char *message;
    va_list arguments;

    va_start(arguments, format);
    message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_printerr("%s: %swarning: %s\n", parser->program, place, message);
    g_free(message);
    g_free(place);
}

/* --- Lists ---------------------------------------------------------------------- */

static void clear_pair(gpointer data)
{
    struct option_pair *pair = data;

    g_free(pair->key);
    g_free(pair->value);
}

/* Read up to a single comma, or to '=' if @key; returns where it stopped. */
static const char *take_word(const char *text, bool key, char **word)
{
    GString *string = g_string_new(NULL);

    for (; *text && !(key && *text == '='); text++) {
        if (*text == ',') {
            if (key || text[1] != ',')
                break;
            text++;
        }
        g_string_append_c(string, *text);
    }
    *word = g_string_free(string, FALSE);
    return text;
}

/* An item without '='. */
static int bare_pair(struct parser *parser, bool strict, struct option_pair *pair)
{
    if (strict) {
        const int result = option_error(parser, "Expected '=' after parameter '%s'",
                                        pair->key);

        clear_pair(pair);
        return result;
    }
    pair->bare = true;
    if (strncmp(pair->key, "no", 2) == 0 && pair->key[2]) {
        pair->value = g_strdup("off");
        memmove(pair->key, pair->key + 2, strlen(pair->key) - 1);
    } else {
        pair->value = g_strdup("on");
    }
    return 0;
}

int option_list(struct parser *parser, const char *text, const char *implied, bool strict,
                GArray **pairs)
{
    GArray *list = g_array_new(FALSE, FALSE, sizeof(struct option_pair));

    g_array_set_clear_func(list, clear_pair);
    while (*text) {
        struct option_pair pair = {0};
        const char *after = take_word(text, true, &pair.key);

        if (*after == '=') {
            after = take_word(after + 1, false, &pair.value);
        } else if (implied) {
            g_free(pair.key);
            pair.key = g_strdup(implied);
            after = take_word(text, false, &pair.value);
        } else if (!*pair.key) {
            g_free(pair.key); /* ",": nothing between two commas               */
            pair.key = NULL;
        } else if (bare_pair(parser, strict, &pair)) {
            option_list_free(list);
            return -EINVAL;
        }
        if (pair.key)
            g_array_append_val(list, pair);
        implied = NULL;
        text = *after ? after + 1 : after;
    }
    *pairs = list;
    return 0;
}

void option_list_free(GArray *pairs)
{
    if (pairs)
        g_array_free(pairs, TRUE);
}

const char *option_value(const GArray *pairs, const char *key)
{
    for (guint i = pairs->len; i-- > 0;) {
        const struct option_pair *pair =
            &((const struct option_pair *)(const void *)pairs->data)[i];

        if (strcmp(pair->key, key) == 0)
            return pair->value;
    }
    return NULL;
}

bool option_is_help(const char *text)
{
    return strcmp(text, "help") == 0 || strcmp(text, "?") == 0;
}

/* --- Values --------------------------------------------------------------------- */

bool option_parse_switch(const char *text, bool *value)
{
    static const char *const words[2][4] = {{"off", "no", "false", "n"},
                                            {"on", "yes", "true", "y"}};

    for (unsigned i = 0; i < 8; i++) {
        if (strcmp(text, words[i / 4][i % 4]) == 0) {
            *value = i / 4;
            return true;
        }
    }
    return false;
}

bool option_parse_number(const char *text, uint64_t *value)
{
    const bool hexadecimal = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char *digits = hexadecimal ? text + 2 : text;

    for (const char *at = digits; *at; at++) {
        if (!(hexadecimal ? g_ascii_isxdigit(*at) : g_ascii_isdigit(*at)))
            return false;
    }
    errno = 0;
    if (!*digits)
        return false;
    *value = g_ascii_strtoull(digits, NULL, hexadecimal ? 16 : 10);
    return errno == 0;
}

int option_parse_size(const char *text, unsigned shift, uint64_t *bytes)
{
    static const char units[] = "bkmgtpe";
    const char *at = text;
    const char *unit = NULL;
    uint64_t whole, fraction = 0, scale = 1;

    if (*at == '-' && g_ascii_isdigit(at[1]))
        return -ERANGE;
    if (!g_ascii_isdigit(*at))
        return -EINVAL;
    errno = 0;
    whole = g_ascii_strtoull(at, (char **)&at, 10);
    if (errno)
        return -ERANGE;
    if (*at == '.') {
        /* Nine digits are exact for every unit up to G; more are as good as 0. */
        for (at++; g_ascii_isdigit(*at); at++) {
            if (scale < 1000000000) {
                fraction = fraction * 10 + (uint64_t)(*at - '0');
                scale *= 10;
            }
        }
    }
    if (*at) {
        unit = strchr(units, g_ascii_tolower(*at));
        if (!unit || at[1])
            return -EINVAL;
        shift = (unsigned)(unit - units) * 10;
    }
    if (scale > 1 && (!unit || shift == 0))
        return -EINVAL; /* a fraction of what?                                 */
    if (whole > UINT64_MAX >> shift)
        return -ERANGE;
    /* In two steps, so that nothing overflows: fraction < 10^9 < 2^30. */
    *bytes = whole << shift;
    if (shift <= 30)
        *bytes += (fraction << shift) / scale;
    else
        *bytes += ((fraction << 30) / scale) << (shift - 30);
    return 0;
}

bool option_is_id(const char *text)
{
    if (!g_ascii_isalpha(*text))
        return false;
    for (; *text; text++) {
        if (!g_ascii_isalnum(*text) && !strchr("-._", *text))
            return false;
    }
    return true;
}

int option_switch(struct parser *parser, const char *key, const char *text, bool *value)
{
    if (option_parse_switch(text, value))
        return 0;
    return option_error(parser, "Parameter '%s' expects 'on' or 'off'", key);
}

int option_number(struct parser *parser, const char *key, const char *text,
                  uint64_t *value)
{
    if (option_parse_number(text, value))
        return 0;
    return option_error(parser, "Parameter '%s' expects integer", key);
}

int option_id(struct parser *parser, const char *text)
{
    if (option_is_id(text))
        return 0;
    return option_error(parser, "Parameter 'id' expects an identifier");
}

void option_set(char **field, const char *text)
{
    g_free(*field);
    *field = g_strdup(text);
}
