/* SPDX-License-Identifier: MIT */
/* address_space.c - moves bytes across however many sections they span. */
#include "base/alloc.h"
#include "base/atomic.h"
#include "base/bits.h"
#include "memory/memory_impl.h"
#include "memory/mmio.h"
#include "softmmu/softtlb_hit.h"

#include <errno.h>
#include <string.h>

/* --- Life --------------------------------------------------------------- */

struct sm_root *sm_root_of(struct sm_topology *topo, struct sm_region *region)
{
    if (region && region->root)
        return region->root;
    struct sm_root *root = sm_alloc(sizeof(*root));
    struct sm_flat_view *empty = sm_flat_view_new(NULL, 0);
    if (!root || !empty) {
        sm_free(root);
        sm_flat_view_free(empty);
        return NULL;
    }
    root->topo = topo;
    root->region = region;
    root->view = empty;
    sm_list_init(&root->spaces);
    sm_list_init(&root->changed);
    sm_list_add_before(&topo->roots, &root->node);
    if (region)
        region->root = root;
    sm_root_dirty(root, (struct sm_range){0, UINT64_MAX});
    return root;
}

void sm_root_destroy(struct sm_root *root)
{
    sm_flat_view_free(root->view);
    sm_free(root);
}

static void root_retired(struct sm_retired *retired)
{
    sm_root_destroy(sm_container_of(retired, struct sm_root, retired));
}

void sm_root_drop(struct sm_root *root)
{
    sm_list_remove(&root->node);
    sm_list_remove(&root->changed);
    if (root->region)
        root->region->root = NULL;
    sm_retire(root->topo, &root->retired, sm_topology_issue(root->topo), root_retired);
}

static void attach(struct sm_address_space *space, struct sm_root *root)
{
    space->root = root;
    space->view = root->view;
    sm_list_add_before(&space->topo->spaces, &space->node);
    sm_list_add_before(&root->spaces, &space->same_root);
    if (root->region)
        root->region->n_spaces++;
}

static void detach(struct sm_address_space *space)
{
    struct sm_root *root = space->root;

    sm_list_remove(&space->node);
    sm_list_remove(&space->same_root);
    if (root->region)
        root->region->n_spaces--;
    if (sm_list_empty(&root->spaces))
        sm_root_drop(root);
}

int sm_address_space_new(struct sm_topology *topo, const char *name,
                         struct sm_region *region, struct sm_address_space **out)
{
    const size_t length = name ? strlen(name) : 0;
    struct sm_address_space *space = sm_alloc(sizeof(*space) + length + 1);

    if (!space)
        return -ENOMEM;
    if (length)
        memcpy(space->name, name, length);
    space->topo = topo;
    sm_list_init(&space->listeners);

    sm_topology_begin(topo);
    struct sm_root *root = sm_root_of(topo, region);
    if (root)
        attach(space, root);
    if (!root || sm_topology_commit(topo, NULL)) {
        if (root)
            detach(space);
        sm_topology_unlock(topo); /* this edit changed no region: nothing to take back */
        sm_free(space);
        return -ENOMEM;
    }
    *out = space;
    return 0;
}

static void space_retired(struct sm_retired *retired)
{
    sm_free(sm_container_of(retired, struct sm_address_space, retired));
}

void sm_address_space_free(struct sm_address_space *space)
{
    struct sm_topology *topo = space->topo;

    sm_topology_lock(topo);
    sm_assert(sm_list_empty(&space->listeners));
    detach(space);
    sm_retire(topo, &space->retired, sm_topology_issue(topo), space_retired);
    sm_topology_unlock(topo);
}

/* --- Looking up --------------------------------------------------------- */

static const struct sm_flat_view *current_view(const struct sm_address_space *space)
{
    return sm_load_acquire(&space->view); /* pairs with the publish in publish_all() */
}

struct sm_topology *sm_address_space_topology(const struct sm_address_space *space)
{
    return space->topo;
}

