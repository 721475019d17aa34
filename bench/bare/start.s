# SPDX-License-Identifier: MIT
# start.s - enters one row of the bare-metal suite and tells the host when it begins and ends.
#
# The host writes the row into the header (bench/bare.py).  Between the lines "begin" and
# "end CHECKSUM" on the UART only the row runs.  A row finds its number of iterations in
# a0 and its arguments in a1 to a3, and returns its checksum in a0.  It may use every
# register but s10, s11 and sp.  Without a device tree, firmware or anything else.

    .option norvc
    .option norelax

    .equ UART, 0x10000000
    .equ FINISHER, 0x100000
    .equ CSR_MENVCFG, 0x30a     # this assembler may be older than the name
    .equ RAM, 0x80000000
    .equ TABLES, 0x80800000     # page tables; below 16 MiB all is mapped by 4 KiB pages
    .equ DATA, 0x90000000       # 512 MiB for the rows
    .equ DATA_PAGES, 131072
    .equ WINDOW_4K, 0x100000000 # DATA by 4 KiB pages in a scattered order
    .equ WINDOW_2M, 0x140000000 # DATA by 2 MiB pages
    .equ USER, 0x180000000      # the first 16 MiB of RAM, for U-mode

    .equ ROOT_A, TABLES
    .equ ROOT_B, TABLES + 0x1000
    .equ MID_RAM, TABLES + 0x2000
    .equ MID_4K, TABLES + 0x3000
    .equ MID_2M, TABLES + 0x4000
    .equ MID_USER, TABLES + 0x5000
    .equ MID_B, TABLES + 0x6000
    .equ LEAF_RAM, TABLES + 0x10000
    .equ LEAF_USER, TABLES + 0x20000
    .equ LEAF_B, TABLES + 0x30000
    .equ LEAF_4K, TABLES + 0x100000

    .equ LEAF, 0xcf             # V R W X A D
    .equ LEAF_U, 0xdf
    .equ POINTER, 1
    .equ SATP_A, (8 << 60) | (1 << 44) | (ROOT_A >> 12)
    .equ SATP_B, (8 << 60) | (2 << 44) | (ROOT_B >> 12)

    .equ END_CALL, 99           # a7 of the environment call that ends a row in U-mode

    .macro row name
    .balign 64
    .globl \name
\name:
    .endm

    .text
    .globl _start
_start:
    j begin
    .balign 8
    .globl header
header:
h_setup:   .dword 0             # called before the line "begin", or 0
h_run:     .dword 0
h_count:   .dword 0
h_a1:      .dword 0
h_a2:      .dword 0
h_a3:      .dword 0
h_mode:    .dword 0             # 0: M-mode; 1: S-mode under Sv39; 2: with its own timer, too
h_medeleg: .dword 0

begin:
    csrw mie, zero
    la sp, stack_top
    la t0, m_trap
    csrw mtvec, t0
    li t0, -1
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0
    li t0, 7
    csrw mcounteren, t0
    csrw scounteren, t0
    ld t0, h_medeleg
    csrw medeleg, t0
    li t0, 1 << 13              # the FPU
    csrs mstatus, t0
    ld t0, h_mode
    beqz t0, stage
    addi t0, t0, -1
    beqz t0, 1f
    li t0, 1 << 63
    csrs CSR_MENVCFG, t0
    li t0, 1 << 5
    csrw mideleg, t0
1:  jal make_tables
    li t0, SATP_A
    csrw satp, t0
    sfence.vma
    li t0, 3 << 11
    csrc mstatus, t0
    li t0, 1 << 11
    csrs mstatus, t0
    la t0, stage
    csrw mepc, t0
    mret

stage:
    ld s11, h_setup
    beqz s11, 1f
    jal arguments
    jalr s11
1:  la a0, text_begin
    jal print
    ld s11, h_run
    jal arguments
    jalr s11

# a0: the checksum.  Any mode in which the devices can be reached.
finish:
    mv s10, a0
    la a0, text_end
    jal print
    mv a0, s10
    jal print_hex
    li t0, FINISHER
    li t1, 0x5555
    sw t1, (t0)
