/* SPDX-License-Identifier: MIT */
/* fake.h - a board without a guest: address space, clock, lines and host ends that
 * tests drive by hand.
 */
#ifndef TESTS_DEVICES_FAKE_H
#define TESTS_DEVICES_FAKE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "devices/devices.h"

enum {
    RAM_BASE = 0x80000000,
    RAM_SIZE = 8 << 20,
    DEVICE_BASE = 0x10000000 /* where a test maps the device it looks at            */
};

/* --- Address space ---------------------------------------------------------------- */

struct bench {
    struct sm_topology *topo;
    struct sm_region *root, *ram;
    struct sm_address_space *space;
};

static const struct sm_attrs bench_attrs = {.process = SM_NO_PROCESS};

SM_INLINE void bench_commit(struct bench *bench)
{
    assert_int_equal(sm_topology_commit(bench->topo, NULL), 0);
}

SM_INLINE void bench_map(struct bench *bench, sm_gpa gpa, struct sm_region *region)
{
    sm_topology_begin(bench->topo);
    assert_int_equal(sm_region_map(bench->root, gpa, region, 1), 0);
    bench_commit(bench);
}

SM_INLINE void bench_unmap(struct bench *bench, struct sm_region *region)
{
    sm_topology_begin(bench->topo);
    sm_region_unmap(region);
    bench_commit(bench);
}

SM_INLINE void bench_init(struct bench *bench)
{
    static const struct sm_owner_ops ops = {.struct_size = sizeof(ops)};

    assert_int_equal(sm_topology_new(&ops, NULL, &bench->topo), 0);
    assert_int_equal(sm_region_new(bench->topo, "root", UINT64_MAX, &bench->root), 0);
    assert_int_equal(sm_region_new_ram(bench->topo, "ram", RAM_SIZE, &bench->ram), 0);
    assert_int_equal(
        sm_address_space_new(bench->topo, "memory", bench->root, &bench->space), 0);
    bench_map(bench, RAM_BASE, bench->ram);
}

SM_INLINE void bench_fini(struct bench *bench)
{
    sm_topology_free(bench->topo);
}

/** Run all work, also what work defers. */
SM_INLINE void bench_work(struct bench *bench)
{
    for (int i = 0; i < 8; i++)
        sm_topology_work(bench->topo);
}

SM_INLINE uint64_t bench_load(struct bench *bench, sm_gpa gpa, unsigned size)
{
    uint64_t value = 0;

    assert_int_equal(sm_address_space_load(bench->space, gpa, &bench_attrs, size, &value),
                     SM_TX_OK);
    return value;
}

SM_INLINE void bench_store(struct bench *bench, sm_gpa gpa, unsigned size, uint64_t value)
{
    assert_int_equal(sm_address_space_store(bench->space, gpa, &bench_attrs, size, value),
                     SM_TX_OK);
}

SM_INLINE uint64_t bench_peek(struct bench *bench, sm_gpa gpa, unsigned size)
{
    const struct sm_attrs debug = {.process = SM_NO_PROCESS, .flags = SM_ATTR_DEBUG};
    uint64_t value = 0;

    assert_int_equal(sm_address_space_load(bench->space, gpa, &debug, size, &value),
                     SM_TX_OK);
    return value;
}

SM_INLINE void bench_read(struct bench *bench, sm_gpa gpa, void *data, size_t size)
{
    assert_int_equal(
        sm_address_space_read(bench->space, gpa, &bench_attrs, data, size, NULL),
        SM_TX_OK);
}

SM_INLINE void bench_write(struct bench *bench, sm_gpa gpa, const void *data, size_t size)
{
    assert_int_equal(
        sm_address_space_write(bench->space, gpa, &bench_attrs, data, size, NULL),
        SM_TX_OK);
}

/* --- Lines ------------------------------------------------------------------------ */

enum { N_LINES = 64 };

struct fake_lines {
    bool level[N_LINES];
    unsigned n_sets[N_LINES];
};

SM_INLINE void fake_line_set(void *owner, unsigned n, bool level)
{
    struct fake_lines *lines = owner;

    lines->level[n] = level;
    lines->n_sets[n]++;
}

SM_INLINE struct dev_line fake_line(struct fake_lines *lines, unsigned n)
{
    return (struct dev_line){.set = fake_line_set, .owner = lines, .n = n};
}

