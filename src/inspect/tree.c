/* SPDX-License-Identifier: MIT */
/* tree.c - lists regions below one another, who wins first. */
#include "inspect/view.h"
#include "memory/memory_impl.h"

#include <inttypes.h>

/* One region on the way down to the current one. */
struct level {
    struct sm_region *region;
    uint64_t first;    /* its address, as seen from the root of the listing */
    bool far;          /* that is beyond 2^64                               */
    size_t child, end; /* those yet to list, in .children                   */
};

struct walk {
    struct sm_out *out;
    struct level *levels;
    struct sm_region **children;
    struct sm_vec n_levels, n_children;
    unsigned base; /* depth of the root's line of text                         */
};

/* --- What a region lacks ------------------------------------------------ */

enum cut { WHOLE, SHORT, OFF };

/* How much of @child lies beyond the end of @parent? */
static enum cut cut_by(const struct sm_region *child, const struct sm_region *parent)
{
    if (child->now.offset > parent->now.last)
        return OFF;
    return child->now.last > parent->now.last - child->now.offset ? SHORT : WHOLE;
}

/* Has the target of an alias become shorter than its window? */
static bool target_is_short(const struct sm_region *alias)
{
    return alias->now.window + alias->now.last > alias->target->now.last;
}

/* --- One region --------------------------------------------------------- */

static struct sm_region_stats stats_of(const struct sm_region *region)
{
    struct sm_region_stats stats = {.struct_size = sizeof(stats)};

    sm_region_get_stats(region, &stats);
    return stats;
}

/* What was asked of it; nothing as long as nothing was. */
static void text_stats(struct sm_out *out, const struct sm_region *region)
{
    const struct sm_region_stats stats = stats_of(region);

    if (!stats.reads && !stats.writes && !stats.refused)
        return;
    sm_out_print(out, " [%" PRIu64 " reads, %" PRIu64 " writes", stats.reads,
                 stats.writes);
    if (stats.refused)
        sm_out_print(out, ", %" PRIu64 " refused", stats.refused);
    if (stats.failed)
        sm_out_print(out, ", %" PRIu64 " failed", stats.failed);
    sm_out_print(out, "]");
}

static void json_stats(struct sm_out *out, const struct sm_region *region)
{
    const struct sm_region_stats stats = stats_of(region);

    sm_json_open(out, "stats", '{');
    sm_json_number(out, "reads", (int64_t)stats.reads);
    sm_json_number(out, "writes", (int64_t)stats.writes);
    sm_json_number(out, "bytes_read", (int64_t)stats.bytes_read);
    sm_json_number(out, "bytes_written", (int64_t)stats.bytes_written);
    sm_json_number(out, "refused", (int64_t)stats.refused);
    sm_json_number(out, "failed", (int64_t)stats.failed);
    sm_json_close(out, '}');
}

static uint32_t count_logs(const struct sm_region *region)
{
    return region->ram ? sm_ram_count_logs(region->ram) : 0;
}

static void text_address(struct sm_out *out, bool far, uint64_t address)
{
    if (far)
        sm_out_print(out, "%s", "----------------");
    else
        sm_out_print(out, "%016" PRIx64, address);
}

static void text_region(struct sm_out *out, const struct level *level, enum cut cut)
{
    const struct sm_region *region = level->region;
    const uint64_t last = level->first + region->now.last;

    text_address(out, level->far, level->first);
    sm_out_print(out, "-");
    text_address(out, level->far || last < level->first, last);
    sm_out_print(out, " (prio %d, %s): ", region->now.priority,
                 sm_region_kind_name(region));
    sm_out_name(out, region->name);
    if (region->target) {
        sm_out_print(out, " @");
        sm_out_name(out, region->target->name);
        sm_out_print(out, " %016" PRIx64 "-%016" PRIx64, region->now.window,
                     region->now.window + region->now.last);
        if (target_is_short(region))
            sm_out_print(out, " [target short]");
    }
    if (region->device) {
        sm_out_print(out, " [device ");
        sm_out_name(out, region->device->name);
        sm_out_print(out, "]");
    }
    sm_text_leads_to(out, region);
    sm_out_print(out, "%s%s%s%s", region->now.disabled ? " [disabled]" : "",
                 region->now.readonly ? " [readonly]" : "",
                 region->now.calls ? " [calls]" : "",
                 cut == OFF     ? " [cut off]"
                 : cut == SHORT ? " [cut short]"
                                : "");
    if (count_logs(region))
        sm_out_print(out, " [dirty logs %" PRIu32 "]", count_logs(region));
    text_stats(out, region);
    sm_out_print(out, "\n");
}

static void json_place(struct sm_out *out, const char *key, bool far, uint64_t address)
{
    if (far)
        sm_json_null(out, key);
    else
        sm_json_address(out, key, address);
}

/* All but the children and the end. */
static void json_region(struct sm_out *out, const struct level *level, enum cut cut)
{
    const struct sm_region *region = level->region;
    const uint64_t last = level->first + region->now.last;

    sm_json_string(out, "name", region->name);
    sm_json_string(out, "kind", sm_region_kind_name(region));
    json_place(out, "first", level->far, level->first);
    json_place(out, "last", level->far || last < level->first, last);
    sm_json_address(out, "offset", region->now.offset);
    sm_json_address(out, "highest", region->now.last);
    sm_json_number(out, "priority", region->now.priority);
    if (region->target) {
        sm_json_open(out, "alias", '{');
        sm_json_string(out, "target", region->target->name);
        sm_json_range(
            out, (struct sm_range){region->now.window, region->now.window + region->now.last});
        sm_json_bool(out, "short", target_is_short(region));
        sm_json_close(out, '}');
    }
    if (region->device)
        sm_json_string(out, "device", region->device->name);
    sm_json_leads_to(out, region);
    sm_json_bool(out, "disabled", region->now.disabled);
    sm_json_bool(out, "readonly", region->now.readonly);
    sm_json_bool(out, "calls", region->now.calls);
    sm_json_string(out, "cut", cut == OFF ? "off" : cut == SHORT ? "short" : NULL);
    if (region->ram)
        sm_json_number(out, "dirty_logs", count_logs(region));
    if (region->ops)
        json_stats(out, region);
}

