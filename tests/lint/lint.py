#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""lint - checks what no compiler does: layers, headers, sizes, bindings, exports, imports, words.

    tests/lint/lint.py BUILD
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RANK = {'softmmu': 0, 'base': 0, 'memory': 1, 'mmu': 2, 'tlb': 3, 'iommu': 4, 'inspect': 5,
        'jit': 6, 'riscv': 7, 'devices': 8, 'machine': 9, 'debug': 10, 'cli': 11}
FORBIDDEN_INCLUDES = {'devices': {'riscv'}}  # whatever their ranks
MAX_FILE_LINES = 600
# What a library may not do to its host.
FORBIDDEN_IMPORTS = {'exit', '_exit', 'abort', 'printf', 'fprintf', 'vfprintf', 'puts', 'putchar',
                     'longjmp', 'siglongjmp', '__longjmp_chk', '__printf_chk', '__fprintf_chk',
                     '__assert_fail', 'pthread_create'}

problems = []


def problem(path, text):
    problems.append(f'{path.relative_to(ROOT)}: {text}')


def sources(*folders):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob('*')):
            if path.suffix in ('.c', '.h', '.def') and path.is_file():
                yield path


def check_layers():
    for path in sources('src'):
        layer = path.parent.name
        if layer not in RANK:
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"([a-z_]+)/', line)
            if not match:
                continue
            other = match.group(1)
            if other not in RANK:
                problem(path, f'line {number}: includes {other}/, which is no layer')
            elif RANK[other] > RANK[layer] or other in FORBIDDEN_INCLUDES.get(layer, ()):
                problem(path, f'line {number}: {layer} includes {other}/, a higher layer')


def check_shape():
    for path in sources('include', 'src', 'tests', 'bench', 'examples'):
        lines = path.read_text().splitlines()
        if not lines or 'SPDX-License-Identifier: MIT' not in lines[0]:
            problem(path, 'line 1 is no SPDX line')
        if len(lines) > MAX_FILE_LINES and path.suffix != '.def' and 'tests' not in path.parts:
            problem(path, f'{len(lines)} lines; a file has one subject and up to {MAX_FILE_LINES}')
        for number, line in enumerate(lines, 1):
            if len(line) > 100:
                problem(path, f'line {number}: {len(line)} columns')
            if line != line.rstrip() or '\t' in line:
                problem(path, f'line {number}: a tab or a blank at its end')


def check_headers():
    """Each public header compiles alone, as C11 and as C++17."""
    warnings = ['-Wall', '-Wextra', '-Wpedantic', '-Wconversion', '-Wshadow', '-Werror']
    for path in sources('include'):
        for argv in (['gcc', '-std=c11', '-xc'], ['g++', '-std=c++17', '-xc++']):
            done = subprocess.run([*argv, *warnings, f'-I{ROOT}/include', '-fsyntax-only', str(path)],
                                  stderr=subprocess.PIPE, text=True)
            if done.returncode:
                problem(path, f'does not compile alone with {argv[0]}:\n{done.stderr}')


def code_of(path):
    """A header's text without comments and preprocessor lines."""
    text = re.sub(r'/\*.*?\*/', '', path.read_text(), flags=re.S)
    return re.sub(r'^#(?:[^\n]*\\\n)*[^\n]*', '', text, flags=re.M)


def check_bindings():
    """What other languages' generators rely on: plain fields of stated sizes, sizes first."""
    for path in sources('include'):
        for name, body in re.findall(r'\bstruct (sm_\w+)\s*\{(.*?)\n\};', code_of(path), re.S):
            # Callbacks are pointers; what their parameters look like does not matter here.
            flat = re.sub(r'\(\*(\w+)\)\s*\([^;]*\);', r'\1_callback;', body)
            fields = [' '.join(field.split()) for field in flat.split(';') if field.strip()]
            for field in fields:
                if re.search(r':\s*\w+$', field):
                    problem(path, f'struct {name}: "{field}" is a bit-field')
                if re.match(r'(const )?(unsigned|int|long|short|char|size_t|enum \w+)\b(?!.*(\*|_callback$))', field):
                    problem(path, f'struct {name}: "{field}" has no stated size')
                if re.search(r'\bstruct_size\b', field) and field is not fields[0]:
                    problem(path, f'struct {name}: struct_size is not first')
            if re.search(r'_(ops|options|format|stats)$', name) and \
                    not re.match(r'uint32_t struct_size\b', fields[0]):
                problem(path, f'struct {name} does not begin with uint32_t struct_size')
            if '{' in body:
                problem(path, f'struct {name} has a nested definition')