/* --- Clock ------------------------------------------------------------------------ */

enum { MAX_TIMERS = 64 };

struct fake_clock {
    struct dev_clock table;
    uint64_t now, wall;
    struct dev_timer *armed[MAX_TIMERS];
};

SM_INLINE uint64_t fake_clock_now(void *opaque)
{
    return ((const struct fake_clock *)opaque)->now;
}

SM_INLINE uint64_t fake_clock_wall(void *opaque)
{
    return ((const struct fake_clock *)opaque)->wall;
}

SM_INLINE void fake_clock_cancel(void *opaque, struct dev_timer *timer)
{
    struct fake_clock *clock = opaque;

    timer->deadline_ns = UINT64_MAX;
    for (int i = 0; i < MAX_TIMERS; i++) {
        if (clock->armed[i] == timer)
            clock->armed[i] = NULL;
    }
}

SM_INLINE void fake_clock_arm(void *opaque, struct dev_timer *timer, uint64_t deadline_ns)
{
    struct fake_clock *clock = opaque;

    fake_clock_cancel(clock, timer);
    timer->deadline_ns = deadline_ns;
    for (int i = 0; i < MAX_TIMERS; i++) {
        if (!clock->armed[i]) {
            clock->armed[i] = timer;
            return;
        }
    }
    fail_msg("too many timers");
}

SM_INLINE void fake_clock_init(struct fake_clock *clock)
{
    *clock = (struct fake_clock){.table = {fake_clock_now, fake_clock_wall,
                                           fake_clock_arm, fake_clock_cancel, clock}};
}

SM_INLINE struct dev_timer *fake_clock_next(const struct fake_clock *clock)
{
    struct dev_timer *first = NULL;

    for (int i = 0; i < MAX_TIMERS; i++) {
        if (clock->armed[i] &&
            (!first || clock->armed[i]->deadline_ns < first->deadline_ns))
            first = clock->armed[i];
    }
    return first;
}

/** Let @ns go by, firing what becomes due at its time. */
SM_INLINE void fake_clock_advance(struct fake_clock *clock, uint64_t ns)
{
    const uint64_t end = clock->now + ns;

    for (;;) {
        struct dev_timer *timer = fake_clock_next(clock);
        uint64_t at = end;

        if (timer && timer->deadline_ns <= end)
            at = SM_MAX(timer->deadline_ns, clock->now);
        clock->wall += at - clock->now;
        clock->now = at;
        if (!timer || timer->deadline_ns > end)
            return;
        fake_clock_cancel(clock, timer);
        timer->fire(timer->opaque);
    }
}

/* --- Characters ------------------------------------------------------------------- */

struct fake_chr {
    struct dev_chr table;
    const struct dev_chr_front *front;
    void *device;
    uint8_t sent[65536];
    size_t n_sent;
    size_t room; /* bytes that send() still takes                                  */
    unsigned n_accepts;
};

SM_INLINE size_t fake_chr_send(void *opaque, const uint8_t *data, size_t size)
{
    struct fake_chr *chr = opaque;
    const size_t n = SM_MIN(SM_MIN(size, chr->room), sizeof(chr->sent) - chr->n_sent);

    memcpy(chr->sent + chr->n_sent, data, n);
    chr->n_sent += n;
    chr->room -= n;
    return n;
}

SM_INLINE void fake_chr_attach(void *opaque, const struct dev_chr_front *front,
                               void *device)
{
    struct fake_chr *chr = opaque;

    chr->front = front;
    chr->device = device;
}

SM_INLINE void fake_chr_accept(void *opaque)
{
    ((struct fake_chr *)opaque)->n_accepts++;
}

SM_INLINE void fake_chr_init(struct fake_chr *chr)
{
    memset(chr, 0, sizeof(*chr));
    chr->table = (struct dev_chr){fake_chr_send, fake_chr_attach, fake_chr_accept, chr};
    chr->room = SIZE_MAX;
}

/** Type @text.  Returns the bytes that the device took. */
SM_INLINE size_t fake_chr_type(struct fake_chr *chr, const char *text, size_t size)
{
    size_t done = 0;

    while (done < size) {
        const size_t n = SM_MIN(chr->front->can_receive(chr->device), size - done);

        if (!n)
            break;
        chr->front->receive(chr->device, (const uint8_t *)text + done, n);
        done += n;
    }
    return done;
}

