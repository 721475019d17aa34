/* SPDX-License-Identifier: MIT */
/* tlb_check.c - compares what hits rely on with the tables, and says who is to blame.
 *
 * A walk is a function of its root, of the entries that it reads, and of state whose
 * change drops all translations.  So an entry whose root and whose entries are as they
 * were still holds, and that is some loads; only where one differs is walked afresh.
 */
#include "base/alloc.h"
#include "tlb/tlb_check_impl.h"

#include <errno.h>
#include <string.h>

/* --- Life ------------------------------------------------------------------------- */

enum { FLAGS = SM_TLB_CHECK_HITS | SM_TLB_CHECK_SUSPECT | SM_TLB_KEEP_STALE };

int sm_tlb_check_new(const struct sm_tlb_check_options *options,
                     struct sm_tlb_check **out)
{
    const struct sm_tlb_check_ops *const ops = options->ops;
    struct sm_tlb_check *check;

    if (options->struct_size != sizeof *options || options->reserved ||
        (options->flags & ~(uint32_t)FLAGS) || !ops || ops->struct_size != sizeof *ops ||
        !ops->pc || !ops->report)
        return -EINVAL;
    check = sm_alloc(sizeof *check);
    if (!check)
        return -ENOMEM;
    check->options = *options;
    check->reports = sm_alloc(SM_CHECK_MAX_REPORTS * sizeof *check->reports);
    for (unsigned i = 0; i < 2; i++)
        check->notes[i].slot = sm_alloc((sizeof(struct sm_note) * 2) << SM_NOTES_BITS);
    pthread_mutex_init(&check->lock, NULL);
    if (!check->reports || !check->notes[0].slot || !check->notes[1].slot) {
        sm_tlb_check_free(check);
        return -ENOMEM;
    }
    *out = check;
    return 0;
}

void sm_tlb_check_free(struct sm_tlb_check *check)
{
    if (!check)
        return;
    for (unsigned i = 0; i < SM_N_CHUNKS; i++)
        sm_free(check->chunk[i].bits);
    sm_free(check->notes[0].slot);
    sm_free(check->notes[1].slot);
    sm_free(check->reports);
    sm_free(check->vcpus);
    pthread_mutex_destroy(&check->lock);
    sm_free(check);
}

static bool add_vcpu(struct sm_tlb_check *check, struct sm_tlb_checking *checking)
{
    struct sm_tlb_checking **vcpus;

    pthread_mutex_lock(&check->lock);
    vcpus = check->vcpus ? sm_realloc(check->vcpus, (check->n_vcpus + 1) * sizeof *vcpus)
                         : sm_alloc(sizeof *vcpus);
    if (vcpus) {
        check->vcpus = vcpus;
        checking->index = check->n_vcpus;
        vcpus[check->n_vcpus++] = checking;
    }
    pthread_mutex_unlock(&check->lock);
    return vcpus != NULL;
}

bool sm_tlb_checking_init(struct sm_vcpu *vcpu, struct sm_tlb_check *check)
{
    struct sm_tlb_checking *const checking = sm_alloc(sizeof *checking);

    if (!checking)
        return false;
    checking->shared = check;
    checking->vcpu = vcpu;
    checking->flags = check->options.flags;
    checking->sample = SM_MAX(check->options.sample, 1u);
    checking->countdown = checking->sample;
    if (checking->flags & SM_TLB_KEEP_STALE)
        checking->keep = sm_tlb_keep_new();
    if (((checking->flags & SM_TLB_KEEP_STALE) && !checking->keep) ||
        !add_vcpu(check, checking)) {
        sm_tlb_keep_free(checking->keep);
        sm_free(checking);
        return false;
    }
    vcpu->check = checking;
    return true;
}

