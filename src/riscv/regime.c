/* SPDX-License-Identifier: MIT */
/* regime.c - turns control state into TLB modes, keys and walks.
 *
 * A context's key is the satp that its mode was selected with (bare: 0, whatever
 * else the register holds), so satp changes are selections.  Modes are selected
 * when they come into use: a kernel that only ever runs in S and U costs no
 * context of the other five.  What a key does not say and a translation depends
 * on - PMP, menvcfg - drops all translations when it changes.
 *
 * Source: RISC-V Privileged, "Virtual Address Translation Process", "Supervisor
 * Address Translation and Protection (satp) Register", "Memory Privilege in mstatus
 * Register", "Physical Memory Protection".
 */
#include "riscv/translate.h"

#define RV_PTE_A (UINT64_C(1) << 6)
#define RV_PTE_D (UINT64_C(1) << 7)
#define ALL_MODES ((uint16_t)sm_mask(RV_N_MODES))

/** How each mode reads the tables.  [RV_MODE_M] has none. */
static const struct {
    const char *name;
    uint32_t flags; /* SM_WALK_*                                               */
} modes[RV_N_MODES] = {
    [RV_MODE_U] = {"U", SM_WALK_USER},
    [RV_MODE_S] = {"S", 0},
    [RV_MODE_S_SUM] = {"S+SUM", SM_WALK_SUM},
    [RV_MODE_M] = {"M", 0},
    [RV_MODE_U_MXR] = {"U+MXR", SM_WALK_USER | SM_WALK_MXR},
    [RV_MODE_S_MXR] = {"S+MXR", SM_WALK_MXR},
    [RV_MODE_S_SUM_MXR] = {"S+SUM+MXR", SM_WALK_SUM | SM_WALK_MXR},
};

/* --- Modes in use ----------------------------------------------------------------- */

/** Mode of loads and stores at privilege @priv. */
static uint8_t data_mode(const struct rv_hart *hart, unsigned priv)
{
    const bool mxr = (hart->mstatus & RV_MSTATUS_MXR) != 0;

    switch (priv) {
    case RV_PRIV_U: return mxr ? RV_MODE_U_MXR : RV_MODE_U;
    case RV_PRIV_S:
        if (hart->mstatus & RV_MSTATUS_SUM)
            return mxr ? RV_MODE_S_SUM_MXR : RV_MODE_S_SUM;
        return mxr ? RV_MODE_S_MXR : RV_MODE_S;
    default: return RV_MODE_M;
    }
}

/** SUM and MXR are about loads and stores. */
static uint8_t fetch_mode(unsigned priv)
{
    switch (priv) {
    case RV_PRIV_U: return RV_MODE_U;
    case RV_PRIV_S: return RV_MODE_S;
    default: return RV_MODE_M;
    }
}

/** Have @mode read the current address space (T4). */
static void select_mode(struct rv_hart *hart, uint8_t mode)
{
    const uint64_t satp = mode == RV_MODE_M || hart->satp >> 60 == 0 ? 0 : hart->satp;

    if (((hart->modes_selected >> mode) & 1) && hart->mode_satp[mode] == satp)
        return;
    hart->mode_satp[mode] = satp;
    hart->modes_selected |= (uint8_t)(1u << mode);
    const struct sm_tlb_key key = {
        {SM_UNLIKELY(hart->check_flags) ? rv_check_root(hart, mode, satp) : satp, 0, 0}};
    sm_tlb_select(hart->vcpu, (uint16_t)(1u << mode), &key);
}

void rv_regime_count(struct rv_hart *hart)
{
    const uint64_t n = hart->data_accesses - hart->accesses_told;

    hart->accesses_told = hart->data_accesses;
    if (n)
        sm_tlb_count_accesses(hart->vcpu, hart->mode_data, n);
}

void rv_regime_update(struct rv_hart *hart)
{
    const uint8_t fetched = hart->mode_fetch;
    const uint64_t satp = hart->mode_satp[fetched];
    unsigned priv = hart->priv;

    rv_regime_count(hart);
    hart->mode_fetch = fetch_mode(priv);
    if (priv == RV_PRIV_M && (hart->mstatus & RV_MSTATUS_MPRV))
        priv = (unsigned)sm_extract(hart->mstatus, 11, 2);
    hart->mode_data = data_mode(hart, priv);
    select_mode(hart, hart->mode_fetch);
    select_mode(hart, hart->mode_data);
    if (hart->mode_fetch != fetched || hart->mode_satp[fetched] != satp)
        rv_units_moved(hart);
}

