/* SPDX-License-Identifier: MIT */
/* ram.c - gets host memory from wherever its options say, and counts who uses it. */
#include "base/alloc.h"
#include "base/atomic.h"
#include "base/bits.h"
#include "base/hostmem.h"
#include "memory/memory_impl.h"

#include <errno.h>

/* Fill in @ram what @options name. */
static int ram_map(struct sm_ram *ram, const struct sm_ram_options *options)
{
    const bool shared = !(options->flags & SM_RAM_PRIVATE);
    void *host = NULL;
    int error = 0;

    switch (options->kind) {
    case SM_RAM_CALLER:
        host = options->host;
        ram->borrowed = true;
        ram->release = options->release;
        ram->owner = options->owner;
        break;
    case SM_RAM_SHARED:
        error = sm_hostmem_shared(ram->size, &ram->fd);
        if (error)
            return error;
        error = sm_hostmem_map_file(ram->fd, 0, ram->size, true, &host);
        if (error)
            sm_hostmem_close(ram->fd);
        break;
    case SM_RAM_FILE:
        error = sm_hostmem_map_file(options->fd, options->offset, ram->size, shared,
                                    &host);
        break;
    default:
        host = ram->small
                   ? (void *)sm_align_up((uintptr_t)(ram + 1), (uintptr_t)SM_RAM_GRAIN)
                   : sm_hostmem_map(ram->size);
        error = host ? 0 : -ENOMEM;
    }
    ram->host = host;
    return error;
}

int sm_ram_new(const struct sm_ram_options *options, struct sm_ram **out)
{
    const uint64_t size = SM_MAX(options->size, options->max_size);
    const bool small = options->kind == SM_RAM_ANONYMOUS && size <= SM_RAM_SMALL;
    /* Small memory: to the end of its last granule, wherever the block begins. */
    struct sm_ram *ram = sm_alloc(
        sizeof(*ram) + (small ? SM_RAM_GRAIN - 1 + sm_align_up(size, (uint64_t)SM_RAM_GRAIN)
                              : sizeof(struct sm_lent)));

    if (!ram)
        return -ENOMEM;
    ram->small = small;
    if (!small)
        ram->lent = (struct sm_lent *)(ram + 1);
    ram->refs = 1;
    ram->fd = -1;
    ram->size = size;
    const int error = ram_map(ram, options);
    if (error) {
        sm_free(ram);
        return error;
    }
    *out = ram;
    return 0;
}

void sm_ram_get(struct sm_ram *ram)
{
    sm_fetch_add_relaxed(&ram->refs, 1); /* the caller is protected by another */
}

void sm_ram_put(struct sm_ram *ram)
{
    /* Pairs with itself: whoever frees has seen all others let go. */
    if (sm_fetch_add(&ram->refs, UINT32_MAX) != 1)
        return;
    if (!ram->borrowed && !ram->small)
        sm_hostmem_unmap(ram->host, ram->size);
    else if (ram->release)
        ram->release(ram->owner, ram->host);
    if (ram->fd >= 0)
        sm_hostmem_close(ram->fd);
    sm_free(ram);
}
