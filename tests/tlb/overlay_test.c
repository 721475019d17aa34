/* SPDX-License-Identifier: MIT */
/* overlay_test.c - windows of a chipset that are switched over RAM, seen by all.
 *
 * Two classics.  Shadow RAM: thirteen areas of the first MiB, of each of which reads and
 * writes go to RAM or to the bus, independently.  System management RAM: a memory that
 * is hidden under the frame buffer unless opened, or asked for by a processor in its
 * management mode, whose space has an overlay of its own; and a stolen range at the top
 * of memory.  Every register setting is tried, changed into every other one, and each
 * address is asked by every kind of initiator; a rule in three lines says what is there.
 */
#include "identity_guest.h"

#include "base/base.h"

#include <string.h>

static const struct sm_attrs plain = {.process = SM_NO_PROCESS};

/* A byte read by the CPU, by a load and by a transfer; they agree.  -1: refused */
static int read_byte(struct sm_vcpu *vcpu, struct sm_address_space *space, sm_gpa gpa)
{
    uint64_t by_cpu = 0, by_load = 0;
    uint8_t by_copy = 0;
    const enum sm_tx tx = identity_load(vcpu, gpa, 0, &by_cpu);

    assert_int_equal(sm_address_space_load(space, gpa, &plain, 1, &by_load), tx);
    assert_int_equal(sm_address_space_read(space, gpa, &plain, &by_copy, 1, NULL), tx);
    assert_int_equal(by_cpu, by_load);
    assert_int_equal(by_cpu, by_copy);
    return tx == SM_TX_OK ? (int)by_cpu : -1;
}

/* A byte written, by the initiator that @how chooses.  Returns whether it was taken. */
static bool write_byte(struct sm_vcpu *vcpu, struct sm_address_space *space, sm_gpa gpa,
                       uint8_t value, unsigned how)
{
    switch (how % 3) {
    case 0: return identity_store(vcpu, gpa, 0, value) == SM_TX_OK;
    case 1: return sm_address_space_store(space, gpa, &plain, 1, value) == SM_TX_OK;
    default:
        return sm_address_space_write(space, gpa, &plain, &value, 1, NULL) == SM_TX_OK;
    }
}

/* --- Shadow RAM ------------------------------------------------------- */

enum { MIB = 1 << 20, N_AREAS = 13, PAM_RE = 1, PAM_WE = 2, N_SETTINGS = 4, PROBES = 4 };

static const struct {
    uint32_t first, size;
} area[N_AREAS] = {
    {0xf0000, 0x10000}, {0xc0000, 0x4000}, {0xc4000, 0x4000}, {0xc8000, 0x4000},
    {0xcc000, 0x4000},  {0xd0000, 0x4000}, {0xd4000, 0x4000}, {0xd8000, 0x4000},
    {0xdc000, 0x4000},  {0xe0000, 0x4000}, {0xe4000, 0x4000}, {0xe8000, 0x4000},
    {0xec000, 0x4000},
};

struct chipset {
    struct sm_topology *topo;
    struct sm_region *root, *ram, *bus, *bios;
    struct sm_region *overlay[N_AREAS][N_SETTINGS]; /* [0]: NULL, the bus shows */
    struct sm_address_space *space;
    struct sm_vcpu *vcpu;
    uint8_t model[MIB]; /* what RAM holds                                      */
    unsigned setting[N_AREAS];
};

/* What the bus answers: its ROM, which drops what is written. */
static uint8_t on_the_bus(uint32_t at)
{
    return (uint8_t)(at * 3 + (at >> 12) + 1);
}

struct shadow {
    struct chipset *chipset;
    unsigned area;
    bool to_ram; /* writes; else reads                                         */
};
static struct shadow shadows[N_AREAS][2];

/* Half of an area is RAM: reads of one and writes to the other.  No region kind says so,
 * a device does; it uses the RAM's host memory, and so needs no transfer. */
static enum sm_tx shadow_read(void *dev, uint64_t offset, unsigned size,
                              const struct sm_attrs *attrs, uint64_t *value)
{
    struct shadow *shadow = dev;
    const uint32_t at = area[shadow->area].first + (uint32_t)offset;
    const uint8_t *ram = sm_region_host(shadow->chipset->ram);

    *value = shadow->to_ram ? on_the_bus(at) : ram[at];
    return SM_TX_OK;
}

