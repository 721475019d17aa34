/* SPDX-License-Identifier: MIT */
/* rewalk_test.c - fetches that are answered by what was read before, against walks.
 *
 *   SM_SEED in the environment overrides the seed
 */
#include "paging_fixture.h"

#include <stdlib.h>

enum { N_PAGES = 4, N_TABLES = 3, ROUNDS = 20000 };

/* Two in one table, one in the next, one far away. */
static uint64_t page(unsigned n)
{
    static const uint32_t offset[N_PAGES] = {0, 0x1000, 0x200000, 0x40000000};

    return LOW + offset[n];
}

#define TABLES     (RAM + 0x180000) /* of leaves, that entries above may name       */
#define OTHER_ROOT (RAM + 0x1c0000)

static uint64_t random_state;

static unsigned below(unsigned n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)((random_state >> 16) % n);
}

static int fetch(enum rv_mode mode, uint64_t va, uint32_t flags, struct sm_xlate *out)
{
    const struct sm_xlate_req req = {.gva = va, .size = 2, .access = SM_FETCH,
                                     .mode = (uint8_t)mode, .flags = flags};
    struct sm_fault fault = {.cause = 99};

    memset(out, 0, sizeof(*out));
    return rv_guest_mmu_ops.tlb_fill(hart->vcpu, &req, out, &fault) ? -1 : (int)fault.cause;
}

static void fence_all(void)
{
    const struct rv_insn insn = {.op = RV_OP_sfence_vma};

    fixture_enter(&fix, RV_PRIV_M);
    assert_true(rv_sfence_vma(hart, &insn));
}

static uint64_t leaf_bits(void)
{
    static const uint64_t some[] = {0, V, V | X | AD, V | R | X | AD, V | R | W | X | AD,
                                    V | X | U | AD, V | R | X | U | AD, V | X, V | R | AD,
                                    V | X | A | G, V | W | AD};

    return some[below(SM_ARRAY_LEN(some))];
}

static void change_tables(uint64_t va)
{
    switch (below(4)) {
    case 0: /* another table of leaves */
        ram_store(&fix, entry_at(va, 1), (TABLES + below(N_TABLES) * 0x1000) >> 2 | V);
        break;
    case 1: /* a large leaf */
        if (sm_extract(ram_load(&fix, entry_at(va, 1)), 1, 3))
            ram_store(&fix, entry_at(va, 1), TABLES >> 2 | V);
        else
            ram_store(&fix, entry_at(va, 1), DATA >> 2 | V | R | X | AD);
        break;
    default: { /* a small one, of wherever it is now */
        const uint64_t above = ram_load(&fix, entry_at(va, 1));

        if ((above & V) && !(above & (R | W | X)))
            map(va, DATA + below(4) * 0x1000, leaf_bits(), 0);
        break;
    }
    }
}

static void change(void)
{
    const uint64_t va = page(below(N_PAGES));

    switch (below(8)) {
    case 0: /* tables that can be read but not marked are no probe's to know */
        if (below(2))
            protect(DATA, below(2) ? 0x1000 : 0x800, below(8)); /* some, or half a page */
        else
            protect(TABLES, 0x1000, below(2) ? 0 : SM_PMP_R | SM_PMP_W);
        break;
    case 1:
        csr_put(&fix, RV_CSRNO_pmpcfg0, 0x1f);
        csr_put(&fix, RV_CSRNO_pmpaddr0, UINT64_MAX);
        break;
    case 2:
        csr_put(&fix, RV_CSRNO_menvcfg, below(2) ? RV_ENVCFG_ADUE : 0);
        break;
    case 3:
        csr_put(&fix, RV_CSRNO_satp, UINT64_C(8) << 60 | (uint64_t)below(2) << 44 |
                                         (below(3) ? ROOT : OTHER_ROOT) >> 12);
        break;
    case 4: /* nothing, which is what mostly happens */
        break;
    default: change_tables(va); break;
    }
    fence_all();
}

