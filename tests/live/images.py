# SPDX-License-Identifier: MIT
"""
Editing a dump of a guest: its notes, and its memory at physical or kernel addresses.

The dump stays one file; every change is taken back when its `with` ends. Layouts: ELF-64 of the
System V ABI (Figures 4-3 and 5-1, and notes), as QEMU's dump.c writes it.
"""
import contextlib
import struct

import harness

PT_NULL, PT_LOAD, PT_NOTE = 0, 1, 4
NT_PRSTATUS = 1


class Part:
    """So many bytes of a file from here on."""

    def __init__(self, file, left):
        self.file, self.left = file, left

    def read(self, n):
        data = self.file.read(min(n, self.left))
        self.left -= len(data)
        return data


class Image:
    def __init__(self, path):
        self.path = path
        with open(path, "rb") as file:
            head = file.read(64)
            phoff = struct.unpack_from("<Q", head, 32)[0]
            phentsize, phnum = struct.unpack_from("<HH", head, 54)
            file.seek(phoff)
            table = file.read(phentsize * phnum)
        self.headers = []  # [(place of the header in the file, type, offset, paddr, filesz)]
        for at in range(0, len(table), phentsize):
            kind, _, offset, _, paddr, filesz = struct.unpack_from("<IIQQQQ", table, at)
            self.headers.append((phoff + at, kind, offset, paddr, filesz))
        self.size = max(offset + filesz for _, _, offset, _, filesz in self.headers)

    def offset(self, pa, length=1):
        """Where in the file @length bytes of physical memory lie."""
        for _, kind, offset, paddr, filesz in self.headers:
            if kind == PT_LOAD and paddr <= pa and pa + length <= paddr + filesz:
                return offset + pa - paddr
        raise AssertionError(f"{self.path}: no memory at {pa:#x}")

    def read_at(self, offset, length):
        with open(self.path, "rb") as file:
            file.seek(offset)
            return file.read(length)

    def write_at(self, offset, data):
        with open(self.path, "r+b") as file:
            file.seek(offset)
            file.write(data)

    def read(self, pa, length):
        return self.read_at(self.offset(pa, length), length)

    @contextlib.contextmanager
    def changed_at(self, changes):
        """Put each of [(offset, bytes)] into the file for a while."""
        kept = [(offset, self.read_at(offset, len(data))) for offset, data in changes]
        try:
            for offset, data in changes:
                self.write_at(offset, data)
            yield self
        finally:
            for offset, data in reversed(kept):
                self.write_at(offset, data)

    def changed(self, *changes):
        """Put each (physical address, bytes) there for a while."""
        return self.changed_at([(self.offset(pa, len(data)), data) for pa, data in changes])

    def notes(self):
        """[(owner, type, all bytes of the note)]"""
        _, _, offset, _, filesz = next(h for h in self.headers if h[1] == PT_NOTE)
        data, found, at = self.read_at(offset, filesz), [], 0
        while at + 12 <= len(data):
            namesz, descsz, kind = struct.unpack_from("<III", data, at)
            end = at + 12 + (namesz + 3 & ~3) + (descsz + 3 & ~3)
            found.append((data[at + 12:at + 12 + namesz].rstrip(b"\0"), kind, data[at:end]))
            at = end
        return found

    def without_notes(self):
        """For a while, no PT_NOTE at all."""
        place = next(h[0] for h in self.headers if h[1] == PT_NOTE)
        return self.changed_at([(place, struct.pack("<I", PT_NULL))])

    def without_cpu_notes(self):
        """For a while, no PRSTATUS and no QEMU note. What else there is stays, VMCOREINFO too."""
        place, _, offset, _, _ = next(h for h in self.headers if h[1] == PT_NOTE)
        kept = b"".join(data for owner, kind, data in self.notes()
                        if owner != b"QEMU" and not (owner == b"CORE" and kind == NT_PRSTATUS))
        size = struct.pack("<QQ", len(kept), len(kept))
        return self.changed_at([(offset, kept), (place + 32, size)])


class KernelImage(Image):
    """The same, with the kernel's addresses, as the tool says them of the intact dump."""

    def __init__(self, path):
        super().__init__(path)
        self.known = {}

    def ask(self, *words):
        if words not in self.known:
            command, *args = words
            result = harness.run(command, self.path, *args, "--json")
            if result.code:
                raise AssertionError(str(result))
            self.known[words] = result.rows
        return self.known[words]

    def pa(self, va, pid=None):
        """Physical address of a kernel symbol or address, or of one of a process."""
        words = [hex(va) if isinstance(va, int) else va]
        if pid is not None:
            words += ["--pid", str(pid)]
        return int(self.ask("translate", *words)[0]["pa"], 16)

    def va(self, symbol):
        return int(self.ask("sym", symbol)[0]["addr"], 16)

    def member(self, kind, member):
        return self.ask("type", kind, member)[0]["offset"]

    def pointer(self, va):
        return struct.unpack("<Q", self.read(self.pa(va), 8))[0]

    def vmcoreinfo(self, key):
        """The value of a line of the VMCOREINFO note."""
        text = next(data for owner, _, data in self.notes() if owner == b"VMCOREINFO")
        for line in text.split(b"\n"):
            if line.startswith(key.encode() + b"="):
                return line.partition(b"=")[2].decode()
        raise AssertionError(f"{self.path}: VMCOREINFO has no {key}")

    def noted_symbol(self, name):
        return int(self.vmcoreinfo(f"SYMBOL({name})"), 16)

    def poke(self, *changes):
        """Put each (kernel address, 64-bit number or bytes) there for a while."""
        return self.changed(*((self.pa(va), data if isinstance(data, bytes)
                               else struct.pack("<Q", data)) for va, data in changes))
