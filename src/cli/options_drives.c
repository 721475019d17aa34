/* SPDX-License-Identifier: MIT */
/* options_drives.c - reads which files are disks, and how they are to be treated. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/options_impl.h"

struct option_drive *option_drive_at(const struct parser *parser, guint n)
{
    return &g_array_index(parser->drives, struct option_drive, n);
}

static int one_of(const char *value, const char *const *words)
{
    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], value) == 0)
            return i;
    }
    return -1;
}

static int set_interface(struct parser *parser, struct option_drive *drive,
                         const char *value)
{
    static const char *const known[] = {"ide", "scsi", "floppy", "pflash", "mtd",
                                        "sd", "xen", NULL};

    if (strcmp(value, "none") == 0)
        drive->interface = DRIVE_NONE;
    else if (strcmp(value, "virtio") == 0)
        drive->interface = DRIVE_VIRTIO;
    else if (one_of(value, known) >= 0)
        return option_error(parser, "machine type does not support if=%s", value);
    else
        return option_error(parser, "unsupported bus type '%s'", value);
    return 0;
}

static int set_cache(struct parser *parser, struct machine_drive *drive,
                     const char *value)
{
    static const char *const modes[] = {"none", "off", "directsync", "writethrough",
                                        "writeback", "unsafe", NULL};
    const int mode = one_of(value, modes);

    if (mode < 0)
        return option_error(parser, "invalid cache option");
    drive->direct = mode <= 2;
    drive->writethrough = mode == 2 || mode == 3;
    drive->no_flush = mode == 5;
    return 0;
}

/* Keys whose value is one of a few words, of which some do nothing here. */
static int set_drive_word(struct parser *parser, struct option_drive *drive,
                          const char *key, const char *value)
{
    static const char *const aio[] = {"threads", "native", "io_uring", NULL};
    static const char *const discard[] = {"ignore", "off", "unmap", "on", NULL};
    static const char *const detect[] = {"off", "on", "unmap", NULL};
    static const char *const media[] = {"disk", "cdrom", NULL};
    static const char *const onerror[] = {"report", "enospc", NULL};
    int word;

    if (strcmp(key, "aio") == 0) {
        word = one_of(value, aio);
        drive->drive.threads = word == 0;
        return word < 0 ? option_error(parser, "invalid aio option") : 0;
    }
    if (strcmp(key, "media") == 0) {
        word = one_of(value, media);
        if (word == 1)
            drive->drive.readonly = true;
        return word < 0 ? option_error(parser, "'%s' invalid media", value) : 0;
    }
    if (strcmp(key, "discard") == 0)
        return one_of(value, discard) < 0 ? option_error(parser, "Invalid discard option")
                                          : 0;
    if (strcmp(key, "detect-zeroes") == 0)
        return one_of(value, detect) < 0
                   ? option_error(parser, "invalid parameter value: %s", value) : 0;
    if (strcmp(key, "werror") == 0 || strcmp(key, "rerror") == 0)
        return one_of(value, onerror) < 0
                   ? option_error(parser, "%s=%s is not available", key, value) : 0;
    if (strcmp(key, "format") == 0 || strcmp(key, "driver") == 0)
        return strcmp(value, "raw") != 0
                   ? option_error(parser, "Unknown driver '%s'", value)
                   : 0;
    return option_error(parser, "Block format 'raw' does not support the option '%s'",
                        key);
}

