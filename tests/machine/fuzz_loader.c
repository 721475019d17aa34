/* SPDX-License-Identifier: MIT */
/* fuzz_loader.c - whatever the file, loading it ends well or changes nothing.
 *
 * The input is a file itself, or, after a first byte of 'P', patches to a good ELF:
 * four bytes each, a 16-bit offset, a value and how often it repeats.
 */
#include "machine_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
#include "fuzz_main.h"

static struct test_space test;

static uint8_t *patched_elf(const uint8_t *data, size_t size, size_t *out_size)
{
    static const struct test_segment segments[] = {{TEST_RAM, 0x80, 0x80},
                                                   {TEST_RAM + 0x1000, 0x40, 0x400}};
    struct test_elf elf = test_elf_new(segments, 2);

    for (; size >= 4; data += 4, size -= 4) {
        const size_t at = (data[0] | (size_t)data[1] << 8) % elf.size;
        const size_t n = SM_MIN((size_t)(data[3] % 8) + 1, elf.size - at);
        memset(elf.data + at, data[2], n);
    }
    *out_size = elf.size;
    return elf.data;
}

/** Whether all of RAM is zero; if not, make it so. */
static bool ram_is_zero(void)
{
    static uint8_t bytes[TEST_RAM_SIZE], zeros[TEST_RAM_SIZE];
    (void)sm_address_space_read(test.space, TEST_RAM, &test_attrs, bytes, sizeof bytes,
                                NULL);
    if (!memcmp(bytes, zeros, sizeof bytes))
        return true;
    (void)sm_address_space_write(test.space, TEST_RAM, &test_attrs, zeros, sizeof zeros,
                                 NULL);
    return false;
}

static void load(const uint8_t *data, size_t size, bool force_raw)
{
    struct load_result result;
    char *error = NULL;

    if (load_bytes(test.space, "input", data, size, TEST_RAM + 0x800, force_raw, &result,
                   &error)) {
        /* Refused: with a reason, and nothing was written. */
        if (!error || strchr(error, '\n') || !ram_is_zero())
            abort();
        g_free(error);
        return;
    }
    if (result.first > result.last)
        abort();
    (void)ram_is_zero();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!test.topo)
        test_space_new(&test);
    if (size && data[0] == 'P') {
        size_t elf_size;
        uint8_t *elf = patched_elf(data + 1, size - 1, &elf_size);
        load(elf, elf_size, false);
        free(elf);
    } else {
        load(data, size, false);
        load(data, size, true);
    }
    return 0;
}
