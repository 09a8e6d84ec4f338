# SPDX-License-Identifier: MIT
"""What is written of a running guest: read again it is the guest, and the tools of the field take it."""
import os
import re
import shutil
import subprocess
import unittest

import compare
import frames
import monitor
import readers
from harness import FOLDER, Case, View, boot, run
from test_kdump import digest

PACKED = ("kdump-zlib", "kdump-zstd", "kdump-lzo", "kdump-snappy")


class DumpTest(Case):
    """A guest that stands still, of which QEMU's own dumps would have no VMCOREINFO."""

    @classmethod
    def setUpClass(cls):
        cls.guest = boot("dumped", smp=2, mem=256, vmcoreinfo=False)
        cls.addClassCleanup(cls.guest.stop)
        before = cls.guest.truth
        cls.truths = (before, cls.guest.tell())
        cls.guest.pause()
        cls.live = View(cls.guest.target(",via=map"))
        cls.places = [(at, 1 + at % 13000) for at in range(0x100001, 0xf000000, 0x17f1235)]
        cls.at_places = [run("read", cls.live.target, hex(at), size, "--phys", "--raw").out for at, size in cls.places]

    def dump(self, format, *options, source=None, command="dump"):
        path = os.path.join(FOLDER, "written." + format)
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        result = run(command, source or self.live.target, "-o", path, "--format", format, "--json", *options)
        self.expect(result, 0)
        self.assertEqual(result.rows[0]["missing"], 0, str(result))
        return path

    def expect_the_guest(self, target):
        view = View(target)
        self.assertEqual(compare.process_list_faults(view.rows("ps"), self.truths), [])
        self.assertEqual(view.rows("modules"), self.live.rows("modules"))

    def expect_others_read(self, path):
        """drgn and libkdumpfile, at places that neither begin nor end with a page."""
        for reader in readers.PROGRAMS:
            with self.subTest(reader):
                if not readers.has(reader):
                    self.skipTest(f"no {reader} (Debian packages python3-drgn, python3-libkdumpfile)")
                self.assertEqual(readers.read(reader, path, self.places) == self.at_places, True)

    def test_each_format_holds_the_guest(self):
        wanted = digest(self.live.target)
        for format in ("elf", *PACKED, "lime", "windows", "raw"):
            with self.subTest(format):
                path = self.dump(format)
                target = f"flat:{path}" if format == "raw" else path
                self.assertEqual(digest(target), wanted)
                self.expect_the_guest(target)
                if format == "elf" or format in PACKED:
                    self.assertEqual(View(target).info()["cpus"], 2)
                    self.expect_others_read(path)
                if format == "windows":
                    with monitor.Monitor("dumped", self.guest.qmp) as qemu:
                        cr3 = re.search(r"CR3=([0-9a-f]+)", qemu.say("info registers"))[1]
                    self.assertIn(f"directory_table_base={int(cr3, 16):#x}", View(target).info()["facts"])
                os.unlink(path)

    def test_what_was_written_of_a_file_is_what_was_written_of_the_guest(self):
        core = self.dump("elf")
        self.expect_the_guest(self.dump("kdump-zstd", source=core, command="convert"))

    @unittest.skipUnless(shutil.which("makedumpfile"), "no makedumpfile")
    def test_makedumpfile_reads_and_filters_it(self):
        lines = [row["text"] for row in self.live.rows("dmesg")]
        for format in ("elf", "kdump-zlib", "kdump-lzo"):
            with self.subTest(format):
                path, out = self.dump(format), os.path.join(FOLDER, "made-of-it")
                for options in (("--dump-dmesg",), ("-c", "-d", "1")):
                    self.addCleanup(lambda: os.path.exists(out) and os.unlink(out))
                    subprocess.run(["makedumpfile", "-f", *options, path, out], check=True, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
                    if options[0] == "--dump-dmesg":
                        with open(out, encoding="utf-8", errors="replace") as file:
                            text = file.read()
                        self.assertEqual([line for line in lines[:50] if line not in text], [])
                self.expect_the_guest(out)

    @unittest.skipUnless(shutil.which("makedumpfile"), "no makedumpfile")
    def test_what_is_left_out_is_what_makedumpfile_leaves_out(self):
        """But for memory of devices, which the guest's kernel has no account of, and pages of zeros, which take no room."""
        core, ram = self.dump("elf"), frames.ram_of(self.truths[1], 4096)
        for word, level in (("free", 16), ("cache-private", 4), ("all", 30)):
            with self.subTest(word):
                memory, ours, said = frames.written(core, "--exclude", word)
                _, theirs, _ = frames.filtered(core, level)
                self.assertEqual(said, 6 if level == 4 else level)
                self.assertEqual(ours & ram ^ theirs & ram, set())
                self.assertEqual(ours - ram, memory - ram)
                self.assertGreater(len(memory - ours), 500)
        _, live, _ = frames.written(self.live.target, "--exclude", "all", command="dump")
        self.assertEqual(theirs - live, set())  # read as one that may run: nothing is left out that is kept there

    def test_what_was_left_out_says_so_and_what_was_kept_is_what_it_was(self):
        memory, held, _ = frames.written(self.live.target, "--exclude", "free,user", command="dump")
        lost, kept = sorted(memory - held)[7], sorted(held)[len(held) // 2]
        wanted = run("read", self.live.target, hex(kept * 4096), 4096, "--phys", "--raw").out
        for format, said in (("elf", "the dump left this page out"), ("kdump-zstd", "the dump left this page out"),
                             ("lime", "no memory")):
            with self.subTest(format):
                path = self.dump(format, "--exclude", "free,user")
                self.expect(run("read", path, hex(lost * 4096), 16, "--phys"), 1, said)
                self.assertEqual(run("read", path, hex(kept * 4096), 4096, "--phys", "--raw").out, wanted)
                self.assertEqual(View(path).rows("modules"), self.live.rows("modules"))
        result = run("dump", self.live.target, "-o", "/nowhere", "--format", "raw", "--exclude", "free")
        self.expect(result, 2, "in a raw image what is left out would read as zeros")

    @unittest.skipUnless(shutil.which("crash"), "no crash")
    def test_crash_finds_the_release(self):
        release = self.live.info()["release"]
        for format in ("elf", "kdump-zlib", "kdump-lzo", "kdump-snappy"):
            self.assertEqual(self.crash("--osrelease", self.dump(format)).strip(), release, format)

    def crash(self, *words):
        done = subprocess.run(["crash", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=300, check=False)
        return done.stdout.decode("utf-8", "replace")
