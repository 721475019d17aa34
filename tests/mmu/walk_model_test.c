/* SPDX-License-Identifier: MIT */
/* walk_model_test.c - random tables: the walk against one written step by step from the
 * specification, in one stage and in two, with and without A/D updates and PMP.
 *
 * Source: RISC-V Privileged, "Virtual Address Translation Process", "Two-Stage Address
 * Translation", "Svnapot", "Svpbmt".
 */
#include "guest_tables.h"
#include "base/base.h"
#include "mmu/pmp.h"

enum { RAM_SIZE = 128 << 10, N_TABLES = 24 };

/* --- The model ---------------------- */

enum outcome { OK, PAGE_FAULT, ACCESS_FAULT, GUEST_PAGE_FAULT };

/* Planted into the model: must be noticed. */
enum {
    BUG_NONE, BUG_SUM_FETCH, BUG_MISALIGNED, BUG_MXR_USER, BUG_GLOBAL_LEAF_ONLY,
    BUG_RESERVED_IN_TABLE, BUG_NAPOT_ANY, BUG_PBMT_3, BUG_STAGE2_USER, BUG_IMPLICIT_WRITE,
    BUG_D_ON_READ, N_BUGS
};

struct machine {
    struct guest guest;
    uint8_t *memory;         /* the model's own copy of RAM                        */
    struct sm_pmp pmp;
    bool use_pmp;
    unsigned levels[2];      /* 0: that stage is off                               */
    uint64_t root[2];
    uint32_t flags[2];       /* SM_WALK_*                                          */
    uint64_t refused_ipa;    /* of a guest page fault, and whether it was for an entry */
    bool implicit;
    unsigned bug;
};

struct answer {
    enum outcome outcome;
    uint64_t gpa, ipa;
    unsigned leaf_bits[2];
    bool global;
    unsigned pbmt;
};

static bool pmp_allows(const struct machine *m, uint64_t gpa, unsigned size,
                       unsigned access)
{
    uint8_t perms = SM_PERM_R | SM_PERM_W | SM_PERM_X, span = 12;
    if (m->use_pmp)
        sm_pmp_check(&m->pmp, false, gpa, size, &perms, &span);
    return perms >> access & 1;
}

/** "If accessing pte violates a PMA or PMP check, raise an access-fault". */
static uint64_t *pte_at(const struct machine *m, uint64_t gpa)
{
    if (gpa < GUEST_RAM || gpa - GUEST_RAM > RAM_SIZE - 8)
        return NULL;
    return (uint64_t *)(void *)(m->memory + (gpa - GUEST_RAM));
}

static struct answer translate(struct machine *m, unsigned stage, uint64_t va,
                               enum sm_access access, uint32_t flags_off);

/** Where stage 1's entry at @address lies; access is 'r' to read it, 'w' to mark it. */
static enum outcome place(struct machine *m, unsigned stage, uint64_t address,
                          enum sm_access access, uint32_t flags_off, uint64_t *gpa)
{
    *gpa = address;
    if (stage == 0 && m->levels[1]) {
        if (m->bug == BUG_IMPLICIT_WRITE)
            access = SM_READ;
        const struct answer second = translate(m, 1, address, access, flags_off);
        m->refused_ipa = address;
        m->implicit = true;
        if (second.outcome != OK)
            return second.outcome == PAGE_FAULT ? GUEST_PAGE_FAULT : second.outcome;
        *gpa = second.gpa;
    }
    return pmp_allows(m, *gpa, 8, access) && pte_at(m, *gpa) ? OK : ACCESS_FAULT;
}

static struct answer refuse(enum outcome outcome)
{
    return (struct answer){.outcome = outcome};
}

/** One stage, by the numbered steps.  @flags_off: of SM_WALK_*, taken away. */
static struct answer translate(struct machine *m, unsigned stage, uint64_t va,
                               enum sm_access access, uint32_t flags_off)
{
    const uint32_t flags = m->flags[stage] & ~flags_off;
    const unsigned levels = m->levels[stage];
    const unsigned va_bits = 12 + 9 * levels + (stage == 1 ? 2 : 0);
    const bool sum = flags & SM_WALK_SUM, mxr = flags & SM_WALK_MXR;
    const bool user = stage == 1 || (flags & SM_WALK_USER);
    bool global = false;

    if (stage == 0 && (uint64_t)((int64_t)(va << (64 - va_bits)) >> (64 - va_bits)) != va)
        return refuse(PAGE_FAULT);
    if (stage == 1 && va >> va_bits)
        return refuse(PAGE_FAULT);

