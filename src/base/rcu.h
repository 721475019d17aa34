/* SPDX-License-Identifier: MIT */
/* rcu.h - read sections for threads that are no vCPU, over liburcu.
 *
 * Layer:    base
 * Threads:  any; the bulletproof flavour registers a thread by itself.
 *
 * Readers load what they follow with sm_load_acquire(), writers publish with
 * sm_publish(), so that thread sanitizers see the order; liburcu's own is invisible
 * to them, and rcu.c tells it in such builds.
 */
#ifndef SM_BASE_RCU_H
#define SM_BASE_RCU_H

/** Open a read section; nests.  Nothing in it may block or call a device. */
void sm_rcu_lock(void);
void sm_rcu_unlock(void);

/** Wait until every read section that began before has ended.  Outside any. */
void sm_rcu_synchronize(void);

#endif
