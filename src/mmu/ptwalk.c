/* SPDX-License-Identifier: MIT */
/* ptwalk.c - the one radix walk, in one stage or two.
 *
 * A stage reads an entry per level and judges it by the tests of its format; what an
 * entry of stage 1 names, and where it lies, go through stage 2.  Depth is bounded by
 * the levels of the formats, so tables that point to themselves end the walk as any
 * others do.
 *
 * Source: RISC-V Privileged, "Virtual Address Translation Process"; steps are cited by
 * its numbers.
 */
#include "mmu/mmu_impl.h"
#include "mmu/walk_cache.h"
#include "softmmu/softtlb_hit.h" /* sm_host_load() */

#include <stddef.h>

enum { ALL_PERMS = SM_PERM_R | SM_PERM_W | SM_PERM_X };

/** What the levels above decided, and where this one is. */
struct cursor {
    uint64_t address;   /* being translated                                    */
    uint32_t level;
    enum sm_access access;
    uint8_t granted;    /* SM_PT_CUMULATE: by every table so far               */
    bool user, global;  /* so far                                              */
};

static uint64_t index_of(const struct sm_pt_level *level, uint64_t address)
{
    return (address >> level->shift) & ((UINT64_C(1) << level->index_bits) - 1);
}

static uint64_t entry_address(const struct sm_pt_format *format, uint64_t entry)
{
    const uint64_t field = entry & format->address_mask;
    return format->address_shift >= 0 ? field << format->address_shift
                                      : field >> -format->address_shift;
}

/** Accesses that the leaf or table @entry grants the requester by itself. */
static uint8_t entry_grants(const struct sm_walk_stage *stage, uint64_t entry)
{
    const struct sm_pt_test *perm =
        stage->format->perm[(stage->flags & SM_WALK_USER) != 0];
    unsigned perms = 0;

    for (unsigned access = 0; access < SM_N_ACCESS; access++)
        perms |= (unsigned)sm_pt_holds(&perm[access], entry) << access;
    return (uint8_t)perms;
}

/** Accesses that the leaf @entry, a user's if @user, grants after SUM and MXR. */
static uint8_t leaf_perms(const struct sm_walk_stage *stage, uint64_t entry, bool user)
{
    unsigned perms = entry_grants(stage, entry);

    if ((stage->flags & SM_WALK_MXR) &&
        sm_pt_holds(&stage->format->perm[user][SM_FETCH], entry))
        perms |= SM_PERM_R;
    if (stage->flags & SM_WALK_USER) {
        if (!user && stage->format->user.mask)
            perms = 0;
    } else if (user && !(stage->flags & SM_WALK_SUM)) {
        perms &= SM_PERM_X; /* granted only where a format lets supervisors fetch it */
    }
    return (uint8_t)perms;
}

/** Judge the leaf @entry (steps 5 to 8). */
static enum sm_walk_status judge_leaf(const struct sm_walk_stage *stage,
                                      const struct cursor *at, uint64_t entry,
                                      bool grouped, struct sm_walk_leaf *leaf)
{
    const struct sm_pt_format *format = stage->format;
    const unsigned shift = format->level[at->level].shift;
    const uint64_t base = entry_address(format, entry);
    const bool user = at->user && sm_pt_marked(&format->user, entry);

    if (SM_UNLIKELY(!format->level[at->level].leaf))
        return SM_WALK_BAD_LEAF;
    /* The last level's mask leaves no bit to be misaligned, but for a group's. */
    if (SM_UNLIKELY(base & sm_mask(shift)))
        return SM_WALK_BAD_LEAF;

    leaf->bits = (uint8_t)(grouped ? shift + format->group_bits : shift);
    leaf->address = (base & ~sm_mask(leaf->bits)) | (at->address & sm_mask(leaf->bits));
    leaf->global = at->global || sm_pt_marked(&format->global, entry);
    leaf->memtype = format->memtype
        ? (uint8_t)((entry & format->memtype) >> __builtin_ctzll(format->memtype)) : 0;
    leaf->perms = leaf_perms(stage, entry, user) & at->granted;
    return leaf->perms & (1u << at->access) ? SM_WALK_OK : SM_WALK_DENIED;
}

