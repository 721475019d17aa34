/* SPDX-License-Identifier: MIT */
/* golden_host.h - the host code of a unit's hit path as a disassembler prints it, with names
 * where addresses are, or offsets that depend on how we were built. */
#ifndef TESTS_RISCV_GOLDEN_HOST_H
#define TESTS_RISCV_GOLDEN_HOST_H

#include "hart_fixture.h"
#include "jit/jit_impl.h"
#include "riscv/translate.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Names ------------------------------------------------------------------------ */

struct name {
    const char *text;
    uint64_t from, size;
};

#define FIELD(name)                                                                      \
    {#name, offsetof(struct rv_hart, name), sizeof(((struct rv_hart *)0)->name)}

static const struct name fields[] = {
    FIELD(fflags), FIELD(frm), FIELD(priv), FIELD(instret), FIELD(mstatus), FIELD(sscratch),
    FIELD(jit.fast), FIELD(jit.data), FIELD(jit.fetch), FIELD(jit.page), FIELD(jit.pc),
    FIELD(jit.value), FIELD(jit.exit), FIELD(jit.jumps), FIELD(jit.mxcsr_guest),
    FIELD(jit.mxcsr_scratch), FIELD(jit.fp_live), FIELD(jit.fp_ready), FIELD(jit.n_returns),
    FIELD(jit.returns), FIELD(jit.return_code), FIELD(jit.save),
};

#undef FIELD
#define FIELD(name)                                                                      \
    {#name, offsetof(struct sm_tlb_fast, name), sizeof(((struct sm_tlb_fast *)0)->name)}

static const struct name fast_fields[] = {
    FIELD(request), FIELD(alone), FIELD(table), FIELD(granules), FIELD(held.size),
    FIELD(held.gva), FIELD(held.host), FIELD(held.version_of), FIELD(held.version),
    FIELD(held.value),
};
#undef FIELD

static inline void name_of(const struct name *names, size_t n_names, uint64_t at, FILE *to)
{
    for (size_t n = 0; n < n_names; n++)
        if (at - names[n].from < names[n].size) {
            fputs(names[n].text, to);
            if (at != names[n].from)
                fprintf(to, "+%" PRIu64, at - names[n].from);
            return;
        }
    fail_msg("no name for byte %" PRIu64 " of what has %s", at, names->text);
}

/** Name the byte of the hart at @offset. */
static inline void name_field(int64_t offset, FILE *to)
{
    for (unsigned n = 1; n < RV_N_GLOBALS; n++)
        if (rv_jit_guest.globals[n].offset == offset) {
            fputs(rv_jit_guest.globals[n].name, to);
            return;
        }
    name_of(fields, SM_ARRAY_LEN(fields), (uint64_t)offset, to);
}

/** The same of a table of the TLB. */
static inline void name_entry(int64_t offset, FILE *to)
{
    static const char *const access[] = {"read", "write", "fetch"};
    static const char *const near[] = {"page", "host_bias", "limit", "group_limit"};
    const uint64_t at = (uint64_t)offset - offsetof(struct sm_tlb_table, near);
    const uint64_t slots = sizeof((struct sm_tlb_table *)0)->slot[0];
    const uint64_t nears = sizeof(struct sm_tlb_near);

    if (at < sizeof(((struct sm_tlb_table *)0)->near))
        fprintf(to, "near.%s[%" PRIu64 "].%s", access[at / nears / SM_N_NEAR],
                at / nears % SM_N_NEAR, near[at % nears / 8]);
    else
        fprintf(to, "slot.%s%s", access[(uint64_t)offset / slots],
                (uint64_t)offset % slots == 0 ? ".tag" : ".host_bias");
}

/* --- Host code -------------------------------------------------------------------------- */

enum { MAX_CODE = 300 };

struct host_insn {
    uint64_t at, next;
    char name[16], operands[100];
    uint64_t target; /* of a jump or call, else 0                                */
    bool passed;     /* by where all hits                                     */
    unsigned label;  /* 0: nothing leads here                                   */
};

/** Of one unit. */
struct host {
    struct jit *jit;
    const uint8_t *code;
    uint64_t hot, end; /* what is rarely run begins, and ends                    */
    unsigned n;
    struct host_insn insn[MAX_CODE];
    unsigned n_labels, count; /* that many are not passed by                     */
    uint64_t versions;        /* struct sm_granules.version                     */
    char fast[8]; /* the register that leads to it, where we print, or none       */
};

/** Read what a disassembler says of the hit path.
 *  Returns  false if there is none, but bytes */
static bool read_host(struct host *host)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);

    jit_print_code(host->code, host->hot - (uintptr_t)host->code, to);
    fclose(to);
    for (const char *at = text, *end; *at; at = end + 1) {
        struct host_insn *const insn = &host->insn[host->n++];
        char bytes[40];

        end = strchr(at, '\n');
        assert_true(host->n < MAX_CODE);
        *insn = (struct host_insn){0};
        if (sscanf(at, "0x%" SCNx64 ": %39s %15s%99[^\n]", &insn->at, bytes, insn->name,
                   insn->operands) < 3) {
            free(text);
            return false;
        }
        insn->next = insn->at + strlen(bytes) / 2;
        memmove(insn->operands, insn->operands + strspn(insn->operands, " "),
                strlen(insn->operands + strspn(insn->operands, " ")) + 1);
        if ((*insn->name == 'j' || !strcmp(insn->name, "call")) &&
            !strncmp(insn->operands, "0x", 2))
            insn->target = strtoull(insn->operands, NULL, 0);
    }
    free(text);
    return true;
}

