/* SPDX-License-Identifier: MIT */
/* opt_test.c - what becomes of small units: a case per rule. */
#include "unit.h"

static struct jit_ir ir;

static const char head[] = "way 0: near 0x200, retired\n"
                           "way 1: far 0x1200, retired\n"
                           "way 2: aside 0x100\n"
                           "call 0\n"
                           "place 0: 0x100..0x104\n";

/** Check that @passes make @after of @before; both without what all units begin with and,
 *  unless they end otherwise, end with. */
static void check(unsigned passes, const char *before, const char *after)
{
    const char *const end = "  exit.plain way 0\n";
    const bool ends = strstr(before, "  exit.") || strstr(before, "  jump") ||
                      strstr(before, "  loop\n");
    char text[4000], wanted[4000];

    snprintf(text, sizeof(text), "%s%s%s", head, before, ends ? "" : end);
    snprintf(wanted, sizeof(wanted), "%s%s%s", head, after, ends ? "" : end);
    unit_read(&ir, text);
    unit_verify(&ir);
    if (passes & JIT_OPT_FOLD)
        jit_opt_fold(&ir);
    if (passes & JIT_OPT_DEAD)
        jit_opt_dead(&ir);
    unit_verify(&ir);
    char *got = unit_text(&ir);
    assert_string_equal(got, wanted);
    free(got);
}

static void fold(const char *before, const char *after)
{
    check(JIT_OPT_FOLD, before, after);
}

/** Of one operation on x1 and x2. */
static void one(const char *before, const char *after)
{
    char x[200], y[200] = "";
    snprintf(x, sizeof(x), "  %s\n", before);
    if (*after)
        snprintf(y, sizeof(y), "  %s\n", after);
    fold(x, y);
}

static void constants(void **state)
{
    one("add x0, #2, #3", "mov x0, #5");
    one("mulhs x0, #-2, #3", "mov x0, #-1");
    one("divs x0, #0x8000000000000000, #-1", "mov x0, #0x8000000000000000");
    one("rems x0, #7, #0", "mov x0, #7");
    one("sxt.8 x0, #0x80", "mov x0, #-128");
    one("bswap x0, #1", "mov x0, #0x100000000000000");
    one("set.ltu x0, #1, #-1", "mov x0, #1");
    one("sel x0, #0, x1, x2", "mov x0, x2");
    one("clz x0, #0", "mov x0, #64");
    fold("  mov x1, #0x12345000\n  add x1, x1, #0x678\n  shl x2, x1, #4\n",
         "  mov x1, #0x12345000\n  mov x1, #0x12345678\n  mov x2, #0x123456780\n");
    /* The second writes what is there. */
    fold("  mov x1, #5\n  add %0, #2, #3\n  mov x1, %0\n",
         "  mov x1, #5\n  mov %0, #5\n");
}

