/* SPDX-License-Identifier: MIT */
/* x64_mem.c - emits accesses to guest memory: the hit path in line, all else as a site.
 *
 * What sm_tlb_hit() does, from the same layout:
 *
 *   rorx rcx, gva, 12           ; the page, folded: see sm_tlb_slot()
 *   rorx rax, gva, 22
 *   add  ecx, eax
 *   and  ecx, 1023
 *   shl  ecx, 4
 *   lea  rax, [gva + size - 1]  ; the page of the last byte
 *   and  rax, -4096
 *   cmp  rax, [r15 + rcx]
 *   jne  site
 *   mov  rcx, [r15 + rcx + 8]
 *   mov  dst, [rcx + gva]
 *
 * gva is base + imm wherever an instruction can add it, so it needs no register.
 */
#include "jit/x64_impl.h"

SM_STATIC_ASSERT(sizeof(struct sm_tlb_entry) == 1 << SM_TLB_ENTRY_BITS, "scaled by shl");
SM_STATIC_ASSERT(SM_PAGE_BITS == 12, "-4096 is the page's mask");

void x64_slot(struct x64 *a, unsigned index, unsigned scratch, unsigned address)
{
    x64_rorx(a, true, index, address, SM_PAGE_BITS);
    x64_rorx(a, true, scratch, address, SM_PAGE_BITS + SM_TLB_INDEX_BITS);
    x64_alu_rr(a, X64_ADD, false, index, scratch);
    x64_alu_ri(a, X64_AND, false, index, (1 << SM_TLB_INDEX_BITS) - 1);
    x64_shift_ri(a, X64_SHL, false, index, SM_TLB_ENTRY_BITS);
}

struct x64_address x64_address(struct jit_lower *l, const struct jit_insn *insn,
                               int32_t imm)
{
    struct x64_address address = {X64_RDX, imm};

    if (x64_in_reg(l, insn->a)) {
        address.base = x64_loc(l, insn->a).reg;
    } else if (jit_is_const(insn->a)) {
        x64_mov_ri(&l->a, X64_RDX,
                   jit_ir_value(l->ir, insn->a) + (uint64_t)(int64_t)imm);
        address.disp = 0;
    } else {
        x64_fetch(l, X64_RDX, insn->a);
    }
    return address;
}

void x64_look_up(struct jit_lower *l, struct x64_address at, unsigned size,
                 enum sm_access access, struct x64_label *miss, unsigned way)
{
    const int32_t table = (int32_t)offsetof(struct sm_tlb_table, slot[access]);
    struct x64 *const a = &l->a;
    unsigned gva = at.base;

    if (at.disp) {
        x64_lea(a, true, X64_RAX, x64_at(at.base, at.disp));
        gva = X64_RAX;
    }
    x64_slot(a, X64_RCX, X64_RAX, gva);
    if (size > 1 || at.disp)
        x64_lea(a, true, X64_RAX, x64_at(at.base, at.disp + (int32_t)size - 1));
    else
        x64_mov_rr(a, true, X64_RAX, at.base);
    x64_alu_ri(a, X64_AND, true, X64_RAX, -(int32_t)SM_PAGE_SIZE);
    x64_alu_rm(a, X64_CMP, true, X64_RAX,
               x64_at2(X64_TABLE, X64_RCX, 0,
                       table + (int32_t)offsetof(struct sm_tlb_entry, tag)));
    x64_jcc(a, X64_NE, miss);
    x64_load(a, 3, false, way,
             x64_at2(X64_TABLE, X64_RCX, 0,
                     table + (int32_t)offsetof(struct sm_tlb_entry, host_bias)));
}

/* --- Near ---------------------------------------------------------------------- */

/** Look where the last access off the same base was; in cold code, further.
 *  @way     gets what leads to host addresses */
