/* SPDX-License-Identifier: MIT */
/* x64_asm_test.c - what every emitter writes, as Capstone reads it.
 *
 * Expectations name operands, not bytes.  After each check of a sample, every bit of the
 * instruction is flipped in turn: the check has to notice each.
 */
#include "../base/test.h"

#include "jit/x64_asm.h"

#include <capstone/capstone.h>

static const x86_reg regs8[16] = {X86_REG_AL,   X86_REG_CL,   X86_REG_DL,   X86_REG_BL,
                                  X86_REG_SPL,  X86_REG_BPL,  X86_REG_SIL,  X86_REG_DIL,
                                  X86_REG_R8B,  X86_REG_R9B,  X86_REG_R10B, X86_REG_R11B,
                                  X86_REG_R12B, X86_REG_R13B, X86_REG_R14B, X86_REG_R15B};
static const x86_reg regs16[16] = {
    X86_REG_AX,   X86_REG_CX,   X86_REG_DX,   X86_REG_BX,  X86_REG_SP,   X86_REG_BP,
    X86_REG_SI,   X86_REG_DI,   X86_REG_R8W,  X86_REG_R9W, X86_REG_R10W, X86_REG_R11W,
    X86_REG_R12W, X86_REG_R13W, X86_REG_R14W, X86_REG_R15W};
static const x86_reg regs32[16] = {
    X86_REG_EAX,  X86_REG_ECX,  X86_REG_EDX,  X86_REG_EBX, X86_REG_ESP,  X86_REG_EBP,
    X86_REG_ESI,  X86_REG_EDI,  X86_REG_R8D,  X86_REG_R9D, X86_REG_R10D, X86_REG_R11D,
    X86_REG_R12D, X86_REG_R13D, X86_REG_R14D, X86_REG_R15D};
static const x86_reg regs64[16] = {X86_REG_RAX, X86_REG_RCX, X86_REG_RDX, X86_REG_RBX,
                                   X86_REG_RSP, X86_REG_RBP, X86_REG_RSI, X86_REG_RDI,
                                   X86_REG_R8,  X86_REG_R9,  X86_REG_R10, X86_REG_R11,
                                   X86_REG_R12, X86_REG_R13, X86_REG_R14, X86_REG_R15};

struct operand {
    x86_op_type type;
    unsigned bits;
    x86_reg reg;
    struct x64_mem mem;
    uint64_t imm;
};

static struct operand reg_of(unsigned bits, unsigned n)
{
    const x86_reg *const names = bits == 8    ? regs8
                                 : bits == 16 ? regs16
                                 : bits == 32 ? regs32
                                              : regs64;
    return (struct operand){.type = X86_OP_REG, .bits = bits, .reg = names[n]};
}

static struct operand xmm_of(unsigned n)
{
    return (struct operand){.type = X86_OP_REG, .reg = X86_REG_XMM0 + n};
}

static struct operand mem_of(unsigned bits, struct x64_mem mem)
{
    return (struct operand){.type = X86_OP_MEM, .bits = bits, .mem = mem};
}

static struct operand imm_of(unsigned bits, uint64_t imm)
{
    return (struct operand){.type = X86_OP_IMM, .bits = bits, .imm = imm};
}

enum { MAX_MEMS = 16 * 61 * 7 };

struct test {
    csh capstone;
    cs_insn *insn;
    struct x64 a;
    uint8_t code[64];
    struct x64_mem mems[MAX_MEMS];
    unsigned n_mems;
    unsigned n_checks, n_flips, n_missed;
};

static int begin(void **state)
{
    static const int32_t disps[7] = {0, 1, 127, -128, 128, -129, INT32_MIN + 0x1234};
    struct test *t = calloc(1, sizeof(*t));

    assert_int_equal(cs_open(CS_ARCH_X86, CS_MODE_64, &t->capstone), CS_ERR_OK);
    cs_option(t->capstone, CS_OPT_DETAIL, CS_OPT_ON);
    t->insn = cs_malloc(t->capstone);
    for (unsigned base = 0; base < 16; base++)
        for (unsigned form = 0; form < 61; form++)
            for (unsigned disp = 0; disp < 7; disp++) {
                struct x64_mem mem = x64_at(base, disps[disp]);
                if (form) {
                    const unsigned index = (form - 1) / 4;
                    mem.index = (uint8_t)(index < X64_RSP ? index : index + 1);
                    mem.scale = (form - 1) & 3;
                }
                t->mems[t->n_mems++] = mem;
            }
    *state = t;
    return 0;
}

static int end(void **state)
{
    struct test *t = *state;

    printf("%u checks, %u flipped bits\n", t->n_checks, t->n_flips);
    assert_true(t->n_checks > 0);
    assert_int_equal(t->n_missed, 0);
    cs_free(t->insn, 1);
    cs_close(&t->capstone);
    free(t);
    return 0;
}

