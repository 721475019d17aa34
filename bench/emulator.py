# SPDX-License-Identifier: MIT
"""emulator - the programs that are measured: ours, and those that QEMU names."""
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

# The same instructions on both sides: what one side alone has is off.
CPUS = ('rv64,h=off,svvptc=off', 'rv64,h=off', 'rv64')


class Emulator:
    """A program, what to call it, and the CPU that it is asked for."""

    def __init__(self, program, name=None):
        self.program = shutil.which(program) or program
        self.name = name or self._version()
        self.cpu, self.isa = self._cpu()

    def _version(self):
        try:
            text = subprocess.run([self.program, '--version'], text=True, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        except OSError as error:
            sys.exit(f'bench: {self.program}: {error.strerror}')
        found = re.search(r'version (\d+(?:\.\d+)*)', text)
        return f'QEMU {found.group(1)}' if found else pathlib.Path(self.program).name

    def _cpu(self):
        """The first of CPUS that it knows, and the ISA string that its guest reads."""
        for cpu in CPUS:
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / 'dtb'
                done = subprocess.run([self.program, '-M', f'virt,dumpdtb={path}', '-cpu', cpu,
                                       '-nographic', '-bios', 'none'], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                if done.returncode == 0 and path.exists():
                    found = re.search(rb'(rv64ima\w+)\0', path.read_bytes())
                    return cpu, found.group(1).decode() if found else ''
        sys.exit(f'bench: {self.program} has no CPU of {", ".join(CPUS)}')

    def machine(self, memory):
        """The command line that is the same for all."""
        return [self.program, '-M', 'virt', '-cpu', self.cpu, '-m', memory, '-smp', '1',
                '-nographic', '-no-reboot']


def all_of(build):
    """Ours first, then what QEMU in the environment lists, else the tests' oracle."""
    build = pathlib.Path(build)
    theirs = shlex.split(os.environ.get('QEMU', '')) or [
        str(build / 'oracle' / 'qemu-system-riscv64')]
    ours = os.environ.get('PROGRAM', str(build / 'softmmu-system-riscv64'))
    emulators = [Emulator(ours, 'ours'), *map(Emulator, theirs)]
    names = [emulator.name for emulator in emulators]
    for number, emulator in enumerate(emulators):
        if names.count(emulator.name) > 1:
            emulator.name = f'{emulator.name} ({number})'
    return emulators