void sm_tlb_checking_fini(struct sm_vcpu *vcpu)
{
    struct sm_tlb_checking *const checking = vcpu->check;

    if (!checking)
        return;
    for (unsigned i = 0; i < SM_N_CONTEXTS; i++)
        sm_free(vcpu->context[i].trails);
    pthread_mutex_lock(&checking->shared->lock);
    checking->shared->vcpus[checking->index] = NULL;
    checking->shared->stats.compared += checking->compared;
    checking->shared->stats.walked += checking->walked;
    checking->shared->stats.kept += checking->n_kept;
    pthread_mutex_unlock(&checking->shared->lock);
    sm_tlb_keep_free(checking->keep);
    sm_free(checking);
    vcpu->check = NULL;
}

void sm_tlb_check_get_stats(const struct sm_tlb_check *check,
                            struct sm_tlb_check_stats *out)
{
    const uint32_t size = SM_MIN(out->struct_size, (uint32_t)sizeof *out);
    struct sm_tlb_check_stats stats = check->stats;

    for (uint32_t i = 0; i < check->n_vcpus; i++) {
        const struct sm_tlb_checking *const checking = check->vcpus[i];
        if (!checking)
            continue;
        stats.compared += checking->compared;
        stats.walked += checking->walked;
        stats.kept += checking->n_kept;
    }
    stats.struct_size = size;
    memcpy(out, &stats, size);
}

/* --- What the guest tells ----------------------------------------------------------- */

struct sm_walk_trail *sm_vcpu_walk_trail(struct sm_vcpu *vcpu, unsigned size_bits,
                                         uint64_t ignored)
{
    struct sm_walk_trail *trail;

    if (SM_LIKELY(!vcpu->check))
        return NULL;
    trail = &vcpu->check->now;
    trail->size_bits = (uint8_t)size_bits;
    trail->ignored = ignored;
    trail->n = 0;
    trail->cut = false;
    return trail;
}

void sm_walk_trail_add(struct sm_walk_trail *trail, const struct sm_walk_step *step)
{
    struct sm_trail_step *const last = trail->n ? &trail->step[trail->n - 1u] : NULL;

    /* Steps of stage 2 on behalf of tables come before the table's own; and an entry
     * whose bits another set meanwhile is told again. */
    if (step->stage == 0 || step->implicit)
        return;
    if (last && last->where == step->where && last->stage == step->stage) {
        last->entry = step->entry;
        return;
    }
    if (trail->n == SM_TRAIL_STEPS) {
        trail->cut = true;
        return;
    }
    trail->step[trail->n++] = (struct sm_trail_step){
        .where = step->where, .entry = step->entry,
        .stage = step->stage, .level = step->level};
}

void sm_tlb_check_root(struct sm_vcpu *vcpu, uint8_t mode, uint64_t root)
{
    if (vcpu->check)
        vcpu->check->root[mode] = root;
}

uint64_t sm_tlb_check_order(struct sm_vcpu *vcpu)
{
    struct sm_tlb_checking *const checking = vcpu->check;

    if (!checking)
        return 0;
    sm_check_after_store(checking);
    return sm_load_acquire(&checking->shared->order);
}

void sm_tlb_check_returned(struct sm_vcpu *vcpu)
{
    if (SM_UNLIKELY(vcpu->check != NULL))
        sm_publish(&vcpu->check->returned, sm_tlb_check_order(vcpu));
}

void sm_tlb_check_interrupted(struct sm_vcpu *vcpu)
{
    struct sm_tlb_checking *const checking = vcpu->check;

    if (SM_UNLIKELY(checking != NULL))
        sm_publish(&checking->interrupted, sm_load_acquire(&checking->shared->order));
}

/* --- Trails ------------------------------------------------------------------------- */

/** What slot @number (access * SM_TLB_SLOTS + slot) of @context was made of, or NULL. */
static struct sm_walk_trail *trail_of(struct sm_tlb_context *context, unsigned number)
{
    if (SM_UNLIKELY(!context->trails))
        context->trails = sm_alloc(SM_N_ACCESS * SM_TLB_SLOTS * sizeof *context->trails);
    return context->trails ? &context->trails[number] : NULL;
}

