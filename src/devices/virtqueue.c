/* SPDX-License-Identifier: MIT */
/* virtqueue.c - split rings, read once into host memory, then checked, then used.
 *
 * Layer:    devices
 * Source:   VIRTIO 1.3, "Split Virtqueues"
 * Threads:  the device's work.
 *
 * The driver is not trusted: it may change anything at any time.  Each word of a ring
 * is read once, and what was read is all that is looked at; a chain that breaks a rule
 * stops the device (virtio_fail()).  Every loop is bounded by the queue's size.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"
#include "base/bits.h"
#include "devices/virtio.h"

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4, AVAIL_NO_INTERRUPT = 1 };
SM_STATIC_ASSERT(sizeof(struct virtq_desc) == 16, "a descriptor as the driver writes it");

/* Offsets within the available ring and the used one. */
enum { AVAIL_FLAGS = 0, AVAIL_IDX = 2, USED_IDX = 2 };

static uint64_t avail_entry(const struct virtq *queue, uint16_t i)
{
    return 4 + 2 * (uint64_t)(i & (queue->place.size - 1));
}

static uint64_t avail_used_event(const struct virtq *queue)
{
    return 4 + 2 * (uint64_t)queue->place.size;
}

static uint64_t used_entry(const struct virtq *queue, uint16_t i)
{
    return 4 + 8 * (uint64_t)(i & (queue->place.size - 1));
}

static uint64_t used_avail_event(const struct virtq *queue)
{
    return 4 + 8 * (uint64_t)queue->place.size;
}

/* --- Guest memory ----------------------------------------------------------------- */

static bool guest_read(struct virtio *virtio, sm_gpa gpa, void *data, uint64_t size)
{
    return sm_address_space_read(virtio->bus.space, gpa, &virtio->bus.attrs, data, size,
                                 NULL) == SM_TX_OK;
}

/** Read a word of the available ring. */
static bool load16(struct virtq *queue, uint64_t offset, uint16_t *value)
{
    uint64_t wide;

    if (sm_window_load(&queue->avail_window, offset, 2, &wide) != SM_TX_OK)
        return false;
    *value = (uint16_t)wide;
    return true;
}

bool virtq_current(const struct virtq *queue, uint32_t epoch)
{
    return sm_load_relaxed(&queue->virtio->epoch[queue->index]) == epoch;
}

bool virtq_write(struct virtq *queue, uint32_t epoch, sm_gpa gpa, const void *data,
                 uint64_t size)
{
    const struct virtio_bus *bus = &queue->virtio->bus;
    struct sm_attrs ram_only = bus->attrs;
    enum sm_tx tx = SM_TX_OK;

    /* RAM alone may be reached under the lock (L2). */
    ram_only.flags |= SM_ATTR_RAM_ONLY;
    sm_device_lock(bus->device);
    if (virtq_current(queue, epoch))
        tx = sm_address_space_write(bus->space, gpa, &ram_only, data, size, NULL);
    sm_device_unlock(bus->device);
    if (tx == SM_TX_ACCESS_ERROR)
        tx = sm_address_space_write(bus->space, gpa, &bus->attrs, data, size, NULL);
    return tx == SM_TX_OK;
}

/** Write to the used ring as virtq_write() does; an aligned word is whole to the driver
 *  (A2). */
static bool write_used(struct virtq *queue, uint64_t offset, const void *data,
                       uint64_t size)
{
    const struct virtio_bus *bus = &queue->virtio->bus;
    enum sm_tx tx = SM_TX_OK;

    sm_device_lock(bus->device);
    if (virtq_current(queue, queue->place.epoch))
        tx = sm_window_write(&queue->used_window, offset, data, size, NULL);
    sm_device_unlock(bus->device);
    if (tx == SM_TX_ACCESS_ERROR)
        tx = sm_address_space_write(bus->space, queue->place.device + offset, &bus->attrs,
                                    data, size, NULL);
    return tx == SM_TX_OK;
}

static bool store16(struct virtq *queue, uint64_t offset, uint16_t value)
{
    return write_used(queue, offset, &value, sizeof(value));
}

/** Tell whether @size bytes from @gpa end before the address space does. */
static bool range_fits(sm_gpa gpa, uint64_t size)
{
    return size && gpa + (size - 1) >= gpa;
}

/* --- Chains ----------------------------------------------------------------------- */

