/* SPDX-License-Identifier: MIT */
/* riscv_impl.h - a hart's state, and what the files of this layer share.
 *
 * Layer: riscv, private.
 *
 *   isa.def isa_c.def decode.c  words to operations; print.c: to text
 *   interp*.c fpu.c             operations to effects
 *   csr.def csr.c trap.c irq.c  control state
 *   regime.c fence.c            control state to TLB modes, keys and flush scopes
 *   code.c                      what code was made of which page, for fences (code.h)
 *   translate*.c unit*.c        what runs often to host code (translate.h)
 *   hart.c isa.c                making, resetting and describing a hart
 *   check.c                     what the stale-translation checker asks and tells
 *
 * Invariants:
 *  (H1) x[0] is 0 between instructions.
 *  (H2) While FP registers hold singles they are NaN-boxed; who reads one as a
 *       single checks the box.
 *  (H3) mode_fetch, mode_data and data_table agree with priv, mstatus and satp
 *       after every rv_regime_update(); whoever changes one of those calls it.
 *  (H4) pc is exact at every block's beginning and at every fault; in between
 *       the interpreter keeps it in a local.
 *  (H5) mip_lines is written by other threads, atomically; all else is the hart
 *       thread's own.  A line's SSI is an edge: it moves to mip_soft before an
 *       instruction changes mip or sip.
 */
#ifndef RISCV_RISCV_IMPL_H
#define RISCV_RISCV_IMPL_H

#include "base/atomic.h"
#include "base/bits.h"
#include "jit/jit.h"
#include "mmu/pmp.h"
#include "riscv/riscv.h"
#include "softmmu/softtlb_hit.h"

/* --- Numbers of the specifications ------------------------------------------ */

enum rv_priv { RV_PRIV_U = 0, RV_PRIV_S = 1, RV_PRIV_M = 3 };

/** Source: Privileged, "Machine Cause (mcause) Register". */
enum rv_cause {
    RV_CAUSE_FETCH_MISALIGNED = 0, RV_CAUSE_FETCH_ACCESS = 1, RV_CAUSE_ILLEGAL = 2,
    RV_CAUSE_BREAKPOINT = 3, RV_CAUSE_LOAD_MISALIGNED = 4, RV_CAUSE_LOAD_ACCESS = 5,
    RV_CAUSE_STORE_MISALIGNED = 6, RV_CAUSE_STORE_ACCESS = 7, RV_CAUSE_ECALL_U = 8,
    RV_CAUSE_ECALL_S = 9, RV_CAUSE_ECALL_M = 11, RV_CAUSE_FETCH_PAGE = 12,
    RV_CAUSE_LOAD_PAGE = 13, RV_CAUSE_STORE_PAGE = 15
};
#define RV_CAUSE_INTERRUPT (UINT64_C(1) << 63)

/** Source: Privileged, "Machine Status (mstatus and mstatush) Registers". */
#define RV_MSTATUS_SIE  (UINT64_C(1) << 1)
#define RV_MSTATUS_MIE  (UINT64_C(1) << 3)
#define RV_MSTATUS_SPIE (UINT64_C(1) << 5)
#define RV_MSTATUS_MPIE (UINT64_C(1) << 7)
#define RV_MSTATUS_SPP  (UINT64_C(1) << 8)
#define RV_MSTATUS_MPP  (UINT64_C(3) << 11)
#define RV_MSTATUS_FS   (UINT64_C(3) << 13)
#define RV_MSTATUS_MPRV (UINT64_C(1) << 17)
#define RV_MSTATUS_SUM  (UINT64_C(1) << 18)
#define RV_MSTATUS_MXR  (UINT64_C(1) << 19)
#define RV_MSTATUS_TVM  (UINT64_C(1) << 20)
#define RV_MSTATUS_TW   (UINT64_C(1) << 21)
#define RV_MSTATUS_TSR  (UINT64_C(1) << 22)
#define RV_MSTATUS_UXL  (UINT64_C(3) << 32)
#define RV_MSTATUS_SXL  (UINT64_C(3) << 34)
#define RV_MSTATUS_SD   (UINT64_C(1) << 63)
/** What an instruction sets that changes floating-point state: SD says that FS does. */
#define RV_MSTATUS_DIRTY (RV_MSTATUS_FS | RV_MSTATUS_SD)

