/* SPDX-License-Identifier: MIT */
/* loops.c - knows which views show translating regions, and refuses circles (I6).
 *
 * From a root, whose spaces show its view, ways lead through the iommus of the
 * translating regions in it to the roots of other spaces.  Only a view that shows an
 * iommu it did not show before adds a way; so each root counts the sections of each
 * iommu that it shows, a commit recounts them in the windows that it rendered, and
 * searches only if some count has left zero.
 */
#include "base/alloc.h"
#include "memory/iommu_impl.h"

/* --- Counting ----------------------------------------------------------- */

/* Add @change to how many sections of @iommu the view in the making shows. */
static bool count(struct sm_root *root, struct sm_iommu *iommu, int change)
{
    struct sm_shown *shown = root->shown;

    for (size_t i = 0; i < root->n_shown.n; i++) {
        if (shown[i].iommu == iommu) {
            shown[i].change += change;
            return true;
        }
    }
    if (!sm_vec_reserve(&root->n_shown, &root->shown, 1))
        return false;
    root->shown[root->n_shown.n++] = (struct sm_shown){iommu, 0, change};
    return true;
}

/* Count the sections of @view that the commit may have changed. */
static bool count_view(struct sm_root *root, const struct sm_flat_view *view, int change)
{
    struct sm_changed_at at = {0};

    for (const struct sm_flat_section *section;
         (section = sm_root_changed_next(root, view, &at)) != NULL;)
        if (section->translating && !count(root, section->region->iommu, change))
            return false;
    return true;
}

/* --- Searching ---------------------------------------------------------- */

static bool shows(const struct sm_shown *shown)
{
    return (int64_t)shown->n + shown->change > 0;
}

static bool is_new(const struct sm_shown *shown)
{
    return !shown->n && shown->change > 0;
}

/* Does a way from @from lead back to it? */
static bool leads_back(struct sm_root *from)
{
    const uint64_t mark = ++from->topo->mark;
    struct sm_root *todo = from;

    /* A list through the roots: no memory to run out of, no depth. */
    from->next = NULL;
    while (todo) {
        struct sm_root *root = todo;
        todo = root->next;
        for (size_t i = 0; i < root->n_shown.n; i++) {
            const struct sm_iommu *iommu = root->shown[i].iommu;
            for (unsigned j = 0; shows(&root->shown[i]) && j < iommu->n_spaces; j++) {
                struct sm_root *next = iommu->spaces[j]->root;
                if (next == from)
                    return true;
                if (next->mark != mark) {
                    next->mark = mark;
                    next->next = todo;
                    todo = next;
                }
            }
        }
    }
    return false;
}

/* --- Commits ------------------------------------------------------------ */

bool sm_loops_count(struct sm_topology *topo)
{
    bool ok = true;

    sm_list_for_each(root, &topo->changed, struct sm_root, changed)
        if (topo->translates && root->editing)
            ok = ok && count_view(root, root->view, -1) &&
                 count_view(root, sm_flat_edit_view(&root->edit), 1);
    return ok;
}

bool sm_loops_found(struct sm_topology *topo)
{
    sm_list_for_each(root, &topo->changed, struct sm_root, changed) {
        bool added = false;
        for (size_t i = 0; i < root->n_shown.n; i++)
            added = added || is_new(&root->shown[i]);
        if (added && leads_back(root))
            return true;
    }
    return false;
}

void sm_loops_settle(struct sm_topology *topo, bool published)
{
    sm_list_for_each(root, &topo->changed, struct sm_root, changed) {
        size_t kept = 0;
        for (size_t i = 0; i < root->n_shown.n; i++) {
            struct sm_shown shown = root->shown[i];
            if (published)
                shown.n = (uint64_t)((int64_t)shown.n + shown.change);
            shown.change = 0;
            if (shown.n)
                root->shown[kept++] = shown;
        }
        root->n_shown.n = kept;
    }
}

void sm_loops_check(struct sm_root *root)
{
    for (size_t i = 0; i < root->n_shown.n; i++) {
        uint64_t n = 0;
        for (const struct sm_flat_section *section = NULL;
             (section = sm_flat_view_next(root->view, section));)
            n += section->region->iommu == root->shown[i].iommu;
        sm_assert(n == root->shown[i].n && n && !root->shown[i].change);
    }
    sm_assert(!leads_back(root));
    for (const struct sm_flat_section *section = NULL;
         (section = sm_flat_view_next(root->view, section));) {
        bool known = !section->translating;
        for (size_t i = 0; i < root->n_shown.n; i++)
            known = known || section->region->iommu == root->shown[i].iommu;
        sm_assert(known);
    }
}
