/* SPDX-License-Identifier: MIT */
/* options_serial.c - reads where the serial line goes. */
#include <errno.h>
#include <string.h>

#include "cli/options_impl.h"

/* What QEMU knows and we do not. */
static bool is_lacking_backend(const char *name)
{
    static const char *const lacking[] = {
        "pty", "pipe", "unix", "tcp", "telnet", "udp", "websocket", "socket", "ringbuf",
        "memory", "parport", "parallel", "serial", "spicevmc", "spiceport", "braille",
        "msmouse", "wctablet", "testdev", "con", "hub", "qemu-vdagent", "dbus"};
    const size_t length = strcspn(name, ":");

    if (name[0] == '/')
        return true; /* a host device                                          */
    for (size_t i = 0; i < SM_ARRAY_LEN(lacking); i++) {
        if (strlen(lacking[i]) == length && strncmp(lacking[i], name, length) == 0)
            return true;
    }
    return false;
}

static void clear_serial(struct machine_serial *serial)
{
    g_free(serial->path);
    *serial = (struct machine_serial){.kind = MACHINE_SERIAL_NULL};
}

/* --- -chardev ------------------------------------------------------------------- */

static int set_chardev_key(struct parser *parser, struct option_chardev *chardev,
                           const char *key, const char *value)
{
    struct machine_serial *serial = &chardev->serial;

    if (strcmp(key, "backend") == 0)
        return 0;
    if (strcmp(key, "id") == 0) {
        option_set(&chardev->id, value);
        return option_id(parser, value);
    }
    if (strcmp(key, "mux") == 0)
        return option_switch(parser, key, value, &serial->mux);
    if (serial->kind == MACHINE_SERIAL_STDIO && strcmp(key, "signal") == 0)
        return option_switch(parser, key, value, &serial->signals);
    if (serial->kind == MACHINE_SERIAL_FILE && strcmp(key, "path") == 0) {
        option_set(&serial->path, value);
        return 0;
    }
    if (serial->kind == MACHINE_SERIAL_FILE && strcmp(key, "append") == 0)
        return option_switch(parser, key, value, &serial->append);
    return option_error(parser, "Invalid parameter '%s'", key);
}

static int set_chardev(struct parser *parser, const GArray *pairs,
                       struct option_chardev *chardev)
{
    const char *backend = option_value(pairs, "backend");
    const char *id = option_value(pairs, "id");
    int result = 0;

    if (!id)
        return option_error(parser, "chardev: no id specified");
    if (!backend)
        return option_error(parser, "chardev: \"%s\" missing backend", id);
    if (strcmp(backend, "stdio") == 0)
        chardev->serial = (struct machine_serial){.kind = MACHINE_SERIAL_STDIO,
                                                  .signals = true};
    else if (strcmp(backend, "file") == 0)
        chardev->serial.kind = MACHINE_SERIAL_FILE;
    else if (is_lacking_backend(backend))
        return option_error(parser, "char driver '%s' is not available", backend);
    else if (strcmp(backend, "null") != 0 && strcmp(backend, "vc") != 0)
        return option_error(parser, "'%s' is not a valid char driver name", backend);
    for (guint i = 0; i < pairs->len && !result; i++) {
        const struct option_pair *pair = &g_array_index(pairs, struct option_pair, i);

        result = set_chardev_key(parser, chardev, pair->key, pair->value);
    }
    if (result)
        return result;
    if (chardev->serial.kind == MACHINE_SERIAL_FILE && !chardev->serial.path)
        return option_error(parser, "chardev: file: no filename given");
    for (guint i = 0; i < parser->chardevs->len; i++) {
        if (strcmp(g_array_index(parser->chardevs, struct option_chardev, i).id, id) == 0)
            return option_error(parser, "Duplicate ID '%s' for chardev", id);
    }
    return 0;
}

int option_chardev(struct parser *parser, const char *text)
{
    struct option_chardev chardev = {.serial.kind = MACHINE_SERIAL_NULL};
    GArray *pairs;
    int result = option_list(parser, text, "backend", false, &pairs);

    if (result)
        return result;
    result = set_chardev(parser, pairs, &chardev);
    option_list_free(pairs);
    if (result) {
        g_free(chardev.id);
        clear_serial(&chardev.serial);
    } else {
        g_array_append_val(parser->chardevs, chardev);
    }
    return result;
}

static const struct option_chardev *find_chardev(const struct parser *parser,
                                                 const char *id)
{
    for (guint i = 0; i < parser->chardevs->len; i++) {
        const struct option_chardev *chardev =
            &g_array_index(parser->chardevs, struct option_chardev, i);

        if (strcmp(chardev->id, id) == 0)
            return chardev;
    }
    return NULL;
}

/* --- -serial -------------------------------------------------------------------- */

int option_serial(struct parser *parser, const char *text)
{
    (void)text;
    g_array_append_val(parser->serial_places, parser->place);
    return 0;
}

static int read_serial(struct parser *parser, const char *text,
                       struct machine_serial *serial)
{
    const bool mux = g_str_has_prefix(text, "mon:");

