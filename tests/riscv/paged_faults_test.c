/* SPDX-License-Identifier: MIT */
/* paged_faults_test.c - programs whose tables, code or data lie where they should not.
 *
 * Instructions run in S-mode through Sv39 and Sv48 tables: tables in a hole, in a device
 * or in ROM, at each level, met by loads, stores and fetches; an instruction over two
 * pages of which either cannot be fetched; loads and stores over two pages of which
 * either refuses.  Each trap has to name the cause, the instruction, and the first byte
 * that could not be reached, and to leave memory and registers as they were.
 */
#include "program.h"

#include "paging_fixture.h"

#define CODE_VA (LOW & ~UINT64_C(0x1fffff)) /* a page of code, and one behind it  */
#define CODE    (RAM + 0x1000)
#define DATA_VA (CODE_VA + UINT64_C(0x40000000)) /* another root entry's           */
#define HOLE    UINT64_C(0x1000)
#define IO      UINT64_C(0x10000000)
#define ROM     UINT64_C(0x20000000)

static struct sm_device *device;
static struct sm_region *io, *rom;
static unsigned io_calls;

static enum sm_tx io_read(void *dev, uint64_t offset, unsigned size,
                          const struct sm_attrs *attrs, uint64_t *value)
{
    io_calls++;
    *value = (HOLE >> 2) | V | R | W | X | AD;
    return SM_TX_OK;
}

static enum sm_tx io_write(void *dev, uint64_t offset, unsigned size,
                           const struct sm_attrs *attrs, uint64_t value)
{
    io_calls++;
    return SM_TX_OK;
}

static const struct sm_io_ops io_ops = {.struct_size = sizeof(io_ops),
                                        .read = io_read,
                                        .write = io_write,
                                        .accepts = {1, 8, false},
                                        .implements = {1, 8, false}};

static int set_up(void **state)
{
    (void)setup(state);
    io_calls = 0;
    sm_topology_begin(fix.topo);
    assert_int_equal(sm_device_new(fix.topo, "io", NULL, &device), 0);
    assert_int_equal(sm_region_new_io(device, "io", 0xfff, &io_ops, &io), 0);
    assert_int_equal(sm_region_new_rom(fix.topo, "rom", 0x1000, &rom), 0);
    assert_int_equal(sm_region_map(fix.root, IO, io, 0), 0);
    assert_int_equal(sm_region_map(fix.root, ROM, rom, 0), 0);
    assert_int_equal(sm_topology_commit(fix.topo, NULL), 0);
    catch_traps(&fix);
    map(CODE_VA, CODE, V | R | X | AD, 0);
    return 0;
}

static int tear_down(void **state)
{
    sm_topology_begin(fix.topo);
    sm_region_unmap(io);
    sm_region_unmap(rom);
    assert_int_equal(sm_topology_commit(fix.topo, NULL), 0);
    sm_vcpu_safe_point(rv_hart_vcpu(fix.hart));
    assert_int_equal(sm_region_free(io), 0);
    assert_int_equal(sm_region_free(rom), 0);
    assert_int_equal(sm_device_free(device), 0);
    return teardown(state);
}

/* Forget what was translated and decoded, then run from @pc in S-mode. */
static void run_in_s(uint64_t pc)
{
    csr_put(&fix, RV_CSRNO_satp, csr_get(&fix, RV_CSRNO_satp));
    sm_tlb_flush_local(rv_hart_vcpu(hart),
                       &(struct sm_tlb_scope){
                           .range = {0, UINT64_MAX}, .modes = UINT16_MAX, .stage = 1});
    rv_blocks_flush(hart);
    fixture_enter(&fix, RV_PRIV_S);
    run_from(&fix, pc);
}

enum what { LOAD, STORE, FETCH, N_WHATS };
static const uint64_t access_fault[] = {RV_CAUSE_LOAD_ACCESS, RV_CAUSE_STORE_ACCESS,
                                        RV_CAUSE_FETCH_ACCESS};
static const uint64_t page_fault[] = {RV_CAUSE_LOAD_PAGE, RV_CAUSE_STORE_PAGE,
                                      RV_CAUSE_FETCH_PAGE};

/* Touch @va in one way, by a program at CODE_VA.  Returns the instruction's address. */
static uint64_t touch(enum what what, uint64_t va)
{
    struct program prog = {&fix, CODE};

    rv_hart_set_x(hart, A0, 0x1234);
    rv_hart_set_x(hart, A1, va);
    if (what == FETCH)
        put(&prog, RV_OP_jalr, X0, A1, 0, 0);
    else
        put(&prog, what == LOAD ? RV_OP_ld : RV_OP_sd, A0, A1, A0, 0);
    put_wfi(&prog);
    run_in_s(CODE_VA);
    return what == FETCH ? va : CODE_VA;
}

static bool trapped(void)
{
    return rv_hart_pc(hart) == TRAP_VECTOR + 4;
}

/* --- Tables where there are none -------------------------------------- */

