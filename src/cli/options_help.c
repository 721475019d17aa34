/* SPDX-License-Identifier: MIT */
/* options_help.c - prints help, versions and lists of what there is. */
#include <stdio.h>
#include <string.h>

#include "cli/options_impl.h"

/* Scripts that call a qemu-system-* read its version and compare it: 9.2 passes every
 * comparison that is known to us, while 10 and above fail one that expects a single
 * digit before the first dot. */
#define QEMU_VERSION "9.2.4"

enum { HELP_COLUMN = 16 };

static void print_first_line(const char *program)
{
    const uint32_t version = sm_version();
    const unsigned major = version >> 16, minor = (version >> 8) & 255,
                   patch = version & 255;

    if (g_str_has_prefix(program, "qemu-system-"))
        g_print("QEMU emulator version " QEMU_VERSION " (softmmu %u.%u.%u)\n", major,
                minor, patch);
    else
        g_print("softmmu-system-riscv64 version %u.%u.%u\n", major, minor, patch);
}

void option_print_version(const char *program)
{
    print_first_line(program);
    g_print("The command line is QEMU's, that of qemu-system-riscv64.\n");
}

/* Print a text of several lines, the later ones indented by @indent. */
static void print_lines(const char *text, int indent)
{
    char **lines = g_strsplit(text, "\n", -1);

    for (unsigned i = 0; lines[i]; i++)
        g_print("%*s%s\n", i ? indent : 0, "", lines[i]);
    g_strfreev(lines);
}

void option_print_help(const char *program)
{
    const char *name, *argument, *help;

    print_first_line(program);
    g_print("usage: %s [options]\n\n"
            "Options are QEMU's, those of qemu-system-riscv64, with one dash or two.\n\n",
            program);
    for (unsigned n = 0; option_help_row(n, &name, &argument, &help); n++) {
        if (!help)
            continue;
        if (*argument) {
            g_print("-%s ", name);
            print_lines(argument, (int)strlen(name) + 2);
            g_print("%*s", HELP_COLUMN, "");
        } else {
            g_print("-%-*s", HELP_COLUMN - 1, name);
        }
        print_lines(help, HELP_COLUMN);
    }
    g_print("\nCtrl-A x ends a machine whose serial line is the terminal, Ctrl-A h "
            "tells more.\n");
}

void option_print_machines(void)
{
    const char *name, *description;

    g_print("Supported machines are:\n");
    for (unsigned n = 0; (name = machine_board_name(n, &description)); n++)
        g_print("%-20s %s%s\n", name, description,
                strcmp(name, "spike") == 0 ? " (default)" : "");
}

void option_print_cpus(void)
{
    const char *name;

    g_print("Available CPUs:\n");
    for (unsigned n = 0; (name = rv_isa_model_name(n)); n++)
        g_print("  %s\n", name);
}

void option_print_devices(void)
{
    const char *name, *what;

    for (unsigned n = 0; (name = option_device_model(n, &what)); n++)
        g_print("name \"%s\", desc \"%s\"\n", name, what);
}

bool option_print_properties(const char *model)
{
    const char *name, *what;

    if (!option_device_property(model, 0, &what))
        return false;
    g_print("%s options:\n", model);
    for (unsigned n = 0; (name = option_device_property(model, n, &what)); n++)
        g_print("  %s=%s\n", name, what);
    return true;
}
