/* SPDX-License-Identifier: MIT */
/* flash_test.c - a flash chip that turns from memory to device and back, under readers.
 *
 * The chip takes the usual command sequences: identify, program a byte, erase a sector,
 * reset.  While it identifies itself or works, reads are calls; a callback commits that.
 * First the chip alone, then with two vCPUs and a thread that is none reading all
 * the time: whatever they read is what the array holds or what the chip says of itself.
 */
#include "identity_guest.h"

#include "base/atomic.h"
#include "base/base.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

enum { AT = 1 << 20, SECTOR = 0x1000, N_SECTORS = 16, SIZE = SECTOR * N_SECTORS };
enum { MAKER = 0xbf, CHIP = 0x49, BUSY = 0x08, BUSY_TOO = 0x48 }; /* what it says */
enum { UNLOCK_1 = 0xaaa, UNLOCK_2 = 0x555, WORK_READS = 3 };

enum state {
    READY,
    UNLOCKING,
    UNLOCKED,
    ERASE,
    ERASE_UNLOCKING,
    ERASE_UNLOCKED,
    PROGRAM
};

struct flash {
    struct sm_topology *topo;
    struct sm_device *device;
    struct sm_region *root, *region;
    struct sm_address_space *space;
    uint8_t *array;
    enum state state;
    bool identifies;
    unsigned working; /* reads until it is done                                */
    bool calls;
    uint64_t n_reads, n_flips;
    uint32_t stop, failed; /* atomic                                           */
};

static const struct sm_attrs plain = {.process = SM_NO_PROCESS};

/* --- The chip --------------------------------------------------------- */

/* In the callback, under the device's lock. */
static enum sm_tx switch_mode(struct flash *f)
{
    const bool calls = f->identifies || f->working;
    int error = 0;

    if (calls == f->calls)
        return SM_TX_OK;
    f->calls = calls;
    f->n_flips++;
    sm_topology_begin(f->topo);
    error = sm_region_set_calls(f->region, calls);
    return sm_topology_commit(f->topo, NULL) || error ? SM_TX_DEVICE_ERROR : SM_TX_OK;
}

static enum sm_tx flash_read(void *dev, uint64_t offset, unsigned size,
                             const struct sm_attrs *attrs, uint64_t *value)
{
    struct flash *f = dev;

    f->n_reads++;
    if (f->working) {
        f->working--;
        *value = f->working & 1 ? BUSY_TOO : BUSY;
        return switch_mode(f);
    }
    /* Who found it in the other mode and came late reads the array. */
    *value = !f->identifies ? f->array[offset] : offset & 1 ? CHIP : MAKER;
    return SM_TX_OK;
}

static void command(struct flash *f, uint64_t offset, uint8_t value)
{
    const bool first = (offset & 0xfff) == UNLOCK_1 && value == 0xaa;
    const bool second = (offset & 0xfff) == UNLOCK_2 && value == 0x55;
    const enum state was = f->state;

    f->state = READY;
    if (was == PROGRAM) {
        /* Bits only fall.  Others may be reading, in whichever mode they found it. */
        sm_host_store(f->array + offset, 0, f->array[offset] & value);
        f->working = WORK_READS;
    } else if (value == 0xf0) {
        f->identifies = false;
    } else if (was == READY && first) {
        f->state = UNLOCKING;
    } else if (was == UNLOCKING && second) {
        f->state = UNLOCKED;
    } else if (was == UNLOCKED && (offset & 0xfff) == UNLOCK_1) {
        f->identifies = value == 0x90;
        f->state = value == 0xa0 ? PROGRAM : value == 0x80 ? ERASE : READY;
    } else if (was == ERASE && first) {
        f->state = ERASE_UNLOCKING;
    } else if (was == ERASE_UNLOCKING && second) {
        f->state = ERASE_UNLOCKED;
    } else if (was == ERASE_UNLOCKED && value == 0x30) {
        for (uint64_t i = 0; i < SECTOR; i++)
            sm_host_store(f->array + offset / SECTOR * SECTOR + i, 0, 0xff);
        f->working = WORK_READS;
    }
}

static enum sm_tx flash_write(void *dev, uint64_t offset, unsigned size,
                              const struct sm_attrs *attrs, uint64_t value)
{
    struct flash *f = dev;

    if (f->working)
        return SM_TX_OK; /* deaf */
    command(f, offset, (uint8_t)value);
    return switch_mode(f);
}

