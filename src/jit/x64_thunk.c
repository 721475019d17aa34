/* SPDX-License-Identifier: MIT */
/* x64_thunk.c - what all units share: entry, return, sites, indirect jumps; patching.
 */
#include "jit/x64_impl.h"

#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

static const uint8_t saved[] = {X64_RBX, X64_RBP, X64_R12, X64_R13, X64_R14, X64_R15};
enum { N_SAVED = sizeof(saved), FRAME = (int)sizeof(struct jit_frame) + 8 };
SM_STATIC_ASSERT((8 + 8 * N_SAVED + 8) % 16 == 0, "units run with the stack aligned");
SM_STATIC_ASSERT((8 + FRAME) % 16 == 0, "so does C code that they call");

struct jit_lower *jit_host_new(void)
{
    return calloc(1, sizeof(struct jit_lower));
}

/** Bits of MXCSR.  Source: Intel SDM, "MXCSR Control and Status Register". */
enum { MXCSR_IE = 1 << 0, MXCSR_ZE = 1 << 2, MXCSR_OE = 1 << 3, MXCSR_UE = 1 << 4,
       MXCSR_PE = 1 << 5, MXCSR_FLAGS = 0x3f, MXCSR_DEFAULT = 0x1f80 };

/** Load or store the registers that are pinned. */
static void pinned(struct jit_lower *l, bool load)
{
    const struct jit *const jit = l->jit;

    for (unsigned p = 0; p < jit->pins.n; p++) {
        const struct x64_mem home =
            x64_home(l, jit->guest.globals[jit->pins.global[p]].offset);

        if (load)
            x64_load(&l->a, 3, false, jit->pins.reg[p], home);
        else
            x64_store(&l->a, 3, home, jit->pins.reg[p]);
    }
}

/** uint32_t enter(guest, code) */
static void thunk_enter(struct jit_lower *l)
{
    struct x64 *const a = &l->a;

    for (unsigned n = 0; n < N_SAVED; n++)
        x64_push(a, saved[n]);
    x64_alu_ri(a, X64_SUB, true, X64_RSP, 8);
    x64_lea(a, true, X64_GUEST, x64_at(X64_RDI, l->jit->guest.bias));
    x64_mov_rr(a, true, X64_RAX, X64_RSI);
    pinned(l, true);
    x64_load(a, 3, false, X64_TABLE, X64_STATE(l, data));
    x64_jmp_r(a, X64_RAX);
}

/** Return eax to whoever entered, the pinned registers stored. */
static void thunk_return(struct jit_lower *l)
{
    x64_alu_ri(&l->a, X64_ADD, true, X64_RSP, 8);
    for (unsigned n = N_SAVED; n-- > 0;)
        x64_pop(&l->a, saved[n]);
    x64_ret(&l->a);
}

static void frame_fp(struct jit_lower *l, bool load)
{
    for (unsigned n = 0; n < jit_host_regs.n_fps; n++) {
        const unsigned xmm = jit_host_regs.fps[n];
        const struct x64_mem at =
            x64_at(X64_RSP, (int32_t)(offsetof(struct jit_frame, fp) + 8 * xmm));

        if (load)
            x64_movs_load(&l->a, true, xmm, at);
        else
            x64_movs_store(&l->a, true, at, xmm);
    }
}

static void frame_int(struct jit_lower *l, bool load)
{
    for (unsigned n = 0; n < jit_host_regs.n_ints; n++) {
        const unsigned reg = jit_host_regs.ints[n];
        const struct x64_mem at = x64_at(X64_RSP, (int32_t)(8 * reg));

        if (load)
            x64_load(&l->a, 3, false, reg, at);
        else
            x64_store(&l->a, 3, at, reg);
    }
}

/** What was called, by generated code, says not to go on: all is at home, and rsp as in
 *  the unit.  Jump, or return. */
static void thunk_elsewhere(struct jit_lower *l, struct x64_label *jump,
                            struct x64_label *leave)
{
    struct x64 *const a = &l->a;
    struct x64_label out = {0};

    x64_alu_ri(a, X64_CMP, false, X64_RAX, JIT_SLOW_JUMP);
    x64_jcc(a, X64_NE, &out);
    x64_load(a, 3, false, X64_TABLE, X64_STATE(l, data));
    pinned(l, true);
    x64_load(a, 3, false, X64_RAX, X64_STATE(l, pc));
    x64_jmp(a, jump);
    x64_bind(a, &out);
    x64_alu_ri(a, X64_SUB, false, X64_RAX, 1);
    x64_jmp(a, leave);
}

/** Call jit_call_out() for the site in ecx; locals and what is live beside guest registers
 *  are in memory. */
