/* SPDX-License-Identifier: MIT */
/* ir_print.c - writes a unit as text.
 *
 *     way 0: near 0x130, retired
 *     call 0
 *     place 0: 0x124..0x128
 *       ld.s32 %3, [sp + 16]
 *       add a0, a0, #1
 *       exit_if.eq %3, #0, way 0
 *
 * Globals go by their names, temporaries are %number, constants #value.  What a broken
 * unit names and has not is written as ?number.
 */
#include "jit/ir_text.h"

#include "base/base.h"

#include <inttypes.h>

const char *const jit_text_aux[][JIT_TEXT_AUX] = {
    [JIT_AUX__] = {NULL},
    [JIT_AUX_COND] = {"eq", "ne", "lt", "ge", "le", "gt", "ltu", "geu", "leu", "gtu"},
    [JIT_AUX_MEM] = {"u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64"},
    [JIT_AUX_SIZE] = {"8", "16", "32"},
    [JIT_AUX_PREC] = {"s", "d"},
    [JIT_AUX_FCOND] = {"eq", "lt", "le"},
    [JIT_AUX_JUMP] = {"plain", "call", "return"},
    [JIT_AUX_RW] = {"read", "write"},
    [JIT_AUX_INT] = {"s32", "u32", "s64", "u64"},
    [JIT_AUX_ROUND] = {"mode", "even", "down", "up", "zero", "away"},
};
const char *const jit_text_rmw[JIT_TEXT_RMWS] = {"swap", "add", "and",  "or",  "xor",
                                                 "min",  "max", "minu", "maxu"};
SM_STATIC_ASSERT((int)JIT_TEXT_RMWS == (int)SM_N_RMW, "each has a name");
const char *const jit_text_kind[JIT_TEXT_KINDS] = {"near", "far", "aside"};

const char *jit_text_aux_name(unsigned aux, unsigned value)
{
    return value < JIT_TEXT_AUX ? jit_text_aux[aux][value] : NULL;
}

enum jit_form jit_text_form(enum jit_op op)
{
    switch (op) {
    case JIT_OP_here: return JIT_FORM_PAGE;
    case JIT_OP_lds:
    case JIT_OP_sts: return JIT_FORM_GUEST;
    case JIT_OP_ld:
    case JIT_OP_st:
    case JIT_OP_lr:
    case JIT_OP_sc:
    case JIT_OP_fld:
    case JIT_OP_fst:
    case JIT_OP_chk:
    case JIT_OP_ldh:
    case JIT_OP_sth:
    case JIT_OP_fldh:
    case JIT_OP_fsth: return JIT_FORM_MEMORY;
    case JIT_OP_rmw: return JIT_FORM_RMW;
    case JIT_OP_fset: return JIT_FORM_PRECISION;
    case JIT_OP_ftoi: return JIT_FORM_TO;
    case JIT_OP_call: return JIT_FORM_NUMBER;
    case JIT_OP_exit:
    case JIT_OP_exit_if: return JIT_FORM_WAY;
    default: return JIT_FORM_REGISTERS;
    }
}

static void print_reg(const struct jit_ir *ir, jit_reg reg, FILE *to)
{
    if (jit_ir_class(ir, reg) == JIT_CLASS_NONE) {
        fprintf(to, "?%u", reg);
    } else if (jit_is_global(reg)) {
        fputs(ir->globals[reg].name, to);
    } else if (jit_is_temp(reg)) {
        fprintf(to, "%%%u", reg - JIT_TEMP0);
    } else {
        const uint64_t value = jit_ir_value(ir, reg);
        if (value + 65536 < 131072)
            fprintf(to, "#%" PRId64, (int64_t)value);
        else
            fprintf(to, "#0x%" PRIx64, value);
    }
}

/** Write @base plus @imm, hexadecimal if @hex. */
static void print_sum(int32_t imm, bool hex, FILE *to)
{
    const uint32_t size = imm < 0 ? -(uint32_t)imm : (uint32_t)imm;
    if (imm)
        fprintf(to, hex ? " %c 0x%" PRIx32 : " %c %" PRIu32, imm < 0 ? '-' : '+', size);
}

/** What goes before the next operand. */
static void print_comma(bool *any, FILE *to)
{
    fputs(*any ? ", " : " ", to);
    *any = true;
}

