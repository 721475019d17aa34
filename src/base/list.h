/* SPDX-License-Identifier: MIT */
/* list.h - intrusive circular doubly linked list.  Layer: base.
 *
 * A head is a node whose list is empty when it points to itself.  Nothing here
 * is atomic; the owner's lock covers it.
 */
#ifndef SM_BASE_LIST_H
#define SM_BASE_LIST_H

#include "base/base.h"

struct sm_list {
    struct sm_list *next, *prev;
};

SM_INLINE void sm_list_init(struct sm_list *node)
{
    node->next = node->prev = node;
}

SM_INLINE bool sm_list_empty(const struct sm_list *head)
{
    return head->next == head;
}

/** Link @node before @where: at the end, if @where is the head. */
SM_INLINE void sm_list_add_before(struct sm_list *where, struct sm_list *node)
{
    node->prev = where->prev;
    node->next = where;
    where->prev->next = node;
    where->prev = node;
}

/** Unlink @node; harmless when it is in no list but was initialised. */
SM_INLINE void sm_list_remove(struct sm_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    sm_list_init(node);
}

#define sm_list_entry(node, type, member) sm_container_of(node, type, member)

/** Visit each entry; the body may not unlink @entry. */
#define sm_list_for_each(entry, head, type, member)                                      \
    for (type *entry = sm_list_entry((head)->next, type, member);                        \
         &entry->member != (head); entry = sm_list_entry(entry->member.next, type, member))

/** As sm_list_for_each(), but the body may unlink and free @entry. */
#define sm_list_for_each_safe(entry, following, head, type, member)                      \
    for (type *entry = sm_list_entry((head)->next, type, member),                        \
              *following = sm_list_entry(entry->member.next, type, member);              \
         &entry->member != (head);                                                       \
         entry = following, following = sm_list_entry(entry->member.next, type, member))

#endif
