/* SPDX-License-Identifier: MIT */
/* run.c - enters generated code, and does for it what it has no code of its own for.
 */
#include "base/bits.h"
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

static uint64_t held_in(const struct jit_frame *frame, unsigned file, unsigned reg)
{
    return file ? frame->fp[reg] : frame->reg[reg];
}

/** Write home what is pinned, and what is dirty. */
static void write_back(const struct jit *jit, const struct jit_frame *frame,
                       const struct jit_site *site)
{
    const uint32_t evicted = site->unit->evicted;
    const unsigned n = jit->pins.n;

    for (unsigned p = 0; p < n; p++)
        if (!(evicted >> p & 1))
            home_store(jit, jit->pins.home[p], frame->reg[jit->pins.reg[p]]);
    for (unsigned file = 0; file < 2; file++)
        for (unsigned left = site->regs.dirty[file]; left; left &= left - 1) {
            const unsigned reg = (unsigned)__builtin_ctz(left);

            home_store(jit, jit->guest.globals[site->regs.owner[file][reg]].offset,
                       held_in(frame, file, reg));
        }
}

static uint64_t value_of(const struct jit *jit, const struct jit_frame *frame,
                         struct jit_loc loc)
{
    return loc.reg == JIT_IN_MEMORY ? home_load(jit, loc.offset) : frame->reg[loc.reg];
}

/** What @site stores. */
static uint64_t stored(const struct jit *jit, const struct jit_frame *frame,
                       const struct jit_site *site)
{
    if (site->value_const)
        return site->value_constant;
    if (site->fp && site->value.reg != JIT_IN_MEMORY)
        return frame->fp[site->value.reg];
    return value_of(jit, frame, site->value);
}

/** Let what @site loads be @value.  Returns  it as it is at home */
static uint64_t put_loaded(const struct jit *jit, struct jit_frame *frame,
                           const struct jit_site *site, uint64_t value)
{
    if (site->fp && jit_mem_bits(site->mem) < 3)
        value |= UINT64_C(0xffffffff00000000);
    if (site->value.reg == JIT_IN_MEMORY)
        home_store(jit, site->value.offset, value);
    else if (site->fp)
        frame->fp[site->value.reg] = value;
    else
        frame->reg[site->value.reg] = value;
    return value;
}

/* --- Sites ------------------------------------------------------------------------- */

/** Put what was loaded, at .value of the state, where it belongs; leave it there as it is
 *  at home.
 *  Returns  how the site ends, by @status, how loading did */
static uint32_t loaded(struct jit *jit, struct jit_frame *frame,
                       const struct jit_site *site, uint32_t status)
{
    if (SM_UNLIKELY(status > JIT_LEAVE))
        return status;
    jit->st->value = put_loaded(jit, frame, site, jit->st->value);
    return site->partly ? JIT_GO : status; /* whoever asks to leave also requests it */
}

static uint64_t address_of(const struct jit *jit, const struct jit_frame *frame,
                           const struct jit_site *site)
{
    return site->base_const ? site->constant : value_of(jit, frame, site->base);
}

/** What @site loads or stores. */
static uint64_t accessed_at(const struct jit *jit, const struct jit_frame *frame,
                            const struct jit_site *site)
{
    return address_of(jit, frame, site) + (uint64_t)(int64_t)site->imm;
}

