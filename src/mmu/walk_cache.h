/* SPDX-License-Identifier: MIT */
/* walk_cache.h - where the tables lie in which recent walks ended: sm_walk.cache.
 *
 * Layer:    mmu
 * Threads:  one at a time, online from a walk that fills an entry until one that uses
 *           it: so what the entry points to outlives it (R4).
 *
 * A walk that came to its leaf by plain entries only (address and table bits, nothing
 * else) leaves host address, guest address and level of the table that held it, and the
 * next walk in the same part of the address space begins there.  What the entries above
 * would have said is known: a plain one grants, forbids and marks nothing.  What is read
 * in that table is read afresh, so a leaf is never remembered here, and one that became
 * a table is followed.
 *
 * How the walk judges a leaf depends on little: that is kept beside, as it is no
 * translation and nothing ends it.
 *
 * Only a table that lies whole in one section of RAM, under one answer of .protect, is
 * remembered.  A table of stage 1 is found through stage 2, and forgotten with either.
 *
 * The owner flushes: whenever the guest orders its writes to tables, what .protect
 * answers changes, or a view does.
 */
#ifndef MMU_WALK_CACHE_H
#define MMU_WALK_CACHE_H

#include "base/bits.h"
#include "softmmu/ptwalk.h"

enum {
    SM_WALK_CACHE_BITS = 9, /* log2 of entries: of 2 MiB each, 1 GiB              */
    SM_WALK_TAG_BITS = 44,  /* of an address; the others number generations       */
    SM_WALK_VERDICTS = 32
};
#define SM_WALK_GENERATION (UINT64_C(1) << SM_WALK_TAG_BITS)

struct sm_walk_table {
    uint64_t tag;        /* address >> .shift | generation                     */
    uint64_t address;    /* of the table: as the walk names it (an ipa, too)   */
    sm_gpa where;        /* in .space                                          */
    const uint8_t *host;
    uint64_t inside;     /* bits of an address that a leaf in it passes on     */
    uint32_t level;
    uint8_t index_shift; /* of an entry in it, within an address; and its leaf's size */
    uint8_t reserved[3];
};

/** What the walk made of a leaf: a matter of its bits beside the address, and of the
 *  stage's flags.  Not of a group, where it is the address's too; and above the last
 *  level the address has to be aligned beside. */
struct sm_walk_verdict {
    uint64_t bits;     /* entry & ~format->address_mask; never 0: it is present */
    uint32_t flags;    /* of the stage                                         */
    uint8_t accesses;  /* that such an entry lets pass with nothing to mark    */
    uint8_t perms[SM_N_ACCESS]; /* that are remembered then, by access         */
    uint8_t memtype;
    bool global;
};

struct sm_walk_tables {
    uint64_t generation; /* multiple of SM_WALK_GENERATION; 0: nothing bound   */
    uint8_t shift;       /* log2 of what a table of the last level covers      */
    bool used;           /* some entry may be of this generation               */
    struct sm_walk_verdict verdict[SM_WALK_VERDICTS];
    struct sm_walk_table entry[1 << SM_WALK_CACHE_BITS];
};

struct sm_walk_cache {
    /* What the entries are of.  A walk of anything else empties the cache. */
    struct sm_address_space *space;
    struct sm_walk_stage stage[2]; /* without .flags                           */
    struct sm_walk_tables of[2];   /* by stage                                 */
};

/* The names below begin as public ones do, and are not. */
#pragma GCC visibility push(hidden)

/** Forget everything.  A zeroed cache is empty. */
void sm_walk_cache_reset(struct sm_walk_cache *cache);

/** Forget what lies in @range: of stage 1's addresses (@stage 1), or of stage 2's; then
 *  all of stage 1, whose tables lie at such addresses.
 *  Cost  the 2 MiB blocks in @range, up to a few */
void sm_walk_cache_flush(struct sm_walk_cache *cache, unsigned stage,
                         const struct sm_range *range);

/** Have @cache be of the tables that @walk reads. */
void sm_walk_cache_bind(struct sm_walk_cache *cache, const struct sm_walk *walk);

#pragma GCC visibility pop

SM_INLINE bool sm_walk_cache_is_empty(const struct sm_walk_cache *cache)
{
    return !cache->of[0].used && !cache->of[1].used;
}

/** The only entry that may hold the table for addresses tagged @tag. */
SM_INLINE unsigned sm_walk_table_slot(uint64_t tag)
{
    /* As sm_tlb_slot() does: strides of a power of two fall apart. */
    return (unsigned)((tag + (tag >> SM_WALK_CACHE_BITS)) & sm_mask(SM_WALK_CACHE_BITS));
}

/** Find the table that holds the leaf of @address; NULL when it is not known. */
SM_INLINE const struct sm_walk_table *
sm_walk_cache_find(const struct sm_walk_tables *tables, uint64_t address)
{
    const uint64_t tag = address >> tables->shift;
    const struct sm_walk_table *const entry = &tables->entry[sm_walk_table_slot(tag)];

    return SM_LIKELY(entry->tag == (tag | tables->generation)) ? entry : NULL;
}

/** Forget the table that holds the leaf of @address. */
SM_INLINE void sm_walk_cache_forget(struct sm_walk_tables *tables, uint64_t address)
{
    const uint64_t tag = address >> tables->shift;
    struct sm_walk_table *const entry = &tables->entry[sm_walk_table_slot(tag)];

    if (entry->tag == (tag | tables->generation))
        entry->tag = 0;
}

/** The only place for the verdict on @bits under @flags. */
SM_INLINE struct sm_walk_verdict *sm_walk_verdict(struct sm_walk_tables *tables,
                                                  uint64_t bits, uint32_t flags)
{
    /* What differs most: write, execute, user, global, dirty; user level, SUM, MXR. */
    const uint64_t mixed = bits ^ bits >> 5 ^ (uint64_t)flags * 5;
    return &tables->verdict[mixed % SM_WALK_VERDICTS];
}

/** Find the entry of @address in @table, a whole page of entries of 1 << @size_bits. */
SM_INLINE const uint8_t *sm_walk_table_entry(const struct sm_walk_table *table,
                                             uint64_t address, unsigned size_bits)
{
    return table->host + (((address >> table->index_shift) << size_bits) & ~SM_PAGE_MASK);
}

/** Remember @table, but for its tag, for @address. */
SM_INLINE void sm_walk_cache_put(struct sm_walk_tables *tables, uint64_t address,
                                 const struct sm_walk_table *table)
{
    const uint64_t tag = address >> tables->shift;
    struct sm_walk_table *const entry = &tables->entry[sm_walk_table_slot(tag)];

    *entry = *table;
    entry->tag = tag | tables->generation;
    tables->used = true;
}

#endif
