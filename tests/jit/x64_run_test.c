/* SPDX-License-Identifier: MIT */
/* x64_run_test.c - instructions of the encoder do what C does; jumps lead where they say.
 *
 * For hosts that run them.
 */
#include "../base/test.h"

#include "jit/mcode.h"
#include "jit/x64_asm.h"

enum { SIZE = 1 << 18 };
#define FOR_EACH(i, n) for (unsigned i = 0; i < (n); i++)

struct test {
    struct jit_mcode code;
    struct x64 a;
    uint64_t random;
};

static int begin(void **state)
{
    struct test *t = calloc(1, sizeof(*t));

    if (jit_mcode_map(&t->code, SIZE, "x64_run_test") != 0) {
        free(t);
        return -1;
    }
    t->random = test_seed(1);
    *state = t;
    return 0;
}

static int end(void **state)
{
    struct test *t = *state;

    jit_mcode_unmap(&t->code);
    free(t);
    return 0;
}

/* --- A function is emitted and called with up to four arguments --------------------- */

static struct x64 *emit(struct test *t)
{
    x64_init(&t->a, t->code.write, SIZE);
    return &t->a;
}

static uint64_t call(struct test *t, uint64_t rdi, uint64_t rsi, uint64_t rdx,
                     uint64_t rcx)
{
    const void *run = jit_mcode_run(&t->code, t->a.start);
    uint64_t (*function)(uint64_t, uint64_t, uint64_t, uint64_t);

    assert_false(t->a.overflow);
    jit_mcode_publish(&t->code, t->a.start, (size_t)(t->a.at - t->a.start));
    memcpy(&function, &run, sizeof(function));
    return function(rdi, rsi, rdx, rcx);
}

/* Numbers near the ends of ranges are likelier than others. */
static uint64_t number(struct test *t)
{
    static const uint64_t special[] = {0,
                                       1,
                                       2,
                                       0x7f,
                                       0x80,
                                       0xff,
                                       0x7fff,
                                       0x8000,
                                       0xffff,
                                       INT32_MAX,
                                       UINT64_C(1) << 31,
                                       UINT32_MAX,
                                       UINT64_C(1) << 32,
                                       INT64_MAX,
                                       UINT64_C(1) << 63};
    const uint64_t random = test_random(&t->random);

    if (random & 1)
        return test_random(&t->random) >> (random >> 8 & 63);
    const uint64_t value =
        special[(random >> 16) % (sizeof(special) / sizeof(special[0]))];
    return random & 2 ? value : ~value;
}

/* --- Flags -------------------------------------------------------------------------- */

static const enum x64_cc flags[5] = {X64_E, X64_S, X64_O, X64_B, X64_P};

/* rax = the flags, the first of them highest; touches r10 and r11. */
static void emit_flags(struct x64 *a)
{
    x64_mov_ri(a, X64_R11, 0);
    FOR_EACH(i, 5) {
        x64_setcc(a, flags[i], X64_R10);
        x64_extend(a, 0, false, X64_R10, X64_R10);
        x64_lea(a, true, X64_R11, x64_at2(X64_R10, X64_R11, 1, 0));
    }
    x64_mov_rr(a, true, X64_RAX, X64_R11);
    x64_ret(a);
}

/* Flags of a result of and, test or xor. */
static uint64_t logic_flags(uint64_t value, bool w)
{
    value = w ? value : (uint32_t)value;
    return (uint64_t)(value == 0) << 4 | (value >> (w ? 63 : 31) & 1) << 3 |
           (uint64_t)(__builtin_popcountll(value & 0xff) % 2 == 0);
}

