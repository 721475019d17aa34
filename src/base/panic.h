/* SPDX-License-Identifier: MIT */
/* panic.h - whom sm_broken() tells before it traps.
 *
 * Layer:    base
 * Threads:  each thread has its own hook; entering and leaving costs two accesses
 *           to thread-local memory.
 */
#ifndef SM_BASE_PANIC_H
#define SM_BASE_PANIC_H

#include "base/base.h"

/** A topology's owner, as far as a broken invariant needs to know it. */
struct sm_panic_hook {
    void (*panic)(void *owner, const char *text, const sm_gva *pc);
    void *owner;
    const sm_gva *pc; /* of the guest instruction; NULL: none is known         */
};

/** Make @hook, which may be NULL, this thread's.
 *  Returns  the one before, to be given to sm_panic_leave() */
const struct sm_panic_hook *sm_panic_enter(const struct sm_panic_hook *hook);
void sm_panic_leave(const struct sm_panic_hook *before);

#endif
