# SPDX-License-Identifier: MIT
"""Targets in targets: this machine is the outermost, a guest of the lab what runs in it, and its processes what runs there."""
import struct
import unittest

import compare
import narrow
import worlds
from harness import Case, lab, run, text_of, FOLDER

PAGE = 4096


class NestedTest(Case):
    @classmethod
    def setUpClass(cls):
        cls.guest = worlds.plain()
        cls.inner = f"native|qemu:{cls.guest.pid}"

    def test_the_guest_of_a_qemu_of_this_machine_has_its_processes(self):
        """By its process's mappings and command line alone."""
        truths = [self.guest.tell()]
        rows = self.expect(run("ps", self.inner, "--json"), 0).rows
        truths.append(self.guest.tell())
        self.assertEqual(compare.process_list_faults(rows, truths), [])

    def test_a_process_has_the_mappings_and_bytes_that_the_guest_says(self):
        at, word, _ = lab.page(self.guest.name, "map", FOLDER)
        for outer in (self.guest.target(), self.inner):
            with self.subTest(outer):
                target = f"{outer}|process:1"
                regions = self.expect(run("maps", target, "--json"), 0).rows
                known = self.expect(run("maps", outer, "--pid", 1, "--json"), 0).rows
                self.assertEqual([(r["start"], r["end"], r["path"]) for r in regions],
                                 [(m["start"], m["end"], m["path"]) for m in known])
                data = self.expect(run("read", target, hex(at), str(PAGE), "--raw"), 0).out
                self.assertEqual(set(struct.unpack(f"<{PAGE // 8}Q", data)), {word})

    def test_each_step_tells_the_architecture(self):
        code = next(m for m in compare.by_pid(self.guest.truth)[1]["maps"] if m["perms"] == "r-xp")
        for target in (self.inner, f"{self.inner}|process:1"):
            with self.subTest(target):
                info = self.expect(run("info", target, "--json"), 0).rows[0]
                self.assertEqual(info["arch"], self.guest.truth["kernel"]["machine"])
        here = self.expect(run("disas", f"{self.inner}|process:1", code["start"], "--json"), 0).rows
        there = self.expect(run("disas", self.inner, code["start"], "--pid", 1, "--json"), 0).rows
        self.assertEqual([(row["addr"], row["bytes"], row["mnemonic"]) for row in here],
                         [(row["addr"], row["bytes"], row["mnemonic"]) for row in there])

    def test_a_process_of_32_bits_is_taken_for_one(self):
        pid = narrow.start(self.guest, "amd64")
        step = f"{self.inner}|process:{narrow.NAME}"
        self.assertEqual(self.expect(run("info", step, "--json"), 0).rows[0]["arch"], "i386")
        for words in ((step, hex(narrow.ENTRY)), (self.guest.target(), hex(narrow.ENTRY), "--pid", pid)):
            with self.subTest(words):
                rows = self.expect(run("disas", *words, "--json", "--count", 4), 0).rows
                self.assertEqual([row["mnemonic"] for row in rows], ["inc", "dec", "mov", "int"])

    def test_by_name_and_what_is_not_there(self):
        outer = self.guest.target()
        self.expect(run("read", f"{outer}|process:httpd", "0", "1"), 1, "no memory at this address")
        self.expect(run("info", f"{outer}|process:nobody"), 4, "'nobody': there is none in this guest")
        self.expect(run("info", f"{outer}|process:kthreadd"), 4, "there is none")
        self.expect(run("info", f"{outer}|qemu:"), 4, "there is none")
        self.expect(run("info", f"{outer}|process:1|process:1"), 4, "is no physical memory")
        self.expect(run("info", f"{outer}|process:1,pid=1"), 4, "takes no pid=")

    def test_a_step_is_of_the_moment_and_stands_still_with_what_it_is_in(self):
        target = f"{self.guest.target(',snapshot=copy')}|process:1"
        info = self.expect(run("info", target, "--snapshot", "--json"), 0).rows[0]
        self.assertFalse(info["live"])
        result = self.expect(run("maps", f"{self.guest.target()}|process:1", "--pause", "--stats", "--json"), 0)
        self.assertIn("stood still for", result.err)
        self.assertIn("1 of a guest", text_of(run("info", target).out))


if __name__ == "__main__":
    unittest.main()
