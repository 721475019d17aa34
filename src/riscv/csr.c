/* SPDX-License-Identifier: MIT */
/* csr.c - access to control and status registers by number.
 *
 * csr.def says what exists; this file applies what all have in common: the number
 * grants or refuses, then the row's own rule does, then the value is read,
 * modified and written.  Every refusal is the same illegal-instruction exception,
 * so the order of the rules cannot be seen.
 */
#include "riscv/riscv_impl.h"

/* Hooks named `always` and `field` are the common cases: NULL here, no call. */
#define rv_csr_allow_always NULL
#define rv_csr_read_field   NULL
#define rv_csr_write_field  NULL

struct csr_row {
    uint16_t first;
    uint8_t ext;
    uint32_t offset; /* of the field in struct rv_hart                         */
    uint64_t mask;
    bool (*allow)(const struct rv_hart *hart, unsigned csr, bool writes);
    uint64_t (*read)(const struct rv_hart *hart, unsigned csr);
    bool (*write)(struct rv_hart *hart, unsigned csr, uint64_t value);
};

enum {
    ROW_none,
#define RV_CSR(name, number, n, ext, field, mask, allow, read, write) ROW_##name,
#include "riscv/csr.def"
#undef RV_CSR
    N_ROWS
};
SM_STATIC_ASSERT(N_ROWS <= 256, "row_of[] holds bytes");

static const struct csr_row rows[N_ROWS] = {
#define RV_CSR(name, number, n, ext, field, mask, allow, read, write)                    \
    [ROW_##name] = {number,                                                              \
                    RV_EXT_##ext,                                                        \
                    offsetof(struct rv_hart, field),                                     \
                    (uint64_t)(mask),                                                    \
                    rv_csr_allow_##allow,                                                \
                    rv_csr_read_##read,                                                  \
                    rv_csr_write_##write},
#include "riscv/csr.def"
#undef RV_CSR
};

static const uint8_t row_of[RV_N_CSRNO] = {
#define RV_CSR(name, number, n, ext, field, mask, allow, read, write)                    \
    [number... number + n - 1] = ROW_##name,
#include "riscv/csr.def"
#undef RV_CSR
};

static bool csr_is_readonly(unsigned csr)
{
    return (csr & 0xc00) == 0xc00;
}

static uint64_t *csr_field(struct rv_hart *hart, const struct csr_row *row, unsigned csr)
{
    return (uint64_t *)(void *)((char *)hart + row->offset) + (csr - row->first);
}

static uint64_t csr_value(struct rv_hart *hart, const struct csr_row *row, unsigned csr)
{
    return row->read ? row->read(hart, csr) : *csr_field(hart, row, csr);
}

/** Whether CSRRS and CSRRC modify what software wrote instead of what it reads.
 *  Source: Privileged, "Machine Interrupt (mip and mie) Registers", on SEIP: the
 *  external line must not become a software bit. */
static bool csr_modifies_field(const struct csr_row *row)
{
    return row->offset == offsetof(struct rv_hart, mip_soft);
}

/** Make a software interrupt that came by a line software's own bit, which is cleared
 *  like any other.  One that comes after this stays in the lines, and is not lost.
 *  Source: ACLINT, "Supervisor Software Interrupt Device", on edges to sip.SSIP. */
static void csr_take_edges(struct rv_hart *hart)
{
    const uint64_t edge = UINT64_C(1) << RV_IRQ_SSI;

    if (sm_load_relaxed(&hart->mip_lines) & edge)
        hart->mip_soft |= sm_fetch_and(&hart->mip_lines, ~edge) & edge;
}

static bool csr_write(struct rv_hart *hart, const struct csr_row *row, unsigned csr,
                      uint64_t value)
{
    uint64_t *field;

    if (row->write)
        return row->write(hart, csr, value);
    field = csr_field(hart, row, csr);
    *field = (*field & ~row->mask) | (value & row->mask);
    return false;
}

/** Whether software saw that the deadline of Sstc passed: from now on so does whoever asks
 *  for interrupts that are due. */
static void csr_note_timer(struct rv_hart *hart, uint64_t mip)
{
    const uint64_t timer = UINT64_C(1) << RV_IRQ_STI;

    if ((mip & timer) && (hart->menvcfg & RV_ENVCFG_STCE) &&
        !(sm_load_relaxed(&hart->mip_lines) & timer))
        sm_fetch_or(&hart->mip_lines, timer);
}

enum rv_csr_result rv_csr_access(struct rv_hart *hart, unsigned csr, enum rv_csr_op op,
                                 uint64_t operand, bool want_old, uint64_t *old)
{
    const bool writes = op != RV_CSR_READ;
    enum rv_csr_result result = RV_CSR_OK;
    const struct csr_row *row;
    uint64_t value = 0;

    if (SM_UNLIKELY(csr >= RV_N_CSRNO || row_of[csr] == ROW_none))
        return RV_CSR_ILLEGAL;
    row = &rows[row_of[csr]];
    if (SM_UNLIKELY(hart->priv < ((csr >> 8) & 3) || (writes && csr_is_readonly(csr)) ||
                    !rv_isa_has(&hart->isa, (enum rv_ext)row->ext)))
        return RV_CSR_ILLEGAL;
    if (row->allow && SM_UNLIKELY(!row->allow(hart, csr, writes)))
        return RV_CSR_ILLEGAL;

    if (writes && csr_modifies_field(row))
        csr_take_edges(hart);
    if (want_old || op != RV_CSR_WRITE) {
        value = csr_value(hart, row, csr);
        if (csr_modifies_field(row))
            csr_note_timer(hart, value);
    }
    if (writes) {
        const uint64_t base =
            csr_modifies_field(row) ? *csr_field(hart, row, csr) : value;

        if (op == RV_CSR_SET)
            operand |= base;
        else if (op == RV_CSR_CLEAR)
            operand = base & ~operand;
        if (csr_write(hart, row, csr, operand))
            result = RV_CSR_REGIME;
    }
    if (want_old)
        *old = value;
    return result;
}

bool rv_csr_plain(const struct rv_isa *isa, unsigned csr, struct rv_csr_plain *out)
{
    const struct csr_row *row;

    if (csr >= RV_N_CSRNO || row_of[csr] == ROW_none)
        return false;
    row = &rows[row_of[csr]];
    if (row->allow || !rv_isa_has(isa, (enum rv_ext)row->ext))
        return false;
    *out = (struct rv_csr_plain){
        .offset = row->offset + (uint32_t)sizeof(uint64_t) * (csr - row->first),
        .priv = (csr >> 8) & 3,
        .reads = !row->read,
        .writes = !row->read && !row->write && !csr_is_readonly(csr),
        .read_mask = UINT64_MAX,
        .write_mask = row->mask,
    };
    if (row->read == rv_csr_read_sstatus) {
        out->reads = true;
        out->read_mask = RV_SSTATUS_BITS;
    }
    if (row->write == rv_csr_write_epc) {
        out->writes = true;
        out->write_mask = rv_csr_epc_mask(isa);
    }
    if (row->write == rv_csr_write_mstatus)
        out->enables = RV_MSTATUS_MIE;
    if ((row->write == rv_csr_write_mstatus || row->write == rv_csr_write_sstatus) &&
        rv_isa_has(isa, RV_EXT_S))
        out->enables |= RV_MSTATUS_SIE;
    return out->reads;
}