/** menvcfg and senvcfg.  Source: Privileged, "Machine Environment Configuration". */
#define RV_ENVCFG_CBIE  (UINT64_C(3) << 4)
#define RV_ENVCFG_CBCFE (UINT64_C(1) << 6)
#define RV_ENVCFG_CBZE  (UINT64_C(1) << 7)
#define RV_ENVCFG_ADUE  (UINT64_C(1) << 61)
#define RV_ENVCFG_PBMTE (UINT64_C(1) << 62)
#define RV_ENVCFG_STCE  (UINT64_C(1) << 63)

enum { RV_FFLAG_NX = 1, RV_FFLAG_UF = 2, RV_FFLAG_OF = 4, RV_FFLAG_DZ = 8, RV_FFLAG_NV = 16 };
enum { RV_RM_RNE, RV_RM_RTZ, RV_RM_RDN, RV_RM_RUP, RV_RM_RMM, RV_RM_DYN = 7 };

/** TLB modes (sm_vcpu's): how an access reads the tables.  M is bare. */
enum rv_mode {
    RV_MODE_U, RV_MODE_S, RV_MODE_S_SUM, RV_MODE_M, /* M: no translation       */
    RV_MODE_U_MXR, RV_MODE_S_MXR, RV_MODE_S_SUM_MXR, RV_N_MODES
};

/* --- Decoded instructions ---------------------------------------------------- */

/** Bit of an extension in rv_isa.ext, as the tables' column `ext` names it. */
#define RV_X(id) (UINT64_C(1) << RV_EXT_##id)

enum rv_op {
    RV_OP_illegal,
#define RV_INSN(name, text, mask, match, format, ext) RV_OP_##name,
#include "riscv/isa.def"
#undef RV_INSN
    RV_N_OPS
};

/** Operands, in the order in which assemblers print them. */
enum rv_format {
    RV_FMT_NONE,
    RV_FMT_R,         /* rd, rs1, rs2                                          */
    RV_FMT_R1,        /* rd, rs1                                               */
    RV_FMT_I,         /* rd, rs1, imm12                                        */
    RV_FMT_SHIFT,     /* rd, rs1, shamt of 6 bits                              */
    RV_FMT_SHIFTW,    /* rd, rs1, shamt of 5 bits                              */
    RV_FMT_LOAD,      /* rd, imm12(rs1)                                        */
    RV_FMT_S,         /* rs2, imm12(rs1)                                       */
    RV_FMT_B,         /* rs1, rs2, pc + imm13                                  */
    RV_FMT_U,         /* rd, imm32 whose low 12 bits are 0                     */
    RV_FMT_J,         /* rd, pc + imm21                                        */
    RV_FMT_JALR,      /* rd, imm12(rs1)                                        */
    RV_FMT_FENCE,     /* fm, pred, succ in .imm, 4 bits each                   */
    RV_FMT_FENCE_I,   /* none; other fields are ignored                        */
    RV_FMT_CSR,       /* rd, csr in .imm, rs1                                  */
    RV_FMT_CSRI,      /* rd, csr in .imm, zimm in .rs1                         */
    RV_FMT_SFENCE,    /* rs1, rs2                                              */
    RV_FMT_CBO,       /* (rs1)                                                 */
    RV_FMT_PREFETCH,  /* imm12(rs1), a multiple of 32                          */
    RV_FMT_LR,        /* rd, (rs1); aq and rl in .imm, bits 1 and 0            */
    RV_FMT_AMO,       /* rd, rs2, (rs1); the same                              */
    RV_FMT_FLOAD,     /* fd, imm12(rs1)                                        */
    RV_FMT_FSTORE,    /* fs2, imm12(rs1)                                       */
    RV_FMT_FP_R,      /* fd, fs1, fs2                                          */
    RV_FMT_FP_R_RM,   /* fd, fs1, fs2, rm                                      */
    RV_FMT_FP_R4,     /* fd, fs1, fs2, fs3, rm                                 */
    RV_FMT_FP_F1_RM,  /* fd, fs1, rm                                           */
    RV_FMT_FP_CMP,    /* rd, fs1, fs2                                          */
    RV_FMT_FP_XF,     /* rd, fs1                                               */
    RV_FMT_FP_XF_RM,  /* rd, fs1, rm                                           */
    RV_FMT_FP_XF_RTZ, /* rd, fs1, and rm spelled "rtz"                         */
    RV_FMT_FP_FX,     /* fd, rs1                                               */
    RV_FMT_FP_FX_RM,  /* fd, rs1, rm                                           */
    RV_FMT_FP_LI,     /* fd, number of a constant in .rs1                      */
    RV_N_FMTS
};