static void tables(unsigned n_levels)
{
    static const uint64_t where[] = {HOLE, IO, UINT64_C(1) << 40};

    const uint64_t va =
        CODE_VA + (UINT64_C(1) << (9 * n_levels + 3)); /* next in the root */

    use_paging(n_levels, 0);
    map(CODE_VA, CODE, V | R | X | AD, 0);
    for (unsigned level = 1; level < n_levels; level++) {
        map(va, DATA, V | R | W | X | AD, 0);
        const uint64_t entry = entry_at(va, level), good = ram_load(&fix, entry);
        for (unsigned i = 0; i < SM_ARRAY_LEN(where); i++) {
            ram_store(&fix, entry, where[i] >> 2 | V);
            for (enum what what = LOAD; what < N_WHATS; what++) {
                const uint64_t pc = touch(what, va + 8);
                assert_trapped(&fix, access_fault[what], pc, va + 8);
                assert_int_equal(rv_hart_x(hart, A0), 0x1234);
            }
        }
        ram_store(&fix, entry, good);
        (void)touch(LOAD, va + 8);
        assert_false(trapped());
    }
    assert_int_equal(io_calls, 0); /* a walk enters no device */
}

static void test_tables(void **state)
{
    tables(3);
    tables(4);
}

/* The last table in ROM: it is read; a bit that is to be set there cannot be. */
static void test_tables_in_rom(void **state)
{
    const struct sm_attrs loader = {.process = SM_NO_PROCESS, .flags = SM_ATTR_DEBUG};
    const uint64_t slot = ROM + sm_extract(DATA_VA, 12, 9) * 8;
    const uint64_t bits[] = {AD, A, 0};

    ram_store(&fix, DATA, 0x5678);
    map(DATA_VA, DATA, 0, 0);
    ram_store(&fix, entry_at(DATA_VA, 1), ROM >> 2 | V);
    for (unsigned adue = 0; adue < 2; adue++) {
        csr_put(&fix, RV_CSRNO_menvcfg, (uint64_t)adue << 61);
        for (unsigned i = 0; i < SM_ARRAY_LEN(bits); i++) {
            const uint64_t pte = DATA >> 2 | V | R | W | bits[i];
            assert_int_equal(sm_address_space_store(fix.space, slot, &loader, 8, pte),
                             SM_TX_OK);
            for (enum what what = LOAD; what <= STORE; what++) {
                const bool marked = (bits[i] & A) && (what == LOAD || (bits[i] & D));
                const uint64_t pc = touch(what, DATA_VA);
                assert_int_equal(trapped(), !marked);
                if (!marked)
                    assert_trapped(&fix, adue ? access_fault[what] : page_fault[what], pc,
                                   DATA_VA);
                assert_int_equal(ram_load(&fix, slot), pte);
            }
        }
    }
}

/* --- Code over two pages ---------------------------------------------- */

/* What the second page may be, and how fetching from it ends. */
static const struct {
    const char *what;
    uint64_t pa, bits, cause;
} pages[] = {
    {"absent", 0, 0, RV_CAUSE_FETCH_PAGE},
    {"not executable", CODE + 0x1000, V | R | AD, RV_CAUSE_FETCH_PAGE},
    {"a user's", CODE + 0x1000, V | R | X | U | AD, RV_CAUSE_FETCH_PAGE},
    {"not accessed", CODE + 0x1000, V | R | X, RV_CAUSE_FETCH_PAGE},
    {"nowhere", HOLE, V | R | X | AD, RV_CAUSE_FETCH_ACCESS},
    {"reserved bits", CODE + 0x1000, V | R | X | AD | UINT64_C(1) << 58,
     RV_CAUSE_FETCH_PAGE},
};

static void test_code_over_pages(void **state)
{
    const uint64_t second = CODE_VA + 0x1000, at = second - 2;

    for (unsigned n = 0; n < SM_ARRAY_LEN(pages); n++) {
        struct program prog = {&fix, CODE + 0xff8};
        put(&prog, RV_OP_addi, A2, A2, 0, 1);
        put16(&prog, 0x0605);                  /* c.addi a2, 1 */
        put(&prog, RV_OP_addi, A2, A2, 0, 16); /* over the border */
        put_wfi(&prog);
        /* Its second half cannot be fetched: it is what traps, after those before it. */
        map(second, pages[n].pa, pages[n].bits, 0);
        rv_hart_set_x(hart, A2, 0);
        run_in_s(CODE_VA + 0xff8);
        assert_trapped(&fix, pages[n].cause, at, second);
        assert_int_equal(rv_hart_x(hart, A2), 2);
        /* A short one there needs no second page; the next instruction does. */
        put16(&(struct program){&fix, CODE + 0xffe}, 0x0605);
        run_in_s(CODE_VA + 0xff8);
        assert_trapped(&fix, pages[n].cause, second, second);
        assert_int_equal(rv_hart_x(hart, A2), 5);
        /* A jump right to the long one. */
        put(&(struct program){&fix, CODE + 0xffe}, RV_OP_addi, A2, A2, 0, 16);
        run_in_s(at);
        assert_trapped(&fix, pages[n].cause, at, second);
        assert_int_equal(rv_hart_x(hart, A2), 5);
        /* Both pages refuse: the first one is named. */
        map(CODE_VA, CODE, V | R | AD, 0);
        run_in_s(at);
        assert_trapped(&fix, RV_CAUSE_FETCH_PAGE, at, at);
        map(CODE_VA, CODE, V | R | X | AD, 0);
        /* And once it is mapped, to another frame, it runs. */
        put(&(struct program){&fix, CODE + 0x1002}, RV_OP_addi, A3, X0, 0, 1);
        put16(&(struct program){&fix, CODE + 0x3000}, 0x0106); /* addi's upper half */
        put_wfi(&(struct program){&fix, CODE + 0x3002});
        map(second, CODE + 0x3000, V | R | X | AD, 0);
        run_in_s(CODE_VA + 0xff8);
        assert_false(trapped());
        assert_int_equal(rv_hart_x(hart, A2), 5 + 2 + 16);
    }
}

