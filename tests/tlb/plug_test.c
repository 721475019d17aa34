/* SPDX-License-Identifier: MIT */
/* plug_test.c - memory shared by two machines, moving windows, things that come and go.
 *
 * Two machines, a thread each, share a memory: each sees it through a window that its own
 * device maps, moves and hides from inside a callback, as a card's base register does.
 * Then one machine alone, under load: memory is unplugged and plugged in elsewhere, and
 * processors come and go while the map changes.
 */
#include "identity_guest.h"

#include "base/atomic.h"
#include "base/base.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

static const struct sm_attrs plain = {.process = SM_NO_PROCESS};

/* --- A card with a window --------------------------------------------- */

enum { REGISTERS = 0x1000, BELL = 8, WINDOW = 1 << 20, WINDOW_STEP = 1 << 16 };
enum { SHARED_SIZE = 0x8000, ROUNDS = 400, HIDDEN = 0 };

struct side {
    struct sm_topology *topo;
    struct sm_region *root, *registers, *shared;
    struct sm_device *card;
    struct sm_address_space *space;
    struct sm_vcpu *vcpu;
    struct side *other;
    uint64_t base;  /* of the window; HIDDEN: nowhere                     */
    uint64_t bells; /* atomic: rung by the other                          */
    unsigned number;
};

/* The card's base register, and its bell: the first is ours, the second the other's. */
static enum sm_tx card_write(void *dev, uint64_t offset, unsigned size,
                             const struct sm_attrs *attrs, uint64_t value)
{
    struct side *side = dev;
    int error = 0;

    if (offset == BELL) {
        sm_fetch_add_relaxed(&side->other->bells, value);
        return SM_TX_OK;
    }
    sm_topology_begin(side->topo);
    if (side->base != HIDDEN)
        sm_region_unmap(side->shared);
    side->base = value;
    if (value != HIDDEN)
        error = sm_region_map(side->root, value, side->shared, 0);
    return sm_topology_commit(side->topo, NULL) || error ? SM_TX_DEVICE_ERROR : SM_TX_OK;
}

static enum sm_tx card_read(void *dev, uint64_t offset, unsigned size,
                            const struct sm_attrs *attrs, uint64_t *value)
{
    struct side *side = dev;

    *value = offset == BELL ? sm_load_relaxed(&side->bells) : side->base;
    return SM_TX_OK;
}

static const struct sm_io_ops card_ops = {.struct_size = sizeof(card_ops),
                                          .read = card_read,
                                          .write = card_write,
                                          .accepts = {8, 8, false},
                                          .implements = {8, 8, false}};

/* @fd: of the memory to share; -1: make it. */
static void side_init(struct side *s, unsigned number, int fd)
{
    const struct sm_ram_options memory = {.struct_size = sizeof(memory),
                                          .kind = fd < 0 ? SM_RAM_SHARED : SM_RAM_FILE,
                                          .size = SHARED_SIZE,
                                          .fd = fd};

    memset(s, 0, sizeof(*s));
    s->number = number;
    assert_int_equal(sm_topology_new(NULL, NULL, &s->topo), 0);
    assert_int_equal(sm_region_new(s->topo, "root", UINT64_MAX, &s->root), 0);
    assert_int_equal(sm_device_new(s->topo, "card", s, &s->card), 0);
    assert_int_equal(sm_region_new_io(s->card, "card", 15, &card_ops, &s->registers), 0);
    assert_int_equal(sm_region_new_ram_from(s->topo, "shared", &memory, &s->shared), 0);
    sm_topology_begin(s->topo);
    assert_int_equal(sm_region_map(s->root, REGISTERS, s->registers, 0), 0);
    assert_int_equal(sm_address_space_new(s->topo, "space", s->root, &s->space), 0);
    assert_int_equal(sm_topology_commit(s->topo, NULL), 0);
    s->vcpu = identity_vcpu(s->topo, s->space, number, s);
}

