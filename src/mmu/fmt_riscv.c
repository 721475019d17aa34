/* SPDX-License-Identifier: MIT */
/* fmt_riscv.c - RISC-V's page-table formats, Sv32 to Sv57 and their x4 forms, as rows.
 *
 * Source: RISC-V Privileged, "Virtual Address Translation Process", "Sv39",
 * "Two-Stage Address Translation", "Svnapot", "Svpbmt".
 */
#include "mmu/mmu_impl.h"

enum pte {
    V = 1 << 0, R = 1 << 1, W = 1 << 2, X = 1 << 3,
    U = 1 << 4, G = 1 << 5, A = 1 << 6, D = 1 << 7
};
#define PBMT (UINT64_C(3) << 61)
#define N    (UINT64_C(1) << 63)

/* Fields that all share: a permission at supervisor level says nothing of U but for
 * fetches, which never come from a user's page; SM_WALK_SUM decides on the others. */
#define FIRST_STAGE                                                                      \
    .perm = {{[SM_READ] = {R, R}, [SM_WRITE] = {W, W}, [SM_FETCH] = {X | U, X}},         \
             {[SM_READ] = {R | U, R | U}, [SM_WRITE] = {W | U, W | U},                   \
              [SM_FETCH] = {X | U, X | U}}},                                             \
    .user = {U, U}, .global = {G, G}

/* Every access counts as a user's, and the global bit is ignored. */
#define USER_GRANT {[SM_READ] = {R | U, R | U}, [SM_WRITE] = {W | U, W | U},             \
                    [SM_FETCH] = {X | U, X | U}}
#define SECOND_STAGE .perm = {USER_GRANT, USER_GRANT}

#define COMMON                                                                           \
    .struct_size = sizeof(struct sm_pt_format), .address_shift = 2,                      \
    .present = {V, V}, .table = {V | R | W | X, V}, .accessed = A, .dirty = D

/* Bits 60..54 are reserved; 53..10 are the page number.  Of a leaf with N only the
 * encoding of 64 KiB is defined. */
#define ENTRY64                                                                          \
    COMMON, .address_mask = UINT64_C(0x003ffffffffffc00), .memtype = PBMT,               \
    .group_bits = 4, .group = {N | UINT64_C(0xf) << 10, N | UINT64_C(8) << 10},          \
    .bad = {{V | R | W, V | W}, {PBMT, PBMT}},                                           \
    .reserved = UINT64_C(0x7f) << 54, .reserved_table = U | A | D | PBMT | N,            \
    .reserved_alone = N

#define ENTRY32                                                                          \
    COMMON, .address_mask = UINT64_C(0xfffffc00), .bad = {{V | R | W, V | W}},           \
    .reserved_table = U | A | D

#define LEVEL(low, bits) {.shift = (low), .index_bits = (bits), .leaf = true}
#define LOW3 LEVEL(30, 9), LEVEL(21, 9), LEVEL(12, 9)

const struct sm_pt_format sm_pt_sv32 = {
    ENTRY32, FIRST_STAGE, .name = "Sv32", .flags = SM_PT_ENTRY32,
    .n_levels = 2, .level = {LEVEL(22, 10), LEVEL(12, 10)},
};
const struct sm_pt_format sm_pt_sv39 = {
    ENTRY64, FIRST_STAGE, .name = "Sv39", .flags = SM_PT_SIGNED,
    .n_levels = 3, .level = {LOW3},
};
const struct sm_pt_format sm_pt_sv48 = {
    ENTRY64, FIRST_STAGE, .name = "Sv48", .flags = SM_PT_SIGNED,
    .n_levels = 4, .level = {LEVEL(39, 9), LOW3},
};
const struct sm_pt_format sm_pt_sv57 = {
    ENTRY64, FIRST_STAGE, .name = "Sv57", .flags = SM_PT_SIGNED,
    .n_levels = 5, .level = {LEVEL(48, 9), LEVEL(39, 9), LOW3},
};

/* Roots two bits wider; addresses are guest-physical, so above them all is zero. */
const struct sm_pt_format sm_pt_sv32x4 = {
    ENTRY32, SECOND_STAGE, .name = "Sv32x4", .flags = SM_PT_ENTRY32,
    .n_levels = 2, .level = {LEVEL(22, 12), LEVEL(12, 10)},
};
const struct sm_pt_format sm_pt_sv39x4 = {
    ENTRY64, SECOND_STAGE, .name = "Sv39x4",
    .n_levels = 3, .level = {LEVEL(30, 11), LEVEL(21, 9), LEVEL(12, 9)},
};
const struct sm_pt_format sm_pt_sv48x4 = {
    ENTRY64, SECOND_STAGE, .name = "Sv48x4",
    .n_levels = 4, .level = {LEVEL(39, 11), LOW3},
};
const struct sm_pt_format sm_pt_sv57x4 = {
    ENTRY64, SECOND_STAGE, .name = "Sv57x4",
    .n_levels = 5, .level = {LEVEL(48, 11), LEVEL(39, 9), LOW3},
};
