/* SPDX-License-Identifier: MIT */
/* mmio_test.c - every width, offset, byte order and declaration against a byte array.
 *
 * The device is an array of bytes that insists on what its region implements.  A
 * little-endian read must give the array's bytes in order, whatever the conversion;
 * a big-endian device keeps its values most significant byte first, which is the same
 * array again.  The model says what is refused and which bytes a write changes.
 */
#include "support.h"

#include "memory/mmio.h"

enum { SIZE = 32 };

struct bytes {
    uint8_t byte[SIZE];
    struct sm_io_ops ops;
    struct sm_device *device;
    int calls, wrong;
    enum sm_tx fail_at_call[16]; /* answer of the n-th call; OK: carry on      */
    uint32_t flags;              /* of the last attributes seen                */
    unsigned locked;             /* a call came under the lock                 */
};

static bool implemented(struct bytes *bytes, uint64_t offset, unsigned size)
{
    const struct sm_io_widths *widths = &bytes->ops.implements;
    const bool ok = size >= widths->min && size <= widths->max &&
                    (widths->unaligned || offset % size == 0) && offset + size <= SIZE;
    bytes->wrong += !ok;
    bytes->locked += sm_thread_holds_device();
    return ok;
}

static enum sm_tx get(struct bytes *bytes, uint64_t offset, unsigned size,
                      uint64_t *value)
{
    const enum sm_tx tx = bytes->fail_at_call[bytes->calls++ % 16];

    if (!implemented(bytes, offset, size))
        return SM_TX_DEVICE_ERROR;
    *value = UINT64_MAX; /* what is beyond the size must not matter */
    for (unsigned i = 0; i < size; i++) {
        const unsigned at = bytes->ops.flags & SM_IO_BIG_ENDIAN ? size - 1 - i : i;
        *value &= ~(UINT64_C(0xff) << 8 * at);
        *value |= (uint64_t)bytes->byte[offset + i] << 8 * at;
    }
    return tx;
}

static enum sm_tx read_bytes(void *dev, uint64_t offset, unsigned size,
                             const struct sm_attrs *attrs, uint64_t *value)
{
    struct bytes *bytes = dev;
    bytes->flags = attrs->flags;
    return get(bytes, offset, size, value);
}

static enum sm_tx peek_bytes(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
    return get(dev, offset, size, value);
}

static enum sm_tx write_bytes(void *dev, uint64_t offset, unsigned size,
                              const struct sm_attrs *attrs, uint64_t value)
{
    struct bytes *bytes = dev;
    const enum sm_tx tx = bytes->fail_at_call[bytes->calls++ % 16];

    bytes->flags = attrs->flags;
    if (!implemented(bytes, offset, size) || (size < 8 && value >> 8 * size))
        return SM_TX_DEVICE_ERROR;
    if (tx != SM_TX_OK)
        return tx;
    for (unsigned i = 0; i < size; i++) {
        const unsigned at = bytes->ops.flags & SM_IO_BIG_ENDIAN ? size - 1 - i : i;
        bytes->byte[offset + i] = (uint8_t)(value >> 8 * at);
    }
    return SM_TX_OK;
}

static void fill(struct bytes *bytes)
{
    for (unsigned i = 0; i < SIZE; i++)
        bytes->byte[i] = (uint8_t)(0x11 * i + 5);
    memset(bytes->fail_at_call, 0, sizeof(bytes->fail_at_call));
    bytes->calls = bytes->wrong = 0;
    bytes->locked = 0;
}

static struct sm_region *make(struct world *world, struct bytes *bytes)
{
    struct sm_region *region;

    bytes->ops.struct_size = sizeof(bytes->ops);
    if (!bytes->ops.read && !bytes->ops.write) {
        bytes->ops.read = read_bytes;
        bytes->ops.write = write_bytes;
        bytes->ops.peek = peek_bytes;
    }
    fill(bytes);
    assert_int_equal(sm_device_new(world->topo, "bytes", bytes, &bytes->device), 0);
    assert_int_equal(
        sm_region_new_io(bytes->device, "bytes", SIZE - 1, &bytes->ops, &region), 0);
    return region;
}

/* Would a piece of the access be narrower than what is implemented? */
static bool needs_widening(const struct sm_io_widths *widths, uint64_t offset,
                           unsigned size)
{
    if (widths->unaligned) {
        for (unsigned left = size; left;) {
            unsigned piece = widths->max;
            while (piece > left)
                piece /= 2;
            if (piece < widths->min)
                return true;
            left -= piece;
        }
        return false;
    }
    return offset % widths->min || size % widths->min;
}

static void expect_access(struct bytes *bytes, struct sm_region *region, uint64_t offset,
                          unsigned size)
{
    const struct sm_io_widths *accepts = &bytes->ops.accepts;
    const bool accepted = size >= accepts->min && size <= accepts->max &&
                          (accepts->unaligned || offset % size == 0) &&
                          offset + size <= SIZE;
    const bool narrow = needs_widening(&bytes->ops.implements, offset, size);
    uint64_t want = 0, value = UINT64_C(0xdeadbeef);
    uint8_t before[SIZE];

    fill(bytes);
    for (unsigned i = 0; accepted && i < size; i++)
        want |= (uint64_t)bytes->byte[offset + i] << 8 * i;
    const enum sm_tx tx = sm_mmio_read(region, offset, size, &plain, &value);
    assert_int_equal(tx, accepted ? SM_TX_OK : SM_TX_ACCESS_ERROR);
    assert_true(value == (accepted ? want : UINT64_C(0xdeadbeef)));
    assert_int_equal(bytes->calls != 0, accepted);

    memcpy(before, bytes->byte, SIZE);
    const uint64_t stored = UINT64_C(0x8182838485868788);
    const bool written = accepted && (!narrow || (bytes->ops.flags & SM_IO_WIDEN_WRITES));
    assert_int_equal(sm_mmio_write(region, offset, size, &plain, stored),
                     written ? SM_TX_OK : SM_TX_ACCESS_ERROR);
    if (written) {
        for (unsigned i = 0; i < size; i++)
            before[offset + i] = (uint8_t)(stored >> 8 * i);
        assert_memory_equal(bytes->byte, before, SIZE);
    }
    assert_int_equal(bytes->wrong, 0);
    assert_int_equal(bytes->locked, bytes->calls);
    assert_false(sm_thread_holds_device());
}

static void table(void **state)
{
    static const uint8_t widths[][2] = {{1, 1}, {1, 2}, {1, 4}, {1, 8}, {2, 2},
                                        {2, 4}, {2, 8}, {4, 4}, {4, 8}, {8, 8}};
    struct world world;

    world_init(&world);
    /* Both declarations, both alignments of each, both byte orders, with and without
     * widening; then each size at each offset. */
    for (unsigned i = 0; i < 10 * 10 * 16; i++) {
        struct bytes bytes = {
            .ops.flags =
                (i & 1 ? SM_IO_BIG_ENDIAN : 0) | (i & 2 ? SM_IO_WIDEN_WRITES : 0),
            .ops.accepts = {widths[i / 16 % 10][0], widths[i / 16 % 10][1], i & 4},
            .ops.implements = {widths[i / 160][0], widths[i / 160][1], i & 8},
        };
        struct sm_region *region = make(&world, &bytes);
        for (unsigned size = 1; size <= 8; size *= 2)
            for (uint64_t offset = 0; offset <= SIZE; offset++)
                expect_access(&bytes, region, offset, size);
        assert_int_equal(sm_region_free(region), 0);
        assert_int_equal(sm_device_free(bytes.device), 0);
    }
    sm_topology_work(world.topo);
    world_fini(&world);
}

