/* SPDX-License-Identifier: MIT */
/* isa_test.c - models, properties and the isa string. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "riscv/riscv.h"

static struct rv_isa model(const char *name)
{
    struct rv_isa isa;

    assert_int_equal(rv_isa_init(&isa, name), 0);
    return isa;
}

static void set(struct rv_isa *isa, const char *name, const char *value)
{
    if (rv_isa_set(isa, name, value))
        fail_msg("%s=%s is refused", name, value);
}

static void test_models(void **state)
{
    struct rv_isa isa = model("rv64");

    assert_null(rv_isa_check(&isa));
    assert_int_equal(isa.satp_mode_max, 10);
    assert_int_equal(isa.n_pmp, 16);
    assert_int_equal(isa.cbom_size, 64);
    assert_true(rv_isa_has(&isa, RV_EXT_D));
    assert_false(rv_isa_has(&isa, RV_EXT_ZICOND));
    isa = model("max");
    assert_null(rv_isa_check(&isa));
    for (unsigned ext = 0; ext < RV_N_EXT; ext++) /* with Svade, Svadu would be off at reset */
        assert_int_equal(rv_isa_has(&isa, (enum rv_ext)ext), ext != RV_EXT_SVADE);
    assert_int_equal(rv_isa_init(&isa, "rv128"), -ENOENT);
    for (unsigned n = 0; rv_isa_model_name(n); n++)
        model(rv_isa_model_name(n));
    assert_non_null(rv_isa_model_name(1));
    assert_null(rv_isa_model_name(2));
}

static void test_string(void **state)
{
    static const char *const off[] = {"zihpm", "zihintpause", "zicntr", "zicbop", "zawrs",
                                      "zfa", "zba", "zbb", "zbc", "zbs", "sstc"};
    struct rv_isa isa = model("rv64");
    char text[256];

    for (size_t n = 0; n < sizeof(off) / sizeof(*off); n++)
        set(&isa, off[n], "off");
    assert_int_equal(rv_isa_string(&isa, text, sizeof(text)), 45);
    assert_string_equal(text, "rv64imafdc_zicbom_zicboz_zicsr_zifencei_svadu");
    assert_int_equal(rv_isa_string(&isa, text, 8), 45);
    assert_string_equal(text, "rv64ima");
    text[0] = 'x';
    assert_int_equal(rv_isa_string(&isa, text, 0), 45);
    assert_int_equal(text[0], 'x');
    assert_string_equal(rv_ext_name(RV_EXT_ZICBOM), "zicbom");
    assert_null(rv_ext_name(RV_N_EXT));
    assert_false(rv_ext_in_isa_string(RV_EXT_U));
}

static void test_switches(void **state)
{
    static const char *const on[] = {"on", "true", "yes", "y"},
                             *const off[] = {"off", "false", "no", "n"};
    struct rv_isa isa = model("rv64");

    for (unsigned n = 0; n < 4; n++) {
        set(&isa, "zba", off[n]);
        assert_false(rv_isa_has(&isa, RV_EXT_ZBA));
        set(&isa, "zba", on[n]);
        assert_true(rv_isa_has(&isa, RV_EXT_ZBA));
    }
    assert_int_equal(rv_isa_set(&isa, "zba", "maybe"), -EINVAL);
    assert_int_equal(rv_isa_set(&isa, "zba", "1"), -EINVAL);
    assert_true(rv_isa_has(&isa, RV_EXT_ZBA));
    set(&isa, "Zifencei", "off");
    assert_false(rv_isa_has(&isa, RV_EXT_ZIFENCEI));
    assert_int_equal(rv_isa_set(&isa, "Zba", "on"), -ENOENT);
    set(&isa, "pmp", "off");
    assert_int_equal(isa.n_pmp, 0);
    set(&isa, "b", "off");
    assert_true(rv_isa_has(&isa, RV_EXT_ZBS));
    set(&isa, "zbs", "off");
    set(&isa, "b", "on");
    assert_true(rv_isa_has(&isa, RV_EXT_ZBS));
    set(&isa, "g", "on");
    assert_true(rv_isa_has(&isa, RV_EXT_ZIFENCEI));
    set(&isa, "zicsr", "off");
    assert_false(rv_isa_has(&isa, RV_EXT_ZICNTR));
}

/** Names that QEMU has: asking for what we lack fails, doing without it does not. */
static void test_absent(void **state)
{
    static const char *const absent[] = {"v",       "h",        "e",    "zve32f",
                                         "zicfilp", "ztso",     "zfh",  "zacas",
                                         "smaia",   "rva23s64", "sv64", "debug"};
    static const char *const inherent[] = {"zihintntl", "ziccrse", "svvptc",
                                           "zic64b",    "zmmul",   "zaamo",
                                           "zalrsc",    "zca",     "zcd"};
    struct rv_isa isa = model("rv64");
    struct rv_isa before = isa;

    for (size_t n = 0; n < sizeof(absent) / sizeof(*absent); n++) {
        assert_int_equal(rv_isa_set(&isa, absent[n], "off"), 0);
        assert_int_equal(rv_isa_set(&isa, absent[n], "on"), -ENOTSUP);
        assert_int_equal(rv_isa_set(&isa, absent[n], "maybe"), -EINVAL);
    }
    for (size_t n = 0; n < sizeof(inherent) / sizeof(*inherent); n++) {
        assert_int_equal(rv_isa_set(&isa, inherent[n], "off"), 0);
        assert_int_equal(rv_isa_set(&isa, inherent[n], "on"), 0);
        assert_int_equal(rv_isa_set(&isa, inherent[n], "maybe"), -EINVAL);
    }
    assert_memory_equal(&isa, &before, sizeof(isa));
    set(&isa, "a", "off");
    assert_int_equal(rv_isa_set(&isa, "zalrsc", "on"), -ENOTSUP);
    set(&isa, "cboz_blocksize", "128");
    assert_int_equal(rv_isa_set(&isa, "zic64b", "on"), -ENOTSUP);
    assert_int_equal(rv_isa_set(&isa, "nonsense", "on"), -ENOENT);
    assert_int_equal(rv_isa_set(&isa, "nonsense", "what"), -ENOENT);
    assert_int_equal(rv_isa_set(&isa, "", ""), -ENOENT);
}

