/* SPDX-License-Identifier: MIT */
/* virtio_mmio_test.c - registers, negotiation and life of a slot, modern and legacy. */
#include "driver.h"

enum { SLOT = DEVICE_BASE, ACK_DRIVER = VIRTIO_ACKNOWLEDGE | VIRTIO_DRIVER };

struct fixture {
    struct bench bench;
    struct fake_lines lines;
    struct echo echo;
    struct virtio_mmio *slot;
    struct driver driver;
};

static int setup_slot(void **state, bool legacy, bool plugged)
{
    struct fixture *f = calloc(1, sizeof(*f));

    bench_init(&f->bench);
    assert_int_equal(
        virtio_mmio_new(
            &(struct virtio_mmio_options){.topo = f->bench.topo,
                                          .space = f->bench.space,
                                          .irq = fake_line(&f->lines, SLOT_LINE),
                                          .legacy = legacy},
            &f->slot),
        0);
    assert_false(virtio_mmio_plugged(f->slot));
    if (plugged)
        virtio_mmio_plug(f->slot, echo_init(&f->echo));
    assert_int_equal(virtio_mmio_plugged(f->slot), plugged);
    bench_map(&f->bench, SLOT, virtio_mmio_region(f->slot));
    f->driver = (struct driver){.bench = &f->bench, .regs = SLOT, .desc = G_DESC,
                                .avail = G_AVAIL, .used = G_USED, .size = 8};
    *state = f;
    return 0;
}

static int setup_modern(void **state)
{
    return setup_slot(state, false, true);
}

static int setup_legacy(void **state)
{
    return setup_slot(state, true, true);
}