static bool decode(struct test *t, const uint8_t *code, size_t size)
{
    uint64_t address = 0;

    return cs_disasm_iter(t->capstone, &code, &size, &address, t->insn) && size == 0;
}

static bool same_operand(const cs_x86_op *got, const struct operand *want)
{
    if (got->type != want->type)
        return false;
    if (want->type == X86_OP_REG)
        return got->reg == want->reg && (!want->bits || got->size * 8 == want->bits);
    if (want->type == X86_OP_IMM) {
        const uint64_t mask =
            want->bits == 64 ? UINT64_MAX : (UINT64_C(1) << want->bits) - 1;
        return ((uint64_t)got->imm & mask) == (want->imm & mask);
    }
    const struct x64_mem *mem = &want->mem;
    const bool none = mem->index == X64_NO_REG;
    return (!want->bits || got->size * 8 == want->bits) &&
           got->mem.base == regs64[mem->base] &&
           got->mem.index == (none ? X86_REG_INVALID : regs64[mem->index]) &&
           got->mem.scale == (none ? 1 : 1 << mem->scale) && got->mem.disp == mem->disp &&
           got->mem.segment == X86_REG_INVALID;
}

enum { VEX = 0xc4 };

/* "lock" before the name demands that prefix. */
static bool matches(struct test *t, const uint8_t *code, size_t size, const char *name,
                    const struct operand *want, unsigned n)
{
    if (!decode(t, code, size))
        return false;
    const cs_x86 *x86 = &t->insn->detail->x86;
    const bool lock = strncmp(name, "lock ", 5) == 0;
    const char *mnemonic = t->insn->mnemonic;
    if (strncmp(mnemonic, "lock ", 5) == 0)
        mnemonic += 5;
    if (strcmp(mnemonic, lock ? name + 5 : name) != 0 || x86->op_count != n ||
        (x86->prefix[0] == X86_PREFIX_LOCK) != lock)
        return false;
    /* Capstone 4 reads 64 bits also without this. */
    if (x86->rex < 0x48 && strcmp(name, "movsxd") == 0)
        return false;
    /* Of use for SPL, BPL, SIL and DIL alone. */
    bool bare_rex = x86->rex == 0x40 && *code != VEX;
    for (unsigned i = 0; i < n; i++) {
        for (unsigned reg = X64_RSP; reg <= X64_RDI; reg++)
            bare_rex &= want[i].reg != regs8[reg];
        if (!same_operand(&x86->operands[i], &want[i]))
            return false;
        if (want[i].type == X86_OP_MEM) {
            const struct x64_mem *mem = &want[i].mem;
            const unsigned mod = mem->disp == 0 && (mem->base & 7) != X64_RBP ? 0
                                 : mem->disp == (int8_t)mem->disp             ? 1
                                                                              : 2;
            if (code[x86->encoding.modrm_offset] >> 6 != mod)
                return false;
        }
    }
    return !bare_rex;
}

/* Bits that may mean nothing when they are flipped: clear ones of a REX, of which an
 * instruction without a register there takes no notice; VEX.X without an index; VEX.L of
 * a scalar; the lowest bit of test's /digit, and all of setcc's.  A set bit of a REX that
 * means nothing is one too many. */
static bool means_nothing(const uint8_t *code, const char *name, size_t size, size_t byte,
                          unsigned bit)
{
    size_t at = 0;

    if (strncmp(name, "set", 3) == 0 && byte == size - 1 && bit >= 3 && bit <= 5)
        return true;
    if (strcmp(name, "test") == 0 && bit == 3 && byte && code[byte - 1] >= 0xf6)
        return true;
    if (code[0] == VEX)
        return (byte == 1 && bit == 6) || (byte == 2 && bit == 2);
    while (code[at] == 0x66 || code[at] >= 0xf0)
        at++;
    return byte == at && (code[at] & 0xf0) == 0x40 && bit < 4 && !(code[at] >> bit & 1);
}

