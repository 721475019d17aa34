/* SPDX-License-Identifier: MIT */
/* ir_parse.c - reads units from the text that ir_print.c writes.
 *
 * Lines of operations begin with a blank, other blanks may be any; lines may be empty or
 * have comments, from ';' on.  What is read need not verify.
 */
#include "jit/ir_text.h"

#include "base/base.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct jit_ir *ir;
    const char *at;
    bool typed[JIT_MAX_TEMPS]; /* its class is known                           */
};

/* --- Words ---------------------------------------------------------------- */

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_';
}

static void skip(struct reader *in)
{
    while (*in->at == ' ')
        in->at++;
    if (*in->at == ';') {
        while (*in->at && *in->at != '\n')
            in->at++;
    }
}

static bool at_end(struct reader *in)
{
    skip(in);
    return *in->at == '\n' || *in->at == '\0';
}

static bool take(struct reader *in, char c)
{
    skip(in);
    if (*in->at != c)
        return false;
    in->at++;
    return true;
}

/** Read a name.  Returns  its length, *name is where it is */
static size_t take_name(struct reader *in, const char **name)
{
    skip(in);
    *name = in->at;
    while (is_name(*in->at))
        in->at++;
    return (size_t)(in->at - *name);
}

static bool same(const char *name, size_t len, const char *text)
{
    return strlen(text) == len && memcmp(name, text, len) == 0;
}

static bool take_word(struct reader *in, const char *word)
{
    const char *before = in->at;
    const char *name;
    const size_t len = take_name(in, &name);

    if (same(name, len, word))
        return true;
    in->at = before;
    return false;
}

/** Read a number, decimal or 0x..., whose size is at most @max. */
static bool take_size(struct reader *in, uint64_t max, uint64_t *value)
{
    char *end;

    skip(in);
    if (*in->at < '0' || *in->at > '9')
        return false;
    const bool hex = in->at[0] == '0' && in->at[1] == 'x';
    errno = 0;
    *value = strtoull(in->at, &end, hex ? 16 : 10);
    in->at = end;
    return errno == 0 && *value <= max && !is_name(*in->at);
}

static bool take_signed(struct reader *in, uint64_t max, int64_t *value)
{
    const bool negative = take(in, '-');
    uint64_t size;

    if (!take_size(in, max + negative, &size))
        return false;
    *value = (int64_t)(negative ? -size : size);
    return true;
}

/** Read what may follow a base: + or - and a size. */
static bool take_sum(struct reader *in, int32_t *imm)
{
    int64_t value = 0;
    uint64_t size;

    if (take(in, '+')) {
        if (!take_size(in, INT32_MAX, &size))
            return false;
        value = (int64_t)size;
    } else if (take(in, '-')) {
        if (!take_size(in, UINT64_C(1) << 31, &size))
            return false;
        value = -(int64_t)size;
    }
    *imm = (int32_t)value;
    return true;
}

/* --- Registers ------------------------------------------------------------ */

static bool take_temp(struct reader *in, unsigned class, jit_reg *reg)
{
    struct jit_ir *ir = in->ir;
    uint64_t n;

    if (!take_size(in, JIT_MAX_TEMPS - 1, &n))
        return false;
    while (ir->n_temps <= n && !ir->overflow)
        jit_ir_temp(ir, JIT_CLASS_INT);
    if (ir->overflow)
        return false;
    if (!in->typed[n]) {
        in->typed[n] = true;
        ir->temp_class[n] = (uint8_t)class;
    }
    *reg = (jit_reg)(JIT_TEMP0 + n);
    return true;
}

static bool take_const(struct reader *in, jit_reg *reg)
{
    const bool negative = take(in, '-');
    uint64_t value;

    if (!take_size(in, UINT64_MAX, &value))
        return false;
    *reg = jit_ir_const(in->ir, negative ? -value : value);
    return true;
}

/** Read a register; @class is what a temporary seen first is of. */
static bool take_reg(struct reader *in, unsigned class, jit_reg *reg)
{
    const char *name;

    if (take(in, '%'))
        return take_temp(in, class, reg);
    if (take(in, '#'))
        return take_const(in, reg);
    const size_t len = take_name(in, &name);
    for (unsigned i = 0; len && i < in->ir->n_globals; i++) {
        if (same(name, len, in->ir->globals[i].name)) {
            *reg = (jit_reg)i;
            return true;
        }
    }
    return false;
}

/* --- Operations ----------------------------------------------------------- */

/** Read ".name", one of @n.  Returns  its number, or -1 */
static int take_suffix(struct reader *in, const char *const *names, unsigned n)
{
    const char *name;

    if (!take(in, '.'))
        return -1;
    const size_t len = take_name(in, &name);
    for (unsigned i = 0; i < n; i++) {
        if (names[i] && same(name, len, names[i]))
            return (int)i;
    }
    return -1;
}

static bool take_mnemonic(struct reader *in, struct jit_insn *insn)
{
    const char *name;
    const size_t len = take_name(in, &name);
    int value;

    for (insn->op = 0; insn->op < JIT_N_OPS; insn->op++) {
        if (same(name, len, jit_ops[insn->op].name))
            break;
    }
    if (insn->op == JIT_N_OPS)
        return false;
    const unsigned aux = jit_ops[insn->op].aux;
    if (aux != JIT_AUX__) {
        value = take_suffix(in, jit_text_aux[aux], JIT_TEXT_AUX);
        if (value < 0)
            return false;
        insn->aux = (uint8_t)value;
    }
    if (jit_text_form((enum jit_op)insn->op) == JIT_FORM_PRECISION) {
        value = take_suffix(in, jit_text_aux[JIT_AUX_PREC], JIT_N_PRECS);
        if (value < 0)
            return false;
        insn->imm = value;
    }
    if (jit_text_form((enum jit_op)insn->op) == JIT_FORM_TO) {
        const int to = take_suffix(in, jit_text_aux[JIT_AUX_INT], JIT_N_INTS);
        value = take_suffix(in, jit_text_aux[JIT_AUX_ROUND], JIT_N_ROUNDS);
        if (to < 0 || value < 0)
            return false;
        insn->imm = JIT_TO(to, value);
    }
    if (jit_text_form((enum jit_op)insn->op) == JIT_FORM_RMW) {
        value = take_suffix(in, jit_text_rmw, JIT_TEXT_RMWS);
        if (value < 0)
            return false;
        insn->imm = value;
    }
    return true;
}

