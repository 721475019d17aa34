#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rows_test - every row of the bare-metal suite ends, with the same checksum on ours and QEMU.

    tests/bench/rows_test.py BUILD

A few iterations each: what is checked is that the rows do what they are for, not how fast.
"""
import concurrent.futures
import pathlib
import sys
import tempfile
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / 'bench'))
sys.dont_write_bytecode = True
import bare  # noqa: E402
import chart  # noqa: E402
import emulator  # noqa: E402
import report  # noqa: E402
import rows  # noqa: E402

wrong = []


def few(row):
    """Iterations enough that what repeats is met again."""
    return 2 if row.most or 'copy' in row.name else max(4, 400 // row.per)


def check_row(emulators, row):
    """(name, what is wrong or None, the seconds of each)"""
    with tempfile.TemporaryDirectory(prefix='bench-') as folder:
        suite = bare.Suite(folder)
        try:
            results = [bare.run(each, suite, row, few(row), 120) for each in emulators]
        except bare.Failure as failure:
            return str(failure), None
    sums = [total for _, total in results]
    if len(set(sums)) != 1:
        return f'{row.name}: checksums {", ".join(sums)}', None
    return None, {each.name: [seconds] for each, (seconds, _) in zip(emulators, results)}


def check_rows(emulators):
    made = report.Report(emulators, 1)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for row, (error, seconds) in zip(rows.BARE, pool.map(
                lambda row: check_row(emulators, row), rows.BARE)):
            if error:
                wrong.append(error)
            else:
                made.figures.append(report.Figure('bare', row.name, row.what, row.target, seconds))
    return made


def check_list():
    names = [row.name for row in rows.BARE + rows.BOOT + rows.DEBIAN]
    for name in {name for name in names if names.count(name) > 1}:
        wrong.append(f'two rows are called {name}')


def check_report(emulators):
    """Losing rows first, the worst before all; a row that failed has not held."""
    def figure(name, ours, theirs, target, failures=()):
        return report.Figure('bare', name, '', target, {'ours': ours, emulators[1].name: theirs},
                             failures=dict(failures))
    made = report.Report(emulators[:2], 1)
    made.figures = [figure('held', [1.0], [2.0], 0.5), figure('worst', [3, 4, 5], [1, 2, 9], 0.1),
                    figure('lost', [2.0], [2.0], 0.9),
                    figure('differs', [1.0], [9.0], 1.0, {'checksum': 'differs'}),
                    figure('absent', [], [1.0], 1.0, {'ours': 'no end'})]
    losing, others = made.ordered()
    order = [f.name for f in losing], [f.name for f in others]
    if order != (['differs', 'absent', 'worst', 'lost'], ['held']):
        wrong.append(f'order of the table: {order}')
    if abs(made.figures[1].ratio('ours', emulators[1].name) - 2) > 1e-9:
        wrong.append('a ratio is not one of medians')
    if [row['held'] for row in made.data()['rows']] != [True, False, False, False, False]:
        wrong.append('results.json: held')
    xml.etree.ElementTree.fromstring(chart.draw(made))
    if 'worst' not in made.table() or '`worst`' not in made.markdown():
        wrong.append('the table lacks a row')


def main():
    emulators = emulator.all_of(pathlib.Path(sys.argv[1]).resolve())
    check_list()
    check_report(emulators)
    made = check_rows(emulators)
    xml.etree.ElementTree.fromstring(chart.draw(made))
    made.data()
    for line in wrong:
        print(line)
    print(f'{len(made.figures)} of {len(rows.BARE)} rows end alike on '
          f'{", ".join(each.name for each in emulators)}')
    sys.exit(1 if wrong else 0)


main()
