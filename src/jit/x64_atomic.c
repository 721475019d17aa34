/* SPDX-License-Identifier: MIT */
/* x64_atomic.c - emits atomic operations on guest memory: one host instruction where the
 * TLB hits, all else as a site.
 *
 * What sm_tlb_rmw(), sm_tlb_load_reserved() and sm_tlb_store_conditional() do, with the
 * same versions (memory/reserve.h), so that both ways see each other.  Whoever has to
 * wait for a lock does so in C code.  A locked instruction is a full barrier, and plain
 * loads stay in order, as do plain stores.
 *
 * A misaligned address, or one to whose host address that holds, is a site's: so the one
 * page of an access is that of its first byte.
 */
#include "jit/x64_impl.h"

#define HELD(field) ((int32_t)offsetof(struct sm_tlb_fast, held.field))

/* --- Sites ----------------------------------------------------------------------- */

static void note_operand(struct jit_lower *l, struct jit_site *site, jit_reg reg)
{
    if (jit_is_const(reg)) {
        site->value_const = true;
        site->value_constant = jit_ir_value(l->ir, reg);
    } else {
        site->operand = x64_loc(l, reg);
    }
}

static struct x64_cold *atomic_site(struct jit_lower *l, const struct jit_insn *insn,
                                    enum jit_site_kind kind)
{
    struct x64_cold *const cold = x64_cold(l, X64_COLD_SITE, insn);
    struct jit_site *const site = x64_site(l, kind, insn, &cold->site);

    if (!site)
        return cold;
    site->mem = insn->aux;
    site->imm = insn->imm;
    if (jit_is_const(insn->a)) {
        site->base_const = true;
        site->constant = jit_ir_value(l->ir, insn->a);
    } else {
        site->base = x64_loc(l, insn->a);
    }
    if (insn->b != JIT_NONE)
        note_operand(l, site, insn->b);
    site->value = x64_loc(l, insn->d);
    site->partly = jit_is_temp(insn->d);
    if (jit_is_global(insn->d))
        site->value_home = l->ir->globals[insn->d].offset;
    return cold;
}

/* --- What all have --------------------------------------------------------------- */

static void load_fast(struct jit_lower *l, unsigned host)
{
    x64_load(&l->a, 3, false, host, X64_STATE(l, fast));
}

static const struct sm_tlb_fast *fast_of(const struct jit_lower *l)
{
    return l->jit->st->fast;
}

/** rcx = the host address of what is at @at.  Writes rax. */
static void find_host(struct jit_lower *l, struct x64_address at, unsigned bits,
                      enum sm_access access, struct x64_label *site)
{
    x64_look_up(l, at, 1, access, site, X64_RCX);
    x64_alu_rr(&l->a, X64_ADD, true, X64_RCX, at.base);
    if (bits) {
        x64_test_ri(&l->a, false, at.base, (1 << bits) - 1);
        x64_jcc(&l->a, X64_NE, site);
        x64_test_ri(&l->a, false, X64_RCX, (1 << bits) - 1);
        x64_jcc(&l->a, X64_NE, site);
    }
}

/** rdx = the address of the version of the granule at rcx.  Writes rax. */
static void find_version(struct jit_lower *l)
{
    struct x64 *const a = &l->a;

    x64_rorx(a, true, X64_RDX, X64_RCX, SM_GRANULE_BITS);
    x64_imul_rri(a, false, X64_RDX, X64_RDX, (int32_t)SM_VERSION_FACTOR);
    x64_shift_ri(a, X64_SHR, false, X64_RDX, 32 - SM_VERSION_BITS);
    x64_mov_ri(a, X64_RAX, (uint64_t)(uintptr_t)fast_of(l)->granules->version);
    x64_lea(a, true, X64_RDX, x64_at2(X64_RAX, X64_RDX, 3, 0));
}

/** @insn's destination = what is in @host, as its .aux says. */
static void give(struct jit_lower *l, const struct jit_insn *insn, unsigned host)
{
    const unsigned bits = jit_mem_bits(insn->aux);

    if (bits < 3) {
        const unsigned d = x64_target(l, insn->d, host);

        x64_extend(&l->a, bits, insn->aux & JIT_MEM_SIGNED, d, host);
        host = d;
    }
    x64_done(l, insn->d, host);
}

