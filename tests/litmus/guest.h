/* SPDX-License-Identifier: MIT */
/* guest.h - bare-metal programs for several harts, written by emitters, on real threads.
 *
 * A machine of the virt board runs each program as it would a kernel: a thread per hart,
 * the real sleep and wake, the real ACLINT.  The program ends by writing the finisher;
 * then the threads are gone, and the test reads what is left in memory.
 */
#ifndef TESTS_LITMUS_GUEST_H
#define TESTS_LITMUS_GUEST_H

#include "base/test.h"
#include "diff/encode.h"
#include "machine/board.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#define GUEST_RAM      UINT64_C(0x80000000)
#define GUEST_RAM_SIZE (UINT64_C(64) << 20)
#define GUEST_FINISHER UINT64_C(0x100000)
#define GUEST_MSIP     UINT64_C(0x2000000) /* a word per hart                      */

/* Offsets in RAM.  The device tree lies at its end. */
enum { GUEST_GLOBALS = 1 << 20, GUEST_CELLS = 16 << 20, GUEST_MAX_HARTS = 8 };

/** What every program has; each word in a line of its own. */
enum {
    G_BARRIER = 0,    /* arrivals, of all barriers                               */
    G_TOGETHER = 256, /* the same, a moment later                                */
    G_STOP = 64,      /* doubleword, see the tests                               */
    G_COUNT = 192,    /* a doubleword per hart: rounds that it made              */
    G_OWN = 512       /* the test's own                                          */
};

/* Registers.  s3 holds the address of the globals in every program. */
enum {
    X0,
    RA,
    SP,
    GP,
    TP,
    T0,
    T1,
    T2,
    S0,
    S1,
    A0,
    A1,
    A2,
    A3,
    A4,
    A5,
    A6,
    A7,
    S2,
    S3,
    S4,
    S5,
    S6,
    S7,
    S8,
    S9,
    S10,
    S11,
    T3,
    T4,
    T5,
    T6
};
enum { F3_BEQ = 0, F3_BNE = 1, F3_BLT = 4, F3_BGE = 5, F3_BLTU = 6, F3_BGEU = 7 };
enum { AQ = 2, RL = 1, AQRL = 3 };
enum { FENCE_W = 1, FENCE_R = 2, FENCE_RW = 3 };
enum {
    CSR_SATP = 0x180,
    CSR_MSTATUS = 0x300,
    CSR_MIE = 0x304,
    CSR_MTVEC = 0x305,
    CSR_MSCRATCH = 0x340,
    CSR_MEPC = 0x341,
    CSR_MCAUSE = 0x342,
    CSR_PMPCFG0 = 0x3a0,
    CSR_PMPADDR0 = 0x3b0,
    CSR_TIME = 0xc01,
    CSR_MHARTID = 0xf14
};
enum { ENC_WFI = 0x10500073, ENC_FENCE_ALL = 0x0ff0000f };
#define ENC_FENCE_TSO 0x8330000fu

struct guest {
    struct machine_config config;
    struct machine *machine;
    struct sm_mapping mapping;
    uint8_t *ram; /* the host's view of it                                         */
    uint32_t at;  /* where the next instruction goes                               */
};

/* --- Emitting ----------------------------------------------------------------------- */

static inline void put(struct guest *g, uint32_t word)
{
    memcpy(g->ram + g->at, &word, 4);
    g->at += 4;
}

/** @rd = @value by shifts. */
static inline void put_li(struct guest *g, unsigned rd, uint64_t value)
{
    if (value < 2048) {
        put(g, enc_addi(rd, X0, (int)value));
        return;
    }
    put(g, enc_addi(rd, X0, (int)(value >> 55 & 0x1ff)));
    for (int shift = 44; shift >= 0; shift -= 11) {
        put(g, enc_slli(rd, rd, 11));
        put(g, enc_addi(rd, rd, (int)(value >> shift & 0x7ff)));
    }
}

/** A branch to a place that put_land() will say.  Returns its own. */
static inline uint32_t put_later(struct guest *g, unsigned f3, unsigned a, unsigned b)
{
    put(g, enc_b(f3, a, b, 0));
    return g->at - 4;
}

static inline void put_land(struct guest *g, uint32_t place)
{
    uint32_t word;
    assert_true(g->at - place < 4096);
    memcpy(&word, g->ram + place, 4);
    word |= enc_b(0, 0, 0, (int)(g->at - place));
    memcpy(g->ram + place, &word, 4);
}

static inline void put_back(struct guest *g, unsigned f3, unsigned a, unsigned b,
                            uint32_t target)
{
    put(g, enc_b(f3, a, b, (int)target - (int)g->at));
}

static inline uint32_t enc_lw(unsigned rd, unsigned rs1, int imm)
{
    return enc_i(0x03, rd, 2, rs1, imm);
}
static inline uint32_t enc_fence(unsigned pred, unsigned succ)
{
    return 0x0f | succ << 20 | pred << 24;
}

