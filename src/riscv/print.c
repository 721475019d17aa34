/* SPDX-License-Identifier: MIT */
/* print.c - an instruction in words, as assemblers spell it, aliases left out. */
#include "riscv/riscv_impl.h"

#include <inttypes.h>
#include <stdio.h>

/** Operands of each format, in order:
 *
 *   d s t      x registers rd, rs1, rs2; D S T R   f registers, R is rs3
 *   i          .imm;  m  .imm(rs1);  a  (rs1);  p  where it jumps;  u  upper 20 bits
 *   c z        CSR, zimm or number of a constant;  o  what a FENCE orders
 *   r          rounding mode, unless it is the dynamic one;  Z  "rtz"
 */
static const char *const operands[RV_N_FMTS] = {
    [RV_FMT_R] = "dst", [RV_FMT_R1] = "ds", [RV_FMT_I] = "dsi", [RV_FMT_SHIFT] = "dsi",
    [RV_FMT_SHIFTW] = "dsi", [RV_FMT_LOAD] = "dm", [RV_FMT_S] = "tm", [RV_FMT_B] = "stp",
    [RV_FMT_U] = "du", [RV_FMT_J] = "dp", [RV_FMT_JALR] = "dm", [RV_FMT_FENCE] = "o",
    [RV_FMT_CSR] = "dcs", [RV_FMT_CSRI] = "dcz", [RV_FMT_SFENCE] = "st",
    [RV_FMT_CBO] = "a", [RV_FMT_PREFETCH] = "m", [RV_FMT_LR] = "da",
    [RV_FMT_AMO] = "dta", [RV_FMT_FLOAD] = "Dm", [RV_FMT_FSTORE] = "Tm",
    [RV_FMT_FP_R] = "DST", [RV_FMT_FP_R_RM] = "DSTr", [RV_FMT_FP_R4] = "DSTRr",
    [RV_FMT_FP_F1_RM] = "DSr", [RV_FMT_FP_CMP] = "dST", [RV_FMT_FP_XF] = "dS",
    [RV_FMT_FP_XF_RM] = "dSr", [RV_FMT_FP_XF_RTZ] = "dSZ", [RV_FMT_FP_FX] = "Ds",
    [RV_FMT_FP_FX_RM] = "Dsr", [RV_FMT_FP_LI] = "Dz",
};

static const char *const x_names[32] = {
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0",
    "a1", "a2", "a3", "a4", "a5", "a6", "a7", "s2", "s3", "s4", "s5",
    "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6"};

static const char *const f_names[32] = {
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0",
    "fa1", "fa2", "fa3", "fa4", "fa5", "fa6", "fa7", "fs2", "fs3", "fs4", "fs5",
    "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11"};

static const char *const roundings[8] = {"rne", "rtz", "rdn", "rup",
                                         "rmm", "rm5", "rm6", ""};

static void csr_name(unsigned csr, char *text, size_t size)
{
    static const struct {
        const char *name;
        uint16_t number, n;
    } rows[] = {
#define RV_CSR(name, number, n, ext, field, mask, allow, read, write) {#name, number, n},
#include "riscv/csr.def"
#undef RV_CSR
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (csr == rows[i].number) {
            snprintf(text, size, "%s", rows[i].name);
            return;
        }
    }
    snprintf(text, size, "0x%x", csr);
}

static void fence_sets(int32_t fields, char *text, size_t size)
{
    char sets[2][5];

    for (unsigned i = 0; i < 2; i++) {
        unsigned n = 0;

        for (unsigned bit = 0; bit < 4; bit++)
            if (fields >> (i ? 0 : 4) & (8 >> bit))
                sets[i][n++] = "iorw"[bit];
        if (!n)
            sets[i][n++] = '0';
        sets[i][n] = '\0';
    }
    snprintf(text, size, "%s, %s", sets[0], sets[1]);
}

static void operand(const struct rv_insn *insn, uint64_t pc, char which, char *text,
                    size_t size)
{
    switch (which) {
    case 'd': snprintf(text, size, "%s", x_names[insn->rd & 31]); break;
    case 's': snprintf(text, size, "%s", x_names[insn->rs1 & 31]); break;
    case 't': snprintf(text, size, "%s", x_names[insn->rs2 & 31]); break;
    case 'D': snprintf(text, size, "%s", f_names[insn->rd & 31]); break;
    case 'S': snprintf(text, size, "%s", f_names[insn->rs1 & 31]); break;
    case 'T': snprintf(text, size, "%s", f_names[insn->rs2 & 31]); break;
    case 'R': snprintf(text, size, "%s", f_names[insn->rs3 & 31]); break;
    case 'i': snprintf(text, size, "%" PRId32, insn->imm); break;
    case 'm':
        snprintf(text, size, "%" PRId32 "(%s)", insn->imm, x_names[insn->rs1 & 31]);
        break;
    case 'a': snprintf(text, size, "(%s)", x_names[insn->rs1 & 31]); break;
    case 'p':
        snprintf(text, size, "0x%" PRIx64, pc + (uint64_t)(int64_t)insn->imm);
        break;
    case 'u': snprintf(text, size, "0x%" PRIx32, (uint32_t)insn->imm >> 12); break;
    case 'c': csr_name((unsigned)insn->imm & 0xfff, text, size); break;
    case 'z': snprintf(text, size, "%u", insn->rs1); break;
    case 'o': fence_sets(insn->imm, text, size); break;
    case 'r': snprintf(text, size, "%s", roundings[insn->rm & 7]); break;
    default: snprintf(text, size, "rtz"); break;
    }
}

void rv_insn_text(const struct rv_insn *insn, uint64_t pc, char *text, size_t size)
{
    static const char *const orders[4] = {"", ".rl", ".aq", ".aqrl"};
    const struct rv_insn_row *const row = &rv_insn_table[insn->op];
    const char *which = operands[row->format] ? operands[row->format] : "";
    const bool ordered = row->format == RV_FMT_LR || row->format == RV_FMT_AMO;
    size_t n;

    n = (size_t)snprintf(text, size, "%s%s", row->text,
                         ordered ? orders[insn->imm & 3] : "");
    for (const char *separator = " "; *which && n < size; which++, separator = ", ") {
        char word[40];

        operand(insn, pc, *which, word, sizeof(word));
        if (*word)
            n += (size_t)snprintf(text + n, size - n, "%s%s", separator, word);
    }
}
