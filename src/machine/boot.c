/* SPDX-License-Identifier: MIT */
/* boot.c - firmware, kernel, initrd, device tree and reset code, each to its place.
 *
 * The places are those of QEMU 10 for 64-bit RISC-V, since guests and scripts know
 * them: firmware at the start of RAM; a kernel that is no ELF at the next 2 MiB border
 * after it; the initrd half of RAM, at most 512 MiB, after the kernel's start; the
 * device tree at the last 2 MiB border of RAM that leaves room for it.
 *
 * Source: OpenSBI, docs/firmware/fw_dynamic.md (struct fw_dynamic_info, version 2).
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "machine/board.h"

#define MiB (UINT64_C(1) << 20)

/** Where firmware lies that no -L directory has, and its names when none is given. */
static const char *const firmware_dirs[] = {"/usr/lib/riscv64-linux-gnu/opensbi/generic",
                                            "/usr/share/qemu", NULL};
static const char *const default_firmware[] = {"opensbi-riscv64-generic-fw_dynamic.bin",
                                               "fw_dynamic.bin", "fw_dynamic.elf", NULL};

struct fw_dynamic_info {
    uint64_t magic, version, next_addr, next_mode, options, boot_hart;
};

/** Reset code, its two operands, and what fw_dynamic reads through a2. */
struct reset_code {
    uint32_t code[6];
    uint64_t start, fdt;
    struct fw_dynamic_info info;
};

static const struct sm_attrs write_attrs = {.process = SM_NO_PROCESS,
                                            .flags = SM_ATTR_DEBUG};

/* --- Files -------------------------------------------------------------------------- */

static bool is_file(const char *path)
{
    return !access(path, R_OK) && !g_file_test(path, G_FILE_TEST_IS_DIR);
}

/** Find one of @names in one of @dirs, an earlier directory first; either may be NULL.
 *  Returns  a path to g_free(), or NULL */
static char *find_file(const char *const *dirs, const char *const *names)
{
    for (; dirs && *dirs; dirs++) {
        for (const char *const *name = names; *name; name++) {
            char *path = g_build_filename(*dirs, *name, NULL);
            if (is_file(path))
                return path;
            g_free(path);
        }
    }
    return NULL;
}

/** Returns  a path to g_free(), or NULL with *@error */
static char *find_firmware(const struct machine_config *config, char **error)
{
    const bool named = config->bios && strcmp(config->bios, "default");
    const char *const name[] = {config->bios, NULL};
    const char *const *names = named ? name : default_firmware;
    char *path = NULL;

    if (named && is_file(config->bios))
        return g_strdup(config->bios);
    path = find_file((const char *const *)config->search, names);
    if (!path)
        path = find_file(firmware_dirs, names);
    if (!path)
        (void)machine_fail(error, ENOENT, "Unable to find the RISC-V BIOS \"%s\"",
                           names[0]);
    return path;
}

/** Plan @path into the ROM set.
 *  @what  begins the error's line: "could not load kernel"; @quote goes around @path */
static int add_image(struct machine *machine, const char *what, const char *quote,
                     const char *path, uint64_t raw_addr, unsigned flags,
                     struct load_result *out, char **error)
{
    struct load_file file = {0};
    struct load_plan plan = {0};
    char *reason = NULL;
    int err;

    err = load_file_open(path, &file, &reason);
    if (!err)
        err = load_plan_make(machine->space, file.data, file.size, raw_addr, flags, &plan,
                             &reason);
    if (err)
        (void)machine_fail(error, -err, "%s %s%s%s: %s", what, quote, path, quote,
                           reason);
    else
        err = rom_set_add(machine->roms, path, &plan, error);
    g_free(reason);
    load_file_close(&file);
    *out = plan.result;
    load_plan_fini(&plan);
    return err;
}

