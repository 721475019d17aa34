/* SPDX-License-Identifier: MIT */
/* virtio_blk.c - a disk, with as many requests under way as the driver gives it.
 *
 * Layer:    devices
 * Source:   VIRTIO 1.3, "Block Device"
 * Threads:  work, but done(), which comes on any thread and only hands the request
 *           over to the next work.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "devices/virtio.h"

enum {
    DEVICE_ID = 2,
    SECTOR = 512,
    ID_SIZE = 20,
    SEG_MAX = 254, /* buffers of data in a request, so that 256 hold header and status */

    /* Feature bits */
    F_SEG_MAX = 1 << 2, F_RO = 1 << 5, F_BLK_SIZE = 1 << 6, F_FLUSH = 1 << 9,
    F_TOPOLOGY = 1 << 10, F_CONFIG_WCE = 1 << 11,

    /* Request types and status */
    T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8,
    S_OK = 0, S_IOERR = 1, S_UNSUPP = 2,

    /* Configuration */
    C_CAPACITY = 0, C_SEG_MAX = 12, C_BLK_SIZE = 20, C_MIN_IO = 26, C_WRITEBACK = 32,
    C_NUM_QUEUES = 34, C_SIZE = 60
};

struct virtio_blk {
    struct virtio virtio;
    const struct dev_blk *blk;
    char serial[ID_SIZE];
    struct blk_request *done; /* stack of completed requests; atomic                */
};

/** What precedes the data of a request, as the driver writes it. */
struct blk_header {
    uint32_t type, reserved;
    uint64_t sector;
};

/** What an answer goes to. */
struct reply {
    struct virtq *queue;
    uint16_t head;
    uint32_t epoch;
    uint32_t in_size; /* bytes of all buffers that the device writes                */
    sm_gpa status;    /* the last of them                                           */
};

struct blk_request {
    struct dev_blk_request host;
    struct virtio_blk *disk;
    struct blk_request *next; /* in .done                                           */
    struct reply reply;
    bool flush_after;     /* the driver relies on a cache that writes through       */
    int error;
    struct virtio_payload payload;
};

static struct virtio_blk *to_disk(struct virtio *virtio)
{
    return sm_container_of(virtio, struct virtio_blk, virtio);
}

/* --- Ending a request ------------------------------------------------------------- */

static struct reply reply_to(struct virtq *queue, const struct virtq_chain *chain)
{
    const struct virtq_seg *last = &chain->in[chain->n_in - 1];

    return (struct reply){queue, chain->head, chain->epoch, (uint32_t)chain->in_size,
                          last->gpa + last->size - 1};
}

/** Answer, with @n bytes of data before the status; the length that the driver gets
 *  counts from the first byte as far as there is no gap. */
static void answer(const struct reply *reply, uint8_t status, uint32_t n)
{
    /* A reply whose epoch is over is nobody's, and no rule was broken by it. */
    if (!virtq_current(reply->queue, reply->epoch))
        return;
    if (!virtq_write(reply->queue, reply->epoch, reply->status, &status, 1)) {
        virtio_fail(reply->queue);
        return;
    }
    if (n + 1 == reply->in_size)
        n++;
    virtq_push(reply->queue, reply->head, reply->epoch, n);
}

/** @request is with the host no more: go on with it, or answer and free it. */
static void finish(struct blk_request *request)
{
    struct virtio_blk *disk = request->disk;
    const bool read = request->host.op == DEV_BLK_READ;
    const bool current = virtq_current(request->reply.queue, request->reply.epoch);
    int error = request->error;

    if (request->flush_after && !error && current) {
        request->flush_after = false;
        request->host.op = DEV_BLK_FLUSH;
        request->host.iov = NULL;
        request->host.n_iov = 0;
        disk->blk->submit(disk->blk->opaque, &request->host);
        return;
    }
    if (read && !error &&
        !virtio_payload_flush(request->reply.queue, request->reply.epoch,
                              &request->payload))
        error = -EFAULT;
    virtio_payload_unmap(&disk->virtio, &request->payload);
    answer(&request->reply, error ? S_IOERR : S_OK,
           read && !error ? request->reply.in_size - 1 : 0);
    free(request);
}

