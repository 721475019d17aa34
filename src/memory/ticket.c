/* SPDX-License-Identifier: MIT */
/* ticket.c - issues tickets, knows who has passed one, and frees what waited. */
#include "base/atomic.h"
#include "base/rcu.h"
#include "memory/memory_impl.h"

#include <sched.h>
#include <time.h>

void sm_ticket_init(struct sm_topology *topo)
{
    pthread_mutex_init(&topo->agents_lock, NULL);
    pthread_mutex_init(&topo->retired_lock, NULL);
    sm_list_init(&topo->agents);
    sm_list_init(&topo->retired);
    for (unsigned i = 0; i < SM_N_CALLER_LANES; i++) {
        sm_lock_init(&topo->lanes[i].lock);
        sm_list_init(&topo->lanes[i].callers);
    }
}

void sm_ticket_fini(struct sm_topology *topo)
{
    for (unsigned i = 0; i < SM_N_CALLER_LANES; i++) {
        sm_assert(sm_list_empty(&topo->lanes[i].callers));
        sm_lock_destroy(&topo->lanes[i].lock);
    }
    sm_list_for_each_safe(agent, next, &topo->agents, struct sm_agent, node) {
        sm_assert(sm_load_relaxed(&agent->passed) == SM_AGENT_OFFLINE);
        sm_list_remove(&agent->node);
        agent->topo = NULL;
    }
    sm_list_for_each_safe(retired, next, &topo->retired, struct sm_retired, node)
        retired->free(retired);
    pthread_mutex_destroy(&topo->retired_lock);
    pthread_mutex_destroy(&topo->agents_lock);
}

void sm_topology_wake(struct sm_topology *topo)
{
    if (topo->ops && topo->ops->wake && !sm_exchange(&topo->wake_asked, 1))
        topo->ops->wake(topo->owner);
}

/* --- Issue and completion ----------------------------------------------- */

void sm_topology_each_agent(struct sm_topology *topo,
                            void (*visit)(struct sm_agent *agent, void *arg), void *arg)
{
    pthread_mutex_lock(&topo->agents_lock);
    sm_list_for_each(agent, &topo->agents, struct sm_agent, node)
        visit(agent, arg);
    pthread_mutex_unlock(&topo->agents_lock);
}

static void kick_online(struct sm_agent *agent, void *arg)
{
    if (sm_load_relaxed(&agent->passed) != SM_AGENT_OFFLINE)
        agent->ops->kick(agent);
}

sm_ticket sm_topology_issue(struct sm_topology *topo)
{
    /* Releases what was published, to the acquire in sm_agent_pass() and online(). */
    const sm_ticket ticket = sm_fetch_add(&topo->issued, 1) + 1;

    /* Pairs with the fence in sm_agent_online(): an agent that looks offline here
     * will find the number, and so all that was published before it. */
    sm_fence();
    sm_topology_each_agent(topo, kick_online, NULL);
    return ticket;
}

static void raise_to(sm_ticket *word, sm_ticket ticket)
{
    sm_ticket now = sm_load_relaxed(word);
    while (now < ticket && !sm_compare_exchange(word, &now, ticket))
        ;
}

/* Have a grace period end that began after @ticket was issued. */
static void wait_for_readers(struct sm_topology *topo, sm_ticket ticket)
{
    if (sm_load_acquire(&topo->graced) >= ticket)
        return;
    const sm_ticket covered = sm_load_acquire(&topo->issued);
    sm_rcu_synchronize();
    raise_to(&topo->graced, covered);
}

static bool agents_passed(struct sm_topology *topo, sm_ticket ticket)
{
    bool passed = true;

    sm_fence(); /* as in sm_topology_issue(): this thread may not be the issuer */
    pthread_mutex_lock(&topo->agents_lock);
    sm_list_for_each(agent, &topo->agents, struct sm_agent, node) {
        if (sm_load_acquire(&agent->passed) < ticket) { /* of the publish in pass() */
            passed = false;
            break;
        }
    }
    pthread_mutex_unlock(&topo->agents_lock);
    return passed;
}

/* Who looks at a lane that shows nobody: either the fence below comes first, and a caller
 * that is about to begin there finds the ticket issued; or the caller's, and it shows. */
static bool callers_passed(struct sm_topology *topo, sm_ticket ticket)
{
    bool passed = true;

    sm_fence(); /* with the one in sm_caller_begin() */
    for (unsigned i = 0; passed && i < SM_N_CALLER_LANES; i++) {
        struct sm_caller_lane *lane = &topo->lanes[i];
        if (!sm_load_acquire(&lane->n)) /* of the decrement in sm_caller_end() */
            continue;
        sm_lock(&lane->lock);
        passed = sm_list_empty(&lane->callers) ||
                 sm_list_entry(lane->callers.next, struct sm_caller, node)->since >= ticket;
        sm_unlock(&lane->lock);
    }
    return passed;
}

static bool is_done(struct sm_topology *topo, sm_ticket ticket)
{
    if (sm_load_acquire(&topo->done) >= ticket)
        return true;
    if (sm_load_acquire(&topo->graced) < ticket || !agents_passed(topo, ticket) ||
        !callers_passed(topo, ticket))
        return false;
    raise_to(&topo->done, ticket);
    return true;
}

