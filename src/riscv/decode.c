/* SPDX-License-Identifier: MIT */
/* decode.c - turns a word into an operation and operands.
 *
 * Instructions of 32 bits are found by their major opcode first; the rows of
 * isa.def that share one are then compared in order.  The rows being constants,
 * the compiler makes a decision tree of each major opcode's share.
 */
#include "riscv/riscv_impl.h"

const struct rv_insn_row rv_insn_table[RV_N_OPS] = {
    [RV_OP_illegal] = {.text = "illegal", .format = RV_FMT_NONE},
#define RV_INSN(name, text, mask, match, format, ext)                                    \
    [RV_OP_##name] = {text, mask, match, ext, RV_FMT_##format},
#include "riscv/isa.def"
#undef RV_INSN
};

/* --- 32 bits --------------------------------------------------------------- */

/** The operation of @word, whose major opcode is @major, a constant. */
SM_ALWAYS_INLINE enum rv_op rv_match(uint32_t word, unsigned major)
{
#define RV_INSN(name, text, mask, match, format, ext)                                    \
    if (((match) & 0x7f) == major && (word & (mask)) == (match))                         \
        return RV_OP_##name;
#include "riscv/isa.def"
#undef RV_INSN
    return RV_OP_illegal;
}

static enum rv_op rv_find(uint32_t word)
{
    switch (word & 0x7f) {
    case 0x03: return rv_match(word, 0x03); /* LOAD                            */
    case 0x07: return rv_match(word, 0x07); /* LOAD-FP                         */
    case 0x0f: return rv_match(word, 0x0f); /* MISC-MEM                        */
    case 0x13: return rv_match(word, 0x13); /* OP-IMM                          */
    case 0x17: return RV_OP_auipc;
    case 0x1b: return rv_match(word, 0x1b); /* OP-IMM-32                       */
    case 0x23: return rv_match(word, 0x23); /* STORE                           */
    case 0x27: return rv_match(word, 0x27); /* STORE-FP                        */
    case 0x2f: return rv_match(word, 0x2f); /* AMO                             */
    case 0x33: return rv_match(word, 0x33); /* OP                              */
    case 0x37: return RV_OP_lui;
    case 0x3b: return rv_match(word, 0x3b); /* OP-32                           */
    case 0x43: return rv_match(word, 0x43); /* MADD                            */
    case 0x47: return rv_match(word, 0x47); /* MSUB                            */
    case 0x4b: return rv_match(word, 0x4b); /* NMSUB                           */
    case 0x4f: return rv_match(word, 0x4f); /* NMADD                           */
    case 0x53: return rv_match(word, 0x53); /* OP-FP                           */
    case 0x63: return rv_match(word, 0x63); /* BRANCH                          */
    case 0x67: return rv_match(word, 0x67); /* JALR                            */
    case 0x6f: return RV_OP_jal;
    case 0x73: return rv_match(word, 0x73); /* SYSTEM                          */
    default: return RV_OP_illegal;
    }
}

static int32_t rv_imm_i(uint32_t word)
{
    return (int32_t)word >> 20;
}

static int32_t rv_imm_s(uint32_t word)
{
    return ((int32_t)word >> 25) * 32 + (int32_t)sm_extract(word, 7, 5);
}

static int32_t rv_imm_b(uint32_t word)
{
    const uint64_t imm = sm_extract(word, 8, 4) << 1 | sm_extract(word, 25, 6) << 5 |
                         sm_extract(word, 7, 1) << 11 | sm_extract(word, 31, 1) << 12;
    return (int32_t)sm_sign_extend(imm, 13);
}

static int32_t rv_imm_j(uint32_t word)
{
    const uint64_t imm = sm_extract(word, 21, 10) << 1 | sm_extract(word, 20, 1) << 11 |
                         sm_extract(word, 12, 8) << 12 | sm_extract(word, 31, 1) << 20;
    return (int32_t)sm_sign_extend(imm, 21);
}

static int32_t rv_imm(uint32_t word, enum rv_format format)
{
    switch (format) {
    case RV_FMT_I:
    case RV_FMT_LOAD:
    case RV_FMT_JALR:
    case RV_FMT_FLOAD:
        return rv_imm_i(word);
    case RV_FMT_S:
    case RV_FMT_FSTORE:
        return rv_imm_s(word);
    case RV_FMT_PREFETCH:
        return rv_imm_i(word) & ~0x1f;
    case RV_FMT_B:
        return rv_imm_b(word);
    case RV_FMT_U:
        return (int32_t)(word & 0xfffff000);
    case RV_FMT_J:
        return rv_imm_j(word);
    case RV_FMT_SHIFT:
        return (int32_t)sm_extract(word, 20, 6);
    case RV_FMT_SHIFTW:
        return (int32_t)sm_extract(word, 20, 5);
    case RV_FMT_FENCE:
    case RV_FMT_CSR:
    case RV_FMT_CSRI:
        return (int32_t)(word >> 20);
    case RV_FMT_LR:
    case RV_FMT_AMO:
        return (int32_t)sm_extract(word, 25, 2);
    default:
        return 0;
    }
}

static void rv_decode_32(const struct rv_isa *isa, uint32_t word, struct rv_insn *out)
{
    enum rv_op op = rv_find(word);

    if (rv_insn_table[op].ext & ~isa->ext) {
        /* Hints are instructions even where what they hint at is absent. */
        if (op == RV_OP_pause)
            op = RV_OP_fence;
        else if (rv_insn_table[op].format == RV_FMT_PREFETCH)
            op = RV_OP_ori;
        else
            op = RV_OP_illegal;
    }
    *out = (struct rv_insn){
        .op = (uint16_t)op,
        .len = 4,
        .rd = (uint8_t)sm_extract(word, 7, 5),
        .rs1 = (uint8_t)sm_extract(word, 15, 5),
        .rs2 = (uint8_t)sm_extract(word, 20, 5),
        .rs3 = (uint8_t)sm_extract(word, 27, 5),
        .rm = (uint8_t)sm_extract(word, 12, 3),
        .imm = rv_imm(word, (enum rv_format)rv_insn_table[op].format),
        .raw = word,
    };
}

/* --- 16 bits --------------------------------------------------------------- */

/** Operands of compressed instructions; "'": x8..x15 in 3 bits. */
enum rvc_format {
    RVC_FMT_CIW,      /* rd', sp, nzuimm                                       */
    RVC_FMT_CL_W,     /* rd', uimm(rs1'), words                                */
    RVC_FMT_CL_D,     /* the same, doublewords                                 */
    RVC_FMT_CS_W,     /* rs2', uimm(rs1'), words                               */
    RVC_FMT_CS_D,     /* the same, doublewords                                 */
    RVC_FMT_CI,       /* rd, rd, imm                                           */
    RVC_FMT_CI_RD,    /* the same; rd 0 is reserved                            */
    RVC_FMT_CI_LI,    /* rd, x0, imm                                           */
    RVC_FMT_CI_16SP,  /* sp, sp, nzimm of 16s                                  */
    RVC_FMT_CI_LUI,   /* rd, nzimm of 4096s                                    */
    RVC_FMT_CI_SHIFT, /* rd, rd, shamt                                         */
    RVC_FMT_CI_LWSP,  /* rd, uimm(sp), words; rd 0 is reserved                 */
    RVC_FMT_CI_LDSP,  /* the same, doublewords                                 */
    RVC_FMT_CI_FLDSP, /* fd, uimm(sp), doublewords                             */
    RVC_FMT_CSS_W,    /* rs2, uimm(sp), words                                  */
    RVC_FMT_CSS_D,    /* the same, doublewords                                 */
    RVC_FMT_CB_SHIFT, /* rd', rd', shamt                                       */
    RVC_FMT_CB_IMM,   /* rd', rd', imm                                         */
    RVC_FMT_CA,       /* rd', rd', rs2'                                        */
    RVC_FMT_CJ,       /* x0, pc + imm                                          */
    RVC_FMT_CB,       /* rs1', x0, pc + imm                                    */
    RVC_FMT_CR_JR,    /* x0, 0(rs1); rs1 0 is reserved                         */
    RVC_FMT_CR_JALR,  /* ra, 0(rs1)                                            */
    RVC_FMT_CR_MV,    /* rd, x0, rs2                                           */
    RVC_FMT_CR_ADD,   /* rd, rd, rs2                                           */
    RVC_FMT_CR_NONE
};

struct rvc_row {
    uint16_t mask, match, op;
    uint8_t format;
    uint64_t ext;
};

static const struct rvc_row rvc_table[] = {
#define RVC_INSN(name, text, mask, match, format, ext, op)                               \
    {mask, match, RV_OP_##op, RVC_FMT_##format, ext},
#include "riscv/isa_c.def"
#undef RVC_INSN
};

enum rvc_row_number {
#define RVC_INSN(name, text, mask, match, format, ext, op) RVC_ROW_##name,
#include "riscv/isa_c.def"
#undef RVC_INSN
    RVC_N_ROWS
};

/** First row of each quadrant and funct3 (index funct3 << 2 | quadrant), which are
 *  the order of isa_c.def; the rows of one stand together. */
static const uint8_t rvc_first[32] = {
    [0 << 2 | 0] = RVC_ROW_c_addi4spn, [1 << 2 | 0] = RVC_ROW_c_fld,
    [2 << 2 | 0] = RVC_ROW_c_lw,       [3 << 2 | 0] = RVC_ROW_c_ld,
    [4 << 2 | 0] = RVC_N_ROWS,         [5 << 2 | 0] = RVC_ROW_c_fsd,
    [6 << 2 | 0] = RVC_ROW_c_sw,       [7 << 2 | 0] = RVC_ROW_c_sd,
    [0 << 2 | 1] = RVC_ROW_c_addi,     [1 << 2 | 1] = RVC_ROW_c_addiw,
    [2 << 2 | 1] = RVC_ROW_c_li,       [3 << 2 | 1] = RVC_ROW_c_addi16sp,
    [4 << 2 | 1] = RVC_ROW_c_srli,     [5 << 2 | 1] = RVC_ROW_c_j,
    [6 << 2 | 1] = RVC_ROW_c_beqz,     [7 << 2 | 1] = RVC_ROW_c_bnez,
    [0 << 2 | 2] = RVC_ROW_c_slli,     [1 << 2 | 2] = RVC_ROW_c_fldsp,
    [2 << 2 | 2] = RVC_ROW_c_lwsp,     [3 << 2 | 2] = RVC_ROW_c_ldsp,
    [4 << 2 | 2] = RVC_ROW_c_jr,       [5 << 2 | 2] = RVC_ROW_c_fsdsp,
    [6 << 2 | 2] = RVC_ROW_c_swsp,     [7 << 2 | 2] = RVC_ROW_c_sdsp,
};

/** Immediates, as "RVC Instruction Formats" scatters them. */
static int32_t rvc_imm6(unsigned half)
{
    return (int32_t)sm_sign_extend(sm_extract(half, 2, 5) | sm_extract(half, 12, 1) << 5,
                                   6);
}

static int32_t rvc_uimm_w(unsigned half)
{
    return (int32_t)(sm_extract(half, 6, 1) << 2 | sm_extract(half, 10, 3) << 3 |
                     sm_extract(half, 5, 1) << 6);
}

static int32_t rvc_uimm_d(unsigned half)
{
    return (int32_t)(sm_extract(half, 10, 3) << 3 | sm_extract(half, 5, 2) << 6);
}

static int32_t rvc_uimm_4spn(unsigned half)
{
    return (int32_t)(sm_extract(half, 6, 1) << 2 | sm_extract(half, 5, 1) << 3 |
                     sm_extract(half, 11, 2) << 4 | sm_extract(half, 7, 4) << 6);
}

static int32_t rvc_imm_16sp(unsigned half)
{
    const uint64_t imm = sm_extract(half, 6, 1) << 4 | sm_extract(half, 2, 1) << 5 |
                         sm_extract(half, 5, 1) << 6 | sm_extract(half, 3, 2) << 7 |
                         sm_extract(half, 12, 1) << 9;
    return (int32_t)sm_sign_extend(imm, 10);
}

static int32_t rvc_uimm_lwsp(unsigned half)
{
    return (int32_t)(sm_extract(half, 4, 3) << 2 | sm_extract(half, 12, 1) << 5 |
                     sm_extract(half, 2, 2) << 6);
}

static int32_t rvc_uimm_ldsp(unsigned half)
{
    return (int32_t)(sm_extract(half, 5, 2) << 3 | sm_extract(half, 12, 1) << 5 |
                     sm_extract(half, 2, 3) << 6);
}

static int32_t rvc_imm_cj(unsigned half)
{
    const uint64_t imm = sm_extract(half, 3, 3) << 1 | sm_extract(half, 11, 1) << 4 |
                         sm_extract(half, 2, 1) << 5 | sm_extract(half, 7, 1) << 6 |
                         sm_extract(half, 6, 1) << 7 | sm_extract(half, 9, 2) << 8 |
                         sm_extract(half, 8, 1) << 10 | sm_extract(half, 12, 1) << 11;
    return (int32_t)sm_sign_extend(imm, 12);
}

static int32_t rvc_imm_cb(unsigned half)
{
    const uint64_t imm = sm_extract(half, 3, 2) << 1 | sm_extract(half, 10, 2) << 3 |
                         sm_extract(half, 2, 1) << 5 | sm_extract(half, 5, 2) << 6 |
                         sm_extract(half, 12, 1) << 8;
    return (int32_t)sm_sign_extend(imm, 9);
}

SM_INLINE void rvc_set(struct rv_insn *out, unsigned rd, unsigned rs1, unsigned rs2,
                       int32_t imm)
{
    out->rd = (uint8_t)rd;
    out->rs1 = (uint8_t)rs1;
    out->rs2 = (uint8_t)rs2;
    out->imm = imm;
}

/** Fill the operands.  Returns false for a reserved form. */
static bool rvc_operands(unsigned half, enum rvc_format format, struct rv_insn *out)
{
    enum { SP = 2, RA = 1 };
    const unsigned r7 = (half >> 7) & 31, r2 = (half >> 2) & 31;
    const unsigned p7 = 8 + ((half >> 7) & 7), p2 = 8 + ((half >> 2) & 7);
    const int32_t imm6 = rvc_imm6(half);

    switch (format) {
    case RVC_FMT_CIW:
        rvc_set(out, p2, SP, 0, rvc_uimm_4spn(half));
        return out->imm != 0;
    case RVC_FMT_CL_W: rvc_set(out, p2, p7, 0, rvc_uimm_w(half)); return true;
    case RVC_FMT_CL_D: rvc_set(out, p2, p7, 0, rvc_uimm_d(half)); return true;
    case RVC_FMT_CS_W: rvc_set(out, 0, p7, p2, rvc_uimm_w(half)); return true;
    case RVC_FMT_CS_D: rvc_set(out, 0, p7, p2, rvc_uimm_d(half)); return true;
    case RVC_FMT_CI: rvc_set(out, r7, r7, 0, imm6); return true;
    case RVC_FMT_CI_RD: rvc_set(out, r7, r7, 0, imm6); return r7 != 0;
    case RVC_FMT_CI_LI: rvc_set(out, r7, 0, 0, imm6); return true;
    case RVC_FMT_CI_16SP:
        rvc_set(out, SP, SP, 0, rvc_imm_16sp(half));
        return out->imm != 0;
    case RVC_FMT_CI_LUI: rvc_set(out, r7, 0, 0, imm6 * 4096); return imm6 != 0;
    case RVC_FMT_CI_SHIFT: rvc_set(out, r7, r7, 0, imm6 & 63); return true;
    case RVC_FMT_CI_LWSP: rvc_set(out, r7, SP, 0, rvc_uimm_lwsp(half)); return r7 != 0;
    case RVC_FMT_CI_LDSP: rvc_set(out, r7, SP, 0, rvc_uimm_ldsp(half)); return r7 != 0;
    case RVC_FMT_CI_FLDSP: rvc_set(out, r7, SP, 0, rvc_uimm_ldsp(half)); return true;
    case RVC_FMT_CSS_W:
        rvc_set(out, 0, SP, r2,
                (int32_t)(sm_extract(half, 9, 4) << 2 | sm_extract(half, 7, 2) << 6));
        return true;
    case RVC_FMT_CSS_D:
        rvc_set(out, 0, SP, r2,
                (int32_t)(sm_extract(half, 10, 3) << 3 | sm_extract(half, 7, 3) << 6));
        return true;
    case RVC_FMT_CB_SHIFT: rvc_set(out, p7, p7, 0, imm6 & 63); return true;
    case RVC_FMT_CB_IMM: rvc_set(out, p7, p7, 0, imm6); return true;
    case RVC_FMT_CA: rvc_set(out, p7, p7, p2, 0); return true;
    case RVC_FMT_CJ: rvc_set(out, 0, 0, 0, rvc_imm_cj(half)); return true;
    case RVC_FMT_CB: rvc_set(out, 0, p7, 0, rvc_imm_cb(half)); return true;
    case RVC_FMT_CR_JR: rvc_set(out, 0, r7, 0, 0); return r7 != 0;
    case RVC_FMT_CR_JALR: rvc_set(out, RA, r7, 0, 0); return true;
    case RVC_FMT_CR_MV: rvc_set(out, r7, 0, r2, 0); return true;
    case RVC_FMT_CR_ADD: rvc_set(out, r7, r7, r2, 0); return true;
    case RVC_FMT_CR_NONE: rvc_set(out, 0, 0, 0, 0); return true;
    }
    return false;
}

static void rv_decode_16(const struct rv_isa *isa, unsigned half, struct rv_insn *out)
{
    const unsigned group = (half >> 13) << 2 | (half & 3);

    *out = (struct rv_insn){.op = RV_OP_illegal, .len = 2, .raw = half};
    for (unsigned n = rvc_first[group]; n < RVC_N_ROWS; n++) {
        const struct rvc_row *row = &rvc_table[n];

        if ((half & row->mask) != row->match)
            continue;
        if (!(row->ext & ~isa->ext) &&
            rvc_operands(half, (enum rvc_format)row->format, out))
            out->op = row->op;
        return;
    }
}

void rv_decode(const struct rv_isa *isa, uint32_t word, struct rv_insn *out)
{
    if ((word & 3) == 3)
        rv_decode_32(isa, word, out);
    else
        rv_decode_16(isa, word & 0xffff, out);
}
