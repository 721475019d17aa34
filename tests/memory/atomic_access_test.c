/* SPDX-License-Identifier: MIT */
/* atomic_access_test.c - each operation at each size on RAM and on a device; threads. */
#include "support.h"

#include "memory/atomic_access.h"
#include "memory/reserve.h"

static int64_t as_signed(uint64_t value, unsigned size)
{
    switch (size) {
    case 1: return (int8_t)value;
    case 2: return (int16_t)value;
    case 4: return (int32_t)value;
    default: return (int64_t)value;
    }
}

static uint64_t model(enum sm_rmw op, unsigned size, uint64_t a, uint64_t b)
{
    const uint64_t mask = UINT64_MAX >> (64 - 8 * size);

    a &= mask;
    b &= mask;
    switch (op) {
    case SM_RMW_SWAP: return b;
    case SM_RMW_ADD: return (a + b) & mask;
    case SM_RMW_AND: return a & b;
    case SM_RMW_OR: return a | b;
    case SM_RMW_XOR: return a ^ b;
    case SM_RMW_MIN: return as_signed(a, size) <= as_signed(b, size) ? a : b;
    case SM_RMW_MAX: return as_signed(a, size) >= as_signed(b, size) ? a : b;
    case SM_RMW_MINU: return a <= b ? a : b;
    default: return a >= b ? a : b;
    }
}

struct bytes {
    uint8_t byte[32];
};

static enum sm_tx read_bytes(void *dev, uint64_t offset, unsigned size,
                             const struct sm_attrs *attrs, uint64_t *value)
{
    *value = 0;
    memcpy(value, ((struct bytes *)dev)->byte + offset, size);
    return SM_TX_OK;
}

static enum sm_tx write_bytes(void *dev, uint64_t offset, unsigned size,
                              const struct sm_attrs *attrs, uint64_t value)
{
    memcpy(((struct bytes *)dev)->byte + offset, &value, size);
    return SM_TX_OK;
}

static const struct sm_io_ops bytes_ops = {
    .struct_size = sizeof(bytes_ops),
    .read = read_bytes,
    .write = write_bytes,
    .accepts = {1, 8, false},
    .implements = {1, 8, false},
};

/* RAM at 0, ROM at 0x1000, a device of 32 bytes at 0x2000. */
struct board {
    struct world world;
    struct bytes bytes;
    struct sm_region *ram;
};

static void board_init(struct board *board)
{
    struct sm_device *device;
    struct sm_region *io;

    world_init(&board->world);
    memset(&board->bytes, 0, sizeof(board->bytes));
    assert_int_equal(sm_device_new(board->world.topo, "b", &board->bytes, &device), 0);
    assert_int_equal(sm_region_new_io(device, "b", 31, &bytes_ops, &io), 0);
    board->ram = new_ram(&board->world, "ram", 0x1000);
    sm_topology_begin(board->world.topo);
    map(board->world.root, 0, board->ram, 0);
    map(board->world.root, 0x1000, new_rom(&board->world, "rom", 0x1000), 0);
    map(board->world.root, 0x2000, io, 0);
    commit(&board->world);
}

static void operations(void **state)
{
    uint64_t random = test_seed(2);
    struct board board;

    board_init(&board);
    for (int i = 0; i < 20000; i++) {
        const unsigned size = 1u << test_below(&random, 4);
        const enum sm_rmw op = (enum sm_rmw)test_below(&random, SM_N_RMW);
        const uint64_t at = size * test_below(&random, 32 / size);
        const bool device = test_below(&random, 2);
        uint8_t *host = (device ? board.bytes.byte : board.ram->ram->host) + at;
        const uint64_t before = test_random(&random) & (UINT64_MAX >> (64 - 8 * size));
        uint64_t operand = test_random(&random), old, after = 0;
        if (test_below(&random, 4) == 0)
            operand = before + test_below(&random, 3) - 1;
        memcpy(host, &before, size);
        assert_int_equal(sm_address_space_rmw(board.world.space,
                                              (device ? 0x2000 : 0) + at, &plain, size,
                                              op, operand, &old),
                         SM_TX_OK);
        memcpy(&after, host, size);
        assert_true(old == before);
        assert_true(after == model(op, size, before, operand));
    }
    world_fini(&board.world);
}

