/* SPDX-License-Identifier: MIT */
/* translate_call.c - what units call: slow loads and stores, CSRs, atomics, rare FP.
 *
 * Generated code has hart->jit.pc and the counter exact here, and for calls also the
 * registers at home (J2); hart->pc, which the interpreter's functions want, is set from the
 * one.
 */
#include "riscv/interp_impl.h"
#include "riscv/interp_int.h"
#include "riscv/translate.h"

#include "base/alloc.h"

/* --- In and out of a call ---------------------------------------------------- */

/** What was when a call began. */
struct rv_before {
    uint64_t resets; /* of blocks: if there were others, the unit has ended, too */
    uint64_t moved;
};

static struct rv_before rv_calling(struct rv_hart *hart)
{
    hart->pc = hart->jit.pc;
    return (struct rv_before){hart->blocks->resets, hart->fetches_moved};
}

/** What was called may have selected other contexts. */
static void rv_tables(struct rv_hart *hart)
{
    hart->jit.data = hart->fast->table[hart->mode_data];
    hart->jit.fetch = hart->fast->table[hart->mode_fetch];
}

static SM_NOINLINE void rv_fill_fetch(struct rv_hart *hart, uint64_t pc)
{
    struct sm_fault fault = {0};
    void *host;

    (void)sm_tlb_touch(hart->vcpu, pc, 2, SM_FETCH, hart->mode_fetch, 0, &host, &fault);
    rv_tables(hart);
}

/** Have the fetch TLB ready for @pc, to be found without leaving generated code; a fault is
 *  the interpreter's to find again. */
static void rv_prefetch(struct rv_hart *hart, uint64_t pc)
{
    void *host;

    if (SM_UNLIKELY(!sm_tlb_hit(hart->jit.fetch, pc, 2, SM_FETCH, &host)))
        rv_fill_fetch(hart, pc);
}

/** Go on at hart->pc, where control went. */
static uint32_t rv_jumped(struct rv_hart *hart)
{
    rv_tables(hart);
    rv_prefetch(hart, hart->pc);
    hart->jit.pc = hart->pc;
    return JIT_JUMPED;
}

/** The same, by an instruction, which retires. */
static uint32_t rv_returned(struct rv_hart *hart)
{
    hart->instret++;
    if (SM_UNLIKELY(rv_interrupt_due(hart))) /* before what is jumped to */
        sm_vcpu_kick(hart->vcpu);
    return rv_jumped(hart);
}

/** Go on behind the instruction, wherever that is by now. */
static uint32_t rv_refetch(struct rv_hart *hart)
{
    rv_tables(hart);
    rv_prefetch(hart, hart->jit.pc); /* most often of the same page as what is next */
    return JIT_REFETCH;
}

/** Go on behind what was called, if its unit has not ended. */
SM_ALWAYS_INLINE uint32_t rv_went_on(struct rv_hart *hart, struct rv_before before)
{
    rv_tables(hart);
    if (SM_UNLIKELY(hart->blocks->resets != before.resets))
        return JIT_LEAVE;
    return SM_LIKELY(hart->fetches_moved == before.moved) ? JIT_GO : rv_refetch(hart);
}

/** End one that ended with @next.
 *  Returns  enum jit_status */
static uint32_t rv_called(struct rv_hart *hart, enum rv_next next,
                          const struct rv_trap *trap, struct rv_before before)
{
    switch (next) {
    case RV_NEXT_LEAVE: /* for the sake of an interrupt, or of what else ends units */
        if (rv_interrupt_due(hart)) {
            rv_tables(hart);
            return JIT_LEAVE;
        }
        return rv_went_on(hart, before);
    case RV_NEXT: return rv_went_on(hart, before);
    case RV_NEXT_JUMP:
        return rv_returned(hart);
    case RV_NEXT_TRAP:
        rv_take_exception(hart, trap->cause, trap->tval);
        return rv_jumped(hart);
    case RV_NEXT_WAIT: /* of no instruction that is called */
    case RV_NEXT_STOP: break;
    }
    rv_tables(hart);
    hart->jit_stop = true;
    return JIT_FAULT;
}

