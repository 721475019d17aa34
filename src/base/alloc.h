/* SPDX-License-Identifier: MIT */
/* alloc.h - the one door to the heap, so that tests can make any allocation fail.
 *
 * Layer: base.
 */
#ifndef SM_BASE_ALLOC_H
#define SM_BASE_ALLOC_H

#include <stddef.h>

/** @size zeroed bytes, from 1; NULL when memory is out. */
void *sm_alloc(size_t size);

/** Change a block to @size bytes, from 1; new bytes are not zeroed.
 *  Returns  NULL when memory is out; @block is then as before */
void *sm_realloc(void *block, size_t size);

/** @block may be NULL. */
void sm_free(void *block);

#endif
