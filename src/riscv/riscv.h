/* SPDX-License-Identifier: MIT */
/* riscv.h - a RISC-V hart, as its owner and the layers above see it.
 *
 * A hart owns a vCPU (softmmu/vcpu.h): registers, CSRs, decoder and interpreter
 * on top of that vCPU's TLB.  It knows no device: interrupts arrive as levels of
 * named lines, time comes from its owner.
 *
 * Layer:    riscv
 * Threads:  one thread runs a hart; rv_hart_set_irq(), rv_hart_kick() and
 *           rv_hart_has_work() on any thread.  Everything else on the hart's
 *           thread, or on any while the hart does not run.
 */
#ifndef RISCV_RISCV_H
#define RISCV_RISCV_H

#include <stdio.h>

#include "softmmu/softmmu.h"

struct rv_hart;
struct jit_perfmap; /* jit/perfmap.h */

enum rv_ext {
#define RV_EXT(id, name, rv64, max, isa) RV_EXT_##id,
#include "riscv/ext.def"
#undef RV_EXT
    RV_N_EXT
};

/** What a hart implements.  A value: copied into the hart when it is made. */
struct rv_isa {
    uint64_t ext;          /* bit n: enum rv_ext n                             */
    uint8_t satp_mode_max; /* 0 bare only, 8 Sv39, 9 Sv48, 10 Sv57             */
    uint8_t n_pmp;         /* 0 or 16                                          */
    uint16_t cbom_size, cboz_size, cbop_size; /* block sizes, bytes            */
    uint64_t mvendorid, marchid, mimpid;
    uint16_t satp_on, satp_off; /* bit n: the property of satp.MODE n was given;
                                   of bit 0, "mmu".  .satp_mode_max follows    */
};

SM_INLINE bool rv_isa_has(const struct rv_isa *isa, enum rv_ext ext)
{
    return (isa->ext >> ext) & 1;
}

/** Fill @isa for the CPU model @name ("rv64", "max").  Errors: -ENOENT */
SM_MUST_CHECK int rv_isa_init(struct rv_isa *isa, const char *name);

/** Set the property @name ("zba", "sv48", "pmp", "cboz_blocksize", ...) to
 *  @value ("on", "off", "true", "false", or a number), as after -cpu rv64,.
 *
 *  Names are QEMU's; a name that QEMU has and that we lack ("v", "h", ...) is
 *  accepted when it is turned off and -ENOTSUP when turned on.
 *  Errors   -ENOENT unknown name; -EINVAL bad value; -ENOTSUP */
SM_MUST_CHECK int rv_isa_set(struct rv_isa *isa, const char *name, const char *value);

/** Check what depends on what (D needs F, ...) after all were set.
 *  Returns  NULL, or the reason in words ("D extension requires F extension"). */
const char *rv_isa_check(const struct rv_isa *isa);

/** Write the isa string ("rv64imafdc_zicbom_...") into @text, cut to @size.
 *  Returns  the length that it has uncut */
size_t rv_isa_string(const struct rv_isa *isa, char *text, size_t size);

/** Visit model names / property names for -cpu help.  Returns NULL past the end. */
const char *rv_isa_model_name(unsigned n);
const char *rv_ext_name(enum rv_ext ext); /* and whether the isa string has it: */
bool rv_ext_in_isa_string(enum rv_ext ext);

/** Levels that reach a hart: bit numbers of mip. */
enum rv_irq {
    RV_IRQ_SSI = 1, RV_IRQ_MSI = 3, RV_IRQ_STI = 5, RV_IRQ_MTI = 7,
    RV_IRQ_SEI = 9, RV_IRQ_MEI = 11
};

/** What a hart asks of its owner; const.  Every callback is required. */
struct rv_owner_ops {
    uint32_t struct_size;
    /** Current mtime, in ticks of the timebase.  Threads: any. */
    uint64_t (*time)(void *owner);
    /** Have the line RV_IRQ_STI rise by rv_hart_set_irq() when mtime reaches
     *  @deadline; replaces the hart's former deadline.  UINT64_MAX: never. */
    void (*arm_stimecmp)(void *owner, struct rv_hart *hart, uint64_t deadline);
    /** Wake the thread that sleeps for this hart, if it does.  Threads: any. */
    void (*wake)(void *owner, struct rv_hart *hart);
};

/** What is written of translation; names as after -d. */
enum rv_log_item {
    RV_LOG_IN_ASM = 1 << 0,  /* guest instructions of each unit                */
    RV_LOG_OP = 1 << 1,      /* its intermediate representation                */
    RV_LOG_OUT_ASM = 1 << 2, /* its host code                                  */
    RV_LOG_EXEC = 1 << 3     /* each entry into host code from outside of it   */
};

struct rv_hart_options {
    uint32_t struct_size, reserved;
    uint64_t hart_id;
    const struct rv_isa *isa;
    struct sm_address_space *space;
    const struct rv_owner_ops *ops;
    void *owner;
    struct sm_tlb_check *check; /* made with rv_check_pc(), or NULL              */
    uint32_t check_flags;       /* of that: enum sm_tlb_check_flag              */
    uint32_t vcpu_flags;        /* SM_VCPU_*, of the hart's vCPU                */
    bool check_code;   /* compare each block with memory before it runs, for guests
                          that change code without FENCE.I                      */
    bool compare_all;  /* after each fence of code, whether or not a page may have
                          been written                                          */
    bool translate;    /* make host code of what runs often, on hosts for which there
                          is a back end; not with .check or .check_code         */
    uint32_t jit_flags, jit_opt; /* of jit_options (jit/jit.h): enum jit_flag, and
                          enum jit_opt: those to use                            */
    uint32_t jit_seed;           /* the same                                    */
    uint32_t jit_heat; /* entries of a block before it is translated; 0: the default */
    uint64_t code_size; /* bytes of host code, at most; 0: RV_CODE_SIZE          */
    FILE *log;          /* where .log_items go, or NULL; harts may share one     */
    uint32_t log_items; /* enum rv_log_item                                     */
    uint32_t reserved2;
    struct jit_perfmap *names; /* whom to tell names of host code, or NULL; harts may
                          share one, which outlives them                        */
};
#define RV_CODE_SIZE (UINT64_C(64) << 20)