static uint32_t slow_access(struct jit *jit, struct jit_frame *frame,
                            const struct jit_site *site, uint64_t address)
{
    if (site->kind == JIT_SITE_STORE) {
        jit->st->value = stored(jit, frame, site);
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

/** Have @unit made again, without what does it no good. */
static void refuse(struct jit *jit, struct jit_unit *unit, uint32_t without)
{
    unit->without |= without;
    jit_host_stamp(jit, unit, JIT_STAMP_NEVER);
}

/** Accesses found nothing near as often as they may, the last of them in @unit: so one
 *  that does often is met here before long. */
static void sample_near(struct jit *jit, struct jit_unit *unit)
{
    const uint64_t count = *(const uint64_t *)jit_home(jit, jit->guest.count_offset);
    const uint64_t n = count - jit->near_count;

    jit->near_count = count;
    jit->st->near_budget = JIT_NEAR_BUDGET;
    if (n < JIT_NEAR_BUDGET * JIT_NEAR_WORTH && ++unit->near_samples == JIT_NEAR_SAMPLES)
        refuse(jit, unit, JIT_WITHOUT_NEAR);
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
            refuse(jit, site->unit, JIT_WITHOUT_CHECKS);
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
    case JIT_SITE_RMW:
    case JIT_SITE_LR:
    case JIT_SITE_SC: return slow_atomic(jit, frame, site);
    case JIT_SITE_CHECK: return slow_check(jit, frame, site);
    case JIT_SITE_FENTER:
        status = jit->guest.fp_enter(jit->state);
        if (status == JIT_GO)
            jit->st->fp_live = 1;
        return status;
    case JIT_SITE_LOAD:
    case JIT_SITE_STORE: /* slow_access() */
    case JIT_SITE_CALL: break; /* jit_call_out() */
    }
    sm_broken("a site of another function", __FILE__, __LINE__);
}

static void fp_take(struct jit *jit)
{
    if (jit->st->fp_live)
        jit->guest.fp_flags(jit->state, jit_host_fp_take());
}

/** Load or store @size bytes, of which @rest lie at @host and the others at @second. */
static uint64_t split_load(const uint8_t *host, const uint8_t *second, unsigned rest,
                           unsigned size)
{
    uint64_t value = 0;

    for (unsigned n = 0; n < size; n++)
        value |= sm_host_load(n < rest ? host + n : second + (n - rest), 0) << (8 * n);
    return value;
}

static void split_store(uint8_t *host, uint8_t *second, unsigned rest, unsigned size,
                        uint64_t value)
{
    for (unsigned n = 0; n < size; n++)
        sm_host_store(n < rest ? host + n : second + (n - rest), 0, value >> (8 * n));
}

/** The host address of @size bytes at @address, of one page; NULL: they are not plain. */
static void *plain(const struct jit *jit, uint64_t address, unsigned size,
                   enum sm_access access)
{
    void *host;

    if (SM_LIKELY(sm_tlb_hit(jit->st->data, address, size, access, &host)))
        return host;
    return jit->guest.fill(jit->state, address,
                           access == SM_WRITE ? JIT_WRITE : JIT_READ);
}

/** Whether the entry of @address says that whoever is not RAM answers. */
static bool goes_by_bus(const struct sm_tlb_table *table, uint64_t address,
                        enum sm_access access)
{
    return table->slot[access][sm_tlb_slot(address)].tag ==
           ((address & SM_PAGE_MASK) | SM_TLB_MMIO);
}

/** Make an access to plain memory that missed, or crosses the end of a page: nobody else is
 *  concerned, so nothing need be at home.  Returns  false if it is none */
static bool quick_access(struct jit *jit, struct jit_frame *frame,
                         const struct jit_site *site, uint64_t address)
{
    const bool store = site->kind == JIT_SITE_STORE;
    const enum sm_access access = store ? SM_WRITE : SM_READ;
    const unsigned bits = jit_mem_bits(site->mem), size = 1u << bits;
    const unsigned rest = (unsigned)(SM_PAGE_SIZE - (address & ~SM_PAGE_MASK));
    void *const host = plain(jit, address, SM_MIN(rest, size), access);
    void *second = NULL;
    uint64_t value = 0;

    if (!host)
        return false;
    if (SM_UNLIKELY(rest < size)) {
        second = plain(jit, address + rest, size - rest, access);
        if (!second)
            return false;
    }
    if (store) {
        value = stored(jit, frame, site);
        if (second)
            split_store(host, second, rest, size, value);
        else
            sm_host_store(host, bits, value);
        return true;
    }
    value = second ? split_load(host, second, rest, size) : sm_host_load(host, bits);
    if (site->mem & JIT_MEM_SIGNED)
        value = (uint64_t)sm_sign_extend(value, 8 * size);
    put_loaded(jit, frame, site, value);
    return true;
}

/** Have C code see where @site is; it runs in the host's floating-point mode. */
static void go_out(struct jit *jit, const struct jit_site *site)
{
    struct jit_state *const st = jit->st;

    st->pc = st->page + (uint64_t)(int64_t)site->offset;
    *(uint64_t *)jit_home(jit, jit->guest.count_offset) += site->retired;
    fp_take(jit);
}

/** Do what @status says, which is not JIT_GO; all is at home. */
static uint32_t go_elsewhere(struct jit *jit, const struct jit_site *site, uint32_t status)
{
    struct jit_state *const st = jit->st;

    st->fp_live = 0;
    if (status == JIT_JUMPED)
        return JIT_SLOW_JUMP;
    if (status == JIT_FAULT)
        return (site->kind == JIT_SITE_CHECK ? JIT_OUT_ASIDE : JIT_OUT_FAULT) + 1;
    ++*(uint64_t *)jit_home(jit, jit->guest.count_offset);
    st->pc = st->page + (uint64_t)(int64_t)site->next;
    return status == JIT_REFETCH ? JIT_SLOW_JUMP : JIT_OUT_LEAVE + 1u;
}

/** End @site with @status, which is not JIT_GO: from here on it is the homes that count. */
static SM_NOINLINE uint32_t end_slow(struct jit *jit, const struct jit_frame *frame,
                                     const struct jit_site *site, uint32_t status)
{
    write_back(jit, frame, site);
    /* What was loaded may have gone to a register that was none of its guest register's. */
    if (status <= JIT_LEAVE &&
        (site->kind == JIT_SITE_LOAD || site->kind >= JIT_SITE_RMW))
        home_store(jit, site->value_home, jit->st->value);
    return go_elsewhere(jit, site, status);
}

/** Go on behind @site. */
static uint32_t go_back(struct jit *jit, const struct jit_site *site)
{
    struct jit_state *const st = jit->st;

    *(uint64_t *)jit_home(jit, jit->guest.count_offset) -= site->retired;
    if (st->fp_live)
        jit_host_fp_give(st->mxcsr_guest);
    return JIT_SLOW_GO;
}

/** Have the guest make the access at @address. */
static SM_NOINLINE uint32_t ask_access(struct jit *jit, struct jit_frame *frame,
                                       const struct jit_site *site, uint64_t address)
{
    uint32_t status;

    go_out(jit, site);
    status = slow_access(jit, frame, site, address);
    return SM_LIKELY(status == JIT_GO) ? go_back(jit, site)
                                       : end_slow(jit, frame, site, status);
}

static SM_NOINLINE uint32_t access_or_ask(struct jit *jit, struct jit_frame *frame,
                                          const struct jit_site *site, uint64_t address)
{
    return SM_LIKELY(quick_access(jit, frame, site, address))
        ? (uint32_t)JIT_SLOW_GO : ask_access(jit, frame, site, address);
}

static SM_NOINLINE uint32_t ask(struct jit *jit, struct jit_frame *frame,
                                const struct jit_site *site)
{
    uint32_t status;

    go_out(jit, site);
    status = slow(jit, frame, site);
    return SM_LIKELY(status == JIT_GO) ? go_back(jit, site)
                                       : end_slow(jit, frame, site, status);
}

/* Each way ends in a call of its own: what one of them needs does not burden the others. */
uint32_t jit_slow(struct jit *jit, struct jit_frame *frame, uint32_t number)
{
    const struct jit_site *const site = &jit->site[number];
    uint64_t address;

    if (SM_UNLIKELY(jit->st->near_budget <= 0))
        sample_near(jit, site->unit);
    if (site->kind > JIT_SITE_STORE)
        return ask(jit, frame, site);
    address = accessed_at(jit, frame, site);
    return goes_by_bus(jit->st->data, address,
                       site->kind == JIT_SITE_STORE ? SM_WRITE : SM_READ)
        ? ask_access(jit, frame, site, address)
        : access_or_ask(jit, frame, site, address);
}

uint32_t jit_call_out(struct jit *jit, uint32_t number)
{
    const struct jit_site *const site = &jit->site[number];
    uint32_t status;

    go_out(jit, site);
    status = site->call.function(jit->state, site->call.arg);
    if (SM_UNLIKELY(status != JIT_GO))
        return go_elsewhere(jit, site, status);
    if (jit->st->fp_live) /* what follows counts from here */
        jit_host_fp_give(jit->st->mxcsr_guest);
    return JIT_SLOW_GO;
}

/* --- Entering ------------------------------------------------------------------------- */

enum jit_reason jit_run(struct jit *jit, struct jit_unit *unit)
{
    struct jit_state *const st = jit->st;
    enum jit_reason reason;

    st->page = st->pc & SM_PAGE_MASK;
    reason = (enum jit_reason)jit->enter(jit->state, unit->run);
    if (st->fp_live) {
        fp_take(jit);
        st->fp_live = 0;
    }
    if (reason == JIT_OUT_LINK)
        st->pc = st->page + (uint64_t)(int64_t)st->exit->offset;
    return reason;
}
