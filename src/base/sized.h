/* SPDX-License-Identifier: MIT */
/* sized.h - option structs and tables whose callers know another version of them.
 *
 * Layer:    base
 *
 * Each begins with a uint32_t, the size that its caller was compiled with, and only ever
 * grows at its end.  What an older caller does not know counts as zero; what a newer one
 * knows and we do not must be zero, as we cannot do what it asks.
 */
#ifndef SM_BASE_SIZED_H
#define SM_BASE_SIZED_H

#include "base/base.h"

#include <string.h>

enum { SM_SIZED_MAX = 4096 }; /* none ever is larger: this is no size          */

/** Tell whether *@from may be taken for a struct of @size bytes whose first version had
 *  @first of them.  More of it is read only if its size says that it is there. */
SM_INLINE bool sm_sized_ok(const void *from, size_t size, size_t first)
{
    const uint8_t *byte = from;
    uint32_t given;

    memcpy(&given, from, sizeof(given));
    if (given < first || given > SM_SIZED_MAX)
        return false;
    for (size_t i = size; i < given; i++)
        if (byte[i])
            return false;
    return true;
}

/** Copy *@from to *@to of @size bytes, unknown fields zero, the size that of *@to.
 *  Returns  what sm_sized_ok() does; false: *@to is unset */
SM_INLINE bool sm_sized_take(void *to, size_t size, const void *from, size_t first)
{
    const uint32_t known = (uint32_t)size;
    uint32_t given;

    if (!sm_sized_ok(from, size, first))
        return false;
    memcpy(&given, from, sizeof(given));
    memset(to, 0, size);
    memcpy(to, from, SM_MIN(given, known));
    memcpy(to, &known, sizeof(known));
    return true;
}

#endif
