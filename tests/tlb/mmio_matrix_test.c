/* SPDX-License-Identifier: MIT */
/* mmio_matrix_test.c - who accesses a device how, and which callbacks come of it.
 *
 * A table of cases worked out by hand, and then every combination of accepted and
 * implemented widths, alignments, byte order and widening, for a device and for a ROM
 * device in both modes, each size at offsets round its borders, and everyone who can
 * access memory, against a model.  Compared are outcome, value, bytes done, memory, and
 * every callback with its offset and size.
 *
 * The device is an array of bytes, in which its values lie in its own byte order; so a
 * little-endian requester finds the bytes in order whatever the device's order is.  The
 * model is the rules said plainly:
 *  - a single load or store is one access; over the region's end it is a transfer;
 *  - a transfer takes at each step the widest naturally aligned piece the region accepts;
 *  - the CPU's is a single one, and a store finds out before the first callback whether
 *    something answers at every byte;
 *  - an atomic one has to be aligned, and is a read and a write;
 *  - an access whose width or alignment is not accepted is refused without a callback;
 *  - an accepted one is made of the widest callbacks that are implemented; what is
 *    narrower than those takes its bytes from the aligned unit around, and when written
 *    wants the region's leave to read, merge and write that.
 */
#include "identity_guest.h"

#include "base/base.h"

#include <string.h>

enum { AT = 0x4000, SIZE = 0x1000, N_CALLS = 40 };

#ifdef SM_TSAN /* slow, and nothing races */
enum { STRIDE = 7 };
#else
enum { STRIDE = 1 };
#endif

enum kind { MMIO, ROM_MEMORY, ROM_CALLS, N_KINDS };
enum who { CPU, SINGLE, TRANSFER, DEBUGGER, RMW, CAS_EQUAL, CAS_OTHER, N_WHO };

static bool is_atomic(enum who who)
{
    return who >= RMW;
}

struct call {
    char what; /* r, w, p                                                      */
    uint64_t offset;
    unsigned size;
};

struct log {
    struct call call[N_CALLS];
    unsigned n;
};

struct device {
    struct sm_io_ops ops;
    uint8_t *byte; /* SIZE of them; a ROM device's are its memory               */
    struct log log;
    unsigned n_wrong;
    struct sm_device *device;
    struct sm_region *region;
};

struct board {
    struct sm_topology *topo;
    struct sm_region *root;
    struct sm_address_space *space;
    struct sm_vcpu *vcpu;
};

static const struct sm_attrs plain = {.process = SM_NO_PROCESS};
static const struct sm_attrs debug = {.process = SM_NO_PROCESS, .flags = SM_ATTR_DEBUG};

/* --- The device ------------------------------------------------------- */

static void log_call(struct log *log, char what, uint64_t offset, unsigned size)
{
    assert_true(log->n < N_CALLS);
    log->call[log->n++] = (struct call){what, offset, size};
}

/* Its own value of the @size bytes at @byte. */
static uint64_t own_value(const struct device *d, const uint8_t *byte, unsigned size)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)byte[d->ops.flags & SM_IO_BIG_ENDIAN ? size - 1 - i : i]
                 << 8 * i;
    return value;
}

/* Are callbacks of this kind implemented? */
static bool implemented(struct device *d, uint64_t offset, unsigned size)
{
    const struct sm_io_widths *widths = &d->ops.implements;
    const bool ok = size >= widths->min && size <= widths->max &&
                    (widths->unaligned || offset % size == 0) && offset + size <= SIZE;

    d->n_wrong += !ok;
    return ok;
}

static enum sm_tx device_read(void *dev, uint64_t offset, unsigned size,
                              const struct sm_attrs *attrs, uint64_t *value)
{
    struct device *d = dev;

    log_call(&d->log, 'r', offset, size);
    *value = implemented(d, offset, size) ? own_value(d, d->byte + offset, size) : 0;
    if (size < 8)
        *value |= UINT64_C(0xdd) << 56; /* nobody's bytes                       */
    return SM_TX_OK;
}

static enum sm_tx device_peek(void *dev, uint64_t offset, unsigned size, uint64_t *value)
{
    struct device *d = dev;

    log_call(&d->log, 'p', offset, size);
    *value = implemented(d, offset, size) ? own_value(d, d->byte + offset, size) : 0;
    return SM_TX_OK;
}

