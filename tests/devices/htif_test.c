/* SPDX-License-Identifier: MIT */
/* htif_test.c - exits, console and the write call, by doublewords and by halves. */
#include "fake.h"

enum { TOHOST = DEVICE_BASE, FROMHOST = DEVICE_BASE + 0x40, BUFFER = RAM_BASE + 0x1000,
       CALL = RAM_BASE + 0x800 };

#define CONSOLE_PUTC (UINT64_C(0x0101) << 48)
#define CONSOLE_GETC (UINT64_C(0x0100) << 48)

struct fixture {
    struct bench bench;
    struct fake_chr chr;
    struct fake_power power;
    struct htif *htif;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    bench_init(&f->bench);
    fake_chr_init(&f->chr);
    fake_power_init(&f->power);
    assert_int_equal(htif_new(&(struct htif_options){.topo = f->bench.topo,
                                                     .chr = &f->chr.table,
                                                     .power = &f->power.table,
                                                     .space = f->bench.space},
                              &f->htif),
                     0);
    bench_map(&f->bench, TOHOST, htif_tohost_region(f->htif));
    bench_map(&f->bench, FROMHOST, htif_fromhost_region(f->htif));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    bench_unmap(&f->bench, htif_tohost_region(f->htif));
    bench_unmap(&f->bench, htif_fromhost_region(f->htif));
    htif_free(f->htif);
    bench_fini(&f->bench);
    free(f);
    return 0;
}

static void expect_exit(struct fixture *f, int code)
{
    assert_int_equal(f->power.n_requests, 1);
    assert_int_equal(f->power.event, DEV_POWER_OFF);
    assert_int_equal(f->power.code, code);
    f->power.n_requests = 0;
}

static void test_exit(void **state)
{
    struct fixture *f = *state;

    bench_store(&f->bench, TOHOST, 8, 1);
    expect_exit(f, 0);
    bench_store(&f->bench, TOHOST, 8, 5 << 1 | 1);
    expect_exit(f, 5);
    assert_int_equal(bench_load(&f->bench, TOHOST, 8), 0);
}

/* riscv-tests write both halves, in a loop; others the low one alone. */
static void test_exit_by_halves(void **state)
{
    struct fixture *f = *state;

    bench_store(&f->bench, TOHOST, 4, 1337 << 1 | 1);
    expect_exit(f, 1337);
    bench_store(&f->bench, TOHOST + 4, 4, 0);
    assert_int_equal(f->power.n_requests, 0);
    bench_store(&f->bench, TOHOST, 4, 3);
    expect_exit(f, 1);
}

static void test_putc(void **state)
{
    struct fixture *f = *state;

    bench_store(&f->bench, TOHOST, 8, CONSOLE_PUTC | 'a');
    fake_chr_expect(&f->chr, "a");
    assert_int_equal(bench_load(&f->bench, TOHOST, 8), 0);
    assert_int_equal(bench_load(&f->bench, FROMHOST, 8), CONSOLE_PUTC | 0x100 | 'a');
    bench_store(&f->bench, FROMHOST, 8, 0);

    /* High half first, then low first. */
    bench_store(&f->bench, TOHOST + 4, 4, CONSOLE_PUTC >> 32);
    bench_store(&f->bench, TOHOST, 4, 'c');
    fake_chr_expect(&f->chr, "c");
    bench_store(&f->bench, TOHOST, 4, 'e');
    fake_chr_expect(&f->chr, "");
    bench_store(&f->bench, TOHOST + 4, 4, CONSOLE_PUTC >> 32);
    fake_chr_expect(&f->chr, "e");
    assert_int_equal(f->power.n_requests, 0);
}

/* A full console: tohost stays, and its writer waits for it to become 0. */
static void test_putc_full(void **state)
{
    struct fixture *f = *state;

    f->chr.room = 0;
    bench_store(&f->bench, TOHOST, 8, CONSOLE_PUTC | 'a');
    assert_int_equal(bench_load(&f->bench, TOHOST, 8), CONSOLE_PUTC | 'a');
    assert_int_equal(bench_peek(&f->bench, TOHOST + 4, 4), CONSOLE_PUTC >> 32);
    fake_chr_drain(&f->chr, 0);
    assert_int_equal(bench_load(&f->bench, TOHOST, 8), CONSOLE_PUTC | 'a');
    fake_chr_drain(&f->chr, 10);
    assert_int_equal(bench_load(&f->bench, TOHOST, 8), 0);
    fake_chr_expect(&f->chr, "a");
    fake_chr_drain(&f->chr, 10);
    fake_chr_expect(&f->chr, "");
}

static void test_getc(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(fake_chr_type(&f->chr, "ab", 2), 0);
    bench_store(&f->bench, TOHOST, 8, CONSOLE_GETC);
    assert_int_equal(bench_load(&f->bench, TOHOST, 8), 0);
    assert_int_equal(bench_load(&f->bench, FROMHOST, 8), 0);
    bench_work(&f->bench);
    assert_int_equal(f->chr.n_accepts, 1);
    assert_int_equal(fake_chr_type(&f->chr, "ab", 2), 1);
    assert_int_equal(bench_load(&f->bench, FROMHOST, 8), CONSOLE_GETC | 0x100 | 'a');
    /* The next one is not asked for before the reply was taken. */
    bench_store(&f->bench, TOHOST, 8, CONSOLE_GETC);
    assert_int_equal(fake_chr_type(&f->chr, "b", 1), 0);
    bench_store(&f->bench, FROMHOST, 4, 0);
    bench_store(&f->bench, FROMHOST + 4, 4, 0);
    bench_work(&f->bench);
    assert_int_equal(f->chr.n_accepts, 2);
    assert_int_equal(fake_chr_type(&f->chr, "b", 1), 1);
    /* Output does not displace the reply. */
    bench_store(&f->bench, TOHOST, 8, CONSOLE_PUTC | 'x');
    assert_int_equal(bench_load(&f->bench, FROMHOST, 8), CONSOLE_GETC | 0x100 | 'b');
    f->chr.front->receive(f->chr.device, (const uint8_t *)"?", 1);
    assert_int_equal(bench_peek(&f->bench, FROMHOST, 8), CONSOLE_GETC | 0x100 | 'b');
}

