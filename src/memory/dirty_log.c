/* SPDX-License-Identifier: MIT */
/* dirty_log.c - marks what is written, and takes the marks away for a client (D1-D3). */
#include "softmmu/dirty_log.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "base/rcu.h"
#include "memory/dirty_log.h"
#include "memory/memory_impl.h"
#include "memory/reserve.h"

#include <errno.h>
#include <string.h>

/* Two levels, so that a take finds few marks among many pages.  A bit of a word is a
 * page, and a bit of a summary says that its word may have some.  Whoever sets a bit
 * sets the summary after it; whoever takes clears the summary first. */
struct sm_dirty_log {
    struct sm_dirty_log *next; /* atomic: of the same memory                   */
    struct sm_region *region;
    sm_ticket ticket;          /* of the last take that cleared a bit          */
    struct sm_retired retired;
    uint64_t *summary;         /* atomic; behind the words                     */
    uint64_t word[];           /* atomic                                       */
};

static uint64_t pages_of(const struct sm_ram *ram)
{
    return (ram->size - 1) / SM_PAGE_SIZE + 1;
}

static uint64_t units(uint64_t n, unsigned unit)
{
    return (n + unit - 1) / unit;
}

/* Bits @first to @last of a word. */
static uint64_t bits_between(unsigned first, unsigned last)
{
    return sm_mask(last + 1) & ~sm_mask(first);
}

/* Those bits of unit @unit (of 64) that stand for @first to @last. */
static uint64_t part_of_unit(uint64_t unit, uint64_t first, uint64_t last)
{
    const uint64_t lowest = unit * 64, highest = lowest + 63;
    return bits_between((unsigned)(SM_MAX(first, lowest) - lowest),
                        (unsigned)(SM_MIN(last, highest) - lowest));
}

/* --- Marking ------------------------------------------------------------ */

static void mark_word(struct sm_dirty_log *log, uint64_t number, uint64_t mask)
{
    uint64_t *const word = &log->word[number];
    uint64_t *const summary = &log->summary[number / 64];
    const uint64_t in = UINT64_C(1) << number % 64;

    if ((sm_load_relaxed(word) & mask) != mask) {
        sm_fetch_or(word, mask);
        /* Whatever the summary looked like: a take may be between its two levels. */
        sm_fetch_or(summary, in);
    } else if (SM_UNLIKELY(!(sm_load_relaxed(summary) & in))) {
        sm_fetch_or(summary, in); /* whoever set the bit has not come so far yet */
    }
}

void sm_ram_mark_logs(struct sm_ram *ram, uint64_t offset, uint64_t size)
{
    const uint64_t first = offset / SM_PAGE_SIZE;
    const uint64_t last = (offset + size - 1) / SM_PAGE_SIZE;
    struct sm_dirty_log *log = sm_load_acquire(&ram->logs); /* of sm_dirty_log_new() */

    for (; log; log = sm_load_acquire(&log->next))
        for (uint64_t i = first / 64; i <= last / 64; i++)
            mark_word(log, i, part_of_unit(i, first, last));
}

static bool ram_is_marked(struct sm_ram *ram, uint64_t offset, uint64_t size)
{
    const uint64_t first = offset / SM_PAGE_SIZE;
    const uint64_t last = (offset + size - 1) / SM_PAGE_SIZE;
    struct sm_dirty_log *log = sm_load_acquire(&ram->logs); /* of sm_dirty_log_new() */

    for (; log; log = sm_load_acquire(&log->next))
        for (uint64_t i = first / 64; i <= last / 64; i++) {
            const uint64_t mask = part_of_unit(i, first, last);
            if ((sm_load_relaxed(&log->word[i]) & mask) != mask)
                return false;
        }
    return true;
}

/* The bytes of @section among @size at @gpa, which may begin before it; *offset in its
 * memory. */
