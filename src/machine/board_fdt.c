/* SPDX-License-Identifier: MIT */
/* board_fdt.c - writes a board's device tree, or takes the user's and completes it.
 *
 * The tree has the nodes, names and order of QEMU's, for what this machine has: the
 * guest's drivers, and people's scripts, find things where they are used to.  It is
 * written in one pass, in order, so its cost is linear in the harts.
 *
 * Source: Devicetree Specification 0.4; Linux, Documentation/devicetree/bindings/riscv.
 */
#include <errno.h>
#include <libfdt.h>
#include <stdarg.h>
#include <string.h>
#include <sys/random.h>

#include "machine/board.h"

enum { SEED_SIZE = 32, USER_TREE_MAX = 1024 * 1024 };

/* --- Writing ------------------------------------------------------------------------ */

static void note(struct fdt_out *fdt, int status)
{
    if (!fdt->error && status < 0)
        fdt->error = status;
}

void fdt_node_begin(struct fdt_out *fdt, const char *format, ...)
{
    char name[64];
    va_list args;
    va_start(args, format);
    g_vsnprintf(name, sizeof name, format, args);
    va_end(args);
    note(fdt, fdt_begin_node(fdt->data, name));
}

void fdt_node_end(struct fdt_out *fdt)
{
    note(fdt, fdt_end_node(fdt->data));
}

void fdt_put(struct fdt_out *fdt, const char *name, const void *value, size_t size)
{
    note(fdt, fdt_property(fdt->data, name, value, (int)size));
}

void fdt_put_string(struct fdt_out *fdt, const char *name, const char *value)
{
    fdt_put(fdt, name, value, strlen(value) + 1);
}

void fdt_put_cells(struct fdt_out *fdt, const char *name, unsigned n,
                   const uint32_t *cells)
{
    void *place;
    fdt32_t *out;

    note(fdt, fdt_property_placeholder(fdt->data, name, (int)(n * sizeof *out), &place));
    if (fdt->error)
        return;
    out = place;
    for (unsigned i = 0; i < n; i++)
        out[i] = cpu_to_fdt32(cells[i]);
}

void fdt_put_reg(struct fdt_out *fdt, uint64_t base, uint64_t size)
{
    FDT_CELLS(fdt, "reg", (uint32_t)(base >> 32), (uint32_t)base, (uint32_t)(size >> 32),
              (uint32_t)size);
}

/* Phandles, numbered as QEMU does: harts from the last to the first, then the rest. */
uint32_t fdt_hart_phandle(const struct machine *machine, unsigned hart)
{
    return 2 * (machine->n_harts - 1 - hart) + 1;
}

uint32_t fdt_intc_phandle(const struct machine *machine, unsigned hart)
{
    return fdt_hart_phandle(machine, hart) + 1;
}

uint32_t fdt_plic_phandle(const struct machine *machine)
{
    return 2 * machine->n_harts + 1;
}

uint32_t fdt_test_phandle(const struct machine *machine)
{
    return 2 * machine->n_harts + 2;
}

void fdt_put_hart_irqs(struct fdt_out *fdt, const struct machine *machine, unsigned n,
                       const uint32_t *irqs)
{
    const unsigned total = machine->n_harts * n * 2;
    uint32_t *cells = g_new(uint32_t, total), *out = cells;

    for (unsigned hart = 0; hart < machine->n_harts; hart++) {
        for (unsigned i = 0; i < n; i++) {
            *out++ = fdt_intc_phandle(machine, hart);
            *out++ = irqs[i];
        }
    }
    fdt_put_cells(fdt, "interrupts-extended", total, cells);
    g_free(cells);
}

/* --- What every board has ----------------------------------------------------------- */

