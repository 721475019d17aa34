/* SPDX-License-Identifier: MIT */
/* tlb_slow.c - loads, stores and touches that the hit path declines.
 *
 * An access is one part, or two where it crosses a page.  Every part is translated
 * before the first byte moves.  A store also makes sure that each part is writable, and
 * performs its device pieces first: only a device can still refuse, and then no RAM
 * was changed.
 */
#include "memory/mmio.h"
#include "memory/resolve.h"
#include "tlb/tlb_impl.h"

#include <string.h>

struct part {
    struct sm_xlate_req req;
    struct sm_tlb_target target;
};

/** One access in flight: its parts, its bytes in memory order, and how it fails. */
struct transfer {
    struct part part[2];
    unsigned n_parts;
    bool entered_device;
    uint8_t byte[16];
    /* Where the way of the byte of that number ends, if it leads through a translating
     * region: followed once, as a store looks several times (enum pass). */
    uint16_t resolved;
    struct sm_resolved end[16];
    enum sm_tx tx;          /* of a failed piece, and where: */
    sm_gpa gpa;
    struct sm_xlate_req req;
};

/** Translate all parts of an access.  Returns false with *fault filled. */
static bool prepare(struct sm_vcpu *vcpu, struct transfer *transfer, sm_gva gva,
                    unsigned size, enum sm_access access, uint8_t mode,
                    struct sm_fault *fault)
{
    const uint64_t to_border = SM_PAGE_SIZE - (gva & ~SM_PAGE_MASK);
    const unsigned first = (unsigned)SM_MIN(to_border, (uint64_t)size);

    transfer->n_parts = first < size ? 2 : 1;
    transfer->entered_device = false;
    transfer->resolved = 0;
    transfer->part[0].req = (struct sm_xlate_req){
        .gva = gva, .size = (uint16_t)first, .access = (uint8_t)access, .mode = mode};
    if (!sm_tlb_find(vcpu, &transfer->part[0].req, &transfer->part[0].target, fault))
        return false;
    if (SM_LIKELY(first == size))
        return true;
    vcpu->stats.crossings++;
    transfer->part[1].req = transfer->part[0].req;
    transfer->part[1].req.gva = gva + first;
    transfer->part[1].req.size = (uint16_t)(size - first);
    return sm_tlb_find(vcpu, &transfer->part[1].req, &transfer->part[1].target, fault);
}

static void copy_from_host(uint8_t *to, const uint8_t *host, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        to[i] = (uint8_t)sm_host_load(host + i, 0);
}

static void copy_to_host(struct sm_vcpu *vcpu, uint8_t *host, const uint8_t *from,
                         unsigned size)
{
    if (SM_UNLIKELY(vcpu->flags & SM_VCPU_EXACT_RESERVE)) {
        sm_tlb_store_exactly(vcpu, host, from, size);
        return;
    }
    for (unsigned i = 0; i < size; i++)
        sm_host_store(host + i, 0, from[i]);
}

/** Note which piece of @part failed, @offset bytes into it. */
static bool failed(struct transfer *transfer, const struct part *part, unsigned offset,
                   enum sm_tx tx)
{
    transfer->tx = tx;
    transfer->gpa = part->target.gpa + offset;
    transfer->req = part->req;
    transfer->req.gva += offset;
    transfer->req.size = (uint16_t)(part->req.size - offset);
    return false;
}

enum pass { PASS_READ, PASS_CHECK_WRITE, PASS_WRITE_DEVICES, PASS_WRITE_RAM };

/** Perform one pass over the @n bytes of @section at @gpa; *n is cut to what one piece
 *  of a device is.  Returns how it went. */