static enum sm_tx device_write(void *dev, uint64_t offset, unsigned size,
                               const struct sm_attrs *attrs, uint64_t value)
{
    struct device *d = dev;
    const bool big = d->ops.flags & SM_IO_BIG_ENDIAN;

    log_call(&d->log, 'w', offset, size);
    if (!implemented(d, offset, size))
        return SM_TX_DEVICE_ERROR;
    for (unsigned i = 0; i < size; i++)
        d->byte[offset + i] = (uint8_t)(value >> 8 * (big ? size - 1 - i : i));
    d->n_wrong += size < 8 && value >> 8 * size;
    return SM_TX_OK;
}

/* --- The machine: the device at AT, and nothing anywhere else --------- */

static void board_init(struct board *b)
{
    assert_int_equal(sm_topology_new(NULL, NULL, &b->topo), 0);
    assert_int_equal(sm_region_new(b->topo, "root", UINT64_MAX, &b->root), 0);
    assert_int_equal(sm_address_space_new(b->topo, "space", b->root, &b->space), 0);
    b->vcpu = identity_vcpu(b->topo, b->space, 0, NULL);
    sm_vcpu_online(b->vcpu);
}

static void board_fini(struct board *b)
{
    sm_vcpu_offline(b->vcpu);
    sm_vcpu_free(b->vcpu);
    sm_topology_free(b->topo);
}

static void plug(struct board *b, struct device *d, enum kind kind)
{
    static uint8_t bytes[SIZE];

    d->ops.struct_size = sizeof(d->ops);
    d->ops.read = device_read;
    d->ops.write = device_write;
    d->ops.peek = device_peek;
    d->byte = bytes;
    assert_int_equal(sm_device_new(b->topo, "device", d, &d->device), 0);
    if (kind == MMIO) {
        assert_int_equal(sm_region_new_io(d->device, "io", SIZE - 1, &d->ops, &d->region),
                         0);
    } else {
        assert_int_equal(
            sm_region_new_rom_device(d->device, "flash", SIZE, &d->ops, &d->region), 0);
        d->byte = sm_region_host(d->region);
    }
    for (unsigned i = 0; i < SIZE; i++)
        d->byte[i] = (uint8_t)i;
    sm_topology_begin(b->topo);
    if (kind == ROM_CALLS)
        assert_int_equal(sm_region_set_calls(d->region, true), 0);
    assert_int_equal(sm_region_map(b->root, AT, d->region, 0), 0);
    assert_int_equal(sm_topology_commit(b->topo, NULL), 0);
    sm_vcpu_safe_point(b->vcpu);
}

static void unplug(struct board *b, struct device *d)
{
    assert_int_equal(d->n_wrong, 0);
    sm_topology_begin(b->topo);
    sm_region_unmap(d->region);
    assert_int_equal(sm_region_free(d->region), 0);
    assert_int_equal(sm_topology_commit(b->topo, NULL), 0);
    assert_int_equal(sm_device_free(d->device), 0);
    sm_vcpu_safe_point(b->vcpu);
}

/* --- An access, and what came of it ----------------------------------- */

struct access {
    enum who who;
    bool write;
    uint64_t offset;
    unsigned size;
    uint8_t byte[16]; /* to be written, or read; in memory order                */
    /* What came of it: */
    enum sm_tx tx;
    uint64_t done; /* of a transfer                                            */
};

static unsigned log2_of(unsigned size)
{
    return (unsigned)__builtin_ctz(size);
}

static void cpu_access(struct board *b, struct access *a)
{
    const struct sm_memop op = {.size_bits = (uint8_t)log2_of(a->size)};
    struct sm_fault fault = {.cause = SM_TX_OK};
    struct sm_value value = {0, 0};

    if (a->write) {
        memcpy(&value.lo, a->byte, 8);
        memcpy(&value.hi, a->byte + 8, 8);
        (void)sm_tlb_write_slow(b->vcpu, AT + a->offset, op, value, &fault);
    } else {
        (void)sm_tlb_read_slow(b->vcpu, AT + a->offset, op, &value, &fault);
        memcpy(a->byte, &value.lo, 8);
        memcpy(a->byte + 8, &value.hi, 8);
    }
    a->tx = (enum sm_tx)fault.cause;
}

