/* SPDX-License-Identifier: MIT */
/* hart_fixture.h - one hart on 4 MiB of RAM, whose owner records what it is asked. */
#ifndef TESTS_RISCV_HART_FIXTURE_H
#define TESTS_RISCV_HART_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "riscv/riscv_impl.h"

#define RAM      UINT64_C(0x80000000)
#define RAM_SIZE UINT64_C(0x400000)

struct fixture {
    struct sm_topology *topo;
    struct sm_region *root, *ram;
    struct sm_address_space *space;
    struct rv_hart *hart;
    uint64_t time, deadline; /* what the owner answers, and was asked          */
    unsigned wakes;
};

static uint64_t fixture_time(void *owner)
{
    return ((struct fixture *)owner)->time;
}

static void fixture_arm(void *owner, struct rv_hart *hart, uint64_t deadline)
{
    struct fixture *fix = owner;

    fix->deadline = deadline;
    if (deadline <= fix->time)
        rv_hart_set_irq(hart, RV_IRQ_STI, true);
}

static void fixture_wake(void *owner, struct rv_hart *hart)
{
    ((struct fixture *)owner)->wakes++;
}

static const struct rv_owner_ops fixture_ops = {
    .struct_size = sizeof(fixture_ops),
    .time = fixture_time,
    .arm_stimecmp = fixture_arm,
    .wake = fixture_wake,
};

/** Every extension that we have. */
SM_INLINE struct rv_isa fixture_isa(void)
{
    return (struct rv_isa){
        .ext = sm_mask(RV_N_EXT),
        .satp_mode_max = 10,
        .n_pmp = 16,
        .cbom_size = 64, .cboz_size = 64, .cbop_size = 64,
        .mvendorid = 0x111, .marchid = 0x222, .mimpid = 0x333,
    };
}

SM_INLINE struct rv_isa fixture_isa_without(enum rv_ext ext)
{
    struct rv_isa isa = fixture_isa();
    isa.ext &= ~(UINT64_C(1) << ext);
    return isa;
}

/** What the next hart is checked by, if anything. */
static struct sm_tlb_check *fixture_check;
static uint32_t fixture_check_flags;
/** Of the next hart's options. */
static bool fixture_check_code, fixture_translate, fixture_compare_all;
static uint32_t fixture_heat, fixture_vcpu_flags;
static uint64_t fixture_code_size;
static struct jit_perfmap *fixture_names;

/** A hart on the fixture's space, as said above. */
SM_INLINE struct rv_hart *fixture_hart(struct fixture *fix, uint64_t hart_id,
                                       const struct rv_isa *isa)
{
    const struct rv_hart_options options = {
        .struct_size = sizeof(options), .hart_id = hart_id, .isa = isa,
        .space = fix->space, .ops = &fixture_ops, .owner = fix,
        .check = fixture_check, .check_flags = fixture_check_flags,
        .check_code = fixture_check_code,
        .translate = fixture_translate, .jit_heat = fixture_heat,
        .compare_all = fixture_compare_all,
        .code_size = fixture_code_size, .vcpu_flags = fixture_vcpu_flags,
        .names = fixture_names,
    };
    struct rv_hart *hart;

    assert_int_equal(rv_hart_new(fix->topo, &options, &hart), 0);
    return hart;
}

SM_INLINE void fixture_init(struct fixture *fix, const struct rv_isa *isa)
{
    static const struct sm_owner_ops owner = {.struct_size = sizeof(owner)};

    *fix = (struct fixture){.time = 1000};
    assert_int_equal(sm_topology_new(&owner, fix, &fix->topo), 0);
    sm_topology_begin(fix->topo);
    assert_int_equal(sm_region_new(fix->topo, "root", UINT64_MAX, &fix->root), 0);
    assert_int_equal(sm_region_new_ram(fix->topo, "ram", RAM_SIZE, &fix->ram), 0);
    assert_int_equal(sm_region_map(fix->root, RAM, fix->ram, 0), 0);
    assert_int_equal(sm_address_space_new(fix->topo, "cpu", fix->root, &fix->space), 0);
    assert_int_equal(sm_topology_commit(fix->topo, NULL), 0);
    fix->hart = fixture_hart(fix, 5, isa);
    sm_vcpu_online(rv_hart_vcpu(fix->hart));
}

SM_INLINE void fixture_fini(struct fixture *fix)
{
    sm_vcpu_offline(rv_hart_vcpu(fix->hart));
    rv_hart_free(fix->hart);
    sm_topology_begin(fix->topo);
    sm_address_space_free(fix->space);
    sm_region_unmap(fix->ram);
    assert_int_equal(sm_topology_commit(fix->topo, NULL), 0);
    assert_int_equal(sm_region_free(fix->ram), 0);
    assert_int_equal(sm_region_free(fix->root), 0);
    sm_topology_free(fix->topo);
}

/** Change privilege as a trap or return would. */
SM_INLINE void fixture_enter(struct fixture *fix, enum rv_priv priv)
{
    fix->hart->priv = (uint8_t)priv;
    rv_regime_update(fix->hart);
}

/** A CSR as machine mode sees it; it must exist. */
SM_INLINE uint64_t csr_get(struct fixture *fix, unsigned csr)
{
    uint64_t value;
    if (!rv_hart_csr_read(fix->hart, csr, &value))
        fail_msg("CSR 0x%03x does not exist", csr);
    return value;
}

SM_INLINE void csr_put(struct fixture *fix, unsigned csr, uint64_t value)
{
    if (!rv_hart_csr_write(fix->hart, csr, value))
        fail_msg("CSR 0x%03x cannot be written", csr);
}

/** What software reads back after writing @value. */
SM_INLINE uint64_t csr_keeps(struct fixture *fix, unsigned csr, uint64_t value)
{
    csr_put(fix, csr, value);
    return csr_get(fix, csr);
}

/** Whether the hart, as it is, may execute CSRRW rd, @csr or CSRRS rd, @csr, x0. */
SM_INLINE bool csr_writable(struct fixture *fix, unsigned csr)
{
    uint64_t old;
    return rv_csr_access(fix->hart, csr, RV_CSR_WRITE, 0, true, &old) != RV_CSR_ILLEGAL;
}

SM_INLINE bool csr_readable(struct fixture *fix, unsigned csr)
{
    uint64_t old;
    return rv_csr_access(fix->hart, csr, RV_CSR_READ, 0, true, &old) != RV_CSR_ILLEGAL;
}

SM_INLINE void ram_store(struct fixture *fix, uint64_t gpa, uint64_t value)
{
    const struct sm_attrs attrs = {.process = SM_NO_PROCESS};
    assert_int_equal(sm_address_space_store(fix->space, gpa, &attrs, 8, value), SM_TX_OK);
}

SM_INLINE uint64_t ram_load(struct fixture *fix, uint64_t gpa)
{
    const struct sm_attrs attrs = {.process = SM_NO_PROCESS};
    uint64_t value;
    assert_int_equal(sm_address_space_load(fix->space, gpa, &attrs, 8, &value), SM_TX_OK);
    return value;
}

#endif
