/* SPDX-License-Identifier: MIT */
/* model_iommu.c - random spaces behind random IOMMUs, against a model that goes byte by
 * byte.
 *
 * Three spaces show RAM, ROM, a device and two translating regions through aliases that
 * come, go and move; tables change, with and without the invalidations that they owe.
 * After each step loads, stores, transfers, updates and loans are made, through the
 * address space and by a vCPU, and compared with what the model finds.  Commits that
 * would lead in a circle must be refused, and those only.  Planted bugs are to be found.
 */
#include "../base/test.h"

#include "memory/memory_impl.h"
#include "softmmu/softmmu.h"
#include "softmmu/softtlb_hit.h"
#include "tlb/tlb_impl.h"

#include <errno.h>

enum { N_SPACES = 3, N_SLOTS = 6, SPACE = 0x8000, N_REQUESTERS = 2, N_ENTRIES = 32 };
enum { RAM0, RAM1, ROM, DEVICE, T0, T1, N_OBJECTS, NOTHING };
enum plant { NO_PLANT, NO_INVALIDATION, LONG_SPAN, N_PLANTS };

static const uint64_t object_size[N_OBJECTS] = {0x4000, 0x2000, 0x1000, 0x1000,
                                                SPACE,  SPACE};

/* A stretch of an iommu's iovas, and where it leads. */
struct entry {
    uint8_t perms; /* 0: nowhere                                               */
    unsigned space;
    uint64_t base;
};

struct table {
    struct model *model;
    struct sm_device *device;
    struct sm_iommu *iommu;
    uint64_t grain;
    unsigned n_reported;
    unsigned leads[2]; /* the spaces that it declares                          */
    struct entry entry[N_REQUESTERS][N_ENTRIES];
};

/* An alias of an object that a space shows. */
struct slot {
    struct sm_region *region; /* NULL: free                                    */
    unsigned object;
    uint64_t window, size, at, age;
    int priority;
    bool readonly, disabled;
};

struct cell {
    uint8_t object;
    bool readonly;
    uint32_t offset;
};

struct model {
    struct sm_topology *topo;
    struct sm_region *root[N_SPACES], *object[N_OBJECTS];
    struct sm_address_space *space[N_SPACES];
    struct sm_vcpu *vcpu;
    bool online;
    struct table table[2];
    struct slot slot[N_SPACES][N_SLOTS];
    struct cell cell[N_SPACES][SPACE];
    uint8_t shadow[4][0x4000], device[0x1000];
    uint64_t age, random;
    enum plant plant;
    bool wrong;
    unsigned n_loops, n_commits, n_done, n_refused;
};

static uint64_t below(struct model *model, uint64_t n)
{
    return test_below(&model->random, n);
}

/* --- The real things ---------------------------------------------------- */

static bool translate(void *dev, const struct sm_iommu_req *req, struct sm_iommu_map *out)
{
    struct table *table = dev;
    const uint64_t i = req->iova / table->grain;
    const struct entry *entry =
        &table->entry[req->attrs.requester][i % N_ENTRIES];

    if (i >= N_ENTRIES || !(entry->perms & (1u << req->access))) {
        table->n_reported += !(req->flags & SM_IOMMU_PROBE);
        return false;
    }
    *out = (struct sm_iommu_map){
        .space = table->model->space[entry->space],
        .base = entry->base,
        .span = {i * table->grain, i * table->grain + table->grain - 1},
        .perms = entry->perms,
    };
    if (table->model->plant == LONG_SPAN)
        out->span.last += table->grain;
    return true;
}

static const struct sm_iommu_ops table_ops = {.struct_size = sizeof(table_ops),
                                              .translate = translate};

static enum sm_tx device_read(void *dev, uint64_t offset, unsigned size,
                              const struct sm_attrs *attrs, uint64_t *value)
{
    const struct model *model = dev;
    *value = 0;
    memcpy(value, model->device + offset, size);
    return SM_TX_OK;
}

static enum sm_tx device_peek(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
    return device_read(dev, offset, size, NULL, value);
}

