/* SPDX-License-Identifier: MIT */
/* address_space.c - creates address spaces and finds who answers in them. */
#include "base/alloc.h"
#include "base/atomic.h"
#include "memory/memory_impl.h"

#include <errno.h>
#include <string.h>

/* --- Life --------------------------------------------------------------- */

struct sm_root *sm_root_of(struct sm_topology *topo, struct sm_region *region)
{
    if (region && region->root)
        return region->root;
    struct sm_root *root = sm_alloc(sizeof(*root));
    struct sm_flat_view *empty = sm_flat_view_new(NULL, 0);
    if (!root || !empty) {
        sm_free(root);
        sm_flat_view_free(empty);
        return NULL;
    }
    root->topo = topo;
    root->region = region;
    root->view = empty;
    sm_list_init(&root->spaces);
    sm_list_init(&root->changed);
    sm_list_add_before(&topo->roots, &root->node);
    if (region)
        region->root = root;
    sm_root_dirty(root, (struct sm_range){0, UINT64_MAX});
    return root;
}

void sm_root_destroy(struct sm_root *root)
{
    sm_flat_view_free(root->view);
    sm_free(root->shown);
    sm_free(root);
}

static void root_retired(struct sm_retired *retired)
{
    sm_root_destroy(sm_container_of(retired, struct sm_root, retired));
}

void sm_root_drop(struct sm_root *root)
{
    sm_list_remove(&root->node);
    sm_list_remove(&root->changed);
    if (root->region)
        root->region->root = NULL;
    sm_retire(root->topo, &root->retired, sm_topology_issue(root->topo), root_retired);
}

static void attach(struct sm_address_space *space, struct sm_root *root)
{
    space->root = root;
    space->view = root->view;
    space->generation = 1;
    sm_list_add_before(&space->topo->spaces, &space->node);
    sm_list_add_before(&root->spaces, &space->same_root);
    if (root->region)
        root->region->n_spaces++;
}

static void detach(struct sm_address_space *space)
{
    struct sm_root *root = space->root;

    sm_list_remove(&space->node);
    sm_list_remove(&space->same_root);
    if (root->region)
        root->region->n_spaces--;
    if (sm_list_empty(&root->spaces))
        sm_root_drop(root);
}

int sm_address_space_new(struct sm_topology *topo, const char *name,
                         struct sm_region *region, struct sm_address_space **out)
{
    const size_t length = name ? strlen(name) : 0;
    struct sm_address_space *space = sm_alloc(sizeof(*space) + length + 1);

    if (!space)
        return -ENOMEM;
    if (length)
        memcpy(space->name, name, length);
    space->topo = topo;
    sm_list_init(&space->listeners);

    sm_topology_begin(topo);
    struct sm_root *root = sm_root_of(topo, region);
    if (root)
        attach(space, root);
    /* No way leads to a new root yet: it is in no circle. */
    if (!root || sm_topology_commit(topo, NULL)) {
        if (root)
            detach(space);
        sm_topology_unlock(topo); /* this edit changed no region: nothing to take back */
        sm_free(space);
        return -ENOMEM;
    }
    *out = space;
    return 0;
}

static void space_retired(struct sm_retired *retired)
{
    sm_free(sm_container_of(retired, struct sm_address_space, retired));
}

void sm_address_space_free(struct sm_address_space *space)
{
    struct sm_topology *topo = space->topo;

    sm_topology_lock(topo);
    sm_assert(sm_list_empty(&space->listeners) && !space->n_iommus);
    detach(space);
    sm_retire(topo, &space->retired, sm_topology_issue(topo), space_retired);
    sm_topology_unlock(topo);
}

/* --- Looking up --------------------------------------------------------- */

struct sm_topology *sm_address_space_topology(const struct sm_address_space *space)
{
    return space->topo;
}

const struct sm_flat_section *sm_address_space_section(struct sm_address_space *space,
                                                       sm_gpa gpa)
{
    const struct sm_flat_view *view = sm_address_space_view(space);
    struct sm_agent *agent = sm_thread.agent;

    /* Of an agent of this topology: others could meet another view at the same place. */
    if (SM_UNLIKELY(!agent || agent->topo != space->topo))
        return sm_flat_view_find(view, gpa);
    const struct sm_flat_section *section = agent->section;
    if (agent->view == view &&
        gpa - section->range.first <= section->range.last - section->range.first)
        return section;
    section = sm_flat_view_find(view, gpa);
    if (section) {
        agent->view = view;
        agent->section = section;
    }
    return section;
}

bool sm_address_space_lookup(struct sm_address_space *space, sm_gpa gpa,
                             struct sm_section *out)
{
    struct sm_reader reader;

    sm_reader_begin(&reader, space->topo);
    const struct sm_flat_view *view = sm_address_space_view(space);
    const struct sm_flat_section *section = sm_flat_view_find(view, gpa);
    if (section)
        *out = (struct sm_section){section->range, section->region, section->offset,
                                   section->readonly};
    else
        *out = (struct sm_section){.range = sm_flat_view_hole(view, gpa)};
    sm_reader_end(&reader);
    return section != NULL;
}
