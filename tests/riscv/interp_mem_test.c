/* SPDX-License-Identifier: MIT */
/* interp_mem_test.c - loads, stores, atomics and cache blocks, on RAM and on devices. */
#include "program.h"

#define CODE (RAM + 0x1000)
#define DATA (RAM + 0x10000)
#define IO   UINT64_C(0x10000000) /* a device of 4 KiB that remembers            */
#define HOLE UINT64_C(0x20000000) /* nothing                                     */

static struct {
    struct fixture fix;
    struct sm_device *device;
    struct sm_region *io;
    uint64_t stored[512];
    unsigned reads, writes;
} world;

static enum sm_tx io_read(void *dev, uint64_t offset, unsigned size,
                          const struct sm_attrs *attrs, uint64_t *value)
{
    world.reads++;
    *value = (world.stored[offset / 8] >> (8 * (offset % 8))) & sm_mask(8 * size);
    return SM_TX_OK;
}

static enum sm_tx io_write(void *dev, uint64_t offset, unsigned size,
                           const struct sm_attrs *attrs, uint64_t value)
{
    const unsigned shift = 8 * (offset % 8);

    world.writes++;
    world.stored[offset / 8] =
        sm_insert(world.stored[offset / 8], shift, 8 * size, value);
    return SM_TX_OK;
}

static const struct sm_io_ops io_ops = {
    .struct_size = sizeof(io_ops),
    .read = io_read,
    .write = io_write,
    .accepts = {1, 8, false},
    .implements = {1, 8, false},
};

static int set_up(void **state)
{
    struct rv_isa isa = fixture_isa();
    struct fixture *fix = &world.fix;

    memset(&world, 0, sizeof(world));
    fixture_init(fix, &isa);
    sm_topology_begin(fix->topo);
    assert_int_equal(sm_device_new(fix->topo, "io", NULL, &world.device), 0);
    assert_int_equal(sm_region_new_io(world.device, "io", 0xfff, &io_ops, &world.io), 0);
    assert_int_equal(sm_region_map(fix->root, IO, world.io, 0), 0);
    assert_int_equal(sm_topology_commit(fix->topo, NULL), 0);
    catch_traps(fix);
    *state = fix;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fix = *state;

    sm_topology_begin(fix->topo);
    sm_region_unmap(world.io);
    assert_int_equal(sm_topology_commit(fix->topo, NULL), 0);
    sm_vcpu_safe_point(rv_hart_vcpu(fix->hart));
    assert_int_equal(sm_region_free(world.io), 0);
    assert_int_equal(sm_device_free(world.device), 0);
    fixture_fini(fix);
    return 0;
}

/* --- Loads and stores ------------------------------------------------------ */

static const struct {
    enum rv_op op;
    unsigned size;
    bool is_signed;
} loads[] =
    {
        {RV_OP_lb, 1, true},   {RV_OP_lh, 2, true},   {RV_OP_lw, 4, true},
        {RV_OP_ld, 8, true},   {RV_OP_lbu, 1, false}, {RV_OP_lhu, 2, false},
        {RV_OP_lwu, 4, false},
},
  stores[] = {
      {RV_OP_sb, 1, false},
      {RV_OP_sh, 2, false},
      {RV_OP_sw, 4, false},
      {RV_OP_sd, 8, false},
};

/** Bytes that differ, some with their sign bit set. */
static uint8_t byte_at(uint64_t gpa)
{
    return (uint8_t)(gpa * 0x9d + 0x55);
}

static uint64_t bytes_at(uint64_t gpa, unsigned size, bool is_signed)
{
    uint64_t value = 0;

    for (unsigned n = 0; n < size; n++)
        value |= (uint64_t)byte_at(gpa + n) << (8 * n);
    return is_signed ? (uint64_t)sm_sign_extend(value, 8 * size) : value;
}

/** Every load at every alignment, within a page and across its end, where no hit is
 *  possible, twice: the second time the TLB knows the page. */
