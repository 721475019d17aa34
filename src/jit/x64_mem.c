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
        .dirty = l->dirty, .valid = l->valid,
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
    site->mem = insn->aux;
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

void x64_lower_load(struct jit_lower *l, const struct jit_insn *insn)
{
    const unsigned bits = jit_mem_bits(insn->aux);
    const struct x64_address at = x64_address(l, insn, insn->imm);
    struct x64_cold *const cold = access_site(l, insn, false);
    const unsigned d = x64_target(l, insn->d, X64_RAX);

    x64_look_up(l, at, 1u << bits, SM_READ, &cold->enter, X64_RCX);
    x64_load(&l->a, bits, insn->aux & JIT_MEM_SIGNED, d,
             x64_at2(at.base, X64_RCX, 0, at.disp));
    x64_done(l, insn->d, d);
    x64_bind(&l->a, &cold->back);
}

void x64_lower_store(struct jit_lower *l, const struct jit_insn *insn)
{
    const unsigned bits = jit_mem_bits(insn->aux);
    const struct x64_address at = x64_address(l, insn, insn->imm);
    struct x64_cold *const cold = access_site(l, insn, true);
    const struct x64_mem mem = x64_at2(at.base, X64_RCX, 0, at.disp);
    int32_t imm;

    x64_look_up(l, at, 1u << bits, SM_WRITE, &cold->enter, X64_RCX);
    if (x64_is_imm(l, insn->b, &imm))
        x64_store_i(&l->a, bits, mem, imm);
    else
        x64_store(&l->a, bits, mem, x64_use(l, insn->b, X64_RAX));
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
    x64_look_up(l, at, span, insn->aux == JIT_WRITE ? SM_WRITE : SM_READ, &cold->enter, d);
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
    const struct x64_mem mem = checked(l, insn);
    const unsigned d = x64_target(l, insn->d, X64_RAX);

    x64_load(&l->a, jit_mem_bits(insn->aux), insn->aux & JIT_MEM_SIGNED, d, mem);
    x64_done(l, insn->d, d);
}

void x64_lower_checked_store(struct jit_lower *l, const struct jit_insn *insn)
{
    const struct x64_mem mem = checked(l, insn);
    const unsigned bits = jit_mem_bits(insn->aux);
    int32_t imm;

    if (x64_is_imm(l, insn->c, &imm))
        x64_store_i(&l->a, bits, mem, imm);
    else
        x64_store(&l->a, bits, mem, x64_use(l, insn->c, X64_RAX));
}
