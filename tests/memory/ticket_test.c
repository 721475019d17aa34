/* SPDX-License-Identifier: MIT */
/* ticket_test.c - what a ticket waits for, who frees, and who is woken. */
#include "support.h"

#include <time.h>

struct vcpu {
    struct sm_agent agent;
    uint32_t kicks; /* atomic */
};

static void ignore_change(struct sm_agent *agent, const struct sm_address_space *space,
                          const struct sm_range *range)
{
}

static void count_kick(struct sm_agent *agent)
{
    sm_fetch_add_relaxed(&sm_container_of(agent, struct vcpu, agent)->kicks, 1);
}

static const struct sm_agent_ops vcpu_ops = {ignore_change, count_kick};

struct thing {
    struct sm_retired retired;
    bool freed;
};

static void free_thing(struct sm_retired *retired)
{
    sm_container_of(retired, struct thing, retired)->freed = true;
}

static void sleep_ms(long ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000000};
    nanosleep(&pause, NULL);
}

static void nobody(void **state)
{
    struct thing thing = {.freed = false};
    struct world world;

    world_init(&world);
    assert_true(sm_ticket_done(world.topo, 0));
    sm_topology_work(world.topo);
    world.wakes = 0;
    const sm_ticket ticket = sm_topology_issue(world.topo);
    /* The grace period is nobody's to wait for in here: somebody is asked to, once. */
    assert_false(sm_ticket_done(world.topo, ticket));
    assert_false(sm_ticket_done(world.topo, ticket));
    assert_int_equal(world.wakes, 1);
    sm_retire(world.topo, &thing.retired, ticket, free_thing);
    assert_int_equal(world.wakes, 1);
    sm_topology_work(world.topo);
    assert_true(thing.freed);
    assert_true(sm_ticket_done(world.topo, ticket));
    world_fini(&world);
}

static void agents(void **state)
{
    struct vcpu a = {0}, b = {0};
    struct thing thing = {.freed = false};
    struct world world;

    world_init(&world);
    sm_agent_add(world.topo, &a.agent, &vcpu_ops);
    sm_agent_add(world.topo, &b.agent, &vcpu_ops);
    sm_agent_online(&a.agent);
    sm_agent_online(&b.agent);
    const sm_ticket ticket = sm_topology_issue(world.topo);
    sm_retire(world.topo, &thing.retired, ticket, free_thing);
    assert_int_equal(a.kicks, 1);
    sm_topology_work(world.topo);
    assert_int_equal(a.kicks, 2); /* to do the rest */
    assert_false(thing.freed);
    sm_agent_pass(&a.agent);
    assert_false(thing.freed);
    assert_false(sm_ticket_done(world.topo, ticket));
    sm_agent_pass(&b.agent);
    assert_true(thing.freed); /* the last to pass frees */
    assert_true(sm_ticket_done(world.topo, ticket));
    assert_int_equal(world.topo->todo, 0);

    /* One that goes offline has passed, and one that comes back holds nothing old. */
    thing.freed = false;
    const sm_ticket next = sm_topology_issue(world.topo);
    sm_retire(world.topo, &thing.retired, next, free_thing);
    sm_agent_offline(&b.agent);
    sm_topology_work(world.topo);
    assert_false(thing.freed);
    sm_agent_online(&b.agent);
    sm_agent_offline(&a.agent);
    assert_true(sm_ticket_done(world.topo, next));
    sm_topology_work(world.topo);
    assert_true(thing.freed);
    sm_agent_offline(&b.agent);
    sm_agent_remove(&a.agent);
    sm_agent_remove(&b.agent);
    world_fini(&world);
}

/* A pass before the grace period is known frees nothing; one after it does. */
static void grace_first(void **state)
{
    struct vcpu a = {0};
    struct thing thing = {.freed = false};
    struct world world;

    world_init(&world);
    sm_agent_add(world.topo, &a.agent, &vcpu_ops);
    sm_agent_online(&a.agent);
    sm_retire(world.topo, &thing.retired, sm_topology_issue(world.topo), free_thing);
    sm_agent_pass(&a.agent);
    assert_false(thing.freed);
    sm_topology_work(world.topo);
    assert_true(thing.freed);
    sm_agent_offline(&a.agent);
    sm_agent_remove(&a.agent);
    world_fini(&world);
}

static void callers(void **state)
{
    struct sm_caller before, after;
    struct thing thing = {.freed = false};
    struct world world;

    world_init(&world);
    sm_caller_begin(world.topo, &before);
    const sm_ticket ticket = sm_topology_issue(world.topo);
    sm_retire(world.topo, &thing.retired, ticket, free_thing);
    sm_caller_begin(world.topo, &after);
    sm_topology_work(world.topo);
    assert_false(sm_ticket_done(world.topo, ticket));
    assert_false(thing.freed);
    world.wakes = 0;
    sm_caller_end(world.topo, &before);
    assert_int_equal(world.wakes, 1); /* since frees waited for it */
    assert_true(sm_ticket_done(world.topo, ticket));
    sm_topology_work(world.topo);
    assert_true(thing.freed);
    sm_caller_end(world.topo, &after);
    world_fini(&world);
}

