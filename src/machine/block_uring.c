/* SPDX-License-Identifier: MIT */
/* block_uring.c - moves a disk's bytes through io_uring, one ring and one thread each.
 *
 * Whoever submits fills an entry under the lock; the engine's thread takes what was
 * completed, continues what was cut short, and calls block_io_done().  No more than
 * ENTRIES are in the ring at once, so neither of its queues can overflow; what comes
 * beyond waits in a list.
 */
#include <errno.h>
#include <liburing.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "base/base.h"
#include "machine/block_impl.h"

/* That a completion comes after its submission is the kernel's doing, which the thread
 * sanitizer cannot see. */
#ifdef SM_TSAN
#include <sanitizer/tsan_interface.h>
#define submitted(io) __tsan_release(io)
#define completed(io) __tsan_acquire(io)
#else
#define submitted(io) ((void)(io))
#define completed(io) ((void)(io))
#endif

enum { ENTRIES = 128 };

struct uring_engine {
    struct block_engine engine;
    pthread_t thread;
    struct io_uring ring;   /* its completion side is the thread's alone        */
    pthread_mutex_t lock;   /* covers its submission side and what follows      */
    unsigned n_in_ring;
    struct block_io *first, **end; /* waits for room                            */
};

/* Tell the kernel of filled entries.  Those of a failed call stay in the queue, and
 * the only failures of a valid ring are passing ones. */
static void push_locked(struct uring_engine *uring)
{
    while (io_uring_submit(&uring->ring) < 0)
        sched_yield();
}

static void start_locked(struct uring_engine *uring, struct block_io *io)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&uring->ring);
    const unsigned n_iov = io ? SM_MIN(io->n_iov, (unsigned)IOV_MAX) : 0;

    if (!io || io->immediate)
        io_uring_prep_nop(sqe);
    else if (io->op == DEV_BLK_FLUSH)
        io_uring_prep_fsync(sqe, io->fd, IORING_FSYNC_DATASYNC);
    else if (io->op == DEV_BLK_WRITE)
        io_uring_prep_writev(sqe, io->fd, io->iov, n_iov, io->offset);
    else
        io_uring_prep_readv(sqe, io->fd, io->iov, n_iov, io->offset);
    io_uring_sqe_set_data(sqe, io);
    submitted(io);
}

static void uring_submit(struct block_engine *engine, struct block_io *io)
{
    struct uring_engine *uring = sm_container_of(engine, struct uring_engine, engine);

    pthread_mutex_lock(&uring->lock);
    if (uring->n_in_ring == ENTRIES) {
        io->next = NULL;
        *uring->end = io;
        uring->end = &io->next;
    } else {
        uring->n_in_ring++;
        start_locked(uring, io);
        push_locked(uring);
    }
    pthread_mutex_unlock(&uring->lock);
}

/* Give the place of a request that ended to the next that waits. */
static void leave_ring(struct uring_engine *uring)
{
    struct block_io *io;

    pthread_mutex_lock(&uring->lock);
    io = uring->first;
    if (io) {
        uring->first = io->next;
        if (!uring->first)
            uring->end = &uring->first;
        start_locked(uring, io);
        push_locked(uring);
    } else {
        uring->n_in_ring--;
    }
    pthread_mutex_unlock(&uring->lock);
}

/* Returns whether @io has ended, with its error.  ECANCELED: the thread that had
 * submitted it has gone, which is no reason of the guest's. */
static bool take_result(struct block_io *io, int moved, int *error)
{
    *error = 0;
    if (io->immediate)
        *error = io->error;
    else if (moved == -EINTR || moved == -EAGAIN || moved == -ECANCELED)
        return false;
    else if (moved < 0)
        *error = moved;
    else if (io->op == DEV_BLK_WRITE && moved == 0)
        *error = -EIO;
    else if (io->op != DEV_BLK_FLUSH)
        return block_io_advance(io, (size_t)moved);
    return true;
}

static void *complete(void *opaque)
{
    struct uring_engine *uring = opaque;

    for (;;) {
        struct io_uring_cqe *cqe;
        struct block_io *io;
        int moved, error;

        if (io_uring_wait_cqe(&uring->ring, &cqe) < 0)
            continue;
        io = io_uring_cqe_get_data(cqe);
        moved = cqe->res;
        io_uring_cqe_seen(&uring->ring, cqe);
        if (!io)
            return NULL;
        completed(io);
        if (take_result(io, moved, &error)) {
            leave_ring(uring);
            block_io_done(io, error);
        } else {
            pthread_mutex_lock(&uring->lock);
            start_locked(uring, io);
            push_locked(uring);
            pthread_mutex_unlock(&uring->lock);
        }
    }
}

static void uring_free(struct block_engine *engine)
{
    struct uring_engine *uring = sm_container_of(engine, struct uring_engine, engine);

    pthread_mutex_lock(&uring->lock);
    start_locked(uring, NULL);
    push_locked(uring);
    pthread_mutex_unlock(&uring->lock);
    pthread_join(uring->thread, NULL);
    io_uring_queue_exit(&uring->ring);
    pthread_mutex_destroy(&uring->lock);
    g_free(uring);
}

static const struct block_engine_ops uring_ops = {uring_submit, uring_free};

int block_uring_new(struct block_engine **out)
{
    struct uring_engine *uring = g_new0(struct uring_engine, 1);
    sigset_t all, before;
    int result;

    uring->engine.ops = &uring_ops;
    uring->end = &uring->first;
    result = io_uring_queue_init(ENTRIES, &uring->ring, 0);
    if (result < 0) {
        g_free(uring);
        return result;
    }
    pthread_mutex_init(&uring->lock, NULL);
    /* Signals are the main thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    result = pthread_create(&uring->thread, NULL, complete, uring);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result) {
        io_uring_queue_exit(&uring->ring);
        pthread_mutex_destroy(&uring->lock);
        g_free(uring);
        return -result;
    }
    *out = &uring->engine;
    return 0;
}