static int add_loader(struct machine *machine, const struct machine_device *device,
                      char **error)
{
    struct load_result result;
    uint8_t bytes[8];
    struct load_segment segment = {.gpa = device->addr,
                                   .size = device->data_size,
                                   .data = bytes,
                                   .data_size = device->data_size};
    const struct load_plan plan = {.segments = &segment, .n_segments = 1};

    if (device->file) {
        const uint64_t addr = device->has_addr ? device->addr : 0;
        return add_image(machine, "Cannot load specified image", "", device->file, addr,
                         device->force_raw ? 0 : LOAD_ELF, &result, error);
    }
    if (!device->data_size || device->data_size > sizeof bytes)
        return machine_fail(error, EINVAL, "data-len cannot be greater then 8 bytes");
    for (unsigned i = 0; i < device->data_size; i++) {
        const unsigned byte = device->big_endian ? device->data_size - 1 - i : i;
        bytes[i] = (uint8_t)(device->data >> (8 * byte));
    }
    if (load_memory_size(machine->space, device->addr, device->data_size) <
        device->data_size)
        return machine_fail(error, E2BIG,
                            "-device loader: no RAM at 0x%" G_GINT64_MODIFIER "x",
                            device->addr);
    return rom_set_add(machine->roms, "-device loader", &plan, error);
}

/* --- Places ------------------------------------------------------------------------- */

static int plan_firmware(struct machine *machine, uint64_t *end, char **error)
{
    const struct machine_config *config = machine->config;
    const uint64_t base = machine->board->place[BOARD_DRAM].base;
    struct load_result result;
    char *path;
    int err;

    machine->start_addr = *end = base;
    if (config->bios && !strcmp(config->bios, "none"))
        return 0;
    path = find_firmware(config, error);
    if (!path)
        return -ENOENT;
    err = add_image(machine, "could not load firmware", "'", path, base, LOAD_ELF,
                    &result, error);
    g_free(path);
    if (err)
        return err;
    machine->start_addr = result.entry;
    machine->start_image = result;
    *end = result.last + 1;
    return 0;
}

/** Plan the kernel after @firmware_end; @first gets its lowest byte. */
static int plan_kernel(struct machine *machine, uint64_t firmware_end, uint64_t *first,
                       uint64_t *last, char **error)
{
    const struct machine_config *config = machine->config;
    struct load_result result;
    int err = add_image(machine, "could not load kernel", "'", config->kernel,
                        sm_align_up(firmware_end, 2 * MiB),
                        LOAD_ELF | LOAD_GZIP | LOAD_IMAGE, &result, error);

    if (err)
        return err;
    machine->kernel_entry = result.entry;
    *first = result.first;
    *last = result.last;
    if (config->bios && !strcmp(config->bios, "none")) {
        machine->start_image = result;
        if (result.is_elf)
            machine->start_addr = result.entry;
    }
    return 0;
}

/** Plan the initrd after the kernel, which needs @kernel_first to @kernel_last. */
static int plan_initrd(struct machine *machine, uint64_t kernel_first,
                       uint64_t kernel_last, struct fdt_chosen *chosen, char **error)
{
    const uint64_t usual = kernel_first + SM_MIN(machine->ram_size / 2, 512 * MiB);
    /* A kernel that is larger than that would clear its .bss over the initrd. */
    const uint64_t addr = SM_MAX(usual, sm_align_up(kernel_last + 1, 2 * MiB));
    struct load_result result;
    int err = add_image(machine, "could not load ramdisk", "'", machine->config->initrd,
                        addr, 0, &result, error);

    if (err)
        return err;
    chosen->has_initrd = true;
    chosen->initrd = result.first;
    chosen->initrd_end = result.last + 1;
    return 0;
}

static int make_fdt(struct machine *machine, const struct fdt_chosen *chosen,
                    char **error)
{
    const char *path = machine->config->dtb;
    struct load_file file = {0};
    char *reason = NULL;
    int err;

    if (!path)
        return machine_fdt_build(machine, chosen, &machine->fdt, &machine->fdt_size,
                                 error);
    err = load_file_open(path, &file, &reason);
    if (!err)
        err = machine_fdt_adopt(file.data, file.size, chosen, &machine->fdt,
                                &machine->fdt_size, &reason);
    if (err)
        (void)machine_fail(error, -err, "Unable to load device tree file '%s': %s", path,
                           reason);
    load_file_close(&file);
    g_free(reason);
    return err;
}

