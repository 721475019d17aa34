/* SPDX-License-Identifier: MIT */
/* chardev_test.c - serial lines over pipes and terminals: order, bounds, keys, ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>
#include <glib.h>

#include "base/atomic.h"
#include "machine/machine_impl.h"

/* --- A front end, and standard input and output of our own ---------------------- */

struct line {
    GMainContext *context;
    struct chardev *chr;
    const struct dev_chr *table;
    int saved_in, saved_out;
    int in, out;             /* our ends                                       */
    size_t room;             /* what can_receive() says                        */
    GString *got;
    unsigned n_drained, n_quit;
};

static size_t can_receive(void *device)
{
    struct line *line = device;
    return sm_load_relaxed(&line->room);
}

static void receive(void *device, const uint8_t *data, size_t size)
{
    struct line *line = device;

    assert_true(size > 0 && size <= sm_load_relaxed(&line->room));
    sm_fetch_add_relaxed(&line->room, -size);
    g_string_append_len(line->got, (const char *)data, (gssize)size);
}

static void drained(void *device)
{
    ((struct line *)device)->n_drained++;
}

static const struct dev_chr_front front = {can_receive, receive, drained};

static void on_quit(void *owner)
{
    ((struct line *)owner)->n_quit++;
}

static void put_back(struct line *line)
{
    dup2(line->saved_in, 0);
    dup2(line->saved_out, 1);
    close(line->saved_in);
    close(line->saved_out);
}

/* Put @in and @out where standard input and output are. */
static void put_in_place(struct line *line, int in, int out)
{
    fflush(stdout);
    line->saved_in = dup(0);
    line->saved_out = dup(1);
    assert_true(line->saved_in >= 0 && line->saved_out >= 0);
    dup2(in, 0);
    dup2(out, 1);
}

static void start(struct line *line, struct machine_serial serial)
{
    const struct chardev_keys keys = {on_quit, line};
    char *error = NULL;

    line->context = g_main_context_new();
    line->got = g_string_new(NULL);
    line->room = SIZE_MAX / 2;
    assert_int_equal(chardev_new(&serial, line->context, &keys, &line->chr, &error), 0);
    line->table = chardev_table(line->chr);
    line->table->attach(line->chr, &front, line);
}