static void look_near(struct jit_lower *l, const struct jit_insn *insn, struct x64_address at,
                      bool write, bool group, struct x64_cold *cold, unsigned way)
{
    const unsigned base = jit_is_global(insn->a) ? insn->a % SM_N_NEAR : 0;
    const int32_t near = (int32_t)(offsetof(struct sm_tlb_table, near) +
                                   sizeof(struct sm_tlb_near) * (write * SM_N_NEAR + base));
    struct x64 *const a = &l->a;

    cold->kind = X64_COLD_NEAR;
    cold->near = near;
    cold->write = write;
    cold->group = group;
    cold->way = (uint8_t)way;
    cold->base = (uint8_t)at.base;
    cold->disp = at.disp;
    cold->base_const = jit_is_const(insn->a);
    if (cold->base_const)
        cold->constant = jit_ir_value(l->ir, insn->a) + (uint64_t)(int64_t)insn->imm;
    else
        cold->home = x64_loc(l, insn->a).offset;
    if (at.disp)
        x64_lea(a, true, X64_RAX, x64_at(at.base, at.disp));
    else
        x64_mov_rr(a, true, X64_RAX, at.base);
    x64_alu_rm(a, X64_SUB, true, X64_RAX,
               x64_at(X64_TABLE, near + (int32_t)offsetof(struct sm_tlb_near, page)));
    x64_alu_rm(a, X64_CMP, true, X64_RAX,
               x64_at(X64_TABLE,
                      near + (int32_t)(group ? offsetof(struct sm_tlb_near, group_limit)
                                             : offsetof(struct sm_tlb_near, limit))));
    x64_jcc(a, X64_AE, &cold->enter);
    x64_load(a, 3, false, way,
             x64_at(X64_TABLE, near + (int32_t)offsetof(struct sm_tlb_near, host_bias)));
    x64_bind(a, &cold->found);
}

void x64_cold_near(struct jit_lower *l, struct x64_cold *cold)
{
    struct x64_label miss = {0};
    struct x64 *const a = &l->a;

    if (cold->disp)
        x64_lea(a, true, X64_RAX, x64_at(cold->base, cold->disp));
    else
        x64_mov_rr(a, true, X64_RAX, cold->base);
    x64_lea(a, true, X64_RDX, x64_at(X64_TABLE, cold->near));
    x64_call_to(a, jit_mcode_write(&l->jit->code, l->jit->near[cold->write][cold->group]));
    if (cold->base == X64_RDX && cold->base_const)
        x64_mov_ri(a, X64_RDX, cold->constant); /* moves leave flags alone */
    else if (cold->base == X64_RDX)
        x64_load(a, 3, false, X64_RDX, x64_home(l, cold->home));
    if (cold->way == X64_RCX) {
        x64_jcc(a, X64_E, &cold->found);
    } else {
        /* The base may end here, and the way take its place: not where the site looks. */
        x64_jcc(a, X64_NE, &miss);
        x64_mov_rr(a, true, cold->way, X64_RCX);
        x64_jmp(a, &cold->found);
        x64_bind(a, &miss);
    }
    x64_cold_site(l, cold);
}

/* (N1) */
enum { NEAR_BITS = 5 };
SM_STATIC_ASSERT(sizeof(struct sm_tlb_near) == 1 << NEAR_BITS &&
                     offsetof(struct sm_tlb_table, near) % (64 << NEAR_BITS) == 0,
                 "the bit of .near_used is found by a shift");

/** Look up what lies at rax, and have it be near, in the sm_tlb_near that rdx leads to.
 *  ZF: it is, and rcx leads to the host; else it is no plain hit.  Uses rax and rdx. */
void x64_thunk_near(struct jit_lower *l, bool write, bool group)
{
    const int32_t table =
        (int32_t)offsetof(struct sm_tlb_table, slot[write ? SM_WRITE : SM_READ]);
    struct x64 *const a = &l->a;
    struct x64_label miss = {0}, asked = {0};

    x64_alu_mi(a, X64_SUB, false, X64_STATE(l, near_budget), 1);
    x64_jcc(a, X64_LE, &asked);
    x64_push(a, X64_RDX);
    x64_slot(a, X64_RCX, X64_RDX, X64_RAX);
    x64_pop(a, X64_RDX);
    x64_alu_ri(a, X64_ADD, true, X64_RAX, (group ? SM_NEAR_GROUP : SM_NEAR_SIZE) - 1);
    x64_alu_ri(a, X64_AND, true, X64_RAX, -(int32_t)SM_PAGE_SIZE);
    x64_alu_rm(a, X64_CMP, true, X64_RAX, x64_at2(X64_TABLE, X64_RCX, 0, table));
    x64_jcc(a, X64_NE, &miss);
    x64_load(a, 3, false, X64_RCX,
             x64_at2(X64_TABLE, X64_RCX, 0,
                     table + (int32_t)offsetof(struct sm_tlb_entry, host_bias)));
    x64_store(a, 3, x64_at(X64_RDX, offsetof(struct sm_tlb_near, page)), X64_RAX);
    x64_store(a, 3, x64_at(X64_RDX, offsetof(struct sm_tlb_near, host_bias)), X64_RCX);
    x64_store_i(a, 3, x64_at(X64_RDX, offsetof(struct sm_tlb_near, limit)), SM_NEAR_LIMIT);
    x64_store_i(a, 3, x64_at(X64_RDX, offsetof(struct sm_tlb_near, group_limit)),
                SM_NEAR_GROUP_LIMIT);
    /* Its number, modulo 64, is its offset by its size: (N1). */
    x64_alu_rr(a, X64_SUB, true, X64_RDX, X64_TABLE);
    x64_shift_ri(a, X64_SHR, true, X64_RDX, NEAR_BITS);
    x64_mov_ri(a, X64_RAX, 1);
    x64_shiftx(a, X64_SHL, true, X64_RAX, X64_RAX, X64_RDX);
    x64_alu_mr(a, X64_OR, true,
               x64_at(X64_TABLE, offsetof(struct sm_tlb_table, near_used)), X64_RAX);
    x64_alu_rr(a, X64_CMP, false, X64_RAX, X64_RAX); /* ZF */
    x64_bind(a, &miss);
    x64_ret(a);
    x64_bind(a, &asked); /* C code is to hear of it */
    x64_test_rr(a, true, X64_RSP, X64_RSP);
    x64_ret(a);
}

