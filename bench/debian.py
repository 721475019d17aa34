# SPDX-License-Identifier: MIT
"""debian - times jobs of Debian's programs in a guest, and the same C on the host.

One boot runs all jobs; each is timed by the host's clock between the two lines that the
guest prints around it (guest/debian-init).  What prepares a job and what checks its
result are outside.
"""
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'tools'))
import debian_guest  # noqa: E402

# Two roundings for a product and a sum, whatever the processor offers.
COMPILE = 'gcc -O2 -ffp-contract=off -o kernels kernels.c -lm'
PREPARE = r'''
need_text() {
    [ -e text ] || seq 1 200000 | awk '{printf "%d %d text that follows, %x\n",
        ($1 * 7919) % 1000003, $1, ($1 * 40503) % 65521}' >text
}
need_kernels() { [ -x kernels ] || COMPILE; }
'''.replace('COMPILE', COMPILE)


def script(works):
    """The jobs of @works: NAME and, after it, NAME:check."""
    text = PREPARE + "cat >kernels.c <<'END'\n" + (HERE / 'kernels.c').read_text() + 'END\n'
    for work in works:
        text += f'{work.prepare}\njob {work.name} bash -c {shlex.quote(work.run)}\n'
        if work.check:
            text += f'job {work.name}:check bash -c {shlex.quote(work.check)}\n'
    return text


def outcome(work, result):
    """(seconds, what must be the same everywhere, what is wrong)."""
    job = result.jobs.get(work.name)
    if job is None or job.status:
        return None, '', 'did not begin' if job is None else f'status {job.status}: {job.output[-300:]}'
    if work.name.startswith('stress-'):
        wanted = int(work.what.split()[2])
        done = re.search(r'metrc:.*\] \S+ +(\d+)', job.output)
        if 'successful run completed' not in job.output or not done or int(done.group(1)) < wanted:
            return None, '', f'not all of its work: {job.output[-300:]}'
        return job.wall, 'verified', ''
    said = result.jobs[f'{work.name}:check'].output if work.check else job.output
    return job.wall, ' '.join(said.split()), '' if said.strip() else 'said nothing'


def measure(emulators, build, works, rounds):
    """{work: {emulator: seconds of each round}}, {work: {emulator: what failed}}."""
    seconds = {work.name: {} for work in works}
    failures = {work.name: {} for work in works}
    said = {work.name: {} for work in works}
    for number in range(rounds):
        for emulator in emulators:
            def end(_, name, job, told=f'    round {number + 1}, {emulator.name}: '):
                if not name.endswith(':check'):
                    print(f'{told}{name} {job.wall:.2f} s', flush=True)

            result = debian_guest.run([emulator.program], build, script(works),
                                      ['-cpu', emulator.cpu, '-smp', '1'], stall=900, end=end)
            for work in works:
                took, text, wrong = outcome(work, result)
                if wrong:
                    failures[work.name][emulator.name] = f'{emulator.name}: {wrong}'
                else:
                    seconds[work.name].setdefault(emulator.name, []).append(took)
                    said[work.name].setdefault(text, set()).add(emulator.name)
    for name, texts in said.items():
        if len(texts) > 1:
            told = '; '.join(f'"{text[:80]}" on {", ".join(sorted(who))}' for text, who in texts.items())
            failures[name]['checksum'] = f'results differ: {told}'
    return seconds, failures


def native(works, rounds):
    """{work: seconds} of those that the host can run: the median of @rounds."""
    works = [work for work in works if work.native]
    times = {}
    with tempfile.TemporaryDirectory(prefix='bench-') as folder:
        pathlib.Path(folder, 'kernels.c').write_text((HERE / 'kernels.c').read_text())
        if works:
            subprocess.run(shlex.split(COMPILE), cwd=folder, check=True)
        for work in works:
            each = []
            for _ in range(rounds):
                begin = time.monotonic()
                subprocess.run(shlex.split(work.run), cwd=folder, check=True, stdout=subprocess.DEVNULL)
                each.append(time.monotonic() - begin)
            times[work.name] = sorted(each)[len(each) // 2]
    return times
