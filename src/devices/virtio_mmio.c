/* SPDX-License-Identifier: MIT */
/* virtio_mmio.c - the MMIO transport, modern (version 2) and legacy (version 1).
 *
 * Layer:    devices
 * Source:   VIRTIO 1.3, "Virtio Over MMIO" and its "Legacy interface"
 * Threads:  registers change under the device's lock; queues are served in work.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/bits.h"
#include "devices/virtio.h"

enum {
    REGION_SIZE = 0x200,
    MAGIC = 0x74726976,  /* "virt"                                                 */
    VENDOR = 0x554d4551, /* "QEMU", which drivers print and nobody interprets       */

    REG_MAGIC = 0x00, REG_VERSION = 0x04, REG_DEVICE_ID = 0x08, REG_VENDOR_ID = 0x0c,
    REG_DEVICE_FEATURES = 0x10, REG_DEVICE_FEATURES_SEL = 0x14,
    REG_DRIVER_FEATURES = 0x20, REG_DRIVER_FEATURES_SEL = 0x24,
    REG_GUEST_PAGE_SIZE = 0x28, /* legacy                                           */
    REG_QUEUE_SEL = 0x30, REG_QUEUE_NUM_MAX = 0x34, REG_QUEUE_NUM = 0x38,
    REG_QUEUE_ALIGN = 0x3c, REG_QUEUE_PFN = 0x40, /* legacy                         */
    REG_QUEUE_READY = 0x44, REG_QUEUE_NOTIFY = 0x50,
    REG_INTERRUPT_STATUS = 0x60, REG_INTERRUPT_ACK = 0x64, REG_STATUS = 0x70,
    REG_QUEUE_DESC_LOW = 0x80, REG_QUEUE_DESC_HIGH = 0x84,
    REG_QUEUE_DRIVER_LOW = 0x90, REG_QUEUE_DRIVER_HIGH = 0x94,
    REG_QUEUE_DEVICE_LOW = 0xa0, REG_QUEUE_DEVICE_HIGH = 0xa4,
    REG_SHM_LEN_LOW = 0xb0, REG_SHM_BASE_HIGH = 0xbc,
    REG_CONFIG_GENERATION = 0xfc, REG_CONFIG = 0x100
};

struct virtio_mmio {
    struct sm_device *device;
    struct sm_region *region;
    struct virtio *virtio; /* NULL: empty                                           */
    struct sm_work work;
    struct sm_address_space *space;
    struct dev_line irq;
    uint32_t requester;
    bool legacy;

    uint32_t device_features_sel, driver_features_sel, queue_sel;
    uint32_t guest_page_size, queue_align; /* legacy                                */
};

static const struct dev_field mmio_fields[] = {
    DEV_FIELD(struct virtio_mmio, device_features_sel, 0),
    DEV_FIELD(struct virtio_mmio, driver_features_sel, 0),
    DEV_FIELD(struct virtio_mmio, queue_sel, 0),
    DEV_FIELD(struct virtio_mmio, guest_page_size, 4096),
    DEV_FIELD(struct virtio_mmio, queue_align, 4096),
};

static void interrupt(void *transport)
{
    const struct virtio_mmio *slot = transport;

    dev_line_set(&slot->irq, slot->virtio->isr != 0);
}

static void run_work(void *dev)
{
    const struct virtio_mmio *slot = dev;

    virtio_run(slot->virtio);
}

/* --- Reading ---------------------------------------------------------------------- */

/** The selected queue exists. */
static bool has_queue(const struct virtio_mmio *slot)
{
    return slot->queue_sel < slot->virtio->ops->n_queues;
}

/** Registers of a slot with a device in it that both versions have. */
static uint32_t read_common(const struct virtio_mmio *slot, uint64_t offset)
{
    const struct virtio *virtio = slot->virtio;

    switch (offset) {
    case REG_DEVICE_FEATURES:
        return slot->device_features_sel > 1
                   ? 0
                   : (uint32_t)(virtio_offered(virtio) >>
                                (32 * slot->device_features_sel));
    case REG_QUEUE_NUM_MAX: return has_queue(slot) ? VIRTQ_MAX_SIZE : 0;
    case REG_INTERRUPT_STATUS: return virtio->isr;
    case REG_STATUS: return virtio->status;
    default: return 0;
    }
}

