/* SPDX-License-Identifier: MIT */
/* random_program.h - random guest programs that end.
 *
 * A program is a row of blocks, gone through some rounds.  Blocks fall through, branch
 * and jump ahead, branch back while there is fuel, and call functions.  What traps goes
 * on at the next block: the handler returns to where x27 says.  Registers that have a
 * meaning are never the destination of a random instruction.
 */
#ifndef TESTS_RISCV_RANDOM_PROGRAM_H
#define TESTS_RISCV_RANDOM_PROGRAM_H

#include "hart_pair.h"

enum {
    R_LINK = 1, R_PTE = 3, R_SATP = 4, R_LINK2 = 5, R_BASE = 20, R_N_BASES = 4,
    R_ROUNDS = 24, R_FUEL, R_TEMP, R_NEXT, R_TEMP2 = 31,
    MAX_CODE = 0x4000, MAX_BLOCKS = 24, MAX_FUNCTIONS = 3, MAX_FIXUPS = 400
};

/** Distances of other mappings of the code: executable by toggling, writable by adding
 *  these. */
enum { ALIAS_X = 0x01000000, ALIAS_W = 0x03000000 };

enum gen_fix { FIX_B, FIX_J, FIX_CJ, FIX_PCREL }; /* FIX_PCREL: auipc and addi or jalr */

struct gen {
    struct fpu_random *random;
    enum rv_priv priv;
    bool paged; /* code has aliases                                            */
    uint8_t code[MAX_CODE];
    unsigned n;
    unsigned label[MAX_BLOCKS + MAX_FUNCTIONS + 1 + MAX_FIXUPS], n_labels;
    struct {
        enum gen_fix kind;
        unsigned at, label;
    } fix[MAX_FIXUPS];
    unsigned n_fixes;
};

/* --- Words ------------------------------------------------------------------ */

SM_INLINE void gen16(struct gen *gen, unsigned half)
{
    memcpy(gen->code + gen->n, &(uint16_t){(uint16_t)half}, 2);
    gen->n += 2;
}

SM_INLINE void gen32(struct gen *gen, uint32_t word)
{
    memcpy(gen->code + gen->n, &word, 4);
    gen->n += 4;
}

SM_INLINE void gen_op(struct gen *gen, enum rv_op op, unsigned rd, unsigned rs1,
                      unsigned rs2, int32_t imm)
{
    gen32(gen, enc(op, rd, rs1, rs2, imm));
}

SM_INLINE unsigned gen_fix_to(struct gen *gen, enum gen_fix kind, unsigned label)
{
    gen->fix[gen->n_fixes].kind = kind;
    gen->fix[gen->n_fixes].at = gen->n;
    gen->fix[gen->n_fixes].label = label;
    return gen->n_fixes++;
}

/** @rd = address of @label. */
SM_INLINE void gen_address(struct gen *gen, unsigned rd, unsigned label)
{
    gen_fix_to(gen, FIX_PCREL, label);
    gen_op(gen, RV_OP_auipc, rd, 0, 0, 0);
    gen_op(gen, RV_OP_addi, rd, rd, 0, 0);
}

/** @rd = sign-extended @value. */
SM_INLINE void gen_const(struct gen *gen, unsigned rd, uint32_t value)
{
    gen_op(gen, RV_OP_lui, rd, 0, 0, (int32_t)(value + 0x800));
    gen_op(gen, RV_OP_addiw, rd, rd, 0, (int32_t)(value << 20) >> 20);
}

SM_INLINE unsigned gen_dest(struct gen *gen)
{
    static const uint8_t regs[] = {0,  2,  6,  7,  8,  9,  10, 11, 12, 13,
                                   14, 15, 16, 17, 18, 19, 28, 29, 30, 31};

    return regs[below(gen->random, sizeof(regs))];
}

SM_INLINE unsigned gen_source(struct gen *gen)
{
    return one_in(gen->random, 3) ? (unsigned)below(gen->random, 32) : gen_dest(gen);
}

SM_INLINE unsigned gen_base(struct gen *gen)
{
    return R_BASE + (unsigned)below(gen->random, R_N_BASES);
}

/* --- Instructions ------------------------------------------------------------- */

