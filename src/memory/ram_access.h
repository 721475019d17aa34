/* SPDX-License-Identifier: MIT */
/* ram_access.h - loads, stores and copies of guest RAM at its host address.
 *
 * Layer:    memory
 * Threads:  inside a reader (memory_impl.h).  Guests store meanwhile: natural pieces
 *           stay whole (A2).
 */
#ifndef SM_MEMORY_RAM_ACCESS_H
#define SM_MEMORY_RAM_ACCESS_H

#include "base/base.h"
#include "softmmu/softtlb_hit.h"

/** Longest stretch of RAM that is copied inside one reader. */
#define SM_RAM_CHUNK (UINT64_C(1) << 20)

/** As sm_host_load(), which wants a constant size. */
SM_INLINE uint64_t sm_load_sized(const uint8_t *host, unsigned size)
{
    switch (size) {
    case 8: return sm_host_load(host, 3);
    case 4: return sm_host_load(host, 2);
    case 2: return sm_host_load(host, 1);
    default: return sm_host_load(host, 0);
    }
}

SM_INLINE void sm_store_sized(uint8_t *host, unsigned size, uint64_t value)
{
    switch (size) {
    case 8: sm_host_store(host, 3, value); break;
    case 4: sm_host_store(host, 2, value); break;
    case 2: sm_host_store(host, 1, value); break;
    default: sm_host_store(host, 0, value);
    }
}

/** Copy @size bytes: transfer.c. */
void sm_copy_from_ram(void *buf, const uint8_t *host, uint64_t size);
void sm_copy_to_ram(uint8_t *host, const void *buf, uint64_t size);

#endif
