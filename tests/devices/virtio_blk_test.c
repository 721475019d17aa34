/* SPDX-License-Identifier: MIT */
/* virtio_blk_test.c - requests of every kind, many at once, late ones and bad ones. */
#include "driver.h"

enum {
    SLOT = DEVICE_BASE, SIZE = 64,
    T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8,
    S_OK = 0, S_IOERR = 1, S_UNSUPP = 2, S_UNTOUCHED = 0xee,
    G_HEADER = G_TABLE, G_STATUS = G_TABLE + 0x8000
};

#define F_RO         (UINT64_C(1) << 5)
#define F_FLUSH      (UINT64_C(1) << 9)
#define F_CONFIG_WCE (UINT64_C(1) << 11)
#define USUAL        (VIRTIO_F_VERSION_1 | F_FLUSH)

struct fixture {
    struct bench bench;
    struct fake_lines lines;
    struct fake_blk blk;
    struct virtio_mmio *slot;
    struct driver driver;
};

static void plug(struct fixture *f, const char *serial)
{
    struct virtio *disk;

    assert_int_equal(
        virtio_mmio_new(
            &(struct virtio_mmio_options){.topo = f->bench.topo,
                                          .space = f->bench.space,
                                          .irq = fake_line(&f->lines, SLOT_LINE)},
            &f->slot),
        0);
    assert_int_equal(virtio_blk_new(&(struct virtio_blk_options){.blk = &f->blk.table,
                                                                 .serial = serial},
                                    &disk),
                     0);
    virtio_mmio_plug(f->slot, disk);
    bench_map(&f->bench, SLOT, virtio_mmio_region(f->slot));
}

static void unplug(struct fixture *f)
{
    bench_unmap(&f->bench, virtio_mmio_region(f->slot));
    virtio_mmio_free(f->slot);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    bench_init(&f->bench);
    fake_blk_init(&f->blk);
    plug(f, "serial-number");
    driver_start(&f->driver, &f->bench, SLOT, USUAL, SIZE);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    unplug(f);
    assert_int_equal(f->blk.n_pending, 0);
    bench_fini(&f->bench);
    free(f);
    return 0;
}

/** Offer request @n: header, data of @size bytes unless 0, status; descriptors 3n.. */
static void offer(struct fixture *f, unsigned n, uint32_t type, uint64_t sector,
                  uint32_t size)
{
    struct driver *d = &f->driver;
    const uint16_t head = (uint16_t)(3 * n);
    const sm_gpa header = G_HEADER + 16 * n;

    bench_store(&f->bench, header, 8, type);
    bench_store(&f->bench, header + 8, 8, sector);
    bench_store(&f->bench, G_STATUS + n, 1, S_UNTOUCHED);
    put_desc(d, G_DESC, head, header, 16, D_NEXT, (uint16_t)(size ? head + 1 : head + 2));
    if (size)
        put_desc(d, G_DESC, head + 1u, G_DATA + 0x1000 * n, size,
                 D_NEXT | (type == T_OUT ? 0 : D_WRITE), (uint16_t)(head + 2));
    put_desc(d, G_DESC, head + 2u, G_STATUS + n, 1, D_WRITE, 0);
    driver_offer(d, head);
}

static uint8_t status(struct fixture *f, unsigned n)
{
    return (uint8_t)bench_load(&f->bench, G_STATUS + n, 1);
}

/** Make one request and wait for it. */
static uint8_t request(struct fixture *f, uint32_t type, uint64_t sector, uint32_t size)
{
    uint32_t id, written;

    offer(f, 0, type, sector, size);
    driver_notify(&f->driver);
    assert_true(driver_reap(&f->driver, &id, &written));
    assert_int_equal(id, 0);
    if (status(f, 0) == S_OK)
        assert_int_equal(written, type == T_IN || type == T_GET_ID ? size + 1 : 1);
    else
        assert_int_equal(written, size && type != T_OUT ? 0 : 1);
    return status(f, 0);
}

static void test_config(void **state)
{
    struct fixture *f = *state;
    const sm_gpa config = SLOT + R_CONFIG;

    assert_int_equal(reg_read(&f->driver, R_DEVICE_ID), 2);
    assert_int_equal(driver_offered(&f->driver) & 0xffffff,
                     1 << 2 | 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11);
    assert_int_equal(bench_load(&f->bench, config, 8), DISK_SECTORS);
    assert_int_equal(bench_load(&f->bench, config + 12, 4), 254);
    assert_int_equal(bench_load(&f->bench, config + 20, 4), 512);
    assert_int_equal(bench_load(&f->bench, config + 24, 1), 0);
    assert_int_equal(bench_load(&f->bench, config + 26, 2), 1);
    assert_int_equal(bench_load(&f->bench, config + 32, 1), 1);
    assert_int_equal(bench_load(&f->bench, config + 34, 2), 1);
}

