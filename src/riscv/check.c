/* SPDX-License-Identifier: MIT */
/* check.c - the guest's half of the stale-translation checker: code, and words.
 *
 * Source: RISC-V Privileged, "Supervisor Memory-Management Fence Instruction";
 * Unprivileged, "Zifencei".
 */
#include "riscv/interp_impl.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SATP_PPN ((UINT64_C(1) << 44) - 1)

uint64_t rv_check_pc(struct sm_vcpu *vcpu)
{
    return ((const struct rv_hart *)sm_vcpu_guest(vcpu))->pc;
}

uint64_t rv_check_root(struct rv_hart *hart, uint8_t mode, uint64_t satp)
{
    /* A hart tells address spaces apart by their ASID: one that gets another root and
     * no fence may go on with what it has of the former. */
    sm_tlb_check_root(hart->vcpu, mode, satp);
    return satp & ~SATP_PPN;
}

/* --- Code --------------------------------------------------------------------------- */

/** Distance of the first byte pair at which @block differs from memory, or its size. */
static unsigned first_difference(const struct rv_block *block)
{
    const uint8_t *const bytes = rv_block_bytes(block);
    unsigned n = 0;

    for (; n < block->size; n += 2) {
        uint16_t copy;

        memcpy(&copy, bytes + n, 2);
        if (copy != sm_host_load(block->host + n, 1))
            break;
    }
    return n;
}

static uint32_t instruction(uint32_t low, uint32_t high)
{
    return (low & 3) == 3 ? low | high << 16 : low;
}

void rv_check_block(struct rv_hart *hart, const struct rv_block *block, uint64_t pc)
{
    struct sm_stale stale = {.mode = hart->mode_fetch};
    unsigned at;
    uint16_t old[2] = {0, 0};
    const uint8_t *host;

    if (!block || block->fences_i != hart->fences_i || rv_block_equals_memory(block))
        return;
    at = first_difference(block);
    if (at == block->size)
        return; /* another hart has changed it back since */
    while (!(block->starts >> (at / 2) & 1))
        at -= 2;
    memcpy(old, rv_block_bytes(block) + at,
           at + 4u <= block->size ? sizeof old : sizeof old[0]);
    host = block->host + at;
    stale.pc = stale.gva = pc + at;
    stale.code_size = (old[0] & 3) == 3 ? 4 : 2;
    stale.old_entry = instruction(old[0], old[1]);
    stale.new_entry = instruction((uint32_t)sm_host_load(host, 1),
                                  at + 4u <= block->size
                                      ? (uint32_t)sm_host_load(host + 2, 1) : 0);
    if (sm_tlb_check_where(hart->vcpu, stale.gva, SM_FETCH, hart->mode_fetch,
                           &stale.where))
        sm_tlb_check_code(hart->vcpu, &stale, block->order);
}

uint64_t rv_check_code_order(struct rv_hart *hart)
{
    sm_gpa gpa;

    if (sm_tlb_check_where(hart->vcpu, hart->pc, SM_FETCH, hart->mode_fetch, &gpa))
        sm_tlb_check_watch(hart->vcpu, gpa);
    return sm_tlb_check_order(hart->vcpu);
}

/* --- Words -------------------------------------------------------------------------- */

/** Text of any length into a buffer of some. */
struct text {
    char *at;
    size_t size, used;
};

static void SM_PRINTF(2, 3) add(struct text *text, const char *format, ...)
{
    va_list list;
    int n;

    va_start(list, format);
    n = vsnprintf(text->used < text->size ? text->at + text->used : NULL,
                  text->used < text->size ? text->size - text->used : 0, format, list);
    va_end(list);
    if (n > 0)
        text->used += (size_t)n;
}

static uint64_t hart_number(const struct sm_vcpu *vcpu)
{
    return ((const struct rv_hart *)sm_vcpu_guest(vcpu))->hart_id;
}

static unsigned asid_of(uint64_t satp)
{
    return (unsigned)sm_extract(satp, 44, 16);
}