static void expect_at(struct test *t, int line, const char *name,
                      const struct operand *want, unsigned n)
{
    const size_t size = (size_t)(t->a.at - t->a.start);

    if (t->a.overflow || !matches(t, t->code, size, name, want, n)) {
        printf("line %d: wanted %s with %u operands, got", line, name, n);
        for (size_t i = 0; i < size; i++)
            printf(" %02x", t->code[i]);
        if (decode(t, t->code, size))
            printf(": %s %s", t->insn->mnemonic, t->insn->op_str);
        printf("\n");
        fail();
    }
    /* Twice the same register: the opcode's direction does not matter. */
    if (t->n_checks++ % 61 != 0 || (n > 1 && want[0].reg && want[0].reg == want[1].reg))
        return;
    for (size_t byte = 0; byte < size; byte++)
        for (unsigned bit = 0; bit < 8; bit++) {
            if (means_nothing(t->code, name, size, byte, bit))
                continue;
            t->code[byte] ^= (uint8_t)(1 << bit);
            if (matches(t, t->code, size, name, want, n)) {
                printf("line %d: %s, byte %zu bit %u flipped is not noticed: %s %s\n",
                       line, name, byte, bit, t->insn->mnemonic, t->insn->op_str);
                t->n_missed++;
            }
            t->code[byte] ^= (uint8_t)(1 << bit);
            t->n_flips++;
        }
}

/* Emit alone in t->code: an emitter's name, and its arguments but the first. */
#define EMIT(t, emitter, ...)                                                            \
    (x64_init(&(t)->a, (t)->code, sizeof((t)->code)), emitter(&(t)->a, __VA_ARGS__))
#define EMIT0(t, emitter)                                                                \
    (x64_init(&(t)->a, (t)->code, sizeof((t)->code)), emitter(&(t)->a))
#define EXPECT(t, name, ...)                                                             \
    expect_at(t, __LINE__, name, (const struct operand[]){__VA_ARGS__},                  \
              sizeof((const struct operand[]){__VA_ARGS__}) / sizeof(struct operand))

static const char *const alu_names[8] = {"add", "or",  "adc", "sbb",
                                         "and", "sub", "xor", "cmp"};
static const int32_t imms[] = {0,   1,    -1,   2,      127,        128,      -128,
                               255, -129, 4096, -70000, 0x7fffffff, INT32_MIN};
enum { N_IMMS = sizeof(imms) / sizeof(imms[0]) };
#define FOR_EACH(i, n) for (unsigned i = 0; i < (n); i++)
/* Each @some-th memory operand, from another one each time. */
#define FOR_MEMS(t, i, some)                                                             \
    for (unsigned i = (t)->n_checks % (some); i < (t)->n_mems; i += (some))

static unsigned bits_of(bool w)
{
    return w ? 64 : 32;
}

static void alu_registers(void **state)
{
    struct test *t = *state;

    FOR_EACH(op, 8)
        FOR_EACH(w, 2)
            FOR_EACH(dst, 16) {
                FOR_EACH(src, 16) {
                    const bool zero = dst == src && (op == X64_XOR || op == X64_SUB);
                    const unsigned bits = bits_of(w && !zero);
                    EMIT(t, x64_alu_rr, op, w, dst, src);
                    EXPECT(t, alu_names[op], reg_of(bits, dst), reg_of(bits, src));
                }
                FOR_EACH(i, N_IMMS) {
                    const unsigned bits = bits_of(w && !(op == X64_AND && imms[i] >= 0));
                    EMIT(t, x64_alu_ri, op, w, dst, imms[i]);
                    EXPECT(t, alu_names[op], reg_of(bits, dst),
                           imm_of(bits, (uint64_t)imms[i]));
                }
            }
}

static void alu_memory(void **state)
{
    struct test *t = *state;

    FOR_EACH(op, 8)
        FOR_EACH(w, 2)
            FOR_MEMS(t, i, 5) {
                const struct x64_mem mem = t->mems[i];
                const unsigned bits = bits_of(w), reg = i & 15;
                const int32_t imm = imms[i % N_IMMS];
                char locked[16];
                snprintf(locked, sizeof(locked), "lock %s", alu_names[op]);
                EMIT(t, x64_alu_rm, op, w, reg, mem);
                EXPECT(t, alu_names[op], reg_of(bits, reg), mem_of(bits, mem));
                EMIT(t, x64_alu_mr, op, w, mem, reg);
                EXPECT(t, alu_names[op], mem_of(bits, mem), reg_of(bits, reg));
                EMIT(t, x64_alu_mi, op, w, mem, imm);
                EXPECT(t, alu_names[op], mem_of(bits, mem), imm_of(bits, (uint64_t)imm));
                if (op == X64_CMP)
                    continue;
                EMIT(t, x64_lock_alu_mr, op, w, mem, reg);
                EXPECT(t, locked, mem_of(bits, mem), reg_of(bits, reg));
                EMIT(t, x64_lock_alu_mi, op, w, mem, imm);
                EXPECT(t, locked, mem_of(bits, mem), imm_of(bits, (uint64_t)imm));
            }
    FOR_MEMS(t, i, 3) {
        const struct x64_mem mem = t->mems[i];
        const int8_t byte = (int8_t)(i * 37);
        EMIT(t, x64_cmp8_mi, mem, byte);
        EXPECT(t, "cmp", mem_of(8, mem), imm_of(8, (uint64_t)byte));
        const uint8_t *imm = EMIT(t, x64_cmp_mi32, mem, i & 127);
        EXPECT(t, "cmp", mem_of(32, mem), imm_of(32, i & 127));
        assert_ptr_equal(imm, t->a.at - 4);
        assert_memory_equal(imm, (&(uint32_t){i & 127}), 4);
    }
}