static void test_read_write(void **state)
{
    struct fixture *f = *state;
    uint8_t data[1024];

    assert_int_equal(request(f, T_IN, 3, 1024), S_OK);
    bench_read(&f->bench, G_DATA, data, sizeof(data));
    assert_memory_equal(data, f->blk.data + 3 * 512, sizeof(data));
    assert_true(f->lines.level[SLOT_LINE]);

    memset(data, 0x5a, sizeof(data));
    bench_write(&f->bench, G_DATA, data, sizeof(data));
    assert_int_equal(request(f, T_OUT, DISK_SECTORS - 2, 1024), S_OK);
    assert_memory_equal(f->blk.data + (DISK_SECTORS - 2) * 512, data, sizeof(data));
    assert_int_equal(f->blk.n_flushes, 0);
    assert_int_equal(request(f, T_FLUSH, 0, 0), S_OK);
    assert_int_equal(f->blk.n_flushes, 1);
    assert_int_equal(request(f, T_IN, 0, 0), S_OK); /* nothing is read well         */
}

static void test_get_id(void **state)
{
    struct fixture *f = *state;
    char id[32] = "";

    bench_write(&f->bench, G_DATA, "................................", 32);
    assert_int_equal(request(f, T_GET_ID, 0, 20), S_OK);
    bench_read(&f->bench, G_DATA, id, 21);
    assert_string_equal(id, "serial-number");
    assert_int_equal(id[19], 0);
    assert_int_equal(id[20], '.');
    bench_write(&f->bench, G_DATA, "................................", 32);
    assert_int_equal(request(f, T_GET_ID, 0, 3), S_OK);
    bench_read(&f->bench, G_DATA, id, 4);
    assert_memory_equal(id, "ser.", 4);

    unplug(f); /* 20 bytes without an end are allowed, and more is cut              */
    plug(f, "0123456789abcdefghijklmn");
    driver_start(&f->driver, &f->bench, SLOT, USUAL, SIZE);
    assert_int_equal(request(f, T_GET_ID, 0, 20), S_OK);
    bench_read(&f->bench, G_DATA, id, 20);
    assert_memory_equal(id, "0123456789abcdefghij", 20);
}

static void test_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(request(f, T_IN, DISK_SECTORS, 512), S_IOERR);
    assert_int_equal(request(f, T_IN, DISK_SECTORS - 1, 1024), S_IOERR);
    assert_int_equal(request(f, T_IN, UINT64_MAX, 512), S_IOERR);
    assert_int_equal(request(f, T_IN, UINT64_MAX / 512 + 1, 512), S_IOERR);
    assert_int_equal(request(f, T_OUT, DISK_SECTORS, 512), S_IOERR);
    assert_int_equal(request(f, T_IN, 0, 511), S_IOERR);
    assert_int_equal(request(f, T_IN, 0, 513), S_IOERR);
    assert_int_equal(request(f, T_OUT, 0, 100), S_IOERR);
    assert_int_equal(request(f, 2, 0, 512), S_UNSUPP); /* SCSI                      */
    assert_int_equal(request(f, 11, 0, 512), S_UNSUPP); /* discard                  */
    assert_int_equal(request(f, UINT32_MAX, 0, 512), S_UNSUPP);
    assert_int_equal(f->blk.n_submits, 0);
    f->blk.error = -EIO;
    assert_int_equal(request(f, T_IN, 0, 512), S_IOERR);
    assert_int_equal(request(f, T_OUT, 0, 512), S_IOERR);
    assert_int_equal(request(f, T_FLUSH, 0, 0), S_IOERR);
}

static void test_readonly(void **state)
{
    struct fixture *f = *state;

    unplug(f);
    f->blk.table.readonly = true;
    plug(f, NULL);
    assert_true(driver_offered(&f->driver) & F_RO);
    driver_start(&f->driver, &f->bench, SLOT, USUAL | F_RO, SIZE);
    assert_int_equal(request(f, T_OUT, 0, 512), S_IOERR);
    assert_int_equal(request(f, T_IN, 0, 512), S_OK);
    assert_int_equal(f->blk.n_submits, 1);
}

