/* SPDX-License-Identifier: MIT */
/* translate_call.c - what units call. */
#include "riscv/translate.h"

void rv_kept_reset(struct rv_hart *hart)
{
}

void rv_kept_free(struct rv_hart *hart)
{
}
