/* SPDX-License-Identifier: MIT */
/* virtio.h - what a virtio device implements, what a transport lends it, and the
 * queues between.
 *
 *   virtio.c       what all devices and transports share: negotiation, status, the
 *                  queues' registers, interrupts, the work that serves the queues
 *   virtqueue.c    split rings; payload of a chain as host memory
 *   virtio_mmio.c  the transport over MMIO registers
 *   virtio_blk.c virtio_rng.c   devices
 *
 * Layer:    devices, private
 * Source:   Virtual I/O Device (VIRTIO) Version 1.3
 * Threads:  the transport's callbacks run under its device's lock and change
 *           registers only.  Rings and buffers are touched in deferred work alone,
 *           which runs on one thread at a time with no lock held.
 *
 * A queue's epoch counts its enablings and resets.  The work's own copy of a queue
 * carries the epoch that it was made in, and so does each request under way: what
 * ends in a later epoch is dropped.
 */
#ifndef DEVICES_VIRTIO_H
#define DEVICES_VIRTIO_H

#include <sys/uio.h>

#include "base/base.h"
#include "devices/devices.h"
#include "softmmu/window.h"

enum {
    VIRTIO_MAX_QUEUES = 8,
    VIRTQ_MAX_SIZE = 1024,  /* also of an indirect table                           */
    VIRTIO_MAX_CONFIG = 64,
    VIRTIO_MAX_BOUNCE = 1 << 20 /* bytes of copies that one device holds at once   */
};

/** Bits of the status register. */
enum {
    VIRTIO_ACKNOWLEDGE = 1, VIRTIO_DRIVER = 2, VIRTIO_DRIVER_OK = 4,
    VIRTIO_FEATURES_OK = 8, VIRTIO_NEEDS_RESET = 0x40, VIRTIO_FAILED = 0x80
};
/** Bits of the interrupt status. */
enum { VIRTIO_ISR_QUEUE = 1, VIRTIO_ISR_CONFIG = 2 };
/** Feature bits of queues and transport. */
#define VIRTIO_F_ANY_LAYOUT    (UINT64_C(1) << 27)
#define VIRTIO_F_INDIRECT_DESC (UINT64_C(1) << 28)
#define VIRTIO_F_EVENT_IDX     (UINT64_C(1) << 29)
#define VIRTIO_F_VERSION_1     (UINT64_C(1) << 32)

/* --- Queues: virtqueue.c --------------------------------------------------------- */

/** One buffer of a chain. */
struct virtq_seg {
    sm_gpa gpa;
    uint32_t size;
};

/** A descriptor as it lies in guest memory. */
struct virtq_desc {
    uint64_t gpa;
    uint32_t size;
    uint16_t flags, next;
};

/** Where a queue lies; what its work copies when the epoch has changed. */
struct virtq_place {
    sm_gpa desc, driver, device; /* descriptor table, available ring, used ring    */
    uint32_t epoch;
    uint16_t size;
    bool ready;
};

/** The work's own side of a queue. */
struct virtq {
    struct virtio *virtio;
    unsigned index;
    struct virtq_place place;
    struct sm_window desc_window, avail_window, used_window; /* of .place            */
    bool indirect, event_idx;
    bool pushed;         /* something returned since the last virtq_notify()       */
    bool signalled;      /* .signalled_at holds                                    */
    uint16_t last_avail; /* next entry of the available ring                       */
    uint16_t seen_avail; /* its index, as last read                                */
    uint16_t used;       /* next entry of the used ring                            */
    uint16_t signalled_at; /* .used when the driver was last looked at             */
    uint16_t in_flight;  /* chains popped, not yet pushed                          */
};

/** A chain, checked.  Its buffers live until the next virtq_pop() of the device. */
struct virtq_chain {
    uint16_t head;
    uint32_t epoch;
    unsigned n_out, n_in;        /* buffers that the device reads, and writes       */
    const struct virtq_seg *out, *in;
    uint64_t out_size, in_size;  /* bytes, below 2^32 together                      */
};

enum virtq_result { VIRTQ_EMPTY, VIRTQ_CHAIN };

/** Begin anew at @place, with nothing in flight. */
void virtq_start(struct virtq *queue, const struct virtq_place *place);
/** Take the next chain.  What breaks the rules of a ring stops the device. */
enum virtq_result virtq_pop(struct virtq *queue, struct virtq_chain *chain);
/** Tell whether what was popped in @epoch may still be returned. */
bool virtq_current(const struct virtq *queue, uint32_t epoch);
/** Return the chain @head with @written bytes, or drop it when @epoch is over. */
void virtq_push(struct virtq *queue, uint16_t head, uint32_t epoch, uint32_t written);
/** Interrupt the driver if something was returned that it wants to hear of. */
void virtq_notify(struct virtq *queue);

/** Write what the driver lent in @epoch.  After that epoch nothing is written: to RAM
 *  it is done under the device's lock, and so a reset finds or forestalls it.
 *  Returns  false when the guest's memory refused */
SM_MUST_CHECK bool virtq_write(struct virtq *queue, uint32_t epoch, sm_gpa gpa,
                               const void *data, uint64_t size);

/** Copy @size bytes out of, or into, the buffers @seg from byte @offset on.
 *  Returns  false when the guest's memory did not take part */
SM_MUST_CHECK bool virtq_gather(struct virtio *virtio, const struct virtq_seg *seg,
                                unsigned n, uint64_t offset, void *data, uint64_t size);
SM_MUST_CHECK bool virtq_scatter(struct virtq *queue, uint32_t epoch,
                                 const struct virtq_seg *seg, unsigned n, uint64_t offset,
                                 const void *data, uint64_t size);

