/* SPDX-License-Identifier: MIT */
/* window_impl.h - what a window remembers, in the memory of its user.
 *
 * Layer:    memory; window.c and its tests.
 *
 * The stretch is good while .generation is that of the space: that one was read before
 * the stretch was looked up, and changes once a later view is published.  So a stretch
 * may be younger than its generation, which costs one more look, and never older.
 */
#ifndef SM_MEMORY_WINDOW_IMPL_H
#define SM_MEMORY_WINDOW_IMPL_H

#include "softmmu/window.h"

/* The user's struct is made of plain words. */
struct sm_window_state {
    struct sm_address_space *space; /* NULL: closed                            */
    sm_gpa gpa;
    uint64_t size;
    struct sm_attrs attrs;
    /* Around the last access; followed only inside a reader: */
    uint64_t generation;  /* 0: none, as no space has it                       */
    uint64_t first, last; /* offsets of the stretch                            */
    uint8_t *host;        /* of .first; NULL: by the ordinary way              */
    struct sm_ram *ram;   /* that .host is of, to be written; NULL: only read   */
    uint64_t reserved[2];
} __attribute__((may_alias));
SM_STATIC_ASSERT(sizeof(struct sm_window_state) == sizeof(struct sm_window),
                 "users reserve the room");

#endif
