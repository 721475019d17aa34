/* SPDX-License-Identifier: MIT */
/* ir.h - the translator's intermediate representation of one unit.
 *
 * A unit is a trace of guest instructions within one guest page: one way in, at its
 * beginning, several ways out, and no joins but the way back to the beginning.  So what
 * is known at an operation is what the operations before it say.
 *
 * Operations read and write registers directly: the guest's ("globals", which have a home
 * in the guest's state), temporaries, and interned constants.  Neither is in SSA form: a
 * register holds what was written to it last.
 *
 * Layer:   jit
 * Threads: one thread uses a unit's IR.
 *
 * Invariants (jit_ir_verify()):
 *  (I1) Operands, ways and calls exist; operands have the class that ir.def says, .aux
 *       has a meaning; what an operation does not use is JIT_NONE or 0.  No constant is
 *       written.
 *  (I2) A temporary is written before it is read, and is not read across the beginning.
 *  (I3) What has JIT_FX_END is last, and the last operation has it.
 *  (I4) .at never decreases, and names a place of the page.  Where an operation may
 *       fault, or leave by a way that is not .retired, its instruction has not written a
 *       global: such a way leads to the instruction itself, and a global that is the
 *       destination of what faults keeps its value.  A call counts as a write, a fenter
 *       does not.  Behind a way out with .retired (a loop and a jump have), the
 *       instruction writes nothing but temporaries, and neither faults nor calls.
 *  (I5) Floating point that has JIT_FX_FP comes after a fenter.
 *  (I6) What relies on a check (ldh, sth) reads a temporary that a chk wrote last, has
 *       the base register of that chk, not written since, and is of the chk's bytes; a
 *       sth needs a chk for writing.  No JIT_FX_SYNC is between the two.
 */
#ifndef JIT_IR_H
#define JIT_IR_H

#include "softmmu/types.h"

#include <stdio.h>

enum jit_op {
#define JIT_OP(name, d, a, b, c, aux, effects) JIT_OP_##name,
#include "jit/ir.def"
#undef JIT_OP
    JIT_N_OPS
};

enum jit_effect {
    JIT_FX_MEM_R = 1 << 0,   /* reads guest memory                             */
    JIT_FX_MEM_W = 1 << 1,
    JIT_FX_STATE_R = 1 << 2, /* reads guest state beside the globals           */
    JIT_FX_STATE_W = 1 << 3,
    JIT_FX_FAULT = 1 << 4,   /* may leave before its instruction retires       */
    JIT_FX_EXIT = 1 << 5,    /* may leave after it                             */
    JIT_FX_END = 1 << 6,     /* always leaves                                  */
    JIT_FX_SYNC = 1 << 7,    /* may read and write any global                  */
    JIT_FX_FP = 1 << 8       /* raises flags and reads the rounding mode       */
};

enum jit_cond {
    JIT_EQ, JIT_NE, JIT_LT, JIT_GE, JIT_LE, JIT_GT, /* signed                   */
    JIT_LTU, JIT_GEU, JIT_LEU, JIT_GTU, JIT_N_CONDS
};
SM_INLINE enum jit_cond jit_cond_not(enum jit_cond cond)
{
    static const uint8_t inverse[JIT_N_CONDS] = {
        [JIT_EQ] = JIT_NE, [JIT_NE] = JIT_EQ, [JIT_LT] = JIT_GE, [JIT_GE] = JIT_LT,
        [JIT_LE] = JIT_GT, [JIT_GT] = JIT_LE, [JIT_LTU] = JIT_GEU, [JIT_GEU] = JIT_LTU,
        [JIT_LEU] = JIT_GTU, [JIT_GTU] = JIT_LEU};
    return (enum jit_cond)inverse[cond];
}

enum jit_size { JIT_8, JIT_16, JIT_32, JIT_N_SIZES };
enum jit_rw { JIT_READ, JIT_WRITE, JIT_N_RWS };
enum jit_prec { JIT_SINGLE, JIT_DOUBLE, JIT_N_PRECS };
/** Of fset: eq is quiet; lt and le are invalid with any NaN. */
enum jit_fcond { JIT_FEQ, JIT_FLT, JIT_FLE, JIT_N_FCONDS };

/** Exceptions, as fflags gives them. */
enum jit_fflag { JIT_FINEXACT = 1, JIT_FUNDERFLOW = 2, JIT_FOVERFLOW = 4, JIT_FDIVIDE = 8,
                 JIT_FINVALID = 16 };

