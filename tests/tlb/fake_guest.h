/* SPDX-License-Identifier: MIT */
/* fake_guest.h - a small guest architecture over the RISC-V formats, for TLB tests.
 *
 * Modes: user, supervisor, supervisor that may touch user pages, bare.  The first three
 * read the tables at .root, under .asid, through .second if that is set.  Faults carry
 * the walk's status (and 0x100 * stage) or 0x1000 + the transaction's result.
 *
 * The board: RAM at GUEST_RAM; ROM at ROM_AT; a device of one page at IO_AT; a page at
 * MIXED_AT that is half device (IO_SMALL bytes), a hole, and RAM from MIXED_RAM_AT.
 */
#ifndef TESTS_TLB_FAKE_GUEST_H
#define TESTS_TLB_FAKE_GUEST_H

#include "../mmu/guest_tables.h"
#include "mmu/pmp.h"
#include "softmmu/softtlb_hit.h"
#include "tlb/tlb_impl.h"

enum { MODE_U, MODE_S, MODE_SUM, MODE_BARE, FAKE_MODES };
enum { TRANSLATED = 1 << MODE_U | 1 << MODE_S | 1 << MODE_SUM };

#define ROM_AT       UINT64_C(0x1000)
#define IO_AT        UINT64_C(0x10000000)
#define MIXED_AT     UINT64_C(0x10001000)
#define MIXED_RAM_AT UINT64_C(0x10001800)
enum { IO_SMALL = 0x104, RAM_SIZE = 8 << 20 };

struct fake_access {
    uint64_t offset, value;
    unsigned size;
    bool write, small;
    struct sm_attrs attrs;
};

struct fake {
    struct guest guest;
    struct sm_vcpu *vcpu;
    struct sm_region *rom, *io, *io_small, *fragment;
    struct sm_device *device;
    uint64_t root, asid, second;
    uint32_t vcpu_flags;     /* SM_VCPU_*                                          */
    struct sm_tlb_check *check; /* of the vCPUs made from now on                   */
    struct sm_walk_trail *trail; /* of the fill under way                          */
    uint32_t flags;          /* SM_WALK_* added to those of the mode               */
    struct sm_pmp pmp;       /* .n_entries 0: none; whoever writes it flushes      */
    unsigned span_limit;     /* 0, or the largest span_bits answered               */
    bool no_read;            /* answers grant no SM_PERM_R                         */
    bool refill;             /* the TLB may answer what it knows without asking    */
    uint8_t space;
    struct sm_attrs attrs;
    /* What happened: */
    unsigned n_fills, n_flushed, n_log;
    struct sm_xlate_req last_req;
    struct sm_tlb_scope last_scope;
    struct fake_access log[32];
    uint64_t io_value;
    enum sm_tx io_result;
    void (*in_device)(struct fake *fake);
};

SM_INLINE void fake_protect(void *ctx, sm_gpa gpa, unsigned size, uint8_t *perms,
                            uint8_t *span_bits)
{
    struct fake *fake = ctx;
    sm_pmp_check_near(&fake->pmp, false, gpa, size, perms, span_bits);
}

SM_INLINE void fake_protect_afresh(void *ctx, sm_gpa gpa, unsigned size, uint8_t *perms,
                                   uint8_t *span_bits)
{
    const struct fake *fake = ctx;
    sm_pmp_check(&fake->pmp, false, gpa, size, perms, span_bits);
}

SM_INLINE void fake_visit(void *ctx, const struct sm_walk_step *step)
{
    sm_walk_trail_add(((struct fake *)ctx)->trail, step);
}