bool sm_ticket_done(struct sm_topology *topo, sm_ticket ticket)
{
    if (is_done(topo, ticket))
        return true;
    if (sm_load_relaxed(&topo->graced) < ticket)
        sm_topology_wake(topo); /* somebody must wait for a grace period */
    return false;
}

/* Let the others run: the longer it takes, the longer. */
static void back_off(unsigned round)
{
    if (round < 16) {
        sched_yield();
        return;
    }
    const struct timespec pause = {.tv_nsec = round < 64 ? 20000 : 200000};
    nanosleep(&pause, NULL);
}

void sm_ticket_wait(struct sm_topology *topo, sm_ticket ticket)
{
    sm_assert_hot(!sm_thread.frames && !sm_thread.n_edits); /* L2 */
    sm_assert_hot(!sm_thread.translating);
    sm_assert_hot(!sm_thread.agent || sm_thread.agent->topo != topo);
    wait_for_readers(topo, ticket);
    for (unsigned round = 0; !is_done(topo, ticket); round++)
        back_off(round);
    sm_retired_collect(topo);
}

/* --- Readers that are no agents ----------------------------------------- */

/* By where the thread keeps its own: no two threads have that in one place. */
static struct sm_caller_lane *lane_of_thread(struct sm_topology *topo)
{
    const uint64_t place = (uint64_t)(uintptr_t)&sm_thread;
    const uint64_t mixed = (place >> 6) * UINT64_C(0x9e3779b97f4a7c15);

    return &topo->lanes[mixed >> 32 & (SM_N_CALLER_LANES - 1)];
}

void sm_caller_begin(struct sm_topology *topo, struct sm_caller *caller)
{
    struct sm_caller_lane *lane = lane_of_thread(topo);

    caller->lane = lane;
    sm_lock(&lane->lock);
    sm_fetch_add(&lane->n, 1);
    sm_fence(); /* with the one in callers_passed() */
    caller->since = sm_load_acquire(&topo->issued);
    sm_list_add_before(&lane->callers, &caller->node);
    sm_unlock(&lane->lock);
}

void sm_caller_end(struct sm_topology *topo, struct sm_caller *caller)
{
    struct sm_caller_lane *lane = caller->lane;

    sm_lock(&lane->lock);
    sm_list_remove(&caller->node);
    sm_fetch_add(&lane->n, UINT32_MAX);
    sm_unlock(&lane->lock);
    /* Set before callers_passed() looked, and so seen after it. */
    if (sm_load_relaxed(&topo->todo) & SM_TODO_FREE)
        sm_topology_wake(topo);
}

void sm_reader_begin(struct sm_reader *reader, struct sm_topology *topo)
{
    const struct sm_agent *agent = sm_thread.agent;

    reader->topo = topo;
    if ((agent && agent->topo == topo) || sm_thread.pinned == topo) {
        reader->how = SM_READER_AGENT;
    } else {
        reader->how = SM_READER_RCU;
        sm_rcu_lock();
    }
}

bool sm_reader_pin(struct sm_reader *reader)
{
    if (reader->how != SM_READER_RCU)
        return false;
    sm_rcu_unlock();
    sm_caller_begin(reader->topo, &reader->caller);
    reader->how = SM_READER_PINNED;
    return true;
}

void sm_reader_end(struct sm_reader *reader)
{
    if (reader->how == SM_READER_RCU)
        sm_rcu_unlock();
    else if (reader->how == SM_READER_PINNED)
        sm_caller_end(reader->topo, &reader->caller);
}

/* --- Frees -------------------------------------------------------------- */

void sm_retire(struct sm_topology *topo, struct sm_retired *retired, sm_ticket ticket,
               void (*free)(struct sm_retired *retired))
{
    retired->ticket = ticket;
    retired->free = free;
    pthread_mutex_lock(&topo->retired_lock);
    sm_list_add_before(&topo->retired, &retired->node);
    pthread_mutex_unlock(&topo->retired_lock);
    sm_topology_wake(topo);
}

/* Ticket of what has waited longest; 0: nothing waits. */
static sm_ticket oldest_retired(struct sm_topology *topo)
{
    sm_ticket ticket = 0;

    pthread_mutex_lock(&topo->retired_lock);
    if (!sm_list_empty(&topo->retired))
        ticket = sm_list_entry(topo->retired.next, struct sm_retired, node)->ticket;
    pthread_mutex_unlock(&topo->retired_lock);
    return ticket;
}

void sm_retired_collect(struct sm_topology *topo)
{
    sm_ticket ticket;

    while ((ticket = oldest_retired(topo)) != 0 && is_done(topo, ticket)) {
        struct sm_list due;
        sm_list_init(&due);
        pthread_mutex_lock(&topo->retired_lock);
        sm_list_for_each_safe(retired, next, &topo->retired, struct sm_retired, node) {
            if (retired->ticket > ticket)
                break;
            sm_list_remove(&retired->node);
            sm_list_add_before(&due, &retired->node);
        }
        pthread_mutex_unlock(&topo->retired_lock);
        sm_list_for_each_safe(retired, next, &due, struct sm_retired, node)
            retired->free(retired);
    }
}

