/* SPDX-License-Identifier: MIT */
/* run.c - enters generated code, and does for it what it has no code of its own for.
 */
#include "jit/jit_impl.h"

#include <string.h>

/* --- Homes ------------------------------------------------------------------------ */

static uint64_t home_load(const struct jit *jit, int32_t offset)
{
    uint64_t value;

    memcpy(&value, jit_home(jit, offset), sizeof(value));
    return value;
}

static void home_store(const struct jit *jit, int32_t offset, uint64_t value)
{
    memcpy(jit_home(jit, offset), &value, sizeof(value));
}

static uint64_t *local_in(struct jit_frame *frame, const struct jit_unit_local *local)
{
    return local->class == JIT_CLASS_FP ? &frame->fp[local->reg] : &frame->reg[local->reg];
}

/** Write home what is pinned, and what is dirty (J2). */
static void write_back(const struct jit *jit, struct jit_frame *frame,
                       const struct jit_site *site)
{
    for (unsigned p = 0; p < jit->pins.n; p++)
        home_store(jit, jit->guest.globals[jit->pins.global[p]].offset,
                   frame->reg[jit->pins.reg[p]]);
    for (uint32_t left = site->dirty; left; left &= left - 1) {
        const struct jit_unit_local *local =
            &site->unit->local[__builtin_ctz(left)];

        home_store(jit, local->home, *local_in(frame, local));
    }
}

/** Read all of it again: a call may have written any. */
static void read_again(const struct jit *jit, struct jit_frame *frame,
                       const struct jit_site *site)
{
    for (unsigned p = 0; p < jit->pins.n; p++)
        frame->reg[jit->pins.reg[p]] =
            home_load(jit, jit->guest.globals[jit->pins.global[p]].offset);
    for (uint32_t left = site->valid; left; left &= left - 1) {
        const struct jit_unit_local *local =
            &site->unit->local[__builtin_ctz(left)];

        *local_in(frame, local) = home_load(jit, local->home);
    }
}

static uint64_t value_of(const struct jit *jit, const struct jit_frame *frame,
                         struct jit_loc loc)
{
    return loc.reg == JIT_IN_MEMORY ? home_load(jit, loc.offset) : frame->reg[loc.reg];
}

/* --- Sites ------------------------------------------------------------------------- */

/** Put what was loaded, at .value of the state, where it belongs.
 *  Returns  how the site ends, by @status, how loading did */
static uint32_t loaded(struct jit *jit, struct jit_frame *frame,
                       const struct jit_site *site, uint32_t status)
{
    if (status > JIT_LEAVE)
        return status;
    if (site->value.reg == JIT_IN_MEMORY) {
        home_store(jit, site->value.offset, jit->st->value);
    } else {
        frame->reg[site->value.reg] = jit->st->value;
        if (status == JIT_LEAVE && !site->partly) /* it has to be at home now */
            home_store(jit, site->value_home, jit->st->value);
    }
    return site->partly ? JIT_GO : status; /* whoever asks to leave also requests it */
}

static uint64_t address_of(const struct jit *jit, const struct jit_frame *frame,
                           const struct jit_site *site)
{
    return site->base_const ? site->constant : value_of(jit, frame, site->base);
}

static uint32_t slow_access(struct jit *jit, struct jit_frame *frame,
                            const struct jit_site *site)
{
    const uint64_t address =
        address_of(jit, frame, site) + (uint64_t)(int64_t)site->imm;

    if (site->kind == JIT_SITE_STORE) {
        jit->st->value = site->value_const ? site->value_constant
                                           : value_of(jit, frame, site->value);
        return jit->guest.store(jit->state, address, site->mem);
    }
    return loaded(jit, frame, site, jit->guest.load(jit->state, address, site->mem));
}

static uint32_t slow_atomic(struct jit *jit, struct jit_frame *frame,
                            const struct jit_site *site)
{
    const uint64_t address = address_of(jit, frame, site);
    const struct jit_guest *const guest = &jit->guest;

    if (site->kind == JIT_SITE_LR)
        return loaded(jit, frame, site, guest->lr(jit->state, address, site->mem));
    jit->st->value = site->value_const ? site->value_constant
                                       : value_of(jit, frame, site->operand);
    return loaded(jit, frame, site,
                  site->kind == JIT_SITE_SC
                      ? guest->sc(jit->state, address, site->mem)
                      : guest->rmw(jit->state, address, site->mem, (uint32_t)site->imm));
}

