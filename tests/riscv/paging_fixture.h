/* SPDX-License-Identifier: MIT */
/* paging_fixture.h - a hart with page tables in its RAM, and PMP open to all modes. */
#ifndef TESTS_RISCV_PAGING_FIXTURE_H
#define TESTS_RISCV_PAGING_FIXTURE_H

#include "hart_fixture.h"

/** Bits of a page-table entry. */
enum { V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128 };
#define AD   (A | D)
#define N    (UINT64_C(1) << 63)
#define PBMT (UINT64_C(3) << 61)

#define ROOT (RAM + 0x100000)
#define DATA (RAM + 0x200000)
/** Some page of every format's lower half. */
#define LOW (UINT64_C(0x12345678000) & sm_mask(38))

static struct fixture fix;
static struct rv_hart *hart;
static uint64_t next_table;
static unsigned levels;

/** Turn paging on, by the tables at ROOT, of @n_levels 3 to 5. */
SM_INLINE void use_paging(unsigned n_levels, uint64_t asid)
{
    levels = n_levels;
    csr_put(&fix, RV_CSRNO_satp,
            (uint64_t)(n_levels + 5) << 60 | asid << 44 | ROOT >> 12);
    assert_int_equal(csr_get(&fix, RV_CSRNO_satp) >> 60, n_levels + 5);
}

/** Make the hart, with Sv39 and no page mapped. */
SM_INLINE void paging_init(const struct rv_isa *isa)
{
    fixture_init(&fix, isa);
    hart = fix.hart;
    next_table = ROOT + SM_PAGE_SIZE;
    /* Entry 0 opens everything to S and U, as firmware does. */
    csr_put(&fix, RV_CSRNO_pmpaddr0, UINT64_MAX);
    csr_put(&fix, RV_CSRNO_pmpcfg0, 0x1f);
    use_paging(3, 0);
}

SM_INLINE int setup(void **state)
{
    const struct rv_isa isa = fixture_isa();

    paging_init(&isa);
    return 0;
}

SM_INLINE int teardown(void **state)
{
    fixture_fini(&fix);
    return 0;
}

/** Address of the entry for @va at @level (0: smallest pages), tables made as needed. */
SM_INLINE uint64_t entry_at(uint64_t va, unsigned level)
{
    uint64_t table = ROOT;

    for (unsigned i = levels - 1;; i--) {
        const uint64_t at = table + sm_extract(va, 12 + 9 * i, 9) * 8;
        uint64_t entry;

        if (i == level)
            return at;
        entry = ram_load(&fix, at);
        if (!(entry & V)) {
            entry = next_table >> 2 | V;
            ram_store(&fix, at, entry);
            next_table += SM_PAGE_SIZE;
        }
        table = sm_extract(entry, 10, 44) << 12;
    }
}

SM_INLINE void map(uint64_t va, uint64_t pa, uint64_t bits, unsigned level)
{
    ram_store(&fix, entry_at(va, level), pa >> 2 | bits);
}

/** Entry 0 covers @size bytes (a power of two from 8) at @base, entry 1 the rest. */
SM_INLINE void protect(uint64_t base, uint64_t size, unsigned cfg)
{
    csr_put(&fix, RV_CSRNO_pmpcfg0, 0);
    csr_put(&fix, RV_CSRNO_pmpaddr0, (base | (size / 2 - 1)) >> 2);
    csr_put(&fix, RV_CSRNO_pmpaddr0 + 1, UINT64_MAX);
    csr_put(&fix, RV_CSRNO_pmpcfg0, 0x1f00 | 0x18 | cfg);
}

#endif
