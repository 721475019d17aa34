/* SPDX-License-Identifier: MIT */
/* version.c - tells the version of the library that runs. */
#include "softmmu/softmmu.h"

uint32_t sm_version(void)
{
    return SM_VERSION;
}
