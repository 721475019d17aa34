/* SPDX-License-Identifier: MIT */
/* uart16550_test.c - the serial port as drivers see it, with a host end that fills up. */
#include "fake.h"

enum {
    UART = DEVICE_BASE,
    RBR = UART, THR = UART, IER = UART + 1, IIR = UART + 2, FCR = UART + 2,
    LCR = UART + 3, MCR = UART + 4, LSR = UART + 5, MSR = UART + 6, SCR = UART + 7
};

struct fixture {
    struct bench bench;
    struct fake_clock clock;
    struct fake_lines lines;
    struct fake_chr chr;
    struct uart *uart;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    bench_init(&f->bench);
    fake_clock_init(&f->clock);
    fake_chr_init(&f->chr);
    assert_int_equal(uart_new(&(struct uart_options){.topo = f->bench.topo,
                                                     .chr = &f->chr.table,
                                                     .irq = fake_line(&f->lines, 0),
                                                     .clock = &f->clock.table},
                              &f->uart),
                     0);
    bench_map(&f->bench, UART, uart_region(f->uart));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    bench_unmap(&f->bench, uart_region(f->uart));
    uart_free(f->uart);
    assert_null(f->chr.front);
    bench_fini(&f->bench);
    free(f);
    return 0;
}

static uint8_t get(struct fixture *f, uint64_t gpa)
{
    return (uint8_t)bench_load(&f->bench, gpa, 1);
}

static void put(struct fixture *f, uint64_t gpa, uint8_t value)
{
    bench_store(&f->bench, gpa, 1, value);
}

static void test_registers(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(get(f, IIR), 0x01);
    assert_int_equal(get(f, LSR), 0x60);
    assert_int_equal(get(f, MSR), 0xb0);
    put(f, SCR, 0xa5);
    assert_int_equal(get(f, SCR), 0xa5);
    put(f, IER, 0xff);
    assert_int_equal(get(f, IER), 0x0f);
    put(f, IER, 0);
    put(f, LCR, 0x83);
    put(f, THR, 0x34);
    put(f, IER, 0x12);
    assert_int_equal(get(f, RBR), 0x34);
    assert_int_equal(get(f, IER), 0x12);
    put(f, LCR, 0x03);
    assert_int_equal(get(f, IER), 0);
    assert_int_equal(f->chr.n_sent, 0);
    put(f, FCR, 0x01);
    assert_int_equal(get(f, IIR), 0xc1);
    put(f, FCR, 0xc0); /* without the enable bit nothing is written                */
    assert_int_equal(get(f, IIR), 0x01);
    put(f, MCR, 0xff);
    assert_int_equal(get(f, MCR), 0x1f);
    put(f, LSR, 0);
    assert_int_equal(get(f, LSR), 0x60);
    put(f, UART + 0x80, 1);
    assert_int_equal(get(f, UART + 0x80), 0);
}

/* A wide access is one to the register at its address. */
static void test_widths(void **state)
{
    struct fixture *f = *state;

    bench_store(&f->bench, THR, 4, 0x03020141);
    bench_store(&f->bench, THR, 2, 0x0242);
    bench_store(&f->bench, THR, 8, 0x43);
    fake_chr_expect(&f->chr, "ABC");
    assert_int_equal(bench_load(&f->bench, MCR, 4), 0x08);
    assert_int_equal(get(f, IER), 0);
}

static void test_send(void **state)
{
    struct fixture *f = *state;

    for (const char *c = "hello\n"; *c; c++) {
        assert_int_equal(get(f, LSR) & 0x60, 0x60);
        put(f, THR, (uint8_t)*c);
    }
    fake_chr_expect(&f->chr, "hello\n");
}

