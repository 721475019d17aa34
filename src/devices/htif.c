/* SPDX-License-Identifier: MIT */
/* htif.c - Spike's host interface: exit code, console and the write system call.
 *
 * Layer:    devices
 * Source:   riscv-software-src/riscv-isa-sim, fesvr
 * Threads:  registers change under the device's lock; system calls, which read guest
 *           memory, run in work.
 *
 * A command is a doubleword in tohost: device in its top byte, command in the next,
 * payload below.  A 32-bit program writes it in halves, low or high first; the pair
 * makes the command.  Test programs that exit write the low half alone and leave the
 * high one 0, so a low half with bit 0 set, an exit, is taken at once, unless the
 * program has shown that it addresses devices by its high halves.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/bits.h"
#include "devices/devices.h"

enum {
    DEVICE_SYSCALL = 0, DEVICE_CONSOLE = 1,
    CONSOLE_GETC = 0, CONSOLE_PUTC = 1,
    CONSOLE_GOT = 0x100, /* beside the character                                    */

    SYS_WRITE = 64,
    MAX_WRITE = 1 << 16, /* bytes that one call writes; the rest is the caller's    */
    N_ARGS = 8
};

struct htif {
    struct sm_device *device;
    struct sm_region *tohost_region, *fromhost_region;
    const struct dev_chr *chr;
    const struct dev_power *power;
    struct sm_address_space *space;
    struct sm_work work;
    bool starved;          /* the host end was told that there is no room           */
    bool invite;           /* the work is to call accept()                          */

    uint64_t tohost, fromhost;
    uint64_t getc;         /* the command that waits for a character                */
    uint8_t getc_pending;
    uint8_t putc_pending;  /* the host end had no room for .tohost's character      */
    uint8_t have_low, have_high; /* halves of a command that has not been taken     */
    uint8_t uses_high;     /* some high half was not 0                              */
    uint8_t call_pending;  /* .tohost is a system call                              */

    /* The work's: how far the call under way is. */
    bool call_running;
    sm_gpa call;           /* its arguments, as read at first                       */
    uint64_t arg[N_ARGS], written;
};

static const struct dev_field htif_fields[] = {
    DEV_FIELD(struct htif, tohost, 0),       DEV_FIELD(struct htif, fromhost, 0),
    DEV_FIELD(struct htif, getc, 0),         DEV_FIELD(struct htif, getc_pending, 0),
    DEV_FIELD(struct htif, putc_pending, 0), DEV_FIELD(struct htif, have_low, 0),
    DEV_FIELD(struct htif, have_high, 0),    DEV_FIELD(struct htif, uses_high, 0),
    DEV_FIELD(struct htif, call_pending, 0),
};

/** The reply to @command: its device and number, and @payload. */
static uint64_t reply(uint64_t command, uint64_t payload)
{
    return sm_insert(command, 0, 48, payload);
}

/* --- Console ---------------------------------------------------------------------- */

/** Send the character in tohost; what does not fit stays there, and its writer waits. */
static void put_char(struct htif *htif)
{
    const uint8_t byte = (uint8_t)htif->tohost;

    if (htif->chr && htif->chr->send(htif->chr->opaque, &byte, 1) == 0) {
        htif->putc_pending = 1;
        return;
    }
    htif->putc_pending = 0;
    /* Nobody waits for this reply, so it may not displace another. */
    if (!htif->fromhost)
        htif->fromhost = reply(htif->tohost, CONSOLE_GOT | byte);
    htif->tohost = 0;
}

static bool wants_char(const struct htif *htif)
{
    return htif->getc_pending && !htif->fromhost;
}

static void ask_char(struct htif *htif)
{
    if (htif->starved && wants_char(htif)) {
        htif->starved = false;
        htif->invite = true;
        sm_device_defer(htif->device, &htif->work);
    }
}

static size_t chr_can_receive(void *device)
{
    struct htif *htif = device;
    bool wanted;

    sm_device_lock(htif->device);
    wanted = wants_char(htif);
    htif->starved = !wanted;
    sm_device_unlock(htif->device);
    return wanted;
}

static void chr_receive(void *device, const uint8_t *data, size_t size)
{
    struct htif *htif = device;

    sm_device_lock(htif->device);
    if (size && wants_char(htif)) {
        htif->fromhost = reply(htif->getc, CONSOLE_GOT | data[0]);
        htif->getc_pending = 0;
    }
    sm_device_unlock(htif->device);
}

static void chr_drained(void *device)
{
    struct htif *htif = device;

    sm_device_lock(htif->device);
    if (htif->putc_pending)
        put_char(htif);
    if (htif->call_pending)
        sm_device_defer(htif->device, &htif->work);
    sm_device_unlock(htif->device);
}

