/* SPDX-License-Identifier: MIT */
/* hart.h - a hart that nothing happens to: without time, timers and a thread to wake; and
 * RAM for it. */
#ifndef SM_BENCH_HART_H
#define SM_BENCH_HART_H

#include "riscv/riscv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

SM_INLINE void must(int error, const char *what)
{
    if (error) {
        fprintf(stderr, "%s: %s\n", what, strerror(-error));
        exit(1);
    }
}

SM_INLINE uint64_t owner_time(void *owner)
{
    return 0;
}

SM_INLINE void owner_arm(void *owner, struct rv_hart *hart, uint64_t deadline)
{
}

SM_INLINE void owner_wake(void *owner, struct rv_hart *hart)
{
}

static const struct rv_owner_ops owner_ops = {
    .struct_size = sizeof(owner_ops),
    .time = owner_time,
    .arm_stimecmp = owner_arm,
    .wake = owner_wake,
};

/** An address space with @size bytes of RAM at @base, and nothing else. */
SM_INLINE struct sm_address_space *bench_ram(uint64_t base, uint64_t size,
                                             struct sm_topology **topo)
{
    static const struct sm_owner_ops topo_ops = {.struct_size = sizeof(topo_ops)};
    struct sm_address_space *space;
    struct sm_region *root, *ram;

    must(sm_topology_new(&topo_ops, NULL, topo), "topology");
    sm_topology_begin(*topo);
    must(sm_region_new(*topo, "root", UINT64_MAX, &root), "root");
    must(sm_region_new_ram(*topo, "ram", size, &ram), "ram");
    must(sm_region_map(root, base, ram, 0), "map");
    must(sm_address_space_new(*topo, "cpu", root, &space), "space");
    must(sm_topology_commit(*topo, NULL), "commit");
    return space;
}

#endif
