/* SPDX-License-Identifier: MIT */
/* translated_test.c - a vCPU whose way to memory leads through a translating region. */
#include "../memory/table_model.h"
#include "fake_guest.h"

#include <pthread.h>

#define IOVAS   UINT64_C(0x100000000) /* where the CPU's space shows the iovas  */
#define CROOKED UINT64_C(0x200000800) /* and again, against the grain of pages  */
enum { MEM_SIZE = 0x400000, UPPER = 0x10000, LOWER = 0x11000, DATA = 0x100000,
       IO_BEHIND = 0x800000 };

struct behind {
    struct fake fake;
    struct sm_region *mem_root, *ram, *io, *translating;
    struct sm_address_space *mem;
    struct table_model model;
    uint8_t *host; /* of .ram, at 0 of .mem                                    */
};

static struct behind behind;
static struct sm_fault fault;

static void put(uint64_t at, uint64_t number, uint64_t entry)
{
    __atomic_store_n((uint64_t *)(void *)(behind.host + at + 8 * number), entry,
                     __ATOMIC_RELEASE);
}

static void map_page(uint64_t iova, uint64_t entry)
{
    put(LOWER, iova >> 12, entry);
}

static void init(uint32_t vcpu_flags)
{
    struct fake *fake = &behind.fake;
    struct sm_topology *topo;
    struct sm_region *alias;

    fake_init_flags(fake, vcpu_flags);
    topo = fake->guest.topo;
    assert_int_equal(sm_region_new(topo, "mem", UINT64_MAX, &behind.mem_root), 0);
    assert_int_equal(sm_region_new_ram(topo, "behind", MEM_SIZE, &behind.ram), 0);
    assert_int_equal(
        sm_region_new_io(fake->device, "io", 0xfff, &fake_io_ops, &behind.io), 0);
    assert_int_equal(sm_address_space_new(topo, "mem", behind.mem_root, &behind.mem), 0);
    table_model_init(&behind.model, topo, behind.mem, NULL);
    behind.model.root[77 % N_REQUESTERS] = UPPER;
    assert_int_equal(sm_region_new_translating(behind.model.iommu, "iovas", 0x3fffffff,
                                               &behind.translating),
                     0);
    assert_int_equal(sm_region_new_alias(behind.translating, "crooked",
                                         (struct sm_range){0, 0xffff}, &alias),
                     0);
    sm_topology_begin(topo);
    assert_int_equal(sm_region_map(behind.mem_root, 0, behind.ram, 0), 0);
    assert_int_equal(sm_region_map(behind.mem_root, IO_BEHIND, behind.io, 0), 0);
    assert_int_equal(sm_region_map(fake->guest.root, IOVAS, behind.translating, 0), 0);
    assert_int_equal(sm_region_map(fake->guest.root, CROOKED, alias, 0), 0);
    assert_int_equal(sm_topology_commit(topo, NULL), 0);
    sm_vcpu_safe_point(fake->vcpu);
    behind.host = sm_region_host(behind.ram);
    put(UPPER, 0, LOWER | ENTRY_TABLE);
    for (unsigned i = 0; i < 0x4000; i++)
        behind.host[DATA + i] = (uint8_t)(i * 17 + (i >> 8) + 3);
    memset(&fault, 0xcc, sizeof fault);
    behind.model.n_asked = 0;
}

static int setup(void **state)
{
    init(0);
    return 0;
}

static int teardown(void **state)
{
    fake_fini(&behind.fake);
    return 0;
}

static enum sm_step load(sm_gva gva, unsigned size_bits, unsigned mode, uint64_t *value)
{
    struct sm_value got = {0, 0};
    const enum sm_step step = sm_tlb_read_slow(behind.fake.vcpu, gva,
                                               op_of(size_bits, mode), &got, &fault);
    if (step != SM_STEP_FAULT)
        *value = got.lo;
    return step;
}

static enum sm_step store(sm_gva gva, unsigned size_bits, unsigned mode, uint64_t value)
{
    return sm_tlb_write_slow(behind.fake.vcpu, gva, op_of(size_bits, mode),
                             (struct sm_value){value, 0}, &fault);
}

