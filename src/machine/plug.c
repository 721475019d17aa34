/* SPDX-License-Identifier: MIT */
/* plug.c - opens the host ends that a machine was given, and fills its virtio slots.
 *
 * The first device goes to the highest slot, the next to the one below, as in QEMU,
 * unless it names its bus.
 */
#include <errno.h>
#include <string.h>

#include "machine/board.h"

static void quit_key(void *owner)
{
    machine_quit(owner, 0);
}

static int open_serial(struct machine *machine, char **error)
{
    const struct machine_config *config = machine->config;
    const struct chardev_keys keys = {.quit = quit_key, .owner = machine};

    if (!config->n_serials)
        return 0;
    return chardev_new(&config->serial[0], machine->context, &keys, &machine->chr, error);
}

int host_ends_open(struct machine *machine, char **error)
{
    const struct machine_config *config = machine->config;
    int err = 0;

    machine->blocks = g_new0(struct block *, config->n_drives);
    machine->rngs = g_new0(struct rng *, config->n_devices);
    for (; machine->n_blocks < config->n_drives && !err; machine->n_blocks += !err)
        err = block_open(&config->drives[machine->n_blocks],
                         &machine->blocks[machine->n_blocks], error);
    /* Last, since it may change the terminal. */
    return err ? err : open_serial(machine, error);
}

void host_ends_close(struct machine *machine)
{
    for (unsigned i = 0; i < machine->n_blocks; i++)
        block_close(machine->blocks[i]);
    for (unsigned i = 0; i < machine->n_rngs; i++)
        rng_close(machine->rngs[i]);
    g_free(machine->blocks);
    g_free(machine->rngs);
    if (machine->chr)
        chardev_free(machine->chr);
    machine->blocks = NULL;
    machine->rngs = NULL;
    machine->n_blocks = machine->n_rngs = 0;
    machine->chr = NULL;
}

/** Find the slot for @device.  Errors: -ENODEV with *@error */
static int find_slot(struct machine *machine, const struct machine_device *device,
                     const char *type, struct virtio_mmio **out, char **error)
{
    if (!machine->virtio[0])
        return machine_fail(error, ENODEV,
                            "-device %s: No 'virtio-bus' bus found for "
                            "device '%s'",
                            type, type);
    if (device->slot >= MACHINE_N_VIRTIO)
        return machine_fail(error, ENODEV,
                            "-device %s,bus=virtio-mmio-bus.%d: Bus "
                            "'virtio-mmio-bus.%d' not found",
                            type, device->slot, device->slot);
    if (device->slot >= 0) {
        if (virtio_mmio_plugged(machine->virtio[device->slot]))
            return machine_fail(error, ENODEV,
                                "-device %s,bus=virtio-mmio-bus.%d: Bus "
                                "'virtio-mmio-bus.%d' is full",
                                type, device->slot, device->slot);
        *out = machine->virtio[device->slot];
        return 0;
    }
    for (unsigned i = MACHINE_N_VIRTIO; i-- > 0;) {
        if (machine->virtio[i] && !virtio_mmio_plugged(machine->virtio[i])) {
            *out = machine->virtio[i];
            return 0;
        }
    }
    return machine_fail(error, ENODEV,
                        "-device %s: No 'virtio-bus' bus found for device '%s'", type,
                        type);
}

static int make_disk(struct machine *machine, const struct machine_device *device,
                     bool *taken, struct virtio **out, char **error)
{
    const struct machine_config *config = machine->config;
    struct virtio_blk_options options = {.serial = device->serial};
    int err;

    if (!device->drive)
        return machine_fail(error, EINVAL,
                            "-device virtio-blk-device: drive property not set");
    for (unsigned i = 0; i < machine->n_blocks; i++) {
        if (strcmp(config->drives[i].id, device->drive))
            continue;
        if (taken[i])
            return machine_fail(error, EBUSY,
                                "-device virtio-blk-device,drive=%s: Drive "
                                "'%s' is already in use by another device",
                                device->drive, device->drive);
        taken[i] = true;
        options.blk = block_table(machine->blocks[i]);
    }
    if (!options.blk)
        return machine_fail(error, ENOENT,
                            "-device virtio-blk-device,drive=%s: Property "
                            "'virtio-blk-device.drive' can't find value '%s'",
                            device->drive, device->drive);
    err = virtio_blk_new(&options, out);
    return err ? machine_fail(error, -err, "-device virtio-blk-device: %s",
                              g_strerror(-err))
               : 0;
}

static int make_rng(struct machine *machine, const struct machine_device *device,
                    struct virtio **out, char **error)
{
    struct virtio_rng_options options;
    int err = rng_open(device->rng_file ? device->rng_file : "/dev/urandom",
                       &machine->rngs[machine->n_rngs], error);

    if (err)
        return err;
    options.rng = rng_table(machine->rngs[machine->n_rngs++]);
    err = virtio_rng_new(&options, out);
    return err ? machine_fail(error, -err, "-device virtio-rng-device: %s",
                              g_strerror(-err))
               : 0;
}

int devices_plug(struct machine *machine, char **error)
{
    const struct machine_config *config = machine->config;
    bool *taken = g_new0(bool, config->n_drives + 1);
    int err = 0;

    for (unsigned i = 0; i < config->n_devices && !err; i++) {
        const struct machine_device *device = &config->devices[i];
        const bool disk = device->kind == MACHINE_VIRTIO_BLK;
        struct virtio_mmio *slot = NULL;
        struct virtio *virtio = NULL;

        if (device->kind == MACHINE_LOADER)
            continue;
        err = find_slot(machine, device, disk ? "virtio-blk-device" : "virtio-rng-device",
                        &slot, error);
        if (!err)
            err = disk ? make_disk(machine, device, taken, &virtio, error)
                       : make_rng(machine, device, &virtio, error);
        if (!err)
            virtio_mmio_plug(slot, virtio);
    }
    g_free(taken);
    return err;
}