static void identities(void **state)
{
    one("add x0, x1, #0", "mov x0, x1");
    one("add x1, #0, x1", "");
    one("sub x0, x1, x1", "mov x0, #0");
    one("sub x0, x1, #5", "add x0, x1, #-5");
    one("and x0, x1, #-1", "mov x0, x1");
    one("and x0, x1, #0xff", "zxt.8 x0, x1");
    one("and x0, #0xffffffff, x1", "zxt.32 x0, x1");
    one("or x0, x1, x1", "mov x0, x1");
    one("or x0, x1, #-1", "mov x0, #-1");
    one("xor x0, x1, x1", "mov x0, #0");
    one("xor x0, x1, #-1", "xor x0, x1, #-1");
    one("shl x0, x1, #64", "mov x0, x1");
    one("shl x0, x1, #65", "shl x0, x1, #1");
    one("shr x0, #0, x1", "mov x0, #0");
    one("rol x0, x1, #0", "mov x0, x1");
    one("mul x0, x1, #8", "shl x0, x1, #3");
    one("mul x0, #-1, x1", "sub x0, #0, x1");
    one("mulhu x0, x1, #16", "shr x0, x1, #60");
    one("mulhs x0, x1, #0x8000000000000000", "mulhs x0, x1, #0x8000000000000000");
    one("mulhsu x0, x1, #0x8000000000000000", "sar x0, x1, #1");
    one("mulhs x0, x1, #1", "sar x0, x1, #63");
    one("divu x0, x1, #4", "shr x0, x1, #2");
    one("divs x0, x1, #4", "divs x0, x1, #4");
    one("remu x0, x1, #0x1000", "and x0, x1, #4095");
    one("rems x0, x1, #-1", "mov x0, #0");
    one("divu x0, x1, #0", "mov x0, #-1");
    one("minu x0, x1, #-1", "mov x0, x1");
    one("maxs x0, x1, x1", "mov x0, x1");
    one("sel x0, x1, x2, x2", "mov x0, x2");
    one("sel x0, x1, #1, #0", "set.ne x0, x1, #0");
    one("set.ltu x0, x1, #1", "set.eq x0, x1, #0");
    one("set.ltu x0, #0, x1", "set.ne x0, x1, #0");
    one("set.lt x0, x1, #0", "shr x0, x1, #63");
    one("set.geu x0, x1, #0", "mov x0, #1");
    one("set.gt x0, #5, x1", "set.lt x0, x1, #5");
    fold("  shr %0, x1, #62\n  set.ne x2, %0, #0\n  popcnt x3, %0\n",
         "  shr %0, x1, #62\n  set.ne x2, %0, #0\n  popcnt x3, %0\n");
    fold("  shr %0, x1, #63\n  set.ne x2, %0, #0\n  popcnt x3, %0\n",
         "  shr %0, x1, #63\n  mov x2, %0\n  mov x3, x2\n");
    fold("  set.lt %0, x1, x2\n  xor x3, %0, #2\n  xor x4, %0, #1\n",
         "  set.lt %0, x1, x2\n  xor x3, %0, #2\n  set.ge x4, x1, x2\n");
    fold("  set.eq %0, x1, #0\n  sel x2, %0, x3, x4\n  set.gt %1, x1, #0\n"
         "  sel x5, %1, x3, x4\n  set.eq %2, x1, #3\n  sel x5, %2, x3, x4\n",
         "  set.eq %0, x1, #0\n  sel x2, x1, x4, x3\n  set.gt %1, x1, #0\n"
         "  sel x5, %1, x3, x4\n  set.eq %2, x1, #3\n  sel x5, %2, x3, x4\n");
    fold("  zxt.32 %0, x1\n  divs x0, %0, #4\n  rems x2, %0, #4\n",
         "  zxt.32 %0, x1\n  shr x0, %0, #2\n  and x2, x1, #3\n");
}

static void sums(void **state)
{
    fold("  add %0, x1, #8\n  add %1, %0, #8\n  sub x2, %1, #20\n",
         "  add %0, x1, #8\n  add %1, x1, #16\n  add x2, x1, #-4\n");
    /* Not on a register that was written since. */
    fold("  add x1, x1, #8\n  add x2, x1, #8\n", "  add x1, x1, #8\n  add x2, x1, #8\n");
    fold("  add %0, x1, #8\n  mov x1, #0\n  add x2, %0, #8\n",
         "  add %0, x1, #8\n  mov x1, #0\n  add x2, %0, #8\n");
    fold("  add x2, x1, #8\n  add x3, x1, #3\n  sub x4, x2, x3\n  set.eq x5, x2, x3\n",
         "  add x2, x1, #8\n  add x3, x1, #3\n  mov x4, #5\n  mov x5, #0\n");
    /* There and back: the register again. */
    fold("  add x2, x1, #-16\n  add x1, x2, #16\n", "  add x2, x1, #-16\n");
    fold("  here x1, page + 0x1000\n  add x1, x1, #-4\n  and x2, x1, #-2\n",
         "  here x1, page + 0x1000\n  here x1, page + 0xffc\n  here x2, page + 0xffc\n");
    fold("  here x1, page + 0x7ffff000\n  add x1, x1, #0x1000\n",
         "  here x1, page + 0x7ffff000\n  add x1, x1, #4096\n");
}

