/* SPDX-License-Identifier: MIT */
/* options_machine.c - reads what concerns the machine as a whole: board, hart, clock. */
#include <errno.h>
#include <string.h>

#include "cli/options_impl.h"

/* --- -machine ------------------------------------------------------------------- */

/* What a property of -machine is to us. */
enum machine_property_kind {
    PROPERTY_HINT,      /* a switch without any effect here                    */
    PROPERTY_OFF,       /* a switch that cannot be turned on                   */
    PROPERTY_OFF_AUTO,  /* likewise, and "auto" is off                         */
    PROPERTY_TEXT,      /* a string field                                      */
    PROPERTY_SPECIAL
};

struct machine_property {
    const char *name;
    enum machine_property_kind kind;
    bool virt_only;
    size_t field; /* TEXT: in struct machine_config                            */
};

static const struct machine_property machine_properties[] = {
    {"type", PROPERTY_SPECIAL, false, 0},
    {"accel", PROPERTY_SPECIAL, false, 0},
    {"aclint", PROPERTY_SPECIAL, true, 0},
    {"aia", PROPERTY_SPECIAL, true, 0},
    {"acpi", PROPERTY_OFF_AUTO, true, 0},
    {"iommu-sys", PROPERTY_OFF_AUTO, true, 0},
    {"usb", PROPERTY_OFF, false, 0},
    {"graphics", PROPERTY_HINT, false, 0},
    {"dump-guest-core", PROPERTY_HINT, false, 0},
    {"mem-merge", PROPERTY_HINT, false, 0},
    {"suppress-vmdesc", PROPERTY_HINT, false, 0},
    {"dumpdtb", PROPERTY_TEXT, false, offsetof(struct machine_config, dumpdtb)},
    {"dump-mtree", PROPERTY_TEXT, false, offsetof(struct machine_config, dump_mtree)},
    {"explain", PROPERTY_SPECIAL, false, 0},
    {"dtb", PROPERTY_TEXT, false, offsetof(struct machine_config, dtb)},
    {"kernel", PROPERTY_TEXT, false, offsetof(struct machine_config, kernel)},
    {"initrd", PROPERTY_TEXT, false, offsetof(struct machine_config, initrd)},
    {"append", PROPERTY_TEXT, false, offsetof(struct machine_config, append)},
    {"firmware", PROPERTY_TEXT, false, offsetof(struct machine_config, bios)},
};

static const struct machine_property *find_machine_property(const char *name)
{
    for (size_t i = 0; i < SM_ARRAY_LEN(machine_properties); i++) {
        if (strcmp(machine_properties[i].name, name) == 0)
            return &machine_properties[i];
    }
    return NULL;
}

static int set_board(struct parser *parser, const char *name)
{
    const char *board, *description;

    for (unsigned n = 0; (board = machine_board_name(n, &description)); n++) {
        if (strcmp(board, name) == 0) {
            parser->config->board = board;
            return 0;
        }
    }
    return option_error_bare(parser, "unsupported machine type: \"%s\" "
                             "(use -machine help to list supported machines)", name);
}

static int set_special(struct parser *parser, const char *key, const char *value)
{
    if (strcmp(key, "type") == 0)
        return set_board(parser, value);
    if (strcmp(key, "accel") == 0) {
        option_set(&parser->accel_list, value);
        return 0;
    }
    if (strcmp(key, "aclint") == 0) {
        if (!option_parse_switch(value, &parser->config->aclint))
            return option_error_bare(parser, "Parameter 'aclint' expects 'on' or 'off'");
        return 0;
    }
    if (strcmp(key, "explain") == 0) {
        parser->config->explain = true;
        return option_number(parser, key, value, &parser->config->explain_gpa);
    }
    if (strcmp(value, "none") == 0)
        return 0;
    if (strcmp(value, "aplic") == 0 || strcmp(value, "aplic-imsic") == 0)
        return option_error(parser, "machine property 'aia=%s' is not available", value);
    return option_error_bare(parser, "Invalid AIA interrupt controller type '%s': "
                             "valid values are none, aplic, and aplic-imsic", value);
}

