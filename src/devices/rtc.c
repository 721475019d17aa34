/* SPDX-License-Identifier: MIT */
/* rtc.c - goldfish real-time clock: nanoseconds since 1970, and one alarm.
 *
 * Layer:    devices
 * Source:   Android, "Goldfish virtual hardware", real-time clock
 * Threads:  registers change under the device's lock.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/bits.h"
#include "devices/devices.h"

enum {
    REGION_SIZE = 0x1000,

    REG_TIME_LOW = 0x00,  /* read: latches TIME_HIGH                               */
    REG_TIME_HIGH = 0x04,
    REG_ALARM_LOW = 0x08, /* write: arms the alarm                                 */
    REG_ALARM_HIGH = 0x0c,
    REG_IRQ_ENABLED = 0x10,
    REG_CLEAR_ALARM = 0x14,
    REG_ALARM_STATUS = 0x18,
    REG_CLEAR_INTERRUPT = 0x1c
};

struct rtc {
    struct sm_device *device;
    struct sm_region *region;
    const struct dev_clock *clock;
    struct dev_line irq;
    struct dev_timer timer;
    uint64_t offset; /* ns that the guest has set the clock ahead of the host's   */
    uint64_t alarm;
    uint32_t time_high; /* latched                                                 */
    uint8_t irq_enabled, irq_pending, armed;
};

static const struct dev_field rtc_fields[] = {
    DEV_FIELD(struct rtc, offset, 0),
    DEV_FIELD(struct rtc, alarm, 0),
    DEV_FIELD(struct rtc, time_high, 0),
    DEV_FIELD(struct rtc, irq_enabled, 0),
    DEV_FIELD(struct rtc, irq_pending, 0),
    DEV_FIELD(struct rtc, armed, 0),
};

static uint64_t rtc_time(const struct rtc *rtc)
{
    return rtc->clock->wall_ns(rtc->clock->opaque) + rtc->offset;
}

static void update_irq(const struct rtc *rtc)
{
    dev_line_set(&rtc->irq, rtc->irq_enabled && rtc->irq_pending);
}

/** Ring if the alarm is due, else wait until it is. */
static void update_alarm(struct rtc *rtc)
{
    const struct dev_clock *clock = rtc->clock;
    const uint64_t now = rtc_time(rtc);
    uint64_t deadline;

    if (!rtc->armed) {
        clock->cancel(clock->opaque, &rtc->timer);
    } else if (rtc->alarm <= now) {
        clock->cancel(clock->opaque, &rtc->timer);
        rtc->armed = 0;
        rtc->irq_pending = 1;
        update_irq(rtc);
    } else if (__builtin_add_overflow(clock->now_ns(clock->opaque), rtc->alarm - now,
                                      &deadline)) {
        clock->cancel(clock->opaque, &rtc->timer); /* after the end of time        */
    } else {
        clock->arm(clock->opaque, &rtc->timer, deadline);
    }
}

static void timer_fired(void *opaque)
{
    struct rtc *rtc = opaque;

    /* The wall clock may have been set back meanwhile: look again. */
    sm_device_lock(rtc->device);
    update_alarm(rtc);
    sm_device_unlock(rtc->device);
}

static void set_time(struct rtc *rtc, uint64_t time)
{
    rtc->offset += time - rtc_time(rtc);
    update_alarm(rtc);
}

static enum sm_tx rtc_peek(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
    const struct rtc *rtc = dev;

    switch (offset) {
    case REG_TIME_LOW: *value = (uint32_t)rtc_time(rtc); break;
    case REG_TIME_HIGH: *value = rtc->time_high; break;
    case REG_ALARM_LOW: *value = (uint32_t)rtc->alarm; break;
    case REG_ALARM_HIGH: *value = rtc->alarm >> 32; break;
    case REG_IRQ_ENABLED: *value = rtc->irq_enabled; break;
    case REG_ALARM_STATUS: *value = rtc->armed; break;
    default: *value = 0; break;
    }
    return SM_TX_OK;
}

