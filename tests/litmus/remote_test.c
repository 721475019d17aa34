/* SPDX-License-Identifier: MIT */
/* remote_test.c - one hart changes what others translate or execute, and tells them.
 *
 * Hart 0 changes a page table entry or an instruction, raises the others' software
 * interrupt in the ACLINT and waits until each has fenced and acknowledged.  From then
 * on nobody may meet what was there before.  The others run in S-mode under Sv39 and
 * look all the time, or sleep in WFI between the interrupts.
 */
#include "litmus/guest.h"

enum { MS = 120 };

enum { /* globals of the test                                                       */
       GENERATION = G_OWN,   /* all harts have acknowledged this one               */
       REQUEST = G_OWN + 64, /* the one to be acknowledged                         */
       ERRORS = G_OWN + 128, /* old things met                                     */
       TRAPS = G_OWN + 192,  /* traps that nobody asked for                        */
       ACK = G_OWN + 256     /* a line per hart                                    */
};

/* Offsets in RAM of the tables and of frames that hold the generation. */
enum {
    ROOT = GUEST_GLOBALS + 0x10000,
    LEVEL1 = ROOT + 0x1000,
    LEVEL0 = ROOT + 0x2000,
    FRAMES = ROOT + 0x10000,
    N_FRAMES = 8
};
#define PAGE_VA   UINT64_C(0x40000000)
#define PTE_LEAF  UINT64_C(0xcf) /* D A X W R V */
#define TEST_ASID UINT64_C(5)

enum fence { NOTHING, EVERYTHING, ONE_PAGE, ONE_PAGE_OF_ASID, ONE_ASID, CODE };

struct flavour {
    const char *name;
    unsigned n_harts;
    enum fence fence;
    bool code;    /* an instruction is changed, not a translation                   */
    bool asleep;  /* the others wait in WFI                                         */
    bool single;  /* on one thread                                                  */
    bool planted; /* the fence is missing: old things must be met                   */
};

static const struct flavour flavours[] = {
    {"sfence.vma", 2, EVERYTHING, false, false, false, false},
    {"sfence.vma, 3 harts", 3, EVERYTHING, false, false, false, false},
    {"sfence.vma page", 2, ONE_PAGE, false, false, false, false},
    {"sfence.vma page, asid", 2, ONE_PAGE_OF_ASID, false, false, false, false},
    {"sfence.vma asid", 2, ONE_ASID, false, false, false, false},
    {"sfence.vma asleep", 2, EVERYTHING, false, true, false, false},
    {"sfence.vma asleep, 4 harts", 4, ONE_PAGE, false, true, false, false},
    {"sfence.vma in turn", 3, EVERYTHING, false, false, true, false},
    {"no sfence.vma", 2, NOTHING, false, false, false, true},
    {"fence.i", 2, CODE, true, false, false, false},
    {"fence.i, 3 harts", 3, CODE, true, false, false, false},
    {"fence.i asleep", 2, CODE, true, true, false, false},
    {"fence.i in turn", 3, CODE, true, false, true, false},
    {"no fence.i", 2, NOTHING, true, false, false, true},
};

static uint32_t enc_lui(unsigned rd, uint32_t value)
{
    return enc_u(0x37, rd, value);
}

/* --- Who is told ---------------------------------------------------------------------- */

/** Registers of the listeners: s8 = what they look at, t3 = ASID; the handler's own are
 *  t4 to t6. */
static void put_fence(struct guest *g, enum fence fence)
{
    static const uint32_t sfence[][2] = {[EVERYTHING] = {X0, X0},
                                         [ONE_PAGE] = {S8, X0},
                                         [ONE_PAGE_OF_ASID] = {S8, T3},
                                         [ONE_ASID] = {X0, T3}};
    if (fence == CODE)
        put(g, ENC_FENCE_I);
    else if (fence != NOTHING)
        put(g, ENC_SFENCE | sfence[fence][0] << 15 | sfence[fence][1] << 20);
}

/** An interrupt: fence and acknowledge.  An ecall ends the hart: the branch returned. */
static uint32_t put_handler(struct guest *g, unsigned hart, enum fence fence)
{
    put(g, enc_csrrs(T4, CSR_MCAUSE, X0));
    const uint32_t exception = put_later(g, F3_BGE, T4, X0);
    put_li(g, T5, GUEST_MSIP);
    put(g, enc_sw(X0, T5, 4 * (int)hart));
    put(g, ENC_FENCE_ALL);
    put(g, enc_ld(T4, S3, REQUEST));
    put(g, enc_fence(FENCE_R, FENCE_RW));
    put_fence(g, fence);
    put(g, enc_fence(FENCE_RW, FENCE_W));
    put(g, enc_sd(T4, S3, ACK + 64 * (int)hart));
    put(g, ENC_FENCE_ALL);
    put(g, enc_addi(T4, X0, 1));
    put(g, enc_sw(T4, T5, 0)); /* hart 0 may sleep */
    put(g, ENC_MRET);
    put_land(g, exception);
    put(g, enc_addi(T5, X0, 9)); /* ecall from S-mode */
    const uint32_t end = put_later(g, F3_BEQ, T4, T5);
    put(g, enc_addi(T4, T4, 1));
    put(g, enc_sd(T4, S3, TRAPS));
    put_back(g, F3_BEQ, X0, X0, end);
    return end;
}

