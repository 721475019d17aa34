// SPDX-License-Identifier: MIT
// from_cxx.cc - includes everything from C++17, calls the library, prints its version.
#include <softmmu/softmmu.h>
#include <softmmu/softtlb_hit.h>

#include <cstdio>

int main()
{
    sm_owner_ops owner = {};
    sm_topology *topology = nullptr;
    sm_tlb_entry absent = {SM_TLB_ABSENT, 0};

    owner.struct_size = sizeof owner;
    if (absent.tag == 0 || sm_tlb_slot(0) == sm_tlb_slot(SM_PAGE_SIZE) ||
        sm_topology_new(&owner, nullptr, &topology))
        return 1;
    sm_topology_free(topology);
    const unsigned version = sm_version();
    std::printf("%u.%u.%u\n", version >> 16, version >> 8 & 255, version & 255);
    return version != SM_VERSION;
}
