/* SPDX-License-Identifier: MIT */
/* model.c - puts a device's fields into their reset state, and gives up its parts.
 *
 * Layer: devices
 */
#include "devices/model.h"

#include <string.h>

#include "base/base.h"

void dev_fields_reset(void *device, const struct dev_field *fields, unsigned n_fields)
{
    for (unsigned i = 0; i < n_fields; i++) {
        const struct dev_field *field = &fields[i];
        char *element = (char *)device + field->offset;

        /* The host is little-endian: the low bytes of .reset are its value. */
        for (unsigned n = 0; n < field->count; n++, element += field->size)
            memcpy(element, &field->reset, field->size);
    }
}

void dev_region_free(struct sm_region *region)
{
    /* A region that is still mapped would call into freed memory. */
    if (region) {
        const int error = sm_region_free(region);
        sm_assert(error == 0);
    }
}

void dev_device_free(struct sm_device *device)
{
    if (device) {
        const int error = sm_device_free(device);
        sm_assert(error == 0);
    }
}
