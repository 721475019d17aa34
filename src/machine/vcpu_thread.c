/* SPDX-License-Identifier: MIT */
/* vcpu_thread.c - runs harts on threads: a pthread each, or all in turn on one.
 *
 * A thread sleeps on a futex word when its hart waits for an interrupt.  It sets the
 * word, then asks once more whether there is work; who makes work does so first, then
 * clears the word and wakes.  Both sides have a full fence in between, so one of them
 * sees the other, and nobody polls.
 *
 * Why no wake-up is lost, step by step:
 *   running   A raised line is in mip_lines before the vCPU's request word is set.  The
 *             loop lowers that word by an exchange and looks at the lines after it
 *             (interp.c, refresh); an instruction that enables an interrupt goes there.
 *   WFI       Whatever came after rv_wfi() looked is seen by rv_hart_has_work(), which
 *             sleep_for_work() asks with its word already set.
 *   no edge   A line that was up already wakes nobody.  It was up when the hart looked,
 *             so it is masked in mie, which only the hart itself changes.  STI is no
 *             level and always wakes; SSI goes down when the hart takes it over.
 *   stimecmp  The hart stores its deadline, then arms the timer under stimecmp_lock;
 *             who fires compares under that lock and arms again what is not yet due.
 *             A deadline is the first nanosecond at which the comparison holds.
 *   clock     Arming under the clock's lock sets the timerfd if it is earlier than what
 *             that waits for.  The dispatcher forgets what it waits for under the lock,
 *             and sets it anew for what is left when it ends (clock.c).
 *
 * With one thread a timer ends each slice by a kick, and only while more than one hart
 * exists.  Pausing is a flag that every thread looks at after each kick; a paused
 * thread is offline and counted.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "jit/jit.h"
#include "machine/board.h"

enum { SLICE_NS = 2000000 };

struct vcpus {
    struct machine *machine;
    pthread_mutex_t lock; /* of the counts; a leaf                             */
    pthread_cond_t changed;
    uint32_t halt; /* atomic: VCPUS_* that keep threads from running     */
    unsigned n_threads, n_paused;
    uint32_t shared_word;      /* thread=single: everyone's sleep word               */
    struct hart_slot *running; /* thread=single: atomic                         */
    struct dev_timer slice;
};

enum { VCPUS_PAUSE = 1 << 0, VCPUS_EXIT = 1 << 1 };

/* --- Sleeping and waking ------------------------------------------------------------ */