static void test_loads(void **state)
{
    struct fixture *fix = *state;
    struct program data = {fix, DATA};

    for (unsigned n = 0; n < 0x2000; n++)
        put_bytes(&data, &(uint8_t){byte_at(DATA + n)}, 1);
    for (size_t n = 0; n < SM_ARRAY_LEN(loads); n++) {
        put_one(fix, CODE, enc(loads[n].op, A0, A1, 0, -7));
        for (unsigned offset = 0xfe0; offset < 0x1010; offset++) {
            const uint64_t want =
                bytes_at(DATA + offset, loads[n].size, loads[n].is_signed);

            rv_hart_set_x(fix->hart, A1, DATA + offset + 7);
            run_from(fix, CODE);
            assert_int_equal(rv_hart_x(fix->hart, A0), want);
        }
        put_one(fix, CODE, enc(loads[n].op, X0, A1, 0, 0));
        run_from(fix, CODE);
        assert_int_equal(rv_hart_x(fix->hart, 0), 0);
        put_one(fix, CODE, enc(loads[n].op, A1, A1, 0, 0));
        rv_hart_set_x(fix->hart, A1, DATA);
        run_from(fix, CODE);
        assert_int_equal(rv_hart_x(fix->hart, A1),
                         bytes_at(DATA, loads[n].size, loads[n].is_signed));
    }
}

static void test_stores(void **state)
{
    const uint64_t value = 0xf1e2d3c4b5a69788;
    struct fixture *fix = *state;

    for (size_t n = 0; n < SM_ARRAY_LEN(stores); n++) {
        const unsigned bits = 8 * stores[n].size;

        put_one(fix, CODE, enc(stores[n].op, 0, A1, A0, 9));
        rv_hart_set_x(fix->hart, A0, value);
        for (uint64_t gpa = DATA + 0xfe0; gpa < DATA + 0x1010; gpa++) {
            for (unsigned k = 0; k < 3; k++)
                ram_store(fix, (gpa & ~UINT64_C(7)) - 8 + 8 * k, 0x1111111111111111);
            rv_hart_set_x(fix->hart, A1, gpa - 9);
            run_from(fix, CODE);
            for (unsigned k = 0; k < 24; k++) {
                const uint64_t at = (gpa & ~UINT64_C(7)) - 8 + k;
                const uint64_t got =
                    (ram_load(fix, at & ~UINT64_C(7)) >> (8 * (at & 7))) & 0xff;
                const bool inside = at - gpa < stores[n].size;

                assert_int_equal(
                    got,
                    inside ? (value & sm_mask(bits)) >> (8 * (at - gpa)) & 0xff : 0x11);
            }
        }
    }
}

/** A device is asked once each, in the instruction's width. */
static void test_device(void **state)
{
    struct fixture *fix = *state;

    world.stored[2] = 0x8182838485868788;
    rv_hart_set_x(fix->hart, A1, IO + 16);
    for (size_t n = 0; n < SM_ARRAY_LEN(loads); n++) {
        const uint64_t value = world.stored[2] & sm_mask(8 * loads[n].size);

        world.reads = 0;
        put_one(fix, CODE, enc(loads[n].op, A0, A1, 0, 0));
        run_from(fix, CODE);
        assert_int_equal(rv_hart_x(fix->hart, A0),
                         loads[n].is_signed
                             ? (uint64_t)sm_sign_extend(value, 8 * loads[n].size)
                             : value);
        assert_int_equal(world.reads, 1);
    }
    for (size_t n = 0; n < SM_ARRAY_LEN(stores); n++) {
        world.writes = 0;
        world.stored[3] = UINT64_MAX;
        rv_hart_set_x(fix->hart, A0, 0x0102030405060708);
        put_one(fix, CODE, enc(stores[n].op, 0, A1, A0, 8));
        run_from(fix, CODE);
        assert_int_equal(world.stored[3], sm_insert(UINT64_MAX, 0, 8 * stores[n].size,
                                                    0x0102030405060708));
        assert_int_equal(world.writes, 1);
    }
    assert_int_equal(stats_of(fix).exceptions, 0);
}