static enum sm_tx shadow_write(void *dev, uint64_t offset, unsigned size,
                               const struct sm_attrs *attrs, uint64_t value)
{
    struct shadow *shadow = dev;
    uint8_t *ram = sm_region_host(shadow->chipset->ram);

    if (shadow->to_ram)
        ram[area[shadow->area].first + offset] = (uint8_t)value;
    return SM_TX_OK;
}

static const struct sm_io_ops shadow_ops = {.struct_size = sizeof(shadow_ops),
                                            .read = shadow_read,
                                            .write = shadow_write,
                                            .accepts = {1, 8, true},
                                            .implements = {1, 1, false}};

static enum sm_tx bios_write(void *dev, uint64_t offset, unsigned size,
                             const struct sm_attrs *attrs, uint64_t value)
{
    return SM_TX_OK; /* dropped, as a bus does */
}

static const struct sm_io_ops bios_ops = {.struct_size = sizeof(bios_ops),
                                          .write = bios_write,
                                          .accepts = {1, 8, true},
                                          .implements = {1, 8, true}};

static struct sm_region *new_shadow(struct chipset *c, unsigned n, bool to_ram)
{
    struct shadow *shadow = &shadows[n][to_ram];
    struct sm_device *device;
    struct sm_region *region;

    *shadow = (struct shadow){c, n, to_ram};
    assert_int_equal(sm_device_new(c->topo, "shadow", shadow, &device), 0);
    assert_int_equal(
        sm_region_new_io(device, "shadow", area[n].size - 1, &shadow_ops, &region), 0);
    return region;
}

static void chipset_init(struct chipset *c)
{
    struct sm_device *bios;
    struct sm_region *low;

    memset(c, 0, sizeof(*c));
    assert_int_equal(sm_topology_new(NULL, NULL, &c->topo), 0);
    assert_int_equal(sm_region_new(c->topo, "root", UINT64_MAX, &c->root), 0);
    assert_int_equal(sm_region_new_ram(c->topo, "ram", MIB, &c->ram), 0);
    assert_int_equal(sm_device_new(c->topo, "bios", NULL, &bios), 0);
    assert_int_equal(sm_region_new_rom_device(bios, "bios", 0x40000, &bios_ops, &c->bios),
                     0);
    uint8_t *rom = sm_region_host(c->bios);
    for (uint32_t i = 0; i < 0x40000; i++)
        rom[i] = on_the_bus(0xc0000 + i);
    assert_int_equal(
        sm_region_new_alias(c->ram, "low", (struct sm_range){0, 0xbffff}, &low), 0);
    assert_int_equal(sm_address_space_new(c->topo, "space", c->root, &c->space), 0);
    sm_topology_begin(c->topo);
    assert_int_equal(sm_region_map(c->root, 0, low, 0), 0);
    assert_int_equal(sm_region_map(c->root, 0xc0000, c->bios, -1), 0);
    for (unsigned n = 0; n < N_AREAS; n++) {
        const struct sm_range window = {area[n].first, area[n].first + area[n].size - 1};
        assert_int_equal(sm_region_new_alias(c->ram, "both", window, &c->overlay[n][3]),
                         0);
        c->overlay[n][PAM_RE] = new_shadow(c, n, false);
        c->overlay[n][PAM_WE] = new_shadow(c, n, true);
        for (unsigned how = 1; how < N_SETTINGS; how++) {
            assert_int_equal(sm_region_map(c->root, area[n].first, c->overlay[n][how], 1),
                             0);
            sm_region_set_enabled(c->overlay[n][how], false);
        }
    }
    assert_int_equal(sm_topology_commit(c->topo, NULL), 0);
    c->vcpu = identity_vcpu(c->topo, c->space, 0, c);
    sm_vcpu_online(c->vcpu);
}

static void chipset_fini(struct chipset *c)
{
    sm_vcpu_offline(c->vcpu);
    sm_vcpu_free(c->vcpu);
    sm_topology_free(c->topo);
}

