#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""smp_debian.py - what a second hart brings to programs of Debian that use threads.

    bench/smp_debian.py BUILD [ROUNDS]

coreutils' sort, xz and zstd on the same text with -smp 1 and -smp 2 alternating, each with
as many threads as harts, and on the host itself on as many processors; all results are
compared.  The target is at most 0.65 of the time of -smp 1 on two free host processors, for
what gains as much on the host itself.  Where others use them too, wall time says little:
the busiest hart's thread's share of a processor is what the work takes on free ones, to
which waiting for each other adds.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / 'tools'))
import debian_guest  # noqa: E402

TARGET = 0.65
JOBS = r'''
n=$(nproc)
seq 1 900000 | awk '{printf "%d %d text that follows\n", ($1 * 7919) % 1000003, $1}' >text
sort text -o sorted
job sort sort --parallel=$n -S 128M -k2,2r -k1,1n text -o sorted
job xz xz -k -f -1 -T$n --block-size=1MiB text
job zstd zstd -q -f -6 -T$n -B2M text -o text.zst
job sums bash -c 'sha256sum <sorted; xz -dc text.xz | sha256sum; zstd -dc text.zst | sha256sum'
'''
NAMES = ('sort', 'xz', 'zstd')
ON_HOST = r'''
job() { local name=$1 begin=$EPOCHREALTIME; shift; "$@" || exit; echo "$name: $begin $EPOCHREALTIME"; }
'''


def thread_seconds(pid):
    """Processor time of each thread."""
    return {task.name: int((task / 'schedstat').read_text().split()[0]) / 1e9
            for task in pathlib.Path(f'/proc/{pid}/task').iterdir()}


def measure(program, build, harts):
    """name: (seconds by the guest's clock, busiest thread, all threads), and the sums."""
    before, figures = {}, {}

    def begin(child, _):
        before.clear()
        before.update(thread_seconds(child.pid))

    def end(child, name, job):
        used = [ran - before.get(task, 0) for task, ran in thread_seconds(child.pid).items()]
        figures[name] = job.seconds, max(used), sum(used)

    result = debian_guest.run([program], build, JOBS, ['-smp', str(harts)], stall=600,
                              begin=begin, end=end)
    if result.status or any(job.status for job in result.jobs.values()) or not result.done:
        sys.exit(f'smp_debian: the guest with {harts} harts failed\n{result.log}')
    return figures, result.jobs['sums'].output


def measure_host(processors):
    """name: seconds, and the sums; None if the host lacks a program."""
    some = ','.join(str(n) for n in sorted(os.sched_getaffinity(0))[:processors])
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(['taskset', '-c', some, 'bash', '-c', ON_HOST + JOBS], cwd=folder,
                              env=dict(os.environ, LC_ALL='C'), text=True, stdout=subprocess.PIPE)
    if done.returncode:
        return None
    lines = done.stdout.splitlines()
    times = {line.split(':')[0]: line.split()[1:] for line in lines if ':' in line}
    return ({name: float(times[name][1]) - float(times[name][0]) for name in NAMES},
            [line for line in lines if ':' not in line])


def print_host(host):
    for name in NAMES:
        one, two = (min(row[name] for row in host[n]) for n in (1, 2))
        print(f'{name + ", the host itself, s":34}{one:8.2f}{two:8.2f}{two / one:8.2f}')


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    program = os.environ.get('PROGRAM', str(build / 'softmmu-system-riscv64'))
    figures, host, sums = {1: [], 2: []}, {1: [], 2: []}, set()
    for _ in range(rounds):
        for harts, rows in figures.items():
            row, total = measure(program, build, harts)
            sums.add(total.strip())
            native = measure_host(harts)
            if native:
                host[harts].append(native[0])
                sums.add('\n'.join(native[1]))
            rows.append(row)
            print(f'-smp {harts}:', ', '.join(
                f'{name} {row[name][0]:.2f} s, busiest thread {row[name][1]:.2f} s, '
                f'all {row[name][2]:.2f} s' for name in NAMES), flush=True)
    if len(sums) != 1:
        sys.exit('smp_debian: results differ')
    print(f'load of the host: {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} '
          f'processors, best of {rounds}')
    print(f'{"":34}{"-smp 1":>8}{"-smp 2":>8}{"ratio":>8}')
    for name in NAMES:
        for kind, title in enumerate(('s', 'busiest thread, s', 'all threads, s')):
            one, two = (min(row[name][kind] for row in figures[n]) for n in (1, 2))
            print(f'{name + ", " + title:34}{one:8.2f}{two:8.2f}{two / one:8.2f}')
    if host[1] and host[2]:
        print_host(host)
    print(f'target: {TARGET}')


main()
