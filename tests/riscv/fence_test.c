/* SPDX-License-Identifier: MIT */
/* fence_test.c - what fences forget, who may use them, and what needs none. */
#include "paging_fixture.h"

#define OTHER (DATA + 0x10000)

/** Load 8 bytes as the hart would now.  Returns the value, or the cause. */
static uint64_t load(uint64_t va)
{
    const struct sm_memop op = {.size_bits = 3, .mode = hart->mode_data};
    struct sm_fault fault = {.cause = 0};
    struct sm_value value;
    void *host;

    if (sm_tlb_hit(hart->fast->table[hart->mode_data], va, 8, SM_READ, &host))
        return sm_host_load(host, 3);
    if (sm_tlb_read_slow(hart->vcpu, va, op, &value, &fault) == SM_STEP_FAULT)
        return fault.cause;
    return value.lo;
}

static uint64_t n_fills(void)
{
    struct sm_tlb_stats stats = {.struct_size = sizeof(stats)};

    sm_tlb_get_stats(hart->vcpu, &stats);
    return stats.fills[SM_READ];
}

/** SFENCE.VMA with addresses and ASIDs in registers; a negative one is x0. */
static bool fence(int64_t va, int64_t asid)
{
    struct rv_insn insn = {.rs1 = 0};

    if (va >= 0) {
        insn.rs1 = 10;
        hart->x[10] = (uint64_t)va;
    }
    if (asid >= 0) {
        insn.rs2 = 11;
        hart->x[11] = (uint64_t)asid;
    }
    return rv_sfence_vma(hart, &insn);
}

/** Two values to tell apart what a page leads to, and S mode with paging on. */
static void begin_fences(void)
{
    ram_store(&fix, DATA, 111);
    ram_store(&fix, OTHER, 222);
    use_paging(3, 1);
    fixture_enter(&fix, RV_PRIV_S);
}

static void test_fence_address(void **state)
{
    begin_fences();
    map(LOW, DATA, V | R | AD, 0);
    assert_int_equal(load(LOW), 111);
    map(LOW, OTHER, V | R | AD, 0);
    assert_int_equal(load(LOW), 111);
    assert_true(fence((int64_t)LOW + 0x1000, -1));
    assert_int_equal(load(LOW), 111);
    assert_true(fence((int64_t)LOW + 0xff8, -1));
    assert_int_equal(load(LOW), 222);
    ram_store(&fix, entry_at(LOW, 0), 0);
    assert_true(fence(-1, -1));
    assert_int_equal(load(LOW), RV_CAUSE_LOAD_PAGE);

    /* A fence anywhere within a large leaf ends all of it. */
    map(LOW + 0x40000000, DATA & ~UINT64_C(0x1fffff), V | R | AD, 1);
    const uint64_t va = ((LOW + 0x40000000) & ~UINT64_C(0x1fffff)) | (DATA & 0x1fffff);
    assert_int_equal(load(va), 111);
    ram_store(&fix, entry_at(va, 1), 0);
    assert_true(fence((int64_t)(va ^ 0x1ff000), -1));
    assert_int_equal(load(va), RV_CAUSE_LOAD_PAGE);
}

static void test_fence_asid(void **state)
{
    const uint64_t shared = LOW + 0x200000;

    begin_fences();
    for (uint64_t asid = 1; asid <= 2; asid++) {
        map(LOW, DATA, V | R | AD, 0);
        map(shared, DATA, V | R | AD | G, 0);
        use_paging(3, asid);
        assert_int_equal(load(LOW), 111);
        assert_int_equal(load(shared), 111);
    }
    map(LOW, OTHER, V | R | AD, 0);
    map(shared, OTHER, V | R | AD | G, 0);
    assert_true(fence(-1, 1 | 1 << 16)); /* bits above the ASID are ignored */
    assert_int_equal(load(LOW), 111); /* this is 2 */
    use_paging(3, 1);
    assert_int_equal(load(LOW), 222);
    assert_int_equal(load(shared), 111); /* global: spared */
    assert_true(fence((int64_t)shared, 1));
    assert_int_equal(load(shared), 111);
    assert_true(fence((int64_t)shared, -1));
    assert_int_equal(load(shared), 222);
    use_paging(3, 2);
    assert_int_equal(load(LOW), 111);
    assert_true(fence((int64_t)LOW, 2));
    assert_int_equal(load(LOW), 222);
}