static uint64_t inside(const struct sm_flat_section *section, sm_gpa gpa, uint64_t size,
                       uint64_t *offset)
{
    const sm_gpa first = SM_MAX(gpa, section->range.first);
    const sm_gpa last = SM_MIN(gpa + (size - 1), section->range.last);

    *offset = sm_flat_section_offset(section, first);
    return last - first + 1;
}

void sm_section_mark(const struct sm_flat_section *section, sm_gpa gpa, uint64_t size)
{
    struct sm_ram *const ram = section->region->ram;
    uint64_t offset;

    if (sm_load_relaxed(&ram->logs) || sm_load_relaxed(&ram->code)) {
        size = inside(section, gpa, size, &offset);
        sm_ram_mark(ram, offset, size);
    }
}

bool sm_section_is_marked(const struct sm_flat_section *section, sm_gpa gpa,
                          uint64_t size)
{
    struct sm_ram *const ram = section->region->ram;
    uint64_t offset;

    if (!sm_load_relaxed(&ram->logs) && !sm_load_relaxed(&ram->code))
        return true;
    size = inside(section, gpa, size, &offset);
    for (uint64_t i = offset / SM_PAGE_SIZE; i <= (offset + size - 1) / SM_PAGE_SIZE; i++)
        if (sm_ram_is_quiet(ram, i))
            return false;
    return ram_is_marked(ram, offset, size);
}

void sm_region_written(struct sm_region *region, struct sm_range range)
{
    struct sm_ram *const ram = region->ram;

    if (!ram || range.first >= ram->size)
        return;
    range.last = SM_MIN(range.last, ram->size - 1);
    sm_rcu_lock(); /* also of a thread that is no agent; and what it stored is seen */
    sm_ram_mark(ram, range.first, range.last - range.first + 1);
    sm_rcu_unlock();
    if (SM_UNLIKELY(sm_load_relaxed(&region->topo->exact_reserve)))
        sm_reserve_stored(region->topo, ram->host + range.first,
                          range.last - range.first + 1);
}

/* --- Lending ------------------------------------------------------------ */

enum { LENT_PARTLY = 1 << 7 }; /* in a note: of parts, not a slot */

static uint64_t pages_per_part(const struct sm_ram *ram)
{
    return units(pages_of(ram), SM_N_LENT_PARTS);
}

static bool claim(uint64_t *slot, uint64_t pages)
{
    uint64_t none = 0;
    return !sm_load_relaxed(slot) && sm_compare_exchange(slot, &none, pages);
}

uintptr_t sm_ram_lend(struct sm_ram *ram, uint64_t offset, uint64_t size)
{
    const uint64_t first = offset / SM_PAGE_SIZE;
    const uint64_t last = (offset + size - 1) / SM_PAGE_SIZE;
    const uint64_t per_part = pages_per_part(ram);
    const uint64_t from = first / per_part, to = last / per_part;
    uintptr_t note = 0;

    if (!ram->lent) { /* one page, and few care */
        sm_fetch_add(&ram->n_lent, 1);
        sm_fence(); /* as below */
        sm_ram_mark(ram, offset, size);
        return LENT_PARTLY;
    }
    /* Noted before it is marked: so a take that sees no note yet precedes the mark. */
    for (unsigned i = 0; !note && i < SM_N_LENT && last < UINT32_MAX; i++) {
        const unsigned slot = (unsigned)((first + i) % SM_N_LENT);
        if (claim(&ram->lent->stretch[slot], first << 32 | (last + 1)))
            note = slot + 1;
    }
    if (!note) {
        for (uint64_t part = from; part <= to; part++)
            sm_fetch_add(&ram->lent->part[part], 1);
        sm_fetch_add(&ram->n_lent, 1);
        note = (uintptr_t)(LENT_PARTLY | from << 8 | to << 16);
    }
    sm_fence(); /* with the one in sm_code_quieten(): it sees the note, or we its bit */
    sm_ram_mark(ram, offset, size);
    return note;
}

