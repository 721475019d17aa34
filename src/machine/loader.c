/* SPDX-License-Identifier: MIT */
/* loader.c - turns a file into a plan of segments in guest memory, and writes it.
 *
 * A plan is made and checked as a whole before the first byte is written.  What is
 * not an ELF is one segment at the address that the caller gives; the header of an
 * Image says how much memory it needs beyond its bytes.
 *
 * Source: Linux, Documentation/arch/riscv/boot-image-header.rst; RFC 1952.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "machine/board.h"

enum { CHUNK = 64 * 1024, IMAGE_HEADER = 64 };

static const struct sm_attrs loader_attrs = {.process = SM_NO_PROCESS,
                                             .flags = SM_ATTR_DEBUG};

int machine_fail(char **error, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    *error = g_strdup_vprintf(format, args);
    va_end(args);
    return -code;
}

/* --- Files -------------------------------------------------------------------------- */

/** Read what cannot be mapped: a pipe, a device.  Ends at @limit bytes. */
static int read_stream(int fd, struct load_file *out, size_t limit)
{
    GByteArray *bytes = g_byte_array_new();
    uint8_t chunk[CHUNK];
    ssize_t n;

    while ((n = read(fd, chunk, sizeof chunk)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || bytes->len + (size_t)n > limit) {
            const int code = n < 0 ? errno : EFBIG;
            g_byte_array_free(bytes, TRUE);
            return -code;
        }
        g_byte_array_append(bytes, chunk, (guint)n);
    }
    out->size = bytes->len;
    out->data = g_byte_array_free(bytes, FALSE);
    out->mapped = false;
    return 0;
}

int load_file_open(const char *path, struct load_file *out, char **error)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    int err = 0;

    if (fd < 0)
        return machine_fail(error, errno, "%s", g_strerror(errno));
    if (fstat(fd, &info))
        err = -errno;
    else if (S_ISDIR(info.st_mode))
        err = -EISDIR;
    else if (S_ISREG(info.st_mode) && info.st_size) {
        void *map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED)
            err = -errno;
        else
            *out = (struct load_file){
                .data = map, .size = (size_t)info.st_size, .mapped = true};
    } else {
        err = read_stream(fd, out, 1u << 30);
    }
    close(fd);
    return err ? machine_fail(error, -err, "%s", g_strerror(-err)) : 0;
}

void load_file_close(struct load_file *file)
{
    if (file->mapped)
        munmap(file->data, file->size);
    else
        g_free(file->data);
    *file = (struct load_file){0};
}

/* --- Plans -------------------------------------------------------------------------- */

uint64_t load_memory_size(struct sm_address_space *space, uint64_t gpa, uint64_t limit)
{
    uint64_t size = 0;

    while (size < limit && gpa + size >= gpa) {
        struct sm_mapping mapping;
        if (sm_address_space_map(space, gpa + size, &loader_attrs, limit - size, SM_READ,
                                 &mapping) != SM_TX_OK)
            break;
        size += mapping.size;
        sm_mapping_release(&mapping);
    }
    return size;
}

/** Unpack a gzip into plan->unpacked, at most @limit bytes. */
static int unpack(const uint8_t *data, size_t size, uint64_t limit,
                  struct load_plan *plan, size_t *unpacked_size, char **error)
{
    z_stream stream = {0};
    size_t room = 0, used = 0;
    uint8_t *out = NULL;
    int status = Z_OK, err = 0;

