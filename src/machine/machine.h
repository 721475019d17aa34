/* SPDX-License-Identifier: MIT */
/* machine.h - a machine as its owner sees it: describe, make, run, free.
 *
 * The command line (src/cli) fills struct machine_config; machine_new() builds the
 * board from it or says in one line what is wrong, and then nothing was created.
 *
 * Layer:    machine
 * Threads:  machine_new(), machine_run() and machine_free() on one thread, the main
 *           one; machine_quit() and machine_reset_request() on any.
 */
#ifndef MACHINE_MACHINE_H
#define MACHINE_MACHINE_H

#include <stdio.h>

#include "riscv/riscv.h"

struct machine;

enum { MACHINE_MAX_HARTS = 512, MACHINE_MAX_SERIALS = 1, MACHINE_N_VIRTIO = 8 };

/** -drive: an image by name. */
struct machine_drive {
    char *id;            /* never NULL; generated when not given                */
    char *file;
    bool readonly, snapshot;
    bool writethrough;   /* cache=writethrough|directsync                      */
    bool direct;         /* cache=none|directsync: O_DIRECT                    */
    bool no_flush;       /* cache=unsafe                                       */
    bool threads;        /* aio=threads: do not use io_uring                   */
};

enum machine_device_kind { MACHINE_VIRTIO_BLK, MACHINE_VIRTIO_RNG, MACHINE_LOADER };

/** -device, or what -drive if=virtio implies. */
struct machine_device {
    enum machine_device_kind kind;
    char *id;          /* or NULL                                              */
    int slot;          /* virtio-mmio bus number 0..7, or -1: the first free   */
    char *drive;       /* virtio-blk: id of its drive                          */
    char *rng_file;    /* virtio-rng: source, default /dev/urandom             */
    char *serial;      /* virtio-blk: or NULL                                  */
    char *file;        /* loader: file=, or NULL for data                      */
    uint64_t addr, data; /* loader                                              */
    unsigned data_size;  /* loader: bytes of .data, 0 with a file               */
    bool has_addr, force_raw, big_endian;
};

enum machine_serial_kind { MACHINE_SERIAL_NULL, MACHINE_SERIAL_STDIO, MACHINE_SERIAL_FILE };

struct machine_serial {
    enum machine_serial_kind kind;
    bool mux;          /* mon:stdio, -nographic: Ctrl-A commands                */
    bool signals;      /* STDIO: Ctrl-C and Ctrl-Z stay the host's; without mux
                          they always do                                        */
    unsigned char escape; /* with mux: the command key, 0 for Ctrl-A             */
    char *path;        /* FILE                                                  */
    bool append;       /* FILE: keep what the file has                          */
};

/** -accel tcg,tlb-check=: what is checked (softmmu/tlb_check.h). */
struct machine_stale {
    bool check;        /* tlb-check=report or stop                             */
    bool stop;         /* end the run at the first report                      */
    bool suspect;      /* tlb-check-suspect=on                                 */
    bool json;         /* tlb-check-json=on: reports are lines of JSON         */
    bool keep;         /* tlb-stale=on                                         */
    uint32_t sample;   /* tlb-check-sample=: one hit in so many; 0: each       */
};

/** -accel tcg,jit=, jit-*=, tb-size=, -d and -perfmap: how guest code is translated. */
struct machine_jit {
    bool off;            /* interpret only                                      */
    bool perfmap, gdb;   /* tell perf, GDB what host code is (jit/perfmap.h)     */
    uint32_t flags;      /* enum jit_flag (jit/jit.h)                           */
    uint32_t without;    /* enum jit_opt: those not to use                      */
    uint32_t seed;       /* not 0: registers are allocated at random            */
    uint32_t heat;       /* entries of a block before it is translated; 0: the default */
    uint32_t log_items;  /* enum rv_log_item                                    */
    uint64_t code_size;  /* bytes of code of each hart; 0: the default          */
    char *log_file;      /* where .log_items go, or NULL: standard error        */
};

/** What machine_run() returns after tlb-check=stop found something. */
enum { MACHINE_EXIT_STALE = 3 };

struct dev_clock; /* devices/backend.h */

struct machine_config {
    const char *board;      /* "virt" or "spike"                                */
    uint64_t ram_size;      /* bytes                                            */
    unsigned n_harts;
    struct rv_isa isa;
    const char *cpu_model;  /* for messages                                     */
    char *bios;             /* "none", "default", a file; NULL: default          */
    char *kernel, *initrd, *append, *dtb;
    char *dumpdtb;          /* write the device tree there and run nothing      */
    char *dump_mtree;       /* write what is mapped where there, as JSON if it ends in
                               .json, and run nothing                          */
    bool explain;           /* print who answers at .explain_gpa, run nothing   */
    uint64_t explain_gpa;
    bool aclint;            /* virt,aclint=on: separate MTIMER, MSWI, SSWI       */
    bool force_legacy;      /* virtio-mmio.force-legacy, QEMU's default: true    */
    bool no_reboot;         /* a reset request ends the run                     */
    bool no_shutdown;
    bool single_thread;     /* -accel tcg,thread=single: harts take turns        */
    struct machine_stale stale;
    struct machine_jit jit;
    bool exact_lrsc;         /* -accel tcg,lrsc=exact                           */
    bool check_code;         /* -accel tcg,code-check=immediate                 */
    bool compare_all;        /* -accel tcg,code-watch=off                       */
    const struct dev_clock *clock; /* guest time and timers instead of the host's, NULL:
                               the host's.  Whoever gives it fires what is due   */
    bool print_stats;       /* say figures when the run ends, on stderr         */
    char *pidfile;          /* the program writes its process id there, or NULL */
    struct machine_serial serial[MACHINE_MAX_SERIALS];
    unsigned n_serials;     /* 0: serial line 0 is NULL                          */
    struct machine_drive *drives;
    unsigned n_drives;
    struct machine_device *devices;
    unsigned n_devices;
    char **search;          /* -L: directories to look for firmware, NULL ends;
                               may itself be NULL                               */
};

/** Build what @config describes.
 *
 *  @error   on failure a line without newline that names the culprit, in QEMU's
 *           wording where it has one; the caller frees it with g_free()
 *  Returns  0, or -errno with *error set and nothing created
 */
SM_MUST_CHECK int machine_new(const struct machine_config *config, struct machine **out,
                              char **error);

/** Run until powered off or quit.
 *  Returns  the exit code for the process: the finisher's or HTIF's, 0 after a quit */
int machine_run(struct machine *machine);
void machine_free(struct machine *machine);

/** End machine_run() with @code.  Async-signal-safe. */
void machine_quit(struct machine *machine, int code);

/** Write instructions, TLB misses, flushes, MMIO accesses of the run, and what was
 *  translated; the TLB's hit rate where all accesses are counted, as nothing was. */
void machine_print_stats(const struct machine *machine, FILE *file);

/** Visit board names and their descriptions for -M help.  NULL past the end. */
const char *machine_board_name(unsigned n, const char **description);

#endif