static void test_numbers(void **state)
{
    static const struct {
        const char *name, *value;
        int error;
    } cases[] = {
        {"cbom_blocksize", "32", 0},     {"cbom_blocksize", "0x80", 0},
        {"cbom_blocksize", "7", -EINVAL}, {"cbom_blocksize", "96", -EINVAL},
        {"cbom_blocksize", "8192", -EINVAL}, {"cbom_blocksize", "", -EINVAL},
        {"cbom_blocksize", "64k", -EINVAL},  {"cbom_blocksize", "-64", -EINVAL},
        {"mvendorid", "0xffffffff", 0},  {"mvendorid", "0x100000000", -EINVAL},
        {"marchid", "0xffffffffffffffff", 0}, {"mimpid", "18446744073709551616", -EINVAL},
        {"pmu-num", "8", 0},             {"pmu-num", "30", -EINVAL},
        {"pmu-mask", "0x7fff8", 0},      {"pmu-mask", "1", -EINVAL},
        {"vlen", "256", 0},              {"rvv_ta_all_1s", "true", 0},
        {"priv_spec", "v1.12.0", 0},     {"priv_spec", "v1.9", -EINVAL},
        {"vext_spec", "v1.0", 0},        {"vext_spec", "v0.7", -EINVAL},
        {"resetvec", "0x1000", 0},       {"resetvec", "0x2000", -ENOTSUP},
    };
    struct rv_isa isa = model("rv64");

    for (size_t n = 0; n < sizeof(cases) / sizeof(*cases); n++)
        if (rv_isa_set(&isa, cases[n].name, cases[n].value) != cases[n].error)
            fail_msg("%s=%s", cases[n].name, cases[n].value);
    assert_int_equal(isa.cbom_size, 128);
    assert_int_equal(isa.cboz_size, 64);
    assert_int_equal(isa.mvendorid, 0xffffffff);
    assert_int_equal(isa.marchid, UINT64_MAX);
    assert_int_equal(isa.mimpid, 0);
}

static void test_satp(void **state)
{
    static const struct {
        const char *set[4]; /* names; turned off where they begin with '!' */
        unsigned max;
        const char *reason;
    } cases[] = {
        {{NULL}, 10, NULL},
        {{"sv39"}, 8, NULL},
        {{"sv48"}, 9, NULL},
        {{"sv57", "sv39"}, 10, NULL},
        {{"sv39", "sv48"}, 9, NULL},
        {{"!sv57"}, 9, NULL},
        {{"!sv48"}, 8, NULL},
        {{"!sv39"}, 0, NULL},
        {{"!sv57", "sv39"}, 8, NULL},
        {{"sv57", "!sv57"}, 9, NULL},
        {{"sv57", "!sv48"}, 10, "cannot disable sv48 satp mode if sv57 is enabled"},
        {{"sv48", "!sv39"}, 9, "cannot disable sv39 satp mode if sv48 is enabled"},
        {{"!mmu"}, 0, NULL},
        {{"!mmu", "sv48"}, 0, NULL},
        {{"!mmu", "mmu"}, 10, NULL},
    };

    for (size_t n = 0; n < sizeof(cases) / sizeof(*cases); n++) {
        struct rv_isa isa = model("rv64");

        for (unsigned k = 0; k < 4 && cases[n].set[k]; k++)
            set(&isa, cases[n].set[k] + (cases[n].set[k][0] == '!'),
                cases[n].set[k][0] == '!' ? "off" : "on");
        if (isa.satp_mode_max != cases[n].max)
            fail_msg("case %zu: %u", n, isa.satp_mode_max);
        if (cases[n].reason)
            assert_string_equal(rv_isa_check(&isa), cases[n].reason);
        else
            assert_null(rv_isa_check(&isa));
    }
}

/** In QEMU's words. */
static void test_check(void **state)
{
    static const struct {
        const char *off[4], *reason;
    } cases[] = {
        {{"i"}, "Either I or E extension must be set"},
        {{"f"}, "Zfa extension requires F extension"},
        {{"f", "zfa"}, "D extension requires F extension"},
        {{"f", "d", "zfa"}, NULL},
        {{"d"}, NULL},
        {{"a"}, "Zawrs extension requires A extension"},
        {{"a", "zawrs"}, NULL},
        {{"u"}, "Setting S extension without U extension is illegal"},
        {{"u", "s"}, NULL},
        {{"zicsr"}, "F extension requires Zicsr"},
        {{"zicsr", "f", "d", "zfa"}, NULL},
        {{"c"}, NULL},
        {{"m"}, NULL},
    };

    for (size_t n = 0; n < sizeof(cases) / sizeof(*cases); n++) {
        struct rv_isa isa = model("rv64");
        const char *reason;

        for (unsigned k = 0; k < 4 && cases[n].off[k]; k++)
            set(&isa, cases[n].off[k], "off");
        reason = rv_isa_check(&isa);
        if (!cases[n].reason != !reason || (reason && strcmp(reason, cases[n].reason)))
            fail_msg("case %zu: %s", n, reason ? reason : "none");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_models),  cmocka_unit_test(test_string),
        cmocka_unit_test(test_switches), cmocka_unit_test(test_absent),
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_satp),
        cmocka_unit_test(test_check),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
