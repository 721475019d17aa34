/* SPDX-License-Identifier: MIT */
/* unit.c - makes units, links them to each other, ends them.
 */
#include "base/hostmem.h"
#include "jit/jit_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    CHUNK = 256 << 10,
    /* Code bytes that a site has: an access is 70 at least.  Only calls have fewer, so the
     * cache may be full of them before it is full of code. */
    SITE_BYTES = 64
};

struct jit_chunk {
    struct jit_chunk *next;
    uint64_t space[];
};

/* --- Memory of units ----------------------------------------------------------------- */

void *jit_keep(struct jit *jit, size_t size)
{
    void *at;

    size = (size + 7) & ~(size_t)7;
    if (!jit->chunks || jit->chunk_used + size > CHUNK) {
        struct jit_chunk *chunk = malloc(sizeof(*chunk) + CHUNK);

        if (!chunk)
            return NULL;
        chunk->next = jit->chunks;
        jit->chunks = chunk;
        jit->chunk_used = 0;
    }
    at = (uint8_t *)jit->chunks->space + jit->chunk_used;
    jit->chunk_used += size;
    return at;
}

static void drop_kept(struct jit *jit)
{
    while (jit->chunks) {
        struct jit_chunk *next = jit->chunks->next;

        free(jit->chunks);
        jit->chunks = next;
    }
    jit->chunk_used = 0;
}

/* --- A jit ------------------------------------------------------------------------------ */

bool jit_supported(void)
{
    return jit_host_supported();
}

static bool is_valid(const struct jit_options *options)
{
    const struct jit_guest *guest = options->guest;

    return options->struct_size >= sizeof(*options) && guest &&
           guest->struct_size >= sizeof(*guest) && options->state &&
           guest->n_globals <= JIT_MAX_GLOBALS;
}

/** Say what lies before all units. */
static void name_thunks(struct jit *jit)
{
    /* In this order in memory; what has no name of its own is its neighbour's. */
    const struct {
        const void *code;
        const char *name;
    } thunk[] = {
        {jit->code.run, "thunk-enter"},
        {jit->leave, "thunk-leave"},
        {jit->link, "thunk-link"},
        {jit->jump, "thunk-jump"},
        {jit->call, "thunk-call"},
        {jit->slow[0], "thunk-slow"},
        {jit->slow[1], "thunk-slow-fp"},
        {jit->near[0][0], "thunk-near-load"},
        {jit->near[0][1], "thunk-near-load-group"},
        {jit->near[1][0], "thunk-near-store"},
        {jit->near[1][1], "thunk-near-store-group"},
        {jit->pool, NULL},
    };

    for (unsigned i = 0; jit->names && thunk[i].name; i++) {
        const uint8_t *const begin = thunk[i].code, *const end = thunk[i + 1].code;

        sm_assert(begin < end);
        jit_perfmap_add(jit->names, begin, (size_t)(end - begin), thunk[i].name);
    }
}

/** Nothing is named any more from @from bytes of code on. */
static void drop_names(struct jit *jit, size_t from)
{
    if (jit->names && jit->code.write)
        jit_perfmap_drop(jit->names, jit->code.run + from, jit->code.size - from);
}

int jit_new(const struct jit_options *options, struct jit **out)
{
    const size_t page = 1 << 16; /* hosts' pages are not larger */
    struct jit *jit;
    int error;

    if (!is_valid(options))
        return -EINVAL;
    if (!jit_supported())
        return -ENOTSUP;
    jit = calloc(1, sizeof(*jit));
    if (!jit)
        return -ENOMEM;
    jit->guest = *options->guest;
    jit->flags = options->flags;
    jit->opt = options->opt;
    jit->seed = options->seed;
    jit->state = options->state;
    jit->names = options->names;
    jit->st = (struct jit_state *)jit_home(jit, jit->guest.state_offset);
    jit_ir_init(&jit->ir, jit->guest.globals, jit->guest.n_globals);
    jit_alloc_pins(&jit->pins, &jit_host_regs, &jit->guest, jit->flags, jit->seed);
    jit->max_sites = (uint32_t)SM_MIN(options->cache_size / SITE_BYTES, (size_t)UINT32_MAX);
    jit->site = sm_hostmem_arena(sizeof(*jit->site) * jit->max_sites);
    jit->lower = jit_host_new();
    jit->st->jumps = calloc((size_t)1 << JIT_JUMP_BITS, sizeof(*jit->st->jumps));
    error = jit->site && jit->lower && jit->st->jumps
                ? jit_mcode_map(&jit->code,
                                (options->cache_size + page - 1) & ~(page - 1), "softmmu-jit")
                : -ENOMEM;
    if (!error && !jit_host_thunks(jit))
        error = -ENOMEM;
    if (error) {
        jit_free(jit);
        return error;
    }
    name_thunks(jit);
    jit_forget_returns(jit);
    *out = jit;
    return 0;
}

void jit_free(struct jit *jit)
{
    if (!jit)
        return;
    drop_kept(jit);
    drop_names(jit, 0);
    if (jit->code.write)
        jit_mcode_unmap(&jit->code);
    jit_ir_fini(&jit->ir);
    free(jit->st->jumps);
    jit->st->jumps = NULL;
    free(jit->lower);
    sm_hostmem_unmap(jit->site, sizeof(*jit->site) * jit->max_sites);
    free(jit);
}

void jit_forget_returns(struct jit *jit)
{
    uint64_t *const returns = jit->st->returns; /* once: a store might change .st */

    for (unsigned n = 0; n < JIT_N_RETURNS; n++)
        returns[n] = JIT_NO_RETURN;
}

