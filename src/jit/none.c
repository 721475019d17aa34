/* SPDX-License-Identifier: MIT */
/* none.c - hosts for which there is no back end: guests are interpreted.
 *
 * Nobody has a jit there, so nothing but the first two functions is ever called. */
#include "base/base.h"
#include "jit/jit.h"

#include <errno.h>

bool jit_supported(void)
{
    return false;
}

int jit_new(const struct jit_options *options, struct jit **out)
{
    return -ENOTSUP;
}

void jit_free(struct jit *jit)
{
    sm_assert(!jit);
}

struct jit_ir *jit_begin(struct jit *jit)
{
    sm_assert(!jit);
    return NULL;
}

struct jit_unit *jit_end(struct jit *jit, const void *host, uint32_t stamp, void *owner,
                         bool *full)
{
    sm_assert(!jit);
    return NULL;
}

void *jit_unit_owner(const struct jit_unit *unit)
{
    sm_assert(!unit);
    return NULL;
}

void jit_unit_stamp(struct jit *jit, struct jit_unit *unit, uint32_t stamp)
{
    sm_assert(!jit);
}

void jit_unit_end(struct jit *jit, struct jit_unit *unit)
{
    sm_assert(!jit);
}

void jit_link(struct jit *jit, struct jit_exit *exit, struct jit_unit *unit)
{
    sm_assert(!jit);
}

void jit_publish(struct jit *jit, struct jit_unit *unit)
{
    sm_assert(!jit);
}

void jit_forget_returns(struct jit *jit)
{
    sm_assert(!jit);
}

void jit_reset(struct jit *jit)
{
    sm_assert(!jit);
}

enum jit_reason jit_run(struct jit *jit, struct jit_unit *unit)
{
    sm_assert(!jit);
    return JIT_OUT_ASIDE;
}

void jit_get_stats(const struct jit *jit, struct jit_stats *out)
{
    sm_assert(!jit);
}

size_t jit_unit_code(const struct jit_unit *unit, const void **code)
{
    sm_assert(!unit);
    return 0;
}
