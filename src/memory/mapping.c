/* SPDX-License-Identifier: MIT */
/* mapping.c - lends RAM to callers. */
#include "memory/memory_impl.h"

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
    if (!section) {
        tx = SM_TX_DECODE_ERROR;
    } else if (!(access == SM_WRITE ? section->host
                                    : sm_flat_section_readable(section, gpa)) ||
               (access == SM_WRITE && section->readonly &&
                                  !(attrs->flags & SM_ATTR_DEBUG))) {
        tx = SM_TX_ACCESS_ERROR;
    } else {
        const uint64_t after = section->range.last - gpa; /* bytes behind this one */
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
    }
    sm_reader_end(&reader);
    return tx;
}

void sm_mapping_release(struct sm_mapping *mapping)
{
    struct sm_ram *const ram = (struct sm_ram *)mapping->reserved[0];

    if (mapping->reserved[1])
        sm_ram_give_back(ram, mapping->reserved[1],
                         (uint64_t)((uint8_t *)mapping->host - ram->host), mapping->size);
    sm_ram_put(ram);
    *mapping = (struct sm_mapping){0};
}
