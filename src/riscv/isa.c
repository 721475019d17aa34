/* SPDX-License-Identifier: MIT */
/* isa.c - says what a hart implements: models, properties and the isa string. */
#include "base/base.h"
#include "riscv/riscv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

SM_STATIC_ASSERT((int)RV_N_EXT <= 64, "rv_isa.ext has a bit for each");

static const struct {
    const char *name;
    bool rv64, max, isa;
} rv_ext_table[RV_N_EXT] = {
#define RV_EXT(id, name, rv64, max, isa) [RV_EXT_##id] = {name, rv64, max, isa},
#include "riscv/ext.def"
#undef RV_EXT
};

enum { SATP_BARE = 0, SATP_SV39 = 8, SATP_SV48 = 9, SATP_SV57 = 10, SATP_SV64 = 11 };

static uint64_t rv_bit(enum rv_ext ext)
{
    return UINT64_C(1) << ext;
}

const char *rv_ext_name(enum rv_ext ext)
{
    return (unsigned)ext < RV_N_EXT ? rv_ext_table[ext].name : NULL;
}

bool rv_ext_in_isa_string(enum rv_ext ext)
{
    return (unsigned)ext < RV_N_EXT && rv_ext_table[ext].isa;
}

const char *rv_isa_model_name(unsigned n)
{
    static const char *const names[] = {"max", "rv64"};

    return n < SM_ARRAY_LEN(names) ? names[n] : NULL;
}

int rv_isa_init(struct rv_isa *isa, const char *name)
{
    const bool max = !strcmp(name, "max");
    struct rv_isa made = {
        .satp_mode_max = SATP_SV57,
        .n_pmp = 16,
        .cbom_size = 64,
        .cboz_size = 64,
        .cbop_size = 64,
    };

    if (!max && strcmp(name, "rv64"))
        return -ENOENT;
    for (unsigned n = 0; n < RV_N_EXT; n++)
        if (max ? rv_ext_table[n].max : rv_ext_table[n].rv64)
            made.ext |= rv_bit((enum rv_ext)n);
    *isa = made;
    return 0;
}

/* --- Values ---------------------------------------------------------------- */

static int rv_parse_bool(const char *value, bool *on)
{
    static const struct {
        const char *text;
        bool on;
    } words[] = {{"on", true},   {"true", true},   {"yes", true}, {"y", true},
                 {"off", false}, {"false", false}, {"no", false}, {"n", false}};

    for (unsigned n = 0; n < SM_ARRAY_LEN(words); n++) {
        if (!strcmp(value, words[n].text)) {
            *on = words[n].on;
            return 0;
        }
    }
    return -EINVAL;
}

static int rv_parse_number(const char *value, uint64_t max, uint64_t *number)
{
    char *end;
    unsigned long long parsed;

    if (value[0] < '0' || value[0] > '9')
        return -EINVAL;
    errno = 0;
    parsed = strtoull(value, &end, 0);
    if (errno || *end || parsed > max)
        return -EINVAL;
    *number = parsed;
    return 0;
}

/* --- Properties ------------------------------------------------------------ */

/** What we lack.  Off asks for nothing. */
static const char *const rv_absent[] = {
    "e", "h", "v", "debug", "short-isa-string", "x-misa-w", "x-svukte",
    "rva22u64", "rva22s64", "rva23u64", "rva23s64", "sha", "smaia", "smcdeleg",
    "smcntrpmf", "smcsrind", "smctr", "smdbltrp", "smepmp", "smmpm", "smnpm", "smrnmi",
    "smstateen", "ssaia", "ssccfg", "sscofpmf", "sscsrind", "ssctr", "ssdbltrp", "ssnpm",
    "sspm", "ssstateen", "supm", "xtheadba", "xtheadbb", "xtheadbs", "xtheadcmo",
    "xtheadcondmov", "xtheadfmemidx", "xtheadfmv", "xtheadmac", "xtheadmemidx",
    "xtheadmempair", "xtheadsync", "xventanacondops", "zabha", "zacas", "zama16b", "zbkb",
    "zbkc", "zbkx", "zcb", "zce", "zcf", "zcmop", "zcmp", "zcmt", "zdinx", "zfbfmin",
    "zfh", "zfhmin", "zfinx", "zhinx", "zhinxmin", "zicfilp", "zicfiss", "zimop", "zk",
    "zkn", "zknd", "zkne", "zknh", "zkr", "zks", "zksed", "zksh", "zkt", "ztso", "zvbb",
    "zvbc", "zve32f", "zve32x", "zve64d", "zve64f", "zve64x", "zvfbfmin", "zvfbfwma",
    "zvfh", "zvfhmin", "zvkb", "zvkg", "zvkn", "zvknc", "zvkned", "zvkng", "zvknha",
    "zvknhb", "zvks", "zvksc", "zvksed", "zvksg", "zvksh", "zvkt",
};

