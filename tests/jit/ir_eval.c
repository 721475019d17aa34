/* SPDX-License-Identifier: MIT */
/* ir_eval.c - an operation at a time, from ir.def's words alone. */
#include "ir_eval.h"

#include <fenv.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#define BOX UINT64_C(0xffffffff00000000)
#define NAN_S (BOX | 0x7fc00000)
#define NAN_D UINT64_C(0x7ff8000000000000)

struct run {
    const struct jit_ir *ir;
    struct ir_machine *machine;
    struct ir_result *result;
    uint64_t temp[JIT_MAX_TEMPS];
    uint64_t before; /* retired in the rounds before                               */
};

static uint64_t read_reg(const struct run *run, jit_reg reg)
{
    if (reg == JIT_NONE)
        return 0;
    if (jit_is_const(reg))
        return run->ir->constant[reg - JIT_CONST0];
    return jit_is_temp(reg) ? run->temp[reg - JIT_TEMP0] : run->machine->global[reg];
}

static void write_reg(struct run *run, jit_reg reg, uint64_t value)
{
    if (jit_is_temp(reg))
        run->temp[reg - JIT_TEMP0] = value;
    else
        run->machine->global[reg] = value;
}

/* --- Ends ----------------------------------------------------------------- */

static bool leave(struct run *run, enum ir_out out, unsigned at, bool retired,
                  uint64_t pc)
{
    run->result->out = out;
    run->result->pc = pc;
    run->result->at = at;
    run->result->retired = run->before + at + retired;
    return false;
}

static bool broken(struct run *run, const char *why)
{
    run->result->out = EVAL_BROKEN;
    run->result->why = why;
    return false;
}

static bool fault(struct run *run, const struct jit_insn *insn)
{
    return leave(run, EVAL_FAULT, insn->at, false,
                 run->machine->page + run->ir->place[insn->at].offset);
}

static bool take_way(struct run *run, const struct jit_insn *insn)
{
    const struct jit_way *way = &run->ir->way[insn->imm];
    return leave(run, way->kind == JIT_EXIT_ASIDE ? EVAL_ASIDE : EVAL_LEFT, insn->at,
                 way->retired, run->machine->page + (uint64_t)(int64_t)way->offset);
}

static bool obey(struct run *run, const struct jit_insn *insn, uint32_t status)
{
    const struct jit_place *place = &run->ir->place[insn->at];

    switch (status) {
    case JIT_GO: return true;
    case JIT_REFETCH:
        return leave(run, EVAL_LEFT, insn->at, true, run->machine->page + place->next);
    case JIT_LEAVE:
        return leave(run, EVAL_LEAVE, insn->at, true, run->machine->page + place->next);
    case JIT_JUMPED:
        return leave(run, EVAL_JUMPED, insn->at, true, run->machine->pc);
    default: return fault(run, insn);
    }
}

/* --- Integers ------------------------------------------------------------- */

static bool holds(unsigned cond, uint64_t a, uint64_t b)
{
    const int64_t x = (int64_t)a, y = (int64_t)b;

    switch (cond) {
    case JIT_EQ: return a == b;
    case JIT_NE: return a != b;
    case JIT_LT: return x < y;
    case JIT_GE: return x >= y;
    case JIT_LE: return x <= y;
    case JIT_GT: return x > y;
    case JIT_LTU: return a < b;
    case JIT_GEU: return a >= b;
    case JIT_LEU: return a <= b;
    default: return a > b;
    }
}

static uint64_t extended(uint64_t a, unsigned bits, bool sign)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 64; i++) {
        const unsigned from = i < bits ? i : bits - 1;
        if (i < bits || sign)
            value |= (a >> from & 1) << i;
    }
    return value;
}

static uint64_t counted(unsigned op, uint64_t a)
{
    unsigned n = 0;

    switch (op) {
    case JIT_OP_clz:
        while (n < 64 && !(a >> (63 - n) & 1))
            n++;
        return n;
    case JIT_OP_ctz:
        while (n < 64 && !(a >> n & 1))
            n++;
        return n;
    default:
        for (unsigned i = 0; i < 64; i++)
            n += a >> i & 1;
        return n;
    }
}