/** Finish the trail of the walk just done: by @space, on behalf of @mode. */
static void finish_trail(struct sm_tlb_checking *checking, unsigned mode,
                         struct sm_address_space *space)
{
    struct sm_walk_trail *const trail = &checking->now;
    struct sm_note note;

    trail->root = checking->root[mode];
    trail->order = sm_load_acquire(&checking->shared->order);
    trail->made = 0;
    trail->reuse_noted = false;
    for (unsigned i = 0; i < trail->n; i++) {
        struct sm_trail_step *const step = &trail->step[i];
        const struct sm_flat_section *const section =
            sm_address_space_section(space, step->where);
        step->host = section && section->host && section->range.last - step->where >= 7
            ? sm_flat_section_host(section, step->where) : NULL;
        sm_check_watch(checking->shared, step->where);
    }
    if (!trail->n)
        return;
    pthread_mutex_lock(&checking->shared->lock);
    if (sm_check_note_get(checking->shared, trail->step[trail->n - 1].where & ~UINT64_C(7),
                          &note))
        trail->made = note.order;
    pthread_mutex_unlock(&checking->shared->lock);
}

/** Whether all that @trail read is there still. */
static bool is_unchanged(const struct sm_walk_trail *trail, uint64_t root)
{
    if (trail->root != root)
        return false;
    for (unsigned i = 0; i < trail->n; i++) {
        const struct sm_trail_step *const step = &trail->step[i];
        const uint64_t now = !step->host ? ~step->entry
            : trail->size_bits == 2 ? sm_host_load(step->host, 2)
                                    : sm_host_load(step->host, 3);
        if (SM_UNLIKELY((now ^ step->entry) & ~trail->ignored))
            return false;
    }
    return true;
}

/* --- Reports ------------------------------------------------------------------------ */

/** Whether this use is the first of its kind here, and is to be told. */
static bool is_news(struct sm_tlb_check *check, const struct sm_stale *stale)
{
    const struct sm_report_id id = {stale->pc, stale->where, stale->kind};
    bool news = check->n_reports < SM_CHECK_MAX_REPORTS;

    check->stats.uses[stale->kind]++;
    for (uint32_t i = 0; i < check->n_reports && news; i++) {
        news = check->reports[i].pc != id.pc || check->reports[i].where != id.where ||
               check->reports[i].kind != id.kind;
    }
    if (!SM_STALE_IS_CERTAIN(stale->kind) &&
        !(check->options.flags & SM_TLB_CHECK_SUSPECT))
        news = false;
    if (news) {
        check->reports[check->n_reports++] = id;
        check->stats.reports[stale->kind]++;
    }
    return news;
}

static struct sm_stale_writer writer_of(const struct sm_tlb_check *check,
                                        const struct sm_note *note)
{
    const struct sm_tlb_checking *const by = check->vcpus[note->vcpu];

    return (struct sm_stale_writer){.known = by != NULL, .vcpu = by ? by->vcpu : NULL,
                                    .pc = note->pc, .order = note->order};
}

/** Whether @checking may not know yet of the change that @writer made: that one has not
 *  come to an end, or this one was called. */
static bool is_window(const struct sm_tlb_checking *checking,
                      const struct sm_stale_writer *writer)
{
    return sm_load_acquire(&checking->interrupted) >= writer->order ||
           sm_load_acquire(&writer->vcpu->check->returned) < writer->order;
}

