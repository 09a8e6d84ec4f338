#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
Put figures into docs/performance.md: tools/bench/docs.py ROWS.json PAGE.md CHART.svg

Between a line "<!-- figures: NAME -->" and the next "<!-- end -->" everything is replaced by the table
of that name; the rest of the page is prose and stays. Also draws the chart.
"""
import json
import os
import pathlib
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import chart  # noqa: E402
import table  # noqa: E402


def markdown(head, rows, right=()):
    rule = ["--:" if i in right else "---" for i in range(len(head))]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, rule, *rows])


def targets(rows):
    """Each target, what came out, and whether that is enough."""
    wanted = [row for row in table.in_order(rows) if row["case"] in table.TARGETS]
    lines = [(f"`{row['case']}`", f"{table.number(row['ours'])} {row['unit']}",
              f"{table.number(row['theirs'])} {row['unit']}, {row['reference']}",
              f"{row['ratio']:.2f}", table.target(row), "yes" if table.met(row) else "**no**")
             for row in wanted]
    return markdown(("case", "ours", "reference", "ratio", "target", "met"), lines, (1, 3))


def reads(rows):
    """Thousands of random reads a second, 256 in flight: ours, then everybody else."""
    columns = []
    for size, _ in chart.SIZES:
        columns.append({name: value for value, name, _ in chart.contenders(rows, size)})
    names = [f"sonde, {engine}" for engine in chart.ENGINES]
    names += sorted({name for column in columns for name in column} - set(names))
    lines = [[name] + [f"{column[name] / 1e3:,.0f}" if name in column else "" for column in columns]
             for name in names]
    head = ["thousand a second"] + [words for _, words in chart.SIZES]
    return markdown(head, lines, range(1, len(head)))


def cases(rows, pattern, unit):
    """Every case that matches, in its own words."""
    lines = [(f"`{row['case']}`", table.number(row["ours"]), table.number(row["theirs"]),
              row["reference"], f"{row['ratio']:.2f}")
             for row in rows if re.fullmatch(pattern, row["case"])]
    return markdown(("case", f"ours, {unit}", "theirs", "reference", "ratio"), lines, (1, 2, 4))


TABLES = {
    "targets": targets,
    "reads": reads,
    "sequential": lambda rows: cases(rows, r"[a-z]+\.seq\.\d+\.qd256|uring\.seq\.1\.[a-z]+", "ns"),
    "single": lambda rows: cases(rows, r"[a-z]+\.rand\.\d+\.qd1", "ns"),
    "memory": lambda rows: cases(rows, r"ram\..*|layer\..*|task\.switch", "ns a piece"),
    "cold": lambda rows: cases(rows, r".*cold.*", "ns"),
}


def fill(page, rows):
    def replace(match):
        return f"{match[1]}\n{TABLES[match[2]](rows)}\n{match[3]}"
    return re.sub(r"(<!-- figures: (\w+) -->)\n.*?(<!-- end -->)", replace, page, flags=re.DOTALL)


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    rows = json.loads(pathlib.Path(sys.argv[1]).read_text())
    page = pathlib.Path(sys.argv[2])
    page.write_text(fill(page.read_text(), rows))
    pathlib.Path(sys.argv[3]).write_text(chart.svg(rows))


main()
