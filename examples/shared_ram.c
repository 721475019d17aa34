/* SPDX-License-Identifier: MIT */
/* shared_ram.c - two machines in one process that share a piece of RAM.
 *
 * Each machine is a topology of its own, with a lock, views and devices of its own; they know
 * nothing of each other but a file descriptor.  The first makes the memory, the second maps it at
 * another address.  A machine of another process would do the same with the descriptor that
 * it was sent.  What is atomic for a guest is atomic across both.
 *
 *   cc shared_ram.c $(pkg-config --cflags --libs softmmu)
 */
#include <pthread.h>
#include <softmmu/softmmu.h>
#include <stdio.h>
#include <string.h>

enum { SHARED_SIZE = 0x10000, PRIVATE_SIZE = 0x10000, TALLY = 0x40, LETTER = 0x100,
       ROUNDS = 20000 };

static const struct sm_attrs cpu = {.process = SM_NO_PROCESS};

struct machine {
    struct sm_topology *board;
    struct sm_address_space *memory;
    struct sm_region *shared;
    uint64_t shared_at;
};

/* RAM of its own at 0, and the shared piece at @shared_at: new, or that of @first. */
static bool machine_new(struct machine *machine, uint64_t shared_at, const struct machine *first)
{
    const struct sm_owner_ops owner = {.struct_size = sizeof owner};
    const struct sm_ram_options options = {
        .struct_size = sizeof options, .size = SHARED_SIZE,
        .kind = first ? SM_RAM_FILE : SM_RAM_SHARED, .fd = first ? sm_region_fd(first->shared) : 0};
    struct sm_region *bus, *ram;

    machine->shared_at = shared_at;
    if (sm_topology_new(&owner, NULL, &machine->board))
        return false;
    sm_topology_begin(machine->board);
    return !sm_region_new(machine->board, "bus", UINT64_MAX, &bus) &&
           !sm_region_new_ram(machine->board, "ram", PRIVATE_SIZE, &ram) &&
           !sm_region_new_ram_from(machine->board, "shared", &options, &machine->shared) &&
           !sm_region_map(bus, 0, ram, 0) &&
           !sm_region_map(bus, shared_at, machine->shared, 0) &&
           !sm_address_space_new(machine->board, "memory", bus, &machine->memory) &&
           !sm_topology_commit(machine->board, NULL);
}

/* A guest at work: add to the tally that both keep. */
static void *count(void *argument)
{
    struct machine *machine = argument;
    uint64_t old;

    for (unsigned i = 0; i < ROUNDS; i++)
        sm_address_space_rmw(machine->memory, machine->shared_at + TALLY, &cpu, 8, SM_RMW_ADD, 1,
                             &old);
    return NULL;
}

int main(void)
{
    static const char letter[] = "from the first machine";
    struct machine first, second;
    pthread_t threads[2];
    char text[sizeof letter] = "";
    uint64_t tally = 0, own = 0;

    if (!machine_new(&first, 0x80000000, NULL) || !machine_new(&second, 0x40000000, &first))
        return 1;
    sm_address_space_write(first.memory, 0x80000000 + LETTER, &cpu, letter, sizeof letter, NULL);
    sm_address_space_read(second.memory, 0x40000000 + LETTER, &cpu, text, sizeof text, NULL);
    printf("the second reads: %s\n", text);

    sm_address_space_store(first.memory, LETTER, &cpu, 8, 1);
    sm_address_space_load(second.memory, LETTER, &cpu, 8, &own);
    printf("their own memory is %s\n", own ? "shared" : "apart");

    if (pthread_create(&threads[0], NULL, count, &first) ||
        pthread_create(&threads[1], NULL, count, &second))
        return 1;
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    sm_address_space_load(second.memory, second.shared_at + TALLY, &cpu, 8, &tally);
    printf("%u and %u make %u\n", ROUNDS, ROUNDS, (unsigned)tally);

    /* The memory stays while one of the two has it. */
    sm_topology_free(first.board);
    memset(text, 0, sizeof text);
    sm_address_space_read(second.memory, second.shared_at + LETTER, &cpu, text, sizeof text, NULL);
    printf("after the first has gone: %s\n", text);
    sm_topology_free(second.board);
    return 0;
}
