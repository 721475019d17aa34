/* SPDX-License-Identifier: MIT */
/* options_devices.c - reads virtio devices and loaded files, and joins disks to them. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/options_impl.h"

/* --- -object -------------------------------------------------------------------- */

static int set_object(struct parser *parser, const GArray *pairs)
{
    const char *type = option_value(pairs, "qom-type");
    const char *id = option_value(pairs, "id");
    const bool from_file = type && strcmp(type, "rng-random") == 0;
    struct option_object object;

    if (!type)
        return option_error(parser, "Parameter 'qom-type' is missing");
    if (!from_file && strcmp(type, "rng-builtin") != 0)
        return option_error(parser, "Parameter 'qom-type' does not accept value '%s'",
                            type);
    if (!id)
        return option_error(parser, "Parameter 'id' is missing");
    if (option_id(parser, id))
        return -EINVAL;
    for (guint i = 0; i < pairs->len; i++) {
        const char *key = g_array_index(pairs, struct option_pair, i).key;

        if (strcmp(key, "qom-type") && strcmp(key, "id") &&
            !(from_file && strcmp(key, "filename") == 0))
            return option_error(parser, "Invalid parameter '%s'", key);
    }
    for (guint i = 0; i < parser->objects->len; i++) {
        if (strcmp(g_array_index(parser->objects, struct option_object, i).id, id) == 0)
            return option_error(parser, "Duplicate ID '%s' for object", id);
    }
    object.id = g_strdup(id);
    object.file = g_strdup(option_value(pairs, "filename"));
    if (object.file && access(object.file, R_OK) < 0) {
        option_error_bare(parser, "Could not open '%s': %s", object.file,
                          g_strerror(errno));
        g_free(object.id);
        g_free(object.file);
        return -EINVAL;
    }
    g_array_append_val(parser->objects, object);
    return 0;
}

int option_object(struct parser *parser, const char *text)
{
    GArray *pairs;
    int result = option_list(parser, text, "qom-type", false, &pairs);

    if (result)
        return result;
    result = set_object(parser, pairs);
    option_list_free(pairs);
    return result;
}

/* --- -device -------------------------------------------------------------------- */

/* What a property of a device is to us. */
enum device_property_kind {
    DEVICE_TEXT,   /* used, a string                                           */
    DEVICE_SWITCH, /* used, or of no consequence here                          */
    DEVICE_NUMBER,
    DEVICE_OFF,    /* a switch that cannot be turned on                        */
    DEVICE_SECTOR, /* a size that can only be 512, or 0 for it                 */
    DEVICE_AUTO    /* a switch, or "auto"                                      */
};

struct device_property {
    const char *name;
    enum device_property_kind kind;
};

static const struct device_property blk_properties[] = {
    {"bootindex", DEVICE_NUMBER}, {"bus", DEVICE_TEXT},
    {"config-wce", DEVICE_SWITCH}, {"discard", DEVICE_SWITCH},
    {"drive", DEVICE_TEXT}, {"event_idx", DEVICE_SWITCH},
    {"id", DEVICE_TEXT}, {"in_order", DEVICE_OFF},
    {"indirect_desc", DEVICE_SWITCH}, {"iommu_platform", DEVICE_OFF},
    {"logical_block_size", DEVICE_SECTOR}, {"num-queues", DEVICE_NUMBER},
    {"packed", DEVICE_OFF}, {"physical_block_size", DEVICE_SECTOR},
    {"queue-size", DEVICE_NUMBER}, {"request-merging", DEVICE_SWITCH},
    {"seg-max-adjust", DEVICE_SWITCH}, {"serial", DEVICE_TEXT},
    {"share-rw", DEVICE_OFF}, {"write-cache", DEVICE_AUTO},
    {"write-zeroes", DEVICE_SWITCH}, {NULL, DEVICE_TEXT}};
static const struct device_property rng_properties[] = {
    {"bus", DEVICE_TEXT}, {"event_idx", DEVICE_SWITCH},
    {"id", DEVICE_TEXT}, {"in_order", DEVICE_OFF},
    {"indirect_desc", DEVICE_SWITCH}, {"iommu_platform", DEVICE_OFF},
    {"max-bytes", DEVICE_NUMBER}, {"packed", DEVICE_OFF},
    {"period", DEVICE_NUMBER}, {"rng", DEVICE_TEXT},
    {NULL, DEVICE_TEXT}};
static const struct device_property loader_properties[] = {
    {"addr", DEVICE_NUMBER}, {"data", DEVICE_NUMBER}, {"data-be", DEVICE_SWITCH},
    {"data-len", DEVICE_NUMBER}, {"file", DEVICE_TEXT}, {"force-raw", DEVICE_SWITCH},
    {"id", DEVICE_TEXT}, {NULL, DEVICE_TEXT}};

