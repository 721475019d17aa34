/* SPDX-License-Identifier: MIT */
/* golden_test.c - what a few guest instructions become, in full, beside files that say so.
 *
 *     golden_test ir | host
 *
 * Each file in golden/ shows one unit: for each guest instruction its IR as it was built
 * (ir), as the optimiser leaves it (opt), and the host code of the hit path (x64) with the
 * number of its instructions; those in parentheses are passed by where all hits.
 * Where "opt" is missing it is the IR as built.  Addresses, and offsets that depend on how we
 * were built, are by name.
 *
 * "ir" compares all but the host code.  With SM_GOLDEN=write, "host" writes the files
 * anew: read what `git diff` says of them.
 */
#include "golden_file.h"
#include "golden_host.h"
#include "hart_pair.h"

#define CODE (RAM + 0x8000)
#define STAMP 0x5a00u /* the guest's units begin under some                       */

enum { SKIPPED = 77, MAX_PLACES = 16, SSCRATCH = RV_CSRNO_sscratch };

static struct fixture fix;

/* --- Programs ------------------------------------------------------------------ */

static void put_load(struct program *p)
{
    put(p, RV_OP_lw, A0, A1, 0, 8);
}

static void put_store(struct program *p)
{
    put(p, RV_OP_sd, 0, A1, A0, -16);
}

static void put_two_loads(struct program *p)
{
    put(p, RV_OP_ld, A0, S0, 0, 8);
    put(p, RV_OP_ld, A1, S0, 0, 24);
}

/** Sums words. */
static void put_loop(struct program *p)
{
    put(p, RV_OP_lwu, A3, A0, 0, 0);
    put(p, RV_OP_lwu, A4, A0, 0, 4);
    put(p, RV_OP_addi, A0, A0, 0, 8);
    put(p, RV_OP_add, A2, A2, A3, 0);
    put(p, RV_OP_add, A2, A2, A4, 0);
    put(p, RV_OP_bne, 0, A0, A1, -20);
}

static void put_amoadd(struct program *p)
{
    put(p, RV_OP_amoadd_w, A0, A1, A2, 0);
}

/** Counts up. */
static void put_lr_sc(struct program *p)
{
    put(p, RV_OP_lr_d, A0, A1, 0, 0);
    put(p, RV_OP_addi, A0, A0, 0, 1);
    put(p, RV_OP_sc_d, A2, A1, A0, 0);
    put(p, RV_OP_bne, 0, A2, X0, -12);
}

/** A word, as code without Zbb does it; and a sum of words, handed from one operation to
 *  the next. */
static void put_rotate(struct program *p)
{
    put(p, RV_OP_srliw, A3, A0, 0, 7);
    put(p, RV_OP_slliw, A4, A0, 0, 25);
    put(p, RV_OP_or, A3, A3, A4, 0);
    put(p, RV_OP_addw, A4, A3, A1, 0);
}

static void put_branch(struct program *p)
{
    put(p, RV_OP_beq, 0, A0, A1, 32);
}

static void put_call(struct program *p)
{
    put(p, RV_OP_jal, RA, 0, 0, 0x100);
}

static void put_return(struct program *p)
{
    put(p, RV_OP_addi, A0, A0, 0, 1);
    put(p, RV_OP_jalr, X0, RA, 0, 0);
}

static void put_fadd(struct program *p)
{
    put32(p, enc(RV_OP_fadd_d, 10, 11, 12, 0) | RV_RM_DYN << 12);
}

static void put_csr(struct program *p)
{
    put(p, RV_OP_csrrs, A0, X0, 0, SSCRATCH);
    put(p, RV_OP_csrrw, A1, A2, 0, SSCRATCH);
}

static void put_instret(struct program *p)
{
    put(p, RV_OP_csrrs, A0, X0, 0, RV_CSRNO_instret);
}

static void put_ecall(struct program *p)
{
    put(p, RV_OP_ecall, 0, 0, 0, 0);
}

/** Each is followed by a WFI, which is no unit's to execute. */
static const struct golden {
    const char *name, *what;
    void (*put)(struct program *prog);
    unsigned taken; /* bit n: the n-th branch within the hit path is taken        */
} goldens[] = {
    {"load", "A load", put_load},
    {"store", "A store", put_store},
    {"two_loads", "Loads off one base share a check", put_two_loads},
    {"loop", "A loop: accesses remember the page that they reached", put_loop},
    {"amoadd", "An atomic operation", put_amoadd},
    {"lr_sc", "Load reserved, store conditional", put_lr_sc, 1},
    {"rotate", "A rotation in three instructions", put_rotate},
    {"branch", "A branch that leaves the unit", put_branch},
    {"call", "A call, which remembers where it returns to", put_call},
    {"return", "A return to where the last call said", put_return},
    {"fadd", "Floating point, ready for it", put_fadd},
    {"csr", "A CSR that is a field of the hart", put_csr},
    {"instret", "A CSR that is not", put_instret},
    {"ecall", "A system call", put_ecall},
};

