/* SPDX-License-Identifier: MIT */
/* unit_names_test.c - what GDB and perf are told of host code: thunks and units, where
 * they run, while they live. */
#include "hart_fixture.h"
#include "../jit/gdb_jit.h"

#include "jit/jit.h"
#include "jit/perfmap.h"
#include "program.h"
#include "riscv/translate.h"

#include <elf.h>
#include <inttypes.h>
#include <stdlib.h>

#define CODE (RAM + 0x1000)

static struct jit_perfmap *names;

/** The one symbol of a file; *@name is its name. */
static const Elf64_Sym *symbol_of(const struct jit_code_entry *entry, const char **name)
{
    const char *const file = entry->symfile_addr;
    const Elf64_Ehdr *const header = (const void *)file;
    const Elf64_Shdr *section = (const void *)(file + header->e_shoff);

    while (section->sh_type != SHT_SYMTAB)
        section++;
    const Elf64_Shdr *strings =
        (const Elf64_Shdr *)(const void *)(file + header->e_shoff) + section->sh_link;
    const Elf64_Sym *symbol = (const Elf64_Sym *)(const void *)(file + section->sh_offset) + 1;
    *name = file + strings->sh_offset + symbol->st_name;
    return symbol;
}

/** How many names there are that begin with @prefix; *@last is where one of them runs. */
static unsigned count(const char *prefix, const uint8_t **last)
{
    const struct jit_code_entry *entry = __jit_debug_descriptor.first_entry;
    unsigned n = 0;

    for (; entry; entry = entry->next_entry) {
        const char *name;
        const Elf64_Sym *const symbol = symbol_of(entry, &name);

        if (strncmp(name, prefix, strlen(prefix)) != 0)
            continue;
        n++;
        assert_true(symbol->st_size > 0);
        if (last)
            *last = (const uint8_t *)(uintptr_t)symbol->st_value; /* NOLINT */
    }
    return n;
}

/** Whether code may be executed at @at: what is written may not (J4). */
static bool is_executable(const uint8_t *at)
{
    FILE *const maps = fopen("/proc/self/maps", "re");
    char line[512], perms[5];
    uint64_t first, end;
    bool found = false;

    assert_non_null(maps);
    while (!found && fgets(line, sizeof(line), maps))
        found = sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &first, &end, perms) == 3 &&
                (uintptr_t)at >= first && (uintptr_t)at < end;
    fclose(maps);
    return found && perms[2] == 'x' && perms[1] != 'w';
}

static int set_up(void **state)
{
    assert_int_equal(jit_perfmap_open(JIT_PERFMAP_GDB, &names), 0);
    return 0;
}

static int tear_down(void **state)
{
    jit_perfmap_close(names);
    return 0;
}

static void begin(struct fixture *fix)
{
    const struct rv_isa isa = fixture_isa();

    fixture_translate = true;
    fixture_heat = 1;
    fixture_code_size = 1 << 20;
    fixture_names = names;
    fixture_init(fix, &isa);
    fixture_translate = false;
    fixture_names = NULL;
}

/** A loop at CODE + 4 that adds @step a few times. */
static void run_loop(struct fixture *fix, int32_t step)
{
    struct program prog = {fix, CODE};

    put(&prog, RV_OP_addi, T0, X0, 0, 10);
    put(&prog, RV_OP_addi, A0, A0, 0, step);
    put(&prog, RV_OP_addi, T0, T0, 0, -1);
    put(&prog, RV_OP_bne, 0, T0, X0, -8);
    put_wfi(&prog);
    rv_fence_i(fix->hart);
    rv_hart_set_x(fix->hart, A0, 0);
    run_from(fix, CODE);
    assert_int_equal(rv_hart_x(fix->hart, A0), 10 * step);
}

static void names_live_as_code_does(void **state)
{
    static struct fixture one, other;
    const uint8_t *code = NULL, *again = NULL;
    unsigned n_thunks;

    begin(&one);
    n_thunks = count("thunk-", &code);
    assert_int_equal(n_thunks, 11);
    assert_int_equal(count("", NULL), n_thunks);
    assert_true(is_executable(code));
    run_loop(&one, 1);
    assert_int_equal(count("guest-0x80001004", &code), 1);
    assert_true(is_executable(code));

    /* It ends with what it was made of, and another takes its place. */
    run_loop(&one, 2);
    assert_int_equal(count("guest-0x80001004", &again), 1);
    assert_ptr_not_equal(again, code);

    /* Another hart has its own of the same name. */
    begin(&other);
    assert_int_equal(count("thunk-", NULL), 2 * n_thunks);
    run_loop(&other, 1);
    assert_int_equal(count("guest-0x80001004", NULL), 2);

    /* All end at once, of one hart; what is common to units does not. */
    rv_units_flush(one.hart);
    assert_int_equal(count("guest-0x80001004", NULL), 1);
    assert_int_equal(count("thunk-", NULL), 2 * n_thunks);
    run_loop(&one, 2);
    assert_int_equal(count("guest-0x80001004", NULL), 2);
    fixture_fini(&one);
    assert_int_equal(count("thunk-", NULL), n_thunks);
    assert_int_equal(count("guest-0x80001004", NULL), 1);
    fixture_fini(&other);
    assert_null(__jit_debug_descriptor.first_entry);
}

/** What -d out_asm prints is where it runs, too. */
static void code_is_printed_where_it_runs(void **state)
{
    static struct fixture fix;
    const uint8_t *code = NULL;
    char *text = NULL, first[40];
    size_t size;

    begin(&fix);
    fix.hart->log = open_memstream(&text, &size);
    fix.hart->log_items = RV_LOG_OUT_ASM | RV_LOG_EXEC;
    run_loop(&fix, 1);
    fclose(fix.hart->log);
    fix.hart->log = NULL;
    assert_int_equal(count("guest-0x80001004", &code), 1);
    snprintf(first, sizeof(first), "\n0x%" PRIx64 ":  ", (uint64_t)(uintptr_t)code);
    assert_non_null(strstr(text, first));
    snprintf(first, sizeof(first), "Trace 5: 0x%" PRIx64 " ", (uint64_t)(uintptr_t)code);
    assert_non_null(strstr(text, first));
    free(text);
    fixture_fini(&fix);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_live_as_code_does, set_up, tear_down),
        cmocka_unit_test_setup_teardown(code_is_printed_where_it_runs, set_up, tear_down),
    };

    if (!jit_supported())
        return 77; /* skipped: nothing is translated on this host */
    return cmocka_run_group_tests_name("unit_names", tests, NULL, NULL);
}