/** Judge @entry by the rules of its format (steps 3 to 8), without accessed and dirty.
 *
 *  @table  whether it names a table; *leaf is filled if not
 */
static enum sm_walk_status judge(const struct sm_walk_stage *stage,
                                 const struct cursor *at, uint64_t entry, bool *table,
                                 struct sm_walk_leaf *leaf)
{
    const struct sm_pt_format *format = stage->format;
    const bool last = at->level + 1 == format->n_levels;
    uint64_t reserved = format->reserved;
    bool grouped = false;

    if (!sm_pt_holds(&format->present, entry))
        return SM_WALK_NOT_PRESENT;
    for (unsigned i = 0; i < SM_PT_MAX_BAD && format->bad[i].mask; i++) {
        if (SM_UNLIKELY(sm_pt_holds(&format->bad[i], entry)))
            return SM_WALK_BAD_ENTRY;
    }
    *table = sm_pt_holds(&format->table, entry);
    if (*table)
        reserved |= format->reserved_table;
    else if (last && !(stage->flags & SM_WALK_NO_GROUP))
        grouped = sm_pt_marked(&format->group, entry);
    if (!grouped)
        reserved |= format->reserved_alone;
    if (stage->flags & SM_WALK_NO_MEMTYPE)
        reserved |= format->memtype;
    if (SM_UNLIKELY(entry & reserved) || SM_UNLIKELY(*table && last))
        return SM_WALK_BAD_ENTRY;
    return *table ? SM_WALK_OK : judge_leaf(stage, at, entry, grouped, leaf);
}

/** Whether the bits above the top index are as the format wants them. */
static bool canonical(const struct sm_pt_format *format, uint64_t address)
{
    const unsigned bits = (unsigned)format->level[0].shift + format->level[0].index_bits;
    const uint64_t above = ~sm_mask(bits);

    if (!(address & above))
        return !(format->flags & SM_PT_SIGNED) || bits >= 64 ||
               !(address >> (bits - 1) & 1);
    return (format->flags & SM_PT_SIGNED) && (address & above) == above &&
           (address >> (bits - 1) & 1);
}

static bool failed_already(const struct sm_walk_result *out)
{
    return out->last.status != SM_WALK_OK;
}

/** Tell the visitor, and note a failure in out->last unless stage 2 did already. */
static enum sm_walk_status tell(struct sm_walking *walking,
                                const struct sm_walk_step *step,
                                enum sm_walk_status status)
{
    const struct sm_walk *const walk = walking->walk;
    struct sm_walk_result *const out = walking->out;

    if (SM_LIKELY(status == SM_WALK_OK && !walk->visit))
        return status;
    if (failed_already(out))
        return status; /* stage 2 refused on behalf of this entry, and has told so */

    struct sm_walk_step told = *step;
    told.status = (uint8_t)status;
    if (status != SM_WALK_OK)
        out->last = told;
    if (walk->visit)
        walk->visit(walk->ctx, &told);
    return status;
}

/** Set what @access wants set in the leaf of @step, or say why not (step 9).
 *
 *  @leaf  loses SM_PERM_W unless it is dirty then, or this is a write (G4)
 */
static enum sm_walk_status mark_leaf(struct sm_walking *walking, unsigned stage,
                                     uint64_t entry_at, const struct sm_walk_step *step,
                                     enum sm_access access, struct sm_walk_leaf *leaf, bool *raced)
{
    const struct sm_walk_stage *const by = &walking->walk->stage[stage];
    const struct sm_pt_format *const format = by->format;
    const uint64_t wanted = format->accessed | (access == SM_WRITE ? format->dirty : 0);
    const uint64_t missing = wanted & ~step->entry;
    enum sm_walk_status status = SM_WALK_OK;

