/* SPDX-License-Identifier: MIT */
/* side.h - a whole machine whose hart and whose time somebody else moves on.
 *
 * No thread runs it: its hart runs when it is told to, up to a moment or until it waits,
 * and time stands still meanwhile.  So two of them that are told the same do the same.
 */
#ifndef TESTS_BOOT_SIDE_H
#define TESTS_BOOT_SIDE_H

#include "machine/board.h"
#include "riscv/riscv_impl.h"

/** A place in a hart's history between two instructions: each of them retires or traps,
 *  and an interrupt traps as well. */
struct moment {
    uint64_t retired, traps;
};

enum { SIDE_TIMERS = 32 };

struct side_clock {
    struct dev_clock table;
    uint64_t now_ns;
    struct dev_timer *timer[SIDE_TIMERS]; /* armed, in the order of arming      */
    unsigned n;
    unsigned reads; /* of the time, since it moved                             */
};

struct side {
    const char *name;
    struct machine_config config;
    struct machine *machine;
    struct rv_hart *hart;
    struct side_clock clock;
    char *console; /* the file that the serial line writes                      */
    bool waits;       /* in WFI                                                 */
};

/** Make a machine as @config says, but with a clock and a console of its own, and reset
 *  it.  Exits on errors.
 *  @entropy  seed of the bytes that the guest is given as random */
void side_new(struct side *side, const char *name, const struct machine_config *config,
              uint64_t entropy);
/** Returns  what the guest wrote to its console, to be g_free()d */
char *side_free(struct side *side, size_t *size);

static inline struct moment side_moment(const struct side *side)
{
    const struct rv_stats *const stats = &side->hart->stats;
    return (struct moment){side->hart->instret, stats->exceptions + stats->interrupts};
}

static inline bool moment_before(struct moment a, struct moment b)
{
    return a.retired != b.retired ? a.retired < b.retired : a.traps < b.traps;
}

static inline bool moment_equal(struct moment a, struct moment b)
{
    return a.retired == b.retired && a.traps == b.traps;
}

/** When the next timer fires; UINT64_MAX: none is armed. */
uint64_t side_deadline(const struct side *side);
/** Let it be @now_ns, fire what is due, and do what the main thread would. */
void side_set_time(struct side *side, uint64_t now_ns);
/** Whether the guest has asked for power off or reset. */
bool side_ended(const struct side *side);

#endif