/** Names of what every hart of ours has: no state of its own hangs on them. */
static const char *const rv_inherent[] = {
    "zihintntl", /* its hints write x0                                         */
    "ziccrse",   /* LR/SC progress in main memory                              */
    "svvptc",    /* a translation that is not valid is never kept              */
};

/** Parts that come and go with a whole. */
static const struct {
    const char *name;
    enum rv_ext whole;
} rv_part_table[] = {
    {"zmmul", RV_EXT_M}, {"zaamo", RV_EXT_A}, {"zalrsc", RV_EXT_A},
    {"zca", RV_EXT_C},   {"zcd", RV_EXT_C},
};

static bool rv_listed(const char *const *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(list[i], name))
            return true;
    return false;
}

/** Extensions that the property @name stands for, or 0. */
static uint64_t rv_ext_group(const char *name)
{
    if (!strcmp(name, "g"))
        return rv_bit(RV_EXT_I) | rv_bit(RV_EXT_M) | rv_bit(RV_EXT_A) |
               rv_bit(RV_EXT_F) | rv_bit(RV_EXT_D) | rv_bit(RV_EXT_ZICSR) |
               rv_bit(RV_EXT_ZIFENCEI);
    if (!strcmp(name, "b"))
        return rv_bit(RV_EXT_ZBA) | rv_bit(RV_EXT_ZBB) | rv_bit(RV_EXT_ZBS);
    return 0;
}

/** Find the extension @name; QEMU's older spellings begin with a capital Z. */
static bool rv_ext_find(const char *name, enum rv_ext *ext)
{
    static const char *const older[] = {"Zicsr", "Zifencei", "Zihintpause", "Zawrs",
                                        "Zfa"};
    const bool old = rv_listed(older, SM_ARRAY_LEN(older), name);

    for (unsigned n = 0; n < RV_N_EXT; n++) {
        if (!(old ? strcasecmp : strcmp)(rv_ext_table[n].name, name)) {
            *ext = (enum rv_ext)n;
            return true;
        }
    }
    return false;
}

static void rv_ext_set(struct rv_isa *isa, enum rv_ext ext, bool on)
{
    if (on) {
        isa->ext |= rv_bit(ext);
        return;
    }
    isa->ext &= ~rv_bit(ext);
    if (ext == RV_EXT_ZICSR) /* counters are CSRs */
        isa->ext &= ~(rv_bit(RV_EXT_ZICNTR) | rv_bit(RV_EXT_ZIHPM));
}

/** The number of satp.MODE that the property @name switches; 0 for "mmu"; or -1. */
static int rv_satp_mode(const char *name)
{
    static const struct {
        const char *name;
        int mode;
    } table[] = {{"mmu", SATP_BARE},  {"sv39", SATP_SV39}, {"sv48", SATP_SV48},
                 {"sv57", SATP_SV57}, {"sv64", SATP_SV64}};

    for (unsigned n = 0; n < SM_ARRAY_LEN(table); n++)
        if (!strcmp(name, table[n].name))
            return table[n].mode;
    return -1;
}

/** Derive the largest mode: the highest that was asked for; else the one below the
 *  lowest that was refused; else Sv57. */
static void rv_satp_update(struct rv_isa *isa)
{
    int max = SATP_SV57;

    if (isa->satp_off & 1) {
        max = SATP_BARE;
    } else if (isa->satp_on & ~1u) {
        while (!((isa->satp_on >> max) & 1))
            max--;
    } else {
        for (int mode = SATP_SV57; mode >= SATP_SV39; mode--)
            if ((isa->satp_off >> mode) & 1)
                max = mode == SATP_SV39 ? SATP_BARE : mode - 1;
    }
    isa->satp_mode_max = (uint8_t)max;
}