static uint64_t swapped(uint64_t a)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++)
        value |= (a >> 8 * i & 0xff) << (56 - 8 * i);
    return value;
}

static uint64_t quotient(unsigned op, uint64_t a, uint64_t b)
{
    const int64_t x = (int64_t)a, y = (int64_t)b;

    switch (op) {
    case JIT_OP_divs:
        return b == 0 ? UINT64_MAX : x == INT64_MIN && y == -1 ? a : (uint64_t)(x / y);
    case JIT_OP_divu: return b == 0 ? UINT64_MAX : a / b;
    case JIT_OP_rems:
        return b == 0 ? a : x == INT64_MIN && y == -1 ? 0 : (uint64_t)(x % y);
    default: return b == 0 ? a : a % b;
    }
}

static uint64_t high_product(unsigned op, uint64_t a, uint64_t b)
{
    const __int128 x = op == JIT_OP_mulhu ? (__int128)a : (__int128)(int64_t)a;
    const __int128 y = op == JIT_OP_mulhs ? (__int128)(int64_t)b : (__int128)b;
    return (uint64_t)((unsigned __int128)x * (unsigned __int128)y >> 64);
}

/** The low word of @a turned left by @n, from 0 to 32. */
static uint64_t rotated_word(uint64_t a, unsigned n)
{
    const uint64_t twice = a << 32 | (a & UINT32_MAX);

    return extended(twice << n >> 32, 32, true);
}

static uint64_t integer(const struct run *run, const struct jit_insn *insn)
{
    const uint64_t a = read_reg(run, insn->a), b = read_reg(run, insn->b);
    const unsigned n = b % 64;

    switch (insn->op) {
    case JIT_OP_mov: return a;
    case JIT_OP_add: return a + b;
    case JIT_OP_sub: return a - b;
    case JIT_OP_and: return a & b;
    case JIT_OP_or: return a | b;
    case JIT_OP_xor: return a ^ b;
    case JIT_OP_shl: return a << n;
    case JIT_OP_shr: return a >> n;
    case JIT_OP_sar: return n ? extended(a >> n, 64 - n, true) : a;
    case JIT_OP_rol: return n ? a << n | a >> (64 - n) : a;
    case JIT_OP_ror: return n ? a >> n | a << (64 - n) : a;
    case JIT_OP_rolw: return rotated_word(a, n % 32);
    case JIT_OP_rorw: return rotated_word(a, 32 - n % 32);
    case JIT_OP_mul: return a * b;
    case JIT_OP_mulhs:
    case JIT_OP_mulhu:
    case JIT_OP_mulhsu: return high_product(insn->op, a, b);
    case JIT_OP_divs:
    case JIT_OP_divu:
    case JIT_OP_rems:
    case JIT_OP_remu: return quotient(insn->op, a, b);
    case JIT_OP_mins: return holds(JIT_LT, a, b) ? a : b;
    case JIT_OP_maxs: return holds(JIT_GT, a, b) ? a : b;
    case JIT_OP_minu: return a < b ? a : b;
    case JIT_OP_maxu: return a > b ? a : b;
    case JIT_OP_sxt: return extended(a, 8u << insn->aux, true);
    case JIT_OP_zxt: return extended(a, 8u << insn->aux, false);
    case JIT_OP_clz:
    case JIT_OP_ctz:
    case JIT_OP_popcnt: return counted(insn->op, a);
    case JIT_OP_bswap: return swapped(a);
    case JIT_OP_set: return holds(insn->aux, a, b);
    case JIT_OP_sel: return a ? b : read_reg(run, insn->c);
    case JIT_OP_here: return run->machine->page + (uint64_t)(int64_t)insn->imm;
    default: return 0;
    }
}

/* --- Memory and state ----------------------------------------------------- */

static void note_place(struct run *run, const struct jit_insn *insn)
{
    run->machine->at_pc = run->machine->page + run->ir->place[insn->at].offset;
    run->machine->at_retired = run->machine->counted + run->before + insn->at;
}