/* Where a narrower instruction is emitted, it does what the wide one does. */
static void narrower_forms(void **state)
{
    static const int32_t imms[] = {0,     1,         -1,        127,       128,
                                   -128,  255,       256,       -129,      65535,
                                   65536, INT32_MAX, INT32_MIN, 0x12345678};
    static const unsigned regs[] = {X64_RAX, X64_RCX, X64_RDX, X64_RSI, X64_RDI, X64_R8};
    struct test *t = *state;

    FOR_EACH(i, sizeof(imms) / sizeof(imms[0]))
        FOR_EACH(r, sizeof(regs) / sizeof(regs[0]))
            FOR_EACH(w, 2)
                FOR_EACH(op, 3) {
                    uint64_t out = 0;
                    const uint64_t x = number(t);
                    const uint64_t and = x & (uint64_t)imms[i];
                    struct x64 *a = emit(t);
                    x64_mov_rr(a, true, X64_R9, X64_RSI);
                    x64_mov_rr(a, true, regs[r], X64_RDI);
                    if (op == 0)
                        x64_test_ri(a, w, regs[r], imms[i]);
                    else if (op == 1)
                        x64_alu_ri(a, X64_AND, w, regs[r], imms[i]);
                    else
                        x64_alu_rr(a, i & 1 ? X64_XOR : X64_SUB, w, regs[r], regs[r]);
                    x64_store(a, 3, x64_at(X64_R9, 0), regs[r]);
                    emit_flags(a);
                    const uint64_t got = call(t, x, (uintptr_t)&out, 0, 0);
                    assert_int_equal(got, logic_flags(op == 2 ? 0 : and, w));
                    assert_true(out == (op == 0   ? x
                                        : op == 2 ? 0
                                        : w       ? and
                                                  : (uint32_t) and));
                }
}

/* All values are loaded whole, and flags stay. */
static void constants(void **state)
{
    struct test *t = *state;

    FOR_EACH(i, 500) {
        const uint64_t value = number(t), x = number(t), y = number(t);
        uint64_t out = 0;
        struct x64 *a = emit(t);
        x64_alu_rr(a, X64_CMP, true, X64_RDI, X64_RSI);
        emit_flags(a);
        const uint64_t want = call(t, x, y, 0, 0);
        a = emit(t);
        x64_alu_rr(a, X64_CMP, true, X64_RDI, X64_RSI);
        x64_mov_ri(a, X64_R8, value);
        x64_store(a, 3, x64_at(X64_RDX, 0), X64_R8);
        emit_flags(a);
        assert_int_equal(call(t, x, y, (uintptr_t)&out, 0), want);
        assert_true(out == value);
    }
}

/* --- Integers ----------------------------------------------------------------------- */

static uint64_t alu_in_c(enum x64_alu op, uint64_t x, uint64_t y, uint64_t carry)
{
    switch (op) {
    case X64_ADD: return x + y;
    case X64_OR: return x | y;
    case X64_ADC: return x + y + carry;
    case X64_SBB: return x - y - carry;
    case X64_AND: return x & y;
    case X64_SUB: return x - y;
    case X64_XOR: return x ^ y;
    default: return x; /* compares */
    }
}

static uint64_t cut(uint64_t value, bool w)
{
    return w ? value : (uint32_t)value;
}

static void arithmetic(void **state)
{
    struct test *t = *state;

    FOR_EACH(i, 2000) {
        const enum x64_alu op = i & 7;
        const bool w = i >> 3 & 1, carry = i >> 4 & 1;
        const uint64_t x = number(t), y = number(t);
        const int32_t imm = (int32_t)number(t);
        uint64_t memory = y;
        struct x64 *a = emit(t);
        x64_mov_rr(a, true, X64_RAX, X64_RDI);
        x64_alu_ri(a, X64_CMP, true, X64_RCX, 1); /* sets the carry if rcx is 0 */
        if (i >> 5 & 1)
            x64_alu_rr(a, op, w, X64_RAX, X64_RSI);
        else
            x64_alu_rm(a, op, w, X64_RAX, x64_at(X64_RDX, 0));
        x64_ret(a);
        const uint64_t want = alu_in_c(op, x, y, carry);
        assert_true(call(t, x, y, (uintptr_t)&memory, !carry) ==
                    (op == X64_CMP ? x : cut(want, w)));

        a = emit(t);
        x64_mov_rr(a, true, X64_RAX, X64_RDI);
        x64_alu_ri(a, X64_CMP, true, X64_RCX, 1);
        x64_alu_ri(a, op, w, X64_RAX, imm);
        x64_ret(a);
        assert_true(call(t, x, 0, 0, !carry) ==
                    (op == X64_CMP ? x : cut(alu_in_c(op, x, (uint64_t)imm, carry), w)));

        a = emit(t);
        x64_alu_ri(a, X64_CMP, true, X64_RCX, 1);
        if (op == X64_CMP || i >> 6 & 1)
            x64_alu_mr(a, op, w, x64_at(X64_RDX, 0), X64_RDI);
        else
            x64_lock_alu_mr(a, op, w, x64_at(X64_RDX, 0), X64_RDI);
        x64_ret(a);
        call(t, x, 0, (uintptr_t)&memory, !carry);
        const uint64_t high = w ? 0 : y & ~(uint64_t)UINT32_MAX;
        assert_true(memory == (high | cut(alu_in_c(op, y, x, carry), w)));
    }
}

