/* SPDX-License-Identifier: MIT */
/* options_size.c - reads how large the machine is: memory and harts. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cli/options_impl.h"

/* --- -m ------------------------------------------------------------------------- */

static int set_size(struct parser *parser, const char *key, const char *text,
                    unsigned shift, uint64_t *bytes)
{
    const int result = option_parse_size(text, shift, bytes);

    if (result == -ERANGE || (!result && *bytes > UINT64_MAX - 8191))
        return option_error(parser, "Value '%s' is out of range for parameter '%s'", text,
                            key);
    if (result)
        return option_error(parser, "Parameter '%s' expects a non-negative number "
                            "below 2^64", key);
    return 0;
}

static int set_memory(struct parser *parser, const GArray *pairs, uint64_t *bytes)
{
    uint64_t size = UINT64_C(128) << 20, most = 0, slots = 0;
    bool has_most = false;
    int result = 0;

    for (guint i = 0; i < pairs->len && !result; i++) {
        const struct option_pair *pair = &g_array_index(pairs, struct option_pair, i);

        if (strcmp(pair->key, "size") == 0) {
            result = set_size(parser, "size", pair->value, 20, &size);
        } else if (strcmp(pair->key, "maxmem") == 0) {
            result = set_size(parser, "maxmem", pair->value, 0, &most);
            has_most = true;
        } else if (strcmp(pair->key, "slots") == 0) {
            if (!option_parse_number(pair->value, &slots))
                result = option_error(parser, "Parameter 'slots' expects a number");
        } else {
            result = option_error(parser, "Invalid parameter '%s'", pair->key);
        }
    }
    if (result)
        return result;
    if (size == 0)
        return option_error(parser, "Parameter 'size' expects a size above 0");
    size = (size + 8191) & ~UINT64_C(8191);
    if (has_most && most < size)
        return option_error_bare(parser,
                                 "invalid value of maxmem: maximum memory size "
                                 "(0x%" PRIx64
                                 ") must be at least the initial memory size "
                                 "(0x%" PRIx64 ")",
                                 most, size);
    if (slots && !has_most)
        return option_error_bare(parser, "slots specified but no max-size");
    *bytes = size;
    return 0;
}

int option_memory(struct parser *parser, const char *text)
{
    GArray *pairs;
    int result = option_list(parser, text, "size", false, &pairs);

    if (result)
        return result;
    result = set_memory(parser, pairs, &parser->config->ram_size);
    option_list_free(pairs);
    return result;
}

int options_parse_memory(const char *text, uint64_t *bytes, char **error)
{
    struct machine_config config = {0};
    struct parser parser = {.config = &config, .error = error};
    const int result = option_memory(&parser, text);

    if (!result)
        *bytes = config.ram_size;
    return result;
}

/* --- -smp ----------------------------------------------------------------------- */

static int set_smp(struct parser *parser, const char *key, const char *text)
{
    static const struct {
        const char *key;
        size_t field; /* in struct option_smp; SIZE_MAX: must be 1             */
    } keys[] = {
        {"cpus", offsetof(struct option_smp, cpus)},
        {"maxcpus", offsetof(struct option_smp, maxcpus)},
        {"sockets", offsetof(struct option_smp, sockets)},
        {"cores", offsetof(struct option_smp, cores)},
        {"threads", offsetof(struct option_smp, threads)},
        {"dies", SIZE_MAX}, {"clusters", SIZE_MAX}, {"modules", SIZE_MAX},
        {"books", SIZE_MAX}, {"drawers", SIZE_MAX},
    };
    uint64_t value;
    size_t i = 0;

    while (i < SM_ARRAY_LEN(keys) && strcmp(keys[i].key, key) != 0)
        i++;
    if (i == SM_ARRAY_LEN(keys))
        return option_error_bare(parser, "Parameter 'smp.%s' is unexpected", key);
    if (!option_parse_number(text, &value))
        return option_error_bare(parser, "Parameter 'smp.%s' expects integer", key);
    if (value == 0)
        return option_error_bare(parser, "Invalid CPU topology: CPU topology parameters "
                                 "must be greater than zero");
    if (value > UINT32_MAX)
        return option_error_bare(parser, "Invalid SMP CPUs %s. The max CPUs supported by "
                                 "machine '%s' is %d", text, parser->config->board,
                                 MACHINE_MAX_HARTS);
    if (keys[i].field == SIZE_MAX)
        return value == 1 ? 0 : option_error_bare(parser, "%s > 1 not supported by this "
                                                  "machine's CPU topology", key);
    *(uint64_t *)(void *)((char *)&parser->smp + keys[i].field) = value;
    return 0;
}

