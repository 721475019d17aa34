/* SPDX-License-Identifier: MIT */
/* softmmu.h - all of libsoftmmu's stable interface, and its version.
 *
 * Before 1.0 a new minor version may change anything.  From then on, what is
 * included here is stable: opaque objects, and tables and option structs that
 * begin with struct_size, to which fields are only ever appended.  A caller
 * sets struct_size to sizeof of what it was compiled with; fields beyond it
 * count as zero, and a size that no version had is -EINVAL.  A later version's
 * is taken where all that it adds is zero.
 *
 * Not included: softtlb_hit.h, whose layout may change in any version.
 */
#ifndef SOFTMMU_SOFTMMU_H
#define SOFTMMU_SOFTMMU_H

#include "softmmu/address_space.h"
#include "softmmu/device.h"
#include "softmmu/dirty_log.h"
#include "softmmu/guest_mmu.h"
#include "softmmu/inspect.h"
#include "softmmu/iommu.h"
#include "softmmu/listener.h"
#include "softmmu/ptwalk.h"
#include "softmmu/region.h"
#include "softmmu/softtlb.h"
#include "softmmu/tlb_check.h"
#include "softmmu/types.h"
#include "softmmu/vcpu.h"
#include "softmmu/watch.h"
#include "softmmu/window.h"

#define SM_VERSION_MAJOR 0
#define SM_VERSION_MINOR 1
#define SM_VERSION_PATCH 0

/** One number that orders versions: 0xMMmmpp. */
#define SM_VERSION \
    ((SM_VERSION_MAJOR << 16) | (SM_VERSION_MINOR << 8) | SM_VERSION_PATCH)

SM_BEGIN_DECLS

/** Tell the version of the library that runs; SM_VERSION is the one compiled
 *  against.  Threads: any. */
uint32_t sm_version(void);

SM_END_DECLS
#endif