    *raced = false;
    if (access != SM_WRITE && ((step->entry | missing) & format->dirty) != format->dirty)
        leaf->perms &= (uint8_t)~SM_PERM_W;
    if (SM_LIKELY(!missing))
        return SM_WALK_OK;
    if (!(by->flags & SM_WALK_AD))
        return SM_WALK_NOT_ACCESSED;
    if (!(by->flags & SM_WALK_PROBE))
        *raced = sm_walk_mark(walking, stage, entry_at, step->entry, missing, &status) ==
                 SM_MARK_RACED;
    return status;
}

/** Read the entry at @where (P2).
 *
 *  The tables of a walk mostly lie in one section: it is looked up once.
 */
static enum sm_tx read_entry(struct sm_walking *walking, sm_gpa where, unsigned size,
                             uint64_t *raw)
{
    const struct sm_flat_section *section = walking->section;

    if (SM_UNLIKELY(!section || where < section->range.first ||
                    where > section->range.last)) {
        section = sm_address_space_section(walking->walk->space, where);
        if (!section)
            return SM_TX_DECODE_ERROR;
        walking->section = section;
    }
    const uint8_t *const host = sm_flat_section_readable(section, where);
    if (SM_UNLIKELY(!host)) {
        if (!section->translating)
            return SM_TX_ACCESS_ERROR;
        /* A model will be asked: that may take long. */
        if (sm_reader_pin(&walking->reader)) {
            walking->section = NULL;
            return read_entry(walking, where, size, raw);
        }
        return sm_address_space_load(walking->walk->space, where, &walking->attrs, size,
                                     raw);
    }
    if (SM_UNLIKELY(section->range.last - where < size - 1))
        return sm_address_space_load(walking->walk->space, where, &walking->attrs, size,
                                     raw);
    *raw = sm_host_load(host, size == 4 ? 2 : 3);
    return SM_TX_OK;
}

/** The tables that @cache has of @stage; NULL when a walk with it does without. */
static inline struct sm_walk_tables *tables_of(struct sm_walk_cache *cache,
                                               unsigned stage)
{
    return cache && cache->of[stage].shift ? &cache->of[stage] : NULL;
}

/** Take the way that is known to its end: table and verdict.  Returns false when either
 *  is not, or something is to be marked or refused. */
static inline bool walk_known(struct sm_walk_tables *tables,
                              const struct sm_walk_stage *by, uint64_t address,
                              enum sm_access access, struct sm_walk_leaf *leaf)
{
    const struct sm_pt_format *const format = by->format;
    const struct sm_walk_table *table;
    const struct sm_walk_verdict *verdict;
    uint64_t entry;

    if (!tables || !(table = sm_walk_cache_find(tables, address)))
        return false;
    entry = format->flags & SM_PT_ENTRY32
        ? sm_host_load(sm_walk_table_entry(table, address, 2), 2)
        : sm_host_load(sm_walk_table_entry(table, address, 3), 3);
    verdict = sm_walk_verdict(tables, entry & ~format->address_mask, by->flags);
    if (SM_UNLIKELY(verdict->bits != (entry & ~format->address_mask) ||
                    verdict->flags != by->flags || !(verdict->accesses >> access & 1)))
        return false;
    leaf->address = entry_address(format, entry);
    if (SM_UNLIKELY(leaf->address & table->inside))
        return false; /* refused */
    leaf->address |= address & table->inside;
    leaf->bits = table->index_shift;
    leaf->perms = verdict->perms[access];
    leaf->memtype = verdict->memtype;
    leaf->global = verdict->global;
    return true;
}

/** Find the entry at @entry_at of @stage, unless it is @placed there, and read it (P2);
 *  step->where says where it was, as far as that is known. */
