/* SPDX-License-Identifier: MIT */
/* regalloc.c - decides where each value of a unit is.
 *
 * A look backwards over all operations says of each operand what reads it next.  Then, as
 * operations are emitted one by one, registers are given to what is read again, and when
 * there are none to spare, taken from what is read last of all.  What is dirty and taken
 * is written home.
 *
 * In a unit that loops the way back must find each value where the beginning left it: there
 * the globals that are used most have registers from the beginning on, for good.
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
                pins->home[pins->n] = guest->globals[g].offset;
                pins->reg[pins->n++] = regs[rank - 1];
            }
}

/* --- Looking at the unit ------------------------------------------------------- */

enum { NEVER = 0xffff };

struct look {
    uint16_t uses[JIT_MAX_GLOBALS];
    bool written[JIT_MAX_GLOBALS];
    uint16_t next_global[JIT_MAX_GLOBALS], next_temp[JIT_MAX_TEMPS];
    unsigned n_temps[2], most_temps[2]; /* alive at once, by file              */
};

static uint16_t *next_of(struct look *look, jit_reg reg)
{
    return jit_is_global(reg) ? &look->next_global[reg]
                              : &look->next_temp[reg - JIT_TEMP0];
}

/** A temporary of class @class begins or ceases to live, seen backwards. */
static void live(struct look *look, enum jit_class class, int change)
{
    const unsigned file = jit_file(class);

    look->n_temps[file] = (unsigned)((int)look->n_temps[file] + change);
    look->most_temps[file] = SM_MAX(look->most_temps[file], look->n_temps[file]);
}

static void look_write(struct look *look, const struct jit_ir *ir, jit_reg reg,
                       uint16_t *next)
{
    uint16_t *const after = next_of(look, reg);

    *next = *after;
    if (jit_is_global(reg)) {
        look->uses[reg]++;
        look->written[reg] = true;
    } else if (*after != NEVER) {
        live(look, (enum jit_class)ir->temp_class[reg - JIT_TEMP0], -1);
    }
    *after = NEVER;
}

static void look_read(struct look *look, const struct jit_ir *ir, jit_reg reg,
                      uint16_t *next)
{
    *next = *next_of(look, reg);
    if (jit_is_global(reg))
        look->uses[reg]++;
    else if (*next == NEVER)
        live(look, (enum jit_class)ir->temp_class[reg - JIT_TEMP0], 1);
}

static void look_at(struct look *look, struct jit_alloc *alloc, const struct jit_ir *ir)
{
    memset(look, 0, sizeof(*look));
    memset(look->next_global, 0xff, sizeof(look->next_global));
    memset(look->next_temp, 0xff, sizeof(look->next_temp));
    for (unsigned i = ir->n_insns; i-- > 0;) {
        const struct jit_insn *const insn = &ir->insn[i];
        const struct jit_op_row *const row = &jit_ops[insn->op];
        const jit_reg reads[3] = {row->a ? insn->a : JIT_NONE, row->b ? insn->b : JIT_NONE,
                                  row->c ? insn->c : JIT_NONE};
        uint16_t *const next = alloc->next[i];

        next[0] = NEVER;
        if (row->d)
            look_write(look, ir, insn->d, &next[0]);
        if (insn->op == JIT_OP_call) /* behind it all globals are at home */
            memset(look->next_global, 0xff, sizeof(look->next_global));
        for (unsigned k = 0; k < 3; k++)
            if (reads[k] != JIT_NONE && !jit_is_const(reads[k]))
                look_read(look, ir, reads[k], &next[k + 1]);
        for (unsigned k = 0; k < 3; k++)
            if (reads[k] != JIT_NONE && !jit_is_const(reads[k])) {
                *next_of(look, reads[k]) = (uint16_t)i;
                if (jit_is_temp(reads[k]) && !alloc->temp_last[reads[k] - JIT_TEMP0])
                    alloc->temp_last[reads[k] - JIT_TEMP0] = (uint16_t)i;
            }
        alloc->loops |= insn->op == JIT_OP_loop || insn->op == JIT_OP_loop_if;
        alloc->uses_fp |= row->a == JIT_CLASS_FP || row->b == JIT_CLASS_FP ||
                          row->c == JIT_CLASS_FP || row->d == JIT_CLASS_FP;
    }
}

