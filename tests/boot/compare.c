/* SPDX-License-Identifier: MIT */
/* compare.c - whether and how two harts' registers and two machines' RAM differ.
 *
 * Compared is each field of a hart that a guest can see.  Nothing is masked: what raises
 * lines, and the time, move on only where both harts are at the same instruction.
 */
#include "boot/compare.h"

#include "riscv/translate.h"

#include <inttypes.h>
#include <string.h>

#define CSRS(X)                                                                          \
    X(mstatus) X(medeleg) X(mideleg) X(mie) X(mtvec) X(mscratch) X(mepc) X(mcause)       \
    X(mtval) X(mcounteren) X(mcountinhibit) X(menvcfg) X(stvec) X(sscratch) X(sepc)      \
    X(scause) X(stval) X(satp) X(scounteren) X(senvcfg) X(stimecmp) X(mip_soft)          \
    X(mip_lines) X(mcycle_bias) X(minstret_bias)

static const struct {
    const char *name;
    size_t offset;
} csrs[] = {
#define X(field) {#field, offsetof(struct rv_hart, field)},
    CSRS(X)
#undef X
};

/* The table's fields, and no other, are compared in one go. */
enum {
    FIRST = offsetof(struct rv_hart, mstatus),
    END = offsetof(struct rv_hart, mhpmcounter)
};
SM_STATIC_ASSERT((END - FIRST) / 8 == SM_ARRAY_LEN(csrs), "a CSR was added to the hart");

bool compare_registers(const struct rv_hart *a, const struct rv_hart *b)
{
    return a->pc == b->pc && a->priv == b->priv && a->fflags == b->fflags &&
           a->frm == b->frm && !memcmp(a->x, b->x, 32 * sizeof(a->x[0])) &&
           !memcmp(a->f, b->f, sizeof(a->f)) &&
           !memcmp((const char *)a + FIRST, (const char *)b + FIRST, END - FIRST);
}

bool compare_all_registers(const struct rv_hart *a, const struct rv_hart *b)
{
    return compare_registers(a, b) &&
           !memcmp(a->mhpmcounter, b->mhpmcounter, sizeof(a->mhpmcounter)) &&
           !memcmp(a->mhpmevent, b->mhpmevent, sizeof(a->mhpmevent)) &&
           !memcmp(a->pmp.addr, b->pmp.addr, sizeof(a->pmp.addr)) &&
           !memcmp(a->pmp.cfg, b->pmp.cfg, sizeof(a->pmp.cfg));
}

static uint64_t field(const struct rv_hart *hart, size_t offset)
{
    uint64_t value;

    memcpy(&value, (const char *)hart + offset, sizeof(value));
    return value;
}

static void line(FILE *to, const char *name, uint64_t a, uint64_t b)
{
    if (a != b)
        fprintf(to, "  %-14s interpreter %016" PRIx64 "  translator %016" PRIx64 "\n",
                name, a, b);
}

void compare_print(const struct rv_hart *a, const struct rv_hart *b,
                   const uint64_t before[64], FILE *to)
{
    char name[16];

    line(to, "pc", a->pc, b->pc);
    line(to, "privilege", a->priv, b->priv);
    line(to, "fflags", a->fflags, b->fflags);
    line(to, "frm", a->frm, b->frm);
    for (unsigned n = 0; n < 64; n++) {
        const uint64_t *const in_a = n < 32 ? a->x : a->f;
        const uint64_t *const in_b = n < 32 ? b->x : b->f;

        if (in_a[n & 31] == in_b[n & 31])
            continue;
        snprintf(name, sizeof(name), "%c%u", n < 32 ? 'x' : 'f', n & 31);
        line(to, name, in_a[n & 31], in_b[n & 31]);
        fprintf(to, "  %-14s before      %016" PRIx64 "\n", "", before[n]);
    }
    for (size_t i = 0; i < SM_ARRAY_LEN(csrs); i++)
        line(to, csrs[i].name, field(a, csrs[i].offset), field(b, csrs[i].offset));
    for (unsigned n = 0; n < SM_N_PMP; n++) {
        snprintf(name, sizeof(name), "pmpaddr%u", n);
        line(to, name, a->pmp.addr[n], b->pmp.addr[n]);
        snprintf(name, sizeof(name), "pmp%ucfg", n);
        line(to, name, a->pmp.cfg[n], b->pmp.cfg[n]);
    }
    for (unsigned n = 0; n < 32; n++) {
        snprintf(name, sizeof(name), "mhpmcounter%u", n);
        line(to, name, a->mhpmcounter[n], b->mhpmcounter[n]);
        snprintf(name, sizeof(name), "mhpmevent%u", n);
        line(to, name, a->mhpmevent[n], b->mhpmevent[n]);
    }
}

/* --- Memory ------------------------------------------------------------------------- */

static const struct sm_attrs attrs = {.process = SM_NO_PROCESS, .flags = SM_ATTR_DEBUG};

static void map_ram(const struct side *side, struct sm_mapping *mapping)
{
    const struct machine *const machine = side->machine;

    if (sm_address_space_map(machine->space, machine->board->place[BOARD_DRAM].base,
                             &attrs, machine->ram_size, SM_READ, mapping) != SM_TX_OK ||
        mapping->size != machine->ram_size)
        abort();
}

bool compare_ram(const struct side *a, const struct side *b, FILE *to)
{
    const uint64_t base = a->machine->board->place[BOARD_DRAM].base;
    struct sm_mapping map_a, map_b;
    const uint8_t *ram_a, *ram_b;
    bool same;

    map_ram(a, &map_a);
    map_ram(b, &map_b);
    ram_a = map_a.host;
    ram_b = map_b.host;
    same = !memcmp(ram_a, ram_b, map_a.size);
    for (uint64_t at = 0, n = 0; !same && at < map_a.size && n < 16; at += 8) {
        uint64_t word_a, word_b;

        memcpy(&word_a, ram_a + at, 8);
        memcpy(&word_b, ram_b + at, 8);
        if (word_a == word_b)
            continue;
        fprintf(to, "  memory at 0x%" PRIx64 ": interpreter %016" PRIx64
                "  translator %016" PRIx64 "\n", base + at, word_a, word_b);
        n++;
    }
    sm_mapping_release(&map_a);
    sm_mapping_release(&map_b);
    return same;
}

/* --- Units -------------------------------------------------------------------------- */

void compare_print_unit(struct rv_hart *hart, uint64_t pc, const uint8_t *page, FILE *to)
{
    const unsigned offset = (unsigned)(pc & ~SM_PAGE_MASK);
    FILE *const log = hart->log;
    const uint32_t items = hart->log_items;
    struct jit_ir ir = {0};
    struct rv_trace trace;

    jit_ir_init(&ir, rv_jit_guest.globals, rv_jit_guest.n_globals);
    jit_ir_reset(&ir);
    if (rv_translate(hart, page, offset, NULL, &ir, &trace)) {
        hart->log = to;
        hart->log_items = RV_LOG_IN_ASM | RV_LOG_OP;
        rv_unit_log_in(hart, pc, &trace, &ir);
        hart->log = log;
        hart->log_items = items;
    }
    jit_ir_fini(&ir);
}
