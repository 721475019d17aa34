/* SPDX-License-Identifier: MIT */
/* model_why.c - who answers and who does not, in random trees, against a recursive model.
 *
 * After random edits, at random addresses: the trace's winner must be the one that
 * sm_address_space_lookup() finds; all others must be those that the model finds, in the
 * order in which they would win; and what the text says of each must be true, also of
 * where a translating region leads.  Both forms must be well formed.
 *
 * SM_SEED=n chooses the run, SM_ROUNDS=n its length; SM_PLANT=n breaks the tree behind the
 * library's back, in one of the ways listed below, and the run must then fail.  Without it
 * the test first makes sure of that, each plant in a process of its own.
 */
#include "../memory/support.h"

#include "memory/trace.h"
#include "softmmu/inspect.h"

#include <sys/resource.h>

enum plant {
    PLANT_NONE,
    PLANT_AGE,      /* of two siblings the older wins                           */
    PLANT_ENABLED,  /* what is disabled answers                                 */
    PLANT_READONLY, /* a read-only path is forgotten                            */
    PLANT_RANK,     /* the order of losers is turned round                      */
    PLANT_BEYOND,   /* a model has changed its mind                             */
    N_PLANTS
};

enum { N_REGIONS = 24, WINDOW = 192, MAX_LOSERS = 4096, N_TEXT = 1 << 20 };

struct test {
    struct world world;
    struct sm_region *region[N_REGIONS]; /* 0: the root                         */
    struct sm_address_space *far;        /* where translating regions lead      */
    struct sm_iommu *iommu;
    uint64_t random;
    enum plant plant;
    long n_asked, n_answered, n_losers, n_blocked, n_led_on, n_refused, n_said[7];
};

#define EXPECT(condition)                                                                \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            printf("model disagrees at line %d: %s\n", __LINE__, #condition);            \
            fflush(stdout);                                                              \
            _exit(1);                                                                    \
        }                                                                                \
    } while (0)

static uint64_t below(struct test *test, uint64_t n)
{
    return test_below(&test->random, n);
}

/* --- The model: all that would answer at an offset ----------------------- */

struct answer {
    const struct sm_region *region, *blocker; /* blocker: the outermost, or NULL */
    uint64_t offset;
    bool readonly;
};

struct answers {
    struct answer free[MAX_LOSERS], blocked[MAX_LOSERS];
    unsigned n_free, n_blocked;
};

/* Is @a asked before @b? */
static bool wins(const struct sm_region *a, const struct sm_region *b)
{
    return a->now.priority != b->now.priority ? a->now.priority > b->now.priority
                                              : a->now.age > b->now.age;
}

static void find(const struct test *test, struct answers *out,
                 const struct sm_region *region, uint64_t offset, bool target,
                 const struct sm_region *blocker, bool readonly)
{
    const bool ends = offset > region->now.last, off = region->now.disabled;
    bool tried[N_REGIONS] = {false};

    if (ends && (off || blocker))
        return;
    if (!blocker && (ends || off))
        blocker = region;
    readonly |= region->now.readonly;
    for (;;) {
        int best = -1;
        for (int i = 0; i < N_REGIONS; i++) {
            const struct sm_region *child = test->region[i];
            if (child && child->now.parent == region && !tried[i] &&
                (best < 0 || wins(child, test->region[best])))
                best = i;
        }
        if (best < 0)
            break;
        tried[best] = true;
        if (test->region[best]->now.offset <= offset)
            find(test, out, test->region[best], offset - test->region[best]->now.offset,
                 false, blocker, readonly);
    }
    if (region->kind == SM_REGION_CONTAINER)
        return;
    if (region->kind == SM_REGION_ALIAS) {
        if (offset <= UINT64_MAX - region->now.window)
            find(test, out, region->target, offset + region->now.window, true, blocker,
                 readonly);
        return;
    }
    if (ends && !target)
        return;
    const struct answer answer = {region, blocker, offset,
                                  readonly || region->kind == SM_REGION_ROM};
    EXPECT(out->n_free < MAX_LOSERS && out->n_blocked < MAX_LOSERS);
    if (blocker)
        out->blocked[out->n_blocked++] = answer;
    else
        out->free[out->n_free++] = answer;
}

/* --- Translating regions ------------------------------------------------ */

enum { BLOCK = 64, FAR = 256 };

/* Of four blocks of iovas one is refused; the others lie in another order. */
static bool lead(uint64_t iova, uint64_t *gpa)
{
    const uint64_t block = iova / BLOCK;

    *gpa = (block * 5 + 3) % (FAR / BLOCK) * BLOCK + iova % BLOCK;
    return block % 4 != 2;
}

