/* SPDX-License-Identifier: MIT */
/* fuzz_decode.c - any words, any set of extensions: what the decoder says holds together.
 *
 * Built with -Dfuzz=true, libFuzzer makes the inputs; else this makes them itself, from
 * SM_SEED, SM_FUZZ_RUNS of them.
 */
#include "riscv/riscv_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            fprintf(stderr, "%s: ext %#llx, word %#x, op %u\n", #condition,              \
                    (unsigned long long)isa->ext, word, insn->op);                       \
            abort();                                                                     \
        }                                                                                \
    } while (0)

static void check(const struct rv_isa *isa, uint32_t word, const struct rv_insn *insn)
{
    const bool compressed = (word & 3) != 3;
    const struct rv_insn_row *row;

    CHECK(insn->op < RV_N_OPS);
    row = &rv_insn_table[insn->op];
    CHECK(insn->len == (compressed ? 2 : 4));
    CHECK(insn->raw == (compressed ? word & 0xffff : word));
    CHECK(insn->rd < 32 && insn->rs1 < 32 && insn->rs2 < 32 && insn->rs3 < 32);
    CHECK(insn->rm < 8);
    CHECK(row->format < RV_N_FMTS);
    if (insn->op == RV_OP_illegal)
        return;
    CHECK(!(row->ext & ~isa->ext));
    if (compressed)
        CHECK(rv_isa_has(isa, RV_EXT_C));
    else
        CHECK((word & row->mask) == row->match);
    switch (row->format) {
    case RV_FMT_SHIFT: CHECK(insn->imm >= 0 && insn->imm < 64); break;
    case RV_FMT_SHIFTW: CHECK(insn->imm >= 0 && insn->imm < 32); break;
    case RV_FMT_CSR:
    case RV_FMT_CSRI:
    case RV_FMT_FENCE: CHECK(insn->imm >= 0 && insn->imm < 4096); break;
    case RV_FMT_B:
        CHECK(insn->imm >= -4096 && insn->imm < 4096 && !(insn->imm & 1));
        break;
    case RV_FMT_J:
        CHECK(insn->imm >= -(1 << 20) && insn->imm < 1 << 20 && !(insn->imm & 1));
        break;
    case RV_FMT_U: CHECK(!(insn->imm & 0xfff)); break;
    default: CHECK(insn->imm >= -2048 && insn->imm < 2048); break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rv_isa isa = {0};
    uint64_t without;

    if (size < sizeof(without))
        return 0;
    memcpy(&without, data, sizeof(without));
    isa.ext = (~without & sm_mask(RV_N_EXT)) | RV_X(I); /* which every hart has */
    for (size_t at = sizeof(without); at + 4 <= size; at += 4) {
        struct rv_insn insn, again;
        uint32_t word;

        memcpy(&word, data + at, 4);
        memset(&insn, 0x55, sizeof(insn));
        memset(&again, 0xaa, sizeof(again));
        rv_decode(&isa, word, &insn);
        check(&isa, word, &insn);
        rv_decode(&isa, word, &again);
        if (memcmp(&insn, &again, sizeof(insn)))
            abort();
    }
    return 0;
}

#ifndef SM_LIBFUZZER
int main(void)
{
    const char *seed_text = getenv("SM_SEED"), *runs_text = getenv("SM_FUZZ_RUNS");
    uint64_t state = seed_text ? strtoull(seed_text, NULL, 0) : 1;
    const unsigned long runs = runs_text ? strtoul(runs_text, NULL, 0) : 5000;

    printf("SM_SEED=%#llx SM_FUZZ_RUNS=%lu\n", (unsigned long long)state, runs);
    state = state ? state : 1;
    for (unsigned long run = 0; run < runs; run++) {
        uint64_t data[64];

        for (size_t n = 0; n < SM_ARRAY_LEN(data); n++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            data[n] = state;
        }
        if (run % 2) /* all there is */
            data[0] = 0;
        LLVMFuzzerTestOneInput((const uint8_t *)data, sizeof(data));
    }
    return 0;
}
#endif
