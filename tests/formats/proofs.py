# SPDX-License-Identifier: MIT
"""What tests have seen of a format, for the table of formats.py: a line each in the file $SONDE_PROOFS."""
import os


NOT_TESTED = "not tested: "


def not_tested(format, writer, why):
    """What no program that is missing explains."""
    proved(format, writer, NOT_TESTED + why.replace("\n", " ").replace("|", "/"))


def proved(format, writer, *what):
    """@format and @writer as in table.txt; @what: "bytes", "ps". Without $SONDE_PROOFS nothing is written."""
    path = os.environ.get("SONDE_PROOFS")
    if path:
        lines = "".join(f"{format} | {writer} | {each}\n" for each in what)
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.write(fd, lines.encode())  # in one piece: other tests append too
        os.close(fd)
