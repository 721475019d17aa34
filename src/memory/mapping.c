/* SPDX-License-Identifier: MIT */
/* mapping.c - lends RAM to callers, or a buffer where there is none.
 *
 * A mapping that is RAM holds a reference to it; one that is a buffer, the buffer, and a
 * bit that says so.
 */
#include "base/alloc.h"
#include "memory/memory_impl.h"
#include "memory/reserve.h"
#include "memory/resolve.h"

enum sm_tx sm_address_space_map(struct sm_address_space *space, sm_gpa gpa,
                                const struct sm_attrs *attrs, uint64_t size,
                                enum sm_access access, struct sm_mapping *out)
{
    enum sm_tx tx = SM_TX_OK;
    struct sm_reader reader;

    if (!size)
        return SM_TX_ACCESS_ERROR;
    sm_reader_begin(&reader, space->topo);
    const struct sm_flat_section *section = sm_address_space_section(space, gpa);
    uint64_t after = section ? section->range.last - gpa : 0; /* bytes behind this one */
    if (section && section->translating) {
        struct sm_resolved end;
        tx = sm_resolve(&reader, space, gpa, attrs, access, &end);
        section = end.section;
        gpa = end.gpa;
        after = end.after;
    }
    if (tx != SM_TX_OK) {
        /* refused on the way */
    } else if (!section) {
        tx = SM_TX_DECODE_ERROR;
    } else if (!(access == SM_WRITE ? section->host
                                    : sm_flat_section_readable(section, gpa)) ||
               (access == SM_WRITE && section->readonly &&
                                  !(attrs->flags & SM_ATTR_DEBUG))) {
        tx = SM_TX_ACCESS_ERROR;
    } else {
        const uint64_t offset = sm_flat_section_offset(section, gpa);
        struct sm_ram *const ram = section->region->ram;
        sm_ram_get(ram);
        *out = (struct sm_mapping){
            .host = ram->host + offset,
            .size = after < size ? after + 1 : size,
            .reserved = {(uintptr_t)ram, 0},
        };
        if (access == SM_WRITE)
            out->reserved[1] = sm_ram_lend(ram, offset, out->size);
        if (SM_UNLIKELY(access == SM_WRITE && sm_load_relaxed(&space->topo->exact_reserve)))
            sm_reserve_stored(space->topo, out->host, out->size);
    }
    sm_reader_end(&reader);
    return tx;
}

/* --- Buffers ------------------------------------------------------------ */

/* Stands in for memory of a guest that is not RAM. */
struct bounce {
    struct sm_address_space *space;
    sm_gpa gpa;
    struct sm_attrs attrs;
    bool write;
    _Alignas(16) uint8_t byte[]; /* as the borrower would find it in RAM       */
};

#define IS_BOUNCE ((uintptr_t)1)

static struct bounce *bounce_of(const struct sm_mapping *mapping)
{
    const uintptr_t held = mapping->reserved[0];
    return held & IS_BOUNCE ? (struct bounce *)(held & ~IS_BOUNCE) : NULL;
}

/* How many bytes from @gpa one buffer stands in for, up to @size; or why none. */
static enum sm_tx bounce_size(struct sm_address_space *space, sm_gpa gpa,
                              const struct sm_attrs *attrs, enum sm_access access,
                              uint64_t *size)
{
    struct sm_section section;

    if (!*size || (attrs->flags & SM_ATTR_RAM_ONLY))
        return SM_TX_ACCESS_ERROR;
    if (!sm_address_space_lookup(space, gpa, &section))
        return SM_TX_DECODE_ERROR;
    if (access == SM_WRITE && section.readonly && !(attrs->flags & SM_ATTR_DEBUG))
        return SM_TX_ACCESS_ERROR;
    *size = SM_MIN(*size, (uint64_t)SM_BOUNCE_MAX);
    if (section.range.last - gpa < *size)
        *size = section.range.last - gpa + 1; /* RAM behind it is lent as such */
    return SM_TX_OK;
}

static enum sm_tx bounce_new(struct sm_address_space *space, sm_gpa gpa,
                             const struct sm_attrs *attrs, uint64_t size,
                             enum sm_access access, struct sm_mapping *out)
{
    enum sm_tx tx = bounce_size(space, gpa, attrs, access, &size);

    if (tx != SM_TX_OK)
        return tx;
    struct bounce *bounce = sm_alloc(sizeof(*bounce) + size);
    if (!bounce)
        return SM_TX_DEVICE_ERROR;
    bounce->space = space;
    bounce->gpa = gpa;
    bounce->attrs = *attrs;
    bounce->write = access == SM_WRITE;
    if (!bounce->write) {
        tx = sm_address_space_read(space, gpa, attrs, bounce->byte, size, &size);
        if (!size) {
            sm_free(bounce);
            return tx;
        }
    }
    *out = (struct sm_mapping){
        .host = bounce->byte,
        .size = size,
        .reserved = {(uintptr_t)bounce | IS_BOUNCE, 0},
    };
    return SM_TX_OK;
}

enum sm_tx sm_address_space_borrow(struct sm_address_space *space, sm_gpa gpa,
                                   const struct sm_attrs *attrs, uint64_t size,
                                   enum sm_access access, struct sm_mapping *out)
{
    const enum sm_tx tx = sm_address_space_map(space, gpa, attrs, size, access, out);

    return tx == SM_TX_ACCESS_ERROR ? bounce_new(space, gpa, attrs, size, access, out)
                                    : tx;
}

/* --- Giving back -------------------------------------------------------- */

void sm_mapping_release(struct sm_mapping *mapping)
{
    struct bounce *bounce = bounce_of(mapping);

    if (bounce) {
        sm_free(bounce);
    } else {
        struct sm_ram *const ram = (struct sm_ram *)mapping->reserved[0];
        if (mapping->reserved[1])
            sm_ram_give_back(ram, mapping->reserved[1],
                             (uint64_t)((uint8_t *)mapping->host - ram->host),
                             mapping->size);
        sm_ram_put(ram);
    }
    *mapping = (struct sm_mapping){0};
}

enum sm_tx sm_mapping_finish(struct sm_mapping *mapping, uint64_t written, uint64_t *done)
{
    const struct bounce *bounce = bounce_of(mapping);
    const uint64_t size = SM_MIN(written, mapping->size);
    enum sm_tx tx = SM_TX_OK;
    uint64_t moved = size;

    if (bounce) {
        moved = 0;
        if (bounce->write && size)
            tx = sm_address_space_write(bounce->space, bounce->gpa, &bounce->attrs,
                                        bounce->byte, size, &moved);
    }
    if (done)
        *done = moved;
    sm_mapping_release(mapping);
    return tx;
}
