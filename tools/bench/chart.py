# SPDX-License-Identifier: MIT
"""
The figures as an SVG: random reads a second at each size, ours and everybody's in one panel, and how
far each target is reached. Bars are coloured so that they read on white and on black; the text follows
the reader's colour scheme.
"""
from xml.sax.saxutils import escape

import table

WIDTH, LABEL, VALUE, BAR, GAP, TITLE = 860, 190, 150, 15, 5, 40
ROOM = WIDTH - LABEL - VALUE
SIZES = (("1", "1 byte"), ("256", "256 bytes"), ("4096", "4 KiB"), ("65536", "64 KiB"))
ENGINES = ("auto", "direct", "uring", "threads", "epoll", "sync")

STYLE = """
text { font: 13px system-ui, sans-serif; fill: #7a7a7a }
.title { font-weight: 600 }
.ours { fill: #2f81c7 } .theirs { fill: #9a9a9a } .missed { fill: #d1793b } .mark { stroke: #7a7a7a }
@media (prefers-color-scheme: light) { text { fill: #24292f } .mark { stroke: #24292f } }
@media (prefers-color-scheme: dark) { text { fill: #d8dee4 } .mark { stroke: #d8dee4 } }
"""


def bar(y, label, part, kind, value, value_at=None):
    middle = y + BAR - 3
    x = LABEL + 6 + ROOM * (part if value_at is None else value_at)
    return (f'<text x="{LABEL - 8}" y="{middle}" text-anchor="end">{escape(label)}</text>'
            f'<rect class="{kind}" x="{LABEL}" y="{y}" width="{max(part * ROOM, 1):.1f}" '
            f'height="{BAR}" rx="2"/>'
            f'<text x="{x:.1f}" y="{middle}">{escape(value)}</text>')


def title(y, words):
    return f'<text class="title" x="0" y="{y + 24}">{escape(words)}</text>'


def rate(per_second):
    return f"{per_second / 1e6:.2f} M" if per_second >= 1e6 else f"{per_second / 1e3:.0f} k"


def contenders(rows, size):
    """Everybody at one size: [(reads a second, name, kind)], the fastest first."""
    by_case = {row["case"]: row for row in rows}
    ours = [(1e9 / row["ours"], f"sonde, {engine}", "ours") for engine in ENGINES
            if (row := by_case.get(f"{engine}.rand.{size}.qd256"))]
    theirs = [(1e9 / row["theirs"], row["reference"], "theirs") for row in rows
              if row["case"].startswith("peer.") and row["case"].endswith(f".rand.{size}")]
    return sorted(ours + theirs, reverse=True)


def panel(y, rows, size, words):
    bars = contenders(rows, size)
    if not bars:
        return y, []
    out = [title(y, f"Random reads of {words}, 256 in flight: a second")]
    y += TITLE
    for value, name, kind in bars:
        out.append(bar(y, name, value / bars[0][0], kind, rate(value)))
        y += BAR + GAP
    return y + 10, out


def reached(row):
    """How many times the target, above 1 where it is met."""
    kind, limit = table.TARGETS[row["case"]]
    if kind == "ratio":
        return row["ratio"] / limit
    return limit / row["ours"] if row["ours"] > 0 else 2


def targets(y, rows):
    wanted = [row for row in table.in_order(rows) if row["case"] in table.TARGETS]
    if not wanted:
        return y, []
    out = [title(y, "Targets: how far each is reached (the line: exactly)")]
    y += TITLE
    top = y
    for row in wanted:
        part = min(reached(row), 2) / 2
        kind = "ours" if table.met(row) else "missed"
        out.append(bar(y, row["case"], part, kind, f"{reached(row):.2f}", 1))
        y += BAR + GAP
    out.append(f'<line class="mark" x1="{LABEL + ROOM / 2}" x2="{LABEL + ROOM / 2}" '
               f'y1="{top - 4}" y2="{y}" stroke-dasharray="3 3"/>')
    return y + 10, out


def svg(rows):
    y, body = 0, []
    for size, words in SIZES:
        y, out = panel(y, rows, size, words)
        body += out
    y, out = targets(y, rows)
    body += out
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" '
            f'height="{y}">\n<title>Sonde: reads a second, and targets</title>\n'
            f'<style>{STYLE}</style>\n' + "\n".join(body) + "\n</svg>\n")
