/* SPDX-License-Identifier: MIT */
/* model_flatview.c - random edits of trees against a resolver that asks byte by byte.
 *
 * The model keeps its own record of every region and answers for one address at a time,
 * by trying the children in the order of (R3) and then what is beneath them.  Edits of
 * all kinds, nested and taken back, must leave two spaces that agree with it at every
 * address near both ends of 2^64, and transfers must do what bytes would.
 *
 * SM_SEED=n chooses the run, SM_ROUNDS=n its length; SM_PLANT=n breaks the library on
 * purpose, in one of the ways listed below, and the run must then fail.  Without it the
 * test first makes sure of that, each plant in a process of its own.
 */
#include "support.h"

#include "softmmu/listener.h"

#include <sys/resource.h>

enum plant {
    PLANT_NONE,
    PLANT_OLDEST_WINS,  /* of equal priorities, against (R3)                    */
    PLANT_WRITABLE,     /* a read-only path is forgotten                        */
    PLANT_SHORT,        /* a section ends a byte early                          */
    PLANT_ABORT_LEAVES, /* abort leaves a move in place                         */
    PLANT_WRONG_OFFSET, /* an alias shows its target a byte off                 */
    PLANT_LOST_BYTE,    /* a transfer does not write its last byte              */
    PLANT_STALE,        /* a window that changed is not rendered                */
    N_PLANTS
};

enum { N_REGIONS = 24, N_SPACES = 2, WINDOW = 192, MAX_BYTES = 96, MAX_HEARD = 512 };

struct model_region {
    bool used, readonly, disabled, calls;
    enum sm_region_kind kind;
    uint64_t last;
    uint64_t room; /* the highest that last may become                         */
    int parent; /* -1: none                                                    */
    uint64_t offset, age;
    int priority;
    int target; /* alias                                                       */
    struct sm_range window;
};

struct model {
    struct model_region region[N_REGIONS];
    uint64_t age;
};

/* A view as a listener knows it, from what it was told alone. */
struct hearsay {
    struct sm_listener *listener;
    struct sm_section section[2 * MAX_HEARD];
    int n;
    uint64_t last; /* told of in this phase                                    */
    enum { QUIET, REMOVING, ADDING } phase;
};

struct test {
    struct world world;
    struct hearsay hearsay[N_SPACES];
    struct sm_address_space *space[N_SPACES];
    struct sm_region *region[N_REGIONS];
    uint8_t byte[N_REGIONS][MAX_BYTES];    /* what memory should hold            */
    uint8_t io_byte[N_REGIONS][MAX_BYTES]; /* what devices hold                 */
    _Alignas(4096) uint8_t lent[N_REGIONS][4096]; /* memory of the caller's      */
    struct model model, before;            /* before: at the outermost begin     */
    uint64_t random;
    enum plant plant;
    long n_checks, n_answered, n_sections;
};

/* Regions 0 and 1 are the roots of the spaces, and stay. */

#define EXPECT(condition)                                                                \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            printf("model disagrees at line %d: %s\n", __LINE__, #condition);            \
            fflush(stdout);                                                              \
            _exit(1);                                                                    \
        }                                                                                \
    } while (0)

/* --- The model ---------------------------------------------------------- */

struct answer {
    int region; /* NOBODY, or HIDDEN, which ends the search                    */
    uint64_t offset;
    bool readonly;
};

enum { NOBODY = -1, HIDDEN = -2 };

static struct answer resolve(const struct model *model, int at, uint64_t offset,
                             bool readonly)
{
    const struct model_region *region = &model->region[at];
    bool tried[N_REGIONS] = {false};

    if (region->disabled || offset > region->last)
        return (struct answer){NOBODY, 0, false};
    readonly |= region->readonly;
    for (;;) {
        int best = -1;
        for (int i = 0; i < N_REGIONS; i++) {
            const struct model_region *child = &model->region[i];
            if (!child->used || child->parent != at || tried[i])
                continue;
            if (best < 0 || child->priority > model->region[best].priority ||
                (child->priority == model->region[best].priority &&
                 child->age > model->region[best].age))
                best = i;
        }
        if (best < 0)
            break;
        tried[best] = true;
        const struct model_region *child = &model->region[best];
        if (offset < child->offset || offset - child->offset > child->last)
            continue;
        const struct answer answer =
            resolve(model, best, offset - child->offset, readonly);
        if (answer.region != NOBODY)
            return answer;
    }
    switch (region->kind) {
    case SM_REGION_CONTAINER: return (struct answer){NOBODY, 0, false};
    case SM_REGION_RESERVED: return (struct answer){HIDDEN, 0, false};
    case SM_REGION_ALIAS:
        return resolve(model, region->target, offset + region->window.first, readonly);
    default:
        return (struct answer){at, offset, readonly || region->kind == SM_REGION_ROM};
    }
}

