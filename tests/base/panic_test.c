/* SPDX-License-Identifier: MIT */
/* panic_test.c - the hook hears what broke; without one, or after it, we trap. */
#include "test.h"

#include "base/panic.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const sm_gva pc = 0x80001234;

static void leave(void *owner, const char *text, const sm_gva *at)
{
    _exit(owner == &pc && at && *at == pc && strstr(text, "1 == 2") ? 42 : 43);
}

static void come_back(void *owner, const char *text, const sm_gva *at)
{
}

static void break_again(void *owner, const char *text, const sm_gva *at)
{
    sm_assert(!owner);
}

/* Status of a child that breaks an invariant under @hook. */
static int break_under(const struct sm_panic_hook *hook)
{
    const pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (!child) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGILL, SIG_DFL);
        signal(SIGTRAP, SIG_DFL);
        sm_panic_enter(hook);
        sm_assert(1 == 2);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void hears(void **state)
{
    const struct sm_panic_hook hook = {leave, (void *)(uintptr_t)&pc, &pc};
    const int status = break_under(&hook);

    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
}

static void traps(void **state)
{
    const struct sm_panic_hook silent = {0}, returning = {come_back, NULL, NULL};
    const struct sm_panic_hook breaking = {break_again, (void *)(uintptr_t)&pc, NULL};

    assert_true(WIFSIGNALED(break_under(NULL)));
    assert_true(WIFSIGNALED(break_under(&silent)));
    assert_true(WIFSIGNALED(break_under(&returning)));
    assert_true(WIFSIGNALED(break_under(&breaking)));
}

static void nests(void **state)
{
    const struct sm_panic_hook outer = {0}, inner = {0};

    assert_null(sm_panic_enter(&outer));
    assert_ptr_equal(sm_panic_enter(&inner), &outer);
    sm_panic_leave(&outer);
    assert_ptr_equal(sm_panic_enter(NULL), &outer);
    sm_panic_leave(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hears),
        cmocka_unit_test(traps),
        cmocka_unit_test(nests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
