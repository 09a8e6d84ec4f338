# SPDX-License-Identifier: MIT
"""The client's half of NBD, by hand, so that a test can say what no client would. Source: NetworkBlockDevice/nbd doc/proto.md."""
import struct

from connection import Connection

OPTION = b"IHAVEOPT"
GO, LIST, ABORT, STARTTLS, STRUCTURED, LIST_META, SET_META, EXPORT_NAME = 7, 3, 2, 5, 8, 9, 10, 1
READ, WRITE, DISC, FLUSH, TRIM, CACHE, ZEROES, STATUS = range(8)
DATA, HOLE, EXTENTS, ERROR, ERROR_OFFSET = 1, 2, 5, 0x8001, 0x8002
EPERM, EIO, EINVAL, ENOSPC = 1, 5, 22, 28


def option(number, data=b""):
    return OPTION + struct.pack(">II", number, len(data)) + data


def named(name, rest=b""):
    return struct.pack(">I", len(name)) + name + rest


def request(command, off=0, length=0, cookie=7, flags=0, magic=0x25609513):
    return struct.pack(">IHHQQI", magic, flags, command, cookie, off, length)


class Session(Connection):
    """One of which the greeting has been read."""

    def __init__(self, where, greet=True, timeout=60):
        super().__init__(where, timeout)
        self.structured = False
        if greet:
            self.greeting = self.take(18)
            self.send(struct.pack(">I", 3))

    def is_closed(self):
        try:
            return self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def reply(self):
        """(option, type, data) of one answer to an option."""
        magic, number, kind, length = struct.unpack(">QIII", self.take(20))
        assert magic == 0x3e889045565a9, hex(magic)
        return number, kind, self.take(length)

    def ask(self, number, data=b""):
        """All answers to an option: [(type, data)]."""
        self.send(option(number, data))
        answers = []
        while not answers or not (answers[-1][0] == 1 or answers[-1][0] >> 31):
            answers.append(self.reply()[1:])
        return answers

    def go(self, structured=True, contexts=()):
        if structured:
            assert self.ask(STRUCTURED)[-1][0] == 1
            self.structured = True
        if contexts:
            data = named(b"", struct.pack(">I", len(contexts)) + b"".join(map(named, contexts)))
            assert self.ask(SET_META, data)[-1][0] == 1
        answers = self.ask(GO, named(b"", struct.pack(">H", 0)))
        assert answers[-1][0] == 1, answers
        return answers

    def simple(self, length=0):
        magic, error, cookie = struct.unpack(">IIQ", self.take(16))
        assert magic == 0x67446698, hex(magic)
        return error, cookie, b"" if error else self.take(length)

    def chunks(self):
        """All of one structured reply, when nothing else is in flight: [(type, data)]."""
        found, flags = [], 0
        while not flags & 1:
            magic, flags, kind, _, length = struct.unpack(">IHHQI", self.take(20))
            assert magic == 0x668e33ef, hex(magic)
            found.append((kind, self.take(length)))
        return found
