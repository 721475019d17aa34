# SPDX-License-Identifier: MIT
# compute.s - rows of integer and floating-point work, calls, jumps and code that runs once.

row integers
    li t0, 12345
    li t1, 678
1:  add t0, t0, t1
    xor t1, t1, t0
    slli t2, t0, 3
    sub t1, t2, t1
    srli t3, t1, 7
    and t3, t3, t0
    or t0, t0, t3
    addi t1, t1, 13
    addi a0, a0, -1
    bnez a0, 1b
    add a0, t0, t1
    ret

row multiply_divide
    li t0, 0x123456789abcdef
    li t1, 0x1234567
    li t4, 0
1:  mul t2, t0, t1
    mulhu t3, t0, t1
    add t0, t0, t2
    divu t2, t0, t1
    remu t3, t3, t1
    add t4, t4, t2
    add t4, t4, t3
    addi a0, a0, -1
    bnez a0, 1b
    add a0, t0, t4
    ret

# Each is taken half the time, without a pattern.
row branches
    li t0, 1
    li t1, 0x5851f42d4c957f2d
    li t4, 0
1:  mul t0, t0, t1
    addi t0, t0, 1013
    srli t2, t0, 40
    andi t3, t2, 1
    beqz t3, 2f
    addi t4, t4, 3
2:  andi t3, t2, 2
    bnez t3, 3f
    xori t4, t4, 85
3:  andi t3, t2, 4
    beqz t3, 4f
    addi t4, t4, 1
4:  andi t3, t2, 8
    bnez t3, 5f
    slli t5, t4, 1
    add t4, t4, t5
5:  addi a0, a0, -1
    bnez a0, 1b
    mv a0, t4
    ret

# fs0: 1, fs1: 1 + 2^-30, fs2: 0.7, and fa0: 1
row setup_floats
    li t0, 1
    fcvt.d.l fs0, t0
    li t0, 0x3ff0000000400000
    fmv.d.x fs1, t0
    li t0, 0x3fe6666666666666
    fmv.d.x fs2, t0
    fmv.d.x fa0, zero
    fadd.d fa0, fa0, fs0
    ret

    .macro float_row name, op:vararg
    row \name
1:  .rept 8
    \op
    .endr
    addi a0, a0, -1
    bnez a0, 1b
    fmv.x.d a0, fa0
    ret
    .endm

    float_row float_add, fadd.d fa0, fa0, fs2
    float_row float_multiply, fmul.d fa0, fa0, fs1
    float_row float_fused, fmadd.d fa0, fa0, fs1, fs2
    float_row float_divide, fdiv.d fa0, fs2, fa0

row float_root
1:  .rept 4
    fsqrt.d fa0, fa0
    fadd.d fa0, fa0, fs2
    .endr
    addi a0, a0, -1
    bnez a0, 1b
    fmv.x.d a0, fa0
    ret

row float_single
    fcvt.s.d ft0, fs2
    fmv.w.x ft1, zero
1:  .rept 8
    fadd.s ft1, ft1, ft0
    .endr
    addi a0, a0, -1
    bnez a0, 1b
    fmv.x.w a0, ft1
    ret

row float_convert
    li t1, 0
1:  .rept 2
    fcvt.d.l ft0, a0
    fmul.d ft0, ft0, fs2
    flt.d t0, ft0, fs1
    fcvt.l.d t2, ft0, rtz
    add t1, t1, t2
    add t1, t1, t0
    .endr
    addi a0, a0, -1
    bnez a0, 1b
    mv a0, t1
    ret

    .balign 4096
row calls_near
    mv s1, ra
    li t0, 0
1:  .rept 4
    jal leaf_near
    .endr
    addi a0, a0, -1
    bnez a0, 1b
    mv a0, t0
    jr s1
leaf_near:
    addi t0, t0, 1
    ret

row calls_far
    mv s1, ra
    li t0, 0
1:  jal leaf_1
    jal leaf_2
    jal leaf_3
    jal leaf_4
    addi a0, a0, -1
    bnez a0, 1b
    mv a0, t0
    jr s1

row indirect_one
    mv s1, ra
    li t0, 0
    la t1, leaf_1
1:  .rept 4
    jalr t1
    .endr
    addi a0, a0, -1
    bnez a0, 1b
    mv a0, t0
    jr s1

row indirect_four
    mv s1, ra
    li t0, 0
    la t2, targets
1:  andi t1, a0, 3
    slli t1, t1, 3
    add t1, t1, t2
    ld t1, (t1)
    jalr t1
    addi a0, a0, -1
    bnez a0, 1b
    mv a0, t0
    jr s1
    .balign 8
targets: .dword leaf_1, leaf_2, leaf_3, leaf_4