static void copies(void **state)
{
    fold("  mov %0, x1\n  add x2, %0, x3\n  mov x1, #1\n  add x4, %0, x3\n",
         "  mov %0, x1\n  add x2, x1, x3\n  mov x1, #1\n  add x4, %0, x3\n");
    fold("  mov %0, x1\n  mov x1, %0\n", "  mov %0, x1\n");
    /* A global is preferred, the temporary may die. */
    fold("  mul %0, x1, x2\n  mov x3, %0\n  add x4, %0, x3\n",
         "  mul %0, x1, x2\n  mov x3, %0\n  add x4, x3, x3\n");
    /* A callee may write globals, but no temporaries. */
    fold("  mov %0, x1\n  mov %1, #5\n  call 0\nplace 1: 0x104..0x108\n"
         "  add x2, %0, %1\n  mov %1, x1\n",
         "  mov %0, x1\n  mov %1, #5\n  call 0\nplace 1: 0x104..0x108\n"
         "  add x2, %0, #5\n  mov %1, x1\n");
}

static void extensions(void **state)
{
    fold("  ld.s32 x1, [x2]\n  sxt.32 x3, x1\n", "  ld.s32 x1, [x2]\n  mov x3, x1\n");
    fold("  ld.u8 x1, [x2]\n  sxt.32 x1, x1\n  zxt.8 x1, x1\n", "  ld.u8 x1, [x2]\n");
    fold("  add %0, x1, x2\n  sxt.32 x3, %0\n  zxt.32 x4, x3\n  sxt.16 x5, x4\n",
         "  add %0, x1, x2\n  sxt.32 x3, %0\n  zxt.32 x4, %0\n  sxt.16 x5, %0\n");
    fold("  set.lt %0, x1, x2\n  sxt.8 x3, %0\n  and x4, %0, #1\n",
         "  set.lt %0, x1, x2\n  mov x3, %0\n  mov x4, x3\n");
    fold("  shl %0, x1, #32\n  shr x2, %0, #32\n  sar x3, %0, #32\n",
         "  shl %0, x1, #32\n  zxt.32 x2, x1\n  sxt.32 x3, x1\n");
    fold("  shl %0, x1, #40\n  shr x2, %0, #40\n",
         "  shl %0, x1, #40\n  and x2, x1, #0xffffff\n");
    fold("  shl %0, x1, #40\n  sar x2, %0, #39\n", "  shl %0, x1, #40\n"
                                                  "  sar x2, %0, #39\n");
    fold("  shr %0, x1, #40\n  shr x2, %0, #20\n  shr x3, %0, #24\n",
         "  shr %0, x1, #40\n  shr x2, x1, #60\n  mov x3, #0\n");
    fold("  sar %0, x1, #40\n  sar x2, %0, #30\n  shl %1, x1, #33\n  shl x3, %1, #31\n",
         "  sar %0, x1, #40\n  sar x2, x1, #63\n  shl %1, x1, #33\n  mov x3, #0\n");
    fold("  shr %0, x1, #33\n  sar x2, %0, #3\n  sxt.32 x3, %0\n",
         "  shr %0, x1, #33\n  shr x2, x1, #36\n  mov x3, %0\n");
    fold("  zxt.8 %0, x1\n  and x2, %0, #0xff00\n  and x3, %0, #0x1ff\n",
         "  zxt.8 %0, x1\n  mov x2, #0\n  mov x3, %0\n");
    fold("  bits.s %0, f0\n  sxt.32 x1, %0\n", "  bits.s %0, f0\n  mov x1, %0\n");
    fold("  lds.u16 %0, [guest + 0x10]\n  zxt.16 x1, %0\n",
         "  lds.u16 %0, [guest + 0x10]\n  mov x1, %0\n");
    fold("  zxt.32 %0, x1\n  shl x2, %0, #32\n  shl x3, %0, #31\n",
         "  zxt.32 %0, x1\n  shl x2, x1, #32\n  shl x3, %0, #31\n");
    /* A sum of two that are extended is not. */
    fold("  sxt.32 %0, x1\n  sxt.32 %1, x2\n  add %2, %0, %1\n  sxt.32 x3, %2\n",
         "  sxt.32 %0, x1\n  sxt.32 %1, x2\n  add %2, %0, %1\n  sxt.32 x3, %2\n");
}

