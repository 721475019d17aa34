/* SPDX-License-Identifier: MIT */
/* board_test.c - whole machines run small programs: boot, reset, interrupts, the end.
 *
 * The programs are raw images at the start of RAM, assembled here; each ends by writing
 * to the finisher, so that what it saw is the exit code of machine_run().
 */
#include "jit/jit.h"
#include "machine_test.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* --- A small assembler -------------------------------------------------------------- */

enum { ZERO = 0, T0 = 5, T1 = 6, T2 = 7, A0 = 10, A1, A2, A3, A4, A5, A6, A7 };

static uint32_t i_type(unsigned opcode, unsigned f3, unsigned rd, unsigned rs1, int imm)
{
    return (uint32_t)imm << 20 | rs1 << 15 | f3 << 12 | rd << 7 | opcode;
}
static uint32_t s_type(unsigned f3, unsigned rs2, unsigned rs1, int imm)
{
    return ((uint32_t)imm >> 5 & 0x7f) << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 |
           ((uint32_t)imm & 31) << 7 | 0x23;
}
/** @words  distance in instructions */
static uint32_t branch(unsigned f3, unsigned rs1, unsigned rs2, int words)
{
    const uint32_t imm = (uint32_t)(words * 4);
    return (imm >> 12 & 1) << 31 | (imm >> 5 & 0x3f) << 25 | rs2 << 20 | rs1 << 15 |
           f3 << 12 | (imm >> 1 & 15) << 8 | (imm >> 11 & 1) << 7 | 0x63;
}
/* clang-format off */
#define LI(rd, imm)        i_type(0x13, 0, rd, ZERO, imm)      /* -2048..2047    */
#define ADDI(rd, rs, imm)  i_type(0x13, 0, rd, rs, imm)
#define SLLI(rd, rs, n)    i_type(0x13, 1, rd, rs, n)
#define LUI(rd, imm20)     ((uint32_t)(imm20) << 12 | (rd) << 7 | 0x37)
#define AUIPC(rd, imm20)   ((uint32_t)(imm20) << 12 | (rd) << 7 | 0x17)
#define LW(rd, rs, imm)    i_type(0x03, 2, rd, rs, imm)
#define LD(rd, rs, imm)    i_type(0x03, 3, rd, rs, imm)
#define SW(rd, rs, imm)    s_type(2, rd, rs, imm)
#define SD(rd, rs, imm)    s_type(3, rd, rs, imm)
#define ADD(rd, a, b)      (0x33u | (rd) << 7 | (a) << 15 | (b) << 20)
#define OR(rd, a, b)       (0x33u | 6u << 12 | (rd) << 7 | (a) << 15 | (b) << 20)
#define AMOADDW(rd, a, b)  (0x2fu | 2u << 12 | (rd) << 7 | (a) << 15 | (b) << 20)
#define CSRR(rd, csr)      i_type(0x73, 2, rd, ZERO, csr)
#define CSRW(csr, rs)      i_type(0x73, 1, ZERO, rs, csr)
#define CSRS(csr, rs)      i_type(0x73, 2, ZERO, rs, csr)
#define BEQ(a, b, words)   branch(0, a, b, words)
#define BNE(a, b, words)   branch(1, a, b, words)
#define BLTU(a, b, words)  branch(6, a, b, words)
#define J(words)           branch(0, ZERO, ZERO, words)
#define WFI                0x10500073u
/* clang-format on */
enum { MIE = 0x304, MHARTID = 0xf14, TIME = 0xc01, MENVCFG = 0x30a, STIMECMP = 0x14d };

/** t0 = finisher; a7 = exit code: end with it. */
#define EXIT_A7                                                                          \
    LUI(T0, 0x100), SLLI(A7, A7, 16), LUI(T1, 3), ADDI(T1, T1, 0x333), OR(A7, A7, T1),   \
        SW(A7, T0, 0), J(0)

/* --- Running ------------------------------------------------------------------------ */

struct run {
    struct machine_config config;
    char kernel[64];
    struct machine_device devices[4];
};

