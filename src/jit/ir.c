/* SPDX-License-Identifier: MIT */
/* ir.c - builds the IR of a unit.
 *
 * A translator emits hundreds of operations and wants to check once: whatever does not
 * fit sets .overflow, and what the builder returns from then on names nothing that a
 * later call could trip over.
 */
#include "jit/ir.h"

#include "base/alloc.h"
#include "base/base.h"

void jit_ir_init(struct jit_ir *ir, const struct jit_global *globals, unsigned n)
{
    sm_assert(n <= JIT_MAX_GLOBALS);
    *ir = (struct jit_ir){.globals = globals, .n_globals = n};
}

void jit_ir_fini(struct jit_ir *ir)
{
    sm_free(ir->insn);
    sm_free(ir->place);
    sm_free(ir->way);
    sm_free(ir->call);
    sm_free(ir->constant);
    sm_free(ir->temp_class);
    sm_free(ir->scratch);
    *ir = (struct jit_ir){0};
}

void jit_ir_reset(struct jit_ir *ir)
{
    ir->n_insns = ir->n_places = ir->n_ways = ir->n_calls = 0;
    ir->n_constants = ir->n_temps = 0;
    ir->overflow = false;
}

/** Make room for one more behind @n elements of @size bytes, of which there may be
 *  @limit.  Returns  false if that fails: the unit has overflowed then */
static bool room(struct jit_ir *ir, void **items, size_t size, unsigned n, unsigned *max,
                 unsigned limit)
{
    if (SM_LIKELY(n < *max))
        return true;
    if (n < limit) {
        const unsigned more = SM_MIN(SM_MAX(n * 2, 32u), limit);
        void *bigger = sm_realloc(*items, more * size);
        if (bigger) {
            *items = bigger;
            *max = more;
            return true;
        }
    }
    ir->overflow = true;
    return false;
}

#define ROOM(ir, items, n, max, limit)                                                   \
    room(ir, (void **)&(ir)->items, sizeof(*(ir)->items), (ir)->n, &(ir)->max, limit)

void jit_ir_place(struct jit_ir *ir, int offset, int next)
{
    if (ROOM(ir, place, n_places, max_places, JIT_MAX_PLACES))
        ir->place[ir->n_places++] = (struct jit_place){(int16_t)offset, (int16_t)next};
}

jit_reg jit_ir_temp(struct jit_ir *ir, enum jit_class class)
{
    if (!ROOM(ir, temp_class, n_temps, max_temps, JIT_MAX_TEMPS))
        return JIT_TEMP0;
    ir->temp_class[ir->n_temps] = (uint8_t)class;
    return (jit_reg)(JIT_TEMP0 + ir->n_temps++);
}

jit_reg jit_ir_const(struct jit_ir *ir, uint64_t value)
{
    /* A unit has a few tens of them, and asks most for those that it had last. */
    for (unsigned i = ir->n_constants; i-- > 0;) {
        if (ir->constant[i] == value)
            return (jit_reg)(JIT_CONST0 + i);
    }
    /* No constant: its value would have to be somewhere. */
    if (!ROOM(ir, constant, n_constants, max_constants, JIT_MAX_CONSTS))
        return JIT_TEMP0;
    ir->constant[ir->n_constants] = value;
    return (jit_reg)(JIT_CONST0 + ir->n_constants++);
}

int32_t jit_ir_way(struct jit_ir *ir, enum jit_exit_kind kind, int32_t offset,
                   bool retired)
{
    if (!ROOM(ir, way, n_ways, max_ways, JIT_MAX_WAYS))
        return 0;
    ir->way[ir->n_ways] = (struct jit_way){(uint8_t)kind, retired, offset};
    return (int32_t)ir->n_ways++;
}

int32_t jit_ir_call(struct jit_ir *ir,
                    uint32_t (*function)(void *guest, const void *arg), const void *arg)
{
    if (!ROOM(ir, call, n_calls, max_calls, JIT_MAX_CALLS))
        return 0;
    ir->call[ir->n_calls] = (struct jit_call){function, arg};
    return (int32_t)ir->n_calls++;
}

void jit_ir_emit(struct jit_ir *ir, enum jit_op op, unsigned aux, jit_reg d, jit_reg a,
                 jit_reg b, jit_reg c, int32_t imm)
{
    sm_assert_hot(ir->n_places > 0 || ir->overflow);
    if (!ROOM(ir, insn, n_insns, max_insns, JIT_MAX_INSNS))
        return;
    ir->insn[ir->n_insns++] = (struct jit_insn){
        .op = (uint8_t)op, .aux = (uint8_t)aux, .d = d, .a = a, .b = b, .c = c,
        .at = (uint16_t)(ir->n_places - 1), .imm = imm};
}

enum jit_class jit_ir_class(const struct jit_ir *ir, jit_reg reg)
{
    if (jit_is_global(reg))
        return reg < ir->n_globals ? (enum jit_class)ir->globals[reg].class
                                   : JIT_CLASS_NONE;
    if (jit_is_temp(reg))
        return (unsigned)(reg - JIT_TEMP0) < ir->n_temps
            ? (enum jit_class)ir->temp_class[reg - JIT_TEMP0] : JIT_CLASS_NONE;
    return jit_is_const(reg) && (unsigned)(reg - JIT_CONST0) < ir->n_constants
        ? JIT_CLASS_INT : JIT_CLASS_NONE;
}
