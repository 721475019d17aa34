/* SPDX-License-Identifier: MIT */
/* view.h - how a section, and where a region leads, is written, wherever it is.
 *
 * Layer: inspect
 */
#ifndef SM_INSPECT_VIEW_H
#define SM_INSPECT_VIEW_H

#include "inspect/emit.h"

struct sm_flat_section;
struct sm_region;

/** " [leads to name, name]" of a translating region, nothing of others. */
void sm_text_leads_to(struct sm_out *out, const struct sm_region *region);
/** "leads_to", an array of names, of a translating region, nothing of others. */
void sm_json_leads_to(struct sm_out *out, const struct sm_region *region);

/** A line: "first-last (kind): name @offset" and what is to be remarked. */
void sm_text_section(struct sm_out *out, const struct sm_flat_section *section);
/** An object of "first", "last", "name", "kind", "offset", "readonly", "calls". */
void sm_json_section(struct sm_out *out, const char *key,
                     const struct sm_flat_section *section);

#endif
