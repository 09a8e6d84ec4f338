# SPDX-License-Identifier: MIT
"""sonde dump and convert: what is written, read again, is what was there; and a file is whole or not there."""
import fcntl
import hashlib
import json
import os
import random
import resource
import signal
import stat
import struct
import subprocess
import time

import harness
from harness import FOLDER, SONDE, Case, make_file, run

PAGE = 4096
KDUMPS = ["kdump-zlib", "kdump-zstd", "kdump-lzo", "kdump-snappy"]


def pages(n, seed):
    """n pages: of zeros, that shrink, that do not."""
    chance = random.Random(seed)
    kinds = (lambda: bytes(PAGE), lambda: bytes([chance.randrange(1, 256)]) * PAGE, lambda: chance.randbytes(PAGE),
             lambda: (b"%08d" % chance.randrange(10**8)) * (PAGE // 8))
    return b"".join(chance.choice(kinds)() for _ in range(n))


# Pages, a stretch that neither begins nor ends with one, more than two batches, and an end of zeros.
RANGES = [(0x1000, pages(3, 1)), (0x9fc10, pages(1, 2)[:0x3e5] + b"."), (0x100000, pages(1100, 3) + bytes(7 * PAGE)),
          (0x180000000, pages(9, 4))]


def lime(ranges):
    return b"".join(struct.pack("<4sIQQ8x", b"EMiL", 1, addr, addr + len(data) - 1) + data for addr, data in ranges)


SOURCE = make_file("source.lime", lime(RANGES))


def formats():
    text = run("dump", SOURCE, "--output", "/nowhere", "--format", "none").err
    return text.split("there are ")[1].split(";")[0].split(",")


def path_of(name):
    path = os.path.join(FOLDER, name)
    for leaf in (path, path + ".partial"):
        if os.path.lexists(leaf):
            os.unlink(leaf)
    return path


def dump(path, format, *options, source=SOURCE, command="dump", **how):
    return run(command, source, "-o", path, "--format", format, "--json", *options, **how)


def target(path, format):
    return f"flat:{path}" if format == "raw" else path


def read(name, addr, length):
    return run("read", name, hex(addr), length, "--phys", "--raw", text=False)


def regions(name):
    rows = json.loads(run("maps", name, "--phys", "--json").out)
    return [(int(row["start"], 16), int(row["end"], 16)) for row in rows]


def can_read(format):
    return format != "avml" or '"avml"' in run("plugins", "--json").out


class Formats(Case):
    def test_what_is_written_is_what_was_there(self):
        self.assertEqual(formats(), ["elf", *KDUMPS, "avml", "lime", "windows", "raw"])
        for format in formats():
            with self.subTest(format):
                path = path_of("out." + format)
                result = dump(path, format)
                self.expect(result, 0, err="")
                self.check_row(json.loads(result.out)[0], path, format)
                if can_read(format):
                    self.check_bytes(target(path, format))
                    self.check_holes(target(path, format), format)

    def check_row(self, row, path, format):
        with open(path, "rb") as file:
            data = file.read()
        total = sum(len(bytes_) for _, bytes_ in RANGES)
        self.assertEqual((row["file"], row["format"], row["size"]), (path, format, len(data)))
        self.assertEqual((row["memory"], row["saved"], row["missing"], row["skipped"]), (total, total, 0, None))
        self.assertGreaterEqual(row["zeros"], 7 * PAGE)
        self.assertIn(row["sha256"], (None, hashlib.sha256(data).hexdigest()))
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertFalse(os.path.exists(path + ".partial"))

    def check_bytes(self, name):
        for addr, data in RANGES:
            result = read(name, addr, len(data))
            self.assertEqual(result.code, 0, str(result))
            self.assertEqual(result.out == data, True, f"{name} at {addr:#x}")

    def check_holes(self, name, format):
        wanted = [(addr, addr + len(data)) for addr, data in RANGES]
        if format in (*KDUMPS, "windows"):
            wanted = [(first & -PAGE, last + PAGE - 1 & -PAGE) for first, last in wanted]
        if format == "raw":
            wanted = [(0, wanted[-1][1])]
        found = regions(name)
        self.assertEqual(joined(found), wanted)

    def test_zeros_take_no_room_in_a_file(self):
        image = make_file("zeros.img", bytes(24 << 20) + b"x" * PAGE)
        for format in formats():
            path = path_of("zeros.out")
            self.expect(dump(path, format, source="flat:" + image), 0, err="")
            used = os.stat(path).st_blocks * 512
            self.assertLess(used, 4 << 20, format)

    def test_a_format_becomes_any_other(self):
        before = SOURCE
        for i, format in enumerate([name for name in formats() if name not in ("avml", "raw")]):
            path = path_of(f"chain-{i}.{format}")
            self.expect(dump(path, format, source=before, command="convert"), 0, err="")
            before = path
        self.check_bytes(before)

    def test_more_ranges_than_an_elf_header_counts(self):
        ranges = [(i * 2 * PAGE, b"%064d" % i) for i in range(66000)]
        path = path_of("ranges.elf")
        self.expect(dump(path, "elf", source=make_file("ranges.lime", lime(ranges))), 0, err="")
        for addr, data in (ranges[0], ranges[1], ranges[33000], ranges[-1]):
            self.assertEqual(read(path, addr, len(data)).out, data)

    def test_memory_at_the_end_of_the_address_space(self):
        ranges = [(0, pages(1, 7)), ((1 << 64) - PAGE // 2, b"end." * (PAGE // 8))]
        source = make_file("top.lime", lime(ranges))
        for format in ("elf", "lime"):
            path = path_of("end." + format)
            self.expect(dump(path, format, source=source), 0, err="")
            self.assertEqual(read(path, ranges[1][0], PAGE // 2).out, ranges[1][1])
        for format in ("kdump-zlib", "windows", "raw"):
            self.assertIn("memory goes up to 0xffffffffffffffff", dump(path_of("end"), format, source=source).err)

    def test_one_thread_writes_what_many_do(self):
        for format in ("kdump-zstd", "avml"):
            sums = set()
            for count in (1, 2, 7):
                path = path_of("threads.out")
                self.expect(dump(path, format, "--threads", count), 0, err="")
                with open(path, "rb") as file:
                    sums.add(hashlib.sha256(file.read()).hexdigest())
            self.assertEqual(len(sums), 1, format)


def joined(spans):
    """Those that touch as one: an image of AVML has a head each few MiB."""
    out = []
    for first, end in spans:
        if out and out[-1][1] == first:
            out[-1] = (out[-1][0], end)
        else:
            out.append((first, end))
    return out


class Missing(Case):
    """Two pages and a half cannot be read."""

    SICK = "lime:" + SOURCE + "|fault,at=0x102000+0x2000;0x200000+0x800,error=IO"

    def test_what_is_missing_is_told_and_left_out(self):
        for format in formats():
            with self.subTest(format):
                path = path_of("sick." + format)
                result = dump(path, format, source=self.SICK)
                self.assertEqual(result.code, 3, str(result))
                self.assertIn("physical memory 0x102000-0x103fff: the backend failed", result.err)
                self.assertIn("physical memory 0x200000-0x2007ff: the backend failed", result.err)
                self.assertEqual(json.loads(result.out)[0]["missing"], 0x2800)
                if can_read(format) and format != "raw":
                    self.check(path)

    def check(self, path):
        data = RANGES[2][1]
        self.assertEqual(read(path, 0x102000, 0x2000).code, 1)
        self.assertEqual(read(path, 0x101fff, 1).out, data[0x1fff:0x2000])
        self.assertEqual(read(path, 0x104000, 0x5000).out, data[0x4000:0x9000])
        self.assertEqual(read(path, 0x200000, PAGE).out, bytes(0x800) + data[0x100800:0x101000])
        self.assertEqual(read(path, 0x201000, 0x5000).out, data[0x101000:0x106000])

    def test_a_core_and_a_kdump_say_that_it_was_left_out(self):
        for format in ("elf", "kdump-zlib"):
            path = path_of("left." + format)
            dump(path, format, source=self.SICK)
            self.assertIn("the dump left this page out", read(path, 0x102000, 0x2000).err.decode())

    def test_more_pieces_than_a_header_counts(self):
        holes = ";".join(f"{0x100000 + 2 * PAGE * i:#x}+0x1000" for i in range(200))
        path = path_of("pieces.elf")
        result = dump(path, "elf", source=f"lime:{SOURCE}|fault,at={holes},error=IO")
        self.assertEqual(result.code, 3, str(result))
        for i in (0, 99, 199):
            addr = 0x101000 + 2 * PAGE * i
            self.assertEqual(read(path, addr, PAGE).out, RANGES[2][1][addr - 0x100000:][:PAGE])

    def test_what_is_missing_of_a_page_that_memory_does_not_fill_is_told(self):
        for format in formats():
            result = dump(path_of("sick.page"), format, source=f"lime:{SOURCE}|fault,at=0x9fd00+0x10,error=IO")
            self.assertEqual(result.code, 3, format)
            self.assertIn("physical memory 0x9fd00-0x9fd0f: the backend failed", result.err, format)
            self.assertEqual(json.loads(result.out)[0]["missing"], 0x10, format)

    def test_memory_that_cannot_be_read_at_all_is_a_failure(self):
        result = dump(path_of("unreadable.elf"), "elf", source=f"lime:{SOURCE}|fault,error=IO")
        self.assertEqual(result.code, 1, str(result))


class Windows(Case):
    """The layout by the numbers of WinDbg's nt!_DUMP_HEADER64 and of kdmp-parser's BMP_HEADER64."""

    def test_the_bitmap_counts_the_pages_and_the_header_their_runs(self):
        path = path_of("header.dmp")
        self.expect(dump(path, "windows"), 0, err="")
        with open(path, "rb") as file:
            data = file.read()
        first, present, n_bits = struct.unpack_from("<3Q", data, 0x2020)
        runs = [(addr // PAGE, (addr + len(bytes_) + PAGE - 1) // PAGE) for addr, bytes_ in RANGES]
        pages = [page for begin, end in runs for page in range(begin, end)]
        self.assertEqual(data[:8] + data[0x2000:0x2008], b"PAGEDU64FDMPDUMP")
        self.assertEqual(struct.unpack_from("<I4xQ", data, 0xf98), (5, len(data)))
        self.assertEqual(struct.unpack_from("<QQ", data, 0x88), (len(runs), len(pages)))
        self.assertEqual(struct.unpack_from("<8Q", data, 0x98), tuple(x for b, e in runs for x in (b, e - b)))
        self.assertEqual((present, n_bits, first % PAGE), (len(pages), pages[-1] + 1, 0))
        bits = data[0x2038:0x2038 + (n_bits + 7) // 8]
        self.assertEqual([i for i in range(n_bits) if bits[i // 8] >> i % 8 & 1], pages)
        self.assertEqual(len(data), first + PAGE * len(pages))
        self.assertEqual(data[first:first + len(RANGES[0][1])], RANGES[0][1])

    def test_a_header_that_was_there_is_kept(self):
        path, again = path_of("header.dmp"), path_of("again.dmp")
        self.expect(dump(path, "windows"), 0, err="")
        with open(path, "r+b") as file:
            file.seek(0xc)
            file.write(struct.pack("<IQ", 19041, 0x1ad000))
        self.expect(dump(again, "windows", source=path, command="convert"), 0, err="")
        facts = json.loads(run("info", again, "--json").out)[0]["facts"]
        self.assertIn("windows_build=19041", facts)
        self.assertIn("directory_table_base=0x1ad000", facts)


class Processors(Case):
    def test_of_two_kinds_of_them_no_registers_are_written(self):
        if '"migration"' not in run("plugins", "--json").out:
            self.skipTest("built without the connector migration")
        with open(os.path.join(harness.SOURCE, "tests", "fuzz", "corpus", "migration", "whole"), "rb") as file:
            stream = file.read()
        one = b'{"name": "cpu", "vmsd_name": "cpu", "fields": [{"name": "env.eip", "type": "uint", "size": 8}]}, '
        at, text = stream.index(b"\x0bmc146818rtc") - 5, stream.index(b'{"page_size"')
        also, (length,) = stream.index(b'{"name": "mc146818rtc"'), struct.unpack(">I", stream[text - 4:text])
        stream = (stream[:at] + struct.pack(">BIB3sIIQ", 4, 7, 3, b"cpu", 1, 1, 5) + stream[at:text - 4]
                  + struct.pack(">I", length + len(one)) + stream[text:also] + one + stream[also:])
        source, path = make_file("kinds", stream), path_of("kinds.elf")
        self.assertEqual([row["arch"] for row in json.loads(run("cpus", source, "--json").out)], ["x86_64", None])
        self.assertEqual(dump(path, "elf", source=source).code, 3)  # of its second page half is there
        self.assertEqual(json.loads(run("info", path, "--json").out)[0]["cpus"], 0)


class Exclude(Case):
    def test_words_that_are_none_are_refused_with_those_there_are(self):
        for words in ("zero", "free,", "free,pages", ""):
            result = dump(path_of("excluded.elf"), "elf", "--exclude", words)
            self.assertEqual(result.code, 2, words)
            self.assertIn("there are free,cache,cache-private,user,all", result.err)

    def test_memory_without_a_system_that_tells_is_refused_and_nothing_written(self):
        path = path_of("excluded.elf")
        result = dump(path, "elf", "--exclude", "free")
        self.assertEqual((result.code, result.out), (5, "[]\n"), str(result))
        self.assertIn("--exclude: ", result.err)
        self.assertFalse(os.path.exists(path))


class Whole(Case):
    """Under its name a file is whole, or what was there before."""

    def setUp(self):
        self.path = path_of("whole.out")

    def expect_nothing(self, result, *parts, code=1):
        self.assertEqual((result.code, result.out), (code, "[]\n"), str(result))
        for part in parts:
            self.assertIn(part, result.err)
        self.assertFalse(os.path.exists(self.path), str(result))

    def test_a_full_disk_leaves_nothing(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        for format in formats():
            self.expect_nothing(dump(self.path, format, preexec_fn=limit), "File too large", "ulimit")
            self.assertEqual(os.path.exists(self.path + ".partial"), format == "raw", format)

    def test_what_was_there_stays_until_the_new_one_is_whole(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        make_file("whole.out", b"old")
        dump(self.path, "lime", preexec_fn=limit)
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(), b"old")
        self.expect(dump(self.path, "lime"), 0, err="")
        with open(self.path, "rb") as file:
            self.assertEqual(file.read(4), b"EMiL")

    def interrupt(self, format):
        """Of a dump that would take minutes, once its first batches are in the file."""
        words = [SONDE, "dump", f"lime:{SOURCE}|throttle,bytes=200000", "-o", self.path, "--format", format]
        child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 60
        while time.monotonic() < end and not (os.path.exists(self.path + ".partial")
                                              and os.path.getsize(self.path + ".partial")):
            time.sleep(0.02)
        child.send_signal(signal.SIGINT)
        try:
            _, err = child.communicate(timeout=100)
        finally:
            child.kill()
            child.wait()
        return child.returncode, err

    def test_ctrl_c_leaves_nothing(self):
        code, err = self.interrupt("lime")
        self.assertEqual(code, 1, err)
        self.assertIn("ended before it was whole", err)
        self.assertFalse(os.path.exists(self.path))
        self.assertFalse(os.path.exists(self.path + ".partial"))

    def test_two_programs_do_not_write_one_file(self):
        with open(self.path + ".partial", "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.expect_nothing(dump(self.path, "elf"), "is being written by another program")
            self.assertTrue(os.path.exists(self.path + ".partial"))

    def test_a_link_in_the_place_of_the_partial_file_is_not_followed(self):
        victim = make_file("victim", b"precious")
        os.symlink(victim, self.path + ".partial")
        self.expect_nothing(dump(self.path, "elf"))
        os.unlink(self.path + ".partial")
        os.link(victim, self.path + ".partial")
        self.expect_nothing(dump(self.path, "elf"), "somebody else's")
        with open(victim, "rb") as file:
            self.assertEqual(file.read(), b"precious")


class Resume(Case):
    def setUp(self):
        self.path = path_of("resumed.raw")
        self.whole = path_of("whole.raw")
        self.source = "flat:" + make_file("resumed.img", pages(2700, 9))
        dump(self.whole, "raw", source=self.source)

    def cut_off(self, size):
        with open(self.whole, "rb") as old, open(self.path + ".partial", "wb") as new:
            new.write(old.read(size))

    def test_it_goes_on_and_is_the_same(self):
        with open(self.whole, "rb") as file:
            wanted = file.read()
        for size in (1, 4 << 20, (8 << 20) + 12345):
            self.cut_off(size)
            result = dump(self.path, "raw", "--resume", source=self.source)
            self.expect(result, 0, err="")
            row = json.loads(result.out)[0]
            self.assertEqual(row["skipped"] or 0, max(0, (size >> 22) - 1) << 22)
            with open(self.path, "rb") as file:
                self.assertEqual(file.read() == wanted, True, size)

    def test_of_other_memory_it_is_refused_and_kept(self):
        self.cut_off(9 << 20)
        with open(self.path + ".partial", "r+b") as file:
            file.seek((8 << 20) - 1)
            file.write(b"\x01" if file.read(1) != b"\x01" else b"\x02")
            file.seek((8 << 20) - 5)
            file.write(b"other")
        self.expect_other_memory(self.source)

    def expect_other_memory(self, source):
        result = dump(self.path, "raw", "--resume", source=source)
        self.assertEqual(result.code, 1, str(result))
        self.assertIn("was written from other memory: remove it and begin anew\n", result.err)
        self.assertTrue(os.path.exists(self.path + ".partial"))
        self.assertFalse(os.path.exists(self.path))

    def test_of_larger_memory_it_is_refused_and_kept(self):
        self.cut_off(9 << 20)
        os.truncate(self.path + ".partial", 16 << 20)
        self.expect_other_memory(self.source)

    def test_what_lies_in_front_of_a_hole_is_compared(self):
        ranges = [(0, pages(1300, 5)), (64 << 20, pages(5, 6))]
        source = make_file("hole.lime", lime(ranges))
        self.expect(dump(self.whole, "raw", source=source), 0, err="")
        self.cut_off((64 << 20) + PAGE)
        self.expect(dump(self.path, "raw", "--resume", source=source), 0, err="")
        os.unlink(self.path)
        self.cut_off((64 << 20) + PAGE)
        with open(self.path + ".partial", "r+b") as file:
            file.seek(1299 * PAGE)
            file.write(b"other")
        self.expect_other_memory(source)

    def test_where_there_is_nothing_it_says_so(self):
        result = dump(self.path, "raw", "--resume", source=self.source)
        self.assertIn("nothing to resume", result.err)
        self.assertEqual(dump(self.path, "elf", "--resume", source=self.source).code, 2)


class Refusals(Case):
    def test_what_makes_no_sense(self):
        self.expect_error(run("dump", SOURCE), 2, "where to? --output FILE")
        self.expect_error(run("dump", SOURCE, "-o", "x", "--format", "zip"), 2, "--format 'zip': there are elf,")
        self.expect_error(run("dump", f"process:{os.getpid()}", "-o", path_of("x")), 1, "no memory of a machine")
        self.expect_error(run("dump", SOURCE, "-o", FOLDER), 1, "is no regular file")
        self.expect_error(run("dump", SOURCE, "-o", "/dev/null"), 1, "is no regular file")
        self.expect_error(run("dump", SOURCE, "-o", "/nowhere/x"), 1, "No such file")

    def test_memory_that_a_format_cannot_hold(self):
        far = make_file("far.lime", lime([(0x1000, b"low" * 2000), (1 << 62, b"high" * 2000)]))
        for format in ("kdump-zlib", "raw"):
            path = path_of("far.out")
            result = run("convert", far, "-o", path, "--format", format)
            self.assertEqual(result.code, 1, str(result))
            self.assertFalse(os.path.exists(path))
        for format in ("elf", "lime"):
            path = path_of("far-too." + format)
            self.expect(run("convert", far, "-o", path, "--format", format, "-f", "missing"), 0, err="")
            self.assertEqual(read(path, 1 << 62, 8).out, b"highhigh")