/* A full host end is seen as a full transmitter, and nothing grows. */
static void test_back_pressure(void **state)
{
    struct fixture *f = *state;

    put(f, FCR, 0x01);
    f->chr.room = 2;
    for (const char *c = "abcd"; *c; c++)
        put(f, THR, (uint8_t)*c);
    assert_int_equal(get(f, LSR) & 0x60, 0);
    for (unsigned i = 0; i < 100; i++)
        put(f, THR, 'x'); /* a driver that does not look                            */
    fake_chr_expect(&f->chr, "ab");
    fake_chr_drain(&f->chr, 1);
    assert_int_equal(get(f, LSR) & 0x60, 0);
    fake_chr_expect(&f->chr, "c");
    fake_chr_drain(&f->chr, SIZE_MAX);
    assert_int_equal(get(f, LSR) & 0x60, 0x60);
    fake_chr_expect(&f->chr, "dxxxxxxxxxxxxxx");

    /* Without FIFOs there is one holding register. */
    put(f, FCR, 0);
    f->chr.room = 0;
    put(f, THR, '1');
    put(f, THR, '2');
    fake_chr_drain(&f->chr, SIZE_MAX);
    fake_chr_expect(&f->chr, "1");
}

/* Clearing the transmit FIFO drops what waits, and the transmitter is empty. */
static void test_clear_tx(void **state)
{
    struct fixture *f = *state;

    put(f, FCR, 0x01);
    f->chr.room = 0;
    put(f, THR, 'a');
    put(f, IER, 0x02);
    assert_false(f->lines.level[0]);
    put(f, FCR, 0x05);
    assert_true(f->lines.level[0]);
    assert_int_equal(get(f, LSR) & 0x60, 0x60);
    fake_chr_drain(&f->chr, SIZE_MAX);
    fake_chr_expect(&f->chr, "");
}

static void test_thr_interrupt(void **state)
{
    struct fixture *f = *state;

    put(f, IER, 0x02); /* the transmitter is empty: at once                         */
    assert_true(f->lines.level[0]);
    assert_int_equal(get(f, IIR), 0x02);
    assert_false(f->lines.level[0]); /* seen                                       */
    assert_int_equal(get(f, IIR), 0x01);
    put(f, THR, 'a');
    assert_true(f->lines.level[0]);
    put(f, IER, 0);
    assert_false(f->lines.level[0]);
    put(f, IER, 2);
    assert_true(f->lines.level[0]);
    f->chr.room = 0;
    put(f, THR, 'b');
    assert_false(f->lines.level[0]);
    assert_int_equal(get(f, IIR), 0x01);
    put(f, IER, 0);
    put(f, IER, 2);
    assert_false(f->lines.level[0]); /* it is not empty now                        */
    fake_chr_drain(&f->chr, 1);
    assert_true(f->lines.level[0]);
    assert_int_equal(bench_peek(&f->bench, IIR, 1), 0x02);
    assert_true(f->lines.level[0]); /* a debugger has not seen it                  */
}

/* A driver that never reads IIR is not asked again what LSR has told it. */
static void test_thr_seen(void **state)
{
    struct fixture *f = *state;

    put(f, IER, 0x0a);
    assert_true(f->lines.level[0]);
    assert_int_equal(bench_peek(&f->bench, LSR, 1), 0x60);
    assert_true(f->lines.level[0]);
    assert_int_equal(get(f, LSR), 0x60);
    assert_false(f->lines.level[0]);
    put(f, THR, 'a'); /* empty anew                                                 */
    assert_true(f->lines.level[0]);
    get(f, LSR);
    assert_false(f->lines.level[0]);
    assert_int_equal(get(f, IIR), 0x02); /* where a probe still finds it             */
    assert_int_equal(get(f, IIR), 0x01);
    put(f, IER, 0x08);
    put(f, IER, 0x0a);
    assert_true(f->lines.level[0]);
    get(f, LSR);
    put(f, MCR, 0x10); /* what comes after it in priority still asks                */
    assert_true(f->lines.level[0]);
    get(f, IIR);
    assert_int_equal(get(f, IIR), 0x00);
    put(f, MCR, 0x08);
    get(f, MSR);
    assert_false(f->lines.level[0]);
    f->chr.room = 0;
    put(f, THR, 'b');
    get(f, LSR);
    fake_chr_drain(&f->chr, 1);
    assert_true(f->lines.level[0]);
}

