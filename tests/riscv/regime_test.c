/* SPDX-License-Identifier: MIT */
/* regime_test.c - translations, faults and fences over real page tables. */
#include "hart_fixture.h"

/** Bits of a page-table entry. */
enum { V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128 };
#define AD   (A | D)
#define N    (UINT64_C(1) << 63)
#define PBMT (UINT64_C(3) << 61)

#define ROOT (RAM + 0x100000)
#define DATA (RAM + 0x200000)
#define VA   UINT64_C(0x12345678000)

static struct fixture fix;
static struct rv_hart *hart;
static uint64_t next_table;
static unsigned levels;

/** Levels 3 to 5; tables and address spaces start over. */
static void use_paging(unsigned n_levels, uint64_t asid)
{
    levels = n_levels;
    csr_put(&fix, RV_CSRNO_satp,
            (uint64_t)(n_levels + 5) << 60 | asid << 44 | ROOT >> 12);
    assert_int_equal(csr_get(&fix, RV_CSRNO_satp) >> 60, n_levels + 5);
}

static int setup(void **state)
{
    const struct rv_isa isa = fixture_isa();

    fixture_init(&fix, &isa);
    hart = fix.hart;
    next_table = ROOT + SM_PAGE_SIZE;
    /* Entry 0 opens everything to S and U, as firmware does. */
    csr_put(&fix, RV_CSRNO_pmpaddr0, UINT64_MAX);
    csr_put(&fix, RV_CSRNO_pmpcfg0, 0x1f);
    use_paging(3, 0);
    return 0;
}

static int teardown(void **state)
{
    fixture_fini(&fix);
    return 0;
}

/** Address of the entry for @va at @level (0: smallest pages), tables made as needed. */
static uint64_t entry_at(uint64_t va, unsigned level)
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

static void map(uint64_t va, uint64_t pa, uint64_t bits, unsigned level)
{
    ram_store(&fix, entry_at(va, level), pa >> 2 | bits);
}

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
        map(VA & sm_mask(38), DATA, leaf, 0);
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
                                      (VA & sm_mask(38)) + 8, &out);
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
    const uint64_t va = VA & sm_mask(38);
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
    const uint64_t va = VA & sm_mask(38) & ~UINT64_C(0xffff);
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
    fixture_init(&fix, &isa);
    hart = fix.hart;
    next_table = ROOT + SM_PAGE_SIZE;
    csr_put(&fix, RV_CSRNO_pmpaddr0, UINT64_MAX);
    csr_put(&fix, RV_CSRNO_pmpcfg0, 0x1f);
    use_paging(3, 0);
    ram_store(&fix, entry_at(va, 0), napot | V | R | W | AD);
    assert_int_equal(ask(RV_MODE_S, SM_READ, va, &out), RV_CAUSE_LOAD_PAGE);
}

/** Reads-and-writes and cache-block operations fault as stores do. */
static void test_fault_kinds(void **state)
{
    const uint64_t va = VA & sm_mask(38);
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
    const uint64_t va = VA & sm_mask(38);
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

/** Entry 0 covers @size bytes (a power of two from 8) at @base, entry 1 the rest. */
static void protect(uint64_t base, uint64_t size, unsigned cfg)
{
    csr_put(&fix, RV_CSRNO_pmpcfg0, 0);
    csr_put(&fix, RV_CSRNO_pmpaddr0, (base | (size / 2 - 1)) >> 2);
    csr_put(&fix, RV_CSRNO_pmpaddr0 + 1, UINT64_MAX);
    csr_put(&fix, RV_CSRNO_pmpcfg0, 0x1f00 | 0x18 | cfg);
}

static void test_pmp_leaf(void **state)
{
    const uint64_t va = VA & sm_mask(38);
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
    const uint64_t va = VA & sm_mask(38);
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
    const uint64_t va = VA & sm_mask(38);
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

/* --- Fences, and what needs none -------------------------------------------------- */

#define LOW  (VA & sm_mask(38))
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

static void test_fence_i(void **state)
{
    const uint64_t epoch = hart->code_epoch;

    rv_fence_i(hart);
    assert_true(hart->code_epoch > epoch);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(permissions), TEST(formats),   TEST(accessed_dirty), TEST(svnapot_svpbmt),
        TEST(fault_kinds), TEST(table_in_nowhere), TEST(bare),    TEST(pmp_leaf),
        TEST(pmp_table),   TEST(pmp_off),   TEST(mode_keeps_its_space),
        TEST(fence_address), TEST(fence_asid), TEST(satp_keeps_entries),
        TEST(fence_privilege), TEST(sinval), TEST(no_fence_needed),
        TEST(flushing_writes), TEST(fence_i),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
