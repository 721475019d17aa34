/* SPDX-License-Identifier: MIT */
/* code.c - records of pages that code was made of, and fences of code.
 *
 * Source: RISC-V Unprivileged, "Zifencei".
 */
#include "riscv/code.h"

#include "base/alloc.h"
#include "memory/flatview.h"
#include "riscv/translate.h"
#include "softmmu/region.h"
#include "tlb/tlb_code.h"

#include <errno.h>
#include <string.h>

enum {
    HASH_BITS = 12,
    BATCH = 512,          /* pages that are asked to be quiet at a time              */
    MAX_PATIENCE = 1 << 12,
    FENCES_PER_ASK = 8,   /* unless there are as many pages to ask as there is room  */
    FENCES_PER_LOOK = 4   /* whether a ticket is done                               */
};

struct rv_code {
    struct sm_topology *topo;
    const uint64_t *clock;  /* the watch's                                         */
    uint64_t seen;          /* of it                                               */
    struct rv_code_page **written;
    uint32_t n_written, max_written;
    uint32_t n_units;       /* of the written ones                                 */
    uint32_t cursor;        /* among them: where the next round goes on            */
    bool blind;             /* some code has no record                             */
    sm_ticket asked, done;  /* of the last batch; what is known to be done         */
    uint32_t limit;         /* units that a fence may compare at once              */
    uint64_t renewed;       /* units compared as they were entered, so far         */
    uint64_t n_fences;      /* that had anything to do                             */
    uint64_t next_ask;      /* by .n_fences                                        */
    unsigned n_batch;
    struct sm_code_page batch[BATCH];
    struct rv_code_page *asking[BATCH]; /* whose they are                           */
    const uint8_t *log[SM_CODE_LOG];
    struct rv_code_page *head[1 << HASH_BITS];
};

bool rv_code_equals(const uint8_t *copy, const uint8_t *host, unsigned size)
{
    unsigned n = 0;

    for (; n + 8 <= size; n += 8) {
        uint64_t eight;

        memcpy(&eight, copy + n, 8);
        if (eight != sm_host_load(host + n, 3))
            return false;
    }
    for (; n < size; n += 2) {
        uint16_t two;

        memcpy(&two, copy + n, 2);
        if (two != sm_host_load(host + n, 1))
            return false;
    }
    return true;
}

int rv_code_new(struct rv_hart *hart)
{
    struct rv_code *const code = sm_alloc(sizeof(*code));

    if (!code)
        return -ENOMEM;
    code->topo = sm_address_space_topology(hart->space);
    code->clock = sm_code_clock(code->topo);
    code->seen = sm_load_acquire(code->clock);
    code->limit = RV_CODE_EAGER;
    hart->code = code;
    return 0;
}

void rv_code_free(struct rv_hart *hart)
{
    struct rv_code *const code = hart->code;

    if (!code)
        return;
    for (unsigned i = 0; i < SM_ARRAY_LEN(code->head); i++) {
        while (code->head[i]) {
            struct rv_code_page *const page = code->head[i];

            code->head[i] = page->next;
            sm_free(page);
        }
    }
    sm_free(code->written);
    sm_free(code);
    hart->code = NULL;
}

/* --- Records -------------------------------------------------------------------------- */

static struct rv_code_page **head_of(struct rv_code *code, const uint8_t *page)
{
    const uint64_t number = (uintptr_t)page >> 6; /* pages of memory may lie anyhow */

    return &code->head[(number * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - HASH_BITS)];
}

static struct rv_code_page *find(struct rv_code *code, const uint8_t *host)
{
    struct rv_code_page *page = *head_of(code, host);

    while (page && page->memory.host != host)
        page = page->next;
    return page;
}

/** Put @page among the written ones.  Returns false when memory is out. */
static bool enlist(struct rv_code *code, struct rv_code_page *page)
{
    if (code->n_written == code->max_written) {
        const uint32_t max = code->max_written ? 2 * code->max_written : 64;
        void *const grown = sm_realloc(code->written, max * sizeof(struct rv_code_page *));

        if (!grown)
            return false;
        code->written = grown;
        code->max_written = max;
    }
    page->at = code->n_written;
    page->ticket = 0;
    page->unchanged = 0;
    code->written[code->n_written++] = page;
    code->n_units += page->n_units;
    return true;
}

