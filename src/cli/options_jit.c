/* SPDX-License-Identifier: MIT */
/* options_jit.c - reads what concerns the translator: properties of -accel tcg, -d. */
#include <errno.h>
#include <string.h>

#include "cli/options_impl.h"

/* --- -accel tcg,... ------------------------------------------------------------- */

/* A switch that, turned off, leaves out a part of the translator. */
static const struct {
    const char *name;
    uint32_t flag, opt; /* enum jit_flag that it then sets; enum jit_opt        */
} jit_parts[] = {
    {"jit-fold", 0, JIT_OPT_FOLD},
    {"jit-dead", 0, JIT_OPT_DEAD},
    {"jit-link", JIT_NO_LINK, 0},
    {"jit-returns", JIT_NO_RETURNS, 0},
    {"jit-pins", JIT_NO_PINS, 0},
    {"jit-jumps", JIT_NO_JUMPS, 0},
    {"jit-near", JIT_NO_NEAR, 0},
    {"jit-checks", 0, JIT_OPT_CHECK},
};

static void set_bits(uint32_t *word, uint32_t bits, bool on)
{
    *word = on ? *word | bits : *word & ~bits;
}

static int set_part(struct parser *parser, const struct option_pair *pair)
{
    struct machine_jit *const jit = &parser->config->jit;
    bool on;

    for (size_t i = 0; i < SM_ARRAY_LEN(jit_parts); i++) {
        if (strcmp(pair->key, jit_parts[i].name) != 0)
            continue;
        if (option_switch(parser, pair->key, pair->value, &on))
            return -EINVAL;
        set_bits(&jit->flags, jit_parts[i].flag, !on);
        set_bits(&jit->without, jit_parts[i].opt, !on);
        return 0;
    }
    return -ENOENT;
}

int option_jit_property(struct parser *parser, const struct option_pair *pair)
{
    enum { MAX_MIB = 1024 }; /* what host code reaches by its jumps             */
    struct machine_jit *const jit = &parser->config->jit;
    uint64_t number;
    bool on;
    int result = set_part(parser, pair);

    if (result != -ENOENT)
        return result;
    if (strcmp(pair->key, "jit") == 0) {
        result = option_switch(parser, pair->key, pair->value, &on);
        jit->off = !result && !on;
        parser->jit_on = !result && on;
        return result;
    }
    if (strcmp(pair->key, "jit-gdb") == 0)
        return option_switch(parser, pair->key, pair->value, &jit->gdb);
    if (strcmp(pair->key, "tb-size") != 0 && strcmp(pair->key, "jit-seed") != 0 &&
        strcmp(pair->key, "jit-heat") != 0)
        return -ENOENT;
    result = option_number(parser, pair->key, pair->value, &number);
    if (result)
        return result;
    if (pair->key[0] == 't') {
        jit->code_size = SM_MIN(number, (uint64_t)MAX_MIB) << 20;
        return 0;
    }
    if (number > UINT32_MAX)
        return option_error(parser, "Invalid '%s' setting %s", pair->key, pair->value);
    *(pair->key[4] == 's' ? &jit->seed : &jit->heat) = (uint32_t)number;
    return 0;
}

void option_finish_jit(const struct parser *parser)
{
    const struct machine_config *const config = parser->config;
    const struct machine_jit *const jit = &config->jit;
    const char *const asked = jit->perfmap     ? "-perfmap"
                              : jit->gdb       ? "jit-gdb=on"
                              : parser->jit_on ? "jit=on"
                                               : NULL;
    const char *why = NULL;

    if (!jit_supported())
        why = "there is no translator for this host";
    else if (jit->off)
        why = "jit=off";
    else if (config->stale.check || config->stale.keep)
        why = "translations are checked";
    else if (config->check_code)
        why = "code-check=immediate";
    if (asked && why)
        option_warn(parser, "%s has no effect: guest code is interpreted (%s)", asked, why);
}

/* --- -d --------------------------------------------------------------------- */

static const struct {
    const char *name;
    uint32_t item, flags; /* enum rv_log_item; enum jit_flag                    */
    const char *help;
} log_items[] = {
    {"out_asm", RV_LOG_OUT_ASM, 0, "show generated host code of each unit"},
    {"in_asm", RV_LOG_IN_ASM, 0, "show guest instructions of each unit"},
    {"op", RV_LOG_OP, 0, "show the intermediate representation of each unit"},
    {"exec", RV_LOG_EXEC, 0, "show each entry into generated code from outside of it"},
    {"nochain", 0, JIT_NO_LINK | JIT_NO_RETURNS | JIT_NO_JUMPS,
     "do not link units, so that 'exec' shows complete traces"},
};

int option_log(struct parser *parser, const char *text)
{
    struct machine_jit *const jit = &parser->config->jit;
    char **items;
    int result = 0;

    if (option_is_help(text)) {
        g_print("Log items (comma separated):\n");
        for (size_t i = 0; i < SM_ARRAY_LEN(log_items); i++)
            g_print("%-15s %s\n", log_items[i].name, log_items[i].help);
        parser->action = OPTIONS_EXIT;
        return 0;
    }
    items = g_strsplit(text, ",", -1);
    for (unsigned n = 0; items[n] && !result; n++) {
        size_t i = 0;

        while (i < SM_ARRAY_LEN(log_items) && strcmp(items[n], log_items[i].name) != 0)
            i++;
        if (i == SM_ARRAY_LEN(log_items)) {
            result = option_error(parser, "log item '%s' is not available", items[n]);
        } else {
            jit->log_items |= log_items[i].item;
            jit->flags |= log_items[i].flags;
        }
    }
    g_strfreev(items);
    return result;
}