static void thunk_call(struct jit_lower *l, struct x64_label *elsewhere)
{
    struct x64 *const a = &l->a;
    struct x64_label out = {0};

    x64_alu_ri(a, X64_SUB, true, X64_RSP, 8);
    pinned(l, false);
    x64_mov_ri(a, X64_RDI, (uint64_t)(uintptr_t)l->jit);
    x64_mov_rr(a, false, X64_RSI, X64_RCX);
    x64_mov_ri(a, X64_RAX, (uint64_t)(uintptr_t)jit_call_out);
    x64_call_r(a, X64_RAX);
    x64_alu_ri(a, X64_ADD, true, X64_RSP, 8);
    x64_test_rr(a, false, X64_RAX, X64_RAX);
    x64_jcc(a, X64_NE, &out);
    x64_load(a, 3, false, X64_TABLE, X64_STATE(l, data));
    pinned(l, true);
    x64_ret(a);
    x64_bind(a, &out);
    x64_alu_ri(a, X64_ADD, true, X64_RSP, 8);
    x64_jmp(a, elsewhere);
}

/** Call jit_slow() for the site in ecx. */
static void thunk_slow(struct jit_lower *l, bool fp, struct x64_label *elsewhere)
{
    struct x64 *const a = &l->a;
    struct x64_label out = {0};

    x64_alu_ri(a, X64_SUB, true, X64_RSP, FRAME);
    frame_int(l, false);
    if (fp)
        frame_fp(l, false);
    x64_mov_ri(a, X64_RDI, (uint64_t)(uintptr_t)l->jit);
    x64_mov_rr(a, true, X64_RSI, X64_RSP);
    x64_mov_rr(a, false, X64_RDX, X64_RCX);
    x64_mov_ri(a, X64_RAX, (uint64_t)(uintptr_t)jit_slow);
    x64_call_r(a, X64_RAX);
    x64_test_rr(a, false, X64_RAX, X64_RAX);
    x64_jcc(a, X64_NE, &out);
    x64_load(a, 3, false, X64_TABLE, X64_STATE(l, data));
    frame_int(l, true);
    if (fp)
        frame_fp(l, true);
    x64_alu_ri(a, X64_ADD, true, X64_RSP, FRAME);
    x64_ret(a);
    x64_bind(a, &out);
    x64_alu_ri(a, X64_ADD, true, X64_RSP, FRAME + 8);
    x64_jmp(a, elsewhere);
}

/** Go on at guest address rax: what the fetch TLB says, by the table of units. */
static void thunk_jump(struct jit_lower *l, struct x64_label *leave)
{
    const int32_t table = (int32_t)offsetof(struct sm_tlb_table, slot[SM_FETCH]);
    struct x64 *const a = &l->a;
    struct x64_label look_up = {0};

    if (!(l->jit->flags & JIT_NO_JUMPS)) {
        x64_slot(a, X64_RCX, X64_RDX, X64_RAX);
        x64_alu_rm(a, X64_ADD, true, X64_RCX, X64_STATE(l, fetch));
        x64_mov_rr(a, true, X64_RDX, X64_RAX);
        x64_alu_ri(a, X64_AND, true, X64_RDX, -(int32_t)SM_PAGE_SIZE);
        x64_alu_rm(a, X64_CMP, true, X64_RDX, x64_at(X64_RCX, table));
        x64_jcc(a, X64_NE, &look_up);
        x64_store(a, 3, X64_STATE(l, page), X64_RDX);
        x64_load(a, 3, false, X64_RCX,
                 x64_at(X64_RCX,
                        table + (int32_t)offsetof(struct sm_tlb_entry, host_bias)));
        x64_alu_rr(a, X64_ADD, true, X64_RCX, X64_RAX);
        /* jit_jump_slot(), times the size of an entry. */
        x64_rorx(a, true, X64_RDX, X64_RCX, SM_PAGE_BITS);
        x64_alu_rr(a, X64_ADD, false, X64_RDX, X64_RCX);
        x64_alu_ri(a, X64_AND, false, X64_RDX, ((1 << JIT_JUMP_BITS) - 1) << 1);
        x64_shift_ri(a, X64_SHL, false, X64_RDX, 3);
        x64_alu_rm(a, X64_ADD, true, X64_RDX, X64_STATE(l, jumps));
        x64_alu_rm(a, X64_CMP, true, X64_RCX,
                   x64_at(X64_RDX, offsetof(struct jit_jump_entry, host)));
        x64_jcc(a, X64_NE, &look_up);
        x64_jmp_m(a, x64_at(X64_RDX, offsetof(struct jit_jump_entry, code)));
    }
    x64_bind(a, &look_up);
    x64_store(a, 3, X64_STATE(l, pc), X64_RAX);
    x64_mov_ri(a, X64_RAX, JIT_OUT_LOOKUP);
    x64_jmp(a, leave);
}
SM_STATIC_ASSERT(sizeof(struct jit_jump_entry) == 16, "a shift by 3 of twice the index");