static bool leads_to(const struct model *model, int from, int to)
{
    if (from == to)
        return true;
    if (model->region[from].kind == SM_REGION_ALIAS &&
        leads_to(model, model->region[from].target, to))
        return true;
    for (int i = 0; i < N_REGIONS; i++)
        if (model->region[i].used && model->region[i].parent == from &&
            leads_to(model, i, to))
            return true;
    return false;
}

static bool is_target(const struct model *model, int at)
{
    for (int i = 0; i < N_REGIONS; i++)
        if (model->region[i].used && model->region[i].kind == SM_REGION_ALIAS &&
            model->region[i].target == at)
            return true;
    return false;
}

static struct answer answer_at(const struct test *test, int space, sm_gpa gpa)
{
    const struct answer answer = resolve(&test->model, space, gpa, false);
    return answer.region == HIDDEN ? (struct answer){NOBODY, 0, false} : answer;
}

static bool follows(struct answer a, struct answer b, uint64_t distance)
{
    return a.region == b.region && a.readonly == b.readonly &&
           (a.region < 0 || b.offset == a.offset + distance);
}

/* Does this asker change nothing of a device? */
static bool is_harmless(const struct sm_attrs *attrs)
{
    return (attrs->flags & SM_ATTR_DEBUG) && !(attrs->flags & SM_ATTR_EFFECTS);
}

/* Is an access to @answer a call? */
static bool is_call(const struct test *test, struct answer answer, bool write,
                    const struct sm_attrs *attrs)
{
    const struct model_region *region = &test->model.region[answer.region];

    if (region->kind == SM_REGION_ROM_DEVICE)
        return write ? !is_harmless(attrs) : region->calls;
    return region->kind == SM_REGION_IO;
}

/* The byte of a region that an access moves. */
static uint8_t *byte_of(struct test *test, struct answer answer, bool write,
                        const struct sm_attrs *attrs)
{
    return is_call(test, answer, write, attrs)
               ? &test->io_byte[answer.region][answer.offset]
               : &test->byte[answer.region][answer.offset];
}

/* --- Devices, one for each region: an array of bytes -------------------- */

static enum sm_tx io_read(void *dev, uint64_t offset, unsigned size,
                          const struct sm_attrs *attrs, uint64_t *value)
{
    uint8_t *byte = dev;
    *value = 0;
    memcpy(value, byte + offset, size);
    return SM_TX_OK;
}

static enum sm_tx io_peek(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
    return io_read(dev, offset, size, NULL, value);
}

static enum sm_tx io_write(void *dev, uint64_t offset, unsigned size,
                           const struct sm_attrs *attrs, uint64_t value)
{
    uint8_t *byte = dev;
    memcpy(byte + offset, &value, size);
    return SM_TX_OK;
}

static const struct sm_io_ops io_ops = {
    .struct_size = sizeof(io_ops),
    .read = io_read,
    .write = io_write,
    .peek = io_peek,
    .accepts = {1, 8, true},
    .implements = {1, 8, true},
};

/* --- Edits -------------------------------------------------------------- */

static uint64_t below(struct test *test, uint64_t n)
{
    return test_below(&test->random, n);
}

/* An offset near either end, or anywhere. */
static uint64_t some_offset(struct test *test)
{
    switch (below(test, 16)) {
    case 0: return UINT64_MAX - below(test, WINDOW);
    case 1: return test_random(&test->random);
    case 2: return 0;
    default: return below(test, WINDOW);
    }
}

static int some_region(struct test *test)
{
    for (;;) {
        const int at = (int)below(test, N_REGIONS);
        if (test->model.region[at].used)
            return at;
    }
}