enum jit_int { JIT_S32, JIT_U32, JIT_S64, JIT_U64, JIT_N_INTS };
/** How to round: as the guest's mode says, or to the nearest, of two the even one, or to
 *  the nearest, of two the one away from zero, or in a direction. */
enum jit_round { JIT_ROUND_MODE, JIT_ROUND_EVEN, JIT_ROUND_DOWN, JIT_ROUND_UP,
                 JIT_ROUND_ZERO, JIT_ROUND_AWAY, JIT_N_ROUNDS };
/** .imm of ftoi. */
#define JIT_TO(integer, round) ((int32_t)(integer) | (int32_t)(round) << 2)
SM_INLINE enum jit_int jit_to_int(int32_t imm) { return (enum jit_int)(imm & 3); }
SM_INLINE enum jit_round jit_to_round(int32_t imm) { return (enum jit_round)(imm >> 2); }

/** Bits 1..0 the size's logarithm; sign: what is narrower is sign-extended. */
enum jit_mem { JIT_MEM_SIGNED = 1 << 2, JIT_N_MEMS = 8 };
SM_INLINE unsigned jit_mem_bits(unsigned mem)
{
    return mem & 3;
}

/** What a jump is to the prediction of returns. */
enum jit_jump { JIT_JUMP_PLAIN, JIT_JUMP_CALL, JIT_JUMP_RETURN, JIT_N_JUMPS };

/* --- Registers ------------------------------------------------------------ */

typedef uint16_t jit_reg;
enum {
    JIT_TEMP0 = 0x100, /* below: globals, by their number                       */
    JIT_CONST0 = 0x8000,
    JIT_NONE = 0xffff
};
enum { JIT_MAX_GLOBALS = 96, JIT_MAX_TEMPS = 1024, JIT_MAX_CONSTS = 1024 };
enum { JIT_MAX_INSNS = 16384, JIT_MAX_PLACES = 2048, JIT_MAX_WAYS = 2048,
       JIT_MAX_CALLS = 2048 };

SM_INLINE bool jit_is_global(jit_reg reg) { return reg < JIT_TEMP0; }
SM_INLINE bool jit_is_temp(jit_reg reg) { return reg >= JIT_TEMP0 && reg < JIT_CONST0; }
SM_INLINE bool jit_is_const(jit_reg reg) { return reg >= JIT_CONST0 && reg != JIT_NONE; }

enum jit_class { JIT_CLASS_NONE, JIT_CLASS_INT, JIT_CLASS_FP };

/** A register of the guest, and where its home is. */
struct jit_global {
    const char *name;
    int32_t offset;    /* from the guest pointer; 8 bytes, aligned             */
    uint8_t class;     /* enum jit_class                                       */
    uint8_t rank;      /* 1..n: the n-th to keep a host register across units;
                          0: only within                                       */
};

/* --- Operations ----------------------------------------------------------- */

struct jit_insn {
    uint8_t op;   /* enum jit_op                                               */
    uint8_t aux;
    jit_reg d, a, b, c;
    uint16_t at;  /* place                                                     */
    int32_t imm;
};

/** One guest instruction. */
struct jit_place {
    int16_t offset; /* of it and of the next in memory, from the page's beginning */
    int16_t next;
};

enum jit_exit_kind {
    JIT_EXIT_NEAR,  /* to .offset in the page; may be linked                   */
    JIT_EXIT_FAR,   /* to .offset beyond it; may be linked under a guard       */
    JIT_EXIT_ASIDE  /* the owner goes on at .offset: it has what is not translated */
};

struct jit_way {
    uint8_t kind;   /* enum jit_exit_kind                                      */
    bool retired;   /* the instruction at .at has retired on this way          */
    int32_t offset; /* from the page's beginning                               */
};

/** A call's callee. */
struct jit_call {
    /** @guest  as given to jit_new(); @arg as here.
     *  hart-specific state and all globals may be read and written.
     *  Returns  enum jit_status */
    uint32_t (*function)(void *guest, const void *arg);
    const void *arg; /* outlives the unit                                      */
};

struct jit_ir {
    const struct jit_global *globals;
    unsigned n_globals;
    struct jit_insn *insn;
    struct jit_place *place;
    struct jit_way *way;
    struct jit_call *call;
    uint64_t *constant;
    uint8_t *temp_class;
    unsigned n_insns, n_places, n_ways, n_calls, n_constants, n_temps;
    unsigned max_insns, max_places, max_ways, max_calls, max_constants, max_temps;
    void *scratch;   /* of the optimiser, kept from unit to unit               */
    size_t max_scratch;
    bool overflow;   /* host memory or a limit ran out: the rest was dropped   */
};

