/* SPDX-License-Identifier: MIT */
/* interp_impl.h - decoded blocks, and what block.c and interp*.c share.
 *
 * Layer: riscv, private to the interpreter.
 *
 * A block is a run of instructions within one page, decoded into slots that name
 * their handler.  It is keyed by the host address of its first byte and by where in
 * a page that is, never by a guest address, so one block serves every mapping of its
 * memory.  Blocks of one page link to each other: whoever runs a page by a valid
 * translation may run on within it.  What could end that translation - a fence, a
 * change of regime, a flush that others asked for - ends the block or waits for the
 * safe point at the next one's beginning, and both go back to the fetch TLB.
 *
 * Invariants:
 *  (B1) A block whose .epoch is the hart's code_epoch was equal to memory at some time
 *       after the hart's last FENCE.I, or its page is quiet (code.h).  With .check_code
 *       none is, and a block that stores ends there: each was equal to memory when it was
 *       entered.
 *  (B2) A link leads to a block of the same page, which pc reaches by the same
 *       distance whatever the page's guest address is.  A guess leads anywhere: it
 *       is followed only where the fetch TLB has the same answer.
 *  (B3) A block has at most RV_BLOCK_INSNS instructions: two lie within the 64 that
 *       may separate safe points.
 *  (B4) An instruction that crosses a page, or lies where fetches may not go straight
 *       to host memory, is decoded anew each time, into the cache's .single.
 *  (B5) With a checker, a block was equal to memory after the hart's .fences_i-th FENCE.I
 *       and after the checker's .order-th store.
 */
#ifndef RISCV_INTERP_IMPL_H
#define RISCV_INTERP_IMPL_H

#include "riscv/riscv_impl.h"

enum {
    RV_BLOCK_INSNS = 32,
    RV_BLOCK_BYTES = 4 * RV_BLOCK_INSNS,
    RV_BLOCK_HASH_BITS = 17,
    RV_BLOCK_ARENA = 32 << 20 /* bytes, touched as it fills: some 120000 blocks */
};

/** Operations that have a handler of their own. */
#define RV_OWN_OPS(X)                                                                    \
    X(auipc) X(jal) X(jalr) X(beq) X(bne) X(blt) X(bge) X(bltu) X(bgeu)                  \
    X(lb) X(lh) X(lw) X(ld) X(lbu) X(lhu) X(lwu) X(sb) X(sh) X(sw) X(sd)                 \
    X(flw) X(fld) X(fsw) X(fsd) X(fence)                                                 \
    X(addi) X(slti) X(sltiu) X(xori) X(ori) X(andi) X(slli) X(srli) X(srai)              \
    X(addiw) X(slliw) X(srliw) X(sraiw)                                                  \
    X(add) X(sub) X(sll) X(slt) X(sltu) X(xor) X(srl) X(sra) X(or) X(and)                \
    X(addw) X(subw) X(sllw) X(srlw) X(sraw)                                              \
    X(mul) X(mulh) X(mulhsu) X(mulhu) X(div) X(divu) X(rem) X(remu)                      \
    X(mulw) X(divw) X(divuw) X(remw) X(remuw)                                            \
    X(add_uw) X(sh1add) X(sh2add) X(sh3add) X(sh1add_uw) X(sh2add_uw) X(sh3add_uw)       \
    X(slli_uw) X(andn) X(orn) X(xnor) X(clz) X(ctz) X(cpop) X(clzw) X(ctzw) X(cpopw)     \
    X(sext_b) X(sext_h) X(zext_h) X(orc_b) X(rev8) X(min) X(minu) X(max) X(maxu)         \
    X(rol) X(ror) X(rori) X(rolw) X(rorw) X(roriw) X(clmul) X(clmulr) X(clmulh)          \
    X(bclr) X(bclri) X(bext) X(bexti) X(binv) X(binvi) X(bset) X(bseti)                  \
    X(czero_eqz) X(czero_nez)

