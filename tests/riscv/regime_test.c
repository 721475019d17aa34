/* SPDX-License-Identifier: MIT */
/* regime_test.c - translations and faults over real page tables. */
#include "paging_fixture.h"

/** Ask for one byte as the TLB does, in @mode.  Returns the cause, or -1. */
static int ask_flags(enum rv_mode mode, enum sm_access access, uint64_t va,
                     uint32_t flags, struct sm_xlate *out)
{
    const struct sm_xlate_req req = {.gva = va, .size = 8, .access = (uint8_t)access,
                                     .mode = (uint8_t)mode, .flags = flags};
    struct sm_fault fault = {.cause = 99, .gpa = 99};

    if (rv_guest_mmu_ops.tlb_fill(hart->vcpu, &req, out, &fault))
        return -1;
    assert_int_equal(fault.gva, va);
    assert_int_equal(fault.gpa, 0);
    return (int)fault.cause;
}

/** Bring @mode into use, then ask. */
static int ask(enum rv_mode mode, enum sm_access access, uint64_t va,
               struct sm_xlate *out)
{
    static const struct {
        enum rv_priv priv;
        uint64_t mstatus;
    } how[RV_N_MODES] = {
        [RV_MODE_U] = {RV_PRIV_U, 0},
        [RV_MODE_S] = {RV_PRIV_S, 0},
        [RV_MODE_S_SUM] = {RV_PRIV_S, RV_MSTATUS_SUM},
        [RV_MODE_M] = {RV_PRIV_M, 0},
        [RV_MODE_U_MXR] = {RV_PRIV_U, RV_MSTATUS_MXR},
        [RV_MODE_S_MXR] = {RV_PRIV_S, RV_MSTATUS_MXR},
        [RV_MODE_S_SUM_MXR] = {RV_PRIV_S, RV_MSTATUS_SUM | RV_MSTATUS_MXR},
    };

    csr_put(&fix, RV_CSRNO_mstatus, how[mode].mstatus);
    fixture_enter(&fix, how[mode].priv);
    assert_int_equal(hart->mode_data, mode);
    return ask_flags(mode, access, va, 0, out);
}

static const int page_fault[] = {RV_CAUSE_LOAD_PAGE, RV_CAUSE_STORE_PAGE,
                                 RV_CAUSE_FETCH_PAGE};
static const int access_fault[] = {RV_CAUSE_LOAD_ACCESS, RV_CAUSE_STORE_ACCESS,
                                   RV_CAUSE_FETCH_ACCESS};

/** Every permission, user bit and mode, against the rules written out again. */
static void test_permissions(void **state)
{
    for (unsigned bits = 0; bits < 16; bits++) {
        const uint64_t leaf = (bits << 1) | V | AD; /* R, W, X, U */
        const bool r = leaf & R, w = leaf & W, x = leaf & X, user = leaf & U;
        if (!(leaf & (R | W | X)))
            continue; /* would name a table */
        map(LOW, DATA, leaf, 0);
        for (unsigned mode = 0; mode < RV_N_MODES; mode++) {
            const bool is_user = mode == RV_MODE_U || mode == RV_MODE_U_MXR;
            const bool sum = mode == RV_MODE_S_SUM || mode == RV_MODE_S_SUM_MXR;
            const bool mxr = mode >= RV_MODE_U_MXR;
            const bool may = !(w && !r);
            const bool touch = is_user ? user : !user || sum;
            const bool grants[] = {
                [SM_READ] = may && touch && (r || (mxr && x)),
                [SM_WRITE] = may && touch && w,
                [SM_FETCH] = may && x && user == is_user,
            };
            if (mode == RV_MODE_M)
                continue;
            for (unsigned access = 0; access < SM_N_ACCESS; access++) {
                struct sm_xlate out;
                const int cause = ask((enum rv_mode)mode, (enum sm_access)access,
                                      LOW + 8, &out);
                if (cause != (grants[access] ? -1 : page_fault[access]))
                    fail_msg("leaf 0x%x, mode %s, access %u: cause %d", (unsigned)leaf,
                             rv_guest_mmu_ops.mode_name((uint8_t)mode), access, cause);
                if (cause == -1) {
                    assert_int_equal(out.gpa, DATA + 8);
                    assert_int_equal(out.span_bits, 12);
                    assert_int_equal(out.leaf_bits[0], 12);
                    assert_int_equal((out.attrs.flags & SM_ATTR_USER) != 0, is_user);
                    assert_int_equal(out.attrs.requester, 5);
                    for (unsigned i = 0; i < SM_N_ACCESS; i++)
                        assert_int_equal(out.perms >> i & 1, grants[i]);
                }
            }
        }
    }
}