static uint64_t word(uint64_t at)
{
    uint64_t value;
    memcpy(&value, behind.host + at, 8);
    return value;
}

static bool hit(sm_gva gva, enum sm_access access)
{
    return fake_hit(&behind.fake, MODE_BARE, gva, 8, access, NULL);
}

static void forget(void)
{
    sm_vcpu_settle(behind.fake.vcpu, table_invalidate_all(&behind.model));
}

static void entries_per_kind(void **state)
{
    uint64_t value;
    void *host;

    map_page(0x1000, DATA | ENTRY_RW);
    map_page(0x2000, (DATA + 0x1000) | ENTRY_R | ENTRY_X);
    assert_int_equal(load(IOVAS + 0x1008, 3, MODE_BARE, &value), SM_STEP_DONE);
    assert_int_equal(value, word(DATA + 8));
    assert_int_equal(behind.model.n_asked, 1);
    assert_true(fake_hit(&behind.fake, MODE_BARE, IOVAS + 0x1ff8, 8, SM_READ, &host));
    assert_ptr_equal(host, behind.host + DATA + 0xff8);
    assert_false(hit(IOVAS + 0x1008, SM_WRITE)); /* nobody asked for that */
    assert_int_equal(store(IOVAS + 0x1010, 3, MODE_BARE, 0x1234), SM_STEP_DONE);
    assert_int_equal(word(DATA + 0x10), 0x1234);
    assert_true(hit(IOVAS + 0x1008, SM_WRITE));
    assert_int_equal(behind.model.n_asked, 2);
    assert_true(behind.fake.vcpu->translated);

    /* Refused: a bus error, reported once by the model, remembered by nobody. */
    assert_int_equal(load(IOVAS + 0x2000, 3, MODE_BARE, &value), SM_STEP_DONE);
    assert_int_equal(store(IOVAS + 0x2000, 3, MODE_BARE, 1), SM_STEP_FAULT);
    assert_int_equal(fault.cause, 0x1000 + SM_TX_ACCESS_ERROR);
    assert_true(fault.gpa == IOVAS + 0x2000);
    assert_int_equal(behind.model.n_reported, 1);
    assert_int_equal(load(IOVAS + 0x3000, 3, MODE_BARE, &value), SM_STEP_FAULT);
    assert_int_equal(behind.model.n_reported, 2);
    map_page(0x3000, (DATA + 0x2000) | ENTRY_RW);
    assert_int_equal(load(IOVAS + 0x3000, 3, MODE_BARE, &value), SM_STEP_DONE);
    assert_int_equal(value, word(DATA + 0x2000));

    /* Fetches ask for X. */
    assert_int_equal(sm_tlb_touch(behind.fake.vcpu, IOVAS + 0x2004, 4, SM_FETCH,
                                  MODE_BARE, 0, &host, &fault),
                     SM_STEP_DONE);
    assert_ptr_equal(host, behind.host + DATA + 0x1004);
    assert_int_equal(sm_tlb_touch(behind.fake.vcpu, IOVAS + 0x1004, 4, SM_FETCH,
                                  MODE_BARE, 0, &host, &fault),
                     SM_STEP_FAULT);
    assert_int_equal(behind.model.n_reported, 3);
    /* A probe asks nobody. */
    const uint32_t asked = behind.model.n_asked;
    assert_int_equal(sm_tlb_touch(behind.fake.vcpu, IOVAS + 0x7000, 4, SM_READ, MODE_BARE,
                                  SM_REQ_PROBE, &host, &fault),
                     SM_STEP_DONE);
    assert_null(host);
    assert_int_equal(behind.model.n_asked, asked);
    /* Onto a hole. */
    map_page(0x7000, 0x700000 | ENTRY_RW);
    assert_int_equal(load(IOVAS + 0x7000, 3, MODE_BARE, &value), SM_STEP_FAULT);
    assert_int_equal(fault.cause, 0x1000 + SM_TX_DECODE_ERROR);
}