bool sm_ram_is_lent(const struct sm_ram *ram, uint64_t number)
{
    if (ram->lent) {
        for (unsigned i = 0; i < SM_N_LENT; i++) {
            /* Of claim(); gone, it was given back after the last store. */
            const uint64_t lent = sm_load_acquire(&ram->lent->stretch[i]);
            if (lent >> 32 <= number && number < (uint32_t)lent)
                return true;
        }
    }
    return sm_load_acquire(&ram->n_lent) && /* of sm_ram_lend() */
           (!ram->lent ||
            sm_load_acquire(&ram->lent->part[number / pages_per_part(ram)]));
}

void sm_ram_give_back(struct sm_ram *ram, uintptr_t note, uint64_t offset, uint64_t size)
{
    /* Marked before the note goes: what sees no note any more finds the mark.  In a
     * section, for sm_ram_drop_logs() waits for that: the region may be going. */
    sm_rcu_lock();
    sm_ram_mark(ram, offset, size);
    sm_rcu_unlock();
    if (!(note & LENT_PARTLY)) {
        sm_exchange(&ram->lent->stretch[note - 1], UINT64_C(0));
        return;
    }
    for (uintptr_t part = note >> 8 & 0xff; ram->lent && part <= (note >> 16 & 0xff);
         part++)
        sm_fetch_add(&ram->lent->part[part], UINT32_MAX);
    sm_fetch_add(&ram->n_lent, UINT32_MAX);
}

/* --- Taking ------------------------------------------------------------- */

/* A take under way.  What is numbered are pages. */
struct taking {
    struct sm_dirty_log *log;
    struct sm_range pages;
    sm_dirty_fn dirty;
    void *arg;
    uint64_t last; /* offset: highest of the region                            */
    struct sm_range lent[SM_N_LENT + SM_N_LENT_PARTS]; /* by .first            */
    unsigned n_lent, n_told;
    struct sm_range run;     /* found last, not reported yet                   */
    struct sm_range cleared; /* all that were set, and what is between         */
    bool any_run, any_cleared;
};

static void note_lent(struct taking *taking, struct sm_range lent)
{
    unsigned i;

    if (!sm_range_intersect(lent, taking->pages, &lent))
        return;
    for (i = taking->n_lent++; i && taking->lent[i - 1].first > lent.first; i--)
        taking->lent[i] = taking->lent[i - 1];
    taking->lent[i] = lent;
}

static void find_lent(struct taking *taking, struct sm_ram *ram)
{
    if (!ram->lent) {
        if (sm_load_acquire(&ram->n_lent)) /* of sm_ram_lend() */
            note_lent(taking, (struct sm_range){0, 0});
        return;
    }
    for (unsigned i = 0; i < SM_N_LENT; i++) {
        const uint64_t lent = sm_load_acquire(&ram->lent->stretch[i]); /* of claim() */
        if (lent)
            note_lent(taking, (struct sm_range){lent >> 32, (uint32_t)lent - 1});
    }
    if (!sm_load_acquire(&ram->n_lent))
        return;
    const uint64_t per_part = pages_per_part(ram);
    for (unsigned i = 0; i < SM_N_LENT_PARTS; i++)
        if (sm_load_acquire(&ram->lent->part[i]))
            note_lent(taking, (struct sm_range){i * per_part, (i + 1) * per_part - 1});
}

static void report(const struct taking *taking)
{
    struct sm_range bytes = {taking->run.first * SM_PAGE_SIZE,
                             taking->run.last * SM_PAGE_SIZE + (SM_PAGE_SIZE - 1)};

    bytes.last = SM_MIN(bytes.last, taking->last);
    if (taking->dirty)
        taking->dirty(taking->arg, &bytes);
}

/* Add a run that begins no earlier than those before. */
static void add_run(struct taking *taking, struct sm_range run)
{
    if (taking->any_run && run.first <= taking->run.last + 1) {
        taking->run.last = SM_MAX(taking->run.last, run.last);
        return;
    }
    if (taking->any_run)
        report(taking);
    taking->run = run;
    taking->any_run = true;
}