static enum sm_tx device_write(void *dev, uint64_t offset, unsigned size,
                               const struct sm_attrs *attrs, uint64_t value)
{
    struct model *model = dev;
    memcpy(model->device + offset, &value, size);
    return SM_TX_OK;
}

static const struct sm_io_ops device_ops = {
    .struct_size = sizeof(device_ops), .read = device_read, .write = device_write,
    .peek = device_peek, .accepts = {1, 8, true}, .implements = {1, 8, true},
};

static bool fill(struct sm_vcpu *vcpu, const struct sm_xlate_req *req,
                 struct sm_xlate *out, struct sm_fault *fault)
{
    *out = (struct sm_xlate){.gpa = req->gva, .ipa = req->gva, .span_bits = 64,
                             .leaf_bits = {64, 64}, .space = req->mode,
                             .perms = SM_PERM_R | SM_PERM_W | SM_PERM_X,
                             .attrs = {.process = SM_NO_PROCESS}};
    return true;
}

static void bus_error(struct sm_vcpu *vcpu, const struct sm_xlate_req *req, sm_gpa gpa,
                      enum sm_tx tx, struct sm_fault *fault)
{
    *fault = (struct sm_fault){.cause = tx, .gva = req->gva};
}

static const char *mode_name(uint8_t mode)
{
    return "bare";
}

/* A mode per space. */
static const struct sm_guest_mmu_ops guest_ops = {
    .struct_size = sizeof(guest_ops), .n_modes = N_SPACES, .tlb_fill = fill,
    .bus_error = bus_error, .mode_name = mode_name};

static void change_entry(struct model *model, struct table *table, struct entry *entry);
static void show(struct model *model, unsigned space, struct slot *slot);
static void repaint(struct model *model, unsigned space);

/* What is seen where no other slot is, and tables that lead somewhere. */
static void background(struct model *model)
{
    static const unsigned objects[N_SPACES] = {T0, RAM0, RAM1};

    sm_topology_begin(model->topo);
    for (unsigned i = 0; i < N_SPACES; i++) {
        model->slot[i][0] = (struct slot){.object = objects[i], .priority = -1,
                                          .size = object_size[objects[i]]};
        show(model, i, &model->slot[i][0]);
    }
    assert_int_equal(sm_topology_commit(model->topo, NULL), 0);
    for (unsigned i = 0; i < N_SPACES; i++)
        repaint(model, i);
    for (unsigned i = 0; i < 2; i++)
        for (unsigned j = 0; j < N_REQUESTERS * N_ENTRIES; j++) {
            struct entry *entry = &model->table[i].entry[0][0] + j;
            entry->space = model->table[i].leads[0];
            change_entry(model, &model->table[i], entry);
        }
}

static void init(struct model *model, uint64_t seed, enum plant plant)
{
    static const unsigned leads[2][2] = {{1, 2}, {2, 2}};
    struct sm_device *device;

    memset(model, 0, sizeof(*model));
    model->random = seed;
    model->plant = plant;
    assert_int_equal(sm_topology_new(NULL, NULL, &model->topo), 0);
    for (unsigned i = 0; i < N_SPACES; i++) {
        assert_int_equal(sm_region_new(model->topo, "root", UINT64_MAX, &model->root[i]),
                         0);
        assert_int_equal(sm_address_space_new(model->topo, "space", model->root[i],
                                              &model->space[i]),
                         0);
        for (unsigned j = 0; j < SPACE; j++)
            model->cell[i][j].object = NOTHING;
    }
    assert_int_equal(sm_device_new(model->topo, "device", model, &device), 0);
    for (unsigned i = RAM0; i <= RAM1; i++)
        assert_int_equal(sm_region_new_ram(model->topo, "ram", object_size[i],
                                           &model->object[i]),
                         0);
    assert_int_equal(
        sm_region_new_rom(model->topo, "rom", object_size[ROM], &model->object[ROM]), 0);
    assert_int_equal(sm_region_new_io(device, "io", object_size[DEVICE] - 1, &device_ops,
                                      &model->object[DEVICE]),
                     0);
    for (unsigned i = 0; i < 2; i++) {
        struct table *table = &model->table[i];
        struct sm_address_space *spaces[2];
        table->model = model;
        table->grain = i ? 0x400 : 0x1000;
        for (unsigned j = 0; j < 2; j++)
            spaces[j] = model->space[table->leads[j] = leads[i][j]];
        assert_int_equal(sm_device_new(model->topo, "iommu", table, &table->device), 0);
        assert_int_equal(sm_iommu_new(table->device, &table_ops, spaces, 2,
                                      &table->iommu),
                         0);
        assert_int_equal(sm_region_new_translating(table->iommu, "t", SPACE - 1,
                                                   &model->object[T0 + i]),
                         0);
    }
    for (unsigned i = 0; i < 4; i++) {
        uint8_t *host = i == DEVICE ? model->device : sm_region_host(model->object[i]);
        for (unsigned j = 0; j < object_size[i]; j++)
            host[j] = model->shadow[i][j] = (uint8_t)test_random(&model->random);
    }
    background(model);
    const struct sm_vcpu_options options = {
        .struct_size = sizeof(options), .tlb_layout = SM_TLB_LAYOUT,
        .spaces = model->space, .n_spaces = N_SPACES, .ops = &guest_ops};
    assert_int_equal(sm_vcpu_new(model->topo, &options, &model->vcpu), 0);
}

