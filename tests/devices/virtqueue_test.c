/* SPDX-License-Identifier: MIT */
/* virtqueue_test.c - rings of well-behaved drivers, of malicious ones, and of memory
 * that answers differently when it is read twice. */
#include "driver.h"

enum { SIZE = 8, SLOT = DEVICE_BASE };

struct fixture {
    struct bench bench;
    struct fake_lines lines;
    struct echo echo;
    struct virtio_mmio *slot;
    struct driver driver;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    bench_init(&f->bench);
    assert_int_equal(
        virtio_mmio_new(
            &(struct virtio_mmio_options){.topo = f->bench.topo,
                                          .space = f->bench.space,
                                          .irq = fake_line(&f->lines, SLOT_LINE)},
            &f->slot),
        0);
    virtio_mmio_plug(f->slot, echo_init(&f->echo));
    bench_map(&f->bench, SLOT, virtio_mmio_region(f->slot));
    driver_start(&f->driver, &f->bench, SLOT, VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC,
                 SIZE);
    f->echo.n_quiesced = 0;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    bench_unmap(&f->bench, virtio_mmio_region(f->slot));
    virtio_mmio_free(f->slot);
    bench_fini(&f->bench);
    free(f);
    return 0;
}

static void restart(struct fixture *f, uint64_t features)
{
    f->echo.n = 0;
    driver_start(&f->driver, &f->bench, SLOT, features, SIZE);
}

/* The device stopped, told so, and asks for a reset; after that it works again. */
static void expect_broken(struct fixture *f)
{
    struct driver *d = &f->driver;

    driver_notify(d);
    assert_int_equal(f->echo.n, 0);
    assert_true(reg_read(d, R_STATUS) & VIRTIO_NEEDS_RESET);
    assert_true(reg_read(d, R_ISR) & VIRTIO_ISR_CONFIG);
    assert_true(f->lines.level[SLOT_LINE]);
    driver_notify(d);
    assert_int_equal(f->echo.n, 0);

    restart(f, VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC);
    assert_int_equal(reg_read(d, R_STATUS), 0xf);
    assert_false(f->lines.level[SLOT_LINE]);
    put_desc(d, G_DESC, 0, G_DATA, 4, D_WRITE, 0);
    driver_offer(d, 0);
    driver_notify(d);
    assert_int_equal(f->echo.n, 1);
    restart(f, VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC);
}

/* --- Good drivers ----------------------------------------------------------------- */

static void test_chain(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;

    put_desc(d, G_DESC, 5, G_DATA, 16, D_NEXT, 2);
    put_desc(d, G_DESC, 2, G_DATA + 0x1000, 512, D_NEXT, 7);
    put_desc(d, G_DESC, 7, G_DATA + 0x2000, 100, D_NEXT | D_WRITE, 0);
    put_desc(d, G_DESC, 0, G_DATA + 0x3000, 1, D_WRITE, 77);
    f->echo.written = 33;
    driver_offer(d, 5);
    driver_notify(d);

    assert_int_equal(f->echo.n, 1);
    assert_int_equal(f->echo.got[0].chain.head, 5);
    assert_int_equal(f->echo.got[0].chain.n_out, 2);
    assert_int_equal(f->echo.got[0].chain.n_in, 2);
    assert_int_equal(f->echo.got[0].chain.out_size, 528);
    assert_int_equal(f->echo.got[0].chain.in_size, 101);
    assert_int_equal(f->echo.got[0].seg[1].gpa, G_DATA + 0x1000);
    assert_int_equal(f->echo.got[0].seg[1].size, 512);
    assert_int_equal(f->echo.got[0].seg[3].gpa, G_DATA + 0x3000);
    expect_used(d, 5, 33);
    expect_nothing_used(d);
    assert_true(f->lines.level[SLOT_LINE]);
    assert_int_equal(reg_read(d, R_ISR), VIRTIO_ISR_QUEUE);
    reg_write(d, R_ACK, VIRTIO_ISR_QUEUE);
    assert_false(f->lines.level[SLOT_LINE]);
    driver_notify(d);
    assert_false(f->lines.level[SLOT_LINE]);
}

