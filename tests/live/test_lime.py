# SPDX-License-Identifier: MIT
"""A guest's memory as an image of LiME: its ranges, and nothing that says what they are; made here, and by LiME itself."""
import os
import shutil
import struct
import unittest

import compare
import proofs
import worlds
from harness import FOLDER, Case, View, boot, lab, need_lab, run
from images import PT_LOAD, Image, Part

import lime  # of the lab


class LimeTest(Case):
    def test_the_kernel_is_found_in_memory_alone(self):
        image = Image(worlds.main().dump)
        path = os.path.join(FOLDER, "image.lime")
        self.addCleanup(os.unlink, path)
        with open(image.path, "rb") as core, open(path, "wb") as lime:
            for _, kind, offset, paddr, filesz in image.headers:
                if kind == PT_LOAD:
                    lime.write(struct.pack("<4sIQQ8x", b"EMiL", 1, paddr, paddr + filesz - 1))
                    core.seek(offset)
                    shutil.copyfileobj(Part(core, filesz), lime, 1 << 20)
        view = View(path)
        self.assertEqual(compare.process_list_faults(view.rows("ps"), worlds.main().truths), [])
        self.assertEqual(view.rows("modules"), worlds.main().views["dump"].rows("modules"))
        self.assertEqual(view.info()["connector"], "lime")
        self.assertEqual(view.info()["cpus"], 0)


RAM = 256  # MiB
NAMES = {"lime": "LiME", "padded": "LiME, padded"}  # its formats, as table.txt has them


class OwnTest(Case):
    """The module runs in the guest, which goes on meanwhile: what stands still in it is compared, and the list."""

    @classmethod
    def setUpClass(cls):
        need_lab()
        cls.disk, extra = os.path.join(FOLDER, "lime.disk"), os.path.join(FOLDER, "lime.cpio")
        try:
            lime.write_archive(lab.fetch(), extra)
        except lab.LabError as err:  # the kernel in the cache may be older than the headers that the mirror has
            for name in NAMES.values():
                proofs.not_tested(name, "LiME", str(err))
            raise unittest.SkipTest(str(err)) from err
        cls.guest = boot("lime", mem=RAM, extra=extra, start=lime.start_with_disk(cls.disk, 2 * RAM << 20))

    @classmethod
    def tearDownClass(cls):
        cls.guest.stop()
        os.unlink(cls.disk)

    def taken(self, format):
        with open(self.disk, "r+b") as file:
            file.truncate(0)
            file.truncate(2 * RAM << 20)
        self.writer = lime.write("lime", FOLDER, format)
        self.guest.tell()
        return self.disk

    def kernel_bytes(self, target):
        """Of its text and read-only data, most of which nobody writes to."""
        info = View(self.guest.target()).info()
        at, end = int(info["text_start"], 16), int(info["text_end"], 16)
        result = run("read", target, hex(at), end - at, "--kernel", "--raw")
        self.assertEqual((result.code, len(result.out)), (0, end - at), result.err)
        return result.out

    def prove(self, format, target, connector):
        truths = [self.guest.truths[-2], self.guest.truths[-1]]
        view = View(target)
        self.assertEqual(view.info()["connector"], connector)
        rows = [row for row in view.rows("ps") if row["pid"] != self.writer]
        self.assertEqual(compare.process_list_faults(rows, truths), [], format)
        names = {row["name"] for row in view.rows("modules")}
        self.assertEqual(names - {"lime"}, {row["name"] for row in View(self.guest.target()).rows("modules")})
        self.assertIn("lime", names)
        self.assertEqual(self.kernel_bytes(target), self.kernel_bytes(self.guest.target()))
        proofs.proved(NAMES[format], "LiME", "ps")

    def test_its_own_format(self):
        self.prove("lime", self.taken("lime"), "lime")

    def test_padded(self):
        self.prove("padded", f"flat:{self.taken('padded')}", "flat")