static void fini(struct model *model)
{
    if (model->online)
        sm_vcpu_offline(model->vcpu);
    sm_vcpu_free(model->vcpu);
    sm_topology_check(model->topo);
    sm_topology_free(model->topo);
}

/* --- The model ---------------------------------------------------------- */

static bool wins(const struct slot *a, const struct slot *b)
{
    return a->priority != b->priority ? a->priority > b->priority : a->age > b->age;
}

static void repaint(struct model *model, unsigned space)
{
    for (unsigned at = 0; at < SPACE; at++) {
        const struct slot *best = NULL;
        for (unsigned i = 0; i < N_SLOTS; i++) {
            const struct slot *slot = &model->slot[space][i];
            if (slot->region && !slot->disabled && at >= slot->at &&
                at - slot->at < slot->size && (!best || wins(slot, best)))
                best = slot;
        }
        struct cell *cell = &model->cell[space][at];
        cell->object = (uint8_t)(best ? best->object : NOTHING);
        cell->offset = best ? (uint32_t)(best->window + (at - best->at)) : 0;
        cell->readonly = best && (best->readonly || best->object == ROM);
    }
}

/* Can @to be reached from @from in 1 to @hops steps? */
static bool reaches(const struct model *model, unsigned from, unsigned to, unsigned hops)
{
    for (unsigned i = 0; i < 2 && hops; i++) {
        bool shown = false;
        for (unsigned at = 0; at < SPACE && !shown; at++)
            shown = model->cell[from][at].object == T0 + i;
        for (unsigned j = 0; j < 2 && shown; j++) {
            const unsigned next = model->table[i].leads[j];
            if (next == to || reaches(model, next, to, hops - 1))
                return true;
        }
    }
    return false;
}

/* How one byte fares. */
struct fate {
    enum sm_tx tx;
    bool reported; /* refused by an iommu                                      */
    unsigned object;
    uint64_t offset;
    uint64_t way[2 * SM_MAX_HOPS + 2]; /* the same of two neighbours: in one stretch */
};

struct asker {
    struct sm_attrs attrs;
    unsigned space;
};