/** A fault in a block's middle: what is before it is done, it and what is after not. */
static void test_faults(void **state)
{
    static const struct {
        enum rv_op op;
        uint64_t cause;
    } cases[] = {
        {RV_OP_lb, RV_CAUSE_LOAD_ACCESS},        {RV_OP_ld, RV_CAUSE_LOAD_ACCESS},
        {RV_OP_sw, RV_CAUSE_STORE_ACCESS},       {RV_OP_fld, RV_CAUSE_LOAD_ACCESS},
        {RV_OP_fsd, RV_CAUSE_STORE_ACCESS},      {RV_OP_amoadd_w, RV_CAUSE_STORE_ACCESS},
        {RV_OP_lr_w, RV_CAUSE_LOAD_ACCESS},      {RV_OP_cbo_zero, RV_CAUSE_STORE_ACCESS},
    };
    struct fixture *fix = *state;

    csr_put(fix, RV_CSRNO_mstatus, RV_MSTATUS_FS);
    for (size_t n = 0; n < SM_ARRAY_LEN(cases); n++) {
        struct program prog = {fix, CODE};
        const struct rv_stats before = stats_of(fix);

        put(&prog, RV_OP_addi, A2, A2, 0, 1);
        put16(&prog, 0x0001); /* c.nop */
        put(&prog, cases[n].op, A0, A1, A0, 0);
        put(&prog, RV_OP_addi, A3, A3, 0, 1);
        put_wfi(&prog);
        rv_blocks_flush(fix->hart);
        rv_hart_set_x(fix->hart, A0, 0x1234);
        rv_hart_set_f(fix->hart, A0, 0x1234);
        rv_hart_set_x(fix->hart, A1, HOLE);
        rv_hart_set_x(fix->hart, A2, 0);
        run_from(fix, CODE);
        assert_trapped(fix, cases[n].cause, CODE + 6, HOLE);
        assert_int_equal(rv_hart_x(fix->hart, A0), 0x1234);
        assert_int_equal(rv_hart_f(fix->hart, A0), 0x1234);
        assert_int_equal(rv_hart_x(fix->hart, A2), 1);
        assert_int_equal(rv_hart_x(fix->hart, A3), 0);
        assert_int_equal(stats_of(fix).instructions - before.instructions, 2 + 1);
        assert_int_equal(stats_of(fix).data_accesses - before.data_accesses, 1);
    }
}

static void test_float_accesses(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};

    catch_traps(fix);
    put(&prog, RV_OP_flw, 0, A1, 0, 0); /* f0 is a register like others */
    put(&prog, RV_OP_fld, 1, A1, 0, 8);
    put(&prog, RV_OP_fsw, 0, A1, 1, 16);
    put(&prog, RV_OP_fsd, 0, A1, 1, 24);
    put(&prog, RV_OP_flw, 2, A1, 0, 4094); /* crosses a page's end */
    put_wfi(&prog);
    rv_hart_set_x(fix->hart, A1, DATA);
    ram_store(fix, DATA, 0x1122334455667788);
    ram_store(fix, DATA + 8, 0x99aabbccddeeff00);
    ram_store(fix, DATA + 16, 0x1111111111111111);
    ram_store(fix, DATA + 0xff8, 0xaaaa000000000000);
    ram_store(fix, DATA + 0x1000, 0xbbbb);

    csr_put(fix, RV_CSRNO_mstatus, 0);
    run_from(fix, CODE);
    assert_trapped(fix, RV_CAUSE_ILLEGAL, CODE, enc(RV_OP_flw, 0, A1, 0, 0));
    assert_int_equal(stats_of(fix).data_accesses, 0);

    prog.at = CODE + 16;
    put(&prog, RV_OP_addi, A2, A1, 0, 2047);
    put(&prog, RV_OP_flw, 2, A2, 0, 2047);
    put_wfi(&prog);
    rv_blocks_flush(fix->hart);
    csr_put(fix, RV_CSRNO_mstatus, UINT64_C(1) << 13); /* initial */
    run_from(fix, CODE);
    assert_int_equal(rv_hart_f(fix->hart, 0), 0xffffffff55667788);
    assert_int_equal(rv_hart_f(fix->hart, 1), 0x99aabbccddeeff00);
    assert_int_equal(rv_hart_f(fix->hart, 2), 0xffffffffbbbbaaaa);
    assert_int_equal(ram_load(fix, DATA + 16), 0x11111111ddeeff00);
    assert_int_equal(ram_load(fix, DATA + 24), 0x99aabbccddeeff00);
    assert_int_equal(csr_get(fix, RV_CSRNO_mstatus) & RV_MSTATUS_DIRTY, RV_MSTATUS_DIRTY);

    /* Stores leave the state clean. */
    csr_put(fix, RV_CSRNO_mstatus, UINT64_C(2) << 13);
    put_one(fix, CODE, enc(RV_OP_fsd, 0, A1, 1, 24));
    run_from(fix, CODE);
    assert_int_equal(csr_get(fix, RV_CSRNO_mstatus) & RV_MSTATUS_FS, UINT64_C(2) << 13);
}

