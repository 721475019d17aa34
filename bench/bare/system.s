# SPDX-License-Identifier: MIT
# system.s - rows of CSRs, traps, fences, address spaces, devices, interrupts and patched code.

    .equ CSR_STIMECMP, 0x14d
    .equ MTIMECMP, 0x2004000
    .equ MTIME, 0x200bff8
    .equ PLIC_CLAIM, 0xc201004  # of S-mode on hart 0

    .macro repeated_row name, times, op:vararg
    row \name
    li t0, 0
1:  .rept \times
    \op
    .endr
    addi a0, a0, -1
    bnez a0, 1b
    mv a0, t0
    ret
    .endm

    repeated_row csr_read, 8, csrr t0, sscratch
    repeated_row csr_write, 8, csrw sscratch, a0
    repeated_row fences_all, 4, sfence.vma
    repeated_row fences_page, 4, sfence.vma a1, zero
    repeated_row fences_i, 4, fence.i
    repeated_row fences_memory, 8, fence rw, rw

# Interrupts off and on, as around each critical section.
row csr_status
1:  .rept 4
    csrrci t0, sstatus, 2
    csrrsi t1, sstatus, 2
    .endr
    addi a0, a0, -1
    bnez a0, 1b
    andi a0, t1, 2
    ret

row read_time
1:  .rept 4
    rdtime t0
    .endr
    addi a0, a0, -1
    bnez a0, 1b
    ret

# Round trips from U-mode to S-mode; to M-mode where medeleg says nothing.
row calls_to_system
    la t0, s_call
    csrw stvec, t0
    la t0, user_loop
    li t1, USER - RAM
    add t0, t0, t1
    csrw sepc, t0
    li t0, 1 << 8
    csrc sstatus, t0
    sret
    .balign 4096
user_loop:
    li a7, 0
    li s1, 0
1:  .rept 4
    ecall
    .endr
    addi a0, a0, -1
    bnez a0, 1b
    li a7, END_CALL
    ecall
    .balign 4096
s_call:
    bnez a7, 1f
    csrr t6, sepc
    addi t6, t6, 4
    csrw sepc, t6
    addi s1, s1, 1
    sret
1:  mv a0, s1
    j finish

# From S-mode to M-mode, as calls of firmware are.
row calls_to_firmware
    mv s2, ra
    li a7, 0
    li s1, 0
1:  .rept 4
    ecall
    .endr
    addi a0, a0, -1
    bnez a0, 1b
    mv a0, s1
    jr s2

# a1: base; each of 512 pages holds its number.
row setup_numbers
    li t0, 512
    li t1, 4096
1:  sd t0, (a1)
    add a1, a1, t1
    addi t0, t0, -1
    bnez t0, 1b
    ret

# A fence, and one load of each of 512 pages after it.
row misses
    li t1, 4096
    li a2, 0
1:  sfence.vma
    mv t2, a1
    li t3, 64
2:  .rept 8
    ld t0, (t2)
    add a2, a2, t0
    add t2, t2, t1
    .endr
    addi t3, t3, -1
    bnez t3, 2b
    addi a0, a0, -1
    bnez a0, 1b
    mv a0, a2
    ret

    .macro touch_16 sum
    mv t2, a1
    .rept 16
    ld t0, (t2)
    add \sum, \sum, t0
    add t2, t2, t1
    .endr
    .endm

# 16 pages of one address space, then of another, at the same addresses.
row setup_spaces
    mv s2, ra
    mv s3, a1
    jal setup_numbers
    li t3, SATP_B
    csrw satp, t3
    sfence.vma
    li t0, 16
    li t1, 4096
1:  slli t2, t0, 20
    sd t2, (s3)
    add s3, s3, t1
    addi t0, t0, -1
    bnez t0, 1b
    li t3, SATP_A
    csrw satp, t3
    sfence.vma
    jr s2

row spaces
    li t1, 4096
    li a2, 0
    li t3, SATP_A
    li t4, SATP_B
1:  csrw satp, t4
    touch_16 a2
    csrw satp, t3
    touch_16 a2
    addi a0, a0, -1
    bnez a0, 1b
    mv a0, a2
    ret

row spaces_alone
    li t3, SATP_A
    li t4, SATP_B
1:  csrw satp, t4
    csrw satp, t3
    addi a0, a0, -1
    bnez a0, 1b
    csrr a0, satp
    ret

# 64 pages in turn lose their entry; the handler gives it back.
row faults
    la t0, s_fault
    csrw stvec, t0
    li s2, LEAF_4K
    li a2, 0
