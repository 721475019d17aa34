/* SPDX-License-Identifier: MIT */
/* iommu.c - makes translating regions, has everyone forget, keeps clients in step. */
#include "base/alloc.h"
#include "memory/iommu_impl.h"

#include <errno.h>
#include <string.h>

/* --- Life --------------------------------------------------------------- */

static bool spaces_ok(const struct sm_topology *topo,
                      struct sm_address_space *const *spaces, unsigned n_spaces)
{
    for (unsigned i = 0; i < n_spaces; i++)
        if (!spaces[i] || spaces[i]->topo != topo)
            return false;
    return n_spaces > 0;
}

int sm_iommu_new(struct sm_device *model, const struct sm_iommu_ops *ops,
                 struct sm_address_space *const *spaces, unsigned n_spaces,
                 struct sm_iommu **out)
{
    struct sm_topology *topo = model->topo;

    if (ops->struct_size != sizeof(*ops) || !ops->translate ||
        !spaces_ok(topo, spaces, n_spaces))
        return -EINVAL;
    struct sm_iommu *iommu =
        sm_alloc(sizeof(*iommu) + n_spaces * sizeof(iommu->spaces[0]));
    if (!iommu)
        return -ENOMEM;
    iommu->topo = topo;
    iommu->device = model;
    iommu->ops = ops;
    iommu->n_spaces = n_spaces;
    memcpy(iommu->spaces, spaces, n_spaces * sizeof(iommu->spaces[0]));
    pthread_mutex_init(&iommu->clients_lock, NULL);
    sm_list_init(&iommu->clients);
    sm_topology_lock(topo);
    sm_list_add_before(&topo->iommus, &iommu->node);
    model->n_users++;
    for (unsigned i = 0; i < n_spaces; i++)
        spaces[i]->n_iommus++;
    sm_topology_unlock(topo);
    *out = iommu;
    return 0;
}

void sm_iommu_destroy(struct sm_iommu *iommu)
{
    sm_list_for_each_safe(client, next, &iommu->clients, struct sm_iommu_client, node)
        sm_free(client);
    pthread_mutex_destroy(&iommu->clients_lock);
    sm_free(iommu);
}

static void iommu_retired(struct sm_retired *retired)
{
    sm_iommu_destroy(sm_container_of(retired, struct sm_iommu, retired));
}

int sm_iommu_free(struct sm_iommu *iommu)
{
    struct sm_topology *topo = iommu->topo;

    sm_topology_lock(topo);
    pthread_mutex_lock(&iommu->clients_lock);
    const bool busy = iommu->n_regions || !sm_list_empty(&iommu->clients);
    pthread_mutex_unlock(&iommu->clients_lock);
    if (!busy) {
        sm_list_remove(&iommu->node);
        iommu->device->n_users--;
        for (unsigned i = 0; i < iommu->n_spaces; i++)
            iommu->spaces[i]->n_iommus--;
        sm_retire(topo, &iommu->retired, sm_topology_issue(topo), iommu_retired);
    }
    sm_topology_unlock(topo);
    return busy ? -EBUSY : 0;
}

/* --- Forgetting --------------------------------------------------------- */

static void tell_agent(struct sm_agent *agent, void *arg)
{
    if (agent->ops->translation_changed)
        agent->ops->translation_changed(agent);
}

void sm_translation_changed(struct sm_topology *topo)
{
    /* After the new answers can be had, before anyone is asked to look again (I5): who
     * read the number before this, and asks the model after it, may hold an old answer
     * but will find another number.  To the acquire in
     * sm_topology_translation_generation(). */
    sm_fetch_add(&topo->translation_generation, 1);
    sm_topology_each_agent(topo, tell_agent, NULL);
}

static bool tag_agrees(const struct sm_iommu_tag *tag, const struct sm_iommu_scope *scope)
{
    for (unsigned i = 0; i < SM_ARRAY_LEN(tag->word); i++)
        if ((tag->word[i] & scope->mask.word[i]) != scope->tag.word[i])
            return false;
    return true;
}

static struct sm_iommu_tag tag_of(const struct sm_iommu *iommu,
                                  const struct sm_attrs *who)
{
    struct sm_iommu_tag tag = {{0, 0}};

    if (iommu->ops->select)
        iommu->ops->select(iommu->device->dev, who, &tag);
    return tag;
}

