/* SPDX-License-Identifier: MIT */
/* unit.c - units of host code by host address: made, compared with memory, ended; and
 * the way from one to the next where their code does not know it.
 *
 * A unit is kept with the bytes that it was made of.  While its stamp is the vCPU's it is
 * entered as it is.  FENCE.I and what stands for one compare those whose page may have
 * been written (code.h), and end those that differ; or they give the vCPU another stamp:
 * then a unit's code leads out at its beginning, it is compared with memory, and goes on
 * under the new stamp, or ends.
 *
 * Memory for all that comes from one arena.  It is had back as the code is: all at once,
 * when either is full.
 */
#include "base/hostmem.h"
#include "riscv/code.h"
#include "riscv/interp_impl.h"
#include "riscv/translate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    HASH_BITS = 17,
    REFUSED_BITS = 12,
    ARENA_SHARE = 2,       /* of the code's size: a half                       */
    MIN_ARENA = 1 << 16,
    NO_UNIT = 1 << 7       /* beside enum jit_without: what crosses is interpreted */
};

struct rv_unit {
    struct rv_unit *next;  /* of the same hash                                 */
    struct jit_unit *code; /* NULL: it ended                                   */
    struct rv_code_page *page;  /* NULL: it has no record                       */
    struct rv_unit *page_next;  /* of the same page                             */
    const uint8_t *host;   /* of the first byte                                */
    uint32_t stamp;        /* (U1)                                             */
    uint16_t offset;       /* of it in the guest's page                        */
    uint8_t n_parts;
    struct rv_part part[]; /* [n_parts], and then the bytes of all of them      */
};

struct rv_units {
    struct jit *jit;
    struct rv_unit **heads;
    uint8_t *arena;
    size_t arena_size, used;
    uint8_t without[1 << REFUSED_BITS]; /* by hash: enum jit_without and NO_UNIT, of units
                                           there                               */
    uint64_t resets;   /* whoever kept a unit across one has none any more     */
    bool running;      /* generated code is                                    */
    bool flush_due;    /* asked for by a callback of that                      */
    bool named;        /* somebody wants to know code by name                  */
};

/* --- Table --------------------------------------------------------------------------- */

static uint64_t hash_of(const uint8_t *host, unsigned bits)
{
    return (((uintptr_t)host >> 1) * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - bits);
}

static struct rv_unit **head_of(const struct rv_units *units, const uint8_t *host)
{
    return &units->heads[hash_of(host, HASH_BITS)];
}

/** What the unit at @host is to be made without. */
static uint8_t *without(struct rv_units *units, const uint8_t *host)
{
    return &units->without[hash_of(host, REFUSED_BITS)];
}

static struct rv_unit *find(const struct rv_units *units, const uint8_t *host,
                            unsigned offset)
{
    struct rv_unit *unit;

    for (unit = *head_of(units, host); unit; unit = unit->next)
        if (unit->host == host && unit->offset == offset)
            return unit;
    return NULL;
}

static void reset(struct rv_hart *hart)
{
    struct rv_units *const units = hart->units;

    jit_reset(units->jit);
    rv_kept_reset(hart);
    rv_code_forget_units(hart);
    memset(units->heads, 0, sizeof(*units->heads) << HASH_BITS);
    memset(units->without, 0, sizeof(units->without));
    units->used = 0;
    units->resets++;
    units->flush_due = false;
}

int rv_units_new(struct rv_hart *hart, const struct jit_options *given)
{
    struct jit_options options = *given;
    struct rv_units *units;
    int error;

    units = calloc(1, sizeof(*units));
    if (!units)
        return -ENOMEM;
    hart->units = units;
    hart->jit.fast = hart->fast;
    options.struct_size = sizeof(options);
    options.guest = &rv_jit_guest;
    options.state = hart;
    error = jit_new(&options, &units->jit);
    if (error) {
        rv_units_free(hart);
        return error;
    }
    units->named = given->names != NULL;
    units->arena_size = SM_MAX(options.cache_size / ARENA_SHARE, (size_t)MIN_ARENA);
    units->arena = sm_hostmem_arena(units->arena_size);
    units->heads = calloc((size_t)1 << HASH_BITS, sizeof(*units->heads));
    if (!units->arena || !units->heads) {
        rv_units_free(hart);
        return -ENOMEM;
    }
    return 0;
}

