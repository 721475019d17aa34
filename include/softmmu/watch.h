/* SPDX-License-Identifier: MIT */
/* watch.h - stops a vCPU before it touches certain bytes.
 *
 * A watch is a range of guest virtual or physical addresses, exact to the byte, and the
 * kinds of access that are to stop there.  Any number may lie in one page.  An access
 * that meets one ends in SM_STEP_STOP before anything happened: the guest stops before
 * the instruction, sm_vcpu_watch_hit() says what it is about to do, and on the way on
 * sm_vcpu_watch_pass() lets this one access through.
 *
 * Entries of the TLB for pages without a watch are as ever, so what they answer costs
 * nothing.  An access to a page with one takes the slow path and is compared there.
 * Virtual watches follow an address and physical ones the memory, whatever the guest
 * maps where meanwhile: nobody tells them of a change.
 *
 * An instruction may make several accesses, the first of them its fetch, and be stopped
 * at each.  It is begun afresh each time, so what was let through passes again, until
 * the guest says by sm_vcpu_watch_rearm() that the instruction came to its end.
 *
 *      step = sm_tlb_read_slow(...);            in the guest's loop:
 *      if (step == SM_STEP_STOP)                  stop before the instruction
 *          sm_vcpu_watch_hit(vcpu, &hit);         a debugger shows it, and goes on:
 *      sm_vcpu_watch_pass(vcpu);                  execute the one instruction
 *      sm_vcpu_watch_rearm(vcpu);                 and then the others
 *
 * Watched is what the vCPU accesses on behalf of instructions, by the functions of
 * softtlb.h.  Page walks are not, nor is what devices, debuggers and other vCPUs do, each
 * of which has its own set; and no probe (SM_REQ_PROBE) stops.
 *
 * Layer:    tlb
 * Threads:  the vCPU's, at a safe point or after a stop; any while it is offline.
 *
 * Invariants:
 *  (W1) Every access of a vCPU, a probe apart, of which one byte meets a watch of its
 *       kind stops, unless it is let through; no other does.
 *  (W2) What faults in translation faults and does not stop; a stop comes before what
 *       the bus may refuse.
 *  (W3) After a stop registers, memory, devices and a reservation are as before.  Only
 *       accessed and dirty bits and dirty logs may know of the access that is to come.
 */
#ifndef SOFTMMU_WATCH_H
#define SOFTMMU_WATCH_H

#include "softmmu/softtlb.h"
#include "softmmu/types.h"

SM_BEGIN_DECLS

/** Of struct sm_watch. */
enum sm_watch_flag {
    SM_WATCH_PHYSICAL = 1 << 0 /* .range is of gpas, else of gvas              */
};

/** Bytes, and the accesses that stop there. */
struct sm_watch {
    struct sm_range range;
    uint8_t accesses;   /* SM_PERM_*, not 0.  An atomic update reads and writes, a
                           cache-block instruction does what it is checked for  */
    uint8_t flags;      /* SM_WATCH_*                                          */
    uint8_t space;      /* physical: as sm_xlate.space, else 0                 */
    uint8_t reserved;   /* 0                                                   */
    /* Virtual: where the mode is in .modes and (key & mask) == .key, word by word, as
     * of struct sm_tlb_scope.  Physical: not looked at. */
    uint16_t modes;     /* bit n: mode n                                       */
    uint16_t reserved2; /* 0                                                   */
    struct sm_tlb_key key, mask;
    uint64_t id;        /* the owner's: handed back by a hit                   */
};

/** Have @vcpu stop where one of the @n watches at @watches says; they are copied, in
 *  place of those before.  0: nowhere.  What was let through stays so.
 *
 *  Errors   -EINVAL a field out of range; -ENOMEM.  The set is then as before
 *  Cost     empties the TLB, unless there are none now nor before.  Later, a compare per
 *           watch for each miss and for each access to a page that has one; misses
 *           always ask tlb_fill (sm_vcpu_set_refill() has no effect)
 */
SM_MUST_CHECK int sm_vcpu_set_watches(struct sm_vcpu *vcpu,
                                      const struct sm_watch *watches, uint32_t n);

/** What an access was part of. */
enum sm_watch_kind {
    SM_WATCH_LOAD,      /* sm_tlb_read_slow()                                  */
    SM_WATCH_STORE,     /* sm_tlb_write_slow(); .value is to be stored         */
    SM_WATCH_FETCH,     /* the same and SM_MEMOP_AS_FETCH, or a touch          */
    SM_WATCH_TOUCH,     /* sm_tlb_touch(), of data                             */
    SM_WATCH_RMW,       /* .value: the operand                                 */
    SM_WATCH_CAS,       /* .value: what is to be stored if it compares equal   */
    SM_WATCH_RESERVE,   /* sm_tlb_load_reserved()                              */
    SM_WATCH_STORE_CONDITIONAL /* .value: one that does not hold a reservation never
                                  stops                                        */
};

/** The access that did not happen. */
struct sm_watch_hit {
    uint32_t struct_size;
    uint32_t index;     /* of the first watch that it met, when it stopped     */
    uint64_t id;        /* that watch's                                        */
    sm_gva gva;         /* of the access, as are .gpa, .size, .mode            */
    sm_gpa gpa;
    sm_gva met_gva;     /* of its first byte that the watch covers             */
    sm_gpa met_gpa;
    uint16_t size;
    uint8_t kind;       /* enum sm_watch_kind                                  */
    uint8_t accesses;   /* SM_PERM_*                                           */
    uint8_t mode;
    uint8_t reserved[3]; /* 0                                                  */
    struct sm_value value; /* as the instruction gave it; 0 where .kind names none */
};

/** Copy out what the last SM_STEP_STOP was about.  Set out->struct_size.
 *  Returns  false if there was none since sm_vcpu_watch_rearm(), or ever */
bool sm_vcpu_watch_hit(const struct sm_vcpu *vcpu, struct sm_watch_hit *out);

/** Let the access of the last stop through, beside those let through already: the same
 *  bytes or fewer, in the same mode, for no other access, any number of times until
 *  sm_vcpu_watch_rearm().  Without a stop before: nothing.
 *
 *  At most SM_WATCH_PASSES are remembered, more than an instruction needs; of more, the
 *  last. */
void sm_vcpu_watch_pass(struct sm_vcpu *vcpu);
enum { SM_WATCH_PASSES = 8 };

/** Let nothing through any more: the instruction retired, or trapped. */
void sm_vcpu_watch_rearm(struct sm_vcpu *vcpu);

SM_END_DECLS
#endif
