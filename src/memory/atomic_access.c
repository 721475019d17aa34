/* SPDX-License-Identifier: MIT */
/* atomic_access.c - updates memory or a device atomically, up to 16 bytes (A2, A3). */
#include "memory/atomic_access.h"

#include "base/bits.h"
#include "memory/memory_impl.h"
#include "memory/mmio.h"
#include "memory/reserve.h"
#include "memory/resolve.h"
#include "softmmu/softtlb_hit.h"

/* --- Operations --------------------------------------------------------- */

uint64_t sm_rmw_result(enum sm_rmw op, unsigned size, uint64_t old, uint64_t operand)
{
    const unsigned bits = 8 * size;
    const uint64_t a = old & sm_mask(bits), b = operand & sm_mask(bits);
    const bool less = a < b;
    const bool less_signed = sm_sign_extend(a, bits) < sm_sign_extend(b, bits);

    switch (op) {
    case SM_RMW_SWAP: return b;
    case SM_RMW_ADD: return (a + b) & sm_mask(bits);
    case SM_RMW_AND: return a & b;
    case SM_RMW_OR: return a | b;
    case SM_RMW_XOR: return a ^ b;
    case SM_RMW_MIN: return less_signed ? a : b;
    case SM_RMW_MAX: return less_signed ? b : a;
    case SM_RMW_MINU: return less ? a : b;
    case SM_RMW_MAXU: return less ? b : a;
    default: break;
    }
    sm_assert(op < SM_N_RMW);
    return a;
}

static unsigned __int128 wide(struct sm_value value)
{
    return (unsigned __int128)value.hi << 64 | value.lo;
}

static struct sm_value narrow(unsigned __int128 value)
{
    return (struct sm_value){(uint64_t)value, (uint64_t)(value >> 64)};
}

/* As sm_rmw_result(), of 16 bytes. */
static struct sm_value rmw_result16(enum sm_rmw op, struct sm_value old,
                                    struct sm_value operand)
{
    const unsigned __int128 a = wide(old), b = wide(operand);
    const bool less = a < b, less_signed = (__int128)a < (__int128)b;

    switch (op) {
    case SM_RMW_SWAP: return operand;
    case SM_RMW_ADD: return narrow(a + b);
    case SM_RMW_AND: return narrow(a & b);
    case SM_RMW_OR: return narrow(a | b);
    case SM_RMW_XOR: return narrow(a ^ b);
    case SM_RMW_MIN: return less_signed ? old : operand;
    case SM_RMW_MAX: return less_signed ? operand : old;
    case SM_RMW_MINU: return less ? old : operand;
    case SM_RMW_MAXU: return less ? operand : old;
    default: break;
    }
    sm_assert(op < SM_N_RMW);
    return old;
}

/* --- RAM ---------------------------------------------------------------- */

typedef unsigned __int128 __attribute__((may_alias)) host128;

