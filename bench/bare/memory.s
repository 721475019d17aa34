# SPDX-License-Identifier: MIT
# memory.s - rows of loads, stores, copies and atomics.

# a1: base, a2: bytes, a power of two: a chain through each of its 64-byte lines, in the
# order of a generator whose period is their number.
row setup_chain
    srli t0, a2, 6
    addi t1, t0, -1             # mask
    li t2, 0
    li t3, 0x5d588b65
1:  mul t4, t2, t3
    addi t4, t4, 1
    and t4, t4, t1
    slli t4, t4, 6
    add t4, t4, a1
    slli t5, t2, 6
    add t5, t5, a1
    sd t4, (t5)
    addi t2, t2, 1
    bne t2, t0, 1b
    ret

row chain
1:  .rept 8
    ld a1, (a1)
    .endr
    addi a0, a0, -1
    bnez a0, 1b
    mv a0, a1
    ret

# a1: base, a2: bytes: that the host gives memory to the guest is not part of a row.
row setup_touched
    li t1, 4096
1:  sd zero, (a1)
    add a1, a1, t1
    sub a2, a2, t1
    bnez a2, 1b
    ret

# a1: base, a2: bytes, a power of two.
row scattered_stores
    li t0, 1
    li t1, 0x5851f42d4c957f2d
    addi a2, a2, -8
1:  .rept 4
    mul t0, t0, t1
    addi t0, t0, 1013
    srli t2, t0, 24
    and t2, t2, a2
    add t2, t2, a1
    sd t0, (t2)
    .endr
    addi a0, a0, -1
    bnez a0, 1b
    ld a0, (t2)
    ret

# a1: base: 4 pages of known words.
row setup_words
    li t0, 2048
fill_words:
    li t1, 0x0123456789abcdef
1:  sd t1, (a1)
    addi a1, a1, 8
    slli t2, t1, 13
    xor t1, t1, t2
    srli t2, t1, 7
    xor t1, t1, t2
    addi t0, t0, -1
    bnez t0, 1b
    ret

    .macro eight op, first, step
    \op t0, \first(a1)
    \op t1, \first + \step(a1)
    \op t2, \first + 2 * \step(a1)
    \op t3, \first + 3 * \step(a1)
    \op t4, \first + 4 * \step(a1)
    \op t5, \first + 5 * \step(a1)
    \op t6, \first + 6 * \step(a1)
    \op a2, \first + 7 * \step(a1)
    .endm

    .macro sum_of_eight
    add a0, t0, t1
    xor a0, a0, t2
    add a0, a0, t3
    xor a0, a0, t4
    add a0, a0, t5
    xor a0, a0, t6
    add a0, a0, a2
    .endm

row one_base_loads
1:  eight ld, 0, 8
    addi a0, a0, -1
    bnez a0, 1b
    sum_of_eight
    ret

row one_base_stores
1:  eight sd, 0, 8
    addi a0, a0, -1
    addi t0, t0, 1
    bnez a0, 1b
    ld t1, (a1)
    mv a0, t1
    ret

row setup_base_stores
    li t0, 0
    li t1, 1
    li t2, 2
    li t3, 3
    li t4, 4
    li t5, 5
    li t6, 6
    li a2, 7
    ret

# Inside a page, at addresses that are no multiple of the size.
row unaligned_loads
1:  eight ld, 1, 9
    addi a0, a0, -1
    bnez a0, 1b
    sum_of_eight
    ret

# Over the ends of three pages.
row crossing_loads
    li t4, 4096
    add a1, a1, t4
    add a2, a1, t4
    add a3, a2, t4
    li t3, 0
1:  ld t0, -4(a1)
    ld t1, -4(a2)
    ld t2, -4(a3)
    add t3, t3, t0
    xor t3, t3, t1
    add t3, t3, t2
    addi a0, a0, -1
    bnez a0, 1b
    mv a0, t3
    ret

row crossing_stores
    li t4, 4096
    add a1, a1, t4
    add a2, a1, t4
    add a3, a2, t4
1:  sd a0, -4(a1)
    sd a0, -4(a2)
    sd a0, -4(a3)
    addi a0, a0, -1
    bnez a0, 1b
    ld a0, -8(a3)
    ret

# a1: to, a2: from, a3: bytes, a multiple of 64.
row copies
1:  mv t0, a1
    mv t1, a2
    add t2, a1, a3
2:  ld t3, 0(t1)
    ld t4, 8(t1)
    ld t5, 16(t1)
    ld t6, 24(t1)
    ld a4, 32(t1)
    ld a5, 40(t1)
    ld a6, 48(t1)
    ld a7, 56(t1)
    sd t3, 0(t0)
    sd t4, 8(t0)
    sd t5, 16(t0)
    sd t6, 24(t0)
    sd a4, 32(t0)
    sd a5, 40(t0)
    sd a6, 48(t0)
    sd a7, 56(t0)
    addi t1, t1, 64
    addi t0, t0, 64
    bne t0, t2, 2b
    addi a0, a0, -1
    bnez a0, 1b
    ld a0, -64(t0)
    ret

row setup_copies
    mv s1, ra
    mv s2, a1
    mv a1, a2
    srli t0, a3, 3
    jal fill_words
    mv a1, s2
    mv a2, a3
    mv ra, s1
    j setup_touched

row amo
    li t0, 3
    sd zero, (a1)
1:  amoadd.d t1, t0, (a1)
    amoadd.d t2, t0, (a1)
    amoadd.w t3, t0, (a1)
    amoswap.d t4, t1, (a1)
    addi a0, a0, -1
    bnez a0, 1b
    ld a0, (a1)
    add a0, a0, t2
    ret

row lr_sc
    sd zero, (a1)
1:  lr.d t0, (a1)
    addi t0, t0, 1
    sc.d t1, t0, (a1)
    bnez t1, 1b
    addi a0, a0, -1
    bnez a0, 1b
    ld a0, (a1)
    ret
