/* SPDX-License-Identifier: MIT */
/* board.h - what boards, boot, loader, vCPU threads and the machine share.
 *
 * Layer: machine, private.
 *
 *   machine.c      struct machine, its making, main loop, reset and quit
 *   board_*.c      a struct board each: devices, address map, device tree
 *   boot.c         firmware, kernel, initrd and device tree to their places
 *   rom.c          what a reset writes into memory again
 *   describe.c     the machine in words, instead of a run
 *   plug.c         host ends, and the devices in virtio slots
 *   loader*.c      a file to a plan of segments, checked against the address space
 *   vcpu_thread.c  hart slots and the threads that run them
 *
 * Invariants:
 *  (M1) Nothing is written to guest memory before every image was checked: boot.c
 *       fills the ROM set, the first reset writes it.
 *  (M2) Devices, harts and memory are reset with every vCPU thread paused.
 *  (M3) machine->config is the caller's and used inside machine_new() only.
 */
#ifndef MACHINE_BOARD_H
#define MACHINE_BOARD_H

#include <pthread.h>

#include "base/atomic.h"
#include "base/bits.h"
#include "devices/devices.h"
#include "machine/machine_impl.h"

/** Set *@error to a line.  Returns -@code. */
int machine_fail(char **error, int code, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* --- loader.c, loader_elf.c --------------------------------------------------------- */

enum load_flag {
    LOAD_ELF = 1 << 0,   /* what begins as an ELF must be a good one            */
    LOAD_GZIP = 1 << 1,  /* unpack first                                        */
    LOAD_IMAGE = 1 << 2  /* an Image's header says how much memory it needs     */
};

/** Bytes for one stretch of guest memory; what .data lacks up to .size is zero. */
struct load_segment {
    uint64_t gpa, size;
    const uint8_t *data;
    uint64_t data_size;
};

/** What loading a file will do. */
struct load_plan {
    struct load_segment *segments; /* ascending, not overlapping, all in memory */
    unsigned n_segments;
    uint8_t *unpacked;             /* of a gzip; segments point into it         */
    uint64_t image_size;           /* memory that an Image's header asks for     */
    struct load_result result;
};

/** Work out what loading @data means, and check it against @space.
 *
 *  The plan points into @data; load_plan_fini() it.
 *  @error   the reason only: "truncated ELF"
 *  Errors   -ENOEXEC malformed or for another machine; -E2BIG does not fit;
 *           -ENOMEM */
SM_MUST_CHECK int load_plan_make(struct sm_address_space *space, const uint8_t *data,
                                 size_t size, uint64_t raw_addr, unsigned flags,
                                 struct load_plan *plan, char **error);
void load_plan_fini(struct load_plan *plan);

/** Write one segment.  Parts that a device covers by now are left out. */
void load_segment_write(struct sm_address_space *space,
                        const struct load_segment *segment);

/** Bytes of RAM and ROM from @gpa on without a gap, at most @limit. */
uint64_t load_memory_size(struct sm_address_space *space, uint64_t gpa, uint64_t limit);

/** A file's bytes, mapped or read. */
struct load_file {
    uint8_t *data;
    size_t size;
    bool mapped;
};
/** @error  the reason only: "No such file or directory" */
SM_MUST_CHECK int load_file_open(const char *path, struct load_file *out, char **error);
void load_file_close(struct load_file *file);

/** Fill the segments, entry and symbols from an ELF.  Errors: -ENOEXEC with *@error */
SM_MUST_CHECK int load_elf_parse(const uint8_t *data, size_t size, struct load_plan *plan,
                                 char **error);

/* --- rom.c -------------------------------------------------------------------------- */

/** What reset writes into memory.  Contents are kept outside of this process's own
 *  memory (a memfd), since they may be large and are read once per reset. */
struct rom_set;
SM_MUST_CHECK int rom_set_new(struct rom_set **out);
void rom_set_free(struct rom_set *set);
/** Claim @range for @name.  Errors: -EEXIST with *@error, it meets another claim */
SM_MUST_CHECK int rom_set_claim(struct rom_set *set, const char *name,
                                struct sm_range range, char **error);
/** Claim and keep every segment of @plan.  Errors: as above; -ENOSPC, -ENOMEM */
SM_MUST_CHECK int rom_set_add(struct rom_set *set, const char *name,
                              const struct load_plan *plan, char **error);
/** Errors: -EIO with *@error, the kept contents cannot be read */
SM_MUST_CHECK int rom_set_write(struct rom_set *set, struct sm_address_space *space,
                                char **error);

/* --- boards ------------------------------------------------------------------------- */

/** Indexes of the parts of an address map. */
enum board_part {
    BOARD_MROM, BOARD_TEST, BOARD_RTC, BOARD_CLINT, BOARD_MSWI, BOARD_MTIMER, BOARD_SSWI,
    BOARD_PLIC, BOARD_UART, BOARD_VIRTIO, BOARD_HTIF, BOARD_DRAM, BOARD_N_PARTS
};

/** One row of an address map. */
struct board_place {
    uint64_t base, size;     /* size 0: this board has no such part             */
};

struct machine;
struct fdt_out;

struct board {
    const char *name, *description, *ram_name, *compatible, *model;
    const char *stdout_path;
    unsigned max_harts;
    bool rng_seed; /* the tree's /chosen has one                               */
    struct board_place place[BOARD_N_PARTS];
    /** Make devices and map them.  Runs inside an edit of the topology. */
    int (*build)(struct machine *machine, char **error);
    /** Learn where the images lie, before the device tree is written.  May be NULL. */
    int (*images_known)(struct machine *machine, char **error);
    /** Write the board's own nodes. */
    void (*fdt)(const struct machine *machine, struct fdt_out *fdt);
    void (*reset)(struct machine *machine);
    /** Unmap what build mapped; inside an edit.  Then free it, outside. */
    void (*unmap)(struct machine *machine);
    void (*free)(struct machine *machine);
};
extern const struct board board_virt, board_spike;

/* --- board_fdt.c -------------------------------------------------------------------- */

struct fdt_out {
    void *data;
    size_t size;
    int error;   /* libfdt's, sticky */
};
void fdt_node_begin(struct fdt_out *fdt, const char *format, ...) G_GNUC_PRINTF(2, 3);
void fdt_node_end(struct fdt_out *fdt);
void fdt_put(struct fdt_out *fdt, const char *name, const void *value, size_t size);
void fdt_put_string(struct fdt_out *fdt, const char *name, const char *value);
void fdt_put_cells(struct fdt_out *fdt, const char *name, unsigned n,
                   const uint32_t *cells);
#define FDT_CELLS(fdt, name, ...)                                                        \
    fdt_put_cells(fdt, name, sizeof((uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t),       \
                  (const uint32_t[]){__VA_ARGS__})
/** reg of two address and two size cells. */
void fdt_put_reg(struct fdt_out *fdt, uint64_t base, uint64_t size);
/** Every hart's interrupt controller with each of @irqs. */
void fdt_put_hart_irqs(struct fdt_out *fdt, const struct machine *machine, unsigned n,
                       const uint32_t *irqs);
uint32_t fdt_hart_phandle(const struct machine *machine, unsigned hart);
uint32_t fdt_intc_phandle(const struct machine *machine, unsigned hart);
uint32_t fdt_plic_phandle(const struct machine *machine);
uint32_t fdt_test_phandle(const struct machine *machine);

/** What the boot images put into /chosen. */
struct fdt_chosen {
    const char *bootargs;        /* or NULL                                    */
    bool has_initrd;
    uint64_t initrd, initrd_end; /* end exclusive                              */
};
/** Write the device tree of @machine, packed.  *@out is g_free()d.
 *  Errors: -ENOMEM, -EINVAL with *@error */
SM_MUST_CHECK int machine_fdt_build(const struct machine *machine,
                                    const struct fdt_chosen *chosen, void **out,
                                    size_t *size, char **error);
/** Take the user's device tree: check every byte of its structure, add @chosen.
 *  @error  the reason: "FDT_ERR_BADMAGIC"
 *  Errors: -EINVAL; -ENOMEM */
SM_MUST_CHECK int machine_fdt_adopt(const void *data, size_t data_size,
                                    const struct fdt_chosen *chosen, void **out,
                                    size_t *size, char **error);
/** Put fresh random bytes into /chosen/rng-seed, if the tree has it. */
void machine_fdt_reseed(void *fdt);

/* --- boot.c ------------------------------------------------------------------------- */

/** Plan firmware, kernel, initrd, -device loader and the device tree, and fill
 *  machine->roms, fdt and reset code.  Errors: -errno with *@error */
SM_MUST_CHECK int machine_boot_plan(struct machine *machine, char **error);
/** Write all of it.  Part of a reset.  Errors: -EIO with *@error */
SM_MUST_CHECK int machine_boot_write(struct machine *machine, char **error);

/* --- vcpu_thread.c ------------------------------------------------------------------ */

struct vcpus;

/** One hart and what sleeps, wakes and times it. */
struct hart_slot {
    struct machine *machine;
    struct rv_hart *hart;
    struct vcpus *vcpus;
    uint32_t *sleep_word;      /* futex: 1 while the thread sleeps or is about to */
    uint32_t own_word;
    bool waiting;              /* thread=single: the last slice ended in WFI     */
    pthread_t thread;
    struct dev_timer stimecmp_timer;
    pthread_mutex_t stimecmp_lock; /* orders the timer against a new deadline    */
    uint64_t stimecmp;             /* ticks                                      */
};

/** Errors: -EAGAIN, -ENOMEM of making threads.  They begin paused. */
SM_MUST_CHECK int vcpus_new(struct machine *machine, struct vcpus **out);
void vcpus_free(struct vcpus *vcpus);
/** Ask all to pause, from any thread, without waiting. */
void vcpus_ask_pause(struct vcpus *vcpus);
/** Pause and wait until all did.  Threads: the main one, holding nothing. */
void vcpus_pause(struct vcpus *vcpus);
void vcpus_resume(struct vcpus *vcpus);

/** Make the harts, offline.  Errors: -EINVAL, -ENOMEM */
SM_MUST_CHECK int harts_new(struct machine *machine, const struct rv_isa *isa);
void harts_free(struct machine *machine);
/** aclint_options.time_changed: look at every stimecmp again.  @owner: the machine. */
void harts_time_changed(void *owner);
/** The wire @irq of @hart. */
struct dev_line hart_line(struct machine *machine, unsigned hart, enum rv_irq irq);

/* --- stale.c ------------------------------------------------------------------------ */

/** Make .check, if @config wants one.  Errors: -ENOMEM */
SM_MUST_CHECK int machine_stale_new(struct machine *machine,
                                    const struct machine_stale *config);
/** After the harts. */
void machine_stale_free(struct machine *machine);
void machine_stale_print_stats(const struct machine *machine, FILE *file);

/* --- plug.c ------------------------------------------------------------------------- */

/** Open serial line, disks.  Errors: -errno with *@error; host_ends_close() follows */
SM_MUST_CHECK int host_ends_open(struct machine *machine, char **error);
void host_ends_close(struct machine *machine);
/** Make the -device devices and put them into their slots.  Errors: with *@error */
SM_MUST_CHECK int devices_plug(struct machine *machine, char **error);

/* --- describe.c --------------------------------------------------------------------- */

/** Tell whether @config asks for descriptions and not for a run. */
bool machine_only_describes(const struct machine_config *config);
/** Write what was asked for.  Errors: -EIO, -ENOMEM with *@error */
SM_MUST_CHECK int machine_describe(struct machine *machine, char **error);

/* --- machine.c ---------------------------------------------------------------------- */

/** Put devices, memory images and harts into their first state, as a run begins.  For who
 *  runs the harts himself instead of by machine_run(), too: all vCPUs offline.
 *  Errors: -EIO with *@error */
SM_MUST_CHECK int machine_reset(struct machine *machine, char **error);

struct machine {
    const struct board *board;
    const struct machine_config *config; /* (M3) */
    struct rv_isa isa;
    uint64_t ram_size;
    unsigned n_harts;
    bool aclint_layout, no_reboot, no_shutdown, single_thread, dump_only;

    GMainContext *context;
    GSource *event_source, *signal_source[3];
    int event_fd;
    uint32_t work_asked, quit_asked, power_asked; /* atomic                     */
    int quit_code, power_code;
    enum dev_power_event power_event;
    bool ended;      /* the main loop is to return quit_code                    */

    struct machine_clock *clock;
    struct sm_topology *topo;
    struct sm_region *root, *ram, *mrom;
    struct sm_address_space *space;
    struct dev_power power;

    struct hart_slot *slots; /* [n_harts]                                       */
    struct vcpus *vcpus;
    struct sm_tlb_check *check;  /* or NULL                                     */
    struct machine_stale stale;
    uint32_t check_flags;
    uint32_t vcpu_flags;         /* SM_VCPU_*                                   */
    bool check_code;             /* of rv_hart_options                          */
    bool compare_all;            /* the same                                    */
    struct machine_jit jit;      /* .log_file is not kept                       */
    FILE *log;                   /* of the harts, or NULL                       */
    struct jit_perfmap *names;   /* the same                                    */

    struct chardev *chr;
    struct block **blocks;   /* [n_blocks], as config->drives                   */
    unsigned n_blocks;
    struct rng **rngs;       /* [n_rngs]                                        */
    unsigned n_rngs;

    struct aclint *aclint;
    struct plic *plic;
    struct uart *uart;
    struct rtc *rtc;
    struct finisher *finisher;
    struct htif *htif;
    struct virtio_mmio *virtio[MACHINE_N_VIRTIO];
    bool htif_fixed;                /* no ELF said where                        */
    uint64_t htif_tohost, htif_fromhost;
    struct load_result start_image; /* of what runs first: firmware or kernel   */

    struct rom_set *roms;
    void *fdt;
    size_t fdt_size;
    uint64_t fdt_addr, start_addr, kernel_entry;
};

#endif