static char no_firmware[] = "none";

static void run_init(struct run *run, const char *board, const uint32_t *code,
                     size_t size)
{
    int fd;

    *run = (struct run){.config = {.board = board,
                                   .ram_size = 16 << 20,
                                   .n_harts = 1,
                                   .cpu_model = "rv64",
                                   .force_legacy = true,
                                   .devices = run->devices,
                                   .bios = no_firmware}};
    assert_int_equal(rv_isa_init(&run->config.isa, "rv64"), 0);
    assert_null(rv_isa_check(&run->config.isa));
    if (!code)
        return;
    strcpy(run->kernel, "/tmp/softmmu-board-XXXXXX");
    fd = mkstemp(run->kernel);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, code, size), size);
    close(fd);
    run->config.kernel = run->kernel;
}

static struct machine *run_new(struct run *run)
{
    struct machine *machine = NULL;
    char *error = NULL;
    const int err = machine_new(&run->config, &machine, &error);
    if (err)
        fail_msg("machine_new: %d, %s", err, error);
    if (run->kernel[0])
        unlink(run->kernel);
    return machine;
}

static int run_program(struct run *run)
{
    struct machine *machine = run_new(run);
    const int code = machine_run(machine);
    machine_free(machine);
    return code;
}

#define RUN_INIT(run, board, code) run_init(run, board, code, sizeof(code))

/* --- Tests -------------------------------------------------------------------------- */

static void exit_codes(void **state)
{
    const uint32_t pass[] = {LUI(T0, 0x100), LUI(T1, 5), ADDI(T1, T1, 0x555),
                             SW(T1, T0, 0), J(0)};
    const uint32_t fail[] = {LI(A7, 77), EXIT_A7};
    struct run run;
    (void)state;

    RUN_INIT(&run, "virt", pass);
    assert_int_equal(run_program(&run), 0);
    RUN_INIT(&run, "virt", fail);
    assert_int_equal(run_program(&run), 77);
    RUN_INIT(&run, "virt", fail);
    run.config.single_thread = true;
    run.config.n_harts = 3;
    assert_int_equal(run_program(&run), 77);
}

/** What the reset code hands over: a0 the hart, a1 the tree, a2 fw_dynamic's words. */
static void reset_code_hands_over(void **state)
{
    const uint32_t code[] = {LW(T0, A1, 0),
                             LW(T1, A2, 0),
                             LW(T2, A2, 8),
                             LD(A3, A2, 24),
                             LI(A7, 1),
                             BNE(A0, ZERO, 18), /* to the exit           */
                             LUI(A4, 0xedfe1),
                             ADDI(A4, A4, -0x230), /* d00dfeed, swapped     */
                             ADDI(A7, A7, 1),
                             BNE(T0, A4, 14),
                             LUI(A4, 0x49425),
                             ADDI(A4, A4, 0x34f), /* "OSBI"                */
                             ADDI(A7, A7, 1),
                             BNE(T1, A4, 10),
                             LI(A4, 2),
                             ADDI(A7, A7, 1),
                             BNE(T2, A4, 7),
                             LI(A4, 1),
                             ADDI(A7, A7, 1),
                             BNE(A3, A4, 4),
                             LI(A7, 99),
                             J(2),
                             J(1),
                             EXIT_A7};
    struct run run;
    (void)state;

    RUN_INIT(&run, "virt", code);
    assert_int_equal(run_program(&run), 99);
}

/** A reset loads the image anew and leaves the rest of RAM: a word of the image is
 *  spoilt in every round, the counter far behind it is not. */
