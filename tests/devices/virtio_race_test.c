/* SPDX-License-Identifier: MIT */
/* virtio_race_test.c - a driver, the device's work and the disk on threads of their
 * own: what was asked for comes, and resets at any moment leave nothing behind.
 */
#include <pthread.h>

#include "softmmu/softtlb_hit.h"
#include "base/atomic.h"
#include "driver.h"

enum { SLOT = DEVICE_BASE, SIZE = 32, N_DATA = DISK_SECTORS, ROUNDS = 4000 };

struct fixture {
    struct bench bench;
    struct virtio_mmio *slot;
    struct driver driver;
    uint64_t seed, disk_seed; /* of the driver's thread, and of the disk's            */
    uint32_t n_interrupts; /* rising edges; atomic                                  */
    bool level;

    /* The disk: a thread that takes requests in no order. */
    struct dev_blk table;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct dev_blk_request *pending[MAX_PENDING];
    unsigned n_pending, n_under_way;
    uint32_t n_drains; /* atomic                                                    */
    bool stop;
    uint8_t disk[N_DATA * 512];
};

static uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void line_set(void *owner, unsigned n, bool level)
{
    struct fixture *f = owner;

    if (level && !f->level) /* under the slot's lock                               */
        sm_fetch_add(&f->n_interrupts, 1);
    f->level = level;
}

/* --- Disk ------------------------------------------------------------------------- */