static uint64_t shift_in_c(enum x64_shift op, uint64_t x, unsigned n, bool w)
{
    const unsigned bits = w ? 64 : 32;

    n &= bits - 1;
    x = cut(x, w);
    switch (op) {
    case X64_SHL: return cut(x << n, w);
    case X64_SHR: return x >> n;
    case X64_SAR: return w ? (uint64_t)((int64_t)x >> n) : (uint32_t)((int32_t)x >> n);
    case X64_ROL: n = (bits - n) & (bits - 1); break;
    default: break;
    }
    return n ? cut(x >> n | x << (bits - n), w) : x;
}

static void shifts(void **state)
{
    static const enum x64_shift ops[5] = {X64_SHL, X64_SHR, X64_SAR, X64_ROL, X64_ROR};
    const bool bmi2 = __builtin_cpu_supports("bmi2");
    struct test *t = *state;

    FOR_EACH(i, 2000) {
        const enum x64_shift op = ops[i % 5];
        const bool w = i / 5 & 1;
        const uint64_t x = number(t);
        const unsigned n = (unsigned)test_random(&t->random) & (w ? 63 : 31);
        const uint64_t want = shift_in_c(op, x, n, w);
        struct x64 *a = emit(t);
        x64_mov_rr(a, true, X64_RAX, X64_RDI);
        x64_shift_ri(a, op, w, X64_RAX, n);
        x64_ret(a);
        assert_true(call(t, x, 0, 0, 0) == cut(want, w));
        a = emit(t);
        x64_mov_rr(a, true, X64_R9, X64_RDI);
        x64_shift_rcl(a, op, w, X64_R9);
        x64_mov_rr(a, w, X64_RAX, X64_R9);
        x64_ret(a);
        assert_true(call(t, x, 0, 0, n + 64) == want);
        if (!bmi2)
            continue;
        a = emit(t);
        if (i % 5 < 3)
            x64_shiftx(a, op, w, X64_RAX, X64_RDI, X64_RSI);
        else
            x64_rorx(a, w, X64_RAX, X64_RDI, n);
        x64_ret(a);
        assert_true(call(t, x, n + 64, 0, 0) ==
                    (op == X64_ROL ? shift_in_c(X64_ROR, x, n, w) : want));
    }
}