/** What a miss is to find; with @cache NULL the fresh walk of tests. */
SM_INLINE bool fake_walk(struct fake *fake, const struct sm_xlate_req *req,
                         struct sm_walk_cache *cache, struct sm_xlate *out,
                         struct sm_fault *fault)
{
    const uint32_t flags = fake->flags | (req->mode == MODE_U ? SM_WALK_USER : 0) |
                           (req->mode == MODE_SUM ? SM_WALK_SUM : 0) |
                           (req->flags & SM_REQ_PROBE ? SM_WALK_PROBE : 0) |
                           (req->flags & SM_REQ_ANY_AD ? SM_WALK_AD : 0);
    struct sm_walk walk = {
        .struct_size = sizeof walk, .access = req->access, .space = fake->guest.space,
        .attrs = guest_attrs(), .cache = cache};
    struct sm_walk_result result;

    if (fake->pmp.n_entries) {
        walk.protect = cache ? fake_protect : fake_protect_afresh;
        walk.ctx = fake;
    }
    if (fake->trail) {
        walk.visit = fake_visit;
        walk.ctx = fake;
    }
    if (req->mode != MODE_BARE) {
        walk.stage[0] = (struct sm_walk_stage){&sm_pt_sv39, fake->root, flags};
        if (fake->second)
            walk.stage[1] =
                (struct sm_walk_stage){&sm_pt_sv39x4, fake->second, fake->flags};
    }
    const enum sm_walk_status status = sm_walk_run(&walk, req->gva, req->size, &result);
    if (status != SM_WALK_OK) {
        *fault = (struct sm_fault){.cause = status + 0x100u * result.last.stage,
                                   .info = req->access, .gva = req->gva,
                                   .extra = req->flags};
        return false;
    }
    *out = (struct sm_xlate){
        .gpa = result.gpa, .ipa = result.ipa, .span_bits = result.span_bits,
        .leaf_bits = {result.leaf_bits[0], result.leaf_bits[1]}, .perms = result.perms,
        .space = fake->space, .memtype = result.memtype[0], .global = result.global,
        .n_read = result.n_read, .attrs = fake->attrs};
    if (fake->span_limit && out->span_bits > fake->span_limit)
        out->span_bits = (uint8_t)fake->span_limit;
    if (fake->no_read)
        out->perms &= (uint8_t)~SM_PERM_R;
    return true;
}

SM_INLINE bool fake_translate(struct fake *fake, const struct sm_xlate_req *req,
                              struct sm_xlate *out, struct sm_fault *fault)
{
    return fake_walk(fake, req, NULL, out, fault);
}

/** Let misses like the one that was just answered be refilled. */
SM_INLINE void fake_offer_refill(struct fake *fake, struct sm_vcpu *vcpu,
                                 const struct sm_xlate_req *req)
{
    const struct sm_pmp_block *near = &fake->pmp.near[0];
    struct sm_refill refill = {
        .struct_size = sizeof refill, .format = &sm_pt_sv39,
        .flags = fake->flags | (req->mode == MODE_U ? SM_WALK_USER : 0) |
                 (req->mode == MODE_SUM ? SM_WALK_SUM : 0),
        .allowed = {0, UINT64_MAX}, .perms = SM_PERM_R | SM_PERM_W | SM_PERM_X,
        .space = fake->space, .attrs = fake->attrs};

    if (req->mode == MODE_BARE || fake->second || fake->span_limit || fake->no_read ||
        (req->flags & SM_REQ_PROBE))
        return;
    if (fake->pmp.n_entries) {
        if (near->first > near->last)
            return;
        refill.allowed = (struct sm_range){near->first, near->last};
        refill.perms = near->perms;
    }
    sm_vcpu_set_refill(vcpu, req->mode, &refill);
}

SM_INLINE bool fake_fill(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                         struct sm_xlate *out, struct sm_fault *fault)
{
    struct fake *fake = sm_vcpu_guest(vcpu);
    fake->n_fills++;
    fake->last_req = *req;
    fake->trail = sm_vcpu_walk_trail(vcpu, 3, PTE_A | PTE_D);
    const bool found =
        fake_walk(fake, req, sm_vcpu_walk_cache(vcpu, req->mode), out, fault);
    fake->trail = NULL;
    if (found && fake->refill)
        fake_offer_refill(fake, vcpu, req);
    return found;
}