static void test_and_unary(void **state)
{
    static const char *const unary_names[8] = {"",    "",     "not", "neg",
                                               "mul", "imul", "div", "idiv"};
    struct test *t = *state;

    FOR_EACH(w, 2)
        FOR_EACH(x, 16) {
            FOR_EACH(y, 16) {
                EMIT(t, x64_test_rr, w, x, y);
                EXPECT(t, "test", reg_of(bits_of(w), x), reg_of(bits_of(w), y));
            }
            FOR_EACH(i, N_IMMS) {
                const unsigned bits = imms[i] < 0 ? bits_of(w) : imms[i] < 128 ? 8 : 32;
                EMIT(t, x64_test_ri, w, x, imms[i]);
                EXPECT(t, "test", reg_of(bits, x), imm_of(bits, (uint64_t)imms[i]));
            }
            for (unsigned op = X64_NOT; op <= X64_IDIV; op++) {
                EMIT(t, x64_unary, op, w, x);
                EXPECT(t, unary_names[op], reg_of(bits_of(w), x));
            }
            EMIT(t, x64_bswap, w, x);
            EXPECT(t, "bswap", reg_of(bits_of(w), x));
        }
    EMIT(t, x64_cqo, true);
    expect_at(t, __LINE__, "cqo", NULL, 0);
    EMIT(t, x64_cqo, false);
    expect_at(t, __LINE__, "cdq", NULL, 0);
}

static void moves(void **state)
{
    static const uint64_t values[] = {0,
                                      1,
                                      0x7fffffff,
                                      0x80000000,
                                      UINT32_MAX,
                                      UINT64_C(1) << 32,
                                      UINT64_MAX,
                                      (uint64_t)INT32_MIN,
                                      (uint64_t)INT32_MIN - 1,
                                      UINT64_C(0x123456789abcdef0)};
    struct test *t = *state;

    FOR_EACH(dst, 16) {
        FOR_EACH(w, 2)
            FOR_EACH(src, 16) {
                EMIT(t, x64_mov_rr, w, dst, src);
                EXPECT(t, "mov", reg_of(bits_of(w), dst), reg_of(bits_of(w), src));
            }
        FOR_EACH(i, sizeof(values) / sizeof(values[0])) {
            const uint64_t value = values[i];
            const bool small = value <= UINT32_MAX,
                       wide = value != (uint64_t)(int32_t)value;
            EMIT(t, x64_mov_ri, dst, value);
            EXPECT(t, small || !wide ? "mov" : "movabs", reg_of(small ? 32 : 64, dst),
                   imm_of(small ? 32 : 64, value));
            assert_int_equal(t->a.at - t->code, small ? 5 + (dst >= 8) : wide ? 10 : 7);
            EMIT(t, x64_mov_ri64, dst, value);
            EXPECT(t, "movabs", reg_of(64, dst), imm_of(64, value));
            assert_memory_equal(t->a.at - 8, &value, 8);
        }
    }
}

static void loads_and_stores(void **state)
{
    static const char *const load_names[2][4] = {{"movzx", "movzx", "mov", "mov"},
                                                 {"movsx", "movsx", "movsxd", "mov"}};
    struct test *t = *state;

    FOR_EACH(size, 4) {
        const unsigned bits = 8u << size;
        FOR_EACH(sign, 2) {
            const unsigned to = sign || size == 3 ? 64 : 32;
            FOR_MEMS(t, i, 3) {
                EMIT(t, x64_load, size, sign, i & 15, t->mems[i]);
                EXPECT(t, load_names[sign][size], reg_of(to, i & 15),
                       mem_of(bits, t->mems[i]));
            }
            FOR_EACH(dst, size < 3 ? 16 : 0)
                FOR_EACH(src, 16) {
                    EMIT(t, x64_extend, size, sign, dst, src);
                    EXPECT(t, load_names[sign][size], reg_of(to, dst), reg_of(bits, src));
                }
        }
        FOR_MEMS(t, i, 3) {
            const struct x64_mem mem = t->mems[i];
            const unsigned reg = i & 15;
            const uint64_t imm = (uint64_t)imms[i % N_IMMS];
            EMIT(t, x64_store, size, mem, reg);
            EXPECT(t, "mov", mem_of(bits, mem), reg_of(bits, reg));
            EMIT(t, x64_store_i, size, mem, (int32_t)imm);
            EXPECT(t, "mov", mem_of(bits, mem), imm_of(bits, imm));
            EMIT(t, x64_xchg, size, mem, reg);
            EXPECT(t, "xchg", mem_of(bits, mem), reg_of(bits, reg));
            EMIT(t, x64_xadd, size, mem, reg);
            EXPECT(t, "lock xadd", mem_of(bits, mem), reg_of(bits, reg));
            EMIT(t, x64_cmpxchg, size, mem, reg);
            EXPECT(t, "lock cmpxchg", mem_of(bits, mem), reg_of(bits, reg));
        }
    }
    FOR_EACH(w, 2)
        FOR_MEMS(t, i, 1) {
            EMIT(t, x64_lea, w, i & 15, t->mems[i]);
            EXPECT(t, "lea", reg_of(bits_of(w), i & 15), mem_of(0, t->mems[i]));
        }
}

