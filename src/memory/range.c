/* SPDX-License-Identifier: MIT */
/* range.c - intersects, subtracts and compares inclusive ranges. */
#include "memory/memory_impl.h"

bool sm_range_contains(struct sm_range range, uint64_t value)
{
    return range.first <= value && value <= range.last;
}

bool sm_range_overlaps(struct sm_range a, struct sm_range b)
{
    return a.first <= b.last && b.first <= a.last;
}

bool sm_range_intersect(struct sm_range a, struct sm_range b, struct sm_range *out)
{
    if (!sm_range_overlaps(a, b))
        return false;
    out->first = SM_MAX(a.first, b.first);
    out->last = SM_MIN(a.last, b.last);
    return true;
}

unsigned sm_range_subtract(struct sm_range from, struct sm_range what,
                           struct sm_range out[2])
{
    unsigned n = 0;

    if (!sm_range_overlaps(from, what)) {
        out[0] = from;
        return 1;
    }
    if (from.first < what.first)
        out[n++] = (struct sm_range){from.first, what.first - 1};
    if (what.last < from.last)
        out[n++] = (struct sm_range){what.last + 1, from.last};
    return n;
}

bool sm_range_of_size(uint64_t first, uint64_t size, struct sm_range *out)
{
    if (!size || size - 1 > UINT64_MAX - first)
        return false;
    *out = (struct sm_range){first, first + (size - 1)};
    return true;
}
