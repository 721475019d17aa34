/* SPDX-License-Identifier: MIT */
/* beyond.c - asks models where a way goes on, without effect, and writes what they say. */
#include "inspect/beyond.h"

#include <inttypes.h>

static const char *const access_words[] = {"read", "write", "fetch"};

/* The words of JSON, and those of text, for what is in the way. */
static const struct {
    const char *word, *text;
} ends[] = {
    [SM_HOP_LEADS_ON] = {"leads on", ""},
    [SM_HOP_REFUSED] = {"refused", "refused"},
    [SM_HOP_WRONG] = {"wrong", "an answer that is not allowed"},
    [SM_HOP_TOO_MANY] = {"too many", "too many in a row"},
    [SM_HOP_NOT_ASKED] = {"not asked",
                          "not asked while this thread holds the topology or a device"},
};

/* A commit came after the model was asked. */
static const char changed[] = "changed";

void sm_beyond_ask(struct sm_beyond *beyond, struct sm_address_space *space, sm_gpa gpa,
                   const struct sm_attrs *who)
{
    struct sm_resolved end;

    *beyond = (struct sm_beyond){.who = {.process = SM_NO_PROCESS}};
    if (who)
        beyond->who = *who;
    struct sm_attrs attrs = beyond->who;
    /* As a debugger asks: nothing is reported, and read-only is no end of a way. */
    attrs.flags |= SM_ATTR_DEBUG;
    attrs.flags &= ~(uint32_t)(SM_ATTR_RAM_ONLY | SM_ATTR_EFFECTS | SM_ATTR_WALK);
    sm_reader_begin(&beyond->reader, space->topo);
    (void)sm_reader_pin(&beyond->reader);
    if (sm_thread.n_edits)
        return;
    beyond->asked = true;
    for (unsigned access = SM_READ; access < SM_N_ACCESS; access++) {
        beyond->access = (enum sm_access)access;
        (void)sm_resolve_hops(&beyond->reader, space, gpa, &attrs, beyond->access, &end,
                              &beyond->hops);
        if (!beyond->hops.n ||
            beyond->hops.hop[beyond->hops.n - 1].end == SM_HOP_LEADS_ON)
            return;
    }
    beyond->access = SM_READ;
    (void)sm_resolve_hops(&beyond->reader, space, gpa, &attrs, SM_READ, &end,
                          &beyond->hops);
}

void sm_beyond_end(struct sm_beyond *beyond)
{
    sm_reader_end(&beyond->reader);
}

/* What the model said there, if it still is what it was asked about. */
static const struct sm_hop *find(const struct sm_beyond *beyond, unsigned number,
                                 const struct sm_region *region, sm_iova iova)
{
    const struct sm_hop *hop = &beyond->hops.hop[number];

    return number < beyond->hops.n && hop->region == region && hop->iova == iova ? hop
                                                                                 : NULL;
}

static void put_perms(char text[4], uint8_t perms)
{
    text[0] = perms & SM_PERM_R ? 'r' : '-';
    text[1] = perms & SM_PERM_W ? 'w' : '-';
    text[2] = perms & SM_PERM_X ? 'x' : '-';
    text[3] = '\0';
}

static void write_text(const struct sm_beyond *beyond, struct sm_out *out,
                       const struct sm_region *region, sm_iova iova,
                       const struct sm_hop *hop, const char *why_not)
{
    char perms[4];

    sm_out_print(out, "translated: %016" PRIx64 " of ", iova);
    sm_out_name(out, region->name);
    sm_out_print(out, " for requester %" PRIu32, beyond->who.requester);
    if (beyond->who.process != SM_NO_PROCESS)
        sm_out_print(out, " process %" PRIu32, beyond->who.process);
    sm_out_print(out, ", %s: ", access_words[beyond->access]);
    if (why_not) {
        sm_out_print(out, "%s\n", why_not);
        return;
    }
    put_perms(perms, hop->map.perms);
    sm_out_print(out, "%016" PRIx64 "-%016" PRIx64 " to %016" PRIx64 " of ",
                 hop->map.span.first, hop->map.span.last, hop->map.base);
    sm_out_name(out, hop->map.space->name);
    sm_out_print(out, " [%s]\n", perms);
}

static void write_json(const struct sm_beyond *beyond, struct sm_out *out, sm_iova iova,
                       const struct sm_hop *hop, const char *word)
{
    char perms[4];

    sm_json_address(out, "iova", iova);
    sm_json_number(out, "requester", beyond->who.requester);
    if (beyond->who.process == SM_NO_PROCESS)
        sm_json_null(out, "process");
    else
        sm_json_number(out, "process", beyond->who.process);
    sm_json_string(out, "access", access_words[beyond->access]);
    sm_json_string(out, "end", word);
    if (!hop || hop->end != SM_HOP_LEADS_ON)
        return;
    put_perms(perms, hop->map.perms);
    sm_json_string(out, "permissions", perms);
    sm_json_open(out, "span", '{');
    sm_json_range(out, hop->map.span);
    sm_json_address(out, "base", hop->map.base);
    sm_json_close(out, '}');
}

const struct sm_iommu_map *sm_beyond_write(const struct sm_beyond *beyond,
                                           struct sm_out *out, unsigned number,
                                           const struct sm_region *region, sm_iova iova)
{
    const struct sm_hop *hop = find(beyond, number, region, iova);
    const bool leads_on = hop && hop->end == SM_HOP_LEADS_ON;
    const enum sm_hop_end end = hop ? hop->end : SM_HOP_NOT_ASKED;
    const bool is_changed = !hop && beyond->asked;

    if (out->form == SM_INSPECT_JSON)
        write_json(beyond, out, iova, hop, is_changed ? changed : ends[end].word);
    else
        write_text(beyond, out, region, iova, hop,
                   leads_on     ? NULL
                   : is_changed ? "changed meanwhile"
                                : ends[end].text);
    return leads_on ? &hop->map : NULL;
}
