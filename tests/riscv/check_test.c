/* SPDX-License-Identifier: MIT */
/* check_test.c - guests with planted faults, each named with its pc and its entry, and the
 * same guests with the fences that they owe, of which nothing is said. */
#include "program.h"

#include "paging_fixture.h"

#include <string.h>

#define CODE  (RAM + 0x10000)
#define SITE  (RAM + 0x20000) /* code that is changed                           */
#define PAGE  UINT64_C(0x40000000)
#define OTHER (DATA + 0x1000)

enum { MAX_SEEN = 8, ASID = 5 };

static struct sm_tlb_check *check;
static struct sm_stale seen[MAX_SEEN];
static char text[MAX_SEEN][2048], json[1024];
static unsigned n_seen;

static void note(void *owner, const struct sm_stale *stale)
{
    assert_ptr_equal(owner, &fix);
    assert_true(n_seen < MAX_SEEN);
    seen[n_seen] = *stale;
    assert_true(rv_stale_text(stale, text[n_seen], sizeof text[0]) < sizeof text[0]);
    assert_true(rv_stale_json(stale, json, sizeof json) < sizeof json);
    n_seen++;
}

static const struct sm_tlb_check_ops ops = {
    .struct_size = sizeof ops, .pc = rv_check_pc, .report = note};

/** A hart in S mode, its code, its tables and DATA mapped one to one, PAGE to DATA. */
static void begin(uint32_t flags)
{
    const struct rv_isa isa = fixture_isa();
    const struct sm_tlb_check_options options = {
        .struct_size = sizeof options, .flags = flags, .ops = &ops, .owner = &fix};

    n_seen = 0;
    assert_int_equal(sm_tlb_check_new(&options, &check), 0);
    fixture_check = check;
    fixture_check_flags = flags;
    paging_init(&isa);
    fixture_check = NULL;
    fixture_check_flags = 0;
    use_paging(3, ASID);
    map(RAM, RAM, V | R | W | X | AD, 2); /* a gigabyte */
    map(PAGE, DATA, V | R | W | AD, 0);
    ram_store(&fix, DATA, 0x11);
    ram_store(&fix, OTHER, 0x22);
    catch_traps(&fix);
    csr_put(&fix, RV_CSRNO_menvcfg, RV_ENVCFG_ADUE);
    fixture_enter(&fix, RV_PRIV_S);
}

static void end(void)
{
    fixture_fini(&fix);
    sm_tlb_check_free(check);
}

static struct sm_tlb_check_stats check_stats(void)
{
    struct sm_tlb_check_stats stats = {.struct_size = sizeof stats};

    sm_tlb_check_get_stats(check, &stats);
    return stats;
}

/** The address of the next instruction of @prog. */
static uint64_t here(const struct program *prog)
{
    return prog->at;
}

/* --- A fence that is missing after narrowing ------------------------------------------ */

struct narrowing {
    uint64_t wrote, used, entry;
};

/** Store by PAGE, take its W away, fence as @fence_asid says (-1: not at all), and store
 *  again. */
static struct narrowing narrow(int fence_asid)
{
    struct program prog = {&fix, CODE};
    struct narrowing at = {.entry = entry_at(PAGE, 0)};

    rv_hart_set_x(fix.hart, A0, PAGE);
    rv_hart_set_x(fix.hart, A1, at.entry);
    rv_hart_set_x(fix.hart, A2, DATA >> 2 | V | R | AD);
    rv_hart_set_x(fix.hart, A3, fence_asid < 0 ? 0 : (uint64_t)fence_asid);
    put(&prog, RV_OP_sd, 0, A0, A2, 0);
    at.wrote = here(&prog);
    put(&prog, RV_OP_sd, 0, A1, A2, 0);
    if (fence_asid >= 0)
        put(&prog, RV_OP_sfence_vma, 0, A0, A3, 0);
    at.used = here(&prog);
    put(&prog, RV_OP_sd, 0, A0, A3, 8);
    put_wfi(&prog);
    run_from(&fix, CODE);
    return at;
}

