/* SPDX-License-Identifier: MIT */
/* iommu_impl.h - what translating regions are made of.
 *
 * Layer:    memory; iommu.c, resolve.c and loops.c include it.
 *
 * An iommu counts as a user of its model's device, and in each space that it leads to:
 * so both outlive it.  It is freed late, as regions are: who is in its translate() has
 * begun before the ticket.
 *
 * Locks: clients_lock comes behind the model's device lock, and in front of nothing of
 * ours.  It is held while clients are told and while present mappings are told to a new
 * one: so what changes meanwhile is told after what was read.
 */
#ifndef SM_MEMORY_IOMMU_IMPL_H
#define SM_MEMORY_IOMMU_IMPL_H

#include "memory/memory_impl.h"
#include "softmmu/iommu.h"

struct sm_iommu {
    struct sm_topology *topo;
    struct sm_list node; /* in topo->iommus                                    */
    struct sm_device *device;
    const struct sm_iommu_ops *ops;
    uint32_t n_regions; /* under the topology's lock                           */
    pthread_mutex_t clients_lock;
    struct sm_list clients;
    struct sm_retired retired;
    unsigned n_spaces;
    struct sm_address_space *spaces[];
};

struct sm_iommu_client {
    struct sm_iommu *iommu;
    struct sm_list node;
    struct sm_attrs who;
    struct sm_range range;
    struct sm_iommu_tag tag;  /* of .who, when it was asked last               */
    bool any_beyond;
    struct sm_range beyond;   /* covers all leaves told that reach further than what
                                 was told of them; if .any_beyond              */
    const struct sm_iommu_client_ops *ops;
    void *owner;
};

#endif
