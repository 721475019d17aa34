/* SPDX-License-Identifier: MIT */
/* transfer.c - moves bytes across however many sections they span (A1). */
#include "base/bits.h"
#include "memory/memory_impl.h"
#include "memory/mmio.h"
#include "memory/ram_access.h"
#include "memory/reserve.h"
#include "memory/resolve.h"

#include <string.h>

/* --- RAM ---------------------------------------------------------------- */

/* Guests store while we copy: natural pieces stay whole (A2), and bulk is payload that
 * nobody may rely on until it is complete. */
enum { BULK = 64 };

void sm_copy_from_ram(void *to, const uint8_t *host, uint64_t size)
{
    uint8_t *buf = to;

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

void sm_copy_to_ram(uint8_t *host, const void *from, uint64_t size)
{
    const uint8_t *buf = from;

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
    uint64_t after;

    do {
        section = sm_address_space_section(transfer->space, gpa);
        if (!section)
            return SM_TX_DECODE_ERROR;
        after = section->range.last - gpa;
        if (SM_UNLIKELY(section->translating)) {
            struct sm_resolved end;
            const enum sm_tx tx =
                sm_resolve(reader, transfer->space, gpa, transfer->attrs,
                           transfer->write ? SM_WRITE : SM_READ, &end);
            if (tx != SM_TX_OK)
                return tx;
            section = end.section;
            gpa = end.gpa;
            after = end.after;
        }
        if (transfer->write && section->readonly && !(flags & SM_ATTR_DEBUG))
            return SM_TX_ACCESS_ERROR;
        host = transfer->write ? sm_flat_section_host(section, gpa)
                               : sm_flat_section_readable(section, gpa);
        if (!host && (flags & SM_ATTR_RAM_ONLY))
            return sm_mmio_refuse(section->region);
    } while (!host && sm_reader_pin(reader));

    if (after < *size)
        *size = after + 1;
    if (!host)
        return mmio_step(transfer, section, gpa, buf, size);
    *size = SM_MIN(*size, SM_RAM_CHUNK);
    if (transfer->write) {
        sm_ram_mark(section->region->ram, sm_flat_section_offset(section, gpa), *size);
        if (SM_UNLIKELY(sm_load_relaxed(&transfer->space->topo->exact_reserve)))
            sm_reserve_store(transfer->space->topo, sm_flat_section_host(section, gpa),
                             buf, *size);
        else
            sm_copy_to_ram(sm_flat_section_host(section, gpa), buf, *size);
    } else {
        sm_copy_from_ram(buf, host, *size);
    }
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
