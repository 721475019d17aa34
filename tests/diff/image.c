/* SPDX-License-Identifier: MIT */
/* image.c - writes the harness of image.h, instruction by instruction. */
#include "diff/image.h"

#include <string.h>

#include "diff/encode.h"

/* What the harness keeps in memory; mscratch points here while a program runs. */
struct globals {
    uint64_t x[32]; /* the program's registers, while a trap is handled          */
    uint64_t cell, last, hash_factor;
};
#define G(member) ((int)offsetof(struct globals, member))
#define C(member) ((int)offsetof(struct image_cell, member))

enum {
    MSTATUS = 0x300,
    MIE = 0x304,
    MTVEC = 0x305,
    MSCRATCH = 0x340,
    MEPC = 0x341,
    MCAUSE = 0x342,
    MTVAL = 0x343,
    MEDELEG = 0x302,
    MIDELEG = 0x303,
    MCOUNTEREN = 0x306,
    MENVCFG = 0x30a,
    SENVCFG = 0x10a,
    SCOUNTEREN = 0x106,
    SATP = 0x180,
    STVEC = 0x105,
    SSCRATCH = 0x140,
    SEPC = 0x141,
    SCAUSE = 0x142,
    STVAL = 0x143,
    FCSR = 3,
    PMPCFG0 = 0x3a0,
    PMPADDR0 = 0x3b0,
    MSTATUS_FS = 0x6000
};

struct writer {
    uint8_t *ram;
    uint32_t at;
};

static void put(struct writer *w, uint32_t word)
{
    memcpy(w->ram + w->at, &word, 4);
    w->at += 4;
}

/* @rd = @value, a 64-bit constant, by shifts. */
static void put_li(struct writer *w, unsigned rd, uint64_t value)
{
    put(w, enc_addi(rd, 0, (int)(value >> 55 & 0x1ff)));
    for (int shift = 44; shift >= 0; shift -= 11) {
        put(w, enc_slli(rd, rd, 11));
        put(w, enc_addi(rd, rd, (int)(value >> shift & 0x7ff)));
    }
}

/* A branch whose target is known later: returns its place. */
static uint32_t put_later(struct writer *w)
{
    put(w, 0);
    return w->at - 4;
}

static void put_branch(struct writer *w, uint32_t place, unsigned f3, unsigned a,
                       unsigned b, uint32_t target)
{
    const uint32_t word = enc_b(f3, a, b, (int)(target - place));
    memcpy(w->ram + place, &word, 4);
}

static void put_jump(struct writer *w, uint32_t target)
{
    put(w, enc_j(0, (int)(target - w->at)));
}

/* The address of a cell's member that is too far for 12 bits: @rd = @cell + offset. */
static void put_member(struct writer *w, unsigned rd, unsigned cell, int offset)
{
    put(w, enc_u(0x37, rd, ((uint32_t)offset + 0x800) & 0xfffff000u));
    put(w, enc_addi(rd, rd, (int)sm_sign_extend((uint64_t)offset, 12)));
    put(w, enc_add(rd, rd, cell));
}

