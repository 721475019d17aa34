/* SPDX-License-Identifier: MIT */
/* interp_system.c - instructions that end a block: CSRs, traps and returns, fences of
 * translations and code, waiting, and jumps where instructions are aligned to 4. */
#include "riscv/interp_impl.h"

static enum rv_next rv_illegal(const struct rv_insn *insn, struct rv_trap *trap)
{
    *trap = (struct rv_trap){RV_CAUSE_ILLEGAL, insn->raw};
    return RV_NEXT_TRAP;
}

enum rv_next rv_exec_csr(struct rv_hart *hart, const struct rv_insn *insn,
                         struct rv_trap *trap)
{
    const bool immediate = rv_insn_table[insn->op].format == RV_FMT_CSRI;
    const uint64_t operand = immediate ? insn->rs1 : hart->x[insn->rs1];
    uint64_t old = 0;
    enum rv_csr_op op;
    enum rv_csr_result result;

    switch (insn->op) {
    case RV_OP_csrrw:
    case RV_OP_csrrwi: op = RV_CSR_WRITE; break;
    case RV_OP_csrrs:
    case RV_OP_csrrsi: op = insn->rs1 ? RV_CSR_SET : RV_CSR_READ; break;
    default: op = insn->rs1 ? RV_CSR_CLEAR : RV_CSR_READ; break;
    }
    result = rv_csr_access(hart, (unsigned)insn->imm, op, operand,
                           op != RV_CSR_WRITE || insn->rd, &old);
    if (result == RV_CSR_ILLEGAL)
        return rv_illegal(insn, trap);
    if (insn->rd)
        hart->x[insn->rd] = old;
    return result == RV_CSR_REGIME ? RV_NEXT_LEAVE : RV_NEXT;
}

/** A jump or branch in a hart without C, whose target may be misaligned: then it does
 *  not retire, and its link register stays. */
static enum rv_next rv_exec_jump(struct rv_hart *hart, const struct rv_insn *insn,
                                 struct rv_trap *trap)
{
    const uint64_t a = hart->x[insn->rs1], b = hart->x[insn->rs2];
    uint64_t target = hart->pc + (uint64_t)(int64_t)insn->imm;
    bool taken = true;

    switch (insn->op) {
    case RV_OP_beq: taken = a == b; break;
    case RV_OP_bne: taken = a != b; break;
    case RV_OP_blt: taken = (int64_t)a < (int64_t)b; break;
    case RV_OP_bge: taken = (int64_t)a >= (int64_t)b; break;
    case RV_OP_bltu: taken = a < b; break;
    case RV_OP_bgeu: taken = a >= b; break;
    case RV_OP_jalr: target = (a + (uint64_t)(int64_t)insn->imm) & ~UINT64_C(1); break;
    default: break;
    }
    if (!taken)
        return RV_NEXT;
    if (target & 2) {
        *trap = (struct rv_trap){RV_CAUSE_FETCH_MISALIGNED, target};
        return RV_NEXT_TRAP;
    }
    if (insn->rd && rv_insn_table[insn->op].format != RV_FMT_B)
        hart->x[insn->rd] = hart->pc + insn->len;
    hart->pc = target;
    return RV_NEXT_JUMP;
}

static enum rv_next rv_exec_wfi(struct rv_hart *hart, const struct rv_insn *insn,
                                struct rv_trap *trap)
{
    if (!rv_wfi(hart))
        return rv_illegal(insn, trap);
    return hart->wfi ? RV_NEXT_WAIT : RV_NEXT_LEAVE;
}

/** WRS: a wait that ends at once, for nobody tells this hart of others' stores.  What
 *  comes next passes a safe point.  Source: Unprivileged, "Zawrs". */
static enum rv_next rv_exec_wrs(struct rv_hart *hart, const struct rv_insn *insn,
                                struct rv_trap *trap)
{
    if (insn->op == RV_OP_wrs_nto && hart->priv != RV_PRIV_M &&
        (hart->mstatus & RV_MSTATUS_TW))
        return rv_illegal(insn, trap);
    return RV_NEXT_LEAVE;
}

enum rv_next rv_exec_system(struct rv_hart *hart, const struct rv_insn *insn,
                            struct rv_trap *trap)
{
    bool legal;

    switch (insn->op) {
    case RV_OP_csrrw:
    case RV_OP_csrrs:
    case RV_OP_csrrc:
    case RV_OP_csrrwi:
    case RV_OP_csrrsi:
    case RV_OP_csrrci:
        return rv_exec_csr(hart, insn, trap);
    case RV_OP_ecall:
        *trap = (struct rv_trap){RV_CAUSE_ECALL_U + hart->priv, 0};
        return RV_NEXT_TRAP;
    case RV_OP_ebreak:
        *trap = (struct rv_trap){RV_CAUSE_BREAKPOINT, hart->pc};
        return RV_NEXT_TRAP;
    case RV_OP_mret:
        return rv_mret(hart) ? RV_NEXT_JUMP : rv_illegal(insn, trap);
    case RV_OP_sret:
        return rv_sret(hart) ? RV_NEXT_JUMP : rv_illegal(insn, trap);
    case RV_OP_wfi:
        return rv_exec_wfi(hart, insn, trap);
    case RV_OP_wrs_nto:
    case RV_OP_wrs_sto:
        return rv_exec_wrs(hart, insn, trap);
    case RV_OP_fence_i:
        rv_fence_i(hart);
        return RV_NEXT;
    case RV_OP_sfence_vma: legal = rv_sfence_vma(hart, insn); break;
    case RV_OP_sinval_vma: legal = rv_sinval_vma(hart, insn); break;
    case RV_OP_sfence_w_inval: legal = rv_sfence_w_inval(hart); break;
    case RV_OP_sfence_inval_ir: legal = rv_sfence_inval_ir(hart); break;
    default:
        return rv_exec_jump(hart, insn, trap);
    }
    return legal ? RV_NEXT_LEAVE : rv_illegal(insn, trap);
}
