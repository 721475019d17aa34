/* SPDX-License-Identifier: MIT */
/* patch_test.c - one hart writes functions that the others execute.
 *
 * There are two places for the function, over the end of a page each.  Hart 0 writes the
 * next one where the others are not, in halfwords and in one of two layouts by turns, so
 * that what was an instruction's begin becomes another's middle; then it says so.  The
 * others go on calling the old one until they look, do a FENCE.I, acknowledge, and call
 * the new one: it has to return its own number, at every call.
 */
#include "litmus/guest.h"

enum { MS = 150 };

enum { /* globals of the test                                                      */
       REQUEST = G_OWN,     /* number of the function that is ready              */
       ERRORS = G_OWN + 64, /* calls that returned another number                */
       TRAPS = G_OWN + 128, /* of any kind: there should be none                 */
       ACK = G_OWN + 192    /* a line per hart                                   */
};

/* Offsets in RAM: the two places; the lengths of what lies there are 8 and 12. */
enum { PLACE_0 = 0x41000 - 6, PLACE_1 = 0x43000 - 4, PLACE_STEP = PLACE_1 - PLACE_0 };
enum { C_NOP = 0x0001, LUI_A3 = 0x37 | A3 << 7, RET_LOW = 0x8067 };

struct flavour {
    const char *name;
    unsigned n_harts;
    bool single;  /* on one thread                                                  */
    bool planted; /* the fence is missing                                           */
};

static const struct flavour flavours[] = {
    {"patched", 2, false, false},
    {"patched, 3 harts", 3, false, false},
    {"patched in turn", 3, true, false},
    {"patched without fence.i", 2, false, true},
};

static uint32_t enc_sh(unsigned rs2, unsigned rs1, int imm)
{
    return enc_s(0x23, 1, rs1, rs2, imm);
}

static uint32_t enc_srli(unsigned rd, unsigned rs1, int n)
{
    return enc_i(0x13, rd, 5, rs1, n);
}

/** t3 = where function @number (a register) lies. */
static void put_place(struct guest *g, unsigned number)
{
    put(g, enc_andi(T4, number, 1));
    put_li(g, T3, PLACE_STEP);
    put(g, enc_mul(T4, T4, T3));
    put_li(g, T3, GUEST_RAM + PLACE_0);
    put(g, enc_add(T3, T3, T4));
}

/** Write halfwords of t0, the LUI, at @at of t3. */
static void put_lui(struct guest *g, int at)
{
    put(g, enc_sh(T0, T3, at));
    put(g, enc_srli(T4, T0, 16));
    put(g, enc_sh(T4, T3, at + 2));
}

static void put_ret(struct guest *g, int at)
{
    put_li(g, T4, RET_LOW);
    put(g, enc_sh(T4, T3, at));
    put(g, enc_sh(X0, T3, at + 2));
}

/** Write function s1: LUI, RET; or a short instruction before each. */
static void put_function(struct guest *g)
{
    put_place(g, S1);
    put(g, enc_slli(T0, S1, 12));
    put_li(g, T1, LUI_A3);
    put(g, enc_add(T0, T0, T1));
    put(g, enc_andi(T1, S1, 2));
    const uint32_t shorter = put_later(g, F3_BEQ, T1, X0);
    put(g, enc_addi(T1, X0, C_NOP));
    put(g, enc_sh(T1, T3, 0));
    put_lui(g, 2);
    put(g, enc_sh(T1, T3, 6));
    put_ret(g, 8);
    const uint32_t written = put_later(g, F3_BEQ, X0, X0);
    put_land(g, shorter);
    put_lui(g, 0);
    put_ret(g, 4);
    put_land(g, written);
}

static void put_writer(struct guest *g, const struct flavour *flavour)
{
    const uint32_t others = put_only(g, 0);

    put_begin(g, MS);
    put(g, enc_addi(S1, X0, 0));
    put_barrier(g, 0, flavour->n_harts);
    const uint32_t loop = g->at;
    put(g, enc_addi(S1, S1, 1));
    put_function(g);
    put(g, enc_fence(FENCE_RW, FENCE_W));
    put(g, enc_sd(S1, S3, REQUEST));
    for (unsigned hart = 1; hart < flavour->n_harts; hart++) {
        const uint32_t wait = g->at;
        put(g, enc_ld(T0, S3, ACK + 64 * (int)hart));
        put_back(g, F3_BNE, T0, S1, wait);
    }
    put(g, enc_fence(FENCE_R, FENCE_RW));
    put(g, enc_csrrs(T0, CSR_TIME, X0));
    const uint32_t over = put_later(g, F3_BGEU, T0, S7);
    put(g, enc_j(X0, (int)loop - (int)g->at));
    put_land(g, over);
    put(g, enc_addi(T0, X0, 1));
    put(g, enc_sd(T0, S3, G_STOP));
    put_end(g, 0, flavour->n_harts, S1);
    put_land(g, others);
}