static enum sm_tx piece(struct sm_vcpu *vcpu, struct transfer *transfer, enum pass pass,
                        const struct sm_flat_section *section, const struct part *part,
                        sm_gpa gpa, uint8_t *byte, unsigned *n)
{
    const uint64_t offset = sm_flat_section_offset(section, gpa);
    uint8_t *const host = sm_flat_section_host(section, gpa);
    uint64_t value = 0;
    enum sm_tx tx;

    if (host) {
        if (pass == PASS_CHECK_WRITE)
            return section->readonly ? SM_TX_ACCESS_ERROR : SM_TX_OK;
        if (pass == PASS_READ)
            copy_from_host(byte, host, *n);
        if (pass == PASS_WRITE_RAM) {
            sm_section_mark(section, gpa, *n);
            copy_to_host(vcpu, host, byte, *n);
        }
        return SM_TX_OK;
    }
    /* As anybody's single access: whole, for the device to accept or refuse, unless a
     * border or its sheer width cuts it. */
    if (transfer->n_parts > 1 || *n != part->req.size || *n > 8)
        *n = sm_mmio_piece(section->region, offset, *n);
    if (pass == PASS_CHECK_WRITE)
        return section->readonly ? SM_TX_ACCESS_ERROR : SM_TX_OK;
    if (pass == PASS_WRITE_RAM)
        return SM_TX_OK;
    transfer->entered_device = true;
    if (pass == PASS_READ) {
        vcpu->stats.mmio_reads++;
        tx = sm_mmio_read(section->region, offset, *n, &part->target.attrs, &value);
        if (tx == SM_TX_OK)
            memcpy(byte, &value, *n);
        return tx;
    }
    vcpu->stats.mmio_writes++;
    memcpy(&value, byte, *n);
    return sm_mmio_write(section->region, offset, *n, &part->target.attrs, value);
}

/** Find who answers for byte @number, at *@gpa of @part's space, behind the translating
 *  region there.  *@gpa becomes its address, *@n is cut to the bytes that lie there. */
static enum sm_tx cross(struct transfer *transfer, const struct part *part,
                        unsigned number, sm_gpa *gpa, unsigned *n,
                        const struct sm_flat_section **section)
{
    struct sm_resolved *const end = &transfer->end[number];

    if (!(transfer->resolved >> number & 1)) {
        const enum sm_tx tx =
            sm_resolve(NULL, part->target.space, *gpa, &part->target.attrs,
                       (enum sm_access)part->req.access, end);
        if (tx != SM_TX_OK)
            return tx;
        transfer->resolved |= (uint16_t)(1u << number);
    }
    *section = end->section;
    *gpa = end->gpa;
    *n = end->after < *n - 1 ? (unsigned)end->after + 1 : *n;
    return SM_TX_OK;
}

/** Perform one pass over @part, whose bytes are at @byte.  Returns false after a
 *  failure, noted in *transfer. */
static bool run_part(struct sm_vcpu *vcpu, struct transfer *transfer, enum pass pass,
                     const struct part *part, uint8_t *byte)
{
    const struct sm_tlb_target *const target = &part->target;
    const unsigned size = part->req.size;

    if (target->host) {
        if (pass == PASS_READ)
            copy_from_host(byte, target->host, size);
        else if (pass == PASS_WRITE_RAM)
            copy_to_host(vcpu, target->host, byte, size);
        return true;
    }
    if (SM_UNLIKELY(target->tx != SM_TX_OK))
        return failed(transfer, part, 0, target->tx);
    for (unsigned done = 0, n; done < size; done += n) {
        const unsigned number = (unsigned)(byte + done - transfer->byte);
        sm_gpa gpa = target->gpa + done;
        const struct sm_flat_section *section =
            sm_address_space_section(target->space, gpa);
        enum sm_tx tx = section ? SM_TX_OK : SM_TX_DECODE_ERROR;

        n = size - done;
        if (section && section->range.last - gpa < n - 1)
            n = (unsigned)(section->range.last - gpa) + 1;
        if (SM_UNLIKELY(section && section->translating))
            tx = cross(transfer, part, number, &gpa, &n, &section);
        if (tx == SM_TX_OK)
            tx = piece(vcpu, transfer, pass, section, part, gpa, byte + done, &n);
        if (tx != SM_TX_OK)
            return failed(transfer, part, done, tx);
    }
    return true;
}

static bool run(struct sm_vcpu *vcpu, struct transfer *transfer, enum pass pass)
{
    uint8_t *byte = transfer->byte;

    for (unsigned i = 0; i < transfer->n_parts; i++) {
        if (!run_part(vcpu, transfer, pass, &transfer->part[i], byte))
            return false;
        byte += transfer->part[i].req.size;
    }
    return true;
}

