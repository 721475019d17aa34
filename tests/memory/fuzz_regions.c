/* SPDX-License-Identifier: MIT */
/* fuzz_regions.c - any bytes as edits and accesses, against a map of bytes.
 *
 * An input is a sequence of operations, a few bytes each: make, map, move, resize, hide,
 * order, lock and free regions of all kinds, begin, commit and abort, and access the
 * space in every way there is.  A shadow of the tree resolves each address by going down
 * from the root, which is the definition; what was committed decides which byte of which
 * region is at an address, whether it may be written, and so how every access ends.  A
 * listener keeps a map of its own from what it hears.
 *
 * With libFuzzer: fuzz_regions -max_total_time=10 CORPUS.  Without: made-up inputs.
 */
#include "../base/test.h"

#include "base/base.h"
#include "softmmu/softmmu.h"

#include <errno.h>
#include <signal.h>

enum { N_REGIONS = 14, SPAN = 512, MOST = 256, NOBODY = -1, MAX_COMMITS = 24 };

enum kind { BOX, RAM, ROM, FLASH, IO, ALIAS, HOLE, N_KINDS };

/* What edits change. */
struct place {
    uint64_t last, offset, age;
    int parent, priority;
    bool enabled, readonly, calls;
};

/* What a region is for good. */
struct made {
    enum kind kind;
    struct sm_region *region; /* NULL: free                                    */
    struct sm_device *device;
    uint8_t *byte; /* of memory and devices                                    */
    uint64_t made_last;
    int target;
    uint64_t window;
};

struct cell {
    int n; /* NOBODY: nothing answers                                          */
    uint64_t offset;
    bool readonly;
};

struct shadow {
    struct made made[N_REGIONS];
    struct place now[N_REGIONS], committed[N_REGIONS];
    uint64_t age;
    bool editing;
    unsigned n_commits;
    struct cell view[SPAN];
    const struct sm_region *heard[SPAN];
    struct sm_topology *topo;
    struct sm_address_space *space;
    struct sm_listener *listener;
    uint8_t device_bytes[N_REGIONS][MOST];
};

static struct shadow shadow;

#define REQUIRE(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static void broken(const char *condition, int line)
{
    fprintf(stderr, "does not hold: %s, line %d\n", condition, line);
    raise(SIGABRT);
}

/* --- Input ------------------------------------------------------------ */

struct input {
    const uint8_t *data;
    size_t size;
};

static unsigned take(struct input *in, unsigned below)
{
    if (!in->size)
        return 0;
    in->size--;
    return *in->data++ % below;
}

/* --- Devices ---------------------------------------------------------- */

static enum sm_tx io_peek(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
    *value = 0;
    for (unsigned i = 0; i < size; i++)
        *value |= (uint64_t)(*(uint8_t **)dev)[offset + i] << 8 * i;
    return SM_TX_OK;
}

static enum sm_tx io_read(void *dev, uint64_t offset, unsigned size,
                          const struct sm_attrs *attrs, uint64_t *value)
{
    return io_peek(dev, offset, size, value);
}

static enum sm_tx io_write(void *dev, uint64_t offset, unsigned size,
                           const struct sm_attrs *attrs, uint64_t value)
{
    for (unsigned i = 0; i < size; i++)
        (*(uint8_t **)dev)[offset + i] = (uint8_t)(value >> 8 * i);
    return SM_TX_OK;
}

static const struct sm_io_ops io_ops = {.struct_size = sizeof(io_ops),
                                        .read = io_read,
                                        .write = io_write,
                                        .peek = io_peek,
                                        .accepts = {1, 8, true},
                                        .implements = {1, 8, true}};
static const struct sm_io_ops flash_ops = {.struct_size = sizeof(flash_ops),
                                           .read = io_read,
                                           .write = io_write,
                                           .peek = io_peek,
                                           .accepts = {1, 8, true},
                                           .implements = {1, 1, false}};

/* --- The definition of who answers ------------------------------------ */

enum outcome { NONE, ANSWERS, BLOCKED };