/** Constants, whose order is enum x64_pool's. */
static void pool(struct x64 *a)
{
    static const uint64_t pool[X64_N_POOL][2] = {
        [X64_POOL_SIGN + JIT_SINGLE] = {X64_SIGN_S},
        [X64_POOL_SIGN + JIT_DOUBLE] = {X64_SIGN_D},
        [X64_POOL_REST + JIT_SINGLE] = {~X64_SIGN_S},
        [X64_POOL_REST + JIT_DOUBLE] = {~X64_SIGN_D},
        [X64_POOL_NAN + JIT_SINGLE] = {X64_NAN_S},
        [X64_POOL_NAN + JIT_DOUBLE] = {X64_NAN_D},
        [X64_POOL_BOX] = {X64_BOX},
    };
    uint8_t *flags = a->at + X64_POOL_FLAGS * sizeof(pool[0]);

    if ((size_t)(a->end - a->at) < sizeof(pool)) {
        a->overflow = true;
        return;
    }
    memcpy(a->at, pool, sizeof(pool));
    for (unsigned mxcsr = 0; mxcsr <= MXCSR_FLAGS; mxcsr++)
        *flags++ = (uint8_t)(((mxcsr & MXCSR_IE) ? JIT_FINVALID : 0) |
                             ((mxcsr & MXCSR_ZE) ? JIT_FDIVIDE : 0) |
                             ((mxcsr & MXCSR_OE) ? JIT_FOVERFLOW : 0) |
                             ((mxcsr & MXCSR_UE) ? JIT_FUNDERFLOW : 0) |
                             ((mxcsr & MXCSR_PE) ? JIT_FINEXACT : 0));
    a->at += sizeof(pool);
}

bool jit_host_thunks(struct jit *jit)
{
    struct jit_lower *const l = jit->lower;
    struct jit_mcode *const code = &jit->code;
    struct x64_label leave = {0}, back = {0}, jump = {0}, elsewhere = {0};
    struct x64 *const a = &l->a;

    l->jit = jit;
    x64_init(a, code->write, code->size);
    memcpy(&jit->enter, &(const void *){code->run}, sizeof(jit->enter));
    thunk_enter(l);
    x64_align(a, 16);
    jit->leave = jit_mcode_run(code, a->at);
    x64_bind(a, &leave);
    pinned(l, false);
    x64_bind(a, &back);
    thunk_return(l);
    x64_align(a, 16);
    jit->link = jit_mcode_run(code, a->at);
    x64_store(a, 3, X64_STATE(l, exit), X64_RAX);
    x64_mov_ri(a, X64_RAX, JIT_OUT_LINK);
    x64_jmp(a, &leave);
    x64_align(a, 16);
    jit->jump = jit_mcode_run(code, a->at);
    x64_bind(a, &jump);
    thunk_jump(l, &leave);
    x64_align(a, 16);
    x64_bind(a, &elsewhere);
    thunk_elsewhere(l, &jump, &back);
    x64_align(a, 16);
    jit->call = jit_mcode_run(code, a->at);
    thunk_call(l, &elsewhere);
    for (unsigned fp = 0; fp < 2; fp++) {
        x64_align(a, 16);
        jit->slow[fp] = jit_mcode_run(code, a->at);
        thunk_slow(l, fp, &elsewhere);
    }
    for (unsigned kind = 0; kind < 4; kind++) {
        x64_align(a, 16);
        jit->near[kind >> 1][kind & 1] = jit_mcode_run(code, a->at);
        x64_thunk_near(l, kind >> 1, kind & 1);
    }
    x64_align(a, 16);
    jit->pool = jit_mcode_run(code, a->at);
    pool(a);
    code->used = jit->thunks = (size_t)(a->at - code->write);
    jit_mcode_publish(code, code->write, code->used);
    return !a->overflow;
}

/* --- Patching ------------------------------------------------------------------------- */

void jit_host_link(struct jit *jit, struct jit_exit *exit)
{
    (void)jit;
    if (!exit->to) {
        x64_patch(exit->jump, exit->unlinked);
    } else if (exit->kind == JIT_EXIT_FAR) {
        memcpy(exit->page, &exit->to->page, sizeof(exit->to->page));
        x64_patch(exit->far, exit->to->code);
        x64_patch(exit->jump, exit->guard);
    } else {
        x64_patch(exit->jump, exit->to->code);
    }
}

void jit_host_stamp(struct jit *jit, struct jit_unit *unit, uint32_t stamp)
{
    (void)jit;
    for (unsigned n = 0; n < unit->n_stamps; n++)
        memcpy(unit->stamp[n], &stamp, sizeof(stamp));
}

/* --- Floating-point mode ---------------------------------------------------------------- */

uint32_t jit_host_fp_take(void)
{
    const uint32_t flags = _mm_getcsr() & MXCSR_FLAGS;

    _mm_setcsr(MXCSR_DEFAULT);
    return flags;
}

void jit_host_fp_give(uint32_t mxcsr)
{
    _mm_setcsr(mxcsr);
}
