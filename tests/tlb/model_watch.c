/* SPDX-License-Identifier: MIT */
/* model_watch.c - random watches and accesses against a model of one bit per byte.
 *
 * The guest remaps pages, changes address spaces and modes, fences or does not; devices
 * and logs are in its way; a debugger changes the set of watches, lets accesses through
 * and rearms.  The model asks for each byte of each access which watch covers it.  With a
 * bug planted in what the model is told, it has to notice.
 */
#include "fake_guest.h"
#include "softmmu/dirty_log.h"

enum { N_VIRTUAL = 8, N_PHYSICAL = 4, MAX_WATCHES = 12, STEPS = 200000, WINDOW = 64 };

#define VIRTUAL(n)  (UINT64_C(0x10000) + (n) * SM_PAGE_SIZE)
#define PHYSICAL(n) (GUEST_RAM + UINT64_C(0x200000) + (n) * SM_PAGE_SIZE)

enum plant {
    NO_BUG,
    BUG_SIZE,     /* accesses are taken for one byte                            */
    BUG_SECOND,   /* ... end with their first page                              */
    BUG_PHYSICAL, /* physical watches are of the address that was mapped first  */
    BUG_KEY,      /* keys are not looked at                                     */
    BUG_UPDATES,  /* atomic updates do not read                                 */
    BUG_PASS,     /* what is let through is so for every kind                   */
    N_PLANTS
};

struct pass {
    sm_gva gva;
    unsigned size, accesses, mode;
};

struct model {
    uint64_t seed;
    enum plant plant;
    struct sm_watch watch[MAX_WATCHES];
    unsigned n;
    unsigned mapped[2][N_VIRTUAL]; /* by table: index of the physical page, or more:
                                      the device                                */
    unsigned first_mapped[N_VIRTUAL];
    unsigned table;                /* 0, 1: which the translated modes read      */
    struct pass pass[64];
    unsigned n_passes;
    bool stopped;
    struct pass last;
    uint64_t n_stops, n_done;
};

static struct fake fake;
static struct sm_fault fault;

static unsigned any(struct model *model, unsigned n)
{
    model->seed = model->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((model->seed >> 33) % n);
}

/* --- The guest ---------------------------------------------------------------------- */

static sm_gpa physical_of(unsigned index)
{
    return index < N_PHYSICAL ? PHYSICAL(index) : IO_AT;
}

static uint64_t root_of(unsigned table)
{
    return GUEST_RAM + table * UINT64_C(0x10000);
}

static void map(struct model *model, unsigned table, unsigned page, unsigned index)
{
    model->mapped[table][page] = index;
    fake_map(&fake, root_of(table), VIRTUAL(page), pte_of(physical_of(index), PTE_RWXAD));
    /* It fences: what a TLB may keep beyond that is another test's. */
    sm_tlb_flush_local(fake.vcpu, &(struct sm_tlb_scope){
        .range = {VIRTUAL(page), VIRTUAL(page) + ~SM_PAGE_MASK}, .modes = UINT16_MAX,
        .stage = 1});
}

/* --- The model ---------------------------------------------------------------------- */

static bool covers(const struct model *model, const struct sm_watch *watch, unsigned mode,
                   sm_gva gva)
{
    const unsigned page = (unsigned)((gva - VIRTUAL(0)) / SM_PAGE_SIZE);
    const unsigned index = model->plant == BUG_PHYSICAL
        ? model->first_mapped[page] : model->mapped[model->table][page];
    const uint64_t at = watch->flags & SM_WATCH_PHYSICAL
        ? physical_of(index) + gva % SM_PAGE_SIZE : gva;

    if (at < watch->range.first || at > watch->range.last)
        return false;
    if (watch->flags & SM_WATCH_PHYSICAL)
        return true;
    if (!(watch->modes >> mode & 1))
        return false;
    return model->plant == BUG_KEY ||
           (model->table & watch->mask.word[1]) == watch->key.word[1];
}

