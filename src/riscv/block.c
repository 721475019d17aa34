/* SPDX-License-Identifier: MIT */
/* block.c - decodes blocks of instructions, keeps them, and forgets them. */
#include "base/hostmem.h"
#include "riscv/code.h"
#include "riscv/interp_impl.h"
#include "riscv/translate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- Cache ----------------------------------------------------------------- */

static void rv_blocks_reset(struct rv_hart *hart)
{
    struct rv_block_cache *const cache = hart->blocks;

    if (!cache->used) /* a hart that sleeps is told of every new view */
        return;
    rv_code_forget_blocks(hart);
    memset(cache->heads, 0, sizeof(*cache->heads) << RV_BLOCK_HASH_BITS);
    cache->used = 0;
    cache->resets++;
}

int rv_blocks_new(struct rv_hart *hart)
{
    struct rv_block_cache *cache = calloc(1, sizeof(*cache));

    if (!cache)
        return -ENOMEM;
    cache->heads = calloc((size_t)1 << RV_BLOCK_HASH_BITS, sizeof(*cache->heads));
    cache->arena = sm_hostmem_arena(RV_BLOCK_ARENA);
    if (!cache->heads || !cache->arena) {
        free(cache->heads);
        sm_hostmem_unmap(cache->arena, RV_BLOCK_ARENA);
        free(cache);
        return -ENOMEM;
    }
    cache->labels = rv_interpret_labels();
    hart->blocks = cache;
    return 0;
}

void rv_blocks_free(struct rv_hart *hart)
{
    struct rv_block_cache *cache = hart->blocks;

    if (!cache)
        return;
    free(cache->heads);
    sm_hostmem_unmap(cache->arena, RV_BLOCK_ARENA);
    free(cache);
    hart->blocks = NULL;
}

void rv_blocks_flush(struct rv_hart *hart)
{
    rv_blocks_reset(hart);
}

static void rv_block_insert(struct rv_block_cache *cache, struct rv_block *block)
{
    struct rv_block **head = &cache->heads[rv_block_hash(block->host)];

    block->next = *head;
    *head = block;
}

/** Put @block on the list of its page, for fences to find. */
static void rv_block_list(struct rv_code_page *page, struct rv_block *block)
{
    if (!page || block->listed)
        return;
    block->page_next = page->blocks;
    page->blocks = block;
    block->listed = true;
}

void rv_blocks_outdate(struct rv_hart *hart, struct rv_code_page *page)
{
    struct rv_block *block;

    for (block = page->blocks; block; block = block->page_next) {
        block->epoch = hart->code_epoch - 1;
        block->listed = false;
    }
    page->blocks = NULL;
}

void rv_blocks_unlist(struct rv_code_page *page)
{
    page->blocks = NULL;
}

static void rv_block_remove(struct rv_block_cache *cache, struct rv_code_page *page,
                            struct rv_block *block)
{
    struct rv_block **at = &cache->heads[rv_block_hash(block->host)];

    while (*at != block)
        at = &(*at)->next;
    *at = block->next;
    if (block->listed) { /* so there is a page */
        at = &page->blocks;
        while (*at != block)
            at = &(*at)->page_next;
        *at = block->page_next;
        block->listed = false;
    }
    block->host = NULL;
    block->epoch = UINT64_MAX; /* links may still lead here: never valid again */
}

/** That of a block which is equal to memory: with .check_code an old one, so that whoever
 *  comes to the block again compares it again. */
static uint64_t rv_block_epoch(const struct rv_hart *hart)
{
    return hart->code_epoch - hart->check_code;
}

bool rv_block_equals_memory(const struct rv_block *block)
{
    return rv_code_equals(rv_block_bytes(block), block->host, block->size);
}

bool rv_block_verify(struct rv_hart *hart, struct rv_block *block)
{
    struct rv_code_page *page;

    if (!block->host)
        return false;
    page = rv_code_page_at(hart, hart->pc, block->host);
    hart->stats.blocks_verified++;
    if (rv_checks(hart))
        block->order = rv_check_code_order(hart);
    if (rv_block_equals_memory(block)) {
        block->epoch = rv_block_epoch(hart);
        block->fences_i = hart->fences_i;
        rv_block_list(page, block);
        return true;
    }
    if (page)
        page->unchanged = 0;
    rv_block_remove(hart->blocks, page, block);
    return false;
}