static void open_pipes(struct line *line, struct machine_serial serial)
{
    int in[2], out[2];

    *line = (struct line){0};
    assert_int_equal(pipe(in), 0);
    assert_int_equal(pipe(out), 0);
    put_in_place(line, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    line->in = in[1];
    line->out = out[0];
    serial.kind = MACHINE_SERIAL_STDIO;
    start(line, serial);
}

static void stop(struct line *line)
{
    chardev_free(line->chr);
    put_back(line);
    if (line->in >= 0)
        close(line->in);
    if (line->out >= 0 && line->out != line->in)
        close(line->out);
    g_main_context_unref(line->context);
    g_string_free(line->got, TRUE);
}

static size_t give(struct line *line, const char *text)
{
    return line->table->send(line->chr, (const uint8_t *)text, strlen(text));
}

static void type(struct line *line, const char *text, size_t size)
{
    assert_int_equal(write(line->in, text, size), (ssize_t)size);
}

/* Run the main loop until nothing happens for a while. */
static void settle(struct line *line)
{
    for (unsigned quiet = 0; quiet < 4;) {
        if (g_main_context_iteration(line->context, FALSE))
            quiet = 0;
        else
            quiet++, g_usleep(500);
    }
}

static gboolean stop_waiting(gpointer data)
{
    *(bool *)data = true;
    return G_SOURCE_REMOVE;
}

/* Run the main loop until @n bytes were received, or two seconds. */
static void wait_got(struct line *line, size_t n)
{
    GSource *timer = g_timeout_source_new(2000);
    bool late = false;

    g_source_set_callback(timer, stop_waiting, &late, NULL);
    g_source_attach(timer, line->context);
    while (line->got->len < n && !late)
        g_main_context_iteration(line->context, TRUE);
    assert_false(late);
    g_source_destroy(timer);
    g_source_unref(timer);
}

static void read_exactly(int fd, char *data, size_t size)
{
    for (size_t n = 0; n < size;) {
        const ssize_t more = read(fd, data + n, size - n);

        assert_true(more > 0);
        n += (size_t)more;
    }
}

static void expect_output(struct line *line, const char *text)
{
    char *data = g_malloc(strlen(text));

    read_exactly(line->out, data, strlen(text));
    assert_memory_equal(data, text, strlen(text));
    g_free(data);
}

/* --- Plain lines ---------------------------------------------------------------- */

static void carries_both_ways(void **state)
{
    struct line line;

    (void)state;
    open_pipes(&line, (struct machine_serial){0});
    assert_int_equal(give(&line, "hello\n"), 6);
    expect_output(&line, "hello\n");
    /* Without mux no key is special. */
    type(&line, "a\001xb", 4);
    wait_got(&line, 4);
    assert_string_equal(line.got->str, "a\001xb");
    assert_int_equal(line.n_quit, 0);
    stop(&line);
}

static void waits_for_room(void **state)
{
    struct line line;

    (void)state;
    open_pipes(&line, (struct machine_serial){0});
    line.room = 2;
    type(&line, "abcdef", 6);
    wait_got(&line, 2);
    settle(&line);
    assert_string_equal(line.got->str, "ab");
    line.room = 1;
    line.table->accept(line.chr);
    wait_got(&line, 3);
    settle(&line);
    assert_string_equal(line.got->str, "abc");
    /* Without news of room nothing comes. */
    sm_store_relaxed(&line.room, 100);
    settle(&line);
    assert_string_equal(line.got->str, "abc");
    line.table->accept(line.chr);
    wait_got(&line, 6);
    assert_string_equal(line.got->str, "abcdef");
    stop(&line);
}

static void *make_room(void *opaque)
{
    struct line *line = opaque;

    for (unsigned i = 0; i < 20000; i++) {
        if (sm_load_relaxed(&line->room) == 0) {
            sm_store_relaxed(&line->room, 7);
            line->table->accept(line->chr);
        }
        if (i % 64 == 0)
            g_usleep(1);
    }
    sm_store_relaxed(&line->room, SIZE_MAX / 2);
    line->table->accept(line->chr);
    return NULL;
}

/* More input than all buffers hold, with room made by another thread. */
static void loses_no_input(void **state)
{
    enum { SIZE = 300000 };
    struct line line;
    pthread_t thread;
    char *data = g_malloc(SIZE);
    size_t written = 0;

    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)('a' + i % 26 + i / 1000 % 7);
    open_pipes(&line, (struct machine_serial){.mux = true});
    line.room = 0;
    fcntl(line.in, F_SETFL, O_NONBLOCK);
    assert_int_equal(pthread_create(&thread, NULL, make_room, &line), 0);
    while (line.got->len < SIZE) {
        const ssize_t n = write(line.in, data + written, SIZE - written);

        if (n > 0)
            written += (size_t)n;
        g_main_context_iteration(line.context, FALSE);
    }
    pthread_join(thread, NULL);
    assert_memory_equal(line.got->str, data, SIZE);
    stop(&line);
    g_free(data);
}

static void survives_the_end_of_input(void **state)
{
    struct line line;

    (void)state;
    open_pipes(&line, (struct machine_serial){.mux = true});
    type(&line, "last", 4);
    close(line.in);
    line.in = -1;
    wait_got(&line, 4);
    settle(&line);
    assert_false(g_main_context_pending(line.context));
    give(&line, "still here");
    expect_output(&line, "still here");
    assert_int_equal(line.n_quit, 0);
    stop(&line);
}

/* --- Output: bounds and ends ---------------------------------------------------- */

static char *pattern(size_t size)
{
    char *data = g_malloc(size);

    for (size_t i = 0; i < size; i++)
        data[i] = i % 64 == 63 ? '\n' : (char)('A' + (i / 64 + i) % 26);
    return data;
}