/* Write the register: reads and writes of area @n. */
static void pam_set(struct chipset *c, unsigned n, unsigned setting)
{
    sm_topology_begin(c->topo);
    for (unsigned how = 1; how < N_SETTINGS; how++)
        sm_region_set_enabled(c->overlay[n][how], how == setting);
    assert_int_equal(sm_topology_commit(c->topo, NULL), 0);
    sm_vcpu_safe_point(c->vcpu);
    c->setting[n] = setting;
}

static void probe(struct chipset *c, uint32_t at, unsigned setting, unsigned turn)
{
    const uint8_t value = (uint8_t)(at + 17 * turn + 3);

    assert_int_equal(read_byte(c->vcpu, c->space, at),
                     setting & PAM_RE ? c->model[at] : on_the_bus(at));
    assert_true(write_byte(c->vcpu, c->space, at, value, turn));
    if (setting & PAM_WE)
        c->model[at] = value;
    assert_int_equal(read_byte(c->vcpu, c->space, at),
                     setting & PAM_RE ? c->model[at] : on_the_bus(at));
}

/* Both ends of each area, and the middle: a wrong border shows. */
static void probe_all(struct chipset *c, unsigned turn)
{
    for (unsigned n = 0; n < N_AREAS; n++)
        for (uint32_t i = 0; i < PROBES; i++)
            probe(c,
                  area[n].first + (i < 2    ? i
                                   : i == 2 ? area[n].size / 2
                                            : area[n].size - 1),
                  c->setting[n], turn + i);
}

static void shadow_ram(void **state)
{
    static struct chipset c;
    unsigned turn = 0;

    chipset_init(&c);
    probe_all(&c, turn++);
    /* Each setting of each area, into each other one, with neighbours in all settings. */
    for (unsigned n = 0; n < N_AREAS; n++) {
        for (unsigned from = 0; from < N_SETTINGS; from++) {
            for (unsigned to = 0; to < N_SETTINGS; to++) {
                pam_set(&c, n, from);
                pam_set(&c, (n + 1) % N_AREAS, (from + to) % N_SETTINGS);
                pam_set(&c, n, to);
                probe_all(&c, turn++);
            }
        }
    }
    /* A word over the border of an area read from RAM and one read from the bus. */
    pam_set(&c, 1, PAM_RE | PAM_WE);
    pam_set(&c, 2, 0);
    uint64_t value = 0;
    const uint32_t at = area[2].first - 4;
    assert_int_equal(identity_load(c.vcpu, at, 3, &value), SM_TX_OK);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal((uint8_t)(value >> 8 * i),
                         i < 4 ? c.model[at + i] : on_the_bus(at + i));
    assert_memory_equal(sm_region_host(c.ram), c.model, MIB);
    chipset_fini(&c);
}

/* Where writes are refused instead of sent to the bus: a read-only window.  Nothing that
 * anybody but a debugger does changes what is behind it. */
static void locked_shadow(void **state)
{
    static struct chipset c;
    const struct sm_attrs debug = {.process = SM_NO_PROCESS, .flags = SM_ATTR_DEBUG};
    uint64_t old;

    chipset_init(&c);
    sm_topology_begin(c.topo);
    sm_region_set_enabled(c.overlay[1][3], true);
    sm_region_set_readonly(c.overlay[1][3], true);
    assert_int_equal(sm_topology_commit(c.topo, NULL), 0);
    sm_vcpu_safe_point(c.vcpu);
    const sm_gpa at = area[1].first + 8;
    for (unsigned how = 0; how < 3; how++)
        assert_false(write_byte(c.vcpu, c.space, at, 0x82, how));
    assert_int_equal(sm_address_space_rmw(c.space, at, &plain, 8, SM_RMW_SWAP, 1, &old),
                     SM_TX_ACCESS_ERROR);
    assert_int_equal(read_byte(c.vcpu, c.space, at), 0);
    assert_int_equal(sm_address_space_store(c.space, at, &debug, 1, 0x82), SM_TX_OK);
    assert_int_equal(read_byte(c.vcpu, c.space, at), 0x82);
    chipset_fini(&c);
}

/* --- System management RAM -------------------------------------------- */

enum {
    SMRAM = 0xa0000,
    SMRAM_SIZE = 0x20000,
    MEMORY = 16 * MIB,
    D_OPEN = 1,   /* everyone sees it                                          */
    G_ENABLE = 2, /* management mode does                                      */
    T_ENABLE = 4, /* the range at the top is stolen                            */
    N_BITS = 8
};
static const uint32_t t_size[] = {MIB, 2 * MIB, 8 * MIB};