/** What a slot does otherwise.  The last four carry their struct rv_insn in the slot
 *  after. */
#define RV_COMMON_KINDS(X) X(end) X(nop) X(li) X(fp) X(memory) X(system) X(illegal)

enum rv_kind {
#define X(name) RV_KIND_##name,
    RV_COMMON_KINDS(X) RV_OWN_OPS(X)
#undef X
    RV_N_KINDS
};

struct rv_slot {
    const void *handler; /* label within rv_interpret()                        */
    int32_t imm;         /* of jumps: from the block's beginning               */
    uint8_t rd, rs1, rs2; /* rd: RV_X_SINK for x0; of fp: whether it writes f  */
    uint8_t at;          /* distance from the block's beginning, in halfwords  */
};
SM_STATIC_ASSERT(sizeof(struct rv_slot) == sizeof(struct rv_insn),
                 "an instruction can follow in a slot's place");

enum { RV_NEAR_NEXT = 1 << 0, RV_NEAR_TAKEN = 1 << 1 };

struct rv_block {
    const uint8_t *host; /* NULL: differed from memory, and is in no list      */
    uint64_t epoch;
    uint64_t fences_i, order; /* (B5); rv_checks() only                         */
    struct rv_block *link[2]; /* what follows; what a jump leads to; or NULL   */
    struct rv_block *guess;   /* where it last led beyond the page, or NULL    */
    uint64_t starts; /* bit n: an instruction begins at halfword n             */
    uint64_t data;   /* bit n: one that accesses data does                     */
    struct rv_block *next; /* of the same hash                                 */
    struct rv_block *page_next; /* .listed: of the same page                   */
    struct rv_unit *unit;  /* that begins here, or NULL; since .unit_resets     */
    uint64_t unit_resets;
    uint32_t heat;         /* entries left, this one included, to where a unit is
                              asked for                                        */
    uint16_t page_offset;
    uint8_t n_insns, n_data;
    uint8_t size;    /* bytes                                                  */
    uint8_t n_slots; /* the bytes it was decoded from follow .slot[n_slots]    */
    uint8_t near;    /* RV_NEAR_*: which links may be set (B2)                 */
    bool listed;     /* at the record of its page (C1)                         */
    struct rv_slot slot[];
};

struct rv_block_cache {
    const void *const *labels; /* by enum rv_kind                              */
    struct rv_block **heads;
    uint8_t *arena;
    size_t used;
    uint64_t resets; /* whoever kept a block across one looks for it again     */
    union {
        struct rv_block block;
        uint64_t space[(sizeof(struct rv_block) + 3 * sizeof(struct rv_slot)) / 8 + 1];
    } single; /* (B4)                                                          */
};

SM_INLINE const uint8_t *rv_block_bytes(const struct rv_block *block)
{
    return (const uint8_t *)(block->slot + block->n_slots);
}

SM_INLINE unsigned rv_block_hash(const uint8_t *host)
{
    return (unsigned)((((uintptr_t)host >> 1) * UINT64_C(0x9e3779b97f4a7c15)) >>
                      (64 - RV_BLOCK_HASH_BITS));
}

/** Whether @block is what the fetch TLB has at @pc.  Unlike a search this leaves the
 *  block's address to be guessed, and no later instruction waits for the compares. */
SM_INLINE bool rv_block_is_at(const struct rv_hart *hart, const struct rv_block *block,
                              uint64_t pc)
{
    const struct sm_tlb_table *table = hart->fast->table[hart->mode_fetch];
    void *host;

    return sm_tlb_hit(table, pc, 2, SM_FETCH, &host) && block->host == host &&
           block->page_offset == (pc & ~SM_PAGE_MASK);
}

/** Find the block at @pc, whose page the fetch TLB has at @host. */
SM_INLINE struct rv_block *rv_block_at(const struct rv_hart *hart, uint64_t pc,
                                       const uint8_t *host)
{
    struct rv_block *block;

    for (block = hart->blocks->heads[rv_block_hash(host)]; block; block = block->next)
        if (block->host == host && block->page_offset == (pc & ~SM_PAGE_MASK))
            return block;
    return NULL;
}

