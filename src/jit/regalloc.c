/* SPDX-License-Identifier: MIT */
/* regalloc.c - decides where each value of a unit is.
 *
 * One look at all operations counts how often registers are used and how long temporaries
 * live.  Temporaries, which live shortly, are given registers first, in the order in
 * which they are written; of the registers that no temporary needs the guest registers
 * that are used most become locals.
 */
#include "jit/jit_impl.h"

#include <string.h>

/** xorshift; never 0. */
static uint32_t random_next(uint32_t *seed)
{
    uint32_t x = *seed;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *seed = x;
}

static void shuffle(uint8_t *list, unsigned n, uint32_t *seed)
{
    for (unsigned i = n; i > 1; i--) {
        const unsigned j = random_next(seed) % i;
        const uint8_t other = list[j];

        list[j] = list[i - 1];
        list[i - 1] = other;
    }
}

void jit_alloc_pins(struct jit_pins *pins, const struct jit_host *host,
                    const struct jit_guest *guest, uint32_t flags, uint32_t seed)
{
    unsigned n = host->n_pins;
    uint8_t regs[JIT_HOST_REGS];

    memcpy(regs, host->ints, sizeof(regs));
    pins->n = 0;
    if (flags & JIT_NO_PINS)
        return;
    if (seed) { /* at least one register remains for others: n_pins < n_ints */
        n = random_next(&seed) % (n + 1);
        shuffle(regs, host->n_ints, &seed);
    }
    for (unsigned rank = 1; rank <= n; rank++)
        for (unsigned g = 0; g < guest->n_globals; g++)
            if (guest->globals[g].rank == rank &&
                guest->globals[g].class == JIT_CLASS_INT) {
                pins->global[pins->n] = (uint8_t)g;
                pins->reg[pins->n++] = regs[rank - 1];
            }
}

/* --- Looking at the unit ------------------------------------------------------- */

enum { NEVER = 0xffff };

struct look {
    uint16_t uses[JIT_MAX_GLOBALS];
    bool read_first[JIT_MAX_GLOBALS], written[JIT_MAX_GLOBALS];
    uint16_t first[JIT_MAX_TEMPS], last[JIT_MAX_TEMPS];
};

static void look_read(struct look *look, jit_reg reg, unsigned at)
{
    if (jit_is_global(reg)) {
        look->uses[reg]++;
        if (!look->written[reg])
            look->read_first[reg] = true;
    } else if (jit_is_temp(reg)) {
        look->last[reg - JIT_TEMP0] = (uint16_t)at;
    }
}

static void look_write(struct look *look, jit_reg reg, unsigned at)
{
    if (jit_is_global(reg)) {
        look->uses[reg]++;
        look->written[reg] = true;
    } else if (jit_is_temp(reg)) {
        const unsigned t = reg - JIT_TEMP0;

        if (look->first[t] == NEVER)
            look->first[t] = (uint16_t)at;
        if (look->last[t] < at || look->last[t] == NEVER)
            look->last[t] = (uint16_t)at;
    }
}

static void look_at(struct look *look, struct jit_alloc *alloc, const struct jit_ir *ir)
{
    memset(look->uses, 0, sizeof(look->uses));
    memset(look->read_first, 0, sizeof(look->read_first));
    memset(look->written, 0, sizeof(look->written));
    for (unsigned t = 0; t < ir->n_temps; t++)
        look->first[t] = look->last[t] = NEVER;
    for (unsigned i = 0; i < ir->n_insns; i++) {
        const struct jit_insn *insn = &ir->insn[i];
        const struct jit_op_row *row = &jit_ops[insn->op];

        if (row->a)
            look_read(look, insn->a, i);
        if (row->b)
            look_read(look, insn->b, i);
        if (row->c)
            look_read(look, insn->c, i);
        if (row->d)
            look_write(look, insn->d, i);
        if (insn->op == JIT_OP_loop || insn->op == JIT_OP_loop_if)
            alloc->loops = true;
        if (row->a == JIT_CLASS_FP || row->b == JIT_CLASS_FP || row->c == JIT_CLASS_FP ||
            row->d == JIT_CLASS_FP)
            alloc->uses_fp = true;
    }
}

/* --- Temporaries --------------------------------------------------------------- */

/** Registers of one class, and until which operation each is in use. */
struct pool {
    uint8_t n;
    uint8_t reg[JIT_HOST_REGS];
    uint16_t until[JIT_HOST_REGS];
    bool used[JIT_HOST_REGS]; /* by some temporary                             */
};

static void pool_init(struct pool *pool, const uint8_t *regs, unsigned n,
                      const struct jit_pins *pins, uint32_t *seed)
{
    pool->n = 0;
    for (unsigned i = 0; i < n; i++) {
        bool pinned = false;

        for (unsigned p = 0; pins && p < pins->n; p++)
            pinned |= pins->reg[p] == regs[i];
        if (!pinned)
            pool->reg[pool->n++] = regs[i];
    }
    if (*seed)
        shuffle(pool->reg, pool->n, seed);
    memset(pool->until, 0, sizeof(pool->until));
    memset(pool->used, 0, sizeof(pool->used));
}

