/* SPDX-License-Identifier: MIT */
/* interp.c - runs decoded blocks: the loop, jumps, the hit path.
 *
 * All handlers are labels of one function, each ending in a jump to the next one's;
 * what is rare is at the function's end, and what is rarer still in functions of
 * interp_mem.c and interp_system.c.
 *
 * The guest's pc is kept as that of the current block's beginning; an instruction's
 * is that plus its slot's .at.  Counters are raised at a block's beginning by what
 * the whole of it will have done, and what a way out of its middle leaves undone is
 * taken off there (rv_undo).
 *
 * A block's beginning is also where units of host code are entered (translate.h): once the
 * block's heat is spent.  After them the hart's state is all there is to go on with.
 */
#include "riscv/interp_impl.h"
#include "riscv/interp_int.h"
#include "riscv/translate.h"

SM_STATIC_ASSERT(2 * (int)RV_BLOCK_INSNS <= (int)SM_SAFE_POINT_MAX, "(B3) keeps (V2)");
SM_STATIC_ASSERT((int)RV_BLOCK_BYTES / 2 <= 64, "a bit of .starts for each halfword");

/** Leave @block before the instruction at halfword @at retires (@data_at: before the
 *  one there touches data): take the others off the counters. */
static void rv_undo(struct rv_hart *hart, const struct rv_block *block, unsigned at,
                    unsigned data_at)
{
    hart->instret -= (unsigned)__builtin_popcountll(block->starts & ~sm_mask(at));
    hart->data_accesses -=
        (unsigned)__builtin_popcountll(block->data & ~sm_mask(data_at));
}

