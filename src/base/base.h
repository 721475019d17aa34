/* SPDX-License-Identifier: MIT */
/* base.h - what every file of ours may rely on: assertions, container_of, lengths.
 *
 * Layer: base.  Knows no guest, no memory, no device.
 */
#ifndef SM_BASE_BASE_H
#define SM_BASE_BASE_H

#include "softmmu/types.h"

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "softmmu runs on little-endian hosts"
#endif
SM_STATIC_ASSERT(sizeof(void *) == 8, "softmmu runs on 64-bit hosts");

#define SM_ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define SM_MIN(a, b) ((a) < (b) ? (a) : (b))
#define SM_MAX(a, b) ((a) > (b) ? (a) : (b))

#define sm_container_of(pointer, type, member)                                           \
    ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

#define SM_NORETURN __attribute__((noreturn))
#define SM_NOINLINE __attribute__((noinline))
#define SM_ALWAYS_INLINE SM_INLINE __attribute__((always_inline))
#define SM_COLD     __attribute__((cold, noinline))
#define SM_PRINTF(text, first) __attribute__((__format__(__printf__, text, first)))

/** Stop where going on would corrupt the host.  Kept in release builds. */
#define sm_assert(condition)                                                             \
    do {                                                                                 \
        if (SM_UNLIKELY(!(condition)))                                                   \
            sm_broken(#condition, __FILE__, __LINE__);                                   \
    } while (0)

/** As sm_assert(), only in debug builds (-Ddebug_checks=true).  Consumes its condition. */
#ifdef SM_DEBUG_CHECKS
#define sm_assert_hot(condition) sm_assert(condition)
#else
#define sm_assert_hot(condition) ((void)sizeof(!!(condition)))
#endif

/** Hand a broken invariant to the hook of the innermost topology in use on this
 *  thread, if there is one (panic.c), then trap. */
SM_NORETURN SM_COLD void sm_broken(const char *condition, const char *file, int line);

#endif
