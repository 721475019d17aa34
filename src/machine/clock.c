/* SPDX-License-Identifier: MIT */
/* clock.c - the machine's one clock: guest time, wall time, and ordered deadlines.
 *
 * Timers lie in a pairing heap made of their own three reserved words, so that
 * arming one cannot fail and needs no memory.  One timerfd stands for the earliest;
 * it is set again only when that becomes earlier, so a deadline that moved away
 * costs one needless wake-up and no system call at each move.
 *
 * The clock's lock is a leaf: nothing is called while it is held.
 */
#include <errno.h>
#include <glib-unix.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "machine/board.h"

enum { BATCH = 256 };

struct machine_clock {
    struct dev_clock table;
    pthread_mutex_t lock;
    struct dev_timer *root;
    uint64_t set_ns;  /* what the timerfd waits for, UINT64_MAX: nothing     */
    uint64_t base_ns; /* CLOCK_MONOTONIC of guest time 0                     */
    int fd;
    GSource *source;
};

static uint64_t host_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- Pairing heap: reserved[] is the first child, the next sibling, and the previous
 * sibling or, for a first child, the parent. -------------------------------------- */

enum { CHILD, NEXT, PREV };

static struct dev_timer *link_of(const struct dev_timer *timer, int which)
{
    return timer->reserved[which];
}

/** Join two heaps, either of which may be NULL. */
static struct dev_timer *heap_join(struct dev_timer *a, struct dev_timer *b)
{
    struct dev_timer *child;
    if (!a || !b)
        return a ? a : b;
    if (b->deadline_ns < a->deadline_ns) {
        struct dev_timer *swap = a;
        a = b;
        b = swap;
    }
    child = link_of(a, CHILD);
    b->reserved[NEXT] = child;
    if (child)
        child->reserved[PREV] = b;
    b->reserved[PREV] = a;
    a->reserved[CHILD] = b;
    return a;
}

/** Join the siblings from @first on: in pairs forward, then the pairs backward. */
static struct dev_timer *heap_join_siblings(struct dev_timer *first)
{
    struct dev_timer *pairs = NULL, *root = NULL;
    while (first) {
        struct dev_timer *second = link_of(first, NEXT);
        struct dev_timer *rest = second ? link_of(second, NEXT) : NULL;
        struct dev_timer *pair;
        first->reserved[NEXT] = first->reserved[PREV] = NULL;
        if (second)
            second->reserved[NEXT] = second->reserved[PREV] = NULL;
        pair = heap_join(first, second);
        pair->reserved[NEXT] = pairs;
        pairs = pair;
        first = rest;
    }
    while (pairs) {
        struct dev_timer *rest = link_of(pairs, NEXT);
        pairs->reserved[NEXT] = NULL;
        root = heap_join(root, pairs);
        pairs = rest;
    }
    return root;
}

static bool armed(const struct machine_clock *clock, const struct dev_timer *timer)
{
    return clock->root == timer || timer->reserved[PREV];
}

static void heap_remove(struct machine_clock *clock, struct dev_timer *timer)
{
    struct dev_timer *next = link_of(timer, NEXT), *previous = link_of(timer, PREV);
    struct dev_timer *children = heap_join_siblings(link_of(timer, CHILD));

    if (timer == clock->root) {
        clock->root = children;
    } else {
        if (link_of(previous, CHILD) == timer)
            previous->reserved[CHILD] = next;
        else
            previous->reserved[NEXT] = next;
        if (next)
            next->reserved[PREV] = previous;
        clock->root = heap_join(clock->root, children);
    }
    timer->reserved[CHILD] = timer->reserved[NEXT] = timer->reserved[PREV] = NULL;
}

/* --- The table ---------------------------------------------------------------------- */

static uint64_t clock_now(void *opaque)
{
    const struct machine_clock *clock = opaque;
    return host_ns(CLOCK_MONOTONIC) - clock->base_ns;
}

static uint64_t clock_wall(void *opaque)
{
    (void)opaque;
    return host_ns(CLOCK_REALTIME);
}

/** Let the timerfd wait for the earliest deadline.  @exact: also if that is later
 *  than what it waits for. */