static void test_many(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;

    for (unsigned i = 0; i < SIZE; i++)
        put_desc(d, G_DESC, i, G_DATA + i, 1 + i, D_WRITE, 0);
    for (unsigned i = 0; i < SIZE; i++)
        driver_offer(d, (uint16_t)(SIZE - 1 - i));
    driver_notify(d);
    for (unsigned i = 0; i < SIZE; i++)
        expect_used(d, SIZE - 1 - i, 0);
    expect_nothing_used(d);
}

/* Indices go round 2^16, with every way to ask for interrupts. */
static void test_wrap(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;

    restart(f, VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX);
    for (unsigned i = 0; i < SIZE; i++)
        put_desc(d, G_DESC, i, G_DATA + i, 4, D_WRITE, 0);
    for (unsigned i = 0; i < 70000; i++) {
        driver_offer(d, (uint16_t)(i % SIZE));
        bench_store(&f->bench, d->avail + 4 + 2 * SIZE, 2, d->used_seen); /* used_event */
        reg_write(d, R_QUEUE_NOTIFY, 0);
        sm_topology_work(f->bench.topo);
        if (!f->lines.level[SLOT_LINE])
            fail_msg("no interrupt for %u", i);
        reg_write(d, R_ACK, 1);
        expect_used(d, i % SIZE, 0);
        /* avail_event: notify me of the next one */
        assert_int_equal(bench_load(&f->bench, d->used + 4 + 8 * SIZE, 2), d->avail_idx);
    }
    assert_int_equal(f->echo.n, 70000);
}

static void test_interrupt_suppression(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;

    put_desc(d, G_DESC, 0, G_DATA, 4, D_WRITE, 0);
    bench_store(&f->bench, d->avail, 2, 1); /* NO_INTERRUPT                        */
    driver_offer(d, 0);
    driver_notify(d);
    expect_used(d, 0, 0);
    assert_false(f->lines.level[SLOT_LINE]);

    restart(f, VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX);
    put_desc(d, G_DESC, 0, G_DATA, 4, D_WRITE, 0);
    bench_store(&f->bench, d->avail + 4 + 2 * SIZE, 2, 2); /* the third one        */
    for (unsigned i = 0; i < 4; i++) {
        driver_offer(d, 0);
        driver_notify(d);
        /* The first is always told: nobody knows what the driver saw before. */
        assert_int_equal(f->lines.level[SLOT_LINE], i == 0 || i == 2);
        reg_write(d, R_ACK, 1);
    }
    /* With the event index the flag says nothing. */
    bench_store(&f->bench, d->avail, 2, 1);
    bench_store(&f->bench, d->avail + 4 + 2 * SIZE, 2, 4);
    driver_offer(d, 0);
    driver_notify(d);
    assert_true(f->lines.level[SLOT_LINE]);
}

static void test_indirect(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;

    for (unsigned i = 0; i < 20; i++)
        put_desc(d, G_TABLE, i, G_DATA + 0x100 * i, 0x10, (i < 19 ? D_NEXT : 0) |
                 (i < 5 ? 0 : D_WRITE), (uint16_t)(i + 1));
    /* D_WRITE on the table itself means nothing. */
    put_desc(d, G_DESC, 3, G_TABLE, 20 * 16, D_INDIRECT | D_WRITE, 0);
    driver_offer(d, 3);
    driver_notify(d);
    assert_int_equal(f->echo.n, 1);
    assert_int_equal(f->echo.got[0].chain.n_out, 5);
    assert_int_equal(f->echo.got[0].chain.n_in, 15); /* more than the queue's size */
    expect_used(d, 3, 0);

    /* Direct buffers may come before the table. */
    put_desc(d, G_DESC, 1, G_DATA, 8, D_NEXT, 2);
    put_desc(d, G_DESC, 2, G_TABLE, 20 * 16, D_INDIRECT, 0);
    driver_offer(d, 1);
    driver_notify(d);
    assert_int_equal(f->echo.n, 2);
    assert_int_equal(f->echo.got[1].chain.n_out, 6);
    assert_int_equal(f->echo.got[1].seg[0].size, 8);
    assert_int_equal(f->echo.got[1].seg[1].size, 16);
    expect_used(d, 1, 0);
}