static void assert_narrowing(const struct narrowing *at)
{
    assert_int_equal(n_seen, 1);
    assert_int_equal(seen[0].kind, SM_STALE_OWN);
    assert_true(seen[0].pc == at->used);
    assert_true(seen[0].gva == PAGE + 8);
    assert_int_equal(seen[0].access, SM_WRITE);
    assert_false(seen[0].permitted);
    assert_true(seen[0].where == at->entry);
    assert_int_equal(seen[0].level, 2);
    assert_true(seen[0].old_entry == (DATA >> 2 | V | R | W | AD));
    assert_true(seen[0].new_entry == (DATA >> 2 | V | R | AD));
    assert_true(seen[0].writer.known);
    assert_ptr_equal(seen[0].writer.vcpu, rv_hart_vcpu(fix.hart));
    assert_true(seen[0].writer.pc == at->wrote);
    assert_non_null(strstr(text[0], "stale translation: write to 0x40000008 at pc 0x80010008"));
    assert_non_null(strstr(text[0], "mode S, asid 5"));
    assert_non_null(strstr(text[0], "VRW---AD page 0x80200000"));
    assert_non_null(strstr(text[0], "VR----AD page 0x80200000"));
    assert_non_null(strstr(text[0], "written by:  hart 5 at pc 0x80010004"));
}

static void test_missing_fence(void **state)
{
    begin(SM_TLB_CHECK_HITS);
    const struct narrowing at = narrow(-1);
    assert_narrowing(&at);
    assert_non_null(strstr(text[0], "fence due:   sfence.vma 0x40000000, asid 5 on hart 5"));
    assert_non_null(strstr(json, "\"fence\":\"sfence.vma 0x40000000, asid 5 on hart 5\"}"));
    assert_true(ram_load(&fix, DATA + 8) == 0); /* the guest went on (K4): A3 is 0 */
    /* Each place is told once. */
    run_from(&fix, at.used);
    assert_int_equal(n_seen, 1);
    assert_int_equal(check_stats().uses[SM_STALE_OWN], 2);
    assert_int_equal(check_stats().reports[SM_STALE_OWN], 1);
    end();
}

static void test_fence_of_another_asid(void **state)
{
    begin(SM_TLB_CHECK_HITS);
    const struct narrowing at = narrow(ASID + 1);
    assert_int_equal(n_seen, 1);
    assert_int_equal(seen[0].kind, SM_STALE_OWN);
    assert_true(seen[0].pc == at.used && seen[0].where == at.entry);
    assert_true(seen[0].writer.pc == at.wrote);
    assert_non_null(strstr(text[0], "fence due:   sfence.vma 0x40000000, asid 5 on hart 5"));
    end();
}

static void test_right_fence(void **state)
{
    begin(SM_TLB_CHECK_HITS);
    const struct narrowing at = narrow(ASID);
    assert_int_equal(n_seen, 0);
    assert_trapped(&fix, RV_CAUSE_STORE_PAGE, at.used, PAGE + 8);
    end();
}

/* --- What is never told ----------------------------------------------------------------- */

/** Read by PAGE, store @entry in its place, read again. */
static void change_and_read(uint64_t entry)
{
    struct program prog = {&fix, CODE};

    rv_hart_set_x(fix.hart, A0, PAGE);
    rv_hart_set_x(fix.hart, A1, entry_at(PAGE, 0));
    rv_hart_set_x(fix.hart, A2, entry);
    put(&prog, RV_OP_ld, A4, A0, 0, 0);
    put(&prog, RV_OP_sd, 0, A1, A2, 0);
    put(&prog, RV_OP_ld, A5, A0, 0, 0);
    put_wfi(&prog);
    run_from(&fix, CODE);
    assert_true(rv_hart_x(fix.hart, A5) == 0x11); /* by the old entry */
}

static void test_legal_changes(void **state)
{
    static const uint64_t legal[] = {
        DATA >> 2 | V | R | W | X | AD,    /* wider                              */
        DATA >> 2 | V | R | AD,            /* narrower, but not for a read       */
        DATA >> 2 | V | R | W | A,         /* clean                              */
        DATA >> 2 | V | R | W,             /* old                                */
        DATA >> 2 | V | R | W | AD | 0x300 /* bits that are software's           */
    };

    for (unsigned i = 0; i < SM_ARRAY_LEN(legal); i++) {
        begin(SM_TLB_CHECK_HITS);
        change_and_read(legal[i]);
        assert_int_equal(n_seen, 0);
        end();
    }
    begin(SM_TLB_CHECK_HITS);
    csr_put(&fix, RV_CSRNO_menvcfg, 0); /* an entry that is not accessed faults */
    change_and_read(DATA >> 2 | V | R | W | 0x100);
    assert_int_equal(n_seen, 0);
    end();
    begin(SM_TLB_CHECK_HITS);
    change_and_read(OTHER >> 2 | V | R | W | AD);
    assert_int_equal(n_seen, 1);
    assert_true(seen[0].permitted && seen[0].old_gpa == DATA && seen[0].new_gpa == OTHER);
    end();
    begin(SM_TLB_CHECK_HITS);
    change_and_read(0);
    assert_int_equal(n_seen, 1);
    assert_non_null(strstr(text[0], "not valid"));
    end();
}