int option_smp(struct parser *parser, const char *text)
{
    GArray *pairs;
    int result = option_list(parser, text, "cpus", true, &pairs);

    if (result)
        return result;
    for (guint i = 0; i < pairs->len && !result; i++) {
        const struct option_pair *pair = &g_array_index(pairs, struct option_pair, i);

        result = set_smp(parser, pair->key, pair->value);
    }
    option_list_free(pairs);
    return result;
}

int option_finish_smp(struct parser *parser)
{
    struct option_smp smp = parser->smp;
    const uint64_t wanted = smp.maxcpus ? smp.maxcpus : smp.cpus;

    if (!wanted) {
        smp.sockets = smp.sockets ? smp.sockets : 1;
        smp.cores = smp.cores ? smp.cores : 1;
        smp.threads = smp.threads ? smp.threads : 1;
    } else if (!smp.cores) {
        smp.sockets = smp.sockets ? smp.sockets : 1;
        smp.threads = smp.threads ? smp.threads : 1;
        smp.cores = wanted / smp.sockets / smp.threads;
    } else if (!smp.sockets) {
        smp.threads = smp.threads ? smp.threads : 1;
        smp.sockets = wanted / smp.cores / smp.threads;
    } else if (!smp.threads) {
        smp.threads = wanted / smp.cores / smp.sockets;
    }
    if (!smp.maxcpus)
        smp.maxcpus = wanted ? wanted : smp.sockets * smp.cores * smp.threads;
    if (!smp.cpus)
        smp.cpus = smp.maxcpus;
    /* Each is below 2^32; the product of three need not fit. */
    if (smp.maxcpus > MACHINE_MAX_HARTS || smp.sockets > MACHINE_MAX_HARTS ||
        smp.cores > MACHINE_MAX_HARTS || smp.threads > MACHINE_MAX_HARTS)
        return option_error_bare(parser, "Invalid SMP CPUs %" PRIu64 ". The max CPUs "
                                 "supported by machine '%s' is %d",
                                 SM_MAX(smp.maxcpus, SM_MAX(smp.sockets,
                                        SM_MAX(smp.cores, smp.threads))),
                                 parser->config->board, MACHINE_MAX_HARTS);
    if (smp.sockets * smp.cores * smp.threads != smp.maxcpus)
        return option_error_bare(parser,
                                 "Invalid CPU topology: product of the hierarchy "
                                 "must match maxcpus: sockets (%" PRIu64
                                 ") * cores (%" PRIu64 ") * threads (%" PRIu64
                                 ") != maxcpus (%" PRIu64 ")",
                                 smp.sockets, smp.cores, smp.threads, smp.maxcpus);
    if (smp.maxcpus < smp.cpus)
        return option_error_bare(
            parser,
            "Invalid CPU topology: maxcpus must be equal to or "
            "greater than smp: sockets (%" PRIu64 ") * cores (%" PRIu64
            ") * threads (%" PRIu64 ") == maxcpus (%" PRIu64 ") < smp_cpus (%" PRIu64 ")",
            smp.sockets, smp.cores, smp.threads, smp.maxcpus, smp.cpus);
    parser->config->n_harts = (unsigned)smp.cpus;
    return 0;
}