void rv_regime_flush(struct rv_hart *hart)
{
    const struct sm_tlb_scope everything = {
        .range = {0, UINT64_MAX}, .modes = ALL_MODES, .stage = 1};

    rv_rewalk_forget(hart);
    hart->own_flush = true;
    sm_tlb_flush_local(hart->vcpu, &everything);
    hart->own_flush = false;
}

/* --- One translation -------------------------------------------------------------- */

static const struct sm_pt_format *format_of(uint64_t satp)
{
    switch (satp >> 60) {
    case 8: return &sm_pt_sv39;
    case 9: return &sm_pt_sv48;
    case 10: return &sm_pt_sv57;
    default: return NULL; /* bare: addresses pass unchanged */
    }
}

/** Whose accesses PMP judges, the reads of tables included: those are S's. */
struct protect_ctx {
    struct sm_pmp *pmp;
    bool machine;
    struct sm_walk_trail *trail; /* or NULL                                    */
    const struct rv_hart *hart;
    struct rv_rewalk *again;     /* or NULL: what notes the steps              */
};

static void protect(void *ctx, sm_gpa gpa, unsigned size, uint8_t *perms,
                    uint8_t *span_bits)
{
    const struct protect_ctx *by = ctx;

    sm_pmp_check_near(by->pmp, by->machine, gpa, size, perms, span_bits);
}

static void visit(void *ctx, const struct sm_walk_step *step)
{
    const struct protect_ctx *by = ctx;

    sm_walk_trail_add(by->trail, step);
}

static void note(void *ctx, const struct sm_walk_step *step)
{
    const struct protect_ctx *by = ctx;

    rv_rewalk_note(by->again, by->hart, step);
}

/** Describe the fault of @req.  A cache-block operation faults as a store does, and
 *  so does either half of a read-modify-write. */
static void describe(const struct sm_xlate_req *req, bool page, struct sm_fault *fault)
{
    uint32_t cause;

    if (req->access == SM_FETCH)
        cause = page ? RV_CAUSE_FETCH_PAGE : RV_CAUSE_FETCH_ACCESS;
    else if (req->access == SM_WRITE || (req->flags & (SM_REQ_ATOMIC | SM_REQ_CACHE_OP)))
        cause = page ? RV_CAUSE_STORE_PAGE : RV_CAUSE_STORE_ACCESS;
    else
        cause = page ? RV_CAUSE_LOAD_PAGE : RV_CAUSE_LOAD_ACCESS;
    *fault = (struct sm_fault){.cause = cause, .gva = req->gva};
}

/** Let the TLB answer misses like the one that was just answered by @walk. */
static void offer_refill(struct sm_vcpu *vcpu, const struct sm_walk *walk,
                         const struct protect_ctx *by, uint8_t mode,
                         const struct sm_xlate *xlate)
{
    const struct sm_pmp_block *near = &by->pmp->near[by->machine];
    const struct sm_refill refill = {
        .struct_size = sizeof(refill),
        .flags = walk->stage[0].flags,
        .format = walk->stage[0].format,
        .allowed = {near->first, near->last},
        .perms = near->perms,
        .attrs = xlate->attrs,
    };

    if (walk->cache && near->first <= near->last)
        sm_vcpu_set_refill(vcpu, mode, &refill);
}

/** How the walk for @req goes. */
static uint32_t flags_of(const struct rv_hart *hart, const struct sm_xlate_req *req)
{
    uint32_t flags = modes[req->mode].flags;

    if ((hart->menvcfg & RV_ENVCFG_ADUE) || (req->flags & SM_REQ_ANY_AD))
        flags |= SM_WALK_AD;
    if (!rv_isa_has(&hart->isa, RV_EXT_SVNAPOT))
        flags |= SM_WALK_NO_GROUP;
    if (!(hart->menvcfg & RV_ENVCFG_PBMTE))
        flags |= SM_WALK_NO_MEMTYPE;
    if (req->flags & SM_REQ_PROBE)
        flags |= SM_WALK_PROBE;
    return flags;
}

/** Answer @req by tables that @format describes, or none.
 *  @again  not NULL: to know next time what was read */
