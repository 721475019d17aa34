/* SPDX-License-Identifier: MIT */
/* fuzz_virtqueue.c - bytes drive the registers and the ring memory of a disk and a
 * source of random numbers, modern and legacy, whose driver means no good.
 *
 * Built with libFuzzer (-Dfuzz=true), or with a main() of its own that makes up inputs
 * from SM_SEED for SM_FUZZ_RUNS rounds.  What is looked for: reports of sanitizers,
 * requests that outlive a reset, copies that are never given back, endless loops.
 */
#include "driver.h"

enum {
    N_SLOTS = 4, SLOT_STRIDE = 0x1000, QUEUE = 16,
    MAX_INPUT = 4096, RINGS = RAM_BASE + 0x10000, RINGS_SIZE = 0x4000
};

struct world {
    struct bench bench;
    struct fake_lines lines;
    struct fake_blk blk;
    struct fake_rng rng;
    struct shifty *shifty;
    struct virtio_mmio *slot[N_SLOTS]; /* disk and rng, modern; then legacy         */
    struct virtio *device[N_SLOTS];
};

struct input {
    const uint8_t *data;
    size_t size;
};

static uint64_t take(struct input *input, unsigned n)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < n && input->size; i++, input->data++, input->size--)
        value |= (uint64_t)*input->data << (8 * i);
    return value;
}

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof(*w));

    if (!w)
        abort();
    bench_init(&w->bench);
    fake_blk_init(&w->blk);
    fake_rng_init(&w->rng);
    w->shifty = shifty_new(&w->bench);
    for (unsigned n = 0; n < N_SLOTS; n++) {
        const struct virtio_mmio_options options = {.topo = w->bench.topo,
                                                    .space = w->bench.space,
                                                    .irq = fake_line(&w->lines, n),
                                                    .legacy = n >= 2};
        int error = virtio_mmio_new(&options, &w->slot[n]);

        if (!error && n % 2 == 0)
            error = virtio_blk_new(&(struct virtio_blk_options){.blk = &w->blk.table},
                                   &w->device[n]);
        else if (!error)
            error = virtio_rng_new(&(struct virtio_rng_options){.rng = &w->rng.table},
                                   &w->device[n]);
        if (error)
            abort();
        virtio_mmio_plug(w->slot[n], w->device[n]);
        bench_map(&w->bench, DEVICE_BASE + n * SLOT_STRIDE,
                  virtio_mmio_region(w->slot[n]));
    }
    return w;
}

/* --- What the driver can do; no access need succeed ------------------------------- */

static void store(struct world *w, sm_gpa gpa, unsigned size, uint64_t value)
{
    (void)sm_address_space_store(w->bench.space, gpa, &bench_attrs, size, value);
}

static void write_reg(struct world *w, unsigned slot, unsigned reg, uint64_t value)
{
    store(w, DEVICE_BASE + slot * SLOT_STRIDE + reg, 4, value);
}

/** An address that is worth a try. */
static sm_gpa pick_gpa(struct input *input)
{
    const uint64_t offset = take(input, 2);

    switch (take(input, 1) % 10) {
    case 0: return RINGS + offset % RINGS_SIZE;
    case 1: return SHIFTY_BASE + offset;
    case 2: return DEVICE_BASE + offset % (N_SLOTS * SLOT_STRIDE);
    case 3: return RAM_BASE + RAM_SIZE - offset;
    case 4: return UINT64_MAX - offset;
    case 5: return offset;
    case 6: return SHIFTY_BASE + SHIFTY_SIZE - offset;
    default: return G_DATA + offset * 16;
    }
}

static uint32_t pick_size(struct input *input)
{
    static const uint32_t usual[] = {0, 1, 16, 512, 513, 1024, 4096, 0x10000, 0x200000,
                                     UINT32_MAX};
    const uint64_t choice = take(input, 1);

    return choice < 128 ? usual[choice % SM_ARRAY_LEN(usual)] : (uint32_t)take(input, 4);
}