SM_INLINE bool gen_writes_f(enum rv_format format)
{
    return format == RV_FMT_FP_R || format == RV_FMT_FP_R_RM || format == RV_FMT_FP_R4 ||
           format == RV_FMT_FP_F1_RM || format == RV_FMT_FP_FX ||
           format == RV_FMT_FP_FX_RM || format == RV_FMT_FP_LI;
}

/** Some operation between registers, as a word. */
SM_INLINE uint32_t gen_alu_word(struct gen *gen, bool fp)
{
    static const enum rv_op arithmetic[] = {
        RV_OP_fadd_s,  RV_OP_fsub_s,  RV_OP_fmul_s,   RV_OP_fdiv_s,   RV_OP_fsqrt_s,
        RV_OP_fadd_d,  RV_OP_fsub_d,  RV_OP_fmul_d,   RV_OP_fdiv_d,   RV_OP_fsqrt_d,
        RV_OP_fmadd_s, RV_OP_fmsub_d, RV_OP_fnmsub_s, RV_OP_fnmadd_d, RV_OP_fcvt_s_d,
        RV_OP_flt_s,   RV_OP_fle_d,   RV_OP_fcvt_s_l, RV_OP_fcvt_d_s};
    const struct rv_insn_row *row;
    enum rv_format format;
    uint32_t word;

    do {
        row = &rv_insn_table[1 + below(gen->random, RV_N_OPS - 1)];
        if (fp && one_in(gen->random, 2))
            row = &rv_insn_table[arithmetic[below(gen->random,
                                                  SM_ARRAY_LEN(arithmetic))]];
        format = (enum rv_format)row->format;
    } while (fp ? format < RV_FMT_FP_R
                : format != RV_FMT_R && format != RV_FMT_R1 && format != RV_FMT_I &&
                      format != RV_FMT_SHIFT && format != RV_FMT_SHIFTW &&
                      format != RV_FMT_U);
    word = (uint32_t)fpu_random_next(gen->random);
    if (!gen_writes_f(format))
        word = (word & ~(31u << 7)) | gen_dest(gen) << 7;
    if (format != RV_FMT_U && format != RV_FMT_I)
        word = (word & ~(31u << 20)) | gen_source(gen) << 20;
    if (format != RV_FMT_U)
        word = (word & ~(31u << 15)) | gen_source(gen) << 15;
    if (fp) { /* few registers, so that results meet */
        word &= ~(28u << 20) & ~(28u << 27);
        if (format != RV_FMT_FP_FX && format != RV_FMT_FP_FX_RM)
            word &= ~(28u << 15);
        if (gen_writes_f(format))
            word &= ~(28u << 7);
        if (!one_in(gen->random, 4))
            word |= (uint32_t)RV_RM_DYN << 12;
    }
    return (word & ~row->mask) | row->match;
}

/** Compressed ones that cannot name what has a meaning: x8..x15 alone. */
SM_INLINE void gen_compressed(struct gen *gen)
{
    static const uint16_t ops[] = {0x8001, 0x8401, 0x8801, 0x8c01, 0x8c21, 0x8c41,
                                   0x8c61, 0x9c01, 0x9c21, 0x0001, 0x2001, 0x4001,
                                   0x0002, 0x8002, 0x9002, 0x6001};
    const unsigned r = 8 + (unsigned)below(gen->random, 8);
    const unsigned bits = (unsigned)fpu_random_next(gen->random);
    const unsigned at = (unsigned)below(gen->random, sizeof(ops) / 2);
    const unsigned op = ops[at];

    if (at < 7)
        gen16(gen, op | (bits & (at < 3 ? 0x13fc : 0x039c)));
    else if (at < 9)
        gen16(gen, op | (bits & 0x039c));
    else if (op == 0x8002 || op == 0x9002) /* with another source than x0 */
        gen16(gen, op | r << 7 | (8 + (bits & 7)) << 2);
    else if (op == 0x6001)
        gen16(gen, op | r << 7 | 4 | (bits & 0x1078));
    else
        gen16(gen, op | r << 7 | (bits & 0x107c));
}

static const enum rv_op gen_mem_ops[] = {
    RV_OP_lb, RV_OP_lh, RV_OP_lw, RV_OP_ld, RV_OP_lbu, RV_OP_lhu, RV_OP_lwu,
    RV_OP_lw, RV_OP_ld, RV_OP_sb, RV_OP_sh, RV_OP_sw, RV_OP_sd, RV_OP_sw,
    RV_OP_sd, RV_OP_flw, RV_OP_fld, RV_OP_fsw, RV_OP_fsd};

