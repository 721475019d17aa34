/* SPDX-License-Identifier: MIT */
/* pmp.c - narrows permissions and spans by physical memory protection.
 *
 * Source: RISC-V Privileged, "Physical Memory Protection CSRs", "Address Matching",
 * "Locking and Privilege Mode", "Priority and Matching Logic".
 */
#include "mmu/pmp.h"

#include "base/bits.h"

enum { ADDR_BITS = 54, A_OFF = 0, A_TOR = 1, A_NA4 = 2, A_NAPOT = 3 };
enum { CFG_BITS = SM_PMP_R | SM_PMP_W | SM_PMP_X | 3 << SM_PMP_A_SHIFT | SM_PMP_L };

static unsigned matching(const struct sm_pmp *pmp, unsigned n)
{
    return (pmp->cfg[n] >> SM_PMP_A_SHIFT) & 3;
}

/** Find the range of entry @n.  Returns false when it matches nothing. */
static bool entry_range(const struct sm_pmp *pmp, unsigned n, struct sm_range *out)
{
    const uint64_t addr = pmp->addr[n];

    switch (matching(pmp, n)) {
    case A_TOR: {
        const uint64_t bottom = n > 0 ? pmp->addr[n - 1] : 0;
        if (bottom >= addr)
            return false;
        *out = (struct sm_range){bottom << 2, (addr << 2) - 1};
        return true;
    }
    case A_NA4:
        *out = (struct sm_range){addr << 2, addr << 2 | 3};
        return true;
    case A_NAPOT: {
        /* k trailing ones: 2^(k + 3) bytes.  k is at most 54, so nothing overflows. */
        const uint64_t inside = (addr ^ (addr + 1)) << 2 | 3;
        *out = (struct sm_range){addr << 2 & ~inside, addr << 2 | inside};
        return true;
    }
    default:
        return false;
    }
}

static void derive(struct sm_pmp *pmp)
{
    pmp->n_active = 0;
    pmp->near[0] = pmp->near[1] = (struct sm_pmp_block){.first = 1, .last = 0};
    for (unsigned n = 0; n < pmp->n_entries; n++) {
        if (entry_range(pmp, n, &pmp->range[pmp->n_active]))
            pmp->active[pmp->n_active++] = (uint8_t)n;
    }
}

void sm_pmp_reset(struct sm_pmp *pmp, unsigned n_entries)
{
    *pmp = (struct sm_pmp){.n_entries = (uint8_t)SM_MIN(n_entries, (unsigned)SM_N_PMP)};
    derive(pmp);
}

bool sm_pmp_write_cfg(struct sm_pmp *pmp, unsigned n, uint8_t cfg)
{
    if (n >= pmp->n_entries || (pmp->cfg[n] & SM_PMP_L))
        return false;
    cfg &= CFG_BITS;
    if (!(cfg & SM_PMP_R))
        cfg &= (uint8_t)~SM_PMP_W;
    if (cfg == pmp->cfg[n])
        return false;
    pmp->cfg[n] = cfg;
    derive(pmp);
    return true;
}

bool sm_pmp_write_addr(struct sm_pmp *pmp, unsigned n, uint64_t addr)
{
    if (n >= pmp->n_entries || (pmp->cfg[n] & SM_PMP_L))
        return false;
    if (n + 1u < pmp->n_entries && (pmp->cfg[n + 1] & SM_PMP_L) &&
        matching(pmp, n + 1) == A_TOR)
        return false;
    addr &= sm_mask(ADDR_BITS);
    if (addr == pmp->addr[n])
        return false;
    pmp->addr[n] = addr;
    derive(pmp);
    return true;
}

/** Log2 of the largest aligned block around @gpa, at most 2^@bits, that lies in @range
 *  or apart from it: one that does not hold both bytes at either of its ends. */
static unsigned uniform_bits(const struct sm_range *range, sm_gpa gpa, unsigned bits)
{
    if (gpa < range->first)
        return SM_MIN(bits, sm_log2(gpa ^ range->first));
    if (gpa > range->last)
        return SM_MIN(bits, sm_log2(gpa ^ range->last));
    if (range->first > 0)
        bits = SM_MIN(bits, sm_log2(gpa ^ (range->first - 1)));
    if (range->last < UINT64_MAX)
        bits = SM_MIN(bits, sm_log2(gpa ^ (range->last + 1)));
    return bits;
}

void sm_pmp_check(const struct sm_pmp *pmp, bool machine, sm_gpa gpa, unsigned size,
                  uint8_t *perms, uint8_t *span_bits)
{
    const uint64_t last = gpa + size - 1 < gpa ? UINT64_MAX : gpa + size - 1;
    unsigned bits = *span_bits;

    for (unsigned i = 0; i < pmp->n_active; i++) {
        const struct sm_range *range = &pmp->range[i];
        const uint8_t cfg = pmp->cfg[pmp->active[i]];

        bits = uniform_bits(range, gpa, bits);
        if (last < range->first || gpa > range->last)
            continue;
        *span_bits = (uint8_t)bits;
        if (gpa < range->first || last > range->last) {
            *perms = 0; /* a match in part fails for machine mode too ... */
            *span_bits = 0; /* ... and is a matter of this access alone */
        } else if (!machine || (cfg & SM_PMP_L)) {
            *perms &= cfg & (SM_PMP_R | SM_PMP_W | SM_PMP_X);
        }
        return;
    }
    *span_bits = (uint8_t)bits;
    if (!machine && pmp->n_entries > 0)
        *perms = 0;
}

void sm_pmp_note_near(struct sm_pmp *pmp, bool machine, sm_gpa gpa)
{
    struct sm_pmp_block block = {0, UINT64_MAX, SM_PERM_R | SM_PERM_W | SM_PERM_X};

    if (!machine && pmp->n_entries > 0)
        block.perms = 0;
    for (unsigned i = 0; i < pmp->n_active; i++) {
        const struct sm_range *const range = &pmp->range[i];
        if (gpa < range->first) {
            block.last = SM_MIN(block.last, range->first - 1);
        } else if (gpa > range->last) {
            block.first = SM_MAX(block.first, range->last + 1);
        } else { /* it decides, up to where those before it would */
            const uint8_t cfg = pmp->cfg[pmp->active[i]];
            block.first = SM_MAX(block.first, range->first);
            block.last = SM_MIN(block.last, range->last);
            block.perms = machine && !(cfg & SM_PMP_L)
                ? SM_PERM_R | SM_PERM_W | SM_PERM_X
                : cfg & (SM_PMP_R | SM_PMP_W | SM_PMP_X);
            break;
        }
    }
    pmp->near[machine] = block;
}

SM_STATIC_ASSERT((int)SM_PMP_R == SM_PERM_R && (int)SM_PMP_W == SM_PERM_W &&
                     (int)SM_PMP_X == SM_PERM_X,
                 "sm_pmp_check() takes a cfg's low bits for permissions");