/* --- Bad drivers ------------------------------------------------------------------ */

static void offer_one(struct fixture *f, sm_gpa gpa, uint32_t size, uint16_t flags,
                      uint16_t next)
{
    put_desc(&f->driver, G_DESC, 0, gpa, size, flags, next);
    driver_offer(&f->driver, 0);
}

static void test_bad_chains(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;

    offer_one(f, G_DATA, 4, D_NEXT, 0); /* a loop of one                            */
    expect_broken(f);
    put_desc(d, G_DESC, 1, G_DATA, 4, D_NEXT, 0); /* ... of two                      */
    offer_one(f, G_DATA, 4, D_NEXT, 1);
    expect_broken(f);
    offer_one(f, G_DATA, 4, D_NEXT, SIZE); /* next is no descriptor                 */
    expect_broken(f);
    offer_one(f, G_DATA, 4, D_NEXT, 0xffff);
    expect_broken(f);
    driver_offer(d, SIZE); /* nor is the head                                      */
    expect_broken(f);
    driver_offer(d, 0xffff);
    expect_broken(f);
    offer_one(f, G_DATA, 0, D_WRITE, 0); /* nothing                                 */
    expect_broken(f);
    offer_one(f, UINT64_MAX - 2, 4, D_WRITE, 0); /* over the end of memory          */
    expect_broken(f);
    put_desc(d, G_DESC, 1, G_DATA, 4, 0, 0); /* readable after writable            */
    offer_one(f, G_DATA, 4, D_WRITE | D_NEXT, 1);
    expect_broken(f);
    put_desc(d, G_DESC, 1, 0, UINT32_MAX, D_WRITE, 0); /* 2^32 bytes together       */
    offer_one(f, 0, 1, D_NEXT, 1);
    expect_broken(f);
}

static void test_bad_tables(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;

    put_desc(d, G_TABLE, 0, G_TABLE, 16, D_INDIRECT, 0); /* a table in a table       */
    offer_one(f, G_TABLE, 16, D_INDIRECT, 0);
    expect_broken(f);
    put_desc(d, G_TABLE, 0, G_DATA, 16, D_NEXT, 0); /* a loop                        */
    offer_one(f, G_TABLE, 16, D_INDIRECT, 0);
    expect_broken(f);
    put_desc(d, G_TABLE, 0, G_DATA, 16, D_NEXT, 1); /* next leaves the table         */
    offer_one(f, G_TABLE, 16, D_INDIRECT, 0);
    expect_broken(f);
    offer_one(f, G_TABLE, 0, D_INDIRECT, 0);
    expect_broken(f);
    offer_one(f, G_TABLE, 17, D_INDIRECT, 0);
    expect_broken(f);
    offer_one(f, G_TABLE, 1025 * 16, D_INDIRECT, 0);
    expect_broken(f);
    offer_one(f, G_TABLE, UINT32_MAX & ~15u, D_INDIRECT, 0);
    expect_broken(f);
    offer_one(f, UINT64_MAX - 15, 32, D_INDIRECT, 0);
    expect_broken(f);
    offer_one(f, 0x1000, 16, D_INDIRECT, 0); /* in nowhere                           */
    expect_broken(f);
    put_desc(d, G_TABLE, 0, G_DATA, 16, 0, 0);
    offer_one(f, G_TABLE, 16, D_INDIRECT | D_NEXT, 1); /* something after it         */
    expect_broken(f);
    restart(f, VIRTIO_F_VERSION_1); /* not negotiated                              */
    put_desc(d, G_TABLE, 0, G_DATA, 16, 0, 0);
    offer_one(f, G_TABLE, 16, D_INDIRECT, 0);
    expect_broken(f);
}