/* --- Read, modify and write ------------------------------------------------------- */

/** Whether nothing reads what @insn gives. */
static bool is_unused(const struct jit_lower *l, const struct jit_insn *insn)
{
    const struct jit_insn *const end = l->ir->insn + l->ir->n_insns;

    if (!jit_is_temp(insn->d))
        return false;
    for (const struct jit_insn *after = insn + 1; after < end; after++)
        if (after->a == insn->d || after->b == insn->d || after->c == insn->d)
            return false;
    return true;
}

/** The host's instruction for @op if its result is all that counts. */
static bool alu_of(enum sm_rmw op, enum x64_alu *alu)
{
    switch (op) {
    case SM_RMW_ADD: *alu = X64_ADD; return true;
    case SM_RMW_AND: *alu = X64_AND; return true;
    case SM_RMW_OR: *alu = X64_OR; return true;
    case SM_RMW_XOR: *alu = X64_XOR; return true;
    default: return false;
    }
}

/** rdx = what is to follow rax in memory. */
static void compute(struct jit_lower *l, const struct jit_insn *insn)
{
    const enum sm_rmw op = (enum sm_rmw)insn->imm;
    const unsigned bits = jit_mem_bits(insn->aux);
    const bool is_signed = op == SM_RMW_MIN || op == SM_RMW_MAX;
    struct x64 *const a = &l->a;
    enum x64_alu alu;

    x64_fetch(l, X64_RDX, insn->b);
    if (alu_of(op, &alu)) {
        x64_alu_rr(a, alu, true, X64_RDX, X64_RAX);
        return;
    }
    if (bits < 3) {
        x64_extend(a, bits, is_signed, X64_RAX, X64_RAX);
        x64_extend(a, bits, is_signed, X64_RDX, X64_RDX);
    }
    x64_alu_rr(a, X64_CMP, true, X64_RAX, X64_RDX);
    x64_cmov(a,
             op == SM_RMW_MIN   ? X64_L
             : op == SM_RMW_MAX ? X64_G
             : op == SM_RMW_MINU ? X64_B
                                 : X64_A,
             true, X64_RDX, X64_RAX);
}

/** By comparing and swapping: rax = what was at [rcx].
 *  @locked  keep rdx */
static void swap_in_loop(struct jit_lower *l, const struct jit_insn *insn, bool locked)
{
    const unsigned bits = jit_mem_bits(insn->aux);
    struct x64_label again = {0};
    struct x64 *const a = &l->a;

    if (locked)
        x64_store(a, 3, X64_STATE(l, value), X64_RDX);
    x64_load(a, bits, false, X64_RAX, x64_at(X64_RCX, 0));
    x64_bind(a, &again);
    compute(l, insn);
    x64_cmpxchg(a, bits, x64_at(X64_RCX, 0), X64_RDX);
    x64_jcc(a, X64_NE, &again);
    if (locked)
        x64_load(a, 3, false, X64_RDX, X64_STATE(l, value));
}

/** Do it at [rcx].  Returns  whether rax is what was there */
static bool modify(struct jit_lower *l, const struct jit_insn *insn, bool locked)
{
    const enum sm_rmw op = (enum sm_rmw)insn->imm;
    const unsigned bits = jit_mem_bits(insn->aux);
    const struct x64_mem mem = x64_at(X64_RCX, 0);
    struct x64 *const a = &l->a;
    enum x64_alu alu;
    int32_t imm;

    if (bits >= 2 && alu_of(op, &alu) && is_unused(l, insn)) {
        if (x64_is_imm(l, insn->b, &imm))
            x64_lock_alu_mi(a, alu, bits == 3, mem, imm);
        else
            x64_lock_alu_mr(a, alu, bits == 3, mem, x64_use(l, insn->b, X64_RAX));
        return false;
    }
    if (op != SM_RMW_SWAP && op != SM_RMW_ADD) {
        swap_in_loop(l, insn, locked);
        return true;
    }
    x64_fetch(l, X64_RAX, insn->b);
    if (op == SM_RMW_SWAP)
        x64_xchg(a, bits, mem, X64_RAX);
    else
        x64_xadd(a, bits, mem, X64_RAX);
    return true;
}