static enum outcome resolve(const struct place *place, int n, uint64_t offset,
                            bool readonly, struct cell *cell)
{
    const struct made *made = &shadow.made[n];
    uint16_t tried = 0;

    if (!place[n].enabled || offset > place[n].last)
        return NONE;
    readonly |= place[n].readonly;
    for (;;) { /* of the children not yet tried, the one that ranks first */
        int best = NOBODY;
        for (int i = 0; i < N_REGIONS; i++) {
            if (!shadow.made[i].region || place[i].parent != n || tried >> i & 1)
                continue;
            if (best == NOBODY || place[i].priority > place[best].priority ||
                (place[i].priority == place[best].priority &&
                 place[i].age > place[best].age))
                best = i;
        }
        if (best == NOBODY)
            break;
        tried |= (uint16_t)(1u << best);
        if (offset >= place[best].offset) {
            const enum outcome outcome =
                resolve(place, best, offset - place[best].offset, readonly, cell);
            if (outcome != NONE)
                return outcome;
        }
    }
    if (made->kind == BOX)
        return NONE;
    if (made->kind == HOLE)
        return BLOCKED;
    if (made->kind == ALIAS)
        return resolve(place, made->target, made->window + offset, readonly, cell);
    *cell = (struct cell){n, offset, readonly};
    return ANSWERS;
}

static void look(void)
{
    memcpy(shadow.committed, shadow.now, sizeof(shadow.now));
    for (unsigned at = 0; at < SPAN; at++)
        if (resolve(shadow.committed, 0, at, false, &shadow.view[at]) != ANSWERS)
            shadow.view[at] = (struct cell){.n = NOBODY};
}

/* --- The listener ----------------------------------------------------- */

static void removed(void *owner, const struct sm_section *section)
{
    REQUIRE(section->range.last < SPAN);
    for (uint64_t at = section->range.first; at <= section->range.last; at++) {
        REQUIRE(shadow.heard[at] == section->region);
        shadow.heard[at] = NULL;
    }
}

static void added(void *owner, const struct sm_section *section)
{
    REQUIRE(section->range.last < SPAN);
    for (uint64_t at = section->range.first; at <= section->range.last; at++) {
        REQUIRE(!shadow.heard[at]);
        shadow.heard[at] = section->region;
    }
}

static const struct sm_listener_ops listener_ops = {
    .struct_size = sizeof(listener_ops), .removed = removed, .added = added};

static void compare_heard(void)
{
    for (unsigned at = 0; at < SPAN; at++) {
        const int n = shadow.view[at].n;
        REQUIRE(shadow.heard[at] == (n == NOBODY ? NULL : shadow.made[n].region));
    }
}

/* --- Edits ------------------------------------------------------------ */

static int make_region(int n, enum kind kind, uint64_t last, int target, uint64_t window)
{
    struct made *made = &shadow.made[n];
    const struct sm_range range = {window, window + last};

    switch (kind) {
    case BOX: return sm_region_new(shadow.topo, "box", last, &made->region);
    case HOLE: return sm_region_new_reserved(shadow.topo, "hole", last, &made->region);
    case RAM: return sm_region_new_ram(shadow.topo, "ram", last + 1, &made->region);
    case ROM: return sm_region_new_rom(shadow.topo, "rom", last + 1, &made->region);
    case ALIAS:
        return sm_region_new_alias(shadow.made[target].region, "alias", range,
                                   &made->region);
    default: break;
    }
    made->byte = shadow.device_bytes[n];
    REQUIRE(sm_device_new(shadow.topo, "device", &made->byte, &made->device) == 0);
    return kind == IO ? sm_region_new_io(made->device, "io", last, &io_ops, &made->region)
                      : sm_region_new_rom_device(made->device, "flash", last + 1,
                                                 &flash_ops, &made->region);
}

