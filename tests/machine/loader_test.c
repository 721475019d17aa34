/* SPDX-License-Identifier: MIT */
/* loader_test.c - good files land where they should; bad ones write nothing. */
#include "machine_test.h"

#include <stdio.h>
#include <unistd.h>
#include <zlib.h>

static uint8_t byte_at(struct test_space *test, uint64_t gpa)
{
    uint8_t value = 0xee;
    assert_int_equal(
        sm_address_space_read(test->space, gpa, &test_attrs, &value, 1, NULL), SM_TX_OK);
    return value;
}

/** Fill RAM with 0xaa, so that every write shows. */
static void taint(struct test_space *test)
{
    uint8_t *bytes = malloc(TEST_RAM_SIZE);
    memset(bytes, 0xaa, TEST_RAM_SIZE);
    assert_int_equal(sm_address_space_write(test->space, TEST_RAM, &test_attrs, bytes,
                                            TEST_RAM_SIZE, NULL),
                     SM_TX_OK);
    free(bytes);
}

static bool tainted(struct test_space *test)
{
    uint8_t *bytes = malloc(TEST_RAM_SIZE);
    bool same = true;
    assert_int_equal(sm_address_space_read(test->space, TEST_RAM, &test_attrs, bytes,
                                           TEST_RAM_SIZE, NULL),
                     SM_TX_OK);
    for (unsigned i = 0; i < TEST_RAM_SIZE; i++)
        same = same && bytes[i] == 0xaa;
    free(bytes);
    return same;
}

static const struct test_segment two[] = {{TEST_RAM, 0x200, 0x200},
                                          {TEST_RAM + 0x1001, 0x11, 0x3000}};

static void elf_is_loaded(void **state)
{
    struct test_space test;
    struct test_elf elf = test_elf_new(two, 2);
    struct load_result result;
    char *error = NULL;
    (void)state;

    test_space_new(&test);
    taint(&test);
    assert_int_equal(
        load_bytes(test.space, "x", elf.data, elf.size, 0, false, &result, &error), 0);
    assert_int_equal(result.entry, TEST_RAM);
    assert_int_equal(result.first, TEST_RAM);
    assert_int_equal(result.last, TEST_RAM + 0x1001 + 0x3000 - 1);
    assert_true(result.is_elf && result.has_htif);
    assert_int_equal(result.tohost, TEST_RAM + 0x100);
    assert_int_equal(result.fromhost, TEST_RAM + 0x108);
    assert_int_equal(byte_at(&test, TEST_RAM), 0x40);
    assert_int_equal(byte_at(&test, TEST_RAM + 0x1ff), 0x40);
    assert_int_equal(byte_at(&test, TEST_RAM + 0x200), 0xaa);
    assert_int_equal(byte_at(&test, TEST_RAM + 0x1000), 0xaa);
    assert_int_equal(byte_at(&test, TEST_RAM + 0x1001), 0x41);
    assert_int_equal(byte_at(&test, TEST_RAM + 0x1011), 0x41);
    for (unsigned i = 0x1012; i < 0x1001 + 0x3000; i++)
        assert_int_equal(byte_at(&test, TEST_RAM + i), 0);
    assert_int_equal(byte_at(&test, TEST_RAM + 0x1001 + 0x3000), 0xaa);
    free(elf.data);
    test_space_free(&test);
}

/** The linker's default puts the headers below the text, where nothing is. */
static void headers_below_ram(void **state)
{
    const struct test_segment segment = {TEST_RAM - 0x1000, 0x1100, 0x1100};
    struct test_space test;
    struct test_elf elf = test_elf_new(&segment, 1);
    struct load_result result;
    char *error = NULL;
    (void)state;

    test_space_new(&test);
    elf.phdr[0].p_offset = 0;
    elf.header->e_entry = TEST_RAM;
    assert_int_equal(
        load_bytes(test.space, "x", elf.data, elf.size, 0, false, &result, &error), 0);
    assert_int_equal(result.first, TEST_RAM);
    assert_int_equal(result.last, TEST_RAM + 0xff);
    assert_int_equal(byte_at(&test, TEST_RAM), elf.data[0x1000]);
    free(elf.data);
    test_space_free(&test);
}