/* --- IR, by guest instruction -------------------------------------------------------- */

/** What the lines of one kind say, before the first place, and of each. */
struct by_place {
    char *text[MAX_PLACES + 1];
};

static void by_place_free(struct by_place *all)
{
    for (unsigned n = 0; n <= MAX_PLACES; n++)
        free(all->text[n]);
}

/** One line of IR, with fields of the guest named. */
static void print_ir_line(const char *line, const char *end, FILE *to)
{
    const char *at = strstr(line, "[guest");

    line += strspn(line, " ");
    if (at && at < end) {
        at += strlen("[guest");
        fprintf(to, "%.*s.", (int)(at - line), line);
        name_field(*at == ']' ? 0 : strtol(at + strlen(" + "), NULL, 0), to);
        line = at + strcspn(at, "]");
    }
    fprintf(to, "%.*s\n", (int)(end - line), line);
}

static struct by_place split_ir(const struct jit_ir *ir)
{
    struct by_place all = {{NULL}};
    char *text = NULL;
    size_t size = 0, part_size = 0;
    unsigned place = 0;
    FILE *to = open_memstream(&text, &size);

    jit_ir_print(ir, to);
    fclose(to);
    to = open_memstream(&all.text[0], &part_size);
    for (const char *at = text, *end; *at; at = end + 1) {
        end = strchr(at, '\n');
        if (!strncmp(at, "place ", 6)) {
            fclose(to);
            assert_true(place < MAX_PLACES);
            to = open_memstream(&all.text[++place], &part_size);
        } else {
            print_ir_line(at, end, to);
        }
    }
    fclose(to);
    free(text);
    return all;
}

/* --- One unit ----------------------------------------------------------------------------- */

static void translate(struct jit_ir *ir)
{
    struct rv_trace trace;
    char why[200];

    assert_true(rv_translate(fix.hart, ram_of(&fix) + (CODE - RAM), 0, NULL, ir, &trace));
    if (!jit_ir_verify(ir, why, sizeof(why)))
        fail_msg("%s", why);
}

/** Make host code of it.  Returns  whether that can be had, and read */
static bool make_host(struct host *host)
{
    const struct jit_options options = {
        .struct_size = sizeof(options), .opt = JIT_OPT_ALL, .cache_size = 1 << 20,
        .guest = &rv_jit_guest, .state = fix.hart};
    struct jit_unit *unit;
    const void *code;
    size_t size;
    bool full;

    if (!jit_supported())
        return false;
    fix.hart->jit.fast = fix.hart->fast;
    assert_int_equal(jit_new(&options, &host->jit), 0);
    translate(jit_begin(host->jit, 0));
    unit = jit_end(host->jit, ram_of(&fix) + (CODE - RAM), STAMP, &full);
    assert_non_null(unit);
    size = jit_unit_code(unit, &code);
    host->versions = (uintptr_t)fix.hart->fast->granules->version;
    host->code = code;
    host->end = (uintptr_t)code + size;
    host->hot = (uintptr_t)code + jit_place_code(host->jit, host->jit->ir.n_places);
    return read_host(host);
}

static void print_guest(const struct jit_place *place, FILE *to)
{
    struct rv_insn insn;
    uint32_t word;
    char text[80];

    memcpy(&word, ram_of(&fix) + (CODE - RAM) + place->offset, 4);
    rv_decode(&fix.hart->isa, word, &insn);
    rv_insn_text(&insn, (uint64_t)place->offset, text, sizeof(text));
    fprintf(to, "\n0x%x: %s\n", (unsigned)place->offset, text);
}

static void print_lines(const char *text, const char *tag, FILE *to)
{
    for (const char *end; *text; text = end + 1) {
        end = strchr(text, '\n');
        fprintf(to, "  %s  %.*s\n", tag, (int)(end - text), text);
    }
}