/** A switch of address spaces and back loses nothing. */
static void test_satp_keeps_entries(void **state)
{
    uint64_t fills;

    begin_fences();
    map(LOW, DATA, V | R | AD, 0);
    assert_int_equal(load(LOW), 111);
    csr_put(&fix, RV_CSRNO_satp, 0);
    assert_int_equal(load(DATA), 111);
    assert_int_equal(load(LOW), RV_CAUSE_LOAD_ACCESS); /* nobody lives there */
    use_paging(3, 7);
    assert_int_equal(load(LOW), 111);
    fills = n_fills();
    use_paging(3, 1);
    assert_int_equal(load(LOW), 111);
    use_paging(3, 7);
    assert_int_equal(load(LOW), 111);
    csr_put(&fix, RV_CSRNO_satp, 0);
    assert_int_equal(load(DATA), 111);
    assert_int_equal(n_fills(), fills);
}

static void test_fence_privilege(void **state)
{
    struct rv_insn insn = {.rs1 = 0};

    for (unsigned i = 0; i < 6; i++) {
        static const enum rv_priv privs[] = {RV_PRIV_U, RV_PRIV_S, RV_PRIV_M};
        const enum rv_priv priv = privs[i % 3];
        const bool tvm = i >= 3;

        csr_put(&fix, RV_CSRNO_mstatus, tvm ? RV_MSTATUS_TVM : 0);
        fixture_enter(&fix, priv);
        assert_int_equal(rv_sfence_vma(hart, &insn),
                         priv == RV_PRIV_M || (priv == RV_PRIV_S && !tvm));
        assert_int_equal(rv_sinval_vma(hart, &insn),
                         priv == RV_PRIV_M || (priv == RV_PRIV_S && !tvm));
        assert_int_equal(rv_sfence_w_inval(hart), priv != RV_PRIV_U);
        assert_int_equal(rv_sfence_inval_ir(hart), priv != RV_PRIV_U);
    }
    /* From M it reaches S's translations. */
    csr_put(&fix, RV_CSRNO_mstatus, 0);
    begin_fences();
    map(LOW, DATA, V | R | AD, 0);
    assert_int_equal(load(LOW), 111);
    map(LOW, OTHER, V | R | AD, 0);
    fixture_enter(&fix, RV_PRIV_M);
    assert_true(fence(-1, -1));
    fixture_enter(&fix, RV_PRIV_S);
    assert_int_equal(load(LOW), 222);
}

static void test_sinval(void **state)
{
    struct rv_insn insn = {.rs1 = 10};

    begin_fences();
    map(LOW, DATA, V | R | AD, 0);
    assert_int_equal(load(LOW), 111);
    map(LOW, OTHER, V | R | AD, 0);
    hart->x[10] = LOW;
    assert_true(rv_sfence_w_inval(hart));
    assert_true(rv_sinval_vma(hart, &insn));
    assert_true(rv_sfence_inval_ir(hart));
    assert_int_equal(load(LOW), 222);
}

/** Any number of invalidations, of whatever operands, between their two fences. */
static void test_sinval_batch(void **state)
{
    const struct rv_insn by_address = {.rs1 = 10}, by_both = {.rs1 = 10, .rs2 = 11};
    enum { N_PAGES = 40, SPARED = 7 };

    begin_fences();
    for (unsigned i = 0; i < N_PAGES; i++) {
        map(LOW + i * SM_PAGE_SIZE, DATA, V | R | AD, 0);
        assert_int_equal(load(LOW + i * SM_PAGE_SIZE), 111);
        map(LOW + i * SM_PAGE_SIZE, OTHER, V | R | AD, 0);
    }
    assert_true(rv_sfence_w_inval(hart));
    for (unsigned i = 0; i < N_PAGES; i++) {
        hart->x[10] = LOW + i * SM_PAGE_SIZE;
        hart->x[11] = i % SPARED ? 1 : 2; /* of another space: not meant */
        assert_true(rv_sinval_vma(hart, i % 2 || i % SPARED == 0 ? &by_both : &by_address));
    }
    assert_true(rv_sfence_inval_ir(hart));
    for (unsigned i = 0; i < N_PAGES; i++)
        assert_int_equal(load(LOW + i * SM_PAGE_SIZE), i % SPARED ? 222 : 111);
}

/** Control state that no fence is needed for. */
static void test_no_fence_needed(void **state)
{
    begin_fences();
    map(LOW, DATA, V | R | U | AD, 0);
    map(LOW + 0x1000, DATA, V | X | AD, 0);
    assert_int_equal(load(LOW), RV_CAUSE_LOAD_PAGE);
    csr_put(&fix, RV_CSRNO_sstatus, RV_MSTATUS_SUM);
    assert_int_equal(load(LOW), 111);
    csr_put(&fix, RV_CSRNO_sstatus, 0);
    assert_int_equal(load(LOW), RV_CAUSE_LOAD_PAGE);
    csr_put(&fix, RV_CSRNO_sstatus, RV_MSTATUS_MXR);
    assert_int_equal(load(LOW + 0x1000), 111);
    csr_put(&fix, RV_CSRNO_sstatus, 0);
    assert_int_equal(load(LOW + 0x1000), RV_CAUSE_LOAD_PAGE);
    /* MPRV: machine mode reads as U would. */
    fixture_enter(&fix, RV_PRIV_M);
    csr_put(&fix, RV_CSRNO_mstatus, RV_MSTATUS_MPRV);
    assert_int_equal(load(LOW), 111);
    csr_put(&fix, RV_CSRNO_mstatus, 0);
    assert_int_equal(load(LOW), RV_CAUSE_LOAD_ACCESS);
}