/** The tables as data.  rv_insn_table[op], op 1..RV_N_OPS - 1; [0] is illegal. */
struct rv_insn_row {
    const char *text;
    uint32_t mask, match;
    uint64_t ext; /* RV_X() of all that it needs                               */
    uint8_t format;
};
extern const struct rv_insn_row rv_insn_table[RV_N_OPS];

/** One instruction, decoded.  A compressed one is its expansion, .len 2. */
struct rv_insn {
    uint16_t op;  /* enum rv_op                                                */
    uint8_t len;  /* bytes: 2 or 4                                             */
    uint8_t rd, rs1, rs2, rs3;
    uint8_t rm;   /* bits 14..12: rounding mode of FP operations               */
    int32_t imm;  /* sign-extended; shift amounts, CSR number, zimm in .rs1    */
    uint32_t raw; /* as fetched; of a compressed one the low half              */
};

/** Decode @word (its low half when compressed).  Never fails: what is not an
 *  instruction of @isa becomes RV_OP_illegal with .raw and .len. */
void rv_decode(const struct rv_isa *isa, uint32_t word, struct rv_insn *out);

/** Write @insn, at @pc, in words into @text, cut to @size. */
void rv_insn_text(const struct rv_insn *insn, uint64_t pc, char *text, size_t size);

/* --- A hart ------------------------------------------------------------------- */

struct rv_block;
struct rv_block_cache;
struct rv_units;
struct rv_code;
struct rv_kept;

/** An exception that is about to be taken. */
struct rv_trap {
    uint64_t cause, tval;
};

/** What is let through, of the vCPU's watches. */
enum rv_passing {
    RV_PASS_NONE,
    RV_PASS_NEXT, /* what the instruction at pc was stopped for                */
    RV_PASS_LAST  /* the same; it has begun, and is alone in its block         */
};

enum { RV_X_SINK = 32 }; /* where the interpreter sends what is written to x0 */

/** A walk that a fetch made, and what its way consists of: rewalk.c. */
enum { RV_N_REWALKS = 8, RV_REWALK_STEPS = 5 };
struct rv_rewalk {
    uint64_t page, satp;
    uint32_t flags; /* SM_WALK_*                                               */
    uint8_t mode, state, n;
    const uint8_t *host[RV_REWALK_STEPS]; /* of the .n entries that it read     */
    uint64_t entry[RV_REWALK_STEPS];
    struct sm_xlate xlate; /* of the page's first byte                          */
};

struct rv_hart {
    /* Hot: registers and what the hit path reads. */
    uint64_t x[RV_X_SINK + 1];
    uint64_t pc;
    struct sm_tlb_fast *fast;
    uint8_t priv;       /* enum rv_priv                                        */
    uint8_t mode_fetch; /* enum rv_mode of instruction fetches (H3)            */
    uint8_t mode_data;  /* enum rv_mode of loads and stores: MPRV, SUM, MXR    */
    uint8_t fflags, frm;
    bool wfi;           /* the run loop returns RV_RUN_WFI                     */
    uint8_t passing;    /* enum rv_passing                                     */
    uint64_t f[32];