/* Halves of a 16-byte number, signed or not: does @a come before @b? */
static bool wide_less(struct sm_value a, struct sm_value b, bool is_signed)
{
    if (a.hi != b.hi)
        return is_signed ? (int64_t)a.hi < (int64_t)b.hi : a.hi < b.hi;
    return a.lo < b.lo;
}

static struct sm_value wide_model(enum sm_rmw op, struct sm_value a, struct sm_value b)
{
    switch (op) {
    case SM_RMW_SWAP: return b;
    case SM_RMW_ADD:
        return (struct sm_value){a.lo + b.lo, a.hi + b.hi + (a.lo + b.lo < a.lo)};
    case SM_RMW_AND: return (struct sm_value){a.lo & b.lo, a.hi & b.hi};
    case SM_RMW_OR: return (struct sm_value){a.lo | b.lo, a.hi | b.hi};
    case SM_RMW_XOR: return (struct sm_value){a.lo ^ b.lo, a.hi ^ b.hi};
    case SM_RMW_MIN: return wide_less(b, a, true) ? b : a;
    case SM_RMW_MAX: return wide_less(a, b, true) ? b : a;
    case SM_RMW_MINU: return wide_less(b, a, false) ? b : a;
    default: return wide_less(a, b, false) ? b : a;
    }
}

static void wide_operations(void **state)
{
    uint64_t random = test_seed(5);
    struct board board;

    board_init(&board);
    for (int i = 0; i < 20000; i++) {
        const unsigned size = 1u << test_below(&random, 5);
        const enum sm_rmw op = (enum sm_rmw)test_below(&random, SM_N_RMW);
        const uint64_t at = size * test_below(&random, 32 / size);
        uint8_t *host = board.ram->ram->host + at;
        struct sm_value operand = {test_random(&random), test_random(&random)};
        struct sm_value before = {test_random(&random), test_random(&random)};
        struct sm_value old = {0}, after = {0}, want = {0};
        if (test_below(&random, 3) == 0)
            before.hi = operand.hi;
        if (test_below(&random, 6) == 0)
            before.lo = operand.lo;
        if (size == 16) {
            want = wide_model(op, before, operand);
        } else {
            before.hi = 0;
            before.lo &= UINT64_MAX >> (64 - 8 * SM_MIN(size, 8u));
            want.lo = model(op, size, before.lo, operand.lo);
        }
        memcpy(host, &before, size);
        assert_int_equal(sm_address_space_rmw_wide(board.world.space, at, &plain, size, op,
                                                   operand, &old),
                         SM_TX_OK);
        memcpy(&after, host, size);
        assert_memory_equal(&old, &before, sizeof(old));
        assert_memory_equal(&after, &want, sizeof(want));
    }
    world_fini(&board.world);
}

static void wide_refusals(void **state)
{
    const struct sm_value one = {1, 0};
    struct sm_value old = {7, 7};
    struct board board;

    board_init(&board);
    struct sm_address_space *space = board.world.space;
    static const struct {
        uint64_t gpa;
        unsigned size;
        enum sm_rmw op;
        enum sm_tx tx;
    } cases[] = {
        {0x008, 16, SM_RMW_ADD, SM_TX_ACCESS_ERROR},  /* unaligned              */
        {0x000, 32, SM_RMW_ADD, SM_TX_ACCESS_ERROR},  /* no size                */
        {0x000, 16, SM_N_RMW, SM_TX_ACCESS_ERROR},    /* no operation           */
        {0x1000, 16, SM_RMW_ADD, SM_TX_ACCESS_ERROR}, /* ROM                    */
        {0x2000, 16, SM_RMW_ADD, SM_TX_ACCESS_ERROR}, /* no device takes as many */
        {0x3000, 16, SM_RMW_ADD, SM_TX_DECODE_ERROR},
    };
    for (size_t i = 0; i < SM_ARRAY_LEN(cases); i++) {
        assert_int_equal(sm_address_space_rmw_wide(space, cases[i].gpa, &plain,
                                                   cases[i].size, cases[i].op, one, &old),
                         cases[i].tx);
        assert_true(old.lo == 7 && old.hi == 7);
    }
    assert_int_equal(
        sm_address_space_rmw_wide(space, 0x2000, &plain, 8, SM_RMW_ADD, one, &old),
        SM_TX_OK);
    assert_int_equal(board.bytes.byte[0], 1);
    const uint64_t version = sm_reserve_version(board.world.topo, board.ram->ram->host);
    assert_int_equal(
        sm_address_space_rmw_wide(space, 0, &plain, 16, SM_RMW_ADD, one, &old), SM_TX_OK);
    assert_true(sm_reserve_version(board.world.topo, board.ram->ram->host) != version);
    world_fini(&board.world);
}