static inline enum sm_walk_status fetch_entry(struct sm_walking *walking, unsigned stage,
                                              bool placed, uint64_t entry_at,
                                              unsigned size, struct sm_walk_step *step,
                                              uint64_t *raw)
{
    if (!placed) {
        const enum sm_walk_status status =
            sm_walk_place(walking, stage, entry_at, SM_READ, &step->where);
        if (SM_UNLIKELY(status != SM_WALK_OK))
            return status;
    }
    if (SM_UNLIKELY(read_entry(walking, step->where, size, raw) != SM_TX_OK))
        return SM_WALK_BUS_ERROR;
    return SM_WALK_OK;
}

/** Gather what the table's entry @entry decides for all below, and go there. */
static inline void descend(const struct sm_walk_stage *by, struct cursor *at,
                           uint64_t entry)
{
    at->global = at->global || sm_pt_marked(&by->format->global, entry);
    if (by->format->flags & SM_PT_CUMULATE) {
        at->granted &= entry_grants(by, entry);
        at->user = at->user && sm_pt_marked(&by->format->user, entry);
    }
    at->level++;
}

/** Begin at the table that is known to hold the leaf of @address; NULL: at the root. */
static const struct sm_walk_table *begin_known(const struct sm_walk_tables *tables,
                                               uint64_t address, struct cursor *at,
                                               uint64_t *table_at)
{
    const struct sm_walk_table *const known =
        tables ? sm_walk_cache_find(tables, address) : NULL;

    if (known) {
        at->level = known->level;
        *table_at = known->address;
    }
    return known;
}

/** Translate @address by one stage (0 or 1), entry by entry.
 *
 *  @implicit  stage 2 on behalf of an entry of stage 1
 *  out->last.status is OK on entry; out->last gets the failing step, if one fails.
 */
static SM_NOINLINE enum sm_walk_status
walk_entries(struct sm_walking *walking, unsigned stage, uint64_t address,
             enum sm_access access, bool implicit, struct sm_walk_leaf *leaf)
{
    const struct sm_walk_stage *const by = &walking->walk->stage[stage];
    const struct sm_pt_format *const format = by->format;
    const unsigned entry_size = sm_pt_entry_size(format);
    const bool placed =
        !walking->walk->protect && (stage == 1 || !walking->walk->stage[1].format);
    /* A table's entry without any other bit set needs no judging, nor does it change
     * what is gathered on the way: sm_pt_format_check() knows that it is sound. */
    const bool plain = !walking->walk->visit &&
                       !(format->flags & (SM_PT_CUMULATE | SM_PT_BIG_ENDIAN));
    struct sm_walk_tables *const tables = tables_of(walking->cache, stage);
    const struct sm_walk_table *known;
    bool all_plain = true; /* the entries so far */
    struct sm_walk_step step = {.stage = (uint8_t)(stage + 1), .implicit = implicit};
    struct cursor at = {address, 0, access, ALL_PERMS, true, false};
    uint64_t table_at = by->root;

    if (SM_UNLIKELY(!canonical(format, address)))
        return tell(walking, &step, SM_WALK_NOT_CANONICAL);
    known = begin_known(tables, address, &at, &table_at);