/** PMP and menvcfg are in no key: changing them drops what they decided. */
static void test_flushing_writes(void **state)
{
    begin_fences();
    map(LOW, DATA, V | R | AD, 0);
    map(LOW + 0x1000, DATA, V | R | A | UINT64_C(1) << 61, 0);
    assert_int_equal(load(LOW), 111);
    assert_int_equal(load(LOW + 0x1000), 111);
    protect(DATA, 0x1000, 0);
    assert_int_equal(load(LOW), RV_CAUSE_LOAD_ACCESS);
    protect(DATA, 0x1000, SM_PMP_R);
    assert_int_equal(load(LOW), 111);
    /* Less than a page is protected: nothing is cached, every byte decides. */
    protect(DATA, 0x100, 0);
    assert_int_equal(load(LOW), RV_CAUSE_LOAD_ACCESS);
    assert_int_equal(load(LOW + 0x100), 0);
    assert_int_equal(load(LOW + 0xfc), RV_CAUSE_LOAD_ACCESS);
    csr_put(&fix, RV_CSRNO_pmpcfg0, 0x1f1f);
    assert_int_equal(load(LOW + 0x1000), 111);
    csr_put(&fix, RV_CSRNO_menvcfg, 0); /* PBMTE */
    assert_int_equal(load(LOW + 0x1000), RV_CAUSE_LOAD_PAGE);
}

/** With nothing to compare FENCE.I does nothing; without records it has all compared. */
static void test_fence_i(void **state)
{
    const uint64_t epoch = hart->code_epoch, fences = hart->fences_i;
    struct rv_code *const code = hart->code;

    rv_blocks_flush(hart);
    assert_false(rv_fence_i(hart));
    assert_int_equal(hart->code_epoch, epoch);
    hart->code = NULL;
    assert_true(rv_fence_i(hart));
    hart->code = code;
    assert_int_equal(hart->code_epoch, epoch + 1);
    assert_int_equal(hart->fences_i, fences + 2);
}

/** What walks remember of tables obeys the same fences as what they found. */
static void test_fence_tables(void **state)
{
    static const struct {
        bool va, asid; /* named by the fence                                   */
        uint64_t other_asid; /* than 1 in the fence                            */
        bool ends;
    } cases[] = {{false, false, 1, true}, {true, false, 1, true},
                 {false, true, 1, true},  {true, true, 1, true},
                 {false, true, 2, false}, {true, true, 2, false}};

    begin_fences();
    map(LOW, DATA, V | R | AD, 0);
    map(LOW + 0x1000, DATA, V | R | AD, 0);
    map(LOW + 0x2000, DATA, V | R | AD, 0);
    const uint64_t upper = entry_at(LOW, 1), was = ram_load(&fix, upper);
    /* Another last table, where all is mapped elsewhere. */
    const uint64_t table = next_table;
    next_table += SM_PAGE_SIZE;
    for (unsigned i = 0; i < 512; i++)
        ram_store(&fix, table + i * 8, OTHER >> 2 | V | R | AD);
    for (unsigned i = 0; i < SM_ARRAY_LEN(cases); i++) {
        ram_store(&fix, upper, was);
        assert_true(fence(-1, -1));
        assert_int_equal(load(LOW), 111);
        ram_store(&fix, upper, table >> 2 | V);
        assert_int_equal(load(LOW + 0x1000), 111); /* by the table it knows */
        assert_true(fence(cases[i].va ? (int64_t)LOW : -1,
                          cases[i].asid ? (int64_t)cases[i].other_asid : -1));
        assert_int_equal(load(LOW + 0x2000), cases[i].ends ? 222 : 111);
    }
    /* PMP, too, decided about the table: its change asks anew. */
    ram_store(&fix, upper, was);
    assert_true(fence(-1, -1));
    assert_int_equal(load(LOW), 111);
    fixture_enter(&fix, RV_PRIV_M);
    protect(sm_extract(was, 10, 44) << 12, SM_PAGE_SIZE, 0);
    fixture_enter(&fix, RV_PRIV_S);
    assert_int_equal(load(LOW + 0x1000), RV_CAUSE_LOAD_ACCESS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(fence_address),   TEST(fence_asid), TEST(fence_tables), TEST(satp_keeps_entries),
        TEST(fence_privilege), TEST(sinval), TEST(sinval_batch),   TEST(no_fence_needed),
        TEST(flushing_writes), TEST(fence_i),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