static void test_bad_rings(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;
    static const sm_gpa nowhere[] = {0x1000, UINT64_MAX - 63, UINT64_MAX - 1};

    bench_store(&f->bench, d->avail + 2, 2, SIZE + 1); /* more than there can be     */
    expect_broken(f);
    bench_store(&f->bench, d->avail + 2, 2, 0xffff);
    expect_broken(f);

    for (unsigned i = 0; i < 3 * SM_ARRAY_LEN(nowhere); i++) {
        sm_gpa *const place[] = {&d->desc, &d->avail, &d->used};

        put_desc(d, G_DESC, 0, G_DATA, 4, D_WRITE, 0);
        driver_offer(d, 0);
        reg_write(d, R_QUEUE_READY, 0);
        *place[i % 3] = nowhere[i / 3];
        driver_queue(d);
        driver_notify(d);
        expect_nothing_used(&(struct driver){.bench = &f->bench, .used = G_USED,
                                             .size = SIZE});
        restart(f, VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC);
    }
}

/* A ring inside the device's own registers is no memory (L4). */
static void test_ring_in_itself(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;

    reg_write(d, R_QUEUE_READY, 0);
    d->avail = SLOT + 0x100;
    driver_queue(d);
    driver_notify(d);
    assert_true(reg_read(d, R_STATUS) & VIRTIO_NEEDS_RESET);
}

/* What the driver offers again while it is in use does not pile up. */
static void test_in_flight(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;

    f->echo.keep = true;
    put_desc(d, G_DESC, 0, G_DATA, 4, D_WRITE, 0);
    for (unsigned i = 0; i < SIZE; i++)
        driver_offer(d, 0);
    driver_notify(d);
    assert_int_equal(f->echo.n, SIZE);
    assert_int_equal(reg_read(d, R_STATUS), 0xf);
    driver_offer(d, 0);
    driver_notify(d);
    assert_int_equal(f->echo.n, SIZE);
    assert_true(reg_read(d, R_STATUS) & VIRTIO_NEEDS_RESET);
}

/* --- Epochs ----------------------------------------------------------------------- */

static void test_late_push(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;
    struct virtq *queue = &f->echo.virtio.queue[0];
    uint32_t epoch;

    f->echo.keep = true;
    put_desc(d, G_DESC, 0, G_DATA, 4, D_WRITE, 0);
    driver_offer(d, 0);
    driver_notify(d);
    epoch = f->echo.got[0].chain.epoch;
    assert_true(virtq_current(queue, epoch));
    reg_write(d, R_STATUS, 0);
    assert_false(virtq_current(queue, epoch)); /* at once, before any work          */
    virtq_push(queue, 0, epoch, 4);
    restart(f, VIRTIO_F_VERSION_1);
    assert_int_equal(f->echo.n_quiesced, 1);
    virtq_push(queue, 0, epoch, 4);
    virtq_notify(queue);
    expect_nothing_used(d);
    assert_false(f->lines.level[SLOT_LINE]);
    assert_int_equal(queue->in_flight, 0);

    /* The same by taking the queue away. */
    put_desc(d, G_DESC, 0, G_DATA, 4, D_WRITE, 0);
    driver_offer(d, 0);
    driver_notify(d);
    epoch = f->echo.got[0].chain.epoch;
    reg_write(d, R_QUEUE_READY, 0);
    bench_work(&f->bench);
    assert_int_equal(f->echo.n_quiesced, 2);
    virtq_push(queue, 0, epoch, 4);
    expect_nothing_used(d);
}

/* --- Read once -------------------------------------------------------------------- */