static bool make_alias(struct test *test, int at, struct model_region *made)
{
    const int target = some_region(test);
    const uint64_t last = test->model.region[target].last;
    struct sm_range window = {some_offset(test), some_offset(test)};

    if (below(test, 4)) {
        window.first = window.first > last ? 0 : window.first;
        window.last = window.last > last || below(test, 2) ? last : window.last;
    }
    const int error =
        sm_region_new_alias(test->region[target], "alias", window, &test->region[at]);
    if (window.first > window.last || window.last > last) {
        EXPECT(error == -ERANGE);
        return false;
    }
    EXPECT(error == 0);
    made->kind = SM_REGION_ALIAS;
    made->target = target;
    made->window = window;
    made->last = window.last - window.first;
    return true;
}

static void make_region(struct test *test, int at)
{
    struct model_region *made = &test->model.region[at];
    struct sm_topology *topo = test->world.topo;

    *made = (struct model_region){.parent = -1};
    made->last = below(test, MAX_BYTES);
    made->room = MAX_BYTES - 1;
    switch (below(test, 8)) {
    case 0:
    case 1:
        if (!make_alias(test, at, made))
            return;
        break;
    case 2: {
        made->kind = SM_REGION_RAM;
        made->room = made->last + below(test, MAX_BYTES - made->last);
        const struct sm_ram_options options = {
            .struct_size = sizeof(options),
            .kind = below(test, 2) ? SM_RAM_ANONYMOUS : SM_RAM_CALLER,
            .size = made->last + 1,
            .max_size = made->room + 1,
            .host = test->lent[at],
        };
        EXPECT(sm_region_new_ram_from(topo, "ram", &options, &test->region[at]) == 0);
        memset(test->lent[at], 0, sizeof(test->lent[at]));
        memset(test->byte[at], 0, MAX_BYTES);
        break;
    }
    case 3:
        made->kind = SM_REGION_ROM;
        made->room = made->last;
        EXPECT(sm_region_new_rom(topo, "rom", made->last + 1, &test->region[at]) == 0);
        memset(test->byte[at], 0, MAX_BYTES);
        break;
    case 4: {
        struct sm_device *device; /* of its own: the region's bytes */
        made->kind = SM_REGION_IO;
        EXPECT(sm_device_new(topo, "io", test->io_byte[at], &device) == 0);
        EXPECT(sm_region_new_io(device, "io", made->last, &io_ops, &test->region[at]) ==
               0);
        break;
    }
    case 5: {
        struct sm_device *device;
        made->kind = SM_REGION_ROM_DEVICE;
        made->room = made->last;
        EXPECT(sm_device_new(topo, "romd", test->io_byte[at], &device) == 0);
        EXPECT(sm_region_new_rom_device(device, "romd", made->last + 1, &io_ops,
                                        &test->region[at]) == 0);
        memset(test->byte[at], 0, MAX_BYTES);
        break;
    }
    case 6:
        made->kind = SM_REGION_RESERVED;
        made->room = UINT64_MAX;
        EXPECT(sm_region_new_reserved(topo, "gap", made->last, &test->region[at]) == 0);
        break;
    default:
        made->kind = SM_REGION_CONTAINER;
        made->room = UINT64_MAX;
        made->last = below(test, 2) ? below(test, WINDOW) : UINT64_MAX - below(test, 2);
        EXPECT(sm_region_new(topo, "container", made->last, &test->region[at]) == 0);
    }
    made->used = true;
    /* A region lives on if the edit that made it is taken back. */
    test->before.region[at] = *made;
}

static void edit_map(struct test *test)
{
    const int parent = below(test, 3) ? (int)below(test, N_SPACES) : some_region(test);
    const int child = some_region(test);
    const uint64_t offset = some_offset(test);
    const int priority = (int)below(test, 3) - 1;
    struct model_region *region = &test->model.region[child];
    const int error =
        sm_region_map(test->region[parent], offset, test->region[child], priority);

    if (region->parent >= 0) {
        EXPECT(error == -EBUSY);
    } else if (region->last > UINT64_MAX - offset) {
        EXPECT(error == -ERANGE);
    } else if (leads_to(&test->model, child, parent)) {
        EXPECT(error == -ELOOP);
    } else {
        EXPECT(error == 0);
        region->parent = parent;
        region->offset = offset;
        region->priority = priority;
        region->age = ++test->model.age;
        if (test->plant == PLANT_OLDEST_WINS) {
            test->region[child]->now.age = 0;
        }
    }
}