/** What code does that has no rotations. */
static void rotations(void **state)
{
    one("rolw x0, x1, #3", "rorw x0, x1, #29");
    one("rorw x0, x1, #39", "rorw x0, x1, #7");
    one("rorw x0, x1, #32", "sxt.32 x0, x1");
    one("rolw x0, x1, #0", "sxt.32 x0, x1");
    one("rorw x0, #0x180000001, #1", "mov x0, #0xffffffffc0000000");
    one("rolw x0, #0x80000001, #1", "mov x0, #3");
    fold("  zxt.32 %0, x1\n  rorw %1, %0, #7\n  sxt.32 x2, %1\n",
         "  zxt.32 %0, x1\n  rorw %1, x1, #7\n  mov x2, %1\n");
    fold("  zxt.32 %0, x1\n  shr x2, %0, #7\n  shl %1, x1, #25\n  sxt.32 x3, %1\n"
         "  or x4, x2, x3\n  add x5, x3, x2\n",
         "  zxt.32 %0, x1\n  shr x2, %0, #7\n  shl %1, x1, #25\n  sxt.32 x3, %1\n"
         "  rorw x4, x1, #7\n  rorw x5, x1, #7\n");
    /* Where the register is gone, what was made of it has the word, too. */
    fold("  zxt.32 %0, x1\n  shr x2, %0, #7\n  shl %1, x1, #25\n  sxt.32 x1, %1\n"
         "  xor x1, x1, x2\n",
         "  zxt.32 %0, x1\n  shr x2, %0, #7\n  shl %1, x1, #25\n  sxt.32 x1, %1\n"
         "  rorw x1, %0, #7\n");
    /* A word that is known to be one. */
    fold("  ld.u32 x1, [x2]\n  shr x3, x1, #31\n  shl %0, x1, #1\n  sxt.32 x4, %0\n"
         "  or x3, x3, x4\n",
         "  ld.u32 x1, [x2]\n  shr x3, x1, #31\n  shl %0, x1, #1\n  sxt.32 x4, %0\n"
         "  rorw x3, x1, #31\n");
    fold("  shr x2, x1, #40\n  shl x3, x1, #24\n  or x4, x3, x2\n",
         "  shr x2, x1, #40\n  shl x3, x1, #24\n  ror x4, x1, #40\n");
    /* Too far, of another, of more than a word, not extended. */
    fold("  shr x2, x1, #40\n  shl x3, x1, #25\n  or x4, x3, x2\n",
         "  shr x2, x1, #40\n  shl x3, x1, #25\n  or x4, x3, x2\n");
    fold("  shr x2, x1, #40\n  shl x3, x5, #24\n  or x4, x3, x2\n",
         "  shr x2, x1, #40\n  shl x3, x5, #24\n  or x4, x3, x2\n");
    fold("  shr x2, x1, #7\n  shl %0, x1, #25\n  sxt.32 x3, %0\n  or x4, x2, x3\n",
         "  shr x2, x1, #7\n  shl %0, x1, #25\n  sxt.32 x3, %0\n  or x4, x2, x3\n");
    fold("  zxt.32 %0, x1\n  shr x2, %0, #7\n  shl x3, x1, #25\n  or x4, x2, x3\n",
         "  zxt.32 %0, x1\n  shr x2, %0, #7\n  shl x3, x1, #25\n  or x4, x2, x3\n");
}

static void memory(void **state)
{
    fold("  add %0, x1, #16\n  ld.u64 x2, [%0 + 8]\n",
         "  add %0, x1, #16\n  ld.u64 x2, [x1 + 24]\n");
    fold("  add %0, x1, #16\n  st.u64 [%0 - 16], x2\n",
         "  add %0, x1, #16\n  st.u64 [x1], x2\n");
    fold("  add %0, x1, #0x7fffffff\n  ld.u64 x2, [%0 + 1]\n",
         "  add %0, x1, #0x7fffffff\n  ld.u64 x2, [%0 + 1]\n");
    fold("  add x1, x1, #16\nplace 1: 0x104..0x108\n  ld.u64 x2, [x1 + 8]\n",
         "  add x1, x1, #16\nplace 1: 0x104..0x108\n  ld.u64 x2, [x1 + 8]\n");
    fold("  sxt.32 %0, x1\n  st.u32 [x2], %0\n  st.u64 [x2], %0\n",
         "  sxt.32 %0, x1\n  st.u32 [x2], x1\n  st.u64 [x2], %0\n");
    fold("  and %0, x1, #0x3ff\n  sts.u8 [guest + 0x20], %0\n",
         "  and %0, x1, #1023\n  sts.u8 [guest + 0x20], x1\n");
}

