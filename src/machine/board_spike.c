/* SPDX-License-Identifier: MIT */
/* board_spike.c - the `spike` board: a timer, RAM, and HTIF where the ELF wants it.
 *
 * What runs first may say by its symbols tohost and fromhost where the host interface
 * lies; it then covers that RAM.  Else it is at a fixed address, which the device tree
 * names.
 */
#include <errno.h>

#include "machine/board.h"

static int spike_build(struct machine *machine, char **error)
{
    const unsigned n = machine->n_harts;
    struct dev_line *lines = g_new(struct dev_line, n * 2);
    const struct aclint_options aclint = {.topo = machine->topo,
                                          .clock = machine_clock_table(machine->clock),
                                          .n_harts = n,
                                          .time_changed = harts_time_changed,
                                          .owner = machine,
                                          .msi = lines,
                                          .mti = lines + n};
    const struct htif_options htif = {.topo = machine->topo,
                                      .chr = machine->chr ? chardev_table(machine->chr)
                                                          : NULL,
                                      .power = &machine->power,
                                      .space = machine->space};
    int err;

    for (unsigned i = 0; i < n; i++) {
        lines[i] = hart_line(machine, i, RV_IRQ_MSI);
        lines[n + i] = hart_line(machine, i, RV_IRQ_MTI);
    }
    err = aclint_new(&aclint, &machine->aclint);
    if (!err)
        err = htif_new(&htif, &machine->htif);
    if (!err)
        err = sm_region_map(machine->root, board_spike.place[BOARD_CLINT].base,
                            aclint_clint_region(machine->aclint), 0);
    g_free(lines);
    return err ? machine_fail(error, -err, "cannot set up machine 'spike': %s",
                              g_strerror(-err))
               : 0;
}

static int spike_images_known(struct machine *machine, char **error)
{
    const struct load_result *image = &machine->start_image;
    const uint64_t fixed = board_spike.place[BOARD_HTIF].base;
    int err;

    machine->htif_fixed = !image->has_htif;
    machine->htif_fromhost = image->has_htif ? image->fromhost : fixed;
    machine->htif_tohost = image->has_htif ? image->tohost : fixed + 8;
    if (machine->htif_tohost % 8 || machine->htif_fromhost % 8 ||
        machine->htif_tohost == machine->htif_fromhost)
        return machine_fail(error, EINVAL, "Invalid HTIF fromhost or tohost address");
    sm_topology_begin(machine->topo);
    err = sm_region_map(machine->root, machine->htif_tohost,
                        htif_tohost_region(machine->htif), 1);
    if (!err)
        err = sm_region_map(machine->root, machine->htif_fromhost,
                            htif_fromhost_region(machine->htif), 1);
    if (!err)
        err = sm_topology_commit(machine->topo, NULL);
    if (err)
        sm_topology_abort(machine->topo);
    return err ? machine_fail(error, -err, "Invalid HTIF fromhost or tohost address") : 0;
}

static void spike_reset(struct machine *machine)
{
    htif_reset(machine->htif);
    aclint_reset(machine->aclint);
}

static void spike_unmap(struct machine *machine)
{
    if (machine->aclint)
        sm_region_unmap(aclint_clint_region(machine->aclint));
    if (machine->htif) {
        sm_region_unmap(htif_tohost_region(machine->htif));
        sm_region_unmap(htif_fromhost_region(machine->htif));
    }
}

static void spike_free(struct machine *machine)
{
    if (machine->htif)
        htif_free(machine->htif);
    if (machine->aclint)
        aclint_free(machine->aclint);
}

static void spike_fdt(const struct machine *machine, struct fdt_out *fdt)
{
    static const uint32_t irqs[] = {RV_IRQ_MSI, RV_IRQ_MTI};
    static const char clint[] = "sifive,clint0\0riscv,clint0";
    const struct board_place *place = &board_spike.place[BOARD_CLINT];

    fdt_node_begin(fdt, "soc");
    FDT_CELLS(fdt, "#address-cells", 2);
    FDT_CELLS(fdt, "#size-cells", 2);
    fdt_put_string(fdt, "compatible", "simple-bus");
    fdt_put(fdt, "ranges", NULL, 0);
    fdt_node_begin(fdt, "clint@%" G_GINT64_MODIFIER "x", place->base);
    fdt_put_hart_irqs(fdt, machine, 2, irqs);
    fdt_put_reg(fdt, place->base, place->size);
    fdt_put(fdt, "compatible", clint, sizeof clint);
    fdt_node_end(fdt);
    fdt_node_end(fdt);

    place = &board_spike.place[BOARD_HTIF];
    fdt_node_begin(fdt, "htif");
    if (machine->htif_fixed)
        fdt_put_reg(fdt, place->base, place->size);
    fdt_put_string(fdt, "compatible", "ucb,htif0");
    fdt_node_end(fdt);
}

const struct board board_spike = {
    .name = "spike",
    .description = "RISC-V Spike board",
    .ram_name = "riscv.spike.ram",
    .compatible = "ucbbar,spike-bare-dev",
    .model = "ucbbar,spike-bare,qemu",
    .stdout_path = "/htif",
    .max_harts = 8,
    .place =
        {
            [BOARD_MROM] = {0x1000, 0xf000},
            [BOARD_HTIF] = {0x1000000, 0x1000},
            [BOARD_CLINT] = {0x2000000, 0x10000},
            [BOARD_DRAM] = {0x80000000, 0},
        },
    .build = spike_build,
    .images_known = spike_images_known,
    .fdt = spike_fdt,
    .reset = spike_reset,
    .unmap = spike_unmap,
    .free = spike_free,
};