static void submit(void *opaque, struct dev_blk_request *request)
{
    struct fixture *f = opaque;

    pthread_mutex_lock(&f->lock);
    assert_true(f->n_pending < MAX_PENDING);
    f->pending[f->n_pending++] = request;
    f->n_under_way++;
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

static void drain(void *opaque)
{
    struct fixture *f = opaque;

    pthread_mutex_lock(&f->lock);
    while (f->n_under_way)
        pthread_cond_wait(&f->changed, &f->lock);
    pthread_mutex_unlock(&f->lock);
    sm_fetch_add(&f->n_drains, 1);
}

static void *run_disk(void *opaque)
{
    struct fixture *f = opaque;

    pthread_mutex_lock(&f->lock);
    for (;;) {
        struct dev_blk_request *request;
        unsigned n;

        while (!f->n_pending && !f->stop)
            pthread_cond_wait(&f->changed, &f->lock);
        if (!f->n_pending)
            break;
        n = (unsigned)(random_next(&f->disk_seed) % f->n_pending);
        request = f->pending[n];
        f->pending[n] = f->pending[--f->n_pending];
        pthread_mutex_unlock(&f->lock);
        for (unsigned i = 0, at = 0; i < request->n_iov; i++) {
            /* Bytes at a time: the guest may store there meanwhile, and that is its race. */
            for (size_t byte = 0; byte < request->iov[i].iov_len; byte++)
                sm_host_store((uint8_t *)request->iov[i].iov_base + byte, 0,
                              f->disk[request->offset + at + byte]);
            at += (unsigned)request->iov[i].iov_len;
        }
        request->done(request, 0);
        pthread_mutex_lock(&f->lock);
        f->n_under_way--;
        pthread_cond_broadcast(&f->changed);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

static void *run_work(void *opaque)
{
    struct fixture *f = opaque;

    while (!sm_load_relaxed(&f->stop)) {
        sm_topology_work(f->bench.topo);
        sched_yield();
    }
    return NULL;
}

/* --- Driver ----------------------------------------------------------------------- */

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const char *text = getenv("SM_SEED");
    struct virtio *disk;

    f->seed = text ? strtoull(text, NULL, 0) : 0x5eed;
    print_message("SM_SEED=%#llx\n", (unsigned long long)f->seed);
    f->seed = f->seed ? f->seed : 1;
    f->disk_seed = f->seed ^ 0x9e3779b97f4a7c15;
    f->disk_seed = f->disk_seed ? f->disk_seed : 1;
    for (size_t i = 0; i < sizeof(f->disk); i++)
        f->disk[i] = (uint8_t)(i / 512 + 1);
    f->table = (struct dev_blk){.size = sizeof(f->disk), .submit = submit, .drain = drain,
                                .opaque = f};
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->changed, NULL);
    bench_init(&f->bench);
    assert_int_equal(
        virtio_mmio_new(&(struct virtio_mmio_options){.topo = f->bench.topo,
                                                      .space = f->bench.space,
                                                      .irq = {line_set, f, 0}},
                        &f->slot),
        0);
    assert_int_equal(
        virtio_blk_new(&(struct virtio_blk_options){.blk = &f->table}, &disk), 0);
    virtio_mmio_plug(f->slot, disk);
    bench_map(&f->bench, SLOT, virtio_mmio_region(f->slot));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    bench_unmap(&f->bench, virtio_mmio_region(f->slot));
    virtio_mmio_free(f->slot);
    bench_fini(&f->bench);
    pthread_mutex_destroy(&f->lock);
    pthread_cond_destroy(&f->changed);
    free(f);
    return 0;
}

/** Ask for @n sectors, one request each, and look at what came. */
static void read_some(struct fixture *f, unsigned n, bool wait)
{
    struct driver *d = &f->driver;
    uint8_t sector[8];
    uint32_t id, written;

    for (unsigned i = 0; i < n; i++) {
        sector[i] = (uint8_t)(random_next(&f->seed) % N_DATA);
        bench_store(&f->bench, G_TABLE + 16 * i, 8, 0);
        bench_store(&f->bench, G_TABLE + 16 * i + 8, 8, sector[i]);
        bench_store(&f->bench, G_DATA + 0x1000 * i + 511, 1, 0);
        put_desc(d, G_DESC, 3 * i, G_TABLE + 16 * i, 16, D_NEXT, (uint16_t)(3 * i + 1));
        put_desc(d, G_DESC, 3 * i + 1, G_DATA + 0x1000 * i, 513, D_WRITE, 0);
        driver_offer(d, (uint16_t)(3 * i));
        if (random_next(&f->seed) & 1)
            reg_write(d, R_QUEUE_NOTIFY, 0);
    }
    reg_write(d, R_QUEUE_NOTIFY, 0);
    for (unsigned i = 0; wait && i < n;) {
        if (!driver_reap(d, &id, &written)) {
            sched_yield();
            continue;
        }
        (void)reg_read(d, R_ISR); /* as a handler does; also orders what follows       */
        assert_int_equal(written, 513);
        assert_int_equal(bench_load(&f->bench, G_DATA + 0x1000 * (id / 3) + 511, 1),
                         sector[id / 3] + 1);
        i++;
    }
}

static void restart(struct fixture *f)
{
    struct driver *d = &f->driver;
    const uint32_t n_drains = sm_load_acquire(&f->n_drains);

    reg_write(d, R_STATUS, 0);
    /* Rings are ours at once; data that a request under way points to is when the work
     * has run, which a vCPU does itself before it goes on. */
    bench_store(&f->bench, G_USED, 4, 0);
    while (sm_load_acquire(&f->n_drains) == n_drains)
        sm_topology_work(f->bench.topo);
    assert_int_equal(bench_load(&f->bench, G_USED, 4), 0);
    bench_store(&f->bench, G_USED, 4, 0);
    bench_store(&f->bench, G_AVAIL, 4, 0);
    d->avail_idx = d->used_seen = 0;
    reg_write(d, R_STATUS, 3);
    driver_accept(d, VIRTIO_F_VERSION_1 | UINT64_C(1) << 9);
    reg_write(d, R_STATUS, 0xb);
    driver_queue(d);
    reg_write(d, R_STATUS, 0xf);
}

static void test_race(void **state)
{
    struct fixture *f = *state;
    pthread_t disk, work;

    f->driver = (struct driver){.bench = &f->bench, .regs = SLOT, .desc = G_DESC,
                                .avail = G_AVAIL, .used = G_USED, .size = SIZE};
    restart(f);
    assert_int_equal(pthread_create(&disk, NULL, run_disk, f), 0);
    assert_int_equal(pthread_create(&work, NULL, run_work, f), 0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        const bool reset = random_next(&f->seed) % 16 == 0;

        read_some(f, (unsigned)(random_next(&f->seed) % 8) + 1, !reset);
        reg_write(&f->driver, R_ACK, 1);
        if (reset)
            restart(f);
        assert_int_equal(reg_read(&f->driver, R_STATUS), 0xf);
    }
    pthread_mutex_lock(&f->lock);
    sm_store_relaxed(&f->stop, true);
    pthread_cond_broadcast(&f->changed);
    pthread_mutex_unlock(&f->lock);
    pthread_join(disk, NULL);
    pthread_join(work, NULL);
    assert_true(f->n_interrupts > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_race, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
