/* SPDX-License-Identifier: MIT */
/* ir_text.h - what writing IR as text and reading it share.
 *
 * Layer:   jit
 */
#ifndef JIT_IR_TEXT_H
#define JIT_IR_TEXT_H

#include "jit/ir.h"

/** How an operation's operands are written. */
enum jit_form {
    JIT_FORM_REGISTERS, /* d, a, b, c                                          */
    JIT_FORM_PAGE,      /* d, page + imm                                       */
    JIT_FORM_GUEST,     /* d, [guest + imm], a                                 */
    JIT_FORM_MEMORY,    /* d, [a + imm], b, c                                  */
    JIT_FORM_PRECISION, /* d, a, b; .imm is a second suffix                    */
    JIT_FORM_TO,        /* d, a; .imm is a second and third suffix             */
    JIT_FORM_RMW,       /* d, [a], b; .imm is a second suffix                   */
    JIT_FORM_NUMBER,    /* imm                                                 */
    JIT_FORM_WAY        /* a, b, way imm                                       */
};
enum jit_form jit_text_form(enum jit_op op);

enum { JIT_TEXT_KINDS = JIT_EXIT_ASIDE + 1, JIT_TEXT_AUX = 10 };
extern const char *const jit_text_kind[JIT_TEXT_KINDS];

/** What value @value of .aux is called for operations whose row has @aux, or NULL. */
extern const char *const jit_text_aux[][JIT_TEXT_AUX];
/** What enum sm_rmw calls. */
enum { JIT_TEXT_RMWS = 9 };
extern const char *const jit_text_rmw[JIT_TEXT_RMWS];
const char *jit_text_aux_name(unsigned aux, unsigned value);

#endif
