/* SPDX-License-Identifier: MIT */
/* rng.c - host end of random numbers: getrandom(), or a file that is named. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/base.h"
#include "machine/machine_impl.h"

enum { PATIENCE_MS = 1000 }; /* with a source that gives nothing                */

struct rng {
    struct dev_rng table;
    int fd; /* -1: getrandom()                                                  */
};

/* Read some bytes.  Returns their number or -errno. */
static ssize_t read_some(const struct rng *rng, void *data, size_t size)
{
    struct pollfd wait = {.fd = rng->fd, .events = POLLIN};
    ssize_t n;

    if (rng->fd < 0) {
        n = getrandom(data, size, 0);
        return n < 0 ? -errno : n;
    }
    n = read(rng->fd, data, size);
    if (n < 0 && errno == EAGAIN) {
        if (poll(&wait, 1, PATIENCE_MS) == 0)
            return -EAGAIN;
        n = read(rng->fd, data, size);
        if (n < 0 && errno == EAGAIN)
            return -EINTR; /* another took it: try again                       */
    }
    if (n == 0)
        return -EIO;
    return n < 0 ? -errno : n;
}

static int rng_fill(void *opaque, void *data, size_t size)
{
    const struct rng *rng = opaque;
    char *at = data;

    while (size) {
        const ssize_t n = read_some(rng, at, size);

        if (n == -EINTR)
            continue;
        if (n < 0)
            return (int)n;
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

int rng_open(const char *file, struct rng **out, char **error)
{
    struct rng *rng;
    int fd = -1;

    if (file && strcmp(file, "/dev/urandom") != 0) {
        fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0) {
            const int result = -errno;

            *error =
                g_strdup_printf("Could not open '%s': %s", file, g_strerror(-result));
            return result;
        }
    }
    rng = g_new0(struct rng, 1);
    rng->fd = fd;
    rng->table = (struct dev_rng){.fill = rng_fill, .opaque = rng};
    *out = rng;
    return 0;
}

void rng_close(struct rng *rng)
{
    if (!rng)
        return;
    if (rng->fd >= 0)
        close(rng->fd);
    g_free(rng);
}

const struct dev_rng *rng_table(struct rng *rng)
{
    return &rng->table;
}
