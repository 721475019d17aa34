/* SPDX-License-Identifier: MIT */
/* uart16550.c - NS16550A serial port with its FIFOs, between a guest and a dev_chr.
 *
 * Layer:    devices
 * Source:   National Semiconductor PC16550D data sheet
 * Threads:  registers change under the device's lock; the host end's callbacks
 *           come on the main thread and take it.
 *
 * A byte leaves at the moment it is written, as far as the host end takes it; what
 * it does not take stays in the transmit FIFO and keeps LSR.THRE low until the host
 * end has room.  So a guest that floods the line waits, and nothing grows.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "devices/devices.h"

enum {
    FIFO_SIZE = 16,
    REGION_SIZE = 0x100,
    BASE_BAUD = 230400, /* 3.6864 MHz / 16, as the device tree says                */

    /* Registers */
    REG_DATA = 0, REG_IER = 1, REG_IIR_FCR = 2, REG_LCR = 3, REG_MCR = 4, REG_LSR = 5,
    REG_MSR = 6, REG_SCR = 7,

    IER_RDI = 1, IER_THRI = 2, IER_RLSI = 4, IER_MSI = 8, IER_MASK = 0xf,
    IIR_NONE = 1, IIR_MSI = 0, IIR_THRI = 2, IIR_RDI = 4, IIR_RLSI = 6, IIR_TIMEOUT = 0xc,
    IIR_FIFOS = 0xc0,
    FCR_ENABLE = 1, FCR_CLEAR_RX = 2, FCR_CLEAR_TX = 4, FCR_TRIGGER_SHIFT = 6,
    LCR_STOP = 4, LCR_PARITY = 8, LCR_DLAB = 0x80,
    MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOP = 0x10,
    MCR_MASK = 0x1f,
    LSR_DR = 1, LSR_OE = 2, LSR_PE = 4, LSR_FE = 8, LSR_BI = 0x10, LSR_THRE = 0x20,
    LSR_TEMT = 0x40, LSR_ERRORS = LSR_OE | LSR_PE | LSR_FE | LSR_BI,
    MSR_DCTS = 1, MSR_DDSR = 2, MSR_TERI = 4, MSR_DDCD = 8, MSR_DELTAS = 0xf,
    MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80, MSR_LINES = 0xf0
};

struct uart {
    struct sm_device *device;
    struct sm_region *region;
    const struct dev_chr *chr;
    const struct dev_clock *clock;
    struct dev_line irq;
    struct dev_timer timeout; /* of bytes that wait below the trigger level        */
    struct sm_work accept;    /* tells the host end that there is room             */
    bool starved;             /* the host end was told that there is none          */

    uint8_t ier, fcr, lcr, mcr, lsr, msr, scr, dll, dlm;
    uint8_t thr_pending;      /* "transmitter empty" is to be seen in IIR          */
    uint8_t thr_seen;         /* ... but was seen in LSR: it does not ask any more  */
    uint8_t timeout_pending;
    uint8_t rx[FIFO_SIZE], tx[FIFO_SIZE];
    uint8_t rx_first, rx_count, tx_count;
};

static const struct dev_field uart_fields[] = {
    DEV_FIELD(struct uart, ier, 0),
    DEV_FIELD(struct uart, fcr, 0),
    DEV_FIELD(struct uart, lcr, 0),
    DEV_FIELD(struct uart, mcr, MCR_OUT2),
    DEV_FIELD(struct uart, lsr, LSR_THRE | LSR_TEMT),
    DEV_FIELD(struct uart, msr, MSR_CTS | MSR_DSR | MSR_DCD),
    DEV_FIELD(struct uart, scr, 0),
    DEV_FIELD(struct uart, dll, 0x0c),
    DEV_FIELD(struct uart, dlm, 0),
    DEV_FIELD(struct uart, thr_pending, 0),
    DEV_FIELD(struct uart, thr_seen, 0),
    DEV_FIELD(struct uart, timeout_pending, 0),
    DEV_ARRAY(struct uart, rx, 0),
    DEV_ARRAY(struct uart, tx, 0),
    DEV_FIELD(struct uart, rx_first, 0),
    DEV_FIELD(struct uart, rx_count, 0),
    DEV_FIELD(struct uart, tx_count, 0),
};

