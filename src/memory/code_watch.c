/* SPDX-License-Identifier: MIT */
/* code_watch.c - keeps which pages of code are quiet, and the log of those that cease. */
#include "memory/code_watch.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "memory/flatview.h"
#include "memory/memory_impl.h"

/* --- Ceasing -------------------------------------------------------------------------- */

/* Put the pages among @mask of word @number that are quiet into the log, and take their
 * bits away.  Watch locked. */
static void cease(struct sm_code_watch *watch, struct sm_ram *ram, uint64_t number,
                  uint64_t mask)
{
    struct sm_code_map *const map = ram->code;
    const uint64_t bits = sm_load_relaxed(&map->quiet[number]) & mask;

    for (uint64_t left = bits; left; left &= left - 1) {
        const uint64_t page = number * 64 + (unsigned)__builtin_ctzll(left);

        sm_store_relaxed(&watch->log[watch->clock % SM_CODE_LOG],
                         (uintptr_t)ram->host + page * SM_PAGE_SIZE);
        /* To who reads the log, and to who sees the bit gone. */
        sm_publish(&watch->clock, watch->clock + 1);
    }
    if (bits)
        sm_fetch_and(&map->quiet[number], ~bits);
}

static uint64_t mask_of(uint64_t number, uint64_t first, uint64_t last)
{
    const uint64_t from = first > number * 64 ? first - number * 64 : 0;
    const uint64_t to = SM_MIN(last - number * 64, UINT64_C(63));

    return sm_mask((unsigned)to + 1) & ~sm_mask((unsigned)from);
}

void sm_ram_mark_code(struct sm_ram *ram, uint64_t offset, uint64_t size)
{
    const uint64_t first = offset / SM_PAGE_SIZE;
    const uint64_t last = (offset + size - 1) / SM_PAGE_SIZE;
    struct sm_code_map *const map = sm_load_acquire(&ram->code); /* of make_map() */

    for (uint64_t i = first / 64; map && i <= last / 64; i++) {
        const uint64_t mask = mask_of(i, first, last);

        /* Who finds it gone stores after what cease() put into the log. */
        if (SM_LIKELY(!(sm_load_acquire(&map->quiet[i]) & mask)))
            continue;
        sm_lock(&map->watch->lock);
        cease(map->watch, ram, i, mask);
        sm_unlock(&map->watch->lock);
    }
}

/* --- Beginning ------------------------------------------------------------------------ */

/* Watch locked.  Returns NULL when memory is out. */
static struct sm_code_map *make_map(struct sm_code_watch *watch, struct sm_ram *ram)
{
    const uint64_t n_pages = (ram->size - 1) / SM_PAGE_SIZE + 1;
    struct sm_code_map *map = ram->code;

    if (!map) {
        map = sm_alloc(sizeof(*map) + (n_pages + 63) / 64 * sizeof(map->quiet[0]));
        if (!map)
            return NULL;
        map->watch = watch;
        sm_publish(&ram->code, map); /* to the acquires of those who look at bits */
    }
    return map;
}

/* Take back what was set of pages that are lent.  Nobody relies on it yet. */
static void spare_lent(const struct sm_code_page *page)
{
    if (sm_ram_is_lent(page->ram, page->number))
        sm_fetch_and(&page->ram->code->quiet[page->number / 64],
                     ~(UINT64_C(1) << page->number % 64));
}

struct where {
    const uint8_t *first, *last;
};

static void ask_again(struct sm_agent *agent, void *arg)
{
    const struct where *where = arg;

    if (agent->ops->rearm)
        agent->ops->rearm(agent, where->first, where->last);
}

sm_ticket sm_code_quieten(struct sm_topology *topo, const struct sm_code_page *pages,
                          unsigned n)
{
    struct sm_code_watch *const watch = &topo->code;
    struct where where = {.first = NULL};
    sm_ticket ticket;

    sm_lock(&watch->lock);
    for (unsigned i = 0; i < n; i++) {
        const struct sm_code_page *const page = &pages[i];
        struct sm_code_map *const map = make_map(watch, page->ram);
        const uint64_t bit = UINT64_C(1) << page->number % 64;

        if (!map || (sm_load_relaxed(&map->quiet[page->number / 64]) & bit))
            continue; /* what made it quiet has its ticket already */
        sm_fetch_or(&map->quiet[page->number / 64], bit);
        where.first = !where.first || page->host < where.first ? page->host : where.first;
        where.last = SM_MAX(where.last, page->host + (SM_PAGE_SIZE - 1));
    }
    if (where.first) {
        sm_fence(); /* with the one in sm_ram_lend() */
        for (unsigned i = 0; i < n; i++)
            if (pages[i].ram->code)
                spare_lent(&pages[i]);
        sm_topology_each_agent(topo, ask_again, &where);
        watch->ticket = sm_topology_issue(topo);
    }
    ticket = watch->ticket;
    sm_unlock(&watch->lock);
    return ticket;
}

/* --- Asking --------------------------------------------------------------------------- */

bool sm_code_page_of(const struct sm_flat_section *section, sm_gpa gpa,
                     struct sm_code_page *out)
{
    const uint8_t *const host =
        section->translating ? NULL : sm_flat_section_readable(section, gpa);
    struct sm_ram *const ram = section->region->ram;

    if (!host || !ram || host < ram->host)
        return false;
    const uint64_t offset = (uint64_t)(host - ram->host);
    /* What lies across pages of memory would be quiet by two bits. */
    if (offset % SM_PAGE_SIZE || offset >= ram->size ||
        section->range.last - gpa < SM_PAGE_SIZE - 1)
        return false;
    *out = (struct sm_code_page){ram, offset / SM_PAGE_SIZE, host};
    return true;
}

bool sm_code_is_quiet(const struct sm_code_page *page)
{
    return sm_ram_is_quiet(page->ram, page->number);
}

const uint64_t *sm_code_clock(const struct sm_topology *topo)
{
    return &topo->code.clock;
}

bool sm_code_log_read(const struct sm_topology *topo, uint64_t from, uint64_t to,
                      const uint8_t *host[SM_CODE_LOG])
{
    const struct sm_code_watch *const watch = &topo->code;

    if (to - from >= SM_CODE_LOG)
        return false;
    for (uint64_t i = from; i < to; i++)
        host[i - from] = (const uint8_t *)sm_load_relaxed(&watch->log[i % SM_CODE_LOG]);
    sm_fence(); /* nothing was written over what we read, if the clock says so now */
    return sm_load_acquire(&watch->clock) - from < SM_CODE_LOG;
}
