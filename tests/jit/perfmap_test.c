/* SPDX-License-Identifier: MIT */
/* perfmap_test.c - perf's file has its lines and is nobody else's; GDB's list holds the
 * units that live, whatever the order they come and go in. */
#include "../base/test.h"
#include "gdb_jit.h"

#include "jit/perfmap.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- perf: each case in a process of its own, with a file of its own --------------- */

static char path[64], other[64];

static void read_file(const char *name, char *text, size_t size)
{
    FILE *file = fopen(name, "re");

    assert_non_null(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "we");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void in_child(void (*body)(void))
{
    const pid_t child = fork();
    int status;

    if (child == 0) {
        snprintf(path, sizeof(path), "/tmp/perf-%ld.map", (long)getpid());
        snprintf(other, sizeof(other), "/tmp/perf-%ld.other", (long)getpid());
        body();
        unlink(path);
        unlink(other);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* In a child: cmocka's assertions jump to where the parent would go on. */
#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            printf("line %d: not %s\n", __LINE__, #condition);                           \
            fflush(stdout);                                                              \
            unlink(path);                                                                \
            unlink(other);                                                               \
            _exit(1);                                                                    \
        }                                                                                \
    } while (0)

static void check_mode(void)
{
    struct stat info;

    CHECK(lstat(path, &info) == 0 && S_ISREG(info.st_mode));
    CHECK((info.st_mode & 0777) == 0600 && info.st_uid == geteuid() &&
          info.st_nlink == 1);
}

static void lines_body(void)
{
    struct jit_perfmap *map, *second;
    char text[4096], name[600];

    umask(0);
    CHECK(jit_perfmap_open(JIT_PERFMAP_PERF, &map) == 0);
    check_mode();
    jit_perfmap_add(map, (void *)0x7f0012345678, 0x1a0, "rv:0x80200000 S");
    CHECK(jit_perfmap_open(JIT_PERFMAP_PERF, &second) == 0);
    jit_perfmap_add(second, (void *)0x1000, 1, "two\nlines");
    jit_perfmap_drop(map, (void *)0x7f0012345678, 0x1a0);
    jit_perfmap_close(map);
    jit_perfmap_close(second);
    /* Machines that come later in the same process go on in the same file. */
    CHECK(jit_perfmap_open(JIT_PERFMAP_PERF | JIT_PERFMAP_GDB, &map) == 0);
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    jit_perfmap_add(map, (void *)0x2000, 0x20, name);
    jit_perfmap_add(map, (void *)0x3000, 0x30, "last");
    jit_perfmap_close(map);
    read_file(path, text, sizeof(text));
    CHECK(strncmp(text,
                  "7f0012345678 1a0 rv:0x80200000 S\n1000 1 two lines\n2000 20 xxxx",
                  62) == 0);
    CHECK(strstr(text, "x\n3000 30 last\n"));
}

static void stale_body(void)
{
    struct jit_perfmap *map;
    char text[4096];

    write_file(path, "of an earlier process\n");
    CHECK(jit_perfmap_open(JIT_PERFMAP_PERF, &map) == 0);
    jit_perfmap_add(map, (void *)0x1000, 1, "a");
    check_mode();
    jit_perfmap_close(map);
    read_file(path, text, sizeof(text));
    CHECK(strcmp(text, "1000 1 a\n") == 0);
    /* Once more, between two machines of this process. */
    CHECK(rename(path, other) == 0);
    write_file(path, "of somebody else\n");
    CHECK(jit_perfmap_open(JIT_PERFMAP_PERF, &map) == 0);
    jit_perfmap_add(map, (void *)0x2000, 1, "b");
    check_mode();
    jit_perfmap_close(map);
    read_file(path, text, sizeof(text));
    CHECK(strcmp(text, "2000 1 b\n") == 0);
}

static void planted(bool hard)
{
    struct jit_perfmap *map;
    char text[4096];

    write_file(other, "mine");
    CHECK((hard ? link : symlink)(other, path) == 0);
    CHECK(jit_perfmap_open(JIT_PERFMAP_PERF, &map) == 0);
    jit_perfmap_add(map, (void *)0x1000, 1, "a");
    check_mode();
    jit_perfmap_close(map);
    read_file(other, text, sizeof(text));
    CHECK(strcmp(text, "mine") == 0);
}

static void symlink_body(void)
{
    planted(false);
}

static void link_body(void)
{
    planted(true);
}

/* What cannot be removed is not written to. */
static void refused_body(void)
{
    struct jit_perfmap *map = NULL;

    CHECK(mkdir(path, 0700) == 0);
    CHECK(jit_perfmap_open(JIT_PERFMAP_PERF, &map) == -EEXIST);
    CHECK(map == NULL);
    rmdir(path);
}

enum { N_THREADS = 4, N_LINES = 500 };

static void *add_lines(void *arg)
{
    struct jit_perfmap *map = arg;

    for (uintptr_t i = 1; i <= N_LINES; i++) {
        jit_perfmap_add(map, (void *)(i << 4), 16, "name");
        if (i % 50 == 0)
            jit_perfmap_drop(map, (void *)(i << 4), 16);
    }
    return NULL;
}

static void threads_body(void)
{
    struct jit_perfmap *map;
    pthread_t thread[N_THREADS];
    char line[256];
    unsigned n = 0;

    CHECK(jit_perfmap_open(JIT_PERFMAP_PERF | JIT_PERFMAP_GDB, &map) == 0);
    for (int i = 0; i < N_THREADS; i++)
        CHECK(pthread_create(&thread[i], NULL, add_lines, map) == 0);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(thread[i], NULL);
    jit_perfmap_close(map);
    CHECK(!__jit_debug_descriptor.first_entry);
    FILE *file = fopen(path, "re");
    CHECK(file);
    for (; fgets(line, sizeof(line), file); n++) {
        unsigned long code, size;
        char name[8], extra;
        CHECK(sscanf(line, "%lx %lx %7s%c%c", &code, &size, name, &extra, &extra) == 4);
        CHECK(size == 16 && strcmp(name, "name") == 0);
    }
    fclose(file);
    CHECK(n == N_THREADS * N_LINES);
}

static void perf_lines(void **state)
{
    in_child(lines_body);
}

static void perf_file_is_ours(void **state)
{
    in_child(stale_body);
    in_child(symlink_body);
    in_child(link_body);
    in_child(refused_body);
}

static void several_threads(void **state)
{
    in_child(threads_body);
}

/* --- GDB ------------------------------------------------------------------------------ */

enum { MAX_UNITS = 300, N_MAPS = 2, N_STEPS = 3000 };

struct unit {
    uintptr_t code;
    size_t size;
    unsigned map;
    bool lives;
    char name[40];
};

/* Returns the name of the one function of a symbol file, and where it is. */
static const char *parse(const struct jit_code_entry *entry, uint64_t *code,
                         uint64_t *size)
{
    const char *file = entry->symfile_addr;
    const Elf64_Ehdr *header = (const void *)file;
    const Elf64_Shdr *section = (const void *)(file + header->e_shoff);
    const char *name = NULL;

    assert_memory_equal(header->e_ident, ELFMAG, SELFMAG);
    assert_int_equal(header->e_ident[EI_CLASS], ELFCLASS64);
    assert_int_equal(header->e_ehsize, sizeof(*header));
    assert_int_equal(header->e_shentsize, sizeof(*section));
    assert_true(header->e_shoff + header->e_shnum * sizeof(*section) <=
                entry->symfile_size);
    const Elf64_Shdr *names = &section[header->e_shstrndx];
    for (unsigned i = 1; i < header->e_shnum; i++) {
        const Elf64_Shdr *s = &section[i];
        static const char *const wanted[] = {"", ".text", ".symtab", ".strtab"};
        assert_string_equal(file + names->sh_offset + s->sh_name, wanted[i]);
        if (s->sh_type != SHT_NOBITS)
            assert_true(s->sh_offset + s->sh_size <= entry->symfile_size);
        if (s->sh_type == SHT_STRTAB)
            assert_int_equal(file[s->sh_offset + s->sh_size - 1], '\0');
        if (s->sh_type != SHT_SYMTAB)
            continue;
        const Elf64_Sym *symbol = (const void *)(file + s->sh_offset);
        assert_int_equal(s->sh_size, 2 * sizeof(*symbol));
        assert_int_equal(ELF64_ST_TYPE(symbol[1].st_info), STT_FUNC);
        const Elf64_Shdr *text = &section[symbol[1].st_shndx];
        *code = symbol[1].st_value;
        *size = symbol[1].st_size;
        assert_int_equal(text->sh_addr, *code);
        assert_int_equal(text->sh_size, *size);
        assert_int_equal(text->sh_flags, SHF_ALLOC | SHF_EXECINSTR);
        name = file + section[s->sh_link].sh_offset + symbol[1].st_name;
    }
    assert_non_null(name);
    return name;
}

static void check_list(const struct unit *units, unsigned n_alive)
{
    const struct jit_code_entry *entry, *before = NULL;
    unsigned n = 0;

    assert_int_equal(__jit_debug_descriptor.version, 1);
    assert_int_equal(__jit_debug_descriptor.action_flag, 0);
    assert_null(__jit_debug_descriptor.relevant_entry);
    for (entry = __jit_debug_descriptor.first_entry; entry; entry = entry->next_entry) {
        uint64_t code = 0, size = 0;
        unsigned id;
        const char *name = parse(entry, &code, &size);
        assert_ptr_equal(entry->prev_entry, before);
        assert_int_equal(sscanf(name, "unit %u", &id), 1);
        assert_true(id < MAX_UNITS && units[id].lives);
        assert_string_equal(name, units[id].name);
        assert_true(code == units[id].code && size == units[id].size);
        before = entry;
        n++;
    }
    assert_int_equal(n, n_alive); /* names differ, so these are all */
}

static void gdb_list(void **state)
{
    static struct unit units[MAX_UNITS];
    uint64_t random = test_seed(1);
    struct jit_perfmap *map[N_MAPS];
    unsigned n_alive = 0, most = 0;

    for (unsigned i = 0; i < N_MAPS; i++)
        assert_int_equal(jit_perfmap_open(JIT_PERFMAP_GDB, &map[i]), 0);
    check_list(units, 0);
    for (unsigned step = 0; step < N_STEPS; step++) {
        const unsigned id = (unsigned)test_below(&random, MAX_UNITS);
        struct unit *unit = &units[id];
        if (!unit->lives) {
            /* Within 16 MiB, so that buckets are shared. */
            unit->code = 0x10000000 + (uintptr_t)test_below(&random, 1 << 24);
            unit->size = 1 + (size_t)test_below(&random, 2000);
            unit->map = (unsigned)test_below(&random, N_MAPS);
            snprintf(unit->name, sizeof(unit->name), "unit %u of step %u", id, step);
            jit_perfmap_add(map[unit->map], (void *)unit->code, unit->size, unit->name);
            unit->lives = true;
            n_alive++;
        } else {
            const uint64_t kind = test_below(&random, 100);
            const uintptr_t first =
                kind < 60 ? unit->code
                          : unit->code - (uintptr_t)test_below(&random, 9999);
            const size_t size = kind < 20   ? 1
                                : kind < 60 ? unit->size
                                : kind < 98 ? 1 + (size_t)test_below(&random, 99999)
                                            : SIZE_MAX - first;
            jit_perfmap_drop(map[unit->map], (void *)first, size);
            for (unsigned i = 0; i < MAX_UNITS; i++)
                if (units[i].lives && units[i].map == unit->map &&
                    units[i].code >= first && units[i].code - first < size) {
                    units[i].lives = false;
                    n_alive--;
                }
        }
        most = n_alive > most ? n_alive : most;
        check_list(units, n_alive);
    }
    assert_true(most > 50);
    for (unsigned i = 0; i < N_MAPS; i++) {
        jit_perfmap_drop(map[i], (void *)0x10000000, 0); /* nothing */
        check_list(units, n_alive);
        jit_perfmap_close(map[i]);
        for (unsigned k = 0; k < MAX_UNITS; k++)
            if (units[k].lives && units[k].map == i) {
                units[k].lives = false;
                n_alive--;
            }
        check_list(units, n_alive);
    }
    assert_int_equal(n_alive, 0);
}

static void none_asked_for(void **state)
{
    struct jit_perfmap *map;

    assert_int_equal(jit_perfmap_open(0, &map), 0);
    jit_perfmap_add(map, (void *)0x1000, 1, "a");
    jit_perfmap_drop(map, (void *)0x1000, 1);
    assert_null(__jit_debug_descriptor.first_entry);
    jit_perfmap_close(map);
    jit_perfmap_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(perf_lines),      cmocka_unit_test(perf_file_is_ours),
        cmocka_unit_test(several_threads), cmocka_unit_test(gdb_list),
        cmocka_unit_test(none_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
