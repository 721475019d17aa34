/* SPDX-License-Identifier: MIT */
/* block.c - opens raw images and takes a device's requests from begin to end. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bits.h"
#include "machine/block_impl.h"

enum {
    SECTOR = 512,
    DIRECT_PAGE = 4096,             /* alignment that every O_DIRECT file takes */
    BOUNCE_MAX = 16 * 1024 * 1024   /* larger unaligned requests go buffered    */
};

/* Bytes that hold locks, where QEMU has them, so that the two programs respect each
 * other: a shared lock at USED + n says "I do n", at KEPT + n "nobody else may". */
enum { BYTE_USED = 100, BYTE_KEPT = 200, BYTE_READ = 0, BYTE_WRITE = 1 };

struct block {
    struct dev_blk table;
    int fd;
    int direct_fd;          /* the same file with O_DIRECT, or -1              */
    unsigned direct_align;  /* of offset, size and memory; a power of two      */
    bool no_flush;
    struct block_overlay *overlay;
    struct block_engine *engine;
    pthread_mutex_t lock;   /* covers what follows                             */
    pthread_cond_t idle;
    unsigned n_under_way;
};

/* --- Transfers ------------------------------------------------------------------ */

static void iov_skip(struct iovec **iov, unsigned *n_iov, size_t n)
{
    while (*n_iov && n >= (*iov)->iov_len) {
        n -= (*iov)->iov_len;
        ++*iov;
        --*n_iov;
    }
    if (n) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + n;
        (*iov)->iov_len -= n;
    }
}

static void iov_zero(struct iovec *iov, unsigned n_iov)
{
    for (unsigned i = 0; i < n_iov; i++)
        memset(iov[i].iov_base, 0, iov[i].iov_len);
}

int block_transfer(int fd, bool write, uint64_t offset, struct iovec *iov, unsigned n_iov)
{
    iov_skip(&iov, &n_iov, 0);
    while (n_iov) {
        const int count = (int)SM_MIN(n_iov, (unsigned)IOV_MAX);
        const ssize_t moved = write ? pwritev(fd, iov, count, (off_t)offset)
                                    : preadv(fd, iov, count, (off_t)offset);
        if (moved < 0) {
            if (errno == EINTR || errno == EAGAIN)
                continue;
            return -errno;
        }
        if (moved == 0) {
            if (write)
                return -EIO;
            iov_zero(iov, n_iov);
            return 0;
        }
        offset += (uint64_t)moved;
        iov_skip(&iov, &n_iov, (size_t)moved);
    }
    return 0;
}

bool block_io_advance(struct block_io *io, size_t n)
{
    if (n == 0) {
        iov_zero(io->iov, io->n_iov);
        io->n_iov = 0;
    }
    io->offset += n;
    iov_skip(&io->iov, &io->n_iov, n);
    return io->n_iov == 0;
}

int block_io_run(struct block_io *io)
{
    if (io->immediate)
        return io->error;
    if (io->block->overlay)
        return block_overlay_run(io->block->overlay, io);
    if (io->op == DEV_BLK_FLUSH) {
        while (fdatasync(io->fd) < 0) {
            if (errno != EINTR)
                return -errno;
        }
        return 0;
    }
    return block_transfer(io->fd, io->op == DEV_BLK_WRITE, io->offset, io->iov,
                          io->n_iov);
}

/* --- Requests ------------------------------------------------------------------- */

/* Copy between a request's memory and its aligned copy. */
static void copy_bounce(const struct dev_blk_request *request, char *bounce, bool out)
{
    for (unsigned i = 0; i < request->n_iov; i++) {
        const struct iovec *iov = &request->iov[i];

        if (out)
            memcpy(iov->iov_base, bounce, iov->iov_len);
        else
            memcpy(bounce, iov->iov_base, iov->iov_len);
        bounce += iov->iov_len;
    }
}

void block_io_done(struct block_io *io, int error)
{
    struct block *block = io->block;
    struct dev_blk_request *request = io->request;

    if (io->bounce) {
        if (!error && io->op == DEV_BLK_READ)
            copy_bounce(request, io->bounce, true);
        free(io->bounce);
    }
    g_free(io);
    request->done(request, error);
    /* Only now: drain() promises that done() has returned. */
    pthread_mutex_lock(&block->lock);
    if (--block->n_under_way == 0)
        pthread_cond_broadcast(&block->idle);
    pthread_mutex_unlock(&block->lock);
}

