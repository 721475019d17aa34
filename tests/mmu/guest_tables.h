/* SPDX-License-Identifier: MIT */
/* guest_tables.h - guest RAM with page tables in it, for the tests of walker and TLB. */
#ifndef TESTS_MMU_GUEST_TABLES_H
#define TESTS_MMU_GUEST_TABLES_H

#include "softmmu/softmmu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/** Bits of a RISC-V page-table entry. */
enum {
    PTE_V = 1 << 0, PTE_R = 1 << 1, PTE_W = 1 << 2, PTE_X = 1 << 3,
    PTE_U = 1 << 4, PTE_G = 1 << 5, PTE_A = 1 << 6, PTE_D = 1 << 7
};
#define PTE_N       (UINT64_C(1) << 63)
#define PTE_PBMT(n) ((uint64_t)(n) << 61)
#define PTE_RWXAD   (PTE_V | PTE_R | PTE_W | PTE_X | PTE_A | PTE_D)

#define GUEST_RAM UINT64_C(0x80000000)

SM_INLINE uint64_t pte_of(sm_gpa gpa, uint64_t bits)
{
    return (gpa >> 12) << 10 | bits;
}

/** One machine: RAM at GUEST_RAM, nothing else. */
struct guest {
    struct sm_topology *topo;
    struct sm_region *root, *ram;
    struct sm_address_space *space;
    struct sm_mapping mapping;
    uint64_t size;
    uint8_t *host; /* of GUEST_RAM */
};

SM_INLINE const struct sm_attrs *guest_attrs(void)
{
    static const struct sm_attrs attrs = {.process = SM_NO_PROCESS};
    return &attrs;
}

SM_INLINE void guest_init(struct guest *guest, uint64_t size)
{
    *guest = (struct guest){.size = size};
    assert_int_equal(sm_topology_new(NULL, NULL, &guest->topo), 0);
    sm_topology_begin(guest->topo);
    assert_int_equal(sm_region_new(guest->topo, "root", UINT64_MAX, &guest->root), 0);
    assert_int_equal(sm_region_new_ram(guest->topo, "ram", size, &guest->ram), 0);
    assert_int_equal(sm_region_map(guest->root, GUEST_RAM, guest->ram, 0), 0);
    assert_int_equal(sm_address_space_new(guest->topo, "cpu", guest->root, &guest->space),
                     0);
    assert_int_equal(sm_topology_commit(guest->topo, NULL), 0);
    assert_int_equal(sm_address_space_map(guest->space, GUEST_RAM, guest_attrs(), size,
                                          SM_WRITE, &guest->mapping), SM_TX_OK);
    assert_true(guest->mapping.size == size);
    guest->host = guest->mapping.host;
}

SM_INLINE void guest_fini(struct guest *guest)
{
    sm_mapping_release(&guest->mapping);
    sm_topology_free(guest->topo);
}

/** The entry at @gpa. */
SM_INLINE uint64_t *guest_entry(const struct guest *guest, sm_gpa gpa)
{
    assert_true(gpa >= GUEST_RAM && gpa - GUEST_RAM <= guest->size - 8 && gpa % 8 == 0);
    return (uint64_t *)(void *)(guest->host + (gpa - GUEST_RAM));
}

/** Write entry @index of the table at @table. */
SM_INLINE void guest_put(const struct guest *guest, sm_gpa table, unsigned index,
                         uint64_t pte)
{
    *guest_entry(guest, table + index * UINT64_C(8)) = pte;
}

/* --- Random numbers with a printed seed ------------------------------------------- */

struct rng {
    uint64_t state;
};

SM_INLINE uint64_t rng_next(struct rng *rng)
{
    /* splitmix64 */
    uint64_t z = rng->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/** 0..@n-1 */
SM_INLINE uint64_t rng_below(struct rng *rng, uint64_t n)
{
    return rng_next(rng) % n;
}

/** True once in @n. */
SM_INLINE bool rng_once_in(struct rng *rng, uint64_t n)
{
    return rng_below(rng, n) == 0;
}

SM_INLINE struct rng rng_seeded(uint64_t seed)
{
    const char *text = getenv("SM_SEED");
    struct rng rng = {text ? strtoull(text, NULL, 0) : seed};
    printf("SM_SEED=0x%llx\n", (unsigned long long)rng.state);
    return rng;
}

#endif
