/* SPDX-License-Identifier: MIT */
/* plic.c - platform-level interrupt controller with level-triggered gateways.
 *
 * Layer:    devices
 * Source:   RISC-V Platform-Level Interrupt Controller Specification 1.0.0
 * Threads:  any device raises a source while it holds its own lock, so all state
 *           here is under one leaf mutex and the region is called without the
 *           device's lock.  The lines of harts are set under the mutex too: two
 *           threads could otherwise deliver their levels in the wrong order.
 *
 * A gateway forwards a request when its line is high and the last request that it
 * forwarded has been completed.  A request once forwarded stays pending when the
 * line falls: it is the handler that finds nothing to do.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/bits.h"
#include "devices/devices.h"

enum {
    MAX_SOURCES = 1024,  /* source 0 included, which does not exist                */
    MAX_CONTEXTS = 1024, /* what the region's size holds                           */
    N_WORDS = MAX_SOURCES / 32,

    PLIC_SIZE = 0x600000,
    PRIORITY_BASE = 0,
    PENDING_BASE = 0x1000,
    ENABLE_BASE = 0x2000,
    ENABLE_STRIDE = 0x80,
    CONTEXT_BASE = 0x200000,
    CONTEXT_STRIDE = 0x1000,
    CONTEXT_THRESHOLD = 0,
    CONTEXT_CLAIM = 4
};
SM_STATIC_ASSERT(CONTEXT_BASE + MAX_CONTEXTS * CONTEXT_STRIDE == PLIC_SIZE,
                 "PLIC layout");

struct plic {
    struct sm_device *device;
    struct sm_region *region;
    pthread_mutex_t lock; /* leaf                                                  */
    unsigned n_sources, n_words, n_contexts;
    uint32_t max_priority;
    struct dev_line *out;  /* [n_contexts]                                         */
    bool *out_level;       /* [n_contexts], as last set                            */
    uint32_t wire[N_WORDS]; /* levels of the sources: theirs, so not reset         */
    uint32_t pending[N_WORDS];
    uint32_t claimed[N_WORDS]; /* forwarded, claimed, not yet completed            */
    uint32_t priority[MAX_SOURCES];
    uint32_t enable[MAX_CONTEXTS * N_WORDS];
    uint32_t threshold[MAX_CONTEXTS];
};

static const struct dev_field plic_fields[] = {
    DEV_ARRAY(struct plic, pending, 0),   DEV_ARRAY(struct plic, claimed, 0),
    DEV_ARRAY(struct plic, priority, 0),  DEV_ARRAY(struct plic, enable, 0),
    DEV_ARRAY(struct plic, threshold, 0),
};

static bool bit_get(const uint32_t *bits, unsigned n)
{
    return bits[n / 32] >> (n % 32) & 1;
}

static void bit_set(uint32_t *bits, unsigned n, bool value)
{
    const uint32_t mask = UINT32_C(1) << (n % 32);

    bits[n / 32] = value ? bits[n / 32] | mask : bits[n / 32] & ~mask;
}

static uint32_t *enable_of(struct plic *plic, unsigned context)
{
    return &plic->enable[context * N_WORDS];
}

/** The pending source of highest priority above @floor that @context has enabled,
 *  of equal ones the lowest; 0 if none. */
static unsigned best_source(struct plic *plic, unsigned context, uint32_t floor)
{
    const uint32_t *enable = enable_of(plic, context);
    unsigned best = 0;

    for (unsigned word = 0; word < plic->n_words; word++) {
        uint32_t bits = plic->pending[word] & enable[word];

        for (; bits; bits &= bits - 1) {
            const unsigned n = word * 32 + (unsigned)__builtin_ctz(bits);

            if (plic->priority[n] > floor) {
                best = n;
                floor = plic->priority[n];
            }
        }
    }
    return best;
}

static void drive(struct plic *plic, unsigned context, bool level)
{
    if (plic->out_level[context] != level) {
        plic->out_level[context] = level;
        dev_line_set(&plic->out[context], level);
    }
}

static void update_context(struct plic *plic, unsigned context)
{
    drive(plic, context, best_source(plic, context, plic->threshold[context]) != 0);
}

static void update_all(struct plic *plic)
{
    for (unsigned context = 0; context < plic->n_contexts; context++)
        update_context(plic, context);
}

/** Gateway of source @n: forward a request if there is one to forward. */
static void sample(struct plic *plic, unsigned n)
{
    if (!bit_get(plic->wire, n) || bit_get(plic->claimed, n) || bit_get(plic->pending, n))
        return;
    bit_set(plic->pending, n, true);
    for (unsigned context = 0; context < plic->n_contexts; context++) {
        if (bit_get(enable_of(plic, context), n) &&
            plic->priority[n] > plic->threshold[context])
            drive(plic, context, true);
    }
}