/* --- Slots ----------------------------------------------------------------- */

static const uint8_t rv_kinds[RV_N_OPS] = {
#define X(name) [RV_OP_##name] = RV_KIND_##name,
    RV_OWN_OPS(X)
#undef X
};

/** How to execute an operation; RV_KIND_end: it has no handler of its own yet. */
static enum rv_kind rv_kind_of(const struct rv_isa *isa, const struct rv_insn *insn)
{
    const enum rv_kind own = (enum rv_kind)rv_kinds[insn->op];
    const enum rv_format format = (enum rv_format)rv_insn_table[insn->op].format;

    switch (format) {
    case RV_FMT_PREFETCH:
        return RV_KIND_nop;
    case RV_FMT_LR:
    case RV_FMT_AMO:
    case RV_FMT_CBO:
        return RV_KIND_memory;
    case RV_FMT_U:
        return insn->op == RV_OP_lui ? RV_KIND_li : own;
    case RV_FMT_B:
    case RV_FMT_J: /* where instructions are aligned to 4, the slow way checks */
        return !rv_isa_has(isa, RV_EXT_C) && (insn->imm & 2) ? RV_KIND_system : own;
    case RV_FMT_JALR:
        return !rv_isa_has(isa, RV_EXT_C) ? RV_KIND_system : own;
    case RV_FMT_I:
        return insn->op == RV_OP_addi && insn->rs1 == 0 ? RV_KIND_li : own;
    default:
        break;
    }
    if (own)
        return own;
    if (insn->op == RV_OP_illegal)
        return RV_KIND_illegal;
    if (insn->op == RV_OP_pause)
        return RV_KIND_nop;
    return format >= RV_FMT_FP_R ? RV_KIND_fp : RV_KIND_system;
}

static bool rv_kind_ends_block(enum rv_kind kind)
{
    switch (kind) {
    case RV_KIND_jal:
    case RV_KIND_jalr:
    case RV_KIND_beq:
    case RV_KIND_bne:
    case RV_KIND_blt:
    case RV_KIND_bge:
    case RV_KIND_bltu:
    case RV_KIND_bgeu:
    case RV_KIND_system:
    case RV_KIND_illegal:
        return true;
    default:
        return false;
    }
}

static bool rv_accesses_data(enum rv_format format)
{
    switch (format) {
    case RV_FMT_LOAD:
    case RV_FMT_S:
    case RV_FMT_FLOAD:
    case RV_FMT_FSTORE:
    case RV_FMT_LR:
    case RV_FMT_AMO:
    case RV_FMT_CBO:
        return true;
    default:
        return false;
    }
}

static bool rv_stores(enum rv_format format)
{
    return format == RV_FMT_S || format == RV_FMT_FSTORE || format == RV_FMT_AMO ||
           format == RV_FMT_CBO;
}

int32_t rv_fence_is_full(int32_t fields)
{
    /* The mode of FENCE.TSO leaves just that out. */
    enum { I = 8, O = 4, R = 2, W = 1, TSO = 8 };
    const int mode = fields >> 8, pred = (fields >> 4) & 15, succ = fields & 15;

    if ((mode & 15) == TSO && pred == (R | W) && succ == (R | W))
        return 0;
    return (pred & (W | O)) && (succ & (R | I));
}