/* Tell @client what it has to forget for @scope, if anything.  Under clients_lock. */
static void tell_unmapped(struct sm_iommu_client *client,
                          const struct sm_iommu_scope *scope)
{
    /* What it was told had the former tag, if that has changed. */
    const struct sm_iommu_tag former = client->tag;
    struct sm_range range;

    client->tag = tag_of(client->iommu, &client->who);
    if (!tag_agrees(&former, scope) && !tag_agrees(&client->tag, scope))
        return;
    if (scope->stage != 1 ||
        (client->any_beyond && sm_range_overlaps(client->beyond, scope->range))) {
        range = client->range;
        client->any_beyond = false; /* it forgets all of them */
    } else if (!sm_range_intersect(client->range, scope->range, &range)) {
        return;
    }
    if (client->ops->unmapped)
        client->ops->unmapped(client->owner, &range);
}

sm_ticket sm_iommu_invalidate(struct sm_iommu *iommu, const struct sm_iommu_scope *scope)
{
    sm_translation_changed(iommu->topo);
    pthread_mutex_lock(&iommu->clients_lock);
    sm_list_for_each(client, &iommu->clients, struct sm_iommu_client, node)
        tell_unmapped(client, scope);
    pthread_mutex_unlock(&iommu->clients_lock);
    return sm_topology_issue(iommu->topo);
}

/* --- Clients ------------------------------------------------------------ */

/* Tell @client what it sees of @map, if anything.  Under clients_lock. */
static void tell_mapped(struct sm_iommu_client *client, const struct sm_iommu_map *map)
{
    struct sm_iommu_map seen = *map;
    const struct sm_range *const leaf = &map->leaf[0];

    if (map->span.first > map->span.last ||
        !sm_range_intersect(client->range, map->span, &seen.span))
        return;
    seen.base += seen.span.first - map->span.first;
    if (leaf->first < seen.span.first || leaf->last > seen.span.last) {
        if (!client->any_beyond)
            client->beyond = *leaf;
        client->any_beyond = true;
        client->beyond.first = SM_MIN(client->beyond.first, leaf->first);
        client->beyond.last = SM_MAX(client->beyond.last, leaf->last);
    }
    if (client->ops->mapped)
        client->ops->mapped(client->owner, &seen);
}

void sm_iommu_mapped(struct sm_iommu *iommu, const struct sm_iommu_map *map)
{
    pthread_mutex_lock(&iommu->clients_lock);
    sm_list_for_each(client, &iommu->clients, struct sm_iommu_client, node) {
        const struct sm_iommu_tag tag = tag_of(iommu, &client->who);
        if (tag.word[0] == map->tag.word[0] && tag.word[1] == map->tag.word[1])
            tell_mapped(client, map);
    }
    pthread_mutex_unlock(&iommu->clients_lock);
}

static void visit(void *arg, const struct sm_iommu_map *map)
{
    tell_mapped(arg, map);
}

int sm_iommu_client_new(struct sm_iommu *iommu, const struct sm_attrs *who,
                        struct sm_range range, const struct sm_iommu_client_ops *ops,
                        void *owner, struct sm_iommu_client **out)
{
    if (ops->struct_size != sizeof(*ops) || range.first > range.last)
        return -EINVAL;
    if (!iommu->ops->iterate)
        return -ENOTSUP;
    struct sm_iommu_client *client = sm_alloc(sizeof(*client));
    if (!client)
        return -ENOMEM;
    client->iommu = iommu;
    client->who = *who;
    client->range = range;
    client->ops = ops;
    client->owner = owner;

    sm_device_lock(iommu->device); /* what tells may hold it: it comes first */
    pthread_mutex_lock(&iommu->clients_lock);
    client->tag = tag_of(iommu, who);
    sm_list_add_before(&iommu->clients, &client->node);
    iommu->ops->iterate(iommu->device->dev, who, range, visit, client);
    pthread_mutex_unlock(&iommu->clients_lock);
    sm_device_unlock(iommu->device);
    *out = client;
    return 0;
}

void sm_iommu_client_free(struct sm_iommu_client *client)
{
    struct sm_iommu *iommu = client->iommu;

    pthread_mutex_lock(&iommu->clients_lock);
    sm_list_remove(&client->node);
    pthread_mutex_unlock(&iommu->clients_lock);
    sm_free(client);
}
