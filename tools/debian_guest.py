#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""debian_guest - boots Debian's own programs (tools/guest-disk) and runs jobs in it.

    tools/debian_guest.py BUILD [further options of the machine]    to a shell

    sys.path.insert(0, 'tools'); from debian_guest import run
    run([PROGRAM], BUILD, 'job sum sha256sum /usr/bin/gcc')

Jobs are a script for bash that calls `job NAME COMMAND...` (guest/debian-init).  They
reach the guest inside its initrd, so that a new job needs no new disk.
"""
import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
MARKER = re.compile(r'softmmu: (begin|end|alive|jobs|done)\b *(.*)')


@dataclasses.dataclass
class Job:
    """One job as the guest told of it."""
    status: int = -1      # of the command; -1: it never ended
    seconds: float = 0.0  # by the guest's clock
    wall: float = 0.0     # by the host's, between the two lines
    output: str = ''


@dataclasses.dataclass
class Result:
    """A boot: what it said, how it ended, and its jobs by name."""
    log: str = ''
    status: int = -1
    stalled: bool = False
    done: bool = False    # the guest says that all jobs ended
    jobs: dict = dataclasses.field(default_factory=dict)
    drift: float = 0.0    # most by which a heartbeat came late by the host's clock


def archive(files):
    """@files, a dict of path: (mode, bytes), as the kernel unpacks them: newc."""
    out = bytearray()
    entries = [(path, mode, data) for path, (mode, data) in files.items()]
    for number, (path, mode, data) in enumerate(entries + [('TRAILER!!!', 0, b'')], 1):
        name = path.encode() + b'\0'
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        out += b'070701' + b''.join(b'%08X' % field for field in fields) + name
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return bytes(out + bytes(-len(out) % 512))


def initrd(guest, jobs):
    """The boot guest's initrd, the modules for a disk, and what runs there."""
    files = {'debian': (0o40755, b''),
             'debian/init': (0o100755, (ROOT / 'guest' / 'debian-init').read_bytes())}
    if jobs is not None:
        files['debian/jobs'] = (0o100644, jobs.encode())
    base = (guest / 'initrd.img').read_bytes()
    return (base + bytes(-len(base) % 4) + (guest / 'ext4.cpio').read_bytes() + archive(files))


def command(program, build, initrd_path, options=(), memory='1G', append='quiet'):
    """The machine's command line; @program is a list."""
    guest = pathlib.Path(build) / 'guest'
    return [*program, '-M', 'virt', '-m', memory, '-nographic', '-no-reboot',
            '-bios', str(guest / 'fw_dynamic.bin'), '-kernel', str(guest / 'Image'),
            '-initrd', str(initrd_path), '-append', f'console=ttyS0 root=/dev/vda {append}',
            '-drive', f"file={guest / 'debian.ext4'},if=none,format=raw,id=debian,readonly=on",
            '-device', 'virtio-blk-device,drive=debian', '-device', 'virtio-rng-device', *options]


class Reader:
    """Takes the machine's lines into a Result, and ends the machine when none come."""

    def __init__(self, child, result, stall, begin=None, end=None):
        self.child, self.result, self.stall = child, result, stall
        self.begin, self.end = begin, end
        self.last = time.monotonic()
        self.beat = None
        self.name = None
        self.since = 0.0

    def watch(self):
        while self.child.poll() is None:
            time.sleep(0.5)
            if time.monotonic() - self.last > self.stall:
                self.result.stalled = True
                self.child.kill()
                return

    def line(self, line):
        now = self.last = time.monotonic()
        result = self.result
        result.log += line
        found = MARKER.search(line)
        if not found:
            if self.name:
                result.jobs[self.name].output += line
            return
        kind, words = found.group(1), found.group(2).split()
        if kind == 'begin':
            self.name, self.since = words[0], now
            result.jobs[self.name] = Job()
            if self.begin:
                self.begin(self.child, self.name)
        elif kind == 'end' and words[0] in result.jobs:
            job = result.jobs[words[0]]
            job.status, job.seconds, job.wall = int(words[1]), float(words[2]), now - self.since
            if self.end:
                self.end(self.child, words[0], job)
            self.name = None
        elif kind == 'alive':
            beat = now - float(words[0])
            if self.beat is not None:
                result.drift = max(result.drift, beat - self.beat)
            self.beat = beat
        elif kind == 'done':
            result.done = True


def run(program, build, jobs, options=(), stall=120, begin=None, end=None, **machine):
    """Boot, run @jobs, return the Result.

    @stall       seconds without any line after which the machine is ended
    @begin @end  called as each job begins and ends: (process, name), (process, name, job)
    """
    build = pathlib.Path(build).resolve()
    result = Result()
    with tempfile.NamedTemporaryFile(dir=build, prefix='initrd-') as file:
        file.write(initrd(build / 'guest', jobs))
        file.flush()
        argv = command(program, build, file.name, options, **machine)
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT)
        reader = Reader(child, result, stall, begin, end)
        watcher = threading.Thread(target=reader.watch, daemon=True)
        watcher.start()
        for line in child.stdout:
            reader.line(line.decode(errors='replace').replace('\r', ''))
        result.status = child.wait()
        watcher.join()
    return result


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    program = os.environ.get('PROGRAM', str(build / 'softmmu-system-riscv64'))
    with tempfile.NamedTemporaryFile(dir=build, prefix='initrd-') as file:
        file.write(initrd(build / 'guest', None))
        file.flush()
        sys.exit(subprocess.call(command([program], build, file.name, sys.argv[2:])))


if __name__ == '__main__':
    main()