static void bounds_the_queue(void **state)
{
    enum { SIZE = 1024 * 1024 };
    struct line line;
    char *data = pattern(SIZE), *seen = g_malloc(SIZE);
    size_t sent = 0, n;

    (void)state;
    open_pipes(&line, (struct machine_serial){0});
    /* Full is when nothing was taken for 100 ms: the writer thread may be slow to start. */
    for (unsigned quiet = 0; quiet < 100; quiet++) {
        n = line.table->send(line.chr, (const uint8_t *)data + sent, SIZE - sent);
        sent += n;
        if (n)
            quiet = 0;
        g_usleep(1000);
    }
    /* What the pipe holds, and the queue. */
    assert_in_range(sent, 64 * 1024, 160 * 1024);
    settle(&line);
    line.n_drained = 0;
    assert_int_equal(give(&line, "too much"), 0);
    settle(&line);
    assert_int_equal(line.n_drained, 0);
    read_exactly(line.out, seen, sent);
    while (line.n_drained == 0)
        g_main_context_iteration(line.context, TRUE);
    assert_int_equal(line.n_drained, 1);
    assert_memory_equal(seen, data, sent);
    assert_int_equal(give(&line, "more"), 4);
    expect_output(&line, "more");
    stop(&line);
    g_free(seen);
    g_free(data);
}

struct slow_reader {
    int fd;
    GString *seen;
};

static void *read_slowly(void *opaque)
{
    struct slow_reader *reader = opaque;
    char data[997];
    ssize_t n;

    while ((n = read(reader->fd, data, sizeof(data))) > 0) {
        g_string_append_len(reader->seen, data, n);
        g_usleep(200);
    }
    return NULL;
}

/* What a slow reader has not taken when the machine ends still reaches it. */
static void flushes_at_the_end(void **state)
{
    enum { SIZE = 130000 };
    struct line line;
    struct slow_reader reader;
    char *data = pattern(SIZE);
    pthread_t thread;
    size_t sent = 0, n;

    (void)state;
    open_pipes(&line, (struct machine_serial){0});
    /* Full is when nothing was taken for 100 ms: the writer thread may be slow to start. */
    for (unsigned quiet = 0; quiet < 100; quiet++) {
        n = line.table->send(line.chr, (const uint8_t *)data + sent, SIZE - sent);
        sent += n;
        if (n)
            quiet = 0;
        g_usleep(1000);
    }
    reader = (struct slow_reader){line.out, g_string_new(NULL)};
    assert_int_equal(pthread_create(&thread, NULL, read_slowly, &reader), 0);
    line.out = -1;
    stop(&line);
    pthread_join(thread, NULL);
    assert_int_equal(reader.seen->len, sent);
    assert_memory_equal(reader.seen->str, data, sent);
    close(reader.fd);
    g_string_free(reader.seen, TRUE);
    g_free(data);
}

static void gives_up_on_a_reader_that_is_gone(void **state)
{
    struct line line;
    gint64 began;

    (void)state;
    open_pipes(&line, (struct machine_serial){0});
    close(line.out);
    line.out = -1;
    give(&line, "nobody reads this\n");
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(give(&line, "nor this, and it is not queued for ever\n"), 40);
    began = g_get_monotonic_time();
    stop(&line);
    assert_true(g_get_monotonic_time() - began < G_USEC_PER_SEC);
}

static void gives_up_on_a_reader_that_stalls(void **state)
{
    struct line line;
    char *data = pattern(200000);
    gint64 began;

    (void)state;
    open_pipes(&line, (struct machine_serial){0});
    for (unsigned i = 0; i < 5; i++) {
        line.table->send(line.chr, (const uint8_t *)data, 200000);
        g_usleep(2000);
    }
    began = g_get_monotonic_time();
    stop(&line);
    began = g_get_monotonic_time() - began;
    assert_in_range(began, 1000000, 5000000);
    g_free(data);
}