static const struct device_model {
    const char *name, *what;
    enum machine_device_kind kind;
    const struct device_property *properties;
} device_models[] = {
    {"virtio-blk-device", "disk, on a virtio-mmio-bus", MACHINE_VIRTIO_BLK,
     blk_properties},
    {"virtio-rng-device", "random numbers, on a virtio-mmio-bus", MACHINE_VIRTIO_RNG,
     rng_properties},
    {"loader", "loads a file, or data, into memory", MACHINE_LOADER, loader_properties},
};

static const struct device_model *find_model(const char *name)
{
    for (size_t i = 0; i < SM_ARRAY_LEN(device_models); i++) {
        if (strcmp(device_models[i].name, name) == 0)
            return &device_models[i];
    }
    return NULL;
}

const char *option_device_model(unsigned n, const char **what)
{
    if (n >= SM_ARRAY_LEN(device_models))
        return NULL;
    *what = device_models[n].what;
    return device_models[n].name;
}

const char *option_device_property(const char *model, unsigned n, const char **what)
{
    static const char *const kinds[] = {
        [DEVICE_TEXT] = "<str>",      [DEVICE_SWITCH] = "<bool>",
        [DEVICE_NUMBER] = "<uint64>", [DEVICE_OFF] = "off",
        [DEVICE_SECTOR] = "512",      [DEVICE_AUTO] = "<OnOffAuto>"};
    const struct device_model *found = find_model(model);

    if (!found || !found->properties[n].name)
        return NULL;
    *what = kinds[found->properties[n].kind];
    return found->properties[n].name;
}

/* Check a value against its property.  What is used is read by the caller after. */
static int check_property(struct parser *parser, const struct device_model *model,
                          const struct option_pair *pair)
{
    const struct device_property *property = model->properties;
    uint64_t number = 0;
    bool on = false;
    int result = 0;

    while (property->name && strcmp(property->name, pair->key) != 0)
        property++;
    if (!property->name)
        return option_error(parser, "Property '%s.%s' not found", model->name, pair->key);
    switch (property->kind) {
    case DEVICE_TEXT:
        return 0;
    case DEVICE_NUMBER:
        return option_number(parser, pair->key, pair->value, &number);
    case DEVICE_SECTOR:
        result = option_parse_size(pair->value, 0, &number);
        on = number != 0 && number != 512;
        if (result)
            result = option_error(parser, "Parameter '%s' expects integer", pair->key);
        break;
    case DEVICE_AUTO:
        if (strcmp(pair->value, "auto") == 0)
            return 0;
        return option_switch(parser, pair->key, pair->value, &on);
    case DEVICE_SWITCH:
    case DEVICE_OFF:
        result = option_switch(parser, pair->key, pair->value, &on);
        on = on && property->kind == DEVICE_OFF;
        break;
    }
    if (!result && on)
        result = option_error(parser, "Property '%s.%s=%s' is not available", model->name,
                              pair->key, pair->value);
    return result;
}

int option_device(struct parser *parser, const char *text)
{
    GArray *pairs;
    const char *name;
    int result;

    if (option_is_help(text)) {
        option_print_devices();
        parser->action = OPTIONS_EXIT;
        return 0;
    }
    result = option_list(parser, text, "driver", false, &pairs);
    if (result)
        return result;
    name = option_value(pairs, "driver");
    if ((option_value(pairs, "help") || option_value(pairs, "?")) && name &&
        option_print_properties(name))
        parser->action = OPTIONS_EXIT;
    else
        g_array_append_val(parser->device_places, parser->place);
    option_list_free(pairs);
    return 0;
}

void option_device_clear(struct machine_device *device)
{
    g_free(device->id);
    g_free(device->drive);
    g_free(device->rng_file);
    g_free(device->serial);
    g_free(device->file);
}

static int use_bus(struct parser *parser, struct machine_device *device, const char *bus)
{
    static const char prefix[] = "virtio-mmio-bus.";
    uint64_t slot;

    if (!g_str_has_prefix(bus, prefix) ||
        !option_parse_number(bus + strlen(prefix), &slot) || slot >= MACHINE_N_VIRTIO)
        return option_error(parser, "Bus '%s' not found", bus);
    device->slot = (int)slot;
    return 0;
}

static int finish_blk(struct parser *parser, struct machine_device *device,
                      const GArray *pairs)
{
    const char *name = option_value(pairs, "drive");
    const char *cache = option_value(pairs, "write-cache");
    struct option_drive *drive = NULL;
    bool on;

    if (!name || !*name)
        return option_error(parser, "drive property not set");
    for (guint i = 0; i < parser->drives->len && !drive; i++) {
        if (strcmp(option_drive_at(parser, i)->drive.id, name) == 0)
            drive = option_drive_at(parser, i);
    }
    if (!drive)
        return option_error(parser, "Property 'virtio-blk-device.drive' can't find value "
                            "'%s'", name);
    if (drive->claimed || drive->interface == DRIVE_VIRTIO)
        return option_error(parser, "Drive '%s' is already in use by another device",
                            name);
    drive->claimed = true;
    if (cache && option_parse_switch(cache, &on))
        drive->drive.writethrough = !on;
    device->drive = g_strdup(name);
    device->serial = g_strdup(option_value(pairs, "serial"));
    return 0;
}