    /* Instructions counted at block entry; a fault or a CSR read in the middle
     * takes off what has not retired: minstret = instret + instret_bias. */
    uint64_t instret;
    uint64_t data_accesses;
    uint64_t accesses_told; /* of these, to the context that made them         */
    struct rv_block_cache *blocks;
    uint64_t code_epoch; /* blocks of older ones are compared                   */
    uint64_t units_renewed; /* units compared as they were entered              */
    struct rv_code *code; /* NULL: each fence has all code compared            */

    /* Units of host code (translate.h). */
    struct jit_state jit;   /* what they use beside the registers               */
    struct rv_units *units; /* or NULL: interpret only                          */
    uint32_t unit_heat;     /* entries of a block before it is translated       */
    struct rv_kept *kept;   /* what their calls are given, until all end        */
    uint64_t fetches_moved; /* how often what fetches reach may have changed   */
    bool jit_stop;  /* after a fault: a watch stops the instruction; else the interpreter
                       is to execute it                                       */

    /* Control state.  Fields hold the legalised value that reads return. */
    uint64_t mstatus, medeleg, mideleg, mie, mtvec, mscratch, mepc, mcause, mtval;
    uint64_t mcounteren, mcountinhibit, menvcfg;
    uint64_t stvec, sscratch, sepc, scause, stval, satp, scounteren, senvcfg;
    uint64_t stimecmp;
    uint64_t mip_soft;   /* bits that software wrote: SSIP, STIP, SEIP         */
    uint64_t mip_lines;  /* levels of lines, and SSI's edges; atomic (H5)      */
    uint64_t mcycle_bias, minstret_bias; /* value read = counter + bias        */
    uint64_t mhpmcounter[32], mhpmevent[32]; /* 3..31                          */
    struct sm_pmp pmp;

    /* regime.c: what the contexts selected for the modes are keyed by. */
    uint64_t mode_satp[RV_N_MODES]; /* MODE bare: 0                            */
    uint8_t modes_selected;         /* bit n: mode_satp[n] was selected        */
    bool own_flush; /* in a flush of translations that this hart asked for     */
    struct rv_rewalk rewalk[RV_N_REWALKS]; /* by page                           */

    uint32_t check_flags; /* of the vCPU's checker; 0: there is none             */
    bool check_code;   /* compare each block at each entry (B1)                 */
    uint64_t fences_i; /* FENCE.I alone, without what stands for one           */

    uint32_t kicked;     /* atomic: rv_hart_kick()                             */

    struct rv_isa isa;
    uint64_t hart_id;
    struct sm_vcpu *vcpu;
    struct sm_address_space *space;
    const struct rv_owner_ops *ops;
    void *owner;
    struct sm_attrs attrs;      /* of this hart's data accesses                */
    struct rv_stats stats;
    void (*look)(void *observer, struct rv_hart *hart); /* or NULL             */
    void *observer;
    FILE *log;          /* or NULL                                             */
    uint32_t log_items; /* enum rv_log_item                                    */
};

/* --- csr.c --------------------------------------------------------------------- */

/** Numbers: RV_CSRNO_mstatus; of a run (csr.def) the first. */
enum rv_csr_number {
#define RV_CSR(name, number, n, ext, field, mask, allow, read, write)                    \
    RV_CSRNO_##name = number,
#include "riscv/csr.def"
#undef RV_CSR
    RV_N_CSRNO = 0x1000
};

enum rv_csr_op { RV_CSR_READ, RV_CSR_WRITE, RV_CSR_SET, RV_CSR_CLEAR };

