/* SPDX-License-Identifier: MIT */
/* softtlb.c - answers a miss: asks the guest, finds the section, fills entries. */
#include "memory/memory_impl.h" /* sm_thread */
#include "memory/resolve.h"
#include "tlb/tlb_code.h"
#include "tlb/tlb_impl.h"

void sm_tlb_note_large(struct sm_tlb_context *context, sm_gva page, unsigned leaf_bits)
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

/** What else is to bring the accesses of an entry to the slow path. */
static SM_NOINLINE uint64_t tags_of(const struct sm_vcpu *vcpu,
                                    const struct sm_tlb_context *context,
                                    enum sm_access access, sm_gva page,
                                    const struct sm_tlb_cold *cold)
{
    const uint64_t exact = access == SM_WRITE ? vcpu->tags & SM_TLB_EXACT : 0;

    return sm_watch_meets_page(vcpu, context, access, page, cold) ? exact | SM_TLB_WATCH
                                                                  : exact;
}

/** Fill the slot of @page for @access; @host is that of the page, NULL: by the bus.
 *  @clean  the dirty logs are to be told of the first store */
static void fill_slot(const struct sm_vcpu *vcpu, struct sm_tlb_context *context,
                      enum sm_access access, sm_gva page, const uint8_t *host, bool clean,
                      const struct sm_xlate *xlate)
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
        sm_tlb_note_large(context, page, xlate->leaf_bits[0]);
    entry->host_bias = host ? (uint64_t)(uintptr_t)host - page : 0;
    entry->tag = !host ? page | SM_TLB_MMIO : clean ? page | SM_TLB_CLEAN : page;
    if (SM_UNLIKELY(vcpu->tags))
        entry->tag |= tags_of(vcpu, context, access, page, cold);
}

/** Host address of the page of @gpa, if all of it may be read there: whole, and aligned
 *  so that what is atomic for the guest is so for the host.  A ROM device's, while its
 *  reads are of its memory: who changes that changes the view. */
static uint8_t *page_host(const struct sm_flat_section *section, sm_gpa gpa)
{
    const sm_gpa first = gpa & SM_PAGE_MASK, last = gpa | ~SM_PAGE_MASK;
    uint8_t *host;

    if (!section || first < section->range.first || last > section->range.last)
        return NULL;
    host = (uint8_t *)(uintptr_t)sm_flat_section_readable(section, first);
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
    if (vcpu->only && !(vcpu->only->tag & SM_TLB_ABSENT)) {
        vcpu->only->tag = SM_TLB_ABSENT;
        vcpu->only_of->n_dropped++;
        sm_tlb_forget_near(vcpu->only_of);
    }
    vcpu->only = NULL;
    if (!(xlate->perms & (1u << req->access)))
        return;
    fill_slot(vcpu, context, (enum sm_access)req->access, req->gva & SM_PAGE_MASK, host, false,
              xlate);
    vcpu->only_of = context;
    vcpu->only = &context->store->table.slot[req->access][sm_tlb_slot(req->gva)];
}

/** Install the answer for its access, and for the other of read and write where that
 *  costs no walk: a page that is written is read as well.  An answer for a write comes
 *  after its page was marked; one for a read leaves the marks alone. */