static bool translate(void *dev, const struct sm_iommu_req *req, struct sm_iommu_map *out)
{
    const struct test *test = dev;

    EXPECT(req->flags == SM_IOMMU_PROBE && req->attrs.requester == 7);
    out->space = test->far;
    out->span.first = req->iova / BLOCK * BLOCK;
    out->span.last = out->span.first + BLOCK - 1;
    out->perms = SM_PERM_R;
    if (!lead(out->span.first, &out->base) || req->access != SM_READ)
        return false;
    out->base += test->plant == PLANT_BEYOND;
    return true;
}

static const struct sm_iommu_ops iommu_ops = {.struct_size = sizeof(iommu_ops),
                                              .translate = translate};

static void make_far(struct test *test)
{
    struct world *world = &test->world;
    struct sm_region *root = new_container(world, "far", UINT64_MAX);
    struct sm_device *device;

    EXPECT(sm_address_space_new(world->topo, "far", root, &test->far) == 0);
    EXPECT(sm_device_new(world->topo, "iommu", test, &device) == 0);
    EXPECT(sm_iommu_new(device, &iommu_ops, &test->far, 1, &test->iommu) == 0);
    sm_topology_begin(world->topo);
    map(root, 0, new_ram(world, "low", 32), 0);
    map(root, 64, new_rom(world, "high", 96), 0);
    commit(world);
}

/* --- Edits -------------------------------------------------------------- */

static uint64_t some_offset(struct test *test)
{
    switch (below(test, 16)) {
    case 0: return UINT64_MAX - below(test, WINDOW);
    case 1: return test_random(&test->random);
    case 2: return 0;
    default: return below(test, WINDOW);
    }
}

static struct sm_region *some_region(struct test *test)
{
    for (;;) {
        struct sm_region *region = test->region[below(test, N_REGIONS)];
        if (region)
            return region;
    }
}

static void make_region(struct test *test, unsigned at)
{
    struct sm_topology *topo = test->world.topo;
    struct sm_region **out = &test->region[at], *target = some_region(test);
    const uint64_t size = 1 + below(test, 96);
    struct sm_range window = {
        below(test, target->now.last < WINDOW ? target->now.last + 1 : WINDOW),
        target->now.last};
    char name[8];

    snprintf(name, sizeof(name), "r%u", at);
    switch (below(test, 9)) {
    case 0:
    case 1:
        if (below(test, 2))
            window.last =
                window.first +
                below(test, SM_MIN(window.last - window.first, (uint64_t)WINDOW) + 1);
        EXPECT(sm_region_new_alias(target, name, window, out) == 0);
        break;
    case 2: EXPECT(sm_region_new_rom(topo, name, size, out) == 0); break;
    case 3: EXPECT(sm_region_new_reserved(topo, name, size - 1, out) == 0); break;
    case 4:
    case 5: EXPECT(sm_region_new_ram(topo, name, size, out) == 0); break;
    case 6:
        EXPECT(sm_region_new_translating(test->iommu, name, size - 1, out) == 0);
        break;
    default:
        EXPECT(sm_region_new(topo, name,
                             below(test, 4) ? below(test, WINDOW) : UINT64_MAX,
                             out) == 0);
    }
}

static void edit(struct test *test)
{
    struct sm_region *region = some_region(test);
    const unsigned at = (unsigned)below(test, N_REGIONS);
    int error = 0; /* refusals are model_flatview.c's subject */

    switch (below(test, 13)) {
    case 0:
        if (at && test->region[at]) {
            sm_region_unmap(test->region[at]);
            if (sm_region_free(test->region[at]) == 0)
                test->region[at] = NULL;
        }
        break;
    case 1: error = sm_region_move(region, some_offset(test)); break;
    case 2: error = sm_region_set_priority(region, (int)below(test, 3) - 1); break;
    case 3: sm_region_set_enabled(region, below(test, 4) != 0); break;
    case 4: sm_region_set_readonly(region, below(test, 3) == 0); break;
    case 5:
        error = sm_region_resize(region, region == test->region[0]
                                             ? UINT64_MAX - below(test, 2)
                                             : below(test, WINDOW));
        break;
    case 6: sm_region_unmap(region); break;
    case 7: error = sm_region_set_window(region, below(test, WINDOW)); break;
    default:
        if (!test->region[at]) {
            make_region(test, at);
            region = test->region[at];
        }
        error = sm_region_map(below(test, 2) ? test->region[0] : some_region(test),
                              some_offset(test), region, (int)below(test, 3) - 1);
    }
    EXPECT(error <= 0);
}

