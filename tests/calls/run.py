#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts the system calls that descriptors cost, with strace: at most so many, and none of some kinds.

    run.py CALLS
"""
import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile

N = 200
FEW = 12
RINGS, POLLERS = ("io_uring", "auto"), ("sync", "epoll", "threads")

# what, engines, calls at most, {call: at most} for single ones
BOUNDS = [
    ("ready", POLLERS, N + FEW, {"epoll_ctl": 0, "epoll_wait": FEW, "write": 0}),
    ("ready", RINGS, FEW + N // 50, {"write": 0}),
    ("one-by-one", POLLERS, N + FEW, {"epoll_ctl": 0, "epoll_wait": FEW + N // 16, "write": 0}),
    ("one-by-one", RINGS, N + FEW, {"write": 0}),
    # Each wait: the read before, arming, the sleep, the read after; and the answer.
    ("ping-pong", POLLERS, 2 * N * 5 + 2 * FEW, {"epoll_ctl": 2 * N + FEW}),
    ("ping-pong", RINGS, 2 * N * 2 + 2 * FEW, {"write": 0}),
    ("idle", POLLERS, N + N // 16 + FEW, {"write": 0, "epoll_ctl": 0}),
    ("idle", RINGS, N + FEW, {"write": 0}),
]


def traced(calls, engine, what):
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        done = subprocess.run(["strace", "-f", "-o", log, calls, engine, what, str(N)],
                              stderr=subprocess.PIPE, text=True, check=False, timeout=120)
        lines = open(log, encoding="utf-8", errors="replace").read().splitlines()
    if done.returncode == 77:
        return None
    if done.returncode:
        raise RuntimeError(f"{what}, {engine}: exit {done.returncode}: {done.stderr}")
    marks = [i for i, line in enumerate(lines) if '"mark\\n"' in line]
    counts = collections.Counter()
    for line in lines[marks[0] + 1:marks[1]]:
        call = re.match(r"(?:\d+ +)?(\w+)\(", line)
        counts[call.group(1) if call else "other"] += 1
    return counts


def check(calls, bound, engine):
    what, _, most, single = bound
    counts = traced(calls, engine, what)
    if counts is None:
        print(f"skipped: {what}, {engine}: refused here")
        return 0
    told = ", ".join(f"{n} {call}" for call, n in counts.most_common())
    print(f"{what}, {engine}: {sum(counts.values())} calls: {told}")
    bad = [] if sum(counts.values()) <= most else [f"want at most {most} calls"]
    bad += [f"want at most {n} {call}" for call, n in single.items() if counts[call] > n]
    for line in bad:
        print(f"FAIL {what}, {engine}: {line}")
    return len(bad)


def main(calls):
    if not shutil.which("strace"):
        print("skipped: strace is not installed")
        return 77
    if subprocess.run(["strace", "-o", "/dev/null", "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        print("skipped: strace may not trace here")
        return 77
    return int(sum(check(calls, bound, engine) for bound in BOUNDS for engine in bound[1]) > 0)


sys.exit(main(sys.argv[1]))
