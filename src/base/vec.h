/* SPDX-License-Identifier: MIT */
/* vec.h - growable typed array whose growth can fail.  Layer: base.
 *
 *     struct sm_range *ranges = NULL;
 *     struct sm_vec vec = {0};
 *     if (!sm_vec_reserve(&vec, &ranges, 1))
 *         return -ENOMEM;
 *     ranges[vec.n++] = range;
 *     sm_free(ranges);
 */
#ifndef SM_BASE_VEC_H
#define SM_BASE_VEC_H

#include "base/alloc.h"
#include "base/base.h"

struct sm_vec {
    size_t n, room; /* elements in use, and allocated                          */
};

/** Make room for @more elements of @size bytes behind the ones in use.
 *  @items   address of the array's pointer
 *  Returns  false when memory is out; nothing has changed then */
SM_INLINE bool sm_vec_reserve_bytes(struct sm_vec *vec, void **items, size_t size,
                                    size_t more)
{
    if (vec->room - vec->n >= more)
        return true;
    if (more > SIZE_MAX / 4 / size || vec->room > SIZE_MAX / 4 / size)
        return false;
    const size_t room = SM_MAX(SM_MAX(vec->n + more, vec->room * 2), (size_t)8);
    void *bigger = sm_realloc(*items, room * size);
    if (!bigger)
        return false;
    *items = bigger;
    vec->room = room;
    return true;
}

#define sm_vec_reserve(vec, items, more)                                                 \
    sm_vec_reserve_bytes((vec), (void **)(items), sizeof(**(items)), (more))

#endif
