/* SPDX-License-Identifier: MIT */
/* rewalk.c - answers a fetch's miss by reading again what its last walk read.
 *
 * After a fence of all translations the first that is missed is that of the code which
 * made it, and most often nothing has become of its tables.  A walk depends on the entries
 * that it reads, and on what names it: satp, the mode, the flags and what is protected.
 * So where all of the former are found as they were, in the order in which a walk reads
 * them, the walk would come to the same; one load and compare for each is all that is left
 * of it.
 *
 * What is remembered here is no translation: no fence is to forget it.  It goes when what
 * is protected changes, which no entry says, and with a view, as it leads into the host's
 * memory.  Only tables in plain memory are remembered.
 */
#include "riscv/riscv_impl.h"

#include "memory/flatview.h"
#include "softmmu/softtlb_hit.h"

/** Of struct rv_rewalk. */
enum { UNUSED, ASKED, KNOWN, HOPELESS };

struct rv_rewalk *rv_rewalk_find(struct rv_hart *hart, const struct sm_xlate_req *req,
                                 uint64_t satp, uint32_t flags)
{
    const uint64_t page = req->gva & SM_PAGE_MASK;
    struct rv_rewalk *const walk =
        &hart->rewalk[(page >> SM_PAGE_BITS ^ page >> (SM_PAGE_BITS + 3)) % RV_N_REWALKS];

    if (SM_LIKELY(walk->state != UNUSED && walk->page == page && walk->satp == satp &&
                  walk->flags == flags && walk->mode == req->mode))
        return walk->state == HOPELESS ? NULL : walk;
    /* Whoever asks for the first time may never do so again. */
    walk->page = page;
    walk->satp = satp;
    walk->flags = flags;
    walk->mode = req->mode;
    walk->state = ASKED;
    return NULL;
}

bool rv_rewalk_answers(const struct rv_rewalk *walk, uint64_t gva, struct sm_xlate *out)
{
    if (walk->state != KNOWN)
        return false;
    for (unsigned i = 0; i < walk->n; i++)
        if (sm_host_load(walk->host[i], 3) != walk->entry[i])
            return false;
    *out = walk->xlate;
    out->gpa |= gva & ~SM_PAGE_MASK;
    out->ipa |= gva & ~SM_PAGE_MASK;
    return true;
}

void rv_rewalk_begin(struct rv_rewalk *walk)
{
    walk->state = ASKED;
    walk->n = 0;
}

void rv_rewalk_note(struct rv_rewalk *walk, const struct rv_hart *hart,
                    const struct sm_walk_step *step)
{
    const struct sm_flat_section *const section =
        sm_address_space_section(hart->space, step->where);
    const uint8_t *const host =
        section && section->host && section->range.last - step->where >= 7
            ? sm_flat_section_host(section, step->where)
            : NULL;

    if (!host || walk->n == RV_REWALK_STEPS) {
        walk->state = HOPELESS;
        return;
    }
    walk->host[walk->n] = host;
    walk->entry[walk->n++] = step->entry;
}

void rv_rewalk_end(struct rv_rewalk *walk, const struct sm_xlate *xlate)
{
    if (walk->state != ASKED || !walk->n || xlate->span_bits < SM_PAGE_BITS) {
        walk->state = HOPELESS; /* of no entry; or some of the page is otherwise */
        return;
    }
    walk->xlate = *xlate;
    walk->xlate.gpa &= SM_PAGE_MASK;
    walk->xlate.ipa &= SM_PAGE_MASK;
    walk->state = KNOWN;
}

void rv_rewalk_forget(struct rv_hart *hart)
{
    for (unsigned i = 0; i < RV_N_REWALKS; i++)
        hart->rewalk[i].state = UNUSED;
}
