/* SPDX-License-Identifier: MIT */
/* chardev.c - host ends of serial lines: standard input and output, a file, nothing.
 *
 * Output goes into a bounded queue, from which a thread of its own writes, so that
 * neither a hart nor the main loop ever waits for a terminal or a pipe, and so that
 * descriptors shared with other programs keep their blocking mode.  Input comes from
 * a source of the main loop.  On a multiplexed line it is read even while the guest
 * takes none, so that the command to quit always works.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/base.h"
#include "machine/chardev_impl.h"

enum {
    QUEUE = 64 * 1024,      /* of the guest's output                           */
    RING = QUEUE + 8 * 1024, /* messages and time stamps go beyond             */
    CHUNK = 4096,           /* PIPE_BUF: a pipe that is ready takes it at once  */
    INPUT = 64 * 1024,
    STALL_MS = 3000,        /* no progress for so long at the end: give up      */
    CTRL_A = 1
};

struct chardev {
    struct dev_chr table;
    enum machine_serial_kind kind;
    bool mux;
    uint8_t escape;
    int in_fd, out_fd; /* -1: none                                             */
    struct chardev_keys keys;

    /* Output. */
    pthread_t writer;
    int give_up; /* eventfd: the writer ends at once                           */
    pthread_mutex_t lock; /* covers what follows                               */
    pthread_cond_t work, progress;
    char *made;     /* path of a file that did not exist before, or NULL        */
    bool truncate;  /* what the file has goes with the first byte; the writer's  */
    uint8_t ring[RING];
    size_t first, count;
    bool stop, broken, want_drained;
    bool timestamps, line_begun;
    gint64 epoch_us;

    /* Between threads. */
    int drained_due; /* the writer made room that the front end waits for      */
    int starved;     /* the front end had no room: accept() wakes the source   */

    /* Input, on the main thread. */
    const struct dev_chr_front *front;
    void *front_opaque;
    GSource *source;
    gpointer watch; /* of in_fd, or NULL                                       */
    uint8_t input[INPUT];
    size_t in_first, in_count;
    bool escaped, in_end, in_tty;
    bool ran;       /* the main loop did, so the machine was really made         */
};

struct chardev_source {
    GSource source;
    struct chardev *chr;
};

/* --- Output --------------------------------------------------------------------- */

static void put_locked(struct chardev *chr, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    size_t at = (chr->first + chr->count) % RING;
    const size_t until_end = SM_MIN(size, RING - at);

    memcpy(chr->ring + at, bytes, until_end);
    memcpy(chr->ring, bytes + until_end, size - until_end);
    chr->count += size;
}

static void put_stamp_locked(struct chardev *chr)
{
    char text[32];
    gint64 ms;
    int n;

    if (chr->epoch_us < 0)
        chr->epoch_us = g_get_monotonic_time();
    ms = (g_get_monotonic_time() - chr->epoch_us) / 1000;
    n = g_snprintf(text, sizeof(text), "[%02d:%02d:%02d.%03d] ", (int)(ms / 3600000),
                   (int)(ms / 60000 % 60), (int)(ms / 1000 % 60), (int)(ms % 1000));
    put_locked(chr, text, (size_t)n);
}

/* Returns how many bytes of @data found room. */
static size_t put_lines_locked(struct chardev *chr, const uint8_t *data, size_t size)
{
    size_t done = 0;

    while (done < size && chr->count < QUEUE) {
        const uint8_t *newline = memchr(data + done, '\n', size - done);
        size_t n = newline ? (size_t)(newline - data) + 1 - done : size - done;

        if (chr->timestamps && !chr->line_begun) {
            if (RING - chr->count < 64)
                break;
            put_stamp_locked(chr);
        }
        /* A stamp may have gone beyond: then a byte does too. */
        n = SM_MIN(n, chr->count < QUEUE ? QUEUE - chr->count : 1);
        put_locked(chr, data + done, n);
        done += n;
        chr->line_begun = data[done - 1] != '\n';
    }
    return done;
}

static size_t chardev_send(void *opaque, const uint8_t *data, size_t size)
{
    struct chardev *chr = opaque;
    size_t taken = size;

    if (chr->out_fd < 0)
        return size;
    pthread_mutex_lock(&chr->lock);
    if (!chr->broken) {
        taken = put_lines_locked(chr, data, size);
        if (taken < size)
            chr->want_drained = true;
        pthread_cond_signal(&chr->work);
    }
    pthread_mutex_unlock(&chr->lock);
    return taken;
}

