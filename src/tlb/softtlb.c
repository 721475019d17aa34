/* SPDX-License-Identifier: MIT */
/* softtlb.c - answers a miss: asks the guest, finds the section, fills entries. */
#include "tlb/tlb_impl.h"

/** Remember a leaf larger than a page, so that a fence on one page knows cheaply
 *  whether it means more than that page (T5). */
static void note_large(struct sm_tlb_context *context, sm_gva page, unsigned leaf_bits)
{
    const uint64_t inside = sm_mask(leaf_bits);
    const struct sm_range leaf = {page & ~inside, page | inside};
    struct sm_range *const last = &context->large[SM_N_LARGE - 1];

    for (unsigned i = 0; i < context->n_large; i++) {
        if (leaf.first >= context->large[i].first && leaf.last <= context->large[i].last)
            return;
    }
    if (context->n_large < SM_N_LARGE) {
        context->large[context->n_large++] = leaf;
        return;
    }
    last->first = SM_MIN(last->first, leaf.first); /* covers what lies between, too */
    last->last = SM_MAX(last->last, leaf.last);
}

/** Fill the slot of @page for @access; @host is that of the page, NULL: by the bus. */
static void fill_slot(struct sm_tlb_context *context, enum sm_access access, sm_gva page,
                      const uint8_t *host, const struct sm_xlate *xlate)
{
    const unsigned slot = sm_tlb_slot(page);
    struct sm_tlb_entry *const entry = &context->store->table.slot[access][slot];
    struct sm_tlb_cold *const cold = &context->store->cold[access][slot];

    if (entry->tag & SM_TLB_ABSENT)
        sm_tlb_log(context, access * SM_TLB_SLOTS + slot);
    cold->gpa = xlate->gpa & SM_PAGE_MASK;
    cold->ipa = xlate->ipa & SM_PAGE_MASK;
    cold->process = xlate->attrs.process;
    cold->flags = xlate->attrs.flags;
    cold->attrs_space = xlate->attrs.space;
    cold->space = xlate->space;
    cold->leaf_bits[0] = SM_MAX(xlate->leaf_bits[0], (uint8_t)SM_PAGE_BITS);
    cold->leaf_bits[1] = SM_MAX(xlate->leaf_bits[1], (uint8_t)SM_PAGE_BITS);
    cold->global = xlate->global;
    context->any_global |= xlate->global;
    if (xlate->leaf_bits[0] > SM_PAGE_BITS)
        note_large(context, page, xlate->leaf_bits[0]);
    entry->host_bias = host ? (uint64_t)(uintptr_t)host - page : 0;
    entry->tag = host ? page : page | SM_TLB_MMIO;
}

/** Host address of the page of @gpa, if all of it may be accessed there: whole, and
 *  aligned so that what is atomic for the guest is so for the host. */
static uint8_t *page_host(const struct sm_flat_section *section, sm_gpa gpa)
{
    const sm_gpa first = gpa & SM_PAGE_MASK, last = gpa | ~SM_PAGE_MASK;
    uint8_t *host;

    if (!section || !section->host || first < section->range.first ||
        last > section->range.last)
        return NULL;
    host = sm_flat_section_host(section, first);
    return (uintptr_t)host % 64 == 0 ? host : NULL;
}

/** Which of sm_tlb_stats.depth counts @xlate. */
static unsigned depth_of(const struct sm_xlate *xlate)
{
    return SM_MIN(xlate->n_read, SM_TLB_DEPTHS - 1u);
}

/** Install the answer for its access in place of the last one. */
static void install_only(struct sm_vcpu *vcpu, struct sm_tlb_context *context,
                         const struct sm_xlate_req *req, const struct sm_xlate *xlate,
                         const uint8_t *host)
{
    if (vcpu->only)
        vcpu->only->tag = SM_TLB_ABSENT; /* also where it has left its context */
    vcpu->only = NULL;
    if (!(xlate->perms & (1u << req->access)))
        return;
    fill_slot(context, (enum sm_access)req->access, req->gva & SM_PAGE_MASK, host, xlate);
    vcpu->only = &context->store->table.slot[req->access][sm_tlb_slot(req->gva)];
}

/** Install the answer for its access, and for the other of read and write where that
 *  costs no walk: a page that is written is read as well. */
static void install(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                    const struct sm_xlate *xlate, const struct sm_flat_section *section)
{
    struct sm_tlb_context *const context = sm_tlb_context_make(vcpu, req->mode);
    const enum sm_access access = (enum sm_access)req->access;
    const sm_gva page = req->gva & SM_PAGE_MASK;
    uint8_t *const host = page_host(section, xlate->gpa);
    /* What is written but not read is kept off the direct path, so that a direct
     * entry for writes allows a read-modify-write without a second look. */
    uint8_t *const writable = host && !section->readonly && (xlate->perms & SM_PERM_R)
        ? host : NULL;

    if (SM_UNLIKELY(!context))
        return;
    context->stats.fills[access]++;
    context->stats.depth[depth_of(xlate)]++;
    if (SM_UNLIKELY(vcpu->flags & SM_VCPU_ONE_ENTRY)) {
        install_only(vcpu, context, req, xlate, access == SM_WRITE ? writable : host);
        return;
    }
    if (xlate->perms & (1u << access))
        fill_slot(context, access, page, access == SM_WRITE ? writable : host, xlate);
    if (access == SM_WRITE && (xlate->perms & SM_PERM_R)) {
        fill_slot(context, SM_READ, page, host, xlate);
    } else if (access == SM_READ && (xlate->perms & SM_PERM_W) && writable &&
               (context->store->table.slot[SM_WRITE][sm_tlb_slot(page)].tag &
                SM_TLB_ABSENT)) {
        fill_slot(context, SM_WRITE, page, writable, xlate);
    }
}