static void compare_and_swap(void **state)
{
    uint64_t random = test_seed(3);
    struct board board;

    board_init(&board);
    for (int i = 0; i < 20000; i++) {
        const unsigned size = 1u << test_below(&random, 5);
        const uint64_t at = size * test_below(&random, 32 / size);
        const bool device = size < 16 && test_below(&random, 2);
        uint8_t *host = (device ? board.bytes.byte : board.ram->ram->host) + at;
        struct sm_value before = {0}, old, after = {0}, desired, expected;
        uint64_t bytes[2] = {test_random(&random), test_random(&random)};
        memcpy(&before, bytes, size);
        memcpy(host, bytes, size);
        desired = (struct sm_value){test_random(&random), test_random(&random)};
        expected = before;
        const bool hit = test_below(&random, 2);
        if (!hit && size == 16 && test_below(&random, 2))
            expected.hi ^= UINT64_C(1) << test_below(&random, 64);
        else if (!hit)
            expected.lo ^= UINT64_C(1) << test_below(&random, 8 * SM_MIN(size, 8u));
        assert_int_equal(sm_address_space_cas(board.world.space,
                                              (device ? 0x2000 : 0) + at, &plain, size,
                                              expected, desired, &old),
                         SM_TX_OK);
        assert_memory_equal(&old, &before, sizeof(old));
        memcpy(&after, host, size);
        assert_memory_equal(&after, hit ? (void *)&desired : (void *)&before, size);
    }
    world_fini(&board.world);
}