static void source_set(void *owner, unsigned n, bool level)
{
    struct plic *plic = owner;

    pthread_mutex_lock(&plic->lock);
    bit_set(plic->wire, n, level);
    sample(plic, n);
    pthread_mutex_unlock(&plic->lock);
}

struct dev_line plic_source(struct plic *plic, unsigned n)
{
    sm_assert(n >= 1 && n <= plic->n_sources);
    return (struct dev_line){.set = source_set, .owner = plic, .n = n};
}

/** A claim looks past the threshold, and never finds priority 0. */
static unsigned claim(struct plic *plic, unsigned context)
{
    const unsigned n = best_source(plic, context, 0);

    if (n) {
        bit_set(plic->pending, n, false);
        bit_set(plic->claimed, n, true);
        update_all(plic);
    }
    return n;
}

/** A completion by a context that has not enabled the source is ignored. */
static void complete(struct plic *plic, unsigned context, uint32_t n)
{
    if (n < 1 || n > plic->n_sources || !bit_get(enable_of(plic, context), n))
        return;
    bit_set(plic->claimed, n, false);
    sample(plic, n);
}

/* --- Registers -------------------------------------------------------------------- */

/** Bits of word @word that stand for a source. */
static uint32_t source_mask(const struct plic *plic, unsigned word)
{
    uint32_t mask = UINT32_MAX;

    if (word == plic->n_sources / 32)
        mask = (uint32_t)sm_mask(plic->n_sources % 32 + 1);
    else if (word > plic->n_sources / 32)
        mask = 0;
    return word == 0 ? mask & ~UINT32_C(1) : mask;
}

/** Read without a claim; the claim register reads as what a claim would give. */
static uint32_t read_plain(struct plic *plic, uint64_t offset)
{
    if (offset < PENDING_BASE)
        return plic->priority[offset / 4];
    if (offset < ENABLE_BASE)
        return offset - PENDING_BASE < N_WORDS * 4
                   ? plic->pending[(offset - PENDING_BASE) / 4]
                   : 0;
    if (offset < CONTEXT_BASE) {
        const uint64_t context = (offset - ENABLE_BASE) / ENABLE_STRIDE;
        const uint64_t word = (offset - ENABLE_BASE) % ENABLE_STRIDE / 4;

        return context < plic->n_contexts ? enable_of(plic, (unsigned)context)[word] : 0;
    }
    {
        const unsigned context = (unsigned)((offset - CONTEXT_BASE) / CONTEXT_STRIDE);
        const uint64_t reg = (offset - CONTEXT_BASE) % CONTEXT_STRIDE;

        if (context >= plic->n_contexts)
            return 0;
        if (reg == CONTEXT_THRESHOLD)
            return plic->threshold[context];
        return reg == CONTEXT_CLAIM ? best_source(plic, context, 0) : 0;
    }
}

static enum sm_tx plic_peek(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
    struct plic *plic = dev;

    pthread_mutex_lock(&plic->lock);
    *value = read_plain(plic, offset);
    pthread_mutex_unlock(&plic->lock);
    return SM_TX_OK;
}

static enum sm_tx plic_read(void *dev, uint64_t offset, unsigned size,
                            const struct sm_attrs *attrs, uint64_t *value)
{
    struct plic *plic = dev;
    const uint64_t context = (offset - CONTEXT_BASE) / CONTEXT_STRIDE;

    pthread_mutex_lock(&plic->lock);
    if (offset >= CONTEXT_BASE && context < plic->n_contexts &&
        offset % CONTEXT_STRIDE == CONTEXT_CLAIM)
        *value = claim(plic, (unsigned)context);
    else
        *value = read_plain(plic, offset);
    pthread_mutex_unlock(&plic->lock);
    return SM_TX_OK;
}

/** The bits of a priority that exist: those of the highest one. */
static uint32_t legal_priority(const struct plic *plic, uint64_t value)
{
    const uint32_t mask = (uint32_t)sm_mask(sm_log2(plic->max_priority) + 1);

    return SM_MIN((uint32_t)value & mask, plic->max_priority);
}

static void write_context(struct plic *plic, unsigned context, uint64_t reg,
                          uint64_t value)
{
    if (context >= plic->n_contexts)
        return;
    if (reg == CONTEXT_THRESHOLD) {
        plic->threshold[context] = legal_priority(plic, value);
        update_context(plic, context);
    } else if (reg == CONTEXT_CLAIM) {
        complete(plic, context, (uint32_t)value);
    }
}