static void call(struct fixture *f, uint64_t number, uint64_t a, uint64_t b, uint64_t c)
{
    const uint64_t args[8] = {number, a, b, c};

    bench_write(&f->bench, CALL, args, sizeof(args));
    bench_store(&f->bench, FROMHOST, 8, 0);
    bench_store(&f->bench, TOHOST, 8, CALL);
    bench_work(&f->bench);
}

static void test_write_call(void **state)
{
    struct fixture *f = *state;
    char text[600];

    memset(text, 'w', sizeof(text));
    text[599] = 0;
    bench_write(&f->bench, BUFFER, text, 599);
    call(f, 64, 1, BUFFER, 599);
    assert_int_equal(bench_load(&f->bench, FROMHOST, 8), 1);
    assert_int_equal(bench_load(&f->bench, TOHOST, 8), 0);
    assert_int_equal(bench_load(&f->bench, CALL, 8), 599);
    fake_chr_expect(&f->chr, text);

    call(f, 64, 7, BUFFER, 5);
    assert_int_equal((int64_t)bench_load(&f->bench, CALL, 8), -EBADF);
    call(f, 1234, 1, BUFFER, 5);
    assert_int_equal((int64_t)bench_load(&f->bench, CALL, 8), -ENOSYS);
    call(f, 64, 1, 0x1000, 5);
    assert_int_equal((int64_t)bench_load(&f->bench, CALL, 8), -EFAULT);
    assert_int_equal(bench_load(&f->bench, FROMHOST, 8), 1);
    fake_chr_expect(&f->chr, "");

    /* Arguments in nowhere: the caller goes on all the same. */
    bench_store(&f->bench, FROMHOST, 8, 0);
    bench_store(&f->bench, TOHOST, 8, 0x2000);
    bench_work(&f->bench);
    assert_int_equal(bench_load(&f->bench, FROMHOST, 8), 1);
}

static void test_write_call_full(void **state)
{
    struct fixture *f = *state;

    bench_write(&f->bench, BUFFER, "0123456789", 10);
    f->chr.room = 4;
    call(f, 64, 2, BUFFER, 10);
    assert_int_equal(bench_load(&f->bench, FROMHOST, 8), 0);
    fake_chr_drain(&f->chr, 3);
    bench_work(&f->bench);
    assert_int_equal(bench_load(&f->bench, FROMHOST, 8), 0);
    fake_chr_drain(&f->chr, 100);
    bench_work(&f->bench);
    assert_int_equal(bench_load(&f->bench, FROMHOST, 8), 1);
    assert_int_equal(bench_load(&f->bench, CALL, 8), 10);
    fake_chr_expect(&f->chr, "0123456789");

    /* A length from beyond the moon is cut short. */
    call(f, 64, 1, RAM_BASE, UINT64_MAX);
    f->chr.n_sent = 0;
    for (unsigned i = 0; i < 4 && !bench_load(&f->bench, FROMHOST, 8); i++) {
        fake_chr_drain(&f->chr, 60000);
        bench_work(&f->bench);
        f->chr.n_sent = 0;
    }
    assert_int_equal(bench_load(&f->bench, FROMHOST, 8), 1);
    assert_int_equal(bench_load(&f->bench, CALL, 8), 65536);
}

static void test_unknown(void **state)
{
    struct fixture *f = *state;

    bench_store(&f->bench, TOHOST, 8, UINT64_C(0x0200) << 48 | 5);
    assert_int_equal(bench_load(&f->bench, TOHOST, 8), 0);
    bench_store(&f->bench, TOHOST, 8, UINT64_C(0x0007) << 48 | 5);
    assert_int_equal(bench_load(&f->bench, TOHOST, 8), 0);
    bench_store(&f->bench, TOHOST, 8, 0);
    assert_int_equal(f->power.n_requests, 0);
    assert_int_equal(bench_load(&f->bench, FROMHOST, 8), 0);
    assert_int_equal(sm_address_space_store(f->bench.space, TOHOST, &bench_attrs, 1, 1),
                     SM_TX_ACCESS_ERROR);
}

static void test_reset(void **state)
{
    struct fixture *f = *state;

    bench_store(&f->bench, TOHOST, 8, CONSOLE_GETC);
    bench_store(&f->bench, TOHOST, 8, CONSOLE_PUTC | 'x');
    htif_model.reset(f->htif);
    assert_int_equal(bench_load(&f->bench, FROMHOST, 8), 0);
    assert_int_equal(fake_chr_type(&f->chr, "a", 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_exit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_exit_by_halves, setup, teardown),
        cmocka_unit_test_setup_teardown(test_putc, setup, teardown),
        cmocka_unit_test_setup_teardown(test_putc_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_getc, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write_call, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write_call_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
