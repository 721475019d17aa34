/* SPDX-License-Identifier: MIT */
/* side.c - makes a machine that has its time from a test, and none of its own threads
 * for harts. */
#include "boot/side.h"

#include <libfdt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- Time --------------------------------------------------------------------------- */

enum { WALL_NS = 1000000000 }; /* of 1970: any time will do                    */

static uint64_t clock_now(void *opaque)
{
    struct side *side = opaque;

    /* A loop that waits for time to pass is to end. */
    if (++side->clock.reads % 256 == 0 && side->hart)
        rv_hart_kick(side->hart);
    return side->clock.now_ns;
}

static uint64_t clock_wall(void *opaque)
{
    const struct side *side = opaque;
    return side->clock.now_ns + WALL_NS;
}

static void clock_take(struct side_clock *clock, const struct dev_timer *timer)
{
    for (unsigned i = 0; i < clock->n; i++) {
        if (clock->timer[i] == timer) {
            clock->n--;
            memmove(clock->timer + i, clock->timer + i + 1,
                    (clock->n - i) * sizeof(clock->timer[0]));
            return;
        }
    }
}

static void clock_arm(void *opaque, struct dev_timer *timer, uint64_t deadline_ns)
{
    struct side_clock *const clock = &((struct side *)opaque)->clock;

    clock_take(clock, timer);
    timer->deadline_ns = deadline_ns;
    if (deadline_ns == UINT64_MAX)
        return;
    if (clock->n == SIDE_TIMERS)
        abort();
    clock->timer[clock->n++] = timer;
}

static void clock_cancel(void *opaque, struct dev_timer *timer)
{
    clock_arm(opaque, timer, UINT64_MAX);
}

/** Of two with the same deadline the one armed first. */
static struct dev_timer *clock_first(const struct side_clock *clock)
{
    struct dev_timer *first = NULL;

    for (unsigned i = 0; i < clock->n; i++)
        if (!first || clock->timer[i]->deadline_ns < first->deadline_ns)
            first = clock->timer[i];
    return first;
}

uint64_t side_deadline(const struct side *side)
{
    const struct dev_timer *const first = clock_first(&side->clock);
    return first ? first->deadline_ns : UINT64_MAX;
}

void side_set_time(struct side *side, uint64_t now_ns)
{
    struct dev_timer *timer;

    side->clock.now_ns = now_ns;
    side->clock.reads = 0;
    while ((timer = clock_first(&side->clock)) && timer->deadline_ns <= now_ns) {
        clock_take(&side->clock, timer);
        timer->deadline_ns = UINT64_MAX;
        timer->fire(timer->opaque);
    }
    while (g_main_context_iteration(side->machine->context, FALSE))
        continue;
}

/* --- Making ------------------------------------------------------------------------- */

static void give_up(const char *name, const char *what)
{
    fprintf(stderr, "lockstep: %s: %s\n", name, what);
    exit(2);
}

/** The device tree has random bytes for the guest: let both sides have the same. */
static void set_entropy(struct machine *machine, uint64_t entropy)
{
    const int node = fdt_path_offset(machine->fdt, "/chosen");
    int size = 0;
    uint8_t *const seed =
        node < 0 ? NULL : fdt_getprop_w(machine->fdt, node, "rng-seed", &size);
    const struct load_segment fdt = {.gpa = machine->fdt_addr,
                                     .size = machine->fdt_size,
                                     .data = machine->fdt,
                                     .data_size = machine->fdt_size};

    for (int i = 0; seed && i < size; i++) {
        entropy = entropy * UINT64_C(6364136223846793005) + 1442695040888963407;
        seed[i] = (uint8_t)(entropy >> 56);
    }
    load_segment_write(machine->space, &fdt);
}

static void open_console(struct side *side)
{
    int fd;

    side->console = g_build_filename(g_get_tmp_dir(), "lockstep-XXXXXX", NULL);
    fd = mkstemp(side->console);
    if (fd < 0)
        give_up(side->name, "cannot make a file for the console");
    close(fd);
    side->config.serial[0] = (struct machine_serial){.kind = MACHINE_SERIAL_FILE,
                                                     .path = side->console};
    side->config.n_serials = 1;
}

void side_new(struct side *side, const char *name, const struct machine_config *config,
              uint64_t entropy)
{
    char *error = NULL;

    *side = (struct side){.name = name, .config = *config};
    side->clock.table = (struct dev_clock){.now_ns = clock_now,
                                           .wall_ns = clock_wall,
                                           .arm = clock_arm,
                                           .cancel = clock_cancel,
                                           .opaque = side};
    side->config.clock = &side->clock.table;
    open_console(side);
    if (machine_new(&side->config, &side->machine, &error) ||
        machine_reset(side->machine, &error))
        give_up(name, error);
    set_entropy(side->machine, entropy);
    side->hart = side->machine->slots[0].hart;
}

/* --- Ends --------------------------------------------------------------------------- */

bool side_ended(const struct side *side)
{
    return sm_load_acquire(&side->machine->power_asked) != 0;
}

char *side_free(struct side *side, size_t *size)
{
    char *text = NULL;

    machine_free(side->machine); /* writes what is still queued                 */
    if (!g_file_get_contents(side->console, &text, size, NULL))
        give_up(side->name, "the console cannot be read");
    unlink(side->console);
    g_free(side->console);
    return text;
}
