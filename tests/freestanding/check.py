#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The freestanding part of the core compiles without a C library, and needs nothing of one.

    check.py DESIGN INCLUDE INNER SOURCE... -- CC [ARG...]

Every SOURCE, and every public header below INCLUDE, is compiled with -ffreestanding and no
headers but the compiler's own. What the objects leave undefined together must be the HOOKS below
and the four functions that compilers call by themselves. DESIGN has to name each hook.
"""
import concurrent.futures
import glob
import os
import subprocess
import sys
import tempfile

FLAGS = ['-std=gnu11', '-O2', '-fno-pic', '-ffreestanding', '-nostdinc', '-fno-stack-protector',
         '-fno-strict-aliasing', '-Wall', '-Wextra', '-Wshadow', '-Wstrict-prototypes',
         '-Wmissing-prototypes', '-Werror']

COMPILER = {'memcpy', 'memmove', 'memset', 'memcmp'}

# What the host supplies. A hook that nobody calls any more is an error here as well.
HOOKS = {
    'mem_alloc',           # base/mem.h: zeroed memory
    'mem_resize',          # base/mem.h: more room, or new room that is not zeroed
    'mem_release',         # base/mem.h
    'copy_large',          # base/copy.h: the fastest way to copy a page
    'ensure_failed',       # base/ensure.h: a bug of ours; does not return
    'loop_is_here',        # io/host.h: which thread is this?
    'loop_post',           # io/host.h: to the loop's thread from another
    'loop_post_fragment',  # io/host.h: ... what has become of some bytes
    'loop_run_posts',      # io/host.h: work that comes from other threads
    'loop_sleep',          # io/host.h: wait for a post, a wake, an engine, or a time
    'loop_arm',            # io/host.h: tell a foreign loop when to turn ours
    'loop_disarm',         # io/host.h: ... and that this is being done
    'sonde_now_ns',        # sonde/loop.h: the clock of timers and deadlines
    'stack_page',          # task/stack.h: the grain of the others
    'stack_map',           # task/stack.h: memory for tasks' stacks
    'stack_unmap',         # task/stack.h
    'stack_guard',         # task/stack.h: a page nobody may touch
    'stack_trim',          # task/stack.h: memory not needed for now
    'stack_touched',       # task/stack.h: which of it has been written
    'text_vformat',        # base/text.h: a message to format
    'sonde_error_os',      # sonde/error.h: what the host's own number means
}


def run(command, **more):
    return subprocess.run(command, text=True, capture_output=True, **more)


def own_headers(cc):
    """The folder of stddef.h, stdint.h and the like, which belong to the compiler."""
    folder = run(cc + ['-print-file-name=include']).stdout.strip()
    if not os.path.isabs(folder):
        sys.exit(f'{" ".join(cc)}: has no headers of its own: {folder}')
    return folder


def compile_one(job):
    command, source, text = job
    done = run(command, input=text)
    if done.returncode:
        print(f'{source}:\n{done.stderr}')
    return done.returncode == 0


def names(tool, flag, objects):
    done = run([tool, flag, '--format=posix'] + objects, check=True)
    return {line.split()[0] for line in done.stdout.splitlines() if len(line.split()) > 1}


def check_names(tool, objects, design):
    wanted = names(tool, '-u', objects) - names(tool, '--defined-only', objects)
    bad = [f'{name}: not of a host, see HOOKS' for name in sorted(wanted - COMPILER - HOOKS)]
    bad += [f'{name}: nobody calls this hook' for name in sorted(HOOKS - wanted)]
    bad += [f'{name}: docs/{os.path.basename(design)} does not name this hook'
            for name in sorted(HOOKS) if f'`{name}`' not in open(design).read()]
    return bad


def main(args):
    end = args.index('--')
    design, include, inner = args[:3]
    sources, cc = args[3:end], args[end + 1:]
    base = cc + FLAGS + ['-isystem', own_headers(cc), '-I', include, '-I', inner]
    headers = sorted(os.path.basename(path) for path in glob.glob(include + '/sonde/*.h'))
    with tempfile.TemporaryDirectory() as folder:
        objects = [f'{folder}/{i}.o' for i in range(len(sources))]
        jobs = [(base + ['-c', source, '-o', made], source, None)
                for source, made in zip(sources, objects)]
        jobs += [(base + ['-fsyntax-only', '-xc', '-'], header, f'#include <sonde/{header}>\n')
                 for header in headers]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            good = list(pool.map(compile_one, jobs))
        bad = []
        if all(good):
            tool = run(cc + ['-print-prog-name=nm']).stdout.strip()
            bad = check_names(tool, objects, design)
    print('\n'.join(bad + [f'{len(sources)} sources, {len(headers)} headers, '
                           f'{good.count(False)} do not compile, {len(bad)} wrong names']))
    return int(bool(bad) or not all(good) or not sources or not headers)


sys.exit(main(sys.argv[1:]))
