/* SPDX-License-Identifier: MIT */
/* print_code.c - host code as instructions, or where nobody knows them as bytes. */
#include "jit/jit.h"

#include <inttypes.h>

#ifdef JIT_CAPSTONE
#include <capstone/capstone.h>

/** Returns how many bytes of it were instructions. */
static size_t print_instructions(const uint8_t *code, size_t size, FILE *to)
{
#ifdef __x86_64__
    const cs_arch arch = CS_ARCH_X86;
    const cs_mode mode = CS_MODE_64;
#else
    const cs_arch arch = CS_ARCH_ARM64;
    const cs_mode mode = CS_MODE_ARM;
#endif
    uint64_t address = (uintptr_t)code;
    const uint8_t *at = code;
    cs_insn *insn;
    csh handle;

    if (cs_open(arch, mode, &handle) != CS_ERR_OK)
        return 0;
    insn = cs_malloc(handle);
    while (insn && cs_disasm_iter(handle, &at, &size, &address, insn)) {
        fprintf(to, "0x%" PRIx64 ":  ", insn->address);
        for (unsigned i = 0; i < insn->size; i++)
            fprintf(to, "%02x", insn->bytes[i]);
        fprintf(to, "%*s  %s %s\n", insn->size < 12 ? 2 * (12 - insn->size) : 0, "",
                insn->mnemonic, insn->op_str);
    }
    if (insn)
        cs_free(insn, 1);
    cs_close(&handle);
    return (size_t)(at - code);
}
#else
static size_t print_instructions(const uint8_t *code, size_t size, FILE *to)
{
    return 0;
}
#endif

void jit_print_code(const void *code, size_t size, FILE *to)
{
    enum { ROW = 16 };
    const uint8_t *const bytes = code;

    for (size_t n = print_instructions(code, size, to); n < size; n += ROW) {
        fprintf(to, "0x%" PRIxPTR ":  ", (uintptr_t)bytes + n);
        for (size_t i = n; i < size && i < n + ROW; i++)
            fprintf(to, "%02x", bytes[i]);
        fputc('\n', to);
    }
}