static void side_fini(struct side *s)
{
    sm_vcpu_free(s->vcpu);
    sm_topology_free(s->topo);
}

static void put(struct side *s, sm_gpa gpa, uint64_t value)
{
    assert_int_equal(identity_store(s->vcpu, gpa, 3, value), SM_TX_OK);
    sm_vcpu_safe_point(s->vcpu);
}

static uint64_t get(struct side *s, sm_gpa gpa)
{
    uint64_t value = 0;

    assert_int_equal(identity_load(s->vcpu, gpa, 3, &value), SM_TX_OK);
    sm_vcpu_safe_point(s->vcpu);
    return value;
}

/* What the two keep in their memory. */
enum { TURN = 0, SUM = 8, SLOTS = 0x1000 };

/* In turn with the other: move the window, read the other's record, write one. */
static void *run_side(void *arg)
{
    struct side *s = arg;
    uint64_t old;

    sm_vcpu_online(s->vcpu);
    for (uint64_t n = 0; n < ROUNDS; n++) {
        const uint64_t base = WINDOW + (n * 5 + s->number) % 7 * WINDOW_STEP;
        const uint64_t before = s->base;
        put(s, REGISTERS, base);
        if (before != HIDDEN && before != base)
            assert_int_equal(identity_load(s->vcpu, before, 3, &old), SM_TX_DECODE_ERROR);
        assert_int_equal(get(s, REGISTERS), base);
        /* Wait for our turn, through the window. */
        while (get(s, base + TURN) % 2 != s->number)
            sched_yield();
        const uint64_t turn = get(s, base + TURN);
        assert_int_equal(turn / 2, n);
        if (turn) /* what the other left in the turn before */
            assert_int_equal(get(s, base + SLOTS + (turn - 1) % 64 * 8),
                             (turn - 1) * 3 + 1);
        put(s, base + SLOTS + turn % 64 * 8, turn * 3 + 1);
        /* Both add, by their processor and by a transfer; nothing is lost. */
        const struct sm_memop op = {.size_bits = 3};
        struct sm_fault fault;
        assert_int_equal(sm_tlb_rmw(s->vcpu, base + SUM, op, SM_RMW_ADD, 1, &old, &fault),
                         SM_STEP_DONE);
        assert_int_equal(
            sm_address_space_rmw(s->space, base + SUM, &plain, 8, SM_RMW_ADD, 1, &old),
            SM_TX_OK);
        put(s, REGISTERS + BELL, 1);
        assert_int_equal(
            sm_address_space_rmw(s->space, base + TURN, &plain, 8, SM_RMW_ADD, 1, &old),
            SM_TX_OK);
        assert_int_equal(old, turn);
        if (n % 16 == 0) {
            put(s, REGISTERS, HIDDEN);
            assert_int_equal(identity_load(s->vcpu, base, 3, &old), SM_TX_DECODE_ERROR);
            sm_topology_work(s->topo);
        }
    }
    sm_vcpu_offline(s->vcpu);
    return NULL;
}

static void shared_memory(void **state)
{
    struct side sides[2];
    pthread_t threads[2];
    uint64_t value;

    side_init(&sides[0], 0, -1);
    assert_true(sm_region_fd(sides[0].shared) >= 0);
    side_init(&sides[1], 1, sm_region_fd(sides[0].shared));
    for (unsigned i = 0; i < 2; i++)
        sides[i].other = &sides[1 - i];
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_side, &sides[i]), 0);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(sides[i].bells, ROUNDS);

    /* One machine goes, with its end of the memory; the other keeps what is in it. */
    side_fini(&sides[0]);
    sm_vcpu_online(sides[1].vcpu);
    put(&sides[1], REGISTERS, WINDOW);
    assert_int_equal(get(&sides[1], WINDOW + SUM), 4 * ROUNDS);
    assert_int_equal(
        sm_address_space_load(sides[1].space, WINDOW + TURN, &plain, 8, &value),
        SM_TX_OK);
    assert_int_equal(value, 2 * ROUNDS);
    sm_vcpu_offline(sides[1].vcpu);
    side_fini(&sides[1]);
}

