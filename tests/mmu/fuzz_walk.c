/* SPDX-License-Identifier: MIT */
/* fuzz_walk.c - any bytes as page tables: the walk ends, stays in bounds, and tells.
 *
 * An input is a struct head, then entries { slot, pte } that are written over sound
 * tables of the chosen formats; what remains of it is laid over RAM from its start.
 * Checked of every walk: it reads only from RAM, at most one entry per level, stage and
 * implicit walk; it changes nothing but accessed and dirty bits, under a probe nothing;
 * its outcome obeys the contract of struct sm_walk_result.
 *
 * With libFuzzer: fuzz_walk -max_total_time=10 CORPUS.  Without: made-up inputs.
 */
#include "base/base.h"
#include "guest_tables.h"

#include <signal.h>
#include <unistd.h>

enum { RAM_SIZE = 64 << 10, N_PATCHES = 24 };

struct head {
    uint8_t format[2]; /* of the stages; past the last: none                       */
    uint8_t flags[2];  /* SM_WALK_*                                                */
    uint8_t root[2];   /* page of RAM, if below 16; else the sound tables          */
    uint8_t access, size, n_patches, protect;
    uint8_t address[8];
};

struct patch {
    uint8_t slot[2], pte[8];
};

static const struct sm_pt_format *const formats[] = {
    &sm_pt_sv39, &sm_pt_sv39x4, &sm_pt_sv48, &sm_pt_sv48x4, &sm_pt_sv57, &sm_pt_sv57x4,
    &sm_pt_sv32, &sm_pt_sv32x4};
enum { N_FORMATS = sizeof formats / sizeof formats[0] };

static struct guest guest;
static uint8_t before[RAM_SIZE];
static unsigned n_steps;

#define REQUIRE(condition) ((condition) ? (void)0 : broken(#condition))

static void broken(const char *condition)
{
    fprintf(stderr, "does not hold: %s\n", condition);
    raise(SIGABRT);
}

/** Eight pages from @page that map all addresses they can to RAM: the root's entries
 *  name the next level, the last level's the pages of RAM, by turns with all rights. */
static void sound_tables(unsigned page, const struct sm_pt_format *format)
{
    const unsigned entry = format->flags & SM_PT_ENTRY32 ? 4 : 8;
    uint8_t *at = guest.host + page * 4096;

    for (unsigned level = 0; level < format->n_levels; level++) {
        const bool last = level + 1 == format->n_levels;
        const unsigned pages = (1u << format->level[level].index_bits) * entry / 4096;
        const unsigned next = (unsigned)(at - guest.host) / 4096 + pages;
        for (unsigned i = 0; i < pages * 4096 / entry; i++) {
            const bool user = (i & 16) || !format->user.mask;
            const uint64_t pte = last
                ? pte_of(GUEST_RAM + i % 16 * 4096, PTE_RWXAD | (user ? PTE_U : 0))
                : pte_of(GUEST_RAM + next % 16 * 4096, PTE_V);
            memcpy(at + i * entry, &pte, entry);
        }
        at = guest.host + (next % 16) * 4096;
    }
}

static void visit(void *ctx, const struct sm_walk_step *step)
{
    const struct sm_walk *walk = ctx;

    n_steps++;
    REQUIRE(step->stage <= 2);
    if (step->status == SM_WALK_OK) {
        REQUIRE(step->stage >= 1);
        REQUIRE(step->level < walk->stage[step->stage - 1].format->n_levels);
        REQUIRE(step->where >= GUEST_RAM && step->where - GUEST_RAM <= RAM_SIZE - 4);
    }
    REQUIRE(!step->implicit || step->stage == 2);
}

static void protect(void *ctx, sm_gpa gpa, unsigned size, uint8_t *perms,
                    uint8_t *span_bits)
{
    const uint64_t hash = (gpa >> 12) * UINT64_C(0x9e3779b97f4a7c15);
    if (hash >> 61 == 0)
        *perms &= (uint8_t)(hash >> 40);
    if (*span_bits > 10)
        *span_bits = 10;
}

/** Only accessed and dirty bits may have been set. */
static void check_memory(bool probe)
{
    for (unsigned i = 0; i < RAM_SIZE; i += 4) {
        uint32_t was, is;
        if (i % 4096 == 0 && memcmp(before + i, guest.host + i, 4096) == 0) {
            i += 4096 - 4;
            continue;
        }
        memcpy(&was, before + i, 4);
        memcpy(&is, guest.host + i, 4);
        REQUIRE((was & ~is) == 0);
        REQUIRE((is & ~was & ~(uint32_t)(PTE_A | PTE_D)) == 0);
        REQUIRE(was == is || !probe);
    }
}