static int set_machine_property(struct parser *parser, const char *key, const char *value)
{
    const struct machine_property *property = find_machine_property(key);
    bool on = false;

    if (!property)
        return option_error_bare(parser, "Property '%s-machine.%s' not found",
                                 parser->config->board, key);
    if (property->virt_only && !parser->virt_only)
        parser->virt_only = g_strdup(key);
    if (property->kind == PROPERTY_SPECIAL)
        return set_special(parser, key, value);
    if (property->kind == PROPERTY_TEXT) {
        option_set((char **)(void *)((char *)parser->config + property->field), value);
        return 0;
    }
    if (property->kind == PROPERTY_OFF_AUTO && strcmp(value, "auto") == 0)
        return 0;
    if (!option_parse_switch(value, &on)) {
        if (property->kind == PROPERTY_OFF_AUTO)
            return option_error_bare(parser, "Parameter '%s' does not accept value '%s'",
                                     key, value);
        return option_error_bare(parser, "Parameter '%s' expects 'on' or 'off'", key);
    }
    if (on && property->kind != PROPERTY_HINT)
        return option_error(parser, "machine property '%s=%s' is not available", key,
                            value);
    return 0;
}

int option_machine(struct parser *parser, const char *text)
{
    GArray *pairs;
    const char *type;
    int result;

    if (option_is_help(text)) {
        option_print_machines();
        parser->action = OPTIONS_EXIT;
        return 0;
    }
    result = option_list(parser, text, "type", true, &pairs);
    if (result)
        return result;
    /* The board first: messages about properties name it. */
    type = option_value(pairs, "type");
    if (type && option_is_help(type)) {
        option_print_machines();
        parser->action = OPTIONS_EXIT;
    } else {
        result = type ? set_board(parser, type) : 0;
        for (guint i = 0; i < pairs->len && !result; i++) {
            const struct option_pair *pair = &g_array_index(pairs, struct option_pair, i);

            result = set_machine_property(parser, pair->key, pair->value);
        }
    }
    option_list_free(pairs);
    return result;
}

/* --- -cpu ----------------------------------------------------------------------- */

int option_cpu(struct parser *parser, const char *text)
{
    if (option_is_help(text)) {
        option_print_cpus();
        parser->action = OPTIONS_EXIT;
        return 0;
    }
    parser->cpu = parser->place; /* the last one counts                        */
    return 0;
}

static int set_cpu_property(struct parser *parser, const char *model, const char *item)
{
    static const char *const numbers[] = {"blocksize", "vendorid", "archid", "impid",
                                          "vlen", "elen", "regions", "num", "mask"};
    const char *equals = strchr(item, '=');
    const char *expects = "'on' or 'off'";
    struct rv_isa *isa = &parser->config->isa;
    char *name;
    int result;

    if (!equals)
        return option_error_bare(parser, "Expected key=value format, found %s.", item);
    name = g_strndup(item, (size_t)(equals - item));
    result = rv_isa_set(isa, name, equals + 1);
    if (result == -EINVAL) {
        for (size_t i = 0; i < SM_ARRAY_LEN(numbers); i++) {
            if (g_str_has_suffix(name, numbers[i]))
                expects = "integer";
        }
        if (g_str_has_suffix(name, "_spec"))
            expects = "a known version";
        option_error_bare(parser, "can't apply global %s-riscv-cpu.%s: "
                          "Parameter '%s' expects %s", model, item, name, expects);
    } else if (result == -ENOTSUP) {
        option_error_bare(parser, "can't apply global %s-riscv-cpu.%s: "
                          "'%s' is not available", model, item, name);
    } else if (result) {
        option_error_bare(parser,
                          "can't apply global %s-riscv-cpu.%s: "
                          "Property '%s-riscv-cpu.%s' not found",
                          model, item, model, name);
    }
    g_free(name);
    return result ? -EINVAL : 0;
}

static int finish_cpu(struct parser *parser)
{
    const char *text = parser->cpu.argument ? parser->cpu.argument : "rv64";
    char **items = g_strsplit(text, ",", -1);
    const char *model = items[0] ? items[0] : "";
    const char *reason;
    int result = 0;

    parser->place = parser->cpu;
    if (rv_isa_init(&parser->config->isa, model))
        result = option_error_bare(parser, "unable to find CPU model '%s'", model);
    else
        parser->config->cpu_model = g_intern_string(model);
    for (unsigned i = 1; !result && items[0] && items[i]; i++) {
        if (*items[i])
            result = set_cpu_property(parser, model, items[i]);
    }
    if (!result) {
        reason = rv_isa_check(&parser->config->isa);
        if (reason)
            result = option_error_bare(parser, "%s", reason);
    }
    g_strfreev(items);
    return result;
}

/* --- -accel --------------------------------------------------------------------- */

int option_accel(struct parser *parser, const char *text)
{
    if (option_is_help(text)) {
        g_print("Accelerators supported in QEMU binary:\ntcg\n");
        parser->action = OPTIONS_EXIT;
        return 0;
    }
    g_array_append_val(parser->accel_places, parser->place);
    return 0;
}