/** One way to spoil a good ELF. */
struct spoilt {
    const char *name, *reason;
    void (*spoil)(struct test_elf *elf);
};

#define SPOIL(id, body)                                                                  \
    static void id(struct test_elf *elf)                                                 \
    {                                                                                    \
        body;                                                                            \
    }
SPOIL(cut_header, elf->size = 40)
SPOIL(cut_phdr, elf->size = sizeof(Elf64_Ehdr) + 20)
SPOIL(cut_data, elf->size = elf->phdr[1].p_offset + 3; elf->header->e_shoff = 0)
SPOIL(cut_sections, elf->size = elf->header->e_shoff + 10)
SPOIL(cut_strings, elf->size -= 4)
SPOIL(other_machine, elf->header->e_machine = EM_X86_64)
SPOIL(class_32, elf->header->e_ident[EI_CLASS] = ELFCLASS32)
SPOIL(big_endian, elf->header->e_ident[EI_DATA] = ELFDATA2MSB)
SPOIL(relocatable, elf->header->e_type = ET_REL)
SPOIL(no_phdrs, elf->header->e_phnum = 0)
SPOIL(odd_phdrs, elf->header->e_phentsize = 57)
SPOIL(many_phdrs, elf->header->e_phnum = 0xfffe)
SPOIL(far_phdrs, elf->header->e_phoff = UINT64_MAX - 8)
SPOIL(nothing_to_load, elf->phdr[0].p_type = elf->phdr[1].p_type = PT_NOTE)
SPOIL(far_data, elf->phdr[0].p_offset = UINT64_MAX - 4)
SPOIL(file_beyond_memory, elf->phdr[0].p_memsz = 0x1ff)
SPOIL(wraps, elf->phdr[1].p_paddr = UINT64_MAX - 0x10; elf->phdr[1].p_memsz = 0x100)
SPOIL(huge, elf->phdr[1].p_memsz = UINT64_C(1) << 62)
SPOIL(overlapping, elf->phdr[1].p_paddr = TEST_RAM + 0x1ff)
SPOIL(below, elf->phdr[0].p_paddr = TEST_RAM - 4)
SPOIL(beyond, elf->phdr[1].p_paddr = TEST_RAM + TEST_RAM_SIZE - 0x2fff)
SPOIL(nowhere, elf->phdr[1].p_paddr = 0x40000000)
SPOIL(odd_sections, elf->header->e_shentsize = 1)
SPOIL(far_symbols, elf->shdr[1].sh_offset = UINT64_MAX - 4)
SPOIL(huge_strings, elf->shdr[2].sh_size = UINT64_MAX)

static const struct spoilt spoilt[] = {
    {"header cut", "truncated ELF", cut_header},
    {"program headers cut", "truncated ELF", cut_phdr},
    {"data cut", "truncated ELF", cut_data},
    {"section headers cut", "truncated ELF", cut_sections},
    {"strings cut", "truncated ELF", cut_strings},
    {"other machine", "not an ELF for 64-bit little-endian RISC-V", other_machine},
    {"32 bit", "not an ELF for 64-bit little-endian RISC-V", class_32},
    {"big-endian", "not an ELF for 64-bit little-endian RISC-V", big_endian},
    {"relocatable", "not an executable ELF", relocatable},
    {"no program headers", "ELF without usable program headers", no_phdrs},
    {"odd program headers", "ELF without usable program headers", odd_phdrs},
    {"many program headers", "truncated ELF", many_phdrs},
    {"far program headers", "truncated ELF", far_phdrs},
    {"nothing to load", "ELF without a segment to load", nothing_to_load},
    {"far data", "truncated ELF", far_data},
    {"file beyond memory", "ELF program header 0 is malformed", file_beyond_memory},
    {"wraps", "ELF program header 1 is malformed", wraps},
    {"huge", "0x4000000000000000 bytes at 0x80001001 do not fit into RAM", huge},
    {"overlapping", "ELF segments overlap", overlapping},
    {"below RAM", "0x200 bytes at 0x7ffffffc do not fit into RAM", below},
    {"beyond RAM", "0x3000 bytes at 0x800fd001 do not fit into RAM", beyond},
    {"nowhere", "0x3000 bytes at 0x40000000 do not fit into RAM", nowhere},
    {"odd section headers", "truncated ELF", odd_sections},
    {"far symbols", "truncated ELF", far_symbols},
    {"huge strings", "truncated ELF", huge_strings},
};

