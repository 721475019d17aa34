#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""generate - makes the API reference and refuses what is not documented.

    docs/api/generate.py DOXYGEN SOURCE OUT VERSION

Writes OUT/html.  Every warning of Doxygen is an error, but for fields and constants
whose names say it all: a public function, type or file without a word is one.
"""
import pathlib
import re
import subprocess
import sys

# A field or a constant may speak for itself; nothing else may.
BY_THEIR_NAMES = re.compile(r'Member \S+.* \((variable|enumvalue|macro definition)\) of .* is not documented')


def main():
    doxygen, source, out, version = sys.argv[1:]
    here = pathlib.Path(__file__).resolve().parent
    out = pathlib.Path(out).resolve()
    headers = pathlib.Path(source).resolve() / 'include'
    warnings = out / 'warnings.txt'
    out.mkdir(parents=True, exist_ok=True)
    config = (here / 'Doxyfile').read_text() + f'''
PROJECT_NUMBER   = {version}
INPUT            = "{headers / 'softmmu'}"
FILE_PATTERNS    = *.h
STRIP_FROM_PATH  = "{headers}"
STRIP_FROM_INC_PATH = "{headers}"
INPUT_FILTER     = "{sys.executable} {here / 'filter.py'}"
OUTPUT_DIRECTORY = "{out}"
WARN_LOGFILE     = "{warnings}"
'''
    done = subprocess.run([doxygen, '-'], input=config, text=True)
    if done.returncode:
        sys.exit(done.returncode)
    wrong = [line for line in warnings.read_text().splitlines()
             if line.strip() and not BY_THEIR_NAMES.search(line)]
    for line in wrong:
        print(line, file=sys.stderr)
    if wrong:
        sys.exit(f'{len(wrong)} places of the public headers are not documented well')


main()