/** What is seen must be as new as what all had acknowledged before it was looked at. */
static void put_look(struct guest *g, const struct flavour *flavour)
{
    const uint32_t loop = g->at;

    if (flavour->asleep)
        put(g, ENC_WFI);
    put(g, enc_ld(A2, S3, GENERATION));
    put(g, enc_fence(FENCE_R, FENCE_R));
    if (flavour->code) {
        put(g, enc_i(0x67, RA, 0, S8, 0)); /* jalr: a3 = generation << 12 */
        put(g, enc_i(0x13, A3, 5, A3, 12));
    } else {
        put(g, enc_ld(A3, S8, 0));
    }
    const uint32_t fine = put_later(g, F3_BGEU, A3, A2);
    put_arrive(g, ERRORS);
    put_land(g, fine);
    put(g, enc_addi(S1, S1, 1));
    put(g, enc_ld(T0, S3, G_STOP));
    put_back(g, F3_BEQ, T0, X0, loop);
    put(g, ENC_ECALL);
}

static void put_listener(struct guest *g, const struct flavour *flavour, unsigned hart,
                         uint32_t function)
{
    const uint32_t others = put_only(g, hart);
    const uint32_t over = put_later(g, F3_BEQ, X0, X0);
    const uint32_t handler = g->at;
    const uint32_t end = put_handler(g, hart, flavour->fence);
    const uint32_t look = g->at;

    put_look(g, flavour);
    put_land(g, over);
    put_begin(g, MS);
    put(g, enc_addi(S1, X0, 0));
    put_li(g, S8, flavour->code ? GUEST_RAM + function : PAGE_VA);
    put_li(g, T3, TEST_ASID);
    put_barrier(g, hart, flavour->n_harts);
    put_li(g, T0, GUEST_RAM + handler);
    put(g, enc_csrrw(X0, CSR_MTVEC, T0));
    put_li(g, T0, sm_mask(54));
    put(g, enc_csrrw(X0, CSR_PMPADDR0, T0));
    put_li(g, T0, 0x1f);
    put(g, enc_csrrw(X0, CSR_PMPCFG0, T0));
    put_li(g, T0, UINT64_C(8) << 60 | TEST_ASID << 44 | (GUEST_RAM + ROOT) >> 12);
    put(g, enc_csrrw(X0, CSR_SATP, T0));
    put(g, ENC_SFENCE);
    put_li(g, T1, GUEST_MSIP); /* the barrier may have taken away a first request's */
    put(g, enc_addi(T0, X0, 1));
    put(g, enc_sw(T0, T1, 4 * (int)hart));
    put_li(g, T0, 1 << 11);
    put(g, enc_csrrw(X0, CSR_MSTATUS, T0));
    put_li(g, T0, GUEST_RAM + look);
    put(g, enc_csrrw(X0, CSR_MEPC, T0));
    put(g, ENC_MRET);
    put_land(g, end);
    put_end(g, hart, flavour->n_harts, S1);
    put_land(g, others);
}

/* --- Who tells ------------------------------------------------------------------------ */

/** Change what the listeners look at to generation s1.  s8 = entry or instruction. */
static void put_change(struct guest *g, const struct flavour *flavour)
{
    if (flavour->code) {
        put(g, enc_slli(T0, S1, 12));
        put(g, enc_addi(T0, T0, (int)enc_lui(A3, 0))); /* opcode and rd: 11 bits */
        put(g, enc_sw(T0, S8, 0));
        return;
    }
    put(g, enc_andi(T0, S1, N_FRAMES - 1));
    put(g, enc_slli(T0, T0, 12));
    put_li(g, T1, GUEST_RAM + FRAMES);
    put(g, enc_add(T0, T0, T1));
    put(g, enc_sd(S1, T0, 0));
    put(g, enc_fence(FENCE_W, FENCE_W));
    put(g, enc_i(0x13, T0, 5, T0, 2)); /* address >> 12 << 10 */
    put(g, enc_addi(T0, T0, (int)PTE_LEAF));
    put(g, enc_sd(T0, S8, 0));
}