struct jit_op_row {
    const char *name;
    uint8_t d, a, b, c; /* enum jit_class                                      */
    uint8_t aux;        /* enum jit_aux                                        */
    uint16_t effects;
};
enum jit_aux {
    JIT_AUX__, JIT_AUX_COND, JIT_AUX_MEM, JIT_AUX_SIZE, JIT_AUX_PREC, JIT_AUX_FCOND,
    JIT_AUX_JUMP, JIT_AUX_RW,
    /* Not of .aux, but to be named all the same: */
    JIT_AUX_INT, JIT_AUX_ROUND
};
extern const struct jit_op_row jit_ops[JIT_N_OPS];

/** Of a load or store of guest memory the size's logarithm. */
SM_INLINE unsigned jit_access_bits(const struct jit_insn *insn)
{
    if (jit_ops[insn->op].aux == JIT_AUX_PREC)
        return insn->aux == JIT_SINGLE ? 2 : 3;
    return jit_mem_bits(insn->aux);
}

/* --- Building (ir.c) ------------------------------------------------------ */

/* Once .overflow is set, what these return is JIT_TEMP0 or number 0, and exists or not;
 * building on with it does no harm. */

/** Make @ir ready for use; its memory is kept from unit to unit. */
void jit_ir_init(struct jit_ir *ir, const struct jit_global *globals, unsigned n);
void jit_ir_fini(struct jit_ir *ir);
/** Begin another unit. */
void jit_ir_reset(struct jit_ir *ir);

/** Begin the guest instruction at @offset, which @next follows in memory. */
void jit_ir_place(struct jit_ir *ir, int offset, int next);
jit_reg jit_ir_temp(struct jit_ir *ir, enum jit_class class);
jit_reg jit_ir_const(struct jit_ir *ir, uint64_t value);
/** Returns its number, for .imm */
int32_t jit_ir_way(struct jit_ir *ir, enum jit_exit_kind kind, int32_t offset,
                   bool retired);
int32_t jit_ir_call(struct jit_ir *ir,
                    uint32_t (*function)(void *guest, const void *arg), const void *arg);
/** Append; unused operands are JIT_NONE. */
void jit_ir_emit(struct jit_ir *ir, enum jit_op op, unsigned aux, jit_reg d, jit_reg a,
                 jit_reg b, jit_reg c, int32_t imm);

SM_INLINE uint64_t jit_ir_value(const struct jit_ir *ir, jit_reg reg)
{
    return ir->constant[reg - JIT_CONST0];
}

/** The class of @reg; constants are integers. */
enum jit_class jit_ir_class(const struct jit_ir *ir, jit_reg reg);

/* --- Checking and printing (ir_verify.c, ir_print.c, ir_parse.c) ---------- */

/** Check (I1) to (I6).
 *  @text    gets what is wrong and where, cut to @size
 *  Returns  whether all holds */
bool jit_ir_verify(const struct jit_ir *ir, char *text, size_t size);

/** Write the stable text form: a line for each place and operation. */
void jit_ir_print(const struct jit_ir *ir, FILE *to);

/** Read that form, for tests and for who takes a unit apart.  Calls are by number only.
 *  Errors   -EINVAL, *line names the first bad one; -ENOMEM */
SM_MUST_CHECK int jit_ir_parse(struct jit_ir *ir, const char *text, unsigned *line);

/* --- Optimising ----------------------------------------------------------- */

/** Each may be left out, and leaves a unit that verifies. */
enum jit_opt {
    JIT_OPT_FOLD = 1 << 0,  /* opt_fold.c: constants, copies, extensions, identities */
    JIT_OPT_DEAD = 1 << 1,  /* opt_dead.c: what nobody can observe                 */
    JIT_OPT_CHECK = 1 << 2, /* opt_check.c: one check for accesses off one base    */
    JIT_OPT_ALL = 7
};

/** Fold constants, copies and what is known of registers' high bits. */
void jit_opt_fold(struct jit_ir *ir);
/** Have accesses off one base share a check. */
void jit_opt_check(struct jit_ir *ir);
/** Remove writes that no operation, way out or fault can observe. */
void jit_opt_dead(struct jit_ir *ir);

#endif
