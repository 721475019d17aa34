/* SPDX-License-Identifier: MIT */
/* devices.h - every device of a board: what it is made from, and what it shows.
 *
 * Each <name>_new() returns 0 or -ENOMEM, leaves *out untouched on failure, and
 * makes regions but maps none: the board does.  <name>_free() takes the regions
 * away; they are unmapped by then.  <name>_reset() puts it into its reset state
 * with the machine stopped.
 *
 * Layer: devices
 */
#ifndef DEVICES_DEVICES_H
#define DEVICES_DEVICES_H

#include "devices/backend.h"
#include "devices/model.h"

/* --- ACLINT and SiFive CLINT: aclint.c ---------------------------------------------
 * Source: RISC-V Advanced Core Local Interruptor Specification. */

enum { ACLINT_TIMEBASE_HZ = 10000000 };

struct aclint;
struct aclint_options {
    struct sm_topology *topo;
    const struct dev_clock *clock;
    unsigned n_harts;
    const struct dev_line *msi, *mti, *ssi; /* [n_harts] each; ssi may be NULL   */
    /** The guest wrote mtime: deadlines in its ticks lie elsewhere now.  Under the
     *  device's lock; takes leaf locks only.  May be NULL. */
    void (*time_changed)(void *owner);
    void *owner;
};
SM_MUST_CHECK int aclint_new(const struct aclint_options *options, struct aclint **out);
void aclint_free(struct aclint *aclint);
void aclint_reset(struct aclint *aclint);
/** One region of the CLINT's layout, 0x10000 bytes: MSWI at 0, MTIMER at 0x4000
 *  (mtimecmp first, mtime at 0xbff8).  Or the ACLINT's three: MSWI and SSWI of 0x4000
 *  bytes, MTIMER of 0x8000 (mtimecmp first, mtime at 0x7ff8), as QEMU lays them out. */
struct sm_region *aclint_clint_region(struct aclint *aclint);
struct sm_region *aclint_mswi_region(struct aclint *aclint);
struct sm_region *aclint_mtimer_region(struct aclint *aclint);
struct sm_region *aclint_sswi_region(struct aclint *aclint);
/** Current mtime.  Any thread. */
uint64_t aclint_mtime(struct aclint *aclint);
/** Guest time (dev_clock ns) at which mtime reaches @ticks, UINT64_MAX if never. */
uint64_t aclint_deadline_ns(struct aclint *aclint, uint64_t ticks);
extern const struct dev_model aclint_model;

/* --- PLIC: plic.c -------------------------------------------------------------------
 * Source: RISC-V Platform-Level Interrupt Controller Specification 1.0. */

struct plic;
struct plic_options {
    struct sm_topology *topo;
    unsigned n_sources;    /* without source 0                                   */
    unsigned n_priorities; /* highest priority, 7 on virt                        */
    unsigned n_contexts;
    const struct dev_line *out; /* [n_contexts]                                  */
};
SM_MUST_CHECK int plic_new(const struct plic_options *options, struct plic **out);
void plic_free(struct plic *plic);
void plic_reset(struct plic *plic);
struct sm_region *plic_region(struct plic *plic); /* 0x600000 bytes               */
/** The wire of source @n; the PLIC's lock is a leaf, so any device may set it. */
struct dev_line plic_source(struct plic *plic, unsigned n);
extern const struct dev_model plic_model;

/* --- NS16550A: uart16550.c -------------------------------------------------------- */

struct uart;
struct uart_options {
    struct sm_topology *topo;
    const struct dev_chr *chr; /* NULL: nothing attached                         */
    struct dev_line irq;
    const struct dev_clock *clock; /* character timeout of the receive FIFO      */
};
SM_MUST_CHECK int uart_new(const struct uart_options *options, struct uart **out);
void uart_free(struct uart *uart);
void uart_reset(struct uart *uart);
struct sm_region *uart_region(struct uart *uart); /* 0x100 bytes, registers 1 apart */
extern const struct dev_model uart_model;

/* --- goldfish RTC: rtc.c ---------------------------------------------------------- */

struct rtc;
struct rtc_options {
    struct sm_topology *topo;
    const struct dev_clock *clock;
    struct dev_line irq;
};
SM_MUST_CHECK int rtc_new(const struct rtc_options *options, struct rtc **out);
void rtc_free(struct rtc *rtc);
void rtc_reset(struct rtc *rtc);
struct sm_region *rtc_region(struct rtc *rtc); /* 0x1000 bytes                     */
extern const struct dev_model rtc_model;

/* --- SiFive test finisher, syscon: syscon.c --------------------------------------- */

struct finisher;
struct finisher_options {
    struct sm_topology *topo;
    const struct dev_power *power;
};
SM_MUST_CHECK int finisher_new(const struct finisher_options *options,
                               struct finisher **out);
void finisher_free(struct finisher *finisher);
struct sm_region *finisher_region(struct finisher *finisher); /* 0x1000 bytes      */
extern const struct dev_model finisher_model;

/* --- HTIF: htif.c --------------------------------------------------------------------
 * The host interface of Spike: exit code and console behind two doublewords that
 * lie over the RAM at the ELF's symbols. */

struct htif;
struct htif_options {
    struct sm_topology *topo;
    const struct dev_chr *chr;
    const struct dev_power *power;
    struct sm_address_space *space; /* for the write system call; NULL: has none      */
};
SM_MUST_CHECK int htif_new(const struct htif_options *options, struct htif **out);
void htif_free(struct htif *htif);
void htif_reset(struct htif *htif);
struct sm_region *htif_tohost_region(struct htif *htif);   /* 8 bytes               */
struct sm_region *htif_fromhost_region(struct htif *htif); /* 8 bytes               */
extern const struct dev_model htif_model;

/* --- virtio over MMIO: virtio_mmio.c, virtqueue.c, virtio_blk.c, virtio_rng.c --------
 * Source: Virtual I/O Device (VIRTIO) Version 1.3, and its "Legacy Interface" parts. */

struct virtio; /* a device behind a transport: virtio.h                            */
struct virtio_mmio;
struct virtio_mmio_options {
    struct sm_topology *topo;
    struct sm_address_space *space; /* where rings and buffers lie                  */
    struct dev_line irq;
    bool legacy;                    /* version 1 instead of 2                       */
    uint32_t requester;             /* in the attributes of its accesses            */
};
/** An empty slot: DeviceID 0. */
SM_MUST_CHECK int virtio_mmio_new(const struct virtio_mmio_options *options,
                                  struct virtio_mmio **out);
void virtio_mmio_free(struct virtio_mmio *slot);
void virtio_mmio_reset(struct virtio_mmio *slot);
struct sm_region *virtio_mmio_region(struct virtio_mmio *slot); /* 0x200 bytes       */
/** Put @device into the empty slot, before the machine runs.  The slot owns it. */
void virtio_mmio_plug(struct virtio_mmio *slot, struct virtio *device);
bool virtio_mmio_plugged(const struct virtio_mmio *slot);
extern const struct dev_model virtio_mmio_model;

struct virtio_blk_options {
    const struct dev_blk *blk;
    const char *serial; /* up to 20 bytes, or NULL                                  */
};
SM_MUST_CHECK int virtio_blk_new(const struct virtio_blk_options *options,
                                 struct virtio **out);
struct virtio_rng_options {
    const struct dev_rng *rng;
};
SM_MUST_CHECK int virtio_rng_new(const struct virtio_rng_options *options,
                                 struct virtio **out);

#endif