SM_INLINE void gen_load_store(struct gen *gen)
{
    const enum rv_op op =
        gen_mem_ops[below(gen->random, SM_ARRAY_LEN(gen_mem_ops))];
    unsigned base = gen_base(gen), n = 1 + (unsigned)below(gen->random, 4);
    int32_t imm = (int32_t)(8 * below(gen->random, 16)) - 64;
    const bool fp = rv_insn_table[op].format == RV_FMT_FLOAD ||
                    rv_insn_table[op].format == RV_FMT_FSTORE;

    if (one_in(gen->random, 8))
        imm = (int32_t)below(gen->random, 4096) - 2048;
    if (one_in(gen->random, 6)) { /* an address that is computed */
        gen_op(gen, RV_OP_andi, R_TEMP, gen_source(gen), 0, 0x7f8);
        gen_op(gen, RV_OP_add, R_TEMP, R_TEMP, base, 0);
        base = R_TEMP;
    } else if (one_in(gen->random, 25) && (gen->paged || op < RV_OP_sb)) {
        base = gen_dest(gen); /* wild, but for stores where code may be written */
    }
    while (n--) { /* off one base, as compilers have them */
        const unsigned reg = fp ? (unsigned)below(gen->random, 4) : gen_dest(gen);

        gen_op(gen, op, reg, base, fp ? reg : gen_source(gen), imm);
        imm = SM_MIN(imm + 8, 2040);
    }
}

SM_INLINE void gen_atomic(struct gen *gen)
{
    const struct rv_insn_row *row;
    enum rv_op op;

    gen_op(gen, RV_OP_addi, R_TEMP, gen_base(gen), 0,
           (int32_t)(4 * below(gen->random, 64)) - 128);
    do {
        op = (enum rv_op)(1 + below(gen->random, RV_N_OPS - 1));
        row = &rv_insn_table[op];
    } while (row->format != RV_FMT_LR && row->format != RV_FMT_AMO &&
             row->format != RV_FMT_CBO);
    if (row->format == RV_FMT_CBO)
        gen_op(gen, op, 0, R_TEMP, 0, (int32_t)(row->match >> 20));
    else
        gen_op(gen, op, gen_dest(gen), R_TEMP, gen_source(gen),
               (int32_t)below(gen->random, 4));
    if (op == RV_OP_lr_d)
        gen_op(gen, RV_OP_sc_d, gen_dest(gen), R_TEMP, gen_source(gen), 0);
    if (op == RV_OP_lr_w)
        gen_op(gen, RV_OP_sc_w, gen_dest(gen), R_TEMP, gen_source(gen), 0);
}