static void bad_elf_is_refused(void **state)
{
    struct test_space test;
    (void)state;

    test_space_new(&test);
    taint(&test);
    for (size_t i = 0; i < SM_ARRAY_LEN(spoilt); i++) {
        struct test_elf elf = test_elf_new(two, 2);
        struct load_result result;
        char *error = NULL, *expected;
        uint8_t *exact;
        int err;

        spoilt[i].spoil(&elf);
        exact = malloc(elf.size); /* so that a sanitizer sees a byte too far    */
        memcpy(exact, elf.data, elf.size);
        err = load_bytes(test.space, "file", exact, elf.size, 0, false, &result, &error);
        expected =
            g_strdup_printf("Cannot load specified image file: %s", spoilt[i].reason);
        if (!err || strcmp(error, expected))
            fail_msg("%s: %d, %s", spoilt[i].name, err, error ? error : "no error");
        assert_true(tainted(&test));
        g_free(error);
        g_free(expected);
        free(exact);
        free(elf.data);
    }
    test_space_free(&test);
}

/** Symbols that are not there, not both there, or not defined. */
static void symbols_are_optional(void **state)
{
    struct test_space test;
    struct load_result result;
    char *error = NULL;
    (void)state;

    test_space_new(&test);
    for (unsigned variant = 0; variant < 5; variant++) {
        struct test_elf elf = test_elf_new(two, 2);
        switch (variant) {
        case 0: elf.header->e_shoff = 0; break;
        case 1: elf.symbols[1].st_shndx = SHN_UNDEF; break;
        case 2: elf.symbols[2].st_name = 9; break;
        case 3: elf.symbols[2].st_name = UINT32_MAX; break;
        case 4: elf.shdr[1].sh_link = 7; break;
        }
        assert_int_equal(
            load_bytes(test.space, "x", elf.data, elf.size, 0, false, &result, &error),
            0);
        assert_false(result.has_htif);
        free(elf.data);
    }
    test_space_free(&test);
}

static void put64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof value);
}

static void image_needs_memory(void **state)
{
    uint8_t image[128] = {0};
    struct test_space test;
    struct load_result result;
    char *error = NULL;
    (void)state;

    test_space_new(&test);
    memset(image, 0x5a, sizeof image);
    memcpy(image, "MZ", 2); /* an EFI stub's is an Image too                    */
    put64(image + 8, 0x200000);
    memcpy(image + 56, "RSC\x05", 4);
    put64(image + 16, 0x8000);
    assert_int_equal(load_bytes(test.space, "x", image, sizeof image, TEST_RAM + 0x2000,
                                false, &result, &error),
                     0);
    assert_int_equal(result.entry, TEST_RAM + 0x2000);
    assert_int_equal(result.last, TEST_RAM + 0x2000 + 0x8000 - 1);
    assert_false(result.is_elf);
    assert_int_equal(byte_at(&test, TEST_RAM + 0x2000 + 127), 0x5a);

    put64(image + 16, TEST_RAM_SIZE - 0x2000 + 1);
    assert_int_equal(load_bytes(test.space, "x", image, sizeof image, TEST_RAM + 0x2000,
                                false, &result, &error),
                     -E2BIG);
    g_free(error);
    put64(image + 16, UINT64_MAX);
    assert_int_equal(load_bytes(test.space, "x", image, sizeof image, TEST_RAM, false,
                                &result, &error),
                     -E2BIG);
    g_free(error);
    /* Raw: the header is only bytes. */
    assert_int_equal(
        load_bytes(test.space, "x", image, sizeof image, TEST_RAM, true, &result, &error),
        0);
    test_space_free(&test);
}

