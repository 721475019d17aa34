/* SPDX-License-Identifier: MIT */
/* view.c - lists the sections of a flat view. */
#include "inspect/view.h"

#include "memory/iommu_impl.h"

#include <inttypes.h>

/* Reads of a ROM device may be of its memory, or calls. */
static bool is_calls(const struct sm_flat_section *section)
{
    return section->region->kind == SM_REGION_ROM_DEVICE && !section->rom;
}

void sm_text_leads_to(struct sm_out *out, const struct sm_region *region)
{
    const struct sm_iommu *iommu = region->iommu;

    for (unsigned i = 0; iommu && i < iommu->n_spaces; i++) {
        sm_out_print(out, "%s", i ? ", " : " [leads to ");
        sm_out_name(out, iommu->spaces[i]->name);
    }
    if (iommu)
        sm_out_print(out, "]");
}

void sm_json_leads_to(struct sm_out *out, const struct sm_region *region)
{
    const struct sm_iommu *iommu = region->iommu;

    if (!iommu)
        return;
    sm_json_open(out, "leads_to", '[');
    for (unsigned i = 0; i < iommu->n_spaces; i++)
        sm_json_string(out, NULL, iommu->spaces[i]->name);
    sm_json_close(out, ']');
}

void sm_text_section(struct sm_out *out, const struct sm_flat_section *section)
{
    const struct sm_region *region = section->region;

    sm_out_print(out, "%016" PRIx64 "-%016" PRIx64 " (%s): ", section->range.first,
                 section->range.last, sm_region_kind_name(region));
    sm_out_name(out, region->name);
    sm_out_print(out, " @%016" PRIx64, section->offset);
    sm_text_leads_to(out, region);
    sm_out_print(out, "%s%s\n", section->readonly ? " [readonly]" : "",
                 is_calls(section) ? " [calls]" : "");
}

void sm_json_section(struct sm_out *out, const char *key,
                     const struct sm_flat_section *section)
{
    sm_json_open(out, key, '{');
    sm_json_range(out, section->range);
    sm_json_string(out, "name", section->region->name);
    sm_json_string(out, "kind", sm_region_kind_name(section->region));
    sm_json_address(out, "offset", section->offset);
    sm_json_leads_to(out, section->region);
    sm_json_bool(out, "readonly", section->readonly);
    sm_json_bool(out, "calls", is_calls(section));
    sm_json_close(out, '}');
}

static void text_view(struct sm_out *out, const struct sm_address_space *space)
{
    const struct sm_region *root = space->root->region;

    sm_out_print(out, "flat-view: ");
    sm_out_name(out, space->name);
    if (root) {
        sm_out_print(out, ", root ");
        sm_out_name(out, root->name);
    }
    sm_out_print(out, "\n");
    for (const struct sm_flat_section *section = NULL;
         (section = sm_flat_view_next(space->view, section));) {
        sm_out_indent(out, 1);
        sm_text_section(out, section);
    }
    if (!sm_flat_view_count(space->view))
        sm_out_print(out, "  (nothing)\n");
}

static void json_view(struct sm_out *out, const struct sm_address_space *space)
{
    const struct sm_region *root = space->root->region;

    sm_json_begin(out, "view");
    sm_json_string(out, "space", space->name);
    sm_json_string(out, "root", root ? root->name : NULL);
    sm_json_open(out, "sections", '[');
    for (const struct sm_flat_section *section = NULL;
         (section = sm_flat_view_next(space->view, section));)
        sm_json_section(out, NULL, section);
    sm_json_close(out, ']');
    sm_json_end(out);
}

int sm_inspect_view(struct sm_address_space *space, enum sm_inspect_form form,
                    void (*sink)(void *arg, const char *text, size_t n), void *arg)
{
    struct sm_out out = {.form = form};

    sm_topology_lock(space->topo);
    if (form == SM_INSPECT_JSON)
        json_view(&out, space);
    else
        text_view(&out, space);
    sm_topology_unlock(space->topo);
    return sm_out_end(&out, sink, arg);
}