/** The passes below are those that a unit goes through. */
static void assert_same_ir(const struct jit_ir *ir, const struct jit_ir *of_unit)
{
    const struct jit_ir *const both[] = {ir, of_unit};
    char *text[2];
    size_t size;

    for (unsigned n = 0; n < 2; n++) {
        FILE *to = open_memstream(&text[n], &size);

        jit_ir_print(both[n], to);
        fclose(to);
    }
    assert_string_equal(text[0], text[1]);
    free(text[0]);
    free(text[1]);
}

/** All that becomes of a program; @host may be NULL. */
static char *describe(const struct golden *golden, struct host *host)
{
    struct by_place built, optimised;
    struct jit_ir ir;
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);

    jit_ir_init(&ir, rv_jit_guest.globals, rv_jit_guest.n_globals);
    translate(&ir);
    built = split_ir(&ir);
    jit_opt_fold(&ir);
    jit_opt_check(&ir);
    jit_opt_dead(&ir);
    optimised = split_ir(&ir);
    if (host)
        assert_same_ir(&ir, &host->jit->ir);
    fprintf(to, "# %s.\n", golden->what);
    if (host)
        fprintf(to, "  x64  ; %u instructions from the beginning to the end, where all hits\n",
                host->count);
    for (unsigned n = 0; n <= ir.n_places; n++) {
        if (n)
            print_guest(&ir.place[n - 1], to);
        else
            fputs("\nbeginning\n", to);
        print_lines(built.text[n], "ir ", to);
        if (strcmp(built.text[n], optimised.text[n]))
            print_lines(optimised.text[n], "opt", to);
        if (host)
            print_part(host, n ? jit_place_code(host->jit, n - 1) : 0,
                       jit_place_code(host->jit, n), to);
    }
    fclose(to);
    by_place_free(&built);
    by_place_free(&optimised);
    jit_ir_fini(&ir);
    return text;
}

/* --- Tests ----------------------------------------------------------------------------------- */

static bool with_host, writes;

static int set_up(void **state)
{
    const struct rv_isa isa = fixture_isa();

    fixture_init(&fix, &isa);
    return 0;
}

static int tear_down(void **state)
{
    rv_kept_free(fix.hart);
    fixture_fini(&fix);
    return 0;
}

static void test_golden(void **state)
{
    const struct golden *const golden = *state;
    static struct golden_lines was, is;
    static struct host host;
    struct program prog = {&fix, CODE};
    char path[400], *now, *before;

    snprintf(path, sizeof(path), "%s/%s.txt", GOLDEN_DIR, golden->name);
    golden->put(&prog);
    put_wfi(&prog);
    host = (struct host){0};
    if (with_host) {
        assert_true(make_host(&host));
        follow(&host, golden->taken);
    }
    now = describe(golden, with_host ? &host : NULL);
    jit_free(host.jit);
    if (writes) {
        assert_true(golden_write(path, now));
        free(now);
        return;
    }
    before = golden_read(path);
    if (!before)
        fail_msg("%s cannot be read: run golden_test host with SM_GOLDEN=write", path);
    golden_cut(&was, before, with_host ? NULL : "  x64  ");
    golden_cut(&is, now, NULL);
    if (!was.n || !is.n || golden_diff(path, &was, &is, stderr))
        fail_msg("%s differs; SM_GOLDEN=write has golden_test host write it anew", path);
    free(before);
    free(now);
}

/** Why host code cannot be shown, or NULL. */
static const char *missing(void)
{
    static struct host host;
    struct program prog = {&fix, CODE};
    bool reads;

    if (!jit_supported())
        return "no back end for this host";
    set_up(NULL);
    put_load(&prog);
    reads = make_host(&host);
    jit_free(host.jit);
    tear_down(NULL);
    return reads ? NULL : "built without Capstone";
}

int main(int argc, char **argv)
{
    const char *const how = getenv("SM_GOLDEN"), *why;
    struct CMUnitTest tests[SM_ARRAY_LEN(goldens)];

    with_host = argc == 2 && !strcmp(argv[1], "host");
    writes = with_host && how && !strcmp(how, "write");
    if (!with_host && (argc != 2 || strcmp(argv[1], "ir"))) {
        fputs("usage: golden_test ir | host\n", stderr);
        return 2;
    }
    why = with_host ? missing() : NULL;
    if (why) {
        puts(why);
        return SKIPPED;
    }
    for (unsigned n = 0; n < SM_ARRAY_LEN(goldens); n++)
        tests[n] = (struct CMUnitTest){goldens[n].name, test_golden, set_up, tear_down,
                                       (void *)(uintptr_t)&goldens[n]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