/** The three formats, leaves at every level, and addresses just outside. */
static void test_formats(void **state)
{
    for (unsigned n = 3; n <= 5; n++) {
        const unsigned va_bits = 12 + 9 * n;
        struct sm_xlate out;

        for (unsigned i = 0; i < 512; i++)
            ram_store(&fix, ROOT + 8 * i, 0);
        use_paging(n, 0);
        for (unsigned level = 0; level < n; level++) {
            const unsigned bits = 12 + 9 * level;
            const uint64_t high = ~sm_mask(va_bits - 1); /* canonical, upper half */
            const uint64_t va = high | ((uint64_t)(level + 1) << (va_bits - 9));
            /* Large leaves map from 0, where no RAM is: only addresses count here. */
            const uint64_t pa = level == 0 ? DATA : (UINT64_C(3) << 40) & ~sm_mask(bits);

            map(va, pa, V | R | W | X | AD, level);
            assert_int_equal(ask(RV_MODE_S, SM_READ, va + (0xabc8 & sm_mask(bits)), &out),
                             -1);
            assert_int_equal(out.gpa, pa + (0xabc8 & sm_mask(bits)));
            assert_int_equal(out.leaf_bits[0], bits);
            assert_int_equal(out.span_bits, bits);
            if (level > 0) { /* misaligned superpage */
                map(va, pa | UINT64_C(1) << (bits - 1), V | R | W | X | AD, level);
                assert_int_equal(ask(RV_MODE_S, SM_WRITE, va, &out), RV_CAUSE_STORE_PAGE);
            }
        }
        for (unsigned access = 0; access < SM_N_ACCESS; access++) {
            assert_int_equal(ask(RV_MODE_S, (enum sm_access)access,
                                 UINT64_C(1) << (va_bits - 1), &out), page_fault[access]);
            assert_int_equal(ask(RV_MODE_S, (enum sm_access)access,
                                 ~sm_mask(va_bits), &out), page_fault[access]);
            assert_int_equal(ask(RV_MODE_U, (enum sm_access)access,
                                 UINT64_C(1) << 63, &out), page_fault[access]);
        }
    }
}

static void test_accessed_dirty(void **state)
{
    const uint64_t va = LOW;
    struct sm_xlate out;

    /* Svade: a clear bit faults, and nothing is written. */
    csr_put(&fix, RV_CSRNO_menvcfg, 0);
    map(va, DATA, V | R | W | X, 0);
    for (unsigned access = 0; access < SM_N_ACCESS; access++)
        assert_int_equal(ask(RV_MODE_S, (enum sm_access)access, va, &out),
                         page_fault[access]);
    map(va, DATA, V | R | W | X | A, 0);
    assert_int_equal(ask(RV_MODE_S, SM_READ, va, &out), -1);
    assert_int_equal(out.perms & SM_PERM_W, 0);
    assert_int_equal(ask(RV_MODE_S, SM_WRITE, va, &out), RV_CAUSE_STORE_PAGE);
    assert_int_equal(ram_load(&fix, entry_at(va, 0)) & AD, A);

    /* Svadu. */
    csr_put(&fix, RV_CSRNO_menvcfg, RV_ENVCFG_ADUE);
    map(va, DATA, V | R | W | X, 0);
    assert_int_equal(ask(RV_MODE_S, SM_FETCH, va, &out), -1);
    assert_int_equal(ram_load(&fix, entry_at(va, 0)) & AD, A);
    assert_int_equal(out.perms & SM_PERM_W, 0);
    assert_int_equal(ask(RV_MODE_S, SM_WRITE, va, &out), -1);
    assert_int_equal(ram_load(&fix, entry_at(va, 0)) & AD, AD);
    assert_int_equal(out.perms, SM_PERM_R | SM_PERM_W | SM_PERM_X);
    /* A probe changes nothing, and a refused access does not either. */
    map(va, DATA, V | R | W, 0);
    assert_int_equal(ask_flags(RV_MODE_S, SM_WRITE, va, SM_REQ_PROBE, &out), -1);
    assert_int_equal(ask(RV_MODE_S, SM_FETCH, va, &out), RV_CAUSE_FETCH_PAGE);
    assert_int_equal(ram_load(&fix, entry_at(va, 0)) & AD, 0);
}

