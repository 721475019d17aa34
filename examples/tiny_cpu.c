/* SPDX-License-Identifier: MIT */
/* tiny_cpu.c - a CPU of eight registers and nine instructions, its page table and two devices.
 *
 * Everything that a CPU model needs of the library: a tlb_fill that walks a table in guest
 * memory, the inlined hit path, the slow path behind it, faults, safe points.
 *   cc tiny_cpu.c $(pkg-config --cflags --libs softmmu) */
#include <softmmu/softmmu.h>
#include <softmmu/softtlb_hit.h>
#include <stdio.h>

/* Physical: RAM at 0, the devices above.  Virtual: sixteen pages, as TABLE says. */
enum { RAM_SIZE = 0x10000, TABLE = 0x1000, CODE = 0x2000, TEXT = 0x3000,
       CONSOLE_AT = 0x20000, COUNTER_AT = 0x21000 };

/* An instruction: operation, register a, then register b or a number. */
enum op { LI, ADDI, LB, LW, SB, SW, BZ, JMP, STOP };
#define OP(op, a, rest) ((uint32_t)(op) << 24 | (uint32_t)(a) << 16 | (uint16_t)(rest))

struct cpu {
    uint32_t reg[8], pc;
    uint64_t count; /* of instructions */
    bool stopped;
    struct sm_address_space *memory;
    struct sm_vcpu *vcpu;
    struct sm_tlb_fast *fast;
};

/* --- Devices -------------------------------------------------------------------- */
static enum sm_tx console_write(void *dev, uint64_t offset, unsigned size,
                                const struct sm_attrs *attrs, uint64_t value)
{
    putchar((int)value);
    return SM_TX_OK;
}

static enum sm_tx counter_read(void *dev, uint64_t offset, unsigned size,
                               const struct sm_attrs *attrs, uint64_t *value)
{
    *value = ((const struct cpu *)dev)->count;
    return SM_TX_OK;
}

static const struct sm_io_ops console_ops = {.struct_size = sizeof console_ops,
    .write = console_write, .accepts = {1, 1, false}, .implements = {1, 1, false}};
static const struct sm_io_ops counter_ops = {.struct_size = sizeof counter_ops,
    .read = counter_read, .accepts = {4, 4, false}, .implements = {4, 4, false}};

/* --- Paging: one word for each page, its frame and what may be done there --------- */
static bool tlb_fill(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                     struct sm_xlate *out, struct sm_fault *fault)
{
    const struct cpu *cpu = sm_vcpu_guest(vcpu);
    const struct sm_attrs walk = {0, SM_NO_PROCESS, SM_ATTR_WALK | SM_ATTR_RAM_ONLY, 0, {0}};
    const uint64_t page = req->gva >> SM_PAGE_BITS;
    uint64_t entry = 0;

    if (page < 16)
        sm_address_space_load(cpu->memory, TABLE + 4 * page, &walk, 4, &entry);
    if (!(entry & (1u << req->access))) {
        *fault = (struct sm_fault){.cause = 0, .gva = req->gva};
        return false;
    }
    *out = (struct sm_xlate){.gpa = (entry & SM_PAGE_MASK) | (req->gva & ~SM_PAGE_MASK),
        .ipa = (entry & SM_PAGE_MASK) | (req->gva & ~SM_PAGE_MASK), .span_bits = SM_PAGE_BITS,
        .leaf_bits = {SM_PAGE_BITS, 0}, .perms = entry & 7, .attrs = {.process = SM_NO_PROCESS}};
    return true;
}

static void bus_error(struct sm_vcpu *vcpu, const struct sm_xlate_req *req, sm_gpa gpa,
                      enum sm_tx tx, struct sm_fault *fault)
{
    *fault = (struct sm_fault){.cause = 1, .gva = req->gva};
}

static const char *mode_name(uint8_t mode) { return "only"; }

static const struct sm_guest_mmu_ops mmu_ops = {
    .struct_size = sizeof mmu_ops, .n_modes = 1, .tlb_fill = tlb_fill,
    .bus_error = bus_error, .mode_name = mode_name};

/* --- The CPU ----------------------------------------------------------------------- */
static void take_fault(struct cpu *cpu, const struct sm_fault *fault)
{
    printf("%s at 0x%x, pc 0x%x\n", fault->cause ? "bus error" : "page fault",
           (unsigned)fault->gva, (unsigned)cpu->pc);
    cpu->stopped = true;
}

static uint32_t load(struct cpu *cpu, uint32_t gva, uint8_t size_bits, enum sm_access access)
{
    const struct sm_memop op = {.size_bits = size_bits,
                                .flags = access == SM_FETCH ? SM_MEMOP_AS_FETCH : 0};
    struct sm_value value = {0, 0};
    struct sm_fault fault;
    void *host;

    if (sm_tlb_hit(cpu->fast->table[0], gva, 1u << size_bits, access, &host))
        return (uint32_t)sm_host_load(host, size_bits);
    if (sm_tlb_read_slow(cpu->vcpu, gva, op, &value, &fault) == SM_STEP_FAULT)
        take_fault(cpu, &fault);
    return (uint32_t)value.lo;
}