static struct fate fate_of(const struct model *model, const struct asker *who,
                           uint64_t at, enum sm_access access)
{
    const bool debug = who->attrs.flags & SM_ATTR_DEBUG;
    struct fate fate = {.tx = SM_TX_OK, .object = NOTHING};
    unsigned space = who->space, n = 0;

    for (;;) {
        if (at >= SPACE || model->cell[space][at].object == NOTHING) {
            fate.tx = SM_TX_DECODE_ERROR;
            return fate;
        }
        const struct cell *cell = &model->cell[space][at];
        fate.object = cell->object;
        fate.offset = cell->offset;
        fate.way[n++] = (at - cell->offset) << 8 | (uint64_t)cell->object << 1 |
                        cell->readonly;
        if (access == SM_WRITE && cell->readonly && !debug)
            fate.tx = SM_TX_ACCESS_ERROR;
        if (cell->object == DEVICE && (who->attrs.flags & SM_ATTR_RAM_ONLY))
            fate.tx = SM_TX_ACCESS_ERROR;
        if (fate.tx != SM_TX_OK || cell->object < T0)
            return fate;
        const struct table *table = &model->table[cell->object - T0];
        const uint64_t i = cell->offset / table->grain;
        const struct entry *entry =
            &table->entry[who->attrs.requester][i % N_ENTRIES];
        if (i >= N_ENTRIES || !(entry->perms & (1u << access))) {
            fate.tx = SM_TX_ACCESS_ERROR;
            fate.reported = !debug;
            return fate;
        }
        fate.way[n++] = i;
        at = entry->base + cell->offset % table->grain;
        space = entry->space;
    }
}

static bool same_stretch(const struct fate *a, const struct fate *b)
{
    return a->tx == SM_TX_OK && b->tx == SM_TX_OK && a->object == b->object &&
           !memcmp(a->way, b->way, sizeof(a->way));
}

/* How the first of @size bytes that fails does; *done bytes before it do not. */
static struct fate fate_of_all(const struct model *model, const struct asker *who,
                               uint64_t at, uint64_t size, enum sm_access access,
                               uint64_t *done)
{
    struct fate fate = {.tx = SM_TX_OK};

    for (*done = 0; *done < size; ++*done) {
        fate = fate_of(model, who, at + *done, access);
        if (fate.tx != SM_TX_OK)
            break;
    }
    return fate;
}

/* --- Comparing ---------------------------------------------------------- */

static unsigned reports(struct model *model)
{
    const unsigned n = model->table[0].n_reported + model->table[1].n_reported;
    model->table[0].n_reported = model->table[1].n_reported = 0;
    return n;
}

static void compare(struct model *model, const char *what, const struct fate *want,
                    enum sm_tx tx)
{
    const unsigned n = reports(model);

    model->n_done += tx == SM_TX_OK;
    model->n_refused += want->reported;
    if (tx == want->tx && n == want->reported)
        return;
    if (!model->plant && !model->wrong)
        printf("%s: result %d and %u reports, expected %d and %d\n", what, tx, n,
               want->tx, want->reported);
    model->wrong = true;
}

static void expect(struct model *model, const char *what, bool right)
{
    if (!right && !model->plant && !model->wrong)
        printf("%s: other bytes\n", what);
    model->wrong = model->wrong || !right;
}

static bool same_memory(const struct model *model)
{
    for (unsigned i = 0; i < 4; i++) {
        const uint8_t *host =
            i == DEVICE ? model->device : sm_region_host(model->object[i]);
        if (memcmp(host, model->shadow[i], object_size[i]))
            return false;
    }
    return true;
}

/* What is at the @size bytes from @at, all of which can be read. */
static void gather(const struct model *model, const struct asker *who, uint64_t at,
                   uint64_t size, uint8_t *out)
{
    for (uint64_t i = 0; i < size; i++) {
        const struct fate fate = fate_of(model, who, at + i, SM_READ);
        out[i] = model->shadow[fate.object][fate.offset];
    }
}

static void scatter(struct model *model, const struct asker *who, uint64_t at,
                    uint64_t size, const uint8_t *bytes)
{
    for (uint64_t i = 0; i < size; i++) {
        const struct fate fate = fate_of(model, who, at + i, SM_WRITE);
        model->shadow[fate.object][fate.offset] = bytes[i];
    }
}

/* --- Accesses ----------------------------------------------------------- */

static uint64_t somewhere(struct model *model)
{
    const uint64_t at = below(model, below(model, 8) ? SPACE / 2 : SPACE + 0x200);
    return below(model, 2) ? at & ~UINT64_C(7)
                           : (at & ~UINT64_C(0xff)) - below(model, 9) * below(model, 2);
}