void rv_units_free(struct rv_hart *hart)
{
    struct rv_units *const units = hart->units;

    if (!units)
        return;
    jit_free(units->jit);
    rv_kept_free(hart);
    free(units->heads);
    sm_hostmem_unmap(units->arena, units->arena_size);
    free(units);
    hart->units = NULL;
}

void rv_units_flush(struct rv_hart *hart)
{
    struct rv_units *const units = hart->units;

    if (!units)
        return;
    if (!units->running) {
        reset(hart);
        return;
    }
    /* A callback of code that would go with it.  The request leads out of whatever comes
     * next at its beginning. */
    units->flush_due = true;
    sm_vcpu_kick(hart->vcpu);
}

void rv_units_moved(struct rv_hart *hart)
{
    hart->fetches_moved++;
    if (hart->units)
        jit_forget_returns(hart->units->jit);
}

void rv_units_changed(struct rv_hart *hart)
{
    /* Stamps that begin again would be taken for those of long ago. */
    if (hart->units && !sm_tlb_new_stamp(hart->fast))
        rv_units_flush(hart);
}

/* --- One unit -------------------------------------------------------------------------- */

static uint8_t *bytes_of(struct rv_unit *unit)
{
    return (uint8_t *)(unit->part + unit->n_parts);
}

static bool equals_memory(struct rv_unit *unit)
{
    const uint8_t *const page = unit->host - unit->offset;
    const uint8_t *bytes = bytes_of(unit);

    for (unsigned i = 0; i < unit->n_parts; i++) {
        if (!rv_code_equals(bytes, page + unit->part[i].offset, unit->part[i].size))
            return false;
        bytes += unit->part[i].size;
    }
    return true;
}

static void end(struct rv_hart *hart, struct rv_unit *unit)
{
    struct rv_units *const units = hart->units;
    struct rv_unit **at = head_of(units, unit->host);

    while (*at != unit)
        at = &(*at)->next;
    *at = unit->next;
    if (unit->page) {
        at = &unit->page->units;
        while (*at != unit)
            at = &(*at)->page_next;
        *at = unit->page_next;
        rv_code_count(hart, unit->page, -1);
    }
    jit_unit_end(units->jit, unit->code);
    unit->code = NULL;
}

unsigned rv_units_compare(struct rv_hart *hart, struct rv_code_page *page)
{
    struct rv_unit *unit, *next;
    unsigned n = 0;

    for (unit = page->units; unit; unit = next) {
        next = unit->page_next;
        hart->stats.units_verified++;
        if (!equals_memory(unit)) {
            end(hart, unit);
            n++;
        }
    }
    return n;
}

void rv_units_unlist(struct rv_code_page *page)
{
    page->units = NULL;
    page->n_units = 0;
}

/** Have @unit run under the vCPU's stamp.  Returns false if it ended. */
static bool renew(struct rv_hart *hart, struct rv_unit *unit)
{
    const uint32_t stamp = sm_tlb_stamp(hart->fast);

    if (SM_UNLIKELY(jit_unit_refused(unit->code))) {
        *without(hart->units, unit->host) |= (uint8_t)jit_unit_refused(unit->code);
        end(hart, unit);
        return false;
    }
    if (unit->stamp == stamp)
        return true;
    hart->units_renewed++;
    hart->stats.units_verified++;
    if (!equals_memory(unit)) {
        end(hart, unit);
        return false;
    }
    unit->stamp = stamp;
    jit_unit_stamp(hart->units->jit, unit->code, stamp);
    return true;
}

/** Whether what was built does nothing but lead back to the interpreter. */
static bool is_aside(const struct jit_ir *ir)
{
    const struct jit_insn *const last = &ir->insn[ir->n_insns - 1u];

    return last->at == 0 && last->op == JIT_OP_exit &&
           ir->way[last->imm].kind == JIT_EXIT_ASIDE;
}

/** Where fetches find what is behind the page at @pc, if that is known. */
static const uint8_t *look_behind(struct rv_hart *hart, uint64_t pc)
{
    const uint64_t next = (pc & SM_PAGE_MASK) + SM_PAGE_SIZE;
    void *host;

    if (sm_tlb_hit(hart->fast->table[hart->mode_fetch], next, 2, SM_FETCH, &host))
        return host;
    return sm_tlb_try(hart->vcpu, next, hart->mode_fetch, SM_FETCH);
}

/** Name @unit after the guest address that it was made at, as QEMU does: it runs wherever
 *  its page is mapped. */
