/* SPDX-License-Identifier: MIT */
/* tlb_atomic.c - read-modify-write, compare-and-swap and LR/SC on writable RAM. */
#include "memory/atomic_access.h"
#include "memory/reserve.h"
#include "memory/resolve.h"
#include "tlb/tlb_impl.h"

#include <string.h>

/** Find memory that @req reaches by the bus: it is memory all the same where it fills no
 *  page, or lies beyond a translating region. */
static void find_fragment(const struct sm_xlate_req *req, struct sm_tlb_target *target)
{
    const enum sm_access access = (enum sm_access)req->access;
    struct sm_resolved end;

    target->tx = req->flags & SM_REQ_ATOMIC
        ? sm_resolve_atomic(NULL, target->space, target->gpa, &target->attrs, &end)
        : sm_resolve(NULL, target->space, target->gpa, &target->attrs, access, &end);

    if (target->tx != SM_TX_OK || end.after < req->size - 1u ||
        (access == SM_WRITE && end.section->readonly))
        return;
    target->host = sm_flat_section_host(end.section, end.gpa);
    if (target->host && access == SM_WRITE)
        sm_section_mark(end.section, end.gpa, req->size); /* D1 */
}

/** Find the host address of an aligned access to RAM, or say why it is refused.
 *  Returns  NULL with *fault filled */
static uint8_t *ram_host(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                         struct sm_tlb_target *target, struct sm_fault *fault)
{
    if (!sm_tlb_find(vcpu, req, target, fault))
        return NULL;
    if (SM_UNLIKELY(!target->host && target->tx == SM_TX_OK))
        find_fragment(req, target);
    if (SM_LIKELY(target->host && !((uintptr_t)target->host & (req->size - 1u))))
        return target->host;
    (void)sm_tlb_bus_error(vcpu, req, target->gpa,
                           target->tx == SM_TX_OK ? SM_TX_ACCESS_ERROR : target->tx,
                           fault);
    return NULL;
}

/** What is asked for @op at @gva, up to the end of the page. */
static struct sm_xlate_req request_of(sm_gva gva, struct sm_memop op,
                                      enum sm_access access, uint32_t req_flags)
{
    const uint64_t to_border = SM_PAGE_SIZE - (gva & ~SM_PAGE_MASK);
    const uint64_t size = UINT64_C(1) << op.size_bits;

    return (struct sm_xlate_req){.gva = gva, .size = (uint16_t)SM_MIN(to_border, size),
                                 .access = (uint8_t)access, .mode = op.mode,
                                 .flags = req_flags};
}

/** As ram_host(), of an access that may be misaligned, and then is refused. */
static uint8_t *atomic_host(struct sm_vcpu *vcpu, sm_gva gva, struct sm_memop op,
                            enum sm_access access, uint32_t req_flags,
                            struct sm_tlb_target *target, struct sm_fault *fault)
{
    const struct sm_xlate_req req = request_of(gva, op, access, req_flags);

    if (SM_LIKELY(!(gva & sm_mask(op.size_bits))))
        return ram_host(vcpu, &req, target, fault);
    if (sm_tlb_find(vcpu, &req, target, fault))
        (void)sm_tlb_bus_error(vcpu, &req, target->gpa, SM_TX_ACCESS_ERROR, fault);
    return NULL;
}

/** Whether an atomic access, of all of @op's bytes, stops at a watch. */
static SM_NOINLINE bool stops(struct sm_vcpu *vcpu, enum sm_watch_kind kind, sm_gva gva,
                              struct sm_memop op, const struct sm_tlb_target *target,
                              struct sm_value value)
{
    const unsigned accesses = kind == SM_WATCH_RESERVE             ? SM_PERM_R
                              : kind == SM_WATCH_STORE_CONDITIONAL ? SM_PERM_W
                                                                   : SM_PERM_R | SM_PERM_W;
    const struct sm_xlate_req req = request_of(gva, op, SM_READ, 0);

    return sm_watch_stops_one(vcpu, kind, accesses, &req, target, value);
}

static uint64_t in_order(struct sm_memop op, uint64_t value)
{
    if (SM_LIKELY(!(op.flags & SM_MEMOP_BIG_ENDIAN)) || op.size_bits == 0)
        return value;
    return __builtin_bswap64(value) >> (64 - (8u << op.size_bits));
}

