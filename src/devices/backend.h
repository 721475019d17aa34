/* SPDX-License-Identifier: MIT */
/* backend.h - what devices ask of their host ends, as tables that machine fills.
 *
 * Layer:    devices (declared), machine (filled)
 * Threads:  stated per table.  No callback of a table is made while the device's
 *           lock is held, unless it says that it may be (L2).
 */
#ifndef DEVICES_BACKEND_H
#define DEVICES_BACKEND_H

#include <sys/uio.h>

#include "softmmu/types.h"

/* --- Time -------------------------------------------------------------------- */

/** One deadline.  Zeroed by its owner, then only touched by the clock. */
struct dev_timer {
    void (*fire)(void *opaque); /* on the machine's main thread, nothing held  */
    void *opaque;
    uint64_t deadline_ns;       /* machine clock; UINT64_MAX: not armed        */
    void *reserved[3];
};

/** The machine's one clock.  All callbacks: any thread, device lock may be held. */
struct dev_clock {
    uint64_t (*now_ns)(void *clock);  /* guest time since the machine was made  */
    uint64_t (*wall_ns)(void *clock); /* guest wall clock, ns since 1970 UTC    */
    void (*arm)(void *clock, struct dev_timer *timer, uint64_t deadline_ns);
    void (*cancel)(void *clock, struct dev_timer *timer);
    void *opaque;
};

/* --- Characters --------------------------------------------------------------- */

struct dev_chr_front {
    size_t (*can_receive)(void *device);
    void (*receive)(void *device, const uint8_t *data, size_t size);
    void (*drained)(void *device); /* may be NULL                              */
};

/** A host end of a serial line.  One front end attaches to it. */
struct dev_chr {
    /** Send.  Any thread, device lock may be held: queues, never blocks.
     *  Returns the bytes taken; fewer than @size when the queue is full. */
    size_t (*send)(void *chr, const uint8_t *data, size_t size);
    /** Say who receives.  can_receive() tells how many bytes it takes now; data
     *  comes on the machine's main thread, nothing held.  drained() tells that a
     *  full queue has room again.  The front end calls accept() when it has room
     *  after can_receive() said 0.  @front NULL takes the front end away. */
    void (*attach)(void *chr, const struct dev_chr_front *front, void *opaque);
    void (*accept)(void *chr);
    void *opaque;
};

/* --- Disks --------------------------------------------------------------------- */

enum dev_blk_op { DEV_BLK_READ, DEV_BLK_WRITE, DEV_BLK_FLUSH };

/** One request; the device's, untouched by it until done() came. */
struct dev_blk_request {
    enum dev_blk_op op;
    uint64_t offset;          /* bytes; READ and WRITE                          */
    struct iovec *iov;        /* host memory                                    */
    unsigned n_iov;
    /** @error 0 or -errno; all or nothing.  On any thread, nothing held. */
    void (*done)(struct dev_blk_request *request, int error);
    void *opaque;             /* the device's                                   */
    void *reserved[6];        /* the back end's                                 */
};

struct dev_blk {
    uint64_t size; /* bytes, a multiple of 512                                  */
    bool readonly;
    bool writethrough; /* every write is on the disk before done()             */
    /** Begin @request.  Threads: any, holding nothing. */
    void (*submit)(void *blk, struct dev_blk_request *request);
    /** Wait until no request is under way (reset, end).  Holding nothing. */
    void (*drain)(void *blk);
    void *opaque;
};

/* --- Random numbers, power ------------------------------------------------------- */

struct dev_rng {
    /** Fill @data.  Any thread, holding nothing.  Returns 0 or -errno. */
    int (*fill)(void *rng, void *data, size_t size);
    void *opaque;
};

enum dev_power_event { DEV_POWER_OFF, DEV_POWER_RESET };

struct dev_power {
    /** Ask the machine to end, with @code as its exit code, or to reset.  Any
     *  thread, device lock may be held; returns at once. */
    void (*request)(void *machine, enum dev_power_event event, int code);
    void *opaque;
};

#endif