static void name(struct rv_units *units, const struct rv_unit *unit, uint64_t pc)
{
    char text[40];

    snprintf(text, sizeof(text), "guest-0x%" PRIx64, pc);
    jit_unit_name(units->jit, unit->code, text);
}

/** Translate what is at @pc and @host.
 *  Returns  NULL, with *full if that is because code or arena are */
static struct rv_unit *make(struct rv_hart *hart, uint64_t pc, const uint8_t *host,
                            bool *full)
{
    const unsigned offset = (unsigned)(pc & ~SM_PAGE_MASK);
    struct rv_units *const units = hart->units;
    const uint32_t stamp = sm_tlb_stamp(hart->fast);
    struct jit_ir *const ir = jit_begin(units->jit, *without(units, host) & ~NO_UNIT);
    const uint8_t *const behind = look_behind(hart, pc);
    struct rv_code_page *const page = rv_code_page_at(hart, pc, host);
    struct rv_trace trace;
    struct rv_unit *unit;
    size_t size;

    if (!rv_translate(hart, host - offset, offset, behind, ir, &trace) || is_aside(ir)) {
        if (behind)
            *without(units, host) |= NO_UNIT;
        return NULL;
    }
    size = sm_align_up(sizeof(*unit) + trace.n_parts * sizeof(trace.part[0]) +
                           trace.n_bytes, 8);
    if (size > units->arena_size - units->used) {
        *full = true;
        return NULL;
    }
    unit = (struct rv_unit *)(void *)(units->arena + units->used);
    *unit = (struct rv_unit){
        .page = page,
        .host = host,
        .stamp = stamp,
        .offset = (uint16_t)offset,
        .n_parts = trace.n_parts,
    };
    memcpy(unit->part, trace.part, trace.n_parts * sizeof(trace.part[0]));
    memcpy(bytes_of(unit), trace.bytes, trace.n_bytes);
    rv_unit_log_in(hart, pc, &trace, ir);
    unit->code = jit_end(units->jit, host, stamp, full);
    if (!unit->code)
        return NULL;
    rv_unit_log_out(hart, units->jit, ir, unit->code);
    if (SM_UNLIKELY(units->named))
        name(units, unit, pc);
    units->used += size;
    unit->next = *head_of(units, host);
    *head_of(units, host) = unit;
    if (page) {
        unit->page_next = page->units;
        page->units = unit;
        rv_code_count(hart, page, 1);
    }
    return unit;
}

struct rv_unit *rv_unit_at(struct rv_hart *hart, uint64_t pc, const uint8_t *host,
                           bool make_one)
{
    const unsigned offset = (unsigned)(pc & ~SM_PAGE_MASK);
    struct rv_unit *unit = find(hart->units, host, offset);
    bool full = false;

    if (unit && renew(hart, unit))
        return unit;
    if (!make_one)
        return NULL;
    sm_assert_hot(!hart->units->running);
    unit = make(hart, pc, host, &full);
    if (!unit && full) {
        reset(hart);
        full = false;
        unit = make(hart, pc, host, &full);
    }
    return unit;
}

static struct rv_unit *unit_of(struct rv_hart *hart, struct rv_block *block)
{
    struct rv_units *const units = hart->units;

    if (!units || hart->passing || block == &hart->blocks->single.block) {
        block->heat = UINT32_MAX;
        return NULL;
    }
    if (block->unit && block->unit_resets == units->resets && block->unit->code)
        return block->unit;
    if (block->unit) { /* it ended: what is entered often is found out anew */
        block->unit = NULL;
        block->heat = hart->unit_heat;
        return NULL;
    }
    block->unit = rv_unit_at(hart, hart->pc, block->host, true);
    block->unit_resets = units->resets;
    if (!block->unit)
        block->heat = UINT32_MAX; /* nor will there be one */
    return block->unit;
}

struct rv_unit *rv_unit_of(struct rv_hart *hart, struct rv_block *block)
{
    struct rv_unit *const unit = unit_of(hart, block);

    if (SM_UNLIKELY(!unit && hart->look)) {
        block->heat = 1; /* seen at each entry                                   */
        hart->look(hart->observer, hart);
    }
    return unit;
}

uint32_t rv_unit_heat(const struct rv_hart *hart, const struct rv_block *block)
{
    if (!hart->units)
        return hart->look ? 1 : UINT32_MAX;
    return find(hart->units, block->host, block->page_offset) ? 1 : hart->unit_heat;
}

