/* SPDX-License-Identifier: MIT */
/* machine.c - assembles, runs, resets and takes down a machine.
 *
 * The thread that calls machine_run() is the machine's main thread: it runs a GLib main
 * loop of the machine's own context - timers, characters, signals, and one eventfd by
 * which every other thread asks for something: deferred work, power, the end.
 */
#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "jit/jit.h"
#include "jit/perfmap.h"
#include "machine/board.h"

static const struct board *const boards[] = {&board_spike, &board_virt};

const char *machine_board_name(unsigned n, const char **description)
{
    if (n >= SM_ARRAY_LEN(boards))
        return NULL;
    if (description)
        *description = boards[n]->description;
    return boards[n]->name;
}

static const char *program_name(void)
{
    const char *name = g_get_prgname();
    return name ? name : "softmmu-system-riscv64";
}

/* --- Asking the main thread --------------------------------------------------------- */

/** Wake the main loop.  Async-signal-safe. */
static void ring(struct machine *machine)
{
    const uint64_t one = 1;
    const int saved = errno;
    /* It fails only when the counter is full, and then the loop wakes anyway. */
    if (write(machine->event_fd, &one, sizeof one) < 0)
        errno = saved;
}

static void owner_panic(void *owner, const char *text, const sm_gva *pc)
{
    (void)owner;
    if (pc)
        fprintf(stderr, "%s: panic at guest pc 0x%" G_GINT64_MODIFIER "x: %s\n",
                program_name(), *pc, text);
    else
        fprintf(stderr, "%s: panic: %s\n", program_name(), text);
    abort();
}

static void owner_log(void *owner, uint32_t category, const char *text)
{
    (void)owner;
    (void)category;
    fprintf(stderr, "%s: %s\n", program_name(), text);
}

static void owner_wake(void *owner)
{
    struct machine *machine = owner;
    /* Cleared by on_event() before it works: what comes later rings again. */
    if (!sm_exchange(&machine->work_asked, 1))
        ring(machine);
}

static const struct sm_owner_ops owner_ops = {
    .struct_size = sizeof owner_ops,
    .panic = owner_panic,
    .log = owner_log,
    .wake = owner_wake,
};

enum { POWER_NONE, POWER_TAKEN, POWER_ASKED };

/** dev_power.request: the first one counts until it was handled. */
static void power_request(void *owner, enum dev_power_event event, int code)
{
    struct machine *machine = owner;
    uint32_t expected = POWER_NONE;

    if (!sm_compare_exchange(&machine->power_asked, &expected, POWER_TAKEN))
        return;
    machine->power_event = event;
    machine->power_code = code;
    sm_publish(&machine->power_asked, POWER_ASKED); /* pairs with on_event()     */
    /* The guest goes no further than it must. */
    if (machine->vcpus) /* else whoever runs the harts looks himself            */
        vcpus_ask_pause(machine->vcpus);
    ring(machine);
}

void machine_quit(struct machine *machine, int code)
{
    machine->quit_code = code;
    sm_publish(&machine->quit_asked, 1); /* pairs with on_event()                */
    ring(machine);
}

/* --- Reset -------------------------------------------------------------------------- */

int machine_reset(struct machine *machine, char **error)
{
    for (unsigned i = 0; i < machine->n_blocks; i++) {
        const struct dev_blk *blk = block_table(machine->blocks[i]);
        blk->drain(blk->opaque);
    }
    machine->board->reset(machine);
    sm_topology_work(machine->topo);
    for (unsigned i = 0; i < machine->n_harts; i++)
        rv_hart_reset(machine->slots[i].hart, machine->board->place[BOARD_MROM].base);
    return machine_boot_write(machine, error);
}

static void end_run(struct machine *machine, int code)
{
    machine->ended = true;
    machine->quit_code = code;
}