static void test_svnapot_svpbmt(void **state)
{
    const uint64_t va = LOW & ~UINT64_C(0xffff);
    const uint64_t napot = N | (DATA | 0x8000) >> 2;
    struct sm_xlate out;

    ram_store(&fix, entry_at(va + 0x3000, 0), napot | V | R | W | AD);
    assert_int_equal(ask(RV_MODE_S, SM_READ, va + 0x3010, &out), -1);
    assert_int_equal(out.gpa, DATA + 0x3010);
    assert_int_equal(out.leaf_bits[0], 16);
    /* Another encoding than 64 KiB is reserved. */
    ram_store(&fix, entry_at(va, 0), N | (DATA | 0x4000) >> 2 | V | R | AD);
    assert_int_equal(ask(RV_MODE_S, SM_READ, va, &out), RV_CAUSE_LOAD_PAGE);

    map(va, DATA, V | R | W | AD | UINT64_C(1) << 61, 0);
    assert_int_equal(ask(RV_MODE_S, SM_READ, va, &out), -1); /* PBMTE since reset */
    assert_int_equal(out.memtype, 1);
    map(va, DATA, V | R | W | AD | PBMT, 0);
    assert_int_equal(ask(RV_MODE_S, SM_READ, va, &out), RV_CAUSE_LOAD_PAGE);
    csr_put(&fix, RV_CSRNO_menvcfg, 0);
    map(va, DATA, V | R | W | AD | UINT64_C(2) << 61, 0);
    assert_int_equal(ask(RV_MODE_S, SM_WRITE, va, &out), RV_CAUSE_STORE_PAGE);

    const struct rv_isa isa = fixture_isa_without(RV_EXT_SVNAPOT);
    fixture_fini(&fix);
    paging_init(&isa);
    ram_store(&fix, entry_at(va, 0), napot | V | R | W | AD);
    assert_int_equal(ask(RV_MODE_S, SM_READ, va, &out), RV_CAUSE_LOAD_PAGE);
}

/** Reads-and-writes and cache-block operations fault as stores do. */
static void test_fault_kinds(void **state)
{
    const uint64_t va = LOW;
    struct sm_xlate out;

    assert_int_equal(ask(RV_MODE_S, SM_READ, va, &out), RV_CAUSE_LOAD_PAGE);
    assert_int_equal(ask_flags(RV_MODE_S, SM_READ, va, SM_REQ_ATOMIC, &out),
                     RV_CAUSE_STORE_PAGE);
    assert_int_equal(ask_flags(RV_MODE_S, SM_READ, va, SM_REQ_CACHE_OP, &out),
                     RV_CAUSE_STORE_PAGE);
    for (unsigned access = 0; access < SM_N_ACCESS; access++) {
        const struct sm_xlate_req req = {.gva = va, .size = 4, .mode = RV_MODE_S,
                                         .access = (uint8_t)access};
        struct sm_fault fault = {.gpa = 99};
        rv_guest_mmu_ops.bus_error(hart->vcpu, &req, 0x1000, SM_TX_DECODE_ERROR, &fault);
        assert_int_equal(fault.cause, access_fault[access]);
        assert_int_equal(fault.gva, va);
        assert_int_equal(fault.gpa, 0);
    }
}

/** Tables in nowhere give the access fault of what asked for them. */
static void test_table_in_nowhere(void **state)
{
    const uint64_t va = LOW;
    struct sm_xlate out;

    ram_store(&fix, entry_at(va, 2), UINT64_C(0x1000) >> 2 | V);
    for (unsigned access = 0; access < SM_N_ACCESS; access++)
        assert_int_equal(ask(RV_MODE_S, (enum sm_access)access, va, &out),
                         access_fault[access]);
    csr_put(&fix, RV_CSRNO_satp, UINT64_C(8) << 60 | 1);
    assert_int_equal(ask(RV_MODE_U, SM_FETCH, va, &out), RV_CAUSE_FETCH_ACCESS);
}

static void test_bare(void **state)
{
    struct sm_xlate out;

    csr_put(&fix, RV_CSRNO_satp, 0);
    assert_int_equal(ask(RV_MODE_S, SM_READ, DATA + 0x123, &out), -1);
    assert_int_equal(out.gpa, DATA + 0x123);
    assert_int_equal(out.perms, SM_PERM_R | SM_PERM_W | SM_PERM_X);
    assert_true(out.span_bits >= 12);
    assert_int_equal(ask(RV_MODE_U, SM_FETCH, DATA, &out), -1);
    assert_int_equal(ask(RV_MODE_M, SM_FETCH, UINT64_MAX - 7, &out), -1);
    assert_int_equal(out.gpa, UINT64_MAX - 7);
    /* satp does not concern M. */
    use_paging(3, 0);
    assert_int_equal(ask(RV_MODE_M, SM_WRITE, DATA, &out), -1);
    assert_int_equal(out.gpa, DATA);
}

/* --- Physical memory protection --------------------------------------------------- */