/** Append @insn to @block.  Returns whether the block ends with it. */
static bool rv_block_append(struct rv_hart *hart, struct rv_block *block,
                            const struct rv_insn *insn)
{
    const enum rv_format format = (enum rv_format)rv_insn_table[insn->op].format;
    const enum rv_kind kind = rv_kind_of(&hart->isa, insn);
    struct rv_slot *slot = &block->slot[block->n_slots++];
    const uint64_t bit = UINT64_C(1) << (block->size / 2);

    *slot = (struct rv_slot){
        .handler = hart->blocks->labels[kind],
        .imm = insn->imm,
        .rd = insn->rd ? insn->rd : RV_X_SINK,
        .rs1 = insn->rs1,
        .rs2 = insn->rs2,
        .at = (uint8_t)(block->size / 2),
    };
    switch (kind) {
    case RV_KIND_fp:
        slot->rd = format != RV_FMT_FP_CMP && format != RV_FMT_FP_XF &&
                   format != RV_FMT_FP_XF_RM && format != RV_FMT_FP_XF_RTZ;
        break;
    case RV_KIND_flw:
    case RV_KIND_fld:
        slot->rd = insn->rd;
        break;
    case RV_KIND_fence:
        slot->imm = rv_fence_is_full(insn->imm);
        break;
    case RV_KIND_auipc:
    case RV_KIND_jal:
    case RV_KIND_beq:
    case RV_KIND_bne:
    case RV_KIND_blt:
    case RV_KIND_bge:
    case RV_KIND_bltu:
    case RV_KIND_bgeu:
        slot->imm += block->size;
        break;
    default:
        break;
    }
    if (kind == RV_KIND_fp || kind == RV_KIND_memory || kind == RV_KIND_system ||
        kind == RV_KIND_illegal)
        memcpy(&block->slot[block->n_slots++], insn, sizeof(*insn));

    if ((format == RV_FMT_B || format == RV_FMT_J) &&
        (uint64_t)((int64_t)block->page_offset + slot->imm) < SM_PAGE_SIZE)
        block->near |= RV_NEAR_TAKEN;
    block->starts |= bit;
    if (rv_accesses_data(format)) {
        block->data |= bit;
        block->n_data++;
    }
    block->n_insns++;
    block->size = (uint8_t)(block->size + insn->len);
    /* What is stored may be what comes next. */
    if (SM_UNLIKELY(hart->check_code) && rv_stores(format))
        return true;
    /* After PAUSE and between the spins of a lock comes a safe point early. */
    return rv_kind_ends_block(kind) || insn->op == RV_OP_pause;
}

static void rv_block_close(struct rv_hart *hart, struct rv_block *block)
{
    /* Behind a jump it is never reached, but says where the last one ends. */
    block->slot[block->n_slots++] = (struct rv_slot){
        .handler = hart->blocks->labels[RV_KIND_end],
        .at = (uint8_t)(block->size / 2),
    };
}

/* --- Decoding -------------------------------------------------------------- */

static void rv_block_init(struct rv_hart *hart, struct rv_block *block, uint64_t pc)
{
    *block = (struct rv_block){
        .epoch = rv_block_epoch(hart),
        .fences_i = hart->fences_i,
        .order = rv_checks(hart) ? rv_check_code_order(hart) : 0,
        .heat = UINT32_MAX,
        .page_offset = (uint16_t)(pc & ~SM_PAGE_MASK),
    };
}

/** Decode from @host, which is the page's rest from @pc on.
 *  Returns  NULL if the first instruction crosses the page's end */
static struct rv_block *rv_block_decode(struct rv_hart *hart, uint64_t pc,
                                        const uint8_t *host)
{
    enum {
        MAX_SLOTS = 2 * RV_BLOCK_INSNS + 1,
        MAX_BYTES = sizeof(struct rv_block) + MAX_SLOTS * sizeof(struct rv_slot) +
                    RV_BLOCK_BYTES
    };
    struct rv_block_cache *cache = hart->blocks;
    const unsigned rest = (unsigned)(SM_PAGE_SIZE - (pc & ~SM_PAGE_MASK));
    struct rv_code_page *page;
    struct rv_block *block;
    uint16_t bytes[RV_BLOCK_BYTES / 2];
    bool ended = false;

    if (cache->used + MAX_BYTES > RV_BLOCK_ARENA)
        rv_blocks_reset(hart);
    page = rv_code_page_at(hart, pc, host);
    block = (struct rv_block *)(void *)(cache->arena + cache->used);
    rv_block_init(hart, block, pc);
    while (!ended && block->n_insns < RV_BLOCK_INSNS && block->size + 2u <= rest) {
        const unsigned at = block->size;
        struct rv_insn insn;
        uint32_t word;

        /* Each byte is read once: others may be writing. */
        word = bytes[at / 2] = (uint16_t)sm_host_load(host + at, 1);
        if ((word & 3) == 3) {
            if (at + 4 > rest)
                break;
            bytes[at / 2 + 1] = (uint16_t)sm_host_load(host + at + 2, 1);
            word |= (uint32_t)bytes[at / 2 + 1] << 16;
        }
        rv_decode(&hart->isa, word, &insn);
        ended = rv_block_append(hart, block, &insn);
    }
    if (!block->n_insns)
        return NULL;
    rv_block_close(hart, block);
    if (block->page_offset + (unsigned)block->size < SM_PAGE_SIZE)
        block->near |= RV_NEAR_NEXT;
    memcpy(block->slot + block->n_slots, bytes, block->size);
    block->host = host;
    block->heat = rv_unit_heat(hart, block);
    rv_block_insert(cache, block);
    rv_block_list(page, block);
    cache->used += sizeof(*block) + block->n_slots * sizeof(struct rv_slot) +
                   sm_align_up(block->size, 8);
    hart->stats.blocks_decoded++;
    return block;
}

