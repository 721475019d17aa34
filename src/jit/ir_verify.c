/* SPDX-License-Identifier: MIT */
/* ir_verify.c - checks that a unit is what ir.h says, (I1) to (I6).
 *
 * One walk from the beginning to the end suffices: there are no joins.
 */
#include "jit/ir.h"

#include "base/base.h"

#include <stdarg.h>

struct check {
    const struct jit_ir *ir;
    char *text;
    size_t size;
    unsigned at;       /* operation                                            */
    bool wrote;        /* its instruction has written a global                 */
    bool left;         /* its instruction has had a way out with .retired      */
    bool fp;           /* a fenter was there                                   */
    unsigned sync;     /* behind the last operation with JIT_FX_SYNC           */
    unsigned global[JIT_MAX_GLOBALS], temp[JIT_MAX_TEMPS]; /* behind the last that
                          wrote it; 0: none                                    */
};

static unsigned *written(struct check *check, jit_reg reg)
{
    return jit_is_global(reg) ? &check->global[reg] : &check->temp[reg - JIT_TEMP0];
}

SM_PRINTF(2, 3) static bool refuse(const struct check *check, const char *format, ...)
{
    const struct jit_ir *ir = check->ir;
    va_list args;
    int n = 0;

    if (check->at < ir->n_insns) {
        const unsigned op = ir->insn[check->at].op;
        n = snprintf(check->text, check->size, "operation %u (%s): ", check->at,
                     op < JIT_N_OPS ? jit_ops[op].name : "?");
    }
    if (n >= 0 && (size_t)n < check->size) {
        va_start(args, format);
        vsnprintf(check->text + n, check->size - (size_t)n, format, args);
        va_end(args);
    }
    return false;
}

/* --- (I1) and (I2) -------------------------------------------------------- */

static bool check_read(struct check *check, char which, jit_reg reg, unsigned class)
{
    if (class == JIT_CLASS_NONE)
        return reg == JIT_NONE || refuse(check, "%c is not used, but given (I1)", which);
    if (reg == JIT_NONE)
        return refuse(check, "%c is missing (I1)", which);
    if (jit_ir_class(check->ir, reg) == JIT_CLASS_NONE)
        return refuse(check, "%c does not exist (I1)", which);
    if (jit_ir_class(check->ir, reg) != class)
        return refuse(check, "%c is of another class (I1)", which);
    if (jit_is_temp(reg) && !*written(check, reg))
        return refuse(check, "%c is read before it is written (I2)", which);
    return true;
}

static bool check_write(struct check *check, jit_reg reg, unsigned class)
{
    if (class == JIT_CLASS_NONE)
        return reg == JIT_NONE || refuse(check, "d is not used, but given (I1)");
    if (reg == JIT_NONE)
        return refuse(check, "d is missing (I1)");
    if (jit_is_const(reg))
        return refuse(check, "a constant is written (I1)");
    if (jit_ir_class(check->ir, reg) == JIT_CLASS_NONE)
        return refuse(check, "d does not exist (I1)");
    if (jit_ir_class(check->ir, reg) != class)
        return refuse(check, "d is of another class (I1)");
    *written(check, reg) = check->at + 1;
    return true;
}

static bool check_aux(struct check *check, const struct jit_insn *insn)
{
    static const uint8_t limit[] = {
        [JIT_AUX__] = 1, [JIT_AUX_COND] = JIT_N_CONDS, [JIT_AUX_MEM] = JIT_N_MEMS,
        [JIT_AUX_SIZE] = JIT_N_SIZES, [JIT_AUX_PREC] = JIT_N_PRECS,
        [JIT_AUX_FCOND] = JIT_N_FCONDS, [JIT_AUX_JUMP] = JIT_N_JUMPS,
        [JIT_AUX_RW] = JIT_N_RWS};

    return insn->aux < limit[jit_ops[insn->op].aux] ||
           refuse(check, ".aux %u means nothing (I1)", insn->aux);
}