static void writes_files(void **state)
{
    char *path = NULL;
    gchar *content;
    struct line line = {.in = -1, .out = -1};
    struct machine_serial serial = {.kind = MACHINE_SERIAL_FILE};
    char *error = NULL, *expected;

    (void)state;
    close(g_file_open_tmp("chardev.XXXXXX", &path, NULL));
    serial.path = path;
    for (unsigned round = 0; round < 3; round++) {
        static const char *const contents[] = {"one\n", "one\ntwo\n", "one\n"};

        serial.append = round == 1;
        start(&line, serial);
        give(&line, round == 1 ? "two\n" : "one\n");
        chardev_free(line.chr);
        g_main_context_unref(line.context);
        g_string_free(line.got, TRUE);
        assert_true(g_file_get_contents(path, &content, NULL, NULL));
        assert_string_equal(content, contents[round]);
        g_free(content);
    }
    /* What never ran leaves things as they were. */
    serial.append = false;
    for (unsigned round = 0; round < 2; round++) {
        start(&line, serial);
        if (round)
            g_main_context_iteration(line.context, FALSE);
        chardev_free(line.chr);
        g_main_context_unref(line.context);
        g_string_free(line.got, TRUE);
        assert_true(g_file_get_contents(path, &content, NULL, NULL));
        assert_string_equal(content, round ? "" : "one\n");
        g_free(content);
    }
    unlink(path);
    for (unsigned round = 0; round < 2; round++) {
        start(&line, serial);
        if (round)
            g_main_context_iteration(line.context, FALSE);
        chardev_free(line.chr);
        g_main_context_unref(line.context);
        g_string_free(line.got, TRUE);
        assert_int_equal(access(path, F_OK), round ? 0 : -1);
    }
    unlink(path);
    serial.path = g_strconcat(path, "/x", NULL);
    expected =
        g_strdup_printf("Could not open '%s': No such file or directory", serial.path);
    assert_int_equal(chardev_new(&serial, NULL, NULL, &line.chr, &error), -ENOENT);
    assert_string_equal(error, expected);
    g_free(expected);
    g_free(error);
    g_free(serial.path);
    g_free(path);
}

static void nowhere_takes_all(void **state)
{
    struct line line = {.in = -1, .out = -1};

    (void)state;
    start(&line, (struct machine_serial){.kind = MACHINE_SERIAL_NULL});
    for (unsigned i = 0; i < 100000; i++)
        assert_int_equal(give(&line, "to nowhere"), 10);
    settle(&line);
    assert_int_equal(line.n_drained, 0);
    chardev_free(line.chr);
    g_main_context_unref(line.context);
    g_string_free(line.got, TRUE);
}

static void has_one_stdio(void **state)
{
    const struct machine_serial serial = {.kind = MACHINE_SERIAL_STDIO};
    struct chardev *second = NULL;
    struct line line;
    char *error = NULL;

    (void)state;
    open_pipes(&line, (struct machine_serial){0});
    assert_int_equal(chardev_new(&serial, NULL, NULL, &second, &error), -EBUSY);
    assert_string_equal(error, "cannot use stdio by multiple character devices");
    g_free(error);
    stop(&line);
    open_pipes(&line, (struct machine_serial){0});
    stop(&line);
}

/* --- Keys ----------------------------------------------------------------------- */