static void perform(struct board *b, struct access *a)
{
    const struct sm_attrs *attrs = a->who == DEBUGGER ? &debug : &plain;
    const sm_gpa gpa = AT + a->offset;
    struct sm_value old = {0, 0}, other;
    uint64_t value = 0;

    memcpy(&value, a->byte, 8);
    switch (a->who) {
    case CPU: cpu_access(b, a); return;
    case TRANSFER:
        a->tx =
            a->write
                ? sm_address_space_write(b->space, gpa, attrs, a->byte, a->size, &a->done)
                : sm_address_space_read(b->space, gpa, attrs, a->byte, a->size, &a->done);
        return;
    case RMW:
        a->tx = sm_address_space_rmw(b->space, gpa, attrs, a->size, SM_RMW_SWAP, value,
                                     &old.lo);
        break;
    case CAS_EQUAL:
    case CAS_OTHER:
        /* The device's byte n is n, until a write changes it. */
        for (unsigned i = 0; i < 8; i++)
            other.lo = (i ? other.lo : 0) | ((a->offset + i) & 0xff) << 8 * i;
        other = (struct sm_value){other.lo ^ (a->who == CAS_OTHER), 0};
        a->tx = sm_address_space_cas(b->space, gpa, attrs, a->size, other,
                                     (struct sm_value){value, 0}, &old);
        break;
    default:
        if (a->write) {
            a->tx = sm_address_space_store(b->space, gpa, attrs, a->size, value);
            return;
        }
        a->tx = sm_address_space_load(b->space, gpa, attrs, a->size, &old.lo);
    }
    memcpy(a->byte, &old.lo, 8);
}

/* --- Cases worked out by hand ----------------------------------------- */

struct row {
    const char *what;
    enum kind kind;
    uint32_t flags;
    struct sm_io_widths accepts, implements;
    enum who who;
    char direction; /* r or w                                                  */
    uint64_t offset;
    unsigned size;
    enum sm_tx tx;
    uint64_t value;    /* read                                                 */
    const char *calls; /* what, offset, size                                   */
};

