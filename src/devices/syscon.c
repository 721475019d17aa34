/* SPDX-License-Identifier: MIT */
/* syscon.c - SiFive test finisher: a guest's way to power off, fail or reset.
 *
 * Layer:    devices
 * Source:   the values that SiFive's test device and Linux's syscon-poweroff and
 *           syscon-reboot drivers agree on
 */
#include <errno.h>
#include <stdlib.h>

#include "base/base.h"
#include "devices/devices.h"

enum { REGION_SIZE = 0x1000, FINISH_FAIL = 0x3333, FINISH_PASS = 0x5555,
       FINISH_RESET = 0x7777 };

struct finisher {
    struct sm_device *device;
    struct sm_region *region;
    const struct dev_power *power;
};

static enum sm_tx finisher_peek(void *dev, uint64_t offset, unsigned size,
                                uint64_t *value)
{
    *value = 0;
    return SM_TX_OK;
}

static enum sm_tx finisher_read(void *dev, uint64_t offset, unsigned size,
                                const struct sm_attrs *attrs, uint64_t *value)
{
    *value = 0;
    return SM_TX_OK;
}

static enum sm_tx finisher_write(void *dev, uint64_t offset, unsigned size,
                                 const struct sm_attrs *attrs, uint64_t value)
{
    const struct finisher *finisher = dev;
    const struct dev_power *power = finisher->power;

    if (offset)
        return SM_TX_OK;
    switch (value & 0xffff) {
    case FINISH_FAIL:
        power->request(power->opaque, DEV_POWER_OFF, (int)(value >> 16 & 0xffff));
        break;
    case FINISH_PASS: power->request(power->opaque, DEV_POWER_OFF, 0); break;
    case FINISH_RESET: power->request(power->opaque, DEV_POWER_RESET, 0); break;
    default: break;
    }
    return SM_TX_OK;
}

static const struct sm_io_ops finisher_ops = {
    .struct_size = sizeof(struct sm_io_ops),
    .read = finisher_read, .write = finisher_write, .peek = finisher_peek,
    .accepts = {2, 4, false}, .implements = {2, 4, false},
};

static void model_reset(void *device)
{
    (void)device; /* it remembers nothing */
}

static void model_free(void *device)
{
    finisher_free(device);
}

const struct dev_model finisher_model = {
    .type = "sifive-test", .reset = model_reset, .free = model_free,
};

int finisher_new(const struct finisher_options *options, struct finisher **out)
{
    struct finisher *finisher = calloc(1, sizeof(*finisher));
    int error;

    if (!finisher)
        return -ENOMEM;
    finisher->power = options->power;
    error = sm_device_new(options->topo, "sifive-test", finisher, &finisher->device);
    if (!error)
        error = sm_region_new_io(finisher->device, "test", REGION_SIZE - 1, &finisher_ops,
                                 &finisher->region);
    if (error) {
        dev_device_free(finisher->device);
        free(finisher);
        return error;
    }
    *out = finisher;
    return 0;
}

void finisher_free(struct finisher *finisher)
{
    if (!finisher)
        return;
    dev_region_free(finisher->region);
    dev_device_free(finisher->device);
    free(finisher);
}

struct sm_region *finisher_region(struct finisher *finisher)
{
    return finisher->region;
}