    uint64_t a = m->root[stage];                                       /* step 1 */
    unsigned i = levels - 1;
    for (;;) {
        const unsigned low = 12 + 9 * i;
        uint64_t vpn = va >> low & 511;
        uint64_t gpa, pte;
        enum outcome placed;
        if (stage == 1 && i == levels - 1)
            vpn = va >> low & 2047;
        placed = place(m, stage, a + vpn * 8, SM_READ, flags_off, &gpa); /* step 2 */
        if (placed != OK)
            return refuse(placed);
        pte = *pte_at(m, gpa);

        const bool v = pte & PTE_V, r = pte & PTE_R, w = pte & PTE_W, x = pte & PTE_X;
        const uint64_t ppn = pte >> 10 & ((UINT64_C(1) << 44) - 1);
        const bool n = pte >> 63, leaf = r || x;
        const unsigned pbmt = pte >> 61 & 3;
        if (!v || (!r && w) || (pte >> 54 & 0x7f))                     /* step 3 */
            return refuse(PAGE_FAULT);
        if (pbmt == 3 && m->bug != BUG_PBMT_3)
            return refuse(PAGE_FAULT);
        if (pbmt && (flags & SM_WALK_NO_MEMTYPE))
            return refuse(PAGE_FAULT);
        if (n && (flags & SM_WALK_NO_GROUP))
            return refuse(PAGE_FAULT);
        if (!leaf) {                                                   /* step 4 */
            if (m->bug != BUG_RESERVED_IN_TABLE &&
                (n || pbmt || (pte & (PTE_A | PTE_D | PTE_U))))
                return refuse(PAGE_FAULT);
            if (m->bug != BUG_GLOBAL_LEAF_ONLY)
                global |= stage == 0 && (pte & PTE_G);
            if (i == 0)
                return refuse(PAGE_FAULT);
            i--;
            a = ppn << 12;
            continue;
        }
        if (n && (i != 0 || ((ppn & 15) != 8 && m->bug != BUG_NAPOT_ANY)))
            return refuse(PAGE_FAULT);
        if (i > 0 && (ppn & ((UINT64_C(1) << 9 * i) - 1)) && m->bug != BUG_MISALIGNED)
            return refuse(PAGE_FAULT);                                   /* step 5 */

        const bool u = pte & PTE_U;                                    /* step 6 */
        if (m->bug == BUG_STAGE2_USER && stage == 1)
            ;
        else if (user && !u)
            return refuse(PAGE_FAULT);
        if (!user && u && access == SM_FETCH && !(m->bug == BUG_SUM_FETCH && sum))
            return refuse(PAGE_FAULT);
        if (!user && u && access != SM_FETCH && !sum &&
            !(m->bug == BUG_MXR_USER && mxr))
            return refuse(PAGE_FAULT);
        if (access == SM_READ && !r && !(mxr && x))                    /* step 7 */
            return refuse(PAGE_FAULT);
        if ((access == SM_WRITE && !w) || (access == SM_FETCH && !x))
            return refuse(PAGE_FAULT);

        uint64_t set = PTE_A;                                          /* step 9 */
        if (access == SM_WRITE || m->bug == BUG_D_ON_READ)
            set |= PTE_D;
        if ((pte & set) != set) {
            if (!(flags & SM_WALK_AD))
                return refuse(PAGE_FAULT);
            placed = place(m, stage, a + vpn * 8, SM_WRITE, flags_off, &gpa);
            if (placed != OK)
                return refuse(placed);
            if (*pte_at(m, gpa) != pte)
                continue; /* placing it marked this very entry: back to step 2 */
            *pte_at(m, gpa) = pte | set;
        }

        struct answer answer = {.outcome = OK,
                                .global = global || (stage == 0 && (pte & PTE_G)),
                                .pbmt = pbmt}; /* step 10 */
        answer.leaf_bits[stage] = n ? 16 : low;
        const uint64_t offset = (UINT64_C(1) << answer.leaf_bits[stage]) - 1;
        answer.gpa = (ppn << 12 & ~offset) | (va & offset);
        return answer;
    }
}

/** Both stages, and the access itself. */
static struct answer model(struct machine *m, uint64_t va, unsigned size,
                           enum sm_access access, uint32_t flags_off)
{
    struct answer answer = {.outcome = OK, .gpa = va};

    if (m->levels[0]) {
        answer = translate(m, 0, va, access, flags_off);
        if (answer.outcome != OK)
            return answer;
    }
    answer.ipa = answer.gpa;
    if (m->levels[1]) {
        const struct answer second = translate(m, 1, answer.ipa, access, flags_off);
        m->refused_ipa = answer.ipa;
        m->implicit = false;
        if (second.outcome != OK)
            return refuse(second.outcome == PAGE_FAULT ? GUEST_PAGE_FAULT
                                                       : second.outcome);
        answer.gpa = second.gpa;
        answer.leaf_bits[1] = second.leaf_bits[1];
    }
    if (!pmp_allows(m, answer.gpa, size, access))
        return refuse(ACCESS_FAULT);
    return answer;
}

