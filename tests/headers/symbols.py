#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The public functions: what the headers declare, what the map lists, what the library exports.

    symbols.py HEADERS MAP LIBRARY      compare the three; exit 1 and say what differs
    symbols.py --update HEADERS MAP     write what the headers declare into the map's first node

A new public function is one declaration in core/include/sonde and one run of --update.
"""
import glob
import os
import re
import subprocess
import sys


def without_blocks(text):
    """Drop what stands between braces: bodies, struct members, enum values."""
    out, depth = [], 0
    for char in text:
        if char == '{':
            depth += 1
        elif char == '}':
            depth -= 1
            out.append(';' if depth == 0 else '')
        elif depth == 0:
            out.append(char)
    return ''.join(out)


def declared(folder):
    names = set()
    for path in sorted(glob.glob(folder + '/*.h')):
        if os.path.basename(path) == 'bare.h':
            continue  # of libsonde-bare.a, which tests/freestanding links with
        with open(path, encoding='utf-8') as file:
            text = file.read()
        text = re.sub(r'/\*.*?\*/', ' ', text, flags=re.S)
        text = re.sub(r'//[^\n]*', ' ', text)
        text = text.replace('\\\n', ' ')
        text = re.sub(r'^[ \t]*#[^\n]*', ' ', text, flags=re.M)
        text = re.sub(r'extern\s+"C"\s*\{', ' ', text)
        for statement in without_blocks(text).split(';'):
            words = statement.split()
            if not words or words[0] in ('typedef', 'static'):
                continue
            found = re.search(r'\b(sonde_\w+)\s*\(', statement)
            if found:
                names.add(found.group(1))
    return names


def listed(path):
    with open(path, encoding='utf-8') as file:
        text = file.read()
    names = set()
    for part in re.findall(r'global:(.*?)(?:local:|\})', text, flags=re.S):
        names.update(word.strip() for word in part.split(';') if word.strip())
    return names


def exported(library):
    out = subprocess.run(['nm', '-D', '--defined-only', library], check=True,
                         capture_output=True, text=True).stdout
    names = set()
    for line in out.splitlines():
        kind, name = line.split()[-2:]
        if kind != 'A':  # the names of the map's own nodes
            names.add(name.split('@')[0])
    return names


def update(folder, path):
    with open(path, encoding='utf-8') as file:
        text = file.read()
    names = ''.join(f'\t{name};\n' for name in sorted(declared(folder)))
    text = re.sub(r'global:\n.*?(?=local:)', 'global:\n' + names, text, count=1, flags=re.S)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)


def differ(have_name, have, want_name, want):
    for name in sorted(want - have):
        print(f'{name}: in {want_name}, not in {have_name}')
    for name in sorted(have - want):
        print(f'{name}: in {have_name}, not in {want_name}')
    return have != want


def main(args):
    if args[:1] == ['--update'] and len(args) == 3:
        update(args[1], args[2])
        return 0
    if len(args) != 3:
        print(__doc__)
        return 2
    public, mapped, real = declared(args[0]), listed(args[1]), exported(args[2])
    bad = differ('the map', mapped, 'the headers', public)
    bad = differ('the library', real, 'the map', mapped) or bad
    if bad:
        print(f'After changing the headers: tests/headers/symbols.py --update {args[0]} {args[1]}')
    else:
        print(f'{len(public)} public functions agree')
    return int(bad or not public)


sys.exit(main(sys.argv[1:]))