static int rv_satp_set(struct rv_isa *isa, int mode, const char *value)
{
    const uint16_t bit = (uint16_t)(1u << mode);
    bool on;

    if (rv_parse_bool(value, &on))
        return -EINVAL;
    if (mode == SATP_SV64)
        return on ? -ENOTSUP : 0;
    isa->satp_on = (uint16_t)(on ? isa->satp_on | bit : isa->satp_on & ~bit);
    isa->satp_off = (uint16_t)(on ? isa->satp_off & ~bit : isa->satp_off | bit);
    rv_satp_update(isa);
    return 0;
}

/** Block sizes: an instruction's block lies within one page. */
static int rv_block_size_set(uint16_t *size, const char *value)
{
    uint64_t number;

    if (rv_parse_number(value, 4096, &number) || number < 8 || (number & (number - 1)))
        return -EINVAL;
    *size = (uint16_t)number;
    return 0;
}

static int rv_spec_set(const char *const *known, size_t n, const char *value)
{
    return rv_listed(known, n, value) ? 0 : -EINVAL;
}

/** Properties that are neither an extension nor a mode.  -ENOENT: not one. */
static int rv_other_set(struct rv_isa *isa, const char *name, const char *value)
{
    static const char *const priv_specs[] = {"v1.10.0", "v1.11.0", "v1.12.0", "v1.13.0"};
    static const char *const vext_specs[] = {"v1.0"};
    static const char *const rvv[] = {"rvv_ta_all_1s", "rvv_ma_all_1s",
                                      "rvv_vl_half_avl"};
    uint64_t number;
    bool on;

    if (!strcmp(name, "pmp")) {
        if (rv_parse_bool(value, &on))
            return -EINVAL;
        isa->n_pmp = on ? 16 : 0;
        return 0;
    }
    if (!strcmp(name, "cbom_blocksize"))
        return rv_block_size_set(&isa->cbom_size, value);
    if (!strcmp(name, "cboz_blocksize"))
        return rv_block_size_set(&isa->cboz_size, value);
    if (!strcmp(name, "cbop_blocksize"))
        return rv_block_size_set(&isa->cbop_size, value);
    if (!strcmp(name, "mvendorid"))
        return rv_parse_number(value, UINT32_MAX, &isa->mvendorid);
    if (!strcmp(name, "marchid"))
        return rv_parse_number(value, UINT64_MAX, &isa->marchid);
    if (!strcmp(name, "mimpid"))
        return rv_parse_number(value, UINT64_MAX, &isa->mimpid);
    if (!strcmp(name, "priv_spec"))
        return rv_spec_set(priv_specs, SM_ARRAY_LEN(priv_specs), value);
    if (!strcmp(name, "vext_spec"))
        return rv_spec_set(vext_specs, SM_ARRAY_LEN(vext_specs), value);
    if (!strcmp(name, "pmu-num")) /* of counters that count nothing, so any serve */
        return rv_parse_number(value, 29, &number);
    if (!strcmp(name, "pmu-mask")) {
        if (rv_parse_number(value, UINT32_MAX, &number))
            return -EINVAL;
        return number & 7 ? -EINVAL : 0;
    }
    if (!strcmp(name, "vlen") || !strcmp(name, "elen")) /* of no vectors */
        return rv_parse_number(value, UINT16_MAX, &number);
    if (rv_listed(rvv, SM_ARRAY_LEN(rvv), name))
        return rv_parse_bool(value, &on);
    if (!strcmp(name, "resetvec")) {
        if (rv_parse_number(value, UINT64_MAX, &number))
            return -EINVAL;
        return number == 0x1000 ? 0 : -ENOTSUP;
    }
    return -ENOENT;
}

