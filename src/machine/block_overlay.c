/* SPDX-License-Identifier: MIT */
/* block_overlay.c - keeps what snapshot=on writes in a temporary file that vanishes.
 *
 * The overlay is as long as the image and sparse.  A bit per cluster says that the
 * whole cluster lives there; else it is the base's.  A cluster becomes the overlay's
 * under the lock of its stripe, its bit last, so that one who sees the bit may read
 * and write it without any lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/bits.h"
#include "machine/block_impl.h"

enum { CLUSTER_BITS = 16, CLUSTER = 1 << CLUSTER_BITS, STRIPES = 16 };

struct block_overlay {
    int base, fd;
    uint64_t size;
    uint64_t *present; /* bit n: cluster n                                     */
    pthread_mutex_t stripe[STRIPES];
};

/* Where the request stands: the rest of its vectors. */
struct cursor {
    const struct iovec *iov;
    size_t used; /* bytes of *iov                                              */
    struct iovec *part;
};

static int open_temporary(char **error)
{
    const char *given = getenv("TMPDIR");
    const char *directory = given && *given ? given : "/var/tmp";
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0) {
        char *name = g_strdup_printf("%s/softmmu.XXXXXX", directory);

        fd = g_mkstemp_full(name, O_RDWR | O_CLOEXEC, 0600);
        if (fd >= 0)
            unlink(name);
        g_free(name);
    }
    if (fd < 0) {
        fd = -errno;
        *error = g_strdup_printf("Could not create a temporary file in '%s': %s",
                                 directory, g_strerror(-fd));
    }
    return fd;
}

int block_overlay_new(int base, uint64_t size, struct block_overlay **out, char **error)
{
    const uint64_t n_clusters = (size >> CLUSTER_BITS) + 1;
    struct block_overlay *overlay;
    const int fd = open_temporary(error);

    if (fd < 0)
        return fd;
    overlay = g_new0(struct block_overlay, 1);
    overlay->present = g_try_new0(uint64_t, n_clusters / 64 + 1);
    if (!overlay->present) {
        *error = g_strdup("Could not create a temporary file: Cannot allocate memory");
        close(fd);
        g_free(overlay);
        return -ENOMEM;
    }
    overlay->base = base;
    overlay->fd = fd;
    overlay->size = size;
    for (unsigned i = 0; i < STRIPES; i++)
        pthread_mutex_init(&overlay->stripe[i], NULL);
    *out = overlay;
    return 0;
}

void block_overlay_free(struct block_overlay *overlay)
{
    if (!overlay)
        return;
    for (unsigned i = 0; i < STRIPES; i++)
        pthread_mutex_destroy(&overlay->stripe[i]);
    close(overlay->fd);
    g_free(overlay->present);
    g_free(overlay);
}

static bool is_present(const struct block_overlay *overlay, uint64_t cluster)
{
    /* Acquire: pairs with the release in set_present(), after the data. */
    return (sm_load_acquire(&overlay->present[cluster / 64]) >> (cluster % 64)) & 1;
}

static void set_present(struct block_overlay *overlay, uint64_t cluster)
{
    sm_fetch_or(&overlay->present[cluster / 64], UINT64_C(1) << (cluster % 64));
}

/* Take the next @size bytes of @cursor as vectors of cursor->part. */
static unsigned take(struct cursor *cursor, uint64_t size)
{
    unsigned n = 0;

    while (size) {
        const size_t left = cursor->iov->iov_len - cursor->used;
        const size_t length = left < size ? left : (size_t)size;

        if (length)
            cursor->part[n++] = (struct iovec){
                (char *)cursor->iov->iov_base + cursor->used, length};
        size -= length;
        cursor->used += length;
        if (cursor->used == cursor->iov->iov_len) {
            cursor->iov++;
            cursor->used = 0;
        }
    }
    return n;
}

/* Bring the parts of @cluster that [first, end) leaves out over from the base. */
static int copy_around(struct block_overlay *overlay, uint64_t cluster, uint64_t first,
                       uint64_t end)
{
    const uint64_t begin = cluster << CLUSTER_BITS;
    const uint64_t past = SM_MIN(begin + CLUSTER, overlay->size);
    const uint64_t part[2][2] = {{begin, first}, {end, past}};
    int result = 0;
    void *buffer;

    if (begin == first && past == end)
        return 0;
    buffer = malloc(CLUSTER);
    if (!buffer)
        return -ENOMEM;
    for (unsigned i = 0; i < 2 && !result; i++) {
        const size_t size = (size_t)(part[i][1] - part[i][0]);
        struct iovec iov = {buffer, size};

        if (!size)
            continue;
        result = block_transfer(overlay->base, false, part[i][0], &iov, 1);
        iov = (struct iovec){buffer, size};
        if (!result)
            result = block_transfer(overlay->fd, true, part[i][0], &iov, 1);
    }
    free(buffer);
    return result;
}

static int write_cluster(struct block_overlay *overlay, uint64_t cluster, uint64_t first,
                         uint64_t end, struct iovec *iov, unsigned n_iov)
{
    pthread_mutex_t *stripe = &overlay->stripe[cluster % STRIPES];
    int result;

    if (is_present(overlay, cluster))
        return block_transfer(overlay->fd, true, first, iov, n_iov);
    pthread_mutex_lock(stripe);
    if (is_present(overlay, cluster)) {
        result = block_transfer(overlay->fd, true, first, iov, n_iov);
    } else {
        result = copy_around(overlay, cluster, first, end);
        if (!result)
            result = block_transfer(overlay->fd, true, first, iov, n_iov);
        if (!result)
            set_present(overlay, cluster);
    }
    pthread_mutex_unlock(stripe);
    return result;
}

int block_overlay_run(struct block_overlay *overlay, struct block_io *io)
{
    struct cursor cursor = {.iov = io->iov, .part = g_new(struct iovec, io->n_iov)};
    uint64_t at = io->offset, end = at;
    int result = 0;

    for (unsigned i = 0; i < io->n_iov; i++)
        end += io->iov[i].iov_len;
    while (at < end && !result) {
        uint64_t cluster = at >> CLUSTER_BITS;
        uint64_t stop = SM_MIN((cluster + 1) << CLUSTER_BITS, end);

        if (io->op == DEV_BLK_WRITE) {
            const unsigned n = take(&cursor, stop - at);

            result = write_cluster(overlay, cluster, at, stop, cursor.part, n);
        } else {
            /* As far as the clusters live in the same file. */
            const bool present = is_present(overlay, cluster);
            unsigned n;

            while (stop < end && is_present(overlay, ++cluster) == present)
                stop = SM_MIN((cluster + 1) << CLUSTER_BITS, end);
            n = take(&cursor, stop - at);
            result = block_transfer(present ? overlay->fd : overlay->base, false, at,
                                    cursor.part, n);
        }
        at = stop;
    }
    g_free(cursor.part);
    return result;
}
