/* SPDX-License-Identifier: MIT */
/* model.h - what device models share: lines, fields, and how a board holds one.
 *
 * A device is a struct of its own, made by <name>_new() from an options struct
 * and freed by <name>_free().  It gives the board a region to map, takes lines to
 * drive, and names its state in one table of fields, from which reset, snapshots
 * and `info` read it.
 *
 * Layer:    devices.  Includes nothing of riscv, machine or cli.
 * Threads:  MMIO callbacks run under the device's lock (softmmu/device.h);
 *           completions and timers of the host come in by sm_device_defer() or
 *           sm_device_lock().  Lines may be set while the lock is held (L3).
 */
#ifndef DEVICES_MODEL_H
#define DEVICES_MODEL_H

#include "softmmu/softmmu.h"

/** A wire that a device drives.  .set NULL: not connected.  The receiver uses
 *  atomics or a leaf lock only. */
struct dev_line {
    void (*set)(void *owner, unsigned n, bool level);
    void *owner;
    unsigned n;
};

SM_INLINE void dev_line_set(const struct dev_line *line, bool level)
{
    if (line->set)
        line->set(line->owner, line->n, level);
}

/** One field of a device's state. */
struct dev_field {
    const char *name;
    uint32_t offset; /* in the device's struct                                 */
    uint16_t size;   /* bytes of one element: 1, 2, 4 or 8                     */
    uint16_t count;  /* elements                                               */
    uint64_t reset;  /* value of every element after reset                     */
};

#define DEV_FIELD(type, member, value)                                                   \
    {.name = #member, .offset = offsetof(type, member),                                  \
     .size = sizeof(((type *)0)->member), .count = 1, .reset = (value)}
#define DEV_ARRAY(type, member, value)                                                   \
    {.name = #member, .offset = offsetof(type, member),                                  \
     .size = sizeof(((type *)0)->member[0]),                                             \
     .count = sizeof(((type *)0)->member) / sizeof(((type *)0)->member[0]),              \
     .reset = (value)}

/** Set every field of @device to its reset value. */
void dev_fields_reset(void *device, const struct dev_field *fields, unsigned n_fields);

/** Give up an unmapped region, and a device that has no region left.  NULL is
 *  nothing to do.  Threads: the machine does not run. */
void dev_region_free(struct sm_region *region);
void dev_device_free(struct sm_device *device);

/** The face every device shows its board. */
struct dev_model {
    const char *type;  /* "ns16550a"                                           */
    const struct dev_field *fields;
    unsigned n_fields;
    /** Reset, with the machine stopped.  Lowers its lines. */
    void (*reset)(void *device);
    void (*free)(void *device);
};

#endif