/* Pages of the guest that consist of two halves of iova pages. */
static void crooked_pages(void **state)
{
    const sm_gva middle = CROOKED + 0x2000; /* between iova pages 1 and 2 */
    uint64_t value, want;

    map_page(0x1000, (DATA + 0x3000) | ENTRY_RW);
    map_page(0x2000, DATA | ENTRY_RW);
    for (unsigned bits = 0; bits <= 3; bits++) {
        const unsigned size = 1u << bits;
        for (sm_gva gva = middle - 10; gva < middle + 4; gva++) {
            uint8_t bytes[16];
            memcpy(bytes, behind.host + DATA + 0x3ff0, 16);
            want = 0;
            for (unsigned i = 0; i < size; i++) {
                const sm_gva at = gva + i;
                const uint8_t byte = at < middle ? bytes[16 - (middle - at)]
                                                 : behind.host[DATA + (at - middle)];
                want |= (uint64_t)byte << (8 * i);
            }
            assert_int_equal(load(gva, bits, MODE_BARE, &value), SM_STEP_DONE);
            assert_true(value == want);
            assert_int_equal(store(gva, bits, MODE_BARE, ~want), SM_STEP_DONE);
            assert_int_equal(load(gva, bits, MODE_BARE, &value), SM_STEP_DONE);
            assert_true(value == (size == 8 ? ~want
                                            : ~want & ((UINT64_C(1) << 8 * size) - 1)));
        }
    }
    assert_false(hit(middle, SM_READ));
    /* Of a store both sides are asked for before either is written. */
    map_page(0x2000, DATA | ENTRY_R);
    const uint64_t before = word(DATA + 0x3ff8);
    assert_int_equal(store(middle - 4, 3, MODE_BARE, 0), SM_STEP_FAULT);
    assert_int_equal(fault.cause, 0x1000 + SM_TX_ACCESS_ERROR);
    assert_true(fault.gva == middle);
    assert_true(word(DATA + 0x3ff8) == before);
    assert_int_equal(behind.model.n_reported, 1);
}

static void atomics(void **state)
{
    static const sm_gva at[] = {IOVAS + 0x1040, CROOKED + 0x1080, GUEST_RAM + 0x40,
                                MIXED_RAM_AT + 0x40};
    struct sm_vcpu *const vcpu = behind.fake.vcpu;
    const struct sm_memop op = op_of(3, MODE_BARE);
    struct sm_value old;
    uint64_t value, got;
    bool stored;

    map_page(0x1000, DATA | ENTRY_RW);
    for (unsigned i = 0; i < SM_ARRAY_LEN(at); i++) {
        assert_int_equal(store(at[i], 3, MODE_BARE, 100), SM_STEP_DONE);
        for (unsigned n = 0; n < 2; n++) { /* what is remembered changes nothing */
            assert_int_equal(sm_tlb_rmw(vcpu, at[i], op, SM_RMW_ADD, 5, &value, &fault),
                             SM_STEP_DONE);
            assert_int_equal(value, 100 + 15 * n);
            assert_int_equal(sm_tlb_cas(vcpu, at[i], op, (struct sm_value){value + 5, 0},
                                        (struct sm_value){value + 10, 0}, &old, &fault),
                             SM_STEP_DONE);
            assert_int_equal(old.lo, value + 5);
            assert_int_equal(sm_tlb_load_reserved(vcpu, at[i], op, &got, &fault),
                             SM_STEP_DONE);
            assert_int_equal(got, value + 10);
            assert_int_equal(sm_tlb_store_conditional(vcpu, at[i], op, value + 15,
                                                      &stored, &fault),
                             SM_STEP_DONE);
            assert_true(stored);
        }
        assert_int_equal(load(at[i], 3, MODE_BARE, &value), SM_STEP_DONE);
        assert_int_equal(value, 130);
    }
    /* Each half of an update is refused, and reported, once. */
    map_page(0x2000, (DATA + 0x1000) | ENTRY_R);
    map_page(0x3000, (DATA + 0x1000) | ENTRY_W);
    for (unsigned page = 2; page <= 3; page++) {
        behind.model.n_reported = 0;
        assert_int_equal(sm_tlb_rmw(vcpu, IOVAS + 0x1000 * page, op, SM_RMW_ADD, 5,
                                    &value, &fault),
                         SM_STEP_FAULT);
        assert_int_equal(behind.model.n_reported, 1);
    }
    assert_int_equal(store(IOVAS + 0x3000, 3, MODE_BARE, 7), SM_STEP_DONE);
    assert_int_equal(word(DATA + 0x1000), 7);
    assert_false(hit(IOVAS + 0x3000, SM_WRITE)); /* a direct entry would allow both */
    assert_int_equal(sm_tlb_rmw(vcpu, IOVAS + 0x3000, op, SM_RMW_ADD, 5, &value, &fault),
                     SM_STEP_FAULT);
}