/** After a callback the map may have changed. */
static enum sm_step done(const struct transfer *transfer)
{
    return transfer->entered_device ? SM_STEP_DONE_LEAVE : SM_STEP_DONE;
}

static struct sm_value swap_bytes(struct sm_value value, unsigned size_bits)
{
    if (size_bits == 4)
        return (struct sm_value){__builtin_bswap64(value.hi),
                                 __builtin_bswap64(value.lo)};
    return (struct sm_value){
        size_bits ? __builtin_bswap64(value.lo) >> (64 - (8u << size_bits)) : value.lo,
        0};
}

/** Whether the access, translated, stops at a watch.  A refusal that is known comes
 *  first (W2). */
static SM_NOINLINE bool stops(struct sm_vcpu *vcpu, const struct transfer *transfer,
                              enum sm_watch_kind kind, unsigned accesses,
                              struct sm_value value)
{
    struct sm_watch_access access = {
        .n_parts = transfer->n_parts, .kind = (uint8_t)kind,
        .accesses = (uint8_t)accesses, .mode = transfer->part[0].req.mode,
        .value = value};

    for (unsigned i = 0; i < transfer->n_parts; i++) {
        const struct part *const part = &transfer->part[i];
        if (part->target.tx != SM_TX_OK)
            return false;
        access.part[i] = (struct sm_watch_part){part->req.gva, part->target.gpa,
                                                part->target.space, part->req.size};
    }
    return sm_watch_stops(vcpu, &access);
}

/** Whether @op forbids @gva; *transfer then says so. */
static bool misaligned(struct transfer *transfer, sm_gva gva, struct sm_memop op)
{
    if (!(op.flags & SM_MEMOP_ALIGNED) || !(gva & sm_mask(op.align_bits)))
        return false;
    (void)failed(transfer, &transfer->part[0], 0, SM_TX_ACCESS_ERROR);
    return true;
}

static enum sm_step fail(struct sm_vcpu *vcpu, const struct transfer *transfer,
                         struct sm_fault *fault)
{
    return sm_tlb_bus_error(vcpu, &transfer->req, transfer->gpa, transfer->tx, fault);
}

/** Move 16 aligned bytes of RAM at once (A2): through the address space, which can. */
static bool is_wide_ram(const struct transfer *transfer, sm_gva gva, unsigned size_bits)
{
    return size_bits == 4 && transfer->part[0].target.host && !(gva & 15);
}

/* --- Devices ----------------------------------------------------------------------- */

/** Where an access goes by the bus, and how. */
struct place {
    struct sm_address_space *space;
    sm_gpa gpa;
    struct sm_attrs attrs;
};

/** Find out where @op at @gva goes, of 1 << op.size_bits bytes to 8, if its entry says no
 *  more than that it goes by the bus: then nobody checks, watches or counts it either.
 *  Returns  false: it is to be looked at more closely */
SM_ALWAYS_INLINE bool find_place(const struct sm_vcpu *vcpu, sm_gva gva,
                                 struct sm_memop op, enum sm_access access,
                                 struct place *out)
{
    const struct sm_tlb_table *const table = vcpu->fast.table[op.mode];
    const unsigned slot = sm_tlb_slot(gva), last = (1u << op.size_bits) - 1;
    const struct sm_tlb_cold *cold;

    /* Of the page's last byte, as a hit compares (T2). */
    if (table->slot[access][slot].tag != (((gva + last) & SM_PAGE_MASK) | SM_TLB_MMIO) ||
        (op.flags & (SM_MEMOP_ALIGNED | SM_MEMOP_AS_FETCH)) || op.size_bits > 3)
        return false;
    cold = &sm_container_of(table, const struct sm_tlb_store, table)->cold[access][slot];
    out->space = vcpu->spaces[cold->space];
    out->gpa = cold->gpa | (gva & ~SM_PAGE_MASK);
    out->attrs = (struct sm_attrs){
        .requester = vcpu->requester, .process = cold->process,
        .flags = cold->flags, .space = cold->attrs_space};
    return true;
}

/** End an access to @place that ended with @tx.  After a callback the map may have
 *  changed. */