def check_map():
    """src/softmmu.map lists what the public headers declare, all of it and no more."""
    listed = set(re.findall(r'^\s+(sm_\w+);', (ROOT / 'src/softmmu.map').read_text(), re.M))
    declared = set()
    for path in sources('include'):
        text = code_of(path)
        text = re.sub(r'^(?:SM_INLINE|SM_HOST_ACCESS).*?^\}', '', text, flags=re.S | re.M)
        text = re.sub(r'\{[^{}]*\}', '', re.sub(r'\([^()]*\(\*\w+\)[^;]*;', '();', text))
        declared |= set(re.findall(r'\b(sm_\w+)\s*\((?!\s*\*)', text))
        if path.name != 'types.h' and 'extern "C"' in text:
            problem(path, 'opens its own extern "C"; SM_BEGIN_DECLS does, and exports')
        for names in re.findall(r'^extern const [^;]*?(sm_\w+(?:,\s*sm_\w+)*);', text, re.M):
            declared |= set(re.split(r',\s*', names))
    for name in sorted(declared - listed):
        problems.append(f'src/softmmu.map does not list {name}, which a public header declares')
    for name in sorted(listed - declared):
        problems.append(f'src/softmmu.map lists {name}, which no public header declares')


def check_library(build):
    library = build / 'libsoftmmu.so'
    if not library.exists():
        problems.append(f'{library} is not there')
        return
    listing = subprocess.run(['nm', '-D', '--undefined-only', str(library)], text=True,
                             stdout=subprocess.PIPE).stdout
    for name in re.findall(r' U ([A-Za-z0-9_]+)', listing):
        if name in FORBIDDEN_IMPORTS:
            problems.append(f'libsoftmmu.so imports {name}')
    listing = subprocess.run(['nm', '-D', '--defined-only', str(library)], text=True,
                             stdout=subprocess.PIPE).stdout
    for kind, name in re.findall(r' ([A-Za-z]) ([A-Za-z0-9_]+)', listing):
        if not name.startswith('sm_') and name != 'SOFTMMU_0':
            problems.append(f'libsoftmmu.so exports {name}')
    exported = set(re.findall(r' [A-Za-z] (sm_[a-z0-9_]+)', listing))
    declared = set()
    for path in sources('include'):
        text = re.sub(r'/\*.*?\*/', '', path.read_text(), flags=re.S)
        declared |= set(re.findall(r'\b(sm_[a-z0-9_]+)\s*\((?!\s*\*)', text))
    for name in sorted(exported):
        if name not in declared and not name.startswith('sm_pt_'):
            problems.append(f'libsoftmmu.so exports {name}, which no public header declares')
    listed = set(re.findall(r'^\s+(sm_\w+);', (ROOT / 'src/softmmu.map').read_text(), re.M))
    for name in sorted(listed - set(re.findall(r' [A-Za-z] (sm_[a-z0-9_]+)', listing))):
        problems.append(f'libsoftmmu.so does not export {name}: not defined, or declared outside SM_BEGIN_DECLS')
    # Const tables of pointers lie in .data.rel.ro; .data and .bss are what may change.
    listing = subprocess.run(['objdump', '-t', str(build / 'libsoftmmu.a')], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    for name in re.findall(r'^\S+ .{6}O (?:\.data|\.bss)\b(?!\.rel\.ro)\S*\s+\S+\s+(?:\.hidden )?(\S+)$',
                           listing, re.M):
        problems.append(f'libsoftmmu has a writable global, {name}')


def check_words():
    """The project speaks of itself alone."""
    for path in sources('include', 'src', 'tests', 'bench', 'examples'):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(r'\b(TODO|FIXME|XXX|HACK)\b', line):
                problem(path, f'line {number}: unfinished: {line.strip()}')


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    check_layers()
    check_shape()
    check_headers()
    check_bindings()
    check_map()
    check_library(build)
    check_words()
    for line in problems:
        print(line)
    sys.exit(1 if problems else 0)


main()