/** Place the tree at the end of RAM, after everything up to @used_last. */
static int place_fdt(struct machine *machine, uint64_t used_last, char **error)
{
    const uint64_t base = machine->board->place[BOARD_DRAM].base;
    const uint64_t size = machine->fdt_size;
    struct sm_range range;

    if (machine->ram_size < size)
        return machine_fail(error, ENOSPC,
                            "No enough memory to place DTB after kernel/initrd");
    machine->fdt_addr = sm_align_down(base + machine->ram_size - size, 2 * MiB);
    if (machine->fdt_addr < base || (used_last && machine->fdt_addr <= used_last))
        return machine_fail(error, ENOSPC,
                            "No enough memory to place DTB after kernel/initrd");
    range = (struct sm_range){machine->fdt_addr, machine->fdt_addr + size - 1};
    return rom_set_claim(machine->roms, "fdt", range, error);
}

int machine_boot_plan(struct machine *machine, char **error)
{
    const struct machine_config *config = machine->config;
    const uint64_t mrom = machine->board->place[BOARD_MROM].base;
    struct fdt_chosen chosen = {0};
    uint64_t firmware_end, kernel_first = 0, used_last = 0;
    int err = rom_set_claim(machine->roms, "mrom.reset",
                            (struct sm_range){mrom, mrom + sizeof(struct reset_code) - 1},
                            error);

    for (unsigned i = 0; i < config->n_devices && !err; i++)
        if (config->devices[i].kind == MACHINE_LOADER)
            err = add_loader(machine, &config->devices[i], error);
    if (!err)
        err = plan_firmware(machine, &firmware_end, error);
    if (!err && config->kernel)
        err = plan_kernel(machine, firmware_end, &kernel_first, &used_last, error);
    if (!err && config->initrd)
        err = plan_initrd(machine, kernel_first, used_last, &chosen, error);
    if (!err && machine->board->images_known)
        err = machine->board->images_known(machine, error);
    if (err)
        return err;
    chosen.bootargs = config->append && config->append[0] ? config->append : NULL;
    used_last = SM_MAX(used_last, chosen.has_initrd ? chosen.initrd_end - 1 : 0);
    err = make_fdt(machine, &chosen, error);
    /* A tree that is only written to a file needs no place. */
    return err || machine->dump_only ? err : place_fdt(machine, used_last, error);
}

/* --- Reset -------------------------------------------------------------------------- */

static void write_reset_code(struct machine *machine)
{
    const uint64_t base = machine->board->place[BOARD_MROM].base;
    const struct reset_code code = {
        .code =
            {
                0x00000297, /* auipc t0, 0                                          */
                0x02828613, /* addi  a2, t0, 40: .info                              */
                0xf1402573, /* csrr  a0, mhartid                                    */
                0x0202b583, /* ld    a1, 32(t0): .fdt                               */
                0x0182b283, /* ld    t0, 24(t0): .start                             */
                0x00028067, /* jr    t0                                             */
            },
        .start = machine->start_addr,
        .fdt = machine->fdt_addr,
        .info = {.magic = 0x4942534f,
                 .version = 2,
                 .next_addr = machine->kernel_entry,
                 .next_mode = 1 /* S */},
    };
    SM_STATIC_ASSERT(offsetof(struct reset_code, start) == 24, "the code's offsets");
    SM_STATIC_ASSERT(offsetof(struct reset_code, info) == 40, "the code's offsets");
    (void)sm_address_space_write(machine->space, base, &write_attrs, &code, sizeof code,
                                 NULL);
}

int machine_boot_write(struct machine *machine, char **error)
{
    const struct load_segment fdt = {.gpa = machine->fdt_addr,
                                     .size = machine->fdt_size,
                                     .data = machine->fdt,
                                     .data_size = machine->fdt_size};
    int err = rom_set_write(machine->roms, machine->space, error);

    if (err)
        return err;
    machine_fdt_reseed(machine->fdt);
    load_segment_write(machine->space, &fdt);
    write_reset_code(machine);
    return 0;
}
