/* SPDX-License-Identifier: MIT */
/* lock.h - a lock that costs two instructions of its own when nobody waits.
 *
 * Layer:    base
 * Threads:  any.  Who holds it may be waited for without end; nothing is fair.
 *
 * Unlocking touches the lock no more once another may have it: so whoever has locked
 * and unlocked it last may free its memory, as with the mutexes of POSIX.
 */
#ifndef SM_BASE_LOCK_H
#define SM_BASE_LOCK_H

#include "base/atomic.h"
#include "base/base.h"

/* As mutexes of the host: for thread sanitizers, which know these and find cycles among
 * them; and for who wants to see all locks that are taken in one place. */
#if !defined(__linux__) || defined(SM_TSAN)
#define SM_LOCK_MUTEX 1
#endif

#ifndef SM_LOCK_MUTEX
struct sm_lock {
    uint32_t word; /* atomic: 0 free, 1 held, 2 held and waited for            */
};

void sm_lock_wait(struct sm_lock *lock);
void sm_lock_wake(struct sm_lock *lock);

SM_INLINE void sm_lock_init(struct sm_lock *lock)
{
    lock->word = 0;
}

SM_INLINE void sm_lock_destroy(struct sm_lock *lock)
{
    sm_assert_hot(!sm_load_relaxed(&lock->word));
    (void)lock;
}

SM_INLINE void sm_lock(struct sm_lock *lock)
{
    uint32_t expected = 0;

    /* Pairs with the exchange in sm_unlock(). */
    if (SM_UNLIKELY(!__atomic_compare_exchange_n(&lock->word, &expected, 1, false,
                                                 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
        sm_lock_wait(lock);
}

SM_INLINE void sm_unlock(struct sm_lock *lock)
{
    if (SM_UNLIKELY(__atomic_exchange_n(&lock->word, 0, __ATOMIC_RELEASE) == 2))
        sm_lock_wake(lock);
}
#else
#include <pthread.h>

struct sm_lock {
    pthread_mutex_t mutex;
};

SM_INLINE void sm_lock_init(struct sm_lock *lock)
{
    pthread_mutex_init(&lock->mutex, NULL);
}

SM_INLINE void sm_lock_destroy(struct sm_lock *lock)
{
    pthread_mutex_destroy(&lock->mutex);
}

SM_INLINE void sm_lock(struct sm_lock *lock)
{
    pthread_mutex_lock(&lock->mutex);
}

SM_INLINE void sm_unlock(struct sm_lock *lock)
{
    pthread_mutex_unlock(&lock->mutex);
}
#endif

#endif