/** Whether the access stops, in words of single bytes. */
static bool stops(const struct model *model, const struct pass *access)
{
    unsigned size = model->plant == BUG_SIZE ? 1 : access->size;

    if (model->plant == BUG_SECOND)
        size = (unsigned)SM_MIN((uint64_t)size, SM_PAGE_SIZE - access->gva % SM_PAGE_SIZE);
    for (unsigned i = 0; i < model->n; i++)
        for (unsigned byte = 0; byte < size; byte++) {
            if (!(model->watch[i].accesses & access->accesses &
                  (model->plant == BUG_UPDATES && access->accesses == (SM_PERM_R | SM_PERM_W)
                       ? SM_PERM_W : 7u)) ||
                !covers(model, &model->watch[i], access->mode, access->gva + byte))
                continue;
            for (unsigned p = 0; p < model->n_passes; p++) {
                const struct pass *pass = &model->pass[p];
                if (pass->mode == access->mode && pass->gva <= access->gva &&
                    access->gva + access->size <= pass->gva + pass->size &&
                    (model->plant == BUG_PASS || !(access->accesses & ~pass->accesses)))
                    return false;
            }
            return true;
        }
    return false;
}

/* --- Steps -------------------------------------------------------------------------- */

static struct sm_watch any_watch(struct model *model)
{
    struct sm_watch watch = {.accesses = (uint8_t)(1 + any(model, 7)),
                             .id = any(model, 1000)};
    const bool physical = any(model, 2);
    /* Near the borders of pages, where the accesses are. */
    uint64_t at = any(model, WINDOW) - WINDOW / 2u;

    at += physical ? PHYSICAL(0) + (1 + any(model, N_PHYSICAL)) * SM_PAGE_SIZE
                   : VIRTUAL(1 + any(model, N_VIRTUAL));
    if (physical && !any(model, 4))
        at = IO_AT + any(model, WINDOW);
    watch.range = (struct sm_range){at, at + (any(model, 3) ? any(model, 4)
                                                            : any(model, 6000))};
    if (physical) {
        watch.flags = SM_WATCH_PHYSICAL;
        watch.space = (uint8_t)any(model, 2);
        return watch;
    }
    watch.modes = any(model, 2) ? UINT16_MAX : (uint16_t)(1 << (1 + any(model, 2)));
    if (any(model, 2)) {
        watch.mask.word[1] = UINT64_MAX;
        watch.key.word[1] = any(model, 2);
    }
    return watch;
}

static enum sm_step perform(struct model *model, struct pass *access, unsigned kind,
                            unsigned bits)
{
    const struct sm_memop op = op_of(bits, access->mode);
    struct sm_memop as_fetch = op;
    struct sm_value value = {any(model, 1000), 0}, old;
    uint64_t word;
    void *host;

    as_fetch.flags = SM_MEMOP_AS_FETCH;
    access->accesses = kind == 0 ? SM_PERM_R : kind == 1 ? SM_PERM_W
                       : kind == 2 ? SM_PERM_X : SM_PERM_R | SM_PERM_W;
    /* As a guest's loop does: the direct way first. */
    if (kind < 3 && sm_tlb_hit(sm_vcpu_fast(fake.vcpu)->table[access->mode], access->gva,
                               access->size, (enum sm_access)kind, &host))
        return SM_STEP_DONE;
    switch (kind) {
    case 0: return sm_tlb_read_slow(fake.vcpu, access->gva, op, &value, &fault);
    case 1: return sm_tlb_write_slow(fake.vcpu, access->gva, op, value, &fault);
    case 2: return sm_tlb_read_slow(fake.vcpu, access->gva, as_fetch, &value, &fault);
    case 3:
        return sm_tlb_rmw(fake.vcpu, access->gva, op, SM_RMW_ADD, 1, &word, &fault);
    default:
        return sm_tlb_cas(fake.vcpu, access->gva, op, value, value, &old, &fault);
    }
}

/** Returns  false where model and TLB differ */
static bool access_any(struct model *model)
{
    const unsigned kind = any(model, 5), bits = any(model, kind == 3 ? 4 : 5);
    struct pass access = {.size = 1u << bits, .mode = 1 + any(model, 2)};
    sm_gva gva = VIRTUAL(1 + any(model, N_VIRTUAL - 1)) + any(model, WINDOW) - WINDOW / 2u;
    enum sm_step step;

    if (kind >= 3) /* aligned, and on memory: else it faults */
        gva &= ~(uint64_t)(access.size - 1);
    if (model->stopped && any(model, 2)) {
        gva = model->last.gva; /* once more, or part of it */
        access.mode = model->last.mode;
        if (kind >= 3)
            gva &= ~(uint64_t)(access.size - 1);
    }
    access.gva = gva;
    const unsigned first = (unsigned)((gva - VIRTUAL(0)) / SM_PAGE_SIZE);
    if (kind >= 3 && model->mapped[model->table][first] >= N_PHYSICAL)
        return true;
    step = perform(model, &access, kind, bits);
    const bool expected = stops(model, &access);
    if (step == SM_STEP_FAULT || (step == SM_STEP_STOP) != expected)
        return false;
    if (step != SM_STEP_STOP) {
        model->n_done++;
        return true;
    }
    struct sm_watch_hit hit = {.struct_size = sizeof hit};
    assert_true(sm_vcpu_watch_hit(fake.vcpu, &hit));
    if (hit.gva != access.gva || hit.size != access.size ||
        hit.accesses != access.accesses || hit.id != model->watch[hit.index].id ||
        (model->plant == NO_BUG &&
         !covers(model, &model->watch[hit.index], access.mode, hit.met_gva)))
        return false;
    model->stopped = true;
    model->last = access;
    model->n_stops++;
    return true;
}