/* When a write is answered it is where the driver believes it to be. */
static void test_write_cache(void **state)
{
    struct fixture *f = *state;
    const sm_gpa writeback = SLOT + R_CONFIG + 32;

    driver_start(&f->driver, &f->bench, SLOT, VIRTIO_F_VERSION_1, SIZE); /* no FLUSH */
    assert_int_equal(request(f, T_OUT, 0, 512), S_OK);
    assert_int_equal(f->blk.n_flushes, 1);
    bench_store(&f->bench, writeback, 1, 0); /* not negotiated                       */
    assert_int_equal(bench_load(&f->bench, writeback, 1), 1);

    driver_start(&f->driver, &f->bench, SLOT, USUAL | F_CONFIG_WCE, SIZE);
    assert_int_equal(request(f, T_OUT, 0, 512), S_OK);
    assert_int_equal(f->blk.n_flushes, 1);
    bench_store(&f->bench, writeback, 1, 0);
    assert_int_equal(bench_load(&f->bench, writeback, 1), 0);
    assert_int_equal(request(f, T_OUT, 0, 512), S_OK);
    assert_int_equal(f->blk.n_flushes, 2);
    assert_int_equal(request(f, T_IN, 0, 512), S_OK);
    assert_int_equal(f->blk.n_flushes, 2);
    f->blk.error = -EIO;
    assert_int_equal(request(f, T_OUT, 0, 512), S_IOERR);
    assert_int_equal(f->blk.n_flushes, 2);
    f->blk.error = 0;
    bench_store(&f->bench, SLOT + R_CONFIG + 33, 1, 1); /* another byte              */
    reg_write(&f->driver, R_STATUS, 0);
    assert_int_equal(bench_load(&f->bench, writeback, 2), 1);

    unplug(f);
    f->blk.table.writethrough = true; /* the host end does it                        */
    plug(f, NULL);
    assert_int_equal(bench_load(&f->bench, writeback, 1), 0);
    driver_start(&f->driver, &f->bench, SLOT, VIRTIO_F_VERSION_1, SIZE);
    assert_int_equal(request(f, T_OUT, 0, 512), S_OK);
    assert_int_equal(f->blk.n_flushes, 2);
}

/* Many under way, ending in any order. */
static void test_many(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;
    uint8_t data[512];

    f->blk.manual = true;
    for (unsigned n = 0; n < 20; n++)
        offer(f, n, T_IN, n, 512);
    driver_notify(d);
    assert_int_equal(f->blk.n_pending, 20);
    expect_nothing_used(d);
    fake_blk_complete(&f->blk, 7);
    expect_nothing_used(d); /* the answer is given in work                          */
    bench_work(&f->bench);
    expect_used(d, 21, 513);
    fake_blk_complete(&f->blk, 0);
    fake_blk_complete(&f->blk, 17);
    fake_blk_complete(&f->blk, 4);
    bench_work(&f->bench);
    expect_used(d, 0, 513);
    expect_used(d, 3 * 19, 513);
    expect_used(d, 3 * 5, 513);
    expect_nothing_used(d);
    for (unsigned n = 0; n < 20; n++) {
        const bool done = n == 7 || n == 0 || n == 19 || n == 5;

        assert_int_equal(status(f, n), done ? S_OK : S_UNTOUCHED);
        bench_read(&f->bench, G_DATA + 0x1000 * n, data, 512);
        assert_int_equal(memcmp(data, f->blk.data + 512 * n, 512) == 0, done);
    }
    while (f->blk.n_pending)
        fake_blk_complete(&f->blk, f->blk.n_pending - 1);
    bench_work(&f->bench);
    for (unsigned n = 0; n < 16; n++) {
        uint32_t id, written;

        assert_true(driver_reap(d, &id, &written));
    }
    expect_nothing_used(d);
}

/* After a reset the driver's memory is its own: what was under way has ended, and no
 * status, no used entry and no interrupt comes of it. */
