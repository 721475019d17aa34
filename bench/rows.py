# SPDX-License-Identifier: MIT
"""rows - the list of what is measured: name, what it is, and its target.

A target is the largest share of QEMU's time that ours may take.  No row is ever removed.
"""
import dataclasses

WINDOW_4K, WINDOW_2M, DATA = 0x1_0000_0000, 0x1_4000_0000, 0x9000_0000
KIB, MIB = 1 << 10, 1 << 20
MACHINE, SUPERVISOR, SUPERVISOR_TIMER = 0, 1, 2
FROM_USER, PAGE_FAULTS = 1 << 8, 1 << 12 | 1 << 13 | 1 << 15


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the bare-metal suite.

    @run @setup   labels in bench/bare
    @args         a1 to a3 of both
    @per          operations in one iteration
    @most         iterations that memory allows, or 0
    """
    name: str
    what: str
    run: str
    target: float = 1.0
    setup: str = ''
    args: tuple = ()
    per: int = 1
    mode: int = SUPERVISOR
    medeleg: int = 0
    most: int = 0


@dataclasses.dataclass(frozen=True)
class Work:
    """One row of Debian: a boot's moment, or a job.

    @run      the job's command for bash
    @prepare  what is done before, untimed
    @check    prints what must be the same everywhere, untimed; else the job's own output is
    @native   whether the host runs the same
    """
    name: str
    what: str
    target: float = 1.0
    section: str = 'debian'
    run: str = ''
    prepare: str = ''
    check: str = ''
    native: bool = False


def size(number):
    return f'{number // MIB} MiB' if number >= MIB else f'{number // KIB} KiB'


def footprints(pages, base, sizes):
    for bytes_ in sizes:
        yield Row(f'load-{pages}-{size(bytes_).replace(" ", "")}',
                  f'dependent loads through {size(bytes_)}, {pages} pages', 'chain',
                  0.7 if (pages, bytes_) in ((('4K'), 4 * KIB), ('4K', 64 * MIB)) else 1.0,
                  'setup_chain', (base, bytes_), 8)


def stores(pages, base, sizes):
    for bytes_ in sizes:
        yield Row(f'store-{pages}-{size(bytes_).replace(" ", "")}',
                  f'scattered stores into {size(bytes_)}, {pages} pages', 'scattered_stores',
                  setup='setup_touched', args=(base, bytes_), per=4)


BARE = [
    Row('integer', 'integer loop, an instruction', 'integers', 0.8, per=10),
    Row('multiply-divide', 'multiplications and divisions, an instruction', 'multiply_divide', per=9),
    Row('branches', 'branches without a pattern, a branch', 'branches', per=4),
    *footprints('4K', WINDOW_4K, (4 * KIB, 64 * KIB, MIB, 16 * MIB, 64 * MIB, 512 * MIB)),
    *footprints('2M', WINDOW_2M, (4 * KIB, 64 * MIB, 512 * MIB)),
    *stores('4K', WINDOW_4K, (4 * KIB, MIB, 64 * MIB, 512 * MIB)),
    *stores('2M', WINDOW_2M, (64 * MIB, 512 * MIB)),
    Row('load-one-base', 'loads off one base', 'one_base_loads', 0.5, 'setup_words', (WINDOW_4K,), 8),
    Row('store-one-base', 'stores off one base', 'one_base_stores', 1.0, 'setup_base_stores',
        (WINDOW_4K,), 8),
    Row('load-unaligned', 'unaligned loads inside a page', 'unaligned_loads', 1.0, 'setup_words',
        (WINDOW_4K,), 8),
    Row('load-crossing', 'loads over the end of a page', 'crossing_loads', 1.0, 'setup_words',
        (WINDOW_4K,), 3),
    Row('store-crossing', 'stores over the end of a page', 'crossing_stores', 1.0, 'setup_words',
        (WINDOW_4K,), 3),
    Row('copy-4K', 'copy of 4 KiB', 'copies', 1.0, 'setup_copies', (WINDOW_4K, WINDOW_4K + 0x5000, 4 * KIB)),
    Row('copy-1M', 'copy of 1 MiB', 'copies', 1.0, 'setup_copies',
        (WINDOW_4K, WINDOW_4K + 0x345000, MIB)),
    Row('copy-aliased', 'copy of 8 KiB to a distance of 16 MiB', 'copies', 1.0, 'setup_copies',
        (WINDOW_4K, WINDOW_4K + 16 * MIB, 8 * KIB)),
    Row('call-near', 'call and return inside a page', 'calls_near', 0.3, per=4),
    Row('call-far', 'call and return into another page', 'calls_far', 0.3, per=4),
    Row('recursion', "Fibonacci's number of 12, a call", 'recursion', per=465),
    Row('indirect-1', 'indirect call, one target', 'indirect_one', per=4),
    Row('indirect-4', 'indirect call, four targets in turn', 'indirect_four'),
    Row('amo', 'atomic memory operation', 'amo', args=(WINDOW_4K,), per=4),
    Row('lr-sc', 'LR and SC, a pair', 'lr_sc', args=(WINDOW_4K,)),
    Row('fence-memory', 'FENCE RW, RW', 'fences_memory', per=8),
    Row('float-add', 'dependent FADD.D', 'float_add', 0.4, 'setup_floats', per=8),
    Row('float-multiply', 'dependent FMUL.D', 'float_multiply', 1.0, 'setup_floats', per=8),
    Row('float-fused', 'dependent FMADD.D', 'float_fused', 1.0, 'setup_floats', per=8),
    Row('float-divide', 'dependent FDIV.D', 'float_divide', 1.0, 'setup_floats', per=8),
    Row('float-root', 'FSQRT.D and FADD.D, a pair', 'float_root', 1.0, 'setup_floats', per=4),
    Row('float-single', 'dependent FADD.S', 'float_single', 1.0, 'setup_floats', per=8),
    Row('float-convert', 'to floating point, multiplied, compared and back', 'float_convert', 1.0,
        'setup_floats', per=2),
    Row('csr-read', 'CSRR of sscratch', 'csr_read', per=8),
    Row('csr-write', 'CSRW of sscratch', 'csr_write', per=8),
    Row('csr-status', 'interrupts off and on in sstatus, a pair', 'csr_status', per=4),
    Row('time', 'RDTIME', 'read_time', per=4),
    Row('ecall-u-s', 'ECALL from U-mode to S-mode and back', 'calls_to_system', 0.2, per=4,
        medeleg=FROM_USER),
    Row('ecall-u-m', 'ECALL from U-mode to M-mode and back', 'calls_to_system', 0.2, per=4),
    Row('ecall-s-m', 'ECALL from S-mode to M-mode and back', 'calls_to_firmware', 0.2, per=4),
    Row('fence-all', 'SFENCE.VMA of all', 'fences_all', 0.1, per=4),
    Row('fence-page', 'SFENCE.VMA of a page', 'fences_page', 0.1, args=(WINDOW_4K,), per=4),
    Row('tlb-miss', 'load of a page after a fence of all, 512 pages', 'misses', 0.2, 'setup_numbers',
        (WINDOW_4K,), 512),
    Row('switch-16', 'switch of address space, 16 pages touched in each', 'spaces', 0.1, 'setup_spaces',
        (WINDOW_4K,), 2),
    Row('switch', 'switch of address space alone', 'spaces_alone', 1.0, 'setup_spaces', (WINDOW_4K,), 2),
    Row('page-fault', 'page fault that its handler mends', 'faults', 1.0, 'setup_numbers', (WINDOW_4K,),
        medeleg=PAGE_FAULTS),
    Row('mmio-uart', "read of the UART's line status", 'device_uart', 0.3, per=4),
    Row('mmio-clint', "read of the ACLINT's mtime", 'device_clint', 0.3, per=4),
    Row('mmio-plic', "read of the PLIC's claim register", 'device_plic', 0.3, per=4),
    Row('timer-m', 'timer interrupt in M-mode', 'timer', mode=MACHINE),
    Row('timer-s', 'timer interrupt in S-mode', 'supervisor_timer', mode=SUPERVISOR_TIMER),
    Row('sleep', 'WFI for 20 microseconds', 'sleeps', mode=MACHINE),
    Row('fence-i', 'FENCE.I alone', 'fences_i', per=4),
    Row('patch', 'instruction written, FENCE.I, called', 'patches', 0.2),
    Row('patch-many', 'the same beside 10 000 pages of code', 'patches_among_many', 0.2,
        'setup_code_pages', (WINDOW_4K,)),
    Row('store-by-code', 'store into the page of the running loop', 'stores_beside_code', per=4),
    Row('cold', '100 000 instructions that run once, an instruction', 'cold', 0.25, 'setup_cold',
        per=100_000, most=1300),
]

BOOT = [
    Work('boot', 'Debian, start to the shell', 0.6, 'boot'),
    Work('power-off', 'Debian, start to power off with its own checks', 1.0, 'boot'),
    Work('resident', 'peak resident memory of the same', 1.0, 'boot'),
]

DEBIAN_MEAN = 0.5  # of QEMU's time, the geometric mean of the programs


def stress(name, operations, options=''):
    """A stressor of stress-ng with a fixed number of operations, verified by itself."""
    return Work(f'stress-{name}', f'stress-ng {name}, {operations} operations', run=(
        f'stress-ng --verify --seed 1 --timeout 900 --{name} 1 --{name}-ops {operations} '
        f'{options} --metrics-brief').replace('  ', ' '))


DEBIAN = [
    Work('gcc', 'gcc -O2 of a generated file', run='gcc -O2 -c made.c -o made.o',
         prepare=r"""awk 'BEGIN { for (i = 0; i < 12; i++) {
            printf "long f%d(long *a, long n) {\n long s = %d;\n for (long i = 0; i < n; i++) {\n", i, i
            for (j = 0; j < 8; j++) printf "  if (a[i] %% %d > %d) s += a[i] * %d; else s ^= a[n - 1 - i] >> %d;\n",
                3 + (i * 7 + j * 5) % 61, j, i + j, (i + j) % 13
            printf " }\n return s;\n}\n" } }' >made.c""", check='sha256sum <made.o'),
    Work('python', 'python3: a dictionary, strings and numbers', run='python3 made.py',
         prepare=r"""cat >made.py <<'END'
words = {}
total = 0
for i in range(250000):
    key = 'w%d' % (i * 7919 % 10007)
    words[key] = words.get(key, 0) + i
    total = (total * 31 + len(key) ^ i) & 0xffffffff
print(total, sum(words.values()), sum(sorted(words.values())[::3]))
END"""),
    Work('perl', 'perl: regular expressions and a hash', run='perl made.pl',
         prepare=r"""cat >made.pl <<'END'
my (%seen, $sum);
for my $i (1 .. 120000) {
    my $line = "item " . ($i * 7919 % 10007) . " of $i";
    if ($line =~ /^(\w+) (\d+) of (\d*7)$/) { $seen{$2} += $3; }
    $line =~ s/(\d)(\d)/$2$1/g;
    $sum = ($sum * 33 + length($line) + ord(substr($line, 6, 1))) % 1000000007;
}
print $sum, " ", scalar(keys %seen), "\n";
END"""),
    Work('7z', '7z: LZMA of 8 MB of text', run=
         '7z a none -txz -mx=3 -mmt=1 -si -so <text 2>7z.log | sha256sum', prepare='need_text'),
    Work('openssl', 'openssl: SHA-256 of 128 MiB', run='openssl dgst -sha256 zeros',
         prepare='truncate -s 128M zeros'),
    Work('sort', 'sort of 400 000 lines', run="sort -k2,2r -k1,1n text text | sha256sum", prepare='need_text'),
    Work('fork', '300 times fork and exec', run=
         'for i in {1..300}; do /usr/bin/true || break; done; echo $i'),
    stress('vm', 60000, '--vm-bytes 16m --vm-method incdec'),
    stress('fault', 3000),
    stress('switch', 30000),
    stress('mmap', 24, '--mmap-bytes 16m'),
    stress('pipe', 60000),
    stress('matrix', 200, '--matrix-method prod'),
    *(Work(f'kernel-{name}', what, 1.0, 'kernels', f'./kernels {name} {times}', 'need_kernels', native=True)
      for name, what, times in (
          ('integers', 'product of integer matrices', 1000),
          ('doubles', 'product of matrices of doubles', 300),
          ('bodies', 'five bodies under gravity', 600000),
          ('hash', 'rounds of SHA-256 in C', 900),
          ('machine', 'an interpreter of byte code', 80),
          ('fibonacci', "Fibonacci's numbers by recursion", 38),
          ('sorting', 'quicksort with a callback', 60),
          ('lists', 'lists in a scattered order', 100))),
]
