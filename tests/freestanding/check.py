#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What runs without a C library compiles so, needs nothing of one, and boots as an image without any system.

    check.py --design FILE --include FOLDER --inner FOLDER --arch ARCH --names SOURCE... --image SOURCE...
             --script FILE --layer NAME SOURCE ... -- CC [ARG...]

Every source, and every public header below the include folder, is compiled with -ffreestanding and no headers but the
compiler's own. What the objects of --names and --layer leave undefined together must be the HOOKS below and the four
functions that compilers call by themselves. The design has to name each hook. Those of --image are the host that
supplies them, the checks and a machine's own part: with all of the others they are linked to an image, in which
nothing is left undefined, and QEMU boots it. Its serial line says what it found.
"""
import argparse
import concurrent.futures
import glob
import os
import re
import shutil
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
    'loop_post_list',      # io/host.h: to the loop's thread from another
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


# How QEMU boots an image, and how it ends where the verdict is good.
COMMON = ['-accel', 'tcg', '-m', '64', '-nodefaults', '-display', 'none', '-no-reboot', '-serial', 'stdio']
MACHINES = {
    'x86_64': (['qemu-system-x86_64', '-machine', 'pc', '-cpu', 'max',
                '-device', 'isa-debug-exit,iobase=0xf4,iosize=0x04'], 33),
    'aarch64': (['qemu-system-aarch64', '-machine', 'virt', '-cpu', 'cortex-a57',
                 '-semihosting-config', 'enable=on,target=native'], 0),
}
BOOT_SECONDS = 300  # it takes one


def link(cc, script, objects, image):
    """The image; what is wrong with it."""
    done = run(cc + ['-nostdlib', '-static', '-no-pie', '-Wl,--build-id=none', '-Wl,--no-undefined',
                     '-Wl,-z,max-page-size=4096', '-Wl,-T,' + script, '-o', image] + objects)
    if done.returncode:
        return [done.stderr]
    left = names(run(cc + ['-print-prog-name=nm']).stdout.strip(), '-u', [image])
    return [f'{name}: undefined in the image' for name in sorted(left)]


def boot(arch, image):
    """What is wrong with what it says of itself."""
    command, good = MACHINES[arch]
    with subprocess.Popen(command + COMMON + ['-kernel', image], text=True, errors='replace',
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as machine:
        try:
            told = machine.communicate(timeout=BOOT_SECONDS)[0]
        except subprocess.TimeoutExpired:
            machine.kill()
            told = machine.communicate()[0]
    print(told)
    verdict = re.findall(r'^verdict: ok (\d+) checks\r?$', told, re.M)
    n_good = len(re.findall(r'^ok ', told, re.M))
    if machine.returncode != good or verdict != [str(n_good)] or not n_good or 'FAILED' in told:
        return [f'the image ends with {machine.returncode}, not {good}, and {n_good} good checks']
    return []


def read_arguments(args):
    end = args.index('--')
    parser = argparse.ArgumentParser()
    for name in ('design', 'include', 'inner', 'arch', 'script'):
        parser.add_argument('--' + name, required=True)
    parser.add_argument('--names', nargs='+', required=True)
    parser.add_argument('--image', nargs='+', required=True)
    parser.add_argument('--layer', nargs=2, action='append', default=[])
    given = parser.parse_args(args[:end])
    given.cc = args[end + 1:]
    return given


def compile_all(given, folder):
    """The objects of names and layers, those of the image, and how many sources or headers do not compile."""
    base = given.cc + FLAGS + ['-isystem', own_headers(given.cc), '-I', given.include, '-I', given.inner]
    sources = [(path, []) for path in given.names]
    sources += [(path, ['-Dsonde_plugin=sonde_bare_' + name]) for name, path in given.layer]
    n_names = len(sources)
    sources += [(path, []) for path in given.image]
    objects = [f'{folder}/{i}.o' for i in range(len(sources))]
    jobs = [(base + more + ['-c', path, '-o', made], path, None)
            for (path, more), made in zip(sources, objects)]
    headers = sorted(os.path.basename(path) for path in glob.glob(given.include + '/sonde/*.h'))
    jobs += [(base + ['-fsyntax-only', '-xc', '-'], header, f'#include <sonde/{header}>\n')
             for header in headers]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        good = list(pool.map(compile_one, jobs))
    print(f'{len(sources)} sources, {len(headers)} headers, {good.count(False)} do not compile')
    return objects[:n_names], objects[n_names:], good.count(False) + (not headers)


def main(args):
    given = read_arguments(args)
    missing = [name for name in (MACHINES[given.arch][0][0], run(given.cc + ['-print-prog-name=ld']).stdout.strip())
               if not shutil.which(name)]
    with tempfile.TemporaryDirectory() as folder:
        image = folder + '/image'
        named, rest, n_bad = compile_all(given, folder)
        if n_bad:
            return 1
        bad = check_names(run(given.cc + ['-print-prog-name=nm']).stdout.strip(), named, given.design)
        if not bad and not missing:
            bad = link(given.cc, given.script, named + rest, image) or boot(given.arch, image)
    print('\n'.join(bad + [f'{len(bad)} things are wrong']))
    if not bad and missing:
        print(f'no image was booted: {", ".join(missing)} not found')
        return 77
    return int(bool(bad))


sys.exit(main(sys.argv[1:]))
