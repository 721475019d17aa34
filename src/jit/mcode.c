/* SPDX-License-Identifier: MIT */
/* mcode.c - memory for generated code: one memory file, mapped twice. */
#include "jit/mcode.h"

#include "base/base.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif

/* Returns a file of @size bytes, or a negative error. */
static int memory_file(size_t size, const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_EXEC);

    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 they all were executable */
        fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)size) != 0) {
        const int error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

int jit_mcode_map(struct jit_mcode *code, size_t size, const char *name)
{
    const int fd = memory_file(size, name);
    int error = 0;

    if (fd < 0)
        return fd == -EPERM ? -EACCES : fd == -EACCES ? fd : -ENOMEM;
    uint8_t *write = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    uint8_t *run = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    if (run == MAP_FAILED)
        error = errno == EPERM || errno == EACCES ? -EACCES : -ENOMEM;
    else if (write == MAP_FAILED)
        error = -ENOMEM;
    close(fd); /* the mappings hold it */
    if (error) {
        if (write != MAP_FAILED)
            munmap(write, size);
        if (run != MAP_FAILED)
            munmap(run, size);
        return error;
    }
    /* Saves the host's instruction TLB, where it has large pages for such memory. */
    (void)madvise(run, size, MADV_HUGEPAGE);
    (void)madvise(write, size, MADV_HUGEPAGE);
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