static void devices(void **state)
{
    uint64_t value;

    map_page(0x1000, IO_BEHIND | ENTRY_RW);
    behind.fake.io_value = 0x77;
    for (unsigned n = 1; n <= 2; n++) {
        assert_int_equal(load(IOVAS + 0x1010, 2, MODE_BARE, &value), SM_STEP_DONE_LEAVE);
        assert_int_equal(value, 0x77);
        assert_int_equal(behind.fake.n_log, n);
        assert_int_equal(behind.fake.log[n - 1].offset, 0x10);
        assert_int_equal(behind.fake.log[n - 1].attrs.requester, 77);
    }
    assert_int_equal(store(IOVAS + 0x1018, 3, MODE_BARE, 5), SM_STEP_DONE_LEAVE);
    assert_int_equal(behind.fake.log[2].value, 5);
    /* Remembered is only that the bus is asked: what it says now counts at once. */
    assert_false(behind.fake.vcpu->translated);
    map_page(0x1000, DATA | ENTRY_RW);
    assert_int_equal(load(IOVAS + 0x1010, 2, MODE_BARE, &value), SM_STEP_DONE);
    assert_int_equal(value, (uint32_t)word(DATA + 0x10));
    /* Across the border of two pages behind: RAM and device, device first. */
    map_page(0x1000, DATA | ENTRY_RW);
    map_page(0x2000, IO_BEHIND | ENTRY_RW);
    behind.fake.io_result = SM_TX_DEVICE_ERROR;
    const uint64_t before = word(DATA + 0xff8);
    assert_int_equal(store(IOVAS + 0x1ffc, 3, MODE_BARE, 0), SM_STEP_FAULT);
    assert_true(word(DATA + 0xff8) == before);
}

static void forgotten(void **state)
{
    struct fake *const fake = &behind.fake;
    uint64_t value;

    map_page(0x1000, DATA | ENTRY_RW);
    assert_int_equal(load(GUEST_RAM, 3, MODE_BARE, &value), SM_STEP_DONE);
    /* Who has nothing of the kind flushes nothing. */
    forget();
    assert_int_equal(fake->n_flushed, 1); /* by the first commit, of init() */
    assert_true(hit(GUEST_RAM, SM_READ));
    assert_int_equal(load(IOVAS + 0x1000, 3, MODE_BARE, &value), SM_STEP_DONE);
    map_page(0x1000, (DATA + 0x1000) | ENTRY_RW);
    const sm_ticket ticket = table_invalidate_all(&behind.model);
    assert_false(sm_ticket_done(fake->guest.topo, ticket));
    assert_true(hit(IOVAS + 0x1000, SM_READ)); /* until the safe point */
    sm_vcpu_settle(fake->vcpu, ticket);
    assert_false(hit(IOVAS + 0x1000, SM_READ));
    assert_int_equal(fake->n_flushed, 2);
    assert_int_equal(load(IOVAS + 0x1000, 3, MODE_BARE, &value), SM_STEP_DONE);
    assert_int_equal(value, word(DATA + 0x1000));
    forget();
    forget();
    assert_int_equal(fake->n_flushed, 3);

    /* A commit behind the region, in a space that the vCPU does not use. */
    assert_int_equal(load(IOVAS + 0x1000, 3, MODE_BARE, &value), SM_STEP_DONE);
    sm_topology_begin(fake->guest.topo);
    assert_int_equal(sm_region_move(behind.ram, 0x1000), 0);
    assert_int_equal(sm_topology_commit(fake->guest.topo, NULL), 0);
    sm_vcpu_safe_point(fake->vcpu);
    assert_false(hit(IOVAS + 0x1000, SM_READ));
    assert_int_equal(fake->n_flushed, 4);
}