/** Have @way lead to the host address of @size bytes; what declines is @cold's. */
static void find(struct jit_lower *l, const struct jit_insn *insn, struct x64_address at,
                 unsigned size, bool write, struct x64_cold *cold, unsigned way)
{
    /* Only loops come back to one access often enough. */
    if (!l->alloc->loops || (l->jit->flags & JIT_NO_NEAR) ||
        (l->jit->without & JIT_WITHOUT_NEAR) || size > SM_NEAR_GROUP)
        x64_look_up(l, at, size, write ? SM_WRITE : SM_READ, &cold->enter, way);
    else
        look_near(l, insn, at, write, size > SM_NEAR_SIZE, cold, way);
}

/* --- Sites ----------------------------------------------------------------------- */

struct jit_site *x64_site(struct jit_lower *l, enum jit_site_kind kind,
                          const struct jit_insn *insn, uint32_t *number)
{
    struct jit *const jit = l->jit;
    const struct jit_place *const place = &l->ir->place[insn->at];
    struct jit_site *site;

    if (jit->n_sites == jit->max_sites) {
        l->failed = true;
        return NULL;
    }
    *number = jit->n_sites++;
    site = &jit->site[*number];
    *site = (struct jit_site){
        .kind = (uint8_t)kind,
        .offset = place->offset, .next = place->next,
        .retired = (uint16_t)(insn->at - l->counted),
        .regs = l->alloc->now,
        .unit = l->unit,
    };
    return site;
}

/** A site for a memory access, that cold code calls. */
static struct x64_cold *access_site(struct jit_lower *l, const struct jit_insn *insn,
                                    bool store)
{
    const jit_reg value = store ? insn->b : insn->d;
    struct x64_cold *const cold = x64_cold(l, X64_COLD_SITE, insn);
    struct jit_site *const site =
        x64_site(l, store ? JIT_SITE_STORE : JIT_SITE_LOAD, insn, &cold->site);

    if (!site)
        return cold;
    site->fp = jit_ops[insn->op].aux == JIT_AUX_PREC;
    site->mem = site->fp ? (uint8_t)jit_access_bits(insn) : insn->aux;
    site->imm = insn->imm;
    if (jit_is_const(insn->a)) {
        site->base_const = true;
        site->constant = jit_ir_value(l->ir, insn->a);
    } else {
        site->base = x64_loc(l, insn->a);
    }
    if (jit_is_const(value)) {
        site->value_const = true;
        site->value_constant = jit_ir_value(l->ir, value);
    } else {
        site->value = x64_loc(l, value);
        site->partly = !store && jit_is_temp(value);
        if (jit_is_global(value))
            site->value_home = l->ir->globals[value].offset;
    }
    return cold;
}

void x64_call_site(struct jit_lower *l, uint32_t number)
{
    x64_mov_ri(&l->a, X64_RCX, number);
    x64_call_to(&l->a, jit_mcode_write(&l->jit->code, l->jit->slow[l->alloc->uses_fp]));
}