static void reset_restores_images(void **state)
{
    const uint32_t end[] = {EXIT_A7};
    uint32_t code[64] = {0};
    unsigned n = 0;
    struct run run;
    (void)state;

    /* 0: a0 = here, a1 = a counter 8 MiB into RAM, zero-extended */
    code[n++] = AUIPC(A0, 0);
    code[n++] = LUI(A1, 0x80800);
    code[n++] = SLLI(A1, A1, 32);
    code[n++] = i_type(0x13, 5, A1, A1, 32);
    code[n++] = LW(A2, A0, 0xc0); /* the image's word                     */
    code[n++] = LI(A3, 123);
    code[n++] = LI(A7, 50);
    code[n++] = BNE(A2, A3, 12); /* spoilt: end with 50                  */
    code[n++] = SW(ZERO, A0, 0xc0);
    code[n++] = LW(A4, A1, 0);
    code[n++] = ADDI(A4, A4, 1);
    code[n++] = SW(A4, A1, 0);
    code[n++] = ADD(A7, A4, ZERO);
    code[n++] = LI(A3, 4);
    code[n++] = BEQ(A4, A3, 5); /* the fourth round: end with 4         */
    code[n++] = LUI(T0, 0x100); /* else reset                           */
    code[n++] = LUI(T1, 7);
    code[n++] = ADDI(T1, T1, 0x777);
    code[n++] = SW(T1, T0, 0);
    /* What follows the reset must not run far: the end may not be reached. */
    memcpy(&code[n], end, sizeof end);
    code[0xc0 / 4] = 123;
    RUN_INIT(&run, "virt", code);
    assert_int_equal(run_program(&run), 4);
    RUN_INIT(&run, "virt", code);
    run.config.single_thread = true;
    assert_int_equal(run_program(&run), 4);
    RUN_INIT(&run, "virt", code);
    run.config.no_reboot = true;
    assert_int_equal(run_program(&run), 0);
}

/** Every hart starts; the one that comes last ends with their number. */
static void all_harts_start(void **state)
{
    const uint32_t code[] = {LUI(A1, 0x80800),
                             SLLI(A1, A1, 32),
                             i_type(0x13, 5, A1, A1, 32),
                             LI(A2, 1),
                             AMOADDW(A3, A1, A2),
                             ADDI(A7, A3, 1),
                             LI(A4, 5),
                             BEQ(A7, A4, 3),
                             WFI,
                             J(-1),
                             EXIT_A7};
    struct run run;
    (void)state;

    for (unsigned round = 0; round < 6; round++) {
        RUN_INIT(&run, "virt", code);
        run.config.n_harts = 5;
        run.config.single_thread = round % 2;
        assert_int_equal(run_program(&run), 5);
    }
}

/** Harts that spin for each other get turns on one thread. */
static void spinning_harts_take_turns(void **state)
{
    const uint32_t code[] = {
        LUI(A1, 0x80800), SLLI(A1, A1, 32), i_type(0x13, 5, A1, A1, 32),
        CSRR(A0, MHARTID),
        /* Hart n waits until the word's lowest bit is n, then adds one; up to 8. */
        LW(A2, A1, 0), i_type(0x13, 7, A3, A2, 1), BNE(A3, A0, -2), ADDI(A2, A2, 1),
        SW(A2, A1, 0), LI(A4, 7), BLTU(A2, A4, -6), BEQ(A0, ZERO, 0), LI(A7, 8), EXIT_A7};
    struct run run;
    (void)state;

    for (unsigned single = 0; single < 2; single++) {
        RUN_INIT(&run, "virt", code);
        run.config.n_harts = 2;
        run.config.single_thread = single;
        assert_int_equal(run_program(&run), 8);
    }
}

/** WFI sleeps until mtimecmp: the program sees that time has passed, the host that the
 *  process hardly ran. */