/** Find pins that a loop can do without while others need a register. */
static uint32_t evict_pins(const struct jit_alloc *alloc, const struct jit_ir *ir,
                           const struct look *look, const struct jit_host *host,
                           const struct jit_pins *pins)
{
    unsigned needed = SM_MIN(look->most_temps[0], 2u), have = host->n_ints - pins->n;
    uint32_t evicted = 0;

    if (!alloc->loops)
        return 0;
    for (unsigned g = 0; g < ir->n_globals; g++)
        needed += ir->globals[g].class == JIT_CLASS_INT && look->uses[g] &&
                  alloc->global[g].reg == JIT_IN_MEMORY;
    for (unsigned p = pins->n; p-- > 0 && have < needed;)
        if (!look->uses[pins->global[p]]) {
            evicted |= UINT32_C(1) << p;
            have++;
        }
    return evicted;
}

/* --- Registers ------------------------------------------------------------------- */

static void pool_init(struct jit_pool *pool, const uint8_t *regs, unsigned n,
                      const struct jit_pins *pins, uint32_t evicted, uint32_t *seed)
{
    pool->n = 0;
    pool->busy = 0;
    for (unsigned i = 0; i < n; i++) {
        bool pinned = false;

        for (unsigned p = 0; pins && p < pins->n; p++)
            pinned |= pins->reg[p] == regs[i] && !(evicted >> p & 1);
        if (!pinned)
            pool->reg[pool->n++] = regs[i];
    }
    if (*seed)
        shuffle(pool->reg, pool->n, seed);
    for (unsigned i = 0; i < JIT_HOST_REGS; i++) {
        pool->next[i] = NEVER;
        pool->temp[i] = JIT_NONE;
    }
}

/** Have register @reg of @file hold no global. */
static void release(struct jit_alloc *alloc, unsigned file, unsigned reg)
{
    uint8_t *const owner = &alloc->now.owner[file][reg];

    if (*owner != JIT_NOBODY)
        alloc->global[*owner].reg = JIT_IN_MEMORY;
    *owner = JIT_NOBODY;
    alloc->now.dirty[file] &= (uint16_t)~(1u << reg);
}

static void own(struct jit_alloc *alloc, unsigned file, unsigned reg, jit_reg global)
{
    alloc->now.owner[file][reg] = (uint8_t)global;
    alloc->global[global].reg = (uint8_t)reg;
}

/** Find a register for what is read by operation @next: one that is free, or whose global
 *  is read later than that.
 *  Returns  JIT_IN_MEMORY if there is none */
static unsigned take(struct jit_alloc *alloc, unsigned file, unsigned next,
                     const struct jit_mover *mover)
{
    struct jit_pool *const pool = &alloc->pool[file];
    unsigned best = JIT_IN_MEMORY;

    if (*alloc->seed && random_next(alloc->seed) % 8 == 0)
        return JIT_IN_MEMORY;
    for (unsigned i = 0; i < pool->n; i++) {
        const unsigned reg = pool->reg[i];

        if ((pool->busy >> reg & 1) || pool->temp[reg] != JIT_NONE)
            continue;
        if (alloc->now.owner[file][reg] == JIT_NOBODY) {
            pool->busy |= (uint16_t)(1u << reg);
            return reg;
        }
        if (best == JIT_IN_MEMORY || pool->next[reg] > pool->next[best])
            best = reg;
    }
    if (best == JIT_IN_MEMORY || pool->next[best] <= next)
        return JIT_IN_MEMORY;
    if (alloc->now.dirty[file] >> best & 1)
        mover->store(mover->opaque, file ? JIT_CLASS_FP : JIT_CLASS_INT, best,
                     alloc->global[alloc->now.owner[file][best]].offset);
    release(alloc, file, best);
    pool->busy |= (uint16_t)(1u << best);
    return best;
}