int rv_isa_set(struct rv_isa *isa, const char *name, const char *value)
{
    const uint64_t group = rv_ext_group(name);
    const int mode = rv_satp_mode(name);
    enum rv_ext ext;
    int error;
    bool on;

    if (mode >= 0)
        return rv_satp_set(isa, mode, value);
    error = rv_other_set(isa, name, value);
    if (error != -ENOENT)
        return error;

    if (rv_parse_bool(value, &on))
        on = false, error = -EINVAL; /* unless the name is the greater mistake */
    else
        error = 0;
    if (rv_ext_find(name, &ext)) {
        if (!error)
            rv_ext_set(isa, ext, on);
        return error;
    }
    if (group) { /* turned off, it takes nothing away: each has its own property */
        if (on)
            isa->ext |= group;
        return error;
    }
    for (unsigned n = 0; n < SM_ARRAY_LEN(rv_part_table); n++)
        if (!strcmp(rv_part_table[n].name, name))
            return on && !rv_isa_has(isa, rv_part_table[n].whole) ? -ENOTSUP : error;
    if (!strcmp(name, "zic64b")) /* all cache blocks are of 64 bytes */
        return on && (isa->cbom_size != 64 || isa->cboz_size != 64 ||
                      isa->cbop_size != 64)
                   ? -ENOTSUP
                   : error;
    if (rv_listed(rv_inherent, SM_ARRAY_LEN(rv_inherent), name))
        return error;
    if (rv_listed(rv_absent, SM_ARRAY_LEN(rv_absent), name))
        return on ? -ENOTSUP : error;
    return -ENOENT;
}

/* --- Whole ----------------------------------------------------------------- */

static const char *rv_satp_check(const struct rv_isa *isa)
{
    static const char *const reason[2][2] = {
        {"cannot disable sv39 satp mode if sv48 is enabled",
         "cannot disable sv39 satp mode if sv57 is enabled"},
        {NULL, "cannot disable sv48 satp mode if sv57 is enabled"},
    };

    if ((isa->satp_off & 1) || isa->satp_mode_max == SATP_BARE)
        return NULL;
    for (int mode = isa->satp_mode_max - 1; mode >= SATP_SV39; mode--)
        if ((isa->satp_off >> mode) & 1)
            return reason[mode - SATP_SV39][isa->satp_mode_max - SATP_SV48];
    return NULL;
}

const char *rv_isa_check(const struct rv_isa *isa)
{
    static const struct {
        enum rv_ext ext, needs;
        const char *reason;
    } rules[] = {
        {RV_EXT_S, RV_EXT_U, "Setting S extension without U extension is illegal"},
        {RV_EXT_F, RV_EXT_ZICSR, "F extension requires Zicsr"},
        {RV_EXT_ZAWRS, RV_EXT_A, "Zawrs extension requires A extension"},
        {RV_EXT_ZFA, RV_EXT_F, "Zfa extension requires F extension"},
        {RV_EXT_D, RV_EXT_F, "D extension requires F extension"},
        {RV_EXT_ZICNTR, RV_EXT_ZICSR, "zicntr requires zicsr"},
        {RV_EXT_ZIHPM, RV_EXT_ZICSR, "zihpm requires zicsr"},
    };

    if (!rv_isa_has(isa, RV_EXT_I))
        return "Either I or E extension must be set";
    for (unsigned n = 0; n < SM_ARRAY_LEN(rules); n++)
        if (rv_isa_has(isa, rules[n].ext) && !rv_isa_has(isa, rules[n].needs))
            return rules[n].reason;
    return rv_satp_check(isa);
}

size_t rv_isa_string(const struct rv_isa *isa, char *text, size_t size)
{
    size_t length = 0;

#define PUT(c)                                                                           \
    do {                                                                                 \
        if (length + 1 < size)                                                           \
            text[length] = (c);                                                          \
        length++;                                                                        \
    } while (0)

    for (const char *c = "rv64"; *c; c++)
        PUT(*c);
    for (unsigned n = 0; n < RV_N_EXT; n++) {
        const char *name = rv_ext_table[n].name;

        if (!rv_ext_table[n].isa || !rv_isa_has(isa, (enum rv_ext)n))
            continue;
        if (name[1])
            PUT('_');
        for (; *name; name++)
            PUT(*name);
    }
#undef PUT
    if (size)
        text[SM_MIN(length, size - 1)] = '\0';
    return length;
}
