/* SPDX-License-Identifier: MIT */
/* window.c - accesses that remember the host memory of the last one.
 *
 * Only RAM, and what else a view reads as memory, is remembered.  The way there is the
 * view's alone, so the view's generation is all that is compared, in is_current().
 */
#include "softmmu/window.h"

#include "base/bits.h"
#include "memory/memory_impl.h"
#include "memory/ram_access.h"
#include "memory/reserve.h"
#include "memory/window_impl.h"

static struct sm_window_state *state_of(struct sm_window *window)
{
    return (struct sm_window_state *)window;
}

void sm_window_open(struct sm_window *window, struct sm_address_space *space, sm_gpa gpa,
                    const struct sm_attrs *attrs, uint64_t size)
{
    *state_of(window) = (struct sm_window_state){
        .space = space, .gpa = gpa, .size = size, .attrs = *attrs};
}

void sm_window_close(struct sm_window *window)
{
    *state_of(window) = (struct sm_window_state){.space = NULL};
}

/* --- What is remembered ------------------------------------------------- */

/* Is what @state remembers still so?  Inside a reader, and until it ends. */
static bool is_current(const struct sm_window_state *state)
{
    return state->generation == sm_address_space_generation(state->space);
}

/* Look what answers at @offset, up to where something else does. */
static SM_NOINLINE void look(struct sm_window_state *state, uint64_t offset)
{
    const sm_gpa gpa = state->gpa + offset;

    state->host = NULL;
    state->ram = NULL;
    state->first = state->last = offset;
    /* Before the view: see window_impl.h. */
    state->generation = sm_address_space_generation(state->space);
    const struct sm_flat_section *section = sm_address_space_section(state->space, gpa);
    if (!section)
        return;
    const uint64_t before = SM_MIN(gpa - section->range.first, offset);
    const uint64_t behind =
        SM_MIN(section->range.last - gpa, state->size - 1 - offset);
    state->first = offset - before;
    state->last = offset + behind;
    state->host =
        (uint8_t *)(uintptr_t)sm_flat_section_readable(section, gpa - before);
    if (section->host && (!section->readonly || (state->attrs.flags & SM_ATTR_DEBUG)))
        state->ram = section->region->ram;
}

/* Find the memory of @size bytes (from 1) at @offset, inside a reader; NULL: go the
 * ordinary way. */
static uint8_t *find(struct sm_window_state *state, uint64_t offset, uint64_t size,
                     bool write)
{
    if (SM_UNLIKELY(!is_current(state) || offset < state->first || offset > state->last))
        look(state, offset);
    return SM_LIKELY(state->host && (!write || state->ram) &&
                     size - 1 <= state->last - offset)
               ? state->host + (offset - state->first)
               : NULL;
}

/* May @size bytes at @offset be asked for? */
static bool inside(const struct sm_window_state *state, uint64_t offset, uint64_t size)
{
    sm_assert_hot(!state->space || !sm_thread_holds_device() ||
                  (state->attrs.flags & SM_ATTR_RAM_ONLY)); /* L2 */
    return state->space && size <= state->size && offset <= state->size - size &&
           offset <= UINT64_MAX - state->gpa;
}

/* --- Accesses ----------------------------------------------------------- */

/* As sm_reader_begin() and _end(), without a call where neither does anything. */
SM_INLINE void begin(struct sm_reader *reader, struct sm_topology *topo)
{
    const struct sm_agent *agent = sm_thread.agent;

    reader->how = SM_READER_AGENT;
    if (SM_UNLIKELY((!agent || agent->topo != topo) && sm_thread.pinned != topo))
        sm_reader_begin(reader, topo);
}

SM_INLINE void end(struct sm_reader *reader)
{
    if (SM_UNLIKELY(reader->how != SM_READER_AGENT))
        sm_reader_end(reader);
}

/* All that a window stores in RAM: a word, or from @bytes.  Inside a reader. */
SM_INLINE void store_ram(const struct sm_window_state *state, uint8_t *host,
                         const void *bytes, uint64_t word, uint64_t size)
{
    sm_ram_mark(state->ram, (uint64_t)(host - state->ram->host), size);
    if (SM_UNLIKELY(sm_load_relaxed(&state->space->topo->exact_reserve)))
        sm_reserve_store(state->space->topo, host, bytes ? bytes : &word, size);
    else if (bytes)
        sm_copy_to_ram(host, bytes, size);
    else
        sm_store_sized(host, (unsigned)size, word);
}

enum sm_tx sm_window_load(struct sm_window *window, uint64_t offset, unsigned size,
                          uint64_t *value)
{
    struct sm_window_state *state = state_of(window);
    struct sm_reader reader;

    sm_assert_hot(sm_is_pow2(size) && size <= 8);
    if (SM_UNLIKELY(!inside(state, offset, size)))
        return SM_TX_DECODE_ERROR;
    begin(&reader, state->space->topo);
    const uint8_t *host = find(state, offset, size, false);
    if (SM_LIKELY(host))
        *value = sm_load_sized(host, size);
    end(&reader);
    return SM_LIKELY(host) ? SM_TX_OK
                           : sm_address_space_load(state->space, state->gpa + offset,
                                                   &state->attrs, size, value);
}

enum sm_tx sm_window_store(struct sm_window *window, uint64_t offset, unsigned size,
                           uint64_t value)
{
    struct sm_window_state *state = state_of(window);
    struct sm_reader reader;

    sm_assert_hot(sm_is_pow2(size) && size <= 8);
    if (SM_UNLIKELY(!inside(state, offset, size)))
        return SM_TX_DECODE_ERROR;
    begin(&reader, state->space->topo);
    uint8_t *host = find(state, offset, size, true);
    if (SM_LIKELY(host))
        store_ram(state, host, NULL, value, size);
    end(&reader);
    return SM_LIKELY(host) ? SM_TX_OK
                           : sm_address_space_store(state->space, state->gpa + offset,
                                                    &state->attrs, size, value);
}

enum sm_tx sm_window_read(struct sm_window *window, uint64_t offset, void *buf,
                          uint64_t size, uint64_t *done)
{
    struct sm_window_state *state = state_of(window);
    const uint8_t *host = NULL;
    struct sm_reader reader;

    if (done)
        *done = 0;
    if (SM_UNLIKELY(!inside(state, offset, size)))
        return SM_TX_DECODE_ERROR;
    if (SM_LIKELY(size && size <= SM_RAM_CHUNK)) {
        begin(&reader, state->space->topo);
        host = find(state, offset, size, false);
        if (SM_LIKELY(host))
            sm_copy_from_ram(buf, host, size);
        end(&reader);
    }
    if (SM_UNLIKELY(!host))
        return sm_address_space_read(state->space, state->gpa + offset, &state->attrs,
                                     buf, size, done);
    if (done)
        *done = size;
    return SM_TX_OK;
}

enum sm_tx sm_window_write(struct sm_window *window, uint64_t offset, const void *buf,
                           uint64_t size, uint64_t *done)
{
    struct sm_window_state *state = state_of(window);
    struct sm_reader reader;
    uint8_t *host = NULL;

    if (done)
        *done = 0;
    if (SM_UNLIKELY(!inside(state, offset, size)))
        return SM_TX_DECODE_ERROR;
    if (SM_LIKELY(size && size <= SM_RAM_CHUNK)) {
        begin(&reader, state->space->topo);
        host = find(state, offset, size, true);
        if (SM_LIKELY(host))
            store_ram(state, host, buf, 0, size);
        end(&reader);
    }
    if (SM_UNLIKELY(!host))
        return sm_address_space_write(state->space, state->gpa + offset, &state->attrs,
                                      buf, size, done);
    if (done)
        *done = size;
    return SM_TX_OK;
}