/** What must happen after a CSR access, beside going on. */
enum rv_csr_result {
    RV_CSR_OK,
    RV_CSR_ILLEGAL, /* nothing happened: illegal instruction                   */
    RV_CSR_REGIME   /* done; modes, interrupts or translations may have changed:
                       the block ends here                                     */
};

/** Perform one CSR instruction's access at the current privilege.
 *
 *  @op      READ only reads (CSRRS/CSRRC with x0); WRITE with @want_old false does
 *           not read (CSRRW to x0), as "CSR Instructions" demands
 *  Instructions retired before this one are already in hart->instret.
 */
enum rv_csr_result rv_csr_access(struct rv_hart *hart, unsigned csr, enum rv_csr_op op,
                                 uint64_t operand, bool want_old, uint64_t *old);

/** What an access to a CSR does that is legal from a privilege on, and is nothing but a
 *  load and a store of its field. */
struct rv_csr_plain {
    uint32_t offset;     /* of the field in struct rv_hart                      */
    uint8_t priv;        /* least privilege                                     */
    bool reads, writes;  /* whether reads are so, and writes                    */
    uint64_t read_mask;  /* bits of the field that are read                     */
    uint64_t write_mask; /* bits that a write gives to the field                */
    uint64_t enables;    /* of one that is not plain to write: interrupt enables, which
                            may be cleared in the field at any time, and set while
                            nothing is pending                                  */
};

/** Describe @csr of harts of @isa.
 *  Returns  false if it has none of that: rv_csr_access() */
bool rv_csr_plain(const struct rv_isa *isa, unsigned csr, struct rv_csr_plain *out);

/* csr_hooks.c: what csr.def names.
 *
 *   allow  whether the access is legal beyond what the number says
 *   read   the value, without effects
 *   write  take @value, legalised; true if modes, interrupts or translations may
 *          have changed (RV_CSR_REGIME)
 */
#define RV_CSR(name, number, n, ext, field, mask, allow, read, write)                    \
    bool rv_csr_allow_##allow(const struct rv_hart *hart, unsigned csr, bool writes);    \
    uint64_t rv_csr_read_##read(const struct rv_hart *hart, unsigned csr);               \
    bool rv_csr_write_##write(struct rv_hart *hart, unsigned csr, uint64_t value);
#include "riscv/csr.def"
#undef RV_CSR

/** Bits that xepc holds; bits of mstatus that sstatus shows. */
uint64_t rv_csr_epc_mask(const struct rv_isa *isa);
#define RV_SSTATUS_BITS                                                                  \
    (RV_MSTATUS_SIE | RV_MSTATUS_SPIE | RV_MSTATUS_SPP | RV_MSTATUS_FS |                 \
     RV_MSTATUS_SUM | RV_MSTATUS_MXR | RV_MSTATUS_UXL | RV_MSTATUS_SD)

/** menvcfg after a reset: what hardware of these extensions would have on. */
uint64_t rv_csr_menvcfg_reset(const struct rv_isa *isa);

/* --- trap.c, irq.c --------------------------------------------------------------- */

/** Take the exception @cause at hart->pc, which is the faulting instruction's. */
void rv_take_exception(struct rv_hart *hart, uint64_t cause, uint64_t tval);
/** Take the interrupt @irq at hart->pc, the instruction to resume at. */
void rv_trap_interrupt(struct rv_hart *hart, enum rv_irq irq);
/** Return from a trap.  Returns false if illegal here (privilege, TSR). */
bool rv_mret(struct rv_hart *hart);
bool rv_sret(struct rv_hart *hart);
/** WFI.  Returns false if illegal here (TW).  May set hart->wfi. */
bool rv_wfi(struct rv_hart *hart);

/** mip as software reads it, lines, software bits and Sstc's comparison together. */
uint64_t rv_mip(const struct rv_hart *hart);
/** Interrupts that end a WFI: pending, and enabled in mie, delegated or not.
 *  Threads: any; another's sees what the hart last wrote at some moment. */