    while (at.level < format->n_levels) {
        const uint64_t index = index_of(&format->level[at.level], address);
        const uint64_t entry_at = table_at + index * entry_size;
        enum sm_walk_status status;
        uint64_t raw;
        bool table = false, fresh = false, raced;

        step.level = (uint8_t)at.level;
        step.where = entry_at;
        step.entry = step.address = 0;
        walking->n_read++;
        if (SM_LIKELY(known != NULL)) {
            step.where = known->where + index * entry_size;
            raw = sm_host_load(known->host + index * entry_size, entry_size == 4 ? 2 : 3);
            known = NULL; /* of this level */
        } else {
            status = fetch_entry(walking, stage, placed, entry_at, entry_size, &step,
                                 &raw);
            if (SM_UNLIKELY(status != SM_WALK_OK))
                return tell(walking, &step, status);
            fresh = tables && all_plain;
            if (fresh && at.level + 1 == format->n_levels) /* whatever is there now */
                sm_walk_remember(walking, stage, address, at.level, table_at,
                         step.where - index * entry_size);
        }
        if (SM_LIKELY(plain && (raw & ~format->address_mask) == format->table.value &&
                      at.level + 1 < format->n_levels)) {
            table_at = entry_address(format, raw);
            at.level++;
            continue;
        }

        step.entry = sm_pt_order(format, raw);
        step.address = entry_address(format, step.entry);
        status = judge(by, &at, step.entry, &table, leaf);
        if (status != SM_WALK_OK)
            return tell(walking, &step, status);
        if (table) {
            (void)tell(walking, &step, SM_WALK_OK);
            all_plain = false;
            descend(by, &at, step.entry);
            table_at = step.address;
            continue;
        }

        if (tables && all_plain) {
            if (fresh && at.level + 1 < format->n_levels)
                sm_walk_remember(walking, stage, address, at.level, table_at,
                         step.where - index * entry_size);
            sm_walk_remember_verdict(tables, by, step.entry, leaf);
        }
        status = mark_leaf(walking, stage, entry_at, &step, access, leaf, &raced);
        if (raced)
            continue; /* this level once more (P3) */
        return tell(walking, &step, status);
    }
    return SM_WALK_BAD_ENTRY; /* not reached: the last level names no table */
}

/** Translate @address by one stage, as walk_entries() does, or as it did. */
static inline enum sm_walk_status walk_stage(struct sm_walking *walking, unsigned stage,
                                             uint64_t address, enum sm_access access,
                                             bool implicit, struct sm_walk_leaf *leaf)
{
    if (stage == 1)
        walking->out->ipa = address;
    if (walk_known(tables_of(walking->cache, stage), &walking->walk->stage[stage],
                   address, access, leaf)) {
        walking->n_read++;
        return SM_WALK_OK;
    }
    return walk_entries(walking, stage, address, access, implicit, leaf);
}

enum sm_walk_status sm_walk_place(struct sm_walking *walking, unsigned stage,
                                  uint64_t address, enum sm_access access, sm_gpa *where)
{
    const struct sm_walk *const walk = walking->walk;

    *where = address;
    if (stage == 0 && walk->stage[1].format) {
        struct sm_walk_leaf leaf;
        const enum sm_walk_status status =
            walk_stage(walking, 1, address, access, true, &leaf);
        if (status != SM_WALK_OK)
            return status;
        *where = leaf.address;
    }
    if (walk->protect) {
        uint8_t perms = ALL_PERMS, span_bits = SM_PAGE_BITS;
        walk->protect(walk->ctx, *where, sm_pt_entry_size(walk->stage[stage].format),
                      &perms, &span_bits);
        if (SM_UNLIKELY(!(perms & (1u << access))))
            return SM_WALK_PROTECTED;
    }
    return SM_WALK_OK;
}

/** Say what @leaf of both stages came to, if .protect lets it.  Returns whether it did;
 *  out->gpa is filled either way. */
static inline bool conclude(const struct sm_walk *walk, uint64_t gpa, unsigned size,
                            const struct sm_walk_leaf leaf[2], unsigned n_read,
                            struct sm_walk_result *out)
{
    uint8_t perms = ALL_PERMS, span_bits = 64;

    for (unsigned stage = 0; stage < 2; stage++) {
        out->leaf_bits[stage] = leaf[stage].bits;
        out->memtype[stage] = leaf[stage].memtype;
        if (!walk->stage[stage].format)
            continue;
        perms &= leaf[stage].perms;
        span_bits = SM_MIN(span_bits, leaf[stage].bits);
    }
    if (walk->protect)
        walk->protect(walk->ctx, gpa, size, &perms, &span_bits);
    out->gpa = gpa;
    out->span_bits = span_bits;
    out->perms = perms;
    out->global = leaf[0].global;
    out->n_read = (uint8_t)SM_MIN(n_read, 255u);
    return perms >> walk->access & 1;
}