/** Read the descriptor table at @desc, which is the last of its chain. */
static bool read_table(struct virtq *queue, const struct virtq_desc *desc, unsigned *n)
{
    *n = desc->size / sizeof(struct virtq_desc);
    return queue->indirect && !(desc->flags & DESC_NEXT) && *n && *n <= VIRTQ_MAX_SIZE &&
           desc->size % sizeof(struct virtq_desc) == 0 &&
           range_fits(desc->gpa, desc->size) &&
           guest_read(queue->virtio, desc->gpa, queue->virtio->table, desc->size);
}

/** Add @desc to @chain.  Buffers that the device reads come before those it writes. */
static bool add_buffer(struct virtq *queue, struct virtq_chain *chain,
                       const struct virtq_desc *desc)
{
    struct virtq_seg *seg = queue->virtio->chain;

    if (!range_fits(desc->gpa, desc->size) ||
        chain->out_size + chain->in_size + desc->size > UINT32_MAX)
        return false;
    if (desc->flags & DESC_WRITE) {
        chain->in_size += desc->size;
        seg[chain->n_out + chain->n_in++] = (struct virtq_seg){desc->gpa, desc->size};
    } else if (chain->n_in) {
        return false;
    } else {
        chain->out_size += desc->size;
        seg[chain->n_out++] = (struct virtq_seg){desc->gpa, desc->size};
    }
    return true;
}

static bool read_chain(struct virtq *queue, struct virtq_chain *chain)
{
    struct virtio *virtio = queue->virtio;
    unsigned i = chain->head, n = queue->place.size;
    bool in_table = false;
    struct virtq_desc desc;

    for (;;) {
        if (i >= n)
            return false;
        if (in_table)
            desc = virtio->table[i];
        else if (sm_window_read(&queue->desc_window, i * sizeof(desc), &desc,
                                sizeof(desc), NULL) != SM_TX_OK)
            return false;
        if (desc.flags & DESC_INDIRECT) {
            if (in_table || !read_table(queue, &desc, &n))
                return false;
            in_table = true;
            i = 0;
            continue;
        }
        /* More buffers than descriptors: the chain is a loop. */
        if (chain->n_out + chain->n_in >= (in_table ? (unsigned)VIRTQ_MAX_SIZE : n) ||
            !add_buffer(queue, chain, &desc))
            return false;
        if (!(desc.flags & DESC_NEXT))
            break;
        i = desc.next;
    }
    chain->out = virtio->chain;
    chain->in = virtio->chain + chain->n_out;
    return true;
}

/* --- Rings ------------------------------------------------------------------------ */

static const struct dev_field virtq_fields[] = {
    DEV_FIELD(struct virtq, pushed, false),  DEV_FIELD(struct virtq, signalled, false),
    DEV_FIELD(struct virtq, last_avail, 0),  DEV_FIELD(struct virtq, seen_avail, 0),
    DEV_FIELD(struct virtq, used, 0),        DEV_FIELD(struct virtq, signalled_at, 0),
    DEV_FIELD(struct virtq, in_flight, 0),
};

void virtq_start(struct virtq *queue, const struct virtq_place *place)
{
    const struct virtio_bus *bus = &queue->virtio->bus;
    const uint64_t size = place->size;
    struct sm_attrs ram_only = bus->attrs;

    dev_fields_reset(queue, virtq_fields, SM_ARRAY_LEN(virtq_fields));
    queue->place = *place;
    /* Rings that run over the end of the address space are nowhere. */
    if (!range_fits(place->desc, 16 * size) || !range_fits(place->driver, 6 + 2 * size) ||
        !range_fits(place->device, 6 + 8 * size))
        queue->place.ready = false;
    ram_only.flags |= SM_ATTR_RAM_ONLY; /* it is written under the lock (L2) */
    sm_window_open(&queue->desc_window, bus->space, place->desc, &bus->attrs, 16 * size);
    sm_window_open(&queue->avail_window, bus->space, place->driver, &bus->attrs,
                   6 + 2 * size);
    sm_window_open(&queue->used_window, bus->space, place->device, &ram_only,
                   6 + 8 * size);
}