SM_INLINE void gen_csr(struct gen *gen)
{
    static const uint16_t all[] = {RV_CSRNO_fflags, RV_CSRNO_frm, RV_CSRNO_fcsr};
    static const uint16_t counters[] = {RV_CSRNO_cycle, RV_CSRNO_instret, RV_CSRNO_time};
    static const uint16_t s[] = {RV_CSRNO_sscratch, RV_CSRNO_scause, RV_CSRNO_stval,
                                 RV_CSRNO_sepc, RV_CSRNO_sstatus, RV_CSRNO_satp};
    static const uint16_t m[] = {RV_CSRNO_sscratch, RV_CSRNO_mtval, RV_CSRNO_mcause,
                                 RV_CSRNO_minstret, RV_CSRNO_mcycle, RV_CSRNO_mstatus};
    static const enum rv_op ops[] = {RV_OP_csrrw, RV_OP_csrrs, RV_OP_csrrc,
                                     RV_OP_csrrwi, RV_OP_csrrsi, RV_OP_csrrci};
    const enum rv_op op = ops[below(gen->random, SM_ARRAY_LEN(ops))];
    const unsigned which = (unsigned)below(gen->random, 4);
    unsigned csr, source = gen_source(gen);

    if (one_in(gen->random, 4)) { /* flags anew, in a mode that there is */
        gen_op(gen, RV_OP_csrrwi, gen_dest(gen), 0, 0, RV_CSRNO_fflags);
        gen_op(gen, RV_OP_csrrwi, gen_dest(gen), (unsigned)below(gen->random, 5), 0,
               RV_CSRNO_frm);
        return;
    }
    if (which == 0) {
        gen_op(gen, RV_OP_csrrs, gen_dest(gen), 0, 0,
               counters[below(gen->random, SM_ARRAY_LEN(counters))]);
        return;
    }
    if (which == 1 || gen->priv == RV_PRIV_U)
        csr = all[below(gen->random, SM_ARRAY_LEN(all))];
    else if (gen->priv == RV_PRIV_S)
        csr = s[below(gen->random, SM_ARRAY_LEN(s))];
    else
        csr = m[below(gen->random, SM_ARRAY_LEN(m))];
    switch (csr) {
    case RV_CSRNO_satp: /* to the other address space */
        gen_op(gen, RV_OP_csrrs, R_TEMP, 0, 0, RV_CSRNO_satp);
        gen_op(gen, RV_OP_xor, R_TEMP, R_TEMP, R_SATP, 0);
        gen_op(gen, RV_OP_csrrw, 0, R_TEMP, 0, RV_CSRNO_satp);
        return;
    case RV_CSRNO_sstatus:
    case RV_CSRNO_mstatus: /* FS off or dirty; SUM, MXR */
        gen_const(gen, R_TEMP, gen->priv == RV_PRIV_M || one_in(gen->random, 3) ? 0x6000
                               : one_in(gen->random, 2) ? RV_MSTATUS_SUM
                                                        : RV_MSTATUS_MXR);
        gen_op(gen, one_in(gen->random, 3) ? RV_OP_csrrc : RV_OP_csrrs, gen_dest(gen),
               R_TEMP, 0, (int32_t)csr);
        return;
    default: break;
    }
    gen_op(gen, op, gen_dest(gen), source, 0, (int32_t)csr);
}

/** Fences, hints, what traps; changes of page tables. */
SM_INLINE void gen_system(struct gen *gen)
{
    static const uint16_t pte_bits[] = {1, 2, 4, 16, 64, 128};

    switch (below(gen->random, 8)) {
    case 0:
        gen_op(gen, RV_OP_fence, 0, 0, 0, (int32_t)below(gen->random, 256));
        break;
    case 1: gen_op(gen, RV_OP_fence_i, 0, 0, 0, 0); break;
    case 2: gen_op(gen, RV_OP_pause, 0, 0, 0, 0); break;
    case 3:
        gen_op(gen, one_in(gen->random, 2) ? RV_OP_ebreak : RV_OP_wrs_sto, 0, 0, 0, 0);
        break;
    case 4: gen16(gen, 0); break; /* never an instruction */
    case 5:
        gen_op(gen, RV_OP_sfence_vma, 0, one_in(gen->random, 2) ? gen_base(gen) : 0,
               one_in(gen->random, 2) ? R_SATP : 0, 0);
        break;
    default:
        if (!gen->paged || gen->priv != RV_PRIV_S)
            break;
        gen_op(gen, RV_OP_ld, R_TEMP, R_PTE, 0, 0);
        gen_op(gen, RV_OP_xori, R_TEMP, R_TEMP, 0,
               pte_bits[below(gen->random, SM_ARRAY_LEN(pte_bits))]);
        gen_op(gen, RV_OP_sd, 0, R_PTE, R_TEMP, 0);
        gen_op(gen, RV_OP_sfence_vma, 0, 0, 0, 0);
        break;
    }
}

SM_INLINE void gen_alu(struct gen *gen)
{
    if (one_in(gen->random, 3))
        gen_compressed(gen);
    else
        gen32(gen, gen_alu_word(gen, false));
}

SM_INLINE void gen_body(struct gen *gen)
{
    unsigned n = 1 + (unsigned)below(gen->random, 8);

    while (n--) {
        const unsigned kind = (unsigned)below(gen->random, 40);

        if (kind < 18)
            gen_alu(gen);
        else if (kind < 27)
            gen_load_store(gen);
        else if (kind < 34)
            gen32(gen, gen_alu_word(gen, true));
        else if (kind < 36)
            gen_csr(gen);
        else if (kind < 38)
            gen_atomic(gen);
        else if (kind < 39)
            gen_system(gen);
        else
            gen_alu(gen);
    }
}

/* --- Control ------------------------------------------------------------------ */