static struct sm_value wide_in_order(struct sm_memop op, struct sm_value value)
{
    if (op.size_bits < 4)
        return (struct sm_value){in_order(op, value.lo & sm_mask(8u << op.size_bits)), 0};
    if (!(op.flags & SM_MEMOP_BIG_ENDIAN))
        return value;
    return (struct sm_value){__builtin_bswap64(value.hi), __builtin_bswap64(value.lo)};
}

/** Apply @rmw to a number whose bytes lie in memory the other way round. */
static uint64_t rmw_swapped(struct sm_vcpu *vcpu, uint8_t *host, struct sm_memop op,
                            enum sm_rmw rmw, uint64_t operand)
{
    const unsigned size = 1u << op.size_bits;
    struct sm_value now = {sm_host_load(host, op.size_bits), 0}, expected;

    do {
        const uint64_t result = sm_rmw_result(rmw, size, in_order(op, now.lo), operand);
        const struct sm_value desired = {in_order(op, result), 0};
        expected = now;
        now = sm_ram_cas(vcpu->topo, host, size, expected, desired);
    } while (now.lo != expected.lo);
    return in_order(op, now.lo);
}

enum sm_step sm_tlb_rmw(struct sm_vcpu *vcpu, sm_gva gva, struct sm_memop op,
                        enum sm_rmw rmw, uint64_t operand, uint64_t *old,
                        struct sm_fault *fault)
{
    struct sm_tlb_target target;
    uint8_t *const host =
        atomic_host(vcpu, gva, op, SM_WRITE, SM_REQ_ATOMIC, &target, fault);

    sm_assert_hot(op.size_bits <= 3 && (unsigned)rmw < SM_N_RMW);
    if (!host)
        return SM_STEP_FAULT;
    if (SM_UNLIKELY(vcpu->watching.n) &&
        stops(vcpu, SM_WATCH_RMW, gva, op, &target, (struct sm_value){operand, 0}))
        return SM_STEP_STOP;
    if (SM_UNLIKELY(op.flags & SM_MEMOP_BIG_ENDIAN))
        *old = rmw_swapped(vcpu, host, op, rmw, operand);
    else if (vcpu->fast.alone)
        *old = sm_host_rmw(host, 1u << op.size_bits, rmw, operand);
    else
        *old = sm_ram_rmw(vcpu->topo, host, 1u << op.size_bits, rmw, operand);
    sm_tlb_stored(vcpu);
    return SM_STEP_DONE;
}

enum sm_step sm_tlb_cas(struct sm_vcpu *vcpu, sm_gva gva, struct sm_memop op,
                        struct sm_value expected, struct sm_value desired,
                        struct sm_value *old, struct sm_fault *fault)
{
    struct sm_tlb_target target;
    uint8_t *const host =
        atomic_host(vcpu, gva, op, SM_WRITE, SM_REQ_ATOMIC, &target, fault);

    sm_assert_hot(op.size_bits <= 4);
    if (!host)
        return SM_STEP_FAULT;
    if (SM_UNLIKELY(vcpu->watching.n) &&
        stops(vcpu, SM_WATCH_CAS, gva, op, &target, desired))
        return SM_STEP_STOP;
    *old = wide_in_order(op, sm_ram_cas(vcpu->topo, host, 1u << op.size_bits,
                                        wide_in_order(op, expected),
                                        wide_in_order(op, desired)));
    sm_tlb_stored(vcpu);
    return SM_STEP_DONE;
}

/* --- LR/SC ------------------------------------------------------------------------ */

enum sm_step sm_tlb_load_reserved(struct sm_vcpu *vcpu, sm_gva gva, struct sm_memop op,
                                  uint64_t *value, struct sm_fault *fault)
{
    struct sm_reservation *const held = &vcpu->fast.held;
    struct sm_tlb_target target;
    uint8_t *const host = atomic_host(vcpu, gva, op, SM_READ, 0, &target, fault);

    sm_assert_hot(op.size_bits <= 3);
    if (!host)
        return SM_STEP_FAULT;
    if (SM_UNLIKELY(vcpu->watching.n) &&
        stops(vcpu, SM_WATCH_RESERVE, gva, op, &target, (struct sm_value){0, 0}))
        return SM_STEP_STOP;
    /* The version first: what changes the value after this read changes it too. */
    held->version = sm_reserve_version(vcpu->topo, host);
    held->version_of = sm_reserve_counter(vcpu->topo, host);
    held->value = sm_host_load(host, op.size_bits);
    held->host = host;
    held->gva = gva;
    held->size = 1u << op.size_bits;
    *value = in_order(op, held->value);
    return SM_STEP_DONE;
}

