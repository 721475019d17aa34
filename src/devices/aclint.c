/* SPDX-License-Identifier: MIT */
/* aclint.c - machine timer and software interrupts, as a CLINT or as an ACLINT.
 *
 * Layer:    devices
 * Source:   RISC-V Advanced Core Local Interruptor Specification 1.0
 * Threads:  registers change under the device's lock, and are read without it: harts
 *           read the time all the time, as a CSR or here.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/atomic.h"
#include "base/base.h"
#include "base/bits.h"
#include "devices/devices.h"

enum {
    MAX_HARTS = 512,
    NS_PER_TICK = 1000000000 / ACLINT_TIMEBASE_HZ,
    MSWI_SIZE = 0x4000,      /* also the SSWI's                                    */
    MTIMER_SIZE = 0x8000,
    MTIMER_MTIME = 0x7ff8,   /* mtimecmp begins at 0                               */
    CLINT_SIZE = 0x10000,
    CLINT_MTIMER = 0x4000,
    CLINT_MTIME = 0xbff8
};

/** A hart's deadline; the array is apart from the fields, it is no state. */
struct aclint_timer {
    struct dev_timer timer;
    struct aclint *aclint;
    unsigned hart;
};

struct aclint {
    struct sm_device *device;
    struct sm_region *clint, *mswi, *mtimer, *sswi;
    const struct dev_clock *clock;
    unsigned n_harts;
    struct dev_line *msi_line, *mti_line, *ssi_line; /* [n_harts]; ssi may be NULL */
    struct aclint_timer *timers;                     /* [n_harts]                  */
    void (*time_changed)(void *owner);
    void *owner;
    /* Atomic, all of them: */
    uint64_t mtime_offset; /* ticks to add to the clock's                          */
    uint32_t msip[MAX_HARTS];
    uint64_t mtimecmp[MAX_HARTS];
};

/* The specification leaves mtimecmp open; the highest value interrupts never. */
static const struct dev_field aclint_fields[] = {
    DEV_FIELD(struct aclint, mtime_offset, 0),
    DEV_ARRAY(struct aclint, msip, 0),
    DEV_ARRAY(struct aclint, mtimecmp, UINT64_MAX),
};

static uint64_t clock_ticks(struct aclint *aclint)
{
    return aclint->clock->now_ns(aclint->clock->opaque) / NS_PER_TICK;
}

uint64_t aclint_mtime(struct aclint *aclint)
{
    return clock_ticks(aclint) + sm_load_relaxed(&aclint->mtime_offset);
}

uint64_t aclint_deadline_ns(struct aclint *aclint, uint64_t ticks)
{
    const uint64_t now = clock_ticks(aclint);
    const uint64_t mtime = now + sm_load_relaxed(&aclint->mtime_offset);
    uint64_t at;

    if (mtime >= ticks)
        return now * NS_PER_TICK;
    /* mtime wraps long after the clock has ended: that is never. */
    if (__builtin_add_overflow(now, ticks - mtime, &at) ||
        __builtin_mul_overflow(at, (uint64_t)NS_PER_TICK, &at))
        return UINT64_MAX;
    return at;
}

/** Bring hart @n's line in step with mtime >= mtimecmp, and arm for the time when
 *  that changes.  The device's lock is held. */
static void update_timer(struct aclint *aclint, unsigned n)
{
    const struct dev_clock *clock = aclint->clock;
    const uint64_t compare = aclint->mtimecmp[n];
    const bool due = aclint_mtime(aclint) >= compare;
    const uint64_t deadline = due ? UINT64_MAX : aclint_deadline_ns(aclint, compare);

    if (deadline == UINT64_MAX)
        clock->cancel(clock->opaque, &aclint->timers[n].timer);
    else
        clock->arm(clock->opaque, &aclint->timers[n].timer, deadline);
    dev_line_set(&aclint->mti_line[n], due);
}

static void timer_fired(void *opaque)
{
    const struct aclint_timer *timer = opaque;
    struct aclint *aclint = timer->aclint;

    /* The guest may have moved mtimecmp since: look at it anew. */
    sm_device_lock(aclint->device);
    update_timer(aclint, timer->hart);
    sm_device_unlock(aclint->device);
}