static void shifts(void **state)
{
    static const char *const names[8] = {"rol", "ror", "", "", "shl", "shr", "", "sar"};
    static const char *const names_x[8] = {"", "", "", "", "shlx", "shrx", "", "sarx"};
    struct test *t = *state;

    FOR_EACH(op, 8)
        FOR_EACH(w, *names[op] ? 2 : 0)
            FOR_EACH(dst, 16) {
                const struct operand operand = reg_of(bits_of(w), dst);
                FOR_EACH(n, bits_of(w)) {
                    EMIT(t, x64_shift_ri, op, w, dst, n);
                    EXPECT(t, names[op], operand, imm_of(8, n));
                    assert_int_equal(t->a.at - t->code, 2 + (w || dst >= 8) + (n != 1));
                }
                EMIT(t, x64_shift_rcl, op, w, dst);
                EXPECT(t, names[op], operand, reg_of(8, X64_RCX));
                FOR_EACH(src, *names_x[op] ? 16 : 0)
                    FOR_EACH(count, 16) {
                        EMIT(t, x64_shiftx, op, w, dst, src, count);
                        EXPECT(t, names_x[op], operand, reg_of(bits_of(w), src),
                               reg_of(bits_of(w), count));
                    }
            }
    FOR_EACH(w, 2)
        FOR_EACH(dst, 16)
            FOR_EACH(src, 16) {
                EMIT(t, x64_rorx, w, dst, src, (dst * 16 + src) & 63);
                EXPECT(t, "rorx", reg_of(bits_of(w), dst), reg_of(bits_of(w), src),
                       imm_of(8, (dst * 16 + src) & 63));
            }
}

static const char *const cc_names[16] = {"o", "no", "b", "ae", "e", "ne", "be", "a",
                                         "s", "ns", "p", "np", "l", "ge", "le", "g"};

static void products_and_counts(void **state)
{
    static const enum x64_count counts[3] = {X64_POPCNT, X64_TZCNT, X64_LZCNT};
    static const char *const count_names[3] = {"popcnt", "tzcnt", "lzcnt"};
    struct test *t = *state;

    FOR_EACH(w, 2) {
        const unsigned bits = bits_of(w);
        FOR_EACH(dst, 16)
            FOR_EACH(src, 16) {
                const struct operand to = reg_of(bits, dst), from = reg_of(bits, src);
                EMIT(t, x64_imul_rr, w, dst, src);
                EXPECT(t, "imul", to, from);
                FOR_EACH(i, N_IMMS) {
                    EMIT(t, x64_imul_rri, w, dst, src, imms[i]);
                    EXPECT(t, "imul", to, from, imm_of(bits, (uint64_t)imms[i]));
                }
                FOR_EACH(i, 3) {
                    EMIT(t, x64_count_bits, counts[i], w, dst, src);
                    EXPECT(t, count_names[i], to, from);
                }
                FOR_EACH(cc, 16) {
                    char name[16];
                    snprintf(name, sizeof(name), "cmov%s", cc_names[cc]);
                    EMIT(t, x64_cmov, cc, w, dst, src);
                    EXPECT(t, name, to, from);
                }
            }
        FOR_MEMS(t, i, 3) {
            char name[16];
            snprintf(name, sizeof(name), "cmov%s", cc_names[i / 3 & 15]);
            EMIT(t, x64_imul_rm, w, i & 15, t->mems[i]);
            EXPECT(t, "imul", reg_of(bits, i & 15), mem_of(bits, t->mems[i]));
            EMIT(t, x64_cmov_m, i / 3 & 15, w, i & 15, t->mems[i]);
            EXPECT(t, name, reg_of(bits, i & 15), mem_of(bits, t->mems[i]));
        }
    }
    FOR_EACH(cc, 16)
        FOR_EACH(dst, 16) {
            char name[16];
            snprintf(name, sizeof(name), "set%s", cc_names[cc]);
            EMIT(t, x64_setcc, cc, dst);
            EXPECT(t, name, reg_of(8, dst));
        }
}