static void products(void **state)
{
    struct test *t = *state;

    FOR_EACH(i, 1000) {
        const bool w = i & 1;
        const uint64_t x = number(t), y = number(t) | 1;
        const int32_t imm = (int32_t)number(t);
        uint64_t memory = y;
        struct x64 *a = emit(t);
        x64_mov_rr(a, true, X64_RAX, X64_RDI);
        if (i & 2)
            x64_imul_rr(a, w, X64_RAX, X64_RSI);
        else
            x64_imul_rm(a, w, X64_RAX, x64_at(X64_RDX, 0));
        x64_imul_rri(a, w, X64_RAX, X64_RAX, imm);
        x64_ret(a);
        assert_true(call(t, x, y, (uintptr_t)&memory, 0) ==
                    cut(x * y * (uint64_t)imm, w));

        /* The upper half of a product, and a remainder. */
        a = emit(t);
        x64_mov_rr(a, true, X64_RAX, X64_RDI);
        x64_unary(a, i & 2 ? X64_MUL : X64_IMUL, w, X64_RSI);
        x64_mov_rr(a, w, X64_RAX, X64_RDX);
        x64_ret(a);
        const uint64_t unsigned_high = w ? (uint64_t)((unsigned __int128)x * y >> 64)
                                         : (uint64_t)(uint32_t)x * (uint32_t)y >> 32;
        const uint64_t signed_high =
            w ? (uint64_t)((__int128)(int64_t)x * (int64_t)y >> 64)
              : cut((uint64_t)((int64_t)(int32_t)x * (int32_t)y >> 32), false);
        assert_true(call(t, x, y, 0, 0) == (i & 2 ? unsigned_high : signed_high));

        a = emit(t);
        x64_mov_rr(a, true, X64_RAX, X64_RDI);
        if (i & 2)
            x64_alu_rr(a, X64_XOR, true, X64_RDX, X64_RDX);
        else
            x64_cqo(a, w);
        x64_unary(a, i & 2 ? X64_DIV : X64_IDIV, w, X64_RSI);
        x64_lea(a, true, X64_RAX, x64_at2(X64_RAX, X64_RDX, 1, 5));
        x64_ret(a);
        /* The dividend is small enough for every quotient. */
        int64_t dividend = w ? (int64_t)(x >> 2) : (int32_t)x >> 1;
        uint64_t quotient, rest;
        if (i & 2) {
            quotient = cut((uint64_t)dividend, w) / cut(y, w);
            rest = cut((uint64_t)dividend, w) % cut(y, w);
        } else {
            const int64_t divisor = w ? (int64_t)y : (int32_t)y;
            quotient = cut((uint64_t)(dividend / divisor), w);
            rest = cut((uint64_t)(dividend % divisor), w);
        }
        assert_true(call(t, (uint64_t)dividend, y, 0, 0) == quotient + 2 * rest + 5);
    }
}

static void single_operands(void **state)
{
    struct test *t = *state;

    FOR_EACH(i, 1000) {
        const bool w = i & 1;
        const uint64_t x = cut(number(t), w), y = number(t);
        const uint64_t bits = w ? 64 : 32;
        struct {
            uint64_t not, neg, swapped, pop, tz, lz;
        } out;
        struct x64 *a = emit(t);
        FOR_EACH(k, 6) {
            x64_mov_rr(a, true, X64_RAX, X64_RDI);
            switch (k) {
            case 0: x64_unary(a, X64_NOT, w, X64_RAX); break;
            case 1: x64_unary(a, X64_NEG, w, X64_RAX); break;
            case 2: x64_bswap(a, w, X64_RAX); break;
            case 3: x64_count_bits(a, X64_POPCNT, w, X64_RAX, X64_RAX); break;
            case 4: x64_count_bits(a, X64_TZCNT, w, X64_RAX, X64_RAX); break;
            default: x64_count_bits(a, X64_LZCNT, w, X64_RAX, X64_RAX);
            }
            x64_store(a, 3, x64_at(X64_RSI, (int32_t)k * 8), X64_RAX);
        }
        x64_ret(a);
        call(t, x, (uintptr_t)&out, 0, 0);
        assert_true(out.not == cut(~x, w) && out.neg == cut(-x, w));
        assert_true(out.swapped ==
                    (w ? __builtin_bswap64(x) : __builtin_bswap32((uint32_t)x)));
        if (__builtin_cpu_supports("popcnt"))
            assert_int_equal(out.pop, __builtin_popcountll(x));
        if (__builtin_cpu_supports("bmi")) { /* these have lzcnt, too */
            assert_int_equal(out.tz, x ? (uint64_t)__builtin_ctzll(x) : bits);
            assert_int_equal(out.lz,
                             x ? (uint64_t)__builtin_clzll(x) - (64 - bits) : bits);
        }

        const bool less[3] = {(int64_t)x < (int64_t)y, x < y, x == y};
        static const enum x64_cc ccs[3] = {X64_L, X64_B, X64_E};
        a = emit(t);
        x64_mov_rr(a, true, X64_RAX, X64_RDX);
        x64_alu_rr(a, X64_CMP, true, X64_RDI, X64_RSI);
        x64_cmov(a, i & 4 ? ccs[i % 3] : ccs[i % 3] ^ 1, true, X64_RAX, X64_RCX);
        x64_ret(a);
        assert_true(call(t, x, y, 1, 2) == (less[i % 3] == !!(i & 4) ? 2 : 1));
    }
}