static unsigned fifo_capacity(const struct uart *uart)
{
    return uart->fcr & FCR_ENABLE ? FIFO_SIZE : 1;
}

/* --- Interrupts ------------------------------------------------------------------- */

/** Bytes that raise "data available". */
static unsigned trigger_level(const struct uart *uart)
{
    static const uint8_t level[] = {1, 4, 8, 14};

    return uart->fcr & FCR_ENABLE ? level[uart->fcr >> FCR_TRIGGER_SHIFT] : 1;
}

/** The pending interrupt of highest priority, as IIR's low four bits. */
static uint8_t interrupt_id(const struct uart *uart)
{
    if ((uart->ier & IER_RLSI) && (uart->lsr & LSR_ERRORS))
        return IIR_RLSI;
    if ((uart->ier & IER_RDI) && uart->rx_count >= trigger_level(uart))
        return IIR_RDI;
    if ((uart->ier & IER_RDI) && uart->timeout_pending)
        return IIR_TIMEOUT;
    if ((uart->ier & IER_THRI) && uart->thr_pending)
        return IIR_THRI;
    if ((uart->ier & IER_MSI) && (uart->msr & MSR_DELTAS))
        return IIR_MSI;
    return IIR_NONE;
}

/** "Transmitter empty" asks until IIR or LSR has told of it.  The data sheet knows
 *  only IIR; but there are drivers that never read it, xv6's for years, and they
 *  would do nothing else than take this interrupt again and again. */
static void update_irq(struct uart *uart)
{
    uint8_t id = interrupt_id(uart);

    if (id == IIR_THRI && uart->thr_seen)
        id = (uart->ier & IER_MSI) && (uart->msr & MSR_DELTAS) ? IIR_MSI : IIR_NONE;
    dev_line_set(&uart->irq, id != IIR_NONE);
}

/** The transmitter has become empty, or is so when its interrupt is enabled. */
static void set_thr_pending(struct uart *uart)
{
    uart->thr_pending = 1;
    uart->thr_seen = 0;
}

/** Four characters' time at the speed that the guest has set. */
static uint64_t timeout_ns(const struct uart *uart)
{
    const unsigned divisor = (unsigned)(uart->dlm << 8 | uart->dll);
    const unsigned bits = 1 + 5 + (uart->lcr & 3u) + (uart->lcr & LCR_PARITY ? 1 : 0) +
                          (uart->lcr & LCR_STOP ? 2 : 1);

    return UINT64_C(4000000000) * bits * SM_MAX(divisor, 1u) / BASE_BAUD;
}

/** Begin to wait anew, for each byte that comes or goes restarts the time. */
static void restart_timeout(struct uart *uart)
{
    const struct dev_clock *clock = uart->clock;

    uart->timeout_pending = 0;
    if ((uart->fcr & FCR_ENABLE) && uart->rx_count)
        clock->arm(clock->opaque, &uart->timeout,
                   clock->now_ns(clock->opaque) + timeout_ns(uart));
    else
        clock->cancel(clock->opaque, &uart->timeout);
}

static void timeout_fired(void *opaque)
{
    struct uart *uart = opaque;

    sm_device_lock(uart->device);
    if ((uart->fcr & FCR_ENABLE) && uart->rx_count) {
        uart->timeout_pending = 1;
        update_irq(uart);
    }
    sm_device_unlock(uart->device);
}

/* --- Receiving -------------------------------------------------------------------- */

/** Bytes that the line may deliver.  In loopback it is cut off. */
static unsigned rx_room(const struct uart *uart)
{
    const unsigned capacity = fifo_capacity(uart);

    if ((uart->mcr & MCR_LOOP) || uart->rx_count >= capacity)
        return 0;
    return capacity - uart->rx_count;
}

