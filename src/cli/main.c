/* SPDX-License-Identifier: MIT */
/* main.c - builds the machine that the command line describes, and runs it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <glib.h>

#include "base/atomic.h"
#include "cli/options.h"

static const int end_signals[] = {SIGINT, SIGTERM, SIGHUP};
enum { N_END_SIGNALS = sizeof(end_signals) / sizeof(end_signals[0]) };

/* What the signal handler needs; a process has one main(). */
static struct {
    struct machine *machine; /* NULL: is being freed                           */
    int number;              /* of the signal that came first, or 0            */
    int sender;
    struct sigaction before[N_END_SIGNALS];
} ending;

static void on_signal(int number, siginfo_t *info, void *context)
{
    struct machine *machine = sm_load_acquire(&ending.machine); /* pairs with run() */

    (void)context;
    if (ending.number) {
        /* The machine did not end: do at once what happens without a handler, but
         * for the terminal, which is put in order in any case. */
        for (unsigned i = 0; i < N_END_SIGNALS; i++) {
            if (end_signals[i] == number)
                sigaction(number, &ending.before[i], NULL);
        }
        raise(number);
        return;
    }
    ending.sender = info->si_code <= 0 ? info->si_pid : 0;
    ending.number = number;
    if (machine)
        machine_quit(machine, 0);
}

/* After the machine was made: until then a signal just ends the process. */
static void handle_signals(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};

    sigemptyset(&action.sa_mask);
    for (unsigned i = 0; i < N_END_SIGNALS; i++) {
        /* nohup stays in force. */
        if (sigaction(end_signals[i], NULL, &ending.before[i]) == 0 &&
            ending.before[i].sa_handler != SIG_IGN)
            sigaction(end_signals[i], &action, NULL);
    }
}

static void tell_signal(const char *program)
{
    char path[64];
    char *name = NULL;

    if (!ending.number)
        return;
    if (!ending.sender) {
        fprintf(stderr, "%s: terminating on signal %d\n", program, ending.number);
        return;
    }
    snprintf(path, sizeof(path), "/proc/%d/comm", ending.sender);
    if (g_file_get_contents(path, &name, NULL, NULL))
        g_strchomp(name);
    fprintf(stderr, "%s: terminating on signal %d from pid %d (%s)\n", program,
            ending.number, ending.sender, name ? name : "<unknown process>");
    g_free(name);
}

/* Files that are opened must not become standard input, output or error. */
static void open_standard(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
            abort();
    }
}

static bool write_pidfile(const char *path, char **error)
{
    FILE *file = fopen(path, "we");

    if (file && fprintf(file, "%ld\n", (long)getpid()) > 0 && fclose(file) == 0)
        return true;
    *error = g_strdup_printf("cannot create PID file: Could not create '%s': %s", path,
                             g_strerror(errno));
    return false;
}

static int run(const struct machine_config *config, const char *program, char **error)
{
    struct machine *machine;
    int code;

    if (machine_new(config, &machine, error))
        return EXIT_FAILURE;
    if (config->pidfile && !write_pidfile(config->pidfile, error)) {
        machine_free(machine);
        return EXIT_FAILURE;
    }
    sm_publish(&ending.machine, machine); /* pairs with on_signal()             */
    handle_signals();
    code = machine_run(machine);
    sm_publish(&ending.machine, NULL);
    if (config->print_stats)
        machine_print_stats(machine, stderr);
    machine_free(machine);
    tell_signal(program);
    if (config->pidfile)
        unlink(config->pidfile);
    return code;
}

int main(int argc, char *argv[])
{
    struct machine_config config;
    enum options_action action;
    char *error = NULL;
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *program = slash ? slash + 1 : argc > 0 ? argv[0] : "softmmu-system-riscv64";
    int code = EXIT_SUCCESS;

    open_standard();
    signal(SIGPIPE, SIG_IGN);
    if (options_parse(argc, argv, &config, &action, &error))
        code = EXIT_FAILURE;
    else if (action == OPTIONS_RUN)
        code = run(&config, program, &error);
    if (error)
        fprintf(stderr, "%s: %s\n", program, error);
    g_free(error);
    options_fini(&config);
    return code;
}