enum amo {
    AMO_ADD = 0,
    AMO_SWAP = 1,
    AMO_LR = 2,
    AMO_SC = 3,
    AMO_XOR = 4,
    AMO_OR = 8,
    AMO_AND = 12,
    AMO_MIN = 16,
    AMO_MAX = 20,
    AMO_MINU = 24,
    AMO_MAXU = 28
};

/** @size_bits 2 or 3; @order AQ and RL. */
static inline uint32_t enc_amo(enum amo op, unsigned size_bits, unsigned order,
                               unsigned rd, unsigned rs2, unsigned rs1)
{
    return enc_r(0x2f, rd, size_bits, rs1, rs2, (unsigned)op << 2 | order);
}

/** Have the harts other than @hart pass their WFI.  Uses t0, t1. */
static inline void put_ring(struct guest *g, unsigned hart, unsigned n)
{
    put_li(g, T1, GUEST_MSIP);
    put(g, enc_addi(T0, X0, 1));
    for (unsigned other = 0; other < n; other++)
        if (other != hart)
            put(g, enc_sw(T0, T1, 4 * (int)other));
}

/** t0 = 1, added to the global word @word; then t0 = its value before.  Uses t1. */
static inline void put_arrive(struct guest *g, int word)
{
    put(g, enc_addi(T0, X0, 1));
    put(g, enc_addi(T1, S3, word));
    put(g, enc_amo(AMO_ADD, 2, AQRL, T0, T0, T1));
}

/** Look @times times whether the global word @word has reached s4.  Uses t0, t2.
 *  Returns  the branch to take then, for put_land() */
static inline uint32_t put_spin(struct guest *g, int word, unsigned times)
{
    uint32_t spin, reached;

    put_li(g, T2, times);
    spin = g->at;
    put(g, enc_lw(T0, S3, word));
    reached = put_later(g, F3_BGE, T0, S4);
    put(g, enc_addi(T2, T2, -1));
    put_back(g, F3_BNE, T2, X0, spin);
    return reached;
}

/** Meet all @n harts.  s4: arrivals at the end of the last barrier.  Uses t0 to t2.
 *
 *  Who waits long sleeps, as the host may have fewer processors than there are harts.
 *  Those that were woken late then have a moment to catch up, so that all begin
 *  together where the host lets them.
 */
static inline void put_barrier(struct guest *g, unsigned hart, unsigned n)
{
    uint32_t last, met, again, slept, together;

    put(g, enc_addi(S4, S4, (int)n));
    put_arrive(g, G_BARRIER);
    put(g, enc_addi(T0, T0, 1));
    last = put_later(g, F3_BEQ, T0, S4);
    met = put_spin(g, G_BARRIER, 1000);
    /* Lower the line before looking: the last one raises it after it arrived. */
    put_li(g, T1, GUEST_MSIP + 4 * hart);
    again = g->at;
    put(g, enc_sw(X0, T1, 0));
    put(g, ENC_FENCE_ALL);
    put(g, enc_lw(T0, S3, G_BARRIER));
    slept = put_later(g, F3_BGE, T0, S4);
    put(g, ENC_WFI);
    put_back(g, F3_BEQ, X0, X0, again);
    put_land(g, last);
    put_ring(g, hart, n);
    put_land(g, met);
    put_land(g, slept);
    put_arrive(g, G_TOGETHER);
    together = put_spin(g, G_TOGETHER, 3000);
    put_land(g, together);
    put(g, enc_fence(FENCE_RW, FENCE_RW));
}

/** s3, s4 and mie for put_barrier(), s7 = time at which the program should end. */
static inline void put_begin(struct guest *g, unsigned ms)
{
    put_li(g, S3, GUEST_RAM + GUEST_GLOBALS);
    put(g, enc_addi(S4, X0, 0));
    put(g, enc_addi(T0, X0, 8)); /* MSIE ends a WFI; interrupts stay disabled */
    put(g, enc_csrrw(X0, CSR_MIE, T0));
    put(g, enc_csrrs(S7, CSR_TIME, X0));
    put_li(g, T0, (uint64_t)ms * (ACLINT_TIMEBASE_HZ / 1000));
    put(g, enc_add(S7, S7, T0));
}

/** End hart @hart of @n with @count as its number of rounds; hart 0 ends the machine. */
static inline void put_end(struct guest *g, unsigned hart, unsigned n, unsigned count)
{
    put(g, enc_sd(count, S3, G_COUNT + 8 * (int)hart));
    put_barrier(g, hart, n);
    if (hart == 0) {
        put_li(g, T1, GUEST_FINISHER);
        put_li(g, T0, 0x5555);
        put(g, enc_sw(T0, T1, 0));
    }
    put(g, enc_csrrw(X0, CSR_MIE, X0));
    put(g, ENC_WFI);
    put_back(g, F3_BEQ, X0, X0, g->at - 4);
}

/** Hart @hart goes on here; the others pass to the code after put_land() of the result. */
static inline uint32_t put_only(struct guest *g, unsigned hart)
{
    put(g, enc_csrrs(T0, CSR_MHARTID, X0));
    put_li(g, T1, hart);
    return put_later(g, F3_BNE, T0, T1);
}