/** Fill the TLB for what shares a check.
 *  Returns  JIT_FAULT if it does not hold: the owner executes the instruction */
static uint32_t slow_check(struct jit *jit, struct jit_frame *frame,
                           const struct jit_site *site)
{
    const uint64_t address =
        value_of(jit, frame, site->base) + (uint64_t)(int64_t)site->imm;
    const enum sm_access access = site->mem == JIT_WRITE ? SM_WRITE : SM_READ;
    void *host;
    uint64_t way;

    /* Of a page's end no more than this is known: that its bytes are not all there. */
    if ((address & ~SM_PAGE_MASK) + site->constant <= SM_PAGE_SIZE &&
        jit->guest.touch(jit->state, address, (uint32_t)site->constant, site->mem))
        return JIT_FAULT; /* the first access will, too, or one that may yet come */
    if (!sm_tlb_hit(jit->st->data, address, (unsigned)site->constant, access, &host)) {
        if (++site->unit->refused == JIT_MAX_REFUSED)
            jit_host_stamp(jit, site->unit, JIT_STAMP_NEVER);
        return JIT_FAULT;
    }
    way = (uint64_t)(uintptr_t)host - address;
    if (site->value.reg == JIT_IN_MEMORY)
        home_store(jit, site->value.offset, way);
    else
        frame->reg[site->value.reg] = way;
    return JIT_GO;
}

static uint32_t slow(struct jit *jit, struct jit_frame *frame, const struct jit_site *site)
{
    uint32_t status;

    switch ((enum jit_site_kind)site->kind) {
    case JIT_SITE_LOAD:
    case JIT_SITE_STORE: return slow_access(jit, frame, site);
    case JIT_SITE_RMW:
    case JIT_SITE_LR:
    case JIT_SITE_SC: return slow_atomic(jit, frame, site);
    case JIT_SITE_CHECK: return slow_check(jit, frame, site);
    case JIT_SITE_CALL:
        status = site->call.function(jit->state, site->call.arg);
        if (status == JIT_GO)
            read_again(jit, frame, site);
        return status;
    case JIT_SITE_FENTER:
        status = jit->guest.fp_enter(jit->state);
        if (status == JIT_GO)
            jit->st->fp_live = 1;
        return status;
    }
    return JIT_FAULT;
}

static void fp_take(struct jit *jit)
{
    if (jit->st->fp_live)
        jit->guest.fp_flags(jit->state, jit_host_fp_take());
}

uint32_t jit_slow(struct jit *jit, struct jit_frame *frame, uint32_t number)
{
    const struct jit_site *const site = &jit->site[number];
    struct jit_state *const st = jit->st;
    uint64_t *const count = jit_home(jit, jit->guest.count_offset);
    uint32_t status;

    write_back(jit, frame, site);
    st->pc = st->page + (uint64_t)(int64_t)site->offset;
    *count += site->retired;
    fp_take(jit);
    status = slow(jit, frame, site);
    if (SM_LIKELY(status == JIT_GO)) {
        if (site->kind != JIT_SITE_CALL) /* of a call, what follows counts from there */
            *count -= site->retired;
        if (st->fp_live)
            jit_host_fp_give(st->mxcsr_guest);
        return 0;
    }
    st->fp_live = 0;
    if (status == JIT_FAULT)
        return (site->kind == JIT_SITE_CHECK ? JIT_OUT_ASIDE : JIT_OUT_FAULT) + 1;
    ++*count;
    if (status == JIT_LEAVE)
        st->pc = st->page + (uint64_t)(int64_t)site->next;
    return JIT_OUT_LEAVE + 1;
}

/* --- Entering ------------------------------------------------------------------------- */

enum jit_reason jit_run(struct jit *jit, struct jit_unit *unit)
{
    struct jit_state *const st = jit->st;
    enum jit_reason reason;

    st->page = st->pc & SM_PAGE_MASK;
    reason = (enum jit_reason)jit->enter(jit->state, jit_mcode_run(&jit->code, unit->code));
    if (st->fp_live) {
        fp_take(jit);
        st->fp_live = 0;
    }
    if (reason == JIT_OUT_LINK)
        st->pc = st->page + (uint64_t)(int64_t)st->exit->offset;
    return reason;
}