static bool step(struct model *model)
{
    const unsigned page = any(model, N_VIRTUAL);

    switch (any(model, 40)) {
    case 0:
        model->n = any(model, MAX_WATCHES + 1);
        for (unsigned i = 0; i < model->n; i++)
            model->watch[i] = any_watch(model);
        assert_int_equal(sm_vcpu_set_watches(fake.vcpu, model->watch, model->n), 0);
        break;
    case 1:
        map(model, model->table, page, any(model, N_PHYSICAL + 1));
        break;
    case 2:
        model->table = any(model, 2);
        fake_select(&fake, root_of(model->table), model->table);
        break;
    case 3:
    case 4:
        sm_vcpu_watch_pass(fake.vcpu);
        if (!model->stopped || model->n_passes == SM_WATCH_PASSES)
            break;
        model->pass[model->n_passes++] = model->last;
        break;
    case 5:
        sm_vcpu_watch_rearm(fake.vcpu);
        model->n_passes = 0;
        model->stopped = false;
        break;
    case 6:
        fake.span_limit = any(model, 4) ? 0 : 3; /* answers too narrow to keep */
        break;
    default:
        return access_any(model);
    }
    if (model->n_passes == SM_WATCH_PASSES) { /* what comes after is another test's */
        sm_vcpu_watch_rearm(fake.vcpu);
        model->n_passes = 0;
        model->stopped = false;
    }
    return true;
}

/** Returns  false where the model noticed something */
static bool run(uint64_t seed, enum plant plant, uint32_t vcpu_flags, unsigned steps)
{
    static struct model model;
    struct sm_dirty_log *log;
    bool same = true;

    model = (struct model){.seed = seed, .plant = plant};
    fake_init_flags(&fake, vcpu_flags);
    fake.refill = true;
    assert_int_equal(sm_dirty_log_new(fake.guest.ram, &log), 0);
    for (unsigned table = 0; table < 2; table++)
        for (unsigned page = 0; page < N_VIRTUAL; page++) {
            map(&model, table, page, page % N_PHYSICAL);
            model.first_mapped[page] = page % N_PHYSICAL;
        }
    for (unsigned i = 0; i < steps && same; i++) {
        same = step(&model);
        if (i % 512 == 0) {
            sm_vcpu_check(fake.vcpu);
            sm_vcpu_settle(fake.vcpu, sm_dirty_log_take(
                log, (struct sm_range){0, RAM_SIZE - 1}, NULL, NULL));
        }
        if (!same && plant == NO_BUG)
            printf("step %u differs\n", i);
    }
    if (plant == NO_BUG && same)
        printf("flags %u: %llu accesses done, %llu stopped\n", vcpu_flags,
               (unsigned long long)model.n_done, (unsigned long long)model.n_stops);
    sm_dirty_log_free(log);
    fake_fini(&fake);
    return same;
}

static uint64_t seed_of(void)
{
    const char *text = getenv("SM_SEED");
    const uint64_t seed = text ? strtoull(text, NULL, 0) : 0x5eed;

    printf("SM_SEED=0x%llx\n", (unsigned long long)seed);
    return seed;
}

static void test_model(void **state)
{
    static const uint32_t flags[] = {0, SM_VCPU_ONE_ENTRY, SM_VCPU_WALK_ALWAYS,
                                     SM_VCPU_EXACT_RESERVE};
    const uint64_t seed = seed_of();

    for (unsigned i = 0; i < SM_ARRAY_LEN(flags); i++)
        assert_true(run(seed + i, NO_BUG, flags[i], STEPS));
}

static void test_planted_bugs(void **state)
{
    for (enum plant plant = NO_BUG + 1; plant < N_PLANTS; plant++)
        assert_false(run(seed_of(), plant, 0, 2 * STEPS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_planted_bugs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
