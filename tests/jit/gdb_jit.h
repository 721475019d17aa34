/* SPDX-License-Identifier: MIT */
/* gdb_jit.h - what GDB reads of a process that generates code.
 *
 * Source: Debugging with GDB, "JIT Compilation Interface"
 */
#ifndef TESTS_JIT_GDB_JIT_H
#define TESTS_JIT_GDB_JIT_H

#include <stdint.h>

struct jit_code_entry {
    struct jit_code_entry *next_entry, *prev_entry;
    const char *symfile_addr;
    uint64_t symfile_size;
};
extern struct {
    uint32_t version, action_flag;
    struct jit_code_entry *relevant_entry, *first_entry;
} __jit_debug_descriptor;

#endif