/** "0x... V RWX UG AD -> 0x...", or a table. */
static void add_entry(struct text *text, uint64_t entry)
{
    static const char letters[] = "VRWXUGAD";

    add(text, "0x%016" PRIx64 " (", entry);
    if (!(entry & 1)) {
        add(text, "not valid)");
        return;
    }
    for (unsigned i = 0; i < 8; i++)
        add(text, "%c", entry >> i & 1 ? letters[i] : '-');
    add(text, " %s 0x%" PRIx64 ")", entry & 14 ? "page" : "table",
        sm_extract(entry, 10, 44) << SM_PAGE_BITS);
}

static void add_writer(struct text *text, const struct sm_stale_writer *writer)
{
    if (writer->known)
        add(text, "hart %" PRIu64 " at pc 0x%" PRIx64, hart_number(writer->vcpu),
            writer->pc);
    else
        add(text, "a device or a debugger, or too long ago to know");
}

static const char *use_of(const struct sm_stale *stale)
{
    static const char *const use[SM_N_ACCESS] = {"read from", "write to", "fetch from"};
    return use[stale->access];
}

/** The fence that would have covered the change. */
static void add_fence(struct text *text, const struct sm_stale *stale)
{
    const unsigned asid = asid_of(stale->new_root);
    const bool global = stale->old_entry >> 5 & 1;
    const bool leaf = stale->stage && (stale->old_entry & 14);

    switch (stale->kind) {
    case SM_STALE_OWN_CODE:
    case SM_STALE_OTHER_CODE:
        add(text, "fence.i");
        break;
    default:
        add(text, "sfence.vma ");
        if (leaf)
            add(text, "0x%" PRIx64, stale->gva & SM_PAGE_MASK);
        else
            add(text, "x0"); /* an address orders leaves alone */
        if (!global)
            add(text, ", asid %u", asid);
        else
            add(text, ", x0");
        break;
    }
    add(text, " on hart %" PRIu64, hart_number(stale->vcpu));
}

static const char *kind_text(const struct sm_stale *stale)
{
    static const char *const text[SM_N_STALE_KINDS] = {
        [SM_STALE_OWN] = "certain: the hart changed the entry itself, and has not fenced",
        [SM_STALE_ROOT] = "certain: the ASID was given other tables, and not fenced",
        [SM_STALE_REUSED] = "certain: the page was mapped elsewhere and written since",
        [SM_STALE_OWN_CODE] = "certain: the hart wrote the code itself, "
                              "and has not fenced",
        [SM_STALE_SUSPECT] = "suspect: another hart changed the entry, went on, "
                             "and told nobody",
        [SM_STALE_OTHER_CODE] = "suspect: another hart wrote the code",
    };
    return text[stale->kind];
}

static bool is_code(const struct sm_stale *stale)
{
    return stale->kind == SM_STALE_OWN_CODE || stale->kind == SM_STALE_OTHER_CODE;
}

static void add_code(struct text *text, const struct sm_stale *stale)
{
    const int digits = stale->code_size * 2;

    add(text, "  runs:        0x%0*" PRIx64 ", as it was decoded\n", digits,
        stale->old_entry);
    add(text, "  memory:      0x%0*" PRIx64 " at 0x%" PRIx64 "\n", digits,
        stale->new_entry, stale->where);
}

static void add_translation(struct text *text, const struct sm_stale *stale)
{
    add(text, "  translation: 0x%" PRIx64 " -> 0x%" PRIx64 ", but the tables ", stale->gva,
        stale->old_gpa);
    if (stale->permitted)
        add(text, "say 0x%" PRIx64 "\n", stale->new_gpa);
    else
        add(text, "refuse the access\n");
    if (!stale->stage) {
        add(text, "  root:        was 0x%" PRIx64 ", is 0x%" PRIx64 " (satp)\n",
            stale->old_root, stale->new_root);
        return;
    }
    add(text, "  entry:       level %u at 0x%" PRIx64 "\n", stale->level, stale->where);
    add(text, "    was        ");
    add_entry(text, stale->old_entry);
    add(text, "\n    is         ");
    add_entry(text, stale->new_entry);
    add(text, "\n");
}