static void store(struct cpu *cpu, uint32_t gva, uint8_t size_bits, uint32_t value)
{
    const struct sm_memop op = {.size_bits = size_bits};
    struct sm_fault fault;
    void *host;

    if (sm_tlb_hit(cpu->fast->table[0], gva, 1u << size_bits, SM_WRITE, &host))
        sm_host_store(host, size_bits, value);
    else if (sm_tlb_write_slow(cpu->vcpu, gva, op, (struct sm_value){value, 0}, &fault) ==
             SM_STEP_FAULT)
        take_fault(cpu, &fault);
}

static void step(struct cpu *cpu)
{
    const uint32_t word = load(cpu, cpu->pc, 2, SM_FETCH), rest = word & 0xffff;
    uint32_t *const a = &cpu->reg[word >> 16 & 7], *const b = &cpu->reg[rest & 7];
    uint32_t next = cpu->pc + 4;

    if (cpu->stopped)
        return;
    switch ((enum op)(word >> 24)) {
    case LI:   *a = rest; break;
    case ADDI: *a += rest; break;
    case LB:   *a = load(cpu, *b, 0, SM_READ); break;
    case LW:   *a = load(cpu, *b, 2, SM_READ); break;
    case SB:   store(cpu, *b, 0, *a & 0xff); break;
    case SW:   store(cpu, *b, 2, *a); break;
    case BZ:   next = *a ? next : rest; break;
    case JMP:  next = rest; break;
    case STOP: cpu->stopped = true; break;
    }
    cpu->count++;
    if (!cpu->stopped)
        cpu->pc = next;
    sm_vcpu_safe_point(cpu->vcpu);
}

/* Page 0: the code, 1: the text, 2: data, 8: the console, 9: the counter. */
static const uint32_t table[16] = {CODE | SM_PERM_R | SM_PERM_X, TEXT | SM_PERM_R,
    0x4000 | SM_PERM_R | SM_PERM_W, [8] = CONSOLE_AT | SM_PERM_W, [9] = COUNTER_AT | SM_PERM_R};
static const char text[] = "hello from a tiny CPU\n";
static const uint32_t code[] = {
    OP(LI, 1, 0x1000), OP(LI, 2, 0x8000), /* 00: r1 = text, r2 = console */
    OP(LB, 3, 1), OP(BZ, 3, 0x1c),        /* 08: r3 = a letter, the last is 0 */
    OP(SB, 3, 2), OP(ADDI, 1, 1), OP(JMP, 0, 0x08),
    OP(LI, 4, 0x9000), OP(LW, 5, 4),      /* 1c: r5 = counter */
    OP(LI, 6, 0x2ffe), OP(SW, 5, 6),      /* 24: crosses into a page that is not there */
    OP(STOP, 0, 0)};

int main(void)
{
    const struct sm_owner_ops owner = {.struct_size = sizeof owner};
    const struct sm_attrs loader = {.process = SM_NO_PROCESS, .flags = SM_ATTR_DEBUG};
    const struct sm_tlb_key key = {{0, 0, 0}};
    struct sm_tlb_stats stats = {.struct_size = sizeof stats};
    struct cpu cpu = {.pc = 0};
    struct sm_topology *board;
    struct sm_device *console_dev, *counter_dev;
    struct sm_region *bus, *ram, *console, *counter;

    if (sm_topology_new(&owner, NULL, &board) ||
        sm_region_new(board, "bus", UINT32_MAX, &bus) ||
        sm_region_new_ram(board, "ram", RAM_SIZE, &ram) ||
        sm_device_new(board, "console", &cpu, &console_dev) ||
        sm_device_new(board, "counter", &cpu, &counter_dev) ||
        sm_region_new_io(console_dev, "console", 0xff, &console_ops, &console) ||
        sm_region_new_io(counter_dev, "counter", 0xff, &counter_ops, &counter))
        return 1;
    sm_topology_begin(board);
    if (sm_region_map(bus, 0, ram, 0) || sm_region_map(bus, CONSOLE_AT, console, 0) ||
        sm_region_map(bus, COUNTER_AT, counter, 0) ||
        sm_address_space_new(board, "memory", bus, &cpu.memory) || sm_topology_commit(board, NULL))
        return 1;
    const struct sm_vcpu_options options = {
        .struct_size = sizeof options, .tlb_layout = SM_TLB_LAYOUT, .spaces = &cpu.memory,
        .n_spaces = 1, .ops = &mmu_ops, .guest = &cpu};
    if (sm_address_space_write(cpu.memory, TABLE, &loader, table, sizeof table, NULL) ||
        sm_address_space_write(cpu.memory, CODE, &loader, code, sizeof code, NULL) ||
        sm_address_space_write(cpu.memory, TEXT, &loader, text, sizeof text, NULL) ||
        sm_vcpu_new(board, &options, &cpu.vcpu))
        return 1;
    cpu.fast = sm_vcpu_fast(cpu.vcpu);
    sm_vcpu_online(cpu.vcpu);
    sm_tlb_select(cpu.vcpu, 1, &key);
    while (!cpu.stopped)
        step(&cpu);
    sm_vcpu_offline(cpu.vcpu);
    sm_tlb_get_stats(cpu.vcpu, &stats);
    printf("counter %u, %u instructions, %u misses\n", (unsigned)cpu.reg[5], (unsigned)cpu.count,
           (unsigned)(stats.fills[SM_FETCH] + stats.fills[SM_READ] + stats.fills[SM_WRITE]));
    sm_vcpu_free(cpu.vcpu);
    sm_topology_free(board);
    return 0;
}