/* --- Is it JSON? -------------------------------------------------------- */

static const char *json_value(const char *at);

static const char *json_string(const char *at)
{
    if (*at++ != '"')
        return NULL;
    for (; *at != '"'; at++) {
        if ((unsigned char)*at < 0x20)
            return NULL;
        if (*at == '\\' && !*++at)
            return NULL;
    }
    return at + 1;
}

static const char *json_space(const char *at)
{
    return at + strspn(at, " \n");
}

static const char *json_many(const char *at, char close, bool keys)
{
    at = json_space(at + 1);
    if (*at == close)
        return at + 1;
    for (;;) {
        if (keys) {
            at = json_string(at);
            if (!at || *(at = json_space(at)) != ':')
                return NULL;
            at = json_space(at + 1);
        }
        at = json_value(at);
        if (!at)
            return NULL;
        at = json_space(at);
        if (*at == close)
            return at + 1;
        if (*at != ',')
            return NULL;
        at = json_space(at + 1);
    }
}

static const char *json_value(const char *at)
{
    static const char *const words[] = {"true", "false", "null"};

    if (*at == '{')
        return json_many(at, '}', true);
    if (*at == '[')
        return json_many(at, ']', false);
    if (*at == '"')
        return json_string(at);
    for (unsigned i = 0; i < 3; i++)
        if (strncmp(at, words[i], strlen(words[i])) == 0)
            return at + strlen(words[i]);
    at += *at == '-';
    const size_t digits = strspn(at, "0123456789");
    return digits && (at[0] != '0' || digits == 1) ? at + digits : NULL;
}

/* --- Comparing ---------------------------------------------------------- */

static char text[N_TEXT];

static void take(void *arg, const char *bytes, size_t n)
{
    EXPECT(n < N_TEXT);
    memcpy(text, bytes, n);
    text[n] = '\0';
}

static const struct sm_region *named(const struct test *test, const char *name)
{
    const long at = strtol(name + 1, NULL, 10);
    EXPECT(name[0] == 'r' && at >= 0 && at < N_REGIONS && test->region[at]);
    return test->region[at];
}

static const struct sm_region *held_of(const struct test *test, const char *held,
                                       const struct sm_region *loser)
{
    return strcmp(held, "it") == 0 ? loser : named(test, held);
}

/* Is the reason given for @loser true?  Regions are named by their number. */
static void check_reason(struct test *test, const struct sm_region *loser,
                         const char *reason)
{
    char a[16], b[16];
    int x, y;
    unsigned long long end;
    const struct sm_region *held, *by;

    if (sscanf(reason, "%15s has priority %d, %15s has %d", a, &x, b, &y) == 4) {
        held = held_of(test, a, loser), by = named(test, b);
        EXPECT(x < y && x == held->now.priority && y == by->now.priority);
        EXPECT(held->now.parent == by->now.parent);
        test->n_said[0]++;
    } else if (sscanf(reason, "%15s was mapped before %15[^,], both with priority %d", a,
                      b, &x) == 3) {
        held = held_of(test, a, loser), by = named(test, b);
        EXPECT(x == held->now.priority && x == by->now.priority);
        EXPECT(held->now.age < by->now.age && held->now.parent == by->now.parent);
        test->n_said[1]++;
    } else if (sscanf(reason, "%15s is mapped into %15s", a, b) == 2) {
        EXPECT(named(test, a)->now.parent == held_of(test, b, loser));
        test->n_said[2]++;
    } else if (sscanf(reason, "%15s is disabled", a) == 1 && strstr(reason, "disabled")) {
        EXPECT(held_of(test, a, loser)->now.disabled);
        test->n_said[3]++;
    } else if (sscanf(reason, "the window of %15s ends at %llx", a, &end) == 2) {
        held = named(test, a);
        EXPECT(held->kind == SM_REGION_ALIAS && end == held->now.last);
        test->n_said[4]++;
    } else if (sscanf(reason, "%15s ends at %llx, within the window of %15s", a, &end,
                      b) == 3) {
        EXPECT(named(test, b)->target == loser && end == loser->now.last);
        test->n_said[5]++;
    } else {
        EXPECT(sscanf(reason, "%15s ends at %llx", a, &end) == 2);
        EXPECT(held_of(test, a, loser)->now.last == end);
        test->n_said[6]++;
    }
}

