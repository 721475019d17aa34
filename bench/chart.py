# SPDX-License-Identifier: MIT
"""chart - the ratios of a report as an SVG: a bar a row and QEMU, a tick at each target."""
import html
import math

ROW, LEFT, WIDTH, TOP = 15, 190, 640, 58
LEAST, MOST = 0.01, 100.0
COLOURS = ('#3465a4', '#75507b', '#c17d11', '#4e9a06')
LOSING = '#cc0000'


def place(ratio):
    """Where @ratio lies on the logarithmic axis."""
    part = math.log(min(max(ratio, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return LEFT + part * WIDTH


def draw(report):
    losing, others = report.ordered()
    theirs = report.names[1:]
    bar = max(3, (ROW - 4) // max(1, len(theirs)))
    height = TOP + ROW * (len(losing) + len(others)) + 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 70}" height="{height}" '
           'font-family="sans-serif" font-size="10">',
           '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="10" y="18" font-size="14">Time of softmmu over time of QEMU, '
           f'median of {report.rounds}; to the left is faster</text>']
    for number, name in enumerate(theirs):
        out.append(f'<rect x="{LEFT + 150 * number}" y="26" width="10" height="10" '
                   f'fill="{COLOURS[number % 4]}"/>'
                   f'<text x="{LEFT + 150 * number + 14}" y="35">{html.escape(name)}</text>')
    out.append(f'<text x="{LEFT + 150 * len(theirs)}" y="35">| target; red name: above it</text>')
    for mark in (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100):
        x = place(mark)
        out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 4}" y2="{height - 20}" '
                   f'stroke="{"#555" if mark == 1 else "#ddd"}"/>'
                   f'<text x="{x:.1f}" y="{TOP - 8}" text-anchor="middle">{mark:g}</text>')
    for number, figure in enumerate(losing + others):
        y = TOP + ROW * number
        colour = LOSING if figure in losing else 'black'
        out.append(f'<text x="{LEFT - 6}" y="{y + 10}" text-anchor="end" fill="{colour}">'
                   f'{html.escape(figure.name)}</text>')
        for which, name in enumerate(theirs):
            ratio = figure.ratio(report.ours, name)
            if ratio is None:
                continue
            one, end = place(1), place(ratio)
            out.append(f'<rect x="{min(one, end):.1f}" y="{y + 2 + bar * which}" '
                       f'width="{max(abs(end - one), 1):.1f}" height="{bar - 1}" '
                       f'fill="{COLOURS[which % 4]}"/>')
            if which == 0:
                out.append(f'<text x="{LEFT + WIDTH + 8}" y="{y + 10}" fill="{colour}">{ratio:.2f}</text>')
        x = place(figure.target)
        out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y + 1}" y2="{y + ROW - 2}" stroke="black" '
                   'stroke-width="2"/>')
    return '\n'.join(out + ['</svg>', ''])