static void test_pmp_leaf(void **state)
{
    const uint64_t va = LOW;
    struct sm_xlate out;

    map(va, DATA, V | R | W | X | AD, 0);
    protect(DATA + 0x100, 0x100, SM_PMP_R);
    assert_int_equal(ask(RV_MODE_S, SM_READ, va + 0x100, &out), -1);
    assert_int_equal(out.perms, SM_PERM_R);
    assert_true(out.span_bits <= 8);
    assert_int_equal(ask(RV_MODE_S, SM_WRITE, va + 0x1f8, &out), RV_CAUSE_STORE_ACCESS);
    assert_int_equal(ask(RV_MODE_S, SM_FETCH, va + 0x100, &out), RV_CAUSE_FETCH_ACCESS);
    /* Partly inside: refused, though each part alone may be read. */
    assert_int_equal(ask(RV_MODE_S, SM_READ, va + 0xfc, &out), RV_CAUSE_LOAD_ACCESS);
    assert_int_equal(ask(RV_MODE_S, SM_READ, va + 0xf8, &out), -1);
    assert_int_equal(ask(RV_MODE_S, SM_WRITE, va + 0x200, &out), -1);
    /* Machine mode is not bound, unless the entry is locked. */
    assert_int_equal(ask(RV_MODE_M, SM_WRITE, DATA + 0x100, &out), -1);
    protect(DATA + 0x100, 0x100, SM_PMP_R | SM_PMP_L);
    assert_int_equal(ask(RV_MODE_M, SM_READ, DATA + 0x100, &out), -1);
    assert_int_equal(ask(RV_MODE_M, SM_WRITE, DATA + 0x100, &out), RV_CAUSE_STORE_ACCESS);
}

/** Reads of tables are S's own, and fault as the access they were made for. */
static void test_pmp_table(void **state)
{
    const uint64_t va = LOW;
    struct sm_xlate out;

    csr_put(&fix, RV_CSRNO_menvcfg, RV_ENVCFG_ADUE);
    map(va, DATA, V | R | W | X, 0);
    protect(ROOT, 0x1000, 0);
    for (unsigned access = 0; access < SM_N_ACCESS; access++)
        assert_int_equal(ask(RV_MODE_S, (enum sm_access)access, va, &out),
                         access_fault[access]);
    protect(sm_align_down(entry_at(va, 0), 0x1000), 0x1000, SM_PMP_R);
    /* It may be read but not marked. */
    assert_int_equal(ask(RV_MODE_S, SM_READ, va, &out), RV_CAUSE_LOAD_ACCESS);
    map(va, DATA, V | R | W | X | AD, 0);
    assert_int_equal(ask(RV_MODE_S, SM_WRITE, va, &out), -1);
}

static void test_pmp_off(void **state)
{
    struct rv_isa isa = fixture_isa();
    struct sm_xlate out;

    csr_put(&fix, RV_CSRNO_satp, 0);
    csr_put(&fix, RV_CSRNO_pmpcfg0, 0); /* implemented, but nothing matches */
    assert_int_equal(ask(RV_MODE_M, SM_READ, DATA, &out), -1);
    assert_int_equal(ask(RV_MODE_S, SM_READ, DATA, &out), RV_CAUSE_LOAD_ACCESS);
    assert_int_equal(ask(RV_MODE_U, SM_FETCH, DATA, &out), RV_CAUSE_FETCH_ACCESS);
    isa.n_pmp = 0;
    fixture_fini(&fix);
    fixture_init(&fix, &isa);
    hart = fix.hart;
    assert_int_equal(ask(RV_MODE_S, SM_READ, DATA, &out), -1);
}

/** A mode out of use is answered by the address space of its last use. */
static void test_mode_keeps_its_space(void **state)
{
    const uint64_t va = LOW;
    struct sm_xlate out;

    map(va, DATA, V | R | U | AD, 0);
    assert_int_equal(ask(RV_MODE_U, SM_READ, va, &out), -1);
    fixture_enter(&fix, RV_PRIV_S);
    csr_put(&fix, RV_CSRNO_satp, 0);
    assert_int_equal(ask_flags(RV_MODE_U, SM_READ, va, SM_REQ_PROBE, &out), -1);
    assert_int_equal(out.gpa, DATA);
    assert_int_equal(ask(RV_MODE_U, SM_READ, DATA, &out), -1);
    assert_int_equal(out.gpa, DATA);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(permissions), TEST(formats),   TEST(accessed_dirty), TEST(svnapot_svpbmt),
        TEST(fault_kinds), TEST(table_in_nowhere), TEST(bare),    TEST(pmp_leaf),
        TEST(pmp_table),   TEST(pmp_off),   TEST(mode_keeps_its_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