static void timer_wakes_wfi(void **state)
{
    const uint32_t code[] = {
        LUI(A1, 0x2004), LUI(A2, 0x200c), LD(A3, A2, -8), /* mtime          */
        LUI(A4, 488),    ADD(A4, A3, A4), SD(A4, A1, 0),  /* + 200 ms       */
        LI(A5, 0x80),    CSRS(MIE, A5),   WFI,
        LD(A6, A2, -8),  LI(A7, 11),      BLTU(A6, A4, 2),
        LI(A7, 22),      EXIT_A7};
    struct run run;
    struct timespec before, after;
    int64_t spent;
    (void)state;

    for (unsigned single = 0; single < 2; single++) {
        RUN_INIT(&run, "virt", code);
        run.config.single_thread = single;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
        assert_int_equal(run_program(&run), 22);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
        spent =
            (after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec;
        if (spent > 150000000)
            fail_msg("%d ms of CPU time for 200 ms asleep", (int)(spent / 1000000));
    }
}

/** The same by Sstc's stimecmp, which the machine's own timer brings. */
static void stimecmp_wakes_wfi(void **state)
{
    const uint32_t code[] = {LI(A5, 1),          SLLI(A5, A5, 63), CSRS(MENVCFG, A5),
                             CSRR(A3, TIME),     LUI(A4, 122),     ADD(A4, A3, A4),
                             CSRW(STIMECMP, A4), /* 50 ms */
                             LI(A5, 0x20),       CSRS(MIE, A5),    WFI,
                             CSRR(A6, TIME),     LI(A7, 11),       BLTU(A6, A4, 2),
                             LI(A7, 22),         EXIT_A7};
    struct run run;
    (void)state;

    for (unsigned single = 0; single < 2; single++) {
        RUN_INIT(&run, "virt", code);
        run.config.single_thread = single;
        assert_int_equal(run_program(&run), 22);
    }
}

/* --- Ending from outside ------------------------------------------------------------ */

static void *quit_soon(void *opaque)
{
    usleep(20000);
    machine_quit(opaque, 33);
    return NULL;
}

/** Once the machine runs, and so listens. */
static void *signal_soon(void *opaque)
{
    struct sigaction action;
    (void)opaque;
    do {
        usleep(1000);
        sigaction(SIGTERM, NULL, &action);
    } while (action.sa_handler == SIG_DFL);
    kill(getpid(), SIGTERM);
    return NULL;
}

static void endless_guest_can_be_ended(void **state)
{
    const uint32_t spin[] = {J(0)}, sleeper[] = {WFI, J(-1)};
    (void)state;

    for (unsigned variant = 0; variant < 8; variant++) {
        struct machine *machine;
        pthread_t thread;
        struct run run;
        if (variant & 1)
            RUN_INIT(&run, "virt", spin);
        else
            RUN_INIT(&run, "virt", sleeper);
        run.config.n_harts = 3;
        run.config.single_thread = variant & 2;
        machine = run_new(&run);
        assert_int_equal(
            pthread_create(&thread, NULL, variant & 4 ? signal_soon : quit_soon, machine),
            0);
        assert_int_equal(machine_run(machine), variant & 4 ? 0 : 33);
        pthread_join(thread, NULL);
        machine_free(machine);
    }
}

/** -no-shutdown: a guest that powered off stays until it is told to quit. */
static void power_off_may_wait(void **state)
{
    const uint32_t code[] = {LI(A7, 5), EXIT_A7};
    struct machine *machine;
    pthread_t thread;
    struct run run;
    (void)state;

    RUN_INIT(&run, "virt", code);
    run.config.no_shutdown = true;
    machine = run_new(&run);
    assert_int_equal(pthread_create(&thread, NULL, quit_soon, machine), 0);
    assert_int_equal(machine_run(machine), 33);
    pthread_join(thread, NULL);
    machine_free(machine);
}

/** What was asked before the run ends it at once. */
static void quit_may_come_early(void **state)
{
    const uint32_t spin[] = {J(0)};
    struct machine *machine;
    struct run run;
    (void)state;

    RUN_INIT(&run, "virt", spin);
    machine = run_new(&run);
    machine_quit(machine, 12);
    assert_int_equal(machine_run(machine), 12);
    machine_free(machine);
}

/** What a run prints.  The caller frees it. */
static char *stats_of(struct machine_jit jit)
{
    const uint32_t code[] = {LI(A7, 3), EXIT_A7};
    struct machine *machine;
    struct run run;
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);

    RUN_INIT(&run, "virt", code);
    run.config.jit = jit;
    machine = run_new(&run);
    assert_int_equal(machine_run(machine), 3);
    machine_print_stats(machine, file);
    fclose(file);
    machine_free(machine);
    for (const char *line = text; *line; line = strchr(line, '\n') + 1)
        assert_non_null(strstr(line, ": "));
    assert_non_null(strstr(text, "guest instructions: "));
    assert_non_null(strstr(text, "\nMMIO writes: 1\n"));
    return text;
}