1:  j 1b

arguments:
    ld a0, h_count
    ld a1, h_a1
    ld a2, h_a2
    ld a3, h_a3
    ret

print:
    li t0, UART
1:  lbu t1, (a0)
    beqz t1, 2f
    sb t1, (t0)
    addi a0, a0, 1
    j 1b
2:  ret

print_hex:
    li t0, UART
    li t1, 60
1:  srl t2, a0, t1
    andi t2, t2, 15
    sltiu t3, t2, 10
    bnez t3, 2f
    addi t2, t2, 39
2:  addi t2, t2, 48
    sb t2, (t0)
    addi t1, t1, -4
    bgez t1, 1b
    li t2, 10
    sb t2, (t0)
    ret

# Environment calls are counted in s1 and returned from; anything else is told and ends the run.
    .balign 64
m_trap:
    csrr t6, mcause
    addi t6, t6, -8
    srli t5, t6, 1              # 8 and 9: from U and S
    bnez t5, 1f
    bnez a7, 2f
    csrr t6, mepc
    addi t6, t6, 4
    csrw mepc, t6
    addi s1, s1, 1
    mret
2:  mv a0, s1
    j finish
1:  la a0, text_trap
    jal print
    csrr a0, mcause
    jal print_hex
    csrr a0, mepc
    jal print_hex
    csrr a0, mtval
    jal print_hex
    li t0, FINISHER
    li t1, 0x13333
    sw t1, (t0)
1:  j 1b

text_begin: .asciz "begin\n"
text_end:   .asciz "end "
text_trap:  .asciz "trap "
    .balign 8

# a0: table, a1: its first entry's physical address, a2: entries, a3: bytes each, a4: flags
fill_table:
    srli a1, a1, 2
    or a1, a1, a4
    srli a3, a3, 2
1:  sd a1, (a0)
    add a1, a1, a3
    addi a0, a0, 8
    addi a2, a2, -1
    bnez a2, 1b
    ret

    .macro fill table, address, entries, step, flags
    li a0, \table
    li a1, \address
    li a2, \entries
    li a3, \step
    li a4, \flags
    jal fill_table
    .endm

    .macro entry table, index, address, flags
    li t0, \table + 8 * \index
    li t1, (\address >> 2) | \flags
    sd t1, (t0)
    .endm

make_tables:
    mv s11, ra
    entry ROOT_A, 0, 0, LEAF    # devices
    entry ROOT_A, 2, MID_RAM, POINTER
    entry ROOT_A, 4, MID_4K, POINTER
    entry ROOT_A, 5, MID_2M, POINTER
    entry ROOT_A, 6, MID_USER, POINTER
    entry ROOT_B, 0, 0, LEAF
    entry ROOT_B, 2, MID_RAM, POINTER
    entry ROOT_B, 4, MID_B, POINTER
    fill MID_RAM, RAM, 512, 0x200000, LEAF
    fill MID_RAM, LEAF_RAM, 8, 4096, POINTER
    fill LEAF_RAM, RAM, 4096, 4096, LEAF
    fill MID_USER, LEAF_USER, 8, 4096, POINTER
    fill LEAF_USER, RAM, 4096, 4096, LEAF_U
    fill MID_4K, LEAF_4K, 256, 4096, POINTER
    fill MID_2M, DATA, 256, 0x200000, LEAF
    fill MID_B, LEAF_B, 1, 4096, POINTER
    fill LEAF_B, DATA + 0x10000000, 512, 4096, LEAF
    # Neighbours in the window are none in memory, as in a system that has run for a while.
    li t0, LEAF_4K
    li t1, 0
    li t2, DATA_PAGES
    li t3, 40503
    li t4, (DATA >> 2) | LEAF
1:  mul t5, t1, t3
    addi t6, t2, -1
    and t5, t5, t6
    slli t5, t5, 10
    add t5, t5, t4
    sd t5, (t0)
    addi t0, t0, 8
    addi t1, t1, 1
    bne t1, t2, 1b
    mv ra, s11
    ret

    .balign 16
    .space 4096
stack_top:
