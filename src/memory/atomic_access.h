/* SPDX-License-Identifier: MIT */
/* atomic_access.h - atomic operations on RAM, for the address space and the TLB.
 *
 * Layer:    memory
 * Threads:  any that may use @host.  Reservations on it end (A3).
 */
#ifndef SM_MEMORY_ATOMIC_ACCESS_H
#define SM_MEMORY_ATOMIC_ACCESS_H

#include "softmmu/types.h"

struct sm_topology;

/** What @op leaves in @size bytes (1, 2, 4 or 8) that held @old.  Upper bits: 0. */
uint64_t sm_rmw_result(enum sm_rmw op, unsigned size, uint64_t old, uint64_t operand);

/** Apply @op to the @size bytes (1, 2, 4 or 8) at @host, aligned to @size.
 *  Returns  what they held, zero-extended */
uint64_t sm_ram_rmw(struct sm_topology *topo, void *host, unsigned size, enum sm_rmw op,
                    uint64_t operand);

/** The same, not telling any reservation: of a vCPU that is alone. */
uint64_t sm_host_rmw(void *host, unsigned size, enum sm_rmw op, uint64_t operand);

/** Apply @op to the 16 bytes at @host, aligned to as many; atomic as sm_ram_cas() is. */
struct sm_value sm_ram_rmw16(struct sm_topology *topo, void *host, enum sm_rmw op,
                             struct sm_value operand);

/** Compare and swap @size bytes (up to 16) at @host, aligned to @size.
 *
 *  Sixteen bytes are one host instruction where the compiler has it; elsewhere two
 *  halves under the granule's lock, atomic against all callers of this.
 *  Returns  what they held: @expected if the swap took place */
struct sm_value sm_ram_cas(struct sm_topology *topo, void *host, unsigned size,
                           struct sm_value expected, struct sm_value desired);

#endif
