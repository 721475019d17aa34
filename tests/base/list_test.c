/* SPDX-License-Identifier: MIT */
/* list_test.c - order, unlinking while visiting, unlinking twice. */
#include "test.h"

#include "base/list.h"

struct item {
    int value;
    struct sm_list node;
};

static int sum_in_order(struct sm_list *head)
{
    int sum = 0;
    sm_list_for_each(item, head, struct item, node)
        sum = sum * 10 + item->value;
    return sum;
}

static void order(void **state)
{
    struct item items[4] = {{1}, {2}, {3}, {4}};
    struct sm_list head;

    sm_list_init(&head);
    assert_true(sm_list_empty(&head));
    for (int i = 0; i < 3; i++)
        sm_list_add_before(&head, &items[i].node);
    assert_int_equal(sum_in_order(&head), 123);
    sm_list_add_before(&items[1].node, &items[3].node);
    assert_int_equal(sum_in_order(&head), 1423);
    sm_list_remove(&items[0].node);
    sm_list_remove(&items[0].node);
    assert_int_equal(sum_in_order(&head), 423);
}

static void unlink_while_visiting(void **state)
{
    struct item items[5] = {{1}, {2}, {3}, {4}, {5}};
    struct sm_list head;

    sm_list_init(&head);
    for (int i = 0; i < 5; i++)
        sm_list_add_before(&head, &items[i].node);
    sm_list_for_each_safe(item, next, &head, struct item, node)
        if (item->value & 1)
            sm_list_remove(&item->node);
    assert_int_equal(sum_in_order(&head), 24);
    sm_list_for_each_safe(item, next, &head, struct item, node)
        sm_list_remove(&item->node);
    assert_true(sm_list_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order),
        cmocka_unit_test(unlink_while_visiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
