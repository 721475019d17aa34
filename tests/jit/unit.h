/* SPDX-License-Identifier: MIT */
/* unit.h - a small guest's registers, and units as text. */
#ifndef SM_TESTS_JIT_UNIT_H
#define SM_TESTS_JIT_UNIT_H

#include "../base/test.h"

#include "jit/ir.h"

#define UNIT_INT(n) {"x" #n, 8 * (n), JIT_CLASS_INT, 0}
#define UNIT_FP(n) {"f" #n, 128 + 8 * (n), JIT_CLASS_FP, 0}
static const struct jit_global unit_globals[] = {
    UNIT_INT(0), UNIT_INT(1), UNIT_INT(2), UNIT_INT(3), UNIT_INT(4), UNIT_INT(5),
    UNIT_INT(6), UNIT_INT(7), UNIT_FP(0), UNIT_FP(1), UNIT_FP(2), UNIT_FP(3)};
enum { UNIT_GLOBALS = sizeof(unit_globals) / sizeof(unit_globals[0]) };

/** The text of @ir, for free(). */
static inline char *unit_text(const struct jit_ir *ir)
{
    char *text;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    assert_non_null(to);
    jit_ir_print(ir, to);
    fclose(to);
    return text;
}

static inline void unit_read(struct jit_ir *ir, const char *text)
{
    unsigned line;
    const int error = jit_ir_parse(ir, text, &line);
    if (error)
        fail_msg("line %u of\n%s", line, text);
}

static inline void unit_verify(const struct jit_ir *ir)
{
    char why[200];
    if (!jit_ir_verify(ir, why, sizeof(why))) {
        jit_ir_print(ir, stdout);
        fail_msg("%s", why);
    }
}

#endif
