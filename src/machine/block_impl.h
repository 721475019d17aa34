/* SPDX-License-Identifier: MIT */
/* block_impl.h - what block.c and its two engines share.
 *
 * A block turns a device's request into one block_io and hands it to its engine,
 * which moves the bytes on some other thread and then calls block_io_done().
 *
 * Layer:    machine, private.
 * Threads:  submit() on any thread; block_io_done() on the engine's.
 */
#ifndef MACHINE_BLOCK_IMPL_H
#define MACHINE_BLOCK_IMPL_H

#include "machine/machine_impl.h"

/** One request under way.  What of a transfer is still to be done moves along in
 *  .offset, .iov and .n_iov. */
struct block_io {
    struct block_io *next; /* the engine's queue                               */
    struct block *block;
    struct dev_blk_request *request;
    enum dev_blk_op op;
    bool immediate;        /* nothing to do but to end with .error              */
    int error;
    int fd;
    uint64_t offset;
    struct iovec *iov;     /* points into .store                               */
    unsigned n_iov;
    void *bounce;          /* aligned copy of the data, or NULL                 */
    struct iovec store[];
};

struct block_engine {
    const struct block_engine_ops *ops;
};

struct block_engine_ops {
    /** Begin; ends in block_io_done().  Never calls it itself. */
    void (*submit)(struct block_engine *engine, struct block_io *io);
    /** Nothing is under way any more. */
    void (*free)(struct block_engine *engine);
};

/** End @io with 0 or -errno.  Threads: an engine's, holding nothing. */
void block_io_done(struct block_io *io, int error);

/** Do @io from here to its end on this thread.  Returns 0 or -errno */
SM_MUST_CHECK int block_io_run(struct block_io *io);

/** Note that @n more bytes were moved.  At the end of a file a read moves 0 bytes:
 *  what is left is filled with zeros.
 *  Returns  whether all is done */
bool block_io_advance(struct block_io *io, size_t n);

/** Errors: -errno of io_uring_queue_init(), pthread_create() */
SM_MUST_CHECK int block_uring_new(struct block_engine **out);
SM_MUST_CHECK int block_threads_new(struct block_engine **out);

/* --- Overlay of snapshot=on ----------------------------------------------------- */

struct block_overlay;
/** Make an empty overlay over @base of @size bytes.  Errors: -errno, with *@error */
SM_MUST_CHECK int block_overlay_new(int base, uint64_t size, struct block_overlay **out,
                                    char **error);
void block_overlay_free(struct block_overlay *overlay);
/** Read from, or write to, the overlay.  Threads: any, at once.  Returns 0 or -errno */
SM_MUST_CHECK int block_overlay_run(struct block_overlay *overlay, struct block_io *io);

/** Move all of @iov from or to @fd; a read beyond the end gives zeros.
 *  Returns  0 or -errno */
SM_MUST_CHECK int block_transfer(int fd, bool write, uint64_t offset, struct iovec *iov,
                                 unsigned n_iov);

#endif
