# SPDX-License-Identifier: MIT
# suite.s - the image of the bare-metal suite: entry, then the rows by subject.
    .include "start.s"
    .include "memory.s"
    .include "compute.s"
    .include "system.s"