static void transfer(struct model *model, const struct asker *who, uint64_t at)
{
    const uint64_t size = 1 + below(model, below(model, 4) ? 40 : 0x2800);
    const bool write = !(who->attrs.flags & SM_ATTR_DEBUG) && below(model, 2);
    uint8_t buf[0x2800], want[0x2800];
    uint64_t done, wanted;
    enum sm_tx tx;

    for (uint64_t i = 0; i < size; i++)
        buf[i] = (uint8_t)test_random(&model->random);
    const struct fate fate =
        fate_of_all(model, who, at, size, write ? SM_WRITE : SM_READ, &wanted);
    if (write) {
        tx = sm_address_space_write(model->space[who->space], at, &who->attrs, buf, size,
                                    &done);
        scatter(model, who, at, wanted, buf);
    } else {
        tx = sm_address_space_read(model->space[who->space], at, &who->attrs, buf, size,
                                   &done);
        gather(model, who, at, wanted, want);
        expect(model, "read", done == wanted && !memcmp(buf, want, wanted));
    }
    expect(model, "transfer", done == wanted);
    compare(model, "transfer", &fate, tx);
}

static void single(struct model *model, const struct asker *who, uint64_t at)
{
    const unsigned size = 1u << below(model, 4);
    const bool write = !(who->attrs.flags & SM_ATTR_DEBUG) && below(model, 2);
    uint64_t value = test_random(&model->random), want = 0, done;
    enum sm_tx tx;

    const struct fate fate =
        fate_of_all(model, who, at, size, write ? SM_WRITE : SM_READ, &done);
    if (write) {
        tx = sm_address_space_store(model->space[who->space], at, &who->attrs, size,
                                    value);
        scatter(model, who, at, done, (const uint8_t *)&value);
    } else {
        tx = sm_address_space_load(model->space[who->space], at, &who->attrs, size,
                                   &value);
        if (fate.tx == SM_TX_OK) {
            gather(model, who, at, size, (uint8_t *)&want);
            expect(model, "load", tx != SM_TX_OK || value == want);
        }
    }
    compare(model, "single", &fate, tx);
}

/* How an update of aligned bytes fares: all in one stretch, read and written. */
static struct fate fate_of_update(const struct model *model, const struct asker *who,
                                  uint64_t at, unsigned size, bool devices)
{
    const struct cell *cell = at < SPACE ? &model->cell[who->space][at] : NULL;
    struct fate first = {.tx = SM_TX_ACCESS_ERROR};

    if (at & (size - 1))
        return first;
    if (cell && cell->object != NOTHING) /* first the section must hold all of it */
        for (unsigned i = 1; i < size; i++)
            if (at + i >= SPACE || cell[i].object != cell->object ||
                cell[i].offset != cell->offset + i || cell[i].readonly != cell->readonly)
                return first;
    first = fate_of(model, who, at, SM_WRITE);
    if (first.tx != SM_TX_OK)
        return first;
    const struct fate read = fate_of(model, who, at, SM_READ);
    if (read.tx != SM_TX_OK)
        return read;
    for (unsigned i = 1; i < size; i++) {
        const struct fate next = fate_of(model, who, at + i, SM_WRITE);
        if (!same_stretch(&first, &next))
            first.tx = SM_TX_ACCESS_ERROR;
    }
    if (first.object == DEVICE ? !devices || size > 8 : (first.offset & (size - 1)) != 0)
        first.tx = SM_TX_ACCESS_ERROR;
    return first;
}

static void update(struct model *model, const struct asker *who, uint64_t at)
{
    const unsigned size = 1u << below(model, 4);
    const struct fate fate = fate_of_update(model, who, at, size, true);
    const uint64_t operand = test_random(&model->random);
    uint64_t old, want = 0;

    if (fate.tx == SM_TX_OK) {
        gather(model, who, at, size, (uint8_t *)&want);
        const uint64_t sum = want + operand;
        scatter(model, who, at, size, (const uint8_t *)&sum);
    }
    const enum sm_tx tx = sm_address_space_rmw(model->space[who->space], at, &who->attrs,
                                               size, SM_RMW_ADD, operand, &old);
    expect(model, "rmw", tx != SM_TX_OK || old == want);
    compare(model, "rmw", &fate, tx);
}