/* --- Memory ------------------------------------------------------------------------- */

static uint64_t extend_in_c(uint64_t value, unsigned size, bool sign)
{
    const unsigned shift = 64 - (8u << size);

    value <<= shift;
    return sign ? (uint64_t)((int64_t)value >> shift) : value >> shift;
}

static void memory(void **state)
{
    struct test *t = *state;

    FOR_EACH(i, 2000) {
        const unsigned size = i & 3, kind = i >> 3 & 3;
        const bool sign = i >> 2 & 1;
        const uint64_t mask = UINT64_MAX >> (64 - (8u << size));
        const uint64_t x = number(t), y = kind == 3 && i & 32 ? x & mask : number(t);
        const uint64_t old = kind == 3 && i & 64 ? y : number(t);
        uint64_t cells[4] = {1, old, number(t), 2};
        const uint64_t after = cells[2];
        const struct x64_mem at = x64_at2(X64_RDI, X64_RSI, 3, -8);
        struct x64 *a = emit(t);
        /* rdx is the value, rcx what is compared with. */
        x64_mov_rr(a, true, X64_RAX, X64_RCX);
        switch (kind) {
        case 0: x64_store(a, size, at, X64_RDX); break;
        case 1: x64_xchg(a, size, at, X64_RDX); break;
        case 2: x64_xadd(a, size, at, X64_RDX); break;
        default: x64_cmpxchg(a, size, at, X64_RDX); break;
        }
        if (kind == 1 || kind == 2)
            x64_extend(a, size < 3 ? size : 2, sign, X64_RAX, X64_RDX);
        else
            x64_load(a, size, sign, X64_RAX, x64_at(X64_RDI, 8));
        x64_ret(a);
        const bool equal = ((old ^ y) & mask) == 0;
        const uint64_t now = kind == 2 ? old + x : kind == 3 && !equal ? old : x;
        const uint64_t got = call(t, (uintptr_t)cells, 2, x, y);
        assert_true(cells[0] == 1 && cells[3] == 2 && cells[2] == after);
        assert_true(cells[1] == ((old & ~mask) | (now & mask)));
        if (kind == 1 || kind == 2)
            assert_true(got == extend_in_c(old, size < 3 ? size : 2, sign));
        else
            assert_true(got == extend_in_c(now, size, sign));

        const int32_t imm = (int32_t)number(t);
        a = emit(t);
        x64_store_i(a, size, at, imm);
        x64_ret(a);
        call(t, (uintptr_t)cells, 2, 0, 0);
        assert_true(cells[1] == ((old & ~mask) | ((uint64_t)imm & mask)));
    }
}

/* --- Floating point ----------------------------------------------------------------- */

