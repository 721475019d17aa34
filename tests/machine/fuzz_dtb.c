/* SPDX-License-Identifier: MIT */
/* fuzz_dtb.c - whatever device tree the user gives, it is refused or whole.
 *
 * The input is a tree itself, or, after a first byte of 'P', patches to a good one:
 * four bytes each, a 16-bit offset, a value and how often it repeats.
 */
#include "machine_test.h"

#include <libfdt.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
#include "fuzz_main.h"

static void adopt(const uint8_t *data, size_t size)
{
    const struct fdt_chosen chosen = {.bootargs = "console=ttyS0",
                                      .has_initrd = true,
                                      .initrd = 0x84200000,
                                      .initrd_end = 0x84300000};
    char *error = NULL;
    size_t out_size;
    void *out;

    if (machine_fdt_adopt(data, size, &chosen, &out, &out_size, &error)) {
        if (!error || strchr(error, '\n'))
            abort();
        g_free(error);
        return;
    }
    if (fdt_check_full(out, out_size) || fdt_path_offset(out, "/chosen") < 0)
        abort();
    machine_fdt_reseed(out);
    g_free(out);
}

static void adopt_patched(const uint8_t *data, size_t size)
{
    struct machine machine = {.board = &board_virt, .n_harts = 1, .ram_size = 1 << 27};
    void *fdt;
    size_t fdt_size;
    char *error = NULL;

    if (rv_isa_init(&machine.isa, "rv64") ||
        machine_fdt_build(&machine, &(struct fdt_chosen){.bootargs = "x"}, &fdt,
                          &fdt_size, &error))
        abort();
    for (; size >= 4; data += 4, size -= 4) {
        const size_t at = (data[0] | (size_t)data[1] << 8) % fdt_size;
        const size_t n = SM_MIN((size_t)(data[3] % 8) + 1, fdt_size - at);
        memset((uint8_t *)fdt + at, data[2], n);
    }
    adopt(fdt, fdt_size);
    g_free(fdt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size && data[0] == 'P')
        adopt_patched(data + 1, size - 1);
    else
        adopt(data, size);
    return 0;
}