static void install(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                    const struct sm_xlate *xlate, const struct sm_flat_section *section)
{
    struct sm_tlb_context *const context = sm_tlb_context_make(vcpu, req->mode);
    const enum sm_access access = (enum sm_access)req->access;
    const sm_gva page = req->gva & SM_PAGE_MASK;
    uint8_t *const host = page_host(section, xlate->gpa);
    /* What is written but not read is kept off the direct path, so that a direct
     * entry for writes allows a read-modify-write without a second look. */
    uint8_t *const writable = host && section->host && !section->readonly &&
                              (xlate->perms & SM_PERM_R) ? host : NULL;

    if (SM_UNLIKELY(!context))
        return;
    context->stats.fills[access]++;
    context->stats.depth[depth_of(xlate)]++;
    if (SM_UNLIKELY(vcpu->flags & SM_VCPU_ONE_ENTRY)) {
        install_only(vcpu, context, req, xlate, access == SM_WRITE ? writable : host);
        return;
    }
    if (xlate->perms & (1u << access))
        fill_slot(vcpu, context, access, page, access == SM_WRITE ? writable : host, false,
                  xlate);
    if (access == SM_WRITE && (xlate->perms & SM_PERM_R)) {
        fill_slot(vcpu, context, SM_READ, page, host, false, xlate);
    } else if (access == SM_READ && (xlate->perms & SM_PERM_W) && writable &&
               (context->store->table.slot[SM_WRITE][sm_tlb_slot(page)].tag &
                SM_TLB_ABSENT)) {
        fill_slot(vcpu, context, SM_WRITE, page, writable,
                  !sm_section_is_marked(section, xlate->gpa & SM_PAGE_MASK, SM_PAGE_SIZE),
                  xlate);
    }
    sm_tlb_refill_aim(context, xlate->space, section);
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

/** Install an answer whose way leads through translating regions to @end: for its
 *  access only, as another kind would have to be asked for, and may be refused. */
static void install_beyond(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                           const struct sm_xlate *xlate, const struct sm_resolved *end)
{
    struct sm_tlb_context *const context = sm_tlb_context_make(vcpu, req->mode);
    const enum sm_access access = (enum sm_access)req->access;
    const uint64_t skip = xlate->gpa & ~SM_PAGE_MASK;
    uint8_t *host = NULL;

    if (SM_UNLIKELY(!context))
        return;
    if (end->before >= skip && end->after >= ~SM_PAGE_MASK - skip)
        host = sm_flat_section_host(end->section, end->gpa);
    if (host && (uintptr_t)(host - skip) % 64 != 0)
        host = NULL;
    if (access == SM_WRITE &&
        (end->section->readonly || !(xlate->perms & end->perms & SM_PERM_R)))
        host = NULL; /* as in install() */
    if (host && access == SM_WRITE)
        sm_section_mark(end->section, end->gpa - skip, SM_PAGE_SIZE); /* D1 */
    if (host) {
        host -= skip;
        vcpu->translated = true;
    }
    context->stats.fills[access]++;
    context->stats.depth[depth_of(xlate)]++;
    if (SM_UNLIKELY(vcpu->flags & SM_VCPU_ONE_ENTRY))
        install_only(vcpu, context, req, xlate, host);
    else
        fill_slot(vcpu, context, access, req->gva & SM_PAGE_MASK, host, false, xlate);
}

/** Follow @req, which tlb_fill has allowed, through the translating region at out->gpa.
 *
 *  A direct entry keeps what the models said.  Whoever changes that - an invalidation, a
 *  commit on the way - first lets the new be seen, then posts .flush_translated, then
 *  raises the request.  This vCPU asks and installs between two safe points: so if what
 *  it was told is old, the request is there at the next one, and is served after the
 *  entry was installed (R5, I5).  An entry by the bus keeps nothing of theirs: each
 *  access asks again.  A refusal is kept in out->tx, for the slow path to fail in the
 *  order of addresses; a model has reported it, and reports it once (I2). */
static SM_NOINLINE void cross(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                              const struct sm_xlate *xlate, struct sm_tlb_target *out)
{
    const enum sm_access access = (enum sm_access)req->access;
    struct sm_resolved end;

    out->host = NULL;
    if ((req->flags & SM_REQ_PROBE) || !(xlate->perms & (1u << access)))
        return;
    out->tx = req->flags & SM_REQ_ATOMIC
        ? sm_resolve_atomic(NULL, out->space, out->gpa, &out->attrs, &end)
        : sm_resolve(NULL, out->space, out->gpa, &out->attrs, access, &end);
    if (out->tx != SM_TX_OK)
        return;
    if (end.after >= req->size - 1u && !(access == SM_WRITE && end.section->readonly))
        out->host = sm_flat_section_host(end.section, end.gpa);
    if (out->host && access == SM_WRITE)
        sm_section_mark(end.section, end.gpa, req->size);
    if (xlate->span_bits >= SM_PAGE_BITS && !(vcpu->flags & SM_VCPU_WALK_ALWAYS))
        install_beyond(vcpu, req, xlate, &end);
}

SM_NOINLINE bool sm_tlb_fill(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                             struct sm_tlb_target *out, struct sm_fault *fault)
{
    const struct sm_flat_section *section;
    struct sm_xlate xlate = {.gpa = 0};

    sm_assert_hot(vcpu->online); /* V5 */
    vcpu->stats.fills[req->access]++;
    const bool translated = (vcpu->check && sm_tlb_check_kept(vcpu, req, &xlate)) ||
                            vcpu->ops->tlb_fill(vcpu, req, &xlate, fault);
    if (SM_UNLIKELY(sm_thread.walked_beyond)) {
        /* Its tables lie beyond a translating region: what they say, and what the walk
         * remembers of them, goes with what a model says. */
        sm_thread.walked_beyond = false;
        vcpu->translated = true;
    }
    if (!translated)
        return false;
    check_answer(vcpu, req, &xlate);
    vcpu->stats.depth[depth_of(&xlate)]++;

    out->gpa = xlate.gpa;
    out->space = vcpu->spaces[xlate.space];
    out->attrs = xlate.attrs;
    out->attrs.requester = vcpu->requester;
    section = find_section(vcpu, xlate.space, xlate.gpa);
    out->tx = SM_TX_OK;
    if (SM_UNLIKELY(section && section->translating)) {
        cross(vcpu, req, &xlate, out);
        if (SM_UNLIKELY(vcpu->check != NULL) && out->tx == SM_TX_OK)
            sm_tlb_check_filled(vcpu, req, &xlate, out);
        return true;
    }
    /* A fragment of a page is direct for this access, but not remembered as such. */
    out->host = section && section->range.last - xlate.gpa >= req->size - 1u &&
                        !(req->access == SM_WRITE && section->readonly) &&
                        (xlate.perms & (1u << req->access))
        ? (req->access == SM_WRITE
               ? sm_flat_section_host(section, xlate.gpa)
               : (uint8_t *)(uintptr_t)sm_flat_section_readable(section, xlate.gpa))
        : NULL;
    if (req->access == SM_WRITE && out->host && !(req->flags & SM_REQ_PROBE))
        sm_section_mark(section, xlate.gpa & SM_PAGE_MASK, SM_PAGE_SIZE);
    if (xlate.span_bits >= SM_PAGE_BITS && !(req->flags & SM_REQ_PROBE) &&
        SM_LIKELY(!(vcpu->flags & SM_VCPU_WALK_ALWAYS)))
        install(vcpu, req, &xlate, section);
    if (SM_UNLIKELY(vcpu->check != NULL))
        sm_tlb_check_filled(vcpu, req, &xlate, out);
    return true;
}

bool sm_tlb_is_marked(struct sm_vcpu *vcpu, const struct sm_tlb_cold *cold, uint64_t host)
{
    const struct sm_flat_section *const section =
        find_section(vcpu, cold->space, cold->gpa);

    return section && section->host && (uintptr_t)page_host(section, cold->gpa) == host &&
           sm_section_is_marked(section, cold->gpa, SM_PAGE_SIZE);
}

bool sm_tlb_code_page(struct sm_vcpu *vcpu, unsigned mode, sm_gva gva,
                      struct sm_code_page *out)
{
    const struct sm_tlb_context *const context = sm_tlb_context(vcpu, mode);
    const unsigned slot = sm_tlb_slot(gva);
    const struct sm_flat_section *section;
    const struct sm_tlb_cold *cold;
    uint64_t host;

    sm_assert_hot(vcpu->online && context);
    cold = &context->store->cold[SM_FETCH][slot];
    host = (gva & SM_PAGE_MASK) + context->store->table.slot[SM_FETCH][slot].host_bias;
    section = find_section(vcpu, cold->space, cold->gpa);
    return section && sm_code_page_of(section, cold->gpa, out) &&
           (uintptr_t)out->host == host;
}

static SM_NOINLINE void count_hit(struct sm_vcpu *vcpu, struct sm_tlb_context *context,
                                  unsigned access)
{
    vcpu->stats.hits[access]++;
    context->stats.hits[access]++;
}

/** Tell the logs of the store that is about to be made through a clean entry of
 *  @context, which says so no more, and go on.  Where the view shows other memory by now
 *  the entry goes, and a new one is asked for. */
static SM_NOINLINE bool find_clean(struct sm_vcpu *vcpu, struct sm_tlb_context *context,
                                   const struct sm_xlate_req *req,
                                   struct sm_tlb_target *out, struct sm_fault *fault)
{
    const unsigned slot = sm_tlb_slot(req->gva);
    struct sm_tlb_entry *const entry = &context->store->table.slot[SM_WRITE][slot];
    const struct sm_tlb_cold *const cold = &context->store->cold[SM_WRITE][slot];
    const struct sm_flat_section *section;
    const uint64_t host = (entry->tag & SM_PAGE_MASK) + entry->host_bias;

    if ((entry->tag & SM_PAGE_MASK) != (req->gva & SM_PAGE_MASK) ||
        (req->flags & SM_REQ_PROBE))
        return sm_tlb_fill(vcpu, req, out, fault);
    section = find_section(vcpu, cold->space, cold->gpa);
    if (!section || !section->host || section->readonly ||
        (uintptr_t)page_host(section, cold->gpa) != host) {
        entry->tag = SM_TLB_ABSENT;
        context->n_dropped++;
        sm_tlb_forget_near(context);
        return sm_tlb_fill(vcpu, req, out, fault);
    }
    sm_section_mark(section, cold->gpa, SM_PAGE_SIZE);
    entry->tag &= ~(uint64_t)SM_TLB_CLEAN;
    return sm_tlb_find(vcpu, req, out, fault);
}

bool sm_tlb_find(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                 struct sm_tlb_target *out, struct sm_fault *fault)
{
    struct sm_tlb_context *const context = sm_tlb_context(vcpu, req->mode);

    sm_assert_hot(req->mode < vcpu->ops->n_modes);
    sm_assert_hot(req->size >= 1 &&
                  (req->gva & ~SM_PAGE_MASK) + req->size <= SM_PAGE_SIZE);
    if (SM_UNLIKELY(!context))
        return sm_tlb_fill(vcpu, req, out, fault);

    const unsigned slot = sm_tlb_slot(req->gva);
    const struct sm_tlb_entry *entry = &context->store->table.slot[req->access][slot];
    const uint64_t flags = entry->tag ^ (req->gva & SM_PAGE_MASK); /* or another page */

    if (flags & ~(uint64_t)(SM_TLB_MMIO | SM_TLB_BESIDE))
        return SM_UNLIKELY(entry->tag & SM_TLB_CLEAN)
            ? find_clean(vcpu, context, req, out, fault)
            : sm_tlb_refill(vcpu, context, req, out, fault);
    /* An entry by the bus need not allow the read that an atomic makes, too. */
    if (SM_UNLIKELY((flags & SM_TLB_MMIO) && (req->flags & SM_REQ_ATOMIC)))
        return sm_tlb_fill(vcpu, req, out, fault);
    const struct sm_tlb_cold *cold = &context->store->cold[req->access][slot];
    out->host = flags & SM_TLB_MMIO
        ? NULL : (uint8_t *)(uintptr_t)(req->gva + entry->host_bias);
    out->gpa = cold->gpa | (req->gva & ~SM_PAGE_MASK);
    out->space = vcpu->spaces[cold->space];
    out->tx = SM_TX_OK;
    out->attrs = (struct sm_attrs){
        .requester = vcpu->requester, .process = cold->process,
        .flags = cold->flags, .space = cold->attrs_space};
    if (SM_UNLIKELY(vcpu->flags & SM_VCPU_COUNT_HITS))
        count_hit(vcpu, context, req->access);
    if (SM_UNLIKELY(vcpu->check != NULL))
        sm_tlb_check_hit(vcpu, context, req, out);
    return true;
}