/* --- Random machines ---------------------- */

static const unsigned slots[] = {0, 1, 2, 255, 256, 511};
enum { N_SLOTS = sizeof slots / sizeof slots[0] };

/* A table each page: of a root of four pages the first only is chosen from. */
static uint64_t table_at(unsigned n)
{
    return GUEST_RAM + n * UINT64_C(0x1000);
}

static uint64_t random_pte(struct rng *rng, bool second)
{
    const uint64_t base = second || rng_once_in(rng, 2) ? GUEST_RAM : 0;
    uint64_t pte = PTE_V;

    if (rng_once_in(rng, 3)) { /* a table */
        pte |= pte_of(table_at((unsigned)rng_below(rng, N_TABLES)), 0);
        if (rng_once_in(rng, 12))
            pte |= PTE_G;
        if (rng_once_in(rng, 24))
            pte |= UINT64_C(1) << (4 + rng_below(rng, 4));
    } else {
        uint64_t at = base + (rng_below(rng, RAM_SIZE) & SM_PAGE_MASK);
        if (rng_once_in(rng, 2))
            at &= ~((UINT64_C(1) << (12 + 9 * rng_below(rng, 5))) - 1);
        if (rng_once_in(rng, 16))
            at = rng_next(rng) >> 8 & SM_PAGE_MASK;
        pte |= pte_of(at, 0);
        pte |= rng_next(rng) & (PTE_R | PTE_W | PTE_X | PTE_U | PTE_G | PTE_A | PTE_D);
        if (!rng_once_in(rng, 4))
            pte |= PTE_R | (rng_once_in(rng, 2) ? PTE_W : 0);
        if (second || rng_once_in(rng, 3))
            pte |= rng_once_in(rng, 20) ? 0 : PTE_U;
        if (!rng_once_in(rng, 4))
            pte |= PTE_A | PTE_D;
        if (rng_once_in(rng, 8))
            pte = (pte & ~(UINT64_C(15) << 10)) | PTE_N |
                  (rng_once_in(rng, 4) ? rng_below(rng, 16) : 8) << 10;
    }
    if (rng_once_in(rng, 12))
        pte |= PTE_PBMT(rng_below(rng, 4));
    if (rng_once_in(rng, 40))
        pte ^= UINT64_C(1) << rng_below(rng, 64);
    return pte;
}

static const struct sm_pt_format *format_of(unsigned stage, unsigned levels)
{
    static const struct sm_pt_format *const row[2][3] = {
        {&sm_pt_sv39, &sm_pt_sv48, &sm_pt_sv57},
        {&sm_pt_sv39x4, &sm_pt_sv48x4, &sm_pt_sv57x4}};
    return levels ? row[stage][levels - 3] : NULL;
}

static void randomize(struct machine *m, struct rng *rng)
{
    static const uint32_t some[] = {SM_WALK_USER, SM_WALK_SUM, SM_WALK_MXR, SM_WALK_AD};

    memset(m->guest.host, 0, RAM_SIZE);
    for (unsigned t = 0; t < N_TABLES; t++) {
        for (unsigned i = 0; i < N_SLOTS; i++) {
            *guest_entry(&m->guest, table_at(t) + slots[i] * 8) = random_pte(rng, t % 2);
            if (t % 2 && i == 2) /* the first gigabyte of RAM as stage 2 sees it */
                *guest_entry(&m->guest, table_at(t) + slots[i] * 8) =
                    pte_of(GUEST_RAM, PTE_RWXAD | PTE_U);
        }
    }
    for (unsigned stage = 0; stage < 2; stage++) {
        m->levels[stage] = 3 + (unsigned)rng_below(rng, 3);
        m->root[stage] = table_at((unsigned)rng_below(rng, N_TABLES - 2) / 2 * 2 + stage);
        m->flags[stage] = 0;
        for (unsigned i = 0; i < sizeof some / sizeof some[0]; i++)
            m->flags[stage] |= rng_once_in(rng, 2) ? some[i] : 0;
        if (rng_once_in(rng, 6))
            m->flags[stage] |= SM_WALK_NO_GROUP;
        if (rng_once_in(rng, 6))
            m->flags[stage] |= SM_WALK_NO_MEMTYPE;
    }
    if (rng_once_in(rng, 2))
        m->levels[1] = 0;
    else if (rng_once_in(rng, 6))
        m->levels[0] = 0;
    else /* stage 2 mostly lets tables through: three levels, RAM where it is */
        m->levels[1] = rng_once_in(rng, 4) ? m->levels[1] : 3;
    m->use_pmp = rng_once_in(rng, 4);
    if (m->use_pmp) {
        sm_pmp_reset(&m->pmp, SM_N_PMP);
        for (unsigned n = 0; n < 4; n++) {
            sm_pmp_write_addr(&m->pmp, n,
                              (GUEST_RAM + rng_below(rng, RAM_SIZE)) >> 2 | 0x7f);
            sm_pmp_write_cfg(&m->pmp, n,
                             (uint8_t)(rng_next(rng) & 7) |
                                 (uint8_t)(rng_below(rng, 4) << SM_PMP_A_SHIFT));
        }
        sm_pmp_write_addr(&m->pmp, 15, UINT64_MAX);
        sm_pmp_write_cfg(&m->pmp, 15, 7 | 3 << SM_PMP_A_SHIFT);
    }
}