/** Whether what is at @pc and @host is the first half of an instruction of two pages. */
SM_INLINE bool rv_crosses(uint64_t pc, const void *host)
{
    return (pc & ~SM_PAGE_MASK) == SM_PAGE_SIZE - 2 && (sm_host_load(host, 1) & 3) == 3;
}

/** As sm_tlb_hit() says for two bytes at @pc, also while each use is checked: after a
 *  touch. */
SM_INLINE bool rv_fetch_hit(const struct rv_hart *hart, uint64_t pc, void **host)
{
    const struct sm_tlb_table *table = hart->fast->table[hart->mode_fetch];
    const struct sm_tlb_entry *entry = &table->slot[SM_FETCH][sm_tlb_slot(pc)];

    if ((entry->tag & ~(uint64_t)SM_TLB_CHECK) != (pc & SM_PAGE_MASK))
        return false;
    *host = (void *)(uintptr_t)(pc + entry->host_bias);
    return true;
}

/** Find the block at @pc, if the fetch TLB and the cache have it.  Its .epoch is not
 *  looked at. */
SM_INLINE struct rv_block *rv_block_find(const struct rv_hart *hart, uint64_t pc)
{
    const struct sm_tlb_table *table = hart->fast->table[hart->mode_fetch];
    void *host;

    return sm_tlb_hit(table, pc, 2, SM_FETCH, &host) ? rv_block_at(hart, pc, host) : NULL;
}

/** How the execution of one instruction ended. */
enum rv_next {
    RV_NEXT,       /* retired                                                  */
    RV_NEXT_LEAVE, /* retired; pass a safe point, look at interrupts, look up
                      again what comes next                                    */
    RV_NEXT_JUMP,  /* the same, and hart->pc was set                           */
    RV_NEXT_WAIT,  /* retired; rv_hart_run() returns RV_RUN_WFI                */
    RV_NEXT_TRAP,  /* not retired; *trap says why                              */
    RV_NEXT_STOP   /* not retired: a debugger watches what it would do          */
};

/** FENCE with .imm @fields: 1 if it keeps a load after it from passing a store before it,
 *  which hosts otherwise do; 0 if not. */
int32_t rv_fence_is_full(int32_t fields);

/** Whether memory holds what @block was decoded from. */
bool rv_block_equals_memory(const struct rv_block *block);

/** Compare a block of an older epoch with memory, which a valid fetch translation
 *  reaches.  Returns false if it differs: it is then forgotten. */
bool rv_block_verify(struct rv_hart *hart, struct rv_block *block);

/** Decode a block at @pc, asking the TLB.
 *  @out     gets it; it may be the cache's .single, to be executed at once
 *  Returns  RV_NEXT, RV_NEXT_TRAP or RV_NEXT_STOP */
enum rv_next rv_block_make(struct rv_hart *hart, uint64_t pc, struct rv_block **out,
                           struct rv_trap *trap);

/** Fetch and decode the one instruction at @pc into the cache's .single. */
enum rv_next rv_block_single(struct rv_hart *hart, uint64_t pc, struct rv_block **out,
                             struct rv_trap *trap);

/* --- check.c --------------------------------------------------------------- */

/** Tell if @block, which is about to run at @pc, differs from memory, and no FENCE.I has
 *  ordered what changed it. */
void rv_check_block(struct rv_hart *hart, const struct rv_block *block, uint64_t pc);
/** Have the checker know who stores to the code at hart->pc from now on.
 *  Returns  the number of the last store before (B5) */
uint64_t rv_check_code_order(struct rv_hart *hart);

/* --- interp.c -------------------------------------------------------------- */

/** The handlers' addresses, by enum rv_kind. */
const void *const *rv_interpret_labels(void);

/* --- interp_mem.c ---------------------------------------------------------- */

