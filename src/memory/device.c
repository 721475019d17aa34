/* SPDX-License-Identifier: MIT */
/* device.c - locks a device, guards against re-entry and runs deferred work (L1-L5). */
#include "base/alloc.h"
#include "base/atomic.h"
#include "memory/memory_impl.h"

#include <errno.h>
#include <string.h>

/* Where a thread is inside devices is a fact about the thread, hence no field. */
_Thread_local struct sm_thread sm_thread __attribute__((tls_model("initial-exec")));

/* End of a device's queue: .next of work that waits is never NULL. */
static const struct sm_work queue_end;
#define QUEUE_END ((struct sm_work *)(uintptr_t)&queue_end)

/* --- Life --------------------------------------------------------------- */

int sm_device_new(struct sm_topology *topo, const char *name, void *dev,
                  struct sm_device **out)
{
    const size_t length = name ? strlen(name) : 0;
    struct sm_device *device = sm_alloc(sizeof(*device) + length + 1);

    if (!device)
        return -ENOMEM;
    if (length)
        memcpy(device->name, name, length);
    device->topo = topo;
    device->dev = dev;
    pthread_mutex_init(&device->lock, NULL);
    pthread_mutex_init(&device->atomic_lock, NULL);
    sm_list_init(&device->ready);
    device->first = QUEUE_END;
    device->end = &device->first;
    sm_topology_lock(topo);
    sm_list_add_before(&topo->devices, &device->node);
    sm_topology_unlock(topo);
    *out = device;
    return 0;
}

void sm_device_destroy(struct sm_device *device)
{
    pthread_mutex_destroy(&device->atomic_lock);
    pthread_mutex_destroy(&device->lock);
    sm_free(device);
}

static void device_retired(struct sm_retired *retired)
{
    sm_device_destroy(sm_container_of(retired, struct sm_device, retired));
}

int sm_device_free(struct sm_device *device)
{
    struct sm_topology *topo = device->topo;

    sm_topology_lock(topo);
    const bool busy = device->n_users != 0;
    if (!busy)
        sm_list_remove(&device->node);
    sm_topology_unlock(topo);
    if (busy)
        return -EBUSY;

    pthread_mutex_lock(&topo->work_lock);
    device->gone = true;
    sm_list_remove(&device->ready);
    while (device->first != QUEUE_END) {
        struct sm_work *work = device->first;
        device->first = work->next;
        work->next = NULL;
    }
    device->end = &device->first;
    device->n_work = 0;
    pthread_mutex_unlock(&topo->work_lock);
    /* Who runs its work now began before this ticket, and so is waited for. */
    sm_retire(topo, &device->retired, sm_topology_issue(topo), device_retired);
    return 0;
}

/* --- Lock and guard ----------------------------------------------------- */

bool sm_device_is_inside(const struct sm_device *device)
{
    for (const struct sm_device_frame *frame = sm_thread.frames; frame;
         frame = frame->outer)
        if (frame->device == device)
            return true;
    return false;
}

bool sm_thread_holds_device(void)
{
    for (const struct sm_device_frame *frame = sm_thread.frames; frame;
         frame = frame->outer)
        if (frame->locked)
            return true;
    return false;
}

static void push_frame(struct sm_device *device, struct sm_device_frame *frame,
                       bool locked)
{
    *frame = (struct sm_device_frame){device, sm_thread.frames, locked};
    sm_thread.frames = frame;
}

/* Take the lock, checking the order: device before topology, and one at most (L1). */
static void lock_device(struct sm_device *device)
{
    sm_assert_hot(!sm_thread_holds_device());
    sm_assert_hot(!sm_thread.n_edits);
    pthread_mutex_lock(&device->lock);
}

bool sm_device_enter(struct sm_device *device, struct sm_device_frame *frame,
                     bool lockless)
{
    if (sm_device_is_inside(device) || sm_thread.translating)
        return false;
    if (!lockless)
        lock_device(device);
    push_frame(device, frame, !lockless);
    return true;
}

void sm_device_leave(struct sm_device_frame *frame)
{
    sm_assert_hot(sm_thread.frames == frame);
    sm_thread.frames = frame->outer;
    if (frame->locked)
        pthread_mutex_unlock(&frame->device->lock);
}

