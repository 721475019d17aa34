/* SPDX-License-Identifier: MIT */
/* compare.h - whether and how two harts' registers and two machines' RAM differ. */
#ifndef TESTS_BOOT_COMPARE_H
#define TESTS_BOOT_COMPARE_H

#include "boot/side.h"

/** Whether all that changes often is the same: x, f, pc, privilege and CSRs. */
bool compare_registers(const struct rv_hart *a, const struct rv_hart *b);
/** The rest too: PMP, performance counters. */
bool compare_all_registers(const struct rv_hart *a, const struct rv_hart *b);
/** Write a line for each register that differs, with what it was @before, of which only x
 *  and f are known. */
void compare_print(const struct rv_hart *a, const struct rv_hart *b,
                   const uint64_t before[64], FILE *to);

/** Whether all of RAM is the same; a line for the first bytes that differ. */
bool compare_ram(const struct side *a, const struct side *b, FILE *to);

/** Write the instructions of the unit that begins at @pc, and its IR.
 *  @page  host address of the page that it lies in */
void compare_print_unit(struct rv_hart *hart, uint64_t pc, const uint8_t *page, FILE *to);

#endif
