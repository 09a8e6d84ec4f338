#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every plugin exports exactly one symbol, sonde_plugin, and needs nothing of libsonde."""
import subprocess
import sys

# What compilers and sanitizers add to any shared object by themselves.
TOOLCHAIN = ("__asan_", "__ubsan_", "__tsan_", "__sanitizer_", "__odr_asan", "_init", "_fini")


def symbols(path, *which):
    out = subprocess.run(["nm", "-D", *which, path], check=True, capture_output=True, text=True).stdout
    names = [line.split()[-1].split("@")[0] for line in out.splitlines() if line.strip()]
    return [name for name in names if not name.startswith(TOOLCHAIN)]


def main():
    plugins = sys.argv[1:]
    if len(plugins) < 4:
        sys.exit("too few plugins given: the build is not what this test thinks")
    bad = 0
    for path in plugins:
        defined = symbols(path, "--defined-only")
        if defined != ["sonde_plugin"]:
            print(f"{path}: exports {defined}, want ['sonde_plugin']")
            bad = 1
        ours = [name for name in symbols(path, "--undefined-only") if name.startswith("sonde_")]
        if ours:
            print(f"{path}: needs {ours} of the library: use the host table")
            bad = 1
    print(f"{len(plugins)} plugins looked at")
    sys.exit(bad)


main()
