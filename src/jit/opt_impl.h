/* SPDX-License-Identifier: MIT */
/* opt_impl.h - what the folding pass knows while it goes through a unit.
 *
 * Each write of a register makes a value, numbered in the order of making; a copy makes
 * none.  So what is known of a value stays true, whatever becomes of the registers.  What
 * may be overwritten is only the register that holds it.
 *
 * Layer:   jit
 *
 * Invariants:
 *  (O1) .a and .b of a value are lower numbers than its own.
 *  (O2) A register holds the value that .of says; none, 0, is an unknown one.
 */
#ifndef JIT_OPT_IMPL_H
#define JIT_OPT_IMPL_H

#include "jit/ir.h"

typedef uint32_t jit_value; /* 0: none                                         */
enum { JIT_VALUE_PAGE = 1, JIT_VALUE_FIRST }; /* guest address of the unit's page */

struct jit_known {
    uint8_t op, aux;       /* what made it; JIT_N_OPS: not known               */
    uint8_t zeros;         /* so many high bits are 0,                         */
    uint8_t signs;         /* and so many equal the highest, from 1            */
    bool constant;         /* it is .number                                    */
    bool boxed;            /* its high half is ones (floating point)           */
    jit_reg holder;        /* held it once: valid if it does now               */
    jit_value a, b;        /* operands                                         */
    jit_value unboxed;     /* what funbox made of it; 0: none did              */
    uint64_t number;       /* the constant; or .imm                            */
};

enum { JIT_OPT_REGS = JIT_MAX_GLOBALS + JIT_MAX_TEMPS + JIT_MAX_CONSTS };

struct jit_fold {
    struct jit_ir *ir;
    struct jit_known *known; /* by value                                       */
    jit_value n;             /* the next to be made                            */
    unsigned n_seen;         /* constants whose .of is set                     */
    jit_value of[JIT_OPT_REGS];
};

/* --- Values (opt_value.c) ------------------------------------------------- */

/** Nothing is known yet.  .ir and .known are set. */
void jit_opt_begin(struct jit_fold *fold);
/** Where .of has @reg. */
SM_INLINE unsigned jit_opt_slot(jit_reg reg)
{
    if (jit_is_global(reg))
        return reg;
    if (jit_is_temp(reg))
        return JIT_MAX_GLOBALS + (unsigned)(reg - JIT_TEMP0);
    return JIT_MAX_GLOBALS + JIT_MAX_TEMPS + (unsigned)(reg - JIT_CONST0);
}

/** The value that @reg, no constant, holds, or 0. */
SM_INLINE jit_value jit_opt_held(const struct jit_fold *fold, jit_reg reg)
{
    return fold->of[jit_opt_slot(reg)];
}

/** The value that @reg holds. */
jit_value jit_opt_value_slow(struct jit_fold *fold, jit_reg reg);
SM_INLINE jit_value jit_opt_value(struct jit_fold *fold, jit_reg reg)
{
    const jit_value value = jit_is_const(reg) ? 0 : jit_opt_held(fold, reg);
    return value ? value : jit_opt_value_slow(fold, reg);
}

/** A register that holds @value now, or JIT_NONE.  Constants hold it for ever. */
SM_INLINE jit_reg jit_opt_holder(const struct jit_fold *fold, jit_value value)
{
    const jit_reg holder = fold->known[value].holder;
    return jit_is_const(holder) ||
           (holder != JIT_NONE && jit_opt_held(fold, holder) == value) ? holder
                                                                       : JIT_NONE;
}

/** The best register to read @reg's value from: a constant, or who held it first. */
jit_reg jit_opt_source(struct jit_fold *fold, jit_reg reg);
/** A constant, or JIT_NONE if there are too many. */
jit_reg jit_opt_const(struct jit_fold *fold, uint64_t number);
/** Let @reg hold @value from now on. */
void jit_opt_hold(struct jit_fold *fold, jit_reg reg, jit_value value);
/** Forget what the globals hold. */
void jit_opt_forget(struct jit_fold *fold);
/** Make the value that @insn writes. */
jit_value jit_opt_make(struct jit_fold *fold, const struct jit_insn *insn);
/** Know from now on that @value is @number. */
void jit_opt_learn(struct jit_fold *fold, jit_value value, uint64_t number);
/** @value is what it returns plus *number, which may be 0. */
jit_value jit_opt_base(const struct jit_fold *fold, jit_value value, uint64_t *number);
/** A register with the same low @bits as @reg: one that needs less to be made. */
jit_reg jit_opt_low(struct jit_fold *fold, jit_reg reg, unsigned bits);

