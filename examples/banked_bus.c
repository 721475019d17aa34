/* SPDX-License-Identifier: MIT */
/* banked_bus.c - a bus of 64 KiB whose mapper device switches banks of a larger memory.
 *
 *   bus     0x0000  RAM, 32 KiB
 *           0x8000  window: an alias of what lies at HERE on the shelf, one bank long
 *           0xf000  mapper: writing n shows bank n in the window, reading tells n
 *   shelf           a container that no address space sees.  The cartridge lies on it so that the
 *                   bank in use is at HERE; to switch banks is to move the cartridge.
 *
 * The move is an edit of the topology and is made inside the device's callback: a commit
 * publishes and returns, it waits for nobody.
 *
 *   cc banked_bus.c $(pkg-config --cflags --libs softmmu)
 */
#include <softmmu/softmmu.h>
#include <stdio.h>

enum { BANK_SIZE = 0x2000, N_BANKS = 8, WINDOW_AT = 0x8000, MAPPER_AT = 0xf000 };
#define HERE ((uint64_t)BANK_SIZE * N_BANKS)

struct mapper {
    struct sm_topology *board;
    struct sm_region *cartridge;
    uint64_t bank;
};

static enum sm_tx mapper_read(void *dev, uint64_t offset, unsigned size,
                              const struct sm_attrs *attrs, uint64_t *value)
{
    const struct mapper *mapper = dev;

    *value = mapper->bank;
    return SM_TX_OK;
}

static enum sm_tx mapper_write(void *dev, uint64_t offset, unsigned size,
                               const struct sm_attrs *attrs, uint64_t value)
{
    struct mapper *mapper = dev;

    if (value >= N_BANKS)
        return SM_TX_DEVICE_ERROR;
    sm_topology_begin(mapper->board);
    if (sm_region_move(mapper->cartridge, HERE - value * BANK_SIZE) ||
        sm_topology_commit(mapper->board, NULL)) {
        sm_topology_abort(mapper->board); /* out of memory: the old bank stays */
        return SM_TX_DEVICE_ERROR;
    }
    mapper->bank = value;
    return SM_TX_OK;
}

static const struct sm_io_ops mapper_ops = {
    .struct_size = sizeof mapper_ops, .read = mapper_read, .write = mapper_write,
    .accepts = {.min = 1, .max = 1}, .implements = {.min = 1, .max = 1}};

static void print(void *arg, const char *text, size_t n)
{
    fwrite(text, 1, n, stdout);
}

int main(void)
{
    const struct sm_owner_ops owner = {.struct_size = sizeof owner};
    const struct sm_attrs cpu = {.process = SM_NO_PROCESS};
    struct mapper mapper = {.bank = 0};
    struct sm_topology *board;
    struct sm_device *device;
    struct sm_region *bus, *shelf, *ram, *window, *registers;
    struct sm_address_space *memory;
    uint64_t value = 0, bank = 0;

    if (sm_topology_new(&owner, NULL, &board) || sm_region_new(board, "bus", 0xffff, &bus) ||
        sm_region_new(board, "shelf", 2 * HERE - 1, &shelf) ||
        sm_region_new_ram(board, "ram", 0x8000, &ram) ||
        sm_region_new_ram(board, "cartridge", HERE, &mapper.cartridge) ||
        sm_region_new_alias(shelf, "window", (struct sm_range){HERE, HERE + BANK_SIZE - 1},
                            &window) ||
        sm_device_new(board, "mapper", &mapper, &device) ||
        sm_region_new_io(device, "mapper", 0, &mapper_ops, &registers))
        return 1;
    mapper.board = board;
    sm_topology_begin(board);
    if (sm_region_map(shelf, HERE, mapper.cartridge, 0) || sm_region_map(bus, 0, ram, 0) ||
        sm_region_map(bus, WINDOW_AT, window, 0) || sm_region_map(bus, MAPPER_AT, registers, 0) ||
        sm_address_space_new(board, "memory", bus, &memory) || sm_topology_commit(board, NULL))
        return 1;

    for (unsigned n = 0; n < N_BANKS; n++) {
        sm_address_space_store(memory, MAPPER_AT, &cpu, 1, n);
        sm_address_space_store(memory, WINDOW_AT + 0x10, &cpu, 2, 0xba00 + n);
    }
    for (unsigned n = N_BANKS; n-- > 0;) {
        sm_address_space_store(memory, MAPPER_AT, &cpu, 1, n);
        sm_address_space_load(memory, MAPPER_AT, &cpu, 1, &bank);
        sm_address_space_load(memory, WINDOW_AT + 0x10, &cpu, 2, &value);
        printf("bank %u holds 0x%x\n", (unsigned)bank, (unsigned)value);
    }
    printf("bank 8: %s\n", sm_address_space_store(memory, MAPPER_AT, &cpu, 1, 8) == SM_TX_OK
                               ? "shown" : "refused");
    printf("above the window: %s\n",
           sm_address_space_load(memory, WINDOW_AT + BANK_SIZE, &cpu, 1, &value) ==
           SM_TX_DECODE_ERROR ? "nothing" : "something");
    if (sm_inspect_why(memory, WINDOW_AT + 0x10, &cpu, SM_INSPECT_TEXT, print, NULL))
        return 1;
    sm_topology_work(board); /* frees the views that the switches replaced */
    sm_topology_free(board);
    return 0;
}
