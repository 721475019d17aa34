/* SPDX-License-Identifier: MIT */
/* tlb_watch.c - compares accesses with the bytes that a debugger watches.
 *
 * A page that some watch meets has SM_TLB_WATCH in its entries, for all that may be done
 * through them, so that every access to it comes by the slow path.  There it is compared
 * after it was translated and before the first byte moves.  Entries are tagged as they
 * are filled; a new set begins with an empty TLB.
 */
#include "base/alloc.h"
#include "softmmu/watch.h"
#include "tlb/tlb_impl.h"

#include <errno.h>
#include <string.h>

/* --- Which pages -------------------------------------------------------------------- */

static bool meets(const struct sm_range *range, uint64_t first, uint64_t last)
{
    return first <= range->last && last >= range->first;
}

/** Whether @watch, a virtual one, is of @mode as it reads @key. */
static bool is_of(const struct sm_watch *watch, unsigned mode,
                  const struct sm_tlb_key *key)
{
    if (!(watch->modes >> mode & 1))
        return false;
    for (unsigned i = 0; i < SM_ARRAY_LEN(key->word); i++)
        if ((key->word[i] & watch->mask.word[i]) != watch->key.word[i])
            return false;
    return true;
}

bool sm_watch_meets_page(const struct sm_vcpu *vcpu, const struct sm_tlb_context *context,
                         enum sm_access access, sm_gva page,
                         const struct sm_tlb_cold *cold)
{
    /* A read-modify-write may be made through an entry for writes. */
    const unsigned accesses =
        access == SM_WRITE ? SM_PERM_R | SM_PERM_W : 1u << access;

    for (uint32_t i = 0; i < vcpu->watching.n; i++) {
        const struct sm_watch *const watch = &vcpu->watching.watch[i];
        const bool physical = watch->flags & SM_WATCH_PHYSICAL;
        const uint64_t first = physical ? cold->gpa : page;

        if ((watch->accesses & accesses) &&
            meets(&watch->range, first, first | ~SM_PAGE_MASK) &&
            (physical ? vcpu->spaces[watch->space] == vcpu->spaces[cold->space]
                      : is_of(watch, context->mode, &context->space->key)))
            return true;
    }
    return false;
}

/* --- Which accesses ----------------------------------------------------------------- */

/** Whether @watch covers a byte of @part; *at is how many bytes come before it. */
static bool covers(const struct sm_vcpu *vcpu, const struct sm_watch *watch,
                   unsigned mode, const struct sm_watch_part *part, uint64_t *at)
{
    const bool physical = watch->flags & SM_WATCH_PHYSICAL;
    const uint64_t first = physical ? part->gpa : part->gva;

    if (!meets(&watch->range, first, first + (part->size - 1u)))
        return false;
    *at = watch->range.first > first ? watch->range.first - first : 0;
    return physical ? vcpu->spaces[watch->space] == part->space
                    : is_of(watch, mode, &vcpu->selected[mode]->key);
}

/** Whether @hit, about to happen, was let through. */
static bool may_pass(const struct sm_watching *watching, const struct sm_watch_hit *hit)
{
    for (unsigned i = 0; i < watching->n_passes; i++) {
        const struct sm_watch_hit *const pass = &watching->pass[i];
        const uint64_t before = hit->gva - pass->gva;

        if (pass->mode == hit->mode && !(hit->accesses & ~pass->accesses) &&
            before < pass->size && hit->size <= pass->size - before)
            return true;
    }
    return false;
}

