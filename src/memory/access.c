/* SPDX-License-Identifier: MIT */
/* access.c - single loads and stores of up to eight bytes. */
#include "base/bits.h"
#include "memory/memory_impl.h"
#include "memory/mmio.h"
#include "memory/ram_access.h"
#include "memory/reserve.h"
#include "memory/resolve.h"

/* The section that an agent found last, if all of an access lies in it; NULL: look it up.
 * Needs no reader: its ticket protects the agent. */
static const struct sm_flat_section *known(const struct sm_address_space *space,
                                           sm_gpa gpa, unsigned size)
{
    const struct sm_agent *agent = sm_thread.agent;

    if (!agent || agent->topo != space->topo || agent->view != sm_address_space_view(space))
        return NULL;
    const struct sm_flat_section *section = agent->section;
    const uint64_t offset = gpa - section->range.first;
    const uint64_t length = section->range.last - section->range.first;
    return offset <= length && length - offset >= size - 1 ? section : NULL;
}

/* Store to a section of memory, and tell the logs before. */
static void store_to(const struct sm_flat_section *section, sm_gpa gpa, unsigned size,
                     uint64_t value)
{
    sm_ram_mark(section->region->ram, sm_flat_section_offset(section, gpa), size);
    if (SM_UNLIKELY(sm_load_relaxed(&section->region->topo->exact_reserve)))
        sm_reserve_store(section->region->topo, sm_flat_section_host(section, gpa),
                         &value, size);
    else
        sm_store_sized(sm_flat_section_host(section, gpa), size, value);
}

/* As find(), where a translating region is to say who answers. */
static SM_NOINLINE const struct sm_flat_section *
find_beyond(struct sm_reader *reader, struct sm_address_space *space, sm_gpa *gpa,
            const struct sm_attrs *attrs, unsigned size, bool write, bool *split,
            enum sm_tx *tx)
{
    struct sm_resolved end;

    *tx = sm_resolve(reader, space, *gpa, attrs, write ? SM_WRITE : SM_READ, &end);
    if (*tx != SM_TX_OK)
        return NULL;
    *split = end.after < size - 1;
    if (*split)
        return NULL;
    *gpa = end.gpa;
    return end.section;
}

/* Find who answers all of an access; NULL, and a result, when nobody does.  *@split:
 * several do.  Pins @reader if the answer is a device.  *@gpa becomes its address in
 * the section's own space. */
static const struct sm_flat_section *find(struct sm_reader *reader,
                                          struct sm_address_space *space, sm_gpa *gpa,
                                          const struct sm_attrs *attrs, unsigned size,
                                          bool write, bool *split, enum sm_tx *tx)
{
    const struct sm_flat_section *section;

    *split = false;
    do {
        section = sm_address_space_section(space, *gpa);
        if (SM_UNLIKELY(!section)) {
            *tx = SM_TX_DECODE_ERROR;
            return NULL;
        }
        if (SM_UNLIKELY(section->range.last - *gpa < size - 1)) {
            *split = true;
            return NULL;
        }
        if (SM_LIKELY(section->host) || (section->rom && !write))
            return section;
        if (SM_UNLIKELY(section->translating))
            return find_beyond(reader, space, gpa, attrs, size, write, split, tx);
        if (attrs->flags & SM_ATTR_RAM_ONLY) {
            *tx = sm_mmio_refuse(section->region);
            return NULL;
        }
    } while (sm_reader_pin(reader));
    return section;
}

static SM_NOINLINE enum sm_tx load_slow(struct sm_address_space *space, sm_gpa gpa,
                                        const struct sm_attrs *attrs, unsigned size,
                                        uint64_t *value)
{
    struct sm_reader reader;
    enum sm_tx tx = SM_TX_OK;
    sm_gpa at = gpa;
    bool split;

    sm_reader_begin(&reader, space->topo);
    const struct sm_flat_section *section =
        find(&reader, space, &at, attrs, size, false, &split, &tx);
    if (SM_LIKELY(section)) {
        const uint8_t *host = sm_flat_section_readable(section, at);
        if (host)
            *value = sm_load_sized(host, size);
        else
            tx = sm_mmio_read(section->region, sm_flat_section_offset(section, at), size,
                              attrs, value);
    }
    sm_reader_end(&reader);
    if (SM_UNLIKELY(split)) {
        uint64_t bytes = 0;
        tx = sm_address_space_read(space, gpa, attrs, &bytes, size, NULL);
        if (tx == SM_TX_OK)
            *value = bytes;
    }
    return tx;
}

enum sm_tx sm_address_space_load(struct sm_address_space *space, sm_gpa gpa,
                                 const struct sm_attrs *attrs, unsigned size,
                                 uint64_t *value)
{
    sm_assert_hot(!sm_thread_holds_device() ||
                  (attrs->flags & SM_ATTR_RAM_ONLY)); /* L2 */
    sm_assert_hot(sm_is_pow2(size) && size <= 8);
    const struct sm_flat_section *section = known(space, gpa, size);
    if (SM_UNLIKELY(!section))
        return load_slow(space, gpa, attrs, size, value);
    const uint8_t *host = sm_flat_section_readable(section, gpa);
    if (!host && SM_UNLIKELY(section->translating))
        return load_slow(space, gpa, attrs, size, value);
    if (!host)
        return sm_mmio_read(section->region, sm_flat_section_offset(section, gpa), size,
                            attrs, value);
    *value = sm_load_sized(host, size);
    return SM_TX_OK;
}

static SM_NOINLINE enum sm_tx store_slow(struct sm_address_space *space, sm_gpa gpa,
                                         const struct sm_attrs *attrs, unsigned size,
                                         uint64_t value)
{
    struct sm_reader reader;
    enum sm_tx tx = SM_TX_OK;
    sm_gpa at = gpa;
    bool split;

    sm_reader_begin(&reader, space->topo);
    const struct sm_flat_section *section =
        find(&reader, space, &at, attrs, size, true, &split, &tx);
    if (SM_LIKELY(section)) {
        if (SM_UNLIKELY(section->readonly) && !(attrs->flags & SM_ATTR_DEBUG))
            tx = SM_TX_ACCESS_ERROR;
        else if (section->host)
            store_to(section, at, size, value);
        else
            tx = sm_mmio_write(section->region, sm_flat_section_offset(section, at),
                               size, attrs, value);
    }
    sm_reader_end(&reader);
    return SM_UNLIKELY(split)
               ? sm_address_space_write(space, gpa, attrs, &value, size, NULL)
               : tx;
}

enum sm_tx sm_address_space_store(struct sm_address_space *space, sm_gpa gpa,
                                  const struct sm_attrs *attrs, unsigned size,
                                  uint64_t value)
{
    sm_assert_hot(!sm_thread_holds_device() ||
                  (attrs->flags & SM_ATTR_RAM_ONLY)); /* L2 */
    sm_assert_hot(sm_is_pow2(size) && size <= 8);
    const struct sm_flat_section *section = known(space, gpa, size);
    if (SM_UNLIKELY(!section || section->readonly))
        return store_slow(space, gpa, attrs, size, value);
    if (!section->host && SM_UNLIKELY(section->translating))
        return store_slow(space, gpa, attrs, size, value);
    if (!section->host)
        return sm_mmio_write(section->region, sm_flat_section_offset(section, gpa), size,
                             attrs, value);
    store_to(section, gpa, size, value);
    return SM_TX_OK;
}
