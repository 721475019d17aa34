/* SPDX-License-Identifier: MIT */
/* fdt_test.c - the device tree is well formed and says what guests look for; a user's
 * tree is checked to the last byte. */
#include "machine_test.h"

#include <libfdt.h>
#include <stdio.h>

/** One expected property; a string list is given with its inner zeros. */
struct expected {
    const char *path, *name;
    const void *value;
    int size;
};
#define STRING(path, name, text)                                                         \
    {                                                                                    \
        path, name, text, sizeof(text)                                                   \
    }
#define CELLS(path, name, ...)                                                           \
    {                                                                                    \
        path, name, (const uint32_t[]){__VA_ARGS__},                                     \
            -(int)sizeof((uint32_t[]){__VA_ARGS__})                                      \
    }
#define FLAG(path, name)                                                                 \
    {                                                                                    \
        path, name, "", 0                                                                \
    }

static const struct expected virt_expected[] = {
    CELLS("/", "#address-cells", 2),
    CELLS("/", "#size-cells", 2),
    STRING("/", "compatible", "riscv-virtio"),
    STRING("/", "model", "riscv-virtio,qemu"),
    STRING("/memory@80000000", "device_type", "memory"),
    CELLS("/memory@80000000", "reg", 0, 0x80000000, 1, 0x40000000),
    CELLS("/cpus", "timebase-frequency", 10000000),
    CELLS("/cpus", "#address-cells", 1),
    CELLS("/cpus", "#size-cells", 0),
    CELLS("/cpus/cpu@0", "reg", 0),
    CELLS("/cpus/cpu@1", "reg", 1),
    CELLS("/cpus/cpu@0", "phandle", 3),
    CELLS("/cpus/cpu@1", "phandle", 1),
    STRING("/cpus/cpu@1", "device_type", "cpu"),
    STRING("/cpus/cpu@1", "status", "okay"),
    STRING("/cpus/cpu@1", "compatible", "riscv"),
    STRING("/cpus/cpu@1", "riscv,isa-base", "rv64i"),
    STRING("/cpus/cpu@1", "mmu-type", "riscv,sv57"),
    CELLS("/cpus/cpu@1", "riscv,cbom-block-size", 64),
    CELLS("/cpus/cpu@1", "riscv,cboz-block-size", 64),
    CELLS("/cpus/cpu@1", "riscv,cbop-block-size", 64),
    CELLS("/cpus/cpu@0/interrupt-controller", "phandle", 4),
    CELLS("/cpus/cpu@0/interrupt-controller", "#interrupt-cells", 1),
    FLAG("/cpus/cpu@0/interrupt-controller", "interrupt-controller"),
    STRING("/cpus/cpu@0/interrupt-controller", "compatible", "riscv,cpu-intc"),
    CELLS("/cpus/cpu-map/cluster0/core0", "cpu", 3),
    CELLS("/cpus/cpu-map/cluster0/core1", "cpu", 1),
    STRING("/chosen", "stdout-path", "/soc/serial@10000000"),
    STRING("/chosen", "bootargs", "console=ttyS0 \"x\""),
    CELLS("/chosen", "linux,initrd-start", 0, 0x88000000),
    CELLS("/chosen", "linux,initrd-end", 1, 0x00000010),
    STRING("/aliases", "serial0", "/soc/serial@10000000"),
    STRING("/poweroff", "compatible", "syscon-poweroff"),
    CELLS("/poweroff", "value", 0x5555),
    CELLS("/poweroff", "regmap", 6),
    CELLS("/poweroff", "offset", 0),
    STRING("/reboot", "compatible", "syscon-reboot"),
    CELLS("/reboot", "value", 0x7777),
    FLAG("/soc", "ranges"),
    STRING("/soc", "compatible", "simple-bus"),
    CELLS("/soc/test@100000", "phandle", 6),
    CELLS("/soc/test@100000", "reg", 0, 0x100000, 0, 0x1000),
    STRING("/soc/test@100000", "compatible", "sifive,test1\0sifive,test0\0syscon"),
    CELLS("/soc/rtc@101000", "reg", 0, 0x101000, 0, 0x1000),
    CELLS("/soc/rtc@101000", "interrupts", 11),
    CELLS("/soc/serial@10000000", "interrupts", 10),
    CELLS("/soc/serial@10000000", "interrupt-parent", 5),
    CELLS("/soc/serial@10000000", "clock-frequency", 3686400),
    STRING("/soc/serial@10000000", "compatible", "ns16550a"),
    CELLS("/soc/virtio_mmio@10001000", "interrupts", 1),
    CELLS("/soc/virtio_mmio@10008000", "interrupts", 8),
    CELLS("/soc/virtio_mmio@10008000", "reg", 0, 0x10008000, 0, 0x1000),
    STRING("/soc/virtio_mmio@10004000", "compatible", "virtio,mmio"),
    CELLS("/soc/plic@c000000", "phandle", 5),
    CELLS("/soc/plic@c000000", "riscv,ndev", 95),
    CELLS("/soc/plic@c000000", "reg", 0, 0xc000000, 0, 0x600000),
    CELLS("/soc/plic@c000000", "interrupts-extended", 4, 11, 4, 9, 2, 11, 2, 9),
    FLAG("/soc/plic@c000000", "interrupt-controller"),
    CELLS("/soc/clint@2000000", "reg", 0, 0x2000000, 0, 0x10000),
    CELLS("/soc/clint@2000000", "interrupts-extended", 4, 3, 4, 7, 2, 3, 2, 7),
};