static void control(void **state)
{
    struct test *t = *state;

    FOR_EACH(reg, 16) {
        EMIT(t, x64_push, reg);
        EXPECT(t, "push", reg_of(64, reg));
        EMIT(t, x64_pop, reg);
        EXPECT(t, "pop", reg_of(64, reg));
        EMIT(t, x64_jmp_r, reg);
        EXPECT(t, "jmp", reg_of(64, reg));
        EMIT(t, x64_call_r, reg);
        EXPECT(t, "call", reg_of(64, reg));
    }
    FOR_MEMS(t, i, 1) {
        EMIT(t, x64_jmp_m, t->mems[i]);
        EXPECT(t, "jmp", mem_of(64, t->mems[i]));
        EMIT(t, x64_call_m, t->mems[i]);
        EXPECT(t, "call", mem_of(64, t->mems[i]));
    }
    EMIT0(t, x64_ret);
    expect_at(t, __LINE__, "ret", NULL, 0);
    EMIT0(t, x64_ud2);
    expect_at(t, __LINE__, "ud2", NULL, 0);

    /* The code is decoded as if it lay at 0. */
    for (int64_t target = -0x7fffff00; target < 0x7fffff00; target += 0x1234567) {
        const uint8_t *const to =
            (const uint8_t *)((uintptr_t)t->code + (uintptr_t)target);
        EMIT(t, x64_jmp_to, to);
        EXPECT(t, "jmp", imm_of(64, (uint64_t)target));
        assert_ptr_equal(x64_last_disp(&t->a), t->code + 1);
        EMIT(t, x64_call_to, to);
        EXPECT(t, "call", imm_of(64, (uint64_t)target));
        FOR_EACH(cc, 16) {
            char name[16];
            snprintf(name, sizeof(name), "j%s", cc_names[cc]);
            EMIT(t, x64_jcc_to, cc, to);
            EXPECT(t, name, imm_of(64, (uint64_t)target));
            assert_ptr_equal(x64_last_disp(&t->a), t->code + 2);
            x64_patch(x64_last_disp(&t->a), t->code + 7);
            EXPECT(t, name, imm_of(64, 7));
        }
        FOR_EACH(reg, 16) {
            EMIT(t, x64_lea_here, reg, to);
            assert_true(decode(t, t->code, 7));
            assert_int_equal(t->insn->id, X86_INS_LEA);
            assert_int_equal(t->insn->detail->x86.operands[0].reg, regs64[reg]);
            assert_int_equal(t->insn->detail->x86.operands[1].mem.base, X86_REG_RIP);
            assert_int_equal(t->insn->detail->x86.operands[1].mem.disp, target - 7);
            EMIT(t, x64_ps_here, X64_XORPS, reg, to);
            const int64_t size = reg < 8 ? 7 : 8;
            assert_true(decode(t, t->code, (size_t)size));
            assert_int_equal(t->insn->id, X86_INS_XORPS);
            assert_int_equal(t->insn->detail->x86.operands[0].reg, X86_REG_XMM0 + reg);
            assert_int_equal(t->insn->detail->x86.operands[1].mem.base, X86_REG_RIP);
            assert_int_equal(t->insn->detail->x86.operands[1].mem.disp, target - size);
        }
    }
}