/* Choose between the two descriptors, with a copy where only memory is unaligned. */
static int prepare_direct(struct block *block, struct block_io *io, uint64_t size)
{
    const uint64_t align = block->direct_align;
    uint64_t memory = 0;

    if (((io->offset | size) & (align - 1)) || size == 0)
        return 0; /* O_DIRECT cannot; the page cache can, and is kept coherent */
    for (unsigned i = 0; i < io->n_iov; i++)
        memory |= (uintptr_t)io->iov[i].iov_base | io->iov[i].iov_len;
    if (memory & (align - 1)) {
        if (size > BOUNCE_MAX)
            return 0;
        if (posix_memalign(&io->bounce, DIRECT_PAGE, size))
            return -ENOMEM;
        if (io->op == DEV_BLK_WRITE)
            copy_bounce(io->request, io->bounce, false);
        io->n_iov = 1;
        io->iov[0] = (struct iovec){io->bounce, size};
    }
    io->fd = block->direct_fd;
    return 0;
}

static int prepare(struct block *block, struct block_io *io)
{
    uint64_t size = 0;

    if (io->op == DEV_BLK_FLUSH) {
        io->immediate = block->no_flush || block->overlay || block->table.readonly;
        return 0;
    }
    for (unsigned i = 0; i < io->n_iov; i++) {
        if (io->iov[i].iov_len > block->table.size - size)
            return -EINVAL;
        size += io->iov[i].iov_len;
    }
    if (io->offset > block->table.size - size)
        return -EINVAL;
    if (io->op == DEV_BLK_WRITE && block->table.readonly)
        return -EROFS;
    iov_skip(&io->iov, &io->n_iov, 0);
    if (io->n_iov == 0)
        io->immediate = true;
    return block->direct_fd >= 0 ? prepare_direct(block, io, size) : 0;
}

static void block_submit(void *opaque, struct dev_blk_request *request)
{
    struct block *block = opaque;
    const unsigned n_iov = request->op == DEV_BLK_FLUSH ? 0 : request->n_iov;
    struct block_io *io = g_malloc(sizeof(*io) + n_iov * sizeof(io->store[0]));

    *io = (struct block_io){.block = block,
                            .request = request,
                            .op = request->op,
                            .fd = block->fd,
                            .offset = request->offset,
                            .iov = io->store,
                            .n_iov = n_iov};
    if (n_iov)
        memcpy(io->store, request->iov, n_iov * sizeof(io->store[0]));
    io->error = prepare(block, io);
    if (io->error)
        io->immediate = true;
    pthread_mutex_lock(&block->lock);
    block->n_under_way++;
    pthread_mutex_unlock(&block->lock);
    block->engine->ops->submit(block->engine, io);
}

static void block_drain(void *opaque)
{
    struct block *block = opaque;

    pthread_mutex_lock(&block->lock);
    while (block->n_under_way)
        pthread_cond_wait(&block->idle, &block->lock);
    pthread_mutex_unlock(&block->lock);
}

/* --- Opening -------------------------------------------------------------------- */

static int open_error(const char *file, int error, char **message)
{
    if (error == EISDIR || error == ENXIO)
        *message =
            g_strdup_printf("'file' driver requires '%s' to be a regular file", file);
    else
        *message = g_strdup_printf("Could not open '%s': %s", file, g_strerror(error));
    return -error;
}

/* Open and learn the size.  @flags without access mode. */
static int open_image(const struct machine_drive *drive, bool writable, int *fd,
                      uint64_t *size, char **error)
{
    const int flags = O_CLOEXEC | (writable ? O_RDWR : O_RDONLY) |
                      (drive->writethrough && writable ? O_DSYNC : 0);
    struct stat stat;
    int result;

    /* O_NONBLOCK: a pipe given by mistake must not hang the start. */
    *fd = open(drive->file, flags | O_NONBLOCK);
    if (*fd < 0)
        return open_error(drive->file, errno, error);
    if (fstat(*fd, &stat) < 0) {
        result = open_error(drive->file, errno, error);
    } else if (S_ISREG(stat.st_mode)) {
        *size = (uint64_t)stat.st_size;
        result = 0;
    } else if (S_ISBLK(stat.st_mode)) {
        result = ioctl(*fd, BLKGETSIZE64, size) < 0
                     ? open_error(drive->file, errno, error) : 0;
    } else {
        result = open_error(drive->file, EISDIR, error);
    }
    /* With O_NONBLOCK io_uring would hand out EAGAIN instead of waiting. */
    if (!result && fcntl(*fd, F_SETFL, fcntl(*fd, F_GETFL) & ~O_NONBLOCK) < 0)
        result = open_error(drive->file, errno, error);
    if (result)
        close(*fd);
    return result;
}

static bool lock_byte(int fd, short type, off_t at)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};

    if (type == F_RDLCK)
        /* Only a write lock of another program is a refusal; a file system
         * without locks is none. */
        return fcntl(fd, F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES);
    return fcntl(fd, F_OFD_GETLK, &lock) < 0 || lock.l_type == F_UNLCK;
}