/** Wait until all have acknowledged s1. */
static void put_wait(struct guest *g, unsigned n_harts)
{
    uint32_t missing[2 * GUEST_MAX_HARTS], done[2], look;

    /* Shortly with open eyes; then asleep, as the others ring hart 0 too. */
    put_li(g, T2, 500);
    look = g->at;
    for (unsigned hart = 1; hart < n_harts; hart++) {
        put(g, enc_ld(T0, S3, ACK + 64 * (int)hart));
        missing[hart] = put_later(g, F3_BNE, T0, S1);
    }
    done[0] = put_later(g, F3_BEQ, X0, X0);
    for (unsigned hart = 1; hart < n_harts; hart++)
        put_land(g, missing[hart]);
    put(g, enc_addi(T2, T2, -1));
    put_back(g, F3_BNE, T2, X0, look);

    put_li(g, T1, GUEST_MSIP);
    look = g->at;
    put(g, enc_sw(X0, T1, 0));
    put(g, ENC_FENCE_ALL);
    for (unsigned hart = 1; hart < n_harts; hart++) {
        put(g, enc_ld(T0, S3, ACK + 64 * (int)hart));
        missing[hart] = put_later(g, F3_BNE, T0, S1);
    }
    done[1] = put_later(g, F3_BEQ, X0, X0);
    for (unsigned hart = 1; hart < n_harts; hart++)
        put_land(g, missing[hart]);
    put(g, ENC_WFI);
    put_back(g, F3_BEQ, X0, X0, look);
    put_land(g, done[0]);
    put_land(g, done[1]);
}

static void put_changer(struct guest *g, const struct flavour *flavour, uint32_t function)
{
    const uint32_t others = put_only(g, 0);
    uint32_t loop;

    put_begin(g, MS);
    put(g, enc_addi(S1, X0, 0));
    put_li(g, S8, GUEST_RAM + (flavour->code ? function : (uint64_t)LEVEL0));
    put_barrier(g, 0, flavour->n_harts);
    loop = g->at;
    put(g, enc_addi(S1, S1, 1));
    put_change(g, flavour);
    put(g, enc_fence(FENCE_RW, FENCE_RW));
    put(g, enc_sd(S1, S3, REQUEST));
    put(g, ENC_FENCE_ALL);
    put_ring(g, 0, flavour->n_harts);
    put_wait(g, flavour->n_harts);
    put(g, enc_fence(FENCE_RW, FENCE_W));
    put(g, enc_sd(S1, S3, GENERATION));
    put(g, enc_csrrs(T0, CSR_TIME, X0));
    put_back(g, F3_BLTU, T0, S7, loop);
    put(g, enc_addi(T0, X0, 1));
    put(g, enc_sd(T0, S3, G_STOP));
    put(g, ENC_FENCE_ALL);
    put_ring(g, 0, flavour->n_harts); /* those asleep look up */
    put_end(g, 0, flavour->n_harts, S1);
    put_land(g, others);
}

/* --- Running -------------------------------------------------------------------------- */

static void set_u64(struct guest *g, uint64_t offset, uint64_t value)
{
    memcpy(g->ram + offset, &value, 8);
}

static uint64_t pte(uint64_t offset, uint64_t flags)
{
    return (GUEST_RAM + offset) >> 12 << 10 | flags;
}

/** RAM where it is, and one page at PAGE_VA. */
static void make_tables(struct guest *g)
{
    set_u64(g, ROOT + 8 * (GUEST_RAM >> 30), pte(0, PTE_LEAF));
    set_u64(g, ROOT + 8 * (PAGE_VA >> 30), pte(LEVEL1, 1));
    set_u64(g, LEVEL1, pte(LEVEL0, 1));
    set_u64(g, LEVEL0, pte(FRAMES, PTE_LEAF));
}

static uint64_t global(const struct guest *g, int offset)
{
    return guest_u64(g, GUEST_GLOBALS + (uint64_t)offset);
}

static void run_flavour(const struct flavour *flavour)
{
    for (unsigned round = 0; round < guest_rounds(); round++) {
        struct guest g;
        uint64_t looks = 0, changes;

        guest_new(&g, flavour->n_harts, flavour->single);
        make_tables(&g);
        /* In the page of the listeners' loop, on which they run all the time. */
        const uint32_t over = put_later(&g, F3_BEQ, X0, X0), function = g.at;
        put(&g, enc_lui(A3, 0));
        put(&g, enc_i(0x67, X0, 0, RA, 0));
        put_land(&g, over);
        put_changer(&g, flavour, function);
        for (unsigned hart = 1; hart < flavour->n_harts; hart++)
            put_listener(&g, flavour, hart, function);
        guest_run(&g);
        changes = guest_count(&g, 0);
        for (unsigned hart = 1; hart < flavour->n_harts; hart++) {
            looks += guest_count(&g, hart);
            assert_int_equal(global(&g, ACK + 64 * (int)hart), changes);
        }
        printf("%-28s %7llu changes, %5.1f us each, %8llu looks, %llu met what was old\n",
               flavour->name, (unsigned long long)changes, 1e3 * MS / (double)changes,
               (unsigned long long)looks, (unsigned long long)global(&g, ERRORS));
        assert_int_equal(global(&g, TRAPS), 0);
        assert_true(changes > 0 && looks > 0);
        if (flavour->planted)
            assert_true(global(&g, ERRORS) > 0 || changes < 16);
        else
            assert_int_equal(global(&g, ERRORS), 0);
        guest_free(&g);
    }
}

static void all_flavours(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SM_ARRAY_LEN(flavours); i++)
        run_flavour(&flavours[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_flavours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
