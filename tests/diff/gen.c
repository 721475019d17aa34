/* SPDX-License-Identifier: MIT */
/* gen.c - draws programs: valid instructions of every row, invalid words, jumps, CSRs. */
#include "diff/gen.h"

#include <string.h>

#include "diff/encode.h"
#include "riscv/riscv_impl.h"

enum { MAX_SLOTS = 96, REG_SP = 2, REG_WILD = 3, REG_S0 = 8, REG_S1 = 9 };

/* Opcodes, bits 6..0.  Source: Unprivileged, "RISC-V base opcode map". */
enum {
    OP_LOAD = 0x03,
    OP_LOAD_FP = 0x07,
    OP_MISC_MEM = 0x0f,
    OP_STORE = 0x23,
    OP_STORE_FP = 0x27,
    OP_AMO = 0x2f,
    OP_BRANCH = 0x63,
    OP_JALR = 0x67,
    OP_JAL = 0x6f,
    OP_SYSTEM = 0x73
};

struct row {
    const char *text;
    uint32_t mask, match;
};
static const struct row rows[] = {
#define RV_INSN(name, text, mask, match, format, ext) {text, mask, match},
#include "riscv/isa.def"
#undef RV_INSN
};
static const struct row compressed_rows[] = {
#define RVC_INSN(name, text, mask, match, format, ext, op) {text, mask, match},
#include "riscv/isa_c.def"
#undef RVC_INSN
};

/* A program as it is written. */
struct program {
    struct gen_random *random;
    const struct rv_isa *isa;
    enum image_mode mode;
    uint8_t *code;
    unsigned at;
    unsigned n_instructions;
    struct {
        uint16_t at;
        uint8_t kind;
    } jump[MAX_SLOTS];
    unsigned n_jumps;
    uint16_t slot[2 * MAX_SLOTS]; /* where each begins: targets of jumps           */
    unsigned n_slots;
};
enum jump_kind { JUMP_B, JUMP_J, JUMP_CB, JUMP_CJ, JUMP_JALR };