/** Ask the host end for more, if it was turned away and there is room now. */
static void invite(struct uart *uart)
{
    if (uart->starved && rx_room(uart)) {
        uart->starved = false;
        sm_device_defer(uart->device, &uart->accept);
    }
}

static void run_accept(void *dev)
{
    const struct uart *uart = dev;

    uart->chr->accept(uart->chr->opaque);
}

static void rx_push(struct uart *uart, uint8_t byte)
{
    const unsigned capacity = fifo_capacity(uart);

    if (uart->rx_count < capacity) {
        uart->rx[(uart->rx_first + uart->rx_count++) % FIFO_SIZE] = byte;
    } else {
        uart->lsr |= LSR_OE;
        /* Without FIFOs a new byte takes the place of the unread one; with them the
         * one in the shift register is lost. */
        if (capacity == 1)
            uart->rx[uart->rx_first] = byte;
    }
    uart->lsr |= LSR_DR;
    restart_timeout(uart);
}

static uint8_t rx_pop(struct uart *uart)
{
    uint8_t byte = uart->rx[uart->rx_first]; /* empty: the last byte, once more     */

    if (uart->rx_count) {
        uart->rx_count--;
        if (uart->rx_count)
            uart->rx_first = (uint8_t)((uart->rx_first + 1) % FIFO_SIZE);
        else
            uart->lsr &= (uint8_t)~LSR_DR;
        restart_timeout(uart);
    }
    return byte;
}

static void rx_clear(struct uart *uart)
{
    uart->rx_first = uart->rx_count = 0;
    uart->lsr &= (uint8_t)~LSR_DR;
    restart_timeout(uart);
}

static size_t chr_can_receive(void *device)
{
    struct uart *uart = device;
    unsigned room;

    sm_device_lock(uart->device);
    room = rx_room(uart);
    uart->starved = room == 0;
    sm_device_unlock(uart->device);
    return room;
}

static void chr_receive(void *device, const uint8_t *data, size_t size)
{
    struct uart *uart = device;

    sm_device_lock(uart->device);
    for (size_t i = 0; i < size && !(uart->mcr & MCR_LOOP); i++)
        rx_push(uart, data[i]);
    update_irq(uart);
    sm_device_unlock(uart->device);
}

/* --- Sending ---------------------------------------------------------------------- */

static void tx_clear(struct uart *uart)
{
    if (uart->tx_count || !(uart->lsr & LSR_THRE)) {
        uart->tx_count = 0;
        uart->lsr |= LSR_THRE | LSR_TEMT;
        set_thr_pending(uart);
    }
}

/** Move the transmit FIFO to where it goes, as far as there is room. */
static void tx_flush(struct uart *uart)
{
    size_t sent = uart->tx_count;

    if (!uart->tx_count)
        return;
    if (uart->mcr & MCR_LOOP) {
        for (unsigned i = 0; i < uart->tx_count; i++)
            rx_push(uart, uart->tx[i]);
    } else if (uart->chr) {
        sent = uart->chr->send(uart->chr->opaque, uart->tx, uart->tx_count);
        sent = SM_MIN(sent, (size_t)uart->tx_count);
    }
    uart->tx_count = (uint8_t)(uart->tx_count - sent);
    memmove(uart->tx, uart->tx + sent, uart->tx_count);
    if (!uart->tx_count) {
        uart->lsr |= LSR_THRE | LSR_TEMT;
        set_thr_pending(uart);
    }
}

static void tx_push(struct uart *uart, uint8_t byte)
{
    uart->thr_pending = 0;
    /* A driver that does not look at THRE loses what does not fit. */
    if (uart->tx_count < fifo_capacity(uart))
        uart->tx[uart->tx_count++] = byte;
    uart->lsr &= (uint8_t)~(LSR_THRE | LSR_TEMT);
    tx_flush(uart);
}

static void chr_drained(void *device)
{
    struct uart *uart = device;

    sm_device_lock(uart->device);
    tx_flush(uart);
    update_irq(uart);
    sm_device_unlock(uart->device);
}