/* --- Another root under the same ASID --------------------------------------------------- */

/** Give ASID tables that map PAGE to OTHER, and read. */
static void change_root(bool fence)
{
    const uint64_t first = ROOT, second = RAM + 0x300000;
    struct program prog = {&fix, CODE};

    for (unsigned i = 0; i < 512; i++)
        ram_store(&fix, second + 8 * i, ram_load(&fix, first + 8 * i));
    ram_store(&fix, second + 8, (second + 0x1000) >> 2 | V);
    ram_store(&fix, second + 0x1000, (second + 0x2000) >> 2 | V);
    ram_store(&fix, second + 0x2000, OTHER >> 2 | V | R | W | AD);
    rv_hart_set_x(fix.hart, A0, PAGE);
    rv_hart_set_x(fix.hart, A1, csr_get(&fix, RV_CSRNO_satp) + (second - first) / 0x1000);
    rv_hart_set_x(fix.hart, A3, ASID);
    put(&prog, RV_OP_ld, A4, A0, 0, 0);
    put(&prog, RV_OP_csrrw, 0, A1, 0, RV_CSRNO_satp);
    if (fence)
        put(&prog, RV_OP_sfence_vma, 0, 0, A3, 0);
    put(&prog, RV_OP_ld, A5, A0, 0, 0);
    put_wfi(&prog);
    run_from(&fix, CODE);
}

static void test_root(void **state)
{
    begin(SM_TLB_CHECK_HITS);
    change_root(false);
    assert_int_equal(n_seen, 1);
    assert_int_equal(seen[0].kind, SM_STALE_ROOT);
    assert_true(seen[0].pc == CODE + 8 && seen[0].gva == PAGE);
    assert_true(rv_hart_x(fix.hart, A5) == 0x11);
    assert_non_null(strstr(text[0], "fence due:   sfence.vma x0, asid 5 on hart 5"));
    end();
    begin(SM_TLB_CHECK_HITS);
    change_root(true);
    assert_int_equal(n_seen, 0);
    assert_true(rv_hart_x(fix.hart, A5) == 0x22);
    end();
}

/* --- Code ----------------------------------------------------------------------------- */

enum { NO_FENCE, FENCE_I, SFENCE };

/** Call SITE, change its second instruction, fence, call it again. */
static uint64_t change_code(int fence)
{
    struct program site = {&fix, SITE}, prog = {&fix, CODE};
    uint64_t wrote;

    put(&site, RV_OP_addi, A4, 0, 0, 1);
    put(&site, RV_OP_addi, A5, 0, 0, 2);
    put(&site, RV_OP_jalr, 0, RA, 0, 0);
    rv_hart_set_x(fix.hart, A0, SITE);
    rv_hart_set_x(fix.hart, A1, enc(RV_OP_addi, A5, 0, 0, 3));
    put(&prog, RV_OP_jalr, RA, A0, 0, 0);
    wrote = here(&prog);
    put(&prog, RV_OP_sw, 0, A0, A1, 4);
    if (fence == FENCE_I)
        put(&prog, RV_OP_fence_i, 0, 0, 0, 0);
    if (fence == SFENCE)
        put(&prog, RV_OP_sfence_vma, 0, 0, 0, 0);
    put(&prog, RV_OP_jalr, RA, A0, 0, 0);
    put_wfi(&prog);
    run_from(&fix, CODE);
    return wrote;
}

