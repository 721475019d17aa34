/* SPDX-License-Identifier: MIT */
/* rom.c - keeps what a reset writes into memory again, and finds images that overlap.
 *
 * Images are copied once, into a memfd: they may be large, are read once per reset, and
 * so do not stay in this process's own memory; and a file that changes while the
 * machine runs changes nothing.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "machine/board.h"

enum { CHUNK = 1024 * 1024 };

struct claim {
    char *name;
    struct sm_range range;
};

struct kept {
    uint64_t gpa, size, data_size;
    off_t at; /* in the memfd */
};

struct rom_set {
    GArray *claims, *kept;
    int fd;
    off_t end;
};

static void claim_clear(gpointer data)
{
    struct claim *claim = data;
    g_free(claim->name);
}

int rom_set_new(struct rom_set **out)
{
    struct rom_set *set;
    const int fd = memfd_create("softmmu-images", MFD_CLOEXEC);

    if (fd < 0)
        return -errno;
    set = g_new0(struct rom_set, 1);
    set->fd = fd;
    set->claims = g_array_new(FALSE, FALSE, sizeof(struct claim));
    g_array_set_clear_func(set->claims, claim_clear);
    set->kept = g_array_new(FALSE, FALSE, sizeof(struct kept));
    *out = set;
    return 0;
}

void rom_set_free(struct rom_set *set)
{
    if (!set)
        return;
    g_array_free(set->claims, TRUE);
    g_array_free(set->kept, TRUE);
    close(set->fd);
    g_free(set);
}

int rom_set_claim(struct rom_set *set, const char *name, struct sm_range range,
                  char **error)
{
    struct claim mine = {.range = range};

    for (guint i = 0; i < set->claims->len; i++) {
        const struct claim *other = &g_array_index(set->claims, struct claim, i);
        if (range.first <= other->range.last && other->range.first <= range.last)
            return machine_fail(
                error, EEXIST,
                "Some ROM regions are overlapping: %s (addresses 0x%016" G_GINT64_MODIFIER
                "x - 0x%016" G_GINT64_MODIFIER
                "x) and %s (addresses 0x%016" G_GINT64_MODIFIER
                "x - 0x%016" G_GINT64_MODIFIER "x)",
                other->name, other->range.first, other->range.last + 1, name, range.first,
                range.last + 1);
    }
    mine.name = g_strdup(name);
    g_array_append_val(set->claims, mine);
    return 0;
}

static int keep(struct rom_set *set, const struct load_segment *segment)
{
    const struct kept kept = {.gpa = segment->gpa,
                              .size = segment->size,
                              .data_size = segment->data_size,
                              .at = set->end};
    uint64_t done = 0;

    while (done < segment->data_size) {
        const ssize_t n = pwrite(set->fd, segment->data + done, segment->data_size - done,
                                 set->end + (off_t)done);
        if (n < 0 && errno != EINTR)
            return -errno;
        done += n > 0 ? (uint64_t)n : 0;
    }
    set->end += (off_t)segment->data_size;
    g_array_append_val(set->kept, kept);
    return 0;
}

int rom_set_add(struct rom_set *set, const char *name, const struct load_plan *plan,
                char **error)
{
    for (unsigned i = 0; i < plan->n_segments; i++) {
        const struct load_segment *segment = &plan->segments[i];
        const struct sm_range range = {segment->gpa, segment->gpa + (segment->size - 1)};
        int err = rom_set_claim(set, name, range, error);
        if (err)
            return err;
        err = keep(set, segment);
        if (err)
            return machine_fail(error, -err, "cannot keep a copy of '%s': %s", name,
                                g_strerror(-err));
    }
    return 0;
}

/** Write one kept segment by way of @buffer of CHUNK bytes. */
static int write_kept(struct rom_set *set, struct sm_address_space *space,
                      const struct kept *kept, uint8_t *buffer)
{
    struct load_segment part = {.data = buffer};
    uint64_t done = 0;

    while (done < kept->data_size) {
        const uint64_t want = SM_MIN(kept->data_size - done, (uint64_t)CHUNK);
        const ssize_t n = pread(set->fd, buffer, want, kept->at + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        part.gpa = kept->gpa + done;
        part.size = part.data_size = (uint64_t)n;
        load_segment_write(space, &part);
        done += (uint64_t)n;
    }
    part.gpa = kept->gpa + done;
    part.size = kept->size - done;
    part.data_size = 0;
    load_segment_write(space, &part);
    return 0;
}

int rom_set_write(struct rom_set *set, struct sm_address_space *space, char **error)
{
    uint8_t *buffer = g_malloc(CHUNK);
    int err = 0;

    for (guint i = 0; i < set->kept->len && !err; i++)
        err = write_kept(set, space, &g_array_index(set->kept, struct kept, i), buffer);
    g_free(buffer);
    return err ? machine_fail(error, EIO, "cannot read back an image: %s",
                              g_strerror(-err))
               : 0;
}