/* --- Before and after an operation -------------------------------------------------- */

/** Whether @global is in a register that may be taken from it. */
static bool is_cached(const struct jit_alloc *alloc, unsigned file, jit_reg global)
{
    const unsigned reg = alloc->global[global].reg;

    return !alloc->loops && reg != JIT_IN_MEMORY && alloc->now.owner[file][reg] == global;
}

static void before_read(struct jit_alloc *alloc, jit_reg reg, unsigned next,
                        const struct jit_mover *mover)
{
    const enum jit_class class = jit_ir_class(alloc->ir, reg);
    const unsigned file = jit_file(class);
    struct jit_pool *const pool = &alloc->pool[file];
    unsigned host;

    if (jit_is_temp(reg)) {
        host = alloc->temp[reg - JIT_TEMP0].reg;
    } else if (is_cached(alloc, file, reg)) {
        host = alloc->global[reg].reg;
    } else if (alloc->loops || alloc->global[reg].reg != JIT_IN_MEMORY || next == NEVER) {
        return;
    } else {
        host = take(alloc, file, next, mover);
        if (host == JIT_IN_MEMORY)
            return;
        mover->load(mover->opaque, class, host, alloc->global[reg].offset);
        own(alloc, file, host, reg);
    }
    if (host == JIT_IN_MEMORY)
        return;
    pool->busy |= (uint16_t)(1u << host);
    pool->next[host] = (uint16_t)next;
}

/** Forget the temporary @reg: it is not read any more. */
static void kill_temp(struct jit_alloc *alloc, jit_reg reg)
{
    const struct jit_loc loc = alloc->temp[reg - JIT_TEMP0];
    const unsigned file = jit_file((enum jit_class)alloc->ir->temp_class[reg - JIT_TEMP0]);

    if (loc.reg == JIT_IN_MEMORY)
        alloc->slot_free |= UINT32_C(1) << ((loc.offset - alloc->saves) / 8);
    else if (alloc->pool[file].temp[loc.reg] == reg) {
        alloc->pool[file].temp[loc.reg] = JIT_NONE;
        alloc->pool[file].busy &= (uint16_t)~(1u << loc.reg);
    }
    alloc->temp_live[reg - JIT_TEMP0] = false;
}

/** Whether operation @i hands the temporary @reg to the next, which alone reads it. */
static bool is_handed(struct jit_alloc *alloc, unsigned i, jit_reg reg)
{
    return alloc->next[i][0] == i + 1 && alloc->temp_last[reg - JIT_TEMP0] == i + 1 &&
           jit_host_hands(&alloc->ir->insn[i], &alloc->ir->insn[i + 1]) &&
           !(*alloc->seed && random_next(alloc->seed) % 8 == 0);
}

/** Find a place for the temporary @reg, which operation @i writes. */
static bool place_temp(struct jit_alloc *alloc, unsigned i, jit_reg reg,
                       const struct jit_mover *mover)
{
    const unsigned t = reg - JIT_TEMP0;
    const unsigned file = jit_file((enum jit_class)alloc->ir->temp_class[t]);
    unsigned slot;

    if (alloc->temp_live[t])
        return true;
    alloc->temp_live[t] = true;
    if (is_handed(alloc, i, reg)) {
        alloc->temp[t].reg = jit_host_regs.hand;
        return true;
    }
    alloc->temp[t].reg = JIT_IN_MEMORY;
    if (alloc->temp_last[t] <= alloc->next_call)
        alloc->temp[t].reg = (uint8_t)take(alloc, file, alloc->next[i][0], mover);
    if (alloc->temp[t].reg != JIT_IN_MEMORY) {
        alloc->pool[file].temp[alloc->temp[t].reg] = reg;
        return true;
    }
    if (!alloc->slot_free)
        return false;
    slot = (unsigned)__builtin_ctz(alloc->slot_free);
    alloc->slot_free &= alloc->slot_free - 1;
    alloc->temp[t].offset = alloc->saves + (int32_t)(8 * slot);
    return true;
}