static void futex(uint32_t *word, int op, uint32_t value)
{
    syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

/** Pairs with the exchange in the sleepers: what was done before is seen by them. */
static void wake_word(uint32_t *word)
{
    if (sm_exchange(word, 0))
        futex(word, FUTEX_WAKE, 1);
}

static void sleep_for_work(struct hart_slot *slot)
{
    for (;;) {
        sm_exchange(slot->sleep_word, 1); /* pairs with wake_word()             */
        if (rv_hart_has_work(slot->hart) || sm_load_relaxed(&slot->vcpus->halt))
            break;
        futex(slot->sleep_word, FUTEX_WAIT, 1);
    }
    sm_store_relaxed(slot->sleep_word, 0);
}

/* --- What a hart asks of its owner -------------------------------------------------- */

static uint64_t owner_time(void *owner)
{
    const struct hart_slot *slot = owner;
    return aclint_mtime(slot->machine->aclint);
}

/** Set the line to whether the deadline has come, and a timer for when it will. */
static void stimecmp_update(struct hart_slot *slot)
{
    const struct dev_clock *clock = machine_clock_table(slot->machine->clock);
    struct aclint *aclint = slot->machine->aclint;
    const bool never = slot->stimecmp == UINT64_MAX;
    const bool due = !never && aclint_mtime(aclint) >= slot->stimecmp;

    rv_hart_set_irq(slot->hart, RV_IRQ_STI, due);
    clock->arm(clock->opaque, &slot->stimecmp_timer,
               due || never ? UINT64_MAX : aclint_deadline_ns(aclint, slot->stimecmp));
}

static void stimecmp_fire(void *opaque)
{
    struct hart_slot *slot = opaque;
    /* The hart may have moved its deadline since: the lock orders the two. */
    pthread_mutex_lock(&slot->stimecmp_lock);
    stimecmp_update(slot);
    pthread_mutex_unlock(&slot->stimecmp_lock);
}

void harts_time_changed(void *owner)
{
    struct machine *machine = owner;

    for (unsigned i = 0; i < machine->n_harts; i++) {
        struct hart_slot *slot = &machine->slots[i];
        pthread_mutex_lock(&slot->stimecmp_lock);
        if (slot->hart)
            stimecmp_update(slot);
        pthread_mutex_unlock(&slot->stimecmp_lock);
    }
}

static void owner_arm_stimecmp(void *owner, struct rv_hart *hart, uint64_t deadline)
{
    struct hart_slot *slot = owner;
    (void)hart;
    pthread_mutex_lock(&slot->stimecmp_lock);
    slot->stimecmp = deadline;
    if (slot->hart)
        stimecmp_update(slot);
    pthread_mutex_unlock(&slot->stimecmp_lock);
}

static void owner_wake(void *owner, struct rv_hart *hart)
{
    struct hart_slot *slot = owner;
    (void)hart;
    wake_word(slot->sleep_word);
}

static const struct rv_owner_ops owner_ops = {
    .struct_size = sizeof owner_ops,
    .time = owner_time,
    .arm_stimecmp = owner_arm_stimecmp,
    .wake = owner_wake,
};

/* --- Harts -------------------------------------------------------------------------- */

int harts_new(struct machine *machine, const struct rv_isa *isa)
{
    for (unsigned i = 0; i < machine->n_harts; i++) {
        struct hart_slot *slot = &machine->slots[i];
        const struct rv_hart_options options = {
            .struct_size = sizeof options,
            .hart_id = i,
            .isa = isa,
            .space = machine->space,
            .ops = &owner_ops,
            .owner = slot,
            .check = machine->check,
            .check_flags = machine->check_flags,
            .vcpu_flags = machine->vcpu_flags,
            .check_code = machine->check_code,
            .compare_all = machine->compare_all,
            .translate = !machine->jit.off,
            .jit_flags = machine->jit.flags,
            .jit_opt = JIT_OPT_ALL & ~machine->jit.without,
            .jit_seed = machine->jit.seed,
            .jit_heat = machine->jit.heat,
            .code_size = machine->jit.code_size,
            .log = machine->log,
            .log_items = machine->jit.log_items,
            .names = machine->names};
        int err;

        slot->machine = machine;
        slot->sleep_word = &slot->own_word;
        slot->stimecmp = UINT64_MAX;
        slot->stimecmp_timer = (struct dev_timer){
            .fire = stimecmp_fire, .opaque = slot, .deadline_ns = UINT64_MAX};
        pthread_mutex_init(&slot->stimecmp_lock, NULL);
        err = rv_hart_new(machine->topo, &options, &slot->hart);
        if (err)
            return err;
    }
    return 0;
}

void harts_free(struct machine *machine)
{
    for (unsigned i = 0; machine->slots && i < machine->n_harts; i++) {
        struct hart_slot *slot = &machine->slots[i];
        const struct dev_clock *clock;
        if (!slot->machine)
            break;
        clock = machine_clock_table(machine->clock);
        clock->cancel(clock->opaque, &slot->stimecmp_timer);
        if (slot->hart)
            rv_hart_free(slot->hart);
        pthread_mutex_destroy(&slot->stimecmp_lock);
    }
    g_free(machine->slots);
    machine->slots = NULL;
}

static void line_set(void *owner, unsigned n, bool level)
{
    struct hart_slot *slot = owner;
    /* Devices are made, and may lower their lines, before there are harts. */
    if (slot->hart)
        rv_hart_set_irq(slot->hart, (enum rv_irq)n, level);
}

struct dev_line hart_line(struct machine *machine, unsigned hart, enum rv_irq irq)
{
    return (struct dev_line){.set = line_set, .owner = &machine->slots[hart], .n = irq};
}

/* --- Threads ------------------------------------------------------------------------ */

/** Stay here while paused.  Returns false when the thread is to end. */
static bool may_run(struct vcpus *vcpus)
{
    uint32_t halt = sm_load_acquire(&vcpus->halt); /* pairs with set_halt()      */

    if (SM_LIKELY(!halt))
        return true;
    pthread_mutex_lock(&vcpus->lock);
    vcpus->n_paused++;
    pthread_cond_broadcast(&vcpus->changed);
    while ((halt = sm_load_relaxed(&vcpus->halt)) == VCPUS_PAUSE)
        pthread_cond_wait(&vcpus->changed, &vcpus->lock);
    vcpus->n_paused--;
    pthread_mutex_unlock(&vcpus->lock);
    return !(halt & VCPUS_EXIT);
}

/** Run @slot's hart, online, until it is kicked or waits. */
static enum rv_run run_online(struct hart_slot *slot)
{
    struct sm_vcpu *vcpu = rv_hart_vcpu(slot->hart);
    enum rv_run reason;

    sm_vcpu_online(vcpu);
    reason = rv_hart_run(slot->hart);
    sm_vcpu_offline(vcpu);
    return reason;
}

static void *thread_of_one(void *opaque)
{
    struct hart_slot *slot = opaque;

    while (may_run(slot->vcpus))
        if (run_online(slot) == RV_RUN_WFI)
            sleep_for_work(slot);
    return NULL;
}

static void slice_fire(void *opaque)
{
    struct vcpus *vcpus = opaque;
    struct hart_slot *slot = sm_load_acquire(&vcpus->running);
    if (slot)
        rv_hart_kick(slot->hart);
}

static void run_slice(struct vcpus *vcpus, struct hart_slot *slot)
{
    const struct dev_clock *clock = machine_clock_table(vcpus->machine->clock);

    sm_publish(&vcpus->running, slot);
    if (vcpus->machine->n_harts > 1)
        clock->arm(clock->opaque, &vcpus->slice, clock->now_ns(clock->opaque) + SLICE_NS);
    slot->waiting = run_online(slot) == RV_RUN_WFI;
}

/** Sleep until a hart has work.  As sleep_for_work(), for all of them. */
static void sleep_for_any(struct vcpus *vcpus)
{
    struct machine *machine = vcpus->machine;
    const struct dev_clock *clock = machine_clock_table(machine->clock);

    clock->cancel(clock->opaque, &vcpus->slice);
    for (;;) {
        sm_exchange(&vcpus->shared_word, 1);
        if (sm_load_relaxed(&vcpus->halt))
            break;
        for (unsigned i = 0; i < machine->n_harts; i++)
            if (rv_hart_has_work(machine->slots[i].hart))
                goto work;
        futex(&vcpus->shared_word, FUTEX_WAIT, 1);
    }
work:
    sm_store_relaxed(&vcpus->shared_word, 0);
}

static void *thread_of_all(void *opaque)
{
    struct vcpus *vcpus = opaque;
    struct machine *machine = vcpus->machine;

    while (may_run(vcpus)) {
        bool ran = false;
        for (unsigned i = 0; i < machine->n_harts && !sm_load_relaxed(&vcpus->halt);
             i++) {
            struct hart_slot *slot = &machine->slots[i];
            if (slot->waiting && !rv_hart_has_work(slot->hart))
                continue;
            run_slice(vcpus, slot);
            ran = true;
        }
        if (!ran)
            sleep_for_any(vcpus);
    }
    return NULL;
}

static void set_halt(struct vcpus *vcpus, uint32_t halt)
{
    struct machine *machine = vcpus->machine;

    sm_fetch_or(&vcpus->halt, halt);
    for (unsigned i = 0; i < machine->n_harts; i++) {
        rv_hart_kick(machine->slots[i].hart);
        wake_word(machine->slots[i].sleep_word);
    }
}

int vcpus_new(struct machine *machine, struct vcpus **out)
{
    struct vcpus *vcpus = g_new0(struct vcpus, 1);
    const unsigned n = machine->single_thread ? 1 : machine->n_harts;
    int err = 0;

    vcpus->machine = machine;
    vcpus->halt = VCPUS_PAUSE;
    vcpus->slice = (struct dev_timer){
        .fire = slice_fire, .opaque = vcpus, .deadline_ns = UINT64_MAX};
    pthread_mutex_init(&vcpus->lock, NULL);
    pthread_cond_init(&vcpus->changed, NULL);
    for (unsigned i = 0; i < machine->n_harts; i++) {
        machine->slots[i].vcpus = vcpus;
        if (machine->single_thread)
            machine->slots[i].sleep_word = &vcpus->shared_word;
    }
    for (; vcpus->n_threads < n && !err; vcpus->n_threads += !err) {
        struct hart_slot *slot = &machine->slots[vcpus->n_threads];
        err = pthread_create(&slot->thread, NULL,
                             machine->single_thread ? thread_of_all : thread_of_one,
                             machine->single_thread ? (void *)vcpus : (void *)slot);
    }
    if (err) {
        vcpus_free(vcpus);
        return -err;
    }
    *out = vcpus;
    return 0;
}

void vcpus_free(struct vcpus *vcpus)
{
    struct machine *machine;
    const struct dev_clock *clock;

    if (!vcpus)
        return;
    machine = vcpus->machine;
    clock = machine_clock_table(machine->clock);
    set_halt(vcpus, VCPUS_EXIT);
    pthread_mutex_lock(&vcpus->lock);
    pthread_cond_broadcast(&vcpus->changed);
    pthread_mutex_unlock(&vcpus->lock);
    for (unsigned i = 0; i < vcpus->n_threads; i++)
        pthread_join(machine->slots[i].thread, NULL);
    clock->cancel(clock->opaque, &vcpus->slice);
    for (unsigned i = 0; i < machine->n_harts; i++) {
        machine->slots[i].sleep_word = &machine->slots[i].own_word;
        machine->slots[i].vcpus = NULL;
    }
    pthread_cond_destroy(&vcpus->changed);
    pthread_mutex_destroy(&vcpus->lock);
    g_free(vcpus);
}

void vcpus_ask_pause(struct vcpus *vcpus)
{
    set_halt(vcpus, VCPUS_PAUSE);
}

void vcpus_pause(struct vcpus *vcpus)
{
    set_halt(vcpus, VCPUS_PAUSE);
    pthread_mutex_lock(&vcpus->lock);
    while (vcpus->n_paused < vcpus->n_threads)
        pthread_cond_wait(&vcpus->changed, &vcpus->lock);
    pthread_mutex_unlock(&vcpus->lock);
}

void vcpus_resume(struct vcpus *vcpus)
{
    struct machine *machine = vcpus->machine;

    /* A hart that was reset while it waited in WFI runs again. */
    for (unsigned i = 0; i < machine->n_harts; i++)
        machine->slots[i].waiting = false;
    pthread_mutex_lock(&vcpus->lock);
    sm_fetch_and(&vcpus->halt, ~(uint32_t)VCPUS_PAUSE);
    pthread_cond_broadcast(&vcpus->changed);
    pthread_mutex_unlock(&vcpus->lock);
}