    if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK)
        return machine_fail(error, ENOMEM, "%s", g_strerror(ENOMEM));
    /* zlib only reads through next_in, whose type lacks the const. */
    stream.next_in = (Bytef *)(uintptr_t)data;
    while (!err && status != Z_STREAM_END) {
        const size_t fed = (size_t)(stream.next_in - data);
        if (used == room) {
            uint8_t *more;
            /* One byte beyond the limit tells too large from just right. */
            room = SM_MIN(room ? room * 2 : SM_MAX(4 * size, CHUNK), limit + 1);
            more = used == room ? NULL : g_try_realloc(out, room);
            if (!more) {
                err = used > limit
                          ? machine_fail(error, E2BIG, "does not fit into RAM")
                          : machine_fail(error, ENOMEM, "%s", g_strerror(ENOMEM));
                break;
            }
            out = more;
        }
        stream.avail_in = (uInt)SM_MIN(size - fed, UINT32_MAX);
        stream.next_out = out + used;
        stream.avail_out = (uInt)SM_MIN(room - used, UINT32_MAX);
        status = inflate(&stream, Z_NO_FLUSH);
        used = (size_t)(stream.next_out - out);
        if (status == Z_BUF_ERROR && used < room)
            err = machine_fail(error, ENOEXEC, "truncated gzip");
        else if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
            err = machine_fail(error, ENOEXEC, "corrupt gzip");
    }
    inflateEnd(&stream);
    if (!err && used > limit)
        err = machine_fail(error, E2BIG, "does not fit into RAM");
    plan->unpacked = out;
    *unpacked_size = used;
    return err;
}

/** Memory that an Image asks for in its header, 0 if it is none. */
static uint64_t image_size(const uint8_t *data, size_t size)
{
    uint64_t needs;
    if (size < IMAGE_HEADER || memcmp(data + 56, "RSC\x05", 4))
        return 0;
    memcpy(&needs, data + 16, sizeof needs);
    return needs;
}

static int plan_raw(const uint8_t *data, size_t size, uint64_t addr, unsigned flags,
                    struct load_plan *plan, char **error)
{
    plan->segments = g_try_new(struct load_segment, 1);
    if (!plan->segments)
        return machine_fail(error, ENOMEM, "%s", g_strerror(ENOMEM));
    plan->segments[0] =
        (struct load_segment){.gpa = addr, .size = size, .data = data, .data_size = size};
    plan->n_segments = 1;
    plan->result.entry = addr;
    if (flags & LOAD_IMAGE)
        plan->image_size = image_size(data, size);
    return 0;
}

/** Check that every byte goes to RAM or ROM.
 *
 *  A linker that was told nothing puts the ELF's own headers into memory before the
 *  text, and so often just below RAM.  Those bytes are not the program's: they are
 *  left out, as a machine with nothing there drops them. */
static int check_memory(struct sm_address_space *space, const uint8_t *data,
                        struct load_plan *plan, char **error)
{
    struct load_segment *first = &plan->segments[0];
    const struct load_segment *last = &plan->segments[plan->n_segments - 1];
    uint64_t needs = 0;

    if (plan->result.is_elf && first->data == data &&
        !load_memory_size(space, first->gpa, 1)) {
        struct sm_section hole;
        uint64_t skip;
        sm_address_space_lookup(space, first->gpa, &hole);
        skip = hole.range.last - first->gpa + 1;
        if (!hole.region && skip && skip < first->data_size) {
            first->gpa += skip;
            first->size -= skip;
            first->data += skip;
            first->data_size -= skip;
        }
    }
    for (unsigned i = 0; i < plan->n_segments; i++) {
        const struct load_segment *segment = &plan->segments[i];
        needs = i == 0 ? SM_MAX(segment->size, plan->image_size) : segment->size;
        if (load_memory_size(space, segment->gpa, needs) < needs)
            return machine_fail(error, E2BIG,
                                "0x%" G_GINT64_MODIFIER "x bytes at 0x%" G_GINT64_MODIFIER
                                "x do not fit into RAM",
                                needs, segment->gpa);
    }
    plan->result.first = first->gpa;
    plan->result.last = last->gpa + (SM_MAX(last->size, plan->image_size) - 1);
    return 0;
}

