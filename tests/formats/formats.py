#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
docs/formats.md, from table.txt, and whether tests have proved what it says.

usage: formats.py update           write docs/formats.md
       formats.py check PROOFS     exit 1 where the document or the table says anything else than the tests wrote to PROOFS,
                                   77 where no test wrote anything. What was read is removed: each run proves anew
"""
import os
import shutil
import sys

from proofs import NOT_TESTED

HERE = os.path.dirname(os.path.abspath(__file__))
DOCUMENT = os.path.join(HERE, "..", "..", "docs", "formats.md")
HEAD = """# Formats

What Sonde reads, who wrote it, and what the tests of this repository have seen of it: that its bytes equal the memory of the guest
they came from, and that `sonde ps` says of them what the guest itself says. Made of `tests/formats/table.txt`; a test fails where
it says more than the tests have proved. *Own writer*: a program of the tests that follows the format's description, where the tool
that writes it does not run here. Cores of processes, of gcore and the kernel, are held against the process while it lives
([connectors/elfcore](../connectors/elfcore/README.md)).

| connector | format | written by | bytes | `sonde ps` |
|---|---|---|---|---|
"""
CLAIMS = ("bytes", "ps")


class Row:
    def __init__(self, line, number):
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) != 5 or not set(cells[3].split()) <= set(CLAIMS):
            sys.exit(f"table.txt:{number}: connector | format | written by | {' '.join(CLAIMS)} | programs")
        self.connector, self.format, self.writer = cells[:3]
        self.claims, self.needs = set(cells[3].split()), cells[4].split()

    def missing(self):
        return [program for program in self.needs if not shutil.which(program)]

    def text(self):
        marks = " | ".join("yes" if claim in self.claims else "–" for claim in CLAIMS)
        return f"| `{self.connector}` | {self.format} | {self.writer} | {marks} |\n"


def table():
    with open(os.path.join(HERE, "table.txt"), encoding="utf-8") as file:
        lines = [(line.strip(), number) for number, line in enumerate(file, 1)]
    return [Row(line, number) for line, number in lines if line and not line.startswith("#")]


def document(rows):
    return HEAD + "".join(row.text() for row in rows)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def faults(rows, proofs):
    """What the table says and no test has proved, and the other way round."""
    claimed = {(row.format, row.writer, claim) for row in rows for claim in row.claims}
    excuses = {proof[:2]: proof[2] for proof in proofs if proof[2].startswith(NOT_TESTED)}
    proofs = {proof for proof in proofs if not proof[2].startswith(NOT_TESTED)}
    for proof in sorted(proofs - claimed):
        yield f"proved, and not in table.txt: {' | '.join(proof)}"
    for row in rows:
        missing = row.missing()
        unproved = sorted(claim for claim in row.claims if (row.format, row.writer, claim) not in proofs)
        if unproved and missing:
            print(f"not tested without {' '.join(missing)}: {row.format} | {row.writer}")
        elif unproved and (row.format, row.writer) in excuses:
            print(f"{excuses[row.format, row.writer]}: {row.format} | {row.writer}")
        elif unproved:
            yield f"in table.txt, and no test has proved it: {row.format} | {row.writer} | {' '.join(unproved)}"


def check(path):
    if not os.path.exists(path):
        print("skipped: no test of formats has run since the last check")
        return 77
    rows = table()
    proofs = {tuple(cell.strip() for cell in line.split("|")) for line in read(path).splitlines()}
    found = list(faults(rows, proofs))
    if document(rows) != read(DOCUMENT):
        found.append("docs/formats.md is not made of table.txt: run tests/formats/formats.py update")
    if found:
        print("\n".join(found))
        return 1
    os.unlink(path)
    return 0


def main():
    words = sys.argv[1:]
    if words == ["update"]:
        with open(DOCUMENT, "w", encoding="utf-8") as file:
            file.write(document(table()))
        return 0
    if len(words) == 2 and words[0] == "check":
        return check(words[1])
    sys.exit(__doc__)


sys.exit(main())