/** s5: the function that is called; s1: calls. */
static void put_caller(struct guest *g, const struct flavour *flavour, unsigned hart)
{
    const uint32_t others = put_only(g, hart);

    put_begin(g, MS);
    put(g, enc_addi(S1, X0, 0));
    put(g, enc_addi(S5, X0, 0));
    put_barrier(g, hart, flavour->n_harts);
    const uint32_t loop = g->at;
    put(g, enc_ld(A2, S3, REQUEST));
    const uint32_t same = put_later(g, F3_BEQ, A2, S5);
    put(g, enc_fence(FENCE_R, FENCE_RW));
    if (!flavour->planted)
        put(g, ENC_FENCE_I);
    put(g, enc_addi(S5, A2, 0));
    put(g, enc_sd(S5, S3, ACK + 64 * (int)hart));
    put_land(g, same);
    const uint32_t none = put_later(g, F3_BEQ, S5, X0);
    put_place(g, S5);
    put(g, enc_i(0x67, RA, 0, T3, 0));
    put(g, enc_slli(T0, S5, 44)); /* a LUI's 20 bits, sign-extended */
    put(g, enc_i(0x13, T0, 5, T0, 0x400 | 32));
    const uint32_t fine = put_later(g, F3_BEQ, A3, T0);
    put_arrive(g, ERRORS);
    put_land(g, fine);
    put(g, enc_addi(S1, S1, 1));
    put_land(g, none);
    put(g, enc_ld(T0, S3, G_STOP));
    const uint32_t stop = put_later(g, F3_BNE, T0, X0);
    put(g, enc_j(X0, (int)loop - (int)g->at));
    put_land(g, stop);
    put_end(g, hart, flavour->n_harts, S1);
    put_land(g, others);
}

/** Where all traps go: count, and end the machine. */
static void put_trap(struct guest *g)
{
    const uint32_t over = put_later(g, F3_BEQ, X0, X0), handler = g->at;

    put_li(g, S3, GUEST_RAM + GUEST_GLOBALS);
    put_arrive(g, TRAPS);
    put_li(g, T1, GUEST_FINISHER);
    put_li(g, T0, 0x5555);
    put(g, enc_sw(T0, T1, 0));
    put(g, ENC_SELF);
    put_land(g, over);
    put_li(g, T0, GUEST_RAM + handler);
    put(g, enc_csrrw(X0, CSR_MTVEC, T0));
}

static void run_flavour(const struct flavour *flavour)
{
    for (unsigned round = 0; round < guest_rounds(); round++) {
        struct guest g;
        uint64_t calls = 0;

        guest_new(&g, flavour->n_harts, flavour->single);
        put_trap(&g);
        put_writer(&g, flavour);
        for (unsigned hart = 1; hart < flavour->n_harts; hart++)
            put_caller(&g, flavour, hart);
        assert_true(g.at < PLACE_0);
        guest_run(&g);
        const uint64_t functions = guest_count(&g, 0);
        for (unsigned hart = 1; hart < flavour->n_harts; hart++)
            calls += guest_count(&g, hart);
        const uint64_t errors = guest_u64(&g, GUEST_GLOBALS + ERRORS);
        printf("%-28s %7llu functions, %8llu calls, %llu of another one\n", flavour->name,
               (unsigned long long)functions, (unsigned long long)calls,
               (unsigned long long)errors);
        if (flavour->planted) {
            assert_true(errors > 0 || guest_u64(&g, GUEST_GLOBALS + TRAPS) > 0 ||
                        functions < 8);
        } else {
            assert_int_equal(guest_u64(&g, GUEST_GLOBALS + TRAPS), 0);
            assert_int_equal(errors, 0);
            assert_true(functions > 0 && calls > 0);
        }
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