static uint64_t address_of(const struct run *run, const struct jit_insn *insn)
{
    return read_reg(run, insn->a) + (uint64_t)(int64_t)insn->imm;
}

/** @size bytes of memory at @address, or NULL. */
static uint8_t *memory_at(struct ir_machine *machine, uint64_t address, uint64_t size,
                          bool store)
{
    const uint64_t offset = address - machine->memory_base;
    const uint64_t end = store && machine->writable ? machine->writable : EVAL_MEMORY;

    if (size <= end && offset <= end - size)
        return machine->memory + offset;
    machine->missed = address;
    return NULL;
}

/** The bytes of state that @insn accesses, or NULL. */
static uint8_t *state_at(struct ir_machine *machine, const struct jit_insn *insn)
{
    const uint64_t size = 1u << jit_mem_bits(insn->aux);
    const uint64_t offset =
        (uint64_t)(int64_t)insn->imm - (uint64_t)(int64_t)machine->state_offset;

    if (machine->told_offset && insn->imm == machine->told_offset && size == 1)
        return &machine->told;
    return offset <= EVAL_STATE - size ? machine->state + offset : NULL;
}

static uint64_t load_bytes(const uint8_t *bytes, unsigned mem)
{
    const unsigned size = 1u << jit_mem_bits(mem);
    uint64_t value = 0;

    memcpy(&value, bytes, size);
    return extended(value, 8 * size, (mem & JIT_MEM_SIGNED) != 0);
}

uint32_t ir_eval_fflags(uint32_t fp_flags)
{
    return (fp_flags & EVAL_FP_INVALID ? JIT_FINVALID : 0u) |
           (fp_flags & EVAL_FP_DIVIDE ? JIT_FDIVIDE : 0u) |
           (fp_flags & EVAL_FP_OVERFLOW ? JIT_FOVERFLOW : 0u) |
           (fp_flags & EVAL_FP_UNDERFLOW ? JIT_FUNDERFLOW : 0u) |
           (fp_flags & EVAL_FP_INEXACT ? JIT_FINEXACT : 0u);
}

static bool access_state(struct run *run, const struct jit_insn *insn)
{
    uint8_t *bytes = state_at(run->machine, insn);
    uint64_t value;

    if (!bytes)
        return broken(run, "guest state elsewhere");
    if (insn->op == JIT_OP_lds) {
        write_reg(run, insn->d, load_bytes(bytes, insn->aux));
    } else {
        value = read_reg(run, insn->a);
        memcpy(bytes, &value, 1u << jit_mem_bits(insn->aux));
    }
    return true;
}

/** How @insn accesses memory. */
static unsigned mem_of(const struct jit_insn *insn)
{
    return jit_ops[insn->op].aux == JIT_AUX_PREC ? jit_access_bits(insn) : insn->aux;
}

/** @value is what @insn loads. */
static void put_loaded(struct run *run, const struct jit_insn *insn, uint64_t value)
{
    const bool boxed =
        jit_ops[insn->op].aux == JIT_AUX_PREC && insn->aux == JIT_SINGLE;

    write_reg(run, insn->d, boxed ? value | BOX : value);
}

/** What is not in memory is the owner's.  A load that the instruction goes on with does
 *  not leave. */
static bool access_elsewhere(struct run *run, const struct jit_insn *insn, bool store)
{
    uint64_t value = store ? read_reg(run, insn->b) : 0;
    uint32_t status = JIT_FAULT;

    note_place(run, insn);
    if (run->machine->access)
        status = run->machine->access(run->machine, address_of(run, insn), mem_of(insn),
                                      store, &value);
    if (!store && status <= JIT_LEAVE) {
        put_loaded(run, insn, value);
        if (jit_is_temp(insn->d))
            status = JIT_GO;
    }
    return obey(run, insn, status);
}

