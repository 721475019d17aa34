/* SPDX-License-Identifier: MIT */
/* gen.h - random programs for image.h's cells.
 *
 * A program is a sequence of slots that only goes forward: every branch leads to a
 * later slot, so that each program ends.  Four registers are never written, since they
 * hold the addresses of its accesses: sp, s0 and s1 point into the cell's scratch
 * bytes, gp points to where nothing is.
 */
#ifndef DIFF_GEN_H
#define DIFF_GEN_H

#include "diff/image.h"
#include "riscv/riscv.h"

/** Small, fast, seedable; splitmix64. */
struct gen_random {
    uint64_t state;
};
uint64_t gen_next(struct gen_random *random);

/** Write a program, its initial registers and scratch bytes into @cell of address
 *  @address.  Returns the number of instructions in it. */
unsigned gen_program(struct gen_random *random, const struct rv_isa *isa,
                     uint64_t address, struct image_cell *cell);

#endif
