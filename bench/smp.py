#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""smp.py - what a second hart brings, and what idle harts cost.

    bench/smp.py BUILD [ROUNDS]

The guest compresses, sorts and sums the same text in two jobs, one after the other and
both at once, with -smp 1 and -smp 2 alternating.  The target is at most 0.65 of the time
of -smp 1, on two free host processors.  Where others use them too, look at the time that
the busiest hart's thread got: that is what the work takes on free ones.
"""
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

build = pathlib.Path(sys.argv[1]).resolve()
rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
guest = build / 'guest'
TICKS = os.sysconf('SC_CLK_TCK')
TARGET = 0.65
# Markers are put together by the shell, so that its echo of the command is none.
PREPARE = r'''
seq 1 40000 | sed 's/$/ some text that follows the number/' >/tmp/text
job() { gzip -c /tmp/text | sha256sum; sort -r /tmp/text | sha256sum; sha256sum /tmp/text; }
phase() { echo "be""gin"; "$@" >/tmp/sums; echo "e""nd"; }
series() { job; job; }
both() { job & job; wait; }
job >/tmp/sums
phase series
phase both
poweroff -f
'''


def command(harts):
    return [str(build / 'softmmu-system-riscv64'), '-M', 'virt', '-m', '512M', '-nographic',
            '-no-reboot', '-smp', str(harts),
            '-bios', str(guest / 'fw_dynamic.bin'), '-kernel', str(guest / 'Image'),
            '-initrd', str(guest / 'initrd.img'), '-append', 'console=ttyS0 quiet']


def start(harts):
    child = subprocess.Popen(command(harts), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
    watchdog = threading.Timer(600, child.kill)
    watchdog.daemon = True
    watchdog.start()
    for line in child.stdout:
        if b'softmmu-guest: shell ready' in line:
            return child, watchdog
    sys.exit(f'smp: the guest with {harts} harts did not reach the shell')


def thread_seconds(pid):
    """Processor time of each thread."""
    seconds = {}
    for task in pathlib.Path(f'/proc/{pid}/task').iterdir():
        fields = (task / 'stat').read_text().rsplit(')', 1)[1].split()
        seconds[task.name] = (int(fields[11]) + int(fields[12])) / TICKS
    return seconds


def measure(harts):
    """(wall, busiest thread) of the jobs in series and of both at once."""
    child, watchdog = start(harts)
    child.stdin.write(PREPARE.encode())
    child.stdin.flush()
    figures, begin = [], None
    for line in child.stdout:
        words = line.split()
        if words == [b'begin']:
            begin = time.monotonic(), thread_seconds(child.pid)
        elif words == [b'end'] and begin:
            wall = time.monotonic() - begin[0]
            now = thread_seconds(child.pid)
            figures.append((wall, max(now[n] - begin[1].get(n, 0) for n in now)))
            begin = None
    child.wait()
    watchdog.cancel()
    if child.returncode or len(figures) != 2:
        sys.exit(f'smp: the guest with {harts} harts did not finish its jobs')
    return figures


def idle(harts, seconds=10):
    """Share of a processor that a guest waiting at its prompt costs."""
    child, watchdog = start(harts)
    time.sleep(4)
    before = sum(thread_seconds(child.pid).values())
    time.sleep(seconds)
    share = (sum(thread_seconds(child.pid).values()) - before) / seconds
    child.stdin.write(b'\x01x')
    child.stdin.flush()
    child.wait(30)
    watchdog.cancel()
    return share


def main():
    figures = {1: [], 2: []}
    for _ in range(rounds):
        for harts, rows in figures.items():
            rows.append(measure(harts))
            print(f'-smp {harts}:', ', '.join(f'{wall:.2f} s, busiest hart {busy:.2f} s'
                                              for wall, busy in rows[-1]), flush=True)
    print(f'load of the host: {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} '
          f'processors, median of {rounds}')
    print(f'{"two jobs":46}{"-smp 1":>8}{"-smp 2":>8}{"ratio":>8}')
    for phase, phase_name in enumerate(('one after the other', 'both at once')):
        for kind, kind_name in enumerate(('s', "busiest hart's thread, s")):
            one, two = (statistics.median(row[phase][kind] for row in figures[n]) for n in (1, 2))
            print(f'{phase_name + ", " + kind_name:46}{one:8.2f}{two:8.2f}{two / one:8.2f}')
    print(f'target for both at once: {TARGET}')
    for harts in (1, 4):
        print(f'idle guest with {harts} harts: {100 * idle(harts):.2f} % of a processor')


main()