static void floats(void **state)
{
    struct test *t = *state;
    const bool fma = __builtin_cpu_supports("fma");

    FOR_EACH(i, 200) {
        const double x = (double)(int64_t)number(t) / 3, y = (double)number(t) + 0.5;
        const float xf = (float)x, yf = (float)y;
        double out[6];
        float outf[3];
        uint32_t mxcsr = 0;
        uint64_t bits;
        struct x64 *a = emit(t);
        memcpy(&bits, &y, 8);
        x64_movs_load(a, true, 9, x64_at(X64_RDI, 0));
        x64_movq_xr(a, true, 3, X64_RSI); /* y */
        x64_movaps(a, 4, 9);
        x64_sse_rr(a, X64_FADD, true, 4, 3);
        x64_movs_store(a, true, x64_at(X64_RDX, 0), 4);
        x64_movaps(a, 4, 9);
        x64_sse_rr(a, X64_FDIV, true, 4, 3);
        x64_movs_store(a, true, x64_at(X64_RDX, 8), 4);
        x64_sse_rr(a, X64_SQRT, true, 12, 3);
        x64_movs_store(a, true, x64_at(X64_RDX, 16), 12);
        x64_sse_rm(a, X64_FSUB, true, 12, x64_at(X64_RDI, 0));
        x64_movs_store(a, true, x64_at(X64_RDX, 24), 12);
        x64_cvt_ff(a, true, 5, 9);
        x64_movs_store(a, false, x64_at(X64_RCX, 0), 5);
        x64_cvt_ff(a, true, 6, 3);
        x64_sse_rr(a, X64_FMUL, false, 6, 5);
        x64_movs_store(a, false, x64_at(X64_RCX, 4), 6);
        x64_ps_rr(a, X64_XORPS, 7, 7);
        x64_cvt_ff(a, false, 7, 5);
        x64_movs_store(a, true, x64_at(X64_RDX, 32), 7);
        if (fma) {
            x64_movaps(a, 15, 9);
            x64_fmadd231(a, true, 15, 9, 3);
            x64_movs_store(a, true, x64_at(X64_RDX, 40), 15);
        }
        x64_stmxcsr(a, x64_at(X64_RCX, 8));
        x64_ldmxcsr(a, x64_at(X64_RCX, 8));
        x64_cvt_if(a, true, true, true, X64_RAX, 3);
        x64_ret(a);
        const uint64_t integer =
            call(t, (uintptr_t)&x, bits, (uintptr_t)out, (uintptr_t)outf);
        memcpy(&mxcsr, &outf[2], 4);
        assert_true(out[0] == x + y && out[1] == x / y && out[2] == __builtin_sqrt(y) &&
                    out[3] == __builtin_sqrt(y) - x);
        assert_true(outf[0] == xf && outf[1] == xf * yf && out[4] == (double)xf);
        assert_true(!fma || out[5] == __builtin_fma(x, y, x));
        assert_int_equal(mxcsr & 0x1f80, 0x1f80);
        assert_true(y >= 0x1p63 ? integer == UINT64_C(1) << 63 : integer == (uint64_t)y);

        a = emit(t);
        x64_cvt_fi(a, i & 1, i & 2, 8, X64_RDI);
        x64_movs_load(a, i & 1, 9, x64_at(X64_RSI, 0));
        x64_comis(a, i & 1, i & 4, 8, 9);
        emit_flags(a);
        const int64_t value = i & 2 ? (int64_t)bits : (int32_t)bits;
        const double dx = i & 8 ? (double)value : x;
        const float fx = i & 8 ? (float)value : xf;
        const bool equal = i & 1 ? (double)value == dx : (float)value == fx;
        const bool below = i & 1 ? (double)value < dx : (float)value < fx;
        assert_int_equal(call(t, bits, i & 1 ? (uintptr_t)&dx : (uintptr_t)&fx, 0, 0),
                         (uint64_t)equal << 4 | (uint64_t)below << 1);
    }
}

/* --- Control ------------------------------------------------------------------------ */