/** Whether the page that @stale names was mapped elsewhere since, and stored to. */
static bool is_reused(const struct sm_tlb_checking *checking, struct sm_stale *stale)
{
    const struct sm_tlb_check *const check = checking->shared;
    struct sm_note note;

    if (!sm_check_note_get(check, (stale->old_gpa & SM_PAGE_MASK) | 1, &note) ||
        note.order <= stale->writer.order || note.leaf == stale->where)
        return false;
    stale->reuser = writer_of(check, &note);
    stale->reused_gva = note.value;
    /* A page that others share may be mapped and written by them at any time, also while
     * the writer is on its way to fence: so it has to have come to an end, or to have
     * used the page itself. */
    return stale->reuser.known &&
           (stale->reuser.vcpu == stale->writer.vcpu ||
            sm_load_acquire(&stale->writer.vcpu->check->returned) >= stale->writer.order);
}

/** The first entry that @old read and that reads otherwise in @now; NULL: it was no
 *  entry.  Under another root those that both trees share can be told alike. */
static const struct sm_trail_step *changed(const struct sm_walk_trail *old,
                                           const struct sm_walk_trail *now)
{
    for (unsigned i = 0; i < old->n && i < now->n; i++) {
        if (old->step[i].where != now->step[i].where) {
            if (old->root == now->root)
                return NULL;
        } else if ((old->step[i].entry ^ now->step[i].entry) & ~old->ignored) {
            return &old->step[i];
        }
    }
    return NULL;
}

/** Decide what @stale, whose entry read @old and would read @now, is.  Returns false
 *  when it is neither certain nor suspect.  The lock is held. */
static bool classify(struct sm_tlb_checking *checking, struct sm_stale *stale,
                     const struct sm_walk_trail *old, const struct sm_walk_trail *now)
{
    struct sm_tlb_check *const check = checking->shared;
    const struct sm_trail_step *const step = changed(old, now);
    struct sm_note note;

    stale->old_root = old->root;
    stale->new_root = now->root;
    stale->n_levels = old->n;
    if (!step) {
        stale->kind = SM_STALE_ROOT;
        stale->where = old->step[0].where;
        return old->root != now->root;
    }
    stale->where = step->where;
    stale->old_entry = step->entry;
    stale->new_entry = now->step[step - old->step].entry;
    stale->level = step->level;
    stale->stage = step->stage;

    if (!sm_check_note_get(check, stale->where & ~UINT64_C(7), &note) ||
        note.order <= old->order)
        return false;
    if (((note.value >> 8 * (stale->where & 7)) ^ stale->new_entry) & ~old->ignored &
        sm_mask(8u << old->size_bits))
        return false; /* another, unseen, stored after that */
    stale->writer = writer_of(check, &note);
    if (!stale->writer.known)
        return false;
    if (stale->writer.vcpu == checking->vcpu) {
        stale->kind = SM_STALE_OWN;
        return true;
    }
    if (sm_load_acquire(&checking->interrupted) < stale->writer.order &&
        is_reused(checking, stale)) {
        stale->kind = SM_STALE_REUSED;
        return true;
    }
    stale->kind = SM_STALE_SUSPECT;
    return !is_window(checking, &stale->writer);
}

/** Tell of what @stale says, unless it is known or proves nothing. */
static void tell(struct sm_tlb_checking *checking, struct sm_stale *stale, bool proved)
{
    struct sm_tlb_check *const check = checking->shared;
    bool news = false;

    if (proved)
        news = is_news(check, stale);
    else
        check->stats.unproved++;
    pthread_mutex_unlock(&check->lock);
    if (news)
        check->options.ops->report(check->options.owner, stale);
}

/* --- Hits --------------------------------------------------------------------------- */

/** Walk afresh for @req, which an entry made of *@trail answered with @gpa. */
static SM_NOINLINE void compare(struct sm_tlb_checking *checking,
                                const struct sm_xlate_req *req, sm_gpa gpa,
                                struct sm_address_space *space,
                                struct sm_walk_trail *trail)
{
    struct sm_vcpu *const vcpu = checking->vcpu;
    struct sm_xlate_req probe = *req;
    struct sm_xlate fresh = {.gpa = 0};
    struct sm_fault fault;
    struct sm_stale stale = {.struct_size = sizeof stale};
    bool found;

