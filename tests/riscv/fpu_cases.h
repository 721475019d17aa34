/* SPDX-License-Identifier: MIT */
/* fpu_cases.h - what the tables of cases worked by hand are written with.
 *
 * Include after cmocka.h.
 */
#ifndef TESTS_FPU_CASES_H
#define TESTS_FPU_CASES_H

#include <float.h>
#include <math.h>
#include <string.h>

#include "riscv/fpu.h"

enum {
    NX = RV_FFLAG_NX,
    UF = RV_FFLAG_UF,
    OF = RV_FFLAG_OF,
    DZ = RV_FFLAG_DZ,
    NV = RV_FFLAG_NV
};
enum {
    RNE = RV_RM_RNE,
    RTZ = RV_RM_RTZ,
    RDN = RV_RM_RDN,
    RUP = RV_RM_RUP,
    RMM = RV_RM_RMM
};

/* --- Numbers --------------------------------------------------------------- */

#define NEG(value) (UINT64_C(0x8000000000000000) | (value))
#define ZERO       UINT64_C(0)
#define MIN_SUB    UINT64_C(1)
#define MAX_SUB    UINT64_C(0x000fffffffffffff)
#define MIN_NORMAL UINT64_C(0x0010000000000000)
#define ULP_1      UINT64_C(0x3cb0000000000000) /* 2^-52 */
#define HALF_ULP_1 UINT64_C(0x3ca0000000000000) /* 2^-53 */
#define HALF       UINT64_C(0x3fe0000000000000)
#define ONE        UINT64_C(0x3ff0000000000000)
#define TWO        UINT64_C(0x4000000000000000)
#define THREE      UINT64_C(0x4008000000000000)
#define FOUR       UINT64_C(0x4010000000000000)
#define MAX_NUMBER UINT64_C(0x7fefffffffffffff)
#define INF        UINT64_C(0x7ff0000000000000)
#define SIGNALLING UINT64_C(0x7ff0000000000001)
#define QUIET      UINT64_C(0xfff8000000000123) /* not the canonical one */
#define NAN_OUT    RV_F64_NAN

static inline uint64_t d(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static inline uint64_t s(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

static inline void check(const char *what, unsigned row, uint64_t got, uint8_t flags,
                         uint64_t want, uint8_t want_flags)
{
    if (got == want && flags == want_flags)
        return;
    fail_msg("%s, row %u: %llx flags %x, should be %llx flags %x", what, row,
             (unsigned long long)got, flags, (unsigned long long)want, want_flags);
}

struct binary_case {
    uint64_t a, b;
    unsigned rm;
    uint64_t want;
    uint8_t flags;
};

#endif