static void test_reset_under_way(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;

    f->blk.manual = true;
    f->blk.n_drains = 0;
    offer(f, 0, T_IN, 0, 512);
    offer(f, 1, T_OUT, 1, 512);
    driver_notify(d);
    assert_int_equal(f->blk.n_pending, 2);
    reg_write(d, R_STATUS, 0);
    assert_int_equal(reg_read(d, R_STATUS), 0);
    fake_blk_complete(&f->blk, 1);
    bench_work(&f->bench);
    assert_int_equal(f->blk.n_pending, 0);
    assert_int_equal(f->blk.n_drains, 1);
    assert_int_equal(status(f, 0), S_UNTOUCHED);
    assert_int_equal(status(f, 1), S_UNTOUCHED);
    expect_nothing_used(d);
    assert_false(f->lines.level[SLOT_LINE]);

    driver_start(d, &f->bench, SLOT, USUAL, SIZE);
    f->blk.manual = false;
    assert_int_equal(request(f, T_IN, 0, 512), S_OK);

    f->blk.manual = true; /* the machine's reset, and the end                       */
    offer(f, 0, T_IN, 0, 512);
    driver_notify(d);
    virtio_mmio_model.reset(f->slot);
    assert_int_equal(f->blk.n_pending, 0);
    expect_nothing_used(d);
    driver_start(d, &f->bench, SLOT, USUAL, SIZE);
    offer(f, 0, T_OUT, 0, 512);
    driver_notify(d);
    assert_int_equal(f->blk.n_pending, 1);
}

/* A write whose flush is under way when the reset comes. */
static void test_reset_between(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;

    driver_start(d, &f->bench, SLOT, VIRTIO_F_VERSION_1, SIZE);
    f->blk.manual = true;
    offer(f, 0, T_OUT, 0, 512);
    driver_notify(d);
    fake_blk_complete(&f->blk, 0);
    bench_work(&f->bench);
    assert_int_equal(f->blk.n_pending, 1);
    assert_int_equal(f->blk.pending[0]->op, DEV_BLK_FLUSH);
    expect_nothing_used(d);
    reg_write(d, R_STATUS, 0);
    bench_work(&f->bench);
    expect_nothing_used(d);
    assert_int_equal(status(f, 0), S_UNTOUCHED);
}

/* Header and data cut anywhere, and a table of many pieces. */
static void test_layout(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;
    uint8_t data[1024];

    driver_start(d, &f->bench, SLOT, USUAL | VIRTIO_F_INDIRECT_DESC, SIZE);
    bench_store(&f->bench, G_HEADER + 0x4000, 8, T_OUT);
    bench_store(&f->bench, G_HEADER + 0x4100, 8, 9);
    memset(data, 0x77, sizeof(data));
    bench_write(&f->bench, G_HEADER + 0x4108, data, 24);
    bench_write(&f->bench, G_DATA, data, 1000);
    put_desc(d, G_TABLE, 0, G_HEADER + 0x4000, 8, D_NEXT, 1);
    put_desc(d, G_TABLE, 1, G_HEADER + 0x4100, 32, D_NEXT, 2); /* and 24 of data     */
    for (unsigned i = 0; i < 100; i++)
        put_desc(d, G_TABLE, 2 + i, G_DATA + 10 * i, 10, D_NEXT, (uint16_t)(3 + i));
    put_desc(d, G_TABLE, 102, G_STATUS, 1, D_WRITE, 0);
    put_desc(d, G_DESC, 4, G_TABLE, 103 * 16, D_INDIRECT, 0);
    driver_offer(d, 4);
    driver_notify(d);
    expect_used(d, 4, 1);
    assert_int_equal(status(f, 0), S_OK);
    assert_memory_equal(f->blk.data + 9 * 512, data, 1024);

    /* Status and data in one buffer: its last byte is the status. */
    bench_store(&f->bench, G_HEADER + 0x4000, 8, T_IN);
    bench_store(&f->bench, G_HEADER + 0x4008, 8, 2);
    put_desc(d, G_DESC, 0, G_HEADER + 0x4000, 16, D_NEXT, 1);
    put_desc(d, G_DESC, 1, G_DATA, 513, D_WRITE, 0);
    driver_offer(d, 0);
    driver_notify(d);
    expect_used(d, 0, 513);
    bench_read(&f->bench, G_DATA, data, 513);
    assert_memory_equal(data, f->blk.data + 2 * 512, 512);
    assert_int_equal(data[512], S_OK);
}

static void expect_broken(struct fixture *f)
{
    struct driver *d = &f->driver;

    driver_notify(d);
    assert_true(reg_read(d, R_STATUS) & VIRTIO_NEEDS_RESET);
    expect_nothing_used(d);
    assert_int_equal(f->blk.n_submits, 0);
    driver_start(d, &f->bench, SLOT, USUAL, SIZE);
}