static void put_isa(struct fdt_out *fdt, const struct rv_isa *isa)
{
    GString *list = g_string_new(NULL);
    const size_t length = rv_isa_string(isa, NULL, 0);
    char *text = g_malloc(length + 1);

    for (unsigned ext = 0; ext < RV_N_EXT; ext++) {
        if (rv_isa_has(isa, (enum rv_ext)ext) && rv_ext_in_isa_string((enum rv_ext)ext)) {
            g_string_append(list, rv_ext_name((enum rv_ext)ext));
            g_string_append_c(list, '\0');
        }
    }
    (void)rv_isa_string(isa, text, length + 1);
    if (rv_isa_has(isa, RV_EXT_ZICBOP))
        FDT_CELLS(fdt, "riscv,cbop-block-size", isa->cbop_size);
    if (rv_isa_has(isa, RV_EXT_ZICBOZ))
        FDT_CELLS(fdt, "riscv,cboz-block-size", isa->cboz_size);
    if (rv_isa_has(isa, RV_EXT_ZICBOM))
        FDT_CELLS(fdt, "riscv,cbom-block-size", isa->cbom_size);
    fdt_put(fdt, "riscv,isa-extensions", list->str, list->len);
    fdt_put_string(fdt, "riscv,isa-base", "rv64i");
    fdt_put_string(fdt, "riscv,isa", text);
    g_string_free(list, TRUE);
    g_free(text);
}

static const char *mmu_type(const struct machine *machine)
{
    switch (machine->isa.satp_mode_max) {
    case 8: return "riscv,sv39";
    case 9: return "riscv,sv48";
    case 10: return "riscv,sv57";
    default: return "riscv,none";
    }
}

static void put_cpus(struct fdt_out *fdt, const struct machine *machine)
{
    fdt_node_begin(fdt, "cpus");
    FDT_CELLS(fdt, "#address-cells", 1);
    FDT_CELLS(fdt, "#size-cells", 0);
    FDT_CELLS(fdt, "timebase-frequency", ACLINT_TIMEBASE_HZ);
    for (unsigned hart = 0; hart < machine->n_harts; hart++) {
        fdt_node_begin(fdt, "cpu@%x", hart);
        FDT_CELLS(fdt, "phandle", fdt_hart_phandle(machine, hart));
        fdt_put_string(fdt, "device_type", "cpu");
        FDT_CELLS(fdt, "reg", hart);
        fdt_put_string(fdt, "status", "okay");
        fdt_put_string(fdt, "compatible", "riscv");
        put_isa(fdt, &machine->isa);
        fdt_put_string(fdt, "mmu-type", mmu_type(machine));
        fdt_node_begin(fdt, "interrupt-controller");
        FDT_CELLS(fdt, "#interrupt-cells", 1);
        fdt_put(fdt, "interrupt-controller", NULL, 0);
        fdt_put_string(fdt, "compatible", "riscv,cpu-intc");
        FDT_CELLS(fdt, "phandle", fdt_intc_phandle(machine, hart));
        fdt_node_end(fdt);
        fdt_node_end(fdt);
    }
    fdt_node_begin(fdt, "cpu-map");
    fdt_node_begin(fdt, "cluster0");
    for (unsigned hart = 0; hart < machine->n_harts; hart++) {
        fdt_node_begin(fdt, "core%u", hart);
        FDT_CELLS(fdt, "cpu", fdt_hart_phandle(machine, hart));
        fdt_node_end(fdt);
    }
    fdt_node_end(fdt);
    fdt_node_end(fdt);
    fdt_node_end(fdt);
}

static void put_chosen(struct fdt_out *fdt, const struct machine *machine,
                       const struct fdt_chosen *chosen)
{
    static const uint8_t no_seed[SEED_SIZE];
    uint64_t initrd;

    fdt_node_begin(fdt, "chosen");
    if (chosen->bootargs)
        fdt_put_string(fdt, "bootargs", chosen->bootargs);
    if (chosen->has_initrd) {
        initrd = cpu_to_fdt64(chosen->initrd_end);
        fdt_put(fdt, "linux,initrd-end", &initrd, sizeof initrd);
        initrd = cpu_to_fdt64(chosen->initrd);
        fdt_put(fdt, "linux,initrd-start", &initrd, sizeof initrd);
    }
    fdt_put_string(fdt, "stdout-path", machine->board->stdout_path);
    if (machine->board->rng_seed)
        fdt_put(fdt, "rng-seed", no_seed, sizeof no_seed);
    fdt_node_end(fdt);
}

static int write_tree(const struct machine *machine, const struct fdt_chosen *chosen,
                      struct fdt_out *fdt)
{
    const struct board_place *dram = &machine->board->place[BOARD_DRAM];