/* --- Data over two pages ---------------------------------------------- */

/* What one of two pages of data may be, and whether loads and stores reach it. */
static const struct {
    uint64_t pa, bits;
    uint64_t cause[2]; /* of a load, of a store; 0: none                       */
} data_pages[] = {
    {DATA, V | R | W | AD, {0, 0}},
    {0, 0, {RV_CAUSE_LOAD_PAGE, RV_CAUSE_STORE_PAGE}},
    {DATA, V | R | AD, {0, RV_CAUSE_STORE_PAGE}},
    {DATA,
     V | R | W | A,
     {0, RV_CAUSE_STORE_PAGE}}, /* not dirty, and no hardware's to mark */
    {DATA, V | R | W | U | AD, {RV_CAUSE_LOAD_PAGE, RV_CAUSE_STORE_PAGE}},
    {HOLE, V | R | W | AD, {RV_CAUSE_LOAD_ACCESS, RV_CAUSE_STORE_ACCESS}},
    {ROM, V | R | W | AD, {0, RV_CAUSE_STORE_ACCESS}},
};

static void cross(unsigned first, unsigned second, enum rv_op op, unsigned size,
                  bool store, uint64_t va)
{
    const uint64_t border = DATA_VA + 0x1000;
    const uint64_t cause = data_pages[first].cause[store]
                               ? data_pages[first].cause[store]
                               : data_pages[second].cause[store];
    uint64_t tval = data_pages[first].cause[store] ? va : border;
    struct program prog = {&fix, CODE};

    /* Walks and permissions of both pages come before the first byte of either: a page
     * fault of the second is told before an access fault of the first. */
    if (data_pages[first].cause[store] == access_fault[store] &&
        data_pages[second].cause[store] == page_fault[store])
        tval = border;
    put(&prog, op, A0, A1, A0, 0);
    put_wfi(&prog);
    ram_store(&fix, DATA + 0xff8, UINT64_C(0x1716151413121110));
    ram_store(&fix, DATA + 0x1000, UINT64_C(0x2726252423222120));
    rv_hart_set_x(hart, A0, UINT64_C(0xa7a6a5a4a3a2a1a0));
    rv_hart_set_x(hart, A1, va);
    run_in_s(CODE_VA);
    if (cause) {
        assert_trapped(&fix, tval == border ? data_pages[second].cause[store] : cause,
                       CODE_VA, tval);
        assert_int_equal(rv_hart_x(hart, A0), UINT64_C(0xa7a6a5a4a3a2a1a0));
        assert_int_equal(ram_load(&fix, DATA + 0xff8), UINT64_C(0x1716151413121110));
        assert_int_equal(ram_load(&fix, DATA + 0x1000), UINT64_C(0x2726252423222120));
    } else {
        assert_false(trapped());
    }
}

static void test_data_over_pages(void **state)
{
    static const struct {
        enum rv_op op;
        unsigned size;
        bool store;
    } ops[] = {
        {RV_OP_lh, 2, false}, {RV_OP_lw, 4, false}, {RV_OP_ld, 8, false},
        {RV_OP_sh, 2, true},  {RV_OP_sw, 4, true},  {RV_OP_sd, 8, true},
    };
    const uint64_t border = DATA_VA + 0x1000;

    for (unsigned first = 0; first < SM_ARRAY_LEN(data_pages); first++) {
        for (unsigned second = 0; second < SM_ARRAY_LEN(data_pages); second++) {
            const uint64_t shift = data_pages[second].pa == DATA ? 0x1000 : 0;
            map(DATA_VA, data_pages[first].pa, data_pages[first].bits, 0);
            map(border, data_pages[second].pa + shift, data_pages[second].bits, 0);
            for (unsigned n = 0; n < SM_ARRAY_LEN(ops); n++)
                for (uint64_t before = 1; before < ops[n].size; before++)
                    cross(first, second, ops[n].op, ops[n].size, ops[n].store,
                          border - before);
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tables),
        TEST(tables_in_rom),
        TEST(code_over_pages),
        TEST(data_over_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
