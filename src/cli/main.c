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

#include "cli/options.h"

/* From the end of the run on, what would end the process waits until the terminal is
 * in order again: that takes some seconds at most. */
static void hold_signals(bool hold)
{
    sigset_t ends;

    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    pthread_sigmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &ends, NULL);
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

static int run(const struct machine_config *config, char **error)
{
    struct machine *machine;
    int code;

    if (machine_new(config, &machine, error))
        return EXIT_FAILURE;
    if (config->pidfile && !write_pidfile(config->pidfile, error)) {
        machine_free(machine);
        return EXIT_FAILURE;
    }
    code = machine_run(machine);
    hold_signals(true);
    if (config->print_stats)
        machine_print_stats(machine, stderr);
    machine_free(machine);
    if (config->pidfile)
        unlink(config->pidfile);
    hold_signals(false);
    return code;
}

int main(int argc, char *argv[])
{
    struct machine_config config;
    enum options_action action;
    char *error = NULL;
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    const char *program = slash      ? slash + 1
                          : argc > 0 ? argv[0]
                                     : "softmmu-system-riscv64";
    int code = EXIT_SUCCESS;

    open_standard();
    g_set_prgname(program);
    signal(SIGPIPE, SIG_IGN);
    if (options_parse(argc, argv, &config, &action, &error))
        code = EXIT_FAILURE;
    else if (action == OPTIONS_RUN)
        code = run(&config, &error);
    if (error)
        fprintf(stderr, "%s: %s\n", program, error);
    g_free(error);
    options_fini(&config);
    return code;
}
