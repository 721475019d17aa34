/* SPDX-License-Identifier: MIT */
/* hostmem.c - maps host memory: anonymous, in huge pages where it can, and of files. */
#include "base/hostmem.h"

#include "base/bits.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HUGE_SIZE (UINT64_C(1) << 21)

static uint64_t page_rounded(uint64_t size)
{
    return sm_align_up(size, (uint64_t)sysconf(_SC_PAGESIZE));
}

/** Map @size bytes, rounded up, and @slack more; NULL if that cannot be. */
static uint8_t *map_private(uint64_t size, uint64_t slack)
{
    const uint64_t rounded = page_rounded(size);

    if (!size || rounded < size || rounded + slack < rounded ||
        rounded + slack > (uint64_t)PTRDIFF_MAX)
        return NULL;
    uint8_t *host = mmap(NULL, rounded + slack, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return host == MAP_FAILED ? NULL : host;
}

void *sm_hostmem_arena(uint64_t size)
{
    uint8_t *host = map_private(size, 0);

    if (host)
        madvise(host, page_rounded(size), MADV_NOHUGEPAGE); /* where they are the rule */
    return host;
}

void *sm_hostmem_map(uint64_t size)
{
    const uint64_t rounded = page_rounded(size);
    const uint64_t slack = rounded >= HUGE_SIZE ? HUGE_SIZE : 0;
    uint8_t *host = map_private(size, slack);

    if (host && slack) {
        uint8_t *aligned = (uint8_t *)sm_align_up((uintptr_t)host, HUGE_SIZE);
        const size_t before = (size_t)(aligned - host);
        if (before)
            munmap(host, before);
        if (slack - before)
            munmap(aligned + rounded, slack - before);
        host = aligned;
        madvise(host, rounded, MADV_HUGEPAGE); /* a wish; not all hosts have them */
    }
    return host;
}

int sm_hostmem_shared(uint64_t size, int *fd)
{
    const uint64_t rounded = page_rounded(size);

    if (rounded < size || rounded > (uint64_t)PTRDIFF_MAX)
        return -ENOMEM;
    const int made = memfd_create("softmmu", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (made < 0)
        return -errno;
    if (ftruncate(made, (off_t)rounded) != 0 ||
        fcntl(made, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        const int error = -errno;
        close(made);
        return error;
    }
    *fd = made;
    return 0;
}

int sm_hostmem_map_file(int fd, uint64_t offset, uint64_t size, bool shared, void **host)
{
    struct stat status;

    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size < 0 ||
        offset != page_rounded(offset) || offset > (uint64_t)status.st_size ||
        size > (uint64_t)status.st_size - offset)
        return -EINVAL;
    void *mapped = mmap(NULL, page_rounded(size), PROT_READ | PROT_WRITE,
                        shared ? MAP_SHARED : MAP_PRIVATE, fd, (off_t)offset);
    if (mapped == MAP_FAILED)
        return errno == EACCES ? -EACCES : -ENOMEM;
    *host = mapped;
    return 0;
}

void sm_hostmem_close(int fd)
{
    close(fd);
}

void sm_hostmem_unmap(void *host, uint64_t size)
{
    if (host)
        munmap(host, page_rounded(size));
}
