# SPDX-License-Identifier: MIT
"""Dumps that are cut short or lie: an answer or a refusal, what can be read still comes."""
import json
import struct

from harness import Case, make_file, run

PAGE = 4096
LOAD, NOTE = 1, 4


def elf_core(segments, notes=b"", *, machine=62, count=None, offset_of_headers=64):
    """An ELF64 core (System V ABI, chapter 4 and 5): segments are (type, paddr, filesz, memsz, offset)."""
    n = len(segments) if count is None else count
    ident = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    head = struct.pack("<HHIQQQIHHHHHH", 4, machine, 1, 0, offset_of_headers, 0, 0, 64, 56, n, 0, 0, 0)
    table = b"".join(struct.pack("<IIQQQQQQ", kind, 6, offset, 0, paddr, filesz, memsz, 0)
                     for kind, paddr, filesz, memsz, offset in segments)
    return ident + head + table + notes


def whole_core():
    """Two pages at 0x1000, whose bytes are their page's number, and a page that was not saved."""
    segments = [(LOAD, 0x1000, 2 * PAGE, 2 * PAGE, PAGE), (LOAD, 0x8000, 0, PAGE, 0)]
    head = elf_core(segments)
    return head + bytes(PAGE - len(head)) + b"\x01" * PAGE + b"\x02" * PAGE


class BrokenDump(Case):
    def read(self, data, addr, length):
        return run("read", make_file("broken.elf", data), addr, length, "--hex")

    def test_a_whole_one_is_read(self):
        result = self.read(whole_core(), "0x1ffe", 4)
        self.expect(result, 0, "01010202\n", "")
        (info,) = json.loads(run("info", make_file("broken.elf", whole_core()), "--json").out)
        self.assertEqual((info["connector"], info["arch"]), ("elfcore", "x86_64"))

    def expect_refused_or_marked(self, data):
        """Either not opened at all, or opened with the remark that it is not whole."""
        result = run("info", make_file("broken.elf", data))
        if result.code == 0:
            self.assertIn("cut off", result.out)
        else:
            self.expect_error(result, 4, "broken.elf")

    def test_cut_short_at_every_byte_of_its_headers_it_is_refused_or_marked(self):
        whole = whole_core()
        for length in range(1, 64 + 2 * 56):
            with self.subTest(length=length):
                self.expect_refused_or_marked(whole[:length])
        self.expect_error(run("info", make_file("broken.elf", whole[:64])), 4, "broken.elf")

    def test_cut_short_in_its_data_it_gives_what_is_there(self):
        result = self.read(whole_core()[:2 * PAGE + 2], "0x1ffe", 8)
        self.expect(result, 3, "01010202" + "--" * 4 + "\n")
        self.assertIn("the file ends before this address", result.err)

    def test_memory_that_was_not_saved_is_no_zero(self):
        result = self.read(whole_core(), "0x8000", 4)
        self.assertEqual(result.out, "--------\n", str(result))
        self.assertEqual(result.code, 1)

    def test_segments_that_lie_never_crash_it_and_never_show_what_is_not_theirs(self):
        top = 2 ** 64 - 1
        lies = [
            (LOAD, 0x1000, top, top, PAGE),            # larger than any file
            (LOAD, 0x1000, PAGE, PAGE, top),           # begins behind its end
            (LOAD, top - 10, PAGE, PAGE, PAGE),        # runs past the end of the address space
            (LOAD, 0x1000, 2 * PAGE, PAGE, PAGE),      # more in the file than in memory
            (LOAD, 0x1000, PAGE, 0, PAGE),             # no memory at all
            (NOTE, 0, top, top, top),                  # notes beyond everything
            (NOTE, 0, 4, 4, 64),                       # notes too short for one
        ]
        for lie in lies:
            with self.subTest(lie=lie):
                segments = [lie, (LOAD, 0x100000, PAGE, PAGE, PAGE)]
                head = elf_core(segments)
                data = head + bytes(PAGE - len(head)) + b"\x01" * PAGE
                result = self.read(data, "0x100000", 4)
                self.assertIn(result.code, (0, 4), str(result))
                self.assertIn(result.out, ("01010101\n", ""), str(result))
                self.assertIn(run("info", make_file("broken.elf", data)).code, (0, 4))

    def test_overlapping_segments_are_read_or_refused(self):
        segments = [(LOAD, 0x1000, 2 * PAGE, 2 * PAGE, PAGE), (LOAD, 0x2000, PAGE, PAGE, PAGE)]
        head = elf_core(segments)
        data = head + bytes(PAGE - len(head)) + b"\x01" * PAGE + b"\x02" * PAGE
        result = self.read(data, "0x2000", 2)
        self.assertIn(result.code, (0, 4), str(result))
        if result.code == 0:
            self.assertIn(result.out, ("0202\n", "0101\n"))

    def test_more_headers_than_the_file_has_are_refused_or_marked(self):
        self.expect_refused_or_marked(elf_core([(LOAD, 0x1000, PAGE, PAGE, PAGE)], count=60000))
        data = elf_core([(LOAD, 0x1000, PAGE, PAGE, PAGE)], offset_of_headers=2 ** 64 - 8)
        self.expect_error(run("info", make_file("broken.elf", data)), 4, "broken.elf")

    def test_a_dump_without_a_kernel_in_it_says_so(self):
        result = run("ps", make_file("broken.elf", whole_core()))
        self.expect_error(result, 5, "sonde: ps: ")

    def test_an_executable_is_no_dump(self):
        data = bytearray(whole_core())
        data[16] = 2  # ET_EXEC
        self.expect_error(run("ps", make_file("program", bytes(data))), 4, "program")