/* --- Commands --------------------------------------------------------------------- */

/** Act on the whole command in tohost, which reads 0 once it has been taken. */
static void take_command(struct htif *htif)
{
    const uint64_t command = htif->tohost;
    const uint64_t payload = sm_extract(command, 0, 48);
    const unsigned device = (unsigned)sm_extract(command, 56, 8);
    const unsigned number = (unsigned)sm_extract(command, 48, 8);

    htif->have_low = htif->have_high = 0;
    htif->putc_pending = htif->call_pending = 0;
    if (device == DEVICE_SYSCALL && number == 0 && (payload & 1)) {
        htif->power->request(htif->power->opaque, DEV_POWER_OFF, (int)(payload >> 1));
        htif->tohost = 0;
    } else if (device == DEVICE_SYSCALL && number == 0 && payload) {
        htif->call_pending = 1;
        sm_device_defer(htif->device, &htif->work);
    } else if (device == DEVICE_CONSOLE && number == CONSOLE_PUTC) {
        put_char(htif);
    } else {
        if (device == DEVICE_CONSOLE && number == CONSOLE_GETC) {
            htif->getc = command;
            htif->getc_pending = 1;
            ask_char(htif);
        }
        htif->tohost = 0;
    }
}

static void write_half(struct htif *htif, bool high, uint32_t value)
{
    htif->tohost = sm_insert(htif->tohost, high ? 32 : 0, 32, value);
    if (high) {
        htif->have_high = 1;
        htif->uses_high |= value != 0;
        if (htif->have_low)
            take_command(htif);
    } else {
        htif->have_low = 1;
        if (htif->have_high || ((value & 1) && !htif->uses_high))
            take_command(htif);
    }
}

/* --- System calls ----------------------------------------------------------------- */

static bool guest_read(struct htif *htif, sm_gpa gpa, void *data, uint64_t size)
{
    const struct sm_attrs attrs = {.process = SM_NO_PROCESS};

    return htif->space &&
           sm_address_space_read(htif->space, gpa, &attrs, data, size, NULL) == SM_TX_OK;
}

/** Go on with write(fd, buffer, size).  Returns false when the host end is full. */
static bool go_on_writing(struct htif *htif, uint64_t *result)
{
    const uint64_t size = SM_MIN(htif->arg[3], (uint64_t)MAX_WRITE);

    if (htif->arg[1] != 1 && htif->arg[1] != 2) {
        *result = (uint64_t)-EBADF;
        return true;
    }
    while (htif->written < size) {
        uint8_t data[256];
        const uint64_t part = SM_MIN(size - htif->written, sizeof(data));
        size_t sent = part;

        if (!guest_read(htif, htif->arg[2] + htif->written, data, part)) {
            *result = htif->written ? htif->written : (uint64_t)-EFAULT;
            return true;
        }
        if (htif->chr)
            sent = htif->chr->send(htif->chr->opaque, data, part);
        htif->written += SM_MIN(sent, part);
        if (sent < part)
            return false;
    }
    *result = size;
    return true;
}

/** Run the call whose arguments lie at @call as far as it goes now.  The result takes
 *  the place of the first argument.  Returns false when it has to go on later. */
static bool run_call(struct htif *htif, sm_gpa call)
{
    const struct sm_attrs attrs = {.process = SM_NO_PROCESS};
    uint64_t result = (uint64_t)-ENOSYS;

    if (!htif->call_running || htif->call != call) {
        if (!guest_read(htif, call, htif->arg, sizeof(htif->arg)))
            return true;
        htif->call_running = true;
        htif->call = call;
        htif->written = 0;
    }
    if (htif->arg[0] == SYS_WRITE && !go_on_writing(htif, &result))
        return false;
    htif->call_running = false;
    /* What cannot be written was not memory: the guest then reads its own call. */
    (void)sm_address_space_store(htif->space, call, &attrs, 8, result);
    return true;
}

static void run_work(void *dev)
{
    struct htif *htif = dev;
    bool invite, call;
    uint64_t command;

    sm_device_lock(htif->device);
    invite = htif->invite;
    call = htif->call_pending;
    command = htif->tohost;
    htif->invite = false;
    sm_device_unlock(htif->device);

    if (!call)
        htif->call_running = false;
    if (call && run_call(htif, sm_extract(command, 0, 48))) {
        sm_device_lock(htif->device);
        if (htif->call_pending && htif->tohost == command) {
            htif->call_pending = 0;
            htif->tohost = 0;
            htif->fromhost = 1;
        }
        sm_device_unlock(htif->device);
    }
    if (invite)
        htif->chr->accept(htif->chr->opaque);
}