static bool check_imm(struct check *check, const struct jit_insn *insn)
{
    const struct jit_ir *ir = check->ir;

    switch (insn->op) {
    case JIT_OP_here:
    case JIT_OP_lds:
    case JIT_OP_sts:
    case JIT_OP_ld:
    case JIT_OP_st:
    case JIT_OP_fld:
    case JIT_OP_fst:
    case JIT_OP_chk:
    case JIT_OP_ldh:
    case JIT_OP_sth:
    case JIT_OP_fldh:
    case JIT_OP_fsth:
        return true;
    case JIT_OP_rmw:
        return (insn->imm >= 0 && insn->imm < SM_N_RMW) ||
               refuse(check, "operation %d on memory means nothing (I1)", insn->imm);
    case JIT_OP_fset:
        return (insn->imm >= 0 && insn->imm < JIT_N_PRECS) ||
               refuse(check, "precision %d means nothing (I1)", insn->imm);
    case JIT_OP_ftoi:
        return (insn->imm >= 0 && insn->imm < JIT_TO(0, JIT_N_ROUNDS)) ||
               refuse(check, "conversion %d means nothing (I1)", insn->imm);
    case JIT_OP_call:
        return (insn->imm >= 0 && (unsigned)insn->imm < ir->n_calls) ||
               refuse(check, "call %d does not exist (I1)", insn->imm);
    case JIT_OP_exit:
    case JIT_OP_exit_if:
        return (insn->imm >= 0 && (unsigned)insn->imm < ir->n_ways) ||
               refuse(check, "way %d does not exist (I1)", insn->imm);
    default:
        return insn->imm == 0 || refuse(check, ".imm is not used, but given (I1)");
    }
}

/* --- (I4) ----------------------------------------------------------------- */

/** Whether the instruction of @insn has retired where that leaves. */
static bool retires(const struct jit_ir *ir, const struct jit_insn *insn)
{
    return (insn->op != JIT_OP_exit && insn->op != JIT_OP_exit_if) ||
           ir->way[insn->imm].retired;
}

static bool check_way(struct check *check, const struct jit_insn *insn)
{
    const struct jit_ir *ir = check->ir;
    const struct jit_way *way = &ir->way[insn->imm];
    const bool within = way->offset >= 0 && (uint64_t)way->offset < SM_PAGE_SIZE;

    if (way->kind > JIT_EXIT_ASIDE)
        return refuse(check, "way %d is of no kind (I4)", insn->imm);
    if (way->kind != JIT_EXIT_ASIDE && within != (way->kind == JIT_EXIT_NEAR))
        return refuse(check, "way %d to %d is not near or far, as it says (I4)",
                      insn->imm, way->offset);
    if (!way->retired && way->offset != ir->place[insn->at].offset)
        return refuse(check, "way %d is not retired, but leads elsewhere (I4)",
                      insn->imm);
    return true;
}

static bool check_order(struct check *check, const struct jit_insn *insn)
{
    const unsigned effects = jit_ops[insn->op].effects;
    const bool leaves = (effects & JIT_FX_EXIT) != 0;
    const bool unfinished = (effects & JIT_FX_FAULT) ||
                            (leaves && !retires(check->ir, insn));
    const bool writes = insn->op == JIT_OP_call ||
                        (insn->d != JIT_NONE && jit_is_global(insn->d));

    if ((insn->op == JIT_OP_exit || insn->op == JIT_OP_exit_if) &&
        !check_way(check, insn))
        return false;
    if (unfinished && check->wrote)
        return refuse(check, "its instruction may not retire, "
                             "but has written a global (I4)");
    if (check->left && (unfinished || writes ||
                        (effects & (JIT_FX_MEM_W | JIT_FX_STATE_W | JIT_FX_SYNC))))
        return refuse(check, "comes after a way out of its instruction (I4)");
    check->wrote |= writes;
    check->left |= leaves && !unfinished;
    return true;
}

static bool check_place(struct check *check, const struct jit_insn *insn)
{
    const struct jit_insn *before = check->at ? insn - 1 : NULL;

    if (insn->at >= check->ir->n_places)
        return refuse(check, "place %u does not exist (I4)", insn->at);
    if (before && insn->at < before->at)
        return refuse(check, "place %u comes after place %u (I4)", insn->at, before->at);
    if (!before || insn->at != before->at)
        check->wrote = check->left = false;
    return true;
}

