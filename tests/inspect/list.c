/* SPDX-License-Identifier: MIT */
/* list.c - prints a listing of one of the test machines, for golden_test.py.
 *
 *     list MACHINE tree|view|ADDRESS text|json
 */
#include "machines.h"

struct views {
    enum sm_inspect_form form;
};

static void print(void *arg, const char *text, size_t n)
{
    fwrite(text, 1, n, stdout);
}

static bool list_space(void *arg, struct sm_address_space *space)
{
    const struct views *views = arg;

    assert_int_equal(sm_inspect_view(space, views->form, print, NULL), 0);
    return true;
}

int main(int argc, char *argv[])
{
    struct world world;
    struct views views;

    if (argc != 4 || !make_machine(&world, argv[1]))
        return 2;
    views.form = strcmp(argv[3], "json") ? SM_INSPECT_TEXT : SM_INSPECT_JSON;
    if (strcmp(argv[2], "tree") == 0) {
        assert_int_equal(sm_inspect_tree(world.topo, NULL, views.form, print, NULL), 0);
    } else if (strcmp(argv[2], "view") == 0) {
        sm_topology_each_space(world.topo, list_space, &views);
    } else {
        assert_int_equal(sm_inspect_why(world.space, strtoull(argv[2], NULL, 16), &plain,
                                        views.form, print, NULL),
                         0);
    }
    world_fini(&world);
    return 0;
}