uint64_t rv_irq_wakeup(const struct rv_hart *hart);
/** Take the enabled interrupt of highest priority, if there is one. */
bool rv_take_interrupt(struct rv_hart *hart);
/** Whether there may be one, without asking for the time.  A deadline of Sstc counts from
 *  when it was noticed, by the owner's timer or by software that read sip; the owner may
 *  have meant a former one. */
bool rv_interrupt_due(const struct rv_hart *hart);

/* --- regime.c, fence.c ------------------------------------------------------------- */

extern const struct sm_guest_mmu_ops rv_guest_mmu_ops;

/** Tell the TLB of the data accesses made since the last time, all by mode_data. */
void rv_regime_count(struct rv_hart *hart);
/** Recompute mode_fetch, mode_data and the selected contexts (H3). */
void rv_regime_update(struct rv_hart *hart);
/** Drop every translation of this hart: PMP, envcfg or satp.MODE rules changed. */
void rv_regime_flush(struct rv_hart *hart);

/** Each returns false when the instruction is illegal here (privilege, TVM). */
bool rv_sfence_vma(struct rv_hart *hart, const struct rv_insn *insn);
bool rv_sinval_vma(struct rv_hart *hart, const struct rv_insn *insn);
bool rv_sfence_w_inval(struct rv_hart *hart);
bool rv_sfence_inval_ir(struct rv_hart *hart);
/** FENCE.I: stores before it are seen by fetches after it.
 *  Returns  whether what runs may have ended */
bool rv_fence_i(struct rv_hart *hart);

/* --- rewalk.c ---------------------------------------------------------------------- */

/** Find what is known of the walk for the fetch @req; NULL: it is not worth while.
 *  @satp  and @flags (SM_WALK_*) are all else that it depends on */
struct rv_rewalk *rv_rewalk_find(struct rv_hart *hart, const struct sm_xlate_req *req,
                                 uint64_t satp, uint32_t flags);
/** Answer by it, if it would read what it read. */
bool rv_rewalk_answers(const struct rv_rewalk *walk, uint64_t gva, struct sm_xlate *out);
/** Let it be the walk that is made now, of which each step is noted, and that succeeds if
 *  its end is told. */
void rv_rewalk_begin(struct rv_rewalk *walk);
void rv_rewalk_note(struct rv_rewalk *walk, const struct rv_hart *hart,
                    const struct sm_walk_step *step);
void rv_rewalk_end(struct rv_rewalk *walk, const struct sm_xlate *xlate);
/** Forget all: what is protected has changed, or a view. */
void rv_rewalk_forget(struct rv_hart *hart);

/* --- check.c ------------------------------------------------------------------------ */

/** Tell what tables @mode reads by @satp; a context's key leaves out where they lie, as
 *  the architecture's does.  Returns  that key's word */
uint64_t rv_check_root(struct rv_hart *hart, uint8_t mode, uint64_t satp);

/** Whether every block is looked at before it runs, so none leads to the next. */
SM_INLINE bool rv_checks(const struct rv_hart *hart)
{
    return SM_UNLIKELY(hart->check_flags & SM_TLB_CHECK_HITS);
}

/* --- interp.c, block.c --------------------------------------------------------------- */

/** Errors: -ENOMEM */
SM_MUST_CHECK int rv_blocks_new(struct rv_hart *hart);
void rv_blocks_free(struct rv_hart *hart);
/** Forget every decoded block: a view changed, or the hart was reset. */
void rv_blocks_flush(struct rv_hart *hart);

/* --- interp_fp.c, fpu.c ---------------------------------------------------------------- */

/** Execute one F, D or Zfa operation between registers (no loads and stores).
 *
 *  mstatus.FS was checked and is set dirty by the caller.  Reads and writes f and x,
 *  ors into fflags.
 *  Returns  false for a reserved rounding mode: illegal instruction, nothing changed */
bool rv_exec_fp(struct rv_hart *hart, const struct rv_insn *insn);

#endif