/* Add a run of pages whose bits were set, after what is lent before it. */
static void add_set(struct taking *taking, struct sm_range run)
{
    if (!taking->any_cleared)
        taking->cleared = run;
    taking->cleared.last = run.last;
    taking->any_cleared = true;
    while (taking->n_told < taking->n_lent &&
           taking->lent[taking->n_told].first <= run.first)
        add_run(taking, taking->lent[taking->n_told++]);
    add_run(taking, run);
}

static void take_word(struct taking *taking, uint64_t number)
{
    const uint64_t mask = part_of_unit(number, taking->pages.first, taking->pages.last);
    uint64_t *const word = &taking->log->word[number];
    uint64_t bits = sm_load_relaxed(word) & mask;

    if (bits)
        bits = sm_fetch_and(word, ~mask) & mask;
    while (bits) {
        const unsigned first = (unsigned)__builtin_ctzll(bits);
        const uint64_t clear = ~(bits >> first);
        const unsigned n = clear ? (unsigned)__builtin_ctzll(clear) : 64;
        const uint64_t page = number * 64 + first;
        add_set(taking, (struct sm_range){page, page + n - 1});
        bits &= ~(sm_mask(n) << first);
    }
}

/* Take the words that summary @number speaks of and that have pages of the range. */
static void take_unit(struct taking *taking, uint64_t number)
{
    const uint64_t first = taking->pages.first / 64, last = taking->pages.last / 64;
    const uint64_t mask = part_of_unit(number, first, last);
    uint64_t *const summary = &taking->log->summary[number];
    uint64_t words = sm_load_relaxed(summary) & mask, cut = 0;

    if (!words)
        return;
    /* A word that keeps some of its bits stays in the summary. */
    if (first / 64 == number && taking->pages.first % 64)
        cut |= UINT64_C(1) << first % 64;
    if (last / 64 == number && taking->pages.last % 64 != 63)
        cut |= UINT64_C(1) << last % 64;
    sm_fetch_and(summary, ~(words & ~cut));
    for (; words; words &= words - 1)
        take_word(taking, number * 64 + (unsigned)__builtin_ctzll(words));
}

struct look_again {
    const uint8_t *first, *last;
};

static void ask_again(struct sm_agent *agent, void *arg)
{
    const struct look_again *where = arg;

    if (agent->ops->rearm)
        agent->ops->rearm(agent, where->first, where->last);
}

/* Have the vCPUs report stores to what was cleared.  Returns the ticket. */
static sm_ticket rearm(const struct taking *taking)
{
    const struct sm_region *region = taking->log->region;
    const uint8_t *const host = region->ram->host;
    struct look_again where = {
        host + taking->cleared.first * SM_PAGE_SIZE,
        host + taking->cleared.last * SM_PAGE_SIZE + (SM_PAGE_SIZE - 1)};

    sm_topology_each_agent(region->topo, ask_again, &where);
    return sm_topology_issue(region->topo);
}

sm_ticket sm_dirty_log_take(struct sm_dirty_log *log, struct sm_range range,
                            sm_dirty_fn dirty, void *arg)
{
    struct sm_region *const region = log->region;
    struct taking taking = {.log = log, .dirty = dirty, .arg = arg};

    taking.last = sm_load_relaxed(&region->last); /* of sm_regions_apply() */
    taking.pages = (struct sm_range){range.first / SM_PAGE_SIZE,
                                     SM_MIN(range.last, taking.last) / SM_PAGE_SIZE};
    if (range.first > range.last || taking.pages.first > taking.pages.last)
        return log->ticket;
    find_lent(&taking, region->ram);
    for (uint64_t i = taking.pages.first / 4096; i <= taking.pages.last / 4096; i++)
        take_unit(&taking, i);
    while (taking.n_told < taking.n_lent)
        add_run(&taking, taking.lent[taking.n_told++]);
    if (taking.any_run)
        report(&taking);
    /* Where no bit was set, no vCPU stores unseen but those that were asked before. */
    if (taking.any_cleared) {
        log->ticket = rearm(&taking);
        if (SM_UNLIKELY(sm_load_relaxed(&region->topo->n_hear_cleared))) {
            const struct sm_range bytes = {
                taking.cleared.first * SM_PAGE_SIZE,
                taking.cleared.last * SM_PAGE_SIZE + (SM_PAGE_SIZE - 1)};
            sm_topology_lock(region->topo);
            sm_listeners_cleared(region, bytes);
            sm_topology_unlock(region->topo);
        }
    }
    return log->ticket;
}