static const struct expected aclint_expected[] = {
    CELLS("/soc/mswi@2000000", "reg", 0, 0x2000000, 0, 0x4000),
    CELLS("/soc/mswi@2000000", "interrupts-extended", 4, 3, 2, 3),
    CELLS("/soc/mtimer@2004000", "reg", 0, 0x200bff8, 0, 0x4008, 0, 0x2004000, 0, 0x7ff8),
    CELLS("/soc/mtimer@2004000", "interrupts-extended", 4, 7, 2, 7),
    CELLS("/soc/sswi@2f00000", "reg", 0, 0x2f00000, 0, 0x4000),
    CELLS("/soc/sswi@2f00000", "interrupts-extended", 4, 1, 2, 1),
    STRING("/soc/sswi@2f00000", "compatible", "riscv,aclint-sswi"),
};

static const struct expected spike_expected[] = {
    STRING("/", "compatible", "ucbbar,spike-bare-dev"),
    STRING("/htif", "compatible", "ucb,htif0"),
    CELLS("/htif", "reg", 0, 0x1000000, 0, 0x1000),
    STRING("/chosen", "stdout-path", "/htif"),
    CELLS("/soc/clint@2000000", "reg", 0, 0x2000000, 0, 0x10000),
};

static void check(const void *fdt, const struct expected *expected, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct expected *e = &expected[i];
        const int node = fdt_path_offset(fdt, e->path);
        int size = 0;
        const void *value = node < 0 ? NULL : fdt_getprop(fdt, node, e->name, &size);
        bool same = value && size == abs(e->size);

        if (same && e->size >= 0) {
            same = !memcmp(value, e->value, (size_t)size);
        } else if (same) {
            for (int cell = 0; cell < size / 4; cell++)
                same = same && fdt32_to_cpu(((const fdt32_t *)value)[cell]) ==
                                   ((const uint32_t *)e->value)[cell];
        }
        if (!same)
            fail_msg("%s:%s differs (node %d, size %d)", e->path, e->name, node, size);
    }
}

static struct machine describe(const struct board *board, unsigned n_harts)
{
    struct machine machine = {
        .board = board, .n_harts = n_harts, .ram_size = UINT64_C(0x140000000)};
    assert_int_equal(rv_isa_init(&machine.isa, "rv64"), 0);
    assert_null(rv_isa_check(&machine.isa));
    return machine;
}

