/* SPDX-License-Identifier: MIT */
/* block_test.c - disks against a copy in memory, whichever way they are opened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <glib.h>

#include "base/base.h"
#include "machine/block_impl.h"

static uint64_t seed;
static char *directory, *image;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint64_t below(uint64_t n)
{
    return next_random() % n;
}

/* --- Requests that can be waited for -------------------------------------------- */

struct waited {
    struct dev_blk_request request;
    struct iovec iov[8];
    int error;
    bool over;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void on_done(struct dev_blk_request *request, int error)
{
    struct waited *waited = request->opaque;

    pthread_mutex_lock(&lock);
    assert_false(waited->over);
    waited->error = error;
    waited->over = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void begin(struct block *block, struct waited *waited, enum dev_blk_op op,
                  uint64_t offset, struct iovec *iov, unsigned n_iov)
{
    const struct dev_blk *table = block_table(block);

    waited->over = false;
    waited->request = (struct dev_blk_request){
        .op = op, .offset = offset, .iov = iov, .n_iov = n_iov, .done = on_done,
        .opaque = waited};
    table->submit(table->opaque, &waited->request);
}

static int wait_for(struct waited *waited)
{
    pthread_mutex_lock(&lock);
    while (!waited->over)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    return waited->error;
}

static int transfer(struct block *block, enum dev_blk_op op, uint64_t offset, void *data,
                    size_t size)
{
    struct waited waited;
    struct iovec iov = {data, size};

    begin(block, &waited, op, offset, &iov, op == DEV_BLK_FLUSH ? 0 : 1);
    return wait_for(&waited);
}

static struct block *open_block(const struct machine_drive *drive)
{
    struct block *block = NULL;
    char *error = NULL;
    const int result = block_open(drive, &block, &error);

    if (result)
        fail_msg("%s", error);
    return block;
}

static void fill_image(size_t size, uint8_t *copy)
{
    const int fd = open(image, O_RDWR | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    for (size_t i = 0; i < size; i++)
        copy[i] = (uint8_t)next_random();
    assert_int_equal(write(fd, copy, size), (ssize_t)size);
    close(fd);
}

static void expect_image(const uint8_t *copy, size_t size)
{
    gchar *now;
    gsize length;

    assert_true(g_file_get_contents(image, &now, &length, NULL));
    assert_int_equal(length, size);
    assert_memory_equal(now, copy, size);
    g_free(now);
}

/* --- Against the copy ----------------------------------------------------------- */

enum { SIZE = 3 * 1024 * 1024, PARTS = 12, PART = SIZE / PARTS };

/* Cut @size bytes at @data into vectors at random places, some of them empty. */
static unsigned cut(struct iovec *iov, uint8_t *data, size_t size, size_t grain)
{
    unsigned n = 0;

    while (size && n < 7) {
        const size_t length = MIN(size, below(size / grain + 1) * grain);

        iov[n++] = (struct iovec){data, length};
        data += length;
        size -= length;
    }
    iov[n++] = (struct iovec){data, size};
    return n;
}

/* A round: in each part of the disk one request is under way at the same time. */
static void play_round(struct block *block, uint8_t *copy, uint8_t *memory)
{
    struct waited waited[PARTS];
    uint64_t offset[PARTS];
    size_t size[PARTS];
    uint8_t *data[PARTS];

    for (unsigned i = 0; i < PARTS; i++) {
        const bool large = below(4) == 0;
        const enum dev_blk_op op = below(8) == 0 ? DEV_BLK_FLUSH
                                   : below(2) ? DEV_BLK_WRITE : DEV_BLK_READ;

        size[i] = op == DEV_BLK_FLUSH ? 0 : 512 * (1 + below(large ? PART / 512 : 16));
        offset[i] = i * PART + 512 * below((PART - size[i]) / 512 + 1);
        data[i] = memory + i * (PART + 512) + (below(2) ? 0 : 8 * below(64));
        if (op == DEV_BLK_WRITE) {
            for (size_t k = 0; k < size[i]; k++)
                data[i][k] = (uint8_t)next_random();
            memcpy(copy + offset[i], data[i], size[i]);
        } else {
            memset(data[i], 0xee, size[i]);
        }
        begin(block, &waited[i], op, offset[i], waited[i].iov,
              op == DEV_BLK_FLUSH ? 0 : cut(waited[i].iov, data[i], size[i],
                                            below(2) ? 512 : 4));
    }
    for (unsigned i = 0; i < PARTS; i++) {
        assert_int_equal(wait_for(&waited[i]), 0);
        if (waited[i].request.op != DEV_BLK_FLUSH)
            assert_memory_equal(data[i], copy + offset[i], size[i]);
    }
}

/* Read all of the disk in large steps. */
static void expect_block(struct block *block, const uint8_t *copy, size_t size)
{
    uint8_t *data = g_malloc(size);

    assert_int_equal(transfer(block, DEV_BLK_READ, 0, data, size), 0);
    assert_memory_equal(data, copy, size);
    g_free(data);
}

static void play(struct machine_drive drive, unsigned rounds)
{
    uint8_t *copy = g_malloc(SIZE), *before = g_malloc(SIZE);
    void *memory = NULL;
    struct block *block;

    drive.file = image;
    assert_int_equal(posix_memalign(&memory, 4096, PARTS * (PART + 512)), 0);
    fill_image(SIZE, copy);
    memcpy(before, copy, SIZE);
    block = open_block(&drive);
    assert_int_equal(block_table(block)->size, SIZE);
    assert_int_equal(block_table(block)->writethrough, drive.writethrough);
    for (unsigned i = 0; i < rounds; i++)
        play_round(block, copy, memory);
    expect_block(block, copy, SIZE);
    block_close(block);
    expect_image(drive.snapshot ? before : copy, SIZE);
    free(memory);
    g_free(before);
    g_free(copy);
}

static void uring_matches(void **state)
{
    (void)state;
    play((struct machine_drive){0}, 60);
}

static void threads_match(void **state)
{
    (void)state;
    play((struct machine_drive){.threads = true}, 60);
}

static void snapshot_matches(void **state)
{
    (void)state;
    play((struct machine_drive){.snapshot = true}, 60);
}

static void writethrough_matches(void **state)
{
    (void)state;
    play((struct machine_drive){.writethrough = true}, 4);
    play((struct machine_drive){.writethrough = true, .threads = true}, 4);
}

static void unsafe_matches(void **state)
{
    (void)state;
    play((struct machine_drive){.no_flush = true}, 20);
}

static void direct_matches(void **state)
{
    const int fd = open(directory, O_TMPFILE | O_RDWR | O_DIRECT, 0600);

    (void)state;
    if (fd < 0)
        skip(); /* not on this file system                                     */
    close(fd);
    play((struct machine_drive){.direct = true}, 20);
    play((struct machine_drive){.direct = true, .threads = true, .writethrough = true},
         4);
}

/* --- Corners -------------------------------------------------------------------- */

/* The last sector of a file that ends within it reads as zeros, and can be written. */
static void pads_odd_sizes(void **state)
{
    static const struct machine_drive drives[] = {
        {0}, {.threads = true}, {.snapshot = true}};
    enum { ODD = 70000, PADDED = 70144 };
    uint8_t copy[PADDED], sector[512];

    (void)state;
    for (size_t i = 0; i < SM_ARRAY_LEN(drives); i++) {
        struct machine_drive drive = drives[i];
        struct block *block;

        drive.file = image;
        memset(copy, 0, sizeof(copy));
        fill_image(ODD, copy);
        block = open_block(&drive);
        assert_int_equal(block_table(block)->size, PADDED);
        expect_block(block, copy, PADDED);
        assert_int_equal(transfer(block, DEV_BLK_READ, PADDED - 512, sector, 512), 0);
        assert_memory_equal(sector, copy + PADDED - 512, 512);
        memset(sector, 0x5a, sizeof(sector));
        memcpy(copy + PADDED - 512, sector, 512);
        assert_int_equal(transfer(block, DEV_BLK_WRITE, PADDED - 512, sector, 512), 0);
        expect_block(block, copy, PADDED);
        block_close(block);
        if (!drive.snapshot)
            expect_image(copy, PADDED);
    }
}

static void refuses_what_does_not_fit(void **state)
{
    struct machine_drive drive = {.file = image};
    uint8_t copy[4096], data[1024];
    struct iovec huge[2] = {{data, SIZE_MAX - 100}, {data, 512}};
    struct waited waited;
    struct block *block;

    (void)state;
    fill_image(sizeof(copy), copy);
    block = open_block(&drive);
    assert_int_equal(transfer(block, DEV_BLK_READ, 4096, data, 512), -EINVAL);
    assert_int_equal(transfer(block, DEV_BLK_WRITE, 3584, data, 1024), -EINVAL);
    assert_int_equal(transfer(block, DEV_BLK_READ, UINT64_MAX - 511, data, 512), -EINVAL);
    begin(block, &waited, DEV_BLK_READ, 0, huge, 2);
    assert_int_equal(wait_for(&waited), -EINVAL);
    assert_int_equal(transfer(block, DEV_BLK_READ, 0, data, 0), 0);
    assert_int_equal(transfer(block, DEV_BLK_READ, 4096, data, 0), 0);
    assert_int_equal(transfer(block, DEV_BLK_FLUSH, UINT64_MAX, NULL, 0), 0);
    block_close(block);
    drive.readonly = true;
    block = open_block(&drive);
    assert_true(block_table(block)->readonly);
    assert_int_equal(transfer(block, DEV_BLK_WRITE, 0, data, 512), -EROFS);
    assert_int_equal(transfer(block, DEV_BLK_FLUSH, 0, NULL, 0), 0);
    expect_block(block, copy, sizeof(copy));
    block_close(block);
    expect_image(copy, sizeof(copy));
}

/* More vectors than one system call takes, and more requests than a ring holds. */
static void takes_many(void **state)
{
    enum { N_IOV = 3000, N_REQUESTS = 1000 };
    static const struct machine_drive drives[] = {
        {0}, {.threads = true}, {.snapshot = true}};
    uint8_t *copy = g_malloc(N_REQUESTS * 512), *data = g_malloc(N_REQUESTS * 512);
    struct iovec *iov = g_new(struct iovec, N_IOV);
    struct waited *waited = g_new0(struct waited, N_REQUESTS);

    (void)state;
    for (size_t i = 0; i < SM_ARRAY_LEN(drives); i++) {
        struct machine_drive drive = drives[i];
        struct block *block;

        drive.file = image;
        fill_image(N_REQUESTS * 512, copy);
        block = open_block(&drive);
        for (unsigned n = 0; n < N_IOV; n++)
            iov[n] = (struct iovec){data + n * 128, 128};
        memset(data, 0, N_REQUESTS * 512);
        begin(block, &waited[0], DEV_BLK_READ, 512, iov, N_IOV);
        assert_int_equal(wait_for(&waited[0]), 0);
        assert_memory_equal(data, copy + 512, N_IOV * 128);
        for (unsigned n = 0; n < N_IOV * 128; n++)
            copy[1024 + n] = data[n] = (uint8_t)n;
        begin(block, &waited[0], DEV_BLK_WRITE, 1024, iov, N_IOV);
        assert_int_equal(wait_for(&waited[0]), 0);
        expect_block(block, copy, N_REQUESTS * 512);
        for (unsigned n = 0; n < N_REQUESTS; n++) {
            waited[n].iov[0] = (struct iovec){data + n * 512, 512};
            begin(block, &waited[n], DEV_BLK_READ, n * 512, waited[n].iov, 1);
        }
        /* drain() waits for all: nothing of this test does. */
        block_table(block)->drain(block_table(block)->opaque);
        for (unsigned n = 0; n < N_REQUESTS; n++)
            assert_true(waited[n].over && waited[n].error == 0);
        assert_memory_equal(data, copy, N_REQUESTS * 512);
        block_close(block);
    }
    g_free(waited);
    g_free(iov);
    g_free(data);
    g_free(copy);
}

/* Partial writes to the same absent cluster, all at once, lose nothing. */
static void shares_clusters(void **state)
{
    enum { CLUSTERS = 4, SECTORS = CLUSTERS * 128 };
    struct machine_drive drive = {.file = image, .snapshot = true};
    uint8_t *copy = g_malloc(SECTORS * 512), *data = g_malloc(SECTORS * 512);
    struct waited *waited = g_new0(struct waited, SECTORS);

    (void)state;
    for (unsigned round = 0; round < 10; round++) {
        struct block *block;

        fill_image(SECTORS * 512, copy);
        block = open_block(&drive);
        for (unsigned n = 0; n < SECTORS / 2; n++) {
            /* Every other sector, in an order that goes from cluster to cluster. */
            const unsigned sector = n * 65 % (SECTORS / 2) * 2;
            uint8_t *bytes = data + sector * 512;

            memset(bytes, (int)(n + round), 512);
            memcpy(copy + sector * 512, bytes, 512);
            waited[n].iov[0] = (struct iovec){bytes, 512};
            begin(block, &waited[n], DEV_BLK_WRITE, sector * 512, waited[n].iov, 1);
        }
        for (unsigned n = 0; n < SECTORS / 2; n++)
            assert_int_equal(wait_for(&waited[n]), 0);
        expect_block(block, copy, SECTORS * 512);
        block_close(block);
    }
    g_free(waited);
    g_free(data);
    g_free(copy);
}

struct submitter {
    struct block *block;
    unsigned first;
    uint8_t *data;
};

enum { SUBMITTERS = 4, EACH = 300 };

static void *submit_many(void *opaque)
{
    const struct submitter *submitter = opaque;

    for (unsigned n = 0; n < EACH; n++) {
        const unsigned sector = submitter->first + n * SUBMITTERS;
        uint8_t *data = submitter->data + sector * 512;

        memset(data, (int)(sector * 7), 512);
        if (transfer(submitter->block, DEV_BLK_WRITE, sector * 512, data, 512))
            return (void *)1;
    }
    return NULL;
}

/* Threads submit at once and end while others go on. */
static void takes_any_thread(void **state)
{
    static const struct machine_drive drives[] = {
        {0}, {.threads = true}, {.snapshot = true}};
    enum { BYTES = SUBMITTERS * EACH * 512 };
    uint8_t *copy = g_malloc(BYTES);

    (void)state;
    for (size_t i = 0; i < SM_ARRAY_LEN(drives); i++) {
        struct machine_drive drive = drives[i];
        struct submitter submitters[SUBMITTERS];
        pthread_t threads[SUBMITTERS];
        struct block *block;

        drive.file = image;
        fill_image(BYTES, copy);
        block = open_block(&drive);
        for (unsigned n = 0; n < SUBMITTERS; n++) {
            submitters[n] = (struct submitter){block, n, copy};
            assert_int_equal(
                pthread_create(&threads[n], NULL, submit_many, &submitters[n]), 0);
        }
        for (unsigned n = 0; n < SUBMITTERS; n++) {
            void *result;

            pthread_join(threads[n], &result);
            assert_null(result);
        }
        expect_block(block, copy, BYTES);
        block_close(block);
    }
    g_free(copy);
}

/* --- Opening -------------------------------------------------------------------- */

static void expect_refusal(const struct machine_drive *drive, int result,
                           const char *message, ...)
{
    struct block *block = NULL;
    char *error = NULL, *expected;
    va_list arguments;

    va_start(arguments, message);
    expected = g_strdup_vprintf(message, arguments);
    va_end(arguments);
    assert_int_equal(block_open(drive, &block, &error), result);
    assert_null(block);
    assert_string_equal(error, expected);
    g_free(error);
    g_free(expected);
}

static void names_what_cannot_be_opened(void **state)
{
    char *absent = g_build_filename(directory, "absent", NULL);
    char *pipe = g_build_filename(directory, "pipe", NULL);

    (void)state;
    assert_int_equal(mkfifo(pipe, 0600), 0);
    expect_refusal(&(struct machine_drive){.file = absent}, -ENOENT,
                   "Could not open '%s': No such file or directory", absent);
    expect_refusal(&(struct machine_drive){.file = directory}, -EISDIR,
                   "'file' driver requires '%s' to be a regular file", directory);
    expect_refusal(&(struct machine_drive){.file = pipe, .readonly = true}, -EISDIR,
                   "'file' driver requires '%s' to be a regular file", pipe);
    unlink(pipe);
    g_free(pipe);
    g_free(absent);
}

/* Who writes an image has it alone; readers, and snapshots of it, share. */
static void locks_images(void **state)
{
    const struct machine_drive writer = {.file = image};
    const struct machine_drive reader = {.file = image, .readonly = true};
    const struct machine_drive snapshot = {.file = image, .snapshot = true};
    uint8_t copy[512];
    struct block *first, *second, *third;

    (void)state;
    fill_image(sizeof(copy), copy);
    first = open_block(&writer);
    expect_refusal(&writer, -EAGAIN, "Failed to get \"write\" lock: is another process "
                   "using the image [%s]?", image);
    expect_refusal(&reader, -EAGAIN, "Failed to get shared \"write\" lock: is another "
                   "process using the image [%s]?", image);
    block_close(first);
    first = open_block(&reader);
    second = open_block(&snapshot);
    third = open_block(&snapshot);
    expect_refusal(&writer, -EAGAIN, "Failed to get \"write\" lock: is another process "
                   "using the image [%s]?", image);
    block_close(first);
    block_close(second);
    block_close(third);
    block_close(open_block(&writer));
}

/* Without io_uring, here for want of descriptors, threads do it. */
static void falls_back_to_threads(void **state)
{
    struct machine_drive drive = {.file = image};
    struct rlimit before, limit;
    uint8_t copy[4096];
    struct block *block;
    int next;

    (void)state;
    fill_image(sizeof(copy), copy);
    next = dup(0);
    assert_true(next >= 0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = (struct rlimit){(rlim_t)next + 1, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    block = open_block(&drive);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    expect_block(block, copy, sizeof(copy));
    block_close(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uring_matches),
        cmocka_unit_test(threads_match),
        cmocka_unit_test(snapshot_matches),
        cmocka_unit_test(writethrough_matches),
        cmocka_unit_test(unsafe_matches),
        cmocka_unit_test(direct_matches),
        cmocka_unit_test(pads_odd_sizes),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(takes_many),
        cmocka_unit_test(shares_clusters),
        cmocka_unit_test(takes_any_thread),
        cmocka_unit_test(names_what_cannot_be_opened),
        cmocka_unit_test(locks_images),
        cmocka_unit_test(falls_back_to_threads),
    };
    const char *given = getenv("SM_SEED");
    int result;

    seed = given ? g_ascii_strtoull(given, NULL, 0) : (uint64_t)g_get_real_time();
    seed += !seed;
    printf("SM_SEED=%llu\n", (unsigned long long)seed);
    directory = g_dir_make_tmp("block_test.XXXXXX", NULL);
    if (!directory)
        return 1;
    image = g_build_filename(directory, "image", NULL);
    result = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(image);
    rmdir(directory);
    g_free(image);
    g_free(directory);
    return result;
}