/* x31 = globals; start the program of the cell in globals, or end. */
static uint32_t put_next(struct writer *w)
{
    const uint32_t start = w->at;

    put(w, enc_ld(10, 31, G(cell)));
    put(w, enc_ld(11, 31, G(last)));
    const uint32_t go = put_later(w); /* bgeu last, cell */
    put_li(w, 12, IMAGE_FINISHER);
    put_li(w, 13, 0x5555);
    put(w, enc_sw(13, 12, 0));
    put(w, ENC_SELF);
    put_branch(w, go, 7, 11, 10, w->at);

    static const uint16_t zeroed[] = {MEDELEG, MIDELEG, MIE,        STVEC,     SSCRATCH,
                                      SEPC,    SCAUSE,  STVAL,      SATP,      MCAUSE,
                                      MTVAL,   SENVCFG, MCOUNTEREN, SCOUNTEREN};
    for (unsigned i = 0; i < SM_ARRAY_LEN(zeroed); i++)
        put(w, enc_csrrw(0, zeroed[i], 0));
    put(w, enc_addi(12, 0, 0xf0)); /* CBIE, CBCFE and CBZE for every mode */
    put(w, enc_csrrw(0, MENVCFG, 12));
    put(w, enc_csrrw(0, SENVCFG, 12));
    put(w, enc_csrrw(0, MSCRATCH, 31));

    /* Mode: MPP and satp.  x12 = mode, x13 = mstatus, x14 = satp. */
    put(w, enc_ld(12, 10, C(mode)));
    static const uint64_t mpp[IMAGE_N_MODES] = {3, 1, 1, 0, 0};
    static const uint32_t root[IMAGE_N_MODES] = {0, 0, IMAGE_ROOT_S, 0, IMAGE_ROOT_U};
    uint32_t done[IMAGE_N_MODES];
    for (unsigned mode = 0; mode < IMAGE_N_MODES; mode++) {
        put(w, enc_addi(15, 0, (int)mode));
        const uint32_t skip = put_later(w); /* bne mode, x15 */
        put_li(w, 13, MSTATUS_FS | mpp[mode] << 11);
        put_li(w, 14,
               root[mode] ? (UINT64_C(8) << 60) | ((IMAGE_RAM_BASE + root[mode]) >> 12)
                          : 0);
        done[mode] = put_later(w);
        put_branch(w, skip, 1, 12, 15, w->at);
    }
    for (unsigned mode = 0; mode < IMAGE_N_MODES; mode++)
        put_branch(w, done[mode], 0, 0, 0, w->at);
    put(w, enc_csrrw(0, MSTATUS, 13));
    put(w, enc_csrrw(0, SATP, 14));
    put(w, ENC_SFENCE);

    put(w, enc_addi(12, 10, C(code)));
    put(w, enc_csrrw(0, MEPC, 12));
    for (unsigned n = 0; n < 32; n++)
        put(w, enc_fld(n, 10, C(f) + (int)(8 * n)));
    put(w, enc_ld(12, 10, C(fcsr)));
    put(w, enc_csrrw(0, FCSR, 12));
    for (unsigned n = 1; n < 32; n++)
        if (n != 10)
            put(w, enc_ld(n, 10, C(x) + (int)(8 * n)));
    put(w, enc_ld(10, 10, C(x) + 80));
    put(w, ENC_MRET);
    return start;
}

/* The program ended: x31 = globals, x10 = cell, its registers saved. */
static void put_finish(struct writer *w, uint32_t next)
{
    put_member(w, 11, 10, C(out_x));
    for (unsigned n = 1; n < 32; n++) {
        put(w, enc_ld(12, 31, G(x) + (int)(8 * n)));
        put(w, enc_sd(12, 11, (int)(8 * n)));
    }
    put(w, enc_csrrs(12, FCSR, 0));
    put_member(w, 11, 10, C(out_fcsr));
    put(w, enc_sd(12, 11, 0));
    put_member(w, 11, 10, C(out_f));
    for (unsigned n = 0; n < 32; n++)
        put(w, enc_fsd(n, 11, (int)(8 * n)));
    put_li(w, 11, IMAGE_CELL_SIZE);
    put(w, enc_add(10, 10, 11));
    put(w, enc_sd(10, 31, G(cell)));
    put_jump(w, next);
}

/* h = (h ^ @value) * factor; x12 = h, x13 = factor. */
static void put_hash(struct writer *w, unsigned value)
{
    put(w, enc_xor(12, 12, value));
    put(w, enc_mul(12, 12, 13));
}