/* Say something of our own on the line. */
static void say(struct chardev *chr, const char *text)
{
    const size_t size = strlen(text);

    pthread_mutex_lock(&chr->lock);
    if (!chr->broken && chr->out_fd >= 0 && size + 1 <= RING - chr->count) {
        if (chr->line_begun)
            put_locked(chr, "\n", 1);
        put_locked(chr, text, size);
        chr->line_begun = false;
        pthread_cond_signal(&chr->work);
    }
    pthread_mutex_unlock(&chr->lock);
}

/* Take @n written bytes, or everything, out of the queue. */
static void consume_locked(struct chardev *chr, size_t n)
{
    chr->first = (chr->first + n) % RING;
    chr->count -= n;
    pthread_cond_broadcast(&chr->progress);
    if (chr->want_drained && chr->count <= QUEUE / 2) {
        chr->want_drained = false;
        sm_publish(&chr->drained_due, 1); /* pairs with dispatch()             */
        g_source_set_ready_time(chr->source, 0);
    }
}

/* Returns false when told to give up. */
static bool wait_writable(struct chardev *chr)
{
    struct pollfd fds[2] = {{.fd = chr->out_fd, .events = POLLOUT},
                            {.fd = chr->give_up, .events = POLLIN}};

    while (poll(fds, 2, -1) < 0) {
        if (errno != EINTR && errno != EAGAIN)
            break;
    }
    return !fds[1].revents;
}

/* Forget the former content, now that there is a new one. */
static void begin_file(struct chardev *chr)
{
    while (chr->truncate && ftruncate(chr->out_fd, 0) < 0 && errno == EINTR)
        continue;
    chr->truncate = false; /* a device has no content to forget                 */
}

static void *write_out(void *opaque)
{
    struct chardev *chr = opaque;
    int state;

    /* Cancelled, if at all, where nothing is held: inside write(). */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    pthread_mutex_lock(&chr->lock);
    for (;;) {
        size_t n = SM_MIN(SM_MIN(chr->count, RING - chr->first), (size_t)CHUNK);
        const uint8_t *data = chr->ring + chr->first;
        ssize_t written;
        int error;

        if (n == 0) {
            if (chr->stop)
                break;
            pthread_cond_wait(&chr->work, &chr->lock);
            continue;
        }
        pthread_mutex_unlock(&chr->lock);
        if (!wait_writable(chr))
            return NULL;
        begin_file(chr);
        pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
        written = write(chr->out_fd, data, n);
        error = errno;
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
        pthread_mutex_lock(&chr->lock);
        if (written > 0) {
            consume_locked(chr, (size_t)written);
        } else if (written < 0 && error != EINTR && error != EAGAIN) {
            /* A reader that has gone does not come back; a full disk may. */
            chr->broken = error == EPIPE || error == EIO || error == EBADF;
            consume_locked(chr, chr->count);
        }
    }
    pthread_mutex_unlock(&chr->lock);
    return NULL;
}

/* --- Input ---------------------------------------------------------------------- */

static void keep(struct chardev *chr, uint8_t byte)
{
    /* Only a terminal is read when there is no room: see update_watch(). */
    if (chr->in_count < INPUT)
        chr->input[(chr->in_first + chr->in_count++) % INPUT] = byte;
}

static void help(struct chardev *chr)
{
    char key[8], text[512];

    if (chr->escape < 32)
        g_snprintf(key, sizeof(key), "C-%c", chr->escape + 'a' - 1);
    else
        g_snprintf(key, sizeof(key), "%c", chr->escape);
    g_snprintf(text, sizeof(text),
               "\n%s h    this help\n%s x    end the machine\n"
               "%s t    time stamps on or off\n%s %s  send %s to the guest\n",
               key, key, key, key, key, key);
    say(chr, text);
}

static void command(struct chardev *chr, uint8_t key)
{
    switch (key) {
    case 'h': case '?':
        help(chr);
        break;
    case 'x':
        say(chr, "QEMU: Terminated\n");
        if (chr->keys.quit)
            chr->keys.quit(chr->keys.owner);
        break;
    case 't':
        pthread_mutex_lock(&chr->lock);
        chr->timestamps = !chr->timestamps;
        chr->epoch_us = -1;
        pthread_mutex_unlock(&chr->lock);
        break;
    case 'c':
        say(chr, "There is no monitor.\n");
        break;
    case 's':
        say(chr, "Nothing is saved: what snapshot=on wrote ends with the machine.\n");
        break;
    default:
        break;
    }
}

static void take_byte(struct chardev *chr, uint8_t byte)
{
    if (!chr->mux) {
        keep(chr, byte);
    } else if (!chr->escaped) {
        chr->escaped = byte == chr->escape;
        if (!chr->escaped)
            keep(chr, byte);
    } else {
        chr->escaped = false;
        if (byte == chr->escape)
            keep(chr, byte);
        else
            command(chr, byte);
    }
}

