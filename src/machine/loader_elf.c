/* SPDX-License-Identifier: MIT */
/* loader_elf.c - reads an ELF file for 64-bit RISC-V: segments, entry, HTIF symbols.
 *
 * Every offset, size and index comes from the file and is checked before it is used.
 * Whether a segment meets memory is load_plan_make()'s question.
 *
 * Source: System V ABI, "Object Files" and "Program Loading"; RISC-V ELF psABI.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "machine/board.h"

#ifndef EM_RISCV
#define EM_RISCV 243
#endif

/** Whether @n elements of @each bytes from @offset on lie within @size bytes. */
static bool within(uint64_t offset, uint64_t n, uint64_t each, uint64_t size)
{
    return offset <= size && n <= (size - offset) / each;
}

static int check_header(const uint8_t *data, size_t size, Elf64_Ehdr *header,
                        char **error)
{
    if (size < sizeof *header)
        return machine_fail(error, ENOEXEC, "truncated ELF");
    memcpy(header, data, sizeof *header);
    if (header->e_ident[EI_CLASS] != ELFCLASS64 ||
        header->e_ident[EI_DATA] != ELFDATA2LSB || header->e_machine != EM_RISCV)
        return machine_fail(error, ENOEXEC, "not an ELF for 64-bit little-endian RISC-V");
    if (header->e_ident[EI_VERSION] != EV_CURRENT ||
        (header->e_type != ET_EXEC && header->e_type != ET_DYN))
        return machine_fail(error, ENOEXEC, "not an executable ELF");
    if (!header->e_phnum || header->e_phnum == PN_XNUM ||
        header->e_phentsize != sizeof(Elf64_Phdr))
        return machine_fail(error, ENOEXEC, "ELF without usable program headers");
    if (!within(header->e_phoff, header->e_phnum, sizeof(Elf64_Phdr), size))
        return machine_fail(error, ENOEXEC, "truncated ELF");
    return 0;
}

static int compare_segments(const void *a, const void *b)
{
    const struct load_segment *one = a, *other = b;
    return one->gpa < other->gpa ? -1 : one->gpa > other->gpa;
}

static int read_segments(const uint8_t *data, size_t size, const Elf64_Ehdr *header,
                         struct load_plan *plan, char **error)
{
    plan->segments = g_try_new(struct load_segment, header->e_phnum);
    if (!plan->segments)
        return machine_fail(error, ENOMEM, "%s", g_strerror(ENOMEM));
    for (unsigned i = 0; i < header->e_phnum; i++) {
        Elf64_Phdr phdr;
        memcpy(&phdr, data + header->e_phoff + i * sizeof phdr, sizeof phdr);
        if (phdr.p_type != PT_LOAD || !phdr.p_memsz)
            continue;
        if (!within(phdr.p_offset, phdr.p_filesz, 1, size))
            return machine_fail(error, ENOEXEC, "truncated ELF");
        if (phdr.p_filesz > phdr.p_memsz ||
            phdr.p_paddr + (phdr.p_memsz - 1) < phdr.p_paddr)
            return machine_fail(error, ENOEXEC, "ELF program header %u is malformed", i);
        plan->segments[plan->n_segments++] =
            (struct load_segment){.gpa = phdr.p_paddr,
                                  .size = phdr.p_memsz,
                                  .data = data + phdr.p_offset,
                                  .data_size = phdr.p_filesz};
    }
    if (!plan->n_segments)
        return machine_fail(error, ENOEXEC, "ELF without a segment to load");
    qsort(plan->segments, plan->n_segments, sizeof plan->segments[0], compare_segments);
    for (unsigned i = 1; i < plan->n_segments; i++) {
        const struct load_segment *before = &plan->segments[i - 1];
        if (before->gpa + (before->size - 1) >= plan->segments[i].gpa)
            return machine_fail(error, ENOEXEC, "ELF segments overlap");
    }
    return 0;
}

/** Whether the string at @at of @table is @name, its end included. */
static bool name_is(const uint8_t *table, uint64_t table_size, uint64_t at,
                    const char *name)
{
    const size_t n = strlen(name) + 1;
    return at <= table_size && n <= table_size - at && !memcmp(table + at, name, n);
}

static void read_symbols(const uint8_t *data, const Elf64_Shdr *symbols,
                         const Elf64_Shdr *strings, struct load_result *out)
{
    const uint8_t *table = data + strings->sh_offset;
    bool has_tohost = false, has_fromhost = false;

    for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= symbols->sh_size;
         at += sizeof(Elf64_Sym)) {
        Elf64_Sym symbol;
        memcpy(&symbol, data + symbols->sh_offset + at, sizeof symbol);
        if (symbol.st_shndx == SHN_UNDEF)
            continue;
        if (name_is(table, strings->sh_size, symbol.st_name, "tohost")) {
            out->tohost = symbol.st_value;
            has_tohost = true;
        } else if (name_is(table, strings->sh_size, symbol.st_name, "fromhost")) {
            out->fromhost = symbol.st_value;
            has_fromhost = true;
        }
    }
    out->has_htif = out->has_htif || (has_tohost && has_fromhost);
}

/** Find the symbol tables.  A file without section headers simply has none. */
static int read_sections(const uint8_t *data, size_t size, const Elf64_Ehdr *header,
                         struct load_result *out, char **error)
{
    Elf64_Shdr symbols, strings;

    if (!header->e_shoff || !header->e_shnum)
        return 0;
    if (header->e_shentsize != sizeof(Elf64_Shdr) ||
        !within(header->e_shoff, header->e_shnum, sizeof(Elf64_Shdr), size))
        return machine_fail(error, ENOEXEC, "truncated ELF");
    for (unsigned i = 0; i < header->e_shnum; i++) {
        memcpy(&symbols, data + header->e_shoff + i * sizeof symbols, sizeof symbols);
        if (symbols.sh_type != SHT_SYMTAB || symbols.sh_link >= header->e_shnum)
            continue;
        memcpy(&strings, data + header->e_shoff + symbols.sh_link * sizeof strings,
               sizeof strings);
        if (!within(symbols.sh_offset, symbols.sh_size, 1, size) ||
            !within(strings.sh_offset, strings.sh_size, 1, size))
            return machine_fail(error, ENOEXEC, "truncated ELF");
        read_symbols(data, &symbols, &strings, out);
    }
    return 0;
}

int load_elf_parse(const uint8_t *data, size_t size, struct load_plan *plan, char **error)
{
    Elf64_Ehdr header;
    int err = check_header(data, size, &header, error);

    if (err)
        return err;
    plan->result.entry = header.e_entry;
    plan->result.is_elf = true;
    err = read_segments(data, size, &header, plan, error);
    if (!err)
        err = read_sections(data, size, &header, &plan->result, error);
    return err;
}