/* --- Registers -------------------------------------------------------------------- */

static enum sm_tx tohost_peek(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
    const struct htif *htif = dev;

    *value = sm_extract(htif->tohost, (unsigned)offset * 8, size * 8);
    return SM_TX_OK;
}

static enum sm_tx tohost_read(void *dev, uint64_t offset, unsigned size,
                              const struct sm_attrs *attrs, uint64_t *value)
{
    return tohost_peek(dev, offset, size, value);
}

static enum sm_tx tohost_write(void *dev, uint64_t offset, unsigned size,
                               const struct sm_attrs *attrs, uint64_t value)
{
    struct htif *htif = dev;

    if (size == 8) {
        htif->tohost = value;
        take_command(htif);
    } else {
        write_half(htif, offset >= 4, (uint32_t)value);
    }
    return SM_TX_OK;
}

static enum sm_tx fromhost_peek(void *dev, uint64_t offset, unsigned size,
                                uint64_t *value)
{
    const struct htif *htif = dev;

    *value = sm_extract(htif->fromhost, (unsigned)offset * 8, size * 8);
    return SM_TX_OK;
}

static enum sm_tx fromhost_read(void *dev, uint64_t offset, unsigned size,
                                const struct sm_attrs *attrs, uint64_t *value)
{
    return fromhost_peek(dev, offset, size, value);
}

static enum sm_tx fromhost_write(void *dev, uint64_t offset, unsigned size,
                                 const struct sm_attrs *attrs, uint64_t value)
{
    struct htif *htif = dev;

    htif->fromhost = sm_insert(htif->fromhost, (unsigned)offset * 8, size * 8, value);
    ask_char(htif);
    return SM_TX_OK;
}

static const struct sm_io_ops tohost_ops = {
    .struct_size = sizeof(struct sm_io_ops),
    .read = tohost_read, .write = tohost_write, .peek = tohost_peek,
    .accepts = {4, 8, false}, .implements = {4, 8, false},
};
static const struct sm_io_ops fromhost_ops = {
    .struct_size = sizeof(struct sm_io_ops),
    .read = fromhost_read, .write = fromhost_write, .peek = fromhost_peek,
    .accepts = {4, 8, false}, .implements = {4, 8, false},
};

/* --- Life ------------------------------------------------------------------------- */

static const struct dev_chr_front htif_front = {
    .can_receive = chr_can_receive, .receive = chr_receive, .drained = chr_drained,
};

static void model_reset(void *device)
{
    htif_reset(device);
}

static void model_free(void *device)
{
    htif_free(device);
}

const struct dev_model htif_model = {
    .type = "htif", .fields = htif_fields, .n_fields = SM_ARRAY_LEN(htif_fields),
    .reset = model_reset, .free = model_free,
};

int htif_new(const struct htif_options *options, struct htif **out)
{
    struct htif *htif = calloc(1, sizeof(*htif));
    int error;

    if (!htif)
        return -ENOMEM;
    htif->chr = options->chr;
    htif->power = options->power;
    htif->space = options->space;
    htif->work.run = run_work;
    error = sm_device_new(options->topo, "htif", htif, &htif->device);
    if (!error)
        error = sm_region_new_io(htif->device, "tohost", 7, &tohost_ops,
                                 &htif->tohost_region);
    if (!error)
        error = sm_region_new_io(htif->device, "fromhost", 7, &fromhost_ops,
                                 &htif->fromhost_region);
    if (error) {
        dev_region_free(htif->tohost_region);
        dev_device_free(htif->device);
        free(htif);
        return error;
    }
    if (htif->chr)
        htif->chr->attach(htif->chr->opaque, &htif_front, htif);
    *out = htif;
    return 0;
}

void htif_free(struct htif *htif)
{
    if (!htif)
        return;
    if (htif->chr)
        htif->chr->attach(htif->chr->opaque, NULL, NULL);
    dev_region_free(htif->tohost_region);
    dev_region_free(htif->fromhost_region);
    dev_device_free(htif->device);
    free(htif);
}

void htif_reset(struct htif *htif)
{
    sm_device_lock(htif->device);
    dev_fields_reset(htif, htif_fields, SM_ARRAY_LEN(htif_fields));
    htif->call_running = false;
    sm_device_unlock(htif->device);
}

struct sm_region *htif_tohost_region(struct htif *htif)
{
    return htif->tohost_region;
}

struct sm_region *htif_fromhost_region(struct htif *htif)
{
    return htif->fromhost_region;
}