/* Byte n of the device is n; 0xa7a6a5a4a3a2a1a0 and on is written. */
/* clang-format off */
static const struct row rows[] = {
    /* The plain ones. */
    {"a byte", MMIO, 0, {1, 8, false}, {1, 8, false},
     CPU, 'r', 5, 1, SM_TX_OK, 0x05, "r5:1"},
    {"four", MMIO, 0, {1, 8, false}, {1, 8, false},
     SINGLE, 'r', 4, 4, SM_TX_OK, 0x07060504, "r4:4"},
    {"eight, stored", MMIO, 0, {1, 8, false}, {1, 8, false},
     CPU, 'w', 8, 8, SM_TX_OK, 0, "w8:8"},
    /* Normal, split and combined, in both byte orders. */
    {"combine, little", MMIO, 0, {1, 4, false}, {1, 1, false},
     CPU, 'r', 4, 4, SM_TX_OK, 0x07060504, "r4:1 r5:1 r6:1 r7:1"},
    {"combine, big", MMIO, SM_IO_BIG_ENDIAN, {1, 4, false}, {1, 1, false},
     CPU, 'r', 4, 4, SM_TX_OK, 0x07060504, "r4:1 r5:1 r6:1 r7:1"},
    {"combine two of two", MMIO, SM_IO_BIG_ENDIAN, {4, 4, false}, {2, 2, false},
     SINGLE, 'w', 8, 4, SM_TX_OK, 0, "w8:2 w10:2"},
    {"split, little", MMIO, 0, {1, 4, false}, {4, 4, false},
     SINGLE, 'r', 6, 1, SM_TX_OK, 0x06, "r4:4"},
    {"split, big", MMIO, SM_IO_BIG_ENDIAN, {1, 4, false}, {4, 4, false},
     SINGLE, 'r', 6, 1, SM_TX_OK, 0x06, "r4:4"},
    {"split, stored without leave", MMIO, 0, {1, 4, false}, {4, 4, false},
     CPU, 'w', 6, 2, SM_TX_ACCESS_ERROR, 0, ""},
    {"split, stored with leave", MMIO, SM_IO_WIDEN_WRITES, {1, 4, false}, {4, 4, false},
     CPU, 'w', 6, 2, SM_TX_OK, 0, "r4:4 w4:4"},
    {"eight of two, narrow ends", MMIO, SM_IO_WIDEN_WRITES, {1, 8, true}, {4, 4, false},
     SINGLE, 'w', 2, 8, SM_TX_OK, 0, "r0:4 w0:4 w4:4 r8:4 w8:4"},
    /* What is not accepted is refused, and nobody is called. */
    {"too wide", MMIO, 0, {1, 4, false}, {1, 8, false},
     CPU, 'r', 8, 8, SM_TX_ACCESS_ERROR, 0, ""},
    {"too narrow", MMIO, 0, {4, 4, false}, {1, 8, false},
     SINGLE, 'w', 8, 2, SM_TX_ACCESS_ERROR, 0, ""},
    {"crooked", MMIO, 0, {1, 4, false}, {1, 8, true},
     SINGLE, 'r', 2, 4, SM_TX_ACCESS_ERROR, 0, ""},
    /* Crooked ones. */
    {"crooked, the CPU's", MMIO, 0, {1, 4, false}, {1, 8, true},
     CPU, 'r', 3, 4, SM_TX_ACCESS_ERROR, 0, ""},
    {"crooked, accepted, one call", MMIO, 0, {1, 8, true}, {1, 8, true},
     SINGLE, 'r', 3, 4, SM_TX_OK, 0x06050403, "r3:4"},
    {"crooked, accepted, by aligned calls", MMIO, 0, {1, 8, true}, {1, 4, false},
     SINGLE, 'r', 3, 8, SM_TX_OK, 0x0a09080706050403, "r3:1 r4:4 r8:2 r10:1"},
    {"crooked, by units", MMIO, SM_IO_BIG_ENDIAN, {1, 8, true}, {4, 4, false},
     SINGLE, 'r', 3, 4, SM_TX_OK, 0x06050403, "r0:4 r4:4"},
    /* Transfers choose their widths. */
    {"a transfer in fours", MMIO, 0, {1, 4, false}, {1, 8, false},
     TRANSFER, 'r', 2, 8, SM_TX_OK, 0x0908070605040302, "r2:2 r4:4 r8:2"},
    {"a transfer where bytes are refused", MMIO, 0, {4, 4, false}, {4, 4, false},
     TRANSFER, 'w', 4, 6, SM_TX_ACCESS_ERROR, 0, "w4:4"},
    /* The region's end: nothing answers behind it. */
    {"over the end, a load", MMIO, 0, {1, 8, false}, {1, 8, false},
     SINGLE, 'r', 0xffc, 8, SM_TX_DECODE_ERROR, 0, "r4092:4"},
    {"over the end, the CPU's load", MMIO, 0, {1, 8, false}, {1, 8, false},
     CPU, 'r', 0xffe, 4, SM_TX_DECODE_ERROR, 0, "r4094:2"},
    {"over the end, the CPU's store", MMIO, 0, {1, 8, false}, {1, 8, false},
     CPU, 'w', 0xffe, 4, SM_TX_DECODE_ERROR, 0, ""},
    /* Atomic ones. */
    {"a swap", MMIO, 0, {1, 8, false}, {1, 8, false},
     RMW, 'w', 8, 4, SM_TX_OK, 0x0b0a0908, "r8:4 w8:4"},
    {"a swap of a crooked four", MMIO, 0, {1, 8, true}, {1, 8, true},
     RMW, 'w', 9, 4, SM_TX_ACCESS_ERROR, 0, ""},
    {"a swap within a unit", MMIO, SM_IO_WIDEN_WRITES, {1, 8, false}, {4, 4, false},
     RMW, 'w', 10, 2, SM_TX_OK, 0x0b0a, "r8:4 r8:4 w8:4"},
    {"compared and swapped", MMIO, 0, {1, 8, false}, {2, 2, false},
     CAS_EQUAL, 'w', 8, 4, SM_TX_OK, 0x0b0a0908, "r8:2 r10:2 w8:2 w10:2"},
    {"compared only", MMIO, 0, {1, 8, false}, {2, 2, false},
     CAS_OTHER, 'w', 8, 4, SM_TX_OK, 0x0b0a0908, "r8:2 r10:2"},
    /* Debuggers peek; ROM devices. */
    {"peeked at", MMIO, SM_IO_BIG_ENDIAN, {1, 4, false}, {2, 2, false},
     DEBUGGER, 'r', 4, 4, SM_TX_OK, 0x07060504, "p4:2 p6:2"},
    {"ROM read in any width", ROM_MEMORY, 0, {4, 4, false}, {4, 4, false},
     CPU, 'r', 3, 8, SM_TX_OK, 0x0a09080706050403, ""},
    {"ROM written as declared", ROM_MEMORY, 0, {1, 4, false}, {2, 2, false},
     CPU, 'w', 4, 4, SM_TX_OK, 0, "w4:2 w6:2"},
    {"ROM written by a debugger", ROM_MEMORY, 0, {4, 4, false}, {4, 4, false},
     DEBUGGER, 'w', 3, 2, SM_TX_OK, 0, ""},
    {"ROM that answers by calls", ROM_CALLS, 0, {1, 4, false}, {1, 2, false},
     CPU, 'r', 4, 4, SM_TX_OK, 0x07060504, "r4:2 r6:2"},
    {"the same, written by a debugger", ROM_CALLS, 0, {4, 4, false}, {4, 4, false},
     DEBUGGER, 'w', 3, 2, SM_TX_OK, 0, ""},
};
/* clang-format on */

