# SPDX-License-Identifier: MIT
"""bare - runs rows of the bare-metal suite (bench/bare) and times them by the host's clock.

The image is the same for all: only the header that names the row is written anew.
"""
import math
import pathlib
import shutil
import struct
import subprocess
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
START = 0x8000_0000
CROSS = 'riscv64-linux-gnu-'
CHUNK = 4096


class Failure(Exception):
    """A row that did not reach its end."""


class Suite:
    """The assembled image; writes one row's program after the other into @folder."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        cross = CROSS if shutil.which(CROSS + 'as') else ''
        program, image = folder / 'suite.elf', folder / 'suite.bin'
        for argv in ([cross + 'as', '-march=rv64gc_zicsr_zifencei', f'-I{HERE / "bare"}',
                      '-o', f'{program}.o', str(HERE / 'bare' / 'suite.s')],
                     [cross + 'ld', '-N', '--no-relax', '--no-warn-rwx-segments', f'-Ttext={START:#x}',
                      '-o', str(program), f'{program}.o'],
                     [cross + 'objcopy', '-O', 'binary', str(program), str(image)]):
            subprocess.run(argv, check=True)
        listing = subprocess.run([cross + 'nm', str(program)], check=True, text=True,
                                 stdout=subprocess.PIPE).stdout
        self.symbols = {words[2]: int(words[0], 16) for words in map(str.split, listing.splitlines())}
        self.image = image.read_bytes()
        self.file = folder / 'row.bin'

    def write(self, row, count):
        """The program of @row with @count iterations."""
        arguments = tuple(row.args) + (0,) * (3 - len(row.args))
        header = struct.pack('<8Q', self.symbols[row.setup] if row.setup else 0,
                             self.symbols[row.run], count, *arguments, row.mode, row.medeleg)
        at = self.symbols['header'] - START
        self.file.write_bytes(self.image[:at] + header + self.image[at + len(header):])
        return self.file


def run(emulator, suite, row, count, limit=600):
    """(seconds between the row's begin and its end, its checksum)."""
    argv = emulator.machine('1G') + ['-bios', 'none', '-kernel', str(suite.write(row, count))]
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, bufsize=0)
    watchdog = threading.Timer(limit, child.kill)
    watchdog.start()
    begin = seconds = None
    text = b''
    try:
        while True:
            chunk = child.stdout.read(CHUNK)
            now = time.monotonic()
            if not chunk:
                break
            text += chunk
            if begin is None and b'begin' in text:
                begin = now
            if seconds is None and b'end ' in text:
                seconds = max(now - begin, 1e-6)  # both in one chunk: too short to tell
        status = child.wait()
    finally:
        watchdog.cancel()
        child.kill()
        child.stdout.close()
    words = text.split()
    if seconds is None or status or len(words) < 3 or words[-2] != b'end':
        said = ' '.join(text.decode(errors='replace').split())
        raise Failure(f'{row.name} on {emulator.name} with {count} iterations: status {status}, "{said}"')
    return seconds, words[-1].decode()


def calibrate(emulator, suite, row, seconds):
    """Iterations after which @row takes @seconds on @emulator."""
    count = max(1, 500 // row.per)
    while True:
        took, _ = run(emulator, suite, row, count)
        # A short run tells little: not more than 50 times at once, and never past the aim.
        enough = took > seconds / 8
        more = 1.1 * seconds / took if enough else min(50, seconds / 3 / took)
        count = max(1, math.ceil(count * more))
        if row.most:
            count = min(count, row.most)
        if enough or count == row.most:
            return count


def iterations(emulator, suite, row, count, seconds):
    """Iterations for an emulator so much faster that @count would be too short to time.

    Returns them and the checksum of @count, which must be the same everywhere.
    """
    took, total = run(emulator, suite, row, count)
    while took < seconds / 10 and not (row.most and count == row.most):
        count = math.ceil(count * min(50, seconds / 4 / took))
        if row.most:
            count = min(count, row.most)
        took, _ = run(emulator, suite, row, count)
    return count, total


def measure(emulators, row, rounds, seconds):
    """{emulator's name: seconds of each round}, the iterations, {emulator's name: why it failed}.

    All times are told for the same number of iterations, whatever was run.
    """
    times, counts, sums, failures = {}, {}, {}, {}
    with tempfile.TemporaryDirectory(prefix='bench-') as folder:
        suite = Suite(folder)
        judge = emulators[1] if len(emulators) > 1 else emulators[0]
        count = calibrate(judge, suite, row, seconds)
        for number in range(-1, rounds):
            for emulator in emulators:
                name = emulator.name
                try:
                    if name in failures:
                        continue
                    if number < 0:
                        counts[name], total = iterations(emulator, suite, row, count, seconds)
                        sums.setdefault(total, set()).add(name)
                    else:
                        took, _ = run(emulator, suite, row, counts[name])
                        times.setdefault(name, []).append(took * count / counts[name])
                except Failure as failure:
                    failures[name] = str(failure)
    if len(sums) > 1:
        told = '; '.join(f'{total} on {", ".join(sorted(names))}' for total, names in sums.items())
        failures['checksum'] = f'{row.name}: checksums differ: {told}'
    return times, count, failures