/** The same of an access to memory: who changes the map, or an interrupt's line, asks
 *  for a safe point. */
static uint32_t rv_accessed(struct rv_hart *hart, enum rv_next next,
                            const struct rv_trap *trap, struct rv_before before)
{
    if (SM_UNLIKELY(next > RV_NEXT_LEAVE))
        return rv_called(hart, next, trap, before);
    if (next == RV_NEXT_LEAVE && SM_UNLIKELY(sm_tlb_requested(hart->fast))) {
        rv_tables(hart);
        return JIT_LEAVE;
    }
    return rv_went_on(hart, before);
}

/** Leave the instruction to the interpreter. */
static uint32_t rv_aside(struct rv_hart *hart)
{
    hart->jit_stop = false;
    return JIT_FAULT;
}

/* --- Loads and stores ---------------------------------------------------------- */

uint32_t rv_jit_load(void *guest, uint64_t address, uint32_t mem)
{
    struct rv_hart *hart = guest;
    const struct rv_before before = rv_calling(hart);
    const unsigned bits = jit_mem_bits(mem);
    struct rv_trap trap = {0};
    uint64_t value = 0;
    const enum rv_next next = rv_load_declined(hart, address, bits, &value, &trap);

    if (mem & JIT_MEM_SIGNED)
        value = (uint64_t)sm_sign_extend(value, 8u << bits);
    hart->jit.value = value;
    return rv_accessed(hart, next, &trap, before);
}

uint32_t rv_jit_store(void *guest, uint64_t address, uint32_t mem)
{
    struct rv_hart *hart = guest;
    const struct rv_before before = rv_calling(hart);
    struct rv_trap trap = {0};
    const enum rv_next next =
        rv_store_declined(hart, address, jit_mem_bits(mem), hart->jit.value, &trap);

    return rv_accessed(hart, next, &trap, before);
}

void *rv_jit_fill(void *guest, uint64_t address, uint32_t rw)
{
    const struct rv_hart *hart = guest;

    return sm_tlb_try(hart->vcpu, address, hart->mode_data,
                      rw == JIT_WRITE ? SM_WRITE : SM_READ);
}

/** An atomic access that generated code does not do itself. */
struct rv_atomic {
    struct rv_hart *hart;
    struct rv_before before;
    struct rv_trap trap;
    uint64_t value; /* what it gives                                           */
};

static struct rv_atomic rv_atomic_begin(void *guest, uint64_t value)
{
    return (struct rv_atomic){guest, rv_calling(guest), {0}, value};
}

static uint32_t rv_atomic_end(struct rv_atomic *atomic, enum rv_next next)
{
    atomic->hart->jit.value = atomic->value;
    return rv_accessed(atomic->hart, next, &atomic->trap, atomic->before);
}

uint32_t rv_jit_rmw(void *guest, uint64_t address, uint32_t mem, uint32_t op)
{
    struct rv_atomic it = rv_atomic_begin(guest, 0);

    return rv_atomic_end(&it, rv_rmw(it.hart, address, jit_mem_bits(mem), (enum sm_rmw)op,
                                     it.hart->jit.value, &it.value, &it.trap));
}

uint32_t rv_jit_lr(void *guest, uint64_t address, uint32_t mem)
{
    struct rv_atomic it = rv_atomic_begin(guest, 0);

    return rv_atomic_end(&it, rv_load_reserved(it.hart, address, jit_mem_bits(mem),
                                               &it.value, &it.trap));
}

uint32_t rv_jit_sc(void *guest, uint64_t address, uint32_t mem)
{
    struct rv_atomic it = rv_atomic_begin(guest, 1); /* it fails */

    return rv_atomic_end(&it, rv_store_conditional(it.hart, address, jit_mem_bits(mem),
                                                   it.hart->jit.value, &it.value,
                                                   &it.trap));
}

