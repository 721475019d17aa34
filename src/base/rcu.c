/* SPDX-License-Identifier: MIT */
/* rcu.c - read sections over liburcu's bulletproof flavour, with TSan's annotations. */
#include "base/rcu.h"

#include <urcu-bp.h>

#ifdef SM_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
/* Only its address matters; nobody reads or writes it. */
static const char token;
#define TSAN_ACQUIRE() __tsan_acquire((void *)&token)
#define TSAN_RELEASE() __tsan_release((void *)&token)
#else
#define TSAN_ACQUIRE() ((void)0)
#define TSAN_RELEASE() ((void)0)
#endif

void sm_rcu_lock(void)
{
    rcu_read_lock();
}

void sm_rcu_unlock(void)
{
    TSAN_RELEASE(); /* pairs with the acquire in sm_rcu_synchronize() */
    rcu_read_unlock();
}

void sm_rcu_synchronize(void)
{
    synchronize_rcu();
    TSAN_ACQUIRE();
}
