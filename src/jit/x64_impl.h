/* SPDX-License-Identifier: MIT */
/* x64_impl.h - what the files of the x86-64 back end share.
 *
 * Layer: jit, private to the back end.
 *
 *   x64_lower.c   operands, and the walk over all operations
 *   x64_int.c     operations on integers
 *   x64_fp.c      floating point
 *   x64_convert.c integers from it and to it, precisions
 *   x64_mem.c     guest memory: the hit path
 *   x64_atomic.c  the same of atomic operations
 *   x64_exit.c    ways out, loops, indirect jumps and returns
 *   x64_thunk.c   what all units share: entry, return, slow sites, jumps; linking
 *
 * Registers of generated code: rbp is the guest + its bias; r15 the table of loads and
 * stores; rax, rcx and rdx hold nothing between operations, but for what one hands to the
 * next in rax (jit_host_hands()); xmm0 to xmm2 likewise.
 * rsp is as after the entry thunk.  All others hold what the allocator put there.
 */
#ifndef JIT_X64_IMPL_H
#define JIT_X64_IMPL_H

#include "jit/jit_impl.h"
#include "jit/x64_asm.h"

#include <stddef.h>

#pragma GCC visibility push(hidden)

enum { X64_GUEST = X64_RBP, X64_TABLE = X64_R15 };
enum { X64_XMM0, X64_XMM1, X64_XMM2 };
/** NaN, canonical. */
#define X64_NAN_S UINT64_C(0xffffffff7fc00000)
#define X64_NAN_D UINT64_C(0x7ff8000000000000)
#define X64_SIGN_S UINT64_C(0x80000000)
#define X64_SIGN_D UINT64_C(0x8000000000000000)
#define X64_BOX   UINT64_C(0xffffffff00000000)

/** What is emitted behind the unit, because it is rarely run. */
enum x64_cold_kind { X64_COLD_SITE, X64_COLD_NEAR, X64_COLD_WAY, X64_COLD_POLL,
                     X64_COLD_FENTER,
                     /* Floating point: */
                     X64_COLD_NAN, X64_COLD_FMA, X64_COLD_UNBOX, X64_COLD_MINMAX,
                     /* Conversions: */
                     X64_COLD_TO_SIGNED, X64_COLD_TO_UNSIGNED, X64_COLD_FROM_UNSIGNED };

/** Constants that lie behind the thunks, 16 bytes each, the high 8 of them 0. */
enum x64_pool { X64_POOL_SIGN, X64_POOL_REST = X64_POOL_SIGN + JIT_N_PRECS,
                X64_POOL_NAN = X64_POOL_REST + JIT_N_PRECS,
                X64_POOL_BOX = X64_POOL_NAN + JIT_N_PRECS,
                /* enum jit_fflag of MXCSR's low bits, a byte each: */
                X64_POOL_FLAGS, X64_N_POOL = X64_POOL_FLAGS + 64 / 16 };

struct x64_cold {
    uint8_t kind, xmm, prec, aux;
    struct x64_label enter, back, found;
    uint32_t site;
    int32_t near;     /* X64_COLD_NEAR: what is looked up, from the table        */
    bool write, group;
    uint8_t way;      /* the register that leads to the host then              */
    uint8_t base;     /* of the address, and if that is rdx ...                */
    bool base_const;
    int32_t disp, home; /* ... where it came from                              */
    uint64_t constant;
    const struct jit_insn *insn;
    struct jit_regs regs;
    struct jit_loc at[4]; /* where the operands d, a, b and c of .insn are       */
    unsigned counted;
};

enum { X64_MAX_COLD = 512 };

struct jit_lower {
    struct jit *jit;
    const struct jit_ir *ir;
    struct jit_alloc *alloc;
    struct jit_unit *unit;
    struct x64 a;
    uint32_t stamp;
    unsigned counted;      /* instructions that were, here                     */
    struct x64_label head; /* behind the entry: loops come back to it          */
    struct x64_label poll; /* the way out to the owner from a unit's beginning */
    unsigned n_marked;     /* places whose code has begun                      */
    unsigned n_cold;
    struct x64_cold cold[X64_MAX_COLD];
    bool failed;           /* no memory, or a limit                            */
};

/** What is emitted next is of place @n; those before it that have no code yet have none. */
SM_INLINE void x64_mark(struct jit_lower *l, unsigned n)
{
    while (l->n_marked <= n)
        l->jit->place_code[l->n_marked++] = (uint32_t)(l->a.at - l->unit->code);
}

/* --- x64_lower.c: operands ------------------------------------------------------- */

/** Memory at the guest + @offset. */
SM_INLINE struct x64_mem x64_home(const struct jit_lower *l, int32_t offset)
{
    return x64_at(X64_GUEST, offset - l->jit->guest.bias);
}

/** Where a field of struct jit_state is, from the guest; and as memory. */
#define X64_STATE_OFFSET(l, field)                                                       \
    ((l)->jit->guest.state_offset + (int32_t)offsetof(struct jit_state, field))
#define X64_STATE(l, field) x64_home(l, X64_STATE_OFFSET(l, field))

SM_INLINE struct jit_loc x64_loc(const struct jit_lower *l, jit_reg reg)
{
    return jit_is_global(reg) ? l->alloc->global[reg]
                              : l->alloc->temp[reg - JIT_TEMP0];
}

SM_INLINE bool x64_in_reg(const struct jit_lower *l, jit_reg reg)
{
    return !jit_is_const(reg) && x64_loc(l, reg).reg != JIT_IN_MEMORY;
}