SM_INLINE void fake_flushed(struct sm_vcpu *vcpu, const struct sm_tlb_scope *scope)
{
    struct fake *fake = sm_vcpu_guest(vcpu);
    fake->n_flushed++;
    fake->last_scope = *scope;
}

SM_INLINE void fake_bus_error(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                              sm_gpa gpa, enum sm_tx tx, struct sm_fault *fault)
{
    struct fake *fake = sm_vcpu_guest(vcpu);
    fake->last_req = *req;
    *fault = (struct sm_fault){.cause = 0x1000u + tx, .info = req->access,
                               .gva = req->gva, .gpa = gpa, .extra = req->flags};
}

SM_INLINE const char *fake_mode_name(uint8_t mode)
{
    static const char *const name[FAKE_MODES] = {"U", "S", "S+SUM", "bare"};
    return name[mode];
}

static const struct sm_guest_mmu_ops fake_ops = {
    .struct_size = sizeof fake_ops, .n_modes = FAKE_MODES, .tlb_fill = fake_fill,
    .flushed = fake_flushed, .bus_error = fake_bus_error, .mode_name = fake_mode_name,
};

SM_INLINE enum sm_tx fake_io(struct fake *fake, struct fake_access access,
                             uint64_t *value)
{
    if (access.write)
        access.value = *value;
    else
        access.value = *value = fake->io_value;
    if (fake->n_log < 32)
        fake->log[fake->n_log++] = access;
    if (fake->in_device)
        fake->in_device(fake);
    return fake->io_result;
}

SM_INLINE enum sm_tx fake_io_read(void *dev, uint64_t offset, unsigned size,
                                  const struct sm_attrs *attrs, uint64_t *value)
{
    return fake_io(dev, (struct fake_access){offset, 0, size, false, false, *attrs},
                   value);
}

SM_INLINE enum sm_tx fake_io_write(void *dev, uint64_t offset, unsigned size,
                                   const struct sm_attrs *attrs, uint64_t value)
{
    return fake_io(dev, (struct fake_access){offset, 0, size, true, false, *attrs},
                   &value);
}

SM_INLINE enum sm_tx fake_small_read(void *dev, uint64_t offset, unsigned size,
                                     const struct sm_attrs *attrs, uint64_t *value)
{
    return fake_io(dev, (struct fake_access){offset, 0, size, false, true, *attrs},
                   value);
}

SM_INLINE enum sm_tx fake_small_write(void *dev, uint64_t offset, unsigned size,
                                      const struct sm_attrs *attrs, uint64_t value)
{
    return fake_io(dev, (struct fake_access){offset, 0, size, true, true, *attrs},
                   &value);
}

static const struct sm_io_ops fake_io_ops = {
    .struct_size = sizeof fake_io_ops, .read = fake_io_read, .write = fake_io_write,
    .accepts = {1, 8, true}, .implements = {1, 8, false},
};
static const struct sm_io_ops fake_small_ops = { /* bytes and words of four */
    .struct_size = sizeof fake_small_ops, .read = fake_small_read,
    .write = fake_small_write, .accepts = {1, 4, false}, .implements = {1, 4, false},
};

SM_INLINE void fake_vcpu(struct fake *fake, struct sm_vcpu **out)
{
    struct sm_address_space *spaces[] = {fake->guest.space, fake->guest.space};
    const struct sm_vcpu_options options = {
        .struct_size = sizeof options, .tlb_layout = SM_TLB_LAYOUT, .spaces = spaces,
        .n_spaces = 2, .requester = 77, .ops = &fake_ops, .guest = fake,
        .flags = fake->vcpu_flags, .check = fake->check};
    assert_int_equal(sm_vcpu_new(fake->guest.topo, &options, out), 0);
}

/** Have the translated modes read the tables at @root. */
SM_INLINE void fake_select(struct fake *fake, uint64_t root, uint64_t asid)
{
    const struct sm_tlb_key key = {{root, asid, fake->second}};
    fake->root = root;
    fake->asid = asid;
    sm_tlb_select(fake->vcpu, TRANSLATED, &key);
}

