#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""filter - says to Doxygen, in its words, what the headers say in theirs.

    docs/api/filter.py HEADER

The headers are written to be read: a name is @name, a key ("Returns", "Errors",
"Threads", "Cost", "Source") stands at the left of its text, one comment speaks for the
declarations that follow it without a blank line, a remark stands behind its field.
Nothing is added or left out, and lines keep their order.
"""
import re
import sys

KEYS = {'Errors': '@par Errors', 'Threads': '@par Threads', 'Cost': '@par Cost',
        'Source': '@par Source', 'Returns': '@return', 'Layer': '@par Layer', 'Owner': '@par Owner',
        'Invariants': '@par Invariants'}
TYPEDEF = re.compile(r'^typedef [^;{]*\b(sm_\w+);')
PROTOTYPE = re.compile(r'^(?!\s|#|/|typedef|struct \w+;|struct \w+ \{|enum|extern|union).*?\b(sm_\w+)\s*\('
                       r'|^enum sm_\w+ \*?(sm_\w+)\s*\(')


def words(text, arguments):
    """The lines of a comment's inside, in Doxygen's words."""
    out = []
    for line in text.split('\n'):
        line = re.sub(r'^\s*\* ?', '', line)
        line = line.rstrip()
        key = re.match(r'\s*(Returns|Errors|Threads|Cost|Source|Layer|Owner|Invariants)(?:\s{2,}|:\s*)(.*)', line)
        name = re.match(r'\s*@(\w+)\s{2,}(.*)', line)
        number = re.match(r'\s*(\([A-Z]\d+\))\s(.*)', line)
        long_key = re.match(r'\s*(Invariants)\b(.*)', line)
        if key:
            line = f'\n{KEYS[key.group(1)]}\n{key.group(2)}'
        elif name and name.group(1) in arguments:
            line = f'\n@param {name.group(1)} {name.group(2)}'
        elif name:
            line = f'\n- @p {name.group(1)}: {name.group(2)}'
        elif number:
            line = f'- \x01{number.group(1)}\x02 {number.group(2)}'
        elif long_key:
            line = f'\n@par Invariants\n{long_key.group(2).lstrip(" ,;")}'
        else:
            line = line.strip()
        line = re.sub(r'@(?!par\b|param\b|return\b|p\b|b\b|brief\b|file\b)(\w+)', r'@p \1', line)
        line = line.replace('<', '\\<').replace('#', '\\#')
        out.append(line.replace('\x01', '<b>').replace('\x02', '</b>'))
    return '\n'.join(out)


def prototype_at(lines, start):
    """(name, arguments, next line) of the prototype that begins at @start, or None."""
    match = TYPEDEF.match(lines[start])
    if match:
        return match.group(1), set(), start + 1
    match = PROTOTYPE.match(lines[start])
    if not match:
        return None
    end = start
    text = lines[end]
    while end + 1 < len(lines) and not re.search(r'[;{]', text):
        end += 1
        text += ' ' + lines[end]
    name = match.group(1) or match.group(2)
    inside = text[text.index(name) + len(name):]
    inside = inside.split('{')[0]
    return name, set(re.findall(r'(\w+)\s*(?=[,)\[])', inside)), end + 1


def main():
    text = open(sys.argv[1], encoding='utf-8').read()
    text = re.sub(r'\A/\* SPDX[^\n]*\n', '\n', text)

    def about(match):
        return f'/** @file\n@brief {match.group(1)}\n{words(match.group(2), set())}\n*/\n'
    text = re.sub(r'\A(\s*)/\* \w+\.h - ([^\n]*?)\n(.*?)\*/\n',
                  lambda m: m.group(1) + about(re.match(r'(?s)([^\n]*)\n(.*)', f'{m.group(2)}\n{m.group(3)}')),
                  text, count=1, flags=re.S)
    # A remark behind its field, its constant or its declaration.
    text = re.sub(r'(?m)^([^\n/]*[;,\w)])(\s+)/\* (?!-)(.*?)\*/',
                  lambda m: f'{m.group(1)}{m.group(2)}/**< {words(m.group(3), set())} */',
                  text, flags=re.S)
    lines = text.split('\n')
    out, at = [], 0
    while at < len(lines):
        begin = re.match(r'\s*/\*\*(?!<)(.*)', lines[at])
        if not begin or '@file' in lines[at]:
            out.append(lines[at])
            at += 1
            continue
        block = []
        while True:
            block.append(lines[at])
            at += 1
            if '*/' in block[-1]:
                break
        inside = re.sub(r'^\s*/\*\*', '', '\n'.join(block)).rsplit('*/', 1)[0]
        if block[0][:1].isspace() or at >= len(lines) or not prototype_at(lines, at):
            out.append(f'/** {words(inside, set())} */')
            continue
        while at < len(lines):
            prototype = prototype_at(lines, at)
            if not prototype:
                break
            _, arguments, after = prototype
            if lines[at].startswith('void ') and '(' in lines[at]:
                said = re.sub(r'(?m)^(\s*\*?\s*)Returns\s{2,}', r'\1Result: ', inside)
            else:
                said = inside
            own = any('/**<' in line for line in lines[at:after])
            if not own:
                out.append(f'/** {words(said, arguments)} */')
            out.extend(lines[at:after])
            at = after
    print('\n'.join(out))


main()