    *serial = (struct machine_serial){.kind = MACHINE_SERIAL_NULL, .mux = mux};
    if (mux)
        text += strlen("mon:");
    if (g_str_has_prefix(text, "chardev:") && !mux) {
        const struct option_chardev *chardev = find_chardev(parser, text + 8);

        if (!chardev)
            return option_error(parser, "could not connect serial device to character "
                                "backend '%s'", text);
        *serial = chardev->serial;
        serial->path = g_strdup(serial->path);
    } else if (strcmp(text, "stdio") == 0) {
        /* With mux Ctrl-C goes to the guest. */
        serial->kind = MACHINE_SERIAL_STDIO;
        serial->signals = !mux;
    } else if (g_str_has_prefix(text, "file:")) {
        serial->kind = MACHINE_SERIAL_FILE;
        serial->path = g_strdup(text + 5);
    } else if (is_lacking_backend(text)) {
        return option_error(parser, "char driver '%s' is not available", text);
    } else if (strcmp(text, "none") != 0 && strcmp(text, "null") != 0 &&
               strcmp(text, "vc") != 0 && !g_str_has_prefix(text, "vc:")) {
        return option_error(parser, "'%s' is not a valid char driver", text);
    }
    return 0;
}

/* Standard input can be one line's only. */
static int check_stdio(struct parser *parser)
{
    unsigned n_users = 0;

    for (guint i = 0; i < parser->chardevs->len; i++)
        n_users +=
            g_array_index(parser->chardevs, struct option_chardev, i).serial.kind ==
            MACHINE_SERIAL_STDIO;
    for (guint i = 0; i < parser->serial_places->len; i++) {
        const struct option_place place =
            g_array_index(parser->serial_places, struct option_place, i);

        parser->place = place;
        n_users += strcmp(place.argument, "stdio") == 0 ||
                   strcmp(place.argument, "mon:stdio") == 0;
        if (n_users > 1)
            return option_error(parser, "cannot use stdio by multiple character devices");
    }
    return 0;
}

/* The first line is the board's one; others are read, and lead nowhere. */
static int finish_lines(struct parser *parser)
{
    struct machine_config *config = parser->config;

    for (guint i = 0; i < parser->serial_places->len; i++) {
        struct machine_serial serial;
        int result;

        parser->place = g_array_index(parser->serial_places, struct option_place, i);
        result = read_serial(parser, parser->place.argument, &serial);
        if (result)
            return result;
        if (config->n_serials < MACHINE_MAX_SERIALS)
            config->serial[config->n_serials++] = serial;
        else
            clear_serial(&serial);
    }
    return 0;
}

/* "-mon chardev=ID,mode=readline" is fine beside the multiplexed line that it would
 * share: there, Ctrl-A c says that there is no monitor. */
static int finish_mon(struct parser *parser)
{
    const struct option_chardev *chardev;
    const char *id, *mode;
    GArray *pairs;
    int result = option_list(parser, parser->place.argument, "chardev", false, &pairs);

    if (result)
        return result;
    id = option_value(pairs, "chardev");
    mode = option_value(pairs, "mode");
    chardev = id ? find_chardev(parser, id) : NULL;
    if (!chardev)
        result = option_error(parser, "chardev \"%s\" not found", id ? id : "");
    else if (!chardev->serial.mux || (mode && strcmp(mode, "readline") != 0))
        result = option_error(parser, "the monitor is not available");
    option_list_free(pairs);
    return result;
}

int option_mon(struct parser *parser, const char *text)
{
    (void)text;
    g_array_append_val(parser->mon_places, parser->place);
    return 0;
}

int option_monitor(struct parser *parser, const char *text)
{
    if (strcmp(text, "none") == 0 || strcmp(text, "null") == 0)
        return 0;
    return option_error(parser, "the monitor is not available");
}

int option_echr(struct parser *parser, const char *text)
{
    uint64_t key;

    if (!option_parse_number(text, &key) || key == 0 || key > 255)
        return option_error(parser, "expects the code of a key, 1 to 255");
    parser->escape = (unsigned char)key;
    return 0;
}

int option_finish_serial(struct parser *parser)
{
    struct machine_config *config = parser->config;
    int result;

    for (guint i = 0; i < parser->mon_places->len; i++) {
        parser->place = g_array_index(parser->mon_places, struct option_place, i);
        result = finish_mon(parser);
        if (result)
            return result;
    }
    result = check_stdio(parser);
    if (!result)
        result = finish_lines(parser);
    if (result)
        return result;
    if (parser->serial_places->len == 0 && !parser->nodefaults &&
        (parser->nographic || !parser->no_display)) {
        /* Without -nographic QEMU would open a window; we have none. */
        config->serial[0] = (struct machine_serial){.kind = MACHINE_SERIAL_STDIO,
                                                    .mux = true};
        config->n_serials = 1;
    }
    for (unsigned i = 0; i < config->n_serials; i++)
        config->serial[i].escape = parser->escape;
    return 0;
}
