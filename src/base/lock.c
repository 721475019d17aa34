/* SPDX-License-Identifier: MIT */
/* lock.c - waits for a lock that somebody holds, and wakes who does. */
#include "base/lock.h"

#ifndef SM_LOCK_MUTEX
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

void sm_lock_wait(struct sm_lock *lock)
{
    /* Who has waited takes it as one that is waited for: there may be others.  Pairs
     * with the exchange in sm_unlock(). */
    while (__atomic_exchange_n(&lock->word, 2, __ATOMIC_ACQUIRE))
        syscall(SYS_futex, &lock->word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
}

void sm_lock_wake(struct sm_lock *lock)
{
    /* Its memory may be gone by now: then nobody waits at this address. */
    syscall(SYS_futex, &lock->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
#endif