/** The instruction at halfword @at as fetched. */
static uint32_t rv_block_raw(const struct rv_block *block, unsigned at)
{
    const uint8_t *bytes = rv_block_bytes(block) + 2 * at;
    const uint32_t low = bytes[0] | (uint32_t)bytes[1] << 8;

    if ((low & 3) != 3)
        return low;
    return low | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

/** Whether floating-point state may be used. */
SM_INLINE bool rv_fs_on(const struct rv_hart *hart)
{
    return (hart->mstatus & RV_MSTATUS_FS) != 0;
}

/** The instruction that was let through came to its end. */
static SM_NOINLINE void rv_passed(struct rv_hart *hart)
{
    sm_vcpu_watch_rearm(hart->vcpu);
    hart->passing = RV_PASS_NONE;
}

/* --- Macros of the handlers ------------------------------------------------------- */

#define RD  x[slot->rd]
#define RS1 x[slot->rs1]
#define RS2 x[slot->rs2]
#define IMM ((uint64_t)(int64_t)slot->imm)

/** Go on @n slots further. */
#define NEXT(n)                                                                          \
    do {                                                                                 \
        slot += (n);                                                                     \
        goto *slot->handler;                                                             \
    } while (0)

/** Enter @block, whose epoch is the hart's: it will do all that it is made of. */
#define INTERPRET()                                                                      \
    do {                                                                                 \
        hart->instret += block->n_insns;                                                 \
        hart->data_accesses += block->n_data;                                            \
        hart->stats.block_entries++;                                                     \
        slot = block->slot;                                                              \
        goto *slot->handler;                                                             \
    } while (0)

/** The same, or enter a unit if it is hot. */
#define BEGIN()                                                                          \
    do {                                                                                 \
        if (SM_UNLIKELY(--block->heat == 0))                                             \
            goto hot;                                                                    \
        INTERPRET();                                                                     \
    } while (0)

/** Go to the block that @which link of this one leads to, which begins at pc. */
#define FOLLOW(which)                                                                    \
    do {                                                                                 \
        struct rv_block *const follower = block->link[which];                            \
        if (SM_UNLIKELY(!follower)) {                                                    \
            if (which)                                                                   \
                goto unlinked_taken;                                                     \
            goto unlinked_next;                                                          \
        }                                                                                \
        if (SM_UNLIKELY(sm_tlb_requested(fast)))                                \
            goto requested;                                                              \
        if (SM_UNLIKELY(follower->epoch != hart->code_epoch)) {                          \
            if (which)                                                                   \
                goto stale_taken;                                                        \
            goto stale_next;                                                             \
        }                                                                                \
        block = follower;                                                                \
        BEGIN();                                                                         \
    } while (0)

/** Go to the block at pc, beyond this one's page or anywhere in it. */
#define GUESS()                                                                          \
    do {                                                                                 \
        struct rv_block *const follower = block->guess;                                  \
        if (SM_UNLIKELY(sm_tlb_requested(fast)))                                \
            goto requested;                                                              \
        if (SM_LIKELY(follower && rv_block_is_at(hart, follower, pc) &&                  \
                      follower->epoch == hart->code_epoch)) {                            \
            block = follower;                                                            \
            BEGIN();                                                                     \
        }                                                                                \
        link = &block->guess;                                                            \
        goto look_up;                                                                    \
    } while (0)

#define ALU(name, expression)                                                            \
    L_##name:                                                                            \
    {                                                                                    \
        RD = (expression);                                                               \
        NEXT(1);                                                                         \
    }

#define BRANCH(name, condition)                                                          \
    L_##name:                                                                            \
    {                                                                                    \
        if (condition) {                                                                 \
            pc += IMM;                                                                   \
            FOLLOW(1);                                                                   \
        }                                                                                \
        pc += block->size;                                                               \
        FOLLOW(0);                                                                       \
    }

#define LOAD(name, bits, type)                                                           \
    L_##name:                                                                            \
    {                                                                                    \
        void *host;                                                                      \
        gva = RS1 + IMM;                                                                 \
        if (SM_UNLIKELY(!sm_tlb_hit(table, gva, 1u << (bits), SM_READ, &host))) {        \
            hart->pc = pc + 2u * slot->at;                                               \
            next = rv_load_slow(hart, gva, bits, &value, &trap);                         \
            if (next <= RV_NEXT_LEAVE)                                                   \
                RD = (uint64_t)(type)value;                                              \
            goto accessed;                                                               \
        }                                                                                \
        RD = (uint64_t)(type)sm_host_load(host, bits);                                   \
        NEXT(1);                                                                         \
    }

#define STORE(name, bits, stored)                                                        \
    L_##name:                                                                            \
    {                                                                                    \
        void *host;                                                                      \
        gva = RS1 + IMM;                                                                 \
        if (SM_UNLIKELY(!sm_tlb_hit(table, gva, 1u << (bits), SM_WRITE, &host))) {       \
            hart->pc = pc + 2u * slot->at;                                               \
            next = rv_store_slow(hart, gva, bits, (stored), &trap);                      \
            goto accessed;                                                               \
        }                                                                                \
        sm_host_store(host, bits, (stored));                                             \
        NEXT(1);                                                                         \
    }

#define FLOAD(name, bits, box)                                                           \
    L_##name:                                                                            \
    {                                                                                    \
        void *host;                                                                      \
        if (SM_UNLIKELY(!rv_fs_on(hart)))                                                \
            goto illegal;                                                                \
        gva = RS1 + IMM;                                                                 \
        if (SM_UNLIKELY(!sm_tlb_hit(table, gva, 1u << (bits), SM_READ, &host))) {        \
            hart->pc = pc + 2u * slot->at;                                               \
            next = rv_load_slow(hart, gva, bits, &value, &trap);                         \
            if (next > RV_NEXT_LEAVE)                                                    \
                goto trapped;                                                            \
            hart->f[slot->rd] = value | (box);                                           \
            hart->mstatus |= RV_MSTATUS_DIRTY;                                           \
            goto accessed;                                                               \
        }                                                                                \
        hart->f[slot->rd] = sm_host_load(host, bits) | (box);                            \
        hart->mstatus |= RV_MSTATUS_DIRTY;                                               \
        NEXT(1);                                                                         \
    }

#define FSTORE(name, bits)                                                               \
    L_##name:                                                                            \
    {                                                                                    \
        void *host;                                                                      \
        if (SM_UNLIKELY(!rv_fs_on(hart)))                                                \
            goto illegal;                                                                \
        gva = RS1 + IMM;                                                                 \
        if (SM_UNLIKELY(!sm_tlb_hit(table, gva, 1u << (bits), SM_WRITE, &host))) {       \
            hart->pc = pc + 2u * slot->at;                                               \
            next = rv_store_slow(hart, gva, bits, hart->f[slot->rs2], &trap);            \
            goto accessed;                                                               \
        }                                                                                \
        sm_host_store(host, bits, hart->f[slot->rs2]);                                   \
        NEXT(1);                                                                         \
    }

/** The loop.  With @hart NULL it only tells @labels_out its handlers' addresses.
 *
 *  It is one function because a computed goto stays within its function, and
 *  each handler ends in such a jump of its own: the host then predicts each by what came
 *  before, and pc, slot, x and table stay in registers from one instruction to the next.
 *  A function for each handler would need calls that are guaranteed to be jumps, which not
 *  all compilers have.  What can be elsewhere is: what is computed is a table
 *  (interp_alu.def), accesses and ways to the next block are the macros above, and what is
 *  rare is called. */
static SM_NOINLINE enum rv_run rv_interpret(struct rv_hart *hart,
                                            const void *const **labels_out)
{
    static const void *const labels[RV_N_KINDS] = {
#define X(name) [RV_KIND_##name] = &&L_##name,
        RV_COMMON_KINDS(X) RV_OWN_OPS(X)
#undef X
    };
    const struct sm_tlb_table *table;
    struct sm_tlb_fast *fast;
    const struct rv_slot *slot;
    struct rv_block *block, **link;
    struct rv_unit *unit;
    enum rv_out out;
    uint64_t *x;
    uint64_t pc, gva, value;
    uint64_t resets; /* of the cache when @block was found: it is there as long */
    uint64_t aside = 1; /* where units lead back to, once; 1: nowhere */
    struct rv_trap trap;
    enum rv_next next;

    if (!hart) {
        *labels_out = labels;
        return RV_RUN_KICKED;
    }
    fast = hart->fast;
    x = hart->x;

refresh: /* hart->pc is exact, and nothing that was read of the hart still holds */
    sm_vcpu_safe_point(hart->vcpu);
    if (SM_UNLIKELY(hart->passing == RV_PASS_LAST))
        rv_passed(hart);
    if (sm_load_relaxed(&hart->kicked) && sm_exchange(&hart->kicked, 0))
        return RV_RUN_KICKED;
    if (SM_LIKELY(!hart->passing))
        rv_take_interrupt(hart);
    table = fast->table[hart->mode_data];
    resets = hart->blocks->resets;
    pc = hart->pc;
    link = NULL;
    if (SM_LIKELY(!hart->passing))
        goto look_up;
    hart->passing = RV_PASS_LAST;
    sm_vcpu_kick(hart->vcpu); /* back to here behind the instruction */
    next = rv_block_single(hart, pc, &block, &trap);
    table = fast->table[hart->mode_data];
    if (next == RV_NEXT)
        BEGIN();
    goto not_fetched;

    /* --- Between blocks --- */
unlinked_next:
    if (!(block->near & RV_NEAR_NEXT))
        GUESS();
    link = &block->link[0];
    goto look_up_polled;
unlinked_taken:
    if (!(block->near & RV_NEAR_TAKEN))
        GUESS();
    link = &block->link[1];
    goto look_up_polled;
stale_next:
    link = &block->link[0];
    goto look_up;
stale_taken:
    link = &block->link[1];
    goto look_up;

requested:
    hart->pc = pc;
    goto refresh;

look_up_polled:
    if (SM_UNLIKELY(sm_tlb_requested(fast)))
        goto requested;
look_up: /* the block at pc; *link, if there is one, shall lead there */
    block = rv_block_find(hart, pc);
    if (SM_UNLIKELY(!block || block->epoch != hart->code_epoch)) {
        next = rv_block_make(hart, pc, &block, &trap);
        if (SM_UNLIKELY(next != RV_NEXT))
            goto not_fetched;
        table = fast->table[hart->mode_data];
        if (hart->blocks->resets != resets || block == &hart->blocks->single.block ||
            rv_checks(hart)) /* what is linked runs unseen */
            link = NULL;
        resets = hart->blocks->resets;
    }
    if (link)
        *link = block;
    BEGIN();

hot: /* @block, which begins at pc, has a unit, or is worth one */
    block->heat = 1;
    hart->pc = pc;
    if (pc == aside) {
        aside = 1;
        INTERPRET();
    }
    unit = rv_unit_of(hart, block);
    if (!unit) {
        if (SM_UNLIKELY(sm_tlb_requested(fast))) /* by who looked */
            goto refresh;
        INTERPRET();
    }
    out = rv_units_run(hart, unit);
    table = fast->table[hart->mode_data];
    resets = hart->blocks->resets;
    pc = hart->pc;
    link = NULL;
    if (out == RV_OUT_REFRESH)
        goto refresh;
    if (out == RV_OUT_STOP)
        return RV_RUN_STOPPED;
    if (out == RV_OUT_INTERPRET)
        aside = pc;
    goto look_up_polled;

not_fetched:
    hart->pc = pc;
    if (next == RV_NEXT_STOP)
        return RV_RUN_STOPPED;
    rv_take_exception(hart, trap.cause, trap.tval);
    goto refresh;

L_end: /* no instruction: the block's end where it does not jump */
    pc += block->size;
    FOLLOW(0);

    /* --- Ways out of the middle of a block --- */
accessed: /* the slow way: what it had to serve may have changed much */
    table = fast->table[hart->mode_data];
    if (SM_LIKELY(next == RV_NEXT && hart->blocks->resets == resets))
        NEXT(1);
    if (next <= RV_NEXT_LEAVE) {
        slot++;
        goto leave;
    }
    goto trapped;

leave: /* what is before @slot retired */
    rv_undo(hart, block, slot->at, slot->at);
    hart->pc = pc + 2u * slot->at;
    goto refresh;

L_illegal:
illegal:
    trap = (struct rv_trap){RV_CAUSE_ILLEGAL, rv_block_raw(block, slot->at)};
    next = RV_NEXT_TRAP;
    rv_undo(hart, block, slot->at, slot->at); /* it did not ask the TLB */
    goto take;
trapped: /* what is before @slot retired, and @slot did not */
    rv_undo(hart, block, slot->at, slot->at + (next != RV_NEXT_STOP));
take:
    hart->pc = pc + 2u * slot->at;
    if (next == RV_NEXT_STOP)
        return RV_RUN_STOPPED;
    rv_take_exception(hart, trap.cause, trap.tval);
    goto refresh;

    /* --- Instructions by their kind --- */
L_memory:
    hart->pc = pc + 2u * slot->at;
    next = rv_exec_memory(hart, (const struct rv_insn *)(slot + 1), &trap);
    table = fast->table[hart->mode_data];
    if (SM_LIKELY(next == RV_NEXT && hart->blocks->resets == resets))
        NEXT(2);
    if (next <= RV_NEXT_LEAVE) {
        slot += 2;
        goto leave;
    }
    goto trapped;

L_system:
    hart->pc = pc + 2u * slot->at;
    hart->instret--; /* it retires after it is done, if at all */
    next = rv_exec_system(hart, (const struct rv_insn *)(slot + 1), &trap);
    hart->instret++;
    switch (next) {
    case RV_NEXT:
        pc += block->size;
        FOLLOW(0);
    case RV_NEXT_LEAVE:
        hart->pc = pc + block->size;
        goto refresh;
    case RV_NEXT_JUMP:
        goto refresh;
    case RV_NEXT_WAIT:
        hart->pc = pc + block->size;
        return RV_RUN_WFI;
    case RV_NEXT_TRAP:
    case RV_NEXT_STOP:
        break;
    }
    goto trapped;

L_fp: {
    const uint8_t fflags = hart->fflags;

    if (SM_UNLIKELY(!rv_fs_on(hart)))
        goto illegal;
    if (SM_UNLIKELY(!rv_exec_fp(hart, (const struct rv_insn *)(slot + 1))))
        goto illegal;
    if (slot->rd || hart->fflags != fflags)
        hart->mstatus |= RV_MSTATUS_DIRTY;
    x[0] = 0;
    NEXT(2);
}

L_fence:
    if (slot->imm)
        sm_fence();
    else
        __atomic_thread_fence(__ATOMIC_ACQ_REL);
    NEXT(1);

L_nop:
    NEXT(1);

    /* --- Jumps --- */
L_jal:
    RD = pc + block->size;
    pc += IMM;
    FOLLOW(1);

L_jalr: {
    const uint64_t target = (RS1 + IMM) & ~UINT64_C(1);

    RD = pc + block->size;
    pc = target;
    GUESS();
}

    BRANCH(beq, RS1 == RS2)
    BRANCH(bne, RS1 != RS2)
    BRANCH(blt, (int64_t)RS1 < (int64_t)RS2)
    BRANCH(bge, (int64_t)RS1 >= (int64_t)RS2)
    BRANCH(bltu, RS1 < RS2)
    BRANCH(bgeu, RS1 >= RS2)

    /* --- Memory --- */
    LOAD(lb, 0, int8_t)
    LOAD(lh, 1, int16_t)
    LOAD(lw, 2, int32_t)
    LOAD(ld, 3, uint64_t)
    LOAD(lbu, 0, uint8_t)
    LOAD(lhu, 1, uint16_t)
    LOAD(lwu, 2, uint32_t)
    STORE(sb, 0, RS2)
    STORE(sh, 1, RS2)
    STORE(sw, 2, RS2)
    STORE(sd, 3, RS2)
    FLOAD(flw, 2, UINT64_C(0xffffffff00000000))
    FLOAD(fld, 3, 0)
    FSTORE(fsw, 2)
    FSTORE(fsd, 3)

#include "riscv/interp_alu.def"
}

const void *const *rv_interpret_labels(void)
{
    const void *const *labels;

    rv_interpret(NULL, &labels);
    return labels;
}

void rv_hart_pass(struct rv_hart *hart)
{
    sm_vcpu_watch_pass(hart->vcpu);
    hart->passing = RV_PASS_NEXT;
}

enum rv_run rv_hart_run(struct rv_hart *hart)
{
    enum rv_run run;

    hart->wfi = false;
    run = rv_interpret(hart, NULL);
    rv_regime_count(hart);
    return run;
}

void rv_hart_kick(struct rv_hart *hart)
{
    sm_publish(&hart->kicked, 1); /* pairs with the loop's look after a safe point */
    sm_vcpu_kick(hart->vcpu);
    hart->ops->wake(hart->owner, hart);
}
