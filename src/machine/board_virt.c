/* SPDX-License-Identifier: MIT */
/* board_virt.c - the `virt` board: its address map as one table, wiring, device tree.
 *
 * Addresses, interrupt numbers and node names are those of QEMU's virt machine.  What
 * QEMU has there and we do not - PCI, flash, fw_cfg, platform bus - is absent from the
 * map and from the tree.
 */
#include <errno.h>

#include "machine/board.h"

enum {
    PLIC_SOURCES = 95,
    PLIC_PRIORITIES = 7,
    RTC_IRQ = 11,
    UART_IRQ = 10,
    VIRTIO_IRQ = 1,
    VIRTIO_STRIDE = 0x1000,
    UART_CLOCK_HZ = 3686400,
    POWEROFF_VALUE = 0x5555,
    REBOOT_VALUE = 0x7777
};

static const struct board_place *place_of(enum board_part part)
{
    return &board_virt.place[part];
}

/* --- Devices ------------------------------------------------------------------------ */

/** Make the timer and the interrupt controllers, with their wires to the harts. */
static int make_interrupts(struct machine *machine)
{
    const unsigned n = machine->n_harts;
    struct dev_line *lines = g_new(struct dev_line, n * 5);
    struct dev_line *msi = lines, *mti = msi + n, *ssi = mti + n, *external = ssi + n;
    const struct aclint_options aclint = {.topo = machine->topo,
                                          .clock = machine_clock_table(machine->clock),
                                          .n_harts = n,
                                          .time_changed = harts_time_changed,
                                          .owner = machine,
                                          .msi = msi,
                                          .mti = mti,
                                          .ssi = machine->aclint_layout ? ssi : NULL};
    const struct plic_options plic = {.topo = machine->topo,
                                      .n_sources = PLIC_SOURCES,
                                      .n_priorities = PLIC_PRIORITIES,
                                      .n_contexts = 2 * n,
                                      .out = external};
    int err;

    for (unsigned i = 0; i < n; i++) {
        msi[i] = hart_line(machine, i, RV_IRQ_MSI);
        mti[i] = hart_line(machine, i, RV_IRQ_MTI);
        ssi[i] = hart_line(machine, i, RV_IRQ_SSI);
        external[2 * i] = hart_line(machine, i, RV_IRQ_MEI);
        external[2 * i + 1] = hart_line(machine, i, RV_IRQ_SEI);
    }
    err = aclint_new(&aclint, &machine->aclint);
    if (!err)
        err = plic_new(&plic, &machine->plic);
    g_free(lines);
    return err;
}

static int make_devices(struct machine *machine)
{
    const struct dev_clock *clock = machine_clock_table(machine->clock);
    const struct finisher_options finisher = {.topo = machine->topo,
                                              .power = &machine->power};
    const struct uart_options uart = {.topo = machine->topo,
                                      .chr = machine->chr ? chardev_table(machine->chr)
                                                          : NULL,
                                      .irq = plic_source(machine->plic, UART_IRQ),
                                      .clock = clock};
    const struct rtc_options rtc = {.topo = machine->topo,
                                    .clock = clock,
                                    .irq = plic_source(machine->plic, RTC_IRQ)};
    int err = finisher_new(&finisher, &machine->finisher);

    if (!err)
        err = uart_new(&uart, &machine->uart);
    if (!err)
        err = rtc_new(&rtc, &machine->rtc);
    for (unsigned i = 0; i < MACHINE_N_VIRTIO && !err; i++) {
        const struct virtio_mmio_options slot = {
            .topo = machine->topo,
            .space = machine->space,
            .irq = plic_source(machine->plic, VIRTIO_IRQ + i),
            .legacy = machine->config->force_legacy,
            .requester = 0x10000 + i};
        err = virtio_mmio_new(&slot, &machine->virtio[i]);
    }
    return err;
}

static int map_part(struct machine *machine, enum board_part part,
                    struct sm_region *region)
{
    return sm_region_map(machine->root, place_of(part)->base, region, 0);
}

static int map_devices(struct machine *machine)
{
    int err = map_part(machine, BOARD_TEST, finisher_region(machine->finisher));

    if (!err)
        err = map_part(machine, BOARD_RTC, rtc_region(machine->rtc));
    if (!err)
        err = map_part(machine, BOARD_PLIC, plic_region(machine->plic));
    if (!err)
        err = map_part(machine, BOARD_UART, uart_region(machine->uart));
    for (unsigned i = 0; i < MACHINE_N_VIRTIO && !err; i++)
        err = sm_region_map(machine->root,
                            place_of(BOARD_VIRTIO)->base + i * (uint64_t)VIRTIO_STRIDE,
                            virtio_mmio_region(machine->virtio[i]), 0);
    if (!machine->aclint_layout)
        return err ? err
                   : map_part(machine, BOARD_CLINT, aclint_clint_region(machine->aclint));
    if (!err)
        err = map_part(machine, BOARD_MSWI, aclint_mswi_region(machine->aclint));
    if (!err)
        err = map_part(machine, BOARD_MTIMER, aclint_mtimer_region(machine->aclint));
    if (!err)
        err = map_part(machine, BOARD_SSWI, aclint_sswi_region(machine->aclint));
    return err;
}