static void swap(struct model *model, const struct asker *who, uint64_t at)
{
    const unsigned size = 1u << below(model, 5);
    const struct fate fate = fate_of_update(model, who, at, size, true);
    const struct sm_value desired = {test_random(&model->random), 5};
    struct sm_value expected = {0, 0}, old = {0, 0};

    if (fate.tx == SM_TX_OK) {
        gather(model, who, at, size, (uint8_t *)&expected);
        scatter(model, who, at, size, (const uint8_t *)&desired);
    }
    const enum sm_tx tx = sm_address_space_cas(model->space[who->space], at, &who->attrs,
                                               size, expected, desired, &old);
    expect(model, "cas", tx != SM_TX_OK || !memcmp(&old, &expected, sizeof(old)));
    compare(model, "cas", &fate, tx);
}

static void borrow(struct model *model, const struct asker *who, uint64_t at)
{
    const uint64_t size = 1 + below(model, 0x2000);
    const enum sm_access access = below(model, 2) ? SM_WRITE : SM_READ;
    struct fate fate = fate_of(model, who, at, access);
    struct sm_mapping mapping;
    uint64_t n = 1;

    if (fate.tx == SM_TX_OK && fate.object == DEVICE)
        fate.tx = SM_TX_ACCESS_ERROR;
    const enum sm_tx tx = sm_address_space_map(model->space[who->space], at, &who->attrs,
                                               size, access, &mapping);
    if (tx == SM_TX_OK && fate.tx == SM_TX_OK) {
        for (; n < size; n++) {
            const struct fate next = fate_of(model, who, at + n, access);
            if (!same_stretch(&fate, &next))
                break;
        }
        const uint8_t *host = sm_region_host(model->object[fate.object]);
        expect(model, "map", mapping.size == n && mapping.host == host + fate.offset);
    }
    if (tx == SM_TX_OK)
        sm_mapping_release(&mapping);
    compare(model, "map", &fate, tx);
}

/* The vCPU: requester 0, a mode per space; what fails changes nothing. */
static void by_vcpu(struct model *model, uint64_t at)
{
    const struct asker who = {.attrs = {.process = SM_NO_PROCESS},
                              .space = (unsigned)below(model, N_SPACES)};
    const struct sm_memop op = {.size_bits = (uint8_t)below(model, 5),
                                .mode = (uint8_t)who.space};
    const unsigned size = 1u << op.size_bits;
    struct sm_tlb_table *table = sm_vcpu_fast(model->vcpu)->table[op.mode];
    struct sm_value value = {test_random(&model->random), 77}, want = {0, 0};
    struct sm_fault fault = {.cause = SM_TX_OK};
    struct fate fate;
    uint64_t done;
    void *host;

    if (below(model, 4) == 0 && size <= 8) {
        fate = fate_of_update(model, &who, at, size, false);
        if (fate.tx == SM_TX_OK) {
            const uint64_t operand = value.lo;
            gather(model, &who, at, size, (uint8_t *)&want);
            const uint64_t sum = want.lo + operand;
            scatter(model, &who, at, size, (const uint8_t *)&sum);
        }
        (void)sm_tlb_rmw(model->vcpu, at, op, SM_RMW_ADD, value.lo, &value.lo, &fault);
        expect(model, "vCPU's rmw", fault.cause != SM_TX_OK || value.lo == want.lo);
        if (at & (size - 1)) { /* refused, for whichever reason is found first */
            fate.tx = fault.cause == SM_TX_OK ? SM_TX_ACCESS_ERROR : fault.cause;
            fate.reported = reports(model) != 0;
            model->table[0].n_reported = fate.reported;
        }
        compare(model, "vCPU's rmw", &fate, (enum sm_tx)fault.cause);
        return;
    }
    const bool write = below(model, 2);
    fate = fate_of_all(model, &who, at, size, write ? SM_WRITE : SM_READ, &done);
    if (write) {
        if (fate.tx == SM_TX_OK)
            scatter(model, &who, at, size, (const uint8_t *)&value);
        if (size <= 8 && sm_tlb_hit(table, at, size, SM_WRITE, &host))
            memcpy(host, &value, size);
        else
            (void)sm_tlb_write_slow(model->vcpu, at, op, value, &fault);
    } else {
        if (fate.tx == SM_TX_OK)
            gather(model, &who, at, size, (uint8_t *)&want);
        value = (struct sm_value){0, 0};
        if (size <= 8 && sm_tlb_hit(table, at, size, SM_READ, &host))
            memcpy(&value, host, size);
        else
            (void)sm_tlb_read_slow(model->vcpu, at, op, &value, &fault);
        expect(model, "vCPU's load",
               fault.cause != SM_TX_OK || !memcmp(&value, &want, sizeof(want)));
    }
    /* Of two pages both are asked for first, whichever fails. */
    if ((at ^ (at + size - 1)) & SM_PAGE_MASK) {
        const unsigned n = reports(model);
        expect(model, "vCPU's", n >= fate.reported && n <= 2);
        model->table[0].n_reported = fate.reported;
    }
    compare(model, "vCPU's", &fate, (enum sm_tx)fault.cause);
}