void x64_lower_rmw(struct jit_lower *l, const struct jit_insn *insn)
{
    const struct x64_address at = x64_address(l, insn, 0);
    struct x64_cold *const cold = atomic_site(l, insn, JIT_SITE_RMW);
    const bool locked = !fast_of(l)->alone;
    bool given;

    find_host(l, at, jit_mem_bits(insn->aux), SM_WRITE, &cold->enter);
    if (locked) {
        find_version(l);
        x64_lock_bts(&l->a, x64_at(X64_RDX, 0), 0);
        x64_jcc(&l->a, X64_B, &cold->enter);
    }
    given = modify(l, insn, locked);
    if (locked) /* to the next version */
        x64_alu_mi(&l->a, X64_ADD, true, x64_at(X64_RDX, 0), 1);
    if (given)
        give(l, insn, X64_RAX);
    x64_bind(&l->a, &cold->back);
}

/* --- Load reserved ------------------------------------------------------------------ */

/** Have the version of the granule at rcx in what is held, which rax leads to then. */
static void hold_version(struct jit_lower *l, struct x64_label *site)
{
    struct x64 *const a = &l->a;

    if (fast_of(l)->alone) {
        /* One that is locked never comes back: its reservation ends. */
        x64_mov_ri(a, X64_RDX, (uint64_t)(uintptr_t)fast_of(l)->granules->version);
        x64_load(a, 3, false, X64_RDX, x64_at(X64_RDX, 0));
        x64_alu_ri(a, X64_AND, true, X64_RDX, -2);
        load_fast(l, X64_RAX);
    } else {
        find_version(l);
        x64_load(a, 3, false, X64_RAX, x64_at(X64_RDX, 0));
        x64_test_ri(a, false, X64_RAX, 1);
        x64_jcc(a, X64_NE, site);
        x64_store(a, 3, X64_STATE(l, value), X64_RAX);
        load_fast(l, X64_RAX);
        x64_store(a, 3, x64_at(X64_RAX, HELD(version_of)), X64_RDX);
        x64_load(a, 3, false, X64_RDX, X64_STATE(l, value));
    }
    x64_store(a, 3, x64_at(X64_RAX, HELD(version)), X64_RDX);
}

void x64_lower_lr(struct jit_lower *l, const struct jit_insn *insn)
{
    const unsigned bits = jit_mem_bits(insn->aux);
    const struct x64_address at = x64_address(l, insn, 0);
    struct x64_cold *const cold = atomic_site(l, insn, JIT_SITE_LR);
    struct x64 *const a = &l->a;

    find_host(l, at, bits, SM_READ, &cold->enter);
    /* The version first: what changes the value after this load changes it too. */
    hold_version(l, &cold->enter);
    x64_store(a, 3, x64_at(X64_RAX, HELD(host)), X64_RCX);
    x64_load(a, bits, false, X64_RCX, x64_at(X64_RCX, 0));
    x64_store(a, 3, x64_at(X64_RAX, HELD(value)), X64_RCX);
    x64_store(a, 3, x64_at(X64_RAX, HELD(gva)), x64_use(l, insn->a, X64_RDX));
    x64_store_i(a, 2, x64_at(X64_RAX, HELD(size)), 1 << bits);
    give(l, insn, X64_RCX);
    x64_bind(a, &cold->back);
}

/* --- Store conditional -------------------------------------------------------------- */

/** Swap @insn's operand in at [rcx] for what is held, to which rax leads; "equal" if that
 *  was there. */
static void swap_held(struct jit_lower *l, const struct jit_insn *insn)
{
    x64_load(&l->a, 3, false, X64_RAX, x64_at(X64_RAX, HELD(value)));
    x64_fetch(l, X64_RDX, insn->b);
    x64_cmpxchg(&l->a, jit_mem_bits(insn->aux), x64_at(X64_RCX, 0), X64_RDX);
}

/** rax = 0 if "equal", else 1. */
static void set_failed(struct jit_lower *l)
{
    x64_setcc(&l->a, X64_NE, X64_RAX);
    x64_extend(&l->a, 0, false, X64_RAX, X64_RAX);
}

/** Of a vCPU without others: only look at the version.  Whoever locks it waits until
 *  .in_line is taken down. */
