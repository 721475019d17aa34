/* SPDX-License-Identifier: MIT */
/* virtio_rng.c - random numbers from the host.
 *
 * Layer:    devices
 * Source:   VIRTIO 1.3, "Entropy Device"
 * Threads:  work that may take long, for the source may: a random device of the host
 *           can make its reader wait.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virtio.h"

enum { DEVICE_ID = 4, MAX_FILL = 4096 /* bytes at once; a driver asks again */ };

struct virtio_rng {
    struct virtio virtio;
    const struct dev_rng *rng;
};

static struct virtio_rng *to_rng(struct virtio *virtio)
{
    return sm_container_of(virtio, struct virtio_rng, virtio);
}

/** Fill the head of @chain's buffers.  Returns the bytes written. */
static uint32_t fill(const struct virtio_rng *rng, struct virtq *queue,
                     const struct virtq_chain *chain)
{
    const uint64_t size = SM_MIN(chain->in_size, (uint64_t)MAX_FILL);
    uint8_t data[MAX_FILL];

    if (!size || rng->rng->fill(rng->rng->opaque, data, size) != 0 ||
        !virtq_scatter(queue, chain->epoch, chain->in, chain->n_in, 0, data, size))
        return 0;
    return (uint32_t)size;
}

static void rng_kick(struct virtio *virtio, struct virtq *queue)
{
    struct virtq_chain chain;
    unsigned n = 0;

    for (; n < queue->place.size && virtq_pop(queue, &chain) == VIRTQ_CHAIN; n++)
        virtq_push(queue, chain.head, chain.epoch, fill(to_rng(virtio), queue, &chain));
    if (n == queue->place.size)
        virtio_kick_again(queue);
    virtq_notify(queue);
}

static void rng_free(struct virtio *virtio)
{
    free(to_rng(virtio));
}

static const struct virtio_ops rng_ops = {
    .type = "virtio-rng", .device_id = DEVICE_ID, .n_queues = 1,
    .work_flags = SM_WORK_IO, .kick = rng_kick, .free = rng_free,
};

int virtio_rng_new(const struct virtio_rng_options *options, struct virtio **out)
{
    struct virtio_rng *rng = calloc(1, sizeof(*rng));

    if (!rng)
        return -ENOMEM;
    rng->rng = options->rng;
    rng->virtio.ops = &rng_ops;
    *out = &rng->virtio;
    return 0;
}
