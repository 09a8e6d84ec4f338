#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Run the benchmark and say what came out: a table, and on demand a JSON array and an SVG chart.

usage: tools/bench/bench.py BUILD

Environment: BENCH_FILE   the file that is read, made where there is none (BUILD/bench/random-SIZE)
             BENCH_SIZE   how many bytes of it, with k, M or G (8G)
             BENCH_CASES  only the cases that match a shell pattern ('uring.*')
             BENCH_QUICK  1: less than a minute, figures of little worth
             BENCH_JSON   write the figures there; rows of other cases in it stay
             BENCH_SVG    write the chart there (BUILD/bench/chart.svg)
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import chart  # noqa: E402
import table  # noqa: E402


def parse_size(text):
    match = re.fullmatch(r"(\d+)([kMG]?)", text)
    if not match or int(match[1]) == 0:
        sys.exit(f"bench: BENCH_SIZE={text}: a number of bytes, with k, M or G behind it")
    return int(match[1]) << {"": 0, "k": 10, "M": 20, "G": 30}[match[2]]


def command(build):
    quick = os.environ.get("BENCH_QUICK", "") not in ("", "0")
    size = os.environ.get("BENCH_SIZE") or ("256M" if quick else "8G")
    path = os.environ.get("BENCH_FILE") or build / "bench" / f"random-{size}"
    (build / "bench").mkdir(exist_ok=True)
    words = [str(build / "tools" / "bench" / "sonde-bench"), "--file", str(path),
             "--size", str(parse_size(size))]
    if os.environ.get("BENCH_CASES"):
        words += ["--cases", os.environ["BENCH_CASES"]]
    return words + (["--quick"] if quick else [])


def machine():
    """What figures go with: the processor, its memory, the kernel."""
    def field(path, key):
        lines = pathlib.Path(path).read_text().splitlines()
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "?")
    memory = int(field("/proc/meminfo", "MemTotal").split()[0]) >> 20
    return (f"{os.cpu_count()} x {field('/proc/cpuinfo', 'model name')}, {memory} GiB, "
            f"Linux {os.uname().release}")


def progress(line):
    if sys.stderr.isatty():
        print(f"\r{line:64}\r{line}", end="", file=sys.stderr, flush=True)


def measure(words):
    """The rows, as they come; a program that fails ends the run, with what it said."""
    rows = []
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as program:
        for line in program.stdout:
            rows.append(json.loads(line))
            progress(f"bench: {len(rows)} cases, {rows[-1]['case']}")
    progress("")
    if program.returncode != 0:
        code = program.returncode
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"failed, exit code {code}"
        after = f" after case {rows[-1]['case']}" if rows else ""
        sys.exit(f"bench: {words[0]} {how}{after}")
    return rows


def merge(path, rows):
    """Replace the rows of the same cases in the array at path, keep all others, in their order."""
    path = pathlib.Path(path)
    old = json.loads(path.read_text()) if path.exists() and path.stat().st_size else []
    fresh = {row["case"]: row for row in rows}
    merged = [fresh.pop(row["case"], row) for row in old] + list(fresh.values())
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as new:
        new.write("[\n" + ",\n".join(json.dumps(row) for row in merged) + "\n]\n")
    os.chmod(new.name, 0o644)
    os.replace(new.name, path)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    build = pathlib.Path(sys.argv[1]).resolve()
    os.environ.setdefault("SONDE_PLUGIN_PATH", (build / "plugin-path").read_text())
    os.environ.setdefault("SONDE_EXE", str(build / "tools" / "sonde" / "sonde"))
    words = command(build)
    print(f"bench: {machine()}; {words[2]}", file=sys.stderr)
    rows = measure(words)
    print(table.text(rows))
    if os.environ.get("BENCH_JSON"):
        merge(os.environ["BENCH_JSON"], rows)
    picture = pathlib.Path(os.environ.get("BENCH_SVG") or build / "bench" / "chart.svg")
    picture.write_text(chart.svg(rows))
    print(f"chart: {picture}", file=sys.stderr)


if __name__ == "__main__":
    main()
