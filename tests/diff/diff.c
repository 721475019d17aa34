/* SPDX-License-Identifier: MIT */
/* diff.c - runs random programs on our hart and on another, and compares what they left.
 *
 *   diff --qemu PROGRAM|--interpreter [--seed N] [--millions N] [--reports N] [--plant]
 *
 * Both get the same image (image.h).  QEMU's RAM is a shared file, read once it has
 * ended.  Beside QEMU our hart interprets.  With --interpreter it translates, all that it
 * runs, registers allocated at random and some optimisations left out, and the other is
 * one that interprets.  --plant changes one instruction in our copy and expects to be
 * told so.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "diff/gen.h"
#include "riscv/riscv_impl.h"

enum { N_CELLS = 4096 };
#define RAM_SIZE   (UINT64_C(64) << 20)
#define IMAGE_SIZE (IMAGE_CELLS + (size_t)N_CELLS * IMAGE_CELL_SIZE)

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "diff: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* --- Ours ---------------------------------------------------------------------- */

struct ours {
    struct sm_topology *topo;
    struct sm_address_space *space;
    struct sm_device *device;
    struct rv_hart *hart;
    bool finished;
};

static uint64_t owner_time(void *owner)
{
    return 0;
}
static void owner_arm(void *owner, struct rv_hart *hart, uint64_t deadline)
{
}
static void owner_wake(void *owner, struct rv_hart *hart)
{
}
static const struct rv_owner_ops owner_ops = {.struct_size = sizeof(owner_ops),
                                              .time = owner_time,
                                              .arm_stimecmp = owner_arm,
                                              .wake = owner_wake};

static enum sm_tx finisher_read(void *dev, uint64_t offset, unsigned size,
                                const struct sm_attrs *attrs, uint64_t *value)
{
    *value = 0;
    return SM_TX_OK;
}
static enum sm_tx finisher_write(void *dev, uint64_t offset, unsigned size,
                                 const struct sm_attrs *attrs, uint64_t value)
{
    struct ours *ours = dev;
    ours->finished = true;
    rv_hart_kick(ours->hart);
    return SM_TX_OK;
}
static const struct sm_io_ops finisher_ops = {.struct_size = sizeof(finisher_ops),
                                              .read = finisher_read,
                                              .write = finisher_write,
                                              .accepts = {1, 8, false},
                                              .implements = {1, 8, false}};

static void check(int error, const char *what)
{
    if (error) {
        errno = -error;
        die(what);
    }
}

/** @random  to translate by; NULL: interpret */
static void ours_new(struct ours *ours, const struct rv_isa *isa,
                     struct gen_random *random)
{
    static const struct sm_owner_ops ops = {.struct_size = sizeof(ops)};
    struct sm_region *root, *ram, *finisher;

    memset(ours, 0, sizeof(*ours));
    check(sm_topology_new(&ops, NULL, &ours->topo), "topology");
    check(sm_device_new(ours->topo, "finisher", ours, &ours->device), "device");
    check(sm_region_new(ours->topo, "root", UINT64_MAX, &root), "root");
    check(sm_region_new_ram(ours->topo, "ram", RAM_SIZE, &ram), "ram");
    check(sm_region_new_io(ours->device, "finisher", 0xfff, &finisher_ops, &finisher),
          "finisher");
    sm_topology_begin(ours->topo);
    check(sm_region_map(root, IMAGE_RAM_BASE, ram, 0), "map");
    check(sm_region_map(root, IMAGE_FINISHER, finisher, 0), "map");
    check(sm_address_space_new(ours->topo, "memory", root, &ours->space), "space");
    check(sm_topology_commit(ours->topo, NULL), "commit");
    struct rv_hart_options options = {.struct_size = sizeof(options),
                                      .isa = isa,
                                      .space = ours->space,
                                      .ops = &owner_ops,
                                      .owner = ours};
    if (random) {
        options.translate = true;
        options.jit_heat = 1;
        options.jit_seed = (uint32_t)gen_next(random);
        options.jit_opt = (uint32_t)(gen_next(random) | gen_next(random)) & JIT_OPT_ALL;
        options.jit_flags = (uint32_t)(gen_next(random) & gen_next(random)) & 31;
        printf("seed %u, optimisations %#x, flags %#x\n", options.jit_seed,
               options.jit_opt, options.jit_flags);
    }
    check(rv_hart_new(ours->topo, &options, &ours->hart), "hart");
}

