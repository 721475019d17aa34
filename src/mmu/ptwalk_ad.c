/* SPDX-License-Identifier: MIT */
/* ptwalk_ad.c - sets accessed and dirty bits, atomically, in guest memory. */
#include "mmu/mmu_impl.h"

enum sm_mark sm_walk_mark(struct sm_walking *walking, unsigned stage, uint64_t address,
                          uint64_t entry, uint64_t bits, enum sm_walk_status *status)
{
    const struct sm_walk *const walk = walking->walk;
    const struct sm_pt_format *const format = walk->stage[stage].format;
    const struct sm_value expected = {sm_pt_order(format, entry), 0};
    const struct sm_value desired = {sm_pt_order(format, entry | bits), 0};
    struct sm_value old;
    sm_gpa where;

    /* The read of this entry was allowed; a write may not be, by stage 2 or PMP. */
    *status = sm_walk_place(walking, stage, address, SM_WRITE, &where);
    if (*status != SM_WALK_OK)
        return SM_MARK_FAILED;
    if (sm_address_space_cas(walk->space, where, &walking->attrs,
                             sm_pt_entry_size(format), expected, desired,
                             &old) != SM_TX_OK) {
        *status = SM_WALK_BUS_ERROR;
        return SM_MARK_FAILED;
    }
    return old.lo == expected.lo ? SM_MARK_DONE : SM_MARK_RACED;
}