static void set_mtime(struct aclint *aclint, uint64_t mtime)
{
    sm_store_relaxed(&aclint->mtime_offset, mtime - clock_ticks(aclint));
    for (unsigned n = 0; n < aclint->n_harts; n++)
        update_timer(aclint, n);
    if (aclint->time_changed)
        aclint->time_changed(aclint->owner);
}

/* --- Registers ---------------------------------------------------------------------- */

/** The part of doubleword @value that an access of @size at @offset sees. */
static uint64_t dword_read(uint64_t value, uint64_t offset, unsigned size)
{
    return sm_extract(value, (unsigned)(offset & 7) * 8, size * 8);
}

static uint64_t dword_write(uint64_t old, uint64_t offset, unsigned size, uint64_t value)
{
    return sm_insert(old, (unsigned)(offset & 7) * 8, size * 8, value);
}

static uint64_t mtimer_read(struct aclint *aclint, uint64_t offset, unsigned size)
{
    uint64_t value = 0;

    if (SM_LIKELY((offset & ~UINT64_C(7)) == MTIMER_MTIME))
        value = aclint_mtime(aclint);
    else if (offset >> 3 < aclint->n_harts)
        value = sm_load_relaxed(&aclint->mtimecmp[offset >> 3]);
    return dword_read(value, offset, size);
}

static void mtimer_write(struct aclint *aclint, uint64_t offset, unsigned size,
                         uint64_t value)
{
    if (offset >> 3 < aclint->n_harts) {
        const unsigned n = (unsigned)(offset >> 3);

        sm_store_relaxed(&aclint->mtimecmp[n],
                         dword_write(aclint->mtimecmp[n], offset, size, value));
        update_timer(aclint, n);
    } else if ((offset & ~UINT64_C(7)) == MTIMER_MTIME) {
        set_mtime(aclint, dword_write(aclint_mtime(aclint), offset, size, value));
    }
}

static uint64_t msip_read(struct aclint *aclint, uint64_t offset)
{
    return offset >> 2 < aclint->n_harts ? sm_load_relaxed(&aclint->msip[offset >> 2]) : 0;
}

static void msip_write(struct aclint *aclint, uint64_t offset, uint64_t value)
{
    if (offset >> 2 < aclint->n_harts) {
        const unsigned n = (unsigned)(offset >> 2);

        sm_store_relaxed(&aclint->msip[n], (uint32_t)(value & 1));
        dev_line_set(&aclint->msi_line[n], value & 1);
    }
}

static enum sm_tx mswi_io_read(void *dev, uint64_t offset, unsigned size,
                               const struct sm_attrs *attrs, uint64_t *value)
{
    *value = msip_read(dev, offset);
    return SM_TX_OK;
}

static enum sm_tx mswi_io_peek(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
    *value = msip_read(dev, offset);
    return SM_TX_OK;
}

static enum sm_tx mswi_io_write(void *dev, uint64_t offset, unsigned size,
                                const struct sm_attrs *attrs, uint64_t value)
{
    msip_write(dev, offset, value);
    return SM_TX_OK;
}

static enum sm_tx mtimer_io_peek(void *dev, uint64_t offset, unsigned size,
                                 uint64_t *value)
{
    *value = mtimer_read(dev, offset, size);
    return SM_TX_OK;
}

static enum sm_tx mtimer_io_read(void *dev, uint64_t offset, unsigned size,
                                 const struct sm_attrs *attrs, uint64_t *value)
{
    return mtimer_io_peek(dev, offset, size, value);
}

static enum sm_tx mtimer_io_write(void *dev, uint64_t offset, unsigned size,
                                  const struct sm_attrs *attrs, uint64_t value)
{
    mtimer_write(dev, offset, size, value);
    return SM_TX_OK;
}

/** setssip reads as 0: what it set is cleared in the hart's sip. */
static enum sm_tx sswi_io_peek(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
    *value = 0;
    return SM_TX_OK;
}

static enum sm_tx sswi_io_read(void *dev, uint64_t offset, unsigned size,
                               const struct sm_attrs *attrs, uint64_t *value)
{
    *value = 0;
    return SM_TX_OK;
}

