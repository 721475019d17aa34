/* SPDX-License-Identifier: MIT */
/* chardev_tty.c - sets the process's terminal raw and always restores it.
 *
 * A process has one terminal, so what is remembered of it is the one piece of state
 * that is the process's and not a machine's.  Signal handlers read it.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/base.h"
#include "machine/chardev_impl.h"

/* What ends a process unless someone handles it. */
static const int fatal_signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGILL, SIGTRAP, SIGABRT,
                                    SIGBUS, SIGFPE, SIGSEGV, SIGTERM, SIGXCPU, SIGSYS};

static struct {
    int taken;
    int is_raw;            /* .saved and .raw hold                             */
    int exit_hook;         /* atexit() was called                              */
    struct termios saved, raw;
    struct sigaction before[SM_ARRAY_LEN(fatal_signals)];
    bool handled[SM_ARRAY_LEN(fatal_signals)];
    struct sigaction before_continue;
} tty;

/* Setting the modes from the background would stop the process, and the terminal is
 * someone else's then.  One that does not control the session has no background.
 * Async-signal-safe, as all that is called is. */
static void set_modes(const struct termios *modes)
{
    const int error = errno;
    const pid_t foreground = tcgetpgrp(STDIN_FILENO);

    if (foreground < 0 || foreground == getpgrp())
        tcsetattr(STDIN_FILENO, TCSANOW, modes);
    errno = error;
}

static void restore(void)
{
    /* Acquire: pairs with the publish in chardev_tty_enter(). */
    if (sm_load_acquire(&tty.is_raw))
        set_modes(&tty.saved);
}

static void on_fatal(int number)
{
    /* SA_RESETHAND has put the default action back. */
    restore();
    raise(number);
}

static void on_continue(int number)
{
    (void)number;
    if (sm_load_acquire(&tty.is_raw))
        set_modes(&tty.raw);
}

static void handle_signals(void)
{
    struct sigaction action = {.sa_handler = on_fatal, .sa_flags = (int)SA_RESETHAND};

    sigemptyset(&action.sa_mask);
    for (unsigned i = 0; i < SM_ARRAY_LEN(fatal_signals); i++) {
        struct sigaction *before = &tty.before[i];

        /* Who handles a signal leaves the machine in order. */
        tty.handled[i] = sigaction(fatal_signals[i], NULL, before) == 0 &&
                         !(before->sa_flags & SA_SIGINFO) &&
                         before->sa_handler == SIG_DFL;
        if (tty.handled[i])
            sigaction(fatal_signals[i], &action, NULL);
    }
    action = (struct sigaction){.sa_handler = on_continue, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGCONT, &action, &tty.before_continue);
}

static void unhandle_signals(void)
{
    for (unsigned i = 0; i < SM_ARRAY_LEN(fatal_signals); i++) {
        struct sigaction now;

        if (tty.handled[i] && sigaction(fatal_signals[i], NULL, &now) == 0 &&
            now.sa_handler == on_fatal)
            sigaction(fatal_signals[i], &tty.before[i], NULL);
    }
    sigaction(SIGCONT, &tty.before_continue, NULL);
}

int chardev_tty_enter(bool signals)
{
    int free_before = 0;

    if (!sm_compare_exchange(&tty.taken, &free_before, 1))
        return -EBUSY;
    if (tcgetattr(STDIN_FILENO, &tty.saved) < 0)
        return 0; /* no terminal                                               */
    tty.raw = tty.saved;
    tty.raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR |
                                   ICRNL | IXON);
    /* Output stays processed: messages of the program end in a plain newline. */
    tty.raw.c_oflag |= OPOST;
    tty.raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN);
    if (!signals)
        tty.raw.c_lflag &= ~(tcflag_t)ISIG;
    tty.raw.c_cflag = (tty.raw.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
    tty.raw.c_cc[VMIN] = 1;
    tty.raw.c_cc[VTIME] = 0;
    if (!tty.exit_hook) {
        tty.exit_hook = 1;
        atexit(restore);
    }
    /* Publish: pairs with the acquires of restore() and on_continue(). */
    sm_publish(&tty.is_raw, 1);
    handle_signals();
    set_modes(&tty.raw);
    return 0;
}

void chardev_tty_leave(void)
{
    if (tty.is_raw) {
        restore();
        sm_publish(&tty.is_raw, 0);
        unhandle_signals();
    }
    sm_publish(&tty.taken, 0);
}