/* Outside an edit: an abort takes back no making. */
static void new_region(int n, enum kind kind, uint64_t last, int target, uint64_t window)
{
    struct made *made = &shadow.made[n];

    if (made->region || shadow.editing)
        return;
    if (kind == ALIAS) {
        if (!shadow.made[target].region)
            return;
        const bool fits = window + last <= shadow.now[target].last;
        const int error = make_region(n, kind, last, target, window);
        REQUIRE(error == (fits ? 0 : -ERANGE));
        if (error)
            return;
    } else {
        REQUIRE(make_region(n, kind, last, target, window) == 0);
    }
    made->kind = kind;
    made->made_last = last;
    made->target = target;
    made->window = window;
    if (sm_region_host(made->region))
        made->byte = sm_region_host(made->region);
    for (unsigned i = 0; made->byte && i <= last; i++)
        made->byte[i] = (uint8_t)(n * 16 + i * 3);
    shadow.now[n] = (struct place){.last = last, .parent = NOBODY, .enabled = true};
    shadow.committed[n] = shadow.now[n];
}

/* Does any way down from @from lead to @to? */
static bool leads_down(int from, int to)
{
    if (from == to)
        return true;
    if (shadow.made[from].kind == ALIAS && leads_down(shadow.made[from].target, to))
        return true;
    for (int i = 0; i < N_REGIONS; i++)
        if (shadow.made[i].region && shadow.now[i].parent == from && leads_down(i, to))
            return true;
    return false;
}

static void map(int parent, int child, uint64_t offset, int priority)
{
    struct place *place = &shadow.now[child];
    int want = 0;

    if (place->parent != NOBODY)
        want = -EBUSY;
    else if (leads_down(child, parent))
        want = -ELOOP;
    REQUIRE(sm_region_map(shadow.made[parent].region, offset, shadow.made[child].region,
                          priority) == want);
    if (want)
        return;
    place->parent = parent;
    place->offset = offset;
    place->priority = priority;
    place->age = ++shadow.age;
}

static void resize(int n, uint64_t last)
{
    const struct made *made = &shadow.made[n];
    int want = 0;

    if (made->kind == ALIAS && made->window + last > shadow.now[made->target].last)
        want = -ERANGE;
    if ((made->kind == RAM || made->kind == ROM || made->kind == FLASH) &&
        last > made->made_last)
        want = -ERANGE;
    if (last <= shadow.now[n].last)
        want = 0; /* shorter is always possible */
    REQUIRE(sm_region_resize(made->region, last) == want);
    if (!want)
        shadow.now[n].last = last;
}

static void free_region(int n)
{
    struct made *made = &shadow.made[n];
    bool busy = shadow.now[n].parent != NOBODY;

    if (shadow.editing || n == 0)
        return;
    for (int i = 0; i < N_REGIONS; i++) {
        const struct made *other = &shadow.made[i];
        if (!other->region || i == n)
            continue;
        busy |= other->kind == ALIAS && other->target == n;
        if (shadow.now[i].parent == n)
            return; /* what becomes of children is their owner's to decide first */
    }
    sm_topology_begin(shadow.topo);
    REQUIRE(sm_region_free(made->region) == (busy ? -EBUSY : 0));
    REQUIRE(sm_topology_commit(shadow.topo, NULL) == 0);
    if (busy)
        return;
    if (made->device)
        REQUIRE(sm_device_free(made->device) == 0);
    sm_topology_work(shadow.topo);
    *made = (struct made){.region = NULL};
}

static void begin(void)
{
    if (!shadow.editing)
        sm_topology_begin(shadow.topo);
    shadow.editing = true;
}

static void commit(void)
{
    if (!shadow.editing || shadow.n_commits == MAX_COMMITS)
        return;
    REQUIRE(sm_topology_commit(shadow.topo, NULL) == 0);
    shadow.editing = false;
    shadow.n_commits++;
    look();
    compare_heard();
}

static void abort_edit(void)
{
    if (!shadow.editing)
        return;
    sm_topology_abort(shadow.topo);
    shadow.editing = false;
    memcpy(shadow.now, shadow.committed, sizeof(shadow.now));
}