static enum sm_tx rtc_read(void *dev, uint64_t offset, unsigned size,
                           const struct sm_attrs *attrs, uint64_t *value)
{
    struct rtc *rtc = dev;

    if (offset == REG_TIME_LOW) {
        const uint64_t now = rtc_time(rtc);

        rtc->time_high = (uint32_t)(now >> 32);
        *value = (uint32_t)now;
        return SM_TX_OK;
    }
    return rtc_peek(dev, offset, size, value);
}

static enum sm_tx rtc_write(void *dev, uint64_t offset, unsigned size,
                            const struct sm_attrs *attrs, uint64_t value)
{
    struct rtc *rtc = dev;

    switch (offset) {
    case REG_TIME_LOW: set_time(rtc, sm_insert(rtc_time(rtc), 0, 32, value)); break;
    case REG_TIME_HIGH: set_time(rtc, sm_insert(rtc_time(rtc), 32, 32, value)); break;
    case REG_ALARM_LOW:
        rtc->alarm = sm_insert(rtc->alarm, 0, 32, value);
        rtc->armed = 1;
        update_alarm(rtc);
        break;
    case REG_ALARM_HIGH: rtc->alarm = sm_insert(rtc->alarm, 32, 32, value); break;
    case REG_IRQ_ENABLED:
        rtc->irq_enabled = value & 1;
        update_irq(rtc);
        break;
    case REG_CLEAR_ALARM:
        rtc->armed = 0;
        update_alarm(rtc);
        break;
    case REG_CLEAR_INTERRUPT:
        rtc->irq_pending = 0;
        update_irq(rtc);
        break;
    default: break;
    }
    return SM_TX_OK;
}

static const struct sm_io_ops rtc_ops = {
    .struct_size = sizeof(struct sm_io_ops),
    .read = rtc_read, .write = rtc_write, .peek = rtc_peek,
    .accepts = {4, 8, false}, .implements = {4, 4, false},
};

/* --- Life --------------------------------------------------------------------------- */

static void model_reset(void *device)
{
    rtc_reset(device);
}

static void model_free(void *device)
{
    rtc_free(device);
}

const struct dev_model rtc_model = {
    .type = "goldfish-rtc", .fields = rtc_fields, .n_fields = SM_ARRAY_LEN(rtc_fields),
    .reset = model_reset, .free = model_free,
};

int rtc_new(const struct rtc_options *options, struct rtc **out)
{
    struct rtc *rtc = calloc(1, sizeof(*rtc));
    int error;

    if (!rtc)
        return -ENOMEM;
    rtc->clock = options->clock;
    rtc->irq = options->irq;
    rtc->timer = (struct dev_timer){.fire = timer_fired, .opaque = rtc,
                                    .deadline_ns = UINT64_MAX};
    dev_fields_reset(rtc, rtc_fields, SM_ARRAY_LEN(rtc_fields));
    error = sm_device_new(options->topo, "goldfish-rtc", rtc, &rtc->device);
    if (!error)
        error = sm_region_new_io(rtc->device, "rtc", REGION_SIZE - 1, &rtc_ops,
                                 &rtc->region);
    if (error) {
        dev_device_free(rtc->device);
        free(rtc);
        return error;
    }
    *out = rtc;
    return 0;
}

void rtc_free(struct rtc *rtc)
{
    if (!rtc)
        return;
    rtc->clock->cancel(rtc->clock->opaque, &rtc->timer);
    dev_region_free(rtc->region);
    dev_device_free(rtc->device);
    free(rtc);
}

void rtc_reset(struct rtc *rtc)
{
    uint64_t offset;

    sm_device_lock(rtc->device);
    offset = rtc->offset; /* the clock keeps going: its battery knows no reset      */
    dev_fields_reset(rtc, rtc_fields, SM_ARRAY_LEN(rtc_fields));
    rtc->offset = offset;
    update_alarm(rtc);
    update_irq(rtc);
    sm_device_unlock(rtc->device);
}

struct sm_region *rtc_region(struct rtc *rtc)
{
    return rtc->region;
}