static void edit_move(struct test *test)
{
    const int child = some_region(test);
    const uint64_t offset = some_offset(test);
    struct model_region *region = &test->model.region[child];
    const int error = sm_region_move(test->region[child], offset);

    if (region->parent < 0) {
        EXPECT(error == -ENOENT);
    } else if (region->last > UINT64_MAX - offset) {
        EXPECT(error == -ERANGE);
    } else {
        EXPECT(error == 0);
        region->offset = offset;
    }
}

static void edit_resize(struct test *test)
{
    const int at = some_region(test);
    struct model_region *region = &test->model.region[at];
    uint64_t last = below(test, 3) ? below(test, MAX_BYTES) : some_offset(test);
    bool fits = last <= region->room;

    if (at < N_SPACES && below(test, 8)) { /* else too little is ever seen */
        last = at ? WINDOW - 7 : UINT64_MAX;
        fits = true;
    }
    if (region->kind == SM_REGION_IO) /* the device's bytes are no more */
        last = fits ? last : region->room, fits = true;
    if (region->kind == SM_REGION_ALIAS)
        fits = last <= region->last ||
               (region->window.first <= test->model.region[region->target].last &&
                last <= test->model.region[region->target].last - region->window.first);
    if (region->parent >= 0 && last > UINT64_MAX - region->offset)
        fits = false;
    EXPECT(sm_region_resize(test->region[at], last) == (fits ? 0 : -ERANGE));
    if (fits)
        region->last = last;
}

static void edit_window(struct test *test)
{
    const int at = some_region(test);
    struct model_region *region = &test->model.region[at];
    const uint64_t first = below(test, 4) ? below(test, MAX_BYTES) : some_offset(test);
    const int error = sm_region_set_window(test->region[at], first);

    if (region->kind != SM_REGION_ALIAS) {
        EXPECT(error == -EINVAL);
        return;
    }
    const uint64_t last = test->model.region[region->target].last;
    const bool fits = first <= last && region->last <= last - first;
    EXPECT(error == (fits ? 0 : -ERANGE));
    if (fits)
        region->window.first = first;
}

static void edit_priority(struct test *test)
{
    const int at = some_region(test), priority = (int)below(test, 3) - 1;
    const bool mapped = test->model.region[at].parent >= 0;

    EXPECT(sm_region_set_priority(test->region[at], priority) == (mapped ? 0 : -ENOENT));
    if (mapped)
        test->model.region[at].priority = priority;
}

/* Turn something on or off: mostly on. */
static void edit_switch(struct test *test)
{
    const int at = some_region(test);
    struct model_region *region = &test->model.region[at];
    const uint64_t what = below(test, 3);
    const bool value =
        below(test, what ? 6 : 3) == 0 && (at >= N_SPACES || below(test, 8) == 0);
    int error;

    switch (what) {
    case 0:
        sm_region_set_readonly(test->region[at], value);
        region->readonly = value;
        break;
    case 1:
        sm_region_set_enabled(test->region[at], !value);
        region->disabled = value;
        break;
    default:
        error = sm_region_set_calls(test->region[at], value);
        EXPECT(error == (region->kind == SM_REGION_ROM_DEVICE ? 0 : -EINVAL));
        if (!error)
            region->calls = value;
    }
}

static void edit_free(struct test *test)
{
    const int at = some_region(test);
    struct model_region *region = &test->model.region[at];
    const int error = sm_region_free(test->region[at]);

    if (region->parent >= 0 || is_target(&test->model, at) || at < N_SPACES) {
        EXPECT(error == -EBUSY);
        return;
    }
    EXPECT(error == 0);
    region->used = false;
    for (int i = 0; i < N_REGIONS; i++)
        if (test->model.region[i].used && test->model.region[i].parent == at)
            test->model.region[i].parent = -1;
}

static void edit(struct test *test)
{
    const int at = (int)below(test, N_REGIONS);

    switch (below(test, 20)) {
    case 0:
    case 1:
    case 2:
        /* Not a slot that an abort could bring back. */
        if (!test->model.region[at].used && !test->before.region[at].used)
            make_region(test, at);
        break;
    case 3: {
        const int child = some_region(test);
        sm_region_unmap(test->region[child]);
        test->model.region[child].parent = -1;
        break;
    }
    case 4: edit_move(test); break;
    case 5: edit_switch(test); break;
    case 6: edit_free(test); break;
    case 7: edit_resize(test); break;
    case 8: edit_priority(test); break;
    case 9:
    case 10: edit_window(test); break;
    default: edit_map(test);
    }
}

