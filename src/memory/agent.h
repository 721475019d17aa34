/* SPDX-License-Identifier: MIT */
/* agent.h - what the memory layer asks of whoever runs guest code.
 *
 * A topology knows its vCPUs only as agents: something that is online or not,
 * that passes safe points, and that can be asked to drop what it derived from a
 * view.  src/tlb embeds one in each vCPU.
 *
 * Layer:    memory (declared here, filled by tlb)
 *
 * Tickets.  sm_topology_issue() hands out the next number n.  An agent has passed
 * n once it stored `passed` >= n at a safe point, or is offline (`passed` is then
 * SM_AGENT_OFFLINE).  n is done when every agent has passed it and every other
 * reader (RCU read section) that began before it has ended.
 *
 * Memory order: sm_topology_issue() is called after the new state was published;
 * it increments the number, runs a full fence, then kicks.  An agent that goes
 * online or passes loads the number with acquire *before* it looks at any state
 * again: so an agent whose `passed` >= n cannot hold what n removed.  What was
 * posted to it (view_changed, translation_changed) it serves *after* it called
 * sm_agent_pass() or sm_agent_online(), and before it uses anything that it derived:
 * served first, a post could slip in between and be counted as passed.
 */
#ifndef SM_MEMORY_AGENT_H
#define SM_MEMORY_AGENT_H

#include "base/list.h"
#include "softmmu/types.h"

struct sm_topology;
struct sm_address_space;
struct sm_flat_view;
struct sm_flat_section;
struct sm_agent;

#define SM_AGENT_OFFLINE UINT64_MAX

/** All run on any thread, possibly under the topology's lock: they post a
 *  request into the agent's own words and return; they take no lock of ours. */
struct sm_agent_ops {
    /** The view of @space changed within @range: forget what was derived from it
     *  at the next safe point.  Called for every space of the topology; an agent
     *  ignores the ones it does not use.  Sections of this view that it kept are void
     *  then, whatever their range: what holds them may be freed. */
    void (*view_changed)(struct sm_agent *agent, const struct sm_address_space *space,
                         const struct sm_range *range);
    /** Pass a safe point soon. */
    void (*kick)(struct sm_agent *agent);
    /** Stores to these bytes of host memory are to be reported again (D1): from the next
     *  safe point on, mark before the next one.  NULL: the agent always does. */
    void (*rearm)(struct sm_agent *agent, const uint8_t *first, const uint8_t *last);
    /** Where translating regions lead may have changed: forget, at the next safe point,
     *  what was found beyond one.  Called for every agent of the topology; NULL: it
     *  keeps nothing of that. */
    void (*translation_changed)(struct sm_agent *agent);
};

struct sm_agent {
    struct sm_list node;
    struct sm_topology *topo;
    const struct sm_agent_ops *ops;
    sm_ticket passed; /* atomic; written by the agent's thread only             */
    /* What sm_address_space_section() found last; its thread's only.  Forgotten when
     * the agent passes a ticket, as the view may be freed then. */
    const struct sm_flat_view *view;
    const struct sm_flat_section *section;
};

/** Join @topo, offline.  Threads: any, holding nothing. */
void sm_agent_add(struct sm_topology *topo, struct sm_agent *agent,
                  const struct sm_agent_ops *ops);
/** Leave.  The agent is offline. */
void sm_agent_remove(struct sm_agent *agent);

/** Begin to hold views.  On return every request posted before is visible. */
void sm_agent_online(struct sm_agent *agent);
/** Say that the agent holds nothing: at a safe point; or, for good, offline.
 *  sm_agent_pass() also runs the frees and deferred work (without SM_WORK_IO)
 *  that became due, when there are any; cost without: two relaxed loads. */
void sm_agent_pass(struct sm_agent *agent);
void sm_agent_offline(struct sm_agent *agent);

/** Call @visit for each agent of @topo, online or not, under a leaf lock: what holds
 *  for sm_agent_ops holds for it. */
void sm_topology_each_agent(struct sm_topology *topo,
                            void (*visit)(struct sm_agent *agent, void *arg), void *arg);

/** Issue a ticket for what the caller published before, and kick every agent that
 *  is online.  Threads: any, the topology's lock held or not. */
sm_ticket sm_topology_issue(struct sm_topology *topo);

/** Wait at the agent's safe point until @ticket is done, counting as passed
 *  itself, serving deferred work meanwhile. */
void sm_agent_settle(struct sm_agent *agent, sm_ticket ticket);

#endif