bool sm_watch_stops(struct sm_vcpu *vcpu, const struct sm_watch_access *access)
{
    struct sm_watching *const watching = &vcpu->watching;
    const struct sm_watch_part *const part = access->part;
    struct sm_watch_hit hit = {
        .struct_size = sizeof hit, .gva = part[0].gva, .gpa = part[0].gpa,
        .size = (uint16_t)(part[0].size + (access->n_parts > 1 ? part[1].size : 0u)),
        .kind = access->kind, .accesses = access->accesses, .mode = access->mode,
        .value = access->value};
    uint64_t at;

    for (; hit.index < watching->n; hit.index++) {
        const struct sm_watch *const watch = &watching->watch[hit.index];

        if (!(watch->accesses & access->accesses))
            continue;
        for (unsigned i = 0; i < access->n_parts; i++) {
            if (!covers(vcpu, watch, access->mode, &part[i], &at))
                continue;
            if (may_pass(watching, &hit))
                return false;
            hit.id = watch->id;
            hit.met_gva = part[i].gva + at;
            hit.met_gpa = part[i].gpa + at;
            watching->hit = hit;
            return true;
        }
    }
    return false;
}

bool sm_watch_stops_one(struct sm_vcpu *vcpu, enum sm_watch_kind kind, unsigned accesses,
                        const struct sm_xlate_req *req,
                        const struct sm_tlb_target *target, struct sm_value value)
{
    const struct sm_watch_access access = {
        .part = {{req->gva, target->gpa, target->space, req->size}}, .n_parts = 1,
        .kind = (uint8_t)kind, .accesses = (uint8_t)accesses, .mode = req->mode,
        .value = value};

    return sm_watch_stops(vcpu, &access);
}

/* --- The set ------------------------------------------------------------------------ */

static bool is_valid(const struct sm_vcpu *vcpu, const struct sm_watch *watch)
{
    const unsigned all = SM_PERM_R | SM_PERM_W | SM_PERM_X;

    return watch->range.first <= watch->range.last && watch->accesses &&
           !(watch->accesses & ~all) && !(watch->flags & ~SM_WATCH_PHYSICAL) &&
           !watch->reserved && !watch->reserved2 &&
           (watch->flags & SM_WATCH_PHYSICAL ? watch->space < vcpu->n_spaces
                                             : !watch->space);
}

int sm_vcpu_set_watches(struct sm_vcpu *vcpu, const struct sm_watch *watches, uint32_t n)
{
    struct sm_watching *const watching = &vcpu->watching;
    struct sm_watch *copy = NULL;

    for (uint32_t i = 0; i < n; i++)
        if (!is_valid(vcpu, &watches[i]))
            return -EINVAL;
    if (n) {
        copy = sm_alloc(n * sizeof *copy);
        if (!copy)
            return -ENOMEM;
        memcpy(copy, watches, n * sizeof *copy);
    }
    const bool any = n || watching->n;
    sm_free(watching->watch);
    watching->watch = copy;
    watching->n = n;
    vcpu->tags &= ~(uint32_t)SM_TLB_WATCH;
    if (n)
        vcpu->tags |= SM_TLB_WATCH;
    if (any)
        sm_tlb_flush(vcpu, &sm_tlb_scope_everything, SM_TLB_REMAPPED);
    return 0;
}

void sm_tlb_watch_fini(struct sm_vcpu *vcpu)
{
    sm_free(vcpu->watching.watch);
}

/* --- After a stop ------------------------------------------------------------------- */

bool sm_vcpu_watch_hit(const struct sm_vcpu *vcpu, struct sm_watch_hit *out)
{
    struct sm_watch_hit hit = vcpu->watching.hit;
    const uint32_t size = SM_MIN(out->struct_size, (uint32_t)sizeof hit);

    if (!hit.size)
        return false;
    hit.struct_size = size;
    memcpy(out, &hit, size);
    return true;
}

void sm_vcpu_watch_pass(struct sm_vcpu *vcpu)
{
    struct sm_watching *const watching = &vcpu->watching;

    if (!watching->hit.size || may_pass(watching, &watching->hit))
        return;
    if (watching->n_passes == SM_WATCH_PASSES) {
        watching->n_passes--;
        memmove(&watching->pass[0], &watching->pass[1],
                watching->n_passes * sizeof watching->pass[0]);
    }
    watching->pass[watching->n_passes++] = watching->hit;
}

void sm_vcpu_watch_rearm(struct sm_vcpu *vcpu)
{
    vcpu->watching.n_passes = 0;
    vcpu->watching.hit.size = 0;
}