/* Compare and swap 1, 2, 4 or 8 bytes; returns what was found. */
static uint64_t host_cas(void *host, unsigned size, uint64_t expected, uint64_t desired)
{
    switch (size) {
    case 1: {
        uint8_t found = (uint8_t)expected;
        __atomic_compare_exchange_n((uint8_t *)host, &found, (uint8_t)desired, false,
                                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        return found;
    }
    case 2: {
        uint16_t found = (uint16_t)expected;
        __atomic_compare_exchange_n((sm_host16 *)host, &found, (uint16_t)desired, false,
                                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        return found;
    }
    case 4: {
        uint32_t found = (uint32_t)expected;
        __atomic_compare_exchange_n((sm_host32 *)host, &found, (uint32_t)desired, false,
                                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        return found;
    }
    default: {
        uint64_t found = expected;
        __atomic_compare_exchange_n((sm_host64 *)host, &found, desired, false,
                                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
        return found;
    }
    }
}

static struct sm_value host_cas16(void *host, struct sm_value expected,
                                  struct sm_value desired)
{
#ifdef __GCC_HAVE_SYNC_COMPARE_AND_SWAP_16
    return narrow(
        __sync_val_compare_and_swap((host128 *)host, wide(expected), wide(desired)));
#else
    /* The granule is locked: other callers of this are kept away, plain stores not. */
    sm_host64 *half = host;
    const struct sm_value found = {sm_host_load(&half[0], 3), sm_host_load(&half[1], 3)};
    if (found.lo == expected.lo && found.hi == expected.hi) {
        sm_host_store(&half[0], 3, desired.lo);
        sm_host_store(&half[1], 3, desired.hi);
    }
    return found;
#endif
}

uint64_t sm_host_rmw(void *host, unsigned size, enum sm_rmw op, uint64_t operand)
{
    uint64_t old = sm_host_load(host, sm_log2(size));

    for (;;) {
        const uint64_t found =
            host_cas(host, size, old, sm_rmw_result(op, size, old, operand));
        if (found == old)
            return old;
        old = found;
    }
}

uint64_t sm_ram_rmw(struct sm_topology *topo, void *host, unsigned size, enum sm_rmw op,
                    uint64_t operand)
{
    uint64_t old, version, *counter;

    counter = sm_reserve_lock(topo, host, &version);
    /* Plain stores take no lock, so the operation is the host's all the same. */
    old = sm_host_rmw(host, size, op, operand);
    sm_reserve_unlock(counter);
    return old;
}

struct sm_value sm_ram_rmw16(struct sm_topology *topo, void *host, enum sm_rmw op,
                             struct sm_value operand)
{
    const sm_host64 *half = host;
    uint64_t version, *counter;

    counter = sm_reserve_lock(topo, host, &version);
    struct sm_value old = {sm_host_load(&half[0], 3), sm_host_load(&half[1], 3)};
    for (;;) {
        const struct sm_value found =
            host_cas16(host, old, rmw_result16(op, old, operand));
        if (found.lo == old.lo && found.hi == old.hi)
            break;
        old = found; /* it changed, or the two halves were not of one time */
    }
    sm_reserve_unlock(counter);
    return old;
}

struct sm_value sm_ram_cas(struct sm_topology *topo, void *host, unsigned size,
                           struct sm_value expected, struct sm_value desired)
{
    struct sm_value found = {0, 0};
    uint64_t version, *counter;

    counter = sm_reserve_lock(topo, host, &version);
    if (size == 16)
        found = host_cas16(host, expected, desired);
    else
        found.lo = host_cas(host, size, expected.lo, desired.lo);
    sm_reserve_unlock(counter);
    return found;
}

/* --- The address space -------------------------------------------------- */

/* Find who answers all of an aligned atomic access, and tell the logs if it is memory.
 * Leaves @reader begun, pinned if the answer is a device.  *@gpa becomes its address in
 * the section's own space.  @host: NULL for a device */
static enum sm_tx find(struct sm_reader *reader, struct sm_address_space *space,
                       sm_gpa *gpa, const struct sm_attrs *attrs, unsigned size,
                       const struct sm_flat_section **section, uint8_t **host)
{
    if (!sm_is_pow2(size) || size > 16 || (*gpa & (size - 1)))
        return SM_TX_ACCESS_ERROR;
    do {
        *section = sm_address_space_section(space, *gpa);
        if (!*section)
            return SM_TX_DECODE_ERROR;
        /* Nothing can be atomic across two that answer, or against its grain. */
        if ((*section)->range.last - *gpa < size - 1)
            return SM_TX_ACCESS_ERROR;
        if (SM_UNLIKELY((*section)->translating)) {
            struct sm_resolved end;
            const enum sm_tx tx = sm_resolve_atomic(reader, space, *gpa, attrs, &end);
            if (tx != SM_TX_OK || end.after < size - 1)
                return tx != SM_TX_OK ? tx : SM_TX_ACCESS_ERROR;
            *section = end.section;
            *gpa = end.gpa;
        }
        if ((*section)->readonly && !(attrs->flags & SM_ATTR_DEBUG))
            return SM_TX_ACCESS_ERROR;
        *host = sm_flat_section_host(*section, *gpa);
        if (*host && ((uintptr_t)*host & (size - 1)))
            return SM_TX_ACCESS_ERROR;
        if (*host) {
            sm_ram_mark((*section)->region->ram, sm_flat_section_offset(*section, *gpa),
                        size);
            return SM_TX_OK;
        }
        if (size > 8 || (attrs->flags & SM_ATTR_RAM_ONLY))
            return SM_TX_ACCESS_ERROR;
    } while (sm_reader_pin(reader));
    return SM_TX_OK;
}

enum sm_tx sm_address_space_rmw(struct sm_address_space *space, sm_gpa gpa,
                                const struct sm_attrs *attrs, unsigned size,
                                enum sm_rmw op, uint64_t operand, uint64_t *old)
{
    const struct sm_flat_section *section;
    struct sm_reader reader;
    uint8_t *host;

    sm_assert_hot(!sm_thread_holds_device() || (attrs->flags & SM_ATTR_RAM_ONLY));
    if (size > 8 || op >= SM_N_RMW)
        return SM_TX_ACCESS_ERROR;
    sm_reader_begin(&reader, space->topo);
    enum sm_tx tx = find(&reader, space, &gpa, attrs, size, &section, &host);
    if (tx == SM_TX_OK) {
        if (host)
            *old = sm_ram_rmw(space->topo, host, size, op, operand);
        else
            tx = sm_mmio_rmw(section->region, sm_flat_section_offset(section, gpa), size,
                             attrs, op, operand, old);
    }
    sm_reader_end(&reader);
    return tx;
}

enum sm_tx sm_address_space_rmw_wide(struct sm_address_space *space, sm_gpa gpa,
                                     const struct sm_attrs *attrs, unsigned size,
                                     enum sm_rmw op, struct sm_value operand,
                                     struct sm_value *old)
{
    const struct sm_flat_section *section;
    struct sm_reader reader;
    uint8_t *host;

    if (size != 16) {
        uint64_t low;
        const enum sm_tx tx =
            sm_address_space_rmw(space, gpa, attrs, size, op, operand.lo, &low);
        if (tx == SM_TX_OK)
            *old = (struct sm_value){low, 0};
        return tx;
    }
    sm_assert_hot(!sm_thread_holds_device() || (attrs->flags & SM_ATTR_RAM_ONLY));
    if (op >= SM_N_RMW)
        return SM_TX_ACCESS_ERROR;
    sm_reader_begin(&reader, space->topo);
    const enum sm_tx tx = find(&reader, space, &gpa, attrs, size, &section, &host);
    if (tx == SM_TX_OK) /* it is memory: no device takes as many */
        *old = sm_ram_rmw16(space->topo, host, op, operand);
    sm_reader_end(&reader);
    return tx;
}

enum sm_tx sm_address_space_cas(struct sm_address_space *space, sm_gpa gpa,
                                const struct sm_attrs *attrs, unsigned size,
                                struct sm_value expected, struct sm_value desired,
                                struct sm_value *old)
{
    const struct sm_flat_section *section;
    struct sm_reader reader;
    uint8_t *host;

    sm_assert_hot(!sm_thread_holds_device() || (attrs->flags & SM_ATTR_RAM_ONLY));
    sm_reader_begin(&reader, space->topo);
    enum sm_tx tx = find(&reader, space, &gpa, attrs, size, &section, &host);
    if (tx == SM_TX_OK) {
        if (host) {
            *old = sm_ram_cas(space->topo, host, size, expected, desired);
        } else {
            uint64_t found;
            tx = sm_mmio_cas(section->region, sm_flat_section_offset(section, gpa), size,
                             attrs, expected.lo, desired.lo, &found);
            if (tx == SM_TX_OK)
                *old = (struct sm_value){found, 0};
        }
    }
    sm_reader_end(&reader);
    return tx;
}
