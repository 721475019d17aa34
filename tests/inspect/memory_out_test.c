/* SPDX-License-Identifier: MIT */
/* memory_out_test.c - a listing for which memory runs out says nothing at all.
 *
 * Linked so that all of the library's allocations pass through here.
 */
#include "machines.h"

void *__real_sm_alloc(size_t size);
void *__real_sm_realloc(void *block, size_t size);
void *__wrap_sm_alloc(size_t size);
void *__wrap_sm_realloc(void *block, size_t size);

static long left = -1; /* allocations that succeed yet; negative: all           */

static bool refused(void)
{
    return left >= 0 && left-- == 0 ? (left = 0, true) : false;
}

void *__wrap_sm_alloc(size_t size)
{
    return refused() ? NULL : __real_sm_alloc(size);
}

void *__wrap_sm_realloc(void *block, size_t size)
{
    return refused() ? NULL : __real_sm_realloc(block, size);
}

static unsigned calls;

static void take(void *arg, const char *text, size_t n)
{
    calls++;
}

static bool visit(void *arg, struct sm_region *region)
{
    calls++;
    return true;
}

static int ask(struct world *world, int question, enum sm_inspect_form form)
{
    switch (question) {
    case 0: return sm_inspect_tree(world->topo, NULL, form, take, NULL);
    case 1: return sm_inspect_view(world->space, form, take, NULL);
    case 2: return sm_inspect_why(world->space, 0xf0010, NULL, form, take, NULL);
    case 3: return sm_inspect_why(world->space, 0x4000, NULL, form, take, NULL);
    default: return sm_region_each_child(world->root, visit, NULL);
    }
}

static void all(const char *machine)
{
    struct world world;

    assert_true(make_machine(&world, machine));
    for (int question = 0; question < 5; question++) {
        for (int form = SM_INSPECT_TEXT; form <= SM_INSPECT_JSON; form++) {
            long n = 0;
            calls = 0;
            for (int error = -ENOMEM; error; n++) {
                assert_int_equal(calls, 0);
                left = n;
                error = ask(&world, question, (enum sm_inspect_form)form);
                left = -1;
                assert_true(error == 0 || error == -ENOMEM);
            }
            assert_true(n > 1);
            assert_true(question < 4 ? calls == 1 : calls > 1);
            assert_int_equal(world.topo->depth, 0);
        }
    }
    world_fini(&world);
}

static void pam(void **state)
{
    all("pam");
}

static void odd(void **state)
{
    all("odd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pam),
        cmocka_unit_test(odd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