/** Payload of a request as host memory: the guest's, or a copy of what is no RAM. */
struct virtio_payload {
    struct iovec *iov;
    unsigned n_iov;
    struct sm_mapping *mapping;
    unsigned n_mapping;
    void *bounce;
    struct virtq_seg *bounce_seg; /* where the copy goes back to                   */
    unsigned n_bounce_seg;
    uint64_t size;
};

/** Make bytes @offset.. of @seg, @size of them, host memory for @access by a device.
 *  Errors   -EFAULT the guest's memory does not answer; -ENOMEM; -E2BIG the copies
 *           would exceed VIRTIO_MAX_BOUNCE */
SM_MUST_CHECK int virtio_payload_map(struct virtio *virtio, const struct virtq_seg *seg,
                                     unsigned n, uint64_t offset, uint64_t size,
                                     enum sm_access access,
                                     struct virtio_payload *payload);
/** Bring what was written to a copy back to the guest. */
SM_MUST_CHECK bool virtio_payload_flush(struct virtq *queue, uint32_t epoch,
                                        const struct virtio_payload *payload);
void virtio_payload_unmap(struct virtio *virtio, struct virtio_payload *payload);

/* --- Devices ---------------------------------------------------------------------- */

struct virtio_ops {
    const char *type;
    uint32_t device_id;
    unsigned n_queues;
    unsigned config_size;
    uint32_t work_flags; /* SM_WORK_IO: kick() may take long                        */
    /** Serve @queue, which the driver notified.  Work. */
    void (*kick)(struct virtio *virtio, struct virtq *queue);
    /** Take in what the host end completed since.  Work.  May be NULL. */
    void (*completed)(struct virtio *virtio);
    /** End what is under way: its epochs are over.  Work, or with the machine
     *  stopped; may wait for the host.  May be NULL. */
    void (*quiesce)(struct virtio *virtio);
    /** Put .config into its reset state.  Device lock held.  May be NULL. */
    void (*config_reset)(struct virtio *virtio);
    /** Write a byte of the configuration.  Device lock held.  NULL: read-only. */
    void (*config_write)(struct virtio *virtio, unsigned offset, uint8_t value);
    void (*free)(struct virtio *virtio);
};

/** What a transport lends the device in it. */
struct virtio_bus {
    struct sm_device *device;
    struct sm_work *work; /* runs virtio_run()                                      */
    struct sm_address_space *space;
    struct sm_attrs attrs;
    bool legacy;
    /** .isr has changed.  Device lock held. */
    void (*interrupt)(void *transport);
    void *transport;
};

/** Common part of a device; zeroed by its maker, but .ops and .device_features. */
struct virtio {
    const struct virtio_ops *ops;
    uint64_t device_features; /* the device's own                                   */
    struct virtio_bus bus;

    /* Registers, under the device's lock; .epoch is also read without it. */
    uint64_t driver_features; /* as written                                         */
    uint64_t accepted;        /* in force                                           */
    uint32_t isr, config_generation;
    uint8_t status;
    uint8_t broken;           /* the driver broke the rules: until a reset          */
    uint8_t config[VIRTIO_MAX_CONFIG];
    uint64_t q_desc[VIRTIO_MAX_QUEUES], q_driver[VIRTIO_MAX_QUEUES];
    uint64_t q_device[VIRTIO_MAX_QUEUES];
    uint16_t q_size[VIRTIO_MAX_QUEUES];
    uint8_t q_ready[VIRTIO_MAX_QUEUES];
    uint8_t q_notified[VIRTIO_MAX_QUEUES];
    uint32_t epoch[VIRTIO_MAX_QUEUES]; /* never reset                               */
    bool quiesce;                      /* the work is to call ops->quiesce()        */

    /* The work's. */
    uint64_t features; /* .accepted, copied                                         */
    struct virtq queue[VIRTIO_MAX_QUEUES];
    uint64_t bounced;  /* bytes of copies that are held                             */
    struct virtq_seg chain[VIRTQ_MAX_SIZE];
    struct virtq_desc table[VIRTQ_MAX_SIZE];
};

/* --- For transports; under the device's lock unless stated: virtio.c -------------- */

/** Put @virtio behind @bus, before the machine runs. */
void virtio_attach(struct virtio *virtio, const struct virtio_bus *bus);
/** All that is offered on its bus. */
uint64_t virtio_offered(const struct virtio *virtio);
/** Write half @word of the driver's features. */
void virtio_set_features(struct virtio *virtio, unsigned word, uint32_t value);
void virtio_set_status(struct virtio *virtio, uint8_t value);
void virtio_ack(struct virtio *virtio, uint32_t bits);
/** Begin or end to use queue @n at the addresses in the registers. */
void virtio_queue_enable(struct virtio *virtio, unsigned n, bool ready);
void virtio_queue_notify(struct virtio *virtio, uint32_t n);
uint64_t virtio_config_read(const struct virtio *virtio, uint64_t offset, unsigned size);
void virtio_config_write(struct virtio *virtio, uint64_t offset, unsigned size,
                         uint64_t value);
/** Serve queues and completions.  The transport's work calls it, holding nothing. */
void virtio_run(struct virtio *virtio);
/** Reset.  Holding nothing, with the machine stopped. */
void virtio_reset(struct virtio *virtio);
/** Holding nothing, with the machine stopped. */
void virtio_free(struct virtio *virtio);

/* --- For devices and queues; work, holding nothing -------------------------------- */

/** Say that @queue returned something. */
void virtio_interrupt(struct virtq *queue);
/** Stop until the next reset: what @queue holds breaks the rules. */
void virtio_fail(struct virtq *queue);
/** Have kick() called for @queue again. */
void virtio_kick_again(struct virtq *queue);

#endif