static void vectors(void **state)
{
    static const enum x64_sse ops[] = {X64_SQRT, X64_FADD, X64_FMUL, X64_FSUB,
                                       X64_FMIN, X64_FDIV, X64_FMAX};
    static const char *const op_names[] = {"sqrt", "add", "mul", "sub",
                                           "min",  "div", "max"};
    static const char *const ps_names[] = {"andps", "andnps", "orps", "xorps"};
    struct test *t = *state;
    char name[16];

    FOR_EACH(x, 16)
        FOR_EACH(y, 16) {
            EMIT(t, x64_movaps, x, y);
            EXPECT(t, "movaps", xmm_of(x), xmm_of(y));
            FOR_EACH(i, 4) {
                EMIT(t, x64_ps_rr, X64_ANDPS + i, x, y);
                EXPECT(t, ps_names[i], xmm_of(x), xmm_of(y));
            }
            FOR_EACH(d, 2) {
                const char *const s = d ? "sd" : "ss";
                FOR_EACH(i, 7) {
                    snprintf(name, sizeof(name), "%s%s", op_names[i], s);
                    EMIT(t, x64_sse_rr, ops[i], d, x, y);
                    EXPECT(t, name, xmm_of(x), xmm_of(y));
                }
                EMIT(t, x64_comis, d, false, x, y);
                EXPECT(t, d ? "ucomisd" : "ucomiss", xmm_of(x), xmm_of(y));
                EMIT(t, x64_comis, d, true, x, y);
                EXPECT(t, d ? "comisd" : "comiss", xmm_of(x), xmm_of(y));
                EMIT(t, x64_cvt_ff, d, x, y);
                EXPECT(t, d ? "cvtsd2ss" : "cvtss2sd", xmm_of(x), xmm_of(y));
                FOR_EACH(z, 16) {
                    snprintf(name, sizeof(name), "vfmadd231%s", s);
                    EMIT(t, x64_fmadd231, d, x, y, z);
                    EXPECT(t, name, xmm_of(x), xmm_of(y), xmm_of(z));
                }
                FOR_EACH(w, 2) {
                    const struct operand reg = reg_of(bits_of(w), y);
                    snprintf(name, sizeof(name), "cvtsi2%s", s);
                    EMIT(t, x64_cvt_fi, d, w, x, y);
                    EXPECT(t, name, xmm_of(x), reg);
                    snprintf(name, sizeof(name), "cvt%s2si", s);
                    EMIT(t, x64_cvt_if, d, w, false, y, x);
                    EXPECT(t, name, reg, xmm_of(x));
                    snprintf(name, sizeof(name), "cvtt%s2si", s);
                    EMIT(t, x64_cvt_if, d, w, true, y, x);
                    EXPECT(t, name, reg, xmm_of(x));
                }
                snprintf(name, sizeof(name), "round%s", s);
                EMIT(t, x64_round, d, x, y, X64_ROUND_UP | X64_ROUND_QUIET);
                EXPECT(t, name, xmm_of(x), xmm_of(y), imm_of(8, 10));
            }
            FOR_EACH(w, 2) {
                EMIT(t, x64_movq_xr, w, x, y);
                EXPECT(t, w ? "movq" : "movd", xmm_of(x), reg_of(bits_of(w), y));
                EMIT(t, x64_movq_rx, w, y, x);
                EXPECT(t, w ? "movq" : "movd", reg_of(bits_of(w), y), xmm_of(x));
            }
        }
    FOR_EACH(d, 2)
        FOR_MEMS(t, i, 3) {
            const struct operand mem = mem_of(d ? 64 : 32, t->mems[i]);
            const unsigned x = i & 15;
            EMIT(t, x64_movs_load, d, x, t->mems[i]);
            EXPECT(t, d ? "movsd" : "movss", xmm_of(x), mem);
            EMIT(t, x64_movs_store, d, t->mems[i], x);
            EXPECT(t, d ? "movsd" : "movss", mem, xmm_of(x));
            snprintf(name, sizeof(name), "%s%s", op_names[i % 7], d ? "sd" : "ss");
            EMIT(t, x64_sse_rm, ops[i % 7], d, x, t->mems[i]);
            EXPECT(t, name, xmm_of(x), mem_of(0, t->mems[i]));
            EMIT(t, x64_ldmxcsr, t->mems[i]);
            EXPECT(t, "ldmxcsr", mem_of(32, t->mems[i]));
            EMIT(t, x64_stmxcsr, t->mems[i]);
            EXPECT(t, "stmxcsr", mem_of(32, t->mems[i]));
        }
}

/* Padding decodes as no-operations, as few as there may be, and ends where it shall. */
static void alignment(void **state)
{
    static uint8_t code[256] __attribute__((aligned(64)));
    struct test *t = *state;

    for (unsigned align = 1; align <= 64; align *= 2)
        FOR_EACH(from, 64) {
            struct x64 a;
            unsigned n = 0;
            x64_init(&a, code + from, sizeof(code) - from);
            x64_align(&a, align);
            const uint8_t *at = code + from;
            size_t size = (size_t)(a.at - at);
            uint64_t address = 0;
            assert_true(size < align && ((uintptr_t)a.at & (align - 1)) == 0);
            const size_t padding = size;
            for (; size; n++) {
                assert_true(cs_disasm_iter(t->capstone, &at, &size, &address, t->insn));
                assert_int_equal(t->insn->id, X86_INS_NOP);
            }
            assert_int_equal(n, (padding + 8) / 9);
            t->n_checks++;
        }
}