static void edit(struct input *in, unsigned what)
{
    const int any = (int)take(in, what == 1 ? 2 * N_REGIONS : N_REGIONS);
    const int n = any < N_REGIONS ? any : 0; /* half of all lies right in the root */
    struct sm_region *region = shadow.made[n].region;
    struct place *place = &shadow.now[n];

    if (!region)
        return;
    if (what == 0) {
        free_region(n);
        return;
    }
    if (n == 0 && what > 1)
        return; /* the root stays as it is */
    begin();
    switch (what) {
    case 1: {
        const int child = (int)take(in, N_REGIONS);
        if (child && shadow.made[child].region)
            map(n, child, take(in, 256) * 2, (int)take(in, 5) - 2);
        break;
    }
    case 2:
        sm_region_unmap(region);
        place->parent = NOBODY;
        place->offset = 0;
        place->priority = 0;
        break;
    case 3: {
        const uint64_t offset = take(in, 256) * 2;
        REQUIRE(sm_region_move(region, offset) ==
                (place->parent == NOBODY ? -ENOENT : 0));
        place->offset = place->parent == NOBODY ? place->offset : offset;
        break;
    }
    case 4: resize(n, take(in, MOST)); break;
    case 5:
        place->enabled = take(in, 2);
        sm_region_set_enabled(region, place->enabled);
        break;
    case 6:
        place->readonly = take(in, 2);
        sm_region_set_readonly(region, place->readonly);
        break;
    case 7: {
        const int priority = (int)take(in, 5) - 2;
        REQUIRE(sm_region_set_priority(region, priority) ==
                (place->parent == NOBODY ? -ENOENT : 0));
        place->priority = place->parent == NOBODY ? place->priority : priority;
        break;
    }
    default: {
        const bool calls = take(in, 2);
        const bool flash = shadow.made[n].kind == FLASH;
        REQUIRE(sm_region_set_calls(region, calls) == (flash ? 0 : -EINVAL));
        place->calls = flash && calls;
    }
    }
}

/* --- Accesses --------------------------------------------------------- */

/* Who answers at @at; NULL: nobody. */
static const struct cell *cell_at(uint64_t at)
{
    return at < SPAN && shadow.view[at].n != NOBODY ? &shadow.view[at] : NULL;
}

static uint8_t *byte_of(const struct cell *cell)
{
    return &shadow.made[cell->n].byte[cell->offset];
}

static bool is_memory(const struct cell *cell, bool write)
{
    switch (shadow.made[cell->n].kind) {
    case RAM:
    case ROM: return true;
    case FLASH: return !write && !shadow.committed[cell->n].calls;
    default: return false;
    }
}

/* How touching one byte ends. */
static enum sm_tx touch(const struct cell *cell, bool write, uint32_t flags)
{
    if (!cell)
        return SM_TX_DECODE_ERROR;
    if (write && !(flags & SM_ATTR_DEBUG) &&
        (cell->readonly || shadow.made[cell->n].kind == ROM))
        return SM_TX_ACCESS_ERROR;
    if ((flags & SM_ATTR_RAM_ONLY) && !is_memory(cell, write))
        return SM_TX_ACCESS_ERROR;
    if (write && (flags & SM_ATTR_DEBUG) && shadow.made[cell->n].kind == IO)
        return SM_TX_ACCESS_ERROR; /* a debugger has no effect on devices */
    return SM_TX_OK;
}

/* Bytes of @size from @at that can be touched, and how it ends. */
static unsigned reach(uint64_t at, unsigned size, bool write, uint32_t flags,
                      enum sm_tx *tx)
{
    *tx = SM_TX_OK;
    for (unsigned i = 0; i < size; i++) {
        *tx = touch(cell_at(at + i), write, flags);
        if (*tx != SM_TX_OK)
            return i;
    }
    return size;
}

/* Is [at, at + size) one thing? */
static bool is_one(uint64_t at, unsigned size)
{
    const struct cell *first = cell_at(at);

    for (unsigned i = 1; i < size; i++) {
        const struct cell *cell = cell_at(at + i);
        if (!cell || cell->n != first->n || cell->offset != first->offset + i ||
            cell->readonly != first->readonly)
            return false;
    }
    return true;
}

static void check_bytes(uint64_t at, const uint8_t *byte, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        REQUIRE(*byte_of(cell_at(at + i)) == byte[i]);
}

