# SPDX-License-Identifier: MIT
"""Dumps of every format behind URLs: the bytes are those of the file, in few requests, and what a server that breaks sent is kept."""
import json
import os
import random
import re
import sys
import unittest

from harness import FOLDER, Case, make_file, run
from test_http import ENVIRONMENT, NONE, ask

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "synth"))
import formats  # noqa: E402
from server import Server  # noqa: E402

SIZE = 3 << 20
PART = 1 << 20  # of what is split


def memory():
    """Pages that pack and pages that do not, none of which is another's."""
    chance = random.Random(6)
    return b"".join(chance.randbytes(4096) if i % 2 else (b"%08d" % i) * 512 for i in range(SIZE // 4096))


BYTES = memory()
# Requests for all of it, at most: those of a batch go together.
FEW = {"kdump-zlib": 14, "kdump-zstd": 14, "split": 20}
# Whose index tells where a page lies: then a little is read for a little. All others are read through to be opened.
INDEXED = {"raw", "crash", "mini", "elf", "lime", "kdump-zlib", "kdump-zstd"}


def written():
    """What this build writes of what the tool can write."""
    said = run("dump", FOLDER, "--output", "/nowhere", "--format", "none").err
    return {"elf", "lime", "kdump-zlib", "kdump-zstd", "avml"} & set(re.split("[ ,;]+", said))


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def make():
    """The target of each format, with {} for the folder or the server in front of it."""
    raw = make_file("dump.raw", BYTES)
    for i in range(3):
        make_file(f"part.00{i + 1}", BYTES[i * PART:][:PART])
    targets = {"raw": "flat:{}dump.raw", "parts": "flat:{}part.001,parts=all",
               "regions": "flat:{}dump.raw,regions=0+1m;1m+2m"}
    for name in ("crash_dump", "minidump", "stream", "save", "qcow2"):
        make_file("dump." + name, getattr(formats, name)(BYTES))
        targets[{"crash_dump": "crash", "minidump": "mini"}.get(name, name)] = "{}dump." + name
    for format in written():
        done = run("dump", "flat:" + raw, "--output", f"{FOLDER}/dump.{format}", "--format", format)
        assert done.code == 0, done
        targets[format] = "{}dump." + format
    for format in ("elf", "kdump-zlib"):
        if format in targets:
            make_file("flat-" + format, formats.flattened(read_file(FOLDER + "/dump." + format)))
            targets["flattened " + format] = "{}flat-" + format
    if "kdump-zstd" in targets:
        for i, part in enumerate(formats.split(read_file(FOLDER + "/dump.kdump-zstd"), 3)):
            make_file(f"split-{i + 1}.kdump", part)
        targets["split"] = "{}split-2.kdump"
    return targets


@unittest.skipIf("reads no URLs" in NONE.err or "libcurl" in NONE.err, "built without libcurl")
class FormatCase(Case):
    @classmethod
    def setUpClass(cls):
        cls.targets = make()
        cls.server = Server(FOLDER)
        cls.server.__enter__()
        cls.addClassCleanup(cls.server.__exit__)

    def url(self, format, fault=""):
        self.server.forget()
        return self.targets[format].format(self.server.url(fault))

    def read(self, target, addr, n, *options):
        space = () if "mini" in target else ("--phys",)
        return run("read", target, addr, n, *space, "--raw", *options, env=ENVIRONMENT, text=False)

    def requests(self, format):
        """What opening it takes, and a byte."""
        self.read(self.url(format), 0, 1)
        return self.server.requests

    def missing(self):
        """Requests for parts that are not there: they are of no image."""
        return sum(not os.path.exists(os.path.join(FOLDER, os.path.basename(path))) for path in self.server.paths)


class Bytes(FormatCase):
    def test_they_are_those_of_the_file_and_what_they_took_is_told(self):
        for format in self.targets:
            with self.subTest(format):
                url = self.url(format, "delay-5/")
                result = self.read(url, 0, SIZE, "--stats")
                said = result.err.decode()
                self.assertEqual(result.code, 0, said)
                self.assertTrue(result.out == BYTES)
                found = re.findall(r"image: HTTP ranges: (\d+) requests, (\d+) of", said)
                self.assertEqual([sum(int(row[i]) for row in found) for i in range(2)], 
                                 [self.server.requests - self.missing(), self.server.bytes])
                self.assertLessEqual(self.server.requests, FEW.get(format, 40))

    def test_info_is_that_of_the_file(self):
        for format in sorted({"parts", "crash", "qcow2", "avml", "flattened elf", "kdump-zlib", "split"} & set(self.targets)):
            with self.subTest(format):
                rows = [json.loads(ask("info", target, "--json").out)[0]
                        for target in (self.targets[format].format(FOLDER + "/"), self.url(format))]
                for key in ("connector", "detail", "arch", "cpus", "writable"):
                    self.assertEqual(rows[0].get(key), rows[1].get(key), key)
                self.assertEqual(rows[1]["fetched"], self.server.bytes)

    def test_a_little_takes_a_little(self):
        for format in sorted(INDEXED & set(self.targets)):
            with self.subTest(format):
                result = self.read(self.url(format), 2 * PART + 4096, 4096)
                self.assertEqual(result.out, BYTES[2 * PART + 4096:][:4096], result.err)
                self.assertLess(self.server.bytes, 160 << 10)
                self.assertLess(self.server.requests, 10)

    def test_what_is_written_goes_into_an_overlay(self):
        for format in ("raw", "crash", "stream"):
            with self.subTest(format):
                self.expect_error(ask("write", self.url(format), 0, "--hex", "00", "--phys", "--write"), 4,
                                  "cannot be written", "overlay")


class Faults(FormatCase):
    def test_a_server_that_breaks_is_named_and_what_came_is_kept(self):
        for format in sorted({"raw", "mini", "kdump-zlib"} & set(self.targets)):
            with self.subTest(format):
                fault = f"after-{self.requests(format) + 3}/"
                result = self.read(self.url(format, fault), 0, SIZE)
                said = result.err.decode()
                self.assertEqual(result.code, 3, said)
                self.assertIn(f"meanwhile: '{self.server.url(fault)}", said)
                self.assertIn(": the server answered 500", said)
                pages = [(result.out[at:at + 4096], BYTES[at:at + 4096]) for at in range(0, SIZE, 4096)]
                self.assertTrue(all(page.startswith(came.rstrip(b"\0")) or page.endswith(came.lstrip(b"\0"))
                                    for came, page in pages))
                came = sum(came == page for came, page in pages)
                self.assertTrue(16 <= came < len(pages), came)

    def test_one_that_breaks_while_it_is_opened_is_named(self):
        for format in sorted({"stream", "avml", "flattened kdump-zlib"} & set(self.targets)):
            with self.subTest(format):
                fault = f"after-{self.requests(format) - 1}/"
                self.expect_error(ask("info", self.url(format, fault)), 4, "the server answered 500", self.server.url(fault))

    def test_a_part_that_is_missing_is_said(self):
        make_file("gap.001", BYTES[:PART])
        make_file("gap.003", BYTES[:PART])
        url = f"flat:{self.server.url('gap.001')},parts=all"
        self.expect_error(ask("info", url), 4, "gap.002", "gap.003", "is missing")