/* Say what we do with the image, and see that nobody minds and nobody writes it. */
static int lock_image(int fd, const char *file, bool writable, char **error)
{
    const char *what = NULL;

    if (!lock_byte(fd, F_RDLCK, BYTE_USED + BYTE_READ))
        what = "\"consistent read\"";
    else if (writable && !lock_byte(fd, F_RDLCK, BYTE_USED + BYTE_WRITE))
        what = "\"write\"";
    else if (!lock_byte(fd, F_RDLCK, BYTE_KEPT + BYTE_WRITE))
        what = "shared \"write\"";
    else if (!lock_byte(fd, F_WRLCK, BYTE_KEPT + BYTE_READ))
        what = "\"consistent read\"";
    else if (writable && !lock_byte(fd, F_WRLCK, BYTE_KEPT + BYTE_WRITE))
        what = "\"write\"";
    else if (!lock_byte(fd, F_WRLCK, BYTE_USED + BYTE_WRITE))
        what = "shared \"write\"";
    if (!what)
        return 0;
    *error = g_strdup_printf("Failed to get %s lock: "
                             "is another process using the image [%s]?", what, file);
    return -EAGAIN;
}

/* Open the O_DIRECT twin and find out which alignment it wants, by trying. */
static int open_direct(struct block *block, const struct machine_drive *drive,
                       bool writable, char **error)
{
    void *page;

    block->direct_fd = open(drive->file, O_CLOEXEC | O_DIRECT |
                            (writable ? O_RDWR : O_RDONLY) |
                            (drive->writethrough && writable ? O_DSYNC : 0));
    if (block->direct_fd < 0) {
        const int result = -errno;

        *error = g_strdup_printf(
            "Could not open '%s': %s%s", drive->file,
            result == -EINVAL ? "filesystem does not support O_DIRECT: " : "",
            g_strerror(-result));
        return result;
    }
    if (posix_memalign(&page, DIRECT_PAGE, DIRECT_PAGE)) {
        *error = g_strdup_printf("Could not open '%s': %s", drive->file,
                                 g_strerror(ENOMEM));
        return -ENOMEM;
    }
    /* A failure for another reason is met again, and told, by the guest. */
    block->direct_align =
        pread(block->direct_fd, page, SECTOR, 0) < 0 ? DIRECT_PAGE : SECTOR;
    free(page);
    return 0;
}

static int open_engine(struct block *block, const struct machine_drive *drive,
                       char **error)
{
    int result = -ENOSYS;

    /* The overlay's work is many small steps: a thread does them in one go. */
    if (!drive->threads && !drive->snapshot)
        result = block_uring_new(&block->engine);
    if (result)
        result = block_threads_new(&block->engine);
    if (result)
        *error = g_strdup_printf("Could not open '%s': %s", drive->file,
                                 g_strerror(-result));
    return result;
}

int block_open(const struct machine_drive *drive, struct block **out, char **error)
{
    const bool writable = !drive->readonly && !drive->snapshot;
    struct block *block;
    uint64_t size;
    int fd;
    int result = open_image(drive, writable, &fd, &size, error);

    if (result)
        return result;
    block = g_new0(struct block, 1);
    block->fd = fd;
    block->direct_fd = -1;
    block->no_flush = drive->no_flush;
    pthread_mutex_init(&block->lock, NULL);
    pthread_cond_init(&block->idle, NULL);
    block->table = (struct dev_blk){.size = sm_align_up(size, SECTOR),
                                    .readonly = drive->readonly,
                                    .writethrough = drive->writethrough,
                                    .submit = block_submit,
                                    .drain = block_drain,
                                    .opaque = block};
    result = lock_image(fd, drive->file, writable, error);
    if (!result && drive->direct && !drive->snapshot)
        result = open_direct(block, drive, writable, error);
    if (!result && drive->snapshot)
        result = block_overlay_new(fd, block->table.size, &block->overlay, error);
    if (!result)
        result = open_engine(block, drive, error);
    if (result)
        block_close(block);
    else
        *out = block;
    return result;
}

void block_close(struct block *block)
{
    if (!block)
        return;
    block_drain(block);
    if (block->engine)
        block->engine->ops->free(block->engine);
    block_overlay_free(block->overlay);
    if (block->direct_fd >= 0)
        close(block->direct_fd);
    close(block->fd);
    pthread_cond_destroy(&block->idle);
    pthread_mutex_destroy(&block->lock);
    g_free(block);
}

const struct dev_blk *block_table(struct block *block)
{
    return &block->table;
}
