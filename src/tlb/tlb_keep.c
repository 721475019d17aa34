/* SPDX-License-Identifier: MIT */
/* tlb_keep.c - keeps translations until a fence covers them.
 *
 * A table is small, and what it drops is walked again; an architecture need not do so.
 * Here is every translation that was filled since the last fence that covered it, by
 * address space: a hash by page, mode and access, and apart from it the addresses of
 * leaves larger than a page.  What is global is in a space of its own, but for what a
 * second stage made of it: that is one machine's among several, and only the key tells.
 */
#include "base/alloc.h"
#include "tlb/tlb_check_impl.h"

#include <string.h>

struct kept {
    struct kept *next;      /* of the same hash                                */
    sm_gva page;
    uint8_t mode, access;
    struct sm_xlate xlate;  /* of .page                                        */
    struct sm_walk_trail trail;
};

struct kept_space {
    struct kept_space *next;
    struct sm_tlb_key key;
    uint32_t n, n_heads;    /* .n_heads: a power of two                        */
    uint32_t n_large;       /* of .n, with a leaf above a page in either stage */
    struct kept **heads;
};

struct sm_tlb_keep {
    struct kept_space *spaces;
    struct kept_space global; /* .key unused; not in .spaces                   */
};

enum { FIRST_HEADS = 64 };

static uint64_t hash_of(sm_gva page, unsigned mode, unsigned access)
{
    const uint64_t key = page | mode << 4 | access;
    return (key * UINT64_C(0x9e3779b97f4a7c15)) >> 24;
}

static bool key_is(const struct sm_tlb_key *a, const struct sm_tlb_key *b)
{
    return !memcmp(a, b, sizeof *a);
}

struct sm_tlb_keep *sm_tlb_keep_new(void)
{
    return sm_alloc(sizeof(struct sm_tlb_keep));
}

static void clear(struct kept_space *space)
{
    for (uint32_t i = 0; i < space->n_heads && space->n; i++) {
        for (struct kept *kept = space->heads[i], *next; kept; kept = next) {
            next = kept->next;
            sm_free(kept);
            space->n--;
        }
        space->heads[i] = NULL;
    }
    space->n_large = 0;
}

void sm_tlb_keep_free(struct sm_tlb_keep *keep)
{
    if (!keep)
        return;
    for (struct kept_space *space = keep->spaces, *next; space; space = next) {
        next = space->next;
        clear(space);
        sm_free(space->heads);
        sm_free(space);
    }
    clear(&keep->global);
    sm_free(keep->global.heads);
    sm_free(keep);
}

/* --- Finding ------------------------------------------------------------------------ */

static struct kept **find(const struct kept_space *space, sm_gva page, unsigned mode,
                          unsigned access)
{
    struct kept **at;

    if (!space->n)
        return NULL;
    at = &space->heads[hash_of(page, mode, access) & (space->n_heads - 1)];
    while (*at && ((*at)->page != page || (*at)->mode != mode || (*at)->access != access))
        at = &(*at)->next;
    return *at ? at : NULL;
}

static struct kept_space *find_space(const struct sm_tlb_keep *keep,
                                     const struct sm_tlb_key *key)
{
    struct kept_space *space = keep->spaces;

    while (space && !key_is(&space->key, key))
        space = space->next;
    return space;
}

bool sm_tlb_keep_get(struct sm_tlb_keep *keep, const struct sm_tlb_key *key,
                     const struct sm_xlate_req *req, struct sm_xlate *xlate,
                     struct sm_walk_trail *trail)
{
    const sm_gva page = req->gva & SM_PAGE_MASK;
    const struct kept_space *const space = find_space(keep, key);
    struct kept **at = space ? find(space, page, req->mode, req->access) : NULL;

    if (!at)
        at = find(&keep->global, page, req->mode, req->access);
    if (!at)
        return false;
    *xlate = (*at)->xlate;
    xlate->gpa |= req->gva & ~SM_PAGE_MASK;
    xlate->ipa |= req->gva & ~SM_PAGE_MASK;
    xlate->n_read = 0;
    *trail = (*at)->trail;
    return true;
}

/* --- Keeping ------------------------------------------------------------------------ */

static bool grow(struct kept_space *space)
{
    const uint32_t n_heads = space->n_heads ? 4 * space->n_heads : FIRST_HEADS;
    struct kept **const heads = sm_alloc(n_heads * sizeof(*heads));

    if (!heads)
        return space->n_heads != 0;
    for (uint32_t i = 0; i < space->n_heads; i++) {
        for (struct kept *kept = space->heads[i], *next; kept; kept = next) {
            struct kept **const head =
                &heads[hash_of(kept->page, kept->mode, kept->access) & (n_heads - 1)];
            next = kept->next;
            kept->next = *head;
            *head = kept;
        }
    }
    sm_free(space->heads);
    space->heads = heads;
    space->n_heads = n_heads;
    return true;
}