/** The properties of the stale-translation checker.  Returns -ENOENT for any other. */
static int set_check_property(struct parser *parser, const struct option_pair *pair)
{
    struct machine_stale *const stale = &parser->config->stale;
    uint64_t number;
    int result;

    if (strcmp(pair->key, "tlb-check") == 0) {
        stale->stop = strcmp(pair->value, "stop") == 0;
        stale->check = stale->stop || strcmp(pair->value, "report") == 0;
        if (stale->check || strcmp(pair->value, "off") == 0)
            return 0;
        return option_error(parser, "Invalid 'tlb-check' setting %s", pair->value);
    }
    if (strcmp(pair->key, "tlb-check-suspect") == 0)
        return option_switch(parser, pair->key, pair->value, &stale->suspect);
    if (strcmp(pair->key, "tlb-check-json") == 0)
        return option_switch(parser, pair->key, pair->value, &stale->json);
    if (strcmp(pair->key, "tlb-stale") == 0)
        return option_switch(parser, pair->key, pair->value, &stale->keep);
    if (strcmp(pair->key, "tlb-check-sample") != 0)
        return -ENOENT;
    result = option_number(parser, pair->key, pair->value, &number);
    if (result)
        return result;
    if (number < 1 || number > UINT32_MAX)
        return option_error(parser, "Invalid 'tlb-check-sample' setting %s", pair->value);
    stale->sample = (uint32_t)number;
    return 0;
}

/** A property of two values, @value being @yes or @no.  Returns -ENOENT for others than
 *  @name. */
static int set_choice(struct parser *parser, const struct option_pair *pair,
                      const char *name, const char *yes, const char *no, bool *out)
{
    if (strcmp(pair->key, name) != 0)
        return -ENOENT;
    *out = strcmp(pair->value, yes) == 0;
    if (*out || strcmp(pair->value, no) == 0)
        return 0;
    return option_error(parser, "Invalid '%s' setting %s", name, pair->value);
}

static int set_tcg_property(struct parser *parser, const struct option_pair *pair)
{
    bool on;
    int result = set_check_property(parser, pair);

    if (result == -ENOENT)
        result = option_jit_property(parser, pair);
    if (result == -ENOENT)
        result = set_choice(parser, pair, "lrsc", "exact", "value",
                            &parser->config->exact_lrsc);
    if (result == -ENOENT)
        result = set_choice(parser, pair, "code-check", "immediate", "fence",
                            &parser->config->check_code);
    if (result == -ENOENT)
        result = set_choice(parser, pair, "code-watch", "off", "on",
                            &parser->config->compare_all);
    if (result != -ENOENT)
        return result;
    if (strcmp(pair->key, "accel") == 0)
        return 0;
    if (strcmp(pair->key, "thread") == 0) {
        parser->config->single_thread = strcmp(pair->value, "single") == 0;
        if (parser->config->single_thread || strcmp(pair->value, "multi") == 0)
            return 0;
        return option_error(parser, "Invalid 'thread' setting %s", pair->value);
    }
    if (strcmp(pair->key, "split-wx") == 0 || strcmp(pair->key, "one-insn-per-tb") == 0)
        return option_switch(parser, pair->key, pair->value, &on);
    return option_error(parser, "Property 'tcg-accel.%s' not found", pair->key);
}

/* Use the first that works: ours.  Those before it are told of. */
static int finish_accel(struct parser *parser)
{
    const char *other = NULL;

    if (parser->accel_list) {
        char **names = g_strsplit(parser->accel_list, ":", -1);
        unsigned n = 0;

        while (names[n] && strcmp(names[n], "tcg") != 0)
            n++;
        if (n)
            other = g_intern_string(names[0]);
        if (!names[n]) {
            g_strfreev(names);
            return option_error_bare(parser, "invalid accelerator %s",
                                     other ? other : "");
        }
        g_strfreev(names);
        parser->place = (struct option_place){0};
        if (other)
            option_warn(parser, "invalid accelerator %s, falling back to tcg", other);
        return 0;
    }
    for (guint n = 0; n < parser->accel_places->len; n++) {
        GArray *pairs;
        const char *name;
        bool ours;
        int result;

        parser->place = g_array_index(parser->accel_places, struct option_place, n);
        result = option_list(parser, parser->place.argument, "accel", false, &pairs);
        if (result)
            return result;
        name = option_value(pairs, "accel");
        ours = name && strcmp(name, "tcg") == 0;
        other = name ? g_intern_string(name) : "";
        for (guint i = 0; i < pairs->len && ours && !result; i++)
            result =
                set_tcg_property(parser, &g_array_index(pairs, struct option_pair, i));
        option_list_free(pairs);
        if (ours || result)
            return result;
        if (n + 1 < parser->accel_places->len)
            option_warn(parser, "invalid accelerator %s, falling back", other);
    }
    if (other)
        return option_error(parser, "invalid accelerator %s", other);
    return 0;
}