static uint32_t read_reg(const struct virtio_mmio *slot, uint64_t offset)
{
    const struct virtio *virtio = slot->virtio;

    switch (offset) {
    case REG_MAGIC: return MAGIC;
    case REG_VERSION: return slot->legacy ? 1 : 2;
    case REG_DEVICE_ID: return virtio ? virtio->ops->device_id : 0;
    case REG_VENDOR_ID: return VENDOR;
    default: break;
    }
    if (!virtio)
        return 0;
    /* No device here has shared memory: length and address are -1. */
    if (offset >= REG_SHM_LEN_LOW && offset <= REG_SHM_BASE_HIGH)
        return UINT32_MAX;
    if (slot->legacy) {
        if (offset == REG_QUEUE_PFN && has_queue(slot))
            return (uint32_t)(virtio->q_desc[slot->queue_sel] / slot->guest_page_size);
    } else if (offset == REG_QUEUE_READY) {
        return has_queue(slot) ? virtio->q_ready[slot->queue_sel] : 0;
    } else if (offset == REG_CONFIG_GENERATION) {
        return virtio->config_generation;
    }
    return read_common(slot, offset);
}

static enum sm_tx mmio_peek(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
    const struct virtio_mmio *slot = dev;

    /* Registers are words; only the configuration has fields of other widths. */
    if (offset >= REG_CONFIG)
        *value = slot->virtio
                     ? virtio_config_read(slot->virtio, offset - REG_CONFIG, size)
                     : 0;
    else
        *value = size == 4 ? read_reg(slot, offset) : 0;
    return SM_TX_OK;
}

static enum sm_tx mmio_read(void *dev, uint64_t offset, unsigned size,
                            const struct sm_attrs *attrs, uint64_t *value)
{
    return mmio_peek(dev, offset, size, value); /* no read has an effect            */
}

/* --- Writing ---------------------------------------------------------------------- */

/** Legacy: the page number says where all three parts lie; 0 takes the queue away. */
static void write_pfn(struct virtio_mmio *slot, uint32_t pfn)
{
    struct virtio *virtio = slot->virtio;
    const unsigned n = slot->queue_sel;
    const uint64_t desc = (uint64_t)pfn * slot->guest_page_size;
    const uint64_t size = virtio->q_size[n];

    virtio->q_desc[n] = desc;
    virtio->q_driver[n] = desc + 16 * size;
    virtio->q_device[n] =
        sm_align_up(virtio->q_driver[n] + 6 + 2 * size, slot->queue_align);
    virtio_queue_enable(virtio, n, pfn != 0);
}

static void write_legacy(struct virtio_mmio *slot, uint64_t offset, uint32_t value)
{
    switch (offset) {
    case REG_GUEST_PAGE_SIZE:
        if (sm_is_pow2(value))
            slot->guest_page_size = value;
        break;
    case REG_QUEUE_ALIGN:
        if (sm_is_pow2(value))
            slot->queue_align = value;
        break;
    case REG_QUEUE_PFN:
        if (has_queue(slot))
            write_pfn(slot, value);
        break;
    default: break;
    }
}

static void set_low(uint64_t *reg, uint32_t value)
{
    *reg = sm_insert(*reg, 0, 32, value);
}

static void set_high(uint64_t *reg, uint32_t value)
{
    *reg = sm_insert(*reg, 32, 32, value);
}

static void write_modern(struct virtio_mmio *slot, uint64_t offset, uint32_t value)
{
    struct virtio *virtio = slot->virtio;
    const unsigned n = slot->queue_sel;

    if (!has_queue(slot))
        return;
    switch (offset) {
    case REG_QUEUE_READY: virtio_queue_enable(virtio, n, value & 1); break;
    case REG_QUEUE_DESC_LOW: set_low(&virtio->q_desc[n], value); break;
    case REG_QUEUE_DESC_HIGH: set_high(&virtio->q_desc[n], value); break;
    case REG_QUEUE_DRIVER_LOW: set_low(&virtio->q_driver[n], value); break;
    case REG_QUEUE_DRIVER_HIGH: set_high(&virtio->q_driver[n], value); break;
    case REG_QUEUE_DEVICE_LOW: set_low(&virtio->q_device[n], value); break;
    case REG_QUEUE_DEVICE_HIGH: set_high(&virtio->q_device[n], value); break;
    default: break;
    }
}

static void write_status(struct virtio_mmio *slot, uint32_t value)
{
    if ((value & 0xff) == 0)
        dev_fields_reset(slot, mmio_fields, SM_ARRAY_LEN(mmio_fields));
    virtio_set_status(slot->virtio, (uint8_t)value);
}