uint32_t rv_jit_touch(void *guest, uint64_t address, uint32_t size, uint32_t rw)
{
    struct rv_hart *hart = guest;
    struct sm_fault fault = {0};
    void *host;

    const enum sm_step step =
        sm_tlb_touch(hart->vcpu, address, size, rw == JIT_WRITE ? SM_WRITE : SM_READ,
                     hart->mode_data, 0, &host, &fault);
    rv_tables(hart);
    return step == SM_STEP_FAULT ? JIT_FAULT : JIT_GO;
}

/* --- Floating point ------------------------------------------------------------ */

/** Bits of MXCSR.  Source: Intel SDM, "MXCSR Control and Status Register". */
enum {
    MXCSR_IE = 1 << 0, MXCSR_ZE = 1 << 2, MXCSR_OE = 1 << 3, MXCSR_UE = 1 << 4,
    MXCSR_PE = 1 << 5,
    MXCSR_MASKS = 0x3f << 7,
    MXCSR_RC_SHIFT = 13
};

enum { N_HOST_MODES = RV_RM_RUP + 1 }; /* those that MXCSR has come first */

void rv_jit_fp_ready(struct rv_hart *hart)
{
    static const uint8_t rounding[N_HOST_MODES] = {
        [RV_RM_RNE] = 0, [RV_RM_RDN] = 1, [RV_RM_RUP] = 2, [RV_RM_RTZ] = 3};
    const bool ready = (hart->mstatus & RV_MSTATUS_DIRTY) == RV_MSTATUS_DIRTY &&
                       hart->frm < N_HOST_MODES;

    hart->jit.fp_ready = ready;
    if (ready)
        hart->jit.mxcsr_guest =
            (uint32_t)MXCSR_MASKS | (uint32_t)rounding[hart->frm] << MXCSR_RC_SHIFT;
}

uint32_t rv_jit_fp_enter(void *guest)
{
    struct rv_hart *hart = guest;

    if (!(hart->mstatus & RV_MSTATUS_FS) || hart->frm >= N_HOST_MODES)
        return rv_aside(hart);
    /* Before what may only raise a flag, or fault yet: "dirty" may be said too often. */
    hart->mstatus |= RV_MSTATUS_DIRTY;
    rv_jit_fp_ready(hart);
    return JIT_GO;
}

void rv_jit_fp_flags(void *guest, uint32_t flags)
{
    struct rv_hart *hart = guest;
    unsigned raised = 0;

    if (flags & MXCSR_IE)
        raised |= RV_FFLAG_NV;
    if (flags & MXCSR_ZE)
        raised |= RV_FFLAG_DZ;
    if (flags & MXCSR_OE)
        raised |= RV_FFLAG_OF;
    if (flags & MXCSR_UE)
        raised |= RV_FFLAG_UF;
    if (flags & MXCSR_PE)
        raised |= RV_FFLAG_NX;
    hart->fflags = (uint8_t)(hart->fflags | raised);
}

static uint32_t rv_jit_illegal(struct rv_hart *hart, const struct rv_insn *insn)
{
    hart->pc = hart->jit.pc;
    rv_take_exception(hart, RV_CAUSE_ILLEGAL, insn->raw);
    return rv_jumped(hart);
}

uint32_t rv_jit_exec_fp(void *guest, const void *arg)
{
    const struct rv_insn *insn = arg;
    struct rv_hart *hart = guest;
    const struct rv_before before = rv_calling(hart);

    if (!(hart->mstatus & RV_MSTATUS_FS) || !rv_exec_fp(hart, insn))
        return rv_jit_illegal(hart, insn);
    hart->mstatus |= RV_MSTATUS_DIRTY;
    return rv_called(hart, RV_NEXT, NULL, before);
}

/* --- The rest -------------------------------------------------------------------- */

uint32_t rv_jit_exec_memory(void *guest, const void *arg)
{
    const struct rv_insn insn = *(const struct rv_insn *)arg; /* outlives a flush */
    struct rv_hart *hart = guest;
    const struct rv_before before = rv_calling(hart);
    struct rv_trap trap = {0};
    const enum rv_next next = rv_exec_memory(hart, &insn, &trap);

    return rv_accessed(hart, next, &trap, before);
}