/** Choose a place for the global @reg, which the operation writes and does not read. */
static void place_global(struct jit_alloc *alloc, jit_reg reg, unsigned next,
                         const struct jit_mover *mover)
{
    if (alloc->loops || alloc->global[reg].reg != JIT_IN_MEMORY || next == NEVER)
        return;
    alloc->global[reg].reg =
        (uint8_t)take(alloc, jit_file(jit_ir_class(alloc->ir, reg)), next, mover);
}

bool jit_alloc_before(struct jit_alloc *alloc, unsigned i, const struct jit_mover *mover)
{
    const struct jit_insn *const insn = &alloc->ir->insn[i];
    const struct jit_op_row *const row = &jit_ops[insn->op];
    const jit_reg reads[3] = {row->a ? insn->a : JIT_NONE, row->b ? insn->b : JIT_NONE,
                              row->c ? insn->c : JIT_NONE};
    bool written = false;

    /* A call preserves no register for temporaries. */
    if (alloc->next_call <= i)
        do
            alloc->next_call++;
        while (alloc->next_call < alloc->ir->n_insns &&
               alloc->ir->insn[alloc->next_call].op != JIT_OP_call);
    alloc->pool[0].busy = alloc->pool[1].busy = 0;
    /* What is in a register already must not be taken for what is not. */
    for (unsigned pass = 0; pass < 2; pass++)
        for (unsigned k = 0; k < 3; k++)
            if (reads[k] != JIT_NONE && !jit_is_const(reads[k]) &&
                (pass || jit_is_temp(reads[k]) ||
                 is_cached(alloc, jit_file(jit_ir_class(alloc->ir, reads[k])), reads[k])))
                before_read(alloc, reads[k], alloc->next[i][k + 1], mover);
    /* What is also written has one place, wanted by what reads it then. */
    if (row->d && jit_is_global(insn->d) &&
        (insn->a == insn->d || insn->b == insn->d || insn->c == insn->d)) {
        before_read(alloc, insn->d, alloc->next[i][0], mover);
        written = true;
    }
    /* Operations read before they write: what dies here makes room. */
    for (unsigned k = 0; k < 3; k++)
        if (reads[k] != JIT_NONE && jit_is_temp(reads[k]) &&
            alloc->next[i][k + 1] == NEVER && reads[k] != insn->d)
            kill_temp(alloc, reads[k]);
    if (!row->d || written)
        return true;
    if (jit_is_temp(insn->d))
        return place_temp(alloc, i, insn->d, mover);
    place_global(alloc, insn->d, alloc->next[i][0], mover);
    return true;
}

/** The operation wrote the global @reg. */
static void wrote(struct jit_alloc *alloc, jit_reg reg, unsigned next)
{
    const unsigned file = jit_file(jit_ir_class(alloc->ir, reg));
    const unsigned host = alloc->global[reg].reg;

    if (host == JIT_IN_MEMORY)
        return;
    for (unsigned i = 0; i < alloc->pool[file].n; i++)
        if (alloc->pool[file].reg[i] == host) {
            own(alloc, file, host, reg);
            alloc->pool[file].next[host] = (uint16_t)next;
        }
    if (alloc->now.owner[file][host] == reg) /* not pinned */
        alloc->now.dirty[file] |= (uint16_t)(1u << host);
}