static int finish_rng(struct parser *parser, struct machine_device *device,
                      const GArray *pairs)
{
    const char *name = option_value(pairs, "rng");

    for (guint i = 0; i < parser->objects->len && name; i++) {
        const struct option_object *object =
            &g_array_index(parser->objects, struct option_object, i);

        if (strcmp(object->id, name) == 0) {
            device->rng_file = g_strdup(object->file);
            name = NULL;
        }
    }
    if (name)
        return option_error(parser, "Device '%s' not found", name);
    if (!device->rng_file)
        device->rng_file = g_strdup("/dev/urandom");
    return 0;
}

static int finish_loader(struct parser *parser, struct machine_device *device,
                         const GArray *pairs)
{
    const char *addr = option_value(pairs, "addr");
    const char *data = option_value(pairs, "data");
    const char *size = option_value(pairs, "data-len");
    const char *big = option_value(pairs, "data-be");
    const char *raw = option_value(pairs, "force-raw");
    uint64_t n = 0;

    /* All were checked before. */
    device->file = g_strdup(option_value(pairs, "file"));
    device->has_addr = addr && option_parse_number(addr, &device->addr);
    if ((size && !option_parse_number(size, &n)) ||
        (data && !option_parse_number(data, &device->data)) ||
        (big && !option_parse_switch(big, &device->big_endian)) ||
        (raw && !option_parse_switch(raw, &device->force_raw)))
        return option_error(parser, "please include valid arguments");
    if (data || size || big) {
        if (device->file)
            return option_error(parser, "Specifying a file is not supported when loading "
                                "memory values");
        if (n > 8)
            return option_error(parser, "data-len cannot be greater then 8 bytes");
        if (!n || !data)
            return option_error(parser, "Both data and data-len must be specified");
        device->data_size = (unsigned)n;
        return 0;
    }
    if (device->file)
        return 0;
    return option_error(parser, addr ? "cpu_num must be specified when setting a program "
                                       "counter" : "please include valid arguments");
}

static int finish_one(struct parser *parser, const GArray *pairs,
                      struct machine_device *device)
{
    const char *name = option_value(pairs, "driver");
    const char *id = option_value(pairs, "id");
    const char *bus = option_value(pairs, "bus");
    const struct device_model *model;
    int result = 0;

    if (!name || !*name)
        return option_error(parser, "Parameter 'driver' is missing");
    model = find_model(name);
    if (!model)
        return option_error(parser, "'%s' is not a valid device model name", name);
    if (id && option_id(parser, id))
        return -EINVAL;
    for (guint i = 0; i < parser->devices->len && id; i++) {
        const char *other = g_array_index(parser->devices, struct machine_device, i).id;

        if (other && strcmp(other, id) == 0)
            return option_error(parser, "Duplicate ID '%s' for device", id);
    }
    for (guint i = 0; i < pairs->len && !result; i++) {
        const struct option_pair *pair = &g_array_index(pairs, struct option_pair, i);

        if (strcmp(pair->key, "driver") != 0)
            result = check_property(parser, model, pair);
    }
    if (!result && bus)
        result = use_bus(parser, device, bus);
    if (result)
        return result;
    device->kind = model->kind;
    device->id = g_strdup(id);
    switch (model->kind) {
    case MACHINE_VIRTIO_BLK:
        return finish_blk(parser, device, pairs);
    case MACHINE_VIRTIO_RNG:
        return finish_rng(parser, device, pairs);
    case MACHINE_LOADER:
        return finish_loader(parser, device, pairs);
    }
    return 0;
}

static int finish_device(struct parser *parser)
{
    struct machine_device device = {.slot = -1};
    GArray *pairs;
    int result = option_list(parser, parser->place.argument, "driver", false, &pairs);

    if (result)
        return result;
    result = finish_one(parser, pairs, &device);
    option_list_free(pairs);
    if (result)
        option_device_clear(&device);
    else
        g_array_append_val(parser->devices, device);
    return result;
}

int option_finish_devices(struct parser *parser)
{
    int result;

    option_name_drives(parser);
    for (guint i = 0; i < parser->device_places->len; i++) {
        parser->place = g_array_index(parser->device_places, struct option_place, i);
        result = finish_device(parser);
        if (result)
            return result;
    }
    for (guint i = 0; i < parser->drives->len; i++) {
        struct option_drive *drive = option_drive_at(parser, i);

        parser->place = drive->place;
        if (parser->snapshot)
            drive->drive.snapshot = true;
        if (drive->interface == DRIVE_VIRTIO) {
            struct machine_device device = {.kind = MACHINE_VIRTIO_BLK, .slot = -1};

            device.drive = g_strdup(drive->drive.id);
            g_array_append_val(parser->devices, device);
        } else if (drive->interface == DRIVE_DEFAULT && !drive->claimed) {
            option_warn(parser, "no device uses this drive; if=virtio makes one");
        }
    }
    return 0;
}