/** Look how far the driver has filled the available ring. */
static bool refresh_avail(struct virtq *queue)
{
    if (!load16(queue, AVAIL_IDX, &queue->seen_avail))
        return false;
    /* Pairs with the driver's barrier between filling an entry and its index. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return (uint16_t)(queue->seen_avail - queue->last_avail) <= queue->place.size;
}

/** Tell the driver to notify again, then look once more for what came meanwhile. */
static bool wait_avail(struct virtq *queue)
{
    if (!queue->event_idx)
        return true;
    if (!store16(queue, used_avail_event(queue), queue->last_avail))
        return false;
    sm_fence(); /* pairs with the driver's, between the index and reading avail_event */
    return refresh_avail(queue);
}

enum virtq_result virtq_pop(struct virtq *queue, struct virtq_chain *chain)
{
    uint16_t head;

    if (!queue->place.ready || !virtq_current(queue, queue->place.epoch))
        return VIRTQ_EMPTY;
    if (queue->last_avail == queue->seen_avail) {
        if (!refresh_avail(queue) ||
            (queue->last_avail == queue->seen_avail && !wait_avail(queue)))
            goto broken;
        if (queue->last_avail == queue->seen_avail)
            return VIRTQ_EMPTY;
    }
    /* No driver has more chains than descriptors, and so our memory is bounded. */
    if (queue->in_flight >= queue->place.size ||
        !load16(queue, avail_entry(queue, queue->last_avail), &head) ||
        head >= queue->place.size)
        goto broken;
    *chain = (struct virtq_chain){.head = head, .epoch = queue->place.epoch};
    if (!read_chain(queue, chain))
        goto broken;
    queue->last_avail++;
    queue->in_flight++;
    return VIRTQ_CHAIN;

broken:
    virtio_fail(queue);
    return VIRTQ_EMPTY;
}

void virtq_push(struct virtq *queue, uint16_t head, uint32_t epoch, uint32_t written)
{
    const uint32_t entry[2] = {head, written};

    if (!queue->place.ready || queue->place.epoch != epoch ||
        !virtq_current(queue, epoch))
        return;
    queue->in_flight--;
    if (!write_used(queue, used_entry(queue, queue->used), entry, sizeof(entry))) {
        virtio_fail(queue);
        return;
    }
    /* Pairs with the driver's barrier between reading the index and the entry. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    queue->used++;
    queue->pushed = true;
    if (!store16(queue, USED_IDX, queue->used))
        virtio_fail(queue);
}

/** Tell whether the driver wants to hear of the entries since the last time. */
static bool wants_interrupt(struct virtq *queue)
{
    uint16_t word;

    /* Pairs with the driver's barrier between asking and looking at the index. */
    sm_fence();
    if (queue->event_idx) {
        const uint16_t old = queue->signalled_at;
        const bool valid = queue->signalled;

        if (!load16(queue, avail_used_event(queue), &word))
            return false;
        queue->signalled = true;
        queue->signalled_at = queue->used;
        return !valid ||
               (uint16_t)(queue->used - word - 1) < (uint16_t)(queue->used - old);
    }
    return load16(queue, AVAIL_FLAGS, &word) && !(word & AVAIL_NO_INTERRUPT);
}

void virtq_notify(struct virtq *queue)
{
    if (!queue->pushed || !queue->place.ready)
        return;
    queue->pushed = false;
    if (wants_interrupt(queue))
        virtio_interrupt(queue);
}

/* --- Payload ---------------------------------------------------------------------- */

/** Walks the bytes @offset.. of buffers. */
struct cursor {
    const struct virtq_seg *seg;
    unsigned n;
    uint64_t offset; /* in the first of them                                       */
};

/** The next piece, of at most @left bytes.  Returns false past the end. */
static bool next_piece(struct cursor *cursor, uint64_t left, sm_gpa *gpa, uint64_t *size)
{
    while (cursor->n && cursor->offset >= cursor->seg->size) {
        cursor->offset -= cursor->seg->size;
        cursor->seg++;
        cursor->n--;
    }
    if (!cursor->n || !left)
        return false;
    *gpa = cursor->seg->gpa + cursor->offset;
    *size = SM_MIN(cursor->seg->size - cursor->offset, left);
    cursor->offset += *size;
    return true;
}

bool virtq_gather(struct virtio *virtio, const struct virtq_seg *seg, unsigned n,
                  uint64_t offset, void *data, uint64_t size)
{
    struct cursor cursor = {seg, n, offset};
    char *to = data;
    uint64_t piece;
    sm_gpa gpa;

    for (; next_piece(&cursor, size, &gpa, &piece); to += piece, size -= piece) {
        if (!guest_read(virtio, gpa, to, piece))
            return false;
    }
    return size == 0;
}

bool virtq_scatter(struct virtq *queue, uint32_t epoch, const struct virtq_seg *seg,
                   unsigned n, uint64_t offset, const void *data, uint64_t size)
{
    struct cursor cursor = {seg, n, offset};
    const char *from = data;
    uint64_t piece;
    sm_gpa gpa;

    for (; next_piece(&cursor, size, &gpa, &piece); from += piece, size -= piece) {
        if (!virtq_write(queue, epoch, gpa, from, piece))
            return false;
    }
    return size == 0;
}

/** Make room for one more of the pieces of @payload; *@room are allocated. */
static int grow(struct virtio_payload *payload, unsigned *room)
{
    const unsigned wanted = *room ? *room * 2 : 16;
    void *mapping, *iov;

    if (payload->n_mapping < *room)
        return 0;
    mapping = realloc(payload->mapping, wanted * sizeof(*payload->mapping));
    if (!mapping)
        return -ENOMEM;
    payload->mapping = mapping;
    iov = realloc(payload->iov, wanted * sizeof(*payload->iov));
    if (!iov)
        return -ENOMEM;
    payload->iov = iov;
    *room = wanted;
    return 0;
}

static void add_iov(struct virtio_payload *payload, void *host, uint64_t size)
{
    struct iovec *last = payload->n_iov ? &payload->iov[payload->n_iov - 1] : NULL;

    if (last && (char *)last->iov_base + last->iov_len == host)
        last->iov_len += size;
    else
        payload->iov[payload->n_iov++] =
            (struct iovec){.iov_base = host, .iov_len = size};
}

/** Borrow the RAM of all pieces.  Returns -EFAULT if some of it is not RAM. */
static int map_pieces(struct virtio *virtio, struct cursor cursor, uint64_t size,
                      enum sm_access access, struct virtio_payload *payload)
{
    unsigned room = 0;
    uint64_t piece;
    sm_gpa gpa;

    for (; next_piece(&cursor, size, &gpa, &piece); size -= piece) {
        for (uint64_t done = 0; done < piece;) {
            const int error = grow(payload, &room);
            struct sm_mapping *mapping;

            if (error)
                return error;
            mapping = &payload->mapping[payload->n_mapping];
            if (sm_address_space_map(virtio->bus.space, gpa + done, &virtio->bus.attrs,
                                     piece - done, access, mapping) != SM_TX_OK)
                return -EFAULT;
            payload->n_mapping++;
            add_iov(payload, mapping->host, mapping->size);
            done += mapping->size;
        }
    }
    return 0;
}

/** Let a copy stand in for @payload->size bytes of the guest's. */
static int make_bounce(struct virtio *virtio, struct cursor cursor,
                       enum sm_access access, struct virtio_payload *payload)
{
    const uint64_t size = payload->size;
    uint64_t left = size, piece;
    sm_gpa gpa;

    if (size > VIRTIO_MAX_BOUNCE - virtio->bounced)
        return -E2BIG;
    payload->bounce = calloc(1, size);
    payload->bounce_seg = calloc(cursor.n, sizeof(*payload->bounce_seg));
    payload->iov = malloc(sizeof(*payload->iov));
    if (payload->bounce)
        virtio->bounced += size;
    if (!payload->bounce || !payload->bounce_seg || !payload->iov)
        return -ENOMEM;
    for (; next_piece(&cursor, left, &gpa, &piece); left -= piece)
        payload->bounce_seg[payload->n_bounce_seg++] =
            (struct virtq_seg){gpa, (uint32_t)piece};
    payload->iov[0] = (struct iovec){.iov_base = payload->bounce, .iov_len = size};
    payload->n_iov = 1;
    if (access == SM_READ &&
        !virtq_gather(virtio, payload->bounce_seg, payload->n_bounce_seg, 0,
                      payload->bounce, size))
        return -EFAULT;
    return 0;
}

int virtio_payload_map(struct virtio *virtio, const struct virtq_seg *seg, unsigned n,
                       uint64_t offset, uint64_t size, enum sm_access access,
                       struct virtio_payload *payload)
{
    const struct cursor cursor = {seg, n, offset};
    int error;

    *payload = (struct virtio_payload){.size = size};
    if (!size)
        return 0;
    error = map_pieces(virtio, cursor, size, access, payload);
    if (error == -EFAULT) {
        virtio_payload_unmap(virtio, payload);
        payload->size = size;
        error = make_bounce(virtio, cursor, access, payload);
    }
    if (error)
        virtio_payload_unmap(virtio, payload);
    return error;
}

bool virtio_payload_flush(struct virtq *queue, uint32_t epoch,
                          const struct virtio_payload *payload)
{
    return !payload->bounce ||
           virtq_scatter(queue, epoch, payload->bounce_seg, payload->n_bounce_seg, 0,
                         payload->bounce, payload->size);
}

void virtio_payload_unmap(struct virtio *virtio, struct virtio_payload *payload)
{
    for (unsigned i = 0; i < payload->n_mapping; i++)
        sm_mapping_release(&payload->mapping[i]);
    if (payload->bounce)
        virtio->bounced -= payload->size;
    free(payload->mapping);
    free(payload->iov);
    free(payload->bounce);
    free(payload->bounce_seg);
    *payload = (struct virtio_payload){0};
}