static enum sm_tx sswi_io_write(void *dev, uint64_t offset, unsigned size,
                                const struct sm_attrs *attrs, uint64_t value)
{
    const struct aclint *aclint = dev;

    if (aclint->ssi_line && offset >> 2 < aclint->n_harts && (value & 1))
        dev_line_set(&aclint->ssi_line[offset >> 2], true);
    return SM_TX_OK;
}

/** @return the offset in the MTIMER of offset @offset of the CLINT, which has its
 *  mtime where the last mtimecmp would be. */
static uint64_t clint_to_mtimer(uint64_t offset)
{
    return offset - CLINT_MTIMER;
}
SM_STATIC_ASSERT(CLINT_MTIME - CLINT_MTIMER == MTIMER_MTIME, "one layout for both");

static enum sm_tx clint_io_peek(void *dev, uint64_t offset, unsigned size,
                                uint64_t *value)
{
    struct aclint *aclint = dev;

    if (offset >= CLINT_MTIMER && offset < CLINT_MTIMER + MTIMER_SIZE) {
        *value = mtimer_read(aclint, clint_to_mtimer(offset), size);
    } else if (offset < MSWI_SIZE) {
        *value = msip_read(aclint, offset);
        if (size == 8)
            *value |= msip_read(aclint, offset + 4) << 32;
    } else {
        *value = 0;
    }
    return SM_TX_OK;
}

static enum sm_tx clint_io_read(void *dev, uint64_t offset, unsigned size,
                                const struct sm_attrs *attrs, uint64_t *value)
{
    return clint_io_peek(dev, offset, size, value);
}

static enum sm_tx clint_io_write(void *dev, uint64_t offset, unsigned size,
                                 const struct sm_attrs *attrs, uint64_t value)
{
    struct aclint *aclint = dev;

    if (offset >= CLINT_MTIMER && offset < CLINT_MTIMER + MTIMER_SIZE) {
        mtimer_write(aclint, clint_to_mtimer(offset), size, value);
    } else if (offset < MSWI_SIZE) {
        msip_write(aclint, offset, value);
        if (size == 8)
            msip_write(aclint, offset + 4, value >> 32);
    }
    return SM_TX_OK;
}

static const struct sm_io_ops mswi_ops = {
    .struct_size = sizeof(struct sm_io_ops), .flags = SM_IO_LOCKLESS_READS,
    .read = mswi_io_read, .write = mswi_io_write, .peek = mswi_io_peek,
    .accepts = {4, 8, false}, .implements = {4, 4, false},
};
static const struct sm_io_ops mtimer_ops = {
    .struct_size = sizeof(struct sm_io_ops), .flags = SM_IO_LOCKLESS_READS,
    .read = mtimer_io_read, .write = mtimer_io_write, .peek = mtimer_io_peek,
    .accepts = {4, 8, false}, .implements = {4, 8, false},
};
static const struct sm_io_ops sswi_ops = {
    .struct_size = sizeof(struct sm_io_ops),
    .read = sswi_io_read, .write = sswi_io_write, .peek = sswi_io_peek,
    .accepts = {4, 8, false}, .implements = {4, 4, false},
};
static const struct sm_io_ops clint_ops = {
    .struct_size = sizeof(struct sm_io_ops), .flags = SM_IO_LOCKLESS_READS,
    .read = clint_io_read, .write = clint_io_write, .peek = clint_io_peek,
    .accepts = {4, 8, false}, .implements = {4, 8, false},
};

/* --- Life --------------------------------------------------------------------------- */

static void model_reset(void *device)
{
    aclint_reset(device);
}

static void model_free(void *device)
{
    aclint_free(device);
}

const struct dev_model aclint_model = {
    .type = "aclint", .fields = aclint_fields, .n_fields = SM_ARRAY_LEN(aclint_fields),
    .reset = model_reset, .free = model_free,
};

/** A copy of @n lines, NULL when memory is short. */
static struct dev_line *copy_lines(const struct dev_line *lines, unsigned n)
{
    struct dev_line *copy = calloc(n, sizeof(*copy));

    for (unsigned i = 0; copy && i < n; i++)
        copy[i] = lines[i];
    return copy;
}