/** What memory says, without a change or a memory of what it said. */
static void compare(enum rv_mode mode, uint64_t va, unsigned round)
{
    struct sm_xlate want, got;
    const int cause = fetch(mode, va, SM_REQ_PROBE, &want);

    for (unsigned i = below(4); i <= 4; i++) {
        const int real = fetch(mode, va, 0, &got);

        if (real != cause || got.gpa != want.gpa || got.ipa != want.ipa ||
            got.perms != want.perms || got.span_bits != want.span_bits ||
            got.leaf_bits[0] != want.leaf_bits[0] || got.global != want.global ||
            got.attrs.flags != want.attrs.flags)
            fail_msg("round %u, page 0x%llx, mode %u: cause %d for %d, gpa 0x%llx for "
                     "0x%llx", round, (unsigned long long)va, mode, real, cause,
                     (unsigned long long)got.gpa, (unsigned long long)want.gpa);
    }
}

static void test_model(void **state)
{
    const char *const text = getenv("SM_SEED");
    const uint64_t seed = text ? strtoull(text, NULL, 0) : 20261122;

    print_message("SM_SEED=%llu\n", (unsigned long long)seed);
    random_state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    for (unsigned i = 0; i < 512; i++) /* leaves of 1 GiB */
        ram_store(&fix, OTHER_ROOT + i * 8, (uint64_t)i << 28 | V | R | X | AD);
    for (unsigned i = 0; i < N_PAGES; i++)
        map(page(i), DATA, V | X | AD, 0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        change();
        for (unsigned n = below(4); n--;) {
            const enum rv_mode mode = below(3) ? RV_MODE_S : RV_MODE_U;

            fixture_enter(&fix, mode == RV_MODE_S ? RV_PRIV_S : RV_PRIV_U);
            compare(mode, page(below(N_PAGES)) + below(0x800) * 2u, round);
        }
    }
}

/** All entries count as read, though that many compares are all there is: a walk that
 *  begins where a cache says reads one. */
static void test_is_used(void **state)
{
    struct sm_xlate out;

    map(LOW, DATA, V | X | AD, 0);
    fixture_enter(&fix, RV_PRIV_S);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(fetch(RV_MODE_S, LOW + 2 * i, 0, &out), -1);
        assert_int_equal(out.gpa, DATA + 2 * i);
        assert_int_equal(out.n_read, 3);
    }
    /* Another view may have other memory there. */
    rv_guest_mmu_ops.flushed(hart->vcpu, &(struct sm_tlb_scope){
        .range = {0, UINT64_MAX}, .modes = UINT16_MAX, .stage = 1});
    assert_int_equal(fetch(RV_MODE_S, LOW, 0, &out), -1);
    assert_int_equal(out.n_read, 1);
    /* Reads do not. */
    const struct sm_xlate_req req = {.gva = LOW, .size = 2, .access = SM_READ,
                                     .mode = RV_MODE_S};
    struct sm_fault fault;
    map(LOW, DATA, V | R | X | AD, 0);
    for (unsigned i = 0; i < 4; i++)
        assert_true(rv_guest_mmu_ops.tlb_fill(hart->vcpu, &req, &out, &fault));
    assert_int_equal(out.n_read, 1);
}

/** What marked an entry is told from what finds it marked. */
static void test_marks_again(void **state)
{
    struct sm_xlate out;

    csr_put(&fix, RV_CSRNO_menvcfg, RV_ENVCFG_ADUE);
    map(LOW, DATA, V | R | W | X, 0);
    fixture_enter(&fix, RV_PRIV_S);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(fetch(RV_MODE_S, LOW, 0, &out), -1);
        assert_int_equal(ram_load(&fix, entry_at(LOW, 0)) & AD, A);
        if (i == 5)
            map(LOW, DATA, V | R | W | X, 0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(model), TEST(is_used), TEST(marks_again)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
