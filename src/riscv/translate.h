/* SPDX-License-Identifier: MIT */
/* translate.h - hot guest code as units of host code: what is made, kept and entered.
 *
 * The interpreter is the first tier: it counts entries into its blocks.  From a block
 * that was entered often a trace is followed within its page - through jumps, calls and
 * the branches that fall through - and described to src/jit as one unit.  Instructions
 * that have no IR of their own are calls of the interpreter's functions for them, or, where
 * the hart waits, or code is fenced, lead back to it.
 *
 *   translate.c       chooses traces; control flow; drives the others
 *   translate_int.c   IR of integer instructions
 *   translate_mem.c   IR of loads, stores, atomics and fences
 *   translate_fp.c    IR of floating point
 *   translate_system.c  IR of CSRs; calls for what changes control state
 *   translate_call.c  what units call: slow loads and stores, CSRs, atomics, rare FP
 *   unit.c            units by host address: made, compared with memory, ended
 *   unit_log.c        writes of all that what is asked for
 *
 * Layer: riscv, private.
 *
 * Invariants:
 *  (U1) A unit whose stamp is the vCPU's (sm_tlb_fast.request without its lowest bit) was
 *       equal to memory at some time after the hart's last FENCE.I, or its page is quiet
 *       (code.h).
 *  (U2) A unit has at most RV_UNIT_INSNS instructions between polls.
 *  (U3) A unit depends on the bytes that it was made of, on the page offset, and on what
 *       never changes in a hart (its isa): not on CSRs, privilege or guest addresses.
 *       What does depend on them is asked when the unit runs; so is the end of an
 *       instruction that crosses into whatever page is behind at the moment.
 */
#ifndef RISCV_TRANSLATE_H
#define RISCV_TRANSLATE_H

#include "jit/jit.h"
#include "riscv/riscv_impl.h"

enum {
    RV_UNIT_INSNS = 60,  /* (V2): a safe point at each unit's beginning           */
    RV_UNIT_PARTS = 8,
    RV_UNIT_HOT = 32     /* entries of a block after which it is translated      */
};

/** Numbers of the globals: x1..x31 as themselves; 0 is not used. */
enum { RV_G_X0 = 0, RV_G_F0 = 32, RV_N_GLOBALS = 64 };

/** The hart, to src/jit.  a0..a5, sp and s0 rank first. */
extern const struct jit_guest rv_jit_guest;

/** Consecutive bytes of the page that a unit was made of. */
struct rv_part {
    uint16_t offset, size;
};

/** What a trace was made of: to be compared with memory. */
struct rv_trace {
    const uint8_t *page;  /* host address of the page's first byte              */
    uint16_t offset;      /* where the first instruction begins                  */
    uint16_t n_insns;
    uint8_t n_parts;
    struct rv_part part[RV_UNIT_PARTS];
    uint16_t n_bytes;     /* of all parts: their copy, one after the other       */
    bool crosses;         /* the last instruction ends in the page behind: two bytes
                             more, which the unit compares when it runs          */
    uint8_t bytes[RV_UNIT_INSNS * 4];
};

/* --- translate.c ------------------------------------------------------------ */

/** Describe the trace that begins at @offset of @page in @ir.
 *
 *  Reads each byte of the guest once.
 *  @behind  where fetches now find the two bytes behind the page; NULL: nowhere
 *  @trace   gets what it is made of
 *  Returns  false if there is nothing to translate there: its first instruction crosses
 *           the page's end to nowhere */
bool rv_translate(struct rv_hart *hart, const uint8_t *page, unsigned offset,
                  const uint8_t *behind, struct jit_ir *ir, struct rv_trace *trace);

/* --- translate_call.c -------------------------------------------------------- */

/** Callbacks of rv_jit_guest; see there. */
uint32_t rv_jit_load(void *guest, uint64_t address, uint32_t mem);
uint32_t rv_jit_store(void *guest, uint64_t address, uint32_t mem);
void *rv_jit_fill(void *guest, uint64_t address, uint32_t rw);
uint32_t rv_jit_rmw(void *guest, uint64_t address, uint32_t mem, uint32_t op);
uint32_t rv_jit_lr(void *guest, uint64_t address, uint32_t mem);
uint32_t rv_jit_sc(void *guest, uint64_t address, uint32_t mem);
uint32_t rv_jit_touch(void *guest, uint64_t address, uint32_t size, uint32_t rw);
uint32_t rv_jit_fp_enter(void *guest);
/** Say in the state for generated code whether that has to be called. */
void rv_jit_fp_ready(struct rv_hart *hart);
void rv_jit_fp_flags(void *guest, uint32_t flags);