/** Put some instruction where label @slot is, and have it fetched. */
SM_INLINE void gen_patch(struct gen *gen, unsigned slot)
{
    gen_address(gen, R_TEMP, slot);
    if (gen->paged) {
        gen_const(gen, R_TEMP2, ALIAS_W);
        gen_op(gen, RV_OP_add, R_TEMP, R_TEMP, R_TEMP2, 0);
    }
    gen_const(gen, R_TEMP2, gen_alu_word(gen, false));
    gen_op(gen, RV_OP_sw, 0, R_TEMP, R_TEMP2, 0);
    gen_op(gen, RV_OP_fence_i, 0, 0, 0, 0);
}

SM_INLINE void gen_branch_to(struct gen *gen, unsigned label)
{
    static const enum rv_op ops[] = {RV_OP_beq, RV_OP_bne,  RV_OP_blt,
                                     RV_OP_bge, RV_OP_bltu, RV_OP_bgeu};

    gen_fix_to(gen, FIX_B, label);
    gen_op(gen, ops[below(gen->random, SM_ARRAY_LEN(ops))], 0, gen_source(gen),
           gen_source(gen), 0);
}

/** The register by which function @n is called: it returns to there, or nowhere good. */
SM_INLINE unsigned gen_link(unsigned n)
{
    return n ? R_LINK : R_LINK2;
}

/** Call some function, as near ones and as far ones are. */
SM_INLINE void gen_call(struct gen *gen)
{
    const unsigned n = (unsigned)below(gen->random, MAX_FUNCTIONS);
    const unsigned label = MAX_BLOCKS + 1 + n, link = gen_link(n);

    if (one_in(gen->random, 2)) {
        gen_fix_to(gen, FIX_J, label);
        gen_op(gen, RV_OP_jal, link, 0, 0, 0);
    } else {
        gen_address(gen, R_TEMP, label);
        gen_op(gen, RV_OP_jalr, link, R_TEMP, 0, 0);
    }
}

/** End block @n of @n_blocks. */
SM_INLINE void gen_end_block(struct gen *gen, unsigned n, unsigned n_blocks)
{
    const unsigned ahead = n + 1 + (unsigned)below(gen->random, n_blocks - n);
    const unsigned back = n ? 1 + (unsigned)below(gen->random, n) : 0;

    switch (below(gen->random, 10)) {
    case 0:
    case 1:
    case 2: gen_branch_to(gen, ahead); break;
    case 3:
    case 4: /* while there is fuel, which block 0 has from nowhere */
        if (!back)
            break;
        gen_op(gen, RV_OP_addi, R_FUEL, R_FUEL, 0, -1);
        gen_fix_to(gen, FIX_B, back);
        gen_op(gen, RV_OP_blt, 0, 0, R_FUEL, 0);
        break;
    case 5:
        gen_fix_to(gen, FIX_J, ahead);
        gen_op(gen, RV_OP_jal, 0, 0, 0, 0);
        break;
    case 6:
        gen_fix_to(gen, FIX_CJ, ahead);
        gen16(gen, 0xa001);
        break;
    case 7: /* anywhere, by a register; by the other mapping, too */
        gen_address(gen, R_TEMP, ahead);
        if (gen->paged && one_in(gen->random, 2)) {
            gen_op(gen, RV_OP_lui, R_TEMP2, 0, 0, ALIAS_X);
            gen_op(gen, RV_OP_xor, R_TEMP, R_TEMP, R_TEMP2, 0);
        }
        gen_op(gen, RV_OP_jalr, one_in(gen->random, 2) ? 0 : gen_dest(gen), R_TEMP, 0, 0);
        break;
    default:
        if (one_in(gen->random, 2))
            gen_call(gen);
        break;
    }
}

SM_INLINE void gen_pad(struct gen *gen)
{
    /* Now and then to near a page's end. */
    if (one_in(gen->random, 6)) {
        const unsigned end = (gen->n | 0xfff) + 1 - 2 * (unsigned)below(gen->random, 8);

        if (end >= MAX_CODE - 0x800 || end < gen->n)
            return;
        if (end - gen->n >= 8)
            gen_op(gen, RV_OP_jal, 0, 0, 0, (int32_t)(end - gen->n));
        while (gen->n < end)
            gen16(gen, 1); /* c.nop */
    }
}