static void read_input(struct chardev *chr)
{
    uint8_t bytes[CHUNK];
    const size_t room = INPUT - chr->in_count;
    const size_t size =
        chr->in_tty && chr->mux ? sizeof(bytes) : SM_MIN(room, sizeof(bytes));
    ssize_t n;

    if (!size)
        return;
    n = read(chr->in_fd, bytes, size);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0)
        chr->in_end = true;
    for (ssize_t i = 0; i < n; i++)
        take_byte(chr, bytes[i]);
}

static void deliver(struct chardev *chr)
{
    while (chr->front && chr->in_count) {
        const size_t contiguous = SM_MIN(chr->in_count, INPUT - chr->in_first);
        size_t n;

        sm_store_relaxed(&chr->starved, 0);
        n = chr->front->can_receive(chr->front_opaque);
        if (!n) {
            /* Look again once accept() sees the flag: room made before is not
             * told, room made from now on is. */
            sm_store_relaxed(&chr->starved, 1);
            sm_fence(); /* pairs with the fence of chardev_accept()            */
            n = chr->front->can_receive(chr->front_opaque);
            if (!n)
                return;
        }
        n = SM_MIN(n, contiguous);
        chr->front->receive(chr->front_opaque, chr->input + chr->in_first, n);
        chr->in_first = (chr->in_first + n) % INPUT;
        chr->in_count -= n;
    }
}

/* Watch the descriptor as long as something can be done with what it gives. */
static void update_watch(struct chardev *chr)
{
    const bool wanted = chr->in_fd >= 0 && !chr->in_end &&
                        (chr->in_count < INPUT || (chr->mux && chr->in_tty));

    if (wanted && !chr->watch) {
        chr->watch = g_source_add_unix_fd(chr->source, chr->in_fd,
                                          G_IO_IN | G_IO_HUP | G_IO_ERR);
    } else if (!wanted && chr->watch) {
        g_source_remove_unix_fd(chr->source, chr->watch);
        chr->watch = NULL;
    }
}

static gboolean check(GSource *source)
{
    struct chardev *chr = ((struct chardev_source *)source)->chr;

    return chr->watch && g_source_query_unix_fd(source, chr->watch) != 0;
}

static gboolean dispatch(GSource *source, GSourceFunc function, gpointer data)
{
    struct chardev *chr = ((struct chardev_source *)source)->chr;
    const bool readable = check(source);

    (void)function;
    (void)data;
    /* Before looking at what it announces, so that later news set it again. */
    g_source_set_ready_time(source, -1);
    chr->ran = true;
    if (sm_exchange(&chr->drained_due, 0) && chr->front && chr->front->drained)
        chr->front->drained(chr->front_opaque);
    if (readable)
        read_input(chr);
    deliver(chr);
    update_watch(chr);
    return G_SOURCE_CONTINUE;
}

static void chardev_accept(void *opaque)
{
    struct chardev *chr = opaque;

    sm_fence(); /* the room that was made, before the look; see deliver()       */
    if (sm_load_relaxed(&chr->starved) && sm_exchange(&chr->starved, 0))
        g_source_set_ready_time(chr->source, 0);
}

static void chardev_attach(void *opaque, const struct dev_chr_front *front, void *device)
{
    struct chardev *chr = opaque;

    chr->front = front;
    chr->front_opaque = device;
    g_source_set_ready_time(chr->source, 0);
}

/* --- Life ----------------------------------------------------------------------- */

static GSourceFuncs source_funcs = {.check = check, .dispatch = dispatch};

/* A machine that cannot be made leaves no file, and no file emptied, behind. */
static int open_file(struct chardev *chr, const struct machine_serial *serial,
                     char **error)
{
    const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (serial->append ? O_APPEND : 0);

    chr->truncate = !serial->append;
    chr->out_fd = open(serial->path, flags | O_EXCL, 0666);
    if (chr->out_fd >= 0)
        chr->made = g_strdup(serial->path);
    else if (errno == EEXIST)
        chr->out_fd = open(serial->path, flags, 0666);
    if (chr->out_fd < 0) {
        const int result = -errno;

        *error = g_strdup_printf("Could not open '%s': %s", serial->path,
                                 g_strerror(-result));
        return result;
    }
    return 0;
}