static bool access_memory(struct run *run, const struct jit_insn *insn, bool store)
{
    const unsigned mem = mem_of(insn), size = 1u << jit_mem_bits(mem);
    uint8_t *bytes = memory_at(run->machine, address_of(run, insn), size, store);
    uint64_t value;

    if (!bytes)
        return access_elsewhere(run, insn, store);
    if (store) {
        value = read_reg(run, insn->b);
        memcpy(bytes, &value, size);
    } else {
        put_loaded(run, insn, load_bytes(bytes, mem));
    }
    return true;
}

/** What leads from a guest address to an index of .memory, as a chk has it. */
static uint64_t way_to_memory(const struct run *run)
{
    return -run->machine->memory_base;
}

/** Check memory: it has to be of one page. */
static bool check_memory(struct run *run, const struct jit_insn *insn)
{
    const uint64_t address = address_of(run, insn), size = read_reg(run, insn->b);

    if (memory_at(run->machine, address, size, insn->aux == JIT_WRITE) &&
        (address & ~SM_PAGE_MASK) + size <= SM_PAGE_SIZE) {
        write_reg(run, insn->d, way_to_memory(run));
        return true;
    }
    run->result->missed = true;
    return leave(run, EVAL_ASIDE, insn->at, false,
                 run->machine->page + run->ir->place[insn->at].offset);
}

/** By such a way. */
static bool access_checked(struct run *run, const struct jit_insn *insn, bool store)
{
    const unsigned mem = mem_of(insn), size = 1u << jit_mem_bits(mem);
    uint8_t *const bytes = memory_at(run->machine, address_of(run, insn), size, store);
    uint64_t value;

    if (!bytes || read_reg(run, insn->b) != way_to_memory(run))
        return broken(run, "an access without its check");
    if (store) {
        value = read_reg(run, insn->c);
        memcpy(bytes, &value, size);
    } else {
        put_loaded(run, insn, load_bytes(bytes, mem));
    }
    return true;
}

uint64_t ir_eval_modified(enum sm_rmw op, unsigned bits, uint64_t old, uint64_t operand)
{
    const uint64_t a = extended(old, bits, false), b = extended(operand, bits, false);
    const int64_t x = (int64_t)extended(old, bits, true);
    const int64_t y = (int64_t)extended(operand, bits, true);

    switch (op) {
    case SM_RMW_SWAP: return b;
    case SM_RMW_ADD: return a + b;
    case SM_RMW_AND: return a & b;
    case SM_RMW_OR: return a | b;
    case SM_RMW_XOR: return a ^ b;
    case SM_RMW_MIN: return x < y ? a : b;
    case SM_RMW_MAX: return x > y ? a : b;
    case SM_RMW_MINU: return a < b ? a : b;
    default: return a > b ? a : b;
    }
}

/** Store @insn's operand at @bytes if that is reserved, and what it was. */
static void store_conditional(struct run *run, const struct jit_insn *insn, uint8_t *bytes)
{
    struct ir_machine *machine = run->machine;
    const unsigned size = 1u << jit_mem_bits(insn->aux);
    const uint64_t value = read_reg(run, insn->b);
    const bool held = machine->held == read_reg(run, insn->a) && machine->holds == size &&
                      machine->held_value == load_bytes(bytes, jit_mem_bits(insn->aux));

    if (held)
        memcpy(bytes, &value, size);
    machine->holds = 0;
    write_reg(run, insn->d, !held);
}

static bool atomic(struct run *run, const struct jit_insn *insn)
{
    const unsigned bits = jit_mem_bits(insn->aux), size = 1u << bits;
    struct ir_machine *machine = run->machine;
    const uint64_t a = read_reg(run, insn->a);
    uint8_t *const bytes = memory_at(machine, a, size, insn->op != JIT_OP_lr);

    if (!bytes || (insn->op != JIT_OP_rmw && a % size))
        return fault(run, insn);
    if (insn->op == JIT_OP_sc) {
        store_conditional(run, insn, bytes);
        return true;
    }
    const uint64_t old = load_bytes(bytes, bits);
    if (insn->op == JIT_OP_lr) {
        machine->held = a;
        machine->held_value = old;
        machine->holds = size;
    } else {
        const uint64_t value = ir_eval_modified((enum sm_rmw)insn->imm, 8 * size, old,
                                                read_reg(run, insn->b));
        memcpy(bytes, &value, size);
    }
    write_reg(run, insn->d, extended(old, 8 * size, (insn->aux & JIT_MEM_SIGNED) != 0));
    return true;
}