/** Read what @form has in brackets. */
static bool take_address(struct reader *in, enum jit_form form, struct jit_insn *insn)
{
    if (form == JIT_FORM_PAGE)
        return take_word(in, "page") && take_sum(in, &insn->imm);
    if (!take(in, '['))
        return false;
    if (form == JIT_FORM_GUEST ? !take_word(in, "guest")
                               : !take_reg(in, JIT_CLASS_INT, &insn->a))
        return false;
    return (form == JIT_FORM_RMW || take_sum(in, &insn->imm)) && take(in, ']');
}

static bool take_number(struct reader *in, enum jit_form form, struct jit_insn *insn)
{
    uint64_t number;

    if ((form == JIT_FORM_WAY && !take_word(in, "way")) ||
        !take_size(in, INT32_MAX, &number))
        return false;
    insn->imm = (int32_t)number;
    return true;
}

static bool take_operands(struct reader *in, struct jit_insn *insn)
{
    const struct jit_op_row *row = &jit_ops[insn->op];
    const enum jit_form form = jit_text_form((enum jit_op)insn->op);
    const bool address = form == JIT_FORM_PAGE || form == JIT_FORM_GUEST ||
                         form == JIT_FORM_MEMORY || form == JIT_FORM_RMW;
    jit_reg *const reg[4] = {&insn->d, &insn->a, &insn->b, &insn->c};
    const uint8_t class[4] = {row->d, row->a, row->b, row->c};
    bool any = false;

    for (unsigned i = 0; i < 4; i++) {
        if (i == 1 && address) {
            if ((any && !take(in, ',')) || !take_address(in, form, insn))
                return false;
            any = true;
            if (form == JIT_FORM_MEMORY || form == JIT_FORM_RMW)
                continue;
        }
        if (class[i] == JIT_CLASS_NONE)
            continue;
        if ((any && !take(in, ',')) || !take_reg(in, class[i], reg[i]))
            return false;
        any = true;
    }
    if (form != JIT_FORM_WAY && form != JIT_FORM_NUMBER)
        return true;
    return (!any || take(in, ',')) && take_number(in, form, insn);
}

static bool read_insn(struct reader *in)
{
    struct jit_insn insn = {.d = JIT_NONE, .a = JIT_NONE, .b = JIT_NONE, .c = JIT_NONE};

    if (!take_mnemonic(in, &insn) || !take_operands(in, &insn) || !in->ir->n_places)
        return false;
    jit_ir_emit(in->ir, (enum jit_op)insn.op, insn.aux, insn.d, insn.a, insn.b, insn.c,
                insn.imm);
    return true;
}

/* --- Ways, calls, places -------------------------------------------------- */

static bool read_way(struct reader *in)
{
    const char *name;
    int64_t offset;
    uint64_t number;
    unsigned kind;

    if (!take_size(in, UINT32_MAX, &number) || number != in->ir->n_ways || !take(in, ':'))
        return false;
    const size_t len = take_name(in, &name);
    for (kind = 0; kind < JIT_TEXT_KINDS; kind++) {
        if (same(name, len, jit_text_kind[kind]))
            break;
    }
    if (kind == JIT_TEXT_KINDS || !take_signed(in, INT32_MAX, &offset))
        return false;
    const bool retired = take(in, ',');
    if (retired && !take_word(in, "retired"))
        return false;
    jit_ir_way(in->ir, (enum jit_exit_kind)kind, (int32_t)offset, retired);
    return true;
}

static bool read_call(struct reader *in)
{
    uint64_t number;

    if (!take_size(in, UINT32_MAX, &number) || number != in->ir->n_calls)
        return false;
    jit_ir_call(in->ir, NULL, NULL);
    return true;
}

static bool read_place(struct reader *in)
{
    uint64_t number, offset, next;

    if (!take_size(in, UINT32_MAX, &number) || number != in->ir->n_places ||
        !take(in, ':') || !take_size(in, INT16_MAX, &offset) || !take(in, '.') ||
        !take(in, '.') || !take_size(in, INT16_MAX, &next))
        return false;
    jit_ir_place(in->ir, (int)offset, (int)next);
    return true;
}

static bool read_line(struct reader *in)
{
    /* So "call 0" declares the callee, and "  call 0" calls it. */
    const bool heading = *in->at != ' ';

    if (at_end(in))
        return true;
    if (!heading)
        return read_insn(in);
    if (take_word(in, "way"))
        return read_way(in);
    if (take_word(in, "call"))
        return read_call(in);
    return take_word(in, "place") && read_place(in);
}

int jit_ir_parse(struct jit_ir *ir, const char *text, unsigned *line)
{
    struct reader in = {.ir = ir, .at = text};

    jit_ir_reset(ir);
    for (*line = 1; *in.at; ++*line) {
        const bool good = read_line(&in) && at_end(&in);
        if (ir->overflow)
            return -ENOMEM;
        if (!good)
            return -EINVAL;
        if (*in.at == '\n')
            in.at++;
    }
    return 0;
}