static void test_no_request(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;

    put_desc(d, G_DESC, 0, G_HEADER, 15, D_NEXT, 1); /* too short a header          */
    put_desc(d, G_DESC, 1, G_STATUS, 1, D_WRITE, 0);
    driver_offer(d, 0);
    expect_broken(f);
    put_desc(d, G_DESC, 0, G_HEADER, 16, 0, 0); /* no status                        */
    driver_offer(d, 0);
    expect_broken(f);
    put_desc(d, G_DESC, 0, 0x1000, 16, D_NEXT, 1); /* header in nowhere             */
    put_desc(d, G_DESC, 1, G_STATUS, 1, D_WRITE, 0);
    driver_offer(d, 0);
    expect_broken(f);
    bench_store(&f->bench, G_HEADER, 8, 99);
    put_desc(d, G_DESC, 0, G_HEADER, 16, D_NEXT, 1); /* status in nowhere           */
    put_desc(d, G_DESC, 1, 0x1000, 1, D_WRITE, 0);
    driver_offer(d, 0);
    expect_broken(f);
}

/* Data that is not RAM goes through a copy; data that is nowhere is an error. */
static void test_data_elsewhere(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;
    struct shifty *shifty = shifty_new(&f->bench);
    uint8_t data[512];

    offer(f, 0, T_IN, 5, 512);
    put_desc(d, G_DESC, 1, SHIFTY_BASE + 0x100, 512, D_NEXT | D_WRITE, 2);
    driver_notify(d);
    expect_used(d, 0, 513);
    assert_int_equal(status(f, 0), S_OK);
    assert_memory_equal(shifty->first + 0x100, f->blk.data + 5 * 512, 512);

    memset(shifty->first, 0x33, 0x2000);
    memset(shifty->n_reads, 0, sizeof(shifty->n_reads));
    offer(f, 0, T_OUT, 6, 512);
    put_desc(d, G_DESC, 1, SHIFTY_BASE + 0x100, 512, D_NEXT, 2);
    driver_notify(d);
    expect_used(d, 0, 1);
    assert_int_equal(status(f, 0), S_OK);
    memset(data, 0x33, sizeof(data));
    assert_memory_equal(f->blk.data + 6 * 512, data, 512);
    for (unsigned i = 0; i < SHIFTY_SIZE; i++)
        assert_true(shifty->n_reads[i] <= 1);

    offer(f, 0, T_OUT, 6, 512);
    put_desc(d, G_DESC, 1, 0x1000, 512, D_NEXT, 2);
    driver_notify(d);
    expect_used(d, 0, 1);
    assert_int_equal(status(f, 0), S_IOERR);
    offer(f, 0, T_IN, 6, 512);
    put_desc(d, G_DESC, 1, 0x1000, 512, D_NEXT | D_WRITE, 2);
    driver_notify(d);
    expect_used(d, 0, 0);
    assert_int_equal(status(f, 0), S_IOERR);
    offer(f, 0, T_IN, 0, 512); /* into the disk's own registers                      */
    put_desc(d, G_DESC, 1, SLOT, 512, D_NEXT | D_WRITE, 2);
    driver_notify(d);
    expect_used(d, 0, 0);
    assert_int_equal(status(f, 0), S_IOERR);
    assert_int_equal(reg_read(d, R_STATUS), 0xf);
    shifty_free(&f->bench, shifty);
}

/* The header is read once: what a second look would show is of no account. */
static void test_read_once(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;
    struct shifty *shifty = shifty_new(&f->bench);

    offer(f, 0, T_IN, 1, 512);
    put_desc(d, G_DESC, 0, SHIFTY_BASE, 16, D_NEXT, 1);
    memset(shifty->second, 0xff, sizeof(shifty->second));
    memset(shifty->first, 0, 16);
    shifty->first[8] = 1;
    driver_notify(d);
    expect_used(d, 0, 513);
    assert_int_equal(status(f, 0), S_OK);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(shifty->n_reads[i], 1);
    shifty_free(&f->bench, shifty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_config, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_write, setup, teardown),
        cmocka_unit_test_setup_teardown(test_get_id, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_readonly, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write_cache, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset_under_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset_between, setup, teardown),
        cmocka_unit_test_setup_teardown(test_layout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_request, setup, teardown),
        cmocka_unit_test_setup_teardown(test_data_elsewhere, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_once, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