static void handle_power(struct machine *machine)
{
    const bool reset = machine->power_event == DEV_POWER_RESET;
    char *error = NULL;

    vcpus_pause(machine->vcpus);
    if (!reset && machine->no_shutdown) {
        /* Stays as it is, to be looked at, until it is told to quit. */
    } else if (!reset || machine->no_reboot) {
        end_run(machine, reset ? 0 : machine->power_code);
    } else if (machine_reset(machine, &error)) {
        fprintf(stderr, "%s: %s\n", program_name(), error);
        g_free(error);
        end_run(machine, EXIT_FAILURE);
    } else {
        sm_publish(&machine->power_asked, POWER_NONE);
        vcpus_resume(machine->vcpus);
    }
}

static gboolean on_event(gint fd, GIOCondition condition, gpointer opaque)
{
    struct machine *machine = opaque;
    uint64_t count;
    (void)condition;

    while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
        continue;
    if (sm_exchange(&machine->work_asked, 0))
        sm_topology_work(machine->topo);
    if (sm_load_acquire(&machine->quit_asked))
        machine->ended = true;
    else if (sm_load_acquire(&machine->power_asked) == POWER_ASKED && machine->vcpus)
        handle_power(machine);
    return G_SOURCE_CONTINUE;
}

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

static gboolean on_signal(gpointer opaque)
{
    struct machine *machine = opaque;
    GSource *source = g_main_current_source();

    for (unsigned i = 0; i < SM_ARRAY_LEN(signals); i++)
        if (source == machine->signal_source[i])
            fprintf(stderr, "%s: terminating on signal %d\n", program_name(), signals[i]);
    end_run(machine, 0);
    return G_SOURCE_CONTINUE;
}

static void drop_source(GSource **source)
{
    if (*source) {
        g_source_destroy(*source);
        g_source_unref(*source);
    }
    *source = NULL;
}

/* --- Making ------------------------------------------------------------------------- */

static int check_config(const struct machine_config *config, const struct board **board,
                        char **error)
{
    *board = NULL;
    for (unsigned i = 0; i < SM_ARRAY_LEN(boards); i++)
        if (!strcmp(boards[i]->name, config->board))
            *board = boards[i];
    if (!*board)
        return machine_fail(error, EINVAL, "unsupported machine type: \"%s\"",
                            config->board);
    if (!config->n_harts)
        return machine_fail(error, EINVAL,
                            "Invalid CPU topology: CPU topology parameters "
                            "must be greater than zero");
    if (config->n_harts > (*board)->max_harts)
        return machine_fail(error, EINVAL,
                            "Invalid SMP CPUs %u. The max CPUs supported by "
                            "machine '%s' is %u",
                            config->n_harts, (*board)->name, (*board)->max_harts);
    if (!config->ram_size)
        return machine_fail(error, EINVAL, "Invalid RAM size 0");
    /* The last RAM byte is below 2^56, which every page table can name. */
    if (config->ram_size > (UINT64_C(1) << 55))
        return machine_fail(error, ENOMEM, "cannot set up guest memory '%s': %s",
                            (*board)->ram_name, g_strerror(ENOMEM));
    if (config->initrd && !config->kernel)
        return machine_fail(error, EINVAL, "-initrd only allowed with -kernel option");
    if (config->append && config->append[0] && !config->kernel)
        return machine_fail(error, EINVAL, "-append only allowed with -kernel option");
    return 0;
}

/** Make the topology, RAM and mask ROM.  Inside an edit. */
static int make_memory(struct machine *machine, char **error)
{
    const struct board *board = machine->board;
    const struct board_place *mrom = &board->place[BOARD_MROM];
    int err = sm_region_new(machine->topo, "system", UINT64_MAX, &machine->root);

    if (!err)
        err =
            sm_address_space_new(machine->topo, "memory", machine->root, &machine->space);
    if (!err)
        err = sm_region_new_rom(machine->topo, "mrom", mrom->size, &machine->mrom);
    if (!err)
        err = sm_region_map(machine->root, mrom->base, machine->mrom, 0);
    if (!err)
        err = sm_region_new_ram(machine->topo, board->ram_name, machine->ram_size,
                                &machine->ram);
    if (!err)
        err =
            sm_region_map(machine->root, board->place[BOARD_DRAM].base, machine->ram, 0);
    return err ? machine_fail(error, -err, "cannot set up guest memory '%s': %s",
                              board->ram_name, g_strerror(-err))
               : 0;
}