static void *build(const struct machine *machine, const struct fdt_chosen *chosen)
{
    void *fdt = NULL;
    size_t size = 0;
    char *error = NULL;

    assert_int_equal(machine_fdt_build(machine, chosen, &fdt, &size, &error), 0);
    assert_int_equal(fdt_check_full(fdt, size), 0);
    assert_int_equal(fdt_totalsize(fdt), size);
    return fdt;
}

static void virt_tree(void **state)
{
    const struct fdt_chosen chosen = {.bootargs = "console=ttyS0 \"x\"",
                                      .has_initrd = true,
                                      .initrd = 0x88000000,
                                      .initrd_end = UINT64_C(0x100000010)};
    struct machine machine = describe(&board_virt, 2);
    char text[1024];
    void *fdt = build(&machine, &chosen);
    int node, length;
    (void)state;

    check(fdt, virt_expected, SM_ARRAY_LEN(virt_expected));
    /* The two ways to name extensions agree with the hart's own string. */
    node = fdt_path_offset(fdt, "/cpus/cpu@0");
    assert_true(rv_isa_string(&machine.isa, text, sizeof text) < sizeof text);
    assert_string_equal(fdt_getprop(fdt, node, "riscv,isa", &length), text);
    assert_int_equal(length, strlen(text) + 1);
    for (unsigned ext = 0; ext < RV_N_EXT; ext++) {
        const enum rv_ext id = (enum rv_ext)ext;
        const bool named = fdt_stringlist_search(fdt, node, "riscv,isa-extensions",
                                                 rv_ext_name(id)) >= 0;
        assert_int_equal(named, rv_isa_has(&machine.isa, id) && rv_ext_in_isa_string(id));
    }
    free(fdt);

    machine.aclint_layout = true;
    fdt = build(&machine, &(struct fdt_chosen){0});
    check(fdt, aclint_expected, SM_ARRAY_LEN(aclint_expected));
    assert_true(fdt_path_offset(fdt, "/soc/clint@2000000") < 0);
    node = fdt_path_offset(fdt, "/chosen");
    assert_null(fdt_getprop(fdt, node, "bootargs", NULL));
    assert_null(fdt_getprop(fdt, node, "linux,initrd-start", NULL));
    free(fdt);
}

static void spike_tree(void **state)
{
    struct machine machine = describe(&board_spike, 1);
    void *fdt;
    (void)state;

    machine.htif_fixed = true;
    fdt = build(&machine, &(struct fdt_chosen){0});
    check(fdt, spike_expected, SM_ARRAY_LEN(spike_expected));
    free(fdt);
    machine.htif_fixed = false;
    fdt = build(&machine, &(struct fdt_chosen){0});
    assert_null(fdt_getprop(fdt, fdt_path_offset(fdt, "/htif"), "reg", NULL));
    free(fdt);
}

static void many_harts(void **state)
{
    struct machine machine = describe(&board_virt, MACHINE_MAX_HARTS);
    void *fdt = build(&machine, &(struct fdt_chosen){0});
    (void)state;

    assert_true(fdt_path_offset(fdt, "/cpus/cpu@1ff") > 0);
    assert_true(fdt_path_offset(fdt, "/cpus/cpu-map/cluster0/core511") > 0);
    free(fdt);
}

static void paging_modes(void **state)
{
    static const struct {
        uint8_t mode;
        const char *name;
    } modes[] = {
        {0, "riscv,none"}, {8, "riscv,sv39"}, {9, "riscv,sv48"}, {10, "riscv,sv57"}};
    struct machine machine = describe(&board_virt, 1);
    (void)state;

    for (unsigned i = 0; i < SM_ARRAY_LEN(modes); i++) {
        void *fdt;
        machine.isa.satp_mode_max = modes[i].mode;
        fdt = build(&machine, &(struct fdt_chosen){0});
        assert_string_equal(
            fdt_getprop(fdt, fdt_path_offset(fdt, "/cpus/cpu@0"), "mmu-type", NULL),
            modes[i].name);
        free(fdt);
    }
}