static int setup_empty(void **state)
{
    return setup_slot(state, false, false);
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

/* --- Any version ------------------------------------------------------------------ */

static void test_empty(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;

    assert_int_equal(reg_read(d, R_MAGIC), 0x74726976);
    assert_int_equal(reg_read(d, R_VERSION), 2);
    assert_int_equal(reg_read(d, R_DEVICE_ID), 0);
    assert_int_equal(reg_read(d, R_VENDOR), 0x554d4551);
    for (unsigned reg = R_DEV_FEATURES; reg < 0x200; reg += 4) {
        reg_write(d, reg, UINT32_MAX);
        assert_int_equal(reg_read(d, reg), 0);
    }
    virtio_mmio_model.reset(f->slot);
    assert_false(f->lines.level[SLOT_LINE]);
}

static void test_identity(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;
    uint64_t wide;

    assert_int_equal(reg_read(d, R_MAGIC), 0x74726976);
    assert_int_equal(reg_read(d, R_VERSION), 2);
    assert_int_equal(reg_read(d, R_DEVICE_ID), 42);
    assert_int_equal(reg_read(d, R_VENDOR), 0x554d4551);
    assert_int_equal(reg_read(d, R_QUEUE_NUM_MAX), 1024);
    reg_write(d, R_QUEUE_SEL, 1);
    assert_int_equal(reg_read(d, R_QUEUE_NUM_MAX), 1024);
    reg_write(d, R_QUEUE_SEL, 2);
    assert_int_equal(reg_read(d, R_QUEUE_NUM_MAX), 0);
    assert_int_equal(reg_read(d, R_QUEUE_READY), 0);
    reg_write(d, R_QUEUE_SEL, UINT32_MAX);
    reg_write(d, R_QUEUE_READY, 1);
    reg_write(d, R_QUEUE_NUM, 8);
    reg_write(d, R_DESC_LOW, 8);
    for (unsigned reg = R_SHM; reg <= R_SHM + 12; reg += 4)
        assert_int_equal(reg_read(d, reg), UINT32_MAX);
    assert_int_equal(reg_read(d, 0xac), 0);
    assert_int_equal(reg_read(d, R_GENERATION), 0);
    /* Registers are words; narrower is nothing, wider is two of them. */
    assert_int_equal(bench_load(&f->bench, SLOT, 1), 0);
    bench_store(&f->bench, SLOT + R_STATUS, 1, 1);
    assert_int_equal(reg_read(d, R_STATUS), 0);
    assert_int_equal(
        sm_address_space_load(f->bench.space, SLOT, &bench_attrs, 8, &wide), SM_TX_OK);
    assert_int_equal(wide, UINT64_C(0x0000000274726976));
}

static void test_config(void **state)
{
    struct fixture *f = *state;
    const sm_gpa config = SLOT + R_CONFIG;

    assert_int_equal(bench_load(&f->bench, config, 1), 0x10);
    assert_int_equal(bench_load(&f->bench, config + 2, 2), 0x1312);
    assert_int_equal(bench_load(&f->bench, config + 4, 4), 0x17161514);
    assert_int_equal(bench_load(&f->bench, config, 8), 0x1716151413121110);
    assert_int_equal(bench_load(&f->bench, config + 8, 4), 0x1918); /* its end      */
    assert_int_equal(bench_load(&f->bench, config + 0xf8, 8), 0);
    assert_int_equal(bench_peek(&f->bench, config + 1, 1), 0x11);
    bench_store(&f->bench, config + 2, 2, 0xabcd);
    assert_int_equal(bench_load(&f->bench, config, 4), 0xabcd1110);
    bench_store(&f->bench, config + 8, 8, UINT64_MAX);
    assert_int_equal(bench_load(&f->bench, config + 8, 8), 0xffff);
}

/* --- Modern ----------------------------------------------------------------------- */

static void test_features(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;
    const uint64_t offered = UINT64_C(1) << 40 | VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX |
                             VIRTIO_F_INDIRECT_DESC | 1;

    assert_int_equal(driver_offered(d), offered);
    reg_write(d, R_DEV_FEATURES_SEL, 2);
    assert_int_equal(reg_read(d, R_DEV_FEATURES), 0);
    reg_write(d, R_DEV_FEATURES_SEL, UINT32_MAX);
    assert_int_equal(reg_read(d, R_DEV_FEATURES), 0);

    /* What was not offered cannot be agreed on. */
    reg_write(d, R_STATUS, ACK_DRIVER);
    driver_accept(d, offered | 2);
    reg_write(d, R_STATUS, ACK_DRIVER | VIRTIO_FEATURES_OK);
    assert_int_equal(reg_read(d, R_STATUS), ACK_DRIVER);
    driver_accept(d, offered & ~UINT64_C(1));
    reg_write(d, R_DRV_FEATURES_SEL, 2); /* no such word                            */
    reg_write(d, R_DRV_FEATURES, UINT32_MAX);
    reg_write(d, R_STATUS, ACK_DRIVER | VIRTIO_FEATURES_OK);
    assert_int_equal(reg_read(d, R_STATUS), ACK_DRIVER | VIRTIO_FEATURES_OK);
    assert_int_equal(f->echo.virtio.accepted, offered & ~UINT64_C(1));
    /* Agreed is agreed. */
    driver_accept(d, 0);
    reg_write(d, R_STATUS, ACK_DRIVER | VIRTIO_FEATURES_OK | VIRTIO_DRIVER_OK);
    assert_int_equal(f->echo.virtio.accepted, offered & ~UINT64_C(1));
    assert_int_equal(reg_read(d, R_STATUS), 0xf);
    reg_write(d, R_STATUS, 0);
    assert_int_equal(reg_read(d, R_STATUS), 0);
    assert_int_equal(f->echo.virtio.accepted, 0);
}

/* xv6: looks at the low features only, takes no VERSION_1, never touches a selector. */
static void test_modest_driver(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;

    reg_write(d, R_STATUS, ACK_DRIVER);
    reg_write(d, R_DRV_FEATURES, reg_read(d, R_DEV_FEATURES) & 1);
    reg_write(d, R_STATUS, ACK_DRIVER | VIRTIO_FEATURES_OK);
    assert_true(reg_read(d, R_STATUS) & VIRTIO_FEATURES_OK);
    driver_queue(d);
    reg_write(d, R_STATUS, 0xf);
    put_desc(d, G_DESC, 0, G_DATA, 4, D_WRITE, 0);
    driver_offer(d, 0);
    driver_notify(d);
    expect_used(d, 0, 0);
}

/* Nothing is consumed before DRIVER_OK, and nothing is forgotten. */
static void test_driver_ok(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;

    reg_write(d, R_STATUS, ACK_DRIVER);
    driver_accept(d, VIRTIO_F_VERSION_1);
    reg_write(d, R_STATUS, ACK_DRIVER | VIRTIO_FEATURES_OK);
    reg_write(d, R_QUEUE_NOTIFY, 0); /* not ready                                   */
    driver_queue(d);
    put_desc(d, G_DESC, 0, G_DATA, 4, D_WRITE, 0);
    driver_offer(d, 0);
    driver_notify(d);
    reg_write(d, R_QUEUE_NOTIFY, 2);
    reg_write(d, R_QUEUE_NOTIFY, UINT32_MAX);
    assert_int_equal(f->echo.n, 0);
    reg_write(d, R_STATUS, 0xf);
    bench_work(&f->bench);
    assert_int_equal(f->echo.n, 1);
    expect_used(d, 0, 0);
}

static void test_queue_size(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;
    static const uint32_t bad[] = {0, 3, 1023, 2048, 65536, UINT32_MAX};

    for (unsigned i = 0; i < SM_ARRAY_LEN(bad); i++) {
        reg_write(d, R_QUEUE_NUM, bad[i]);
        reg_write(d, R_QUEUE_READY, 1);
        assert_int_equal(reg_read(d, R_QUEUE_READY), 0);
    }
    for (uint32_t size = 1; size <= 1024; size *= 2) {
        reg_write(d, R_QUEUE_NUM, size);
        reg_write(d, R_QUEUE_READY, 1);
        assert_int_equal(reg_read(d, R_QUEUE_READY), 1);
        reg_write(d, R_QUEUE_READY, 0);
    }
}

/* The second queue has registers of its own. */
static void test_two_queues(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver, second;

    driver_start(d, &f->bench, SLOT, VIRTIO_F_VERSION_1, 8);
    second = *d;
    second.desc += 0x2000;
    second.avail += 0x2000;
    second.used += 0x2000;
    reg_write(d, R_QUEUE_SEL, 1);
    assert_int_equal(reg_read(d, R_QUEUE_READY), 0);
    reg_write(d, R_QUEUE_NUM, 8);
    reg_write(d, R_DESC_LOW, (uint32_t)second.desc);
    reg_write(d, R_DRIVER_LOW, (uint32_t)second.avail);
    reg_write(d, R_DEVICE_LOW, (uint32_t)second.used);
    reg_write(d, R_QUEUE_READY, 1);
    put_desc(&second, second.desc, 0, G_DATA + 8, 4, D_WRITE, 0);
    driver_offer(&second, 0);
    driver_notify(d); /* the first has nothing                                       */
    assert_int_equal(f->echo.n, 0);
    reg_write(d, R_QUEUE_NOTIFY, 1);
    bench_work(&f->bench);
    assert_int_equal(f->echo.n, 1);
    assert_int_equal(f->echo.got[0].seg[0].gpa, G_DATA + 8);
    expect_used(&second, 0, 0);
    expect_nothing_used(d);
}

static void test_resets(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;

    for (unsigned i = 0; i < 4; i++) {
        driver_start(d, &f->bench, SLOT, VIRTIO_F_VERSION_1, 8);
        assert_false(f->lines.level[SLOT_LINE]);
        put_desc(d, G_DESC, 0, G_DATA, 4, D_WRITE, 0);
        driver_offer(d, 0);
        driver_notify(d);
        expect_used(d, 0, 0);
        assert_true(f->lines.level[SLOT_LINE]);
        if (i & 1) {
            virtio_mmio_model.reset(f->slot);
            assert_int_equal(reg_read(d, R_STATUS), 0);
            assert_int_equal(reg_read(d, R_QUEUE_READY), 0);
            assert_int_equal(reg_read(d, R_ISR), 0);
            assert_false(f->lines.level[SLOT_LINE]);
            driver_notify(d);
        }
    }
    assert_int_equal(f->echo.n, 4);
}

/* The driver cannot take the device's own bit away, but by a reset. */
static void test_needs_reset(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;

    driver_start(d, &f->bench, SLOT, VIRTIO_F_VERSION_1, 8);
    driver_offer(d, 99);
    driver_notify(d);
    assert_int_equal(reg_read(d, R_STATUS), 0x4f);
    assert_int_equal(reg_read(d, R_ISR), VIRTIO_ISR_CONFIG);
    reg_write(d, R_STATUS, 0xf);
    assert_int_equal(reg_read(d, R_STATUS), 0x4f);
    reg_write(d, R_ACK, 3);
    assert_false(f->lines.level[SLOT_LINE]);
    reg_write(d, R_STATUS, 0x8f);
    assert_int_equal(reg_read(d, R_STATUS), 0xcf);
    reg_write(d, R_STATUS, 0);
    assert_int_equal(reg_read(d, R_STATUS), 0);
    reg_write(d, R_STATUS, 0x40); /* nor set it                                     */
    assert_int_equal(reg_read(d, R_STATUS), 0);
}

/* --- Legacy ----------------------------------------------------------------------- */

static void test_legacy(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;
    const uint64_t used = (G_DESC + 16 * 8 + 6 + 2 * 8 + 0xfff) & ~UINT64_C(0xfff);

    assert_int_equal(reg_read(d, R_VERSION), 1);
    assert_int_equal(driver_offered(d), 1 | VIRTIO_F_ANY_LAYOUT | VIRTIO_F_EVENT_IDX |
                                            VIRTIO_F_INDIRECT_DESC);
    reg_write(d, R_STATUS, ACK_DRIVER);
    driver_accept(d, UINT64_MAX & ~VIRTIO_F_EVENT_IDX);
    assert_int_equal(f->echo.virtio.accepted,
                     1 | VIRTIO_F_ANY_LAYOUT | VIRTIO_F_INDIRECT_DESC);
    reg_write(d, R_PAGE_SIZE, 4096);
    assert_int_equal(reg_read(d, R_QUEUE_PFN), 0);
    assert_int_equal(reg_read(d, R_QUEUE_NUM_MAX), 1024);
    reg_write(d, R_QUEUE_NUM, 8);
    reg_write(d, R_QUEUE_ALIGN, 4096);
    reg_write(d, R_QUEUE_PFN, G_DESC >> 12);
    assert_int_equal(reg_read(d, R_QUEUE_PFN), G_DESC >> 12);
    assert_int_equal(reg_read(d, R_QUEUE_READY), 0); /* no such register            */
    assert_int_equal(reg_read(d, R_GENERATION), 0);

    d->avail = G_DESC + 16 * 8;
    d->used = used;
    put_desc(d, G_DESC, 0, G_DATA, 4, D_WRITE, 0);
    driver_offer(d, 0);
    driver_notify(d); /* before DRIVER_OK, as some did                              */
    expect_used(d, 0, 0);
    reg_write(d, R_STATUS, ACK_DRIVER | VIRTIO_DRIVER_OK);
    driver_offer(d, 0);
    driver_notify(d);
    expect_used(d, 0, 0);

    /* Page 0 takes the queue away. */
    reg_write(d, R_QUEUE_PFN, 0);
    driver_offer(d, 0);
    driver_notify(d);
    expect_nothing_used(d);
    assert_int_equal(reg_read(d, R_QUEUE_PFN), 0);
    assert_int_equal(f->echo.n, 2);
}

/* Other page sizes and alignments; nonsense keeps what was. */
static void test_legacy_layout(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;

    reg_write(d, R_PAGE_SIZE, 0x10000);
    reg_write(d, R_PAGE_SIZE, 0);
    reg_write(d, R_PAGE_SIZE, 3);
    reg_write(d, R_QUEUE_NUM, 8);
    reg_write(d, R_QUEUE_ALIGN, 64);
    reg_write(d, R_QUEUE_ALIGN, 0);
    reg_write(d, R_QUEUE_ALIGN, 100);
    reg_write(d, R_QUEUE_PFN, G_DESC >> 16);
    assert_int_equal(reg_read(d, R_QUEUE_PFN), G_DESC >> 16);
    d->avail = G_DESC + 128;
    d->used = G_DESC + 192; /* 128 + 22, aligned to 64                              */
    put_desc(d, G_DESC, 0, G_DATA, 4, D_WRITE, 0);
    driver_offer(d, 0);
    driver_notify(d);
    expect_used(d, 0, 0);

    reg_write(d, R_QUEUE_SEL, 7);
    reg_write(d, R_QUEUE_PFN, 1);
    assert_int_equal(reg_read(d, R_QUEUE_PFN), 0);
}

/* A legacy driver has no bit for it, but the device stops all the same. */
static void test_legacy_broken(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;

    reg_write(d, R_QUEUE_NUM, 8);
    reg_write(d, R_QUEUE_PFN, G_DESC >> 12);
    d->avail = G_DESC + 128;
    reg_write(d, R_STATUS, 7);
    driver_offer(d, 8);
    driver_notify(d);
    assert_int_equal(reg_read(d, R_STATUS), 7);
    assert_false(f->lines.level[SLOT_LINE]);
    bench_store(&f->bench, d->avail + 4, 2, 0);
    driver_notify(d);
    assert_int_equal(f->echo.n, 0);
    reg_write(d, R_STATUS, 0);
    assert_int_equal(reg_read(d, R_STATUS), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_empty, setup_empty, teardown),
        cmocka_unit_test_setup_teardown(test_identity, setup_modern, teardown),
        cmocka_unit_test_setup_teardown(test_config, setup_modern, teardown),
        cmocka_unit_test_setup_teardown(test_config, setup_legacy, teardown),
        cmocka_unit_test_setup_teardown(test_features, setup_modern, teardown),
        cmocka_unit_test_setup_teardown(test_modest_driver, setup_modern, teardown),
        cmocka_unit_test_setup_teardown(test_driver_ok, setup_modern, teardown),
        cmocka_unit_test_setup_teardown(test_queue_size, setup_modern, teardown),
        cmocka_unit_test_setup_teardown(test_two_queues, setup_modern, teardown),
        cmocka_unit_test_setup_teardown(test_resets, setup_modern, teardown),
        cmocka_unit_test_setup_teardown(test_needs_reset, setup_modern, teardown),
        cmocka_unit_test_setup_teardown(test_legacy, setup_legacy, teardown),
        cmocka_unit_test_setup_teardown(test_legacy_layout, setup_legacy, teardown),
        cmocka_unit_test_setup_teardown(test_legacy_broken, setup_legacy, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