/** The address that @insn computes from its own, or 0. */
static uint64_t relative(const struct host_insn *insn)
{
    const char *at = strstr(insn->operands, "[rip ");

    if (!at)
        return 0;
    at += strlen("[rip ");
    return insn->next + (*at == '-' ? -1 : 1) * strtoull(at + 2, NULL, 0);
}

/** Whether it goes on at its target: a jump, or the @branches-th branch, if @taken says so. */
static bool leads(const struct host_insn *insn, unsigned taken, unsigned *branches)
{
    if (!strcmp(insn->name, "jmp") || !strcmp(insn->name, "ret"))
        return true;
    return *insn->name == 'j' && taken >> (*branches)++ & 1;
}

/** Whether @insn goes where @from says. */
static bool comes_from(const struct host_insn *insn, const struct host_insn *from)
{
    /* What leads to the next instruction is where links are written. */
    return (from->target == insn->at && from->next != insn->at) ||
           relative(from) == insn->at;
}

/** Find what is passed by, and what needs a label. */
static void follow(struct host *host, unsigned taken)
{
    bool passed = false;
    uint64_t resume = 0;
    unsigned branches = 0;

    for (unsigned n = 0; n < host->n; n++) {
        struct host_insn *const insn = &host->insn[n];
        const bool within = insn->target > insn->next && insn->target < host->hot;

        passed &= insn->at != resume;
        insn->passed = passed;
        host->count += !passed;
        for (unsigned k = 0; k < host->n && !insn->label; k++)
            if (comes_from(insn, &host->insn[k]))
                insn->label = ++host->n_labels;
        if (!passed && (within || *insn->name != 'j' || !strcmp(insn->name, "jmp")) &&
            leads(insn, taken, &branches)) {
            passed = true;
            resume = within ? insn->target : 0;
        }
    }
}

/** Name what @insn leads to. */
static inline void name_target(const struct host *host, const struct host_insn *insn,
                        uint64_t target, FILE *to)
{
    const struct jit *const jit = host->jit;
    const uint64_t pool = (uintptr_t)jit->pool;
    const struct {
        const char *text;
        const uint8_t *at;
    } thunks[] = {{"leave", jit->leave},      {"link", jit->link},
                  {"jump", jit->jump},        {"slow", jit->slow[0]},
                  {"slow_fp", jit->slow[1]},  {"call", jit->call}};

    if (!strcmp(insn->name, "jmp") && target == insn->next) {
        fputs("linked unit", to);
        return;
    }
    for (unsigned n = 0; n < host->n; n++)
        if (host->insn[n].at == target) {
            fprintf(to, "L%u", host->insn[n].label);
            return;
        }
    for (unsigned n = 0; n < SM_ARRAY_LEN(thunks); n++)
        if (thunks[n].at && target == (uintptr_t)thunks[n].at) {
            fprintf(to, "<%s>", thunks[n].text);
            return;
        }
    if (target >= host->hot && target < host->end)
        fputs("rarely run", to);
    else if (target - pool < jit->thunks)
        fprintf(to, "pool + %" PRIu64, target - pool);
    else
        fail_msg("no name for 0x%" PRIx64 " of %s %s", target, insn->name, insn->operands);
}