static enum sm_step left_place(struct sm_vcpu *vcpu, const struct place *place, sm_gva gva,
                               struct sm_memop op, enum sm_access access, enum sm_tx tx,
                               struct sm_fault *fault)
{
    if (SM_LIKELY(tx == SM_TX_OK))
        return SM_STEP_DONE_LEAVE;
    const struct sm_xlate_req req = {
        .gva = gva, .size = (uint16_t)(1u << op.size_bits), .access = (uint8_t)access,
        .mode = op.mode};
    return sm_tlb_bus_error(vcpu, &req, place->gpa, tx, fault);
}

/* --- Loads and stores ----------------------------------------------------------------- */

/** Load what is no plain device's. */
static SM_NOINLINE enum sm_step read_any(struct sm_vcpu *vcpu, sm_gva gva,
                                         struct sm_memop op, struct sm_value *value,
                                         struct sm_fault *fault)
{
    const enum sm_access access = op.flags & SM_MEMOP_AS_FETCH ? SM_FETCH : SM_READ;
    struct sm_value result = {0, 0};
    struct transfer transfer;
    const struct sm_tlb_target *const target = &transfer.part[0].target;
    enum sm_tx tx;

    if (!prepare(vcpu, &transfer, gva, 1u << op.size_bits, access, op.mode, fault))
        return SM_STEP_FAULT;
    if (misaligned(&transfer, gva, op))
        return fail(vcpu, &transfer, fault);
    if (SM_UNLIKELY(vcpu->watching.n) &&
        stops(vcpu, &transfer, access == SM_FETCH ? SM_WATCH_FETCH : SM_WATCH_LOAD,
              1u << access, result))
        return SM_STEP_STOP;

    if (SM_LIKELY(transfer.n_parts == 1 && target->host && op.size_bits < 4)) {
        result.lo = sm_host_load(target->host, op.size_bits);
    } else if (is_wide_ram(&transfer, gva, op.size_bits)) {
        tx = sm_address_space_read(target->space, target->gpa, &target->attrs, &result, 16,
                                   NULL);
        if (tx != SM_TX_OK) {
            (void)failed(&transfer, &transfer.part[0], 0, tx);
            return fail(vcpu, &transfer, fault);
        }
    } else {
        memset(transfer.byte, 0, sizeof transfer.byte);
        if (!run(vcpu, &transfer, PASS_READ))
            return fail(vcpu, &transfer, fault);
        memcpy(&result.lo, transfer.byte, 8);
        memcpy(&result.hi, transfer.byte + 8, 8);
    }
    *value = op.flags & SM_MEMOP_BIG_ENDIAN ? swap_bytes(result, op.size_bits) : result;
    return done(&transfer);
}

/** Store what is no plain device's. */
static SM_NOINLINE enum sm_step write_any(struct sm_vcpu *vcpu, sm_gva gva,
                                          struct sm_memop op, struct sm_value value,
                                          struct sm_fault *fault)
{
    struct transfer transfer;
    const struct sm_tlb_target *const target = &transfer.part[0].target;

    if (!prepare(vcpu, &transfer, gva, 1u << op.size_bits, SM_WRITE, op.mode, fault))
        return SM_STEP_FAULT;
    if (misaligned(&transfer, gva, op))
        return fail(vcpu, &transfer, fault);
    if (SM_UNLIKELY(vcpu->watching.n) &&
        stops(vcpu, &transfer, SM_WATCH_STORE, SM_PERM_W, value))
        return SM_STEP_STOP;
    if (op.flags & SM_MEMOP_BIG_ENDIAN)
        value = swap_bytes(value, op.size_bits);

