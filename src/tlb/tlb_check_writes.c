/* SPDX-License-Identifier: MIT */
/* tlb_check_writes.c - knows who stored last to the words of pages that are watched.
 *
 * A store to any other page costs the look at one bit.  One to a watched page remembers
 * the words before, and is noted when they differ afterwards: so a store that faults, a
 * conditional one that fails, and one of the same value are nobody's change.
 */
#include "base/alloc.h"
#include "tlb/tlb_check_impl.h"

#include <string.h>

enum { NOTE_SLOTS = 2 << SM_NOTES_BITS };

static uint64_t mixed(uint64_t key)
{
    key *= UINT64_C(0x9e3779b97f4a7c15);
    return key ^ key >> 29;
}

/* --- Watched pages ------------------------------------------------------------------ */

bool sm_check_watched(const struct sm_tlb_check *check, sm_gpa gpa)
{
    const uint64_t number = (gpa >> SM_CHUNK_BITS) + 1;

    for (unsigned i = 0; i < SM_N_CHUNKS; i++) {
        const struct sm_chunk *const chunk =
            &check->chunk[(number + i) % SM_N_CHUNKS];
        /* Pairs with the publish in sm_check_watch(). */
        const uint64_t found = sm_load_acquire(&chunk->number);
        if (!found)
            return false;
        if (found == number) {
            const uint64_t page = sm_extract(gpa, SM_PAGE_BITS,
                                             SM_CHUNK_BITS - SM_PAGE_BITS);
            return sm_load_relaxed(&chunk->bits[page / 64]) >> (page % 64) & 1;
        }
    }
    return false;
}

/** The chunk of @number, made if there is none.  The lock is held. */
static struct sm_chunk *chunk_of(struct sm_tlb_check *check, uint64_t number)
{
    for (unsigned i = 0; i < SM_N_CHUNKS; i++) {
        struct sm_chunk *const chunk = &check->chunk[(number + i) % SM_N_CHUNKS];
        if (chunk->number == number)
            return chunk;
        if (chunk->number)
            continue;
        chunk->bits = sm_alloc((UINT64_C(1) << (SM_CHUNK_BITS - SM_PAGE_BITS)) / 8);
        if (!chunk->bits)
            return NULL;
        sm_publish(&chunk->number, number); /* pairs with sm_check_watched() */
        return chunk;
    }
    return NULL;
}

void sm_check_watch(struct sm_tlb_check *check, sm_gpa gpa)
{
    const uint64_t page = sm_extract(gpa, SM_PAGE_BITS, SM_CHUNK_BITS - SM_PAGE_BITS);
    struct sm_chunk *chunk;

    if (sm_check_watched(check, gpa))
        return;
    pthread_mutex_lock(&check->lock);
    chunk = chunk_of(check, (gpa >> SM_CHUNK_BITS) + 1);
    if (chunk)
        sm_fetch_or(&chunk->bits[page / 64], UINT64_C(1) << (page % 64));
    pthread_mutex_unlock(&check->lock);
}

/* --- Notes -------------------------------------------------------------------------- */

static struct sm_note *note_slot(const struct sm_notes *notes, uint64_t key)
{
    for (uint64_t at = mixed(key);; at++) {
        struct sm_note *const note = &notes->slot[at % NOTE_SLOTS];
        if (note->key == key || !note->key)
            return note;
    }
}

bool sm_check_note_get(const struct sm_tlb_check *check, uint64_t key,
                       struct sm_note *out)
{
    for (unsigned i = 0; i < 2; i++) {
        const struct sm_note *const note = note_slot(&check->notes[i], key);
        if (note->key) {
            *out = *note;
            return true;
        }
    }
    return false;
}

void sm_check_note_put(struct sm_tlb_check *check, const struct sm_note *note)
{
    struct sm_note *slot = note_slot(&check->notes[0], note->key);

    if (!slot->key) {
        if (check->notes[0].n == NOTE_SLOTS / 2) {
            const struct sm_notes oldest = check->notes[1];
            check->notes[1] = check->notes[0];
            check->notes[0] = (struct sm_notes){oldest.slot, 0};
            memset(oldest.slot, 0, NOTE_SLOTS * sizeof *oldest.slot);
            slot = note_slot(&check->notes[0], note->key);
        }
        check->notes[0].n++;
    }
    *slot = *note;
}

/* --- Stores ------------------------------------------------------------------------- */

static void commit(struct sm_tlb_checking *checking, struct sm_pending *pending)
{
    struct sm_tlb_check *const check = checking->shared;

    pthread_mutex_lock(&check->lock);
    for (unsigned i = 0; i < pending->n; i++) {
        const uint64_t value = sm_host_load(pending->host + 8 * i, 3);
        if (value == pending->old[i])
            continue;
        const struct sm_note note = {.key = pending->first + 8 * i,
                                     .order = sm_fetch_add(&check->order, 1) + 1,
                                     .pc = pending->pc, .value = value,
                                     .vcpu = checking->index};
        sm_check_note_put(check, &note);
    }
    pthread_mutex_unlock(&check->lock);
    pending->n = 0;
}

void sm_check_after_store(struct sm_tlb_checking *checking)
{
    for (unsigned i = 0; i < SM_ARRAY_LEN(checking->pending); i++) {
        if (checking->pending[i].n)
            commit(checking, &checking->pending[i]);
    }
}

void sm_check_before_store(struct sm_tlb_checking *checking,
                           const struct sm_xlate_req *req,
                           const struct sm_tlb_target *target)
{
    struct sm_pending *pending = &checking->pending[0];
    const unsigned before = (unsigned)(target->gpa & 7);

    /* The second part of one access, or the first of another. */
    if (pending->n && pending->end == req->gva && !checking->pending[1].n)
        pending++;
    else
        sm_check_after_store(checking);
    if (!target->host || !sm_check_watched(checking->shared, target->gpa))
        return;
    /* Memory may lie in the map against its grain: its words are no entries of tables,
     * and what is around a store may not be memory. */
    if (((uintptr_t)target->host ^ target->gpa) & 7)
        return;
    pending->first = target->gpa - before;
    pending->end = req->gva + req->size;
    pending->host = target->host - before;
    pending->pc = checking->shared->options.ops->pc(checking->vcpu);
    pending->n = (before + req->size + 7) / 8;
    for (unsigned i = 0; i < pending->n; i++)
        pending->old[i] = sm_host_load(pending->host + 8 * i, 3);
}