static void read_some(uint64_t at, unsigned size, const struct sm_attrs *attrs,
                      bool single)
{
    uint8_t byte[64] = {0};
    uint64_t done = size, value = 0;
    enum sm_tx want, tx;
    const unsigned n = reach(at, size, false, attrs->flags, &want);

    if (single) {
        tx = sm_address_space_load(shadow.space, at, attrs, size, &value);
        memcpy(byte, &value, 8);
        REQUIRE(tx == SM_TX_OK || value == 0);
    } else {
        tx = sm_address_space_read(shadow.space, at, attrs, byte, size, &done);
        REQUIRE(done == n);
    }
    REQUIRE(tx == want);
    if (tx == SM_TX_OK || !single)
        check_bytes(at, byte, n);
}

static void write_some(uint64_t at, unsigned size, const struct sm_attrs *attrs,
                       bool single, unsigned seed)
{
    uint8_t byte[64], before[MOST];
    uint64_t done = size, value;
    enum sm_tx want, tx;
    const unsigned n = reach(at, size, true, attrs->flags, &want);
    const struct cell *behind = n < size ? cell_at(at + n) : NULL;

    for (unsigned i = 0; i < sizeof(byte); i++)
        byte[i] = (uint8_t)(seed + i * 29);
    /* Two addresses may be one byte: what is written last stays. */
    if (behind)
        before[0] = *byte_of(behind);
    memcpy(&value, byte, 8);
    if (single) {
        tx = sm_address_space_store(shadow.space, at, attrs, size, value);
    } else {
        tx = sm_address_space_write(shadow.space, at, attrs, byte, size, &done);
        REQUIRE(done == n);
    }
    REQUIRE(tx == want);
    for (unsigned i = 0; i < n; i++) {
        bool again = false;
        for (unsigned j = i + 1; j < n; j++)
            again |= byte_of(cell_at(at + j)) == byte_of(cell_at(at + i));
        REQUIRE(again || *byte_of(cell_at(at + i)) == byte[i]);
    }
    for (unsigned i = 0; i < n && behind; i++)
        if (byte_of(cell_at(at + i)) == byte_of(behind))
            behind = NULL;
    if (behind)
        REQUIRE(*byte_of(behind) == before[0]);
}

static void update(uint64_t at, unsigned size, enum sm_rmw op, uint64_t operand)
{
    const struct sm_attrs plain = {.process = SM_NO_PROCESS};
    const struct cell *cell = cell_at(at);
    enum sm_tx want = at % size ? SM_TX_ACCESS_ERROR : touch(cell, true, 0);
    uint64_t old = 0, before = 0;

    if (want == SM_TX_OK &&
        (!is_one(at, size) || (shadow.made[cell->n].kind == RAM && cell->offset % size)))
        want = SM_TX_ACCESS_ERROR;
    if (want == SM_TX_OK)
        memcpy(&before, byte_of(cell), size);
    REQUIRE(sm_address_space_rmw(shadow.space, at, &plain, size, op, operand, &old) ==
            want);
    if (want != SM_TX_OK)
        return;
    REQUIRE(old == before);
    memcpy(&before, byte_of(cell), size);
    const uint64_t mask = size == 8 ? UINT64_MAX : (UINT64_C(1) << 8 * size) - 1;
    REQUIRE(before == ((op == SM_RMW_SWAP ? operand : old + operand) & mask));
}

static void borrow(uint64_t at, unsigned size, bool write)
{
    const struct sm_attrs plain = {.process = SM_NO_PROCESS};
    const struct cell *cell = cell_at(at);
    struct sm_mapping mapping;
    enum sm_tx want = touch(cell, write, 0);

    if (want == SM_TX_OK && !is_memory(cell, write))
        want = SM_TX_ACCESS_ERROR;
    REQUIRE(sm_address_space_map(shadow.space, at, &plain, size,
                                 write ? SM_WRITE : SM_READ, &mapping) == want);
    if (want != SM_TX_OK)
        return;
    REQUIRE(mapping.size >= 1 && mapping.size <= size);
    REQUIRE(mapping.host == byte_of(cell));
    REQUIRE(is_one(at, (unsigned)mapping.size));
    REQUIRE(mapping.size == size || !is_one(at, (unsigned)mapping.size + 1));
    sm_mapping_release(&mapping);
}