/* --- (I6) --------------------------------------------------------------------- */

/** Of a chk: its bytes are few and known. */
static bool check_span(struct check *check, const struct jit_insn *insn)
{
    return (jit_is_const(insn->b) &&
            jit_ir_value(check->ir, insn->b) - 1 < SM_PAGE_SIZE) ||
           refuse(check, "checks an unknown number of bytes (I6)");
}

/** Of a ldh or sth, before its destination is written. */
static bool check_checked(struct check *check, const struct jit_insn *insn)
{
    const unsigned behind = jit_is_temp(insn->b) ? *written(check, insn->b) : 0;
    const struct jit_insn *chk = behind ? &check->ir->insn[behind - 1] : NULL;
    const int64_t end = (int64_t)insn->imm + (1 << jit_mem_bits(insn->aux));

    if (!chk || chk->op != JIT_OP_chk)
        return refuse(check, "b is not from a chk (I6)");
    if (chk->a != insn->a ||
        (!jit_is_const(insn->a) && *written(check, insn->a) >= behind))
        return refuse(check, "a is not what was checked (I6)");
    if (check->sync > behind)
        return refuse(check, "comes too late after its chk (I6)");
    if (insn->imm < chk->imm ||
        end > chk->imm + (int64_t)jit_ir_value(check->ir, chk->b))
        return refuse(check, "bytes beside those that were checked (I6)");
    if (insn->op == JIT_OP_sth && chk->aux != JIT_WRITE)
        return refuse(check, "writes what was checked for reading (I6)");
    return true;
}

/* --- All ------------------------------------------------------------------ */

static bool check_insn(struct check *check, const struct jit_insn *insn)
{
    if (insn->op >= JIT_N_OPS)
        return refuse(check, "number %u is no operation (I1)", insn->op);
    const struct jit_op_row *row = &jit_ops[insn->op];
    const bool last = check->at + 1 == check->ir->n_insns;

    if (!check_read(check, 'a', insn->a, row->a) ||
        !check_read(check, 'b', insn->b, row->b) ||
        !check_read(check, 'c', insn->c, row->c) || !check_aux(check, insn) ||
        !check_imm(check, insn))
        return false;
    if (insn->op == JIT_OP_chk ? !check_span(check, insn)
        : insn->op == JIT_OP_ldh || insn->op == JIT_OP_sth ? !check_checked(check, insn)
                                                           : false)
        return false;
    if (!check_write(check, insn->d, row->d))
        return false;
    if (last != !!(row->effects & JIT_FX_END))
        return refuse(check, last ? "is last, but goes on (I3)"
                                  : "always leaves, but is not last (I3)");
    if (!check_place(check, insn) || !check_order(check, insn))
        return false;
    if (row->effects & JIT_FX_SYNC)
        check->sync = check->at + 1;
    if (insn->op == JIT_OP_fenter)
        check->fp = true;
    else if ((row->effects & JIT_FX_FP) && !check->fp)
        return refuse(check, "comes before any fenter (I5)");
    return true;
}

bool jit_ir_verify(const struct jit_ir *ir, char *text, size_t size)
{
    struct check check = {.ir = ir, .text = text, .size = size, .at = ir->n_insns};

    if (ir->overflow)
        return refuse(&check, "it has overflowed");
    for (unsigned i = 0; i < ir->n_places; i++) {
        const struct jit_place *place = &ir->place[i];
        if (place->offset < 0 || (uint64_t)place->offset >= SM_PAGE_SIZE ||
            place->next <= place->offset)
            return refuse(&check, "place %u is none of this page (I4)", i);
    }
    for (unsigned i = 0; i < ir->n_globals; i++) {
        if (ir->globals[i].class != JIT_CLASS_INT && ir->globals[i].class != JIT_CLASS_FP)
            return refuse(&check, "global %u has no class (I1)", i);
    }
    if (ir->n_insns == 0)
        return refuse(&check, "it has no operation (I3)");
    for (check.at = 0; check.at < ir->n_insns; check.at++) {
        if (!check_insn(&check, &ir->insn[check.at]))
            return false;
    }
    return true;
}