    if (SM_LIKELY(transfer.n_parts == 1 && target->host && op.size_bits < 4)) {
        if (SM_UNLIKELY(vcpu->flags & SM_VCPU_EXACT_RESERVE))
            sm_tlb_store_exactly(vcpu, target->host, &value.lo, 1u << op.size_bits);
        else
            sm_host_store(target->host, op.size_bits, value.lo);
        sm_tlb_stored(vcpu);
        return SM_STEP_DONE;
    }
    if (is_wide_ram(&transfer, gva, op.size_bits)) {
        const enum sm_tx tx = sm_address_space_write(target->space, target->gpa,
                                                     &target->attrs, &value, 16, NULL);
        if (tx == SM_TX_OK)
            return SM_STEP_DONE;
        (void)failed(&transfer, &transfer.part[0], 0, tx);
        return fail(vcpu, &transfer, fault);
    }
    memcpy(transfer.byte, &value.lo, 8);
    memcpy(transfer.byte + 8, &value.hi, 8);
    if (!run(vcpu, &transfer, PASS_CHECK_WRITE) ||
        !run(vcpu, &transfer, PASS_WRITE_DEVICES) ||
        !run(vcpu, &transfer, PASS_WRITE_RAM))
        return fail(vcpu, &transfer, fault);
    return done(&transfer);
}

enum sm_step sm_tlb_read_slow(struct sm_vcpu *vcpu, sm_gva gva, struct sm_memop op,
                              struct sm_value *value, struct sm_fault *fault)
{
    struct place place;
    uint64_t read = 0;
    int tx = -1;

    sm_assert_hot(op.size_bits <= 4);
    vcpu->stats.slow[op.flags & SM_MEMOP_AS_FETCH ? SM_FETCH : SM_READ]++;
    if (find_place(vcpu, gva, op, SM_READ, &place))
        tx = sm_mmio_try_read(&vcpu->agent, place.space, place.gpa, 1u << op.size_bits,
                              &place.attrs, &read);
    if (tx < 0)
        return read_any(vcpu, gva, op, value, fault);
    vcpu->stats.mmio_reads++;
    if (SM_UNLIKELY(op.flags & SM_MEMOP_BIG_ENDIAN))
        read = swap_bytes((struct sm_value){read, 0}, op.size_bits).lo;
    if (SM_LIKELY(tx == SM_TX_OK)) {
        value->lo = read;
        value->hi = 0;
    }
    return left_place(vcpu, &place, gva, op, SM_READ, (enum sm_tx)tx, fault);
}

enum sm_step sm_tlb_write_slow(struct sm_vcpu *vcpu, sm_gva gva, struct sm_memop op,
                               struct sm_value value, struct sm_fault *fault)
{
    const bool swap = op.flags & SM_MEMOP_BIG_ENDIAN;
    struct place place;
    int tx = -1;

    sm_assert_hot(op.size_bits <= 4);
    vcpu->stats.slow[SM_WRITE]++;
    if (find_place(vcpu, gva, op, SM_WRITE, &place))
        tx = sm_mmio_try_write(&vcpu->agent, place.space, place.gpa, 1u << op.size_bits,
                               &place.attrs,
                               swap ? swap_bytes(value, op.size_bits).lo : value.lo);
    if (tx < 0)
        return write_any(vcpu, gva, op, value, fault);
    vcpu->stats.mmio_writes++;
    return left_place(vcpu, &place, gva, op, SM_WRITE, (enum sm_tx)tx, fault);
}

enum sm_step sm_tlb_touch(struct sm_vcpu *vcpu, sm_gva gva, unsigned size,
                          enum sm_access access, uint8_t mode, uint32_t req_flags,
                          void **host, struct sm_fault *fault)
{
    const struct sm_xlate_req req = {.gva = gva, .size = (uint16_t)size,
                                     .access = (uint8_t)access, .mode = mode,
                                     .flags = req_flags};
    struct sm_tlb_target target;

    if (!sm_tlb_find(vcpu, &req, &target, fault))
        return SM_STEP_FAULT;
    if (SM_UNLIKELY(target.tx != SM_TX_OK))
        return sm_tlb_bus_error(vcpu, &req, target.gpa, target.tx, fault);
    if (SM_UNLIKELY(vcpu->watching.n) && !(req_flags & SM_REQ_PROBE) &&
        sm_watch_stops_one(vcpu, access == SM_FETCH ? SM_WATCH_FETCH : SM_WATCH_TOUCH,
                           1u << access, &req, &target, (struct sm_value){0, 0}))
        return SM_STEP_STOP;
    *host = access == SM_WRITE && (vcpu->flags & SM_VCPU_EXACT_RESERVE) ? NULL
                                                                        : target.host;
    return SM_STEP_DONE;
}