static int make_regions(struct aclint *aclint, struct sm_topology *topo)
{
    int error = sm_device_new(topo, "aclint", aclint, &aclint->device);

    if (!error)
        error = sm_region_new_io(aclint->device, "clint", CLINT_SIZE - 1, &clint_ops,
                                 &aclint->clint);
    if (!error)
        error = sm_region_new_io(aclint->device, "aclint-mswi", MSWI_SIZE - 1, &mswi_ops,
                                 &aclint->mswi);
    if (!error)
        error = sm_region_new_io(aclint->device, "aclint-mtimer", MTIMER_SIZE - 1,
                                 &mtimer_ops, &aclint->mtimer);
    if (!error)
        error = sm_region_new_io(aclint->device, "aclint-sswi", MSWI_SIZE - 1, &sswi_ops,
                                 &aclint->sswi);
    return error;
}

int aclint_new(const struct aclint_options *options, struct aclint **out)
{
    const unsigned n_harts = options->n_harts;
    struct aclint *aclint;
    int error = -ENOMEM;

    if (!n_harts || n_harts > MAX_HARTS)
        return -EINVAL;
    aclint = calloc(1, sizeof(*aclint));
    if (!aclint)
        return -ENOMEM;
    aclint->clock = options->clock;
    aclint->time_changed = options->time_changed;
    aclint->owner = options->owner;
    aclint->n_harts = n_harts;
    aclint->msi_line = copy_lines(options->msi, n_harts);
    aclint->mti_line = copy_lines(options->mti, n_harts);
    if (options->ssi)
        aclint->ssi_line = copy_lines(options->ssi, n_harts);
    aclint->timers = calloc(n_harts, sizeof(*aclint->timers));
    if (aclint->msi_line && aclint->mti_line && aclint->timers &&
        !(options->ssi && !aclint->ssi_line))
        error = make_regions(aclint, options->topo);
    if (error) {
        aclint_free(aclint);
        return error;
    }
    for (unsigned n = 0; n < n_harts; n++) {
        struct aclint_timer *timer = &aclint->timers[n];

        timer->timer = (struct dev_timer){.fire = timer_fired, .opaque = timer,
                                          .deadline_ns = UINT64_MAX};
        timer->aclint = aclint;
        timer->hart = n;
    }
    dev_fields_reset(aclint, aclint_fields, SM_ARRAY_LEN(aclint_fields));
    *out = aclint;
    return 0;
}

void aclint_free(struct aclint *aclint)
{
    if (!aclint)
        return;
    for (unsigned n = 0; aclint->timers && n < aclint->n_harts; n++) {
        /* Not yet set up where aclint_new() failed. */
        if (aclint->timers[n].aclint)
            aclint->clock->cancel(aclint->clock->opaque, &aclint->timers[n].timer);
    }
    dev_region_free(aclint->clint);
    dev_region_free(aclint->mswi);
    dev_region_free(aclint->mtimer);
    dev_region_free(aclint->sswi);
    dev_device_free(aclint->device);
    free(aclint->msi_line);
    free(aclint->mti_line);
    free(aclint->ssi_line);
    free(aclint->timers);
    free(aclint);
}

void aclint_reset(struct aclint *aclint)
{
    sm_device_lock(aclint->device);
    dev_fields_reset(aclint, aclint_fields, SM_ARRAY_LEN(aclint_fields));
    set_mtime(aclint, 0);
    for (unsigned n = 0; n < aclint->n_harts; n++) {
        dev_line_set(&aclint->msi_line[n], false);
        if (aclint->ssi_line)
            dev_line_set(&aclint->ssi_line[n], false);
    }
    sm_device_unlock(aclint->device);
}

struct sm_region *aclint_clint_region(struct aclint *aclint)
{
    return aclint->clint;
}

struct sm_region *aclint_mswi_region(struct aclint *aclint)
{
    return aclint->mswi;
}

struct sm_region *aclint_mtimer_region(struct aclint *aclint)
{
    return aclint->mtimer;
}

struct sm_region *aclint_sswi_region(struct aclint *aclint)
{
    return aclint->sswi;
}
