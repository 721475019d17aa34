/* SPDX-License-Identifier: MIT */
/* virtio_rng_test.c - entropy into one buffer, many, none and bad ones. */
#include "driver.h"

enum { SLOT = DEVICE_BASE, SIZE = 16 };

struct fixture {
    struct bench bench;
    struct fake_lines lines;
    struct fake_rng rng;
    struct virtio_mmio *slot;
    struct driver driver;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct virtio *device;

    bench_init(&f->bench);
    fake_rng_init(&f->rng);
    assert_int_equal(
        virtio_mmio_new(
            &(struct virtio_mmio_options){.topo = f->bench.topo,
                                          .space = f->bench.space,
                                          .irq = fake_line(&f->lines, SLOT_LINE)},
            &f->slot),
        0);
    assert_int_equal(
        virtio_rng_new(&(struct virtio_rng_options){.rng = &f->rng.table}, &device), 0);
    virtio_mmio_plug(f->slot, device);
    bench_map(&f->bench, SLOT, virtio_mmio_region(f->slot));
    driver_start(&f->driver, &f->bench, SLOT, VIRTIO_F_VERSION_1, SIZE);
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

static void test_fill(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;
    uint8_t data[9];

    assert_int_equal(reg_read(d, R_DEVICE_ID), 4);
    assert_int_equal(reg_read(d, R_CONFIG), 0);
    put_desc(d, G_DESC, 0, G_DATA, 3, D_WRITE | D_NEXT, 1);
    put_desc(d, G_DESC, 1, G_DATA + 0x100, 5, D_WRITE, 0);
    put_desc(d, G_DESC, 2, G_DATA + 0x200, 8, D_WRITE, 0);
    driver_offer(d, 0);
    driver_offer(d, 2);
    driver_notify(d);
    expect_used(d, 0, 8);
    expect_used(d, 2, 8);
    assert_true(f->lines.level[SLOT_LINE]);
    bench_read(&f->bench, G_DATA + 0x100, data, 6);
    assert_memory_equal(data, "\3\4\5\6\7\0", 6);
    bench_read(&f->bench, G_DATA + 0x200, data, 9);
    assert_memory_equal(data, "\10\11\12\13\14\15\16\17\0", 9);
}

static void test_large(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;

    put_desc(d, G_DESC, 0, G_DATA, 0x10000, D_WRITE, 0);
    driver_offer(d, 0);
    driver_notify(d);
    expect_used(d, 0, 4096);
    assert_int_equal(f->rng.largest, 4096);
}

static void test_odd(void **state)
{
    struct fixture *f = *state;
    struct driver *d = &f->driver;

    put_desc(d, G_DESC, 0, G_DATA, 16, 0, 0); /* nothing to fill                    */
    put_desc(d, G_DESC, 1, 0x1000, 16, D_WRITE, 0); /* nowhere                      */
    put_desc(d, G_DESC, 2, G_DATA, 16, D_WRITE, 0);
    driver_offer(d, 0);
    driver_offer(d, 1);
    driver_notify(d);
    expect_used(d, 0, 0);
    expect_used(d, 1, 0);
    f->rng.error = -EIO;
    driver_offer(d, 2);
    driver_notify(d);
    expect_used(d, 2, 0);
    f->rng.error = 0;
    driver_offer(d, 2);
    driver_notify(d);
    expect_used(d, 2, 16);
    reg_write(d, R_STATUS, 0);
    bench_work(&f->bench);
    assert_false(f->lines.level[SLOT_LINE]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fill, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_odd, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