SM_INLINE void fake_init_checked(struct fake *fake, uint32_t vcpu_flags,
                                 struct sm_tlb_check *check)
{
    struct guest *guest = &fake->guest;
    const struct sm_tlb_key bare = {{UINT64_MAX, 0, 0}};

    memset(fake, 0, sizeof *fake);
    fake->vcpu_flags = vcpu_flags;
    fake->check = check;
    guest_init(guest, RAM_SIZE);
    fake->attrs.process = SM_NO_PROCESS;
    sm_topology_begin(guest->topo);
    assert_int_equal(sm_device_new(guest->topo, "dev", fake, &fake->device), 0);
    assert_int_equal(sm_region_new_rom(guest->topo, "rom", 0x2000, &fake->rom), 0);
    assert_int_equal(sm_region_new_io(fake->device, "io", 0xfff, &fake_io_ops, &fake->io),
                     0);
    assert_int_equal(sm_region_new_io(fake->device, "small", IO_SMALL - 1,
                                      &fake_small_ops, &fake->io_small),
                     0);
    assert_int_equal(sm_region_new_ram(guest->topo, "fragment", 0x400, &fake->fragment),
                     0);
    assert_int_equal(sm_region_map(guest->root, ROM_AT, fake->rom, 0), 0);
    assert_int_equal(sm_region_map(guest->root, IO_AT, fake->io, 0), 0);
    assert_int_equal(sm_region_map(guest->root, MIXED_AT, fake->io_small, 0), 0);
    assert_int_equal(sm_region_map(guest->root, MIXED_RAM_AT, fake->fragment, 0), 0);
    assert_int_equal(sm_topology_commit(guest->topo, NULL), 0);
    fake_vcpu(fake, &fake->vcpu);
    sm_vcpu_online(fake->vcpu);
    sm_tlb_select(fake->vcpu, 1 << MODE_BARE, &bare);
    fake_select(fake, GUEST_RAM, 0);
}

SM_INLINE void fake_init_flags(struct fake *fake, uint32_t vcpu_flags)
{
    fake_init_checked(fake, vcpu_flags, NULL);
}

SM_INLINE void fake_init(struct fake *fake)
{
    fake_init_flags(fake, 0);
}

SM_INLINE void fake_fini(struct fake *fake)
{
    sm_vcpu_check(fake->vcpu);
    sm_vcpu_offline(fake->vcpu);
    sm_vcpu_free(fake->vcpu);
    guest_fini(&fake->guest);
}

SM_INLINE struct sm_memop op_of(unsigned size_bits, unsigned mode)
{
    return (struct sm_memop){.size_bits = (uint8_t)size_bits, .mode = (uint8_t)mode};
}

/** Whether the hit path answers; *host as it says. */
SM_INLINE bool fake_hit(struct fake *fake, unsigned mode, sm_gva gva, unsigned size,
                        enum sm_access access, void **host)
{
    void *unused;
    return sm_tlb_hit(sm_vcpu_fast(fake->vcpu)->table[mode], gva, size, access,
                      host ? host : &unused);
}

/** Map the page at @gva of the Sv39 tree at @root, whose tables lie one page and two
 *  pages after it: addresses of one 2 MiB block only, but any of its pages. */
SM_INLINE void fake_map(struct fake *fake, uint64_t root, sm_gva gva, uint64_t pte)
{
    guest_put(&fake->guest, root, gva >> 30 & 511, pte_of(root + 0x1000, PTE_V));
    guest_put(&fake->guest, root + 0x1000, gva >> 21 & 511, pte_of(root + 0x2000, PTE_V));
    guest_put(&fake->guest, root + 0x2000, gva >> 12 & 511, pte);
}

SM_INLINE struct sm_tlb_stats fake_stats(const struct fake *fake)
{
    struct sm_tlb_stats stats = {.struct_size = sizeof stats};
    sm_tlb_get_stats(fake->vcpu, &stats);
    return stats;
}

#endif
