/* SPDX-License-Identifier: MIT */
/* hostmem.c - maps anonymous host memory, in huge pages where it can. */
#include "base/hostmem.h"

#include "base/bits.h"

#include <sys/mman.h>
#include <unistd.h>

#define HUGE_SIZE (UINT64_C(1) << 21)

static uint64_t page_rounded(uint64_t size)
{
    return sm_align_up(size, (uint64_t)sysconf(_SC_PAGESIZE));
}

void *sm_hostmem_map(uint64_t size)
{
    const uint64_t rounded = page_rounded(size);
    const uint64_t slack = rounded >= HUGE_SIZE ? HUGE_SIZE : 0;

    if (!size || rounded < size || rounded + slack < rounded ||
        rounded + slack > (uint64_t)PTRDIFF_MAX)
        return NULL;
    uint8_t *host = mmap(NULL, rounded + slack, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (host == MAP_FAILED)
        return NULL;
    if (slack) {
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

void sm_hostmem_unmap(void *host, uint64_t size)
{
    munmap(host, page_rounded(size));
}
