/* SPDX-License-Identifier: MIT */
/* tlb_code.h - which page of memory a vCPU fetches from.
 *
 * Layer:    tlb
 * Threads:  the vCPU's, online
 */
#ifndef TLB_TLB_CODE_H
#define TLB_TLB_CODE_H

#include "memory/code_watch.h"
#include "softmmu/vcpu.h"

/** Find the page that fetches by @mode reach at @gva, for which they have a direct entry.
 *  It stays what it is until a view changes.
 *  Returns  false if it cannot be watched: it is taken for written for ever */
bool sm_tlb_code_page(struct sm_vcpu *vcpu, unsigned mode, sm_gva gva,
                      struct sm_code_page *out);

#endif