/* Let SM_TODO_FREE say whether anything waits; under the lock, so that a clear cannot
 * undo the set of somebody who retired in between. */
static bool mark_frees(struct sm_topology *topo)
{
    pthread_mutex_lock(&topo->retired_lock);
    const bool any = !sm_list_empty(&topo->retired);
    if (any)
        sm_fetch_or(&topo->todo, SM_TODO_FREE);
    else
        sm_fetch_and(&topo->todo, ~(uint32_t)SM_TODO_FREE);
    pthread_mutex_unlock(&topo->retired_lock);
    return any;
}

/* Have the agents do the rest, if frees wait for them only. */
static void collect_or_hand_over(struct sm_topology *topo)
{
    /* Before the look at who has passed: whoever passes or ends later sees it. */
    mark_frees(topo);
    sm_retired_collect(topo);
    if (mark_frees(topo))
        sm_topology_each_agent(topo, kick_online, NULL);
}

void sm_topology_work(struct sm_topology *topo)
{
    const struct sm_panic_hook *hook = sm_panic_enter(&topo->hook);

    sm_assert_hot(!sm_thread.frames && !sm_thread.n_edits);
    sm_exchange(&topo->wake_asked, 0); /* from here on, a new wish is a new wake */
    sm_work_run(topo, true);
    wait_for_readers(topo, sm_load_acquire(&topo->issued));
    if (oldest_retired(topo))
        collect_or_hand_over(topo);
    sm_panic_leave(hook);
}

/* --- Agents ------------------------------------------------------------- */

void sm_agent_add(struct sm_topology *topo, struct sm_agent *agent,
                  const struct sm_agent_ops *ops)
{
    agent->topo = topo;
    agent->ops = ops;
    sm_store_relaxed(&agent->passed, SM_AGENT_OFFLINE);
    pthread_mutex_lock(&topo->agents_lock);
    sm_list_add_before(&topo->agents, &agent->node);
    pthread_mutex_unlock(&topo->agents_lock);
}

void sm_agent_remove(struct sm_agent *agent)
{
    struct sm_topology *topo = agent->topo;

    if (!topo) /* the topology went first */
        return;
    sm_assert(sm_load_relaxed(&agent->passed) == SM_AGENT_OFFLINE);
    pthread_mutex_lock(&topo->agents_lock);
    sm_list_remove(&agent->node);
    pthread_mutex_unlock(&topo->agents_lock);
    agent->topo = NULL;
}

void sm_agent_online(struct sm_agent *agent)
{
    struct sm_topology *topo = agent->topo;

    agent->view = NULL;
    sm_publish(&agent->passed, sm_load_acquire(&topo->issued));
    /* Pairs with the fences in sm_topology_issue() and agents_passed(): either they
     * see this agent online, or it sees from here on what they published. */
    sm_fence();
    (void)sm_load_acquire(&topo->issued);
    if (!sm_thread.agent) {
        sm_thread.agent = agent;
        sm_panic_enter(&topo->hook);
    }
}

static void serve(struct sm_topology *topo, uint32_t todo)
{
    if (todo & SM_TODO_WORK)
        sm_work_run(topo, false);
    if (todo & SM_TODO_FREE) {
        sm_retired_collect(topo);
        mark_frees(topo);
    }
}

void sm_agent_pass(struct sm_agent *agent)
{
    struct sm_topology *topo = agent->topo;
    /* Of the increment in sm_topology_issue(): what it published is seen from here. */
    const sm_ticket issued = sm_load_acquire(&topo->issued);

    sm_assert_hot(!sm_thread.frames && !sm_thread.n_edits); /* holds nothing */
    if (sm_load_relaxed(&agent->passed) != issued) {
        agent->view = NULL;
        sm_publish(&agent->passed, issued); /* to the acquire in agents_passed() */
    }
    const uint32_t todo = sm_load_relaxed(&topo->todo);
    if (SM_UNLIKELY(todo))
        serve(topo, todo);
}

void sm_agent_offline(struct sm_agent *agent)
{
    struct sm_topology *topo = agent->topo;

    sm_agent_pass(agent);
    sm_publish(&agent->passed, SM_AGENT_OFFLINE); /* to the acquire in agents_passed() */
    if (sm_thread.agent == agent) {
        sm_thread.agent = NULL;
        sm_panic_leave(NULL);
    }
    sm_fence(); /* with collect_or_hand_over(): it sees us offline, or we see the bit */
    if (sm_load_relaxed(&topo->todo))
        sm_topology_wake(topo);
}

void sm_agent_settle(struct sm_agent *agent, sm_ticket ticket)
{
    struct sm_topology *topo = agent->topo;

    sm_agent_pass(agent);
    wait_for_readers(topo, ticket);
    for (unsigned round = 0; !is_done(topo, ticket); round++) {
        back_off(round);
        sm_agent_pass(agent);
    }
}
