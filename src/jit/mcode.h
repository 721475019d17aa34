/* SPDX-License-Identifier: MIT */
/* mcode.h - memory for generated code: written here, executed there.
 *
 * One piece of memory, mapped twice (J4): code is written at .write and runs at
 * .run; the distance between the two is constant.
 *
 * Layer:   jit
 * Threads: the owner's.
 */
#ifndef JIT_MCODE_H
#define JIT_MCODE_H

#include "softmmu/types.h"

struct jit_mcode {
    uint8_t *write;     /* .size bytes                                         */
    uint8_t *run;
    size_t size, used;
};

/** Map @size bytes, a multiple of the host's page; they are touched as they are used.
 *  @name    of .write in /proc/<pid>/maps, where the host has names for such memory; of
 *           letters, digits and "-"
 *  Errors   -ENOMEM; -EACCES the host refuses executable memory */
SM_MUST_CHECK int jit_mcode_map(struct jit_mcode *code, size_t size, const char *name);
void jit_mcode_unmap(struct jit_mcode *code);

/** Forget all but the first @keep bytes, and give their memory back to the host. */
void jit_mcode_reset(struct jit_mcode *code, size_t keep);

/** The two addresses of one byte. */
SM_INLINE const void *jit_mcode_run(const struct jit_mcode *code, const void *write)
{
    return code->run + ((const uint8_t *)write - code->write);
}

SM_INLINE uint8_t *jit_mcode_write(const struct jit_mcode *code, const void *run)
{
    return code->write + ((const uint8_t *)run - code->run);
}

/** Make what was written at [@write, +@size) executable at .run: a no-op where caches are
 *  coherent. */
void jit_mcode_publish(const struct jit_mcode *code, const void *write, size_t size);

#endif
