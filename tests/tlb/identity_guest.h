/* SPDX-License-Identifier: MIT */
/* identity_guest.h - a guest without paging, for tests that need a vCPU and no tables.
 *
 * One mode, in which a virtual address is the physical one and all is allowed.  A fault's
 * cause is the transaction's result, enum sm_tx; .gva and .gpa are of the failed piece.
 */
#ifndef TESTS_TLB_IDENTITY_GUEST_H
#define TESTS_TLB_IDENTITY_GUEST_H

#include "../base/test.h"

#include "softmmu/softmmu.h"
#include "softmmu/softtlb_hit.h"

SM_INLINE bool identity_fill(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                             struct sm_xlate *out, struct sm_fault *fault)
{
    *out = (struct sm_xlate){.gpa = req->gva,
                             .ipa = req->gva,
                             .span_bits = 64,
                             .leaf_bits = {64, 0},
                             .perms = SM_PERM_R | SM_PERM_W | SM_PERM_X};
    return true;
}

SM_INLINE void identity_bus_error(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                                  sm_gpa gpa, enum sm_tx tx, struct sm_fault *fault)
{
    *fault = (struct sm_fault){.cause = (uint32_t)tx, .gva = req->gva, .gpa = gpa};
}

SM_INLINE const char *identity_mode_name(uint8_t mode)
{
    return "M";
}

static const struct sm_guest_mmu_ops identity_ops = {
    .struct_size = sizeof(identity_ops),
    .n_modes = 1,
    .tlb_fill = identity_fill,
    .bus_error = identity_bus_error,
    .mode_name = identity_mode_name,
};

/** Make a vCPU, offline, that sees @space untranslated in mode 0. */
SM_INLINE struct sm_vcpu *identity_vcpu(struct sm_topology *topo,
                                        struct sm_address_space *space,
                                        uint32_t requester, void *guest)
{
    const struct sm_vcpu_options options = {.struct_size = sizeof(options),
                                            .tlb_layout = SM_TLB_LAYOUT,
                                            .spaces = &space,
                                            .n_spaces = 1,
                                            .requester = requester,
                                            .ops = &identity_ops,
                                            .guest = guest};
    const struct sm_tlb_key key = {{0}};
    struct sm_vcpu *vcpu;

    assert_int_equal(sm_vcpu_new(topo, &options, &vcpu), 0);
    sm_tlb_select(vcpu, 1, &key);
    return vcpu;
}

/** What guest code does to load 1 << @size_bits bytes (0..3): a hit, else the slow path.
 *  Returns  the result of the transaction */
SM_INLINE enum sm_tx identity_load(struct sm_vcpu *vcpu, sm_gva gva, unsigned size_bits,
                                   uint64_t *value)
{
    const struct sm_memop op = {.size_bits = (uint8_t)size_bits};
    struct sm_value result = {0, 0};
    struct sm_fault fault;
    void *host;

    if (sm_tlb_hit(sm_vcpu_fast(vcpu)->table[0], gva, 1u << size_bits, SM_READ, &host)) {
        *value = sm_host_load(host, size_bits);
        return SM_TX_OK;
    }
    if (sm_tlb_read_slow(vcpu, gva, op, &result, &fault) > SM_STEP_DONE_LEAVE)
        return (enum sm_tx)fault.cause;
    *value = result.lo;
    return SM_TX_OK;
}

/** As identity_load(), to store. */
SM_INLINE enum sm_tx identity_store(struct sm_vcpu *vcpu, sm_gva gva, unsigned size_bits,
                                    uint64_t value)
{
    const struct sm_memop op = {.size_bits = (uint8_t)size_bits};
    struct sm_fault fault;
    void *host;

    if (sm_tlb_hit(sm_vcpu_fast(vcpu)->table[0], gva, 1u << size_bits, SM_WRITE, &host)) {
        sm_host_store(host, size_bits, value);
        return SM_TX_OK;
    }
    if (sm_tlb_write_slow(vcpu, gva, op, (struct sm_value){value, 0}, &fault) >
        SM_STEP_DONE_LEAVE)
        return (enum sm_tx)fault.cause;
    return SM_TX_OK;
}

#endif