const struct sm_flat_section *sm_address_space_section(struct sm_address_space *space,
                                                       sm_gpa gpa)
{
    const struct sm_flat_view *view = current_view(space);
    struct sm_agent *agent = sm_thread.agent;

    /* Of an agent of this topology: others could meet another view at the same place. */
    if (SM_UNLIKELY(!agent || agent->topo != space->topo))
        return sm_flat_view_find(view, gpa);
    const struct sm_flat_section *section = agent->section;
    if (agent->view == view &&
        gpa - section->range.first <= section->range.last - section->range.first)
        return section;
    section = sm_flat_view_find(view, gpa);
    if (section) {
        agent->view = view;
        agent->section = section;
    }
    return section;
}

bool sm_address_space_lookup(struct sm_address_space *space, sm_gpa gpa,
                             struct sm_section *out)
{
    struct sm_reader reader;

    sm_reader_begin(&reader, space->topo);
    const struct sm_flat_view *view = current_view(space);
    const struct sm_flat_section *section = sm_flat_view_find(view, gpa);
    if (section)
        *out = (struct sm_section){section->range, section->region, section->offset,
                                   section->readonly};
    else
        *out = (struct sm_section){.range = sm_flat_view_hole(view, gpa)};
    sm_reader_end(&reader);
    return section != NULL;
}

/* --- RAM ---------------------------------------------------------------- */

/* Guests store while we copy: natural pieces stay whole (A2), and bulk is payload that
 * nobody may rely on until it is complete. */
enum { BULK = 64 };

static void copy_from_ram(uint8_t *buf, const uint8_t *host, uint64_t size)
{
    while (size) {
        const unsigned bits = sm_log2(
            ((uintptr_t)host | 8) & -((uintptr_t)host | 8)); /* 0..3: how it is aligned */
        const unsigned piece_bits = SM_MIN(bits, sm_log2(size));
#ifndef SM_TSAN
        if (bits == 3 && size >= BULK) {
            memcpy(buf, host, size & ~(uint64_t)7);
            buf += size & ~(uint64_t)7;
            host += size & ~(uint64_t)7;
            size &= 7;
            continue;
        }
#endif
        const uint64_t value = sm_host_load(host, piece_bits);
        memcpy(buf, &value, (size_t)1 << piece_bits);
        buf += (size_t)1 << piece_bits;
        host += (size_t)1 << piece_bits;
        size -= (uint64_t)1 << piece_bits;
    }
}

static void copy_to_ram(uint8_t *host, const uint8_t *buf, uint64_t size)
{
    while (size) {
        const unsigned bits = sm_log2(((uintptr_t)host | 8) & -((uintptr_t)host | 8));
        const unsigned piece_bits = SM_MIN(bits, sm_log2(size));
        uint64_t value = 0;
#ifndef SM_TSAN
        if (bits == 3 && size >= BULK) {
            memcpy(host, buf, size & ~(uint64_t)7);
            buf += size & ~(uint64_t)7;
            host += size & ~(uint64_t)7;
            size &= 7;
            continue;
        }
#endif
        memcpy(&value, buf, (size_t)1 << piece_bits);
        sm_host_store(host, piece_bits, value);
        buf += (size_t)1 << piece_bits;
        host += (size_t)1 << piece_bits;
        size -= (uint64_t)1 << piece_bits;
    }
}

/* --- Transfers ---------------------------------------------------------- */

/* Longest stretch of RAM copied under one RCU section. */
#define CHUNK (UINT64_C(1) << 20)

struct transfer {
    struct sm_address_space *space;
    const struct sm_attrs *attrs;
    bool write;
    uint8_t *buf; /* not written to when .write                                */
};

