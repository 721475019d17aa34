/* SPDX-License-Identifier: MIT */
/* perfmap.c - tells perf and GDB what generated code is.
 *
 * Both know one list per process: a file by the process's number, and a descriptor by
 * its symbol's name.  So this is the only file of the layer with variables of its own.
 *
 * Source:  Linux, tools/perf/Documentation/jit-interface.txt; "Debugging with GDB",
 *          "JIT Compilation Interface"; System V ABI, "Object Files"
 */
#include "jit/perfmap.h"

#include "base/base.h"
#include "base/lock.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- What GDB reads: names, types and values are its own ------------------------ */

enum { JIT_NOACTION, JIT_REGISTER_FN, JIT_UNREGISTER_FN };

struct jit_code_entry {
    struct jit_code_entry *next_entry, *prev_entry;
    const char *symfile_addr;
    uint64_t symfile_size;
};

struct jit_descriptor {
    uint32_t version;
    uint32_t action_flag;
    struct jit_code_entry *relevant_entry, *first_entry;
};

/* It looks them up by name, and has a breakpoint on the function. */
extern struct jit_descriptor __jit_debug_descriptor;
void __jit_debug_register_code(void);

__attribute__((used)) struct jit_descriptor __jit_debug_descriptor = {.version = 1};

__attribute__((used)) SM_NOINLINE void __jit_debug_register_code(void)
{
    __asm__ volatile("" ::: "memory");
}

/* --- State ------------------------------------------------------------------------ */

/* Guards the descriptor, the units of all maps, and what follows. */
static struct sm_lock lock;
/* perf's file that this process made, to tell it from one of an earlier process. */
static dev_t file_device;
static ino_t file_inode;

enum { SECTION_NONE, SECTION_TEXT, SECTION_SYMTAB, SECTION_STRTAB, N_SECTIONS };
static const char section_names[] = "\0.text\0.symtab\0.strtab";
enum { NAME_TEXT = 1, NAME_SYMTAB = 7, NAME_STRTAB = 15 };

struct symfile {
    Elf64_Ehdr header;
    Elf64_Shdr section[N_SECTIONS];
    Elf64_Sym symbol[2];
    char strings[]; /* section_names, and the unit's                           */
};

struct unit {
    struct jit_code_entry entry;
    struct unit *next; /* of its bucket                                        */
    uintptr_t code;
    struct symfile file;
};

/* By the page that a unit begins in: units are dropped one by one, or all at once. */
enum { PAGE_BITS = 12, N_BUCKETS = 1024 };

struct jit_perfmap {
    int perf; /* file; -1: none                                                */
    bool gdb;
    struct unit *bucket[N_BUCKETS];
};

/* --- perf --------------------------------------------------------------------------- */

/* Returns the file, or a negative error.  The folder is everyone's: nothing is written to
 * what another may have put there. */
static int open_perf(void)
{
    char path[64];
    struct stat info;

    snprintf(path, sizeof(path), "/tmp/perf-%ld.map", (long)getpid());
    int fd = open(path, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) {
        if (fstat(fd, &info) == 0 && info.st_ino == file_inode &&
            info.st_dev == file_device && S_ISREG(info.st_mode))
            return fd;
        close(fd);
    }
    (void)unlink(path);
    fd =
        open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &info) == 0) {
        file_inode = info.st_ino;
        file_device = info.st_dev;
    }
    return fd;
}

/* A line is one write, so lines of several threads do not mix. */
static void add_perf(int fd, const void *code, size_t size, const char *name)
{
    char line[256];
    int n = snprintf(line, sizeof(line) - 1, "%lx %zx %s", (unsigned long)(uintptr_t)code,
                     size, name);

    n = SM_MIN(n, (int)sizeof(line) - 2);
    for (int i = 0; i < n; i++)
        if (line[i] == '\n')
            line[i] = ' ';
    line[n] = '\n';
    if (write(fd, line, (size_t)n + 1) < 0) {
        /* The disk is full: perf shows addresses then. */
    }
}

/* --- GDB ---------------------------------------------------------------------------- */

/* An ELF file with one function in one section, which is elsewhere in memory. */
static void fill_symfile(struct symfile *file, uintptr_t code, size_t size,
                         const char *name, size_t name_size)
{
    *file = (struct symfile){
        .header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
                               ELFDATA2LSB, EV_CURRENT},
                   .e_type = ET_EXEC,
#if defined(__x86_64__)
                   .e_machine = EM_X86_64,
#elif defined(__aarch64__)
                   .e_machine = EM_AARCH64,
#elif defined(__riscv)
                   .e_machine = EM_RISCV,
#endif
                   .e_version = EV_CURRENT,
                   .e_shoff = offsetof(struct symfile, section),
                   .e_ehsize = sizeof(Elf64_Ehdr),
                   .e_shentsize = sizeof(Elf64_Shdr),
                   .e_shnum = N_SECTIONS,
                   .e_shstrndx = SECTION_STRTAB},
        .section[SECTION_TEXT] = {.sh_name = NAME_TEXT,
                                  .sh_type = SHT_NOBITS,
                                  .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
                                  .sh_addr = code,
                                  .sh_size = size,
                                  .sh_addralign = 1},
        .section[SECTION_SYMTAB] = {.sh_name = NAME_SYMTAB,
                                    .sh_type = SHT_SYMTAB,
                                    .sh_offset = offsetof(struct symfile, symbol),
                                    .sh_size = sizeof(file->symbol),
                                    .sh_link = SECTION_STRTAB,
                                    .sh_info = 1, /* the first that is not local */
                                    .sh_addralign = 8,
                                    .sh_entsize = sizeof(Elf64_Sym)},
        .section[SECTION_STRTAB] = {.sh_name = NAME_STRTAB,
                                    .sh_type = SHT_STRTAB,
                                    .sh_offset = offsetof(struct symfile, strings),
                                    .sh_size = sizeof(section_names) + name_size,
                                    .sh_addralign = 1},
        .symbol[1] = {.st_name = sizeof(section_names),
                      .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
                      .st_shndx = SECTION_TEXT,
                      .st_value = code,
                      .st_size = size},
    };
    memcpy(file->strings, section_names, sizeof(section_names));
    memcpy(file->strings + sizeof(section_names), name, name_size);
}