/** The figure called @name. */
static double figure(const char *text, const char *name)
{
    char line[80];
    const char *at;

    snprintf(line, sizeof(line), "\n%s: ", name);
    at = strstr(text, line);
    if (!at)
        fail_msg("no %s in %s", name, text);
    return strtod(at + strlen(line), NULL);
}

/** What was translated is told, and adds up. */
static void check_units(const char *text)
{
    const double units = figure(text, "units translated");
    const double insns = figure(text, "unit instructions");
    const double bytes = figure(text, "unit bytes");
    const double used = figure(text, "code bytes used");

    assert_true(units >= 1 && insns >= units && bytes > insns && used > bytes);
    assert_true(fabs(figure(text, "unit instructions on average") - insns / units) < 0.06);
    assert_true(fabs(figure(text, "unit bytes per instruction") - bytes / insns) < 0.006);
    assert_true(figure(text, "code bytes at most") == 4 << 20);
    assert_true(figure(text, "code sites used") >= 1); /* the finisher's store    */
    assert_true(figure(text, "code sites at most") > figure(text, "code sites used"));
    assert_true(figure(text, "translation nanoseconds") > 0);
    assert_true(figure(text, "unit resets") < 5);
    (void)figure(text, "unit links");
    (void)figure(text, "units ended");
    (void)figure(text, "units verified");
}

static void stats_are_printed(void **state)
{
    const struct machine_jit interpret = {.off = true};
    const struct machine_jit translate = {.code_size = 4 << 20, .heat = 1};
    char *text = stats_of(interpret);
    (void)state;

    assert_non_null(strstr(text, "\nTLB hit rate: 0."));
    assert_null(strstr(text, "\nunits translated: "));
    free(text);
    text = stats_of(translate);
    /* What host code does is not counted: no rate can be told then. */
    assert_int_equal(!strstr(text, "\nTLB hit rate: "), jit_supported());
    assert_int_equal(strstr(text, "\nunits translated: ") != NULL, jit_supported());
    assert_non_null(strstr(text, "\nTLB misses: "));
    if (jit_supported())
        check_units(text);
    free(text);
}

/* --- Making ------------------------------------------------------------------------- */

static void slots_fill_from_the_top(void **state)
{
    struct machine *machine;
    struct run run;
    (void)state;

    run_init(&run, "virt", NULL, 0);
    run.config.n_devices = 3;
    for (unsigned i = 0; i < 3; i++)
        run.devices[i] = (struct machine_device){.kind = MACHINE_VIRTIO_RNG, .slot = -1};
    run.devices[1].slot = 2;
    machine = run_new(&run);
    for (unsigned i = 0; i < MACHINE_N_VIRTIO; i++)
        assert_int_equal(virtio_mmio_plugged(machine->virtio[i]),
                         i == 7 || i == 2 || i == 6);
    machine_free(machine);
}

static void loader_devices_write_memory(void **state)
{
    /* Word 0x200 of RAM is the loader's, most significant byte first. */
    const uint32_t code[] = {
        AUIPC(A0, 0), LW(A1, A0, 0x200), LUI(A2, 0x44332), ADDI(A2, A2, 0x211),
        LI(A7, 1),    BNE(A1, A2, 2),    LI(A7, 2),        EXIT_A7};
    struct run run;
    (void)state;

    RUN_INIT(&run, "virt", code);
    run.config.n_devices = 1;
    run.devices[0] = (struct machine_device){.kind = MACHINE_LOADER,
                                             .has_addr = true,
                                             .addr = 0x80000200,
                                             .data = 0x11223344,
                                             .data_size = 4,
                                             .big_endian = true};
    assert_int_equal(run_program(&run), 2);
}