static void access_once(struct model *model)
{
    static void (*const ways[])(struct model *model, const struct asker *who,
                                uint64_t at) = {transfer, single, single, update,
                                                swap, borrow};
    static const uint32_t flags[] = {0, 0, SM_ATTR_RAM_ONLY, SM_ATTR_DEBUG};
    struct asker who = {.attrs = {.process = SM_NO_PROCESS}};
    const uint64_t at = somewhere(model), way = below(model, SM_ARRAY_LEN(ways));

    if (model->online && below(model, 2)) {
        by_vcpu(model, at);
        return;
    }
    who.space = (unsigned)below(model, N_SPACES);
    who.attrs.requester = (uint32_t)below(model, N_REQUESTERS);
    who.attrs.flags = flags[below(model, way < 3 ? 4 : 3)];
    ways[way](model, &who, at);
}

/* --- Edits -------------------------------------------------------------- */

static uint64_t aligned(struct model *model, uint64_t limit)
{
    static const uint64_t grains[] = {0x1000, 0x1000, 0x1000, 0x100, 4};
    return below(model, limit) & ~(grains[below(model, SM_ARRAY_LEN(grains))] - 1);
}

static void show(struct model *model, unsigned space, struct slot *slot)
{
    const struct sm_range window = {slot->window, slot->window + slot->size - 1};

    assert_int_equal(
        sm_region_new_alias(model->object[slot->object], "slot", window, &slot->region),
        0);
    assert_int_equal(
        sm_region_map(model->root[space], slot->at, slot->region, slot->priority), 0);
}

static void edit_slot(struct model *model, unsigned space, struct slot *slot)
{
    if (!slot->region) {
        slot->object = (unsigned)below(model, N_OBJECTS);
        slot->window = aligned(model, object_size[slot->object]);
        slot->size = object_size[slot->object] - slot->window;
        slot->at = aligned(model, SPACE);
        slot->size = SM_MIN(slot->size, SPACE - slot->at);
        const uint64_t most = 0x1000 + 0x800 * below(model, 4);
        slot->size = SM_MIN(slot->size, most);
        slot->priority = (int)below(model, 3);
        slot->age = ++model->age;
        slot->disabled = slot->readonly = false;
        show(model, space, slot);
        return;
    }
    switch (below(model, 5)) {
    case 0:
        sm_region_unmap(slot->region);
        assert_int_equal(sm_region_free(slot->region), 0);
        slot->region = NULL;
        break;
    case 1:
        slot->at = aligned(model, SPACE - slot->size + 1);
        assert_int_equal(sm_region_move(slot->region, slot->at), 0);
        break;
    case 2:
        slot->priority = (int)below(model, 3);
        assert_int_equal(sm_region_set_priority(slot->region, slot->priority), 0);
        break;
    case 3:
        slot->disabled = !slot->disabled;
        sm_region_set_enabled(slot->region, !slot->disabled);
        break;
    default:
        slot->readonly = !slot->readonly;
        sm_region_set_readonly(slot->region, slot->readonly);
    }
}