static int open_ends(struct chardev *chr, const struct machine_serial *serial,
                     char **error)
{
    int result;

    chr->in_fd = chr->out_fd = -1;
    switch (serial->kind) {
    case MACHINE_SERIAL_STDIO:
        result = chardev_tty_enter(!serial->mux || serial->signals);
        if (result) {
            *error = g_strdup("cannot use stdio by multiple character devices");
            return result;
        }
        chr->in_fd = STDIN_FILENO;
        chr->out_fd = STDOUT_FILENO;
        chr->in_tty = isatty(STDIN_FILENO);
        break;
    case MACHINE_SERIAL_FILE:
        return open_file(chr, serial, error);
    case MACHINE_SERIAL_NULL:
        break;
    }
    return 0;
}

static void close_ends(struct chardev *chr)
{
    if (chr->kind == MACHINE_SERIAL_STDIO)
        chardev_tty_leave();
    if (chr->kind == MACHINE_SERIAL_FILE && chr->out_fd >= 0) {
        if (chr->ran)
            begin_file(chr);
        else if (chr->made && lseek(chr->out_fd, 0, SEEK_CUR) == 0)
            unlink(chr->made);
        close(chr->out_fd);
    }
    g_free(chr->made);
}

static int start_writer(struct chardev *chr)
{
    sigset_t all, before;
    int result;

    chr->give_up = eventfd(0, EFD_CLOEXEC);
    if (chr->give_up < 0)
        return -errno;
    /* Signals are the main thread's, and SIGPIPE is nobody's. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    result = pthread_create(&chr->writer, NULL, write_out, chr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result)
        close(chr->give_up);
    return -result;
}

int chardev_new(const struct machine_serial *serial, GMainContext *context,
                const struct chardev_keys *keys, struct chardev **out, char **error)
{
    struct chardev *chr = g_new0(struct chardev, 1);
    pthread_condattr_t attr;
    int result = open_ends(chr, serial, error);

    if (result) {
        g_free(chr);
        return result;
    }
    chr->table = (struct dev_chr){chardev_send, chardev_attach, chardev_accept, chr};
    chr->kind = serial->kind;
    chr->mux = serial->mux;
    chr->escape = serial->escape ? serial->escape : CTRL_A;
    chr->epoch_us = -1;
    if (keys)
        chr->keys = *keys;
    pthread_mutex_init(&chr->lock, NULL);
    pthread_cond_init(&chr->work, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&chr->progress, &attr);
    pthread_condattr_destroy(&attr);
    chr->source = g_source_new(&source_funcs, sizeof(struct chardev_source));
    ((struct chardev_source *)chr->source)->chr = chr;
    g_source_set_name(chr->source, "chardev");
    update_watch(chr);
    g_source_attach(chr->source, context);
    if (chr->out_fd >= 0) {
        result = start_writer(chr);
        if (result) {
            *error = g_strdup_printf("could not start a thread: %s", g_strerror(-result));
            close_ends(chr);
            chr->out_fd = -1;
            chr->kind = MACHINE_SERIAL_NULL;
            chr->made = NULL;
            chardev_free(chr);
            return result;
        }
    }
    *out = chr;
    return 0;
}

/* Wait until all is written, or nothing moves any more. */
static void end_writer(struct chardev *chr)
{
    const uint64_t one = 1;
    struct timespec until;
    size_t before;

    pthread_mutex_lock(&chr->lock);
    chr->stop = true;
    pthread_cond_signal(&chr->work);
    do {
        before = chr->count;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += STALL_MS / 1000;
        while (chr->count && chr->count == before) {
            if (pthread_cond_timedwait(&chr->progress, &chr->lock, &until) == ETIMEDOUT)
                break;
        }
    } while (chr->count && chr->count != before);
    before = chr->count;
    pthread_mutex_unlock(&chr->lock);
    if (before) {
        /* Waiting in poll() it hears the event.  In a write() that began when there
         * was room, and there no longer is, it does not. */
        if (write(chr->give_up, &one, sizeof(one)) < 0)
            g_warn_if_reached();
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 1;
        if (pthread_timedjoin_np(chr->writer, NULL, &until) == 0)
            return;
        pthread_cancel(chr->writer);
    }
    pthread_join(chr->writer, NULL);
}

void chardev_free(struct chardev *chr)
{
    if (!chr)
        return;
    if (chr->out_fd >= 0) {
        end_writer(chr);
        close(chr->give_up);
    }
    g_source_destroy(chr->source);
    g_source_unref(chr->source);
    close_ends(chr);
    pthread_cond_destroy(&chr->work);
    pthread_cond_destroy(&chr->progress);
    pthread_mutex_destroy(&chr->lock);
    g_free(chr);
}

const struct dev_chr *chardev_table(struct chardev *chr)
{
    return &chr->table;
}
