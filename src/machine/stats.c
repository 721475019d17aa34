/* SPDX-License-Identifier: MIT */
/* stats.c - sums what the harts and their TLBs counted, and prints it.
 *
 * All of it is exact: each counter is written by its own hart's thread and read here
 * while that is offline.  Host code counts no accesses that hit: what would have to know
 * them is left out where a hart translates.
 */
#include "machine/board.h"

struct totals {
    struct rv_stats hart;
    struct sm_tlb_stats tlb;
};

static void add_hart(struct totals *totals, const struct hart_slot *slot)
{
    struct rv_stats hart = {.struct_size = sizeof hart};
    struct sm_tlb_stats tlb = {.struct_size = sizeof tlb};

    rv_hart_get_stats(slot->hart, &hart);
    sm_tlb_get_stats(rv_hart_vcpu(slot->hart), &tlb);
    totals->hart.instructions += hart.instructions;
    totals->hart.data_accesses += hart.data_accesses;
    totals->hart.block_entries += hart.block_entries;
    totals->hart.blocks_decoded += hart.blocks_decoded;
    totals->hart.blocks_verified += hart.blocks_verified;
    totals->hart.code_fences += hart.code_fences;
    totals->hart.code_fences_all += hart.code_fences_all;
    totals->hart.exceptions += hart.exceptions;
    totals->hart.interrupts += hart.interrupts;
    totals->hart.translates |= hart.translates;
    totals->hart.units += hart.units;
    totals->hart.units_ended += hart.units_ended;
    totals->hart.units_verified += hart.units_verified;
    totals->hart.unit_links += hart.unit_links;
    totals->hart.unit_resets += hart.unit_resets;
    totals->hart.unit_insns += hart.unit_insns;
    totals->hart.unit_bytes += hart.unit_bytes;
    totals->hart.code_used += hart.code_used;
    totals->hart.code_size += hart.code_size;
    totals->hart.sites_used += hart.sites_used;
    totals->hart.sites_size += hart.sites_size;
    totals->hart.translate_ns += hart.translate_ns;
    for (unsigned i = 0; i < SM_N_ACCESS; i++) {
        totals->tlb.fills[i] += tlb.fills[i];
        totals->tlb.slow[i] += tlb.slow[i];
    }
    totals->tlb.crossings += tlb.crossings;
    totals->tlb.mmio_reads += tlb.mmio_reads;
    totals->tlb.mmio_writes += tlb.mmio_writes;
    totals->tlb.flushes += tlb.flushes;
    totals->tlb.flushes_page += tlb.flushes_page;
    totals->tlb.flushed += tlb.flushed;
    totals->tlb.selects += tlb.selects;
    totals->tlb.evictions += tlb.evictions;
}

static void print(FILE *file, const char *name, uint64_t value)
{
    fprintf(file, "%s: %" G_GINT64_MODIFIER "u\n", name, value);
}

static void print_units(FILE *file, const struct rv_stats *hart)
{
    print(file, "units translated", hart->units);
    print(file, "units ended", hart->units_ended);
    print(file, "units verified", hart->units_verified);
    print(file, "unit links", hart->unit_links);
    print(file, "unit resets", hart->unit_resets);
    print(file, "unit instructions", hart->unit_insns);
    fprintf(file, "unit instructions on average: %.1f\n",
            hart->units ? (double)hart->unit_insns / (double)hart->units : 0.0);
    print(file, "unit bytes", hart->unit_bytes);
    fprintf(file, "unit bytes per instruction: %.2f\n",
            hart->unit_insns ? (double)hart->unit_bytes / (double)hart->unit_insns : 0.0);
    print(file, "code bytes used", hart->code_used);
    print(file, "code bytes at most", hart->code_size);
    print(file, "code sites used", hart->sites_used);
    print(file, "code sites at most", hart->sites_size);
    print(file, "translation nanoseconds", hart->translate_ns);
}

void machine_print_stats(const struct machine *machine, FILE *file)
{
    struct totals totals = {0};
    const struct sm_tlb_stats *tlb = &totals.tlb;
    uint64_t lookups, misses;

    for (unsigned i = 0; i < machine->n_harts; i++)
        if (machine->slots[i].hart)
            add_hart(&totals, &machine->slots[i]);
    lookups = totals.hart.data_accesses + totals.hart.block_entries;
    misses = tlb->fills[SM_READ] + tlb->fills[SM_WRITE] + tlb->fills[SM_FETCH];
    print(file, "guest instructions", totals.hart.instructions);
    if (!totals.hart.translates) {
        print(file, "data accesses", totals.hart.data_accesses);
        print(file, "block entries", totals.hart.block_entries);
        fprintf(file, "TLB hit rate: %.6f\n",
                lookups ? 1.0 - (double)misses / (double)lookups : 1.0);
    }
    print(file, "TLB misses", misses);
    print(file, "TLB read misses", tlb->fills[SM_READ]);
    print(file, "TLB write misses", tlb->fills[SM_WRITE]);
    print(file, "TLB fetch misses", tlb->fills[SM_FETCH]);
    print(file, "TLB slow reads", tlb->slow[SM_READ]);
    print(file, "TLB slow writes", tlb->slow[SM_WRITE]);
    print(file, "TLB slow fetches", tlb->slow[SM_FETCH]);
    print(file, "page crossings", tlb->crossings);
    print(file, "TLB flushes", tlb->flushes);
    print(file, "TLB page flushes", tlb->flushes_page);
    print(file, "TLB entries flushed", tlb->flushed);
    print(file, "context selects", tlb->selects);
    print(file, "context evictions", tlb->evictions);
    print(file, "MMIO reads", tlb->mmio_reads);
    print(file, "MMIO writes", tlb->mmio_writes);
    print(file, "blocks decoded", totals.hart.blocks_decoded);
    print(file, "blocks verified", totals.hart.blocks_verified);
    print(file, "code fences that compared", totals.hart.code_fences);
    print(file, "code fences of all code", totals.hart.code_fences_all);
    print(file, "exceptions", totals.hart.exceptions);
    print(file, "interrupts", totals.hart.interrupts);
    if (totals.hart.translates)
        print_units(file, &totals.hart);
    machine_stale_print_stats(machine, file);
}
