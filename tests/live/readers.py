# SPDX-License-Identifier: MIT
"""Physical memory of a dump as others read it: drgn and libkdumpfile, by Debian's Python, which has their modules."""
import functools
import json
import os
import subprocess

PYTHON = "/usr/bin/python3"

# Each is a program of its own: a name, then pairs of address and length on its input; what was read goes out. It ends without
# cleaning up: kdump_free() of libkdumpfile 0.5.1 uses attributes it has freed (https://github.com/osandov/drgn/issues/280).
PROGRAMS = {
    "drgn": """
import drgn, json, os, sys
program = drgn.Program()
program.set_core_dump(sys.argv[1])
for at, size in json.load(sys.stdin):
    sys.stdout.buffer.write(program.read(at, size, True))
sys.stdout.flush()
os._exit(0)
""",
    "kdumpfile": """
import json, kdumpfile, os, sys
dump = kdumpfile.kdumpfile(sys.argv[1])
for at, size in json.load(sys.stdin):
    sys.stdout.buffer.write(bytes(dump.read(kdumpfile.KDUMP_MACHPHYSADDR, at, size)))
sys.stdout.flush()
os._exit(0)
""",
}


@functools.lru_cache(maxsize=None)
def has(reader):
    return os.path.exists(PYTHON) and subprocess.run([PYTHON, "-c", f"import {reader}"], stdout=subprocess.DEVNULL,
                                                     stderr=subprocess.DEVNULL, check=False).returncode == 0


def read(reader, path, places):
    """The bytes at each place."""
    done = subprocess.run([PYTHON, "-c", PROGRAMS[reader], path], input=json.dumps(places).encode(), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=300, check=False)
    if done.returncode:
        raise AssertionError(f"{reader}: {path}: {done.stderr.decode('utf-8', 'replace')}")
    out, at = [], 0
    for _, size in places:
        out.append(done.stdout[at:at + size])
        at += size
    return out