static void seed_is_fresh(void **state)
{
    struct machine machine = describe(&board_virt, 1);
    void *fdt = build(&machine, &(struct fdt_chosen){0});
    const int node = fdt_path_offset(fdt, "/chosen");
    uint8_t first[32];
    int size;
    (void)state;

    machine_fdt_reseed(fdt);
    memcpy(first, fdt_getprop(fdt, node, "rng-seed", &size), sizeof first);
    assert_int_equal(size, 32);
    machine_fdt_reseed(fdt);
    assert_memory_not_equal(first, fdt_getprop(fdt, node, "rng-seed", NULL),
                            sizeof first);
    assert_int_equal(fdt_check_full(fdt, fdt_totalsize(fdt)), 0);
    free(fdt);
}

static void users_tree(void **state)
{
    const struct fdt_chosen chosen = {.bootargs = "init=/bin/x",
                                      .has_initrd = true,
                                      .initrd = 0x1000,
                                      .initrd_end = 0x2000};
    const struct expected expected[] = {
        STRING("/chosen", "bootargs", "init=/bin/x"),
        CELLS("/chosen", "linux,initrd-start", 0, 0x1000),
        CELLS("/chosen", "linux,initrd-end", 0, 0x2000),
    };
    struct machine machine = describe(&board_virt, 1);
    void *fdt = build(&machine, &(struct fdt_chosen){0}), *bare = malloc(4096), *out;
    size_t size;
    char *error = NULL;
    (void)state;

    assert_int_equal(
        machine_fdt_adopt(fdt, fdt_totalsize(fdt), &chosen, &out, &size, &error), 0);
    assert_int_equal(fdt_check_full(out, size), 0);
    check(out, expected, SM_ARRAY_LEN(expected));
    free(out);

    /* One without /chosen gets it, one without need stays as it is. */
    assert_int_equal(fdt_create_empty_tree(bare, 4096), 0);
    assert_int_equal(fdt_pack(bare), 0);
    assert_int_equal(
        machine_fdt_adopt(bare, fdt_totalsize(bare), &chosen, &out, &size, &error), 0);
    check(out, expected, SM_ARRAY_LEN(expected));
    free(out);
    assert_int_equal(machine_fdt_adopt(bare, fdt_totalsize(bare), &(struct fdt_chosen){0},
                                       &out, &size, &error),
                     0);
    assert_true(fdt_path_offset(out, "/chosen") < 0);
    free(out);
    free(bare);
    free(fdt);
}

static void bad_trees(void **state)
{
    const struct fdt_chosen chosen = {.bootargs = "x"};
    struct machine machine = describe(&board_spike, 1);
    void *good = build(&machine, &chosen), *out;
    const size_t total = fdt_totalsize(good);
    uint8_t *bytes;
    size_t size;
    char *error = NULL;
    (void)state;

    assert_int_equal(machine_fdt_adopt("", 0, &chosen, &out, &size, &error), -EINVAL);
    assert_string_equal(error, "FDT_ERR_TRUNCATED");
    g_free(error);
    for (size_t cut = 1; cut < total; cut += 3) {
        bytes = malloc(cut);
        memcpy(bytes, good, cut);
        assert_int_equal(machine_fdt_adopt(bytes, cut, &chosen, &out, &size, &error),
                         -EINVAL);
        g_free(error);
        free(bytes);
    }
    /* Any one byte changed: refused, or a tree that is whole. */
    bytes = malloc(total);
    for (size_t at = 0; at < total; at++) {
        memcpy(bytes, good, total);
        bytes[at] ^= 0x41;
        if (!machine_fdt_adopt(bytes, total, &chosen, &out, &size, &error)) {
            assert_int_equal(fdt_check_full(out, size), 0);
            free(out);
        } else {
            assert_true(at > 0 || !strcmp(error, "FDT_ERR_BADMAGIC"));
            g_free(error);
        }
    }
    free(bytes);
    free(good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(virt_tree),     cmocka_unit_test(spike_tree),
        cmocka_unit_test(many_harts),    cmocka_unit_test(paging_modes),
        cmocka_unit_test(seed_is_fresh), cmocka_unit_test(users_tree),
        cmocka_unit_test(bad_trees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