/* Break what a commit or an abort has just done. */
static void plant(struct test *test, bool aborted)
{
    struct sm_flat_view *view = test->space[below(test, N_SPACES)]->view;
    const size_t n = sm_flat_view_count(view);
    const struct sm_flat_section *some = NULL;
    for (uint64_t i = n ? 1 + below(test, n) : 0; i; i--)
        some = sm_flat_view_next(view, some);
    struct sm_flat_section *section = (struct sm_flat_section *)(uintptr_t)some;
    struct sm_region *region = test->region[some_region(test)];

    switch (test->plant) {
    case PLANT_WRITABLE:
        if (section && section->region->kind != SM_REGION_ROM)
            section->readonly = false;
        break;
    case PLANT_SHORT:
        if (section && section->range.last > section->range.first)
            section->range.last--;
        break;
    case PLANT_WRONG_OFFSET:
        if (section && section->offset)
            section->offset--;
        break;
    case PLANT_ABORT_LEAVES:
        if (aborted && region->now.parent && region->now.offset)
            region->now.offset--;
        break;
    default: break;
    }
}

/* --- What listeners hear ------------------------------------------------ */

static void in_order(struct hearsay *hearsay, int phase, const struct sm_section *section)
{
    EXPECT((int)hearsay->phase <= phase);
    EXPECT((int)hearsay->phase < phase || section->range.first > hearsay->last);
    hearsay->phase = phase == REMOVING ? REMOVING : ADDING;
    hearsay->last = section->range.last;
}

static void heard_removed(void *owner, const struct sm_section *section)
{
    struct hearsay *hearsay = owner;

    in_order(hearsay, REMOVING, section);
    for (int i = 0; i < hearsay->n; i++) {
        const struct sm_section *known = &hearsay->section[i];
        if (known->range.first == section->range.first &&
            known->range.last == section->range.last &&
            known->region == section->region && known->offset == section->offset &&
            known->readonly == section->readonly) {
            hearsay->section[i] = hearsay->section[--hearsay->n];
            return;
        }
    }
    EXPECT(0 == 1); /* what was removed had not been added */
}

static void heard_added(void *owner, const struct sm_section *section)
{
    struct hearsay *hearsay = owner;

    in_order(hearsay, ADDING, section);
    EXPECT(hearsay->n < 2 * MAX_HEARD);
    hearsay->section[hearsay->n++] = *section;
}

static void heard_committed(void *owner, sm_ticket ticket)
{
    struct hearsay *hearsay = owner;
    hearsay->phase = QUIET;
}

static const struct sm_listener_ops hearing = {
    .struct_size = sizeof(hearing),
    .removed = heard_removed,
    .added = heard_added,
    .committed = heard_committed,
};

/* What was added and not removed is the view (N2). */
static void check_hearsay(struct test *test)
{
    for (int i = 0; i < N_SPACES; i++) {
        struct hearsay *hearsay = &test->hearsay[i];
        EXPECT(hearsay->phase == QUIET);
        EXPECT(sm_flat_view_count(test->space[i]->view) == (size_t)hearsay->n);
        for (int j = 0; j < hearsay->n; j++) {
            const struct sm_section *known = &hearsay->section[j];
            const struct sm_flat_section *section =
                sm_flat_view_find(test->space[i]->view, known->range.first);
            EXPECT(section && section->range.first == known->range.first &&
                   section->range.last == known->range.last &&
                   section->region == known->region &&
                   section->offset == known->offset &&
                   section->readonly == known->readonly);
        }
        if (below(test, 64) == 0) { /* go, and come late */
            sm_listener_free(hearsay->listener);
            EXPECT(hearsay->n == 0);
            hearsay->phase = QUIET;
            EXPECT(sm_listener_new(test->space[i], &hearing, hearsay, 0,
                                   &hearsay->listener) == 0);
        }
    }
}