static enum sm_tx plic_write(void *dev, uint64_t offset, unsigned size,
                             const struct sm_attrs *attrs, uint64_t value)
{
    struct plic *plic = dev;

    pthread_mutex_lock(&plic->lock);
    if (offset < PENDING_BASE) {
        const unsigned n = (unsigned)(offset / 4);

        if (n >= 1 && n <= plic->n_sources) {
            plic->priority[n] = legal_priority(plic, value);
            update_all(plic);
        }
    } else if (offset >= CONTEXT_BASE) {
        write_context(plic, (unsigned)((offset - CONTEXT_BASE) / CONTEXT_STRIDE),
                      (offset - CONTEXT_BASE) % CONTEXT_STRIDE, value);
    } else if (offset >= ENABLE_BASE) {
        const uint64_t context = (offset - ENABLE_BASE) / ENABLE_STRIDE;
        const unsigned word = (unsigned)((offset - ENABLE_BASE) % ENABLE_STRIDE / 4);

        if (context < plic->n_contexts) {
            enable_of(plic, (unsigned)context)[word] =
                (uint32_t)value & source_mask(plic, word);
            update_context(plic, (unsigned)context);
        }
    } /* pending bits are read-only */
    pthread_mutex_unlock(&plic->lock);
    return SM_TX_OK;
}
SM_STATIC_ASSERT(PENDING_BASE == MAX_SOURCES * 4, "a priority for each source");
SM_STATIC_ASSERT(ENABLE_STRIDE == N_WORDS * 4, "a bit for each source");

static const struct sm_io_ops plic_ops = {
    .struct_size = sizeof(struct sm_io_ops),
    .flags = SM_IO_LOCKLESS,
    .read = plic_read, .write = plic_write, .peek = plic_peek,
    .accepts = {4, 4, false}, .implements = {4, 4, false},
};

/* --- Life ------------------------------------------------------------------------- */

static void model_reset(void *device)
{
    plic_reset(device);
}

static void model_free(void *device)
{
    plic_free(device);
}

const struct dev_model plic_model = {
    .type = "plic", .fields = plic_fields, .n_fields = SM_ARRAY_LEN(plic_fields),
    .reset = model_reset, .free = model_free,
};

int plic_new(const struct plic_options *options, struct plic **out)
{
    struct plic *plic;
    int error = -ENOMEM;

    if (!options->n_sources || options->n_sources >= MAX_SOURCES ||
        !options->n_contexts || options->n_contexts > MAX_CONTEXTS ||
        !options->n_priorities)
        return -EINVAL;
    plic = calloc(1, sizeof(*plic));
    if (!plic)
        return -ENOMEM;
    pthread_mutex_init(&plic->lock, NULL);
    plic->n_sources = options->n_sources;
    plic->n_words = options->n_sources / 32 + 1;
    plic->n_contexts = options->n_contexts;
    plic->max_priority = options->n_priorities;
    plic->out = calloc(plic->n_contexts, sizeof(*plic->out));
    plic->out_level = calloc(plic->n_contexts, sizeof(*plic->out_level));
    if (plic->out && plic->out_level)
        error = sm_device_new(options->topo, "plic", plic, &plic->device);
    if (!error)
        error = sm_region_new_io(plic->device, "plic", PLIC_SIZE - 1, &plic_ops,
                                 &plic->region);
    if (error) {
        plic_free(plic);
        return error;
    }
    for (unsigned context = 0; context < plic->n_contexts; context++)
        plic->out[context] = options->out[context];
    *out = plic;
    return 0;
}

void plic_free(struct plic *plic)
{
    if (!plic)
        return;
    dev_region_free(plic->region);
    dev_device_free(plic->device);
    pthread_mutex_destroy(&plic->lock);
    free(plic->out);
    free(plic->out_level);
    free(plic);
}

void plic_reset(struct plic *plic)
{
    pthread_mutex_lock(&plic->lock);
    dev_fields_reset(plic, plic_fields, SM_ARRAY_LEN(plic_fields));
    for (unsigned context = 0; context < plic->n_contexts; context++) {
        plic->out_level[context] = false;
        dev_line_set(&plic->out[context], false);
    }
    for (unsigned n = 1; n <= plic->n_sources; n++)
        sample(plic, n);
    pthread_mutex_unlock(&plic->lock);
}

struct sm_region *plic_region(struct plic *plic)
{
    return plic->region;
}
