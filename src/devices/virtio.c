/* SPDX-License-Identifier: MIT */
/* virtio.c - what all virtio devices and transports share: negotiation, status, the
 * registers of queues, interrupts, and the work that serves the queues.
 *
 * Layer: devices.  Threads: see virtio.h.
 */
#include "devices/virtio.h"

#include <string.h>

#include "base/atomic.h"

static const struct dev_field virtio_fields[] = {
    DEV_FIELD(struct virtio, driver_features, 0),
    DEV_FIELD(struct virtio, accepted, 0),
    DEV_FIELD(struct virtio, isr, 0),
    DEV_FIELD(struct virtio, status, 0),
    DEV_FIELD(struct virtio, broken, 0),
    DEV_ARRAY(struct virtio, q_desc, 0),
    DEV_ARRAY(struct virtio, q_driver, 0),
    DEV_ARRAY(struct virtio, q_device, 0),
    DEV_ARRAY(struct virtio, q_size, VIRTQ_MAX_SIZE),
    DEV_ARRAY(struct virtio, q_ready, 0),
    DEV_ARRAY(struct virtio, q_notified, 0),
};

static void lock(struct virtio *virtio)
{
    sm_device_lock(virtio->bus.device);
}

static void unlock(struct virtio *virtio)
{
    sm_device_unlock(virtio->bus.device);
}

static void defer(struct virtio *virtio)
{
    sm_device_defer(virtio->bus.device, virtio->bus.work);
}

/* --- Registers -------------------------------------------------------------------- */

static void reset_registers(struct virtio *virtio)
{
    dev_fields_reset(virtio, virtio_fields, SM_ARRAY_LEN(virtio_fields));
    for (unsigned n = 0; n < virtio->ops->n_queues; n++)
        sm_store_relaxed(&virtio->epoch[n], virtio->epoch[n] + 1);
    if (virtio->ops->config_reset)
        virtio->ops->config_reset(virtio);
    virtio->bus.interrupt(virtio->bus.transport);
}

void virtio_attach(struct virtio *virtio, const struct virtio_bus *bus)
{
    virtio->bus = *bus;
    for (unsigned n = 0; n < VIRTIO_MAX_QUEUES; n++) {
        virtio->queue[n].virtio = virtio;
        virtio->queue[n].index = n;
    }
    lock(virtio);
    reset_registers(virtio);
    unlock(virtio);
}

uint64_t virtio_offered(const struct virtio *virtio)
{
    const uint64_t rings = VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX;

    /* A legacy driver knows 32 bits; devices here take any layout of buffers. */
    if (virtio->bus.legacy)
        return (uint32_t)virtio->device_features | rings | VIRTIO_F_ANY_LAYOUT;
    return virtio->device_features | rings | VIRTIO_F_VERSION_1;
}

void virtio_set_features(struct virtio *virtio, unsigned word, uint32_t value)
{
    if (word > 1 || (virtio->status & VIRTIO_FEATURES_OK))
        return;
    if (word == 0)
        virtio->driver_features =
            (virtio->driver_features & ~(uint64_t)UINT32_MAX) | value;
    else
        virtio->driver_features =
            (virtio->driver_features & UINT32_MAX) | (uint64_t)value << 32;
    /* Legacy knows no FEATURES_OK: what was written is in force. */
    if (virtio->bus.legacy)
        virtio->accepted = virtio->driver_features & virtio_offered(virtio);
}

void virtio_set_status(struct virtio *virtio, uint8_t value)
{
    if (value == 0) {
        reset_registers(virtio);
        virtio->quiesce = true;
        defer(virtio);
        return;
    }
    if (!virtio->bus.legacy && (value & ~virtio->status & VIRTIO_FEATURES_OK)) {
        /* A driver that goes without VERSION_1 is served: xv6 is one. */
        if (virtio->driver_features & ~virtio_offered(virtio))
            value &= (uint8_t)~VIRTIO_FEATURES_OK;
        else
            virtio->accepted = virtio->driver_features;
    }
    virtio->status = (uint8_t)((value & ~VIRTIO_NEEDS_RESET) |
                               (virtio->status & VIRTIO_NEEDS_RESET));
    if (value & VIRTIO_DRIVER_OK)
        defer(virtio); /* queues may have been notified before                     */
}

void virtio_ack(struct virtio *virtio, uint32_t bits)
{
    virtio->isr &= ~bits;
    virtio->bus.interrupt(virtio->bus.transport);
}

void virtio_queue_enable(struct virtio *virtio, unsigned n, bool ready)
{
    const uint16_t size = virtio->q_size[n];

    /* An index of a ring wraps at 2^16, so only powers of two are sizes. */
    if (ready && (!size || size > VIRTQ_MAX_SIZE || (size & (size - 1))))
        return;
    virtio->q_ready[n] = ready;
    virtio->q_notified[n] = 0;
    sm_store_relaxed(&virtio->epoch[n], virtio->epoch[n] + 1);
    if (!ready) {
        virtio->quiesce = true;
        defer(virtio);
    }
}

