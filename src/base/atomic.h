/* SPDX-License-Identifier: MIT */
/* atomic.h - the memory orders we use, each named by its purpose.
 *
 * Layer: base.  Each use says in a comment which access it pairs with.
 *
 *   relaxed   a counter, a flag that is looked at again, guest data
 *   acquire   reads what a publish made visible
 *   publish   makes everything written before visible to an acquire
 *   both      read-modify-write that is acquire and release at once
 *   fence     orders a store before a later load (request word against state)
 */
#ifndef SM_BASE_ATOMIC_H
#define SM_BASE_ATOMIC_H

#define sm_load_relaxed(p)         __atomic_load_n((p), __ATOMIC_RELAXED)
#define sm_load_acquire(p)         __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define sm_store_relaxed(p, v)     __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define sm_publish(p, v)           __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define sm_fetch_add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define sm_fetch_add(p, v)         __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)
#define sm_fetch_or(p, v)          __atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST)
#define sm_fetch_and(p, v)         __atomic_fetch_and((p), (v), __ATOMIC_SEQ_CST)
#define sm_exchange(p, v)          __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST)
/** *@expected is updated on failure. */
#define sm_compare_exchange(p, expected, desired)                                        \
    __atomic_compare_exchange_n((p), (expected), (desired), 0, __ATOMIC_SEQ_CST,         \
                                __ATOMIC_SEQ_CST)
#ifdef SM_TSAN
/* The thread sanitizers know no fences; a locked operation is one on the host. */
#define sm_fence()                                                                       \
    do {                                                                                 \
        int sm_fence_word = 0;                                                           \
        (void)__atomic_fetch_add(&sm_fence_word, 0, __ATOMIC_SEQ_CST);                   \
        __asm__ __volatile__("" : : "r"(&sm_fence_word) : "memory");                     \
    } while (0)
#else
#define sm_fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif

#endif