static const struct sm_io_ops flash_ops = {.struct_size = sizeof(flash_ops),
                                           .read = flash_read,
                                           .write = flash_write,
                                           .accepts = {1, 8, false},
                                           .implements = {1, 1, false}};

static uint8_t pattern(uint64_t at)
{
    return (uint8_t)(at * 7 + at / SECTOR);
}

static void flash_init(struct flash *f)
{
    memset(f, 0, sizeof(*f));
    assert_int_equal(sm_topology_new(NULL, NULL, &f->topo), 0);
    assert_int_equal(sm_region_new(f->topo, "root", UINT64_MAX, &f->root), 0);
    assert_int_equal(sm_device_new(f->topo, "flash", f, &f->device), 0);
    assert_int_equal(
        sm_region_new_rom_device(f->device, "flash", SIZE, &flash_ops, &f->region), 0);
    f->array = sm_region_host(f->region);
    for (unsigned i = 0; i < SIZE; i++)
        f->array[i] = pattern(i);
    sm_topology_begin(f->topo);
    assert_int_equal(sm_region_map(f->root, AT, f->region, 0), 0);
    assert_int_equal(sm_address_space_new(f->topo, "space", f->root, &f->space), 0);
    assert_int_equal(sm_topology_commit(f->topo, NULL), 0);
}

/* --- One processor alone ---------------------------------------------- */

static struct sm_vcpu *vcpu;

static void poke(uint64_t offset, unsigned value)
{
    assert_int_equal(identity_store(vcpu, AT + offset, 0, value), SM_TX_OK);
    sm_vcpu_safe_point(vcpu);
}

static unsigned look(uint64_t offset)
{
    uint64_t value = 0;

    assert_int_equal(identity_load(vcpu, AT + offset, 0, &value), SM_TX_OK);
    sm_vcpu_safe_point(vcpu);
    return (unsigned)value;
}

static void say(unsigned what)
{
    poke(UNLOCK_1, 0xaa);
    poke(UNLOCK_2, 0x55);
    poke(UNLOCK_1, what);
}

/* Read until it no longer says that it works.  Returns how often it said so. */
static unsigned wait_done(uint64_t offset, unsigned done)
{
    unsigned n = 0, value;

    while ((value = look(offset)) != done) {
        assert_true(value == BUSY || value == BUSY_TOO);
        n++;
        assert_true(n <= WORK_READS);
    }
    return n;
}

static void commands(void **state)
{
    struct flash f;
    void *host;

    flash_init(&f);
    vcpu = identity_vcpu(f.topo, f.space, 0, &f);
    sm_vcpu_online(vcpu);
    for (unsigned i = 0; i < SIZE; i++)
        assert_int_equal(look(i), pattern(i));
    assert_int_equal(f.n_reads, 0);

    say(0x90); /* who are you */
    assert_false(sm_tlb_hit(sm_vcpu_fast(vcpu)->table[0], AT, 8, SM_READ, &host));
    assert_int_equal(look(0), MAKER);
    assert_int_equal(look(1), CHIP);
    assert_int_equal(look(SIZE - 2), MAKER);
    poke(5, 0xf0);
    assert_int_equal(look(0), pattern(0));
    assert_int_equal(f.n_reads, 3);

    poke(3, 0x77); /* no command: nothing happens */
    poke(UNLOCK_1, 0xaa);
    poke(3, 0x77);
    poke(UNLOCK_1, 0xa0);
    poke(3, 0);
    assert_int_equal(look(3), pattern(3));

    say(0xa0); /* a byte: bits fall */
    poke(SECTOR + 3, 0x5a);
    assert_int_equal(wait_done(SECTOR + 3, pattern(SECTOR + 3) & 0x5a), WORK_READS);
    say(0xa0);
    poke(SECTOR + 3, 0xff);
    assert_int_equal(wait_done(SECTOR + 3, pattern(SECTOR + 3) & 0x5a), WORK_READS);

    say(0x80); /* a sector, and no byte more */
    poke(UNLOCK_1, 0xaa);
    poke(UNLOCK_2, 0x55);
    poke(2 * SECTOR + 9, 0x30);
    assert_int_equal(wait_done(2 * SECTOR, 0xff), WORK_READS);
    for (unsigned i = 0; i < SIZE; i++)
        assert_int_equal(look(i), i / SECTOR == 2   ? 0xff
                                  : i == SECTOR + 3 ? pattern(i) & 0x5a
                                                    : pattern(i));
    assert_int_equal(f.n_reads, 3 + 3 * WORK_READS);
    assert_int_equal(f.n_flips, 8);
    sm_vcpu_offline(vcpu);
    sm_vcpu_free(vcpu);
    sm_topology_free(f.topo);
}

