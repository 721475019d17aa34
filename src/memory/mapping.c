/* SPDX-License-Identifier: MIT */
/* mapping.c - lends RAM to callers. */
#include "memory/memory_impl.h"
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
        sm_ram_get(section->region->ram);
        *out = (struct sm_mapping){
            .host = section->region->ram->host + sm_flat_section_offset(section, gpa),
            .size = after < size ? after + 1 : size,
            .reserved = {(uintptr_t)section->region->ram, 0},
        };
    }
    sm_reader_end(&reader);
    return tx;
}

void sm_mapping_release(struct sm_mapping *mapping)
{
    sm_ram_put((struct sm_ram *)mapping->reserved[0]);
    *mapping = (struct sm_mapping){0};
}