void virtio_queue_notify(struct virtio *virtio, uint32_t n)
{
    if (n < virtio->ops->n_queues && virtio->q_ready[n]) {
        virtio->q_notified[n] = 1;
        defer(virtio);
    }
}

uint64_t virtio_config_read(const struct virtio *virtio, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++) {
        /* Beyond the end there is nothing; a driver looks there for newer fields. */
        if (offset + i < virtio->ops->config_size)
            value |= (uint64_t)sm_load_relaxed(&virtio->config[offset + i]) << (8 * i);
    }
    return value;
}

void virtio_config_write(struct virtio *virtio, uint64_t offset, unsigned size,
                         uint64_t value)
{
    for (unsigned i = 0; virtio->ops->config_write && i < size; i++) {
        if (offset + i < virtio->ops->config_size)
            virtio->ops->config_write(virtio, (unsigned)offset + i,
                                      (uint8_t)(value >> (8 * i)));
    }
}

/* --- Work ------------------------------------------------------------------------- */

/** Tell whether queues are served.  Legacy drivers use them before DRIVER_OK. */
static bool is_live(const struct virtio *virtio)
{
    return !virtio->broken && (virtio->bus.legacy || (virtio->status & VIRTIO_DRIVER_OK));
}

static struct virtq_place place_of(const struct virtio *virtio, unsigned n)
{
    return (struct virtq_place){
        .desc = virtio->q_desc[n], .driver = virtio->q_driver[n],
        .device = virtio->q_device[n], .epoch = virtio->epoch[n],
        .size = virtio->q_size[n], .ready = virtio->q_ready[n],
    };
}

void virtio_run(struct virtio *virtio)
{
    const unsigned n_queues = virtio->ops->n_queues;
    struct virtq_place place[VIRTIO_MAX_QUEUES];
    bool notified[VIRTIO_MAX_QUEUES] = {false};
    bool quiesce;

    lock(virtio);
    quiesce = virtio->quiesce;
    virtio->quiesce = false;
    virtio->features = virtio->accepted;
    for (unsigned n = 0; n < n_queues; n++) {
        place[n] = place_of(virtio, n);
        if (is_live(virtio) && virtio->q_notified[n]) {
            virtio->q_notified[n] = 0;
            notified[n] = true;
        }
    }
    unlock(virtio);

    for (unsigned n = 0; n < n_queues; n++) {
        struct virtq *queue = &virtio->queue[n];

        if (queue->place.epoch != place[n].epoch)
            virtq_start(queue, &place[n]);
        queue->indirect = virtio->features & VIRTIO_F_INDIRECT_DESC;
        queue->event_idx = virtio->features & VIRTIO_F_EVENT_IDX;
    }
    /* After a reset the driver reuses the memory that requests still point to: they
     * end here, before the vCPU that asked goes on. */
    if (quiesce && virtio->ops->quiesce)
        virtio->ops->quiesce(virtio);
    if (virtio->ops->completed)
        virtio->ops->completed(virtio);
    for (unsigned n = 0; n < n_queues; n++) {
        if (notified[n])
            virtio->ops->kick(virtio, &virtio->queue[n]);
    }
}

void virtio_interrupt(struct virtq *queue)
{
    struct virtio *virtio = queue->virtio;

    lock(virtio);
    if (virtq_current(queue, queue->place.epoch)) {
        virtio->isr |= VIRTIO_ISR_QUEUE;
        virtio->bus.interrupt(virtio->bus.transport);
    }
    unlock(virtio);
}

void virtio_fail(struct virtq *queue)
{
    struct virtio *virtio = queue->virtio;

    lock(virtio);
    if (virtq_current(queue, queue->place.epoch)) {
        virtio->broken = 1;
        if (!virtio->bus.legacy) {
            virtio->status |= VIRTIO_NEEDS_RESET;
            if (virtio->status & VIRTIO_DRIVER_OK) {
                virtio->isr |= VIRTIO_ISR_CONFIG;
                virtio->bus.interrupt(virtio->bus.transport);
            }
        }
    }
    unlock(virtio);
    queue->place.ready = false; /* until virtq_start()                             */
}

void virtio_kick_again(struct virtq *queue)
{
    struct virtio *virtio = queue->virtio;

    lock(virtio);
    if (virtq_current(queue, queue->place.epoch))
        virtio_queue_notify(virtio, queue->index);
    unlock(virtio);
}

/* --- Life ------------------------------------------------------------------------- */

void virtio_reset(struct virtio *virtio)
{
    lock(virtio);
    reset_registers(virtio);
    virtio->quiesce = false;
    unlock(virtio);
    if (virtio->ops->quiesce)
        virtio->ops->quiesce(virtio);
}

void virtio_free(struct virtio *virtio)
{
    if (!virtio)
        return;
    if (virtio->bus.device)
        virtio_reset(virtio);
    virtio->ops->free(virtio);
}