    note(fdt, fdt_create(fdt->data, (int)fdt->size));
    note(fdt, fdt_finish_reservemap(fdt->data));
    fdt_node_begin(fdt, "%s", "");
    FDT_CELLS(fdt, "#address-cells", 2);
    FDT_CELLS(fdt, "#size-cells", 2);
    fdt_put_string(fdt, "compatible", machine->board->compatible);
    fdt_put_string(fdt, "model", machine->board->model);
    put_chosen(fdt, machine, chosen);
    fdt_node_begin(fdt, "memory@%" G_GINT64_MODIFIER "x", dram->base);
    fdt_put_string(fdt, "device_type", "memory");
    fdt_put_reg(fdt, dram->base, machine->ram_size);
    fdt_node_end(fdt);
    put_cpus(fdt, machine);
    machine->board->fdt(machine, fdt);
    fdt_node_end(fdt);
    note(fdt, fdt_finish(fdt->data));
    return fdt->error;
}

int machine_fdt_build(const struct machine *machine, const struct fdt_chosen *chosen,
                      void **out, size_t *size, char **error)
{
    struct fdt_out fdt = {.size = 32 * 1024 + machine->n_harts * (size_t)2048};
    int status;

    for (;; fdt.size *= 2) {
        fdt.data = g_try_malloc(fdt.size);
        if (!fdt.data)
            return machine_fail(error, ENOMEM, "device tree: %s", g_strerror(ENOMEM));
        fdt.error = 0;
        status = write_tree(machine, chosen, &fdt);
        if (status != -FDT_ERR_NOSPACE || fdt.size > INT32_MAX / 2)
            break;
        g_free(fdt.data);
    }
    if (status) {
        g_free(fdt.data);
        return machine_fail(error, EINVAL, "device tree: %s", fdt_strerror(status));
    }
    *out = fdt.data;
    *size = fdt_totalsize(fdt.data);
    return 0;
}

/* --- The user's tree ---------------------------------------------------------------- */

/** Set what @chosen has, making /chosen if there is none. */
static int set_chosen(void *fdt, const struct fdt_chosen *chosen)
{
    int node = fdt_path_offset(fdt, "/chosen");
    int status = 0;

    if (!chosen->bootargs && !chosen->has_initrd)
        return 0;
    if (node == -FDT_ERR_NOTFOUND)
        node = fdt_add_subnode(fdt, 0, "chosen");
    if (node < 0)
        return node;
    if (chosen->bootargs)
        status = fdt_setprop(fdt, node, "bootargs", chosen->bootargs,
                             (int)strlen(chosen->bootargs) + 1);
    if (!status && chosen->has_initrd)
        status = fdt_setprop_u64(fdt, node, "linux,initrd-start", chosen->initrd);
    if (!status && chosen->has_initrd)
        status = fdt_setprop_u64(fdt, node, "linux,initrd-end", chosen->initrd_end);
    return status;
}

int machine_fdt_adopt(const void *data, size_t data_size, const struct fdt_chosen *chosen,
                      void **out, size_t *size, char **error)
{
    const size_t bootargs = chosen->bootargs ? strlen(chosen->bootargs) : 0;
    size_t room;
    void *fdt;
    int status;

    if (data_size > USER_TREE_MAX)
        return machine_fail(error, EINVAL, "larger than a device tree may be");
    if (data_size < sizeof(struct fdt_header))
        return machine_fail(error, EINVAL, "%s", fdt_strerror(-FDT_ERR_TRUNCATED));
    /* The file need not be aligned, and libfdt wants it so. */
    room = data_size + bootargs + 4096;
    fdt = g_try_malloc(room);
    if (!fdt)
        return machine_fail(error, ENOMEM, "%s", g_strerror(ENOMEM));
    memcpy(fdt, data, data_size);
    status = fdt_check_full(fdt, data_size);
    if (!status)
        status = fdt_open_into(fdt, fdt, (int)room);
    if (!status)
        status = set_chosen(fdt, chosen);
    if (!status)
        status = fdt_pack(fdt);
    if (status) {
        g_free(fdt);
        return machine_fail(error, EINVAL, "%s", fdt_strerror(status));
    }
    *out = fdt;
    *size = fdt_totalsize(fdt);
    return 0;
}

void machine_fdt_reseed(void *fdt)
{
    uint8_t seed[SEED_SIZE];
    const int node = fdt_path_offset(fdt, "/chosen");
    int length = 0;

    if (node < 0 || !fdt_getprop(fdt, node, "rng-seed", &length) || length != SEED_SIZE)
        return;
    if (getrandom(seed, sizeof seed, 0) == sizeof seed)
        (void)fdt_setprop_inplace(fdt, node, "rng-seed", seed, sizeof seed);
}