/* --- Memory and processors that come and go --------------------------- */

enum { N_DIMMS = 4, DIMM = 0x4000, PLACES = 8, N_WORKERS = 2, PLUGS = 200, LIFE = 200 };

struct plugs {
    struct sm_topology *topo;
    struct sm_region *root, *dimm[N_DIMMS];
    struct sm_address_space *space;
    uint32_t stop, failed; /* atomic                                           */
    uint64_t lives, found; /* atomic                                           */
};

struct worker {
    struct plugs *plugs;
    pthread_t thread;
    uint64_t random;
};

/* Every doubleword of a DIMM holds its number and, below, how often it was changed. */
static uint64_t tag(unsigned dimm)
{
    return (uint64_t)(dimm + 1) << 32;
}

/* A processor's life: it comes, works for a while, and goes. */
static void live(struct plugs *p, uint64_t *random)
{
    struct sm_vcpu *vcpu = identity_vcpu(p->topo, p->space, 0, p);
    const struct sm_memop op = {.size_bits = 3};

    sm_vcpu_online(vcpu);
    for (unsigned i = 0; i < LIFE; i++) {
        const sm_gva gva =
            test_below(random, PLACES) * DIMM + test_below(random, DIMM / 8) * 8;
        struct sm_fault fault;
        uint64_t value = 0, old = 0;
        const enum sm_tx tx = identity_load(vcpu, gva, 3, &value);
        if (tx == SM_TX_OK && (value >> 32 < 1 || value >> 32 > N_DIMMS))
            sm_store_relaxed(&p->failed, 1);
        if (tx != SM_TX_OK && tx != SM_TX_DECODE_ERROR)
            sm_store_relaxed(&p->failed, 2);
        if (sm_tlb_rmw(vcpu, gva, op, SM_RMW_ADD, 1, &old, &fault) == SM_STEP_DONE) {
            if (old >> 32 < 1 || old >> 32 > N_DIMMS)
                sm_store_relaxed(&p->failed, 3);
            sm_fetch_add_relaxed(&p->found, 1);
        }
        sm_vcpu_safe_point(vcpu);
    }
    sm_vcpu_offline(vcpu);
    sm_vcpu_free(vcpu);
    sm_fetch_add_relaxed(&p->lives, 1);
}

static void *work(void *arg)
{
    struct worker *worker = arg;

    while (!sm_load_relaxed(&worker->plugs->stop))
        live(worker->plugs, &worker->random);
    return NULL;
}

/* Unplug a DIMM, wait until nobody uses it, look into it, and plug it in elsewhere. */
static void replug(struct plugs *p, unsigned n, unsigned place)
{
    sm_ticket ticket;

    sm_topology_begin(p->topo);
    sm_region_unmap(p->dimm[n]);
    assert_int_equal(sm_topology_commit(p->topo, &ticket), 0);
    sm_ticket_wait(p->topo, ticket);
    const uint64_t *word = sm_region_host(p->dimm[n]);
    uint64_t before[DIMM / 8];
    memcpy(before, word, DIMM);
    for (unsigned i = 0; i < DIMM / 8; i += 61)
        assert_int_equal(word[i] >> 32, n + 1);
    for (unsigned i = 0; i < 3; i++) { /* nobody stores to it any more */
        usleep(30);
        assert_memory_equal(word, before, DIMM);
    }
    sm_topology_begin(p->topo);
    assert_int_equal(sm_region_map(p->root, (uint64_t)place * DIMM, p->dimm[n], (int)n),
                     0);
    assert_int_equal(sm_topology_commit(p->topo, NULL), 0);
}

