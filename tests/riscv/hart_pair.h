/* SPDX-License-Identifier: MIT */
/* hart_pair.h - two harts on equal memories, that are to do the same; random operands. */
#ifndef TESTS_RISCV_HART_PAIR_H
#define TESTS_RISCV_HART_PAIR_H

#include "fpu_operands.h"
#include "program.h"

/** .one is the subject, .other what it is compared with. */
struct pair {
    struct fixture one, other;
};

#define BOTH(pair, name, statement)                                                      \
    do {                                                                                 \
        struct fixture *name = &(pair)->one;                                             \
        statement;                                                                       \
        name = &(pair)->other;                                                           \
        statement;                                                                       \
    } while (0)

SM_INLINE uint8_t *ram_of(const struct fixture *fix)
{
    return sm_region_host(fix->ram);
}

SM_INLINE void pair_store(struct pair *pair, uint64_t gpa, const void *from, size_t size)
{
    BOTH(pair, fix, memcpy(ram_of(fix) + (gpa - RAM), from, size));
}

/* --- Random ----------------------------------------------------------------- */

SM_INLINE uint64_t below(struct fpu_random *random, uint64_t n)
{
    return fpu_random_next(random) % n;
}

SM_INLINE bool one_in(struct fpu_random *random, unsigned n)
{
    return below(random, n) == 0;
}

/** An integer, often at an end of a range or small. */
SM_INLINE uint64_t random_x(struct fpu_random *random)
{
    static const uint64_t ends[] = {0, 1, UINT64_MAX, INT64_MAX, (uint64_t)INT64_MIN,
                                    INT32_MAX, UINT32_MAX, (uint64_t)INT32_MIN,
                                    UINT64_C(1) << 31, UINT64_C(1) << 32};
    const uint64_t bits = fpu_random_next(random);

    switch (below(random, 6)) {
    case 0: return ends[below(random, SM_ARRAY_LEN(ends))];
    case 1: return ends[below(random, SM_ARRAY_LEN(ends))] + below(random, 5) - 2;
    case 2: return bits >> below(random, 64);
    case 3: return (uint64_t)((int64_t)bits >> below(random, 64));
    case 4: return below(random, 128);
    default: return bits;
    }
}

/** What an F register may hold: a double, a boxed single, now and then neither. */
SM_INLINE uint64_t random_f(struct fpu_random *random)
{
    static const uint64_t telling[] = {0, UINT64_C(0x8000000000000000),
                                       UINT64_C(0xffffffff00000000),
                                       UINT64_C(0xffffffff80000000),
                                       UINT64_C(0x7ff0000000000000),
                                       UINT64_C(0xffffffff7f800000)};

    if (one_in(random, 8)) /* zeros and infinities */
        return telling[below(random, SM_ARRAY_LEN(telling))];
    if (one_in(random, 10))
        return fpu_random_next(random);
    if (fpu_random_next(random) & 1)
        return fpu_random_operand(fpu_f64, random);
    return UINT64_C(0xffffffff00000000) | fpu_random_operand(fpu_f32, random);
}

/* --- Comparing --------------------------------------------------------------- */

/** Units say "dirty" of floating-point state that may have been changed; instructions
 *  that only look at it, the interpreter calls clean. */
SM_INLINE uint64_t dirty_if_on(uint64_t status)
{
    return status & RV_MSTATUS_FS ? status | RV_MSTATUS_DIRTY : status;
}

SM_INLINE unsigned differ(const char *what, unsigned n, uint64_t one, uint64_t other)
{
    if (one == other)
        return 0;
    fprintf(stderr, "%s%u: 0x%llx, and should be 0x%llx\n", what, n,
            (unsigned long long)one, (unsigned long long)other);
    return 1;
}

/** Compare all that software can see of the harts, and say what differs.
 *  Returns  how much does */
SM_INLINE unsigned compare_harts(struct pair *pair)
{
    struct rv_hart *one = pair->one.hart, *other = pair->other.hart;
    unsigned bad = 0;

    bad += differ("pc", 0, one->pc, other->pc);
    bad += differ("priv", 0, one->priv, other->priv);
    bad += differ("instret", 0, one->instret, other->instret);
    for (unsigned n = 0; n < 32; n++) {
        bad += differ("x", n, one->x[n], other->x[n]);
        bad += differ("f", n, one->f[n], other->f[n]);
    }
    for (unsigned csr = 0; csr < RV_N_CSRNO; csr++) {
        uint64_t a = 0, b = 0;
        const bool has = rv_hart_csr_read(one, csr, &a);

        bad += differ("existence of csr ", csr, has, rv_hart_csr_read(other, csr, &b));
        if (csr == RV_CSRNO_mstatus || csr == RV_CSRNO_sstatus) {
            a = dirty_if_on(a);
            b = dirty_if_on(b);
        }
        bad += differ("csr ", csr, a, b);
    }
    return bad;
}

/** Compare the memories.  Returns  in how many words they differ; says the first few */
SM_INLINE unsigned compare_rams(struct pair *pair)
{
    const uint8_t *one = ram_of(&pair->one), *other = ram_of(&pair->other);
    unsigned bad = 0;

    if (!memcmp(one, other, RAM_SIZE))
        return 0;
    for (unsigned n = 0; n < RAM_SIZE / 8 && bad < 8; n++)
        bad += differ("doubleword of RAM ", n, sm_host_load(one + 8 * n, 3),
                      sm_host_load(other + 8 * n, 3));
    return bad;
}

#endif