/** Callees of units.  @arg: the struct rv_insn.  hart->jit.pc is its address, and
 *  hart->instret counts what retired before it. */
uint32_t rv_jit_exec_fp(void *guest, const void *arg);
uint32_t rv_jit_exec_memory(void *guest, const void *arg);
uint32_t rv_jit_exec_csr(void *guest, const void *arg);
uint32_t rv_jit_exec_system(void *guest, const void *arg); /* fences               */
uint32_t rv_jit_ecall(void *guest, const void *arg);
uint32_t rv_jit_sret(void *guest, const void *arg);
uint32_t rv_jit_mret(void *guest, const void *arg);
uint32_t rv_jit_fence_i(void *guest, const void *arg);
uint32_t rv_jit_exec_clmul(void *guest, const void *arg);

/** A copy of @insn that lives until rv_kept_reset().  NULL: no host memory. */
const struct rv_insn *rv_keep(struct rv_hart *hart, const struct rv_insn *insn);
void rv_kept_reset(struct rv_hart *hart);
void rv_kept_free(struct rv_hart *hart);

/* --- unit.c ------------------------------------------------------------------ */

struct rv_unit;
struct rv_units; /* of a hart: the table, the jit, what is kept                   */

/** Errors   -ENOTSUP the host has no back end; -ENOMEM */
SM_MUST_CHECK int rv_units_new(struct rv_hart *hart, const struct jit_options *options);
void rv_units_free(struct rv_hart *hart);
/** End all units: a view changed, or the hart was reset.  In a callback of units this
 *  happens on the way out, and the next one's beginning leads out. */
void rv_units_flush(struct rv_hart *hart);
/** Tell that what fetches reach at an address may have changed, but not what was made of
 *  memory: where calls return to is forgotten. */
void rv_units_moved(struct rv_hart *hart);
/** Tell that code may have changed: each unit is compared with memory before it runs
 *  again. */
void rv_units_changed(struct rv_hart *hart);
/** Add what units did to @out. */
void rv_units_count(const struct rv_hart *hart, struct rv_stats *out);

/** Find or make the unit at @pc, whose bytes the fetch TLB has at @host, compared with
 *  memory if its stamp is old.
 *  @make    whether to translate if there is none
 *  Returns  NULL if there is none to be had: interpret */
struct rv_unit *rv_unit_at(struct rv_hart *hart, uint64_t pc, const uint8_t *host,
                           bool make);

struct rv_block;

/** The unit that begins where @block does, which is about to be entered at hart->pc and
 *  whose .heat is spent.  Gives it new heat.
 *  Returns  NULL: interpret the block */
struct rv_unit *rv_unit_of(struct rv_hart *hart, struct rv_block *block);

/** Entries of @block, just decoded, to interpret before rv_unit_of() is asked. */
uint32_t rv_unit_heat(const struct rv_hart *hart, const struct rv_block *block);

/** How a run of units ended; hart->pc is exact. */
enum rv_out {
    RV_OUT_LOOK_UP,   /* no unit is known at pc: find out what is there            */
    RV_OUT_INTERPRET, /* what is at pc has to be executed by the interpreter       */
    RV_OUT_REFRESH,   /* pass a safe point                                        */
    RV_OUT_STOP       /* a watch stops what is at pc                              */
};

/** Run @unit at hart->pc, and what follows it, as long as all is translated. */
enum rv_out rv_units_run(struct rv_hart *hart, struct rv_unit *unit);

/* --- unit_log.c: each if it is asked for ------------------------------------------ */

/** @trace, which begins at @pc, and what was built of it. */
void rv_unit_log_in(const struct rv_hart *hart, uint64_t pc, const struct rv_trace *trace,
                    const struct jit_ir *ir);
/** @unit, which @jit made of @ir just now. */
void rv_unit_log_out(const struct rv_hart *hart, const struct jit *jit,
                     const struct jit_ir *ir, const struct jit_unit *unit);
/** @unit is entered at hart->pc. */
void rv_unit_log_entry(const struct rv_hart *hart, const struct jit_unit *unit);

#endif
