/* SPDX-License-Identifier: MIT */
/* hostmem.h - host memory for guests.
 *
 * Layer: base.  Threads: any.
 */
#ifndef SM_BASE_HOSTMEM_H
#define SM_BASE_HOSTMEM_H

#include "base/base.h"

/** Map @size zeroed bytes, from 1, rounded up to whole pages.
 *
 *  Private and anonymous, in huge pages where the host has them: from 2 MiB on the
 *  start is aligned so that it can.  Pages cost nothing until they are touched.
 *  Returns  NULL when the host refuses */
void *sm_hostmem_map(uint64_t size);

/** Give back what sm_hostmem_map(@size) returned. */
void sm_hostmem_unmap(void *host, uint64_t size);

#endif