/** Turn a slow path's answer into the interpreter's. */
SM_INLINE enum rv_next rv_stepped(enum sm_step step, const struct sm_fault *fault,
                                  struct rv_trap *trap)
{
    switch (step) {
    case SM_STEP_DONE: return RV_NEXT;
    case SM_STEP_DONE_LEAVE: return RV_NEXT_LEAVE;
    case SM_STEP_STOP: return RV_NEXT_STOP;
    case SM_STEP_FAULT: break;
    }
    *trap = (struct rv_trap){.cause = fault->cause, .tval = fault->gva};
    return RV_NEXT_TRAP;
}

SM_INLINE struct sm_memop rv_memop(const struct rv_hart *hart, unsigned size_bits)
{
    return (struct sm_memop){.size_bits = (uint8_t)size_bits, .mode = hart->mode_data};
}

SM_INLINE enum rv_next rv_load_declined(struct rv_hart *hart, sm_gva gva,
                                        unsigned size_bits, uint64_t *value,
                                        struct rv_trap *trap)
{
    struct sm_fault fault = {0};
    struct sm_value loaded = {0};
    const enum sm_step step =
        sm_tlb_read_slow(hart->vcpu, gva, rv_memop(hart, size_bits), &loaded, &fault);

    *value = loaded.lo;
    return rv_stepped(step, &fault, trap);
}

SM_INLINE enum rv_next rv_store_declined(struct rv_hart *hart, sm_gva gva,
                                         unsigned size_bits, uint64_t value,
                                         struct rv_trap *trap)
{
    struct sm_fault fault = {0};
    const struct sm_value stored = {.lo = value & sm_mask(8u << size_bits)};
    const enum sm_step step =
        sm_tlb_write_slow(hart->vcpu, gva, rv_memop(hart, size_bits), stored, &fault);

    return rv_stepped(step, &fault, trap);
}

/** Load or store 1 << @size_bits bytes where the hit path declined: the above, out of
 *  line. */
enum rv_next rv_load_slow(struct rv_hart *hart, sm_gva gva, unsigned size_bits,
                          uint64_t *value, struct rv_trap *trap);
enum rv_next rv_store_slow(struct rv_hart *hart, sm_gva gva, unsigned size_bits,
                           uint64_t value, struct rv_trap *trap);
/** Bits of .imm of LR, SC and AMOs. */
enum rv_order { RV_RL = 1, RV_AQ = 2 };
/** LR, SC and AMOs of 1 << @size_bits bytes, 2 or 3, at any @gva, as if without order.
 *  What they give is extended as a register gets it. */
enum rv_next rv_load_reserved(struct rv_hart *hart, sm_gva gva, unsigned size_bits,
                              uint64_t *value, struct rv_trap *trap);
enum rv_next rv_store_conditional(struct rv_hart *hart, sm_gva gva, unsigned size_bits,
                                  uint64_t value, uint64_t *failed, struct rv_trap *trap);
enum rv_next rv_rmw(struct rv_hart *hart, sm_gva gva, unsigned size_bits, enum sm_rmw rmw,
                    uint64_t operand, uint64_t *old, struct rv_trap *trap);
/** Whether @op is an AMO, and which. */
bool rv_rmw_of(enum rv_op op, enum sm_rmw *rmw);
/** Execute LR, SC, an AMO or a cache-block instruction. */
enum rv_next rv_exec_memory(struct rv_hart *hart, const struct rv_insn *insn,
                            struct rv_trap *trap);

/* --- interp_system.c ------------------------------------------------------- */

/** Execute an access to a CSR. */
enum rv_next rv_exec_csr(struct rv_hart *hart, const struct rv_insn *insn,
                         struct rv_trap *trap);
/** Execute what ends a block and is not a plain jump.  hart->pc is its address, and
 *  hart->instret counts what retired before it. */
enum rv_next rv_exec_system(struct rv_hart *hart, const struct rv_insn *insn,
                            struct rv_trap *trap);

#endif