/** What is between the brackets at @at. */
static void print_memory(struct host *host, const struct host_insn *insn, const char *at,
                         const char *end, FILE *to)
{
    const char *last = end;
    int64_t disp = 0;

    while (last > at && *last != '+' && *last != '-')
        last--;
    if (last > at && last[2] >= '0' && last[2] <= '9')
        disp = (*last == '-' ? -1 : 1) * strtoll(last + 2, NULL, 0);
    else
        last = end + 1;
    if (!strncmp(at, "rip", 3)) {
        name_target(host, insn, relative(insn), to);
    } else if (!strncmp(at, "rbp", 3) || !strncmp(at, "r15", 3)) {
        if (*at == 'r' && at[1] == 'b') {
            fputs("guest.", to);
            name_field(disp + rv_jit_guest.bias, to);
        } else {
            fputs("table.", to);
            name_entry(disp, to);
        }
        if (last - 1 > at + 3) /* an index */
            fprintf(to, "%.*s", (int)(last - 1 - (at + 3)), at + 3);
    } else if (*host->fast && !strncmp(at, host->fast, 3)) {
        fputs("fast.", to);
        name_of(fast_fields, SM_ARRAY_LEN(fast_fields), (uint64_t)disp, to);
    } else {
        fprintf(to, "%.*s", (int)(end - at), at);
    }
}

/** Know which register leads to .fast behind @insn. */
static void track_fast(struct host *host, const struct host_insn *insn)
{
    const size_t disp = offsetof(struct rv_hart, jit.fast) - (size_t)rv_jit_guest.bias;
    char load[60];

    if (*host->fast && !strncmp(insn->operands + 1, host->fast + 1, 2)) /* eax, too */
        *host->fast = '\0';
    snprintf(load, sizeof(load), ", qword ptr [rbp + 0x%zx]", disp);
    if (!strcmp(insn->name, "mov") && !strcmp(insn->operands + 3, load))
        snprintf(host->fast, sizeof(host->fast), "%.3s", insn->operands);
}

/** Name what @insn moves into a register, if it is an address.  Returns  whether it is */
static bool print_address(const struct host *host, const struct host_insn *insn, FILE *to)
{
    const struct host_insn *const next = insn + 1;
    const char *const from = strstr(insn->operands, ", 0x");

    if (strncmp(insn->name, "mov", 3) || !from)
        return false;
    if (next < host->insn + host->n && next->target == (uintptr_t)host->jit->link)
        fputs("mov rax, exit", to); /* as wide as that is */
    else if (strtoull(from + 2, NULL, 0) == host->versions)
        fprintf(to, "mov %.3s, versions", insn->operands);
    else
        return false;
    return true;
}

static void print_host(struct host *host, const struct host_insn *insn, FILE *to)
{
    const char *open = strchr(insn->operands, '['), *close;

    if (insn->label)
        fprintf(to, "  x64  L%u:\n", insn->label);
    fprintf(to, "  x64  %s", insn->passed ? "(" : "");
    if (print_address(host, insn, to)) {
        ;
    } else if (insn->target) {
        fprintf(to, "%s ", insn->name);
        name_target(host, insn, insn->target, to);
    } else if (open) {
        close = strchr(open, ']');
        fprintf(to, "%s %.*s", insn->name, (int)(open + 1 - insn->operands),
                insn->operands);
        print_memory(host, insn, open + 1, close, to);
        fputs(close, to);
    } else {
        fprintf(to, "%s%s%s", insn->name, *insn->operands ? " " : "", insn->operands);
    }
    fputs(insn->passed ? ")\n" : "\n", to);
    track_fast(host, insn);
}

/** What bytes @from to @end of the code are, and how many of it are run. */
static void print_part(struct host *host, size_t from, size_t end, FILE *to)
{
    const uint64_t code = (uintptr_t)host->code;
    unsigned n_run = 0;

    for (unsigned n = 0; n < host->n; n++)
        n_run += host->insn[n].at - code >= from && host->insn[n].at - code < end &&
                 !host->insn[n].passed;
    if (from < end)
        fprintf(to, "  x64  ; %u\n", n_run);
    for (unsigned n = 0; n < host->n; n++)
        if (host->insn[n].at - code >= from && host->insn[n].at - code < end)
            print_host(host, &host->insn[n], to);
}

#endif