/* Rings and tables in memory whose second answer would lead astray. */
static void test_read_once(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;
    struct shifty *shifty = shifty_new(&f->bench);

    d->desc = SHIFTY_BASE;
    d->avail = SHIFTY_BASE + 0x1000;
    reg_write(d, R_QUEUE_READY, 0);
    driver_queue(d);
    put_desc(d, d->desc, 0, G_DATA, 16, D_NEXT, 1);
    put_desc(d, d->desc, 1, SHIFTY_BASE + 0x2000, 48, D_INDIRECT, 0);
    put_desc(d, SHIFTY_BASE + 0x2000, 0, G_DATA + 0x100, 8, D_NEXT | D_WRITE, 2);
    put_desc(d, SHIFTY_BASE + 0x2000, 2, G_DATA + 0x200, 1, D_WRITE, 0);
    driver_offer(d, 0);
    memset(shifty->second, 0xff, sizeof(shifty->second));
    /* The index alone is read again, to see whether there is more. */
    shifty->second[0x1002] = 1;
    shifty->second[0x1003] = 0;
    driver_notify(d);

    assert_int_equal(f->echo.n, 1);
    assert_int_equal(f->echo.got[0].chain.n_out, 1);
    assert_int_equal(f->echo.got[0].chain.n_in, 2);
    assert_int_equal(f->echo.got[0].seg[0].gpa, G_DATA);
    assert_int_equal(f->echo.got[0].seg[1].gpa, G_DATA + 0x100);
    assert_int_equal(f->echo.got[0].seg[2].size, 1);
    expect_used(d, 0, 0);
    for (unsigned i = 0; i < SHIFTY_SIZE; i++) {
        if (i != 0x1002 && i != 0x1003)
            assert_true(shifty->n_reads[i] <= 1);
    }
    reg_write(d, R_STATUS, 0);
    bench_work(&f->bench);
    shifty_free(&f->bench, shifty);
}

/* --- Payload ---------------------------------------------------------------------- */

static void test_gather(void **state)
{
    struct fixture *f = *state;
    struct virtio *virtio = &f->echo.virtio;
    struct virtq *queue = &virtio->queue[0];
    const uint32_t epoch = queue->place.epoch;
    const struct virtq_seg seg[] = {
        {G_DATA, 3}, {G_DATA + 0x100, 5}, {G_DATA + 0x200, 2}};
    char text[16] = "";

    assert_true(virtq_scatter(queue, epoch, seg, 3, 0, "0123456789", 10));
    bench_read(&f->bench, G_DATA + 0x100, text, 5);
    assert_string_equal(text, "34567");
    memset(text, 0, sizeof(text));
    assert_true(virtq_gather(virtio, seg, 3, 2, text, 7));
    assert_string_equal(text, "2345678");
    assert_true(virtq_gather(virtio, seg, 3, 10, text, 0));
    assert_false(virtq_gather(virtio, seg, 3, 4, text, 7));
    assert_false(virtq_gather(virtio, seg, 3, 100, text, 1));
    assert_true(virtq_scatter(queue, epoch - 1, seg, 3, 0, "##########", 10)); /* late */
    assert_true(virtq_gather(virtio, seg, 3, 2, text, 7));
    assert_string_equal(text, "2345678");
    assert_false(virtq_gather(virtio, &(struct virtq_seg){0x1000, 4}, 1, 0, text, 4));
    assert_false(
        virtq_scatter(queue, epoch, &(struct virtq_seg){0x1000, 4}, 1, 0, text, 4));
}