SM_INLINE const struct jit_known *jit_opt_known(struct jit_fold *fold, jit_reg reg)
{
    const jit_value value = jit_opt_value(fold, reg);
    return &fold->known[value];
}

/* --- Arithmetic (opt_eval.c) ---------------------------------------------- */

bool jit_opt_compare(enum jit_cond cond, uint64_t a, uint64_t b);
/** What the pure integer operation @op makes of constants. */
uint64_t jit_opt_eval(enum jit_op op, unsigned aux, uint64_t a, uint64_t b, uint64_t c);
/** Whether @a @cond @b: 1, 0, or -1 if that is not known. */
int jit_opt_decide(struct jit_fold *fold, enum jit_cond cond, jit_value a, jit_value b);

/* --- Rules -------------------------------------------------------------------
 *
 * Each rewrites an operation into one that does the same; it returns whether it did.
 * That ends, since each makes less of the first of these that it changes:
 *  1. the operands' values, constants not counted: it replaces one by lower ones, as
 *     those are that made it (O1);
 *  2. the operation: mov is the lowest, then here, the extensions, and, or, xor, shr,
 *     shl, sar, ror, rorw, rolw, add, sub, set, sel, min and max, the products and
 *     quotients; an exit is lower than an exit_if, a loop than a loop_if;
 *  3. constants that stand before other operands; counts of shifts; conditions, of which
 *     eq and ne are the lowest.
 */

bool jit_opt_simplify_sum(struct jit_fold *fold, struct jit_insn *insn);
bool jit_opt_simplify_product(struct jit_fold *fold, struct jit_insn *insn);
/** A sum of two, of which neither has a bit of the other, made one operation. */
bool jit_opt_simplify_halves(struct jit_fold *fold, struct jit_insn *insn);
bool jit_opt_simplify_bits(struct jit_fold *fold, struct jit_insn *insn);
bool jit_opt_simplify_shift(struct jit_fold *fold, struct jit_insn *insn);
bool jit_opt_simplify_extension(struct jit_fold *fold, struct jit_insn *insn);
bool jit_opt_simplify_choice(struct jit_fold *fold, struct jit_insn *insn);
bool jit_opt_simplify_compare(struct jit_fold *fold, struct jit_insn *insn);
bool jit_opt_simplify_memory(struct jit_fold *fold, struct jit_insn *insn);
bool jit_opt_simplify_float(struct jit_fold *fold, struct jit_insn *insn);
bool jit_opt_simplify_jump(struct jit_fold *fold, struct jit_insn *insn);

/** Make @insn another operation, with the same destination and place. */
SM_INLINE bool jit_opt_become(struct jit_insn *insn, enum jit_op op, unsigned aux,
                              jit_reg a, jit_reg b)
{
    insn->op = (uint8_t)op;
    insn->aux = (uint8_t)aux;
    insn->a = a;
    insn->b = b;
    insn->c = JIT_NONE;
    insn->imm = 0;
    return true;
}

SM_INLINE bool jit_opt_become_copy(struct jit_insn *insn, jit_reg a)
{
    return jit_opt_become(insn, JIT_OP_mov, 0, a, JIT_NONE);
}

/** The same with a constant for the last operand: false if there are too many. */
SM_INLINE bool jit_opt_become_with(struct jit_fold *fold, struct jit_insn *insn,
                                   enum jit_op op, jit_reg a, uint64_t number)
{
    const jit_reg b = jit_opt_const(fold, number);
    return b != JIT_NONE && jit_opt_become(insn, op, 0, a, b);
}

SM_INLINE bool jit_opt_become_const(struct jit_fold *fold, struct jit_insn *insn,
                                    uint64_t number)
{
    const jit_reg a = jit_opt_const(fold, number);
    return a != JIT_NONE && jit_opt_become_copy(insn, a);
}

/** Make @insn an operation on the @value instead of .a, and on @number: if there is a
 *  register that holds it. */
SM_INLINE bool jit_opt_become_on(struct jit_fold *fold, struct jit_insn *insn,
                                 enum jit_op op, jit_value value, uint64_t number)
{
    const jit_reg a = jit_opt_holder(fold, value);
    return a != JIT_NONE && jit_opt_become_with(fold, insn, op, a, number);
}

SM_INLINE bool jit_opt_fits(uint64_t number)
{
    return (int64_t)number == (int32_t)number;
}

#endif