void jit_alloc_after(struct jit_alloc *alloc, unsigned i)
{
    const struct jit_insn *const insn = &alloc->ir->insn[i];
    const struct jit_op_row *const row = &jit_ops[insn->op];

    if (row->d && jit_is_global(insn->d))
        wrote(alloc, insn->d, alloc->next[i][0]);
    else if (row->d && alloc->next[i][0] == NEVER)
        kill_temp(alloc, insn->d);
    for (unsigned file = 0; file < 2; file++) {
        struct jit_pool *const pool = &alloc->pool[file];

        if (insn->op == JIT_OP_call) /* it wrote what was dirty, or any global */
            alloc->now.dirty[file] = 0;
        for (unsigned n = 0; n < pool->n && !alloc->loops; n++) {
            const unsigned reg = pool->reg[n];

            if (insn->op == JIT_OP_call ||
                (pool->next[reg] == NEVER && !(alloc->now.dirty[file] >> reg & 1)))
                release(alloc, file, reg);
        }
    }
}

/* --- The beginning -------------------------------------------------------------------- */

/** Give registers of @file to the globals that a loop uses most. */
static void keep_in_loop(struct jit_alloc *alloc, const struct jit_ir *ir,
                         const struct look *look, unsigned file)
{
    struct jit_pool *const pool = &alloc->pool[file];
    const unsigned temps = SM_MIN(look->most_temps[file], 2u);

    while (pool->n > temps) {
        const unsigned reg = pool->reg[pool->n - 1];
        unsigned best = JIT_NOBODY;

        for (unsigned g = 0; g < ir->n_globals; g++)
            if (jit_file((enum jit_class)ir->globals[g].class) == file && look->uses[g] &&
                alloc->global[g].reg == JIT_IN_MEMORY &&
                (best == JIT_NOBODY || look->uses[g] > look->uses[best]))
                best = g;
        if (best == JIT_NOBODY)
            return;
        own(alloc, file, reg, (jit_reg)best);
        /* From the second round on what the first wrote is not at home. */
        if (look->written[best])
            alloc->now.dirty[file] |= (uint16_t)(1u << reg);
        pool->n--;
    }
}

bool jit_alloc(struct jit_alloc *alloc, const struct jit_ir *ir,
               const struct jit_host *host, const struct jit_pins *pins, int32_t saves,
               uint32_t *seed)
{
    struct look look;

    if (ir->n_insns > JIT_MAX_ALLOC)
        return false;
    alloc->ir = ir;
    alloc->saves = saves;
    alloc->seed = seed;
    alloc->slot_free = UINT32_MAX;
    alloc->loops = alloc->uses_fp = false;
    memset(alloc->temp_live, 0, ir->n_temps);
    memset(alloc->temp_last, 0, ir->n_temps * sizeof(alloc->temp_last[0]));
    alloc->next_call = 0;
    memset(alloc->now.owner, JIT_NOBODY, sizeof(alloc->now.owner));
    memset(alloc->now.dirty, 0, sizeof(alloc->now.dirty));
    for (unsigned g = 0; g < ir->n_globals; g++)
        alloc->global[g] = (struct jit_loc){JIT_IN_MEMORY, ir->globals[g].offset};
    for (unsigned p = 0; p < pins->n; p++)
        alloc->global[pins->global[p]].reg = pins->reg[p];
    look_at(&look, alloc, ir);
    alloc->evicted = evict_pins(alloc, ir, &look, host, pins);
    for (unsigned p = 0; p < pins->n; p++)
        if (alloc->evicted >> p & 1)
            alloc->global[pins->global[p]].reg = JIT_IN_MEMORY;
    pool_init(&alloc->pool[0], host->ints, host->n_ints, pins, alloc->evicted, seed);
    pool_init(&alloc->pool[1], host->fps, host->n_fps, NULL, 0, seed);
    if (alloc->loops) {
        keep_in_loop(alloc, ir, &look, 0);
        keep_in_loop(alloc, ir, &look, 1);
    }
    return true;
}