static int make_loop(struct machine *machine, char **error)
{
    machine->context = g_main_context_new();
    machine->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    machine->clock = machine->config->clock ? machine_clock_of(machine->config->clock)
                                            : machine_clock_new(machine->context);
    if (machine->event_fd < 0 || !machine->clock)
        return machine_fail(error, EMFILE, "cannot set up the main loop: %s",
                            g_strerror(errno));
    machine->event_source = g_unix_fd_source_new(machine->event_fd, G_IO_IN);
    g_source_set_callback(machine->event_source, G_SOURCE_FUNC(on_event), machine, NULL);
    g_source_attach(machine->event_source, machine->context);
    return 0;
}

static int make_board(struct machine *machine, char **error)
{
    int err;

    sm_topology_begin(machine->topo);
    err = make_memory(machine, error);
    if (!err)
        err = machine->board->build(machine, error);
    if (!err) {
        err = sm_topology_commit(machine->topo, NULL);
        if (err)
            (void)machine_fail(error, -err, "cannot set up machine '%s': %s",
                               machine->board->name, g_strerror(-err));
    }
    if (err)
        sm_topology_abort(machine->topo);
    return err;
}

/** Open what -d writes to. */
static int open_log(struct machine *machine, char **error)
{
    const char *const name = machine->config->jit.log_file;

    if (!machine->jit.log_items || machine->dump_only)
        return 0;
    machine->log = name ? fopen(name, "we") : stderr;
    if (machine->log)
        return 0;
    return machine_fail(error, errno, "Could not open '%s': %s", name,
                        g_strerror(errno));
}

/** Open what tells perf and GDB of host code. */
static int open_names(struct machine *machine, char **error)
{
    const unsigned flags = (machine->jit.perfmap ? JIT_PERFMAP_PERF : 0u) |
                           (machine->jit.gdb ? JIT_PERFMAP_GDB : 0u);
    int err;

    if (!flags || machine->jit.off || machine->dump_only || !jit_supported())
        return 0;
    err = jit_perfmap_open(flags, &machine->names);
    return !err ? 0
                : machine_fail(error, -err, "Could not open '/tmp/perf-%ld.map': %s",
                               (long)getpid(), g_strerror(-err));
}

static int make_all(struct machine *machine, char **error)
{
    const struct machine_config *config = machine->config;
    int err = make_loop(machine, error);

    if (!err) {
        err = sm_topology_new(&owner_ops, machine, &machine->topo);
        if (!err)
            err = rom_set_new(&machine->roms);
        if (err)
            return machine_fail(error, -err, "cannot set up machine '%s': %s",
                                machine->board->name, g_strerror(-err));
    }
    if (!err)
        err = host_ends_open(machine, error);
    if (!err)
        err = open_log(machine, error);
    if (!err)
        err = open_names(machine, error);
    if (!err)
        err = make_board(machine, error);
    if (!err)
        err = devices_plug(machine, error);
    if (!err) {
        machine->vcpu_flags = (config->exact_lrsc ? SM_VCPU_EXACT_RESERVE : 0u) |
                              (config->n_harts == 1 ? SM_VCPU_ALONE : 0u);
        machine->check_code = config->check_code;
        machine->compare_all = config->compare_all;
        err = machine_stale_new(machine, &config->stale);
        if (!err)
            err = harts_new(machine, &machine->isa);
        if (err)
            (void)machine_fail(error, -err, "cannot set up CPU '%s': %s",
                               config->cpu_model, g_strerror(-err));
    }
    if (!err)
        err = machine_boot_plan(machine, error);
    return err || !machine->dump_only ? err : machine_describe(machine, error);
}

