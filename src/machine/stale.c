/* SPDX-License-Identifier: MIT */
/* stale.c - makes the machine's stale-translation checker and prints what it finds. */
#include "machine/board.h"

/** One line or several, whole, whichever hart's thread says it. */
static void print_report(const struct machine *machine, const struct sm_stale *stale)
{
    char text[2048];

    if (machine->stale.json) {
        rv_stale_json(stale, text, sizeof text);
        fprintf(stderr, "%s\n", text);
    } else {
        rv_stale_text(stale, text, sizeof text);
        fprintf(stderr, "%s: %s\n", g_get_prgname() ? g_get_prgname() : "softmmu", text);
    }
}

static void on_stale(void *owner, const struct sm_stale *stale)
{
    struct machine *machine = owner;

    print_report(machine, stale);
    if (machine->stale.stop) {
        vcpus_ask_pause(machine->vcpus); /* the guest goes no further than it must */
        machine_quit(machine, MACHINE_EXIT_STALE);
    }
}

static const struct sm_tlb_check_ops check_ops = {
    .struct_size = sizeof check_ops, .pc = rv_check_pc, .report = on_stale,
};

int machine_stale_new(struct machine *machine, const struct machine_stale *config)
{
    struct sm_tlb_check_options options = {
        .struct_size = sizeof options, .sample = config->sample,
        .ops = &check_ops, .owner = machine};

    machine->stale = *config;
    if (config->check)
        options.flags |= SM_TLB_CHECK_HITS;
    if (config->check && config->suspect)
        options.flags |= SM_TLB_CHECK_SUSPECT;
    if (config->keep)
        options.flags |= SM_TLB_KEEP_STALE;
    machine->check_flags = options.flags;
    return options.flags ? sm_tlb_check_new(&options, &machine->check) : 0;
}

void machine_stale_free(struct machine *machine)
{
    sm_tlb_check_free(machine->check);
    machine->check = NULL;
}

void machine_stale_print_stats(const struct machine *machine, FILE *file)
{
    static const char *const names[SM_N_STALE_KINDS] = {
        [SM_STALE_OWN] = "own entry, certain", [SM_STALE_ROOT] = "other root, certain",
        [SM_STALE_REUSED] = "page reused, certain",
        [SM_STALE_OWN_CODE] = "own code, certain",
        [SM_STALE_SUSPECT] = "entry of another hart, suspect",
        [SM_STALE_OTHER_CODE] = "code of another hart, suspect"};
    struct sm_tlb_check_stats stats = {.struct_size = sizeof stats};

    if (!machine->check)
        return;
    sm_tlb_check_get_stats(machine->check, &stats);
    fprintf(file, "hits compared: %" G_GINT64_MODIFIER "u\n", stats.compared);
    fprintf(file, "hits walked afresh: %" G_GINT64_MODIFIER "u\n", stats.walked);
    fprintf(file, "misses answered by kept translations: %" G_GINT64_MODIFIER "u\n",
            stats.kept);
    for (unsigned i = 0; i < SM_N_STALE_KINDS; i++)
        fprintf(file,
                "stale uses (%s): %" G_GINT64_MODIFIER "u, reports: %" G_GINT64_MODIFIER
                "u\n",
                names[i], stats.uses[i], stats.reports[i]);
    fprintf(file, "stale uses that prove nothing: %" G_GINT64_MODIFIER "u\n",
            stats.unproved);
}
