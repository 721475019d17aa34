/* SPDX-License-Identifier: MIT */
/* block_threads.c - moves a disk's bytes with a few threads and plain system calls. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "base/base.h"
#include "machine/block_impl.h"

enum { N_THREADS = 4 };

struct threads_engine {
    struct block_engine engine;
    pthread_t thread[N_THREADS];
    unsigned n_threads;
    pthread_mutex_t lock; /* covers what follows                               */
    pthread_cond_t work;
    struct block_io *first, **end;
    bool stop;
};

static void *work(void *opaque)
{
    struct threads_engine *threads = opaque;

    pthread_mutex_lock(&threads->lock);
    for (;;) {
        struct block_io *io = threads->first;

        if (!io) {
            if (threads->stop)
                break;
            pthread_cond_wait(&threads->work, &threads->lock);
            continue;
        }
        threads->first = io->next;
        if (!threads->first)
            threads->end = &threads->first;
        pthread_mutex_unlock(&threads->lock);
        block_io_done(io, block_io_run(io));
        pthread_mutex_lock(&threads->lock);
    }
    pthread_mutex_unlock(&threads->lock);
    return NULL;
}

static void threads_submit(struct block_engine *engine, struct block_io *io)
{
    struct threads_engine *threads =
        sm_container_of(engine, struct threads_engine, engine);

    pthread_mutex_lock(&threads->lock);
    io->next = NULL;
    *threads->end = io;
    threads->end = &io->next;
    pthread_cond_signal(&threads->work);
    pthread_mutex_unlock(&threads->lock);
}

static void threads_free(struct block_engine *engine)
{
    struct threads_engine *threads =
        sm_container_of(engine, struct threads_engine, engine);

    pthread_mutex_lock(&threads->lock);
    threads->stop = true;
    pthread_cond_broadcast(&threads->work);
    pthread_mutex_unlock(&threads->lock);
    for (unsigned i = 0; i < threads->n_threads; i++)
        pthread_join(threads->thread[i], NULL);
    pthread_cond_destroy(&threads->work);
    pthread_mutex_destroy(&threads->lock);
    g_free(threads);
}

static const struct block_engine_ops threads_ops = {threads_submit, threads_free};

int block_threads_new(struct block_engine **out)
{
    struct threads_engine *threads = g_new0(struct threads_engine, 1);
    sigset_t all, before;
    int result = 0;

    threads->engine.ops = &threads_ops;
    threads->end = &threads->first;
    pthread_mutex_init(&threads->lock, NULL);
    pthread_cond_init(&threads->work, NULL);
    /* Signals are the main thread's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (threads->n_threads < N_THREADS && !result) {
        result =
            pthread_create(&threads->thread[threads->n_threads], NULL, work, threads);
        if (!result)
            threads->n_threads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (threads->n_threads == 0) {
        threads_free(&threads->engine);
        return -result;
    }
    *out = &threads->engine;
    return 0;
}
