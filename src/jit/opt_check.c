/* SPDX-License-Identifier: MIT */
/* opt_check.c - lets accesses off one base share one look into the TLB.
 *
 * A group begins at a load or store, and takes in those after it whose base is the same
 * register with the same value, as far as the bytes between the lowest and the highest
 * are few.  Loads form groups for reading.  A group that begins with a store may have
 * loads, for what may be written may be read; but no load waits for a check for writing,
 * which marks a page dirty, before the store itself would have.
 *
 * The fewer bytes, the seldomer a group crosses a page's end where none of its accesses
 * does, and leaves the unit for nothing.
 *
 * It ends: each operation is looked at as a beginning once, and as a member of the one or
 * two groups that can reach it.
 */
#include "jit/ir.h"

#include "base/base.h"

#include <string.h>

enum { MAX_SPAN = 128, MAX_REACH = 64 };

struct group {
    unsigned n;
    int32_t low, high; /* the last byte + 1                                    */
    uint16_t member[MAX_REACH];
};

static bool is_access(const struct jit_insn *insn)
{
    return insn->op == JIT_OP_ld || insn->op == JIT_OP_st || insn->op == JIT_OP_fld ||
           insn->op == JIT_OP_fst;
}

static bool is_store(const struct jit_insn *insn)
{
    return insn->op == JIT_OP_st || insn->op == JIT_OP_fst;
}

/** Take @insn, number @i, into @group if it stays small. */
static void take(struct group *group, const struct jit_insn *insn, unsigned i)
{
    const int64_t first = insn->imm;
    const int64_t end = first + (INT64_C(1) << jit_access_bits(insn));
    const int64_t low = group->n ? SM_MIN(first, (int64_t)group->low) : first;
    const int64_t high = group->n ? SM_MAX(end, (int64_t)group->high) : end;

    if (high - low > MAX_SPAN || high > INT32_MAX)
        return;
    group->low = (int32_t)low;
    group->high = (int32_t)high;
    group->member[group->n++] = (uint16_t)i;
}

/** Collect the group that begins at operation @from. */
static void collect(const struct jit_ir *ir, unsigned from, struct group *group)
{
    const struct jit_insn *const leader = &ir->insn[from];
    const unsigned end = SM_MIN(from + MAX_REACH, ir->n_insns);

    group->n = 0;
    for (unsigned i = from; i < end; i++) {
        const struct jit_insn *const insn = &ir->insn[i];

        if (is_access(insn) && insn->a == leader->a &&
            (!is_store(insn) || is_store(leader)))
            take(group, insn, i);
        if ((jit_ops[insn->op].effects & JIT_FX_SYNC) ||
            (jit_ops[insn->op].d && insn->d == leader->a))
            break;
    }
}

/** Put a check before operation @from, and have the group's members rely on it. */
static void apply(struct jit_ir *ir, unsigned from, const struct group *group)
{
    const struct jit_insn leader = ir->insn[from];
    const jit_reg way = jit_ir_temp(ir, JIT_CLASS_INT);
    const jit_reg span = jit_ir_const(ir, (uint64_t)(group->high - group->low));

    if (ir->overflow)
        return;
    for (unsigned n = 0; n < group->n; n++) {
        struct jit_insn *const insn = &ir->insn[group->member[n]];

        if (is_store(insn)) {
            insn->op = insn->op == JIT_OP_st ? JIT_OP_sth : JIT_OP_fsth;
            insn->c = insn->b;
        } else {
            insn->op = insn->op == JIT_OP_ld ? JIT_OP_ldh : JIT_OP_fldh;
        }
        insn->b = way;
    }
    jit_ir_emit(ir, JIT_OP_chk, is_store(&leader) ? JIT_WRITE : JIT_READ, way,
                leader.a, span, JIT_NONE, group->low); /* makes room, at the end */
    if (ir->overflow)
        return;
    {
        struct jit_insn check = ir->insn[ir->n_insns - 1];

        check.at = leader.at;
        memmove(&ir->insn[from + 1], &ir->insn[from],
                (ir->n_insns - 1 - from) * sizeof(*ir->insn));
        ir->insn[from] = check;
    }
}

void jit_opt_check(struct jit_ir *ir)
{
    struct group group;

    for (unsigned i = 0; i < ir->n_insns && !ir->overflow; i++) {
        if (!is_access(&ir->insn[i]) || jit_is_const(ir->insn[i].a))
            continue;
        collect(ir, i, &group);
        if (group.n >= 2) {
            apply(ir, i, &group);
            i++; /* the leader, which is behind its check now */
        }
    }
}
