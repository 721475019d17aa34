/* SPDX-License-Identifier: MIT */
/* machine_test.h - what tests of the machine layer share: a small address space, and
 * ELF files made to order. */
#ifndef TESTS_MACHINE_TEST_H
#define TESTS_MACHINE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "machine/board.h"

#ifndef EM_RISCV
#define EM_RISCV 243
#endif

/** Spaces of tests: RAM of 1 MiB at TEST_RAM, ROM of one page at TEST_ROM. */
enum { TEST_RAM_SIZE = 1 << 20, TEST_ROM_SIZE = 4096 };
#define TEST_RAM UINT64_C(0x80000000)
#define TEST_ROM UINT64_C(0x1000)

static const struct sm_attrs test_attrs = {.process = SM_NO_PROCESS,
                                           .flags = SM_ATTR_DEBUG};

struct test_space {
    struct sm_topology *topo;
    struct sm_region *root, *ram, *rom;
    struct sm_address_space *space;
};

static inline void test_space_new(struct test_space *test)
{
    static const struct sm_owner_ops ops = {.struct_size = sizeof ops};
    assert_int_equal(sm_topology_new(&ops, NULL, &test->topo), 0);
    sm_topology_begin(test->topo);
    assert_int_equal(sm_region_new(test->topo, "root", UINT64_MAX, &test->root), 0);
    assert_int_equal(sm_region_new_ram(test->topo, "ram", TEST_RAM_SIZE, &test->ram), 0);
    assert_int_equal(sm_region_new_rom(test->topo, "rom", TEST_ROM_SIZE, &test->rom), 0);
    assert_int_equal(sm_region_map(test->root, TEST_RAM, test->ram, 0), 0);
    assert_int_equal(sm_region_map(test->root, TEST_ROM, test->rom, 0), 0);
    assert_int_equal(sm_address_space_new(test->topo, "test", test->root, &test->space),
                     0);
    assert_int_equal(sm_topology_commit(test->topo, NULL), 0);
}

static inline void test_space_free(struct test_space *test)
{
    sm_topology_free(test->topo);
}

/** One program header for test_elf(). */
struct test_segment {
    uint64_t addr, file_size, mem_size;
};

struct test_elf {
    uint8_t *data;
    size_t size;
    Elf64_Ehdr *header; /* into .data, as are the others                       */
    Elf64_Phdr *phdr;
    Elf64_Shdr *shdr;   /* null, symtab, strtab                                */
    Elf64_Sym *symbols; /* null, tohost, fromhost                              */
};

/** Make a good ELF; every segment's bytes are 0x40 + its number. */
static inline struct test_elf test_elf_new(const struct test_segment *segments,
                                           unsigned n)
{
    static const char names[] = "\0tohost\0fromhost";
    struct test_elf elf = {.size = sizeof(Elf64_Ehdr) + n * sizeof(Elf64_Phdr)};
    const size_t headers = elf.size;
    size_t at = headers, sections;

    for (unsigned i = 0; i < n; i++)
        elf.size += segments[i].file_size;
    sections = (elf.size + 7) & ~(size_t)7;
    elf.size = sections + 3 * sizeof(Elf64_Shdr) + 3 * sizeof(Elf64_Sym) + sizeof names;
    elf.data = calloc(1, elf.size);
    assert_non_null(elf.data);
    elf.header = (Elf64_Ehdr *)(void *)elf.data;
    elf.phdr = (Elf64_Phdr *)(void *)(elf.data + sizeof(Elf64_Ehdr));
    elf.shdr = (Elf64_Shdr *)(void *)(elf.data + sections);
    elf.symbols = (Elf64_Sym *)(void *)(elf.shdr + 3);
    memcpy(elf.symbols + 3, names, sizeof names);
    *elf.header = (Elf64_Ehdr){.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
                                           ELFDATA2LSB, EV_CURRENT},
                               .e_type = ET_EXEC,
                               .e_machine = EM_RISCV,
                               .e_version = EV_CURRENT,
                               .e_entry = segments[0].addr,
                               .e_phoff = sizeof(Elf64_Ehdr),
                               .e_shoff = sections,
                               .e_ehsize = sizeof(Elf64_Ehdr),
                               .e_phentsize = sizeof(Elf64_Phdr),
                               .e_phnum = (uint16_t)n,
                               .e_shentsize = sizeof(Elf64_Shdr),
                               .e_shnum = 3};
    for (unsigned i = 0; i < n; i++) {
        elf.phdr[i] = (Elf64_Phdr){.p_type = PT_LOAD,
                                   .p_offset = at,
                                   .p_vaddr = segments[i].addr,
                                   .p_paddr = segments[i].addr,
                                   .p_filesz = segments[i].file_size,
                                   .p_memsz = segments[i].mem_size};
        memset(elf.data + at, 0x40 + (int)i, segments[i].file_size);
        at += segments[i].file_size;
    }
    elf.shdr[1] = (Elf64_Shdr){.sh_type = SHT_SYMTAB,
                               .sh_link = 2,
                               .sh_offset = sections + 3 * sizeof(Elf64_Shdr),
                               .sh_size = 3 * sizeof(Elf64_Sym),
                               .sh_entsize = sizeof(Elf64_Sym)};
    elf.shdr[2] = (Elf64_Shdr){.sh_type = SHT_STRTAB,
                               .sh_offset = elf.shdr[1].sh_offset + elf.shdr[1].sh_size,
                               .sh_size = sizeof names};
    elf.symbols[1] =
        (Elf64_Sym){.st_name = 1, .st_shndx = 1, .st_value = TEST_RAM + 0x100};
    elf.symbols[2] =
        (Elf64_Sym){.st_name = 8, .st_shndx = 1, .st_value = TEST_RAM + 0x108};
    return elf;
}

#endif
