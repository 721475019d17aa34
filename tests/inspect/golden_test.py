#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""golden_test - compares listings with those kept, and what text says with what JSON says.

    tests/inspect/golden_test.py LIST [--rebase]

LIST is the program list of this folder.  Of each question below golden/ keeps both forms;
--rebase writes them anew.
"""
import json
import pathlib
import re
import subprocess
import sys

GOLDEN = pathlib.Path(__file__).resolve().parent / 'golden'
QUESTIONS = [('pam', 'tree'), ('pam', 'view'), ('pam', 'f0010'), ('pam', 'a0000'), ('pam', 'fee00000'),
             ('pam', 'e0000000'), ('pam', 'ffe00000'), ('odd', 'tree'), ('odd', 'view'), ('odd', '0'),
             ('odd', '4000'), ('odd', '10010'), ('odd', '10800'), ('odd', '20000'), ('odd', '20108'),
             ('odd', '30010'), ('odd', 'fffffffffffffff4'), ('empty', 'tree'), ('empty', 'view'),
             ('empty', '0'), ('bridge', 'tree'), ('bridge', 'view'), ('bridge', '1810'), ('bridge', '2010'),
             ('bridge', '3010'), ('bridge', '4010'), ('bridge', '5010'), ('bridge', '6010'), ('bridge', '7010')]
HEX = '[0-9a-f]{16}'
wrong = []


def shown(name):
    """A name of JSON as text shows it; bytes that were no UTF-8 are lost to JSON."""
    if not name:
        return '(unnamed)'
    return ''.join(f'\\x{ord(c):02x}' if ord(c) < 32 or c in '\x7f\\' else c for c in name)


def same_name(name, text):
    pattern = re.escape(shown(name)).replace('\ufffd', r'\\x[0-9a-f]{2}')
    return re.fullmatch(pattern, text) is not None


def place(address):
    return '-' * 16 if address is None else f'{int(address, 16):016x}'


def expect_line(lines, name, before, behind):
    """The next line is @before, a name, @behind."""
    line = lines.pop(0) if lines else '(end)'
    middle = line[len(before):len(line) - len(behind)]
    if not line.startswith(before) or not line.endswith(behind) or not same_name(name, middle):
        wrong.append(f'JSON says {before!r} {shown(name)!r} {behind!r}, text {line!r}')


def marks(thing, *names):
    return ''.join(f' [{name}]' for name in names if thing[name])


def leads_to(thing):
    return f" [leads to {', '.join(shown(name) for name in thing['leads_to'])}]" if 'leads_to' in thing else ''


def stats(region):
    """What was asked of a region, if anything was."""
    asked = region.get('stats')
    if not asked or not any(asked.values()):
        return ''
    extra = ''.join(f', {asked[name]} {name}' for name in ('refused', 'failed') if asked[name])
    return f" [{asked['reads']} reads, {asked['writes']} writes{extra}]"


def same_region(lines, region, depth):
    before = (f"{'  ' * depth}{place(region['first'])}-{place(region['last'])} "
              f"(prio {region['priority']}, {region['kind']}): ")
    behind = ''
    if 'alias' in region:
        alias = region['alias']
        behind += f" @{shown(alias['target'])} {place(alias['first'])}-{place(alias['last'])}"
        behind += ' [target short]' if alias['short'] else ''
    behind += f" [device {shown(region['device'])}]" if 'device' in region else ''
    behind += leads_to(region) + marks(region, 'disabled', 'readonly', 'calls')
    behind += f" [cut {region['cut']}]" if region['cut'] else ''
    behind += f" [dirty logs {region['dirty_logs']}]" if region.get('dirty_logs') else ''
    behind += stats(region)
    expect_line(lines, region['name'], before, behind)
    for child in region['children']:
        same_region(lines, child, depth + 1)


def same_tree(lines, document):
    for number, tree in enumerate(document['trees']):
        if number and lines.pop(0):
            wrong.append('no empty line between two trees')
        for space in tree['spaces']:
            expect_line(lines, space, 'address-space: ', '')
        if not tree['spaces']:
            expect_line(lines, tree['region']['name'], 'region: ', '')
        if tree['region']:
            same_region(lines, tree['region'], 1)
        else:
            expect_line(lines, '(nothing)', '  ', '')


def same_section(lines, before, section):
    expect_line(lines, section['name'], f"{before}{place(section['first'])}-{place(section['last'])} "
                f"({section['kind']}): ", f" @{place(section['offset'])}" + leads_to(section)
                + marks(section, 'readonly', 'calls'))


def same_view(lines, document):
    root = document['root']
    expect_line(lines, document['space'], 'flat-view: ', '' if root is None else f', root {shown(root)}')
    for section in document['sections']:
        same_section(lines, '  ', section)
    if not document['sections']:
        expect_line(lines, '(nothing)', '  ', '')


def reason(other):
    """What text says, with numbers it says in addition as patterns."""
    held = 'it' if other['held'] == other['name'] else shown(other['held'])
    by = shown(other['by'] or '')
    return {'priority': rf'{re.escape(held)} has priority -?\d+, {re.escape(by)} has -?\d+',
            'age': rf'{re.escape(held)} was mapped before {re.escape(by)}, both with priority -?\d+',
            'beneath': re.escape(f'{by} is mapped into {held}'),
            'disabled': re.escape(f'{held} is disabled'),
            'end': rf'{re.escape(held)} ends at {HEX}',
            'window': rf'the window of {re.escape(held)} ends at {HEX}',
            'short': rf'{re.escape(held)} ends at {HEX}, within the window of {re.escape(by)}'}[other['reason']]


def same_way(lines, way):
    if way:
        expect_line(lines, 'way:', '', '')
    for step in way:
        behind = f" ({step['kind']})"
        behind += f", at {place(step['at'])} with priority {step['priority']}" if step['by'] == 'child' else ''
        behind += f", shown from {place(step['from'])}" if step['by'] == 'target' else ''
        expect_line(lines, step['name'], f"  {place(step['offset'])} in ", behind + marks(step, 'readonly'))


WHY_NOT = {'refused': 'refused', 'wrong': 'an answer that is not allowed', 'too many': 'too many in a row',
           'not asked': 'not asked while this thread holds the topology or a device',
           'changed': 'changed meanwhile'}


def same_translated(lines, region, hop):
    process = '' if hop['process'] is None else f" process {hop['process']}"
    before = f"translated: {place(hop['iova'])} of "
    behind = f" for requester {hop['requester']}{process}, {hop['access']}: "
    if 'span' in hop:
        span = hop['span']
        behind += f"{place(span['first'])}-{place(span['last'])} to {place(span['base'])} of {shown(hop['space'])}"
        behind += f" [{hop['permissions']}]"
    else:
        behind += WHY_NOT[hop['end']]
    expect_line(lines, region, before, behind)


def same_why(lines, document):
    same_place(lines, document)
    answer = document['answer']
    for hop in document.get('beyond', []):
        same_translated(lines, answer['name'], hop)
        if 'answer' in hop:
            same_place(lines, hop)
            answer = hop['answer']


def same_place(lines, document):
    expect_line(lines, document['space'], f"why: {place(document['address'])} in ", '')
    answer = document['answer']
    if answer:
        expect_line(lines, answer['name'], 'answer: ', f" ({answer['kind']}) @{place(answer['offset'])}"
                    + marks(answer, 'readonly', 'calls'))
        if answer['readonly']:
            expect_line(lines, answer['readonly_by'], 'readonly by: ', '')
    elif document['hidden_by'] is not None:
        last = document['way'][-1]
        expect_line(lines, document['hidden_by'], 'answer: nothing, hidden by ',
                    f" ({last['kind']}) @{place(last['offset'])}")
    else:
        expect_line(lines, 'nothing', 'answer: ', '')
    for key in ('section', 'hole'):
        if key in document:
            expect_line(lines, f"{place(document[key]['first'])}-{place(document[key]['last'])}", f'{key}: ', '')
            for beside in ('before', 'behind'):
                if document[key].get(beside):
                    same_section(lines, f'{beside}: ', document[key][beside])
    same_way(lines, document['way'])
    if document['others']:
        expect_line(lines, 'others:', '', '')
    for other in document['others']:
        line = lines.pop(0)
        pattern = rf"  {re.escape(shown(other['name']))} \({other['kind']}\) @{place(other['offset'])}: {reason(other)}"
        if not re.match(pattern, line):
            wrong.append(f'JSON says {pattern!r}, text {line!r}')
        expect_line(lines, ', '.join(other['way']), '    way: ', '')


def documents(text):
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        document, at = decoder.raw_decode(text, at)
        at += text[at:at + 1] == '\n'
        yield document


def main():
    rebase = '--rebase' in sys.argv
    for machine, question in QUESTIONS:
        said = {}
        for form in ('text', 'json'):
            done = subprocess.run([sys.argv[1], machine, question, form], stdout=subprocess.PIPE, check=True)
            said[form] = done.stdout.decode()
            kept = GOLDEN / f'{machine}-{question}.{form}'
            if rebase:
                kept.write_text(said[form])
            elif said[form] != kept.read_text():
                wrong.append(f'{kept.name}: is not what is said now:\n{said[form]}')
        lines = said['text'].splitlines()
        same = {'tree': same_tree, 'view': same_view}.get(question, same_why)
        for document in documents(said['json']):
            if document['form'] != same.__name__[len('same_'):] or document['version'] != 1:
                wrong.append(f'{machine} {question}: form {document["form"]}, version {document["version"]}')
            same(lines, document)
        for line in lines:
            wrong.append(f'{machine} {question}: JSON lacks {line!r}')
    for line in wrong:
        print(line)
    sys.exit(1 if wrong else 0)


main()