static enum sm_tx mmio_step(const struct transfer *transfer,
                            const struct sm_flat_section *section, sm_gpa gpa,
                            uint8_t *buf, uint64_t *size)
{
    const uint64_t offset = sm_flat_section_offset(section, gpa);
    const unsigned piece = sm_mmio_piece(section->region, offset, *size);
    uint64_t value = 0;
    enum sm_tx tx;

    if (transfer->write) {
        memcpy(&value, buf, piece);
        tx = sm_mmio_write(section->region, offset, piece, transfer->attrs, value);
    } else {
        tx = sm_mmio_read(section->region, offset, piece, transfer->attrs, &value);
        if (tx == SM_TX_OK)
            memcpy(buf, &value, piece);
    }
    *size = piece;
    return tx;
}

/* Move the next bytes at @gpa, of *@size (from 1); tells in *@size how many. */
static enum sm_tx step(const struct transfer *transfer, struct sm_reader *reader,
                       sm_gpa gpa, uint8_t *buf, uint64_t *size)
{
    const struct sm_flat_section *section;
    const uint32_t flags = transfer->attrs->flags;
    const uint8_t *host;

    do {
        section = sm_address_space_section(transfer->space, gpa);
        if (!section)
            return SM_TX_DECODE_ERROR;
        if (transfer->write && section->readonly && !(flags & SM_ATTR_DEBUG))
            return SM_TX_ACCESS_ERROR;
        host = transfer->write ? sm_flat_section_host(section, gpa)
                               : sm_flat_section_readable(section, gpa);
        if (!host && (flags & SM_ATTR_RAM_ONLY))
            return SM_TX_ACCESS_ERROR;
    } while (!host && sm_reader_pin(reader));

    if (section->range.last - gpa < *size)
        *size = section->range.last - gpa + 1;
    if (!host)
        return mmio_step(transfer, section, gpa, buf, size);
    *size = SM_MIN(*size, CHUNK);
    if (transfer->write)
        copy_to_ram(sm_flat_section_host(section, gpa), buf, *size);
    else
        copy_from_ram(buf, host, *size);
    return SM_TX_OK;
}

static enum sm_tx run(const struct transfer *transfer, sm_gpa gpa, uint64_t size,
                      uint64_t *done)
{
    enum sm_tx tx = SM_TX_OK;
    struct sm_reader reader;
    uint64_t moved = 0;

    sm_assert_hot(!sm_thread_holds_device() ||
                  (transfer->attrs->flags & SM_ATTR_RAM_ONLY)); /* L2 */
    while (moved < size && tx == SM_TX_OK) {
        sm_reader_begin(&reader, transfer->space->topo);
        do {
            uint64_t piece = size - moved;
            if (moved && gpa + moved < gpa) { /* nothing answers behind the last byte */
                tx = SM_TX_DECODE_ERROR;
                break;
            }
            tx = step(transfer, &reader, gpa + moved,
                      transfer->buf ? transfer->buf + moved : NULL, &piece);
            moved += tx == SM_TX_OK ? piece : 0;
            /* A pinned reader stays so: it need not pin itself for each piece. */
        } while (tx == SM_TX_OK && moved < size && reader.how != SM_READER_RCU);
        sm_reader_end(&reader);
    }
    if (done)
        *done = moved;
    return tx;
}

enum sm_tx sm_address_space_read(struct sm_address_space *space, sm_gpa gpa,
                                 const struct sm_attrs *attrs, void *buf, uint64_t size,
                                 uint64_t *done)
{
    const struct transfer transfer = {space, attrs, false, buf};
    return run(&transfer, gpa, size, done);
}

enum sm_tx sm_address_space_write(struct sm_address_space *space, sm_gpa gpa,
                                  const struct sm_attrs *attrs, const void *buf,
                                  uint64_t size, uint64_t *done)
{
    const struct transfer transfer = {space, attrs, true, (uint8_t *)(uintptr_t)buf};
    return run(&transfer, gpa, size, done);
}

/* --- Single accesses ---------------------------------------------------- */