static void store_alone(struct jit_lower *l, const struct jit_insn *insn)
{
    const uint64_t granules = (uint64_t)(uintptr_t)fast_of(l)->granules;
    const int32_t in_line = (int32_t)offsetof(struct sm_granules, in_line);
    struct x64_label failed = {0};
    struct x64 *const a = &l->a;

    x64_mov_ri(a, X64_RDX, granules);
    x64_store_i(a, 2, x64_at(X64_RAX, HELD(size)), 0);
    x64_store_i(a, 2, x64_at(X64_RDX, in_line), 1);
    x64_load(a, 3, false, X64_RDX,
             x64_at(X64_RDX, (int32_t)offsetof(struct sm_granules, version)));
    x64_alu_rm(a, X64_CMP, true, X64_RDX, x64_at(X64_RAX, HELD(version)));
    x64_jcc(a, X64_NE, &failed);
    swap_held(l, insn);
    x64_bind(a, &failed);
    x64_mov_ri(a, X64_RCX, granules); /* flags are left alone */
    x64_store_i(a, 2, x64_at(X64_RCX, in_line), 0);
    set_failed(l);
}

/** Lock the version that is held.  If another has locked that, it is a site's. */
static void store_locked(struct jit_lower *l, const struct jit_insn *insn,
                         struct x64_label *site)
{
    struct x64_label same = {0}, done = {0};
    struct x64 *const a = &l->a;

    x64_load(a, 3, false, X64_RDX, x64_at(X64_RAX, HELD(version_of)));
    x64_load(a, 3, false, X64_RAX, x64_at(X64_RAX, HELD(version)));
    x64_lea(a, true, X64_RCX, x64_at(X64_RAX, 1));
    x64_cmpxchg(a, 3, x64_at(X64_RDX, 0), X64_RCX);
    x64_jcc(a, X64_E, &same);
    load_fast(l, X64_RCX);
    x64_alu_ri(a, X64_AND, true, X64_RAX, -2);
    x64_alu_rm(a, X64_CMP, true, X64_RAX, x64_at(X64_RCX, HELD(version)));
    x64_jcc(a, X64_E, site);
    x64_store_i(a, 2, x64_at(X64_RCX, HELD(size)), 0);
    x64_mov_ri(a, X64_RAX, 1);
    x64_jmp(a, &done);
    x64_bind(a, &same);
    load_fast(l, X64_RAX);
    x64_store_i(a, 2, x64_at(X64_RAX, HELD(size)), 0);
    x64_load(a, 3, false, X64_RCX, x64_at(X64_RAX, HELD(host)));
    swap_held(l, insn);
    set_failed(l);
    /* To the next version, or back to that which it was: 1 less twice the failure. */
    load_fast(l, X64_RDX);
    x64_load(a, 3, false, X64_RDX, x64_at(X64_RDX, HELD(version_of)));
    x64_mov_ri(a, X64_RCX, 1);
    x64_alu_rr(a, X64_SUB, true, X64_RCX, X64_RAX);
    x64_alu_rr(a, X64_SUB, true, X64_RCX, X64_RAX);
    x64_alu_mr(a, X64_ADD, true, x64_at(X64_RDX, 0), X64_RCX);
    x64_bind(a, &done);
}

void x64_lower_sc(struct jit_lower *l, const struct jit_insn *insn)
{
    const struct x64_address at = x64_address(l, insn, 0);
    struct x64_cold *const cold = atomic_site(l, insn, JIT_SITE_SC);
    struct x64 *const a = &l->a;

    /* What is reserved is aligned. */
    load_fast(l, X64_RAX);
    x64_alu_mi(a, X64_CMP, false, x64_at(X64_RAX, HELD(size)),
               1 << jit_mem_bits(insn->aux));
    x64_jcc(a, X64_NE, &cold->enter);
    x64_alu_mr(a, X64_CMP, true, x64_at(X64_RAX, HELD(gva)), at.base);
    x64_jcc(a, X64_NE, &cold->enter);
    find_host(l, at, 0, SM_WRITE, &cold->enter);
    load_fast(l, X64_RAX);
    x64_alu_rm(a, X64_CMP, true, X64_RCX, x64_at(X64_RAX, HELD(host)));
    x64_jcc(a, X64_NE, &cold->enter);
    if (fast_of(l)->alone)
        store_alone(l, insn);
    else
        store_locked(l, insn, &cold->enter);
    x64_done(l, insn->d, X64_RAX);
    x64_bind(a, &cold->back);
}