int load_plan_make(struct sm_address_space *space, const uint8_t *data, size_t size,
                   uint64_t raw_addr, unsigned flags, struct load_plan *plan,
                   char **error)
{
    int err = 0;

    *plan = (struct load_plan){0};
    if ((flags & LOAD_GZIP) && size > 2 && data[0] == 0x1f && data[1] == 0x8b) {
        const uint64_t limit = load_memory_size(space, raw_addr, UINT64_MAX - raw_addr);
        err = unpack(data, size, SM_MIN(limit, SIZE_MAX / 2), plan, &size, error);
        data = plan->unpacked;
    }
    if (!err && !size)
        err = machine_fail(error, ENOEXEC, "it is empty");
    if (!err && (flags & LOAD_ELF) && size >= 4 && !memcmp(data, "\177ELF", 4))
        err = load_elf_parse(data, size, plan, error);
    else if (!err)
        err = plan_raw(data, size, raw_addr, flags, plan, error);
    if (!err)
        err = check_memory(space, data, plan, error);
    if (err)
        load_plan_fini(plan);
    return err;
}

void load_plan_fini(struct load_plan *plan)
{
    g_free(plan->segments);
    g_free(plan->unpacked);
    *plan = (struct load_plan){0};
}

/* --- Writing ------------------------------------------------------------------------ */

/** Write @size bytes, or zeros if @data is NULL, and skip what is a device by now. */
static void write_bytes(struct sm_address_space *space, uint64_t gpa, const uint8_t *data,
                        uint64_t size)
{
    static const uint8_t zeros[CHUNK];
    uint8_t old[512];

    while (size) {
        struct sm_section section;
        uint64_t n = SM_MIN(size, (uint64_t)CHUNK), done = 0;
        sm_address_space_lookup(space, gpa, &section);
        if (n - 1 > section.range.last - gpa)
            n = section.range.last - gpa + 1;
        if (!data)
            n = SM_MIN(n, sizeof old);
        /* Memory that nobody touched yet is zero: do not make the host allocate it. */
        if (!data &&
            sm_address_space_read(space, gpa, &loader_attrs, old, n, &done) == SM_TX_OK &&
            !memcmp(old, zeros, n))
            done = n;
        else if (sm_address_space_write(space, gpa, &loader_attrs, data ? data : zeros, n,
                                        &done) != SM_TX_OK)
            done = n;
        gpa += n;
        size -= n;
        data = data ? data + n : NULL;
    }
}

void load_segment_write(struct sm_address_space *space,
                        const struct load_segment *segment)
{
    write_bytes(space, segment->gpa, segment->data, segment->data_size);
    write_bytes(space, segment->gpa + segment->data_size, NULL,
                segment->size - segment->data_size);
}

int load_bytes(struct sm_address_space *space, const char *name, const uint8_t *data,
               size_t size, uint64_t raw_addr, bool force_raw, struct load_result *out,
               char **error)
{
    const unsigned flags = force_raw ? 0 : LOAD_ELF | LOAD_GZIP | LOAD_IMAGE;
    struct load_plan plan;
    char *reason = NULL;
    int err = load_plan_make(space, data, size, raw_addr, flags, &plan, &reason);

    if (err) {
        err =
            machine_fail(error, -err, "Cannot load specified image %s: %s", name, reason);
        g_free(reason);
        return err;
    }
    for (unsigned i = 0; i < plan.n_segments; i++)
        load_segment_write(space, &plan.segments[i]);
    *out = plan.result;
    load_plan_fini(&plan);
    return 0;
}

int load_image(struct sm_address_space *space, const char *path, uint64_t raw_addr,
               bool force_raw, struct load_result *out, char **error)
{
    struct load_file file;
    char *reason = NULL;
    int err = load_file_open(path, &file, &reason);

    if (err) {
        err =
            machine_fail(error, -err, "Cannot load specified image %s: %s", path, reason);
        g_free(reason);
        return err;
    }
    err = load_bytes(space, path, file.data, file.size, raw_addr, force_raw, out, error);
    load_file_close(&file);
    return err;
}