static void refusals(void **state)
{
    const struct sm_value zero = {0, 0};
    struct sm_value value = {7, 7};
    struct board board;
    uint64_t old = 7;

    board_init(&board);
    struct sm_address_space *space = board.world.space;
    static const struct {
        uint64_t gpa;
        unsigned size;
        enum sm_tx rmw, cas;
    } cases[] = {
        {0x001, 2, SM_TX_ACCESS_ERROR, SM_TX_ACCESS_ERROR}, /* unaligned       */
        {0x004, 8, SM_TX_ACCESS_ERROR, SM_TX_ACCESS_ERROR},
        {0x000, 3, SM_TX_ACCESS_ERROR, SM_TX_ACCESS_ERROR}, /* no size         */
        {0x000, 0, SM_TX_ACCESS_ERROR, SM_TX_ACCESS_ERROR},
        {0x000, 32, SM_TX_ACCESS_ERROR, SM_TX_ACCESS_ERROR},
        {0x000, 16, SM_TX_ACCESS_ERROR, SM_TX_OK},
        {0x1000, 4, SM_TX_ACCESS_ERROR, SM_TX_ACCESS_ERROR},  /* ROM            */
        {0x2000, 16, SM_TX_ACCESS_ERROR, SM_TX_ACCESS_ERROR}, /* device        */
        {0x3000, 4, SM_TX_DECODE_ERROR, SM_TX_DECODE_ERROR},
    };
    for (size_t i = 0; i < SM_ARRAY_LEN(cases); i++) {
        assert_int_equal(sm_address_space_rmw(space, cases[i].gpa, &plain, cases[i].size,
                                              SM_RMW_ADD, 1, &old),
                         cases[i].rmw);
        value = (struct sm_value){7, 7};
        assert_int_equal(sm_address_space_cas(space, cases[i].gpa, &plain, cases[i].size,
                                              zero, zero, &value),
                         cases[i].cas);
        assert_int_equal(value.lo, cases[i].cas == SM_TX_OK ? 0 : 7);
    }
    assert_int_equal(
        sm_address_space_rmw(space, 0x2000, &ram_only, 4, SM_RMW_ADD, 1, &old),
        SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_address_space_rmw(space, 0, &plain, 4, SM_N_RMW, 1, &old),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(old, 7);
    assert_int_equal(sm_address_space_rmw(space, 0x1000, &debug, 4, SM_RMW_ADD, 1, &old),
                     SM_TX_OK);

    /* RAM mapped against its grain, and two neighbours: not atomic, so not at all. */
    sm_topology_begin(board.world.topo);
    map(board.world.root, 0x8002, new_ram(&board.world, "odd", 0x1000), 0);
    map(board.world.root, 0x8000, new_ram(&board.world, "two", 2), 0);
    commit(&board.world);
    assert_int_equal(sm_address_space_rmw(space, 0x8004, &plain, 4, SM_RMW_ADD, 1, &old),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_address_space_rmw(space, 0x8000, &plain, 4, SM_RMW_ADD, 1, &old),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(sm_address_space_rmw(space, 0x8002, &plain, 2, SM_RMW_ADD, 1, &old),
                     SM_TX_OK);
    world_fini(&board.world);
}

static void ends_reservations(void **state)
{
    const struct sm_value zero = {0, 0}, one = {1, 0};
    struct sm_value value;
    struct board board;
    uint64_t old;

    board_init(&board);
    struct sm_topology *topo = board.world.topo;
    const uint8_t *host = board.ram->ram->host;
    const uint64_t start = sm_reserve_version(topo, host);
    assert_int_equal(sm_address_space_store(board.world.space, 0, &plain, 8, 0),
                     SM_TX_OK);
    assert_true(sm_reserve_version(topo, host) == start);
    assert_int_equal(
        sm_address_space_rmw(board.world.space, 56, &plain, 8, SM_RMW_OR, 0, &old),
        SM_TX_OK);
    const uint64_t after = sm_reserve_version(topo, host);
    assert_true(after != start);
    assert_int_equal(
        sm_address_space_cas(board.world.space, 0, &plain, 16, one, zero, &value),
        SM_TX_OK);
    assert_true(sm_reserve_version(topo, host) != after);
    world_fini(&board.world);
}

enum { THREADS = 4, ROUNDS = 4000 };

static void *count(void *arg)
{
    struct board *board = arg;
    struct sm_value found, next;
    uint64_t old;

    for (int i = 0; i < ROUNDS; i++) {
        if (sm_address_space_rmw(board->world.space, 8, &plain, 8, SM_RMW_ADD, 1, &old) ||
            sm_address_space_rmw(board->world.space, 0x2008, &plain, 8, SM_RMW_ADD, 1,
                                 &old))
            return arg;
        /* A carry into the upper half, at each fourth addition. */
        if (sm_address_space_rmw_wide(board->world.space, 48, &plain, 16, SM_RMW_ADD,
                                      (struct sm_value){UINT64_C(1) << 62, 0}, &found))
            return arg;
        found = (struct sm_value){0, 0};
        do { /* both halves of sixteen bytes count */
            next = (struct sm_value){found.lo + 1, found.hi + 2};
            const struct sm_value expected = found;
            if (sm_address_space_cas(board->world.space, 32, &plain, 16, expected, next,
                                     &found))
                return arg;
            if (found.lo == expected.lo && found.hi == expected.hi)
                break;
        } while (true);
        if (found.hi != 2 * found.lo)
            return arg;
    }
    return NULL;
}

static void threads(void **state)
{
    pthread_t thread[THREADS];
    struct board board;
    uint64_t value;

    board_init(&board);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, count, &board), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        assert_int_equal(pthread_join(thread[i], &failed), 0);
        assert_null(failed);
    }
    memcpy(&value, board.ram->ram->host + 8, 8);
    assert_int_equal(value, THREADS * ROUNDS);
    memcpy(&value, board.ram->ram->host + 40, 8);
    assert_int_equal(value, 2 * THREADS * ROUNDS);
    memcpy(&value, board.ram->ram->host + 56, 8);
    assert_int_equal(value, THREADS * ROUNDS / 4);
    memcpy(&value, board.bytes.byte + 8, 8);
    assert_int_equal(value, THREADS * ROUNDS);
    world_fini(&board.world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations), cmocka_unit_test(compare_and_swap),
        cmocka_unit_test(refusals),   cmocka_unit_test(ends_reservations),
        cmocka_unit_test(threads),    cmocka_unit_test(wide_operations),
        cmocka_unit_test(wide_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
