/* SPDX-License-Identifier: MIT */
/* unit_log.c - writes what is translated, to what, and what is entered, for who asks. */
#include "riscv/translate.h"

#include <inttypes.h>
#include <string.h>

static bool wants(const struct rv_hart *hart, enum rv_log_item item)
{
    return hart->log && (hart->log_items & item);
}

/** The bytes of one part, which lies at @pc. */
static void print_part(const struct rv_hart *hart, uint64_t pc, const uint8_t *bytes,
                       unsigned size)
{
    for (unsigned at = 0; at < size;) {
        struct rv_insn insn;
        uint32_t word = 0;
        char text[80];

        memcpy(&word, bytes + at, SM_MIN(4u, size - at));
        rv_decode(&hart->isa, word, &insn);
        rv_insn_text(&insn, pc + at, text, sizeof(text));
        if (insn.len == 2)
            fprintf(hart->log, "0x%016" PRIx64 ":      %04" PRIx32 "  %s\n", pc + at,
                    word & 0xffff, text);
        else
            fprintf(hart->log, "0x%016" PRIx64 ":  %08" PRIx32 "  %s\n", pc + at, word,
                    text);
        at += insn.len;
    }
}

void rv_unit_log_in(const struct rv_hart *hart, uint64_t pc, const struct rv_trace *trace,
                    const struct jit_ir *ir)
{
    const uint8_t *bytes = trace->bytes;

    if (!hart->log)
        return;
    flockfile(hart->log);
    if (wants(hart, RV_LOG_IN_ASM)) {
        fprintf(hart->log, "----------------\nIN: hart %" PRIu64 ", priv %u\n",
                hart->hart_id, hart->priv);
        for (unsigned i = 0; i < trace->n_parts; i++) {
            print_part(hart, (pc & SM_PAGE_MASK) + trace->part[i].offset, bytes,
                       trace->part[i].size +
                           (trace->crosses && i + 1u == trace->n_parts ? 2 : 0));
            bytes += trace->part[i].size;
        }
        fputc('\n', hart->log);
    }
    if (wants(hart, RV_LOG_OP)) {
        fputs("OP:\n", hart->log);
        jit_ir_print(ir, hart->log);
        fputc('\n', hart->log);
    }
    funlockfile(hart->log);
}

/** The part of host code from byte @from to @to, which @what says. */
static void print_code(const struct rv_hart *hart, const char *what, const uint8_t *code,
                       size_t from, size_t to)
{
    if (from == to)
        return;
    fprintf(hart->log, "-- %s\n", what);
    jit_print_code(code + from, to - from, hart->log);
}

void rv_unit_log_out(const struct rv_hart *hart, const struct jit *jit,
                     const struct jit_ir *ir, const struct jit_unit *unit)
{
    const void *code;
    size_t size;

    if (!wants(hart, RV_LOG_OUT_ASM))
        return;
    size = jit_unit_code(unit, &code);
    flockfile(hart->log);
    fprintf(hart->log, "OUT: [size=%zu]\n", size);
    print_code(hart, "beginning", code, 0, jit_place_code(jit, 0));
    for (unsigned n = 0; n < ir->n_places; n++) {
        char what[40];

        snprintf(what, sizeof(what), "page + 0x%x", (unsigned)ir->place[n].offset);
        print_code(hart, what, code, jit_place_code(jit, n), jit_place_code(jit, n + 1));
    }
    print_code(hart, "rarely run", code, jit_place_code(jit, ir->n_places), size);
    fputc('\n', hart->log);
    funlockfile(hart->log);
}

void rv_unit_log_entry(const struct rv_hart *hart, const struct jit_unit *unit)
{
    const void *code;

    if (!wants(hart, RV_LOG_EXEC))
        return;
    jit_unit_code(unit, &code);
    fprintf(hart->log, "Trace %" PRIu64 ": %p [%016" PRIx64 "]\n", hart->hart_id, code,
            hart->pc);
}