static int set_drive_key(struct parser *parser, struct option_drive *drive,
                         const char *key, const char *value)
{
    uint64_t number;

    if (strcmp(key, "file") == 0) {
        option_set(&drive->drive.file, value);
        return 0;
    }
    if (strcmp(key, "id") == 0) {
        option_set(&drive->drive.id, value);
        return option_id(parser, value);
    }
    if (strcmp(key, "if") == 0)
        return set_interface(parser, drive, value);
    if (strcmp(key, "readonly") == 0 || strcmp(key, "read-only") == 0)
        return option_switch(parser, "read-only", value, &drive->drive.readonly);
    if (strcmp(key, "snapshot") == 0)
        return option_switch(parser, key, value, &drive->drive.snapshot);
    if (strcmp(key, "cache") == 0)
        return set_cache(parser, &drive->drive, value);
    if (strcmp(key, "cache.direct") == 0)
        return option_switch(parser, key, value, &drive->drive.direct);
    if (strcmp(key, "cache.no-flush") == 0)
        return option_switch(parser, key, value, &drive->drive.no_flush);
    if (strcmp(key, "index") == 0 || strcmp(key, "unit") == 0) {
        drive->has_index = true;
        if (!option_parse_number(value, &drive->index))
            return option_error(parser, "Parameter '%s' expects a number", key);
        return 0;
    }
    if (strcmp(key, "bus") == 0)
        return option_parse_number(value, &number) && number == 0
                   ? 0 : option_error(parser, "Parameter 'bus' expects the number 0");
    return set_drive_word(parser, drive, key, value);
}

/* Refuse what we would not understand but a guest would overwrite. */
static int probe_format(struct parser *parser, const char *file)
{
    static const struct {
        const char *name, *magic;
        size_t size;
    } formats[] = {{"qcow2", "QFI\xfb", 4}, {"vmdk", "KDMV", 4}, {"vhdx", "vhdxfile", 8}};
    char head[8] = "";
    const int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n;

    if (fd < 0)
        return 0; /* told when it is opened                                    */
    n = read(fd, head, sizeof(head));
    close(fd);
    for (size_t i = 0; i < SM_ARRAY_LEN(formats) && n > 0; i++) {
        if (memcmp(head, formats[i].magic, formats[i].size) == 0)
            return option_error(parser, "Unknown driver '%s'", formats[i].name);
    }
    if (n >= 0)
        option_warn(parser, "Image format was not specified for '%s' and probing "
                    "guessed raw", file);
    return 0;
}

static int check_drive(struct parser *parser, struct option_drive *drive, bool has_format)
{
    if (!drive->drive.file || !*drive->drive.file)
        return option_error(parser, "A block device must be specified for \"file\"");
    for (guint i = 0; i < parser->drives->len; i++) {
        const struct option_drive *other = option_drive_at(parser, i);

        if (drive->drive.id && other->drive.id &&
            strcmp(drive->drive.id, other->drive.id) == 0)
            return option_error(parser, "Duplicate ID '%s' for drive", drive->drive.id);
        if (drive->interface == DRIVE_VIRTIO && other->interface == DRIVE_VIRTIO &&
            drive->has_index && other->has_index && drive->index == other->index)
            return option_error(parser, "drive with bus=0, unit=%d (index=%d) exists",
                                (int)drive->index, (int)drive->index);
    }
    return has_format ? 0 : probe_format(parser, drive->drive.file);
}

void option_drive_clear(struct machine_drive *drive)
{
    g_free(drive->id);
    g_free(drive->file);
}

int option_drive(struct parser *parser, const char *text)
{
    struct option_drive drive = {.place = parser->place};
    GArray *pairs;
    int result = option_list(parser, text, NULL, false, &pairs);

    if (result)
        return result;
    if (option_value(pairs, "index") &&
        (option_value(pairs, "bus") || option_value(pairs, "unit")))
        result = option_error(parser, "index cannot be used with bus and unit");
    for (guint i = 0; i < pairs->len && !result; i++) {
        const struct option_pair *pair = &g_array_index(pairs, struct option_pair, i);

        result = set_drive_key(parser, &drive, pair->key, pair->value);
    }
    if (!result)
        result = check_drive(parser, &drive, option_value(pairs, "format") ||
                                                 option_value(pairs, "driver"));
    option_list_free(pairs);
    if (result)
        option_drive_clear(&drive.drive);
    else
        g_array_append_val(parser->drives, drive);
    return result;
}

void option_name_drives(struct parser *parser)
{
    for (guint i = 0; i < parser->drives->len; i++) {
        struct option_drive *drive = option_drive_at(parser, i);

        if (!drive->drive.id)
            /* '#' is in no given name. */
            drive->drive.id = g_strdup_printf(
                "#%s%u", drive->interface == DRIVE_VIRTIO ? "virtio" : "none", i);
    }
}