static void calls(void **state)
{
    struct test *t = *state;
    struct x64 *a = emit(t);
    struct x64_label over = {NULL, NULL};
    const void *slot;

    /* A function that adds 1 to rax, called in each way; then a jump to a return. */
    x64_jmp(a, &over);
    x64_align(a, 32);
    uint8_t *const function = a->at;
    x64_alu_ri(a, X64_ADD, true, X64_RAX, 1);
    uint8_t *const back = a->at;
    x64_ret(a);
    x64_bind(a, &over);
    x64_push(a, X64_R12);
    x64_mov_rr(a, true, X64_R12, X64_RDI);
    x64_mov_ri(a, X64_RAX, 0);
    x64_lea_here(a, X64_R11, function);
    x64_call_r(a, X64_R11);
    x64_call_m(a, x64_at(X64_R12, 0));
    x64_call_to(a, function);
    x64_pop(a, X64_R12);
    x64_mov_ri64(a, X64_RCX, 2);
    x64_lea_here(a, X64_RDX, back);
    x64_alu_ri(a, X64_CMP, true, X64_RSI, 0);
    x64_jcc_to(a, X64_E, back);
    x64_alu_ri(a, X64_CMP, true, X64_RSI, 1);
    x64_cmov(a, X64_E, true, X64_RCX, X64_RDX);
    x64_alu_ri(a, X64_ADD, true, X64_RAX, 10);
    x64_push(a, X64_RCX);
    x64_pop(a, X64_R9);
    x64_alu_ri(a, X64_CMP, true, X64_RSI, 2);
    struct x64_label other = {NULL, NULL};
    x64_jcc(a, X64_E, &other);
    x64_jmp_r(a, X64_R9);
    x64_ud2(a);
    x64_bind(a, &other);
    x64_jmp_m(a, x64_at(X64_RDI, 0));
    slot = jit_mcode_run(&t->code, function);
    assert_int_equal(call(t, (uintptr_t)&slot, 0, 0, 0), 3);
    assert_int_equal(call(t, (uintptr_t)&slot, 1, 0, 0), 13);
    assert_int_equal(call(t, (uintptr_t)&slot, 2, 0, 0), 14);
}

/* --- Labels and patches: blocks in one order, run in another ------------------------ */

enum { MAX_BLOCKS = 80 };

struct jumps {
    struct test *t;
    unsigned n;
    unsigned place[MAX_BLOCKS]; /* the i-th block in memory                   */
    unsigned next[MAX_BLOCKS];  /* n: the end                                 */
    struct x64_label label[MAX_BLOCKS + 1];
    uint8_t *late[MAX_BLOCKS]; /* displacement to be patched, or NULL        */
    uint8_t *disp[MAX_BLOCKS]; /* of the jump to the next                    */
    unsigned n_kinds[6];
};

static void shuffle(struct test *t, unsigned *list, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        list[i] = i;
    for (unsigned i = n; i > 1; i--) {
        const unsigned k = (unsigned)test_below(&t->random, i), swap = list[k];
        list[k] = list[i - 1];
        list[i - 1] = swap;
    }
}

static void emit_block(struct jumps *jumps, unsigned block, unsigned below)
{
    struct test *t = jumps->t;
    struct x64 *a = &t->a;
    const unsigned next = jumps->next[block];
    struct x64_label *to = &jumps->label[next];
    unsigned kind = (unsigned)test_below(&t->random, 6);

    if (test_below(&t->random, 4) == 0)
        x64_align(a, 1u << test_below(&t->random, 7));
    x64_bind(a, &jumps->label[block]);
    x64_imul_rri(a, true, X64_RAX, X64_RAX, 31);
    x64_alu_ri(a, X64_ADD, true, X64_RAX, (int32_t)block + 1);
    for (uint64_t n = test_below(&t->random, 20); n; n--)
        x64_alu_rm(a, X64_ADD, true, X64_RCX, x64_at(X64_RSP, (int32_t)n * 8));
    if (kind == 5 && next != below)
        kind = 0;
    jumps->n_kinds[kind]++;
    switch (kind) {
    case 0: x64_jmp(a, to); break;
    case 1:
        x64_alu_rr(a, X64_CMP, true, X64_RDI, X64_RDI);
        x64_jcc(a, X64_E, to);
        break;
    case 2: /* not taken, then taken */
        x64_alu_rr(a, X64_CMP, true, X64_RDI, X64_RDI);
        x64_jcc(a, X64_NE, &jumps->label[test_below(&t->random, jumps->n + 1)]);
        x64_jcc(a, X64_AE, to);
        break;
    case 3: x64_call(a, to); break; /* what it pushes is dropped at the end */
    case 4:
        x64_jmp_to(a, a->start);
        jumps->late[block] = x64_last_disp(a);
        break;
    default: return; /* goes on below */
    }
    jumps->disp[block] = x64_last_disp(a);
    x64_ud2(a);
}