static void cases(void **state)
{
    struct board b;

    board_init(&b);
    for (unsigned n = 0; n < SM_ARRAY_LEN(rows); n++) {
        const struct row *row = &rows[n];
        struct device d = {.ops = {.flags = row->flags,
                                   .accepts = row->accepts,
                                   .implements = row->implements}};
        struct access a = {.who = row->who,
                           .write = row->direction == 'w',
                           .offset = row->offset,
                           .size = row->size};
        const bool reads = !a.write || is_atomic(row->who);
        char calls[200] = "";
        uint64_t value;

        plug(&b, &d, row->kind);
        for (unsigned i = 0; i < 16 && a.write; i++)
            a.byte[i] = (uint8_t)(0xa0 + i);
        perform(&b, &a);
        for (unsigned i = 0; i < d.log.n; i++)
            sprintf(calls + strlen(calls), "%s%c%u:%u", i ? " " : "", d.log.call[i].what,
                    (unsigned)d.log.call[i].offset, d.log.call[i].size);
        memcpy(&value, a.byte, 8);
        if (a.tx != row->tx || strcmp(calls, row->calls) != 0 ||
            (reads && row->tx == SM_TX_OK && value != row->value))
            fail_msg("%s: %d, calls \"%s\", value %#llx", row->what, a.tx, calls,
                     (unsigned long long)value);
        for (unsigned i = 0; i < row->size && a.write && row->tx == SM_TX_OK; i++)
            assert_int_equal(d.byte[row->offset + i],
                             row->who == CAS_OTHER ? row->offset + i : 0xa0 + i);
        unplug(&b, &d);
    }
    board_fini(&b);
}

/* --- The model -------------------------------------------------------- */

struct model {
    const struct device *d;
    enum kind kind;
    uint8_t byte[SIZE];
    struct log log;
};

/* The widest of 8, 4, 2, 1 that is at most @left and @most, and aligned if @aligned. */
static unsigned widest(uint64_t offset, uint64_t left, unsigned most, bool aligned)
{
    unsigned size = 8;

    while (size > left || size > most || (aligned && offset % size != 0))
        size /= 2;
    return size;
}

/* An accepted access of the region, by its callbacks. */
static enum sm_tx model_calls(struct model *m, char what, uint64_t offset, unsigned size,
                              uint8_t *byte)
{
    const struct sm_io_widths *can = &m->d->ops.implements;

    for (unsigned done = 0; done < size;) {
        uint64_t at = offset + done;
        unsigned width = widest(at, size - done, can->max, !can->unaligned);
        unsigned n = width;

        if (width < can->min) { /* a part of the unit around */
            width = can->min;
            at -= at % width;
            n = (unsigned)(at + width - (offset + done));
            n = n < size - done ? n : size - done;
            if (what == 'w' && !(m->d->ops.flags & SM_IO_WIDEN_WRITES))
                return SM_TX_ACCESS_ERROR;
            if (what == 'w' && n < width)
                log_call(&m->log, 'r', at, width);
        }
        log_call(&m->log, what, at, width);
        if (what == 'w')
            memcpy(m->byte + offset + done, byte + done, n);
        else
            memcpy(byte + done, m->byte + offset + done, n);
        done += n;
    }
    return SM_TX_OK;
}