static void ours_free(struct ours *ours)
{
    rv_hart_free(ours->hart);
    sm_topology_free(ours->topo);
}

/* Run @image on our hart; it is changed in place. */
static void ours_run(struct ours *ours, uint8_t *image)
{
    const struct sm_attrs attrs = {.process = SM_NO_PROCESS, .flags = SM_ATTR_DEBUG};

    if (sm_address_space_write(ours->space, IMAGE_RAM_BASE, &attrs, image, IMAGE_SIZE,
                               NULL))
        die("cannot write the image");
    ours->finished = false;
    rv_hart_reset(ours->hart, IMAGE_RAM_BASE);
    sm_vcpu_online(rv_hart_vcpu(ours->hart));
    while (!ours->finished)
        rv_hart_run(ours->hart);
    sm_vcpu_offline(rv_hart_vcpu(ours->hart));
    if (sm_address_space_read(ours->space, IMAGE_RAM_BASE, &attrs, image, IMAGE_SIZE,
                              NULL))
        die("cannot read the image");
}

/* --- QEMU ------------------------------------------------------------------------ */

/* Its command line: the same extensions as ours, and nothing else. */
static char *qemu_cpu(const struct rv_isa *isa)
{
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);

    fprintf(file, "rv64,h=off");
    for (unsigned ext = 0; ext < RV_N_EXT; ext++)
        fprintf(file, ",%s=%s", rv_ext_name(ext), rv_isa_has(isa, ext) ? "on" : "off");
    fclose(file);
    return text;
}