static void write_reg(struct virtio_mmio *slot, uint64_t offset, uint32_t value)
{
    struct virtio *virtio = slot->virtio;

    switch (offset) {
    case REG_DEVICE_FEATURES_SEL: slot->device_features_sel = value; break;
    case REG_DRIVER_FEATURES:
        virtio_set_features(virtio, slot->driver_features_sel, value);
        break;
    case REG_DRIVER_FEATURES_SEL: slot->driver_features_sel = value; break;
    case REG_QUEUE_SEL: slot->queue_sel = value; break;
    case REG_QUEUE_NUM:
        if (has_queue(slot))
            virtio->q_size[slot->queue_sel] = (uint16_t)SM_MIN(value, UINT16_MAX);
        break;
    case REG_QUEUE_NOTIFY: virtio_queue_notify(virtio, value); break;
    case REG_INTERRUPT_ACK: virtio_ack(virtio, value); break;
    case REG_STATUS: write_status(slot, value); break;
    default:
        if (slot->legacy)
            write_legacy(slot, offset, value);
        else
            write_modern(slot, offset, value);
        break;
    }
}

static enum sm_tx mmio_write(void *dev, uint64_t offset, unsigned size,
                             const struct sm_attrs *attrs, uint64_t value)
{
    struct virtio_mmio *slot = dev;

    if (!slot->virtio)
        return SM_TX_OK;
    if (offset >= REG_CONFIG)
        virtio_config_write(slot->virtio, offset - REG_CONFIG, size, value);
    else if (size == 4)
        write_reg(slot, offset, (uint32_t)value);
    return SM_TX_OK;
}

static const struct sm_io_ops mmio_ops = {
    .struct_size = sizeof(struct sm_io_ops),
    .read = mmio_read, .write = mmio_write, .peek = mmio_peek,
    .accepts = {1, 8, false}, .implements = {1, 4, false},
};

/* --- Life ------------------------------------------------------------------------- */

static void model_reset(void *device)
{
    virtio_mmio_reset(device);
}

static void model_free(void *device)
{
    virtio_mmio_free(device);
}

const struct dev_model virtio_mmio_model = {
    .type = "virtio-mmio", .fields = mmio_fields, .n_fields = SM_ARRAY_LEN(mmio_fields),
    .reset = model_reset, .free = model_free,
};

int virtio_mmio_new(const struct virtio_mmio_options *options, struct virtio_mmio **out)
{
    struct virtio_mmio *slot = calloc(1, sizeof(*slot));
    int error;

    if (!slot)
        return -ENOMEM;
    slot->work.run = run_work;
    slot->space = options->space;
    slot->irq = options->irq;
    slot->requester = options->requester;
    slot->legacy = options->legacy;
    dev_fields_reset(slot, mmio_fields, SM_ARRAY_LEN(mmio_fields));
    error = sm_device_new(options->topo, "virtio-mmio", slot, &slot->device);
    if (!error)
        error = sm_region_new_io(slot->device, "virtio-mmio", REGION_SIZE - 1, &mmio_ops,
                                 &slot->region);
    if (error) {
        dev_device_free(slot->device);
        free(slot);
        return error;
    }
    *out = slot;
    return 0;
}

void virtio_mmio_free(struct virtio_mmio *slot)
{
    if (!slot)
        return;
    virtio_free(slot->virtio);
    dev_region_free(slot->region);
    dev_device_free(slot->device);
    free(slot);
}

void virtio_mmio_reset(struct virtio_mmio *slot)
{
    sm_device_lock(slot->device);
    dev_fields_reset(slot, mmio_fields, SM_ARRAY_LEN(mmio_fields));
    sm_device_unlock(slot->device);
    if (slot->virtio)
        virtio_reset(slot->virtio);
    else
        dev_line_set(&slot->irq, false);
}

struct sm_region *virtio_mmio_region(struct virtio_mmio *slot)
{
    return slot->region;
}

void virtio_mmio_plug(struct virtio_mmio *slot, struct virtio *device)
{
    sm_assert(!slot->virtio);
    slot->virtio = device;
    slot->work.flags = device->ops->work_flags;
    virtio_attach(device, &(struct virtio_bus){
                              .device = slot->device,
                              .work = &slot->work,
                              .space = slot->space,
                              .attrs = {.requester = slot->requester,
                                        .process = SM_NO_PROCESS},
                              .legacy = slot->legacy,
                              .interrupt = interrupt,
                              .transport = slot,
                          });
}

bool virtio_mmio_plugged(const struct virtio_mmio *slot)
{
    return slot->virtio != NULL;
}