static void find(uint64_t at)
{
    const struct cell *cell = cell_at(at);
    struct sm_section section;

    REQUIRE(sm_address_space_lookup(shadow.space, at, &section) == (cell != NULL));
    REQUIRE(section.range.first <= at && at <= section.range.last);
    if (cell) {
        const unsigned size = (unsigned)(section.range.last - section.range.first + 1);
        REQUIRE(section.region == shadow.made[cell->n].region);
        REQUIRE(section.offset == cell->offset - (at - section.range.first));
        REQUIRE(is_one(section.range.first, size));
        return;
    }
    REQUIRE(!section.region);
    for (uint64_t i = section.range.first; i <= section.range.last && i < SPAN; i++)
        REQUIRE(!cell_at(i));
}

static void access_some(struct input *in, unsigned what)
{
    static const struct sm_attrs attrs[] = {
        {.process = SM_NO_PROCESS},
        {.process = SM_NO_PROCESS, .flags = SM_ATTR_DEBUG},
        {.process = SM_NO_PROCESS, .flags = SM_ATTR_RAM_ONLY}};
    const uint64_t at = take(in, 256) * 2 + take(in, 2);
    const unsigned how = take(in, 12), size = 1u << how / 3, bulk = how * 5 + 1;
    /* Who has an edit open enters no device: device, then topology is the order. */
    const struct sm_attrs *as = &attrs[shadow.editing ? 2 : how % 3];

    switch (what) {
    case 0: read_some(at, size, as, true); break;
    case 1: read_some(at, bulk, as, false); break;
    case 2: write_some(at, size, as, true, take(in, 256)); break;
    case 3: write_some(at, bulk, as, false, take(in, 256)); break;
    case 4:
        if (!shadow.editing)
            update(at, size, how % 2 ? SM_RMW_SWAP : SM_RMW_ADD, take(in, 256) * 0x10101);
        break;
    case 5: borrow(at, bulk, how % 2); break;
    default: find(at);
    }
}

/* --- Running ---------------------------------------------------------- */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};

    memset(&shadow, 0, sizeof(shadow));
    REQUIRE(sm_topology_new(NULL, NULL, &shadow.topo) == 0);
    new_region(0, BOX, SPAN - 1, 0, 0);
    REQUIRE(sm_address_space_new(shadow.topo, "space", shadow.made[0].region,
                                 &shadow.space) == 0);
    REQUIRE(sm_listener_new(shadow.space, &listener_ops, NULL, 0, &shadow.listener) == 0);
    look();
    while (in.size) {
        const unsigned what = take(&in, 32);
        if (what < 4) {
            const int n = 1 + (int)take(&in, N_REGIONS - 1);
            const enum kind kind = (enum kind)take(&in, N_KINDS);
            const uint64_t last = take(&in, MOST);
            const int target = (int)take(&in, N_REGIONS);
            new_region(n, kind, last, target, take(&in, 64));
        } else if (what < 18) {
            edit(&in, what < 9 ? 1 : what - 9);
        } else if (what < 21) {
            commit();
        } else if (what < 22) {
            abort_edit();
        } else {
            access_some(&in, what % 7);
        }
    }
    abort_edit();
    sm_listener_free(shadow.listener);
    for (unsigned at = 0; at < SPAN; at++)
        REQUIRE(!shadow.heard[at]);
    sm_topology_free(shadow.topo);
    return 0;
}

#ifndef SM_LIBFUZZER
/* Without a fuzzer: operations made up from a seed, the regions first. */
int main(void)
{
    uint64_t random = test_seed(41);
    uint8_t input[600];

    for (unsigned round = 0; round < 3000; round++) {
        for (unsigned i = 0; i < sizeof(input); i++)
            input[i] = (uint8_t)test_random(&random);
        for (unsigned i = 0; i < 12; i++) {
            input[i * 6] = 0;
            input[i * 6 + 1] = (uint8_t)i;
        }
        LLVMFuzzerTestOneInput(input, 100 + test_below(&random, sizeof(input) - 100));
    }
    return 0;
}
#endif
