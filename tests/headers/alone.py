#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each public header compiles alone, as C11 and as C++17, without a warning.

    alone.py HEADERS CC [ARG...] [-- CXX [ARG...]]
"""
import glob
import os
import subprocess
import sys

WARNINGS = ['-Wall', '-Wextra', '-Werror', '-fsyntax-only']


def compiles(command, language, header, include):
    # Twice: the second inclusion must be harmless.
    source = f'#include <sonde/{header}>\n#include <sonde/{header}>\n'
    run = subprocess.run(command + language + WARNINGS + ['-I', include, '-'], input=source,
                         text=True, capture_output=True)
    if run.returncode:
        print(f'{header}: {" ".join(command + language)}:\n{run.stderr}')
    return run.returncode == 0


def main(args):
    folder, commands = args[0], ' '.join(args[1:]).split(' -- ')
    languages = [['-std=c11', '-xc'], ['-std=c++17', '-xc++']]
    headers = sorted(os.path.basename(path) for path in glob.glob(folder + '/*.h'))
    bad = 0
    for command, language in zip(commands, languages):
        for header in headers:
            bad += not compiles(command.split(), language, header, os.path.dirname(folder))
    print(f'{len(headers)} headers, {len(commands)} languages, {bad} bad')
    return int(bad > 0 or not headers)


sys.exit(main(sys.argv[1:]))