static void in_order(void **state)
{
    struct thing things[3] = {{.freed = false}};
    struct vcpu a = {0};
    struct world world;

    world_init(&world);
    sm_agent_add(world.topo, &a.agent, &vcpu_ops);
    sm_agent_online(&a.agent);
    sm_retire(world.topo, &things[0].retired, sm_topology_issue(world.topo), free_thing);
    sm_retire(world.topo, &things[1].retired, sm_topology_issue(world.topo), free_thing);
    sm_agent_pass(&a.agent);
    sm_retire(world.topo, &things[2].retired, sm_topology_issue(world.topo), free_thing);
    sm_topology_work(world.topo);
    assert_true(things[0].freed && things[1].freed);
    assert_false(things[2].freed);
    sm_agent_offline(&a.agent);
    world_fini(&world); /* frees what still waits */
    assert_true(things[2].freed);
}

struct waiter {
    struct sm_topology *topo;
    sm_ticket ticket;
    uint32_t done; /* atomic */
};

static void *wait_for(void *arg)
{
    struct waiter *waiter = arg;
    sm_ticket_wait(waiter->topo, waiter->ticket);
    sm_publish(&waiter->done, 1);
    return NULL;
}

static void waiting(void **state)
{
    struct thing thing = {.freed = false};
    struct vcpu a = {0};
    struct world world;
    pthread_t thread;

    world_init(&world);
    sm_agent_add(world.topo, &a.agent, &vcpu_ops);
    sm_agent_online(&a.agent);
    struct waiter waiter = {world.topo, sm_topology_issue(world.topo), 0};
    sm_retire(world.topo, &thing.retired, waiter.ticket, free_thing);
    assert_int_equal(pthread_create(&thread, NULL, wait_for, &waiter), 0);
    sleep_ms(10);
    assert_int_equal(sm_load_acquire(&waiter.done), 0);
    sm_agent_pass(&a.agent);
    pthread_join(thread, NULL);
    assert_int_equal(waiter.done, 1);
    assert_true(thing.freed);
    sm_agent_offline(&a.agent);
    sm_agent_remove(&a.agent);
    world_fini(&world);
}

struct settler {
    struct world *world;
    struct vcpu vcpu;
    uint32_t *online; /* atomic: how many are                                  */
    int rounds;
};

enum { SETTLERS = 3, ROUNDS = 50 };

/* Issue and settle again and again, as vCPUs that all broadcast at once. */
static void *settle(void *arg)
{
    struct settler *settler = arg;
    struct sm_topology *topo = settler->world->topo;

    sm_agent_online(&settler->vcpu.agent);
    sm_fetch_add(settler->online, 1);
    while (sm_load_acquire(settler->online) < SETTLERS)
        sm_agent_pass(&settler->vcpu.agent);
    for (int i = 0; i < ROUNDS; i++) {
        const sm_ticket ticket = sm_topology_issue(topo);
        sm_agent_settle(&settler->vcpu.agent, ticket);
        settler->rounds += sm_ticket_done(topo, ticket);
    }
    sm_agent_offline(&settler->vcpu.agent);
    return NULL;
}

static void settling(void **state)
{
    struct settler settlers[SETTLERS];
    pthread_t thread[SETTLERS];
    struct world world;
    uint32_t online = 0;

    world_init(&world);
    for (int i = 0; i < SETTLERS; i++) {
        settlers[i] = (struct settler){.world = &world, .online = &online};
        sm_agent_add(world.topo, &settlers[i].vcpu.agent, &vcpu_ops);
    }
    for (int i = 0; i < SETTLERS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, settle, &settlers[i]), 0);
    for (int i = 0; i < SETTLERS; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(settlers[i].rounds, ROUNDS);
        sm_agent_remove(&settlers[i].vcpu.agent);
    }
    world_fini(&world);
}

static void count_agent(struct sm_agent *agent, void *arg)
{
    ++*(int *)arg;
}

static void each(void **state)
{
    struct vcpu a = {0}, b = {0};
    struct world world;
    int n = 0;

    world_init(&world);
    sm_agent_add(world.topo, &a.agent, &vcpu_ops);
    sm_agent_add(world.topo, &b.agent, &vcpu_ops);
    sm_topology_each_agent(world.topo, count_agent, &n);
    assert_int_equal(n, 2);
    sm_agent_remove(&a.agent);
    sm_topology_each_agent(world.topo, count_agent, &n);
    assert_int_equal(n, 3);
    sm_agent_remove(&b.agent);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody),      cmocka_unit_test(agents),
        cmocka_unit_test(grace_first), cmocka_unit_test(callers),
        cmocka_unit_test(in_order),    cmocka_unit_test(waiting),
        cmocka_unit_test(settling),    cmocka_unit_test(each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