/* --- Registers -------------------------------------------------------------------- */

/** Bring MSR in step with the modem lines, which loopback takes from MCR. */
static void update_modem(struct uart *uart)
{
    const uint8_t old = uart->msr;
    uint8_t lines = MSR_CTS | MSR_DSR | MSR_DCD;
    uint8_t deltas;

    if (uart->mcr & MCR_LOOP)
        lines = (uint8_t)((uart->mcr & MCR_RTS ? MSR_CTS : 0) |
                          (uart->mcr & MCR_DTR ? MSR_DSR : 0) |
                          (uart->mcr & MCR_OUT1 ? MSR_RI : 0) |
                          (uart->mcr & MCR_OUT2 ? MSR_DCD : 0));
    deltas = (uint8_t)((old ^ lines) >> 4);
    if (!(old & MSR_RI))
        deltas &= (uint8_t)~MSR_TERI; /* only its trailing edge counts             */
    uart->msr = (uint8_t)(lines | (old & MSR_DELTAS) | (deltas & MSR_DELTAS));
}

static void write_ier(struct uart *uart, uint8_t value)
{
    const uint8_t old = uart->ier;

    uart->ier = value & IER_MASK;
    /* Enabling the interrupt of an empty transmitter gives it at once: drivers use
     * this to begin sending. */
    if ((old ^ uart->ier) & IER_THRI) {
        uart->thr_pending = 0;
        if ((uart->ier & IER_THRI) && (uart->lsr & LSR_THRE))
            set_thr_pending(uart);
    }
}

static void write_fcr(struct uart *uart, uint8_t value)
{
    const bool toggled = (uart->fcr ^ value) & FCR_ENABLE;

    /* Nothing but the enable bit can be written while that is 0. */
    uart->fcr = value & FCR_ENABLE ? value & (uint8_t)~(FCR_CLEAR_RX | FCR_CLEAR_TX) : 0;
    if (toggled || (value & FCR_CLEAR_RX))
        rx_clear(uart);
    if (toggled || (value & FCR_CLEAR_TX))
        tx_clear(uart);
}

static void write_mcr(struct uart *uart, uint8_t value)
{
    const uint8_t old = uart->mcr;

    uart->mcr = value & MCR_MASK;
    update_modem(uart);
    if ((old ^ uart->mcr) & MCR_LOOP)
        tx_flush(uart);
}

/** What a read gives, without its effects. */
static uint8_t peek_reg(const struct uart *uart, uint64_t reg)
{
    const bool dlab = uart->lcr & LCR_DLAB;

    switch (reg) {
    case REG_DATA: return dlab ? uart->dll : uart->rx[uart->rx_first];
    case REG_IER: return dlab ? uart->dlm : uart->ier;
    case REG_IIR_FCR:
        return (uint8_t)(interrupt_id(uart) | (uart->fcr & FCR_ENABLE ? IIR_FIFOS : 0));
    case REG_LCR: return uart->lcr;
    case REG_MCR: return uart->mcr;
    case REG_LSR: return uart->lsr;
    case REG_MSR: return uart->msr;
    case REG_SCR: return uart->scr;
    default: return 0;
    }
}

/* Each register is a byte, and whatever the width of an access, it is the one at its
 * address that answers: drivers with reg-shift 0 use words here and there. */
static enum sm_tx uart_peek(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
    *value = peek_reg(dev, offset);
    return SM_TX_OK;
}

static enum sm_tx uart_read(void *dev, uint64_t offset, unsigned size,
                            const struct sm_attrs *attrs, uint64_t *value)
{
    struct uart *uart = dev;

    *value = peek_reg(uart, offset);
    switch (offset) {
    case REG_DATA:
        if (!(uart->lcr & LCR_DLAB)) {
            *value = rx_pop(uart);
            invite(uart);
        }
        break;
    case REG_IIR_FCR:
        if ((*value & ~(uint64_t)IIR_FIFOS) == IIR_THRI)
            uart->thr_pending = 0;
        break;
    case REG_LSR:
        /* Drivers that poll read this again and again: mostly nothing changes. */
        if (!(uart->lsr & LSR_ERRORS) && uart->thr_seen == uart->thr_pending)
            return SM_TX_OK;
        uart->lsr &= (uint8_t)~LSR_ERRORS;
        uart->thr_seen = uart->thr_pending;
        break;
    case REG_MSR: uart->msr &= MSR_LINES; break;
    default: break;
    }
    update_irq(uart);
    return SM_TX_OK;
}

