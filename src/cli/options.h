/* SPDX-License-Identifier: MIT */
/* options.h - the command line, QEMU's spellings, as a machine description.
 *
 * Layer: cli
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "machine/machine.h"

enum options_action {
    OPTIONS_RUN,  /* build and run *config                                       */
    OPTIONS_EXIT  /* help, version: all was printed; end with 0                  */
};

/** Parse @argv into @config, which is valid for options_fini() either way.
 *
 *  @program  how the program was called: under a name qemu-system-* the version
 *            line is one that scripts for QEMU accept
 *  @error    a line without newline naming the culprit; g_free()
 *  Returns   0 with *action, or -EINVAL with *error */
SM_MUST_CHECK int options_parse(int argc, char *const argv[],
                                struct machine_config *config,
                                enum options_action *action, char **error);
void options_fini(struct machine_config *config);

/** Parse "256", "256M", "2G", "size=3072M,..." as -m does.
 *  Errors: -EINVAL with *@error */
SM_MUST_CHECK int options_parse_memory(const char *text, uint64_t *bytes, char **error);

#endif