static struct unit **bucket_of(struct jit_perfmap *map, uintptr_t code)
{
    return &map->bucket[code >> PAGE_BITS & (N_BUCKETS - 1)];
}

static void tell_gdb(uint32_t action, struct unit *unit)
{
    __jit_debug_descriptor.action_flag = action;
    __jit_debug_descriptor.relevant_entry = &unit->entry;
    __jit_debug_register_code();
    __jit_debug_descriptor.action_flag = JIT_NOACTION;
    __jit_debug_descriptor.relevant_entry = NULL;
}

static void add_gdb(struct jit_perfmap *map, const void *code, size_t size,
                    const char *name)
{
    const size_t name_size = strlen(name) + 1;
    const size_t file_size =
        offsetof(struct symfile, strings) + sizeof(section_names) + name_size;
    struct unit *unit = malloc(offsetof(struct unit, file) + file_size);

    if (!unit)
        return; /* GDB does without a name */
    unit->code = (uintptr_t)code;
    fill_symfile(&unit->file, unit->code, size, name, name_size);
    unit->entry = (struct jit_code_entry){.symfile_addr = (const char *)&unit->file,
                                          .symfile_size = file_size};

    sm_lock(&lock);
    struct unit **bucket = bucket_of(map, unit->code);
    unit->next = *bucket;
    *bucket = unit;
    unit->entry.next_entry = __jit_debug_descriptor.first_entry;
    if (unit->entry.next_entry)
        unit->entry.next_entry->prev_entry = &unit->entry;
    __jit_debug_descriptor.first_entry = &unit->entry;
    tell_gdb(JIT_REGISTER_FN, unit);
    sm_unlock(&lock);
}

static void forget_unit(struct unit *unit)
{
    struct jit_code_entry *entry = &unit->entry;

    if (entry->next_entry)
        entry->next_entry->prev_entry = entry->prev_entry;
    if (entry->prev_entry)
        entry->prev_entry->next_entry = entry->next_entry;
    else
        __jit_debug_descriptor.first_entry = entry->next_entry;
    tell_gdb(JIT_UNREGISTER_FN, unit);
    free(unit);
}

/* Forget the units of a bucket that begin at @first to @last. */
static void drop_gdb(struct unit **bucket, uintptr_t first, uintptr_t last)
{
    while (*bucket) {
        struct unit *unit = *bucket;
        if (unit->code >= first && unit->code <= last) {
            *bucket = unit->next;
            forget_unit(unit);
        } else {
            bucket = &unit->next;
        }
    }
}

/* --- Interface ------------------------------------------------------------------------ */

int jit_perfmap_open(unsigned flags, struct jit_perfmap **out)
{
    struct jit_perfmap *map = calloc(1, sizeof(*map));

    if (!map)
        return -ENOMEM;
    map->gdb = flags & JIT_PERFMAP_GDB;
    map->perf = -1;
    if (flags & JIT_PERFMAP_PERF) {
        sm_lock(&lock);
        map->perf = open_perf();
        sm_unlock(&lock);
        if (map->perf < 0) {
            const int error = map->perf;
            free(map);
            return error;
        }
    }
    *out = map;
    return 0;
}

void jit_perfmap_close(struct jit_perfmap *map)
{
    if (!map)
        return;
    jit_perfmap_drop(map, NULL, SIZE_MAX);
    if (map->perf >= 0)
        close(map->perf);
    free(map);
}

void jit_perfmap_add(struct jit_perfmap *map, const void *code, size_t size,
                     const char *name)
{
    if (map->perf >= 0)
        add_perf(map->perf, code, size, name);
    if (map->gdb)
        add_gdb(map, code, size, name);
}

void jit_perfmap_drop(struct jit_perfmap *map, const void *code, size_t size)
{
    const uintptr_t first = (uintptr_t)code;
    const uintptr_t last = first + size - 1;

    if (!map->gdb || size == 0)
        return;
    sm_lock(&lock);
    if ((last - first) >> PAGE_BITS >= N_BUCKETS - 1) {
        for (unsigned i = 0; i < N_BUCKETS; i++)
            drop_gdb(&map->bucket[i], first, last);
    } else {
        for (uintptr_t page = first >> PAGE_BITS; page <= last >> PAGE_BITS; page++)
            drop_gdb(bucket_of(map, page << PAGE_BITS), first, last);
    }
    sm_unlock(&lock);
}