static void obeys_keys(void **state)
{
    struct line line;
    char text[4096];
    ssize_t n;

    (void)state;
    open_pipes(&line, (struct machine_serial){.mux = true});
    /* Literal Ctrl-A; keys without meaning, and break, vanish. */
    type(&line, "a\001\001b\001zc\001bd", 10);
    wait_got(&line, 5);
    settle(&line);
    assert_string_equal(line.got->str, "a\001bcd");
    type(&line, "\001h", 2);
    settle(&line);
    n = read(line.out, text, sizeof(text) - 1);
    assert_true(n > 0);
    text[n] = 0;
    assert_non_null(strstr(text, "\nC-a x "));
    assert_non_null(strstr(text, "\nC-a C-a "));
    /* In the middle of a line our own messages begin a new one. */
    give(&line, "prompt> ");
    type(&line, "\001c", 2);
    settle(&line);
    expect_output(&line, "prompt> \nThere is no monitor.\n");
    type(&line, "\001", 1);
    settle(&line);
    assert_int_equal(line.n_quit, 0);
    type(&line, "x", 1);
    settle(&line);
    assert_int_equal(line.n_quit, 1);
    expect_output(&line, "QEMU: Terminated\n");
    assert_int_equal(line.got->len, 5);
    stop(&line);
}

static void stamps_lines(void **state)
{
    struct line line;
    char text[256];
    ssize_t n;

    (void)state;
    open_pipes(&line, (struct machine_serial){.mux = true});
    give(&line, "plain\n");
    expect_output(&line, "plain\n");
    type(&line, "\001t", 2);
    settle(&line);
    give(&line, "one\ntw");
    give(&line, "o\n");
    settle(&line);
    n = read(line.out, text, sizeof(text) - 1);
    assert_true(n > 0);
    text[n] = 0;
    assert_true(g_regex_match_simple("^\\[00:00:0\\d\\.\\d{3}\\] one\n"
                                     "\\[00:00:0\\d\\.\\d{3}\\] two\n$",
                                     text, 0, 0));
    type(&line, "\001t", 2);
    settle(&line);
    give(&line, "plain\n");
    expect_output(&line, "plain\n");
    stop(&line);
}

/* A guest that writes only newlines gains more stamps than the queue has room for. */
static void stamps_stay_in_bounds(void **state)
{
    struct line line;
    char *newlines = g_strnfill(100000, '\n');
    size_t sent, seen = 0, lines = 0;

    (void)state;
    open_pipes(&line, (struct machine_serial){.mux = true});
    type(&line, "\001t", 2);
    settle(&line);
    sent = line.table->send(line.chr, (const uint8_t *)newlines, 100000);
    assert_in_range(sent, 4000, 12000);
    while (lines < sent) {
        char text[4096];
        const ssize_t n = read(line.out, text, sizeof(text));

        assert_true(n > 0);
        seen += (size_t)n;
        for (ssize_t i = 0; i < n; i++)
            lines += text[i] == '\n';
    }
    assert_int_equal(seen, sent * 16);
    stop(&line);
    g_free(newlines);
}

static void takes_another_key(void **state)
{
    struct line line;

    (void)state;
    open_pipes(&line, (struct machine_serial){.mux = true, .escape = 20});
    type(&line, "\001x\024\024", 4);
    wait_got(&line, 3);
    assert_string_equal(line.got->str, "\001x\024");
    type(&line, "\024x", 2);
    settle(&line);
    assert_int_equal(line.n_quit, 1);
    stop(&line);
}

/* --- Terminals ------------------------------------------------------------------ */

static void open_terminal(struct line *line, struct machine_serial serial)
{
    int master, slave;

    *line = (struct line){0};
    assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
    put_in_place(line, slave, slave);
    close(slave);
    line->in = line->out = master;
    serial.kind = MACHINE_SERIAL_STDIO;
    start(line, serial);
}