static uint64_t random_address(const struct machine *m, struct rng *rng)
{
    const unsigned stage = m->levels[0] ? 0 : 1;
    const unsigned bits = 12 + 9 * m->levels[stage];
    uint64_t va = rng_next(rng) & 0xfff;

    for (unsigned i = 0; i < m->levels[stage]; i++)
        va |= (uint64_t)slots[rng_below(rng, N_SLOTS)] << (12 + 9 * i);
    if (stage == 0)
        va = (uint64_t)((int64_t)(va << (64 - bits)) >> (64 - bits));
    return rng_once_in(rng, 30) ? va ^ UINT64_C(1) << rng_below(rng, 64) : va;
}

static void protect(void *ctx, sm_gpa gpa, unsigned size, uint8_t *perms,
                    uint8_t *span_bits)
{
    const struct machine *m = ctx;
    sm_pmp_check(&m->pmp, false, gpa, size, perms, span_bits);
}

static enum outcome outcome_of(enum sm_walk_status status,
                               const struct sm_walk_step *last)
{
    if (status == SM_WALK_OK)
        return OK;
    if (status == SM_WALK_PROTECTED || status == SM_WALK_BUS_ERROR)
        return ACCESS_FAULT;
    return last->stage == 2 ? GUEST_PAGE_FAULT : PAGE_FAULT;
}

/* --- Comparison ---------------------- */

static unsigned n_ok, n_ok_twice, n_compared;

/** Whether both agree on one access. */
static bool agree(struct machine *m, const struct sm_pt_format *const format[2],
                  struct rng *rng)
{
    const uint64_t va = random_address(m, rng);
    const enum sm_access access = (enum sm_access)rng_below(rng, 3);
    const unsigned size = SM_MIN((unsigned)(4096 - (va & 4095)), 1u << rng_below(rng, 4));
    struct sm_walk walk = {
        .struct_size = sizeof walk, .access = access, .space = m->guest.space,
        .attrs = guest_attrs(), .protect = m->use_pmp ? protect : NULL, .ctx = m};
    struct sm_walk_result out;

    for (unsigned stage = 0; stage < 2; stage++)
        walk.stage[stage] =
            (struct sm_walk_stage){format[stage], m->root[stage], m->flags[stage]};
    const struct answer want = model(m, va, size, access, 0);
    const enum sm_walk_status status = sm_walk_run(&walk, va, size, &out);
    n_compared++;
    if (getenv("SM_VERBOSE"))
        printf("levels %u %u flags %x %x va %llx access %d: model %d, walk %d stage %d "
               "level %d "
               "entry %llx\n",
               m->levels[0], m->levels[1], m->flags[0], m->flags[1],
               (unsigned long long)va, (int)access, want.outcome, status, out.last.stage,
               out.last.level, (unsigned long long)out.last.entry);
    if (outcome_of(status, &out.last) != want.outcome)
        return false;
    if (want.outcome == GUEST_PAGE_FAULT &&
        (out.ipa != m->refused_ipa || out.last.implicit != m->implicit))
        return false;
    if (status != SM_WALK_OK)
        return true;
    n_ok++;
    n_ok_twice += m->levels[0] && m->levels[1];
    if (out.gpa != want.gpa || out.ipa != (m->levels[1] ? want.ipa : want.gpa) ||
        out.leaf_bits[0] != want.leaf_bits[0] || out.leaf_bits[1] != want.leaf_bits[1] ||
        out.global != want.global || out.memtype[0] != want.pbmt * !!m->levels[0])
        return false;