static void check_result(const struct sm_walk *walk, uint64_t address,
                         const struct sm_walk_result *out)
{
    REQUIRE(out->perms >> walk->access & 1);
    REQUIRE(!(out->perms & ~(SM_PERM_R | SM_PERM_W | SM_PERM_X)));
    for (unsigned stage = 0; stage < 2; stage++) {
        const struct sm_pt_format *format = walk->stage[stage].format;
        REQUIRE(!format == !out->leaf_bits[stage]);
        REQUIRE(!format || out->span_bits <= out->leaf_bits[stage]);
    }
    const unsigned bits = SM_MIN((unsigned)out->span_bits, 12u);
    REQUIRE(((out->gpa ^ address) & ((1u << bits) - 1)) == 0);
}

static void one_walk(const struct head *head, uint64_t address)
{
    struct sm_walk walk = {.struct_size = sizeof walk,
                           .access = head->access % SM_N_ACCESS,
                           .space = guest.space,
                           .attrs = guest_attrs(),
                           .protect = head->protect & 1 ? protect : NULL,
                           .visit = visit,
                           .ctx = &walk};
    struct sm_walk_result out;
    unsigned levels[2] = {0, 0};

    for (unsigned stage = 0; stage < 2; stage++) {
        if (head->format[stage] >= N_FORMATS)
            continue;
        walk.stage[stage] = (struct sm_walk_stage){
            .format = formats[head->format[stage]],
            .flags = head->flags[stage],
            .root = GUEST_RAM +
                    (head->root[stage] < 16 ? head->root[stage] : stage * 8u) * 4096u};
        levels[stage] = walk.stage[stage].format->n_levels;
    }
    n_steps = 0;
    const unsigned size = 1u << head->size % 4;
    const enum sm_walk_status status =
        sm_walk_run(&walk, address & ~(uint64_t)(size - 1), size, &out);
    /* Every entry of stage 1 is placed for its read, and perhaps once more to be marked;
     * an entry that marking itself changed is read again. */
    REQUIRE(n_steps <= 4 * (levels[0] + 1) * (levels[1] + 2) + 4);
    check_memory((walk.stage[0].flags & SM_WALK_PROBE) &&
                 (walk.stage[1].flags & SM_WALK_PROBE));
    if (status == SM_WALK_OK)
        check_result(&walk, address & ~(uint64_t)(size - 1), &out);
    else
        REQUIRE(out.last.status == status);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct head head;
    struct patch patch;
    uint64_t address;

    if (!guest.topo)
        guest_init(&guest, RAM_SIZE);
    if (size < sizeof head)
        return 0;
    memcpy(&head, data, sizeof head);
    data += sizeof head, size -= sizeof head;
    memset(guest.host, 0, RAM_SIZE);
    for (unsigned stage = 0; stage < 2; stage++) {
        if (head.format[stage] < N_FORMATS)
            sound_tables(stage * 8, formats[head.format[stage]]);
    }
    for (unsigned i = 0; i < head.n_patches % N_PATCHES && size >= sizeof patch; i++) {
        memcpy(&patch, data, sizeof patch);
        data += sizeof patch, size -= sizeof patch;
        const unsigned slot = (patch.slot[0] | patch.slot[1] << 8) % (RAM_SIZE / 8);
        memcpy(guest.host + slot * 8, patch.pte, 8);
    }
    memcpy(guest.host, data, SM_MIN(size, (size_t)RAM_SIZE));
    memcpy(before, guest.host, RAM_SIZE);
    memcpy(&address, head.address, 8);
    one_walk(&head, address);
    return 0;
}

#ifndef SM_LIBFUZZER
/** Without a fuzzer: heads and patches made up from a seed. */
int main(void)
{
    struct rng rng = rng_seeded(0xf022);
    uint8_t input[sizeof(struct head) + N_PATCHES * sizeof(struct patch) + 64];

    for (unsigned round = 0; round < 4000; round++) {
        struct head head;
        for (unsigned i = 0; i < sizeof input; i++)
            input[i] = (uint8_t)rng_next(&rng);
        memcpy(&head, input, sizeof head);
        for (unsigned stage = 0; stage < 2; stage++) {
            head.format[stage] %= N_FORMATS + 2;
            head.root[stage] |= rng_once_in(&rng, 4) ? 0 : 16;
        }
        head.n_patches = (uint8_t)rng_below(&rng, N_PATCHES);
        if (rng_once_in(&rng, 2)) /* an address that most formats take */
            memset(head.address + 4, 0, 4);
        memcpy(input, &head, sizeof head);
        size_t size = sizeof head + head.n_patches * sizeof(struct patch);
        for (unsigned i = 0; i < head.n_patches; i++) { /* mostly valid, within RAM */
            uint8_t *pte = input + sizeof head + i * sizeof(struct patch) + 2;
            pte[0] |= PTE_V;
            pte[4] &= rng_once_in(&rng, 4) ? 0xff : 0;
            pte[5] = pte[6] = pte[7] = rng_once_in(&rng, 8) ? pte[5] : 0;
            if (!rng_once_in(&rng, 4))
                pte[3] = 0x20, pte[2] = 0, pte[1] &= 0x3f;
        }
        size += rng_once_in(&rng, 8) ? 64 : 0;
        LLVMFuzzerTestOneInput(input, size);
    }
    guest_fini(&guest);
    return 0;
}
#endif
