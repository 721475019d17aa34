/* SPDX-License-Identifier: MIT */
/* driver.h - a guest's virtio driver in miniature, a device that records what it is
 * given, and memory behind callbacks that answers differently the second time.
 */
#ifndef TESTS_DEVICES_DRIVER_H
#define TESTS_DEVICES_DRIVER_H

#include "fake.h"

#include "devices/virtio.h"

enum {
    R_MAGIC = 0x00, R_VERSION = 0x04, R_DEVICE_ID = 0x08, R_VENDOR = 0x0c,
    R_DEV_FEATURES = 0x10, R_DEV_FEATURES_SEL = 0x14, R_DRV_FEATURES = 0x20,
    R_DRV_FEATURES_SEL = 0x24, R_PAGE_SIZE = 0x28, R_QUEUE_SEL = 0x30,
    R_QUEUE_NUM_MAX = 0x34, R_QUEUE_NUM = 0x38, R_QUEUE_ALIGN = 0x3c, R_QUEUE_PFN = 0x40,
    R_QUEUE_READY = 0x44, R_QUEUE_NOTIFY = 0x50, R_ISR = 0x60, R_ACK = 0x64,
    R_STATUS = 0x70, R_DESC_LOW = 0x80, R_DRIVER_LOW = 0x90, R_DEVICE_LOW = 0xa0,
    R_SHM = 0xb0, R_GENERATION = 0xfc, R_CONFIG = 0x100,

    D_NEXT = 1, D_WRITE = 2, D_INDIRECT = 4,

    /* Where the driver keeps things, in its memory. */
    G_DESC = RAM_BASE + 0x10000, G_AVAIL = RAM_BASE + 0x18000,
    G_USED = RAM_BASE + 0x20000, G_TABLE = RAM_BASE + 0x30000,
    G_DATA = RAM_BASE + 0x100000,

    SLOT_LINE = 0
};

struct driver {
    struct bench *bench;
    sm_gpa regs, desc, avail, used;
    uint16_t size, avail_idx, used_seen;
};

SM_INLINE uint32_t reg_read(struct driver *d, unsigned reg)
{
    return (uint32_t)bench_load(d->bench, d->regs + reg, 4);
}

SM_INLINE void reg_write(struct driver *d, unsigned reg, uint32_t value)
{
    bench_store(d->bench, d->regs + reg, 4, value);
}

SM_INLINE uint64_t driver_offered(struct driver *d)
{
    uint64_t features;

    reg_write(d, R_DEV_FEATURES_SEL, 1);
    features = (uint64_t)reg_read(d, R_DEV_FEATURES) << 32;
    reg_write(d, R_DEV_FEATURES_SEL, 0);
    return features | reg_read(d, R_DEV_FEATURES);
}

SM_INLINE void driver_accept(struct driver *d, uint64_t features)
{
    reg_write(d, R_DRV_FEATURES_SEL, 1);
    reg_write(d, R_DRV_FEATURES, (uint32_t)(features >> 32));
    reg_write(d, R_DRV_FEATURES_SEL, 0);
    reg_write(d, R_DRV_FEATURES, (uint32_t)features);
}

/** Tell the device where queue 0 lies, and begin it. */
SM_INLINE void driver_queue(struct driver *d)
{
    reg_write(d, R_QUEUE_SEL, 0);
    reg_write(d, R_QUEUE_NUM, d->size);
    reg_write(d, R_DESC_LOW, (uint32_t)d->desc);
    reg_write(d, R_DESC_LOW + 4, (uint32_t)(d->desc >> 32));
    reg_write(d, R_DRIVER_LOW, (uint32_t)d->avail);
    reg_write(d, R_DRIVER_LOW + 4, (uint32_t)(d->avail >> 32));
    reg_write(d, R_DEVICE_LOW, (uint32_t)d->used);
    reg_write(d, R_DEVICE_LOW + 4, (uint32_t)(d->used >> 32));
    reg_write(d, R_QUEUE_READY, 1);
}

/** The whole of a modern driver's initialisation, with rings in cleared RAM. */
SM_INLINE void driver_start(struct driver *d, struct bench *bench, sm_gpa regs,
                            uint64_t features, uint16_t size)
{
    static const char zero[0x40000];

    *d = (struct driver){.bench = bench, .regs = regs, .desc = G_DESC, .avail = G_AVAIL,
                         .used = G_USED, .size = size};
    bench_write(bench, G_DESC, zero, sizeof(zero));
    reg_write(d, R_STATUS, 0);
    reg_write(d, R_STATUS, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER);
    driver_accept(d, features);
    reg_write(d, R_STATUS, VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK);
    assert_true(reg_read(d, R_STATUS) & VIRTIO_FEATURES_OK);
    driver_queue(d);
    assert_int_equal(reg_read(d, R_QUEUE_READY), 1);
    reg_write(d, R_STATUS,
              VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK);
    bench_work(bench);
}

SM_INLINE void put_desc(struct driver *d, sm_gpa table, unsigned i, sm_gpa gpa,
                        uint32_t size, uint16_t flags, uint16_t next)
{
    const struct virtq_desc desc = {gpa, size, flags, next};

    bench_write(d->bench, table + i * sizeof(desc), &desc, sizeof(desc));
}

SM_INLINE void driver_offer(struct driver *d, uint16_t head)
{
    bench_store(d->bench, d->avail + 4 + 2 * (uint64_t)(d->avail_idx++ % d->size), 2,
                head);
    bench_store(d->bench, d->avail + 2, 2, d->avail_idx);
}

SM_INLINE void driver_notify(struct driver *d)
{
    reg_write(d, R_QUEUE_NOTIFY, 0);
    bench_work(d->bench);
}

