/* SPDX-License-Identifier: MIT */
/* access_sweep_test.c - every size at every offset over RAM, devices and where they meet.
 *
 * What a guest program that sweeps its memory would see: loads and stores of 1 to 16
 * bytes, in both byte orders, at each offset of four pages of RAM, and round each border
 * of a row of neighbours - RAM, device, a fragment of either in one page, an alias - that
 * hold known bytes.  Beside the values every access is counted exactly: by the vCPU
 * (hits, slow paths, page crossings, device transactions) and by the device.
 */
#include "identity_guest.h"

#include "base/base.h"

#include <string.h>

enum { PAGES = 4, PAGE = 0x1000 };

/* The row, one behind the other; a device has its bytes where the model has them. */
enum { NEIGHBOURS = 8 };
static const struct {
    uint64_t size;
    char kind; /* m: RAM; d: device; a: another window onto the RAM before      */
} neighbour[NEIGHBOURS] = {
    {0x1000, 'm'}, {0x1000, 'd'}, {0x1000, 'm'}, {0x800, 'm'},
    {0x400, 'd'},  {0x400, 'm'},  {0x1000, 'd'}, {0x1000, 'a'},
};
enum { ROW_AT = 0x100000, ROW_SIZE = 0x6000, RAM_AT = 0x10000, ALIAS_OF = 2 };

struct board {
    struct sm_topology *topo;
    struct sm_address_space *space;
    struct sm_vcpu *vcpu;
    struct sm_region *region[NEIGHBOURS], *root;
    struct sm_device *device;
    uint8_t device_byte[ROW_SIZE]; /* by offset in the row                     */
    uint8_t model[ROW_SIZE], ram[PAGES * PAGE]; /* what memory should hold     */
    uint64_t first[NEIGHBOURS];
    uint64_t n_reads, n_writes; /* callbacks                                   */
};

/* --- The device: bytes, behind each of its regions -------------------- */

struct part {
    struct board *board;
    uint64_t first;
};

static enum sm_tx part_read(void *dev, uint64_t offset, unsigned size,
                            const struct sm_attrs *attrs, uint64_t *value)
{
    struct part *part = dev;

    memcpy(value, part->board->device_byte + part->first + offset, size);
    part->board->n_reads++;
    return SM_TX_OK;
}

static enum sm_tx part_write(void *dev, uint64_t offset, unsigned size,
                             const struct sm_attrs *attrs, uint64_t value)
{
    struct part *part = dev;

    memcpy(part->board->device_byte + part->first + offset, &value, size);
    part->board->n_writes++;
    return SM_TX_OK;
}

static const struct sm_io_ops part_ops = {.struct_size = sizeof(part_ops),
                                          .read = part_read,
                                          .write = part_write,
                                          .accepts = {1, 8, true},
                                          .implements = {1, 8, false}};

static struct board board;
static struct part parts[NEIGHBOURS];

static void make_neighbour(struct board *b, unsigned n)
{
    struct sm_device *device;

    switch (neighbour[n].kind) {
    case 'm':
        assert_int_equal(
            sm_region_new_ram(b->topo, "ram", neighbour[n].size, &b->region[n]), 0);
        break;
    case 'd':
        parts[n] = (struct part){b, b->first[n]};
        assert_int_equal(sm_device_new(b->topo, "part", &parts[n], &device), 0);
        assert_int_equal(sm_region_new_io(device, "part", neighbour[n].size - 1,
                                          &part_ops, &b->region[n]),
                         0);
        break;
    default:
        assert_int_equal(sm_region_new_alias(b->region[ALIAS_OF], "again",
                                             (struct sm_range){0, neighbour[n].size - 1},
                                             &b->region[n]),
                         0);
    }
}