    /* What may be remembered: whatever would be granted now, setting nothing.  Of a
     * group the other entries are random here, where software must make them alike. */
    const bool grouped = out.leaf_bits[0] == 16 || out.leaf_bits[1] == 16;
    const unsigned span = SM_MIN((unsigned)out.span_bits, grouped ? 12u : 30u);
    for (unsigned i = 0; i < 4; i++) {
        const uint64_t inside = (UINT64_C(1) << span) - 1;
        const uint64_t other = i ? (va & ~inside) | (rng_next(rng) & inside) : va;
        for (unsigned a = 0; a < SM_N_ACCESS; a++) {
            const struct answer now = model(m, other, 1, (enum sm_access)a, SM_WALK_AD);
            if ((now.outcome == OK) != (out.perms >> a & 1))
                return false;
            if (now.outcome == OK && now.gpa - other != out.gpa - va)
                return false;
        }
    }
    return true;
}

/** Compare until they differ, or @rounds machines were seen.  Returns whether they do. */
static bool differs(uint64_t seed, unsigned rounds, unsigned bug,
                    void (*spoil)(struct sm_pt_format *format))
{
    struct machine m = {.bug = bug};
    struct rng rng = rng_seeded(seed);
    bool found = false;

    guest_init(&m.guest, RAM_SIZE);
    m.memory = malloc(RAM_SIZE);
    for (unsigned round = 0; round < rounds && !found; round++) {
        randomize(&m, &rng);
        memcpy(m.memory, m.guest.host, RAM_SIZE);
        for (unsigned i = 0; i < 24 && !found; i++) {
            const struct sm_pt_format *format[2];
            struct sm_pt_format spoilt[2];
            for (unsigned stage = 0; stage < 2; stage++) {
                format[stage] = format_of(stage, m.levels[stage]);
                if (spoil && format[stage]) {
                    spoilt[stage] = *format[stage];
                    spoil(&spoilt[stage]);
                    format[stage] = &spoilt[stage];
                }
            }
            found = !agree(&m, format, &rng);
        }
        /* Both have marked the same entries, each in its own copy. */
        found = found || memcmp(m.memory, m.guest.host, RAM_SIZE) != 0;
    }
    free(m.memory);
    guest_fini(&m.guest);
    return found;
}

static void agrees_with_the_specification(void **state)
{
    n_ok = n_ok_twice = n_compared = 0;
    assert_false(differs(0x3a1c, 12000, BUG_NONE, NULL));
    printf("%u of %u translations succeeded, %u in two stages\n", n_ok, n_compared,
           n_ok_twice);
    assert_true(n_ok > n_compared / 20 && n_ok_twice > n_compared / 100);
}

static void bugs_planted_in_the_model_are_found(void **state)
{
    for (unsigned bug = BUG_NONE + 1; bug < N_BUGS; bug++) {
        if (!differs(0x3a1d + bug, 60000, bug, NULL))
            fail_msg("planted bug %u was not found", bug);
    }
}

static void no_reserved(struct sm_pt_format *f) { f->reserved = 0; }
static void no_w_without_r(struct sm_pt_format *f) { f->bad[0] = f->bad[1]; }
static void no_table_reserved(struct sm_pt_format *f)
{
    f->reserved_table &= ~(uint64_t)PTE_A;
}
static void no_alone(struct sm_pt_format *f) { f->reserved_alone = 0; }
static void short_address(struct sm_pt_format *f) { f->address_mask >>= 1; }
static void fetch_by_r(struct sm_pt_format *f)
{
    f->perm[0][SM_FETCH] = f->perm[0][SM_READ];
}
static void no_dirty(struct sm_pt_format *f) { f->dirty = 0; }
static void no_global(struct sm_pt_format *f) { f->global.mask = f->global.value = 0; }
static void small_group(struct sm_pt_format *f) { f->group_bits = 3; }

static void bugs_planted_in_a_format_are_found(void **state)
{
    static void (*const spoil[])(struct sm_pt_format * format) = {
        no_reserved, no_w_without_r, no_table_reserved, no_alone,   short_address,
        fetch_by_r,  no_dirty,       no_global,         small_group};

    for (unsigned i = 0; i < sizeof spoil / sizeof spoil[0]; i++) {
        if (!differs(0x4b00 + i, 60000, BUG_NONE, spoil[i]))
            fail_msg("planted bug %u was not found", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_specification),
        cmocka_unit_test(bugs_planted_in_the_model_are_found),
        cmocka_unit_test(bugs_planted_in_a_format_are_found),
    };
    return cmocka_run_group_tests_name("walk_model", tests, NULL, NULL);
}