static void raw_goes_anywhere_in_memory(void **state)
{
    const uint8_t bytes[16] = {1, 2, 3};
    struct test_space test;
    struct load_result result;
    char *error = NULL;
    (void)state;

    test_space_new(&test);
    assert_int_equal(load_bytes(test.space, "x", bytes, 16, TEST_RAM + TEST_RAM_SIZE - 16,
                                false, &result, &error),
                     0);
    assert_int_equal(
        load_bytes(test.space, "x", bytes, 16, TEST_ROM + 8, false, &result, &error), 0);
    assert_int_equal(byte_at(&test, TEST_ROM + 10), 3);
    assert_int_equal(load_bytes(test.space, "x", bytes, 16, TEST_RAM + TEST_RAM_SIZE - 15,
                                false, &result, &error),
                     -E2BIG);
    assert_string_equal(error,
                        "Cannot load specified image x: 0x10 bytes at 0x800ffff1 do "
                        "not fit into RAM");
    g_free(error);
    assert_int_equal(
        load_bytes(test.space, "x", bytes, 16, UINT64_MAX - 4, false, &result, &error),
        -E2BIG);
    g_free(error);
    assert_int_equal(
        load_bytes(test.space, "x", bytes, 0, TEST_RAM, false, &result, &error),
        -ENOEXEC);
    assert_string_equal(error, "Cannot load specified image x: it is empty");
    g_free(error);
    test_space_free(&test);
}

static uint8_t *gzip(const uint8_t *data, size_t size, size_t *out_size)
{
    z_stream stream = {0};
    uint8_t *out;
    assert_int_equal(
        deflateInit2(&stream, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY),
        Z_OK);
    *out_size = deflateBound(&stream, size) + 64;
    out = malloc(*out_size);
    stream.next_in = (Bytef *)(uintptr_t)data;
    stream.avail_in = (uInt)size;
    stream.next_out = out;
    stream.avail_out = (uInt)*out_size;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    *out_size = stream.total_out;
    deflateEnd(&stream);
    return out;
}

static void gzip_is_unpacked_and_bounded(void **state)
{
    const size_t fits = TEST_RAM_SIZE - 0x1000;
    uint8_t *plain = malloc(fits + 1), *packed;
    struct test_elf elf = test_elf_new(two, 2);
    struct test_space test;
    struct load_result result;
    size_t size;
    char *error = NULL;
    (void)state;

    test_space_new(&test);
    for (size_t i = 0; i <= fits; i++)
        plain[i] = (uint8_t)(i * 7 + i / 251);
    packed = gzip(plain, fits, &size);
    assert_int_equal(load_bytes(test.space, "x", packed, size, TEST_RAM + 0x1000, false,
                                &result, &error),
                     0);
    assert_int_equal(result.last, TEST_RAM + TEST_RAM_SIZE - 1);
    assert_int_equal(byte_at(&test, TEST_RAM + 0x1000 + 70000), plain[70000]);
    /* As bytes it stays what it is: an initrd is a gzip for its kernel to unpack. */
    assert_int_equal(
        load_bytes(test.space, "x", packed, size, TEST_RAM, true, &result, &error), 0);
    assert_int_equal(byte_at(&test, TEST_RAM), 0x1f);

    taint(&test);
    assert_int_equal(load_bytes(test.space, "x", packed, size - 9, TEST_RAM + 0x1000,
                                false, &result, &error),
                     -ENOEXEC);
    assert_string_equal(error, "Cannot load specified image x: truncated gzip");
    g_free(error);
    packed[size / 2] ^= 0x55;
    packed[size / 2 + 1] ^= 0x55;
    assert_true(load_bytes(test.space, "x", packed, size, TEST_RAM + 0x1000, false,
                           &result, &error) < 0);
    g_free(error);
    free(packed);

    packed = gzip(plain, fits + 1, &size);
    assert_int_equal(load_bytes(test.space, "x", packed, size, TEST_RAM + 0x1000, false,
                                &result, &error),
                     -E2BIG);
    assert_string_equal(error, "Cannot load specified image x: does not fit into RAM");
    g_free(error);
    /* Nothing there at all. */
    assert_int_equal(
        load_bytes(test.space, "x", packed, size, 0x40000000, false, &result, &error),
        -E2BIG);
    g_free(error);
    free(packed);
    assert_true(tainted(&test));

    packed = gzip(elf.data, elf.size, &size);
    assert_int_equal(
        load_bytes(test.space, "x", packed, size, TEST_RAM, false, &result, &error), 0);
    assert_true(result.is_elf);
    free(packed);
    free(elf.data);
    free(plain);
    test_space_free(&test);
}