static void test_payload_ram(void **state)
{
    struct fixture *f = *state;
    struct virtio *virtio = &f->echo.virtio;
    /* The first two are neighbours: one piece of host memory. */
    const struct virtq_seg seg[] = {{G_DATA, 0x100}, {G_DATA + 0x100, 0x100},
                                    {G_DATA + 0x1000, 0x10}};
    struct virtio_payload payload;

    bench_write(&f->bench, G_DATA + 0x10, "payload", 7);
    assert_int_equal(virtio_payload_map(virtio, seg, 3, 0x10, 0x1f8, SM_READ, &payload),
                     0);
    assert_null(payload.bounce);
    assert_int_equal(payload.n_iov, 2);
    assert_int_equal(payload.iov[0].iov_len, 0x1f0);
    assert_int_equal(payload.iov[1].iov_len, 8);
    assert_memory_equal(payload.iov[0].iov_base, "payload", 7);
    virtio_payload_unmap(virtio, &payload);

    assert_int_equal(virtio_payload_map(virtio, seg, 3, 0, 0, SM_READ, &payload), 0);
    assert_int_equal(payload.n_iov, 0);
    virtio_payload_unmap(virtio, &payload);
}

static void test_payload_bounce(void **state)
{
    struct fixture *f = *state;
    struct virtio *virtio = &f->echo.virtio;
    struct virtq *queue = &virtio->queue[0];
    const uint32_t epoch = queue->place.epoch;
    struct shifty *shifty = shifty_new(&f->bench);
    const struct virtq_seg seg[] = {{G_DATA, 4}, {SHIFTY_BASE, 4}};
    const struct virtq_seg hole = {0x1000, 4},
                           large = {SHIFTY_BASE, VIRTIO_MAX_BOUNCE + 1};
    struct virtio_payload payload, other;
    char text[8];

    bench_write(&f->bench, G_DATA, "abcd", 4);
    bench_write(&f->bench, SHIFTY_BASE, "efgh", 4);
    assert_int_equal(virtio_payload_map(virtio, seg, 2, 1, 6, SM_READ, &payload), 0);
    assert_non_null(payload.bounce);
    assert_int_equal(payload.n_iov, 1);
    assert_memory_equal(payload.iov[0].iov_base, "bcdefg", 6);
    assert_int_equal(virtio->bounced, 6);
    virtio_payload_unmap(virtio, &payload);
    assert_int_equal(virtio->bounced, 0);

    assert_int_equal(virtio_payload_map(virtio, seg, 2, 1, 6, SM_WRITE, &payload), 0);
    memcpy(payload.iov[0].iov_base, "UVWXYZ", 6);
    assert_true(virtio_payload_flush(queue, epoch, &payload));
    virtio_payload_unmap(virtio, &payload);
    bench_read(&f->bench, SHIFTY_BASE, text, 4);
    assert_memory_equal(text, "XYZh", 4);

    assert_int_equal(virtio_payload_map(virtio, &hole, 1, 0, 4, SM_READ, &payload),
                     -EFAULT);
    assert_int_equal(virtio_payload_map(virtio, &hole, 1, 0, 4, SM_WRITE, &payload), 0);
    assert_false(virtio_payload_flush(queue, epoch, &payload));
    virtio_payload_unmap(virtio, &payload);
    assert_int_equal(
        virtio_payload_map(virtio, &large, 1, 0, large.size, SM_WRITE, &payload), -E2BIG);
    /* All that one device holds counts. */
    assert_int_equal(virtio_payload_map(virtio, &large, 1, 0, VIRTIO_MAX_BOUNCE - 1,
                                        SM_WRITE, &payload),
                     0);
    assert_int_equal(virtio_payload_map(virtio, seg, 2, 4, 2, SM_WRITE, &other), -E2BIG);
    assert_int_equal(virtio_payload_map(virtio, seg, 2, 4, 1, SM_WRITE, &other), 0);
    virtio_payload_unmap(virtio, &payload);
    virtio_payload_unmap(virtio, &other);
    assert_int_equal(virtio->bounced, 0);
    shifty_free(&f->bench, shifty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_chain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_interrupt_suppression, setup, teardown),
        cmocka_unit_test_setup_teardown(test_indirect, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_chains, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_tables, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_rings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ring_in_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(test_in_flight, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late_push, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gather, setup, teardown),
        cmocka_unit_test_setup_teardown(test_payload_ram, setup, teardown),
        cmocka_unit_test_setup_teardown(test_payload_bounce, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