/* --- Under readers ---------------------------------------------------- */

enum { N_READERS = 3, PROGRAMS = 400 };

struct reader {
    struct flash *flash;
    struct sm_vcpu *vcpu; /* NULL: no vCPU's thread                            */
    pthread_t thread;
    uint64_t n, random;
};

/* What may be read at @at: sector 1 is being programmed, all others stay. */
static bool plausible(uint64_t at, uint64_t value)
{
    return at / SECTOR == 1 || value == pattern(at) || value == BUSY ||
           value == BUSY_TOO || value == MAKER || value == CHIP;
}

static void *read_on(void *arg)
{
    struct reader *reader = arg;
    struct flash *f = reader->flash;

    if (reader->vcpu)
        sm_vcpu_online(reader->vcpu);
    while (!sm_load_relaxed(&f->stop)) {
        const uint64_t at = test_below(&reader->random, SIZE);
        uint64_t value = 0;
        const enum sm_tx tx =
            reader->vcpu ? identity_load(reader->vcpu, AT + at, 0, &value)
                         : sm_address_space_load(f->space, AT + at, &plain, 1, &value);
        if (tx != SM_TX_OK || !plausible(at, value))
            sm_store_relaxed(&f->failed, 1);
        if (reader->vcpu)
            sm_vcpu_safe_point(reader->vcpu);
        sm_store_relaxed(&reader->n, reader->n + 1);
    }
    if (reader->vcpu)
        sm_vcpu_offline(reader->vcpu);
    return NULL;
}

static void write_it(struct flash *f, uint64_t offset, unsigned value)
{
    assert_int_equal(sm_address_space_store(f->space, AT + offset, &plain, 1, value),
                     SM_TX_OK);
}

static unsigned read_it(struct flash *f, uint64_t offset)
{
    uint64_t value;

    assert_int_equal(sm_address_space_load(f->space, AT + offset, &plain, 1, &value),
                     SM_TX_OK);
    return (unsigned)value;
}

static void say_it(struct flash *f, unsigned what)
{
    write_it(f, UNLOCK_1, 0xaa);
    write_it(f, UNLOCK_2, 0x55);
    write_it(f, UNLOCK_1, what);
}

static void under_readers(void **state)
{
    struct flash f;
    struct reader readers[N_READERS];

    flash_init(&f);
    for (unsigned i = 0; i < SECTOR; i++)
        f.array[SECTOR + i] = 0xff;
    for (unsigned i = 0; i < N_READERS; i++) {
        readers[i] = (struct reader){.flash = &f, .random = i + 1};
        if (i + 1 < N_READERS)
            readers[i].vcpu = identity_vcpu(f.topo, f.space, i, &f);
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]),
                         0);
    }
    for (unsigned i = 0; i < N_READERS; i++)
        while (!sm_load_relaxed(&readers[i].n))
            sched_yield();
    for (unsigned i = 0; i < PROGRAMS; i++) {
        const uint64_t at = SECTOR + i;
        const unsigned want = pattern(i) | 1; /* not what it says when it works */
        say_it(&f, 0xa0);
        write_it(&f, at, want);
        unsigned seen;
        while ((seen = read_it(&f, at)) != want)
            assert_true(seen == BUSY || seen == BUSY_TOO);
        if (i % 8 == 0) { /* its name, which nobody can make it forget but who asked */
            say_it(&f, 0x90);
            assert_int_equal(read_it(&f, 0), MAKER);
            assert_int_equal(read_it(&f, 1), CHIP);
            write_it(&f, 0, 0xf0);
            assert_int_equal(read_it(&f, SECTOR + i), want);
        }
        sm_topology_work(f.topo);
    }
    sm_publish(&f.stop, 1);
    for (unsigned i = 0; i < N_READERS; i++) {
        pthread_join(readers[i].thread, NULL);
        if (readers[i].vcpu)
            sm_vcpu_free(readers[i].vcpu);
    }
    assert_int_equal(f.failed, 0);
    assert_false(f.calls);
    assert_true(f.n_flips >= 2 * PROGRAMS);
    for (unsigned i = 0; i < SIZE; i++)
        if (i / SECTOR != 1)
            assert_int_equal(f.array[i], pattern(i));
    sm_topology_free(f.topo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands),
        cmocka_unit_test(under_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
