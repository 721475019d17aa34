/* SPDX-License-Identifier: MIT */
/* hart.h - a hart that nothing happens to: without time, timers and a thread to wake. */
#ifndef SM_BENCH_HART_H
#define SM_BENCH_HART_H

#include "riscv/riscv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

SM_INLINE void must(int error, const char *what)
{
    if (error) {
        fprintf(stderr, "%s: %s\n", what, strerror(-error));
        exit(1);
    }
}

SM_INLINE uint64_t owner_time(void *owner)
{
    return 0;
}

SM_INLINE void owner_arm(void *owner, struct rv_hart *hart, uint64_t deadline)
{
}

SM_INLINE void owner_wake(void *owner, struct rv_hart *hart)
{
}

static const struct rv_owner_ops owner_ops = {
    .struct_size = sizeof(owner_ops),
    .time = owner_time,
    .arm_stimecmp = owner_arm,
    .wake = owner_wake,
};

#endif