static void test_receive(void **state)
{
    struct fixture *f = *state;

    put(f, IER, 0x01);
    assert_int_equal(fake_chr_type(&f->chr, "xy", 2), 1); /* no FIFO               */
    assert_true(f->lines.level[0]);
    assert_int_equal(get(f, IIR), 0x04);
    assert_int_equal(get(f, LSR), 0x61);
    assert_int_equal(bench_peek(&f->bench, RBR, 1), 'x');
    assert_int_equal(get(f, RBR), 'x');
    assert_false(f->lines.level[0]);
    assert_int_equal(get(f, LSR), 0x60);
    assert_int_equal(f->chr.n_accepts, 0); /* never under the lock                 */
    bench_work(&f->bench);
    assert_int_equal(f->chr.n_accepts, 1);
    get(f, RBR);
    bench_work(&f->bench);
    assert_int_equal(f->chr.n_accepts, 1);
}

static void test_trigger_and_timeout(void **state)
{
    struct fixture *f = *state;
    uint64_t four_chars;

    put(f, FCR, 0x41); /* 4 bytes                                                  */
    put(f, LCR, 0x83);
    put(f, UART, 2); /* 115200 baud                                                */
    put(f, LCR, 0x03);
    four_chars = UINT64_C(4000000000) * 10 * 2 / 230400;
    put(f, IER, 0x01);
    assert_int_equal(fake_chr_type(&f->chr, "abc", 3), 3);
    assert_false(f->lines.level[0]);
    fake_clock_advance(&f->clock, four_chars - 1);
    assert_false(f->lines.level[0]);
    fake_clock_advance(&f->clock, 1);
    assert_true(f->lines.level[0]);
    assert_int_equal(get(f, IIR), 0xcc);
    assert_int_equal(get(f, RBR), 'a');
    assert_false(f->lines.level[0]); /* until the next timeout                     */
    fake_clock_advance(&f->clock, four_chars);
    assert_true(f->lines.level[0]);
    assert_int_equal(fake_chr_type(&f->chr, "de", 2), 2);
    assert_int_equal(get(f, IIR), 0xc4); /* four: the trigger level                */
    for (const char *c = "bcde"; *c; c++)
        assert_int_equal(get(f, RBR), *c);
    assert_int_equal(get(f, LSR) & 1, 0);
    assert_int_equal(get(f, IIR), 0xc1);
    fake_clock_advance(&f->clock, 10 * four_chars);
    assert_false(f->lines.level[0]);
}

static void test_fifo_full(void **state)
{
    struct fixture *f = *state;

    put(f, FCR, 0xc1);
    assert_int_equal(fake_chr_type(&f->chr, "0123456789abcdefghij", 20), 16);
    assert_int_equal(get(f, LSR), 0x61);
    for (const char *c = "0123456789abcdef"; *c; c++)
        assert_int_equal(get(f, RBR), *c);
    bench_work(&f->bench);
    assert_int_equal(f->chr.n_accepts, 1);

    /* The guest took the room away after it was promised: an overrun. */
    assert_int_equal(f->chr.front->can_receive(f->chr.device), 16);
    put(f, IER, 0x04);
    put(f, FCR, 0);
    f->chr.front->receive(f->chr.device, (const uint8_t *)"uv", 2);
    assert_true(f->lines.level[0]);
    assert_int_equal(get(f, IIR), 0x06);
    assert_int_equal(get(f, LSR), 0x63);
    assert_false(f->lines.level[0]);
    assert_int_equal(get(f, LSR), 0x61);
    assert_int_equal(get(f, RBR), 'v');
}