# Fibonacci's number of 12 by recursion, a0 times.
row recursion
    mv s1, ra
    mv s2, a0
    li s3, 0
1:  li a0, 12
    jal fibonacci
    add s3, s3, a0
    addi s2, s2, -1
    bnez s2, 1b
    mv a0, s3
    jr s1
fibonacci:
    sltiu t0, a0, 2
    bnez t0, 1f
    addi sp, sp, -32
    sd ra, 0(sp)
    sd a0, 8(sp)
    addi a0, a0, -1
    jal fibonacci
    sd a0, 16(sp)
    ld a0, 8(sp)
    addi a0, a0, -2
    jal fibonacci
    ld t0, 16(sp)
    add a0, a0, t0
    ld ra, 0(sp)
    addi sp, sp, 32
1:  ret

    .macro leaf name, add
    .balign 4096
    .space 64 * \add            # not at one place of each page
\name:
    addi t0, t0, \add
    ret
    .endm
    leaf leaf_1, 1
    leaf leaf_2, 2
    leaf leaf_3, 3
    leaf leaf_4, 4

# Code that runs once: a0 functions of 100 000 random instructions each, from DATA on:
# arithmetic, a load or store in 8, the end of a block in 8.
    .equ COLD, 100000
row setup_cold
    li t0, DATA
    li t1, 0x2545f4914f6cdd1d
    la t2, cold_forms
    li s2, 0x1c71c7
1:  li t3, COLD - 1
2:  slli t4, t1, 13
    xor t1, t1, t4
    srli t4, t1, 7
    xor t1, t1, t4
    slli t4, t1, 17
    xor t1, t1, t4
    srli t4, t1, 60
    slli t4, t4, 4
    add t4, t4, t2
    ld t5, 0(t4)                # fixed bits
    ld t6, 8(t4)                # bits that are random
    and t4, t1, t6
    or t5, t5, t4
    sw t5, (t0)
    addi t0, t0, 4
    addi t3, t3, -1
    bnez t3, 2b
    li t5, 0x8067               # ret
    sw t5, (t0)
    addi t0, t0, 4
    addi a0, a0, -1
    bnez a0, 1b
    fence.i
    ret

# Registers x8 to x15 only; memory off x3.
    .macro form fixed, random
    .dword \fixed, \random
    .endm
    .equ RD, 7 << 7
    .equ RS1, 7 << 15
    .equ RS2, 7 << 20
    .equ BASE, 8 << 7 | 8 << 15 | 8 << 20
    .equ IMM, 0xfff << 20
    .balign 8
cold_forms:
    form 0x33 | BASE, RD | RS1 | RS2                       # add
    form 0x40000033 | BASE, RD | RS1 | RS2                 # sub
    form 0x4033 | BASE, RD | RS1 | RS2                     # xor
    form 0x6033 | BASE, RD | RS1 | RS2                     # or
    form 0x7033 | BASE, RD | RS1 | RS2                     # and
    form 0x3033 | BASE, RD | RS1 | RS2                     # sltu
    form 0x2000033 | BASE, RD | RS1 | RS2                  # mul
    form 0x13 | 8 << 7 | 8 << 15, RD | RS1 | IMM           # addi
    form 0x4013 | 8 << 7 | 8 << 15, RD | RS1 | IMM         # xori
    form 0x1013 | 8 << 7 | 8 << 15, RD | RS1 | 63 << 20    # slli
    form 0x5013 | 8 << 7 | 8 << 15, RD | RS1 | 63 << 20    # srli
    form 0x37 | 8 << 7, RD | 0xfffff << 12                 # lui
    form 0x1b | 8 << 7 | 8 << 15, RD | RS1 | IMM           # addiw
    form 0x3003 | 8 << 7 | 3 << 15, RD | 0x7f8 << 20       # ld
    form 0x3023 | 3 << 15 | 8 << 20, RS2 | 1 << 10 | 1 << 11 | 0x3f << 25  # sd
    form 0x1263 | 8 << 15 | 8 << 20, RS1 | RS2             # bne to the next one

row cold
    mv s11, ra
    mv s2, a0
    li s3, DATA
    la gp, cold_data
    li s4, COLD * 4
    .irp r, s0, s1, a0, a1, a2, a3, a4, a5
    li \r, 0x9e3779b9
    .endr
1:  jalr s3
    add s3, s3, s4
    addi s2, s2, -1
    bnez s2, 1b
    xor a0, a0, s0
    xor a0, a0, s1
    xor a0, a0, a1
    xor a0, a0, a2
    xor a0, a0, a3
    xor a0, a0, a4
    xor a0, a0, a5
    jr s11
    .balign 4096
cold_data:
    .space 4096