/** Whether @reg is a constant that fits an immediate of 32 bits. */
SM_INLINE bool x64_is_imm(const struct jit_lower *l, jit_reg reg, int32_t *imm)
{
    uint64_t value;

    if (!jit_is_const(reg))
        return false;
    value = jit_ir_value(l->ir, reg);
    *imm = (int32_t)value;
    return (uint64_t)(int64_t)*imm == value;
}

/** Have integer @reg in a host register: its own, or @scratch. */
unsigned x64_use(struct jit_lower *l, jit_reg reg, unsigned scratch);
/** Have it in @host itself. */
void x64_fetch(struct jit_lower *l, unsigned host, jit_reg reg);
/** The host register to compute @reg in: its own, or @scratch. */
unsigned x64_target(const struct jit_lower *l, jit_reg reg, unsigned scratch);
/** @reg was computed in @host, which is from x64_target(): put it in its place. */
void x64_done(struct jit_lower *l, jit_reg reg, unsigned host);
/** Compare @a with @b, setting flags.  Returns the condition for @cond */
enum x64_cc x64_compare(struct jit_lower *l, enum jit_cond cond, jit_reg a, jit_reg b);

/** Another piece of cold code, or NULL: failed. */
struct x64_cold *x64_cold(struct jit_lower *l, enum x64_cold_kind kind,
                          const struct jit_insn *insn);
/** Another site, or NULL: failed.  Filled from here. */
struct jit_site *x64_site(struct jit_lower *l, enum jit_site_kind kind,
                          const struct jit_insn *insn, uint32_t *number);

/* --- The others -------------------------------------------------------------------- */

/** mov to sel. */
void x64_lower_int(struct jit_lower *l, const struct jit_insn *insn);
void x64_lower_fp(struct jit_lower *l, const struct jit_insn *insn);
void x64_cold_fp(struct jit_lower *l, struct x64_cold *cold);
void x64_lower_fenter(struct jit_lower *l, const struct jit_insn *insn);
void x64_cold_fenter(struct jit_lower *l, struct x64_cold *cold);
void x64_lower_convert(struct jit_lower *l, const struct jit_insn *insn);
void x64_cold_convert(struct jit_lower *l, struct x64_cold *cold);

/* As for integers: x64_use(), x64_fetch(), x64_target(), x64_done(). */
unsigned x64_fp_use(struct jit_lower *l, jit_reg reg, unsigned scratch);
void x64_fp_fetch(struct jit_lower *l, unsigned xmm, jit_reg reg);
unsigned x64_fp_target(const struct jit_lower *l, jit_reg reg, unsigned scratch);
void x64_fp_done(struct jit_lower *l, jit_reg reg, unsigned xmm);
/** Have @bits in @xmm, by way of rax. */
void x64_fp_constant(struct jit_lower *l, unsigned xmm, uint64_t bits);
/** Combine @xmm with one of the pool; it is number @constant, of @prec if there are two. */
void x64_fp_pool(struct jit_lower *l, enum x64_ps op, unsigned xmm, unsigned constant,
                 unsigned prec);
/** Have a NaN in @xmm be the canonical one of @prec: in cold code.  Goes on at .back */
struct x64_cold *x64_fp_canonical(struct jit_lower *l, enum x64_cold_kind kind,
                                  const struct jit_insn *insn, unsigned xmm,
                                  unsigned prec);

/** Where an access goes: [base + disp]. */
struct x64_address {
    unsigned base;
    int32_t disp;
};
/** @insn's .a + @imm, by a register that x64_look_up() leaves: its own, or rdx. */
struct x64_address x64_address(struct jit_lower *l, const struct jit_insn *insn,
                               int32_t imm);
/** The hit path: in @way what leads from the guest's address to the host's.  Writes rax
 *  and rcx; @size: bytes of one page. */
void x64_look_up(struct jit_lower *l, struct x64_address at, unsigned size,
                 enum sm_access access, struct x64_label *miss, unsigned way);

void x64_lower_load(struct jit_lower *l, const struct jit_insn *insn);
void x64_lower_store(struct jit_lower *l, const struct jit_insn *insn);
void x64_lower_check(struct jit_lower *l, const struct jit_insn *insn);
void x64_lower_checked_load(struct jit_lower *l, const struct jit_insn *insn);
void x64_lower_checked_store(struct jit_lower *l, const struct jit_insn *insn);
void x64_lower_rmw(struct jit_lower *l, const struct jit_insn *insn);
void x64_lower_lr(struct jit_lower *l, const struct jit_insn *insn);
void x64_lower_sc(struct jit_lower *l, const struct jit_insn *insn);
/** Call C code for a site, here. */
void x64_call_site(struct jit_lower *l, uint32_t number);
void x64_cold_site(struct jit_lower *l, struct x64_cold *cold);
void x64_cold_near(struct jit_lower *l, struct x64_cold *cold);
/** The thunk that X64_COLD_NEAR calls. */
void x64_thunk_near(struct jit_lower *l, bool write, bool group);

/** The unit's beginning: the poll, and what a loop keeps in registers. */
void x64_enter(struct jit_lower *l);
/** Call what site @number says, here: registers go home, and are loaded again. */
void x64_call_out(struct jit_lower *l, uint32_t number);
/** Look behind the page. */
void x64_lower_behind(struct jit_lower *l, const struct jit_insn *insn);
void x64_lower_way(struct jit_lower *l, const struct jit_insn *insn);
void x64_cold_way(struct jit_lower *l, struct x64_cold *cold);
void x64_cold_poll(struct jit_lower *l, struct x64_cold *cold);
/** Where all ways to the owner at the unit's beginning meet. */
void x64_poll_tail(struct jit_lower *l);

/** In @index the slot of the page of @address, times the size of an entry; @scratch and
 *  @index differ from it. */
void x64_slot(struct x64 *a, unsigned index, unsigned scratch, unsigned address);

#pragma GCC visibility pop

#endif