static void edit(struct model *model)
{
    struct slot before[N_SPACES][N_SLOTS];
    struct sm_region *made[4];
    unsigned n_made = 0;

    memcpy(before, model->slot, sizeof(before));
    sm_topology_begin(model->topo);
    for (uint64_t n = 1 + below(model, 4); n; n--) {
        const unsigned space = (unsigned)below(model, N_SPACES);
        struct slot *slot = &model->slot[space][1 + below(model, N_SLOTS - 1)];
        const bool making = !slot->region;
        edit_slot(model, space, slot);
        if (making)
            made[n_made++] = slot->region;
    }
    bool loops = false;
    for (unsigned i = 0; i < N_SPACES; i++)
        repaint(model, i);
    for (unsigned i = 0; i < N_SPACES; i++)
        loops = loops || reaches(model, i, i, N_SPACES);
    const int error = sm_topology_commit(model->topo, NULL);
    expect(model, "commit", error == (loops ? -ELOOP : 0));
    if (error) {
        model->n_loops++;
        sm_topology_abort(model->topo);
        memcpy(model->slot, before, sizeof(before));
        for (unsigned i = 0; i < N_SPACES; i++)
            repaint(model, i);
        for (unsigned i = 0; i < n_made; i++)
            assert_int_equal(sm_region_free(made[i]), 0);
    } else {
        model->n_commits++;
    }
}

static void change_entry(struct model *model, struct table *table, struct entry *entry)
{
    if (below(model, 4)) {
        entry->space = table->leads[below(model, 2)];
        entry->base = aligned(model, SPACE / 2);
    }
    entry->perms = (uint8_t)(below(model, 4) ? SM_PERM_R | SM_PERM_W : below(model, 8));
}

static void change_table(struct model *model)
{
    struct table *table = &model->table[below(model, 2)];
    struct entry *entry =
        &table->entry[below(model, N_REQUESTERS)][below(model, SPACE / table->grain)];
    const struct sm_iommu_scope all = {.range = {0, UINT64_MAX}, .stage = 1};
    const struct entry before = *entry;

    change_entry(model, table, entry);
    /* What was only widened need not be told. */
    if (!before.perms || (before.space == entry->space && before.base == entry->base &&
                          !(before.perms & ~entry->perms)))
        return;
    if (model->plant != NO_INVALIDATION)
        assert_true(sm_iommu_invalidate(table->iommu, &all) > 0);
}

static bool run(uint64_t seed, enum plant plant, unsigned steps)
{
    static struct model model;

    init(&model, seed, plant);
    for (unsigned i = 0; i < steps && !model.wrong; i++) {
        if (below(&model, 3) == 0)
            edit(&model);
        for (uint64_t n = below(&model, 4); n; n--)
            change_table(&model);
        if (below(&model, 8) == 0) {
            model.online ? sm_vcpu_offline(model.vcpu) : sm_vcpu_online(model.vcpu);
            model.online = !model.online;
        }
        if (model.online)
            sm_vcpu_safe_point(model.vcpu);
        for (unsigned n = 0; n < 60 && !model.wrong; n++)
            access_once(&model);
        expect(&model, "memory", same_memory(&model));
        if (!model.online)
            sm_topology_work(model.topo);
    }
    if (!plant)
        printf("%u accesses done, %u refused by an iommu; %u commits, %u circles\n",
               model.n_done, model.n_refused, model.n_commits, model.n_loops);
    const bool right = !model.wrong;
    fini(&model);
    return right;
}

static void model_agrees(void **state)
{
    const uint64_t seed = test_seed(20261122);
    const char *text = getenv("SM_STEPS");

    assert_true(run(seed, NO_PLANT, text ? (unsigned)strtoul(text, NULL, 0) : 700));
}

static void planted_bugs_are_found(void **state)
{
    for (unsigned plant = NO_PLANT + 1; plant < N_PLANTS; plant++)
        assert_false(run(1, (enum plant)plant, 2000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(model_agrees),
        cmocka_unit_test(planted_bugs_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