/** Begin the way a driver should, with features and places from the input. */
static void start(struct world *w, unsigned slot, struct input *input)
{
    const uint64_t how = take(input, 1);
    const sm_gpa base = how & 1 ? (sm_gpa)SHIFTY_BASE : (sm_gpa)RINGS;

    write_reg(w, slot, R_STATUS, 0);
    write_reg(w, slot, R_STATUS, 3);
    write_reg(w, slot, R_DRV_FEATURES_SEL, 1);
    write_reg(w, slot, R_DRV_FEATURES, 1);
    write_reg(w, slot, R_DRV_FEATURES_SEL, 0);
    write_reg(w, slot, R_DRV_FEATURES, (how & 2 ? VIRTIO_F_EVENT_IDX : 0) |
              (how & 4 ? VIRTIO_F_INDIRECT_DESC : 0) | (how & 8 ? 1 << 9 : 0) |
              (how & 16 ? 1 << 11 : 0));
    write_reg(w, slot, R_STATUS, 0xb);
    write_reg(w, slot, R_QUEUE_SEL, 0);
    write_reg(w, slot, R_QUEUE_NUM, QUEUE);
    if (slot >= 2) {
        write_reg(w, slot, R_QUEUE_PFN, base >> 12);
    } else {
        write_reg(w, slot, R_DESC_LOW, base);
        write_reg(w, slot, R_DRIVER_LOW, base + 16 * QUEUE);
        write_reg(w, slot, R_DEVICE_LOW, base + 0x1000);
        write_reg(w, slot, R_QUEUE_READY, 1);
    }
    write_reg(w, slot, R_STATUS, 0xf);
}

static void write_desc(struct world *w, struct input *input)
{
    const sm_gpa table = take(input, 1) & 1 ? (sm_gpa)SHIFTY_BASE : (sm_gpa)RINGS;
    const unsigned i = (unsigned)take(input, 1) % (2 * QUEUE);
    const uint64_t link = take(input, 1);
    const struct virtq_desc desc = {
        .gpa = pick_gpa(input), .size = pick_size(input), .flags = (uint16_t)(link & 7),
        .next = (uint16_t)(link & 128 ? take(input, 2) : i + 1),
    };

    (void)sm_address_space_write(w->bench.space, table + 16 * i, &bench_attrs, &desc, 16,
                                 NULL);
}

/** A request that could be meant: header, data, status. */
static void write_request(struct world *w, struct input *input)
{
    const sm_gpa table = take(input, 1) & 1 ? (sm_gpa)SHIFTY_BASE : (sm_gpa)RINGS;
    const unsigned i = (unsigned)take(input, 1) % (QUEUE - 2);
    const uint16_t type = (uint16_t)(take(input, 1) % 12);
    const uint16_t write = type == 1 ? 0 : D_WRITE;
    const struct virtq_desc desc[3] = {
        {G_TABLE, 16, D_NEXT, (uint16_t)(i + 1)},
        {pick_gpa(input), pick_size(input), (uint16_t)(D_NEXT | write),
         (uint16_t)(i + 2)},
        {pick_gpa(input), 1, D_WRITE, 0},
    };

    store(w, G_TABLE, 8, type);
    store(w, G_TABLE + 8, 8, take(input, 1));
    (void)sm_address_space_write(w->bench.space, table + 16 * i, &bench_attrs, desc,
                                 sizeof(desc), NULL);
}

static void offer(struct world *w, unsigned slot, struct input *input)
{
    const sm_gpa avail = 16 * QUEUE + (take(input, 1) & 1 ? (sm_gpa)SHIFTY_BASE
                                                          : (sm_gpa)RINGS);
    uint64_t idx = 0;

    (void)sm_address_space_load(w->bench.space, avail + 2, &bench_attrs, 2, &idx);
    store(w, avail + 4 + 2 * (idx % QUEUE), 2, take(input, 1) % (QUEUE + 1));
    store(w, avail + 2, 2, idx + 1 + (take(input, 1) == 255));
    write_reg(w, slot, R_QUEUE_NOTIFY, 0);
}