static bool fill_by_walk(struct rv_hart *hart, const struct sm_xlate_req *req,
                         const struct sm_pt_format *format, uint32_t flags,
                         struct rv_rewalk *again, struct sm_xlate *out,
                         struct sm_fault *fault)
{
    struct protect_ctx by = {&hart->pmp, req->mode == RV_MODE_M, NULL, hart, again};
    struct sm_walk_result result;
    enum sm_walk_status status;
    struct sm_walk walk = {
        .struct_size = sizeof(walk),
        .access = req->access,
        .space = hart->space,
        .attrs = &hart->attrs,
        .protect = protect,
        .ctx = &by,
        .cache = sm_vcpu_walk_cache(hart->vcpu, req->mode),
    };

    walk.stage[0].format = format;
    walk.stage[0].root = sm_extract(hart->mode_satp[req->mode], 0, 44) << SM_PAGE_BITS;
    walk.stage[0].flags = flags;
    if (!walk.cache) /* of an oracle, which knows nothing */
        by.again = NULL;
    if (by.again) {
        rv_rewalk_begin(again);
        walk.cache = NULL; /* every step is to be seen */
        walk.visit = note;
    }
    if (SM_UNLIKELY(hart->check_flags)) {
        by.trail = sm_vcpu_walk_trail(hart->vcpu, 3, RV_PTE_A | RV_PTE_D);
        walk.visit = visit;
    }

    status = sm_walk_run(&walk, req->gva, req->size, &result);
    if (SM_UNLIKELY(status != SM_WALK_OK)) {
        describe(req, status != SM_WALK_PROTECTED && status != SM_WALK_BUS_ERROR, fault);
        return false;
    }
    *out = (struct sm_xlate){
        .gpa = result.gpa,
        .ipa = result.ipa,
        .span_bits = result.span_bits,
        .leaf_bits = {result.leaf_bits[0], result.leaf_bits[1]},
        .perms = result.perms,
        .memtype = result.memtype[0],
        .global = result.global,
        .n_read = result.n_read,
        .attrs = hart->attrs,
    };
    if (modes[req->mode].flags & SM_WALK_USER)
        out->attrs.flags |= SM_ATTR_USER;
    if (by.again)
        rv_rewalk_end(again, out);
    if (format && !(req->flags & SM_REQ_PROBE))
        offer_refill(hart->vcpu, &walk, &by, req->mode, out);
    return true;
}

static bool regime_tlb_fill(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                            struct sm_xlate *out, struct sm_fault *fault)
{
    struct rv_hart *const hart = sm_vcpu_guest(vcpu);
    /* Not hart->satp: a mode that is not in use keeps the key of its last use. */
    const uint64_t satp = hart->mode_satp[req->mode];
    const struct sm_pt_format *const format = format_of(satp);
    const uint32_t flags = flags_of(hart, req);
    struct rv_rewalk *again = NULL;

    if (req->access == SM_FETCH && format && !(flags & SM_WALK_PROBE))
        again = rv_rewalk_find(hart, req, satp, flags);
    if (again && SM_LIKELY(rv_rewalk_answers(again, req->gva, out)))
        return true;
    return fill_by_walk(hart, req, format, flags, again, out, fault);
}

static void regime_bus_error(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                             sm_gpa gpa, enum sm_tx tx, struct sm_fault *fault)
{
    describe(req, false, fault);
}

static void regime_flushed(struct sm_vcpu *vcpu, const struct sm_tlb_scope *scope)
{
    struct rv_hart *hart = sm_vcpu_guest(vcpu);

    /* Our own flushes change what addresses mean and never what memory holds, and
     * come from the middle of a block; blocks know no guest address.  Another's -
     * the only one is a new view's, at a safe point - may have taken away the memory
     * that blocks were decoded from.  Units' ways out ask the fetch TLB, all but
     * returns. */
    if (!hart->own_flush) {
        rv_blocks_flush(hart);
        rv_units_flush(hart);
        rv_rewalk_forget(hart);
    }
    rv_units_moved(hart);
}

static const char *regime_mode_name(uint8_t mode)
{
    return mode < RV_N_MODES ? modes[mode].name : "?";
}

const struct sm_guest_mmu_ops rv_guest_mmu_ops = {
    .struct_size = sizeof(rv_guest_mmu_ops),
    .n_modes = RV_N_MODES,
    .tlb_fill = regime_tlb_fill,
    .flushed = regime_flushed,
    .bus_error = regime_bus_error,
    .mode_name = regime_mode_name,
};