/* One access of the region. */
static enum sm_tx model_region(struct model *m, enum who who, bool write, uint64_t offset,
                               unsigned size, uint8_t *byte)
{
    const struct sm_io_widths *may = &m->d->ops.accepts;

    if (!write && m->kind == ROM_MEMORY) {
        memcpy(byte, m->byte + offset, size);
        return SM_TX_OK;
    }
    if (write && m->kind != MMIO && who == DEBUGGER) {
        memcpy(m->byte + offset, byte, size);
        return SM_TX_OK;
    }
    if (write && who == DEBUGGER) /* it has no effect on devices */
        return SM_TX_ACCESS_ERROR;
    if (size < may->min || size > may->max || (!may->unaligned && offset % size != 0))
        return SM_TX_ACCESS_ERROR;
    return model_calls(m, write ? 'w' : who == DEBUGGER ? 'p' : 'r', offset, size, byte);
}

static enum sm_tx model_transfer(struct model *m, struct access *a)
{
    const struct sm_io_widths *may = &m->d->ops.accepts;

    for (a->done = 0; a->done < a->size;) {
        const uint64_t at = a->offset + a->done,
                       left = SM_MIN(a->size - a->done, SIZE - at);
        unsigned piece;

        if (at >= SIZE)
            return SM_TX_DECODE_ERROR;
        piece = widest(at, left, 8, true);
        if (piece < may->min && may->unaligned && left >= may->min)
            piece = may->min;
        piece = SM_MIN(piece, (unsigned)may->max);
        if (m->kind == ROM_MEMORY && !a->write)
            piece = (unsigned)left; /* memory has no widths */
        const enum sm_tx tx =
            model_region(m, a->who, a->write, at, piece, a->byte + a->done);
        if (tx != SM_TX_OK)
            return tx;
        a->done += piece;
    }
    return SM_TX_OK;
}

static enum sm_tx model_cpu(struct model *m, struct access *a)
{
    enum sm_tx tx;

    if (a->write && a->offset + a->size > SIZE)
        return SM_TX_DECODE_ERROR;
    if (a->size <= 8 && a->offset + a->size <= SIZE)
        return model_region(m, CPU, a->write, a->offset, a->size, a->byte);
    tx = model_transfer(m, a);
    a->done = 0; /* an instruction does all or nothing */
    return tx;
}

static enum sm_tx model_atomic(struct model *m, struct access *a)
{
    const struct sm_io_widths *may = &m->d->ops.accepts;
    uint8_t old[8] = {0};

    if (a->offset % a->size != 0 || a->size < may->min || a->size > may->max)
        return SM_TX_ACCESS_ERROR;
    enum sm_tx tx = model_region(m, a->who, false, a->offset, a->size, old);
    if (tx == SM_TX_OK && a->who != CAS_OTHER)
        tx = model_region(m, a->who, true, a->offset, a->size, a->byte);
    memset(a->byte, 0, sizeof(a->byte));
    memcpy(a->byte, old, 8);
    return tx;
}

static void model_access(struct model *m, struct access *a)
{
    m->log.n = 0;
    if (a->who == CPU)
        a->tx = model_cpu(m, a);
    else if (is_atomic(a->who))
        a->tx = model_atomic(m, a);
    else if (a->who == TRANSFER || a->offset + a->size > SIZE)
        a->tx = model_transfer(m, a);
    else
        a->tx = model_region(m, a->who, a->write, a->offset, a->size, a->byte);
}

/* --- All of them ------------------------------------------------------ */

static void complain(const struct model *m, const struct access *want,
                     const struct access *got)
{
    const struct sm_io_ops *ops = &m->d->ops;

    printf(
        "kind %d flags %u accepts %u-%u%s implements %u-%u%s\n"
        "who %d %s offset %#llx size %u: tx %d, expected %d; done %llu, expected %llu\n",
        m->kind, ops->flags, ops->accepts.min, ops->accepts.max,
        ops->accepts.unaligned ? " unaligned" : "", ops->implements.min,
        ops->implements.max, ops->implements.unaligned ? " unaligned" : "", want->who,
        want->write ? "write" : "read", (unsigned long long)want->offset, want->size,
        got->tx, want->tx, (unsigned long long)got->done, (unsigned long long)want->done);
    for (unsigned i = 0; i < SM_MAX(m->log.n, m->d->log.n); i++) {
        const struct call none = {'-', 0, 0};
        const struct call w = i < m->log.n ? m->log.call[i] : none;
        const struct call g = i < m->d->log.n ? m->d->log.call[i] : none;
        printf("  %c%llu:%u, expected %c%llu:%u\n", g.what, (unsigned long long)g.offset,
               g.size, w.what, (unsigned long long)w.offset, w.size);
    }
    fail();
}

