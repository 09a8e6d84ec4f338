# SPDX-License-Identifier: MIT
"""kdump-compressed dumps: QEMU's own, and what makedumpfile makes of the same moment."""
import hashlib
import os
import shutil
import struct
import subprocess
import unittest

import proofs
import test_compare
import worlds
from harness import FOLDER, SONDE, Case, View, run
from images import PT_LOAD, Image, Part

PAGE = 4096
LOW, HIGH = 0x100000, 0x8000000  # of the guest's RAM, what is compared byte for byte


class QemuKdumpTest(test_compare.Comparison, Case):
    name = "kdump"


def plain_elf(path, out):
    """QEMU's ELF core with its headers where libelf, and so makedumpfile, wants them."""
    image = Image(path)
    with open(path, "rb") as old, open(out, "wb") as new:
        head = bytearray(old.read(64))
        struct.pack_into("<QQ", head, 32, 64, 0)  # e_phoff, e_shoff
        struct.pack_into("<HHHHHH", head, 52, 64, 56, len(image.headers), 0, 0, 0)
        at = PAGE
        table = b""
        for place, kind, offset, _, filesz in image.headers:
            old.seek(place)
            header = bytearray(old.read(56))
            struct.pack_into("<Q", header, 8, at)
            table += header
            old.seek(offset)
            new.seek(at)
            shutil.copyfileobj(Part(old, filesz), new, 1 << 20)
            at += -(-filesz // PAGE) * PAGE
            assert kind == PT_LOAD or filesz < 1 << 20
        new.seek(0)
        new.write(head + table)


def digest(target):
    """Of the raw bytes, holes as zeros."""
    result = run("read", target, hex(LOW), hex(HIGH - LOW), "--phys", "--raw")
    return len(result.out), hashlib.sha256(result.out).hexdigest()


@unittest.skipUnless(shutil.which("makedumpfile"), "no makedumpfile")
class MakedumpfileTest(Case):
    """Each way of makedumpfile, against the ELF core that it was made from."""

    @classmethod
    def setUpClass(cls):
        cls.core = worlds.main().dump
        cls.view = worlds.main().views["dump"]
        cls.elf = os.path.join(FOLDER, "plain.elf")
        plain_elf(cls.core, cls.elf)
        cls.bytes = digest(cls.core)

    @classmethod
    def tearDownClass(cls):
        os.unlink(cls.elf)

    def make(self, *options, parts=("made",), **how):
        paths = [os.path.join(FOLDER, leaf) for leaf in parts]
        for path in paths:
            self.addCleanup(lambda path=path: os.path.exists(path) and os.unlink(path))
        subprocess.run(["makedumpfile", *options, self.elf, *([] if how else paths)], check=True,
                       stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=300,
                       **(how or {"stdout": subprocess.PIPE}))
        return paths

    def expect_same(self, path):
        view = View(path)
        for words in (("ps",), ("modules",), ("maps", "--all")):
            self.assertEqual(view.rows(*words), self.view.rows(*words), path)
        self.assertEqual(view.info()["cpus"], 1)
        self.assertEqual(digest(path), self.bytes)

    def test_every_packing_holds_the_same_bytes(self):
        for options, packing, writer in ((("-c", "-d", "0"), "zlib", "makedumpfile -c"), (("-l", "-d", "0"), "lzo", "makedumpfile -l"),
                                         (("-d", "0"), "not packed", "makedumpfile"), (("-c", "-d", "1"), "zlib", "makedumpfile -c")):
            with self.subTest(options):
                path, = self.make(*options)
                self.expect_same(path)
                os.unlink(path)
                proofs.proved(f"kdump-compressed, {packing}", writer, "bytes", "ps")

    def test_a_flattened_one_is_read_from_its_file_and_from_a_pipe(self):
        path = os.path.join(FOLDER, "made")
        with open(path, "wb") as out:
            self.make("-F", "-l", "-d", "1", stdout=out)
        self.expect_same(path)
        with open(path, "rb") as pipe:
            data = subprocess.run([SONDE, "ps", "kdump:-", "--json"],
                                  stdin=pipe, stdout=subprocess.PIPE, check=True, timeout=300).stdout
        self.assertEqual(data, View(path).ask("ps").out)
        proofs.proved("kdump-compressed, lzo, flattened", "makedumpfile -F", "bytes", "ps")

    def test_elf_cores_are_read_flattened_and_not(self):
        path, = self.make("-E", "-d", "0")
        self.expect_same(path)
        proofs.proved("ELF64 core", "makedumpfile -E", "bytes", "ps")
        with open(path, "wb") as out:
            self.make("-F", "-E", "-d", "0", stdout=out)
        self.assertIn("flattened", View(path).info()["detail"])
        self.expect_same(path)
        proofs.proved("ELF64 core, flattened", "makedumpfile -F -E", "bytes", "ps")

    def test_parts_are_one_dump(self):
        paths = self.make("--split", "-c", "-d", "1", parts=("part-1", "part-2", "part-3"))
        self.expect_same(paths[1])
        proofs.proved("kdump-compressed, in parts", "makedumpfile --split", "bytes", "ps")

    def test_pages_that_were_left_out_are_said_and_the_kernels_own_are_there(self):
        path, = self.make("-c", "-d", "31")
        self.assertLess(os.path.getsize(path), os.path.getsize(self.core) / 4)
        result = View(path).ask("ps")
        self.expect(result, 3, "the dump left this page out")
        whole = {row["pid"]: row["name"] for row in self.view.rows("ps")}
        self.assertEqual({row["pid"]: row["name"] for row in result.rows}, whole)
        self.assertEqual(View(path).rows("modules"), self.view.rows("modules"))
        self.assertEqual(View(path).rows("dmesg"), self.view.rows("dmesg"))