/* --- -global, -rtc -------------------------------------------------------------- */

static int set_global(struct parser *parser, const char *driver, const char *property,
                      const char *value)
{
    if (strcmp(driver, "virtio-mmio") != 0) {
        option_warn(parser, "global %s.%s has invalid class name", driver, property);
        return 0;
    }
    if (strcmp(property, "force-legacy") != 0)
        return option_error_bare(parser, "can't apply global %s.%s=%s: "
                                 "Property '%s.%s' not found", driver, property, value,
                                 driver, property);
    if (!option_parse_switch(value, &parser->config->force_legacy))
        return option_error_bare(parser,
                                 "can't apply global %s.%s=%s: Parameter '%s' "
                                 "expects 'on' or 'off'",
                                 driver, property, value, property);
    return 0;
}

int option_global(struct parser *parser, const char *text)
{
    const char *equals = strchr(text, '=');
    const char *dot = strchr(text, '.');
    GArray *pairs;
    int result;

    if (dot && equals && dot < equals) {
        char *driver = g_strndup(text, (size_t)(dot - text));
        char *property = g_strndup(dot + 1, (size_t)(equals - dot - 1));

        result = set_global(parser, driver, property, equals + 1);
        g_free(property);
        g_free(driver);
        return result;
    }
    result = option_list(parser, text, NULL, false, &pairs);
    if (result)
        return result;
    for (guint i = 0; i < pairs->len && !result; i++) {
        const char *key = g_array_index(pairs, struct option_pair, i).key;

        if (strcmp(key, "driver") && strcmp(key, "property") && strcmp(key, "value"))
            result = option_error(parser, "Invalid parameter '%s'", key);
    }
    if (!result) {
        const char *driver = option_value(pairs, "driver");
        const char *property = option_value(pairs, "property");
        const char *value = option_value(pairs, "value");

        result = driver && property && value
                     ? set_global(parser, driver, property, value)
                     : option_error(parser, "expected driver.property=value");
    }
    option_list_free(pairs);
    return result;
}

int option_rtc(struct parser *parser, const char *text)
{
    static const struct {
        const char *key, *value;
    } known[] = {{"base", "utc"}, {"clock", "host"}, {"clock", "rt"}, {"clock", "vm"},
                 {"driftfix", "none"}, {"driftfix", "slew"}};
    GArray *pairs;
    int result = option_list(parser, text, "base", false, &pairs);

    if (result)
        return result;
    for (guint i = 0; i < pairs->len && !result; i++) {
        const struct option_pair *pair = &g_array_index(pairs, struct option_pair, i);
        bool has_key = false, has_value = false;

        for (size_t n = 0; n < SM_ARRAY_LEN(known); n++) {
            if (strcmp(known[n].key, pair->key) == 0) {
                has_key = true;
                has_value |= strcmp(known[n].value, pair->value) == 0;
            }
        }
        if (!has_key)
            result = option_error(parser, "Invalid parameter '%s'", pair->key);
        else if (!has_value && strcmp(pair->key, "base") == 0)
            result = option_error(parser, "only base=utc is available");
        else if (!has_value)
            result = option_error(parser, "invalid option value '%s'", pair->value);
    }
    option_list_free(pairs);
    return result;
}

int option_finish_machine(struct parser *parser)
{
    struct machine_config *config = parser->config;
    int result;

    parser->place = (struct option_place){0};
    if (parser->virt_only && strcmp(config->board, "virt") != 0)
        return option_error_bare(parser, "Property '%s-machine.%s' not found",
                                 config->board, parser->virt_only);
    if (config->append && !config->kernel)
        return option_error_bare(parser, "-append only allowed with -kernel option");
    if (config->initrd && !config->kernel)
        return option_error_bare(parser, "-initrd only allowed with -kernel option");
    result = finish_accel(parser);
    parser->place = (struct option_place){0};
    if (!result) {
        option_finish_jit(parser);
        result = option_finish_smp(parser);
    }
    if (!result)
        result = finish_cpu(parser);
    return result;
}