static int virt_build(struct machine *machine, char **error)
{
    int err = make_interrupts(machine);

    if (!err)
        err = make_devices(machine);
    if (!err)
        err = map_devices(machine);
    return err ? machine_fail(error, -err, "cannot set up machine 'virt': %s",
                              g_strerror(-err))
               : 0;
}

static void virt_reset(struct machine *machine)
{
    for (unsigned i = 0; i < MACHINE_N_VIRTIO; i++)
        virtio_mmio_reset(machine->virtio[i]);
    uart_reset(machine->uart);
    rtc_reset(machine->rtc);
    plic_reset(machine->plic);
    aclint_reset(machine->aclint);
}

static void virt_unmap(struct machine *machine)
{
    if (machine->finisher)
        sm_region_unmap(finisher_region(machine->finisher));
    if (machine->rtc)
        sm_region_unmap(rtc_region(machine->rtc));
    if (machine->plic)
        sm_region_unmap(plic_region(machine->plic));
    if (machine->uart)
        sm_region_unmap(uart_region(machine->uart));
    for (unsigned i = 0; i < MACHINE_N_VIRTIO; i++)
        if (machine->virtio[i])
            sm_region_unmap(virtio_mmio_region(machine->virtio[i]));
    if (machine->aclint && machine->aclint_layout) {
        sm_region_unmap(aclint_mswi_region(machine->aclint));
        sm_region_unmap(aclint_mtimer_region(machine->aclint));
        sm_region_unmap(aclint_sswi_region(machine->aclint));
    } else if (machine->aclint) {
        sm_region_unmap(aclint_clint_region(machine->aclint));
    }
}

static void virt_free(struct machine *machine)
{
    for (unsigned i = 0; i < MACHINE_N_VIRTIO; i++)
        if (machine->virtio[i])
            virtio_mmio_free(machine->virtio[i]);
    if (machine->rtc)
        rtc_free(machine->rtc);
    if (machine->uart)
        uart_free(machine->uart);
    if (machine->finisher)
        finisher_free(machine->finisher);
    if (machine->plic)
        plic_free(machine->plic);
    if (machine->aclint)
        aclint_free(machine->aclint);
}

/* --- Device tree -------------------------------------------------------------------- */

static void put_syscon(struct fdt_out *fdt, const struct machine *machine,
                       const char *name, const char *compatible, uint32_t value)
{
    fdt_node_begin(fdt, "%s", name);
    FDT_CELLS(fdt, "value", value);
    FDT_CELLS(fdt, "offset", 0);
    FDT_CELLS(fdt, "regmap", fdt_test_phandle(machine));
    fdt_put_string(fdt, "compatible", compatible);
    fdt_node_end(fdt);
}

static void put_irq(struct fdt_out *fdt, const struct machine *machine, unsigned irq)
{
    FDT_CELLS(fdt, "interrupts", irq);
    FDT_CELLS(fdt, "interrupt-parent", fdt_plic_phandle(machine));
}

/** Begin a node `name@base` with the place's registers. */
static void begin_at(struct fdt_out *fdt, const char *name, enum board_part part)
{
    const struct board_place *place = place_of(part);
    fdt_node_begin(fdt, "%s@%" G_GINT64_MODIFIER "x", name, place->base);
    fdt_put_reg(fdt, place->base, place->size);
}

static void put_plic(struct fdt_out *fdt, const struct machine *machine)
{
    static const uint32_t irqs[] = {RV_IRQ_MEI, RV_IRQ_SEI};
    static const char compatible[] = "sifive,plic-1.0.0\0riscv,plic0";

    begin_at(fdt, "plic", BOARD_PLIC);
    FDT_CELLS(fdt, "phandle", fdt_plic_phandle(machine));
    FDT_CELLS(fdt, "riscv,ndev", PLIC_SOURCES);
    fdt_put_hart_irqs(fdt, machine, 2, irqs);
    fdt_put(fdt, "interrupt-controller", NULL, 0);
    fdt_put(fdt, "compatible", compatible, sizeof compatible);
    FDT_CELLS(fdt, "#address-cells", 0);
    FDT_CELLS(fdt, "#interrupt-cells", 1);
    fdt_node_end(fdt);
}

static void put_software_interrupts(struct fdt_out *fdt, const struct machine *machine,
                                    const char *name, enum board_part part,
                                    const char *compatible, uint32_t irq)
{
    begin_at(fdt, name, part);
    FDT_CELLS(fdt, "#interrupt-cells", 0);
    fdt_put(fdt, "interrupt-controller", NULL, 0);
    fdt_put_hart_irqs(fdt, machine, 1, &irq);
    fdt_put_string(fdt, "compatible", compatible);
    fdt_node_end(fdt);
}

