/* SPDX-License-Identifier: MIT */
/* machine_impl.h - what the files of the machine layer share.
 *
 * Layer: machine, private.
 *
 *   machine.c      owns all parts, main loop, reset, quit
 *   board_virt.c board_spike.c   address map and wiring as tables
 *   board_fdt.c    the device tree from those tables
 *   boot.c         firmware, kernel, initrd, device tree and reset code to their places
 *   describe.c     the machine in words: device tree, memory map, an address explained
 *   rom.c          what a reset writes into memory again
 *   loader.c loader_elf.c   ELF, Image, gzip, raw; checks, then writes guest memory
 *   clock.c        the machine's one clock and its timers
 *   vcpu_thread.c  a pthread per hart: run, sleep, stop
 *   chardev.c      host ends of serial lines
 *   block.c block_uring.c block_threads.c   host ends of disks
 *   rng.c          host end of random numbers
 */
#ifndef MACHINE_MACHINE_IMPL_H
#define MACHINE_MACHINE_IMPL_H

#include <glib.h>

#include "devices/backend.h"
#include "machine/machine.h"

/* --- clock.c -------------------------------------------------------------------- */

struct machine_clock;
/** Timers fire on the thread that runs @context (NULL: the default one). */
struct machine_clock *machine_clock_new(GMainContext *context);
/** The same on @table, which is copied: its timers are its owner's to fire. */
struct machine_clock *machine_clock_of(const struct dev_clock *table);
void machine_clock_free(struct machine_clock *clock);
const struct dev_clock *machine_clock_table(struct machine_clock *clock);

/* --- chardev.c -------------------------------------------------------------------- */

struct chardev;
/** What Ctrl-A x asks for on a multiplexed line. */
struct chardev_keys {
    void (*quit)(void *owner);
    void *owner;
};
/** Errors: -errno of opening the file, with *@error set */
SM_MUST_CHECK int chardev_new(const struct machine_serial *serial, GMainContext *context,
                              const struct chardev_keys *keys, struct chardev **out,
                              char **error);
/** Send what is queued as far as the host takes it, restore the terminal, free. */
void chardev_free(struct chardev *chr);
const struct dev_chr *chardev_table(struct chardev *chr);

/* --- block.c ------------------------------------------------------------------------ */

struct block;
/** Open a raw image.  snapshot=on: writes go to a temporary file that vanishes.
 *  Errors: -errno, with *@error in QEMU's wording ("Could not open 'x': No such
 *  file or directory") */
SM_MUST_CHECK int block_open(const struct machine_drive *drive, struct block **out,
                             char **error);
void block_close(struct block *block);
const struct dev_blk *block_table(struct block *block);

/* --- rng.c ---------------------------------------------------------------------------- */

struct rng;
SM_MUST_CHECK int rng_open(const char *file, struct rng **out, char **error);
void rng_close(struct rng *rng);
const struct dev_rng *rng_table(struct rng *rng);

/* --- loader.c --------------------------------------------------------------------------- */

struct load_result {
    uint64_t entry;         /* where to jump: ELF entry, or first byte           */
    uint64_t first, last;   /* bytes that were written                           */
    bool is_elf;
    bool has_htif;          /* the ELF has tohost and fromhost symbols           */
    uint64_t tohost, fromhost;
};

/** Load ELF64 RISC-V, gzip of an Image, an Image (flat or EFI stub) or raw bytes.
 *
 *  @raw_addr  where what is not an ELF goes (an Image adds its text_offset rule as
 *             QEMU does); with @force_raw an ELF is raw bytes too
 *  @limit     nothing is written outside of RAM or ROM of @space
 *  Everything is checked before the first byte is written.
 *  Errors     -errno with *@error
 */
SM_MUST_CHECK int load_image(struct sm_address_space *space, const char *path,
                             uint64_t raw_addr, bool force_raw, struct load_result *out,
                             char **error);
/** The same over bytes that are already in memory: what the fuzzer calls.
 *  @name  for messages */
SM_MUST_CHECK int load_bytes(struct sm_address_space *space, const char *name,
                             const uint8_t *data, size_t size, uint64_t raw_addr,
                             bool force_raw, struct load_result *out, char **error);

#endif