/* Cut off what the text says of the place that the model names, and check that. */
static void check_beyond(struct test *test, const struct sm_region *answer, uint64_t iova)
{
    char *line = strstr(text, "translated: "), want[256];
    struct sm_section section;
    uint64_t gpa;

    EXPECT(!line == !(answer && answer->kind == SM_REGION_TRANSLATING));
    if (!line)
        return;
    const bool leads = lead(iova, &gpa);
    const bool answers = leads && sm_address_space_lookup(test->far, gpa, &section);
    const int n = snprintf(want, sizeof(want), "translated: %016llx of %s for requester 7"
                           ", read: ", (unsigned long long)iova, answer->name);
    EXPECT(strncmp(line, want, (size_t)n) == 0);
    if (!leads) {
        EXPECT(strcmp(line + n, "refused\n") == 0);
    } else {
        const char *place = strstr(line, "\nwhy: ");
        if (answers)
            snprintf(want, sizeof(want), "\nwhy: %016llx in far\nanswer: %s (",
                     (unsigned long long)gpa, section.region->name);
        else
            snprintf(want, sizeof(want), "\nwhy: %016llx in far\nanswer: nothing\n",
                     (unsigned long long)gpa);
        EXPECT(place && strncmp(place, want, strlen(want)) == 0);
    }
    test->n_led_on += leads;
    test->n_refused += !leads;
    *line = '\0';
}

/* Read the losers that the text tells. */
static void check_text(struct test *test, const struct answers *want, unsigned n_free)
{
    char *line = strstr(text, "others:\n");
    unsigned n = 0;

    EXPECT(!line == !(n_free + want->n_blocked));
    if (!line)
        return;
    line += strlen("others:\n");
    for (; *line; n++) {
        char name[16], kind[16];
        unsigned long long offset;
        int length = 0;
        EXPECT(sscanf(line, "  %15s (%15[a-z]) @%llx: %n", name, kind, &offset,
                      &length) == 3 &&
               length);
        const struct sm_region *loser = named(test, name);
        char *reason = line + length, *end = strchr(reason, '\n');
        EXPECT(end && strncmp(end, "\n    way: r0", 11) == 0);
        *end = '\0';
        if (n < n_free) {
            const struct answer *answer = &want->free[want->n_free - n_free + n];
            EXPECT(answer->region == loser && answer->offset == offset);
        }
        check_reason(test, loser, reason);
        line = strchr(end + 1, '\n') + 1;
    }
    EXPECT(n == n_free + want->n_blocked);
}

static void check_blocked(struct answers *want, const struct sm_trace *trace)
{
    unsigned left = want->n_blocked;

    for (size_t i = 0; i < trace->n.n; i++) {
        const struct sm_trace_entry *step = &trace->steps[i];
        if (step->rank == SM_NO_STEP || step->blocked_by == SM_NO_STEP)
            continue;
        const struct sm_region *blocker = trace->steps[step->blocked_by].region;
        unsigned found = 0;
        while (found < left && (want->blocked[found].region != step->region ||
                                want->blocked[found].offset != step->offset ||
                                want->blocked[found].blocker != blocker))
            found++;
        EXPECT(found < left);
        const struct answer last = want->blocked[--left];
        want->blocked[left] = want->blocked[found];
        want->blocked[found] = last;
    }
    EXPECT(!left);
}

static void ask(struct test *test, sm_gpa gpa)
{
    static const struct sm_attrs who = {.requester = 7, .process = SM_NO_PROCESS};
    static struct answers want;
    struct sm_address_space *space = test->world.space;
    struct sm_trace trace = {0};
    struct sm_section section;

    want.n_free = want.n_blocked = 0;
    find(test, &want, test->region[0], gpa, false, NULL, false);
    EXPECT(sm_trace_walk(&trace, space->root->region, gpa));
    const size_t winner = sm_trace_winner(&trace);
    const struct sm_trace_entry *step =
        winner == SM_NO_STEP ? NULL : &trace.steps[winner];
    const bool answers = step && step->region->kind != SM_REGION_RESERVED;

    /* The view, the trace and the model agree on who answers. */
    EXPECT(sm_address_space_lookup(space, gpa, &section) == answers);
    EXPECT(!step == !want.n_free);
    if (step)
        EXPECT(step->region == want.free[0].region &&
               step->offset == want.free[0].offset);
    if (answers) {
        EXPECT(section.region == step->region);
        EXPECT(section.offset + (gpa - section.range.first) == step->offset);
        EXPECT(section.readonly == want.free[0].readonly);
        EXPECT(section.readonly ==
               (step->readonly || step->region->kind == SM_REGION_ROM));
    }
    check_blocked(&want, &trace);
    const unsigned n_free = want.n_free - (want.n_free ? 1 : 0);
    sm_free(trace.steps);

    EXPECT(sm_inspect_why(space, gpa, &who, SM_INSPECT_TEXT, take, NULL) == 0);
    if (test->plant == PLANT_RANK && n_free > 1) {
        const struct answer first = want.free[1];
        want.free[1] = want.free[want.n_free - 1];
        want.free[want.n_free - 1] = first;
    }
    check_beyond(test, want.n_free ? want.free[0].region : NULL,
                 want.n_free ? want.free[0].offset : 0);
    check_text(test, &want, n_free);
    EXPECT(sm_inspect_why(space, gpa, &who, SM_INSPECT_JSON, take, NULL) == 0);
    const char *end = json_value(text);
    EXPECT(end && strcmp(end, "\n") == 0);
    test->n_asked++;
    test->n_answered += answers;
    test->n_losers += n_free;
    test->n_blocked += want.n_blocked;
}