static void qemu_run(const char *program, const char *cpu, const uint8_t *image,
                     uint8_t *result)
{
    char path[] = "/tmp/softmmu-diff-XXXXXX", backend[128];
    const int file = mkstemp(path);
    int status;

    if (file < 0 || ftruncate(file, (off_t)RAM_SIZE))
        die(path);
    uint8_t *ram = mmap(NULL, IMAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (ram == MAP_FAILED)
        die("mmap");
    memcpy(ram, image, IMAGE_SIZE);
    snprintf(backend, sizeof(backend),
             "memory-backend-file,id=ram,mem-path=%s,size=64M,share=on", path);
    const pid_t child = fork();
    if (child == 0) {
        const int nothing = open("/dev/null", O_RDONLY);
        dup2(nothing, 0);
        execl(program, program, "-M", "virt,memory-backend=ram", "-object", backend, "-m",
              "64M", "-cpu", cpu, "-bios", "none", "-nodefaults", "-nographic",
              "-no-reboot", (char *)NULL);
        _exit(127);
    }
    for (int ms = 0;; ms += 5) {
        const pid_t ended = waitpid(child, &status, WNOHANG);
        if (ended == child)
            break;
        if (ended < 0 || ms > 120000) {
            kill(child, SIGKILL);
            fprintf(stderr, "diff: QEMU did not end\n");
            exit(2);
        }
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    if (status) {
        fprintf(stderr, "diff: QEMU ended with status %#x\n", (unsigned)status);
        exit(2);
    }
    memcpy(result, ram, IMAGE_SIZE);
    munmap(ram, IMAGE_SIZE);
    close(file);
    unlink(path);
}

/* --- The other --------------------------------------------------------------------- */

/** What our hart is compared with. */
struct other {
    const char *qemu; /* or NULL:                                               */
    struct ours *interpreter;
    char *cpu;
};

static void other_run(const struct other *other, const uint8_t *image, uint8_t *result)
{
    if (other->qemu) {
        qemu_run(other->qemu, other->cpu, image, result);
        return;
    }
    if (result != image)
        memcpy(result, image, IMAGE_SIZE);
    ours_run(other->interpreter, result);
}

/* --- Comparison -------------------------------------------------------------------- */

static const char *const op_text[] = {
    "illegal",
#define RV_INSN(name, text, mask, match, format, ext) text,
#include "riscv/isa.def"
#undef RV_INSN
};

static void print_program(const struct rv_isa *isa, const struct image_cell *cell,
                          uint64_t address)
{
    const unsigned end =
        (unsigned)(cell->end - address - offsetof(struct image_cell, code));

    for (unsigned at = 0; at <= end;) {
        uint32_t word = 0;
        struct rv_insn insn;
        memcpy(&word, cell->code + at, 4);
        rv_decode(isa, word, &insn);
        printf("    %#6x  %0*" PRIx32
               "%*s  %-12s rd %2u rs1 %2u rs2 %2u rs3 %2u rm %u imm %d\n",
               (unsigned)offsetof(struct image_cell, code) + at, insn.len * 2, insn.raw,
               8 - insn.len * 2, "", op_text[insn.op], insn.rd, insn.rs1, insn.rs2,
               insn.rs3, insn.rm, insn.imm);
        at += insn.len;
    }
}

static void differ(const char *what, unsigned n, uint64_t ours, uint64_t theirs)
{
    if (ours != theirs)
        printf("  %s[%u]: ours %016" PRIx64 ", the other %016" PRIx64 "\n", what, n, ours,
               theirs);
}

static bool equal(const struct image_cell *a, const struct image_cell *b)
{
    return !memcmp(a->out_x, b->out_x, sizeof(a->out_x)) &&
           !memcmp(a->out_f, b->out_f, sizeof(a->out_f)) && a->out_fcsr == b->out_fcsr &&
           a->n_traps == b->n_traps && a->trap_hash == b->trap_hash &&
           !memcmp(a->scratch, b->scratch, sizeof(a->scratch));
}

static void report(const struct rv_isa *isa, unsigned n, const struct image_cell *before,
                   const struct image_cell *ours, const struct image_cell *theirs)
{
    static const char *const modes[] = {"M", "S bare", "S Sv39", "U bare", "U Sv39"};

    printf("program %u, mode %s, fcsr %#" PRIx64 "\n", n, modes[before->mode],
           before->fcsr);
    for (unsigned i = 1; i < 32; i++)
        differ("x", i, ours->out_x[i], theirs->out_x[i]);
    for (unsigned i = 0; i < 32; i++)
        differ("f", i, ours->out_f[i], theirs->out_f[i]);
    differ("fcsr", 0, ours->out_fcsr, theirs->out_fcsr);
    differ("traps", 0, ours->n_traps, theirs->n_traps);
    differ("trap hash", 0, ours->trap_hash, theirs->trap_hash);
    for (unsigned i = 0; i < IMAGE_LOGGED_TRAPS; i++) {
        differ("cause", i, ours->trap[i].cause, theirs->trap[i].cause);
        differ("epc", i, ours->trap[i].epc, theirs->trap[i].epc);
        differ("tval", i, ours->trap[i].tval, theirs->trap[i].tval);
        differ("mstatus", i, ours->trap[i].status, theirs->trap[i].status);
    }
    for (unsigned i = 0; i < IMAGE_SCRATCH_SIZE / 8; i++) {
        uint64_t a, b;
        memcpy(&a, ours->scratch + 8 * i, 8);
        memcpy(&b, theirs->scratch + 8 * i, 8);
        differ("scratch", i, a, b);
    }
    print_program(isa, before, image_cell_address(n));
}

/* Let cell @to hold the first @size bytes of the program in @from, then no operations. */
static void copy_prefix(const struct image_cell *from, uint64_t from_address,
                        unsigned size, struct image_cell *to, uint64_t to_address)
{
    const uint64_t delta = to_address - from_address;
    const unsigned end =
        (unsigned)(from->end - from_address - offsetof(struct image_cell, code));

    *to = *from;
    to->end += delta;
    to->x[2] += delta;
    to->x[8] += delta;
    to->x[9] += delta;
    for (unsigned at = size; at < end; at += 2) {
        to->code[at] = 1; /* c.nop */
        to->code[at + 1] = 0;
    }
}

/* Say after which instruction of the program in @before the machines first differ, by
 * running each of its prefixes in a cell of its own. */
static void bisect(struct ours *ours, const struct other *other, const struct rv_isa *isa,
                   const struct image_cell *before, uint64_t address)
{
    uint8_t *mine = calloc(1, IMAGE_SIZE), *theirs = calloc(1, IMAGE_SIZE);
    const unsigned end =
        (unsigned)(before->end - address - offsetof(struct image_cell, code));
    struct rv_insn insn[IMAGE_CODE_SIZE / 2];
    unsigned n = 0;

    if (!mine || !theirs)
        die("memory");
    for (unsigned at = 0; at < end; n++) {
        uint32_t word;
        memcpy(&word, before->code + at, 4);
        rv_decode(isa, word, &insn[n]);
        at += insn[n].len;
        copy_prefix(before, address, at, image_cell(mine, n), image_cell_address(n));
    }
    image_build(mine, n);
    memcpy(theirs, mine, IMAGE_SIZE);
    ours_run(ours, mine);
    other_run(other, theirs, theirs);
    for (unsigned i = 0, at = 0; i < n; at += insn[i++].len) {
        const struct image_cell *a = image_cell(mine, i), *b = image_cell(theirs, i);
        if (equal(a, b))
            continue;
        printf("  first differs after %#x  %0*" PRIx32 "  %s\n",
               (unsigned)offsetof(struct image_cell, code) + at, insn[i].len * 2,
               insn[i].raw, op_text[insn[i].op]);
        for (unsigned r = 1; r < 32; r++)
            differ("x", r, a->out_x[r], b->out_x[r]);
        for (unsigned r = 0; r < 32; r++)
            differ("f", r, a->out_f[r], b->out_f[r]);
        differ("fcsr", 0, a->out_fcsr, b->out_fcsr);
        if (i) {
            const struct image_cell *c = image_cell(mine, i - 1);
            printf("  before it fcsr %#" PRIx64 ", f[rs1] %016" PRIx64
                   ", f[rs2] %016" PRIx64 ", f[rs3] %016" PRIx64 ", x[rs1] %016" PRIx64
                   ", x[rs2] %016" PRIx64 "\n",
                   c->out_fcsr, c->out_f[insn[i].rs1], c->out_f[insn[i].rs2 & 31],
                   c->out_f[insn[i].rs3 & 31], c->out_x[insn[i].rs1],
                   c->out_x[insn[i].rs2 & 31]);
        }
        break;
    }
    free(mine);
    free(theirs);
}

struct arguments {
    const char *qemu;
    bool interpreter;
    uint64_t seed, millions;
    bool plant;
    unsigned reports;
};

/* Two programs of one instruction that differ: where the other adds, we subtract. */
static void plant(struct image_cell *theirs, struct image_cell *mine, uint64_t address)
{
    static const uint32_t add = 0x00c58533, sub = 0x40c58533; /* a0 = a1 +- a2 */

    theirs->x[12] = 1;
    memcpy(theirs->code, &add, 4);
    copy_prefix(theirs, address, 4, mine, address);
    copy_prefix(mine, address, 4, theirs, address);
    memcpy(mine->code, &sub, 4);
}

/* One boot's worth.  Returns the number of programs that differ. */
static unsigned batch(const struct arguments *arguments, struct ours *ours,
                      const struct other *other, const struct rv_isa *isa, uint64_t seed,
                      uint64_t *n_instructions)
{
    struct gen_random random = {seed};
    uint8_t *before = calloc(1, IMAGE_SIZE), *mine = calloc(1, IMAGE_SIZE),
            *theirs = calloc(1, IMAGE_SIZE);
    unsigned n_different = 0;

    if (!before || !mine || !theirs)
        die("memory");
    image_build(before, N_CELLS);
    for (unsigned n = 0; n < N_CELLS; n++)
        *n_instructions +=
            gen_program(&random, isa, image_cell_address(n), image_cell(before, n));
    memcpy(mine, before, IMAGE_SIZE);
    if (arguments->plant)
        plant(image_cell(before, 7), image_cell(mine, 7), image_cell_address(7));
    ours_run(ours, mine);
    other_run(other, before, theirs);
    for (unsigned n = 0; n < N_CELLS; n++) {
        if (equal(image_cell(mine, n), image_cell(theirs, n)))
            continue;
        if (n_different++ < arguments->reports) {
            report(isa, n, image_cell(before, n), image_cell(mine, n),
                   image_cell(theirs, n));
            bisect(ours, other, isa, image_cell(before, n), image_cell_address(n));
        }
    }
    free(before);
    free(mine);
    free(theirs);
    return n_different;
}

/* Returns false if @argv is none of ours. */
static bool take_arguments(struct arguments *arguments, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--plant"))
            arguments->plant = true;
        else if (!strcmp(argv[i], "--interpreter"))
            arguments->interpreter = true;
        else if (i + 1 < argc && !strcmp(argv[i], "--qemu"))
            arguments->qemu = argv[++i];
        else if (i + 1 < argc && !strcmp(argv[i], "--seed"))
            arguments->seed = strtoull(argv[++i], NULL, 0);
        else if (i + 1 < argc && !strcmp(argv[i], "--millions"))
            arguments->millions = strtoull(argv[++i], NULL, 0);
        else if (i + 1 < argc && !strcmp(argv[i], "--reports"))
            arguments->reports = (unsigned)atoi(argv[++i]);
        else
            return false;
    }
    return arguments->interpreter == !arguments->qemu;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.seed = (uint64_t)time(NULL) ^ (uint64_t)getpid() << 32,
                                  .millions = 1,
                                  .reports = 3};
    const char *seed = getenv("SM_SEED");
    struct ours ours, interpreter;
    struct other other = {0};
    struct rv_isa isa;

    if (seed)
        arguments.seed = strtoull(seed, NULL, 0);
    if (!take_arguments(&arguments, argc, argv)) {
        fprintf(stderr, "usage: diff --qemu PROGRAM|--interpreter [--seed N] "
                "[--millions N] [--reports N] [--plant]\n");
        return 2;
    }
    if (arguments.plant)
        arguments.millions = 0, arguments.reports = 0;
    printf("seed %#" PRIx64 "\n", arguments.seed);
    check(rv_isa_init(&isa, "max"), "isa");
    other = (struct other){arguments.qemu, &interpreter, qemu_cpu(&isa)};
    ours_new(&interpreter, &isa, NULL);
    uint64_t n_instructions = 0, n_programs = 0;
    unsigned n_different = 0;
    do {
        struct gen_random random = {arguments.seed + n_programs};

        ours_new(&ours, &isa, arguments.interpreter ? &random : NULL);
        n_different += batch(&arguments, &ours, &other, &isa, arguments.seed + n_programs,
                             &n_instructions);
        ours_free(&ours);
        n_programs += N_CELLS;
    } while (n_instructions < arguments.millions * 1000000 && !n_different);
    printf("%" PRIu64 " programs, %" PRIu64 " instructions, %u programs differ\n",
           n_programs, n_instructions, n_different);
    free(other.cpu);
    ours_free(&interpreter);
    if (arguments.plant)
        return n_different == 1 ? 0 : 1;
    return n_different ? 1 : 0;
}