int machine_new(const struct machine_config *config, struct machine **out, char **error)
{
    const struct board *board;
    struct machine *machine;
    int err = check_config(config, &board, error);

    if (err)
        return err;
    machine = g_new0(struct machine, 1);
    machine->board = board;
    machine->config = config;
    machine->isa = config->isa;
    machine->ram_size = config->ram_size;
    machine->n_harts = config->n_harts;
    machine->aclint_layout = config->aclint;
    machine->no_reboot = config->no_reboot;
    machine->no_shutdown = config->no_shutdown;
    machine->single_thread = config->single_thread;
    machine->jit = config->jit;
    machine->jit.log_file = NULL;
    machine->dump_only = machine_only_describes(config);
    machine->power = (struct dev_power){.request = power_request, .opaque = machine};
    machine->slots = g_new0(struct hart_slot, machine->n_harts);
    err = make_all(machine, error);
    machine->config = NULL;
    if (err) {
        machine_free(machine);
        return err;
    }
    *out = machine;
    return 0;
}

static void free_memory(struct machine *machine)
{
    struct sm_region *const regions[] = {machine->ram, machine->mrom};

    sm_topology_begin(machine->topo);
    for (unsigned i = 0; i < SM_ARRAY_LEN(regions); i++)
        if (regions[i])
            sm_region_unmap(regions[i]);
    machine->board->unmap(machine);
    if (sm_topology_commit(machine->topo, NULL))
        sm_topology_abort(machine->topo);
    machine->board->free(machine);
    sm_topology_free(machine->topo);
}

void machine_free(struct machine *machine)
{
    if (!machine)
        return;
    for (unsigned i = 0; i < machine->n_blocks; i++) {
        const struct dev_blk *blk = block_table(machine->blocks[i]);
        blk->drain(blk->opaque);
    }
    harts_free(machine);
    if (machine->log && machine->log != stderr)
        fclose(machine->log);
    jit_perfmap_close(machine->names);
    machine_stale_free(machine);
    if (machine->topo)
        free_memory(machine);
    host_ends_close(machine);
    rom_set_free(machine->roms);
    g_free(machine->fdt);
    drop_source(&machine->event_source);
    if (machine->event_fd >= 0)
        close(machine->event_fd);
    machine_clock_free(machine->clock);
    if (machine->context)
        g_main_context_unref(machine->context);
    g_free(machine);
}

/* --- Running ------------------------------------------------------------------------ */

int machine_run(struct machine *machine)
{
    char *error = NULL;
    int err;

    if (machine->dump_only)
        return 0;
    g_main_context_push_thread_default(machine->context);
    for (unsigned i = 0; i < SM_ARRAY_LEN(signals); i++) {
        struct sigaction action;

        /* What nohup had us ignore stays ignored. */
        if (!sigaction(signals[i], NULL, &action) && action.sa_handler == SIG_IGN)
            continue;
        machine->signal_source[i] = g_unix_signal_source_new(signals[i]);
        g_source_set_callback(machine->signal_source[i], on_signal, machine, NULL);
        g_source_attach(machine->signal_source[i], machine->context);
    }
    err = vcpus_new(machine, &machine->vcpus);
    if (err)
        error = g_strdup_printf("cannot start CPU threads: %s", g_strerror(-err));
    else
        err = machine_reset(machine, &error);
    if (err) {
        fprintf(stderr, "%s: %s\n", program_name(), error);
        g_free(error);
        end_run(machine, EXIT_FAILURE);
    } else {
        vcpus_resume(machine->vcpus);
    }
    while (!machine->ended)
        g_main_context_iteration(machine->context, TRUE);
    vcpus_free(machine->vcpus);
    machine->vcpus = NULL;
    for (unsigned i = 0; i < SM_ARRAY_LEN(signals); i++)
        drop_source(&machine->signal_source[i]);
    g_main_context_pop_thread_default(machine->context);
    return machine->quit_code;
}