static void forget_jumps(struct jit *jit)
{
    memset(jit->st->jumps, 0, sizeof(*jit->st->jumps) << JIT_JUMP_BITS);
}

void jit_reset(struct jit *jit)
{
    jit_forget_returns(jit);
    forget_jumps(jit);
    drop_kept(jit);
    drop_names(jit, jit->thunks);
    jit_mcode_reset(&jit->code, jit->thunks);
    jit->n_sites = 0;
    jit->stats.resets++;
}

/* --- Making ------------------------------------------------------------------------------ */

struct jit_ir *jit_begin(struct jit *jit, uint32_t without)
{
    jit->without = without;
    jit_ir_reset(&jit->ir);
    return &jit->ir;
}

static uint64_t now(void)
{
    struct timespec at;

    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * UINT64_C(1000000000) + (uint64_t)at.tv_nsec;
}

/** Optimise and check what was built.  Returns  whether it is to be had */
static bool prepare(struct jit *jit)
{
    struct jit_ir *const ir = &jit->ir;

    if (ir->overflow || !ir->n_insns)
        return false;
    if (jit->opt & JIT_OPT_FOLD)
        jit_opt_fold(ir);
    if ((jit->opt & JIT_OPT_CHECK) && !(jit->without & JIT_WITHOUT_CHECKS))
        jit_opt_check(ir);
    if (jit->opt & JIT_OPT_DEAD)
        jit_opt_dead(ir);
#ifdef SM_DEBUG_CHECKS
    sm_assert(ir->overflow || jit_ir_verify(ir, NULL, 0));
#endif
    return !ir->overflow &&
           jit_alloc(&jit->alloc, ir, &jit_host_regs, &jit->pins,
                     jit->guest.state_offset + (int32_t)offsetof(struct jit_state, save),
                     &jit->seed);
}

struct jit_unit *jit_end(struct jit *jit, const void *host, uint32_t stamp, bool *full)
{
    const uint32_t n_sites = jit->n_sites;
    const uint64_t began = now();
    struct jit_unit *unit;

    *full = false;
    if (!prepare(jit))
        return NULL;
    unit = jit_keep(jit, sizeof(*unit));
    if (!unit)
        return NULL;
    *unit = (struct jit_unit){
        .host = host,
        .page = (uint64_t)(uintptr_t)host - (uint64_t)(int64_t)jit->ir.place[0].offset};
    unit->evicted = jit->alloc.evicted;
    if (!jit_host_emit(jit, unit, stamp, full)) {
        *full |= jit->n_sites == jit->max_sites;
        jit->n_sites = n_sites;
        return NULL;
    }
    unit->run = jit_mcode_run(&jit->code, unit->code);
    jit->stats.units++;
    jit->stats.guest_insns += jit->ir.n_places;
    jit->stats.host_bytes += unit->size;
    jit->stats.translate_ns += now() - began;
    return unit;
}

uint32_t jit_unit_refused(const struct jit_unit *unit)
{
    return unit->without;
}

size_t jit_unit_code(const struct jit_unit *unit, const void **code)
{
    *code = unit->run;
    return unit->size;
}

void jit_unit_name(struct jit *jit, const struct jit_unit *unit, const char *name)
{
    if (jit->names)
        jit_perfmap_add(jit->names, unit->run, unit->size, name);
}

size_t jit_place_code(const struct jit *jit, unsigned n)
{
    return jit->place_code[n];
}

/* --- Living and ending ---------------------------------------------------------------------- */

void jit_unit_stamp(struct jit *jit, struct jit_unit *unit, uint32_t stamp)
{
    if (!unit->ended)
        jit_host_stamp(jit, unit, stamp);
}

static void unlink_exit(struct jit *jit, struct jit_exit *exit)
{
    struct jit_exit **at = &exit->to->incoming;

    while (*at != exit)
        at = &(*at)->next;
    *at = exit->next;
    exit->to = NULL;
    exit->next = NULL;
    jit_host_link(jit, exit);
}

void jit_unit_end(struct jit *jit, struct jit_unit *unit)
{
    struct jit_jump_entry *entry =
        &jit->st->jumps[jit_jump_slot((uint64_t)(uintptr_t)unit->host)];

    if (unit->ended)
        return;
    /* What still leads here, a return that was remembered, finds its poll failing. */
    jit_host_stamp(jit, unit, JIT_STAMP_NEVER);
    unit->ended = true;
    while (unit->incoming)
        unlink_exit(jit, unit->incoming);
    if (entry->code == unit->run)
        *entry = (struct jit_jump_entry){0};
    if (jit->names)
        jit_perfmap_drop(jit->names, unit->run, unit->size);
    jit->stats.units_ended++;
}

void jit_link(struct jit *jit, struct jit_exit *exit, struct jit_unit *unit)
{
    if ((jit->flags & JIT_NO_LINK) || unit->ended)
        return;
    if (exit->to)
        unlink_exit(jit, exit);
    exit->to = unit;
    exit->next = unit->incoming;
    unit->incoming = exit;
    jit_host_link(jit, exit);
    jit->stats.links++;
}

void jit_publish(struct jit *jit, struct jit_unit *unit)
{
    const uint64_t host = (uint64_t)(uintptr_t)unit->host;

    if (!(jit->flags & JIT_NO_JUMPS) && !unit->ended)
        jit->st->jumps[jit_jump_slot(host)] =
            (struct jit_jump_entry){host, unit->run};
}

void jit_get_stats(const struct jit *jit, struct jit_stats *out)
{
    *out = jit->stats;
    out->struct_size = sizeof(*out);
    out->cache_used = jit->code.used;
    out->cache_size = jit->code.size;
    out->sites_used = jit->n_sites;
    out->sites_size = jit->max_sites;
}