/* While a model answers, somebody invalidates: the entry is gone at the safe point. */
static void invalidate_meanwhile(struct table_model *model)
{
    model->inside = NULL;
    map_page(0x1000, (DATA + 0x2000) | ENTRY_RW);
    model->owner = (void *)(uintptr_t)table_invalidate_all(model);
    map_page(0x1000, DATA | ENTRY_RW); /* what it will answer is the old */
}

static void forgotten_in_the_making(void **state)
{
    uint64_t value;

    map_page(0x1000, DATA | ENTRY_RW);
    behind.model.inside = invalidate_meanwhile;
    assert_int_equal(load(IOVAS + 0x1000, 3, MODE_BARE, &value), SM_STEP_DONE);
    map_page(0x1000, (DATA + 0x2000) | ENTRY_RW);
    assert_true(hit(IOVAS + 0x1000, SM_READ));
    sm_vcpu_safe_point(behind.fake.vcpu);
    assert_false(hit(IOVAS + 0x1000, SM_READ));
    assert_int_equal(load(IOVAS + 0x1000, 3, MODE_BARE, &value), SM_STEP_DONE);
    assert_int_equal(value, word(DATA + 0x2000));
}

/* The guest's own tables lie behind the region: so does what says where to look. */
static void tables_behind(void **state)
{
    struct fake *const fake = &behind.fake;
    const uint64_t root = IOVAS + 0x4000;
    uint64_t value;

    fake->flags = SM_WALK_AD;
    behind.model.root[0] = UPPER; /* whom the fake guest's walks name */
    map_page(0x4000, (DATA + 0x8000) | ENTRY_RW);
    map_page(0x5000, (DATA + 0x6000) | ENTRY_RW);
    map_page(0x6000, (DATA + 0x9000) | ENTRY_RW);
    put(DATA + 0x8000, 0, pte_of(root + 0x1000, PTE_V));
    put(DATA + 0x6000, 0, pte_of(root + 0x2000, PTE_V));
    put(DATA + 0x9000, 5, pte_of(GUEST_RAM + 0x7000, PTE_V | PTE_R | PTE_W));
    fake_select(fake, root, 1);
    *(uint64_t *)(void *)(fake->guest.host + 0x7008) = 0x5eed;
    assert_int_equal(load(0x5008, 3, MODE_S, &value), SM_STEP_DONE);
    assert_int_equal(value, 0x5eed);
    assert_true(word(DATA + 0x9000 + 40) & PTE_A); /* marked, through the region */
    assert_false(word(DATA + 0x9000 + 40) & PTE_D);
    assert_int_equal(store(0x5010, 3, MODE_S, 1), SM_STEP_DONE);
    assert_true(word(DATA + 0x9000 + 40) & PTE_D);
    assert_true(fake_hit(fake, MODE_S, 0x5008, 8, SM_READ, NULL));
    /* An invalidation is one of what was walked, too. */
    map_page(0x6000, (DATA + 0xa000) | ENTRY_RW);
    put(DATA + 0xa000, 5, pte_of(GUEST_RAM + 0x9000, PTE_RWXAD));
    forget();
    assert_false(fake_hit(fake, MODE_S, 0x5008, 8, SM_READ, NULL));
    assert_int_equal(load(0x5008, 3, MODE_S, &value), SM_STEP_DONE);
    assert_int_equal(value, 0);
    /* Refused: the walk's bus error.  A probe is not reported. */
    map_page(0x5000, 0);
    forget();
    struct sm_xlate_req req = {.gva = 0x5008, .size = 8, .access = SM_READ,
                               .mode = MODE_S, .flags = SM_REQ_PROBE};
    struct sm_xlate xlate;
    behind.model.n_reported = 0;
    assert_false(fake_translate(fake, &req, &xlate, &fault));
    assert_int_equal(fault.cause & 0xff, SM_WALK_BUS_ERROR);
    assert_int_equal(behind.model.n_reported, 0);
    assert_int_equal(load(0x5008, 3, MODE_S, &value), SM_STEP_FAULT);
    assert_int_equal(fault.cause & 0xff, SM_WALK_BUS_ERROR);
    assert_int_equal(behind.model.n_reported, 1);
}

