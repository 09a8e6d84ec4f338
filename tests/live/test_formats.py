# SPDX-License-Identifier: MIT
"""One moment of a guest in every format: by QEMU, or by a writer of ours from its raw memory."""
import atexit
import os
import struct
import subprocess
import unittest

import compare
import proofs
from harness import FOLDER, SONDE, Case, View, boot

MEGABYTE = 1 << 20
PAGE, PIECE = 4096, MEGABYTE // 8
RAM = 256 * MEGABYTE
HOLE = (0xa0000, 0x100000)  # of a PC: no RAM there
RANGES = ((0, HOLE[0]), (HOLE[1], RAM - HOLE[1]))  # [(address, length)] of its RAM


class Moment:
    """The memory of a guest that stood still, and what it said of itself before and behind."""

    def __init__(self):
        guest = boot("formats", mem=RAM // MEGABYTE)
        atexit.register(guest.stop)
        guest.pause()
        self.raw = os.path.join(FOLDER, "moment.raw")
        subprocess.run(["cp", "--sparse=always", guest.memory_file, self.raw], check=True)
        self.dumps = {kind: guest.dump("moment." + kind, kind) for kind in ("elf", "elf-paging", "kdump-zlib")}
        guest.resume()
        self.truths = [guest.truth, guest.tell()]


class FormatCase(Case):
    """Both comparisons, and a place for the file."""

    @classmethod
    def setUpClass(cls):
        if not hasattr(FormatCase, "moment"):
            FormatCase.moment = Moment()

    def path(self, leaf):
        path = os.path.join(FOLDER, leaf)
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        return path

    def compare_bytes(self, target, address, length, lacks):
        """The exit code of reading a range, whose pages must be those of the moment; @lacks of them may be zeros instead."""
        words = [SONDE, "read", target, hex(address), hex(length), "--phys", "--raw"]
        with open(self.moment.raw, "rb") as raw, \
                subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE if lacks else None) as tool:
            raw.seek(address)
            for at in range(address, address + length, PIECE):
                got, want = tool.stdout.read(PIECE), raw.read(min(PIECE, address + length - at))
                if got == want:
                    continue
                self.assertEqual(len(got), len(want), f"{target}: {at:#x}")
                for page in range(0, PIECE, PAGE):
                    if got[page:page + PAGE] != want[page:page + PAGE]:
                        self.assertFalse(any(got[page:page + PAGE]), f"{target}: {at + page:#x}")
                        lacks -= 1
                self.assertGreaterEqual(lacks, 0, f"{target}: {at:#x}")
            if tool.stderr:
                tool.stderr.read()
        return tool.returncode

    def prove(self, format, writer, target, lacks=0):
        """The target holds the moment's memory, and sonde ps says what the guest said; and a word for the table."""
        codes = {self.compare_bytes(target, *each, lacks) for each in RANGES}
        self.assertLessEqual(codes, {0, 3} if lacks else {0}, target)
        self.assertEqual(compare.process_list_faults(View(target).rows("ps"), self.moment.truths), [], target)
        proofs.proved(format, writer, "bytes", "ps")


class QemuTest(FormatCase):
    def test_an_elf_core(self):
        self.prove("ELF64 core", "QEMU dump-guest-memory", self.moment.dumps["elf"])

    def test_an_elf_core_by_virtual_addresses(self):
        """Of pages that no page table of the kernel maps it has none: those of ACPI, for instance."""
        self.prove("ELF64 core, by virtual addresses", "QEMU dump-guest-memory -p", self.moment.dumps["elf-paging"], lacks=256)

    def test_a_flattened_kdump(self):
        self.prove("kdump-compressed, zlib, flattened", "QEMU dump-guest-memory -z", self.moment.dumps["kdump-zlib"])


def copy_range(raw, out, address, length):
    raw.seek(address)
    while length:
        data = raw.read(min(length, MEGABYTE))
        out.write(data)
        length -= len(data)


class OwnWritersTest(FormatCase):
    @unittest.skipUnless(os.environ.get("SONDE_PACK_AVML"), "built without snappy")
    def test_avml(self):
        path = self.path("moment.avml")
        ranges = [str(number) for each in RANGES for number in each]
        subprocess.run([os.environ["SONDE_PACK_AVML"], self.moment.raw, path, *ranges], check=True)
        self.prove("AVML version 2, snappy", "own writer", path)

    def test_lime(self):
        path = self.path("moment.lime")
        with open(self.moment.raw, "rb") as raw, open(path, "wb") as out:
            for address, length in RANGES:
                out.write(struct.pack("<4sIQQ8x", b"EMiL", 1, address, address + length - 1))
                copy_range(raw, out, address, length)
        self.prove("LiME", "own writer", path)

    def crash_header(self, kind):
        """DUMP_HEADER64 of a dump of that type, of which nobody has set the rest; its runs stand in it as well."""
        head = bytearray(b"PAGE" * (0x2000 // 4))
        struct.pack_into("<4s4s2IQ", head, 0, b"PAGE", b"DU64", 15, 19041, 0x1ad000)
        struct.pack_into("<2I", head, 0x30, 0x8664, 1)
        struct.pack_into("<IIQ", head, 0x88, len(RANGES), 0, sum(length for _, length in RANGES) // PAGE)
        for i, (address, length) in enumerate(RANGES):
            struct.pack_into("<2Q", head, 0x98 + 16 * i, address // PAGE, length // PAGE)
        struct.pack_into("<I", head, 0xf98, kind)
        return head

    def write_crash_dump(self, path, head):
        with open(self.moment.raw, "rb") as raw, open(path, "wb") as out:
            out.write(head)
            for each in RANGES:
                copy_range(raw, out, *each)

    def test_a_crash_dump_of_windows_of_all_memory(self):
        path = self.path("moment.dmp")
        self.write_crash_dump(path, self.crash_header(1))
        self.prove("Windows crash dump, all memory", "own writer", path)

    def test_a_crash_dump_of_windows_with_a_bitmap(self):
        path = self.path("moment-bitmap.dmp")
        bits = sum(((1 << length // PAGE) - 1) << address // PAGE for address, length in RANGES).to_bytes(RAM // PAGE // 8, "little")
        bitmap = struct.pack("<4s4s24xQQQ", b"FDMP", b"DUMP", 0x5000, sum(length for _, length in RANGES) // PAGE, RAM // PAGE) + bits
        self.write_crash_dump(path, self.crash_header(5) + bitmap.ljust(0x3000, b"\0"))
        self.prove("Windows crash dump, a bitmap", "own writer", path)