/** Translate by both stages and .protect. */
static enum sm_walk_status run(struct sm_walking *walking, uint64_t address,
                               unsigned size)
{
    const struct sm_walk *const walk = walking->walk;
    struct sm_walk_result *const out = walking->out;
    struct sm_walk_leaf leaf[2] = {{.bits = 0}, {.bits = 0}};
    uint64_t gpa = address;

    for (unsigned stage = 0; stage < 2; stage++) {
        if (!walk->stage[stage].format)
            continue;
        const enum sm_walk_status status =
            walk_stage(walking, stage, gpa, (enum sm_access)walk->access, false,
                       &leaf[stage]);
        if (SM_UNLIKELY(status != SM_WALK_OK))
            return status;
        gpa = leaf[stage].address;
    }
    if (!walk->stage[1].format)
        out->ipa = gpa;
    if (SM_UNLIKELY(!conclude(walk, gpa, size, leaf, walking->n_read, out))) {
        const struct sm_walk_step step = {.where = gpa, .address = gpa};
        return tell(walking, &step, SM_WALK_PROTECTED);
    }
    return SM_WALK_OK;
}

/** The cache of @walk, tied to its tables; NULL when it has none, or is to look for
 *  itself: a visitor hears of every step, and a probe is asked what memory says. */
static struct sm_walk_cache *usable_cache(const struct sm_walk *walk)
{
    struct sm_walk_cache *cache;

    if (walk->struct_size < offsetof(struct sm_walk, cache) + sizeof(walk->cache))
        return NULL;
    cache = walk->cache;
    if (!cache || walk->visit ||
        ((walk->stage[0].flags | walk->stage[1].flags) & SM_WALK_PROBE))
        return NULL;
    if (SM_UNLIKELY(cache->stage[0].root != walk->stage[0].root ||
                    cache->stage[0].format != walk->stage[0].format ||
                    cache->stage[1].root != walk->stage[1].root ||
                    cache->stage[1].format != walk->stage[1].format ||
                    cache->space != walk->space))
        sm_walk_cache_bind(cache, walk);
    return cache;
}

/** Translate, reading as a reader of the space's view. */
static SM_NOINLINE enum sm_walk_status
run_reading(const struct sm_walk *walk, struct sm_walk_cache *cache, uint64_t address,
            unsigned size, struct sm_walk_result *out)
{
    struct sm_walking walking = {
        .walk = walk, .out = out, .attrs = *walk->attrs, .cache = cache};
    enum sm_walk_status status;

    walking.attrs.flags |= SM_ATTR_WALK | SM_ATTR_RAM_ONLY; /* P2 */
    if ((walk->stage[0].flags | walk->stage[1].flags) & SM_WALK_PROBE)
        walking.attrs.flags |= SM_ATTR_DEBUG; /* models of iommus report nothing */
    out->last.status = SM_WALK_OK;
    /* For a vCPU this costs nothing: its safe points keep the view. */
    sm_reader_begin(&walking.reader, sm_address_space_topology(walk->space));
    status = run(&walking, address, size);
    sm_reader_end(&walking.reader);
    return status;
}

enum sm_walk_status sm_walk_run(const struct sm_walk *walk, uint64_t address,
                                unsigned size, struct sm_walk_result *out)
{
    struct sm_walk_cache *const cache = usable_cache(walk);

    /* One stage, all of it known: nothing of what follows is needed. */
    if (cache && walk->stage[0].format && !walk->stage[1].format) {
        struct sm_walk_leaf leaf[2] = {{.bits = 0}, {.bits = 0}};
        if (SM_LIKELY(walk_known(tables_of(cache, 0), &walk->stage[0], address,
                                 (enum sm_access)walk->access, &leaf[0]))) {
            out->last.status = SM_WALK_OK;
            out->ipa = leaf[0].address;
            if (SM_LIKELY(conclude(walk, leaf[0].address, size, leaf, 1, out)))
                return SM_WALK_OK;
        }
    }
    return run_reading(walk, cache, address, size, out);
}