static void transaction(struct test *test)
{
    unsigned depth = 1, n = 1 + (unsigned)below(test, 6);

    test->before = test->model;
    sm_topology_begin(test->world.topo);
    while (n-- || depth > 1) {
        const uint64_t choice = below(test, 10);
        if (choice == 0) {
            sm_topology_begin(test->world.topo);
            depth++;
        } else if (choice == 1 && depth > 1) {
            EXPECT(sm_topology_commit(test->world.topo, NULL) == 0);
            depth--;
        } else if (choice == 2 && depth > 1) {
            sm_topology_abort(test->world.topo);
            test->model = test->before;
            depth--;
        } else if (n < 6) {
            edit(test);
        } else {
            n = 0; /* only the way out is left */
        }
    }
    if (below(test, 4)) {
        struct sm_root *root = test->region[below(test, N_SPACES)]->root;
        if (test->plant == PLANT_STALE && root->n_dirty)
            root->n_dirty--;
        EXPECT(sm_topology_commit(test->world.topo, NULL) == 0);
        plant(test, false);
    } else {
        sm_topology_abort(test->world.topo);
        test->model = test->before;
        plant(test, true);
    }
}

/* --- Comparison --------------------------------------------------------- */

static void check_address(struct test *test, int space, sm_gpa gpa)
{
    const struct answer want = answer_at(test, space, gpa);
    struct sm_section section;
    const bool found = sm_address_space_lookup(test->space[space], gpa, &section);

    EXPECT(found == (want.region >= 0));
    EXPECT(sm_range_contains(section.range, gpa));
    if (found) {
        EXPECT(section.region == test->region[want.region]);
        EXPECT(section.offset + (gpa - section.range.first) == want.offset);
        EXPECT(section.readonly == want.readonly);
    }
    /* The stretch is exactly as long as the answer lasts. */
    EXPECT(follows(answer_at(test, space, section.range.first), want,
                   gpa - section.range.first));
    EXPECT(follows(want, answer_at(test, space, section.range.last),
                   section.range.last - gpa));
    if (section.range.first)
        EXPECT(!follows(answer_at(test, space, section.range.first - 1), want,
                        gpa - section.range.first + 1));
    if (section.range.last != UINT64_MAX)
        EXPECT(!follows(want, answer_at(test, space, section.range.last + 1),
                        section.range.last + 1 - gpa));
    test->n_checks++;
    test->n_answered += found;
}

/* What was rendered bit by bit is what is rendered at once. */
static void check_whole(struct test *test)
{
    const struct sm_range everywhere = {0, UINT64_MAX};

    for (int i = 0; i < N_SPACES; i++) {
        const struct sm_flat_view *view = test->space[i]->view;
        struct sm_rendered rendered = {0};
        EXPECT(sm_render(test->region[i], everywhere, &rendered));
        EXPECT(rendered.n.n == sm_flat_view_count(view));
        for (size_t j = 0; j < rendered.n.n; j++) {
            const struct sm_flat_section *section = &rendered.sections[j];
            const struct sm_flat_section *found =
                sm_flat_view_find(view, section->range.first);
            EXPECT(found && found->range.first == section->range.first &&
                   found->range.last == section->range.last &&
                   sm_flat_section_continues(found, section));
        }
        sm_free(rendered.sections);
    }
}

static void check_lookups(struct test *test)
{
    for (int space = 0; space < N_SPACES; space++) {
        for (uint64_t i = 0; i < WINDOW; i += 1 + below(test, 8)) {
            check_address(test, space, i);
            check_address(test, space, UINT64_MAX - i);
        }
        check_address(test, space, test_random(&test->random));
    }
}

/* Do a transfer's bytes on the model.  Returns how it ends; *done: bytes moved. */
static enum sm_tx model_bytes(struct test *test, int space, sm_gpa gpa, bool write,
                              const struct sm_attrs *attrs, uint8_t *buf, uint64_t size,
                              uint64_t *done)
{
    for (*done = 0; *done < size; ++*done) {
        if (*done && gpa + *done == 0)
            return SM_TX_DECODE_ERROR;
        const struct answer answer = answer_at(test, space, gpa + *done);
        if (answer.region < 0)
            return SM_TX_DECODE_ERROR;
        if ((write && answer.readonly && !(attrs->flags & SM_ATTR_DEBUG)) ||
            (is_call(test, answer, write, attrs) &&
             ((attrs->flags & SM_ATTR_RAM_ONLY) || (write && is_harmless(attrs)))))
            return SM_TX_ACCESS_ERROR;
        if (write)
            *byte_of(test, answer, true, attrs) = buf[*done];
        else
            buf[*done] = *byte_of(test, answer, false, attrs);
    }
    return SM_TX_OK;
}