/** Panic where an answer breaks the contract in a way that harms the host; in debug
 *  builds also (G2). */
static void check_answer(const struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                         const struct sm_xlate *xlate)
{
    sm_assert(xlate->space < vcpu->n_spaces);
    sm_assert_hot(!((xlate->gpa ^ req->gva) & ~SM_PAGE_MASK));
    sm_assert_hot(!((xlate->ipa ^ req->gva) & ~SM_PAGE_MASK));
    sm_assert_hot(xlate->leaf_bits[0] <= 64 && xlate->leaf_bits[1] <= 64);
    sm_assert_hot(!xlate->leaf_bits[0] || xlate->span_bits <= xlate->leaf_bits[0]);
    sm_assert_hot(!xlate->leaf_bits[1] || xlate->span_bits <= xlate->leaf_bits[1]);
    sm_assert_hot((xlate->perms & (1u << req->access)) || (req->flags & SM_REQ_CACHE_OP));
}

/** The section that holds @gpa, or NULL.  Misses mostly find the RAM of the one before:
 *  it is remembered until a view changes (sm_tlb_serve_mail()). */
static const struct sm_flat_section *find_section(struct sm_vcpu *vcpu, unsigned space,
                                                  sm_gpa gpa)
{
    const struct sm_flat_section *section = vcpu->last_ram;

    if (SM_LIKELY(section && vcpu->last_ram_space == space &&
                  gpa - section->range.first <=
                      section->range.last - section->range.first))
        return section;
    section = sm_address_space_section(vcpu->spaces[space], gpa);
    if (section && section->host) {
        vcpu->last_ram = section;
        vcpu->last_ram_space = (uint8_t)space;
    }
    return section;
}

static bool fill(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                 struct sm_tlb_target *out, struct sm_fault *fault)
{
    const struct sm_flat_section *section;
    struct sm_xlate xlate = {.gpa = 0};

    sm_assert_hot(vcpu->online); /* V5 */
    vcpu->stats.fills[req->access]++;
    if (!(vcpu->check && sm_tlb_check_kept(vcpu, req, &xlate)) &&
        !vcpu->ops->tlb_fill(vcpu, req, &xlate, fault))
        return false;
    check_answer(vcpu, req, &xlate);
    vcpu->stats.depth[depth_of(&xlate)]++;

    out->gpa = xlate.gpa;
    out->space = vcpu->spaces[xlate.space];
    out->attrs = xlate.attrs;
    out->attrs.requester = vcpu->requester;
    section = find_section(vcpu, xlate.space, xlate.gpa);
    /* A fragment of a page is direct for this access, but not remembered as such. */
    out->host = section && section->range.last - xlate.gpa >= req->size - 1u &&
                        !(req->access == SM_WRITE && section->readonly) &&
                        (xlate.perms & (1u << req->access))
        ? sm_flat_section_host(section, xlate.gpa) : NULL;
    if (xlate.span_bits >= SM_PAGE_BITS && !(req->flags & SM_REQ_PROBE) &&
        SM_LIKELY(!(vcpu->flags & SM_VCPU_WALK_ALWAYS)))
        install(vcpu, req, &xlate, section);
    if (SM_UNLIKELY(vcpu->check != NULL))
        sm_tlb_check_filled(vcpu, req, &xlate, out);
    return true;
}

bool sm_tlb_find(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                 struct sm_tlb_target *out, struct sm_fault *fault)
{
    struct sm_tlb_context *const context = sm_tlb_context(vcpu, req->mode);
    const unsigned slot = sm_tlb_slot(req->gva);

    sm_assert_hot(req->mode < vcpu->ops->n_modes);
    sm_assert_hot(req->size >= 1 &&
                  (req->gva & ~SM_PAGE_MASK) + req->size <= SM_PAGE_SIZE);
    if (context) {
        const struct sm_tlb_entry *entry = &context->store->table.slot[req->access][slot];
        const struct sm_tlb_cold *cold = &context->store->cold[req->access][slot];
        /* An entry by the bus need not allow the read that an atomic makes, too. */
        const uint64_t other =
            SM_TLB_CHECK | (req->flags & SM_REQ_ATOMIC ? 0 : SM_TLB_MMIO);

        if ((entry->tag & ~other) == (req->gva & SM_PAGE_MASK)) {
            out->host = entry->tag & SM_TLB_MMIO
                ? NULL : (uint8_t *)(uintptr_t)(req->gva + entry->host_bias);
            out->gpa = cold->gpa | (req->gva & ~SM_PAGE_MASK);
            out->space = vcpu->spaces[cold->space];
            out->attrs = (struct sm_attrs){
                .requester = vcpu->requester, .process = cold->process,
                .flags = cold->flags, .space = cold->attrs_space};
            if (SM_UNLIKELY(vcpu->flags & SM_VCPU_COUNT_HITS)) {
                vcpu->stats.hits[req->access]++;
                context->stats.hits[req->access]++;
            }
            if (SM_UNLIKELY(vcpu->check != NULL))
                sm_tlb_check_hit(vcpu, context, req, out);
            return true;
        }
    }
    return fill(vcpu, req, out, fault);
}
