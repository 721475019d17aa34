/* SPDX-License-Identifier: MIT */
/* emit.h - text and JSON, collected in memory.
 *
 * Layer:    inspect
 *
 * Running out of memory is remembered, and whatever follows does nothing: only
 * sm_out_end() tells.  Names are the embedder's and may hold anything:
 *   text   a control character, a backslash or a byte that is no UTF-8 is \xNN
 *   JSON   control characters, quotes and backslashes are escaped; a byte that is no
 *          UTF-8 is \ufffd
 * Addresses, offsets and sizes are strings in JSON, as "0x1f": no reader rounds them.
 *
 * An object or an array within an array has a line of its own, indented by how deep it
 * lies; all else stays on the line.
 */
#ifndef SM_INSPECT_EMIT_H
#define SM_INSPECT_EMIT_H

#include "base/vec.h"
#include "softmmu/inspect.h"

/** Zero it first, but .form. */
struct sm_out {
    enum sm_inspect_form form;
    char *text;
    struct sm_vec n;
    unsigned depth; /* of JSON                                                 */
    bool failed;
};

/** Hand the text over and free it, or report that memory ran out.  The topology's lock
 *  was released. */
SM_MUST_CHECK int sm_out_end(struct sm_out *out,
                             void (*sink)(void *arg, const char *text, size_t n),
                             void *arg);

/* --- Text --------------------------------------------------------------- */

void sm_out_print(struct sm_out *out, const char *format, ...) SM_PRINTF(2, 3);
/** Print @name, escaped; what has none is "(unnamed)". */
void sm_out_name(struct sm_out *out, const char *name);
void sm_out_indent(struct sm_out *out, unsigned depth);

/* --- JSON: @key is NULL in an array ------------------------------------- */

/** @bracket is '{' or '['. */
void sm_json_open(struct sm_out *out, const char *key, char bracket);
void sm_json_close(struct sm_out *out, char bracket);
/** @value may be NULL: null. */
void sm_json_string(struct sm_out *out, const char *key, const char *value);
void sm_json_address(struct sm_out *out, const char *key, uint64_t value);
void sm_json_number(struct sm_out *out, const char *key, int64_t value);
void sm_json_bool(struct sm_out *out, const char *key, bool value);
void sm_json_null(struct sm_out *out, const char *key);
/** "first" and "last". */
void sm_json_range(struct sm_out *out, struct sm_range range);
/** Begin a document: its form and version. */
void sm_json_begin(struct sm_out *out, const char *form);
void sm_json_end(struct sm_out *out);

#endif
