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

/** Map @size zeroed bytes, from 1, for what grows into them, if it ever does: in pages
 *  of the smallest size, each of which costs nothing until it is touched.  An allocator
 *  promises no such thing, and some fill what they hand out.
 *  Returns  NULL when the host refuses */
void *sm_hostmem_arena(uint64_t size);

/** Make a file of @size zeroed bytes, from 1, that has no name and a fixed size.
 *  Errors   -EMFILE, -ENFILE no descriptor is left; -ENOMEM */
int sm_hostmem_shared(uint64_t size, int *fd);

/** Map @size bytes, from 1, of a file from @offset; @fd is only borrowed.
 *  @shared  stores reach the file
 *  Errors   -EINVAL no regular file, too short, or @offset is not a page's;
 *           -EACCES it cannot be written; -ENOMEM */
int sm_hostmem_map_file(int fd, uint64_t offset, uint64_t size, bool shared, void **host);

/** Close what sm_hostmem_shared() made. */
void sm_hostmem_close(int fd);

/** Give back @size bytes that a function above mapped.  @host may be NULL. */
void sm_hostmem_unmap(void *host, uint64_t size);

#endif