/* --- Atomics --------------------------------------------------------------- */

static uint64_t amo_result(unsigned op, uint64_t old, uint64_t operand, unsigned bits)
{
    const int64_t so = sm_sign_extend(old, bits), sx = sm_sign_extend(operand, bits);
    const uint64_t uo = old & sm_mask(bits), ux = operand & sm_mask(bits);

    switch (op) {
    case RV_OP_amoswap_w: return ux;
    case RV_OP_amoadd_w: return uo + ux;
    case RV_OP_amoxor_w: return uo ^ ux;
    case RV_OP_amoand_w: return uo & ux;
    case RV_OP_amoor_w: return uo | ux;
    case RV_OP_amomin_w: return so < sx ? uo : ux;
    case RV_OP_amomax_w: return so > sx ? uo : ux;
    case RV_OP_amominu_w: return uo < ux ? uo : ux;
    default: return uo > ux ? uo : ux;
    }
}

static void test_amos(void **state)
{
    static const uint64_t operands[] = {0,
                                        1,
                                        0x7fffffff,
                                        0x80000000,
                                        0xffffffff,
                                        0x8000000000000000,
                                        0x123456789abcdef0,
                                        UINT64_MAX};
    enum { TO_D = RV_OP_amoadd_d - RV_OP_amoadd_w };
    struct fixture *fix = *state;

    for (unsigned op = RV_OP_amoswap_w; op <= RV_OP_amomaxu_w; op++) {
        for (unsigned bits = 32; bits <= 64; bits += 32) {
            put_one(fix, CODE, enc((enum rv_op)(bits == 32 ? op : op + TO_D), A0, A1, A2, 3));
            for (size_t i = 0; i < 8; i++) {
                for (size_t k = 0; k < 8; k++) {
                    const uint64_t old = operands[i], operand = operands[k];

                    ram_store(fix, DATA, old);
                    rv_hart_set_x(fix->hart, A1, DATA);
                    rv_hart_set_x(fix->hart, A2, operand);
                    run_from(fix, CODE);
                    assert_int_equal(rv_hart_x(fix->hart, A0),
                                     (uint64_t)sm_sign_extend(old, bits));
                    assert_int_equal(ram_load(fix, DATA),
                                     sm_insert(old, 0, bits,
                                               amo_result(op, old, operand, bits)));
                }
            }
        }
    }
    assert_int_equal(stats_of(fix).exceptions, 0);
}