    checking->walked++;
    sm_check_after_store(checking);
    probe.flags |= SM_REQ_PROBE | SM_REQ_ANY_AD;
    checking->now.n = 0;
    found = vcpu->ops->tlb_fill(vcpu, &probe, &fresh, &fault);
    finish_trail(checking, req->mode, space);
    stale.permitted = found && (fresh.perms >> req->access & 1);
    if (stale.permitted && fresh.gpa == gpa) {
        *trail = checking->now; /* it might have been filled just now (K1) */
        return;
    }
    stale.access = req->access;
    stale.mode = req->mode;
    stale.vcpu = vcpu;
    stale.gva = req->gva;
    stale.old_gpa = gpa;
    stale.new_gpa = fresh.gpa;
    stale.pc = checking->shared->options.ops->pc(vcpu);
    pthread_mutex_lock(&checking->shared->lock);
    tell(checking, &stale, classify(checking, &stale, trail, &checking->now));
}

/** Note, once per entry, that a translation made lately was stored through. */
static void note_reuse(struct sm_tlb_checking *checking, const struct sm_xlate_req *req,
                       sm_gpa gpa, struct sm_walk_trail *trail)
{
    struct sm_tlb_check *const check = checking->shared;
    const struct sm_note note = {.key = (gpa & SM_PAGE_MASK) | 1, .order = trail->made,
                                 .pc = check->options.ops->pc(checking->vcpu),
                                 .value = req->gva,
                                 .leaf = trail->step[trail->n - 1u].where,
                                 .vcpu = checking->index};
    struct sm_note before;

    trail->reuse_noted = true;
    pthread_mutex_lock(&check->lock);
    if (!sm_check_note_get(check, note.key, &before) || before.order < note.order)
        sm_check_note_put(check, &note);
    pthread_mutex_unlock(&check->lock);
}

static void check_use(struct sm_tlb_checking *checking, struct sm_tlb_context *context,
                      const struct sm_xlate_req *req, const struct sm_tlb_target *target)
{
    const unsigned number = req->access * (unsigned)SM_TLB_SLOTS + sm_tlb_slot(req->gva);
    struct sm_walk_trail *const trail = trail_of(context, number);

    if (!trail || !trail->n)
        return; /* bare: nothing can be stale */
    if (!--checking->countdown) {
        checking->countdown = checking->sample;
        checking->compared++;
        if (SM_UNLIKELY(!is_unchanged(trail, checking->root[req->mode])))
            compare(checking, req, target->gpa, target->space, trail);
    }
    if (req->access == SM_WRITE && trail->made && !trail->reuse_noted)
        note_reuse(checking, req, target->gpa, trail);
}

void sm_tlb_check_hit(struct sm_vcpu *vcpu, struct sm_tlb_context *context,
                      const struct sm_xlate_req *req, const struct sm_tlb_target *target)
{
    struct sm_tlb_checking *const checking = vcpu->check;

    if (!(checking->flags & SM_TLB_CHECK_HITS) || (req->flags & SM_REQ_PROBE))
        return;
    check_use(checking, context, req, target);
    if (req->access == SM_WRITE)
        sm_check_before_store(checking, req, target);
}