struct smm {
    struct sm_topology *topo;
    struct sm_region *ram, *system, *managed, *smram, *opened, *stolen, *hole;
    struct sm_address_space *space[2]; /* [1]: of management mode              */
    struct sm_vcpu *vcpu[2];
    uint8_t *frame_buffer, *bytes;
};

static enum sm_tx frame_read(void *dev, uint64_t offset, unsigned size,
                             const struct sm_attrs *attrs, uint64_t *value)
{
    *value = ((uint8_t *)dev)[offset];
    return SM_TX_OK;
}

static enum sm_tx frame_write(void *dev, uint64_t offset, unsigned size,
                              const struct sm_attrs *attrs, uint64_t value)
{
    ((uint8_t *)dev)[offset] = (uint8_t)value;
    return SM_TX_OK;
}

static const struct sm_io_ops frame_ops = {.struct_size = sizeof(frame_ops),
                                           .read = frame_read,
                                           .write = frame_write,
                                           .accepts = {1, 8, true},
                                           .implements = {1, 1, false}};

/* What a stolen range shows to others: all ones, and it takes nothing. */
static enum sm_tx hole_read(void *dev, uint64_t offset, unsigned size,
                            const struct sm_attrs *attrs, uint64_t *value)
{
    *value = UINT64_MAX;
    return SM_TX_OK;
}

static const struct sm_io_ops hole_ops = {.struct_size = sizeof(hole_ops),
                                          .read = hole_read,
                                          .write = bios_write,
                                          .accepts = {1, 8, true},
                                          .implements = {1, 8, true}};

static struct sm_region *window(struct sm_region *of, uint64_t first, uint64_t last)
{
    struct sm_region *alias;

    assert_int_equal(
        sm_region_new_alias(of, "window", (struct sm_range){first, last}, &alias), 0);
    return alias;
}

static void smm_init(struct smm *s, uint8_t *frame_buffer)
{
    struct sm_device *frame, *hole;
    struct sm_region *vga;

    memset(s, 0, sizeof(*s));
    s->frame_buffer = frame_buffer;
    memset(frame_buffer, 0x77, SMRAM_SIZE);
    assert_int_equal(sm_topology_new(NULL, NULL, &s->topo), 0);
    assert_int_equal(sm_region_new(s->topo, "system", UINT64_MAX, &s->system), 0);
    assert_int_equal(sm_region_new(s->topo, "managed", UINT64_MAX, &s->managed), 0);
    assert_int_equal(sm_region_new_ram(s->topo, "ram", MEMORY, &s->ram), 0);
    assert_int_equal(sm_device_new(s->topo, "frame", frame_buffer, &frame), 0);
    assert_int_equal(sm_region_new_io(frame, "vga", SMRAM_SIZE - 1, &frame_ops, &vga), 0);
    assert_int_equal(sm_device_new(s->topo, "hole", NULL, &hole), 0);
    assert_int_equal(sm_region_new_io(hole, "hole", 8 * MIB - 1, &hole_ops, &s->hole), 0);
    s->bytes = sm_region_host(s->ram);
    s->opened = window(s->ram, SMRAM, SMRAM + SMRAM_SIZE - 1);
    s->smram = window(s->ram, SMRAM, SMRAM + SMRAM_SIZE - 1);
    s->stolen = window(s->ram, MEMORY - 8 * MIB, MEMORY - 1);
    sm_topology_begin(s->topo);
    assert_int_equal(sm_region_map(s->system, 0, window(s->ram, 0, MEMORY - 1), -1), 0);
    assert_int_equal(sm_region_map(s->system, SMRAM, vga, 0), 0);
    assert_int_equal(sm_region_map(s->system, SMRAM, s->opened, 1), 0);
    assert_int_equal(sm_region_map(s->system, MEMORY - 8 * MIB, s->hole, 1), 0);
    /* A processor in management mode sees all that, and over it what is its own. */
    assert_int_equal(sm_region_map(s->managed, 0, window(s->system, 0, UINT64_MAX), 0),
                     0);
    assert_int_equal(sm_region_map(s->managed, SMRAM, s->smram, 1), 0);
    assert_int_equal(sm_region_map(s->managed, MEMORY - 8 * MIB, s->stolen, 1), 0);
    assert_int_equal(sm_address_space_new(s->topo, "system", s->system, &s->space[0]), 0);
    assert_int_equal(sm_address_space_new(s->topo, "managed", s->managed, &s->space[1]),
                     0);
    assert_int_equal(sm_topology_commit(s->topo, NULL), 0);
    for (unsigned i = 0; i < 2; i++)
        s->vcpu[i] = identity_vcpu(s->topo, s->space[i], i, s);
}