static int setup(void **state)
{
    struct board *b = &board;
    struct sm_region *ram;
    uint64_t first = 0;

    memset(b, 0, sizeof(*b));
    assert_int_equal(sm_topology_new(NULL, NULL, &b->topo), 0);
    assert_int_equal(sm_region_new(b->topo, "root", UINT64_MAX, &b->root), 0);
    assert_int_equal(sm_region_new_ram(b->topo, "ram", PAGES * PAGE, &ram), 0);
    assert_int_equal(sm_address_space_new(b->topo, "space", b->root, &b->space), 0);
    sm_topology_begin(b->topo);
    assert_int_equal(sm_region_map(b->root, RAM_AT, ram, 0), 0);
    for (unsigned n = 0; n < NEIGHBOURS; n++) {
        b->first[n] = first;
        make_neighbour(b, n);
        assert_int_equal(sm_region_map(b->root, ROW_AT + first, b->region[n], 0), 0);
        first += neighbour[n].size;
    }
    assert_int_equal(first, ROW_SIZE);
    assert_int_equal(sm_topology_commit(b->topo, NULL), 0);

    const struct sm_vcpu_options options = {.struct_size = sizeof(options),
                                            .tlb_layout = SM_TLB_LAYOUT,
                                            .spaces = &b->space,
                                            .n_spaces = 1,
                                            .ops = &identity_ops,
                                            .flags = SM_VCPU_COUNT_HITS};
    const struct sm_tlb_key key = {{0}};
    assert_int_equal(sm_vcpu_new(b->topo, &options, &b->vcpu), 0);
    sm_tlb_select(b->vcpu, 1, &key);
    sm_vcpu_online(b->vcpu);
    return 0;
}

static int teardown(void **state)
{
    sm_vcpu_offline(board.vcpu);
    sm_vcpu_free(board.vcpu);
    sm_topology_free(board.topo);
    return 0;
}

static struct sm_tlb_stats stats(void)
{
    struct sm_tlb_stats stats = {.struct_size = sizeof(stats)};

    sm_tlb_get_stats(board.vcpu, &stats);
    return stats;
}

/* --- One access, and what it is to be --------------------------------- */

/* The number that @size bytes at @byte are. */
static struct sm_value number(const uint8_t *byte, unsigned size, bool big)
{
    uint8_t le[16] = {0};
    struct sm_value value;

    for (unsigned i = 0; i < size; i++)
        le[i] = byte[big ? size - 1 - i : i];
    memcpy(&value.lo, le, 8);
    memcpy(&value.hi, le + 8, 8);
    return value;
}

static struct sm_memop op_of(unsigned size_bits, bool big)
{
    return (struct sm_memop){.size_bits = (uint8_t)size_bits,
                             .flags = big ? SM_MEMOP_BIG_ENDIAN : 0};
}

static void load(sm_gva gva, const uint8_t *want, unsigned size_bits, bool big)
{
    const struct sm_value expected = number(want, 1u << size_bits, big);
    struct sm_value value = {7, 7};
    struct sm_fault fault;

    assert_true(sm_tlb_read_slow(board.vcpu, gva, op_of(size_bits, big), &value,
                                 &fault) <= SM_STEP_DONE_LEAVE);
    if (value.lo != expected.lo || value.hi != expected.hi)
        fail_msg("%u bytes at %#llx", 1u << size_bits, (unsigned long long)gva);
}

static void store(sm_gva gva, const uint8_t *byte, unsigned size_bits, bool big)
{
    struct sm_fault fault;

    assert_true(sm_tlb_write_slow(board.vcpu, gva, op_of(size_bits, big),
                                  number(byte, 1u << size_bits, big),
                                  &fault) <= SM_STEP_DONE_LEAVE);
}

static uint8_t pattern(uint64_t i)
{
    return (uint8_t)(i * 13 + i / 256 * 7 + 1);
}

/* --- Four pages of RAM ------------------------------------------------ */

static void ram(void **state)
{
    struct board *b = &board;
    const struct sm_tlb_stats before = stats();
    uint64_t loads = 0, stores = 0, crossings = 0;

    for (uint64_t i = 0; i < PAGES * PAGE; i++) {
        b->ram[i] = pattern(i);
        store(RAM_AT + i, &b->ram[i], 0, false);
        stores++;
    }
    for (unsigned bits = 0; bits <= 4; bits++) {
        const unsigned size = 1u << bits;
        for (uint64_t i = 0; i <= PAGES * PAGE - size; i++) {
            uint8_t changed[16];
            const bool crosses = i / PAGE != (i + size - 1) / PAGE;
            load(RAM_AT + i, &b->ram[i], bits, i & 1);
            loads++;
            crossings += crosses;
            if (i % 7 && i % PAGE < PAGE - 16 && i % PAGE > 16)
                continue; /* stores at some, and all round a border */
            for (unsigned k = 0; k < size; k++)
                changed[k] = (uint8_t)(pattern(i + k) ^ (0x55 + bits));
            store(RAM_AT + i, changed, bits, i & 2);
            memcpy(&b->ram[i], changed, size);
            stores++;
            crossings += crosses;
        }
    }
    for (uint64_t i = 0; i < PAGES * PAGE; i++) {
        load(RAM_AT + i, &b->ram[i], 0, false);
        loads++;
    }
    const struct sm_tlb_stats after = stats();
    assert_int_equal(after.slow[SM_READ] - before.slow[SM_READ], loads);
    assert_int_equal(after.slow[SM_WRITE] - before.slow[SM_WRITE], stores);
    assert_int_equal(after.crossings - before.crossings, crossings);
    /* The store that came first to a page filled it for loads, too. */
    assert_int_equal(after.fills[SM_READ] - before.fills[SM_READ], 0);
    assert_int_equal(after.fills[SM_WRITE] - before.fills[SM_WRITE], PAGES);
    assert_int_equal(after.mmio_reads + after.mmio_writes, 0);
    /* Each looked up a page, or two; and found it, but for the first time. */
    assert_int_equal(after.hits[SM_READ] + after.hits[SM_WRITE] - before.hits[SM_READ] -
                         before.hits[SM_WRITE],
                     loads + stores + crossings - PAGES);
}