uint64_t gen_next(struct gen_random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static unsigned below(struct program *p, unsigned n)
{
    return (unsigned)(gen_next(p->random) % n);
}

static bool is_protected(unsigned reg)
{
    return reg == REG_SP || reg == REG_WILD || reg == REG_S0 || reg == REG_S1;
}

static unsigned any_rd(struct program *p)
{
    unsigned reg;
    do
        reg = below(p, 32);
    while (is_protected(reg));
    return reg;
}

static unsigned any_base(struct program *p)
{
    static const uint8_t bases[] = {REG_SP, REG_S0, REG_S0, REG_S0,
                                    REG_S1, REG_S1, REG_S1, REG_S1};
    return below(p, 24) == 0 ? REG_WILD : bases[below(p, SM_ARRAY_LEN(bases))];
}

static void put16(struct program *p, uint32_t word)
{
    p->code[p->at] = (uint8_t)word;
    p->code[p->at + 1] = (uint8_t)(word >> 8);
    p->at += 2;
    p->n_instructions++;
}

static void put32(struct program *p, uint32_t word)
{
    memcpy(p->code + p->at, &word, 4);
    p->at += 4;
    p->n_instructions++;
    /* The oracle drops a fround or froundnx, and with it the flags NV and NX, when its
     * result is written over before it is used: store it. */
    if ((word & 0xfde0007f) == 0x40400053)
        put32(p, enc_fsd(word >> 7 & 31, REG_SP, IMAGE_SCRATCH_SIZE - 16));
}

/* Make an access go through a base register, near it. */
static uint32_t tame_access(struct program *p, uint32_t word)
{
    const unsigned base = any_base(p);
    const uint32_t op = word & 0x7f;
    const int offset =
        (int)below(p, base == REG_SP ? 256 : 512) - (base == REG_SP ? 0 : 256);

    word = (uint32_t)sm_insert(word, 15, 5, base);
    if (op == OP_AMO || op == OP_MISC_MEM)
        return word;
    if (op == OP_LOAD || op == OP_LOAD_FP)
        return (uint32_t)sm_insert(word, 20, 12, (uint32_t)offset);
    word = (uint32_t)sm_insert(word, 7, 5, (uint32_t)offset);
    return (uint32_t)sm_insert(word, 25, 7, (uint32_t)offset >> 5);
}

static bool writes_x(uint32_t word)
{
    const uint32_t op = word & 0x7f;
    return op != OP_STORE && op != OP_STORE_FP && op != OP_BRANCH;
}

/* A valid instruction of a row that neither jumps nor is privileged. */
static void slot_valid(struct program *p)
{
    for (;;) {
        const struct row *row = &rows[below(p, SM_ARRAY_LEN(rows))];
        const uint32_t op = row->match & 0x7f;
        if (op == OP_BRANCH || op == OP_JAL || op == OP_JALR || op == OP_SYSTEM)
            continue;
        if (!strncmp(row->text, "wrs", 3) || !strncmp(row->text, "lr.", 3) ||
            !strncmp(row->text, "sc.", 3))
            continue;
        uint32_t word = row->match | ((uint32_t)gen_next(p->random) & ~row->mask);
        if (writes_x(word) && is_protected(word >> 7 & 31))
            word = (uint32_t)sm_insert(word, 7, 5, any_rd(p)) | row->match;
        if (op == OP_LOAD || op == OP_LOAD_FP || op == OP_STORE || op == OP_STORE_FP ||
            op == OP_AMO || (op == OP_MISC_MEM && (word >> 12 & 7) == 2))
            word = tame_access(p, word);
        if ((word & row->mask) != row->match)
            continue;
        put32(p, word);
        return;
    }
}

/* Floating point between registers, more often with the registers that hold
 * interesting values. */
static void slot_fp(struct program *p)
{
    for (;;) {
        const struct row *row = &rows[below(p, SM_ARRAY_LEN(rows))];
        const uint32_t op = row->match & 0x7f;
        if (op != 0x43 && op != 0x47 && op != 0x4b && op != 0x4f && op != 0x53)
            continue;
        uint32_t word = row->match | ((uint32_t)gen_next(p->random) & ~row->mask);
        if (!(row->mask >> 12 & 7) && below(p, 8)) /* mostly a valid rounding mode */
            word = (uint32_t)sm_insert(word, 12, 3, below(p, 6) == 5 ? 7 : below(p, 5));
        if (is_protected(word >> 7 & 31))
            word = (uint32_t)sm_insert(word, 7, 5, any_rd(p));
        if ((word & row->mask) != row->match)
            continue;
        put32(p, word);
        return;
    }
}

/* Whether a random word, valid or not, keeps to the rules of gen.h. */
static bool is_tame(struct program *p, uint32_t word)
{
    struct rv_insn insn;

    rv_decode(p->isa, word, &insn);
    if (insn.op == RV_OP_illegal)
        return true;
    if (insn.len == 2 && insn.op == RV_OP_ebreak)
        return true;
    const uint32_t op = rows[insn.op - 1].match & 0x7f;
    switch (op) {
    case OP_BRANCH:
    case OP_JAL:
    case OP_JALR:
    case OP_SYSTEM: return false;
    case OP_LOAD:
    case OP_LOAD_FP:
    case OP_STORE:
    case OP_STORE_FP:
        if (insn.len == 4 || !is_protected(insn.rs1) || insn.rs1 == REG_WILD)
            return false;
        return op == OP_STORE || op == OP_STORE_FP || !is_protected(insn.rd);
    case OP_AMO: return false;
    case OP_MISC_MEM: return (word >> 12 & 7) < 2;
    default: return !is_protected(insn.rd);
    }
}

static void slot_random_word(struct program *p)
{
    uint32_t word;
    do
        word = (uint32_t)gen_next(p->random) | 3;
    while ((word & 0x1f) == 0x1f || !is_tame(p, word));
    put32(p, word);
}

static void slot_random_half(struct program *p)
{
    uint32_t word;
    do
        word = (uint32_t)gen_next(p->random) & 0xffff;
    while ((word & 3) == 3 || !is_tame(p, word));
    put16(p, word);
}

static void slot_compressed(struct program *p)
{
    for (;;) {
        const struct row *row = &compressed_rows[below(p, SM_ARRAY_LEN(compressed_rows))];
        uint32_t word =
            row->match | ((uint32_t)gen_next(p->random) & ~row->mask & 0xffff);
        if (below(p, 2)) /* registers of the short form: s0 or s1 as a base */
            word = (word & ~(7u << 7)) | below(p, 2) << 7;
        if ((word & row->mask) != row->match || !is_tame(p, word))
            continue;
        put16(p, word);
        return;
    }
}

static void later(struct program *p, enum jump_kind kind)
{
    p->jump[p->n_jumps].at = (uint16_t)p->at;
    p->jump[p->n_jumps++].kind = (uint8_t)kind;
}

static void slot_jump(struct program *p)
{
    const unsigned kind = below(p, 5);
    static const uint8_t conditions[] = {0, 1, 4, 5, 6, 7};

    later(p, kind);
    switch ((enum jump_kind)kind) {
    case JUMP_B:
        put32(p, enc_b(conditions[below(p, 6)], below(p, 32), below(p, 32), 0));
        break;
    case JUMP_J: put32(p, enc_j(any_rd(p), 0)); break;
    case JUMP_CB: put16(p, 0xc001 | below(p, 2) << 13 | below(p, 8) << 7); break;
    case JUMP_CJ: put16(p, 0xa001); break;
    case JUMP_JALR: {
        const unsigned reg = any_rd(p) | 1; /* not x0, and protected only if even */
        const unsigned target = is_protected(reg) ? 5 : reg;
        put32(p, enc_u(0x17, target, 0));
        put32(p, enc_i(OP_JALR, any_rd(p), 0, target, 0));
        break;
    }
    }
}

/* CSRs that a program may change for good: nothing else depends on them. */
static const uint16_t free_csrs[] = {0x001, 0x002, 0x003, 0x140, 0x142, 0x143,
                                     0x001, 0x002, 0x003, 0x342, 0x343};
/* CSRs whose change has an effect, or that are read only: written, then restored. */
static const uint16_t restored_csrs[] = {0x301, 0x302, 0x303, 0x304, 0x305, 0x306, 0x30a,
                                         0x104, 0x105, 0x106, 0x10a, 0x141, 0x341, 0x3b1,
                                         0x3b2, 0x3b3, 0x3be, 0x3bf, 0x14d};
/* Of those, the ones in which harts may keep different bits (WARL): what was written is
 * not read back.  Oracle: medeleg, mideleg and mie have the hypervisor's bits even
 * without it; mcounteren and scounteren only the counters that count; menvcfg and
 * senvcfg take the reserved CBIE 2; pmpaddr keeps bits 63..54, sepc and mepc bit 0,
 * which the specification has read-only zero. */
static const uint16_t latitude_csrs[] = {0x302, 0x303, 0x304, 0x104, 0x306,
                                         0x106, 0x30a, 0x10a, 0x141, 0x341,
                                         0x3b1, 0x3b2, 0x3b3, 0x3be, 0x3bf};
static bool is_latitude(unsigned csr)
{
    for (unsigned i = 0; i < SM_ARRAY_LEN(latitude_csrs); i++)
        if (latitude_csrs[i] == csr)
            return true;
    return false;
}
/* CSRs that are only read; in M mode not the counters, whose values differ. */
static const uint16_t read_csrs[] = {
    0x300, 0x301, 0x302, 0x303, 0x304, 0x305, 0x306, 0x30a, 0x100, 0x104, 0x105, 0x106,
    0x10a, 0x144, 0xf14, 0x180, 0x3a0, 0x3a2, 0x3b0, 0x7c0, 0xc90, 0x5a8, 0x14d};
static const uint16_t counters[] = {0xc00, 0xc01, 0xc02, 0xc03, 0xc1f, 0xb00, 0xb02};

/* mstatus or sstatus: set or clear some of the bits 12..22, then restore.  Not UXL and
 * SXL, which the oracle lets change. */
static void slot_status(struct program *p)
{
    const uint16_t csr = below(p, 2) ? 0x300 : 0x100;

    put32(p, enc_u(0x37, 5, ((uint32_t)gen_next(p->random) & 0x7ff) << 12));
    put32(p, enc_i(OP_SYSTEM, 6, 2 + below(p, 2), 5, csr));
    put32(p, enc_i(OP_SYSTEM, 28 + below(p, 4), 2, 0, csr));
    put32(p, enc_i(OP_SYSTEM, 28 + below(p, 4), 1, 6, csr));
}

static void slot_csr(struct program *p)
{
    const unsigned kind = below(p, 9);
    const unsigned f3 = (unsigned[]){1, 2, 3, 5, 6, 7}[below(p, 6)];

    if (kind == 8) {
        slot_status(p);
    } else if (kind < 4) {
        const uint16_t csr = free_csrs[below(p, SM_ARRAY_LEN(free_csrs))];
        put32(p, enc_i(OP_SYSTEM, any_rd(p), f3, below(p, 32), csr));
    } else if (kind < 6) {
        const uint16_t csr = restored_csrs[below(p, SM_ARRAY_LEN(restored_csrs))];
        const unsigned old = 5 + below(p, 3); /* t0..t2 */
        put32(p, enc_i(OP_SYSTEM, old, f3, below(p, 32), csr));
        const unsigned rd = is_latitude(csr) ? 0 : 28 + below(p, 4);
        put32(p, enc_i(OP_SYSTEM, rd, 1, old, csr));
    } else if (kind == 6 || p->mode == IMAGE_M) {
        const uint16_t csr = read_csrs[below(p, SM_ARRAY_LEN(read_csrs))];
        put32(p, enc_i(OP_SYSTEM, any_rd(p), 2 + below(p, 2), 0, csr));
    } else {
        const uint16_t csr = counters[below(p, SM_ARRAY_LEN(counters))];
        put32(p, enc_i(OP_SYSTEM, any_rd(p), f3, below(p, 32), csr));
    }
}

/* lr, perhaps something, sc, mostly to the same address; or sc alone.  Always of the
 * same size: whether a narrower sc within the reservation succeeds is up to the hart. */
static void slot_reserve(struct program *p)
{
    const unsigned base = any_base(p), size = 2 + below(p, 2);
    const unsigned other = below(p, 8) ? base : any_base(p);

    if (below(p, 8))
        put32(p, enc_r(OP_AMO, any_rd(p), size, base, 0, 2u << 2 | below(p, 4)));
    if (below(p, 2))
        put32(p, enc_addi(any_rd(p), below(p, 32), (int)below(p, 100)));
    put32(p, enc_r(OP_AMO, any_rd(p), size, other, below(p, 32), 3u << 2 | below(p, 4)));
    put32(p, enc_r(OP_AMO, any_rd(p), size, base, below(p, 32), 3u << 2));
}

static void slot(struct program *p)
{
    const unsigned kind = below(p, 100);

    p->slot[p->n_slots++] = (uint16_t)p->at;
    if (kind < 40)
        slot_valid(p);
    else if (kind < 60)
        slot_fp(p);
    else if (kind < 72)
        slot_compressed(p);
    else if (kind < 80)
        slot_jump(p);
    else if (kind < 86)
        slot_csr(p);
    else if (kind < 89)
        slot_reserve(p);
    else if (kind < 94)
        slot_random_word(p);
    else if (kind < 98)
        slot_random_half(p);
    else
        put32(p, below(p, 2) ? ENC_ECALL : 0x00100073);
}

/* Let each jump lead to one of the next few slots, or to the end. */
static void resolve(struct program *p)
{
    for (unsigned i = 0; i < p->n_jumps; i++) {
        const unsigned at = p->jump[i].at;
        unsigned next = 0;
        while (p->slot[next] <= at)
            next++;
        next += below(p, 4);
        next = SM_MIN(next, p->n_slots - 1);
        const unsigned offset = p->slot[next] - at;
        uint32_t word;
        memcpy(&word, p->code + at, 4);
        switch ((enum jump_kind)p->jump[i].kind) {
        case JUMP_B: word |= enc_b(0, 0, 0, (int)offset); break;
        case JUMP_J: word |= enc_j(0, (int)offset); break;
        case JUMP_CB: /* offset[8|4:3] 12:10, [7:6|2:1|5] 6:2 */
            word |= (offset >> 8 & 1) << 12 | (offset >> 3 & 3) << 10 |
                    (offset >> 6 & 3) << 5 | (offset >> 1 & 3) << 3 |
                    (offset >> 5 & 1) << 2;
            break;
        case JUMP_CJ: /* offset[11|4|9:8|10|6|7|3:1|5] 12:2 */
            word |= (offset >> 11 & 1) << 12 | (offset >> 4 & 1) << 11 |
                    (offset >> 8 & 3) << 9 | (offset >> 10 & 1) << 8 |
                    (offset >> 6 & 1) << 7 | (offset >> 7 & 1) << 6 |
                    (offset >> 1 & 7) << 3 | (offset >> 5 & 1) << 2;
            break;
        case JUMP_JALR:
            memcpy(&word, p->code + at + 4, 4);
            word |= offset << 20;
            memcpy(p->code + at + 4, &word, 4);
            continue;
        }
        memcpy(p->code + at, &word, 4);
    }
}

static const uint64_t special_x[] = {0,
                                     1,
                                     UINT64_MAX,
                                     UINT64_C(0x7fffffffffffffff),
                                     UINT64_C(0x8000000000000000),
                                     0x7fffffff,
                                     0x80000000u,
                                     UINT64_C(0xffffffff80000000),
                                     0xffffffffu,
                                     2,
                                     63,
                                     64,
                                     0xff,
                                     0x8000,
                                     0xaaaaaaaa55555555};
static const uint64_t special_d[] = {0,
                                     UINT64_C(0x8000000000000000),
                                     UINT64_C(0x3ff0000000000000),
                                     UINT64_C(0xbff0000000000000),
                                     UINT64_C(0x7ff0000000000000),
                                     UINT64_C(0xfff0000000000000),
                                     UINT64_C(0x7ff8000000000000),
                                     UINT64_C(0x7ff0000000000001),
                                     UINT64_C(0xfff8000000000123),
                                     1,
                                     UINT64_C(0x000fffffffffffff),
                                     UINT64_C(0x0010000000000000),
                                     UINT64_C(0x7fefffffffffffff),
                                     UINT64_C(0x8010000000000001),
                                     UINT64_C(0x41dfffffffc00000),
                                     UINT64_C(0x43e0000000000000),
                                     UINT64_C(0x3fe0000000000000),
                                     UINT64_C(0x3fdfffffffffffff),
                                     UINT64_C(0x47efffffe0000000),
                                     UINT64_C(0x36a0000000000000)};
static const uint32_t special_s[] = {
    0,          0x80000000u, 0x3f800000,  0xbf800000u, 0x7f800000, 0xff800000u,
    0x7fc00000, 0x7f800001,  0xffc00123u, 1,           0x007fffff, 0x00800000,
    0x7f7fffff, 0x80800001u, 0x4effffff,  0x4f000000,  0x5effffff, 0x5f000000,
    0x3f000000, 0x3effffff,  0x3fc00000};

static uint64_t any_x(struct program *p)
{
    const uint64_t bits = gen_next(p->random);
    switch (below(p, 4)) {
    case 0: return special_x[below(p, SM_ARRAY_LEN(special_x))];
    case 1: return (uint64_t)((int64_t)bits >> below(p, 64));
    case 2: return bits & 0xffff;
    default: return bits;
    }
}

static uint64_t any_f(struct program *p)
{
    const uint64_t bits = gen_next(p->random), box = UINT64_C(0xffffffff00000000);
    switch (below(p, 8)) {
    case 0:
    case 1: return special_d[below(p, SM_ARRAY_LEN(special_d))];
    case 2:
    case 3: return box | special_s[below(p, SM_ARRAY_LEN(special_s))];
    case 4: /* doubles near 1, so that sums and products are inexact in range */
        return sm_insert(bits, 52, 11, 1023 - 30 + below(p, 60));
    case 5: return box | sm_insert(bits & 0xffffffffu, 23, 8, 127 - 15 + below(p, 30));
    case 6: return box | (bits & 0xffffffffu);
    default: return bits;
    }
}

unsigned gen_program(struct gen_random *random, const struct rv_isa *isa,
                     uint64_t address, struct image_cell *cell)
{
    struct program p = {.random = random, .isa = isa, .code = cell->code};
    const uint64_t scratch = address + offsetof(struct image_cell, scratch);

    p.mode = below(&p, 3) ? IMAGE_M : below(&p, IMAGE_N_MODES);
    cell->mode = p.mode;
    cell->fcsr = below(&p, 2) ? below(&p, 5) << 5 : below(&p, 256);
    for (unsigned n = 0; n < 32; n++) {
        cell->x[n] = any_x(&p);
        cell->f[n] = any_f(&p);
    }
    cell->x[REG_SP] = scratch;
    cell->x[REG_S0] = scratch + 512;
    cell->x[REG_S1] = scratch + 640 + (below(&p, 4) ? 0 : below(&p, 8));
    cell->x[REG_WILD] = UINT64_C(0x00a0000000000000);
    for (unsigned i = 0; i < IMAGE_SCRATCH_SIZE / 8; i++) {
        const uint64_t value = below(&p, 2) ? any_f(&p) : any_x(&p);
        memcpy(cell->scratch + 8 * i, &value, 8);
    }

    /* Some begin at an odd halfword, so that instructions cross words and pages. */
    if (below(&p, 2))
        put16(&p, 0x0001);
    const unsigned n_slots = 40 + below(&p, MAX_SLOTS - 40);
    while (p.n_slots < n_slots && p.at < IMAGE_CODE_SIZE - 32)
        slot(&p);
    p.slot[p.n_slots++] = (uint16_t)p.at;
    cell->end = address + offsetof(struct image_cell, code) + p.at;
    put32(&p, ENC_ECALL);
    resolve(&p);
    return p.n_instructions;
}
