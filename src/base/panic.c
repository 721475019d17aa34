/* SPDX-License-Identifier: MIT */
/* panic.c - hands a broken invariant to the owner's panic hook, then traps. */
#include "base/panic.h"

#include <stdio.h>

/* Which topology a thread works in is a fact about the thread, not about the
 * process: several machines may break, each on its own threads. */
static _Thread_local __attribute__((tls_model("initial-exec")))
const struct sm_panic_hook *thread_hook;

const struct sm_panic_hook *sm_panic_enter(const struct sm_panic_hook *hook)
{
    const struct sm_panic_hook *before = thread_hook;
    thread_hook = hook;
    return before;
}

void sm_panic_leave(const struct sm_panic_hook *before)
{
    thread_hook = before;
}

void sm_broken(const char *condition, const char *file, int line)
{
    const struct sm_panic_hook *hook = thread_hook;
    char text[256];

    thread_hook = NULL; /* a hook that breaks an invariant traps at once */
    if (hook && hook->panic) {
        snprintf(text, sizeof(text), "%s:%d: broken invariant: %s", file, line,
                 condition);
        hook->panic(hook->owner, text, hook->pc);
    }
    __builtin_trap();
}