/** Take what was sent so far away. */
SM_INLINE void fake_chr_expect(struct fake_chr *chr, const char *text)
{
    assert_int_equal(chr->n_sent, strlen(text));
    assert_memory_equal(chr->sent, text, chr->n_sent);
    chr->n_sent = 0;
}

/** Make room and say so. */
SM_INLINE void fake_chr_drain(struct fake_chr *chr, size_t room)
{
    chr->room = room;
    chr->front->drained(chr->device);
}

/* --- Disk ------------------------------------------------------------------------- */

enum { DISK_SECTORS = 64, MAX_PENDING = 2048 };

struct fake_blk {
    struct dev_blk table;
    uint8_t data[DISK_SECTORS * 512];
    struct dev_blk_request *pending[MAX_PENDING];
    unsigned n_pending, n_flushes, n_drains, n_submits;
    bool manual; /* requests wait for fake_blk_complete()                           */
    int error;   /* of what completes                                               */
};

SM_INLINE void fake_blk_perform(struct fake_blk *blk, struct dev_blk_request *request)
{
    uint64_t offset = request->offset;

    for (unsigned i = 0; i < request->n_iov && !blk->error; i++) {
        const struct iovec *iov = &request->iov[i];

        assert_true(offset <= sizeof(blk->data) &&
                    iov->iov_len <= sizeof(blk->data) - offset);
        if (request->op == DEV_BLK_READ)
            memcpy(iov->iov_base, blk->data + offset, iov->iov_len);
        else
            memcpy(blk->data + offset, iov->iov_base, iov->iov_len);
        offset += iov->iov_len;
    }
    if (request->op == DEV_BLK_FLUSH)
        blk->n_flushes++;
    request->done(request, blk->error);
}

/** Complete the pending request @n. */
SM_INLINE void fake_blk_complete(struct fake_blk *blk, unsigned n)
{
    struct dev_blk_request *request = blk->pending[n];

    assert_true(n < blk->n_pending);
    memmove(&blk->pending[n], &blk->pending[n + 1],
            (--blk->n_pending - n) * sizeof(blk->pending[0]));
    fake_blk_perform(blk, request);
}

SM_INLINE void fake_blk_submit(void *opaque, struct dev_blk_request *request)
{
    struct fake_blk *blk = opaque;

    blk->n_submits++;
    if (!blk->manual) {
        fake_blk_perform(blk, request);
        return;
    }
    assert_true(blk->n_pending < MAX_PENDING);
    blk->pending[blk->n_pending++] = request;
}

SM_INLINE void fake_blk_drain(void *opaque)
{
    struct fake_blk *blk = opaque;

    blk->n_drains++;
    while (blk->n_pending)
        fake_blk_complete(blk, 0);
}

SM_INLINE void fake_blk_init(struct fake_blk *blk)
{
    memset(blk, 0, sizeof(*blk));
    blk->table = (struct dev_blk){.size = sizeof(blk->data), .submit = fake_blk_submit,
                                  .drain = fake_blk_drain, .opaque = blk};
    for (size_t i = 0; i < sizeof(blk->data); i++)
        blk->data[i] = (uint8_t)(i / 512 * 7 + i);
}

/* --- Random numbers, power -------------------------------------------------------- */

struct fake_rng {
    struct dev_rng table;
    uint8_t next;
    int error;
    size_t largest;
};

SM_INLINE int fake_rng_fill(void *opaque, void *data, size_t size)
{
    struct fake_rng *rng = opaque;

    rng->largest = SM_MAX(rng->largest, size);
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)data)[i] = rng->next++;
    return rng->error;
}

SM_INLINE void fake_rng_init(struct fake_rng *rng)
{
    *rng = (struct fake_rng){.table = {fake_rng_fill, rng}};
}

struct fake_power {
    struct dev_power table;
    unsigned n_requests;
    enum dev_power_event event;
    int code;
};

SM_INLINE void fake_power_request(void *opaque, enum dev_power_event event, int code)
{
    struct fake_power *power = opaque;

    power->n_requests++;
    power->event = event;
    power->code = code;
}

SM_INLINE void fake_power_init(struct fake_power *power)
{
    *power = (struct fake_power){.table = {fake_power_request, power}};
}

#endif