/* --- Life --------------------------------------------------------------- */

static void set_all(struct sm_dirty_log *log, uint64_t n_pages)
{
    const uint64_t n_words = units(n_pages, 64);

    for (uint64_t i = 0; i < n_words; i++)
        log->word[i] = part_of_unit(i, 0, n_pages - 1);
    for (uint64_t i = 0; i < units(n_words, 64); i++)
        log->summary[i] = part_of_unit(i, 0, n_words - 1);
}

int sm_dirty_log_new(struct sm_region *ram, struct sm_dirty_log **out)
{
    struct sm_dirty_log *log;

    if (!ram->ram)
        return -EINVAL;
    const uint64_t n_pages = pages_of(ram->ram), n_words = units(n_pages, 64);
    log = sm_alloc(sizeof(*log) + (n_words + units(n_words, 64)) * sizeof(log->word[0]));
    if (!log)
        return -ENOMEM;
    log->region = ram;
    log->summary = log->word + n_words;
    set_all(log, n_pages);

    sm_topology_lock(ram->topo);
    sm_assert(!ram->topo->telling && !ram->now.given_up);
    const bool first = !ram->ram->logs;
    log->next = ram->ram->logs;
    sm_publish(&ram->ram->logs, log); /* to the acquires of those who mark */
    if (first)
        sm_listeners_logged(ram, true);
    sm_topology_unlock(ram->topo);
    *out = log;
    return 0;
}

static void log_retired(struct sm_retired *retired)
{
    sm_free(sm_container_of(retired, struct sm_dirty_log, retired));
}

void sm_dirty_log_free(struct sm_dirty_log *log)
{
    if (!log)
        return;
    struct sm_region *const region = log->region;
    struct sm_topology *const topo = region->topo;
    struct sm_dirty_log **link = &region->ram->logs;

    sm_topology_lock(topo);
    sm_assert(!topo->telling);
    while (*link != log)
        link = &(*link)->next;
    sm_publish(link, log->next); /* to the acquires of those who mark */
    if (!region->ram->logs)
        sm_listeners_logged(region, false);
    /* Whoever marks may have found it before. */
    sm_retire(topo, &log->retired, sm_topology_issue(topo), log_retired);
    sm_topology_unlock(topo);
}

void sm_ram_drop_logs(struct sm_ram *ram)
{
    struct sm_dirty_log *log = ram->logs, *next;
    struct sm_code_map *const code = ram->code;

    if (!log && !code)
        return;
    sm_store_relaxed(&ram->logs, NULL);
    sm_store_relaxed(&ram->code, NULL);
    /* A mapping may outlive its region, and just now be given back: of those that have
     * been, it is the acquire of sm_ram_put(). */
    if (sm_load_acquire(&ram->refs) > 1)
        sm_rcu_synchronize();
    for (; log; log = next) {
        next = log->next;
        sm_free(log);
    }
    sm_free(code);
}

uint32_t sm_ram_count_logs(const struct sm_ram *ram)
{
    uint32_t n = 0;

    for (const struct sm_dirty_log *log = sm_load_relaxed(&ram->logs); log;
         log = sm_load_relaxed(&log->next))
        n++;
    return n;
}
