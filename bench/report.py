# SPDX-License-Identifier: MIT
"""report - what was measured as a table, losing rows first, and as a JSON file."""
import dataclasses
import json
import math
import os
import platform
import re
import statistics

import rows


@dataclasses.dataclass
class Figure:
    """One row's result.

    @seconds   by emulator's name: of each round
    @unit      what the table prints, of @scale to the second
    @failures  by emulator's name: why there is no figure
    """
    section: str
    name: str
    what: str
    target: float
    seconds: dict
    unit: str = 's'
    scale: float = 1.0
    iterations: int = 0
    native: float = 0.0
    failures: dict = dataclasses.field(default_factory=dict)

    def median(self, name):
        return statistics.median(self.seconds[name]) * self.scale

    def ratio(self, ours, name):
        """Ours over theirs, or None."""
        if not self.seconds.get(ours) or not self.seconds.get(name):
            return None
        return self.median(ours) / self.median(name)


class Report:
    """Figures of one run, and the emulators in the order of their columns; ours is the first."""

    def __init__(self, emulators, rounds):
        self.emulators = emulators
        self.ours = emulators[0].name
        self.names = [emulator.name for emulator in emulators]
        self.rounds = rounds
        self.figures = []
        self.load = [os.getloadavg()[0]]

    def excess(self, figure):
        """How many times its target the ratio to the first QEMU is; infinite where it failed."""
        ratio = figure.ratio(self.ours, self.names[1]) if len(self.names) > 1 else None
        if figure.failures and (ratio is None or 'checksum' in figure.failures):
            return math.inf
        return ratio / figure.target if ratio is not None else 0.0

    def ordered(self):
        """Those above their target, worst first, then the others as they are listed."""
        losing = sorted((f for f in self.figures if self.excess(f) > 1), key=self.excess, reverse=True)
        return losing, [f for f in self.figures if self.excess(f) <= 1]

    def mean(self, section, name):
        """Geometric mean of the ratios of @section to @name, and the worst."""
        ratios = [ratio for ratio in (figure.ratio(self.ours, name) for figure in self.figures
                                      if figure.section == section) if ratio]
        return (statistics.geometric_mean(ratios), max(ratios)) if ratios else None

    def line(self, figure):
        text = f'{figure.name:18}'
        for name in self.names:
            text += f'{figure.median(name):13.4g}' if figure.seconds.get(name) else f'{"failed":>13}'
        text += f' {figure.unit:3}'
        for name in self.names[1:]:
            ratio = figure.ratio(self.ours, name)
            text += f'{ratio:9.3f}' if ratio else f'{"-":>9}'
        text += f'{figure.target:8.2f}'
        if figure.native:
            text += f'{figure.native * figure.scale:10.4g}'
        return text + f'  {figure.what}'

    def table(self):
        theirs = self.names[1:]
        head = f'{"":18}' + ''.join(f'{name:>13}' for name in self.names) + '    ' + \
            ''.join(f'{"/ " + name.removeprefix("QEMU "):>9}' for name in theirs) + f'{"target":>8}'
        losing, others = self.ordered()
        lines = [f'medians of {self.rounds}; load of the host {self.load[0]:.1f} to '
                 f'{os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} processors', '', head]
        if losing:
            lines += [f'--- above the target: {len(losing)} of {len(self.figures)}', *map(self.line, losing)]
        if others:
            lines += [f'--- at or below the target: {len(others)} of {len(self.figures)}',
                      *map(self.line, others)]
        if any(figure.native for figure in self.figures):
            lines += ['(after the target: the same C, built for the host and run on it)']
        for section, title in (('bare', 'single operations'), ('debian', "Debian's programs"),
                               ('kernels', 'C kernels')):
            for name in theirs:
                mean = self.mean(section, name)
                if mean:
                    target = f' (target {rows.DEBIAN_MEAN})' if section == 'debian' else ''
                    lines.append(f'{title}: geometric mean {mean[0]:.2f} of {name}{target}, '
                                 f'worst {mean[1]:.2f}')
        for figure in self.figures:
            lines += [f'{figure.name}: {why}' for why in figure.failures.values()]
        return '\n'.join(lines)

    def markdown(self):
        """The table for docs/performance.md."""
        theirs = self.names[1:]
        heads = ['row', 'what', 'unit', *self.names, *(f'ours / {name}' for name in theirs), 'target']
        lines = ['| ' + ' | '.join(heads) + ' |', '|' + '---|' * len(heads)]
        losing, others = self.ordered()
        for figure in losing + others:
            ratios = [figure.ratio(self.ours, name) for name in theirs]
            lines.append('| ' + ' | '.join([
                f'`{figure.name}`', figure.what, figure.unit,
                *(f'{figure.median(name):.4g}' if figure.seconds.get(name) else 'failed'
                  for name in self.names),
                *(f'{ratio:.3f}' if ratio else '-' for ratio in ratios),
                f'{figure.target:g}']) + ' |')
        return '\n'.join(lines) + '\n'

    def data(self):
        """For the JSON file; the machine is named by its features only."""
        return {
            'format': 1,
            'machine': machine(),
            'load': [self.load[0], os.getloadavg()[0]],
            'rounds': self.rounds,
            'emulators': [{'name': e.name, 'cpu': e.cpu, 'isa': e.isa} for e in self.emulators],
            'rows': [{
                'section': f.section, 'name': f.name, 'what': f.what, 'target': f.target,
                'unit': f.unit, 'iterations': f.iterations,
                'median': {name: f.median(name) for name in self.names if f.seconds.get(name)},
                'seconds': f.seconds,
                'ratio': {name: f.ratio(self.ours, name) for name in self.names[1:]},
                'native': f.native * f.scale or None,
                'held': self.excess(f) <= 1,
                'failed': sorted(f.failures)} for f in self.figures],
            'means': {section: {name: mean[0] for name in self.names[1:]
                                if (mean := self.mean(section, name))}
                      for section in ('bare', 'debian', 'kernels')},
        }

    def save(self, path):
        path.write_text(json.dumps(self.data(), indent=1) + '\n')


def machine():
    """Features that figures depend on, and nothing that tells which machine it is."""
    text = open('/proc/cpuinfo').read()
    model = re.search(r'^model name\s*:\s*(.*)$', text, re.M)
    memory = re.search(r'^MemTotal:\s*(\d+)', open('/proc/meminfo').read(), re.M)
    return {'architecture': platform.machine(),
            'processor': ' '.join(model.group(1).split()) if model else 'unknown',
            'processors': len(os.sched_getaffinity(0)),
            'memory_gib': round(int(memory.group(1)) / 2**20) if memory else None}
