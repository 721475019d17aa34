/* SPDX-License-Identifier: MIT */
/* walk_cache.c - fills and empties caches of tables; ties them to what they are of. */
#include "mmu/walk_cache.h"

#include "mmu/mmu_impl.h"

#include <string.h>

enum { MAX_BLOCKS = 8 }; /* forgotten one by one; beyond that all are             */

static void reset(struct sm_walk_tables *tables)
{
    if (!tables->used)
        return;
    tables->used = false;
    tables->generation += SM_WALK_GENERATION;
    if (SM_LIKELY(tables->generation))
        return;
    memset(tables->entry, 0, sizeof(tables->entry));
    tables->generation = SM_WALK_GENERATION;
}

void sm_walk_cache_reset(struct sm_walk_cache *cache)
{
    reset(&cache->of[0]);
    reset(&cache->of[1]);
}

void sm_walk_cache_flush(struct sm_walk_cache *cache, unsigned stage,
                         const struct sm_range *range)
{
    struct sm_walk_tables *const tables = &cache->of[stage - 1];
    const uint64_t first = range->first >> tables->shift;
    const uint64_t n = (range->last >> tables->shift) - first; /* - 1 */

    if (stage == 2)
        reset(&cache->of[0]);
    if (!tables->used)
        return;
    if (n >= MAX_BLOCKS) {
        reset(tables);
        return;
    }
    for (uint64_t tag = first; tag <= first + n; tag++)
        sm_walk_cache_forget(tables, tag << tables->shift);
}

/** Whether entries of @format may be passed over: their tables are as large as a page,
 *  and an address's upper bits leave room for the generation. */
static bool is_fit(const struct sm_pt_format *format)
{
    const struct sm_pt_level *const last = &format->level[format->n_levels - 1];
    const unsigned entry_bits = format->flags & SM_PT_ENTRY32 ? 2 : 3;

    return !(format->flags & (SM_PT_CUMULATE | SM_PT_BIG_ENDIAN)) &&
           format->n_levels > 1 && last->shift >= SM_PAGE_BITS &&
           last->index_bits + entry_bits == SM_PAGE_BITS &&
           last->shift + last->index_bits >= 64 - SM_WALK_TAG_BITS;
}

void sm_walk_cache_bind(struct sm_walk_cache *cache, const struct sm_walk *walk)
{
    sm_walk_cache_reset(cache);
    cache->space = walk->space;
    for (unsigned stage = 0; stage < 2; stage++) {
        struct sm_walk_tables *const tables = &cache->of[stage];
        const struct sm_pt_format *const format = walk->stage[stage].format;

        cache->stage[stage].format = format;
        cache->stage[stage].root = walk->stage[stage].root;
        memset(tables->verdict, 0, sizeof(tables->verdict)); /* another format's */
        /* Generations are never taken back: entries of earlier ones are still there. */
        if (!tables->generation)
            tables->generation = SM_WALK_GENERATION;
        tables->shift = 0; /* not fit */
        if (format && is_fit(format)) {
            const struct sm_pt_level *const last = &format->level[format->n_levels - 1];
            tables->shift = (uint8_t)(last->shift + last->index_bits);
        }
    }
    /* What stage 2 says holds for its smallest page, which must hold a table. */
    if (walk->stage[1].format && !cache->of[1].shift)
        cache->of[0].shift = 0;
}

/* --- Filling ---------------------------------------------------------------------- */

void sm_walk_remember(struct sm_walking *walking, unsigned stage, uint64_t address,
                      uint32_t level, uint64_t table, sm_gpa where)
{
    const struct sm_walk *const walk = walking->walk;
    const struct sm_pt_format *const format = walk->stage[stage].format;
    const struct sm_flat_section *const section = walking->section;
    struct sm_walk_table remembered = {
        .address = table, .where = where, .level = level,
        .inside = sm_mask(format->level[level].shift),
        .index_shift = format->level[level].shift,
    };

    if ((where | table) & ~SM_PAGE_MASK)
        return; /* of a format whose tables may lie anywhere */
    if ((sm_pt_entry_size(format) << format->level[level].index_bits) != SM_PAGE_SIZE)
        return; /* a wider root */
    if (where < section->range.first || section->range.last - where < SM_PAGE_SIZE - 1)
        return;
    remembered.host = sm_flat_section_readable(section, where);
    if (!remembered.host || ((uintptr_t)remembered.host & 7))
        return; /* behind a translating region, or crooked */
    if (walk->protect) {
        uint8_t perms = SM_PERM_R, span_bits = SM_PAGE_BITS;
        walk->protect(walk->ctx, where, sm_pt_entry_size(format), &perms, &span_bits);
        if (!(perms & SM_PERM_R) || span_bits < SM_PAGE_BITS)
            return;
    }
    sm_walk_cache_put(&walking->cache->of[stage], address, &remembered);
}

void sm_walk_remember_verdict(struct sm_walk_tables *tables,
                              const struct sm_walk_stage *by, uint64_t entry,
                              const struct sm_walk_leaf *leaf)
{
    const struct sm_pt_format *const format = by->format;
    const uint64_t bits = entry & ~format->address_mask;
    struct sm_walk_verdict *const verdict = sm_walk_verdict(tables, bits, by->flags);
    const bool dirty = (entry & format->dirty) == format->dirty;

    if ((entry & format->group.mask & ~format->address_mask) ||
        (entry & format->accessed) != format->accessed)
        return;
    *verdict = (struct sm_walk_verdict){
        .bits = bits, .flags = by->flags, .accesses = leaf->perms,
        .memtype = leaf->memtype, .global = leaf->global};
    for (unsigned access = 0; access < SM_N_ACCESS; access++)
        verdict->perms[access] = leaf->perms;
    if (!dirty) {
        verdict->accesses &= (uint8_t)~SM_PERM_W;
        verdict->perms[SM_READ] &= (uint8_t)~SM_PERM_W;
        verdict->perms[SM_FETCH] &= (uint8_t)~SM_PERM_W;
    }
}