/** Take the next used entry. */
SM_INLINE bool driver_reap(struct driver *d, uint32_t *id, uint32_t *written)
{
    const sm_gpa entry = d->used + 4 + 8 * (uint64_t)(d->used_seen % d->size);

    if ((uint16_t)bench_load(d->bench, d->used + 2, 2) == d->used_seen)
        return false;
    *id = (uint32_t)bench_load(d->bench, entry, 4);
    *written = (uint32_t)bench_load(d->bench, entry + 4, 4);
    d->used_seen++;
    return true;
}

SM_INLINE void expect_used(struct driver *d, uint32_t id, uint32_t written)
{
    uint32_t found_id = 0, found_written = 0;

    assert_true(driver_reap(d, &found_id, &found_written));
    assert_int_equal(found_id, id);
    assert_int_equal(found_written, written);
}

SM_INLINE void expect_nothing_used(struct driver *d)
{
    uint32_t id, written;

    assert_false(driver_reap(d, &id, &written));
}

/* --- A device that records what it is given --------------------------------------- */

enum { ECHO_MAX = 64 };

struct echo {
    struct virtio virtio;
    bool keep; /* chains are not pushed                                             */
    uint32_t written;
    unsigned n, n_quiesced;
    struct {
        struct virtq_chain chain;
        struct virtq_seg seg[ECHO_MAX];
    } got[ECHO_MAX];
};

SM_INLINE void echo_kick(struct virtio *virtio, struct virtq *queue)
{
    struct echo *echo = sm_container_of(virtio, struct echo, virtio);
    struct virtq_chain chain;

    for (unsigned i = 0; i < queue->place.size && virtq_pop(queue, &chain) == VIRTQ_CHAIN;
         i++) {
        const unsigned at = echo->n++ % ECHO_MAX;

        echo->got[at].chain = chain;
        memcpy(echo->got[at].seg, chain.out,
               SM_MIN(chain.n_out + chain.n_in, (unsigned)ECHO_MAX) *
                   sizeof(struct virtq_seg));
        if (!echo->keep)
            virtq_push(queue, chain.head, chain.epoch, echo->written);
    }
    virtq_notify(queue);
}

SM_INLINE void echo_quiesce(struct virtio *virtio)
{
    sm_container_of(virtio, struct echo, virtio)->n_quiesced++;
}

SM_INLINE void echo_config_write(struct virtio *virtio, unsigned offset, uint8_t value)
{
    virtio->config[offset] = value;
}

SM_INLINE void echo_free(struct virtio *virtio)
{
    (void)virtio; /* part of the test's fixture                                    */
}

static const struct virtio_ops echo_ops = {
    .type = "echo", .device_id = 42, .n_queues = 2, .config_size = 10, .kick = echo_kick,
    .quiesce = echo_quiesce, .config_write = echo_config_write, .free = echo_free,
};

SM_INLINE struct virtio *echo_init(struct echo *echo)
{
    memset(echo, 0, sizeof(*echo));
    echo->virtio.ops = &echo_ops;
    echo->virtio.device_features = 1 | UINT64_C(1) << 40;
    for (uint8_t i = 0; i < 10; i++)
        echo->virtio.config[i] = (uint8_t)(0x10 + i);
    return &echo->virtio;
}

/* --- Memory that changes behind the reader's back --------------------------------- */

enum { SHIFTY_SIZE = 0x20000, SHIFTY_BASE = 0x40000000 };

struct shifty {
    struct sm_device *device;
    struct sm_region *region;
    uint8_t first[SHIFTY_SIZE];  /* what a first read gives                         */
    uint8_t second[SHIFTY_SIZE]; /* ... and every later one                         */
    uint8_t n_reads[SHIFTY_SIZE];
};

SM_INLINE enum sm_tx shifty_read(void *dev, uint64_t offset, unsigned size,
                                 const struct sm_attrs *attrs, uint64_t *value)
{
    struct shifty *shifty = dev;

    *value = 0;
    for (unsigned i = 0; i < size; i++) {
        const uint64_t at = offset + i;
        const uint8_t byte = shifty->n_reads[at] ? shifty->second[at] : shifty->first[at];

        shifty->n_reads[at] = (uint8_t)SM_MIN(shifty->n_reads[at] + 1, 255);
        *value |= (uint64_t)byte << (8 * i);
    }
    return SM_TX_OK;
}

SM_INLINE enum sm_tx shifty_write(void *dev, uint64_t offset, unsigned size,
                                  const struct sm_attrs *attrs, uint64_t value)
{
    struct shifty *shifty = dev;

    for (unsigned i = 0; i < size; i++)
        shifty->first[offset + i] = shifty->second[offset + i] =
            (uint8_t)(value >> (8 * i));
    return SM_TX_OK;
}

static const struct sm_io_ops shifty_ops = {
    .struct_size = sizeof(struct sm_io_ops), .read = shifty_read, .write = shifty_write,
    .accepts = {1, 8, true}, .implements = {1, 8, true},
};

SM_INLINE struct shifty *shifty_new(struct bench *bench)
{
    struct shifty *shifty = calloc(1, sizeof(*shifty));

    assert_int_equal(sm_device_new(bench->topo, "shifty", shifty, &shifty->device), 0);
    assert_int_equal(sm_region_new_io(shifty->device, "shifty", SHIFTY_SIZE - 1,
                                      &shifty_ops, &shifty->region),
                     0);
    bench_map(bench, SHIFTY_BASE, shifty->region);
    return shifty;
}

SM_INLINE void shifty_free(struct bench *bench, struct shifty *shifty)
{
    bench_unmap(bench, shifty->region);
    dev_region_free(shifty->region);
    dev_device_free(shifty->device);
    free(shifty);
}

#endif