static sm_gpa some_address(struct test *test)
{
    return below(test, 2) ? below(test, WINDOW) : UINT64_MAX - below(test, WINDOW);
}

/* Devices hold their own bytes, so the model must not write them twice: it works on a
 * copy of them, and the two are compared. */
static void check_transfer(struct test *test)
{
    static const struct sm_attrs *const askers[] = {&plain, &plain, &debug, &effects,
                                                    &ram_only};
    const struct sm_attrs *attrs = askers[below(test, SM_ARRAY_LEN(askers))];
    const int space = (int)below(test, N_SPACES);
    const sm_gpa gpa = some_address(test);
    const bool single = below(test, 2), write = below(test, 2);
    const uint64_t size = single ? UINT64_C(1) << below(test, 4) : below(test, 150);
    uint8_t real[160], wanted[160], io_before[N_REGIONS][MAX_BYTES];
    uint64_t done = 0, model_done, value = 0;
    enum sm_tx tx;

    for (size_t i = 0; i < sizeof(real); i++)
        real[i] = wanted[i] = (uint8_t)test_random(&test->random);
    memcpy(&value, real, 8);
    memcpy(io_before, test->io_byte, sizeof(io_before));
    if (!single) {
        tx = write ? sm_address_space_write(test->space[space], gpa, attrs, real, size,
                                            &done)
                   : sm_address_space_read(test->space[space], gpa, attrs, real, size,
                                           &done);
    } else if (write) {
        tx =
            sm_address_space_store(test->space[space], gpa, attrs, (unsigned)size, value);
    } else {
        tx =
            sm_address_space_load(test->space[space], gpa, attrs, (unsigned)size, &value);
        if (tx == SM_TX_OK)
            memcpy(real, &value, 8);
    }
    uint8_t io_after[N_REGIONS][MAX_BYTES];
    memcpy(io_after, test->io_byte, sizeof(io_after));
    memcpy(test->io_byte, io_before, sizeof(io_before));
    EXPECT(tx == model_bytes(test, space, gpa, write, attrs, wanted, size, &model_done));
    EXPECT(memcmp(io_after, test->io_byte, sizeof(io_after)) == 0);
    if (!single)
        EXPECT(done == model_done);
    if (!write && (!single || tx == SM_TX_OK))
        EXPECT(memcmp(real, wanted, model_done) == 0);
    if (test->plant == PLANT_LOST_BYTE && write && model_done) {
        const struct answer last = answer_at(test, space, gpa + model_done - 1);
        if (test->region[last.region]->ram)
            test->region[last.region]->ram->host[last.offset] ^= 1;
    }
}

/* How far the answer at @gpa goes on, up to @most bytes. */
static uint64_t run_length(struct test *test, int space, sm_gpa gpa, uint64_t most)
{
    const struct answer first = answer_at(test, space, gpa);
    uint64_t n = 1;

    while (n < most && gpa + n != 0 && follows(first, answer_at(test, space, gpa + n), n))
        n++;
    return n;
}

static void check_atomic(struct test *test)
{
    const int space = (int)below(test, N_SPACES);
    const unsigned size = 1u << below(test, 4);
    const sm_gpa gpa = some_address(test) & ~(sm_gpa)(below(test, 4) ? size - 1 : 0);
    const struct answer answer = answer_at(test, space, gpa);
    const uint64_t operand = test_random(&test->random);
    const bool io = answer.region >= 0 && is_call(test, answer, true, &plain);
    enum sm_tx want = SM_TX_OK;
    uint64_t old = 0, held = 0;

    if (gpa & (size - 1))
        want = SM_TX_ACCESS_ERROR;
    else if (answer.region < 0)
        want = SM_TX_DECODE_ERROR;
    else if (answer.readonly || run_length(test, space, gpa, size) < size ||
             (!io && (answer.offset & (size - 1))))
        want = SM_TX_ACCESS_ERROR;
    if (want == SM_TX_OK)
        memcpy(&held, byte_of(test, answer, false, &plain), size);
    EXPECT(sm_address_space_rmw(test->space[space], gpa, &plain, size, SM_RMW_XOR,
                                operand, &old) == want);
    if (want != SM_TX_OK)
        return;
    EXPECT(old == held);
    if (io) {
        uint64_t now = 0;
        memcpy(&now, byte_of(test, answer, true, &plain), size);
        EXPECT(now == ((held ^ operand) & (UINT64_MAX >> (64 - 8 * size))));
    } else {
        held ^= operand;
        memcpy(byte_of(test, answer, true, &plain), &held, size);
    }
}