static void oracles(void **state)
{
    static const uint32_t flags[] = {SM_VCPU_WALK_ALWAYS, SM_VCPU_ONE_ENTRY,
                                     SM_VCPU_COUNT_HITS};
    uint64_t value;

    for (unsigned i = 0; i < SM_ARRAY_LEN(flags); i++) {
        init(flags[i]);
        map_page(0x1000, DATA | ENTRY_RW);
        map_page(0x2000, (DATA + 0x2000) | ENTRY_R);
        for (unsigned n = 0; n < 3; n++) {
            assert_int_equal(load(IOVAS + 0x1008, 3, MODE_BARE, &value), SM_STEP_DONE);
            assert_int_equal(value, word(DATA + 8));
            assert_int_equal(store(IOVAS + 0x1008, 3, MODE_BARE, n), SM_STEP_DONE);
            assert_int_equal(load(IOVAS + 0x2010, 3, MODE_BARE, &value), SM_STEP_DONE);
            assert_int_equal(value, word(DATA + 0x2010));
            assert_int_equal(store(IOVAS + 0x2008, 3, MODE_BARE, n), SM_STEP_FAULT);
            forget();
        }
        fake_fini(&behind.fake);
    }
}

/* --- Two threads -------------------------------------------------------- */

enum { GOOD = 0x600d, BAD = 0xbad };
static uint32_t stop;
static uint64_t n_loads, n_bad;

static void *runs(void *arg)
{
    struct fake *fake = &behind.fake;
    uint64_t value;
    void *host;

    sm_vcpu_online(fake->vcpu);
    while (!sm_load_relaxed(&stop)) {
        for (unsigned n = 0; n < 32; n++) {
            const sm_gva gva = (n & 8 ? CROOKED + 0x1008 : IOVAS + 0x1008);
            if (fake_hit(fake, MODE_BARE, gva, 8, SM_READ, &host))
                value = sm_host_load(host, 3);
            else if (load(gva, 3, MODE_BARE, &value) == SM_STEP_FAULT)
                value = BAD;
            n_bad += value != GOOD;
            sm_fetch_add_relaxed(&n_loads, 1);
        }
        sm_vcpu_safe_point(fake->vcpu);
    }
    sm_vcpu_offline(fake->vcpu);
    return NULL;
}

/* What a page held is spoilt as soon as the ticket says that nobody reads it. */
static void races(void **state)
{
    struct sm_topology *topo = behind.fake.guest.topo;
    pthread_t thread;

    behind.model.locks = true;
    map_page(0x1000, DATA | ENTRY_R);
    put(DATA, 1, GOOD);
    sm_vcpu_offline(behind.fake.vcpu);
    stop = 0;
    n_loads = n_bad = 0;
    assert_int_equal(pthread_create(&thread, NULL, runs, NULL), 0);
    for (unsigned i = 0; i < 200; i++) {
        const uint64_t now = DATA + 0x1000 * (i % 3);
        const uint64_t then = DATA + 0x1000 * ((i + 1) % 3);
        const uint64_t seen = sm_load_relaxed(&n_loads);
        put(then, 1, GOOD);
        map_page(0x1000, then | ENTRY_R);
        sm_ticket_wait(topo, table_invalidate_all(&behind.model));
        put(now, 1, BAD);
        for (unsigned n = 0; n < 1000 && sm_load_relaxed(&n_loads) == seen; n++)
            sched_yield();
    }
    sm_store_relaxed(&stop, 1);
    pthread_join(thread, NULL);
    sm_vcpu_online(behind.fake.vcpu);
    assert_int_equal(n_bad, 0);
    assert_true(n_loads > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(entries_per_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(crooked_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(atomics, setup, teardown),
        cmocka_unit_test_setup_teardown(devices, setup, teardown),
        cmocka_unit_test_setup_teardown(forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(forgotten_in_the_making, setup, teardown),
        cmocka_unit_test_setup_teardown(tables_behind, setup, teardown),
        cmocka_unit_test(oracles),
        cmocka_unit_test_setup_teardown(races, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
