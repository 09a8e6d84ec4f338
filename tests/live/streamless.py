# SPDX-License-Identifier: MIT
"""Reads a snapshot of the target that is given, with its standard streams closed and their numbers free for others. Exits 0."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "connectors"))
import library as lib  # noqa: E402

ADDRESS = 0x100000

lib.PATH = os.environ["SONDE_LIBRARY"]
library = lib.Library()
for fd in range(3):
    os.close(fd)
target = library.open(sys.argv[1], snapshot=True)
sys.exit(library.get(target, ADDRESS, 16)[1] != "OK")