/* --- Running ------------------------------------------------------------------------------ */

/** Whether what units lead to at @pc and @host is to become one now: of instructions that
 *  cross a page's end the interpreter keeps nothing, and does not see that they are hot. */
static bool is_to_be_made(struct rv_hart *hart, uint64_t pc, const uint8_t *host)
{
    return rv_crosses(pc, host) && !(*without(hart->units, host) & NO_UNIT);
}

/** The unit at @pc.  NULL: there is none, or the fetch TLB has to be asked more. */
static struct rv_unit *look_up(struct rv_hart *hart, uint64_t pc)
{
    void *host;

    if (!sm_tlb_hit(hart->fast->table[hart->mode_fetch], pc, 2, SM_FETCH, &host))
        return NULL;
    return rv_unit_at(hart, pc, host, is_to_be_made(hart, pc, host));
}

/** Run code from @unit on.  Returns  why it ended; hart->pc is exact */
static enum jit_reason run(struct rv_hart *hart, struct rv_unit *unit)
{
    struct rv_units *const units = hart->units;
    struct jit_state *const state = &hart->jit;
    enum jit_reason reason;

    if (SM_UNLIKELY(hart->look != NULL))
        hart->look(hart->observer, hart);
    state->data = hart->fast->table[hart->mode_data];
    state->fetch = hart->fast->table[hart->mode_fetch];
    state->pc = hart->pc;
    if (SM_UNLIKELY(hart->log != NULL))
        rv_unit_log_entry(hart, unit->code);
    rv_jit_fp_ready(hart);
    units->running = true;
    reason = jit_run(units->jit, unit->code);
    units->running = false;
    hart->pc = state->pc;
    return reason;
}

/** What a callback declined is a debugger's or the interpreter's. */
static enum rv_out faulted(struct rv_hart *hart)
{
    if (hart->jit_stop) {
        hart->jit_stop = false;
        return RV_OUT_STOP;
    }
    return RV_OUT_INTERPRET;
}

/** Go on where code ended that knows no further.
 *  Returns  the unit there, which it was told of, or NULL */
static struct rv_unit *lead_on(struct rv_hart *hart, enum jit_reason reason)
{
    struct jit *const jit = hart->units->jit;
    const uint64_t resets = hart->units->resets;
    struct rv_unit *const unit = look_up(hart, hart->pc);

    if (hart->units->resets != resets) /* with what led here */
        return unit;
    if (unit && reason == JIT_OUT_LINK)
        jit_link(jit, hart->jit.exit, unit->code);
    if (unit && reason == JIT_OUT_LOOKUP)
        jit_publish(jit, unit->code);
    return unit;
}

enum rv_out rv_units_run(struct rv_hart *hart, struct rv_unit *unit)
{
    enum rv_out out = RV_OUT_LOOK_UP;

    while (unit) {
        const enum jit_reason reason = run(hart, unit);

        switch (reason) {
        case JIT_OUT_LINK:
        case JIT_OUT_LOOKUP:
        case JIT_OUT_POLL: /* a request, or what it was made of is to be compared */
            if (sm_tlb_requested(hart->fast)) {
                out = RV_OUT_REFRESH;
                unit = NULL;
            } else {
                unit = lead_on(hart, reason);
            }
            break;
        case JIT_OUT_LEAVE:
            out = RV_OUT_REFRESH;
            unit = NULL;
            break;
        case JIT_OUT_FAULT:
            out = faulted(hart);
            unit = NULL;
            break;
        case JIT_OUT_ASIDE:
            out = RV_OUT_INTERPRET;
            unit = NULL;
            break;
        }
    }
    if (SM_UNLIKELY(hart->units->flush_due))
        reset(hart);
    return out;
}

void rv_units_count(const struct rv_hart *hart, struct rv_stats *out)
{
    struct jit_stats jit = {.struct_size = sizeof(jit)};

    if (!hart->units)
        return;
    jit_get_stats(hart->units->jit, &jit);
    out->translates = true;
    out->units = jit.units;
    out->units_ended = jit.units_ended;
    out->unit_resets = jit.resets;
    out->unit_links = jit.links;
    out->unit_insns = jit.guest_insns;
    out->unit_bytes = jit.host_bytes;
    out->code_used = jit.cache_used;
    out->code_size = jit.cache_size;
    out->sites_used = jit.sites_used;
    out->sites_size = jit.sites_size;
    out->translate_ns = jit.translate_ns;
}