static void under_load(void **state)
{
    uint64_t random = test_seed(17), changes = 0;
    struct plugs p = {.stop = 0};
    struct worker workers[N_WORKERS];

    assert_int_equal(sm_topology_new(NULL, NULL, &p.topo), 0);
    assert_int_equal(sm_region_new(p.topo, "root", UINT64_MAX, &p.root), 0);
    assert_int_equal(sm_address_space_new(p.topo, "space", p.root, &p.space), 0);
    sm_topology_begin(p.topo);
    for (unsigned n = 0; n < N_DIMMS; n++) {
        assert_int_equal(sm_region_new_ram(p.topo, "dimm", DIMM, &p.dimm[n]), 0);
        for (unsigned i = 0; i < DIMM / 8; i++)
            ((uint64_t *)sm_region_host(p.dimm[n]))[i] = tag(n);
        assert_int_equal(sm_region_map(p.root, (uint64_t)n * DIMM, p.dimm[n], 0), 0);
    }
    assert_int_equal(sm_topology_commit(p.topo, NULL), 0);
    for (unsigned i = 0; i < N_WORKERS; i++) {
        workers[i] = (struct worker){&p, 0, test_random(&random)};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < PLUGS || sm_load_relaxed(&p.lives) < 4 * N_WORKERS; i++)
        replug(&p, (unsigned)test_below(&random, N_DIMMS),
               (unsigned)test_below(&random, PLACES));
    sm_publish(&p.stop, 1);
    for (unsigned i = 0; i < N_WORKERS; i++)
        pthread_join(workers[i].thread, NULL);
    assert_int_equal(p.failed, 0);
    for (unsigned n = 0; n < N_DIMMS; n++)
        for (unsigned i = 0; i < DIMM / 8; i++)
            changes += ((uint64_t *)sm_region_host(p.dimm[n]))[i] - tag(n);
    assert_int_equal(changes, p.found);
    sm_topology_free(p.topo);
}

/* What an edit takes away that an earlier one has hidden: nothing changes to be seen, and
 * yet whoever has not seen the earlier one still uses it. */
static void hidden_before(void **state)
{
    struct sm_topology *topo;
    struct sm_region *root, *below, *above;
    struct sm_address_space *space;
    sm_ticket ticket;
    uint64_t value;

    assert_int_equal(sm_topology_new(NULL, NULL, &topo), 0);
    assert_int_equal(sm_region_new(topo, "root", UINT64_MAX, &root), 0);
    assert_int_equal(sm_address_space_new(topo, "space", root, &space), 0);
    assert_int_equal(sm_region_new_ram(topo, "below", DIMM, &below), 0);
    assert_int_equal(sm_region_new_ram(topo, "above", DIMM, &above), 0);
    sm_topology_begin(topo);
    assert_int_equal(sm_region_map(root, 0, below, 0), 0);
    assert_int_equal(sm_topology_commit(topo, NULL), 0);
    struct sm_vcpu *vcpu = identity_vcpu(topo, space, 0, NULL);
    sm_vcpu_online(vcpu);
    assert_int_equal(identity_store(vcpu, 8, 3, 1), SM_TX_OK);

    sm_topology_begin(topo);
    assert_int_equal(sm_region_map(root, 0, above, 1), 0);
    assert_int_equal(sm_topology_commit(topo, NULL), 0);
    sm_topology_begin(topo);
    sm_region_unmap(below);
    assert_int_equal(sm_topology_commit(topo, &ticket), 0);
    assert_false(sm_ticket_done(topo, ticket));
    assert_int_equal(identity_store(vcpu, 8, 3, 2), SM_TX_OK);
    assert_int_equal(((uint64_t *)sm_region_host(below))[1], 2);

    sm_vcpu_safe_point(vcpu);
    assert_int_equal(identity_load(vcpu, 8, 3, &value), SM_TX_OK);
    assert_int_equal(value, 0);
    sm_vcpu_offline(vcpu);
    sm_ticket_wait(topo, ticket);
    sm_vcpu_free(vcpu);
    sm_topology_free(topo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hidden_before),
        cmocka_unit_test(shared_memory),
        cmocka_unit_test(under_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
