/* SPDX-License-Identifier: MIT */
/* x64_exit.c - emits a unit's beginning and its ways out.
 *
 * A way out writes home what is dirty, counts what retired since it was last counted, and
 * jumps: to a linked unit, or to the owner.  The jump is the patched part (struct
 * jit_exit).  One beyond the page is guarded: the fetch TLB has to have the target's
 * page at the guest address that it is at now, where it was when the link was made.
 */
#include "jit/x64_impl.h"

/* --- Beginning -------------------------------------------------------------------- */

/** Compare the request word with the unit's stamp, and note where that is. */
static void poll(struct jit_lower *l, struct x64_label *out)
{
    struct jit_unit *const unit = l->unit;
    uint8_t *imm;

    x64_load(&l->a, 3, false, X64_RAX, X64_STATE(l, fast));
    imm = x64_cmp_mi32(&l->a, x64_at(X64_RAX, offsetof(struct sm_tlb_fast, request)),
                       l->stamp);
    if (unit->n_stamps == JIT_MAX_STAMPS)
        l->failed = true;
    else
        unit->stamp[unit->n_stamps++] = imm;
    x64_jcc(&l->a, X64_NE, out);
}

/** Load or store what registers hold of globals; stores are of what is dirty. */
static void move_globals(struct jit_lower *l, bool load)
{
    const struct jit_regs *const now = &l->alloc->now;

    for (unsigned file = 0; file < 2; file++)
        for (unsigned reg = 0; reg < JIT_HOST_REGS; reg++) {
            const unsigned owner = now->owner[file][reg];
            struct x64_mem home;

            if (owner == JIT_NOBODY || (!load && !(now->dirty[file] >> reg & 1)))
                continue;
            home = x64_home(l, l->ir->globals[owner].offset);
            if (file && load)
                x64_movs_load(&l->a, true, reg, home);
            else if (file)
                x64_movs_store(&l->a, true, home, reg);
            else if (load)
                x64_load(&l->a, 3, false, reg, home);
            else
                x64_store(&l->a, 3, home, reg);
        }
}

/** Between units pins are in their registers: evict them, or bring them back. */
static void move_evicted(struct jit_lower *l, bool back)
{
    const struct jit_pins *const pins = &l->jit->pins;

    for (unsigned p = 0; p < pins->n; p++) {
        const struct x64_mem home = x64_home(l, l->ir->globals[pins->global[p]].offset);

        if (!(l->alloc->evicted >> p & 1))
            continue;
        if (back)
            x64_load(&l->a, 3, false, pins->reg[p], home);
        else
            x64_store(&l->a, 3, home, pins->reg[p]);
    }
}

/** All guest registers are to be where other units expect them. */
static void settle(struct jit_lower *l)
{
    move_globals(l, false);
    move_evicted(l, true);
}

void x64_call_out(struct jit_lower *l, uint32_t number)
{
    settle(l);
    x64_mov_ri(&l->a, X64_RCX, number);
    x64_call_to(&l->a, jit_mcode_write(&l->jit->code, l->jit->call));
    if (l->alloc->loops) /* what loops keep; others bring back what they read again */
        move_globals(l, true);
}

void x64_enter(struct jit_lower *l)
{
    poll(l, &l->poll);
    move_evicted(l, false);
    move_globals(l, true);
    x64_bind(&l->a, &l->head);
}

void x64_poll_tail(struct jit_lower *l)
{
    x64_bind(&l->a, &l->poll);
    x64_load(&l->a, 3, false, X64_RAX, X64_STATE(l, page));
    x64_alu_ri(&l->a, X64_ADD, true, X64_RAX, l->ir->place[0].offset);
    x64_store(&l->a, 3, X64_STATE(l, pc), X64_RAX);
    x64_mov_ri(&l->a, X64_RAX, JIT_OUT_POLL);
    x64_jmp_to(&l->a, jit_mcode_write(&l->jit->code, l->jit->leave));
}

/* --- Ways ---------------------------------------------------------------------------- */

static void count(struct jit_lower *l, unsigned n)
{
    if (n)
        x64_alu_mi(&l->a, X64_ADD, true, x64_home(l, l->jit->guest.count_offset),
                   (int32_t)n);
}

/** Add the instructions up to @insn's, which retired if @retired. */
static void count_to(struct jit_lower *l, const struct jit_insn *insn, bool retired)
{
    count(l, insn->at + (retired ? 1u : 0u) - l->counted);
}

/** What leads to guest address page + @offset, linked or not. */
static struct jit_exit *new_exit(struct jit_lower *l, unsigned kind, int32_t offset)
{
    struct jit_exit *const exit = jit_keep(l->jit, sizeof(*exit));

    if (!exit) {
        l->failed = true;
        return NULL;
    }
    *exit = (struct jit_exit){.kind = (uint8_t)kind, .offset = offset};
    return exit;
}

enum { FETCH = offsetof(struct sm_tlb_table, slot[SM_FETCH]) };

/** Have the fetch TLB asked, at rcx + FETCH, for the page @offset bytes on, rax; elsewhere
 *  if it has another there. */