void sm_tlb_store_exactly(struct sm_vcpu *vcpu, uint8_t *host, const void *bytes,
                          unsigned size)
{
    struct sm_reservation *const held = &vcpu->fast.held;
    const uint8_t *from = bytes;

    for (unsigned n; size; size -= n, host += n, from += n) {
        const unsigned granule = 1u << SM_GRANULE_BITS;
        n = SM_MIN(size, granule - (unsigned)((uintptr_t)host & (granule - 1)));
        uint64_t version, *const counter = sm_reserve_lock(vcpu->topo, host, &version);
        if (n <= 8 && sm_is_pow2(n)) { /* as the hit path stores it */
            uint64_t value = 0;
            memcpy(&value, from, n);
            sm_host_store(host, sm_log2(n), value);
        } else {
            for (unsigned i = 0; i < n; i++)
                sm_host_store(host + i, 0, from[i]);
        }
        sm_reserve_unlock(counter);
        /* Its own stores are no other agent's: what it holds is of the new version. */
        if (held->size && held->version == version &&
            sm_reserve_is_shared(held->host, host))
            held->version = version + 2;
    }
}

void sm_tlb_clear_reservation(struct sm_vcpu *vcpu)
{
    vcpu->fast.held.size = 0;
}

/** Swap @desired in for @expected.  The granule is locked. */
static bool swap(uint8_t *host, unsigned size_bits, uint64_t expected, uint64_t desired)
{
    switch (size_bits) {
    case 0: {
        uint8_t was = (uint8_t)expected;
        return sm_compare_exchange(host, &was, (uint8_t)desired);
    }
    case 1: {
        uint16_t was = (uint16_t)expected;
        return sm_compare_exchange((sm_host16 *)(void *)host, &was, (uint16_t)desired);
    }
    case 2: {
        uint32_t was = (uint32_t)expected;
        return sm_compare_exchange((sm_host32 *)(void *)host, &was, (uint32_t)desired);
    }
    default:
        return sm_compare_exchange((sm_host64 *)(void *)host, &expected, desired);
    }
}

enum sm_step sm_tlb_store_conditional(struct sm_vcpu *vcpu, sm_gva gva,
                                      struct sm_memop op, uint64_t value, bool *stored,
                                      struct sm_fault *fault)
{
    const struct sm_reservation held = vcpu->fast.held;
    struct sm_tlb_target target;
    uint64_t version, *counter;
    uint8_t *host;

    vcpu->fast.held.size = 0;
    *stored = false;
    if (held.size != 1u << op.size_bits || held.gva != gva) {
        /* One that fails anyway is still a store to the page tables: it faults where a
         * store would, and says so before it says that it failed. */
        const struct sm_xlate_req req = request_of(gva, op, SM_WRITE, 0);
        if (!sm_tlb_find(vcpu, &req, &target, fault))
            return SM_STEP_FAULT;
        return target.tx == SM_TX_OK
            ? SM_STEP_DONE
            : sm_tlb_bus_error(vcpu, &req, target.gpa, target.tx, fault);
    }
    host = atomic_host(vcpu, gva, op, SM_WRITE, 0, &target, fault);
    if (!host)
        return SM_STEP_FAULT;
    if (host != held.host)
        return SM_STEP_DONE; /* another page is mapped there now */
    if (SM_UNLIKELY(vcpu->watching.n) &&
        stops(vcpu, SM_WATCH_STORE_CONDITIONAL, gva, op, &target,
              (struct sm_value){value, 0})) {
        vcpu->fast.held = held; /* W3 */
        return SM_STEP_STOP;
    }
    counter = sm_reserve_lock(vcpu->topo, host, &version);
    if (version == held.version &&
        swap(host, op.size_bits, held.value, in_order(op, value))) {
        sm_reserve_unlock(counter);
        *stored = true;
        sm_tlb_stored(vcpu);
    } else {
        sm_reserve_unlock_untouched(counter);
    }
    return SM_STEP_DONE;
}