static void files_are_named_in_errors(void **state)
{
    char path[] = "/tmp/softmmu-loader-XXXXXX";
    const int fd = mkstemp(path);
    struct test_space test;
    struct load_result result;
    char *error = NULL, *expected;
    (void)state;

    test_space_new(&test);
    assert_true(fd >= 0);
    assert_int_equal(
        load_image(test.space, "/nonexistent/x", TEST_RAM, false, &result, &error),
        -ENOENT);
    assert_string_equal(error,
                        "Cannot load specified image /nonexistent/x: No such file or "
                        "directory");
    g_free(error);
    assert_int_equal(load_image(test.space, "/tmp", TEST_RAM, false, &result, &error),
                     -EISDIR);
    g_free(error);
    assert_int_equal(load_image(test.space, path, TEST_RAM, false, &result, &error),
                     -ENOEXEC);
    expected = g_strdup_printf("Cannot load specified image %s: it is empty", path);
    assert_string_equal(error, expected);
    g_free(error);
    g_free(expected);
    assert_int_equal(write(fd, "hello", 5), 5);
    assert_int_equal(load_image(test.space, path, TEST_RAM + 3, false, &result, &error),
                     0);
    assert_int_equal(byte_at(&test, TEST_RAM + 7), 'o');
    close(fd);
    unlink(path);
    test_space_free(&test);
}

/** What reset brings back, and what overlaps. */
static void rom_set_restores(void **state)
{
    struct test_elf elf = test_elf_new(two, 2);
    struct test_space test;
    struct load_plan plan;
    struct rom_set *set;
    char *error = NULL;
    (void)state;

    test_space_new(&test);
    assert_int_equal(rom_set_new(&set), 0);
    assert_int_equal(
        load_plan_make(test.space, elf.data, elf.size, 0, LOAD_ELF, &plan, &error), 0);
    assert_int_equal(rom_set_add(set, "one", &plan, &error), 0);
    assert_int_equal(rom_set_claim(set, "two",
                                   (struct sm_range){TEST_RAM + 0x1ff, TEST_RAM + 0x1ff},
                                   &error),
                     -EEXIST);
    assert_non_null(strstr(error, "Some ROM regions are overlapping: one (addresses "
                                  "0x0000000080000000 - 0x0000000080000200) and two "));
    g_free(error);
    assert_int_equal(rom_set_claim(set, "two",
                                   (struct sm_range){TEST_RAM + 0x200, TEST_RAM + 0x1000},
                                   &error),
                     0);
    memset(elf.data, 0, elf.size); /* the set has its own copy                  */
    load_plan_fini(&plan);
    for (unsigned round = 0; round < 2; round++) {
        taint(&test);
        assert_int_equal(rom_set_write(set, test.space, &error), 0);
        assert_int_equal(byte_at(&test, TEST_RAM + 0x1ff), 0x40);
        assert_int_equal(byte_at(&test, TEST_RAM + 0x200), 0xaa);
        assert_int_equal(byte_at(&test, TEST_RAM + 0x1001), 0x41);
        assert_int_equal(byte_at(&test, TEST_RAM + 0x1012), 0);
    }
    rom_set_free(set);
    free(elf.data);
    test_space_free(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elf_is_loaded),
        cmocka_unit_test(headers_below_ram),
        cmocka_unit_test(bad_elf_is_refused),
        cmocka_unit_test(symbols_are_optional),
        cmocka_unit_test(image_needs_memory),
        cmocka_unit_test(raw_goes_anywhere_in_memory),
        cmocka_unit_test(gzip_is_unpacked_and_bounded),
        cmocka_unit_test(files_are_named_in_errors),
        cmocka_unit_test(rom_set_restores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