/* --- Floating point ------------------------------------------------------- */

static double as_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static float as_single(uint64_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static uint64_t of_double(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return isnan(value) ? NAN_D : bits;
}

static uint64_t of_single(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return isnan(value) ? NAN_S : BOX | bits;
}

static bool is_signalling(unsigned prec, uint64_t a)
{
    if (prec == JIT_SINGLE)
        return isnan(as_single(a)) && !(a >> 22 & 1);
    return isnan(as_double(a)) && !(a >> 51 & 1);
}

static uint64_t compare(struct run *run, const struct jit_insn *insn)
{
    const uint64_t a = read_reg(run, insn->a), b = read_reg(run, insn->b);
    const unsigned prec = (unsigned)insn->imm;
    const double x = prec == JIT_SINGLE ? (double)as_single(a) : as_double(a);
    const double y = prec == JIT_SINGLE ? (double)as_single(b) : as_double(b);

    if (isnan(x) || isnan(y)) {
        if (insn->aux != JIT_FEQ || is_signalling(prec, a) || is_signalling(prec, b))
            run->machine->fp_flags |= EVAL_FP_INVALID;
        return 0;
    }
    return insn->aux == JIT_FEQ ? x == y : insn->aux == JIT_FLT ? x < y : x <= y;
}

/** The greater of @a and @b, or the lesser one. */
static uint64_t chosen(struct run *run, const struct jit_insn *insn)
{
    const uint64_t a = read_reg(run, insn->a), b = read_reg(run, insn->b);
    const unsigned prec = insn->aux;
    const double x = prec == JIT_SINGLE ? (double)as_single(a) : as_double(a);
    const double y = prec == JIT_SINGLE ? (double)as_single(b) : as_double(b);
    const bool max = insn->op == JIT_OP_fmax;

    if (is_signalling(prec, a) || is_signalling(prec, b))
        run->machine->fp_flags |= EVAL_FP_INVALID;
    if (isnan(x) && isnan(y))
        return prec == JIT_SINGLE ? NAN_S : NAN_D;
    if (isnan(x) || isnan(y))
        return isnan(x) ? b : a;
    if (x == y)
        return !signbit(x) == max ? a : b;
    return (x < y) != max ? a : b;
}

/** Compilers, who take the mode to be the default one, are not to know these. */
static double (*const volatile by_mode)(double) = rint;
static double (*const volatile round_away)(double) = round;

static double rounded(enum jit_round round, double x)
{
    static const int modes[JIT_N_ROUNDS] = {
        [JIT_ROUND_EVEN] = FE_TONEAREST, [JIT_ROUND_DOWN] = FE_DOWNWARD,
        [JIT_ROUND_UP] = FE_UPWARD, [JIT_ROUND_ZERO] = FE_TOWARDZERO};
    const int mode = fegetround();
    double r;

    if (round == JIT_ROUND_AWAY)
        return round_away(x);
    if (round != JIT_ROUND_MODE)
        fesetround(modes[round]);
    r = by_mode(x);
    fesetround(mode);
    return r;
}

static uint64_t to_integer(struct run *run, const struct jit_insn *insn)
{
    static const double ends[JIT_N_INTS][2] = {
        [JIT_S32] = {-0x1p31, 0x1p31}, [JIT_U32] = {0, 0x1p32},
        [JIT_S64] = {-0x1p63, 0x1p63}, [JIT_U64] = {0, 0x1p64}};
    static const uint64_t last[JIT_N_INTS][2] = {
        [JIT_S32] = {UINT64_C(-0x80000000), 0x7fffffff}, [JIT_U32] = {0, UINT64_MAX},
        [JIT_S64] = {UINT64_C(1) << 63, INT64_MAX}, [JIT_U64] = {0, UINT64_MAX}};
    const uint64_t a = read_reg(run, insn->a);
    const volatile double x =
        insn->aux == JIT_SINGLE ? (double)as_single(a) : as_double(a);
    const enum jit_int to = jit_to_int(insn->imm);
    /* Where sums of halves would round, there is no fraction. */
    const double r =
        fabs(x) < 0x1p52 ? rounded(jit_to_round(insn->imm), x) : x;

    if (isnan(x) || r < ends[to][0] || r >= ends[to][1]) {
        run->machine->fp_flags |= EVAL_FP_INVALID;
        return last[to][isnan(x) || r > 0];
    }
    if (r != x)
        run->machine->fp_flags |= EVAL_FP_INEXACT;
    const uint64_t value = r < 0 ? (uint64_t)(int64_t)r : (uint64_t)r;
    return to == JIT_U32 ? extended(value, 32, true) : value;
}

static uint64_t of_doubles(unsigned op, uint64_t a, uint64_t b, uint64_t c)
{
    volatile double x = as_double(a), y = as_double(b), z = as_double(c), r;

    switch (op) {
    case JIT_OP_fadd: r = x + y; break;
    case JIT_OP_fsub: r = x - y; break;
    case JIT_OP_fmul: r = x * y; break;
    case JIT_OP_fdiv: r = x / y; break;
    case JIT_OP_fsqrt: r = sqrt(x); break;
    default: r = fma(x, y, z); break;
    }
    return of_double(r);
}

static uint64_t of_singles(unsigned op, uint64_t a, uint64_t b, uint64_t c)
{
    volatile float x = as_single(a), y = as_single(b), z = as_single(c), r;

    switch (op) {
    case JIT_OP_fadd: r = x + y; break;
    case JIT_OP_fsub: r = x - y; break;
    case JIT_OP_fmul: r = x * y; break;
    case JIT_OP_fdiv: r = x / y; break;
    case JIT_OP_fsqrt: r = sqrtf(x); break;
    default: r = fmaf(x, y, z); break;
    }
    return of_single(r);
}

static uint64_t converted(unsigned op, unsigned prec, uint64_t a)
{
    /* Of naturals by the signed conversion, which is one instruction: compilers' own would
     * have 0 become -0 where it rounds down. */
    const bool halved = op == JIT_OP_fintu && a >> 63;
    volatile int64_t number = (int64_t)(halved ? a >> 1 | (a & 1) : a);

    if (op == JIT_OP_fcvts) {
        volatile double from = as_double(a);
        return of_single((float)from);
    }
    if (op == JIT_OP_fcvtd) {
        volatile float from = as_single(a);
        return of_double((double)from);
    }
    if (prec == JIT_SINGLE) {
        const volatile float from = (float)number;
        return of_single(halved ? from + from : from);
    }
    const volatile double from = (double)number;
    return of_double(halved ? from + from : from);
}

/** Whether fma multiplies infinity by zero, which hosts do not call invalid if a quiet NaN
 *  is added. */
static bool is_invalid_product(const struct jit_insn *insn, uint64_t a, uint64_t b)
{
    const bool single = insn->aux == JIT_SINGLE;
    const double x = single ? (double)as_single(a) : as_double(a);
    const double y = single ? (double)as_single(b) : as_double(b);

    return insn->op == JIT_OP_fma && ((isinf(x) && y == 0) || (x == 0 && isinf(y)));
}

/** What rounds, and raises flags. */
static uint64_t arithmetic(struct run *run, const struct jit_insn *insn)
{
    const uint64_t a = read_reg(run, insn->a), b = read_reg(run, insn->b);
    const uint64_t c = read_reg(run, insn->c);
    uint64_t value;

    if (insn->op == JIT_OP_fset)
        return compare(run, insn);
    if (insn->op == JIT_OP_fmin || insn->op == JIT_OP_fmax)
        return chosen(run, insn);
    if (insn->op == JIT_OP_ftoi)
        return to_integer(run, insn);
    if (is_invalid_product(insn, a, b))
        run->machine->fp_flags |= EVAL_FP_INVALID;
    feclearexcept(FE_ALL_EXCEPT);
    if (insn->op == JIT_OP_fcvts || insn->op == JIT_OP_fcvtd ||
        insn->op == JIT_OP_fint || insn->op == JIT_OP_fintu)
        value = converted(insn->op, insn->aux, a);
    else if (insn->aux == JIT_SINGLE)
        value = of_singles(insn->op, a, b, c);
    else
        value = of_doubles(insn->op, a, b, c);
    const int raised = fetestexcept(FE_ALL_EXCEPT);
    run->machine->fp_flags |= (raised & FE_INVALID ? EVAL_FP_INVALID : 0) |
                              (raised & FE_DIVBYZERO ? EVAL_FP_DIVIDE : 0) |
                              (raised & FE_OVERFLOW ? EVAL_FP_OVERFLOW : 0) |
                              (raised & FE_UNDERFLOW ? EVAL_FP_UNDERFLOW : 0) |
                              (raised & FE_INEXACT ? EVAL_FP_INEXACT : 0);
    feclearexcept(FE_ALL_EXCEPT);
    return value;
}

static uint64_t bitwise(const struct run *run, const struct jit_insn *insn)
{
    const uint64_t a = read_reg(run, insn->a), b = read_reg(run, insn->b);
    const uint64_t sign = insn->aux == JIT_SINGLE ? UINT64_C(1) << 31
                                                  : UINT64_C(1) << 63;

    switch (insn->op) {
    case JIT_OP_fmov: return a;
    case JIT_OP_fraw: return insn->aux == JIT_SINGLE ? a | BOX : a;
    case JIT_OP_bits: return insn->aux == JIT_SINGLE ? extended(a, 32, true) : a;
    case JIT_OP_funbox: return a >= BOX ? a : NAN_S;
    case JIT_OP_fneg: return a ^ sign;
    case JIT_OP_fsgnj: return (a & ~sign) | (b & sign);
    default: return a ^ (b & sign);
    }
}

/** Whether the operands of @insn are singles that have to be boxed, and are not. */
static bool unboxed(const struct run *run, const struct jit_insn *insn)
{
    const jit_reg reg[3] = {insn->a, insn->b, insn->c};
    const uint8_t class[3] = {jit_ops[insn->op].a, jit_ops[insn->op].b,
                              jit_ops[insn->op].c};
    const bool singles =
        insn->op == JIT_OP_fset ? insn->imm == JIT_SINGLE
        : insn->op == JIT_OP_fcvtd ||
          (jit_ops[insn->op].aux == JIT_AUX_PREC && insn->aux == JIT_SINGLE &&
           insn->op != JIT_OP_bits);

    for (unsigned i = 0; i < 3; i++) {
        if (singles && class[i] == JIT_CLASS_FP && read_reg(run, reg[i]) < BOX)
            return true;
    }
    return false;
}

/* --- All ------------------------------------------------------------------ */

/** Do @insn.  Returns  whether to go on; *again: at the beginning */
static bool step(struct run *run, const struct jit_insn *insn, bool *again)
{
    struct ir_machine *machine = run->machine;
    const uint64_t a = read_reg(run, insn->a), b = read_reg(run, insn->b);

    switch (insn->op) {
    case JIT_OP_behind: write_reg(run, insn->d, machine->behind); return true;
    case JIT_OP_lds:
    case JIT_OP_sts: return access_state(run, insn);
    case JIT_OP_ld:
    case JIT_OP_fld: return access_memory(run, insn, false);
    case JIT_OP_st:
    case JIT_OP_fst: return access_memory(run, insn, true);
    case JIT_OP_chk: return check_memory(run, insn);
    case JIT_OP_ldh:
    case JIT_OP_fldh: return access_checked(run, insn, false);
    case JIT_OP_sth:
    case JIT_OP_fsth: return access_checked(run, insn, true);
    case JIT_OP_rmw:
    case JIT_OP_lr:
    case JIT_OP_sc: return atomic(run, insn);
    case JIT_OP_fence: return true;
    case JIT_OP_fflags:
        write_reg(run, insn->d, ir_eval_fflags(machine->fp_flags));
        return true;
    case JIT_OP_fforget:
        machine->fp_flags = 0;
        return true;
    case JIT_OP_fenter: return obey(run, insn, machine->fp_enter);
    case JIT_OP_call:
        note_place(run, insn);
        return obey(run, insn, machine->call(machine, (unsigned)insn->imm));
    case JIT_OP_exit_if: return !holds(insn->aux, a, b) || take_way(run, insn);
    case JIT_OP_exit: return take_way(run, insn);
    case JIT_OP_loop_if:
        *again = holds(insn->aux, a, b);
        return true;
    case JIT_OP_loop:
        *again = true;
        return true;
    case JIT_OP_jump: return leave(run, EVAL_LEFT, insn->at, true, a);
    default:
        if (unboxed(run, insn))
            return broken(run, "an operand is not boxed");
        write_reg(run, insn->d,
                  jit_ops[insn->op].effects & JIT_FX_FP ? arithmetic(run, insn)
                  : insn->op >= JIT_OP_fmov             ? bitwise(run, insn)
                                                        : integer(run, insn));
        return true;
    }
}

/** Go through the unit once.  Returns  whether it begins again */
static bool round_trip(struct run *run, unsigned stop)
{
    bool again = false;

    /* What is read unwritten is the same nonsense each time. */
    memset(run->temp, 0xa5, sizeof(run->temp));
    for (unsigned i = 0; i < run->ir->n_insns; i++) {
        const struct jit_insn *insn = &run->ir->insn[i];
        if (insn->at >= stop)
            return leave(run, EVAL_STOPPED, stop, false, 0);
        if (!step(run, insn, &again))
            return false;
        if (again) {
            run->before += insn->at + 1u;
            return true;
        }
    }
    return broken(run, "behind its end");
}

/** At most @max_rounds; in round number @round stop at @place. */
static void evaluate(struct run *run, unsigned max_rounds, unsigned round, unsigned place)
{
    struct ir_result *result = run->result;

    *result = (struct ir_result){0};
    for (; result->rounds < max_rounds; result->rounds++) {
        if (!round_trip(run, result->rounds == round ? place : UINT_MAX))
            return;
        if (run->machine->requested) {
            result->rounds++;
            leave(run, EVAL_POLL, 0, false,
                  run->machine->page + run->ir->place[0].offset);
            return;
        }
    }
    leave(run, EVAL_ROUNDS, 0, false, run->machine->page + run->ir->place[0].offset);
}

void ir_eval(const struct jit_ir *ir, struct ir_machine *machine, unsigned max_rounds,
             struct ir_result *result)
{
    struct run run = {.ir = ir, .machine = machine, .result = result};
    evaluate(&run, max_rounds, UINT_MAX, 0);
}

void ir_eval_until(const struct jit_ir *ir, struct ir_machine *machine, unsigned round,
                   unsigned place, struct ir_result *result)
{
    struct run run = {.ir = ir, .machine = machine, .result = result};
    evaluate(&run, round + 1, round, place);
}

uint32_t ir_eval_call(struct ir_machine *machine, unsigned call)
{
    const struct jit_ir *ir = machine->owner;
    uint64_t sum = call * UINT64_C(0x9e3779b97f4a7c15);

    for (unsigned i = 0; i < ir->n_globals; i++)
        sum = (sum ^ machine->global[i]) * UINT64_C(0xff51afd7ed558ccd) + (sum >> 29);
    const unsigned status = (unsigned)(sum >> 60);
    if (status == 0)
        return JIT_FAULT;
    for (unsigned i = call % 3; i < ir->n_globals; i += 3) {
        if (ir->globals[i].class == JIT_CLASS_INT)
            machine->global[i] += sum >> (i % 32);
    }
    machine->memory[sum % EVAL_MEMORY] ^= (uint8_t)(sum >> 40);
    machine->state[sum % EVAL_STATE] ^= (uint8_t)(sum >> 48);
    machine->pc = sum & ~UINT64_C(1);
    return status == 1 ? JIT_LEAVE : status == 2 ? JIT_JUMPED : JIT_GO;
}