/** Take @page from among the written ones. */
static void delist(struct rv_code *code, struct rv_code_page *page)
{
    struct rv_code_page *const last = code->written[--code->n_written];

    code->written[page->at] = last;
    last->at = page->at;
    page->at = RV_CODE_QUIET;
    code->n_units -= page->n_units;
}

/** Forget @page, of which there is no code any more. */
static void drop(struct rv_code *code, struct rv_code_page *page)
{
    struct rv_code_page **at = head_of(code, page->memory.host);

    if (page->at != RV_CODE_QUIET)
        delist(code, page);
    while (*at != page)
        at = &(*at)->next;
    *at = page->next;
    sm_free(page);
}

struct rv_code_page *rv_code_page_at(struct rv_hart *hart, uint64_t pc,
                                     const uint8_t *host)
{
    struct rv_code *const code = hart->code;
    struct rv_code_page *page;

    if (!code)
        return NULL;
    host -= pc & ~SM_PAGE_MASK;
    page = find(code, host);
    if (page)
        return page;
    page = sm_alloc(sizeof(*page));
    if (!page) {
        code->blind = true;
        return NULL;
    }
    page->patience = RV_CODE_UNCHANGED;
    if (!sm_tlb_code_page(hart->vcpu, hart->mode_fetch, pc, &page->memory))
        page->memory = (struct sm_code_page){.ram = NULL};
    page->memory.host = host;
    if (!enlist(code, page)) {
        sm_free(page);
        code->blind = true;
        return NULL;
    }
    page->next = *head_of(code, host);
    *head_of(code, host) = page;
    return page;
}

void rv_code_count(struct rv_hart *hart, struct rv_code_page *page, int change)
{
    page->n_units += (uint32_t)change;
    if (page->at != RV_CODE_QUIET)
        hart->code->n_units += (uint32_t)change;
}

/** Have @unlist take code of each page off a list, and forget pages that no code is of. */
static void unlist_all(struct rv_hart *hart, void (*unlist)(struct rv_code_page *page))
{
    struct rv_code *const code = hart->code;

    if (!code)
        return;
    for (unsigned i = 0; i < SM_ARRAY_LEN(code->head); i++) {
        struct rv_code_page *page, *next;

        for (page = code->head[i]; page; page = next) {
            next = page->next;
            unlist(page);
            if (!page->units && !page->blocks)
                drop(code, page);
        }
    }
    if (!code->n_written)
        code->cursor = 0;
}

void rv_code_forget_units(struct rv_hart *hart)
{
    struct rv_code *const code = hart->code;

    if (!code)
        return;
    for (uint32_t i = 0; i < code->n_written; i++)
        code->n_units -= code->written[i]->n_units;
    unlist_all(hart, rv_units_unlist);
}

void rv_code_forget_blocks(struct rv_hart *hart)
{
    unlist_all(hart, rv_blocks_unlist);
}

/* --- Fences --------------------------------------------------------------------------- */

/** Have all code compared as it is entered next. */
static void outdate_all(struct rv_hart *hart)
{
    hart->stats.code_fences_all++;
    hart->code_epoch++;
    rv_units_changed(hart);
}

/** @page was put into the log. */
static void rewritten(struct rv_code *code, struct rv_code_page *page)
{
    page->ticket = 0;
    page->unchanged = 0;
    if (page->at != RV_CODE_QUIET)
        return;
    if (page->patience < MAX_PATIENCE)
        page->patience = (uint16_t)(2 * page->patience);
    if (!enlist(code, page))
        code->blind = true;
}

/** Find out which pages were written to first since the last fence. */
static void take_log(struct rv_code *code)
{
    const uint64_t now = sm_load_acquire(code->clock); /* of cease() */
    const uint64_t from = code->seen;

    code->seen = now;
    if (now == from)
        return;
    if (sm_code_log_read(code->topo, from, now, code->log)) {
        for (uint64_t i = 0; i < now - from; i++) {
            struct rv_code_page *const page = find(code, code->log[i]);

            if (page)
                rewritten(code, page);
        }
        return;
    }
    for (unsigned i = 0; i < SM_ARRAY_LEN(code->head); i++) {
        struct rv_code_page *page;

        for (page = code->head[i]; page; page = page->next)
            rewritten(code, page);
    }
}