/** The ACLINT's timer names two stretches: mtime first, then the compare registers. */
static void put_aclint(struct fdt_out *fdt, const struct machine *machine)
{
    static const uint32_t mti = RV_IRQ_MTI;
    const uint32_t base = (uint32_t)place_of(BOARD_MTIMER)->base;

    put_software_interrupts(fdt, machine, "sswi", BOARD_SSWI, "riscv,aclint-sswi",
                            RV_IRQ_SSI);
    fdt_node_begin(fdt, "mtimer@%x", base);
    fdt_put_hart_irqs(fdt, machine, 1, &mti);
    FDT_CELLS(fdt, "reg", 0, base + 0x7ff8, 0, 0x4008, 0, base, 0, 0x7ff8);
    fdt_put_string(fdt, "compatible", "riscv,aclint-mtimer");
    fdt_node_end(fdt);
    put_software_interrupts(fdt, machine, "mswi", BOARD_MSWI, "riscv,aclint-mswi",
                            RV_IRQ_MSI);
}

static void put_soc(struct fdt_out *fdt, const struct machine *machine)
{
    static const char test[] = "sifive,test1\0sifive,test0\0syscon";

    begin_at(fdt, "rtc", BOARD_RTC);
    put_irq(fdt, machine, RTC_IRQ);
    fdt_put_string(fdt, "compatible", "google,goldfish-rtc");
    fdt_node_end(fdt);

    begin_at(fdt, "serial", BOARD_UART);
    put_irq(fdt, machine, UART_IRQ);
    FDT_CELLS(fdt, "clock-frequency", UART_CLOCK_HZ);
    fdt_put_string(fdt, "compatible", "ns16550a");
    fdt_node_end(fdt);

    begin_at(fdt, "test", BOARD_TEST);
    FDT_CELLS(fdt, "phandle", fdt_test_phandle(machine));
    fdt_put(fdt, "compatible", test, sizeof test);
    fdt_node_end(fdt);

    /* Downward, as QEMU: Linux names disks in this order, and the first -device
     * goes to the highest slot. */
    for (unsigned i = MACHINE_N_VIRTIO; i-- > 0;) {
        const uint64_t base = place_of(BOARD_VIRTIO)->base + i * (uint64_t)VIRTIO_STRIDE;
        fdt_node_begin(fdt, "virtio_mmio@%" G_GINT64_MODIFIER "x", base);
        put_irq(fdt, machine, VIRTIO_IRQ + i);
        fdt_put_reg(fdt, base, VIRTIO_STRIDE);
        fdt_put_string(fdt, "compatible", "virtio,mmio");
        fdt_node_end(fdt);
    }
}

static void virt_fdt(const struct machine *machine, struct fdt_out *fdt)
{
    static const uint32_t clint_irqs[] = {RV_IRQ_MSI, RV_IRQ_MTI};
    static const char clint[] = "sifive,clint0\0riscv,clint0";

    put_syscon(fdt, machine, "poweroff", "syscon-poweroff", POWEROFF_VALUE);
    put_syscon(fdt, machine, "reboot", "syscon-reboot", REBOOT_VALUE);
    fdt_node_begin(fdt, "aliases");
    fdt_put_string(fdt, "serial0", board_virt.stdout_path);
    fdt_node_end(fdt);
    fdt_node_begin(fdt, "soc");
    FDT_CELLS(fdt, "#address-cells", 2);
    FDT_CELLS(fdt, "#size-cells", 2);
    fdt_put_string(fdt, "compatible", "simple-bus");
    fdt_put(fdt, "ranges", NULL, 0);
    put_soc(fdt, machine);
    put_plic(fdt, machine);
    if (machine->aclint_layout) {
        put_aclint(fdt, machine);
    } else {
        begin_at(fdt, "clint", BOARD_CLINT);
        fdt_put_hart_irqs(fdt, machine, 2, clint_irqs);
        fdt_put(fdt, "compatible", clint, sizeof clint);
        fdt_node_end(fdt);
    }
    fdt_node_end(fdt);
}

const struct board board_virt = {
    .name = "virt",
    .description = "RISC-V VirtIO board",
    .ram_name = "riscv_virt_board.ram",
    .compatible = "riscv-virtio",
    .model = "riscv-virtio,qemu",
    .stdout_path = "/soc/serial@10000000",
    .max_harts = MACHINE_MAX_HARTS,
    .rng_seed = true,
    .place =
        {
            [BOARD_MROM] = {0x1000, 0xf000},
            [BOARD_TEST] = {0x100000, 0x1000},
            [BOARD_RTC] = {0x101000, 0x1000},
            [BOARD_CLINT] = {0x2000000, 0x10000},
            [BOARD_MSWI] = {0x2000000, 0x4000},
            [BOARD_MTIMER] = {0x2004000, 0x8000},
            [BOARD_SSWI] = {0x2f00000, 0x4000},
            [BOARD_PLIC] = {0xc000000, 0x600000},
            [BOARD_UART] = {0x10000000, 0x100},
            [BOARD_VIRTIO] = {0x10001000, 0x8000},
            [BOARD_DRAM] = {0x80000000, 0},
        },
    .build = virt_build,
    .fdt = virt_fdt,
    .reset = virt_reset,
    .unmap = virt_unmap,
    .free = virt_free,
};
