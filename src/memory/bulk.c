/* SPDX-License-Identifier: MIT */
/* bulk.c - fills a place, and copies one to another, through a buffer of bounded size.
 *
 * All bytes go by the ordinary transfers, so that attributes, failures and what writes
 * have to note are the same whoever moves them.  A stretch ends where a page of the side
 * that a device could see does, and so cuts no natural access to it in two.
 */
#include "memory/memory_impl.h"

#include <string.h>

enum { STRETCH = 4096 };
SM_STATIC_ASSERT(STRETCH == SM_PAGE_SIZE, "a stretch ends with a page");

/* How many of @left bytes from @gpa on are moved at once. */
static uint64_t stretch(sm_gpa gpa, uint64_t left)
{
    return SM_MIN(left, STRETCH - (gpa & (STRETCH - 1)));
}

/* Has @gpa, with bytes @moved before it, run over the end of the space? */
static bool ran_over(sm_gpa gpa, uint64_t moved)
{
    return moved && gpa < moved;
}

enum sm_tx sm_address_space_fill(struct sm_address_space *space, sm_gpa gpa,
                                 const struct sm_attrs *attrs, uint8_t value,
                                 uint64_t size, uint64_t *done)
{
    enum sm_tx tx = SM_TX_OK;
    _Alignas(8) uint8_t bytes[STRETCH];
    uint64_t moved = 0, n;

    memset(bytes, value, SM_MIN(size, (uint64_t)STRETCH));
    for (; moved < size && tx == SM_TX_OK; moved += n) {
        n = 0;
        if (ran_over(gpa + moved, moved))
            tx = SM_TX_DECODE_ERROR;
        else
            tx = sm_address_space_write(space, gpa + moved, attrs, bytes,
                                        stretch(gpa + moved, size - moved), &n);
    }
    if (done)
        *done = moved;
    return tx;
}

/* Copy the next bytes, *n of them.  *at_source: whose failure it is, if any. */
static enum sm_tx copy_some(const struct sm_place *to, const struct sm_place *from,
                            uint64_t moved, uint64_t *n, bool *at_source)
{
    const sm_gpa source = from->gpa + moved, target = to->gpa + moved;
    enum sm_tx read = SM_TX_DECODE_ERROR, write = SM_TX_OK;
    _Alignas(8) uint8_t bytes[STRETCH];
    uint64_t n_read = 0, n_written = 0;

    if (!ran_over(source, moved))
        read = sm_address_space_read(from->space, source, from->attrs, bytes,
                                     stretch(source, *n), &n_read);
    /* What was read before a failure arrives: a write may fail at a lower address. */
    if (n_read && ran_over(target, moved))
        write = SM_TX_DECODE_ERROR;
    else if (n_read)
        write = sm_address_space_write(to->space, target, to->attrs, bytes, n_read,
                                       &n_written);
    *n = n_written;
    if (write != SM_TX_OK || read != SM_TX_OK)
        *at_source = write == SM_TX_OK;
    return write != SM_TX_OK ? write : read;
}

enum sm_tx sm_address_space_copy(const struct sm_place *to, const struct sm_place *from,
                                 uint64_t size, uint64_t *done, bool *at_source)
{
    enum sm_tx tx = SM_TX_OK;
    uint64_t moved = 0, n;
    bool whose;

    for (; moved < size && tx == SM_TX_OK; moved += n) {
        n = size - moved;
        tx = copy_some(to, from, moved, &n, at_source ? at_source : &whose);
    }
    if (done)
        *done = moved;
    return tx;
}