static bool is_large(const struct sm_xlate *xlate)
{
    return xlate->leaf_bits[0] > SM_PAGE_BITS || xlate->leaf_bits[1] > SM_PAGE_BITS;
}

static void put(struct kept_space *space, const struct sm_xlate_req *req,
                const struct sm_xlate *xlate, const struct sm_walk_trail *trail)
{
    const sm_gva page = req->gva & SM_PAGE_MASK;
    struct kept **at = find(space, page, req->mode, req->access);
    struct kept *kept = at ? *at : NULL;

    if (kept) {
        space->n_large -= is_large(&kept->xlate);
    } else {
        if (space->n >= space->n_heads && !grow(space))
            return;
        kept = sm_alloc(sizeof *kept);
        if (!kept)
            return;
        at = &space->heads[hash_of(page, req->mode, req->access) & (space->n_heads - 1)];
        kept->next = *at;
        *at = kept;
        space->n++;
    }
    kept->page = page;
    kept->mode = req->mode;
    kept->access = req->access;
    kept->xlate = *xlate;
    kept->xlate.gpa &= SM_PAGE_MASK;
    kept->xlate.ipa &= SM_PAGE_MASK;
    kept->trail = *trail;
    space->n_large += is_large(xlate);
}

void sm_tlb_keep_put(struct sm_tlb_keep *keep, const struct sm_tlb_key *key,
                     const struct sm_xlate_req *req, const struct sm_xlate *xlate,
                     const struct sm_walk_trail *trail)
{
    struct kept_space *space;

    if (!(xlate->perms >> req->access & 1))
        return;
    if (xlate->global && !xlate->leaf_bits[1]) {
        put(&keep->global, req, xlate, trail);
        return;
    }
    space = find_space(keep, key);
    if (!space) {
        space = sm_alloc(sizeof *space);
        if (!space)
            return;
        space->key = *key;
        space->next = keep->spaces;
        keep->spaces = space;
    }
    put(space, req, xlate, trail);
}

/* --- Flushing ----------------------------------------------------------------------- */

static bool covers(const struct sm_tlb_scope *scope, const struct kept *kept)
{
    const bool second = scope->stage == 2;
    const uint64_t inside = sm_mask(SM_MAX(kept->xlate.leaf_bits[second],
                                           (uint8_t)SM_PAGE_BITS));
    const uint64_t address = second ? kept->xlate.ipa : kept->page;

    if (scope->keep_global && kept->xlate.global)
        return false;
    return (scope->modes >> kept->mode & 1) &&
           (address & ~inside) <= scope->range.last &&
           (address | inside) >= scope->range.first;
}

static void drop(struct kept_space *space, struct kept **at)
{
    struct kept *const kept = *at;

    *at = kept->next;
    space->n--;
    space->n_large -= is_large(&kept->xlate);
    sm_free(kept);
}

static void flush(struct kept_space *space, const struct sm_tlb_scope *scope)
{
    const sm_gva first = scope->range.first & SM_PAGE_MASK;
    enum { FEW = 32 };

    if (!space->n)
        return;
    if (scope->stage == 1 && !space->n_large &&
        scope->range.last - first < FEW * SM_PAGE_SIZE) {
        const uint64_t n = (scope->range.last - first) >> SM_PAGE_BITS;
        for (uint64_t i = 0; i <= n; i++) {
            const sm_gva page = first + (i << SM_PAGE_BITS);
            for (unsigned number = 0; number < SM_N_MODES * SM_N_ACCESS; number++) {
                struct kept **const at =
                    find(space, page, number / SM_N_ACCESS, number % SM_N_ACCESS);
                if (at && covers(scope, *at))
                    drop(space, at);
            }
        }
        return;
    }
    for (uint32_t i = 0; i < space->n_heads; i++) {
        for (struct kept **at = &space->heads[i]; *at;) {
            if (covers(scope, *at))
                drop(space, at);
            else
                at = &(*at)->next;
        }
    }
}

void sm_tlb_keep_flush(struct sm_tlb_keep *keep, const struct sm_tlb_scope *scope)
{
    for (struct kept_space *space = keep->spaces; space; space = space->next) {
        bool agrees = true;
        for (unsigned i = 0; i < SM_ARRAY_LEN(space->key.word); i++)
            agrees &= (space->key.word[i] & scope->mask.word[i]) == scope->key.word[i];
        if (agrees)
            flush(space, scope);
    }
    /* A global translation is of every space: any scope that does not spare them. */
    if (!scope->keep_global)
        flush(&keep->global, scope);
}