static void look_up_fetch(struct jit_lower *l, int32_t offset, struct x64_label *elsewhere)
{
    struct x64 *const a = &l->a;

    x64_load(a, 3, false, X64_RAX, X64_STATE(l, page));
    x64_alu_ri(a, X64_ADD, true, X64_RAX, offset);
    x64_slot(a, X64_RCX, X64_RDX, X64_RAX);
    x64_alu_rm(a, X64_ADD, true, X64_RCX, X64_STATE(l, fetch));
    x64_alu_rm(a, X64_CMP, true, X64_RAX, x64_at(X64_RCX, FETCH));
    x64_jcc(a, X64_NE, elsewhere);
}

static struct x64_mem fetch_bias(void)
{
    return x64_at(X64_RCX, FETCH + (int32_t)offsetof(struct sm_tlb_entry, host_bias));
}

void x64_lower_behind(struct jit_lower *l, const struct jit_insn *insn)
{
    struct x64_label absent = {0}, done = {0};
    struct x64 *const a = &l->a;

    look_up_fetch(l, (int32_t)SM_PAGE_SIZE, &absent);
    x64_alu_rm(a, X64_ADD, true, X64_RAX, fetch_bias());
    x64_load(a, 1, false, X64_RDX, x64_at(X64_RAX, 0));
    x64_jmp(a, &done);
    x64_bind(a, &absent);
    x64_mov_ri(a, X64_RDX, UINT64_MAX);
    x64_bind(a, &done);
    x64_done(l, insn->d, X64_RDX);
}

/** The guard of a way beyond the page; it falls through to where that is not linked. */
static void guard(struct jit_lower *l, struct jit_exit *exit)
{
    struct x64_label unlinked = {0};
    struct x64 *const a = &l->a;

    exit->guard = a->at;
    look_up_fetch(l, exit->offset & -(int32_t)SM_PAGE_SIZE, &unlinked);
    x64_mov_ri64(a, X64_RDX, 0);
    exit->page = a->at - 8;
    x64_alu_rm(a, X64_SUB, true, X64_RDX, fetch_bias());
    x64_alu_rr(a, X64_CMP, true, X64_RDX, X64_RAX);
    x64_jcc(a, X64_NE, &unlinked);
    x64_store(a, 3, X64_STATE(l, page), X64_RAX);
    x64_jmp_to(a, a->at);
    exit->far = x64_last_disp(a);
    x64_bind(a, &unlinked);
}

/** Go where @exit leads. */
static void follow(struct jit_lower *l, struct jit_exit *exit)
{
    struct x64 *const a = &l->a;

    if (!exit)
        return;
    x64_jmp_to(a, a->at);
    exit->jump = x64_last_disp(a);
    if (exit->kind == JIT_EXIT_FAR)
        guard(l, exit);
    exit->unlinked = a->at;
    x64_mov_ri(a, X64_RAX, (uint64_t)(uintptr_t)exit);
    x64_jmp_to(a, jit_mcode_write(&l->jit->code, l->jit->link));
    if (!a->overflow)
        jit_host_link(l->jit, exit);
}

/** Have the owner go on at page + @offset. */
static void aside(struct jit_lower *l, int32_t offset)
{
    x64_load(&l->a, 3, false, X64_RAX, X64_STATE(l, page));
    x64_alu_ri(&l->a, X64_ADD, true, X64_RAX, offset);
    x64_store(&l->a, 3, X64_STATE(l, pc), X64_RAX);
    x64_mov_ri(&l->a, X64_RAX, JIT_OUT_ASIDE);
    x64_jmp_to(&l->a, jit_mcode_write(&l->jit->code, l->jit->leave));
}

static void way_out(struct jit_lower *l, const struct jit_insn *insn)
{
    const struct jit_way *const way = &l->ir->way[insn->imm];

    settle(l);
    count_to(l, insn, way->retired);
    if (way->kind == JIT_EXIT_ASIDE)
        aside(l, way->offset);
    else
        follow(l, new_exit(l, way->kind, way->offset));
}

/* --- Calls and returns ------------------------------------------------------------------ */

enum { RETURN_BITS = 3, RETURN_MASK = (JIT_N_RETURNS - 1) << RETURN_BITS };

/** What @index says of one of the two arrays, which begins at @array. */
static struct x64_mem ring(struct x64_mem array, unsigned index)
{
    array.index = (uint8_t)index;
    return array;
}

/** Remember that the call by @insn returns behind it; by what code, cold code says. */
static void push_return(struct jit_lower *l, const struct jit_insn *insn,
                        struct x64_label *code)
{
    struct x64 *const a = &l->a;