static bool same_calls(const struct log *a, const struct log *b)
{
    bool same = a->n == b->n;

    for (unsigned i = 0; same && i < a->n; i++)
        same = a->call[i].what == b->call[i].what &&
               a->call[i].offset == b->call[i].offset &&
               a->call[i].size == b->call[i].size;
    return same;
}

static void compare(struct board *b, struct device *d, struct model *m, enum who who,
                    bool write, uint64_t offset, unsigned size)
{
    struct access want = {.who = who, .write = write, .offset = offset, .size = size};
    const uint64_t low = offset & ~UINT64_C(7), end = SM_MIN(low + 32, (uint64_t)SIZE);

    for (unsigned i = 0; i < size && write; i++)
        want.byte[i] = (uint8_t)(0x80 + 7 * i);
    struct access got = want;
    d->log.n = 0;
    model_access(m, &want);
    perform(b, &got);
    if (got.tx != want.tx || !same_calls(&d->log, &m->log) ||
        (who == TRANSFER && got.done != want.done) ||
        ((!write || is_atomic(who)) && want.tx == SM_TX_OK &&
         memcmp(got.byte, want.byte, size) != 0) ||
        memcmp(d->byte + low, m->byte + low, end - low) != 0)
        complain(m, &want, &got);
    if (!write)
        return;
    for (uint64_t i = low; i < end; i++) /* as it was */
        d->byte[i] = m->byte[i] = (uint8_t)i;
}

static void sweep(struct board *b, struct device *d, enum kind kind)
{
    static const uint16_t offsets[] = {0,        1,        2,        3,        4,
                                       5,        6,        7,        SIZE - 8, SIZE - 6,
                                       SIZE - 4, SIZE - 3, SIZE - 2, SIZE - 1};
    static const unsigned sizes[] = {1, 2, 4, 8, 16, 3, 7, 11};
    static struct model m;

    plug(b, d, kind);
    m.d = d;
    m.kind = kind;
    memcpy(m.byte, d->byte, SIZE);
    for (unsigned i = 0; i < SM_ARRAY_LEN(offsets); i++) {
        for (unsigned j = 0; j < SM_ARRAY_LEN(sizes); j++) {
            for (enum who who = CPU; who < N_WHO; who++) {
                if ((sizes[j] & (sizes[j] - 1) && who != TRANSFER) ||
                    (sizes[j] == 16 && who != TRANSFER && who != CPU))
                    continue;
                if (!is_atomic(who))
                    compare(b, d, &m, who, false, offsets[i], sizes[j]);
                compare(b, d, &m, who, true, offsets[i], sizes[j]);
            }
        }
    }
    assert_memory_equal(d->byte, m.byte, SIZE);
    unplug(b, d);
}

static void matrix(void **state)
{
    static const uint8_t widths[][2] = {{1, 1}, {1, 2}, {1, 4}, {1, 8}, {2, 4},
                                        {4, 4}, {2, 8}, {4, 8}, {8, 8}};
    enum { N = SM_ARRAY_LEN(widths) };
    struct board b;

    board_init(&b);
    for (unsigned i = 0; i < N * N * 16; i += STRIDE) {
        const uint8_t *accepts = widths[i / 16 % N], *implements = widths[i / 16 / N];
        for (enum kind kind = MMIO; kind < N_KINDS; kind++) {
            struct device d = {
                .ops = {.flags = (i & 1 ? SM_IO_BIG_ENDIAN : 0) |
                                 (i & 2 ? SM_IO_WIDEN_WRITES : 0),
                        .accepts = {accepts[0], accepts[1], i & 4},
                        .implements = {implements[0], implements[1], i & 8}}};
            sweep(&b, &d, kind);
        }
    }
    board_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases),
        cmocka_unit_test(matrix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