/* Damage a committed tree, so that it is not what the view was made of. */
static void plant(struct test *test)
{
    struct sm_region *region = some_region(test);

    if (test->plant == PLANT_AGE)
        region->now.age = 0;
    if (test->plant == PLANT_ENABLED)
        region->now.disabled = false;
    if (test->plant == PLANT_READONLY)
        region->now.readonly = false;
}

static void run(uint64_t seed, long rounds, enum plant kind)
{
    static struct test test;
    struct sm_topology *topo;

    memset(&test, 0, sizeof(test));
    test.random = seed;
    test.plant = kind;
    world_init(&test.world);
    topo = test.world.topo;
    sm_address_space_free(test.world.space);
    EXPECT(sm_region_new(topo, "r0", UINT64_MAX, &test.region[0]) == 0);
    EXPECT(sm_address_space_new(topo, "space", test.region[0], &test.world.space) == 0);
    make_far(&test);
    for (long round = 0; round < rounds; round++) {
        sm_topology_begin(topo);
        for (uint64_t n = 1 + below(&test, 4); n; n--)
            edit(&test);
        sm_region_set_enabled(test.region[0], below(&test, 16) != 0);
        EXPECT(sm_topology_commit(topo, NULL) == 0);
        if (kind)
            plant(&test);
        for (int i = 0; i < 4; i++)
            ask(&test, some_offset(&test));
        EXPECT(sm_inspect_tree(topo, NULL, SM_INSPECT_JSON, take, NULL) == 0);
        EXPECT(strcmp(json_value(text), "\n") == 0);
        EXPECT(sm_inspect_view(test.world.space, SM_INSPECT_JSON, take, NULL) == 0);
        EXPECT(strcmp(json_value(text), "\n") == 0);
        if (below(&test, 8) == 0)
            sm_topology_work(topo);
    }
    printf("%ld rounds, %ld addresses, %ld no holes; %ld yielded, %ld were blocked\n",
           rounds, test.n_asked, test.n_answered, test.n_losers, test.n_blocked);
    printf("%ld were led on, %ld were refused\n", test.n_led_on, test.n_refused);
    EXPECT(rounds < 1000 || (test.n_led_on && test.n_refused));
    for (int i = 0; i < 7; i++) {
        printf("reason %d: %ld\n", i, test.n_said[i]);
        EXPECT(rounds < 1000 || test.n_said[i]);
    }
    sm_topology_free(topo);
}

static bool plant_is_found(int kind)
{
    const pid_t child = fork();
    char number[16];
    int status;

    if (child == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        snprintf(number, sizeof(number), "%d", kind);
        setenv("SM_PLANT", number, 1);
        execl("/proc/self/exe", "model_why", (char *)NULL);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

int main(void)
{
    const char *kind = getenv("SM_PLANT"), *rounds = getenv("SM_ROUNDS");
    const uint64_t seed = test_seed(33);
    const long n = rounds ? strtol(rounds, NULL, 0) : 5000;

    if (kind) {
        run(seed, n, (enum plant)strtol(kind, NULL, 0));
        return 0;
    }
    for (int i = PLANT_NONE + 1; i < N_PLANTS; i++) {
        fflush(stdout);
        if (!plant_is_found(i)) {
            printf("planted bug %d was not found\n", i);
            return 1;
        }
    }
    run(seed, n, PLANT_NONE);
    return 0;
}