static void smm_fini(struct smm *s)
{
    for (unsigned i = 0; i < 2; i++)
        sm_vcpu_free(s->vcpu[i]);
    sm_topology_free(s->topo);
}

static void smm_set(struct smm *s, unsigned bits, uint32_t size)
{
    sm_topology_begin(s->topo);
    sm_region_set_enabled(s->opened, bits & D_OPEN);
    sm_region_set_enabled(s->smram, bits & G_ENABLE);
    sm_region_set_enabled(s->hole, bits & T_ENABLE);
    sm_region_set_enabled(s->stolen, bits & T_ENABLE);
    assert_int_equal(sm_region_resize(s->hole, size - 1), 0);
    assert_int_equal(sm_region_move(s->hole, MEMORY - size), 0);
    assert_int_equal(sm_topology_commit(s->topo, NULL), 0);
}

/* Is @at RAM for who is @managed?  Else it is the frame buffer, or nothing's. */
static bool is_ram(uint32_t at, bool managed, unsigned bits, uint32_t size)
{
    if (at >= SMRAM && at < SMRAM + SMRAM_SIZE)
        return (bits & D_OPEN) || (managed && (bits & G_ENABLE));
    return managed || !(bits & T_ENABLE) || at < MEMORY - size;
}

static void ask(struct smm *s, uint32_t at, bool managed, unsigned bits, uint32_t size,
                unsigned turn)
{
    const bool ram = is_ram(at, managed, bits, size);
    const bool frame = !ram && at < MIB;
    uint8_t *home = ram ? &s->bytes[at] : frame ? &s->frame_buffer[at - SMRAM] : NULL;
    const uint8_t hidden = s->bytes[at], value = (uint8_t)(turn * 5 + at / 4096);

    assert_int_equal(read_byte(s->vcpu[managed], s->space[managed], at),
                     home ? *home : 0xff);
    assert_true(write_byte(s->vcpu[managed], s->space[managed], at, value, turn));
    if (home)
        assert_int_equal(*home, value);
    if (!ram)
        assert_int_equal(s->bytes[at], hidden);
}

static void management_ram(void **state)
{
    static const uint32_t at[] = {
        SMRAM - 1,          SMRAM,
        SMRAM + 0x8000,     SMRAM + SMRAM_SIZE - 1,
        SMRAM + SMRAM_SIZE, MEMORY - 8 * MIB - 1,
        MEMORY - 8 * MIB,   MEMORY - 2 * MIB - 1,
        MEMORY - 2 * MIB,   MEMORY - MIB - 1,
        MEMORY - MIB,       MEMORY - 1,
    };
    static uint8_t frame_buffer[SMRAM_SIZE];
    struct smm s;
    unsigned turn = 0;

    smm_init(&s, frame_buffer);
    for (unsigned n = 0; n < SM_ARRAY_LEN(t_size); n++) {
        for (unsigned change = 0; change < N_BITS * N_BITS; change++) {
            smm_set(&s, change / N_BITS, t_size[n]);
            smm_set(&s, change % N_BITS, t_size[n]);
            for (unsigned managed = 0; managed < 2; managed++) {
                sm_vcpu_online(s.vcpu[managed]); /* one after the other, as one thread has
                                                    one at a time */
                for (unsigned i = 0; i < SM_ARRAY_LEN(at); i++)
                    ask(&s, at[i], managed, change % N_BITS, t_size[n], turn++);
                sm_vcpu_offline(s.vcpu[managed]);
            }
        }
    }
    smm_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shadow_ram),
        cmocka_unit_test(locked_shadow),
        cmocka_unit_test(management_ram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