    x64_load(a, 2, false, X64_RCX, X64_STATE(l, n_returns));
    x64_alu_ri(a, X64_ADD, false, X64_RCX, 1 << RETURN_BITS);
    x64_alu_ri(a, X64_AND, false, X64_RCX, RETURN_MASK);
    x64_store(a, 2, X64_STATE(l, n_returns), X64_RCX);
    x64_load(a, 3, false, X64_RDX, X64_STATE(l, page));
    x64_alu_ri(a, X64_ADD, true, X64_RDX, l->ir->place[insn->at].next);
    x64_store(a, 3, ring(X64_STATE(l, returns), X64_RCX), X64_RDX);
    x64_lea_label(a, X64_RDX, code);
    x64_store(a, 3, ring(X64_STATE(l, return_code), X64_RCX), X64_RDX);
}

/** Where a return to behind @insn goes on; its page is .page again. */
static void return_point(struct jit_lower *l, const struct jit_insn *insn,
                         struct x64_label *code)
{
    const int32_t next = l->ir->place[insn->at].next;

    x64_bind(&l->a, code);
    if (next < (int32_t)SM_PAGE_SIZE) {
        follow(l, new_exit(l, JIT_EXIT_NEAR, next));
        return;
    }
    /* .page is the next one, of which this page's unit knows nothing. */
    x64_alu_mi(&l->a, X64_SUB, true, X64_STATE(l, page), (int32_t)SM_PAGE_SIZE);
    follow(l, new_exit(l, JIT_EXIT_FAR, next));
}

/** If rax, where to jump, is where the last call returns to: go on there. */
static void pop_return(struct jit_lower *l)
{
    struct x64_label other = {0};
    struct x64 *const a = &l->a;

    x64_load(a, 2, false, X64_RCX, X64_STATE(l, n_returns));
    x64_alu_rm(a, X64_CMP, true, X64_RAX, ring(X64_STATE(l, returns), X64_RCX));
    x64_jcc(a, X64_NE, &other);
    x64_alu_ri(a, X64_AND, true, X64_RAX, -(int32_t)SM_PAGE_SIZE);
    x64_store(a, 3, X64_STATE(l, page), X64_RAX);
    x64_lea(a, false, X64_RAX, x64_at(X64_RCX, -(1 << RETURN_BITS)));
    x64_alu_ri(a, X64_AND, false, X64_RAX, RETURN_MASK);
    x64_store(a, 2, X64_STATE(l, n_returns), X64_RAX);
    x64_jmp_m(a, ring(X64_STATE(l, return_code), X64_RCX));
    x64_bind(a, &other);
}

static void lower_jump(struct jit_lower *l, const struct jit_insn *insn)
{
    const bool returns = !(l->jit->flags & JIT_NO_RETURNS);
    const bool call = insn->aux == JIT_JUMP_CALL && returns;
    struct x64_label code = {0};

    x64_fetch(l, X64_RAX, insn->a); /* first: its register may be an evicted pin's */
    settle(l);
    count_to(l, insn, true);
    if (call)
        push_return(l, insn, &code);
    if (insn->aux == JIT_JUMP_RETURN && returns)
        pop_return(l);
    x64_jmp_to(&l->a, jit_mcode_write(&l->jit->code, l->jit->jump));
    if (call)
        return_point(l, insn, &code);
}

static void lower_exit(struct jit_lower *l, const struct jit_insn *insn)
{
    struct x64_label code = {0};
    const bool call = insn->aux == JIT_JUMP_CALL && !(l->jit->flags & JIT_NO_RETURNS);

    if (call)
        push_return(l, insn, &code);
    way_out(l, insn);
    if (call)
        return_point(l, insn, &code);
}

/* --- Loops --------------------------------------------------------------------------- */

/** Go back to the unit's beginning, unless somebody asks for a safe point. */
static void lower_loop(struct jit_lower *l, const struct jit_insn *insn)
{
    struct x64_cold *cold;

    count_to(l, insn, true);
    cold = x64_cold(l, X64_COLD_POLL, insn);
    poll(l, &cold->enter);
    x64_jmp(&l->a, &l->head);
}

void x64_cold_poll(struct jit_lower *l, struct x64_cold *cold)
{
    (void)cold;
    settle(l);
    x64_jmp(&l->a, &l->poll);
}

void x64_lower_way(struct jit_lower *l, const struct jit_insn *insn)
{
    struct x64_label skip = {0};
    enum x64_cc cc;

    switch ((enum jit_op)insn->op) {
    case JIT_OP_exit_if:
        cc = x64_compare(l, (enum jit_cond)insn->aux, insn->a, insn->b);
        x64_jcc(&l->a, cc, &x64_cold(l, X64_COLD_WAY, insn)->enter);
        break;
    case JIT_OP_loop_if:
        cc = x64_compare(l, (enum jit_cond)insn->aux, insn->a, insn->b);
        x64_jcc(&l->a, (enum x64_cc)(cc ^ 1), &skip);
        lower_loop(l, insn);
        x64_bind(&l->a, &skip);
        break;
    case JIT_OP_loop: lower_loop(l, insn); break;
    case JIT_OP_exit: lower_exit(l, insn); break;
    default: lower_jump(l, insn); break;
    }
}

void x64_cold_way(struct jit_lower *l, struct x64_cold *cold)
{
    way_out(l, cold->insn);
}
