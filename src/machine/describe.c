/* SPDX-License-Identifier: MIT */
/* describe.c - writes down what a machine is, instead of running it: device tree, memory
 * map, who answers at an address. */
#include <errno.h>
#include <stdio.h>

#include "machine/board.h"

static void gather(void *arg, const char *text, size_t n)
{
    g_string_append_len(arg, text, (gssize)n);
}

/* Through the name, to whatever it is: a pipe or a terminal is written to, a link followed. */
static int write_file(const char *what, const char *path, const void *data, size_t size,
                      char **error)
{
    FILE *file = fopen(path, "we");
    const bool written = file && fwrite(data, 1, size, file) == size;
    const bool closed = file && fclose(file) == 0;

    if (written && closed)
        return 0;
    return machine_fail(error, EIO, "Error saving %s to file %s: %s", what, path,
                        g_strerror(errno));
}

/* --- The memory map ----------------------------------------------------------------- */

struct map {
    GString *text;
    enum sm_inspect_form form;
    bool any;
    int err;
};

static bool add_view(void *arg, struct sm_address_space *space)
{
    struct map *map = arg;

    g_string_append(map->text, map->form == SM_INSPECT_TEXT ? "\n" : map->any ? "," : "");
    map->any = true;
    map->err = sm_inspect_view(space, map->form, gather, map->text);
    return !map->err;
}

/* The tree, then the view of each space; in JSON members of one object. */
static int dump_map(struct machine *machine, const char *path, char **error)
{
    const bool json = g_str_has_suffix(path, ".json");
    struct map map = {.text = g_string_new(json ? "{\"tree\": " : NULL),
                      .form = json ? SM_INSPECT_JSON : SM_INSPECT_TEXT};

    map.err = sm_inspect_tree(machine->topo, NULL, map.form, gather, map.text);
    g_string_append(map.text, json ? ", \"views\": [\n" : "");
    if (!map.err)
        sm_topology_each_space(machine->topo, add_view, &map);
    g_string_append(map.text, json ? "]}\n" : "");
    const int err =
        map.err ? machine_fail(error, -map.err, "cannot list memory: %s",
                               g_strerror(-map.err))
                : write_file("memory map", path, map.text->str, map.text->len, error);
    g_string_free(map.text, TRUE);
    return err;
}

/* --- One address -------------------------------------------------------------------- */

static void print(void *arg, const char *text, size_t n)
{
    fwrite(text, 1, n, arg);
}

static int explain(struct machine *machine, uint64_t gpa, char **error)
{
    const struct sm_attrs attrs = {.process = SM_NO_PROCESS};
    int err = sm_inspect_why(machine->space, gpa, &attrs, SM_INSPECT_TEXT, print, stdout);

    if (!err && fflush(stdout) == EOF)
        err = -EIO;
    return err ? machine_fail(error, -err,
                              "cannot explain address 0x%" G_GINT64_MODIFIER "x: %s", gpa,
                              g_strerror(-err))
               : 0;
}

/* --- All that was asked for --------------------------------------------------------- */

bool machine_only_describes(const struct machine_config *config)
{
    return config->dumpdtb || config->dump_mtree || config->explain;
}

int machine_describe(struct machine *machine, char **error)
{
    const struct machine_config *config = machine->config;
    int err = 0;

    if (config->dumpdtb) {
        machine_fdt_reseed(machine->fdt);
        err = write_file("FDT", config->dumpdtb, machine->fdt, machine->fdt_size, error);
    }
    if (!err && config->dump_mtree)
        err = dump_map(machine, config->dump_mtree, error);
    if (!err && config->explain)
        err = explain(machine, config->explain_gpa, error);
    return err;
}