void sm_tlb_check_filled(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                         const struct sm_xlate *xlate,
                         const struct sm_tlb_target *target)
{
    struct sm_tlb_checking *const checking = vcpu->check;
    struct sm_tlb_context *const context = sm_tlb_context(vcpu, req->mode);
    const sm_gva page = req->gva & SM_PAGE_MASK;
    const bool kept = checking->kept;

    checking->kept = false;
    if (req->flags & SM_REQ_PROBE)
        return;
    if (!kept)
        finish_trail(checking, req->mode, target->space);
    if (!kept && checking->keep && xlate->span_bits >= SM_PAGE_BITS)
        sm_tlb_keep_put(checking->keep, &vcpu->selected[req->mode]->key, req, xlate,
                        &checking->now);
    if (!(checking->flags & SM_TLB_CHECK_HITS))
        return;
    for (unsigned access = 0; access < SM_N_ACCESS && context; access++) {
        const unsigned number = access * (unsigned)SM_TLB_SLOTS + sm_tlb_slot(page);
        uint64_t *const tag = &(&context->store->table.slot[0][0] + number)->tag;
        struct sm_walk_trail *trail;

        if ((*tag & ~(uint64_t)(SM_TLB_MMIO | SM_TLB_CLEAN | SM_TLB_BESIDE)) != page)
            continue; /* another's, or filled before */
        *tag |= SM_TLB_CHECK;
        trail = trail_of(context, number);
        if (trail)
            *trail = checking->now;
        if (trail && access == req->access && (kept || access == SM_WRITE))
            check_use(checking, context, req, target);
    }
    if (req->access == SM_WRITE)
        sm_check_before_store(checking, req, target);
}

void sm_tlb_check_flushed(struct sm_vcpu *vcpu, const struct sm_tlb_scope *scope)
{
    if (vcpu->check->keep)
        sm_tlb_keep_flush(vcpu->check->keep, scope);
}

bool sm_tlb_check_kept(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                       struct sm_xlate *xlate)
{
    struct sm_tlb_checking *const checking = vcpu->check;

    if (!checking->keep || (req->flags & SM_REQ_PROBE))
        return false;
    checking->kept = sm_tlb_keep_get(checking->keep, &vcpu->selected[req->mode]->key, req,
                                     xlate, &checking->now);
    checking->n_kept += checking->kept;
    return checking->kept;
}

void sm_tlb_check_stored(struct sm_vcpu *vcpu)
{
    sm_check_after_store(vcpu->check);
}

/* --- Code --------------------------------------------------------------------------- */

bool sm_tlb_check_where(struct sm_vcpu *vcpu, sm_gva gva, enum sm_access access,
                        uint8_t mode, sm_gpa *gpa)
{
    const struct sm_tlb_context *const context = sm_tlb_context(vcpu, mode);
    const unsigned slot = sm_tlb_slot(gva);

    const uint64_t other = SM_TLB_MMIO | SM_TLB_CLEAN | SM_TLB_BESIDE;

    if (!context ||
        (context->store->table.slot[access][slot].tag & ~other) != (gva & SM_PAGE_MASK))
        return false;
    *gpa = context->store->cold[access][slot].gpa | (gva & ~SM_PAGE_MASK);
    return true;
}

void sm_tlb_check_watch(struct sm_vcpu *vcpu, sm_gpa gpa)
{
    if (vcpu->check)
        sm_check_watch(vcpu->check->shared, gpa);
}

void sm_tlb_check_code(struct sm_vcpu *vcpu, struct sm_stale *stale, uint64_t order)
{
    struct sm_tlb_checking *const checking = vcpu->check;
    struct sm_tlb_check *const check = checking->shared;
    const sm_gpa word = stale->where & ~UINT64_C(7);
    struct sm_note note, next;
    bool known;

    sm_check_after_store(checking);
    stale->struct_size = sizeof *stale;
    stale->vcpu = vcpu;
    stale->access = SM_FETCH;
    stale->old_gpa = stale->new_gpa = stale->where;
    pthread_mutex_lock(&check->lock);
    known = sm_check_note_get(check, word, &note) && note.order > order;
    /* An instruction may lie in two words. */
    if ((stale->where & 7) + stale->code_size > 8 &&
        sm_check_note_get(check, word + 8, &next) && next.order > order &&
        (!known || next.order > note.order)) {
        note = next;
        known = true;
    }
    if (known)
        stale->writer = writer_of(check, &note);
    known = stale->writer.known;
    stale->kind = known && stale->writer.vcpu == vcpu ? SM_STALE_OWN_CODE
                                                      : SM_STALE_OTHER_CODE;
    tell(checking, stale, known);
}