/* --- Running ------------------------------------------------------------------------ */

static const struct sm_attrs guest_attrs = {.process = SM_NO_PROCESS,
                                            .flags = SM_ATTR_DEBUG};
static char guest_no_firmware[] = "none";

/** How harts execute: SM_JIT "off" interprets all; else a number of entries after which
 *  what is entered is translated. */
static inline struct machine_jit guest_jit(void)
{
    const char *text = getenv("SM_JIT");

    if (text && !strcmp(text, "off"))
        return (struct machine_jit){.off = true};
    return (struct machine_jit){.heat = text ? (uint32_t)atoi(text) : 0};
}

/** Make a machine of @n_harts and begin to write its program at the start of RAM. */
static inline void guest_new(struct guest *g, unsigned n_harts, bool single_thread)
{
    char *error = NULL;

    *g = (struct guest){.config = {.board = "virt",
                                   .ram_size = GUEST_RAM_SIZE,
                                   .n_harts = n_harts,
                                   .cpu_model = "rv64",
                                   .force_legacy = true,
                                   .single_thread = single_thread,
                                   .jit = guest_jit(),
                                   .bios = guest_no_firmware}};
    assert_int_equal(rv_isa_init(&g->config.isa, "rv64"), 0);
    if (machine_new(&g->config, &g->machine, &error))
        fail_msg("machine_new: %s", error);
    assert_int_equal(sm_address_space_map(g->machine->space, GUEST_RAM, &guest_attrs,
                                          GUEST_RAM_SIZE, SM_WRITE, &g->mapping),
                     SM_TX_OK);
    assert_int_equal(g->mapping.size, GUEST_RAM_SIZE);
    g->ram = g->mapping.host;
}

static inline uint64_t guest_u64(const struct guest *g, uint64_t offset)
{
    uint64_t value;
    memcpy(&value, g->ram + offset, 8);
    return value;
}

static inline uint64_t guest_count(const struct guest *g, unsigned hart)
{
    return guest_u64(g, GUEST_GLOBALS + G_COUNT + 8 * hart);
}

/** The threads of this process that are not in @known.  Returns how many. */
static inline unsigned guest_threads(const pid_t *known, unsigned n_known, pid_t *out,
                                     unsigned max)
{
    DIR *folder = opendir("/proc/self/task");
    const struct dirent *entry;
    unsigned n = 0;

    while (folder && n < max && (entry = readdir(folder))) {
        const pid_t tid = atoi(entry->d_name);
        bool old = tid == 0;
        for (unsigned i = 0; i < n_known; i++)
            old |= known[i] == tid;
        if (!old)
            out[n++] = tid;
    }
    if (folder)
        closedir(folder);
    return n;
}

struct guest_spread {
    unsigned n_harts, n_known;
    pid_t known[64];
};

/** Give each hart's thread a processor of its own, as far as there are any: threads
 *  that wake each other are else put on the same, and then nothing ever races. */
static inline void *guest_spread(void *opaque)
{
    struct guest_spread *spread = opaque;
    cpu_set_t allowed;
    pid_t tid[GUEST_MAX_HARTS + 1];
    unsigned n = 0;
    int cpu = -1;

    if (sched_getaffinity(0, sizeof(allowed), &allowed))
        return NULL;
    spread->known[spread->n_known++] = gettid();
    for (unsigned tries = 0; tries < 200 && n < spread->n_harts; tries++) {
        usleep(100);
        n = guest_threads(spread->known, spread->n_known, tid, GUEST_MAX_HARTS);
    }
    for (unsigned i = 0; i < n; i++) {
        cpu_set_t one;
        do
            cpu = (cpu + 1) % CPU_SETSIZE;
        while (!CPU_ISSET(cpu, &allowed));
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        (void)sched_setaffinity(tid[i], sizeof(one), &one); /* it may have ended */
    }
    return NULL;
}

static inline void guest_run(struct guest *g)
{
    struct guest_spread spread = {.n_harts = g->config.n_harts};
    pthread_t helper;

    assert_true(g->at < GUEST_GLOBALS);
    spread.n_known = guest_threads(NULL, 0, spread.known, 63);
    if (g->config.single_thread) {
        assert_int_equal(machine_run(g->machine), 0);
        return;
    }
    assert_int_equal(pthread_create(&helper, NULL, guest_spread, &spread), 0);
    assert_int_equal(machine_run(g->machine), 0);
    pthread_join(helper, NULL);
}

static inline void guest_free(struct guest *g)
{
    sm_mapping_release(&g->mapping);
    machine_free(g->machine);
}

/** How often each program is run: SM_ROUNDS times, usually once. */
static inline unsigned guest_rounds(void)
{
    const char *text = getenv("SM_ROUNDS");
    const long rounds = text ? atol(text) : 1;
    return rounds > 0 ? (unsigned)rounds : 1;
}

#endif
