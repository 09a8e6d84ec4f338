# SPDX-License-Identifier: MIT
"""Guests that libvirt saved packed, in each of its ways."""
import json
import os
import re
import shutil
import struct
import subprocess
import unittest

from harness import SOURCE, Case, make_file, run

PACKINGS = {"gzip": 1, "bzip2": 2, "xz": 3, "lzop": 4, "zstd": 5}  # libvirt 11.2 src/qemu/qemu_saveimage.h
XML = b"<domain/>\0"


def stream():
    """A small migration stream."""
    with open(os.path.join(SOURCE, "tests", "fuzz", "corpus", "migration", "whole"), "rb") as file:
        return file.read()


def packed(packer, data=None):
    """What libvirt makes of it: its head, and the stream, or @data, through that tool."""
    done = subprocess.run([packer, "-c"], input=data or stream(), capture_output=True, check=True)
    return struct.pack("<16s4I60x", b"LibvirtQemudSave", 2, len(XML), 1, PACKINGS[packer]) + XML + done.stdout


@unittest.skipIf("no connector here reads" in run("info", make_file("a-stream", stream())).err,
                 "built without the connector migration")
class PackedSaves(Case):
    def each(self, check):
        for packer in PACKINGS:
            with self.subTest(packer):
                if not shutil.which(packer):
                    self.skipTest(f"no {packer}")
                check(packer)

    def rows(self, path, *words):
        result = run(*words, path, "--json") if words else run("info", path, "--json")
        self.expect(result, 0, err="")
        return json.loads(result.out)

    def whole(self, path):
        result = run("read", path, 0, "1M", "--phys", "--raw")
        return result.code, result.out, result.err.replace(path, "FILE")

    def test_they_are_read_like_the_stream(self):
        plain = make_file("a-stream", stream())

        def check(packer):
            path = make_file("save." + packer, packed(packer))
            here, there = self.rows(path)[0], self.rows(plain)[0]
            self.assertEqual(here["detail"], f"saved by libvirt while it ran, packed by {packer}; {there['detail']}")
            self.assertEqual(here["memory"], there["memory"])
            self.assertEqual(self.whole(path), self.whole(plain))
            self.assertEqual(self.rows(path, "cpus"), self.rows(plain, "cpus"))

        self.each(check)

    def test_one_that_is_cut_off_has_what_came(self):
        def check(packer):
            data = packed(packer)
            result = run("info", make_file("save.cut", data[:-len(data) // 3]))
            self.assertIn(result.code, (0, 3, 4))
            self.assertRegex(result.err + result.out, r"cut off|ends too early|no whole|ends before|is damaged")

        self.each(check)

    def test_one_that_is_none_is_refused(self):
        head = packed("gzip")[:92 + len(XML)]
        result = run("info", make_file("save.none", head + bytes(4096)))
        self.expect_error(result, 4, "packed by gzip, which cannot be unpacked here: unpack it and open that: tail -c ")
        later = bytearray(packed("gzip"))
        later[16] = 4
        self.expect_error(run("info", make_file("save.later", bytes(later))), 4, "version: is not 1 to 3")
        sparse = bytearray(head)
        sparse[28] = 6
        self.expect_error(run("info", make_file("save.sparse", bytes(sparse) + bytes(4096))), 4, "in the format sparse")

    def test_what_is_too_large_says_what_to_run(self):
        grown = stream() + bytes(2 << 20)

        def check(packer):
            path = make_file("save.large", packed(packer, grown))
            result = run("info", path, env=dict(os.environ, SONDE_UNPACK_MAX="1"))
            if packer in ("lzop", "xz"):  # in blocks: none of them is too large
                self.expect(result, 0)
                return
            self.expect_error(result, 4, "to more than may be unpacked into memory")
            command = re.search(r"open that: (tail .*) > FILE", result.err).group(1)
            unpacked = subprocess.run(["sh", "-c", command], capture_output=True, check=True).stdout
            self.assertEqual(unpacked, grown)

        self.each(check)