static void sets_the_terminal_raw(void **state)
{
    static const struct {
        bool mux, signals, isig;
    } cases[] = {{true, false, false}, {true, true, true}, {false, false, true}};
    struct termios before, now;
    struct line line;
    int master, slave;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        open_terminal(&line, (struct machine_serial){.mux = cases[i].mux,
                                                     .signals = cases[i].signals});
        assert_int_equal(tcgetattr(line.in, &now), 0);
        assert_int_equal(now.c_lflag & (tcflag_t)(ICANON | ECHO), 0);
        assert_int_equal((now.c_lflag & ISIG) != 0, cases[i].isig);
        assert_int_equal(now.c_iflag & (tcflag_t)(ICRNL | IXON), 0);
        assert_true(now.c_oflag & OPOST);
        type(&line, "\r\004", 2);
        wait_got(&line, 2);
        assert_string_equal(line.got->str, "\r\004");
        stop(&line);
    }
    /* And back. */
    assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
    tcgetattr(slave, &before);
    line = (struct line){.in = -1, .out = -1};
    put_in_place(&line, slave, slave);
    start(&line, (struct machine_serial){.kind = MACHINE_SERIAL_STDIO, .mux = true});
    tcgetattr(slave, &now);
    assert_int_not_equal(now.c_lflag, before.c_lflag);
    stop(&line);
    tcgetattr(slave, &now);
    assert_int_equal(now.c_lflag, before.c_lflag);
    assert_int_equal(now.c_iflag, before.c_iflag);
    close(master);
    close(slave);
}

/* Whatever is typed at a guest that takes nothing, the command to quit gets through. */
static void quits_a_deaf_guest(void **state)
{
    struct line line;
    char keys[1000];

    (void)state;
    memset(keys, 'k', sizeof(keys));
    open_terminal(&line, (struct machine_serial){.mux = true});
    line.room = 0;
    for (unsigned i = 0; i < 100; i++) {
        type(&line, keys, sizeof(keys));
        settle(&line);
    }
    type(&line, "\001x", 2);
    settle(&line);
    assert_int_equal(line.n_quit, 1);
    stop(&line);
}

/* In a child with a terminal of its own: make it raw, and end by @how. */
static void end_child(int slave, int how)
{
    const struct machine_serial serial = {.kind = MACHINE_SERIAL_STDIO, .mux = true};
    struct chardev *chr;
    struct termios now;
    char *error;

    setsid();
    if (how) /* a shell has what it puts into the background ignore some */
        signal(how, SIG_DFL);
    ioctl(slave, TIOCSCTTY, 0);
    dup2(slave, 0);
    dup2(slave, 1);
    if (chardev_new(&serial, NULL, NULL, &chr, &error))
        _exit(100);
    tcgetattr(0, &now);
    if (now.c_lflag & ICANON)
        _exit(101);
    if (how == 0)
        exit(0);
    raise(how);
    _exit(102);
}

static void restores_the_terminal_however_it_ends(void **state)
{
    static const int ways[] = {0, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGABRT};

    (void)state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct termios before, after;
        int master, slave, status;
        pid_t child;

        assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
        tcgetattr(slave, &before);
        fflush(NULL);
        child = fork();
        assert_true(child >= 0);
        if (child == 0)
            end_child(slave, ways[i]);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (ways[i])
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == ways[i]);
        else
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        tcgetattr(slave, &after);
        assert_int_equal(after.c_lflag, before.c_lflag);
        assert_int_equal(after.c_iflag, before.c_iflag);
        close(master);
        close(slave);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_both_ways),
        cmocka_unit_test(waits_for_room),
        cmocka_unit_test(loses_no_input),
        cmocka_unit_test(survives_the_end_of_input),
        cmocka_unit_test(bounds_the_queue),
        cmocka_unit_test(flushes_at_the_end),
        cmocka_unit_test(gives_up_on_a_reader_that_is_gone),
        cmocka_unit_test(gives_up_on_a_reader_that_stalls),
        cmocka_unit_test(writes_files),
        cmocka_unit_test(nowhere_takes_all),
        cmocka_unit_test(has_one_stdio),
        cmocka_unit_test(obeys_keys),
        cmocka_unit_test(stamps_lines),
        cmocka_unit_test(stamps_stay_in_bounds),
        cmocka_unit_test(takes_another_key),
        cmocka_unit_test(sets_the_terminal_raw),
        cmocka_unit_test(quits_a_deaf_guest),
        cmocka_unit_test(restores_the_terminal_however_it_ends),
    };

    /* A failure leaves a pipe where standard output was; then nobody need wait. */
    alarm(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