void sm_device_lock(struct sm_device *device)
{
    lock_device(device);
    push_frame(device, &device->hold, true);
}

void sm_device_unlock(struct sm_device *device)
{
    sm_assert_hot(sm_thread.frames == &device->hold);
    sm_thread.frames = device->hold.outer;
    pthread_mutex_unlock(&device->lock);
}

/* --- Deferred work ------------------------------------------------------ */

/* Have somebody run the work of a device whose next piece has @flags. */
static void ask_for_runner(struct sm_topology *topo, uint32_t flags)
{
    struct sm_agent *agent = sm_thread.agent;

    if ((flags & SM_WORK_IO) || !agent || agent->topo != topo) {
        sm_topology_wake(topo);
        return;
    }
    sm_fetch_or(&topo->todo, SM_TODO_WORK);
    agent->ops->kick(agent); /* its next safe point finds the bit */
}

void sm_device_defer(struct sm_device *device, struct sm_work *work)
{
    struct sm_topology *topo = device->topo;

    pthread_mutex_lock(&topo->work_lock);
    if (work->next || device->gone) {
        pthread_mutex_unlock(&topo->work_lock);
        return;
    }
    work->next = QUEUE_END;
    *device->end = work;
    device->end = &work->next;
    device->n_work++;
    if (!device->running && sm_list_empty(&device->ready))
        sm_list_add_before(&topo->ready, &device->ready);
    pthread_mutex_unlock(&topo->work_lock);
    ask_for_runner(topo, work->flags);
}

/* Whether @device has work that this runner may take.  Under work_lock. */
static bool may_run(const struct sm_device *device, bool io)
{
    return device->first != QUEUE_END && (io || !(device->first->flags & SM_WORK_IO));
}

static void run_first(struct sm_device *device)
{
    struct sm_topology *topo = device->topo;
    struct sm_work *work = device->first;
    void (*const run)(void *dev) = work->run;
    struct sm_device_frame frame;

    device->first = work->next;
    if (device->first == QUEUE_END)
        device->end = &device->first;
    device->n_work--;
    work->next = NULL; /* it may defer itself again */
    pthread_mutex_unlock(&topo->work_lock);
    push_frame(device, &frame, false);
    run(device->dev);
    sm_device_leave(&frame);
    pthread_mutex_lock(&topo->work_lock);
}

/* Run what waits now for the first device in line, as far as this runner may; what is
 * deferred meanwhile waits for the next round, so that nobody stays here for good. */
static void run_device(struct sm_topology *topo, bool io)
{
    struct sm_device *device = sm_list_entry(topo->ready.next, struct sm_device, ready);

    sm_list_remove(&device->ready);
    device->running = true; /* L5 */
    for (uint32_t n = device->n_work; n && may_run(device, io); n--)
        run_first(device);
    device->running = false;
    if (device->first != QUEUE_END && !device->gone) {
        const uint32_t flags = device->first->flags;
        sm_list_add_before(&topo->ready, &device->ready);
        pthread_mutex_unlock(&topo->work_lock);
        ask_for_runner(topo, flags);
        pthread_mutex_lock(&topo->work_lock);
    }
}

static size_t count_ready(struct sm_topology *topo)
{
    size_t n = 0;

    pthread_mutex_lock(&topo->work_lock);
    sm_list_for_each(device, &topo->ready, struct sm_device, ready)
        n++;
    pthread_mutex_unlock(&topo->work_lock);
    return n;
}

void sm_work_run(struct sm_topology *topo, bool io)
{
    const struct sm_agent *agent = sm_thread.agent;
    const bool pinned = !agent || agent->topo != topo;
    struct sm_caller caller;
    bool more = true;

    if (!io)
        sm_fetch_and(&topo->todo, ~(uint32_t)SM_TODO_WORK);
    for (size_t tries = count_ready(topo); tries && more; tries--) {
        /* Before a device is taken from the line: sm_device_free() waits for us then.
         * Anew for each, as every ticket issued meanwhile waits for us too. */
        if (pinned)
            sm_caller_begin(topo, &caller);
        pthread_mutex_lock(&topo->work_lock);
        more = !sm_list_empty(&topo->ready);
        if (more)
            run_device(topo, io);
        pthread_mutex_unlock(&topo->work_lock);
        if (pinned)
            sm_caller_end(topo, &caller);
    }
}