/* --- The row ---------------------------------------------------------- */

static unsigned neighbour_of(uint64_t at)
{
    unsigned n = NEIGHBOURS - 1;

    while (board.first[n] > at)
        n--;
    return n;
}

/* Callbacks that @size bytes at @at of the row take: naturally aligned pieces of it
 * within one device. */
static unsigned device_pieces(uint64_t at, unsigned size)
{
    unsigned pieces = 0;

    for (uint64_t i = at; i < at + size;) {
        const unsigned n = neighbour_of(i);
        unsigned piece = 8;
        while (i % piece || i + piece > at + size || neighbour_of(i + piece - 1) != n)
            piece /= 2;
        pieces += neighbour[n].kind == 'd';
        i += piece;
    }
    return pieces;
}

/* Transactions that they take: one, where one device has it all on one page. */
static unsigned transactions(uint64_t at, unsigned size)
{
    const unsigned n = neighbour_of(at);

    if (size > 8 || n != neighbour_of(at + size - 1) ||
        (ROW_AT + at) / PAGE != (ROW_AT + at + size - 1) / PAGE)
        return device_pieces(at, size);
    return neighbour[n].kind == 'd';
}

/* Memory that is seen twice is changed twice. */
static void set_model(uint64_t at, uint8_t byte)
{
    const uint64_t a = board.first[ALIAS_OF], b = board.first[NEIGHBOURS - 1];

    board.model[at] = byte;
    if (at - a < PAGE)
        board.model[at - a + b] = byte;
    if (at - b < PAGE)
        board.model[at - b + a] = byte;
}

static void check_row(void)
{
    for (uint64_t i = 0; i < ROW_SIZE; i++) {
        load(ROW_AT + i, &board.model[i], 0, false);
        if (neighbour[neighbour_of(i)].kind == 'd')
            assert_int_equal(board.device_byte[i], board.model[i]);
    }
}

static void row(void **state)
{
    struct board *b = &board;
    uint64_t reads = 0, writes = 0, read_tx = 0, write_tx = 0;

    for (uint64_t i = 0; i < ROW_SIZE; i++) {
        const uint8_t byte = pattern(i + 99);
        set_model(i, byte);
        store(ROW_AT + i, &byte, 0, false);
        writes += device_pieces(i, 1);
        write_tx += transactions(i, 1);
    }
    for (unsigned border = 1; border < NEIGHBOURS; border++) {
        for (uint64_t i = b->first[border] - 24; i < b->first[border] + 8; i++) {
            for (unsigned bits = 0; bits <= 4; bits++) {
                const unsigned size = 1u << bits;
                uint8_t changed[16];
                load(ROW_AT + i, &b->model[i], bits, bits & 1);
                reads += device_pieces(i, size);
                read_tx += 2 * transactions(i, size);
                for (unsigned k = 0; k < size; k++) {
                    changed[k] = (uint8_t)(b->model[i + k] + 0x31 + k);
                    set_model(i + k, changed[k]);
                }
                store(ROW_AT + i, changed, bits, i & 1);
                writes += device_pieces(i, size);
                write_tx += transactions(i, size);
                load(ROW_AT + i, changed, bits, false);
                reads += device_pieces(i, size);
            }
        }
    }
    assert_int_equal(b->n_reads, reads);
    assert_int_equal(b->n_writes, writes);
    const struct sm_tlb_stats after = stats();
    assert_int_equal(after.mmio_reads, read_tx);
    assert_int_equal(after.mmio_writes, write_tx);
    check_row();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ram, setup, teardown),
        cmocka_unit_test_setup_teardown(row, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
