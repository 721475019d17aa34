/* SPDX-License-Identifier: MIT */
/* refill.c - answers misses of which all is known but the leaf.
 *
 * Most misses are of a page whose neighbours were walked to before: where its table
 * lies is remembered (walk_cache.h), what a leaf with such bits grants was judged
 * before, and the RAM that it leads to is that of the miss before.  What is left is one
 * load, three compares and an entry to fill.  Everything else is tlb_fill's: whatever is
 * not found here, is to be marked, or refused.
 */
#include "memory/memory_impl.h"
#include "softmmu/ptwalk.h"
#include "tlb/tlb_impl.h"

void sm_vcpu_set_refill(struct sm_vcpu *vcpu, uint8_t mode, const struct sm_refill *how)
{
    struct sm_tlb_context *const context = sm_tlb_context(vcpu, mode);
    const struct sm_pt_format *const format = how->format;
    const struct sm_range *const allowed = &how->allowed;
    const sm_gpa first = sm_align_up(allowed->first, SM_PAGE_SIZE);
    struct sm_walk_cache *cache;

    sm_assert(mode < vcpu->ops->n_modes && how->space < vcpu->n_spaces);
    if (!context || how->struct_size < sizeof(*how) || vcpu->tags)
        return;
    cache = sm_vcpu_walk_cache(vcpu, mode);
    if (!cache || cache->stage[0].format != format || cache->stage[1].format ||
        !cache->of[0].shift || (format->flags & SM_PT_ENTRY32) ||
        format->address_shift < 0 || first < allowed->first || allowed->last < first ||
        allowed->last - first < SM_PAGE_SIZE - 1) {
        context->refill.tables = NULL;
        return;
    }
    context->refill = (struct sm_tlb_refill){
        .tables = &cache->of[0],
        .address_mask = format->address_mask,
        .first = UINT64_MAX, /* until it is aimed: no page                     */
        .space = vcpu->spaces[how->space],
        .allowed = {first, allowed->last},
        .attrs = how->attrs,
        .flags = how->flags,
        .address_shift = (uint8_t)format->address_shift,
        .perms = how->perms,
        .space_number = how->space,
    };
    context->refill.attrs.requester = vcpu->requester;
}

void sm_tlb_refill_aim(struct sm_tlb_context *context, unsigned space,
                       const struct sm_flat_section *section)
{
    struct sm_tlb_refill *const by = &context->refill;
    struct sm_range pages;

    if (SM_UNLIKELY(space != by->space_number))
        return; /* what the guest answered otherwise is not what it offered */
    by->first = UINT64_MAX;
    by->n = 0;
    if (!section || !section->host || section->readonly)
        return;
    pages.first = sm_align_up(SM_MAX(by->allowed.first, section->range.first),
                              SM_PAGE_SIZE);
    pages.last = SM_MIN(by->allowed.last, section->range.last);
    if (pages.first < section->range.first || pages.first > pages.last ||
        pages.last - pages.first < SM_PAGE_SIZE - 1)
        return;
    by->host_bias = (uint64_t)(uintptr_t)section->host - section->range.first;
    by->ram_bias = section->offset - section->range.first;
    /* What is atomic for the guest is to be so for the host; and its pages pages of RAM. */
    if (((by->host_bias + pages.first) & 63) ||
        ((by->ram_bias + pages.first) & ~SM_PAGE_MASK))
        return;
    by->ram = section->region->ram;
    by->quiet = sm_ram_quiet_map(by->ram);
    by->first = pages.first;
    by->n = (pages.last - pages.first) - (SM_PAGE_SIZE - 1);
}

void sm_tlb_refill_count(const struct sm_tlb_context *context, uint64_t *fills,
                         uint64_t *depth)
{
    for (unsigned access = 0; access < SM_N_ACCESS; access++) {
        fills[access] += context->refills[access];
        depth[1] += context->refills[access];
    }
}

/** What the leaf of an address was found to be. */
struct found {
    sm_gpa gpa; /* of the page                                                 */
    uint8_t leaf_bits, perms;
    bool global;
};

SM_ALWAYS_INLINE void put(struct sm_tlb_context *context, unsigned number, sm_gva page,
                          const struct found *found)
{
    const struct sm_tlb_refill *const by = &context->refill;
    struct sm_tlb_entry *const entry = &context->store->table.slot[0][0] + number;
    struct sm_tlb_cold *const cold = &context->store->cold[0][0] + number;

    if (entry->tag & SM_TLB_ABSENT)
        sm_tlb_log(context, number);
    *cold = (struct sm_tlb_cold){
        .gpa = found->gpa, .ipa = found->gpa,
        .process = by->attrs.process, .flags = by->attrs.flags,
        .attrs_space = by->attrs.space, .space = by->space_number,
        .leaf_bits = {found->leaf_bits, SM_PAGE_BITS}, .global = found->global};
    entry->host_bias = found->gpa + by->host_bias - page;
    entry->tag = page;
}

/** Find the leaf of @gva, if it is one that was judged before, @access may pass, and it
 *  leads to where .refill is aimed. */
