/* SPDX-License-Identifier: MIT */
/* image.h - the memory image in which random programs run, on any RV64 machine.
 *
 * The image is a bare-metal guest for a machine with RAM at 0x80000000 and a test
 * finisher at 0x100000: a harness in machine mode that runs one program after the
 * other, each in its own 4 KiB cell, logs every trap, steps over the instruction that
 * took it, and stores the final registers into the cell.  Both machines run the very
 * same bytes, so the cells must be equal afterwards.
 */
#ifndef DIFF_IMAGE_H
#define DIFF_IMAGE_H

#include "base/base.h"

enum {
    IMAGE_RAM_BASE = 0x80000000u,
    IMAGE_FINISHER = 0x100000,
    IMAGE_GLOBALS = 0x8000, /* offsets in RAM                                  */
    IMAGE_ROOT_S = 0x10000, /* page table: all of RAM in one supervisor leaf   */
    IMAGE_ROOT_U = 0x11000, /* the same for user mode                          */
    IMAGE_CELLS = 0x100000,
    IMAGE_CELL_SIZE = 4096,
    IMAGE_MAX_TRAPS = 200, /* then a program is ended                         */
    IMAGE_LOGGED_TRAPS = 16,
    IMAGE_CODE_SIZE = 640,
    IMAGE_SCRATCH_SIZE = 1024
};

enum image_mode {
    IMAGE_M,
    IMAGE_S_BARE,
    IMAGE_S_SV39,
    IMAGE_U_BARE,
    IMAGE_U_SV39,
    IMAGE_N_MODES
};

struct image_trap {
    uint64_t cause, epc, tval, status; /* epc less the cell's address           */
};

/** One program, before and after. */
struct image_cell {
    uint64_t mode; /* enum image_mode                                      */
    uint64_t fcsr; /* initial                                              */
    uint64_t end;  /* address of its last instruction, an ecall            */
    uint64_t x[32], f[32];
    uint8_t code[IMAGE_CODE_SIZE];
    /* Results; .scratch is input and result. */
    uint64_t out_x[32], out_f[32], out_fcsr;
    uint64_t n_traps, trap_hash;
    struct image_trap trap[IMAGE_LOGGED_TRAPS];
    uint8_t scratch[IMAGE_SCRATCH_SIZE] __attribute__((aligned(64))); /* cbo.zero */
};
SM_STATIC_ASSERT(sizeof(struct image_cell) <= IMAGE_CELL_SIZE, "a cell is a page");

/** Write harness and page tables for @n_cells cells into zeroed @ram. */
void image_build(uint8_t *ram, unsigned n_cells);

SM_INLINE struct image_cell *image_cell(uint8_t *ram, unsigned n)
{
    return (struct image_cell *)(void *)(ram + IMAGE_CELLS + (size_t)n * IMAGE_CELL_SIZE);
}
SM_INLINE uint64_t image_cell_address(unsigned n)
{
    return (uint64_t)IMAGE_RAM_BASE + IMAGE_CELLS + (uint64_t)n * IMAGE_CELL_SIZE;
}

#endif