static void run_jumps(struct jumps *jumps, unsigned first)
{
    struct test *t = jumps->t;
    uint64_t want = 7;

    for (unsigned block = first; block != jumps->n; block = jumps->next[block])
        want = want * 31 + block + 1;
    assert_true(call(t, 0, 0, 0, 0) == want);
}

static void labels(void **state)
{
    struct test *t = *state;
    unsigned n_kinds[6] = {0}, n_patched = 0;

    FOR_EACH(round, 400) {
        struct jumps jumps = {.t = t,
                              .n = 1 + (unsigned)test_below(&t->random, MAX_BLOCKS)};
        unsigned order[MAX_BLOCKS] = {0};
        struct x64 *a = emit(t);
        shuffle(t, jumps.place, jumps.n);
        shuffle(t, order, jumps.n);
        if (round & 1)
            memcpy(jumps.place, order, sizeof(order));
        FOR_EACH(i, jumps.n)
            jumps.next[order[i]] = i + 1 < jumps.n ? order[i + 1] : jumps.n;

        x64_push(a, X64_RBP);
        x64_mov_rr(a, true, X64_RBP, X64_RSP);
        x64_mov_ri(a, X64_RAX, 7);
        x64_jmp(a, &jumps.label[order[0]]);
        const unsigned end_at = (unsigned)test_below(&t->random, jumps.n + 1);
        for (unsigned i = 0; i <= jumps.n; i++) {
            if (i == end_at) {
                x64_bind(a, &jumps.label[jumps.n]);
                x64_mov_rr(a, true, X64_RSP, X64_RBP);
                x64_pop(a, X64_RBP);
                x64_ret(a);
            }
            if (i < jumps.n)
                emit_block(&jumps, jumps.place[i],
                           i + 1 == end_at   ? jumps.n
                           : i + 1 < jumps.n ? jumps.place[i + 1]
                                             : UINT32_MAX);
        }
        FOR_EACH(i, jumps.n)
            if (jumps.late[i])
                x64_patch(jumps.late[i], jumps.label[jumps.next[i]].bound);
        FOR_EACH(i, jumps.n + 1)
            assert_null(jumps.label[i].uses);
        run_jumps(&jumps, order[0]);

        /* Jumps are led elsewhere, forward in the order of running: so it still ends. */
        FOR_EACH(i, jumps.n) {
            const unsigned block = order[i];
            if (!jumps.disp[block] || test_below(&t->random, 4))
                continue;
            const uint64_t skip = test_below(&t->random, jumps.n - i);
            jumps.next[block] = i + 1 + skip < jumps.n ? order[i + 1 + skip] : jumps.n;
            x64_patch(jumps.disp[block], jumps.label[jumps.next[block]].bound);
            n_patched++;
        }
        run_jumps(&jumps, order[0]);
        FOR_EACH(i, 6)
            n_kinds[i] += jumps.n_kinds[i];
    }
    printf("%u jmp, %u jcc, %u jcc after one not taken, %u call, %u late, %u none; %u "
           "patched\n",
           n_kinds[0], n_kinds[1], n_kinds[2], n_kinds[3], n_kinds[4], n_kinds[5],
           n_patched);
    FOR_EACH(i, 6)
        assert_true(n_kinds[i] > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(narrower_forms, begin, end),
        cmocka_unit_test_setup_teardown(constants, begin, end),
        cmocka_unit_test_setup_teardown(arithmetic, begin, end),
        cmocka_unit_test_setup_teardown(shifts, begin, end),
        cmocka_unit_test_setup_teardown(products, begin, end),
        cmocka_unit_test_setup_teardown(single_operands, begin, end),
        cmocka_unit_test_setup_teardown(memory, begin, end),
        cmocka_unit_test_setup_teardown(floats, begin, end),
        cmocka_unit_test_setup_teardown(calls, begin, end),
        cmocka_unit_test_setup_teardown(labels, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
