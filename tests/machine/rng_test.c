/* SPDX-License-Identifier: MIT */
/* rng_test.c - random numbers from the host, from files, and from files that end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <glib.h>

#include "machine/machine_impl.h"

static struct rng *open_rng(const char *file)
{
    struct rng *rng = NULL;
    char *error = NULL;

    if (rng_open(file, &rng, &error))
        fail_msg("%s", error);
    return rng;
}

static int fill(struct rng *rng, void *data, size_t size)
{
    const struct dev_rng *table = rng_table(rng);
    return table->fill(table->opaque, data, size);
}

static void host_numbers_differ(void **state)
{
    static const char *const files[] = {NULL, "/dev/urandom", "/dev/random"};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct rng *rng = open_rng(files[i]);
        uint8_t data[2][1000];

        assert_int_equal(fill(rng, data[0], 1000), 0);
        assert_int_equal(fill(rng, data[1], 1000), 0);
        assert_memory_not_equal(data[0], data[1], 1000);
        assert_int_equal(fill(rng, data[0], 0), 0);
        rng_close(rng);
    }
    rng_close(NULL);
}

static void reads_a_file_to_its_end(void **state)
{
    char *path = NULL;
    const int fd = g_file_open_tmp("rng.XXXXXX", &path, NULL);
    struct rng *rng;
    char data[8];

    (void)state;
    assert_int_equal(write(fd, "0123456789", 10), 10);
    rng = open_rng(path);
    assert_int_equal(fill(rng, data, 8), 0);
    assert_memory_equal(data, "01234567", 8);
    assert_int_equal(fill(rng, data, 8), -EIO);
    rng_close(rng);
    close(fd);
    unlink(path);
    g_free(path);
}

/* A source that gives nothing stops a guest for a moment, not for ever. */
static void does_not_wait_for_ever(void **state)
{
    char *directory = g_dir_make_tmp("rng.XXXXXX", NULL);
    char *path = g_build_filename(directory, "pipe", NULL);
    struct rng *rng;
    int writer;
    char data[4];

    (void)state;
    assert_int_equal(mkfifo(path, 0600), 0);
    rng = open_rng(path);
    writer = open(path, O_WRONLY);
    assert_true(writer >= 0);
    assert_int_equal(write(writer, "abcd", 4), 4);
    assert_int_equal(fill(rng, data, 4), 0);
    assert_memory_equal(data, "abcd", 4);
    assert_int_equal(fill(rng, data, 4), -EAGAIN);
    close(writer);
    rng_close(rng);
    unlink(path);
    rmdir(directory);
    g_free(path);
    g_free(directory);
}

static void names_what_cannot_be_opened(void **state)
{
    struct rng *rng = NULL;
    char *error = NULL;

    (void)state;
    assert_int_equal(rng_open("/nowhere/rng", &rng, &error), -ENOENT);
    assert_string_equal(error,
                        "Could not open '/nowhere/rng': No such file or directory");
    assert_null(rng);
    g_free(error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_numbers_differ),
        cmocka_unit_test(reads_a_file_to_its_end),
        cmocka_unit_test(does_not_wait_for_ever),
        cmocka_unit_test(names_what_cannot_be_opened),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