static void test_missing_fence_i(void **state)
{
    begin(SM_TLB_CHECK_HITS);
    const uint64_t wrote = change_code(NO_FENCE);
    assert_int_equal(n_seen, 1);
    assert_int_equal(seen[0].kind, SM_STALE_OWN_CODE);
    assert_true(seen[0].pc == SITE + 4 && seen[0].where == SITE + 4);
    assert_true(seen[0].old_entry == enc(RV_OP_addi, A5, 0, 0, 2));
    assert_true(seen[0].new_entry == enc(RV_OP_addi, A5, 0, 0, 3));
    assert_true(seen[0].writer.known && seen[0].writer.pc == wrote);
    assert_true(rv_hart_x(fix.hart, A5) == 2);
    assert_non_null(strstr(text[0], "stale code: fetch from 0x80020004 at pc 0x80020004"));
    assert_non_null(strstr(text[0], "fence due:   fence.i on hart 5"));
    end();
}

/** A fence of translations orders code here, which does not hide that FENCE.I is due. */
static void test_sfence_is_no_fence_i(void **state)
{
    begin(SM_TLB_CHECK_HITS);
    change_code(SFENCE);
    assert_int_equal(n_seen, 1);
    assert_int_equal(seen[0].kind, SM_STALE_OWN_CODE);
    assert_true(rv_hart_x(fix.hart, A5) == 3);
    end();
    begin(SM_TLB_CHECK_HITS | SM_TLB_KEEP_STALE);
    change_code(SFENCE);
    assert_int_equal(n_seen, 1);
    assert_true(rv_hart_x(fix.hart, A5) == 2);
    end();
}

static void test_fence_i(void **state)
{
    begin(SM_TLB_CHECK_HITS);
    change_code(FENCE_I);
    assert_int_equal(n_seen, 0);
    assert_true(rv_hart_x(fix.hart, A5) == 3);
    end();
}

/* --- As stale as allowed ---------------------------------------------------------------- */

/** Read by PAGE, map it elsewhere, fence as told, touch what takes its slot in the table,
 *  read by PAGE. */
static uint64_t evict_and_read(bool fence)
{
    uint64_t rival = PAGE + SM_PAGE_SIZE;
    struct program prog = {&fix, CODE};

    while (sm_tlb_slot(rival) != sm_tlb_slot(PAGE))
        rival += SM_PAGE_SIZE;
    map(rival, OTHER, V | R | W | AD, 0);
    rv_hart_set_x(fix.hart, A0, PAGE);
    rv_hart_set_x(fix.hart, A1, entry_at(PAGE, 0));
    rv_hart_set_x(fix.hart, A2, OTHER >> 2 | V | R | AD);
    rv_hart_set_x(fix.hart, A3, rival);
    put(&prog, RV_OP_ld, A4, A0, 0, 0);
    put(&prog, RV_OP_sd, 0, A1, A2, 0);
    if (fence)
        put(&prog, RV_OP_sfence_vma, 0, A0, 0, 0);
    put(&prog, RV_OP_ld, A4, A3, 0, 0);
    put(&prog, RV_OP_ld, A5, A0, 0, 0);
    put_wfi(&prog);
    run_from(&fix, CODE);
    return rv_hart_x(fix.hart, A5);
}

static void test_kept(void **state)
{
    begin(SM_TLB_CHECK_HITS);
    assert_true(evict_and_read(false) == 0x22); /* luck */
    assert_int_equal(n_seen, 0);
    end();
    begin(SM_TLB_KEEP_STALE);
    assert_true(evict_and_read(false) == 0x11);
    assert_int_equal(n_seen, 0);
    assert_true(check_stats().kept > 0);
    end();
    begin(SM_TLB_CHECK_HITS | SM_TLB_KEEP_STALE);
    assert_true(evict_and_read(false) == 0x11);
    assert_int_equal(n_seen, 1);
    assert_int_equal(seen[0].kind, SM_STALE_OWN);
    end();
    begin(SM_TLB_CHECK_HITS | SM_TLB_KEEP_STALE);
    assert_true(evict_and_read(true) == 0x22);
    assert_int_equal(n_seen, 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_fence),
        cmocka_unit_test(test_fence_of_another_asid),
        cmocka_unit_test(test_right_fence),
        cmocka_unit_test(test_legal_changes),
        cmocka_unit_test(test_root),
        cmocka_unit_test(test_missing_fence_i),
        cmocka_unit_test(test_sfence_is_no_fence_i),
        cmocka_unit_test(test_fence_i),
        cmocka_unit_test(test_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