static void far_offsets(void **state)
{
    struct bytes bytes = {.ops.accepts = {1, 8, true}, .ops.implements = {1, 8, true}};
    struct world world;
    uint64_t value;

    world_init(&world);
    struct sm_region *region = make(&world, &bytes);
    assert_int_equal(sm_mmio_read(region, UINT64_MAX, 1, &plain, &value),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_mmio_read(region, UINT64_MAX - 3, 8, &plain, &value),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_mmio_write(region, SIZE - 4, 8, &plain, 0), SM_TX_ACCESS_ERROR);
    assert_int_equal(bytes.calls, 0);
    world_fini(&world);
}

static void directions(void **state)
{
    struct bytes reads = {.ops = {.read = read_bytes,
                                  .accepts = {1, 4, false},
                                  .implements = {1, 4, false}}};
    struct bytes writes = {.ops = {.write = write_bytes,
                                   .accepts = {1, 4, false},
                                   .implements = {1, 4, false}}};
    struct bytes peeked = {.ops.accepts = {1, 4, false}, .ops.implements = {4, 4, false}};
    struct world world;
    uint64_t value = 7;

    world_init(&world);
    struct sm_region *read = make(&world, &reads);
    struct sm_region *write = make(&world, &writes);
    struct sm_region *peek = make(&world, &peeked);
    assert_int_equal(sm_mmio_write(read, 0, 4, &plain, 1), SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_mmio_read(write, 0, 4, &plain, &value), SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_mmio_read(read, 0, 4, &debug, &value), SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_mmio_read(read, 0, 4, &ram_only, &value), SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_mmio_write(write, 0, 4, &ram_only, 1), SM_TX_ACCESS_ERROR);
    assert_int_equal(value, 7);
    assert_int_equal(reads.calls + writes.calls, 0);
    assert_int_equal(sm_mmio_rmw(read, 0, 4, &plain, SM_RMW_ADD, 1, &value),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(reads.calls, 0);

    peeked.flags = 99; /* a peek has no attributes */
    assert_int_equal(sm_mmio_read(peek, 5, 1, &debug, &value), SM_TX_OK);
    assert_int_equal(value, peeked.byte[5]);
    assert_int_equal(peeked.flags, 99);
    world_fini(&world);
}

/* A transfer stops at the first failure, and tells that one. */
static void failures(void **state)
{
    struct bytes bytes = {.ops.flags = SM_IO_WIDEN_WRITES,
                          .ops.accepts = {1, 8, false},
                          .ops.implements = {2, 2, false}};
    struct world world;
    uint64_t value = 7;

    world_init(&world);
    struct sm_region *region = make(&world, &bytes);
    bytes.fail_at_call[1] = SM_TX_DEVICE_ERROR;
    bytes.fail_at_call[2] = SM_TX_DECODE_ERROR;
    assert_int_equal(sm_mmio_read(region, 0, 8, &plain, &value), SM_TX_DEVICE_ERROR);
    assert_int_equal(value, 7);
    assert_int_equal(bytes.calls, 2);

    fill(&bytes);
    bytes.fail_at_call[2] = SM_TX_DECODE_ERROR;
    assert_int_equal(sm_mmio_write(region, 8, 8, &plain, UINT64_MAX), SM_TX_DECODE_ERROR);
    assert_int_equal(bytes.calls, 3);
    assert_int_equal(bytes.byte[11], 0xff);
    assert_int_equal(bytes.byte[12], 0x11 * 12 + 5);

    fill(&bytes); /* the read of a widened write */
    bytes.fail_at_call[0] = SM_TX_DEVICE_ERROR;
    assert_int_equal(sm_mmio_write(region, 1, 1, &plain, 0), SM_TX_DEVICE_ERROR);
    assert_int_equal(bytes.calls, 1);
    world_fini(&world);
}

static void atomics(void **state)
{
    struct bytes bytes = {.ops.accepts = {1, 8, true}, .ops.implements = {4, 4, false}};
    struct bytes free_ones = {.ops.flags = SM_IO_LOCKLESS,
                              .ops.accepts = {1, 8, true},
                              .ops.implements = {1, 8, true}};
    struct world world;
    uint64_t old = 0;

    world_init(&world);
    struct sm_region *region = make(&world, &bytes);
    memset(bytes.byte, 0, SIZE);
    bytes.byte[0] = 0xff;
    assert_int_equal(sm_mmio_rmw(region, 0, 4, &plain, SM_RMW_ADD, 1, &old), SM_TX_OK);
    assert_int_equal(old, 0xff);
    assert_int_equal(bytes.byte[1], 1);
    assert_int_equal(bytes.calls, 2);
    assert_int_equal(bytes.locked, 2);
    assert_int_equal(bytes.flags, SM_ATTR_ATOMIC);
    assert_int_equal(sm_mmio_cas(region, 0, 4, &plain, 0x55, 0x66, &old), SM_TX_OK);
    assert_int_equal(old, 0x100);
    assert_int_equal(bytes.calls, 3);
    assert_int_equal(sm_mmio_cas(region, 0, 4, &plain, UINT64_C(0xf00000100), 0x66, &old),
                     SM_TX_OK);
    assert_int_equal(old, 0x100);
    assert_int_equal(bytes.byte[0], 0x66);
    /* Half of it cannot be done: none of it is told. */
    old = 7;
    bytes.fail_at_call[bytes.calls + 1] = SM_TX_DEVICE_ERROR;
    assert_int_equal(sm_mmio_rmw(region, 0, 4, &plain, SM_RMW_OR, 1, &old),
                     SM_TX_DEVICE_ERROR);
    assert_int_equal(old, 7);
    assert_int_equal(bytes.byte[0], 0x66);

    region = make(&world, &free_ones);
    assert_int_equal(sm_mmio_rmw(region, 3, 2, &plain, SM_RMW_SWAP, 0x1234, &old),
                     SM_TX_OK);
    assert_int_equal(free_ones.byte[3], 0x34);
    assert_int_equal(free_ones.byte[4], 0x12);
    assert_int_equal(free_ones.locked, 0);
    world_fini(&world);
}

/* Reads alone take no lock; whatever else there is takes it, with the reads that it is
 * made of. */
static void lockless_reads(void **state)
{
    struct bytes bytes = {.ops.flags = SM_IO_LOCKLESS_READS | SM_IO_WIDEN_WRITES,
                          .ops.accepts = {1, 8, false}, .ops.implements = {2, 4, false}};
    struct world world;
    uint64_t value;

    world_init(&world);
    struct sm_region *region = make(&world, &bytes);
    assert_int_equal(sm_mmio_read(region, 0, 4, &plain, &value), SM_TX_OK);
    assert_int_equal(sm_mmio_read(region, 0, 8, &plain, &value), SM_TX_OK);
    assert_int_equal(bytes.calls, 3);
    assert_int_equal(bytes.locked, 0);
    assert_int_equal(sm_mmio_write(region, 0, 4, &plain, 1), SM_TX_OK);
    assert_int_equal(bytes.locked, 1);
    assert_int_equal(sm_mmio_write(region, 0, 1, &plain, 1), SM_TX_OK);
    assert_int_equal(bytes.locked, 3);
    assert_int_equal(sm_mmio_rmw(region, 0, 4, &plain, SM_RMW_ADD, 1, &value), SM_TX_OK);
    assert_int_equal(bytes.locked, 5);
    /* Inside is inside (L4). */
    struct sm_device_frame frame;
    assert_true(sm_device_enter(bytes.device, &frame, true));
    assert_int_equal(sm_mmio_read(region, 0, 4, &plain, &value), SM_TX_ACCESS_ERROR);
    sm_device_leave(&frame);
    world_fini(&world);
}

/* A debugger changes nothing, unless it says that it wants to. */
static void debuggers(void **state)
{
    struct bytes bytes = {.ops.accepts = {1, 8, false}, .ops.implements = {4, 4, false}};
    struct world world;
    uint64_t value = 7;

    world_init(&world);
    struct sm_region *region = make(&world, &bytes);
    bytes.ops.flags = SM_IO_WIDEN_WRITES;
    for (unsigned size = 1; size <= 8; size *= 2)
        assert_int_equal(sm_mmio_write(region, 0, size, &debug, 1), SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_mmio_rmw(region, 0, 4, &debug, SM_RMW_ADD, 1, &value),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_mmio_cas(region, 0, 4, &debug, 0, 1, &value), SM_TX_ACCESS_ERROR);
    assert_int_equal(bytes.calls, 0);
    assert_int_equal(value, 7);

    assert_int_equal(sm_mmio_read(region, 0, 4, &effects, &value), SM_TX_OK);
    assert_int_equal(bytes.flags, SM_ATTR_DEBUG | SM_ATTR_EFFECTS);
    assert_int_equal(sm_mmio_write(region, 2, 1, &effects, 0x99), SM_TX_OK);
    assert_int_equal(bytes.byte[2], 0x99);
    assert_int_equal(sm_mmio_rmw(region, 0, 4, &effects, SM_RMW_SWAP, 1, &value),
                     SM_TX_OK);
    assert_int_equal(bytes.byte[0], 1);
    /* Alone it says nothing. */
    const struct sm_attrs alone = {.process = SM_NO_PROCESS, .flags = SM_ATTR_EFFECTS};
    assert_int_equal(sm_mmio_write(region, 0, 1, &alone, 5), SM_TX_OK);
    assert_int_equal(bytes.byte[0], 5);
    world_fini(&world);
}

static void expect_stats(const struct sm_region *region, uint64_t reads, uint64_t writes,
                         uint64_t bytes_read, uint64_t bytes_written, uint64_t refused,
                         uint64_t failed)
{
    struct sm_region_stats stats = {.struct_size = sizeof(stats), .reserved = 1};

    sm_region_get_stats(region, &stats);
    assert_int_equal(stats.struct_size, sizeof(stats));
    assert_int_equal(stats.reserved, 0);
    assert_int_equal(stats.reads, reads);
    assert_int_equal(stats.writes, writes);
    assert_int_equal(stats.bytes_read, bytes_read);
    assert_int_equal(stats.bytes_written, bytes_written);
    assert_int_equal(stats.refused, refused);
    assert_int_equal(stats.failed, failed);
}

static void count_all(struct world *world, uint32_t flags)
{
    struct bytes bytes = {.ops.flags = flags,
                          .ops.accepts = {1, 8, false},
                          .ops.implements = {1, 4, false}};
    struct sm_region *region = make(world, &bytes);
    uint64_t value;

    expect_stats(region, 0, 0, 0, 0, 0, 0);
    for (unsigned size = 1; size <= 8; size *= 2) /* the last in two callbacks */
        assert_int_equal(sm_mmio_read(region, 0, size, &plain, &value), SM_TX_OK);
    assert_int_equal(sm_mmio_read(region, 0, 2, &debug, &value), SM_TX_OK);
    expect_stats(region, 5, 0, 17, 0, 0, 0);
    assert_int_equal(sm_mmio_write(region, 8, 4, &plain, 0), SM_TX_OK);
    bytes.fail_at_call[bytes.calls % 16] = SM_TX_DEVICE_ERROR;
    assert_int_equal(sm_mmio_write(region, 8, 4, &plain, 0), SM_TX_DEVICE_ERROR);
    expect_stats(region, 5, 2, 17, 4, 0, 1);
    assert_int_equal(sm_mmio_read(region, 1, 2, &plain, &value), SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_mmio_read(region, SIZE, 1, &plain, &value), SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_mmio_write(region, 0, 1, &debug, 0), SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_mmio_write(region, 0, 1, &ram_only, 0), SM_TX_ACCESS_ERROR);
    expect_stats(region, 5, 2, 17, 4, 4, 1);
    /* Both halves of an update count, and only those that took place. */
    memset(bytes.fail_at_call, 0, sizeof(bytes.fail_at_call));
    assert_int_equal(sm_mmio_rmw(region, 0, 4, &plain, SM_RMW_SWAP, 0, &value), SM_TX_OK);
    assert_int_equal(sm_mmio_cas(region, 0, 4, &plain, 1, 2, &value), SM_TX_OK);
    expect_stats(region, 7, 3, 25, 8, 4, 1);
    /* A thread that is inside already. */
    struct sm_device_frame frame;
    assert_true(sm_device_enter(bytes.device, &frame, true));
    assert_int_equal(sm_mmio_read(region, 0, 4, &plain, &value), SM_TX_ACCESS_ERROR);
    sm_device_leave(&frame);
    expect_stats(region, 7, 3, 25, 8, 5, 1);
    /* On the way there, too. */
    show(world, flags ? 0x2000 : 0x1000, region);
    assert_int_equal(sm_address_space_load(world->space, flags ? 0x2000 : 0x1000,
                                           &ram_only, 1, &value),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_address_space_read(world->space, flags ? 0x2000 : 0x1000,
                                           &ram_only, &value, 1, NULL),
                     SM_TX_ACCESS_ERROR);
    expect_stats(region, 7, 3, 25, 8, 7, 1);
}

static void statistics(void **state)
{
    struct bytes bytes = {.ops.accepts = {1, 8, false}, .ops.implements = {1, 8, false}};
    struct world world;
    uint64_t value;

    world_init(&world);
    count_all(&world, 0);
    count_all(&world, SM_IO_LOCKLESS);
    count_all(&world, SM_IO_LOCKLESS_READS);
    expect_stats(world.root, 0, 0, 0, 0, 0, 0);
    struct sm_region *region = make(&world, &bytes);
    assert_int_equal(sm_mmio_read(region, 0, 8, &plain, &value), SM_TX_OK);
    /* An older caller knows less. */
    struct sm_region_stats stats;
    memset(&stats, 0xee, sizeof(stats));
    stats.struct_size = offsetof(struct sm_region_stats, writes);
    sm_region_get_stats(region, &stats);
    assert_int_equal(stats.struct_size, offsetof(struct sm_region_stats, writes));
    assert_int_equal(stats.reads, 1);
    assert_true(stats.writes == UINT64_C(0xeeeeeeeeeeeeeeee));
    world_fini(&world);
}

static void pieces(void **state)
{
    struct bytes any = {.ops.accepts = {1, 8, false}, .ops.implements = {1, 8, false}};
    struct bytes words = {.ops.accepts = {4, 4, false}, .ops.implements = {4, 4, false}};
    struct bytes crooked = {.ops.accepts = {2, 4, true}, .ops.implements = {1, 8, true}};
    struct world world;

    world_init(&world);
    struct sm_region *region = make(&world, &any);
    const unsigned want[9] = {0, 1, 2, 2, 4, 4, 4, 4, 8};
    for (unsigned size = 1; size <= 8; size++)
        assert_int_equal(sm_mmio_piece(region, 16, size), want[size]);
    assert_int_equal(sm_mmio_piece(region, 0, UINT64_MAX), 8);
    assert_int_equal(sm_mmio_piece(region, 6, 100), 2);
    assert_int_equal(sm_mmio_piece(region, 7, 100), 1);
    region = make(&world, &words);
    assert_int_equal(sm_mmio_piece(region, 0, 100), 4);
    assert_int_equal(sm_mmio_piece(region, 0, 3), 2); /* to be refused */
    region = make(&world, &crooked);
    assert_int_equal(sm_mmio_piece(region, 1, 100), 2);
    assert_int_equal(sm_mmio_piece(region, 8, 100), 4);
    assert_int_equal(sm_mmio_piece(region, 8, 1), 1);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),      cmocka_unit_test(far_offsets),
        cmocka_unit_test(directions), cmocka_unit_test(failures),
        cmocka_unit_test(atomics),    cmocka_unit_test(pieces),
        cmocka_unit_test(debuggers),  cmocka_unit_test(statistics),
        cmocka_unit_test(lockless_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