/** The host end's answer. */
static void request_done(struct dev_blk_request *host, int error)
{
    struct blk_request *request = sm_container_of(host, struct blk_request, host);
    struct virtio_blk *disk = request->disk;
    struct blk_request *top = sm_load_relaxed(&disk->done);

    request->error = error;
    /* Pairs with the exchange in blk_completed(). */
    do {
        request->next = top;
    } while (!sm_compare_exchange(&disk->done, &top, request));
    sm_device_defer(disk->virtio.bus.device, disk->virtio.bus.work);
}

static void blk_completed(struct virtio *virtio)
{
    struct virtio_blk *disk = to_disk(virtio);
    struct blk_request *stack = sm_exchange(&disk->done, NULL), *queue = NULL, *next;

    /* In the order in which they ended. */
    for (; stack; stack = next) {
        next = stack->next;
        stack->next = queue;
        queue = stack;
    }
    for (; queue; queue = next) {
        next = queue->next;
        finish(queue);
    }
    virtq_notify(&virtio->queue[0]);
}

static void blk_quiesce(struct virtio *virtio)
{
    struct virtio_blk *disk = to_disk(virtio);

    disk->blk->drain(disk->blk->opaque);
    blk_completed(virtio);
}

/* --- Beginning a request ---------------------------------------------------------- */

/** Tell whether each write must be on the disk before it is answered. */
static bool writes_through(struct virtio_blk *disk)
{
    if (disk->blk->writethrough)
        return false; /* the host end sees to it                                    */
    if (disk->virtio.features & F_CONFIG_WCE)
        return !sm_load_relaxed(&disk->virtio.config[C_WRITEBACK]);
    return !(disk->virtio.features & F_FLUSH);
}

/** Bytes of data in a request of the driver's. */
static uint64_t data_size(const struct virtq_chain *chain, enum dev_blk_op op)
{
    if (op == DEV_BLK_READ)
        return chain->in_size - 1;
    return op == DEV_BLK_WRITE ? chain->out_size - sizeof(struct blk_header) : 0;
}

/** Give @chain's request to the host.  Returns 0, or -errno with nothing begun. */
static int start(struct virtio_blk *disk, struct virtq *queue,
                 const struct virtq_chain *chain, enum dev_blk_op op, uint64_t sector)
{
    const uint64_t size = data_size(chain, op);
    const uint64_t n_sectors = disk->blk->size / SECTOR;
    struct blk_request *request;
    int error;

    if (size % SECTOR ||
        (size && (sector > n_sectors || size / SECTOR > n_sectors - sector)))
        return -EINVAL;
    if (op == DEV_BLK_WRITE && disk->blk->readonly)
        return -EROFS;
    request = calloc(1, sizeof(*request));
    if (!request)
        return -ENOMEM;
    if (op == DEV_BLK_READ)
        error = virtio_payload_map(&disk->virtio, chain->in, chain->n_in, 0, size,
                                   SM_WRITE, &request->payload);
    else
        error = virtio_payload_map(&disk->virtio, chain->out, chain->n_out,
                                   sizeof(struct blk_header), size, SM_READ,
                                   &request->payload);
    if (error) {
        free(request);
        return error;
    }
    request->disk = disk;
    request->reply = reply_to(queue, chain);
    request->flush_after = op == DEV_BLK_WRITE && writes_through(disk);
    request->host = (struct dev_blk_request){
        .op = op, .offset = sector * SECTOR, .iov = request->payload.iov,
        .n_iov = request->payload.n_iov, .done = request_done, .opaque = disk,
    };
    if (op == DEV_BLK_FLUSH)
        request->host.offset = 0;
    disk->blk->submit(disk->blk->opaque, &request->host);
    return 0;
}

static void get_id(const struct virtio_blk *disk, const struct virtq_chain *chain,
                   const struct reply *reply)
{
    const uint32_t size = (uint32_t)SM_MIN(chain->in_size - 1, (uint64_t)ID_SIZE);

    if (virtq_scatter(reply->queue, reply->epoch, chain->in, chain->n_in, 0, disk->serial,
                      size))
        answer(reply, S_OK, size);
    else
        answer(reply, S_IOERR, 0);
}

