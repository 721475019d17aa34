/* SPDX-License-Identifier: MIT */
/* alloc.c - allocates for the whole library. */
#include "base/alloc.h"

#include <stdlib.h>

void *sm_alloc(size_t size)
{
    return calloc(1, size);
}

void *sm_realloc(void *block, size_t size)
{
    return realloc(block, size);
}

void sm_free(void *block)
{
    free(block);
}
