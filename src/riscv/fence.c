/* SPDX-License-Identifier: MIT */
/* fence.c - maps SFENCE.VMA, Svinval and FENCE.I to flush scopes and fences of code.
 *
 * Source: RISC-V Privileged, "Supervisor Memory-Management Fence Instruction" and
 * "Svinval"; Unprivileged, "Zifencei".
 */
#include "riscv/code.h"

/** ASID of a satp value, and so of a context's key (regime.c). */
#define SATP_ASID_SHIFT 44
#define SATP_ASID       (UINT64_C(0xffff) << SATP_ASID_SHIFT)

/** Whether this mode may order translations: S unless trapped, and M. */
static bool fence_is_legal(const struct rv_hart *hart, bool tvm_applies)
{
    if (!rv_isa_has(&hart->isa, RV_EXT_S) || hart->priv < RV_PRIV_S)
        return false;
    return hart->priv == RV_PRIV_M || !tvm_applies || !(hart->mstatus & RV_MSTATUS_TVM);
}

bool rv_sfence_vma(struct rv_hart *hart, const struct rv_insn *insn)
{
    struct sm_tlb_scope scope = {
        .range = {0, UINT64_MAX},
        .modes = (uint16_t)(sm_mask(RV_N_MODES) & ~(UINT64_C(1) << RV_MODE_M)),
        .stage = 1,
    };

    if (!fence_is_legal(hart, true))
        return false;
    if (insn->rs1) {
        scope.range.first = hart->x[insn->rs1] & SM_PAGE_MASK;
        scope.range.last = scope.range.first | ~SM_PAGE_MASK;
    }
    if (insn->rs2) {
        /* Bits above the ASID are reserved and "should be ignored". */
        scope.key.word[0] = (hart->x[insn->rs2] << SATP_ASID_SHIFT) & SATP_ASID;
        scope.mask.word[0] = SATP_ASID;
        scope.keep_global = true;
    }
    /* A guest that puts new code into memory owes a FENCE.I.  Some, xv6 among them, only
     * ever fence all translations on the way to it; that orders code here, too. */
    if (!insn->rs1 && !insn->rs2 && !(hart->check_flags & SM_TLB_KEEP_STALE))
        rv_code_fence(hart);
    hart->own_flush = true;
    sm_tlb_flush_local(hart->vcpu, &scope);
    hart->own_flush = false;
    return true;
}

bool rv_sinval_vma(struct rv_hart *hart, const struct rv_insn *insn)
{
    /* Invalidating at once is stronger than waiting for the closing fence, which has
     * nothing left to do then. */
    return rv_sfence_vma(hart, insn);
}

bool rv_sfence_w_inval(struct rv_hart *hart)
{
    return fence_is_legal(hart, false);
}

bool rv_sfence_inval_ir(struct rv_hart *hart)
{
    return fence_is_legal(hart, false);
}

bool rv_fence_i(struct rv_hart *hart)
{
    hart->fences_i++;
    return rv_code_fence(hart);
}