void x64_cold_site(struct jit_lower *l, struct x64_cold *cold)
{
    x64_call_site(l, cold->site);
    x64_jmp(&l->a, &cold->back);
}

/* --- Loads and stores --------------------------------------------------------------- */

static bool is_fp(const struct jit_insn *insn)
{
    return jit_ops[insn->op].aux == JIT_AUX_PREC;
}

/** Load from @mem what @insn says.  Returns  the register for x64_done() or its sibling */
static unsigned load(struct jit_lower *l, const struct jit_insn *insn, struct x64_mem mem)
{
    unsigned d;

    if (!is_fp(insn)) {
        d = x64_target(l, insn->d, X64_RAX);
        x64_load(&l->a, jit_mem_bits(insn->aux), insn->aux & JIT_MEM_SIGNED, d, mem);
        return d;
    }
    d = x64_fp_target(l, insn->d, X64_XMM0);
    x64_movs_load(&l->a, insn->aux == JIT_DOUBLE, d, mem);
    if (insn->aux == JIT_SINGLE)
        x64_fp_pool(l, X64_ORPS, d, X64_POOL_BOX, 0);
    return d;
}

static void load_done(struct jit_lower *l, const struct jit_insn *insn, unsigned d)
{
    if (is_fp(insn))
        x64_fp_done(l, insn->d, d);
    else
        x64_done(l, insn->d, d);
}

static void store(struct jit_lower *l, const struct jit_insn *insn, jit_reg value,
                  struct x64_mem mem)
{
    const unsigned bits = jit_access_bits(insn);
    int32_t imm;

    if (is_fp(insn))
        x64_movs_store(&l->a, insn->aux == JIT_DOUBLE, mem,
                       x64_fp_use(l, value, X64_XMM0));
    else if (x64_is_imm(l, value, &imm))
        x64_store_i(&l->a, bits, mem, imm);
    else
        x64_store(&l->a, bits, mem, x64_use(l, value, X64_RAX));
}

void x64_lower_load(struct jit_lower *l, const struct jit_insn *insn)
{
    const struct x64_address at = x64_address(l, insn, insn->imm);
    struct x64_cold *const cold = access_site(l, insn, false);

    find(l, insn, at, 1u << jit_access_bits(insn), false, cold, X64_RCX);
    load_done(l, insn, load(l, insn, x64_at2(at.base, X64_RCX, 0, at.disp)));
    x64_bind(&l->a, &cold->back);
}

void x64_lower_store(struct jit_lower *l, const struct jit_insn *insn)
{
    const struct x64_address at = x64_address(l, insn, insn->imm);
    struct x64_cold *const cold = access_site(l, insn, true);

    find(l, insn, at, 1u << jit_access_bits(insn), true, cold, X64_RCX);
    store(l, insn, insn->b, x64_at2(at.base, X64_RCX, 0, at.disp));
    x64_bind(&l->a, &cold->back);
}

/* --- Accesses off one base ------------------------------------------------------------ */

void x64_lower_check(struct jit_lower *l, const struct jit_insn *insn)
{
    const struct x64_address at = x64_address(l, insn, insn->imm);
    const unsigned span = (unsigned)jit_ir_value(l->ir, insn->b);
    struct x64_cold *const cold = x64_cold(l, X64_COLD_SITE, insn);
    struct jit_site *const site = x64_site(l, JIT_SITE_CHECK, insn, &cold->site);
    const unsigned d = x64_target(l, insn->d, X64_RCX);

    if (!site)
        return;
    site->mem = insn->aux;
    site->imm = insn->imm;
    site->base = x64_loc(l, insn->a);
    site->value = x64_loc(l, insn->d);
    site->constant = span;
    find(l, insn, at, span, insn->aux == JIT_WRITE, cold, d);
    x64_done(l, insn->d, d);
    x64_bind(&l->a, &cold->back);
}

/** [a + b + imm], both in registers. */
static struct x64_mem checked(struct jit_lower *l, const struct jit_insn *insn)
{
    const unsigned base = x64_use(l, insn->a, X64_RCX);

    return x64_at2(base, x64_use(l, insn->b, X64_RDX), 0, insn->imm);
}

void x64_lower_checked_load(struct jit_lower *l, const struct jit_insn *insn)
{
    load_done(l, insn, load(l, insn, checked(l, insn)));
}

void x64_lower_checked_store(struct jit_lower *l, const struct jit_insn *insn)
{
    store(l, insn, insn->c, checked(l, insn));
}