static void program_locked(struct machine_clock *clock, bool exact)
{
    const uint64_t due = clock->root ? clock->root->deadline_ns : UINT64_MAX;
    struct itimerspec spec = {0};

    if (exact ? due == clock->set_ns : due >= clock->set_ns)
        return;
    clock->set_ns = due;
    /* All zero disarms; a time that does not fit lies centuries away. */
    if (due <= (uint64_t)INT64_MAX - clock->base_ns) {
        const uint64_t at = SM_MAX(clock->base_ns + due, 1);
        spec.it_value.tv_sec = (time_t)(at / 1000000000u);
        spec.it_value.tv_nsec = (long)(at % 1000000000u);
    }
    timerfd_settime(clock->fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void clock_arm(void *opaque, struct dev_timer *timer, uint64_t deadline_ns)
{
    struct machine_clock *clock = opaque;

    pthread_mutex_lock(&clock->lock);
    if (armed(clock, timer))
        heap_remove(clock, timer);
    timer->deadline_ns = deadline_ns;
    if (deadline_ns != UINT64_MAX) {
        clock->root = heap_join(clock->root, timer);
        program_locked(clock, false);
    }
    pthread_mutex_unlock(&clock->lock);
}

static void clock_cancel(void *opaque, struct dev_timer *timer)
{
    clock_arm(opaque, timer, UINT64_MAX);
}

/** Fire what is due: on the main thread, one after the other, nothing held.  At most
 *  a batch, so that a device that rearms itself in the past starves nobody else. */
static gboolean clock_dispatch(gint fd, GIOCondition condition, gpointer opaque)
{
    struct machine_clock *clock = opaque;
    uint64_t expirations;
    (void)condition;

    while (read(fd, &expirations, sizeof expirations) < 0 && errno == EINTR)
        continue;
    pthread_mutex_lock(&clock->lock);
    clock->set_ns = UINT64_MAX; /* it has fired, or fires again for what remains */
    for (unsigned n = 0; n < BATCH; n++) {
        struct dev_timer *timer = clock->root;
        void (*fire)(void *);
        void *owner;
        if (!timer || timer->deadline_ns > clock_now(clock))
            break;
        heap_remove(clock, timer);
        timer->deadline_ns = UINT64_MAX;
        fire = timer->fire;
        owner = timer->opaque;
        pthread_mutex_unlock(&clock->lock);
        fire(owner);
        pthread_mutex_lock(&clock->lock);
    }
    program_locked(clock, true);
    pthread_mutex_unlock(&clock->lock);
    return G_SOURCE_CONTINUE;
}

struct machine_clock *machine_clock_new(GMainContext *context)
{
    struct machine_clock *clock = g_new0(struct machine_clock, 1);

    clock->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (clock->fd < 0) {
        g_free(clock);
        return NULL;
    }
    pthread_mutex_init(&clock->lock, NULL);
    clock->set_ns = UINT64_MAX;
    clock->base_ns = host_ns(CLOCK_MONOTONIC);
    clock->table = (struct dev_clock){.now_ns = clock_now,
                                      .wall_ns = clock_wall,
                                      .arm = clock_arm,
                                      .cancel = clock_cancel,
                                      .opaque = clock};
    clock->source = g_unix_fd_source_new(clock->fd, G_IO_IN);
    /* GLib keeps every callback as a GSourceFunc, and casts back by source type. */
    g_source_set_callback(clock->source, G_SOURCE_FUNC(clock_dispatch), clock, NULL);
    g_source_attach(clock->source, context);
    return clock;
}

struct machine_clock *machine_clock_of(const struct dev_clock *table)
{
    struct machine_clock *clock = g_new0(struct machine_clock, 1);

    clock->table = *table;
    return clock;
}

void machine_clock_free(struct machine_clock *clock)
{
    if (!clock)
        return;
    if (clock->source) { /* else another's                                    */
        g_source_destroy(clock->source);
        g_source_unref(clock->source);
        close(clock->fd);
        pthread_mutex_destroy(&clock->lock);
    }
    g_free(clock);
}

const struct dev_clock *machine_clock_table(struct machine_clock *clock)
{
    return &clock->table;
}