static void tree_is_dumped(void **state)
{
    char path[] = "/tmp/softmmu-dtb-XXXXXX";
    const int fd = mkstemp(path);
    uint8_t magic[4];
    struct run run;
    (void)state;

    run_init(&run, "virt", NULL, 0);
    run.config.dumpdtb = path;
    assert_int_equal(run_program(&run), 0);
    close(fd);
    FILE *file = fopen(path, "rb");
    assert_int_equal(fread(magic, 1, 4, file), 4);
    assert_memory_equal(magic, "\xd0\x0d\xfe\xed", 4);
    fclose(file);
    unlink(path);
}

/* clang-format off */
#define SET(id, body) static void id(struct run *run) { body; }
SET(other_board, run->config.board = "pc")
SET(no_hart, run->config.n_harts = 0)
SET(many_harts, run->config.n_harts = 513)
SET(many_spikes, run->config.board = "spike"; run->config.n_harts = 9)
SET(no_ram, run->config.ram_size = 0)
SET(absurd_ram, run->config.ram_size = UINT64_C(1) << 60)
SET(more_ram_than_host, run->config.ram_size = UINT64_C(1) << 54)
SET(no_kernel, run->config.kernel = (char *)(uintptr_t)"/nonexistent/k")
SET(no_bios, run->config.bios = (char *)(uintptr_t)"/nonexistent/b")
SET(lone_initrd, run->config.initrd = (char *)(uintptr_t)"x")
SET(lone_append, run->config.append = (char *)(uintptr_t)"x")
SET(no_dtb, run->config.dtb = (char *)(uintptr_t)"/nonexistent/d")
SET(no_dump, run->config.dumpdtb = (char *)(uintptr_t)"/nonexistent/dir/d")
SET(no_map, run->config.dump_mtree = (char *)(uintptr_t)"/nonexistent/dir/m")
SET(tiny_ram, run->config.ram_size = 1024)
SET(no_bus, run->config.n_devices = 1; run->devices[0].slot = 8;
    run->devices[0].kind = MACHINE_VIRTIO_RNG)
SET(full_bus, run->config.n_devices = 2; run->devices[0].slot = run->devices[1].slot = 3;
    run->devices[0].kind = run->devices[1].kind = MACHINE_VIRTIO_RNG)
SET(spike_disk, run->config.board = "spike"; run->config.n_devices = 1;
    run->devices[0].kind = MACHINE_VIRTIO_BLK; run->devices[0].slot = -1)
SET(no_drive, run->config.n_devices = 1; run->devices[0].slot = -1;
    run->devices[0].drive = (char *)(uintptr_t)"d0")
SET(loader_nowhere, run->config.n_devices = 1; run->devices[0].kind = MACHINE_LOADER;
    run->devices[0].data_size = 4; run->devices[0].addr = 0x100)