static enum sm_tx uart_write(void *dev, uint64_t offset, unsigned size,
                             const struct sm_attrs *attrs, uint64_t value)
{
    struct uart *uart = dev;
    const bool dlab = uart->lcr & LCR_DLAB;
    const uint8_t byte = (uint8_t)value;

    switch (offset) {
    case REG_DATA:
        if (dlab)
            uart->dll = byte;
        else
            tx_push(uart, byte);
        break;
    case REG_IER:
        if (dlab)
            uart->dlm = byte;
        else
            write_ier(uart, byte);
        break;
    case REG_IIR_FCR: write_fcr(uart, byte); break;
    case REG_LCR: uart->lcr = byte; break;
    case REG_MCR: write_mcr(uart, byte); break;
    case REG_SCR: uart->scr = byte; break;
    default: break; /* LSR and MSR are read-only                                  */
    }
    invite(uart);
    update_irq(uart);
    return SM_TX_OK;
}

static const struct sm_io_ops uart_ops = {
    .struct_size = sizeof(struct sm_io_ops),
    .read = uart_read, .write = uart_write, .peek = uart_peek,
    .accepts = {1, 8, false}, .implements = {1, 8, false},
};

/* --- Life ------------------------------------------------------------------------- */

static const struct dev_chr_front uart_front = {
    .can_receive = chr_can_receive, .receive = chr_receive, .drained = chr_drained,
};

static void model_reset(void *device)
{
    uart_reset(device);
}

static void model_free(void *device)
{
    uart_free(device);
}

const struct dev_model uart_model = {
    .type = "ns16550a", .fields = uart_fields, .n_fields = SM_ARRAY_LEN(uart_fields),
    .reset = model_reset, .free = model_free,
};

int uart_new(const struct uart_options *options, struct uart **out)
{
    struct uart *uart = calloc(1, sizeof(*uart));
    int error;

    if (!uart)
        return -ENOMEM;
    uart->chr = options->chr;
    uart->clock = options->clock;
    uart->irq = options->irq;
    uart->timeout = (struct dev_timer){.fire = timeout_fired, .opaque = uart,
                                       .deadline_ns = UINT64_MAX};
    uart->accept.run = run_accept;
    dev_fields_reset(uart, uart_fields, SM_ARRAY_LEN(uart_fields));
    error = sm_device_new(options->topo, "ns16550a", uart, &uart->device);
    if (!error)
        error = sm_region_new_io(uart->device, "serial", REGION_SIZE - 1, &uart_ops,
                                 &uart->region);
    if (error) {
        dev_device_free(uart->device);
        free(uart);
        return error;
    }
    if (uart->chr)
        uart->chr->attach(uart->chr->opaque, &uart_front, uart);
    *out = uart;
    return 0;
}

void uart_free(struct uart *uart)
{
    if (!uart)
        return;
    if (uart->chr)
        uart->chr->attach(uart->chr->opaque, NULL, NULL);
    uart->clock->cancel(uart->clock->opaque, &uart->timeout);
    dev_region_free(uart->region);
    dev_device_free(uart->device);
    free(uart);
}

void uart_reset(struct uart *uart)
{
    sm_device_lock(uart->device);
    dev_fields_reset(uart, uart_fields, SM_ARRAY_LEN(uart_fields));
    uart->clock->cancel(uart->clock->opaque, &uart->timeout);
    dev_line_set(&uart->irq, false);
    invite(uart);
    sm_device_unlock(uart->device);
}

struct sm_region *uart_region(struct uart *uart)
{
    return uart->region;
}