static void exits(void **state)
{
    fold("  exit_if.ne #1, #1, way 0\n  exit_if.ltu x1, #0, way 0\n", "");
    fold("  exit_if.eq #1, #1, way 1\nplace 1: 0x104..0x108\n  mov x1, #0\n"
         "  exit.plain way 0\n",
         "  exit.plain way 1\n");
    fold("  loop_if.geu x1, x1\nplace 1: 0x104..0x108\n  exit.plain way 0\n", "  loop\n");
    fold("  exit_if.gt #7, x1, way 0\n", "  exit_if.lt x1, #7, way 0\n");
    fold("  set.ltu %0, x1, x2\n  exit_if.ne %0, #0, way 0\n",
         "  set.ltu %0, x1, x2\n  exit_if.ltu x1, x2, way 0\n");
    fold("  set.ltu %0, x1, x2\n  exit_if.eq %0, #0, way 0\n",
         "  set.ltu %0, x1, x2\n  exit_if.geu x1, x2, way 0\n");
    fold("  set.lt %0, x1, #0\n  exit_if.ne %0, #0, way 0\n",
         "  shr %0, x1, #63\n  exit_if.lt x1, #0, way 0\n");
    fold("  add %0, x1, #-5\n  exit_if.eq %0, #0, way 0\n",
         "  add %0, x1, #-5\n  exit_if.eq x1, #5, way 0\n");
    fold("  xor %0, x1, x2\n  exit_if.ne %0, #0, way 0\n",
         "  xor %0, x1, x2\n  exit_if.ne x1, x2, way 0\n");
    fold("  zxt.8 %0, x1\n  exit_if.gt %0, #255, way 0\n  exit_if.ge %0, #0, way 1\n"
         "  exit.plain way 0\n",
         "  zxt.8 %0, x1\n  exit.plain way 1\n");
    /* Behind a way out, its condition is known not to hold. */
    fold("  exit_if.ne x1, #5, way 0\nplace 1: 0x104..0x108\n  add x2, x1, #1\n",
         "  exit_if.ne x1, #5, way 0\nplace 1: 0x104..0x108\n  mov x2, #6\n");
}

/** To the page, or from it: a way out. */
static void jumps(void **state)
{
    unit_read(&ir, "place 0: 0x100..0x108\n  here x1, page + 0x10\n"
                   "  add x1, x1, #0x1001\n  and x1, x1, #-2\n  jump.plain x1\n");
    jit_opt_fold(&ir);
    unit_verify(&ir);
    char *got = unit_text(&ir);
    assert_string_equal(got, "way 0: far 0x1010, retired\nplace 0: 0x100..0x108\n"
                             "  here x1, page + 0x10\n  here x1, page + 0x1011\n"
                             "  here x1, page + 0x1010\n  exit.plain way 0\n");
    free(got);
    fold("  here x1, page + 0x10\n  jump.return x1\n",
         "  here x1, page + 0x10\n  jump.return x1\n");
    unit_read(&ir, "place 0: 0x100..0x108\n  here x1, page\n  jump.call x1\n");
    jit_opt_fold(&ir);
    unit_verify(&ir);
    got = unit_text(&ir);
    assert_string_equal(got, "way 0: near 0x0, retired\nplace 0: 0x100..0x108\n"
                             "  here x1, page\n  exit.call way 0\n");
    free(got);
}