static void step(struct world *w, struct input *input)
{
    const uint64_t op = take(input, 1);
    const unsigned slot = (unsigned)(op >> 6);
    uint64_t value;

    switch (op & 15) {
    case 0: start(w, slot, input); break;
    case 1: write_desc(w, input); break;
    case 2: write_request(w, input); break;
    case 3:
    case 4: offer(w, slot, input); break;
    case 5:
        write_reg(w, slot, (unsigned)take(input, 1) % 0x48 * 4, take(input, 4));
        break;
    case 6: store(w, RINGS + take(input, 2) % RINGS_SIZE, 8, take(input, 8)); break;
    case 7: store(w, SHIFTY_BASE + take(input, 2) % RINGS_SIZE, 8, take(input, 8)); break;
    case 8: {
        const uint64_t at = take(input, 2) % RINGS_SIZE;

        memset(w->shifty->n_reads, 0, sizeof(w->shifty->n_reads));
        for (unsigned i = 0; i < 8; i++)
            w->shifty->second[at + i] = (uint8_t)take(input, 1);
        break;
    }
    case 9:
        if (w->blk.n_pending)
            fake_blk_complete(&w->blk, (unsigned)take(input, 1) % w->blk.n_pending);
        break;
    case 10: w->blk.manual = take(input, 1) & 1; break;
    case 11: w->blk.error = take(input, 1) & 1 ? -EIO : 0; break;
    case 12:
        store(w, DEVICE_BASE + slot * SLOT_STRIDE + take(input, 1) * 2,
              1u << (take(input, 1) & 3), take(input, 8));
        break;
    case 13:
        (void)sm_address_space_load(w->bench.space,
                                    DEVICE_BASE + slot * SLOT_STRIDE + take(input, 1) * 2,
                                    &bench_attrs, 1u << (take(input, 1) & 3), &value);
        break;
    case 14: write_reg(w, slot, R_STATUS, take(input, 1)); break;
    default: break;
    }
    sm_topology_work(w->bench.topo);
}

/** Bring the world back to where each input begins, and look at what is left. */
static void settle(struct world *w)
{
    static const char zero[RINGS_SIZE];

    w->blk.manual = false;
    w->blk.error = 0;
    for (unsigned n = 0; n < N_SLOTS; n++)
        virtio_mmio_reset(w->slot[n]);
    bench_work(&w->bench);
    if (w->blk.n_pending)
        abort();
    for (unsigned n = 0; n < N_SLOTS; n++) {
        if (w->device[n]->bounced || w->lines.level[n])
            abort();
    }
    memset(w->shifty->first, 0, sizeof(w->shifty->first));
    memset(w->shifty->second, 0, sizeof(w->shifty->second));
    memset(w->shifty->n_reads, 0, sizeof(w->shifty->n_reads));
    (void)sm_address_space_write(w->bench.space, RINGS, &bench_attrs, zero, sizeof(zero),
                                 NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world *world;
    struct input input = {data, SM_MIN(size, (size_t)MAX_INPUT)};

    if (!world)
        world = world_new();
    while (input.size)
        step(world, &input);
    settle(world);
    return 0;
}

#ifndef SM_LIBFUZZER
int main(void)
{
    const char *seed_text = getenv("SM_SEED"), *runs_text = getenv("SM_FUZZ_RUNS");
    uint64_t state = seed_text ? strtoull(seed_text, NULL, 0) : 1;
    const unsigned long runs = runs_text ? strtoul(runs_text, NULL, 0) : 10000;
    uint8_t data[1024];

    printf("SM_SEED=%#llx SM_FUZZ_RUNS=%lu\n", (unsigned long long)state, runs);
    state = state ? state : 1;
    for (unsigned long run = 0; run < runs; run++) {
        for (size_t i = 0; i < sizeof(data); i++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            data[i] = (uint8_t)(state >> 32);
        }
        LLVMFuzzerTestOneInput(data, 64 + state % (sizeof(data) - 63));
    }
    return 0;
}
#endif
