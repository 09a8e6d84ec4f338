# SPDX-License-Identifier: MIT
"""A client of 9P2000.L by hand: messages as bytes (github.com/chaos/diod protocol.md), and a session that sends them."""
import struct

from connection import Connection

NO_FID = 0xffffffff
(LERROR, LOPEN, LCREATE, SYMLINK, READLINK, GETATTR, READDIR, MKDIR, VERSION, ATTACH, FLUSH, WALK, READ, WRITE, CLUNK) = (
    7, 12, 14, 16, 22, 24, 40, 72, 100, 104, 108, 110, 116, 118, 120)
DIRECTORY = 0o200000


def text(words):
    data = words if isinstance(words, bytes) else words.encode()
    return struct.pack("<H", len(data)) + data


def message(kind, body=b"", tag=1):
    return struct.pack("<IBH", 7 + len(body), kind, tag) + body


def version(msize=65536, words="9P2000.L"):
    return message(VERSION, struct.pack("<I", msize) + text(words), 0xffff)


def attach(fid=0, tree="", tag=1):
    return message(ATTACH, struct.pack("<II", fid, NO_FID) + text("") + text(tree) + struct.pack("<I", NO_FID), tag)


def walk(fid, new, *names, tag=1):
    return message(WALK, struct.pack("<IIH", fid, new, len(names)) + b"".join(map(text, names)), tag)


def lopen(fid, flags=0, tag=1):
    return message(LOPEN, struct.pack("<II", fid, flags), tag)


def read(fid, off, count, tag=1):
    return message(READ, struct.pack("<IQI", fid, off, count), tag)


def readlink(fid, tag=1):
    return message(READLINK, struct.pack("<I", fid), tag)


HELLO = version() + attach()


class Session(Connection):
    def take(self, n):
        data = super().take(n)
        if len(data) < n:
            raise EOFError
        return data

    def answer(self):
        """(type, tag, body)"""
        size, kind, tag = struct.unpack("<IBH", self.take(7))
        return kind, tag, self.take(size - 7)

    def ask(self, data):
        self.send(data)
        return self.answer()

    def error(self, data):
        """The errno it is answered with, 0: none."""
        kind, _, body = self.ask(data)
        return struct.unpack("<I", body)[0] if kind == LERROR else 0

    def hello(self):
        self.send(HELLO)
        return [self.answer()[0] for _ in range(2)]