static void floats(void **state)
{
    fold("  fraw.s %0, x1\n  funbox f0, %0\n  funbox f1, f2\n  funbox f3, f1\n",
         "  fraw.s %0, x1\n  fmov f0, %0\n  funbox f1, f2\n  fmov f3, f1\n");
    fold("  fld.s f1, [x1]\n  funbox f2, f1\n  funbox f0, f3\n  funbox f1, f3\n",
         "  fld.s f1, [x1]\n  fmov f2, f1\n  funbox f0, f3\n  fmov f1, f0\n");
    fold("  funbox f0, f1\n  fneg.s f0, f0\n  funbox f2, f1\n",
         "  funbox f0, f1\n  fneg.s f0, f0\n  funbox f2, f1\n");
    fold("  fsgnj.d f0, f1, f1\n  fsgnjx.d f0, f1, f1\n",
         "  fmov f0, f1\n  fsgnjx.d f0, f1, f1\n");
    fold("  fneg.d %0, f1\n  fneg.d f2, %0\n", "  fneg.d %0, f1\n  fmov f2, f1\n");
    fold("  fraw.d %0, x1\n  bits.d x2, %0\n  bits.s x3, %0\n",
         "  fraw.d %0, x1\n  mov x2, x1\n  sxt.32 x3, x1\n");
    fold("  bits.d %0, f1\n  fraw.d f2, %0\n  bits.s %1, f1\n  fraw.s f3, %1\n",
         "  bits.d %0, f1\n  fmov f2, f1\n  bits.s %1, f1\n  fraw.s f3, %1\n");
    fold("  fmov f0, f0\n", "");
    fold("  fenter\n  fcvts f0, f1\n  funbox f2, f0\n  fcvtd f3, f2\n",
         "  fenter\n  fcvts f0, f1\n  fmov f2, f0\n  fcvtd f3, f0\n");
}

static void dead(void **state)
{
    const unsigned dead = JIT_OPT_DEAD;

    check(dead, "  add %0, x1, #1\n  mov x2, %0\n  mov %1, x3\n",
          "  add %0, x1, #1\n  mov x2, %0\n");
    /* Chains of them, too. */
    check(dead, "  add %0, x1, #1\n  add %1, %0, #1\n", "");
    check(dead, "  mov x1, #1\nplace 1: 0x104..0x108\n  mov x1, #2\n",
          "place 1: 0x104..0x108\n  mov x1, #2\n");
    check(dead, "  mov x1, #1\nplace 1: 0x104..0x108\n  add x1, x1, #2\n",
          "  mov x1, #1\nplace 1: 0x104..0x108\n  add x1, x1, #2\n");
    /* What may fault, leave or call sees the first. */
    check(dead, "  mov x1, #1\nplace 1: 0x104..0x108\n  ld.u8 x1, [x2]\n",
          "  mov x1, #1\nplace 1: 0x104..0x108\n  ld.u8 x1, [x2]\n");
    check(dead,
          "  mov x1, #1\nplace 1: 0x104..0x108\n  exit_if.eq x2, #0, way 0\n"
          "place 2: 0x108..0x10c\n  mov x1, #2\n",
          "  mov x1, #1\nplace 1: 0x104..0x108\n  exit_if.eq x2, #0, way 0\n"
          "place 2: 0x108..0x10c\n  mov x1, #2\n");
    check(dead,
          "  mov x1, #1\nplace 1: 0x104..0x108\n  call 0\n"
          "place 2: 0x108..0x10c\n  mov x1, #2\n",
          "  mov x1, #1\nplace 1: 0x104..0x108\n  call 0\n"
          "place 2: 0x108..0x10c\n  mov x1, #2\n");
    check(dead, "  mov x1, #1\n  loop\n", "  mov x1, #1\n  loop\n");
    /* What has effects stays, but reading state has none that is seen. */
    check(dead, "  ld.u8 %0, [x1]\n  lds.u8 %1, [guest + 0x8]\n", "  ld.u8 %0, [x1]\n");
    check(dead, "  fenter\n  fadd.d %0, f1, f2\n", "  fenter\n  fadd.d %0, f1, f2\n");
    check(JIT_OPT_ALL, "  set.lt %0, x1, x2\n  exit_if.ne %0, #0, way 0\n",
          "  exit_if.lt x1, x2, way 0\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constants), cmocka_unit_test(identities),
        cmocka_unit_test(sums),      cmocka_unit_test(copies),
        cmocka_unit_test(extensions), cmocka_unit_test(rotations),
        cmocka_unit_test(memory),
        cmocka_unit_test(exits),     cmocka_unit_test(jumps),
        cmocka_unit_test(floats),    cmocka_unit_test(dead),
    };

    jit_ir_init(&ir, unit_globals, UNIT_GLOBALS);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    jit_ir_fini(&ir);
    return failed;
}