/* clang-format on */
static void bad_machines_are_refused(void **state)
{
    static const struct {
        void (*set)(struct run *run);
        const char *error;
    } bad[] = {
        {other_board, "unsupported machine type: \"pc\""},
        {no_hart,
         "Invalid CPU topology: CPU topology parameters must be greater than zero"},
        {many_harts,
         "Invalid SMP CPUs 513. The max CPUs supported by machine 'virt' is 512"},
        {many_spikes,
         "Invalid SMP CPUs 9. The max CPUs supported by machine 'spike' is 8"},
        {no_ram, "Invalid RAM size 0"},
        {absurd_ram, "cannot set up guest memory 'riscv_virt_board.ram': Cannot allocate "
                     "memory"},
        {more_ram_than_host, "cannot set up guest memory 'riscv_virt_board.ram': Cannot "
                             "allocate memory"},
        {no_kernel, "could not load kernel '/nonexistent/k': No such file or directory"},
        {no_bios, "Unable to find the RISC-V BIOS \"/nonexistent/b\""},
        {lone_initrd, "-initrd only allowed with -kernel option"},
        {lone_append, "-append only allowed with -kernel option"},
        {no_dtb, "Unable to load device tree file '/nonexistent/d': No such file or "
                 "directory"},
        {no_dump, NULL},
        {no_map, "Error saving memory map to file /nonexistent/dir/m: No such file or "
                 "directory"},
        {tiny_ram, "No enough memory to place DTB after kernel/initrd"},
        {no_bus,
         "-device virtio-rng-device,bus=virtio-mmio-bus.8: Bus 'virtio-mmio-bus.8' "
         "not found"},
        {full_bus,
         "-device virtio-rng-device,bus=virtio-mmio-bus.3: Bus 'virtio-mmio-bus.3' "
         "is full"},
        {spike_disk, "-device virtio-blk-device: No 'virtio-bus' bus found for device "
                     "'virtio-blk-device'"},
        {no_drive,
         "-device virtio-blk-device,drive=d0: Property 'virtio-blk-device.drive' "
         "can't find value 'd0'"},
        {loader_nowhere, "-device loader: no RAM at 0x100"},
    };
    (void)state;

    for (unsigned i = 0; i < SM_ARRAY_LEN(bad); i++) {
        struct machine *machine = NULL;
        struct run run;
        char *error = NULL;

        run_init(&run, "virt", NULL, 0);
        bad[i].set(&run);
        if (machine_new(&run.config, &machine, &error) >= 0)
            fail_msg("case %u (%s) was taken", i, bad[i].error ? bad[i].error : "");
        assert_null(machine);
        assert_non_null(error);
        assert_null(strchr(error, '\n'));
        if (bad[i].error)
            assert_string_equal(error, bad[i].error);
        g_free(error);
    }
}

/** HTIF at the symbols of the ELF that starts: exit code 21. */
static void spike_ends_by_htif(void **state)
{
    const uint32_t code[] = {
        LUI(T0, 0x80001),    SLLI(T0, T0, 32), i_type(0x13, 5, T0, T0, 32),
        LI(T1, 21 << 1 | 1), SD(T1, T0, 0),    J(0)};
    const struct test_segment segments[] = {{TEST_RAM, sizeof code, sizeof code},
                                            {TEST_RAM + 0x1000, 16, 16}};
    struct test_elf elf = test_elf_new(segments, 2);
    struct run run;
    (void)state;

    memcpy(elf.data + elf.phdr[0].p_offset, code, sizeof code);
    memset(elf.data + elf.phdr[1].p_offset, 0, 16);
    elf.symbols[1].st_value = TEST_RAM + 0x1000;
    elf.symbols[2].st_value = TEST_RAM + 0x1008;
    run_init(&run, "spike", (const uint32_t *)(const void *)elf.data, elf.size);
    assert_int_equal(run_program(&run), 21);
    free(elf.data);
}

static void boards_are_listed(void **state)
{
    const char *description = NULL;
    (void)state;

    assert_string_equal(machine_board_name(0, &description), "spike");
    assert_string_equal(description, "RISC-V Spike board");
    assert_string_equal(machine_board_name(1, &description), "virt");
    assert_string_equal(description, "RISC-V VirtIO board");
    assert_null(machine_board_name(2, &description));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exit_codes),
        cmocka_unit_test(reset_code_hands_over),
        cmocka_unit_test(reset_restores_images),
        cmocka_unit_test(all_harts_start),
        cmocka_unit_test(spinning_harts_take_turns),
        cmocka_unit_test(timer_wakes_wfi),
        cmocka_unit_test(stimecmp_wakes_wfi),
        cmocka_unit_test(endless_guest_can_be_ended),
        cmocka_unit_test(power_off_may_wait),
        cmocka_unit_test(quit_may_come_early),
        cmocka_unit_test(stats_are_printed),
        cmocka_unit_test(slots_fill_from_the_top),
        cmocka_unit_test(loader_devices_write_memory),
        cmocka_unit_test(tree_is_dumped),
        cmocka_unit_test(bad_machines_are_refused),
        cmocka_unit_test(spike_ends_by_htif),
        cmocka_unit_test(boards_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