SM_INLINE void gen_function(struct gen *gen, unsigned label, unsigned link)
{
    gen->label[label] = gen->n;
    for (unsigned n = (unsigned)below(gen->random, 6); n > 0; n--)
        gen_alu(gen);
    if (one_in(gen->random, 3))
        gen_load_store(gen);
    gen_op(gen, RV_OP_jalr, 0, link, 0, 0);
}

/** Patch what was emitted for the fixup, now that all labels are known. */
SM_INLINE void gen_resolve(struct gen *gen, unsigned n)
{
    const unsigned at = gen->fix[n].at;
    const int32_t distance = (int32_t)gen->label[gen->fix[n].label] - (int32_t)at;
    uint32_t word, nop = 0x13;
    unsigned half;

    memcpy(&word, gen->code + at, 4);
    switch (gen->fix[n].kind) {
    case FIX_B:
        if (distance < -4096 || distance > 4094)
            word = nop; /* too far: go on */
        else
            word |= enc(RV_OP_beq, 0, 0, 0, distance) & ~rv_insn_table[RV_OP_beq].match;
        break;
    case FIX_J:
        word |= enc(RV_OP_jal, 0, 0, 0, distance) & ~rv_insn_table[RV_OP_jal].match;
        break;
    case FIX_CJ:
        half = 1;
        if (distance >= -2048 && distance <= 2046) {
            const uint32_t d = (uint32_t)distance;

            half = 0xa001 | (d >> 1 & 7) << 3 | (d >> 4 & 1) << 11 | (d >> 5 & 1) << 2 |
                   (d >> 6 & 1) << 7 | (d >> 7 & 1) << 6 | (d >> 8 & 3) << 9 |
                   (d >> 10 & 1) << 8 | (d >> 11 & 1) << 12;
        }
        memcpy(gen->code + at, &(uint16_t){(uint16_t)half}, 2);
        return;
    case FIX_PCREL:
        word |= (uint32_t)(distance + 0x800) & 0xfffff000;
        memcpy(gen->code + at, &word, 4);
        memcpy(&word, gen->code + at + 4, 4);
        word |= (uint32_t)distance << 20;
        memcpy(gen->code + at + 4, &word, 4);
        return;
    }
    memcpy(gen->code + at, &word, 4);
}

/** Make a program in gen->code, to begin at its first byte and to end in ECALL. */
SM_INLINE void gen_program(struct gen *gen, struct fpu_random *random, enum rv_priv priv,
                           bool paged)
{
    const unsigned n_blocks = 4 + (unsigned)below(random, MAX_BLOCKS - 4);
    unsigned slot = MAX_BLOCKS + MAX_FUNCTIONS + 1;

    memset(gen, 0, sizeof(*gen));
    gen->random = random;
    gen->priv = priv;
    gen->paged = paged;
    for (unsigned n = 0; n < n_blocks; n++) {
        gen_pad(gen);
        gen->label[n] = gen->n;
        gen_address(gen, R_NEXT, n + 1);
        if (n == 0) {
            gen_op(gen, RV_OP_addi, R_FUEL, 0, 0, 12);
            gen_const(gen, R_TEMP, 0x6000);
            if (priv != RV_PRIV_U)
                gen_op(gen, RV_OP_csrrs, 0, R_TEMP, 0, RV_CSRNO_sstatus);
        }
        gen_body(gen);
        if (one_in(random, 6)) { /* something that others may replace */
            gen->label[slot] = gen->n;
            gen_op(gen, RV_OP_addi, 8, 8, 0, 1);
            gen_body(gen);
            gen_patch(gen, slot++);
        }
        gen_end_block(gen, n, n_blocks);
    }
    gen->label[n_blocks] = gen->n;
    gen_op(gen, RV_OP_addi, R_ROUNDS, R_ROUNDS, 0, -1);
    gen_op(gen, RV_OP_bge, 0, 0, R_ROUNDS, 8);
    gen_fix_to(gen, FIX_J, 0);
    gen_op(gen, RV_OP_jal, 0, 0, 0, 0);
    gen_op(gen, RV_OP_ecall, 0, 0, 0, 0);
    for (unsigned n = 0; n < MAX_FUNCTIONS; n++)
        gen_function(gen, MAX_BLOCKS + 1 + n, gen_link(n));
    for (unsigned n = 0; n < gen->n_fixes; n++)
        gen_resolve(gen, n);
    assert_true(gen->n <= MAX_CODE && gen->n_fixes <= MAX_FIXUPS);
}

#endif
