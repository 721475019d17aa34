/* SPDX-License-Identifier: MIT */
/* stats.c - sums what the harts and their TLBs counted, and prints it.
 *
 * All of it is exact: each counter is written by its own hart's thread and read here
 * while that is offline.
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
    totals->hart.exceptions += hart.exceptions;
    totals->hart.interrupts += hart.interrupts;
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
    print(file, "data accesses", totals.hart.data_accesses);
    print(file, "block entries", totals.hart.block_entries);
    fprintf(file, "TLB hit rate: %.6f\n",
            lookups ? 1.0 - (double)misses / (double)lookups : 1.0);
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
    print(file, "exceptions", totals.hart.exceptions);
    print(file, "interrupts", totals.hart.interrupts);
    machine_stale_print_stats(machine, file);
}