static void print_operands(const struct jit_ir *ir, const struct jit_insn *insn, FILE *to)
{
    const enum jit_form form = jit_text_form((enum jit_op)insn->op);
    const bool memory = form == JIT_FORM_MEMORY || form == JIT_FORM_RMW;
    bool any = false;

    if (insn->d != JIT_NONE) {
        print_comma(&any, to);
        print_reg(ir, insn->d, to);
    }
    if (memory || form == JIT_FORM_GUEST || form == JIT_FORM_PAGE) {
        print_comma(&any, to);
        fputs(form == JIT_FORM_PAGE ? "page" : form == JIT_FORM_GUEST ? "[guest" : "[",
              to);
        if (memory)
            print_reg(ir, insn->a, to);
        if (form != JIT_FORM_RMW)
            print_sum(insn->imm, !memory, to);
        fputs(form == JIT_FORM_PAGE ? "" : "]", to);
    }
    if (insn->a != JIT_NONE && !memory) {
        print_comma(&any, to);
        print_reg(ir, insn->a, to);
    }
    for (unsigned i = 0; i < 2; i++) {
        const jit_reg reg = i ? insn->c : insn->b;
        if (reg != JIT_NONE) {
            print_comma(&any, to);
            print_reg(ir, reg, to);
        }
    }
    if (form == JIT_FORM_WAY || form == JIT_FORM_NUMBER) {
        print_comma(&any, to);
        fprintf(to, form == JIT_FORM_WAY ? "way %" PRId32 : "%" PRId32, insn->imm);
    }
}

/** Write what .imm says where it is no number. */
static void print_imm_suffix(const struct jit_insn *insn, FILE *to)
{
    const enum jit_form form = jit_text_form((enum jit_op)insn->op);
    const uint32_t imm = (uint32_t)insn->imm;

    if (form == JIT_FORM_PRECISION)
        fprintf(to, ".%s", imm < JIT_N_PRECS ? jit_text_aux[JIT_AUX_PREC][imm] : "?");
    if (form == JIT_FORM_RMW)
        fprintf(to, ".%s", imm < JIT_TEXT_RMWS ? jit_text_rmw[imm] : "?");
    if (form == JIT_FORM_TO)
        fprintf(to, ".%s.%s", jit_text_aux[JIT_AUX_INT][jit_to_int(insn->imm)],
                imm >> 2 < JIT_N_ROUNDS ? jit_text_aux[JIT_AUX_ROUND][imm >> 2] : "?");
}

static void print_insn(const struct jit_ir *ir, const struct jit_insn *insn, FILE *to)
{
    if (insn->op >= JIT_N_OPS) {
        fprintf(to, "  ?%u\n", insn->op);
        return;
    }
    const struct jit_op_row *row = &jit_ops[insn->op];
    const char *aux = jit_text_aux_name(row->aux, insn->aux);

    fprintf(to, "  %s", row->name);
    if (aux)
        fprintf(to, ".%s", aux);
    else if (row->aux != JIT_AUX__)
        fprintf(to, ".?%u", insn->aux);
    print_imm_suffix(insn, to);
    print_operands(ir, insn, to);
    fputc('\n', to);
}

void jit_ir_print(const struct jit_ir *ir, FILE *to)
{
    for (unsigned i = 0; i < ir->n_ways; i++) {
        const struct jit_way *way = &ir->way[i];
        fprintf(to, "way %u: %s %s0x%" PRIx32 "%s\n", i,
                way->kind < JIT_TEXT_KINDS ? jit_text_kind[way->kind] : "?",
                way->offset < 0 ? "-" : "",
                way->offset < 0 ? -(uint32_t)way->offset : (uint32_t)way->offset,
                way->retired ? ", retired" : "");
    }
    for (unsigned i = 0; i < ir->n_calls; i++)
        fprintf(to, "call %u\n", i);
    for (unsigned i = 0, place = 0; i < ir->n_insns || place < ir->n_places;) {
        const bool begins = place < ir->n_places &&
                            (i >= ir->n_insns || ir->insn[i].at >= place);
        if (begins) {
            fprintf(to, "place %u: 0x%x..0x%x\n", place,
                    (unsigned)(uint16_t)ir->place[place].offset,
                    (unsigned)(uint16_t)ir->place[place].next);
            place++;
        } else {
            print_insn(ir, &ir->insn[i++], to);
        }
    }
}