1:  andi t1, a0, 63
    slli t2, t1, 3
    add t2, t2, s2
    ld t3, (t2)
    xori t3, t3, 1
    sd t3, (t2)
    slli t1, t1, 12
    add t1, t1, a1
    sfence.vma t1, zero
    ld t0, (t1)
    add a2, a2, t0
    addi a0, a0, -1
    bnez a0, 1b
    mv a0, a2
    ret
    .balign 64
s_fault:
    csrr t6, stval
    srli t5, t6, 12
    andi t5, t5, 63
    slli t5, t5, 3
    add t5, t5, s2
    ld t4, (t5)
    ori t4, t4, 1
    sd t4, (t5)
    sfence.vma t6, zero
    sret

    .macro device_row name, op, address, times
    row \name
    li t1, \address
1:  .rept \times
    \op t0, (t1)
    .endr
    addi a0, a0, -1
    bnez a0, 1b
    ret
    .endm
    device_row device_uart, lbu, UART + 5, 4
    device_row device_clint, ld, MTIME, 4
    device_row device_plic, lw, PLIC_CLAIM, 4

# M-mode: an interrupt that is due as soon as it is asked for.
row timer
    la t0, 9f
    csrw mtvec, t0
    li t1, MTIMECMP
    li t2, -1
    sd t2, (t1)
    li t0, 1 << 7
    csrw mie, t0
    csrsi mstatus, 8
    li s2, 0
1:  mv t3, s2
    sd zero, (t1)
2:  beq s2, t3, 2b
    addi a0, a0, -1
    bnez a0, 1b
    csrci mstatus, 8
    mv a0, s2
    ret
    .balign 64
9:  sd t2, (t1)
    addi s2, s2, 1
    mret

# The same by the register that Linux uses.
row supervisor_timer
    la t0, 9f
    csrw stvec, t0
    li t2, -1
    csrw CSR_STIMECMP, t2
    li t0, 1 << 5
    csrw sie, t0
    csrsi sstatus, 2
    li s2, 0
1:  mv t3, s2
    csrw CSR_STIMECMP, zero
2:  beq s2, t3, 2b
    addi a0, a0, -1
    bnez a0, 1b
    csrci sstatus, 2
    mv a0, s2
    ret
    .balign 64
9:  csrw CSR_STIMECMP, t2
    addi s2, s2, 1
    sret

# Asleep for 20 microseconds at a time.
row sleeps
    li t1, MTIMECMP
    li t2, MTIME
    li t4, -1
    sd t4, (t1)
    li t0, 1 << 7
    csrw mie, t0
    mv s2, a0
1:  ld t3, (t2)
    addi t3, t3, 200
    sd t3, (t1)
2:  wfi
    csrr t0, mip
    andi t0, t0, 1 << 7
    beqz t0, 2b
    sd t4, (t1)
    addi a0, a0, -1
    bnez a0, 1b
    mv a0, s2
    ret

# One instruction of a function is written, fenced and run: addi t0, t0, N.
row patches
    mv s1, ra
    li t0, 0
    la t1, patched
    li t2, 0x28293
1:  andi t3, a0, 0x3ff
    slli t3, t3, 20
    or t3, t3, t2
    sw t3, (t1)
    fence.i
    jal patched
    addi a0, a0, -1
    bnez a0, 1b
    mv a0, t0
    jr s1
    .balign 4096
patched:
    addi t0, t0, 0
    ret
    .balign 4096

# The data lie in the page of the loop.
row stores_beside_code
    la t1, 9f
    li t0, 0
1:  .rept 4
    sd a0, (t1)
    .endr
    addi a0, a0, -1
    bnez a0, 1b
    ld a0, (t1)
    ret
    .balign 64
9:  .dword 0
    .balign 4096

# a1: base: 10 000 pages with a function each, which ran.
row setup_code_pages
    mv s2, ra
    mv s3, a1
    li s4, 10000
    li s5, 0x8067
    li s6, 0x13
    li s7, 4096
1:  sw s6, 0(s3)
    sw s5, 4(s3)
    add s3, s3, s7
    addi s4, s4, -1
    bnez s4, 1b
    fence.i
    mv s3, a1
    li s4, 10000
1:  jalr s3
    add s3, s3, s7
    addi s4, s4, -1
    bnez s4, 1b
    jr s2

# One of them is patched.
row patches_among_many
    mv s1, ra
    li t0, 0
    mv t1, a1
    li t2, 0x28293
1:  andi t3, a0, 0x3ff
    slli t3, t3, 20
    or t3, t3, t2
    sw t3, (t1)
    fence.i
    jalr t1
    addi a0, a0, -1
    bnez a0, 1b
    mv a0, t0
    jr s1
