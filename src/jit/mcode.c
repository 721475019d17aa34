/* SPDX-License-Identifier: MIT */
/* mcode.c - memory for generated code: anonymous shared memory, mapped twice.
 *
 * A memory file would do as well, but for perf, which looks into its map of symbols only
 * for memory that it takes for anonymous.
 */
#include "jit/mcode.h"

#include "base/base.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA           0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

int jit_mcode_map(struct jit_mcode *code, size_t size, const char *name)
{
    uint8_t *write = mmap(NULL, size, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (write == MAP_FAILED)
        return -ENOMEM;
    /* Moving none of it maps it once more. */
    uint8_t *run = mremap(write, 0, size, MREMAP_MAYMOVE);
    if (run == MAP_FAILED) {
        munmap(write, size);
        return -ENOMEM;
    }
    if (mprotect(run, size, PROT_READ | PROT_EXEC) != 0) {
        const int error = errno == ENOMEM ? -ENOMEM : -EACCES;
        munmap(run, size);
        munmap(write, size);
        return error;
    }
    /* Large pages save the host's instruction TLB, where it has them for such memory. */
    (void)madvise(run, size, MADV_HUGEPAGE);
    (void)madvise(write, size, MADV_HUGEPAGE);
    /* Since Linux 6.2.  Not the other one: perf, attached later, would not know it. */
    (void)prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, write, size, name);
    *code = (struct jit_mcode){.write = write, .run = run, .size = size};
    return 0;
}

void jit_mcode_unmap(struct jit_mcode *code)
{
    if (code->write) {
        munmap(code->write, code->size);
        munmap(code->run, code->size);
    }
    *code = (struct jit_mcode){0};
}

void jit_mcode_reset(struct jit_mcode *code, size_t keep)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t from = (keep + page - 1) & ~(page - 1);

    sm_assert(keep <= code->size);
    /* What is forgotten reads 0 again, like what was never used. */
    memset(code->write + keep, 0, SM_MIN(from, code->size) - keep);
    if (from < code->size)
        (void)madvise(code->write + from, code->size - from, MADV_REMOVE);
    code->used = keep;
}

void jit_mcode_publish(const struct jit_mcode *code, const void *write, size_t size)
{
    char *run = (char *)(uintptr_t)jit_mcode_run(code, write);

    __builtin___clear_cache(run, run + size);
}