static void test_clear_rx(void **state)
{
    struct fixture *f = *state;

    put(f, FCR, 0x01);
    put(f, IER, 0x01);
    assert_int_equal(fake_chr_type(&f->chr, "0123456789abcdefg", 17), 16);
    assert_true(f->lines.level[0]);
    put(f, FCR, 0x03);
    assert_false(f->lines.level[0]);
    assert_int_equal(get(f, LSR) & 1, 0);
    bench_work(&f->bench);
    assert_int_equal(f->chr.n_accepts, 1);
    assert_int_equal(fake_chr_type(&f->chr, "z", 1), 1);
    assert_int_equal(get(f, RBR), 'z');
}

/* The probe that drivers make: lines come back through MSR, bytes through RBR. */
static void test_loopback(void **state)
{
    struct fixture *f = *state;

    put(f, FCR, 0x01);
    get(f, MSR);
    put(f, MCR, 0x1a);
    assert_int_equal(get(f, MSR) & 0xf0, 0x90);
    put(f, MCR, 0x15);
    assert_int_equal(get(f, MSR), 0x60 | 0x08 | 0x02 | 0x01);
    put(f, IER, 0x08);
    assert_false(f->lines.level[0]);
    put(f, MCR, 0x11); /* the trailing edge of RI                                   */
    assert_true(f->lines.level[0]);
    assert_int_equal(get(f, IIR), 0xc0);
    assert_int_equal(get(f, MSR), 0x20 | 0x04);
    assert_false(f->lines.level[0]);

    put(f, THR, 'L');
    assert_int_equal(get(f, LSR), 0x61);
    assert_int_equal(get(f, RBR), 'L');
    fake_chr_expect(&f->chr, "");
    for (unsigned i = 0; i < 17; i++)
        put(f, THR, (uint8_t)i);
    assert_int_equal(get(f, LSR), 0x63);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(get(f, RBR), i);

    /* The line is cut off, and told when it is whole again. */
    assert_int_equal(fake_chr_type(&f->chr, "n", 1), 0);
    f->chr.front->receive(f->chr.device, (const uint8_t *)"n", 1);
    assert_int_equal(get(f, LSR) & 1, 0);
    put(f, MCR, 0x08);
    bench_work(&f->bench);
    assert_int_equal(f->chr.n_accepts, 1);
    assert_int_equal(fake_chr_type(&f->chr, "n", 1), 1);
}

static void test_reset(void **state)
{
    struct fixture *f = *state;

    put(f, FCR, 0x81);
    put(f, IER, 0x0f);
    put(f, SCR, 9);
    assert_int_equal(fake_chr_type(&f->chr, "0123456789abcdefg", 17), 16);
    assert_true(f->lines.level[0]);
    uart_model.reset(f->uart);
    assert_false(f->lines.level[0]);
    assert_int_equal(get(f, IIR), 0x01);
    assert_int_equal(get(f, IER), 0);
    assert_int_equal(get(f, SCR), 0);
    assert_int_equal(get(f, LSR), 0x60);
    assert_null(fake_clock_next(&f->clock));
    bench_work(&f->bench);
    assert_int_equal(f->chr.n_accepts, 1);
}

static void test_nobody(void **state)
{
    struct fixture *f = *state;
    struct uart *alone;

    assert_int_equal(uart_new(&(struct uart_options){.topo = f->bench.topo,
                                                     .clock = &f->clock.table},
                              &alone),
                     0);
    bench_map(&f->bench, UART + 0x1000, uart_region(alone));
    put(f, THR + 0x1000, 'a');
    assert_int_equal(get(f, LSR + 0x1000), 0x60);
    bench_unmap(&f->bench, uart_region(alone));
    uart_free(alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_registers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_widths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_send, setup, teardown),
        cmocka_unit_test_setup_teardown(test_back_pressure, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clear_tx, setup, teardown),
        cmocka_unit_test_setup_teardown(test_thr_interrupt, setup, teardown),
        cmocka_unit_test_setup_teardown(test_thr_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_receive, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trigger_and_timeout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fifo_full, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clear_rx, setup, teardown),
        cmocka_unit_test_setup_teardown(test_loopback, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