/** Fetch one parcel, of an instruction that may not come whole from host memory. */
static enum rv_next rv_fetch_parcel(struct rv_hart *hart, uint64_t pc, uint32_t *parcel,
                                    struct rv_trap *trap)
{
    const struct sm_memop op = {
        .size_bits = 1,
        .mode = hart->mode_fetch,
        .flags = SM_MEMOP_AS_FETCH,
    };
    struct sm_fault fault = {0};
    struct sm_value value = {0};
    void *host;

    if (SM_LIKELY(!rv_checks(hart) && sm_tlb_hit(hart->fast->table[hart->mode_fetch], pc, 2,
                                                 SM_FETCH, &host))) {
        *parcel = (uint32_t)sm_host_load(host, 1);
        return RV_NEXT;
    }
    /* DONE_LEAVE asks for a safe point after the instruction: the next block's
     * beginning is one, and its request is raised. */
    switch (sm_tlb_read_slow(hart->vcpu, pc, op, &value, &fault)) {
    case SM_STEP_DONE:
    case SM_STEP_DONE_LEAVE:
        *parcel = (uint32_t)value.lo & 0xffff;
        return RV_NEXT;
    case SM_STEP_STOP:
        return RV_NEXT_STOP;
    case SM_STEP_FAULT:
        break;
    }
    *trap = (struct rv_trap){.cause = fault.cause, .tval = fault.gva};
    return RV_NEXT_TRAP;
}

enum rv_next rv_block_single(struct rv_hart *hart, uint64_t pc, struct rv_block **out,
                             struct rv_trap *trap)
{
    struct rv_block *block = &hart->blocks->single.block;
    struct rv_insn insn;
    uint32_t word, high;
    enum rv_next next = rv_fetch_parcel(hart, pc, &word, trap);

    if (next == RV_NEXT && (word & 3) == 3) {
        next = rv_fetch_parcel(hart, pc + 2, &high, trap);
        word |= high << 16;
    }
    if (next != RV_NEXT)
        return next;
    rv_decode(&hart->isa, word, &insn);
    rv_block_init(hart, block, pc);
    rv_block_append(hart, block, &insn);
    rv_block_close(hart, block);
    block->near = 0;
    memcpy(block->slot + block->n_slots, &word, 4);
    *out = block;
    return RV_NEXT;
}

enum rv_next rv_block_make(struct rv_hart *hart, uint64_t pc, struct rv_block **out,
                           struct rv_trap *trap)
{
    struct sm_tlb_table *const *table = &hart->fast->table[hart->mode_fetch];
    struct sm_fault fault = {0};
    struct rv_block *block;
    void *host;

    hart->pc = pc; /* for who checks */
    if (rv_checks(hart) || !sm_tlb_hit(*table, pc, 2, SM_FETCH, &host)) {
        const enum sm_step step = sm_tlb_touch(hart->vcpu, pc, 2, SM_FETCH,
                                               hart->mode_fetch, 0, &host, &fault);
        if (step == SM_STEP_FAULT) {
            *trap = (struct rv_trap){.cause = fault.cause, .tval = fault.gva};
            return RV_NEXT_TRAP;
        }
        if (step == SM_STEP_STOP)
            return RV_NEXT_STOP;
    }
    /* Only a hit says that the whole page is there and may be executed. */
    if (rv_fetch_hit(hart, pc, &host) && (rv_checks(hart) || !rv_crosses(pc, host))) {
        block = rv_block_at(hart, pc, host);
        if (rv_checks(hart))
            rv_check_block(hart, block, pc);
        if (!block || (block->epoch != hart->code_epoch && !rv_block_verify(hart, block)))
            block = rv_block_decode(hart, pc, host);
        if (block) {
            *out = block;
            return RV_NEXT;
        }
    }
    return rv_block_single(hart, pc, out, trap);
}