uint32_t rv_jit_exec_system(void *guest, const void *arg)
{
    const struct rv_insn insn = *(const struct rv_insn *)arg;
    struct rv_hart *hart = guest;
    const struct rv_before before = rv_calling(hart);
    struct rv_trap trap = {0};
    const enum rv_next next = rv_exec_system(hart, &insn, &trap);

    return rv_called(hart, next, &trap, before);
}

uint32_t rv_jit_ecall(void *guest, const void *arg)
{
    struct rv_hart *hart = guest;

    (void)arg;
    hart->pc = hart->jit.pc;
    rv_take_exception(hart, (uint64_t)RV_CAUSE_ECALL_U + hart->priv, 0);
    return rv_jumped(hart);
}

uint32_t rv_jit_sret(void *guest, const void *arg)
{
    struct rv_hart *hart = guest;

    return rv_sret(hart) ? rv_returned(hart) : rv_jit_illegal(hart, arg);
}

uint32_t rv_jit_mret(void *guest, const void *arg)
{
    struct rv_hart *hart = guest;

    return rv_mret(hart) ? rv_returned(hart) : rv_jit_illegal(hart, arg);
}

uint32_t rv_jit_fence_i(void *guest, const void *arg)
{
    struct rv_hart *hart = guest;

    (void)arg;
    /* The unit that calls may be among those that ended. */
    return rv_fence_i(hart) ? rv_refetch(hart) : JIT_GO;
}

uint32_t rv_jit_exec_csr(void *guest, const void *arg)
{
    const struct rv_insn insn = *(const struct rv_insn *)arg;
    struct rv_hart *hart = guest;
    const uint64_t fs = hart->mstatus & RV_MSTATUS_FS;
    const uint8_t frm = hart->frm;
    const struct rv_before before = rv_calling(hart);
    struct rv_trap trap = {0};
    const uint32_t status =
        rv_called(hart, rv_exec_csr(hart, &insn, &trap), &trap, before);

    if (hart->frm != frm || (hart->mstatus & RV_MSTATUS_FS) != fs)
        hart->jit.fp_live = hart->jit.fp_ready = 0;
    return status;
}

uint32_t rv_jit_exec_clmul(void *guest, const void *arg)
{
    const struct rv_insn *insn = arg;
    struct rv_hart *hart = guest;
    const unsigned __int128 product =
        rv_clmul128(hart->x[insn->rs1], hart->x[insn->rs2]);
    const unsigned shift = insn->op == RV_OP_clmul    ? 0
                           : insn->op == RV_OP_clmulr ? 63
                                                      : 64;

    hart->x[insn->rd] = (uint64_t)(product >> shift);
    return JIT_GO;
}

/* --- What calls are given -------------------------------------------------------- */

/** Instructions of units, which end all at once. */
struct rv_kept {
    struct rv_kept *older;
    unsigned n;
    struct rv_insn insn[1000];
};

const struct rv_insn *rv_keep(struct rv_hart *hart, const struct rv_insn *insn)
{
    struct rv_kept *kept = hart->kept;

    if (!kept || kept->n == SM_ARRAY_LEN(kept->insn)) {
        kept = sm_alloc(sizeof(*kept));
        if (!kept)
            return NULL;
        kept->older = hart->kept;
        kept->n = 0;
        hart->kept = kept;
    }
    kept->insn[kept->n] = *insn;
    return &kept->insn[kept->n++];
}

void rv_kept_reset(struct rv_hart *hart)
{
    /* The newest stays: there will be more. */
    struct rv_kept *kept = hart->kept;

    if (!kept)
        return;
    hart->kept = kept->older;
    rv_kept_free(hart);
    *kept = (struct rv_kept){0};
    hart->kept = kept;
}

void rv_kept_free(struct rv_hart *hart)
{
    while (hart->kept) {
        struct rv_kept *kept = hart->kept;

        hart->kept = kept->older;
        sm_free(kept);
    }
}