/** Whether @page, a written one, has become quiet: ask before it is compared. */
static bool is_quiet(const struct rv_code *code, struct rv_code_page *page)
{
    if (!page->ticket || page->ticket > code->done)
        return false;
    if (sm_code_is_quiet(&page->memory))
        return true;
    /* It is lent, or written: the log has that, but we had not asked when it was read. */
    page->ticket = 0;
    page->unchanged = 0;
    if (page->patience < MAX_PATIENCE)
        page->patience = (uint16_t)(2 * page->patience);
    return false;
}

static void note_for_batch(struct rv_code *code, struct rv_code_page *page)
{
    if (page->unchanged < page->patience || page->ticket || !page->memory.ram ||
        code->asked > code->done || code->n_batch == BATCH)
        return;
    code->asking[code->n_batch] = page;
    code->batch[code->n_batch++] = page->memory;
}

/** Compare what was made of @page, a written one.  It may be another's place then.
 *  Returns  how many units ended */
static unsigned compare(struct rv_hart *hart, struct rv_code_page *page)
{
    struct rv_code *const code = hart->code;
    const bool quiet = is_quiet(code, page);
    const unsigned n = rv_units_compare(hart, page);
    const bool in_use = page->units || page->blocks;

    rv_blocks_outdate(hart, page);
    if (quiet) {
        delist(code, page);
        return n;
    }
    /* Without code it may come into use again; but not what became something else. */
    if (!in_use && (n || page->patience > RV_CODE_UNCHANGED)) {
        drop(code, page);
        return n;
    }
    if (n)
        page->unchanged = 0;
    else if (page->unchanged < UINT16_MAX)
        page->unchanged++;
    note_for_batch(code, page);
    return n;
}

/** Ask for quiet, if there is reason to. */
static void ask(struct rv_code *code)
{
    if (!code->n_batch ||
        (code->n_batch < BATCH && code->n_fences < code->next_ask))
        return;
    code->asked = sm_code_quieten(code->topo, code->batch, code->n_batch);
    for (unsigned i = 0; i < code->n_batch; i++)
        code->asking[i]->ticket = code->asked;
    code->next_ask = code->n_fences + FENCES_PER_ASK;
}

/** Compare as many pages as a fence may, each once. */
static void compare_some(struct rv_hart *hart)
{
    struct rv_code *const code = hart->code;
    const uint32_t all = code->n_written;
    unsigned units = 0;

    for (uint32_t i = 0; i < all && i < code->limit && units < code->limit; i++) {
        if (!code->cursor || code->cursor > code->n_written)
            code->cursor = code->n_written;
        units += code->written[--code->cursor]->n_units;
        compare(hart, code->written[code->cursor]);
    }
}

/** Find how many units are to be compared at once rather than all as they are entered,
 *  which costs several times as much for each, but only for those that are. */
static void set_limit(struct rv_hart *hart)
{
    struct rv_code *const code = hart->code;
    const uint64_t n = hart->units_renewed - code->renewed;

    code->renewed = hart->units_renewed;
    if (n)
        code->limit = (uint32_t)SM_MIN(RV_CODE_EAGER + n * 4, (uint64_t)UINT32_MAX / 2);
    else /* it was not found out lately */
        code->limit -= (code->limit - RV_CODE_EAGER) / 8;
}

static SM_NOINLINE bool fence(struct rv_hart *hart)
{
    struct rv_code *const code = hart->code;
    bool ended = false;

    code->n_fences++;
    hart->stats.code_fences++;
    code->n_batch = 0;
    take_log(code);
    if (code->asked > code->done && code->n_fences % FENCES_PER_LOOK == 0 &&
        sm_ticket_done(code->topo, code->asked))
        code->done = code->asked;
    set_limit(hart);
    if (!code->blind && code->n_units <= code->limit) {
        /* From the last one on: whoever leaves gives his place to a later one. */
        for (uint32_t i = code->n_written; i--;)
            ended |= compare(hart, code->written[i]);
    } else {
        ended = true;
        outdate_all(hart);
        compare_some(hart);
    }
    ask(code);
    return ended;
}

bool rv_code_fence(struct rv_hart *hart)
{
    const struct rv_code *const code = hart->code;

    if (SM_UNLIKELY(!code)) {
        outdate_all(hart);
        return true;
    }
    /* Loads before the fence told of what the loads after it are to see. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (SM_LIKELY(!code->n_written && !code->blind &&
                  sm_load_acquire(code->clock) == code->seen)) /* of cease() */
        return false;
    return fence(hart);
}