static void test_reservation(void **state)
{
    struct fixture *fix = *state;
    struct program prog = {fix, CODE};

    put(&prog, RV_OP_lr_w, A0, A1, 0, 3);
    put(&prog, RV_OP_sc_w, A2, A1, A3, 3);
    put(&prog, RV_OP_sc_w, A4, A1, A3, 0); /* no reservation is left */
    put(&prog, RV_OP_lr_d, A5, A1, 0, 0);
    put(&prog, RV_OP_sc_d, S0, S1, A3, 0); /* elsewhere */
    put(&prog, RV_OP_lr_d, X0, A1, 0, 0);
    put(&prog, RV_OP_sc_d, X0, A1, A1, 0);
    put_wfi(&prog);
    ram_store(fix, DATA, 0x55555555fedcba98);
    rv_hart_set_x(fix->hart, A1, DATA);
    rv_hart_set_x(fix->hart, A3, 0x123456789abcdef0);
    rv_hart_set_x(fix->hart, S1, DATA + 8);
    rv_hart_set_x(fix->hart, A2, 7);
    run_from(fix, CODE);
    assert_int_equal(rv_hart_x(fix->hart, A0), 0xfffffffffedcba98);
    assert_int_equal(rv_hart_x(fix->hart, A2), 0);
    assert_int_equal(rv_hart_x(fix->hart, A4), 1);
    assert_int_equal(rv_hart_x(fix->hart, A5), 0x555555559abcdef0);
    assert_int_equal(rv_hart_x(fix->hart, S0), 1);
    assert_int_equal(ram_load(fix, DATA), DATA);
    assert_int_equal(ram_load(fix, DATA + 8), 0);
    assert_int_equal(rv_hart_x(fix->hart, 0), 0);
}

static void test_misaligned_atomics(void **state)
{
    struct fixture *fix = *state;

    for (unsigned op = RV_OP_lr_w; op <= RV_OP_amomaxu_d; op++) {
        const bool is_lr = op == RV_OP_lr_w || op == RV_OP_lr_d;
        const bool is_w = op <= RV_OP_amomaxu_w;

        for (unsigned offset = 1; offset < (is_w ? 4 : 8); offset++) {
            put_one(fix, CODE, enc((enum rv_op)op, A0, A1, A2, 0));
            rv_hart_set_x(fix->hart, A1, DATA + offset);
            run_from(fix, CODE);
            assert_trapped(fix,
                           is_lr ? RV_CAUSE_LOAD_MISALIGNED : RV_CAUSE_STORE_MISALIGNED,
                           CODE, DATA + offset);
        }
    }
}

/* --- Cache blocks ---------------------------------------------------------- */

static void test_cbo_zero(void **state)
{
    struct fixture *fix = *state;

    for (unsigned n = 0; n < 24; n++)
        ram_store(fix, DATA - 64 + 8 * n, UINT64_MAX);
    put_one(fix, CODE, enc(RV_OP_cbo_zero, 0, A1, 0, 0));
    rv_hart_set_x(fix->hart, A1, DATA + 37);
    run_from(fix, CODE);
    for (unsigned n = 0; n < 24; n++)
        assert_int_equal(ram_load(fix, DATA - 64 + 8 * n), n / 8 == 1 ? 0 : UINT64_MAX);
    /* On a device it is that many stores of zero. */
    world.stored[8] = world.stored[15] = world.stored[16] = 5;
    rv_hart_set_x(fix->hart, A1, IO + 64);
    run_from(fix, CODE);
    assert_int_equal(world.stored[8] | world.stored[15], 0);
    assert_int_equal(world.stored[16], 5);
    assert_int_equal(world.writes, 8);
    assert_int_equal(stats_of(fix).exceptions, 0);
}