/** A register that is free from operation @from on, from the pool's end. */
static unsigned pool_take(struct pool *pool, unsigned from, unsigned until)
{
    for (unsigned i = pool->n; i-- > 0;)
        if (pool->until[i] <= from) {
            pool->until[i] = (uint16_t)until;
            pool->used[i] = true;
            return pool->reg[i];
        }
    return JIT_IN_MEMORY;
}

/** A slot of memory that is free from operation @from on. */
static bool take_slot(uint16_t *until, struct jit_loc *loc, int32_t saves, unsigned from,
                      unsigned last)
{
    for (unsigned i = 0; i < JIT_N_SAVES; i++)
        if (until[i] <= from) {
            until[i] = (uint16_t)last;
            *loc = (struct jit_loc){JIT_IN_MEMORY, saves + (int32_t)(8 * i)};
            return true;
        }
    return false;
}

static bool alloc_temps(struct jit_alloc *alloc, const struct jit_ir *ir,
                        const struct look *look, struct pool *ints, struct pool *fps,
                        int32_t saves, uint32_t *seed)
{
    uint16_t slots[JIT_N_SAVES] = {0};

    /* An operation reads its operands before it writes: what ends there makes room. */
    for (unsigned i = 0; i < ir->n_insns; i++) {
        const jit_reg d = ir->insn[i].d;
        unsigned t;

        if (!jit_ops[ir->insn[i].op].d || !jit_is_temp(d))
            continue;
        t = d - JIT_TEMP0;
        if (look->first[t] != i)
            continue;
        alloc->temp[t].reg = JIT_IN_MEMORY;
        if (!*seed || random_next(seed) % 8)
            alloc->temp[t].reg = (uint8_t)pool_take(
                ir->temp_class[t] == JIT_CLASS_FP ? fps : ints, i, look->last[t]);
        if (alloc->temp[t].reg == JIT_IN_MEMORY &&
            !take_slot(slots, &alloc->temp[t], saves, i, look->last[t]))
            return false;
    }
    return true;
}

/* --- Locals --------------------------------------------------------------------- */

/** Make the global of class @class that is used most a local in @reg. */
static bool alloc_local(struct jit_alloc *alloc, const struct jit_ir *ir,
                        struct look *look, enum jit_class class, unsigned reg)
{
    unsigned best = 0, uses = alloc->loops ? 0 : 1;

    for (unsigned g = 0; g < ir->n_globals; g++)
        if (ir->globals[g].class == class && look->uses[g] > uses &&
            alloc->global[g].reg == JIT_IN_MEMORY) {
            best = g;
            uses = look->uses[g];
        }
    if (uses == (alloc->loops ? 0u : 1u) || alloc->n_locals == JIT_MAX_LOCALS)
        return false;
    alloc->global[best].reg = (uint8_t)reg;
    alloc->local[alloc->n_locals] = (uint8_t)best;
    alloc->local_of[best] = alloc->n_locals;
    if (alloc->loops || look->read_first[best])
        alloc->loaded |= UINT32_C(1) << alloc->n_locals;
    if (look->written[best])
        alloc->written |= UINT32_C(1) << alloc->n_locals;
    alloc->n_locals++;
    return true;
}

static void alloc_locals(struct jit_alloc *alloc, const struct jit_ir *ir,
                         struct look *look, const struct pool *pool, enum jit_class class)
{
    for (unsigned i = 0; i < pool->n; i++)
        if (!pool->used[i] && !alloc_local(alloc, ir, look, class, pool->reg[i]))
            return;
}

bool jit_alloc(struct jit_alloc *alloc, const struct jit_ir *ir,
               const struct jit_host *host, const struct jit_pins *pins, int32_t saves,
               uint32_t *seed)
{
    struct look look;
    struct pool ints, fps;

    alloc->n_locals = 0;
    alloc->loaded = alloc->written = 0;
    alloc->loops = alloc->uses_fp = false;
    memset(alloc->local_of, 0xff, sizeof(alloc->local_of));
    for (unsigned g = 0; g < ir->n_globals; g++)
        alloc->global[g] = (struct jit_loc){JIT_IN_MEMORY, ir->globals[g].offset};
    for (unsigned p = 0; p < pins->n; p++)
        alloc->global[pins->global[p]].reg = pins->reg[p];
    look_at(&look, alloc, ir);
    pool_init(&ints, host->ints, host->n_ints, pins, seed);
    pool_init(&fps, host->fps, host->n_fps, NULL, seed);
    if (!alloc_temps(alloc, ir, &look, &ints, &fps, saves, seed))
        return false;
    alloc_locals(alloc, ir, &look, &ints, JIT_CLASS_INT);
    alloc_locals(alloc, ir, &look, &fps, JIT_CLASS_FP);
    return true;
}