/** Create a hart, its vCPU offline, in reset with pc 0x1000.
 *  Errors   -EINVAL; -ENOMEM */
SM_MUST_CHECK int rv_hart_new(struct sm_topology *topo,
                              const struct rv_hart_options *options,
                              struct rv_hart **out);
void rv_hart_free(struct rv_hart *hart);

/** Put every register and CSR into its reset state; pc becomes @pc.  Pending
 *  lines keep their level.  Threads: the hart does not run. */
void rv_hart_reset(struct rv_hart *hart, uint64_t pc);

struct sm_vcpu *rv_hart_vcpu(struct rv_hart *hart);
uint64_t rv_hart_id(const struct rv_hart *hart);
const struct rv_isa *rv_hart_isa(const struct rv_hart *hart);

/** Raise or lower a line; wakes and kicks the hart when it rises. */
void rv_hart_set_irq(struct rv_hart *hart, enum rv_irq irq, bool level);

enum rv_run {
    RV_RUN_KICKED, /* rv_hart_kick(); the owner looks at its own flags         */
    RV_RUN_WFI,    /* waits for an interrupt: sleep until rv_hart_has_work()   */
    RV_RUN_STOPPED /* pc is at an instruction that is about to do what is watched:
                      sm_vcpu_watch_hit().  Running on stops there again, unless
                      rv_hart_pass() was called                                */
};

/** Run guest code until kicked or waiting.  The vCPU is online. */
enum rv_run rv_hart_run(struct rv_hart *hart);

/** Let the access that rv_hart_run() stopped before happen once: the instruction at pc is
 *  the next, no interrupt before it, and may stop again for another of its accesses. */
void rv_hart_pass(struct rv_hart *hart);

/** Make rv_hart_run() return RV_RUN_KICKED soon.  Wakes a sleeping thread too. */
void rv_hart_kick(struct rv_hart *hart);

/** Whether an interrupt is pending that ends a WFI, or a kick is. */
bool rv_hart_has_work(const struct rv_hart *hart);

/** Have @look called on the hart's thread, pc and all registers exact: before each unit of
 *  host code that is entered from outside of such code, as it is at each trap, and before
 *  each block that is interpreted again though it is entered often; of a hart that does
 *  not translate, each.
 *  It may rv_hart_kick() this hart: then rv_hart_run() returns from there, with nothing
 *  done in between.  NULL: nobody looks.  Threads: the hart does not run. */
void rv_hart_observe(struct rv_hart *hart,
                     void (*look)(void *observer, struct rv_hart *hart), void *observer);

/** Registers, for tests, debugger and boot.  @n 0..31; x0 stays 0. */
uint64_t rv_hart_x(const struct rv_hart *hart, unsigned n);
void rv_hart_set_x(struct rv_hart *hart, unsigned n, uint64_t value);
uint64_t rv_hart_f(const struct rv_hart *hart, unsigned n);
void rv_hart_set_f(struct rv_hart *hart, unsigned n, uint64_t value);
uint64_t rv_hart_pc(const struct rv_hart *hart);
void rv_hart_set_pc(struct rv_hart *hart, uint64_t pc);
/** Read or write a CSR as machine mode does.  Returns false if it does not exist. */
bool rv_hart_csr_read(struct rv_hart *hart, unsigned csr, uint64_t *value);
bool rv_hart_csr_write(struct rv_hart *hart, unsigned csr, uint64_t value);

/** Of struct sm_tlb_check_ops.pc. */
uint64_t rv_check_pc(struct sm_vcpu *vcpu);

/** Write in words what @stale says, several lines, into @text, cut to @size; or as one
 *  line of JSON.  Returns  the length that it has uncut */
size_t rv_stale_text(const struct sm_stale *stale, char *text, size_t size);
size_t rv_stale_json(const struct sm_stale *stale, char *text, size_t size);

/** What a hart did since it was made (exact). */
struct rv_stats {
    uint32_t struct_size;
    bool translates;        /* units of host code are made: what they do is counted in
                               .instructions, not in the next two               */
    uint8_t reserved[3];
    uint64_t instructions;  /* retired                                         */
    uint64_t data_accesses; /* loads, stores and atomics that asked the TLB,
                               or would have                                   */
    uint64_t block_entries, blocks_decoded, blocks_verified;
    uint64_t exceptions, interrupts;
    uint64_t code_fences, code_fences_all; /* that compared; that had all code compared */
    uint64_t units, units_ended, units_verified, unit_links, unit_resets;
    uint64_t unit_insns, unit_bytes; /* guest instructions and host code of all units */
    uint64_t code_used, code_size;   /* bytes                                  */
    uint64_t sites_used, sites_size; /* places in code that C code serves        */
    uint64_t translate_ns;
};
void rv_hart_get_stats(const struct rv_hart *hart, struct rv_stats *out);

#endif