/* Lengths of what has several forms: from the tables of the manuals. */
static void shortest(void **state)
{
    struct test *t = *state;
#define LENGTH(n, ...)                                                                   \
    do {                                                                                 \
        EMIT(t, __VA_ARGS__);                                                            \
        assert_int_equal(t->a.at - t->code, n);                                          \
        t->n_checks++;                                                                   \
    } while (0)
    LENGTH(3, x64_alu_ri, X64_ADD, false, X64_RCX, -128);
    LENGTH(6, x64_alu_ri, X64_ADD, false, X64_RCX, 128);
    LENGTH(5, x64_alu_ri, X64_ADD, false, X64_RAX, 128);
    LENGTH(6, x64_alu_ri, X64_CMP, true, X64_RAX, 128);
    LENGTH(7, x64_alu_ri, X64_CMP, true, X64_R8, 128);
    LENGTH(3, x64_alu_ri, X64_AND, true, X64_RSI, 15);
    LENGTH(4, x64_alu_ri, X64_AND, true, X64_RSI, -16);
    LENGTH(2, x64_test_ri, true, X64_RAX, 1);
    LENGTH(3, x64_test_ri, true, X64_RDX, 1);
    LENGTH(4, x64_test_ri, true, X64_RSI, 1);
    LENGTH(5, x64_test_ri, true, X64_RAX, 128);
    LENGTH(6, x64_test_ri, true, X64_RDX, 128);
    LENGTH(7, x64_test_ri, true, X64_RDX, -128);
    LENGTH(3, x64_imul_rri, false, X64_RDX, X64_RBX, 100);
    LENGTH(6, x64_imul_rri, false, X64_RDX, X64_RBX, 1000);
    LENGTH(2, x64_load, 2, false, X64_RAX, x64_at(X64_RDI, 0));
    LENGTH(3, x64_load, 0, false, X64_RSI, x64_at(X64_RDI, 0));
    LENGTH(2, x64_store, 0, x64_at(X64_RDI, 0), X64_RBX);
    LENGTH(3, x64_store, 0, x64_at(X64_RDI, 0), X64_RSI);
    LENGTH(3, x64_load, 2, false, X64_RAX, x64_at(X64_RBP, 0));
    LENGTH(3, x64_load, 2, false, X64_RAX, x64_at(X64_RSP, 0));
    LENGTH(7, x64_load, 2, false, X64_RAX, x64_at(X64_RSP, 128));
    LENGTH(4, x64_alu_mi, X64_ADD, true, x64_at(X64_RDI, 0), 1);
    LENGTH(1, x64_push, X64_RBP);
    LENGTH(2, x64_jmp_r, X64_RAX);
    LENGTH(3, x64_extend, 0, false, X64_RAX, X64_RBX);
    LENGTH(2, x64_extend, 2, false, X64_RAX, X64_RBX);
}

/* At every distance from the end: all of an instruction or none, and nothing behind. */
static void overflows(void **state)
{
    uint8_t code[64];
    struct test *t = *state;

    FOR_EACH(size, 48) {
        struct x64_label label = {NULL, NULL};
        struct x64 a;
        uint8_t *imm = code;
        memset(code, 0xa5, sizeof(code));
        x64_init(&a, code, size);
        FOR_EACH(i, 20) {
            uint8_t *const before = a.at;
            switch (i % 5) {
            case 0: x64_mov_ri(&a, X64_RAX, UINT64_C(1) << 40); break;
            case 1: x64_ret(&a); break;
            case 2: x64_jmp(&a, &label); break;
            case 3: imm = x64_cmp_mi32(&a, x64_at2(X64_R8, X64_R9, 3, 1000), 7); break;
            default: x64_fmadd231(&a, true, 1, 2, 3);
            }
            assert_true(a.overflow ? a.at == before : a.at > before);
            assert_true(a.at <= code + size);
        }
        assert_true(a.overflow);
        assert_null(imm);
        assert_null(x64_last_disp(&a));
        x64_bind(&a, &label);
        x64_align(&a, 1);
        assert_true(a.overflow);
        for (size_t i = size; i < sizeof(code); i++)
            assert_int_equal(code[i], 0xa5);
        x64_init(&a, code, size);
        a.at += size & 15;
        x64_align(&a, 64); /* the buffer's end comes first, wherever it begins */
        for (size_t i = size; i < sizeof(code); i++)
            assert_int_equal(code[i], 0xa5);
        t->n_checks++;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(alu_registers, begin, end),
        cmocka_unit_test_setup_teardown(alu_memory, begin, end),
        cmocka_unit_test_setup_teardown(test_and_unary, begin, end),
        cmocka_unit_test_setup_teardown(moves, begin, end),
        cmocka_unit_test_setup_teardown(loads_and_stores, begin, end),
        cmocka_unit_test_setup_teardown(shifts, begin, end),
        cmocka_unit_test_setup_teardown(products_and_counts, begin, end),
        cmocka_unit_test_setup_teardown(control, begin, end),
        cmocka_unit_test_setup_teardown(vectors, begin, end),
        cmocka_unit_test_setup_teardown(alignment, begin, end),
        cmocka_unit_test_setup_teardown(shortest, begin, end),
        cmocka_unit_test_setup_teardown(overflows, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
