/* SPDX-License-Identifier: MIT */
/* perfmap.h - tells perf and GDB what generated code is.
 *
 * perf reads /tmp/perf-<pid>.map, a line for each unit.  GDB reads symbol files through
 * its JIT interface (__jit_debug_register_code()).
 *
 * Layer:   jit
 * Threads: any; all vCPUs of a process share the two.
 */
#ifndef JIT_PERFMAP_H
#define JIT_PERFMAP_H

#include "softmmu/types.h"

struct jit_perfmap;

enum { JIT_PERFMAP_PERF = 1 << 0, JIT_PERFMAP_GDB = 1 << 1 };

/** Open what @flags ask for.  Several may be open.
 *  Errors   -ENOMEM; or of the file system */
SM_MUST_CHECK int jit_perfmap_open(unsigned flags, struct jit_perfmap **out);
void jit_perfmap_close(struct jit_perfmap *map);

/** Say that [@code, +@size) is @name. */
void jit_perfmap_add(struct jit_perfmap *map, const void *code, size_t size,
                     const char *name);
/** Say that no unit that begins in [@code, +@size) is any more: GDB forgets it, perf has no
 *  way to. */
void jit_perfmap_drop(struct jit_perfmap *map, const void *code, size_t size);

#endif