size_t rv_stale_text(const struct sm_stale *stale, char *out, size_t size)
{
    const struct rv_hart *const hart = sm_vcpu_guest(stale->vcpu);
    struct text text = {out, size, 0};

    if (is_code(stale))
        add(&text, "stale code");
    else
        add(&text, "stale translation");
    add(&text, ": %s 0x%" PRIx64 " at pc 0x%" PRIx64 " on hart %" PRIu64 ", mode %s",
        is_code(stale) ? "fetch from" : use_of(stale), stale->gva, stale->pc,
        hart->hart_id, rv_guest_mmu_ops.mode_name(stale->mode));
    if (hart->mode_satp[stale->mode])
        add(&text, ", asid %u", asid_of(hart->mode_satp[stale->mode]));
    add(&text, "\n  %s\n", kind_text(stale));
    if (is_code(stale))
        add_code(&text, stale);
    else
        add_translation(&text, stale);
    if (is_code(stale) || stale->stage) {
        add(&text, "  written by:  ");
        add_writer(&text, &stale->writer);
        add(&text, "\n");
    }
    if (stale->kind == SM_STALE_REUSED) {
        add(&text, "  reused by:   ");
        add_writer(&text, &stale->reuser);
        add(&text, ", which wrote to 0x%" PRIx64 "\n", stale->reused_gva);
    }
    add(&text, "  fence due:   ");
    add_fence(&text, stale);
    return text.used;
}

static void json_writer(struct text *text, const char *name,
                        const struct sm_stale_writer *writer)
{
    if (writer->known)
        add(text, ",\"%s\":{\"hart\":%" PRIu64 ",\"pc\":\"0x%" PRIx64 "\"}", name,
            hart_number(writer->vcpu), writer->pc);
}

size_t rv_stale_json(const struct sm_stale *stale, char *out, size_t size)
{
    static const char *const kind[SM_N_STALE_KINDS] = {
        [SM_STALE_OWN] = "own", [SM_STALE_ROOT] = "root", [SM_STALE_REUSED] = "reused",
        [SM_STALE_OWN_CODE] = "own-code", [SM_STALE_SUSPECT] = "suspect",
        [SM_STALE_OTHER_CODE] = "other-code"};
    static const char *const access[SM_N_ACCESS] = {
        [SM_READ] = "read", [SM_WRITE] = "write", [SM_FETCH] = "fetch"};
    const struct rv_hart *const hart = sm_vcpu_guest(stale->vcpu);
    struct text text = {out, size, 0};

    add(&text, "{\"kind\":\"%s\",\"certain\":%s,\"hart\":%" PRIu64 ",\"pc\":\"0x%" PRIx64
               "\",\"mode\":\"%s\",\"asid\":%u,\"access\":\"%s\",\"gva\":\"0x%" PRIx64
               "\"",
        kind[stale->kind], SM_STALE_IS_CERTAIN(stale->kind) ? "true" : "false",
        hart->hart_id, stale->pc, rv_guest_mmu_ops.mode_name(stale->mode),
        asid_of(hart->mode_satp[stale->mode]), access[stale->access], stale->gva);
    if (!is_code(stale))
        add(&text, ",\"gpa\":\"0x%" PRIx64 "\",\"old_root\":\"0x%" PRIx64
                   "\",\"new_root\":\"0x%" PRIx64 "\",\"level\":%u",
            stale->old_gpa, stale->old_root, stale->new_root, stale->level);
    add(&text, ",\"where\":\"0x%" PRIx64 "\",\"old\":\"0x%" PRIx64 "\",\"new\":\"0x%" PRIx64
               "\"",
        stale->where, stale->old_entry, stale->new_entry);
    json_writer(&text, "writer", &stale->writer);
    json_writer(&text, "reuser", &stale->reuser);
    add(&text, ",\"fence\":\"");
    add_fence(&text, stale);
    add(&text, "\"}");
    return text.used;
}