/** Each field of each configuration that binds the privilege must allow it. */
static void test_cbo_gates(void **state)
{
    static const struct {
        enum rv_op op;
        uint64_t field;
    } cases[] = {
        {RV_OP_cbo_inval, UINT64_C(1) << 4}, {RV_OP_cbo_clean, RV_ENVCFG_CBCFE},
        {RV_OP_cbo_flush, RV_ENVCFG_CBCFE},  {RV_OP_cbo_zero, RV_ENVCFG_CBZE},
    };
    struct fixture *fix = *state;

    /* Lesser privileges need a PMP entry to do anything. */
    csr_put(fix, RV_CSRNO_pmpaddr0, UINT64_MAX);
    csr_put(fix, RV_CSRNO_pmpcfg0, 0x1f);
    rv_hart_set_x(fix->hart, A1, DATA + 1);
    for (size_t n = 0; n < SM_ARRAY_LEN(cases); n++) {
        const uint32_t word = enc(cases[n].op, 0, A1, 0, 0);
        struct program prog = {fix, CODE};

        put32(&prog, word);
        put(&prog, RV_OP_ecall, 0, 0, 0, 0);
        rv_blocks_flush(fix->hart);
        for (unsigned gates = 0; gates < 4; gates++) {
            static const enum rv_priv privs[] = {RV_PRIV_U, RV_PRIV_S, RV_PRIV_M};

            csr_put(fix, RV_CSRNO_menvcfg, gates & 1 ? cases[n].field : 0);
            csr_put(fix, RV_CSRNO_senvcfg, gates & 2 ? cases[n].field : 0);
            for (size_t p = 0; p < 3; p++) {
                const unsigned needed = p == 0 ? 3 : p == 1 ? 1 : 0;

                fixture_enter(fix, privs[p]);
                run_from(fix, CODE);
                if ((gates & needed) == needed)
                    assert_trapped(fix, (unsigned)RV_CAUSE_ECALL_U + (unsigned)privs[p],
                                   CODE + 4, 0);
                else
                    assert_trapped(fix, RV_CAUSE_ILLEGAL, CODE, word);
            }
        }
    }
}

/** Management needs a permission to read or to write, else it faults as a store. */
static void test_cbo_permission(void **state)
{
    static const struct {
        uint8_t perms; /* SM_PMP_* of the page */
        bool allowed;
    } cases[] = {
        {0, false}, {SM_PMP_R, true}, {SM_PMP_R | SM_PMP_W, true}, {SM_PMP_X, false}};
    struct fixture *fix = *state;

    csr_put(fix, RV_CSRNO_menvcfg, RV_ENVCFG_CBCFE | RV_ENVCFG_CBZE);
    csr_put(fix, RV_CSRNO_pmpaddr0, (DATA >> 2) | 0x1ff); /* NAPOT, 4 KiB */
    csr_put(fix, RV_CSRNO_pmpaddr0 + 1, UINT64_MAX);
    rv_hart_set_x(fix->hart, A1, DATA + 0x47);
    for (size_t n = 0; n < SM_ARRAY_LEN(cases); n++) {
        struct program prog = {fix, CODE};

        csr_put(fix, RV_CSRNO_pmpcfg0,
                UINT64_C(0x1f00) | 3 << SM_PMP_A_SHIFT | cases[n].perms);
        put(&prog, RV_OP_cbo_flush, 0, A1, 0, 0);
        put(&prog, RV_OP_ecall, 0, 0, 0, 0);
        rv_blocks_flush(fix->hart);
        fixture_enter(fix, RV_PRIV_S);
        run_from(fix, CODE);
        if (cases[n].allowed)
            assert_trapped(fix, RV_CAUSE_ECALL_S, CODE + 4, 0);
        else
            assert_trapped(fix, RV_CAUSE_STORE_ACCESS, CODE, DATA + 0x40);
        put_one(fix, CODE, enc(RV_OP_cbo_zero, 0, A1, 0, 0));
        fixture_enter(fix, RV_PRIV_S);
        run_from(fix, CODE);
        if (!(cases[n].perms & SM_PMP_W))
            assert_trapped(fix, RV_CAUSE_STORE_ACCESS, CODE, DATA + 0x40);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_loads),         TEST(test_stores),      TEST(test_device),
        TEST(test_faults),        TEST(test_float_accesses), TEST(test_amos),
        TEST(test_reservation),   TEST(test_misaligned_atomics), TEST(test_cbo_zero),
        TEST(test_cbo_gates),     TEST(test_cbo_permission),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