/** Serve one chain.  Returns false when it is no request at all. */
static bool serve(struct virtio_blk *disk, struct virtq *queue,
                  const struct virtq_chain *chain)
{
    struct blk_header header;
    struct reply reply;
    int error;

    if (chain->out_size < sizeof(header) || chain->in_size < 1 ||
        !virtq_gather(&disk->virtio, chain->out, chain->n_out, 0, &header,
                      sizeof(header)))
        return false;
    reply = reply_to(queue, chain);
    switch (header.type) {
    case T_IN: error = start(disk, queue, chain, DEV_BLK_READ, header.sector); break;
    case T_OUT: error = start(disk, queue, chain, DEV_BLK_WRITE, header.sector); break;
    case T_FLUSH: error = start(disk, queue, chain, DEV_BLK_FLUSH, 0); break;
    case T_GET_ID: get_id(disk, chain, &reply); return true;
    default: answer(&reply, S_UNSUPP, 0); return true;
    }
    if (error)
        answer(&reply, S_IOERR, 0);
    return true;
}

static void blk_kick(struct virtio *virtio, struct virtq *queue)
{
    struct virtq_chain chain;
    unsigned n = 0;

    /* A driver on another vCPU may fill the ring for ever: let others have a turn. */
    for (; n < queue->place.size && virtq_pop(queue, &chain) == VIRTQ_CHAIN; n++) {
        if (!serve(to_disk(virtio), queue, &chain)) {
            virtio_fail(queue);
            break;
        }
    }
    if (n == queue->place.size)
        virtio_kick_again(queue);
    virtq_notify(queue);
}

/* --- Configuration, life ---------------------------------------------------------- */

static void blk_config_reset(struct virtio *virtio)
{
    sm_store_relaxed(&virtio->config[C_WRITEBACK],
                     (uint8_t)!to_disk(virtio)->blk->writethrough);
}

static void blk_config_write(struct virtio *virtio, unsigned offset, uint8_t value)
{
    if (offset == C_WRITEBACK && (virtio->accepted & F_CONFIG_WCE))
        sm_store_relaxed(&virtio->config[C_WRITEBACK], value & 1);
}

static void blk_free(struct virtio *virtio)
{
    free(to_disk(virtio)); /* quiesced: nothing is under way                       */
}

static const struct virtio_ops blk_ops = {
    .type = "virtio-blk", .device_id = DEVICE_ID, .n_queues = 1, .config_size = C_SIZE,
    .kick = blk_kick, .completed = blk_completed, .quiesce = blk_quiesce,
    .config_reset = blk_config_reset, .config_write = blk_config_write, .free = blk_free,
};
SM_STATIC_ASSERT((int)C_SIZE <= (int)VIRTIO_MAX_CONFIG, "config space");

static void put_config(struct virtio *virtio, unsigned offset, unsigned size,
                       uint64_t value)
{
    memcpy(&virtio->config[offset], &value, size);
}

int virtio_blk_new(const struct virtio_blk_options *options, struct virtio **out)
{
    struct virtio_blk *disk = calloc(1, sizeof(*disk));
    struct virtio *virtio;

    if (!disk)
        return -ENOMEM;
    virtio = &disk->virtio;
    disk->blk = options->blk;
    if (options->serial)
        memcpy(disk->serial, options->serial, strnlen(options->serial, ID_SIZE));
    virtio->ops = &blk_ops;
    virtio->device_features =
        F_SEG_MAX | F_BLK_SIZE | F_TOPOLOGY | F_FLUSH | F_CONFIG_WCE;
    if (disk->blk->readonly)
        virtio->device_features |= F_RO;
    put_config(virtio, C_CAPACITY, 8, disk->blk->size / SECTOR);
    put_config(virtio, C_SEG_MAX, 4, SEG_MAX);
    put_config(virtio, C_BLK_SIZE, 4, SECTOR);
    put_config(virtio, C_MIN_IO, 2, 1);
    put_config(virtio, C_NUM_QUEUES, 2, 1);
    *out = virtio;
    return 0;
}
