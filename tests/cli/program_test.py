#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""program_test - the program as its user types it: bad input, probes, exit codes.

    tests/cli/program_test.py BUILD

Bad input gives one line that names the culprit, exit status 1, and nothing created.
"""
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(sys.argv[1]).resolve()
PROGRAM = str(BUILD / 'softmmu-system-riscv64')
wrong = []


def run(*arguments, program=PROGRAM, cwd=None, text=b''):
    done = subprocess.run([program, *arguments], cwd=cwd, input=text, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return done.returncode, done.stdout.decode(errors='replace'), done.stderr.decode(errors='replace')


def refuses(pattern, *arguments):
    """One line on standard error that matches @pattern, status 1."""
    with tempfile.TemporaryDirectory() as empty:
        status, out, err = run(*arguments, cwd=empty)
        lines = err.strip().splitlines()
        if status != 1 or len(lines) != 1 or not re.search(pattern, err) or out:
            wrong.append(f'{arguments}: status {status}, said {err!r} {out!r}, not {pattern!r}')
        elif not lines[0].startswith('softmmu-system-riscv64: '):
            wrong.append(f'{arguments}: the line does not begin with the program: {err!r}')
        if os.listdir(empty):
            wrong.append(f'{arguments}: created {os.listdir(empty)}')


def says(pattern, *arguments, program=PROGRAM):
    status, out, err = run(*arguments, program=program)
    if status or not re.search(pattern, out, re.M):
        wrong.append(f'{arguments}: status {status}, said {out!r} {err!r}, not {pattern!r}')


def elf(machine=243, entry=0x80000000, address=0x80000000, code=b'\x6f\0\0\0', size=None, offset=120):
    header = struct.pack('<16sHHIQQQIHHHHHH', b'\x7fELF\x02\x01\x01', 2, machine, 1, entry, 64, 0, 0,
                         64, 56, 1, 0, 0, 0)
    segment = struct.pack('<IIQQQQQQ', 1, 5, offset, address, address,
                          len(code) if size is None else size,
                          len(code) if size is None else size, 4096)
    return header + segment + code


def names_code(kernel, translates):
    """-perfmap writes a file of the running process, of code that may be executed."""
    child = subprocess.Popen([PROGRAM, '-M', 'virt', '-nographic', '-bios', 'none', '-kernel', kernel,
                              '-accel', 'tcg,jit-heat=1', '-perfmap'], stdin=subprocess.PIPE,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    path = pathlib.Path(f'/tmp/perf-{child.pid}.map')
    text = maps = ''
    try:
        for _ in range(100):
            time.sleep(0.1)
            if not translates or child.poll() is not None:
                break
            text = path.read_text() if path.exists() else ''
            if 'guest-' in text:
                maps = pathlib.Path(f'/proc/{child.pid}/maps').read_text()
                break
        _, err = child.communicate(b'\x01x', 10)
        if child.returncode or translates == (b'-perfmap has no effect' in err):
            wrong.append(f'-perfmap: status {child.returncode}: {err}')
        if path.exists() != translates:
            wrong.append(f'-perfmap: {path} exists: {path.exists()}')
    finally:
        child.kill()
        path.unlink(missing_ok=True)
    runs = [(int(a, 16), int(b, 16)) for a, b in re.findall(r'^([0-9a-f]+)-([0-9a-f]+) r-x', maps, re.M)]
    lines = text.splitlines()
    for line in lines:
        match = re.fullmatch(r'([0-9a-f]+) ([0-9a-f]+) (?:thunk-[a-z-]+|guest-0x[0-9a-f]+)', line)
        if not match:
            wrong.append(f'-perfmap: a line {line!r}')
            continue
        first, size = (int(text, 16) for text in match.groups())
        if not size or not any(a <= first and first + size <= b for a, b in runs):
            wrong.append(f'-perfmap: {line!r} is not of executable memory: {maps}')
    if translates and not any(line.endswith(' guest-0x80000000') for line in lines):
        wrong.append(f'-perfmap: the guest is not in {text!r}')


def main():
    with tempfile.TemporaryDirectory() as folder:
        def file(name, data):
            path = os.path.join(folder, name)
            pathlib.Path(path).write_bytes(data)
            return path

        bare = ('-M', 'virt', '-nographic', '-bios', 'none')
        refuses(r"nowhere", *bare, '-kernel', '/nowhere/kernel')
        refuses(r"x86", *bare, '-kernel', file('x86', elf(machine=62)))
        refuses(r"short", *bare, '-kernel', file('short', elf()[:70]))
        refuses(r"beyond", *bare, '-kernel', file('beyond', elf(size=1 << 30)))
        refuses(r"outside", *bare, '-kernel', file('outside', elf(address=0x40000000)))
        refuses(r"big", *bare, '-m', '16M', '-kernel', file('big', b'\0' * (17 << 20)))
        refuses(r"initrd", *bare, '-kernel', file('good', elf()), '-initrd', '/nowhere/initrd')
        refuses(r"dtb|nowhere", *bare, '-dtb', '/nowhere/dtb')
        refuses(r"junk", *bare, '-dtb', file('junk', b'no device tree'))
        refuses(r"nowhere", '-nographic', '-bios', '/nowhere/bios')
        refuses(r"0", *bare, '-m', '0')
        refuses(r"9999999999999", *bare, '-m', '9999999999999G')
        refuses(r"-m|memory|size|banana", *bare, '-m', 'banana')
        refuses(r"-bogus: invalid option", '-bogus')
        refuses(r"requires an argument", '-kernel')
        refuses(r"unsupported machine type", '-M', 'pdp11')
        refuses(r"bogus", '-M', 'virt,bogus=on')
        refuses(r"z80", '-M', 'virt', '-cpu', 'z80')
        refuses(r"bogus", '-M', 'virt', '-cpu', 'rv64,bogus=on')
        refuses(r"'v'|\bv\b|vector", '-M', 'virt', '-cpu', 'rv64,v=on')
        refuses(r"is not a valid device model name", *bare, '-device', 'floppy')
        refuses(r"drive", *bare, '-device', 'virtio-blk-device')
        refuses(r"none-such", *bare, '-device', 'virtio-blk-device,drive=none-such')
        refuses(r"Could not open '/nowhere/disk'", *bare,
                '-drive', 'file=/nowhere/disk,if=none,format=raw,id=d')
        refuses(r"qcow2", *bare, '-drive', 'file=x,if=none,format=qcow2,id=d')
        refuses(r"smp|CPU|number", *bare, '-smp', '0')
        refuses(r"512", *bare, '-smp', '5000')
        refuses(r"serial|bogus", *bare, '-serial', 'bogus')

        # What scripts probe.
        says(r'^softmmu-system-riscv64', '-version')
        says(r'^softmmu-system-riscv64', '--version')
        says(r'^virt +RISC-V VirtIO board', '-M', 'help')
        says(r'RISC-V VirtIO board', '-machine', '?')
        says(r'^ *rv64', '-cpu', 'help')
        says(r'virtio-blk-device', '-device', 'help')
        says(r'-kernel', '-help')
        alias = os.path.join(folder, 'qemu-system-riscv64')
        os.symlink(PROGRAM, alias)
        says(r'\AQEMU emulator version 9\.2\.', '--version', program=alias)

        # dumpdtb writes the file and ends with 0.
        dtb = os.path.join(folder, 'virt.dtb')
        status, _, err = run('-machine', f'virt,dumpdtb={dtb}', '-nographic')
        if status or pathlib.Path(dtb).read_bytes()[:4] != b'\xd0\x0d\xfe\xed':
            wrong.append(f'dumpdtb: status {status}: {err}')

        # dump-mtree writes what is kept, and the same as JSON; a name may be a pipe's.
        kept = (pathlib.Path(__file__).resolve().parent / 'virt.mtree').read_text()
        mtree = os.path.join(folder, 'virt.mtree')
        status, _, err = run('-machine', f'virt,dump-mtree={mtree}', '-bios', 'none', '-nographic')
        if status or pathlib.Path(mtree).read_text() != kept:
            wrong.append(f'dump-mtree: status {status}: {err}, or not what tests/cli/virt.mtree has')
        status, out, err = run('-machine', 'virt,dump-mtree=/dev/stdout', '-bios', 'none', '-nographic')
        if status or out != kept:
            wrong.append(f'dump-mtree to a pipe: status {status}: {err}')
        status, _, err = run('-machine', f'virt,dump-mtree={mtree}.json', '-bios', 'none', '-nographic')
        document = json.loads(pathlib.Path(f'{mtree}.json').read_text())
        sections = [f"  {int(s['first'], 16):016x}-{int(s['last'], 16):016x} ({s['kind']}): {s['name']} "
                    f"@{int(s['offset'], 16):016x}" + (' [readonly]' if s['readonly'] else '')
                    for view in document['views'] for s in view['sections']]
        if status or sections != kept[kept.index('flat-view'):].splitlines()[1:]:
            wrong.append(f'dump-mtree as JSON: status {status}: {err}: {sections}')
        says(r'^answer: serial \(io\) @0{15}5$', '-machine', 'virt,explain=0x10000005', '-bios', 'none')
        says(r'^hole: 0000000010008200-000000007fffffff$', '-machine', 'virt,explain=0x10008200', '-bios', 'none')
        refuses(r"explain=here: Parameter 'explain' expects integer", '-machine', 'virt,explain=here')
        refuses(r'memory map to file /nowhere/map: No such', *bare, '-machine', 'dump-mtree=/nowhere/map')

        # Exit codes of the finisher: lui t0,0x100; li t1,X; sw t1,0(t0).
        def finisher(word):
            high = (word + 0x800) & 0xfffff000
            low = (word - high) & 0xfff
            code = struct.pack('<IIIII', 0x001002b7, 0x337 | high, 0x0003031b | low << 20,
                               0x0062a023, 0x0000006f)
            return file('finisher', elf(code=code))
        for word, expected in ((0x5555, 0), (0x00073333, 7), (0x002a3333, 42)):
            status, _, err = run(*bare, '-kernel', finisher(word))
            if status != expected:
                wrong.append(f'finisher {word:#x}: status {status}, not {expected}: {err}')
        status, _, err = run(*bare, '-no-reboot', '-kernel', finisher(0x7777))
        if status:
            wrong.append(f'finisher reset with -no-reboot: status {status}: {err}')

        # What is translated is written down where -d and -D say.
        loop = finisher(0x5555)
        refuses(r"Could not open '/nowhere/log': No such", *bare, '-d', 'in_asm', '-D', '/nowhere/log')
        log = os.path.join(folder, 'log')
        hot = ('-accel', 'tcg,jit-heat=1', '-kernel', loop)
        status, _, err = run(*bare, *hot, '-d', 'in_asm,op,out_asm,exec,nochain', '-D', log)
        text = pathlib.Path(log).read_text()
        if status or err:
            wrong.append(f'-d: status {status}: {err}')
        translates = 'units translated: ' in run(*bare, *hot, '-stats')[2]
        if translates:
            for pattern in (r'^IN: hart 0, priv 3$', r'^0x0000000080000000:  001002b7  lui t0, 0x100$',
                            r'^OP:$', r'^OUT: \[size=\d+\]$', r'^Trace 0: 0x[0-9a-f]+ \[0000000080000000\]$'):
                if not re.search(pattern, text, re.M):
                    wrong.append(f'-d: no line {pattern} in {text}')
        status, _, err = run(*bare, *hot, '-d', 'in_asm')
        if status or translates != ('lui t0, 0x100' in err):
            wrong.append(f'-d to standard error: status {status}: {err}')
        status, _, err = run(*bare, '-accel', 'tcg,jit=off', '-kernel', loop, '-d', 'in_asm')
        if status or err:
            wrong.append(f'-d with jit=off: status {status}: {err}')

        names_code(file('loop', elf()), translates)

        # Who asks for translation is told where there is none.
        if not translates:
            no_effect = r'has no effect: guest code is interpreted \(there is no translator for this host\)'
        else:
            no_effect = r'\A\Z'
        for asked in ('jit=on', 'jit-gdb=on'):
            status, _, err = run(*bare, '-accel', f'tcg,{asked}', '-kernel', loop)
            if status or not re.search(no_effect, err) or err.count('\n') > 1:
                wrong.append(f'{asked}: status {status}: {err}')
        for asked, why in (('jit=off,jit-gdb=on', 'jit=off'), ('jit=on,tlb-check=report', 'translations are checked'),
                           ('jit=on,code-check=immediate', 'code-check=immediate')):
            status, _, err = run(*bare, '-accel', f'tcg,{asked}', '-kernel', loop)
            if status or (translates and f'interpreted ({why})' not in err) or err.count('\n') != 1:
                wrong.append(f'{asked}: status {status}: {err}')
        status, _, err = run(*bare, '-kernel', loop)
        if status or err:
            wrong.append(f'without any option: status {status}: {err}')

        # A guest that changes an instruction it has executed, and executes it again: a
        # report and, of tlb-check=stop, exit status 3; nothing after a FENCE.I.
        def changes_code(fence):
            return file('code', elf(code=struct.pack(
                '<16I', 0x00000297, 0x02c000ef, 0x03c2a303, 0x0262a823,  # auipc jal lw sw
                fence, 0x01c000ef, 0x00100537, 0x000055b7,               # ... jal lui lui
                0x55558593, 0x00b52023, 0x0000006f, 0x00000013,          # addi sw j nop
                0x00200793, 0x00008067, 0x00000013, 0x00300793)))        # addi ret nop addi
        nop, fence_i = 0x00000013, 0x0000100f
        for mode, fence, expected, pattern in (
                ('report', nop, 0, r'stale code: fetch from 0x80000030 at pc 0x80000030'),
                ('report', nop, 0, r'written by:  hart 0 at pc 0x8000000c'),
                ('stop', nop, 3, r'fence due:   fence.i on hart 0'),
                ('stop,tlb-check-json=on', nop, 3, r'^\{"kind":"own-code","certain":true.*\}$'),
                ('stop,tlb-stale=on', nop, 3, r'runs:        0x00200793'),
                ('stop', fence_i, 0, r'\A\Z'), ('off', nop, 0, r'\A\Z')):
            status, _, err = run(*bare, '-accel', f'tcg,tlb-check={mode}',
                                 '-kernel', changes_code(fence))
            if status != expected or not re.search(pattern, err, re.M):
                wrong.append(f'tlb-check={mode}: status {status}, not {expected}: {err}')

        # A guest in a hopeless loop ends with Ctrl-A x; so does one that floods the UART.
        flood = struct.pack('<IIII', 0x100002b7, 0x04100313, 0x00628023, 0xffdff06f)
        nowhere = struct.pack('<II', 0x00000297, 0x00000067)  # jumps to 0 and traps for ever
        rom = struct.pack('<III', 0x000012b7, 0x0052b023, 0x0000006f)
        for name, code in (('flood', flood), ('nowhere', nowhere), ('rom', rom)):
            kernel = file(name, elf(code=code))
            child = subprocess.Popen([PROGRAM, *bare, '-kernel', kernel], stdin=subprocess.PIPE,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            try:
                subprocess.run(['sleep', '0.5'], check=True)
                child.stdin.write(b'\x01x')
                child.stdin.flush()
                child.wait(10)
                if child.returncode:
                    wrong.append(f'{name}: Ctrl-A x ended with {child.returncode}')
            except subprocess.TimeoutExpired:
                child.kill()
                wrong.append(f'{name}: Ctrl-A x did not end it')

    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)


main()