/* The section that an agent found last, if all of an access lies in it; NULL: look it up.
 * Needs no reader: its ticket protects the agent. */
static const struct sm_flat_section *known(const struct sm_address_space *space,
                                           sm_gpa gpa, unsigned size)
{
    const struct sm_agent *agent = sm_thread.agent;

    if (!agent || agent->topo != space->topo || agent->view != current_view(space))
        return NULL;
    const struct sm_flat_section *section = agent->section;
    const uint64_t offset = gpa - section->range.first;
    const uint64_t length = section->range.last - section->range.first;
    return offset <= length && length - offset >= size - 1 ? section : NULL;
}

/* As sm_host_load(), which wants a constant size. */
static uint64_t load_sized(const uint8_t *host, unsigned size)
{
    switch (size) {
    case 8: return sm_host_load(host, 3);
    case 4: return sm_host_load(host, 2);
    case 2: return sm_host_load(host, 1);
    default: return sm_host_load(host, 0);
    }
}

static void store_sized(uint8_t *host, unsigned size, uint64_t value)
{
    switch (size) {
    case 8: sm_host_store(host, 3, value); break;
    case 4: sm_host_store(host, 2, value); break;
    case 2: sm_host_store(host, 1, value); break;
    default: sm_host_store(host, 0, value);
    }
}

/* Find who answers all of an access; NULL, and a result, when nobody does.  *@split:
 * several do.  Pins @reader if the answer is a device. */
static const struct sm_flat_section *find(struct sm_reader *reader,
                                          struct sm_address_space *space, sm_gpa gpa,
                                          const struct sm_attrs *attrs, unsigned size,
                                          bool write, bool *split, enum sm_tx *tx)
{
    const struct sm_flat_section *section;

    *split = false;
    do {
        section = sm_address_space_section(space, gpa);
        if (SM_UNLIKELY(!section)) {
            *tx = SM_TX_DECODE_ERROR;
            return NULL;
        }
        if (SM_UNLIKELY(section->range.last - gpa < size - 1)) {
            *split = true;
            return NULL;
        }
        if (SM_LIKELY(section->host) || (section->rom && !write))
            return section;
        if (attrs->flags & SM_ATTR_RAM_ONLY) {
            *tx = SM_TX_ACCESS_ERROR;
            return NULL;
        }
    } while (sm_reader_pin(reader));
    return section;
}

static SM_NOINLINE enum sm_tx load_slow(struct sm_address_space *space, sm_gpa gpa,
                                        const struct sm_attrs *attrs, unsigned size,
                                        uint64_t *value)
{
    struct sm_reader reader;
    enum sm_tx tx = SM_TX_OK;
    bool split;

    sm_reader_begin(&reader, space->topo);
    const struct sm_flat_section *section =
        find(&reader, space, gpa, attrs, size, false, &split, &tx);
    if (SM_LIKELY(section)) {
        const uint8_t *host = sm_flat_section_readable(section, gpa);
        if (host)
            *value = load_sized(host, size);
        else
            tx = sm_mmio_read(section->region, sm_flat_section_offset(section, gpa), size,
                              attrs, value);
    }
    sm_reader_end(&reader);
    if (SM_UNLIKELY(split)) {
        uint64_t bytes = 0;
        tx = sm_address_space_read(space, gpa, attrs, &bytes, size, NULL);
        if (tx == SM_TX_OK)
            *value = bytes;
    }
    return tx;
}

enum sm_tx sm_address_space_load(struct sm_address_space *space, sm_gpa gpa,
                                 const struct sm_attrs *attrs, unsigned size,
                                 uint64_t *value)
{
    sm_assert_hot(!sm_thread_holds_device() ||
                  (attrs->flags & SM_ATTR_RAM_ONLY)); /* L2 */
    sm_assert_hot(sm_is_pow2(size) && size <= 8);
    const struct sm_flat_section *section = known(space, gpa, size);
    if (SM_UNLIKELY(!section))
        return load_slow(space, gpa, attrs, size, value);
    const uint8_t *host = sm_flat_section_readable(section, gpa);
    if (!host)
        return sm_mmio_read(section->region, sm_flat_section_offset(section, gpa), size,
                            attrs, value);
    *value = load_sized(host, size);
    return SM_TX_OK;
}

static SM_NOINLINE enum sm_tx store_slow(struct sm_address_space *space, sm_gpa gpa,
                                         const struct sm_attrs *attrs, unsigned size,
                                         uint64_t value)
{
    struct sm_reader reader;
    enum sm_tx tx = SM_TX_OK;
    bool split;

    sm_reader_begin(&reader, space->topo);
    const struct sm_flat_section *section =
        find(&reader, space, gpa, attrs, size, true, &split, &tx);
    if (SM_LIKELY(section)) {
        if (SM_UNLIKELY(section->readonly) && !(attrs->flags & SM_ATTR_DEBUG))
            tx = SM_TX_ACCESS_ERROR;
        else if (section->host)
            store_sized(sm_flat_section_host(section, gpa), size, value);
        else
            tx = sm_mmio_write(section->region, sm_flat_section_offset(section, gpa),
                               size, attrs, value);
    }
    sm_reader_end(&reader);
    return SM_UNLIKELY(split)
               ? sm_address_space_write(space, gpa, attrs, &value, size, NULL)
               : tx;
}

enum sm_tx sm_address_space_store(struct sm_address_space *space, sm_gpa gpa,
                                  const struct sm_attrs *attrs, unsigned size,
                                  uint64_t value)
{
    sm_assert_hot(!sm_thread_holds_device() ||
                  (attrs->flags & SM_ATTR_RAM_ONLY)); /* L2 */
    sm_assert_hot(sm_is_pow2(size) && size <= 8);
    const struct sm_flat_section *section = known(space, gpa, size);
    if (SM_UNLIKELY(!section || section->readonly))
        return store_slow(space, gpa, attrs, size, value);
    uint8_t *host = sm_flat_section_host(section, gpa);
    if (!host)
        return sm_mmio_write(section->region, sm_flat_section_offset(section, gpa), size,
                             attrs, value);
    store_sized(host, size, value);
    return SM_TX_OK;
}

/* --- Lending RAM -------------------------------------------------------- */

enum sm_tx sm_address_space_map(struct sm_address_space *space, sm_gpa gpa,
                                const struct sm_attrs *attrs, uint64_t size,
                                enum sm_access access, struct sm_mapping *out)
{
    enum sm_tx tx = SM_TX_OK;
    struct sm_reader reader;

    if (!size)
        return SM_TX_ACCESS_ERROR;
    sm_reader_begin(&reader, space->topo);
    const struct sm_flat_section *section = sm_address_space_section(space, gpa);
    if (!section) {
        tx = SM_TX_DECODE_ERROR;
    } else if (!(access == SM_WRITE ? section->host
                                    : sm_flat_section_readable(section, gpa)) ||
               (access == SM_WRITE && section->readonly &&
                                  !(attrs->flags & SM_ATTR_DEBUG))) {
        tx = SM_TX_ACCESS_ERROR;
    } else {
        const uint64_t after = section->range.last - gpa; /* bytes behind this one */
        sm_ram_get(section->region->ram);
        *out = (struct sm_mapping){
            .host = section->region->ram->host + sm_flat_section_offset(section, gpa),
            .size = after < size ? after + 1 : size,
            .reserved = {(uintptr_t)section->region->ram, 0},
        };
    }
    sm_reader_end(&reader);
    return tx;
}

void sm_mapping_release(struct sm_mapping *mapping)
{
    sm_ram_put((struct sm_ram *)mapping->reserved[0]);
    *mapping = (struct sm_mapping){0};
}