static void put_trap(struct writer *w, uint32_t next)
{
    put(w, enc_csrrw(31, MSCRATCH, 31));
    for (unsigned n = 1; n < 31; n++)
        put(w, enc_sd(n, 31, G(x) + (int)(8 * n)));
    put(w, enc_csrrw(1, MSCRATCH, 31));
    put(w, enc_sd(1, 31, G(x) + 8 * 31));

    /* A program may have turned FP off; the harness needs it at the end. */
    put(w, enc_csrrs(17, MSTATUS, 0));
    put_li(w, 18, MSTATUS_FS);
    put(w, enc_csrrs(0, MSTATUS, 18));

    put(w, enc_ld(10, 31, G(cell)));
    put(w, enc_csrrs(14, MCAUSE, 0));
    put(w, enc_csrrs(15, MEPC, 0));
    put(w, enc_csrrs(16, MTVAL, 0));
    put(w, enc_ld(11, 10, C(end)));
    const uint32_t not_end = put_later(w); /* bne mepc, end */
    put_finish(w, next);
    put_branch(w, not_end, 1, 15, 11, w->at);

    /* Count, hash, and log the first ones. */
    put_member(w, 20, 10, C(n_traps));
    put(w, enc_ld(21, 20, 0));
    put(w, enc_addi(22, 21, 1));
    put(w, enc_sd(22, 20, 0));
    put(w, enc_sub(19, 15, 10));
    put(w, enc_ld(12, 20, 8));
    put(w, enc_ld(13, 31, G(hash_factor)));
    put_hash(w, 14);
    put_hash(w, 19);
    put_hash(w, 16);
    put_hash(w, 17);
    put(w, enc_sd(12, 20, 8));
    put(w, enc_addi(23, 0, IMAGE_LOGGED_TRAPS));
    const uint32_t full = put_later(w); /* bgeu n, logged */
    put(w, enc_slli(23, 21, 5));
    put(w, enc_add(23, 23, 20));
    put(w, enc_sd(14, 23, 16));
    put(w, enc_sd(19, 23, 24));
    put(w, enc_sd(16, 23, 32));
    put(w, enc_sd(17, 23, 40));
    put_branch(w, full, 7, 21, 23, w->at);
    put(w, enc_addi(23, 0, IMAGE_MAX_TRAPS));
    const uint32_t few = put_later(w); /* bltu n, max */
    put_finish(w, next);
    put_branch(w, few, 6, 21, 23, w->at);

    /* Step over the instruction: 2 bytes, or 4 if its low bits are 11. */
    put(w, enc_lhu(23, 15, 0));
    put(w, enc_andi(23, 23, 3));
    put(w, enc_addi(24, 0, 3));
    put(w, enc_addi(15, 15, 2));
    const uint32_t is_short = put_later(w);
    put(w, enc_addi(15, 15, 2));
    put_branch(w, is_short, 1, 23, 24, w->at);
    put(w, enc_csrrw(0, MEPC, 15));
    for (unsigned n = 1; n < 32; n++)
        put(w, enc_ld(n == 31 ? 31 : n, 31, G(x) + (int)(8 * n)));
    put(w, ENC_MRET);
}

void image_build(uint8_t *ram, unsigned n_cells)
{
    struct writer w = {ram, 0};
    struct globals globals = {
        .cell = image_cell_address(0),
        .last = image_cell_address(n_cells - 1),
        .hash_factor = UINT64_C(0x9e3779b97f4a7c15),
    };

    memcpy(ram + IMAGE_GLOBALS, &globals, sizeof(globals));
    for (unsigned user = 0; user < 2; user++) {
        /* Third gigabyte, V R W X A D, and U. */
        const uint64_t pte =
            (UINT64_C(0x80000000) >> 12) << 10 | 0xcf | (user ? 0x10 : 0);
        memcpy(ram + (user ? IMAGE_ROOT_U : IMAGE_ROOT_S) + 8 * 2, &pte, 8);
    }

    const uint32_t over = put_later(&w);
    const uint32_t next = put_next(&w);
    const uint32_t trap = w.at;
    put_trap(&w, next);

    put_branch(&w, over, 0, 0, 0, w.at); /* far too long a harness would not fit: */
    sm_assert(w.at < 4096);
    put_li(&w, 5, (uint64_t)IMAGE_RAM_BASE + trap);
    put(&w, enc_csrrw(0, MTVEC, 5));
    put_li(&w, 5, sm_mask(54));
    put(&w, enc_csrrw(0, PMPADDR0, 5));
    put(&w, enc_addi(5, 0, 0x1f));
    put(&w, enc_csrrw(0, PMPCFG0, 5));
    put_li(&w, 31, (uint64_t)IMAGE_RAM_BASE + IMAGE_GLOBALS);
    put_jump(&w, next);
    sm_assert(w.at < IMAGE_GLOBALS);
}