static inline bool find_leaf(const struct sm_tlb_refill *by, sm_gva gva,
                             enum sm_access access, struct found *found)
{
    const struct sm_walk_table *const table = sm_walk_cache_find(by->tables, gva);
    const struct sm_walk_verdict *verdict;
    uint64_t entry, bits;

    if (SM_UNLIKELY(!table))
        return false;
    entry = sm_host_load(sm_walk_table_entry(table, gva, 3), 3);
    bits = entry & ~by->address_mask;
    verdict = sm_walk_verdict(by->tables, bits, by->flags);
    if (SM_UNLIKELY(verdict->bits != bits || verdict->flags != by->flags))
        return false;
    found->gpa = (entry & by->address_mask) << by->address_shift;
    found->perms = verdict->perms[access] & by->perms;
    if (SM_UNLIKELY((found->gpa & table->inside) ||
                    !((verdict->accesses & found->perms) >> access & 1)))
        return false;
    found->gpa |= gva & table->inside & SM_PAGE_MASK;
    found->leaf_bits = table->index_shift;
    found->global = verdict->global;
    return SM_LIKELY(found->gpa - by->first <= by->n);
}

/** Whether the page at @gpa is not to be written unseen (K2). */
static inline bool is_quiet(const struct sm_tlb_refill *by, sm_gpa gpa)
{
    const uint64_t number = (gpa + by->ram_bias) >> SM_PAGE_BITS;

    /* As in sm_ram_is_quiet().  Where there is no map yet, the request that comes with
     * the first bit ends .refill. */
    return by->quiet && (sm_load_acquire(&by->quiet[number / 64]) >> number % 64 & 1);
}

/** Fill for @access to @gva, of which no entry is remembered.
 *  Returns  false, with nothing done, where that takes tlb_fill */
SM_ALWAYS_INLINE bool refill(struct sm_vcpu *vcpu, struct sm_tlb_context *context,
                             sm_gva gva, enum sm_access access, struct found *found)
{
    const struct sm_tlb_refill *const by = &context->refill;
    const sm_gva page = gva & SM_PAGE_MASK;
    const unsigned slot = sm_tlb_slot(page);
    bool watched;

    if (SM_UNLIKELY(!by->tables || !find_leaf(by, gva, access, found) ||
                    /* What is not read is written by the bus. */
                    !(found->perms & SM_PERM_R)))
        return false;
    /* A log that begins after this look has all pages set (D1). */
    watched = sm_load_relaxed(&by->ram->logs) != NULL || is_quiet(by, found->gpa);
    if (SM_UNLIKELY(watched && access == SM_WRITE))
        return false;

    sm_assert_hot(vcpu->online); /* V5 */
    context->refills[access]++;
    context->any_global |= found->global;
    if (SM_UNLIKELY(found->leaf_bits > SM_PAGE_BITS))
        sm_tlb_note_large(context, page, found->leaf_bits);
    put(context, access * SM_TLB_SLOTS + slot, page, found);
    /* As after a walk: the other of read and write, where that costs none. */
    if (access == SM_WRITE)
        put(context, SM_READ * SM_TLB_SLOTS + slot, page, found);
    else if (access == SM_READ && (found->perms & SM_PERM_W) && !watched &&
             (context->store->table.slot[SM_WRITE][slot].tag & SM_TLB_ABSENT))
        put(context, SM_WRITE * SM_TLB_SLOTS + slot, page, found);
    return true;
}

bool sm_tlb_refill(struct sm_vcpu *vcpu, struct sm_tlb_context *context,
                   const struct sm_xlate_req *req, struct sm_tlb_target *out,
                   struct sm_fault *fault)
{
    const struct sm_tlb_refill *const by = &context->refill;
    struct found found;

    if (SM_UNLIKELY((req->flags & ~(uint32_t)SM_REQ_ATOMIC) ||
                    !refill(vcpu, context, req->gva, (enum sm_access)req->access,
                            &found)))
        return sm_tlb_fill(vcpu, req, out, fault);
    out->gpa = found.gpa | (req->gva & ~SM_PAGE_MASK);
    out->host = (uint8_t *)(uintptr_t)(out->gpa + by->host_bias);
    out->space = by->space;
    out->tx = SM_TX_OK;
    out->attrs = by->attrs;
    return true;
}

void *sm_tlb_try(struct sm_vcpu *vcpu, sm_gva gva, uint8_t mode, enum sm_access access)
{
    struct sm_tlb_context *const context = sm_tlb_context(vcpu, mode);
    const uint64_t special = SM_TLB_MMIO | SM_TLB_CLEAN | SM_TLB_BESIDE;
    struct found found;
    uint64_t tag;

    /* Whoever is not told what was filled would look again, and count a hit. */
    if (SM_UNLIKELY(!context || (vcpu->flags & SM_VCPU_COUNT_HITS)))
        return NULL;
    tag = context->store->table.slot[access][sm_tlb_slot(gva)].tag;
    if (SM_UNLIKELY(!((tag ^ gva) & SM_PAGE_MASK) && (tag & special)))
        return NULL; /* why it is not plain is remembered */
    if (SM_UNLIKELY(!refill(vcpu, context, gva, access, &found)))
        return NULL;
    return (void *)(uintptr_t)((found.gpa | (gva & ~SM_PAGE_MASK)) +
                               context->refill.host_bias);
}