/* --- All below one ------------------------------------------------------ */

static void begin_region(struct walk *walk, const struct level *level,
                         const struct level *above)
{
    const enum cut cut = above ? cut_by(level->region, above->region) : WHOLE;
    struct sm_out *out = walk->out;

    if (out->form == SM_INSPECT_TEXT) {
        sm_out_indent(out, walk->base + (unsigned)walk->n_levels.n);
        text_region(out, level, cut);
        return;
    }
    sm_json_open(out, above ? NULL : "region", '{');
    json_region(out, level, cut);
    sm_json_open(out, "children", '[');
}

static void end_region(struct walk *walk)
{
    if (walk->out->form == SM_INSPECT_JSON) {
        sm_json_close(walk->out, ']');
        sm_json_close(walk->out, '}');
    }
}

static bool enter(struct walk *walk, struct sm_region *region, const struct level *above)
{
    struct level level = {.region = region, .child = walk->n_children.n};

    if (above) {
        level.first = above->first + region->now.offset;
        level.far = above->far || level.first < above->first;
    }
    begin_region(walk, &level, above);
    if (!sm_vec_reserve(&walk->n_levels, &walk->levels, 1) ||
        !sm_region_ranked_children(region, &walk->n_children, &walk->children))
        return false;
    level.end = walk->n_children.n;
    walk->levels[walk->n_levels.n++] = level;
    return true;
}

/* List @root and what is below it; no recursion, since trees may be deep. */
static void list(struct sm_out *out, struct sm_region *root, unsigned base)
{
    struct walk walk = {.out = out, .base = base};
    bool ok = enter(&walk, root, NULL);

    while (ok && walk.n_levels.n) {
        struct level *level = &walk.levels[walk.n_levels.n - 1];
        if (level->child < level->end) {
            const struct level above = *level; /* enter() may move the array */
            level->child++;
            ok = enter(&walk, walk.children[above.child], &above);
        } else {
            end_region(&walk);
            walk.n_levels.n--;
            /* Those of the level above lie before, and were the last when it began. */
            walk.n_children.n =
                walk.n_levels.n ? walk.levels[walk.n_levels.n - 1].end : 0;
        }
    }
    if (!ok)
        out->failed = true;
    sm_free(walk.levels);
    sm_free(walk.children);
}

/* --- Trees -------------------------------------------------------------- */

static void list_region(struct sm_out *out, struct sm_region *region)
{
    if (out->form == SM_INSPECT_TEXT) {
        sm_out_print(out, "%sregion: ", out->n.n ? "\n" : "");
        sm_out_name(out, region->name);
        sm_out_print(out, "\n");
        list(out, region, 1);
        return;
    }
    sm_json_open(out, NULL, '{');
    sm_json_open(out, "spaces", '[');
    sm_json_close(out, ']');
    list(out, region, 0);
    sm_json_close(out, '}');
}

/* What the spaces that share @root begin with. */
static void list_root(struct sm_out *out, struct sm_root *root)
{
    if (out->form == SM_INSPECT_TEXT) {
        sm_out_print(out, "%s", out->n.n ? "\n" : "");
        sm_list_for_each(space, &root->spaces, struct sm_address_space, same_root) {
            sm_out_print(out, "address-space: ");
            sm_out_name(out, space->name);
            sm_out_print(out, "\n");
        }
        if (root->region)
            list(out, root->region, 1);
        else
            sm_out_print(out, "  (nothing)\n");
        return;
    }
    sm_json_open(out, NULL, '{');
    sm_json_open(out, "spaces", '[');
    sm_list_for_each(space, &root->spaces, struct sm_address_space, same_root)
        sm_json_string(out, NULL, space->name);
    sm_json_close(out, ']');
    if (root->region)
        list(out, root->region, 0);
    else
        sm_json_null(out, "region");
    sm_json_close(out, '}');
}

static void list_all(struct sm_out *out, struct sm_topology *topo)
{
    sm_list_for_each(root, &topo->roots, struct sm_root, node)
        list_root(out, root);
    sm_list_for_each(region, &topo->regions, struct sm_region, node)
        if (!region->now.parent && !region->root && !region->now.given_up)
            list_region(out, region);
}

int sm_inspect_tree(struct sm_topology *topo, struct sm_region *region,
                    enum sm_inspect_form form,
                    void (*sink)(void *arg, const char *text, size_t n), void *arg)
{
    struct sm_out out = {.form = form};

    if (form == SM_INSPECT_JSON) {
        sm_json_begin(&out, "tree");
        sm_json_open(&out, "trees", '[');
    }
    sm_topology_lock(topo);
    if (region)
        list_region(&out, region);
    else
        list_all(&out, topo);
    sm_topology_unlock(topo);
    if (form == SM_INSPECT_JSON) {
        sm_json_close(&out, ']');
        sm_json_end(&out);
    }
    return sm_out_end(&out, sink, arg);
}