static void check_lending(struct test *test)
{
    const int space = (int)below(test, N_SPACES);
    const sm_gpa gpa = some_address(test);
    const struct answer answer = answer_at(test, space, gpa);
    const enum sm_access access = below(test, 2) ? SM_READ : SM_WRITE;
    const uint64_t size = 1 + below(test, 64);
    struct sm_mapping mapping;
    const enum sm_tx tx =
        sm_address_space_map(test->space[space], gpa, &plain, size, access, &mapping);

    if (answer.region < 0) {
        EXPECT(tx == SM_TX_DECODE_ERROR);
    } else if (is_call(test, answer, access == SM_WRITE, &plain) ||
               (access == SM_WRITE && answer.readonly)) {
        EXPECT(tx == SM_TX_ACCESS_ERROR);
    } else {
        EXPECT(tx == SM_TX_OK);
        EXPECT(mapping.size == run_length(test, space, gpa, size));
        EXPECT(memcmp(mapping.host, byte_of(test, answer, access == SM_WRITE, &plain),
                      mapping.size) == 0);
        sm_mapping_release(&mapping);
    }
}

static void check_memory(struct test *test)
{
    for (int i = 0; i < N_REGIONS; i++) {
        const struct model_region *region = &test->model.region[i];
        if (region->used && test->region[i]->ram)
            EXPECT(memcmp(test->region[i]->ram->host, test->byte[i], region->room + 1) ==
                   0);
    }
}

/* --- Runs --------------------------------------------------------------- */

static void run(uint64_t seed, long rounds, enum plant plant)
{
    static struct test test;

    memset(&test, 0, sizeof(test));
    test.random = seed;
    test.plant = plant;
    world_init(&test.world);
    for (int i = 0; i < N_SPACES; i++) {
        struct model_region *root = &test.model.region[i];
        *root = (struct model_region){.used = true,
                                      .room = UINT64_MAX,
                                      .kind = SM_REGION_CONTAINER,
                                      .last = i ? WINDOW - 7 : UINT64_MAX,
                                      .parent = -1};
        EXPECT(sm_region_new(test.world.topo, "root", root->last, &test.region[i]) == 0);
        EXPECT(sm_address_space_new(test.world.topo, "space", test.region[i],
                                    &test.space[i]) == 0);
        EXPECT(sm_listener_new(test.space[i], &hearing, &test.hearsay[i], 0,
                               &test.hearsay[i].listener) == 0);
    }
    for (long round = 0; round < rounds; round++) {
        transaction(&test);
        if (!plant)
            sm_topology_check(test.world.topo);
        for (int i = 0; i < N_SPACES; i++)
            test.n_sections += (long)sm_flat_view_count(test.space[i]->view);
        check_whole(&test);
        check_hearsay(&test);
        check_lookups(&test);
        for (int i = 0; i < 6; i++) {
            check_transfer(&test);
            check_atomic(&test);
            check_lending(&test);
        }
        check_memory(&test);
        if (below(&test, 8) == 0)
            sm_topology_work(test.world.topo);
    }
    printf("%ld rounds, %ld sections, %ld addresses compared, %ld of them no holes\n",
           rounds, test.n_sections, test.n_checks, test.n_answered);
    sm_topology_free(test.world.topo);
}

static bool plant_is_found(const char *self, int plant)
{
    const pid_t child = fork();
    char text[16];
    int status;

    if (child == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        snprintf(text, sizeof(text), "%d", plant);
        setenv("SM_PLANT", text, 1);
        execl(self, self, (char *)NULL);
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return false;
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

int main(void)
{
    const char *plant = getenv("SM_PLANT"), *rounds = getenv("SM_ROUNDS");
    const uint64_t seed = test_seed(20);
    const long n = rounds ? strtol(rounds, NULL, 0) : 5000;

    if (plant) {
        run(seed, n, (enum plant)strtol(plant, NULL, 0));
        return 0;
    }
    for (int i = PLANT_NONE + 1; i < N_PLANTS; i++) {
        fflush(stdout);
        if (!plant_is_found("/proc/self/exe", i)) {
            printf("planted bug %d was not found\n", i);
            return 1;
        }
    }
    run(seed, n, PLANT_NONE);
    return 0;
}
